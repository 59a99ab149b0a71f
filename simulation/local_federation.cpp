#include "simulation/local_federation.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <thread>
#include <utility>

#include "base/linear_algebra.h"
#include "coordinator/study_run.h"
#include "federation/sum_shares.h"
#include "federation/sum_tag.h"
#include "study/program.h"
#include "study/study_file.h"

namespace consilium::simulation {
namespace {

using coordinator::ArrivedAnswer;
using coordinator::StudyRun;
using site_agent::RoundAnswer;
using site_agent::RoundQuestion;
using site_agent::Site;
using site_agent::SiteIdentity;

// Calls work(i) for i in [0, count) on `threads` threads; every i once, results by place.
void InParallel(std::size_t count, int threads, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) work(i);
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < threads && static_cast<std::size_t>(t) < count; ++t) pool.emplace_back(loop);
  loop();
  for (std::thread& thread : pool) thread.join();
}

struct Federation {
  std::vector<std::unique_ptr<site_agent::Ledger>> ledgers;
  std::vector<std::unique_ptr<site_agent::Gate>> gates;
  std::vector<std::unique_ptr<Site>> sites;
};

Result<Federation> JoinAll(const study::Study& study, const study::Engine& engine,
                           std::map<std::string, LocalSite> cohorts,
                           std::map<std::string, SiteIdentity> identities,
                           const federation::Roster& roster, const federation::SumKey& sum_key) {
  std::map<std::string, federation::SiteKeys> keys;
  for (const auto& [name, identity] : identities) keys[name] = identity.public_keys();
  const site_agent::Approval approval = site_agent::AcceptAll(study, keys);
  site_agent::SiteSettings settings;
  settings.allow_public_data = study.policy == study::Policy::kPublicData;
  Federation federation;
  for (auto& [name, site] : cohorts) {
    federation.ledgers.push_back(std::make_unique<site_agent::Ledger>(name));
    federation.gates.push_back(
        std::make_unique<site_agent::Gate>(settings, *federation.ledgers.back()));
    auto joined = Site::Join(study, engine, std::move(identities.at(name)), std::move(site.cohort),
                             roster, approval, *federation.gates.back());
    CONSILIUM_TRY(joined);
    (*joined)->SetSumKey(sum_key);
    federation.sites.push_back(std::move(*joined));
  }
  return federation;
}

// What sites and the verification have seen when a log is resumed.
Result<void> Catch(std::span<const std::uint8_t> log, study::StudyReplay& verification,
                   std::vector<std::unique_ptr<Site>>& sites) {
  federation::LogReader reader(log);
  CONSILIUM_TRY(reader.Header());
  while (!reader.AtEnd()) {
    const auto entry = reader.Next();
    CONSILIUM_TRY(entry);
    for (auto& site : sites) CONSILIUM_TRY(site->Rederive(verification.queries()));
    CONSILIUM_TRY(verification.Deliver(entry->total, entry->releases));
  }
  return {};
}

}  // namespace

std::map<std::string, SiteIdentity> LocalIdentities(const study::Study& study,
                                                    const std::map<std::string, LocalSite>& sites) {
  std::map<std::string, SiteIdentity> identities;
  for (const auto& [name, site] : sites) {
    SiteIdentity identity = site_agent::IdentityFromSeed(name, study.seed);
    if (!site.secret.empty()) identity.secret = site.secret;
    identities.emplace(name, std::move(identity));
  }
  return identities;
}

federation::Roster LocalMembers(const study::Study& study,
                                const std::map<std::string, SiteIdentity>& identities) {
  federation::Roster members;
  for (const std::string& site : study.sites) {
    const auto found = identities.find(site);
    if (found != identities.end()) members[site] = found->second.public_keys();
  }
  return members;
}

federation::SumKey LocalSumKey(const std::string& study_file, const federation::Roster& members,
                               const federation::Roster& roster,
                               const std::map<std::string, SiteIdentity>& identities) {
  const Digest context = federation::SumContext(study_file, members);
  std::map<std::string, federation::KeyBytes> shares;
  for (const auto& [site, keys] : roster)
    shares[site] = federation::SumShareOf(identities.at(site).agreement, context);
  return federation::SumKey::Of(shares);
}

federation::Roster LocalRoster(const study::Study& study,
                               const std::map<std::string, SiteIdentity>& identities) {
  federation::Roster roster;
  for (const std::string& site : study::TrainingCenters(study)) {
    const auto found = identities.find(site);
    if (found != identities.end()) roster[site] = found->second.public_keys();
  }
  return roster;
}

