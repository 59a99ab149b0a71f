// What the documents say is done: their commands, top to bottom, by real processes in a scratch
// folder, and what they say is printed, is printed.
//
// A fenced block of `sh` is run; one of `text` right behind it is what it prints; one of `yaml
// NAME` or `text NAME` is a file. Four documents are one story of four people, so the story (below)
// says whose document goes on; each is read from its top to its end, and none leaves a block out. A
// block that cannot be run here says why in its fence, `sh not-run: REASON`, and is counted.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "site_agent/config.h"
#include "tests/e2e/network_fixture.h"
#include "tests/support/loopback.h"

namespace consilium::e2e {
namespace {

namespace fs = std::filesystem;

std::string Slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

void ReplaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

struct Block {
  std::string document, heading;
  int line = 0;
  std::string language, argument;  // what stands behind ```: "sh", "not-run: ..."
  std::string text;
  bool at_once = false;  // nothing stands between this block and the one before

  [[nodiscard]] bool runs() const { return language == "sh" && argument.empty(); }
  [[nodiscard]] std::string where() const {
    return fmt::format("{}:{} ({})", document, line, heading);
  }
};

std::vector<Block> BlocksOf(const std::string& document) {
  std::vector<Block> blocks;
  std::string heading;
  int number = 0;
  std::size_t indent = 0;
  bool inside = false, at_once = false;
  for (const std::string& line : LinesOf(Slurp(fs::path(CONSILIUM_SOURCE_DIR) / document))) {
    ++number;
    const std::size_t from = line.find_first_not_of(' ');
    const bool fence = from != std::string::npos && line.compare(from, 3, "```") == 0;
    if (fence && !inside) {
      const std::string info = line.substr(from + 3);
      const std::size_t blank = std::min(info.find(' '), info.size());
      blocks.push_back({document, heading, number + 1, info.substr(0, blank),
                        info.substr(std::min(blank + 1, info.size())), "", at_once});
      indent = from;
      inside = true;
    } else if (fence) {
      inside = false;
      at_once = true;
    } else if (inside) {
      blocks.back().text += line.substr(std::min(indent, line.size())) + "\n";
    } else {
      at_once = at_once && from == std::string::npos;
      if (line.starts_with("## ")) heading = line.substr(3);
    }
  }
  EXPECT_FALSE(inside) << document << " ends inside a block";
  return blocks;
}

// What differs from run to run, made alike: numbers, fingerprints, blanks.
std::string Alike(const std::string& text) {
  static const std::regex kHex("(?=[a-f]*[0-9])[0-9a-f]{8,}"), kNumber("[0-9]+"), kBlanks("[ \t]+");
  const std::string one = std::regex_replace(text, kHex, "H");
  return std::regex_replace(std::regex_replace(one, kNumber, "0"), kBlanks, " ");
}

// Whether `line` holds the parts of `expected`, which "..." separates, in order.
bool Holds(const std::string& line, const std::string& expected) {
  std::size_t from = 0;
  for (std::size_t at = 0; at <= expected.size();) {
    const std::size_t end = std::min(expected.find("...", at), expected.size());
    std::string part = expected.substr(at, end - at);
    const std::size_t first = part.find_first_not_of(' ');
    part = first == std::string::npos ? ""
                                      : part.substr(first, part.find_last_not_of(' ') + 1 - first);
    const std::size_t found = line.find(part, from);
    if (found == std::string::npos) return false;
    from = found + part.size();
    at = end + 3;
  }
  return true;
}

std::vector<std::string> Found(const std::string& text, const char* pattern) {
  const std::regex expression(pattern);
  std::vector<std::string> found;
  for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at)
    found.push_back(at->str());
  return found;
}

constexpr const char* kOperator = "docs/coordinator.md";
constexpr const char* kLead = "docs/first_study.md";
constexpr const char* kHospital = "docs/site.md";
constexpr const char* kAuditor = "docs/auditor.md";

// Four people, each with a document and a folder; the machine that all of it stands on is the
// scratch folder: etc/, var/, srv/ stand there.
class Story {
 public:
  Story() : ports_(testing::FreePorts(3)) {
    for (const char* document : {kOperator, kLead, kHospital, kAuditor}) {
      blocks_[document] = BlocksOf(document);
      next_[document] = 0;
      fs::create_directories(Folder(document));
    }
    for (const char* folder : {"etc/consilium", "var/lib", "var/backups", "srv"})
      fs::create_directories(scratch_.path() / folder);
    fs::create_directories(scratch_.path() / "bin");
    for (const char* program :
         {CONSILIUM_BINARY, CONSILIUM_SITE_BINARY, CONSILIUM_COORDINATOR_BINARY})
      fs::create_symlink(program, scratch_.path() / "bin" / fs::path(program).filename());
  }
  // As systemd would: an agent that is stopped may say why it was not content.
  ~Story() { services_.clear(); }

