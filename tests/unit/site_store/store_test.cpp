// The agent's folder: nothing lost by a crash, nothing believed that is damaged, nobody beside.
#include "site_agent/store.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "federation/wire/wire.h"
#include "site_agent/plan.h"
#include "tests/unit/site_store/site_fixture.h"

namespace consilium::site_agent {
namespace {

using testing::Folder;
using testing::Has;
using testing::InChild;
using testing::LogRecords;
using testing::Must;
using testing::Names;
using testing::Note;
using testing::Slurp;
using testing::Spill;
using testing::StudyOptions;
using testing::Submitted;
using testing::TlsKey;

constexpr std::int64_t kNow = 1'770'000'000'000;  // 2026-02-02 02:40 UTC
constexpr char kSite[] = "north";

// A folder that nobody has used; the store's own rights.
std::filesystem::path State(const Folder& folder) { return folder.path() / "state"; }

std::string AsText(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

Decision Rejected(std::string by = "jan") {
  Decision decision;
  decision.word = Decision::Word::kRejected;
  decision.by = std::move(by);
  decision.unix_ms = kNow;
  decision.reason = "no capacity";
  return decision;
}

Decision ApprovedBy(const study::Submission& submission, std::string by = "jan") {
  const auto study = Must(study::StudyOf(submission));
  PlanFacts facts;
  facts.site = kSite;
  Decision decision;
  decision.word = Decision::Word::kApproved;
  decision.by = std::move(by);
  decision.unix_ms = kNow;
  decision.approval = Must(ApprovalFor(submission, study, facts, {true, {}}, kNow));
  return decision;
}

// ---- the folder ---------------------------------------------------------------------------------

TEST(SiteStore, MakesItsFolderForItsUserAlone) {
  const Folder folder;
  const SiteStore store = Must(SiteStore::Open(State(folder)));
  struct stat about {};
  ASSERT_EQ(::stat(State(folder).c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0700U);
  EXPECT_EQ(store.RunningAgent(), ::getpid());
}

TEST(SiteStore, AFolderThatIsOpenToOthersIsRefusedWithTheChmod) {
  const Folder folder;
  std::filesystem::create_directory(State(folder));
  ASSERT_EQ(::chmod(State(folder).c_str(), 0750), 0);
  const auto store = SiteStore::Open(State(folder));
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(store.error().message,
            fmt::format("{0}: is open to others (mode 0750); run: chmod 0700 {0}",
                        State(folder).string()));
}

TEST(SiteStore, TwoAgentsNeverRunOnOneFolderButACommandWorksBeside) {
  const Folder folder;
  const SiteStore first = Must(SiteStore::Open(State(folder)));
  const int code = InChild([&] {
    const auto second = SiteStore::Open(State(folder));
    if (second) return 1;
    if (second.error().code != ErrorCode::kFailedPrecondition) return 2;
    if (!Has(second.error().message,
             fmt::format("another agent runs on this folder (process {})", ::getppid())))
      return 3;
    auto beside = SiteStore::OpenBeside(State(folder));
    if (!beside || beside->RunningAgent() != ::getppid()) return 4;
    const auto ledger = beside->OpenLedger(kSite);
    if (ledger || ledger.error().code != ErrorCode::kFailedPrecondition) return 5;
    if (beside->AddStudy(Submitted(), kNow) || beside->LoadOrCreateKeys(TlsKey())) return 6;
    return 0;
  });
  EXPECT_EQ(code, 0);
}

TEST(SiteStore, BesideNobodyNeedsAFolderThatIsThere) {
  const Folder folder;
  const auto store = SiteStore::OpenBeside(State(folder));
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(Has(store.error().message, "consilium-site enroll"));
  EXPECT_FALSE(std::filesystem::exists(State(folder)));
}

// ---- keys and enrolment -------------------------------------------------------------------------

TEST(SiteStoreKeys, AreMadeOnceAndStayTheSame) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  EXPECT_EQ(store.LoadKeys().error().code, ErrorCode::kNotFound);
  const StoredKeys made = Must(store.LoadOrCreateKeys(TlsKey("first")));
  int asked = 0;
  const StoredKeys again = Must(store.LoadOrCreateKeys([&]() -> Result<std::string> {
    ++asked;
    return std::string("second");
  }));
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(again.public_keys(), made.public_keys());
  EXPECT_EQ(again.secret, made.secret);
  EXPECT_EQ(made.secret.size(), 32U);
  EXPECT_EQ(again.tls_key_pem, "first");
  EXPECT_EQ(made.Identity("north").public_keys(), made.public_keys());
  EXPECT_EQ(made.Identity("north").secret, made.secret);

  Must(store.SaveTlsKey("locked with a passphrase"));
  const StoredKeys locked = Must(store.LoadKeys());
  EXPECT_EQ(locked.tls_key_pem, "locked with a passphrase");
  EXPECT_EQ(locked.public_keys(), made.public_keys());
  EXPECT_EQ(locked.secret, made.secret);
}

TEST(SiteStoreKeys, OfTwoSitesDiffer) {
  const Folder one, other;
  auto first = Must(SiteStore::Open(State(one))), second = Must(SiteStore::Open(State(other)));
  const StoredKeys a = Must(first.LoadOrCreateKeys(TlsKey())),
                   b = Must(second.LoadOrCreateKeys(TlsKey()));
  EXPECT_NE(a.secret, b.secret);
  EXPECT_NE(a.public_keys(), b.public_keys());
}

TEST(SiteStoreKeys, NoneIsKeptWhenTheTlsKeyCannotBeMade) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const auto keys = store.LoadOrCreateKeys(
      []() -> Result<std::string> { return Fail(ErrorCode::kUnavailable, "no entropy"); });
  ASSERT_FALSE(keys.has_value());
  EXPECT_EQ(keys.error().message, "no entropy");
  EXPECT_EQ(store.LoadKeys().error().code, ErrorCode::kNotFound);
}

TEST(SiteStoreKeys, AreNotMadeAnewForALedgerThatOldOnesBegan) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  Must(store.LoadOrCreateKeys(TlsKey()));
  {
    auto ledger = Must(store.OpenLedger(kSite));
    Must(ledger->ledger().Append(Note("one")));
    Must(ledger->Sync());
  }
  std::filesystem::remove(State(folder) / "keys.json");
  const auto keys = store.LoadOrCreateKeys(TlsKey());
  ASSERT_FALSE(keys.has_value());
  EXPECT_EQ(keys.error().code, ErrorCode::kDataLoss);
  EXPECT_TRUE(Has(keys.error().message, "restore keys.json from a copy"));
}

TEST(SiteStoreKeys, AndEnrolmentAreRefusedWhileOthersCanReadThem) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  Must(store.LoadOrCreateKeys(TlsKey()));
  StoredEnrolment enrolment{kSite,       "certificate",
                            "authority", "coordinator.example:8443",
                            "hub",       testing::KeysOf("hub").signing.verifying_key(),
                            kNow};
  Must(store.SaveEnrolment(enrolment));
  EXPECT_EQ(Must(store.LoadEnrolment()), enrolment);
  enrolment.certificate_pem = "renewed";
  Must(store.SaveEnrolment(enrolment));
  EXPECT_EQ(Must(store.LoadEnrolment()).certificate_pem, "renewed");
  for (const char* name : {"keys.json", "enrolment.json"}) {
    const auto path = State(folder) / name;
    ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
    const Error error = std::string_view(name) == "keys.json" ? store.LoadKeys().error()
                                                              : store.LoadEnrolment().error();
    EXPECT_EQ(error.code, ErrorCode::kPermissionDenied);
    EXPECT_TRUE(Has(error.message, "chmod 0600 " + path.string()));
  }
}

