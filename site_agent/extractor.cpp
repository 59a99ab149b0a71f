#include "site_agent/extractor.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "disk/files.h"
#include "program/child.h"
#include "site_agent/ledger.h"

namespace consilium::site_agent {
namespace {

constexpr std::size_t kEngineBytesMax = 100;

// Errors: kFailedPrecondition.
Result<void> CompareEngine(const study::Extraction& extraction, const std::string& engine) {
  if (engine == extraction.engine) return {};
  return Fail(
      ErrorCode::kFailedPrecondition,
      fmt::format("the study wants features of {}, this machine has {}; install that version",
                  extraction.engine, engine));
}

}  // namespace

std::filesystem::path ExtractProgram() { return program::Beside("consilium-extract"); }

Result<std::string> EngineOf(const std::filesystem::path& program) {
  constexpr const char* kInstall = "install the package consilium-extract";
  auto said = program::OutputOf({program.string(), "--version"});
  if (!said) return Fail(said.error().code, fmt::format("{}; {}", said.error().message, kInstall));
  if (said->ends_with('\n')) said->pop_back();
  if (said->empty() || said->size() > kEngineBytesMax || *said != PlainText(*said)) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{} does not say its version; {}", program.string(), kInstall));
  }
  return *said;
}

std::filesystem::path ExtractionFolder(const SiteConfig& config) {
  return std::filesystem::path(config.state) / "extraction";
}

Result<std::filesystem::path> WriteSettings(const study::Extraction& extraction,
                                            const std::filesystem::path& folder) {
  CONSILIUM_TRY(disk::MakeFolder(folder));
  auto path = folder / fmt::format("{}.yaml", Hex(extraction.settings_digest));
  CONSILIUM_TRY(disk::ReplaceFile(path, extraction.settings));
  return path;
}

Result<void> ComparePhantom(const study::Extraction& extraction, const std::string& said) {
  const auto json = nlohmann::json::parse(said, nullptr, false);
  if (!json.is_object() || !json.contains("features") || !json["features"].is_object() ||
      !json.contains("engine") || !json["engine"].is_string())
    return Fail(
        ErrorCode::kFailedPrecondition,
        "consilium-extract did not say what the phantom's features are; install the version "
        "that came with consilium-site");
  CONSILIUM_TRY(CompareEngine(extraction, json["engine"].get<std::string>()));
  const double tolerance = std::max(kPhantomTolerance, json.value("tolerance", kPhantomTolerance));
  double worst = 0;
  std::string worst_name;
  std::size_t differing = 0;
  for (const auto& [name, expected] : extraction.phantom) {
    const auto found = json["features"].find(name);
    const bool is_there = found != json["features"].end() && found->is_number();
    const double size = std::max(std::abs(expected), 1e-12);
    const double difference =
        is_there ? std::abs(found->get<double>() - expected) / size : HUGE_VAL;
    if (difference <= tolerance) continue;
    ++differing;
    if (difference > worst) {
      worst = difference;
      worst_name = name;
    }
  }
  if (differing == 0) return {};
  return Fail(
      ErrorCode::kFailedPrecondition,
      fmt::format("{} of {} features of the digital phantom are not those of the study, {} "
                  "by {:.1e} of its size; install consilium-extract again, and ask the lead "
                  "if that does not help",
                  differing, extraction.phantom.size(), worst_name, worst));
}

Result<void> ReproducePhantom(const study::Extraction& extraction,
                              const std::filesystem::path& program) {
  const auto engine = EngineOf(program);
  CONSILIUM_TRY(engine);
  CONSILIUM_TRY(CompareEngine(extraction, *engine));  // another one may not know the settings
  const auto folder = disk::TemporaryFolder::Make();
  CONSILIUM_TRY(folder);
  const auto settings = WriteSettings(extraction, folder->path());
  CONSILIUM_TRY(settings);
  const auto said =
      program::OutputOf({program.string(), "phantom", "--json", "--settings", settings->string()});
  CONSILIUM_TRY(said);
  return ComparePhantom(extraction, *said);
}

}  // namespace consilium::site_agent
