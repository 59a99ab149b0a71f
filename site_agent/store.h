// The agent's memory on disk: keys, enrolment, ledger, studies and their logs.
//
//   keys.json          signing and agreement key, the secret of row names, the TLS key   0600
//   enrolment.json     certificate, authority, address and key of the coordinator        0600
//   ledger.bin         the ledger's records (ledger.h)
//   head.json          the last head of the ledger that the coordinator countersigned
//   approvals.jsonl    every decision about a study, a line each, in order
//   studies/DIGEST/    submission.bin, decision.json, log-ATTEMPT.bin, ended.json
//   lock               held by the agent that runs here; its process id
//
// Whole files are replaced (disk/files.h), ledger and logs grow; a torn last record, as a crash in
// the middle of an append leaves it, is cut off and said, damage before it is kDataLoss. A store is
// opened either by the one agent that runs (Open, which locks) or beside it by a person's command
// (OpenBeside, which reads and decides). One thread a store. Errors of every function: those of
// disk/files.h; kPermissionDenied (others can read what they must not: gives the chmod; the folder
// is another user's: gives the command), kDataLoss (a file is damaged: names it). Format:
// docs/formats/site.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"
#include "base/strict_yaml.h"
#include "disk/files.h"
#include "federation/keys.h"
#include "federation/log.h"
#include "site_agent/gate.h"
#include "site_agent/ledger.h"
#include "site_agent/site.h"
#include "study/submission.h"

namespace consilium::site_agent {

// All secrets of a site. Made once, together; the secret names the rows in the ledger, so another
// one would make every patient a new one.
struct StoredKeys {
  federation::SigningKey signing;
  federation::AgreementKey agreement;
  Bytes secret;             // [32]
  std::string tls_key_pem;  // as it was given, locked with a passphrase or not

  [[nodiscard]] federation::SiteKeys public_keys() const {
    return {signing.verifying_key(), agreement.public_key()};
  }
  // Who the site is in a study.
  [[nodiscard]] SiteIdentity Identity(std::string site) const;
};

// The TLS key ready for use. Errors: kFailedPrecondition (it is locked, and no passphrase was
// given: names the variable that holds it), kPermissionDenied (the passphrase does not open it),
// those of identity::DecryptKey.
[[nodiscard]] Result<std::string> UnlockTlsKey(const StoredKeys& keys, std::string_view passphrase);

// What enrolling returned, and renewing renews.
struct StoredEnrolment {
  std::string site;
  std::string certificate_pem;
  std::string authority_pem;
  std::string address;      // of the coordinator's work listener, "host:port"
  std::string coordinator;  // its name
  federation::VerifyingKey coordinator_key;
  std::int64_t unix_ms = 0;
  std::string operated_by = {};  // the lead who operates it, by its own word; empty: none is known

  // The coordinator for people's eyes: its name, and who operates it.
  [[nodiscard]] std::string CoordinatorText() const;
  friend bool operator==(const StoredEnrolment&, const StoredEnrolment&) = default;
};

// Somebody's word about one study.
struct Decision {
  enum class Word { kWaiting, kApproved, kRejected };
  Word word = Word::kWaiting;
  std::string by;  // a person's name, or "policy"; empty: nobody yet
  std::int64_t unix_ms = 0;
  std::string reason;                // of a rejection
  std::optional<Approval> approval;  // exactly when approved
};
[[nodiscard]] std::string_view Name(Decision::Word word);  // "waiting", "approved", "rejected"

struct StudyEnd {
  std::string state;  // "finished", "cancelled", "failed"
  std::string why;
  std::int64_t unix_ms = 0;
  friend bool operator==(const StudyEnd&, const StudyEnd&) = default;
};

struct StoredStudy {
  Digest digest;  // of the submission
  study::Submission submission;
  Decision decision;
  std::optional<StudyEnd> ended;
  std::vector<std::uint32_t> attempts;  // that have a log, ascending
};

// How far a log reaches.
struct LogExtent {
  std::uint64_t records = 0;     // whole ones: the header, then one a round
  std::uint64_t bytes = 0;       // that they take
  std::uint64_t torn_bytes = 0;  // behind them, of a record that was never finished
};

struct StoredLog {
  Bytes bytes;                   // whole records
  std::uint64_t records = 0;     // how many
  std::uint64_t torn_bytes = 0;  // behind them
};

// The head of the ledger as the coordinator countersigned it (wire::HeadSigned).
struct CountersignedHead {
  LedgerHead head;
  federation::Signature signature{};  // of the coordinator's key over wire::HeadBytes
  std::int64_t unix_ms = 0;
  friend bool operator==(const CountersignedHead&, const CountersignedHead&) = default;
};

// A ledger that holds.
struct LedgerVerdict {
  LedgerHead head;
  std::optional<CountersignedHead> countersigned;  // of `coordinator`, and reached by the ledger
  std::string coordinator;
  std::uint64_t torn_bytes = 0;  // of a last record that is not finished (or just being written)
};

// Proof that every record of the ledger up to `head` is on the disk. Only SiteLedger::Sync makes
// one; whoever sends an answer out takes one by value and checks `head() == ledger.head()`, so that
// no answer can leave before the record of it is flushed.
class LedgerSynced {
 public:
  LedgerSynced(LedgerSynced&&) = default;
  LedgerSynced& operator=(LedgerSynced&&) = default;
  [[nodiscard]] const LedgerHead& head() const { return head_; }

