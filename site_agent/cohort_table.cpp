#include "site_agent/cohort_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "base/csv.h"
#include "base/digest.h"
#include "site_agent/folds.h"
#include "study/study_file.h"

namespace consilium::site_agent {

namespace {

using study::Study;
using study::Variable;
using study::VariableKind;

constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kNamesShownMax = 20;

std::string Listed(const std::vector<std::string>& names) {
  std::string listed;
  for (std::size_t i = 0; i < names.size() && i < kNamesShownMax; ++i) {
    listed += (i > 0 ? ", " : "") + names[i];
  }
  if (names.size() > kNamesShownMax) {
    listed += fmt::format(" and {} more", names.size() - kNamesShownMax);
  }
  return listed;
}

bool IsInfinity(std::string_view text) {
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  const auto equals = [&](std::string_view word) {
    return text.size() == word.size() &&
           std::equal(text.begin(), text.end(), word.begin(), [](char a, char b) {
             return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b;
           });
  };
  return equals("inf") || equals("infinity");
}

// Whether the text would be a number with its comma read as a point.
bool HasDecimalComma(std::string_view text) {
  std::string changed(text);
  if (std::count(changed.begin(), changed.end(), ',') != 1) return false;
  changed[changed.find(',')] = '.';
  return ParseNumber(changed).has_value();
}

bool Matches(const std::vector<std::string>& codes, std::string_view cell) {
  for (const std::string& code : codes) {
    if (code == cell) return true;
  }
  const auto number = ParseNumber(cell);
  if (!number) return false;
  for (const std::string& code : codes) {
    const auto other = ParseNumber(code);
    if (other && *other == *number) return true;
  }
  return false;
}

// Problems of cells: the first line of each kind in each column, and how often.
class CellProblems {
 public:
  void Add(std::string_view file, std::int64_t line, std::string_view column,
           std::string_view what) {
    auto [found, fresh] = place_.try_emplace(
        std::string(file) + '\0' + std::string(column) + '\0' + std::string(what), order_.size());
    if (fresh) {
      order_.push_back({std::string(file), line, std::string(column), std::string(what), 1});
    } else {
      ++order_[found->second].count;
    }
  }
  void MoveTo(std::string_view site, Problems& problems) {
    for (const Entry& entry : order_) {
      problems.push_back(fmt::format(
          "site {}: {}:{}: {}{}{}", site, entry.file, entry.line,
          entry.column.empty() ? "" : fmt::format("column '{}': ", entry.column), entry.what,
          entry.count > 1 ? fmt::format(" (and {} more rows like it)", entry.count - 1) : ""));
    }
  }

 private:
  struct Entry {
    std::string file;
    std::int64_t line;
    std::string column;
    std::string what;
    std::int64_t count;
  };
  std::map<std::string, std::size_t> place_;
  std::vector<Entry> order_;
};

// One of the site's tables, with the file name for messages.
struct Table {
  std::string name;
  CsvTable csv;
};

// A mapped column: which table, which index.
struct Place {
  const Table* table = nullptr;
  std::size_t column = 0;
};

enum class CellKind { kNumber, kMissing, kInfinite, kText };

class CohortBuilder {
 public:
  CohortBuilder(const CohortFile& file, const Study& study, const Bytes& site_key)
      : file_(file), study_(study), site_key_(file.site_key.empty() ? site_key : file.site_key) {}

  CohortCheck Build(std::string_view radiomics_csv, std::optional<std::string_view> clinical_csv) {
    if (!ReadTables(radiomics_csv, clinical_csv)) return std::move(check_);
    CheckSite();
    CheckExtraction();
    FindColumns();
    IndexClinical();
    for (std::size_t row = 0; row < radiomics_.csv.row_count(); ++row) TakeRow(row);
    cell_problems_.MoveTo(file_.site, check_.problems);
    CheckSize();
    Note();
    federation::Cohort cohort = Assemble();
    if (check_.problems.empty()) AssignFolds(cohort);
    if (check_.problems.empty()) check_.cohort = std::move(cohort);
    return std::move(check_);
  }

 private:
  struct MappedVariable {
    const Variable* variable;
    const VariableMapping* mapping;
    std::optional<Place> place;
    std::int64_t missing_rows = 0;
  };
  struct UsedRow {
    std::size_t row;  // of the radiomics table
    std::string patient;
    double outcome;
    std::vector<double> covariates;
    std::vector<double> features;
  };

