// What became of a case: rows of features, or why there are none.
//
// The text forms are lines of JSON: what a worker process tells its parent, and what the journal
// keeps. Numbers are written so that they read back as the same double.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace consilium::extraction {

// One region's row.
struct RegionRow {
  std::string region;                                           // "1", "GTV-1"
  std::vector<std::pair<std::string, std::string>> provenance;  // by name of column
  std::vector<std::string> names;                               // of features
  std::vector<double> values;                                   // as `names`
  std::vector<std::string> warnings;                            // sentences
  std::string perturbation = {};                                // its name; empty: as it was read
};

struct Failure {
  std::string region;  // empty: the whole case
  std::string message;
};

struct Outcome {
  std::vector<RegionRow> rows;
  std::vector<Failure> failures;
};

// Lists of features' names, which nearly all rows share: told once, then named by their digest.
class NameLists {
 public:
  // The list's name, and whether it is new here.
  [[nodiscard]] std::pair<std::string, bool> Add(const std::vector<std::string>& list);
  // Nothing: it was never told.
  [[nodiscard]] const std::vector<std::string>* Find(const std::string& name) const;

 private:
  std::map<std::string, std::vector<std::string>> lists_;
};

// Lines, each ended by a newline: first the lists of names that `told` does not know yet, then the
// outcome, under `key`.
[[nodiscard]] std::string ToLines(const Outcome& outcome, const std::string& key, NameLists& told);

// One such line. Nothing: it told a list of names.
// Errors: kDataLoss (it is not what ToLines writes, or names a list that was never told).
struct KeyedOutcome {
  std::string key;
  Outcome outcome;
};
[[nodiscard]] Result<std::optional<KeyedOutcome>> FromLine(std::string_view line, NameLists& told);

}  // namespace consilium::extraction
