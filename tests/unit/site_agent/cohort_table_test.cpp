#include "site_agent/cohort_table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

#include "base/digest.h"
#include "base/rng.h"
#include "site_agent/folds.h"
#include "study/study_file.h"

namespace consilium::site_agent {
namespace {

constexpr std::string_view kStudy = R"(name: demo
sites: [A, B, C, D]
outcome: relapse
event: relapse within a year
patient: case
variables:
  age: {kind: continuous, unit: years}
  sex: {kind: binary}
  stage: {kind: categorical, levels: [I, II, III]}
features:
  radiomics: {include: ["f_*"]}
models:
  lasso: {}
folds: {count: 2, column: cohort}
held_out: [D]
minimum_rows: 2
)";

constexpr std::string_view kCohort = R"(site: A
radiomics: a.csv
id: {column: id}
outcome: {column: state, event: ["0"], non_event: ["1"]}
variables:
  age: {column: months, unit: months, scale: 0.5}
  sex: {column: sex, one: [F], zero: [M]}
  stage: {column: stage, levels: {I: ["1"], II: ["2", "2a"], III: ["3"]}}
missing:
  id: exclude-row
fold: {index_modulo: 2}
)";

constexpr std::string_view kTable =
    "id,f_b,note,state,months,sex,stage,f_a\n"
    "p1,1.5,x,0,24,F,2a,10\n"
    "p2,NA,y,1,30,M,1,9\n"
    "p3,2,z,1.0,36, F ,3,11\n";

const std::vector<std::string> kHeader = {"id", "f_a", "f_b",
                                          "state"};  // the study's order: f_a, f_b

void ExpectHas(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
}

std::string Replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string changed(text);
  const auto at = changed.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) changed.replace(at, from.size(), to);
  return changed;
}

study::Study DemoStudy(std::string_view yaml = kStudy) {
  const auto study = study::ParseStudy(yaml, "s.yaml");
  EXPECT_TRUE(study.has_value()) << study.error().message;
  return study::ResolveFeatures(*study, kHeader).value();
}

CohortCheck Check(std::string_view cohort, std::string_view table,
                  std::optional<std::string_view> clinical = {}, std::string_view study = kStudy,
                  const Bytes& key = {}) {
  const auto file = ParseCohortFile(cohort, "A.yaml");
  EXPECT_TRUE(file.has_value()) << file.error().message;
  if (!file) return {};
  return CheckCohort(*file, DemoStudy(study), table, clinical, key);
}

std::string All(const CohortCheck& check) {
  return check.problems.empty() ? "no problem" : Combine(check.problems).message;
}

std::string FlowOf(const federation::Cohort& cohort) {
  std::string flow;
  for (const auto& step : cohort.flow) flow += step.reason + " " + std::to_string(step.rows) + "; ";
  return flow;
}

std::vector<int> KeyedFoldsOf(const federation::Cohort& cohort, const Bytes& key,
                              const Digest& study) {
  const std::vector<double> outcome(cohort.outcome.data(),
                                    cohort.outcome.data() + cohort.outcome.size());
  return KeyedFolds(key, study, {cohort.patient, cohort.patient_ids, outcome}, 2).value();
}

TEST(CohortTable, MapsColumnsCodingsAndMissingCellsAsDeclared) {
  const CohortCheck check = Check(kCohort, kTable);
  ASSERT_TRUE(check.cohort.has_value()) << All(check);
  const federation::Cohort& cohort = *check.cohort;
  EXPECT_EQ(cohort.feature_names, (std::vector<std::string>{"f_a", "f_b"}));
  EXPECT_EQ(cohort.features(0, 0), 10);
  EXPECT_EQ(cohort.features(0, 1), 1.5);
  EXPECT_TRUE(std::isnan(cohort.features(1, 1)));
  EXPECT_EQ(cohort.covariate_names,
            (std::vector<std::string>{"age", "sex", "stage=II", "stage=III"}));
  Eigen::MatrixXd covariates(3, 4);
  covariates << 12, 1, 1, 0, 15, 0, 0, 0, 18, 1, 0, 1;
  EXPECT_EQ(cohort.covariates, covariates);
  EXPECT_EQ(cohort.outcome, Eigen::Vector3d(1, 0, 0));  // 1.0 is the code 1
  EXPECT_EQ(cohort.patient_ids, (std::vector<std::string>{"p1", "p2", "p3"}));
  EXPECT_EQ(cohort.fold, (std::vector<int>{1, 2, 1}));
  EXPECT_EQ(FlowOf(cohort), "found 3; used 3; ");
  EXPECT_EQ(check.notes,
            (std::vector<std::string>{"a.csv: 1 columns are not used by the study",
                                      "a.csv: 1 missing feature cells kept in 1 columns"}));
}

