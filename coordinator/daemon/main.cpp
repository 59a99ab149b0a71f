// consilium-coordinator: the server between hospitals, for whoever operates it.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/linear_algebra.h"
#include "coordinator/backup.h"
#include "coordinator/health.h"
#include "coordinator/home.h"
#include "coordinator/hub.h"
#include "coordinator/server.h"
#include "disk/files.h"
#include "identity/certificate.h"
#include "identity/names.h"
#include "identity/operator.h"
#include "identity/tls13.h"
#include "program/program.h"
#include "study/program.h"

namespace consilium::coordinator {
namespace {

namespace fs = std::filesystem;

enum ExitCode {
  kOk = 0,
  kFailed = 1,
  kUsage = program::kExitUsage,
  kInputWrong = 3,
  kInternal = program::kExitFault
};

constexpr const char* kExitCodes =
    "Exit codes:\n"
    "  0   done; serve: stopped by SIGTERM or SIGINT\n"
    "  1   it cannot be done as things stand (a port is taken, a coordinator is there already)\n"
    "  2   the command line is wrong\n"
    "  3   a file is missing, damaged or readable by others\n"
    "  70  a fault of the program\n";

struct Arguments {
  std::string folder = "/var/lib/consilium-coordinator";
  bool json = false;
  HomeOptions home{"", {}, 8443, 8444, ""};
  std::string lead;
  std::string authority, authority_key;
  std::string listen = "0.0.0.0";
  std::uint16_t health_port = 0;
  std::int64_t stall_s = 60;
  std::string log_level = "info";
  std::string file, name, role = "site";
  std::int64_t hours = 72;
};

std::string NameOf(const Home& home) {
  return identity::WithOperator(home.options.name, home.options.operated_by);
}

int Told(const Arguments& arguments, const Error& error) {
  int code = kFailed;
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      code = kUsage;
      break;
    case ErrorCode::kNotFound:
    case ErrorCode::kDataLoss:
    case ErrorCode::kPermissionDenied:
      code = kInputWrong;
      break;
    case ErrorCode::kInternal:
      code = kInternal;
      break;
    default:
      break;
  }
  return program::Tell(error, code, arguments.json);
}

// A token made on the coordinator's own machine, in the operator's name.
Result<std::string> LocalToken(const fs::path& folder, const std::string& name,
                               const std::string& role, std::int64_t hours) {
  auto home = OpenHome(folder);
  CONSILIUM_TRY(home);
  const auto hub = Hub::Open(std::move(*home), {}, Hub::Studies::kLeaveAlone);
  CONSILIUM_TRY(hub);
  Caller operator_here;
  operator_here.name = "operator";
  operator_here.role = identity::Role::kCoordinator;
  return (*hub)->Invite(operator_here, name, role, hours * 3600, nullptr);
}

// The institution's files, if they were named.
Result<std::optional<OwnAuthority>> OwnAuthorityOf(const Arguments& arguments) {
  if (arguments.authority.empty()) return std::nullopt;
  auto chain = disk::ReadFile(arguments.authority, identity::kCertificatePemBytesMax);
  CONSILIUM_TRY(chain);
  auto key = disk::ReadSecret(arguments.authority_key);
  CONSILIUM_TRY(key);
  return OwnAuthority{std::move(*chain), std::move(*key)};
}

int Init(const Arguments& arguments) {
  const auto own = OwnAuthorityOf(arguments);
  if (!own) return Told(arguments, own.error());
  const auto home = InitHome(arguments.folder, arguments.home, program::UnixMs() / 1000, *own);
  if (!home) return Told(arguments, home.error());
  const auto token = LocalToken(arguments.folder, arguments.lead, "lead", arguments.hours);
  if (!token) return Told(arguments, token.error());
  if (arguments.json) {
    std::cout << nlohmann::ordered_json{{"event", "made"},
                                        {"folder", arguments.folder},
                                        {"work_address", home->work_address()},
                                        {"enrol_address", home->enrol_address()},
                                        {"authority", Hex(home->authority.fingerprint())},
                                        {"lead", arguments.lead},
                                        {"token", *token}}
                     .dump()
              << "\n";
    return kOk;
  }
  fmt::print("The coordinator of '{}' is in {}.\n", NameOf(*home), arguments.folder);
  fmt::print("  sites work with   {}\n  they enrol at     {}\n", home->work_address(),
             home->enrol_address());
  fmt::print("  authority         {}\n", Hex(home->authority.fingerprint()));
  fmt::print("Start it:           consilium-coordinator --folder {} serve\n", arguments.folder);
  fmt::print("Then {} enrols as lead, within {} hours and once:\n  consilium key enroll {}\n",
             arguments.lead, arguments.hours, *token);
  return kOk;
}

int Token(const Arguments& arguments) {
  const auto token = LocalToken(arguments.folder, arguments.name, arguments.role, arguments.hours);
  if (!token) return Told(arguments, token.error());
  if (arguments.json) {
    std::cout
        << nlohmann::json{{"event", "invited"}, {"name", arguments.name}, {"token", *token}}.dump()
        << "\n";
  } else {
    fmt::print("{}\n", *token);
  }
  return kOk;
}

// Keeps the listeners' certificate new for as long as the coordinator runs.
class Renewals {
 public:
  explicit Renewals(Hub& hub, Server& server) : hub_(hub), server_(server) {}

