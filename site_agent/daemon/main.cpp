// consilium-site: the hospital's program, for its IT department.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/linear_algebra.h"
#include "disk/files.h"
#include "identity/certificate.h"
#include "identity/private_key.h"
#include "identity/tls13.h"
#include "identity/token.h"
#include "program/program.h"
#include "site_agent/agent.h"
#include "site_agent/check.h"
#include "site_agent/config.h"
#include "site_agent/extractor.h"
#include "site_agent/link.h"
#include "site_agent/offline.h"
#include "site_agent/store.h"
#include "study/program.h"

namespace consilium::site_agent {
namespace {

namespace fs = std::filesystem;

enum ExitCode {
  kOk = 0,
  kFailed = 1,
  kUsage = program::kExitUsage,
  kInputWrong = 3,
  kRefused = 4,
  kInternal = program::kExitFault
};

constexpr const char* kExitCodes =
    "Exit codes:\n"
    "  0   done; run: stopped by SIGTERM or SIGINT\n"
    "  1   it cannot be done as things stand (not connected, another version, decided already)\n"
    "  2   the command line is wrong\n"
    "  3   a file is missing, damaged or readable by others\n"
    "  4   a rule or the coordinator refused it (revoked, wrong token, objections to a study)\n"
    "  70  a fault of the program\n";

struct Arguments {
  std::string config = "/etc/consilium/site.yaml";
  bool json = false;
  std::string token, study, reason, study_file, cohort;
  std::vector<std::string> accepts;
  bool verify = false;
  bool no_network = false;
  std::uint64_t last = 0;

