// A hospital in a study: verifies what it is asked, lets the gate decide, computes, masks, signs.
//
// Pure: no socket, no clock, no disk. The edge (a network agent, or the simulation) hands in rounds
// and sends out what comes back; what is not written to the ledger does not leave. Verification is
// a StudyReplay that has seen the same totals: only the query that follows is answered. In one
// process one replay may serve all sites, since it computes the same thing for each.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "federation/cohort.h"
#include "federation/keys.h"
#include "federation/masks.h"
#include "federation/receipt.h"
#include "federation/step.h"
#include "federation/sum_tag.h"
#include "site_agent/gate.h"
#include "study/replay.h"
#include "study/study.h"

namespace consilium::site_agent {

struct SiteIdentity {
  std::string name;
  federation::SigningKey signing;
  federation::AgreementKey agreement;
  Bytes secret;  // at least 16 bytes: keys of folds and row names derive from it

  [[nodiscard]] federation::SiteKeys public_keys() const {
    return {signing.verifying_key(), agreement.public_key()};
  }
};

// The same keys once more: keys are not copied by accident.
[[nodiscard]] SiteIdentity CopyOf(const SiteIdentity& identity);

// Everything derived from 32 bytes of seed: tests and simulations, where keys must repeat.
[[nodiscard]] SiteIdentity IdentityFromSeed(std::string name, std::uint64_t seed);

// One round as the coordinator asks it.
struct RoundQuestion {
  federation::Binding binding;
  std::vector<federation::Query> queries;
  federation::Roster roster;  // whose masked answers make the total
};

struct RoundAnswer {
  Bytes words;                    // empty when the site is not in the roster or nothing is summed
  federation::Receipt receipt;    // of the words and the Releases
  federation::Releases releases;  // by place of the query
};

class Site {
 public:
  // `study`, `registry` and `gate` are not owned; the gate is the hospital's one. `cohort` is as
  // BuildCohort made it: the variables' columns are appended to the features here, as the steps
  // count them (study::StepColumns). `roster`: the training centers with their keys, from the
  // signed study. `whole`: the study as it was approved, if `study` is an attempt with fewer
  // training centers. Approves the study at the gate and checks every planned row set before the
  // first round. Errors: the gate's refusals as errors, kInvalidArgument (the roster has no such
  // site or other keys).
  [[nodiscard]] static Result<std::unique_ptr<Site>> Join(
      const study::Study& study, const federation::StepRegistry& registry, SiteIdentity identity,
      federation::Cohort cohort, const federation::Roster& roster, const Approval& approval,
      Gate& gate, const study::Study* whole = nullptr);

  // The key of this attempt's sum tags, from the shares of its training sites. Until then a
  // training site answers nothing.
  void SetSumKey(const federation::SumKey& key) { sum_key_ = key; }

  // Answers the round, or refuses: then nothing leaves. `replay` has been given all earlier totals.
  // Errors: refusals by name ("GATE_NOT_DERIVED: ..."; GATE_SUM_SHARE without a sum key; the
  // refusal of RefuseTotal), those of the steps (with the site in front).
  [[nodiscard]] Result<RoundAnswer> Answer(const RoundQuestion& question,
                                           const study::StudyReplay& replay);
  // The total of the round is known; it goes to the ledger. Errors: the gate's.
  [[nodiscard]] Result<void> TotalReceived(const RoundQuestion& question, const Digest& total);
  // The total that came is not believed: to the ledger, and nothing more is answered. `rule`: of
  // totals (gate.h). The refusal as an error.
  [[nodiscard]] Error RefuseTotal(const RoundQuestion& question, const Digest& total, GateRule rule,
                                  std::string_view why);
  // Was a total of this study refused here, also before a restart? The refusal as an error.
  [[nodiscard]] std::optional<Error> Distrust() const;
  // The attempt is over for this site; a later one may begin if restarting was approved.
  // Errors: the gate's.
  [[nodiscard]] Result<void> EndAttempt(std::uint32_t attempt, std::string_view why);
  // What the site would derive again after a restart: computes the round's derived values, sends
  // nothing.
  [[nodiscard]] Result<void> Rederive(const std::vector<federation::Query>& queries);

  [[nodiscard]] const std::string& name() const { return identity_.name; }
  [[nodiscard]] const federation::Cohort& cohort() const { return cohort_; }
  [[nodiscard]] const Ledger& ledger() const { return gate_.ledger(); }
  [[nodiscard]] std::uint64_t bytes_up() const { return bytes_up_; }
  [[nodiscard]] std::uint64_t answers() const { return answers_; }
  [[nodiscard]] std::uint64_t equations() const { return equations_; }

 private:
  Site(const study::Study& study, const federation::StepRegistry& registry, SiteIdentity identity,
       federation::Cohort cohort, Gate& gate);
  [[nodiscard]] MyRows RowsOf(const federation::Scope& scope) const;
  [[nodiscard]] Result<Bytes> SumWords(const federation::Query& query, const federation::Step& step,
                                       int site_count);
  [[nodiscard]] Result<void> Derive(const federation::Query& query, const federation::Step& step);

  const study::Study& study_;
  const federation::StepRegistry& registry_;
  SiteIdentity identity_;
  federation::Cohort cohort_;
  Gate& gate_;
  federation::Derived derived_;
  std::optional<federation::Masker> masker_;  // of a training site: of its words and of its tag
  std::optional<federation::SumKey> sum_key_;
  std::vector<std::uint32_t> row_numbers_;
  Digest cohort_digest_;
  Digest roster_digest_;  // of the training centers, as Join was told
  std::uint64_t bytes_up_ = 0, answers_ = 0, equations_ = 0;
};

// The approval that accepts exactly what the study says, for simulations and tests: a person at a
// real hospital is asked line by line.
[[nodiscard]] Approval AcceptAll(const study::Study& study,
                                 const std::map<std::string, federation::SiteKeys>& keys);

// The fingerprint of both keys of a site, as studies pin it.
[[nodiscard]] Digest FingerprintOf(const federation::SiteKeys& keys);

}  // namespace consilium::site_agent
