#include "tests/architecture/source_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <optional>

namespace consilium::architecture {
namespace {

bool IsWord(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) {
    text.remove_suffix(1);
  }
  return text;
}

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::string Folder(std::string_view path) {
  if (path.substr(0, 11) == "engine/itk/") return "engine_itk";
  if (path.substr(0, 13) == "engine/dicom/") return "engine_dicom";
  if (path.substr(0, 21) == "simulation/generated/") return "generated";
  const auto slash = path.find('/');
  return slash == std::string_view::npos ? std::string() : std::string(path.substr(0, slash));
}

std::string At(std::string_view path, std::size_t line, std::string_view sentence) {
  return fmt::format("{}:{}: {}", path, line + 1, sentence);
}

// What stands between the quotes or brackets of an #include line.
struct Include {
  std::string_view name;
  bool quoted = false;
};
std::optional<Include> ReadInclude(std::string_view line) {
  line = Trim(line);
  if (line.empty() || line.front() != '#') return std::nullopt;
  line = Trim(line.substr(1));
  constexpr std::string_view kWord = "include";
  if (line.substr(0, kWord.size()) != kWord) return std::nullopt;
  line = Trim(line.substr(kWord.size()));
  if (line.empty() || (line.front() != '"' && line.front() != '<')) return std::nullopt;
  const bool quoted = line.front() == '"';
  const auto end = line.find(quoted ? '"' : '>', 1);
  if (end == std::string_view::npos) return std::nullopt;
  return Include{line.substr(1, end - 1), quoted};
}

std::string Listed(const std::set<std::string>& names) {
  return names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "));
}

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

const std::set<std::string>& LibmFunctions() {
  static const std::set<std::string> kNames = [] {
    std::set<std::string> names;
    for (const char* name :
         {"exp",   "exp2",  "exp10",  "expm1", "log",  "log2",   "log10",  "log1p", "pow",  "sin",
          "cos",   "tan",   "sincos", "asin",  "acos", "atan",   "atan2",  "sinh",  "cosh", "tanh",
          "asinh", "acosh", "atanh",  "erf",   "erfc", "tgamma", "lgamma", "cbrt",  "hypot"}) {
      names.insert(name);
      names.insert(std::string(name) + "f");
      names.insert(std::string(name) + "l");
    }
    return names;
  }();
  return kNames;
}

}  // namespace

const std::map<std::string, std::set<std::string>>& Arrows() {
  static const std::map<std::string, std::set<std::string>> kArrows = [] {
    std::map<std::string, std::set<std::string>> arrows;
    arrows["base"] = {};
    arrows["engine"] = {"base"};
    // The targets of engine/itk and engine/dicom.
    arrows["engine_itk"] = arrows["engine_dicom"] = {"engine", "base"};
    arrows["federation"] = arrows["identity"] = arrows["disk"] = arrows["program"] = {"base"};
    arrows["wire"] = {"federation", "base"};  // the target of federation/wire
    arrows["harmonization"] = arrows["learning"] = {"federation", "base"};
    // The target of simulation/generated: no sockets, for consilium-extract writes studies too.
    arrows["generated"] = {"engine", "learning", "federation", "base"};
    arrows["extraction"] = arrows["generated"];
    arrows["extraction"].insert({"generated", "engine_itk", "engine_dicom", "disk", "program"});
    arrows["study"] = {"harmonization", "learning", "federation", "base"};
    std::set<std::string> below = arrows["study"];
    below.insert({"study", "identity", "disk", "program", "wire"});
    arrows["site_agent"] = arrows["coordinator"] = below;
    below.insert({"site_agent", "coordinator"});
    arrows["simulation"] = below;
    below.insert({"simulation", "generated", "engine"});
    arrows["console"] = below;
    return arrows;
  }();
  return kArrows;
}

const std::set<std::string>& PureFolders() {
  static const std::set<std::string> kPure = {"base",      "engine",        "federation",
                                              "generated", "harmonization", "identity",
                                              "learning",  "study"};
  return kPure;
}

std::vector<std::string> CheckArrows(std::string_view path, std::string_view text) {
  std::vector<std::string> wrong;
  const std::string from = Folder(path);
  const auto arrows = Arrows().find(from);
  if (arrows == Arrows().end()) return wrong;
  const auto lines = Lines(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto include = ReadInclude(lines[i]);
    if (!include || !include->quoted) continue;
    const std::string to = Folder(include->name);
    if (to == from || arrows->second.contains(to)) continue;
    wrong.push_back(At(path, i,
                       fmt::format("includes \"{}\"; {} may include {}, written from the root",
                                   include->name, from, Listed(arrows->second))));
  }
  return wrong;
}

std::vector<std::string> CheckLinkedTargets(std::string_view path, std::string_view text) {
  std::vector<std::string> wrong;
  const std::string from = Folder(path);
  const auto arrows = Arrows().find(from);
  if (arrows == Arrows().end()) return wrong;
  const auto lines = Lines(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto line = lines[i].substr(0, lines[i].find('#'));
    constexpr std::string_view kPrefix = "consilium::";
    for (auto at = line.find(kPrefix); at != std::string_view::npos; at = line.find(kPrefix, at)) {
      at += kPrefix.size();
      auto end = at;
      while (end < line.size() && IsWord(line[end])) ++end;
      const std::string to(line.substr(at, end - at));
      if (to != from && !arrows->second.contains(to)) {
        wrong.push_back(At(
            path, i,
            fmt::format("links consilium::{}; {} may link {}", to, from, Listed(arrows->second))));
      }
    }
  }
  return wrong;
}

