#include "coordinator/study_host.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <deque>
#include <iterator>
#include <span>

#include "coordinator/report_files.h"
#include "federation/fixed_point.h"
#include "study/program.h"
#include "study/study_file.h"

namespace consilium::coordinator {

using federation::Action;
using federation::Round;
using study::Study;

namespace {

// Records that travel to a site before it has said that it holds the first of them.
constexpr std::uint64_t kRecordsAhead = 4;
constexpr std::string_view kGoesOnWith = "; goes on with: ";

// Refusals after which nothing of the study can follow, by their stable names (docs/disclosure.md).
// What a site cannot open when it joins it never will: shares do not change.
constexpr std::string_view kNeverJoins = "GATE_SUM_SHARE";
// The log has the total, and a site that does not believe it takes nothing after it.
constexpr std::string_view kDisbelieves[] = {"GATE_TOTAL_NOT_THE_SUM", "GATE_RELEASE_NOT_SIGNED"};

bool Says(std::string_view outward, std::string_view refusal) {
  return outward.find(refusal) != std::string_view::npos;
}

using Seals = std::map<std::string, federation::SumSeal>;

// What the store keeps of a study: the roster of an attempt, and what a site sent with its
// approval.
template <typename Names>
void EncodeNames(const Names& names, ByteWriter& writer) {
  writer.U32(static_cast<std::uint32_t>(names.size()));
  for (const std::string& name : names) writer.Text(name);
}
std::vector<std::string> DecodeNames(ByteReader& reader) {
  const std::uint32_t count = reader.U32();
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i)
    names.push_back(reader.Text(wire::kColumnNameBytesMax));
  return names;
}

Bytes EncodeRoster(const std::set<std::string>& roster) {
  ByteWriter writer;
  EncodeNames(roster, writer);
  return writer.Take();
}
Result<std::set<std::string>> DecodeRoster(std::span<const std::uint8_t> bytes) {
  ByteReader reader(bytes);
  const std::vector<std::string> names = DecodeNames(reader);
  CONSILIUM_TRY(reader.Finish("the roster of an attempt"));
  return std::set<std::string>(names.begin(), names.end());
}

struct Approved {
  std::vector<std::string> columns;
  Seals seals;  // by the site that each is for
};
Bytes EncodeApproved(const Approved& approved) {
  ByteWriter writer;
  EncodeNames(approved.columns, writer);
  writer.U32(static_cast<std::uint32_t>(approved.seals.size()));
  for (const auto& [site, seal] : approved.seals) {
    writer.Text(site);
    writer.Raw(seal);
  }
  return writer.Take();
}
Result<Approved> DecodeApproved(std::span<const std::uint8_t> bytes) {
  ByteReader reader(bytes);
  Approved approved{DecodeNames(reader), {}};
  const std::uint32_t count = reader.U32();
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
    federation::SumSeal& seal = approved.seals[reader.Text(federation::kSiteNameBytesMax)];
    const auto raw = reader.Raw(seal.size());
    if (raw.size() == seal.size()) std::copy(raw.begin(), raw.end(), seal.begin());
  }
  CONSILIUM_TRY(reader.Finish("the approval of a site"));
  return approved;
}

}  // namespace

struct StudyHost::Impl {
  struct Site {
    bool connected = false;
    SiteState word = SiteState::kOffered;
    std::string sentence;
    Approved approved;
    bool told_seals = false;  // over this connection
    std::string doing;
    std::uint32_t attempt = 0;  // what `held` and `sent` count
    std::uint64_t held = 0;     // records that the site holds, as far as it said
    std::uint64_t sent = 0;     // records sent over this connection, or held before
    std::uint64_t asked = 0;    // 1 + the round that was asked over this connection
    bool told_ended = false;    // over this connection
  };
  // An attempt that is under way.
  struct Run {
    Run(Study resolved, Store& store, const Digest& id, std::uint32_t number)
        : study(std::move(resolved)), log(store, id, number) {}
    Study study;  // with the attempt's training centers; StudyRun refers to it
    StoreLog log;
    std::unique_ptr<StudyRun> run;
    std::optional<Round> round;
    std::uint64_t bytes_up = 0;
  };

