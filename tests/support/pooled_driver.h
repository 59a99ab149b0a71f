// A whole federation in a test: coordinator half, site halves and exact sums, without masks, gate
// or wire.
//
// A coroutine's queries are answered by every cohort through the registered steps, the answers are
// encoded as fixed-point words, added, decoded and delivered, until the coroutine ends. What a real
// run does besides (masks, log, gate) does not change a bit of these totals, so a test may rely on
// them.
//
//   PooledDriver driver(registry, cohorts);
//   auto fit = driver.Run(FitSomething(driver.sums(), options));      // Result<Something>
//   driver.derived("A").Find<FeatureMatrix>("fit", kFeatures);
//
// or, when nothing but the result matters:
//   auto fit = RunFederation([&](Sums& sums) { return FitSomething(sums, options); }, registry,
//   cohorts);
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "federation/block.h"
#include "federation/cohort.h"
#include "federation/computation.h"
#include "federation/fixed_point.h"
#include "federation/step.h"

namespace consilium::testing_support {

class PooledDriver {
 public:
  // `registry` must outlive the driver. Sites answer in the order of `cohorts`.
  PooledDriver(const federation::StepRegistry& registry, std::vector<federation::Cohort> cohorts)
      : registry_(registry), cohorts_(std::move(cohorts)) {}
  PooledDriver(const PooledDriver&) = delete;
  PooledDriver& operator=(const PooledDriver&) = delete;

  [[nodiscard]] federation::Sums& sums() { return sums_; }
  [[nodiscard]] const std::vector<federation::Cohort>& cohorts() const { return cohorts_; }
  // What the site keeps between queries; empty for a site that derived nothing.
  [[nodiscard]] const federation::Derived& derived(const std::string& site) {
    return derived_[site];
  }
  // Every round asked so far, with its queries in order, and the words that one site sent.
  [[nodiscard]] const std::vector<std::vector<federation::Query>>& rounds() const {
    return rounds_;
  }
  [[nodiscard]] std::size_t bytes_per_site() const { return bytes_per_site_; }

  // Runs `task` (made over sums()) to its end. Errors: those of the task; those of a step, with the
  // step and the site in front; kInternal after 100,000 rounds, or when the task waits for
  // something that is not a sum.
  template <typename T>
  [[nodiscard]] Result<T> Run(federation::Task<T> task) {
    constexpr std::size_t kRoundsMax = 100'000;
    sums_.Run(task);
    while (!task.done()) {
      const std::vector<federation::Query> queries = sums_.OpenQueries();
      if (queries.empty()) return Fail(ErrorCode::kInternal, "the task waits, but asks for no sum");
      if (rounds_.size() == kRoundsMax)
        return Fail(ErrorCode::kInternal, "100,000 rounds and no end");
      rounds_.push_back(queries);
      std::vector<federation::Total> totals;
      for (const federation::Query& query : queries) {
        Result<federation::Total> total = Sum(query);
        if (!total) return tl::unexpected<Error>(std::move(total).error());
        totals.push_back(std::move(*total));
      }
      sums_.Deliver(std::move(totals));
    }
    return task.Take();
  }

 private:
  [[nodiscard]] Result<federation::Total> Sum(const federation::Query& query) {
    const federation::Step* step = registry_.Find(query.step);
    if (step == nullptr)
      return Fail(ErrorCode::kNotFound, fmt::format("no step is named {}", query.step));
    federation::Total total;
    std::vector<federation::BlockLayout> layout;
    Bytes accumulator;
    if (step->kind == federation::StepKind::kSum) {
      Result<std::vector<federation::BlockLayout>> made = step->layout(query);
      if (!made) return tl::unexpected<Error>(Within(query.step, std::move(made).error()));
      layout = std::move(*made);
      accumulator = federation::ZeroWords(layout);
      bytes_per_site_ += federation::ByteCount(layout);
    }
    for (const federation::Cohort& cohort : cohorts_) {
      Result<void> answered = Ask(*step, query, cohort, layout, accumulator, total);
      if (!answered) {
        return tl::unexpected<Error>(
            Within(fmt::format("{} at {}", query.step, cohort.site), answered.error()));
      }
    }
    if (step->kind == federation::StepKind::kSum) {
      Result<std::vector<federation::Block>> sums = federation::DecodeWords(accumulator, layout);
      if (!sums) return tl::unexpected<Error>(std::move(sums).error());
      total.sums = std::move(*sums);
    }
    return total;
  }

  // One site's part of one query. A site that is not a member derives what it can and adds zeros.
  [[nodiscard]] Result<void> Ask(const federation::Step& step, const federation::Query& query,
                                 const federation::Cohort& cohort,
                                 const std::vector<federation::BlockLayout>& layout,
                                 Bytes& accumulator, federation::Total& total) {
    const federation::Context context{cohort};
    federation::Derived& derived = derived_[cohort.site];
    if (step.derive) {
      auto value = step.derive(context, derived, query);
      if (!value) return tl::unexpected<Error>(std::move(value).error());
      derived.Put(query.scope.fit, step.derived_name, std::move(*value));
    }
    const bool member = context.IsMember(query.scope);
    if (member && step.kind == federation::StepKind::kSum) {
      const Result<federation::Answer> answer = step.answer(context, derived, query);
      if (!answer) return tl::unexpected<Error>(answer.error());
      const Result<Bytes> words =
          federation::EncodeWords(*answer, layout, static_cast<int>(query.scope.members.size()));
      if (!words) return tl::unexpected<Error>(words.error());
      federation::AddWords(layout, *words, accumulator);
    }
    if (member && step.kind == federation::StepKind::kRelease) {
      Result<federation::Release> release = step.release(context, derived, query);
      if (!release) return tl::unexpected<Error>(std::move(release).error());
      total.releases[cohort.site] = std::move(*release);
    }
    if (step.forgets_fit) derived.Forget(query.scope.fit);
    return {};
  }

  const federation::StepRegistry& registry_;
  std::vector<federation::Cohort> cohorts_;
  federation::Sums sums_;
  std::map<std::string, federation::Derived> derived_;
  std::vector<std::vector<federation::Query>> rounds_;
  std::size_t bytes_per_site_ = 0;
};

// Runs what `make_task(Sums&)` returns over the cohorts; see PooledDriver::Run.
template <typename MakeTask>
[[nodiscard]] auto RunFederation(const MakeTask& make_task,
                                 const federation::StepRegistry& registry,
                                 std::vector<federation::Cohort> cohorts) {
  PooledDriver driver(registry, std::move(cohorts));
  return driver.Run(make_task(driver.sums()));
}

}  // namespace consilium::testing_support
