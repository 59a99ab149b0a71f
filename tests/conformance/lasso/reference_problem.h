// The tables of reference/learning as federations, and fits of them by sums over their centers.
#pragma once

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "learning/lasso.h"
#include "tests/support/lasso_problem.h"
#include "tests/support/pooled_driver.h"
#include "tests/support/reference_data.h"

namespace consilium::testing_support {

struct ReferenceProblem {
  std::vector<federation::Cohort> cohorts;  // one a center, ascending
  std::vector<std::string> features, sites;
};

// input.csv of `name` (heart, bc4) with the references' folds.
inline ReferenceProblem ReadProblem(const std::string& name) {
  const CsvTable input = ReadSharedCsv("reference/learning/" + name + "/input.csv");
  ReferenceProblem problem;
  for (const std::string& column : input.header()) {
    if (column != "row" && column != "source_row" && column != "centre" && column != "foldid" &&
        column != "y") {
      problem.features.push_back(column);
    }
  }
  problem.cohorts = SplitByCenter(
      input, problem.features,
      [&](std::size_t i) { return std::string(input.Cell(i, *input.Column("centre"))); },
      [&](std::size_t i) { return static_cast<int>(Number(input, i, "foldid")); },
      [&](std::size_t i) { return Number(input, i, "y"); });
  for (const auto& cohort : problem.cohorts) problem.sites.push_back(cohort.site);
  return problem;
}

// The four hospitals of hnscc with the 1209 columns of features_used.csv.
inline ReferenceProblem ReadHnscc() {
  const CsvTable input = ReadSharedCsv("data/hnscc_ct_4hospitals/hnscc.csv");
  const CsvTable used = ReadSharedCsv("reference/learning/hnscc/features_used.csv");
  const CsvTable folds = ReadSharedCsv("reference/learning/hnscc/foldid.csv");
  std::map<std::string, int> fold_of;
  for (std::size_t i = 0; i < folds.row_count(); ++i) {
    fold_of[std::string(folds.Cell(i, 0))] = static_cast<int>(Number(folds, i, "foldid"));
  }
  ReferenceProblem problem;
  for (std::size_t i = 0; i < used.row_count(); ++i) problem.features.emplace_back(used.Cell(i, 0));
  problem.cohorts = SplitByCenter(
      input, problem.features,
      [&](std::size_t i) { return std::string(input.Cell(i, *input.Column("hospital"))); },
      [&](std::size_t i) {
        return fold_of.at(std::string(input.Cell(i, *input.Column("row_id"))));
      },
      [&](std::size_t i) { return Number(input, i, "died_within_3y"); });
  for (const auto& cohort : problem.cohorts) problem.sites.push_back(cohort.site);
  return problem;
}

inline std::vector<int> ColumnsNamed(const ReferenceProblem& problem,
                                     const std::vector<std::string>& names) {
  std::vector<int> columns;
  for (const std::string& name : names) {
    const auto at = std::find(problem.features.begin(), problem.features.end(), name);
    EXPECT_NE(at, problem.features.end()) << name;
    columns.push_back(static_cast<int>(at - problem.features.begin()));
  }
  return columns;
}

struct FittedPath {
  learning::LassoPath path;
  learning::Moments moments;  // of the full fit
};

// The cross-validated path of `members`, 10 folds, every column.
inline Result<FittedPath> FitPath(const ReferenceProblem& problem,
                                  const std::vector<std::string>& members,
                                  const learning::LassoOptions& options) {
  federation::StepRegistry registry;
  learning::RegisterMomentSteps(registry);
  learning::RegisterLassoSteps(registry);
  PooledDriver driver(registry, problem.cohorts);
  auto prepared =
      driver.Run(PrepareLasso(driver.sums(), members, ColumnsNamed(problem, problem.features), 10));
  if (!prepared) return tl::unexpected<Error>(prepared.error());
  auto path =
      driver.Run(learning::FitLassoPath(driver.sums(), prepared->full, prepared->folds, options));
  if (!path) return tl::unexpected<Error>(path.error());
  return FittedPath{std::move(*path), prepared->full.moments};
}

// Concordant pairs of an event and a non-event, ties as half, over all pairs of one cohort.
inline double AucOfCohort(const federation::Cohort& cohort, const Eigen::VectorXd& coefficients) {
  std::vector<double> scores;
  for (Eigen::Index i = 0; i < cohort.row_count(); ++i) {
    double score = coefficients(0);
    for (Eigen::Index j = 0; j < cohort.features.cols(); ++j) {
      score += coefficients(j + 1) * cohort.features(i, j);
    }
    scores.push_back(score);
  }
  double u = 0, pairs = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    for (std::size_t j = 0; j < scores.size(); ++j) {
      if (cohort.outcome(static_cast<Eigen::Index>(i)) < 0.5) continue;
      if (cohort.outcome(static_cast<Eigen::Index>(j)) > 0.5) continue;
      pairs += 1;
      u += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0;
    }
  }
  return u / pairs;
}

}  // namespace consilium::testing_support