  // A problem of the cohort file itself.
  void WrongFile(std::string_view field, std::string_view what) {
    check_.problems.push_back(
        fmt::format("site {}: {}: field '{}': {}", file_.site, file_.file_name, field, what));
  }
  void WrongTable(const Table& table, std::string_view what) {
    check_.problems.push_back(fmt::format("site {}: {}:1: {}", file_.site, table.name, what));
  }

  bool ReadTable(std::string_view text, const std::string& name, char separator, Table& table) {
    CsvOptions options;
    options.separator = separator;
    table.name = name;
    auto csv = ParseCsv(text, name, options);
    if (!csv) {
      check_.problems.push_back(fmt::format("site {}: {}", file_.site, csv.error().message));
      return false;
    }
    table.csv = std::move(*csv);
    return true;
  }

  bool ReadTables(std::string_view radiomics_csv, std::optional<std::string_view> clinical_csv) {
    bool read = ReadTable(radiomics_csv, file_.radiomics, file_.radiomics_separator, radiomics_);
    if (file_.clinical.has_value() != clinical_csv.has_value()) {
      WrongFile("clinical", file_.clinical
                                ? "is named, but its text was not given; read the file"
                                : "is not named, but a clinical table was given; name it");
      return false;
    }
    if (file_.clinical) {
      clinical_.emplace();
      read =
          ReadTable(*clinical_csv, *file_.clinical, file_.clinical_separator, *clinical_) && read;
    }
    return read;
  }

  void CheckSite() {
    if (std::find(study_.sites.begin(), study_.sites.end(), file_.site) == study_.sites.end()) {
      WrongFile("site", fmt::format("'{}' is not a site of study '{}'{}; correct it", file_.site,
                                    study_.name, DidYouMean(file_.site, study_.sites)));
    }
    if (study_.feature_columns.empty() && !study_.groups.empty()) {
      check_.problems.push_back(
          fmt::format("site {}: the features of study '{}' are not resolved against a header yet; "
                      "resolve them first",
                      file_.site, study_.name));
    }
  }

  // Every row must say that it was extracted as the study says.
  void CheckExtraction() {
    if (!study_.extraction) return;
    for (const auto& [column, expected] :
         {std::pair<const char*, std::string>{"engine", study_.extraction->engine},
          {"settings_sha256", Hex(study_.extraction->settings_digest)}}) {
      const auto at = radiomics_.csv.Column(column);
      if (!at) {
        WrongTable(radiomics_,
                   fmt::format("there is no column '{}', but the study names how features are "
                               "extracted; take the table that consilium-site extract wrote",
                               column));
        continue;
      }
      for (std::size_t row = 0; row < radiomics_.csv.row_count(); ++row) {
        if (radiomics_.csv.Cell(row, *at) == expected) continue;
        check_.problems.push_back(fmt::format(
            "site {}: {}:{}: column '{}' is not '{}', which the study names; extract again with "
            "the study's settings and engine",
            file_.site, radiomics_.name, radiomics_.csv.Line(row), column, expected));
        break;
      }
    }
  }

  std::optional<Place> FindColumn(TableName which, const std::string& column,
                                  const std::string& field) {
    if (which == TableName::kClinical && !clinical_) {
      WrongFile(field, "refers to the clinical table, but 'clinical' names none; add it");
      return std::nullopt;
    }
    const Table& table = which == TableName::kClinical ? *clinical_ : radiomics_;
    if (const auto index = table.csv.Column(column)) return Place{&table, *index};
    const Table* other = which == TableName::kClinical ? &radiomics_
                         : clinical_                   ? &*clinical_
                                                       : nullptr;
    const bool elsewhere = other != nullptr && other->csv.Column(column);
    WrongTable(table,
               fmt::format(
                   "column '{}' is not in the header{}, but field '{}' of {} names it; {}", column,
                   DidYouMean(column, table.csv.header()), field, file_.file_name,
                   elsewhere ? fmt::format("it is in {}: write 'table: {}'", other->name,
                                           which == TableName::kClinical ? "radiomics" : "clinical")
                             : "correct the name there"));
    return std::nullopt;
  }

