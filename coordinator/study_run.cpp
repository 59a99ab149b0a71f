#include "coordinator/study_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "federation/fixed_point.h"
#include "study/program.h"
#include "study/study_file.h"
#include "study/submission.h"

namespace consilium::coordinator {

using federation::Binding;
using federation::LogEntry;
using federation::Receipt;
using study::StudyReplay;

namespace {

std::size_t SumBytes(const StudyReplay& replay) { return federation::ByteCount(replay.layout()); }

// One entry against the computation: does it answer the question that follows, and do its parts
// hold?
Result<void> CheckEntry(const LogEntry& entry, const StudyReplay& replay,
                        const federation::Roster& roster) {
  const std::string where = fmt::format("log entry {}", entry.binding.round);
  if (replay.done()) return Fail(ErrorCode::kDataLoss, where + ": the study had ended before it");
  if (entry.binding.query != replay.digest()) {
    return Fail(ErrorCode::kDataLoss, where +
                                          ": it answers another question than the one that follows "
                                          "from the study and the totals before it");
  }
  for (const Receipt& receipt : entry.receipts) {
    if (roster.contains(receipt.site) || replay.releasing().contains(receipt.site)) continue;
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("{}: a receipt of {}, which was not asked", where, receipt.site));
  }
  return {};
}

federation::Roster TrainingMembers(const study::Study& study, const federation::Roster& members) {
  federation::Roster roster;
  for (const std::string& center : study::TrainingCenters(study)) {
    if (const auto found = members.find(center); found != members.end()) roster.insert(*found);
  }
  return roster;
}

Result<void> CheckMembers(const study::Study& study, const federation::Roster& members) {
  for (const std::string& center : study::TrainingCenters(study)) {
    if (members.contains(center)) continue;
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("study {}: training center {} has no keys", study.name, center));
  }
  return {};
}

// Resuming and replaying compute on with the log's totals: whoever made it must have computed as we
// do. `again`: what to do instead.
Result<void> CheckMadeAlike(const federation::LogHeader& header, const study::Study& study,
                            std::string_view again) {
  if (header.engine_version != study::kEngineVersion) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the log was made by {}, this is {}, which may give other digits; {} "
                            "with the version that made it",
                            header.engine_version, study::kEngineVersion, again));
  }
  if (header.masked != study.privacy.masks) {
    const auto word = [](bool masks) { return masks ? "with masks" : "without masks"; };
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the log was begun {}, the study is run {}; {} as it was begun",
                            word(header.masked), word(study.privacy.masks), again));
  }
  return {};
}

// The total of an entry from the answers that were kept.
Result<void> AddAgain(const LogEntry& entry, const StudyReplay& replay,
                      const federation::Roster& roster, const KeptAnswers& answers) {
  Bytes total(entry.total.size(), 0);
  if (total.empty()) return {};
  for (const Receipt& receipt : entry.receipts) {
    if (!roster.contains(receipt.site)) continue;
    const auto words = answers(entry.binding.round, receipt.site);
    CONSILIUM_TRY(words);
    CONSILIUM_TRY(federation::CheckWords(receipt, *words));
    if (words->size() != total.size()) {
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("log entry {}: the answer of {} has {} bytes, the total {}",
                              entry.binding.round, receipt.site, words->size(), total.size()));
    }
    federation::AddWords(replay.layout(), *words, total);
  }
  if (total != entry.total) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("log entry {}: the signed answers do not add up to its total: the "
                            "coordinator's log was changed, or it told another total",
                            entry.binding.round));
  }
  return {};
}

}  // namespace

StudyRun::StudyRun(const study::Study& study, const study::Engine& engine,
                   federation::Roster members, federation::LogSink& sink, std::uint32_t attempt)
    : study_(study),
      attempt_(attempt),
      members_(std::move(members)),
      roster_(TrainingMembers(study, members_)),
      roster_digest_(federation::DigestOf(roster_)),
      sink_(sink),
      replay_(study, engine) {
  Open();
}

void StudyRun::Open() {
  open_ = {};
  open_.binding = binding();
}

