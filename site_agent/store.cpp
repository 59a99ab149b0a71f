#include "site_agent/store.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "federation/wire/wire.h"
#include "identity/operator.h"
#include "identity/private_key.h"

namespace consilium::site_agent {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::uintmax_t kJsonBytesMax = std::uintmax_t{16} << 20;
constexpr std::size_t kSecretBytes = 32;
constexpr std::string_view kKeys = "keys.json", kEnrolment = "enrolment.json",
                           kLedger = "ledger.bin", kTorn = "ledger.torn", kHead = "head.json",
                           kApprovals = "approvals.jsonl", kStudies = "studies",
                           kSubmission = "submission.bin", kDecision = "decision.json",
                           kEnded = "ended.json", kLock = "lock", kDecisionLock = "decisions.lock";

std::span<const std::uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
std::string_view AsText(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool Exists(const fs::path& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

// Fields of one JSON object that this program wrote; anything else is damage.
class Fields {
 public:
  explicit Fields(const Json& json) : json_(json) {}

  template <typename T>
  void Get(const char* name, T& to) {
    const auto found = json_.find(name);
    if (found == json_.end()) {
      Miss(name);
      return;
    }
    Read(name, *found, to);
  }
  template <typename T>
  static bool Is(const Json& value) {
    if constexpr (std::is_same_v<T, std::string>) return value.is_string();
    if constexpr (std::is_same_v<T, bool>) return value.is_boolean();
    if constexpr (std::is_unsigned_v<T>) return value.is_number_unsigned();
    return value.is_number_integer();
  }
  void Hex(const char* name, std::span<std::uint8_t> to) {
    std::string text;
    Get(name, text);
    const auto bytes = FromHex(text);
    if (!bytes || bytes->size() != to.size()) {
      Miss(name);
      return;
    }
    std::copy(bytes->begin(), bytes->end(), to.begin());
  }
  // The list under `name`; empty if it is missing or none.
  const Json& List(const char* name) {
    static const Json kNone = Json::array();
    const auto found = json_.find(name);
    if (found != json_.end() && found->is_array()) return *found;
    Miss(name);
    return kNone;
  }
  void Miss(const char* name) {
    if (missed_.empty()) missed_ = name;
  }
  [[nodiscard]] const std::string& missed() const { return missed_; }

 private:
  template <typename T>
  void Read(const char* name, const Json& value, T& to) {
    if (Is<T>(value)) {
      to = value.get<T>();
    } else {
      Miss(name);
    }
  }
  const Json& json_;
  std::string missed_;
};

tl::unexpected<Error> Damaged(const fs::path& path, std::string_view what) {
  return Fail(ErrorCode::kDataLoss,
              fmt::format("{}: is damaged: {}; restore it from a copy", path.string(), what));
}

Result<Json> ParseJson(const fs::path& path, const std::string& text) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Damaged(path, "not a JSON object");
  const auto format = json.find("format");
  if (format == json.end() || !format->is_number_integer()) return Damaged(path, "no `format`");
  if (*format != 1) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: is of format {}, this program reads format 1; install the version "
                            "that wrote it",
                            path.string(), format->dump()));
  }
  return json;
}

Result<void> Finish(const fs::path& path, const Fields& fields) {
  if (fields.missed().empty()) return {};
  return Damaged(path, fmt::format("field '{}' is missing or wrong", fields.missed()));
}

// ---- decisions ----------------------------------------------------------------------------------

Json ToJson(const Approval& approval) {
  Json json{{"public_data", approval.public_data},
            {"fast_curvature", approval.fast_curvature},
            {"restart_without", approval.restart_without},
            {"leave_one_center_out", approval.leave_one_center_out},
            {"unix_ms", approval.unix_ms},
            {"pinned", Json::array()},
            {"columns", approval.columns},
            {"releases", Json::array()}};
  for (const RosterMember& member : approval.pinned)
    json["pinned"].push_back(Json{{"site", member.site}, {"fingerprint", Hex(member.fingerprint)}});
  for (const ReleaseRule& rule : approval.releases) {
    json["releases"].push_back(Json{{"block", rule.block},
                                    {"role", static_cast<int>(rule.role)},
                                    {"label_columns", rule.label_columns},
                                    {"follows", rule.follows}});
  }
  return json;
}

