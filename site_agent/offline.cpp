#include "site_agent/offline.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "disk/files.h"
#include "site_agent/cohort_folder.h"
#include "site_agent/extractor.h"
#include "site_agent/plan.h"
#include "study/study_file.h"

namespace consilium::site_agent {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShortDigits = 12;
constexpr std::size_t kPrefixMin = 4;

std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string Short(const Digest& digest) { return Hex(digest).substr(0, kShortDigits); }

std::string StudyName(const StoredStudy& stored) {
  const auto study = study::StudyOf(stored.submission);
  return study ? study->name : std::string("(unreadable)");
}

// "waiting", "running, attempt 1", "finished", "rejected".
std::string State(const StoredStudy& stored) {
  if (stored.ended) return stored.ended->state;
  if (stored.decision.word != Decision::Word::kApproved)
    return std::string(Name(stored.decision.word));
  if (stored.attempts.empty()) return "approved";
  return stored.attempts.back() == 0 ? "running"
                                     : fmt::format("running, attempt {}", stored.attempts.back());
}

Json ToJson(const StoredStudy& stored) {
  Json json{{"study", Hex(stored.digest)},
            {"name", StudyName(stored)},
            {"lead", PlainText(stored.submission.lead)},
            {"lead_key", Hex(stored.submission.lead_key.fingerprint())},
            {"decision", Name(stored.decision.word)},
            {"by", stored.decision.by},
            {"unix_ms", stored.decision.unix_ms},
            {"reason", stored.decision.reason},
            {"state", State(stored)},
            {"attempts", stored.attempts}};
  if (stored.ended) {
    json["ended"] = Json{{"state", stored.ended->state},
                         {"why", stored.ended->why},
                         {"unix_ms", stored.ended->unix_ms}};
  }
  return json;
}

// Columns as wide as their widest cell.
std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string Choices(const std::vector<const StoredStudy*>& studies) {
  std::vector<std::string> names;
  for (const StoredStudy* stored : studies)
    names.push_back(fmt::format("{} {}", Short(stored->digest), StudyName(*stored)));
  return names.empty() ? "no study was offered yet" : fmt::format("{}", fmt::join(names, ", "));
}

// What the site knows when a person looks at a study.
Result<PlanFacts> FactsOf(const SiteStore& store, const SiteConfig& config) {
  PlanFacts facts;
  facts.site = config.site;
  facts.policy = config.policy;
  const auto keys = store.LoadKeys();
  if (keys) {
    facts.keys = keys->public_keys();
  } else if (keys.error().code != ErrorCode::kNotFound) {
    return tl::unexpected<Error>(keys.error());
  }
  const auto enrolment = store.LoadEnrolment();
  if (enrolment) {
    if (enrolment->site != config.site) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("{}: says `site: {}`, but {} was enrolled as {}; correct one of them",
                              config.file_name, config.site, store.folder().string(),
                              PlainText(enrolment->site)));
    }
    facts.coordinator_key = enrolment->coordinator_key;
    facts.operated_by = enrolment->operated_by;
  } else if (enrolment.error().code != ErrorCode::kNotFound) {
    return tl::unexpected<Error>(enrolment.error());
  }
  return facts;
}

// The study that was approved last, of the same name if one was; not `except`.
const StoredStudy* LastApproved(const std::vector<StoredStudy>& studies, const Digest& except,
                                const std::string& name) {
  const StoredStudy* last = nullptr;
  bool same_name = false;
  for (const StoredStudy& stored : studies) {
    if (stored.digest == except || stored.decision.word != Decision::Word::kApproved) continue;
    const bool same = StudyName(stored) == name;
    const bool later = last == nullptr || stored.decision.unix_ms > last->decision.unix_ms;
    if ((same && !same_name) || (same == same_name && later)) {
      last = &stored;
      same_name = same;
    }
  }
  return last;
}

