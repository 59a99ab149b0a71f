#include "site_agent/study_agent.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "federation/fixed_point.h"
#include "federation/log.h"
#include "federation/sum_tag.h"
#include "site_agent/plan.h"
#include "study/program.h"
#include "study/study_file.h"

namespace consilium::site_agent {

using federation::LogEntry;
using federation::LogHeader;
using federation::Roster;
using study::Study;

struct StudyAgent::Impl {
  // An attempt that this site has joined. The study is referred to by what stands below it.
  struct Joined {
    explicit Joined(Study resolved) : study(std::move(resolved)) {}
    Study study;
    Roster roster;
    Digest roster_digest;
    std::unique_ptr<study::StudyReplay> replay;
    std::unique_ptr<Site> site;
    std::optional<federation::SumKey> sum_key;
  };

  study::Submission submission;
  Digest id;
  StudyPlace place;
  Study study;                                         // not resolved
  Digest context;                                      // of the shares
  std::map<std::string, federation::KeyBytes> shares;  // by training site; from TakeSeals
  std::optional<federation::SiteRounds> rounds;
  std::unique_ptr<Joined> joined;
  std::uint32_t attempt = 0;
  std::uint64_t records = 0;
  Digest head;                    // hash of the last record
  std::optional<LogEntry> taken;  // kept, not yet believed
  Digest taken_hash;
  std::optional<std::uint64_t> computed;  // the round whose answer was computed in this process
  std::optional<StudyAnswer> given;       // the last answer, for whoever asks again

  [[nodiscard]] std::string Where() const {
    return fmt::format("site {}, study {}", place.identity->name, study.name);
  }

  [[nodiscard]] RoundQuestion Question() const {
    const study::StudyReplay& replay = *joined->replay;
    return {{joined->study.digest, replay.round(), attempt, replay.digest(), joined->roster_digest},
            replay.queries(),
            joined->roster};
  }

  Error Refused(GateRule rule, std::string what) const {
    return Within(Where(), Refusal{rule, std::move(what), {}, {}}.ToError());
  }

  // The key of the attempt, once every site of its roster has sent its share.
  Result<void> MakeSumKey(Joined& attempt_joined) const {
    std::map<std::string, federation::KeyBytes> of_roster;
    for (const auto& [site, keys] : attempt_joined.roster) {
      const auto share = shares.find(site);
      if (share == shares.end()) {
        return tl::unexpected<Error>(
            Refused(GateRule::kSumShare, fmt::format("no share of {} has come.", site)));
      }
      of_roster.insert(*share);
    }
    attempt_joined.sum_key = federation::SumKey::Of(of_roster);
    attempt_joined.site->SetSumKey(*attempt_joined.sum_key);
    return {};
  }

  // `keep`: it arrived, and is not read back from the disk, where only what was checked stands.
  Result<void> TakeHeader(std::uint32_t number, std::span<const std::uint8_t> body, bool keep) {
    const auto header = federation::DecodeHeader(body);
    CONSILIUM_TRY(header);
    auto resolved = study::CheckHeader(submission, *header);
    CONSILIUM_TRY(resolved);
    auto next = std::make_unique<Joined>(std::move(*resolved));
    next->roster = header->roster;
    next->roster_digest = federation::DigestOf(header->roster);
    if (!rounds) {
      const auto contract = study::ContractOf(study);
      CONSILIUM_TRY(contract);
      Roster all;
      for (const std::string& center : study::TrainingCenters(study))
        all[center] = submission.members.at(center);
      rounds.emplace(federation::SiteRules{place.identity->name, next->study.digest, std::move(all),
                                           *contract, study.privacy.min_sites});
    }
    // Would this site answer under such a roster at all? Asked again, with a question, each round.
    auto cohort = place.build_cohort(next->study);
    CONSILIUM_TRY(cohort);
    std::map<std::string, federation::SiteKeys> keys(submission.members.begin(),
                                                     submission.members.end());
    for (const auto& [site, pinned] : keys) {
      const bool approved =
          std::any_of(place.approval.pinned.begin(), place.approval.pinned.end(),
                      [&, name = site, key = FingerprintOf(pinned)](const RosterMember& member) {
                        return member.site == name && member.fingerprint == key;
                      });
      if (!approved) {
        return Fail(
            ErrorCode::kPermissionDenied,
            fmt::format("{}: site {} has other keys than were approved here", Where(), site));
      }
    }
    const auto whole = study::ResolveFeatures(study, next->study.feature_columns);
    CONSILIUM_TRY(whole);
    const Approval approval = AtColumns(place.approval, *whole);
    auto site = Site::Join(next->study, *place.engine, CopyOf(*place.identity), std::move(*cohort),
                           next->roster, approval, *place.gate, &*whole);
    CONSILIUM_TRY(site);
    next->site = std::move(*site);
    next->replay = std::make_unique<study::StudyReplay>(next->study, *place.engine);
    if (keep || !shares.empty()) CONSILIUM_TRY(MakeSumKey(*next));
    joined = std::move(next);
    attempt = number;
    computed.reset();
    given.reset();
    return {};
  }

