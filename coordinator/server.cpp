#include "coordinator/server.h"

#include <consilium/v1/consilium.grpc.pb.h>
#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <variant>

#include "coordinator/handshake_log.h"
#include "coordinator/memory_file.h"
#include "program/program.h"

namespace consilium::coordinator {

using identity::Role;

namespace {

constexpr std::size_t kSmallPartBytes = 4096;  // of an answer

grpc::Status AsStatus(const Error& error) {
  return {static_cast<grpc::StatusCode>(wire::StatusCode(error.code)), error.message};
}

std::string PeerCertificate(const grpc::CallbackServerContext& context) {
  const auto auth = context.auth_context();
  if (!auth) return {};
  const auto pem = auth->FindPropertyValues("x509_pem_cert");
  return pem.empty() ? std::string() : std::string(pem.front().data(), pem.front().size());
}

// Whom TLS let in, or where it calls from; says nothing about the register.
std::string NameOf(const grpc::CallbackServerContext& context) {
  const auto auth = context.auth_context();
  const auto name =
      auth ? auth->FindPropertyValues("x509_common_name") : std::vector<grpc::string_ref>();
  if (!name.empty()) return {name.front().data(), name.front().size()};
  const std::string peer = context.peer();  // "ipv4:127.0.0.1:4711": the port is chance
  return "a stranger at " + peer.substr(0, peer.rfind(':'));
}

// The status of a refusal, which is counted and told. Whoever is refused pays for it.
grpc::Status Refuse(Hub& hub, const grpc::CallbackServerContext& context, std::string_view kind,
                    const Error& error) {
  const std::string name = NameOf(context);
  const bool limit = error.code == ErrorCode::kResourceExhausted;
  hub.Refused(limit ? fmt::format("limit.{}", kind) : std::string(kind), name, error.message);
  (void)hub.guard().Spend(name, kRefusedCost, program::MonotonicMs());
  return AsStatus(error);
}

// Who calls, for a call that costs so many points.
Result<Caller> CallerOf(Hub& hub, const grpc::CallbackServerContext& context,
                        const std::vector<Role>& roles, std::int64_t cost = kCallCost) {
  CONSILIUM_TRY(hub.guard().Spend(NameOf(context), cost, program::MonotonicMs()));
  return hub.Authenticate(PeerCertificate(context), roles);
}

template <typename T>
grpc::ServerUnaryReactor* Reply(Hub& hub, grpc::CallbackServerContext* context,
                                const Result<T>& result, std::string_view kind = "call") {
  auto* reactor = context->DefaultReactor();
  reactor->Finish(result ? grpc::Status::OK : Refuse(hub, *context, kind, result.error()));
  return reactor;
}

// One open call of a member, for as long as this lives.
class OpenCall {
 public:
  OpenCall() = default;
  ~OpenCall() {
    if (hub_ != nullptr) hub_->guard().Leave(name_);
  }
  OpenCall(const OpenCall&) = delete;
  OpenCall& operator=(const OpenCall&) = delete;
  Result<void> Begin(Hub& hub, const std::string& name) {
    CONSILIUM_TRY(hub.guard().Enter(name, program::MonotonicMs()));
    hub_ = &hub;
    name_ = name;
    return {};
  }

 private:
  Hub* hub_ = nullptr;
  std::string name_;
};

// What is looked at by the clock: watchers to be fed, half-sent answers that stall.
class Timed {
 public:
  virtual ~Timed() = default;
  virtual void Tick(std::int64_t now_ms) = 0;
};
class Clockwork {
 public:
  Clockwork() : thread_([this] { Run(); }) {}
  ~Clockwork() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  void Add(Timed* one) {
    const std::lock_guard lock(mutex_);
    timed_.insert(one);
  }
  // When this returns, `one` is not being ticked and will not be.
  void Remove(Timed* one) {
    const std::lock_guard lock(mutex_);
    timed_.erase(one);
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(250), [&] { return stopping_; })) {
      for (Timed* one : timed_) one->Tick(program::MonotonicMs());
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::set<Timed*> timed_;
  bool stopping_ = false;
  std::thread thread_;
};

// ---- Work: one open stream a site --------------------------------------------------------------

// How long a stream that ends waits for the write under way, so that the peer learns why.
constexpr std::int64_t kFarewellMs = 2000;

// Raw on the wire, so that a record of megabytes is sent to all sites from the one place where it
// is.
class WorkReactor : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                    public Timed {
 public:
  WorkReactor(Hub& hub, Clockwork& clock, std::int64_t hello_ms,
              grpc::CallbackServerContext* context)
      : hub_(hub), clock_(clock), context_(context) {
    handle_ = std::make_shared<Handle>(this);
    auto caller = CallerOf(hub_, *context, {Role::kSite}, kWriteCost);
    if (!caller) {
      Refuse(caller.error());
      return;
    }
    caller_ = std::move(*caller);
    if (const auto begun = open_.Begin(hub_, caller_.name); !begun) {
      Refuse(begun.error());
      return;
    }
    hello_by_ms_ = program::MonotonicMs() + hello_ms;
    clock_.Add(this);
    timed_ = true;
    StartRead(&in_);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Close({ErrorCode::kUnavailable, "the site closed the stream"});
      return;
    }
    if (IsClosing()) return;  // nothing is heard of whoever is shown out
    v1::FromSite proto;
    if (!grpc::SerializationTraits<v1::FromSite>::Deserialize(&in_, &proto).ok()) {
      Refuse({ErrorCode::kInvalidArgument,
              fmt::format("site {}: a message that is none of the protocol", caller_.name)});
      return;
    }
    const auto message = wire::Decode(proto);
    if (!message) {
      Refuse(message.error());
      return;
    }
    const bool writes = std::holds_alternative<wire::HeadToSign>(*message) ||
                        std::holds_alternative<wire::Refused>(*message);
    Result<void> heard = hub_.guard().Spend(caller_.name, writes ? kWriteCost : kMessageCost,
                                            program::MonotonicMs());
    if (!heard) {
      Refuse(heard.error());
      return;
    }
    if (!attached_) {
      const auto* hello = std::get_if<wire::Hello>(&*message);
      if (hello == nullptr) {
        heard = Fail(ErrorCode::kInvalidArgument,
                     fmt::format("site {}: the first message is no hello", caller_.name));
      } else {
        heard = hub_.Attach(caller_, *hello, handle_);
        attached_ = heard.has_value();
      }
    } else {
      heard = hub_.Hear(caller_, *message);
    }
    if (!heard) {
      Refuse(heard.error());
      return;
    }
    in_.Clear();
    StartRead(&in_);
  }

