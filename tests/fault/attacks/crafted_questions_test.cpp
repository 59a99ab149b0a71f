// Questions that do not follow from the study: every honest site refuses, by name, and goes on.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "federation/fixed_point.h"
#include "learning/moments.h"
#include "tests/fault/attacks/attack_federation.h"

namespace consilium::attacks {
namespace {

using federation::Block;
using federation::Query;
using site_agent::LedgerEvent;
using site_agent::LedgerRecord;
using site_agent::RoundQuestion;

Eigen::MatrixXd& Input(Query& query, std::string_view name) {
  for (Block& block : query.inputs) {
    if (block.name == name) return block.values;
  }
  ADD_FAILURE() << query.step << " has no block " << name;
  return query.inputs.front().values;
}

bool HasSlopes(const Query& query) {
  const Eigen::MatrixXd* beta = federation::Find(query.inputs, "beta");
  return beta != nullptr && beta->rows() > 0;
}
bool AsksCurvature(const Query& query) {
  const Eigen::MatrixXd* at = federation::Find(query.inputs, "curvature_at");
  return at != nullptr && (*at)(0, 0) >= 0;
}

Query& FirstOf(RoundQuestion& question, bool (*is)(const Query&)) {
  const auto found = std::find_if(question.queries.begin(), question.queries.end(), is);
  if (found != question.queries.end()) return *found;
  ADD_FAILURE() << "this round asks nothing of the kind";
  return question.queries.front();
}

struct Attack {
  std::string name;
  std::function<void(RoundQuestion&)> craft;  // an honest question in, the attack out
  std::string rule;
  std::string difference;  // what the refusal names
  bool rebound = true;     // the coordinator lies consistently: digests are those of what it asks
};

std::size_t CountLeft(const site_agent::Ledger& ledger) {
  const auto& records = ledger.records();
  return static_cast<std::size_t>(
      std::count_if(records.begin(), records.end(), [](const LedgerRecord& record) {
        return record.event == LedgerEvent::kQueryAnswered ||
               record.event == LedgerEvent::kReleaseGiven;
      }));
}

bool StandsInLedger(const site_agent::Ledger& ledger, const std::string& rule,
                    const RoundQuestion& question, const std::string& difference) {
  const Digest round_digest = federation::DigestOf(question.queries);
  const auto& records = ledger.records();
  return std::any_of(records.begin(), records.end(), [&](const LedgerRecord& record) {
    return record.event == LedgerEvent::kQueryRefused && record.rule == rule &&
           record.study == question.binding.study && record.round == question.binding.round &&
           record.attempt == question.binding.attempt && record.round_digest == round_digest &&
           record.detail.find(difference) != std::string::npos;
  });
}

// Asks `sites` the crafted question and holds each to its word.
void ExpectRefused(Federation& federation, const std::vector<std::string>& sites,
                   const Attack& attack) {
  SCOPED_TRACE(
      fmt::format("attack: {}, in round {}", attack.name, federation.verification().round()));
  RoundQuestion question = federation.Honest();
  attack.craft(question);
  if (attack.rebound) question = Rebound(std::move(question));
  for (const std::string& name : sites) {
    SCOPED_TRACE("site " + name);
    // A site that the roster dropped would add its words to nothing, and says so.
    const bool dropped =
        !question.roster.contains(name) && federation.Honest().roster.contains(name);
    const std::string rule = dropped ? "GATE_UNKNOWN_MEMBER" : attack.rule;
    const std::string difference =
        dropped ? "this site does not stand in the roster" : attack.difference;
    const site_agent::Ledger& ledger = federation.ledger(name);
    const std::size_t left_before = CountLeft(ledger);
    const std::uint64_t bytes_before = federation.site(name).bytes_up();
    const std::uint64_t answers_before = federation.site(name).answers();
    const auto answer = federation.Ask(name, question);
    if (answer.has_value()) {
      ADD_FAILURE() << "answered with " << answer->words.size() << " bytes and "
                    << answer->releases.size() << " releases";
      continue;
    }
    const std::string& message = answer.error().message;
    EXPECT_NE(message.find("site " + name), std::string::npos) << message;
    EXPECT_NE(message.find(rule + ":"), std::string::npos) << message;
    EXPECT_NE(message.find(difference), std::string::npos) << message;
    EXPECT_EQ(CountLeft(ledger), left_before);
    EXPECT_EQ(federation.site(name).bytes_up(), bytes_before);
    EXPECT_EQ(federation.site(name).answers(), answers_before);
    EXPECT_TRUE(StandsInLedger(ledger, rule, question, difference)) << message;
    const auto chain = site_agent::VerifyLedger(name, ledger.records());
    EXPECT_TRUE(chain.has_value()) << (chain ? "" : chain.error().message);
    // What goes out in place of an answer says the code and nothing else.
    EXPECT_EQ(site_agent::ToOutward(answer.error()).ToText(), Name(answer.error().code));
  }
}

// Attacks that fit every round. `later`: what an honest study asks a few rounds on.
std::vector<Attack> AttacksOnAnyRound(const std::vector<Query>& later) {
  const auto& evil = site_agent::IdentityFromSeed("B", 666);
  const federation::SiteKeys evil_keys = evil.public_keys();
  return {
      {"another fit's name", [](RoundQuestion& q) { q.queries[0].scope.fit += " again"; },
       "GATE_NOT_DERIVED", "first difference: scope"},
      {"a step that does not exist", [](RoundQuestion& q) { q.queries[0].step = "rows.all"; },
       "GATE_NOT_DERIVED", "found rows.all"},
      {"a step of another kind",
       [](RoundQuestion& q) {
         const bool flow = q.queries[0].step == "study.flow";
         q.queries[0].step = flow ? "study.score" : "study.flow";
       },
       "GATE_NOT_DERIVED", "first difference: step"},
      {"an installed step that does not follow",
       [](RoundQuestion& q) { q.queries[0].step = "moments.signature"; }, "GATE_NOT_DERIVED",
       "found moments.signature"},
      {"an extra question appended",
       [](RoundQuestion& q) { q.queries.push_back(q.queries.back()); }, "GATE_NOT_DERIVED",
       "first difference: count"},
      {"an extra question put first",
       [](RoundQuestion& q) {
         Query extra{"moments.mean", {"mine", TrainingSites(), 0}, {}};
         extra.inputs.push_back(learning::IndexBlock("columns", {0}));
         extra.inputs.push_back(learning::IndexBlock("exponent", {3}));
         q.queries.insert(q.queries.begin(), std::move(extra));
       },
       "GATE_NOT_DERIVED", "found moments.mean"},
      {"a question of a later round", [later](RoundQuestion& q) { q.queries = later; },
       "GATE_NOT_DERIVED", "first difference: "},
      {"this question under a later round's number", [](RoundQuestion& q) { q.binding.round += 1; },
       "GATE_NOT_DERIVED", "the round is"},
      {"a binding of another question",
       [](RoundQuestion& q) { q.binding.query = Sha256("something else"); }, "GATE_NOT_DERIVED",
       "binding", false},
      {"a binding of another roster",
       [](RoundQuestion& q) { q.binding.roster = Sha256("another roster"); }, "GATE_NOT_DERIVED",
       "binding", false},
      {"a study that nobody approved",
       [](RoundQuestion& q) { q.binding.study = Sha256("another study"); },
       "GATE_STUDY_NOT_APPROVED", "not approved"},
      {"a column of other people's choice",
       [](RoundQuestion& q) {
         for (Query& query : q.queries) {
           for (Block& block : query.inputs) {
             if (block.values.size() == 0) continue;
             block.values(0, 0) += 1;
             return;
           }
         }
         q.queries[0].inputs.push_back({"column", Eigen::MatrixXd::Zero(1, 1)});
       },
       "GATE_NOT_DERIVED", "first difference: block"},
      {"a scoring with a single feature in place of the round",
       [](RoundQuestion& q) {
         Query score{"study.score", {"one feature", {"A"}, 0}, {}};
         score.inputs.push_back(learning::IndexBlock("columns", {2}));
         score.inputs.push_back({"coefficients", Eigen::MatrixXd::Constant(2, 1, 1.0)});
         score.inputs.push_back({"thresholds", Eigen::MatrixXd::Constant(1, 1, 0.5)});
         q.queries.push_back(score);
       },
       "GATE_NOT_DERIVED", "first difference: count"},
      {"the keys of a man in the middle",
       [evil_keys](RoundQuestion& q) { q.roster["B"] = evil_keys; }, "GATE_KEY_NOT_PINNED",
       "the keys of 'B'"},
  };
}

std::vector<Attack> AttacksOnMembersAndRosters() {
  return {
      {"a member less", [](RoundQuestion& q) { q.queries[0].scope.members.pop_back(); },
       "GATE_NOT_DERIVED", "expected members [A, B, C, D], found [A, B, C]"},
      {"a member more", [](RoundQuestion& q) { q.queries[0].scope.members.push_back("E"); },
       "GATE_NOT_DERIVED", "found [A, B, C, D, E]"},
      {"a member twice",
       [](RoundQuestion& q) {
         q.queries[0].scope.members = {"A", "B", "C", "D", "D"};
       },
       "GATE_NOT_DERIVED", "found [A, B, C, D, D]"},
      {"another member under the same number",
       [](RoundQuestion& q) { q.queries[0].scope.members.back() = "E"; }, "GATE_NOT_DERIVED",
       "found [A, B, C, E]"},
      {"members in another order",
       [](RoundQuestion& q) {
         std::swap(q.queries[0].scope.members[0], q.queries[0].scope.members[1]);
       },
       "GATE_NOT_DERIVED", "found [B, A, C, D]"},
      {"another left-out fold", [](RoundQuestion& q) { q.queries[0].scope.left_out_fold = 3; },
       "GATE_NOT_DERIVED", "left-out fold"},
      {"a fold that no study has",
       [](RoundQuestion& q) { q.queries[0].scope.left_out_fold = 1000; }, "GATE_NOT_DERIVED",
       "left-out fold"},
  };
}

std::vector<Attack> AttacksOnTheLasso() {
  return {
      {"steep coefficients", [](RoundQuestion& q) { Input(FirstOf(q, HasSlopes), "beta") *= 1e3; },
       "GATE_NOT_DERIVED", "'beta'"},
      {"one slope moved by its last bit",
       [](RoundQuestion& q) {
         double& beta = Input(FirstOf(q, HasSlopes), "beta")(0, 0);
         beta = std::nextafter(beta, 1e9);
       },
       "GATE_NOT_DERIVED", "'beta'"},
      {"a moved intercept",
       [](RoundQuestion& q) { Input(FirstOf(q, HasSlopes), "intercept")(0, 0) += 0.5; },
       "GATE_NOT_DERIVED", "'intercept'"},
      {"one more lambda point",
       [](RoundQuestion& q) {
         Query& query = FirstOf(q, HasSlopes);
         Eigen::MatrixXd& offset = Input(query, "offset");
         offset.conservativeResize(offset.rows() + 1, 1);
         offset(offset.rows() - 1, 0) = offset(offset.rows() - 2, 0);
         Eigen::MatrixXd& intercept = Input(query, "intercept");
         intercept.conservativeResize(intercept.rows() + 1, 1);
         intercept(intercept.rows() - 1, 0) = -2;
       },
       "GATE_NOT_DERIVED", "'offset'"},
      {"a dropped point",
       [](RoundQuestion& q) {
         Query& query = FirstOf(q, HasSlopes);
         Eigen::MatrixXd& offset = Input(query, "offset");
         const double slopes = offset(offset.rows() - 2, 0);
         const auto left = static_cast<Eigen::Index>(slopes);
         offset.conservativeResize(offset.rows() - 1, 1);
         for (const char* name : {"column", "beta"}) Input(query, name).conservativeResize(left, 1);
         Eigen::MatrixXd& intercept = Input(query, "intercept");
         intercept.conservativeResize(intercept.rows() - 1, 1);
       },
       "GATE_NOT_DERIVED", "'offset'"},
      {"the slope of another column",
       [](RoundQuestion& q) {
         double& column = Input(FirstOf(q, HasSlopes), "column")(0, 0);
         column = column == 0 ? 1 : 0;
       },
       "GATE_NOT_DERIVED", "'column'"},
      {"curvature where none was due, at another point",
       [](RoundQuestion& q) {
         double& at = Input(FirstOf(q, HasSlopes), "curvature_at")(0, 0);
         at = at == 0 ? -1 : 0;
       },
       "GATE_NOT_DERIVED", "'curvature_at'"},
      {"curvature of every column",
       [](RoundQuestion& q) {
         Input(q.queries[0], "curvature_at")(0, 0) = 0;
         Input(q.queries[0], "curvature_columns") =
             learning::IndexBlock("", {0, 1, 2, 3, 4, 5, 6}).values;
       },
       "GATE_NOT_DERIVED", "'curvature_"},
      {"curvature at the point without slopes",
       [](RoundQuestion& q) {
         Query& query = FirstOf(q, HasSlopes);
         Input(query, "offset").setZero();
         for (const char* name : {"column", "beta"}) Input(query, name).resize(0, 1);
         Input(query, "curvature_at")(0, 0) = 0;
       },
       "GATE_NOT_DERIVED", "'offset'"},
      {"more rows in the sum than there are",
       [](RoundQuestion& q) { Input(q.queries[0], "rows_of_sum")(0, 0) *= 1000; },
       "GATE_NOT_DERIVED", "'rows_of_sum'"},
      {"two questions swapped", [](RoundQuestion& q) { std::swap(q.queries[0], q.queries[1]); },
       "GATE_NOT_DERIVED", "first difference: "},
      {"a question left out", [](RoundQuestion& q) { q.queries.pop_back(); }, "GATE_NOT_DERIVED",
       "first difference: count"},
  };
}

std::vector<Attack> AttacksOnTheScoring() {
  const auto is_score = [](const Query& query) { return query.step == "study.score"; };
  return {
      {"a model of a single feature",
       [=](RoundQuestion& q) {
         Query& query = FirstOf(q, is_score);
         Input(query, "columns") = learning::IndexBlock("", {2}).values;
         Input(query, "coefficients") = Eigen::MatrixXd::Constant(2, 1, 1.0);
       },
       "GATE_NOT_DERIVED", "'columns'"},
      {"all slopes but one struck out",
       [=](RoundQuestion& q) {
         Eigen::MatrixXd& slopes = Input(FirstOf(q, is_score), "coefficients");
         slopes.setZero();
         slopes(1, 0) = 1;
       },
       "GATE_NOT_DERIVED", "'coefficients'"},
      {"a scoring at a center that trains",
       [=](RoundQuestion& q) { FirstOf(q, is_score).scope.members = {"A"}; }, "GATE_NOT_DERIVED",
       "found [A]"},
      {"a second scoring under another name",
       [=](RoundQuestion& q) {
         Query again = FirstOf(q, is_score);
         again.scope.fit += " again";
         Input(again, "coefficients")(0, 0) += 1;
         q.queries.push_back(std::move(again));
       },
       "GATE_NOT_DERIVED", "first difference: count"},
      {"thresholds refined until they order the rows",
       [=](RoundQuestion& q) {
         Eigen::MatrixXd grid(990, 1);
         for (Eigen::Index i = 0; i < 990; ++i) grid(i, 0) = 0.005 + 0.001 * static_cast<double>(i);
         Input(FirstOf(q, is_score), "thresholds") = grid;
       },
       "GATE_NOT_DERIVED", "'thresholds'"},
  };
}

std::vector<Attack> AttacksOnTheExtent() {
  return {
      {"the bins of one column of other people's choice",
       [](RoundQuestion& q) {
         Input(q.queries[0], "columns") = learning::IndexBlock("", {5}).values;
       },
       "GATE_NOT_DERIVED", "'columns'"},
      {"a thousand folds to count",
       [](RoundQuestion& q) { Input(q.queries[0], "fold_count")(0, 0) = 1000; }, "GATE_NOT_DERIVED",
       "'fold_count'"},
      {"a finer exponent",
       [](RoundQuestion& q) {
         q.queries[0].inputs.push_back(learning::IndexBlock("exponent", {-40}));
       },
       "GATE_NOT_DERIVED", "expected 2 blocks, found 3"},
      {"a roster without one site", [](RoundQuestion& q) { q.roster.erase("D"); },
       "GATE_UNKNOWN_MEMBER", "'D' does not stand in the roster"},
      {"a roster with the held-out site",
       [](RoundQuestion& q) {
         q.roster = RosterOf({"A", "B", "C", "D", "E"});
       },
       "GATE_NOT_DERIVED", "the roster"},
      {"a roster of two sites",
       [](RoundQuestion& q) {
         q.roster = RosterOf({"A", "B"});
       },
       "GATE_MIN_SITES", "the roster has 2 sites"},
  };
}

std::vector<Attack> AttacksOnARunningAttempt() {
  return {
      {"the same round without one site", [](RoundQuestion& q) { q.roster.erase("D"); },
       "GATE_ROSTER_CHANGED", "a roster of 3 sites"},
      {"the same round with one site more",
       [](RoundQuestion& q) {
         q.roster = RosterOf({"A", "B", "C", "D", "E"});
       },
       "GATE_ROSTER_CHANGED", "a roster of 5 sites"},
      {"another attempt", [](RoundQuestion& q) { q.binding.attempt = 1; }, "GATE_REASKED",
       "attempt 1 asks while attempt 0 has not ended"},
      {"an earlier round's number", [](RoundQuestion& q) { q.binding.round = 0; },
       "GATE_NOT_DERIVED", "the round is"},
  };
}

class CraftedQuestions : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    Ledgers ledgers = NewLedgers();
    const study::Study study = MakeStudy();
    Federation honest(study, MakeCohorts(3), ledgers);
    const auto report = honest.Finish();
    ASSERT_TRUE(report.has_value()) << report.error().message;
    report_ = new std::string(*report);
    asked_ = new std::vector<RoundQuestion>(honest.asked());
  }
  static void TearDownTestSuite() {
    delete report_;
    delete asked_;
  }
  // What the honest study asks `ahead` rounds after this one (its last round at most).
  static std::vector<Query> Later(const Federation& federation, std::size_t ahead) {
    const std::size_t at = federation.verification().round() + ahead;
    return (*asked_)[std::min(at, asked_->size() - 1)].queries;
  }
  static void RunAll(Federation& federation, const std::vector<Attack>& attacks,
                     const std::vector<std::string>& sites = TrainingSites()) {
    for (const Attack& attack : attacks) ExpectRefused(federation, sites, attack);
  }
  static void ExpectTheHonestReport(Federation& federation) {
    const auto report = federation.Finish();
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(*report, *report_);
  }

