#include "site_agent/agent.h"

#include <consilium/v1/consilium.grpc.pb.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include "identity/certificate.h"
#include "program/program.h"
#include "site_agent/cohort_folder.h"
#include "site_agent/extractor.h"
#include "site_agent/link.h"
#include "site_agent/plan.h"
#include "site_agent/study_agent.h"
#include "study/program.h"

namespace consilium::site_agent {
namespace {

using Clock = std::chrono::steady_clock;
using Stream = grpc::ClientReaderWriter<v1::FromSite, v1::ToSite>;

constexpr auto kLookAtDecisions = std::chrono::milliseconds(500);
// After a connection that lasted or carried something, the first attempt comes at once: a
// coordinator that was restarted is found in less than a second, and a line that breaks again and
// again costs little. One that falls over whoever connects is left alone longer and longer.
constexpr auto kLastedLong = std::chrono::seconds(2);
constexpr int kMissedBeats = 4;  // a coordinator that is silent for so many is gone
// What a coordinator may make this site keep, or write, before it is left alone for a while.
constexpr std::size_t kWaitingBytesMax = std::size_t{256} << 20;
constexpr std::size_t kOpenStudiesMax = 64;
constexpr int kRefusalsMax = 50;  // in one connection
// Up to this the coordinator can wait for the answer to learn that a record is held.
constexpr std::size_t kSmallRecordBytes = std::size_t{64} << 10;

// Trouble of this machine that passes (a full disk, a lock): nothing is refused, it is tried again.
bool Passes(const Error& error) {
  return error.code == ErrorCode::kUnavailable || error.code == ErrorCode::kResourceExhausted;
}

// What a message takes while it waits for the worker.
std::size_t BytesOf(const wire::ToSite& message) {
  std::size_t bytes = 1024;
  if (const auto* part = std::get_if<wire::RecordPart>(&message)) bytes += part->data.size();
  if (const auto* offer = std::get_if<wire::Offer>(&message)) bytes += offer->submission.size();
  if (const auto* ask = std::get_if<wire::Ask>(&message)) bytes += 320 * ask->roster.size();
  if (const auto* seals = std::get_if<wire::Seals>(&message)) bytes += 384 * seals->seals.size();
  return bytes;
}

std::string Short(const Digest& digest) { return Hex(digest).substr(0, 16); }

}  // namespace

struct Agent::Impl {
  // A study as this site has it.
  struct OneStudy {
    study::Submission submission;
    study::Study study;
    Decision decision;
    std::unique_ptr<StudyAgent> agent;  // once approved
    std::unique_ptr<StudyLog> log;
    std::uint32_t log_attempt = 0;
    Bytes record;         // that is arriving
    bool untold = false;  // it keeps a record, which the answer that follows will say
    std::optional<federation::Binding> answered;  // what was acknowledged last, and when
    Clock::time_point answered_at;
  };

  Impl(SiteConfig site_config, SiteStore site_store, AgentOptions agent_options)
      : config(std::move(site_config)),
        store(std::move(site_store)),
        options(std::move(agent_options)) {}

  SiteConfig config;
  SiteStore store;
  AgentOptions options;
  std::optional<StoredKeys> keys;
  std::optional<SiteIdentity> identity;
  StoredEnrolment enrolment;  // the worker's; the reader copies it under `mutex`
  std::string tls_key_pem;    // unlocked
  std::unique_ptr<SiteLedger> ledger;
  std::optional<Gate> gate;            // the worker's
  std::map<Digest, OneStudy> studies;  // the worker's

  std::atomic<bool> stopping{false};

  // ---- the connection; `mutex` guards all of it
  std::mutex mutex;
  std::condition_variable changed;
  std::shared_ptr<grpc::Channel> channel;
  grpc::ClientContext* context = nullptr;
  Stream* stream = nullptr;
  bool welcomed = false;
  std::mutex writing;  // one writer at a time
  std::uint64_t connection = 0;
  std::int64_t beat_ms = 2000;
  Clock::time_point heard;
  std::map<Digest, std::string> doing;
  std::map<Digest, wire::Position> positions;  // of every study that has not ended

