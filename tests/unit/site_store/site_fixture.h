// A hospital's folder, a study and its submission, made in code.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "site_agent/site.h"
#include "site_agent/store.h"
#include "study/submission.h"

namespace consilium::site_agent::testing {

// A folder of this test alone, gone afterwards.
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "consilium-site-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Folder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Some moment later: so many turns of a loop.
inline void Linger(std::uint64_t turns) {
  std::atomic<std::uint64_t> left = turns;
  while (left.load() > 0) --left;
}

// Runs `body` in a process of its own: its exit code, or minus the signal that ended it.
template <typename Body>
int InChild(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      ::_exit(body());
    } catch (const std::exception& error) {
      fmt::print(stderr, "in the child: {}\n", error.what());
      ::_exit(100);
    }
  }
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

inline std::string Slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}
inline void Spill(const std::filesystem::path& path, std::string_view text, mode_t mode = 0600) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  ASSERT_EQ(::chmod(path.c_str(), mode), 0);
}

inline std::vector<std::string> Names(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

inline ::testing::AssertionResult Has(const std::string& text, std::string_view part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "\"" << text << "\"\nlacks \"" << part << "\"";
}
// The value, or the end of the test, which says why.
template <typename T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}
inline void Must(const Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().message);
}

// Keys by name: the same in every test.
inline SiteIdentity KeysOf(const std::string& name) { return IdentityFromSeed(name, 11); }

struct StudyOptions {
  std::string name = "relapse";
  std::string title = "Relapse within two years";
  std::string privacy = "{min_sites: 3, min_cell: 5}";
  std::string quorum;  // "{...}"
  bool leave_one_center_out = false;
  bool public_data = false;
  std::string variables = "{age: {kind: continuous, unit: years}, smoker: {kind: binary}}";
  std::vector<std::string> sites = {"north", "east", "south", "west"};
};

inline std::string StudyYaml(const StudyOptions& options = {}) {
  std::string sites;
  for (const std::string& site : options.sites) sites += (sites.empty() ? "" : ", ") + site;
  std::string yaml = fmt::format("name: {}\ntitle: \"{}\"\nseed: 20\nsites: [{}]\n", options.name,
                                 options.title, sites);
  if (options.public_data) yaml += "policy: public-data\n";
  yaml += "outcome: relapse\nevent: relapse within two years\npatient: case\n";
  yaml += "variables: " + options.variables + "\n";
  yaml += "features: {radiomics: {include: [\"x*\"], exclude: [\"*_Idmn\"]}}\n";
  yaml += "feature_sets: {combined: [radiomics, age]}\n";
  yaml += "harmonizations: {none: {method: none}, combat: {method: combat, preserve: [age]}}\n";
  yaml += "models: {lasso: {lambda_count: 20}}\nfolds: {count: 5}\n";
  if (options.leave_one_center_out) {
    yaml += fmt::format("design: leave-one-center-out\nconsents: [{}]\n", sites);
  } else {
    yaml += "held_out: [west]\n";
  }
  yaml += "primary: {model: lasso, features: combined, harmonization: none, lambda: min}\n";
  yaml += "thresholds: [0.3, 0.5]\nprivacy: " + options.privacy + "\n";
  if (!options.quorum.empty()) yaml += "quorum: " + options.quorum + "\n";
  return yaml;
}

inline study::Submission Submitted(const StudyOptions& options = {},
                                   const std::string& lead = "ines") {
  federation::Roster members;
  for (const std::string& site : options.sites) members.emplace(site, KeysOf(site).public_keys());
  return study::SignSubmission(StudyYaml(options), members, lead, KeysOf(lead).signing);
}

inline Digest LeadFingerprint(const std::string& lead = "ines") {
  return KeysOf(lead).signing.verifying_key().fingerprint();
}

// A record of a ledger with a text in it, so that records differ.
inline LedgerRecord Note(const std::string& sentence) {
  LedgerRecord record;
  record.event = LedgerEvent::kQueryRefused;
  record.unix_ms = 1'700'000'000'000;
  record.sentence = sentence;
  return record;
}

// A log's header, then entries that follow each other.
inline std::vector<Bytes> LogRecords(std::size_t entries) {
  federation::LogHeader header;
  header.engine_version = "test";
  header.study_file = StudyYaml();
  std::vector<Bytes> records = {federation::EncodeRecord(header)};
  for (std::size_t i = 0; i < entries; ++i) {
    federation::LogEntry entry;
    entry.binding.round = i;
    entry.total = Bytes(40 + i, static_cast<std::uint8_t>(i));
    entry.previous = federation::NextRecord(records.back())->hash;
    records.push_back(federation::EncodeRecord(entry));
  }
  return records;
}

inline std::function<Result<std::string>()> TlsKey(std::string pem = "a TLS key") {
  return [pem]() -> Result<std::string> { return pem; };
}

}  // namespace consilium::site_agent::testing