TEST(SiteStoreKeys, AnEnrolmentWithoutAnOperatorDeclaresNone) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  StoredEnrolment enrolment{kSite,       "certificate",
                            "authority", "coordinator.example:8443",
                            "hub",       testing::KeysOf("hub").signing.verifying_key(),
                            kNow,        "anna"};
  Must(store.SaveEnrolment(enrolment));
  EXPECT_EQ(Must(store.LoadEnrolment()), enrolment);
  EXPECT_EQ(enrolment.CoordinatorText(), "hub (operated by anna)");
  // As it was written before there was the field.
  const auto path = State(folder) / "enrolment.json";
  auto json = nlohmann::ordered_json::parse(Slurp(path));
  json.erase("operated_by");
  json["coordinator"] = "hub (operated by anna)";
  Spill(path, json.dump());
  EXPECT_EQ(Must(store.LoadEnrolment()).operated_by, "");
  json["operated_by"] = 7;
  Spill(path, json.dump());
  EXPECT_EQ(store.LoadEnrolment().error().code, ErrorCode::kDataLoss);
}

TEST(SiteStoreKeys, ThatAreDamagedAreNamedAndNeverReplaced) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const StoredKeys made = Must(store.LoadOrCreateKeys(TlsKey()));
  const auto path = State(folder) / "keys.json";
  const std::string whole = Slurp(path);
  auto json = nlohmann::json::parse(whole);
  json["secret"] = "12";
  const std::string secret = made.secret.empty() ? "" : Hex(made.secret);
  for (const std::string& text :
       {std::string(), std::string("{}"), whole.substr(0, whole.size() / 2), json.dump(),
        std::string("[1]")}) {
    Spill(path, text);
    const auto keys = store.LoadOrCreateKeys(TlsKey());
    ASSERT_FALSE(keys.has_value()) << text.size();
    EXPECT_EQ(keys.error().code, ErrorCode::kDataLoss);
    EXPECT_TRUE(Has(keys.error().message, path.string()));
    EXPECT_EQ(keys.error().message.find(secret), std::string::npos);
    EXPECT_EQ(Slurp(path), text);
  }
  json["format"] = 2;
  Spill(path, json.dump());
  EXPECT_EQ(store.LoadKeys().error().code, ErrorCode::kFailedPrecondition);
}