Result<Approval> ReadApproval(const fs::path& path, const Json& json) {
  Approval approval;
  Fields fields(json);
  fields.Get("public_data", approval.public_data);
  fields.Get("fast_curvature", approval.fast_curvature);
  fields.Get("restart_without", approval.restart_without);
  fields.Get("leave_one_center_out", approval.leave_one_center_out);
  fields.Get("unix_ms", approval.unix_ms);
  for (const Json& item : fields.List("pinned")) {
    RosterMember& member = approval.pinned.emplace_back();
    Fields of(item);
    of.Get("site", member.site);
    of.Hex("fingerprint", member.fingerprint.bytes);
    CONSILIUM_TRY(Finish(path, of));
  }
  for (const Json& item : fields.List("columns")) {
    if (!item.is_string()) return Damaged(path, "a column is no text");
    approval.columns.push_back(item.get<std::string>());
  }
  for (const Json& item : fields.List("releases")) {
    ReleaseRule& rule = approval.releases.emplace_back();
    Fields of(item);
    int role = 0;
    of.Get("block", rule.block);
    of.Get("role", role);
    of.Get("label_columns", rule.label_columns);
    of.Get("follows", rule.follows);
    if (role < static_cast<int>(ReleaseRole::kFlow) ||
        role > static_cast<int>(ReleaseRole::kSubgroups)) {
      of.Miss("role");
    }
    rule.role = static_cast<ReleaseRole>(role);
    CONSILIUM_TRY(Finish(path, of));
  }
  CONSILIUM_TRY(Finish(path, fields));
  return approval;
}

Json ToJson(const Decision& decision) {
  Json json{{"format", 1},
            {"word", Name(decision.word)},
            {"by", PlainText(decision.by)},
            {"unix_ms", decision.unix_ms},
            {"reason", PlainText(decision.reason)}};
  if (decision.approval) json["approval"] = ToJson(*decision.approval);
  return json;
}

Result<Decision> ReadDecision(const fs::path& path, const std::string& text) {
  const auto json = ParseJson(path, text);
  CONSILIUM_TRY(json);
  Decision decision;
  std::string word;
  Fields fields(*json);
  fields.Get("word", word);
  fields.Get("by", decision.by);
  fields.Get("unix_ms", decision.unix_ms);
  fields.Get("reason", decision.reason);
  CONSILIUM_TRY(Finish(path, fields));
  using Word = Decision::Word;
  bool known = false;
  for (const Word one : {Word::kWaiting, Word::kApproved, Word::kRejected}) {
    if (Name(one) != word) continue;
    decision.word = one;
    known = true;
  }
  if (!known) return Damaged(path, "its `word` is none of waiting, approved, rejected");
  const auto approval = json->find("approval");
  if ((approval != json->end()) != (decision.word == Word::kApproved))
    return Damaged(path, "an approval and its word contradict each other");
  if (approval != json->end()) {
    auto read = ReadApproval(path, *approval);
    CONSILIUM_TRY(read);
    decision.approval = std::move(*read);
  }
  return decision;
}

std::string ShortOf(const Digest& digest) { return Hex(digest).substr(0, 12); }

// ---- torn ends ----------------------------------------------------------------------------------

struct WholeLedger {
  std::size_t bytes = 0;
  std::uint64_t records = 0;
};

// Whether a whole record with a later number stands somewhere behind `at`: then what does not hold
// at `at` is damage and no torn end.
std::optional<std::size_t> LaterLedgerRecord(std::span<const std::uint8_t> bytes, std::size_t at,
                                             std::uint64_t number) {
  constexpr std::size_t kFrame = 36, kSequence = 4;
  for (std::size_t i = at + 1; i + kFrame + 8 <= bytes.size(); ++i) {
    ByteReader reader(bytes.subspan(i, kSequence + 8));
    const std::uint64_t length = reader.U32(), sequence = reader.U64();
    if (length + kFrame > bytes.size() - i || sequence <= number ||
        sequence - number > bytes.size()) {
      continue;
    }
    if (DecodeRecord(bytes.subspan(i))) return i;
  }
  return std::nullopt;
}

Result<WholeLedger> WholeLedgerRecords(std::string_view site, std::span<const std::uint8_t> bytes) {
  WholeLedger whole;
  while (whole.bytes < bytes.size()) {
    const auto record = DecodeRecord(bytes.subspan(whole.bytes));
    if (!record) {
      const auto later = LaterLedgerRecord(bytes, whole.bytes, whole.records);
      if (!later) break;
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("site {}: ledger: record {} (byte {}): {}; it is no torn end, since "
                              "a whole record stands behind it at byte {}. Restore the ledger from "
                              "a copy; until then nothing is answered",
                              site, whole.records, whole.bytes, record.error().message, *later));
    }
    whole.bytes += record->second;
    ++whole.records;
  }
  return whole;
}

std::optional<std::size_t> LaterLogRecord(std::span<const std::uint8_t> log, std::size_t at) {
  constexpr std::string_view kLabel = federation::kLogEntryLabel;
  constexpr std::size_t kBefore = 8 + 4;  // the record's length, the label's length
  const std::string_view text = AsText(log);
  for (auto found = text.find(kLabel, at + kBefore + 1); found != std::string_view::npos;
       found = text.find(kLabel, found + 1)) {
    const std::size_t begin = found - kBefore;
    const auto record = federation::NextRecord(log.subspan(begin));
    if (record && federation::DecodeEntry(record->body)) return begin;
  }
  return std::nullopt;
}

}  // namespace