  // ---- the worker
  struct Work {
    std::uint64_t connection = 0;
    std::optional<wire::ToSite> message;  // none: a connection was welcomed
    Clock::time_point arrived = Clock::now();
  };
  std::atomic<bool> carried{false};  // this connection: a record that is kept, an answer
  std::deque<Work> work;             // guarded by `mutex`
  std::size_t waiting_bytes = 0;     // of it; guarded by `mutex`
  std::uint64_t refused_over = 0;    // the connection that `refusals` counts; the worker's
  int refusals = 0;

  [[nodiscard]] std::string Where() const { return "site " + config.site; }

  // ---- saying
  bool Say(const wire::FromSite& message) {
    v1::FromSite proto;
    wire::Encode(message, proto);
    const std::lock_guard turn(writing);
    Stream* to = nullptr;
    {
      const std::lock_guard lock(mutex);
      if (!welcomed && !std::holds_alternative<wire::Hello>(message)) return false;
      to = stream;
    }
    // The reader ends the stream only while it holds `writing`.
    return to != nullptr && to->Write(proto);
  }

  void SayWord(const Digest& study, wire::Word word, std::uint32_t attempt,
               std::string outward = {}) {
    Say(wire::StudyWord{study, word, attempt, {}, std::move(outward)});
  }

  void SetDoing(const Digest& study, const std::string& what) {
    const std::lock_guard lock(mutex);
    if (what.empty()) {
      doing.erase(study);
    } else {
      doing[study] = what;
    }
  }

  // Skipped while the worker says something: that is a sign of life too, and whoever beats must not
  // wait, since it also watches the coordinator's silence.
  void SayBeat() {
    const std::unique_lock turn(writing, std::try_to_lock);
    if (!turn.owns_lock()) return;
    wire::SiteBeat beat{program::UnixMs(), {}};
    Stream* to = nullptr;
    {
      const std::lock_guard lock(mutex);
      beat.doing = doing;
      to = welcomed ? stream : nullptr;
    }
    if (to == nullptr) return;
    v1::FromSite proto;
    wire::Encode(wire::FromSite(std::move(beat)), proto);
    to->Write(proto);
  }

  // ---- studies, on the worker's thread
  Result<CohortTables> Tables(const study::Study& study) const {
    const auto source = CohortFor(config, study.name);
    CONSILIUM_TRY(source);
    return ReadCohort((*source)->file, (*source)->data, config.site, config.file_name);
  }

  Result<void> SyncLedger() {
    const auto synced = ledger->Sync();
    CONSILIUM_TRY(synced);
    return {};
  }

  Result<void> OpenStudy(const Digest& id, OneStudy& one) {
    if (one.agent || !one.decision.approval) return {};
    StudyPlace place;
    place.identity = &*identity;
    place.engine = &options.engine;
    place.approval = *one.decision.approval;
    place.gate = &*gate;
    place.build_cohort = [this](const study::Study& resolved) -> Result<federation::Cohort> {
      if (resolved.extraction) {
        CONSILIUM_TRY(ReproducePhantom(*resolved.extraction, ExtractProgram()));
        spdlog::info("study {}: {} features of the digital phantom are reproduced", resolved.name,
                     resolved.extraction->phantom.size());
      }
      const auto tables = Tables(resolved);
      CONSILIUM_TRY(tables);
      CohortCheck check = CheckCohort(*tables, resolved, keys->secret);
      for (const std::string& note : check.notes) spdlog::info("study {}: {}", resolved.name, note);
      if (!check.cohort) return tl::unexpected<Error>(Combine(check.problems));
      return std::move(*check.cohort);
    };
    place.append_record = [this, id](std::uint32_t attempt,
                                     std::span<const std::uint8_t> record) -> Result<void> {
      OneStudy& study = studies.at(id);
      if (!study.log || study.log_attempt != attempt) {
        auto log = store.OpenLog(id, attempt);
        CONSILIUM_TRY(log);
        study.log = std::move(*log);
        study.log_attempt = attempt;
      }
      return study.log->Append(record);
    };
    place.sync_ledger = [this] { return SyncLedger(); };
    auto agent = StudyAgent::Open(one.submission, std::move(place));
    CONSILIUM_TRY(agent);
    const auto stored = store.LoadStudy(id);
    CONSILIUM_TRY(stored);
    if (!stored->attempts.empty()) {
      const std::uint32_t attempt = stored->attempts.back();
      SetDoing(id, "reading its log");
      const auto loaded = (*agent)->Load(attempt, [&](const auto& take) -> Result<void> {
        const auto scanned = store.ScanLog(id, attempt, take);
        CONSILIUM_TRY(scanned);
        return {};
      });
      CONSILIUM_TRY(loaded);
    }
    one.agent = std::move(*agent);
    SetPosition(one);
    SetDoing(id, one.agent->Doing());
    return {};
  }

