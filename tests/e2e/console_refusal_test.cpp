// Wrong inputs through the real program: the documented exit code, a message that says where and
// what, and not one byte of a log or report.
#include <algorithm>
#include <functional>

#include "tests/e2e/console_fixture.h"
#include "tests/support/small_study.h"

namespace consilium::e2e {
namespace {

const std::vector<std::string> kSites = {"north", "east", "south", "west"};

// One run that somebody got wrong: begins right, `spoil` makes it wrong.
struct Attempt {
  StudyFiles files;
  std::vector<std::string> folders;
  std::vector<std::string> arguments = SimulateArguments(kSites);

  // Replaces the first `from` in a file; a test that changes nothing would test nothing.
  void Replace(const std::string& file, const std::string& from, const std::string& to) {
    std::string& text = files.at(file);
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << file << " has no '" << from << "'";
    text.replace(at, from.size(), to);
  }
  void Append(const std::string& file, const std::string& text) { files.at(file) += text; }
  void RemoveArguments(const std::string& first, int count) {
    const auto at = std::find(arguments.begin(), arguments.end(), first);
    ASSERT_NE(at, arguments.end()) << first;
    arguments.erase(at, at + count);
  }
  // Cell `column` of data row `row` (from 1) of a table.
  void SetCell(const std::string& file, int row, int column, const std::string& value) {
    std::string& text = files.at(file);
    std::size_t at = 0;
    for (int line = 0; line < row; ++line) at = text.find('\n', at) + 1;
    for (int cell = 0; cell < column; ++cell) at = text.find(',', at) + 1;
    const std::size_t end = text.find_first_of(",\n", at);
    text.replace(at, end - at, value);
  }
};

struct Wrong {
  std::string name;
  int exit_code;
  std::vector<std::string> said;  // all of them stand in the message
  std::function<void(Attempt&)> spoil;
};
void PrintTo(const Wrong& wrong, std::ostream* out) { *out << wrong.name; }

constexpr int kUsage = 2, kFile = 3, kDisclosure = 4;

std::function<void(Attempt&)> InStudy(const std::string& from, const std::string& to) {
  return [=](Attempt& attempt) { attempt.Replace("study.yaml", from, to); };
}
std::function<void(Attempt&)> InCohort(const std::string& from, const std::string& to) {
  return [=](Attempt& attempt) { attempt.Replace("east.yaml", from, to); };
}
std::function<void(Attempt&)> AddToStudy(const std::string& text) {
  return [=](Attempt& attempt) { attempt.Append("study.yaml", text); };
}
std::function<void(Attempt&)> Cell(int row, int column, const std::string& value) {
  return [=](Attempt& attempt) { attempt.SetCell("east.csv", row, column, value); };
}

std::vector<Wrong> WrongInputs() {
  return {
      // The command line.
      {"UnknownVerb", kUsage, {"simulat"}, [](Attempt& a) { a.arguments[0] = "simulat"; }},
      {"UnknownOption", kUsage, {"--fast"}, [](Attempt& a) { a.arguments.emplace_back("--fast"); }},
      {"NoOut", kUsage, {"--out"}, [](Attempt& a) { a.RemoveArguments("--out", 2); }},
      {"NoSites",
       kUsage,
       {"--site"},
       [](Attempt& a) {
         a.arguments = {"simulate", "study.yaml", "--out", "out"};
       }},
      {"SiteWithoutCohort",
       kUsage,
       {"--site north", "NAME=COHORT.yaml"},
       [](Attempt& a) { a.arguments[3] = "north"; }},
      {"SiteGivenTwice",
       kUsage,
       {"--site north", "twice"},
       [](Attempt& a) {
         a.arguments.insert(a.arguments.begin() + 2, {"--site", "north=east.yaml"});
       }},
      {"NoThreads",
       kUsage,
       {"--threads"},
       [](Attempt& a) {
         a.arguments.insert(a.arguments.end(), {"--threads", "0"});
       }},
      {"ThreadsInWords",
       kUsage,
       {"--threads"},
       [](Attempt& a) {
         a.arguments.insert(a.arguments.end(), {"--threads", "two"});
       }},
      // Sites and files.
      {"UnknownSite",
       kFile,
       {"--site noth", "no such site", "north"},
       [](Attempt& a) { a.arguments[3] = "noth=north.yaml"; }},
      {"SiteLeftOut",
       kFile,
       {"site west", "--site west="},
       [](Attempt& a) {
         a.arguments = SimulateArguments({"north", "east", "south"});
       }},
      {"StudyMissing",
       kFile,
       {"study.yaml", "cannot be read"},
       [](Attempt& a) { a.files.erase("study.yaml"); }},
      {"StudyIsAFolder",
       kFile,
       {"study.yaml", "is a folder"},
       [](Attempt& a) { a.files.erase("study.yaml"), a.folders.emplace_back("study.yaml"); }},
      {"CohortFileMissing",
       kFile,
       {"site east", "east.yaml", "cannot be read"},
       [](Attempt& a) { a.files.erase("east.yaml"); }},
      {"TableMissing",
       kFile,
       {"site east", "east.csv", "cannot be read"},
       [](Attempt& a) { a.files.erase("east.csv"); }},
      {"TableIsAFolder",
       kFile,
       {"site east", "east.csv", "is a folder"},
       [](Attempt& a) { a.files.erase("east.csv"), a.folders.emplace_back("east.csv"); }},
      {"OutIsAFile",
       kFile,
       {"out", "cannot be"},
       [](Attempt& a) { a.files["out"] = "not a folder"; }},
      {"OutBelowAFile",
       kFile,
       {"out/below", "cannot be"},
       [](Attempt& a) { a.files["out"] = "not a folder", a.arguments.back() = "out/below"; }},
      // The study file.
      {"EmptyStudy", kFile, {"study.yaml"}, [](Attempt& a) { a.files["study.yaml"] = ""; }},
      {"NotYaml",
       kFile,
       {"study.yaml:"},
       [](Attempt& a) { a.files["study.yaml"] = "name: [small\nsites: }"; }},
      {"DuplicateKey", kFile, {"study.yaml:", "seed"}, AddToStudy("seed: 21\n")},
      {"UnknownKey", kFile, {"study.yaml:", "margn", "margin"}, AddToStudy("margn: 0.1\n")},
      {"UnknownPolicy",
       kFile,
       {"study.yaml:4", "policy"},
       InStudy("policy: private", "policy: secret")},
      {"HeldOutCenterThatDoesNotExist",
       kFile,
       {"held_out", "wst", "west"},
       InStudy("held_out: [west]", "held_out: [wst]")},
      {"UnknownVariableInAFeatureSet",
       kFile,
       {"feature_sets.combined", "smokr", "smoker"},
       InStudy("radiomics, age, smoker", "radiomics, age, smokr")},
      {"UnknownVariableToPreserve",
       kFile,
       {"preserve", "ages", "age"},
       InStudy("preserve: [age]", "preserve: [ages]")},
      {"PatternThatMatchesNothing",
       kFile,
       {"features.radiomics", "wavelet_*"},
       InStudy("\"x*\"", "\"wavelet_*\"")},
      {"CategoricalWithoutLevels",
       kFile,
       {"variables.smoker", "levels"},
       InStudy("kind: binary", "kind: categorical")},
      {"QuorumBelowTheRequired",
       kFile,
       {"quorum.minimum", "contradicts"},
       AddToStudy("quorum: {required: [north, east, south], minimum: 2}\n")},
      {"QuorumAboveTheSites",
       kFile,
       {"quorum.minimum", "no round could end"},
       AddToStudy("quorum: {minimum: 4}\n")},
      {"QuorumRequiresTheHeldOut",
       kFile,
       {"quorum.required", "west"},
       AddToStudy("quorum: {required: [west]}\n")},
      {"GraceBeyondTheDeadline",
       kFile,
       {"quorum", "grace_s"},
       AddToStudy("quorum: {grace_s: 100, deadline_s: 10}\n")},
      {"ThresholdOutOfRange", kFile, {"thresholds", "1.5"}, InStudy("[0.3, 0.5]", "[0.3, 1.5]")},
      {"ThresholdsDescending",
       kFile,
       {"thresholds", "ascending"},
       InStudy("[0.3, 0.5]", "[0.5, 0.3]")},
      {"PrimaryWithoutThresholds",
       kFile,
       {"thresholds", "missing"},
       InStudy("thresholds: [0.3, 0.5]\n", "")},
      {"PrimaryModelThatDoesNotExist",
       kFile,
       {"primary.model", "laso", "lasso"},
       InStudy("{model: lasso,", "{model: laso,")},
      {"MarginOutOfRange", kFile, {"margin", "0.9"}, AddToStudy("margin: 0.9\n")},
      {"OneFold", kFile, {"folds.count"}, InStudy("count: 5", "count: 1")},
      {"OneLambda", kFile, {"lambda_count"}, InStudy("lambda_count: 20", "lambda_count: 1")},
      {"TextForANumber",
       kFile,
       {"lambda_count", "twenty"},
       InStudy("lambda_count: 20", "lambda_count: twenty")},
      // Disclosure rules that the study file already breaks.
      {"OutcomeIsPreserved",
       kDisclosure,
       {"preserve", "relapse", "leaks"},
       InStudy("preserve: [age]", "preserve: [age, relapse]")},
      {"ConsentsMissing",
       kDisclosure,
       {"consents"},
       InStudy("design: named-held-out\nheld_out: [west]",
               "design: leave-one-center-out\nconsents: [north, east]")},
      {"TwoSitesMin", kDisclosure, {"privacy.min_sites"}, InStudy("min_sites: 3", "min_sites: 2")},
      {"CellsBelowFive",
       kDisclosure,
       {"privacy.min_cell"},
       InStudy("min_sites: 3", "min_sites: 3, min_cell: 4")},
      {"TooFewTrainingCenters",
       kDisclosure,
       {"sites", "2 training centers"},
       InStudy("held_out: [west]", "held_out: [south, west]")},
      {"MasksOffInAPrivateStudy",
       kDisclosure,
       {"privacy.masks"},
       InStudy("min_sites: 3", "min_sites: 3, masks: false")},
      {"NoMasksOnTheCommandLine",
       kDisclosure,
       {"site ", "masks"},
       [](Attempt& a) { a.arguments.emplace_back("--no-masks"); }},
      // The cohort file.
      {"CohortOfAnotherSite",
       kFile,
       {"east.yaml", "'north'", "'east'"},
       InCohort("site: east", "site: north")},
      {"UnknownKeyInTheCohort",
       kFile,
       {"east.yaml:", "radiomic"},
       InCohort("radiomics:", "radiomic:")},
      {"PathThatClimbs",
       kFile,
       {"east.yaml:2", "radiomics", "climbs"},
       InCohort("east.csv", "../east.csv")},
      {"CodeThatMeansTwoThings",
       kFile,
       {"east.yaml:", "twice"},
       InCohort("non_event: [\"0\"]", "non_event: [\"1\"]")},
      {"VariableWithoutAMapping",
       kFile,
       {"east", "age"},
       InCohort("  age: {column: age, unit: years}\n", "")},
      {"VariableInAWrongColumn",
       kFile,
       {"site east", "ages"},
       InCohort("column: age,", "column: ages,")},
      {"OutcomeInAWrongColumn",
       kFile,
       {"site east", "relaps"},
       InCohort("column: relapse", "column: relaps")},
      {"AnotherUnit", kFile, {"age", "months", "years"}, InCohort("unit: years", "unit: months")},
      // The table.
      {"EmptyTable",
       kFile,
       {"site east", "east.csv"},
       [](Attempt& a) { a.files["east.csv"] = ""; }},
      {"HeaderOnly",
       kFile,
       {"site east"},
       [](Attempt& a) { a.files["east.csv"] = testing::SmallCsv({}); }},
      {"RaggedRow",
       kFile,
       {"site east", "east.csv:9"},
       [](Attempt& a) { a.SetCell("east.csv", 8, 4, "1,1"); }},
      {"UnclosedQuote", kFile, {"site east", "east.csv"}, Cell(8, 6, "\"11.5")},
      {"TextInANumber", kFile, {"site east", "east.csv:5", "x03"}, Cell(4, 7, "high")},
      {"UnknownCodeOfTheOutcome", kFile, {"site east", "east.csv:5", "relapse"}, Cell(4, 2, "2")},
      {"UnknownCodeOfAVariable", kFile, {"site east", "east.csv:5", "smoker"}, Cell(4, 4, "often")},
      {"DuplicateIds", kFile, {"site east", "id", "repeated_ids"}, Cell(4, 0, "east-001")},
      {"FeatureColumnMissing",
       kFile,
       {"site east", "x07"},
       [](Attempt& a) { a.Replace("east.csv", ",x07,", ",y07,"); }},
      {"ColumnTwice",
       kFile,
       {"site east", "x07"},
       [](Attempt& a) { a.Replace("east.csv", ",x08,", ",x07,"); }},
      {"OneClassOnly",
       kFile,
       {"site east", "event"},
       [](Attempt& a) {
         for (int row = 1; row <= 66; ++row) a.SetCell("east.csv", row, 2, "0");
       }},
      {"FewerThanTheMinimum",
       kFile,
       {"site east", "minimum_rows", "9"},
       [](Attempt& a) {
         auto cases = testing::SmallHospitals()[1].cases;
         cases.resize(9);
         a.files["east.csv"] = testing::SmallCsv(cases);
       }},
      {"FoldOutOfRange",
       kFile,
       {"site east", "east.csv:5", "fold"},
       [](Attempt& a) {
         a.Replace("study.yaml", "count: 5", "count: 5, column: fold"),
             a.SetCell("east.csv", 4, 1, "6");
       }},
  };
}

class WrongInput : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongInput, IsRefusedBeforeAnyRoundWithAMessageThatHelps) {
  const Wrong& wrong = GetParam();
  Attempt attempt;
  attempt.files["study.yaml"] = testing::SmallStudyYaml();
  for (const testing::SmallHospital& hospital : testing::SmallHospitals()) {
    attempt.files[hospital.name + ".yaml"] = testing::SmallCohortYaml(hospital.name);
    attempt.files[hospital.name + ".csv"] = testing::SmallCsv(hospital.cases);
  }
  wrong.spoil(attempt);
  const Scratch scratch;
  WriteAll(scratch, attempt.files);
  for (const std::string& folder : attempt.folders)
    std::filesystem::create_directories(scratch.path() / folder);
  const Told told = scratch.Consilium(attempt.arguments);
  RecordProperty("message", told.err);
  EXPECT_EQ(told.exit_code, wrong.exit_code) << told.err;
  for (const std::string& words : wrong.said)
    EXPECT_NE(told.err.find(words), std::string::npos) << "'" << words << "' in\n" << told.err;
  EXPECT_EQ(told.out, "");
  EXPECT_EQ(told.err.find("note:"), std::string::npos) << told.err;
  for (const char* file :
       {"out/log.consilium", "out/report.json", "out/run.json", "out/coefficients.csv"}) {
    EXPECT_FALSE(scratch.Has(file)) << file;
  }
}

INSTANTIATE_TEST_SUITE_P(Console, WrongInput, ::testing::ValuesIn(WrongInputs()),
                         [](const auto& one) { return one.param.name; });

// `study check` says the same before anybody has a cohort.
TEST(StudyCheck, RefusesWhatSimulateWouldRefuse) {
  const Scratch scratch;
  scratch.Write("study.yaml", testing::SmallStudyYaml() + "seed: 21\n");
  EXPECT_EQ(scratch.Consilium({"study", "check", "study.yaml"}).exit_code, kFile);
  scratch.Write("study.yaml", testing::SmallStudyYaml());
  const Told fine = scratch.Consilium({"study", "check", "study.yaml"});
  EXPECT_EQ(fine.exit_code, 0) << fine.err;
  EXPECT_NE(fine.out.find("not looked at"), std::string::npos) << fine.out;
  EXPECT_EQ(scratch.Consilium({"study"}).exit_code, kUsage);
  EXPECT_EQ(scratch.Consilium({}).exit_code, kUsage);
}

// All sites' problems at once: nobody repairs a study one message at a time.
TEST(StudyCheck, TellsEverySitesProblemsAtOnce) {
  const Scratch scratch;
  StudyFiles files{{"study.yaml", testing::SmallStudyYaml()}};
  std::vector<std::string> arguments = {"study", "check", "study.yaml"};
  for (testing::SmallHospital& hospital : testing::SmallHospitals()) {
    files[hospital.name + ".yaml"] = testing::SmallCohortYaml(hospital.name);
    hospital.cases[1].id = hospital.cases[0].id;
    hospital.cases[2].outcome = 7;
    files[hospital.name + ".csv"] = testing::SmallCsv(hospital.cases);
    arguments.insert(arguments.end(), {"--site", hospital.name + "=" + hospital.name + ".yaml"});
  }
  WriteAll(scratch, files);
  const Told told = scratch.Consilium(arguments);
  EXPECT_EQ(told.exit_code, kFile);
  for (const std::string& site : kSites) {
    EXPECT_NE(told.err.find("site " + site + ": " + site + ".csv:3"), std::string::npos)
        << told.err;
    EXPECT_NE(told.err.find("site " + site + ": " + site + ".csv:4"), std::string::npos)
        << told.err;
  }
  // Never a patient's identifier.
  EXPECT_EQ(told.err.find("north-001"), std::string::npos) << told.err;
}

TEST(AuditAndReport, AFolderWithoutARunIsAWrongFile) {
  const Scratch scratch;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"audit", "verify", "nowhere"},
        {"audit", "replay", "nowhere"},
        {"report", "nowhere"}}) {
    const Told told = scratch.Consilium(arguments);
    EXPECT_EQ(told.exit_code, kFile) << told.err;
    EXPECT_NE(told.err.find("nowhere/"), std::string::npos) << told.err;
    EXPECT_FALSE(scratch.Has("nowhere"));
  }
}

TEST(AuditAndReport, AnEmptyOrForeignLogFailsTheAudit) {
  const Scratch scratch;
  scratch.Write("empty/log.consilium", "");
  scratch.Write("foreign/log.consilium", std::string(1000, 'x'));
  for (const char* folder : {"empty", "foreign"}) {
    for (const char* verb : {"verify", "replay"}) {
      const Told told = scratch.Consilium({"audit", verb, folder});
      EXPECT_EQ(told.exit_code, 5) << told.err;
      EXPECT_FALSE(told.err.empty());
    }
  }
}

TEST(AuditAndReport, AReportThatIsNoJsonIsAWrongFile) {
  const Scratch scratch;
  scratch.Write("run/report.json", "{\"schema\": ");
  scratch.Write("run/coefficients.csv", "");
  scratch.Write("run/cv.csv", "");
  const Told told = scratch.Consilium({"report", "run"});
  EXPECT_EQ(told.exit_code, kFile) << told.err;
  EXPECT_NE(told.err.find("report.json"), std::string::npos) << told.err;
}

}  // namespace
}  // namespace consilium::e2e