std::vector<std::string> CheckSystemHeaders(std::string_view path, std::string_view text) {
  static const std::set<std::string> kForbidden = {
      "fstream",    "filesystem",   "iostream",  "thread",
      "mutex",      "shared_mutex", "future",    "condition_variable",
      "stop_token", "semaphore",    "barrier",   "latch",
      "chrono",     "random",       "ctime",     "time.h",
      "netdb.h",    "unistd.h",     "fcntl.h",   "poll.h",
      "pthread.h",  "dirent.h",     "syncstream"};
  static const std::set<std::string> kMayUseOpenSsl = {
      "base/digest.cpp",      "base/sha256_stream.cpp",    "federation/keys.cpp",
      "federation/masks.cpp", "federation/sum_shares.cpp", "identity/x509.h"};
  // identity/ is what OpenSSL is wrapped in: any .cpp of it, and the one header only they include.
  const bool may_use_openssl = kMayUseOpenSsl.contains(std::string(path)) ||
                               (StartsWith(path, "identity/") && path.ends_with(".cpp"));
  static const std::set<std::string> kMayUseYaml = {"base/strict_yaml.cpp"};
  static const std::set<std::string> kMayUseSodium = {"federation/keys.cpp"};
  std::vector<std::string> wrong;
  if (!PureFolders().contains(Folder(path))) return wrong;
  const auto lines = Lines(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto include = ReadInclude(lines[i]);
    if (!include) continue;
    const std::string name(include->name);
    const auto refuse = [&](std::string_view why) {
      wrong.push_back(At(path, i, fmt::format("includes <{}>: {}", name, why)));
    };
    if (kForbidden.contains(name) || StartsWith(name, "sys/") || StartsWith(name, "netinet/") ||
        StartsWith(name, "arpa/") || StartsWith(name, "boost/asio") || StartsWith(name, "grpc")) {
      refuse("files, sockets, threads, clocks and random devices belong to the edges");
    } else if (StartsWith(name, "openssl/") && !may_use_openssl) {
      refuse("OpenSSL ends in identity/*.cpp, " + Listed(kMayUseOpenSsl));
    } else if (StartsWith(name, "sodium") && !kMayUseSodium.contains(std::string(path))) {
      refuse("libsodium ends in " + Listed(kMayUseSodium));
    } else if (StartsWith(name, "yaml-cpp/") && !kMayUseYaml.contains(std::string(path))) {
      refuse("yaml-cpp ends in " + Listed(kMayUseYaml));
    }
  }
  return wrong;
}

std::vector<std::string> CheckStubs(std::string_view path, std::string_view text) {
  static const std::set<std::string> kEdges = {"console/remote.cpp", "coordinator/server.cpp",
                                               "site_agent/agent.cpp", "site_agent/check.cpp",
                                               "site_agent/link.cpp"};
  std::vector<std::string> wrong;
  if (kEdges.contains(std::string(path))) return wrong;
  const auto lines = Lines(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto include = ReadInclude(lines[i]);
    if (!include) continue;
    const bool stubs = include->name.find(".grpc.pb.h") != std::string_view::npos;
    if (!stubs && !StartsWith(include->name, "grpc")) continue;
    wrong.push_back(
        At(path, i, fmt::format("includes <{}>: gRPC ends in {}", include->name, Listed(kEdges))));
  }
  return wrong;
}

std::vector<std::string> CheckImageLibraries(std::string_view path, std::string_view text) {
  static const std::map<std::string, std::string> kFolderOf = {{"itk", "engine/itk"},
                                                               {"gdcm", "engine/dicom"}};
  std::vector<std::string> wrong;
  const auto lines = Lines(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto include = ReadInclude(lines[i]);
    if (!include || include->quoted) continue;
    for (const auto& [library, folder] : kFolderOf) {
      const bool at_home = StartsWith(path, folder + "/") && path.ends_with(".cpp");
      if (at_home || !StartsWith(include->name, library)) continue;
      wrong.push_back(
          At(path, i,
             fmt::format("includes <{}>: {} ends in {}'s .cpp", include->name, library, folder)));
    }
  }
  return wrong;
}