  [[nodiscard]] const Scratch& scratch() const { return scratch_; }

  // Does what stands in the document up to the end of its next block to run, which must stand under
  // `heading`. Returns what the block printed.
  std::string Next(const char* document, const std::string& heading) {
    std::vector<Block>& blocks = blocks_[document];
    std::size_t& at = next_[document];
    for (; at < blocks.size() && !blocks[at].runs(); ++at) WriteFile(blocks[at]);
    if (at == blocks.size()) {
      ADD_FAILURE() << document << " has no further block under " << heading;
      return "";
    }
    const Block& block = blocks[at++];
    EXPECT_EQ(block.heading, heading) << block.where();
    SCOPED_TRACE(block.where());
    const std::string printed = Run(document, block.text);
    if (at < blocks.size() && blocks[at].at_once && blocks[at].language == "text" &&
        blocks[at].argument.empty())
      Compare(blocks[at], printed);
    return printed;
  }

  // What somebody does that no document tells; must succeed.
  std::string Aside(const char* who, const std::string& commands) {
    SCOPED_TRACE(commands);
    return Run(who, commands);
  }

  // The token that stands for "CT1-..." in the person's next commands.
  void Give(const char* who, const std::string& token) {
    EXPECT_TRUE(token.starts_with("CT1-")) << who;
    tokens_[who] = token;
  }
  // Instead of the fingerprints that a document shows, those that were heard by telephone.
  void Hear(const std::string& site, const std::string& fingerprint) { heard_[site] = fingerprint; }

  // Every block was run, but for those that say why not.
  void ExpectAllDone() {
    for (const auto& [document, blocks] : blocks_) {
      for (std::size_t i = next_[document]; i < blocks.size(); ++i)
        EXPECT_FALSE(blocks[i].runs()) << blocks[i].where() << " was not run:\n" << blocks[i].text;
    }
  }

