// The rounds of one study, the site's half, as pure rules: what may be answered, and which total
// counts.
//
// A site trusts its own replay and the signed study, not the coordinator. It answers only the query
// that follows from the totals it holds, once, under the roster that the study and its quorum
// contract allow, and it takes one total a round. What it answered and held stands in its own log;
// feeding that log back in through Record and Accept after a crash gives the same state. A site
// outside the roster (a held-out center) follows the totals by the same rules and may be asked
// without being named.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "base/result.h"
#include "federation/quorum.h"
#include "federation/receipt.h"

namespace consilium::federation {

struct SiteRules {
  std::string site;
  Digest study;
  Roster roster;  // all training sites, with keys, from the signed study
  QuorumContract quorum;
  int min_sites = 3;
};

struct Asked {
  Binding binding;
  std::set<std::string> sites;  // the roster that the coordinator names
  Digest expected_query;        // of the site's own replay for (binding.attempt, binding.round)
};

class SiteRounds {
 public:
  enum class Reply { kAnswer, kResend };

  explicit SiteRounds(SiteRules rules) : rules_(std::move(rules)) {}

  // May this be answered? kAnswer: for the first time: write it to the ledger, call Record, then
  // send. kResend: it was; send the same bytes again. Nothing is changed. Errors name the site, the
  // round and the rule. kPermissionDenied: another study; this site is not named; a roster the
  // contract does not allow, or below min_sites, or with other keys; a query that is not the one
  // that follows; one query under two rosters. kAlreadyExists: this round was answered for another
  // query or roster. kFailedPrecondition: an attempt or round that is over, or one whose earlier
  // totals are not held yet (ask for them).
  [[nodiscard]] Result<Reply> Check(const Asked& asked) const;
  // The answer stands in the ledger. Aborts if Check would refuse it.
  void Record(const Asked& asked);

  // May this total be taken? true: new, write it and call Accept; false: held already.
  // Errors: kAlreadyExists (another total is held for the round: the coordinator, or somebody
  // between, says two things), kFailedPrecondition (an attempt that is over, or earlier totals are
  // missing), kPermissionDenied (a training site answered this round under another binding, or not
  // at all).
  [[nodiscard]] Result<bool> Check(const Binding& binding, const Digest& total) const;
  // The total stands in the site's log. Aborts if Check would refuse it.
  void Accept(const Binding& binding, const Digest& total);

  // Where the site stands: the attempt it answered last, and the first round without a total there.
  [[nodiscard]] std::uint32_t attempt() const { return attempt_; }
  [[nodiscard]] std::uint64_t next_round() const { return next_round_; }

 private:
  using Key = std::pair<std::uint32_t, std::uint64_t>;  // attempt, round
  [[nodiscard]] Result<void> CheckRoster(const Asked& asked) const;
  SiteRules rules_;
  std::uint32_t attempt_ = 0;
  std::uint64_t next_round_ = 0;
  std::map<Key, Binding> answered_;
  std::map<Digest, Digest> roster_of_query_;
  std::map<Key, Digest> totals_;
  std::set<std::string> sites_;  // of the last attempt answered; empty: none yet
};

}  // namespace consilium::federation