  void FindColumns() {
    if (file_.rows) filter_ = FindColumn(TableName::kRadiomics, file_.rows->column, "rows.column");
    if (!file_.id.row_number) id_ = FindColumn(TableName::kRadiomics, file_.id.column, "id.column");
    if (file_.patient && !file_.patient->row_number) {
      patient_ = FindColumn(file_.patient_table, file_.patient->column, "patient.column");
    }
    outcome_ = FindColumn(file_.outcome.table, file_.outcome.column, "outcome.column");
    FindVariables();
    FindFeatures();
    FindFold();
  }

  void FindVariables() {
    std::vector<std::string> known;
    for (const Variable& variable : study_.variables) {
      known.push_back(variable.name);
      const auto found = file_.variables.find(variable.name);
      if (found == file_.variables.end()) {
        WrongFile(
            "variables",
            fmt::format("variable '{}' of study '{}' is not mapped; write '{}: {{column: NAME, "
                        "...}}'",
                        variable.name, study_.name, variable.name));
        continue;
      }
      const std::string field = "variables." + variable.name;
      MappedVariable mapped{&variable, &found->second, std::nullopt};
      mapped.place = FindColumn(found->second.table, found->second.column, field + ".column");
      CheckCoding(variable, found->second, field);
      variables_.push_back(mapped);
    }
    for (const auto& [name, mapping] : file_.variables) {
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        WrongFile("variables." + name,
                  fmt::format("is no variable of study '{}'{}; correct or remove it", study_.name,
                              DidYouMean(name, known)));
      }
    }
  }

  void CheckCoding(const Variable& variable, const VariableMapping& mapping,
                   const std::string& field) {
    switch (variable.kind) {
      case VariableKind::kContinuous:
        if (!mapping.one.empty() || !mapping.zero.empty() || !mapping.levels.empty()) {
          WrongFile(field, "the study says continuous, the mapping lists codes; remove them");
        }
        if (!mapping.unit.empty() && mapping.unit != variable.unit && !mapping.rescaled) {
          WrongFile(field + ".unit",
                    fmt::format("is '{}', the study's is '{}'; write 'scale' (and 'offset'), or "
                                "correct the unit",
                                mapping.unit, variable.unit));
        }
        break;
      case VariableKind::kBinary:
        if (mapping.one.empty() || mapping.zero.empty()) {
          WrongFile(field,
                    "the study says binary; list the codes of both values, 'one: [...]' and 'zero: "
                    "[...]'");
        }
        break;
      case VariableKind::kCategorical:
        if (mapping.levels.empty()) {
          WrongFile(
              field,
              fmt::format("the study says categorical; write 'levels: {{LEVEL: [codes]}}' for {}",
                          Listed(variable.levels)));
        }
        for (const auto& [level, codes] : mapping.levels) {
          if (std::find(variable.levels.begin(), variable.levels.end(), level) ==
              variable.levels.end()) {
            WrongFile(field + ".levels", fmt::format("level '{}' is not in the study{}; correct it",
                                                     level, DidYouMean(level, variable.levels)));
          }
        }
        break;
    }
  }

  void FindFeatures() {
    std::vector<std::string> missing;
    for (const std::string& name : study_.feature_columns) {
      const auto index = radiomics_.csv.Column(name);
      if (index) {
        features_.push_back(*index);
      } else {
        missing.push_back(name);
      }
    }
    if (!missing.empty()) {
      const std::string near = missing.size() == 1
                                   ? DidYouMean(missing.front(), radiomics_.csv.header())
                                   : std::string();
      WrongTable(radiomics_,
                 fmt::format("{} of the study's {} feature columns are not in the header: {}{}; "
                             "extract them with the "
                             "study's settings, or rename the columns",
                             missing.size(), study_.feature_columns.size(), Listed(missing), near));
    }
  }

  void FindFold() {
    const std::string& declared = study_.folds.column;
    if (declared.empty()) {
      if (file_.fold) {
        WrongFile("fold",
                  "the study assigns folds by the site's key; remove it, or let the study write "
                  "'folds: {column: cohort}'");
      }
      if (site_key_.size() < kSiteKeyBytesMin) {
        WrongFile(
            "site_key",
            fmt::format("the study assigns folds by the site's key, but there is none of at least "
                        "{} bytes; write one, for example from 'openssl rand -hex 32'",
                        kSiteKeyBytesMin));
      }
      return;
    }
    if (file_.fold && file_.fold->index_modulo > 0) {
      if (declared != study::kFoldsFromCohortFile) {
        WrongFile(
            "fold.index_modulo",
            fmt::format("the study names the fold column '{}'; write 'column: NAME'", declared));
      } else if (file_.fold->index_modulo != study_.folds.count) {
        WrongFile("fold.index_modulo",
                  fmt::format("is {}, but the study has {} folds; make them equal",
                              file_.fold->index_modulo, study_.folds.count));
      }
      return;
    }
    if (!file_.fold && declared == study::kFoldsFromCohortFile) {
      WrongFile("fold",
                "is missing: the study leaves the folds to the cohort files; write 'fold: {column: "
                "NAME}' or "
                "'fold: {index_modulo: F}'");
      return;
    }
    const bool own = file_.fold && !file_.fold->column.empty();
    fold_ = FindColumn(TableName::kRadiomics, own ? file_.fold->column : declared, "fold.column");
  }

