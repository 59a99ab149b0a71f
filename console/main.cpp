// consilium: the console of leads and auditors, and the federation in one process.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/csv.h"
#include "base/digest.h"
#include "console/files.h"
#include "console/load.h"
#include "console/render.h"
#include "console/screen.h"
#include "console/summary.h"
#include "console/verbs.h"
#include "coordinator/report_files.h"
#include "coordinator/report_html.h"
#include "coordinator/report_json.h"
#include "coordinator/report_tables.h"
#include "coordinator/study_run.h"
#include "identity/tls13.h"
#include "program/program.h"
#include "program/progress.h"
#include "simulation/generated/tables.h"
#include "simulation/local_federation.h"
#include "site_agent/extractor.h"
#include "study/program.h"
#include "study/submission.h"

namespace consilium::console {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::string Seconds(double seconds) {
  return CountdownText(static_cast<std::int64_t>(seconds * 1000));
}

// Progress of a run: one line that is written over on a terminal, a line now and then elsewhere.
class ProgressLine {
 public:
  ProgressLine(const Screen& screen, int lambda_count)
      : screen_(screen),
        lambda_count_(lambda_count),
        began_(Clock::now()),
        line_(screen.terminal) {}

  void Show(const simulation::Progress& progress) {
    const double elapsed = std::chrono::duration<double>(Clock::now() - began_).count();
    fits_max_ = std::max(fits_max_, progress.fits);
    const double share = ProgressShare(progress.round, lambda_count_);
    const double left = elapsed * (1 - share) / share;
    if (screen_.json) {
      std::cout << nlohmann::json{{"event", "round"},        {"round", progress.round},
                                  {"doing", progress.doing}, {"queries", progress.queries},
                                  {"fits", progress.fits},   {"bytes_up", progress.bytes_up},
                                  {"elapsed_s", elapsed}}
                       .dump()
                << "\n"
                << std::flush;
      return;
    }
    const std::string line = fmt::format(
        "round {:>3}  {:<26} {:>4} fits  {:>8} sent per hospital  {} elapsed, about {} left",
        progress.round + 1, progress.doing, progress.fits, Megabytes(progress.bytes_up),
        Seconds(elapsed), Seconds(left));
    line_.Show(share, line, static_cast<std::int64_t>(elapsed * 1000));
  }
  void End() const {
    if (!screen_.json) line_.End();
  }
  [[nodiscard]] double elapsed() const {
    return std::chrono::duration<double>(Clock::now() - began_).count();
  }