  Impl(const Digest& study_id, Store& durable, Outbox& carrier, const study::Engine& installed)
      : id(study_id), store(durable), outbox(carrier), engine(installed) {}

  Digest id;
  Store& store;
  Outbox& outbox;
  const study::Engine& engine;
  StudyStatus status;
  study::Submission submission;
  Bytes submission_bytes;
  Study study;
  federation::QuorumContract contract;
  std::map<std::string, Site> sites;
  std::uint32_t attempt = 0;
  std::set<std::string> trains;         // the centers of the attempt
  std::uint64_t records = 0;            // of the attempt's log
  std::shared_ptr<const Bytes> newest;  // the last of them, if it was made here
  std::unique_ptr<Run> run;
  std::deque<Action> pending;
  std::string decision;  // stands in the next entry
  std::string trouble;   // why something is tried again
  std::uint64_t version = 1;
  std::int64_t now_ms = 0;
  std::int64_t unix_ms = 0;

  void Note(std::string_view who, std::string_view what, std::string_view detail) {
    (void)store.AddEvent(unix_ms, who, what, fmt::format("study {}: {}", study.name, detail));
  }

  // ---- beginning
  Result<void> Load() {
    auto stored = store.FindStudy(id);
    CONSILIUM_TRY(stored);
    status = stored->status;
    submission_bytes = std::move(stored->submission);
    auto decoded = study::DecodeSubmission(submission_bytes);
    CONSILIUM_TRY(decoded);
    submission = std::move(*decoded);
    auto parsed = study::StudyOf(submission);
    CONSILIUM_TRY(parsed);
    study = std::move(*parsed);
    const auto agreed = study::ContractOf(study);
    CONSILIUM_TRY(agreed);
    contract = *agreed;
    for (const std::string& site : study.sites) sites[site];
    const auto words = store.ListSites(id);
    CONSILIUM_TRY(words);
    for (const StudySite& word : *words) {
      const auto found = sites.find(word.site);
      if (found == sites.end()) continue;
      found->second.word = word.state;
      found->second.sentence = word.sentence;
      if (word.join.empty()) continue;
      auto approved = DecodeApproved(word.join);
      CONSILIUM_TRY(approved);
      found->second.approved = std::move(*approved);
    }
    const auto attempts = store.ListAttempts(id);
    CONSILIUM_TRY(attempts);
    if (attempts->empty()) return {};
    attempt = attempts->back().attempt;
    auto roster = DecodeRoster(attempts->back().roster);
    CONSILIUM_TRY(roster);
    trains = std::move(*roster);
    const auto count = store.RecordCount(id, attempt);
    CONSILIUM_TRY(count);
    records = *count;
    if (HasEnded(status.state)) return {};
    if (attempts->back().ended_ms) {
      // Killed between the end of an attempt and what follows from it.
      const std::set<std::string> next = StillThere(attempts->back().why);
      if (!next.empty()) return Restart(attempt + 1, next);
      Fail(attempts->back().why);
      return {};
    }
    return Resume(trains);
  }

  // The roster of the next attempt, as EndAttempt wrote it behind the reason; empty: none follows.
  static std::set<std::string> StillThere(std::string_view why) {
    std::set<std::string> sites;
    const auto at = why.rfind(kGoesOnWith);
    if (at == std::string_view::npos) return sites;
    std::string_view names = why.substr(at + kGoesOnWith.size());
    for (;;) {
      const auto comma = names.find(", ");
      sites.emplace(names.substr(0, comma));
      if (comma == std::string_view::npos) return sites;
      names.remove_prefix(comma + 2);
    }
  }

  Result<Study> Resolved(const std::set<std::string>& centers) const {
    const auto& columns = sites.at(study.sites.front()).approved.columns;
    auto resolved = study::ResolveFeatures(study, columns);
    CONSILIUM_TRY(resolved);
    return study::WithTrainingCenters(*resolved, centers);
  }