  void OnWriteDone(bool ok) override {
    bool finish = false;
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      if (!ok && !closing_) closing_ = Error{ErrorCode::kUnavailable, "the connection broke"};
      finish = closing_.has_value() && !std::exchange(finished_, true);
    }
    if (finish) {
      Finish(AsStatus(*closing_));
    } else {
      WriteNext();
    }
  }

  void OnCancel() override {
    // gRPC does not say which; the site is told by its status.
    if (!ended_here_.exchange(true)) {
      hub_.Refused("stream.cut", caller_.name,
                   fmt::format("the stream was cut, or a message was above {} bytes",
                               wire::kMessageBytesMax));
    }
    Close({ErrorCode::kUnavailable, "the connection broke"});
  }

  void Tick(std::int64_t now_ms) override {
    {
      const std::lock_guard lock(mutex_);
      if (closing_ && writing_ && now_ms >= cut_at_ms_) context_->TryCancel();
      if (closing_) return;
    }
    if (attached_ || now_ms < hello_by_ms_ || late_) return;
    late_ = true;
    Refuse({ErrorCode::kUnavailable,
            fmt::format("site {}: the stream's hello did not come", caller_.name)});
  }

  void OnDone() override {
    if (timed_) clock_.Remove(this);
    handle_->Forget();
    if (attached_) hub_.Detach(caller_.name, handle_.get());
    delete this;
  }

 private:
  // A record on its way: parts are cut as the connection takes them.
  struct Record {
    wire::RecordPart part;  // without data
    std::shared_ptr<const Bytes> bytes;
    std::size_t at = 0;
  };
  using Outgoing = std::variant<wire::ToSite, Record>;
  // Holds the record until gRPC has sent the slice.
  static grpc::Slice SliceOf(const std::shared_ptr<const Bytes>& bytes, std::size_t at,
                             std::size_t size) {
    return {const_cast<std::uint8_t*>(bytes->data() + at), size,
            [](void* held) { delete static_cast<std::shared_ptr<const Bytes>*>(held); },
            new std::shared_ptr<const Bytes>(bytes)};
  }

  // What the hub holds: outlives the reactor, which gRPC ends when it likes.
  class Handle : public SiteStream {
   public:
    explicit Handle(WorkReactor* reactor) : reactor_(reactor) {}
    void Send(wire::ToSite message) override {
      const std::lock_guard lock(mutex_);
      if (reactor_ != nullptr) reactor_->Enqueue(std::move(message));
    }
    void SendRecord(const Digest& study, std::uint32_t attempt, std::uint64_t index,
                    std::shared_ptr<const Bytes> record) override {
      const std::lock_guard lock(mutex_);
      if (reactor_ == nullptr) return;
      Record outgoing{{study, attempt, index, record->size(), 0, {}}, std::move(record), 0};
      reactor_->Enqueue(std::move(outgoing));
    }
    void Close(const Error& why) override {
      const std::lock_guard lock(mutex_);
      if (reactor_ == nullptr) return;
      reactor_->ended_here_ = true;
      reactor_->Close(why);
    }
    void Forget() {
      const std::lock_guard lock(mutex_);
      reactor_ = nullptr;
    }

   private:
    std::mutex mutex_;
    WorkReactor* reactor_;
  };

  void Enqueue(Outgoing message) {
    {
      const std::lock_guard lock(mutex_);
      if (closing_) return;
      queue_.push_back(std::move(message));
    }
    WriteNext();
  }