// What stands against a person's approval, with the command that accepts what may be accepted.
std::string Told(const std::vector<Objection>& objections, const StoredStudy& stored,
                 const std::set<std::string>& accepts) {
  std::vector<std::string> lines;
  std::set<std::string> words = accepts;
  bool final = false;
  for (const Objection& one : objections) {
    lines.push_back(fmt::format("{}: {}", Name(one.rule), one.sentence));
    if (one.accept.empty()) {
      final = true;
    } else {
      words.insert(one.accept);
    }
  }
  if (final) {
    lines.emplace_back(
        "It cannot be approved as it is: the lead must change the study, or this site its policy "
        "in site.yaml.");
  } else {
    lines.push_back(
        fmt::format("To accept that for this study, run: consilium-site approve {} --accept {}",
                    Short(stored.digest), fmt::join(words, ",")));
  }
  return fmt::format("{}", fmt::join(lines, "\n"));
}

}  // namespace

Result<SiteConfig> LoadSiteConfig(const std::filesystem::path& path) {
  const auto text = disk::ReadFile(path, std::uintmax_t{1} << 20);
  CONSILIUM_TRY(text);
  return ParseSiteConfig(*text, path.string());
}

// ---- studies ------------------------------------------------------------------------------------

Result<std::string> Studies(const SiteStore& store, OutputForm form) {
  auto list = store.ListStudies();
  CONSILIUM_TRY(list);
  std::stable_sort(list->studies.begin(), list->studies.end(),
                   [](const StoredStudy& a, const StoredStudy& b) {
                     return a.decision.unix_ms < b.decision.unix_ms;
                   });
  if (form == OutputForm::kJson) {
    Json json{{"studies", Json::array()}, {"problems", list->problems}};
    for (const StoredStudy& stored : list->studies) json["studies"].push_back(ToJson(stored));
    return Dump(json);
  }
  std::string text;
  if (list->studies.empty()) {
    text = "No study was offered to this site yet.\n";
  } else {
    std::vector<std::vector<std::string>> rows = {{"ID", "NAME", "LEAD", "STATE", "SINCE", "BY"}};
    for (const StoredStudy& stored : list->studies) {
      rows.push_back({Short(stored.digest), StudyName(stored), PlainText(stored.submission.lead),
                      State(stored),
                      UtcText(stored.ended ? stored.ended->unix_ms : stored.decision.unix_ms),
                      stored.decision.by.empty() ? "-" : stored.decision.by});
    }
    text = Table(rows);
  }
  for (const std::string& problem : list->problems) text += "problem: " + problem + "\n";
  return text;
}

Result<StoredStudy> FindStudy(const SiteStore& store, std::string_view prefix) {
  auto list = store.ListStudies();
  CONSILIUM_TRY(list);
  std::vector<const StoredStudy*> all, found;
  for (const StoredStudy& stored : list->studies) all.push_back(&stored);
  if (prefix.size() >= kPrefixMin) {
    for (const StoredStudy* stored : all) {
      if (Hex(stored->digest).compare(0, prefix.size(), prefix) == 0) found.push_back(stored);
    }
  }
  if (found.empty()) {
    for (const StoredStudy* stored : all) {
      if (StudyName(*stored) == prefix) found.push_back(stored);
    }
  }
  if (found.empty()) {
    return Fail(ErrorCode::kNotFound,
                fmt::format("study '{}': there is none whose name this is or whose ID begins so "
                            "(at least {} digits); there is: {}",
                            PlainText(prefix), kPrefixMin, Choices(all)));
  }
  if (found.size() > 1) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("study '{}': several are meant: {}; give more digits of the ID",
                            PlainText(prefix), Choices(found)));
  }
  return *found.front();
}

Result<std::filesystem::path> SettingsOfStudy(const SiteStore& store, const SiteConfig& config,
                                              std::string_view prefix) {
  const auto stored = FindStudy(store, prefix);
  CONSILIUM_TRY(stored);
  const auto study = study::StudyOf(stored->submission);
  CONSILIUM_TRY(study);
  if (!study->extraction)
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the study {} does not say how features are extracted; give --settings",
                            study->name));
  return WriteSettings(*study->extraction, ExtractionFolder(config));
}

