#include "site_agent/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "federation/fixed_point.h"

// Leaves the function with the refusal of `expression` (a Ruling<...>), or goes on.
#define CONSILIUM_TRY_RULING(expression)                                                     \
  do {                                                                                       \
    if (auto ruling_ = (expression); !ruling_) {                                             \
      return ::tl::unexpected<::consilium::site_agent::Refusal>(std::move(ruling_).error()); \
    }                                                                                        \
  } while (false)

namespace consilium::site_agent {
namespace {

using federation::Disclosure;
using federation::Query;
using federation::Release;
using federation::Step;
using federation::StepKind;

constexpr int kMinSitesPrivate = 3;      // below this a sum tells a member the others' part
constexpr double kColumnsPerRow = 0.33;  // dsBase's nfilter.glm
constexpr std::size_t kNameBytesMax = 512;
constexpr std::size_t kSiteKeyBytesMin = 16;
constexpr double kRowsOfSumMax = 1e9;

struct RuleText {
  std::string_view name;
  std::string_view advice;
};

// In the order of GateRule.
constexpr std::array<RuleText, kGateRuleCount> kRuleTexts = {{
    {"GATE_STUDY_NOT_APPROVED",
     "Read the study and approve it with `study approve`, or leave it unanswered."},
    {"GATE_STUDY_CHANGED",
     "A study is approved once; a changed one needs a new name and a new approval."},
    {"GATE_POLICY_NOT_APPROVED",
     "Allow public-data studies in the site's settings only if these data are published anyway."},
    {"GATE_NOT_DERIVED",
     "The coordinator asked what does not follow from the signed study: send this record to the "
     "lead and stop."},
    {"GATE_UNKNOWN_STEP", "Install the engine version that the study names."},
    {"GATE_MALFORMED_QUERY", "Send this record to the lead; nothing has to be done at this site."},
    {"GATE_MIN_SITES", "The study needs more sites; two-site sums are for published data only."},
    {"GATE_DUPLICATE_MEMBER", "One hospital must not count twice: send this record to the lead."},
    {"GATE_UNKNOWN_MEMBER", "Compare the roster with the signed study; only its sites take part."},
    {"GATE_KEY_NOT_PINNED",
     "Compare the fingerprint with that hospital by telephone before anything else."},
    {"GATE_ROSTER_CHANGED",
     "Wait for the missing site, or end the attempt and approve a restart without it."},
    {"GATE_REASKED", "One round has one question: send this record to the lead."},
    {"GATE_ATTEMPT_MIXED", "That attempt is over: answer only the running one."},
    {"GATE_RESTART_NOT_APPROVED",
     "Approve the study with restart-without if a site may leave and the rest start over."},
    {"GATE_ROW_SETS_DIFFER",
     "Use fewer folds, or keep the withdrawn rows out of every study on these columns until more "
     "leave together."},
    {"GATE_COHORT_CHANGED",
     "Restore the data of the approved study, or register a new study on the new data."},
    {"GATE_CURVATURE_TOO_WIDE",
     "Ask curvature of fewer columns, or approve `privacy: fast` for this study."},
    {"GATE_CURVATURE_SHARED_POINT", "Every fold and center asks curvature at a point of its own."},
    {"GATE_CURVATURE_NULL_POINT",
     "Start from gradients: curvature where all slopes are zero is shared by all patterns."},
    {"GATE_FAST_NOT_APPROVED",
     "Approve `privacy: fast` by name, or ask the lead for a strict study."},
    {"GATE_NO_CONSENT",
     "Leave-one-center-out tells this hospital's site-level sums: consent by name, or name "
     "held-out centers."},
    {"GATE_BIN_TOO_FINE", "Stop refining bins that hold fewer rows than the minimum cell."},
    {"GATE_CELL_TOO_SMALL", "Raise min_cell in the study to this site's minimum."},
    {"GATE_RELEASE_NOT_LISTED", "Name the block in the study, so that it is approved with it."},
    {"GATE_RELEASE_MALFORMED", "Report this as a fault of the program, with this record."},
    {"GATE_SECOND_SCORING", "A model is scored once at a center: the first answer stands."},
    {"GATE_ANSWER_SIZE", "Report this as a fault of the program, with this record."},
    {"GATE_ANSWER_CHANGED",
     "Restore the data that the first answer was computed from; the first answer stands."},
    {"GATE_NOT_MASKED",
     "Write `privacy: {masks: true}` in the study and do not switch masks off; sums in the clear "
     "are "
     "for published data only (`policy: public-data`)."},
    {"GATE_SUM_SHARE",
     "Compare that site's key fingerprint by telephone; then the study must be submitted again."},
    {"GATE_TOTAL_NOT_THE_SUM",
     "The coordinator told a total that the sites did not send, or a site tagged another one: send "
     "this record to the lead and stop."},
    {"GATE_RELEASE_NOT_SIGNED",
     "The coordinator told a result that its hospital did not sign: send this record to the lead "
     "and stop."},
    {"GATE_LEDGER_UNAVAILABLE",
     "Make room on the ledger's disk or repair it; nothing leaves until then."},
}};

const RuleText& TextOf(GateRule rule) { return kRuleTexts[static_cast<std::size_t>(rule)]; }

using Counts = std::vector<std::pair<PublicField, std::int64_t>>;

tl::unexpected<Refusal> No(GateRule rule, std::string message, Counts counts = {},
                           QueryPart part = QueryPart::kNone) {
  return tl::unexpected<Refusal>(Refusal{rule, std::move(message), std::move(counts), part});
}

std::int64_t Count(std::size_t size) { return static_cast<std::int64_t>(size); }

bool IsName(std::string_view text) {
  return text.size() <= kNameBytesMax && text == PlainText(text);
}

std::vector<std::string> SitesOf(const std::vector<RosterMember>& roster) {
  std::vector<std::string> sites;
  for (const RosterMember& member : roster) sites.push_back(member.site);
  std::sort(sites.begin(), sites.end());
  return sites;
}

// The first site or key that stands twice, or null.
const RosterMember* FindTwice(const std::vector<RosterMember>& roster) {
  std::set<std::string> sites;
  std::set<Digest> keys;
  for (const RosterMember& member : roster) {
    if (!sites.insert(member.site).second || !keys.insert(member.fingerprint).second)
      return &member;
  }
  return nullptr;
}

const RosterMember* FindSite(const std::vector<RosterMember>& roster, std::string_view site) {
  const auto found = std::find_if(roster.begin(), roster.end(),
                                  [&](const RosterMember& member) { return member.site == site; });
  return found == roster.end() ? nullptr : &*found;
}

bool Contains(const std::vector<std::string>& sorted, const std::string& item) {
  return std::binary_search(sorted.begin(), sorted.end(), item);
}

bool IsRowSet(const RowSet& rows) {
  return std::adjacent_find(rows.begin(), rows.end(), std::greater_equal<>()) == rows.end() &&
         (rows.empty() || rows.back() < kRowNumberMax);
}

bool ShareAColumn(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  auto i = a.begin();
  auto j = b.begin();
  while (i != a.end() && j != b.end()) {
    if (*i == *j) return true;
    *i < *j ? ++i : ++j;
  }
  return false;
}

std::uint64_t ColumnKey(std::string_view name) {
  const Digest digest = Sha256(name);
  std::uint64_t key = 0;
  for (int i = 0; i < 8; ++i)
    key |= static_cast<std::uint64_t>(digest.bytes[static_cast<std::size_t>(i)]) << (8 * i);
  return key;
}

std::string FitInWords(const std::string& fit, int left_out_fold) {
  std::string text = fmt::format("the fit '{}'", fit);
  if (left_out_fold > 0) text += fmt::format(", without fold {}", left_out_fold);
  return text;
}

std::string Short(const Digest& digest) { return Hex(digest).substr(0, 12); }

Digest RefusalKey(const LedgerRecord& record) {
  ByteWriter writer;
  writer.Raw(record.study.bytes);
  writer.U64(record.round);
  writer.U32(record.attempt);
  writer.Raw(record.round_digest.bytes);
  writer.Raw(record.query.bytes);
  writer.Raw(record.roster.bytes);
  writer.Text(record.rule);
  writer.Text(PlainText(record.detail));  // as the ledger keeps it
  return Sha256(writer.bytes());
}

Digest DigestOfRelease(const Release& release) {
  ByteWriter writer;
  writer.U32(static_cast<std::uint32_t>(release.blocks.size()));
  for (const federation::Block& block : release.blocks) federation::Encode(block, writer);
  return Sha256(writer.bytes());
}

void PutMatrix(ByteWriter& writer, const Eigen::MatrixXd& values) {
  writer.I64(values.rows());
  writer.I64(values.cols());
  for (Eigen::Index i = 0; i < values.size(); ++i) writer.F64(values.data()[i]);
}

}  // namespace

std::string_view Name(GateRule rule) { return TextOf(rule).name; }
std::string_view Advice(GateRule rule) { return TextOf(rule).advice; }

ErrorCode CodeOf(GateRule rule) {
  switch (rule) {
    case GateRule::kUnknownStep:
      return ErrorCode::kNotFound;
    case GateRule::kMalformedQuery:
      return ErrorCode::kInvalidArgument;
    case GateRule::kReasked:
    case GateRule::kAnswerChanged:
      return ErrorCode::kAlreadyExists;
    case GateRule::kAttemptMixed:
    case GateRule::kCohortChanged:
      return ErrorCode::kFailedPrecondition;
    case GateRule::kAnswerSize:
    case GateRule::kReleaseMalformed:
      return ErrorCode::kInternal;
    case GateRule::kLedgerUnavailable:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kPermissionDenied;
  }
}

std::string_view Name(PublicField field) {
  switch (field) {
    case PublicField::kRound:
      return "round";
    case PublicField::kAttempt:
      return "attempt";
    case PublicField::kMembers:
      return "members";
    case PublicField::kMinSites:
      return "min_sites";
    case PublicField::kColumns:
      return "columns";
    case PublicField::kColumnsMax:
      return "columns_max";
    case PublicField::kMinCell:
      return "min_cell";
    case PublicField::kBytes:
      return "bytes";
    case PublicField::kBytesExpected:
      return "bytes_expected";
  }
  return "unknown";
}

std::string_view Name(QueryPart part) {
  switch (part) {
    case QueryPart::kNone:
      return "none";
    case QueryPart::kStep:
      return "step";
    case QueryPart::kScope:
      return "scope";
    case QueryPart::kBlock:
      return "block";
    case QueryPart::kCount:
      return "count";
  }
  return "unknown";
}

Error Refusal::ToError() const {
  return {CodeOf(rule), fmt::format("{}: {} {}", Name(rule), message, Advice(rule))};
}

std::string OutwardError::ToText() const {
  std::string text(Name(code));
  if (rule) text += fmt::format(" {}", Name(*rule));
  if (part != QueryPart::kNone) text += fmt::format(" part={}", Name(part));
  for (const auto& [field, value] : counts) text += fmt::format(" {}={}", Name(field), value);
  return text;
}

OutwardError ToOutward(const Refusal& refusal) {
  return {CodeOf(refusal.rule), refusal.rule, refusal.part, refusal.counts};
}

OutwardError ToOutward(const Error& error) {
  return {error.code, std::nullopt, QueryPart::kNone, {}};
}

std::vector<Digest> RowNames(const federation::Cohort& cohort,
                             std::span<const std::uint8_t> site_key) {
  CONSILIUM_CHECK(site_key.size() >= kSiteKeyBytesMin, "a site key has at least 16 bytes");
  const Bytes key = HkdfSha256(site_key, {}, "consilium row names 1", 32);
  std::map<int, std::uint32_t> seen;
  std::vector<Digest> names;
  for (const int patient : cohort.patient) {
    ByteWriter writer;
    writer.Text(cohort.patient_ids.at(static_cast<std::size_t>(patient)));
    writer.U32(seen[patient]++);
    names.push_back(HmacSha256(key, writer.bytes()));
  }
  return names;
}

Digest DigestOf(const federation::Cohort& cohort) {
  ByteWriter writer;
  writer.Text(cohort.site);
  for (const auto* names : {&cohort.feature_names, &cohort.covariate_names}) {
    writer.U32(static_cast<std::uint32_t>(names->size()));
    for (const std::string& name : *names) writer.Text(name);
  }
  PutMatrix(writer, cohort.features);
  PutMatrix(writer, cohort.covariates);
  PutMatrix(writer, cohort.outcome);
  for (const auto* numbers : {&cohort.patient, &cohort.fold}) {
    writer.U32(static_cast<std::uint32_t>(numbers->size()));
    for (const int number : *numbers) writer.U32(static_cast<std::uint32_t>(number));
  }
  return Sha256(writer.bytes());
}

MyRows NumberedRows(const federation::TrainingRows& rows, std::span<const std::uint32_t> numbers,
                    const Digest& cohort) {
  const auto numbered = [&](const std::vector<Eigen::Index>& indices) {
    RowSet set;
    for (const Eigen::Index i : indices) set.push_back(numbers[static_cast<std::size_t>(i)]);
    std::sort(set.begin(), set.end());
    return set;
  };
  return {numbered(rows.rows), numbered(rows.left_out), cohort};
}

Gate::Gate(SiteSettings settings, Ledger& ledger) : settings_(settings), ledger_(ledger) {
  CONSILIUM_CHECK(settings.min_sites >= 2 && settings.min_cell >= 1,
                  "site settings: min_sites >= 2, min_cell >= 1");
  replayed_ = ledger_.Each([&](const LedgerRecord& record) -> Result<void> {
    Apply(record);
    return {};
  });
}

Ruling<void> Gate::Write(LedgerRecord record) {
  // Whoever does not know what was answered before answers nothing.
  if (!replayed_) return No(GateRule::kLedgerUnavailable, replayed_.error().message);
  if (auto kept = ledger_.Append(std::move(record)); !kept)
    return No(GateRule::kLedgerUnavailable, kept.error().message);
  Apply(ledger_.last());
  return {};
}

// The whole memory of the gate, live and on replay alike.
void Gate::Apply(const LedgerRecord& record) {
  const auto found = studies_.find(record.study);
  StudyState* state = found == studies_.end() ? nullptr : &found->second;
  switch (record.event) {
    case LedgerEvent::kStudyApproved: {
      if (!record.terms) return;
      StudyState& approved = studies_[record.study];
      approved.terms = *record.terms;
      approved.name = record.study_name;
      return;
    }
    case LedgerEvent::kRowsNumbered:
      for (const Digest& name : record.new_rows) {
        row_numbers_.try_emplace(name, static_cast<std::uint32_t>(row_numbers_.size()));
      }
      return;
    case LedgerEvent::kStudyRefused:
    case LedgerEvent::kQueryRefused:
      refusals_.insert(RefusalKey(record));
      for (const GateRule rule : {GateRule::kTotalNotTheSum, GateRule::kReleaseNotSigned}) {
        if (record.rule == Name(rule))
          distrusted_.try_emplace(record.study, Refusal{rule, record.detail, {}, {}});
      }
      return;
    case LedgerEvent::kTotalReceived:
      if (state != nullptr) state->totals.emplace(record.attempt, record.round);
      return;
    case LedgerEvent::kAttemptEnded:
      if (state == nullptr || state->attempt > record.attempt) return;
      state->attempt = record.attempt;
      state->attempt_ended = true;
      return;
    case LedgerEvent::kStudyEnded: {
      if (state == nullptr) return;
      StudyState rest;
      rest.terms.columns = std::move(state->terms.columns);
      rest.name = std::move(state->name);
      rest.row_sets = std::move(state->row_sets);
      for (auto& [digest, rows] : rest.row_sets) rows.shrink_to_fit();
      rest.ended = true;
      *state = std::move(rest);
      return;
    }
    case LedgerEvent::kQueryAnswered:
    case LedgerEvent::kReleaseGiven:
      if (state != nullptr) ApplyAnswer(record, *state);
      return;
  }
}

void Gate::ApplyAnswer(const LedgerRecord& record, StudyState& state) {
  if (state.attempt != record.attempt || state.roster_sites.empty()) {
    state.attempt = record.attempt;
    state.attempt_ended = false;
    state.roster_hash = record.roster;
    state.roster_sites = record.roster_sites;
    state.round_digests.clear();
    state.member_sets.clear();
    state.answers.clear();
  }
  state.round_digests.try_emplace(record.round, record.round_digest);
  state.answers.try_emplace({record.round, record.query}, record.content);
  if (record.event == LedgerEvent::kQueryAnswered) state.member_sets.insert(record.members);
  for (const Bytes& encoded : record.new_row_sets) {
    if (auto rows = DecodeRowSet(encoded))
      state.row_sets.try_emplace(Sha256(encoded), std::move(*rows));
  }
  if (record.curvature_columns > 0) {
    const Digest point = record.curvature_at_null_point ? Digest{} : record.curvature_point;
    state.curvature[point].try_emplace(Pattern{record.members, record.left_out_fold},
                                       CurvatureUse{record.training_set, record.rows_of_sum});
  }
  const bool member = Contains(record.members, ledger_.site());
  if (record.scores_a_model && member) state.scored.try_emplace(record.fit, record.query);
  if (member && !state.cohort) state.cohort = record.cohort;
}

Refusal Gate::StudyRefused(const study::Study& study, const Approval& approval, Refusal refusal) {
  LedgerRecord record;
  record.event = LedgerEvent::kStudyRefused;
  record.unix_ms = approval.unix_ms;
  record.study = study.digest;
  record.study_name = study.name;
  record.rule = Name(refusal.rule);
  record.detail = refusal.message;
  record.sentence = fmt::format("Refused the study '{}': {}: {} {}", study.name, record.rule,
                                refusal.message, Advice(refusal.rule));
  WriteRefusal(std::move(record));
  return refusal;
}

Ruling<void> Gate::ApproveStudy(const study::Study& study, const Approval& approval) {
  const auto no = [&](GateRule rule, std::string message, Counts counts = {}) {
    return tl::unexpected<Refusal>(
        StudyRefused(study, approval, {rule, std::move(message), std::move(counts), {}}));
  };
  const study::Privacy& privacy = study.privacy;
  const bool is_public = study.policy == study::Policy::kPublicData;
  if (is_public && !(approval.public_data && settings_.allow_public_data)) {
    return no(GateRule::kPolicyNotApproved,
              "policy: public-data sets disclosure rules aside and is not allowed here.");
  }
  const int sites_min = is_public ? 2 : std::max(kMinSitesPrivate, settings_.min_sites);
  if (privacy.min_sites < sites_min) {
    return no(GateRule::kMinSites,
              fmt::format("privacy.min_sites = {}, must be >= {}.", privacy.min_sites, sites_min),
              {{PublicField::kMinSites, sites_min}});
  }
  const int cell_min = is_public ? 1 : settings_.min_cell;
  if (privacy.min_cell < cell_min) {
    return no(GateRule::kCellTooSmall,
              fmt::format("privacy.min_cell = {}, must be >= {}.", privacy.min_cell, cell_min),
              {{PublicField::kMinCell, cell_min}});
  }
  if (!privacy.strict_curvature && !approval.fast_curvature) {
    return no(GateRule::kFastNotApproved,
              "the study lifts the bound on curvature columns ('fast').");
  }
  if (!privacy.masks && !is_public)
    return no(GateRule::kNotMasked, "the study switches masks off.");
  if (study.design == study::Design::kLeaveOneCenterOut && !approval.leave_one_center_out) {
    return no(GateRule::kNoConsent,
              "the design is leave-one-center-out and this site has not consented to it.");
  }
  const bool restarts = study.quorum.then == "restart-without";
  if (restarts && !approval.restart_without) {
    return no(GateRule::kRestartNotApproved,
              "the quorum says 'restart-without' and this site has not approved that.");
  }
  if (const RosterMember* twice = FindTwice(approval.pinned)) {
    return no(GateRule::kDuplicateMember,
              fmt::format("site '{}' or its key is pinned twice.", PlainText(twice->site)));
  }
  for (const std::string& site : study.sites) {
    if (FindSite(approval.pinned, site) == nullptr) {
      return no(GateRule::kKeyNotPinned,
                fmt::format("no fingerprint is pinned for site '{}'.", PlainText(site)));
    }
  }
  for (const RosterMember& member : approval.pinned) {
    if (std::find(study.sites.begin(), study.sites.end(), member.site) == study.sites.end()) {
      return no(GateRule::kUnknownMember,
                fmt::format("a fingerprint is pinned for '{}', which is no site of the study.",
                            PlainText(member.site)));
    }
  }
  if (FindSite(approval.pinned, ledger_.site()) == nullptr) {
    return no(GateRule::kUnknownMember,
              fmt::format("this site, '{}', is no site of the study.", ledger_.site()));
  }
  if (auto listed = Validate(approval.releases); !listed) {
    return no(GateRule::kReleaseNotListed, listed.error().message + ".");
  }
  if (approval.columns.empty()) {
    return no(GateRule::kMalformedQuery,
              "the approval names no columns, so row sets could not be compared.");
  }

  StudyTerms terms;
  terms.min_sites = static_cast<std::uint32_t>(privacy.min_sites);
  terms.min_cell = static_cast<std::uint32_t>(privacy.min_cell);
  terms.public_data = is_public;
  terms.strict_curvature = privacy.strict_curvature;
  terms.masks = privacy.masks;
  terms.restart_without = restarts;
  terms.leave_one_center_out = approval.leave_one_center_out;
  terms.pinned = approval.pinned;
  std::sort(terms.pinned.begin(), terms.pinned.end());
  std::set<std::uint64_t> columns;
  for (const std::string& column : approval.columns) columns.insert(ColumnKey(column));
  terms.columns.assign(columns.begin(), columns.end());
  terms.releases = approval.releases;

  if (const auto found = studies_.find(study.digest); found != studies_.end()) {
    if (found->second.ended)
      return no(GateRule::kStudyChanged, "the study was approved before and has ended here.");
    if (found->second.terms == terms) return {};
    return no(GateRule::kStudyChanged, "the study was approved before under other terms.");
  }
  LedgerRecord record;
  record.event = LedgerEvent::kStudyApproved;
  record.unix_ms = approval.unix_ms;
  record.study = study.digest;
  record.study_name = study.name;
  record.sentence = fmt::format(
      "Approved the study '{}' ({}): sums over at least {} of {} sites, cells of at least {} rows, "
      "{} local columns, "
      "{} curvature, {}{}{}{}.",
      study.name, Short(study.digest), terms.min_sites, terms.pinned.size(), terms.min_cell,
      terms.columns.size(), terms.strict_curvature ? "strict" : "fast",
      terms.masks ? "masked" : "NOT masked",
      terms.public_data ? ", PUBLIC DATA: disclosure rules set aside are noted at each answer" : "",
      terms.leave_one_center_out
          ? ", leave-one-center-out consented: differences of totals tell this hospital's sums"
          : "",
      terms.restart_without
          ? ", may start over without a site that leaves: the difference tells that site's sums"
          : "");
  record.terms = std::move(terms);
  return Write(std::move(record));
}

Ruling<std::vector<std::uint32_t>> Gate::NumberRows(std::span<const Digest> row_names) {
  std::set<Digest> seen;
  LedgerRecord record;
  record.event = LedgerEvent::kRowsNumbered;
  for (std::size_t i = 0; i < row_names.size(); ++i) {
    if (!seen.insert(row_names[i]).second) {
      return No(GateRule::kMalformedQuery,
                fmt::format("row {} of the cohort has the name of an earlier row.", i + 1));
    }
    if (!row_numbers_.contains(row_names[i])) record.new_rows.push_back(row_names[i]);
  }
  if (row_numbers_.size() + record.new_rows.size() > kRowNumberMax) {
    return No(GateRule::kMalformedQuery, fmt::format("more than {} rows in all.", kRowNumberMax));
  }
  if (!record.new_rows.empty()) {
    record.sentence =
        fmt::format("Numbered {} new rows of this hospital ({} in all).", record.new_rows.size(),
                    row_numbers_.size() + record.new_rows.size());
    if (auto written = Write(std::move(record)); !written)
      return tl::unexpected<Refusal>(written.error());
  }
  std::vector<std::uint32_t> numbers;
  for (const Digest& name : row_names) numbers.push_back(row_numbers_.at(name));
  return numbers;
}

Ruling<void> Gate::CheckRoster(const RoundFacts& facts, const StudyState& state,
                               StepKind kind) const {
  const StudyTerms& terms = state.terms;
  if (const RosterMember* twice = FindTwice(facts.roster)) {
    return No(
        GateRule::kDuplicateMember,
        fmt::format("site '{}' or its key stands in the roster twice.", PlainText(twice->site)));
  }
  for (const RosterMember& member : facts.roster) {
    const RosterMember* pinned = FindSite(terms.pinned, member.site);
    if (pinned == nullptr) {
      return No(GateRule::kUnknownMember,
                fmt::format("'{}' stands in the roster and is no site of the study.",
                            PlainText(member.site)));
    }
    if (pinned->fingerprint != member.fingerprint) {
      return No(GateRule::kKeyNotPinned,
                fmt::format("the keys of '{}' have fingerprint {}, expected {}.", member.site,
                            Short(member.fingerprint), Short(pinned->fingerprint)));
    }
  }
  // A held-out center releases and adds nothing to a sum: the roster is that of the sums.
  if (kind == StepKind::kSum && FindSite(facts.roster, ledger_.site()) == nullptr) {
    return No(GateRule::kUnknownMember, "this site does not stand in the roster.");
  }
  if (facts.roster.size() < terms.min_sites) {
    return No(GateRule::kMinSites,
              fmt::format("the roster has {} sites, expected at least {}.", facts.roster.size(),
                          terms.min_sites),
              {{PublicField::kMembers, Count(facts.roster.size())},
               {PublicField::kMinSites, terms.min_sites}});
  }
  return {};
}

Ruling<void> Gate::CheckAttempt(const RoundFacts& facts, const StudyState& state) const {
  if (!state.attempt) return {};
  const Counts where = {{PublicField::kRound, static_cast<std::int64_t>(facts.round)},
                        {PublicField::kAttempt, facts.attempt}};
  if (facts.attempt < *state.attempt || (facts.attempt == *state.attempt && state.attempt_ended)) {
    return No(GateRule::kAttemptMixed, fmt::format("attempt {} is over.", facts.attempt), where);
  }
  const std::vector<std::string> sites = SitesOf(facts.roster);
  if (facts.attempt == *state.attempt) {
    if (facts.roster_hash != state.roster_hash || sites != state.roster_sites) {
      return No(GateRule::kRosterChanged,
                fmt::format("round {} of attempt {} has a roster of {} sites ({}), expected the "
                            "attempt's {} ({}).",
                            facts.round, facts.attempt, sites.size(), Short(facts.roster_hash),
                            state.roster_sites.size(), Short(state.roster_hash)),
                where);
    }
    const auto known = state.round_digests.find(facts.round);
    if (known != state.round_digests.end() && known->second != facts.round_digest) {
      return No(GateRule::kReasked,
                fmt::format("round {} was answered as {} and now asks {}.", facts.round,
                            Short(known->second), Short(facts.round_digest)),
                where);
    }
    if (known == state.round_digests.end() && !state.round_digests.empty() &&
        facts.round < state.round_digests.rbegin()->first) {
      return No(GateRule::kReasked,
                fmt::format("round {} comes after round {}.", facts.round,
                            state.round_digests.rbegin()->first),
                where);
    }
    return {};
  }
  if (!state.attempt_ended) {
    return No(GateRule::kReasked,
              fmt::format("attempt {} asks while attempt {} has not ended.", facts.attempt,
                          *state.attempt),
              where);
  }
  if (!state.terms.restart_without) {
    return No(GateRule::kRestartNotApproved, fmt::format("attempt {} starts over.", facts.attempt),
              where);
  }
  if (!state.roster_sites.empty() &&
      !std::includes(state.roster_sites.begin(), state.roster_sites.end(), sites.begin(),
                     sites.end())) {
    return No(GateRule::kRosterChanged,
              fmt::format("attempt {} has a site that attempt {} had not.", facts.attempt,
                          *state.attempt),
              where);
  }
  return {};
}

Ruling<void> Gate::CheckMembers(const Query& query, const Step& step, const StudyState& state,
                                const RoundFacts& facts, Admission& admission) const {
  const std::vector<std::string>& members = query.scope.members;
  const StudyTerms& terms = state.terms;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (!IsName(members[i]))
      return No(GateRule::kMalformedQuery, "a member's name is not plain text.");
    if (i > 0 && members[i] == members[i - 1]) {
      return No(GateRule::kDuplicateMember, fmt::format("member '{}' comes twice.", members[i]));
    }
    if (i > 0 && members[i] < members[i - 1]) {
      return No(GateRule::kMalformedQuery,
                "the members are not in order: one sum would have two names.");
    }
    const bool releases = step.kind == StepKind::kRelease;
    if (FindSite(releases ? terms.pinned : facts.roster, members[i]) == nullptr) {
      return No(GateRule::kUnknownMember,
                fmt::format("member '{}' {}.", members[i],
                            releases ? "is no site of the study" : "does not stand in the roster"));
    }
  }
  admission.member = Contains(members, ledger_.site());
  if (step.kind == StepKind::kRelease) {
    if (admission.member) return {};
    return No(GateRule::kUnknownMember,
              "this site is asked for a release and is no member of its scope.");
  }
  if (members.size() < terms.min_sites) {
    return No(GateRule::kMinSites,
              fmt::format("the sum is over {} sites, expected at least {}.", members.size(),
                          terms.min_sites),
              {{PublicField::kMembers, Count(members.size())},
               {PublicField::kMinSites, terms.min_sites}});
  }
  if (members.size() < static_cast<std::size_t>(kMinSitesPrivate)) {
    admission.waived.push_back(
        fmt::format("{}: a sum over {} sites", Name(GateRule::kMinSites), members.size()));
  }
  if (state.attempt != facts.attempt || terms.leave_one_center_out) return {};
  for (const std::vector<std::string>& other : state.member_sets) {
    std::vector<std::string> difference;
    std::set_symmetric_difference(members.begin(), members.end(), other.begin(), other.end(),
                                  std::back_inserter(difference));
    if (difference.empty() || difference.size() >= terms.min_sites) continue;
    std::string names;
    for (const std::string& site : difference) names += (names.empty() ? "" : ", ") + site;
    const std::string what =
        fmt::format("the sum and an earlier one differ by the sites {} alone", names);
    if (!terms.public_data) {
      return No(GateRule::kNoConsent, what + ".",
                {{PublicField::kMembers, Count(difference.size())}});
    }
    admission.waived.push_back(fmt::format("{}: {}", Name(GateRule::kNoConsent), what));
    break;
  }
  return {};
}

