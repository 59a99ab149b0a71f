// What the store keeps, function by function, and that it is still there after opening again.
#include "coordinator/store.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/stat.h>

#include <fstream>
#include <optional>
#include <vector>

#include "tests/unit/coordinator_store/store_folder.h"

namespace consilium::coordinator {
namespace {

using testing_support::Must;
using testing_support::RandomBytes;
using testing_support::Refused;
using testing_support::SmallStudy;
using testing_support::StoreWithStudy;
using testing_support::TemporaryFolder;

TEST(StoreFile, IsPrivateAndMadeOnceAndWhole) {
  const TemporaryFolder folder;
  const std::string path = folder / "store.db";
  {
    const auto store = Must(Store::Create(path));
    EXPECT_EQ(store->path(), path);
    for (const char* suffix : {"", "-wal", "-shm"}) {
      struct stat status {};
      if (stat((path + suffix).c_str(), &status) == 0) {
        EXPECT_EQ(status.st_mode & 0777U, 0600U) << suffix;
      }
    }
    EXPECT_EQ(Must(store->Check()).schema_version, kStoreSchemaVersion);
  }
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  EXPECT_FALSE(std::filesystem::exists(path + "-wal")) << "an ordinary end leaves one file";
  EXPECT_TRUE(Refused(Store::Create(path), ErrorCode::kAlreadyExists, path));
  EXPECT_TRUE(Store::Open(path).has_value());
}

TEST(StoreFile, IsNotMadeByOpeningIt) {
  const TemporaryFolder folder;
  EXPECT_TRUE(Refused(Store::Open(folder / "no.db"), ErrorCode::kNotFound, "no.db"));
  EXPECT_FALSE(std::filesystem::exists(folder / "no.db"));
}

TEST(StoreFile, AnUnfinishedOneIsNamedAndLeftAlone) {
  const TemporaryFolder folder;
  std::ofstream(folder / "store.db.new") << "half";
  EXPECT_TRUE(Refused(Store::Create(folder / "store.db"), ErrorCode::kAlreadyExists,
                      folder / "store.db.new"));
  EXPECT_EQ(std::filesystem::file_size(folder / "store.db.new"), 4U);
  EXPECT_FALSE(std::filesystem::exists(folder / "store.db"));
}

TEST(StoreFile, BoundsOfTheOptionsAreChecked) {
  const TemporaryFolder folder;
  EXPECT_TRUE(Refused(Store::Create(folder / "a", {-1, 0}), ErrorCode::kInvalidArgument,
                      "busy_timeout_ms = -1"));
  EXPECT_TRUE(Refused(Store::Create(folder / "a", {0, (4U << 20) - 1}), ErrorCode::kInvalidArgument,
                      "bytes_max = 4194303"));
  EXPECT_TRUE(Store::Create(folder / "a", {0, 4U << 20}).has_value());
}

TEST(StoreMeta, KeepsTheLastValueOfEachKey) {
  StoreWithStudy at;
  Must(at.store->SetMeta("name", "Lisbon"));
  Must(at.store->SetMeta("name", "Porto"));
  Must(at.store->SetMeta("address", ""));
  at.Reopen();
  EXPECT_EQ(Must(at.store->FindMeta("name")), "Porto");
  EXPECT_EQ(Must(at.store->FindMeta("address")), "");
  EXPECT_EQ(Must(at.store->FindMeta("port")), std::nullopt);
  EXPECT_EQ(Must(at.store->ListMeta()),
            (std::map<std::string, std::string>{{"address", ""}, {"name", "Porto"}}));
}

TEST(StoreNames, EmptyLongAndInvisibleOnesAreRefused) {
  StoreWithStudy at;
  EXPECT_TRUE(Refused(at.store->SetMeta("", "x"), ErrorCode::kInvalidArgument, "0 bytes"));
  Must(at.store->SetMeta(std::string(256, 'k'), "x"));
  EXPECT_TRUE(Refused(at.store->SetMeta(std::string(257, 'k'), "x"), ErrorCode::kInvalidArgument,
                      "257 bytes"));
  for (const std::string& name :
       {std::string("a\nb"), std::string("a\0b", 3), std::string("\x7f")}) {
    EXPECT_TRUE(Refused(at.store->AddEvent(1, name, "what", ""), ErrorCode::kInvalidArgument,
                        "control character"));
  }
}

Token TokenOf(const std::string& secret, std::int64_t created_ms, std::int64_t expires_ms) {
  return {Sha256(secret), "MUMC", "site", created_ms, expires_ms, std::nullopt};
}

TEST(StoreTokens, AreRedeemedExactlyOnce) {
  StoreWithStudy at;
  Must(at.store->AddToken(TokenOf("s1", 1000, 1700000100000)));
  const Invitation invitation = Must(at.store->RedeemToken(Sha256("s1"), 1700000000000));
  EXPECT_EQ(invitation.name, "MUMC");
  EXPECT_EQ(invitation.role, "site");
  at.Reopen();
  EXPECT_TRUE(Refused(at.store->RedeemToken(Sha256("s1"), 1700000000001), ErrorCode::kAlreadyExists,
                      "2023-11-14 22:13:20 UTC"));
  EXPECT_EQ(Must(at.store->ListTokens()).at(0).used_ms, 1700000000000);
}

TEST(StoreTokens, AreUnknownExpiredOrEndedByName) {
  StoreWithStudy at;
  EXPECT_TRUE(Refused(at.store->RedeemToken(Sha256("s1"), 1), ErrorCode::kNotFound));
  Must(at.store->AddToken(TokenOf("s1", 1000, 2000)));
  EXPECT_TRUE(Refused(at.store->RedeemToken(Sha256("s1"), 2000), ErrorCode::kFailedPrecondition,
                      "1970-01-01 00:00:02 UTC"));
  EXPECT_TRUE(at.store->RedeemToken(Sha256("s1"), 1999).has_value());
  Must(at.store->AddToken(TokenOf("s2", 1500, 9000)));
  Must(at.store->AddToken(TokenOf("s3", 1600, 9000)));
  EXPECT_EQ(Must(at.store->ExpireTokens("MUMC", 1800)), 2U) << "the used one has no end any more";
  EXPECT_EQ(Must(at.store->ExpireTokens("MUMC", 1900)), 0U);
  EXPECT_TRUE(Refused(at.store->RedeemToken(Sha256("s2"), 1800), ErrorCode::kFailedPrecondition));
  const auto tokens = Must(at.store->ListTokens());
  ASSERT_EQ(tokens.size(), 3U);
  EXPECT_EQ(tokens[0].secret_hash, Sha256("s3")) << "newest first";
  EXPECT_EQ(tokens[2].used_ms, 1999);
}

TEST(StoreTokens, OfOneSecretOrWithoutALifeAreRefused) {
  StoreWithStudy at;
  Must(at.store->AddToken(TokenOf("s1", 1000, 2000)));
  EXPECT_TRUE(
      Refused(at.store->AddToken(TokenOf("s1", 1000, 3000)), ErrorCode::kAlreadyExists, "MUMC"));
  EXPECT_TRUE(
      Refused(at.store->AddToken(TokenOf("s2", 1000, 1000)), ErrorCode::kInvalidArgument, "MUMC"));
  EXPECT_EQ(Must(at.store->ListTokens()).size(), 1U);
}

Certificate CertificateOf(const std::string& serial) {
  return {serial, Sha256(serial), 5000, "PEM of " + serial};
}
Enrollment SiteOf(const std::string& name, const std::string& serial) {
  Enrollment enrollment{name, "site", {}, {}, CertificateOf(serial)};
  enrollment.signing_key.fill(1);
  enrollment.agreement_key.fill(2);
  return enrollment;
}

TEST(StoreMembers, AreFoundByNameAndBySerialWithAllTheirFacts) {
  StoreWithStudy at;
  Must(at.store->Enroll(SiteOf("MUMC", "a1"), false, 1234));
  at.Reopen();
  const Member member = Must(at.store->FindMember("MUMC"));
  EXPECT_EQ(member.name, "MUMC");
  EXPECT_EQ(member.role, "site");
  EXPECT_EQ(member.signing_key, SiteOf("MUMC", "a1").signing_key);
  EXPECT_EQ(member.agreement_key, SiteOf("MUMC", "a1").agreement_key);
  EXPECT_EQ(member.certificate.serial, "a1");
  EXPECT_EQ(member.certificate.fingerprint, Sha256("a1"));
  EXPECT_EQ(member.certificate.not_after_ms, 5000);
  EXPECT_EQ(member.certificate.pem, "PEM of a1");
  EXPECT_EQ(member.state, MemberState::kActive);
  EXPECT_EQ(member.enrolled_ms, 1234);
  EXPECT_EQ(member.last_seen_ms, std::nullopt);
  const SerialFound found = Must(at.store->FindBySerial("a1"));
  EXPECT_EQ(found.member.name, "MUMC");
  EXPECT_EQ(found.standing, SerialStanding::kCurrent);
  EXPECT_TRUE(Refused(at.store->FindMember("mumc"), ErrorCode::kNotFound, "mumc"));
  EXPECT_TRUE(Refused(at.store->FindBySerial("a2"), ErrorCode::kNotFound, "a2"));
}

TEST(StoreMembers, RenewedKeepTheirOldSerialUntilItExpires) {
  StoreWithStudy at;
  Must(at.store->Enroll(SiteOf("MUMC", "a1"), false, 1000));
  Must(at.store->Renew("MUMC", CertificateOf("a2"), 2000));
  const SerialFound old = Must(at.store->FindBySerial("a1"));
  EXPECT_EQ(old.standing, SerialStanding::kOld);
  EXPECT_EQ(old.certificate.pem, "PEM of a1");
  EXPECT_EQ(old.member.certificate.pem, "PEM of a2");
  EXPECT_EQ(Must(at.store->FindBySerial("a2")).standing, SerialStanding::kCurrent);
  EXPECT_TRUE(
      Refused(at.store->Renew("MUMC", CertificateOf("a1"), 2000), ErrorCode::kAlreadyExists, "a1"));
  EXPECT_TRUE(Refused(at.store->Renew("Elsewhere", CertificateOf("a3"), 1), ErrorCode::kNotFound));
  EXPECT_EQ(Must(at.store->FindMember("MUMC")).certificate.serial, "a2");
}

TEST(StoreMembers, AreReplacedOnlyWhenAskedAndThenAllOldSerialsEnd) {
  StoreWithStudy at;
  Must(at.store->Enroll(SiteOf("MUMC", "a1"), false, 1000));
  Must(at.store->Renew("MUMC", CertificateOf("a2"), 2000));
  Must(at.store->SetLastSeen({{"MUMC", 2500}}));
  EXPECT_TRUE(Refused(at.store->Enroll(SiteOf("MUMC", "a3"), false, 3000),
                      ErrorCode::kAlreadyExists, "MUMC"));
  EXPECT_TRUE(
      Refused(at.store->Enroll(SiteOf("MUMC", "a1"), true, 3000), ErrorCode::kAlreadyExists, "a1"));
  EXPECT_EQ(Must(at.store->FindBySerial("a2")).standing, SerialStanding::kCurrent)
      << "a refused enrollment changes nothing";
  Must(at.store->Enroll(SiteOf("MUMC", "a3"), true, 3000));
  EXPECT_EQ(Must(at.store->FindBySerial("a1")).standing, SerialStanding::kRevoked);
  EXPECT_EQ(Must(at.store->FindBySerial("a2")).standing, SerialStanding::kRevoked);
  EXPECT_EQ(Must(at.store->FindBySerial("a3")).standing, SerialStanding::kCurrent);
  EXPECT_EQ(Must(at.store->FindMember("MUMC")).last_seen_ms, std::nullopt);
}

TEST(StoreMembers, RevokedStayRevokedUntilTheyEnrollAgain) {
  StoreWithStudy at;
  Must(at.store->Enroll(SiteOf("MUMC", "a1"), false, 1000));
  Must(at.store->Renew("MUMC", CertificateOf("a2"), 2000));
  EXPECT_TRUE(Refused(at.store->Revoke("Elsewhere", "", 1), ErrorCode::kNotFound, "Elsewhere"));
  Must(at.store->Revoke("MUMC", "laptop stolen", 3000));
  Must(at.store->Revoke("MUMC", "again", 4000));
  at.Reopen();
  const Member member = Must(at.store->FindMember("MUMC"));
  EXPECT_EQ(member.state, MemberState::kRevoked);
  EXPECT_EQ(member.revoked_reason, "laptop stolen");
  EXPECT_EQ(member.revoked_ms, 3000);
  EXPECT_EQ(Must(at.store->FindBySerial("a1")).standing, SerialStanding::kRevoked);
  EXPECT_EQ(Must(at.store->FindBySerial("a2")).standing, SerialStanding::kRevoked);
  EXPECT_TRUE(Refused(at.store->Renew("MUMC", CertificateOf("a3"), 5000),
                      ErrorCode::kFailedPrecondition, "MUMC"));
  Must(at.store->Enroll(SiteOf("MUMC", "a4"), false, 6000));
  EXPECT_EQ(Must(at.store->FindMember("MUMC")).state, MemberState::kActive);
  EXPECT_EQ(Must(at.store->FindMember("MUMC")).revoked_ms, std::nullopt);
  EXPECT_EQ(Must(at.store->FindBySerial("a2")).standing, SerialStanding::kRevoked);
  EXPECT_EQ(Must(at.store->FindBySerial("a4")).standing, SerialStanding::kCurrent);
}

TEST(StoreMembers, AreListedByNameAndSeenForwardOnly) {
  StoreWithStudy at;
  Must(at.store->Enroll(SiteOf("Zürich", "a1"), false, 1000));
  Must(at.store->Enroll(SiteOf("Basel", "a2"), false, 1000));
  Must(at.store->SetLastSeen({{"Basel", 2000}, {"nobody", 2000}}));
  Must(at.store->SetLastSeen({{"Basel", 1500}, {"Zürich", 1700}}));
  Must(at.store->SetLastSeen({}));
  const auto members = Must(at.store->ListMembers());
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0].name, "Basel");
  EXPECT_EQ(members[0].last_seen_ms, 2000);
  EXPECT_EQ(members[1].last_seen_ms, 1700);
}