 private:
  const Screen& screen_;
  int lambda_count_;
  Clock::time_point began_;
  std::size_t fits_max_ = 0;
  program::LiveLine line_;
};

Result<void> WriteReport(const fs::path& out, const study::Results& results) {
  const auto files = coordinator::ReportFiles(results);
  CONSILIUM_TRY(files);
  for (const auto& [name, text] : *files) CONSILIUM_TRY(WriteFile(out / name, text));
  return {};
}

// ---- verbs
// ------------------------------------------------------------------------------------------

struct SimulateArguments {
  std::string study, data = ".", out;
  std::vector<std::string> sites;
  int threads = 0;
  bool no_masks = false;
  bool keep_answers = false;
  bool resume = false;
};

int StudyCheck(const SimulateArguments& arguments, const Screen& screen) {
  const auto sites = ParseSites(arguments.sites);
  if (!sites) return screen.Report(sites.error(), kUsage);
  const auto loaded = Load(arguments.study, *sites, arguments.data);
  if (!loaded) return screen.Report(loaded.error());
  const study::Study& study = loaded->study;
  if (screen.json) {
    nlohmann::ordered_json told{{"event", "checked"},
                                {"study", study.name},
                                {"digest", Hex(study.digest)},
                                {"sites", study.sites},
                                {"columns", study.feature_columns.size()}};
    for (const auto& [name, site] : loaded->sites) told["rows"][name] = site.cohort.row_count();
    std::cout << told.dump() << "\n";
    return kOk;
  }
  fmt::print("{}: {}\n", study.name,
             study.title.empty() ? "the study file is in order" : study.title);
  fmt::print("  design        {}\n", study.design == study::Design::kNamedHeldOut
                                         ? "named held-out centers"
                                         : "leave-one-center-out");
  fmt::print("  event         {}\n", study.event);
  fmt::print("  fits          {} patterns x {} feature sets x {} harmonizations x ({} folds + 1)\n",
             study::PatternsOf(study).size(), study.feature_sets.size(),
             study.harmonizations.size(), study.folds.count);
  if (study.design == study::Design::kLeaveOneCenterOut) {
    fmt::print(
        "  discloses     leave-one-center-out tells the coordinator each center's own sums, by "
        "differences of totals\n");
  }
  for (const auto& [name, site] : loaded->sites) {
    const auto events = static_cast<long>(site.cohort.outcome.sum());
    fmt::print("  {:<13} {} rows used, {} events\n", name, site.cohort.row_count(), events);
  }
  for (const std::string& note : loaded->notes) fmt::print("  note: {}\n", note);
  fmt::print("  digest        {}\n", Hex(study.digest));
  if (loaded->sites.empty()) fmt::print("No --site was given: cohorts were not looked at.\n");
  return kOk;
}

fs::path AnswerPath(const fs::path& out, std::uint64_t round, const std::string& site);

int Simulate(const SimulateArguments& arguments, const Screen& screen) {
  const auto sites = ParseSites(arguments.sites);
  if (!sites) return screen.Report(sites.error(), kUsage);
  if (sites->empty())
    return screen.Report({ErrorCode::kInvalidArgument,
                          "simulate needs a --site NAME=COHORT.yaml for each site of the study"},
                         kUsage);
  const fs::path out = arguments.out, log_path = out / "log.consilium";
  if (const auto writable = CheckWritable(out); !writable) return screen.Report(writable.error());
  auto loaded = Load(arguments.study, *sites, arguments.data);
  if (!loaded) return screen.Report(loaded.error());
  study::Study study = loaded->study;
  if (arguments.no_masks) study.privacy.masks = false;
  if (study.extraction) {  // as every agent does before its first answer
    const auto reproduced =
        site_agent::ReproducePhantom(*study.extraction, site_agent::ExtractProgram());
    if (!reproduced) return screen.Report(reproduced.error());
    loaded->notes.push_back(fmt::format("{} features of the digital phantom are reproduced",
                                        study.extraction->phantom.size()));
  }
  Bytes resume;
  if (arguments.resume && fs::exists(log_path)) {
    const auto text = ReadFile(log_path);
    if (!text) return screen.Report(text.error());
    const std::span<const std::uint8_t> left(reinterpret_cast<const std::uint8_t*>(text->data()),
                                             text->size());
    const auto whole = WholeRecordBytes(left);
    if (!whole) return screen.Report(Within(log_path.string(), whole.error()));
    resume.assign(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(*whole));
  }
  auto log = LogFile::Open(log_path, resume.size());
  if (!log) return screen.Report(log.error());
  // Told with the first round: nothing stands before an error of the files or a refusal.
  std::vector<std::string> notes = screen.json ? std::vector<std::string>() : loaded->notes;
  const auto tell_notes = [&notes] {
    for (const std::string& note : notes) fmt::print(stderr, "note: {}\n", note);
    notes.clear();
  };
  ProgressLine line(screen, study.models.empty() ? 100 : study.models.front().lambda_count);
  simulation::LocalOptions options;
  options.threads = arguments.threads > 0
                        ? arguments.threads
                        : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  if (arguments.keep_answers) {
    options.keep_answer = [&out](std::uint64_t round, const std::string& site, const Bytes& words) {
      return WriteFile(AnswerPath(out, round, site),
                       {reinterpret_cast<const char*>(words.data()), words.size()});
    };
  }
  options.progress = [&](const simulation::Progress& progress) {
    tell_notes();
    line.Show(progress);
  };
  const auto outcome =
      simulation::RunLocally(study, loaded->text, std::move(loaded->sites), **log, options, resume);
  line.End();
  if (!outcome) return screen.Report(outcome.error());
  tell_notes();
  if (const auto written = WriteReport(out, outcome->results); !written)
    return screen.Report(written.error());
  for (const auto& [site, lines] : outcome->ledgers) {
    if (const auto written = WriteFile(out / "ledgers" / (site + ".jsonl"), lines); !written)
      return screen.Report(written.error());
  }
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  const nlohmann::ordered_json run{{"schema", "consilium.run/1"},
                                   {"engine_version", study::kEngineVersion},
                                   {"host", host},
                                   {"threads", options.threads},
                                   {"masks", study.privacy.masks},
                                   {"seconds", line.elapsed()},
                                   {"log_bytes", (*log)->bytes()},
                                   {"finished_unix_s", program::UnixMs() / 1000}};
  if (const auto written = WriteFile(out / "run.json", run.dump(2) + "\n"); !written)
    return screen.Report(written.error());
  if (screen.json) {
    std::cout << nlohmann::ordered_json{{"event", "done"},
                                        {"verdict", outcome->results.verdict.word},
                                        {"rounds", outcome->results.rounds},
                                        {"seconds", line.elapsed()},
                                        {"report", (out / "report.json").string()}}
                     .dump()
              << "\n";
    return kOk;
  }
  const auto summary = Summarize(coordinator::ReportJson(outcome->results));
  if (!summary) return screen.Report(summary.error());
  std::cout << SummaryText(*summary, (out / "report.html").string());
  return kOk;
}

int Report(const std::string& folder, const Screen& screen) {
  const fs::path out = folder;
  const auto json = ReadFile(out / "report.json");
  if (!json) return screen.Report(json.error());
  std::vector<coordinator::ReportTable> tables;
  for (const char* name : {"coefficients.csv", "cv.csv"}) {
    auto text = ReadFile(out / name);
    if (!text) return screen.Report(text.error());
    tables.push_back({name, std::move(*text)});
  }
  const auto html = coordinator::ReportHtml(*json, tables);
  if (!html) return screen.Report(html.error());
  if (const auto written = WriteFile(out / "report.html", *html); !written)
    return screen.Report(written.error());
  if (screen.json) {
    std::cout
        << nlohmann::json{{"event", "written"}, {"report", (out / "report.html").string()}}.dump()
        << "\n";
  } else {
    fmt::print("{}\n", (out / "report.html").string());
  }
  return kOk;
}

// A folder of this machine, or a study of a coordinator.
int ReportOf(const std::string& what, const std::string& out, const Session& session) {
  std::error_code none;
  // A folder that only has a study's name holds no run.
  const bool is_run = fs::exists(fs::path(what) / "report.json", none);
  if (is_run && !out.empty()) {
    return session.screen.Report(
        {ErrorCode::kInvalidArgument,
         fmt::format("report: {} is a folder, whose report.html is written there; --out is for a "
                     "study's ID",
                     what)},
        kUsage);
  }
  if (is_run || what.find('/') != std::string::npos) return Report(what, session.screen);
  const auto profile = FolderOf(session);
  if (!profile) return session.screen.Report(profile.error());
  const auto enrolment = LoadEnrolment(*profile);
  if (!enrolment && enrolment.error().code == ErrorCode::kNotFound) {
    return session.screen.Report(
        {ErrorCode::kNotFound,
         fmt::format("{}/report.json: there is no such file; for a study of that name: {}", what,
                     enrolment.error().message)});
  }
  return FetchReport(session, what, out);
}

Result<std::string> ReadLog(const fs::path& folder) { return ReadFile(folder / "log.consilium"); }

std::span<const std::uint8_t> AsBytes(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// What the chain ends in, and what an audit of the log alone leaves open.
void PrintHead(const Digest& head, std::string_view open) {
  fmt::print(
      "Head of the log: {}\nNot proven: {}, which only hashes without a key hold. The head must "
      "stand in the sites' ledgers, as content of the last 'round total received'.\n",
      Hex(head), open);
}

int AuditVerify(const std::string& folder, const Screen& screen) {
  const auto text = ReadLog(folder);
  if (!text) return screen.Report(text.error());
  const auto figures = coordinator::VerifyLog(AsBytes(*text));
  if (!figures) return screen.Report(figures.error(), kAuditFailed);
  if (screen.json) {
    std::cout << nlohmann::ordered_json{{"event", "verified"},
                                        {"rounds", figures->rounds},
                                        {"receipts", figures->receipts},
                                        {"bytes", figures->bytes},
                                        {"head", Hex(figures->head)}}
                     .dump()
              << "\n";
  } else {
    fmt::print("The log holds: {} rounds in one chain, {} signed receipts, {} of totals.\n",
               figures->rounds, figures->receipts, Megabytes(figures->bytes));
    PrintHead(figures->head, "totals, decisions and the engine's version");
  }
  return kOk;
}

fs::path AnswerPath(const fs::path& out, std::uint64_t round, const std::string& site) {
  return out / "answers" / fmt::format("{:05}", round) / (site + ".words");
}

int AuditReplay(const std::string& folder, const Screen& screen) {
  const fs::path out = folder;
  const auto text = ReadLog(folder);
  if (!text) return screen.Report(text.error());
  federation::LogReader reader(AsBytes(*text));
  const auto header = reader.Header();
  if (!header) return screen.Report(header.error(), kAuditFailed);
  const auto study = study::StudyOfHeader(*header);
  if (!study) return screen.Report(study.error(), kAuditFailed);
  const study::Engine engine = study::MakeEngine();
  // Masked answers that were kept are added again; their signatures stand in the log.
  const bool kept = fs::exists(out / "answers");
  coordinator::KeptAnswers answers;
  if (kept) {
    answers = [&out](std::uint64_t round, const std::string& site) -> Result<Bytes> {
      const auto words = ReadFile(AnswerPath(out, round, site));
      CONSILIUM_TRY(words);
      return Bytes(words->begin(), words->end());
    };
  }
  const auto replayed = coordinator::ReplayLog(*study, engine, AsBytes(*text), answers);
  if (!replayed) return screen.Report(replayed.error(), kAuditFailed);
  const study::Results& results = replayed->results;
  const std::string json = coordinator::ReportJson(results);
  std::vector<std::string> differing;
  const auto compare = [&](const std::string& name, const std::string& expected) {
    const auto found = ReadFile(out / name);
    if (!found || *found != expected) differing.push_back(name);
  };
  compare("report.json", json);
  for (const coordinator::ReportTable& table : coordinator::ReportTables(results))
    compare(table.file_name, table.csv);
  if (!differing.empty()) {
    return screen.Report(
        {ErrorCode::kDataLoss,
         fmt::format("re-derived from the log, these files differ from what stands in {}: {}",
                     folder, fmt::join(differing, ", "))},
        kAuditFailed);
  }
  if (screen.json) {
    std::cout << nlohmann::ordered_json{{"event", "replayed"},
                                        {"rounds", results.rounds},
                                        {"report_sha256", Hex(Sha256(json))},
                                        {"totals_added_again", kept},
                                        {"head", Hex(replayed->head)}}
                     .dump()
              << "\n";
  } else {
    fmt::print(
        "Re-derived from {} logged rounds: {}every question follows from the study, and "
        "report.json and every table are the same to the byte.\n",
        results.rounds, kept ? "the signed answers add up to every total, " : "");
    if (!kept) {
      fmt::print(
          "Totals were taken from the log: run with --keep-answers to have them added again.\n");
    }
    PrintHead(replayed->head, kept ? "decisions" : "totals and decisions");
  }
  return kOk;
}

int Demo(const std::string& folder, std::uint64_t seed, const Screen& screen) {
  const fs::path out = folder;
  simulation::GeneratedOptions options;
  if (seed != 0) options.seed = seed;
  const simulation::GeneratedStudy generated = simulation::GenerateHospitals(options);
  for (const auto& [name, text] : generated.files) {
    if (const auto written = WriteFile(out / name, text); !written)
      return screen.Report(written.error());
  }
  std::string command = fmt::format("consilium simulate {}", (out / "study.yaml").string());
  for (const std::string& hospital : generated.hospitals)
    command += fmt::format(" --site {}={}", hospital, (out / (hospital + ".yaml")).string());
  command += fmt::format(" --data {} --out {}", out.string(), (out / "report").string());
  if (screen.json) {
    std::cout << nlohmann::ordered_json{{"event", "generated"},
                                        {"study", (out / "study.yaml").string()},
                                        {"hospitals", generated.hospitals},
                                        {"command", command}}
                     .dump()
              << "\n";
  } else {
    fmt::print("{} generated hospitals in {}. Run them with:\n{}\n", generated.hospitals.size(),
               out.string(), command);
  }
  return kOk;
}

// Every command's --help ends with the exit codes.
void AddExitCodes(CLI::App& app) {
  const std::string footer = app.get_footer();
  app.footer(footer.empty() ? std::string(kExitCodes) : footer + "\n" + kExitCodes);
  for (CLI::App* verb : app.get_subcommands([](CLI::App*) { return true; })) AddExitCodes(*verb);
}

std::vector<std::string> CommandNames(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands([](CLI::App*) { return true; }))
    names.push_back(verb->get_name());
  return names;
}

int Main(int argc, char** argv) {
  Session session;
  Screen& screen = session.screen;
  int& code = session.code;
  screen.terminal = ::isatty(STDERR_FILENO) != 0 &&
                    std::getenv("NO_COLOR") == nullptr;  // NOLINT(concurrency-mt-unsafe)
  // Before anything uses TLS; gRPC's own log would stand beside our errors.
  if (const auto tls = identity::RequireTls13(); !tls) return screen.Report(tls.error());
  ::setenv("GRPC_VERBOSITY", "NONE", 0);  // NOLINT(concurrency-mt-unsafe): no thread yet
  CLI::App app{
      "Consilium: does a radiomics model hold in hospitals that never saw it?\n"
      "Runs, checks and audits federated multicenter studies; only sums leave a hospital.",
      "consilium"};
  app.require_subcommand(1);
  app.fallthrough();
  app.add_flag("--json", screen.json, "One JSON object a line on standard output, for scripts");
  app.add_option("--profile", session.profile,
                 "Which of your keys: one profile a coordinator (see consilium key)");
  app.set_version_flag("--version", study::kEngineVersion);

  SimulateArguments arguments;
  std::string folder, what;
  std::uint64_t seed = 0;

  CLI::App* study = app.add_subcommand("study", "Check, submit, follow and cancel studies");
  study->require_subcommand(1);
  study->footer(
      "Examples:\n"
      "  consilium study check study.yaml\n"
      "  consilium study submit study.yaml --pins sites.txt\n"
      "  consilium study watch lung6\n");
  CLI::App* check = study->add_subcommand(
      "check", "Check a study file, and the cohorts given with it, before anything runs");
  check->add_option("STUDY", arguments.study, "The study file")->required();
  check->add_option("--site", arguments.sites, "NAME=COHORT.yaml, once for each site");
  check
      ->add_option("--data", arguments.data, "Folder to which the cohort files' paths are relative")
      ->capture_default_str();
  check->callback([&] { code = StudyCheck(arguments, screen); });
  AddStudyVerbs(*study, session);

  CLI::App* simulate = app.add_subcommand(
      "simulate",
      "Run a study with all its hospitals in this process, over the same contract as the network");
  simulate->add_option("STUDY", arguments.study, "The study file")->required();
  simulate->add_option("--site", arguments.sites, "NAME=COHORT.yaml, once for each site")
      ->required();
  simulate
      ->add_option("--data", arguments.data, "Folder to which the cohort files' paths are relative")
      ->capture_default_str();
  simulate
      ->add_option("--out", arguments.out,
                   "Folder for the report, the tables, the log and the ledgers")
      ->required();
  simulate
      ->add_option("--threads", arguments.threads,
                   "Threads (default: all cores); no figure depends on it")
      ->check(CLI::Range(1, 256));
  simulate->add_flag("--keep-answers", arguments.keep_answers,
                     "Keep every masked answer in --out, so that an audit can add them again");
  simulate->add_flag("--no-masks", arguments.no_masks,
                     "Sums without masks (public data only); the report has the same bytes");
  simulate->add_flag("--resume", arguments.resume, "Continue from the log in --out after a crash");
  simulate->callback([&] { code = Simulate(arguments, screen); });

  CLI::App* report = app.add_subcommand(
      "report", "Fetch a study's report; or write report.html again from the files of a run");
  report->add_option("ID|DIR", what, "A study's name or digits; or the folder of a finished run")
      ->required();
  report->add_option("--out", folder, "With an ID: where to (default: ./report-NAME)");
  report->callback([&] { code = ReportOf(what, folder, session); });

  CLI::App* audit = app.add_subcommand("audit", "Check a study from its log");
  audit->require_subcommand(1);
  CLI::App* verify = audit->add_subcommand(
      "verify", "The chain of the log, its hashes and every site's signature");
  verify->add_option("DIR", folder, "The folder that simulate or audit fetch wrote")->required();
  verify->callback([&] { code = AuditVerify(folder, screen); });
  CLI::App* replay = audit->add_subcommand(
      "replay",
      "Re-derive every question and every figure from the log, and compare with the files");
  replay->add_option("DIR", folder, "The folder that simulate or audit fetch wrote")->required();
  replay->callback([&] { code = AuditReplay(folder, screen); });

  AddAuditVerbs(*audit, session);
  AddSiteVerbs(app, session);
  AddKeyVerbs(app, session);

  CLI::App* demo = app.add_subcommand(
      "demo",
      "Write a study of five generated hospitals whose truth is known: tables only, no images "
      "(consilium-extract demo makes those)");
  demo->add_option("--out", folder, "Folder for study.yaml, the cohort files and the tables")
      ->required();
  demo->add_option("--seed", seed, "Another seed than the demo's")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 62));
  demo->callback([&] { code = Demo(folder, seed, screen); });

  AddCompletion(app, session);
  AddExitCodes(app);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const std::vector<std::string> left = app.remaining();
    if (error.get_exit_code() != 0 && app.get_subcommands().empty() && !left.empty()) {
      fmt::print(stderr, "unknown command '{}'; expected one of {}; see consilium --help\n",
                 left.front(), fmt::join(CommandNames(app), ", "));
      return kUsage;
    }
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  return code;
}

}  // namespace
}  // namespace consilium::console

int main(int argc, char** argv) {
  return consilium::program::Run([&] { return consilium::console::Main(argc, argv); });
}