Ruling<void> Gate::CheckRows(const Digest& study, const StudyState& state,
                             std::span<const RowSet> sets, std::vector<std::string>& waived) const {
  const auto min_cell = static_cast<std::size_t>(state.terms.min_cell);
  const Counts told = {
      {PublicField::kMinCell, state.terms.min_cell}};  // how many differ stays here
  const auto judge = [&](std::string what) -> Ruling<void> {
    if (!state.terms.public_data) return No(GateRule::kRowSetsDiffer, std::move(what), told);
    const std::string note = fmt::format("{}: {}", Name(GateRule::kRowSetsDiffer), what);
    if (std::find(waived.begin(), waived.end(), note) == waived.end()) waived.push_back(note);
    return {};
  };
  const auto is_close = [&](const RowSet& a, const RowSet& b) {
    const std::size_t difference = DifferenceCount(a, b);
    return difference > 0 && difference < min_cell;
  };
  for (std::size_t s = 0; s < sets.size(); ++s) {
    const RowSet& set = sets[s];
    if (set.empty() || state.row_sets.contains(DigestOf(set))) continue;
    if (set.size() < min_cell) {  // differs from no rows at all by too few
      CONSILIUM_TRY_RULING(judge(fmt::format(
          "a sum over {} rows of this site, expected 0 or at least {}.", set.size(), min_cell)));
    }
    for (std::size_t t = 0; t < s; ++t) {
      if (is_close(set, sets[t])) {
        CONSILIUM_TRY_RULING(
            judge(fmt::format("two row sets of this question ({} and {} rows) differ by {} rows.",
                              set.size(), sets[t].size(), DifferenceCount(set, sets[t]))));
      }
    }
    for (const auto& [other_study, other] : studies_) {
      if (other_study != study && !ShareAColumn(state.terms.columns, other.terms.columns)) continue;
      for (const auto& [digest, answered] : other.row_sets) {
        if (!is_close(set, answered)) continue;
        CONSILIUM_TRY_RULING(judge(
            fmt::format("{} rows of this site differ by {} rows from the {} rows {} answered "
                        "for{}; expected 0 or at least {}.",
                        set.size(), DifferenceCount(set, answered), answered.size(), Short(digest),
                        other_study == study ? std::string(" this study")
                                             : fmt::format(" the study '{}'", other.name),
                        min_cell)));
      }
    }
  }
  return {};
}