TEST(CohortTable, EveryRowIsAccountedForByTheFirstReasonThatApplies) {
  const std::string cohort = Replaced(
      kCohort, "fold:", "rows: {column: note, equals: here}\nrepeated_ids: keep-first\nfold:");
  const CohortCheck check = Check(cohort,
                                  "id,f_b,note,state,months,sex,stage,f_a\n"
                                  "p1,1,here,0,24,F,1,1\n"
                                  "p1,1,there,0,24,F,1,1\n"
                                  "NA,1,here,0,24,F,1,1\n"
                                  "p1,2,here,1,24,F,1,1\n"
                                  "p2,2,here,,24,F,1,1\n"
                                  "p3,2,here,1,,F,1,1\n"
                                  "p4,nan,here,1,24,F,1,Inf\n"
                                  "p5,-Infinity,here,1,24,F,1,1\n");
  ASSERT_TRUE(check.cohort.has_value()) << All(check);
  EXPECT_EQ(FlowOf(*check.cohort),
            "found 8; excluded: other center 1; excluded: id missing 1; excluded: repeated id 1; "
            "excluded: "
            "outcome missing 1; excluded: covariate missing 1; excluded: all features missing 1; "
            "used 2; ");
  std::string notes;
  for (const std::string& note : check.notes) notes += note + "\n";
  ExpectHas(notes, "a.csv: 1 infinite feature cells treated as missing");
  ExpectHas(notes, "variable 'age' is missing in 1 rows");
}

TEST(CohortTable, ClinicalTableIsJoinedByIdWhateverItsOrder) {
  const std::string cohort = R"(site: A
radiomics: a.csv
clinical: c.csv
id: {column: id}
clinical_id: nr
patient: {column: person}
outcome: {column: state, event: ["0"], non_event: ["1"]}
variables:
  age: {column: months}
  sex: {column: sex, one: [F], zero: [M]}
  stage: {column: stage, table: radiomics, levels: {I: ["1"], II: ["2"]}}
fold: {index_modulo: 2}
)";
  const CohortCheck check =
      Check(cohort, "id,f_a,f_b,stage\np1,1,2,1\np2,3,4,2\np3,5,6,1\np4,7,8,1\n",
            "nr,person,state,months,sex\np9,z,1,1,M\np3,x,1,70,M\np1,x,0,50,F\np2,y,1,60,M\n");
  ASSERT_TRUE(check.cohort.has_value()) << All(check);
  EXPECT_EQ(FlowOf(*check.cohort), "found 4; excluded: no clinical record 1; used 3; ");
  EXPECT_EQ(check.cohort->covariates(2, 0), 70);
  EXPECT_EQ(check.cohort->patient, (std::vector<int>{0, 1, 0}));  // p1 and p3 are one person
  EXPECT_EQ(check.cohort->fold, (std::vector<int>{1, 2, 1}));
  ExpectHas(check.notes.back(), "c.csv: 1 records have no row in a.csv");
}

TEST(CohortTable, KeyedFoldsAndFoldColumnsComeFromWhereTheStudySays) {
  const std::string keyed_study = Replaced(kStudy, ", column: cohort", "");
  const std::string keyed = Replaced(kCohort, "fold: {index_modulo: 2}\n", "");
  const CohortCheck by_key = Check(keyed, kTable, {}, keyed_study, Bytes(32, 1));
  ASSERT_TRUE(by_key.cohort.has_value()) << All(by_key);
  const auto direct = KeyedFoldsOf(*by_key.cohort, Bytes(32, 1), DemoStudy(keyed_study).digest);
  EXPECT_EQ(by_key.cohort->fold, direct);
  ExpectHas(All(Check(keyed, kTable, {}, keyed_study)),
            "field 'site_key': the study assigns folds by the site's key");
  ExpectHas(All(Check(kCohort, kTable, {}, keyed_study, Bytes(32, 1))),
            "field 'fold': the study assigns folds by the site's key; remove it");
  // The study names a column of the table itself.
  const CohortCheck named =
      Check(keyed, kTable, {}, Replaced(kStudy, "column: cohort", "column: stage"));
  ExpectHas(All(named),
            "a.csv:2: column 'stage': found no fold, expected a whole number from 1 to 2");
}