  void WriteNext() {
    {
      const std::lock_guard lock(mutex_);
      if (writing_ || closing_ || queue_.empty()) return;
      if (auto* message = std::get_if<wire::ToSite>(&queue_.front())) {
        v1::ToSite proto;
        wire::Encode(*message, proto);
        bool owned = false;
        out_.Clear();
        (void)grpc::SerializationTraits<v1::ToSite>::Serialize(proto, &out_, &owned);
        queue_.pop_front();
      } else {
        Record& record = std::get<Record>(queue_.front());
        const std::size_t size = std::min(wire::kPartBytes, record.bytes->size() - record.at);
        record.part.offset = record.at;
        const grpc::Slice parts[] = {wire::RecordPartHead(record.part, size),
                                     SliceOf(record.bytes, record.at, size)};
        out_ = grpc::ByteBuffer(parts, 2);
        record.at += size;
        if (record.at == record.bytes->size()) queue_.pop_front();
      }
      writing_ = true;
    }
    StartWrite(&out_);
  }

  void Refuse(const Error& why) {
    ended_here_ = true;
    (void)coordinator::Refuse(hub_, *context_, "stream", why);
    Close(why);
  }

  void Close(Error why) {
    bool finish = false;
    {
      const std::lock_guard lock(mutex_);
      if (!closing_) {
        closing_ = std::move(why);
        cut_at_ms_ = program::MonotonicMs() + kFarewellMs;
      }
      queue_.clear();
      finish = !writing_ && !std::exchange(finished_, true);
    }
    // Otherwise the reason follows the write that is under way; the clock cuts one that the peer
    // does not take, which would hold the stream open for ever.
    if (finish) Finish(AsStatus(*closing_));
  }

  [[nodiscard]] bool IsClosing() {
    const std::lock_guard lock(mutex_);
    return closing_.has_value();
  }

  Hub& hub_;
  Clockwork& clock_;
  grpc::CallbackServerContext* context_;
  Caller caller_;
  OpenCall open_;
  std::shared_ptr<Handle> handle_;
  grpc::ByteBuffer in_, out_;
  std::atomic<bool> attached_{false};
  std::atomic<bool> ended_here_{false};  // by us, and told
  std::int64_t hello_by_ms_ = 0;
  bool timed_ = false, late_ = false;
  std::mutex mutex_;
  std::deque<Outgoing> queue_;
  bool writing_ = false;
  bool finished_ = false;
  std::optional<Error> closing_;
  std::int64_t cut_at_ms_ = 0;  // when `closing_` has waited long enough for a write
};

// ---- Submit: one answer ------------------------------------------------------------------------

class SubmitReactor : public grpc::ServerReadReactor<v1::AnswerPart>, public Timed {
 public:
  SubmitReactor(Hub& hub, Clockwork& clock, const ServerOptions& options,
                grpc::CallbackServerContext* context, v1::SubmitReply* reply)
      : hub_(hub), clock_(clock), options_(options), context_(context), reply_(reply) {
    heard_ms_ = began_ms_ = program::MonotonicMs();
    auto caller = CallerOf(hub_, *context, {Role::kSite}, kAnswerCost);
    if (!caller) {
      Finish(Refuse(hub_, *context_, "answer", caller.error()));
      return;
    }
    caller_ = std::move(*caller);
    if (const auto begun = open_.Begin(hub_, caller_.name); !begun) {
      Finish(Refuse(hub_, *context_, "answer", begun.error()));
      return;
    }
    clock_.Add(this);
    timed_ = true;
    StartRead(&part_);
  }

  void OnReadDone(bool ok) override {
    heard_ms_ = program::MonotonicMs();
    if (!ok) {
      End();
      return;
    }
    hub_.Alive(caller_.name);
    if (const auto taken = Take(); !taken) {
      Finish(Refuse(hub_, *context_, "answer", taken.error()));
      return;
    }
    part_.Clear();
    StartRead(&part_);
  }

  void OnDone() override {
    if (timed_) clock_.Remove(this);
    delete this;
  }

  void Tick(std::int64_t now_ms) override {
    if (given_ || stalled_) return;
    // A byte a minute keeps no answer open: the whole of it has its time too.
    const auto size = static_cast<std::int64_t>(size_.load());
    const std::int64_t most_ms = options_.stalled_ms + size * 1000 / options_.slowest_bytes_per_s;
    if (now_ms - heard_ms_ <= options_.stalled_ms && now_ms - began_ms_ <= most_ms) return;
    stalled_ = true;
    hub_.Refused("answer", caller_.name,
                 fmt::format("{} bytes announced, {} there after {} ms; it stalls", size,
                             arrived_.load(), now_ms - began_ms_));
    context_->TryCancel();
  }

