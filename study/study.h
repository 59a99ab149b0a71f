// A study: one pre-registered YAML file, the whole protocol before data is touched.
//
// Read by study/study_file.h; every field below is a key of that file, documented in
// docs/formats/study.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"

namespace consilium::study {

enum class Policy { kPrivate, kPublicData };
enum class Design { kNamedHeldOut, kLeaveOneCenterOut };
enum class LambdaRule { kMin, kOneSe };
enum class VariableKind { kContinuous, kBinary, kCategorical };

struct Variable {
  std::string name;
  VariableKind kind = VariableKind::kContinuous;
  std::string unit;
  std::vector<std::string>
      levels;  // kCategorical: the first is the reference; coded as 0/1 columns name=level
};

struct FeatureGroup {
  std::string name;  // "radiomics"
  std::vector<std::string>
      include;  // glob patterns (* and ?) on column names, or exact names, in order
  std::vector<std::string> exclude;
  std::vector<std::string> columns;  // exact names in the order of the header, once resolved
};

struct FeatureSet {
  std::string name;                 // "combined"
  std::vector<std::string> groups;  // groups of features and names of variables
};

struct Harmonization {
  std::string name;             // "none", "combat"
  std::string method = "none";  // "none" | "combat"
  std::vector<std::string>
      preserve;                // variables whose effect is kept; the outcome only by allow_outcome
  bool allow_outcome = false;  // harmonization-only studies: no model is trained, so no label leaks
};

struct Model {
  std::string name;  // "lasso"
  std::string method = "lasso";
  LambdaRule lambda_rule = LambdaRule::kMin;
  int lambda_count = 100;
  double lambda_min_ratio = 0;  // 0: 1e-4 if rows >= columns, else 1e-2 (glmnet's rule)
  double kkt_tolerance = 1e-8;
  bool path_stop = true;  // stop when every later lambda is clearly worse
  std::vector<std::string> feature_sets;
};

struct Primary {
  std::string model;
  std::string features;
  std::string harmonization;
  LambdaRule lambda_rule = LambdaRule::kMin;
};

struct Thresholds {
  std::vector<double> values;  // 1 to 3 probabilities in (0, 1)
  double range_low = 0.05;     // decision curves are drawn over this range
  double range_high = 0.95;
};

struct Folds {
  int count = 10;
  // Empty: keyed hash by patient within center and class. "cohort": each cohort file declares
  // column or rule. Anything else: the column of that name in the site's table.
  std::string column;
};

struct Privacy {
  int min_sites = 3;
  int min_cell = 5;
  bool strict_curvature = true;  // "strict" | "fast"
  bool masks = true;
};

struct Quorum {
  std::vector<std::string> required;  // training centers that must answer; empty: all of them
  int minimum = 0;                    // 0: all training centers
  std::int64_t grace_s = 30;          // after the minimum has answered
  std::int64_t deadline_s = 86400;    // of one round
  std::string then = "wait";          // "wait" | "abort" | "restart-without"
};

// How features were taken from images, where they were: `consilium-extract phantom` writes it.
struct Extraction {
  std::string engine;                     // the version that every site must have extracted with
  std::string settings;                   // the settings file, word for word
  Digest settings_digest;                 // of those bytes
  std::map<std::string, double> phantom;  // features of the digital phantom, to be reproduced
};

struct Study {
  std::string name;
  std::string title;
  std::uint64_t seed = 1;
  Policy policy = Policy::kPrivate;
  std::vector<std::string> sites;                   // as written; order fixes nothing
  std::map<std::string, std::string> institutions;  // site -> institution; default: the site itself
  std::string outcome;                              // the outcome variable
  std::string event;                                // what 1 means, in words
  std::string patient;                              // the patient variable
  std::vector<Variable> variables;                  // clinical variables and covariates
  std::vector<FeatureGroup> groups;
  std::vector<FeatureSet> feature_sets;
  std::vector<Harmonization> harmonizations;
  std::vector<Model> models;
  Folds folds;
  Design design = Design::kNamedHeldOut;
  std::vector<std::string>
      held_out;  // kNamedHeldOut: the centers that take part in nothing before scoring
  std::vector<std::string> consents;     // sites that accept what kLeaveOneCenterOut discloses
  std::string tuning = "reused";         // folds of lambda also give the internal AUC
  std::optional<Extraction> extraction;  // absent: tables may come from anywhere
  std::optional<Primary> primary;
  double margin = 0.10;
  double auc_floor = 0.5;
  Thresholds thresholds;
  Privacy privacy;
  Quorum quorum;
  int minimum_rows = 10;  // of a training center
  std::map<std::string, double>
      known_external_auc;  // demo and simulation studies only: the truth, by held-out center

  // The study's list of feature columns, by group, in the study's order: exact names once resolved.
  std::vector<std::string> feature_columns;
  Digest file_digest;  // of the file's bytes
  Digest digest;  // of the file's bytes and the resolved columns; equals file_digest until resolved
};

}  // namespace consilium::study
