#include "federation/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace consilium::federation {
namespace {

constexpr std::string_view kHeaderLabel = "consilium log 2";
constexpr std::size_t kTextMax = std::size_t{1} << 20;
constexpr std::uint32_t kListMax = 1U << 20;

constexpr std::size_t kLengthBytes = 8;

// A writer for the body of a record; its length stands before it, and is known last.
ByteWriter NewRecord(std::size_t expected) {
  ByteWriter record;
  record.Reserve(kLengthBytes + expected + sizeof(Digest));
  record.U64(0);
  return record;
}

Bytes Finished(ByteWriter record) {
  Bytes bytes = record.Take();
  const auto body = std::span<const std::uint8_t>(bytes).subspan(kLengthBytes);
  ByteWriter length;
  length.U64(body.size());
  const Digest hash = Sha256(body);
  std::copy(length.bytes().begin(), length.bytes().end(), bytes.begin());
  bytes.insert(bytes.end(), hash.bytes.begin(), hash.bytes.end());
  return bytes;
}

Digest ReadDigest(ByteReader& reader) {
  Digest digest;
  const auto raw = reader.Raw(digest.bytes.size());
  if (raw.size() == digest.bytes.size()) std::copy(raw.begin(), raw.end(), digest.bytes.begin());
  return digest;
}

template <std::size_t N>
std::array<std::uint8_t, N> ReadArray(ByteReader& reader) {
  std::array<std::uint8_t, N> value{};
  const auto raw = reader.Raw(N);
  if (raw.size() == N) std::copy(raw.begin(), raw.end(), value.begin());
  return value;
}

}  // namespace

Bytes EncodeRecord(const LogHeader& header) {
  ByteWriter body = NewRecord(header.study_file.size());
  body.Text(kHeaderLabel);
  body.Text(header.engine_version);
  body.Text(header.study_file);
  body.U32(static_cast<std::uint32_t>(header.feature_columns.size()));
  for (const std::string& column : header.feature_columns) body.Text(column);
  body.Raw(header.study.bytes);
  body.U8(header.masked ? 1 : 0);
  body.U32(static_cast<std::uint32_t>(header.members.size()));
  for (const auto& [site, keys] : header.members) {
    body.Text(site);
    body.Raw(keys.signing.bytes());
    body.Raw(keys.agreement);
    body.U8(header.roster.contains(site) ? 1 : 0);
  }
  return Finished(std::move(body));
}

Bytes EncodeRecord(const LogEntry& entry) {
  ByteWriter body = NewRecord(entry.total.size() + 512 * (entry.receipts.size() + 1));
  body.Text(kLogEntryLabel);
  body.Raw(entry.previous.bytes);
  Encode(entry.binding, body);
  body.U32(static_cast<std::uint32_t>(entry.receipts.size()));
  for (const Receipt& receipt : entry.receipts) Encode(receipt, body);
  body.Blob(entry.total);
  body.U32(static_cast<std::uint32_t>(entry.releases.size()));
  for (const auto& [query, by_site] : entry.releases) {
    body.U32(query);
    Total total;
    total.releases = by_site;
    Encode(total, body);
  }
  body.Text(entry.decision);
  return Finished(std::move(body));
}

Result<LogRecordBytes> NextRecord(std::span<const std::uint8_t> bytes) {
  ByteReader reader(bytes);
  LogRecordBytes record;
  record.body = reader.Blob(kLogRecordBytesMax);
  record.hash = ReadDigest(reader);
  if (reader.failed()) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("the log ends inside a record: {} bytes are left; restore it from a "
                            "backup or resume from the record before",
                            bytes.size()));
  }
  if (Sha256(record.body) != record.hash) {
    return Fail(ErrorCode::kDataLoss,
                "a record of the log does not have the hash that stands behind it: it was damaged "
                "or changed");
  }
  record.size = bytes.size() - reader.left();
  return record;
}

Result<LogHeader> DecodeHeader(std::span<const std::uint8_t> body) {
  ByteReader reader(body);
  LogHeader header;
  if (reader.Text(64) != kHeaderLabel) reader.Invalidate();
  header.engine_version = reader.Text(256);
  header.study_file = reader.Text(kTextMax);
  const std::uint32_t columns = reader.U32();
  if (columns > kListMax) reader.Invalidate();
  for (std::uint32_t i = 0; i < columns && !reader.failed(); ++i)
    header.feature_columns.push_back(reader.Text(4096));
  header.study = ReadDigest(reader);
  const std::uint8_t masked = reader.U8();
  if (masked > 1) reader.Invalidate();
  header.masked = masked == 1;
  const std::uint32_t sites = reader.U32();
  if (sites > kListMax) reader.Invalidate();
  for (std::uint32_t i = 0; i < sites && !reader.failed(); ++i) {
    std::string site = reader.Text(kSiteNameBytesMax);
    if (!header.members.empty() && site <= header.members.rbegin()->first) reader.Invalidate();
    SiteKeys keys;
    keys.signing = VerifyingKey(ReadArray<32>(reader));
    keys.agreement = ReadArray<32>(reader);
    const std::uint8_t trains = reader.U8();
    if (trains > 1) reader.Invalidate();
    if (trains == 1) header.roster[site] = keys;
    header.members[std::move(site)] = keys;
  }
  CONSILIUM_TRY(reader.Finish("log header"));
  return header;
}