Result<std::string> ShowStudy(const SiteStore& store, const SiteConfig& config,
                              std::string_view prefix, OutputForm form) {
  const auto stored = FindStudy(store, prefix);
  CONSILIUM_TRY(stored);
  const auto study = study::StudyOf(stored->submission);
  CONSILIUM_TRY(study);
  const auto facts = FactsOf(store, config);
  CONSILIUM_TRY(facts);
  const std::vector<PlanField> plan = Plan(stored->submission, *study, *facts);
  const std::vector<Objection> objections =
      Objections(stored->submission, *study, *facts, {true, {}});
  const auto list = store.ListStudies();
  CONSILIUM_TRY(list);
  const StoredStudy* last = LastApproved(list->studies, stored->digest, study->name);
  std::vector<std::string> difference;
  if (last != nullptr) {
    const auto last_study = study::StudyOf(last->submission);
    CONSILIUM_TRY(last_study);
    difference = Difference(Plan(last->submission, *last_study, *facts), plan);
  }
  const auto source = CohortFor(config, study->name);
  if (form == OutputForm::kJson) {
    Json json = ToJson(*stored);
    json["plan"] = Json::parse(ToJson(plan));
    json["objections"] = Json::array();
    for (const Objection& one : objections) {
      json["objections"].push_back(
          Json{{"rule", Name(one.rule)}, {"sentence", one.sentence}, {"accept", one.accept}});
    }
    json["compared_with"] = last == nullptr ? Json() : Json(Hex(last->digest));
    json["difference"] = difference;
    json["cohort"] = source ? Json((*source)->file) : Json();
    return Dump(json);
  }
  std::string text = ToText(plan);
  text += fmt::format("\ntables here: {}\n", source ? (*source)->file : source.error().message);
  text += fmt::format("state: {}{}\n", State(*stored),
                      stored->decision.by.empty()
                          ? std::string()
                          : fmt::format(", {} by {} on {}", Name(stored->decision.word),
                                        stored->decision.by, UtcText(stored->decision.unix_ms)));
  if (last == nullptr) {
    text += "No other study was approved here before.\n";
  } else if (difference.empty()) {
    text += fmt::format("Nothing differs from {} {}, approved on {}.\n", Short(last->digest),
                        StudyName(*last), UtcText(last->decision.unix_ms));
  } else {
    text += fmt::format("Differences from {} {}, approved on {}:\n", Short(last->digest),
                        StudyName(*last), UtcText(last->decision.unix_ms));
    for (const std::string& line : difference) text += "  " + line + "\n";
  }
  if (stored->decision.word == Decision::Word::kWaiting && !stored->ended) {
    if (objections.empty()) {
      text += fmt::format(
          "To approve: consilium-site approve {0}\nTo reject:  consilium-site reject {0}\n",
          Short(stored->digest));
    } else {
      text += Told(objections, *stored, {}) + "\n";
    }
  }
  return text;
}

Result<Approved> Approve(SiteStore& store, const SiteConfig& config, std::string_view prefix,
                         std::string_view user, const std::set<std::string>& accepts,
                         std::int64_t unix_ms) {
  static const std::vector<std::string> kWords = {"fast-curvature", "leave-one-center-out",
                                                  "restart-without"};
  for (const std::string& word : accepts) {
    if (std::find(kWords.begin(), kWords.end(), word) != kWords.end()) continue;
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("--accept '{}': expected one of {}{}", PlainText(word),
                            fmt::join(kWords, ", "), DidYouMean(word, kWords)));
  }
  const auto stored = FindStudy(store, prefix);
  CONSILIUM_TRY(stored);
  const auto study = study::StudyOf(stored->submission);
  CONSILIUM_TRY(study);
  const auto facts = FactsOf(store, config);
  CONSILIUM_TRY(facts);
  const Approver person{true, accepts};
  if (const auto objections = Objections(stored->submission, *study, *facts, person);
      !objections.empty()) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("study {} {}:\n{}", Short(stored->digest), study->name,
                            Told(objections, *stored, accepts)));
  }
  Decision decision;
  decision.word = Decision::Word::kApproved;
  decision.by = user;
  decision.unix_ms = unix_ms;
  auto approval = ApprovalFor(stored->submission, *study, *facts, person, unix_ms);
  CONSILIUM_TRY(approval);
  decision.approval = std::move(*approval);
  CONSILIUM_TRY(store.Decide(stored->digest, decision, stored->decision.word));
  return Approved{stored->digest, fmt::format("Approved study {} {} of {}, in the name of {}.\n",
                                              Short(stored->digest), study->name,
                                              PlainText(stored->submission.lead), PlainText(user))};
}