  // An entry against what this site knows: the chain, the question that follows, the receipts, and
  // what they say of Releases and of the total.
  Result<LogEntry> CheckEntry(std::span<const std::uint8_t> body, const Digest& hash, bool keep) {
    auto entry = federation::DecodeEntry(body);
    CONSILIUM_TRY(entry);
    const auto wrong = [&](ErrorCode code, std::string_view what) {
      return Fail(code, fmt::format("{}, round {}: {}", Where(), entry->binding.round, what));
    };
    if (entry->previous != head) {
      return wrong(ErrorCode::kDataLoss,
                   "the total does not follow the record before it; this site keeps what it has");
    }
    if (entry->binding != Question().binding) {
      return wrong(ErrorCode::kPermissionDenied,
                   "the total is of another question than the one that follows from the study");
    }
    const Roster& roster = joined->roster;
    const auto disbelieve = [&](GateRule rule, std::string_view why) {
      const Error refusal =
          joined->site->RefuseTotal(Question(), hash, rule, fmt::format("{}.", why));
      const auto synced = place.sync_ledger();
      return tl::unexpected<Error>(synced ? refusal : synced.error());
    };
    const federation::Receipt* own =
        given && given->head.binding == entry->binding ? &given->head.receipt : nullptr;
    if (const auto receipts = federation::CheckReceipts(*entry, submission.members, roster, own);
        !receipts)
      return disbelieve(GateRule::kTotalNotTheSum, receipts.error().message);
    for (const federation::Receipt& receipt : entry->receipts) {
      if (!roster.contains(receipt.site) && !joined->replay->releasing().contains(receipt.site)) {
        return disbelieve(GateRule::kTotalNotTheSum,
                          fmt::format("a receipt of {}, which was not asked", receipt.site));
      }
      if (own != nullptr && receipt.site == own->site && receipt != *own) {
        return disbelieve(GateRule::kTotalNotTheSum,
                          "the receipt in this site's name is not the one it gave");
      }
    }
    if (const auto releases = federation::CheckReleases(*entry); !releases)
      return disbelieve(GateRule::kReleaseNotSigned, releases.error().message);
    if (!joined->sum_key) {
      if (!keep) return entry;
      return tl::unexpected<Error>(
          Refused(GateRule::kSumShare, "a total came before the shares of the sum key."));
    }
    if (const auto sum = joined->sum_key->Check(entry->binding, federation::TagsOf(*entry, roster),
                                                joined->replay->layout(), entry->total);
        !sum)
      return disbelieve(GateRule::kTotalNotTheSum, sum.error().message);
    return entry;
  }

  // The rounds' rules want to know what was answered. A valid receipt of this site is that
  // knowledge, also after a crash.
  void RecordAnswered(const federation::Binding& binding) {
    federation::Asked asked{binding, {}, binding.query};
    for (const auto& [site, keys] : joined->roster) asked.sites.insert(site);
    if (const auto reply = rounds->Check(asked);
        reply && *reply == federation::SiteRounds::Reply::kAnswer)
      rounds->Record(asked);
  }