TEST(StoreStudies, AreKeptByteForByteInTheOrderOfSubmission) {
  StoreWithStudy at;
  NewStudy beta = SmallStudy("beta");
  beta.file = std::string("name: beta\0\n\xff", 13);
  beta.submission = RandomBytes(100000, 1);
  Must(at.store->AddStudy(beta, 500));
  NewStudy empty = SmallStudy("empty");
  empty.file.clear();
  empty.submission.clear();
  Must(at.store->AddStudy(empty, 600));
  at.Reopen();
  const StoredStudy found = Must(at.store->FindStudy(beta.id));
  EXPECT_EQ(found.file, beta.file);
  EXPECT_EQ(found.submission, beta.submission);
  EXPECT_EQ(found.status.id, beta.id);
  EXPECT_EQ(found.status.lead, "lead");
  EXPECT_EQ(found.status.state, StudyState::kOffered);
  EXPECT_EQ(found.status.submitted_ms, 500);
  EXPECT_TRUE(Must(at.store->FindStudy(empty.id)).submission.empty());
  const auto studies = Must(at.store->ListStudies());
  ASSERT_EQ(studies.size(), 3U);
  EXPECT_EQ(studies[0].name, "alpha");
  EXPECT_EQ(studies[1].name, "beta");
  EXPECT_TRUE(Refused(at.store->AddStudy(beta, 700), ErrorCode::kAlreadyExists, "offered"));
  EXPECT_TRUE(Refused(at.store->FindStudy(Sha256("x")), ErrorCode::kNotFound, Hex(Sha256("x"))));
}