TEST(CohortTable, OrderOfColumnsDoesNotMatter) {
  EXPECT_TRUE(rc::check([] {
    const auto seed = *rc::gen::arbitrary<std::uint32_t>();
    std::vector<std::vector<std::string>> rows = {
        {"id", "f_b", "note", "state", "months", "sex", "stage", "f_a"},
        {"p1", "1.5", "x", "0", "24", "F", "2a", "10"},
        {"p2", "NA", "y", "1", "30", "M", "1", "9"}};
    std::vector<std::size_t> order = {0, 1, 2, 3, 4, 5, 6, 7};
    Rng(seed, "columns").Shuffle(order);
    std::string table;
    for (const auto& row : rows) {
      for (std::size_t j = 0; j < order.size(); ++j) table += (j > 0 ? "," : "") + row[order[j]];
      table += "\n";
    }
    const CohortCheck check = Check(kCohort, table);
    RC_ASSERT(check.cohort.has_value());
    RC_ASSERT(check.cohort->features(0, 0) == 10);
    RC_ASSERT(check.cohort->features(0, 1) == 1.5);
    RC_ASSERT(check.cohort->covariates(1, 0) == 15);
    RC_ASSERT(check.cohort->outcome(0) == 1);
  }));
}

struct Wrong {
  std::string cohort;
  std::string table;
  std::vector<std::string> says;
};

