#include "coordinator/study_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "federation/fixed_point.h"
#include "study/program.h"

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
  const bool sums = SumBytes(replay) > 0;
  if (sums && entry.receipts.size() != roster.size()) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("{}: {} receipts for a roster of {} training centers", where,
                            entry.receipts.size(), roster.size()));
  }
  return {};
}

Result<void> CheckReceipts(const LogEntry& entry, const federation::Roster& roster) {
  std::string last;
  for (const Receipt& receipt : entry.receipts) {
    if (receipt.binding != entry.binding) {
      return Fail(ErrorCode::kPermissionDenied,
                  fmt::format("log entry {}: the receipt of {} is for another question",
                              entry.binding.round, receipt.site));
    }
    if (!last.empty() && receipt.site <= last) {
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("log entry {}: the receipts are not in order of the sites' names",
                              entry.binding.round));
    }
    last = receipt.site;
    if (const auto verified = federation::Verify(receipt, roster); !verified) {
      return tl::unexpected<Error>(
          Within(fmt::format("log entry {}", entry.binding.round), verified.error()));
    }
  }
  return {};
}

// The total of an entry from the answers that were kept.
Result<void> AddAgain(const LogEntry& entry, const StudyReplay& replay,
                      const KeptAnswers& answers) {
  Bytes total(entry.total.size(), 0);
  for (const Receipt& receipt : entry.receipts) {
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

StudyRun::StudyRun(const study::Study& study, const federation::StepRegistry& registry,
                   federation::Roster roster, federation::LogSink& sink)
    : study_(study),
      roster_(std::move(roster)),
      roster_digest_(federation::DigestOf(roster_)),
      sink_(sink),
      replay_(study, registry) {}

Result<std::unique_ptr<StudyRun>> StudyRun::Begin(const study::Study& study, std::string study_file,
                                                  const federation::StepRegistry& registry,
                                                  federation::Roster roster,
                                                  federation::LogSink& sink) {
  auto run = std::unique_ptr<StudyRun>(new StudyRun(study, registry, std::move(roster), sink));
  federation::LogHeader header;
  header.engine_version = study::kEngineVersion;
  header.study_file = std::move(study_file);
  header.feature_columns = study.feature_columns;
  header.study = study.digest;
  header.masked = study.privacy.masks;
  header.roster = run->roster_;
  const Bytes record = federation::EncodeRecord(header);
  CONSILIUM_TRY(sink.Append(record));
  const auto parsed = federation::NextRecord(record);
  CONSILIUM_CHECK(parsed.has_value(), "a record just written can be read");
  run->head_ = parsed->hash;
  return run;
}

Result<std::unique_ptr<StudyRun>> StudyRun::Resume(const study::Study& study,
                                                   const federation::StepRegistry& registry,
                                                   federation::Roster roster,
                                                   std::span<const std::uint8_t> log,
                                                   federation::LogSink& sink) {
  auto run = std::unique_ptr<StudyRun>(new StudyRun(study, registry, std::move(roster), sink));
  federation::LogReader reader(log);
  const auto header = reader.Header();
  CONSILIUM_TRY(header);
  if (header->study != study.digest || header->roster != run->roster_ ||
      header->engine_version != study::kEngineVersion) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the log is of study {} by {}; expected study {} by {} with the same "
                            "roster; resume with the files that began it",
                            Hex(header->study).substr(0, 16), header->engine_version,
                            Hex(study.digest).substr(0, 16), study::kEngineVersion));
  }
  if (header->masked != study.privacy.masks) {
    const auto word = [](bool masks) { return masks ? "with masks" : "without masks"; };
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the log was begun {}, this run is {}; resume as it was begun",
                            word(header->masked), word(study.privacy.masks)));
  }
  while (!reader.AtEnd()) {
    auto entry = reader.Next();
    CONSILIUM_TRY(entry);
    CONSILIUM_TRY(CheckEntry(*entry, run->replay_, run->roster_));
    CONSILIUM_TRY(CheckReceipts(*entry, run->roster_));
    CONSILIUM_TRY(run->replay_.Deliver(entry->total, entry->releases));
    run->last_ = std::move(*entry);
  }
  run->head_ = reader.head();
  return run;
}