TEST(StoreStudies, KeepWhenTheyFirstRanAndWhenTheyEnded) {
  StoreWithStudy at;
  const auto status = [&] { return Must(at.store->FindStudy(at.study)).status; };
  Must(at.store->SetStudyState(at.study, StudyState::kRunning, "all joined", 3000));
  Must(at.store->SetStudyState(at.study, StudyState::kPaused, "MUMC is silent", 4000));
  EXPECT_EQ(status().reason, "MUMC is silent");
  Must(at.store->SetStudyState(at.study, StudyState::kRunning, "", 5000));
  EXPECT_EQ(status().started_ms, 3000);
  EXPECT_EQ(status().ended_ms, std::nullopt);
  Must(at.store->SetStudyState(at.study, StudyState::kFailed, "disk full", 6000));
  EXPECT_EQ(status().ended_ms, 6000);
  Must(at.store->SetStudyState(at.study, StudyState::kRunning, "again", 7000));
  EXPECT_EQ(status().ended_ms, std::nullopt);
  Must(at.store->SetStudyState(at.study, StudyState::kFinished, "", 8000));
  Must(at.store->SetStudyState(at.study, StudyState::kFinished, "later", 9000));
  EXPECT_EQ(status().ended_ms, 8000);
  for (const StudyState state :
       {StudyState::kRunning, StudyState::kCancelled, StudyState::kFailed}) {
    EXPECT_TRUE(Refused(at.store->SetStudyState(at.study, state, "", 9000),
                        ErrorCode::kFailedPrecondition, "finished for good"));
  }
  EXPECT_TRUE(Refused(at.store->SetStudyState(Sha256("x"), StudyState::kRunning, "", 1),
                      ErrorCode::kNotFound));
}

