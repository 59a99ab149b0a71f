// The ledger: everything a site sent or refused to send, in a chain of hashes and in plain words.
//
// Each record carries the hash of the one before it, so that a record that is changed, removed or
// moved breaks the chain at a place that VerifyLedger names. What the gate must remember
// (approvals, rosters, row sets, curvature points, scorings) stands in the records and nowhere
// else: reading them again rebuilds the gate. The ledger never leaves the site; it holds row
// numbers and keyed row names, and no value of any patient. Pure: the disk is a LedgerSink. Format:
// docs/formats/ledger.md.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"

namespace consilium::site_agent {

// Row numbers of this site, ascending and without repeats. A number belongs to one row for ever
// (Gate::NumberRows), whatever file or study the row is read for.
using RowSet = std::vector<std::uint32_t>;

inline constexpr std::uint32_t kRowNumberMax = 1u << 20;

// Alternating lengths of gaps and runs, LEB128: about two bytes a run. One set has one encoding.
[[nodiscard]] Bytes EncodeRowSet(const RowSet& rows);
// Errors: kDataLoss (not the encoding of any set, or a number above kRowNumberMax).
[[nodiscard]] Result<RowSet> DecodeRowSet(std::span<const std::uint8_t> bytes);
// SHA-256 of the encoding: the name of the set.
[[nodiscard]] Digest DigestOf(const RowSet& rows);
// How many rows are in exactly one of the two sets.
[[nodiscard]] std::size_t DifferenceCount(const RowSet& a, const RowSet& b);

// Text as it may stand in the ledger: valid UTF-8 without control characters, at most 2,000 bytes;
// what is not becomes '?'. A line of the ledger is one record, whatever a coordinator wrote into a
// name.
[[nodiscard]] std::string PlainText(std::string_view text);

enum class LedgerEvent : std::uint8_t {
  kStudyApproved = 1,  // carries StudyTerms
  kStudyRefused = 2,
  kRowsNumbered = 3,  // carries new_rows
  kQueryAnswered = 4,
  kQueryRefused = 5,
  kReleaseGiven = 6,
  kTotalReceived = 7,
  kAttemptEnded = 8,
  kStudyEnded = 9,
};
[[nodiscard]] std::string_view Name(LedgerEvent event);  // "study approved"

// How the gate treats a released block (gate.h, StandardReleases).
enum class ReleaseRole : std::uint8_t {
  kFlow = 1,         // [k x 1] found, rows left out by reason ..., used
  kRowCount = 2,     // [1 x 1] rows
  kClassCounts = 3,  // [1 x 2] events, non-events
  kPerClass = 4,     // any shape: all or nothing
  kCumulativeCounts =
      5,  // [k x labels + 2] labels, then cumulative non-events and events; rows are erased
  kGridCounts = 6,   // the same over a public grid: the rows stay and become "suppressed"
  kFollowsRows = 7,  // rows suppressed where block `follows` has its rows suppressed
  kGroups = 8,       // [g x labels + 1 + k] labels, rows, sums: neighbours are added together
  kSubgroups = 9,    // [g x labels + 2 + k] labels, events, non-events, statistics
};

struct ReleaseRule {
  std::string block;
  ReleaseRole role = ReleaseRole::kPerClass;
  std::uint32_t label_columns = 0;  // leading public columns (a grid point, a group's number)
  std::string follows;              // kFollowsRows only
  friend bool operator==(const ReleaseRule&, const ReleaseRule&) = default;
};

// One member of a federation as a study or a round names it.
struct RosterMember {
  std::string site;
  Digest fingerprint;  // of the site's public keys
  friend bool operator==(const RosterMember&, const RosterMember&) = default;
  friend auto operator<=>(const RosterMember&, const RosterMember&) = default;
};

// What this site approved: the rules of one study, for good.
struct StudyTerms {
  std::uint32_t min_sites = 3;
  std::uint32_t min_cell = 5;
  bool public_data = false;      // policy: public-data
  bool strict_curvature = true;  // false: "fast", approved
  bool masks = true;
  bool restart_without = false;       // approved: an attempt may start over without a leaver
  bool leave_one_center_out = false;  // consented
  std::vector<RosterMember> pinned;   // sorted by site
  std::vector<std::uint64_t>
      columns;  // sorted names of the local columns read: first 8 bytes of SHA-256
  std::vector<ReleaseRule> releases;
  friend bool operator==(const StudyTerms&, const StudyTerms&) = default;
};

// One record. Fields that an event does not need are empty or zero.
struct LedgerRecord {
  std::uint64_t sequence = 0;  // 0, 1, 2, ...
  LedgerEvent event = LedgerEvent::kQueryRefused;
  std::int64_t unix_ms = 0;  // as told by the caller; 0 = not told
  Digest study;
  std::string study_name;
  std::uint64_t round = 0;
  std::uint32_t attempt = 0;
  Digest round_digest;  // of everything asked in the round
  Digest query;
  Digest roster;
  std::vector<std::string> roster_sites;
  std::string step;
  std::string fit;
  std::vector<std::string> members;
  std::int32_t left_out_fold = 0;
  Digest cohort;  // of the data answered from
  std::uint64_t training_rows = 0;
  Digest training_set;
  std::uint64_t left_out_rows = 0;
  Digest left_out_set;
  std::vector<Bytes> new_row_sets;  // encodings of sets that no earlier record of this study holds
  std::uint64_t equations = 0;      // numbers that my rows entered
  std::uint64_t bytes = 0;
  Digest content;  // of the bytes that left (answer, release) or came back (total)
  bool masked = false;
  std::int64_t curvature_columns = 0;
  bool curvature_at_null_point = false;
  Digest curvature_point;
  std::int64_t rows_of_sum = 0;  // all sites' rows under the curvature
  bool scores_a_model = false;
  std::string rule;                 // refusal: its name, "GATE_MIN_SITES"
  std::string detail;               // refusal: the full message; otherwise what was suppressed
  std::vector<std::string> waived;  // rules that policy public-data set aside here
  std::optional<StudyTerms> terms;  // kStudyApproved
  std::vector<Digest> new_rows;     // kRowsNumbered: keyed names, in the order of their numbers
  std::string sentence;             // what happened, for a person
  Digest previous;                  // hash of the record before; of the ledger's name for the first
  Digest hash;                      // of everything above
};

// One record as bytes: u32 length, fields, hash. The hash is computed, not taken from `record`.
[[nodiscard]] Bytes EncodeRecord(const LedgerRecord& record);
// The first record of `bytes`, and how many bytes it took. Limits: 64 MiB a record.
// Errors: kDataLoss (cut off, damaged, or its hash is not that of its fields).
[[nodiscard]] Result<std::pair<LedgerRecord, std::size_t>> DecodeRecord(
    std::span<const std::uint8_t> bytes);
[[nodiscard]] Digest HashOf(const LedgerRecord& record);

// One record as one line of JSON (no newline); every field, so that the line can be checked too.
[[nodiscard]] std::string ToLine(const LedgerRecord& record);
// Errors: kDataLoss (not such a line, or its hash is not that of its fields).
[[nodiscard]] Result<LedgerRecord> FromLine(std::string_view line);

// Where a ledger stands. Kept elsewhere (printed, sent to the site's own archive) it shows a
// cut-off end.
struct LedgerHead {
  std::uint64_t count = 0;
  Digest hash;
  friend bool operator==(const LedgerHead&, const LedgerHead&) = default;
};
// The head of an empty ledger of this site: its hash is the first record's `previous`.
[[nodiscard]] LedgerHead EmptyHead(std::string_view site);

// Sequence, hashes and chain. With `expected`, also that the ledger reaches at least that far with
// that very record there. Errors: kDataLoss, naming the first broken record and what is wrong with
// it.
[[nodiscard]] Result<void> VerifyLedger(std::string_view site,
                                        std::span<const LedgerRecord> records,
                                        std::optional<LedgerHead> expected = std::nullopt);
// All records of a ledger's bytes, decoded and verified. Errors: kDataLoss.
[[nodiscard]] Result<std::vector<LedgerRecord>> DecodeLedger(
    std::string_view site, std::span<const std::uint8_t> bytes,
    std::optional<LedgerHead> expected = std::nullopt);
// The same for lines of JSON, one record a line. Errors: kDataLoss.
[[nodiscard]] Result<std::vector<LedgerRecord>> DecodeLedgerLines(
    std::string_view site, std::string_view lines,
    std::optional<LedgerHead> expected = std::nullopt);

// Where records go to stay.
class LedgerSink {
 public:
  virtual ~LedgerSink() = default;
  // Returns only when the bytes would survive a crash.
  [[nodiscard]] virtual Result<void> Append(std::span<const std::uint8_t> record) = 0;
  // All that was appended, in order, in pieces that end anywhere. Errors: its own, and `take`'s.
  using TakePiece = std::function<Result<void>(std::span<const std::uint8_t>)>;
  [[nodiscard]] virtual Result<void> Read(const TakePiece& take) const = 0;
};

// The chain. It grows for years: records are where the sink keeps them, and only the last one is in
// memory. One thread.
class Ledger {
 public:
  // An empty ledger; `sink` (not owned) gets every record before it counts. Null: memory.
  explicit Ledger(std::string site, LedgerSink* sink = nullptr);
  // Continues from what `sink` kept, verified a record at a time. Errors: the sink's, kDataLoss as
  // DecodeLedger.
  [[nodiscard]] static Result<Ledger> Open(std::string site, LedgerSink& sink,
                                           std::optional<LedgerHead> expected = std::nullopt);

