#include "tests/fault/attacks/attack_federation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/portable_math.h"
#include "base/rng.h"
#include "coordinator/report_json.h"
#include "federation/sum_shares.h"
#include "study/study_file.h"

namespace consilium::attacks {
namespace {

using federation::Cohort;
using federation::Query;
using federation::Roster;
using site_agent::RoundAnswer;
using site_agent::RoundQuestion;

const std::vector<std::string>& AllSites() {
  static const std::vector<std::string> kSites = {"A", "B", "C", "D", "E"};
  return kSites;
}

constexpr int kFeatures = 6;
const char kStudyFile[] = "name: attacked";

int RowsOf(const std::string& site) { return 36 + 3 * (site[0] - 'A'); }

}  // namespace

study::Study MakeStudy(const StudyOptions& options) {
  const std::string yaml = fmt::format(
      R"(name: {}
title: Hospitals under attack
seed: 11
policy: {}
sites: {}
outcome: event
event: recurrence within two years
patient: patient
variables:
  age: {{kind: continuous, unit: years}}
features:
  radiomics: {{include: ["f*"]}}
feature_sets:
  combined: [radiomics, age]
harmonizations: {}
models:
  lasso: {{lambda: min, lambda_count: 20, feature_sets: [combined]}}
folds: {{count: {}}}
{}
privacy: {{min_sites: {}, min_cell: {}, curvature: {}, masks: {}}}
)",
      options.name, options.policy, options.sites, options.harmonizations, options.folds,
      options.design, options.min_sites, options.min_cell, options.curvature, options.masks);
  const auto parsed = study::ParseStudy(yaml, options.name + ".yaml");
  CONSILIUM_CHECK(parsed.has_value(), parsed ? "" : parsed.error().message);
  std::vector<std::string> header;
  for (int j = 0; j < kFeatures; ++j) header.push_back(fmt::format("f{}", j));
  auto resolved = study::ResolveFeatures(*parsed, header);
  CONSILIUM_CHECK(resolved.has_value(), resolved ? "" : resolved.error().message);
  return std::move(*resolved);
}

Cohort MakeCohort(const std::string& site, int rows, int folds) {
  Rng rng(2026, "attacked cohort " + site);
  Cohort cohort;
  cohort.site = site;
  for (int j = 0; j < kFeatures; ++j) cohort.feature_names.push_back(fmt::format("f{}", j));
  cohort.covariate_names = {"age"};
  cohort.features.resize(rows, kFeatures);
  cohort.covariates.resize(rows, 1);
  cohort.outcome.resize(rows);
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < kFeatures; ++j) {
      cohort.features(i, j) = (j + 1) * (rng.Normal() + 0.2 * (site[0] - 'A'));
    }
    cohort.covariates(i, 0) = 60 + 9 * rng.Normal();
    const double eta =
        cohort.features(i, 0) - 0.4 * cohort.features(i, 1) + 0.05 * (cohort.covariates(i, 0) - 60);
    cohort.outcome(i) = rng.Uniform() < Expit(eta) ? 1 : 0;
    cohort.patient.push_back(i);
    cohort.patient_ids.push_back(fmt::format("patient-{}-{:03}", site, i));
    cohort.fold.push_back(i % folds + 1);
  }
  cohort.flow = {{"found", rows}, {"used", rows}};
  return cohort;
}

std::map<std::string, Cohort> MakeCohorts(int folds) {
  std::map<std::string, Cohort> cohorts;
  for (const std::string& site : AllSites()) cohorts[site] = MakeCohort(site, RowsOf(site), folds);
  return cohorts;
}

Cohort WithoutRows(const Cohort& cohort, const std::vector<int>& gone) {
  Cohort left = cohort;
  std::vector<int> kept;
  for (int i = 0; i < static_cast<int>(cohort.row_count()); ++i) {
    if (!std::binary_search(gone.begin(), gone.end(), i)) kept.push_back(i);
  }
  left.features = cohort.features(kept, Eigen::all);
  left.covariates = cohort.covariates(kept, Eigen::all);
  left.outcome = cohort.outcome(kept);
  left.patient.clear();
  left.fold.clear();
  for (const int i : kept) {
    left.patient.push_back(cohort.patient[static_cast<std::size_t>(i)]);
    left.fold.push_back(cohort.fold[static_cast<std::size_t>(i)]);
  }
  const auto count = static_cast<std::int64_t>(kept.size());
  left.flow = {{"found", count}, {"used", count}};
  return left;
}

Ledgers NewLedgers() {
  Ledgers ledgers;
  for (const std::string& site : AllSites()) {
    ledgers[site] = std::make_unique<site_agent::Ledger>(site);
  }
  return ledgers;
}

