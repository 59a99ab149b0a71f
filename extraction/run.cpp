#include "extraction/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/digest.h"
#include "base/strict_yaml.h"
#include "disk/files.h"
#include "engine/version.h"
#include "extraction/case_list.h"
#include "extraction/journal.h"
#include "extraction/stability.h"
#include "extraction/table.h"
#include "extraction/worker.h"
#include "extraction/worker_pool.h"

namespace consilium::extraction {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kJournal = "journal.jsonl";
constexpr const char* kCases = "cases.csv";
constexpr const char* kSettings = "settings.yaml";
constexpr const char* kRun = "run.json";
constexpr std::size_t kMissingTold = 20;  // shards

// What identifies a run, and where its outcomes are.
struct RunFile {
  std::string engine, settings, cases;  // version; digests
  Shard shard;
  bool complete = false;
  std::string folder;                       // what the list's paths start from
  std::map<std::string, std::string> keys;  // id of a case -> key in the journal
  std::map<std::string, Outcome> failures;  // of cases without a key: nothing worth keeping
};

Json ToJson(const RunFile& run) {
  Json failures = Json::object();
  NameLists none;
  for (const auto& [id, outcome] : run.failures) failures[id] = ToLines(outcome, id, none);
  return {{"format", 1},
          {"engine", run.engine},
          {"settings", run.settings},
          {"cases", run.cases},
          {"shard", {run.shard.index, run.shard.count}},
          {"complete", run.complete},
          {"folder", run.folder},
          {"keys", run.keys},
          {"failures", std::move(failures)}};
}

Result<RunFile> ReadRunFile(const fs::path& path) {
  const auto text = disk::ReadFile(path);
  CONSILIUM_TRY(text);
  try {
    const Json json = Json::parse(*text);
    RunFile run;
    json.at("engine").get_to(run.engine);
    json.at("settings").get_to(run.settings);
    json.at("cases").get_to(run.cases);
    run.shard = {json.at("shard").at(0).get<int>(), json.at("shard").at(1).get<int>()};
    json.at("complete").get_to(run.complete);
    json.at("folder").get_to(run.folder);
    json.at("keys").get_to(run.keys);
    NameLists none;
    for (const auto& [id, line] : json.at("failures").items()) {
      auto outcome = FromLine(line.get<std::string>(), none);
      CONSILIUM_TRY(outcome);
      if (*outcome) run.failures[id] = std::move((*outcome)->outcome);
    }
    return run;
  } catch (const Json::exception& fault) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("{} is damaged ({}); extract again", path.string(), fault.what()));
  }
}

Result<void> WriteTables(const fs::path& out, const Tables& tables) {
  CONSILIUM_TRY(disk::ReplaceFile(out / "features.csv", tables.features));
  CONSILIUM_TRY(disk::ReplaceFile(out / "problems.csv", tables.problems));
  if (tables.patients) CONSILIUM_TRY(disk::ReplaceFile(out / "patients.csv", *tables.patients));
  if (!tables.perturbations) return {};
  CONSILIUM_TRY(disk::ReplaceFile(out / "perturbations.csv", *tables.perturbations));
  const auto stability =
      MeasureStability(*tables.perturbations, "perturbations.csv", {kPerturbation, {}});
  CONSILIUM_TRY(stability);
  return disk::ReplaceFile(out / "stability.csv", ToCsv(*stability));
}

// What the journal and the run file have of these cases, in the order of the list.
Result<std::vector<CaseOutcome>> OutcomesOf(const CaseList& list, const RunFile& run,
                                            const Journal& journal) {
  std::vector<CaseOutcome> outcomes;
  for (const Case& one : list.cases) {
    if (const auto key = run.keys.find(one.id); key != run.keys.end()) {
      auto outcome = journal.Read(key->second);
      CONSILIUM_TRY(outcome);
      outcomes.push_back({&one, std::move(*outcome)});
    } else if (const auto failure = run.failures.find(one.id); failure != run.failures.end()) {
      outcomes.push_back({&one, failure->second});
    }
  }
  return outcomes;
}

// The cases of one shard, through the pool into the journal.
class Extraction {
 public:
  Extraction(const RunOptions& options, const CaseList& list, RunFile& run, Journal& journal,
             const std::function<void(const Progress&)>& on_progress)
      : options_(options), run_(run), journal_(journal), on_progress_(on_progress) {
    const auto step = static_cast<std::size_t>(options.shard.count);
    for (auto at = static_cast<std::size_t>(options.shard.index - 1); at < list.cases.size();
         at += step)
      cases_.push_back(&list.cases[at]);
    progress_.cases = cases_.size();
  }