Ruling<void> Gate::CheckPlannedRowSets(const Digest& study, std::span<const RowSet> planned) const {
  const auto found = studies_.find(study);
  if (found == studies_.end())
    return No(GateRule::kStudyNotApproved, "the study was not approved at this site.");
  std::vector<std::string> waived;
  return CheckRows(study, found->second, planned, waived);
}

// What two sums at one point tell is the curvature over the rows in which they differ. So it is
// held to the bound of rule 4 over the rows known to be there: this site's, or all sites' where the
// query tells them; min_sites * min_cell at least, by rules 1 and 3.
Ruling<void> Gate::CheckCurvature(const StudyState& state, const Query& query, const MyRows& rows,
                                  const Disclosure& disclosure) const {
  const std::int64_t columns = disclosure.curvature_columns;
  if (columns < 0) return No(GateRule::kMalformedQuery, "a negative number of curvature columns.");
  if (columns == 0) return {};
  const double of_sum = disclosure.rows_of_sum;
  if (!(of_sum >= 0 && of_sum <= kRowsOfSumMax)) {
    return No(GateRule::kMalformedQuery, "curvature without a number of rows of the sum.");
  }
  const auto columns_max = static_cast<std::int64_t>(std::floor(kColumnsPerRow * of_sum));
  if (state.terms.strict_curvature && columns > columns_max) {
    return No(GateRule::kCurvatureTooWide,
              fmt::format("curvature of {} columns over {} rows, expected at most {}.", columns,
                          of_sum, columns_max),
              {{PublicField::kColumns, columns}, {PublicField::kColumnsMax, columns_max}});
  }
  const bool null_point =
      disclosure.curvature_at_null_point || disclosure.curvature_point == Digest{};
  const auto used = state.curvature.find(null_point ? Digest{} : disclosure.curvature_point);
  if (used == state.curvature.end()) return {};
  const Pattern pattern{query.scope.members, query.scope.left_out_fold};
  const auto full = used->second.find(Pattern{pattern.members, 0});
  for (const auto& [other, use] : used->second) {
    if (other == pattern) continue;
    const auto mine = state.row_sets.find(use.mine);
    const std::size_t differing = mine == state.row_sets.end()
                                      ? rows.training.size()
                                      : DifferenceCount(rows.training, mine->second);
    double rows_between =
        std::max<double>(static_cast<double>(differing > 0 ? differing : rows.training.size()),
                         static_cast<double>(state.terms.min_sites) * state.terms.min_cell);
    if (other.members == pattern.members) {
      const auto then = static_cast<double>(use.rows_of_sum);
      if (other.left_out_fold == 0 || pattern.left_out_fold == 0) {
        rows_between = std::max(rows_between, std::fabs(of_sum - then));
      } else if (full != used->second.end()) {
        const auto all = static_cast<double>(full->second.rows_of_sum);
        rows_between = std::max(rows_between, (all - of_sum) + (all - then));
      }
    }
    if (static_cast<double>(columns) <= kColumnsPerRow * rows_between) continue;
    return No(
        null_point ? GateRule::kCurvatureNullPoint : GateRule::kCurvatureSharedPoint,
        fmt::format(
            "curvature of {} columns at {} that another pattern of sites and folds has asked.",
            columns,
            null_point ? std::string("the point without slopes")
                       : "the point " + Short(disclosure.curvature_point)),
        {{PublicField::kColumns, columns}});
  }
  return {};
}

