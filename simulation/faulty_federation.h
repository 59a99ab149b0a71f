// A coordinator and its sites through several rounds, on one virtual clock, with every fault we
// know.
//
// The parts under test are the real ones: fixed-point words, masks, sum tags, receipts,
// federation/round.h and federation/site_rounds.h. Only the edge is simulated: network, disk,
// clock, crash and restart (each process is rebuilt from its own log). Until `heals_ms` faults
// happen, then none. Everything follows from the scenario and its seed, so a failing seed is a test
// case.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "federation/keys.h"
#include "federation/masks.h"
#include "federation/quorum.h"
#include "federation/receipt.h"
#include "federation/sum_tag.h"
#include "simulation/faulty_network.h"

namespace consilium::simulation {

// Keys of up to eight sites ("S0".."S7"), made once for many simulations.
class KeyRing {
 public:
  static constexpr int kSitesMax = 8;
  KeyRing();
  [[nodiscard]] federation::Roster RosterOf(const std::set<std::string>& sites) const;
  [[nodiscard]] const federation::SigningKey& signing(const std::string& site) const;
  [[nodiscard]] const federation::Masker& masker(const std::string& site) const;  // of all eight
  [[nodiscard]] federation::SumKey SumKeyOf(const std::set<std::string>& sites) const;

 private:
  std::map<std::string, federation::SigningKey> signing_;
  std::map<std::string, federation::Masker> maskers_;
  std::map<std::string, federation::KeyBytes> shares_;
  federation::Roster roster_;
};

enum class Lie {
  kNone,
  kSiteAnswersTwice,        // S1 signs two answers for each round
  kCoordinatorAsksAnew,     // the coordinator also asks under other rosters, altered queries, and
                            // sends other totals for rounds that have one
  kCoordinatorEquivocates,  // the coordinator tells S1 another first total than the others
  kCoordinatorForges,       // the coordinator logs and tells all sites another second total
};

struct Scenario {
  int site_count = 4;  // 3 to 8
  int round_count = 3;
  int min_sites = 3;
  federation::QuorumContract quorum;
  NetworkFaults network;
  double crashes_per_minute = 0;      // of each process, until the network heals
  std::int64_t down_ms_max = 8'000;   // from a crash to the restart
  std::int64_t disk_ms_max = 20;      // a write takes 1 to this many
  double clock_steps_per_minute = 0;  // of the coordinator's clock, up to an hour either way
  Lie lie = Lie::kNone;
  std::optional<std::string> leaver;  // leaves for good at leaves_ms
  std::int64_t leaves_ms = 0;
  bool leave_is_announced = false;  // a person tells the coordinator ten seconds later
};

// A scenario with everything drawn from the seed; about a third have no lie and nobody who leaves.
[[nodiscard]] Scenario DrawScenario(std::uint64_t seed);

struct FederationReport {
  enum class Outcome {
    kPublished,  // every round has its total, and every site of the roster that is alive holds it
    kStopped,    // the contract ended the study
    kWaiting,    // neither, long after the network healed; `waits` says for whom
  };
  Outcome outcome = Outcome::kWaiting;
  std::vector<std::string> violations;  // of safety, in words; must be empty
  std::vector<std::string>
      refusals;                  // what sites refused, and what the coordinator rejected, in words
  std::set<std::string> waits;   // owners
  std::set<std::string> roster;  // of the last attempt
  std::uint32_t attempt = 0;     // the last one
  std::uint64_t published = 0;   // rounds of the last attempt
  std::uint64_t messages = 0, crashes = 0, clock_steps = 0, false_questions = 0;
  std::int64_t ended_ms = 0;  // virtual
  Digest trace;               // of everything that happened, in order
};

[[nodiscard]] FederationReport Simulate(const Scenario& scenario, std::uint64_t seed,
                                        const KeyRing& keys);

// What the scenario must come to, from the report's side: "" or what is wrong. Liveness, and that
// nobody was left out against the contract.
[[nodiscard]] std::string Judge(const Scenario& scenario, const FederationReport& report);

}  // namespace consilium::simulation
