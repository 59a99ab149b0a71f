#include "site_agent/site.h"

#include <fmt/format.h>

#include <algorithm>

#include "federation/fixed_point.h"
#include "site_agent/suppression.h"
#include "study/program.h"
#include "study/study_file.h"

namespace consilium::site_agent {

using federation::BlockLayout;
using federation::Query;
using federation::Step;
using federation::StepKind;

namespace {

QueryPart PartOf(study::QueryDifference::Part part) {
  using Part = study::QueryDifference::Part;
  switch (part) {
    case Part::kStep:
      return QueryPart::kStep;
    case Part::kScope:
      return QueryPart::kScope;
    case Part::kBlock:
      return QueryPart::kBlock;
    case Part::kCount:
      return QueryPart::kCount;
    case Part::kNone:
      break;
  }
  return QueryPart::kNone;
}

// Which part of a round's binding is not that of the round itself: the questions are the ones that
// follow.
std::string BindingDifference(const RoundQuestion& question, const RoundFacts& facts,
                              const study::Study& study, const study::StudyReplay& replay) {
  if (question.binding.study != study.digest) return "the binding is of another study";
  if (question.binding.round != replay.round())
    return fmt::format("the round is {}, expected {}", question.binding.round, replay.round());
  if (question.binding.query != facts.round_digest) return "the binding is of another question";
  if (question.binding.roster != facts.roster_hash) return "the binding is of another roster";
  return "the roster is not the training centers of the signed study";
}

// A round whose question this site derived itself, as it meets the total.
RoundFacts FactsOfTotal(const RoundQuestion& question) {
  RoundFacts facts;
  facts.study = question.binding.study;
  facts.round = question.binding.round;
  facts.attempt = question.binding.attempt;
  facts.round_digest = question.binding.query;
  for (const auto& [site, keys] : question.roster)
    facts.roster.push_back({site, FingerprintOf(keys)});
  facts.roster_hash = question.binding.roster;
  facts.derived = true;
  return facts;
}

}  // namespace

SiteIdentity CopyOf(const SiteIdentity& identity) {
  return {identity.name, federation::SigningKey::FromSeed(identity.signing.Seed()),
          federation::AgreementKey::FromSecret(identity.agreement.Secret()), identity.secret};
}

SiteIdentity IdentityFromSeed(std::string name, std::uint64_t seed) {
  ByteWriter writer;
  writer.U64(seed);
  writer.Text(name);
  const auto key = [&](std::string_view purpose) {
    const Bytes bytes = HkdfSha256(writer.bytes(), {}, purpose, 32);
    federation::KeyBytes out{};
    std::copy(bytes.begin(), bytes.end(), out.begin());
    return out;
  };
  const federation::KeyBytes secret = key("consilium seeded secret");
  return {std::move(name), federation::SigningKey::FromSeed(key("consilium seeded signing key")),
          federation::AgreementKey::FromSecret(key("consilium seeded agreement key")),
          Bytes(secret.begin(), secret.end())};
}

Digest FingerprintOf(const federation::SiteKeys& keys) {
  ByteWriter writer;
  writer.Text("consilium site keys 1");
  writer.Raw(keys.signing.bytes());
  writer.Raw(keys.agreement);
  return Sha256(writer.bytes());
}

Approval AcceptAll(const study::Study& study,
                   const std::map<std::string, federation::SiteKeys>& keys) {
  Approval approval;
  for (const auto& [site, site_keys] : keys)
    approval.pinned.push_back({site, FingerprintOf(site_keys)});
  approval.columns = study::StepColumns(study);
  approval.columns.push_back(study.outcome);
  approval.releases = StandardReleases();
  approval.public_data = study.policy == study::Policy::kPublicData;
  approval.fast_curvature = !study.privacy.strict_curvature;
  approval.restart_without = study.quorum.then == "restart-without";
  approval.leave_one_center_out = study.design == study::Design::kLeaveOneCenterOut;
  return approval;
}

Site::Site(const study::Study& study, const federation::StepRegistry& registry,
           SiteIdentity identity, federation::Cohort cohort, Gate& gate)
    : study_(study),
      registry_(registry),
      identity_(std::move(identity)),
      cohort_(std::move(cohort)),
      gate_(gate) {
  // The steps count the variables' columns behind the features.
  const Eigen::Index features = cohort_.features.cols(), variables = cohort_.covariates.cols();
  cohort_.features.conservativeResize(cohort_.features.rows(), features + variables);
  cohort_.features.rightCols(variables) = cohort_.covariates;
  cohort_.feature_names.insert(cohort_.feature_names.end(), cohort_.covariate_names.begin(),
                               cohort_.covariate_names.end());
  cohort_digest_ = DigestOf(cohort_);
}

Result<std::unique_ptr<Site>> Site::Join(const study::Study& study,
                                         const federation::StepRegistry& registry,
                                         SiteIdentity identity, federation::Cohort cohort,
                                         const federation::Roster& roster, const Approval& approval,
                                         Gate& gate, const study::Study* whole) {
  auto site = std::unique_ptr<Site>(
      new Site(study, registry, std::move(identity), std::move(cohort), gate));
  site->roster_digest_ = federation::DigestOf(roster);
  const auto within = [&](const Refusal& refusal) {
    return tl::unexpected<Error>(Within(fmt::format("site {}", site->name()), refusal.ToError()));
  };
  if (const auto approved = site->gate_.ApproveStudy(whole == nullptr ? study : *whole, approval);
      !approved)
    return within(approved.error());
  auto numbers = site->gate_.NumberRows(RowNames(site->cohort_, site->identity_.secret));
  if (!numbers) return within(numbers.error());
  site->row_numbers_ = std::move(*numbers);
  if (roster.contains(site->name())) {
    auto masker = federation::Masker::Create(site->name(), site->identity_.agreement, roster);
    if (!masker)
      return tl::unexpected<Error>(Within(fmt::format("site {}", site->name()), masker.error()));
    site->masker_ = std::move(*masker);
    std::vector<RowSet> planned;
    for (int fold = 0; fold <= study.folds.count; ++fold) {
      const MyRows rows = site->RowsOf({"", {site->name()}, fold});
      planned.push_back(rows.training);
    }
    if (const auto allowed = site->gate_.CheckPlannedRowSets(study.digest, planned); !allowed)
      return within(allowed.error());
  }
  return site;
}

MyRows Site::RowsOf(const federation::Scope& scope) const {
  return NumberedRows(federation::Context{cohort_}.Rows(scope), row_numbers_, cohort_digest_);
}

Result<void> Site::Derive(const Query& query, const Step& step) {
  const federation::Context context{cohort_};
  if (!step.derive || !context.IsMember(query.scope)) return {};
  auto value = step.derive(context, derived_, query);
  CONSILIUM_TRY(value);
  derived_.Put(query.scope.fit, step.derived_name, std::move(*value));
  return {};
}

Result<Bytes> Site::SumWords(const Query& query, const Step& step, int site_count) {
  const auto layout = step.layout(query);
  CONSILIUM_TRY(layout);
  const federation::Context context{cohort_};
  if (!context.IsMember(query.scope)) return federation::ZeroWords(*layout);
  CONSILIUM_TRY(Derive(query, step));
  const auto answer = step.answer(context, derived_, query);
  CONSILIUM_TRY(answer);
  return federation::EncodeWords(*answer, *layout, site_count);
}

Result<RoundAnswer> Site::Answer(const RoundQuestion& question, const study::StudyReplay& replay) {
  const auto failed = [&](const Error& error) {
    const std::string here = fmt::format("site {}", name());
    // A step that read the cohort has named the site already.
    if (error.message.rfind(here + ": ", 0) == 0) return tl::unexpected<Error>(error);
    return tl::unexpected<Error>(Within(here, error));
  };
  const auto refused = [&](const Refusal& refusal) { return failed(refusal.ToError()); };
  RoundFacts facts;
  facts.study = question.binding.study;
  facts.round = question.binding.round;
  facts.attempt = question.binding.attempt;
  facts.round_digest = federation::DigestOf(question.queries);
  for (const auto& [site, keys] : question.roster)
    facts.roster.push_back({site, FingerprintOf(keys)});
  facts.roster_hash = federation::DigestOf(question.roster);
  facts.derived =
      facts.round_digest == replay.digest() && facts.round_digest == question.binding.query &&
      facts.roster_hash == question.binding.roster && question.binding.round == replay.round() &&
      question.binding.study == study_.digest;
  std::size_t different = 0;
  if (!facts.derived) {
    const study::QueryDifference difference = study::Compare(replay.queries(), question.queries);
    facts.difference = PartOf(difference.part);
    facts.difference_name = difference.name.empty()
                                ? BindingDifference(question, facts, study_, replay)
                                : difference.name;
    different =
        std::min(difference.query, question.queries.empty() ? 0 : question.queries.size() - 1);
  }
  if (const auto distrusted = gate_.IsDistrusted(study_.digest)) return refused(*distrusted);
  if (question.queries.empty())
    return failed({ErrorCode::kInvalidArgument, "a round without a question"});
  if (!facts.derived) {
    const Query& query = question.queries[different];
    const auto ruling =
        gate_.AdmitQuery(facts, query, registry_.Find(query.step), RowsOf(query.scope));
    CONSILIUM_CHECK(!ruling.has_value(), "the gate admits no query that does not follow");
    return refused(ruling.error());
  }
  const bool sums_here = question.roster.contains(name());
  if (facts.roster_hash != roster_digest_) {
    // The gate's own rules name what is wrong with most rosters (keys, members, a change within an
    // attempt); one that they allow is still not the one whose masks this site holds.
    const Query& query = question.queries.front();
    const Step* step = registry_.Find(query.step);
    if (const auto ruling = gate_.AdmitQuery(facts, query, step, RowsOf(query.scope)); !ruling)
      return refused(ruling.error());
    facts.derived = false;
    facts.difference_name = BindingDifference(question, facts, study_, replay);
    const auto ruling = gate_.AdmitQuery(facts, query, step, RowsOf(query.scope));
    CONSILIUM_CHECK(!ruling.has_value(), "the gate admits no query that does not follow");
    return refused(ruling.error());
  }
  RoundAnswer answer;
  std::vector<MyRows> rows;
  std::vector<Bytes> pieces;
  std::vector<BlockLayout> layout;
  const int site_count = static_cast<int>(question.roster.size());
  for (const Query& query : question.queries) {
    const Step* step = registry_.Find(query.step);
    rows.push_back(RowsOf(query.scope));
    pieces.emplace_back();
    const bool member = federation::Context{cohort_}.IsMember(query.scope);
    const bool mine = step == nullptr || (step->kind == StepKind::kSum ? sums_here : member);
    if (!mine) continue;
    if (const auto ruling = gate_.AdmitQuery(facts, query, step, rows.back()); !ruling)
      return refused(ruling.error());
    if (step->kind == StepKind::kSum) {
      auto words = SumWords(query, *step, site_count);
      if (!words) return failed(words.error());
      const auto piece_layout = step->layout(query);
      layout.insert(layout.end(), piece_layout->begin(), piece_layout->end());
      pieces.back() = std::move(*words);
    }
  }
  if (sums_here && !sum_key_)
    return refused(
        {GateRule::kSumShare, "the sum key of the attempt is not known here yet.", {}, {}});
  std::size_t total_bytes = 0;
  for (const Bytes& piece : pieces) total_bytes += piece.size();
  std::vector<std::size_t> sizes;
  for (Bytes& piece : pieces) {
    sizes.push_back(piece.size());
    if (piece.size() == total_bytes) {  // all there is
      answer.words = std::move(piece);
    } else {
      answer.words.reserve(total_bytes);
      answer.words.insert(answer.words.end(), piece.begin(), piece.end());
    }
    piece = Bytes();
  }
  federation::SumTag tag{};
  if (sums_here) {
    tag = federation::AddTags(sum_key_->Tag(question.binding, name(), layout, answer.words),
                              masker_->TagMask(question.binding));
  }
  if (total_bytes > 0 && study_.privacy.masks) {
    if (const auto masked = masker_->Apply(question.binding, layout, answer.words); !masked)
      return failed(masked.error());
  }
  std::size_t at = 0;
  for (std::size_t q = 0; q < question.queries.size(); ++q) {
    const Query& query = question.queries[q];
    const Step* step = registry_.Find(query.step);
    if (step->kind == StepKind::kSum && sums_here) {
      const auto piece = std::span<const std::uint8_t>(answer.words).subspan(at, sizes[q]);
      at += sizes[q];
      const auto admitted =
          gate_.AdmitAnswer(facts, query, step, rows[q], piece, study_.privacy.masks);
      if (!admitted) return refused(admitted.error());
      if (!rows[q].training.empty() || !rows[q].left_out.empty())
        equations_ += ledger().last().equations;
    } else if (step->kind == StepKind::kRelease &&
               federation::Context{cohort_}.IsMember(query.scope)) {
      const auto released = step->release(federation::Context{cohort_}, derived_, query);
      if (!released) return failed(released.error());
      ClassCounts counts;
      const Eigen::MatrixXd* told = federation::Find(released->blocks, "counts");
      if (told != nullptr && told->size() == 2) {
        counts = {static_cast<std::int64_t>((*told)(0, 0)),
                  static_cast<std::int64_t>((*told)(0, 1))};
      }
      auto admitted = gate_.AdmitRelease(facts, query, step, rows[q], counts, *released);
      if (!admitted) return refused(admitted.error());
      ByteWriter writer;
      for (const federation::Block& block : admitted->blocks) Encode(block, writer);
      bytes_up_ += writer.bytes().size();
      answer.releases[static_cast<std::uint32_t>(q)] = std::move(*admitted);
    }
    if (step->forgets_fit) derived_.Forget(query.scope.fit);
  }
  answer.receipt = federation::Sign(question.binding, name(), answer.words, answer.releases, tag,
                                    identity_.signing);
  bytes_up_ += total_bytes;
  ++answers_;
  return answer;
}

Result<void> Site::Rederive(const std::vector<Query>& queries) {
  for (const Query& query : queries) {
    const Step* step = registry_.Find(query.step);
    if (step == nullptr)
      return Fail(ErrorCode::kNotFound,
                  fmt::format("site {}: no step '{}' is installed here", name(), query.step));
    CONSILIUM_TRY(Derive(query, *step));
    if (step->forgets_fit) derived_.Forget(query.scope.fit);
  }
  return {};
}

Result<void> Site::TotalReceived(const RoundQuestion& question, const Digest& total) {
  if (const auto recorded = gate_.RecordTotal(FactsOfTotal(question), total); !recorded) {
    return tl::unexpected<Error>(
        Within(fmt::format("site {}", name()), recorded.error().ToError()));
  }
  return {};
}

Error Site::RefuseTotal(const RoundQuestion& question, const Digest& total, GateRule rule,
                        std::string_view why) {
  return Within(fmt::format("site {}", name()),
                gate_.RefuseTotal(FactsOfTotal(question), total, rule, why).ToError());
}

std::optional<Error> Site::Distrust() const {
  const auto refusal = gate_.IsDistrusted(study_.digest);
  if (!refusal) return std::nullopt;
  return Within(fmt::format("site {}", name()), refusal->ToError());
}

Result<void> Site::EndAttempt(std::uint32_t attempt, std::string_view why) {
  if (const auto ended = gate_.EndAttempt(study_.digest, attempt, why); !ended)
    return tl::unexpected<Error>(Within(fmt::format("site {}", name()), ended.error().ToError()));
  return {};
}

}  // namespace consilium::site_agent
