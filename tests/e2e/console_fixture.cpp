#include "tests/e2e/console_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

namespace consilium::e2e {
namespace {

namespace fs = std::filesystem;

std::string Quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) {
    if (c == '\'') {
      text += "'\\''";
    } else {
      text += c;
    }
  }
  return text + "'";
}

std::string Slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

}  // namespace

Scratch::Scratch() {
  std::string name = (fs::temp_directory_path() / "consilium-e2e-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    ADD_FAILURE() << "no scratch folder " << name;
    std::abort();
  }
  path_ = name;
}

Scratch::~Scratch() {
  std::error_code error;
  fs::remove_all(path_, error);
}

void Scratch::Write(const std::string& name, std::string_view text) const {
  fs::create_directories((path_ / name).parent_path());
  std::ofstream file(path_ / name, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  ASSERT_TRUE(file.flush().good()) << name;
}

std::string Scratch::Read(const std::string& name) const {
  EXPECT_TRUE(fs::is_regular_file(path_ / name)) << name << " is not there";
  return Slurp(path_ / name);
}

Told Scratch::Consilium(const std::vector<std::string>& arguments,
                        const std::map<std::string, std::string>& environment) const {
  return Run(CONSILIUM_BINARY, arguments, environment);
}

Told Scratch::Run(const std::string& program, const std::vector<std::string>& arguments,
                  const std::map<std::string, std::string>& environment) const {
  std::string command = "cd " + Quoted(path_.string()) + " && env";
  for (const auto& [name, value] : environment) command += " " + Quoted(name + "=" + value);
  command += " " + Quoted(program);
  for (const std::string& argument : arguments) command += " " + Quoted(argument);
  command += " >.stdout 2>.stderr </dev/null";
  const int status = std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe): one thread
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, Slurp(path_ / ".stdout"),
          Slurp(path_ / ".stderr")};
}

void WriteAll(const Scratch& scratch, const StudyFiles& files) {
  for (const auto& [name, text] : files) scratch.Write(name, text);
}

std::vector<std::string> SimulateArguments(const std::vector<std::string>& sites,
                                           const std::string& out) {
  std::vector<std::string> arguments = {"simulate", "study.yaml"};
  for (const std::string& site : sites) {
    arguments.emplace_back("--site");
    arguments.push_back(site + "=" + site + ".yaml");
  }
  arguments.insert(arguments.end(), {"--out", out});
  return arguments;
}

}  // namespace consilium::e2e
