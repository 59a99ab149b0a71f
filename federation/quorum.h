// The quorum contract: who must answer, how many may be missing, how long anyone waits, what then.
//
// It stands in the signed study, so every site approved it before anything was asked. A masked
// total exists for the whole roster or not at all; the contract therefore never shrinks a round. It
// decides when an attempt ends and whether a new one may start over without the sites that are
// gone.
//   wait             silent sites are waited for without end; a person may end the study
//   abort            a site that left, or silence at the deadline, ends the study
//   restart-without  the attempt ends and a new one starts over without them, if all required sites
//   and
//                    at least `minimum` stay; otherwise the study ends
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace consilium::federation {

enum class QuorumThen { kWait, kAbort, kRestartWithout };

// "wait", "abort", "restart-without".
[[nodiscard]] std::string_view Name(QuorumThen then);
// Errors: kInvalidArgument (another word; names the three).
[[nodiscard]] Result<QuorumThen> ParseQuorumThen(std::string_view word);

struct QuorumContract {
  std::vector<std::string> required;  // sites without which no result is wanted; may be empty
  int minimum = 0;                    // smallest roster that may go on; 0: every training site
  std::int64_t grace_ms = 30'000;     // from the last leave, or from `minimum` answers if later, to
                                      // the restart: several that leave together make one restart
  std::int64_t deadline_ms =
      86'400'000;  // of one round, from its opening; sites silent then count as gone
  QuorumThen then = QuorumThen::kWait;
  friend bool operator==(const QuorumContract&, const QuorumContract&) = default;
};

// Names the violated relation: required sites unknown or twice, minimum beyond the roster or below
// min_sites or below the number of required sites, times out of order, `restart-without` where
// nobody could be left out, a minimum that could never be used. Errors: kInvalidArgument.
[[nodiscard]] Result<void> Validate(const QuorumContract& contract,
                                    const std::set<std::string>& training, int min_sites);

// Whether a roster of these sites may go on under the contract. `training` is the full study's.
[[nodiscard]] bool MayGoOn(const QuorumContract& contract, const std::set<std::string>& sites,
                           std::size_t training_count);

// What is known of one round. Durations are waiting time: clock steps do not count.
struct QuorumView {
  std::set<std::string> roster;                  // training sites of this attempt
  std::set<std::string> answered;                // of these
  std::set<std::string> left;                    // gone for good, as far as anybody said
  std::size_t training_count = 0;                // of the study, before any restart
  std::int64_t waited_ms = 0;                    // since the round opened
  std::optional<std::int64_t> since_minimum_ms;  // since `minimum` sites had answered
  std::optional<std::int64_t> since_leave_ms;    // since the last leave
};

struct QuorumDecision {
  enum class Kind { kComplete, kWait, kRestartWithout, kAbort };
  Kind kind = Kind::kWait;
  std::set<std::string> survivors;      // kRestartWithout: the next roster
  std::optional<std::int64_t> next_ms;  // kWait: until time alone changes the decision; none: never
  std::string why;                      // what happened, or (kWait) what happens at next_ms
};

// Pure: the same view, the same decision. An answer that arrived counts even if its site left
// later.
[[nodiscard]] QuorumDecision Decide(const QuorumContract& contract, const QuorumView& view);

}  // namespace consilium::federation