  // Clinical rows by id. A repeated id would make the join ambiguous.
  void IndexClinical() {
    if (!clinical_) return;
    const auto column = FindColumn(TableName::kClinical, file_.clinical_id, "clinical_id");
    if (!column) return;
    clinical_indexed_ = true;
    for (std::size_t row = 0; row < clinical_->csv.row_count(); ++row) {
      const std::string id(Trimmed(clinical_->csv.Cell(row, column->column)));
      if (IsMissingToken(id)) {
        ++clinical_without_id_;
        continue;
      }
      const auto [first, fresh] = clinical_row_.try_emplace(id, row);
      if (!fresh) {
        cell_problems_.Add(clinical_->name, clinical_->csv.Line(row), file_.clinical_id,
                           "an id stands here that an earlier line has too, expected one clinical "
                           "record a case; keep "
                           "one of them");
      }
    }
  }

  [[nodiscard]] bool IsMissingToken(std::string_view trimmed) const {
    const auto& tokens = file_.missing.tokens;
    return std::find(tokens.begin(), tokens.end(), trimmed) != tokens.end();
  }

  CellKind Classify(std::string_view trimmed, double& number) const {
    if (IsMissingToken(trimmed)) return CellKind::kMissing;
    if (const auto parsed = ParseNumber(trimmed)) {
      number = *parsed;
      return CellKind::kNumber;
    }
    return IsInfinity(trimmed) ? CellKind::kInfinite : CellKind::kText;
  }

  // The cell of a mapped column for a row of the radiomics table, trimmed, and the line it stands
  // on.
  [[nodiscard]] std::string_view CellAt(const Place& place, std::size_t row,
                                        std::size_t clinical_row, std::int64_t& line) const {
    const std::size_t at = place.table == &radiomics_ ? row : clinical_row;
    line = place.table->csv.Line(at);
    return Trimmed(place.table->csv.Cell(at, place.column));
  }

  void WrongNumber(const Table& table, std::int64_t line, const std::string& column,
                   std::string_view cell) {
    cell_problems_.Add(
        table.name, line, column,
        HasDecimalComma(cell)
            ? "found a decimal comma, expected a decimal point; export the table with points"
            : fmt::format("found text, expected a number or a declared missing token; correct "
                          "the cell, or add its text to 'missing.tokens' in {}",
                          file_.file_name));
  }

  // False: the row is excluded and counted under `reason`, or refused.
  bool AllowMissing(OnMissing rule, const Table& table, std::int64_t line,
                    const std::string& column, const std::string& reason, std::string_view key) {
    if (rule == OnMissing::kExcludeRow) {
      ++excluded_[reason];
    } else {
      cell_problems_.Add(
          table.name, line, column,
          fmt::format("{}, which {} refuses; complete the table, or write '{}: exclude-row' under "
                      "'missing'",
                      reason, file_.file_name, key));
    }
    return false;
  }

  void TakeRow(std::size_t row) {
    const std::int64_t line = radiomics_.csv.Line(row);
    std::int64_t at_line = line;
    if (filter_ && CellAt(*filter_, row, 0, at_line) != file_.rows->equals) {
      ++excluded_["other center"];
      return;
    }
    UsedRow used{row, {}, 0, {}, {}};
    std::size_t clinical_row = 0;
    if (!TakeId(row, line, used.patient, clinical_row)) return;
    if (!TakePatient(row, clinical_row, used.patient)) return;
    if (!TakeOutcome(row, clinical_row, used.outcome)) return;
    if (!TakeCovariates(row, clinical_row, used.covariates)) return;
    if (!TakeFeatures(row, line, used.features)) return;
    rows_.push_back(std::move(used));
  }