// ---- the ledger ---------------------------------------------------------------------------------

TEST(SiteStoreLedger, HoldsEverySyncedRecordAfterAReopening) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  LedgerHead head;
  {
    auto ledger = Must(store.OpenLedger(kSite));
    for (int i = 0; i < 5; ++i) Must(ledger->ledger().Append(Note(fmt::format("record {}", i))));
    EXPECT_GT(ledger->unsynced_bytes(), 0U);
    EXPECT_EQ(Slurp(State(folder) / "ledger.bin"), "");  // one flush for all of them
    const LedgerSynced synced = Must(ledger->Sync());
    EXPECT_EQ(synced.head(), ledger->ledger().head());
    EXPECT_EQ(ledger->unsynced_bytes(), 0U);
    Must(ledger->ledger().Append(Note("never synced")));
    EXPECT_NE(synced.head(), ledger->ledger().head());  // an answer of now may not leave with it
    head = synced.head();
  }
  const auto ledger = Must(store.OpenLedger(kSite));
  EXPECT_EQ(ledger->ledger().head(), head);
  EXPECT_EQ(ledger->note(), "");
  EXPECT_EQ(ledger->ledger().last().sentence, "record 4");
  EXPECT_EQ(Must(store.ReadLedger(kSite))->ledger().head(), head);
  EXPECT_EQ(ledger->ledger().head().count, 5U);
}

TEST(SiteStoreLedger, ATornLastRecordIsCutOffAtEveryByteAndSaid) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const auto path = State(folder) / "ledger.bin";
  LedgerHead before;
  {
    auto ledger = Must(store.OpenLedger(kSite));
    Must(ledger->ledger().Append(Note("one")));
    Must(ledger->ledger().Append(Note("two")));
    before = Must(ledger->Sync()).head();
    Must(ledger->ledger().Append(Note("three, the last")));
    Must(ledger->Sync());
  }
  const std::string whole = Slurp(path);
  const std::size_t last = EncodeRecord(Must(store.ReadLedger(kSite))->ledger().last()).size(),
                    begin = whole.size() - last;
  for (std::size_t kept = 1; kept < last; ++kept) {
    Spill(path, whole.substr(0, begin + kept));
    const auto read = Must(store.ReadLedger(kSite));
    ASSERT_EQ(read->ledger().head(), before) << kept;
    ASSERT_EQ(read->torn_bytes(), kept);
    const auto ledger = Must(store.OpenLedger(kSite));
    ASSERT_EQ(ledger->ledger().head(), before) << kept;
    ASSERT_TRUE(Has(ledger->note(), fmt::format("record 2 was not finished, as a crash or a full "
                                                "disk leaves it; its {} bytes were moved",
                                                kept)));
    ASSERT_EQ(Slurp(path), whole.substr(0, begin));
    ASSERT_EQ(Slurp(State(folder) / "ledger.torn"), whole.substr(begin, kept));
  }
  // What was cut off is written again, and the chain goes on as if it had never been.
  auto ledger = Must(store.OpenLedger(kSite));
  Must(ledger->ledger().Append(Note("three, the last")));
  Must(ledger->Sync());
  EXPECT_EQ(Slurp(path), whole);
}

