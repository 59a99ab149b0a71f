// The cohort file: how one site's own tables become the study's rows.
//
// A YAML file that stays at the site. It names the tables, the identifier, where each variable of
// the study is found and how it is coded there, what counts as missing and what is done about it.
// Nothing is guessed: a code, a token or a repetition that the file does not declare is an error
// later on. The keys are documented in docs/formats/cohort.md.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace consilium::site_agent {

enum class TableName { kRadiomics, kClinical };

// Where an identifier comes from.
struct IdSource {
  std::string column;       // empty: row_number
  bool row_number = false;  // the 1-based data row of the radiomics table
};

struct RowFilter {
  std::string column;
  std::string equals;  // rows whose trimmed cell is anything else are "excluded: other center"
};

// Cells are trimmed of spaces and compared as text, then as numbers if both are numbers.
struct OutcomeMapping {
  std::string column;
  TableName table = TableName::kRadiomics;
  std::vector<std::string> event;
  std::vector<std::string> non_event;
};

struct VariableMapping {
  std::string column;
  TableName table = TableName::kRadiomics;
  std::string unit;  // of the local column; empty: the study's
  double scale = 1;  // study value = scale * local value + offset
  double offset = 0;
  std::vector<std::string> one;                            // binary
  std::vector<std::string> zero;                           // binary
  std::map<std::string, std::vector<std::string>> levels;  // categorical: level -> local codes
  bool rescaled = false;                                   // scale or offset is written
};

enum class OnMissing { kExcludeRow, kRefuse };
enum class OnMissingCell { kKeep, kRefuse };
enum class OnRepeatedId { kRefuse, kKeepFirst, kSeveralPerPatient };

struct MissingRules {
  std::vector<std::string> tokens = {"", "NA", "N/A", "NaN", "nan", "null"};
  bool infinities_are_missing = true;  // inf, -inf, infinity in any case; counted
  OnMissing id = OnMissing::kRefuse;
  OnMissing clinical_record =
      OnMissing::kExcludeRow;  // a radiomics row whose id is not in the clinical table
  OnMissing outcome = OnMissing::kExcludeRow;
  OnMissing covariates = OnMissing::kExcludeRow;
  OnMissing all_features = OnMissing::kExcludeRow;
  OnMissingCell cells = OnMissingCell::kKeep;  // NaN; the study's rule decides about the column
};

struct FoldSource {
  std::string column;  // of the radiomics table; whole numbers 1..F
  int index_modulo =
      0;  // > 0: place of the patient within the site after exclusions, modulo this, plus 1
};

struct CohortFile {
  std::string file_name;  // of this YAML file, for messages
  std::string site;
  std::string radiomics;                // path relative to --data
  std::optional<std::string> clinical;  // path relative to --data
  char radiomics_separator = ',';
  char clinical_separator = ',';
  std::optional<RowFilter> rows;  // on the radiomics table
  IdSource id;
  std::string clinical_id;          // column of the clinical table that `id` joins to
  std::optional<IdSource> patient;  // absent: the id
  TableName patient_table = TableName::kRadiomics;
  OutcomeMapping outcome;
  std::map<std::string, VariableMapping> variables;
  MissingRules missing;
  OnRepeatedId repeated_ids = OnRepeatedId::kRefuse;
  std::optional<FoldSource> fold;
  Bytes site_key;  // for keyed folds; empty: the caller's
};

// The cohort in `yaml`; all problems at once, "FILE:LINE:COL: field 'a.b': ...".
// Errors: kInvalidArgument, kResourceExhausted (beyond 1 MiB or nested too deeply).
[[nodiscard]] Result<CohortFile> ParseCohortFile(std::string_view yaml, std::string_view file_name);

}  // namespace consilium::site_agent