  bool TakeId(std::size_t row, std::int64_t line, std::string& id, std::size_t& clinical_row) {
    if (file_.id.row_number) {
      id = std::to_string(row + 1);
      return true;
    }
    if (!id_) return true;  // told already
    id = std::string(Trimmed(radiomics_.csv.Cell(row, id_->column)));
    if (IsMissingToken(id)) {
      return AllowMissing(file_.missing.id, radiomics_, line, file_.id.column, "id missing", "id");
    }
    const auto [first, fresh] = first_line_.try_emplace(id, line);
    if (!fresh && file_.repeated_ids == OnRepeatedId::kRefuse) {
      cell_problems_.Add(
          radiomics_.name, line, file_.id.column,
          fmt::format(
              "the id of line {} is repeated, expected one row an id; remove a row, or declare "
              "'repeated_ids: keep-first' or 'several-per-patient' in {}",
              first->second, file_.file_name));
      return false;
    }
    if (!fresh && file_.repeated_ids == OnRepeatedId::kKeepFirst) {
      ++excluded_["repeated id"];
      return false;
    }
    if (clinical_indexed_) {
      const auto found = clinical_row_.find(id);
      if (found == clinical_row_.end()) {
        return AllowMissing(file_.missing.clinical_record, radiomics_, line, file_.id.column,
                            "no clinical record", "clinical_record");
      }
      clinical_row = found->second;
      joined_.insert(clinical_row);
    }
    return true;
  }

  // Rows of a clinical column can be read only once the join has found one.
  [[nodiscard]] bool Readable(const std::optional<Place>& place) const {
    return place && (place->table == &radiomics_ || clinical_indexed_) &&
           (id_ || file_.id.row_number || place->table == &radiomics_);
  }

  bool TakePatient(std::size_t row, std::size_t clinical_row, std::string& patient) {
    if (!file_.patient) return true;
    if (file_.patient->row_number) {
      patient = std::to_string(row + 1);
      return true;
    }
    if (!Readable(patient_)) return true;
    std::int64_t line = 0;
    patient = std::string(CellAt(*patient_, row, clinical_row, line));
    if (IsMissingToken(patient)) {
      return AllowMissing(file_.missing.id, *patient_->table, line, file_.patient->column,
                          "patient missing", "id");
    }
    return true;
  }

  bool TakeOutcome(std::size_t row, std::size_t clinical_row, double& outcome) {
    if (!Readable(outcome_)) return true;
    std::int64_t line = 0;
    const std::string_view cell = CellAt(*outcome_, row, clinical_row, line);
    // Declared codes come first: a site may code an outcome with what is elsewhere a missing token.
    if (Matches(file_.outcome.event, cell)) {
      outcome = 1;
      return true;
    }
    if (Matches(file_.outcome.non_event, cell)) {
      outcome = 0;
      return true;
    }
    if (IsMissingToken(cell)) {
      return AllowMissing(file_.missing.outcome, *outcome_->table, line, file_.outcome.column,
                          "outcome missing", "outcome");
    }
    cell_problems_.Add(
        outcome_->table->name, line, file_.outcome.column,
        fmt::format("found a code that is neither event nor non_event; add it to one of them under "
                    "'outcome' in {}, or to 'missing.tokens'",
                    file_.file_name));
    return false;
  }

  bool TakeCovariates(std::size_t row, std::size_t clinical_row, std::vector<double>& covariates) {
    bool complete = true;
    for (MappedVariable& mapped : variables_) {
      if (!Readable(mapped.place)) continue;
      const Place& place = *mapped.place;
      std::int64_t line = 0;
      const std::string_view cell = CellAt(place, row, clinical_row, line);
      const bool known = TakeVariable(mapped, cell, line, covariates);
      if (known) continue;
      ++mapped.missing_rows;
      if (file_.missing.covariates == OnMissing::kRefuse) {
        AllowMissing(OnMissing::kRefuse, *place.table, line, mapped.mapping->column,
                     "covariate missing", "covariates");
      }
      complete = false;
    }
    if (!complete && file_.missing.covariates == OnMissing::kExcludeRow)
      ++excluded_["covariate missing"];
    return complete;
  }

