#include "coordinator/hub.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <thread>

#include "disk/files.h"
#include "identity/token.h"
#include "program/program.h"
#include "study/program.h"
#include "study/submission.h"

namespace consilium::coordinator {

using identity::Role;

namespace {

constexpr std::size_t kIssuedMax = 4096;
constexpr std::int64_t kIssuedSeconds = 600;
constexpr std::int64_t kInviteSecondsMax = 30 * 86'400;
// How long a study that ended is kept at hand for what is on its way; and for sites that are
// connected and do not take its last records.
constexpr std::int64_t kStudyLingersMs = 10'000;
constexpr std::int64_t kStudyWaitsMs = 600'000;
// What one site may have said to one study that has not looked at it yet.
constexpr std::size_t kWaitingBytesMax = std::size_t{16} << 20;
constexpr std::size_t kPieceBytes = 256;  // of a message without its texts

Certificate Stored(const identity::CertificateFacts& facts, std::string pem) {
  return {facts.serial, facts.fingerprint, facts.not_after_s * 1000, std::move(pem)};
}

}  // namespace

// One study, its thread and its own connection to the store. Work is done in the order in which it
// was posted; after each piece, and every tick, the study looks whether something is due.
class Hub::StudyThread : public Outbox, public std::enable_shared_from_this<StudyThread> {
 public:
  static Result<std::shared_ptr<StudyThread>> Start(Hub& hub, const Digest& id) {
    auto store = Store::Open(hub.home_.store_path().string());
    CONSILIUM_TRY(store);
    auto thread = std::shared_ptr<StudyThread>(new StudyThread(hub, id, std::move(*store)));
    auto host =
        StudyHost::Open(id, *thread->store_, *thread, hub.options_.engine, program::MonotonicMs());
    CONSILIUM_TRY(host);
    thread->host_ = std::move(*host);
    thread->members_.insert(thread->host_->study().sites.begin(),
                            thread->host_->study().sites.end());
    thread->Publish();
    thread->thread_ = std::thread([self = thread.get()] { self->Loop(); });
    return thread;
  }
  ~StudyThread() override { Join(); }

  void Post(std::function<void(StudyHost&)> work) {
    {
      const std::lock_guard lock(mutex_);
      work_.push_back({std::move(work), {}, 0});
    }
    wake_.notify_one();
  }
  // What a site said, of about `bytes`; memory stays bounded if this study is slow to take it in.
  // Errors: kResourceExhausted.
  Result<void> PostFrom(const std::string& site, std::size_t bytes,
                        std::function<void(StudyHost&)> work) {
    {
      const std::lock_guard lock(mutex_);
      std::size_t& waiting = waiting_[site];
      if (waiting + bytes > kWaitingBytesMax) {
        return Fail(ErrorCode::kResourceExhausted,
                    fmt::format("site {} says more than its study takes in: {} bytes wait already",
                                site, waiting));
      }
      waiting += bytes;
      work_.push_back({std::move(work), site, bytes});
    }
    wake_.notify_one();
    return {};
  }
  void Join() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
  }
  // Of any answer that was asked for so far.
  [[nodiscard]] std::uint64_t answer_bytes_max() const { return answer_bytes_max_; }
  [[nodiscard]] bool HasMember(const std::string& site) const { return members_.contains(site); }
  [[nodiscard]] std::int64_t began_ms() const { return began_ms_; }
  [[nodiscard]] HostStatus status() {
    const std::lock_guard lock(status_mutex_);
    HostStatus status = status_;
    const std::int64_t passed = program::MonotonicMs() - status_ms_;
    for (auto& wait : status.waits) {
      wait.waited_ms += passed;
      if (wait.seen_ms_ago) *wait.seen_ms_ago += passed;
      if (wait.left_ms) *wait.left_ms = std::max<std::int64_t>(0, *wait.left_ms - passed);
    }
    return status;
  }

  // ---- Outbox
  void Send(const std::string& site, wire::ToSite message) override {
    // Before the question leaves: its answer may be announced at once.
    if (auto* ask = std::get_if<wire::Ask>(&message)) {
      if (host_ && host_->sum_bytes() > answer_bytes_max_) answer_bytes_max_ = host_->sum_bytes();
      ask->held = hub_.half_sent_.Held(site, ask->study, ask->binding);
    }
    if (const auto stream = hub_.FindStream(site)) stream->Send(std::move(message));
  }
  void SendRecord(const std::string& site, const Digest& study, std::uint32_t attempt,
                  std::uint64_t index, std::shared_ptr<const Bytes> record) override {
    if (const auto stream = hub_.FindStream(site))
      stream->SendRecord(study, attempt, index, std::move(record));
  }

 private:
  struct Piece {
    std::function<void(StudyHost&)> work;
    std::string site;  // that asked for it; empty: nobody
    std::size_t bytes = 0;
  };
  StudyThread(Hub& hub, const Digest& id, std::unique_ptr<Store> store)
      : hub_(hub), id_(id), store_(std::move(store)) {}

