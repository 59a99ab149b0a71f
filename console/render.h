// What people see of members and studies, as text: tables, one study, the block that `study watch`
// redraws.
//
// Pure: messages and times in, text out. Names and sentences that come over the network are shown
// without control characters, so that nobody writes to another's terminal. Times are unix
// milliseconds; durations milliseconds. Text is UTF-8; a column is one code point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "federation/wire/wire.h"
#include "program/progress.h"

namespace consilium::v1 {  // protoc's, from proto/consilium/v1/consilium.proto
class StudyLine;
class StudyStatus;
class WaitLine;
}  // namespace consilium::v1

namespace consilium::console {

// ---- pieces -------------------------------------------------------------------------------------
// "1.2 MB", "34 MB".
[[nodiscard]] std::string Megabytes(std::uint64_t bytes);
using program::CountdownText;
// "2 s ago", "5 min ago", "3 h ago", "4 days ago"; a moment to come is "0 s ago".
[[nodiscard]] std::string AgoText(std::int64_t ms);
// Lines of others, each without control characters and marks that turn text around.
[[nodiscard]] std::string Shown(std::string_view text);
// The first digits of a study's digest, as tables show them and commands take them.
[[nodiscard]] std::string ShortId(std::string_view digest_bytes);
// Which share of a study is done after `round` rounds, below 1: paths end at different lambdas, so
// it is an estimate from the rounds of a typical path of `lambda_count`.
[[nodiscard]] double ProgressShare(std::uint64_t round, int lambda_count);
using program::Bar;

// ---- members ------------------------------------------------------------------------------------
// What a study pins and people compare: of a site both its keys, of a person the signing key.
[[nodiscard]] Digest MemberFingerprint(const wire::Member& member);

inline constexpr int kExpiryWarningDays = 30;
inline constexpr std::int64_t kClockSkewShownMs = 60'000;

// A row a member by role and name, then a line for each thing to do: a certificate that ends within
// kExpiryWarningDays or has ended, a clock that is off by more than kClockSkewShownMs.
// `whole_keys`: all 64 digits of the fingerprints instead of 16.
[[nodiscard]] std::string MemberTable(const std::vector<wire::Member>& members,
                                      std::int64_t now_unix_ms, bool whole_keys);
// One JSON object, no newline.
[[nodiscard]] std::string MemberJson(const wire::Member& member, std::int64_t now_unix_ms);

inline constexpr int kAuthorityWarningDays = 90;  // with it every certificate ends
// When the coordinator's own certificate and its authority end (unix seconds; 0: it does not say),
// and a line for each that ends within kExpiryWarningDays or kAuthorityWarningDays.
[[nodiscard]] std::string CoordinatorText(std::int64_t server_until_s,
                                          std::int64_t authority_until_s, std::int64_t now_unix_ms);
// The same as one JSON object, no newline.
[[nodiscard]] std::string CoordinatorJson(std::int64_t server_until_s,
                                          std::int64_t authority_until_s, std::int64_t now_unix_ms);

// ---- studies ------------------------------------------------------------------------------------
// Newest first.
[[nodiscard]] std::string StudyTable(const std::vector<v1::StudyLine>& studies);
[[nodiscard]] std::string StudyJson(const v1::StudyLine& study);

// Finished, failed or cancelled.
[[nodiscard]] bool HasEnded(const v1::StudyLine& study);

// The study that `text` means: its name, if only one has it, or the first 4 or more digits of its
// digest. Errors: kInvalidArgument (fewer digits), kNotFound (none: the nearest name),
// kAlreadyExists (several: lists them).
[[nodiscard]] Result<v1::StudyLine> FindStudy(const std::vector<v1::StudyLine>& studies,
                                              std::string_view text);

// Everything about one study: who, where it stands, each site with its sentence, each wait with its
// countdown.
[[nodiscard]] std::string StudyText(const v1::StudyStatus& status, std::int64_t now_unix_ms);
// `event`: its first field. One JSON object, no newline.
[[nodiscard]] std::string StudyStatusJson(const v1::StudyStatus& status, std::string_view event);

// ---- watching -----------------------------------------------------------------------------------
// "waiting for MUMC: computing round 17, seen 2 s ago, 3:40 left, then the study ends".
[[nodiscard]] std::string WaitText(const v1::WaitLine& wait);

// "round  17  fitting lasso paths   34 fits   1.2 MB sent per hospital  2:10 elapsed, about 5:00
// left": simulate's line. Nothing is estimated for an attempt that started over.
[[nodiscard]] std::string ProgressText(const v1::StudyStatus& status, std::int64_t now_unix_ms);

struct WatchView {
  std::int64_t now_unix_ms = 0;
  std::size_t columns = 80;  // of the terminal: longer lines are cut
  std::size_t rows = 24;     // what does not fit is counted in the last line
  bool colours = false;
};
// The block that a terminal redraws: head, progress, a line a wait (or a site, before the first
// round). Every line ends in '\n' and none wraps.
[[nodiscard]] std::string WatchBlock(const v1::StudyStatus& status, const WatchView& view);

// The same in one line, without newline, for a log.
[[nodiscard]] std::string WatchLine(const v1::StudyStatus& status, std::int64_t now_unix_ms);

// Decides which statuses of a stream are worth a line where lines stay: every change of state, of
// an attempt, of the reason, or of a site's approval at once; rounds and waits at most every
// `round_ms`.
class ChangeFilter {
 public:
  explicit ChangeFilter(std::int64_t round_ms = 2000) : round_ms_(round_ms) {}
  // `now_ms`: any clock that does not run backwards.
  [[nodiscard]] bool IsNews(const v1::StudyStatus& status, std::int64_t now_ms);

 private:
  std::int64_t round_ms_;
  std::string large_;
  std::string small_;
  std::int64_t told_ms_ = 0;
};

}  // namespace consilium::console
