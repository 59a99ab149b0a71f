// A study of deploy/studies, run as its users run it: files read by the console's loader, the whole
// federation in this process.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "console/load.h"
#include "federation/log.h"
#include "simulation/local_federation.h"
#include "tests/support/reference_data.h"

namespace consilium::testing_support {

class NoLog : public federation::LogSink {
 public:
  [[nodiscard]] Result<void> Append(std::span<const std::uint8_t>) override { return {}; }
};

// `data`: the folder that the cohort files' paths are relative to.
inline Result<simulation::LocalOutcome> RunShippedStudy(const std::string& name,
                                                        const std::vector<std::string>& sites,
                                                        const std::string& data) {
  const std::filesystem::path folder =
      std::filesystem::path(CONSILIUM_SOURCE_DIR) / "deploy/studies" / name;
  std::map<std::string, std::filesystem::path> files;
  for (const std::string& site : sites) files[site] = folder / (site + ".yaml");
  auto loaded = console::Load(folder / "study.yaml", files, data);
  if (!loaded) return tl::unexpected<Error>(loaded.error());
  NoLog log;
  return simulation::RunLocally(loaded->study, loaded->text, std::move(loaded->sites), log, {});
}

inline const study::ResultRow& RowOf(const study::Results& results,
                                     const std::string& harmonization,
                                     const std::string& held_out) {
  for (const study::ResultRow& row : results.rows) {
    if (row.key.harmonization == harmonization && row.key.held_out == held_out) return row;
  }
  ADD_FAILURE() << "no row " << harmonization << ", held out " << held_out;
  static const study::ResultRow kNone;
  return kNone;
}

inline const study::SummaryRow& SummaryOf(const study::Results& results,
                                          const std::string& harmonization) {
  for (const study::SummaryRow& row : results.summary) {
    if (row.harmonization == harmonization) return row;
  }
  ADD_FAILURE() << "no summary of " << harmonization;
  static const study::SummaryRow kNone;
  return kNone;
}

struct ReferenceAuc {
  double lambda = 0;
  double external = 0;
};

// lasso_lambda_min rows of external_auc_lasso_rf.csv, by held-out center.
inline std::map<std::string, ReferenceAuc> ReadReferenceAucs(const std::string& path,
                                                             const std::string& model) {
  const CsvTable table = ReadSharedCsv(path);
  std::map<std::string, ReferenceAuc> found;
  for (std::size_t i = 0; i < table.row_count(); ++i) {
    if (table.Cell(i, *table.Column("model")) != model) continue;
    const std::string detail(table.Cell(i, *table.Column("detail")));  // "lambda=0.0131... df=9"
    const std::size_t begin = detail.find('=') + 1;
    const auto lambda = ParseNumber(detail.substr(begin, detail.find(' ') - begin));
    EXPECT_TRUE(lambda.has_value()) << detail;
    found[std::string(table.Cell(i, *table.Column("held_out")))] = {
        lambda.value_or(std::nan("")), Number(table, i, "external_auc_mean")};
  }
  return found;
}

// Agreement with a figure printed to `digits` decimals: half a unit of the last.
inline ::testing::AssertionResult Prints(double value, double printed, int digits) {
  const double half = 0.5 * std::pow(10.0, -digits);
  if (std::fabs(value - printed) <= half * (1 + 1e-9)) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << value << " is not printed as " << printed;
}

}  // namespace consilium::testing_support
