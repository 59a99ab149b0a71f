// The coordinator's durable memory: one SQLite database.
//
// Everything a coordinator must still know after being killed stands here: who is enrolled, which
// studies there are, the log of totals of every attempt, reports, ledger heads and an audit trail.
// A function that changes something returns when the change would survive a crash (write-ahead
// log, synchronous = FULL) and is all or nothing; to make several changes one, call them inside
// Atomically. Times are unix milliseconds and are given by the caller, who also decides what an
// expiry means. Bytes called opaque are kept, never read.
//
// One thread at a time uses a Store: the caller serialises. Several Stores, also of several
// processes, may be open on one file; a writer waits for the other up to `busy_timeout_ms`. Beside
// the file stand FILE-wal and FILE-shm while it is open: they belong to it, so copy a store with
// Backup and with nothing else. The folder must be on a local file system.
//
// Errors that every function may return; each names the file and the next step:
//   kUnavailable        locked by another process, read-only, not reachable, an I/O error
//   kResourceExhausted  the disk (or `bytes_max`) is full, or no memory; nothing was changed
//   kDataLoss           damaged bytes
//   kInternal           a broken rule of the schema: a mistake in the caller or here
// Functions below list only what they add to these. After an error of a change the change is not
// visible; if the process dies right after it, a change that was never acknowledged may still be
// found at the next start. Source of the guarantees: SQLite documentation, "Write-Ahead Logging"
// and "Atomic Commit In SQLite".
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"
#include "federation/keys.h"
#include "federation/log.h"

