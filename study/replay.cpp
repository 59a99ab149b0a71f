#include "study/replay.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <map>

#include "federation/fixed_point.h"
#include "study/program.h"
#include "study/study_file.h"

namespace consilium::study {

using federation::Block;
using federation::Query;
using federation::Step;
using federation::Total;

namespace {

// The first difference between two blocks, or an empty text.
std::string BlockDifference(const Block& expected, const Block& found) {
  if (expected.name != found.name)
    return fmt::format("expected block '{}', found '{}'", expected.name, found.name);
  if (expected.values.rows() != found.values.rows() ||
      expected.values.cols() != found.values.cols()) {
    return fmt::format("block '{}': expected {} x {}, found {} x {}", expected.name,
                       expected.values.rows(), expected.values.cols(), found.values.rows(),
                       found.values.cols());
  }
  for (Eigen::Index i = 0; i < expected.values.size(); ++i) {
    const double e = expected.values.data()[i], f = found.values.data()[i];
    // By bits, as digests see them: -0 is not 0, and one NaN is not another.
    if (std::bit_cast<std::uint64_t>(e) != std::bit_cast<std::uint64_t>(f))
      return fmt::format("block '{}', value {}: expected {}, found {}", expected.name, i, e, f);
  }
  return {};
}

}  // namespace

QueryDifference Compare(const std::vector<Query>& expected, const std::vector<Query>& found) {
  using Part = QueryDifference::Part;
  for (std::size_t q = 0; q < std::min(expected.size(), found.size()); ++q) {
    const Query &e = expected[q], &f = found[q];
    if (e.step != f.step)
      return {Part::kStep, q, fmt::format("expected step {}, found {}", e.step, f.step)};
    if (e.scope.fit != f.scope.fit) {
      return {Part::kScope, q,
              fmt::format("{}: expected fit '{}', found '{}'", e.step, e.scope.fit, f.scope.fit)};
    }
    if (e.scope.members != f.scope.members) {
      return {Part::kScope, q,
              fmt::format("{}: expected members [{}], found [{}]", e.step,
                          fmt::join(e.scope.members, ", "), fmt::join(f.scope.members, ", "))};
    }
    if (e.scope.left_out_fold != f.scope.left_out_fold) {
      return {Part::kScope, q,
              fmt::format("{}: expected left-out fold {}, found {}", e.step, e.scope.left_out_fold,
                          f.scope.left_out_fold)};
    }
    if (e.inputs.size() != f.inputs.size()) {
      return {Part::kBlock, q,
              fmt::format("{}: expected {} blocks, found {}", e.step, e.inputs.size(),
                          f.inputs.size())};
    }
    for (std::size_t b = 0; b < e.inputs.size(); ++b) {
      const std::string difference = BlockDifference(e.inputs[b], f.inputs[b]);
      if (!difference.empty()) return {Part::kBlock, q, fmt::format("{}: {}", e.step, difference)};
    }
  }
  if (expected.size() != found.size()) {
    return {Part::kCount, std::min(expected.size(), found.size()),
            fmt::format("expected {} queries, found {}", expected.size(), found.size())};
  }
  return {};
}

StudyReplay::StudyReplay(const Study& study, const Engine& engine)
    : study_(study), engine_(engine), task_(engine.program(sums_, study)) {
  sums_.Run(task_);
  Look();
}

void StudyReplay::Look() {
  queries_ = sums_.OpenQueries();
  CONSILIUM_CHECK(!queries_.empty() || task_.done(),
                  "a study that has not ended asks for something");
  digest_ = federation::DigestOf(queries_);
  layouts_.clear();
  layout_.clear();
  releasing_.clear();
  for (const Query& query : queries_) {
    const Step* step = engine_.Find(query.step);
    CONSILIUM_CHECK(step != nullptr,
                    fmt::format("the study asks for step {}, which is not registered", query.step));
    layouts_.emplace_back();
    if (step->kind != federation::StepKind::kSum) {
      releasing_.insert(query.scope.members.begin(), query.scope.members.end());
      continue;
    }
    auto layout = step->layout(query);
    CONSILIUM_CHECK(layout.has_value(), fmt::format("the study asks a malformed question: {}",
                                                    layout ? "" : layout.error().message));
    layouts_.back() = std::move(*layout);
    layout_.insert(layout_.end(), layouts_.back().begin(), layouts_.back().end());
  }
}

Result<void> StudyReplay::Deliver(
    std::span<const std::uint8_t> words,
    const std::map<std::uint32_t, std::map<std::string, federation::Release>>& releases) {
  std::size_t expected = 0;
  for (const auto& layout : layouts_) expected += federation::ByteCount(layout);
  if (words.size() != expected) {
    return Fail(ErrorCode::kDataLoss, fmt::format("round {}: the total has {} bytes; expected {}",
                                                  round_, words.size(), expected));
  }
  std::vector<Total> totals(queries_.size());
  std::size_t at = 0;
  for (std::size_t q = 0; q < queries_.size(); ++q) {
    const std::size_t size = federation::ByteCount(layouts_[q]);
    if (!layouts_[q].empty()) {
      auto sums = federation::DecodeWords(words.subspan(at, size), layouts_[q]);
      CONSILIUM_TRY(sums);
      totals[q].sums = std::move(*sums);
    }
    at += size;
    if (const auto found = releases.find(static_cast<std::uint32_t>(q)); found != releases.end())
      totals[q].releases = found->second;
  }
  if (!words.empty()) {
    for (const std::string& site : TrainingCenters(study_)) {
      SiteDisclosure& one = disclosure_[site];
      one.bytes_up += static_cast<std::int64_t>(words.size());
      one.answers += 1;
    }
  }
  for (std::size_t q = 0; q < queries_.size(); ++q) {
    std::int64_t numbers = 0;
    for (const auto& block : layouts_[q]) numbers += block.rows * block.cols;
    if (numbers == 0) continue;
    for (const std::string& member : queries_[q].scope.members)
      disclosure_[member].equations += numbers;
  }
  for (const auto& [query, by_site] : releases) {
    for (const auto& [site, release] : by_site) {
      std::int64_t numbers = 0;
      for (const Block& block : release.blocks) numbers += block.values.size();
      disclosure_[site].bytes_up += 8 * numbers;
      if (words.empty()) disclosure_[site].answers += 1;
    }
  }
  ++round_;
  sums_.Deliver(std::move(totals));
  Look();
  return {};
}

Result<Results> StudyReplay::Take() {
  auto results = task_.Take();
  if (results) {
    results->rounds = static_cast<std::int64_t>(round_);
    results->disclosure = disclosure_;
  }
  return results;
}

}  // namespace consilium::study
