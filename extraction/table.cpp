#include "extraction/table.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "base/csv.h"

namespace consilium::extraction {
namespace {

// Names of columns in the order in which they first come up.
class Columns {
 public:
  std::size_t Add(const std::string& name) {
    const auto [place, is_new] = place_.try_emplace(name, names_.size());
    if (is_new) names_.push_back(name);
    return place->second;
  }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] bool Has(const std::string& name) const { return place_.contains(name); }

 private:
  std::map<std::string, std::size_t> place_;
  std::vector<std::string> names_;
};

std::vector<std::size_t> FacetsInUse(const CaseList& list) {
  std::vector<std::size_t> used;
  for (std::size_t i = 0; i < kFacets.size(); ++i) {
    if (std::any_of(list.cases.begin(), list.cases.end(),
                    [&](const Case& one) { return !one.facets[i].empty(); }))
      used.push_back(i);
  }
  return used;
}

std::string FeatureTable(const CaseList& list, const std::vector<CaseOutcome>& outcomes,
                         const std::vector<std::size_t>& facets, bool perturbed = false) {
  Columns provenance, features;
  bool ends = false;  // is there the column that ends the provenance?
  for (const auto& [of, outcome] : outcomes) {
    for (const RegionRow& row : outcome.rows) {
      for (const auto& [name, text] : row.provenance) {
        ends = ends || name == kBeforeFeatures;
        if (name != kBeforeFeatures) provenance.Add(name);
      }
      for (const auto& name : row.names) features.Add(name);
    }
  }
  if (ends) provenance.Add(kBeforeFeatures);
  CsvWriter csv;
  csv.Cell("id").Cell("patient");
  for (const std::size_t facet : facets) csv.Cell(kFacets[facet]);
  csv.Cell("region");
  if (perturbed) csv.Cell(kPerturbation);
  for (const auto* names : {&list.variables, &provenance.names(), &features.names()}) {
    for (const auto& name : *names) csv.Cell(name);
  }
  csv.EndRow();
  for (const auto& [of, outcome] : outcomes) {
    for (const RegionRow& row : outcome.rows) {
      csv.Cell(perturbed || outcome.rows.size() == 1 ? of->id
                                                     : fmt::format("{}/{}", of->id, row.region));
      csv.Cell(of->patient);
      for (const std::size_t facet : facets) csv.Cell(of->facets[facet]);
      csv.Cell(row.region);
      if (perturbed) csv.Cell(row.perturbation);
      for (const auto& value : of->variables) csv.Cell(value);
      std::vector<std::string> cells(provenance.names().size());
      for (const auto& [name, text] : row.provenance) cells[provenance.Add(name)] = text;
      for (const auto& cell : cells) csv.Cell(cell);
      cells.assign(features.names().size(), "");
      for (std::size_t i = 0; i < row.names.size(); ++i)
        cells[features.Add(row.names[i])] = FormatNumber(row.values[i]);
      for (const auto& cell : cells) csv.Cell(cell);
      csv.EndRow();
    }
  }
  return csv.text();
}

std::string ProblemTable(const std::vector<CaseOutcome>& outcomes, std::size_t& count) {
  CsvWriter csv;
  csv.Row({"id", "region", "kind", "message"});
  const auto put = [&](const Case& of, const std::string& region, const char* kind,
                       const std::string& message) {
    csv.Row({of.id, region, kind, message});
    ++count;
  };
  for (const auto& [of, outcome] : outcomes) {
    for (const auto& [region, message] : outcome.failures) put(*of, region, "failure", message);
    for (const RegionRow& row : outcome.rows) {
      for (const auto& warning : row.warnings) put(*of, row.region, "warning", warning);
    }
  }
  return csv.text();
}

// A row a patient.
class PatientTable {
 public:
  PatientTable(const CaseList& list, const std::vector<CaseOutcome>& outcomes)
      : list_(list), outcomes_(outcomes) {
    for (const auto& [of, outcome] : outcomes) {
      several_regions_ = several_regions_ || outcome.rows.size() > 1;
      if (const std::string& time = of->facets[kTime]; !time.empty()) times_.push_back(time);
    }
    std::sort(times_.begin(), times_.end(), FacetBefore);
    times_.erase(std::unique(times_.begin(), times_.end()), times_.end());
  }

  Result<std::string> Make() {
    // The first time point before all others, which differ from it.
    for (const CaseOutcome& one : outcomes_) {
      if (!IsLater(*one.of)) CONSILIUM_TRY(AddCase(one));
    }
    for (const CaseOutcome& one : outcomes_) {
      if (IsLater(*one.of)) CONSILIUM_TRY(AddCase(one));
    }
    CsvWriter csv;
    csv.Cell("patient");
    for (const auto& name : list_.variables) csv.Cell(name);
    for (const auto& name : columns_.names()) csv.Cell(name);
    csv.EndRow();
    for (const auto& patient : order_) {
      const Patient& row = patients_[patient];
      csv.Cell(patient);
      for (const auto& value : *row.variables) csv.Cell(value);
      for (const auto& name : columns_.names()) {
        const auto value = row.values.find(name);
        csv.Cell(value == row.values.end() ? "" : FormatNumber(value->second));
      }
      csv.EndRow();
    }
    return csv.text();
  }

