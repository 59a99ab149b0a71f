#include "site_agent/cohort_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace consilium::site_agent {
namespace {

constexpr std::string_view kCohort = R"(site: A
radiomics: a/features.csv
clinical: a/clinic.csv
separator: {radiomics: ",", clinical: ";"}
rows: {column: centre, equals: A}
id: {column: case}
clinical_id: nr
patient: {column: person, table: clinical}
outcome: {column: alive, event: ["0", no], non_event: ["1", "yes"]}
variables:
  age: {column: Age, unit: months, scale: 0.08333333333333333}
  sex: {column: Sex, one: [F], zero: [M]}
  stage: {column: Stage, table: radiomics, levels: {I: ["1"], II: ["2", "2a"]}}
missing:
  tokens: ["", NA]
  infinities: refuse
  outcome: refuse
  cells: keep
repeated_ids: keep-first
fold: {index_modulo: 10}
site_key: 000102030405060708090a0b0c0d0e0f
)";

void ExpectHas(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
}

TEST(CohortFile, ReadsEveryFieldOfACompleteFile) {
  const auto file = ParseCohortFile(kCohort, "A.yaml");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(file->site, "A");
  EXPECT_EQ(file->clinical, "a/clinic.csv");
  EXPECT_EQ(file->radiomics_separator, ',');
  EXPECT_EQ(file->clinical_separator, ';');
  EXPECT_EQ(file->rows->equals, "A");
  EXPECT_EQ(file->id.column, "case");
  EXPECT_EQ(file->patient->column, "person");
  EXPECT_EQ(file->outcome.event, (std::vector<std::string>{"0", "no"}));
  EXPECT_EQ(file->outcome.table,
            TableName::kClinical);  // where there is a clinical table, it is the default
  EXPECT_EQ(file->variables.at("stage").table, TableName::kRadiomics);
  EXPECT_TRUE(file->variables.at("age").rescaled);
  EXPECT_EQ(file->missing.tokens, (std::vector<std::string>{"", "NA"}));
  EXPECT_FALSE(file->missing.infinities_are_missing);
  EXPECT_EQ(file->missing.outcome, OnMissing::kRefuse);
  EXPECT_EQ(file->repeated_ids, OnRepeatedId::kKeepFirst);
  EXPECT_EQ(file->fold->index_modulo, 10);
  EXPECT_EQ(file->site_key.size(), 16U);
}

struct Wrong {
  std::string from;
  std::string to;
  std::string place;
  std::string what;
};

TEST(CohortFile, EveryMistakeIsToldWithItsPlaceAndTheNextStep) {
  const std::vector<Wrong> mistakes = {
      {"site: A\n", "", "A.yaml:1:1: field 'site'", "is missing: the site's name"},
      {"radiomics: a/features.csv", "radiomics: ../b.csv", "A.yaml:2:12: field 'radiomics'",
       "climbs with '..'"},
      {"radiomics: a/features.csv", "radiomics: /etc/b.csv", "field 'radiomics'",
       "is an absolute path"},
      {"clinical: \";\"", "clinical: \"|\"", "field 'separator.clinical'",
       "expected one of: ,, ;, tab"},
      {"rows: {column: centre, equals: A}", "rows: {column: centre}", "field 'rows.equals'",
       "is missing"},
      {"id: {column: case}", "id: {column: case, row_number: true}", "A.yaml:6:5: field 'id'",
       "write one of them"},
      {"id: {column: case}", "id: {row_number: true}", "field 'id'",
       "row_number cannot join a clinical table"},
      {"clinical_id: nr\n", "", "field 'clinical_id'", "name the column of the clinical table"},
      {"clinical: a/clinic.csv\n", "", "field 'clinical_id'", "has no clinical table to look into"},
      {"event: [\"0\", no], ", "", "field 'outcome.event'", "no direction is guessed"},
      {"non_event: [\"1\", \"yes\"]", "non_event: [\"1\", \"0\"]",
       "A.yaml:9:61: field 'outcome.non_event[2]'",
       "code '0' is used twice, so it means two things"},
      {"scale: 0.08333333333333333", "scale: 0", "field 'variables.age.scale'",
       "makes every value equal"},
      {"zero: [M]", "zero: M", "A.yaml:12:38: field 'variables.sex.zero'",
       "expected a list: write [a, b]"},
      {"zero: [M]", "zero: [M], scale: 2", "field 'variables.sex'", "mixes codings"},
      {"tokens: [\"\", NA]", "tokens: [\"\", null]", "A.yaml:15:16: field 'missing.tokens[2]'",
       "if the word itself is meant, quote it"},
      {"cells: keep", "cells: impute", "A.yaml:18:10: field 'missing.cells'",
       "expected one of: keep, refuse"},
      {"repeated_ids: keep-first", "repeated_ids: keep_first", "field 'repeated_ids'",
       "did you mean 'keep-first'?"},
      {"fold: {index_modulo: 10}", "fold: {index_modulo: 10, column: f}",
       "A.yaml:20:7: field 'fold'", "write one of them"},
      {"site_key: 000102030405060708090a0b0c0d0e0f", "site_key: 0001",
       "A.yaml:21:11: field 'site_key'", "at least 32 hexadecimal digits"},
      {"repeated_ids:", "repeat_ids:", "A.yaml:19:1: unknown key 'repeat_ids'",
       "did you mean 'repeated_ids'?"},
  };
  for (const Wrong& wrong : mistakes) {
    SCOPED_TRACE(wrong.from + " -> " + wrong.to);
    std::string text(kCohort);
    const auto at = text.find(wrong.from);
    ASSERT_NE(at, std::string::npos);
    text.replace(at, wrong.from.size(), wrong.to);
    const auto file = ParseCohortFile(text, "A.yaml");
    ASSERT_FALSE(file.has_value());
    ExpectHas(file.error().message, wrong.place);
    ExpectHas(file.error().message, wrong.what);
  }
}

TEST(CohortFile, ASiteKeyNeverEntersAMessage) {
  std::string text(kCohort);
  text.replace(text.find("000102"), 6, "secret");
  const auto file = ParseCohortFile(text, "A.yaml");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().message.find("secret"), std::string::npos);
}

TEST(CohortFile, TheExampleInTheDocumentationIsRight) {
  std::ifstream input(std::string(CONSILIUM_SOURCE_DIR) + "/docs/formats/cohort.md",
                      std::ios::binary);
  std::ostringstream text;
  text << input.rdbuf();
  const std::string page = text.str();
  const auto begin = page.find("```yaml\n") + 8;
  const auto file =
      ParseCohortFile(page.substr(begin, page.find("```\n", begin) - begin), "cohort.md");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(file->missing.tokens.size(), 6U);
}

}  // namespace
}  // namespace consilium::site_agent