namespace consilium::coordinator {

inline constexpr int kStoreSchemaVersion = 1;
// One record of a log. Longer ones are refused: kResourceExhausted.
inline constexpr std::uint64_t kStoredRecordBytesMax = std::uint64_t{1} << 30;
// One opaque blob, study file or artifact. Longer ones are refused: kResourceExhausted.
inline constexpr std::uint64_t kStoredBlobBytesMax = std::uint64_t{512} << 20;
// A name, key, code, role, serial or file name. Empty or longer ones, or with a control character,
// are refused: kInvalidArgument. A file name is one without a folder.
inline constexpr std::size_t kStoredNameBytesMax = 256;

struct StoreOptions {
  int busy_timeout_ms = 5000;   // how long to wait for another process's lock, >= 0
  std::uint64_t bytes_max = 0;  // bound of the database's size, >= 4 MiB; 0: as the disk allows
};

// A one-time token. The secret itself is never kept.
struct Token {
  Digest secret_hash;  // SHA-256 of the secret
  std::string name;    // whom it enrolls
  std::string role;    // "site", "lead", "auditor"
  std::int64_t created_ms = 0;
  std::int64_t expires_ms = 0;          // it may be used before this moment, not at it
  std::optional<std::int64_t> used_ms;  // when it was redeemed
};

// What a token stands for.
struct Invitation {
  std::string name;
  std::string role;
};

struct Certificate {
  std::string serial;  // one spelling throughout, e.g. lower-case hexadecimal; unique for ever
  Digest fingerprint;  // SHA-256 of the DER bytes
  std::int64_t not_after_ms = 0;
  std::string pem;
};

enum class MemberState { kActive, kRevoked };
[[nodiscard]] std::string_view Name(MemberState state);  // "active", "revoked"

struct Enrollment {
  std::string name;
  std::string role;
  federation::KeyBytes signing_key{};    // public
  federation::KeyBytes agreement_key{};  // public; zeros for people
  Certificate certificate;
};

struct Member {
  std::string name;
  std::string role;
  federation::KeyBytes signing_key{};
  federation::KeyBytes agreement_key{};
  Certificate certificate;  // the newest
  MemberState state = MemberState::kActive;
  std::string revoked_reason;              // empty while active
  std::optional<std::int64_t> revoked_ms;  // none while active
  std::int64_t enrolled_ms = 0;
  std::optional<std::int64_t> last_seen_ms;
};

// What a serial is worth, apart from its expiry.
enum class SerialStanding {
  kCurrent,  // the member's newest certificate
  kOld,      // renewed since; good until its own expiry
  kRevoked   // revoked, or replaced by a new enrollment
};
[[nodiscard]] std::string_view Name(SerialStanding standing);

struct SerialFound {
  Member member;
  Certificate certificate;  // the one with this serial: check its not_after_ms
  SerialStanding standing = SerialStanding::kRevoked;
};

enum class StudyState { kOffered, kRunning, kPaused, kFinished, kFailed, kCancelled };
[[nodiscard]] std::string_view Name(StudyState state);  // "offered", "running", ...
// Finished, failed or cancelled: nothing more is asked.
[[nodiscard]] bool HasEnded(StudyState state);

struct StudyStatus {
  Digest id;
  std::string name;
  std::string lead;
  StudyState state = StudyState::kOffered;
  std::string reason;         // why it is in this state, for people
  std::uint32_t attempt = 0;  // the newest; 0 also before the first began
  std::int64_t submitted_ms = 0;
  std::optional<std::int64_t> started_ms;  // when it first ran
  std::optional<std::int64_t> ended_ms;    // when it finished, failed or was cancelled
};

struct StoredStudy {
  StudyStatus status;
  std::string file;  // YAML, byte for byte
  Bytes submission;  // what the lead signed; opaque
};

struct NewStudy {
  Digest id;
  std::string name;
  std::string lead;
  std::string file;
  Bytes submission;
};

enum class SiteState { kOffered, kWaiting, kApproved, kRejected, kJoined };
[[nodiscard]] std::string_view Name(SiteState state);  // "offered", "waiting", ...

// Where one site stands in one study.
struct StudySite {
  Digest study;
  std::string site;
  SiteState state = SiteState::kOffered;
  std::string sentence;  // for people
  Bytes join;            // the site's join message; opaque
  std::int64_t changed_ms = 0;
};

struct Attempt {
  std::uint32_t attempt = 0;  // from 0
  Bytes roster;               // opaque
  std::int64_t began_ms = 0;
  std::optional<std::int64_t> ended_ms;
  std::string why;  // why it ended
};

struct ArtifactInfo {
  std::string file_name;
  std::uint64_t bytes = 0;
  Digest digest;  // SHA-256
};

// The head of a site's ledger as the coordinator countersigned it.
struct LedgerHead {
  std::string site;
  std::uint64_t count = 0;  // entries
  Digest hash;              // of the newest entry
  Bytes signature;          // opaque
  std::int64_t received_ms = 0;
};

struct Event {
  std::uint64_t sequence = 0;  // from 1, without gaps
  std::int64_t unix_ms = 0;
  std::string who;     // a member's name, or the coordinator's
  std::string what;    // a code: "token.redeemed", "study.submitted"
  std::string detail;  // for people; no secret, no patient's value
};

struct StoreState {
  int schema_version = 0;
  std::uint64_t bytes = 0;  // of the database, without its write-ahead log
};

class Store {
 public:
  // A new, empty store at `path` (mode 0600), there completely or not at all. The folder must
  // exist. Errors: kAlreadyExists (there is a file), kInvalidArgument (the options).
  [[nodiscard]] static Result<std::unique_ptr<Store>> Create(const std::string& path,
                                                             const StoreOptions& options = {});
  // The store that Create made; what a killed process left is recovered. Errors: kNotFound (there
  // is no file), kFailedPrecondition (not a coordinator's store, or of a newer version: names both
  // versions), kInvalidArgument (the options).
  [[nodiscard]] static Result<std::unique_ptr<Store>> Open(const std::string& path,
                                                           const StoreOptions& options = {});
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  [[nodiscard]] const std::string& path() const;

  // Everything `work` changes through this Store is one transaction, taken before `work` begins:
  // kept if it returns no error, undone otherwise. May be nested; an inner failure undoes the inner
  // changes. Errors: those of `work`.
  [[nodiscard]] Result<void> Atomically(const std::function<Result<void>()>& work);

  // --- meta: names and addresses of the coordinator itself ---
  [[nodiscard]] Result<void> SetMeta(std::string_view key, std::string_view value);
  [[nodiscard]] Result<std::optional<std::string>> FindMeta(std::string_view key) const;
  [[nodiscard]] Result<std::map<std::string, std::string>> ListMeta() const;

