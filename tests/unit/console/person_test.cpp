// A person's folder: who may read it, what a passphrase locks, what damage is called.
#include "console/person.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "identity/authority.h"
#include "tests/support/scratch_folder.h"

namespace consilium::console {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kNow = 1'800'000'000;

mode_t ModeOf(const fs::path& path) {
  struct stat status {};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 0777U;
}

bool Says(const Error& error, std::string_view text) {
  return error.message.find(text) != std::string::npos;
}

// What an enrolment of this key as `role` would have returned.
site_agent::StoredEnrolment Enrolled(const identity::Authority& authority, std::string_view key_pem,
                                     const std::string& name, identity::Role role) {
  identity::Grant grant;
  grant.name = name;
  grant.role = role;
  grant.now_s = kNow;
  grant.days = 90;
  const auto request = identity::MakeRequest(key_pem, name, role);
  EXPECT_TRUE(request.has_value());
  const auto certificate = authority.Issue(*request, grant);
  EXPECT_TRUE(certificate.has_value()) << certificate.error().message;
  site_agent::StoredEnrolment enrolment;
  enrolment.site = name;
  enrolment.certificate_pem = *certificate;
  enrolment.authority_pem = authority.certificate_pem();
  enrolment.address = "coordinator.example.org:7443";
  enrolment.coordinator = "demo";
  enrolment.coordinator_key = federation::SigningKey::FromSeed({7}).verifying_key();
  enrolment.unix_ms = kNow * 1000;
  return enrolment;
}

identity::Authority MakeAuthority() { return *identity::Authority::Create("Test", kNow, 10); }

TEST(ProfileFolder, FollowsTheEnvironmentInOrder) {
  EXPECT_EQ(*ProfileFolder({"/keys", "/xdg", "/users/anna"}, ""), "/keys");
  EXPECT_EQ(*ProfileFolder({"", "/xdg", "/users/anna"}, ""), "/xdg/consilium");
  EXPECT_EQ(*ProfileFolder({"", "", "/users/anna"}, ""), "/users/anna/.config/consilium");
  EXPECT_EQ(*ProfileFolder({"", "relative", "/users/anna"}, ""), "/users/anna/.config/consilium");
  EXPECT_EQ(*ProfileFolder({"/keys", "", ""}, "lung"), "/keys/profiles/lung");
  EXPECT_EQ(ProfileFolder({}, "").error().code, ErrorCode::kNotFound);
}

TEST(ProfileFolder, RefusesANameThatWouldLeaveTheFolder) {
  for (const char* name : {"..", "../x", "a/b", ".hidden", "a b"}) {
    const auto folder = ProfileFolder({"/keys", "", ""}, name);
    ASSERT_FALSE(folder.has_value()) << name;
    EXPECT_EQ(folder.error().code, ErrorCode::kInvalidArgument);
    EXPECT_TRUE(Says(folder.error(), "--profile"));
  }
}

TEST(PersonKeys, AreMadeOnceReadBackAndForTheirOwnerAlone) {
  const testing_support::ScratchFolder scratch;
  const fs::path folder = scratch.path() / "a" / "b";
  const auto made = MakeKeys(folder, "");
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_EQ(ModeOf(folder), 0700U);
  EXPECT_EQ(ModeOf(folder / "keys.json"), 0600U);
  const auto read = LoadKeys(folder);
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->fingerprint(), made->fingerprint());
  EXPECT_EQ(read->tls_key_pem, made->tls_key_pem);
  EXPECT_FALSE(read->locked());
  EXPECT_EQ(*UnlockTlsKey(folder, *read, ""), made->tls_key_pem);

  const auto again = MakeKeys(folder, "");
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(Says(again.error(), Hex(made->fingerprint())));
  EXPECT_EQ(LoadKeys(folder)->fingerprint(), made->fingerprint());
}

