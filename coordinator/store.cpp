#include "coordinator/store.h"

#include <SQLiteCpp/Backup.h>
#include <SQLiteCpp/SQLiteCpp.h>
#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>

namespace consilium::coordinator {
namespace {

constexpr int kApplicationId = 0x43534C4D;  // "CSLM", in the file's header at byte 68
// Measured from 4 to 64 kB (tests/bench/store_bench.cpp): a durable append of 8 kB takes what the
// disk takes with any, one of 8 MB half as long with 32 kB as with 4.
constexpr std::int64_t kPageBytes = 32768;
// A record is kept in pieces, so that neither SQLite's bound on a value (1e9 bytes) nor its working
// copy of one row grows with the record.
constexpr std::size_t kPieceBytes = std::size_t{4} << 20;
constexpr std::uint64_t kStoreBytesMin = std::uint64_t{4} << 20;
// The write-ahead log is cut back to this after it was longer.
constexpr std::int64_t kWalBytesKept = std::int64_t{64} << 20;

constexpr const char* kSchema = R"sql(
CREATE TABLE meta(
  key TEXT PRIMARY KEY,
  value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE tokens(
  secret_hash BLOB PRIMARY KEY CHECK(length(secret_hash) = 32),
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  used_ms INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE members(
  name TEXT PRIMARY KEY,
  role TEXT NOT NULL,
  signing_key BLOB NOT NULL CHECK(length(signing_key) = 32),
  agreement_key BLOB NOT NULL CHECK(length(agreement_key) = 32),
  serial TEXT NOT NULL UNIQUE REFERENCES certificates(serial) DEFERRABLE INITIALLY DEFERRED,
  state TEXT NOT NULL CHECK(state IN ('active', 'revoked')),
  revoked_reason TEXT NOT NULL,
  revoked_ms INTEGER,
  enrolled_ms INTEGER NOT NULL,
  last_seen_ms INTEGER,
  CHECK((state = 'revoked') = (revoked_ms IS NOT NULL))) STRICT;
CREATE TABLE certificates(
  serial TEXT PRIMARY KEY,
  name TEXT NOT NULL REFERENCES members(name) DEFERRABLE INITIALLY DEFERRED,
  fingerprint BLOB NOT NULL CHECK(length(fingerprint) = 32),
  not_after_ms INTEGER NOT NULL,
  pem TEXT NOT NULL,
  issued_ms INTEGER NOT NULL,
  revoked_reason TEXT NOT NULL DEFAULT '',
  revoked_ms INTEGER) STRICT;
CREATE INDEX certificates_by_name ON certificates(name);
CREATE TABLE studies(
  place INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE CHECK(length(id) = 64),
  name TEXT NOT NULL,
  lead TEXT NOT NULL,
  state TEXT NOT NULL
    CHECK(state IN ('offered', 'running', 'paused', 'finished', 'failed', 'cancelled')),
  reason TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  submitted_ms INTEGER NOT NULL,
  started_ms INTEGER,
  ended_ms INTEGER,
  file TEXT NOT NULL,
  submission BLOB NOT NULL) STRICT;
CREATE TABLE study_sites(
  study TEXT NOT NULL REFERENCES studies(id),
  site TEXT NOT NULL,
  state TEXT NOT NULL CHECK(state IN ('offered', 'waiting', 'approved', 'rejected', 'joined')),
  sentence TEXT NOT NULL,
  join_message BLOB NOT NULL,
  changed_ms INTEGER NOT NULL,
  PRIMARY KEY(study, site)) STRICT;
CREATE INDEX study_sites_by_site ON study_sites(site);
CREATE TABLE attempts(
  study TEXT NOT NULL REFERENCES studies(id),
  attempt INTEGER NOT NULL,
  roster BLOB NOT NULL,
  began_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  why TEXT NOT NULL,
  PRIMARY KEY(study, attempt)) STRICT;
CREATE TABLE log_pieces(
  study TEXT NOT NULL,
  attempt INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  piece INTEGER NOT NULL,
  record_bytes INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  PRIMARY KEY(study, attempt, sequence, piece),
  FOREIGN KEY(study, attempt) REFERENCES attempts(study, attempt)) STRICT;
CREATE TABLE artifacts(
  study TEXT NOT NULL REFERENCES studies(id),
  file_name TEXT NOT NULL,
  digest BLOB NOT NULL CHECK(length(digest) = 32),
  bytes BLOB NOT NULL,
  PRIMARY KEY(study, file_name)) STRICT;
CREATE TABLE ledger_heads(
  place INTEGER PRIMARY KEY,
  site TEXT NOT NULL,
  count INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK(length(hash) = 32),
  signature BLOB NOT NULL,
  received_ms INTEGER NOT NULL,
  UNIQUE(site, count)) STRICT;
CREATE TABLE events(
  sequence INTEGER PRIMARY KEY,
  unix_ms INTEGER NOT NULL,
  who TEXT NOT NULL,
  what TEXT NOT NULL,
  detail TEXT NOT NULL) STRICT;
CREATE TRIGGER log_is_not_changed BEFORE UPDATE ON log_pieces
  BEGIN SELECT RAISE(ABORT, 'the log of totals is append-only'); END;
CREATE TRIGGER log_is_not_deleted BEFORE DELETE ON log_pieces
  BEGIN SELECT RAISE(ABORT, 'the log of totals is append-only'); END;
CREATE TRIGGER heads_are_not_changed BEFORE UPDATE ON ledger_heads
  BEGIN SELECT RAISE(ABORT, 'ledger heads are append-only'); END;
CREATE TRIGGER heads_are_not_deleted BEFORE DELETE ON ledger_heads
  BEGIN SELECT RAISE(ABORT, 'ledger heads are append-only'); END;
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
  BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
  BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
)sql";

constexpr std::array<std::pair<MemberState, std::string_view>, 2> kMemberStates = {
    {{MemberState::kActive, "active"}, {MemberState::kRevoked, "revoked"}}};
constexpr std::array<std::pair<SerialStanding, std::string_view>, 3> kStandings = {
    {{SerialStanding::kCurrent, "current"},
     {SerialStanding::kOld, "old"},
     {SerialStanding::kRevoked, "revoked"}}};
constexpr std::array<std::pair<StudyState, std::string_view>, 6> kStudyStates = {
    {{StudyState::kOffered, "offered"},
     {StudyState::kRunning, "running"},
     {StudyState::kPaused, "paused"},
     {StudyState::kFinished, "finished"},
     {StudyState::kFailed, "failed"},
     {StudyState::kCancelled, "cancelled"}}};
constexpr std::array<std::pair<SiteState, std::string_view>, 5> kSiteStates = {
    {{SiteState::kOffered, "offered"},
     {SiteState::kWaiting, "waiting"},
     {SiteState::kApproved, "approved"},
     {SiteState::kRejected, "rejected"},
     {SiteState::kJoined, "joined"}}};

template <typename Table, typename State>
std::string_view NameIn(const Table& table, State state) {
  for (const auto& [value, name] : table) {
    if (value == state) return name;
  }
  CONSILIUM_CHECK(false, "a state without a name");
  return {};
}

std::string Utc(std::int64_t unix_ms) {
  constexpr std::int64_t kYear10000 = 253402300800;
  const std::int64_t seconds = unix_ms / 1000;
  if (unix_ms < 0 || seconds >= kYear10000) return fmt::format("{} ms", unix_ms);
  return fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

std::string Folder(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool IsFull(int code) { return code == ENOSPC || code == EDQUOT || code == EFBIG; }
bool IsForbidden(int code) { return code == EROFS || code == EACCES || code == EPERM; }

// What the operating system said about `path`.
Error SystemError(const std::string& path, std::string_view doing, int code) {
  const std::string where = fmt::format("store {}: cannot {}: ", path, doing);
  if (IsFull(code)) {
    return {ErrorCode::kResourceExhausted,
            where + fmt::format("no space is left on its disk ({}); free some and repeat",
                                std::strerror(code))};
  }
  if (IsForbidden(code)) {
    return {ErrorCode::kUnavailable,
            where + fmt::format("{} may not be written ({}); make the folder and the file writable "
                                "for the user who runs the coordinator",
                                Folder(path), std::strerror(code))};
  }
  return {ErrorCode::kUnavailable,
          where + fmt::format("{}; check the folder {}", std::strerror(code), Folder(path))};
}

// What SQLite said; `code` is extended, `system_code` the errno behind an I/O error or 0.
Error StoreError(const std::string& path, const StoreOptions& options, std::string_view doing,
                 int code, int system_code, std::string_view words) {
  const std::string where = fmt::format("store {}: cannot {}: ", path, doing);
  switch (code & 0xff) {
    case SQLITE_FULL: {
      const std::string bound =
          options.bytes_max == 0
              ? ""
              : fmt::format(", or the store reached its bound of {} bytes (bytes_max)",
                            options.bytes_max);
      return {ErrorCode::kResourceExhausted,
              where + fmt::format("its disk is full{}; nothing was changed; free space below {}{} "
                                  "and repeat",
                                  bound, Folder(path), bound.empty() ? "" : " or raise the bound")};
    }
    case SQLITE_NOMEM:
      return {ErrorCode::kResourceExhausted,
              where + "there is no memory left; nothing was changed; give the process more"};
    case SQLITE_TOOBIG:
      return {ErrorCode::kResourceExhausted, where + "a value is beyond SQLite's bound"};
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorCode::kUnavailable,
              where + fmt::format("another process holds its lock (waited {} ms); repeat, and stop "
                                  "a second coordinator on this file if there is one",
                                  options.busy_timeout_ms)};
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {ErrorCode::kUnavailable,
              where + fmt::format("it is read-only ({}); make the file and its folder {} writable "
                                  "for the user who runs the coordinator",
                                  words, Folder(path))};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return {ErrorCode::kDataLoss,
              where + fmt::format("the file is damaged ({}); keep it aside and restore the newest "
                                  "backup",
                                  words)};
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
      if (system_code != 0) return SystemError(path, doing, system_code);
      return {ErrorCode::kUnavailable,
              where + fmt::format("{} (SQLite code {}); check the folder {} and its disk", words,
                                  code, Folder(path))};
    default:
      return {ErrorCode::kInternal, where + fmt::format("{} (SQLite code {})", words, code)};
  }
}

// A row that the schema allows and this program never wrote; leaves through Guard.
struct DamagedRow {
  std::string what;
};
// The transaction around a nested change was undone by SQLite (disk full, I/O error).
struct TransactionGone {};

// One use of a prepared statement; it is reset at the end whatever happens.
class Query {
 public:
  explicit Query(SQLite::Statement& statement) : statement_(statement) {}
  ~Query() {
    statement_.tryReset();
    try {
      statement_.clearBindings();
    } catch (const SQLite::Exception&) {  // cannot happen to a statement that was reset
    }
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // Parameters from left to right. Blobs are not copied: they outlive the query.
  Query& Bind(std::string_view text) {
    statement_.bind(next_++, std::string(text));
    return *this;
  }
  Query& Bind(std::int64_t value) {
    statement_.bind(next_++, value);
    return *this;
  }
  Query& Bind(std::uint32_t value) { return Bind(static_cast<std::int64_t>(value)); }
  // Beyond SQLite's integers there is nothing: the largest of them stands for it.
  Query& Bind(std::uint64_t value) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    return Bind(static_cast<std::int64_t>(std::min(value, kMax)));
  }
  Query& Bind(const std::optional<std::int64_t>& value) {
    if (value) return Bind(*value);
    statement_.bind(next_++);
    return *this;
  }
  Query& Bind(std::span<const std::uint8_t> blob) {
    // A null pointer would be NULL, not an empty blob.
    statement_.bindNoCopy(next_++, blob.empty() ? "" : static_cast<const void*>(blob.data()),
                          static_cast<int>(blob.size()));
    return *this;
  }
  Query& Bind(const Digest& digest) { return Bind(std::span<const std::uint8_t>(digest.bytes)); }

  bool Step() {
    at_ = 0;
    return statement_.executeStep();
  }
  void Run() {
    while (statement_.executeStep()) {
    }
  }

  // Columns from left to right.
  std::int64_t Integer() { return statement_.getColumn(at_++).getInt64(); }
  std::uint64_t Count() { return static_cast<std::uint64_t>(Integer()); }
  std::string Text() { return statement_.getColumn(at_++).getString(); }
  std::optional<std::int64_t> Moment() {
    const SQLite::Column column = statement_.getColumn(at_++);
    if (column.isNull()) return std::nullopt;
    return column.getInt64();
  }
  // Until the next Step.
  std::span<const std::uint8_t> Blob() {
    const SQLite::Column column = statement_.getColumn(at_++);
    const auto* const data = static_cast<const std::uint8_t*>(column.getBlob());
    return {data, static_cast<std::size_t>(column.getBytes())};
  }
  Bytes BlobCopy() {
    const auto blob = Blob();
    return {blob.begin(), blob.end()};
  }
  std::array<std::uint8_t, 32> Fixed() {
    const auto blob = Blob();
    std::array<std::uint8_t, 32> bytes{};
    if (blob.size() != bytes.size()) throw DamagedRow{"a digest or key is not 32 bytes long"};
    std::copy(blob.begin(), blob.end(), bytes.begin());
    return bytes;
  }
  Digest HexDigest() {
    const auto bytes = FromHex(Text());
    Digest digest;
    if (!bytes || bytes->size() != digest.bytes.size()) throw DamagedRow{"a study's id is no id"};
    std::copy(bytes->begin(), bytes->end(), digest.bytes.begin());
    return digest;
  }
  template <typename Table>
  auto State(const Table& table) {
    const std::string text = Text();
    for (const auto& [value, name] : table) {
      if (name == text) return value;
    }
    throw DamagedRow{"a state is none of the known ones"};
  }

 private:
  SQLite::Statement& statement_;
  int next_ = 1;
  int at_ = 0;
};

Result<void> CheckName(std::string_view what, std::string_view name) {
  const bool control = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  });
  if (!name.empty() && name.size() <= kStoredNameBytesMax && !control) return {};
  return Fail(
      ErrorCode::kInvalidArgument,
      fmt::format("{}: found {} bytes{}, expected 1 to {} without control characters", what,
                  name.size(), control ? " with a control character" : "", kStoredNameBytesMax));
}

Result<void> CheckFileName(std::string_view name) {
  CONSILIUM_TRY(CheckName("the file name of an artifact", name));
  if (name.find_first_of("/\\") == std::string_view::npos && name != "." && name != "..") return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("the file name of an artifact: found '{}', expected a name without a "
                          "folder",
                          name));
}

Result<void> CheckBlob(std::string_view what, std::size_t bytes) {
  if (bytes <= kStoredBlobBytesMax) return {};
  return Fail(ErrorCode::kResourceExhausted, fmt::format("{}: found {} bytes, expected at most {}",
                                                         what, bytes, kStoredBlobBytesMax));
}

Result<void> CheckOptions(const StoreOptions& options) {
  if (options.busy_timeout_ms < 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("busy_timeout_ms = {}, must be >= 0", options.busy_timeout_ms));
  }
  if (options.bytes_max != 0 && options.bytes_max < kStoreBytesMin) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("bytes_max = {}, must be 0 or >= {}",
                                                         options.bytes_max, kStoreBytesMin));
  }
  return {};
}

