// A site's cases as the mathematics sees them. Built by site_agent/; never leaves the site.
#pragma once

#include <Eigen/Core>
#include <cstdint>
#include <string>
#include <vector>

namespace consilium::federation {

// Where rows went, in the order in which they were looked at. Counts only.
struct FlowStep {
  std::string reason;  // "found", "excluded: outcome missing", ..., "used"
  std::int64_t rows = 0;
};

struct Cohort {
  std::string site;
  std::vector<std::string> feature_names;    // the study's list, in the study's order
  Eigen::MatrixXd features;                  // [n x G]; NaN = missing
  std::vector<std::string> covariate_names;  // the study's order
  Eigen::MatrixXd covariates;  // [n x p]; never missing (such rows are excluded and counted)
  Eigen::VectorXd outcome;     // [n] 1 = the declared event, 0 = not
  std::vector<int> patient;    // [n] index of the patient; rows of one patient share it
  std::vector<std::string> patient_ids;  // by patient index; local only
  std::vector<int> fold;  // [n] 1..F; from the study's column or the site's keyed hash
  std::vector<FlowStep> flow;

  [[nodiscard]] Eigen::Index row_count() const { return features.rows(); }
};

}  // namespace consilium::federation