  study::Study study_ = MakeStudy();
  Ledgers ledgers_ = NewLedgers();
  Federation federation_{study_, MakeCohorts(3), ledgers_};
  static const std::string* report_;
  static const std::vector<RoundQuestion>* asked_;
};
const std::string* CraftedQuestions::report_ = nullptr;
const std::vector<RoundQuestion>* CraftedQuestions::asked_ = nullptr;

TEST_F(CraftedQuestions, InTheFirstRoundAreRefusedAndTheStudyEndsAsIfNothingHadHappened) {
  ASSERT_EQ(federation_.steps(), "moments.extent");
  RunAll(federation_, AttacksOnAnyRound(Later(federation_, 3)));
  RunAll(federation_, AttacksOnMembersAndRosters());
  RunAll(federation_, AttacksOnTheExtent());
  ExpectTheHonestReport(federation_);
}

TEST_F(CraftedQuestions, InTheMiddleOfTheLassoAreRefusedAndTheStudyEndsAsIfNothingHadHappened) {
  ASSERT_TRUE(federation_.AdvanceTo("lasso.evaluate").has_value());
  int attacked = 0;
  for (int round = 0; !federation_.done() && federation_.steps() == "lasso.evaluate"; ++round) {
    const RoundQuestion honest = federation_.Honest();
    const bool sloped = std::any_of(honest.queries.begin(), honest.queries.end(), HasSlopes);
    const bool curved = std::any_of(honest.queries.begin(), honest.queries.end(), AsksCurvature);
    if (sloped && honest.queries.size() > 1 && (attacked == 0 || (attacked == 1 && round > 8))) {
      RunAll(federation_, AttacksOnAnyRound(Later(federation_, 2)));
      RunAll(federation_, AttacksOnMembersAndRosters());
      RunAll(federation_, AttacksOnTheLasso());
      RunAll(federation_, AttacksOnARunningAttempt());
      if (curved) {
        RunAll(federation_, {{"curvature of other columns",
                              [](RoundQuestion& q) {
                                double& column =
                                    Input(FirstOf(q, AsksCurvature), "curvature_columns")(0, 0);
                                column = column == 0 ? 1 : 0;
                              },
                              "GATE_NOT_DERIVED", "'curvature_columns'"}});
      }
      ++attacked;
    }
    ASSERT_TRUE(federation_.Advance().has_value());
  }
  EXPECT_EQ(attacked, 2);
  ExpectTheHonestReport(federation_);
}