Error NoStudy(const Digest& study) {
  return {ErrorCode::kNotFound,
          fmt::format("study {}: this coordinator has no such study; list the studies it has",
                      Hex(study))};
}
Error NoMember(std::string_view name) {
  return {ErrorCode::kNotFound,
          fmt::format("member '{}': nobody of this name is enrolled; list the members", name)};
}

bool Exists(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

// A file that appears under its name only when it is whole: written as NAME.new, then renamed.
class NewFile {
 public:
  static Result<NewFile> Begin(const std::string& path, std::string_view doing) {
    if (Exists(path)) {
      return Fail(ErrorCode::kAlreadyExists,
                  fmt::format("store {}: cannot {}: there is a file of this name; it is never "
                              "overwritten: choose another, or move it away",
                              path, doing));
    }
    NewFile file(path, std::string(doing));
    const int fd = open(file.unfinished_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) {
      return Fail(ErrorCode::kAlreadyExists,
                  fmt::format("store {}: cannot {}: {} is there, of a process that still runs or "
                              "was killed; if none runs, remove it and repeat",
                              path, doing, file.unfinished_));
    }
    if (fd < 0) return tl::unexpected(SystemError(path, doing, errno));
    close(fd);
    file.owned_ = true;
    return file;
  }
  NewFile(NewFile&& other) noexcept
      : path_(std::move(other.path_)),
        doing_(std::move(other.doing_)),
        unfinished_(std::move(other.unfinished_)),
        owned_(std::exchange(other.owned_, false)) {}
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile() {
    if (!owned_) return;
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
      unlink((unfinished_ + suffix).c_str());
    }
  }
  [[nodiscard]] const std::string& unfinished() const { return unfinished_; }

  // Nobody has the file open. After this it survives a crash under its name.
  Result<void> Finish() {
    const int fd = open(unfinished_.c_str(), O_RDONLY | O_CLOEXEC);
    const bool synced = fd >= 0 && fsync(fd) == 0;
    const int sync_error = errno;
    if (fd >= 0) close(fd);
    if (!synced) return tl::unexpected(SystemError(path_, doing_, sync_error));
    int renamed =
        renameat2(AT_FDCWD, unfinished_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE);
    if (renamed != 0 && (errno == EINVAL || errno == ENOSYS)) {  // a file system without it
      renamed = link(unfinished_.c_str(), path_.c_str());
      if (renamed == 0) unlink(unfinished_.c_str());
    }
    if (renamed != 0 && errno == EEXIST) {
      return Fail(ErrorCode::kAlreadyExists,
                  fmt::format("store {}: cannot {}: somebody made a file of this name meanwhile",
                              path_, doing_));
    }
    if (renamed != 0) return tl::unexpected(SystemError(path_, doing_, errno));
    owned_ = false;
    const std::string folder = Folder(path_);
    const int folder_fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool folder_synced = folder_fd >= 0 && fsync(folder_fd) == 0;
    const int folder_error = errno;
    if (folder_fd >= 0) close(folder_fd);
    if (!folder_synced) return tl::unexpected(SystemError(path_, doing_, folder_error));
    return {};
  }

 private:
  NewFile(std::string path, std::string doing)
      : path_(std::move(path)), doing_(std::move(doing)), unfinished_(path_ + ".new") {}
  std::string path_;
  std::string doing_;
  std::string unfinished_;
  bool owned_ = false;
};

