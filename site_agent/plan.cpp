#include "site_agent/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "site_agent/site.h"
#include "site_agent/suppression.h"
#include "study/program.h"
#include "study/study_file.h"

namespace consilium::site_agent {
namespace {

constexpr int kMinSitesPrivate = 3;
constexpr std::size_t kNameColumns = 22;

bool Contains(const std::vector<std::string>& items, const std::string& item) {
  return std::find(items.begin(), items.end(), item) != items.end();
}

std::vector<std::string> Plain(std::vector<std::string> texts) {
  for (std::string& text : texts) text = PlainText(text);
  return texts;
}

std::string Joined(const std::vector<std::string>& texts) {
  return fmt::format("{}", fmt::join(Plain(texts), ", "));
}

std::string Duration(std::int64_t seconds) {
  if (seconds % 86400 == 0) return fmt::format("{} d", seconds / 86400);
  if (seconds % 3600 == 0) return fmt::format("{} h", seconds / 3600);
  if (seconds % 60 == 0) return fmt::format("{} min", seconds / 60);
  return fmt::format("{} s", seconds);
}

std::string VariableText(const study::Variable& variable) {
  switch (variable.kind) {
    case study::VariableKind::kBinary:
      return fmt::format("{} (yes or no)", variable.name);
    case study::VariableKind::kCategorical:
      return fmt::format("{} ({})", variable.name, fmt::join(variable.levels, "/"));
    case study::VariableKind::kContinuous:
      break;
  }
  return variable.unit.empty() ? variable.name
                               : fmt::format("{} ({})", variable.name, variable.unit);
}

std::string LambdaText(study::LambdaRule rule) {
  return rule == study::LambdaRule::kMin ? "min" : "1se";
}

class PlanMaker {
 public:
  PlanMaker(const study::Submission& submission, const study::Study& study, const PlanFacts& facts)
      : submission_(submission), study_(study), facts_(facts) {
    training_ = study::TrainingCenters(study);
    leave_one_out_ = study.design == study::Design::kLeaveOneCenterOut;
  }

  std::vector<PlanField> Make() {
    Who();
    What();
    How();
    Leaves();
    Rules();
    return std::move(plan_);
  }

 private:
  void Add(std::string name, std::vector<std::string> values) {
    if (!values.empty()) plan_.push_back({std::move(name), Plain(std::move(values))});
  }

  std::vector<std::string> WithKeys(const std::vector<std::string>& sites) const {
    std::vector<std::string> told;
    for (const std::string& site : sites) {
      const auto member = submission_.members.find(site);
      told.push_back(
          member == submission_.members.end()
              ? site
              : fmt::format("{} {}", site, Hex(FingerprintOf(member->second)).substr(0, 16)));
    }
    return told;
  }

  void Who() {
    Add("study", {study_.title.empty() || study_.title == study_.name
                      ? study_.name
                      : fmt::format("{}: {}", study_.name, study_.title)});
    Add("submission", {Hex(study::DigestOf(submission_))});
    const Digest key = submission_.lead_key.fingerprint();
    const auto& leads = facts_.policy.leads;
    Add("lead", {submission_.lead});
    Add("lead's key", {Hex(key), std::find(leads.begin(), leads.end(), key) == leads.end()
                                     ? "not among this site's policy.leads: compare it with the "
                                       "lead, not by e-mail"
                                     : "among this site's policy.leads"});
    if (facts_.coordinator_key && *facts_.coordinator_key == submission_.lead_key) {
      Add("lead and operator",
          {"the lead's key is the coordinator's own: one party plans the study and adds the sums"});
    } else if (!facts_.operated_by.empty() && submission_.lead == facts_.operated_by) {
      Add("lead and operator",
          {"the lead also operates the coordinator, by its own word: one party plans the study and "
           "adds the sums"});
    }
    const bool trains = Contains(training_, facts_.site);
    std::string here;
    if (!Contains(study_.sites, facts_.site)) {
      here = "is not in this study";
    } else if (!trains) {
      here =
          "is held out: asked for nothing but counts of its rows and the scores of finished "
          "models";
    } else if (leave_one_out_) {
      here = "trains, and is held out once";
    } else {
      here = "trains: its rows enter the sums";
    }
    Add("this site", {fmt::format("{} {}", facts_.site, here)});
    Add("training sites", WithKeys(training_));
    if (!leave_one_out_) Add("held-out sites", WithKeys(study_.held_out));
  }

