#include "site_agent/cohort_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/csv.h"
#include "base/digest.h"
#include "base/strict_yaml.h"
#include "site_agent/folds.h"

namespace consilium::site_agent {

namespace {

class CohortFileReader {
 public:
  explicit CohortFileReader(const YamlDocument& document) : root_(document.root()) {}

  CohortFile Read() {
    root_.AllowKeys({"format", "site", "radiomics", "clinical", "separator", "rows", "id",
                     "clinical_id", "patient", "outcome", "variables", "missing", "repeated_ids",
                     "fold", "site_key"});
    static_cast<void>(root_["format"].Integer(1, 1));
    if (auto text =
            root_.Required("site", "the site's name as the study lists it").NonEmptyText()) {
      file_.site = std::move(*text);
    }
    ReadTables();
    ReadIds();
    ReadOutcome();
    ReadVariables();
    ReadMissing();
    ReadFold();
    return std::move(file_);
  }

 private:
  // Paths stay below --data.
  static void ReadPath(const YamlValue& value, std::string& target) {
    auto path = value.NonEmptyText();
    if (!path) return;
    const bool climbs =
        path->front() == '/' || ("/" + *path + "/").find("/../") != std::string::npos;
    if (climbs) {
      value.Problem(
          "is an absolute path or climbs with '..', expected a path below the data folder; "
          "move the file or choose another --data");
      return;
    }
    target = std::move(*path);
  }

  static void ReadSeparator(const YamlValue& value, char& target) {
    const auto word = value.OneOf({",", ";", "tab"});
    if (word) target = *word == "tab" ? '\t' : word->front();
  }

  void ReadTables() {
    ReadPath(root_.Required("radiomics", "the CSV file with one row a case, relative to --data"),
             file_.radiomics);
    if (root_["clinical"].present()) {
      file_.clinical.emplace();
      ReadPath(root_["clinical"], *file_.clinical);
    }
    const YamlValue separator = root_["separator"];
    if (separator.is_mapping()) {
      separator.AllowKeys({"radiomics", "clinical"});
      ReadSeparator(separator["radiomics"], file_.radiomics_separator);
      ReadSeparator(separator["clinical"], file_.clinical_separator);
    } else {
      ReadSeparator(separator, file_.radiomics_separator);
      file_.clinical_separator = file_.radiomics_separator;
    }
    const YamlValue rows = root_["rows"];
    if (rows.present() && rows.AllowKeys({"column", "equals"})) {
      RowFilter filter;
      if (auto text = rows.Required("column", "the column to filter by").NonEmptyText()) {
        filter.column = std::move(*text);
      }
      if (auto text = rows.Required("equals", "the value of the rows to keep").NonEmptyText()) {
        filter.equals = Trimmed(*text);
      }
      file_.rows = std::move(filter);
    }
  }

  void ReadIdSource(const YamlValue& value, std::initializer_list<std::string_view> keys,
                    IdSource& target) {
    if (!value.AllowKeys(keys)) return;
    const YamlValue column = value["column"];
    const YamlValue row_number = value["row_number"];
    if (column.present() == row_number.present()) {
      value.Problem("expected either 'column: NAME' or 'row_number: true'; write one of them");
      return;
    }
    if (auto text = column.NonEmptyText()) target.column = std::move(*text);
    if (const auto by_row = row_number.Boolean()) {
      if (!*by_row) row_number.Problem("found false, expected true; or name a column instead");
      target.row_number = *by_row;
    }
  }