Result<std::unique_ptr<StudyRun>> StudyRun::Begin(const study::Study& study, std::string study_file,
                                                  const study::Engine& engine,
                                                  federation::Roster members,
                                                  federation::LogSink& sink,
                                                  std::uint32_t attempt) {
  CONSILIUM_TRY(CheckMembers(study, members));
  auto run =
      std::unique_ptr<StudyRun>(new StudyRun(study, engine, std::move(members), sink, attempt));
  federation::LogHeader header;
  header.engine_version = study::kEngineVersion;
  header.study_file = std::move(study_file);
  header.feature_columns = study.feature_columns;
  header.study = study.digest;
  header.masked = study.privacy.masks;
  header.members = run->members_;
  header.roster = run->roster_;
  const Bytes record = federation::EncodeRecord(header);
  CONSILIUM_TRY(sink.Append(record));
  const auto parsed = federation::NextRecord(record);
  CONSILIUM_CHECK(parsed.has_value(), "a record just written can be read");
  run->head_ = parsed->hash;
  return run;
}

Result<std::unique_ptr<StudyRun>> StudyRun::Resume(
    const study::Study& study, const study::Engine& engine, federation::Roster members,
    const std::function<Result<std::span<const std::uint8_t>>()>& next, federation::LogSink& sink,
    std::uint32_t attempt) {
  CONSILIUM_TRY(CheckMembers(study, members));
  auto run =
      std::unique_ptr<StudyRun>(new StudyRun(study, engine, std::move(members), sink, attempt));
  const auto first = next();
  CONSILIUM_TRY(first);
  federation::LogReader reader(*first);
  const auto header = reader.Header();
  CONSILIUM_TRY(header);
  if (header->study != study.digest || header->members != run->members_ ||
      header->roster != run->roster_) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the log is of study {}; expected study {} with the same sites and "
                            "keys; resume with the files that began it",
                            Hex(header->study).substr(0, 16), Hex(study.digest).substr(0, 16)));
  }
  CONSILIUM_TRY(CheckMadeAlike(*header, study, "resume"));
  for (;;) {
    if (reader.AtEnd()) {
      const auto more = next();
      CONSILIUM_TRY(more);
      reader.Feed(*more);
    }
    if (reader.AtEnd()) break;
    auto entry = reader.Next();
    CONSILIUM_TRY(entry);
    if (entry->binding.attempt != attempt) {
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("log entry {}: it is of attempt {}, expected {}",
                              entry->binding.round, entry->binding.attempt, attempt));
    }
    CONSILIUM_TRY(CheckEntry(*entry, run->replay_, run->roster_));
    CONSILIUM_TRY(federation::CheckReceipts(*entry, run->members_, run->roster_));
    CONSILIUM_TRY(federation::CheckReleases(*entry));
    run->last_ = {};  // two totals at a time are one too many
    CONSILIUM_TRY(run->replay_.Deliver(entry->total, entry->releases));
    run->last_ = std::move(*entry);
  }
  run->head_ = reader.head();
  run->Open();
  return run;
}

Binding StudyRun::binding() const {
  return {study_.digest, replay_.round(), attempt_, replay_.digest(), roster_digest_};
}

bool StudyRun::IsAsked(const std::string& site) const {
  return roster_.contains(site) || replay_.releasing().contains(site);
}

Result<void> StudyRun::Add(const std::string& site, const Receipt& receipt,
                           std::span<const std::uint8_t> words, const Digest& digest,
                           const federation::Releases& releases) {
  const std::uint64_t round = open_.binding.round;
  const auto denied = [&](std::string_view what) {
    return Fail(ErrorCode::kPermissionDenied, fmt::format("round {}: {} {}", round, site, what));
  };
  if (!IsAsked(site)) return denied("is not asked in this round");
  if (receipt.site != site || receipt.binding != open_.binding)
    return denied("sent a receipt for another site or question");
  for (const auto& [query, release] : releases) {
    const auto& queries = replay_.queries();
    const bool asked =
        query < queries.size() && replay_.layouts()[query].empty() &&
        std::find(queries[query].scope.members.begin(), queries[query].scope.members.end(), site) !=
            queries[query].scope.members.end();
    if (!asked) return denied("released what it was not asked for");
  }
  const auto place = std::lower_bound(
      open_.receipts.begin(), open_.receipts.end(), site,
      [](const Receipt& held, const std::string& name) { return held.site < name; });
  if (place != open_.receipts.end() && place->site == site) {
    return Fail(ErrorCode::kAlreadyExists,
                fmt::format("round {}: the answer of {} is held already", round, site));
  }
  CONSILIUM_TRY(federation::Verify(receipt, members_, roster_digest_));
  CONSILIUM_TRY(federation::CheckWords(receipt, words.size(), digest));
  CONSILIUM_TRY(federation::CheckReleases(receipt, releases));
  const std::size_t expected = roster_.contains(site) ? SumBytes(replay_) : 0;
  if (words.size() != expected) {
    return Fail(ErrorCode::kDataLoss, fmt::format("round {}: {} sent {} bytes; expected {}", round,
                                                  site, words.size(), expected));
  }
  if (!words.empty()) {
    last_.total = {};
    open_.total.resize(words.size());  // zeros, before the first
    federation::AddWords(replay_.layout(), words, open_.total);
  }
  open_.receipts.insert(place, receipt);
  for (const auto& [query, release] : releases) open_.releases[query][site] = release;
  return {};
}