  void Loop() {
    const auto tick = std::chrono::milliseconds(hub_.options_.tick_ms);
    for (;;) {
      std::deque<Piece> work;
      {
        std::unique_lock lock(mutex_);
        wake_.wait_for(lock, tick, [&] { return stopping_ || !work_.empty(); });
        if (stopping_) return;
        work.swap(work_);
      }
      for (auto& piece : work) {
        piece.work(*host_);
        host_->Tick(program::MonotonicMs(), program::UnixMs());
        if (piece.bytes == 0) continue;
        const std::lock_guard lock(mutex_);
        waiting_[piece.site] -= piece.bytes;
      }
      if (work.empty()) host_->Tick(program::MonotonicMs(), program::UnixMs());
      Publish();
    }
  }
  void Publish() {
    const std::int64_t now = program::MonotonicMs();
    HostStatus status = host_->Status(now);
    const std::lock_guard lock(status_mutex_);
    status_ = std::move(status);
    status_ms_ = now;
  }

  Hub& hub_;
  Digest id_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<StudyHost> host_;
  std::set<std::string> members_;
  std::int64_t began_ms_ = program::MonotonicMs();
  std::atomic<std::uint64_t> answer_bytes_max_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Piece> work_;
  std::map<std::string, std::size_t> waiting_;  // bytes in work_, by the site that said them
  bool stopping_ = false;
  std::mutex status_mutex_;
  HostStatus status_;
  std::int64_t status_ms_ = 0;
  std::thread thread_;
};

Hub::Hub(Home home, HubOptions options, std::unique_ptr<Store> store)
    : home_(std::move(home)), options_(options), store_(std::move(store)) {
  if (const auto facts = identity::ReadCertificate(home_.server.certificate_pem))
    server_until_s_ = facts->not_after_s;
}

Hub::Endings Hub::endings() const { return {server_until_s_, home_.authority.facts().not_after_s}; }

Hub::~Hub() { Stop(); }

Result<std::unique_ptr<Hub>> Hub::Open(Home home, HubOptions options, Studies which) {
  auto store = Store::Open(home.store_path().string());
  CONSILIUM_TRY(store);
  auto hub = std::unique_ptr<Hub>(new Hub(std::move(home), options, std::move(*store)));
  if (which == Studies::kLeaveAlone) return hub;
  CONSILIUM_TRY(disk::MakeFolder(hub->home_.spool_path(), 0700));
  const auto studies = hub->store_->ListStudies();
  CONSILIUM_TRY(studies);
  for (const StudyStatus& study : *studies) {
    if (HasEnded(study.state)) continue;
    if (const auto started = hub->StartStudy(study.id); !started) {
      // One study that cannot be taken up must not keep the others waiting.
      hub->NotTakenUp(study.id, study.name, started.error());
    }
  }
  hub->watch_ = std::thread([self = hub.get()] { self->Watch(); });
  return hub;
}

void Hub::Stop() {
  if (stopping_.exchange(true)) return;
  if (watch_.joinable()) watch_.join();
  std::map<Digest, std::shared_ptr<StudyThread>> threads;
  std::map<std::string, Connected> connected;
  {
    const std::lock_guard lock(mutex_);
    threads.swap(threads_);
    connected.swap(connected_);
  }
  for (auto& [id, thread] : threads) thread->Join();
  for (auto& [site, one] : connected)
    one.stream->Close({ErrorCode::kUnavailable, "the coordinator is stopping; it comes back"});
}

void Hub::Note(std::string_view who, std::string_view what, std::string_view detail) {
  const std::lock_guard lock(store_mutex_);
  (void)store_->AddEvent(program::UnixMs(), who, what, detail);
}

void Hub::NotTakenUp(const Digest& id, std::string_view name, const Error& why) {
  spdlog::error("study {} is not taken up: {}", name, why.message);
  Note("coordinator", "study.not_taken_up", fmt::format("{}: {}", name, why.message));
  const std::lock_guard lock(mutex_);
  not_taken_up_[id] = why.message;
}

bool Hub::Refused(std::string_view kind, std::string_view who, std::string_view why) {
  const auto line = guard_.Refuse(kind, who, why, program::MonotonicMs());
  if (line) spdlog::warn("{}", *line);
  return line.has_value();
}

Result<void> Hub::StartStudy(const Digest& id) {
  auto thread = StudyThread::Start(*this, id);
  CONSILIUM_TRY(thread);
  std::vector<std::pair<std::string, std::optional<wire::Position>>> there;
  {
    const std::lock_guard lock(mutex_);
    threads_[id] = *thread;
    for (const auto& [site, one] : connected_) {
      if (!(*thread)->HasMember(site)) continue;
      const auto found = one.positions.find(id);
      there.emplace_back(
          site, found == one.positions.end() ? std::nullopt : std::optional(found->second));
    }
  }
  for (const auto& [site, position] : there) {
    (*thread)->Post([site = site, position = position](StudyHost& host) {
      host.Connected(site, position, program::MonotonicMs(), program::UnixMs());
    });
  }
  return {};
}

std::shared_ptr<Hub::StudyThread> Hub::FindThread(const Digest& id) {
  const std::lock_guard lock(mutex_);
  const auto found = threads_.find(id);
  return found == threads_.end() ? nullptr : found->second;
}

std::shared_ptr<SiteStream> Hub::FindStream(const std::string& site) {
  const std::lock_guard lock(mutex_);
  const auto found = connected_.find(site);
  return found == connected_.end() ? nullptr : found->second.stream;
}

// ---- who calls