  // Continues the attempt from its log, or begins it if not even its header was written.
  Result<void> Resume(const std::set<std::string>& training) {
    auto resolved = Resolved(training);
    CONSILIUM_TRY(resolved);
    run = std::make_unique<Run>(std::move(*resolved), store, id, attempt);
    newest.reset();
    if (records == 0) {
      auto begun = StudyRun::Begin(run->study, submission.study_file, engine, submission.members,
                                   run->log, attempt);
      CONSILIUM_TRY(begun);
      run->run = std::move(*begun);
      records = 1;
    } else {
      Bytes record;  // the log of a long study has gigabytes: one of its records at a time
      std::uint64_t index = 0;
      const auto next = [&]() -> Result<std::span<const std::uint8_t>> {
        auto read = store.ReadRecords(id, attempt, index++, 1);
        CONSILIUM_TRY(read);
        record = read->empty() ? Bytes() : std::move(read->front());
        return std::span<const std::uint8_t>(record);
      };
      auto resumed =
          StudyRun::Resume(run->study, engine, submission.members, next, run->log, attempt);
      CONSILIUM_TRY(resumed);
      run->run = std::move(*resumed);
      run->run->ForgetTotal();
    }
    return {};
  }

  // Everybody has approved: the first attempt.
  void BeginIfApproved() {
    if (run || status.state != StudyState::kOffered) return;
    for (const auto& [name, site] : sites) {
      if (site.word != SiteState::kApproved && site.word != SiteState::kJoined) return;
    }
    const std::vector<std::string> training = study::TrainingCenters(study);
    const auto begun = Begin(0, {training.begin(), training.end()});
    if (!begun) Fail(begun.error().message);
  }

  Result<void> Begin(std::uint32_t number, const std::set<std::string>& centers) {
    CONSILIUM_TRY(Resolved(centers));
    const auto kept = store.Atomically([&]() -> Result<void> {
      CONSILIUM_TRY(store.BeginAttempt(id, number, EncodeRoster(centers), unix_ms));
      return store.SetStudyState(id, StudyState::kRunning, "", unix_ms);
    });
    CONSILIUM_TRY(kept);
    Refresh();
    attempt = number;
    trains = centers;
    records = 0;
    CONSILIUM_TRY(Resume(centers));
    Note("coordinator", "attempt.began",
         fmt::format("attempt {} with {}", number, fmt::join(centers, ", ")));
    return {};
  }

  Result<void> Restart(std::uint32_t number, const std::set<std::string>& centers) {
    pending.clear();
    CONSILIUM_TRY(Begin(number, centers));
    for (auto& [name, site] : sites) {
      if (!site.connected || IsLeftOut(name)) continue;
      outbox.Send(name, wire::Restarted{id, number, "sites left"});
    }
    return {};
  }

  void Refresh() {
    if (auto stored = store.FindStudy(id)) status = stored->status;
    ++version;
  }

  // ---- the end
  void End(StudyState state, std::string_view why) {
    if (const auto set = store.SetStudyState(id, state, why, unix_ms); !set) {
      trouble = set.error().message;
      return;
    }
    pending.clear();
    Refresh();
    Note("coordinator", "study.ended", fmt::format("{}: {}", Name(state), why));
    for (auto& [name, site] : sites) Feed(name, site);
  }
  void Fail(std::string_view why) { End(StudyState::kFailed, why); }

  Result<void> Finish() {
    auto results = run->run->Take();
    if (!results) {
      Fail(results.error().message);
      return {};
    }
    const auto report = ReportFiles(*results);
    CONSILIUM_TRY(report);
    std::map<std::string, Bytes> files;
    for (const auto& [name, text] : *report) files[name].assign(text.begin(), text.end());
    const auto kept = store.Atomically([&]() -> Result<void> {
      CONSILIUM_TRY(store.SetArtifacts(id, files));
      return store.SetStudyState(id, StudyState::kFinished, results->verdict.word, unix_ms);
    });
    CONSILIUM_TRY(kept);
    Refresh();
    Note("coordinator", "study.ended", fmt::format("finished: {}", results->verdict.word));
    run.reset();
    for (auto& [name, site] : sites) Feed(name, site);
    return {};
  }