 private:
  Result<void> Take() {
    if (!spool_) {
      if (part_.kind_case() != v1::AnswerPart::kHead)
        return Fail(ErrorCode::kInvalidArgument, "answer: the first part is no head");
      auto head = wire::Decode(part_.head());
      CONSILIUM_TRY(head);
      CONSILIUM_TRY(hub_.ExpectAnswer(caller_, *head));
      if (head->from > 0) {
        auto begun = hub_.half_sent().Take(caller_.name, *head);
        CONSILIUM_TRY(begun);
        spool_ = std::move(*begun);
      } else {
        hub_.half_sent().Forget(caller_.name);
        auto spool = Spool::Open(hub_.home().spool_path(), head->size);
        CONSILIUM_TRY(spool);
        spool_ = std::move(*spool);
      }
      head_ = std::move(*head);
      size_ = head_.size;
      arrived_ = head_.from;
      return {};
    }
    if (part_.kind_case() != v1::AnswerPart::kData || part_.data().empty())
      return Fail(ErrorCode::kInvalidArgument, "answer: a part without words");
    // Large parts are bounded by the announced size.
    if (part_.data().size() < kSmallPartBytes)
      CONSILIUM_TRY(hub_.guard().Spend(caller_.name, kMessageCost, heard_ms_));
    arrived_ += part_.data().size();
    return spool_->Append(
        {reinterpret_cast<const std::uint8_t*>(part_.data().data()), part_.data().size()});
  }

  void End() {
    if (context_->IsCancelled() || !spool_ || !spool_->complete()) {
      if (spool_ && arrived_ > 0)
        hub_.half_sent().Keep(caller_.name, std::move(head_), std::move(spool_), heard_ms_);
      Finish(AsStatus({ErrorCode::kUnavailable,
                       fmt::format("answer: the stream ended after {} bytes; send it again",
                                   arrived_.load())}));
      return;
    }
    given_ = true;
    hub_.Submit(caller_, std::move(head_), std::move(spool_), [this](Result<bool> held) {
      if (held) reply_->set_already(*held);
      Finish(held ? grpc::Status::OK : Refuse(hub_, *context_, "answer", held.error()));
    });
  }

  Hub& hub_;
  Clockwork& clock_;
  const ServerOptions& options_;
  grpc::CallbackServerContext* context_;
  v1::SubmitReply* reply_;
  Caller caller_;
  OpenCall open_;
  v1::AnswerPart part_;
  wire::AnswerHead head_;
  std::shared_ptr<Spool> spool_;
  std::int64_t began_ms_ = 0;
  std::atomic<std::int64_t> heard_ms_{0};
  std::atomic<std::uint64_t> size_{0}, arrived_{0};
  std::atomic<bool> given_{false};
  bool timed_ = false, stalled_ = false;
};

using RawWork = v1::Sites::WithRawCallbackMethod_Work<v1::Sites::Service>;
class SitesService
    : public v1::Sites::WithCallbackMethod_Renew<
          v1::Sites::WithCallbackMethod_Submit<v1::Sites::WithCallbackMethod_Ping<RawWork>>> {
 public:
  SitesService(Hub& hub, Clockwork& clock, const ServerOptions& options)
      : hub_(hub), clock_(clock), options_(options) {}
  grpc::ServerUnaryReactor* Renew(grpc::CallbackServerContext* context,
                                  const v1::RenewRequest* request, v1::RenewReply* reply) override {
    const auto caller = CallerOf(hub_, *context, {Role::kSite}, kWriteCost);
    if (!caller) return Reply(hub_, context, caller);
    const auto renewed = hub_.Renew(*caller, request->request_pem());
    if (renewed) reply->set_certificate_pem(*renewed);
    return Reply(hub_, context, renewed);
  }
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Work(
      grpc::CallbackServerContext* context) override {
    return new WorkReactor(hub_, clock_, options_.hello_ms, context);
  }
  grpc::ServerReadReactor<v1::AnswerPart>* Submit(grpc::CallbackServerContext* context,
                                                  v1::SubmitReply* reply) override {
    return new SubmitReactor(hub_, clock_, options_, context, reply);
  }
  grpc::ServerUnaryReactor* Ping(grpc::CallbackServerContext* context,
                                 const v1::PingRequest* request, v1::PingReply* reply) override {
    const auto caller = CallerOf(hub_, *context, {Role::kSite});
    if (!caller) return Reply(hub_, context, caller);
    const auto theirs = wire::Decode(request->versions());
    if (!theirs) return Reply(hub_, context, theirs);
    const auto agreed = hub_.Agree(caller->name, *theirs);
    wire::Encode(Hub::versions(), *reply->mutable_versions());
    reply->set_unix_ms(program::UnixMs());
    reply->set_name(caller->name);
    return Reply(hub_, context, agreed);
  }

 private:
  Hub& hub_;
  Clockwork& clock_;
  ServerOptions options_;
};

class EnrolmentService : public v1::Enrolment::CallbackService {
 public:
  explicit EnrolmentService(Hub& hub) : hub_(hub) {}
  grpc::ServerUnaryReactor* Enroll(grpc::CallbackServerContext* context,
                                   const v1::EnrollRequest* request,
                                   v1::EnrollReply* reply) override {
    const auto may = hub_.guard().Spend(NameOf(*context), kWriteCost, program::MonotonicMs());
    if (!may) return Reply(hub_, context, may, "enrolment");
    const auto enrolment = wire::Decode(*request);
    if (!enrolment) return Reply(hub_, context, enrolment, "enrolment");
    const auto enrolled = hub_.Enroll(*enrolment, NameOf(*context));
    if (enrolled) wire::Encode(*enrolled, *reply);
    // Told by the hub, which writes it down as well.
    auto* reactor = context->DefaultReactor();
    reactor->Finish(enrolled ? grpc::Status::OK : AsStatus(enrolled.error()));
    return reactor;
  }