// Who signed a certificate is looked at every ten minutes, since a site calls in every round; its
// end and its place in the register every time.
Result<identity::CertificateFacts> Hub::FactsOf(std::string_view certificate_pem,
                                                std::int64_t now_s) {
  {
    const std::lock_guard lock(issued_mutex_);
    const auto found = issued_.find(certificate_pem);
    if (found != issued_.end() && now_s - found->second.checked_s < kIssuedSeconds &&
        now_s >= found->second.checked_s && now_s <= found->second.facts.not_after_s)
      return found->second.facts;
  }
  CONSILIUM_TRY(identity::CheckIssued(certificate_pem, home_.authority.certificate_pem(), now_s));
  auto facts = identity::ReadCertificate(certificate_pem);
  CONSILIUM_TRY(facts);
  if (!facts->role) return Fail(ErrorCode::kPermissionDenied, "it names no owner and role");
  const std::lock_guard lock(issued_mutex_);
  if (issued_.size() >= kIssuedMax) issued_.clear();
  issued_.insert_or_assign(std::string(certificate_pem), Issued{*facts, now_s});
  return facts;
}

Result<Caller> Hub::Authenticate(std::string_view certificate_pem, const std::vector<Role>& roles) {
  const auto denied = [&](std::string message) {
    ++refused_calls_;
    return Fail(ErrorCode::kPermissionDenied, std::move(message));
  };
  const std::int64_t now_s = program::UnixMs() / 1000;
  const auto facts = FactsOf(certificate_pem, now_s);
  if (!facts) return denied("certificate: " + facts.error().message);
  Result<SerialFound> found = [&] {
    const std::lock_guard lock(store_mutex_);
    return store_->FindBySerial(facts->serial);
  }();
  if (!found) {
    if (found.error().code != ErrorCode::kNotFound) return tl::unexpected<Error>(found.error());
    return denied(fmt::format("certificate of {}: this coordinator did not issue it", facts->name));
  }
  if (found->standing == SerialStanding::kRevoked || found->member.state == MemberState::kRevoked) {
    return denied(fmt::format(
        "certificate of {}: revoked{}; ask the lead for a new token", facts->name,
        found->member.revoked_reason.empty() ? "" : " (" + found->member.revoked_reason + ")"));
  }
  if (std::find(roles.begin(), roles.end(), *facts->role) == roles.end()) {
    std::vector<std::string_view> names;
    for (const Role role : roles) names.push_back(identity::Name(role));
    return denied(fmt::format("{} is enrolled as {}; this call is for {}", facts->name,
                              identity::Name(*facts->role), fmt::join(names, " or ")));
  }
  return Caller{facts->name, *facts->role, facts->serial, facts->not_after_s * 1000};
}

Result<std::string> Hub::IssueFor(std::string_view request_pem, std::string_view name, Role role) {
  identity::Grant grant;
  grant.name = name;
  grant.role = role;
  grant.now_s = program::UnixMs() / 1000;
  grant.days = role == Role::kSite ? options_.site_days : options_.person_days;
  return home_.authority.Issue(request_pem, grant);
}

Result<wire::Enrolled> Hub::Enroll(const wire::Enrolment& enrolment, std::string_view from) {
  const auto agreed = wire::Negotiate(versions(), enrolment.versions);
  const auto request = identity::ReadRequest(enrolment.request_pem);
  if (!agreed || !request) {
    const Error& error = agreed ? request.error() : agreed.error();
    Refused("enrolment", from, error.message);
    return tl::unexpected<Error>(error);
  }
  const std::int64_t now = program::UnixMs();
  std::string certificate_pem;
  Invitation invitation;
  {
    const std::lock_guard lock(store_mutex_);
    const auto enrolled = store_->Atomically([&]() -> Result<void> {
      // The token is used up only if everything else is right.
      auto redeemed = store_->RedeemToken(identity::SecretHash(enrolment.secret), now);
      CONSILIUM_TRY(redeemed);
      invitation = *redeemed;
      const auto role = identity::ParseRole(invitation.role);
      CONSILIUM_TRY(role);
      if (*role == Role::kSite && !enrolment.agreement_key)
        return Fail(ErrorCode::kInvalidArgument, "enrolment: a site needs an agreement key");
      auto issued = IssueFor(enrolment.request_pem, invitation.name, *role);
      CONSILIUM_TRY(issued);
      const auto facts = identity::ReadCertificate(*issued);
      CONSILIUM_TRY(facts);
      Enrollment enrollment;
      enrollment.name = invitation.name;
      enrollment.role = invitation.role;
      enrollment.signing_key = enrolment.signing_key.bytes();
      if (enrolment.agreement_key) enrollment.agreement_key = *enrolment.agreement_key;
      enrollment.certificate = Stored(*facts, *issued);
      certificate_pem = *issued;
      // An invitation is the lead's word that this name may have (new) keys.
      CONSILIUM_TRY(store_->Enroll(enrollment, true, now));
      CONSILIUM_TRY(store_->AddEvent(
          now, invitation.name, "member.enrolled",
          fmt::format("as {}, key {}", invitation.role, Hex(enrolment.signing_key.fingerprint()))));
      return {};
    });
    if (!enrolled) {
      ++refused_calls_;
      // Written down as often as it is told: strangers must not fill the disk.
      if (Refused("enrolment", from, enrolled.error().message))
        (void)store_->AddEvent(now, request->name, "enrolment.refused", enrolled.error().message);
      return tl::unexpected<Error>(enrolled.error());
    }
  }
  ++enrolled_;
  wire::Enrolled reply;
  reply.versions = versions();
  reply.certificate_pem = std::move(certificate_pem);
  reply.authority_pem = home_.authority.certificate_pem();
  reply.address = home_.work_address();
  reply.coordinator = home_.options.name;
  reply.coordinator_key = home_.signing.verifying_key();
  reply.operated_by = home_.options.operated_by;
  return reply;
}