std::string UtcText(std::int64_t unix_ms) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(unix_ms)};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(time - day).count();
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     minutes / 60, minutes % 60);
}

std::string_view Name(Decision::Word word) {
  switch (word) {
    case Decision::Word::kApproved:
      return "approved";
    case Decision::Word::kRejected:
      return "rejected";
    case Decision::Word::kWaiting:
      break;
  }
  return "waiting";
}

std::string StoredEnrolment::CoordinatorText() const {
  return identity::WithOperator(coordinator, operated_by);
}

Result<std::string> UnlockTlsKey(const StoredKeys& keys, std::string_view passphrase) {
  if (!identity::IsEncryptedKey(keys.tls_key_pem)) return keys.tls_key_pem;
  if (passphrase.empty()) {
    return Fail(ErrorCode::kFailedPrecondition,
                "the TLS key is locked with a passphrase; set CONSILIUM_PASSPHRASE to it (for the "
                "service: in /etc/consilium/site.env)");
  }
  auto unlocked = identity::DecryptKey(keys.tls_key_pem, passphrase);
  if (!unlocked && unlocked.error().code == ErrorCode::kPermissionDenied) {
    return Fail(ErrorCode::kPermissionDenied,
                "CONSILIUM_PASSPHRASE does not open the TLS key; correct it: capitals, the "
                "keyboard's language, quotes in /etc/consilium/site.env");
  }
  return unlocked;
}

SiteIdentity StoredKeys::Identity(std::string site) const {
  return {std::move(site), federation::SigningKey::FromSeed(signing.Seed()),
          federation::AgreementKey::FromSecret(agreement.Secret()), secret};
}

// ---- SiteLedger ---------------------------------------------------------------------------------

class SiteLedger::File : public LedgerSink {
 public:
  // The first `bytes` of the file; until OpenToWrite it is only read.
  File(fs::path path, std::uint64_t bytes) : path_(std::move(path)), bytes_(bytes) {}

  // What stands behind the bytes is cut off.
  Result<void> OpenToWrite() {
    auto file = disk::AppendFile::Open(path_, bytes_);
    CONSILIUM_TRY(file);
    file_.emplace(std::move(*file));
    return {};
  }

  Result<void> Append(std::span<const std::uint8_t> record) override {
    waiting_.insert(waiting_.end(), record.begin(), record.end());
    return {};
  }
  // What waits too: it counts, although nothing may leave by it yet.
  Result<void> Read(const TakePiece& take) const override {
    const std::uint64_t bytes = file_ ? file_->size() : bytes_;
    if (bytes > 0) CONSILIUM_TRY(disk::ReadPieces(path_, bytes, take));
    return waiting_.empty() ? Result<void>() : take(waiting_);
  }
  Result<void> Sync() {
    if (waiting_.empty()) return {};
    CONSILIUM_TRY(file_->Append(waiting_));
    waiting_.clear();
    return {};
  }
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }

 private:
  fs::path path_;
  std::uint64_t bytes_;  // before it is written to
  std::optional<disk::AppendFile> file_;
  Bytes waiting_;
};

SiteLedger::SiteLedger() = default;
SiteLedger::~SiteLedger() = default;

Result<LedgerSynced> SiteLedger::Sync() {
  if (auto written = file_->Sync(); !written) {
    return tl::unexpected<Error>(
        Within(fmt::format("site {}: ledger", ledger_->site()), std::move(written).error()));
  }
  return LedgerSynced(ledger_->head());
}

std::size_t SiteLedger::unsynced_bytes() const { return file_->waiting(); }

// ---- StudyLog -----------------------------------------------------------------------------------

Result<void> StudyLog::Append(std::span<const std::uint8_t> record) {
  constexpr std::size_t kFrame = 8 + 32;
  const std::uint64_t body = ByteReader(record).U64();
  if (record.size() < kFrame || body != record.size() - kFrame) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: {} bytes are not one whole record of a log", file_.path().string(),
                            record.size()));
  }
  CONSILIUM_TRY(file_.Append(record));
  ++records_;
  return {};
}

// ---- SiteStore: the folder ----------------------------------------------------------------------