  void ReadIds() {
    const YamlValue id = root_.Required(
        "id", "write 'id: {column: NAME}', or 'id: {row_number: true}' if rows have no identifier");
    if (id.present()) ReadIdSource(id, {"column", "row_number"}, file_.id);
    const YamlValue clinical_id = root_["clinical_id"];
    if (auto text = clinical_id.NonEmptyText()) file_.clinical_id = std::move(*text);
    if (file_.clinical && !clinical_id.present()) {
      clinical_id.Problem("is missing: name the column of the clinical table that holds the id");
    }
    if (!file_.clinical && clinical_id.present()) {
      clinical_id.Problem("has no clinical table to look into; add 'clinical: FILE' or remove it");
    }
    if (file_.clinical && file_.id.row_number) {
      id.Problem(
          "row_number cannot join a clinical table; name an id column that both tables hold");
    }
    const YamlValue patient = root_["patient"];
    if (patient.present()) {
      file_.patient.emplace();
      ReadIdSource(patient, {"column", "row_number", "table"}, *file_.patient);
      file_.patient_table = ReadTable(patient["table"]);
      if (patient["table"].present() && file_.patient->row_number) {
        patient["table"].Problem("has no meaning with row_number; remove it");
      }
    }
    if (const auto word =
            root_["repeated_ids"].OneOf({"refuse", "keep-first", "several-per-patient"})) {
      file_.repeated_ids = *word == "refuse"       ? OnRepeatedId::kRefuse
                           : *word == "keep-first" ? OnRepeatedId::kKeepFirst
                                                   : OnRepeatedId::kSeveralPerPatient;
    }
  }

  // The table a column is looked up in: as written, else the clinical one if there is one.
  TableName ReadTable(const YamlValue& value) {
    const auto word = value.OneOf({"radiomics", "clinical"});
    if (!word) return file_.clinical ? TableName::kClinical : TableName::kRadiomics;
    if (*word == "clinical" && !file_.clinical) {
      value.Problem("there is no clinical table; add 'clinical: FILE' or write radiomics");
    }
    return *word == "clinical" ? TableName::kClinical : TableName::kRadiomics;
  }

  // Codes are compared after trimming; one code may mean one thing only.
  static std::vector<std::string> ReadCodes(const YamlValue& value, std::set<std::string>& used) {
    std::vector<std::string> codes;
    for (const YamlValue& item : value.Items()) {
      const auto text = item.Text();
      if (!text) continue;
      std::string code(Trimmed(*text));
      if (!used.insert(code).second) {
        item.Problem(
            fmt::format("code '{}' is used twice, so it means two things; keep it once", code));
        continue;
      }
      codes.push_back(std::move(code));
    }
    if (value.is_sequence() && codes.empty()) {
      value.Problem("lists no code; write the texts of the table, for example [\"1\", \"yes\"]");
    }
    return codes;
  }

  void ReadOutcome() {
    const YamlValue value = root_.Required(
        "outcome", "write 'outcome: {column: NAME, event: [codes], non_event: [codes]}'");
    if (!value.present() || !value.AllowKeys({"column", "table", "event", "non_event"})) return;
    if (auto text = value.Required("column", "the local column of the outcome").NonEmptyText()) {
      file_.outcome.column = std::move(*text);
    }
    file_.outcome.table = ReadTable(value["table"]);
    std::set<std::string> used;
    file_.outcome.event = ReadCodes(
        value.Required("event", "the local codes that mean the event; no direction is guessed"),
        used);
    file_.outcome.non_event =
        ReadCodes(value.Required("non_event", "the local codes that mean no event"), used);
  }

  void ReadVariables() {
    for (const auto& [name, value] : root_["variables"].Entries()) {
      if (!value.AllowKeys({"column", "table", "unit", "scale", "offset", "one", "zero", "levels"}))
        continue;
      VariableMapping mapping;
      if (auto text =
              value.Required("column", "the local column of this variable").NonEmptyText()) {
        mapping.column = std::move(*text);
      }
      mapping.table = ReadTable(value["table"]);
      if (auto text = value["unit"].Text()) mapping.unit = std::move(*text);
      if (const auto number = value["scale"].Number()) {
        mapping.scale = *number;
        if (*number == 0)
          value["scale"].Problem("found 0, which makes every value equal; correct it");
      }
      if (const auto number = value["offset"].Number()) mapping.offset = *number;
      mapping.rescaled = value["scale"].present() || value["offset"].present();
      std::set<std::string> used;
      mapping.one = ReadCodes(value["one"], used);
      mapping.zero = ReadCodes(value["zero"], used);
      for (const auto& [level, codes] : value["levels"].Entries()) {
        mapping.levels[level] = ReadCodes(codes, used);
      }
      const int forms = (mapping.rescaled || value["unit"].present() ? 1 : 0) +
                        (value["one"].present() || value["zero"].present() ? 1 : 0) +
                        (value["levels"].present() ? 1 : 0);
      if (forms > 1) {
        value.Problem(
            "mixes codings; expected one of: unit/scale/offset (continuous), one/zero (binary), "
            "levels (categorical)");
      }
      file_.variables[name] = std::move(mapping);
    }
  }