TEST(SiteStoreLedger, EveryDamagedByteBeforeTheLastRecordIsDataLoss) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const auto path = State(folder) / "ledger.bin";
  {
    auto ledger = Must(store.OpenLedger(kSite));
    for (const char* text : {"one", "two", "three"}) Must(ledger->ledger().Append(Note(text)));
    Must(ledger->Sync());
  }
  const std::string whole = Slurp(path);
  const auto records = Must(store.ReadLedger(kSite))->ledger().records();
  const std::size_t last = EncodeRecord(records.back()).size();
  for (std::size_t at = 0; at < whole.size() - last; ++at) {
    for (const int flip : {0x01, 0x80}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      Spill(path, damaged);
      const auto ledger = store.OpenLedger(kSite);
      ASSERT_FALSE(ledger.has_value()) << "byte " << at;
      ASSERT_EQ(ledger.error().code, ErrorCode::kDataLoss) << ledger.error().message;
      ASSERT_EQ(Slurp(path), damaged);  // evidence is not cut off
      ASSERT_EQ(store.ReadLedger(kSite).error().code, ErrorCode::kDataLoss);
    }
  }
  Spill(path, whole.substr(EncodeRecord(records.front()).size()));  // the first one taken out
  EXPECT_EQ(store.OpenLedger(kSite).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(store.OpenLedger("south").error().code, ErrorCode::kDataLoss);  // another site's
}

CountersignedHead Countersign(const LedgerHead& head, const std::string& by) {
  return {head, testing::KeysOf(by).signing.Sign(wire::HeadBytes(kSite, head.count, head.hash)),
          kNow};
}

TEST(SiteStoreLedger, MustReachTheHeadThatTheCoordinatorCountersigned) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  Must(store.LoadOrCreateKeys(TlsKey()));
  const auto path = State(folder) / "ledger.bin";
  std::string after_two;
  {
    auto ledger = Must(store.OpenLedger(kSite));
    for (const char* text : {"one", "two"}) Must(ledger->ledger().Append(Note(text)));
    const LedgerSynced two = Must(ledger->Sync());
    after_two = Slurp(path);
    EXPECT_FALSE(Must(store.LoadHead()).has_value());
    Must(ledger->ledger().Append(Note("three")));
    const LedgerSynced three = Must(ledger->Sync());
    Must(store.SaveHead(Countersign(three.head(), "hub")));
    Must(store.SaveHead(Countersign(two.head(), "hub")));  // late: the newer one stays
    EXPECT_EQ(Must(store.LoadHead())->head, three.head());
  }
  EXPECT_TRUE(store.OpenLedger(kSite).has_value());
  Spill(path, after_two);  // a chain that holds, without its end
  const auto cut = store.OpenLedger(kSite);
  ASSERT_FALSE(cut.has_value());
  EXPECT_EQ(cut.error().code, ErrorCode::kDataLoss);
  EXPECT_TRUE(Has(cut.error().message, "3 records are known to exist, found 2"));
  Spill(path, after_two + "torn");  // a torn end does not excuse it, and is not cut off then
  EXPECT_EQ(store.OpenLedger(kSite).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(Slurp(path), after_two + "torn");
}

TEST(SiteStoreLedger, IsVerifiedAgainstTheCoordinatorsSignature) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  Must(store.LoadOrCreateKeys(TlsKey()));
  Must(store.SaveEnrolment({kSite, "c", "a", "hub.example:1", "hub",
                            testing::KeysOf("hub").signing.verifying_key(), kNow}));
  auto ledger = Must(store.OpenLedger(kSite));
  EXPECT_FALSE(Must(store.VerifyLedgerFile(kSite)).countersigned.has_value());
  Must(ledger->ledger().Append(Note("one")));
  const LedgerSynced one = Must(ledger->Sync());
  Must(store.SaveHead(Countersign(one.head(), "hub")));
  Must(ledger->ledger().Append(Note("two")));
  Must(ledger->Sync());
  const LedgerVerdict verdict = Must(store.VerifyLedgerFile(kSite));
  EXPECT_EQ(verdict.head, ledger->ledger().head());
  ASSERT_TRUE(verdict.countersigned.has_value());
  EXPECT_EQ(verdict.countersigned->head, one.head());
  EXPECT_EQ(verdict.coordinator, "hub");

  Must(store.SaveHead(Countersign(ledger->ledger().head(), "stranger")));
  const auto forged = store.VerifyLedgerFile(kSite);
  ASSERT_FALSE(forged.has_value());
  EXPECT_EQ(forged.error().code, ErrorCode::kPermissionDenied);
  EXPECT_TRUE(Has(forged.error().message, "not countersigned by the coordinator 'hub'"));
}