 private:
  Hub& hub_;
};

// ---- Console -----------------------------------------------------------------------------------

void Put(const StudyStatus& status, std::uint64_t rounds, v1::StudyLine& to) {
  to.set_study(wire::AsString(status.id.bytes));
  to.set_name(status.name);
  to.set_lead(status.lead);
  to.set_state(std::string(Name(status.state)));
  to.set_why(status.reason);
  to.set_submitted_unix_ms(status.submitted_ms);
  to.set_ended_unix_ms(status.ended_ms.value_or(0));
  to.set_rounds(rounds);
}

void Put(const HostStatus& status, v1::StudyStatus& to) {
  Put(status.study, status.round, *to.mutable_line());
  to.set_attempt(status.attempt);
  to.set_round(status.round);
  to.set_doing(status.doing);
  to.set_queries(status.queries);
  to.set_fits(status.fits);
  to.set_bytes_up(status.bytes_up);
  to.set_started_unix_ms(status.study.started_ms.value_or(0));
  for (const HostStatus::Site& site : status.sites) {
    auto* one = to.add_sites();
    one->set_site(site.site);
    one->set_state(site.state);
    one->set_sentence(site.sentence);
  }
  for (const federation::Wait& wait : status.waits) {
    auto* one = to.add_waits();
    one->set_owner(wait.owner);
    one->set_reason(wait.reason);
    one->set_waited_ms(wait.waited_ms);
    one->set_seen_ms_ago(wait.seen_ms_ago.value_or(-1));
    one->set_left_ms(wait.left_ms.value_or(-1));
    one->set_then(wait.then);
  }
}

// Sends a study's status whenever it changes, and once a second while something is waited for.
class WatchReactor : public grpc::ServerWriteReactor<v1::StudyStatus>, public Timed {
 public:
  WatchReactor(Hub& hub, Clockwork& clock, grpc::CallbackServerContext* context,
               const v1::WatchStudyRequest& request)
      : hub_(hub), clock_(clock) {
    const auto caller = CallerOf(hub_, *context, {Role::kLead, Role::kAuditor});
    const auto study = wire::DecodeDigest(request.study(), "watch.study");
    if (!caller || !study) {
      Finish(Refuse(hub_, *context, "call", caller ? study.error() : caller.error()));
      return;
    }
    if (const auto begun = open_.Begin(hub_, caller->name); !begun) {
      Finish(Refuse(hub_, *context, "call", begun.error()));
      return;
    }
    study_ = *study;
    if (const auto status = hub_.Status(study_); !status) {
      Finish(Refuse(hub_, *context, "call", status.error()));
      return;
    }
    clock_.Add(this);
    timed_ = true;
  }
  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (!ok || last_) End();
  }
  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (!writing_) End();
  }
  void OnDone() override {
    if (timed_) clock_.Remove(this);
    delete this;
  }
  void Tick(std::int64_t now_ms) override {
    const std::lock_guard lock(mutex_);
    if (writing_ || finished_ || cancelled_) return;
    const auto status = hub_.Status(study_);
    if (!status) {
      End();
      return;
    }
    out_.Clear();
    Put(*status, out_);
    v1::StudyStatus still = out_;
    for (auto& wait : *still.mutable_waits()) {
      wait.set_waited_ms(0);
      wait.set_seen_ms_ago(0);
      wait.set_left_ms(0);
    }
    std::string shown = still.SerializeAsString();
    if (shown == shown_ && now_ms - sent_ms_ < 1000) return;
    shown_ = std::move(shown);
    sent_ms_ = now_ms;
    last_ = status->study.ended_ms.has_value();
    writing_ = true;
    StartWrite(&out_);
  }

 private:
  void End() {
    if (!std::exchange(finished_, true)) Finish(grpc::Status::OK);
  }
  Hub& hub_;
  Clockwork& clock_;
  OpenCall open_;
  Digest study_;
  std::mutex mutex_;
  v1::StudyStatus out_;
  std::string shown_;
  std::int64_t sent_ms_ = 0;
  bool writing_ = false, last_ = false, finished_ = false, cancelled_ = false, timed_ = false;
};

// Sends a file piece by piece, from a thread of its own: files are long, and few ask for them.
class FetchReactor : public grpc::ServerWriteReactor<v1::FetchPart> {
 public:
  FetchReactor(Hub& hub, grpc::CallbackServerContext* context, const v1::FetchRequest& request)
      : hub_(hub), context_(context), file_(request.file()) {
    const auto caller = CallerOf(hub_, *context, {Role::kLead, Role::kAuditor});
    const auto study = wire::DecodeDigest(request.study(), "fetch.study");
    if (!caller || !study) {
      Finish(Refuse(hub_, *context, "call", caller ? study.error() : caller.error()));
      return;
    }
    if (const auto begun = open_.Begin(hub_, caller->name); !begun) {
      Finish(Refuse(hub_, *context, "call", begun.error()));
      return;
    }
    study_ = *study;
    thread_ = std::thread([this] { Run(); });
  }
  void OnWriteDone(bool ok) override {
    {
      const std::lock_guard lock(mutex_);
      written_ = true;
      broken_ = broken_ || !ok;
    }
    wake_.notify_one();
  }
  void OnCancel() override {
    {
      const std::lock_guard lock(mutex_);
      broken_ = true;
    }
    wake_.notify_one();
  }
  void OnDone() override {
    // Finish was the thread's last act; it may still be returning from it.
    if (thread_.joinable()) {
      if (thread_.get_id() == std::this_thread::get_id()) {
        thread_.detach();
      } else {
        thread_.join();
      }
    }
    delete this;
  }

