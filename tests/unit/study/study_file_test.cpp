#include "study/study_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace consilium::study {
namespace {

constexpr std::string_view kStudy = R"(name: demo
title: Five hospitals
seed: 7
policy: private
sites: [A, B, C, D, E]
institutions: {A: North, B: South}
outcome: relapse
event: relapse within a year
patient: case
variables:
  age: {kind: continuous, unit: years}
  sex: {kind: binary}
  stage: {kind: categorical, levels: [I, II, III]}
features:
  shape: {include: [original_shape_*]}
  texture: {include: ["*_glcm_*"], exclude: ["*_Idm?"]}
feature_sets:
  radiomics: [shape, texture]
  combined: [shape, stage, age]
harmonizations:
  none: {method: none}
  combat: {method: combat, preserve: [age, sex]}
models:
  lasso: {lambda: 1se, lambda_count: 50, feature_sets: [radiomics, combined]}
folds: {count: 5}
held_out: [E]
primary: {model: lasso, features: combined, harmonization: combat, lambda: 1se}
margin: 0.05
auc_floor: 0.6
thresholds: {values: [0.2, 0.4], range: [0.1, 0.8]}
privacy: {min_sites: 3, min_cell: 5, curvature: strict, masks: true}
quorum: {required: [A, B], minimum: 3, grace_s: 10, deadline_s: 60, then: restart-without}
minimum_rows: 12
known_external_auc: {E: 0.75}
)";

