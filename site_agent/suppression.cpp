#include "site_agent/suppression.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace consilium::site_agent {
namespace {

using federation::Block;
using federation::Release;

constexpr double kWithheldNumber = std::numeric_limits<double>::quiet_NaN();
constexpr double kCountMax = 1e9;

tl::unexpected<Error> Wrong(std::string_view block, std::string_view what) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("release block '{}': {}", PlainText(block), what));
}

// A count, or -1 if the number is none.
std::int64_t AsCount(double value) {
  return value >= 0 && value <= kCountMax && std::floor(value) == value
             ? static_cast<std::int64_t>(value)
             : -1;
}

// The cuts that are kept of the rows in falling order of risk: how many non-events and events lie
// above.
class Cuts {
 public:
  Cuts(int min_cell, const ClassCounts& counts) : min_cell_(min_cell), rows_(counts.rows()) {
    kept_[0] = 0;
    kept_[rows_] = counts.events;
  }
  // Keeps the cut if it is far enough from every kept one.
  [[nodiscard]] bool Keep(std::int64_t above, std::int64_t events_above) {
    if (!IsKeepable(above)) return false;
    kept_.try_emplace(above, events_above);
    return true;
  }
  // Whether the cut lies on the same ordering of rows as the kept ones: events never fall.
  [[nodiscard]] bool Agrees(std::int64_t above, std::int64_t events_above) const {
    const auto upper = kept_.lower_bound(above);
    if (upper == kept_.end()) return false;
    if (upper->first == above) return upper->second == events_above;
    const auto lower = std::prev(upper);
    const auto fits = [](std::int64_t rows, std::int64_t events) {
      return events >= 0 && events <= rows;
    };
    return fits(above - lower->first, events_above - lower->second) &&
           fits(upper->first - above, upper->second - events_above);
  }

 private:
  [[nodiscard]] bool IsKeepable(std::int64_t above) const {
    const auto upper = kept_.lower_bound(above);
    if (upper == kept_.end()) return false;
    if (upper->first == above) return true;
    return upper->first - above >= min_cell_ && above - std::prev(upper)->first >= min_cell_;
  }
  int min_cell_;
  std::int64_t rows_;
  std::map<std::int64_t, std::int64_t> kept_;  // rows above -> events above
};

class Suppressor {
 public:
  Suppressor(std::span<const ReleaseRule> rules, int min_cell, const ClassCounts& counts,
             const Release& release)
      : rules_(rules),
        min_cell_(min_cell),
        counts_(counts),
        blocks_(release.blocks),
        cuts_(min_cell, counts) {}

