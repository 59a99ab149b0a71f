#include "site_agent/ledger.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <tuple>
#include <type_traits>

namespace consilium::site_agent {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kRecordBytesMax = std::size_t{64} << 20;
constexpr std::size_t kPlainTextBytesMax = 2000;
constexpr std::string_view kRecordLabel = "consilium ledger record 1";

// The one list of fields: bytes, lines of JSON and hashes all walk it in this order.
template <typename Record, typename Visitor>
void VisitFields(Record& r, Visitor& visit) {
  visit("sequence", r.sequence);
  visit("event", r.event);
  visit("sentence", r.sentence);
  visit("unix_ms", r.unix_ms);
  visit("study", r.study);
  visit("study_name", r.study_name);
  visit("round", r.round);
  visit("attempt", r.attempt);
  visit("round_digest", r.round_digest);
  visit("query", r.query);
  visit("roster", r.roster);
  visit("roster_sites", r.roster_sites);
  visit("step", r.step);
  visit("fit", r.fit);
  visit("members", r.members);
  visit("left_out_fold", r.left_out_fold);
  visit("cohort", r.cohort);
  visit("training_rows", r.training_rows);
  visit("training_set", r.training_set);
  visit("left_out_rows", r.left_out_rows);
  visit("left_out_set", r.left_out_set);
  visit("new_row_sets", r.new_row_sets);
  visit("equations", r.equations);
  visit("bytes", r.bytes);
  visit("content", r.content);
  visit("masked", r.masked);
  visit("curvature_columns", r.curvature_columns);
  visit("curvature_at_null_point", r.curvature_at_null_point);
  visit("curvature_point", r.curvature_point);
  visit("rows_of_sum", r.rows_of_sum);
  visit("scores_a_model", r.scores_a_model);
  visit("rule", r.rule);
  visit("detail", r.detail);
  visit("waived", r.waived);
  visit("terms", r.terms);
  visit("new_rows", r.new_rows);
  visit("previous", r.previous);
}

template <typename Terms, typename Visitor>
void VisitTerms(Terms& t, Visitor& visit) {
  visit("min_sites", t.min_sites);
  visit("min_cell", t.min_cell);
  visit("public_data", t.public_data);
  visit("strict_curvature", t.strict_curvature);
  visit("masks", t.masks);
  visit("restart_without", t.restart_without);
  visit("leave_one_center_out", t.leave_one_center_out);
  visit("pinned", t.pinned);
  visit("columns", t.columns);
  visit("releases", t.releases);
}

template <typename Member, typename Visitor>
void VisitMember(Member& m, Visitor& visit) {
  visit("site", m.site);
  visit("fingerprint", m.fingerprint);
}

template <typename Rule, typename Visitor>
void VisitRule(Rule& r, Visitor& visit) {
  visit("block", r.block);
  visit("role", r.role);
  visit("label_columns", r.label_columns);
  visit("follows", r.follows);
}

struct ToBytes {
  ByteWriter& writer;

  void operator()(const char* /*name*/, const auto& value) { Put(value); }

  void Put(std::uint64_t value) { writer.U64(value); }
  void Put(std::int64_t value) { writer.I64(value); }
  void Put(std::uint32_t value) { writer.U32(value); }
  void Put(std::int32_t value) { writer.U32(static_cast<std::uint32_t>(value)); }
  void Put(bool value) { writer.U8(value ? 1 : 0); }
  void Put(LedgerEvent value) { writer.U8(static_cast<std::uint8_t>(value)); }
  void Put(ReleaseRole value) { writer.U8(static_cast<std::uint8_t>(value)); }
  void Put(const Digest& value) { writer.Raw(value.bytes); }
  void Put(const std::string& value) { writer.Text(value); }
  void Put(const Bytes& value) { writer.Blob(value); }
  void Put(const RosterMember& value) { VisitMember(value, *this); }
  void Put(const ReleaseRule& value) { VisitRule(value, *this); }
  void Put(const std::optional<StudyTerms>& value) {
    writer.U8(value ? 1 : 0);
    if (value) VisitTerms(*value, *this);
  }
  template <typename T>
  requires(!std::is_same_v<T, std::uint8_t>) void Put(const std::vector<T>& values) {
    writer.U32(static_cast<std::uint32_t>(values.size()));
    for (const T& value : values) Put(value);
  }
};

struct FromBytes {
  ByteReader& reader;