  // What the coordinator must know of a study when a connection begins or a decision changes.
  void Tell(const Digest& id, OneStudy& one) {
    if (one.decision.word == Decision::Word::kWaiting) {
      SetDoing(id, "waiting for approval");
      SayWord(id, wire::Word::kWaiting, 0);
    } else if (one.decision.word == Decision::Word::kRejected) {
      SetDoing(id, "");
      SayWord(id, wire::Word::kRejected, 0);
    } else {
      // An approval names the columns that patterns can mean: names only, in the file's order.
      const auto tables = Tables(one.study);
      const auto columns =
          tables ? RadiomicsHeader(*tables)
                 : Result<std::vector<std::string>>(tl::unexpected<Error>(tables.error()));
      if (!columns) {
        spdlog::error("study {}: {}", one.study.name, columns.error().message);
        SayWord(id, wire::Word::kFailed, 0, OutwardText(columns.error()));
        return;
      }
      if (const auto opened = OpenStudy(id, one); !opened) {
        spdlog::error("study {}: {}", one.study.name, opened.error().message);
        SayWord(id, wire::Word::kFailed, 0, OutwardText(opened.error()));
        return;
      }
      auto seals = one.agent->Seals();
      if (!seals) {
        spdlog::error("study {}: {}", one.study.name, seals.error().message);
        SayWord(id, wire::Word::kFailed, 0, OutwardText(seals.error()));
        return;
      }
      Say(wire::StudyWord{id, wire::Word::kApproved, 0, *columns, {}, std::move(*seals)});
    }
  }

  void SetPosition(const OneStudy& one) {
    const wire::Position position = one.agent->position();
    const std::lock_guard lock(mutex);
    positions[position.study] = position;
  }

  // Ends the connection; the reader makes a new one. What arrived over this one is not looked at
  // any more: a question may stand behind a record that was not kept.
  void BreakOff() {
    const std::lock_guard lock(mutex);
    ++connection;
    work.clear();
    if (context != nullptr) context->TryCancel();
  }

  PlanFacts Facts() const {
    return {config.site, keys->public_keys(), config.policy, enrolment.coordinator_key,
            enrolment.operated_by};
  }

  Result<void> Offered(const wire::Offer& offer) {
    auto submission = study::DecodeSubmission(offer.submission);
    CONSILIUM_TRY(submission);
    auto study = study::StudyOf(*submission);
    CONSILIUM_TRY(study);
    const Digest id = study::DigestOf(*submission);
    const auto mine = submission->members.find(config.site);
    if (mine == submission->members.end() || mine->second != keys->public_keys()) {
      SayWord(id, wire::Word::kFailed, 0, "PERMISSION_DENIED GATE_KEY_NOT_PINNED");
      return Fail(ErrorCode::kPermissionDenied,
                  fmt::format("study {}: the lead signed other keys for this site than it has; it "
                              "must be submitted again",
                              study->name));
    }
    if (studies.contains(id)) {
      Tell(id, studies.at(id));
      return {};
    }
    if (studies.size() >= kOpenStudiesMax) {
      return Fail(
          ErrorCode::kFailedPrecondition,
          fmt::format("study {}: {} studies are open here, which is the most; reject or end "
                      "one first",
                      study->name, kOpenStudiesMax));
    }
    const auto added = store.AddStudy(*submission, program::UnixMs());
    CONSILIUM_TRY(added);
    if (*added) {
      const auto approval =
          ApprovalFor(*submission, *study, Facts(), Approver{}, program::UnixMs());
      if (approval) {
        CONSILIUM_TRY(store.Decide(
            id, {Decision::Word::kApproved, "policy", program::UnixMs(), "", *approval},
            Decision::Word::kWaiting));
      } else {
        spdlog::warn("study {} by {} waits for approval: `consilium-site approve {}`", study->name,
                     submission->lead, Short(id));
      }
    }
    const auto decision = store.LoadDecision(id);
    CONSILIUM_TRY(decision);
    {
      const std::lock_guard lock(mutex);
      positions[id] = {id, 0, 0};
    }
    OneStudy& one = studies[id];
    one.submission = std::move(*submission);
    one.study = std::move(*study);
    one.decision = *decision;
    Tell(id, one);
    return {};
  }