  Result<SuppressedRelease> Run() {
    CONSILIUM_TRY(FindRules());
    const bool class_too_small = counts_.events < min_cell_ || counts_.nonevents < min_cell_;
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
      CONSILIUM_TRY(CheckShape(b));
      const ReleaseRole role = rule_of_[b]->role;
      if (role == ReleaseRole::kFlow) {
        CONSILIUM_TRY(Flow(b));
      } else if (role == ReleaseRole::kRowCount) {
        if (counts_.rows() > 0 && counts_.rows() < min_cell_)
          WithholdAll(b, SuppressionReason::kCellTooSmall);
      } else if (class_too_small) {
        WithholdAll(b, SuppressionReason::kClassTooSmall);
      } else if (role == ReleaseRole::kSubgroups) {
        CONSILIUM_TRY(Subgroups(b));
      }
    }
    if (!class_too_small) {
      // What was registered beforehand is kept first; ROC points fill in what is left.
      for (const ReleaseRole role :
           {ReleaseRole::kGridCounts, ReleaseRole::kGroups, ReleaseRole::kCumulativeCounts}) {
        for (std::size_t b = 0; b < blocks_.size(); ++b) {
          if (rule_of_[b]->role != role) continue;
          CONSILIUM_TRY(role == ReleaseRole::kGroups ? Groups(b) : Cumulative(b));
        }
      }
      for (std::size_t b = 0; b < blocks_.size(); ++b) {
        if (rule_of_[b]->role == ReleaseRole::kFollowsRows) CONSILIUM_TRY(Follow(b));
      }
    }
    return Finish();
  }

 private:
  Result<void> FindRules() {
    std::set<std::string> seen;
    for (const Block& block : blocks_) {
      const auto rule = std::find_if(rules_.begin(), rules_.end(), [&](const ReleaseRule& one) {
        return one.block == block.name;
      });
      if (rule == rules_.end()) {
        return Fail(
            ErrorCode::kNotFound,
            fmt::format("release block '{}' is not listed in the study", PlainText(block.name)));
      }
      if (!seen.insert(block.name).second) return Wrong(block.name, "comes twice");
      rule_of_.push_back(&*rule);
    }
    return {};
  }

  Result<void> CheckShape(std::size_t b) {
    const Block& block = blocks_[b];
    const ReleaseRule& rule = *rule_of_[b];
    const Eigen::Index rows = block.values.rows();
    const Eigen::Index cols = block.values.cols();
    const auto labels = static_cast<Eigen::Index>(rule.label_columns);
    const auto expect = [&](bool right, std::string_view shape) -> Result<void> {
      if (right) return {};
      return Wrong(block.name, fmt::format("expected {}, found [{} x {}]", shape, rows, cols));
    };
    for (Eigen::Index i = 0; i < block.values.size(); ++i) {
      if (std::isinf(block.values.data()[i])) return Wrong(block.name, "a number is infinite");
    }
    switch (rule.role) {
      case ReleaseRole::kFlow:
        return expect(rows >= 2 && rows <= kGridRowsMax && cols == 1, "[k x 1], k >= 2");
      case ReleaseRole::kRowCount:
        CONSILIUM_TRY(expect(rows == 1 && cols == 1, "[1 x 1]"));
        if (AsCount(block.values(0, 0)) != counts_.rows())
          return Wrong(block.name, "is not the number of rows");
        return {};
      case ReleaseRole::kClassCounts:
        CONSILIUM_TRY(expect(rows == 1 && cols == 2, "[1 x 2]"));
        if (AsCount(block.values(0, 0)) != counts_.events ||
            AsCount(block.values(0, 1)) != counts_.nonevents) {
          return Wrong(block.name, "is not the number of events and of non-events");
        }
        return {};
      case ReleaseRole::kPerClass:
        return expect(block.values.size() <= kStatisticsMax,
                      fmt::format("at most {} numbers", kStatisticsMax));
      case ReleaseRole::kCumulativeCounts:
        return expect(cols == labels + 2 && rows <= counts_.rows() + 2,
                      "[k x labels + 2], a row a cut");
      case ReleaseRole::kGridCounts:
        return expect(cols == labels + 2 && rows <= kGridRowsMax, "[grid x labels + 2]");
      case ReleaseRole::kFollowsRows:
        return expect(rows <= kGridRowsMax && cols <= kStatisticsMax,
                      "the rows of the block it follows");
      case ReleaseRole::kGroups:
        return expect(cols >= labels + 2 && cols <= kStatisticsMax, "[g x labels + 2 + k]");
      case ReleaseRole::kSubgroups:
        return expect(cols >= labels + 2 && cols <= kStatisticsMax && rows <= kGridRowsMax,
                      "[g x labels + 2 + k]");
    }
    return Wrong(block.name, "has no rule");
  }

  void Withhold(std::size_t b, SuppressionReason reason, std::int64_t rows) {
    if (rows > 0) withheld_.push_back({b, reason, rows});
  }

  void WithholdAll(std::size_t b, SuppressionReason reason) {
    Eigen::MatrixXd& values = blocks_[b].values;
    Withhold(b, reason, values.rows());
    const ReleaseRole role = rule_of_[b]->role;
    if (role == ReleaseRole::kCumulativeCounts || role == ReleaseRole::kGroups) {
      values.resize(0, values.cols());  // how many points there were is a count too
      return;
    }
    const auto labels = role == ReleaseRole::kGridCounts || role == ReleaseRole::kSubgroups
                            ? static_cast<Eigen::Index>(rule_of_[b]->label_columns)
                            : 0;
    values.rightCols(values.cols() - labels).setConstant(kWithheldNumber);
  }

  // found = rows left out by reason + used. A hidden cell must not follow from the others.
  Result<void> Flow(std::size_t b) {
    Eigen::MatrixXd& values = blocks_[b].values;
    const Eigen::Index last = values.rows() - 1;
    std::vector<std::int64_t> cells;
    for (Eigen::Index i = 0; i <= last; ++i) {
      cells.push_back(AsCount(values(i, 0)));
      if (cells.back() < 0) return Wrong(blocks_[b].name, "a count is not a whole number");
    }
    std::int64_t parts = 0;
    for (std::size_t i = 1; i < cells.size(); ++i) parts += cells[i];
    if (parts != cells[0])
      return Wrong(blocks_[b].name, "rows found are not rows left out plus rows used");
    std::vector<bool> hidden(cells.size(), false);
    std::int64_t hidden_sum = 0;
    std::int64_t hidden_count = 0;
    const auto hide = [&](std::size_t i) {
      hidden[i] = true;
      hidden_sum += cells[i];
      ++hidden_count;
    };
    for (std::size_t i = 1; i < cells.size(); ++i) {
      if (cells[i] > 0 && cells[i] < min_cell_) hide(i);
    }
    while (hidden_count > 0 && hidden_sum < min_cell_) {
      std::size_t smallest = 0;
      for (std::size_t i = 1; i + 1 < cells.size(); ++i) {
        if (!hidden[i] && cells[i] > 0 && (smallest == 0 || cells[i] < cells[smallest]))
          smallest = i;
      }
      hide(smallest);
      if (smallest == 0) break;  // no other reason: hide how many were found
    }
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (hidden[i]) values(static_cast<Eigen::Index>(i), 0) = kWithheldNumber;
    }
    Withhold(b, SuppressionReason::kCellTooSmall, hidden_count);
    return {};
  }

  // Rows of one variable (first label column) part the center's rows; a hidden one takes a second
  // along.
  Result<void> Subgroups(std::size_t b) {
    Eigen::MatrixXd& values = blocks_[b].values;
    const auto labels = static_cast<Eigen::Index>(rule_of_[b]->label_columns);
    std::map<double, std::vector<Eigen::Index>> variables;
    for (Eigen::Index r = 0; r < values.rows(); ++r) {
      const double variable = labels > 0 ? values(r, 0) : 0;
      if (std::isnan(variable)) return Wrong(blocks_[b].name, "a label is missing");
      const std::int64_t events = AsCount(values(r, labels));
      const std::int64_t nonevents = AsCount(values(r, labels + 1));
      if (events < 0 || nonevents < 0 || events > counts_.events || nonevents > counts_.nonevents) {
        return Wrong(blocks_[b].name, "a count is not a whole number within the center's");
      }
      variables[variable].push_back(r);
    }
    std::int64_t hidden_rows = 0;
    for (auto& [variable, open] : variables) {
      std::int64_t events = 0;
      std::int64_t nonevents = 0;
      std::int64_t all_events = 0;
      std::int64_t all_nonevents = 0;
      std::size_t hidden = 0;
      std::erase_if(open, [&](Eigen::Index r) {
        const std::int64_t e = AsCount(values(r, labels));
        const std::int64_t f = AsCount(values(r, labels + 1));
        all_events += e;
        all_nonevents += f;
        if (e + f == 0 || (e >= min_cell_ && f >= min_cell_)) return false;
        events += e;
        nonevents += f;
        ++hidden;
        values.row(r).tail(values.cols() - labels).setConstant(kWithheldNumber);
        return true;
      });
      if (all_events > counts_.events || all_nonevents > counts_.nonevents) {
        return Wrong(blocks_[b].name,
                     "levels of one variable sum to more rows than the center has");
      }
      // Rows whose level is not told (missing) are hidden as well, and help to hide.
      const std::int64_t missing_events = counts_.events - all_events;
      const std::int64_t missing_nonevents = counts_.nonevents - all_nonevents;
      const auto follows = [&] {
        const std::int64_t e = events + missing_events;
        const std::int64_t f = nonevents + missing_nonevents;
        return e + f > 0 && (e < min_cell_ || f < min_cell_);
      };
      while (follows() && !open.empty()) {
        const auto smallest =
            std::min_element(open.begin(), open.end(), [&](Eigen::Index i, Eigen::Index j) {
              return values(i, labels) + values(i, labels + 1) <
                     values(j, labels) + values(j, labels + 1);
            });
        events += AsCount(values(*smallest, labels));
        nonevents += AsCount(values(*smallest, labels + 1));
        ++hidden;
        values.row(*smallest).tail(values.cols() - labels).setConstant(kWithheldNumber);
        open.erase(smallest);
      }
      hidden_rows += static_cast<std::int64_t>(hidden);
    }
    Withhold(b, SuppressionReason::kClassTooSmall, hidden_rows);
    return {};
  }

  // Rows are cuts: (labels, non-events above, events above), rising or falling.
  Result<void> Cumulative(std::size_t b) {
    Eigen::MatrixXd& values = blocks_[b].values;
    const auto labels = static_cast<Eigen::Index>(rule_of_[b]->label_columns);
    const bool erases = rule_of_[b]->role == ReleaseRole::kCumulativeCounts;
    std::vector<Eigen::Index> stay;
    std::int64_t gone = 0;
    for (Eigen::Index r = 0; r < values.rows(); ++r) {
      const std::int64_t nonevents = AsCount(values(r, labels));
      const std::int64_t events = AsCount(values(r, labels + 1));
      if (nonevents < 0 || events < 0 || !cuts_.Agrees(nonevents + events, events)) {
        return Wrong(blocks_[b].name,
                     "its counts do not order the center's rows as the other blocks do");
      }
      if (cuts_.Keep(nonevents + events, events)) {
        stay.push_back(r);
      } else {
        ++gone;
        if (!erases) values.row(r).tail(2).setConstant(kWithheldNumber);
      }
    }
    if (erases) {
      Eigen::MatrixXd kept(static_cast<Eigen::Index>(stay.size()), values.cols());
      for (std::size_t i = 0; i < stay.size(); ++i)
        kept.row(static_cast<Eigen::Index>(i)) = values.row(stay[i]);
      values = std::move(kept);
    }
    Withhold(b, erases ? SuppressionReason::kMerged : SuppressionReason::kCellTooSmall, gone);
    return {};
  }

  // Rows are groups of rising risk: (labels, rows, events, sums); neighbours are added until the
  // cut between two groups may be kept.
  Result<void> Groups(std::size_t b) {
    const Eigen::MatrixXd values = blocks_[b].values;
    const auto labels = static_cast<Eigen::Index>(rule_of_[b]->label_columns);
    std::int64_t rows = 0;
    std::int64_t events = 0;
    std::vector<Eigen::RowVectorXd> merged;
    bool open = false;  // the last of `merged` still takes neighbours
    for (Eigen::Index r = 0; r < values.rows(); ++r) {
      const std::int64_t n = AsCount(values(r, labels));
      const std::int64_t e = AsCount(values(r, labels + 1));
      if (n < 0 || e < 0 || e > n) return Wrong(blocks_[b].name, "a count is not a whole number");
      rows += n;
      events += e;
      const std::int64_t above = counts_.rows() - rows;
      const std::int64_t events_above = counts_.events - events;
      if (above < 0 || events_above < 0 || !cuts_.Agrees(above, events_above)) {
        return Wrong(blocks_[b].name,
                     "its counts do not order the center's rows as the other blocks do");
      }
      if (open) {
        merged.back().tail(values.cols() - labels) += values.row(r).tail(values.cols() - labels);
      } else {
        merged.emplace_back(values.row(r));
      }
      open = !cuts_.Keep(above, events_above);
    }
    if (rows != counts_.rows() || events != counts_.events) {
      return Wrong(blocks_[b].name, "its groups do not sum to the center's rows and events");
    }
    Eigen::MatrixXd kept(static_cast<Eigen::Index>(merged.size()), values.cols());
    for (std::size_t i = 0; i < merged.size(); ++i)
      kept.row(static_cast<Eigen::Index>(i)) = merged[i];
    Withhold(b, SuppressionReason::kMerged, values.rows() - kept.rows());
    blocks_[b].values = std::move(kept);
    return {};
  }

  Result<void> Follow(std::size_t b) {
    const std::string& followed = rule_of_[b]->follows;
    const auto leader = std::find_if(blocks_.begin(), blocks_.end(),
                                     [&](const Block& block) { return block.name == followed; });
    if (leader == blocks_.end())
      return Wrong(blocks_[b].name, fmt::format("comes without block '{}'", followed));
    Eigen::MatrixXd& values = blocks_[b].values;
    if (leader->values.rows() != values.rows()) {
      return Wrong(blocks_[b].name, fmt::format("has not the rows of block '{}'", followed));
    }
    std::int64_t gone = 0;
    for (Eigen::Index r = 0; r < values.rows(); ++r) {
      if (!std::isnan(leader->values(r, leader->values.cols() - 1))) continue;
      values.row(r).setConstant(kWithheldNumber);
      ++gone;
    }
    Withhold(b, SuppressionReason::kCellTooSmall, gone);
    return {};
  }

  Result<SuppressedRelease> Finish() {
    for (Block& block : blocks_) {  // one NaN: its spare bits must not carry anything
      for (Eigen::Index i = 0; i < block.values.size(); ++i) {
        double& value = block.values.data()[i];
        if (std::isnan(value)) value = kWithheldNumber;
      }
    }
    if (!withheld_.empty()) {
      std::stable_sort(withheld_.begin(), withheld_.end(),
                       [](const Withheld& a, const Withheld& b) { return a.block < b.block; });
      Block told{kSuppressedBlock, Eigen::MatrixXd(static_cast<Eigen::Index>(withheld_.size()), 3)};
      for (std::size_t i = 0; i < withheld_.size(); ++i) {
        const auto r = static_cast<Eigen::Index>(i);
        told.values(r, 0) = static_cast<double>(withheld_[i].block);
        told.values(r, 1) = static_cast<double>(withheld_[i].reason);
        // How many were too small is itself a small count: told only for public grids and merged
        // rows.
        told.values(r, 2) = withheld_[i].reason == SuppressionReason::kMerged
                                ? kWithheldNumber
                                : static_cast<double>(withheld_[i].rows);
      }
      blocks_.push_back(std::move(told));
    }
    return SuppressedRelease{Release{std::move(blocks_)}, std::move(withheld_)};
  }

  std::span<const ReleaseRule> rules_;
  std::int64_t min_cell_;
  ClassCounts counts_;
  std::vector<Block> blocks_;
  std::vector<const ReleaseRule*> rule_of_;
  Cuts cuts_;
  std::vector<Withheld> withheld_;
};

}  // namespace

