// What `check` says about keys and TLS, against a listener of gRPC with this or that certificate.
#include "site_agent/check.h"

#include <consilium/v1/consilium.grpc.pb.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <limits>
#include <memory>
#include <optional>
#include <string>

#include "federation/wire/wire.h"
#include "identity/authority.h"
#include "identity/private_key.h"
#include "program/program.h"
#include "study/program.h"
#include "tests/unit/site_store/site_fixture.h"

namespace consilium::site_agent {
namespace {

using identity::Role;
using testing::Folder;
using testing::Has;
using testing::Must;
using testing::Spill;

constexpr std::int64_t kDayS = 86400;
const std::int64_t kNowS = program::UnixMs() / 1000;  // gRPC judges by the machine's clock

identity::Authority NewAuthority(const std::string& organisation) {
  auto made = identity::Authority::Create(organisation, kNowS - 400 * kDayS, 10);
  if (!made) throw std::runtime_error(made.error().message);
  return *made;
}

struct Holder {
  std::string key_pem, certificate_pem;
};
// For `days` from `from_s` on, which is 25 hours ago.
Holder Issued(const identity::Authority& by, const std::string& name, Role role,
              const std::string& host = "127.0.0.1", int days = 365,
              std::int64_t from_s = kNowS - kDayS - 3600) {
  Holder holder;
  holder.key_pem = Must(identity::GenerateKey());
  identity::Grant grant{.name = name, .role = role, .now_s = from_s, .days = days, .hosts = {}};
  if (role == Role::kCoordinator) grant.hosts = {host};
  holder.certificate_pem =
      Must(by.Issue(Must(identity::MakeRequest(holder.key_pem, name, role)), grant));
  return holder;
}

// A coordinator that answers the one call of `check`.
class Listener : public v1::Sites::Service {
 public:
  Listener(const Holder& shown, const identity::Authority& members) {
    grpc::SslServerCredentialsOptions tls(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_key_cert_pairs.push_back({shown.key_pem, shown.certificate_pem});
    tls.pem_root_certs = members.certificate_pem();
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Listener() override { server_->Shutdown(std::chrono::system_clock::now()); }
  [[nodiscard]] int port() const { return port_; }

  grpc::Status Ping(grpc::ServerContext*, const v1::PingRequest*, v1::PingReply* reply) override {
    wire::Versions versions;
    versions.engine = study::kEngineVersion;
    wire::Encode(versions, *reply->mutable_versions());
    reply->set_unix_ms(unix_ms);
    reply->set_name(name);
    return status;
  }

  // What it says.
  std::int64_t unix_ms = program::UnixMs();
  std::string name = "MUMC";
  grpc::Status status;

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// A site that is enrolled at 127.0.0.1, and what it is told.
class SiteCheck : public ::testing::Test {
 protected:
  SiteCheck() {
    config_.file_name = "site.yaml";
    config_.site = "MUMC";
    config_.state = (folder_.path() / "state").string();
    config_.network.proxy.kind = SiteProxy::Kind::kNone;
  }

  void Enrol(int port, const std::string& passphrase = "") {
    if (site_.key_pem.empty()) site_ = Issued(authority_, "MUMC", Role::kSite);
    auto store = Must(SiteStore::Open(config_.state));
    const auto keys = Must(store.LoadOrCreateKeys([&]() -> Result<std::string> {
      return passphrase.empty() ? site_.key_pem : identity::EncryptKey(site_.key_pem, passphrase);
    }));
    Must(store.SaveEnrolment({"MUMC", site_.certificate_pem, authority_.certificate_pem(),
                              fmt::format("127.0.0.1:{}", port), "HN consortium",
                              keys.signing.verifying_key(), kNowS * 1000}));
  }
  void UseBundle(const std::string& pem) {
    config_.network.ca_bundle = (folder_.path() / "bundle.pem").string();
    Spill(config_.network.ca_bundle, pem);
  }
  CheckLine Line(const std::string& layer, const std::string& passphrase = "") {
    options_.passphrase = passphrase;
    for (const CheckLine& line : Check(config_, options_, program::UnixMs())) {
      if (line.layer == layer) return line;
    }
    return {layer, CheckLine::State::kNotLooked, "(no such line)", ""};
  }
  static std::string Word(const CheckLine& line) { return std::string(Name(line.state)); }

  Folder folder_;
  SiteConfig config_;
  CheckOptions options_;
  Holder site_;
  identity::Authority authority_ = NewAuthority("HN consortium");
  identity::Authority hospital_ = NewAuthority("The hospital");
};

TEST_F(SiteCheck, TakesTheCoordinatorsOwnCertificate) {
  const Listener listener(Issued(authority_, "coordinator", Role::kCoordinator), authority_);
  Enrol(listener.port());
  const CheckLine tls = Line("TLS");
  EXPECT_EQ(Word(tls), "good") << tls.found;
  EXPECT_EQ(tls.found, "1.3, by the coordinator's authority");
  EXPECT_EQ(Word(Line("coordinator")), "good") << Line("coordinator").found;
}

// Whoever checks reads it on a terminal.
TEST_F(SiteCheck, ShowsPlainWordsWhateverTheCoordinatorSays) {
  Listener listener(Issued(authority_, "coordinator", Role::kCoordinator), authority_);
  Enrol(listener.port());
  listener.name = "M\u202eC";
  EXPECT_EQ(Word(Line("coordinator")), "good") << Line("coordinator").found;
  EXPECT_TRUE(Has(Line("coordinator").found, "lets M?C in"));
  listener.unix_ms = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(Word(Line("clock")), "warning") << Line("clock").found;
  listener.status = {grpc::StatusCode::FAILED_PRECONDITION, "\033[2Jno\n[info] all is good"};
  EXPECT_EQ(Word(Line("coordinator")), "failed");
  EXPECT_TRUE(Has(Line("coordinator").found, "?[2Jno [info] all is good"));
}

// The line and the calls that follow must agree: both trust the bundle, and nothing else does.
TEST_F(SiteCheck, TrustsTheBundleAsTheWorkConnectionDoes) {
  const Listener listener(Issued(hospital_, "coordinator", Role::kCoordinator), authority_);
  Enrol(listener.port());
  const CheckLine without = Line("TLS");
  EXPECT_EQ(Word(without), "failed");
  EXPECT_TRUE(Has(without.found, "not by the coordinator's authority (issued by"));
  EXPECT_TRUE(Has(without.found, "The hospital"));
  EXPECT_TRUE(Has(without.next, "firewall"));
  EXPECT_EQ(Word(Line("coordinator")), "not looked at");

  UseBundle(NewAuthority("Another").certificate_pem());
  EXPECT_EQ(Word(Line("TLS")), "failed");
  EXPECT_TRUE(Has(Line("TLS").found, "nor by one of network.ca_bundle"));

  UseBundle(NewAuthority("Another").certificate_pem() + hospital_.certificate_pem());
  const CheckLine with = Line("TLS");
  EXPECT_EQ(Word(with), "warning") << with.found;
  EXPECT_TRUE(Has(with.found, "The hospital"));
  EXPECT_TRUE(Has(with.found, "network.ca_bundle"));
  EXPECT_TRUE(Has(with.next, "exempt this address"));
  EXPECT_EQ(Word(Line("coordinator")), "good") << Line("coordinator").found;
}

// What opens TLS on the way has a certificate that the bundle trusts, and cannot pass on ours.
TEST_F(SiteCheck, NamesAFirewallThatIsTrustedAndStillInTheWay) {
  const Listener firewall(Issued(hospital_, "coordinator", Role::kCoordinator), hospital_);
  Enrol(firewall.port());
  UseBundle(hospital_.certificate_pem());
  EXPECT_EQ(Word(Line("TLS")), "warning") << Line("TLS").found;
  EXPECT_EQ(Word(Line("coordinator")), "failed");
}

TEST_F(SiteCheck, NamesABundleThatIsNoneOrNotThere) {
  const Listener listener(Issued(authority_, "coordinator", Role::kCoordinator), authority_);
  Enrol(listener.port());
  UseBundle("no certificate in it\n");
  EXPECT_EQ(Word(Line("TLS")), "failed");
  EXPECT_TRUE(Has(Line("TLS").found, "network.ca_bundle: " + config_.network.ca_bundle));
  EXPECT_TRUE(Has(Line("TLS").next, "leave the key out"));
  config_.network.ca_bundle = (folder_.path() / "absent.pem").string();
  EXPECT_EQ(Word(Line("TLS")), "failed");
  EXPECT_TRUE(Has(Line("TLS").found, "network.ca_bundle: "));
  EXPECT_EQ(Word(Line("coordinator")), "not looked at");
}

TEST_F(SiteCheck, NamesACertificateForAnotherHost) {
  const Listener listener(
      Issued(authority_, "coordinator", Role::kCoordinator, "coordinator.example.org"), authority_);
  Enrol(listener.port());
  EXPECT_EQ(Word(Line("TLS")), "failed");
  EXPECT_TRUE(Has(Line("TLS").found, "not for 127.0.0.1"));
  EXPECT_TRUE(Has(Line("TLS").next, "coordinator.json"));
}

TEST_F(SiteCheck, NamesACertificateThatEndedOrSoonWill) {
  {
    const Listener listener(
        Issued(authority_, "coordinator", Role::kCoordinator, "127.0.0.1", 10, kNowS - 20 * kDayS),
        authority_);
    Enrol(listener.port());
    EXPECT_EQ(Word(Line("TLS")), "failed");
    EXPECT_TRUE(Has(Line("TLS").found, "ended"));
  }
  for (const auto& [days, word] : {std::pair(30, "warning"), std::pair(32, "good")}) {
    const Listener listener(
        Issued(authority_, "coordinator", Role::kCoordinator, "127.0.0.1", days), authority_);
    Enrol(listener.port());
    const CheckLine tls = Line("TLS");
    EXPECT_EQ(Word(tls), word) << tls.found;
    EXPECT_EQ(Word(Line("coordinator")), "good");
    if (days == 30) {
      EXPECT_TRUE(Has(tls.found, "ends in 28 days"));
      EXPECT_TRUE(Has(tls.next, "operator"));
    }
  }
}

TEST_F(SiteCheck, ALockedKeyNamesTheVariableThatOpensIt) {
  const Listener listener(Issued(authority_, "coordinator", Role::kCoordinator), authority_);
  Enrol(listener.port(), "correct horse");
  const CheckLine none = Line("keys");
  EXPECT_EQ(Word(none), "failed");
  EXPECT_TRUE(Has(none.found, "locked with a passphrase"));
  EXPECT_TRUE(Has(none.next, "CONSILIUM_PASSPHRASE"));
  EXPECT_TRUE(Has(none.next, "/etc/consilium/site.env"));
  EXPECT_EQ(Word(Line("TLS")), "good");  // nothing of ours is shown there
  EXPECT_EQ(Word(Line("coordinator")), "not looked at");
  EXPECT_EQ(Line("coordinator").found, "after keys");

  const CheckLine wrong = Line("keys", "battery staple");
  EXPECT_EQ(Word(wrong), "failed");
  EXPECT_TRUE(Has(wrong.found, "CONSILIUM_PASSPHRASE does not open the TLS key"));
  EXPECT_FALSE(Has(wrong.found + wrong.next, "battery"));

  EXPECT_EQ(Word(Line("keys", "correct horse")), "good");
  EXPECT_EQ(Word(Line("coordinator", "correct horse")), "good");
}

// A site that has joined nobody: only what is on this machine.
class ExtractionCheck : public SiteCheck {
 protected:
  ExtractionCheck() {
    options_.network = false;
    Install("engine 1", 2);
    const std::string cohort = (folder_.path() / "MUMC.yaml").string();
    Spill(cohort,
          "site: MUMC\nradiomics: features.csv\nid: {column: id}\n"
          "outcome: {column: relapse, event: [\"1\"], non_event: [\"0\"]}\n");
    config_.cohorts = {{cohort, folder_.path().string(), {}}};
    Table("engine 1");
  }
  // A script in the place of consilium-extract, whose phantom has the feature a.
  void Install(const std::string& engine, int feature) {
    options_.extract_program = folder_.path() / "extract";
    Spill(options_.extract_program,
          fmt::format("#!/bin/sh\n[ \"$1\" = --version ] && echo {0} && exit\n"
                      "echo '{{\"engine\":\"{0}\",\"features\":{{\"a\":{1}}}}}'\n",
                      engine, feature),
          0700);
  }
  void Table(const std::string& engine) {
    Spill(folder_.path() / "features.csv",
          "id,engine,x,relapse\n1,engine 1,3,0\n2," + engine + ",4,1\n");
  }
  // A study whose features are those of engine 1.
  void NameStudy() {
    options_.study_file = (folder_.path() / "study.yaml").string();
    testing::StudyOptions study;
    study.sites = {"MUMC", "north", "south", "west"};
    Spill(options_.study_file,
          testing::StudyYaml(study) +
              "extraction: {engine: engine 1, settings: 'setting: {}', phantom: {a: 2}}\n");
  }
};

TEST_F(ExtractionCheck, TellsTheProgramsVersion) {
  EXPECT_EQ(Word(Line("extraction")), "good") << Line("extraction").found;
  EXPECT_EQ(Line("extraction").found, "engine 1");
  EXPECT_EQ(Word(Line("cohort")), "good") << Line("cohort").found;
}

TEST_F(ExtractionCheck, AMissingProgramMattersIfTheStudyIsOfImages) {
  options_.extract_program = "/nowhere/consilium-extract";
  EXPECT_EQ(Word(Line("extraction")), "warning");
  EXPECT_TRUE(Has(Line("extraction").found, "/nowhere/consilium-extract cannot be started"));
  EXPECT_EQ(Line("extraction").next,
            "install the package consilium-extract, if a study here names how features are taken "
            "from images");
  EXPECT_EQ(Word(Line("cohort")), "good") << Line("cohort").found;
  NameStudy();
  EXPECT_EQ(Word(Line("extraction")), "failed");
  EXPECT_EQ(Line("extraction").next, "install the package consilium-extract");
}

TEST_F(ExtractionCheck, AStudyOfImagesWantsItsEngineAndItsPhantom) {
  NameStudy();
  EXPECT_EQ(Word(Line("extraction")), "good") << Line("extraction").found;
  EXPECT_EQ(Line("extraction").found, "engine 1; 1 features of the digital phantom are reproduced");
  Install("engine 2", 2);
  EXPECT_EQ(Word(Line("extraction")), "failed");
  EXPECT_EQ(Line("extraction").found,
            "the study wants features of engine 1, this machine has engine 2");
  EXPECT_EQ(Line("extraction").next, "install that version");
  Install("engine 1", 3);
  EXPECT_EQ(Word(Line("extraction")), "failed");
  EXPECT_TRUE(Has(Line("extraction").found, "1 of 1 features of the digital phantom are not"));
  EXPECT_FALSE(AllGood(Check(config_, options_, program::UnixMs())));
}

TEST_F(ExtractionCheck, RowsOfAnotherEngineAreNamed) {
  Table("engine \033[2J0");
  EXPECT_EQ(Word(Line("cohort")), "warning") << Line("cohort").found;
  EXPECT_TRUE(Has(Line("cohort").found,
                  "4 columns, rows of engine ?[2J0, but consilium-extract is engine 1"));
  EXPECT_TRUE(Has(Line("cohort").next, "extract again"));
  // Whoever has no such program cannot say.
  options_.extract_program = "/nowhere/consilium-extract";
  EXPECT_EQ(Word(Line("cohort")), "good") << Line("cohort").found;
}

}  // namespace
}  // namespace consilium::site_agent
