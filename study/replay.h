// The computation of a study, advanced by totals: one object for whoever needs to know what comes
// next.
//
// The coordinator asks what it says; a site compares what it is asked with what it says; an auditor
// feeds it a log. Thread rule: one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "federation/computation.h"
#include "federation/step.h"
#include "study/engine.h"
#include "study/results.h"
#include "study/study.h"

namespace consilium::study {

// Where two lists of queries first differ: for refusals by name.
struct QueryDifference {
  enum class Part { kNone, kCount, kStep, kScope, kBlock };
  Part part = Part::kNone;
  std::size_t query = 0;
  std::string name;  // "lasso.evaluate: block 'beta', row 3: expected 0.12, found 40"
};
[[nodiscard]] QueryDifference Compare(const std::vector<federation::Query>& expected,
                                      const std::vector<federation::Query>& found);

class StudyReplay {
 public:
  // `study` (resolved) and `engine` are not owned.
  StudyReplay(const Study& study, const Engine& engine);
  StudyReplay(const StudyReplay&) = delete;
  StudyReplay& operator=(const StudyReplay&) = delete;

  // What must be asked now, and its digest; empty when the study has ended.
  [[nodiscard]] const std::vector<federation::Query>& queries() const { return queries_; }
  [[nodiscard]] const Digest& digest() const { return digest_; }
  [[nodiscard]] std::uint64_t round() const { return round_; }
  // Layouts of the round's sums, in the order of the queries (a Release has none), and all
  // together.
  [[nodiscard]] const std::vector<std::vector<federation::BlockLayout>>& layouts() const {
    return layouts_;
  }
  [[nodiscard]] const std::vector<federation::BlockLayout>& layout() const { return layout_; }

  // The sites that the round's Releases are asked of.
  [[nodiscard]] const std::set<std::string>& releasing() const { return releasing_; }

  // The total of this round: words of all sums, and Releases by place of the query. Runs on to the
  // next round. Errors: kDataLoss (the words do not have the round's size).
  [[nodiscard]] Result<void> Deliver(
      std::span<const std::uint8_t> words,
      const std::map<std::uint32_t, std::map<std::string, federation::Release>>& releases);

  [[nodiscard]] bool done() const { return task_.done(); }
  // The results, once, when done(): with the rounds and with what left each site, counted from the
  // totals.
  [[nodiscard]] Result<Results> Take();

 private:
  void Look();
  const Study& study_;
  const Engine& engine_;
  std::map<std::string, SiteDisclosure> disclosure_;
  federation::Sums sums_;
  federation::Task<Results> task_;
  std::vector<federation::Query> queries_;
  std::vector<std::vector<federation::BlockLayout>> layouts_;
  std::vector<federation::BlockLayout> layout_;
  std::set<std::string> releasing_;
  Digest digest_;
  std::uint64_t round_ = 0;
};

}  // namespace consilium::study