 private:
  void Run() {
    Result<void> sent;
    if (file_.empty()) {
      const auto files = hub_.ListFiles(study_);
      if (files) {
        for (const std::string& name : *files) out_.add_files(name);
        sent = Write();
      } else {
        sent = tl::unexpected<Error>(files.error());
      }
    } else {
      sent = hub_.ReadFile(study_, file_, [&](std::span<const std::uint8_t> bytes) -> Result<void> {
        while (!bytes.empty()) {
          const std::size_t size = std::min(wire::kPartBytes, bytes.size());
          out_.Clear();
          out_.set_data(bytes.data(), size);
          CONSILIUM_TRY(Write());
          bytes = bytes.subspan(size);
        }
        return {};
      });
    }
    Finish(sent ? grpc::Status::OK : Refuse(hub_, *context_, "call", sent.error()));
  }
  Result<void> Write() {
    {
      const std::lock_guard lock(mutex_);
      if (broken_) return Fail(ErrorCode::kUnavailable, "the connection broke");
      written_ = false;
    }
    StartWrite(&out_);
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return written_; });
    if (broken_) return Fail(ErrorCode::kUnavailable, "the connection broke");
    return {};
  }
  Hub& hub_;
  grpc::CallbackServerContext* context_;
  OpenCall open_;
  std::string file_;
  Digest study_;
  v1::FetchPart out_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool written_ = false, broken_ = false;
  std::thread thread_;
};

class ConsoleService : public v1::Console::CallbackService {
 public:
  ConsoleService(Hub& hub, Clockwork& clock) : hub_(hub), clock_(clock) {}

  grpc::ServerUnaryReactor* Invite(grpc::CallbackServerContext* context,
                                   const v1::InviteRequest* request,
                                   v1::InviteReply* reply) override {
    const auto caller = CallerOf(hub_, *context, {Role::kLead}, kWriteCost);
    if (!caller) return Reply(hub_, context, caller);
    std::int64_t expires_s = 0;
    const auto token =
        hub_.Invite(*caller, request->name(), request->role(), request->valid_s(), &expires_s);
    if (token) {
      reply->set_token(*token);
      reply->set_expires_unix_s(expires_s);
    }
    return Reply(hub_, context, token);
  }
  grpc::ServerUnaryReactor* Revoke(grpc::CallbackServerContext* context,
                                   const v1::RevokeRequest* request, v1::RevokeReply*) override {
    const auto caller = CallerOf(hub_, *context, {Role::kLead}, kWriteCost);
    if (!caller) return Reply(hub_, context, caller);
    return Reply(hub_, context, hub_.Revoke(*caller, request->name(), request->reason()));
  }
  grpc::ServerUnaryReactor* ListMembers(grpc::CallbackServerContext* context,
                                        const v1::ListMembersRequest*,
                                        v1::ListMembersReply* reply) override {
    const auto caller = CallerOf(hub_, *context, {Role::kLead, Role::kAuditor});
    if (!caller) return Reply(hub_, context, caller);
    const auto members = hub_.ListMembers();
    if (members) {
      for (const wire::Member& member : *members) wire::Encode(member, *reply->add_members());
      const Hub::Endings endings = hub_.endings();
      reply->set_server_until_unix_s(endings.server_s);
      reply->set_authority_until_unix_s(endings.authority_s);
    }
    return Reply(hub_, context, members);
  }
  grpc::ServerUnaryReactor* SubmitStudy(grpc::CallbackServerContext* context,
                                        const v1::SubmitStudyRequest* request,
                                        v1::SubmitStudyReply* reply) override {
    const auto caller = CallerOf(hub_, *context, {Role::kLead}, kWriteCost);
    if (!caller) return Reply(hub_, context, caller);
    if (request->submission().size() > wire::kSubmissionBytesMax) {
      return Reply<void>(
          hub_, context,
          Fail(ErrorCode::kInvalidArgument,
               fmt::format("submission: {} bytes, at most {} are taken",
                           request->submission().size(), wire::kSubmissionBytesMax)));
    }
    bool already = false;
    const std::span<const std::uint8_t> bytes(
        reinterpret_cast<const std::uint8_t*>(request->submission().data()),
        request->submission().size());
    const auto study = hub_.SubmitStudy(*caller, bytes, &already);
    if (study) {
      reply->set_study(wire::AsString(study->bytes));
      reply->set_already(already);
    }
    return Reply(hub_, context, study);
  }
  grpc::ServerUnaryReactor* CancelStudy(grpc::CallbackServerContext* context,
                                        const v1::CancelStudyRequest* request,
                                        v1::CancelStudyReply*) override {
    const auto caller = CallerOf(hub_, *context, {Role::kLead}, kWriteCost);
    if (!caller) return Reply(hub_, context, caller);
    const auto study = wire::DecodeDigest(request->study(), "cancel.study");
    if (!study) return Reply(hub_, context, study);
    return Reply(hub_, context, hub_.CancelStudy(*caller, *study, request->reason()));
  }
  grpc::ServerUnaryReactor* ListStudies(grpc::CallbackServerContext* context,
                                        const v1::ListStudiesRequest*,
                                        v1::ListStudiesReply* reply) override {
    const auto caller = CallerOf(hub_, *context, {Role::kLead, Role::kAuditor});
    if (!caller) return Reply(hub_, context, caller);
    const auto studies = hub_.ListStudies();
    if (studies) {
      for (const auto& line : *studies) Put(line.status, line.rounds, *reply->add_studies());
    }
    return Reply(hub_, context, studies);
  }
  grpc::ServerWriteReactor<v1::StudyStatus>* WatchStudy(
      grpc::CallbackServerContext* context, const v1::WatchStudyRequest* request) override {
    return new WatchReactor(hub_, clock_, context, *request);
  }
  grpc::ServerWriteReactor<v1::FetchPart>* Fetch(grpc::CallbackServerContext* context,
                                                 const v1::FetchRequest* request) override {
    return new FetchReactor(hub_, context, *request);
  }
  grpc::ServerUnaryReactor* RenewMine(grpc::CallbackServerContext* context,
                                      const v1::RenewRequest* request,
                                      v1::RenewReply* reply) override {
    const auto caller = CallerOf(hub_, *context, {Role::kLead, Role::kAuditor}, kWriteCost);
    if (!caller) return Reply(hub_, context, caller);
    const auto renewed = hub_.Renew(*caller, request->request_pem());
    if (renewed) reply->set_certificate_pem(*renewed);
    return Reply(hub_, context, renewed);
  }