std::vector<std::string> CheckPortableMath(std::string_view path, std::string_view text) {
  std::vector<std::string> wrong;
  if (!PureFolders().contains(Folder(path))) return wrong;
  const std::string code = CodeOnly(text);
  std::size_t line = 0;
  for (std::size_t at = 0; at < code.size();) {
    if (code[at] == '\n') ++line;
    if (!IsWord(code[at])) {
      ++at;
      continue;
    }
    auto end = at;
    while (end < code.size() && IsWord(code[end])) ++end;
    const std::string name = code.substr(at, end - at);
    const std::string_view before(code.data(), at);
    auto next = end;
    while (next < code.size() && code[next] == ' ') ++next;
    const bool called = next < code.size() && code[next] == '(';
    at = end;
    if (!LibmFunctions().contains(name)) continue;

    bool violates = called;
    if (before.ends_with("::")) {
      std::string_view qualifier = before.substr(0, before.size() - 2);
      const auto begin = qualifier.find_last_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
      if (begin != std::string_view::npos) qualifier.remove_prefix(begin + 1);
      violates = qualifier == "std" || (called && qualifier.empty());
    } else if (before.ends_with(".") || before.ends_with("->")) {
      violates = called && before.ends_with("array().");
    }
    if (violates) {
      wrong.push_back(At(path, line,
                         fmt::format("uses {}: libm's last bits differ between machines; use "
                                     "base/portable_math.h or base/distributions.h",
                                     name)));
    }
  }
  return wrong;
}

std::vector<std::string> CheckHeaderShape(std::string_view path, std::string_view text) {
  const auto lines = Lines(text);
  if (lines.empty() || !StartsWith(lines[0], "// ")) {
    return {At(path, 0, "a header begins with a // comment that says what it is for")};
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto line = Trim(lines[i]);
    if (line == "#pragma once") return {};
    if (!line.empty() && !StartsWith(line, "//")) {
      return {At(path, i, "#pragma once must follow the file comment, before any code")};
    }
  }
  return {At(path, lines.size() - 1, "#pragma once is missing")};
}

std::vector<std::string> CheckPlaces(std::string_view path, std::string_view text) {
  // Written in two halves, so that this file passes its own rule.
  static const std::vector<std::string> kPlaces = {
      "/wo"
      "rk/",
      "/ro"
      "ot/",
      "/ho"
      "me/",
      "registry."
      "npmjs",
      "deb."
      "debian.org",
      "security."
      "debian.org",
      "registry."
      "yarnpkg",
      "npm"
      "mirror",
      "pypi."
      "org",
      "proxy."
      "golang.org",
      "crates"
      ".io",
      "conan"
      ".io",
      "ghcr"
      ".io",
      "docker"
      ".io",
  };
  std::vector<std::string> wrong;
  const auto lines = Lines(text);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    for (const auto& place : kPlaces) {
      if (lines[i].find(place) == std::string_view::npos) continue;
      wrong.push_back(At(path, i,
                         fmt::format("names {}: nothing here may depend on one machine or "
                                     "one registry",
                                     place)));
    }
  }
  return wrong;
}

std::vector<std::string> SetUpCommands(std::string_view readme) {
  std::vector<std::string> commands;
  bool in_section = false;
  bool in_block = false;
  for (const auto raw : Lines(readme)) {
    const auto line = Trim(raw);
    if (!in_block && StartsWith(line, "## ")) in_section = line == "## Set up";
    if (!in_section) continue;
    if (StartsWith(line, "```")) {
      in_block = !in_block && line == "```sh";
    } else if (in_block && !line.empty() && line.front() != '#') {
      commands.emplace_back(Trim(line.substr(0, line.find(" #"))));
    }
  }
  return commands;
}

std::vector<std::string> RelativeLinks(std::string_view markdown) {
  std::vector<std::string> links;
  for (auto at = markdown.find("]("); at != std::string_view::npos; at = markdown.find("](", at)) {
    at += 2;
    const auto end = markdown.find(')', at);
    if (end == std::string_view::npos) break;
    std::string_view target = markdown.substr(at, end - at);
    target = target.substr(0, target.find('#'));
    if (!target.empty() && target.find("://") == std::string_view::npos) links.emplace_back(target);
  }
  return links;
}

std::string CodeOnly(std::string_view text) {
  std::string code(text);
  const auto blank = [&](std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < std::min(to, code.size()); ++i) {
      if (code[i] != '\n') code[i] = ' ';
    }
  };
  for (std::size_t i = 0; i < text.size();) {
    auto end = i + 1;
    const bool in_word = i > 0 && IsWord(text[i - 1]);  // 1'000, u8"...", R"(...)"
    if (text.substr(i, 2) == "//") {
      end = std::min(text.find('\n', i), text.size());
      blank(i, end);
    } else if (text.substr(i, 2) == "/*") {
      const auto close = text.find("*/", i + 2);
      end = close == std::string_view::npos ? text.size() : close + 2;
      blank(i, end);
    } else if (text[i] == '"' && i > 0 && text[i - 1] == 'R') {
      const auto open = text.find('(', i);
      if (open == std::string_view::npos) break;
      const std::string close = ")" + std::string(text.substr(i + 1, open - i - 1)) + "\"";
      const auto found = text.find(close, open);
      end = found == std::string_view::npos ? text.size() : found + close.size();
      blank(i, end);
    } else if (text[i] == '"' || (text[i] == '\'' && !in_word)) {
      while (end < text.size() && text[end] != text[i] && text[end] != '\n') {
        end += text[end] == '\\' ? 2U : 1U;
      }
      ++end;
      blank(i, end);
    }
    i = end;
  }
  return code;
}

}  // namespace consilium::architecture
