// A whole federation in one process, over the same contract as the network: the coordinator half,
// one Site a hospital with gate and ledger, masks, receipts and the log. What it computes has the
// same bits as the networked run.
//
// The query verification that every site makes, and its check of each total by the sites' tags, are
// computed once for all of them (it is the same computation from the same totals). Threads: the
// sites of a round answer side by side; the coordinator's computation and the verification advance
// side by side. No result depends on the number of threads.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "federation/cohort.h"
#include "federation/log.h"
#include "site_agent/site.h"
#include "study/results.h"
#include "study/study.h"

namespace consilium::simulation {

struct Progress {
  std::uint64_t round = 0;
  std::size_t queries = 0;     // asked in this round
  std::size_t fits = 0;        // distinct fits among them
  std::uint64_t bytes_up = 0;  // words that one training center has sent so far
  std::string doing;           // "fitting the lasso", "scoring", ...
};

// Keeps one training center's masked words, for an audit that adds them again.
using KeepAnswer =
    std::function<Result<void>(std::uint64_t round, const std::string& site, const Bytes& words)>;

struct LocalOptions {
  int threads = 2;
  std::function<void(const Progress&)> progress;  // after each round
  KeepAnswer keep_answer;                         // before the round's total is logged; optional
};

// A site of the simulation: its cohort and, if the cohort file wrote one, its secret.
struct LocalSite {
  federation::Cohort cohort;
  Bytes secret;  // empty: derived from the study's seed and the site's name
};

struct LocalOutcome {
  study::Results results;                      // complete: rounds, bytes and equations filled in
  std::map<std::string, std::string> ledgers;  // by site: one JSON record a line
  std::uint64_t log_bytes = 0;
};

// Identities of the study's sites in a simulation: from the study's seed.
[[nodiscard]] std::map<std::string, site_agent::SiteIdentity> LocalIdentities(
    const study::Study& study, const std::map<std::string, LocalSite>& sites);
// All sites of the study with their keys, and those of them that train.
[[nodiscard]] federation::Roster LocalMembers(
    const study::Study& study, const std::map<std::string, site_agent::SiteIdentity>& identities);
[[nodiscard]] federation::Roster LocalRoster(
    const study::Study& study, const std::map<std::string, site_agent::SiteIdentity>& identities);

// The sum key of these training centers, made from their secrets at once instead of from seals.
[[nodiscard]] federation::SumKey LocalSumKey(
    const std::string& study_file, const federation::Roster& members,
    const federation::Roster& roster,
    const std::map<std::string, site_agent::SiteIdentity>& identities);

// Runs `study` (resolved) to its end; `resume`: the bytes of a log that an earlier run left (empty:
// begin). Errors: a site's refusal (names the site and the rule), a step's error, the log's.
[[nodiscard]] Result<LocalOutcome> RunLocally(const study::Study& study,
                                              const std::string& study_file,
                                              std::map<std::string, LocalSite> sites,
                                              federation::LogSink& log, const LocalOptions& options,
                                              const Bytes& resume = {});

}  // namespace consilium::simulation
