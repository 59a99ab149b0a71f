// `consilium-site check`: every layer between this hospital and its first sum, looked at in order.
//
// Configuration, folder, keys, enrolment, certificate, clock, DNS, proxy, TCP, TLS, the
// coordinator's word, the program that extracts features, cohort tables. The first layer that fails
// is named with what to do; layers that cannot be looked at after it are said to be so. Nothing is
// sent but a hello.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "site_agent/config.h"
#include "site_agent/extractor.h"

namespace consilium::site_agent {

struct CheckOptions {
  bool network = true;
  std::string study_file;  // also the extraction and the cohort for it; empty: only that the
                           // program answers and the tables can be read
  std::filesystem::path extract_program = ExtractProgram();
  std::string passphrase;
};

struct CheckLine {
  enum class State { kGood, kWarning, kFailed, kNotLooked };
  std::string layer;  // "DNS", "certificate"
  State state = State::kGood;
  std::string found;  // what was seen
  std::string next;   // what to do; empty when all is good
};
[[nodiscard]] std::string_view Name(CheckLine::State state);  // "good", "warning", ...

[[nodiscard]] std::vector<CheckLine> Check(const SiteConfig& config, const CheckOptions& options,
                                           std::int64_t unix_ms);
// No line failed.
[[nodiscard]] bool AllGood(const std::vector<CheckLine>& lines);
[[nodiscard]] std::string ToText(const std::vector<CheckLine>& lines, bool colours);
[[nodiscard]] std::string ToJson(const std::vector<CheckLine>& lines);  // an array, and a newline

}  // namespace consilium::site_agent