// Runs `work`, which returns a Result; nothing thrown leaves.
template <typename Work>
auto Guard(const std::string& path, const StoreOptions& options, sqlite3* handle,
           std::string_view doing, Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const SQLite::Exception& exception) {
    const int extended = exception.getExtendedErrorCode();
    const int code = extended > 0 ? extended : exception.getErrorCode();
    const int kind = code & 0xff;
    // Only these two tell what the operating system said.
    const bool has_errno = handle != nullptr && (kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN);
    return tl::unexpected(StoreError(path, options, doing, code,
                                     has_errno ? sqlite3_system_errno(handle) : 0,
                                     exception.what()));
  } catch (const DamagedRow& row) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("store {}: cannot {}: {}; keep the file aside and restore the newest "
                            "backup",
                            path, doing, row.what));
  } catch (const TransactionGone&) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("store {}: cannot {}: the transaction around it was undone after an "
                            "earlier error; repeat the whole of it",
                            path, doing));
  } catch (const std::bad_alloc&) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("store {}: cannot {}: there is no memory left", path, doing));
  }
}

}  // namespace

std::string_view Name(MemberState state) { return NameIn(kMemberStates, state); }
std::string_view Name(SerialStanding standing) { return NameIn(kStandings, standing); }
bool HasEnded(StudyState state) {
  return state == StudyState::kFinished || state == StudyState::kFailed ||
         state == StudyState::kCancelled;
}

std::string_view Name(StudyState state) { return NameIn(kStudyStates, state); }
std::string_view Name(SiteState state) { return NameIn(kSiteStates, state); }

struct Store::Impl {
  Impl(std::string path_in, const StoreOptions& options_in, const std::string& file)
      : path(std::move(path_in)),
        options(options_in),
        db(file, SQLite::OPEN_READWRITE, options.busy_timeout_ms) {}

  // `sql` is a literal: statements are kept by it. One use of each at a time.
  SQLite::Statement& Sql(const char* sql) {
    const auto [entry, fresh] = statements.try_emplace(sql, db, sql);
    return entry->second;
  }

  // A transaction that is undone unless committed; inside another, a savepoint of it.
  class Transaction {
   public:
    explicit Transaction(Impl& impl) : impl_(impl), outer_(impl.depth == 0) {
      if (!outer_ && sqlite3_get_autocommit(impl.db.getHandle()) != 0) throw TransactionGone{};
      Query(impl.Sql(outer_ ? "BEGIN IMMEDIATE" : "SAVEPOINT inner_change")).Run();
      ++impl.depth;
    }
    ~Transaction() {
      if (done_) return;
      --impl_.depth;
      if (outer_) {
        impl_.db.tryExec("ROLLBACK");
      } else {
        impl_.db.tryExec("ROLLBACK TO inner_change; RELEASE inner_change");
      }
    }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    void Commit() {
      // SQLite undoes the whole on some errors (disk full): there is nothing left to commit then.
      if (sqlite3_get_autocommit(impl_.db.getHandle()) != 0) throw TransactionGone{};
      Query(impl_.Sql(outer_ ? "COMMIT" : "RELEASE inner_change")).Run();
      --impl_.depth;
      done_ = true;
    }

   private:
    Impl& impl_;
    bool outer_;
    bool done_ = false;
  };

  template <typename Work>
  auto Read(std::string_view doing, Work&& work) -> decltype(work()) {
    return Guard(path, options, db.getHandle(), doing, work);
  }
  template <typename Work>
  auto Change(std::string_view doing, Work&& work) -> decltype(work()) {
    return Guard(path, options, db.getHandle(), doing, [&]() -> decltype(work()) {
      Transaction transaction(*this);
      auto result = work();
      if (result) transaction.Commit();
      return result;
    });
  }

  bool HasStudy(const std::string& id) {
    Query query(Sql("SELECT 1 FROM studies WHERE id = ?"));
    return query.Bind(id).Step();
  }

  // What every connection needs; nothing is written.
  void Configure() {
    sqlite3_db_config(db.getHandle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    db.exec("PRAGMA trusted_schema = OFF");
    db.exec("PRAGMA foreign_keys = ON");
    db.exec("PRAGMA synchronous = FULL");
    db.exec("PRAGMA cell_size_check = ON");
    db.exec("PRAGMA temp_store = MEMORY");
    db.exec(fmt::format("PRAGMA journal_size_limit = {}", kWalBytesKept));
  }

  std::string path;
  StoreOptions options;
  SQLite::Database db;
  std::map<std::string_view, SQLite::Statement> statements;  // end before the database does
  int depth = 0;
};

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;
const std::string& Store::path() const { return impl_->path; }

Result<std::unique_ptr<Store>> Store::Create(const std::string& path, const StoreOptions& options) {
  CONSILIUM_TRY(CheckOptions(options));
  auto file = NewFile::Begin(path, "create it");
  if (!file) return tl::unexpected(file.error());
  {
    std::unique_ptr<Impl> impl;
    const auto opened = Guard(path, options, nullptr, "create it", [&]() -> Result<void> {
      impl = std::make_unique<Impl>(path, options, file->unfinished());
      return {};
    });
    CONSILIUM_TRY(opened);
    const auto made =
        Guard(path, options, impl->db.getHandle(), "create it", [&]() -> Result<void> {
          impl->db.exec(fmt::format("PRAGMA page_size = {}", kPageBytes));
          impl->Configure();
          impl->db.exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
          impl->db.exec("PRAGMA journal_mode = WAL");
          Impl::Transaction transaction(*impl);
          impl->db.exec(kSchema);
          impl->db.exec(fmt::format("PRAGMA user_version = {}", kStoreSchemaVersion));
          transaction.Commit();
          return {};
        });
    CONSILIUM_TRY(made);
  }
  if (Exists(file->unfinished() + "-wal")) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("store {}: cannot create it: its write-ahead log could not be merged; "
                            "check the disk and repeat",
                            path));
  }
  CONSILIUM_TRY(file->Finish());
  return Open(path, options);
}

Result<std::unique_ptr<Store>> Store::Open(const std::string& path, const StoreOptions& options) {
  CONSILIUM_TRY(CheckOptions(options));
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) return tl::unexpected(SystemError(path, "open it", errno));
    return Fail(ErrorCode::kNotFound,
                fmt::format("store {}: there is no such file; create a coordinator first, or name "
                            "the file of the one you have",
                            path));
  }
  if (!S_ISREG(status.st_mode)) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("store {}: found no ordinary file, expected a coordinator's store; "
                            "name its file",
                            path));
  }
  std::unique_ptr<Impl> impl;
  const auto opened = Guard(path, options, nullptr, "open it", [&]() -> Result<void> {
    impl = std::make_unique<Impl>(path, options, path);
    return {};
  });
  if (!opened) {
    if (access(path.c_str(), R_OK | W_OK) != 0) {
      return tl::unexpected(SystemError(path, "open it", errno));
    }
    return tl::unexpected(opened.error());
  }
  const auto ready = impl->Read("open it", [&]() -> Result<void> {
    if (sqlite3_db_readonly(impl->db.getHandle(), "main") == 1) {
      return tl::unexpected(
          StoreError(path, options, "open it", SQLITE_READONLY, 0, "the file may not be written"));
    }
    impl->Configure();
    const int application = impl->db.execAndGet("PRAGMA application_id").getInt();
    const int version = impl->db.execAndGet("PRAGMA user_version").getInt();
    if (application != kApplicationId) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("store {}: found another database (application id {:#x}), expected a "
                              "coordinator's store ({:#x}); name its file",
                              path, application, kApplicationId));
    }
    if (version > kStoreSchemaVersion) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("store {}: found version {}, this program knows up to version {}; "
                              "upgrade the coordinator, or restore a backup of the older version",
                              path, version, kStoreSchemaVersion));
    }
    if (version < 1) {
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("store {}: found version {}, expected 1 to {}: the file is damaged; "
                              "restore the newest backup",
                              path, version, kStoreSchemaVersion));
    }
    impl->db.exec("PRAGMA journal_mode = WAL");
    if (options.bytes_max != 0) {
      const std::int64_t page = impl->db.execAndGet("PRAGMA page_size").getInt64();
      impl->db.exec(fmt::format("PRAGMA max_page_count = {}",
                                options.bytes_max / static_cast<std::uint64_t>(page)));
    }
    return {};
  });
  CONSILIUM_TRY(ready);
  return std::unique_ptr<Store>(new Store(std::move(impl)));
}