site_agent::SiteIdentity IdentityOf(const std::string& site) {
  return site_agent::IdentityFromSeed(site, 77);
}

Roster RosterOf(const std::vector<std::string>& sites) {
  Roster roster;
  for (const std::string& site : sites) roster[site] = IdentityOf(site).public_keys();
  return roster;
}

federation::SumKey SumKeyOf(const study::Study& study) {
  const Digest context = federation::SumContext(kStudyFile, RosterOf(study.sites));
  std::map<std::string, federation::KeyBytes> shares;
  for (const std::string& site : study::TrainingCenters(study))
    shares[site] = federation::SumShareOf(IdentityOf(site).agreement, context);
  return federation::SumKey::Of(shares);
}

site_agent::Approval ApprovalOf(const study::Study& study) {
  return site_agent::AcceptAll(study, RosterOf(study.sites));
}

site_agent::SiteSettings SettingsOf(const study::Study& study) {
  site_agent::SiteSettings settings;
  settings.allow_public_data = study.policy == study::Policy::kPublicData;
  return settings;
}

Federation::Federation(const study::Study& study, std::map<std::string, Cohort> cohorts,
                       Ledgers& ledgers, Gates* gates)
    : study_(study),
      engine_(study::MakeEngine()),
      ledgers_(ledgers),
      roster_(RosterOf(study::TrainingCenters(study))) {
  for (const std::string& site : study_.sites) {
    auto& gate = (gates == nullptr ? own_gates_ : *gates)[site];
    if (!gate) gate = std::make_unique<site_agent::Gate>(SettingsOf(study_), *ledgers_.at(site));
    auto joined =
        site_agent::Site::Join(study_, engine_, IdentityOf(site), std::move(cohorts.at(site)),
                               roster_, ApprovalOf(study_), *gate);
    CONSILIUM_CHECK(joined.has_value(), joined ? "" : joined.error().message);
    (*joined)->SetSumKey(SumKeyOf(study_));
    sites_[site] = std::move(*joined);
  }
  auto run =
      coordinator::StudyRun::Begin(study_, kStudyFile, engine_, RosterOf(study_.sites), log_);
  CONSILIUM_CHECK(run.has_value(), "a log in memory takes its header");
  run_ = std::move(*run);
  verification_ = std::make_unique<study::StudyReplay>(study_, engine_);
}

RoundQuestion Federation::Honest() const {
  return {run_->binding(), run_->replay().queries(), roster_};
}

std::string Federation::steps() const {
  std::set<std::string> names;
  for (const Query& query : run_->replay().queries()) names.insert(query.step);
  return fmt::format("{}", fmt::join(names, ","));
}

Result<RoundAnswer> Federation::Ask(const std::string& site, const RoundQuestion& question) {
  return sites_.at(site)->Answer(question, *verification_);
}

Result<void> Federation::Advance() {
  const RoundQuestion question = Honest();
  asked_.push_back(question);
  std::map<std::string, coordinator::ArrivedAnswer> answers;
  for (const auto& [name, site] : sites_) {
    auto answer = site->Answer(question, *verification_);
    CONSILIUM_TRY(answer);
    Outgoing& out = outgoing_[name];
    out.words.insert(out.words.end(), answer->words.begin(), answer->words.end());
    for (const auto& [query, release] : answer->releases) {
      for (const federation::Block& block : release.blocks) {
        out.releases.insert(out.releases.end(), block.values.data(),
                            block.values.data() + block.values.size());
      }
    }
    ByteWriter writer;
    federation::Encode(answer->receipt, writer);
    out.receipts.insert(out.receipts.end(), writer.bytes().begin(), writer.bytes().end());
    if (!run_->IsAsked(name)) continue;
    answers[name] = {std::move(answer->words), std::move(answer->receipt),
                     std::move(answer->releases)};
  }
  const auto total = run_->Prepare(answers);
  CONSILIUM_TRY(total);
  CONSILIUM_TRY(verification_->Deliver(run_->last_entry().total, run_->last_entry().releases));
  CONSILIUM_TRY(run_->Advance());
  for (const auto& [name, site] : sites_) CONSILIUM_TRY(site->TotalReceived(question, *total));
  return {};
}

Result<void> Federation::AdvanceTo(std::string_view step) {
  while (!done() && steps().find(step) == std::string::npos) CONSILIUM_TRY(Advance());
  return {};
}

Result<std::string> Federation::Finish() {
  while (!done()) CONSILIUM_TRY(Advance());
  const auto results = run_->Take();
  CONSILIUM_TRY(results);
  return coordinator::ReportJson(*results);
}

RoundQuestion Rebound(RoundQuestion question) {
  question.binding.query = federation::DigestOf(question.queries);
  question.binding.roster = federation::DigestOf(question.roster);
  return question;
}

}  // namespace consilium::attacks