std::string Explain(SuppressionReason reason, int min_cell) {
  switch (reason) {
    case SuppressionReason::kClassTooSmall:
      return fmt::format("fewer than {0} events or fewer than {0} non-events", min_cell);
    case SuppressionReason::kCellTooSmall:
      return fmt::format("fewer than {} rows in a cell", min_cell);
    case SuppressionReason::kMerged:
      return fmt::format("merged so that every step has {} rows or more", min_cell);
  }
  return "unknown";
}

std::vector<ReleaseRule> StandardReleases() {
  return {{"flow", ReleaseRole::kFlow, 0, ""},
          {"n", ReleaseRole::kRowCount, 0, ""},
          {"counts", ReleaseRole::kClassCounts, 0, ""},
          {"auc", ReleaseRole::kPerClass, 0, ""},
          {"auc_internal", ReleaseRole::kPerClass, 0, ""},
          {"calibration", ReleaseRole::kPerClass, 0, ""},
          {"roc", ReleaseRole::kCumulativeCounts, 0, ""},
          {"net_benefit_counts", ReleaseRole::kGridCounts, 1, ""},
          {"net_benefit", ReleaseRole::kFollowsRows, 0, "net_benefit_counts"},
          {"calibration_groups", ReleaseRole::kGroups, 0, ""},
          {"subgroups", ReleaseRole::kSubgroups, 2, ""}};
}

