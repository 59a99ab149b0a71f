// A round between processes, beside a bare gRPC echo of the same bytes over the same TLS; and what
// becomes of it when somebody is killed.
//
// The coordinator, the sites and the lead are the real ones (hub, server, agents, stores, ledgers,
// mutual TLS on loopback, enrolled with the real commands); only the study's program is another: it
// asks for sums of a given size, over and over, so that what is measured is the round and no
// mathematics. The echo is the floor: a server that sends the same bytes to as many clients over
// TLS with the same certificates and waits until all have sent them back. Run it with TMPDIR on a
// disk, and on a file system in memory for what the disk adds. Figures: docs/results.md.
#include <consilium/v1/consilium.grpc.pb.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "coordinator/health.h"
#include "coordinator/home.h"
#include "coordinator/hub.h"
#include "coordinator/server.h"
#include "program/program.h"
#include "site_agent/agent.h"
#include "site_agent/offline.h"
#include "study/program.h"
#include "tests/e2e/network_fixture.h"

namespace consilium::bench {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

std::int64_t NowNs() { return Clock::now().time_since_epoch().count(); }

// ---- the program that is measured ---------------------------------------------------------------

struct Plan {
  std::vector<std::int64_t> bytes;  // of each site's answer, one entry a round
};

// "8192x100,8388608x10", and a last round of one number: when it has its total, every site holds
// all that is counted before it.
Plan PlanOf(const std::string& text) {
  Plan plan;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, ',');) {
    const auto at = part.find('x');
    const std::int64_t bytes = std::stoll(part.substr(0, at));
    const auto times = at == std::string::npos ? 1 : std::stoul(part.substr(at + 1));
    plan.bytes.insert(plan.bytes.end(), times, bytes);
  }
  plan.bytes.push_back(8);
  return plan;
}