  [[nodiscard]] OutputForm form() const { return json ? OutputForm::kJson : OutputForm::kText; }
};

int Told(const Arguments& arguments, const Error& error) {
  int code = kFailed;
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kNotFound:
    case ErrorCode::kDataLoss:
      code = kInputWrong;
      break;
    case ErrorCode::kPermissionDenied:
      code = kRefused;
      break;
    case ErrorCode::kInternal:
      code = kInternal;
      break;
    default:
      break;
  }
  return program::Tell(error, code, arguments.json);
}

int Print(const Arguments& arguments, const Result<std::string>& text) {
  if (!text) return Told(arguments, text.error());
  std::cout << *text;
  if (!text->empty() && text->back() != '\n') std::cout << "\n";
  return kOk;
}

std::string Passphrase() {
  const char* value = std::getenv("CONSILIUM_PASSPHRASE");
  return value == nullptr ? "" : value;
}

int Enroll(const Arguments& arguments, const SiteConfig& config) {
  const auto token = identity::DecodeToken(arguments.token);
  if (!token) return Told(arguments, token.error());
  if (token->role != identity::Role::kSite || token->name != config.site) {
    return Told(arguments, {ErrorCode::kPermissionDenied,
                            fmt::format("the token is for {} {}, {} is for site {}; correct `site` "
                                        "there, or ask the lead for a token for this site",
                                        identity::Name(token->role), token->name, config.file_name,
                                        config.site)});
  }
  auto store = SiteStore::Open(config.state);
  if (!store) return Told(arguments, store.error());
  const std::string passphrase = Passphrase();
  const auto keys = store->LoadOrCreateKeys([&]() -> Result<std::string> {
    auto pem = identity::GenerateKey();
    if (!pem || passphrase.empty()) return pem;
    return identity::EncryptKey(*pem, passphrase);
  });
  if (!keys) return Told(arguments, keys.error());
  const auto tls_key = UnlockTlsKey(*keys, passphrase);
  if (!tls_key) return Told(arguments, tls_key.error());
  const auto enrolled = EnrolWith(*token, {*tls_key, &keys->signing, &keys->agreement},
                                  config.network, program::UnixMs());
  if (!enrolled) return Told(arguments, enrolled.error());
  if (const auto saved = store->SaveEnrolment(*enrolled); !saved)
    return Told(arguments, saved.error());
  const auto facts = identity::ReadCertificate(enrolled->certificate_pem);
  const std::string until = facts ? identity::UtcText(facts->not_after_s) : "";
  const std::string fingerprint = Hex(FingerprintOf(keys->public_keys()));
  if (arguments.json) {
    std::cout << nlohmann::ordered_json{{"event", "enrolled"},
                                        {"site", config.site},
                                        {"coordinator", enrolled->coordinator},
                                        {"address", enrolled->address},
                                        {"certificate_until", until},
                                        {"key", fingerprint}}
                     .dump()
              << "\n";
    return kOk;
  }
  fmt::print("{} is enrolled at {} ({}).\n", config.site, enrolled->CoordinatorText(),
             enrolled->address);
  fmt::print("  certificate until {}, renewed by itself\n", until);
  fmt::print("  key fingerprint   {}\n", fingerprint);
  fmt::print("Tell the lead this fingerprint by telephone: studies pin it.\n");
  fmt::print("Start the agent:    consilium-site --config {} run\n", config.file_name);
  return kOk;
}

int Run(const Arguments& arguments, const SiteConfig& config) {
  program::KeepMemorySmall(16 << 20);
  const program::StopSignals signals;
  auto store = SiteStore::Open(config.state);
  if (!store) return Told(arguments, store.error());
  AgentOptions options;
  options.passphrase = Passphrase();
  auto agent = Agent::Open(config, std::move(*store), options);
  if (!agent) return Told(arguments, agent.error());
  const auto ended = signals.RunUntil([&] { return (*agent)->Run(); }, [&] { (*agent)->Stop(); });
  if (!ended) return Told(arguments, ended.error());
  return kOk;
}

// Becomes consilium-extract. A study's settings are put in the place of --study NAME.
int Extract(const Arguments& arguments, std::vector<std::string> words) {
  const auto at = std::find(words.begin(), words.end(), "--study");
  if (at != words.end()) {
    if (std::next(at) == words.end())
      return program::Tell({ErrorCode::kInvalidArgument, "--study needs a study's name"}, kUsage,
                           arguments.json);
    const auto config = LoadSiteConfig(arguments.config);
    if (!config) return Told(arguments, config.error());
    const auto store = SiteStore::OpenBeside(config->state);
    if (!store) return Told(arguments, store.error());
    const auto settings = SettingsOfStudy(*store, *config, *std::next(at));
    if (!settings) return Told(arguments, settings.error());
    *at = "--settings";
    *std::next(at) = settings->string();
  }
  if (arguments.json) words.insert(words.begin(), "--json");
  words.insert(words.begin(), ExtractProgram().string());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  return Told(arguments, {ErrorCode::kNotFound, fmt::format("{} cannot be started: {}; is it "
                                                            "installed?",
                                                            words[0], std::strerror(errno))});
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("consilium-site: answers studies with sums; no row leaves this hospital");
  app.footer(kExitCodes);
  app.require_subcommand(1);
  app.fallthrough();  // --json and --config may also stand behind the command
  app.set_version_flag("--version", study::kEngineVersion);
  app.add_option("--config", arguments.config, "The site's configuration")
      ->capture_default_str()
      ->envname("CONSILIUM_SITE_CONFIG");
  app.add_flag("--json", arguments.json, "JSON for scripts");

  auto* enroll = app.add_subcommand("enroll", "Makes this site's keys and enrols it, once");
  enroll->add_option("TOKEN", arguments.token, "What the lead sent: CT1-...")->required();
  auto* run = app.add_subcommand("run", "The agent: one outbound connection, until SIGTERM");
  auto* check = app.add_subcommand("check", "Looks at every layer and says what to do next");
  check->add_option("--study", arguments.study_file, "Also the cohort for this study file");
  check->add_flag("--no-network", arguments.no_network, "Only what is on this machine");
  auto* status = app.add_subcommand("status", "Is the agent running, enrolled, until when");
  auto* studies = app.add_subcommand("studies", "Studies and what was decided about them");
  studies->add_option("STUDY", arguments.study, "Name or first digits: what approving it means");
  auto* approve = app.add_subcommand("approve", "Says yes to a study");
  approve->add_option("STUDY", arguments.study, "Name or first digits")->required();
  approve
      ->add_option("--accept", arguments.accepts,
                   "What is accepted for this study, as `studies STUDY` names it: one or more "
                   "words, with commas between")
      ->delimiter(',');
  auto* reject = app.add_subcommand("reject", "Says no to a study");
  reject->add_option("STUDY", arguments.study, "Name or first digits")->required();
  reject->add_option("--reason", arguments.reason, "Stays at this site")->required();
  auto* policy = app.add_subcommand("policy", "What this site allows");
  auto* ledger = app.add_subcommand("ledger", "Everything that was sent or refused, in words");
  ledger->add_flag("--verify", arguments.verify, "Checks chain, hashes and the countersigned head");
  ledger->add_option("--last", arguments.last, "Only the last so many records");
  auto* cohort = app.add_subcommand("cohort", "Which rows a study would use, and why not others");
  cohort->add_option("STUDY.yaml", arguments.study_file, "The study file")->required();
  auto* extract = app.add_subcommand(
      "extract",
      "Images into a table of features, by consilium-extract: see `extract --help`. "
      "--study NAME takes a study's settings");
  extract->prefix_command();
  extract->set_help_flag();
  if (int code = kOk; !program::Parse(app, argc, argv, code)) return code;

  if (*extract) return Extract(arguments, extract->remaining());

  spdlog::set_default_logger(spdlog::stderr_color_mt("consilium"));
  PinLinearAlgebra();
  if (const auto tls = identity::RequireTls13(); !tls) return Told(arguments, tls.error());
  const auto config = LoadSiteConfig(arguments.config);
  if (!config) return Told(arguments, config.error());
  spdlog::set_level(spdlog::level::from_str(config->log_level));

  if (*enroll) return Enroll(arguments, *config);
  if (*run) return Run(arguments, *config);
  if (*policy) return Print(arguments, PolicyText(*config, arguments.form()));
  if (*check) {
    CheckOptions options;
    options.network = !arguments.no_network;
    options.study_file = arguments.study_file;
    options.passphrase = Passphrase();
    const std::vector<CheckLine> lines = Check(*config, options, program::UnixMs());
    std::cout << (arguments.json ? ToJson(lines) : ToText(lines, ::isatty(1) == 1));
    return AllGood(lines) ? kOk : kFailed;
  }
  if (*cohort) {
    Bytes secret;
    if (const auto beside = SiteStore::OpenBeside(config->state)) {
      if (const auto keys = beside->LoadKeys()) secret = keys->secret;
    }
    return Print(arguments, CohortText(*config, arguments.study_file, secret, arguments.form()));
  }
  auto store = SiteStore::OpenBeside(config->state);
  if (!store) return Told(arguments, store.error());
  if (*status) {
    const auto enrolment = store->LoadEnrolment();
    if (!enrolment) return Told(arguments, enrolment.error());
    const auto facts = identity::ReadCertificate(enrolment->certificate_pem);
    if (!facts) return Told(arguments, facts.error());
    const pid_t agent = store->RunningAgent();
    const int days = identity::DaysLeft(*facts, program::UnixMs() / 1000);
    if (arguments.json) {
      std::cout << nlohmann::ordered_json{{"event", "status"},
                                          {"site", config->site},
                                          {"coordinator", enrolment->coordinator},
                                          {"operated_by", enrolment->operated_by},
                                          {"address", enrolment->address},
                                          {"certificate_until",
                                           identity::UtcText(facts->not_after_s)},
                                          {"days_left", days},
                                          {"agent_pid", agent}}
                       .dump()
                << "\n";
    } else {
      fmt::print(
          "{} at {} ({}); certificate until {}{}; {}\n", config->site, enrolment->CoordinatorText(),
          enrolment->address, identity::UtcText(facts->not_after_s),
          days < 0    ? ", it has ENDED"
          : days < 30 ? fmt::format(", {} days left", days)
                      : "",
          agent > 0 ? fmt::format("the agent runs (process {})", agent) : "the agent does not run");
    }
    return kOk;
  }
  if (*studies) {
    return Print(arguments, arguments.study.empty()
                                ? Studies(*store, arguments.form())
                                : ShowStudy(*store, *config, arguments.study, arguments.form()));
  }
  if (*approve || *reject) {
    const auto done =
        *approve ? Approve(*store, *config, arguments.study, disk::UserName(::getuid()),
                           {arguments.accepts.begin(), arguments.accepts.end()}, program::UnixMs())
                 : Reject(*store, arguments.study, disk::UserName(::getuid()), arguments.reason,
                          program::UnixMs());
    if (!done) return Told(arguments, done.error());
    if (arguments.json) {
      std::cout << nlohmann::json{{"event", *approve ? "approved" : "rejected"},
                                  {"study", Hex(done->study)}}
                       .dump()
                << "\n";
    } else {
      fmt::print("{}\n", done->text);
    }
    return kOk;
  }
  if (*ledger) {
    if (arguments.verify) return Print(arguments, LedgerVerify(*store, *config, arguments.form()));
    LedgerOptions options;
    if (arguments.last > 0) options.last = arguments.last;
    options.form = arguments.form();
    return Print(arguments, LedgerText(*store, *config, options));
  }
  return kUsage;
}

}  // namespace
}  // namespace consilium::site_agent

int main(int argc, char** argv) {
  return consilium::program::Run([&] { return consilium::site_agent::Main(argc, argv); });
}