Ruling<Gate::Admission> Gate::Check(const RoundFacts& facts, const Query& query, const Step* step,
                                    const MyRows& rows) const {
  Admission admission;
  admission.query = federation::DigestOf(query);
  const auto found = studies_.find(facts.study);
  if (found == studies_.end()) {
    return No(GateRule::kStudyNotApproved, "the study was not approved at this site.");
  }
  const StudyState& state = found->second;
  if (state.ended) {
    return No(GateRule::kAttemptMixed, "the study has ended here.",
              {{PublicField::kRound, static_cast<std::int64_t>(facts.round)},
               {PublicField::kAttempt, facts.attempt}});
  }
  if (!facts.derived) {
    return No(
        GateRule::kNotDerived,
        fmt::format(
            "the question is not the one that follows from the signed study and the totals; first "
            "difference: {} '{}'.",
            Name(facts.difference), PlainText(facts.difference_name)),
        {{PublicField::kRound, static_cast<std::int64_t>(facts.round)},
         {PublicField::kAttempt, facts.attempt}},
        facts.difference);
  }
  if (step == nullptr || step->name != query.step) {
    return No(GateRule::kUnknownStep,
              fmt::format("step '{}' is not installed.", PlainText(query.step)));
  }
  if (!IsName(query.step) || !IsName(query.scope.fit) || query.scope.left_out_fold < 0) {
    return No(GateRule::kMalformedQuery, "the step, the fit or the left-out fold is not plain.");
  }
  CONSILIUM_TRY_RULING(CheckRoster(facts, state, step->kind));
  CONSILIUM_TRY_RULING(CheckAttempt(facts, state));
  CONSILIUM_TRY_RULING(CheckMembers(query, *step, state, facts, admission));
  if (step->kind == StepKind::kSum) {
    auto layout = step->layout ? step->layout(query)
                               : Result<std::vector<federation::BlockLayout>>(
                                     Fail(ErrorCode::kInternal, "the step names no layout"));
    if (!layout) return No(GateRule::kMalformedQuery, layout.error().message);
    admission.layout = std::move(*layout);
  }
  if (step->disclosure) {
    auto disclosure = step->disclosure(query);
    if (!disclosure) return No(GateRule::kMalformedQuery, disclosure.error().message);
    admission.disclosure = *disclosure;
  }
  if (!IsRowSet(rows.training) || !IsRowSet(rows.left_out)) {
    return No(GateRule::kMalformedQuery, "row numbers are not ascending.");
  }
  if (!admission.member && !(rows.training.empty() && rows.left_out.empty())) {
    return No(GateRule::kMalformedQuery,
              "rows of this site would enter a sum that it is no member of.");
  }
  if (admission.member && state.cohort && *state.cohort != rows.cohort) {
    return No(GateRule::kCohortChanged,
              fmt::format("the cohort is {}, expected {} of the first answer.", Short(rows.cohort),
                          Short(*state.cohort)));
  }
  const std::int64_t parent_min = admission.disclosure.histogram_parent_count_min;
  if (parent_min >= 0 && parent_min < static_cast<std::int64_t>(state.terms.min_cell)) {
    return No(GateRule::kBinTooFine,
              fmt::format("a bin of {} rows is split further, expected at least {}.", parent_min,
                          state.terms.min_cell),
              {{PublicField::kMinCell, state.terms.min_cell}});
  }
  if (admission.disclosure.scores_a_model && admission.member) {
    const auto scored = state.scored.find(query.scope.fit);
    if (scored != state.scored.end() && scored->second != admission.query) {
      return No(GateRule::kSecondScoring,
                fmt::format("{} was scored here before, by the question {}.",
                            FitInWords(query.scope.fit, query.scope.left_out_fold),
                            Short(scored->second)));
    }
  }
  const std::array<RowSet, 2> sets = {rows.training, rows.left_out};
  CONSILIUM_TRY_RULING(CheckRows(facts.study, state, sets, admission.waived));
  CONSILIUM_TRY_RULING(CheckCurvature(state, query, rows, admission.disclosure));
  return admission;
}