Result<std::string> Hub::Renew(const Caller& caller, std::string_view request_pem) {
  auto issued = IssueFor(request_pem, caller.name, caller.role);
  CONSILIUM_TRY(issued);
  const auto facts = identity::ReadCertificate(*issued);
  CONSILIUM_TRY(facts);
  const std::lock_guard lock(store_mutex_);
  const auto kept = store_->Atomically([&]() -> Result<void> {
    CONSILIUM_TRY(store_->Renew(caller.name, Stored(*facts, *issued), program::UnixMs()));
    CONSILIUM_TRY(store_->AddEvent(program::UnixMs(), caller.name, "certificate.renewed",
                                   "until " + identity::UtcText(facts->not_after_s)));
    return {};
  });
  CONSILIUM_TRY(kept);
  return issued;
}

// ---- sites

wire::Versions Hub::versions() {
  return {wire::kProtocolMin, wire::kProtocolMax, study::kEngineVersion};
}

Result<std::uint32_t> Hub::Agree(std::string_view site, const wire::Versions& theirs) const {
  auto protocol = wire::Negotiate(versions(), theirs);
  CONSILIUM_TRY(protocol);
  if (theirs.engine != study::kEngineVersion) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("engine: this coordinator computes with {}, site {} with {}; totals of "
                            "two engines are never mixed; install the same version",
                            study::kEngineVersion, site, theirs.engine));
  }
  return protocol;
}

Result<void> Hub::Attach(const Caller& caller, const wire::Hello& hello,
                         std::shared_ptr<SiteStream> stream) {
  const auto protocol = Agree(caller.name, hello.versions);
  CONSILIUM_TRY(protocol);
  Connected one;
  one.stream = stream;
  one.caller = caller;
  one.engine = hello.versions.engine;
  one.heard_ms = program::MonotonicMs();
  one.skew_ms = hello.unix_ms - program::UnixMs();
  for (const wire::Position& position : hello.positions) one.positions[position.study] = position;
  stream->Send(
      wire::Welcome{*protocol, study::kEngineVersion, program::UnixMs(), options_.beat_ms});
  const auto positions = one.positions;
  std::shared_ptr<SiteStream> before;
  std::vector<std::pair<Digest, std::shared_ptr<StudyThread>>> threads;
  {
    const std::lock_guard lock(mutex_);
    Connected& slot = connected_[caller.name];
    before = slot.stream;
    slot = std::move(one);
    for (const auto& [id, thread] : threads_) {
      if (thread->HasMember(caller.name)) threads.emplace_back(id, thread);
    }
  }
  if (before) {
    const std::string why = fmt::format(
        "site {} has connected again; two agents with one certificate must not run", caller.name);
    Refused("stream", caller.name, why);
    before->Close({ErrorCode::kAlreadyExists, why});
  }
  std::set<Digest> running;
  for (const auto& [id, thread] : threads) {
    running.insert(id);
    const auto found = positions.find(id);
    const auto position = found == positions.end() ? std::nullopt : std::optional(found->second);
    thread->Post([site = caller.name, position](StudyHost& host) {
      host.Disconnected(site, program::MonotonicMs());
      host.Connected(site, position, program::MonotonicMs(), program::UnixMs());
    });
  }
  // Studies that ended while the site was away: it may lack the last records, and that they ended.
  for (const auto& [id, position] : positions) {
    if (running.contains(id)) continue;
    if (!StudyOfMember(id, caller.name)) continue;
    if (const auto started = StartStudy(id); !started)
      NotTakenUp(id, Hex(id).substr(0, 16), started.error());
  }
  {
    const std::lock_guard lock(store_mutex_);
    (void)store_->SetLastSeen({{caller.name, program::UnixMs()}});
  }
  return {};
}

void Hub::Detach(const std::string& site, const SiteStream* stream) {
  std::vector<std::shared_ptr<StudyThread>> threads;
  {
    const std::lock_guard lock(mutex_);
    const auto found = connected_.find(site);
    if (found == connected_.end() || found->second.stream.get() != stream) return;
    connected_.erase(found);
    for (const auto& [id, thread] : threads_) {
      if (thread->HasMember(site)) threads.push_back(thread);
    }
  }
  for (const auto& thread : threads)
    thread->Post([site](StudyHost& host) { host.Disconnected(site, program::MonotonicMs()); });
  const std::lock_guard lock(store_mutex_);
  (void)store_->SetLastSeen({{site, program::UnixMs()}});
}