  // False: the cell is missing. An undeclared code is a problem and counts as known, so that it is
  // told once.
  bool TakeVariable(const MappedVariable& mapped, std::string_view cell, std::int64_t line,
                    std::vector<double>& covariates) {
    const VariableMapping& mapping = *mapped.mapping;
    const auto undeclared = [&] {
      cell_problems_.Add(
          mapped.place->table->name, line, mapping.column,
          fmt::format(
              "found a code that 'variables.{}' of {} does not declare; add it there, or to "
              "'missing.tokens'",
              mapped.variable->name, file_.file_name));
    };
    switch (mapped.variable->kind) {
      case VariableKind::kContinuous: {
        double number = 0;
        const CellKind kind = Classify(cell, number);
        if (kind == CellKind::kMissing ||
            (kind == CellKind::kInfinite && file_.missing.infinities_are_missing)) {
          return false;
        }
        if (kind == CellKind::kNumber) {
          covariates.push_back(mapping.scale * number + mapping.offset);
          if (!std::isfinite(covariates.back()))
            WrongNumber(*mapped.place->table, line, mapping.column, cell);
        } else {
          WrongNumber(*mapped.place->table, line, mapping.column, cell);
          covariates.push_back(0);
        }
        return true;
      }
      case VariableKind::kBinary: {
        const bool one = Matches(mapping.one, cell);
        if (!one && !Matches(mapping.zero, cell)) {
          if (IsMissingToken(cell)) return false;
          undeclared();
        }
        covariates.push_back(one ? 1 : 0);
        return true;
      }
      case VariableKind::kCategorical: {
        const std::vector<std::string>& levels = mapped.variable->levels;
        std::size_t found = levels.size();
        for (std::size_t i = 0; i < levels.size(); ++i) {
          const auto codes = mapping.levels.find(levels[i]);
          if (codes != mapping.levels.end() && Matches(codes->second, cell)) found = i;
        }
        if (found == levels.size()) {
          if (IsMissingToken(cell)) return false;
          undeclared();
        }
        for (std::size_t i = 1; i < levels.size(); ++i) covariates.push_back(i == found ? 1 : 0);
        return true;
      }
    }
    return true;
  }

  bool TakeFeatures(std::size_t row, std::int64_t line, std::vector<double>& features) {
    std::int64_t missing = 0;
    std::int64_t infinite = 0;
    features.reserve(features_.size());
    for (const std::size_t column : features_) {
      const std::string_view cell = Trimmed(radiomics_.csv.Cell(row, column));
      double number = kNoNumber;
      const CellKind kind = Classify(cell, number);
      if (kind == CellKind::kText ||
          (kind == CellKind::kInfinite && !file_.missing.infinities_are_missing)) {
        WrongNumber(radiomics_, line, radiomics_.csv.header()[column], cell);
      }
      missing += kind == CellKind::kMissing ? 1 : 0;
      infinite += kind == CellKind::kInfinite ? 1 : 0;
      features.push_back(kind == CellKind::kNumber ? number : kNoNumber);
    }
    if (!features_.empty() && missing + infinite == static_cast<std::int64_t>(features_.size())) {
      return AllowMissing(file_.missing.all_features, radiomics_, line, "", "all features missing",
                          "all_features");
    }
    if (file_.missing.cells == OnMissingCell::kRefuse && missing + infinite > 0) {
      for (std::size_t i = 0; i < features_.size(); ++i) {
        if (std::isnan(features[i])) {
          cell_problems_.Add(
              radiomics_.name, line, radiomics_.csv.header()[features_[i]],
              fmt::format(
                  "a feature cell is missing, which {} refuses; complete the table, or write "
                  "'cells: keep' under 'missing'",
                  file_.file_name));
        }
      }
    }
    missing_cells_ += missing;
    infinite_cells_ += infinite;
    return true;
  }

  void CheckSize() {
    if (!study::Trains(study_, file_.site)) return;
    if (!check_.problems.empty()) return;  // counts would be those of a half-read table
    const auto count = static_cast<std::int64_t>(rows_.size());
    if (count < study_.minimum_rows) {
      WrongTable(
          radiomics_,
          fmt::format("{} rows are left of {}, expected at least minimum_rows = {} of a training "
                      "center{}; check the exclusions, or take the site out of the study",
                      count, radiomics_.csv.row_count(), study_.minimum_rows, ExclusionsInWords()));
    }
    std::int64_t events = 0;
    for (const UsedRow& row : rows_) events += row.outcome > 0.5 ? 1 : 0;
    if (count > 0 && (events == 0 || events == count)) {
      WrongTable(
          radiomics_,
          fmt::format("column '{}': every row is {}, expected both classes at a training center; "
                      "check the codes under 'outcome' in {}, or hold this site out",
                      file_.outcome.column, events == 0 ? "a non-event" : "an event",
                      file_.file_name));
    }
  }