TEST(StoreStudies, KeepEachSitesStateAndItsJoinMessage) {
  StoreWithStudy at;
  Must(at.store->AddStudy(SmallStudy("beta"), 900));
  const Digest beta = SmallStudy("beta").id;
  Must(at.store->SetSite(at.study, "MUMC", SiteState::kWaiting, "waits for Dr. B", {}, 10));
  Must(at.store->SetSite(at.study, "MUMC", SiteState::kJoined, "joined", Bytes{1, 2}, 20));
  Must(at.store->SetSite(at.study, "MUMC", SiteState::kApproved, "approved", {}, 30));
  Must(at.store->SetSite(at.study, "Basel", SiteState::kRejected, "no", {}, 40));
  Must(at.store->SetSite(beta, "MUMC", SiteState::kOffered, "", Bytes{}, 50));
  at.Reopen();
  const auto sites = Must(at.store->ListSites(at.study));
  ASSERT_EQ(sites.size(), 2U);
  EXPECT_EQ(sites[0].site, "Basel");
  EXPECT_EQ(sites[0].state, SiteState::kRejected);
  EXPECT_EQ(sites[1].state, SiteState::kApproved);
  EXPECT_EQ(sites[1].sentence, "approved");
  EXPECT_EQ(sites[1].join, (Bytes{1, 2})) << "none keeps the message that is there";
  EXPECT_EQ(sites[1].changed_ms, 30);
  const auto studies = Must(at.store->ListSiteStudies("MUMC"));
  ASSERT_EQ(studies.size(), 2U);
  EXPECT_EQ(studies[0].study, at.study);
  EXPECT_EQ(studies[1].study, beta);
  Must(at.store->SetSite(at.study, "MUMC", SiteState::kJoined, "", Bytes{}, 60));
  EXPECT_TRUE(Must(at.store->ListSites(at.study))[1].join.empty());
  EXPECT_TRUE(Refused(at.store->SetSite(Sha256("x"), "MUMC", SiteState::kOffered, "", {}, 1),
                      ErrorCode::kNotFound));
  EXPECT_TRUE(Must(at.store->ListSites(Sha256("x"))).empty());
}

