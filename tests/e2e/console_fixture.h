// Runs the console's binary in a folder of its own and keeps what it said.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace consilium::e2e {

struct Told {
  int exit_code = -1;  // -1: ended by a signal
  std::string out;     // standard output
  std::string err;     // standard error
};

// A folder below the system's temporary one, removed at the end.
class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return (path_ / name).string();
  }
  void Write(const std::string& name, std::string_view text) const;
  // The bytes of a file in the folder; a failed test if there is none.
  [[nodiscard]] std::string Read(const std::string& name) const;
  [[nodiscard]] bool Has(const std::string& name) const {
    return std::filesystem::exists(path_ / name);
  }

  // The console with these arguments, in this folder; `environment` is added to the test's own.
  [[nodiscard]] Told Consilium(const std::vector<std::string>& arguments,
                               const std::map<std::string, std::string>& environment = {}) const;
  // Another program, likewise.
  [[nodiscard]] Told Run(const std::string& program, const std::vector<std::string>& arguments,
                         const std::map<std::string, std::string>& environment = {}) const;

 private:
  std::filesystem::path path_;
};

// The files of a study by name: study.yaml, SITE.yaml, SITE.csv.
using StudyFiles = std::map<std::string, std::string>;
void WriteAll(const Scratch& scratch, const StudyFiles& files);
// "simulate study.yaml --site A=A.yaml ... --out OUT"
[[nodiscard]] std::vector<std::string> SimulateArguments(const std::vector<std::string>& sites,
                                                         const std::string& out = "out");

}  // namespace consilium::e2e