LedgerRecord Gate::RecordIn(LedgerEvent event, const RoundFacts& facts) const {
  LedgerRecord record;
  record.event = event;
  record.unix_ms = facts.unix_ms;
  record.study = facts.study;
  const auto found = studies_.find(facts.study);
  if (found != studies_.end()) record.study_name = found->second.name;
  record.round = facts.round;
  record.attempt = facts.attempt;
  record.round_digest = facts.round_digest;
  record.roster = facts.roster_hash;
  return record;
}

void Gate::WriteRefusal(LedgerRecord record) {
  // A refusal that cannot be written is a refusal all the same: nothing leaves with it, and a
  // restart finds out again.
  if (!refusals_.contains(RefusalKey(record))) static_cast<void>(Write(std::move(record)));
}

LedgerRecord Gate::RecordOf(LedgerEvent event, const RoundFacts& facts, const Query& query,
                            const MyRows& rows, const Admission& admission) const {
  LedgerRecord record = RecordIn(event, facts);
  record.query = admission.query;
  record.roster_sites = SitesOf(facts.roster);
  record.step = query.step;
  record.fit = query.scope.fit;
  record.members = query.scope.members;
  record.left_out_fold = query.scope.left_out_fold;
  record.cohort = rows.cohort;
  record.training_rows = rows.training.size();
  record.training_set = DigestOf(rows.training);
  record.left_out_rows = rows.left_out.size();
  record.left_out_set = DigestOf(rows.left_out);
  record.curvature_columns = admission.disclosure.curvature_columns;
  record.curvature_at_null_point = admission.disclosure.curvature_at_null_point;
  record.curvature_point = admission.disclosure.curvature_point;
  if (record.curvature_columns > 0)
    record.rows_of_sum = static_cast<std::int64_t>(admission.disclosure.rows_of_sum);
  record.scores_a_model = admission.disclosure.scores_a_model;
  record.waived = admission.waived;
  const auto found = studies_.find(facts.study);
  if (found != studies_.end()) {
    for (const RowSet* set : {&rows.training, &rows.left_out}) {
      if (!set->empty() && !found->second.row_sets.contains(DigestOf(*set))) {
        record.new_row_sets.push_back(EncodeRowSet(*set));
      }
    }
  }
  return record;
}