  void operator()(const char* /*name*/, auto& value) { Get(value); }

  void Get(std::uint64_t& value) { value = reader.U64(); }
  void Get(std::int64_t& value) { value = reader.I64(); }
  void Get(std::uint32_t& value) { value = reader.U32(); }
  void Get(std::int32_t& value) { value = static_cast<std::int32_t>(reader.U32()); }
  void Get(bool& value) {
    const std::uint8_t byte = reader.U8();
    if (byte > 1) reader.Invalidate();
    value = byte == 1;
  }
  void Get(LedgerEvent& value) {
    const std::uint8_t byte = reader.U8();
    if (byte < 1 || byte > static_cast<std::uint8_t>(LedgerEvent::kStudyEnded)) reader.Invalidate();
    value = static_cast<LedgerEvent>(byte);
  }
  void Get(ReleaseRole& value) {
    const std::uint8_t byte = reader.U8();
    if (byte < 1 || byte > static_cast<std::uint8_t>(ReleaseRole::kSubgroups)) reader.Invalidate();
    value = static_cast<ReleaseRole>(byte);
  }
  void Get(Digest& value) {
    const auto raw = reader.Raw(value.bytes.size());
    if (!raw.empty()) std::copy(raw.begin(), raw.end(), value.bytes.begin());
  }
  void Get(std::string& value) {
    value = reader.Text(kPlainTextBytesMax);
    if (value != PlainText(value)) reader.Invalidate();
  }
  void Get(Bytes& value) {
    const auto raw = reader.Blob(kRecordBytesMax);
    value.assign(raw.begin(), raw.end());
  }
  void Get(RosterMember& value) { VisitMember(value, *this); }
  void Get(ReleaseRule& value) { VisitRule(value, *this); }
  void Get(std::optional<StudyTerms>& value) {
    bool present = false;
    Get(present);
    if (present) VisitTerms(value.emplace(), *this);
  }
  template <typename T>
  requires(!std::is_same_v<T, std::uint8_t>) void Get(std::vector<T>& values) {
    const std::uint32_t count = reader.U32();
    if (count > reader.left()) {  // every item takes a byte or more
      reader.Invalidate();
      return;
    }
    for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) Get(values.emplace_back());
  }
};

struct ToJson {
  Json& json;

  void operator()(const char* name, const auto& value) { json[name] = Of(value); }

  static Json Of(std::uint64_t value) { return value; }
  static Json Of(std::int64_t value) { return value; }
  static Json Of(std::uint32_t value) { return value; }
  static Json Of(std::int32_t value) { return value; }
  static Json Of(bool value) { return value; }
  static Json Of(LedgerEvent value) { return Name(value); }
  static Json Of(ReleaseRole value) { return static_cast<std::uint32_t>(value); }
  static Json Of(const Digest& value) { return Hex(value); }
  static Json Of(const std::string& value) { return value; }
  static Json Of(const Bytes& value) { return Hex(std::span<const std::uint8_t>(value)); }
  static Json Of(const RosterMember& value) {
    Json json = Json::object();
    ToJson visit{json};
    VisitMember(value, visit);
    return json;
  }
  static Json Of(const ReleaseRule& value) {
    Json json = Json::object();
    ToJson visit{json};
    VisitRule(value, visit);
    return json;
  }
  static Json Of(const std::optional<StudyTerms>& value) {
    if (!value) return nullptr;
    Json json = Json::object();
    ToJson visit{json};
    VisitTerms(*value, visit);
    return json;
  }
  template <typename T>
  requires(!std::is_same_v<T, std::uint8_t>) static Json Of(const std::vector<T>& values) {
    Json json = Json::array();
    for (const T& value : values) json.push_back(Of(value));
    return json;
  }
};

// Loose on purpose: FromLine renders the record again and compares, which is the strict part.
struct FromJson {
  const Json& json;
  bool& failed;

  void operator()(const char* name, auto& value) {
    if (!json.is_object() || !json.contains(name)) {
      failed = true;
      return;
    }
    Get(json.at(name), value);
  }

