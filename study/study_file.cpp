#include "study/study_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/glob.h"
#include "base/strict_yaml.h"

namespace consilium::study {

namespace {

constexpr std::size_t kSitesMax = 1000;
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kThresholdsMax = 3;

template <typename T>
bool Contains(const std::vector<T>& items, const T& item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

template <typename T>
std::vector<std::string> NamesOf(const std::vector<T>& items) {
  std::vector<std::string> names;
  for (const T& item : items) names.push_back(item.name);
  return names;
}

// Names become file names, log fields and command-line words.
bool IsPlainName(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax || name.front() == '.' || name.front() == '-') {
    return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
}

void CheckName(const YamlValue& value, std::string_view name) {
  if (IsPlainName(name)) return;
  value.Problem(
      fmt::format("'{}' is no name: expected 1 to {} letters, digits, '_', '-' or '.', not "
                  "beginning with '-' or '.'; rename it",
                  name.substr(0, kNameBytesMax), kNameBytesMax));
}

// A number in an interval; the words of the interval stand in the message.
void ReadNumber(const YamlValue& value, double low, bool low_open, double high, bool high_open,
                double& target) {
  const auto number = value.Number();
  if (!number) return;
  const bool inside =
      (low_open ? *number > low : *number >= low) && (high_open ? *number < high : *number <= high);
  if (!inside) {
    value.Problem(fmt::format("found {}, expected a number in {}{}, {}{}; correct it", *number,
                              low_open ? '(' : '[', low, high, high_open ? ')' : ']'));
    return;
  }
  target = *number;
}

void ReadInt(const YamlValue& value, int low, int high, int& target) {
  if (const auto number = value.Integer(low, high)) target = static_cast<int>(*number);
}

class StudyReader {
 public:
  explicit StudyReader(YamlDocument& document)
      : root_(document.root()), problems_(document.problems()) {}

  Study Read() {
    root_.AllowKeys(
        {"format",         "name",        "title",        "seed",         "policy",
         "sites",          "institution", "institutions", "outcome",      "event",
         "patient",        "variables",   "extraction",   "features",     "feature_sets",
         "harmonizations", "models",      "folds",        "design",       "held_out",
         "consents",       "tuning",      "primary",      "margin",       "auc_floor",
         "thresholds",     "privacy",     "quorum",       "minimum_rows", "known_external_auc"});
    if (const auto format = root_["format"].Integer(1, 1)) static_cast<void>(format);
    ReadIdentity();
    ReadSites();
    ReadOutcome();
    ReadVariables();
    ReadExtraction();
    ReadFeatures();
    ReadModels();  // before harmonizations: what may be preserved depends on whether a model is
                   // trained
    ReadHarmonizations();
    ReadDesign();
    ReadFolds();
    ReadPrimary();
    ReadJudgement();
    ReadPrivacy();
    ReadQuorum();
    ReadKnownAuc();
    return std::move(study_);
  }

  // How many of the problems are refusals for the sake of privacy rather than mistakes.
  [[nodiscard]] std::size_t denial_count() const { return denial_count_; }

 private:
  void Deny(const YamlValue& value, std::string_view what) {
    value.Problem(what);
    ++denial_count_;
  }

  void ReadIdentity() {
    const YamlValue name =
        root_.Required("name", "a short name for the study, for example 'lung6'");
    if (auto text = name.NonEmptyText()) {
      CheckName(name, *text);
      study_.name = std::move(*text);
    }
    study_.title = study_.name;
    if (auto text = root_["title"].NonEmptyText()) study_.title = std::move(*text);
    if (const auto seed = root_["seed"].Integer(0, std::numeric_limits<std::int64_t>::max())) {
      study_.seed = static_cast<std::uint64_t>(*seed);
    }
    if (const auto policy = root_["policy"].OneOf({"private", "public-data"})) {
      study_.policy = *policy == "private" ? Policy::kPrivate : Policy::kPublicData;
    }
  }

  void ReadSites() {
    const YamlValue sites = root_.Required("sites", "list the sites that take part, [A, B, C]");
    study_.sites = sites.DistinctTexts();
    for (const std::string& site : study_.sites) CheckName(sites, site);
    if (sites.present() && (study_.sites.size() < 2 || study_.sites.size() > kSitesMax)) {
      sites.Problem(
          fmt::format("found {} sites, expected 2 to {}", study_.sites.size(), kSitesMax));
    }
    for (const std::string& site : study_.sites) study_.institutions[site] = site;
    if (root_["institution"].present() && root_["institutions"].present()) {
      root_["institution"].Problem(
          "stands beside 'institutions', which means the same; remove one");
    }
    for (const char* key : {"institution", "institutions"}) {
      for (const auto& [site, institution] : root_[key].Entries()) {
        if (!KnownSite(institution, site)) continue;
        if (auto text = institution.NonEmptyText()) study_.institutions[site] = std::move(*text);
      }
    }
  }

  bool KnownSite(const YamlValue& value, const std::string& site) {
    if (Contains(study_.sites, site)) return true;
    value.Problem(
        fmt::format("'{}' is not among the study's sites{}; add it to 'sites' or correct it", site,
                    DidYouMean(site, study_.sites)));
    return false;
  }

  void ReadOutcome() {
    const YamlValue outcome =
        root_.Required("outcome", "name the outcome variable, for example 'death_2y'");
    if (auto text = outcome.NonEmptyText()) {
      CheckName(outcome, *text);
      study_.outcome = std::move(*text);
    }
    const YamlValue event = root_.Required(
        "event", "say in words what counts as the event (1), so that no direction is guessed");
    if (auto text = event.NonEmptyText()) study_.event = std::move(*text);
    const YamlValue patient = root_.Required(
        "patient", "name the patient variable: cases of one patient stay in one fold");
    if (auto text = patient.NonEmptyText()) study_.patient = std::move(*text);
  }

  void ReadVariables() {
    for (const auto& [name, value] : root_["variables"].Entries()) {
      Variable variable;
      variable.name = name;
      CheckName(value, name);
      if (name == study_.outcome) {
        value.Problem("is the outcome, which is no covariate; remove it from 'variables'");
      }
      if (!value.AllowKeys({"kind", "unit", "levels"})) continue;
      const auto kind = value.Required("kind", "one of continuous, binary, categorical")
                            .OneOf({"continuous", "binary", "categorical"});
      if (kind) {
        variable.kind = *kind == "continuous" ? VariableKind::kContinuous
                        : *kind == "binary"   ? VariableKind::kBinary
                                              : VariableKind::kCategorical;
      }
      if (auto unit = value["unit"].Text()) variable.unit = std::move(*unit);
      variable.levels = value["levels"].DistinctTexts();
      if (kind && variable.kind == VariableKind::kCategorical && variable.levels.size() < 2) {
        value.Problem(
            "is categorical and has fewer than 2 levels; write levels: [reference, other, ...]");
      }
      if (kind && variable.kind != VariableKind::kCategorical && value["levels"].present()) {
        value["levels"].Problem("is for categorical variables only; remove it or change 'kind'");
      }
      study_.variables.push_back(std::move(variable));
    }
  }

  void ReadFeatures() {
    const std::vector<std::string> variables = NamesOf(study_.variables);
    for (const auto& [name, value] : root_["features"].Entries()) {
      FeatureGroup group;
      group.name = name;
      CheckName(value, name);
      if (Contains(variables, name)) {
        value.Problem("has the name of a variable; a feature set could mean either, rename one");
      }
      if (!value.AllowKeys({"include", "exclude"})) continue;
      const YamlValue include =
          value.Required("include", "list column names or patterns, for example [original_*]");
      group.include = include.DistinctTexts();
      if (include.is_sequence() && group.include.empty()) {
        include.Problem("is empty; list column names or patterns");
      }
      group.exclude = value["exclude"].DistinctTexts();
      if (Contains(group.include, study_.outcome)) {
        include.Problem(fmt::format("names the outcome '{}', which predicts itself; remove it",
                                    study_.outcome));
      }
      study_.groups.push_back(std::move(group));
    }
    const std::vector<std::string> groups = NamesOf(study_.groups);
    std::vector<std::string> known = groups;
    known.insert(known.end(), variables.begin(), variables.end());
    for (const auto& [name, value] : root_["feature_sets"].Entries()) {
      CheckName(value, name);
      FeatureSet set{name, value.DistinctTexts()};
      if (value.is_sequence() && set.groups.empty()) {
        value.Problem("is empty; list feature groups or variables");
      }
      for (const std::string& item : set.groups) {
        if (item == study_.outcome) {
          value.Problem(
              fmt::format("holds the outcome '{}', which predicts itself; remove it", item));
        } else if (!Contains(known, item)) {
          value.Problem(
              fmt::format("unknown variable or feature group '{}'{}; declare it under "
                          "'variables' or 'features'",
                          item, DidYouMean(item, known)));
        }
      }
      study_.feature_sets.push_back(std::move(set));
    }
    if (!root_["feature_sets"].present()) {  // one set a group
      for (const std::string& group : groups) study_.feature_sets.push_back({group, {group}});
    }
  }

  static LambdaRule RuleOf(const std::string& word) {
    return word == "min" ? LambdaRule::kMin : LambdaRule::kOneSe;
  }

  void ReadModels() {
    const std::vector<std::string> sets = NamesOf(study_.feature_sets);
    for (const auto& [name, value] : root_["models"].Entries()) {
      Model model;
      model.name = name;
      CheckName(value, name);
      if (!value.AllowKeys({"method", "lambda", "lambda_count", "lambda_min_ratio", "kkt_tolerance",
                            "path_stop", "feature_sets"})) {
        continue;
      }
      if (auto method = value["method"].OneOf({"lasso"})) model.method = std::move(*method);
      if (const auto rule = value["lambda"].OneOf({"min", "1se"}))
        model.lambda_rule = RuleOf(*rule);
      ReadInt(value["lambda_count"], 2, 1000, model.lambda_count);
      ReadNumber(value["lambda_min_ratio"], 0, false, 1, true, model.lambda_min_ratio);
      ReadNumber(value["kkt_tolerance"], 0, true, 0.01, false, model.kkt_tolerance);
      if (const auto stop = value["path_stop"].Boolean()) model.path_stop = *stop;
      model.feature_sets = value["feature_sets"].DistinctTexts();
      for (const std::string& set : model.feature_sets) {
        if (!Contains(sets, set)) {
          value["feature_sets"].Problem(
              fmt::format("unknown feature set '{}'{}; declare it under 'feature_sets'", set,
                          DidYouMean(set, sets)));
        }
      }
      if (!value["feature_sets"].present()) model.feature_sets = sets;
      if (model.feature_sets.empty()) {
        value.Problem("has no features to learn from; declare 'features' and 'feature_sets'");
      }
      study_.models.push_back(std::move(model));
    }
  }

  void ReadHarmonizations() {
    if (!root_["harmonizations"].present())
      study_.harmonizations.push_back({"none", "none", {}, false});
    const std::vector<std::string> variables = NamesOf(study_.variables);
    for (const auto& [name, value] : root_["harmonizations"].Entries()) {
      Harmonization harmonization;
      harmonization.name = name;
      CheckName(value, name);
      if (!value.AllowKeys({"method", "preserve", "allow_outcome"})) continue;
      const YamlValue method = value.Required("method", "one of none, combat");
      if (auto word = method.OneOf({"none", "combat"})) harmonization.method = std::move(*word);
      const YamlValue preserve = value["preserve"];
      harmonization.preserve = preserve.DistinctTexts();
      const YamlValue allow = value["allow_outcome"];
      if (const auto allowed = allow.Boolean()) harmonization.allow_outcome = *allowed;
      if (harmonization.allow_outcome && !study_.models.empty()) {
        Deny(allow,
             "is for studies that only harmonize, and this one trains a model: protecting the "
             "outcome "
             "would leak the label into the features; remove it, or remove 'models'");
      }
      for (const std::string& item : harmonization.preserve) {
        if (item == study_.outcome) {
          if (!harmonization.allow_outcome) {
            Deny(preserve,
                 fmt::format(
                     "protects the outcome '{}', which leaks the label into the features (AUC 0.60 "
                     "from pure noise); remove it, or write 'allow_outcome: true' in a study "
                     "without models",
                     item));
          }
        } else if (!Contains(variables, item)) {
          preserve.Problem(fmt::format("unknown variable '{}'{}; declare it under 'variables'",
                                       item, DidYouMean(item, variables)));
        }
      }
      if (harmonization.method == "none" && !harmonization.preserve.empty()) {
        preserve.Problem("has no meaning with method none; remove it or choose combat");
      }
      study_.harmonizations.push_back(std::move(harmonization));
    }
  }

  void ReadDesign() {
    const YamlValue design = root_["design"];
    if (const auto word = design.OneOf({"named-held-out", "leave-one-center-out"})) {
      study_.design =
          *word == "named-held-out" ? Design::kNamedHeldOut : Design::kLeaveOneCenterOut;
    }
    const YamlValue held_out = root_["held_out"];
    study_.held_out = held_out.DistinctTexts();
    for (const std::string& site : study_.held_out) KnownSite(held_out, site);
    const YamlValue consents = root_["consents"];
    study_.consents = consents.DistinctTexts();
    for (const std::string& site : study_.consents) KnownSite(consents, site);
    if (study_.design == Design::kLeaveOneCenterOut) {
      if (held_out.present()) {
        held_out.Problem(
            "contradicts design leave-one-center-out, where every center is held out in "
            "turn; remove it");
      }
      std::string missing;
      for (const std::string& site : study_.sites) {
        if (!Contains(study_.consents, site)) missing += (missing.empty() ? "" : ", ") + site;
      }
      if (!missing.empty()) {
        Deny(design,
             fmt::format("leave-one-center-out discloses each site's own moments (differences of "
                         "totals) and needs every site's consent; missing: {}; list them under "
                         "'consents' once they agreed, or use named-held-out",
                         missing));
      }
    } else {
      if (consents.present()) {
        consents.Problem("is for design leave-one-center-out only; remove it or change 'design'");
      }
      if (!study_.models.empty() && study_.held_out.empty()) {
        held_out.Problem(
            "names no center, but design named-held-out validates on held-out centers; name at "
            "least one");
      }
    }
  }

  void ReadFolds() {
    const YamlValue folds = root_["folds"];
    if (folds.present() && folds.AllowKeys({"count", "column"})) {
      ReadInt(folds["count"], 2, 100, study_.folds.count);
      if (auto column = folds["column"].NonEmptyText()) study_.folds.column = std::move(*column);
    }
    if (auto tuning = root_["tuning"].OneOf({"reused"})) study_.tuning = std::move(*tuning);
  }

  void ReadPrimary() {
    const YamlValue value = root_["primary"];
    if (!value.present() || !value.AllowKeys({"model", "features", "harmonization", "lambda"}))
      return;
    Primary primary;
    const auto pick = [&](const char* key, const std::vector<std::string>& known,
                          std::string& target) {
      const YamlValue field =
          value.Required(key,
                         "the primary analysis must be one model on one feature "
                         "set under one harmonization");
      auto text = field.NonEmptyText();
      if (!text) return;
      if (!Contains(known, *text)) {
        std::string listed;
        for (const std::string& name : known) listed += (listed.empty() ? "" : ", ") + name;
        field.Problem(fmt::format("'{}' does not exist{}; declared are: {}", *text,
                                  DidYouMean(*text, known), listed.empty() ? "none" : listed));
        return;
      }
      target = std::move(*text);
    };
    pick("model", NamesOf(study_.models), primary.model);
    pick("features", NamesOf(study_.feature_sets), primary.features);
    pick("harmonization", NamesOf(study_.harmonizations), primary.harmonization);
    for (const Model& model : study_.models) {
      if (model.name != primary.model) continue;
      primary.lambda_rule = model.lambda_rule;
      if (!primary.features.empty() && !Contains(model.feature_sets, primary.features)) {
        value["features"].Problem(
            fmt::format("model '{}' is not fitted on '{}'; add it to the model's "
                        "'feature_sets' or choose another",
                        model.name, primary.features));
      }
      if (const auto rule = value["lambda"].OneOf({"min", "1se"})) {
        primary.lambda_rule = RuleOf(*rule);
        if (primary.lambda_rule != model.lambda_rule) {
          value["lambda"].Problem(fmt::format(
              "model '{}' uses lambda {}, the primary says {}; make them "
              "equal",
              model.name, model.lambda_rule == LambdaRule::kMin ? "min" : "1se", *rule));
        }
      }
    }
    study_.primary = std::move(primary);
  }

  void ReadJudgement() {
    ReadNumber(root_["margin"], 0, true, 0.5, false, study_.margin);
    ReadNumber(root_["auc_floor"], 0.5, false, 1, true, study_.auc_floor);
    ReadInt(root_["minimum_rows"], 2, 1000000, study_.minimum_rows);
    const YamlValue thresholds = root_["thresholds"];
    YamlValue values = thresholds;
    if (thresholds.is_mapping()) {
      thresholds.AllowKeys({"values", "range"});
      values = thresholds.Required("values", "1 to 3 probabilities, [0.2, 0.5]");
      const YamlValue range = thresholds["range"];
      const std::vector<YamlValue> ends = range.Items();
      if (range.is_sequence() && ends.size() != 2) {
        range.Problem(fmt::format("found {} numbers, expected two: [low, high]", ends.size()));
      } else if (ends.size() == 2) {
        ReadNumber(ends[0], 0, true, 1, true, study_.thresholds.range_low);
        ReadNumber(ends[1], 0, true, 1, true, study_.thresholds.range_high);
        if (study_.thresholds.range_low >= study_.thresholds.range_high) {
          range.Problem("the low end is not below the high end; swap or correct them");
        }
      }
    }
    for (const YamlValue& item : values.Items()) {
      double threshold = 0;
      ReadNumber(item, 0, true, 1, true, threshold);
      if (threshold == 0) continue;
      if (!study_.thresholds.values.empty() && threshold <= study_.thresholds.values.back()) {
        item.Problem("is not above the one before; list thresholds once each, ascending");
        continue;
      }
      study_.thresholds.values.push_back(threshold);
    }
    if (values.is_sequence() &&
        (values.Items().empty() || values.Items().size() > kThresholdsMax)) {
      values.Problem(
          fmt::format("found {} thresholds, expected 1 to {}: decisions named beforehand, not a "
                      "curve",
                      values.Items().size(), kThresholdsMax));
    }
    if (study_.primary && !thresholds.present()) {
      thresholds.Problem(
          "is missing: a primary analysis is judged at 1 to 3 probabilities named beforehand, "
          "for example [0.5]");
    }
  }

  // The smallest number of training centers over the study's fits.
  [[nodiscard]] std::size_t TrainingCount() const {
    if (study_.design == Design::kLeaveOneCenterOut)
      return study_.sites.empty() ? 0 : study_.sites.size() - 1;
    return TrainingCenters(study_).size();
  }

  void ReadPrivacy() {
    const YamlValue privacy = root_["privacy"];
    if (privacy.present() && privacy.AllowKeys({"min_sites", "min_cell", "curvature", "masks"})) {
      ReadInt(privacy["min_sites"], 2, static_cast<int>(kSitesMax), study_.privacy.min_sites);
      ReadInt(privacy["min_cell"], 1, 1000, study_.privacy.min_cell);
      if (const auto word = privacy["curvature"].OneOf({"strict", "fast"})) {
        study_.privacy.strict_curvature = *word == "strict";
      }
      if (const auto masks = privacy["masks"].Boolean()) study_.privacy.masks = *masks;
    }
    if (study_.policy == Policy::kPrivate) {
      if (study_.privacy.min_sites < 3) {
        Deny(privacy["min_sites"],
             "in a sum of two each site learns the other's part; expected at least "
             "3, fewer only under policy: public-data");
      }
      if (study_.privacy.min_cell < 5) {
        Deny(privacy["min_cell"],
             "expected at least 5, smaller cells only under policy: public-data");
      }
      if (!study_.privacy.masks) {
        Deny(privacy["masks"],
             "unmasked answers show each site's part to the coordinator; expected true, "
             "false only under policy: public-data");
      }
      const auto needed = static_cast<std::size_t>(study_.privacy.min_sites);
      if (!study_.sites.empty() && TrainingCount() < needed) {
        Deny(root_["sites"],
             fmt::format(
                 "{} training centers are left in a fit, expected at least privacy.min_sites = {}; "
                 "add sites, hold out fewer, or, for published data, write policy: public-data",
                 TrainingCount(), needed));
      }
    } else if (!study_.sites.empty() && TrainingCount() < 1) {
      root_["sites"].Problem("no training center is left; hold out fewer");
    }
  }

  void ReadQuorum() {
    const YamlValue value = root_["quorum"];
    if (!value.present() ||
        !value.AllowKeys({"required", "minimum", "grace_s", "deadline_s", "then"}))
      return;
    Quorum& quorum = study_.quorum;
    const YamlValue required = value["required"];
    const YamlValue minimum = value["minimum"];
    quorum.required = required.DistinctTexts();
    for (const std::string& site : quorum.required) {
      if (KnownSite(required, site) && study_.design == Design::kNamedHeldOut &&
          Contains(study_.held_out, site)) {
        required.Problem(
            fmt::format("'{}' is held out and answers no training round; remove it here or "
                        "from 'held_out'",
                        site));
      }
    }
    ReadInt(minimum, 1, static_cast<int>(kSitesMax), quorum.minimum);
    const std::size_t training = TrainingCenters(study_).size();
    const auto least = static_cast<std::size_t>(quorum.minimum);
    if (least > training) {
      minimum.Problem(
          fmt::format("{} answers are asked of {} training centers, so no round could end; "
                      "lower it",
                      least, training));
    }
    if (quorum.minimum > 0 && quorum.required.size() > least) {
      minimum.Problem(
          fmt::format("{} contradicts 'required', which names {} centers; raise it or require "
                      "fewer",
                      least, quorum.required.size()));
    }
    if (quorum.minimum > 0 && study_.policy == Policy::kPrivate &&
        quorum.minimum < study_.privacy.min_sites) {
      Deny(minimum,
           fmt::format("{} is below privacy.min_sites = {}: such a sum would be refused by the "
                       "sites; raise it",
                       quorum.minimum, study_.privacy.min_sites));
    }
    if (const auto seconds = value["grace_s"].Integer(0, 31536000)) quorum.grace_s = *seconds;
    if (const auto seconds = value["deadline_s"].Integer(1, 31536000)) quorum.deadline_s = *seconds;
    if (quorum.grace_s > quorum.deadline_s) {
      value.Problem(fmt::format("grace_s = {} is beyond deadline_s = {}; shorten the grace",
                                quorum.grace_s, quorum.deadline_s));
    }
    if (auto then = value["then"].OneOf({"wait", "abort", "restart-without"})) quorum.then = *then;
    const bool all_needed =
        (quorum.minimum == 0 || least == training) || quorum.required.size() == training;
    if (quorum.then == "restart-without" && all_needed) {
      value["then"].Problem(
          "restart-without needs a center that may be missing, but all are required; "
          "set 'minimum' below the number of training centers");
    }
  }

  void ReadExtraction() {
    const YamlValue value = root_["extraction"];
    if (!value.present() || !value.AllowKeys({"engine", "settings", "phantom"})) return;
    Extraction extraction;
    const char* const source = "'consilium-extract phantom --settings FILE' writes it";
    if (auto engine = value.Required("engine", source).NonEmptyText())
      extraction.engine = std::move(*engine);
    if (auto settings = value.Required("settings", source).NonEmptyText())
      extraction.settings = std::move(*settings);
    extraction.settings_digest = Sha256(extraction.settings);
    for (const auto& [name, feature] : value.Required("phantom", source).Entries()) {
      if (const auto number = feature.Number()) extraction.phantom[name] = *number;
    }
    study_.extraction = std::move(extraction);
  }

  void ReadKnownAuc() {
    for (const auto& [site, value] : root_["known_external_auc"].Entries()) {
      if (!KnownSite(value, site)) continue;
      if (study_.design == Design::kNamedHeldOut && !Contains(study_.held_out, site)) {
        value.Problem("is no held-out center, so it has no external AUC; remove it");
      }
      double auc = -1;
      ReadNumber(value, 0, true, 1, true, auc);
      if (auc > 0) study_.known_external_auc[site] = auc;
    }
  }

  YamlValue root_;
  Problems& problems_;
  Study study_;
  std::size_t denial_count_ = 0;
};

std::string ShownPattern(const std::string& pattern, const std::vector<std::string>& header) {
  if (IsGlob(pattern))
    return fmt::format("pattern '{}' matches none of the {} columns", pattern, header.size());
  return fmt::format("column '{}' is not in the header{}", pattern, DidYouMean(pattern, header));
}

}  // namespace

Result<Study> ParseStudy(std::string_view yaml, std::string_view file_name) {
  auto document = ParseStrictYaml(yaml, file_name);
  if (!document) return tl::unexpected<Error>(std::move(document).error());
  StudyReader reader(*document);
  Study study = reader.Read();
  const Problems& problems = document->problems();
  if (!problems.empty()) {
    const bool only_denials = reader.denial_count() == problems.size();
    return tl::unexpected<Error>(Combine(
        problems, only_denials ? ErrorCode::kPermissionDenied : ErrorCode::kInvalidArgument));
  }
  study.file_digest = Sha256(yaml);
  study.digest = study.file_digest;
  return study;
}

Result<Study> ResolveFeatures(const Study& study, const std::vector<std::string>& header) {
  Study resolved = study;
  resolved.feature_columns.clear();
  Problems problems;
  std::map<std::string, std::string> group_of;
  const std::vector<std::string> covariates = CovariateColumns(study);
  for (FeatureGroup& group : resolved.groups) {
    group.columns.clear();
    const auto wrong = [&](std::string_view what) {
      problems.push_back(
          fmt::format("study '{}': field 'features.{}': {}", study.name, group.name, what));
    };
    std::vector<bool> matched(group.include.size(), false);
    std::size_t excluded = 0;
    for (const std::string& name : header) {
      bool included = false;
      for (std::size_t i = 0; i < group.include.size(); ++i) {
        if (!GlobMatches(group.include[i], name)) continue;
        matched[i] = true;
        included = true;
      }
      if (!included) continue;
      const bool out =
          std::any_of(group.exclude.begin(), group.exclude.end(),
                      [&](const std::string& pattern) { return GlobMatches(pattern, name); });
      if (out) {
        ++excluded;
        continue;
      }
      if (name == study.outcome) {
        wrong(fmt::format("selects column '{}', which has the name of the outcome; exclude it",
                          name));
        continue;
      }
      if (Contains(covariates, name)) {
        wrong(
            fmt::format("selects column '{}', which has the name of a variable; exclude it", name));
        continue;
      }
      const auto [first, fresh] = group_of.try_emplace(name, group.name);
      if (!fresh) {
        wrong(fmt::format(
            "selects column '{}', which is in group '{}' already; exclude it in one of them", name,
            first->second));
        continue;
      }
      group.columns.push_back(name);
    }
    for (std::size_t i = 0; i < group.include.size(); ++i) {
      if (matched[i]) continue;
      wrong(fmt::format("{}; correct it or remove it", ShownPattern(group.include[i], header)));
    }
    if (group.columns.empty() && excluded > 0) {
      wrong(fmt::format("'exclude' leaves none of {} columns; exclude less", excluded));
    }
    resolved.feature_columns.insert(resolved.feature_columns.end(), group.columns.begin(),
                                    group.columns.end());
  }
  if (!problems.empty()) return tl::unexpected<Error>(Combine(problems));
  ByteWriter writer;
  writer.Text("consilium study");
  writer.Raw(study.file_digest.bytes);
  writer.U64(resolved.groups.size());
  for (const FeatureGroup& group : resolved.groups) {
    writer.Text(group.name);
    writer.U64(group.columns.size());
    for (const std::string& name : group.columns) writer.Text(name);
  }
  resolved.digest = Sha256(writer.bytes());
  return resolved;
}

std::vector<std::string> TrainingCenters(const Study& study) {
  std::vector<std::string> centers;
  for (const std::string& site : study.sites) {
    if (study.design == Design::kLeaveOneCenterOut || !Contains(study.held_out, site)) {
      centers.push_back(site);
    }
  }
  return centers;
}

bool Trains(const Study& study, std::string_view site) {
  return Contains(TrainingCenters(study), std::string(site));
}

std::vector<std::string> VariableColumns(const Variable& variable) {
  if (variable.kind != VariableKind::kCategorical) return {variable.name};
  std::vector<std::string> columns;
  for (std::size_t i = 1; i < variable.levels.size(); ++i) {
    columns.push_back(fmt::format("{}={}", variable.name, variable.levels[i]));
  }
  return columns;
}

std::vector<std::string> CovariateColumns(const Study& study) {
  std::vector<std::string> columns;
  for (const Variable& variable : study.variables) {
    for (std::string& column : VariableColumns(variable)) columns.push_back(std::move(column));
  }
  return columns;
}

std::vector<std::string> FeatureSetColumns(const Study& study, std::string_view set) {
  std::vector<std::string> columns;
  for (const FeatureSet& candidate : study.feature_sets) {
    if (candidate.name != set) continue;
    for (const std::string& item : candidate.groups) {
      for (const FeatureGroup& group : study.groups) {
        if (group.name == item)
          columns.insert(columns.end(), group.columns.begin(), group.columns.end());
      }
      for (const Variable& variable : study.variables) {
        if (variable.name != item) continue;
        for (std::string& column : VariableColumns(variable)) columns.push_back(std::move(column));
      }
    }
  }
  return columns;
}

}  // namespace consilium::study