// When each round's total was known at the coordinator, one line a round; a coordinator that was
// killed goes on in the same file.
class Stamps {
 public:
  explicit Stamps(const std::string& file)
      : file_(file.empty()
                  ? -1
                  : ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
  void Add(std::size_t round) {
    if (file_ < 0) return;
    const std::string line = fmt::format("{} {}\n", round, NowNs());
    if (::write(file_, line.data(), line.size()) < 0) std::abort();
  }

 private:
  int file_;
};

federation::Task<study::Results> Rounds(federation::Sums& sums, const study::Study& study,
                                        Plan plan, std::shared_ptr<Stamps> stamps) {
  std::vector<std::string> members = study::TrainingCenters(study);
  std::sort(members.begin(), members.end());
  for (std::size_t round = 0; round < plan.bytes.size(); ++round) {
    federation::Query query;
    query.step = "bench.sum";
    query.scope.fit = "bench";
    query.scope.members = members;
    query.inputs = {
        {"rows", Eigen::MatrixXd::Constant(1, 1, static_cast<double>(plan.bytes[round] / 8))},
        {"round", Eigen::MatrixXd::Constant(1, 1, static_cast<double>(round))}};
    auto asked = sums.Of(std::move(query));
    const federation::Total total = co_await asked;
    CONSILIUM_CHECK(total["x"](0, 0) == static_cast<double>(members.size()), "one from each site");
    stamps->Add(round);
  }
  co_return tl::unexpected(Error{ErrorCode::kUnavailable, "measured"});
}

study::Engine EngineFor(const Plan& plan, const std::string& stamps) {
  study::Engine engine;
  const auto rows = [](const federation::Query& query) {
    return static_cast<Eigen::Index>(query.inputs.front().values(0, 0));
  };
  engine.AddSum(
      "bench.sum",
      [rows](const federation::Query& query) -> Result<std::vector<federation::BlockLayout>> {
        return std::vector<federation::BlockLayout>{{"x", rows(query), 1, {64, 20}}};
      },
      [rows](const federation::Context&, const federation::Derived&,
             const federation::Query& query) -> Result<federation::Answer> {
        return federation::Answer{{{"x", Eigen::MatrixXd(Eigen::VectorXd::Ones(rows(query)))}}};
      });
  engine.program = [plan, file = std::make_shared<Stamps>(stamps)](federation::Sums& sums,
                                                                   const study::Study& study) {
    return Rounds(sums, study, plan, file);
  };
  return engine;
}

// ---- children -----------------------------------------------------------------------------------

int Refused(const Error& error) { return program::Tell(error, 1, false); }

int Serve(const std::string& folder, int health, const Plan& plan, const std::string& stamps) {
  program::KeepMemorySmall(4 << 20);  // as consilium-coordinator
  const program::StopSignals signals;
  auto home = coordinator::OpenHome(folder);
  if (!home) return Refused(home.error());
  coordinator::HubOptions options;
  options.engine = EngineFor(plan, stamps);
  auto hub = coordinator::Hub::Open(std::move(*home), std::move(options),
                                    coordinator::Hub::Studies::kTakeUp);
  if (!hub) return Refused(hub.error());
  coordinator::ServerOptions server_options;
  server_options.listen = "127.0.0.1";
  auto server = coordinator::Server::Start(**hub, server_options);
  if (!server) return Refused(server.error());
  const auto started = coordinator::Health::Start(**hub, static_cast<std::uint16_t>(health));
  if (!started) return Refused(started.error());
  fmt::print(stderr, "listening\n");  // the fixture looks when something is written
  signals.Wait();
  (*hub)->Stop();
  (*server)->Stop(1000);
  return 0;
}

int RunSite(const std::string& config_file, const Plan& plan) {
  program::KeepMemorySmall(16 << 20);  // as consilium-site
  const program::StopSignals signals;
  const auto config = site_agent::LoadSiteConfig(config_file);
  if (!config) return Refused(config.error());
  auto store = site_agent::SiteStore::Open(config->state);
  if (!store) return Refused(store.error());
  site_agent::AgentOptions options;
  options.engine = EngineFor(plan, "");
  auto agent = site_agent::Agent::Open(*config, std::move(*store), std::move(options));
  if (!agent) return Refused(agent.error());
  const auto ended = signals.RunUntil([&] { return (*agent)->Run(); }, [&] { (*agent)->Stop(); });
  return ended ? 0 : Refused(ended.error());
}

// ---- the echo -----------------------------------------------------------------------------------

grpc::ByteBuffer BufferOf(std::int64_t bytes) {
  const grpc::Slice slice(std::string(static_cast<std::size_t>(bytes), 'x'));
  return {&slice, 1};
}

// All clients of one echo round: each is sent `parts` pieces and sends as many back.
class EchoService : public grpc::CallbackGenericService {
 public:
  explicit EchoService(std::size_t clients) : clients_(clients) {}

  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    auto* reactor = new Reactor(*this);
    {
      const std::lock_guard lock(mutex_);
      reactors_.push_back(reactor);
    }
    changed_.notify_all();
    return reactor;
  }
  void WaitForAll() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return reactors_.size() == clients_; });
  }
  // Nanoseconds until everybody has sent everything back.
  std::int64_t Round(std::int64_t bytes, std::int64_t part) {
    const auto began = NowNs();
    {
      const std::lock_guard lock(mutex_);
      left_ = clients_;
    }
    for (Reactor* reactor : reactors_) reactor->Send(bytes, part);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return left_ == 0; });
    return NowNs() - began;
  }
  void End() {
    for (Reactor* reactor : reactors_) reactor->Finish(grpc::Status::OK);
  }

 private:
  class Reactor : public grpc::ServerGenericBidiReactor {
   public:
    explicit Reactor(EchoService& service) : service_(service) {}
    void Send(std::int64_t bytes, std::int64_t part) {
      {
        const std::lock_guard lock(mutex_);
        unsent_ = unread_ = (bytes + part - 1) / part;
        out_ = BufferOf(std::min(bytes, part));
      }
      WriteNext();
      StartRead(&in_);
    }
    void OnWriteDone(bool ok) override {
      {
        const std::lock_guard lock(mutex_);
        writing_ = false;
      }
      if (ok) WriteNext();
    }
    void OnReadDone(bool ok) override {
      if (!ok) return;
      {
        const std::lock_guard lock(mutex_);
        if (--unread_ > 0) {
          StartRead(&in_);
          return;
        }
      }
      service_.Answered();
    }
    void OnDone() override { delete this; }

   private:
    void WriteNext() {
      {
        const std::lock_guard lock(mutex_);
        if (unsent_ == 0 || writing_) return;
        --unsent_;
        writing_ = true;
        copy_ = out_;
      }
      StartWrite(&copy_);
    }
    EchoService& service_;
    std::mutex mutex_;
    grpc::ByteBuffer in_, out_, copy_;
    std::int64_t unsent_ = 0, unread_ = 0;
    bool writing_ = false;
  };
  void Answered() {
    {
      const std::lock_guard lock(mutex_);
      --left_;
    }
    changed_.notify_all();
  }
  std::size_t clients_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Reactor*> reactors_;
  std::size_t left_ = 0;
};