Result<void> Store::Atomically(const std::function<Result<void>()>& work) {
  return impl_->Change("make several changes at once", work);
}

// --- meta ---

Result<void> Store::SetMeta(std::string_view key, std::string_view value) {
  CONSILIUM_TRY(CheckName("a key", key));
  CONSILIUM_TRY(CheckBlob(key, value.size()));
  return impl_->Change(fmt::format("set '{}'", key), [&]() -> Result<void> {
    Query(impl_->Sql("INSERT INTO meta(key, value) VALUES(?, ?) "
                     "ON CONFLICT(key) DO UPDATE SET value = excluded.value"))
        .Bind(key)
        .Bind(value)
        .Run();
    return {};
  });
}

Result<std::optional<std::string>> Store::FindMeta(std::string_view key) const {
  using Found = std::optional<std::string>;
  return impl_->Read(fmt::format("read '{}'", key), [&]() -> Result<Found> {
    Query query(impl_->Sql("SELECT value FROM meta WHERE key = ?"));
    if (!query.Bind(key).Step()) return Found();
    return Found(query.Text());
  });
}

Result<std::map<std::string, std::string>> Store::ListMeta() const {
  using Entries = std::map<std::string, std::string>;
  return impl_->Read("list its names and addresses", [&]() -> Result<Entries> {
    Entries entries;
    Query query(impl_->Sql("SELECT key, value FROM meta ORDER BY key"));
    while (query.Step()) {
      std::string key = query.Text();
      entries[std::move(key)] = query.Text();
    }
    return entries;
  });
}

// --- tokens ---

Result<void> Store::AddToken(const Token& token) {
  CONSILIUM_TRY(CheckName("the name on a token", token.name));
  CONSILIUM_TRY(CheckName("the role on a token", token.role));
  if (token.expires_ms <= token.created_ms) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the token of '{}': expires {}, expected after its creation {}",
                            token.name, Utc(token.expires_ms), Utc(token.created_ms)));
  }
  return impl_->Change(fmt::format("add a token of '{}'", token.name), [&]() -> Result<void> {
    Query known(impl_->Sql("SELECT 1 FROM tokens WHERE secret_hash = ?"));
    if (known.Bind(token.secret_hash).Step()) {
      return Fail(ErrorCode::kAlreadyExists,
                  fmt::format("the token of '{}': its secret was given out before; draw a new one",
                              token.name));
    }
    Query(impl_->Sql("INSERT INTO tokens(secret_hash, name, role, created_ms, expires_ms) "
                     "VALUES(?, ?, ?, ?, ?)"))
        .Bind(token.secret_hash)
        .Bind(token.name)
        .Bind(token.role)
        .Bind(token.created_ms)
        .Bind(token.expires_ms)
        .Run();
    return {};
  });
}

Result<Invitation> Store::RedeemToken(const Digest& secret_hash, std::int64_t now_ms) {
  return impl_->Change("redeem a token", [&]() -> Result<Invitation> {
    Query query(
        impl_->Sql("SELECT name, role, expires_ms, used_ms FROM tokens WHERE secret_hash = ?"));
    if (!query.Bind(secret_hash).Step()) {
      return Fail(ErrorCode::kNotFound,
                  "the token is not known here; check that it was copied whole and is of this "
                  "coordinator, or ask for a new invitation");
    }
    Invitation invitation;
    invitation.name = query.Text();
    invitation.role = query.Text();
    const std::int64_t expires_ms = query.Integer();
    if (const auto used_ms = query.Moment()) {
      return Fail(ErrorCode::kAlreadyExists,
                  fmt::format("the token of '{}' was used at {}; ask for a new invitation, and "
                              "tell the coordinator's operator if it was not you who used it",
                              invitation.name, Utc(*used_ms)));
    }
    if (now_ms >= expires_ms) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("the token of '{}' expired at {}; ask for a new invitation",
                              invitation.name, Utc(expires_ms)));
    }
    Query(impl_->Sql("UPDATE tokens SET used_ms = ? WHERE secret_hash = ?"))
        .Bind(now_ms)
        .Bind(secret_hash)
        .Run();
    return invitation;
  });
}

Result<std::uint64_t> Store::ExpireTokens(std::string_view name, std::int64_t now_ms) {
  return impl_->Change(fmt::format("end the tokens of '{}'", name), [&]() -> Result<std::uint64_t> {
    Query(impl_->Sql("UPDATE tokens SET expires_ms = ?1 "
                     "WHERE name = ?2 AND used_ms IS NULL AND expires_ms > ?1"))
        .Bind(now_ms)
        .Bind(name)
        .Run();
    return static_cast<std::uint64_t>(impl_->db.getChanges());
  });
}

Result<std::vector<Token>> Store::ListTokens() const {
  return impl_->Read("list the tokens", [&]() -> Result<std::vector<Token>> {
    std::vector<Token> tokens;
    Query query(
        impl_->Sql("SELECT secret_hash, name, role, created_ms, expires_ms, used_ms "
                   "FROM tokens ORDER BY created_ms DESC, name, secret_hash"));
    while (query.Step()) {
      Token& token = tokens.emplace_back();
      token.secret_hash.bytes = query.Fixed();
      token.name = query.Text();
      token.role = query.Text();
      token.created_ms = query.Integer();
      token.expires_ms = query.Integer();
      token.used_ms = query.Moment();
    }
    return tokens;
  });
}

// --- members ---

namespace {

Result<void> CheckCertificate(std::string_view name, const Certificate& certificate) {
  CONSILIUM_TRY(
      CheckName(fmt::format("the certificate of '{}': its serial", name), certificate.serial));
  return CheckBlob(fmt::format("the certificate of '{}'", name), certificate.pem.size());
}

Certificate ReadCertificate(Query& query) {
  Certificate certificate;
  certificate.serial = query.Text();
  certificate.fingerprint.bytes = query.Fixed();
  certificate.not_after_ms = query.Integer();
  certificate.pem = query.Text();
  return certificate;
}

// The columns of a member and of its newest certificate, in the order in which ReadMember reads.
#define CONSILIUM_MEMBER_COLUMNS                                                              \
  "m.name, m.role, m.signing_key, m.agreement_key, m.state, m.revoked_reason, m.revoked_ms, " \
  "m.enrolled_ms, m.last_seen_ms, n.serial, n.fingerprint, n.not_after_ms, n.pem "

Member ReadMember(Query& query) {
  Member member;
  member.name = query.Text();
  member.role = query.Text();
  member.signing_key = query.Fixed();
  member.agreement_key = query.Fixed();
  member.state = query.State(kMemberStates);
  member.revoked_reason = query.Text();
  member.revoked_ms = query.Moment();
  member.enrolled_ms = query.Integer();
  member.last_seen_ms = query.Moment();
  member.certificate = ReadCertificate(query);
  return member;
}

// The member's state and when it came, nothing if there is no such member.
std::optional<MemberState> FindState(SQLite::Statement& select_state, std::string_view name) {
  Query query(select_state);
  if (!query.Bind(name).Step()) return std::nullopt;
  return query.State(kMemberStates);
}

constexpr const char* kSelectState = "SELECT state FROM members WHERE name = ?";
constexpr const char* kSelectSerial = "SELECT name FROM certificates WHERE serial = ?";
constexpr const char* kInsertCertificate =
    "INSERT INTO certificates(serial, name, fingerprint, not_after_ms, pem, issued_ms) "
    "VALUES(?, ?, ?, ?, ?, ?)";
constexpr const char* kRevokeCertificates =
    "UPDATE certificates SET revoked_reason = ?, revoked_ms = ? "
    "WHERE name = ? AND revoked_ms IS NULL";

Result<void> InsertCertificate(SQLite::Statement& select_serial, SQLite::Statement& insert,
                               std::string_view name, const Certificate& certificate,
                               std::int64_t now_ms) {
  Query known(select_serial);
  if (known.Bind(certificate.serial).Step()) {
    return Fail(ErrorCode::kAlreadyExists,
                fmt::format("member '{}': the serial {} was issued to '{}' before; draw a new one",
                            name, certificate.serial, known.Text()));
  }
  Query(insert)
      .Bind(certificate.serial)
      .Bind(name)
      .Bind(certificate.fingerprint)
      .Bind(certificate.not_after_ms)
      .Bind(certificate.pem)
      .Bind(now_ms)
      .Run();
  return {};
}

}  // namespace

