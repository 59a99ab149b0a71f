#include "site_agent/cohort_folder.h"

#include <fmt/format.h>

#include "base/csv.h"
#include "disk/files.h"

namespace consilium::site_agent {
namespace {

// What base/csv.h takes, and one byte more, so that its own message is the one that is read.
constexpr std::uintmax_t kTableBytesMax = (std::uintmax_t{256} << 20) + 1;

}  // namespace

Result<CohortTables> ReadCohort(const std::filesystem::path& path,
                                const std::filesystem::path& data, const std::string& site,
                                std::string_view expected_by) {
  const auto text = disk::ReadFile(path, std::uintmax_t{1} << 20);
  CONSILIUM_TRY(text);
  auto file = ParseCohortFile(*text, path.string());
  CONSILIUM_TRY(file);
  if (file->site != site) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: it is the cohort file of site '{}'; expected '{}', as {} says",
                            path.string(), file->site, site, expected_by));
  }
  CohortTables tables{std::move(*file), {}, std::nullopt};
  auto radiomics = disk::ReadFile(data / tables.file.radiomics, kTableBytesMax);
  CONSILIUM_TRY(radiomics);
  tables.radiomics = std::move(*radiomics);
  if (tables.file.clinical) {
    auto clinical = disk::ReadFile(data / *tables.file.clinical, kTableBytesMax);
    CONSILIUM_TRY(clinical);
    tables.clinical = std::move(*clinical);
  }
  return tables;
}

Result<std::set<std::string>> EnginesOf(const CohortTables& tables) {
  CsvOptions options;
  options.separator = tables.file.radiomics_separator;
  const auto csv = ParseCsv(tables.radiomics, tables.file.radiomics, options);
  CONSILIUM_TRY(csv);
  std::set<std::string> engines;
  if (const auto at = csv->Column("engine")) {
    for (std::size_t row = 0; row < csv->row_count(); ++row) engines.emplace(csv->Cell(row, *at));
  }
  return engines;
}

Result<std::vector<std::string>> RadiomicsHeader(const CohortTables& tables) {
  return RadiomicsHeader(tables.file, tables.radiomics);
}

CohortCheck CheckCohort(const CohortTables& tables, const study::Study& resolved,
                        const Bytes& site_key) {
  std::optional<std::string_view> clinical;
  if (tables.clinical) clinical = *tables.clinical;
  return CheckCohort(tables.file, resolved, tables.radiomics, clinical, site_key);
}

}  // namespace consilium::site_agent