Result<Digest> StudyRun::Commit(std::string decision) {
  for (const auto& [site, keys] : roster_) {
    const bool held =
        std::any_of(open_.receipts.begin(), open_.receipts.end(),
                    [&name = site](const Receipt& receipt) { return receipt.site == name; });
    if (held) continue;
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("round {}: training center {} has not answered; a total is made of "
                            "the whole roster or not at all",
                            open_.binding.round, site));
  }
  open_.decision = std::move(decision);
  open_.previous = head_;
  auto record = std::make_shared<const Bytes>(federation::EncodeRecord(open_));
  CONSILIUM_TRY(sink_.Append(*record));
  std::copy(record->end() - static_cast<std::ptrdiff_t>(head_.bytes.size()), record->end(),
            head_.bytes.begin());
  last_record_ = std::move(record);
  last_ = std::move(open_);
  return head_;
}

Result<Digest> StudyRun::Prepare(const std::map<std::string, ArrivedAnswer>& answers) {
  Open();  // a round that was refused before begins anew
  for (const auto& [site, answer] : answers)
    CONSILIUM_TRY(Add(site, answer.receipt, answer.words, Sha256(answer.words), answer.releases));
  return Commit();
}

Result<void> StudyRun::Advance() {
  CONSILIUM_TRY(replay_.Deliver(last_.total, last_.releases));
  Open();
  return {};
}

Result<Digest> StudyRun::Close(const std::map<std::string, ArrivedAnswer>& answers) {
  auto hash = Prepare(answers);
  CONSILIUM_TRY(hash);
  CONSILIUM_TRY(Advance());
  return hash;
}

Result<study::Results> StudyRun::Take() { return replay_.Take(); }

Result<ReplayFigures> VerifyLog(std::span<const std::uint8_t> log) {
  federation::LogReader reader(log);
  const auto header = reader.Header();
  CONSILIUM_TRY(header);
  CONSILIUM_TRY(study::StudyOfHeader(*header));
  const Digest roster = federation::DigestOf(header->roster);
  ReplayFigures figures;
  while (!reader.AtEnd()) {
    const auto entry = reader.Next();
    CONSILIUM_TRY(entry);
    if (entry->binding.study != header->study || entry->binding.roster != roster) {
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("log entry {}: it is of another study or roster than the header",
                              entry->binding.round));
    }
    CONSILIUM_TRY(federation::CheckReceipts(*entry, header->members, header->roster));
    CONSILIUM_TRY(federation::CheckReleases(*entry));
    ++figures.rounds;
    figures.receipts += entry->receipts.size();
    figures.bytes += entry->total.size();
  }
  figures.head = reader.head();
  return figures;
}

Result<Replayed> ReplayLog(const study::Study& study, const study::Engine& engine,
                           std::span<const std::uint8_t> log, const KeptAnswers& answers) {
  CONSILIUM_TRY(VerifyLog(log));
  federation::LogReader reader(log);
  const auto header = reader.Header();
  CONSILIUM_TRY(header);
  if (header->study != study.digest) {
    return Fail(ErrorCode::kFailedPrecondition,
                "the log's header names another study than the one given");
  }
  CONSILIUM_TRY(CheckMadeAlike(*header, study, "audit it"));
  StudyReplay replay(study, engine);
  while (!reader.AtEnd()) {
    const auto entry = reader.Next();
    CONSILIUM_TRY(entry);
    CONSILIUM_TRY(CheckEntry(*entry, replay, header->roster));
    if (answers) CONSILIUM_TRY(AddAgain(*entry, replay, header->roster, answers));
    CONSILIUM_TRY(replay.Deliver(entry->total, entry->releases));
  }
  if (!replay.done()) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the log ends after round {}, before the study does; resume the study, "
                            "then audit it again",
                            replay.round()));
  }
  auto results = replay.Take();
  CONSILIUM_TRY(results);
  return Replayed{std::move(*results), reader.head()};
}

}  // namespace consilium::coordinator