std::optional<StoredStudy> Hub::StudyOfMember(const Digest& id, const std::string& site) {
  auto stored = [&] {
    const std::lock_guard lock(store_mutex_);
    return store_->FindStudy(id);
  }();
  if (!stored) return std::nullopt;
  const auto submission = study::DecodeSubmission(stored->submission);
  if (!submission || !submission->members.contains(site)) return std::nullopt;
  return std::move(*stored);
}

void Hub::Alive(const std::string& site) {
  const std::lock_guard lock(mutex_);
  const auto found = connected_.find(site);
  if (found != connected_.end()) found->second.heard_ms = program::MonotonicMs();
}

Result<void> Hub::Hear(const Caller& caller, const wire::FromSite& message) {
  const std::string& site = caller.name;
  Alive(site);
  // The study's thread; none: the study is not open. A site that speaks of one that ended while it
  // was away is told so; of one that is not its own it hears nothing, and nobody else is harmed.
  const auto study_of = [&](const Digest& id) -> std::shared_ptr<StudyThread> {
    auto thread = FindThread(id);
    if (thread && thread->HasMember(site)) return thread;
    ++refused_calls_;
    Refused("message", site,
            fmt::format("it speaks of study {}, which is not open to it", Hex(id).substr(0, 16)));
    const auto stream = FindStream(site);
    if (thread || !stream) return nullptr;
    const auto stored = StudyOfMember(id, site);
    if (stored && HasEnded(stored->status.state)) {
      stream->Send(wire::Ended{id, std::string(Name(stored->status.state)), stored->status.reason});
    }
    return nullptr;
  };
  if (const auto* beat = std::get_if<wire::SiteBeat>(&message)) {
    {
      const std::lock_guard lock(mutex_);
      const auto found = connected_.find(site);
      if (found != connected_.end()) found->second.skew_ms = beat->unix_ms - program::UnixMs();
    }
    for (const auto& [id, doing] : beat->doing) {
      auto thread = FindThread(id);
      if (!thread || !thread->HasMember(site)) continue;
      CONSILIUM_TRY(thread->PostFrom(site, kPieceBytes + doing.size(),
                                     [site, doing = doing](StudyHost& host) {
                                       host.Seen(site, doing, program::MonotonicMs());
                                     }));
    }
  } else if (const auto* word = std::get_if<wire::StudyWord>(&message)) {
    const auto thread = study_of(word->study);
    if (!thread) return {};
    std::size_t bytes = kPieceBytes + word->outward.size();
    for (const std::string& column : word->columns) bytes += sizeof column + column.size();
    return thread->PostFrom(site, bytes, [site, word = *word](StudyHost& host) {
      host.Heard(site, word, program::MonotonicMs(), program::UnixMs());
    });
  } else if (const auto* refused = std::get_if<wire::Refused>(&message)) {
    const auto thread = study_of(refused->study);
    if (!thread) return {};
    return thread->PostFrom(
        site, kPieceBytes + refused->outward.size(), [site, refused = *refused](StudyHost& host) {
          host.Refused(site, refused, program::MonotonicMs(), program::UnixMs());
        });
  } else if (const auto* held = std::get_if<wire::TotalHeld>(&message)) {
    const auto thread = study_of(held->position.study);
    if (!thread) return {};
    {
      const std::lock_guard lock(mutex_);
      const auto found = connected_.find(site);
      if (found != connected_.end()) found->second.positions[held->position.study] = held->position;
    }
    return thread->PostFrom(site, kPieceBytes, [site, position = held->position](StudyHost& host) {
      host.Held(site, position, program::MonotonicMs());
    });
  } else if (const auto* head = std::get_if<wire::HeadToSign>(&message)) {
    const federation::Signature signature =
        home_.signing.Sign(wire::HeadBytes(site, head->count, head->hash));
    {
      const std::lock_guard lock(store_mutex_);
      CONSILIUM_TRY(
          store_->AddLedgerHead({site, head->count, head->hash,
                                 Bytes(signature.begin(), signature.end()), program::UnixMs()}));
    }
    if (const auto stream = FindStream(site))
      stream->Send(wire::HeadSigned{head->count, head->hash, signature});
  } else {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("site {}: a second hello in one stream", site));
  }
  return {};
}

Result<void> Hub::ExpectAnswer(const Caller& caller, const wire::AnswerHead& head) {
  const auto thread = FindThread(head.study);
  if (!thread || !thread->HasMember(caller.name)) {
    ++refused_calls_;
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("site {} answers study {}, which is not open to it", caller.name,
                            Hex(head.study).substr(0, 16)));
  }
  if (head.receipt.site != caller.name) {
    ++refused_calls_;
    return Fail(
        ErrorCode::kPermissionDenied,
        fmt::format("site {} sent an answer in the name of {}", caller.name, head.receipt.site));
  }
  if (head.size > thread->answer_bytes_max()) {
    ++refused_calls_;
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("site {}: an answer of {} bytes was announced; nothing above {} was "
                            "asked for",
                            caller.name, head.size, thread->answer_bytes_max()));
  }
  return {};
}

