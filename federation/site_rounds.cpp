#include "federation/site_rounds.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace consilium::federation {
namespace {

std::set<std::string> Names(const Roster& roster) {
  std::set<std::string> names;
  for (const auto& [name, keys] : roster) names.insert(name);
  return names;
}

Error At(const SiteRules& rules, const Binding& binding, Error error) {
  return Within(
      fmt::format("site '{}', round {}, attempt {}", rules.site, binding.round, binding.attempt),
      std::move(error));
}

}  // namespace

Result<void> SiteRounds::CheckRoster(const Asked& asked) const {
  const auto denied = [](std::string message) {
    return Fail(ErrorCode::kPermissionDenied, std::move(message));
  };
  const std::set<std::string> full = Names(rules_.roster);
  Roster named;
  for (const std::string& site : asked.sites) {
    const auto found = rules_.roster.find(site);
    if (found == rules_.roster.end()) {
      return denied(
          fmt::format("roster: '{}' is not a training site of the signed study; these are {}", site,
                      fmt::join(full, ", ")));
    }
    named.insert(*found);
  }
  if (full.contains(rules_.site) && !asked.sites.contains(rules_.site)) {
    return denied(fmt::format("roster: this site is asked but not in it; it names {}",
                              fmt::join(asked.sites, ", ")));
  }
  if (static_cast<int>(asked.sites.size()) < rules_.min_sites) {
    return denied(fmt::format("roster: {} sites, a sum needs min_sites = {}", asked.sites.size(),
                              rules_.min_sites));
  }
  if (DigestOf(named) != asked.binding.roster) {
    return denied(
        fmt::format("roster: hash {}, but the named sites with the study's keys have {}; "
                    "another key was put in for a site",
                    Hex(asked.binding.roster), Hex(DigestOf(named))));
  }
  const bool same_attempt = asked.binding.attempt == attempt_;
  if (asked.binding.attempt == 0 && asked.sites != full) {
    return denied(
        fmt::format("roster: the first attempt is made by all training sites: {}; this one "
                    "names {}",
                    fmt::join(full, ", "), fmt::join(asked.sites, ", ")));
  }
  if (same_attempt && !sites_.empty() && asked.sites != sites_) {
    return denied(
        fmt::format("roster: this attempt is made by {}, not by {}; one attempt has one "
                    "roster",
                    fmt::join(sites_, ", "), fmt::join(asked.sites, ", ")));
  }
  if (asked.binding.attempt == 0 || (same_attempt && !sites_.empty())) return {};
  const std::set<std::string>& before = sites_.empty() ? full : sites_;
  if (asked.sites.size() >= before.size() ||
      !std::includes(before.begin(), before.end(), asked.sites.begin(), asked.sites.end())) {
    return denied(fmt::format("roster: a new attempt is made by fewer of {}; this one names {}",
                              fmt::join(before, ", "), fmt::join(asked.sites, ", ")));
  }
  if (!MayGoOn(rules_.quorum, asked.sites, full.size())) {
    return denied(
        fmt::format("roster: the quorum contract (then = {}, minimum = {}, required: {}) does "
                    "not allow an attempt with {} only",
                    Name(rules_.quorum.then), rules_.quorum.minimum,
                    fmt::join(rules_.quorum.required, ", "), fmt::join(asked.sites, ", ")));
  }
  return {};
}