TEST_F(CraftedQuestions, AtTheScoringAreRefusedByTrainingAndHeldOutCentersAlike) {
  ASSERT_TRUE(federation_.AdvanceTo("study.score").has_value());
  ASSERT_FALSE(federation_.done());
  const std::vector<std::string> all = {"A", "B", "C", "D", "E"};
  RunAll(federation_, AttacksOnAnyRound((*asked_)[0].queries), all);
  RunAll(federation_, AttacksOnTheScoring(), all);
  ExpectTheHonestReport(federation_);
}

TEST_F(CraftedQuestions, OfARoundThatIsOverAreRefusedAndTheSameQuestionAgainGetsTheSameBytes) {
  ASSERT_TRUE(federation_.AdvanceTo("lasso.evaluate").has_value());
  const RoundQuestion earlier = federation_.asked().back();
  RunAll(federation_, {{"an earlier round, word for word", [&](RoundQuestion& q) { q = earlier; },
                        "GATE_NOT_DERIVED", "first difference: "}});
  // A question that is delivered twice is answered twice alike, and counted once.
  const RoundQuestion honest = federation_.Honest();
  const auto once = federation_.Ask("A", honest);
  ASSERT_TRUE(once.has_value()) << once.error().message;
  const std::size_t records = federation_.ledger("A").records().size();
  const auto twice = federation_.Ask("A", honest);
  ASSERT_TRUE(twice.has_value()) << twice.error().message;
  EXPECT_EQ(once->words, twice->words);
  EXPECT_EQ(federation_.ledger("A").records().size(), records);
  ExpectTheHonestReport(federation_);
}