  void What() {
    Add("outcome", {fmt::format("{}; 1 means: {}", study_.outcome, study_.event)});
    Add("patient", {study_.patient});
    std::vector<std::string> values;
    for (const study::Variable& variable : study_.variables)
      values.push_back(VariableText(variable));
    Add("variables", values);
    values.clear();
    for (const study::FeatureGroup& group : study_.groups) {
      values.push_back(fmt::format(
          "{}: {}{}", group.name, fmt::join(group.include, " "),
          group.exclude.empty() ? "" : fmt::format(" without {}", fmt::join(group.exclude, " "))));
    }
    Add("columns", values);
    if (study_.extraction) {
      Add("extraction", {fmt::format("by {}", PlainText(study_.extraction->engine)),
                         fmt::format("settings {}", Hex(study_.extraction->settings_digest)),
                         fmt::format("this site must reproduce {} features of a phantom",
                                     study_.extraction->phantom.size())});
    }
  }

  void How() {
    std::vector<std::string> values;
    for (const study::FeatureSet& set : study_.feature_sets)
      values.push_back(fmt::format("{} = {}", set.name, fmt::join(set.groups, " + ")));
    Add("feature sets", values);
    values.clear();
    for (const study::Harmonization& one : study_.harmonizations) {
      values.push_back(fmt::format(
          "{}{}{}", one.name, one.name == one.method ? "" : fmt::format(" ({})", one.method),
          one.preserve.empty() ? "" : fmt::format(" keeping {}", fmt::join(one.preserve, ", "))));
    }
    Add("harmonizations", values);
    values.clear();
    for (const study::Model& model : study_.models) {
      values.push_back(fmt::format(
          "{}{}, lambda {} of {}, on {}", model.name,
          model.name == model.method ? "" : fmt::format(" ({})", model.method),
          LambdaText(model.lambda_rule), model.lambda_count,
          model.feature_sets.empty() ? "every feature set" : Joined(model.feature_sets)));
    }
    Add("models",
        values.empty() ? std::vector<std::string>{"none: the study only harmonizes"} : values);
    if (leave_one_out_) {
      Add("validation", {"leave one center out: each center is held out once"});
    } else {
      Add("validation",
          {study_.held_out.empty()
               ? "none"
               : fmt::format("on {}, which take part in nothing before", Joined(study_.held_out))});
    }
    Add("folds",
        {study_.folds.column.empty()
             ? fmt::format("{}, drawn by this site's secret", study_.folds.count)
             : fmt::format("{}, as {} says", study_.folds.count,
                           study_.folds.column == study::kFoldsFromCohortFile
                               ? std::string("the cohort file")
                               : fmt::format("column {}", PlainText(study_.folds.column)))});
    if (study_.primary) {
      Add("judged by",
          {fmt::format("{} on {} after {}", study_.primary->model, study_.primary->features,
                       study_.primary->harmonization),
           fmt::format("thresholds {}", fmt::join(study_.thresholds.values, ", ")),
           fmt::format("margin {}", study_.margin), fmt::format("AUC floor {}", study_.auc_floor)});
    }
  }

  void Leaves() {
    const bool trains = Contains(training_, facts_.site);
    if (trains) {
      std::vector<std::string> sums = {"counts and moments of each column"};
      for (const study::Harmonization& one : study_.harmonizations) {
        if (one.method == "none") continue;
        sums.push_back(
            fmt::format("{}: cross-products within this site, residual squares", one.name));
      }
      for (const study::Model& model : study_.models) {
        sums.push_back(
            fmt::format("{}: gradients, curvature and losses of each fit and fold", model.name));
      }
      if (!study_.models.empty()) sums.emplace_back("score histograms by class");
      Add("leaves as sums", sums);
    }
    std::vector<std::string> releases;
    const bool scored = leave_one_out_ || Contains(study_.held_out, facts_.site);
    for (const ReleaseRule& rule : StandardReleases()) {
      const bool flow = rule.block == "flow" || rule.block == "counts";
      if (flow || (scored && !study_.models.empty())) releases.push_back(rule.block);
    }
    Add("leaves under its name", releases);
    Add("never leaves", {"an image", "a row", "an identifier", "a value of one patient"});
  }