namespace {

Result<void> CheckFolder(const fs::path& folder) {
  struct stat about {};
  if (::stat(folder.c_str(), &about) != 0 || !S_ISDIR(about.st_mode)) {
    return Fail(ErrorCode::kNotFound,
                fmt::format("{}: there is no such folder; enrol the site first (consilium-site "
                            "enroll), or correct `state` in site.yaml",
                            folder.string()));
  }
  if (about.st_uid != ::geteuid()) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("{}: belongs to user {}, this is {}; run the command as that user: "
                            "sudo -u {} consilium-site ...",
                            folder.string(), disk::UserName(about.st_uid),
                            disk::UserName(::geteuid()), disk::UserName(about.st_uid)));
  }
  if ((about.st_mode & 077) != 0) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("{}: is open to others (mode {:04o}); run: chmod 0700 {}",
                            folder.string(), about.st_mode & 07777, folder.string()));
  }
  return {};
}

}  // namespace

Result<SiteStore> SiteStore::Open(const fs::path& folder) {
  CONSILIUM_TRY(disk::MakeFolder(folder, 0700));
  CONSILIUM_TRY(CheckFolder(folder));
  SiteStore store(folder);
  auto lock = disk::FileLock::Take(folder / kLock);
  if (!lock) {
    if (lock.error().code != ErrorCode::kFailedPrecondition)
      return tl::unexpected<Error>(lock.error());
    const pid_t holder = disk::LockHolder(folder / kLock);
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: another agent runs on this folder ({}); stop it first (systemctl "
                            "stop consilium-site), or name another folder under `state`",
                            folder.string(),
                            holder > 0 ? fmt::format("process {}", holder) : "process unknown"));
  }
  store.lock_ = std::move(*lock);
  return store;
}

Result<SiteStore> SiteStore::OpenBeside(const fs::path& folder) {
  CONSILIUM_TRY(CheckFolder(folder));
  return SiteStore(folder);
}

pid_t SiteStore::RunningAgent() const { return disk::LockHolder(folder_ / kLock); }

Result<void> SiteStore::RequireLock() const {
  if (lock_) return {};
  return Fail(ErrorCode::kFailedPrecondition,
              fmt::format("{}: only the agent of this folder writes this; stop the agent and run "
                          "the command again",
                          folder_.string()));
}

// ---- keys and enrolment -------------------------------------------------------------------------

namespace {

std::string KeysText(const StoredKeys& keys, std::string_view tls_key_pem) {
  return Dump(Json{{"format", 1},
                   {"signing_seed", Hex(keys.signing.Seed())},
                   {"agreement_secret", Hex(keys.agreement.Secret())},
                   {"secret", Hex(keys.secret)},
                   {"tls_key_pem", tls_key_pem}});
}

}  // namespace

Result<StoredKeys> SiteStore::LoadKeys() const {
  const fs::path path = folder_ / kKeys;
  if (!Exists(path)) {
    return Fail(
        ErrorCode::kNotFound,
        fmt::format("{}: this site has no keys; enrol it: consilium-site enroll", path.string()));
  }
  const auto text = disk::ReadSecret(path);
  CONSILIUM_TRY(text);
  const auto json = ParseJson(path, *text);
  CONSILIUM_TRY(json);
  federation::KeyBytes signing{}, agreement{};
  Bytes secret(kSecretBytes);
  std::string tls_key_pem;
  Fields fields(*json);
  fields.Hex("signing_seed", signing);
  fields.Hex("agreement_secret", agreement);
  fields.Hex("secret", secret);
  fields.Get("tls_key_pem", tls_key_pem);
  CONSILIUM_TRY(Finish(path, fields));
  return StoredKeys{federation::SigningKey::FromSeed(signing),
                    federation::AgreementKey::FromSecret(agreement), std::move(secret),
                    std::move(tls_key_pem)};
}

Result<StoredKeys> SiteStore::LoadOrCreateKeys(
    const std::function<Result<std::string>()>& new_tls_key) {
  if (Exists(folder_ / kKeys)) return LoadKeys();
  CONSILIUM_TRY(RequireLock());
  for (const std::string_view name : {kLedger, kEnrolment}) {
    if (!Exists(folder_ / name)) continue;
    return Fail(ErrorCode::kDataLoss,
                fmt::format("{}: the keys are gone, but there is {}; new keys would not fit it "
                            "(rows would be named anew): restore keys.json from a copy, or begin "
                            "with an empty folder and enrol anew",
                            (folder_ / kKeys).string(), name));
  }
  auto signing = federation::SigningKey::Generate();
  CONSILIUM_TRY(signing);
  auto agreement = federation::AgreementKey::Generate();
  CONSILIUM_TRY(agreement);
  Bytes secret(kSecretBytes);
  if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size())) {
    return Fail(ErrorCode::kUnavailable,
                "the system has no entropy for a new key; try again, or check /dev/urandom");
  }
  auto tls_key_pem = new_tls_key();
  CONSILIUM_TRY(tls_key_pem);
  StoredKeys keys{std::move(*signing), std::move(*agreement), std::move(secret),
                  std::move(*tls_key_pem)};
  CONSILIUM_TRY(disk::ReplaceFile(folder_ / kKeys, KeysText(keys, keys.tls_key_pem)));
  return keys;
}