  // ---- rounds
  void OpenRound() {
    const study::StudyReplay& replay = run->run->replay();
    std::set<std::string> training;
    for (const auto& [site, keys] : run->run->roster()) training.insert(site);
    std::set<std::string> reporting;
    std::set_difference(replay.releasing().begin(), replay.releasing().end(), training.begin(),
                        training.end(), std::inserter(reporting, reporting.end()));
    run->round.emplace(contract);
    // The first question goes out like all others, when a site holds what it follows from: Feed.
    (void)run->round->On(federation::Opened{run->run->binding(), training, reporting,
                                            federation::ByteCount(replay.layout()),
                                            study::TrainingCenters(study).size(), now_ms});
    for (auto& [name, site] : sites) {
      if (!site.connected) continue;
      (void)run->round->On(federation::SiteSeen{name, site.doing, now_ms});
    }
    ++version;
    for (auto& [name, site] : sites) Feed(name, site);
  }

  [[nodiscard]] bool IsAsked(const std::string& name) const {
    return run && run->round && run->round->phase() == Round::Phase::kGathering &&
           run->run->IsAsked(name);
  }

  void SendAsk(const std::string& name, Site& site) {
    wire::Ask ask{id, run->run->binding(), {}};
    for (const auto& [member, keys] : run->run->roster()) ask.roster.insert(member);
    site.asked = ask.binding.round + 1;
    outbox.Send(name, std::move(ask));
  }

  // Sends a connected site what it lacks: records in order, then the question, or the end.
  void Feed(const std::string& name, Site& site) {
    if (!site.connected) return;
    if (site.word != SiteState::kApproved && site.word != SiteState::kJoined) {
      if (HasEnded(status.state)) SendEnded(name);
      return;
    }
    // Nothing follows from the log of a study that failed; a site may not even believe it.
    const bool broken_off = HasEnded(status.state) && status.state != StudyState::kFinished;
    if (records == 0 || IsLeftOut(name) || broken_off) {
      if (HasEnded(status.state)) SendEnded(name);
      return;
    }
    if (!site.told_seals) {
      site.told_seals = true;
      wire::Seals sealed{id, {}};
      for (const auto& [from, other] : sites) {
        const auto seal = other.approved.seals.find(name);
        if (seal != other.approved.seals.end()) sealed.seals[from] = seal->second;
      }
      outbox.Send(name, std::move(sealed));
    }
    if (site.attempt != attempt) {
      site.attempt = attempt;
      site.held = site.sent = site.asked = 0;
    }
    while (site.sent < records && site.sent - site.held < kRecordsAhead) {
      auto record = RecordAt(site.sent);
      if (!record) {
        trouble = record.error().message;
        return;
      }
      outbox.SendRecord(name, id, attempt, site.sent, std::move(*record));
      ++site.sent;
    }
    // The question follows the last record on the same stream: waiting until the site says that it
    // holds the record would cost one more way to it and back in every round.
    if (site.sent < records) return;
    if (HasEnded(status.state)) {
      if (site.held == records) SendEnded(name);
    } else if (IsAsked(name) && site.asked != run->run->binding().round + 1 &&
               !run->round->receipts().contains(name)) {
      SendAsk(name, site);
      // Its next beat says the same; until then the last one must not be shown.
      site.doing = fmt::format("computing round {}", run->run->binding().round + 1);
      (void)run->round->On(federation::SiteSeen{name, site.doing, now_ms});
    }
  }

  // A training center that the attempt goes on without: it is told the end, and nothing of it.
  [[nodiscard]] bool IsLeftOut(const std::string& name) const {
    return records > 0 && !trains.contains(name) && study::Trains(study, name);
  }