TEST_F(CraftedQuestions, AfterTheStudyHasEndedAreRefused) {
  ASSERT_TRUE(federation_.Finish().has_value());
  const RoundQuestion scoring = asked_->back();
  for (const bool other_model : {false, true}) {
    RoundQuestion question = scoring;
    if (other_model) {
      for (Query& query : question.queries) {
        if (query.step == "study.score") Input(query, "coefficients") *= 1e3;
      }
    }
    for (const std::uint64_t later : {0U, 1U}) {
      question.binding.round = scoring.binding.round + later;
      const auto answer = federation_.Ask("E", Rebound(question));
      ASSERT_FALSE(answer.has_value());
      EXPECT_NE(answer.error().message.find("GATE_NOT_DERIVED"), std::string::npos)
          << answer.error().message;
    }
  }
}

// A site may run two studies at once, and one of them may be looser than the other.
TEST_F(CraftedQuestions, AreNotAnsweredUnderTheTermsOfAnotherApprovedStudy) {
  StudyOptions options;
  options.name = "looser";
  options.policy = "public-data";
  const study::Study looser = MakeStudy(options);
  site_agent::SiteSettings settings;
  settings.allow_public_data = true;
  const study::Engine engine = study::MakeEngine();
  site_agent::Gate gate(settings, *ledgers_.at("A"));
  const auto joined =
      site_agent::Site::Join(looser, engine, IdentityOf("A"), MakeCohort("A", 36, 3),
                             RosterOf(TrainingSites()), ApprovalOf(looser), gate);
  ASSERT_TRUE(joined.has_value()) << joined.error().message;
  const auto again = site_agent::Site::Join(study_, engine, IdentityOf("A"), MakeCohort("A", 36, 3),
                                            RosterOf(TrainingSites()), ApprovalOf(study_), gate);
  ASSERT_TRUE(again.has_value()) << again.error().message;
  RoundQuestion question = federation_.Honest();
  question.binding.study = looser.digest;
  const auto answer = (*again)->Answer(question, federation_.verification());
  ASSERT_FALSE(answer.has_value());
  EXPECT_NE(answer.error().message.find("GATE_NOT_DERIVED"), std::string::npos)
      << answer.error().message;
}