TEST(CohortTable, EveryMistakeNamesSiteFileLineOrFieldAndTheNextStep) {
  const auto cohort = [](std::string_view from, std::string_view to) {
    return Replaced(kCohort, from, to);
  };
  const auto table = [](std::string_view from, std::string_view to) {
    return Replaced(kTable, from, to);
  };
  const std::string same(kCohort);
  const std::string right(kTable);
  const std::vector<Wrong> mistakes = {
      {cohort("site: A", "site: Z"),
       right,
       {"site Z: A.yaml: field 'site'", "not a site of study 'demo'", "correct it"}},
      {same,
       table("f_a", "f_A"),
       {"site A: a.csv:1: 1 of the study's 2 feature columns are not in the header: f_a",
        "did you mean 'f_A'?", "rename the columns"}},
      {cohort("column: state", "column: stat"),
       right,
       {"site A: a.csv:1: column 'stat' is not in the header (did you mean 'state'?)",
        "field 'outcome.column' of A.yaml"}},
      {same,
       table("1.5", "big"),
       {"site A: a.csv:2: column 'f_b': found text, expected a number or a declared missing token",
        "'missing.tokens' in A.yaml"}},
      {same,
       table("1.5", "\"1,5\""),
       {"a.csv:2: column 'f_b': found a decimal comma", "export the table with points"}},
      {same, table("1.5", "1e999"), {"a.csv:2: column 'f_b': found text, expected a number"}},
      {same, table("p2,NA", "p2,N.A."), {"a.csv:3: column 'f_b'", "declared missing token"}},
      {same,
       table("x,0,", "x,2,"),
       {"a.csv:2: column 'state': found a code that is neither event nor non_event",
        "'outcome' in A.yaml"}},
      {same,
       table("M,1,", "W,1,"),
       {"a.csv:3: column 'sex': found a code that 'variables.sex' of A.yaml does not declare"}},
      {same,
       table("F,2a", "F,IV"),
       {"a.csv:2: column 'stage'", "'variables.stage' of A.yaml does not declare; add it"}},
      {same, table("24,F", "two,F"), {"a.csv:2: column 'months': found text, expected a number"}},
      {same,
       table("p3,", "p1,"),
       {"a.csv:4: column 'id': the id of line 2 is repeated",
        "declare 'repeated_ids: keep-first'"}},
      {cohort("  id: exclude-row", "  id: refuse"),
       table("p2,", ","),
       {"a.csv:3: column 'id': id missing, which A.yaml refuses", "write 'id: exclude-row'"}},
      {cohort("  id: exclude-row", "  outcome: refuse"),
       table("y,1,", "y,,"),
       {"a.csv:3: column 'state': outcome missing, which A.yaml refuses"}},
      {cohort("  id: exclude-row", "  covariates: refuse"),
       table("30,M", "NA,M"),
       {"a.csv:3: column 'months': covariate missing, which A.yaml refuses"}},
      {cohort("  id: exclude-row", "  cells: refuse"),
       right,
       {"a.csv:3: column 'f_b': a feature cell is missing, which A.yaml refuses", "'cells: keep'"}},
      {cohort("  id: exclude-row", "  all_features: refuse"),
       Replaced(table("1,9", "1,"), "p2,NA", "p2,"),
       {"a.csv:3: all features missing, which A.yaml refuses"}},
      {cohort("  id: exclude-row", "  infinities: refuse"),
       table("1.5", "inf"),
       {"a.csv:2: column 'f_b': found text"}},
      {cohort("  age: {column: months, unit: months, scale: 0.5}\n", ""),
       right,
       {"A.yaml: field 'variables': variable 'age' of study 'demo' is not mapped",
        "write 'age: {column: NAME"}},
      {cohort("  sex:", "  sexx: {column: sex}\n  sex:"),
       right,
       {"A.yaml: field 'variables.sexx': is no variable of study 'demo' (did you mean 'sex'?)"}},
      {cohort(", scale: 0.5", ""),
       right,
       {"A.yaml: field 'variables.age.unit': is 'months', the study's is 'years'; write 'scale'"}},
      {cohort("one: [F], zero: [M]", "unit: ''"),
       right,
       {"field 'variables.sex': the study says binary; list the codes"}},
      {cohort("III: [\"3\"]", "IV: [\"3\"]"),
       right,
       {"field 'variables.stage.levels': level 'IV' is not in the study; correct it"}},
      {cohort("{column: sex, one: [F], zero: [M]}", "{column: sex, levels: {a: [F]}}"),
       right,
       {"the study says binary"}},
      {cohort("index_modulo: 2", "index_modulo: 3"),
       right,
       {"A.yaml: field 'fold.index_modulo': is 3, but the study has 2 folds; make them equal"}},
      {cohort("fold: {index_modulo: 2}\n", ""),
       right,
       {"A.yaml: field 'fold': is missing", "write 'fold: {column: NAME}'"}},
      {cohort("index_modulo: 2", "column: stage"),
       right,
       {"a.csv:2: column 'stage': found no fold, expected a whole number from 1 to 2"}},
      {cohort("index_modulo: 2", "column: fold"),
       right,
       {"a.csv:1: column 'fold' is not in the header", "'fold.column'"}},
      {same,
       "id,f_b,note,state,months,sex,stage,f_a\np1,1,x,0,24,F,1,1\n",
       {"a.csv:1: 1 rows are left of 1, expected at least minimum_rows = 2 of a training center"}},
      {same,
       table("x,0,", "x,1,"),
       {"a.csv:1: column 'state': every row is a non-event",
        "check the codes under 'outcome' in A.yaml"}},
      {same,
       table("p3,2,z,", "p3,2,"),
       {"site A: a.csv:4: expected 8 fields as in the header, found 7"}},
      {same, table("note", "id"), {"site A: a.csv:1: column name 'id' stands in columns 1 and 3"}},
      {same, "", {"site A: a.csv:1: found an empty file", "is it the right file?"}},
  };
  for (const Wrong& wrong : mistakes) {
    SCOPED_TRACE(wrong.says.front());
    const CohortCheck check = Check(wrong.cohort, wrong.table);
    EXPECT_FALSE(check.cohort.has_value());
    for (const std::string& part : wrong.says) {
      ExpectHas(All(check), part);
    }
    const auto file = ParseCohortFile(wrong.cohort, "A.yaml");
    const auto built = BuildCohort(*file, DemoStudy(), wrong.table, std::nullopt, {});
    ASSERT_FALSE(built.has_value());
    EXPECT_EQ(built.error().message, All(check));
  }
}