  [[nodiscard]] std::string ExclusionsInWords() const {
    std::string words;
    for (const char* reason : kReasons) {
      const auto found = excluded_.find(reason);
      if (found == excluded_.end()) continue;
      words += fmt::format("{}{} {}", words.empty() ? " (excluded: " : ", ", found->second, reason);
    }
    return words.empty() ? words : words + ")";
  }

  void Note() {
    std::set<std::size_t> mapped(features_.begin(), features_.end());
    const auto add = [&](const std::optional<Place>& place) {
      if (place && place->table == &radiomics_) mapped.insert(place->column);
    };
    add(filter_);
    add(id_);
    add(patient_);
    add(outcome_);
    add(fold_);
    for (const MappedVariable& variable : variables_) add(variable.place);
    auto& notes = check_.notes;
    if (const std::size_t extra = radiomics_.csv.column_count() - mapped.size(); extra > 0) {
      notes.push_back(
          fmt::format("{}: {} columns are not used by the study", radiomics_.name, extra));
    }
    if (missing_cells_ > 0) {
      notes.push_back(fmt::format("{}: {} missing feature cells kept in {} columns",
                                  radiomics_.name, missing_cells_, ColumnsWithMissing()));
    }
    if (infinite_cells_ > 0) {
      notes.push_back(fmt::format("{}: {} infinite feature cells treated as missing",
                                  radiomics_.name, infinite_cells_));
    }
    for (const MappedVariable& variable : variables_) {
      if (variable.missing_rows > 0) {
        notes.push_back(fmt::format("site {}: variable '{}' is missing in {} rows", file_.site,
                                    variable.variable->name, variable.missing_rows));
      }
    }
    if (clinical_indexed_) {
      if (const std::size_t unused = clinical_row_.size() - joined_.size(); unused > 0) {
        notes.push_back(fmt::format("{}: {} records have no row in {}", clinical_->name, unused,
                                    radiomics_.name));
      }
      if (clinical_without_id_ > 0) {
        notes.push_back(
            fmt::format("{}: {} records have no id", clinical_->name, clinical_without_id_));
      }
    }
  }

  [[nodiscard]] std::size_t ColumnsWithMissing() const {
    std::size_t columns = 0;
    for (std::size_t j = 0; j < features_.size(); ++j) {
      columns += std::any_of(rows_.begin(), rows_.end(),
                             [&](const UsedRow& row) { return std::isnan(row.features[j]); })
                     ? 1
                     : 0;
    }
    return columns;
  }

  federation::Cohort Assemble() {
    federation::Cohort cohort;
    cohort.site = file_.site;
    cohort.feature_names = study_.feature_columns;
    cohort.covariate_names = study::CovariateColumns(study_);
    const auto n = static_cast<Eigen::Index>(rows_.size());
    cohort.flow.push_back({"found", static_cast<std::int64_t>(radiomics_.csv.row_count())});
    for (const char* reason : kReasons) {
      const auto found = excluded_.find(reason);
      if (found != excluded_.end())
        cohort.flow.push_back({fmt::format("excluded: {}", reason), found->second});
    }
    cohort.flow.push_back({"used", static_cast<std::int64_t>(n)});
    if (!check_.problems.empty()) return cohort;
    cohort.features.resize(n, static_cast<Eigen::Index>(cohort.feature_names.size()));
    cohort.covariates.resize(n, static_cast<Eigen::Index>(cohort.covariate_names.size()));
    cohort.outcome.resize(n);
    std::map<std::string, int> patient_index;
    for (Eigen::Index i = 0; i < n; ++i) {
      const UsedRow& row = rows_[static_cast<std::size_t>(i)];
      for (Eigen::Index j = 0; j < cohort.features.cols(); ++j) {
        cohort.features(i, j) = row.features[static_cast<std::size_t>(j)];
      }
      for (Eigen::Index j = 0; j < cohort.covariates.cols(); ++j) {
        cohort.covariates(i, j) = row.covariates[static_cast<std::size_t>(j)];
      }
      cohort.outcome(i) = row.outcome;
      const auto [index, fresh] =
          patient_index.try_emplace(row.patient, static_cast<int>(cohort.patient_ids.size()));
      if (fresh) cohort.patient_ids.push_back(row.patient);
      cohort.patient.push_back(index->second);
    }
    return cohort;
  }