  // Numbers, chains, hashes and keeps the record. Errors: the sink's; then the ledger is unchanged.
  [[nodiscard]] Result<void> Append(LedgerRecord record);

  [[nodiscard]] const std::string& site() const { return site_; }
  [[nodiscard]] LedgerHead head() const { return head_; }
  // Empty before the first.
  [[nodiscard]] const LedgerRecord& last() const { return last_; }
  // Every record, from the first on. Errors: the sink's, kDataLoss (names the record), `take`'s.
  [[nodiscard]] Result<void> Each(
      const std::function<Result<void>(const LedgerRecord&)>& take) const;
  // All of them at once, for ledgers that are short. Aborts where Each gives an error.
  [[nodiscard]] std::vector<LedgerRecord> records() const;

 private:
  std::string site_;
  std::unique_ptr<LedgerSink> own_;  // where nobody gave one
  LedgerSink* sink_;
  LedgerHead head_;
  LedgerRecord last_;
};

// What each row set of a study has answered, in plain words: one line a set with its rows and
// equations.
struct EquationCount {
  Digest study;
  std::string study_name;
  Digest row_set;
  std::uint64_t rows = 0;
  std::uint64_t queries = 0;
  std::uint64_t equations = 0;  // numbers in sums that these rows entered
  [[nodiscard]] double per_row() const {
    return rows == 0 ? 0 : static_cast<double>(equations) / static_cast<double>(rows);
  }
};
// In the order of first use. A repeated question is counted once.
[[nodiscard]] std::vector<EquationCount> CountEquations(std::span<const LedgerRecord> records);

}  // namespace consilium::site_agent
