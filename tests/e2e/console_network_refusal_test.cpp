// The console's network commands when there is nobody to talk to, or nothing to talk with: the
// documented exit code, and a message with coordinator, command and next step.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "console/person.h"
#include "identity/authority.h"
#include "identity/certificate.h"
#include "identity/private_key.h"
#include "identity/token.h"
#include "tests/e2e/console_fixture.h"
#include "tests/support/loopback.h"
#include "tests/support/small_study.h"

namespace consilium::e2e {
namespace {

constexpr int kRefused = 1, kUsage = 2, kInput = 3, kDenied = 4, kUnreachable = 6;

std::int64_t NowS() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// An address of this machine on which nobody listens: a port that was free a moment ago.
std::string ClosedAddress() {
  return fmt::format("127.0.0.1:{}", testing::FreePorts(1).front());
}

class ConsoleNetwork : public ::testing::Test {
 protected:
  // No proxy, and no keys but those of the test.
  [[nodiscard]] Told Run(const std::vector<std::string>& arguments,
                         std::map<std::string, std::string> environment = {}) const {
    environment.try_emplace("CONSILIUM_HOME", (scratch_.path() / "home").string());
    environment.try_emplace("no_proxy", "127.0.0.1");
    return scratch_.Consilium(arguments, environment);
  }
  // A lead of a coordinator at `address`, whose certificate lasts `days` from `now_s`.
  void Enrol(const std::string& address, std::int64_t now_s = NowS(), int days = 90,
             std::string_view passphrase = {}) const {
    const std::filesystem::path home = scratch_.path() / "home";
    const auto keys = console::MakeKeys(home, passphrase);
    ASSERT_TRUE(keys.has_value()) << keys.error().message;
    const auto tls = console::UnlockTlsKey(home, *keys, passphrase);
    ASSERT_TRUE(tls.has_value());
    const auto authority = identity::Authority::Create("Test", now_s, 10);
    ASSERT_TRUE(authority.has_value());
    const auto request = identity::MakeRequest(*tls, "anna", identity::Role::kLead);
    ASSERT_TRUE(request.has_value());
    identity::Grant grant;
    grant.name = "anna";
    grant.role = identity::Role::kLead;
    grant.now_s = now_s;
    grant.days = days;
    const auto certificate = authority->Issue(*request, grant);
    ASSERT_TRUE(certificate.has_value()) << certificate.error().message;
    site_agent::StoredEnrolment enrolment;
    enrolment.site = "anna";
    enrolment.certificate_pem = *certificate;
    enrolment.authority_pem = authority->certificate_pem();
    enrolment.address = address;
    enrolment.coordinator = "hub-of-lungs";
    const auto saved = console::SaveEnrolment(home, enrolment);
    ASSERT_TRUE(saved.has_value()) << saved.error().message;
  }
  [[nodiscard]] static std::string TokenFor(const std::string& address, identity::Role role,
                                            std::int64_t expires_s) {
    identity::Token token;
    token.secret.fill(0x5A);
    token.authority = Sha256("authority");
    token.name = "anna";
    token.role = role;
    token.address = address;
    token.expires_s = expires_s;
    return *identity::EncodeToken(token);
  }
  void WriteStudy() const {
    const testing::SmallStudyOptions options;
    scratch_.Write("study.yaml", testing::SmallStudyYaml(options));
  }
  static void ExpectSaid(const Told& told, int exit_code, const std::vector<std::string>& parts) {
    EXPECT_EQ(told.exit_code, exit_code) << told.out << told.err;
    for (const std::string& part : parts)
      EXPECT_NE(told.err.find(part), std::string::npos) << part << " in:\n" << told.err;
  }

