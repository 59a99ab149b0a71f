// One round of one attempt, the coordinator's half, as a pure state machine: events in, actions
// out.
//
//   gathering -> logging -> published         all training sites answered; the log has the total
//   gathering -> ending  -> ended             the contract ends the attempt; the log has its end
//
// Two rules are the reason for its shape. A total is published only after the log has it. A total
// is made of the whole roster or not at all: masks do not cancel otherwise, and two totals that
// differ by one site would disclose that site's sums. A silent training site is therefore waited
// for; if the contract says so (quorum.h) the attempt ends and Restart names the smaller roster of
// the next one, which starts over from its first round. Reporting sites (held-out centers, whose
// Releases are not summed) may be missing: they are reported so after the deadline. The machine has
// no clock, no socket and no disk. The edge carries out actions in the order given, and feeds back
// what the disk did. Drawn in docs/protocol.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "federation/quorum.h"
#include "federation/receipt.h"

namespace consilium::federation {

// --- Events. now_ms comes from one monotonic clock of the edge; it may jump only if told.
struct Opened {
  Binding binding;
  std::set<std::string> training;   // the roster of the masks: all of them, or no total
  std::set<std::string> reporting;  // other sites that are asked for Releases
  std::uint64_t sum_bytes = 0;      // of every training site's words; a reporting site sends none
  std::size_t training_count = 0;   // of the study; 0: as many as `training`
  std::int64_t now_ms = 0;
};
struct AnswerArrived {
  Receipt receipt;  // verified against its site's key, and words and Releases against it
  std::int64_t now_ms = 0;
};
struct SiteSeen {  // a sign of life
  std::string site;
  std::string doing;  // "extracting, 41/120 cases"; shown in Waits
  std::int64_t now_ms = 0;
};
struct SiteLeft {  // for good: withdrawn, revoked, or said so; an answer from it undoes this
  std::string site;
  std::string why;
  std::int64_t now_ms = 0;
};
struct ClockStepped {  // the clock went from whatever it was to now_ms: no waiting time passed
  std::int64_t now_ms = 0;
};
struct Tick {
  std::int64_t now_ms = 0;
};
struct TotalLogged {};       // what AppendTotal asked for is on disk
struct AttemptEndLogged {};  // what EndAttempt asked for is on disk
using Event = std::variant<Opened, AnswerArrived, SiteSeen, SiteLeft, ClockStepped, Tick,
                           TotalLogged, AttemptEndLogged>;

// --- Actions, to be carried out in order.
struct Remind {  // send the query (again); the first one is the question itself
  std::string site;
};
struct Acknowledge {  // the answer is held; a resend is answered again
  std::string site;
};
struct Reject {  // kAlreadyExists: another answer of this site is held; the conflict is for people
  std::string site;
  ErrorCode code;
  std::string reason;
};
struct ReportMissing {  // final for this round; stands in the entry that AppendTotal makes
  std::set<std::string> sites;
};
struct AppendTotal {  // add these sites' words, write the entry durably, then feed TotalLogged
  std::set<std::string> summed;
  std::set<std::string> reported;
};
struct Publish {};   // send the logged total to everyone
struct EndAttempt {  // write durably that the attempt is over, and why; then feed AttemptEndLogged
  std::string why;
  std::set<std::string> survivors;  // the next roster; empty: the study ends
};
struct Restart {  // open attempt `attempt` from its first round with this roster
  std::uint32_t attempt;
  std::set<std::string> roster;
};
struct Stop {  // the study is over without a result
  std::string why;
};
using Action = std::variant<Remind, Acknowledge, Reject, ReportMissing, AppendTotal, Publish,
                            EndAttempt, Restart, Stop>;

// Who or what the round waits for. The owner is a site, or "coordinator disk".
struct Wait {
  std::string owner;
  std::string reason;
  std::int64_t waited_ms = 0;               // since the round opened, or the write began
  std::optional<std::int64_t> seen_ms_ago;  // the last sign of life; none: not yet
  std::optional<std::int64_t> left_ms;      // the countdown; none: time alone changes nothing
  std::string then;                         // what happens when it has run out
};

class Round {
 public:
  enum class Phase { kNew, kGathering, kLogging, kPublished, kEnding, kEnded };

  // `contract` was validated with the study. A site is asked again every `remind_ms` (at least 1).
  explicit Round(QuorumContract contract, std::int64_t remind_ms = 10'000);

  // Every event may arrive twice or late. Before Opened, and for a second Opened, nothing happens.
  [[nodiscard]] std::vector<Action> On(const Event& event);

  // One for each thing that the round waits for now, sites first, by name.
  [[nodiscard]] std::vector<Wait> Waits(std::int64_t now_ms) const;

  [[nodiscard]] Phase phase() const { return phase_; }
  // The receipts that are held, by site: what the log entry carries.
  [[nodiscard]] const std::map<std::string, Receipt>& receipts() const { return receipts_; }
  [[nodiscard]] const std::set<std::string>& missing() const { return missing_; }

 private:
  struct Site {
    bool reporting = false;
    bool left = false;
    std::string left_why;
    std::string doing;
    std::optional<std::int64_t> seen_ms;  // waiting time, as all below
    std::int64_t reminded_ms = 0;
  };
  std::vector<Action> Handle(const Opened& event);
  std::vector<Action> Handle(const AnswerArrived& event);
  std::vector<Action> Handle(const SiteSeen& event);
  std::vector<Action> Handle(const SiteLeft& event);
  std::vector<Action> Handle(const ClockStepped& event);
  std::vector<Action> Handle(const Tick& event);
  std::vector<Action> Handle(const TotalLogged& event);
  std::vector<Action> Handle(const AttemptEndLogged& event);
  void Advance(std::int64_t now_ms);
  [[nodiscard]] std::optional<Reject> Refusal(const Receipt& receipt) const;
  [[nodiscard]] QuorumView View(std::int64_t waited_ms) const;
  void Settle(std::vector<Action>& actions);

  QuorumContract contract_;
  std::int64_t remind_ms_;
  Phase phase_ = Phase::kNew;
  Binding binding_;
  std::uint64_t sum_bytes_ = 0;
  std::size_t training_count_ = 0;
  std::map<std::string, Site> sites_;
  std::map<std::string, Receipt> receipts_;
  std::set<std::string> missing_;
  std::set<std::string> survivors_;
  std::string why_;
  std::int64_t now_ms_ = 0;     // the edge's clock at the last event
  std::int64_t waited_ms_ = 0;  // waiting time since Opened
  std::int64_t write_began_ms_ = 0;
  std::optional<std::int64_t> minimum_ms_, leave_ms_;
};

}  // namespace consilium::federation