  Result<void> Sealed(const wire::Seals& seals) {
    const auto found = studies.find(seals.study);
    if (found == studies.end() || !found->second.agent) return {};
    const auto taken = found->second.agent->TakeSeals(seals.seals);
    if (!taken) SayWord(seals.study, wire::Word::kFailed, 0, OutwardText(taken.error()));
    return taken;
  }

  Result<void> Arrived(const wire::RecordPart& part) {
    const auto found = studies.find(part.study);
    if (found == studies.end() || !found->second.agent) return {};
    OneStudy& one = found->second;
    if (part.offset == 0) one.record.clear();
    if (part.size > one.agent->RecordBytesMax()) {
      return Fail(ErrorCode::kPermissionDenied,
                  fmt::format("study {}: a record of {} bytes was announced; nothing above {} can "
                              "follow from what is asked",
                              one.study.name, part.size, one.agent->RecordBytesMax()));
    }
    if (part.offset != one.record.size()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("study {}: part at {} of a record, expected {}", one.study.name,
                              part.offset, one.record.size()));
    }
    if (part.offset == 0) one.record.reserve(part.size);
    one.record.insert(one.record.end(), part.data.begin(), part.data.end());
    if (one.record.size() < part.size) return {};
    const Bytes record = std::move(one.record);
    one.record.clear();
    SetDoing(part.study,
             part.index == 0 ? "reading its tables" : fmt::format("checking round {}", part.index));
    const auto taken = one.agent->Take(part.attempt, part.index, record);
    if (!taken) {
      if (Passes(taken.error())) {
        BreakOff();  // the record is sent again over the next connection
      } else if (part.index == 0) {
        SayWord(part.study, wire::Word::kFailed, part.attempt, OutwardText(taken.error()));
      } else {
        Say(wire::Refused{part.study, part.attempt, part.index - 1, OutwardText(taken.error())});
      }
      return tl::unexpected<Error>(taken.error());
    }
    if (*taken) {
      carried = true;
      if (part.index == 0) {
        spdlog::info("study {}: joined, attempt {}", one.study.name, part.attempt);
        SayWord(part.study, wire::Word::kJoined, part.attempt);
      }
    }
    SetPosition(one);
    // The answer to the question that waits says as much. A large record is said at once: the
    // coordinator has it in its memory until everybody holds it.
    one.untold = record.size() <= kSmallRecordBytes && IsAsked(part.study);
    if (!one.untold) Say(wire::TotalHeld{one.agent->position()});
    CONSILIUM_TRY(one.agent->Advance());
    SetDoing(part.study, one.agent->Doing());
    return {};
  }

  // Whether a question of the study waits for the worker.
  bool IsAsked(const Digest& study) {
    const std::lock_guard lock(mutex);
    return std::any_of(work.begin(), work.end(), [&](const Work& next) {
      const auto* ask = next.message ? std::get_if<wire::Ask>(&*next.message) : nullptr;
      return ask != nullptr && ask->study == study;
    });
  }

  Result<void> Asked(const wire::Ask& ask, Clock::time_point arrived) {
    const auto found = studies.find(ask.study);
    if (found == studies.end() || !found->second.agent) return {};
    OneStudy& one = found->second;
    const auto answered = Answer(one, ask, arrived);
    // No answer has said it.
    if (std::exchange(one.untold, false) && !answered) Say(wire::TotalHeld{one.agent->position()});
    return answered;
  }

