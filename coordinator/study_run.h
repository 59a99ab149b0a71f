// The coordinator half of a study between rounds: what to ask, and what to make of the answers.
//
// Pure: answers come in as values, records go out through a LogSink. The log is the only memory:
// Resume re-runs the computation against it and continues where it ends.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "federation/log.h"
#include "study/replay.h"
#include "study/study.h"

namespace consilium::coordinator {

// One site's part of a round, as it arrived.
struct ArrivedAnswer {
  Bytes words;
  federation::Receipt receipt;
  federation::Releases releases;
};

class StudyRun {
 public:
  // `study` (resolved), `engine` and `sink` are not owned. `members`: every site of the study
  // with its keys; those that train in `study` are the roster. Writes the log's header.
  // Errors: the sink's; kInvalidArgument (a training center without keys).
  // `attempt`: the one that the bindings name; a later one has its own log and a smaller roster, of
  // study::WithTrainingCenters.
  [[nodiscard]] static Result<std::unique_ptr<StudyRun>> Begin(
      const study::Study& study, std::string study_file, const study::Engine& engine,
      federation::Roster members, federation::LogSink& sink, std::uint32_t attempt = 0);
  // Continues from a log: every entry is checked as Replay does. `next` gives the whole records
  // that follow, as few at a time as it likes, valid until it is called again; nothing at the end
  // of the log. New records go to `sink`. Errors: those of `next`, kDataLoss, kFailedPrecondition
  // (the log is of another study, members, roster or engine, or masked otherwise).
  [[nodiscard]] static Result<std::unique_ptr<StudyRun>> Resume(
      const study::Study& study, const study::Engine& engine, federation::Roster members,
      const std::function<Result<std::span<const std::uint8_t>>()>& next, federation::LogSink& sink,
      std::uint32_t attempt = 0);

  [[nodiscard]] bool done() const { return replay_.done(); }
  [[nodiscard]] const study::StudyReplay& replay() const { return replay_; }
  // What binds this round's answers.
  [[nodiscard]] federation::Binding binding() const;
  [[nodiscard]] const federation::Roster& roster() const { return roster_; }
  // Who answers the round's question: the roster, and whom Releases are asked of.
  [[nodiscard]] bool IsAsked(const std::string& site) const;

  // Adds one site's answer of this round to the total: its receipt and words are checked first, and
  // the words are not kept. `digest`: SHA-256 of `words`. Errors: kPermissionDenied or kDataLoss (a
  // receipt, words or a Release that do not fit; names the site), kAlreadyExists (the site's answer
  // is in the total already); then the total is as it was.
  [[nodiscard]] Result<void> Add(const std::string& site, const federation::Receipt& receipt,
                                 std::span<const std::uint8_t> words, const Digest& digest,
                                 const federation::Releases& releases);
  // Appends the entry of what was added to the log; its total may be told from then on. The hash of
  // the record. `decision`: of the quorum contract, in words. Errors: kFailedPrecondition (a
  // training center's answer is missing: a total is made of the whole roster or not at all), the
  // sink's (nothing is lost: it may be tried again).
  [[nodiscard]] Result<Digest> Commit(std::string decision = {});
  // Forgets what was added, adds every answer, and commits.
  [[nodiscard]] Result<Digest> Prepare(const std::map<std::string, ArrivedAnswer>& answers);
  // Prepare, then Advance.
  [[nodiscard]] Result<Digest> Close(const std::map<std::string, ArrivedAnswer>& answers);
  // Moves on to the next round with the entry that Commit appended.
  [[nodiscard]] Result<void> Advance();
  // The last entry of the log, for whoever replays beside us; its total until the next answer is
  // added, or ForgetTotal.
  [[nodiscard]] const federation::LogEntry& last_entry() const { return last_; }
  // Gives back the memory of the last total, once Advance is done.
  void ForgetTotal() { last_.total = {}; }
  // Hands over the record of the last Commit of this object, as it stands in the log; null before
  // one.
  [[nodiscard]] std::shared_ptr<const Bytes> TakeRecord() { return std::move(last_record_); }

  // When done(): the results; rounds and what left each site are counted from the log.
  [[nodiscard]] Result<study::Results> Take();

 private:
  StudyRun(const study::Study& study, const study::Engine& engine, federation::Roster members,
           federation::LogSink& sink, std::uint32_t attempt);
  void Open();
  const study::Study& study_;
  std::uint32_t attempt_;
  federation::Roster members_;
  federation::Roster roster_;
  Digest roster_digest_;
  federation::LogSink& sink_;
  study::StudyReplay replay_;
  federation::LogEntry open_;  // of the round that is open: what was added so far
  federation::LogEntry last_;
  std::shared_ptr<const Bytes> last_record_;
  Digest head_;
};

struct ReplayFigures {
  std::uint64_t rounds = 0;
  std::uint64_t receipts = 0;
  std::uint64_t bytes = 0;
  Digest head;  // hash of the last record; through the chain, of all of them
};

// What an auditor checks without recomputing: chain, hashes, the header against its own study file
// (study::StudyOfHeader), receipts against the sites' keys, each Release against its site's
// receipt, and that every entry binds the study and the roster of the header. The hashes have no
// key: who rewrites a total, a decision or the engine's version, and every hash behind it, passes;
// compare `head` with what the sites' ledgers say they were told. The tags in the receipts are for
// the sites: an auditor has no sum key. Errors: kDataLoss, kPermissionDenied; names the entry;
// StudyOfHeader's.
[[nodiscard]] Result<ReplayFigures> VerifyLog(std::span<const std::uint8_t> log);

// The masked words that `site` sent in `round`, as somebody kept them.
using KeptAnswers = std::function<Result<Bytes>(std::uint64_t round, const std::string& site)>;

struct Replayed {
  study::Results results;
  Digest head;  // of the log: ReplayFigures
};

// What an auditor recomputes: from the header's study and the totals, every question and every
// figure. With `answers`, also every total: the masked answers, checked against the sites' signed
// receipts, must add up to it; without them a coordinator's word is taken that they do.
// Errors: those of VerifyLog; kFailedPrecondition (the log is of another study, made by another
// engine or masked otherwise; it ends before the study does); kDataLoss (an entry answers another
// question than the one that follows, or its total is not the sum of the answers); those of
// `answers`.
[[nodiscard]] Result<Replayed> ReplayLog(const study::Study& study, const study::Engine& engine,
                                         std::span<const std::uint8_t> log,
                                         const KeptAnswers& answers = nullptr);

}  // namespace consilium::coordinator