Result<Approved> Reject(SiteStore& store, std::string_view prefix, std::string_view user,
                        std::string_view reason, std::int64_t unix_ms) {
  const auto stored = FindStudy(store, prefix);
  CONSILIUM_TRY(stored);
  Decision decision;
  decision.word = Decision::Word::kRejected;
  decision.by = user;
  decision.unix_ms = unix_ms;
  decision.reason = reason;
  CONSILIUM_TRY(store.Decide(stored->digest, decision, stored->decision.word));
  return Approved{
      stored->digest,
      fmt::format("Rejected study {} {} of {}, in the name of {}. {}\n", Short(stored->digest),
                  StudyName(*stored), PlainText(stored->submission.lead), PlainText(user),
                  stored->decision.word == Decision::Word::kApproved
                      ? "It was approved: nothing more is answered; what was sent stays in the "
                        "totals."
                      : "Nothing of it was answered.")};
}

// ---- policy -------------------------------------------------------------------------------------

std::string PolicyText(const SiteConfig& config, OutputForm form) {
  const SitePolicy& policy = config.policy;
  std::vector<std::string> leads;
  for (const Digest& lead : policy.leads) leads.push_back(Hex(lead));
  if (form == OutputForm::kJson) {
    return Dump(Json{{"site", config.site},
                     {"approve", Name(policy.approve)},
                     {"leads", leads},
                     {"min_sites", policy.min_sites},
                     {"min_cell", policy.min_cell},
                     {"allow_public_data", policy.allow_public_data},
                     {"allow_fast_curvature", policy.allow_fast_curvature},
                     {"allow_restart_without", policy.allow_restart_without},
                     {"allow_leave_one_center_out", policy.allow_leave_one_center_out}});
  }
  std::string text = fmt::format("The policy of {} ({}):\n", config.site, config.file_name);
  if (policy.approve == SitePolicy::Approve::kAsk) {
    text += "  A person decides about every study.\n";
  } else {
    text += fmt::format(
        "  Studies signed by {} of these keys are approved without asking, within the limits "
        "below:\n",
        leads.size() == 1 ? "the one" : "one");
    for (const std::string& lead : leads) text += "    " + lead + "\n";
  }
  text += fmt::format(
      "  No study runs here that adds over fewer than {} sites or shows counts below {} rows.\n",
      policy.min_sites, policy.min_cell);
  text +=
      policy.allow_public_data
          ? "  Studies on published data (policy: public-data) may run here: for them rules are "
            "set aside.\n"
          : "  Studies that set rules aside as published data do not run here.\n";
  const auto line = [&](bool allowed, std::string_view what) {
    text += fmt::format("  {}: {}.\n", what,
                        allowed ? "allowed" : "only if a person accepts it for one study");
  };
  line(policy.allow_fast_curvature, "Cross-products without a bound on columns (fast curvature)");
  line(policy.allow_restart_without, "Starting over without a site that left");
  line(policy.allow_leave_one_center_out,
       "Leave-one-center-out, which tells this hospital's own sums");
  return text;
}

// ---- ledger -------------------------------------------------------------------------------------

Result<std::string> LedgerText(const SiteStore& store, const SiteConfig& config,
                               const LedgerOptions& options) {
  const auto kept = store.ReadLedger(config.site);
  CONSILIUM_TRY(kept);
  const Ledger& ledger = (*kept)->ledger();
  const std::uint64_t count = ledger.head().count;
  const std::uint64_t first = count - std::min(options.last.value_or(count), count);
  std::string text;
  const auto read = ledger.Each([&](const LedgerRecord& record) -> Result<void> {
    if (record.sequence < first) return {};
    if (options.form == OutputForm::kJson) {
      text += ToLine(record) + "\n";
      return {};
    }
    text += fmt::format(
        "{:>7}  {}  {}\n", record.sequence,
        record.unix_ms == 0 ? std::string("time not told       ") : UtcText(record.unix_ms),
        record.sentence.empty() ? std::string(Name(record.event)) : record.sentence);
    return {};
  });
  CONSILIUM_TRY(read);
  if (options.form == OutputForm::kText && count == 0)
    text = "The ledger is empty: nothing was asked of this site yet.\n";
  return text;
}