  void Rules() {
    const study::Privacy& privacy = study_.privacy;
    Add("minimum counts",
        {fmt::format("sums over at least {} sites", privacy.min_sites),
         fmt::format("no count below {} rows", privacy.min_cell),
         fmt::format("training centers of at least {} rows", study_.minimum_rows)});
    Add("curvature",
        {privacy.strict_curvature
             ? "strict: cross-products of at most 0.33 columns a row of the sum"
             : "FAST: cross-products of any number of columns; sums of few rows may be solved for "
               "rows"});
    Add("masks", {privacy.masks ? "on: the coordinator sees totals only"
                                : "OFF: the coordinator sees this site's own sums"});
    Add("policy",
        {study_.policy == study::Policy::kPublicData
             ? "PUBLIC DATA: two sites are enough for a sum and rules on row sets are set "
               "aside; only for data that is published already"
             : "private"});
    const study::Quorum& quorum = study_.quorum;
    Add("quorum",
        {quorum.required.empty() ? "every training site must answer"
                                 : fmt::format("{} must answer", Joined(quorum.required)),
         quorum.minimum == 0 ? fmt::format("all {} of them", training_.size())
                             : fmt::format("at least {} of {}", quorum.minimum, training_.size()),
         fmt::format("a round waits up to {}, then: {}", Duration(quorum.deadline_s),
                     quorum.then)});
    Add("restart",
        {quorum.then == "restart-without"
             ? fmt::format("MAY START OVER without a site that leaves (after {}): the difference "
                           "of totals tells the sums of the site that left",
                           Duration(quorum.grace_s))
             : "never starts over without a site"});
    Add("leave-one-center-out",
        {leave_one_out_ ? "DISCLOSES: by differences of totals the coordinator learns this "
                          "hospital's own sums (means, variances, gradients), not its rows"
                        : "no"});
  }