TEST(StoreAttempts, FollowOneAnother) {
  StoreWithStudy at;
  EXPECT_TRUE(Refused(at.store->BeginAttempt(at.study, 1, {}, 1), ErrorCode::kFailedPrecondition,
                      "attempt 0 has not ended"));
  EXPECT_TRUE(Refused(at.store->BeginAttempt(at.study, 0, {}, 1), ErrorCode::kFailedPrecondition,
                      "the next is attempt 1"));
  Must(at.store->EndAttempt(at.study, 0, "MUMC left", 3000));
  EXPECT_TRUE(Refused(at.store->EndAttempt(at.study, 0, "", 4000), ErrorCode::kFailedPrecondition,
                      "1970-01-01 00:00:03 UTC"));
  EXPECT_TRUE(Refused(at.store->EndAttempt(at.study, 1, "", 4000), ErrorCode::kNotFound));
  EXPECT_TRUE(Refused(at.store->BeginAttempt(at.study, 2, {}, 1), ErrorCode::kFailedPrecondition));
  EXPECT_TRUE(Refused(at.store->BeginAttempt(Sha256("x"), 0, {}, 1), ErrorCode::kNotFound));
  Must(at.store->BeginAttempt(at.study, 1, Bytes{8, 9}, 5000));
  at.Reopen();
  EXPECT_EQ(Must(at.store->FindStudy(at.study)).status.attempt, 1U);
  const auto attempts = Must(at.store->ListAttempts(at.study));
  ASSERT_EQ(attempts.size(), 2U);
  EXPECT_EQ(attempts[0].roster, Bytes{7});
  EXPECT_EQ(attempts[0].why, "MUMC left");
  EXPECT_EQ(attempts[0].began_ms, 2000);
  EXPECT_EQ(attempts[0].ended_ms, 3000);
  EXPECT_EQ(attempts[1].attempt, 1U);
  EXPECT_EQ(attempts[1].roster, (Bytes{8, 9}));
  EXPECT_EQ(attempts[1].ended_ms, std::nullopt);
}

