#include "coordinator/guard.h"

#include <fmt/format.h>

#include <algorithm>

namespace consilium::coordinator {
namespace {

// Makes room in a map of bounded size: what was heard of longest ago goes first.
template <typename Map, typename When>
void MakeRoom(Map& map, When when) {
  if (map.size() < kCallersMax) return;
  auto oldest = map.end();
  for (auto it = map.begin(); it != map.end(); ++it) {
    const auto at = when(it->second);
    if (at && (oldest == map.end() || *at < *when(oldest->second))) oldest = it;
  }
  if (oldest != map.end()) map.erase(oldest);
}

}  // namespace

std::string Printable(std::string_view text, std::size_t most) {
  std::string line(text.substr(0, most));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  if (text.size() > most) line += "...";
  return line;
}

std::optional<std::string> Guard::Refuse(std::string_view kind, std::string_view who,
                                         std::string_view why, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  ++refused_[std::string(kind)];
  const std::pair key{std::string(kind), Printable(who, kToldBytesMax)};
  if (!telling_.contains(key))
    MakeRoom(telling_, [](const Telling& one) { return std::optional(one.said_ms); });
  Telling& telling = telling_[key];
  const bool quiet = telling.said >= kToldAtOnce && now_ms - telling.said_ms < kToldEachMs;
  if (quiet) {
    ++telling.untold;
    return std::nullopt;
  }
  std::string line =
      fmt::format("refused ({}): {}: {}", kind, key.second, Printable(why, kToldBytesMax));
  if (telling.untold > 0) line += fmt::format(" (and {} more like it)", telling.untold);
  ++telling.said;
  telling.untold = 0;
  telling.said_ms = now_ms;
  return line;
}

std::map<std::string, std::uint64_t> Guard::Refused() const {
  const std::lock_guard lock(mutex_);
  return refused_;
}

Guard::Caller& Guard::Find(std::string_view caller, std::int64_t now_ms) {
  auto found = callers_.find(caller);
  if (found == callers_.end()) {
    MakeRoom(callers_, [](const Caller& one) {
      return one.open > 0 ? std::nullopt : std::optional(one.heard_ms);
    });
    found = callers_.emplace(caller, Caller{}).first;
    found->second.heard_ms = now_ms;
  }
  Caller& one = found->second;
  // Whole milliseconds only count once they are paid out.
  const std::int64_t back = (now_ms - one.heard_ms) * kPointsPerSecond / 1000;
  if (back > 0) {
    one.points = std::min(kPointsMax, one.points + back);
    one.heard_ms = now_ms;
  }
  return one;
}

Result<void> Guard::Spend(std::string_view caller, std::int64_t cost, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  Caller& one = Find(caller, now_ms);
  if (one.points < cost) {
    one.points = 0;  // who floods does not go on with cheaper messages
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{} asks faster than this coordinator answers one member ({} points a "
                            "second, {} at rest); slow down",
                            caller, kPointsPerSecond, kPointsMax));
  }
  one.points -= cost;
  return {};
}

Result<void> Guard::Enter(std::string_view caller, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  Caller& one = Find(caller, now_ms);
  if (one.open >= kOpenCallsMax) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{} has {} calls open, which is the most of one member; end one first",
                            caller, kOpenCallsMax));
  }
  ++one.open;
  return {};
}

void Guard::Leave(std::string_view caller) {
  const std::lock_guard lock(mutex_);
  const auto found = callers_.find(caller);
  if (found != callers_.end() && found->second.open > 0) --found->second.open;
}

std::size_t Guard::remembered() const {
  const std::lock_guard lock(mutex_);
  return std::max(callers_.size(), telling_.size());
}

}  // namespace consilium::coordinator
