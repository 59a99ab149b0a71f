// One approved study at one site, between messages: records of the log come in, answers go out.
//
// It joins the pure parts (what the lead signed, the rounds' rules, verification by replay, the
// gate) in the one order in which nothing can leak and nothing is lost: a record is checked (a
// total by the sites' tags too, federation/sum_tag.h), kept on the disk, and only then believed; an
// answer is admitted, written to the ledger, and only then handed out. After a crash Load gives the
// same state from the log that was kept. No socket, no thread, no clock. Protocol:
// docs/protocol.md, "A site's half".
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "federation/site_rounds.h"
#include "federation/sum_shares.h"
#include "federation/wire/wire.h"
#include "site_agent/site.h"
#include "study/engine.h"
#include "study/submission.h"

namespace consilium::site_agent {

// What a study needs of the hospital. All of it is called on the agent's thread.
struct StudyPlace {
  const SiteIdentity* identity = nullptr;  // not owned, nor are the engine and the gate
  const study::Engine* engine = nullptr;
  Gate* gate = nullptr;
  Approval approval;
  // The cohort of the resolved study. Errors: everything that is wrong with it.
  std::function<Result<federation::Cohort>(const study::Study& resolved)> build_cohort;
  // Durable before it returns.
  std::function<Result<void>(std::uint32_t attempt, std::span<const std::uint8_t> record)>
      append_record;
  std::function<Result<void>()> sync_ledger;
};

struct StudyAnswer {
  wire::AnswerHead head;
  std::shared_ptr<const Bytes> words;
};

class StudyAgent {
 public:
  // Errors: those of study::StudyOf.
  [[nodiscard]] static Result<std::unique_ptr<StudyAgent>> Open(study::Submission submission,
                                                                StudyPlace place);
  ~StudyAgent();
  StudyAgent(const StudyAgent&) = delete;
  StudyAgent& operator=(const StudyAgent&) = delete;

  // This site's share of the sum key for each other site, to be sent with its approval; the same
  // bytes every time. Nothing of a site that does not train. Errors: a key that cannot be used.
  [[nodiscard]] Result<std::map<std::string, federation::SumSeal>> Seals() const;
  // The shares that the training sites sealed for this one, as the coordinator passed them on.
  // Before them nothing new is taken and nothing is answered; they are not kept, and come once a
  // connection. Errors: GATE_SUM_SHARE (one does not open, or is of no training site: names it).
  [[nodiscard]] Result<void> TakeSeals(const std::map<std::string, federation::SumSeal>& seals);

  // Takes up the attempt whose log was kept; `kept` hands its records over one by one, so that no
  // more than one of them need be in memory. Errors: those of Take; kept's.
  using TakeRecord = std::function<Result<void>(std::span<const std::uint8_t> record)>;
  [[nodiscard]] Result<void> Load(std::uint32_t attempt,
                                  const std::function<Result<void>(const TakeRecord& take)>& kept);

  // The next record of the attempt: number 0 is the header, whose study the site joins; number r+1
  // is round r. True: it is new, checked and on the disk: say so (position), then call Advance.
  // False: it was held. Errors: kPermissionDenied, kDataLoss, kFailedPrecondition (what is wrong
  // with it: docs/protocol.md), those of the cohort, the gate and the disk. Then nothing is kept.
  // GATE_TOTAL_NOT_THE_SUM, GATE_RELEASE_NOT_SIGNED: for good; the ledger has it, and this site
  // takes and answers nothing more of the study. GATE_SUM_SHARE: a share is missing.
  [[nodiscard]] Result<bool> Take(std::uint32_t attempt, std::uint64_t index,
                                  std::span<const std::uint8_t> record);
  // Believes what Take kept: derives the next question. Errors: the gate's (its ledger).
  [[nodiscard]] Result<void> Advance();

  // The answer to a question, or the one that was given before: the same bytes.
  // Errors: refusals by name; then nothing left the site. kFailedPrecondition: records are missing.
  [[nodiscard]] Result<StudyAnswer> Answer(const wire::Ask& ask);

  // The coordinator says that the study is over (`how`: "finished"): the gate answers nothing more
  // of it. Errors: the ledger's.
  [[nodiscard]] Result<void> End(std::string_view how, std::int64_t unix_ms);
  // The coordinator says that the attempt is over. The next header begins the new one, if the
  // contract and the approval allow it.
  [[nodiscard]] Result<void> Restart(std::uint32_t attempt, std::string_view why);

  [[nodiscard]] wire::Position position() const;
  // No record that can follow now is larger: a header, or the total that the question asks for.
  [[nodiscard]] std::uint64_t RecordBytesMax() const;
  // What is done now, in the words that may go out: "computing round 17".
  [[nodiscard]] std::string Doing() const;
  // The last total was taken: nothing more will be asked.
  [[nodiscard]] bool done() const;
  [[nodiscard]] const study::Study& study() const;

 private:
  struct Impl;
  explicit StudyAgent(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What may be said outside about an error: its code, and the gate's rule if one refused.
// "PERMISSION_DENIED GATE_NOT_DERIVED". Never the message (rule 7 of the disclosure rules).
[[nodiscard]] std::string OutwardText(const Error& error);

}  // namespace consilium::site_agent