void Hub::Submit(const Caller& caller, wire::AnswerHead head, std::shared_ptr<Spool> words,
                 std::function<void(Result<bool>)> done) {
  const auto thread = FindThread(head.study);
  if (!thread) {
    done(Fail(ErrorCode::kFailedPrecondition, "the study is not open"));
    return;
  }
  ++answers_;
  answer_bytes_ += head.size;
  // A study that stops leaves work undone; its caller's stream would stay open, and keep the server
  // from ending.
  struct Call {
    std::function<void(Result<bool>)> done;
    ~Call() {
      if (done) {
        done(Fail(ErrorCode::kUnavailable,
                  "the study stopped before it looked at the answer; send it again"));
      }
    }
  };
  auto call = std::make_shared<Call>();
  call->done = std::move(done);
  thread->Post([site = caller.name, head = std::move(head), words = std::move(words),
                call = std::move(call)](StudyHost& host) {
    const auto tell = std::exchange(call->done, nullptr);
    const auto bytes = words->Words();
    if (!bytes) {
      tell(tl::unexpected<Error>(bytes.error()));
      return;
    }
    auto held = host.Answered(site, head, *bytes, words->TakeDigest(), program::MonotonicMs(),
                              program::UnixMs());
    words->Close();  // before the next one: so many answers take no more room than one
    tell(std::move(held));
  });
}

// ---- people

Result<std::string> Hub::Invite(const Caller& caller, std::string_view name, std::string_view role,
                                std::int64_t valid_s, std::int64_t* expires_s) {
  CONSILIUM_TRY(identity::CheckName(name));
  const auto parsed = identity::ParseRole(role);
  CONSILIUM_TRY(parsed);
  if (*parsed == Role::kCoordinator) {
    return Fail(ErrorCode::kInvalidArgument,
                "role: a coordinator is not invited; expected site, lead or auditor");
  }
  if (valid_s < 60 || valid_s > kInviteSecondsMax) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("validity: {} s, expected 60 to {}", valid_s, kInviteSecondsMax));
  }
  const auto secret = identity::NewTokenSecret();
  CONSILIUM_TRY(secret);
  const std::int64_t now = program::UnixMs();
  identity::Token token;
  token.secret = *secret;
  token.authority = home_.authority.fingerprint();
  token.name = name;
  token.role = *parsed;
  token.address = home_.enrol_address();
  token.expires_s = now / 1000 + valid_s;
  auto text = identity::EncodeToken(token);
  CONSILIUM_TRY(text);
  const std::lock_guard lock(store_mutex_);
  const auto kept = store_->Atomically([&]() -> Result<void> {
    CONSILIUM_TRY(store_->ExpireTokens(name, now));  // a name has one open invitation
    CONSILIUM_TRY(store_->AddToken({identity::SecretHash(token), token.name, std::string(role), now,
                                    token.expires_s * 1000, std::nullopt}));
    CONSILIUM_TRY(
        store_->AddEvent(now, caller.name, "member.invited", fmt::format("{} as {}", name, role)));
    return {};
  });
  CONSILIUM_TRY(kept);
  if (expires_s != nullptr) *expires_s = token.expires_s;
  return text;
}

Result<void> Hub::Revoke(const Caller& caller, std::string_view name, std::string_view reason) {
  const std::string site(name);
  {
    const std::lock_guard lock(store_mutex_);
    const auto kept = store_->Atomically([&]() -> Result<void> {
      CONSILIUM_TRY(store_->Revoke(name, reason, program::UnixMs()));
      CONSILIUM_TRY(store_->ExpireTokens(name, program::UnixMs()));
      CONSILIUM_TRY(store_->AddEvent(program::UnixMs(), caller.name, "member.revoked",
                                     fmt::format("{}: {}", name, reason)));
      return {};
    });
    CONSILIUM_TRY(kept);
  }
  if (const auto stream = FindStream(site)) {
    stream->Close({ErrorCode::kPermissionDenied,
                   fmt::format("certificate of {}: revoked ({})", name, reason)});
    Detach(site, stream.get());
  }
  half_sent_.Forget(site);
  std::vector<std::shared_ptr<StudyThread>> threads;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, thread] : threads_) {
      if (thread->HasMember(site)) threads.push_back(thread);
    }
  }
  for (const auto& thread : threads) {
    thread->Post([site, why = fmt::format("revoked: {}", reason)](StudyHost& host) {
      host.Left(site, why, program::MonotonicMs(), program::UnixMs());
    });
  }
  return {};
}

Result<std::vector<wire::Member>> Hub::ListMembers() {
  Result<std::vector<Member>> stored = [&] {
    const std::lock_guard lock(store_mutex_);
    return store_->ListMembers();
  }();
  CONSILIUM_TRY(stored);
  std::vector<wire::Member> members;
  const std::lock_guard lock(mutex_);
  for (const Member& one : *stored) {
    wire::Member member;
    member.name = one.name;
    member.role = one.role;
    member.signing_key = federation::VerifyingKey(one.signing_key);
    if (one.agreement_key != federation::KeyBytes{}) member.agreement_key = one.agreement_key;
    member.not_after_unix_s = one.certificate.not_after_ms / 1000;
    member.state = Name(one.state);
    member.seen_unix_ms = one.last_seen_ms.value_or(0);
    if (const auto found = connected_.find(one.name); found != connected_.end()) {
      member.connected = true;
      member.clock_skew_ms = found->second.skew_ms;
      member.engine = found->second.engine;
      member.seen_unix_ms = program::UnixMs() - (program::MonotonicMs() - found->second.heard_ms);
    }
    members.push_back(std::move(member));
  }
  return members;
}