TEST(SiteStoreLedger, AFullDiskStopsTheSyncAndLosesNothing) {
  const Folder folder;
  Must(SiteStore::Open(State(folder)));
  const int code = InChild([&] {
    auto store = Must(SiteStore::Open(State(folder)));
    auto ledger = Must(store.OpenLedger(kSite));
    Must(ledger->ledger().Append(Note("one")));
    Must(ledger->Sync());
    const std::string before = Slurp(State(folder) / "ledger.bin");
    rlimit limit{before.size() + 100, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    for (const char* text : {"two", "three"}) Must(ledger->ledger().Append(Note(text)));
    for (int i = 0; i < 3; ++i) {
      const auto full = ledger->Sync();
      if (full || full.error().code != ErrorCode::kResourceExhausted) return 1;
      if (!Has(full.error().message, "ledger.bin")) return 2;
      if (Slurp(State(folder) / "ledger.bin") != before) return 3;
    }
    limit.rlim_cur = RLIM_INFINITY;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto synced = ledger->Sync();
    return synced && synced->head().count == 3 ? 0 : 4;
  });
  EXPECT_EQ(code, 0);
  auto store = Must(SiteStore::Open(State(folder)));
  EXPECT_EQ(Must(store.ReadLedger(kSite))->ledger().head().count, 3U);
}

TEST(SiteStoreLedger, KilledAtAnyMomentKeepsEveryRecordThatASyncAcknowledged) {
  Rng rng(6, "ledger and kill");
  const Folder folder;
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 50; ++round) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      auto store = SiteStore::Open(State(folder));
      if (!store) ::_exit(2);
      auto ledger = store->OpenLedger(kSite);
      if (!ledger) ::_exit(3);
      for (;;) {  // rounds of one to seven records, of all sizes
        const std::uint64_t count = (*ledger)->ledger().head().count;
        for (std::uint64_t i = 0; i <= count % 7; ++i) {
          if (!(*ledger)->ledger().Append(Note(std::string((count * 37 + i) % 1500, 'x'))))
            ::_exit(4);
        }
        const auto synced = (*ledger)->Sync();
        if (!synced) ::_exit(5);
        const std::uint64_t held = synced->head().count;
        if (::write(ends[1], &held, sizeof held) != sizeof held) ::_exit(6);
      }
    }
    ::close(ends[1]);
    const std::uint64_t wanted = rng.Below(6);
    for (std::uint64_t i = 0; i<wanted&& ::read(ends[0], &acknowledged, sizeof acknowledged)> 0;
         ++i) {
    }
    testing::Linger(rng.Below(1'000'000));
    ::kill(child, SIGKILL);
    while (::read(ends[0], &acknowledged, sizeof acknowledged) > 0) {
    }
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);
    auto store = Must(SiteStore::Open(State(folder)));
    const auto ledger = Must(store.OpenLedger(kSite));
    ASSERT_GE(ledger->ledger().head().count, acknowledged);
    ASSERT_LE(ledger->ledger().head().count, acknowledged + 7);
  }
  EXPECT_GT(acknowledged, 0U);
}

// ---- studies ------------------------------------------------------------------------------------

TEST(SiteStoreStudies, AStudyWaitsIsDecidedAndEnds) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const study::Submission submission = Submitted();
  const Digest digest = study::DigestOf(submission);
  EXPECT_TRUE(Must(store.ListStudies()).studies.empty());
  EXPECT_EQ(store.LoadStudy(digest).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(Must(store.AddStudy(submission, kNow)));
  EXPECT_FALSE(Must(store.AddStudy(submission, kNow + 1)));
  EXPECT_EQ(Must(store.LoadStudy(digest)).decision.word, Decision::Word::kWaiting);

  const Decision approved = ApprovedBy(submission);
  Must(store.Decide(digest, approved));
  EXPECT_FALSE(Must(store.AddStudy(submission, kNow + 2)));  // offered again: the decision stays
  const StoredStudy stored = Must(store.LoadStudy(digest));
  EXPECT_EQ(stored.submission, submission);
  EXPECT_EQ(stored.decision.word, Decision::Word::kApproved);
  EXPECT_EQ(stored.decision.by, "jan");
  EXPECT_EQ(stored.decision.unix_ms, kNow);
  ASSERT_TRUE(stored.decision.approval.has_value());
  EXPECT_EQ(stored.decision.approval->pinned, approved.approval->pinned);
  EXPECT_EQ(stored.decision.approval->columns, approved.approval->columns);
  EXPECT_EQ(stored.decision.approval->releases, approved.approval->releases);
  EXPECT_EQ(stored.decision.approval->unix_ms, kNow);

  Must(store.EndStudy(digest, {"finished", "the report is there", kNow + 5}));
  Must(store.EndStudy(digest, {"failed", "said twice", kNow + 6}));
  EXPECT_EQ(Must(store.LoadStudy(digest)).ended,
            (StudyEnd{"finished", "the report is there", kNow + 5}));
  const auto late = store.Decide(digest, Rejected());
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, ErrorCode::kFailedPrecondition);
}

