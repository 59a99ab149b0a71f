// The egress gate: the one class that every byte passes before it leaves a hospital.
//
// A question is checked against the rules that this site approved (AdmitQuery), the answer is
// checked again with what was asked before in mind, written to the ledger, and only then handed
// back to be sent (AdmitAnswer, AdmitRelease). All memory is the ledger: a gate built on the same
// records decides the same. Rules, attacks and what is not promised: docs/disclosure.md; source:
// Disclosure rules 1 to 7 of the design, Bonawitz et al. 2017 (rosters), dsBase's nfilter.glm =
// 0.33 (columns a row). A hospital has one gate for all its studies, since two studies that run at
// once must not differ by a patient either. Pure: no clock, no disk, no randomness. One thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "federation/block.h"
#include "federation/cohort.h"
#include "federation/step.h"
#include "site_agent/ledger.h"
#include "site_agent/suppression.h"
#include "study/study.h"

namespace consilium::site_agent {

// Why the gate says no. The names are stable: they stand in ledgers, on the wire and in the
// documents.
enum class GateRule {
  kStudyNotApproved,   // GATE_STUDY_NOT_APPROVED
  kStudyChanged,       // GATE_STUDY_CHANGED: approved before, under other terms
  kPolicyNotApproved,  // GATE_POLICY_NOT_APPROVED: public-data without this site's word
  kNotDerived,         // GATE_NOT_DERIVED: not the question that follows from study and totals
  kUnknownStep,        // GATE_UNKNOWN_STEP
  kMalformedQuery,     // GATE_MALFORMED_QUERY
  kMinSites,           // GATE_MIN_SITES
  kDuplicateMember,    // GATE_DUPLICATE_MEMBER
  kUnknownMember,      // GATE_UNKNOWN_MEMBER
  kKeyNotPinned,       // GATE_KEY_NOT_PINNED
  kRosterChanged,      // GATE_ROSTER_CHANGED
  kReasked,  // GATE_REASKED: another question in an answered round, or a new attempt unasked for
  kAttemptMixed,          // GATE_ATTEMPT_MIXED: of an attempt that ended
  kRestartNotApproved,    // GATE_RESTART_NOT_APPROVED
  kRowSetsDiffer,         // GATE_ROW_SETS_DIFFER
  kCohortChanged,         // GATE_COHORT_CHANGED: the data changed under a running study
  kCurvatureTooWide,      // GATE_CURVATURE_TOO_WIDE
  kCurvatureSharedPoint,  // GATE_CURVATURE_SHARED_POINT
  kCurvatureNullPoint,    // GATE_CURVATURE_NULL_POINT
  kFastNotApproved,       // GATE_FAST_NOT_APPROVED
  kNoConsent,             // GATE_NO_CONSENT: leave-one-center-out
  kBinTooFine,            // GATE_BIN_TOO_FINE
  kCellTooSmall,          // GATE_CELL_TOO_SMALL: the study's min_cell is below this site's
  kReleaseNotListed,      // GATE_RELEASE_NOT_LISTED
  kReleaseMalformed,      // GATE_RELEASE_MALFORMED: its counts contradict each other
  kSecondScoring,         // GATE_SECOND_SCORING
  kAnswerSize,            // GATE_ANSWER_SIZE
  kAnswerChanged,         // GATE_ANSWER_CHANGED: other bytes under the same mask
  kNotMasked,             // GATE_NOT_MASKED
  kSumShare,              // GATE_SUM_SHARE: what a site sealed for this one does not open
  kTotalNotTheSum,        // GATE_TOTAL_NOT_THE_SUM: of what the sites signed
  kReleaseNotSigned,      // GATE_RELEASE_NOT_SIGNED: not what its site signed
  kLedgerUnavailable,     // GATE_LEDGER_UNAVAILABLE: what is not written down does not leave
};
inline constexpr int kGateRuleCount = static_cast<int>(GateRule::kLedgerUnavailable) + 1;
[[nodiscard]] std::string_view Name(GateRule rule);    // "GATE_MIN_SITES"
[[nodiscard]] std::string_view Advice(GateRule rule);  // what to do next, in one sentence
[[nodiscard]] ErrorCode CodeOf(GateRule rule);

// Numbers that may be told outside: they follow from the study and the query alone.
enum class PublicField {
  kRound,
  kAttempt,
  kMembers,
  kMinSites,
  kColumns,
  kColumnsMax,
  kMinCell,
  kBytes,
  kBytesExpected
};
[[nodiscard]] std::string_view Name(PublicField field);  // "min_sites"

// Where a query first differs from the one that follows.
enum class QueryPart { kNone, kStep, kScope, kBlock, kCount };
[[nodiscard]] std::string_view Name(QueryPart part);

struct Refusal {
  GateRule rule = GateRule::kNotDerived;
  std::string message;  // where, what was found, what was expected, what to do; stays at the site
  std::vector<std::pair<PublicField, std::int64_t>> counts;
  QueryPart part = QueryPart::kNone;