Result<void> SiteStore::SaveTlsKey(std::string_view tls_key_pem) {
  CONSILIUM_TRY(RequireLock());
  const auto keys = LoadKeys();
  CONSILIUM_TRY(keys);
  return disk::ReplaceFile(folder_ / kKeys, KeysText(*keys, tls_key_pem));
}

Result<void> SiteStore::SaveEnrolment(const StoredEnrolment& enrolment) {
  CONSILIUM_TRY(RequireLock());
  return disk::ReplaceFile(folder_ / kEnrolment,
                           Dump(Json{{"format", 1},
                                     {"site", enrolment.site},
                                     {"certificate_pem", enrolment.certificate_pem},
                                     {"authority_pem", enrolment.authority_pem},
                                     {"address", enrolment.address},
                                     {"coordinator", enrolment.coordinator},
                                     {"coordinator_key", Hex(enrolment.coordinator_key.bytes())},
                                     {"operated_by", enrolment.operated_by},
                                     {"unix_ms", enrolment.unix_ms}}));
}

Result<StoredEnrolment> SiteStore::LoadEnrolment() const {
  const fs::path path = folder_ / kEnrolment;
  if (!Exists(path)) {
    return Fail(ErrorCode::kNotFound,
                fmt::format("{}: this site is not enrolled; ask the coordinator's operator for a "
                            "token and run: consilium-site enroll",
                            path.string()));
  }
  const auto text = disk::ReadSecret(path);
  CONSILIUM_TRY(text);
  const auto json = ParseJson(path, *text);
  CONSILIUM_TRY(json);
  StoredEnrolment enrolment;
  federation::KeyBytes key{};
  Fields fields(*json);
  fields.Get("site", enrolment.site);
  fields.Get("certificate_pem", enrolment.certificate_pem);
  fields.Get("authority_pem", enrolment.authority_pem);
  fields.Get("address", enrolment.address);
  fields.Get("coordinator", enrolment.coordinator);
  fields.Hex("coordinator_key", key);
  if (json->contains("operated_by")) fields.Get("operated_by", enrolment.operated_by);
  fields.Get("unix_ms", enrolment.unix_ms);
  CONSILIUM_TRY(Finish(path, fields));
  enrolment.coordinator_key = federation::VerifyingKey(key);
  return enrolment;
}

// ---- the ledger ---------------------------------------------------------------------------------

Result<std::unique_ptr<SiteLedger>> SiteStore::ReadKept(std::string_view site) const {
  // The head first: the ledger only grows, so it reaches a head that was there before it was read.
  const auto head = LoadHead();
  CONSILIUM_TRY(head);
  const auto expected = *head ? std::optional((*head)->head) : std::nullopt;
  const fs::path path = folder_ / kLedger;
  std::error_code gone;
  const std::uint64_t bytes = Exists(path) ? fs::file_size(path, gone) : 0;
  if (gone) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: cannot be read: {}", path.string(), gone.message()));
  }
  std::unique_ptr<SiteLedger> kept(new SiteLedger);
  kept->file_ = std::make_unique<SiteLedger::File>(path, bytes);
  auto ledger = Ledger::Open(std::string(site), *kept->file_, expected);
  if (!ledger) {
    auto text = disk::ReadFile(path);
    CONSILIUM_TRY(text);
    text->resize(std::min<std::size_t>(text->size(), bytes));
    const auto whole = WholeLedgerRecords(site, AsBytes(*text));
    CONSILIUM_TRY(whole);
    if (whole->bytes == text->size()) return tl::unexpected<Error>(ledger.error());
    kept->torn_ = text->substr(whole->bytes);
    // Before anything is cut off: the rest must hold, and reach what the coordinator has seen.
    kept->file_ = std::make_unique<SiteLedger::File>(path, whole->bytes);
    ledger = Ledger::Open(std::string(site), *kept->file_, expected);
    CONSILIUM_TRY(ledger);
  }
  kept->ledger_.emplace(std::move(*ledger));
  return kept;
}

Result<std::unique_ptr<const SiteLedger>> SiteStore::ReadLedger(std::string_view site) const {
  auto kept = ReadKept(site);
  CONSILIUM_TRY(kept);
  return std::unique_ptr<const SiteLedger>(std::move(*kept));
}