std::string Changed(std::string_view from, std::string_view to) {
  std::string text(kStudy);
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

std::string LeaveOneOut(std::string_view consents) {
  return Changed("held_out: [E]",
                 "design: leave-one-center-out\nconsents: " + std::string(consents));
}

void ExpectHas(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
}

const std::vector<std::string> kHeader = {"id",
                                          "original_glcm_Idm",
                                          "original_shape_Volume",
                                          "log_glcm_Idmn",
                                          "log_glcm_Contrast",
                                          "original_shape_Area"};

TEST(StudyFile, ReadsEveryFieldOfACompleteStudy) {
  const auto study = ParseStudy(kStudy, "s.yaml");
  ASSERT_TRUE(study.has_value()) << study.error().message;
  EXPECT_EQ(study->name, "demo");
  EXPECT_EQ(study->seed, 7U);
  EXPECT_EQ(study->policy, Policy::kPrivate);
  EXPECT_EQ(study->institutions.at("A"), "North");
  EXPECT_EQ(study->institutions.at("C"), "C");  // by default a site is its own institution
  EXPECT_EQ(study->variables[2].levels, (std::vector<std::string>{"I", "II", "III"}));
  EXPECT_EQ(study->harmonizations[1].preserve, (std::vector<std::string>{"age", "sex"}));
  EXPECT_EQ(study->models[0].lambda_rule, LambdaRule::kOneSe);
  EXPECT_EQ(study->models[0].lambda_count, 50);
  EXPECT_EQ(study->folds.count, 5);
  EXPECT_EQ(study->held_out, std::vector<std::string>{"E"});
  EXPECT_EQ(study->primary->features, "combined");
  EXPECT_EQ(study->primary->lambda_rule, LambdaRule::kOneSe);
  EXPECT_EQ(study->margin, 0.05);
  EXPECT_EQ(study->thresholds.values, (std::vector<double>{0.2, 0.4}));
  EXPECT_EQ(study->thresholds.range_high, 0.8);
  EXPECT_EQ(study->quorum.minimum, 3);
  EXPECT_EQ(study->quorum.then, "restart-without");
  EXPECT_EQ(study->minimum_rows, 12);
  EXPECT_EQ(study->known_external_auc.at("E"), 0.75);
  EXPECT_EQ(study->file_digest, Sha256(kStudy));
  EXPECT_EQ(TrainingCenters(*study), (std::vector<std::string>{"A", "B", "C", "D"}));
}

TEST(StudyFile, CarriesItsExtractionWordForWord) {
  const std::string section =
      "extraction:\n  engine: e 1\n  settings: |2+\n    # binWidth\n    setting: {binWidth: 5}\n\n"
      "  phantom:\n    original_shape_Volume: 2.5\n    f: -1e-7\nfolds:";
  const auto study = ParseStudy(Changed("folds:", section), "s.yaml");
  ASSERT_TRUE(study.has_value()) << study.error().message;
  ASSERT_TRUE(study->extraction.has_value());
  EXPECT_EQ(study->extraction->engine, "e 1");
  EXPECT_EQ(study->extraction->settings, "# binWidth\nsetting: {binWidth: 5}\n\n");
  EXPECT_EQ(study->extraction->settings_digest, Sha256("# binWidth\nsetting: {binWidth: 5}\n\n"));
  EXPECT_EQ(study->extraction->phantom.at("f"), -1e-7);
  EXPECT_FALSE(ParseStudy(kStudy, "s.yaml")->extraction.has_value());

  const auto without = ParseStudy(Changed("folds:", "extraction: {engine: e}\nfolds:"), "s.yaml");
  ASSERT_FALSE(without.has_value());
  ExpectHas(without.error().message, "'extraction.settings': is missing");
  ExpectHas(without.error().message, "consilium-extract phantom");
}

TEST(StudyFile, SmallestStudyTakesTheDefaults) {
  const auto study = ParseStudy(
      "name: s\nsites: [A, B, C, D]\noutcome: y\nevent: death\npatient: id\n"
      "features: {all: {include: ['*']}}\nmodels: {lasso: {}}\nheld_out: [D]\n",
      "s.yaml");
  ASSERT_TRUE(study.has_value()) << study.error().message;
  EXPECT_FALSE(study->primary.has_value());
  EXPECT_EQ(study->feature_sets.at(0).name, "all");
  EXPECT_EQ(study->models.at(0).feature_sets, std::vector<std::string>{"all"});
  EXPECT_EQ(study->harmonizations.at(0).method, "none");
  EXPECT_EQ(study->folds.count, 10);
  EXPECT_EQ(study->margin, 0.10);
}

TEST(StudyFile, FeaturesResolveInTheOrderOfTheHeaderGroupAfterGroup) {
  const auto study = ParseStudy(kStudy, "s.yaml");
  const auto resolved = ResolveFeatures(*study, kHeader);
  ASSERT_TRUE(resolved.has_value()) << resolved.error().message;
  EXPECT_EQ(resolved->feature_columns,
            (std::vector<std::string>{"original_shape_Volume", "original_shape_Area",
                                      "original_glcm_Idm", "log_glcm_Contrast"}));
  EXPECT_EQ(FeatureSetColumns(*resolved, "combined"),
            (std::vector<std::string>{"original_shape_Volume", "original_shape_Area", "stage=II",
                                      "stage=III", "age"}));
  EXPECT_EQ(CovariateColumns(*resolved),
            (std::vector<std::string>{"age", "sex", "stage=II", "stage=III"}));
  EXPECT_TRUE(FeatureSetColumns(*resolved, "no such set").empty());
}

TEST(StudyFile, DigestNamesTheBytesOfTheFileAndTheResolvedColumns) {
  const auto study = ParseStudy(kStudy, "s.yaml");
  const auto one = ResolveFeatures(*study, kHeader);
  std::vector<std::string> with_unused = kHeader;
  with_unused.push_back("note");
  EXPECT_EQ(one->digest,
            ResolveFeatures(*study, with_unused)->digest);  // an unused column is no change
  std::vector<std::string> with_another = kHeader;
  with_another.push_back("square_glcm_Contrast");
  EXPECT_NE(one->digest, ResolveFeatures(*study, with_another)->digest);
  const auto other = ParseStudy(Changed("seed: 7", "seed: 8"), "s.yaml");
  EXPECT_NE(one->digest, ResolveFeatures(*other, kHeader)->digest);
  EXPECT_EQ(one->digest,
            ResolveFeatures(*one, kHeader)->digest);  // resolving twice changes nothing
}

TEST(StudyFile, PatternsThatMatchNothingAreNamedWithTheNearestColumn) {
  const auto study =
      ParseStudy(Changed("include: [original_shape_*]",
                         "include: [original_shape_*, original_shape_Volum, wavelet_*]"),
                 "s.yaml");
  const auto resolved = ResolveFeatures(*study, kHeader);
  ASSERT_FALSE(resolved.has_value());
  ExpectHas(resolved.error().message,
            "study 'demo': field 'features.shape': column 'original_shape_Volum' is not in the "
            "header (did you "
            "mean 'original_shape_Volume'?)");
  ExpectHas(resolved.error().message, "pattern 'wavelet_*' matches none of the 6 columns");
}

TEST(StudyFile, AColumnInTwoGroupsOrNamedLikeTheOutcomeIsRefused) {
  const auto study = ParseStudy(Changed("include: [original_shape_*]", "include: ['*']"), "s.yaml");
  std::vector<std::string> header = kHeader;
  header.push_back("relapse");
  header.push_back("age");
  const auto resolved = ResolveFeatures(*study, header);
  ASSERT_FALSE(resolved.has_value());
  ExpectHas(resolved.error().message,
            "selects column 'relapse', which has the name of the outcome");
  ExpectHas(resolved.error().message, "selects column 'age', which has the name of a variable");
  ExpectHas(resolved.error().message, "'original_glcm_Idm', which is in group 'shape' already");
}

TEST(StudyFile, HarmonizationOnlyStudyMayProtectTheOutcomeWhenItSaysSo) {
  const std::string yaml =
      "name: s\nsites: [A, B, C]\noutcome: y\nevent: death\npatient: id\nfeatures: {all: {include: "
      "['*']}}\n"
      "harmonizations: {combat: {method: combat, preserve: [y], allow_outcome: true}}\n";
  const auto study = ParseStudy(yaml, "s.yaml");
  ASSERT_TRUE(study.has_value()) << study.error().message;
  EXPECT_TRUE(study->harmonizations[0].allow_outcome);
}

TEST(StudyFile, LeaveOneCenterOutTrainsEverywhereOnceEverySiteConsented) {
  const auto turned = ParseStudy(LeaveOneOut("[A, B, C, D, E]"), "s.yaml");
  ASSERT_TRUE(turned.has_value()) << turned.error().message;
  EXPECT_EQ(turned->design, Design::kLeaveOneCenterOut);
  EXPECT_EQ(TrainingCenters(*turned).size(), 5U);
}

struct Wrong {
  std::string from;
  std::string to;
  std::string place;  // where: file, line and field
  std::string what;   // what was found or expected, and the next step
  ErrorCode code = ErrorCode::kInvalidArgument;
};

// Each of these is one mistake in an otherwise right study.
TEST(StudyFile, EveryMistakeIsToldWithItsPlaceAndTheNextStep) {
  const std::vector<Wrong> mistakes = {
      {"name: demo\n", "", "s.yaml:1:1: field 'name'", "is missing: a short name"},
      {"name: demo", "name: a/b", "s.yaml:1:7: field 'name'", "rename it"},
      {"title: Five", "titel: Five", "s.yaml:2:1: unknown key 'titel'", "did you mean 'title'?"},
      {"seed: 7", "seed: -1", "s.yaml:3:7: field 'seed'", "expected a whole number from 0"},
      {"seed: 7", "seed: 7\nseed: 8", "s.yaml:4:1: key 'seed'",
       "appears twice in one mapping, first on line 3"},
      {"policy: private", "policy: public", "s.yaml:4:9: field 'policy'",
       "expected one of: private, public-data"},
      {"[A, B, C, D, E]", "[A, B, C, D, E, A]", "s.yaml:5:24: field 'sites[6]'",
       "listed twice; remove one"},
      {"{A: North", "{F: North", "s.yaml:6:19: field 'institutions.F'",
       "not among the study's sites"},
      {"outcome: relapse\n", "", "field 'outcome'", "is missing: name the outcome variable"},
      {"event: relapse within a year\n", "", "field 'event'", "no direction is guessed"},
      {"patient: case\n", "", "field 'patient'", "cases of one patient stay in one fold"},
      {"kind: binary", "kind: boolean", "s.yaml:12:15: field 'variables.sex.kind'",
       "expected one of: continuous"},
      {"levels: [I, II, III]", "levels: [I]", "field 'variables.stage'", "fewer than 2 levels"},
      {"age: {kind", "relapse: {kind", "field 'variables.relapse'", "is the outcome"},
      {"[shape, stage, age]", "[shape, stage, agee]", "s.yaml:19:13: field 'feature_sets.combined'",
       "unknown variable or feature group 'agee' (did you mean 'age'?)"},
      {"[shape, stage, age]", "[shape, relapse]", "field 'feature_sets.combined'",
       "predicts itself; remove it"},
      {"include: [original_shape_*]", "include: []", "s.yaml:15:20: field 'features.shape.include'",
       "is empty"},
      {"preserve: [age, sex]", "preserve: [age, weight]", "field 'harmonizations.combat.preserve'",
       "unknown variable 'weight'"},
      {"preserve: [age, sex]", "preserve: [age, relapse]",
       "s.yaml:22:38: field 'harmonizations.combat.preserve'", "leaks the label into the features",
       ErrorCode::kPermissionDenied},
      {"preserve: [age, sex]", "allow_outcome: true", "field 'harmonizations.combat.allow_outcome'",
       "this one trains a model", ErrorCode::kPermissionDenied},
      {"method: combat", "method: zscore", "field 'harmonizations.combat.method'",
       "expected one of: none, combat"},
      {"lambda_count: 50", "lambda_count: 1", "field 'models.lasso.lambda_count'",
       "from 2 to 1000"},
      {"feature_sets: [radiomics, combined]", "feature_sets: [radiomics, clinical]",
       "s.yaml:24:56: field 'models.lasso.feature_sets'", "unknown feature set 'clinical'"},
      {"held_out: [E]", "held_out: [F]", "s.yaml:26:11: field 'held_out'",
       "'F' is not among the study's sites"},
      {"held_out: [E]\n", "", "field 'held_out'", "names no center"},
      {"held_out: [E]", "held_out: [D, E, C]", "s.yaml:5:8: field 'sites'",
       "2 training centers are left in a fit", ErrorCode::kInvalidArgument},
      {"folds: {count: 5}", "folds: {count: 1}", "s.yaml:25:16: field 'folds.count'",
       "from 2 to 100"},
      {"{model: lasso", "{model: forest", "s.yaml:27:18: field 'primary.model'",
       "'forest' does not exist"},
      {"harmonization: combat, lambda", "harmonization: combatt, lambda",
       "field 'primary.harmonization'", "did you mean 'combat'?"},
      {"lambda: 1se}", "lambda: min}", "s.yaml:27:76: field 'primary.lambda'", "make them equal"},
      {"[radiomics, combined]}", "[radiomics]}", "field 'primary.features'",
       "is not fitted on 'combined'"},
      {"margin: 0.05", "margin: 0.6", "s.yaml:28:9: field 'margin'",
       "expected a number in (0, 0.5]"},
      {"auc_floor: 0.6", "auc_floor: high", "s.yaml:29:12: field 'auc_floor'",
       "expected a number such as"},
      {"values: [0.2, 0.4]", "values: [0.2, 1]", "s.yaml:30:28: field 'thresholds.values[2]'",
       "expected a number in (0, 1)"},
      {"values: [0.2, 0.4]", "values: [0.1, 0.2, 0.3, 0.4]", "field 'thresholds.values'",
       "found 4 thresholds, expected 1 to 3"},
      {"values: [0.2, 0.4]", "values: [0.4, 0.2]", "field 'thresholds.values[2]'", "ascending"},
      {"range: [0.1, 0.8]", "range: [0.8, 0.1]", "field 'thresholds.range'",
       "swap or correct them"},
      {"thresholds: {values: [0.2, 0.4], range: [0.1, 0.8]}\n", "", "field 'thresholds'",
       "is missing"},
      {"min_sites: 3", "min_sites: 2", "s.yaml:31:22: field 'privacy.min_sites'",
       "fewer only under policy: public-data", ErrorCode::kPermissionDenied},
      {"min_cell: 5", "min_cell: 4", "field 'privacy.min_cell'", "expected at least 5",
       ErrorCode::kPermissionDenied},
      {"masks: true", "masks: false", "field 'privacy.masks'",
       "false only under policy: public-data", ErrorCode::kPermissionDenied},
      {"minimum: 3", "minimum: 5", "s.yaml:32:37: field 'quorum.minimum'",
       "no round could end; lower it"},
      {"required: [A, B]", "required: [A, E]", "s.yaml:32:20: field 'quorum.required'",
       "'E' is held out"},
      {"required: [A, B]", "required: [A, B, C, D]", "field 'quorum.minimum'",
       "contradicts 'required'"},
      {"minimum: 3", "minimum: 2", "field 'quorum.minimum'", "below privacy.min_sites = 3",
       ErrorCode::kPermissionDenied},
      {"minimum: 3", "minimum: 4", "field 'quorum.then'", "needs a center that may be missing"},
      {"grace_s: 10", "grace_s: 100", "field 'quorum'", "grace_s = 100 is beyond deadline_s = 60"},
      {"minimum_rows: 12", "minimum_rows: 0", "s.yaml:33:15: field 'minimum_rows'", "from 2 to"},
      {"{E: 0.75}", "{A: 0.75}", "field 'known_external_auc.A'", "is no held-out center"},
  };
  for (const Wrong& wrong : mistakes) {
    SCOPED_TRACE(wrong.from + " -> " + wrong.to);
    const auto study = ParseStudy(Changed(wrong.from, wrong.to), "s.yaml");
    ASSERT_FALSE(study.has_value());
    ExpectHas(study.error().message, wrong.place);
    ExpectHas(study.error().message, wrong.what);
    EXPECT_EQ(Name(study.error().code), Name(wrong.code));
  }
}

TEST(StudyFile, LeaveOneCenterOutWithoutEveryConsentIsDeniedWithTheReason) {
  const auto study = ParseStudy(LeaveOneOut("[A, B, C]"), "s.yaml");
  ASSERT_FALSE(study.has_value());
  ExpectHas(study.error().message, "field 'design'");
  ExpectHas(study.error().message, "discloses each site's own moments");
  ExpectHas(study.error().message, "missing: D, E; list them under 'consents'");
}

TEST(StudyFile, AllProblemsAreToldAtOnce) {
  std::string yaml = Changed("margin: 0.05", "margin: 2");
  yaml.replace(yaml.find("seed: 7"), 7, "sed: 7");
  yaml.replace(yaml.find("held_out: [E]"), 13, "held_out: [X]");
  const auto study = ParseStudy(yaml, "s.yaml");
  ASSERT_FALSE(study.has_value());
  ExpectHas(study.error().message, "unknown key 'sed'");
  ExpectHas(study.error().message, "field 'margin'");
  ExpectHas(study.error().message, "'X' is not among");
}

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST(StudyFile, ShippedStudiesAreRightAsTheyStand) {
  for (const char* name : {"lung6", "heart"}) {
    const std::string path =
        std::string(CONSILIUM_SOURCE_DIR) + "/deploy/studies/" + name + "/study.yaml";
    const auto study = ParseStudy(FileText(path), path);
    ASSERT_TRUE(study.has_value()) << study.error().message;
    EXPECT_EQ(study->name, name);
    EXPECT_EQ(study->design, Design::kLeaveOneCenterOut);
    EXPECT_TRUE(study->primary.has_value());
  }
}

TEST(StudyFile, TheExampleInTheDocumentationIsRight) {
  const std::string page = FileText(std::string(CONSILIUM_SOURCE_DIR) + "/docs/formats/study.md");
  const auto begin = page.find("```yaml\n") + 8;
  const auto study = ParseStudy(page.substr(begin, page.find("```\n", begin) - begin), "study.md");
  ASSERT_TRUE(study.has_value()) << study.error().message;
  EXPECT_EQ(study->name, "demo");
}

}  // namespace
}  // namespace consilium::study