  const study::Submission& submission_;
  const study::Study& study_;
  const PlanFacts& facts_;
  std::vector<std::string> training_;
  bool leave_one_out_ = false;
  std::vector<PlanField> plan_;
};

// ---- text ---------------------------------------------------------------------------------------

bool Continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

std::size_t Columns(std::string_view text) {
  return text.size() - static_cast<std::size_t>(std::count_if(text.begin(), text.end(), Continues));
}

// Words in lines of at most `columns`; a longer word is cut into pieces.
std::vector<std::string> Wrapped(std::string_view text, std::size_t columns) {
  std::vector<std::string> lines;
  std::string line;
  const auto put = [&](std::string_view word) {
    while (Columns(word) > columns) {
      if (!line.empty()) lines.push_back(std::exchange(line, {}));
      std::size_t end = 0;
      for (std::size_t shown = 0; shown < columns; ++shown) {
        ++end;
        while (end < word.size() && Continues(word[end])) ++end;
      }
      lines.emplace_back(word.substr(0, end));
      word.remove_prefix(end);
    }
    if (!line.empty() && Columns(line) + 1 + Columns(word) > columns)
      lines.push_back(std::exchange(line, {}));
    if (!line.empty()) line += ' ';
    line += word;
  };
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    if (end > 0) put(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (!line.empty() || lines.empty()) lines.push_back(std::move(line));
  return lines;
}

// The values in at most `lines_max` lines; those that do not fit are counted.
std::vector<std::string> FieldLines(const std::vector<std::string>& values, std::size_t lines_max) {
  const std::size_t columns = kPlanColumns - kNameColumns;
  for (std::size_t shown = values.size(); shown > 0; --shown) {
    std::string text;
    for (std::size_t i = 0; i < shown; ++i) text += (i > 0 ? "; " : "") + values[i];
    if (shown < values.size()) text += fmt::format("; and {} more", values.size() - shown);
    auto lines = Wrapped(text, columns);
    if (lines.size() <= lines_max) return lines;
    if (shown > 2 * lines_max * columns) shown = 2 * lines_max * columns;  // a value has a letter
  }
  const std::string more =
      values.size() > 1 ? fmt::format(" ... and {} more", values.size() - 1) : " ...";
  auto lines = Wrapped(values.front(), columns - more.size());
  lines.resize(std::min(lines.size(), lines_max));
  lines.back() += more;
  return lines;
}

std::string TextOf(const std::vector<PlanField>& plan, std::size_t field_lines_max,
                   std::size_t* line_count) {
  std::string text;
  *line_count = 0;
  for (const PlanField& field : plan) {
    std::string name = field.name;
    for (const std::string& line : FieldLines(field.values, field_lines_max)) {
      text += fmt::format("{:<{}}{}\n", name, kNameColumns, line);
      name.clear();
      ++*line_count;
    }
  }
  return text;
}

}  // namespace

std::vector<PlanField> Plan(const study::Submission& submission, const study::Study& study,
                            const PlanFacts& facts) {
  return PlanMaker(submission, study, facts).Make();
}

std::string ToText(const std::vector<PlanField>& plan) {
  std::string text;
  for (const std::size_t field_lines_max : {4U, 3U, 2U, 1U}) {
    std::size_t lines = 0;
    text = TextOf(plan, field_lines_max, &lines);
    if (lines <= kPlanLinesMax) break;
  }
  return text;
}

std::string ToJson(const std::vector<PlanField>& plan) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const PlanField& field : plan) json[field.name] = field.values;
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::vector<std::string> Difference(const std::vector<PlanField>& before,
                                    const std::vector<PlanField>& after) {
  const auto values = [](const std::vector<PlanField>& plan, const std::string& name) {
    const auto found = std::find_if(plan.begin(), plan.end(),
                                    [&](const PlanField& field) { return field.name == name; });
    return found == plan.end() ? std::vector<std::string>{} : found->values;
  };
  std::vector<std::string> names;
  for (const auto* plan : {&after, &before}) {
    for (const PlanField& field : *plan) {
      if (!Contains(names, field.name)) names.push_back(field.name);
    }
  }
  std::vector<std::string> changes;
  for (const std::string& name : names) {
    if (name == "submission") continue;  // always another
    const std::vector<std::string> was = values(before, name), is = values(after, name);
    if (was == is) continue;
    if (was.size() <= 1 && is.size() <= 1) {
      changes.push_back(fmt::format("{}: was {}, is {}", name, was.empty() ? "absent" : was.front(),
                                    is.empty() ? "absent" : is.front()));
      continue;
    }
    std::vector<std::string> parts;
    for (const std::string& value : is) {
      if (!Contains(was, value)) parts.push_back("+ " + value);
    }
    for (const std::string& value : was) {
      if (!Contains(is, value)) parts.push_back("- " + value);
    }
    if (parts.empty()) parts.emplace_back("the same in another order");
    changes.push_back(fmt::format("{}: {}", name, fmt::join(parts, ", ")));
  }
  return changes;
}

// ---- approval -----------------------------------------------------------------------------------

std::vector<Objection> Objections(const study::Submission& submission, const study::Study& study,
                                  const PlanFacts& facts, const Approver& approver) {
  std::vector<Objection> objections;
  const auto object = [&](GateRule rule, std::string sentence, std::string accept = {}) {
    objections.push_back({rule, std::move(sentence), std::move(accept)});
  };
  const SitePolicy& policy = facts.policy;
  if (!approver.person) {
    const Digest key = submission.lead_key.fingerprint();
    if (policy.approve == SitePolicy::Approve::kAsk) {
      object(GateRule::kStudyNotApproved,
             "this site's policy is 'approve: ask': a person decides about every study");
    } else if (std::find(policy.leads.begin(), policy.leads.end(), key) == policy.leads.end()) {
      object(GateRule::kStudyNotApproved,
             fmt::format("the lead {} signed with key {}, which is not among policy.leads",
                         PlainText(submission.lead), Hex(key)));
    }
  }
  const auto here = submission.members.find(facts.site);
  if (here == submission.members.end()) {
    object(GateRule::kUnknownMember, fmt::format("this site, {}, is not in the study", facts.site));
  } else if (facts.keys && here->second != *facts.keys) {
    object(GateRule::kKeyNotPinned,
           fmt::format("the study pins other keys for {} ({}) than this site has ({}); the lead "
                       "must submit it again with the keys of the register",
                       facts.site, Hex(FingerprintOf(here->second)).substr(0, 16),
                       Hex(FingerprintOf(*facts.keys)).substr(0, 16)));
  }
  const bool is_public = study.policy == study::Policy::kPublicData;
  if (is_public && !policy.allow_public_data) {
    object(GateRule::kPolicyNotApproved,
           "the study says 'policy: public-data', which sets disclosure rules aside; this site's "
           "policy.allow_public_data is false");
  }
  const int sites_min = is_public ? 2 : std::max(kMinSitesPrivate, policy.min_sites);
  if (study.privacy.min_sites < sites_min) {
    object(GateRule::kMinSites,
           fmt::format("the study adds over at least {} sites, this site asks for {}",
                       study.privacy.min_sites, sites_min));
  }
  const int cell_min = is_public ? 1 : policy.min_cell;
  if (study.privacy.min_cell < cell_min) {
    object(GateRule::kCellTooSmall,
           fmt::format("the study shows counts from {} rows on, this site asks for {}",
                       study.privacy.min_cell, cell_min));
  }
  if (!study.privacy.masks && !is_public)
    object(GateRule::kNotMasked, "the study switches masks off");
  const auto asks = [&](bool asked, bool allowed, const char* accept, GateRule rule,
                        const char* sentence) {
    const bool accepted = approver.person ? approver.accepts.contains(accept) || allowed : allowed;
    if (asked && !accepted) object(rule, sentence, accept);
  };
  asks(!study.privacy.strict_curvature, policy.allow_fast_curvature, "fast-curvature",
       GateRule::kFastNotApproved,
       "the study lifts the bound on cross-products ('curvature: fast')");
  asks(study.quorum.then == "restart-without", policy.allow_restart_without, "restart-without",
       GateRule::kRestartNotApproved,
       "the study may start over without a site that leaves; the difference of totals tells that "
       "site's sums");
  asks(study.design == study::Design::kLeaveOneCenterOut, policy.allow_leave_one_center_out,
       "leave-one-center-out", GateRule::kNoConsent,
       "the study leaves one center out in turn; differences of totals tell this hospital's own "
       "sums");
  return objections;
}

Result<Approval> ApprovalFor(const study::Submission& submission, const study::Study& study,
                             const PlanFacts& facts, const Approver& approver,
                             std::int64_t unix_ms) {
  const std::vector<Objection> objections = Objections(submission, study, facts, approver);
  if (!objections.empty()) {
    std::vector<std::string> lines;
    for (const Objection& one : objections)
      lines.push_back(fmt::format("{}: {}", Name(one.rule), one.sentence));
    return Fail(ErrorCode::kPermissionDenied, fmt::format("{}", fmt::join(lines, "\n")));
  }
  Approval approval = AcceptAll(study, submission.members);
  // Patterns, until the columns are resolved: AtColumns.
  approval.columns.clear();
  for (const study::FeatureGroup& group : study.groups)
    approval.columns.insert(approval.columns.end(), group.include.begin(), group.include.end());
  const std::vector<std::string> covariates = study::CovariateColumns(study);
  approval.columns.insert(approval.columns.end(), covariates.begin(), covariates.end());
  approval.columns.push_back(study.outcome);
  approval.unix_ms = unix_ms;
  return approval;
}

Approval AtColumns(Approval approval, const study::Study& resolved) {
  approval.columns = study::StepColumns(resolved);
  approval.columns.push_back(resolved.outcome);
  return approval;
}

}  // namespace consilium::site_agent
