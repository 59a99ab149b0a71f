// Any bytes as a cohort file, and after a zero byte as its table: no crash, and every row is
// accounted for.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "site_agent/cohort_table.h"
#include "study/study_file.h"

namespace {

constexpr std::string_view kStudy =
    "name: s\nsites: [A, B, C, D]\noutcome: y\nevent: death\npatient: id\n"
    "variables: {age: {kind: continuous}, sex: {kind: binary}}\n"
    "features: {all: {include: ['f_*']}}\nmodels: {lasso: {}}\nheld_out: [A]\nfolds: {count: 2, "
    "column: cohort}\n";

constexpr std::string_view kCohort =
    "site: A\nradiomics: a.csv\nid: {column: id}\noutcome: {column: y, event: ['1'], non_event: "
    "['0']}\n"
    "variables: {age: {column: age}, sex: {column: sex, one: [F], zero: [M]}}\n"
    "missing: {id: exclude-row}\nrepeated_ids: several-per-patient\nfold: {index_modulo: 2}\n";

void Try(const consilium::site_agent::CohortFile& file, std::string_view table) {
  static const auto study =
      ResolveFeatures(*consilium::study::ParseStudy(kStudy, "s.yaml"), {"id", "f_a", "f_b"});
  std::optional<std::string_view> clinical;
  if (file.clinical) clinical = table;
  const auto check = CheckCohort(file, *study, table, clinical, consilium::Bytes(32, 1));
  if (check.cohort.has_value() != check.problems.empty()) std::abort();
  if (!check.cohort) return;
  const auto& cohort = *check.cohort;
  std::int64_t accounted = 0;
  for (const auto& step : cohort.flow) accounted += step.reason == "found" ? 0 : step.rows;
  if (accounted != cohort.flow.front().rows) std::abort();
  if (cohort.fold.size() != static_cast<std::size_t>(cohort.row_count())) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using consilium::site_agent::ParseCohortFile;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto cut = text.find('\0');
  const auto table = cut == std::string_view::npos ? std::string_view() : text.substr(cut + 1);
  const auto file = ParseCohortFile(text.substr(0, cut), "A.yaml");
  if (file) Try(*file, table);
  if (!file && file.error().message.empty()) std::abort();
  static const auto fixed = ParseCohortFile(kCohort, "A.yaml");
  Try(*fixed, text);
  return 0;
}