 private:
  Hub& hub_;
  Clockwork& clock_;
};

// Calls that no service has: strangers' and those of other versions.
class NoSuchCall : public grpc::CallbackGenericService {
 public:
  explicit NoSuchCall(Hub& hub) : hub_(hub) {}
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    class Reactor : public grpc::ServerGenericBidiReactor {
     public:
      void OnDone() override { delete this; }
    };
    auto* reactor = new Reactor;
    const std::string why = "there is no call " + context->method() + " at this port";
    hub_.Refused("call", NameOf(*context), why);
    (void)hub_.guard().Spend(NameOf(*context), kRefusedCost, program::MonotonicMs());
    reactor->Finish({grpc::StatusCode::UNIMPLEMENTED, why});
    return reactor;
  }

 private:
  Hub& hub_;
};

// gRPC ends a connection that TLS refuses without telling anybody but its log. The hub that is
// told.
std::atomic<Hub*> told_of_strangers{nullptr};

void ReadGrpcLog(gpr_log_func_args* line) {
  Hub* hub = told_of_strangers;
  if (hub == nullptr) return;
  if (const auto stranger = ReadHandshakeLog(line->message)) {
    hub->Refused(stranger->kind, "a stranger", stranger->why);
  } else if (line->severity == GPR_LOG_SEVERITY_ERROR &&
             std::string_view(line->message).find("andshake failed") == std::string_view::npos) {
    spdlog::error("gRPC: {}", std::string_view(line->message).substr(0, 300));
  }
}

void Limit(grpc::ServerBuilder& builder, const ServerOptions& options) {
  builder.SetMaxReceiveMessageSize(static_cast<int>(wire::kMessageBytesMax));
  builder.SetMaxSendMessageSize(static_cast<int>(wire::kMessageBytesMax));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.streams_per_connection);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10);
  // What may be on its way to us and unread, of each stream. Left to itself gRPC lets it grow with
  // the speed of the line, and memory with the number of sites. At 50 ms this allows 160 Mbit/s.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1 << 20);
  // The buffer of one read, of each connection: grows to 4 MiB on a fast line otherwise.
  builder.AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, 128 << 10);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 10'000);
  // Two coordinators on one port would each get half of the sites.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
}

using Provider = std::shared_ptr<grpc::experimental::CertificateProviderInterface>;