  void AssignFolds(federation::Cohort& cohort) {
    const int count = study_.folds.count;
    if (fold_) {
      AssignFoldsByColumn(cohort);
    } else if (file_.fold) {
      cohort.fold = FoldsByIndex(cohort.patient, count);
    } else {
      const std::vector<double> outcome(cohort.outcome.data(),
                                        cohort.outcome.data() + cohort.outcome.size());
      auto folds = KeyedFolds(site_key_, study_.digest,
                              {cohort.patient, cohort.patient_ids, outcome}, count);
      if (folds) {
        cohort.fold = std::move(*folds);
      } else {
        check_.problems.push_back(fmt::format("site {}: {}", file_.site, folds.error().message));
      }
    }
  }

  void AssignFoldsByColumn(federation::Cohort& cohort) {
    CellProblems wrong;
    const std::string& column = radiomics_.csv.header()[fold_->column];
    std::map<int, int> fold_of_patient;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const std::size_t row = rows_[i].row;
      const auto number = ParseNumber(radiomics_.csv.Cell(row, fold_->column));
      const bool valid =
          number && *number == std::floor(*number) && *number >= 1 && *number <= study_.folds.count;
      if (!valid) {
        wrong.Add(radiomics_.name, radiomics_.csv.Line(row), column,
                  fmt::format(
                      "found no fold, expected a whole number from 1 to {}; correct the column, or "
                      "'folds.count' in the study",
                      study_.folds.count));
        continue;
      }
      const int fold = static_cast<int>(*number);
      cohort.fold.push_back(fold);
      if (fold_of_patient.try_emplace(cohort.patient[i], fold).first->second != fold) {
        wrong.Add(radiomics_.name, radiomics_.csv.Line(row), column,
                  "the patient of this row is in another fold on an earlier line, expected one "
                  "fold a patient; correct "
                  "the column");
      }
    }
    wrong.MoveTo(file_.site, check_.problems);
  }

  static constexpr const char* kReasons[] = {
      "other center",    "id missing",      "repeated id",       "no clinical record",
      "patient missing", "outcome missing", "covariate missing", "all features missing"};

  const CohortFile& file_;
  const Study& study_;
  Bytes site_key_;
  CohortCheck check_;
  Table radiomics_;
  std::optional<Table> clinical_;
  std::optional<Place> filter_, id_, patient_, outcome_, fold_;
  std::vector<MappedVariable> variables_;
  std::vector<std::size_t> features_;  // columns of the radiomics table, in the study's order
  bool clinical_indexed_ = false;
  std::map<std::string, std::size_t> clinical_row_;
  std::set<std::size_t> joined_;
  std::int64_t clinical_without_id_ = 0;
  std::map<std::string, std::int64_t> first_line_;
  std::map<std::string, std::int64_t> excluded_;
  std::int64_t missing_cells_ = 0;
  std::int64_t infinite_cells_ = 0;
  CellProblems cell_problems_;
  std::vector<UsedRow> rows_;
};

}  // namespace

Result<std::vector<std::string>> RadiomicsHeader(const CohortFile& file,
                                                 std::string_view radiomics_csv) {
  CsvOptions options;
  options.separator = file.radiomics_separator;
  auto header = ParseCsvHeader(radiomics_csv, file.radiomics, options);
  if (!header) return tl::unexpected<Error>(Within("site " + file.site, header.error()));
  return header;
}

CohortCheck CheckCohort(const CohortFile& file, const Study& resolved,
                        std::string_view radiomics_csv,
                        std::optional<std::string_view> clinical_csv, const Bytes& site_key) {
  return CohortBuilder(file, resolved, site_key).Build(radiomics_csv, clinical_csv);
}

Result<federation::Cohort> BuildCohort(const CohortFile& file, const Study& resolved,
                                       std::string_view radiomics_csv,
                                       std::optional<std::string_view> clinical_csv,
                                       const Bytes& site_key, std::vector<std::string>* notes) {
  CohortCheck check = CheckCohort(file, resolved, radiomics_csv, clinical_csv, site_key);
  if (notes != nullptr) *notes = std::move(check.notes);
  if (!check.cohort) return tl::unexpected<Error>(Combine(check.problems));
  return std::move(*check.cohort);
}

}  // namespace consilium::site_agent