  // --- tokens ---
  // `used_ms` is not looked at. Errors: kAlreadyExists (the same secret again), kInvalidArgument
  // (it expires before it was created).
  [[nodiscard]] Result<void> AddToken(const Token& token);
  // Uses the token up: of any number of calls with one secret, also from several processes, exactly
  // one succeeds. Errors: kNotFound (no such token), kAlreadyExists (used before: says when),
  // kFailedPrecondition (expired: says when).
  [[nodiscard]] Result<Invitation> RedeemToken(const Digest& secret_hash, std::int64_t now_ms);
  // Ends every unused token of `name` at now_ms; how many.
  [[nodiscard]] Result<std::uint64_t> ExpireTokens(std::string_view name, std::int64_t now_ms);
  // Newest first.
  [[nodiscard]] Result<std::vector<Token>> ListTokens() const;

  // --- members ---
  // Makes or re-makes the member active with this certificate. Earlier certificates of the name are
  // revoked. A revoked name may enroll again. Errors: kAlreadyExists (the name is active and
  // `replace` is false, or the serial was issued before).
  [[nodiscard]] Result<void> Enroll(const Enrollment& enrollment, bool replace,
                                    std::int64_t now_ms);
  // Adds the member's next certificate; those before stay good until their expiry.
  // Errors: kNotFound, kFailedPrecondition (revoked), kAlreadyExists (the serial).
  [[nodiscard]] Result<void> Renew(std::string_view name, const Certificate& certificate,
                                   std::int64_t now_ms);
  // The member and all its certificates are revoked. Again: nothing changes, the first reason
  // stays. Errors: kNotFound.
  [[nodiscard]] Result<void> Revoke(std::string_view name, std::string_view reason,
                                    std::int64_t now_ms);
  // Moves last_seen_ms of these members forward, never back; unknown names are skipped.
  [[nodiscard]] Result<void> SetLastSeen(const std::map<std::string, std::int64_t>& seen_ms);
  // Errors: kNotFound.
  [[nodiscard]] Result<Member> FindMember(std::string_view name) const;
  // Errors: kNotFound (this store never issued the serial).
  [[nodiscard]] Result<SerialFound> FindBySerial(std::string_view serial) const;
  // By name.
  [[nodiscard]] Result<std::vector<Member>> ListMembers() const;

  // --- studies ---
  // Offered, attempt 0. Errors: kAlreadyExists (says in which state it is).
  [[nodiscard]] Result<void> AddStudy(const NewStudy& study, std::int64_t now_ms);
  // Errors: kNotFound.
  [[nodiscard]] Result<StoredStudy> FindStudy(const Digest& id) const;
  // In the order of submission.
  [[nodiscard]] Result<std::vector<StudyStatus>> ListStudies() const;
  // Keeps started_ms and ended_ms in step. Finished and cancelled are final; failed may run again.
  // The same final state again changes nothing. Errors: kNotFound, kFailedPrecondition (final).
  [[nodiscard]] Result<void> SetStudyState(const Digest& id, StudyState state,
                                           std::string_view reason, std::int64_t now_ms);
  // `join` = none keeps the message that is there. Errors: kNotFound (the study).
  [[nodiscard]] Result<void> SetSite(const Digest& study, std::string_view site, SiteState state,
                                     std::string_view sentence, const std::optional<Bytes>& join,
                                     std::int64_t now_ms);
  // By name of the site; empty for an unknown study.
  [[nodiscard]] Result<std::vector<StudySite>> ListSites(const Digest& study) const;
  // Where one site stands in every study, in the order of submission.
  [[nodiscard]] Result<std::vector<StudySite>> ListSiteStudies(std::string_view site) const;

  // --- attempts ---
  // Numbers run from 0 without gaps and one attempt is open at a time; the study's `attempt`
  // follows. Errors: kNotFound (the study), kFailedPrecondition (another number was expected, or
  // the one before has not ended).
  [[nodiscard]] Result<void> BeginAttempt(const Digest& study, std::uint32_t attempt,
                                          std::span<const std::uint8_t> roster,
                                          std::int64_t now_ms);
  // Nothing is appended to its log any more. Errors: kNotFound, kFailedPrecondition (has ended).
  [[nodiscard]] Result<void> EndAttempt(const Digest& study, std::uint32_t attempt,
                                        std::string_view why, std::int64_t now_ms);
  [[nodiscard]] Result<std::vector<Attempt>> ListAttempts(const Digest& study) const;