// ---- the gate alone: a verification that agrees with everything ---------------------------------

class GateAlone : public testing::Test {
 protected:
  GateAlone() {
    const auto approved = gate_.ApproveStudy(study_, ApprovalOf(study_));
    CONSILIUM_CHECK(approved.has_value(), "the study is honest");
  }
  // "admitted", or the rule. The words are as long as the step says.
  std::string Outcome(const Query& query, std::uint64_t round, const site_agent::RowSet& rows) {
    site_agent::RoundFacts facts;
    facts.study = study_.digest;
    facts.round = round;
    facts.round_digest = federation::DigestOf(query);
    const federation::Roster roster = RosterOf(TrainingSites());
    for (const auto& [site, keys] : roster) {
      facts.roster.push_back({site, site_agent::FingerprintOf(keys)});
    }
    facts.roster_hash = federation::DigestOf(roster);
    facts.derived = true;
    const federation::Step* step = engine_.Find(query.step);
    const auto layout = step->layout(query);
    if (!layout) return layout.error().message;
    const auto admitted = gate_.AdmitAnswer(facts, query, step, {rows, {}, Sha256("cohort")},
                                            Bytes(federation::ByteCount(*layout), 1), true);
    return admitted ? "admitted" : std::string(Name(admitted.error().rule));
  }
  static Query Evaluate(int columns, double slope, int left_out_fold, double rows_of_sum,
                        double intercept = -1) {
    std::vector<int> curvature;
    for (int j = 0; j < columns; ++j) curvature.push_back(j);
    Query query{"lasso.evaluate", {"fit", TrainingSites(), left_out_fold}, {}};
    const auto scalar = [](std::string name, double value) {
      return Block{std::move(name), Eigen::MatrixXd::Constant(1, 1, value)};
    };
    Eigen::MatrixXd offset = Eigen::MatrixXd::Zero(2, 1);
    const Eigen::Index slopes = slope == 0 ? 0 : 1;
    offset(1, 0) = static_cast<double>(slopes);
    query.inputs = {{"offset", offset},
                    {"column", Eigen::MatrixXd::Zero(slopes, 1)},
                    {"beta", Eigen::MatrixXd::Constant(slopes, 1, slope)},
                    scalar("intercept", intercept),
                    scalar("columns_of_design", 400),
                    scalar("rows_of_sum", rows_of_sum),
                    scalar("curvature_at", 0),
                    learning::IndexBlock("curvature_columns", curvature)};
    return query;
  }
  static site_agent::RowSet Rows(std::uint32_t from, std::uint32_t to) {
    site_agent::RowSet rows;
    for (std::uint32_t i = from; i < to; ++i) rows.push_back(i);
    return rows;
  }