  Result<bool> Take(std::uint32_t number, std::uint64_t index, std::span<const std::uint8_t> record,
                    bool keep) {
    if (number < attempt || (number == attempt && index < records)) return false;
    const bool next = number == attempt ? index == records : index == 0;
    if (!next) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("{}: record {} of attempt {} came, expected record {} of attempt {}",
                              Where(), index, number, records, attempt));
    }
    const auto parsed = federation::NextRecord(record);
    CONSILIUM_TRY(parsed);
    if (parsed->size != record.size())
      return Fail(ErrorCode::kDataLoss, Where() + ": bytes behind a record of the log");
    if (joined && keep) {
      if (const auto distrust = joined->site->Distrust()) return tl::unexpected<Error>(*distrust);
    }
    if (index == 0) {
      CONSILIUM_TRY(TakeHeader(number, parsed->body, keep));
      records = 0;
    } else {
      auto entry = CheckEntry(parsed->body, parsed->hash, keep);
      CONSILIUM_TRY(entry);
      RecordAnswered(entry->binding);
      CONSILIUM_TRY(rounds->Check(entry->binding, parsed->hash));
      taken = std::move(*entry);
      taken_hash = parsed->hash;
    }
    if (keep) {
      // The ledger says what was joined or answered; it is never behind the log.
      auto kept = place.sync_ledger();
      if (kept) kept = place.append_record(number, record);
      if (!kept) {
        taken.reset();
        if (index == 0) joined.reset();
        return tl::unexpected<Error>(kept.error());
      }
    }
    head = parsed->hash;
    ++records;
    return true;
  }

  Result<void> Advance() {
    if (!taken) return {};
    const LogEntry entry = std::move(*taken);
    taken.reset();
    const RoundQuestion question = Question();
    rounds->Accept(entry.binding, taken_hash);
    if (computed != entry.binding.round) CONSILIUM_TRY(joined->site->Rederive(question.queries));
    CONSILIUM_TRY(joined->site->TotalReceived(question, taken_hash));
    return joined->replay->Deliver(entry.total, entry.releases);
  }
};

StudyAgent::StudyAgent(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StudyAgent::~StudyAgent() = default;

Result<std::unique_ptr<StudyAgent>> StudyAgent::Open(study::Submission submission,
                                                     StudyPlace place) {
  auto impl = std::make_unique<Impl>();
  auto study = study::StudyOf(submission);
  CONSILIUM_TRY(study);
  impl->study = std::move(*study);
  impl->id = study::DigestOf(submission);
  impl->context = federation::SumContext(submission.study_file, submission.members);
  impl->submission = std::move(submission);
  impl->place = std::move(place);
  return std::unique_ptr<StudyAgent>(new StudyAgent(std::move(impl)));
}

Result<std::map<std::string, federation::SumSeal>> StudyAgent::Seals() const {
  const SiteIdentity& me = *impl_->place.identity;
  if (!study::Trains(impl_->study, me.name)) return std::map<std::string, federation::SumSeal>();
  return federation::SealShare(me.name, me.agreement, impl_->submission.members, impl_->context);
}

Result<void> StudyAgent::TakeSeals(const std::map<std::string, federation::SumSeal>& seals) {
  Impl& impl = *impl_;
  const SiteIdentity& me = *impl.place.identity;
  std::map<std::string, federation::KeyBytes> shares;
  if (study::Trains(impl.study, me.name))
    shares[me.name] = federation::SumShareOf(me.agreement, impl.context);
  for (const auto& [site, seal] : seals) {
    if (site == me.name || !study::Trains(impl.study, site)) {
      return tl::unexpected<Error>(
          impl.Refused(GateRule::kSumShare,
                       fmt::format("a share of {}, which is no other training site.", site)));
    }
    auto share = federation::OpenShare(me.name, me.agreement, site, impl.submission.members,
                                       impl.context, seal);
    if (!share) {
      return tl::unexpected<Error>(impl.Refused(GateRule::kSumShare, share.error().message + "."));
    }
    shares[site] = *share;
  }
  impl.shares = std::move(shares);
  return impl.joined ? impl.MakeSumKey(*impl.joined) : Result<void>();
}

Result<void> StudyAgent::Load(std::uint32_t attempt,
                              const std::function<Result<void>(const TakeRecord& take)>& kept) {
  std::uint64_t index = 0;
  const auto read = kept([&](std::span<const std::uint8_t> record) -> Result<void> {
    CONSILIUM_TRY(impl_->Take(attempt, index, record, false));
    ++index;
    return impl_->Advance();
  });
  CONSILIUM_TRY(read);
  return impl_->place.sync_ledger();
}

Result<bool> StudyAgent::Take(std::uint32_t attempt, std::uint64_t index,
                              std::span<const std::uint8_t> record) {
  return impl_->Take(attempt, index, record, true);
}

Result<void> StudyAgent::Advance() { return impl_->Advance(); }

Result<StudyAnswer> StudyAgent::Answer(const wire::Ask& ask) {
  Impl& impl = *impl_;
  const auto fail = [&](ErrorCode code, std::string_view what) {
    return Fail(code, fmt::format("{}, round {}: {}", impl.Where(), ask.binding.round, what));
  };
  if (!impl.joined) return fail(ErrorCode::kFailedPrecondition, "no attempt was joined yet");
  if (impl.joined->replay->done())
    return fail(ErrorCode::kFailedPrecondition, "the study has ended; nothing follows");
  const federation::Asked asked{ask.binding, ask.roster, impl.joined->replay->digest()};
  const auto reply = impl.rounds->Check(asked);
  if (reply && *reply == federation::SiteRounds::Reply::kResend && impl.given &&
      impl.given->head.binding == ask.binding)
    return *impl.given;
  RoundQuestion question = impl.Question();
  if (!reply) {
    // The gate names what is wrong with a question that does not follow, and writes it down.
    if (ask.binding.query == question.binding.query) return tl::unexpected<Error>(reply.error());
    question.binding = ask.binding;
    const auto refused = impl.joined->site->Answer(question, *impl.joined->replay);
    CONSILIUM_TRY(impl.place.sync_ledger());
    return tl::unexpected<Error>(refused ? reply.error() : refused.error());
  }
  auto answer = impl.joined->site->Answer(question, *impl.joined->replay);
  // Refusals stand in the ledger too.
  CONSILIUM_TRY(impl.place.sync_ledger());
  CONSILIUM_TRY(answer);
  if (*reply == federation::SiteRounds::Reply::kAnswer) impl.rounds->Record(asked);
  StudyAnswer given;
  given.head = {impl.id, ask.binding, std::move(answer->receipt), std::move(answer->releases),
                answer->words.size()};
  given.words = std::make_shared<const Bytes>(std::move(answer->words));
  impl.computed = ask.binding.round;
  impl.given = given;
  return given;
}

Result<void> StudyAgent::Restart(std::uint32_t attempt, std::string_view why) {
  Impl& impl = *impl_;
  if (!impl.joined || attempt <= impl.attempt) return {};
  if (attempt != impl.attempt + 1) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("{}: attempt {} was announced after attempt {}", impl.Where(), attempt,
                            impl.attempt));
  }
  CONSILIUM_TRY(impl.joined->site->EndAttempt(impl.attempt, why));
  return impl.place.sync_ledger();
}