  static void ReadOnMissing(const YamlValue& value, OnMissing& target) {
    if (const auto word = value.OneOf({"exclude-row", "refuse"})) {
      target = *word == "refuse" ? OnMissing::kRefuse : OnMissing::kExcludeRow;
    }
  }

  void ReadMissing() {
    const YamlValue value = root_["missing"];
    if (!value.present() || !value.AllowKeys({"tokens", "infinities", "id", "clinical_record",
                                              "outcome", "covariates", "all_features", "cells"})) {
      return;
    }
    MissingRules& missing = file_.missing;
    if (value["tokens"].present()) {
      missing.tokens.clear();
      for (const std::string& token : value["tokens"].DistinctTexts()) {
        missing.tokens.emplace_back(Trimmed(token));
      }
    }
    if (const auto word = value["infinities"].OneOf({"missing", "refuse"})) {
      missing.infinities_are_missing = *word == "missing";
    }
    ReadOnMissing(value["id"], missing.id);
    ReadOnMissing(value["clinical_record"], missing.clinical_record);
    ReadOnMissing(value["outcome"], missing.outcome);
    ReadOnMissing(value["covariates"], missing.covariates);
    ReadOnMissing(value["all_features"], missing.all_features);
    if (const auto word = value["cells"].OneOf({"keep", "refuse"})) {
      missing.cells = *word == "keep" ? OnMissingCell::kKeep : OnMissingCell::kRefuse;
    }
  }

  void ReadFold() {
    const YamlValue value = root_["fold"];
    if (value.present() && value.AllowKeys({"column", "index_modulo"})) {
      FoldSource fold;
      if (value["column"].present() == value["index_modulo"].present()) {
        value.Problem("expected either 'column: NAME' or 'index_modulo: F'; write one of them");
      }
      if (auto text = value["column"].NonEmptyText()) fold.column = std::move(*text);
      if (const auto modulo = value["index_modulo"].Integer(2, 100)) {
        fold.index_modulo = static_cast<int>(*modulo);
      }
      file_.fold = std::move(fold);
    }
    const YamlValue key = root_["site_key"];
    if (const auto text = key.NonEmptyText()) {
      auto bytes = FromHex(*text);  // the text itself never enters a message: it is a secret
      if (!bytes || bytes->size() < kSiteKeyBytesMin) {
        key.Problem(fmt::format(
            "expected at least {} hexadecimal digits, an even number; write a new random "
            "key, for example from 'openssl rand -hex 32'",
            2 * kSiteKeyBytesMin));
      } else {
        file_.site_key = std::move(*bytes);
      }
    }
  }

  YamlValue root_;
  CohortFile file_;
};

}  // namespace

Result<CohortFile> ParseCohortFile(std::string_view yaml, std::string_view file_name) {
  auto document = ParseStrictYaml(yaml, file_name);
  if (!document) return tl::unexpected<Error>(std::move(document).error());
  CohortFile file = CohortFileReader(*document).Read();
  if (!document->problems().empty()) return tl::unexpected<Error>(Combine(document->problems()));
  file.file_name = std::string(file_name);
  return file;
}

}  // namespace consilium::site_agent