  template <typename T>
  requires(std::is_integral_v<T>) void Get(const Json& item, T& value) {
    const bool fits = std::is_same_v<T, bool> ? item.is_boolean() : item.is_number_integer();
    if (fits) {
      value = item.get<T>();
    } else {
      failed = true;
    }
  }
  void Get(const Json& item, LedgerEvent& value) {
    for (int i = 1; i <= static_cast<int>(LedgerEvent::kStudyEnded); ++i) {
      value = static_cast<LedgerEvent>(i);
      if (item.is_string() && item.get_ref<const std::string&>() == Name(value)) return;
    }
    failed = true;
  }
  void Get(const Json& item, ReleaseRole& value) {
    std::uint32_t number = 0;
    Get(item, number);
    if (number < 1 || number > static_cast<std::uint32_t>(ReleaseRole::kSubgroups)) failed = true;
    value = static_cast<ReleaseRole>(number);
  }
  void Get(const Json& item, std::string& value) {
    if (item.is_string()) {
      value = item.get<std::string>();
    } else {
      failed = true;
    }
  }
  void Get(const Json& item, Bytes& value) {
    std::string hex;
    Get(item, hex);
    auto bytes = FromHex(hex);
    if (bytes) {
      value = std::move(*bytes);
    } else {
      failed = true;
    }
  }
  void Get(const Json& item, Digest& value) {
    Bytes bytes;
    Get(item, bytes);
    if (bytes.size() == value.bytes.size()) {
      std::copy(bytes.begin(), bytes.end(), value.bytes.begin());
    } else {
      failed = true;
    }
  }
  void Get(const Json& item, RosterMember& value) {
    FromJson visit{item, failed};
    VisitMember(value, visit);
  }
  void Get(const Json& item, ReleaseRule& value) {
    FromJson visit{item, failed};
    VisitRule(value, visit);
  }
  void Get(const Json& item, std::optional<StudyTerms>& value) {
    if (item.is_null()) return;
    FromJson visit{item, failed};
    VisitTerms(value.emplace(), visit);
  }
  template <typename T>
  requires(!std::is_same_v<T, std::uint8_t>) void Get(const Json& item, std::vector<T>& values) {
    if (!item.is_array()) {
      failed = true;
      return;
    }
    for (const Json& one : item) Get(one, values.emplace_back());
  }
};

Bytes EncodeFields(const LedgerRecord& record) {
  ByteWriter writer;
  ToBytes visit{writer};
  VisitFields(record, visit);
  return writer.Take();
}

Digest HashOfFields(std::span<const std::uint8_t> fields) {
  ByteWriter writer;
  writer.Text(kRecordLabel);
  writer.Raw(fields);
  return Sha256(writer.bytes());
}

struct Plain {
  void operator()(const char* /*name*/, std::string& text) { text = PlainText(text); }
  void operator()(const char* /*name*/, std::vector<std::string>& texts) {
    for (std::string& text : texts) text = PlainText(text);
  }
  void operator()(const char* /*name*/, std::optional<StudyTerms>& terms) {
    if (!terms) return;
    for (RosterMember& member : terms->pinned) member.site = PlainText(member.site);
    for (ReleaseRule& rule : terms->releases) {
      rule.block = PlainText(rule.block);
      rule.follows = PlainText(rule.follows);
    }
  }
  template <typename T>
  void operator()(const char* /*name*/, T& /*not text*/) {}
};

void MakePlain(LedgerRecord& record) {
  Plain visit;
  VisitFields(record, visit);
}

// The code point that starts at `at` and its length; length 0 if the bytes are not UTF-8 (RFC
// 3629).
std::pair<std::uint32_t, std::size_t> CodePoint(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(at);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || at + length > text.size()) return {0, 0};
  std::uint32_t value = first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return {0, 0};
    value = (value << 6) | (byte(at + i) & 0x3Fu);
  }
  const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
  const bool surrogate = value >= 0xD800 && value <= 0xDFFF;
  if (overlong || surrogate || value > 0x10FFFF) return {0, 0};
  return {value, length};
}