Result<std::unique_ptr<SiteLedger>> SiteStore::OpenLedger(std::string_view site) {
  CONSILIUM_TRY(RequireLock());
  auto opened = ReadKept(site);
  CONSILIUM_TRY(opened);
  SiteLedger& ledger = **opened;
  if (!ledger.torn_.empty()) {
    CONSILIUM_TRY(disk::ReplaceFile(folder_ / kTorn, ledger.torn_));
    ledger.note_ = fmt::format(
        "{}: record {} was not finished, as a crash or a full disk leaves it; its {} bytes were "
        "moved to {}. A record is flushed before its answer leaves, so nothing was sent by it",
        (folder_ / kLedger).string(), ledger.ledger().head().count, ledger.torn_.size(), kTorn);
    ledger.torn_.clear();
  }
  CONSILIUM_TRY(ledger.file_->OpenToWrite());
  return opened;
}

Result<void> SiteStore::SaveHead(const CountersignedHead& head) {
  CONSILIUM_TRY(RequireLock());
  const auto held = LoadHead();
  CONSILIUM_TRY(held);
  if (*held && (*held)->head.count >= head.head.count) return {};
  return disk::ReplaceFile(folder_ / kHead, Dump(Json{{"format", 1},
                                                      {"count", head.head.count},
                                                      {"hash", Hex(head.head.hash)},
                                                      {"signature", Hex(head.signature)},
                                                      {"unix_ms", head.unix_ms}}));
}

Result<std::optional<CountersignedHead>> SiteStore::LoadHead() const {
  const fs::path path = folder_ / kHead;
  if (!Exists(path)) return std::nullopt;
  const auto text = disk::ReadFile(path, kJsonBytesMax);
  CONSILIUM_TRY(text);
  const auto json = ParseJson(path, *text);
  CONSILIUM_TRY(json);
  CountersignedHead head;
  Fields fields(*json);
  fields.Get("count", head.head.count);
  fields.Hex("hash", head.head.hash.bytes);
  fields.Hex("signature", head.signature);
  fields.Get("unix_ms", head.unix_ms);
  CONSILIUM_TRY(Finish(path, fields));
  return head;
}

Result<LedgerVerdict> SiteStore::VerifyLedgerFile(std::string_view site) const {
  LedgerVerdict verdict;
  const auto head = LoadHead();
  CONSILIUM_TRY(head);
  if (*head) {
    const auto enrolment = LoadEnrolment();
    CONSILIUM_TRY(enrolment);
    const Bytes said = wire::HeadBytes(site, (*head)->head.count, (*head)->head.hash);
    if (const auto signed_by = enrolment->coordinator_key.Verify(said, (*head)->signature);
        !signed_by) {
      return tl::unexpected<Error>(
          Within(fmt::format("{}: the head is not countersigned by the coordinator '{}'",
                             (folder_ / kHead).string(), PlainText(enrolment->coordinator)),
                 signed_by.error()));
    }
    verdict.countersigned = **head;
    verdict.coordinator = enrolment->coordinator;
  }
  const auto ledger = ReadLedger(site);
  CONSILIUM_TRY(ledger);
  verdict.head = (*ledger)->ledger().head();
  verdict.torn_bytes = (*ledger)->torn_bytes();
  return verdict;
}

// ---- studies ------------------------------------------------------------------------------------

fs::path SiteStore::StudyFolder(const Digest& digest) const {
  return folder_ / kStudies / Hex(digest);
}

Result<bool> SiteStore::AddStudy(const study::Submission& submission, std::int64_t unix_ms) {
  CONSILIUM_TRY(RequireLock());
  const Bytes bytes = study::EncodeSubmission(submission);
  const fs::path folder = StudyFolder(Sha256(bytes));
  if (Exists(folder / kSubmission)) return false;
  CONSILIUM_TRY(disk::MakeFolder(folder, 0700));
  // The submission last: a study without one was never added.
  Decision decision;
  decision.unix_ms = unix_ms;
  CONSILIUM_TRY(disk::ReplaceFile(folder / kDecision, Dump(ToJson(decision))));
  CONSILIUM_TRY(disk::ReplaceFile(folder / kSubmission, AsText(bytes)));
  return true;
}

Result<Decision> SiteStore::LoadDecision(const Digest& digest) const {
  const fs::path folder = StudyFolder(digest);
  if (!Exists(folder / kSubmission)) {
    return Fail(ErrorCode::kNotFound,
                fmt::format("{}: there is no study {}", folder_.string(), ShortOf(digest)));
  }
  const auto text = disk::ReadFile(folder / kDecision, kJsonBytesMax);
  CONSILIUM_TRY(text);
  return ReadDecision(folder / kDecision, *text);
}

