#include "federation/quorum.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace consilium::federation {
namespace {

using Kind = QuorumDecision::Kind;

std::set<std::string> Without(const std::set<std::string>& sites,
                              const std::set<std::string>& others) {
  std::set<std::string> rest;
  std::set_difference(sites.begin(), sites.end(), others.begin(), others.end(),
                      std::inserter(rest, rest.end()));
  return rest;
}

std::size_t Minimum(const QuorumContract& contract, std::size_t training_count) {
  return contract.minimum == 0 ? training_count : static_cast<std::size_t>(contract.minimum);
}

// `gone` will not answer: start over without them if the contract allows it.
QuorumDecision EndWithout(const QuorumContract& contract, const QuorumView& view,
                          const std::set<std::string>& gone, std::string_view what) {
  auto survivors = Without(view.roster, gone);
  if (MayGoOn(contract, survivors, view.training_count)) {
    return {
        Kind::kRestartWithout, std::move(survivors), std::nullopt,
        fmt::format("{}: {}; a new attempt starts over without them", what, fmt::join(gone, ", "))};
  }
  return {
      Kind::kAbort,
      {},
      std::nullopt,
      fmt::format("{}: {}; the contract asks for {} sites{}{}, so the study ends", what,
                  fmt::join(gone, ", "), Minimum(contract, view.training_count),
                  contract.required.empty() ? "" : " with ", fmt::join(contract.required, ", "))};
}

}  // namespace

std::string_view Name(QuorumThen then) {
  switch (then) {
    case QuorumThen::kWait:
      return "wait";
    case QuorumThen::kAbort:
      return "abort";
    case QuorumThen::kRestartWithout:
      return "restart-without";
  }
  return "";
}

Result<QuorumThen> ParseQuorumThen(std::string_view word) {
  for (const QuorumThen then :
       {QuorumThen::kWait, QuorumThen::kAbort, QuorumThen::kRestartWithout}) {
    if (word == Name(then)) return then;
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("quorum.then = '{}', must be wait, abort or restart-without", word));
}

Result<void> Validate(const QuorumContract& contract, const std::set<std::string>& training,
                      int min_sites) {
  const auto refuse = [](std::string message) {
    return Fail(ErrorCode::kInvalidArgument, "quorum: " + std::move(message));
  };
  const int count = static_cast<int>(training.size());
  if (count < min_sites) {
    return refuse(fmt::format("{} training sites, the privacy settings ask for {} or more", count,
                              min_sites));
  }
  std::set<std::string> required;
  for (const std::string& site : contract.required) {
    if (!training.contains(site)) {
      return refuse(fmt::format("required site '{}' is not a training site; these are {}", site,
                                fmt::join(training, ", ")));
    }
    if (!required.insert(site).second) {
      return refuse(fmt::format("required site '{}' stands twice; keep one", site));
    }
  }
  if (contract.minimum < 0 || contract.minimum > count) {
    return refuse(fmt::format("minimum = {}, must be 0 (all) or at most {}, the training sites",
                              contract.minimum, count));
  }
  const int minimum = static_cast<int>(Minimum(contract, training.size()));
  if (minimum < min_sites) {
    return refuse(
        fmt::format("minimum = {} is below min_sites = {}: sites would refuse such a round; "
                    "raise it",
                    minimum, min_sites));
  }
  if (minimum < static_cast<int>(required.size())) {
    return refuse(fmt::format("minimum = {}, but {} sites are required; raise it to {} or more",
                              minimum, required.size(), required.size()));
  }
  if (contract.grace_ms < 0) {
    return refuse(fmt::format("grace = {} ms, must be >= 0", contract.grace_ms));
  }
  if (contract.deadline_ms < 1) {
    return refuse(fmt::format("deadline = {} ms, must be >= 1", contract.deadline_ms));
  }
  if (contract.then == QuorumThen::kRestartWithout) {
    if (contract.grace_ms > contract.deadline_ms) {
      return refuse(
          fmt::format("grace = {} ms is longer than deadline = {} ms: it could never run out",
                      contract.grace_ms, contract.deadline_ms));
    }
    if (minimum == count || static_cast<int>(required.size()) == count) {
      return refuse(
          fmt::format("then = restart-without, but all {} training sites must stay; lower "
                      "minimum and shorten required, or choose wait or abort",
                      count));
    }
  } else if (minimum != count) {
    return refuse(
        fmt::format("minimum = {} of {} sites has no effect with then = {}; use 0, or then = "
                    "restart-without",
                    minimum, count, Name(contract.then)));
  }
  return {};
}

bool MayGoOn(const QuorumContract& contract, const std::set<std::string>& sites,
             std::size_t training_count) {
  return contract.then == QuorumThen::kRestartWithout && !sites.empty() &&
         sites.size() >= Minimum(contract, training_count) &&
         std::all_of(contract.required.begin(), contract.required.end(),
                     [&](const std::string& site) { return sites.contains(site); });
}

QuorumDecision Decide(const QuorumContract& contract, const QuorumView& view) {
  const auto silent = Without(view.roster, view.answered);
  if (silent.empty())
    return {Kind::kComplete, {}, std::nullopt, "every site of the roster answered"};
  const auto present = Without(silent, view.left);
  const auto gone = Without(silent, present);
  const std::int64_t deadline_in = contract.deadline_ms - view.waited_ms;

  if (contract.then == QuorumThen::kWait) {
    return {Kind::kWait,
            {},
            std::nullopt,
            gone.empty() ? "nothing: the contract says wait"
                         : "nothing: the contract says wait; the lead may end the study"};
  }
  if (contract.then == QuorumThen::kAbort) {
    if (!gone.empty()) {
      return {Kind::kAbort,
              {},
              std::nullopt,
              fmt::format("left: {}; the contract says abort", fmt::join(gone, ", "))};
    }
    if (deadline_in <= 0) {
      return {Kind::kAbort,
              {},
              std::nullopt,
              fmt::format("silent at the deadline: {}; the contract says abort",
                          fmt::join(silent, ", "))};
    }
    return {Kind::kWait, {}, deadline_in, "the study ends (contract: abort)"};
  }

  if (deadline_in <= 0) return EndWithout(contract, view, silent, "silent at the deadline");
  if (gone.empty()) {
    return {
        Kind::kWait,
        {},
        deadline_in,
        "the attempt ends; a new one starts over without the silent sites, or the study ends if "
        "too few are left"};
  }
  QuorumDecision end = EndWithout(contract, view, gone, "left");
  if (end.kind == Kind::kAbort) return end;  // waiting cannot help
  if (!view.since_minimum_ms || !view.since_leave_ms) {
    return {Kind::kWait,
            {},
            deadline_in,
            "the attempt ends; before that, once enough sites answered and the grace is over"};
  }
  const std::int64_t grace_in =
      contract.grace_ms - std::min(*view.since_minimum_ms, *view.since_leave_ms);
  if (grace_in <= 0) return end;
  return {Kind::kWait,
          {},
          std::min(grace_in, deadline_in),
          "the attempt ends and a new one starts over without the sites that left"};
}

}  // namespace consilium::federation