Refusal Gate::Refused(const RoundFacts& facts, const Query& query, Refusal refusal) {
  LedgerRecord record = RecordIn(LedgerEvent::kQueryRefused, facts);
  record.query = federation::DigestOf(query);
  record.step = query.step;
  record.fit = query.scope.fit;
  record.left_out_fold = query.scope.left_out_fold;
  record.rule = Name(refusal.rule);
  record.detail = refusal.message;
  record.sentence = fmt::format("Round {}: sent nothing; refused '{}' for {}: {}: {} {}",
                                facts.round, PlainText(query.step).substr(0, 100),
                                PlainText(FitInWords(query.scope.fit, query.scope.left_out_fold)),
                                record.rule, refusal.message, Advice(refusal.rule));
  WriteRefusal(std::move(record));
  return refusal;
}

Ruling<Gate::Admission> Gate::Admit(const RoundFacts& facts, const Query& query, const Step* step,
                                    const MyRows& rows, std::optional<StepKind> kind) {
  auto admission = Check(facts, query, step, rows);
  if (admission && kind && step->kind != *kind) {
    admission = No(GateRule::kMalformedQuery, *kind == StepKind::kSum
                                                  ? "the step releases; it has no sum."
                                                  : "the step sums; it has no release.");
  }
  if (!admission) return tl::unexpected<Refusal>(Refused(facts, query, admission.error()));
  return admission;
}