  study::Study study_ = MakeStudy();
  study::Engine engine_ = study::MakeEngine();
  site_agent::Ledger ledger_{"A"};
  site_agent::Gate gate_{site_agent::SiteSettings{}, ledger_};
};

TEST_F(GateAlone, RefusesCurvatureOfMoreThanAThirdOfTheRows) {
  // 160 rows of the sum: floor(0.33 x 160) = 52 columns, the intercept's among them.
  EXPECT_EQ(Outcome(Evaluate(52, 0.1, 0, 160), 0, Rows(0, 40)), "GATE_CURVATURE_TOO_WIDE");
  EXPECT_EQ(Outcome(Evaluate(51, 0.1, 0, 160), 0, Rows(0, 40)), "admitted");
}

TEST_F(GateAlone, RefusesCurvatureOfTwoPatternsAtOnePoint) {
  EXPECT_EQ(Outcome(Evaluate(40, 0.1, 0, 160), 0, Rows(0, 40)), "admitted");
  EXPECT_EQ(Outcome(Evaluate(40, 0.1, 1, 130), 1, Rows(0, 30)), "GATE_CURVATURE_SHARED_POINT");
  EXPECT_EQ(Outcome(Evaluate(40, 0.2, 1, 130), 1, Rows(0, 30)), "admitted");
}