Result<StoredStudy> SiteStore::LoadStudy(const Digest& digest) const {
  const fs::path folder = StudyFolder(digest);
  StoredStudy stored;
  stored.digest = digest;
  auto decision = LoadDecision(digest);
  CONSILIUM_TRY(decision);
  stored.decision = std::move(*decision);
  const auto bytes = disk::ReadFile(folder / kSubmission, kJsonBytesMax);
  CONSILIUM_TRY(bytes);
  if (Sha256(*bytes) != digest)
    return Damaged(folder / kSubmission, "its digest is not the name of its folder");
  auto submission = study::DecodeSubmission(AsBytes(*bytes));
  if (!submission) {
    return tl::unexpected<Error>(
        Within((folder / kSubmission).string(), std::move(submission).error()));
  }
  stored.submission = std::move(*submission);
  if (const fs::path path = folder / kEnded; Exists(path)) {
    const auto text = disk::ReadFile(path, kJsonBytesMax);
    CONSILIUM_TRY(text);
    const auto json = ParseJson(path, *text);
    CONSILIUM_TRY(json);
    StudyEnd end;
    Fields fields(*json);
    fields.Get("state", end.state);
    fields.Get("why", end.why);
    fields.Get("unix_ms", end.unix_ms);
    CONSILIUM_TRY(Finish(path, fields));
    stored.ended = std::move(end);
  }
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    constexpr std::string_view kBegin = "log-", kEnd = ".bin";
    if (!name.starts_with(kBegin) || !name.ends_with(kEnd)) continue;
    const std::string digits =
        name.substr(kBegin.size(), name.size() - kBegin.size() - kEnd.size());
    std::uint32_t attempt = 0;
    const auto [last, wrong] =
        std::from_chars(digits.data(), digits.data() + digits.size(), attempt);
    if (wrong == std::errc() && last == digits.data() + digits.size())
      stored.attempts.push_back(attempt);
  }
  if (error) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: cannot be listed ({}); check the disk and the rights",
                            folder.string(), error.message()));
  }
  std::sort(stored.attempts.begin(), stored.attempts.end());
  return stored;
}

Result<SiteStore::StudyList> SiteStore::ListStudies() const {
  StudyList list;
  const fs::path folder = folder_ / kStudies;
  if (!Exists(folder)) return list;
  std::vector<Digest> digests;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    const auto bytes = FromHex(entry->path().filename().string());
    Digest digest;
    if (!bytes || bytes->size() != digest.bytes.size()) {
      list.problems.push_back(fmt::format("{}: is no study; move it away", entry->path().string()));
      continue;
    }
    std::copy(bytes->begin(), bytes->end(), digest.bytes.begin());
    if (Exists(entry->path() / kSubmission)) digests.push_back(digest);
  }
  if (error) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: cannot be listed ({}); check the disk and the rights",
                            folder.string(), error.message()));
  }
  std::sort(digests.begin(), digests.end());
  for (const Digest& digest : digests) {
    if (auto stored = LoadStudy(digest)) {
      list.studies.push_back(std::move(*stored));
    } else {
      list.problems.push_back(stored.error().message);
    }
  }
  std::sort(list.problems.begin(), list.problems.end());
  return list;
}

Result<void> SiteStore::Decide(const Digest& digest, const Decision& decision,
                               std::optional<Decision::Word> if_word) {
  CONSILIUM_CHECK(decision.approval.has_value() == (decision.word == Decision::Word::kApproved),
                  "an approval comes with the word");
  const auto lock = disk::FileLock::Wait(folder_ / kDecisionLock);
  CONSILIUM_TRY(lock);
  const auto held = LoadStudy(digest);
  CONSILIUM_TRY(held);
  const std::string which = fmt::format("study {}", ShortOf(digest));
  const auto said = [](const Decision& by) {
    return fmt::format("{} by {} on {}", Name(by.word), by.by.empty() ? "nobody" : by.by,
                       UtcText(by.unix_ms));
  };
  if (held->ended) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: it ended on {} ({}); nothing is left to decide", which,
                            UtcText(held->ended->unix_ms), held->ended->state));
  }
  if (held->decision.word == decision.word) {
    return Fail(ErrorCode::kAlreadyExists,
                fmt::format("{}: it was {}; nothing changed", which, said(held->decision)));
  }
  if (if_word && held->decision.word != *if_word) {
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("{}: it was {} meanwhile; look at it again", which, said(held->decision)));
  }
  // The line first: no decision without its line.
  const auto study = study::StudyOf(held->submission);
  Json line{{"unix_ms", decision.unix_ms},
            {"utc", UtcText(decision.unix_ms)},
            {"study", Hex(digest)},
            {"name", study ? study->name : std::string()},
            {"lead", PlainText(held->submission.lead)},
            {"lead_key", Hex(held->submission.lead_key.fingerprint())}};
  const Json told = ToJson(decision);  // items() refers to it
  for (const auto& [key, value] : told.items()) {
    if (key != "format" && key != "unix_ms") line[key] = value;
  }
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  const fs::path path = folder_ / kApprovals;
  std::size_t keep = 0;
  if (Exists(path)) {
    const auto lines = disk::ReadFile(path);
    CONSILIUM_TRY(lines);
    keep = lines->rfind('\n') == std::string::npos ? 0 : lines->rfind('\n') + 1;
  }
  auto file = disk::AppendFile::Open(path, keep);
  CONSILIUM_TRY(file);
  CONSILIUM_TRY(file->Append(AsBytes(text)));
  return disk::ReplaceFile(StudyFolder(digest) / kDecision, Dump(ToJson(decision)));
}