TEST(StoreArtifacts, AreReplacedAsAWholeSet) {
  StoreWithStudy at;
  const Bytes report = RandomBytes(300000, 2);
  Must(at.store->SetArtifacts(at.study, {{"report.json", report}, {"auc.csv", Bytes{}}}));
  at.Reopen();
  EXPECT_EQ(Must(at.store->ReadArtifact(at.study, "report.json")), report);
  EXPECT_TRUE(Must(at.store->ReadArtifact(at.study, "auc.csv")).empty());
  const auto files = Must(at.store->ListArtifacts(at.study));
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].file_name, "auc.csv");
  EXPECT_EQ(files[1].bytes, 300000U);
  EXPECT_EQ(files[1].digest, Sha256(report));
  Must(at.store->SetArtifacts(at.study, {{"report.html", Bytes{1}}}));
  EXPECT_TRUE(Refused(at.store->ReadArtifact(at.study, "report.json"), ErrorCode::kNotFound,
                      "report.json"));
  EXPECT_EQ(Must(at.store->ListArtifacts(at.study)).size(), 1U);
  Must(at.store->SetArtifacts(at.study, {}));
  EXPECT_TRUE(Must(at.store->ListArtifacts(at.study)).empty());
  EXPECT_TRUE(Refused(at.store->SetArtifacts(Sha256("x"), {}), ErrorCode::kNotFound));
}