  Result<void> Answer(OneStudy& one, const wire::Ask& ask, Clock::time_point arrived) {
    // Asked again while the answer was on its way over a slow line: it has arrived since, and need
    // not be sent a second time. Should it have been lost with its coordinator, the next reminder
    // comes after this.
    if (one.answered == ask.binding && arrived < one.answered_at) return {};
    SetDoing(ask.study, fmt::format("computing round {}", ask.binding.round + 1));
    const auto answer = one.agent->Answer(ask);
    if (!answer) {
      // After trouble that passes the coordinator reminds this site of the question.
      if (!Passes(answer.error()))
        Say(wire::Refused{ask.study, ask.binding.attempt, ask.binding.round,
                          OutwardText(answer.error())});
      SetDoing(ask.study, one.agent->Doing());
      return tl::unexpected<Error>(answer.error());
    }
    SetDoing(ask.study, fmt::format("sending round {}", ask.binding.round + 1));
    auto sent = Submit(*answer, ask.held);
    if (!sent && sent.error().code == ErrorCode::kNotFound) sent = Submit(*answer, 0);
    if (sent) {
      one.answered = ask.binding;
      one.answered_at = Clock::now();
    }
    SetDoing(ask.study, one.agent->Doing());
    return sent;
  }

  // One answer, from a byte on up to which the coordinator holds it. What breaks on the way goes on
  // when the coordinator asks again. Errors: kNotFound (it does not hold so much).
  Result<void> Submit(const StudyAnswer& answer, std::uint64_t held) {
    std::shared_ptr<grpc::Channel> to;
    {
      const std::lock_guard lock(mutex);
      to = channel;
    }
    if (!to) return {};
    const auto stub = v1::Sites::NewStub(to);
    grpc::ClientContext call;
    // Call, head, words and end of a small answer travel together.
    call.set_initial_metadata_corked(true);
    v1::SubmitReply reply;
    const auto writer = stub->Submit(&call, &reply);
    const Bytes& words = *answer.words;
    v1::AnswerPart part;
    wire::AnswerHead head = answer.head;
    head.from = std::min<std::uint64_t>(held, words.size());
    wire::Encode(head, *part.mutable_head());
    grpc::WriteOptions with_next;
    with_next.set_buffer_hint();
    grpc::WriteOptions last;
    last.set_last_message();
    bool open = writer->Write(part, head.from == words.size() ? last : with_next);
    for (std::size_t at = head.from; open && at < words.size(); at += wire::kPartBytes) {
      const std::size_t size = std::min(wire::kPartBytes, words.size() - at);
      part.set_data(words.data() + at, size);
      open = writer->Write(part, at + size == words.size() ? last : grpc::WriteOptions());
    }
    const grpc::Status status = writer->Finish();
    if (status.ok()) {
      carried = true;
      return {};
    }
    return tl::unexpected<Error>(
        ErrorOf(status, fmt::format("answer to round {}", answer.head.binding.round + 1)));
  }

  Result<void> Finished(const wire::Ended& ended) {
    const auto found = studies.find(ended.study);
    if (found == studies.end()) return {};
    spdlog::info("study {} {}: {}", found->second.study.name, ended.state, ended.why);
    const std::int64_t now = program::UnixMs();
    if (found->second.agent) {
      CONSILIUM_TRY(found->second.agent->End(
          ended.why.empty() ? ended.state : fmt::format("{}: {}", ended.state, ended.why), now));
    }
    CONSILIUM_TRY(store.EndStudy(ended.study, {ended.state, ended.why, now}));
    SetDoing(ended.study, "");
    {
      const std::lock_guard lock(mutex);
      positions.erase(ended.study);
    }
    studies.erase(found);
    ::malloc_trim(0);  // between studies an agent is as small as at its start
    return SignHead();
  }

  // The coordinator countersigns where the ledger stands: a ledger cut short is then found.
  Result<void> SignHead() {
    CONSILIUM_TRY(SyncLedger());
    const LedgerHead head = ledger->ledger().head();
    if (head.count > 0) Say(wire::HeadToSign{head.count, head.hash});
    return {};
  }

  Result<void> Countersigned(const wire::HeadSigned& head) {
    const auto signature = enrolment.coordinator_key.Verify(
        wire::HeadBytes(config.site, head.count, head.hash), head.signature);
    CONSILIUM_TRY(signature);
    return store.SaveHead({{head.count, head.hash}, head.signature, program::UnixMs()});
  }