  void SendEnded(const std::string& name) {
    outbox.Send(name, wire::Ended{id, std::string(Name(status.state)), status.reason});
    sites.at(name).told_ended = true;
  }

  // A site has the log up to there. False: that was known.
  bool Holds(Site& site, const wire::Position& position) {
    if (position.attempt != site.attempt || position.records <= site.held) return false;
    site.held = position.records;
    site.sent = std::max(site.sent, site.held);
    ForgetHeldRecord();
    return true;
  }

  // Who comes late is sent it from the store.
  void ForgetHeldRecord() {
    const bool held = std::all_of(sites.begin(), sites.end(), [&](const auto& one) {
      return !one.second.connected || one.second.held == records;
    });
    if (held) newest.reset();
  }

  Result<std::shared_ptr<const Bytes>> RecordAt(std::uint64_t index) {
    if (newest && index + 1 == records) return newest;
    auto read = store.ReadRecords(id, attempt, index, 1);
    CONSILIUM_TRY(read);
    if (read->empty()) {
      return ::consilium::Fail(ErrorCode::kDataLoss,
                               fmt::format("study {}: record {} of attempt {} is not in the store",
                                           study.name, index, attempt));
    }
    auto record = std::make_shared<const Bytes>(std::move(read->front()));
    if (index + 1 == records) newest = record;
    return record;
  }

  void Take(std::vector<Action> actions) {
    for (Action& action : actions) pending.push_back(std::move(action));
  }

  // Carries out what the round's machine asked for, in order. What the disk refuses stays in front
  // and is tried again at the next call.
  void Continue() {
    while (!HasEnded(status.state)) {
      if (run && !run->round) {
        if (run->run->done()) {
          if (const auto finished = Finish(); !finished) {
            trouble = finished.error().message;
            return;
          }
          continue;
        }
        OpenRound();
        continue;
      }
      if (pending.empty()) return;
      const Action action = pending.front();
      if (const auto carried = Carry(action); !carried) {
        if (trouble != carried.error().message) {
          trouble = carried.error().message;
          ++version;
        }
        return;
      }
      trouble.clear();
      if (!pending.empty()) pending.pop_front();
    }
  }

  Result<void> Carry(const Action& action) {
    if (const auto* remind = std::get_if<federation::Remind>(&action)) {
      Site& site = sites.at(remind->site);
      if (site.connected && IsAsked(remind->site) && site.held == records &&
          site.attempt == attempt)
        SendAsk(remind->site, site);
    } else if (const auto* missing = std::get_if<federation::ReportMissing>(&action)) {
      decision = fmt::format("missing at the deadline: {}", fmt::join(missing->sites, ", "));
    } else if (std::holds_alternative<federation::AppendTotal>(action)) {
      CONSILIUM_TRY(run->run->Commit(decision));
      decision.clear();
      ++records;
      newest = run->run->TakeRecord();
      run->bytes_up += run->run->last_entry().total.size();
      Take(run->round->On(federation::TotalLogged{}));
    } else if (std::holds_alternative<federation::Publish>(action)) {
      for (auto& [name, site] : sites) Feed(name, site);
      if (const auto advanced = run->run->Advance(); !advanced) {
        Fail(advanced.error().message);
        return {};
      }
      run->run->ForgetTotal();
      run->round.reset();
    } else if (const auto* end = std::get_if<federation::EndAttempt>(&action)) {
      // The survivors stand in the reason, so that a coordinator that is killed now knows them.
      const std::string why = end->survivors.empty() ? end->why
                                                     : fmt::format("{}; goes on with: {}", end->why,
                                                                   fmt::join(end->survivors, ", "));
      CONSILIUM_TRY(store.EndAttempt(id, attempt, why, unix_ms));
      Note("coordinator", "attempt.ended", why);
      Take(run->round->On(federation::AttemptEndLogged{}));
    } else if (const auto* restart = std::get_if<federation::Restart>(&action)) {
      const std::uint32_t number = restart->attempt;
      const std::set<std::string> roster = restart->roster;
      run.reset();
      CONSILIUM_TRY(Restart(number, roster));
    } else if (const auto* stop = std::get_if<federation::Stop>(&action)) {
      const std::string why = stop->why;
      Fail(why);
    }
    return {};
  }

