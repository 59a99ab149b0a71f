// The log of totals: the only memory of a study.
//
// A header (the study as bytes, its sites with their keys, the engine's version), then one entry a
// round, each carrying the hash of the one before it. Whatever a coordinator, a site or an auditor
// must know is re-derived by running the study's computation against these totals; nothing else is
// kept. An entry is written before anybody sees its total. Format with a worked example:
// docs/formats/log.md.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "federation/block.h"
#include "federation/receipt.h"

namespace consilium::federation {

// What the body of an entry begins with, as canonical text.
inline constexpr std::string_view kLogEntryLabel = "consilium round 2";
inline constexpr std::uint64_t kLogRecordBytesMax = std::uint64_t{1} << 32;

struct LogHeader {
  std::string engine_version;
  std::string study_file;                    // the study's YAML, byte for byte
  std::vector<std::string> feature_columns;  // the resolved feature list
  Digest study;
  bool masked = true;
  Roster members;  // every site of the study
  Roster roster;   // those of them that train in this attempt, with the same keys
};

struct LogEntry {
  Binding binding;                // study, round, attempt, digest of everything asked, roster
  std::vector<Receipt> receipts;  // by name: of all training centers, and of others that released
  Bytes total;                    // the sum's words, all queries of the round in order
  std::map<std::uint32_t, std::map<std::string, Release>>
      releases;          // by place of the query in the round
  std::string decision;  // a quorum decision, in words; empty as a rule
  Digest previous;       // hash of the record before
};

// What `site` released in the round.
[[nodiscard]] Releases ReleasesOf(const LogEntry& entry, const std::string& site);
// The receipts: of every site of the roster and of no stranger, each for this entry's binding and
// by its site's key, in order; with the size of the total, or none from outside the roster. `own`:
// the receipt that the caller itself signed; its equal is not verified again.
// Errors: kPermissionDenied, kDataLoss (order, a missing one); names the entry and the site.
[[nodiscard]] Result<void> CheckReceipts(const LogEntry& entry, const Roster& members,
                                         const Roster& roster, const Receipt* own = nullptr);
// The Releases: each is of a site with a receipt and what that receipt signs. Errors: kDataLoss;
// names the entry and the site.
[[nodiscard]] Result<void> CheckReleases(const LogEntry& entry);
// The tags of the roster's receipts, by site.
[[nodiscard]] std::map<std::string, SumTag> TagsOf(const LogEntry& entry, const Roster& roster);

// One record: u64 length of the body, body, SHA-256 of the body. The hash names the record.
[[nodiscard]] Bytes EncodeRecord(const LogHeader& header);
[[nodiscard]] Bytes EncodeRecord(const LogEntry& entry);

struct LogRecordBytes {
  std::span<const std::uint8_t> body;
  Digest hash;
  std::size_t size = 0;  // of the whole record
};
// The first record of `bytes`. Errors: kDataLoss (cut off, or its hash is not that of its body).
[[nodiscard]] Result<LogRecordBytes> NextRecord(std::span<const std::uint8_t> bytes);
// Errors: kDataLoss (not such a body).
[[nodiscard]] Result<LogHeader> DecodeHeader(std::span<const std::uint8_t> body);
[[nodiscard]] Result<LogEntry> DecodeEntry(std::span<const std::uint8_t> body);

// Reads a log a record at a time and holds the chain together.
class LogReader {
 public:
  explicit LogReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  // The header; must be called first. Errors: kDataLoss.
  [[nodiscard]] Result<LogHeader> Header();
  [[nodiscard]] bool AtEnd() const { return bytes_.empty(); }
  // The whole records that follow those read so far, for a log that is not in memory at once. Only
  // AtEnd.
  void Feed(std::span<const std::uint8_t> bytes) { bytes_ = bytes; }
  // The next entry. Errors: kDataLoss (damaged, out of order, or its `previous` is another): names
  // the entry.
  [[nodiscard]] Result<LogEntry> Next();
  [[nodiscard]] const Digest& head() const { return head_; }

 private:
  std::span<const std::uint8_t> bytes_;
  Digest head_;
  std::uint64_t next_round_ = 0;
};

// Where a log stays. Append returns only when the bytes would survive a crash.
class LogSink {
 public:
  virtual ~LogSink() = default;
  [[nodiscard]] virtual Result<void> Append(std::span<const std::uint8_t> record) = 0;
};

}  // namespace consilium::federation