  Result<void> Restarted(const wire::Restarted& restarted) {
    const auto found = studies.find(restarted.study);
    if (found == studies.end() || !found->second.agent) return {};
    spdlog::warn("study {}: attempt {} begins: {}", found->second.study.name, restarted.attempt,
                 restarted.why);
    return found->second.agent->Restart(restarted.attempt, restarted.why);
  }

  void Do(const Work& one) {
    {
      const std::lock_guard lock(mutex);
      if (one.connection != connection) return;  // of a connection that broke
    }
    Result<void> done;
    if (!one.message) {
      for (auto& [id, study] : studies) {
        study.record.clear();
        Tell(id, study);
      }
      done = SignHead();
    } else {
      done = std::visit(
          [&](const auto& message) -> Result<void> {
            using Message = std::decay_t<decltype(message)>;
            if constexpr (std::is_same_v<Message, wire::Offer>) return Offered(message);
            if constexpr (std::is_same_v<Message, wire::Seals>) return Sealed(message);
            if constexpr (std::is_same_v<Message, wire::RecordPart>) return Arrived(message);
            if constexpr (std::is_same_v<Message, wire::Ask>) return Asked(message, one.arrived);
            if constexpr (std::is_same_v<Message, wire::Ended>) return Finished(message);
            if constexpr (std::is_same_v<Message, wire::HeadSigned>) return Countersigned(message);
            if constexpr (std::is_same_v<Message, wire::Restarted>) return Restarted(message);
            return {};
          },
          *one.message);
    }
    if (done) return;
    spdlog::error("{}: {}", Name(done.error().code), done.error().message);
    if (Passes(done.error())) return;
    if (std::exchange(refused_over, one.connection) != one.connection) refusals = 0;
    if (++refusals < kRefusalsMax) return;
    spdlog::error("the coordinator was refused {} times over one connection; leaving it",
                  kRefusalsMax);
    BreakOff();
  }

  void LookAtDecisions() {
    for (auto& [id, one] : studies) {
      if (one.decision.word != Decision::Word::kWaiting) continue;
      const auto decision = store.LoadDecision(id);
      if (!decision || decision->word == one.decision.word) continue;
      one.decision = *decision;
      spdlog::info("study {}: {} by {}", one.study.name, Name(one.decision.word), one.decision.by);
      Tell(id, one);
    }
  }

  void RenewIfDue() {
    const auto facts = identity::ReadCertificate(enrolment.certificate_pem);
    if (!facts || identity::DaysLeft(*facts, program::UnixMs() / 1000) >= options.renew_days)
      return;
    // The last of an authority that ends: a new one would end with it.
    const auto authority = identity::ReadCertificate(enrolment.authority_pem);
    if (authority && facts->not_after_s >= authority->not_after_s) return;
    std::shared_ptr<grpc::Channel> to;
    {
      const std::lock_guard lock(mutex);
      if (!welcomed) return;
      to = channel;
    }
    const auto renewed = RenewCertificate(to, enrolment, tls_key_pem, program::UnixMs() / 1000);
    if (!renewed) {
      spdlog::warn("the certificate ends in {} days and was not renewed: {}",
                   identity::DaysLeft(*facts, program::UnixMs() / 1000), renewed.error().message);
      return;
    }
    StoredEnrolment next = enrolment;
    next.certificate_pem = *renewed;
    if (const auto saved = store.SaveEnrolment(next); !saved) {
      spdlog::error("{}", saved.error().message);
      return;
    }
    // The open connection goes on with the old certificate; the next one uses the new.
    const std::lock_guard lock(mutex);
    enrolment = std::move(next);
    spdlog::info("the certificate was renewed");
  }