  // "GATE_...: message advice", for this site's own console
  [[nodiscard]] Error ToError() const;
};
template <typename T>
using Ruling = tl::expected<T, Refusal>;

// What goes out in place of an answer: a code, a rule and numbers of a fixed vocabulary, never a
// text that somebody composed (rule 7).
struct OutwardError {
  ErrorCode code = ErrorCode::kInternal;
  std::optional<GateRule> rule;
  QueryPart part = QueryPart::kNone;
  std::vector<std::pair<PublicField, std::int64_t>> counts;
  // "PERMISSION_DENIED GATE_MIN_SITES members=2 min_sites=3": words of the vocabulary and integers
  // only.
  [[nodiscard]] std::string ToText() const;
};
[[nodiscard]] OutwardError ToOutward(const Refusal& refusal);
// Only the code goes out: the message may name a file, a row or a column.
[[nodiscard]] OutwardError ToOutward(const Error& error);

// What this hospital allows at all, whatever a study asks.
struct SiteSettings {
  int min_sites = 3;               // >= 2; two-site sums only with allow_public_data
  int min_cell = 5;                // >= 1
  bool allow_public_data = false;  // studies with policy: public-data may run here
};

// A person's word on one study. Each line is a question that `study approve` asks.
struct Approval {
  std::vector<RosterMember> pinned;  // every site of the study with its keys' fingerprint
  std::vector<std::string>
      columns;  // the local columns that the study reads here (features, variables, outcome)
  std::vector<ReleaseRule> releases;  // StandardReleases() (suppression.h), or others
  bool public_data = false;           // "this data is published: waive ..."
  bool fast_curvature = false;        // "privacy: fast"
  bool restart_without = false;       // "a site may leave and the study start over without it"
  bool leave_one_center_out =
      false;  // "differences of totals tell this hospital's site-level sums"
  std::int64_t unix_ms = 0;
};

// One round as this site was told of it.
struct RoundFacts {
  Digest study;
  std::uint64_t round = 0;
  std::uint32_t attempt = 0;
  Digest round_digest;               // of everything asked in the round
  std::vector<RosterMember> roster;  // whose masks cancel
  Digest roster_hash;                // what masks and receipts are bound to
  bool derived = false;  // this site re-derived the query from the signed study and the totals
  QueryPart difference = QueryPart::kNone;  // where it first differs, if not
  std::string difference_name;              // the step, block or field there
  std::int64_t unix_ms = 0;
};

// My rows under the query's scope, by their permanent numbers; both empty when I am not a member.
struct MyRows {
  RowSet training;
  RowSet left_out;
  Digest cohort;  // DigestOf(Cohort): the data must not change under a running study
};

// Names of rows that outlive files: HMAC-SHA-256(site key, patient id and its how-manieth row), in
// row order. A withdrawn patient leaves a gap and shifts nobody. (Where a cohort's ids are row
// numbers of a file, a row taken from the middle renames those after it.) site_key: at least 16
// bytes (aborts if shorter).
[[nodiscard]] std::vector<Digest> RowNames(const federation::Cohort& cohort,
                                           std::span<const std::uint8_t> site_key);
// The data of a cohort, every bit of it, patient ids apart.
[[nodiscard]] Digest DigestOf(const federation::Cohort& cohort);
// Rows of a scope as permanent numbers; `numbers` [n] as Gate::NumberRows returned them.
[[nodiscard]] MyRows NumberedRows(const federation::TrainingRows& rows,
                                  std::span<const std::uint32_t> numbers, const Digest& cohort);

class Gate {
 public:
  // Rebuilds its memory from the ledger's records; if they cannot be read, everything is refused
  // (kLedgerUnavailable). `ledger` is not owned and outlives the gate; nobody else appends to it.
  Gate(SiteSettings settings, Ledger& ledger);