TEST(StoreArtifacts, HaveNamesWithoutFolders) {
  StoreWithStudy at;
  Must(at.store->SetArtifacts(at.study, {{"report.html", Bytes{1}}}));
  for (const char* name : {"../x", "/etc/passwd", "a/b", "a\\b", ".", ".."}) {
    EXPECT_TRUE(Refused(at.store->SetArtifacts(at.study, {{"a.csv", {}}, {name, {}}}),
                        ErrorCode::kInvalidArgument, name));
  }
  EXPECT_EQ(Must(at.store->ListArtifacts(at.study)).at(0).file_name, "report.html");
}

TEST(StoreLedgerHeads, OnlyGrowAndKeepTheirHistory) {
  StoreWithStudy at;
  const LedgerHead first{"MUMC", 10, Sha256("h10"), RandomBytes(64, 3), 1000};
  const LedgerHead second{"MUMC", 12, Sha256("h12"), RandomBytes(64, 4), 2000};
  EXPECT_EQ(Must(at.store->FindLedgerHead("MUMC")), std::nullopt);
  Must(at.store->AddLedgerHead(first));
  Must(at.store->AddLedgerHead(second));
  Must(at.store->AddLedgerHead(second));
  at.Reopen();
  LedgerHead shorter = first;
  shorter.count = 11;
  EXPECT_TRUE(
      Refused(at.store->AddLedgerHead(shorter), ErrorCode::kFailedPrecondition, "found 11"));
  LedgerHead other = second;
  other.hash = Sha256("another");
  EXPECT_TRUE(
      Refused(at.store->AddLedgerHead(other), ErrorCode::kFailedPrecondition, Hex(second.hash)));
  LedgerHead huge = second;
  huge.count = std::uint64_t{1} << 63;
  EXPECT_TRUE(Refused(at.store->AddLedgerHead(huge), ErrorCode::kOutOfRange));
  const auto newest = Must(at.store->FindLedgerHead("MUMC"));
  ASSERT_TRUE(newest.has_value());
  EXPECT_EQ(newest->count, 12U);
  EXPECT_EQ(newest->hash, second.hash);
  EXPECT_EQ(newest->signature, second.signature);
  EXPECT_EQ(newest->received_ms, 2000);
  const auto heads = Must(at.store->ListLedgerHeads("MUMC"));
  ASSERT_EQ(heads.size(), 2U);
  EXPECT_EQ(heads[0].hash, first.hash);
  EXPECT_TRUE(Must(at.store->ListLedgerHeads("Basel")).empty());
}

TEST(StoreEvents, AreNumberedWithoutGapsEvenWhenAChangeIsUndone) {
  StoreWithStudy at;
  EXPECT_EQ(Must(at.store->AddEvent(10, "coordinator", "store.created", "")), 1U);
  const auto undone = at.store->Atomically([&]() -> Result<void> {
    EXPECT_EQ(Must(at.store->AddEvent(20, "lead", "study.submitted", "")), 2U);
    return Fail(ErrorCode::kPermissionDenied, "no");
  });
  EXPECT_TRUE(Refused(undone, ErrorCode::kPermissionDenied, "no"));
  at.Reopen();
  EXPECT_EQ(Must(at.store->AddEvent(30, "lead", "study.cancelled", "by mistake")), 2U);
  EXPECT_EQ(Must(at.store->AddEvent(30, "lead", "key.shown", "")), 3U);
  const auto two = Must(at.store->ListEvents(0, 2));
  ASSERT_EQ(two.size(), 2U);
  EXPECT_EQ(two[1].sequence, 2U);
  EXPECT_EQ(two[1].unix_ms, 30);
  EXPECT_EQ(two[1].who, "lead");
  EXPECT_EQ(two[1].what, "study.cancelled");
  EXPECT_EQ(two[1].detail, "by mistake");
  EXPECT_EQ(Must(at.store->ListEvents(3, ~std::uint64_t{0})).size(), 1U);
  EXPECT_TRUE(Must(at.store->ListEvents(4, 10)).empty());
  EXPECT_TRUE(Must(at.store->ListEvents(0, 0)).empty());
}

