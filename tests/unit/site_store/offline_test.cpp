// What a hospital's people read and say, on a folder and files made in code.
#include "site_agent/offline.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "federation/wire/wire.h"
#include "tests/unit/site_store/site_fixture.h"

namespace consilium::site_agent {
namespace {

using nlohmann::json;
using testing::Folder;
using testing::Has;
using testing::Must;
using testing::Note;
using testing::Spill;
using testing::StudyOptions;
using testing::Submitted;
using testing::TlsKey;

constexpr std::int64_t kNow = 1'770'000'000'000;  // 2026-02-02 02:40 UTC

// A site named north that is enrolled with the keys the submissions pin.
struct Hospital {
  Hospital() : store(Must(SiteStore::Open(folder.path() / "state"))) {
    const SiteIdentity keys = testing::KeysOf("north");
    Spill(folder.path() / "state" / "keys.json",
          json{{"format", 1},
               {"signing_seed", Hex(keys.signing.Seed())},
               {"agreement_secret", Hex(keys.agreement.Secret())},
               {"secret", Hex(keys.secret)},
               {"tls_key_pem", "pem"}}
              .dump());
    Must(store.SaveEnrolment({"north", "c", "a", "hub.example:1", "hub",
                              testing::KeysOf("hub").signing.verifying_key(), kNow}));
    config = Must(ParseSiteConfig("site: north\ncohorts: [{file: c.yaml, data: tables}]\n",
                                  (folder.path() / "site.yaml").string()));
  }
  Digest Offer(const StudyOptions& options = {}, std::int64_t unix_ms = kNow) {
    const auto submission = Submitted(options);
    Must(store.AddStudy(submission, unix_ms));
    return study::DigestOf(submission);
  }