TEST(SiteStoreStudies, EveryFieldOfAnApprovalSurvives) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const study::Submission submission = Submitted();
  const Digest digest = study::DigestOf(submission);
  Must(store.AddStudy(submission, kNow));
  for (int bit = 0; bit < 4; ++bit) {
    Decision decision = ApprovedBy(submission);
    decision.approval->public_data = bit == 0;
    decision.approval->fast_curvature = bit == 1;
    decision.approval->restart_without = bit == 2;
    decision.approval->leave_one_center_out = bit == 3;
    Must(store.Decide(digest, decision));
    const Decision read = Must(store.LoadDecision(digest));
    EXPECT_EQ(read.approval->public_data, bit == 0);
    EXPECT_EQ(read.approval->fast_curvature, bit == 1);
    EXPECT_EQ(read.approval->restart_without, bit == 2);
    EXPECT_EQ(read.approval->leave_one_center_out, bit == 3);
    Must(store.Decide(digest, Rejected()));
  }
}

TEST(SiteStoreStudies, EveryDecisionStandsInTheApprovalLogInOrder) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const study::Submission submission = Submitted();
  const Digest digest = study::DigestOf(submission);
  Must(store.AddStudy(submission, kNow));
  auto person = Must(SiteStore::OpenBeside(State(folder)));
  Must(person.Decide(digest, Rejected("eve\n{\"word\":\"approved\"}")));
  const auto path = State(folder) / "approvals.jsonl";
  Spill(path, Slurp(path) + "{\"half a li");  // a person's command was killed here
  Must(person.Decide(digest, ApprovedBy(submission, "policy")));
  const auto again = store.Decide(digest, ApprovedBy(submission));
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  EXPECT_TRUE(Has(again.error().message, "approved by policy on 2026-02-02 02:40 UTC"));
  const auto raced = store.Decide(digest, Rejected(), Decision::Word::kWaiting);
  ASSERT_FALSE(raced.has_value());
  EXPECT_EQ(raced.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Has(raced.error().message, "it was approved by policy"));

  std::vector<std::string> lines;
  const std::string text = Slurp(path);
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    lines.push_back(text.substr(at, text.find('\n', at) - at));
  ASSERT_EQ(lines.size(), 2U) << text;
  const auto first = nlohmann::json::parse(lines[0]), second = nlohmann::json::parse(lines[1]);
  EXPECT_EQ(first["word"], "rejected");
  EXPECT_EQ(first["by"], "eve?{\"word\":\"approved\"}");
  EXPECT_EQ(first["reason"], "no capacity");
  EXPECT_EQ(second["word"], "approved");
  EXPECT_EQ(second["study"], Hex(digest));
  EXPECT_EQ(second["name"], "relapse");
  EXPECT_EQ(second["lead_key"], Hex(testing::LeadFingerprint()));
  EXPECT_EQ(second["approval"]["pinned"].size(), 4U);
}

TEST(SiteStoreStudies, ADamagedStudyIsNamedAndTheOthersStay) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  StudyOptions options;
  std::vector<Digest> digests;
  for (const char* name : {"a", "b", "c"}) {
    options.name = name;
    const auto submission = Submitted(options);
    Must(store.AddStudy(submission, kNow));
    digests.push_back(study::DigestOf(submission));
  }
  const auto studies = State(folder) / "studies";
  const auto submission_path = studies / Hex(digests[0]) / "submission.bin";
  std::string bytes = Slurp(submission_path);
  bytes[bytes.size() / 2] ^= 1;
  Spill(submission_path, bytes);
  Spill(studies / Hex(digests[1]) / "decision.json", "{\"format\":1,\"word\":\"approved\"}");
  std::filesystem::create_directory(studies / "not a study");
  std::filesystem::create_directory(studies /
                                    Hex(Sha256("offered, and killed before it was kept")));
  const SiteStore::StudyList list = Must(store.ListStudies());
  ASSERT_EQ(list.studies.size(), 1U);
  EXPECT_EQ(list.studies[0].digest, digests[2]);
  ASSERT_EQ(list.problems.size(), 3U);
  std::string problems;
  for (const std::string& problem : list.problems) problems += problem + "\n";
  EXPECT_TRUE(Has(problems, submission_path.string()));
  EXPECT_TRUE(Has(problems, "decision.json: is damaged: field 'by' is missing or wrong"));
  EXPECT_TRUE(Has(problems, "is no study; move it away"));
}