TEST(StoreTransactions, AreAllOrNothing) {
  StoreWithStudy at;
  Must(at.store->AddToken(TokenOf("s1", 1000, 9000)));
  const auto enroll = [&](const std::string& serial) {
    return at.store->Atomically([&]() -> Result<void> {
      const auto invitation = at.store->RedeemToken(Sha256("s1"), 2000);
      if (!invitation) return tl::unexpected(invitation.error());
      CONSILIUM_TRY(at.store->Enroll(SiteOf(invitation->name, serial), false, 2000));
      CONSILIUM_TRY(at.store->AddEvent(2000, invitation->name, "member.enrolled", ""));
      return {};
    });
  };
  EXPECT_TRUE(Refused(enroll(""), ErrorCode::kInvalidArgument, "serial"));
  EXPECT_EQ(Must(at.store->ListTokens()).at(0).used_ms, std::nullopt)
      << "the token is not lost with the enrollment that failed";
  Must(enroll("a1"));
  at.Reopen();
  EXPECT_EQ(Must(at.store->ListTokens()).at(0).used_ms, 2000);
  EXPECT_EQ(Must(at.store->ListMembers()).size(), 1U);
}

TEST(StoreTransactions, InnerOnesAreUndoneAlone) {
  StoreWithStudy at;
  Must(at.store->Atomically([&]() -> Result<void> {
    CONSILIUM_TRY(at.store->SetMeta("outer", "1"));
    const auto inner = at.store->Atomically([&]() -> Result<void> {
      CONSILIUM_TRY(at.store->SetMeta("inner", "1"));
      CONSILIUM_TRY(at.store->SetMeta("outer", "2"));
      return Fail(ErrorCode::kOutOfRange, "inner");
    });
    EXPECT_TRUE(Refused(inner, ErrorCode::kOutOfRange, "inner"));
    return at.store->SetMeta("after", "1");
  }));
  at.Reopen();
  EXPECT_EQ(Must(at.store->ListMeta()),
            (std::map<std::string, std::string>{{"after", "1"}, {"outer", "1"}}));
}

// A change is one of four kinds of writing, or the undoing of the rest; a map says what must be
// there.
TEST(StoreTransactions, LeaveWhatAMapWouldHold) {
  rc::check("meta equals a map under nested, undone and reopened changes", [] {
    StoreWithStudy at;
    std::map<std::string, std::string> expected;
    const auto count = *rc::gen::inRange(1, 12);
    for (int i = 0; i < count; ++i) {
      const auto writes = *rc::gen::container<std::vector<std::pair<int, int>>>(
          rc::gen::pair(rc::gen::inRange(0, 4), rc::gen::inRange(0, 100)));
      const bool keep = *rc::gen::arbitrary<bool>();
      auto after = expected;
      const auto result = at.store->Atomically([&]() -> Result<void> {
        for (const auto& [key, value] : writes) {
          CONSILIUM_TRY(at.store->SetMeta("k" + std::to_string(key), std::to_string(value)));
          after["k" + std::to_string(key)] = std::to_string(value);
        }
        if (keep) return {};
        return Fail(ErrorCode::kInternal, "undo");
      });
      RC_ASSERT(result.has_value() == keep);
      if (keep) expected = after;
      if (*rc::gen::inRange(0, 4) == 0) at.Reopen();
      RC_ASSERT(Must(at.store->ListMeta()) == expected);
    }
  });
}

TEST(StoreWords, AreThoseOfTheSchema) {
  EXPECT_EQ(Name(MemberState::kRevoked), "revoked");
  EXPECT_EQ(Name(SerialStanding::kOld), "old");
  EXPECT_EQ(Name(StudyState::kCancelled), "cancelled");
  EXPECT_EQ(Name(SiteState::kWaiting), "waiting");
}

}  // namespace
}  // namespace consilium::coordinator