  // The terms of `study` at this site, for good. Approving the same terms again changes nothing.
  // Refusals: kPolicyNotApproved, kMinSites, kCellTooSmall, kFastNotApproved, kNoConsent,
  // kRestartNotApproved, kNotMasked, kKeyNotPinned, kDuplicateMember, kUnknownMember (this site or
  // a site of the study is not pinned), kReleaseNotListed (a release rule contradicts itself),
  // kStudyChanged.
  [[nodiscard]] Ruling<void> ApproveStudy(const study::Study& study, const Approval& approval);
  [[nodiscard]] bool IsApproved(const Digest& study) const { return studies_.contains(study); }

  // The permanent number of each row [n], in the order of `row_names` (RowNames); new names get the
  // next numbers and are written down. Refusals: kMalformedQuery (a name comes twice),
  // kLedgerUnavailable.
  [[nodiscard]] Ruling<std::vector<std::uint32_t>> NumberRows(std::span<const Digest> row_names);

  // Rule 3 before a study starts: would these row sets (every fold and scope) be refused, among
  // themselves or against what was answered before? Writes nothing.
  [[nodiscard]] Ruling<void> CheckPlannedRowSets(const Digest& study,
                                                 std::span<const RowSet> planned) const;

  // May this be answered? A refusal is written to the ledger (once). `step` is null if none is
  // installed.
  [[nodiscard]] Ruling<void> AdmitQuery(const RoundFacts& facts, const federation::Query& query,
                                        const federation::Step* step, const MyRows& rows);

  // The words of a sum, in wire form, masked or not. Checks all of AdmitQuery again, then size and
  // mask, writes the ledger and returns the same bytes (not a copy) to be sent. The same bytes
  // again are returned again and counted once; other bytes under the same binding would lay the
  // mask bare and are refused.
  [[nodiscard]] Ruling<std::span<const std::uint8_t>> AdmitAnswer(
      const RoundFacts& facts, const federation::Query& query, const federation::Step* step,
      const MyRows& rows, std::span<const std::uint8_t> words, bool masked);

  // A Release with everything below the minimum cell withheld or merged (rule 6), written and
  // returned.
  [[nodiscard]] Ruling<federation::Release> AdmitRelease(
      const RoundFacts& facts, const federation::Query& query, const federation::Step* step,
      const MyRows& rows, const ClassCounts& counts, const federation::Release& release);

  // What came back. `total`: digest of the total as the log has it. The same again changes nothing.
  [[nodiscard]] Ruling<void> RecordTotal(const RoundFacts& facts, const Digest& total);
  // What came back is not believed. Written to the ledger, once; this site answers nothing more of
  // the study (IsDistrusted). `total`: digest of what was refused.
  [[nodiscard]] Refusal RefuseTotal(const RoundFacts& facts, const Digest& total, GateRule rule,
                                    std::string_view why);
  // A total of the study was refused here: the refusal, as the ledger has it.
  [[nodiscard]] std::optional<Refusal> IsDistrusted(const Digest& study) const;
  // The attempt is over for this site; a later one may start if restarting was approved.
  [[nodiscard]] Ruling<void> EndAttempt(const Digest& study, std::uint32_t attempt,
                                        std::string_view why, std::int64_t unix_ms = 0);
  // The study is over at this site (`how`: "finished"): nothing more of it is answered, and only
  // what other studies are held against is remembered (its row sets and columns). Again, or of a
  // study that was never approved, changes nothing.
  [[nodiscard]] Ruling<void> EndStudy(const Digest& study, std::string_view how,
                                      std::int64_t unix_ms = 0);

  [[nodiscard]] const Ledger& ledger() const { return ledger_; }

