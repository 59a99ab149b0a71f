// A federation of real processes on one machine: one coordinator, a lead, and the hospitals of
// small_study.h or of a study on disk, in a folder that is removed at the end.
//
// Every wait is for a condition and has a limit. Every child is killed and reaped by its owner, and
// dies with the test (PR_SET_PDEATHSIG) when that is killed itself.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/e2e/console_fixture.h"
#include "tests/support/small_study.h"

namespace grpc {
class Channel;
}

namespace consilium::e2e {

inline constexpr int kWaitSeconds = 60;

// One child; what it says goes to two files, which are added to.
class Process {
 public:
  struct Options {
    std::vector<std::string> command;
    std::map<std::string, std::string> environment;  // added to the test's own
    std::string folder, out, err;                    // where it runs; its output
  };
  explicit Process(const Options& options);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool Running();
  // Waits for its end: the exit code, -1 after a signal, nothing when the time is over.
  [[nodiscard]] std::optional<int> Exit(int seconds = kWaitSeconds);
  // SIGKILL, and reaped.
  void Kill();

 private:
  pid_t pid_ = -1;
  std::optional<int> code_;
};

// PEMs with which somebody dials; empty key: no client certificate.
struct Credentials {
  std::string authority, key, certificate;
};

// A study whose files stand somewhere: study.yaml and SITE.yaml in `folder`; tables below `data`.
struct StudyOnDisk {
  std::string folder, data;
  std::vector<std::string> sites;
};
// `consilium demo`, written into `scratch`.
[[nodiscard]] StudyOnDisk WriteDemo(const Scratch& scratch);

struct NetworkOptions {
  std::vector<std::string> asks;  // sites that wait for a person's word; the others follow the lead
  std::vector<testing::SmallHospital> hospitals = testing::SmallHospitals();
  std::optional<StudyOnDisk> study;  // instead of the small one and its hospitals
  std::string policy;  // more of what sites that follow the lead allow: "allow_public_data: true"
  // What serves and what runs at a site, with the arguments that come before the program's own.
  std::vector<std::string> serve = {CONSILIUM_COORDINATOR_BINARY};
  std::vector<std::string> run = {CONSILIUM_SITE_BINARY};
  std::vector<std::string> serve_options;  // of `serve` itself: "--stall", "1"
  std::string host = "127.0.0.1";          // at which sites and the lead dial
  std::string listen = "127.0.0.1";
  std::string site_network = "{proxy: none}";   // `network:` of site.yaml
  std::map<std::string, std::string> at_sites;  // environment of what runs there
  std::map<std::string, std::string> at_lead;   // of the lead's console
  int wait_seconds = kWaitSeconds;              // for the end of a program or a study
};
// For the study on disk, which needs more: nobody is asked, and nobody waits in vain.
[[nodiscard]] NetworkOptions OptionsFor(StudyOnDisk study, int wait_seconds);

class Network {
 public:
  // Makes everything and starts the coordinator and all agents. A fatal failure of the test if
  // something does not start.
  explicit Network(NetworkOptions options = {}) : options_(std::move(options)) { Start(); }

  [[nodiscard]] const Scratch& scratch() const { return scratch_; }
  [[nodiscard]] const std::vector<std::string>& sites() const { return sites_; }
  [[nodiscard]] int work_port() const { return ports_[0]; }
  [[nodiscard]] int enrol_port() const { return ports_[1]; }
  [[nodiscard]] int health_port() const { return ports_[2]; }

  // A program run to its end. Anna is the lead.
  [[nodiscard]] Told Anna(const std::vector<std::string>& arguments);
  [[nodiscard]] Told AtSite(const std::string& site, const std::vector<std::string>& arguments);
  // One that is followed: `study watch` of the lead.
  [[nodiscard]] std::unique_ptr<Process> Watch(const std::string& study);

  // Looks at `condition` now and whenever a file of the federation is written, until it holds;
  // false: it did not within the time.
  [[nodiscard]] bool Until(const std::function<bool()>& condition,
                           int seconds = kWaitSeconds) const;

  // site.yaml in folder SITE, or in `folder`.
  void WriteSite(const std::string& site, bool asks, const std::string& folder = "");
  [[nodiscard]] std::string Invite(const std::string& site);
  void StartCoordinator();
  void StartSite(const std::string& site);
  [[nodiscard]] Process& coordinator() { return *coordinator_; }
  [[nodiscard]] Process& site(const std::string& name) { return *agents_.at(name); }
  [[nodiscard]] std::string LogOf(const std::string& site) const;
  [[nodiscard]] bool Connected(const std::string& site);

  [[nodiscard]] int wait_seconds() const { return options_.wait_seconds; }

  // The study with this name, submitted by the lead; the small one with this seed.
  void Submit(const std::string& name, int seed = 20);
  // "running", "finished", ...; read from the coordinator's folder, whether it runs or not.
  [[nodiscard]] std::string StateOf(const std::string& study);
  // Fetches the ended study and holds it against `consilium simulate` of the same files.
  void ExpectSameBytes(const std::string& name);

  [[nodiscard]] Credentials Of(const std::string& member) const;
  // A connection of its own, shared with no other.
  [[nodiscard]] std::shared_ptr<grpc::Channel> Dial(const Credentials& credentials) const;

 private:
  void Start();
  void AddSite(const std::string& site);
  [[nodiscard]] Told Run(const std::vector<std::string>& command,
                         std::map<std::string, std::string> environment = {});

  NetworkOptions options_;
  Scratch scratch_;
  std::vector<std::string> sites_;
  std::vector<int> ports_ = {0, 0, 0};  // work, enrolment, health
  std::string lead_key_;
  std::unique_ptr<Process> coordinator_;
  std::map<std::string, std::unique_ptr<Process>> agents_;
};

// Who was killed how often.
using Kills = std::map<std::string, int>;
inline constexpr char kCoordinator[] = "the coordinator";
// Kills the coordinator or an agent, drawn by `seed`, at `wanted` random moments of studies
// NAME-1, NAME-2, ..., as many as that takes; starts each again at once; holds every study against
// `consilium simulate`, and prints who was killed. A fatal failure if anything is not as it was.
void KillAtRandom(Network& network, const std::string& name, int wanted, std::uint64_t seed,
                  Kills& kills);
// CONSILIUM_KILLS and CONSILIUM_KILLS_SEED, or these.
[[nodiscard]] int KillsWanted(int otherwise);
[[nodiscard]] std::uint64_t KillsSeed(std::uint64_t otherwise);

}  // namespace consilium::e2e