Result<LogEntry> DecodeEntry(std::span<const std::uint8_t> body) {
  ByteReader reader(body);
  LogEntry entry;
  if (reader.Text(64) != kLogEntryLabel) reader.Invalidate();
  entry.previous = ReadDigest(reader);
  entry.binding = DecodeBinding(reader);
  const std::uint32_t receipts = reader.U32();
  if (receipts > kListMax) reader.Invalidate();
  for (std::uint32_t i = 0; i < receipts && !reader.failed(); ++i)
    entry.receipts.push_back(DecodeReceipt(reader));
  const auto total = reader.Blob(kLogRecordBytesMax);
  entry.total.assign(total.begin(), total.end());
  const std::uint32_t released = reader.U32();
  if (released > kListMax) reader.Invalidate();
  for (std::uint32_t i = 0; i < released && !reader.failed(); ++i) {
    const std::uint32_t query = reader.U32();
    if (!entry.releases.empty() && query <= entry.releases.rbegin()->first) reader.Invalidate();
    Total by_site = DecodeTotal(reader);
    if (!by_site.sums.empty()) reader.Invalidate();  // sums stand in entry.total
    entry.releases[query] = std::move(by_site.releases);
  }
  entry.decision = reader.Text(kTextMax);
  CONSILIUM_TRY(reader.Finish("log entry"));
  return entry;
}

Releases ReleasesOf(const LogEntry& entry, const std::string& site) {
  Releases releases;
  for (const auto& [query, by_site] : entry.releases) {
    if (const auto found = by_site.find(site); found != by_site.end())
      releases.emplace(query, found->second);
  }
  return releases;
}

Result<void> CheckReceipts(const LogEntry& entry, const Roster& members, const Roster& roster,
                           const Receipt* own) {
  const auto fail = [&](ErrorCode code, std::string_view what) {
    return Fail(code, fmt::format("log entry {}: {}", entry.binding.round, what));
  };
  const Digest digest = DigestOf(roster);
  std::size_t training = 0;
  const std::string* last = nullptr;
  for (const Receipt& receipt : entry.receipts) {
    if (receipt.binding != entry.binding) {
      return fail(ErrorCode::kPermissionDenied,
                  fmt::format("the receipt of {} is for another question", receipt.site));
    }
    if (last != nullptr && receipt.site <= *last)
      return fail(ErrorCode::kDataLoss, "the receipts are not in order of the sites' names");
    last = &receipt.site;
    const bool trains = roster.contains(receipt.site);
    training += trains ? 1 : 0;
    const std::uint64_t expected = trains ? entry.total.size() : 0;
    if (receipt.answer_bytes != expected) {
      return fail(ErrorCode::kPermissionDenied,
                  fmt::format("the receipt of {} is for {} bytes of words, expected {}",
                              receipt.site, receipt.answer_bytes, expected));
    }
    if (own != nullptr && receipt == *own) continue;
    if (const auto verified = Verify(receipt, members, digest); !verified) {
      return tl::unexpected<Error>(
          Within(fmt::format("log entry {}", entry.binding.round), verified.error()));
    }
  }
  if (training != roster.size()) {
    return fail(ErrorCode::kDataLoss, fmt::format("{} receipts for a roster of {} training centers",
                                                  training, roster.size()));
  }
  return {};
}

Result<void> CheckReleases(const LogEntry& entry) {
  const auto where = fmt::format("log entry {}", entry.binding.round);
  std::set<std::string> signers;
  for (const Receipt& receipt : entry.receipts) {
    signers.insert(receipt.site);
    if (const auto signed_ones = CheckReleases(receipt, ReleasesOf(entry, receipt.site));
        !signed_ones)
      return tl::unexpected<Error>(Within(where, signed_ones.error()));
  }
  for (const auto& [query, by_site] : entry.releases) {
    for (const auto& [site, release] : by_site) {
      if (signers.contains(site)) continue;
      return Fail(
          ErrorCode::kDataLoss,
          fmt::format("{}: a Release in the name of {}, which signed no receipt", where, site));
    }
  }
  return {};
}

std::map<std::string, SumTag> TagsOf(const LogEntry& entry, const Roster& roster) {
  std::map<std::string, SumTag> tags;
  for (const Receipt& receipt : entry.receipts) {
    if (roster.contains(receipt.site)) tags[receipt.site] = receipt.tag;
  }
  return tags;
}

Result<LogHeader> LogReader::Header() {
  const auto record = NextRecord(bytes_);
  CONSILIUM_TRY(record);
  auto header = DecodeHeader(record->body);
  CONSILIUM_TRY(header);
  head_ = record->hash;
  bytes_ = bytes_.subspan(record->size);
  return header;
}

Result<LogEntry> LogReader::Next() {
  const auto record = NextRecord(bytes_);
  if (!record)
    return tl::unexpected<Error>(Within(fmt::format("log entry {}", next_round_), record.error()));
  auto entry = DecodeEntry(record->body);
  if (!entry)
    return tl::unexpected<Error>(Within(fmt::format("log entry {}", next_round_), entry.error()));
  if (entry->previous != head_) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("log entry {}: it does not follow the record before it: a record was "
                            "removed, moved or changed",
                            next_round_));
  }
  if (entry->binding.round != next_round_) {
    return Fail(ErrorCode::kDataLoss, fmt::format("log entry {}: it says it is round {}",
                                                  next_round_, entry->binding.round));
  }
  head_ = record->hash;
  ++next_round_;
  bytes_ = bytes_.subspan(record->size);
  return entry;
}

}  // namespace consilium::federation