Result<Digest> Hub::SubmitStudy(const Caller& caller, std::span<const std::uint8_t> submission,
                                bool* already) {
  const auto decoded = study::DecodeSubmission(submission);
  CONSILIUM_TRY(decoded);
  if (decoded->lead != caller.name) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("submission: signed as {}, sent by {}", decoded->lead, caller.name));
  }
  const auto study = study::StudyOf(*decoded);
  CONSILIUM_TRY(study);
  const Digest id = study::DigestOf(*decoded);
  {
    const std::lock_guard lock(store_mutex_);
    const auto lead = store_->FindMember(caller.name);
    CONSILIUM_TRY(lead);
    if (decoded->lead_key != federation::VerifyingKey(lead->signing_key)) {
      return Fail(ErrorCode::kPermissionDenied,
                  fmt::format("submission: {} is enrolled with another signing key; sign with the "
                              "key of `consilium key new`",
                              caller.name));
    }
    for (const auto& [site, keys] : decoded->members) {
      const auto member = store_->FindMember(site);
      if (!member || member->role != "site" || member->state != MemberState::kActive) {
        return Fail(
            ErrorCode::kFailedPrecondition,
            fmt::format("study {}: site {} is not enrolled here; `consilium site invite {}` "
                        "makes a token for it",
                        study->name, site, site));
      }
      if (federation::VerifyingKey(member->signing_key) != keys.signing ||
          member->agreement_key != keys.agreement) {
        return Fail(
            ErrorCode::kFailedPrecondition,
            fmt::format("study {}: site {} has enrolled with other keys since; submit again",
                        study->name, site));
      }
    }
    if (store_->FindStudy(id)) {
      if (already != nullptr) *already = true;
      return id;
    }
    const auto kept = store_->Atomically([&]() -> Result<void> {
      CONSILIUM_TRY(store_->AddStudy({id, study->name, caller.name, decoded->study_file,
                                      Bytes(submission.begin(), submission.end())},
                                     program::UnixMs()));
      CONSILIUM_TRY(store_->AddEvent(program::UnixMs(), caller.name, "study.submitted",
                                     fmt::format("{} ({})", study->name, Hex(id))));
      return {};
    });
    CONSILIUM_TRY(kept);
  }
  if (already != nullptr) *already = false;
  CONSILIUM_TRY(StartStudy(id));
  return id;
}

Result<void> Hub::CancelStudy(const Caller& caller, const Digest& study, std::string_view reason) {
  const auto thread = FindThread(study);
  const std::string why = fmt::format("cancelled by {}: {}", caller.name, reason);
  if (!thread) {
    // One that this program cannot take up, such as another engine's, ends in the store; sites hear
    // of it when they speak of it.
    const std::lock_guard lock(store_mutex_);
    const auto stored = store_->FindStudy(study);
    if (!stored || HasEnded(stored->status.state)) {
      return Fail(
          ErrorCode::kNotFound,
          fmt::format("study {}: none that is under way has this name", Hex(study).substr(0, 16)));
    }
    CONSILIUM_TRY(store_->SetStudyState(study, StudyState::kCancelled, why, program::UnixMs()));
    CONSILIUM_TRY(store_->AddEvent(program::UnixMs(), caller.name, "study.cancelled",
                                   fmt::format("{}: {}", Hex(study).substr(0, 16), reason)));
    return {};
  }
  Note(caller.name, "study.cancelled", fmt::format("{}: {}", Hex(study).substr(0, 16), reason));
  thread->Post([why](StudyHost& host) { host.Cancel(why, program::UnixMs()); });
  return {};
}

Result<std::vector<Hub::StudyLine>> Hub::ListStudies() {
  const std::lock_guard lock(store_mutex_);
  const auto studies = store_->ListStudies();
  CONSILIUM_TRY(studies);
  std::vector<StudyLine> lines;
  for (const StudyStatus& status : *studies) {
    const auto records = store_->RecordCount(status.id, status.attempt);
    CONSILIUM_TRY(records);
    lines.push_back({status, *records > 0 ? *records - 1 : 0});
  }
  return lines;
}

Result<HostStatus> Hub::Status(const Digest& study) {
  if (const auto thread = FindThread(study)) return thread->status();
  const std::lock_guard lock(store_mutex_);
  const auto stored = store_->FindStudy(study);
  CONSILIUM_TRY(stored);
  HostStatus status;
  status.study = stored->status;
  status.attempt = stored->status.attempt;
  const auto records = store_->RecordCount(study, status.attempt);
  CONSILIUM_TRY(records);
  status.round = *records > 0 ? *records - 1 : 0;
  const std::lock_guard held(mutex_);
  if (const auto found = not_taken_up_.find(study);
      found != not_taken_up_.end() && !HasEnded(status.study.state))
    status.doing = "not taken up: " + found->second;
  return status;
}

Result<std::vector<std::string>> Hub::ListFiles(const Digest& study) {
  const std::lock_guard lock(store_mutex_);
  const auto stored = store_->FindStudy(study);
  CONSILIUM_TRY(stored);
  const auto artifacts = store_->ListArtifacts(study);
  CONSILIUM_TRY(artifacts);
  std::vector<std::string> names = {"log.consilium"};
  for (const ArtifactInfo& artifact : *artifacts) names.push_back(artifact.file_name);
  return names;
}