TEST(SiteStoreStudies, AFullDiskAddsNoStudyAndAddsItLater) {
  const Folder folder;
  Must(SiteStore::Open(State(folder)));
  const study::Submission submission = Submitted();
  const int code = InChild([&] {
    auto store = Must(SiteStore::Open(State(folder)));
    rlimit limit{500, RLIM_INFINITY};  // enough for the decision, not for the submission
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto added = store.AddStudy(submission, kNow);
    if (added || added.error().code != ErrorCode::kResourceExhausted) return 1;
    const auto list = store.ListStudies();
    if (!list || !list->studies.empty() || !list->problems.empty()) return 2;
    limit.rlim_cur = RLIM_INFINITY;
    ::setrlimit(RLIMIT_FSIZE, &limit);
    return store.AddStudy(submission, kNow).has_value() ? 0 : 3;
  });
  EXPECT_EQ(code, 0);
  auto store = Must(SiteStore::Open(State(folder)));
  EXPECT_EQ(Must(store.ListStudies()).studies.size(), 1U);
}

// ---- logs ---------------------------------------------------------------------------------------

TEST(SiteStoreLogs, GrowByWholeRecordsAndAreReadBack) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const study::Submission submission = Submitted();
  const Digest digest = study::DigestOf(submission);
  EXPECT_EQ(store.OpenLog(digest, 0).error().code, ErrorCode::kNotFound);
  Must(store.AddStudy(submission, kNow));
  EXPECT_EQ(Must(store.ReadLog(digest, 0)).records, 0U);
  const std::vector<Bytes> records = LogRecords(3);
  {
    auto log = Must(store.OpenLog(digest, 0));
    Must(log->Append(records[0]));
    Must(log->Append(records[1]));
    EXPECT_EQ(log->records(), 2U);
    const auto half = log->Append(std::span(records[2]).first(20));
    ASSERT_FALSE(half.has_value());
    EXPECT_EQ(half.error().code, ErrorCode::kInvalidArgument);
    EXPECT_FALSE(log->Append({}).has_value());
  }
  auto log = Must(store.OpenLog(digest, 0));
  EXPECT_EQ(log->records(), 2U);
  Must(log->Append(records[2]));
  Must(Must(store.OpenLog(digest, 2))->Append(records[0]));
  EXPECT_EQ(Must(store.LoadStudy(digest)).attempts, (std::vector<std::uint32_t>{0, 2}));
  const StoredLog read = Must(store.ReadLog(digest, 0));
  EXPECT_EQ(read.records, 3U);
  EXPECT_EQ(read.torn_bytes, 0U);
  federation::LogReader reader(read.bytes);
  EXPECT_EQ(Must(reader.Header()).engine_version, "test");
  EXPECT_EQ(Must(reader.Next()).binding.round, 0U);
  EXPECT_EQ(Must(reader.Next()).binding.round, 1U);
  EXPECT_TRUE(reader.AtEnd());
}

TEST(SiteStoreLogs, ATornLastRecordIsCutOffAtEveryByte) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const study::Submission submission = Submitted();
  const Digest digest = study::DigestOf(submission);
  Must(store.AddStudy(submission, kNow));
  const std::vector<Bytes> records = LogRecords(2);
  const auto path = State(folder) / "studies" / Hex(digest) / "log-0.bin";
  const std::string before = AsText(records[0]) + AsText(records[1]), last = AsText(records[2]);
  for (std::size_t kept = 1; kept < last.size(); ++kept) {
    Spill(path, before + last.substr(0, kept));
    const StoredLog read = Must(store.ReadLog(digest, 0));
    ASSERT_EQ(read.records, 2U) << kept;
    ASSERT_EQ(read.torn_bytes, kept);
    ASSERT_EQ(AsText(read.bytes), before);
    auto log = Must(store.OpenLog(digest, 0));
    ASSERT_EQ(Slurp(path), before);
    Must(log->Append(records[2]));
    ASSERT_EQ(Slurp(path), before + last);
  }
}