std::string ReadText(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// One client: reads each round's bytes whole and sends them back in the pieces in which they came.
int EchoClient(const std::string& site_folder, const std::string& address, const Plan& plan,
               std::int64_t part) {
  const Json enrolment = Json::parse(ReadText(site_folder + "/state/enrolment.json"));
  const Json keys = Json::parse(ReadText(site_folder + "/state/keys.json"));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const auto channel = grpc::CreateCustomChannel(
      address,
      grpc::SslCredentials(
          {enrolment.at("authority_pem"), keys.at("tls_key_pem"), enrolment.at("certificate_pem")}),
      arguments);
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  const auto done = [&] { return queue.Next(&tag, &ok) && ok; };
  const auto call = stub.PrepareCall(&context, "/echo/Echo", &queue);
  call->StartCall(nullptr);
  if (!done()) return 1;
  for (const std::int64_t bytes : plan.bytes) {
    std::vector<grpc::ByteBuffer> held(static_cast<std::size_t>((bytes + part - 1) / part));
    for (grpc::ByteBuffer& piece : held) {
      call->Read(&piece, nullptr);
      if (!done()) return 0;
    }
    for (const grpc::ByteBuffer& piece : held) {
      call->Write(piece, nullptr);
      if (!done()) return 0;
    }
  }
  // What was written last may still be on its way: the server ends the call.
  grpc::ByteBuffer end;
  call->Read(&end, nullptr);
  return done() ? 1 : 0;
}

// ---- measuring ----------------------------------------------------------------------------------

Json Spread(std::vector<double> ms) {
  if (ms.empty()) return nullptr;
  std::sort(ms.begin(), ms.end());
  const auto at = [&](double q) {
    return ms[static_cast<std::size_t>(q * static_cast<double>(ms.size() - 1))];
  };
  return {{"rounds", ms.size()}, {"median_ms", at(0.5)}, {"p99_ms", at(0.99)}, {"min_ms", ms[0]}};
}

// Milliseconds by size; the first tenth of each size warms up and does not count.
std::map<std::int64_t, std::vector<double>> BySize(
    const Plan& plan, const std::vector<std::pair<std::size_t, std::int64_t>>& stamps) {
  std::map<std::int64_t, std::size_t> count, seen;
  for (const std::int64_t bytes : plan.bytes) ++count[bytes];
  std::map<std::int64_t, std::vector<double>> ms;
  for (std::size_t i = 1; i < stamps.size(); ++i) {
    const std::int64_t bytes = plan.bytes[stamps[i].first];
    if (seen[bytes]++ < std::max<std::size_t>(1, count[bytes] / 10)) continue;
    ms[bytes].push_back(static_cast<double>(stamps[i].second - stamps[i - 1].second) / 1e6);
  }
  return ms;
}

// The round in the last whole line, from the end of the file: reading all of it after every round
// would be measured too.
std::optional<std::size_t> LastStamp(const std::string& file) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const std::streamoff size = in.tellg();
  if (size <= 0) return std::nullopt;
  const std::streamoff from = std::max<std::streamoff>(0, size - 80);  // two lines and more
  std::string tail(static_cast<std::size_t>(size - from), '\0');
  in.seekg(from).read(tail.data(), size - from);
  if (!in || !tail.ends_with('\n')) return std::nullopt;
  const std::size_t before = tail.rfind('\n', tail.size() - 2);
  return std::stoul(tail.substr(before == std::string::npos ? 0 : before + 1));
}