TEST_F(GateAlone, RefusesCurvatureWithoutSlopesOfTwoPatternsWhateverTheIntercept) {
  EXPECT_EQ(Outcome(Evaluate(40, 0, 0, 160, -1.0), 0, Rows(0, 40)), "admitted");
  EXPECT_EQ(Outcome(Evaluate(40, 0, 1, 130, -0.7), 1, Rows(0, 30)), "GATE_CURVATURE_NULL_POINT");
}

TEST_F(GateAlone, RefusesRowSetsThatDifferByOneToFourRowsWhateverWasDerived) {
  EXPECT_EQ(Outcome(Evaluate(1, 0.1, 0, 160), 0, Rows(0, 40)), "admitted");
  for (std::uint32_t gone = 1; gone <= 4; ++gone) {
    EXPECT_EQ(Outcome(Evaluate(1, 0.1 + gone, 1, 160 - gone), 1, Rows(0, 40 - gone)),
              "GATE_ROW_SETS_DIFFER");
  }
  EXPECT_EQ(Outcome(Evaluate(1, 0.2, 1, 155), 1, Rows(0, 35)), "admitted");
}

TEST_F(GateAlone, RefusesASecondScoringWithOtherCoefficients) {
  // A center in the roster, as under leave-one-center-out.
  site_agent::RoundFacts facts;
  facts.study = study_.digest;
  const federation::Roster roster = RosterOf(TrainingSites());
  for (const auto& [site, keys] : roster) {
    facts.roster.push_back({site, site_agent::FingerprintOf(keys)});
  }
  facts.roster_hash = federation::DigestOf(roster);
  facts.derived = true;
  const federation::Step* step = engine_.Find("study.score");
  const auto outcome = [&](double slope, std::uint64_t round) -> std::string {
    Query query{"study.score", {"model", {"A"}, 0}, {}};
    query.inputs.push_back({"coefficients", Eigen::MatrixXd::Constant(2, 1, slope)});
    facts.round = round;
    facts.round_digest = federation::DigestOf(query);
    federation::Release release;
    release.blocks.push_back({"n", Eigen::MatrixXd::Constant(1, 1, 40)});
    const auto ruling = gate_.AdmitRelease(facts, query, step, {Rows(0, 40), {}, Sha256("cohort")},
                                           {20, 20}, release);
    return ruling ? "released" : std::string(Name(ruling.error().rule));
  };
  EXPECT_EQ(outcome(0.5, 7), "released");
  EXPECT_EQ(outcome(0.6, 8), "GATE_SECOND_SCORING");
}

}  // namespace
}  // namespace consilium::attacks