Ruling<void> Gate::AdmitQuery(const RoundFacts& facts, const Query& query, const Step* step,
                              const MyRows& rows) {
  const auto admission = Admit(facts, query, step, rows, std::nullopt);
  if (!admission) return tl::unexpected<Refusal>(admission.error());
  return {};
}

Ruling<std::span<const std::uint8_t>> Gate::AdmitAnswer(const RoundFacts& facts, const Query& query,
                                                        const Step* step, const MyRows& rows,
                                                        std::span<const std::uint8_t> words,
                                                        bool masked) {
  const auto no = [&](GateRule rule, std::string message, Counts counts = {}) {
    return tl::unexpected<Refusal>(
        Refused(facts, query, {rule, std::move(message), std::move(counts), {}}));
  };
  const auto admission = Admit(facts, query, step, rows, StepKind::kSum);
  if (!admission) return tl::unexpected<Refusal>(admission.error());
  const StudyState& state = studies_.at(facts.study);
  const std::size_t expected = federation::ByteCount(admission->layout);
  if (words.size() != expected) {
    return no(GateRule::kAnswerSize,
              fmt::format("the answer has {} bytes, expected {}.", words.size(), expected),
              {{PublicField::kBytes, Count(words.size())},
               {PublicField::kBytesExpected, Count(expected)}});
  }
  if (!masked && state.terms.masks)
    return no(GateRule::kNotMasked, "the answer's words are not masked.");

  LedgerRecord record = RecordOf(LedgerEvent::kQueryAnswered, facts, query, rows, *admission);
  record.content = Sha256(words);
  record.bytes = words.size();
  record.masked = masked;
  const auto before = state.answers.find({facts.round, record.query});
  if (state.attempt == facts.attempt && before != state.answers.end()) {
    if (before->second == record.content) return words;  // the same again: already written down
    return no(GateRule::kAnswerChanged,
              fmt::format("round {} was answered with bytes {}, now they are {}.", facts.round,
                          Short(before->second), Short(record.content)));
  }
  std::uint64_t numbers = 0;
  for (const federation::BlockLayout& block : admission->layout) {
    numbers += static_cast<std::uint64_t>(block.rows) * static_cast<std::uint64_t>(block.cols);
  }
  const std::string fit = FitInWords(query.scope.fit, query.scope.left_out_fold);
  const std::size_t others = query.scope.members.size();
  if (!rows.training.empty() || !rows.left_out.empty()) {
    record.equations = numbers;
    record.sentence = fmt::format(
        "Round {}: sent {} {} sums over my {} training rows{} for {} ({}); {}.", facts.round,
        numbers, masked ? "masked" : "UNMASKED", rows.training.size(),
        rows.left_out.empty() ? "" : fmt::format(" and {} left-out rows", rows.left_out.size()),
        fit, query.step,
        masked ? fmt::format("the coordinator sees only the total over {} hospitals", others)
               : "the coordinator sees this hospital's own sums (published data)");
  } else {
    record.sentence =
        fmt::format("Round {}: sent {} zeros for {} ({}), in which no row of mine takes part.",
                    facts.round, numbers, fit, query.step);
  }
  if (auto written = Write(std::move(record)); !written)
    return tl::unexpected<Refusal>(written.error());
  return words;
}

