// The inputs of a cross-validated LASSO on given cohorts: moments of every training set, by sums.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "learning/lasso.h"

namespace consilium::testing_support {

struct LassoProblem {
  learning::LassoFitInput full;
  std::vector<learning::LassoFitInput> folds;
};

inline federation::Task<LassoProblem> PrepareLasso(federation::Sums& sums,
                                                   std::vector<std::string> members,
                                                   std::vector<int> columns, int fold_count) {
  LassoProblem problem;
  federation::Scope scope{"test", members, 0};
  for (const std::string& member : members) scope.fit += "/" + member;
  auto measuring = learning::MeasureExtent(sums, scope, columns, std::max(1, fold_count));
  const auto extent = co_await measuring;
  if (!extent) co_return tl::unexpected<Error>(extent.error());
  std::vector<federation::Task<learning::Moments>> tasks;
  std::vector<federation::Scope> scopes;
  for (int f = 0; f <= fold_count; ++f) {
    federation::Scope one = scope;
    if (f > 0) one.fit = fmt::format("{}/fold={}", scope.fit, f);
    one.left_out_fold = f;
    scopes.push_back(one);
    tasks.push_back(learning::MeasureMoments(sums, one, columns, extent->exponent));
  }
  federation::WhenAll<learning::Moments> all(std::move(tasks));
  const auto moments = co_await all;
  for (int f = 0; f <= fold_count; ++f) {
    const auto& one = moments[static_cast<std::size_t>(f)];
    if (!one) co_return tl::unexpected<Error>(one.error());
    learning::LassoFitInput input{scopes[static_cast<std::size_t>(f)], columns, *one,
                                  extent->events(), 0};
    if (f > 0) {
      input.events -= extent->fold_counts(f - 1, 1);
      input.left_out_rows = extent->fold_counts.row(f - 1).sum();
      problem.folds.push_back(std::move(input));
    } else {
      problem.full = std::move(input);
    }
  }
  co_return problem;
}

inline federation::Task<learning::LassoPath> PrepareAndFit(federation::Sums& sums,
                                                           std::vector<std::string> members,
                                                           std::vector<int> columns, int fold_count,
                                                           learning::LassoOptions options) {
  auto preparing = PrepareLasso(sums, members, columns, fold_count);
  auto problem = co_await preparing;
  if (!problem) co_return tl::unexpected<Error>(problem.error());
  auto fitting = learning::FitLassoPath(sums, problem->full, problem->folds, options);
  auto path = co_await fitting;
  co_return path;
}

}  // namespace consilium::testing_support