Result<void> Store::Enroll(const Enrollment& enrollment, bool replace, std::int64_t now_ms) {
  const std::string& name = enrollment.name;
  CONSILIUM_TRY(CheckName("the name of a member", name));
  CONSILIUM_TRY(CheckName("the role of a member", enrollment.role));
  CONSILIUM_TRY(CheckCertificate(name, enrollment.certificate));
  return impl_->Change(fmt::format("enroll '{}'", name), [&]() -> Result<void> {
    const auto state = FindState(impl_->Sql(kSelectState), name);
    if (state == MemberState::kActive && !replace) {
      return Fail(ErrorCode::kAlreadyExists,
                  fmt::format("member '{}': is enrolled and active; revoke it first, or invite it "
                              "again as a replacement",
                              name));
    }
    Query(impl_->Sql(kRevokeCertificates))
        .Bind(std::string_view("replaced by a new enrollment"))
        .Bind(now_ms)
        .Bind(name)
        .Run();
    CONSILIUM_TRY(InsertCertificate(impl_->Sql(kSelectSerial), impl_->Sql(kInsertCertificate), name,
                                    enrollment.certificate, now_ms));
    Query(impl_->Sql("INSERT INTO members(name, role, signing_key, agreement_key, serial, state, "
                     "revoked_reason, enrolled_ms) VALUES(?, ?, ?, ?, ?, 'active', '', ?) "
                     "ON CONFLICT(name) DO UPDATE SET role = excluded.role, "
                     "signing_key = excluded.signing_key, agreement_key = excluded.agreement_key, "
                     "serial = excluded.serial, state = 'active', revoked_reason = '', "
                     "revoked_ms = NULL, enrolled_ms = excluded.enrolled_ms, last_seen_ms = NULL"))
        .Bind(name)
        .Bind(enrollment.role)
        .Bind(std::span<const std::uint8_t>(enrollment.signing_key))
        .Bind(std::span<const std::uint8_t>(enrollment.agreement_key))
        .Bind(enrollment.certificate.serial)
        .Bind(now_ms)
        .Run();
    return {};
  });
}

Result<void> Store::Renew(std::string_view name, const Certificate& certificate,
                          std::int64_t now_ms) {
  CONSILIUM_TRY(CheckCertificate(name, certificate));
  return impl_->Change(fmt::format("renew the certificate of '{}'", name), [&]() -> Result<void> {
    const auto state = FindState(impl_->Sql(kSelectState), name);
    if (!state) return tl::unexpected(NoMember(name));
    if (state == MemberState::kRevoked) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("member '{}': is revoked, and gets no new certificate; it can be "
                              "invited again",
                              name));
    }
    CONSILIUM_TRY(InsertCertificate(impl_->Sql(kSelectSerial), impl_->Sql(kInsertCertificate), name,
                                    certificate, now_ms));
    Query(impl_->Sql("UPDATE members SET serial = ? WHERE name = ?"))
        .Bind(certificate.serial)
        .Bind(name)
        .Run();
    return {};
  });
}

Result<void> Store::Revoke(std::string_view name, std::string_view reason, std::int64_t now_ms) {
  CONSILIUM_TRY(CheckBlob("the reason", reason.size()));
  return impl_->Change(fmt::format("revoke '{}'", name), [&]() -> Result<void> {
    const auto state = FindState(impl_->Sql(kSelectState), name);
    if (!state) return tl::unexpected(NoMember(name));
    if (state == MemberState::kRevoked) return {};
    Query(impl_->Sql(kRevokeCertificates)).Bind(reason).Bind(now_ms).Bind(name).Run();
    Query(impl_->Sql("UPDATE members SET state = 'revoked', revoked_reason = ?, revoked_ms = ? "
                     "WHERE name = ?"))
        .Bind(reason)
        .Bind(now_ms)
        .Bind(name)
        .Run();
    return {};
  });
}

Result<void> Store::SetLastSeen(const std::map<std::string, std::int64_t>& seen_ms) {
  if (seen_ms.empty()) return {};
  return impl_->Change("note who was seen", [&]() -> Result<void> {
    for (const auto& [name, ms] : seen_ms) {
      Query(impl_->Sql("UPDATE members SET last_seen_ms = ?1 "
                       "WHERE name = ?2 AND (last_seen_ms IS NULL OR last_seen_ms < ?1)"))
          .Bind(ms)
          .Bind(name)
          .Run();
    }
    return {};
  });
}

Result<Member> Store::FindMember(std::string_view name) const {
  return impl_->Read(fmt::format("find member '{}'", name), [&]() -> Result<Member> {
    Query query(impl_->Sql("SELECT " CONSILIUM_MEMBER_COLUMNS
                           "FROM members m JOIN certificates n ON n.serial = m.serial "
                           "WHERE m.name = ?"));
    if (!query.Bind(name).Step()) return tl::unexpected(NoMember(name));
    return ReadMember(query);
  });
}

Result<SerialFound> Store::FindBySerial(std::string_view serial) const {
  return impl_->Read(fmt::format("find the certificate {}", serial), [&]() -> Result<SerialFound> {
    Query query(impl_->Sql("SELECT " CONSILIUM_MEMBER_COLUMNS
                           ", c.serial, c.fingerprint, c.not_after_ms, c.pem, c.revoked_ms "
                           "FROM certificates c JOIN members m ON m.name = c.name "
                           "JOIN certificates n ON n.serial = m.serial WHERE c.serial = ?"));
    if (!query.Bind(serial).Step()) {
      return Fail(
          ErrorCode::kNotFound,
          fmt::format("certificate {}: this coordinator never issued it; enroll here", serial));
    }
    SerialFound found;
    found.member = ReadMember(query);
    found.certificate = ReadCertificate(query);
    if (query.Moment() || found.member.state == MemberState::kRevoked) {
      found.standing = SerialStanding::kRevoked;
    } else if (found.certificate.serial == found.member.certificate.serial) {
      found.standing = SerialStanding::kCurrent;
    } else {
      found.standing = SerialStanding::kOld;
    }
    return found;
  });
}

Result<std::vector<Member>> Store::ListMembers() const {
  return impl_->Read("list the members", [&]() -> Result<std::vector<Member>> {
    std::vector<Member> members;
    Query query(impl_->Sql("SELECT " CONSILIUM_MEMBER_COLUMNS
                           "FROM members m JOIN certificates n ON n.serial = m.serial "
                           "ORDER BY m.name"));
    while (query.Step()) members.push_back(ReadMember(query));
    return members;
  });
}

// --- studies ---

namespace {

#define CONSILIUM_STUDY_COLUMNS \
  "id, name, lead, state, reason, attempt, submitted_ms, started_ms, ended_ms"

StudyStatus ReadStatus(Query& query) {
  StudyStatus status;
  status.id = query.HexDigest();
  status.name = query.Text();
  status.lead = query.Text();
  status.state = query.State(kStudyStates);
  status.reason = query.Text();
  status.attempt = static_cast<std::uint32_t>(query.Integer());
  status.submitted_ms = query.Integer();
  status.started_ms = query.Moment();
  status.ended_ms = query.Moment();
  return status;
}

StudySite ReadSite(Query& query) {
  StudySite site;
  site.study = query.HexDigest();
  site.site = query.Text();
  site.state = query.State(kSiteStates);
  site.sentence = query.Text();
  site.join = query.BlobCopy();
  site.changed_ms = query.Integer();
  return site;
}

}  // namespace

Result<void> Store::AddStudy(const NewStudy& study, std::int64_t now_ms) {
  CONSILIUM_TRY(CheckName("the name of a study", study.name));
  CONSILIUM_TRY(CheckName("the name of a study's lead", study.lead));
  CONSILIUM_TRY(CheckBlob("the file of a study", study.file.size()));
  CONSILIUM_TRY(CheckBlob("the submission of a study", study.submission.size()));
  const std::string id = Hex(study.id);
  return impl_->Change(fmt::format("add study {}", id), [&]() -> Result<void> {
    Query known(impl_->Sql("SELECT state FROM studies WHERE id = ?"));
    if (known.Bind(id).Step()) {
      return Fail(ErrorCode::kAlreadyExists,
                  fmt::format("study {}: was submitted before and is {}; watch it, or change the "
                              "study file to make it another",
                              id, known.Text()));
    }
    Query(impl_->Sql("INSERT INTO studies(" CONSILIUM_STUDY_COLUMNS
                     ", file, submission) VALUES(?, ?, ?, 'offered', '', 0, ?, NULL, NULL, ?, ?)"))
        .Bind(id)
        .Bind(study.name)
        .Bind(study.lead)
        .Bind(now_ms)
        .Bind(study.file)
        .Bind(std::span<const std::uint8_t>(study.submission))
        .Run();
    return {};
  });
}