std::vector<std::pair<std::size_t, std::int64_t>> ReadStamps(const std::string& file) {
  std::vector<std::pair<std::size_t, std::int64_t>> stamps;
  std::istringstream in(ReadText(file));
  std::size_t round = 0;
  std::int64_t ns = 0;
  while (in >> round >> ns) {
    // A coordinator that was killed computes the rounds of its log again: only new ones count.
    if (!stamps.empty() && round <= stamps.back().first) continue;
    stamps.emplace_back(round, ns);
  }
  return stamps;
}

// Everything that went over the loopback of this network namespace.
std::int64_t LoopbackBytes() {
  std::istringstream in(ReadText("/proc/net/dev"));
  for (std::string line; std::getline(in, line);) {
    const auto at = line.find("lo:");
    if (at != std::string::npos) return std::stoll(line.substr(at + 3));
  }
  return 0;
}

std::int64_t MemoryKib(pid_t pid, const std::string& field) {
  std::istringstream in(ReadText(fmt::format("/proc/{}/status", pid)));
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(field)) return std::stoll(line.substr(field.size() + 1));
  }
  return 0;
}

struct Options {
  int sites = 5;
  std::string plan = "8192x200,8388608x20";
  bool masks = true;
  bool faults = false;
};

class Bench {
 public:
  Bench(const Options& options, std::string self)
      : options_(options), self_(std::move(self)), plan_(PlanOf(options.plan)) {}

  Json Run() {
    // A network namespace of its own where that is allowed: only our bytes on its loopback.
    const bool alone =
        ::unshare(CLONE_NEWNET) == 0 && std::system("ip link set lo up >/dev/null 2>&1") == 0;
    Json json{{"sites", options_.sites}, {"masks", options_.masks}, {"own_loopback", alone}};
    const auto began = NowNs();
    e2e::NetworkOptions network_options;
    network_options.hospitals.clear();
    for (int i = 1; i <= options_.sites; ++i) {
      const std::string name = fmt::format("s{:03}", i);
      network_options.hospitals.push_back({name, testing::DrawCases(name, 40, 0, 7)});
    }
    network_options.policy = "allow_leave_one_center_out: true, allow_public_data: true";
    network_options.serve = {self_, "--plan", options_.plan, "--stamps", "stamps"};
    network_options.run = {self_, "--plan", options_.plan};
    e2e::Network network(network_options);
    stamps_file_ = network.scratch() / "stamps";
    testing::SmallStudyOptions study;
    study.sites = network.sites();
    study.leave_one_center_out = true;
    study.public_data = !options_.masks;  // masks are not optional otherwise
    std::string yaml = testing::SmallStudyYaml(study);
    if (!options_.masks) {
      const std::string privacy = "privacy: {min_sites: 3}";
      yaml.replace(yaml.find(privacy), privacy.size(), "privacy: {min_sites: 3, masks: false}");
    }
    network.scratch().Write("study.yaml", yaml);
    json["enrolled_s"] = static_cast<double>(NowNs() - began) / 1e9;
    const std::int64_t idle_coordinator = MemoryKib(network.coordinator().pid(), "VmRSS:");
    const std::int64_t idle_site = MemoryKib(network.site(network.sites()[0]).pid(), "VmRSS:");
    const std::int64_t sent_before = LoopbackBytes();
    const e2e::Told told = network.Anna({"study", "submit", "study.yaml", "--yes"});
    EXPECT_EQ(told.exit_code, 0) << told.err;
    if (options_.faults) Faults(network, json);
    EXPECT_TRUE(network.Until(
        [&] { return LastStamp(stamps_file_) == plan_.bytes.size() - 1; }, 3600))
        << network.scratch().Read("coordinator.log");
    const std::int64_t sent = LoopbackBytes() - sent_before;
    const auto stamps = ReadStamps(stamps_file_);
    if (stamps.empty()) return json;
    json["cold_start_to_first_round_s"] = static_cast<double>(stamps[0].second - began) / 1e9;
    std::int64_t payload = 0;
    for (const std::int64_t bytes : plan_.bytes) payload += 2 * options_.sites * bytes;
    json["bytes"] = {{"payload", payload},
                     {"on_the_wire", sent},
                     {"ratio", static_cast<double>(sent) / static_cast<double>(payload)}};
    std::int64_t site_peak = 0, sites_sum = 0;
    for (const std::string& site : network.sites()) {
      site_peak = std::max(site_peak, MemoryKib(network.site(site).pid(), "VmHWM:"));
      sites_sum += MemoryKib(network.site(site).pid(), "VmRSS:");
    }
    json["memory_mib"] = {
        {"coordinator_idle", static_cast<double>(idle_coordinator) / 1024},
        {"coordinator_peak",
         static_cast<double>(MemoryKib(network.coordinator().pid(), "VmHWM:")) / 1024},
        {"site_idle", static_cast<double>(idle_site) / 1024},
        {"site_peak", static_cast<double>(site_peak) / 1024},
        {"all_processes_now",
         static_cast<double>(sites_sum + MemoryKib(network.coordinator().pid(), "VmRSS:")) / 1024}};
    auto ours = BySize(plan_, stamps);
    ours.erase(8);
    if (options_.faults) return json;
    const auto single = Echo(network, std::int64_t{64} << 20);
    const auto parts = Echo(network, wire::kPartBytes);
    for (const auto& [bytes, ms] : ours) {
      Json row{{"bytes", bytes}, {"round", Spread(ms)}};
      const Json one = Spread(single.at(bytes)), many = Spread(parts.at(bytes));
      const bool whole = one["median_ms"] < many["median_ms"];
      row["echo"] = whole ? one : many;
      row["echo"]["in"] = whole ? "one message" : "parts";
      row["ratio_of_medians"] =
          row["round"]["median_ms"].get<double>() / row["echo"]["median_ms"].get<double>();
      json["rounds"].push_back(std::move(row));
    }
    return json;
  }