Result<void> Validate(std::span<const ReleaseRule> rules) {
  std::set<std::string> names;
  for (const ReleaseRule& rule : rules) {
    if (rule.block.empty() || rule.block != PlainText(rule.block) ||
        rule.block == kSuppressedBlock) {
      return Wrong(rule.block, "is not a name for a released block");
    }
    if (!names.insert(rule.block).second) return Wrong(rule.block, "is ruled twice");
    if (rule.label_columns > 4) return Wrong(rule.block, "has more than 4 label columns");
    if ((rule.role == ReleaseRole::kFollowsRows) != !rule.follows.empty()) {
      return Wrong(rule.block, "only a block of role 'follows rows' names the block it follows");
    }
  }
  for (const ReleaseRule& rule : rules) {
    if (rule.follows.empty()) continue;
    const auto leader = std::find_if(rules.begin(), rules.end(), [&](const ReleaseRule& one) {
      return one.block == rule.follows;
    });
    if (leader == rules.end() ||
        (leader->role != ReleaseRole::kGridCounts && leader->role != ReleaseRole::kSubgroups)) {
      return Wrong(rule.block, fmt::format("follows '{}', which keeps no rows in place",
                                           PlainText(rule.follows)));
    }
  }
  return {};
}

Result<SuppressedRelease> Suppress(std::span<const ReleaseRule> rules, int min_cell,
                                   const ClassCounts& counts, const Release& release) {
  CONSILIUM_CHECK(min_cell >= 1, "min_cell must be >= 1");
  if (counts.events < 0 || counts.nonevents < 0) {
    return Fail(ErrorCode::kInvalidArgument, "release: a class has a negative count");
  }
  return Suppressor(rules, min_cell, counts, release).Run();
}

}  // namespace consilium::site_agent