 private:
  friend class SiteLedger;
  explicit LedgerSynced(const LedgerHead& head) : head_(head) {}
  LedgerHead head_;
};

// The ledger and its file. Records are kept in memory until Sync, which writes them with one flush.
class SiteLedger {
 public:
  ~SiteLedger();
  SiteLedger(const SiteLedger&) = delete;
  SiteLedger& operator=(const SiteLedger&) = delete;

  // For the gate. Its Append succeeds before the record is on the disk: see Sync.
  [[nodiscard]] Ledger& ledger() { return *ledger_; }
  [[nodiscard]] const Ledger& ledger() const { return *ledger_; }
  // Everything appended so far is on the disk when this returns; nothing may leave before. After
  // an error the records are kept and Sync may be repeated (when there is space again); what was
  // promised by them must not leave.
  [[nodiscard]] Result<LedgerSynced> Sync();
  [[nodiscard]] std::size_t unsynced_bytes() const;
  // What was cut off when the file was opened, in a sentence; empty: nothing.
  [[nodiscard]] const std::string& note() const { return note_; }
  // Of a ledger that was only read: what stands behind the whole records.
  [[nodiscard]] std::size_t torn_bytes() const { return torn_.size(); }

 private:
  friend class SiteStore;
  class File;
  SiteLedger();
  std::unique_ptr<File> file_;
  std::optional<Ledger> ledger_;
  std::string note_, torn_;
};

// The log of one attempt as it grows at this site; a record is durable when Append returns.
class StudyLog : public federation::LogSink {
 public:
  // Errors: kInvalidArgument (these bytes are not one whole record); those of AppendFile.
  [[nodiscard]] Result<void> Append(std::span<const std::uint8_t> record) override;
  [[nodiscard]] std::uint64_t records() const { return records_; }

 private:
  friend class SiteStore;
  StudyLog(disk::AppendFile file, std::uint64_t records)
      : file_(std::move(file)), records_(records) {}
  disk::AppendFile file_;
  std::uint64_t records_;
};

class SiteStore {
 public:
  // The one agent of this folder: makes it (0700) if absent and locks it until the store goes away.
  // Errors: kFailedPrecondition (another agent runs on the folder: names its process id).
  [[nodiscard]] static Result<SiteStore> Open(const std::filesystem::path& folder);
  // Beside the agent, for a person's command; writes nothing but decisions.
  // Errors: kNotFound (no such folder: the site is not enrolled).
  [[nodiscard]] static Result<SiteStore> OpenBeside(const std::filesystem::path& folder);
  SiteStore(SiteStore&&) = default;
  SiteStore& operator=(SiteStore&&) = default;

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  // The agent that runs on this folder; 0: none.
  [[nodiscard]] pid_t RunningAgent() const;

  // --- keys and enrolment ---
  // `new_tls_key` is asked for the PEM of a TLS key if, and only if, the site has no keys yet.
  // Errors: its own; kDataLoss (there is a ledger but no keys: new ones would not fit it).
  [[nodiscard]] Result<StoredKeys> LoadOrCreateKeys(
      const std::function<Result<std::string>()>& new_tls_key);
  // Errors: kNotFound (the site has none).
  [[nodiscard]] Result<StoredKeys> LoadKeys() const;
  // Replaces the TLS key, for example by the same one under a passphrase; the other keys stay.
  [[nodiscard]] Result<void> SaveTlsKey(std::string_view tls_key_pem);
  [[nodiscard]] Result<void> SaveEnrolment(const StoredEnrolment& enrolment);
  // Errors: kNotFound (the site is not enrolled: names the command).
  [[nodiscard]] Result<StoredEnrolment> LoadEnrolment() const;