  // Until Stop.
  Result<void> Run() {
    std::unique_lock lock(mutex_);
    for (int hour = 0; !stopping_; ++hour) {
      Look(hour % 24 == 0);
      wake_.wait_for(lock, std::chrono::hours(1), [&] { return stopping_; });
    }
    return {};
  }
  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
  }

 private:
  void Look(bool tell) {
    const std::int64_t now_s = program::UnixMs() / 1000;
    const auto renewed = server_.RenewCertificate(now_s);
    if (!renewed) {
      spdlog::error("the server certificate was not renewed: {}; it is tried again every hour",
                    renewed.error().message);
    } else if (*renewed) {
      spdlog::info("the server certificate was renewed, until {}",
                   identity::UtcText(hub_.endings().server_s));
    }
    if (!tell) return;
    for (const std::string& one : EndingSoon(hub_.home(), server_.shown(), now_s))
      spdlog::warn("{}", one);
  }

  Hub& hub_;
  Server& server_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
};

int Serve(const Arguments& arguments) {
  program::KeepMemorySmall(4 << 20);
  const program::StopSignals signals;
  auto home = OpenHome(arguments.folder);
  if (!home) return Told(arguments, home.error());
  const std::int64_t now_s = program::UnixMs() / 1000;
  auto renewed = RenewServer(*home, home->server, now_s);
  if (renewed && *renewed) {
    home->server = std::move(**renewed);
  } else if (!renewed && !identity::CheckIssued(home->server.certificate_pem,
                                                home->authority.certificate_pem(), now_s)) {
    return Told(arguments, renewed.error());  // else it is told, and tried again, below
  }
  auto hub = Hub::Open(std::move(*home), {}, Hub::Studies::kTakeUp);
  if (!hub) return Told(arguments, hub.error());
  ServerOptions options;
  options.listen = arguments.listen;
  options.stalled_ms = 1000 * arguments.stall_s;
  options.hello_ms = std::min(options.hello_ms, options.stalled_ms);
  auto server = Server::Start(**hub, options);
  if (!server) return Told(arguments, server.error());
  std::unique_ptr<Health> health;
  if (arguments.health_port != 0) {
    auto started = Health::Start(**hub, arguments.health_port);
    if (!started) return Told(arguments, started.error());
    health = std::move(*started);
  }
  spdlog::info("{}: sites at {}, enrolment at {}, {}", NameOf((*hub)->home()),
               (*hub)->home().work_address(), (*hub)->home().enrol_address(),
               study::kEngineVersion);
  Renewals renewals(**hub, **server);
  (void)signals.RunUntil([&] { return renewals.Run(); }, [&] { renewals.Stop(); });
  spdlog::info("stopping");
  health.reset();
  (*hub)->Stop();
  (*server)->Stop(2000);
  return kOk;
}