Result<void> Hub::ReadFile(const Digest& study, std::string_view file,
                           const std::function<Result<void>(std::span<const std::uint8_t>)>& take) {
  if (file != "log.consilium") {
    Result<Bytes> bytes = [&] {
      const std::lock_guard lock(store_mutex_);
      return store_->ReadArtifact(study, file);
    }();
    CONSILIUM_TRY(bytes);
    return take(*bytes);
  }
  // A connection of its own: a long log must not keep the register waiting.
  const auto store = Store::Open(home_.store_path().string());
  CONSILIUM_TRY(store);
  const auto stored = (*store)->FindStudy(study);
  CONSILIUM_TRY(stored);
  return (*store)->StreamLog(study, stored->status.attempt, take);
}

// ---- time

// Beats, silence, expiry: what must be looked at although nothing arrives.
void Hub::Watch() {
  std::int64_t beaten_ms = 0;
  while (!stopping_) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const std::int64_t now = program::MonotonicMs(), unix_ms = program::UnixMs();
    const bool beat = now - beaten_ms >= options_.beat_ms;
    if (beat) beaten_ms = now;
    struct Due {
      std::string site;
      std::shared_ptr<SiteStream> stream;
      std::optional<Error> close;
    };
    std::vector<Due> due;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [site, one] : connected_) {
        if (now - one.heard_ms > options_.silence_ms) {
          due.push_back(
              {site, one.stream,
               Error{ErrorCode::kUnavailable,
                     fmt::format("site {} said nothing for {} ms", site, now - one.heard_ms)}});
        } else if (unix_ms > one.caller.not_after_ms) {
          due.push_back({site, one.stream,
                         Error{ErrorCode::kPermissionDenied,
                               fmt::format("certificate of {}: expired {}", site,
                                           identity::UtcText(one.caller.not_after_ms / 1000))}});
        } else if (beat) {
          due.push_back({site, one.stream, std::nullopt});
        }
      }
    }
    for (const Due& one : due) {
      if (!one.close) {
        one.stream->Send(wire::CoordinatorBeat{unix_ms});
        continue;
      }
      Note("coordinator", "site.closed", one.close->message);
      one.stream->Close(*one.close);
      Detach(one.site, one.stream.get());
    }
    half_sent_.Tick(now);
    // Threads of studies that ended go when everybody who is connected has been told.
    std::vector<std::shared_ptr<StudyThread>> over;
    {
      const std::lock_guard lock(mutex_);
      for (auto it = threads_.begin(); it != threads_.end();) {
        const HostStatus status = it->second->status();
        const std::int64_t stays = status.everybody_told ? kStudyLingersMs : kStudyWaitsMs;
        // Not one that was begun just now, for a site that comes back after the study's end.
        const bool old = status.study.ended_ms && unix_ms - *status.study.ended_ms > stays &&
                         now - it->second->began_ms() > stays;
        if (HasEnded(status.study.state) && old) {
          over.push_back(it->second);
          it = threads_.erase(it);
        } else {
          ++it;
        }
      }
    }
    for (const auto& thread : over) thread->Join();
    if (!over.empty()) {
      over.clear();
      ::malloc_trim(0);  // what their totals took goes back to the machine
    }
  }
}

std::string Hub::Metrics() {
  std::string text;
  const auto metric = [&](std::string_view name, std::string_view kind, std::string_view help,
                          std::uint64_t value) {
    text += fmt::format("# HELP consilium_{0} {1}\n# TYPE consilium_{0} {2}\nconsilium_{0} {3}\n",
                        name, help, kind, value);
  };
  std::uint64_t sites = 0, running = 0, waiting = 0;
  std::vector<std::shared_ptr<StudyThread>> threads;
  {
    const std::lock_guard lock(mutex_);
    sites = connected_.size();
    for (const auto& [id, thread] : threads_) threads.push_back(thread);
  }
  for (const auto& thread : threads) {
    const StudyState state = thread->status().study.state;
    running += state == StudyState::kRunning ? 1 : 0;
    waiting += state == StudyState::kOffered ? 1 : 0;
  }
  metric("sites_connected", "gauge", "Sites with an open stream", sites);
  metric("studies_running", "gauge", "Studies between their first round and their end", running);
  metric("studies_waiting", "gauge", "Studies that wait for approval", waiting);
  metric("answers_total", "counter", "Answers that arrived whole", answers_);
  metric("answer_bytes_total", "counter", "Bytes of words in them", answer_bytes_);
  metric("calls_refused_total", "counter", "Calls refused for who called", refused_calls_);
  metric("members_enrolled_total", "counter", "Enrolments", enrolled_);
  metric("server_certificate_until_seconds", "gauge",
         "Unix time at which the listeners' certificate ends",
         static_cast<std::uint64_t>(endings().server_s));
  metric("authority_until_seconds", "gauge", "Unix time at which the authority ends",
         static_cast<std::uint64_t>(endings().authority_s));
  text +=
      "# HELP consilium_refused_total What was refused, by kind\n"
      "# TYPE consilium_refused_total counter\n";
  for (const auto& [kind, count] : guard_.Refused())
    text += fmt::format("consilium_refused_total{{kind=\"{}\"}} {}\n", kind, count);
  return text;
}

}  // namespace consilium::coordinator
