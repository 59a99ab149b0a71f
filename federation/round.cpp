#include "federation/round.h"

#include <fmt/format.h>

#include <algorithm>

namespace consilium::federation {

Round::Round(QuorumContract contract, std::int64_t remind_ms)
    : contract_(std::move(contract)), remind_ms_(remind_ms) {
  CONSILIUM_CHECK(remind_ms >= 1, "remind_ms must be >= 1");
}

std::vector<Action> Round::On(const Event& event) {
  return std::visit(
      [this](const auto& one) -> std::vector<Action> {
        using One = std::decay_t<decltype(one)>;
        if (std::is_same_v<One, Opened> != (phase_ == Phase::kNew)) return {};
        return Handle(one);
      },
      event);
}

// A clock that runs backwards adds no waiting time.
void Round::Advance(std::int64_t now_ms) {
  waited_ms_ += std::max<std::int64_t>(0, now_ms - now_ms_);
  now_ms_ = now_ms;
}

std::vector<Action> Round::Handle(const Opened& event) {
  phase_ = Phase::kGathering;
  binding_ = event.binding;
  sum_bytes_ = event.sum_bytes;
  training_count_ = event.training_count == 0 ? event.training.size() : event.training_count;
  now_ms_ = event.now_ms;
  std::vector<Action> actions;
  for (const std::string& site : event.training) sites_[site];
  for (const std::string& site : event.reporting) {
    const auto [at, fresh] = sites_.try_emplace(site);
    CONSILIUM_CHECK(fresh, "a site is in the roster or reports, not both: its answer carries both");
    at->second.reporting = true;
  }
  CONSILIUM_CHECK(!sites_.empty(), "a round has sites");
  for (const auto& [name, site] : sites_) actions.emplace_back(Remind{name});
  return actions;
}

std::optional<Reject> Round::Refusal(const Receipt& receipt) const {
  const auto refuse = [&](ErrorCode code, std::string_view reason) {
    return Reject{receipt.site, code,
                  fmt::format("answer of site '{}' to round {}, attempt {}: {}", receipt.site,
                              receipt.binding.round, receipt.binding.attempt, reason)};
  };
  const auto site = sites_.find(receipt.site);
  if (site == sites_.end()) {
    return refuse(ErrorCode::kPermissionDenied, "the site is not asked in this round");
  }
  const Binding& found = receipt.binding;
  if (found.study != binding_.study) {
    return refuse(ErrorCode::kFailedPrecondition, "it belongs to another study");
  }
  if (found.attempt != binding_.attempt || found.round != binding_.round) {
    return refuse(ErrorCode::kFailedPrecondition,
                  fmt::format("open is round {}, attempt {}; wait to be asked", binding_.round,
                              binding_.attempt));
  }
  if (found.query != binding_.query) {
    return refuse(ErrorCode::kFailedPrecondition,
                  "it answers another query; the totals before it differ, or the engine does");
  }
  if (found.roster != binding_.roster) {
    return refuse(ErrorCode::kFailedPrecondition, "it was masked for another roster");
  }
  const std::uint64_t expected = site->second.reporting ? 0 : sum_bytes_;
  if (receipt.answer_bytes != expected) {
    return refuse(ErrorCode::kInvalidArgument,
                  fmt::format("{} bytes of words, the query's layout has {}", receipt.answer_bytes,
                              expected));
  }
  const auto held = receipts_.find(receipt.site);
  if (held != receipts_.end()) {
    if (held->second == receipt) return std::nullopt;
    const bool words = held->second.answer != receipt.answer;
    const bool releases = held->second.releases != receipt.releases;
    const Digest& later = words || !releases ? receipt.answer : receipt.releases;
    const Digest& first = words || !releases ? held->second.answer : held->second.releases;
    return refuse(
        ErrorCode::kAlreadyExists,
        fmt::format("conflict: digest {} came after {}{}; the first one counts, ask the site "
                    "why it answers twice",
                    Hex(later), Hex(first),
                    words      ? ""
                    : releases ? " for its Releases"
                               : ", with another tag or signature"));
  }
  if (phase_ == Phase::kEnding || phase_ == Phase::kEnded) {
    return refuse(ErrorCode::kFailedPrecondition, "the attempt has ended: " + why_);
  }
  if (phase_ != Phase::kGathering) {
    return refuse(ErrorCode::kFailedPrecondition,
                  "the total is made; the site was reported as missing");
  }
  return std::nullopt;
}

std::vector<Action> Round::Handle(const AnswerArrived& event) {
  Advance(event.now_ms);
  if (auto refusal = Refusal(event.receipt)) return {std::move(*refusal)};
  Site& site = sites_.at(event.receipt.site);
  site.seen_ms = waited_ms_;
  std::vector<Action> actions = {Acknowledge{event.receipt.site}};
  if (receipts_.try_emplace(event.receipt.site, event.receipt).second) {
    site.left = false;
    Settle(actions);
  }
  return actions;
}

std::vector<Action> Round::Handle(const SiteSeen& event) {
  Advance(event.now_ms);
  if (const auto site = sites_.find(event.site); site != sites_.end()) {
    site->second.seen_ms = waited_ms_;
    site->second.doing = event.doing;
  }
  return {};
}

std::vector<Action> Round::Handle(const SiteLeft& event) {
  Advance(event.now_ms);
  const auto site = sites_.find(event.site);
  if (site == sites_.end() || site->second.left) return {};
  site->second.left = true;
  site->second.left_why = event.why;
  if (!site->second.reporting) leave_ms_ = waited_ms_;
  std::vector<Action> actions;
  Settle(actions);
  return actions;
}

std::vector<Action> Round::Handle(const ClockStepped& event) {
  now_ms_ = event.now_ms;
  return {};
}

std::vector<Action> Round::Handle(const Tick& event) {
  Advance(event.now_ms);
  std::vector<Action> actions;
  Settle(actions);
  if (phase_ != Phase::kGathering) return actions;
  for (auto& [name, site] : sites_) {
    if (receipts_.contains(name) || site.left || waited_ms_ - site.reminded_ms < remind_ms_)
      continue;
    site.reminded_ms = waited_ms_;
    actions.emplace_back(Remind{name});
  }
  return actions;
}

std::vector<Action> Round::Handle(const TotalLogged&) {
  if (phase_ != Phase::kLogging) return {};
  phase_ = Phase::kPublished;
  return {Publish{}};
}

std::vector<Action> Round::Handle(const AttemptEndLogged&) {
  if (phase_ != Phase::kEnding) return {};
  phase_ = Phase::kEnded;
  if (survivors_.empty()) return {Stop{why_}};
  return {Restart{binding_.attempt + 1, survivors_}};
}

QuorumView Round::View(std::int64_t waited_ms) const {
  QuorumView view;
  for (const auto& [name, site] : sites_) {
    if (site.reporting) continue;
    view.roster.insert(name);
    if (receipts_.contains(name)) view.answered.insert(name);
    if (site.left) view.left.insert(name);
  }
  view.training_count = training_count_;
  view.waited_ms = waited_ms;
  if (minimum_ms_) view.since_minimum_ms = waited_ms - *minimum_ms_;
  if (leave_ms_) view.since_leave_ms = waited_ms - *leave_ms_;
  return view;
}

// Decides whether the round is over, one way or the other.
void Round::Settle(std::vector<Action>& actions) {
  if (phase_ != Phase::kGathering) return;
  QuorumView view = View(waited_ms_);
  const std::size_t minimum =
      contract_.minimum == 0 ? training_count_ : static_cast<std::size_t>(contract_.minimum);
  const auto required_answered = [&](const std::string& site) {
    return view.answered.contains(site);
  };
  if (!minimum_ms_ && view.answered.size() >= minimum &&
      std::all_of(contract_.required.begin(), contract_.required.end(), required_answered)) {
    minimum_ms_ = waited_ms_;
    view.since_minimum_ms = 0;
  }
  QuorumDecision decision = Decide(contract_, view);
  if (decision.kind == QuorumDecision::Kind::kWait) return;
  if (decision.kind != QuorumDecision::Kind::kComplete) {
    phase_ = Phase::kEnding;
    write_began_ms_ = waited_ms_;
    why_ = std::move(decision.why);
    survivors_ = std::move(decision.survivors);
    actions.emplace_back(EndAttempt{why_, survivors_});
    return;
  }
  AppendTotal total{view.roster, {}};
  std::set<std::string> missing;
  for (const auto& [name, site] : sites_) {
    if (!site.reporting) continue;
    if (receipts_.contains(name)) {
      total.reported.insert(name);
    } else if (site.left || waited_ms_ >= contract_.deadline_ms) {
      missing.insert(name);
    } else {
      return;
    }
  }
  phase_ = Phase::kLogging;
  write_began_ms_ = waited_ms_;
  missing_ = std::move(missing);
  if (!missing_.empty()) actions.emplace_back(ReportMissing{missing_});
  actions.emplace_back(std::move(total));
}

std::vector<Wait> Round::Waits(std::int64_t now_ms) const {
  const std::int64_t waited_ms = waited_ms_ + std::max<std::int64_t>(0, now_ms - now_ms_);
  if (phase_ == Phase::kLogging || phase_ == Phase::kEnding) {
    const bool total = phase_ == Phase::kLogging;
    return {{"coordinator disk", total ? "writing the total" : "writing the end of the attempt",
             waited_ms - write_began_ms_, std::nullopt, std::nullopt,
             total ? "the total is published" : "the attempt is over"}};
  }
  if (phase_ != Phase::kGathering) return {};
  const QuorumDecision decision = Decide(contract_, View(waited_ms));
  std::vector<Wait> waits;
  for (const auto& [name, site] : sites_) {
    if (receipts_.contains(name)) continue;
    Wait wait;
    wait.owner = name;
    wait.reason = site.left             ? "left for good: " + site.left_why
                  : !site.doing.empty() ? site.doing
                                        : "no answer yet";
    wait.waited_ms = waited_ms;
    if (site.seen_ms) wait.seen_ms_ago = waited_ms - *site.seen_ms;
    if (site.reporting) {
      wait.left_ms = std::max<std::int64_t>(0, contract_.deadline_ms - waited_ms);
      wait.then = "the round closes and the center is reported as missing";
    } else if (decision.kind == QuorumDecision::Kind::kWait) {
      wait.left_ms = decision.next_ms;
      wait.then = decision.why;
    } else {
      wait.left_ms = 0;  // the next tick carries it out
      wait.then = decision.why;
    }
    waits.push_back(std::move(wait));
  }
  return waits;
}

}  // namespace consilium::federation