  void At(std::int64_t now, std::int64_t unix_time) {
    now_ms = now;
    if (unix_time > 0) unix_ms = unix_time;
  }

  // A training center seals its share for every other site of the study, and nobody else any.
  [[nodiscard]] bool SealsAreWhole(const std::string& name, const Seals& seals) const {
    if (seals.size() != (study::Trains(study, name) ? sites.size() - 1 : 0)) return false;
    return std::all_of(seals.begin(), seals.end(), [&](const auto& one) {
      return one.first != name && sites.contains(one.first);
    });
  }

  void SetWord(const std::string& name, Site& site, SiteState word, std::string_view sentence,
               const std::optional<Bytes>& join) {
    if (site.word == word && site.sentence == sentence && !join) return;
    if (const auto set = store.SetSite(id, name, word, sentence, join, unix_ms); !set) {
      trouble = set.error().message;
      return;
    }
    site.word = word;
    site.sentence = sentence;
    ++version;
  }
};

StudyHost::StudyHost(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StudyHost::~StudyHost() = default;

Result<std::unique_ptr<StudyHost>> StudyHost::Open(const Digest& id, Store& store, Outbox& outbox,
                                                   const study::Engine& engine,
                                                   std::int64_t now_ms) {
  auto impl = std::make_unique<Impl>(id, store, outbox, engine);
  impl->now_ms = now_ms;
  CONSILIUM_TRY(impl->Load());
  auto host = std::unique_ptr<StudyHost>(new StudyHost(std::move(impl)));
  host->impl_->Continue();
  return host;
}

void StudyHost::Connected(const std::string& site, const std::optional<wire::Position>& position,
                          std::int64_t now_ms, std::int64_t unix_ms) {
  impl_->At(now_ms, unix_ms);
  const auto found = impl_->sites.find(site);
  if (found == impl_->sites.end()) return;
  Impl::Site& one = found->second;
  one.connected = true;
  one.attempt = position ? position->attempt : impl_->attempt;
  one.held = position ? position->records : 0;
  // A site that claims more than there is has another log; it is sent nothing and says so itself.
  one.sent = one.held;
  one.asked = 0;
  one.told_seals = false;
  // A site without the study has ended it, or never heard of it.
  one.told_ended = HasEnded(impl_->status.state) && !position;
  ++impl_->version;
  if (impl_->run && impl_->run->round)
    impl_->Take(impl_->run->round->On(federation::SiteSeen{site, one.doing, now_ms}));
  if (!position && !HasEnded(impl_->status.state))
    impl_->outbox.Send(site, wire::Offer{impl_->submission_bytes});
  if (position) impl_->Feed(site, one);
}

void StudyHost::Disconnected(const std::string& site, std::int64_t now_ms) {
  impl_->At(now_ms, 0);
  const auto found = impl_->sites.find(site);
  if (found == impl_->sites.end()) return;
  found->second.connected = false;
  found->second.doing.clear();
  ++impl_->version;
}

void StudyHost::Seen(const std::string& site, const std::string& doing, std::int64_t now_ms) {
  impl_->At(now_ms, 0);
  const auto found = impl_->sites.find(site);
  if (found == impl_->sites.end()) return;
  if (found->second.doing != doing) {
    found->second.doing = doing;
    ++impl_->version;
  }
  if (impl_->run && impl_->run->round)
    impl_->Take(impl_->run->round->On(federation::SiteSeen{site, doing, now_ms}));
}

void StudyHost::Heard(const std::string& site, const wire::StudyWord& word, std::int64_t now_ms,
                      std::int64_t unix_ms) {
  impl_->At(now_ms, unix_ms);
  const auto found = impl_->sites.find(site);
  if (found == impl_->sites.end() || HasEnded(impl_->status.state)) return;
  Impl::Site& one = found->second;
  switch (word.word) {
    case wire::Word::kWaiting:
      if (one.word == SiteState::kOffered)
        impl_->SetWord(site, one, SiteState::kWaiting, "waits for a person's approval", {});
      break;
    case wire::Word::kApproved:
      if (one.word == SiteState::kApproved || one.word == SiteState::kJoined) {
        if (word.seals != one.approved.seals) {
          impl_->Note(site, "approval.conflict",
                      "other shares of the sum key came than with its approval; the first count");
        }
        impl_->Feed(site, one);
        break;
      }
      if (!impl_->SealsAreWhole(site, word.seals)) {
        impl_->Fail(
            fmt::format("site {} approved with shares of the sum key for {} sites, not one "
                        "for each other site; install one version everywhere, then submit "
                        "the study again",
                        site, word.seals.size()));
        break;
      }
      one.approved = {word.columns, word.seals};
      impl_->SetWord(site, one, SiteState::kApproved, "approved", EncodeApproved(one.approved));
      impl_->Note(site, "study.approved", "approved");
      impl_->BeginIfApproved();
      impl_->Feed(site, one);
      break;
    case wire::Word::kRejected:
      impl_->SetWord(site, one, SiteState::kRejected,
                     word.outward.empty() ? "rejected" : "rejected: " + word.outward, {});
      impl_->Note(site, "study.rejected", word.outward);
      if (impl_->status.state == StudyState::kOffered)
        impl_->Fail(fmt::format("site {} rejected the study", site));
      break;
    case wire::Word::kJoined:
      impl_->SetWord(site, one, SiteState::kJoined, "joined", {});
      break;
    case wire::Word::kFailed:
      impl_->SetWord(site, one, one.word, "cannot join: " + word.outward, {});
      impl_->Note(site, "study.cannot_join", word.outward);
      if (Says(word.outward, kNeverJoins))
        impl_->Fail(fmt::format("site {} cannot join: {}", site, word.outward));
      break;
  }
}

void StudyHost::Refused(const std::string& site, const wire::Refused& refused, std::int64_t now_ms,
                        std::int64_t unix_ms) {
  impl_->At(now_ms, unix_ms);
  const auto found = impl_->sites.find(site);
  if (found == impl_->sites.end()) return;
  impl_->Note(site, "round.refused", fmt::format("round {}: {}", refused.round, refused.outward));
  const bool disbelieved =
      std::any_of(std::begin(kDisbelieves), std::end(kDisbelieves),
                  [&](std::string_view rule) { return Says(refused.outward, rule); });
  if (disbelieved && !HasEnded(impl_->status.state) && refused.attempt == impl_->attempt) {
    impl_->Fail(fmt::format("site {} refused the total of round {}: {}", site, refused.round,
                            refused.outward));
    return;
  }
  const bool open = impl_->run && impl_->run->round && refused.attempt == impl_->attempt &&
                    refused.round == impl_->run->run->binding().round;
  if (!open) return;
  found->second.sentence = "refused: " + refused.outward;
  ++impl_->version;
  impl_->Take(
      impl_->run->round->On(federation::SiteLeft{site, "refused: " + refused.outward, now_ms}));
}

void StudyHost::Held(const std::string& site, const wire::Position& position, std::int64_t now_ms) {
  impl_->At(now_ms, 0);
  const auto found = impl_->sites.find(site);
  if (found != impl_->sites.end() && impl_->Holds(found->second, position))
    impl_->Feed(site, found->second);
}

Result<bool> StudyHost::Answered(const std::string& site, const wire::AnswerHead& head,
                                 std::span<const std::uint8_t> words, const Digest& digest,
                                 std::int64_t now_ms, std::int64_t unix_ms) {
  impl_->At(now_ms, unix_ms);
  Impl& impl = *impl_;
  if (!impl.run || !impl.run->round) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("study {}: no round is open", impl.study.name));
  }
  Round& round = *impl.run->round;
  federation::AnswerArrived arrived;
  arrived.now_ms = now_ms;
  arrived.receipt = head.receipt;
  if (arrived.receipt.site != site) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("study {}: site {} sent an answer in the name of {}", impl.study.name,
                            site, arrived.receipt.site));
  }
  const bool held = round.receipts().contains(site);
  if (!held && round.phase() == Round::Phase::kGathering && impl.IsAsked(site) &&
      head.binding == impl.run->run->binding()) {
    CONSILIUM_TRY(impl.run->run->Add(site, head.receipt, words, digest, head.releases));
    // Whoever answers holds what the question follows from.
    (void)impl.Holds(impl.sites.at(site), {impl.id, impl.attempt, impl.records});
  }
  for (Action& action : round.On(arrived)) {
    if (const auto* reject = std::get_if<federation::Reject>(&action)) {
      impl.Note(site, "answer.rejected", reject->reason);
      return Fail(reject->code, reject->reason);
    }
    if (!std::holds_alternative<federation::Acknowledge>(action))
      impl.pending.push_back(std::move(action));
  }
  if (!held) ++impl.version;
  return held;
}