Result<void> StudyAgent::End(std::string_view how, std::int64_t unix_ms) {
  Impl& impl = *impl_;
  if (!impl.joined) return {};
  const auto ended = impl.place.gate->EndStudy(impl.joined->study.digest, how, unix_ms);
  if (!ended) return tl::unexpected<Error>(Within(impl.Where(), ended.error().ToError()));
  return impl.place.sync_ledger();
}

wire::Position StudyAgent::position() const { return {impl_->id, impl_->attempt, impl_->records}; }

std::uint64_t StudyAgent::RecordBytesMax() const {
  // Of a header, above all its columns' names; of an entry, what stands beside the total.
  std::uint64_t most = std::uint64_t{64} << 20;
  if (impl_->joined) {
    most += federation::ByteCount(impl_->joined->replay->layout());
    most += impl_->submission.members.size() * wire::kReleaseBytesMax;
  }
  return most;
}

std::string StudyAgent::Doing() const {
  if (!impl_->joined) return "waiting for the study to begin";
  if (impl_->joined->replay->done()) return "done";
  const std::uint64_t round = impl_->joined->replay->round();
  return impl_->computed == round ? fmt::format("answered round {}", round + 1)
                                  : fmt::format("waiting for round {}", round + 1);
}

bool StudyAgent::done() const { return impl_->joined && impl_->joined->replay->done(); }

const Study& StudyAgent::study() const {
  return impl_->joined ? impl_->joined->study : impl_->study;
}

std::string OutwardText(const Error& error) {
  std::string text(Name(error.code));
  for (int rule = 0; rule < kGateRuleCount; ++rule) {
    const std::string_view name = Name(static_cast<GateRule>(rule));
    if (error.message.find(fmt::format("{}:", name)) == std::string::npos) continue;
    return fmt::format("{} {}", text, name);
  }
  return text;
}

}  // namespace consilium::site_agent
