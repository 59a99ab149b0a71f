#include "extraction/stability_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "disk/files.h"
#include "extraction/rater_agreement.h"
#include "extraction/run.h"
#include "extraction/stability.h"
#include "extraction/table.h"

namespace consilium::extraction {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAbout =
    "Which features stay the same when they are measured again: stability.csv, and with --keep\n"
    "the list of those that do.\n"
    "\n"
    "INPUT is a folder of a run, or its features.csv. Repeats are told apart by a column of the\n"
    "list of cases: scan (test-retest) or rater (raters; the masks of a run's folder are compared\n"
    "as well). With --combine: the stability.csv of several hospitals instead. A run whose\n"
    "settings have `perturb` writes its stability.csv by itself. See docs/formats/stability.md.\n";

Result<Stability> Combined(const std::vector<std::string>& files) {
  std::vector<Stability> parts;
  std::set<std::string> texts;
  for (const std::string& file : files) {
    auto text = disk::ReadFile(file);
    CONSILIUM_TRY(text);
    auto part = ReadStability(*text, file);
    CONSILIUM_TRY(part);
    if (!texts.insert(std::move(*text)).second) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("{}: the same table is there twice; its patients would count twice", file));
    }
    parts.push_back(std::move(*part));
  }
  return Together(parts, files);
}

}  // namespace

CLI::App* StabilityCommand::AddTo(CLI::App& app) {
  CLI::App* command = app.add_subcommand("stability", kAbout);
  command->add_option("INPUT", input_, "A run's folder, or a table of features");
  command->add_option("--design", design_, "What is repeated")
      ->check(CLI::IsMember({"test-retest", "raters", "perturbations"}));
  command->add_option("--repeat", repeat_, "Another column that tells repeats apart, such as time");
  command->add_option("--features", features_,
                      "Patterns of the columns that are features (default: those behind the "
                      "provenance)");
  command->add_option("--combine", combine_, "stability.csv of each hospital, instead of INPUT");
  command->add_option("--keep", keep_,
                      "Conditions such as icc31>=0.75 or icc31_low>=0.75, all of which a feature "
                      "must meet");
  command->add_option("--jobs", jobs_, "Processes that compare masks")->check(CLI::Range(1, 1024));
  command->add_option("--out", out_, "Folder of the tables")->required();
  return command;
}

Result<void> StabilityCommand::Do(bool json) const {
  if (input_.empty() == combine_.empty() || (!input_.empty() && design_.empty())) {
    return Fail(ErrorCode::kInvalidArgument,
                "expected INPUT with --design, or --combine with files; see consilium-extract "
                "stability --help");
  }
  std::vector<Condition> conditions;
  for (const std::string& text : keep_) {
    const auto condition = ConditionFromText(text);
    CONSILIUM_TRY(condition);
    conditions.push_back(*condition);
  }

  std::optional<Stability> stability;
  std::optional<std::string> masks;
  if (!combine_.empty()) {
    auto combined = Combined(combine_);
    CONSILIUM_TRY(combined);
    stability = std::move(*combined);
  } else {
    const bool raters = design_ == "raters", perturbed = design_ == "perturbations";
    std::error_code none;
    const bool folder = fs::is_directory(input_, none);
    const fs::path table =
        folder ? fs::path(input_) / (perturbed ? "perturbations.csv" : "features.csv")
               : fs::path(input_);
    const auto text = disk::ReadFile(table);
    CONSILIUM_TRY(text);
    const std::string column = !repeat_.empty() ? repeat_
                               : raters         ? "rater"
                               : perturbed      ? kPerturbation
                                                : "scan";
    auto measured = MeasureStability(*text, table.string(), {column, features_});
    CONSILIUM_TRY(measured);
    stability = std::move(*measured);
    // A merged folder does not say where its masks are.
    if (raters && folder && repeat_.empty() && fs::exists(fs::path(input_) / "run.json", none)) {
      const auto source = SourceOf(input_);
      CONSILIUM_TRY(source);
      PoolOptions pool;
      pool.command = {"/proc/self/exe", "worker", "--settings", source->settings.string()};
      pool.processes = jobs_;
      auto agreement = MaskAgreementTable(source->list, pool);
      CONSILIUM_TRY(agreement);
      masks = std::move(*agreement);
    }
  }

  const fs::path out = out_;
  std::vector<std::string> written = {"stability.csv"};
  CONSILIUM_TRY(disk::MakeFolder(out));
  CONSILIUM_TRY(disk::ReplaceFile(out / "stability.csv", ToCsv(*stability)));
  if (masks) {
    CONSILIUM_TRY(disk::ReplaceFile(out / "mask_agreement.csv", *masks));
    written.emplace_back("mask_agreement.csv");
  }
  const auto kept = StableFeatures(*stability, conditions);
  if (!keep_.empty()) {
    const std::string why = fmt::format("{} of {} features with {}", kept.size(),
                                        stability->features.size(), fmt::join(keep_, " and "));
    CONSILIUM_TRY(disk::ReplaceFile(
        out / "stable.txt", fmt::format("{}{}", fmt::join(kept, "\n"), kept.empty() ? "" : "\n")));
    CONSILIUM_TRY(disk::ReplaceFile(out / "features.yaml", ToStudySection(kept, why)));
    written.insert(written.end(), {"stable.txt", "features.yaml"});
  }

  std::int64_t patients = 0;
  for (const FeatureSums& feature : stability->features)
    patients = std::max(patients, feature.patients);
  if (json) {
    nlohmann::ordered_json told = {{"event", "stability"},
                                   {"out", out_},
                                   {"features", stability->features.size()},
                                   {"patients", patients},
                                   {"repeats", stability->repeats.size()},
                                   {"written", written}};
    if (!keep_.empty()) told["stable"] = kept.size();
    std::cout << told.dump() << "\n";
    return {};
  }
  fmt::print("{} features of {} patients in {} repeats: {}\n", stability->features.size(), patients,
             stability->repeats.size(), (out / "stability.csv").string());
  if (!keep_.empty())
    fmt::print("{} of them are stable: {}\n", kept.size(), (out / "stable.txt").string());
  if (masks) fmt::print("agreement of masks: {}\n", (out / "mask_agreement.csv").string());
  if (patients < kPatientsMin) {
    fmt::print(stderr,
               "note: fewer than {} patients: stability.csv holds no sums to send to others\n",
               kPatientsMin);
  }
  return {};
}

}  // namespace consilium::extraction
