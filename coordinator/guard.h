// What one caller may ask for at a time, and how often a refusal is told.
//
// Whoever connects is bounded by name: calls that are open at once, and points that come back with
// time and that every message costs. A refusal is counted always and told in the log a few times,
// then now and then with the number of those that were not told, so that whoever is refused cannot
// fill a disk with it. Memory is bounded: beyond kCallersMax names the longest unheard is
// forgotten. Thread-safe; time is an argument, in monotonic milliseconds. Knows no gRPC.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace consilium::coordinator {

inline constexpr int kOpenCallsMax = 16;            // of one member
inline constexpr std::int64_t kPointsMax = 20'000;  // of one member, at rest
inline constexpr std::int64_t kPointsPerSecond = 5'000;
inline constexpr std::size_t kCallersMax = 4'096;    // names that are remembered
inline constexpr int kToldAtOnce = 20;               // lines of one kind and name, then
inline constexpr std::int64_t kToldEachMs = 10'000;  // one in so long
inline constexpr std::size_t kToldBytesMax = 500;

// Points. A round costs a site two messages and an answer; who floods is refused within seconds.
inline constexpr std::int64_t kMessageCost = 1;
inline constexpr std::int64_t kAnswerCost = 5;     // one call of Submit
inline constexpr std::int64_t kCallCost = 100;     // any other call
inline constexpr std::int64_t kWriteCost = 500;    // what makes the coordinator sign or write
inline constexpr std::int64_t kRefusedCost = 200;  // more, for what was refused

// One line of at most `most` bytes, whatever `text` was made of.
[[nodiscard]] std::string Printable(std::string_view text, std::size_t most);

class Guard {
 public:
  // One more refusal of `kind` ("tls.version", "call", ...: a fixed vocabulary) of `who`. The line
  // for the log, printable and of bounded length; nothing when enough was said of these.
  [[nodiscard]] std::optional<std::string> Refuse(std::string_view kind, std::string_view who,
                                                  std::string_view why, std::int64_t now_ms);
  // How often each kind was refused.
  [[nodiscard]] std::map<std::string, std::uint64_t> Refused() const;

  // Takes `cost` points from `caller`. Errors: kResourceExhausted (it has none left: says how many
  // come back).
  [[nodiscard]] Result<void> Spend(std::string_view caller, std::int64_t cost, std::int64_t now_ms);
  // One more open call of `caller`, until Leave. Errors: kResourceExhausted (too many are open).
  [[nodiscard]] Result<void> Enter(std::string_view caller, std::int64_t now_ms);
  void Leave(std::string_view caller);
  // Names that are remembered; for tests of the bound.
  [[nodiscard]] std::size_t remembered() const;

 private:
  struct Caller {
    int open = 0;
    std::int64_t points = kPointsMax;
    std::int64_t heard_ms = 0;
  };
  struct Telling {
    int said = 0;
    std::uint64_t untold = 0;
    std::int64_t said_ms = 0;
  };
  Caller& Find(std::string_view caller, std::int64_t now_ms);
  mutable std::mutex mutex_;
  std::map<std::string, Caller, std::less<>> callers_;
  std::map<std::pair<std::string, std::string>, Telling> telling_;  // by kind and name
  std::map<std::string, std::uint64_t> refused_;
};

}  // namespace consilium::coordinator