  Folder folder;
  SiteStore store;
  SiteConfig config;
};

std::string ShortOf(const Digest& digest) { return Hex(digest).substr(0, 12); }

TEST(Studies, AreATableAndTheSameAsJson) {
  Hospital hospital;
  EXPECT_EQ(Must(Studies(hospital.store, OutputForm::kText)),
            "No study was offered to this site yet.\n");
  StudyOptions options;
  const Digest first = hospital.Offer(options);
  options.name = "second";
  const Digest second = hospital.Offer(options, kNow + 60'000);
  Must(Approve(hospital.store, hospital.config, "second", "jan", {}, kNow + 120'000));
  EXPECT_EQ(Must(Studies(hospital.store, OutputForm::kText)),
            fmt::format("ID            NAME     LEAD  STATE     SINCE                 BY\n"
                        "{}  relapse  ines  waiting   2026-02-02 02:40 UTC  -\n"
                        "{}  second   ines  approved  2026-02-02 02:42 UTC  jan\n",
                        ShortOf(first), ShortOf(second)));
  Must(Must(hospital.store.OpenLog(second, 1))->Append(testing::LogRecords(0)[0]));
  EXPECT_TRUE(Has(Must(Studies(hospital.store, OutputForm::kText)), "running, attempt 1"));
  Must(hospital.store.EndStudy(second, {"finished", "", kNow + 180'000}));
  const auto told = json::parse(Must(Studies(hospital.store, OutputForm::kJson)));
  ASSERT_EQ(told["studies"].size(), 2U);
  EXPECT_EQ(told["studies"][1]["study"], Hex(second));
  EXPECT_EQ(told["studies"][1]["state"], "finished");
  EXPECT_EQ(told["studies"][1]["by"], "jan");
  EXPECT_EQ(told["studies"][0]["decision"], "waiting");
}

TEST(FindStudy, TakesDigitsOrANameAndNeverGuesses) {
  Hospital hospital;
  const auto none = FindStudy(hospital.store, "relapse");
  ASSERT_FALSE(none.has_value());
  EXPECT_TRUE(Has(none.error().message, "no study was offered yet"));
  StudyOptions options;
  const Digest first = hospital.Offer(options);
  options.title = "The same name again";
  const Digest second = hospital.Offer(options);
  EXPECT_EQ(Must(FindStudy(hospital.store, Hex(first))).digest, first);
  EXPECT_EQ(Must(FindStudy(hospital.store, Hex(second).substr(0, 8))).digest, second);
  EXPECT_EQ(FindStudy(hospital.store, Hex(first).substr(0, 3)).error().code, ErrorCode::kNotFound);
  const auto both = FindStudy(hospital.store, "relapse");
  ASSERT_FALSE(both.has_value());
  EXPECT_EQ(both.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(Has(both.error().message, ShortOf(first)));
  EXPECT_TRUE(Has(both.error().message, ShortOf(second)));
  EXPECT_TRUE(Has(both.error().message, "give more digits"));
}

TEST(Approve, ShowsThePlanFirstAndKeepsTheApproval) {
  Hospital hospital;
  const Digest digest = hospital.Offer();
  const std::string shown =
      Must(ShowStudy(hospital.store, hospital.config, "relapse", OutputForm::kText));
  for (const char* line : {"study                 relapse: Relapse within two years\n",
                           "this site             north trains: its rows enter the sums\n",
                           "No other study was approved here before.\n", "state: waiting\n"}) {
    EXPECT_TRUE(Has(shown, line));
  }
  EXPECT_TRUE(Has(shown, "To approve: consilium-site approve " + ShortOf(digest)));
  const Approved approved =
      Must(Approve(hospital.store, hospital.config, ShortOf(digest), "jan", {}, kNow + 1));
  EXPECT_EQ(approved.study, digest);
  EXPECT_EQ(approved.text, fmt::format("Approved study {} relapse of ines, in the name of jan.\n",
                                       ShortOf(digest)));
  const Decision decision = Must(hospital.store.LoadDecision(digest));
  EXPECT_EQ(decision.word, Decision::Word::kApproved);
  EXPECT_EQ(decision.by, "jan");
  EXPECT_EQ(decision.approval->unix_ms, kNow + 1);
  const auto again = Approve(hospital.store, hospital.config, "relapse", "eva", {}, kNow + 2);
  ASSERT_FALSE(again.has_value());
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  const Approved rejected =
      Must(Reject(hospital.store, "relapse", "eva", "consent withdrawn", kNow + 3));
  EXPECT_TRUE(Has(rejected.text, "It was approved: nothing more is answered"));
  EXPECT_EQ(Must(hospital.store.LoadDecision(digest)).reason, "consent withdrawn");
}

TEST(Approve, WhatDisclosesMoreNeedsItsWordAndTheCommandIsTold) {
  Hospital hospital;
  StudyOptions options;
  options.leave_one_center_out = true;
  options.privacy = "{curvature: fast}";
  const Digest digest = hospital.Offer(options);
  const auto refused = Approve(hospital.store, hospital.config, "relapse", "jan", {}, kNow);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kPermissionDenied);
  for (const std::string& part :
       {std::string("GATE_FAST_NOT_APPROVED: the study lifts the bound"),
        std::string("GATE_NO_CONSENT: the study leaves one center out in turn"),
        fmt::format("run: consilium-site approve {} --accept fast-curvature,leave-one-center-out",
                    ShortOf(digest))}) {
    EXPECT_TRUE(Has(refused.error().message, part));
  }
  EXPECT_EQ(Must(hospital.store.LoadDecision(digest)).word, Decision::Word::kWaiting);
  const auto wrong =
      Approve(hospital.store, hospital.config, "relapse", "jan", {"fast_curvature"}, kNow);
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().message,
            "--accept 'fast_curvature': expected one of fast-curvature, leave-one-center-out, "
            "restart-without (did you mean 'fast-curvature'?)");
  Must(Approve(hospital.store, hospital.config, "relapse", "jan",
               {"fast-curvature", "leave-one-center-out"}, kNow));
  const Decision decision = Must(hospital.store.LoadDecision(digest));
  EXPECT_TRUE(decision.approval->fast_curvature && decision.approval->leave_one_center_out);
}

TEST(Approve, WhatThePolicyForbidsComesWithoutACommand) {
  Hospital hospital;
  StudyOptions options;
  options.public_data = true;
  hospital.Offer(options);
  const auto refused = Approve(hospital.store, hospital.config, "relapse", "jan", {}, kNow);
  ASSERT_FALSE(refused.has_value());
  EXPECT_TRUE(Has(refused.error().message, "It cannot be approved as it is"));
  EXPECT_EQ(refused.error().message.find("--accept"), std::string::npos);
}

TEST(Approve, IsRefusedWhenTheConfigurationNamesAnotherSiteThanTheEnrolment) {
  Hospital hospital;
  hospital.Offer();
  hospital.config.site = "south";
  const auto refused = Approve(hospital.store, hospital.config, "relapse", "jan", {}, kNow);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(Has(refused.error().message, "says `site: south`"));
  EXPECT_TRUE(Has(refused.error().message, "was enrolled as north"));
}

TEST(ShowStudy, ComparesWithTheLastApprovedOfTheSameName) {
  Hospital hospital;
  StudyOptions options;
  hospital.Offer(options);
  Must(Approve(hospital.store, hospital.config, "relapse", "jan", {}, kNow));
  options.name = "other";
  hospital.Offer(options);
  Must(Approve(hospital.store, hospital.config, "other", "jan", {}, kNow + 1000));
  options.name = "relapse";
  options.privacy = "{min_sites: 3, min_cell: 9}";
  const Digest changed = hospital.Offer(options);
  const std::string shown =
      Must(ShowStudy(hospital.store, hospital.config, Hex(changed), OutputForm::kText));
  EXPECT_TRUE(Has(shown,
                  "relapse, approved on 2026-02-02 02:40 UTC:\n"
                  "  minimum counts: + no count below 9 rows, - no count below 5 rows\n"));
  options.name = "fresh";
  const Digest fresh = hospital.Offer(options);
  const auto told =
      json::parse(Must(ShowStudy(hospital.store, hospital.config, Hex(fresh), OutputForm::kJson)));
  EXPECT_EQ(told["difference"].size(), 2U);  // name and minimum counts, from the last approved one
  EXPECT_EQ(told["plan"]["lead"][0], "ines");
  EXPECT_EQ(told["objections"].size(), 0U);
  EXPECT_EQ(told["cohort"], (hospital.folder.path() / "c.yaml").string());
}

TEST(PolicyText, SaysWhatHappensWithoutAskingAndWhatNever) {
  Hospital hospital;
  const std::string asks = PolicyText(hospital.config, OutputForm::kText);
  for (const char* line :
       {"  A person decides about every study.\n",
        "  No study runs here that adds over fewer than 3 sites or shows counts below 5 rows.\n",
        "  Studies that set rules aside as published data do not run here.\n",
        "  Starting over without a site that left: only if a person accepts it for one study.\n"}) {
    EXPECT_TRUE(Has(asks, line));
  }
  hospital.config.policy.approve = SitePolicy::Approve::kLead;
  hospital.config.policy.leads = {testing::LeadFingerprint()};
  hospital.config.policy.allow_restart_without = true;
  const std::string leads = PolicyText(hospital.config, OutputForm::kText);
  EXPECT_TRUE(Has(leads, "signed by the one of these keys are approved without asking"));
  EXPECT_TRUE(Has(leads, Hex(testing::LeadFingerprint())));
  EXPECT_TRUE(Has(leads, "Starting over without a site that left: allowed.\n"));
  const auto told = json::parse(PolicyText(hospital.config, OutputForm::kJson));
  EXPECT_EQ(told["approve"], "lead");
  EXPECT_EQ(told["min_cell"], 5);
}

TEST(LedgerText, IsPlainWordsOrLinesThatCanBeAuditedWithoutTheFile) {
  Hospital hospital;
  EXPECT_EQ(Must(LedgerText(hospital.store, hospital.config, {})),
            "The ledger is empty: nothing was asked of this site yet.\n");
  auto ledger = Must(hospital.store.OpenLedger("north"));
  for (const char* text : {"one", "two", "three"}) Must(ledger->ledger().Append(Note(text)));
  Must(ledger->Sync());
  EXPECT_EQ(Must(LedgerText(hospital.store, hospital.config, {2, OutputForm::kText})),
            "      1  2023-11-14 22:13 UTC  two\n      2  2023-11-14 22:13 UTC  three\n");
  const std::string lines =
      Must(LedgerText(hospital.store, hospital.config, {std::nullopt, OutputForm::kJson}));
  EXPECT_EQ(Must(DecodeLedgerLines("north", lines)).size(), 3U);
  EXPECT_EQ(Must(LedgerText(hospital.store, hospital.config, {9, OutputForm::kJson})), lines);

  std::string bytes = testing::Slurp(hospital.folder.path() / "state" / "ledger.bin");
  bytes[60] ^= 1;
  Spill(hospital.folder.path() / "state" / "ledger.bin", bytes);
  EXPECT_EQ(LedgerText(hospital.store, hospital.config, {1, OutputForm::kText}).error().code,
            ErrorCode::kDataLoss);
}

TEST(LedgerVerify, SaysHowFarTheCoordinatorHasSeenIt) {
  Hospital hospital;
  auto ledger = Must(hospital.store.OpenLedger("north"));
  for (const char* text : {"one", "two"}) Must(ledger->ledger().Append(Note(text)));
  const LedgerSynced synced = Must(ledger->Sync());
  EXPECT_TRUE(Has(Must(LedgerVerify(hospital.store, hospital.config, OutputForm::kText)),
                  "The coordinator has not countersigned it yet"));
  const Bytes said = wire::HeadBytes("north", synced.head().count, synced.head().hash);
  Must(hospital.store.SaveHead({synced.head(), testing::KeysOf("hub").signing.Sign(said), kNow}));
  Must(ledger->ledger().Append(Note("three")));
  Must(ledger->Sync());
  const std::string text = Must(LedgerVerify(hospital.store, hospital.config, OutputForm::kText));
  EXPECT_TRUE(Has(text, "The ledger of north holds: 3 records"));
  EXPECT_TRUE(Has(text, "hub countersigned the first 2 of them on 2026-02-02 02:40 UTC"));
  const auto told =
      json::parse(Must(LedgerVerify(hospital.store, hospital.config, OutputForm::kJson)));
  EXPECT_EQ(told["records"], 3);
  EXPECT_EQ(told["countersigned"]["records"], 2);
}

// ---- cohort -------------------------------------------------------------------------------------

class CohortCommand : public ::testing::Test {
 protected:
  CohortCommand() {
    std::filesystem::create_directory(hospital_.folder.path() / "tables");
    Spill(hospital_.folder.path() / "study.yaml", testing::StudyYaml());
    Spill(hospital_.folder.path() / "c.yaml",
          "site: north\nradiomics: north.csv\nid: {column: id}\n"
          "outcome: {column: relapse, event: [\"1\"], non_event: [\"0\"]}\n"
          "variables:\n  age: {column: age, unit: years}\n"
          "  smoker: {column: smoker, one: [\"1\"], zero: [\"0\"]}\n");
    std::string csv = "id,relapse,age,smoker,x1,x2,x_Idmn\n";
    for (int i = 0; i < 30; ++i) {
      csv += fmt::format("c{},{},{},{},{},{},1\n", i, i < 2 ? "" : std::to_string(i % 3 == 0),
                         i == 2 ? std::string() : std::to_string(50 + i), i % 2, 1.5 * i, 2 - i);
    }
    Spill(hospital_.folder.path() / "tables" / "north.csv", csv);
  }
  [[nodiscard]] std::filesystem::path Study() const {
    return hospital_.folder.path() / "study.yaml";
  }
  Hospital hospital_;
};

TEST_F(CohortCommand, TellsWhereEveryRowWent) {
  const std::string text =
      Must(CohortText(hospital_.config, Study(), Bytes(32, 1), OutputForm::kText));
  for (const char* part : {"found                                         30\n",
                           "excluded: outcome missing                      2\n",
                           "excluded: covariate missing                    1\n",
                           "used                                          27\n",
                           "9 events (relapse within two years), 18 others, 27 patients, 2 feature "
                           "columns\n",
                           "Nothing was sent.\n"}) {
    EXPECT_TRUE(Has(text, part));
  }
  const auto told = json::parse(Must(CohortText(hospital_.config, Study(), {}, OutputForm::kJson)));
  EXPECT_EQ(told["rows"], 27);
  EXPECT_EQ(told["events"], 9);
  EXPECT_EQ(told["columns"], 2);
  EXPECT_EQ(told["flow"][0]["rows"], 30);
}

TEST_F(CohortCommand, TellsEveryProblemWithItsFile) {
  Spill(hospital_.folder.path() / "tables" / "north.csv",
        "id,relapse,age,smoker,x1,x2,x_Idmn\na,7,1,1,1,1,1\nb,1,old,1,1,1,1\n");
  const auto refused = CohortText(hospital_.config, Study(), {}, OutputForm::kText);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(Has(refused.error().message, "north.csv"));
  EXPECT_GE(std::count(refused.error().message.begin(), refused.error().message.end(), '\n'), 1);
  EXPECT_EQ(refused.error().message.find("old"), std::string::npos);  // never a cell

  std::filesystem::remove(hospital_.folder.path() / "tables" / "north.csv");
  EXPECT_EQ(CohortText(hospital_.config, Study(), {}, OutputForm::kText).error().code,
            ErrorCode::kNotFound);
}

TEST_F(CohortCommand, NamesASiteThatTheStudyOrTheCohortFileDoesNotKnow) {
  hospital_.config.site = "elsewhere";
  const auto unknown = CohortText(hospital_.config, Study(), {}, OutputForm::kText);
  ASSERT_FALSE(unknown.has_value());
  EXPECT_TRUE(Has(unknown.error().message,
                  "the study does not name this site, elsewhere; it names north, east, south, "
                  "west"));
  hospital_.config.site = "south";
  const auto other = CohortText(hospital_.config, Study(), {}, OutputForm::kText);
  ASSERT_FALSE(other.has_value());
  EXPECT_TRUE(
      Has(other.error().message, "it is the cohort file of site 'north'; expected 'south', as " +
                                     hospital_.config.file_name + " says"));
}

TEST(LoadSiteConfig, ReadsTheFileAndResolvesItsPathsFromThere) {
  const Folder folder;
  Spill(folder.path() / "site.yaml", "site: A\nstate: s\ncohorts: [{file: c, data: ../d}]\n");
  const SiteConfig config = Must(LoadSiteConfig(folder.path() / "site.yaml"));
  EXPECT_EQ(config.state, (folder.path() / "s").string());
  EXPECT_EQ(config.cohorts[0].data, (folder.path() / "../d").string());
  EXPECT_EQ(LoadSiteConfig(folder.path() / "none.yaml").error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace consilium::site_agent