Binding StudyRun::binding() const {
  return {study_.digest, replay_.round(), 0, replay_.digest(), roster_digest_};
}

Result<Digest> StudyRun::Prepare(const std::map<std::string, ArrivedAnswer>& answers) {
  LogEntry entry;
  entry.binding = binding();
  const std::size_t sum_bytes = SumBytes(replay_);
  if (sum_bytes > 0) {
    entry.total.assign(sum_bytes, 0);
    for (const auto& [site, keys] : roster_) {
      const auto found = answers.find(site);
      if (found == answers.end() || !found->second.receipt) {
        return Fail(ErrorCode::kFailedPrecondition,
                    fmt::format("round {}: training center {} has not answered; a total is made of "
                                "the whole roster or not at all",
                                entry.binding.round, site));
      }
      const Receipt& receipt = *found->second.receipt;
      if (receipt.site != site || receipt.binding != entry.binding) {
        return Fail(ErrorCode::kPermissionDenied,
                    fmt::format("round {}: the receipt of {} is for another site or question",
                                entry.binding.round, site));
      }
      CONSILIUM_TRY(federation::Verify(receipt, roster_));
      CONSILIUM_TRY(federation::CheckWords(receipt, found->second.words));
      if (found->second.words.size() != sum_bytes) {
        return Fail(ErrorCode::kDataLoss,
                    fmt::format("round {}: {} sent {} bytes; expected {}", entry.binding.round,
                                site, found->second.words.size(), sum_bytes));
      }
      federation::AddWords(replay_.layout(), found->second.words, entry.total);
      entry.receipts.push_back(receipt);
    }
  }
  for (const auto& [site, answer] : answers) {
    for (const auto& [query, release] : answer.releases) {
      const auto& queries = replay_.queries();
      const bool asked =
          query < queries.size() && replay_.layouts()[query].empty() &&
          std::find(queries[query].scope.members.begin(), queries[query].scope.members.end(),
                    site) != queries[query].scope.members.end();
      if (!asked)
        return Fail(ErrorCode::kPermissionDenied,
                    fmt::format("round {}: {} released what it was not asked for",
                                entry.binding.round, site));
      entry.releases[query][site] = release;
    }
  }
  entry.previous = head_;
  const Bytes record = federation::EncodeRecord(entry);
  CONSILIUM_TRY(sink_.Append(record));
  Digest hash;
  std::copy(record.end() - static_cast<std::ptrdiff_t>(hash.bytes.size()), record.end(),
            hash.bytes.begin());
  head_ = hash;
  last_ = std::move(entry);
  return hash;
}

Result<void> StudyRun::Advance() { return replay_.Deliver(last_.total, last_.releases); }

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
    CONSILIUM_TRY(CheckReceipts(*entry, header->roster));
    ++figures.rounds;
    figures.receipts += entry->receipts.size();
    figures.bytes += entry->total.size();
  }
  return figures;
}

Result<study::Results> ReplayLog(const study::Study& study,
                                 const federation::StepRegistry& registry,
                                 std::span<const std::uint8_t> log, const KeptAnswers& answers) {
  CONSILIUM_TRY(VerifyLog(log));
  federation::LogReader reader(log);
  const auto header = reader.Header();
  CONSILIUM_TRY(header);
  if (header->study != study.digest) {
    return Fail(ErrorCode::kFailedPrecondition,
                "the log's header names another study than the one given");
  }
  StudyReplay replay(study, registry);
  while (!reader.AtEnd()) {
    const auto entry = reader.Next();
    CONSILIUM_TRY(entry);
    CONSILIUM_TRY(CheckEntry(*entry, replay, header->roster));
    if (answers) CONSILIUM_TRY(AddAgain(*entry, replay, answers));
    CONSILIUM_TRY(replay.Deliver(entry->total, entry->releases));
  }
  if (!replay.done()) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the log ends after round {}, before the study does; resume the study, "
                            "then audit it again",
                            replay.round()));
  }
  return replay.Take();
}

}  // namespace consilium::coordinator