// Characters that end a line or turn its direction: a forged line must not look like two.
bool Disturbs(std::uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x2028 || c == 0x2029 ||
         (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0x200E ||
         c == 0x200F || c == 0xFEFF;
}

void PutVarint(Bytes& bytes, std::uint32_t value) {
  while (value >= 0x80) {
    bytes.push_back(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  bytes.push_back(static_cast<std::uint8_t>(value));
}

}  // namespace

Bytes EncodeRowSet(const RowSet& rows) {
  Bytes bytes;
  std::uint32_t next = 0;  // first number not yet told
  for (std::size_t i = 0; i < rows.size();) {
    std::size_t end = i + 1;
    while (end < rows.size() && rows[end] == rows[end - 1] + 1) ++end;
    PutVarint(bytes, rows[i] - next);
    PutVarint(bytes, static_cast<std::uint32_t>(end - i));
    next = rows[end - 1] + 1;
    i = end;
  }
  return bytes;
}

Result<RowSet> DecodeRowSet(std::span<const std::uint8_t> bytes) {
  constexpr std::uint64_t kBeyond = std::uint64_t{1} << 40;  // above every bound
  RowSet rows;
  std::size_t at = 0;
  const auto varint = [&]() -> std::uint64_t {
    std::uint64_t value = 0;
    for (int shift = 0; at < bytes.size() && shift < 35; shift += 7) {
      const std::uint8_t byte = bytes[at++];
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      const bool longer_than_needed = byte == 0 && shift > 0;
      if (byte < 0x80) return longer_than_needed ? kBeyond : value;
    }
    return kBeyond;
  };
  std::uint64_t next = 0;
  while (at < bytes.size()) {
    const bool first_run = at == 0;
    const std::uint64_t gap = varint();
    const std::uint64_t length = varint();
    const bool touches = gap == 0 && !first_run;
    if (touches || length == 0 || next + gap + length > kRowNumberMax) {
      return Fail(ErrorCode::kDataLoss, "row set: not the encoding of any set");
    }
    const std::size_t before = rows.size();
    rows.resize(before + length);
    std::iota(rows.begin() + static_cast<std::ptrdiff_t>(before), rows.end(),
              static_cast<std::uint32_t>(next + gap));
    next += gap + length;
  }
  return rows;
}

Digest DigestOf(const RowSet& rows) { return Sha256(EncodeRowSet(rows)); }

std::size_t DifferenceCount(const RowSet& a, const RowSet& b) {
  std::size_t count = 0;
  auto i = a.begin();
  auto j = b.begin();
  while (i != a.end() && j != b.end()) {
    if (*i == *j) {
      ++i;
      ++j;
    } else {
      ++count;
      *i < *j ? ++i : ++j;
    }
  }
  return count + static_cast<std::size_t>(a.end() - i) + static_cast<std::size_t>(b.end() - j);
}

std::string PlainText(std::string_view text) {
  const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7F; };
  if (text.size() <= kPlainTextBytesMax && std::all_of(text.begin(), text.end(), is_plain))
    return std::string(text);
  std::string plain;
  for (std::size_t at = 0; at < text.size();) {
    const auto [value, length] = CodePoint(text, at);
    const std::size_t taken = std::max<std::size_t>(length, 1);
    const bool good = length > 0 && !Disturbs(value);
    if (plain.size() + (good ? taken : 1) > kPlainTextBytesMax) break;
    if (good) {
      plain.append(text.substr(at, taken));
    } else {
      plain.push_back('?');
    }
    at += taken;
  }
  return plain;
}

std::string_view Name(LedgerEvent event) {
  switch (event) {
    case LedgerEvent::kStudyApproved:
      return "study approved";
    case LedgerEvent::kStudyRefused:
      return "study refused";
    case LedgerEvent::kRowsNumbered:
      return "rows numbered";
    case LedgerEvent::kQueryAnswered:
      return "query answered";
    case LedgerEvent::kQueryRefused:
      return "query refused";
    case LedgerEvent::kReleaseGiven:
      return "release given";
    case LedgerEvent::kTotalReceived:
      return "round total received";
    case LedgerEvent::kAttemptEnded:
      return "attempt ended";
    case LedgerEvent::kStudyEnded:
      return "study ended";
  }
  return "unknown";
}

Digest HashOf(const LedgerRecord& record) { return HashOfFields(EncodeFields(record)); }

Bytes EncodeRecord(const LedgerRecord& record) {
  const Bytes fields = EncodeFields(record);
  ByteWriter writer;
  writer.U32(static_cast<std::uint32_t>(fields.size()));
  writer.Raw(fields);
  writer.Raw(HashOfFields(fields).bytes);
  return writer.Take();
}

Result<std::pair<LedgerRecord, std::size_t>> DecodeRecord(std::span<const std::uint8_t> bytes) {
  ByteReader outer(bytes);
  const std::uint32_t length = outer.U32();
  if (!outer.failed() && length > kRecordBytesMax) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("length {} is above the limit of {}", length, kRecordBytesMax));
  }
  const auto fields = outer.Raw(length);
  const auto hash = outer.Raw(32);
  if (outer.failed()) {
    return Fail(ErrorCode::kDataLoss, fmt::format("cut off: {} bytes are left of a record of {}",
                                                  bytes.size(), std::uint64_t{length} + 36));
  }
  LedgerRecord record;
  ByteReader inner(fields);
  FromBytes visit{inner};
  VisitFields(record, visit);
  if (auto whole = inner.Finish("the fields"); !whole)
    return tl::unexpected(std::move(whole).error());
  std::copy(hash.begin(), hash.end(), record.hash.bytes.begin());
  if (record.hash != HashOfFields(fields)) {
    return Fail(ErrorCode::kDataLoss, "its hash is not that of its fields: it was changed");
  }
  return std::pair{std::move(record), bytes.size() - outer.left()};
}

