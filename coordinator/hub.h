// The coordinator between its edge and its studies: who may do what, who is connected, which study
// hears what.
//
// The edge (server.h) hands in decoded messages of callers whose certificates it has read; the hub
// decides. Every study runs on a thread of its own with its own connection to the store, so that a
// study that computes keeps no other one waiting. Thread-safe unless said otherwise. Knows no gRPC.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "coordinator/guard.h"
#include "coordinator/half_sent.h"
#include "coordinator/home.h"
#include "coordinator/spool.h"
#include "coordinator/store.h"
#include "coordinator/study_host.h"
#include "federation/wire/wire.h"
#include "identity/certificate.h"
#include "study/engine.h"

namespace consilium::coordinator {

struct HubOptions {
  std::uint32_t beat_ms = 2000;     // how often both sides say that they are there
  std::uint32_t silence_ms = 4500;  // a site that says nothing for so long is not connected
  std::int64_t tick_ms = 250;       // of every study's waits
  int site_days = 90;               // life of a site's certificate
  int person_days = 365;
  study::Engine engine = study::MakeEngine();
};

// Whoever calls, as the register knows the certificate that was shown.
struct Caller {
  std::string name;
  identity::Role role = identity::Role::kSite;
  std::string serial;
  std::int64_t not_after_ms = 0;
};

// One site's open stream, by the edge. Calls may come from any thread.
class SiteStream {
 public:
  virtual ~SiteStream() = default;
  virtual void Send(wire::ToSite message) = 0;
  virtual void SendRecord(const Digest& study, std::uint32_t attempt, std::uint64_t index,
                          std::shared_ptr<const Bytes> record) = 0;
  virtual void Close(const Error& why) = 0;
};

class Hub {
 public:
  enum class Studies { kTakeUp, kLeaveAlone };  // kLeaveAlone: beside a coordinator that runs
  // Takes up every study that has not ended. Errors: the store's.
  [[nodiscard]] static Result<std::unique_ptr<Hub>> Open(Home home, HubOptions options,
                                                         Studies studies = Studies::kTakeUp);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // --- who calls
  // The owner of this certificate, if the register lets it in now. Errors: kPermissionDenied
  // (unknown, revoked, expired, or none of `roles`: says which).
  [[nodiscard]] Result<Caller> Authenticate(std::string_view certificate_pem,
                                            const std::vector<identity::Role>& roles);
  // Errors: kPermissionDenied, kNotFound, kAlreadyExists, kFailedPrecondition (the token, the
  // request, the versions), the store's; told in the log here, with `from`, whoever that is.
  [[nodiscard]] Result<wire::Enrolled> Enroll(const wire::Enrolment& enrolment,
                                              std::string_view from);
  [[nodiscard]] Result<std::string> Renew(const Caller& caller, std::string_view request_pem);

  [[nodiscard]] static wire::Versions versions();
  // Whether a site of these versions can work with this coordinator; the protocol that is spoken.
  // Errors: kFailedPrecondition (names both versions).
  [[nodiscard]] Result<std::uint32_t> Agree(std::string_view site,
                                            const wire::Versions& theirs) const;

  // --- sites
  // The stream is the site's from now on; one that was open before is closed. Errors:
  // kFailedPrecondition (no protocol or engine in common: names both versions).
  [[nodiscard]] Result<void> Attach(const Caller& caller, const wire::Hello& hello,
                                    std::shared_ptr<SiteStream> stream);
  void Detach(const std::string& site, const SiteStream* stream);
  // Part of an answer has come: the site is there, although its beats stand behind the answer on a
  // slow line.
  void Alive(const std::string& site);
  // Errors: kInvalidArgument (a second hello), the store's.
  [[nodiscard]] Result<void> Hear(const Caller& caller, const wire::FromSite& message);
  // May so much be sent? Called with the head, before the words. Errors: kResourceExhausted,
  // kFailedPrecondition.
  [[nodiscard]] Result<void> ExpectAnswer(const Caller& caller, const wire::AnswerHead& head);
  // Answers whose call broke.
  [[nodiscard]] HalfSent& half_sent() { return half_sent_; }
  // The whole answer. `done` is called once, on the study's thread, or by whoever ends the study
  // before it has looked at the answer.
  void Submit(const Caller& caller, wire::AnswerHead head, std::shared_ptr<Spool> words,
              std::function<void(Result<bool>)> done);