Result<LocalOutcome> RunLocally(const study::Study& study, const std::string& study_file,
                                std::map<std::string, LocalSite> cohorts, federation::LogSink& log,
                                const LocalOptions& options, const Bytes& resume) {
  PinLinearAlgebra();
  for (const std::string& site : study.sites) {
    if (!cohorts.contains(site))
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format(
              "site {}: the study names it, but it has no cohort; give --site {}=COHORT.yaml", site,
              site));
  }
  const study::Engine engine = study::MakeEngine();
  std::map<std::string, SiteIdentity> identities = LocalIdentities(study, cohorts);
  const federation::Roster members = LocalMembers(study, identities);
  const federation::Roster roster = LocalRoster(study, identities);
  const federation::SumKey sum_key = LocalSumKey(study_file, members, roster, identities);
  auto federation =
      JoinAll(study, engine, std::move(cohorts), std::move(identities), roster, sum_key);
  CONSILIUM_TRY(federation);
  std::vector<std::unique_ptr<Site>>& sites = federation->sites;
  const auto once = [rest = std::span<const std::uint8_t>(resume)]() mutable
      -> Result<std::span<const std::uint8_t>> { return std::exchange(rest, {}); };
  auto run = resume.empty() ? StudyRun::Begin(study, study_file, engine, members, log)
                            : StudyRun::Resume(study, engine, members, once, log);
  CONSILIUM_TRY(run);
  study::StudyReplay verification(study, engine);
  if (!resume.empty()) CONSILIUM_TRY(Catch(resume, verification, sites));

  // The largest hospital begins, so that no thread waits long for the last one.
  std::vector<std::size_t> largest_first(sites.size());
  std::iota(largest_first.begin(), largest_first.end(), std::size_t{0});
  std::stable_sort(largest_first.begin(), largest_first.end(), [&](std::size_t a, std::size_t b) {
    return sites[a]->cohort().row_count() > sites[b]->cohort().row_count();
  });
  Progress progress;
  while (!(*run)->done()) {
    RoundQuestion question{(*run)->binding(), (*run)->replay().queries(), roster};
    progress.round = question.binding.round;
    progress.queries = question.queries.size();
    std::set<std::string> fits;
    for (const auto& query : question.queries) fits.insert(query.scope.fit);
    progress.fits = fits.size();
    progress.doing = study::WhatIsAsked(question.queries);
    std::vector<std::optional<Result<RoundAnswer>>> answered(sites.size());
    InParallel(sites.size(), options.threads, [&](std::size_t k) {
      const std::size_t i = largest_first[k];
      answered[i].emplace(sites[i]->Answer(question, verification));
    });
    std::map<std::string, ArrivedAnswer> answers;
    for (std::size_t i = 0; i < sites.size(); ++i) {
      Result<RoundAnswer>& one = *answered[i];
      if (!one) return tl::unexpected<Error>(one.error());
      if (roster.contains(sites[i]->name())) progress.bytes_up = sites[i]->bytes_up();
      if (!(*run)->IsAsked(sites[i]->name())) continue;
      if (options.keep_answer && !one->words.empty()) {
        CONSILIUM_TRY(options.keep_answer(progress.round, sites[i]->name(), one->words));
      }
      answers[sites[i]->name()] = {std::move(one->words), std::move(one->receipt),
                                   std::move(one->releases)};
    }
    // The coordinator's computation and the sites' verification of it: the same totals, side by
    // side.
    const auto add = (*run)->Prepare(answers);
    if (!add) return tl::unexpected<Error>(add.error());
    answers.clear();
    CONSILIUM_TRY(sum_key.Check(question.binding, federation::TagsOf((*run)->last_entry(), roster),
                                verification.layout(), (*run)->last_entry().total));
    std::future<Result<void>> verified;
    const federation::LogEntry& entry = (*run)->last_entry();
    const auto verify = [&] { return verification.Deliver(entry.total, entry.releases); };
    if (options.threads > 1) verified = std::async(std::launch::async, verify);
    const Result<void> advanced = (*run)->Advance();
    const Result<void> checked = options.threads > 1 ? verified.get() : verify();
    CONSILIUM_TRY(advanced);
    CONSILIUM_TRY(checked);
    for (auto& site : sites) CONSILIUM_TRY(site->TotalReceived(question, *add));
    if (options.progress) options.progress(progress);
  }
  LocalOutcome outcome;
  auto results = (*run)->Take();
  CONSILIUM_TRY(results);
  outcome.results = std::move(*results);
  for (const auto& gate : federation->gates) {
    if (const auto ended = gate->EndStudy(study.digest, "finished"); !ended)
      return tl::unexpected<Error>(ended.error().ToError());
  }
  for (const auto& site : sites) {
    std::string& lines = outcome.ledgers[site->name()];
    for (const auto& record : site->ledger().records()) lines += site_agent::ToLine(record) + "\n";
  }
  return outcome;
}

}  // namespace consilium::simulation