  Result<Progress> Go(const std::function<bool()>& stopped) {
    PoolOptions pool;
    pool.command = options_.worker;
    pool.command.insert(pool.command.end(), {"--settings", (options_.out / kSettings).string()});
    pool.processes = options_.processes;
    pool.memory_bytes = options_.memory_bytes;
    pool.request_seconds_max = options_.case_seconds_max;
    PoolEvents events;
    events.next = [&]() -> std::optional<std::string> {
      if (next_ == cases_.size()) return std::nullopt;
      return RequestOf(*cases_[next_++]);
    };
    events.on_line = [&](std::size_t number, std::string_view line) { return Heard(number, line); };
    events.on_death = [&](std::size_t number, const std::string& how) -> Result<void> {
      names_.erase(number);
      return Failed(number, {{}, {{"", how}}});
    };
    events.stopped = stopped;
    on_progress_(progress_);
    CONSILIUM_TRY(RunPool(pool, events));
    return progress_;
  }

 private:
  Result<std::optional<std::string>> Heard(std::size_t number, std::string_view line) {
    if (const auto key = KeyAsked(line)) {
      if (!journal_.Has(*key)) return std::string(kGoOn);
      ++progress_.known;
      Done(number, *key);
      return std::string(kKnown);
    }
    if (line == kReady) return std::optional<std::string>();
    auto read = FromLine(line, names_[number]);
    if (!read) {
      return tl::unexpected(
          Within(fmt::format("the process that read case {}", cases_[number]->id), read.error()));
    }
    if (!*read) return std::string();  // a list of names; the outcome follows
    auto& [key, outcome] = **read;
    if (outcome.rows.empty()) {
      CONSILIUM_TRY(Failed(number, std::move(outcome)));
    } else {
      CONSILIUM_TRY(journal_.Append(key, outcome));
      Done(number, key);
    }
    names_.erase(number);
    return std::string();
  }
  void Done(std::size_t number, const std::string& key) {
    run_.keys[cases_[number]->id] = key;
    run_.failures.erase(cases_[number]->id);
    ++progress_.done;
    on_progress_(progress_);
  }
  Result<void> Failed(std::size_t number, Outcome outcome) {
    run_.failures[cases_[number]->id] = std::move(outcome);
    ++progress_.done;
    ++progress_.failed;
    on_progress_(progress_);
    return {};
  }

  const RunOptions& options_;
  RunFile& run_;
  Journal& journal_;
  const std::function<void(const Progress&)>& on_progress_;
  std::vector<const Case*> cases_;
  std::size_t next_ = 0;
  std::map<std::size_t, NameLists> names_;  // by request: a process tells them anew for each
  Progress progress_;
};

}  // namespace

Result<Shard> ShardFromText(std::string_view text) {
  Shard shard;
  const char* const end = text.data() + text.size();
  const auto [slash, bad_index] = std::from_chars(text.data(), end, shard.index);
  if (bad_index == std::errc() && slash != end && *slash == '/') {
    const auto [rest, bad_count] = std::from_chars(slash + 1, end, shard.count);
    if (bad_count == std::errc() && rest == end && shard.index >= 1 && shard.index <= shard.count)
      return shard;
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("'{}' is no shard; expected i/n with 1 <= i <= n, such as 2/8", text));
}