std::string ToLine(const LedgerRecord& record) {
  Json json = Json::object();
  ToJson visit{json};
  VisitFields(record, visit);
  json["hash"] = Hex(record.hash);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<LedgerRecord> FromLine(std::string_view line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Fail(ErrorCode::kDataLoss, "not a line of JSON");
  LedgerRecord record;
  bool failed = false;
  FromJson visit{json, failed};
  VisitFields(record, visit);
  visit("hash", record.hash);
  if (failed) return Fail(ErrorCode::kDataLoss, "a field is missing or of another type");
  LedgerRecord plain = record;
  MakePlain(plain);
  if (ToLine(plain) != line)
    return Fail(ErrorCode::kDataLoss, "not written as the ledger writes it");
  if (HashOf(record) != record.hash) {
    return Fail(ErrorCode::kDataLoss, "its hash is not that of its fields: it was changed");
  }
  return record;
}

LedgerHead EmptyHead(std::string_view site) {
  ByteWriter writer;
  writer.Text("consilium ledger 1");
  writer.Text(site);
  return {0, Sha256(writer.bytes())};
}

namespace {

// Sequence and chain, a record at a time, of records whose hashes are those of their fields.
class ChainCheck {
 public:
  ChainCheck(std::string_view site, const std::optional<LedgerHead>& expected)
      : site_(site), expected_(expected), head_(EmptyHead(site)) {}

  Result<void> Next(const LedgerRecord& record) {
    CONSILIUM_TRY(CheckExpected());
    if (record.sequence != head_.count) {
      return Broken(
          head_.count,
          fmt::format("expected sequence number {}, found {}: a record before it was removed, "
                      "added or moved",
                      head_.count, record.sequence));
    }
    if (record.previous != head_.hash) {
      return Broken(head_.count, head_.count == 0
                                     ? std::string_view("it does not start the ledger of this site")
                                     : std::string_view("it does not follow the record before it"));
    }
    head_ = {head_.count + 1, record.hash};
    return {};
  }
  // No record follows.
  Result<LedgerHead> End() {
    CONSILIUM_TRY(CheckExpected());
    if (expected_ && head_.count < expected_->count) {
      return Broken(head_.count, fmt::format("missing: {} records are known to exist, found {}",
                                             expected_->count, head_.count));
    }
    return head_;
  }

  [[nodiscard]] tl::unexpected<Error> Broken(std::uint64_t index, std::string_view what) const {
    return Fail(
        ErrorCode::kDataLoss,
        fmt::format(
            "site {}: ledger: record {}: {}. Restore the ledger from a copy; answer nothing "
            "until `consilium-site ledger --verify` passes",
            site_, index, what));
  }

 private:
  [[nodiscard]] Result<void> CheckExpected() const {
    if (!expected_ || head_.count != expected_->count || head_.hash == expected_->hash) return {};
    return Broken(head_.count == 0 ? 0 : head_.count - 1,
                  "its hash is not the one that was noted elsewhere");
  }

  std::string_view site_;
  std::optional<LedgerHead> expected_;
  LedgerHead head_;
};

// The records in bytes that come in pieces, which end anywhere.
class RecordReader {
 public:
  using Take = std::function<Result<void>(LedgerRecord)>;
  explicit RecordReader(std::string_view site) : site_(site) {}

  // Errors: kDataLoss (names the record), `take`'s.
  Result<void> Feed(std::span<const std::uint8_t> piece, const Take& take) {
    if (!left_.empty()) {
      left_.insert(left_.end(), piece.begin(), piece.end());
      piece = left_;
    }
    std::size_t at = 0;
    while (IsWhole(piece.subspan(at))) {
      auto decoded = DecodeRecord(piece.subspan(at));
      if (!decoded) return tl::unexpected<Error>(At(decoded.error()));
      at += decoded->second;
      byte_ += decoded->second;
      ++count_;
      CONSILIUM_TRY(take(std::move(decoded->first)));
    }
    left_ = Bytes(piece.begin() + static_cast<std::ptrdiff_t>(at), piece.end());
    return {};
  }
  // No piece follows. Errors: kDataLoss (a record is cut off).
  Result<void> End() const {
    if (left_.empty()) return {};
    return tl::unexpected<Error>(At(DecodeRecord(left_).error()));
  }

 private:
  // Or damaged: what DecodeRecord can tell.
  static bool IsWhole(std::span<const std::uint8_t> bytes) {
    ByteReader reader(bytes);
    const std::uint64_t length = reader.U32();
    return !reader.failed() && (length > kRecordBytesMax || bytes.size() >= length + 36);
  }
  [[nodiscard]] Error At(const Error& error) const {
    return Within(fmt::format("site {}: ledger: record {} (byte {})", site_, count_, byte_), error);
  }

  std::string_view site_;
  std::uint64_t count_ = 0, byte_ = 0;
  Bytes left_;  // the beginning of a record
};

class MemorySink : public LedgerSink {
 public:
  Result<void> Append(std::span<const std::uint8_t> record) override {
    bytes_.insert(bytes_.end(), record.begin(), record.end());
    return {};
  }
  [[nodiscard]] Result<void> Read(const TakePiece& take) const override { return take(bytes_); }

 private:
  Bytes bytes_;
};

}  // namespace

Result<void> VerifyLedger(std::string_view site, std::span<const LedgerRecord> records,
                          std::optional<LedgerHead> expected) {
  ChainCheck chain(site, expected);
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (HashOf(records[i]) != records[i].hash)
      return chain.Broken(i, "its hash is not that of its fields: it was changed");
    CONSILIUM_TRY(chain.Next(records[i]));
  }
  CONSILIUM_TRY(chain.End());
  return {};
}