void StudyHost::Left(const std::string& site, std::string_view why, std::int64_t now_ms,
                     std::int64_t unix_ms) {
  impl_->At(now_ms, unix_ms);
  if (!impl_->sites.contains(site)) return;
  impl_->Note(site, "site.left", why);
  if (impl_->run && impl_->run->round)
    impl_->Take(impl_->run->round->On(federation::SiteLeft{site, std::string(why), now_ms}));
}

void StudyHost::Cancel(std::string_view why, std::int64_t unix_ms) {
  impl_->At(impl_->now_ms, unix_ms);
  if (HasEnded(impl_->status.state)) return;
  impl_->End(StudyState::kCancelled, why);
}

void StudyHost::Tick(std::int64_t now_ms, std::int64_t unix_ms) {
  impl_->At(now_ms, unix_ms);
  if (impl_->run && impl_->run->round && impl_->pending.empty())
    impl_->Take(impl_->run->round->On(federation::Tick{now_ms}));
  impl_->Continue();
}

bool StudyHost::ended() const { return HasEnded(impl_->status.state); }
const Study& StudyHost::study() const { return impl_->study; }
std::uint64_t StudyHost::sum_bytes() const {
  return impl_->run ? federation::ByteCount(impl_->run->run->replay().layout()) : 0;
}
std::uint64_t StudyHost::version() const { return impl_->version; }