Result<StoredStudy> Store::FindStudy(const Digest& id) const {
  return impl_->Read(fmt::format("find study {}", Hex(id)), [&]() -> Result<StoredStudy> {
    Query query(impl_->Sql("SELECT " CONSILIUM_STUDY_COLUMNS
                           ", file, submission FROM studies WHERE id = ?"));
    if (!query.Bind(Hex(id)).Step()) return tl::unexpected(NoStudy(id));
    StoredStudy study;
    study.status = ReadStatus(query);
    study.file = query.Text();
    study.submission = query.BlobCopy();
    return study;
  });
}

Result<std::vector<StudyStatus>> Store::ListStudies() const {
  return impl_->Read("list the studies", [&]() -> Result<std::vector<StudyStatus>> {
    std::vector<StudyStatus> studies;
    Query query(impl_->Sql("SELECT " CONSILIUM_STUDY_COLUMNS " FROM studies ORDER BY place"));
    while (query.Step()) studies.push_back(ReadStatus(query));
    return studies;
  });
}

Result<void> Store::SetStudyState(const Digest& id, StudyState state, std::string_view reason,
                                  std::int64_t now_ms) {
  CONSILIUM_TRY(CheckBlob("the reason", reason.size()));
  const std::string hex = Hex(id);
  return impl_->Change(fmt::format("call study {} {}", hex, Name(state)), [&]() -> Result<void> {
    Query query(impl_->Sql("SELECT state FROM studies WHERE id = ?"));
    if (!query.Bind(hex).Step()) return tl::unexpected(NoStudy(id));
    const StudyState before = query.State(kStudyStates);
    if (before == StudyState::kFinished || before == StudyState::kCancelled) {
      if (before == state) return {};
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("study {}: is {} for good and cannot become {}; submit a new "
                              "study",
                              hex, Name(before), Name(state)));
    }
    const bool runs = state == StudyState::kRunning;
    const bool ends = state == StudyState::kFinished || state == StudyState::kFailed ||
                      state == StudyState::kCancelled;
    const auto moment = [&](bool wanted) {
      return wanted ? std::optional<std::int64_t>(now_ms) : std::nullopt;
    };
    Query(impl_->Sql("UPDATE studies SET state = ?, reason = ?, "
                     "started_ms = coalesce(started_ms, ?), ended_ms = ? WHERE id = ?"))
        .Bind(Name(state))
        .Bind(reason)
        .Bind(moment(runs))
        .Bind(moment(ends))
        .Bind(hex)
        .Run();
    return {};
  });
}

Result<void> Store::SetSite(const Digest& study, std::string_view site, SiteState state,
                            std::string_view sentence, const std::optional<Bytes>& join,
                            std::int64_t now_ms) {
  CONSILIUM_TRY(CheckName("the name of a site", site));
  CONSILIUM_TRY(CheckBlob("the sentence on a site", sentence.size()));
  if (join) CONSILIUM_TRY(CheckBlob("the join message of a site", join->size()));
  const std::string id = Hex(study);
  return impl_->Change(fmt::format("set site '{}' of study {}", site, id), [&]() -> Result<void> {
    if (!impl_->HasStudy(id)) return tl::unexpected(NoStudy(study));
    Query(impl_->Sql("INSERT INTO study_sites(study, site, state, sentence, join_message, "
                     "changed_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(study, site) "
                     "DO UPDATE SET state = ?3, sentence = ?4, changed_ms = ?6, "
                     "join_message = CASE WHEN ?7 THEN ?5 ELSE join_message END"))
        .Bind(id)
        .Bind(site)
        .Bind(Name(state))
        .Bind(sentence)
        .Bind(join ? std::span<const std::uint8_t>(*join) : std::span<const std::uint8_t>())
        .Bind(now_ms)
        .Bind(std::int64_t{join.has_value()})
        .Run();
    return {};
  });
}

Result<std::vector<StudySite>> Store::ListSites(const Digest& study) const {
  return impl_->Read(fmt::format("list the sites of study {}", Hex(study)),
                     [&]() -> Result<std::vector<StudySite>> {
                       std::vector<StudySite> sites;
                       Query query(impl_->Sql(
                           "SELECT study, site, state, sentence, join_message, changed_ms "
                           "FROM study_sites WHERE study = ? ORDER BY site"));
                       query.Bind(Hex(study));
                       while (query.Step()) sites.push_back(ReadSite(query));
                       return sites;
                     });
}

Result<std::vector<StudySite>> Store::ListSiteStudies(std::string_view site) const {
  return impl_->Read(
      fmt::format("list the studies of site '{}'", site), [&]() -> Result<std::vector<StudySite>> {
        std::vector<StudySite> sites;
        Query query(
            impl_->Sql("SELECT p.study, p.site, p.state, p.sentence, p.join_message, "
                       "p.changed_ms FROM study_sites p JOIN studies s ON s.id = p.study "
                       "WHERE p.site = ? ORDER BY s.place"));
        query.Bind(site);
        while (query.Step()) sites.push_back(ReadSite(query));
        return sites;
      });
}

// --- attempts ---

Result<void> Store::BeginAttempt(const Digest& study, std::uint32_t attempt,
                                 std::span<const std::uint8_t> roster, std::int64_t now_ms) {
  CONSILIUM_TRY(CheckBlob("the roster of an attempt", roster.size()));
  const std::string id = Hex(study);
  return impl_->Change(
      fmt::format("begin attempt {} of study {}", attempt, id), [&]() -> Result<void> {
        if (!impl_->HasStudy(id)) return tl::unexpected(NoStudy(study));
        Query query(impl_->Sql("SELECT count(*), count(ended_ms) FROM attempts WHERE study = ?"));
        query.Bind(id).Step();
        const std::uint64_t count = query.Count();
        const std::uint64_t ended = query.Count();
        if (attempt != count) {
          return Fail(ErrorCode::kFailedPrecondition,
                      fmt::format("study {}: attempt {} cannot begin, the next is attempt {}", id,
                                  attempt, count));
        }
        if (ended != count) {
          return Fail(ErrorCode::kFailedPrecondition,
                      fmt::format("study {}: attempt {} cannot begin, attempt {} has not ended; "
                                  "continue that one, or end it first",
                                  id, attempt, count - 1));
        }
        Query(impl_->Sql("INSERT INTO attempts(study, attempt, roster, began_ms, why) "
                         "VALUES(?, ?, ?, ?, '')"))
            .Bind(id)
            .Bind(attempt)
            .Bind(roster)
            .Bind(now_ms)
            .Run();
        Query(impl_->Sql("UPDATE studies SET attempt = ? WHERE id = ?"))
            .Bind(attempt)
            .Bind(id)
            .Run();
        return {};
      });
}

namespace {

constexpr const char* kSelectAttemptEnd =
    "SELECT ended_ms FROM attempts WHERE study = ? AND attempt = ?";

// Errors: kNotFound, kFailedPrecondition (it has ended).
Result<void> CheckOpen(SQLite::Statement& select_end, const std::string& study,
                       std::uint32_t attempt) {
  Query query(select_end);
  if (!query.Bind(study).Bind(attempt).Step()) {
    return Fail(ErrorCode::kNotFound,
                fmt::format("study {}: attempt {} has not begun", study, attempt));
  }
  if (const auto ended = query.Moment()) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("study {}: attempt {} ended at {}; its log is closed", study, attempt,
                            Utc(*ended)));
  }
  return {};
}

}  // namespace

Result<void> Store::EndAttempt(const Digest& study, std::uint32_t attempt, std::string_view why,
                               std::int64_t now_ms) {
  CONSILIUM_TRY(CheckBlob("the reason", why.size()));
  const std::string id = Hex(study);
  return impl_->Change(
      fmt::format("end attempt {} of study {}", attempt, id), [&]() -> Result<void> {
        CONSILIUM_TRY(CheckOpen(impl_->Sql(kSelectAttemptEnd), id, attempt));
        Query(impl_->Sql("UPDATE attempts SET ended_ms = ?, why = ? WHERE study = ? "
                         "AND attempt = ?"))
            .Bind(now_ms)
            .Bind(why)
            .Bind(id)
            .Bind(attempt)
            .Run();
        return {};
      });
}

