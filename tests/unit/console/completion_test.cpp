// Completion scripts know every command and option, and bash completes with them.
#include "console/completion.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>

#include "tests/support/scratch_folder.h"

namespace consilium::console {
namespace {

// A program with two levels of commands, options with values, and a description full of traps.
class Program {
 public:
  Program() : app_("A program", "prog") {
    app_.add_flag("--json", json_, "Objects");
    auto* study = app_.add_subcommand("study", "It's \"quoted\": `x` $y \\ \n second line");
    auto* submit = study->add_subcommand("submit", "Submits");
    submit->add_option("--pin", pin_, "SITE=KEY");
    submit->add_flag("--yes", yes_, "Do not ask");
    study->add_subcommand("list", "Lists");
    app_.add_subcommand("report", "Reports");
  }
  [[nodiscard]] const CLI::App& app() const { return app_; }

 private:
  CLI::App app_;
  bool json_ = false, yes_ = false;
  std::string pin_;
};

// What bash offers for these words, the last one unfinished.
std::string Completed(const std::string& words) {
  const testing_support::ScratchFolder scratch;
  scratch.Write("script", *CompletionScript(Program().app(), "bash"));
  scratch.Write("run",
                "source " + (scratch.path() / "script").string() + "\nCOMP_WORDS=(" + words +
                    ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_prog\necho \"${COMPREPLY[*]}\"\n");
  FILE* pipe = ::popen(("bash -eu " + (scratch.path() / "run").string() + " 2>&1").c_str(), "r");
  std::string out;
  std::array<char, 256> buffer{};
  while (pipe != nullptr && std::fgets(buffer.data(), buffer.size(), pipe) != nullptr)
    out += buffer.data();
  EXPECT_EQ(pipe == nullptr ? -1 : ::pclose(pipe), 0) << out;
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

TEST(Completion, OfBashOffersTheCommandsAndOptionsOfThePlace) {
  EXPECT_EQ(Completed("prog ''"), "study report --help --json");
  EXPECT_EQ(Completed("prog st"), "study");
  EXPECT_EQ(Completed("prog study ''"), "submit list --help --json");
  EXPECT_EQ(Completed("prog study submit --"), "--help --pin --yes --json");
  EXPECT_EQ(Completed("prog study submit --p"), "--pin");
  // Words that are no commands do not change the place.
  EXPECT_EQ(Completed("prog --json study file.yaml submit --y"), "--yes");
  EXPECT_EQ(Completed("prog report study --"), "--help --json");
}

TEST(Completion, OfEveryShellKnowsEveryCommandAndQuotesNothingOpen) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = CompletionScript(Program().app(), shell);
    ASSERT_TRUE(script.has_value()) << shell;
    for (const char* word : {"study submit", "study list", "report", "pin", "yes", "json"})
      EXPECT_NE(script->find(word), std::string::npos) << shell << ": " << word;
    EXPECT_EQ(script->find("second line"), std::string::npos) << shell;
    EXPECT_EQ(script->find('`'), std::string::npos) << shell;
    std::size_t quotes = 0;
    for (const char c : *script) quotes += c == '\'' ? 1 : 0;
    EXPECT_EQ(quotes % 2, 0U) << shell;
  }
}

TEST(Completion, OfAnotherShellIsRefusedWithTheThree) {
  const auto script = CompletionScript(Program().app(), "tcsh");
  ASSERT_FALSE(script.has_value());
  EXPECT_EQ(script.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(script.error().message.find("bash, zsh or fish"), std::string::npos);
}

}  // namespace
}  // namespace consilium::console
