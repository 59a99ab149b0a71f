#include "tests/e2e/network_fixture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/rng.h"
#include "tests/support/loopback.h"

namespace consilium::e2e {
namespace {

using Json = nlohmann::json;

void PutInto(std::string& text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
}

bool Listens(int port) {
  const int one = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = testing::Loopback(port);
  const bool open =
      ::connect(one, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(one);
  return open;
}

int OpenToAdd(const std::string& file) {
  return ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

// The last line of a program's --json output; a failed test if it is none.
Json LastLine(const Told& told) {
  std::string text = told.out;
  while (!text.empty() && text.back() == '\n') text.pop_back();
  Json json = Json::parse(text.substr(text.rfind('\n') + 1), nullptr, false);
  if (told.exit_code != 0 || !json.is_object()) {
    ADD_FAILURE() << "exit " << told.exit_code << ": " << told.out << told.err;
    return Json::object();
  }
  return json;
}

using Clock = std::chrono::steady_clock;

// Milliseconds until `end`, for poll.
int Left(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
  return static_cast<int>(std::max<std::int64_t>(0, left.count()));
}

// Tells when a file below a folder is written, made, moved or removed: logs, ledgers, the
// coordinator's database. What the tests' own commands say (.out, .err) does not count.
class FolderEvents {
 public:
  explicit FolderEvents(std::filesystem::path root)
      : root_(std::move(root)), descriptor_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    WatchAll();
  }
  ~FolderEvents() { ::close(descriptor_); }
  FolderEvents(const FolderEvents&) = delete;
  FolderEvents& operator=(const FolderEvents&) = delete;

  // Until something happens. False: nothing did, up to `end`.
  bool Wait(Clock::time_point end) {
    for (;;) {
      pollfd wait{descriptor_, POLLIN, 0};
      const int left = Left(end);
      if (::poll(&wait, 1, left) < 0 && errno == EINTR) continue;
      if ((wait.revents & POLLIN) == 0) return false;
      if (Drain()) return true;
    }
  }

 private:
  bool Drain() {
    bool counts = false, folders = false;
    alignas(inotify_event) char buffer[16384];
    for (ssize_t size = 0; (size = ::read(descriptor_, buffer, sizeof buffer)) > 0;) {
      for (const char* at = buffer; at < buffer + size;) {
        const auto* event = reinterpret_cast<const inotify_event*>(at);
        const std::string_view name = event->len > 0 ? event->name : "";
        counts = counts || (name != ".out" && name != ".err");
        folders = folders || (event->mask & IN_ISDIR) != 0;
        at += sizeof(inotify_event) + event->len;
      }
    }
    if (folders) WatchAll();
    return counts;
  }
  void WatchAll() {
    constexpr std::uint32_t kWhat = IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_TO;
    ::inotify_add_watch(descriptor_, root_.c_str(), kWhat);
    std::error_code gone;  // a folder may vanish while it is looked at
    for (std::filesystem::recursive_directory_iterator at(root_, gone), end; !gone && at != end;
         at.increment(gone)) {
      if (at->is_directory(gone)) ::inotify_add_watch(descriptor_, at->path().c_str(), kWhat);
    }
  }
  std::filesystem::path root_;
  int descriptor_;
};

}  // namespace

StudyOnDisk WriteDemo(const Scratch& scratch) {
  const Told told = scratch.Consilium({"demo", "--out", "demo", "--json"});
  const Json written = LastLine(told);
  StudyOnDisk demo{scratch / "demo", scratch / "demo", {}};
  for (const Json& hospital : written.value("hospitals", Json::array()))
    demo.sites.push_back(hospital.get<std::string>());
  return demo;
}

NetworkOptions OptionsFor(StudyOnDisk study, int wait_seconds) {
  NetworkOptions options;
  options.study = std::move(study);
  options.policy = "allow_leave_one_center_out: true, allow_public_data: true";
  options.wait_seconds = wait_seconds;
  return options;
}

Process::Process(const Options& options) {
  // Between fork and exec nothing may allocate: another thread of gRPC's may hold the lock.
  std::vector<std::string> environment;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string text = *one;
    if (!options.environment.contains(text.substr(0, text.find('=')))) environment.push_back(text);
  }
  for (const auto& [name, value] : options.environment) environment.push_back(name + "=" + value);
  std::vector<char*> argv, envp;
  for (const std::string& one : options.command) argv.push_back(const_cast<char*>(one.c_str()));
  for (const std::string& one : environment) envp.push_back(const_cast<char*>(one.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = OpenToAdd(options.out), err = OpenToAdd(options.err);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent || ::chdir(options.folder.c_str()) != 0) ::_exit(126);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(err, 2);
    ::execve(argv[0], argv.data(), envp.data());
    ::_exit(127);
  }
  for (const int one : {in, out, err}) ::close(one);
  if (pid_ < 0) {
    ADD_FAILURE() << "cannot start " << options.command.front();
    code_ = -1;
  }
}

Process::~Process() { Kill(); }

bool Process::Running() {
  int status = 0;
  if (!code_ && ::waitpid(pid_, &status, WNOHANG) == pid_)
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return !code_;
}

std::optional<int> Process::Exit(int seconds) {
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  // Readable when it has ended. By number: glibc 2.36 declares pidfd_open for C only.
  const int process = Running() ? static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)) : -1;
  while (Running() && Left(end) > 0) {
    pollfd wait{process, POLLIN, 0};
    ::poll(&wait, 1, Left(end));
  }
  if (process >= 0) ::close(process);
  return code_;
}