 private:
  struct Pattern {  // whose rows a sum is over
    std::vector<std::string> members;
    std::int32_t left_out_fold = 0;
    friend auto operator<=>(const Pattern&, const Pattern&) = default;
  };
  struct CurvatureUse {
    Digest mine;  // row set; of no rows: none that was answered
    std::int64_t rows_of_sum = 0;
  };
  struct StudyState {
    StudyTerms terms;
    std::string name;
    bool ended = false;                    // then all but columns, name and row sets is empty
    std::optional<std::uint32_t> attempt;  // the latest
    bool attempt_ended = false;
    Digest roster_hash;
    std::vector<std::string> roster_sites;
    std::map<std::uint64_t, Digest> round_digests;   // of the latest attempt
    std::set<std::vector<std::string>> member_sets;  // of the latest attempt's sums
    std::map<std::pair<std::uint64_t, Digest>, Digest>
        answers;                        // (round, query) -> bytes, latest attempt
    std::map<Digest, RowSet> row_sets;  // answered
    std::map<Digest, std::map<Pattern, CurvatureUse>>
        curvature;                         // by point; the zero digest: no slopes
    std::map<std::string, Digest> scored;  // fit -> query
    std::optional<Digest> cohort;
    std::set<std::pair<std::uint32_t, std::uint64_t>> totals;  // received: (attempt, round)
  };
  struct Admission {  // what the checks found out on the way
    federation::Disclosure disclosure;
    std::vector<federation::BlockLayout> layout;  // sums only
    Digest query;
    bool member = false;
    std::vector<std::string> waived;
  };

  void Apply(const LedgerRecord& record);
  void ApplyAnswer(const LedgerRecord& record, StudyState& state);
  [[nodiscard]] Ruling<Admission> Check(const RoundFacts& facts, const federation::Query& query,
                                        const federation::Step* step, const MyRows& rows) const;
  [[nodiscard]] Ruling<void> CheckRoster(const RoundFacts& facts, const StudyState& state,
                                         federation::StepKind kind) const;
  [[nodiscard]] Ruling<void> CheckAttempt(const RoundFacts& facts, const StudyState& state) const;
  [[nodiscard]] Ruling<void> CheckMembers(const federation::Query& query,
                                          const federation::Step& step, const StudyState& state,
                                          const RoundFacts& facts, Admission& admission) const;
  [[nodiscard]] Ruling<void> CheckRows(const Digest& study, const StudyState& state,
                                       std::span<const RowSet> sets,
                                       std::vector<std::string>& waived) const;
  [[nodiscard]] Ruling<void> CheckCurvature(const StudyState& state, const federation::Query& query,
                                            const MyRows& rows,
                                            const federation::Disclosure& disclosure) const;
  // What every record of a round says.
  [[nodiscard]] LedgerRecord RecordIn(LedgerEvent event, const RoundFacts& facts) const;
  void WriteRefusal(LedgerRecord record);
  [[nodiscard]] LedgerRecord RecordOf(LedgerEvent event, const RoundFacts& facts,
                                      const federation::Query& query, const MyRows& rows,
                                      const Admission& admission) const;
  // Check for a step of the kind that the caller answers; a refusal is written down.
  [[nodiscard]] Ruling<Admission> Admit(const RoundFacts& facts, const federation::Query& query,
                                        const federation::Step* step, const MyRows& rows,
                                        std::optional<federation::StepKind> kind);
  // Writes, then remembers. Refusal: kLedgerUnavailable.
  [[nodiscard]] Ruling<void> Write(LedgerRecord record);
  // Writes the refusal unless that very refusal stands there already; gives it back.
  [[nodiscard]] Refusal Refused(const RoundFacts& facts, const federation::Query& query,
                                Refusal refusal);
  [[nodiscard]] Refusal StudyRefused(const study::Study& study, const Approval& approval,
                                     Refusal refusal);

  SiteSettings settings_;
  Ledger& ledger_;
  Result<void> replayed_;
  std::map<Digest, StudyState> studies_;
  std::map<Digest, std::uint32_t> row_numbers_;
  std::set<Digest> refusals_;
  std::map<Digest, Refusal> distrusted_;  // by study
};

}  // namespace consilium::site_agent