int Backup(const Arguments& arguments) {
  const auto made = BackupHome(arguments.folder, arguments.file);
  if (!made) return Told(arguments, made.error());
  if (!arguments.json) fmt::print("{}\n", *made);
  return kOk;
}
int Restore(const Arguments& arguments) {
  const auto restored = RestoreHome(arguments.file, arguments.folder);
  if (!restored) return Told(arguments, restored.error());
  if (!arguments.json) fmt::print("{}\n", *restored);
  return kOk;
}

// "certificate until ..." and, from 30 days before it ends, how long that is.
std::string UntilText(const Member& member, std::int64_t now_s) {
  const std::int64_t until_s = member.certificate.not_after_ms / 1000;
  std::string text = "certificate until " + identity::UtcText(until_s);
  if (member.state != MemberState::kActive) return text;
  if (until_s < now_s) return text + ", it has ENDED";
  const std::int64_t days = (until_s - now_s) / 86'400;
  return days < kEndsSoonDays ? fmt::format("{}, {} days left", text, days) : text;
}

int Status(const Arguments& arguments) {
  const auto home = OpenHome(arguments.folder);
  if (!home) return Told(arguments, home.error());
  const auto store = Store::Open(home->store_path().string());
  if (!store) return Told(arguments, store.error());
  const auto members = (*store)->ListMembers();
  if (!members) return Told(arguments, members.error());
  const auto studies = (*store)->ListStudies();
  if (!studies) return Told(arguments, studies.error());
  const std::int64_t now_s = program::UnixMs() / 1000;
  const auto server = identity::ReadCertificate(home->server.certificate_pem);
  const std::int64_t server_s = server ? server->not_after_s : 0;
  const std::int64_t authority_s = home->authority.facts().not_after_s;
  const std::vector<std::string> endings = EndingSoon(*home, home->server, now_s);
  nlohmann::ordered_json json{{"event", "status"},
                              {"name", home->options.name},
                              {"operated_by", home->options.operated_by},
                              {"engine", study::kEngineVersion},
                              {"work_address", home->work_address()},
                              {"enrol_address", home->enrol_address()},
                              {"authority", Hex(home->authority.fingerprint())},
                              {"authority_until_unix_s", authority_s},
                              {"server_certificate_until_unix_s", server_s},
                              {"warnings", endings},
                              {"members", nlohmann::json::array()},
                              {"studies", nlohmann::json::array()}};
  for (const Member& member : *members) {
    json["members"].push_back({{"name", member.name},
                               {"role", member.role},
                               {"state", Name(member.state)},
                               {"not_after_unix_ms", member.certificate.not_after_ms},
                               {"last_seen_unix_ms", member.last_seen_ms.value_or(0)}});
  }
  for (const StudyStatus& one : *studies) {
    json["studies"].push_back({{"id", Hex(one.id)},
                               {"name", one.name},
                               {"lead", one.lead},
                               {"state", Name(one.state)},
                               {"reason", one.reason}});
  }
  if (arguments.json) {
    std::cout << json.dump() << "\n";
    return kOk;
  }
  fmt::print("{}\n  sites work with   {}\n  they enrol at     {}\n  authority         {}\n",
             NameOf(*home), home->work_address(), home->enrol_address(),
             Hex(home->authority.fingerprint()));
  fmt::print("  it lasts until    {}\n  the listeners'    certificate until {}\n",
             identity::UtcText(authority_s), server ? identity::UtcText(server_s) : "-");
  for (const Member& member : *members) {
    fmt::print("  {:<8} {:<24} {:<8} {}\n", member.role, member.name, Name(member.state),
               UntilText(member, now_s));
  }
  for (const StudyStatus& one : *studies) {
    fmt::print("  study    {:<24} {:<9} {} {}\n", one.name, Name(one.state),
               Hex(one.id).substr(0, 16), one.reason);
  }
  for (const std::string& one : endings) fmt::print("! {}\n", one);
  return kOk;
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("consilium-coordinator: joins hospitals' sums; sees no patient's row");
  app.footer(kExitCodes);
  app.require_subcommand(1);
  app.fallthrough();  // --json and --folder may also stand behind the command
  app.set_version_flag("--version", study::kEngineVersion);
  app.add_option("--folder", arguments.folder, "Where it keeps everything")
      ->capture_default_str()
      ->envname("CONSILIUM_COORDINATOR_FOLDER");
  app.add_flag("--json", arguments.json, "One JSON object a line, for scripts");

  auto* init = app.add_subcommand("init", "Makes a coordinator: authority, keys, first lead");
  init->add_option("--name", arguments.home.name, "The federation's name, for people")->required();
  init->add_option("--host", arguments.home.hosts,
                   "DNS name or address under which sites reach it; may be given again")
      ->required();
  init->add_option("--port", arguments.home.work_port, "Port for sites and people (mutual TLS)")
      ->capture_default_str();
  init->add_option("--enrol-port", arguments.home.enrol_port, "Port for enrolment (token)")
      ->capture_default_str();
  init->add_option("--lead", arguments.lead, "Name of the first lead")->required();
  init->add_option("--operator", arguments.home.operated_by,
                   "The lead who operates this coordinator, if one does: sites are told");
  auto* authority = init->add_option(
      "--authority", arguments.authority,
      "An institution's issuing certificate and the chain above it, PEM; default: one is made");
  init->add_option("--authority-key", arguments.authority_key, "Its key, unlocked PEM, 0600")
      ->needs(authority);
  authority->needs("--authority-key");
  init->add_option("--hours", arguments.hours, "How long the lead's token is good")
      ->capture_default_str();

  auto* serve = app.add_subcommand("serve", "Runs it until SIGTERM");
  serve->add_option("--listen", arguments.listen, "Address of the listeners")
      ->capture_default_str();
  serve
      ->add_option("--health-port", arguments.health_port,
                   "/healthz and /metrics on 127.0.0.1; 0: none")
      ->capture_default_str();
  serve
      ->add_option("--stall", arguments.stall_s,
                   "Seconds after which an answer that does not go on is dropped")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  serve->add_option("--log-level", arguments.log_level, "trace, debug, info, warning, error")
      ->capture_default_str();

  auto* backup = app.add_subcommand("backup", "Writes a consistent copy, also while it runs");
  backup->add_option("FILE", arguments.file, "New file; holds the keys: keep it as safe as them")
      ->required();
  auto* restore = app.add_subcommand("restore", "Makes the folder anew from a backup");
  restore->add_option("FILE", arguments.file, "What backup wrote")->required();
  auto* status = app.add_subcommand("status", "Members and studies, read from the folder");
  auto* token = app.add_subcommand("token", "An invitation in the operator's name");
  token->add_option("NAME", arguments.name, "Whom")->required();
  token->add_option("--role", arguments.role, "site, lead or auditor")->capture_default_str();
  token->add_option("--hours", arguments.hours, "How long it is good")->capture_default_str();
  if (int code = kOk; !program::Parse(app, argc, argv, code)) return code;

  spdlog::set_level(spdlog::level::from_str(arguments.log_level));
  PinLinearAlgebra();
  if (const auto tls = identity::RequireTls13(); !tls) return Told(arguments, tls.error());
  if (*init) return Init(arguments);
  if (*serve) return Serve(arguments);
  if (*backup) return Backup(arguments);
  if (*restore) return Restore(arguments);
  if (*status) return Status(arguments);
  if (*token) return Token(arguments);
  return kUsage;
}

}  // namespace
}  // namespace consilium::coordinator

int main(int argc, char** argv) {
  return consilium::program::Run([&] { return consilium::coordinator::Main(argc, argv); });
}