TEST(CohortTable, RowsMustBeExtractedAsTheStudySays) {
  const std::string study = std::string(kStudy) +
                            "extraction:\n  engine: e 1\n  settings: \"setting: {}\"\n"
                            "  phantom: {f_a: 1}\n";
  const std::string digest = Hex(Sha256("setting: {}"));
  const auto table = [](std::string_view engine, std::string_view settings) {
    std::string text(kTable);
    std::size_t row = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos; ++row) {
      // The second row is another's.
      const std::string added = row == 0   ? ",engine,settings_sha256"
                                : row == 2 ? fmt::format(",{},{}", engine, settings)
                                           : fmt::format(",e 1,{}", Hex(Sha256("setting: {}")));
      text.insert(end, added);
      end = text.find('\n', end + added.size() + 1);
    }
    return text;
  };
  EXPECT_EQ(All(Check(kCohort, table("e 1", digest), {}, study)), "no problem");
  ExpectHas(All(Check(kCohort, table("e 2", digest), {}, study)), "a.csv:3: column 'engine'");
  ExpectHas(All(Check(kCohort, table("e 1", "0"), {}, study)), "column 'settings_sha256'");
  ExpectHas(All(Check(kCohort, kTable, {}, study)), "there is no column 'engine'");
}

TEST(CohortTable, MessagesNeverQuoteACell) {
  const CohortCheck check =
      Check(kCohort, Replaced(Replaced(kTable, "1.5", "Miller"), "p3,", "p1,"));
  const std::string message = All(check);
  EXPECT_EQ(message.find("Miller"), std::string::npos) << message;
  EXPECT_EQ(message.find("p1"), std::string::npos) << message;
}

TEST(CohortTable, AllProblemsOfAllColumnsAreToldAtOnceAndCounted) {
  std::string table(kTable);
  for (int i = 0; i < 5; ++i) table += "q" + std::to_string(i) + ",oops,z,1,30,X,1,1\n";
  const CohortCheck check = Check(kCohort, table);
  EXPECT_EQ(check.problems.size(), 2U);
  ExpectHas(All(check), "a.csv:5: column 'f_b': found text");
  ExpectHas(All(check), "(and 4 more rows like it)");
  ExpectHas(All(check), "a.csv:5: column 'sex'");
}

TEST(CohortTable, AHeldOutCenterMayBeSmallOrHaveOneClass) {
  const std::string cohort = Replaced(kCohort, "site: A", "site: D");
  const CohortCheck check =
      Check(cohort, "id,f_b,note,state,months,sex,stage,f_a\np1,1,x,0,24,F,1,1\n");
  ASSERT_TRUE(check.cohort.has_value()) << All(check);
  EXPECT_EQ(check.cohort->row_count(), 1);
  const CohortCheck empty = Check(cohort, "id,f_b,note,state,months,sex,stage,f_a\n");
  ASSERT_TRUE(empty.cohort.has_value()) << All(empty);
  EXPECT_EQ(empty.cohort->row_count(), 0);
}

TEST(CohortTable, FoldsByColumnMustKeepAPatientTogether) {
  const std::string cohort =
      Replaced(Replaced(kCohort, "fold: {index_modulo: 2}", "fold: {column: note}"),
               "missing:", "repeated_ids: several-per-patient\nmissing:");
  const CohortCheck check = Check(cohort,
                                  "id,f_b,note,state,months,sex,stage,f_a\n"
                                  "p1,1,1,0,24,F,1,1\n"
                                  "p1,1,2,1,24,F,1,1\n"
                                  "p2,1,2,1,24,F,1,1\n");
  ExpectHas(
      All(check),
      "a.csv:3: column 'note': the patient of this row is in another fold on an earlier line");
}

TEST(CohortTable, RepeatedClinicalIdsMakeTheJoinAmbiguous) {
  const std::string cohort =
      Replaced(kCohort, "id: {column: id}", "clinical: c.csv\nclinical_id: id\nid: {column: id}");
  const CohortCheck check =
      Check(cohort, kTable, "id,state,months,sex,stage\np1,0,24,F,1\np1,1,24,F,1\n");
  ExpectHas(All(check),
            "site A: c.csv:3: column 'id': an id stands here that an earlier line has too");
}

}  // namespace
}  // namespace consilium::site_agent