TEST(PersonKeys, AreMissingWithTheCommandThatMakesThem) {
  const testing_support::ScratchFolder scratch;
  const auto keys = LoadKeys(scratch.path());
  ASSERT_FALSE(keys.has_value());
  EXPECT_EQ(keys.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(Says(keys.error(), "consilium key new"));
}

TEST(PersonKeys, ThatOthersCanReadAreRefusedWithTheCure) {
  const testing_support::ScratchFolder scratch;
  ASSERT_TRUE(MakeKeys(scratch.path(), "").has_value());
  for (const mode_t mode : {0640U, 0604U, 0660U}) {
    ASSERT_EQ(::chmod((scratch.path() / "keys.json").c_str(), mode), 0);
    const auto keys = LoadKeys(scratch.path());
    ASSERT_FALSE(keys.has_value()) << mode;
    EXPECT_EQ(keys.error().code, ErrorCode::kPermissionDenied);
    EXPECT_TRUE(Says(keys.error(), "chmod")) << keys.error().message;
  }
}

TEST(PersonKeys, LockedWithAPassphraseOpenWithItAloneAndSayNothingOfEither) {
  const testing_support::ScratchFolder scratch;
  const auto made = MakeKeys(scratch.path(), "correct horse");
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_TRUE(made->locked());
  EXPECT_EQ(scratch.Read("keys.json").find("BEGIN PRIVATE KEY"), std::string::npos);
  EXPECT_EQ(scratch.Read("keys.json").find("correct horse"), std::string::npos);
  const auto keys = LoadKeys(scratch.path());
  ASSERT_TRUE(keys.has_value());
  const auto open = UnlockTlsKey(scratch.path(), *keys, "correct horse");
  ASSERT_TRUE(open.has_value()) << open.error().message;
  EXPECT_NE(open->find("BEGIN PRIVATE KEY"), std::string::npos);

  const auto none = UnlockTlsKey(scratch.path(), *keys, "");
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Says(none.error(), "CONSILIUM_PASSPHRASE"));
  const auto wrong = UnlockTlsKey(scratch.path(), *keys, "battery staple");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().code, ErrorCode::kPermissionDenied);
  EXPECT_FALSE(Says(wrong.error(), "battery"));
}

TEST(PersonKeys, DamagedAtAnyFieldAreNamedAndNeverRepeated) {
  const testing_support::ScratchFolder scratch;
  ASSERT_TRUE(MakeKeys(scratch.path(), "").has_value());
  const std::string good = scratch.Read("keys.json");
  const auto spoil = [&](const char* field, const nlohmann::ordered_json& value) {
    auto json = nlohmann::ordered_json::parse(good);
    json[field] = value;
    return json.dump();
  };
  const std::string seed = nlohmann::json::parse(good).at("signing_seed");
  const struct {
    std::string text, field;
  } kDamages[] = {
      {"", "JSON"},
      {good.substr(0, good.size() / 2), "JSON"},
      {"[]", "JSON"},
      {"{}", "format"},
      {spoil("format", "1"), "format"},
      {spoil("signing_seed", seed.substr(2)), "signing_seed"},
      {spoil("signing_seed", "x" + seed.substr(1)), "signing_seed"},
      {spoil("signing_seed", 5), "signing_seed"},
      {spoil("tls_key_pem", nullptr), "tls_key_pem"},
  };
  for (const auto& damage : kDamages) {
    scratch.Write("keys.json", damage.text);
    const auto keys = LoadKeys(scratch.path());
    ASSERT_FALSE(keys.has_value()) << damage.text;
    EXPECT_EQ(keys.error().code, ErrorCode::kDataLoss) << keys.error().message;
    EXPECT_TRUE(Says(keys.error(), damage.field)) << keys.error().message;
    EXPECT_FALSE(Says(keys.error(), seed.substr(2, 16))) << keys.error().message;
  }
  scratch.Write("keys.json", spoil("format", 2));
  EXPECT_EQ(LoadKeys(scratch.path()).error().code, ErrorCode::kFailedPrecondition);
  scratch.Write("keys.json", spoil("tls_key_pem", "-----BEGIN PRIVATE KEY-----\nMA==\n"));
  const auto keys = LoadKeys(scratch.path());
  ASSERT_TRUE(keys.has_value());
  EXPECT_EQ(UnlockTlsKey(scratch.path(), *keys, "").error().code, ErrorCode::kDataLoss);
}

TEST(PersonEnrolment, IsReadBackWithWhatItsCertificateSays) {
  const testing_support::ScratchFolder scratch;
  const auto keys = MakeKeys(scratch.path(), "");
  ASSERT_TRUE(keys.has_value());
  const auto enrolment =
      Enrolled(MakeAuthority(), keys->tls_key_pem, "anna", identity::Role::kAuditor);
  ASSERT_TRUE(SaveEnrolment(scratch.path(), enrolment).has_value());
  EXPECT_EQ(ModeOf(scratch.path() / "enrolment.json"), 0600U);
  const auto read = LoadEnrolment(scratch.path());
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(read->stored, enrolment);
  EXPECT_EQ(read->certificate.role, identity::Role::kAuditor);
  EXPECT_EQ(identity::DaysLeft(read->certificate, kNow), 90);
}

