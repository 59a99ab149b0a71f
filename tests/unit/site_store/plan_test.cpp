// The plan says what a person must know, in words that fit a terminal; the policy says no by name.
#include "site_agent/plan.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "site_agent/suppression.h"
#include "study/study_file.h"
#include "tests/unit/site_store/site_fixture.h"

namespace consilium::site_agent {
namespace {

using testing::Has;
using testing::KeysOf;
using testing::LeadFingerprint;
using testing::Must;
using testing::StudyOptions;
using testing::Submitted;

constexpr std::int64_t kNow = 1'770'000'000'000;

PlanFacts FactsAt(const std::string& site) {
  PlanFacts facts;
  facts.site = site;
  facts.keys = KeysOf(site).public_keys();
  return facts;
}

std::vector<PlanField> PlanOf(const StudyOptions& options, const PlanFacts& facts) {
  const auto submission = Submitted(options);
  return Plan(submission, Must(study::StudyOf(submission)), facts);
}

// One field's line of the text, with its continuation lines joined.
std::string FieldText(const std::vector<PlanField>& plan, const std::string& name) {
  for (const PlanField& field : plan) {
    if (field.name != name) continue;
    std::string text;
    for (const std::string& value : field.values) text += (text.empty() ? "" : "; ") + value;
    return text;
  }
  return "(no such field)";
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    lines.push_back(text.substr(at, text.find('\n', at) - at));
  return lines;
}

std::vector<std::string> RulesOf(const StudyOptions& options, const PlanFacts& facts,
                                 const Approver& approver) {
  const auto submission = Submitted(options);
  std::vector<std::string> rules;
  for (const Objection& one :
       Objections(submission, Must(study::StudyOf(submission)), facts, approver))
    rules.emplace_back(Name(one.rule));
  return rules;
}
using Rules = std::vector<std::string>;

TEST(Plan, SaysWhatApprovingMeansAtATrainingSite) {
  const auto plan = PlanOf({}, FactsAt("north"));
  EXPECT_EQ(FieldText(plan, "study"), "relapse: Relapse within two years");
  EXPECT_EQ(FieldText(plan, "submission"), Hex(study::DigestOf(Submitted())));
  EXPECT_EQ(FieldText(plan, "lead"), "ines");
  EXPECT_EQ(FieldText(plan, "lead's key"),
            Hex(LeadFingerprint()) +
                "; not among this site's policy.leads: compare it with the lead, not by e-mail");
  EXPECT_EQ(FieldText(plan, "this site"), "north trains: its rows enter the sums");
  const auto print = [](const char* site) {
    return Hex(FingerprintOf(KeysOf(site).public_keys())).substr(0, 16);
  };
  EXPECT_EQ(
      FieldText(plan, "training sites"),
      fmt::format("north {}; east {}; south {}", print("north"), print("east"), print("south")));
  EXPECT_EQ(FieldText(plan, "held-out sites"), "west " + print("west"));
  EXPECT_EQ(FieldText(plan, "outcome"), "relapse; 1 means: relapse within two years");
  EXPECT_EQ(FieldText(plan, "variables"), "age (years); smoker (yes or no)");
  EXPECT_EQ(FieldText(plan, "columns"), "radiomics: x* without *_Idmn");
  EXPECT_EQ(FieldText(plan, "feature sets"), "combined = radiomics + age");
  EXPECT_EQ(FieldText(plan, "harmonizations"), "none; combat keeping age");
  EXPECT_EQ(FieldText(plan, "models"), "lasso, lambda min of 20, on combined");
  EXPECT_EQ(FieldText(plan, "validation"), "on west, which take part in nothing before");
  EXPECT_EQ(FieldText(plan, "folds"), "5, drawn by this site's secret");
  EXPECT_EQ(FieldText(plan, "judged by"),
            "lasso on combined after none; thresholds 0.3, 0.5; margin 0.1; AUC floor 0.5");
  EXPECT_EQ(FieldText(plan, "leaves as sums"),
            "counts and moments of each column; combat: cross-products within this site, residual "
            "squares; lasso: gradients, curvature and losses of each fit and fold; score "
            "histograms by class");
  EXPECT_EQ(FieldText(plan, "leaves under its name"), "flow; counts");
  EXPECT_EQ(FieldText(plan, "never leaves"),
            "an image; a row; an identifier; a value of one patient");
  EXPECT_EQ(FieldText(plan, "minimum counts"),
            "sums over at least 3 sites; no count below 5 rows; training centers of at least 10 "
            "rows");
  EXPECT_EQ(FieldText(plan, "curvature"),
            "strict: cross-products of at most 0.33 columns a row of the sum");
  EXPECT_EQ(FieldText(plan, "masks"), "on: the coordinator sees totals only");
  EXPECT_EQ(FieldText(plan, "policy"), "private");
  EXPECT_EQ(FieldText(plan, "quorum"),
            "every training site must answer; all 3 of them; a round waits up to 1 d, then: wait");
  EXPECT_EQ(FieldText(plan, "restart"), "never starts over without a site");
  EXPECT_EQ(FieldText(plan, "leave-one-center-out"), "no");
}

TEST(Plan, SaysWhatAHeldOutSiteGivesUnderItsOwnName) {
  const auto plan = PlanOf({}, FactsAt("west"));
  EXPECT_EQ(FieldText(plan, "this site"),
            "west is held out: asked for nothing but counts of its rows and the scores of finished "
            "models");
  EXPECT_EQ(FieldText(plan, "leaves as sums"), "(no such field)");
  const std::string releases = FieldText(plan, "leaves under its name");
  for (const ReleaseRule& rule : StandardReleases()) EXPECT_TRUE(Has(releases, rule.block));
}

TEST(Plan, SaysInCapitalsWhatAHospitalMightRegret) {
  StudyOptions options;
  options.privacy = "{min_sites: 3, min_cell: 5, curvature: fast}";
  options.quorum = "{minimum: 3, grace_s: 90, then: restart-without}";
  options.leave_one_center_out = true;
  const auto plan = PlanOf(options, FactsAt("north"));
  EXPECT_TRUE(Has(FieldText(plan, "curvature"), "FAST: cross-products of any number of columns"));
  EXPECT_EQ(FieldText(plan, "restart"),
            "MAY START OVER without a site that leaves (after 90 s): the difference of totals "
            "tells the sums of the site that left");
  EXPECT_EQ(FieldText(plan, "leave-one-center-out"),
            "DISCLOSES: by differences of totals the coordinator learns this hospital's own sums "
            "(means, variances, gradients), not its rows");
  EXPECT_EQ(FieldText(plan, "this site"), "north trains, and is held out once");
  options = {};
  options.public_data = true;
  options.privacy = "{min_sites: 2, min_cell: 1, masks: false}";
  const auto open = PlanOf(options, FactsAt("north"));
  EXPECT_TRUE(Has(FieldText(open, "policy"), "PUBLIC DATA: two sites are enough for a sum"));
  EXPECT_EQ(FieldText(open, "masks"), "OFF: the coordinator sees this site's own sums");
}

TEST(Plan, NamesALeadWhoIsAlsoTheOperatorAndOneWhoIsPinned) {
  PlanFacts facts = FactsAt("north");
  EXPECT_EQ(FieldText(PlanOf({}, facts), "lead and operator"), "(no such field)");
  facts.coordinator_key = KeysOf("ines").signing.verifying_key();
  facts.policy.leads = {LeadFingerprint()};
  const auto plan = PlanOf({}, facts);
  EXPECT_EQ(FieldText(plan, "lead and operator"),
            "the lead's key is the coordinator's own: one party plans the study and adds the sums");
  EXPECT_TRUE(Has(FieldText(plan, "lead's key"), "; among this site's policy.leads"));
}

TEST(Plan, NamesALeadWhomTheCoordinatorDeclaresAsItsOperator) {
  PlanFacts facts = FactsAt("north");
  EXPECT_EQ(FieldText(PlanOf({}, facts), "lead and operator"), "(no such field)");
  facts.operated_by = "maria";
  EXPECT_EQ(FieldText(PlanOf({}, facts), "lead and operator"), "(no such field)");
  facts.operated_by = "ines";
  EXPECT_EQ(FieldText(PlanOf({}, facts), "lead and operator"),
            "the lead also operates the coordinator, by its own word: one party plans the study "
            "and adds the sums");
}

TEST(Plan, FitsATerminalHoweverLargeTheStudyIs) {
  StudyOptions options;
  options.title = std::string(3000, 'T');
  options.sites = {"north", "east", "south", "west"};
  for (int i = 0; i < 400; ++i) options.sites.push_back(fmt::format("hospital-{:03}", i));
  options.variables = "{age: {kind: continuous}, smoker: {kind: binary}";
  for (int i = 0; i < 300; ++i)
    options.variables += fmt::format(", variable_{}: {{kind: categorical, levels: [a, b, c]}}", i);
  options.variables += "}";
  const auto plan = PlanOf(options, FactsAt("north"));
  const auto lines = Lines(ToText(plan));
  EXPECT_LE(lines.size(), kPlanLinesMax);
  for (const std::string& line : lines) EXPECT_LE(line.size(), kPlanColumns) << line;
  std::string text;
  for (const std::string& line : lines) text += line.substr(line.find_first_not_of(' ')) + " ";
  EXPECT_TRUE(Has(text, "more"));
  // Nothing that a person must see is cut: these stand whole in the text.
  for (const char* name : {"submission", "minimum counts", "curvature", "masks", "restart"})
    EXPECT_TRUE(Has(text, FieldText(plan, name)));
  const auto json = nlohmann::json::parse(ToJson(plan));
  EXPECT_EQ(json["training sites"].size(), 403U);  // the JSON is whole
}

TEST(Plan, WordsOfOthersCannotMoveTheCursor) {
  StudyOptions options;
  options.title = "harmless\\e[2J\\nmasks   on\\u202e";
  const std::string text = ToText(PlanOf(options, FactsAt("north")));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find("\xE2\x80\xAE"), std::string::npos);
  EXPECT_TRUE(Has(text, "relapse: harmless?[2J?masks on?"));
}

TEST(Difference, NamesTheChangedFieldsAndNothingElse) {
  const PlanFacts facts = FactsAt("north");
  const auto before = PlanOf({}, facts);
  EXPECT_EQ(Difference(before, before), std::vector<std::string>{});
  StudyOptions options;
  options.privacy = "{min_sites: 3, min_cell: 8}";
  options.variables =
      "{age: {kind: continuous, unit: years}, stage: {kind: categorical, levels: "
      "[I, II]}}";
  options.quorum = "{minimum: 3, then: abort}";
  EXPECT_EQ(Difference(before, PlanOf(options, facts)),
            (std::vector<std::string>{
                "variables: + stage (I/II), - smoker (yes or no)",
                "minimum counts: + no count below 8 rows, - no count below 5 rows",
                "quorum: + at least 3 of 3, + a round waits up to 1 d, then: abort, - all 3 of "
                "them, - a round waits up to 1 d, then: wait"}));
  options = {};
  options.leave_one_center_out = true;
  const auto changes = Difference(before, PlanOf(options, facts));
  std::string all;
  for (const std::string& change : changes) all += change + "\n";
  EXPECT_TRUE(Has(all, "leave-one-center-out: was no, is DISCLOSES"));
  EXPECT_TRUE(Has(all, "held-out sites: was west"));
  EXPECT_TRUE(Has(all, ", is absent"));
}

// ---- policy -------------------------------------------------------------------------------------

TEST(Approval, ByPolicyNeedsTheWordLeadAndTheLeadsKey) {
  PlanFacts facts = FactsAt("north");
  EXPECT_EQ(RulesOf({}, facts, {}), Rules{"GATE_STUDY_NOT_APPROVED"});
  facts.policy.approve = SitePolicy::Approve::kLead;
  facts.policy.leads = {LeadFingerprint("somebody else")};
  EXPECT_EQ(RulesOf({}, facts, {}), Rules{"GATE_STUDY_NOT_APPROVED"});
  facts.policy.leads.push_back(LeadFingerprint());
  EXPECT_EQ(RulesOf({}, facts, {}), Rules{});

  const auto submission = Submitted();
  const auto study = Must(study::StudyOf(submission));
  const Approval approval = Must(ApprovalFor(submission, study, facts, {}, kNow));
  ASSERT_EQ(approval.pinned.size(), 4U);
  EXPECT_EQ(approval.pinned[0].fingerprint,
            FingerprintOf(KeysOf(approval.pinned[0].site).public_keys()));
  EXPECT_EQ(approval.releases, StandardReleases());
  EXPECT_EQ(approval.unix_ms, kNow);
  EXPECT_FALSE(approval.public_data || approval.fast_curvature || approval.restart_without ||
               approval.leave_one_center_out);
  EXPECT_EQ(approval.columns, (std::vector<std::string>{"x*", "age", "smoker", "relapse"}));
}

TEST(Approval, AtItsColumnsIsWhatTheGateTakes) {
  const auto submission = Submitted();
  const auto study = Must(study::StudyOf(submission));
  const auto resolved =
      Must(study::ResolveFeatures(study, {"case", "x1", "x2", "x3_Idmn", "age", "smoker"}));
  const Approval approval =
      AtColumns(Must(ApprovalFor(submission, study, FactsAt("north"), {true, {}}, kNow)), resolved);
  EXPECT_EQ(approval.columns, (std::vector<std::string>{"x1", "x2", "age", "smoker", "relapse"}));
  Ledger ledger("north");
  Gate gate({}, ledger);
  const auto approved = gate.ApproveStudy(resolved, approval);
  EXPECT_TRUE(approved.has_value()) << approved.error().message;
}

TEST(Approval, HardLimitsHoldAgainstAPersonToo) {
  StudyOptions options;
  options.public_data = true;
  options.privacy = "{min_sites: 2, min_cell: 1, masks: false}";
  PlanFacts facts = FactsAt("north");
  EXPECT_EQ(RulesOf(options, facts, {true, {"fast-curvature"}}), Rules{"GATE_POLICY_NOT_APPROVED"});
  facts.policy.allow_public_data = true;
  EXPECT_EQ(RulesOf(options, facts, {true, {}}), Rules{});
  facts.policy.min_sites = 4;
  facts.policy.min_cell = 10;
  EXPECT_EQ(RulesOf({}, facts, {true, {}}), (Rules{"GATE_MIN_SITES", "GATE_CELL_TOO_SMALL"}));
  const auto error =
      ApprovalFor(Submitted(), Must(study::StudyOf(Submitted())), facts, {true, {}}, kNow);
  ASSERT_FALSE(error.has_value());
  EXPECT_EQ(error.error().code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(error.error().message,
            "GATE_MIN_SITES: the study adds over at least 3 sites, this site asks for 4\n"
            "GATE_CELL_TOO_SMALL: the study shows counts from 5 rows on, this site asks for 10");
}

TEST(Approval, WhatDisclosesMoreIsAcceptedByWordOrByPolicyAndOneByOne) {
  struct Case {
    const char* word;
    const char* rule;
    StudyOptions options;
    bool SitePolicy::*allow;
    bool Approval::*given;
  };
  StudyOptions fast, restart, leave;
  fast.privacy = "{curvature: fast}";
  restart.quorum = "{minimum: 3, then: restart-without}";
  restart.sites = {"north", "east", "south", "west", "more"};
  leave.leave_one_center_out = true;
  const std::vector<Case> cases = {
      {"fast-curvature", "GATE_FAST_NOT_APPROVED", fast, &SitePolicy::allow_fast_curvature,
       &Approval::fast_curvature},
      {"restart-without", "GATE_RESTART_NOT_APPROVED", restart, &SitePolicy::allow_restart_without,
       &Approval::restart_without},
      {"leave-one-center-out", "GATE_NO_CONSENT", leave, &SitePolicy::allow_leave_one_center_out,
       &Approval::leave_one_center_out}};
  for (const Case& one : cases) {
    PlanFacts facts = FactsAt("north");
    facts.policy.approve = SitePolicy::Approve::kLead;
    facts.policy.leads = {LeadFingerprint()};
    EXPECT_EQ(RulesOf(one.options, facts, {}), Rules{one.rule});
    EXPECT_EQ(RulesOf(one.options, facts, {true, {}}), Rules{one.rule});
    // Words that nobody said in person do not count, nor do other words.
    EXPECT_EQ(RulesOf(one.options, facts, {false, {one.word}}), Rules{one.rule});
    for (const Case& other : cases) {
      if (other.word == one.word) continue;
      EXPECT_EQ(RulesOf(one.options, facts, {true, {other.word}}), Rules{one.rule});
    }
    EXPECT_EQ(RulesOf(one.options, facts, {true, {one.word}}), Rules{});
    facts.policy.*one.allow = true;
    EXPECT_EQ(RulesOf(one.options, facts, {}), Rules{});
    const auto submission = Submitted(one.options);
    const Approval approval =
        Must(ApprovalFor(submission, Must(study::StudyOf(submission)), facts, {}, kNow));
    for (const Case& other : cases)
      EXPECT_EQ(approval.*other.given, other.word == one.word) << one.word << other.word;
  }
}

TEST(Approval, AStudyWithOtherKeysForThisSiteOrWithoutItIsRefused) {
  PlanFacts facts = FactsAt("north");
  facts.keys = KeysOf("north, enrolled anew").public_keys();
  EXPECT_EQ(RulesOf({}, facts, {true, {}}), Rules{"GATE_KEY_NOT_PINNED"});
  EXPECT_EQ(RulesOf({}, FactsAt("elsewhere"), {true, {}}), Rules{"GATE_UNKNOWN_MEMBER"});
}

}  // namespace
}  // namespace consilium::site_agent