Result<std::vector<Attempt>> Store::ListAttempts(const Digest& study) const {
  return impl_->Read(fmt::format("list the attempts of study {}", Hex(study)),
                     [&]() -> Result<std::vector<Attempt>> {
                       std::vector<Attempt> attempts;
                       Query query(impl_->Sql(
                           "SELECT attempt, roster, began_ms, ended_ms, why FROM attempts "
                           "WHERE study = ? ORDER BY attempt"));
                       query.Bind(Hex(study));
                       while (query.Step()) {
                         Attempt& attempt = attempts.emplace_back();
                         attempt.attempt = static_cast<std::uint32_t>(query.Integer());
                         attempt.roster = query.BlobCopy();
                         attempt.began_ms = query.Integer();
                         attempt.ended_ms = query.Moment();
                         attempt.why = query.Text();
                       }
                       return attempts;
                     });
}

// --- records of the log ---

namespace {

constexpr const char* kSelectLastSequence =
    "SELECT sequence FROM log_pieces WHERE study = ? AND attempt = ? "
    "ORDER BY sequence DESC LIMIT 1";
constexpr const char* kSelectPieces =
    "SELECT sequence, piece, record_bytes, bytes FROM log_pieces "
    "WHERE study = ? AND attempt = ? AND sequence >= ? ORDER BY sequence, piece";

std::uint64_t CountRecords(SQLite::Statement& select_last, const std::string& study,
                           std::uint32_t attempt) {
  Query query(select_last);
  return query.Bind(study).Bind(attempt).Step() ? query.Count() + 1 : 0;
}

// Walks over the pieces of a log and holds them together: none is missing, none is short.
class PieceReader {
 public:
  PieceReader(Query& query, std::uint64_t from) : query_(query), sequence_(from) {}

  // Moves to the next piece; false after the last of the log.
  bool Next() {
    if (!query_.Step()) {
      if (left_ != 0) throw DamagedRow{fmt::format("record {} is cut off", sequence_)};
      return false;
    }
    begins_ = left_ == 0;
    if (begins_ && !first_) ++sequence_;
    first_ = false;
    const std::uint64_t expected_piece = begins_ ? 0 : piece_ + 1;
    const std::uint64_t sequence = query_.Count();
    piece_ = query_.Count();
    const std::uint64_t record_bytes = query_.Count();
    if (sequence != sequence_ || piece_ != expected_piece) {
      throw DamagedRow{fmt::format("record {} of a log is not where it belongs", sequence_)};
    }
    if (begins_) {
      if (record_bytes == 0 || record_bytes > kStoredRecordBytesMax) {
        throw DamagedRow{fmt::format("record {} has an impossible length", sequence_)};
      }
      record_bytes_ = left_ = record_bytes;
    }
    return true;
  }
  [[nodiscard]] bool begins() const { return begins_; }  // a record begins with this piece
  [[nodiscard]] std::uint64_t record_bytes() const { return record_bytes_; }
  // This piece; once for each Next.
  std::span<const std::uint8_t> Take() {
    const auto bytes = query_.Blob();
    if (bytes.empty() || bytes.size() > left_) {
      throw DamagedRow{fmt::format("record {} has another length than it was given", sequence_)};
    }
    left_ -= bytes.size();
    return bytes;
  }

 private:
  Query& query_;
  std::uint64_t sequence_;
  std::uint64_t piece_ = 0;
  std::uint64_t record_bytes_ = 0;
  std::uint64_t left_ = 0;  // of the record
  bool first_ = true;
  bool begins_ = false;
};

}  // namespace

Result<void> Store::AppendRecord(const Digest& study, std::uint32_t attempt, std::uint64_t sequence,
                                 std::span<const std::uint8_t> record) {
  const std::string id = Hex(study);
  const auto where = [&] {
    return fmt::format("study {}: attempt {}: record {}", id, attempt, sequence);
  };
  if (record.empty()) return Fail(ErrorCode::kInvalidArgument, where() + ": is empty");
  if (record.size() > kStoredRecordBytesMax) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: found {} bytes, expected at most {}; split the study's questions",
                            where(), record.size(), kStoredRecordBytesMax));
  }
  return impl_->Change(
      fmt::format("append record {} of study {}, attempt {}", sequence, id, attempt),
      [&]() -> Result<void> {
        CONSILIUM_TRY(CheckOpen(impl_->Sql(kSelectAttemptEnd), id, attempt));
        const std::uint64_t next = CountRecords(impl_->Sql(kSelectLastSequence), id, attempt);
        if (sequence != next) {
          return Fail(ErrorCode::kFailedPrecondition,
                      fmt::format("{}: the next is record {}; another coordinator may be writing: "
                                  "stop it, and read the log again",
                                  where(), next));
        }
        for (std::size_t at = 0, piece = 0; at < record.size(); at += kPieceBytes, ++piece) {
          Query(impl_->Sql("INSERT INTO log_pieces(study, attempt, sequence, piece, record_bytes, "
                           "bytes) VALUES(?, ?, ?, ?, ?, ?)"))
              .Bind(id)
              .Bind(attempt)
              .Bind(sequence)
              .Bind(std::uint64_t{piece})
              .Bind(std::uint64_t{record.size()})
              .Bind(record.subspan(at, std::min(kPieceBytes, record.size() - at)))
              .Run();
        }
        return {};
      });
}

Result<std::uint64_t> Store::RecordCount(const Digest& study, std::uint32_t attempt) const {
  return impl_->Read(fmt::format("count the records of study {}, attempt {}", Hex(study), attempt),
                     [&]() -> Result<std::uint64_t> {
                       return CountRecords(impl_->Sql(kSelectLastSequence), Hex(study), attempt);
                     });
}

Result<std::vector<Bytes>> Store::ReadRecords(const Digest& study, std::uint32_t attempt,
                                              std::uint64_t from_sequence,
                                              std::uint64_t limit_bytes) const {
  return impl_->Read(
      fmt::format("read the log of study {}, attempt {}", Hex(study), attempt),
      [&]() -> Result<std::vector<Bytes>> {
        std::vector<Bytes> records;
        std::uint64_t bytes = 0;
        Query query(impl_->Sql(kSelectPieces));
        query.Bind(Hex(study)).Bind(attempt).Bind(from_sequence);
        PieceReader pieces(query, from_sequence);
        while (pieces.Next()) {
          if (pieces.begins()) {
            const bool fits = bytes <= limit_bytes && pieces.record_bytes() <= limit_bytes - bytes;
            if (!fits && !records.empty()) break;
            bytes += pieces.record_bytes();
            records.emplace_back().reserve(static_cast<std::size_t>(pieces.record_bytes()));
          }
          const auto piece = pieces.Take();
          records.back().insert(records.back().end(), piece.begin(), piece.end());
        }
        return records;
      });
}

Result<void> Store::StreamLog(
    const Digest& study, std::uint32_t attempt,
    const std::function<Result<void>(std::span<const std::uint8_t>)>& take) const {
  return impl_->Read(fmt::format("read the log of study {}, attempt {}", Hex(study), attempt),
                     [&]() -> Result<void> {
                       Query query(impl_->Sql(kSelectPieces));
                       query.Bind(Hex(study)).Bind(attempt).Bind(std::uint64_t{0});
                       PieceReader pieces(query, 0);
                       while (pieces.Next()) CONSILIUM_TRY(take(pieces.Take()));
                       return {};
                     });
}

Result<Bytes> Store::ReadLog(const Digest& study, std::uint32_t attempt) const {
  Bytes log;
  CONSILIUM_TRY(StreamLog(study, attempt, [&](std::span<const std::uint8_t> bytes) -> Result<void> {
    log.insert(log.end(), bytes.begin(), bytes.end());
    return {};
  }));
  return log;
}

// --- artifacts ---

Result<void> Store::SetArtifacts(const Digest& study, const std::map<std::string, Bytes>& files) {
  for (const auto& [name, bytes] : files) {
    CONSILIUM_TRY(CheckFileName(name));
    CONSILIUM_TRY(CheckBlob(name, bytes.size()));
  }
  const std::string id = Hex(study);
  return impl_->Change(fmt::format("keep the report of study {}", id), [&]() -> Result<void> {
    if (!impl_->HasStudy(id)) return tl::unexpected(NoStudy(study));
    Query(impl_->Sql("DELETE FROM artifacts WHERE study = ?")).Bind(id).Run();
    for (const auto& [name, bytes] : files) {
      const Digest digest = Sha256(bytes);
      Query(impl_->Sql("INSERT INTO artifacts(study, file_name, digest, bytes) "
                       "VALUES(?, ?, ?, ?)"))
          .Bind(id)
          .Bind(name)
          .Bind(digest)
          .Bind(std::span<const std::uint8_t>(bytes))
          .Run();
    }
    return {};
  });
}