Ruling<Release> Gate::AdmitRelease(const RoundFacts& facts, const Query& query, const Step* step,
                                   const MyRows& rows, const ClassCounts& counts,
                                   const Release& release) {
  const auto no = [&](GateRule rule, std::string message) {
    return tl::unexpected<Refusal>(Refused(facts, query, {rule, std::move(message), {}, {}}));
  };
  const auto admission = Admit(facts, query, step, rows, StepKind::kRelease);
  if (!admission) return tl::unexpected<Refusal>(admission.error());
  const StudyState& state = studies_.at(facts.study);
  const auto row_count = Count(rows.training.size() + rows.left_out.size());
  if (counts.rows() > row_count) {
    return no(GateRule::kReleaseMalformed,
              fmt::format("classes of {} rows in a scope of {} rows.", counts.rows(), row_count));
  }
  auto safe =
      Suppress(state.terms.releases, static_cast<int>(state.terms.min_cell), counts, release);
  if (!safe) {
    const bool unlisted = safe.error().code == ErrorCode::kNotFound;
    return no(unlisted ? GateRule::kReleaseNotListed : GateRule::kReleaseMalformed,
              safe.error().message + ".");
  }
  LedgerRecord record = RecordOf(LedgerEvent::kReleaseGiven, facts, query, rows, *admission);
  record.content = DigestOfRelease(safe->release);
  const auto before = state.answers.find({facts.round, record.query});
  if (state.attempt == facts.attempt && before != state.answers.end()) {
    if (before->second == record.content) return std::move(safe->release);
    return no(GateRule::kAnswerChanged,
              fmt::format("round {} was answered with another release.", facts.round));
  }
  std::string names;
  for (const federation::Block& block : safe->release.blocks) {
    record.equations += static_cast<std::uint64_t>(block.values.size());
    names += (names.empty() ? "" : ", ") + block.name;
  }
  record.bytes = record.equations * sizeof(double);
  for (const Withheld& one : safe->withheld) {
    record.detail += fmt::format("{}{}: {}", record.detail.empty() ? "" : "; ",
                                 safe->release.blocks[one.block].name,
                                 Explain(one.reason, static_cast<int>(state.terms.min_cell)));
  }
  record.sentence = fmt::format(
      "Round {}: released {} numbers about my {} rows as a group for {} ({}): {}. The coordinator "
      "sees them as this "
      "hospital's.{}",
      facts.round, record.equations, counts.rows(),
      FitInWords(query.scope.fit, query.scope.left_out_fold), query.step, names,
      record.detail.empty() ? "" : " Withheld or merged: " + record.detail + ".");
  if (auto written = Write(std::move(record)); !written)
    return tl::unexpected<Refusal>(written.error());
  return std::move(safe->release);
}

Ruling<void> Gate::RecordTotal(const RoundFacts& facts, const Digest& total) {
  if (!studies_.contains(facts.study))
    return No(GateRule::kStudyNotApproved, "the study was not approved at this site.");
  if (studies_.at(facts.study).totals.contains({facts.attempt, facts.round})) return {};
  LedgerRecord record = RecordIn(LedgerEvent::kTotalReceived, facts);
  record.content = total;
  record.sentence =
      fmt::format("Round {}: received the round's totals ({}).", facts.round, Short(total));
  return Write(std::move(record));
}

Refusal Gate::RefuseTotal(const RoundFacts& facts, const Digest& total, GateRule rule,
                          std::string_view why) {
  CONSILIUM_CHECK(rule == GateRule::kTotalNotTheSum || rule == GateRule::kReleaseNotSigned,
                  "a total is refused by a rule on totals");
  Refusal refusal{rule, std::string(why), {}, {}};
  LedgerRecord record = RecordIn(LedgerEvent::kQueryRefused, facts);
  record.content = total;
  record.rule = Name(rule);
  record.detail = why;
  record.sentence = fmt::format("Round {}: did not believe the round's totals ({}): {}: {} {}",
                                facts.round, Short(total), record.rule, why, Advice(rule));
  distrusted_.try_emplace(facts.study, refusal);
  WriteRefusal(std::move(record));
  return refusal;
}

std::optional<Refusal> Gate::IsDistrusted(const Digest& study) const {
  const auto found = distrusted_.find(study);
  return found == distrusted_.end() ? std::nullopt : std::optional<Refusal>(found->second);
}

Ruling<void> Gate::EndAttempt(const Digest& study, std::uint32_t attempt, std::string_view why,
                              std::int64_t unix_ms) {
  const auto found = studies_.find(study);
  if (found == studies_.end())
    return No(GateRule::kStudyNotApproved, "the study was not approved at this site.");
  const StudyState& state = found->second;
  if (state.ended) return {};
  if (state.attempt &&
      (attempt < *state.attempt || (attempt == *state.attempt && state.attempt_ended)))
    return {};
  if (state.attempt && attempt > *state.attempt) {
    return No(GateRule::kAttemptMixed,
              fmt::format("attempt {} cannot end: attempt {} is running.", attempt, *state.attempt),
              {{PublicField::kAttempt, attempt}});
  }
  LedgerRecord record;
  record.event = LedgerEvent::kAttemptEnded;
  record.unix_ms = unix_ms;
  record.study = study;
  record.study_name = state.name;
  record.attempt = attempt;
  record.detail = why;
  record.sentence =
      fmt::format("Attempt {} of the study '{}' ended: {}", attempt, state.name, PlainText(why));
  return Write(std::move(record));
}

Ruling<void> Gate::EndStudy(const Digest& study, std::string_view how, std::int64_t unix_ms) {
  const auto found = studies_.find(study);
  if (found == studies_.end() || found->second.ended) return {};
  LedgerRecord record;
  record.event = LedgerEvent::kStudyEnded;
  record.unix_ms = unix_ms;
  record.study = study;
  record.study_name = found->second.name;
  record.detail = how;
  record.sentence = fmt::format("The study '{}' is over here ({}): nothing more of it is answered.",
                                record.study_name, PlainText(how));
  return Write(std::move(record));
}

}  // namespace consilium::site_agent