  // --- the ledger ---
  // Reads, verifies and continues the ledger of this site, which must reach the countersigned head;
  // only the store of Open may. What is cut off a torn end is kept in ledger.torn and said in
  // note(). Errors: kDataLoss (a record is damaged, or missing that the coordinator countersigned),
  // kFailedPrecondition (this store is beside an agent).
  [[nodiscard]] Result<std::unique_ptr<SiteLedger>> OpenLedger(std::string_view site);
  // All whole records, verified as OpenLedger does; changes nothing, and may run beside an agent.
  [[nodiscard]] Result<std::unique_ptr<const SiteLedger>> ReadLedger(std::string_view site) const;
  // Keeps the newest head; an older one is no error and changes nothing. The caller has verified
  // it.
  [[nodiscard]] Result<void> SaveHead(const CountersignedHead& head);
  [[nodiscard]] Result<std::optional<CountersignedHead>> LoadHead() const;
  // Chain and hashes of the ledger; that it reaches the countersigned head; that the coordinator of
  // the enrolment signed that head. Errors: kDataLoss, kPermissionDenied (the signature is not the
  // coordinator's).
  [[nodiscard]] Result<LedgerVerdict> VerifyLedgerFile(std::string_view site) const;

  // --- studies ---
  // Keeps the submission, waiting for a decision. False: it was there, and stays as it is.
  [[nodiscard]] Result<bool> AddStudy(const study::Submission& submission, std::int64_t unix_ms);
  // Errors: kNotFound.
  [[nodiscard]] Result<StoredStudy> LoadStudy(const Digest& digest) const;
  struct StudyList {
    std::vector<StoredStudy> studies;  // by digest
    Problems problems;                 // studies that cannot be read, each with its file
  };
  [[nodiscard]] Result<StudyList> ListStudies() const;
  // Appends the decision to approvals.jsonl, then makes it the study's. A person's and the agent's
  // decisions wait for each other. Errors: kNotFound, kAlreadyExists (the study has this very word:
  // names who and when), kFailedPrecondition (the study ended, or `if_word` is given and is not the
  // study's word any more).
  [[nodiscard]] Result<void> Decide(const Digest& digest, const Decision& decision,
                                    std::optional<Decision::Word> if_word = std::nullopt);
  // The decision alone: what an agent looks at when it is told that a person decided.
  [[nodiscard]] Result<Decision> LoadDecision(const Digest& digest) const;
  // Final: a second end is no error and changes nothing.
  [[nodiscard]] Result<void> EndStudy(const Digest& digest, const StudyEnd& end);

  // --- logs ---
  // Hands the whole records of a log to `take`, in order; one is in memory at a time. Without
  // `take` they are only counted. What does not end with a whole record is left out (torn_bytes).
  // Errors: kDataLoss (a record before the last is damaged), kUnavailable (the file cannot be
  // read), take's. No log: nothing and no error.
  using TakeRecord = std::function<Result<void>(std::span<const std::uint8_t> record)>;
  [[nodiscard]] Result<LogExtent> ScanLog(const Digest& study, std::uint32_t attempt,
                                          const TakeRecord& take) const;
  // All of it at once. Errors: those of ScanLog.
  [[nodiscard]] Result<StoredLog> ReadLog(const Digest& study, std::uint32_t attempt) const;
  // Continues behind the whole records; a torn tail is cut off. Errors: kNotFound (the study).
  [[nodiscard]] Result<std::unique_ptr<StudyLog>> OpenLog(const Digest& study,
                                                          std::uint32_t attempt);

 private:
  explicit SiteStore(std::filesystem::path folder) : folder_(std::move(folder)) {}
  [[nodiscard]] Result<void> RequireLock() const;
  [[nodiscard]] Result<std::unique_ptr<SiteLedger>> ReadKept(std::string_view site) const;
  [[nodiscard]] std::filesystem::path StudyFolder(const Digest& digest) const;

  std::filesystem::path folder_;
  std::optional<disk::FileLock> lock_;  // absent: beside an agent
};

// "2026-03-01 14:05 UTC".
[[nodiscard]] std::string UtcText(std::int64_t unix_ms);

}  // namespace consilium::site_agent
