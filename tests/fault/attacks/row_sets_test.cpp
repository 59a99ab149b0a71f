// Studies that are refused before the first round, and folds that nobody can choose.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/rng.h"
#include "site_agent/folds.h"
#include "tests/fault/attacks/attack_federation.h"

namespace consilium::attacks {
namespace {

using federation::Cohort;

// "joined", or the error of A.
std::string JoinAsA(const study::Study& study, Cohort cohort, site_agent::Ledger& ledger,
                    const site_agent::SiteSettings& settings,
                    const site_agent::Approval& approval) {
  static const federation::StepRegistry kRegistry = study::MakeEngine();
  std::vector<std::string> training;
  for (const std::string& site : study.sites) {
    if (std::find(study.held_out.begin(), study.held_out.end(), site) == study.held_out.end()) {
      training.push_back(site);
    }
  }
  site_agent::Gate gate(settings, ledger);
  const auto joined = site_agent::Site::Join(study, kRegistry, IdentityOf("A"), std::move(cohort),
                                             RosterOf(training), approval, gate);
  return joined ? "joined" : joined.error().message;
}
std::string JoinAsA(const study::Study& study, Cohort cohort, site_agent::Ledger& ledger) {
  return JoinAsA(study, std::move(cohort), ledger, SettingsOf(study), ApprovalOf(study));
}

void ExpectRule(const std::string& outcome, std::string_view rule) {
  EXPECT_NE(outcome.find(fmt::format("site A: {}: ", rule)), std::string::npos) << outcome;
}

std::size_t EventCount(const site_agent::Ledger& ledger, site_agent::LedgerEvent event) {
  const auto& records = ledger.records();
  return static_cast<std::size_t>(
      std::count_if(records.begin(), records.end(),
                    [&](const site_agent::LedgerRecord& one) { return one.event == event; }));
}

TEST(RowSets, AChosenFoldOfOneToFourRowsIsRefusedAtJoinAndOneOfFiveIsNot) {
  const study::Study study = MakeStudy();
  for (int rows = 1; rows <= 6; ++rows) {
    Cohort cohort = MakeCohort("A", 40, 3);
    for (int i = 0; i < 40; ++i) {
      cohort.fold[static_cast<std::size_t>(i)] = i < rows ? 1 : 2 + i % 2;
    }
    site_agent::Ledger ledger("A");
    const std::string outcome = JoinAsA(study, cohort, ledger);
    if (rows < 5) {
      ExpectRule(outcome, "GATE_ROW_SETS_DIFFER");
    } else {
      EXPECT_EQ(outcome, "joined");
    }
    EXPECT_EQ(EventCount(ledger, site_agent::LedgerEvent::kQueryAnswered), 0U);
  }
}

TEST(RowSets, AWithdrawalOfOneToFourPatientsIsRefusedInTheNextStudyOnTheSameColumns) {
  const study::Study first = MakeStudy();
  StudyOptions options;
  options.name = "next";
  const study::Study next = MakeStudy(options);
  ASSERT_NE(first.digest, next.digest);
  const auto cohorts = MakeCohorts(3);
  // Five leave a fold each and the full set by 15; each training set by 10.
  for (const int gone : {1, 2, 3, 4, 15}) {
    SCOPED_TRACE(testing::Message() << gone << " withdrawn");
    Ledgers ledgers = NewLedgers();
    Federation federation(first, cohorts, ledgers);
    ASSERT_TRUE(federation.Finish().has_value());
    const std::size_t answered =
        EventCount(*ledgers.at("A"), site_agent::LedgerEvent::kQueryAnswered);
    ASSERT_GT(answered, 0U);
    std::vector<int> rows;
    for (int i = 0; i < gone; ++i) rows.push_back(i);
    const std::string outcome = JoinAsA(next, WithoutRows(cohorts.at("A"), rows), *ledgers.at("A"));
    if (gone < 5) {
      ExpectRule(outcome, "GATE_ROW_SETS_DIFFER");
    } else {
      EXPECT_EQ(outcome, "joined");
    }
    EXPECT_EQ(EventCount(*ledgers.at("A"), site_agent::LedgerEvent::kQueryAnswered), answered);
  }
}

// Neither has answered when both begin, so that nothing speaks against either.
TEST(RowSets, TwoStudiesThatRunAtOnceMayNotDifferByAFewPatients) {
  StudyOptions options;
  options.name = "beside";
  const study::Study beside = MakeStudy(options);
  Ledgers ledgers = NewLedgers();
  Gates gates;
  Federation first(MakeStudy(), MakeCohorts(3), ledgers, &gates);
  auto fewer = MakeCohorts(3);
  fewer.at("A") = WithoutRows(fewer.at("A"), {0});
  Federation second(beside, fewer, ledgers, &gates);
  ASSERT_TRUE(first.AdvanceTo("moments.spread").has_value());
  const auto answer = second.Ask("A", second.Honest());
  ASSERT_FALSE(answer.has_value());
  EXPECT_NE(answer.error().message.find("GATE_ROW_SETS_DIFFER"), std::string::npos)
      << answer.error().message;
  EXPECT_TRUE(second.Ask("B", second.Honest()).has_value());
  EXPECT_TRUE(first.Finish().has_value());
}

TEST(RowSets, TheSameRowsMayServeANextStudy) {
  Ledgers ledgers = NewLedgers();
  Federation first(MakeStudy(), MakeCohorts(3), ledgers);
  ASSERT_TRUE(first.Finish().has_value());
  StudyOptions options;
  options.name = "next";
  Federation next(MakeStudy(options), MakeCohorts(3), ledgers);
  EXPECT_TRUE(next.Finish().has_value());
}

TEST(RowSets, AValueThatChangesUnderARunningStudyStopsTheSite) {
  const study::Study study = MakeStudy();
  Ledgers ledgers = NewLedgers();
  Federation federation(study, MakeCohorts(3), ledgers);
  ASSERT_TRUE(federation.AdvanceTo("moments.spread").has_value());
  Cohort changed = MakeCohort("A", 36, 3);
  changed.features(3, 2) += 1;
  site_agent::Gate gate(SettingsOf(study), *ledgers.at("A"));
  const auto again = site_agent::Site::Join(study, federation.engine(), IdentityOf("A"), changed,
                                            RosterOf(TrainingSites()), ApprovalOf(study), gate);
  ASSERT_TRUE(again.has_value()) << again.error().message;
  const auto answer = (*again)->Answer(federation.Honest(), federation.verification());
  ASSERT_FALSE(answer.has_value());
  EXPECT_NE(answer.error().message.find("GATE_COHORT_CHANGED"), std::string::npos)
      << answer.error().message;
}

// ---- terms
// ----------------------------------------------------------------------------------------

TEST(Terms, PublicDataIsRefusedWithoutTheSettingAndWithoutThePersonsWord) {
  StudyOptions options;
  options.policy = "public-data";
  const study::Study study = MakeStudy(options);
  site_agent::Approval silent = ApprovalOf(study);
  silent.public_data = false;
  for (const bool allowed : {false, true}) {
    for (const bool said : {false, true}) {
      site_agent::Ledger ledger("A");
      site_agent::SiteSettings settings;
      settings.allow_public_data = allowed;
      const std::string outcome = JoinAsA(study, MakeCohort("A", 36, 3), ledger, settings,
                                          said ? ApprovalOf(study) : silent);
      if (allowed && said) {
        EXPECT_EQ(outcome, "joined");
      } else {
        ExpectRule(outcome, "GATE_POLICY_NOT_APPROVED");
        EXPECT_EQ(ledger.last().event, site_agent::LedgerEvent::kStudyRefused);
      }
    }
  }
}

// What a study file's reader would refuse is refused again at the gate: the study may come from a
// coordinator whose reader is another.
TEST(Terms, AForgedStudyIsRefusedByTheRuleThatItBreaks) {
  struct Case {
    const char* rule;
    void (*forge)(study::Study&);
  };
  const Case cases[] = {
      {"GATE_NOT_MASKED", [](study::Study& s) { s.privacy.masks = false; }},
      {"GATE_MIN_SITES", [](study::Study& s) { s.privacy.min_sites = 2; }},
      {"GATE_CELL_TOO_SMALL", [](study::Study& s) { s.privacy.min_cell = 1; }},
      {"GATE_FAST_NOT_APPROVED", [](study::Study& s) { s.privacy.strict_curvature = false; }},
      {"GATE_NO_CONSENT",
       [](study::Study& s) {
         s.design = study::Design::kLeaveOneCenterOut;
         s.held_out.clear();
       }},
      {"GATE_RESTART_NOT_APPROVED", [](study::Study& s) { s.quorum.then = "restart-without"; }},
      {"GATE_KEY_NOT_PINNED", [](study::Study& s) { s.sites.push_back("F"); }},
      {"GATE_UNKNOWN_MEMBER", [](study::Study& s) { s.sites.pop_back(); }},
  };
  const study::Study honest = MakeStudy();
  for (const Case& one : cases) {
    SCOPED_TRACE(one.rule);
    study::Study forged = honest;
    one.forge(forged);
    site_agent::Ledger ledger("A");
    ExpectRule(JoinAsA(forged, MakeCohort("A", 36, 3), ledger, site_agent::SiteSettings{},
                       ApprovalOf(honest)),
               one.rule);
    ASSERT_FALSE(ledger.records().empty());
    EXPECT_EQ(ledger.last().event, site_agent::LedgerEvent::kStudyRefused);
    EXPECT_EQ(ledger.last().rule, one.rule);
  }
}

TEST(Terms, AStudyOfTwoTrainingSitesGetsNoAnswer) {
  study::Study study = MakeStudy();
  study.held_out = {"C", "D", "E"};  // min_sites still says 3
  const study::Engine engine = study::MakeEngine();
  const federation::Roster roster = RosterOf({"A", "B"});
  site_agent::Ledger ledger("A");
  site_agent::Gate gate(site_agent::SiteSettings{}, ledger);
  const auto joined = site_agent::Site::Join(study, engine, IdentityOf("A"), MakeCohort("A", 36, 3),
                                             roster, ApprovalOf(study), gate);
  ASSERT_TRUE(joined.has_value()) << joined.error().message;
  const study::StudyReplay replay(study, engine);
  const site_agent::RoundQuestion question =
      Rebound({{study.digest, 0, 0, replay.digest(), federation::DigestOf(roster)},
               replay.queries(),
               roster});
  const auto answer = (*joined)->Answer(question, replay);
  ASSERT_FALSE(answer.has_value());
  EXPECT_NE(answer.error().message.find("GATE_MIN_SITES"), std::string::npos)
      << answer.error().message;
}

TEST(Terms, AStudyApprovedOnceIsNotApprovedAgainUnderOtherTerms) {
  const study::Study study = MakeStudy();
  site_agent::Ledger ledger("A");
  ASSERT_EQ(JoinAsA(study, MakeCohort("A", 36, 3), ledger), "joined");
  study::Study other = study;  // the same digest
  other.privacy.min_cell = 50;
  ExpectRule(JoinAsA(other, MakeCohort("A", 36, 3), ledger), "GATE_STUDY_CHANGED");
}

// ---- folds
// ----------------------------------------------------------------------------------------

std::vector<int> FoldsUnder(const Cohort& cohort, const Bytes& key, const std::string& study) {
  const std::vector<double> outcome(cohort.outcome.data(),
                                    cohort.outcome.data() + cohort.outcome.size());
  const auto folds =
      site_agent::KeyedFolds(key, Sha256(study), {cohort.patient, cohort.patient_ids, outcome}, 5);
  CONSILIUM_CHECK(folds.has_value(), folds ? "" : folds.error().message);
  return *folds;
}

// A coordinator that knows every identifier and the study guesses keys: a guess agrees with the
// site's folds on one row in five, which is chance.
TEST(KeyedFolds, CannotBePredictedWithoutTheSitesKey) {
  const Cohort cohort = MakeCohort("A", 200, 5);
  const Bytes secret = IdentityOf("A").secret;
  const std::vector<int> truth = FoldsUnder(cohort, secret, "study");
  EXPECT_EQ(truth, FoldsUnder(cohort, secret, "study"));
  Rng rng(3, "guessed keys");
  double agreed = 0;
  constexpr int kGuesses = 200;
  for (int guess = 0; guess < kGuesses; ++guess) {
    Bytes key = secret;
    if (guess % 2 == 0) {
      key[static_cast<std::size_t>(guess / 2) % key.size()] ^= 1;  // one bit beside the truth
    } else {
      for (std::uint8_t& byte : key) byte = static_cast<std::uint8_t>(rng.Below(256));
    }
    const std::vector<int> guessed = FoldsUnder(cohort, key, "study");
    EXPECT_NE(guessed, truth);
    for (std::size_t i = 0; i < truth.size(); ++i) agreed += guessed[i] == truth[i] ? 1 : 0;
  }
  // Mean 0.2, standard error sqrt(0.16 / 40000) = 0.002; the bound is five of them.
  EXPECT_NEAR(agreed / (kGuesses * 200.0), 0.2, 0.01);
}

TEST(KeyedFolds, AnotherStudyDrawsOtherFoldsAndAWithdrawalMovesNoneIntoASmallFold) {
  const Cohort cohort = MakeCohort("A", 60, 5);
  const Bytes secret = IdentityOf("A").secret;
  EXPECT_NE(FoldsUnder(cohort, secret, "one"), FoldsUnder(cohort, secret, "two"));
  const std::vector<int> folds = FoldsUnder(cohort, secret, "one");
  for (int fold = 1; fold <= 5; ++fold) {
    EXPECT_GE(std::count(folds.begin(), folds.end(), fold), 10);
    EXPECT_LE(std::count(folds.begin(), folds.end(), fold), 14);
  }
}

}  // namespace
}  // namespace consilium::attacks