  [[nodiscard]] fs::path Folder(const std::string& document) const {
    return scratch_.path() / fs::path(document).stem();
  }
  // Another coordinator's folder than the system's.
  void UseFolder(const std::string& folder) { folder_ = folder; }
  // Until the service has written `words` once more than when it was asked last.
  void Await(const std::string& service, const std::string& words) {
    const fs::path log = Log(service);
    const int descriptor = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    ::inotify_add_watch(descriptor, log.c_str(), IN_MODIFY);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(kWaitSeconds);
    std::size_t& from = read_[service];
    for (;;) {
      const std::string text = Slurp(log);
      if (const std::size_t found = text.find(words, from); found != std::string::npos) {
        from = found + words.size();
        break;
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      pollfd wait{descriptor, POLLIN, 0};
      if (left.count() <= 0 || ::poll(&wait, 1, static_cast<int>(left.count())) == 0) {
        ADD_FAILURE() << service << " did not write '" << words << "':\n" << text;
        break;
      }
      char events[4096];
      while (::read(descriptor, events, sizeof events) > 0) {
      }
    }
    ::close(descriptor);
  }

  // `systemctl start|stop`: the unit's ExecStart in the foreground of its own process.
  void Start(const std::string& service) {
    std::vector<std::string> command = {CONSILIUM_SITE_BINARY, "run"};
    const bool server = service == "consilium-coordinator";
    if (server) {
      command = {CONSILIUM_COORDINATOR_BINARY, "serve", "--listen", "127.0.0.1", "--health-port",
                 std::to_string(ports_[2])};
    }
    auto environment = Environment(kHospital);
    if (!server && service != "consilium-site")
      environment["CONSILIUM_SITE_CONFIG"] = scratch_ / ("etc/" + service + "/site.yaml");
    std::ofstream(Log(service), std::ios::app).flush();
    services_[service] = std::make_unique<Process>(
        Process::Options{command, environment, scratch_.path(), Log(service), Log(service)});
    Await(service, server ? "enrolment at" : "connected to");
  }
  void Stop(const std::string& service) {
    const auto found = services_.find(service);
    if (found == services_.end()) {
      ADD_FAILURE() << service << " does not run";
      return;
    }
    ::kill(found->second->pid(), SIGTERM);
    EXPECT_EQ(found->second->Exit().value_or(-1), 0) << Slurp(Log(service));
    services_.erase(found);
  }

  // What a document takes for granted and a test does not have: names, ports, root and its users.
  [[nodiscard]] std::string Here(const char* who, std::string text) const {
    const std::vector<std::pair<std::string, std::string>> kHere = {
        {"--host coordinator.example.org",
         fmt::format("--host 127.0.0.1 --port {} --enrol-port {}", ports_[0], ports_[1])},
        {"coordinator.example.org", "127.0.0.1"},
        {"127.0.0.1:8444", fmt::format("127.0.0.1:{}", ports_[1])},
        {"127.0.0.1:8445", fmt::format("127.0.0.1:{}", ports_[2])},
        {"sudo -u consilium-site ", ""},
        {"sudo -u consilium-coordinator ", ""},
        {" -o consilium-coordinator", ""},
        {"systemd-tmpfiles --create consilium-coordinator.conf",
         "install -d -m 0700 /var/lib/consilium-coordinator"},
        {"/etc/consilium", scratch_ / "etc/consilium"},
        {"/var/lib/consilium-", scratch_ / "var/lib/consilium-"},
        {"/var/backups/", scratch_ / "var/backups/"},
        {"/srv/research", scratch_ / "srv/research"},
        {"~/.config/consilium", Folder(who) / "keys"},
    };
    for (const auto& [from, to] : kHere) ReplaceAll(text, from, to);
    if (const auto token = tokens_.find(who); token != tokens_.end())
      ReplaceAll(text, "CT1-...", token->second);
    return text;
  }

 private:
  [[nodiscard]] fs::path Log(const std::string& service) const {
    return scratch_.path() / (service + ".log");
  }
  [[nodiscard]] std::map<std::string, std::string> Environment(const std::string& who) const {
    const char* path = std::getenv("PATH");
    return {{"PATH", (scratch_ / "bin") + ":" + (path == nullptr ? "/usr/bin:/bin" : path)},
            {"CONSILIUM_HOME", Folder(who) / "keys"},
            {"CONSILIUM_COORDINATOR_FOLDER", scratch_ / folder_},
            {"CONSILIUM_SITE_CONFIG", scratch_ / "etc/consilium/site.yaml"},
            {"https_proxy", ""},
            {"no_proxy", "*"}};
  }

  void WriteFile(const Block& block) {
    if (block.argument.empty() || (block.language != "yaml" && block.language != "text")) return;
    std::string text = Here(block.document.c_str(), block.text);
    for (const auto& [site, fingerprint] : heard_)
      text = std::regex_replace(text, std::regex(site + "=[0-9a-f]{64}"), site + "=" + fingerprint);
    fs::path path = Here(block.document.c_str(), block.argument);
    // The default folder of an agent is the system's.
    if (path.filename() == "site.yaml")
      text += "state: " + (scratch_ / "var/lib/consilium-site") + "\n";
    if (path.is_relative()) path = Folder(block.document) / path;
    std::ofstream(path) << text;
  }

  std::string Run(const char* who, const std::string& text) {
    std::string printed, script;
    const auto run = [&] {
      if (script.empty()) return;
      for (const char* name : {".out", ".err"}) scratch_.Write(name, "");
      Process process({{"/bin/bash", "-euo", "pipefail", "-c", Here(who, script)},
                       Environment(who),
                       Folder(who).string(),
                       scratch_ / ".out",
                       scratch_ / ".err"});
      const auto code = process.Exit();
      EXPECT_EQ(code.value_or(-1), 0) << script << scratch_.Read(".out") << scratch_.Read(".err");
      printed += scratch_.Read(".out") + "\n";
      script.clear();
    };
    static const std::regex kService("systemctl (start|stop|disable) ([a-z-]+) *(#.*)?");
    for (const std::string& line : LinesOf(text)) {
      std::smatch words;
      if (!std::regex_match(line, words, kService)) {
        script += line + "\n";
        continue;
      }
      run();
      if (words[1] == "start") Start(words[2]);
      if (words[1] == "stop") Stop(words[2]);
      // disable: there is no boot here.
    }
    run();
    return printed;
  }

  void Compare(const Block& block, const std::string& printed) {
    const std::vector<std::string> lines = LinesOf(Alike(printed));
    auto from = lines.begin();
    for (const std::string& expected : LinesOf(Here(block.document.c_str(), block.text))) {
      const std::string words = Alike(expected);
      from = std::find_if(from, lines.end(),
                          [&](const std::string& line) { return Holds(line, words); });
      if (from == lines.end()) {
        ADD_FAILURE() << block.where() << ": not printed, or not in this order: " << expected
                      << "\nprinted:\n"
                      << printed;
        return;
      }
    }
  }

  Scratch scratch_;
  std::string folder_ = "var/lib/consilium-coordinator";
  std::vector<int> ports_;  // work, enrolment, health
  std::map<std::string, std::vector<Block>> blocks_;
  std::map<std::string, std::size_t> next_;
  std::map<std::string, std::string> tokens_, heard_;
  std::map<std::string, std::size_t> read_;  // how far a service's log was read
  std::map<std::string, std::unique_ptr<Process>> services_;
};

// Tokens in the order in which they were printed, each once.
std::vector<std::string> Tokens(const std::string& printed) {
  std::vector<std::string> tokens;
  for (const std::string& one : Found(printed, "CT1-[0-9A-Z-]+"))
    if (std::find(tokens.begin(), tokens.end(), one) == tokens.end()) tokens.push_back(one);
  return tokens;
}
std::string OnlyToken(const std::string& printed) {
  const auto tokens = Tokens(printed);
  EXPECT_EQ(tokens.size(), 1U) << printed;
  return tokens.empty() ? "" : tokens.front();
}
// A root and an issuing authority, as a hospital's PKI hands them out.
constexpr const char* kInstitution = R"(umask 077
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -keyout root.key -out root.pem \
  -days 3650 -subj '/CN=Hospital root' -addext basicConstraints=critical,CA:TRUE,pathlen:1 \
  -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout issuing.key \
  -out issuing.csr -subj '/CN=Hospital issuing' 2>/dev/null
printf 'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n' >extensions
openssl x509 -req -in issuing.csr -CA root.pem -CAkey root.key -CAcreateserial -days 1000 -sha384 \
  -extfile extensions -out issuing.pem 2>/dev/null
cat issuing.pem root.pem >chain.pem
)";

std::string OnlyFingerprint(const std::string& printed) {
  const auto found = Found(printed, "[0-9a-f]{64}");
  EXPECT_EQ(found.size(), 1U) << printed;
  return found.empty() ? "" : found.front();
}

TEST(Documents, WhatFourPeopleAreToldToDoWorksFromTopToBottom) {
  Story story;
  story.Aside(kHospital, "consilium demo --out /srv/research");

  story.Give(kLead, OnlyToken(story.Next(kOperator, "Set up")));
  const std::string anna = story.Next(kLead, "1. Your keys");
  const auto tokens = Tokens(story.Next(kLead, "2. Invite the sites"));
  ASSERT_EQ(tokens.size(), 2U);

  // The hospital of site.md, and three more that do the same but follow the lead.
  story.Give(kHospital, tokens[0]);
  story.Hear("Aalst", OnlyFingerprint(story.Next(kHospital, "Install, configure, enrol")));
  story.Next(kHospital, "Install, configure, enrol");
  const std::string lead_key = Found(anna, "[0-9a-f]{64}").at(0);
  for (const std::string site : {"Bergen", "Coimbra", "Delft"}) {
    story.scratch().Write(
        "etc/" + site + "/site.yaml",
        story.Here(kHospital, fmt::format("site: {0}\nstate: {2}\ncohorts: [{{file: "
                                          "/srv/research/{0}.yaml, data: /srv/research}}]\n"
                                          "policy: {{approve: lead, leads: [{1}]}}\n",
                                          site, lead_key, story.scratch() / ("var/lib/" + site))));
    const std::string token = OnlyToken(story.Aside(kLead, "consilium site invite " + site));
    story.Hear(site, OnlyFingerprint(story.Aside(
                         kHospital, "consilium-site --config " +
                                        (story.scratch() / ("etc/" + site + "/site.yaml")) +
                                        " enroll " + token)));
    story.Start(site);
  }

  story.Next(kLead, "2. Invite the sites");
  story.Next(kHospital, "What check says");
  story.Next(kLead, "4. Write and check");
  fs::copy(story.Folder(kLead) / "first.yaml", story.Folder(kHospital) / "first.yaml");
  story.Next(kHospital, "What check says");
  story.Next(kLead, "5. Submit");
  story.Await("consilium-site", "study first by anna waits for approval");
  story.Next(kHospital, "Saying yes and no");
  story.Next(kLead, "6. Watch");
  story.Next(kLead, "6. Watch");
  story.Aside(kLead,
              "sed 's/^name: first/name: third/' first.yaml > third.yaml\n"
              "consilium study submit third.yaml --yes");
  story.Await("consilium-site", "study third by anna waits for approval");
  story.Next(kHospital, "Saying yes and no");
  story.Next(kHospital, "The ledger");
  story.Next(kHospital, "The ledger");

  story.Next(kOperator, "Health and metrics");
  story.Next(kOperator, "Status and tokens");
  story.Next(kOperator, "Backup and restore");
  story.Next(kOperator, "Backup and restore");
  story.Await("consilium-site", "connected to");

  story.Next(kLead, "7. When a site is silent");
  story.Next(kLead, "8. The report");
  story.Give(kAuditor, tokens[1]);
  story.Next(kAuditor, "Three commands");
  story.Next(kAuditor, "Totals");

  story.Next(kHospital, "Stopping it");
  story.Aside(kHospital, "systemctl start consilium-site");
  story.Next(kHospital, "Backup");
  story.Next(kHospital, "Backup");
  story.Next(kHospital, "Removing it");

  // Another coordinator, whose certificates a hospital's PKI issues; one more agent enrols there.
  story.Aside(kOperator, kInstitution);
  story.UseFolder("var/lib/own");
  const std::string token = OnlyToken(story.Next(kOperator, "Your own authority"));
  story.UseFolder("var/lib/operated");
  story.Next(kOperator, "A lead who is also the operator");
  story.UseFolder("var/lib/own");
  story.Next(kOperator, "Stopping it and removing it");
  story.Aside(kOperator, "systemctl start consilium-coordinator");
  story.Aside(kLead, "consilium --profile own key enroll " + token);
  const std::string second =
      OnlyToken(story.Aside(kLead, "consilium --profile own site invite Bergen"));
  const std::string config = "consilium-site --config " + (story.scratch() / "etc/own/site.yaml");
  story.scratch().Write("etc/own/site.yaml",
                        story.Here(kHospital,
                                   "site: Bergen\nstate: state\n"
                                   "cohorts: [{file: /srv/research/Bergen.yaml, "
                                   "data: /srv/research}]\n"));
  story.Aside(kHospital, config + " enroll " + second);
  story.Start("own");
  const std::string checked = story.Aside(kHospital, config + " check");
  EXPECT_NE(checked.find("1.3, by the coordinator's authority"), std::string::npos) << checked;
  // What the listener shows leads to the institution's root.
  story.Aside(kOperator, fmt::format("openssl s_client -connect {} -CAfile root.pem "
                                     "-alpn h2 -verify_return_error </dev/null >shown 2>&1\n"
                                     "grep -aq 'Verify return code: 0' shown",
                                     story.Here(kOperator, "127.0.0.1:8444")));
  story.ExpectAllDone();
}

// A mark can only be added together with this list.
TEST(Documents, SayWhyABlockIsNotRun) {
  const std::map<std::string, std::vector<std::string>> kNotRun = {
      {"README.md", {"Your own study", "Over a network"}},
      {kOperator, {"Set up", "Stopping it and removing it"}},
      {kHospital, {"Install, configure, enrol", "From images to a table", "Removing it"}}};
  std::map<std::string, std::vector<std::string>> found;
  for (const char* document : {"README.md", kOperator, kLead, kHospital, kAuditor}) {
    for (const Block& block : BlocksOf(document)) {
      if (block.language != "sh" || block.runs()) continue;
      EXPECT_TRUE(block.argument.starts_with("not-run: ")) << block.where();
      EXPECT_GT(block.argument.size(), std::string("not-run: ").size()) << block.where();
      found[document].push_back(block.heading);
    }
  }
  EXPECT_EQ(found, kNotRun);
}

// What the programs say of themselves.
class Helps {
 public:
  // --help of "PROGRAM WORD WORD"; empty: there is no such command.
  const std::string& Of(const std::string& program, const std::vector<std::string>& words) {
    std::string& text = texts_[fmt::format("{} {}", program, fmt::join(words, " "))];
    if (!text.empty()) return text;
    std::vector<std::string> command = {program == "consilium" ? CONSILIUM_BINARY
                                        : program == "consilium-site"
                                            ? CONSILIUM_SITE_BINARY
                                            : CONSILIUM_COORDINATOR_BINARY};
    command.insert(command.end(), words.begin(), words.end());
    command.push_back("--help");
    for (const char* name : {".out", ".err"}) scratch_.Write(name, "");
    Process process({command, {}, scratch_.path(), scratch_ / ".out", scratch_ / ".err"});
    if (process.Exit().value_or(-1) == 0) text = scratch_.Read(".out");
    return text;
  }
  std::set<std::string> Subcommands(const std::string& program,
                                    const std::vector<std::string>& words) {
    std::set<std::string> names;
    bool listed = false;
    for (const std::string& line : LinesOf(Of(program, words))) {
      if (listed && !line.starts_with("  ")) break;
      if (listed && line.size() > 2 && line[2] != ' ')
        names.insert(line.substr(2, line.find(' ', 2) - 2));
      listed = listed || line == "Subcommands:";
    }
    return names;
  }