  // --- records of the log ---
  // Appends record number `sequence`, which must be RecordCount(). Errors: kNotFound (no such
  // attempt), kFailedPrecondition (it has ended, or somebody else appended: the next is another),
  // kInvalidArgument (empty).
  [[nodiscard]] Result<void> AppendRecord(const Digest& study, std::uint32_t attempt,
                                          std::uint64_t sequence,
                                          std::span<const std::uint8_t> record);
  // 0 for an unknown attempt.
  [[nodiscard]] Result<std::uint64_t> RecordCount(const Digest& study, std::uint32_t attempt) const;
  // Whole records from `from_sequence` on, as many as fit into `limit_bytes` together, but at least
  // one if there is one.
  [[nodiscard]] Result<std::vector<Bytes>> ReadRecords(const Digest& study, std::uint32_t attempt,
                                                       std::uint64_t from_sequence,
                                                       std::uint64_t limit_bytes) const;
  // The log from its beginning in pieces of at most a few MB, which respect no record's border;
  // the whole is what federation::LogReader reads. `take` must not use this Store; its error ends
  // the reading and is returned.
  [[nodiscard]] Result<void> StreamLog(
      const Digest& study, std::uint32_t attempt,
      const std::function<Result<void>(std::span<const std::uint8_t>)>& take) const;
  // The same in one piece.
  [[nodiscard]] Result<Bytes> ReadLog(const Digest& study, std::uint32_t attempt) const;

  // --- artifacts: report.json, CSV files, report.html ---
  // Replaces the whole set of the study. Errors: kNotFound (the study).
  [[nodiscard]] Result<void> SetArtifacts(const Digest& study,
                                          const std::map<std::string, Bytes>& files);
  // By file name.
  [[nodiscard]] Result<std::vector<ArtifactInfo>> ListArtifacts(const Digest& study) const;
  // Checked against its digest. Errors: kNotFound.
  [[nodiscard]] Result<Bytes> ReadArtifact(const Digest& study, std::string_view file_name) const;

  // --- ledger heads ---
  // Keeps the head beside all before it; the newest head again is no error and no second entry.
  // Errors: kFailedPrecondition (fewer entries than before, or as many with another hash: the site
  // lost or changed its ledger; names both).
  [[nodiscard]] Result<void> AddLedgerHead(const LedgerHead& head);
  [[nodiscard]] Result<std::optional<LedgerHead>> FindLedgerHead(std::string_view site) const;
  // Oldest first.
  [[nodiscard]] Result<std::vector<LedgerHead>> ListLedgerHeads(std::string_view site) const;

  // --- events: the audit trail, append-only ---
  // The new event's sequence number.
  [[nodiscard]] Result<std::uint64_t> AddEvent(std::int64_t unix_ms, std::string_view who,
                                               std::string_view what, std::string_view detail);
  // At most `limit` events with sequence >= from, in order.
  [[nodiscard]] Result<std::vector<Event>> ListEvents(std::uint64_t from,
                                                      std::uint64_t limit) const;

  // --- care ---
  // A consistent copy at the new file `path` (mode 0600), there completely or not at all; other
  // Stores may go on writing. Errors: kAlreadyExists (there is a file), kFailedPrecondition (inside
  // Atomically).
  [[nodiscard]] Result<void> Backup(const std::string& path) const;
  // Reads the whole database: structure, references between tables, and version. Takes as long as
  // reading the file. Errors: kDataLoss (names the first thing that is wrong).
  [[nodiscard]] Result<StoreState> Check() const;

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The log of one attempt, for StudyRun. The store is not owned and must outlive it. Only one
// StoreLog of an attempt may write: an Append after somebody else's is refused.
class StoreLog : public federation::LogSink {
 public:
  StoreLog(Store& store, const Digest& study, std::uint32_t attempt)
      : store_(store), study_(study), attempt_(attempt) {}
  // One durable transaction; continues after the records that were there at the first call.
  // Errors: those of Store::AppendRecord. After an error nothing was appended; it may be repeated.
  [[nodiscard]] Result<void> Append(std::span<const std::uint8_t> record) override;

 private:
  Store& store_;
  Digest study_;
  std::uint32_t attempt_;
  std::optional<std::uint64_t> next_;
};

}  // namespace consilium::coordinator