TEST(PersonEnrolment, KeepsTheOperatorAndReadsAFileWithout) {
  const testing_support::ScratchFolder scratch;
  const auto keys = MakeKeys(scratch.path(), "");
  auto enrolment = Enrolled(MakeAuthority(), keys->tls_key_pem, "anna", identity::Role::kLead);
  enrolment.operated_by = "anna";
  ASSERT_TRUE(SaveEnrolment(scratch.path(), enrolment).has_value());
  EXPECT_EQ(LoadEnrolment(scratch.path()).value().stored.operated_by, "anna");
  auto json = nlohmann::ordered_json::parse(scratch.Read("enrolment.json"));
  json.erase("operated_by");
  json["coordinator"] = "demo (operated by anna)";
  scratch.Write("enrolment.json", json.dump());
  EXPECT_EQ(LoadEnrolment(scratch.path()).value().stored.operated_by, "");
}

TEST(PersonEnrolment, IsMissingWithTheCommandThatMakesIt) {
  const testing_support::ScratchFolder scratch;
  const auto read = LoadEnrolment(scratch.path());
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(Says(read.error(), "consilium key enroll TOKEN"));
}

TEST(PersonEnrolment, OfASiteIsNotAPersons) {
  const testing_support::ScratchFolder scratch;
  const auto keys = MakeKeys(scratch.path(), "");
  const auto enrolment =
      Enrolled(MakeAuthority(), keys->tls_key_pem, "MUMC", identity::Role::kSite);
  const auto saved = SaveEnrolment(scratch.path(), enrolment);
  ASSERT_FALSE(saved.has_value());
  EXPECT_EQ(saved.error().code, ErrorCode::kInvalidArgument);
  EXPECT_FALSE(scratch.Has("enrolment.json"));
}

TEST(PersonEnrolment, DamagedAtAnyFieldIsNamed) {
  const testing_support::ScratchFolder scratch;
  const auto keys = MakeKeys(scratch.path(), "");
  ASSERT_TRUE(SaveEnrolment(scratch.path(), Enrolled(MakeAuthority(), keys->tls_key_pem, "anna",
                                                     identity::Role::kLead))
                  .has_value());
  const std::string good = scratch.Read("enrolment.json");
  for (const char* field : {"name", "certificate_pem", "authority_pem", "address", "coordinator",
                            "coordinator_key", "unix_ms"}) {
    auto json = nlohmann::ordered_json::parse(good);
    json.erase(field);
    scratch.Write("enrolment.json", json.dump());
    const auto missing = LoadEnrolment(scratch.path());
    ASSERT_FALSE(missing.has_value()) << field;
    EXPECT_EQ(missing.error().code, ErrorCode::kDataLoss);
    EXPECT_TRUE(Says(missing.error(), field)) << missing.error().message;
    if (std::string_view(field) == "coordinator" || std::string_view(field) == "unix_ms") continue;
    json[field] = "no such thing";
    scratch.Write("enrolment.json", json.dump());
    const auto wrong = LoadEnrolment(scratch.path());
    ASSERT_FALSE(wrong.has_value()) << field;
    EXPECT_EQ(wrong.error().code, ErrorCode::kDataLoss);
    EXPECT_TRUE(Says(wrong.error(), field)) << wrong.error().message;
  }
}

TEST(PersonEnrolment, IsReplacedBySamePersonAtSameCoordinatorOnly) {
  const testing_support::ScratchFolder scratch;
  const auto keys = MakeKeys(scratch.path(), "");
  const identity::Authority authority = MakeAuthority(), other = MakeAuthority();
  EXPECT_TRUE(CheckReplaces(scratch.path(), "anna", other.fingerprint()).has_value());
  ASSERT_TRUE(SaveEnrolment(scratch.path(),
                            Enrolled(authority, keys->tls_key_pem, "anna", identity::Role::kLead))
                  .has_value());
  EXPECT_TRUE(CheckReplaces(scratch.path(), "anna", authority.fingerprint()).has_value());
  const auto elsewhere = CheckReplaces(scratch.path(), "anna", other.fingerprint());
  ASSERT_FALSE(elsewhere.has_value());
  EXPECT_EQ(elsewhere.error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(Says(elsewhere.error(), "--profile"));
  const auto bert = CheckReplaces(scratch.path(), "bert", authority.fingerprint());
  ASSERT_FALSE(bert.has_value());
  EXPECT_TRUE(Says(bert.error(), "--profile bert"));
  // Enrolling anew is the cure of a damaged file.
  scratch.Write("enrolment.json", "{\"format\": 1}");
  EXPECT_TRUE(CheckReplaces(scratch.path(), "anna", other.fingerprint()).has_value());
}

}  // namespace
}  // namespace consilium::console
