// The scoring of one frozen model at one held-out center: what the center computes and releases.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "federation/computation.h"
#include "federation/step.h"
#include "harmonization/combat_fit.h"
#include "learning/auc.h"
#include "learning/calibration.h"
#include "learning/lasso.h"
#include "learning/net_benefit.h"
#include "study/results.h"

namespace consilium::study {

// Registers "study.flow" (rows found, left out and used; counts by class) and "study.score".
void RegisterScoringSteps(federation::StepRegistry& registry);

// The vocabulary of a flow diagram, in the order of the released counts.
[[nodiscard]] const std::vector<std::string>& FlowReasons();

struct Flow {
  std::vector<federation::FlowStep> steps;  // zero counts left out, "found" and "used" always there
  std::int64_t events = 0;
  std::int64_t nonevents = 0;
  bool withheld = false;  // a class was below the minimum: events and nonevents are not told
};
// Errors: kDataLoss (the site released nothing, or blocks of other shapes).
[[nodiscard]] federation::Task<Flow> AskFlow(federation::Sums& sums, std::string site);

// A frozen model: all that a center needs to score its rows.
struct FrozenModel {
  std::string name;                                  // unique within the study: fit and model
  std::string fit;                                   // for the harmonized columns
  std::vector<int> columns;                          // [p] positions among the step columns
  Eigen::VectorXd coefficients;                      // [1 + p] original scale
  std::optional<harmonization::CombatModel> combat;  // apply first; its columns are `columns`
};

struct Score {
  std::int64_t n = 0;
  std::int64_t unscored = 0;  // rows with a missing cell in a column that the model uses
  bool withheld = false;      // fewer than the minimum in a class: nothing else is told
  learning::AucComponents auc;
  std::vector<learning::RocPoint> roc;
  std::optional<learning::Calibration> calibration;
  std::vector<CalibrationGroup> groups;  // rising risk, tenths added together to the minimum cell
  std::vector<learning::ThresholdCounts>
      thresholds;                                // the pre-registered ones that could be released
  std::vector<learning::ThresholdCounts> curve;  // all released, ascending
};
// thresholds: pre-registered; the curve's grid runs from range_low to range_high in steps of 0.01.
// An absent Score: the center did not answer.
[[nodiscard]] federation::Task<std::optional<Score>> ScoreAt(federation::Sums& sums,
                                                             std::string site, FrozenModel model,
                                                             std::vector<double> thresholds,
                                                             double range_low, double range_high);

}  // namespace consilium::study
