// The hospital's extraction program, which is another process: it reads images and holds no key.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "site_agent/config.h"
#include "study/study.h"

namespace consilium::site_agent {

// consilium-extract, installed with this program.
[[nodiscard]] std::filesystem::path ExtractProgram();

// The engine that `program` says it is, "consilium-engine 0.2.0". Errors: kNotFound (it cannot be
// started), kFailedPrecondition (it says anything else than a name and a version).
[[nodiscard]] Result<std::string> EngineOf(const std::filesystem::path& program);

// Where settings of studies are written.
[[nodiscard]] std::filesystem::path ExtractionFolder(const SiteConfig& config);

// The study's settings as a file in `folder`, word for word. Errors: those of files.
[[nodiscard]] Result<std::filesystem::path> WriteSettings(const study::Extraction& extraction,
                                                          const std::filesystem::path& folder);

inline constexpr double kPhantomTolerance = 1e-9;  // relative

// Whether `said`, the JSON of `consilium-extract phantom`, reproduces the study's features. Of
// settings whose steps are not the same on every processor (N4) the program says how closely.
// Errors: kFailedPrecondition (another engine; a feature is missing or differs: names it, the
// largest difference, and how many).
[[nodiscard]] Result<void> ComparePhantom(const study::Extraction& extraction,
                                          const std::string& said);

// Runs `program` on the phantom and compares; nothing of it is left on the disk. Errors:
// EngineOf's, ComparePhantom's, those of program/child.h and of files.
[[nodiscard]] Result<void> ReproducePhantom(const study::Extraction& extraction,
                                            const std::filesystem::path& program);

}  // namespace consilium::site_agent