TEST(SiteStoreLogs, EveryDamagedByteBeforeTheLastRecordIsDataLoss) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const study::Submission submission = Submitted();
  const Digest digest = study::DigestOf(submission);
  Must(store.AddStudy(submission, kNow));
  const std::vector<Bytes> records = LogRecords(2);
  std::string whole;
  for (const Bytes& record : records) whole += AsText(record);
  const auto path = State(folder) / "studies" / Hex(digest) / "log-0.bin";
  Spill(path, whole);
  ASSERT_EQ(Must(store.ReadLog(digest, 0)).records, 3U);
  for (std::size_t at = 0; at < whole.size() - records.back().size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
    Spill(path, damaged);
    const auto read = store.ReadLog(digest, 0);
    ASSERT_FALSE(read.has_value()) << at;
    ASSERT_EQ(read.error().code, ErrorCode::kDataLoss);
    ASSERT_TRUE(Has(read.error().message, path.string()));
    ASSERT_TRUE(Has(read.error().message, "is damaged, and a whole record stands behind it"));
  }
}

TEST(SiteStoreLogs, AreHandedOverRecordByRecord) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const study::Submission submission = Submitted();
  const Digest digest = study::DigestOf(submission);
  Must(store.AddStudy(submission, kNow));
  const auto refuse = [](std::span<const std::uint8_t>) -> Result<void> {
    return Fail(ErrorCode::kInternal, "there is nothing to take");
  };
  EXPECT_EQ(Must(store.ScanLog(digest, 0, refuse)).records, 0U);
  const std::vector<Bytes> records = LogRecords(4);
  std::string whole;
  for (const Bytes& record : records) whole += AsText(record);
  const auto path = State(folder) / "studies" / Hex(digest) / "log-0.bin";
  Spill(path, whole + "torn");
  std::vector<Bytes> taken;
  const LogExtent extent =
      Must(store.ScanLog(digest, 0, [&](std::span<const std::uint8_t> record) -> Result<void> {
        taken.emplace_back(record.begin(), record.end());
        return {};
      }));
  EXPECT_EQ(taken, records);
  EXPECT_EQ(extent.records, 5U);
  EXPECT_EQ(extent.bytes, whole.size());
  EXPECT_EQ(extent.torn_bytes, 4U);
  EXPECT_EQ(Must(store.ScanLog(digest, 0, nullptr)).records, 5U);
  // What the taker says ends it.
  int seen = 0;
  const auto ended = store.ScanLog(digest, 0, [&](std::span<const std::uint8_t>) -> Result<void> {
    if (++seen < 3) return {};
    return Fail(ErrorCode::kPermissionDenied, "not this one");
  });
  ASSERT_FALSE(ended.has_value());
  EXPECT_EQ(ended.error().message, "not this one");
  EXPECT_EQ(seen, 3);
}

// A long log costs no more memory than its longest record: here 64 of 1 MiB each.
TEST(SiteStoreLogs, OfAnyLengthTakeTheMemoryOfOneRecord) {
  const Folder folder;
  auto store = Must(SiteStore::Open(State(folder)));
  const study::Submission submission = Submitted();
  const Digest digest = study::DigestOf(submission);
  Must(store.AddStudy(submission, kNow));
  const auto path = State(folder) / "studies" / Hex(digest) / "log-0.bin";
  {
    std::ofstream file(path, std::ios::binary);
    federation::LogEntry entry;
    entry.total = Bytes(1 << 20, 7);
    for (int i = 0; i < 64; ++i) file << AsText(federation::EncodeRecord(entry));
  }
  const auto peak_kib = [] {
    const std::string status = Slurp("/proc/self/status");
    return std::stol(status.substr(status.find("VmHWM:") + 6));
  };
  EXPECT_EQ(InChild([&] {
              const long before = peak_kib();
              const auto scanned = store.ScanLog(
                  digest, 0, [](std::span<const std::uint8_t>) { return Result<void>(); });
              if (!scanned || scanned->records != 64) return 1;
              return peak_kib() - before < 8 << 10 ? 0 : 2;
            }),
            0);
}

TEST(UtcText, IsTheCalendarsAlsoBefore1970) {
  EXPECT_EQ(UtcText(0), "1970-01-01 00:00 UTC");
  EXPECT_EQ(UtcText(kNow), "2026-02-02 02:40 UTC");
  EXPECT_EQ(UtcText(951'827'640'000), "2000-02-29 12:34 UTC");
  EXPECT_EQ(UtcText(-1), "1969-12-31 23:59 UTC");
}

}  // namespace
}  // namespace consilium::site_agent