Result<std::string> LedgerVerify(const SiteStore& store, const SiteConfig& config,
                                 OutputForm form) {
  const auto verdict = store.VerifyLedgerFile(config.site);
  CONSILIUM_TRY(verdict);
  const auto& countersigned = verdict->countersigned;
  if (form == OutputForm::kJson) {
    Json json{{"site", config.site},
              {"records", verdict->head.count},
              {"head", Hex(verdict->head.hash)},
              {"holds", true},
              {"torn_bytes", verdict->torn_bytes},
              {"countersigned", nullptr}};
    if (countersigned) {
      json["countersigned"] = Json{{"records", countersigned->head.count},
                                   {"head", Hex(countersigned->head.hash)},
                                   {"by", verdict->coordinator},
                                   {"unix_ms", countersigned->unix_ms}};
    }
    return Dump(json);
  }
  std::string text = fmt::format(
      "The ledger of {} holds: {} records, each follows the one before it.\n  head {}\n",
      config.site, verdict->head.count, Hex(verdict->head.hash));
  if (countersigned) {
    text += fmt::format(
        "  The coordinator {} countersigned the first {} of them on {}: none of these is "
        "missing.\n",
        PlainText(verdict->coordinator), countersigned->head.count,
        UtcText(countersigned->unix_ms));
  } else {
    text +=
        "  The coordinator has not countersigned it yet: only a head that you noted elsewhere "
        "shows whether its end was cut off.\n";
  }
  if (verdict->torn_bytes > 0) {
    text += fmt::format(
        "  Behind them stand {} bytes of a record that is not finished: just being written, or "
        "left by a crash.\n",
        verdict->torn_bytes);
  }
  return text;
}

// ---- cohort -------------------------------------------------------------------------------------

Result<std::string> CohortText(const SiteConfig& config, const std::filesystem::path& study_file,
                               const Bytes& site_key, OutputForm form) {
  const auto text = disk::ReadFile(study_file, std::uintmax_t{1} << 20);
  CONSILIUM_TRY(text);
  const auto study = study::ParseStudy(*text, study_file.string());
  CONSILIUM_TRY(study);
  if (std::find(study->sites.begin(), study->sites.end(), config.site) == study->sites.end()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: the study does not name this site, {}; it names {}",
                            study_file.string(), config.site, fmt::join(study->sites, ", ")));
  }
  const auto source = CohortFor(config, study->name);
  CONSILIUM_TRY(source);
  const auto tables = ReadCohort((*source)->file, (*source)->data, config.site, config.file_name);
  CONSILIUM_TRY(tables);
  const auto header = RadiomicsHeader(*tables);
  CONSILIUM_TRY(header);
  const auto resolved = study::ResolveFeatures(*study, *header);
  CONSILIUM_TRY(resolved);
  // Without keys yet any key does: folds are not told.
  const Bytes key = site_key.empty() ? Bytes(32, 0) : site_key;
  const CohortCheck check = CheckCohort(*tables, *resolved, key);
  if (!check.cohort) return tl::unexpected<Error>(Combine(check.problems));
  const federation::Cohort& cohort = *check.cohort;
  const auto events = static_cast<std::int64_t>(cohort.outcome.sum());
  const std::int64_t rows = cohort.row_count();
  if (form == OutputForm::kJson) {
    Json json{{"site", config.site},
              {"study", study->name},
              {"cohort", (*source)->file},
              {"rows", rows},
              {"events", events},
              {"patients", cohort.patient_ids.size()},
              {"columns", resolved->feature_columns.size()},
              {"flow", Json::array()},
              {"notes", check.notes}};
    for (const federation::FlowStep& step : cohort.flow)
      json["flow"].push_back(Json{{"reason", step.reason}, {"rows", step.rows}});
    return Dump(json);
  }
  std::string told =
      fmt::format("{} in the study {}, by {}:\n", config.site, study->name, (*source)->file);
  for (const federation::FlowStep& step : cohort.flow)
    told += fmt::format("  {:<40} {:>7}\n", step.reason, step.rows);
  told += fmt::format("  {} events ({}), {} others, {} patients, {} feature columns\n", events,
                      PlainText(study->event), rows - events, cohort.patient_ids.size(),
                      resolved->feature_columns.size());
  for (const std::string& note : check.notes) told += fmt::format("  note: {}\n", note);
  told += "Nothing was sent.\n";
  return told;
}

}  // namespace consilium::site_agent
