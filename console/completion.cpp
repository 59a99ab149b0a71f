#include "console/completion.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "console/verbs.h"

namespace consilium::console {
namespace {

struct Word {
  std::string text;         // "submit", "--json"
  std::string description;  // one line, without quotes
  bool takes_value = false;
};
struct Command {
  std::string path;  // "study submit"; empty: the program itself
  std::vector<Word> commands;
  std::vector<Word> options;  // its own and, below it, those of the commands above
};

// The first line, without what a shell would read as quoting.
std::string Plain(const std::string& description) {
  std::string plain;
  for (const char c : description.substr(0, description.find('\n'))) {
    if (c == '\'' || c == '"' || c == '`' || c == '\\' || c == '$') continue;
    plain += c == ':' ? ';' : c;  // zsh splits at a colon
  }
  return plain;
}

void Walk(const CLI::App& app, const std::string& path, std::vector<Word> inherited,
          std::vector<Command>& commands) {
  Command command{path, {}, {}};
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      Word word{"--" + name, Plain(option->get_description()), option->get_expected_max() > 0};
      // Each command has its own --help; what an option of the program means does not change.
      if (name != "help" && name != "version") inherited.push_back(word);
      command.options.push_back(std::move(word));
    }
  }
  for (const Word& word : inherited) {
    const bool own = std::any_of(command.options.begin(), command.options.end(),
                                 [&](const Word& one) { return one.text == word.text; });
    if (!own) command.options.push_back(word);
  }
  const auto below = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* one : below)
    command.commands.push_back({one->get_name(), Plain(one->get_description())});
  commands.push_back(std::move(command));
  for (const CLI::App* one : below) {
    Walk(*one, path.empty() ? one->get_name() : path + " " + one->get_name(), inherited, commands);
  }
}

std::string Texts(const std::vector<Word>& words) {
  std::vector<std::string> texts;
  for (const Word& word : words) texts.push_back(word.text);
  return fmt::format("{}", fmt::join(texts, " "));
}

// "study submit|study list|..." as alternatives of a shell's `case`, of every command but the
// program.
std::string PathPattern(const std::vector<Command>& commands) {
  std::vector<std::string> paths;
  for (const Command& command : commands) {
    if (!command.path.empty()) paths.push_back("'" + command.path + "'");
  }
  return fmt::format("{}", fmt::join(paths, "|"));
}

std::string Bash(const std::string& program, const std::vector<Command>& commands) {
  std::string script = fmt::format(
      "# Completion of {0} for bash: source <({0} completion bash)\n"
      "_{0}() {{\n"
      "  local current=${{COMP_WORDS[COMP_CWORD]}} path='' word i words=''\n"
      "  for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "    word=\"${{path:+$path }}${{COMP_WORDS[i]}}\"\n"
      "    case $word in\n"
      "      {1}) path=$word ;;\n"
      "    esac\n"
      "  done\n"
      "  case $path in\n",
      program, PathPattern(commands));
  for (const Command& command : commands) {
    script += fmt::format("    '{}') words='{} {}' ;;\n", command.path, Texts(command.commands),
                          Texts(command.options));
  }
  script += fmt::format(
      "  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "}}\n"
      "complete -o default -F _{0} {0}\n",
      program);
  return script;
}

std::string Zsh(const std::string& program, const std::vector<Command>& commands) {
  std::string script = fmt::format(
      "#compdef {0}\n"
      "# Completion of {0} for zsh: source <({0} completion zsh), after compinit\n"
      "_{0}() {{\n"
      "  local at='' word i\n"
      "  local -a commands options\n"
      "  for ((i = 2; i < CURRENT; ++i)); do\n"
      "    word=\"${{at:+$at }}${{words[i]}}\"\n"
      "    case $word in\n"
      "      {1}) at=$word ;;\n"
      "    esac\n"
      "  done\n"
      "  case $at in\n",
      program, PathPattern(commands));
  const auto described = [](const std::vector<Word>& words) {
    std::string text;
    for (const Word& word : words) text += fmt::format(" '{}:{}'", word.text, word.description);
    return text;
  };
  for (const Command& command : commands) {
    script += fmt::format("    '{}') commands=({} ) options=({} ) ;;\n", command.path,
                          described(command.commands), described(command.options));
  }
  script += fmt::format(
      "  esac\n"
      "  (( $#commands )) && _describe command commands\n"
      "  _describe option options\n"
      "  (( $#commands )) || _files\n"
      "}}\n"
      "compdef _{0} {0}\n",
      program);
  return script;
}

std::string Fish(const std::string& program, const std::vector<Command>& commands) {
  std::vector<std::string> paths;
  for (const Command& command : commands) {
    if (!command.path.empty()) paths.push_back("'" + command.path + "'");
  }
  std::string script = fmt::format(
      "# Completion of {0} for fish: {0} completion fish | source\n"
      "function __{0}_at\n"
      "  set -l at ''\n"
      "  for word in (commandline -opc)[2..-1]\n"
      "    set -l next (string trim -- \"$at $word\")\n"
      "    contains -- $next {1}; and set at $next\n"
      "  end\n"
      "  test \"$at\" = \"$argv[1]\"\n"
      "end\n",
      program, fmt::join(paths, " "));
  for (const Command& command : commands) {
    const std::string condition = fmt::format("-n \"__{}_at '{}'\"", program, command.path);
    for (const Word& word : command.commands) {
      script += fmt::format("complete -c {} {} -f -a {} -d '{}'\n", program, condition, word.text,
                            word.description);
    }
    for (const Word& word : command.options) {
      script += fmt::format("complete -c {} {} -l {}{} -d '{}'\n", program, condition,
                            word.text.substr(2), word.takes_value ? " -r" : "", word.description);
    }
  }
  return script;
}

}  // namespace

Result<std::string> CompletionScript(const CLI::App& app, std::string_view shell) {
  std::vector<Command> commands;
  Walk(app, "", {}, commands);
  const std::string program = app.get_name();
  if (shell == "bash") return Bash(program, commands);
  if (shell == "zsh") return Zsh(program, commands);
  if (shell == "fish") return Fish(program, commands);
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("completion: there is no script for shell '{}'; expected bash, zsh or "
                          "fish",
                          shell));
}

void AddCompletion(CLI::App& app, Session& session) {
  auto* completion = app.add_subcommand("completion", "A completion script for your shell");
  completion->footer(
      "Examples:\n"
      "  source <(consilium completion bash)\n"
      "  consilium completion zsh > ~/.zfunc/_consilium\n"
      "  consilium completion fish | source\n");
  const auto shell = std::make_shared<std::string>();
  completion->add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->callback([&app, &session, shell] {
    const auto script = CompletionScript(app, *shell);
    if (!script) {
      session.code = session.screen.Report(script.error());
      return;
    }
    std::fwrite(script->data(), 1, script->size(), stdout);
  });
}

}  // namespace consilium::console