Result<std::vector<ArtifactInfo>> Store::ListArtifacts(const Digest& study) const {
  return impl_->Read(fmt::format("list the report of study {}", Hex(study)),
                     [&]() -> Result<std::vector<ArtifactInfo>> {
                       std::vector<ArtifactInfo> files;
                       Query query(
                           impl_->Sql("SELECT file_name, length(bytes), digest "
                                      "FROM artifacts WHERE study = ? ORDER BY file_name"));
                       query.Bind(Hex(study));
                       while (query.Step()) {
                         ArtifactInfo& file = files.emplace_back();
                         file.file_name = query.Text();
                         file.bytes = query.Count();
                         file.digest.bytes = query.Fixed();
                       }
                       return files;
                     });
}

Result<Bytes> Store::ReadArtifact(const Digest& study, std::string_view file_name) const {
  return impl_->Read(
      fmt::format("read '{}' of study {}", file_name, Hex(study)), [&]() -> Result<Bytes> {
        Query query(
            impl_->Sql("SELECT digest, bytes FROM artifacts "
                       "WHERE study = ? AND file_name = ?"));
        if (!query.Bind(Hex(study)).Bind(file_name).Step()) {
          return Fail(
              ErrorCode::kNotFound,
              fmt::format("study {}: has no file '{}'; list its files", Hex(study), file_name));
        }
        const Digest digest{query.Fixed()};
        Bytes bytes = query.BlobCopy();
        if (Sha256(bytes) != digest)
          throw DamagedRow{"its bytes have another digest than when kept"};
        return bytes;
      });
}

// --- ledger heads ---

namespace {

LedgerHead ReadHead(Query& query) {
  LedgerHead head;
  head.site = query.Text();
  head.count = query.Count();
  head.hash.bytes = query.Fixed();
  head.signature = query.BlobCopy();
  head.received_ms = query.Integer();
  return head;
}

std::optional<LedgerHead> NewestHead(SQLite::Statement& select, std::string_view site) {
  Query query(select);
  if (!query.Bind(site).Step()) return std::nullopt;
  return ReadHead(query);
}

constexpr const char* kSelectNewestHead =
    "SELECT site, count, hash, signature, received_ms FROM ledger_heads "
    "WHERE site = ? ORDER BY count DESC LIMIT 1";

}  // namespace

Result<void> Store::AddLedgerHead(const LedgerHead& head) {
  CONSILIUM_TRY(CheckName("the site of a ledger head", head.site));
  CONSILIUM_TRY(CheckBlob("the signature of a ledger head", head.signature.size()));
  if (head.count > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return Fail(ErrorCode::kOutOfRange,
                fmt::format("the ledger of '{}': found {} entries, expected fewer than 2^63",
                            head.site, head.count));
  }
  return impl_->Change(
      fmt::format("keep the ledger head of '{}'", head.site), [&]() -> Result<void> {
        const auto newest = NewestHead(impl_->Sql(kSelectNewestHead), head.site);
        if (newest && newest->count == head.count && newest->hash == head.hash) {
          return {};
        }
        if (newest && head.count <= newest->count) {
          return Fail(
              ErrorCode::kFailedPrecondition,
              fmt::format("the ledger of '{}': found {} entries with hash {}, but {} with "
                          "hash {} were countersigned before; the site lost or changed "
                          "its ledger: restore it from the site's newest backup, or "
                          "explain it to everybody and enroll the site anew",
                          head.site, head.count, Hex(head.hash), newest->count, Hex(newest->hash)));
        }
        Query(impl_->Sql("INSERT INTO ledger_heads(site, count, hash, signature, "
                         "received_ms) VALUES(?, ?, ?, ?, ?)"))
            .Bind(head.site)
            .Bind(head.count)
            .Bind(head.hash)
            .Bind(std::span<const std::uint8_t>(head.signature))
            .Bind(head.received_ms)
            .Run();
        return {};
      });
}

Result<std::optional<LedgerHead>> Store::FindLedgerHead(std::string_view site) const {
  return impl_->Read(fmt::format("find the ledger head of '{}'", site),
                     [&]() -> Result<std::optional<LedgerHead>> {
                       return NewestHead(impl_->Sql(kSelectNewestHead), site);
                     });
}

Result<std::vector<LedgerHead>> Store::ListLedgerHeads(std::string_view site) const {
  return impl_->Read(fmt::format("list the ledger heads of '{}'", site),
                     [&]() -> Result<std::vector<LedgerHead>> {
                       std::vector<LedgerHead> heads;
                       Query query(
                           impl_->Sql("SELECT site, count, hash, signature, received_ms "
                                      "FROM ledger_heads WHERE site = ? ORDER BY count"));
                       query.Bind(site);
                       while (query.Step()) heads.push_back(ReadHead(query));
                       return heads;
                     });
}

// --- events ---

Result<std::uint64_t> Store::AddEvent(std::int64_t unix_ms, std::string_view who,
                                      std::string_view what, std::string_view detail) {
  CONSILIUM_TRY(CheckName("who did it", who));
  CONSILIUM_TRY(CheckName("the code of an event", what));
  CONSILIUM_TRY(CheckBlob("the detail of an event", detail.size()));
  return impl_->Change(fmt::format("note the event {}", what), [&]() -> Result<std::uint64_t> {
    Query(impl_->Sql("INSERT INTO events(unix_ms, who, what, detail) VALUES(?, ?, ?, ?)"))
        .Bind(unix_ms)
        .Bind(who)
        .Bind(what)
        .Bind(detail)
        .Run();
    return static_cast<std::uint64_t>(impl_->db.getLastInsertRowid());
  });
}

Result<std::vector<Event>> Store::ListEvents(std::uint64_t from, std::uint64_t limit) const {
  return impl_->Read("list the events", [&]() -> Result<std::vector<Event>> {
    std::vector<Event> events;
    Query query(
        impl_->Sql("SELECT sequence, unix_ms, who, what, detail FROM events "
                   "WHERE sequence >= ? ORDER BY sequence LIMIT ?"));
    query.Bind(from).Bind(limit);
    while (query.Step()) {
      Event& event = events.emplace_back();
      event.sequence = query.Count();
      event.unix_ms = query.Integer();
      event.who = query.Text();
      event.what = query.Text();
      event.detail = query.Text();
    }
    return events;
  });
}

// --- care ---

Result<void> Store::Backup(const std::string& path) const {
  if (impl_->depth != 0) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("store {}: a backup cannot be made in the middle of a change; make it "
                            "before or after",
                            impl_->path));
  }
  const std::string doing = fmt::format("back up {} to it", impl_->path);
  auto file = NewFile::Begin(path, doing);
  if (!file) return tl::unexpected(file.error());
  {
    std::unique_ptr<SQLite::Database> copy;
    const auto opened = Guard(path, {}, nullptr, doing, [&]() -> Result<void> {
      copy = std::make_unique<SQLite::Database>(file->unfinished(), SQLite::OPEN_READWRITE);
      return {};
    });
    CONSILIUM_TRY(opened);
    const auto copied = Guard(path, {}, copy->getHandle(), doing, [&]() -> Result<void> {
      SQLite::Backup backup(*copy, impl_->db);
      const int code = backup.executeStep(-1);
      if (code == SQLITE_DONE) return {};
      return tl::unexpected(
          StoreError(impl_->path, impl_->options, doing, code, 0, sqlite3_errstr(code)));
    });
    CONSILIUM_TRY(copied);
  }
  return file->Finish();
}

Result<StoreState> Store::Check() const {
  return impl_->Read("check it", [&]() -> Result<StoreState> {
    const auto damaged = [&](std::string_view what) {
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("store {}: is damaged: {}; keep the file aside and restore the "
                              "newest backup",
                              impl_->path, what));
    };
    Query integrity(impl_->Sql("PRAGMA integrity_check(1)"));
    const std::string found = integrity.Step() ? integrity.Text() : "nothing was checked";
    if (found != "ok") return damaged(found);
    Query references(impl_->Sql("PRAGMA foreign_key_check"));
    if (references.Step()) {
      return damaged(
          fmt::format("a row of table {} names another that is not there", references.Text()));
    }
    StoreState state;
    state.schema_version = impl_->db.execAndGet("PRAGMA user_version").getInt();
    state.bytes = static_cast<std::uint64_t>(impl_->db.execAndGet("PRAGMA page_count").getInt64() *
                                             impl_->db.execAndGet("PRAGMA page_size").getInt64());
    return state;
  });
}

Result<void> StoreLog::Append(std::span<const std::uint8_t> record) {
  if (!next_) {
    const auto count = store_.RecordCount(study_, attempt_);
    if (!count) return tl::unexpected(count.error());
    next_ = *count;
  }
  CONSILIUM_TRY(store_.AppendRecord(study_, attempt_, *next_, record));
  ++*next_;
  return {};
}

}  // namespace consilium::coordinator