Result<RunReport> Run(const RunOptions& options,
                      const std::function<void(const Progress&)>& on_progress,
                      const std::function<bool()>& stopped) {
  const auto cases = disk::ReadFile(options.cases);
  CONSILIUM_TRY(cases);
  const fs::path folder = fs::absolute(options.cases).parent_path();
  const auto list = ReadCaseList(*cases, options.cases.string(), folder);
  CONSILIUM_TRY(list);
  CONSILIUM_TRY(disk::MakeFolder(options.out));
  const auto lock = disk::FileLock::Take(options.out / "lock");
  CONSILIUM_TRY(lock);
  auto journal = Journal::Open(options.out / kJournal);
  CONSILIUM_TRY(journal);
  CONSILIUM_TRY(disk::ReplaceFile(options.out / kCases, *cases));
  CONSILIUM_TRY(disk::ReplaceFile(options.out / kSettings, options.settings));

  RunFile run;
  run.engine = engine::kVersion;
  run.settings = Hex(Sha256(options.settings));
  run.cases = Hex(list->digest);
  run.shard = options.shard;
  run.folder = folder.string();
  RunReport report;
  const auto progress = Extraction(options, *list, run, *journal, on_progress).Go(stopped);
  CONSILIUM_TRY(progress);
  report.progress = *progress;
  report.stopped = progress->done < progress->cases;
  run.complete = !report.stopped;

  auto outcomes = OutcomesOf(*list, run, *journal);
  CONSILIUM_TRY(outcomes);
  const auto tables = MakeTables(*list, std::move(*outcomes));
  CONSILIUM_TRY(tables);
  CONSILIUM_TRY(WriteTables(options.out, *tables));
  CONSILIUM_TRY(disk::ReplaceFile(options.out / kRun, ToJson(run).dump(1) + "\n"));
  report.rows = tables->row_count;
  report.problems = tables->problem_count;
  return report;
}

Result<RunSource> SourceOf(const fs::path& out) {
  const auto run = ReadRunFile(out / kRun);
  CONSILIUM_TRY(run);
  const auto cases = disk::ReadFile(out / kCases);
  CONSILIUM_TRY(cases);
  auto list = ReadCaseList(*cases, (out / kCases).string(), run->folder);
  CONSILIUM_TRY(list);
  return RunSource{std::move(*list), out / kSettings};
}

Result<RunReport> Merge(const std::vector<fs::path>& parts, const fs::path& out) {
  Problems problems;
  std::vector<RunFile> runs;
  std::map<int, fs::path> part_of;  // by shard
  for (const fs::path& part : parts) {
    auto run = ReadRunFile(part / kRun);
    CONSILIUM_TRY(run);
    if (!run->complete)
      problems.push_back(
          fmt::format("{}: its run was not finished; run the same command again", part.string()));
    if (!runs.empty()) {
      const auto same = [&](const char* what, const auto& mine, const auto& first) {
        if (mine == first) return;
        problems.push_back(fmt::format("{}: its {} is not that of {} ({}, {})", part.string(), what,
                                       parts.front().string(), mine, first));
      };
      same("engine", run->engine, runs.front().engine);
      same("settings' digest", run->settings, runs.front().settings);
      same("list's digest", run->cases, runs.front().cases);
      same("number of shards", run->shard.count, runs.front().shard.count);
    }
    const auto [there, is_new] = part_of.try_emplace(run->shard.index, part);
    if (!is_new)
      problems.push_back(fmt::format("{}: shard {} is in {} already", part.string(),
                                     run->shard.index, there->second.string()));
    runs.push_back(std::move(*run));
  }
  const bool alike = problems.empty();
  for (int shard = 1; alike && shard <= runs.front().shard.count; ++shard) {
    if (problems.size() == kMissingTold) break;
    if (!part_of.contains(shard))
      problems.push_back(fmt::format("shard {} of {} is missing; name its folder too", shard,
                                     runs.front().shard.count));
  }
  if (!problems.empty()) return tl::unexpected(Combine(problems));

  const auto source = SourceOf(parts.front());
  CONSILIUM_TRY(source);
  const CaseList& list = source->list;
  RunReport report;
  std::map<std::string, Outcome> by_id;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto journal = Journal::Open(parts[i] / kJournal);
    CONSILIUM_TRY(journal);
    auto outcomes = OutcomesOf(list, runs[i], *journal);
    CONSILIUM_TRY(outcomes);
    report.progress.failed += runs[i].failures.size();
    for (auto& [of, outcome] : *outcomes) by_id[of->id] = std::move(outcome);
  }
  std::vector<CaseOutcome> outcomes;
  for (const Case& one : list.cases) {
    const auto found = by_id.find(one.id);
    if (found == by_id.end())
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("no shard has case {}; extract its shard again", one.id));
    outcomes.push_back({&one, std::move(found->second)});
  }
  const auto tables = MakeTables(list, std::move(outcomes));
  CONSILIUM_TRY(tables);
  CONSILIUM_TRY(disk::MakeFolder(out));
  CONSILIUM_TRY(WriteTables(out, *tables));
  report.progress.cases = report.progress.done = list.cases.size();
  report.rows = tables->row_count;
  report.problems = tables->problem_count;
  return report;
}

}  // namespace consilium::extraction