  void RunWorker() {
    auto looked = Clock::now(), renewed = Clock::now();
    for (;;) {
      std::optional<Work> next;
      {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, kLookAtDecisions, [&] { return stopping || !work.empty(); });
        if (stopping) return;
        if (!work.empty()) {
          next = std::move(work.front());
          work.pop_front();
          if (next->message) waiting_bytes -= BytesOf(*next->message);
        }
      }
      if (next) Do(*next);
      if (Clock::now() - looked >= kLookAtDecisions) {
        looked = Clock::now();
        LookAtDecisions();
      }
      if (Clock::now() - renewed >= std::chrono::minutes(1)) {
        renewed = Clock::now();
        RenewIfDue();
      }
    }
  }

  void RunBeat() {
    auto beaten = Clock::now();
    for (;;) {
      bool due = false;
      {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, std::chrono::milliseconds(100), [&] { return stopping.load(); });
        if (stopping) return;
        const auto now = Clock::now();
        if (context != nullptr && welcomed &&
            now - heard > std::chrono::milliseconds(kMissedBeats * beat_ms)) {
          spdlog::warn("the coordinator is silent; connecting again");
          context->TryCancel();
        }
        due = welcomed && now - beaten >= std::chrono::milliseconds(beat_ms);
        if (due) beaten = now;
      }
      if (due) SayBeat();
    }
  }

  // ---- the reader
  // One connection, from hello to its end. The status that ended it.
  grpc::Status Connect() {
    grpc::ClientContext call;
    std::unique_ptr<v1::Sites::Stub> stub;
    wire::Hello hello;
    {
      const std::lock_guard lock(mutex);
      auto opened = OpenChannel(enrolment, tls_key_pem, config.network);
      if (!opened) return {grpc::StatusCode::UNAVAILABLE, opened.error().message};
      channel = *opened;
      stub = v1::Sites::NewStub(channel);
      if (stopping) return grpc::Status::CANCELLED;
      context = &call;
      ++connection;
      work.clear();
      waiting_bytes = 0;
    }
    const std::unique_ptr<Stream> open = stub->Work(&call);
    hello.versions.engine = study::kEngineVersion;
    hello.unix_ms = program::UnixMs();
    {
      const std::lock_guard lock(mutex);
      for (const auto& [study, position] : positions) hello.positions.push_back(position);
      stream = open.get();
    }
    Say(hello);
    v1::ToSite proto;
    Error wrong;
    while (open->Read(&proto)) {
      auto message = wire::Decode(proto);
      if (!message) {
        wrong = message.error();
        call.TryCancel();
        break;
      }
      const std::lock_guard lock(mutex);
      heard = Clock::now();
      if (waiting_bytes + BytesOf(*message) > kWaitingBytesMax) {
        wrong = {ErrorCode::kResourceExhausted,
                 fmt::format("the coordinator sends more than this site takes in: {} bytes wait",
                             waiting_bytes)};
        call.TryCancel();
        break;
      }
      const auto* welcome = std::get_if<wire::Welcome>(&*message);
      if (welcome != nullptr && welcomed) {
        wrong = {ErrorCode::kInvalidArgument, "a second welcome in one stream"};
        call.TryCancel();
        break;
      }
      if (welcome != nullptr) {
        beat_ms = config.network.beat_ms.value_or(welcome->beat_ms);
        const std::int64_t skew = program::UnixMs() - welcome->unix_ms;
        if (std::abs(skew) > 60'000)
          spdlog::warn("this machine's clock is {} s {} the coordinator's", std::abs(skew) / 1000,
                       skew > 0 ? "ahead of" : "behind");
        spdlog::info("connected to {} at {}", enrolment.CoordinatorText(), enrolment.address);
        welcomed = true;
        heard = Clock::now();
        work.push_back({connection, std::nullopt});
      } else if (!std::holds_alternative<wire::CoordinatorBeat>(*message)) {
        waiting_bytes += BytesOf(*message);
        work.push_back({connection, std::move(*message)});
      }
      changed.notify_all();
    }
    {
      const std::lock_guard turn(writing);
      const std::lock_guard lock(mutex);
      stream = nullptr;
      welcomed = false;
    }
    const grpc::Status status = open->Finish();
    const std::lock_guard lock(mutex);
    context = nullptr;
    if (!wrong.message.empty()) return {grpc::StatusCode::INVALID_ARGUMENT, wrong.message};
    return status;
  }

  // Pauses for `ms`, unless Stop is called.
  void Pause(std::int64_t ms) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::milliseconds(ms), [&] { return stopping.load(); });
  }
};