Result<std::vector<LedgerRecord>> DecodeLedger(std::string_view site,
                                               std::span<const std::uint8_t> bytes,
                                               std::optional<LedgerHead> expected) {
  std::vector<LedgerRecord> records;
  ChainCheck chain(site, expected);
  RecordReader reader(site);
  const auto read = reader.Feed(bytes, [&](LedgerRecord record) -> Result<void> {
    CONSILIUM_TRY(chain.Next(record));
    records.push_back(std::move(record));
    return {};
  });
  CONSILIUM_TRY(read);
  CONSILIUM_TRY(reader.End());
  CONSILIUM_TRY(chain.End());
  return records;
}

Result<std::vector<LedgerRecord>> DecodeLedgerLines(std::string_view site, std::string_view lines,
                                                    std::optional<LedgerHead> expected) {
  std::vector<LedgerRecord> records;
  ChainCheck chain(site, expected);
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    auto record = FromLine(lines.substr(0, end));
    if (!record) {
      return tl::unexpected(
          Within(fmt::format("site {}: ledger: line {}", site, records.size() + 1),
                 std::move(record).error()));
    }
    CONSILIUM_TRY(chain.Next(*record));
    records.push_back(std::move(*record));
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  CONSILIUM_TRY(chain.End());
  return records;
}