// What the listeners show and whom they trust, as files: gRPC reads a new certificate from nothing
// else. Files in memory, since one that does not load would take the listener down, and what
// somebody does in the folder must not. Trusted is the issuing certificate alone, not its chain.
class ListenerFiles {
 public:
  static Result<ListenerFiles> Make(const Home& home) {
    auto key = MemoryFile::Make(home.server.key_pem);
    CONSILIUM_TRY(key);
    auto certificate = MemoryFile::Make(home.server.certificate_pem);
    CONSILIUM_TRY(certificate);
    auto members = MemoryFile::Make(home.authority.certificate_pem());
    CONSILIUM_TRY(members);
    return ListenerFiles{home.server, std::move(*key), std::move(*certificate),
                         std::move(*members)};
  }
  [[nodiscard]] Provider Watched(int look_s) const {
    return std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
        key_.path(), certificate_.path(), members_.path(), static_cast<unsigned>(look_s));
  }
  [[nodiscard]] const ServerIdentity& shown() const { return shown_; }
  // One for the same key, so that key and certificate fit whichever of them is read first.
  Result<void> Show(ServerIdentity next) {
    if (next.key_pem != shown_.key_pem) {
      return Fail(ErrorCode::kFailedPrecondition,
                  "the server's certificate was issued for a new key; restart the coordinator");
    }
    CONSILIUM_TRY(certificate_.Replace(next.certificate_pem));
    shown_ = std::move(next);
    return {};
  }

 private:
  ListenerFiles(ServerIdentity shown, MemoryFile key, MemoryFile certificate, MemoryFile members)
      : shown_(std::move(shown)),
        key_(std::move(key)),
        certificate_(std::move(certificate)),
        members_(std::move(members)) {}
  ServerIdentity shown_;
  MemoryFile key_, certificate_, members_;
};

std::shared_ptr<grpc::ServerCredentials> Credentials(const Provider& provider, bool mutual) {
  grpc::experimental::TlsServerCredentialsOptions tls(provider);
  tls.watch_identity_key_cert_pairs();
  if (mutual) tls.watch_root_certs();
  tls.set_cert_request_type(mutual ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                                   : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  return grpc::experimental::TlsServerCredentials(tls);
}

}  // namespace

struct Server::Impl {
  Impl(Hub& the_hub, const ServerOptions& options, ListenerFiles listener_files)
      : hub(the_hub),
        files(std::move(listener_files)),
        sites(the_hub, clock, options),
        console(the_hub, clock),
        enrolment(the_hub),
        no_such_work(the_hub),
        no_such_enrolment(the_hub) {}
  Hub& hub;
  ListenerFiles files;
  Clockwork clock;
  SitesService sites;
  ConsoleService console;
  EnrolmentService enrolment;
  NoSuchCall no_such_work, no_such_enrolment;
  std::unique_ptr<grpc::Server> work_server;
  std::unique_ptr<grpc::Server> enrol_server;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() { Stop(0); }

Result<std::unique_ptr<Server>> Server::Start(Hub& hub, const ServerOptions& options) {
  auto files = ListenerFiles::Make(hub.home());
  CONSILIUM_TRY(files);
  const Provider provider = files->Watched(options.certificate_look_s);
  auto impl = std::make_unique<Impl>(hub, options, std::move(*files));
  gpr_set_log_function(&ReadGrpcLog);
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_DEBUG);  // what ended a handshake is said at this level
  // A line for every text that is no UTF-8, before anybody is asked who sent it: strangers must not
  // fill the disk. Such a message is refused all the same.
  google::protobuf::SetLogHandler(nullptr);
  told_of_strangers = &hub;
  const auto listen =
      [&](std::uint16_t port, bool mutual,
          std::vector<grpc::Service*> services) -> Result<std::unique_ptr<grpc::Server>> {
    grpc::ServerBuilder builder;
    Limit(builder, options);
    int bound = 0;
    builder.AddListeningPort(fmt::format("{}:{}", options.listen, port),
                             Credentials(provider, mutual), &bound);
    for (grpc::Service* service : services) builder.RegisterService(service);
    builder.RegisterCallbackGenericService(mutual ? &impl->no_such_work : &impl->no_such_enrolment);
    auto server = builder.BuildAndStart();
    if (!server || bound != port) {
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("{}:{}: cannot listen there; another program has the port, or it "
                              "needs the right to bind it (below 1024: AmbientCapabilities="
                              "CAP_NET_BIND_SERVICE)",
                              options.listen, port));
    }
    return server;
  };
  auto work = listen(hub.home().options.work_port, true, {&impl->sites, &impl->console});
  CONSILIUM_TRY(work);
  impl->work_server = std::move(*work);
  auto enrol = listen(hub.home().options.enrol_port, false, {&impl->enrolment});
  CONSILIUM_TRY(enrol);
  impl->enrol_server = std::move(*enrol);
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Result<bool> Server::RenewCertificate(std::int64_t now_s) {
  auto next = RenewServer(impl_->hub.home(), impl_->files.shown(), now_s);
  CONSILIUM_TRY(next);
  if (!*next) return false;
  CONSILIUM_TRY(impl_->files.Show(std::move(**next)));
  const auto facts = identity::ReadCertificate(impl_->files.shown().certificate_pem);
  CONSILIUM_TRY(facts);
  impl_->hub.ShowsCertificateUntil(facts->not_after_s);
  return true;
}

const ServerIdentity& Server::shown() const { return impl_->files.shown(); }

void Server::Stop(std::int64_t grace_ms) {
  if (!impl_) return;
  const auto deadline = std::chrono::system_clock::now() + std::chrono::milliseconds(grace_ms);
  for (auto* server : {impl_->enrol_server.get(), impl_->work_server.get()}) {
    if (server != nullptr) server->Shutdown(deadline);
  }
  impl_->work_server.reset();
  impl_->enrol_server.reset();
  Hub* told = &impl_->hub;
  told_of_strangers.compare_exchange_strong(told, nullptr);
}

}  // namespace consilium::coordinator