 private:
  std::size_t Done() const {
    const auto stamps = ReadStamps(stamps_file_);
    return stamps.empty() ? 0 : stamps.back().first + 1;
  }
  static std::string Word(e2e::Network& network, const std::string& site) {
    const e2e::Told told = network.Anna({"study", "show", "small", "--json"});
    const Json json = Json::parse(told.out.substr(0, told.out.find('\n')), nullptr, false);
    if (!json.is_object()) return "";
    for (const Json& one : json.value("sites", Json::array())) {
      if (one.value("site", "") == site) return one.value("sentence", "");
    }
    return "";
  }
  // Seconds until the coordinator shows that the site is gone.
  static double Noticed(e2e::Network& network, const std::string& site, std::int64_t since) {
    while (Word(network, site).rfind("not connected", 0) != 0) {
      if (NowNs() - since > std::int64_t{60'000'000'000}) return -1;
    }
    return static_cast<double>(NowNs() - since) / 1e9;
  }
  double Onward(e2e::Network& network, std::int64_t since) const {
    const std::size_t done = Done();
    if (!network.Until([&] { return Done() > done; }, 120)) return -1;
    return static_cast<double>(NowNs() - since) / 1e9;
  }

  void Faults(e2e::Network& network, Json& json) {
    const std::string& site = network.sites().front();
    EXPECT_TRUE(network.Until([&] { return Done() > 20; }, 60));
    auto since = NowNs();
    network.site(site).Kill();
    json["site_killed_noticed_s"] = Noticed(network, site, since);
    since = NowNs();
    network.StartSite(site);
    json["site_restarted_round_s"] = Onward(network, since);
    since = NowNs();
    ::kill(network.site(site).pid(), SIGSTOP);
    json["site_stopped_noticed_s"] = Noticed(network, site, since);
    since = NowNs();
    ::kill(network.site(site).pid(), SIGCONT);
    json["site_continued_round_s"] = Onward(network, since);
    std::vector<double> back;
    for (int i = 0; i < 5; ++i) {
      // Sites that were connected for some seconds, as they are when a coordinator dies.
      const std::int64_t long_enough = NowNs() + std::int64_t{3'000'000'000};
      EXPECT_TRUE(network.Until(
          [&] {
            const auto stamps = ReadStamps(stamps_file_);
            return !stamps.empty() && stamps.back().second > long_enough;
          },
          60));
      network.coordinator().Kill();
      since = NowNs();
      network.StartCoordinator();
      back.push_back(Onward(network, since));
    }
    std::sort(back.begin(), back.end());
    json["coordinator_killed_next_round_s"] = {{"median", back[back.size() / 2]},
                                               {"worst", back.back()}};
  }

  std::map<std::int64_t, std::vector<double>> Echo(e2e::Network& network, std::int64_t part) {
    grpc::SslServerCredentialsOptions tls(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    tls.pem_key_cert_pairs.push_back(
        {network.scratch().Read("c/server.key"), network.scratch().Read("c/server.crt")});
    tls.pem_root_certs = network.scratch().Read("c/authority.crt");
    EchoService service(network.sites().size());
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(-1);
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
    builder.RegisterCallbackGenericService(&service);
    const auto server = builder.BuildAndStart();
    std::vector<std::unique_ptr<e2e::Process>> clients;
    for (const std::string& site : network.sites()) {
      clients.push_back(std::make_unique<e2e::Process>(
          e2e::Process::Options{{self_, "--plan", options_.plan, "echo", site,
                                 fmt::format("127.0.0.1:{}", port), std::to_string(part)},
                                {},
                                network.scratch().path(),
                                network.scratch() / "echo.log",
                                network.scratch() / "echo.log"}));
    }
    service.WaitForAll();
    std::vector<std::pair<std::size_t, std::int64_t>> stamps{{0, 0}};
    std::map<std::int64_t, std::size_t> count, seen;
    for (const std::int64_t bytes : plan_.bytes) ++count[bytes];
    std::map<std::int64_t, std::vector<double>> ms;
    for (const std::int64_t bytes : plan_.bytes) {
      const double took = static_cast<double>(service.Round(bytes, part)) / 1e6;
      if (seen[bytes]++ >= std::max<std::size_t>(1, count[bytes] / 10)) ms[bytes].push_back(took);
    }
    service.End();
    clients.clear();
    server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
    return ms;
  }

  Options options_;
  std::string self_;
  Plan plan_;
  std::string stamps_file_;
};

int Main(int argc, char** argv) {
  CLI::App app("Rounds between processes beside a bare gRPC echo of the same bytes");
  app.fallthrough();
  Options options;
  std::string folder, listen, config, stamps, echo_site, echo_address;
  int health = 0;
  std::int64_t echo_part = 0;
  app.add_option("--sites", options.sites, "Hospitals")->capture_default_str();
  app.add_option("--plan", options.plan, "BYTESxROUNDS,...: of each site's answer")
      ->capture_default_str();
  app.add_flag("!--no-masks", options.masks, "Answers are not masked");
  app.add_flag("--faults", options.faults, "Kill and stop somebody; rounds are not compared");
  // What the fixture says to the real programs.
  app.add_option("--folder", folder)->group("");
  app.add_option("--config", config)->group("");
  app.add_option("--stamps", stamps)->group("");
  auto* serve = app.add_subcommand("serve")->group("");
  serve->add_option("--listen", listen);
  serve->add_option("--health-port", health);
  auto* run = app.add_subcommand("run")->group("");
  auto* echo = app.add_subcommand("echo")->group("");
  echo->add_option("SITE", echo_site);
  echo->add_option("ADDRESS", echo_address);
  echo->add_option("PART", echo_part);
  int exit_code = 0;
  if (!program::Parse(app, argc, argv, exit_code)) return exit_code;
  if (serve->parsed()) return Serve(folder, health, PlanOf(options.plan), stamps);
  if (run->parsed()) return RunSite(config, PlanOf(options.plan));
  if (echo->parsed()) {
    return EchoClient(echo_site, echo_address, PlanOf(options.plan), echo_part);
  }
  ::testing::GTEST_FLAG(throw_on_failure) = true;
  Bench bench(options, std::filesystem::read_symlink("/proc/self/exe").string());
  std::cout << bench.Run().dump(2) << "\n";
  return 0;
}

}  // namespace
}  // namespace consilium::bench

int main(int argc, char** argv) {
  return consilium::program::Run([&] { return consilium::bench::Main(argc, argv); });
}