 private:
  static constexpr std::size_t kNamed = 3, kTime = 5;  // in kFacets: the first told with its name
  struct Patient {
    std::string first_id;
    const std::vector<std::string>* variables = nullptr;
    std::map<std::string, std::string> image_of;  // prefix -> id of the image
    std::map<std::string, double> values;         // by column
  };

  [[nodiscard]] bool IsLater(const Case& of) const {
    return !of.facets[kTime].empty() && of.facets[kTime] != times_.front();
  }

  Result<void> AddCase(const CaseOutcome& one) {
    const Case& of = *one.of;
    const auto [place, is_new] = patients_.try_emplace(of.patient);
    Patient& patient = place->second;
    if (is_new) {
      order_.push_back(of.patient);
      patient.first_id = of.id;
      patient.variables = &of.variables;
    }
    for (std::size_t i = 0; i < of.variables.size(); ++i) {
      if (of.variables[i] == (*patient.variables)[i]) continue;
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("cases {} and {} are of one patient, but differ in column '{}'; a "
                              "variable of a patient must be the same in all rows",
                              patient.first_id, of.id, list_.variables[i]));
    }
    for (const RegionRow& row : one.outcome.rows) CONSILIUM_TRY(AddRow(of, row, patient));
    return {};
  }

  Result<void> AddRow(const Case& of, const RegionRow& row, Patient& patient) {
    std::string prefix;
    for (std::size_t i = 0; i < kTime; ++i) {
      if (of.facets[i].empty()) continue;
      prefix += (i < kNamed ? "" : fmt::format("{}-", kFacets[i])) + of.facets[i] + "_";
    }
    if (several_regions_) prefix += row.region + "_";
    const std::string& time = of.facets[kTime];
    const std::string when = time.empty() ? "" : fmt::format("time-{}_", time);
    const auto [image, is_new] = patient.image_of.try_emplace(when + prefix, of.id);
    if (!is_new) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("cases {} and {} are images of one patient that nothing tells apart; "
                              "fill in one of the columns {}",
                              image->second, of.id, fmt::join(kFacets, ", ")));
    }
    for (std::size_t i = 0; i < row.names.size(); ++i) {
      const std::string name = when + prefix + row.names[i];
      columns_.Add(name);
      patient.values[name] = row.values[i];
    }
    if (IsLater(of)) AddDifferences(row, prefix, time, patient);
    return {};
  }

  // To the first time point of all.
  void AddDifferences(const RegionRow& row, const std::string& prefix, const std::string& time,
                      Patient& patient) {
    for (std::size_t i = 0; i < row.names.size(); ++i) {
      const auto first =
          patient.values.find(fmt::format("time-{}_{}{}", times_.front(), prefix, row.names[i]));
      if (first == patient.values.end()) continue;
      const double difference = row.values[i] - first->second;
      for (const auto& [kind, value] : {std::pair{"delta", difference},
                                        std::pair{"relative-delta", difference / first->second}}) {
        const std::string name = fmt::format("{}-{}_{}{}", kind, time, prefix, row.names[i]);
        columns_.Add(name);
        patient.values[name] = value;
      }
    }
  }

  const CaseList& list_;
  const std::vector<CaseOutcome>& outcomes_;
  bool several_regions_ = false;
  std::vector<std::string> times_;  // ascending
  std::vector<std::string> order_;  // of patients
  std::map<std::string, Patient> patients_;
  Columns columns_;
};

// Takes the rows of perturbed regions out of `outcomes`.
std::vector<CaseOutcome> PerturbedOf(std::vector<CaseOutcome>& outcomes) {
  std::vector<CaseOutcome> perturbed;
  for (auto& [of, outcome] : outcomes) {
    auto& rows = outcome.rows;
    const auto from = std::stable_partition(
        rows.begin(), rows.end(), [](const RegionRow& row) { return row.perturbation.empty(); });
    if (from == rows.end()) continue;
    perturbed.push_back(
        {of, {{std::make_move_iterator(from), std::make_move_iterator(rows.end())}, {}}});
    rows.erase(from, rows.end());
  }
  return perturbed;
}

}  // namespace

Result<Tables> MakeTables(const CaseList& list, std::vector<CaseOutcome> outcomes) {
  Tables tables;
  const auto facets = FacetsInUse(list);
  std::set<std::string> patients;
  bool several = false;
  for (const Case& one : list.cases) several = !patients.insert(one.patient).second || several;
  if (const auto perturbed = PerturbedOf(outcomes); !perturbed.empty())
    tables.perturbations = FeatureTable(list, perturbed, facets, true);
  tables.features = FeatureTable(list, outcomes, facets);
  tables.problems = ProblemTable(outcomes, tables.problem_count);
  for (const auto& [of, outcome] : outcomes) tables.row_count += outcome.rows.size();
  if (several) {
    auto text = PatientTable(list, outcomes).Make();
    CONSILIUM_TRY(text);
    tables.patients = std::move(*text);
  }
  return tables;
}

}  // namespace consilium::extraction