Result<SiteRounds::Reply> SiteRounds::Check(const Asked& asked) const {
  const Binding& binding = asked.binding;
  const auto refuse = [&](ErrorCode code, std::string message) {
    return tl::unexpected<Error>(At(rules_, binding, {code, std::move(message)}));
  };
  if (binding.study != rules_.study) {
    return refuse(ErrorCode::kPermissionDenied, fmt::format("study {} is not the approved one, {}",
                                                            Hex(binding.study), Hex(rules_.study)));
  }
  if (const auto answered = answered_.find({binding.attempt, binding.round});
      answered != answered_.end()) {
    if (answered->second == binding && asked.sites == sites_) return Reply::kResend;
    const bool other_query = answered->second.query != binding.query;
    if (binding.attempt == attempt_) {
      return refuse(ErrorCode::kAlreadyExists,
                    fmt::format("answered already, for {}; a round is answered once",
                                other_query ? "another query" : "another roster"));
    }
  }
  if (binding.attempt < attempt_) {
    return refuse(ErrorCode::kFailedPrecondition,
                  fmt::format("this attempt is over; attempt {} has begun", attempt_));
  }
  if (auto roster = CheckRoster(asked); !roster) {
    return tl::unexpected<Error>(At(rules_, binding, std::move(roster).error()));
  }
  const std::uint64_t next = binding.attempt == attempt_ ? next_round_ : 0;
  if (binding.round != next) {
    return refuse(ErrorCode::kFailedPrecondition,
                  fmt::format("the next round of this attempt is {}; send the totals before {}",
                              next, binding.round));
  }
  if (binding.query != asked.expected_query) {
    return refuse(
        ErrorCode::kPermissionDenied,
        fmt::format("query {} does not follow from the study and its totals, {} does; the "
                    "coordinator, its engine or a total was changed",
                    Hex(binding.query), Hex(asked.expected_query)));
  }
  if (const auto known = roster_of_query_.find(binding.query);
      known != roster_of_query_.end() && known->second != binding.roster) {
    return refuse(ErrorCode::kPermissionDenied,
                  "this query was answered under another roster; the difference of the two totals "
                  "would disclose a site");
  }
  return Reply::kAnswer;
}

void SiteRounds::Record(const Asked& asked) {
  const auto reply = Check(asked);
  CONSILIUM_CHECK(reply.has_value(), reply ? "" : reply.error().message);
  const Binding& binding = asked.binding;
  if (binding.attempt != attempt_) next_round_ = 0;
  attempt_ = binding.attempt;
  sites_ = asked.sites;
  answered_.emplace(Key{binding.attempt, binding.round}, binding);
  roster_of_query_.emplace(binding.query, binding.roster);
}

Result<bool> SiteRounds::Check(const Binding& binding, const Digest& total) const {
  const auto refuse = [&](ErrorCode code, std::string message) {
    return tl::unexpected<Error>(At(rules_, binding, {code, std::move(message)}));
  };
  const Key key{binding.attempt, binding.round};
  if (const auto held = totals_.find(key); held != totals_.end()) {
    if (held->second == total) return false;
    return refuse(
        ErrorCode::kAlreadyExists,
        fmt::format("total {} arrived, {} is held; a round has one total, stop and ask the "
                    "coordinator",
                    Hex(total), Hex(held->second)));
  }
  if (binding.study != rules_.study) {
    return refuse(ErrorCode::kPermissionDenied, "the total is of another study");
  }
  if (binding.attempt < attempt_) {
    return refuse(
        ErrorCode::kFailedPrecondition,
        fmt::format("the total is of an attempt that is over; attempt {} has begun", attempt_));
  }
  const auto answered = answered_.find(key);
  if (rules_.roster.contains(rules_.site) &&
      (answered == answered_.end() || answered->second != binding)) {
    return refuse(ErrorCode::kPermissionDenied,
                  answered == answered_.end()
                      ? "a total without this site's answer; it is in the roster and was not asked"
                      : "the total is of another query or roster than this site answered");
  }
  const std::uint64_t next = binding.attempt == attempt_ ? next_round_ : 0;
  if (binding.round != next) {
    return refuse(ErrorCode::kFailedPrecondition,
                  fmt::format("the next total of this attempt is that of round {}", next));
  }
  return true;
}

void SiteRounds::Accept(const Binding& binding, const Digest& total) {
  const auto fresh = Check(binding, total);
  CONSILIUM_CHECK(fresh.has_value(), fresh ? "" : fresh.error().message);
  if (!*fresh) return;
  attempt_ = binding.attempt;
  next_round_ = binding.round + 1;
  totals_.emplace(Key{binding.attempt, binding.round}, total);
}

}  // namespace consilium::federation