Result<void> SiteStore::EndStudy(const Digest& digest, const StudyEnd& end) {
  CONSILIUM_TRY(RequireLock());
  const auto lock = disk::FileLock::Wait(folder_ / kDecisionLock);
  CONSILIUM_TRY(lock);
  CONSILIUM_TRY(LoadDecision(digest));
  const fs::path path = StudyFolder(digest) / kEnded;
  if (Exists(path)) return {};
  return disk::ReplaceFile(path, Dump(Json{{"format", 1},
                                           {"state", PlainText(end.state)},
                                           {"why", PlainText(end.why)},
                                           {"unix_ms", end.unix_ms}}));
}

// ---- logs ---------------------------------------------------------------------------------------

namespace {

std::string LogName(std::uint32_t attempt) { return fmt::format("log-{}.bin", attempt); }

}  // namespace

Result<LogExtent> SiteStore::ScanLog(const Digest& study, std::uint32_t attempt,
                                     const TakeRecord& take) const {
  constexpr std::uint64_t kLength = 8, kHash = 32;
  const fs::path path = StudyFolder(study) / LogName(attempt);
  LogExtent extent;
  if (!Exists(path)) return extent;
  std::error_code error;
  const std::uint64_t size = fs::file_size(path, error);
  std::ifstream file(path, std::ios::binary);
  const auto unreadable = [&] {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: cannot be read at byte {}: {}; check the disk and the file's "
                            "owner",
                            path.string(), extent.bytes, std::strerror(errno)));
  };
  if (error || !file) return unreadable();
  Bytes record;
  // From extent.bytes on, `count` bytes in all.
  const auto read = [&](std::uint64_t count) {
    const std::size_t held = record.size();
    record.resize(count);
    file.read(reinterpret_cast<char*>(record.data()) + held,
              static_cast<std::streamsize>(count - held));
    return file.good();
  };
  while (extent.bytes < size) {
    const std::uint64_t left = size - extent.bytes;
    record.clear();
    if (left >= kLength + kHash) {
      if (!read(kLength)) return unreadable();
      const std::uint64_t body = ByteReader(record).U64();
      if (body <= left - kLength - kHash) {
        if (!read(kLength + body + kHash)) return unreadable();
      }
    }
    if (record.size() <= kLength || !federation::NextRecord(record)) {
      // Torn, or damaged: only then is the rest looked at as a whole.
      record.resize(std::min<std::uint64_t>(record.size(), left));
      if (!read(left)) return unreadable();
      if (const auto later = LaterLogRecord(record, 0)) {
        return Fail(
            ErrorCode::kDataLoss,
            fmt::format("{}: record {} (byte {}) is damaged, and a whole record stands "
                        "behind it at byte {}; restore the log from a copy",
                        path.string(), extent.records, extent.bytes, extent.bytes + *later));
      }
      extent.torn_bytes = left;
      return extent;
    }
    if (take) CONSILIUM_TRY(take(record));
    extent.bytes += record.size();
    ++extent.records;
  }
  return extent;
}

Result<StoredLog> SiteStore::ReadLog(const Digest& study, std::uint32_t attempt) const {
  StoredLog log;
  const auto extent =
      ScanLog(study, attempt, [&](std::span<const std::uint8_t> record) -> Result<void> {
        log.bytes.insert(log.bytes.end(), record.begin(), record.end());
        return {};
      });
  CONSILIUM_TRY(extent);
  log.records = extent->records;
  log.torn_bytes = extent->torn_bytes;
  return log;
}

Result<std::unique_ptr<StudyLog>> SiteStore::OpenLog(const Digest& study, std::uint32_t attempt) {
  CONSILIUM_TRY(RequireLock());
  CONSILIUM_TRY(LoadDecision(study));
  const auto log = ScanLog(study, attempt, nullptr);
  CONSILIUM_TRY(log);
  auto file = disk::AppendFile::Open(StudyFolder(study) / LogName(attempt), log->bytes);
  CONSILIUM_TRY(file);
  return std::unique_ptr<StudyLog>(new StudyLog(std::move(*file), log->records));
}

}  // namespace consilium::site_agent