HostStatus StudyHost::Status(std::int64_t now_ms) const {
  HostStatus status;
  status.study = impl_->status;
  status.attempt = impl_->attempt;
  if (!impl_->trouble.empty() && status.study.reason.empty()) status.study.reason = impl_->trouble;
  status.round = impl_->records > 0 ? impl_->records - 1 : 0;
  status.everybody_told =
      std::all_of(impl_->sites.begin(), impl_->sites.end(), [](const auto& one) {
        return !one.second.connected || one.second.told_ended;
      });
  std::set<std::string> answered;
  if (impl_->run) {
    const auto& queries = impl_->run->run->replay().queries();
    status.doing = study::WhatIsAsked(queries);
    status.queries = queries.size();
    std::set<std::string> fits;
    for (const auto& query : queries) fits.insert(query.scope.fit);
    status.fits = fits.size();
    status.bytes_up = impl_->run->bytes_up;
    if (impl_->run->round) {
      status.waits = impl_->run->round->Waits(now_ms);
      for (const auto& [site, receipt] : impl_->run->round->receipts()) answered.insert(site);
    }
  }
  for (const auto& [name, site] : impl_->sites) {
    HostStatus::Site one{name, std::string(Name(site.word)), site.sentence};
    if (!site.connected) {
      one.sentence = "not connected" + (one.sentence.empty() ? "" : "; " + one.sentence);
    } else if (answered.contains(name)) {
      one.sentence = "answered";
    } else if (!site.doing.empty()) {
      one.sentence = site.doing;
    }
    status.sites.push_back(std::move(one));
  }
  return status;
}

}  // namespace consilium::coordinator