Ledger::Ledger(std::string site, LedgerSink* sink)
    : site_(std::move(site)), sink_(sink), head_(EmptyHead(site_)) {
  if (sink_ != nullptr) return;
  own_ = std::make_unique<MemorySink>();
  sink_ = own_.get();
}

Result<Ledger> Ledger::Open(std::string site, LedgerSink& sink,
                            std::optional<LedgerHead> expected) {
  Ledger ledger(std::move(site), &sink);
  ChainCheck chain(ledger.site_, expected);
  RecordReader reader(ledger.site_);
  const auto read = sink.Read([&](std::span<const std::uint8_t> piece) {
    return reader.Feed(piece, [&](LedgerRecord record) -> Result<void> {
      CONSILIUM_TRY(chain.Next(record));
      ledger.last_ = std::move(record);
      return {};
    });
  });
  CONSILIUM_TRY(read);
  CONSILIUM_TRY(reader.End());
  const auto head = chain.End();
  CONSILIUM_TRY(head);
  ledger.head_ = *head;
  return ledger;
}

Result<void> Ledger::Append(LedgerRecord record) {
  MakePlain(record);
  record.sequence = head_.count;
  record.previous = head_.hash;
  const Bytes encoded = EncodeRecord(record);
  std::copy_n(encoded.end() - 32, 32, record.hash.bytes.begin());  // its hash stands at the end
  if (auto kept = sink_->Append(encoded); !kept) {
    return tl::unexpected(Within(fmt::format("site {}: ledger: record {}", site_, record.sequence),
                                 std::move(kept).error()));
  }
  head_ = {head_.count + 1, record.hash};
  last_ = std::move(record);
  return {};
}

Result<void> Ledger::Each(const std::function<Result<void>(const LedgerRecord&)>& take) const {
  RecordReader reader(site_);
  std::uint64_t count = 0;
  const auto read = sink_->Read([&](std::span<const std::uint8_t> piece) {
    return reader.Feed(piece, [&](const LedgerRecord& record) {
      ++count;
      return take(record);
    });
  });
  CONSILIUM_TRY(read);
  CONSILIUM_TRY(reader.End());
  if (count == head_.count) return {};
  return Fail(ErrorCode::kDataLoss,
              fmt::format("site {}: ledger: {} records were kept, {} can be read back; stop the "
                          "agent and look at its disk",
                          site_, head_.count, count));
}

std::vector<LedgerRecord> Ledger::records() const {
  std::vector<LedgerRecord> records;
  const auto read = Each([&](const LedgerRecord& record) -> Result<void> {
    records.push_back(record);
    return {};
  });
  CONSILIUM_CHECK(read.has_value(), "the ledger cannot be read back");
  return records;
}

std::vector<EquationCount> CountEquations(std::span<const LedgerRecord> records) {
  std::vector<EquationCount> counts;
  std::map<std::pair<Digest, Digest>, std::size_t> index;        // (study, row set) -> position
  std::set<std::tuple<Digest, Digest, Digest, Digest>> counted;  // (study, roster, query, row set)
  for (const LedgerRecord& record : records) {
    if (record.event != LedgerEvent::kQueryAnswered && record.event != LedgerEvent::kReleaseGiven)
      continue;
    const auto count = [&](const Digest& set, std::uint64_t rows) {
      if (rows == 0 || !counted.insert({record.study, record.roster, record.query, set}).second)
        return;
      const auto [place, fresh] = index.try_emplace({record.study, set}, counts.size());
      if (fresh) counts.push_back({record.study, record.study_name, set, rows, 0, 0});
      ++counts[place->second].queries;
      counts[place->second].equations += record.equations;
    };
    count(record.training_set, record.training_rows);
    count(record.left_out_set, record.left_out_rows);
  }
  return counts;
}

}  // namespace consilium::site_agent
