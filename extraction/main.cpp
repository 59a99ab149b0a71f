// consilium-extract: images and masks into tables of features.
//
// It holds no key and opens no socket: images are read far from both.
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "disk/files.h"
#include "engine/version.h"
#include "extraction/compliance/report.h"
#include "extraction/demo.h"
#include "extraction/describe.h"
#include "extraction/landmarks.h"
#include "extraction/phantom.h"
#include "extraction/run.h"
#include "extraction/settings.h"
#include "extraction/stability_command.h"
#include "extraction/worker.h"
#include "program/program.h"
#include "program/progress.h"

namespace consilium::extraction {
namespace {

namespace fs = std::filesystem;

enum ExitCode {
  kOk = 0,
  kSomeFailed = 1,
  kUsage = program::kExitUsage,
  kInputWrong = 3,
  kStopped = 4,
  kValuesDiffer = 5,
  kFault = program::kExitFault
};

constexpr const char* kExitCodes =
    "Exit codes:\n"
    "  0   done\n"
    "  1   done, but some cases failed: problems.csv says why\n"
    "  2   the command line is wrong\n"
    "  3   a file is missing, damaged or wrong\n"
    "  4   stopped before the end: the same command goes on from there\n"
    "  5   --compliance: a value does not hold\n"
    "  70  a fault of the program\n";

constexpr const char* kAbout =
    "Features of images and masks, one row a region.\n"
    "\n"
    "CASES is a CSV table with columns id, image, mask and, if wanted, label or roi, patient,\n"
    "sequence, level, lesion, rater, scan, time; all others are carried through. SETTINGS is a\n"
    "PyRadiomics parameter file as it is, or one of ours (docs/formats/extraction.md).\n";

struct Arguments {
  std::string cases, settings, perturb, out, shard = "1/1";
  std::string compliance, sts_images;
  int jobs = 0;
  std::int64_t memory_mb = -1;
  int case_seconds = 0;
  bool json = false, csv = false, describe = false, within_region = false;
  std::vector<std::string> parts;
  simulation::GeneratedOptions demo;
};

int Told(const Arguments& arguments, const Error& error) {
  return program::Tell(error, error.code == ErrorCode::kInternal ? kFault : kInputWrong,
                       arguments.json);
}

int CoreCount() {
  cpu_set_t cores;
  return ::sched_getaffinity(0, sizeof cores, &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

// Four fifths of what the machine has to give now, shared by all processes.
std::uint64_t MemoryOfEach(int processes) {
  std::ifstream file("/proc/meminfo");
  for (std::string word; file >> word;) {
    std::uint64_t kilobytes = 0;
    if (word == "MemAvailable:" && file >> kilobytes)
      return kilobytes * 1024 / 5 * 4 / static_cast<std::uint64_t>(processes);
  }
  return 0;
}

void ShowProgress(const Arguments& arguments, const Progress& progress, std::int64_t elapsed_ms,
                  program::LiveLine& line) {
  if (arguments.json) {
    std::cout << nlohmann::ordered_json{{"event", "case"},
                                        {"cases", progress.cases},
                                        {"done", progress.done},
                                        {"known", progress.known},
                                        {"failed", progress.failed},
                                        {"elapsed_s", static_cast<double>(elapsed_ms) / 1000}}
                     .dump()
              << "\n"
              << std::flush;
    return;
  }
  const auto extracted = static_cast<double>(progress.done - progress.known);
  const auto left = static_cast<double>(progress.cases - progress.done);
  std::string text = fmt::format("{} of {} cases", progress.done, progress.cases);
  if (progress.known > 0) text += fmt::format(", {} known before", progress.known);
  if (progress.failed > 0) text += fmt::format(", {} failed", progress.failed);
  text += fmt::format("  {} elapsed", program::CountdownText(elapsed_ms));
  if (extracted > 0 && elapsed_ms > 0) {
    const double a_second = extracted * 1000 / static_cast<double>(elapsed_ms);
    text += fmt::format(", {:.2g} cases/s, about {} left", a_second,
                        program::CountdownText(static_cast<std::int64_t>(left / a_second * 1000)));
  }
  const double share = progress.cases == 0 ? 1
                                           : static_cast<double>(progress.done) /
                                                 static_cast<double>(progress.cases);
  line.Show(share, text, elapsed_ms);
}

int Report(const Arguments& arguments, const RunReport& report, double seconds) {
  const Progress& progress = report.progress;
  const int code = report.stopped ? kStopped : progress.failed > 0 ? kSomeFailed : kOk;
  if (arguments.json) {
    std::cout << nlohmann::ordered_json{{"event", report.stopped ? "stopped" : "done"},
                                        {"out", arguments.out},
                                        {"cases", progress.cases},
                                        {"done", progress.done},
                                        {"known", progress.known},
                                        {"failed", progress.failed},
                                        {"rows", report.rows},
                                        {"problems", report.problems},
                                        {"seconds", seconds},
                                        {"exit", code}}
                     .dump()
              << "\n";
    return code;
  }
  fmt::print("{} rows of {} cases in {}\n", report.rows, progress.done,
             (fs::path(arguments.out) / "features.csv").string());
  if (report.problems > 0) {
    fmt::print("{} failures and warnings ({} cases without a row): {}\n", report.problems,
               progress.failed, (fs::path(arguments.out) / "problems.csv").string());
  }
  if (report.stopped) {
    fmt::print("Stopped after {} of {} cases; the same command goes on from there.\n",
               progress.done, progress.cases);
  }
  return code;
}

int ExtractAll(const Arguments& arguments) {
  const auto shard = ShardFromText(arguments.shard);
  if (!shard) return program::Tell(shard.error(), kUsage, arguments.json);
  // A wrong settings file is told before any process is started.
  auto settings_text = disk::ReadFile(arguments.settings);
  if (settings_text && !arguments.perturb.empty()) {
    const auto perturb = disk::ReadFile(arguments.perturb);
    if (!perturb) return Told(arguments, perturb.error());
    settings_text =
        WithPerturbations(*settings_text, arguments.settings, *perturb, arguments.perturb);
  }
  if (!settings_text) return Told(arguments, settings_text.error());
  const auto settings = ReadSettings(*settings_text, arguments.settings);
  if (!settings) return Told(arguments, settings.error());
  if (!arguments.json) {
    for (const auto& note : settings->notes) fmt::print(stderr, "note: {}\n", note);
  }

  RunOptions options;
  options.cases = arguments.cases;
  options.settings = std::move(*settings_text);
  options.out = arguments.out;
  options.shard = *shard;
  options.processes = arguments.jobs > 0 ? arguments.jobs : CoreCount();
  options.memory_bytes = arguments.memory_mb < 0
                             ? MemoryOfEach(options.processes)
                             : static_cast<std::uint64_t>(arguments.memory_mb) << 20;
  options.case_seconds_max = arguments.case_seconds;
  options.worker = {"/proc/self/exe", "worker"};

  const program::StopSignals signals;
  std::atomic<bool> stop = false;
  program::LiveLine line(::isatty(2) == 1);
  const std::int64_t began = program::MonotonicMs();
  RunReport report;
  const auto ended = signals.RunUntil(
      [&]() -> Result<void> {
        auto done = Run(
            options,
            [&](const Progress& progress) {
              ShowProgress(arguments, progress, program::MonotonicMs() - began, line);
            },
            [&] { return stop.load(); });
        if (!arguments.json) line.End();
        CONSILIUM_TRY(done);
        report = *done;
        return {};
      },
      [&] { stop = true; });
  if (!ended) return Told(arguments, ended.error());
  return Report(arguments, report, static_cast<double>(program::MonotonicMs() - began) / 1000);
}

int MergeAll(const Arguments& arguments) {
  const auto report =
      Merge({arguments.parts.begin(), arguments.parts.end()}, fs::path(arguments.out));
  if (!report) return Told(arguments, report.error());
  return Report(arguments, *report, 0);
}

int Demo(const Arguments& arguments) {
  const auto study = simulation::GenerateImageStudy(arguments.demo);
  program::LiveLine line(::isatty(2) == 1);
  const std::int64_t began = program::MonotonicMs();
  const auto written =
      WriteDemo(study, arguments.demo.seed, arguments.out,
                arguments.jobs > 0 ? arguments.jobs : CoreCount(), [&](std::size_t images) {
                  if (arguments.json) return;
                  line.Show(static_cast<double>(images) / static_cast<double>(study.cases.size()),
                            fmt::format("{} of {} images", images, study.cases.size()),
                            program::MonotonicMs() - began);
                });
  if (!arguments.json) line.End();
  if (!written) return Told(arguments, written.error());
  if (arguments.json) {
    std::cout << nlohmann::ordered_json{{"event", "generated"},
                                        {"out", arguments.out},
                                        {"hospitals", study.hospitals},
                                        {"images", study.cases.size()},
                                        {"true_external_auc", study.true_external_auc}}
                     .dump()
              << "\n";
    return kOk;
  }
  fmt::print("{} images of {} generated hospitals in {}. Extract each hospital's with:\n",
             study.cases.size(), study.hospitals.size(), arguments.out);
  for (const std::string& hospital : study.hospitals) {
    fmt::print(
        "consilium-extract {0}/cases-{1}.csv --settings {0}/params.yaml --out "
        "{0}/features/{1}\n",
        arguments.out, hospital);
  }
  return kOk;
}

int Work(const Arguments& arguments) {
  const auto text = disk::ReadFile(arguments.settings);
  if (!text) return Told(arguments, text.error());
  const auto settings = ReadSettings(*text, arguments.settings);
  if (!settings) return Told(arguments, settings.error());
  const auto served = Serve(std::cin, std::cout, *settings);
  return served ? kOk : Told(arguments, served.error());
}

int Describe(const Arguments& arguments) {
  const auto features = DescribeFeatures();
  std::cout << (arguments.csv ? ToCsv(features) : ToText(features));
  return kOk;
}

// A hospital's sums, or the template of several hospitals' sums.
int Landmarks(const Arguments& arguments) {
  if (!arguments.parts.empty()) {
    std::optional<engine::LandmarkSums> all;
    for (const std::string& part : arguments.parts) {
      const auto text = disk::ReadFile(part);
      if (!text) return Told(arguments, text.error());
      auto sums = LandmarkSumsFromJson(*text);
      if (sums && all) sums = engine::Together(*all, *sums);
      if (!sums) return Told(arguments, Within(part, sums.error()));
      all = std::move(*sums);
    }
    const auto standard = engine::TemplateOf(*all);
    if (!standard) return Told(arguments, standard.error());
    std::cout << ToYaml(*standard, arguments.within_region);
    return kOk;
  }
  const auto text = disk::ReadFile(arguments.cases);
  if (!text) return Told(arguments, text.error());
  const auto list =
      ReadCaseList(*text, arguments.cases, fs::absolute(arguments.cases).parent_path());
  if (!list) return Told(arguments, list.error());
  const auto report = LandmarksOf(*list, arguments.within_region, 1);
  if (!report) return Told(arguments, report.error());
  for (const auto& failure : report->failures) fmt::print(stderr, "note: {}\n", failure);
  std::cout << ToJson(report->sums) << "\n";
  return report->failures.empty() ? kOk : kSomeFailed;
}

// What a lead puts into a study file, and what a hospital compares with it.
int ShowPhantom(const Arguments& arguments) {
  const auto text = disk::ReadFile(arguments.settings);
  if (!text) return Told(arguments, text.error());
  const auto settings = ReadSettings(*text, arguments.settings);
  if (!settings) return Told(arguments, settings.error());
  const auto row = PhantomFeatures(*settings);
  if (!row) return Told(arguments, row.error());
  if (!arguments.json) {
    std::cout << StudySection(*text, *row);
    return kOk;
  }
  nlohmann::ordered_json features = nlohmann::ordered_json::object();
  for (std::size_t i = 0; i < row->names.size(); ++i) features[row->names[i]] = row->values[i];
  std::cout << nlohmann::ordered_json{{"event", "phantom"},
                                      {"engine", engine::kVersion},
                                      {"settings_sha256", Hex(settings->digest)},
                                      {"tolerance", SameBitsEverywhere(*settings) ? 1e-9 : 1e-4},
                                      {"features", std::move(features)}}
                   .dump()
            << "\n";
  return kOk;
}

// Our values beside those that others published.
int CheckCompliance(const Arguments& arguments) {
  program::LiveLine line(::isatty(2) == 1);
  const std::int64_t began = program::MonotonicMs();
  const auto report = compliance::RunReferenceSets(
      compliance::ReferenceSets({arguments.compliance, arguments.sts_images}),
      [&](std::size_t done, std::size_t all, const std::string& what) {
        if (!arguments.json)
          line.Show(static_cast<double>(done) / static_cast<double>(all), what,
                    program::MonotonicMs() - began);
      });
  if (!arguments.json) line.End();
  if (!report) return Told(arguments, report.error());
  const auto written = compliance::WriteReport(*report, arguments.out);
  if (!written) return Told(arguments, written.error());
  const int code = report->Holds() ? kOk : kValuesDiffer;
  std::cout << (arguments.json ? compliance::JsonOf(*report, arguments.out, code)
                               : compliance::TextOf(*report));
  return code;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app(kAbout, "consilium-extract");
  app.footer(kExitCodes);
  app.set_version_flag("--version", engine::kVersion);
  app.require_subcommand(0, 1);
  app.fallthrough();  // --json may also stand behind the command
  app.add_flag("--json", arguments.json, "One JSON object a line on standard output");
  app.add_flag("--describe", arguments.describe,
               "Every feature: name, IBSI code, PyRadiomics' name, source");
  app.add_flag("--csv", arguments.csv, "With --describe: as a table");
  app.add_option("CASES", arguments.cases, "The list of cases");
  app.add_option("--settings", arguments.settings, "What to extract (YAML or JSON)");
  app.add_option("--perturb", arguments.perturb,
                 "With a PyRadiomics parameter file: how each region is perturbed, to see which "
                 "features are stable");
  app.add_option("--out", arguments.out, "Folder of the tables; run again to go on in it");
  app.add_option("--jobs", arguments.jobs, "Processes (default: one a core)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--shard", arguments.shard, "i/n: only the cases i, i + n, ... of the list");
  app.add_option("--memory-mb", arguments.memory_mb,
                 "Limit of each process, 0 for none (default: its share of 4/5 of what is free)")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 30));
  app.add_option("--case-seconds", arguments.case_seconds,
                 "A case that takes longer fails (default: no limit)")
      ->check(CLI::Range(1, 1'000'000));

  CLI::Option* check = app.add_option("--compliance", arguments.compliance,
                                      "Folder of references: our values beside the published ones")
                           ->excludes("CASES")
                           ->needs("--out");
  app.add_option("--sts-images", arguments.sts_images,
                 "--compliance: also 49 sarcomas (STS_001/MR_T1_image.nii.gz, ...)")
      ->needs(check);

  CLI::App* merge = app.add_subcommand("merge", "The tables of all shards as one");
  merge->add_option("FOLDERS", arguments.parts, "--out of each shard")->required();
  merge->add_option("--out", arguments.out, "Folder of the whole")->required();
  CLI::App* phantom = app.add_subcommand(
      "phantom", "What a study file says of its extraction: settings, and a phantom's features");
  phantom->add_option("--settings", arguments.settings, "What to extract")->required();
  CLI::App* landmarks = app.add_subcommand(
      "landmarks", "Sums of the images' landmarks, or the template of several hospitals' sums");
  landmarks->add_option("CASES", arguments.cases, "The list of cases");
  landmarks->add_option("--combine", arguments.parts, "Files that other hospitals' runs printed");
  landmarks->add_flag("--within-region", arguments.within_region,
                      "Of the first region instead of what is brighter than the mean");
  StabilityCommand stability;
  CLI::App* stable = stability.AddTo(app);
  CLI::App* demo = app.add_subcommand(
      "demo", "Write the demo study: five generated hospitals with images, whose truth is known");
  demo->add_option("--out", arguments.out, "Folder of the images, masks, lists and study.yaml")
      ->required();
  demo->add_option("--seed", arguments.demo.seed, "Another seed than the demo's")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 62));
  demo->add_option("--size", arguments.demo.size, "Patients relative to the demo's (default: 1)")
      ->check(CLI::Range(0.5, 20.0));
  CLI::App* worker = app.add_subcommand("worker")->group("");  // started by the run itself
  worker->add_option("--settings", arguments.settings)->required();

  int exit_code = 0;
  if (!program::Parse(app, argc, argv, exit_code)) return exit_code;
  if (*merge) return MergeAll(arguments);
  if (arguments.describe) return Describe(arguments);
  if (*landmarks) return Landmarks(arguments);
  if (*phantom) return ShowPhantom(arguments);
  if (*demo) return Demo(arguments);
  if (*worker) return Work(arguments);
  if (*check) return CheckCompliance(arguments);
  if (*stable) {
    const auto done = stability.Do(arguments.json);
    return done ? kOk : Told(arguments, done.error());
  }
  for (const auto& [value, name] :
       {std::pair{&arguments.cases, "CASES"}, std::pair{&arguments.settings, "--settings"},
        std::pair{&arguments.out, "--out"}}) {
    if (!value->empty()) continue;
    return program::Tell({ErrorCode::kInvalidArgument,
                          fmt::format("{} is missing; see consilium-extract --help", name)},
                         kUsage, arguments.json);
  }
  return ExtractAll(arguments);
}

}  // namespace
}  // namespace consilium::extraction

int main(int argc, char** argv) {
  return consilium::program::Run([&] { return consilium::extraction::Main(argc, argv); });
}