void Process::Kill() {
  if (!Running()) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  code_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool Network::Until(const std::function<bool()>& condition, int seconds) const {
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  FolderEvents events(scratch_.path());  // before the first look: nothing can be missed
  while (!condition()) {
    if (!events.Wait(end)) return condition();
  }
  return true;
}

Told Network::Run(const std::vector<std::string>& command,
                  std::map<std::string, std::string> environment) {
  for (const char* name : {".out", ".err"}) scratch_.Write(name, "");
  environment["CONSILIUM_HOME"] = scratch_ / "anna";
  Process process(
      {command, std::move(environment), scratch_.path(), scratch_ / ".out", scratch_ / ".err"});
  const auto code = process.Exit(options_.wait_seconds);
  if (!code) ADD_FAILURE() << command[0] << " " << command[1] << " does not end";
  process.Kill();
  return {code.value_or(-1), scratch_.Read(".out"), scratch_.Read(".err")};
}

Told Network::Anna(const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {CONSILIUM_BINARY};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Run(command, options_.at_lead);
}

Told Network::AtSite(const std::string& site, const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {CONSILIUM_SITE_BINARY, "--config", site + "/site.yaml"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Run(command, options_.at_sites);
}

std::unique_ptr<Process> Network::Watch(const std::string& study) {
  std::map<std::string, std::string> environment = options_.at_lead;
  environment["CONSILIUM_HOME"] = scratch_ / "anna";
  return std::make_unique<Process>(
      Process::Options{{CONSILIUM_BINARY, "study", "watch", study, "--json"},
                       std::move(environment),
                       scratch_.path(),
                       scratch_ / ("watch-" + study),
                       scratch_ / ("watch-" + study)});
}

void Network::Start() {
  ports_ = testing::FreePorts(3);
  const Json made =
      LastLine(Run({CONSILIUM_COORDINATOR_BINARY, "--folder", "c", "init", "--name", "Loopback",
                    "--host", options_.host, "--port", std::to_string(work_port()), "--enrol-port",
                    std::to_string(enrol_port()), "--lead", "anna", "--json"}));
  StartCoordinator();
  ASSERT_TRUE(Until([&] { return Listens(ports_[2]); })) << scratch_.Read("coordinator.log");
  ASSERT_EQ(Anna({"key", "enroll", made.value("token", "")}).exit_code, 0);
  lead_key_ = LastLine(Anna({"key", "show", "--json"})).value("key", "");
  if (options_.study) {
    for (const std::string& site : options_.study->sites) ASSERT_NO_FATAL_FAILURE(AddSite(site));
    return;
  }
  char digit = 'a';
  for (const testing::SmallHospital& hospital : options_.hospitals) {
    const std::string& site = hospital.name;
    scratch_.Write(site + ".csv", testing::SmallCsv(hospital.cases));
    // The key of the folds stands in the file, so that `simulate` draws the same folds.
    scratch_.Write(site + ".yaml", testing::SmallCohortYaml(site) + "site_key: \"" +
                                       std::string(32, digit) + "\"\n");
    digit = digit == 'f' ? 'a' : static_cast<char>(digit + 1);
    ASSERT_NO_FATAL_FAILURE(AddSite(site));
  }
}

void Network::AddSite(const std::string& site) {
  sites_.push_back(site);
  WriteSite(site, std::count(options_.asks.begin(), options_.asks.end(), site) > 0);
  const Told enrolled = AtSite(site, {"enroll", Invite(site)});
  ASSERT_EQ(enrolled.exit_code, 0) << enrolled.err;
  StartSite(site);
}

void Network::WriteSite(const std::string& site, bool asks, const std::string& folder) {
  const std::string policy =
      asks ? "{approve: ask}"
           : fmt::format("{{approve: lead, leads: [{}]{}}}", lead_key_,
                         options_.policy.empty() ? "" : ", " + options_.policy);
  const std::string cohorts = options_.study ? options_.study->folder : "..";
  const std::string data = options_.study ? options_.study->data : "..";
  scratch_.Write(
      (folder.empty() ? site : folder) + "/site.yaml",
      fmt::format("site: {0}\nstate: state\ncohorts: [{{file: \"{1}/{0}.yaml\", data: \"{2}\"}}]\n"
                  "policy: {3}\nnetwork: {4}\n",
                  site, cohorts, data, policy, options_.site_network));
}

std::string Network::Invite(const std::string& site) {
  return LastLine(Anna({"site", "invite", site, "--json"})).value("token", "");
}

void Network::StartCoordinator() {
  coordinator_.reset();
  std::vector<std::string> command = options_.serve;
  for (const std::string& one :
       {std::string("--folder"), std::string("c"), std::string("serve"), std::string("--listen"),
        options_.listen, std::string("--health-port"), std::to_string(ports_[2])})
    command.push_back(one);
  for (const std::string& one : options_.serve_options) command.push_back(one);
  coordinator_ = std::make_unique<Process>(Process::Options{std::move(command),
                                                            {},
                                                            scratch_.path(),
                                                            scratch_ / "coordinator.log",
                                                            scratch_ / "coordinator.log"});
}

void Network::StartSite(const std::string& site) {
  agents_[site].reset();
  std::vector<std::string> command = options_.run;
  for (const std::string& one : {std::string("--config"), site + "/site.yaml", std::string("run")})
    command.push_back(one);
  agents_[site] = std::make_unique<Process>(
      Process::Options{std::move(command), options_.at_sites, scratch_.path(),
                       scratch_ / (site + ".log"), scratch_ / (site + ".log")});
}

std::string Network::LogOf(const std::string& site) const { return scratch_.Read(site + ".log"); }

bool Network::Connected(const std::string& site) {
  return LogOf(site).find("connected to Loopback") != std::string::npos;
}

void Network::Submit(const std::string& name, int seed) {
  std::string yaml;
  if (options_.study) {
    yaml = scratch_.Read(options_.study->folder + "/study.yaml");
    const std::size_t at = yaml.find("\nname: ") + 1;
    yaml.replace(at, yaml.find('\n', at) - at, "name: " + name);
  } else {
    testing::SmallStudyOptions options;
    options.kkt_tolerance = 1e-6;
    yaml = testing::SmallStudyYaml(options);
    ASSERT_NO_FATAL_FAILURE(PutInto(yaml, "name: small\n", "name: " + name + "\n"));
    ASSERT_NO_FATAL_FAILURE(PutInto(yaml, "seed: 20\n", fmt::format("seed: {}\n", seed)));
    ASSERT_NO_FATAL_FAILURE(PutInto(yaml, "lambda_count: 20", "lambda_count: 8"));
  }
  scratch_.Write(name + "-study.yaml", yaml);
  const Told told = Anna({"study", "submit", name + "-study.yaml", "--yes"});
  ASSERT_EQ(told.exit_code, 0) << told.err;
}

std::string Network::StateOf(const std::string& study) {
  const Json status =
      LastLine(Run({CONSILIUM_COORDINATOR_BINARY, "--folder", "c", "status", "--json"}));
  for (const Json& one : status.value("studies", Json::array())) {
    if (one.value("name", "") == study) return one.value("state", "");
  }
  return "not there";
}

void Network::ExpectSameBytes(const std::string& name) {
  const std::string net = name + "-net", one = name + "-one";
  const Told fetched = Anna({"audit", "fetch", name, "--out", net});
  ASSERT_EQ(fetched.exit_code, 0) << fetched.err;
  std::vector<std::string> arguments = {"simulate", name + "-study.yaml", "--out", one};
  for (const std::string& site : sites_) {
    const std::string folder = options_.study ? options_.study->folder + "/" : "";
    arguments.insert(arguments.end(), {"--site", site + "=" + folder + site + ".yaml"});
  }
  if (options_.study) arguments.insert(arguments.end(), {"--data", options_.study->data});
  const Told simulated = Anna(arguments);
  ASSERT_EQ(simulated.exit_code, 0) << simulated.err;
  for (const char* file : {"/report.json", "/coefficients.csv"}) {
    const std::string expected = scratch_.Read(one + file);
    EXPECT_GT(expected.size(), 100U);
    EXPECT_TRUE(scratch_.Read(net + file) == expected) << name << file << " differs";
  }
  for (const char* verb : {"verify", "replay"}) {
    const Told told = Anna({"audit", verb, net});
    EXPECT_EQ(told.exit_code, 0) << verb << ": " << told.out << told.err;
  }
  for (const std::string& site : sites_) {
    const Told told = AtSite(site, {"ledger", "--verify"});
    EXPECT_EQ(told.exit_code, 0) << site << ": " << told.err;
    EXPECT_NE(told.out.find("holds"), std::string::npos) << told.out;
  }
}

Credentials Network::Of(const std::string& member) const {
  const std::string folder = member == "anna" ? "anna/" : member + "/state/";
  const Json enrolment = Json::parse(scratch_.Read(folder + "enrolment.json"));
  return {enrolment.at("authority_pem"),
          Json::parse(scratch_.Read(folder + "keys.json")).at("tls_key_pem"),
          enrolment.at("certificate_pem")};
}

std::shared_ptr<grpc::Channel> Network::Dial(const Credentials& credentials) const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(
      fmt::format("{}:{}", options_.host, work_port()),
      grpc::SslCredentials({credentials.authority, credentials.key, credentials.certificate}),
      arguments);
}

int KillsWanted(int otherwise) {
  const char* asked = std::getenv("CONSILIUM_KILLS");
  return asked == nullptr ? otherwise : std::atoi(asked);
}

std::uint64_t KillsSeed(std::uint64_t otherwise) {
  const char* asked = std::getenv("CONSILIUM_KILLS_SEED");
  return asked == nullptr ? otherwise : std::strtoull(asked, nullptr, 10);
}

void KillAtRandom(Network& network, const std::string& name, int wanted, std::uint64_t seed,
                  Kills& kills) {
  Rng rng(seed, "kills");
  int killed = 0;
  // A study that ends before enough was killed is followed by another.
  for (int number = 1; killed < wanted; ++number) {
    const std::string study = fmt::format("{}-{}", name, number);
    SCOPED_TRACE(fmt::format("{}, seed {}, after {} kills", study, seed, killed));
    ASSERT_NO_FATAL_FAILURE(network.Submit(study, 20 + number));
    const auto ended = [&] {
      const std::string state = network.StateOf(study);
      return state == "finished" || state == "failed" || state == "cancelled";
    };
    while (killed < wanted && !ended()) {
      // A random moment: after so many times that somebody wrote something.
      std::uint64_t writes = rng.Below(12);
      ASSERT_TRUE(network.Until([&] { return writes-- == 0 || ended(); }, network.wait_seconds()));
      const auto whom = rng.Below(network.sites().size() + 1);
      if (whom < network.sites().size()) {
        const std::string& site = network.sites()[whom];
        ASSERT_TRUE(network.site(site).Running()) << network.LogOf(site);
        network.site(site).Kill();
        network.StartSite(site);
        ++kills[site];
      } else {
        ASSERT_TRUE(network.coordinator().Running()) << network.scratch().Read("coordinator.log");
        network.coordinator().Kill();
        network.StartCoordinator();
        ++kills[kCoordinator];
      }
      ++killed;
    }
    // The last kill may have been the coordinator's: let it listen again.
    ASSERT_TRUE(network.Until([&] { return network.Anna({"study", "list"}).exit_code == 0; }));
    const auto watch = network.Watch(study);
    ASSERT_EQ(watch->Exit(network.wait_seconds()), 0)
        << network.scratch().Read("watch-" + study) << network.scratch().Read("coordinator.log");
    ASSERT_EQ(network.StateOf(study), "finished");
    ASSERT_NO_FATAL_FAILURE(network.ExpectSameBytes(study));
  }
  std::cout << "killed at " << killed << " random moments (seed " << seed << "):";
  for (const auto& [whom, times] : kills) std::cout << " " << whom << " " << times << ";";
  std::cout << "\n";
}

}  // namespace consilium::e2e