  // --- people
  [[nodiscard]] Result<std::string> Invite(const Caller& caller, std::string_view name,
                                           std::string_view role, std::int64_t valid_s,
                                           std::int64_t* expires_s);
  [[nodiscard]] Result<void> Revoke(const Caller& caller, std::string_view name,
                                    std::string_view reason);
  [[nodiscard]] Result<std::vector<wire::Member>> ListMembers();
  [[nodiscard]] Result<Digest> SubmitStudy(const Caller& caller,
                                           std::span<const std::uint8_t> submission, bool* already);
  [[nodiscard]] Result<void> CancelStudy(const Caller& caller, const Digest& study,
                                         std::string_view reason);
  struct StudyLine {
    StudyStatus status;
    std::uint64_t rounds = 0;
  };
  [[nodiscard]] Result<std::vector<StudyLine>> ListStudies();
  // What is known of a study now; of one that ended, from the store. Errors: kNotFound.
  [[nodiscard]] Result<HostStatus> Status(const Digest& study);
  [[nodiscard]] Result<std::vector<std::string>> ListFiles(const Digest& study);
  // A file of the report, or "log.consilium", in pieces to `take`. Errors: kNotFound; take's.
  [[nodiscard]] Result<void> ReadFile(
      const Digest& study, std::string_view file,
      const std::function<Result<void>(std::span<const std::uint8_t>)>& take);

  // --- the operator
  // Text in Prometheus' format.
  [[nodiscard]] std::string Metrics();
  // Limits of every caller; refusals are counted here.
  [[nodiscard]] Guard& guard() { return guard_; }
  // Counts a refusal and tells it in the log, unless enough was said (guard.h): whether it was.
  // `who`: a member's name, or words for whoever has none.
  bool Refused(std::string_view kind, std::string_view who, std::string_view why);
  [[nodiscard]] const Home& home() const { return home_; }
  // When what the listeners show, and the authority, end; unix seconds.
  struct Endings {
    std::int64_t server_s = 0;
    std::int64_t authority_s = 0;
  };
  [[nodiscard]] Endings endings() const;
  // The listeners show a certificate until then (server.h renews it).
  void ShowsCertificateUntil(std::int64_t unix_s) { server_until_s_ = unix_s; }
  [[nodiscard]] const HubOptions& options() const { return options_; }
  // Ends every connection and thread; nothing is lost. Called by the destructor too.
  void Stop();

 private:
  class StudyThread;
  struct Connected {
    std::shared_ptr<SiteStream> stream;
    Caller caller;
    std::string engine;
    std::int64_t heard_ms = 0;  // monotonic
    std::int64_t skew_ms = 0;   // the site's clock less ours
    std::map<Digest, wire::Position> positions;
  };
  Hub(Home home, HubOptions options, std::unique_ptr<Store> store);
  [[nodiscard]] Result<void> StartStudy(const Digest& id);
  [[nodiscard]] std::shared_ptr<StudyThread> FindThread(const Digest& id);
  [[nodiscard]] std::shared_ptr<SiteStream> FindStream(const std::string& site);
  // What the store has of a study, if `site` is a member of it.
  [[nodiscard]] std::optional<StoredStudy> StudyOfMember(const Digest& id, const std::string& site);
  [[nodiscard]] Result<std::string> IssueFor(std::string_view request_pem, std::string_view name,
                                             identity::Role role);
  [[nodiscard]] Result<identity::CertificateFacts> FactsOf(std::string_view certificate_pem,
                                                           std::int64_t now_s);
  void Watch();
  // Tells the operator, and whoever asks for the study, that it waits for another program.
  void NotTakenUp(const Digest& id, std::string_view name, const Error& why);
  void Note(std::string_view who, std::string_view what, std::string_view detail);

  Home home_;
  HubOptions options_;
  Guard guard_;
  HalfSent half_sent_;
  struct Issued {
    identity::CertificateFacts facts;
    std::int64_t checked_s = 0;
  };
  std::mutex issued_mutex_;
  std::map<std::string, Issued, std::less<>> issued_;  // by PEM
  std::mutex store_mutex_;
  std::unique_ptr<Store> store_;
  std::mutex mutex_;  // of what stands below; never held while a study or the store is called
  std::map<std::string, Connected> connected_;
  std::map<Digest, std::shared_ptr<StudyThread>> threads_;
  std::map<Digest, std::string> not_taken_up_;  // why
  std::atomic<bool> stopping_{false};
  std::atomic<std::int64_t> server_until_s_{0};
  std::atomic<std::uint64_t> answers_{0}, answer_bytes_{0}, refused_calls_{0}, enrolled_{0};
  std::thread watch_;
};

}  // namespace consilium::coordinator