  Scratch scratch_;
};

const std::vector<std::vector<std::string>> kCalls = {
    {"site", "list"},
    {"site", "invite", "MUMC"},
    {"site", "revoke", "MUMC", "--reason", "gone"},
    {"study", "list"},
    {"study", "show", "small"},
    {"study", "watch", "small"},
    {"study", "cancel", "small", "--reason", "over"},
    {"audit", "fetch", "small", "--out", "audit"},
    {"key", "renew"},
};

TEST_F(ConsoleNetwork, WithoutAProfileEveryCallNamesTheCommandThatMakesOne) {
  WriteStudy();
  auto calls = kCalls;
  calls.push_back({"study", "submit", "study.yaml", "--yes"});
  calls.push_back({"report", "small"});
  for (const auto& arguments : calls) {
    SCOPED_TRACE(arguments.front() + " " + arguments.at(1));
    ExpectSaid(Run(arguments), kInput, {"enrolment.json", "consilium key enroll TOKEN"});
  }
  ExpectSaid(Run({"key", "show"}), kInput, {"keys.json", "consilium key new"});
  EXPECT_FALSE(scratch_.Has("home"));
  EXPECT_FALSE(scratch_.Has("audit"));
}

TEST_F(ConsoleNetwork, AnUnreachableCoordinatorIsNamedWithCommandAndNextStep) {
  const std::string address = ClosedAddress();
  Enrol(address);
  WriteStudy();
  auto calls = kCalls;
  calls.push_back({"study", "submit", "study.yaml", "--yes"});
  calls.push_back({"report", "small"});
  for (const auto& arguments : calls) {
    SCOPED_TRACE(arguments.front() + " " + arguments.at(1));
    const Told told = Run(arguments);
    ExpectSaid(told, kUnreachable,
               {"UNAVAILABLE", "hub-of-lungs", address, "consilium-coordinator status"});
    if (arguments.front() != "key" && arguments.front() != "report") {
      ExpectSaid(told, kUnreachable, {"consilium " + arguments.front() + " " + arguments.at(1)});
    }
    EXPECT_TRUE(told.out.find("CT1-") == std::string::npos) << told.out;
  }
}

TEST_F(ConsoleNetwork, ErrorsAreJsonForScripts) {
  Enrol(ClosedAddress());
  const Told told = Run({"study", "list", "--json"});
  EXPECT_EQ(told.exit_code, kUnreachable);
  const auto error = nlohmann::json::parse(told.out, nullptr, false);
  ASSERT_TRUE(error.is_object()) << told.out;
  EXPECT_EQ(error.at("event"), "error");
  EXPECT_EQ(error.at("code"), "UNAVAILABLE");
  EXPECT_EQ(error.at("exit"), kUnreachable);
  EXPECT_EQ(told.err, "");
}

TEST_F(ConsoleNetwork, ATokenThatIsNoneOrMistypedMakesNoKeys) {
  const std::string good = TokenFor(ClosedAddress(), identity::Role::kLead, NowS() + 3600);
  std::string mistyped = good;
  mistyped[6] = mistyped[6] == 'A' ? 'B' : 'A';
  for (const std::string& text :
       {std::string("hello"), std::string("CT1-"), mistyped, good.substr(0, good.size() / 2)}) {
    const Told told = Run({"key", "enroll", text});
    ExpectSaid(told, kInput, {"TOKEN"});
    EXPECT_EQ(told.err.find(good.substr(20, 16)), std::string::npos) << told.err;
  }
  EXPECT_FALSE(scratch_.Has("home/keys.json"));
}

TEST_F(ConsoleNetwork, ATokenOfASiteIsForTheHospital) {
  ExpectSaid(Run({"key", "enroll", TokenFor(ClosedAddress(), identity::Role::kSite, NowS() + 60)}),
             kDenied, {"consilium-site enroll"});
  EXPECT_FALSE(scratch_.Has("home/keys.json"));
}

TEST_F(ConsoleNetwork, ATokenThatExpiredIsNotEvenSent) {
  ExpectSaid(Run({"key", "enroll", TokenFor(ClosedAddress(), identity::Role::kLead, NowS() - 60)}),
             kRefused, {"expired"});
  EXPECT_FALSE(scratch_.Has("home/keys.json"));
}

TEST_F(ConsoleNetwork, ATokenOfACoordinatorThatIsAwayIsNotUsedUpAndTheKeysStay) {
  const std::string address = ClosedAddress();
  const std::string token = TokenFor(address, identity::Role::kLead, NowS() + 3600);
  ExpectSaid(Run({"key", "enroll", token}), kUnreachable,
             {address, "consilium key enroll", "not used up"});
  const std::string keys = scratch_.Read("home/keys.json");
  ExpectSaid(Run({"key", "enroll", token}), kUnreachable, {address});
  EXPECT_EQ(scratch_.Read("home/keys.json"), keys);
  EXPECT_FALSE(scratch_.Has("home/enrolment.json"));
}

TEST_F(ConsoleNetwork, KeysAreMadeOnceAndShownWithoutASecret) {
  const Told made = Run({"key", "new", "--json"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  const auto told = nlohmann::json::parse(made.out, nullptr, false);
  ASSERT_TRUE(told.is_object()) << made.out;
  const std::string key = told.at("key");
  const std::string seed =
      nlohmann::json::parse(scratch_.Read("home/keys.json")).at("signing_seed");
  EXPECT_EQ(made.out.find(seed), std::string::npos);
  ExpectSaid(Run({"key", "new"}), kRefused, {key, "--profile"});
  const Told shown = Run({"key", "show"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_NE(shown.out.find(key), std::string::npos) << shown.out;
  EXPECT_EQ(shown.out.find(seed), std::string::npos);
  // Another profile has other keys.
  const Told other = Run({"key", "new", "--profile", "second"});
  EXPECT_EQ(other.exit_code, 0) << other.err;
  EXPECT_EQ(other.out.find(key), std::string::npos);
  EXPECT_TRUE(scratch_.Has("home/profiles/second/keys.json"));
  ExpectSaid(Run({"key", "show", "--profile", "../x"}), kInput, {"--profile"});
}

TEST_F(ConsoleNetwork, KeysThatOthersCanReadAreRefused) {
  Enrol(ClosedAddress());
  ASSERT_EQ(::chmod((scratch_.path() / "home/keys.json").c_str(), 0644), 0);
  ExpectSaid(Run({"study", "list"}), kDenied, {"keys.json", "chmod"});
}

TEST_F(ConsoleNetwork, ALockedKeyAsksForItsPassphrase) {
  Enrol(ClosedAddress(), NowS(), 90, "correct horse");
  ExpectSaid(Run({"study", "list"}), kRefused, {"CONSILIUM_PASSPHRASE"});
  ExpectSaid(Run({"study", "list"}, {{"CONSILIUM_PASSPHRASE", "battery"}}), kDenied,
             {"CONSILIUM_PASSPHRASE"});
  ExpectSaid(Run({"study", "list"}, {{"CONSILIUM_PASSPHRASE", "correct horse"}}), kUnreachable,
             {"hub-of-lungs"});
}

TEST_F(ConsoleNetwork, ACertificateThatEndedNamesTheWayBack) {
  Enrol(ClosedAddress(), NowS() - 91 * 86'400, 90);
  ExpectSaid(Run({"study", "list"}), kRefused,
             {"hub-of-lungs", "consilium site invite anna --role lead", "consilium key enroll"});
}

TEST_F(ConsoleNetwork, ACertificateThatEndsSoonIsNotedWithEveryCall) {
  Enrol(ClosedAddress(), NowS() - 80 * 86'400, 90);
  ExpectSaid(Run({"study", "list"}), kUnreachable, {"note: ", "consilium key renew"});
}

TEST_F(ConsoleNetwork, KeysOfAnotherEnrolmentAreNotUsed) {
  Enrol(ClosedAddress());
  std::filesystem::remove(scratch_.path() / "home/keys.json");
  ASSERT_EQ(Run({"key", "new"}).exit_code, 0);
  ExpectSaid(Run({"study", "list"}), kRefused, {"do not belong together"});
}

TEST_F(ConsoleNetwork, WrongArgumentsAreToldBeforeAnythingIsAsked) {
  Enrol(ClosedAddress());
  ExpectSaid(Run({"site", "invite", "a/b"}), kUsage, {"NAME"});
  ExpectSaid(Run({"site", "invite", "MUMC", "--role", "king"}), kUsage, {"--role"});
  ExpectSaid(Run({"site", "invite", "MUMC", "--hours", "0"}), kUsage, {"--hours"});
  ExpectSaid(Run({"site", "revoke", "MUMC"}), kUsage, {"--reason"});
  ExpectSaid(Run({"study", "cancel", "small"}), kUsage, {"--reason"});
  ExpectSaid(Run({"study", "watch"}), kUsage, {"ID"});
  ExpectSaid(Run({"audit", "fetch", "small"}), kUsage, {"--out"});
  ExpectSaid(Run({"completion", "tcsh"}), kUsage, {"tcsh"});
  ExpectSaid(Run({"stduy"}), kUsage, {"stduy", "site", "key"});
}

TEST_F(ConsoleNetwork, AStudyIsReadBeforeItIsSubmitted) {
  Enrol(ClosedAddress());
  ExpectSaid(Run({"study", "submit", "study.yaml", "--yes"}), kInput, {"study.yaml"});
  WriteStudy();
  ExpectSaid(Run({"study", "submit", "study.yaml"}), kUsage, {"nothing was submitted", "--yes"});
  ExpectSaid(Run({"study", "submit", "study.yaml", "--yes", "--pin", "north=12"}), kInput,
             {"--pin", "north"});
  ExpectSaid(
      Run({"study", "submit", "study.yaml", "--yes", "--pin", "nrth=" + std::string(64, 'a')}),
      kInput, {"--pin", "nrth", "north"});
  scratch_.Write("pins.txt", "north=xyz\n");
  ExpectSaid(Run({"study", "submit", "study.yaml", "--yes", "--pins", "pins.txt"}), kInput,
             {"pins.txt:1"});
  scratch_.Write("study.yaml", "name: [small\n");
  ExpectSaid(Run({"study", "submit", "study.yaml", "--yes"}), kInput, {"study.yaml:"});
}

TEST_F(ConsoleNetwork, AnAuditNeverWritesOverALog) {
  Enrol(ClosedAddress());
  scratch_.Write("audit/log.consilium", "evidence");
  ExpectSaid(Run({"audit", "fetch", "small", "--out", "audit"}), kRefused, {"log.consilium"});
  EXPECT_EQ(scratch_.Read("audit/log.consilium"), "evidence");
}

TEST_F(ConsoleNetwork, CompletionOfTheRealProgramKnowsItsCommands) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Told told = Run({"completion", shell});
    ASSERT_EQ(told.exit_code, 0) << told.err;
    for (const char* word : {"study submit", "site invite", "key enroll", "audit fetch", "pins"})
      EXPECT_NE(told.out.find(word), std::string::npos) << shell << ": " << word;
  }
  scratch_.Write("completion.bash", Run({"completion", "bash"}).out);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): one thread
  EXPECT_EQ(std::system(("bash -n " + (scratch_.path() / "completion.bash").string()).c_str()), 0);
}

TEST_F(ConsoleNetwork, EveryCommandHasHelpWithTheExitCodes) {
  auto calls = kCalls;
  for (const std::vector<std::string>& call : {std::vector<std::string>{"key"},
                                               {"key", "new"},
                                               {"key", "show"},
                                               {"site"},
                                               {"study"},
                                               {"study", "submit"},
                                               {"report"},
                                               {"audit"},
                                               {"completion"}})
    calls.push_back(call);
  for (auto arguments : calls) {
    arguments.resize(std::min<std::size_t>(arguments.size(), 2));
    arguments.emplace_back("--help");
    const Told told = Run(arguments);
    EXPECT_EQ(told.exit_code, 0) << arguments.front();
    EXPECT_NE(told.out.find("Exit codes:"), std::string::npos) << told.out;
  }
}

}  // namespace
}  // namespace consilium::e2e
