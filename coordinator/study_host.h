// One study at the coordinator, from its submission to its report: events in, messages out.
//
//   offered -> running -> finished
//      |          |  ^------ restart without sites that left, if the contract allows
//      +----------+---> cancelled, failed
//
// The host owns the rules: who must approve, who is asked what, which answer counts, when a total
// may be told. It joins the pure machines (StudyRun, federation::Round) to the disk and to whoever
// carries messages; it has no socket, no thread and no clock of its own. Everything it must still
// know after a crash is in the store: the log of each attempt, and each site's word. One thread at
// a time. Protocol: docs/protocol.md and docs/formats/wire.md.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "coordinator/store.h"
#include "coordinator/study_run.h"
#include "federation/round.h"
#include "federation/wire/wire.h"
#include "study/engine.h"
#include "study/study.h"
#include "study/submission.h"

namespace consilium::coordinator {

// Carries messages to the sites that are connected; to others nothing is sent.
class Outbox {
 public:
  virtual ~Outbox() = default;
  virtual void Send(const std::string& site, wire::ToSite message) = 0;
  // One record of the log in parts, which all share its bytes.
  virtual void SendRecord(const std::string& site, const Digest& study, std::uint32_t attempt,
                          std::uint64_t index, std::shared_ptr<const Bytes> record) = 0;
};

// What people are shown of a study.
struct HostStatus {
  StudyStatus study;
  std::uint32_t attempt = 0;
  std::uint64_t round = 0;  // the one that is open; rounds done = round
  std::string doing;        // "fitting lasso paths"
  std::uint64_t queries = 0;
  std::uint64_t fits = 0;
  std::uint64_t bytes_up = 0;  // of one training center so far
  struct Site {
    std::string site;
    std::string state;     // "approved", "silent", "answered"
    std::string sentence;  // for people
  };
  std::vector<Site> sites;
  std::vector<federation::Wait> waits;
  bool everybody_told = false;  // every site that is connected knows that the study has ended
};

class StudyHost {
 public:
  // Takes up the study `id` where the store has it. `store`, `outbox` and `engine` are not owned.
  // Errors: the store's; kDataLoss (a log that does not hold), those of study::StudyOf.
  [[nodiscard]] static Result<std::unique_ptr<StudyHost>> Open(const Digest& id, Store& store,
                                                               Outbox& outbox,
                                                               const study::Engine& engine,
                                                               std::int64_t now_ms);
  ~StudyHost();
  StudyHost(const StudyHost&) = delete;
  StudyHost& operator=(const StudyHost&) = delete;

  // --- what happened. now_ms: one monotonic clock; unix_ms: for the register.
  // The site is connected and holds this much of the log (nothing: it has not said anything).
  void Connected(const std::string& site, const std::optional<wire::Position>& position,
                 std::int64_t now_ms, std::int64_t unix_ms);
  void Disconnected(const std::string& site, std::int64_t now_ms);
  void Seen(const std::string& site, const std::string& doing, std::int64_t now_ms);
  void Heard(const std::string& site, const wire::StudyWord& word, std::int64_t now_ms,
             std::int64_t unix_ms);
  void Refused(const std::string& site, const wire::Refused& refused, std::int64_t now_ms,
               std::int64_t unix_ms);
  void Held(const std::string& site, const wire::Position& position, std::int64_t now_ms);
  // An answer has arrived whole; `digest` is the SHA-256 of its words. True: it was held before.
  // Errors: why it is not taken; the site is told the code.
  [[nodiscard]] Result<bool> Answered(const std::string& site, const wire::AnswerHead& head,
                                      std::span<const std::uint8_t> words, const Digest& digest,
                                      std::int64_t now_ms, std::int64_t unix_ms);
  // A person says that the site is gone for good (revoked, withdrawn).
  void Left(const std::string& site, std::string_view why, std::int64_t now_ms,
            std::int64_t unix_ms);
  void Cancel(std::string_view why, std::int64_t unix_ms);
  void Tick(std::int64_t now_ms, std::int64_t unix_ms);

  // Nothing more will be asked.
  [[nodiscard]] bool ended() const;
  [[nodiscard]] const study::Study& study() const;
  // Of one answer to the open round; 0: none is open.
  [[nodiscard]] std::uint64_t sum_bytes() const;
  [[nodiscard]] HostStatus Status(std::int64_t now_ms) const;
  // A number that grows whenever Status would show something else than waiting times.
  [[nodiscard]] std::uint64_t version() const;

 private:
  struct Impl;
  explicit StudyHost(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace consilium::coordinator