 private:
  Scratch scratch_;
  std::map<std::string, std::string> texts_;
};

// Commands of ours in a page: lines of sh blocks, and what stands between `...` in sentences.
std::vector<std::string> CommandsIn(const std::string& page) {
  std::vector<std::string> commands;
  bool inside = false;
  for (const std::string& line : LinesOf(page)) {
    const std::size_t first = line.find_first_not_of(' ');
    if (first != std::string::npos && line.compare(first, 3, "```") == 0) {
      inside = line.compare(first, 5, "```sh") == 0;
      continue;
    }
    const std::vector<std::string> spans =
        inside ? std::vector<std::string>{line} : Found(line, "`consilium[^`]*`");
    for (const std::string& span : spans) {
      for (const std::string& one :
           Found(span, "(^|[ `(&])consilium(-site|-coordinator)? [^`#&|;)]*")) {
        // "consilium folds 1" and its like are names of what is hashed.
        if (!std::regex_match(one, std::regex(".* [0-9]+ *")))
          commands.push_back(one.substr(one.find('c')));
      }
    }
  }
  return commands;
}

// Also where a command is not run: in a sentence, or behind a mark.
TEST(Documents, NameNoCommandAndNoOptionThatIsNotThere) {
  const fs::path root(CONSILIUM_SOURCE_DIR);
  std::vector<fs::path> pages = {root / "README.md"};
  for (const auto& entry : fs::recursive_directory_iterator(root / "docs"))
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  Helps helps;
  std::size_t looked_at = 0;
  for (const fs::path& page : pages) {
    for (const std::string& command : CommandsIn(Slurp(page))) {
      SCOPED_TRACE(page.filename().string() + ": " + command);
      const std::vector<std::string> all = Found(command, "[^ ]+");
      std::vector<std::string> path;
      // Options of the program may stand before the subcommand, with their values.
      for (std::size_t i = 1; i < all.size(); ++i) {
        const std::string word = all[i].substr(0, all[i].find_first_of("=,"));
        if (word.starts_with("--")) {
          EXPECT_TRUE(helps.Of(all[0], {}).find(word) != std::string::npos ||
                      helps.Of(all[0], path).find(word) != std::string::npos)
              << "there is no option " << word;
        } else if (const auto names = helps.Subcommands(all[0], path); names.contains(word)) {
          path.push_back(word);
        } else if (!all[i - 1].starts_with("--")) {
          const bool argument = names.empty() || !std::regex_match(word, std::regex("[a-z]+"));
          EXPECT_TRUE(argument) << "there is no command " << word;
          break;
        }
      }
      ++looked_at;
    }
  }
  EXPECT_GT(looked_at, 60U);
}

TEST(Documents, TheSiteYamlThatIsInstalledIsGoodAsItStands) {
  const std::string path = "deploy/packages/site.yaml";
  const auto config = site_agent::ParseSiteConfig(Slurp(fs::path(CONSILIUM_SOURCE_DIR) / path),
                                                  "/etc/consilium/site.yaml");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->site, "Aalst");
  EXPECT_EQ(config->state, "/var/lib/consilium-site");
}

}  // namespace
}  // namespace consilium::e2e