Agent::Agent(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Agent::~Agent() { Stop(); }

Result<std::unique_ptr<Agent>> Agent::Open(const SiteConfig& config, SiteStore store,
                                           AgentOptions options) {
  auto impl = std::make_unique<Impl>(config, std::move(store), std::move(options));
  auto keys = impl->store.LoadKeys();
  CONSILIUM_TRY(keys);
  impl->keys.emplace(std::move(*keys));
  impl->identity.emplace(impl->keys->Identity(config.site));
  auto enrolment = impl->store.LoadEnrolment();
  CONSILIUM_TRY(enrolment);
  impl->enrolment = std::move(*enrolment);
  if (impl->enrolment.site != config.site) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: the site is {}, the folder {} is enrolled as {}", config.file_name,
                            config.site, config.state, impl->enrolment.site));
  }
  auto tls_key_pem = UnlockTlsKey(*impl->keys, impl->options.passphrase);
  CONSILIUM_TRY(tls_key_pem);
  impl->tls_key_pem = std::move(*tls_key_pem);
  auto ledger = impl->store.OpenLedger(config.site);
  CONSILIUM_TRY(ledger);
  impl->ledger = std::move(*ledger);
  if (!impl->ledger->note().empty()) spdlog::warn("{}", impl->ledger->note());
  impl->gate.emplace(config.policy.settings(), impl->ledger->ledger());
  const auto list = impl->store.ListStudies();
  CONSILIUM_TRY(list);
  for (const std::string& problem : list->problems) spdlog::error("{}", problem);
  for (const StoredStudy& stored : list->studies) {
    if (stored.ended) continue;
    auto study = study::StudyOf(stored.submission);
    CONSILIUM_TRY(study);
    Impl::OneStudy& one = impl->studies[stored.digest];
    one.submission = stored.submission;
    one.study = std::move(*study);
    one.decision = stored.decision;
    wire::Position& position = impl->positions[stored.digest];
    position.study = stored.digest;
    if (!stored.attempts.empty()) {
      position.attempt = stored.attempts.back();
      const auto log = impl->store.ScanLog(stored.digest, position.attempt, nullptr);
      CONSILIUM_TRY(log);
      position.records = log->records;
    }
  }
  return std::unique_ptr<Agent>(new Agent(std::move(impl)));
}

Result<void> Agent::Run() {
  Impl& impl = *impl_;
  std::thread worker([&] { impl.RunWorker(); });
  std::thread beat([&] { impl.RunBeat(); });
  // Sites that lost one coordinator at one moment must not come back at one moment.
  std::mt19937_64 random(std::random_device{}());
  std::int64_t pause = impl.options.pause_min_ms;
  std::string said;
  Result<void> result;
  while (!impl.stopping) {
    const auto began = Clock::now();
    const auto facts = [&] {
      const std::lock_guard lock(impl.mutex);
      return identity::ReadCertificate(impl.enrolment.certificate_pem);
    }();
    if (facts && identity::DaysLeft(*facts, program::UnixMs() / 1000) < 0) {
      result = Fail(ErrorCode::kFailedPrecondition,
                    fmt::format("the certificate of {} ended {}; ask the lead for a new token and "
                                "run `consilium-site enroll TOKEN`: keys, ledger and studies stay",
                                impl.config.site, identity::UtcText(facts->not_after_s)));
      break;
    }
    const grpc::Status status = impl.Connect();
    if (impl.stopping) break;
    const Error error = ErrorOf(status, "coordinator");
    if (error.code == ErrorCode::kPermissionDenied ||
        error.code == ErrorCode::kFailedPrecondition) {
      result = tl::unexpected<Error>(error);
      break;
    }
    if (impl.carried.exchange(false) || Clock::now() - began > kLastedLong)
      pause = impl.options.pause_min_ms;
    const std::int64_t drawn =
        pause / 2 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(pause));
    if (error.message != said) {
      spdlog::warn("not connected: {}; trying again until it answers", error.message);
      said = error.message;
    }
    impl.Pause(drawn);
    pause = std::min(impl.options.pause_max_ms, 2 * pause);
  }
  Stop();
  worker.join();
  beat.join();
  return result;
}

void Agent::Stop() {
  impl_->stopping = true;
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->context != nullptr) impl_->context->TryCancel();
  }
  impl_->changed.notify_all();
}

}  // namespace consilium::site_agent
