#include "extraction/worker_pool.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace consilium::extraction {
namespace {

// A shell as worker: says "done" to each request, and does what the request says before.
struct PoolRun {
  std::map<std::size_t, std::string> said, died;

  Result<void> Go(const std::vector<std::string>& requests, int processes, int seconds_max = 0,
                  std::uint64_t memory_bytes = 0) {
    PoolOptions options;
    options.command = {"/bin/sh", "-c", "while read -r line; do eval \"$line\"; echo done; done"};
    options.processes = processes;
    options.request_seconds_max = seconds_max;
    options.memory_bytes = memory_bytes;
    PoolEvents events;
    std::size_t next = 0;
    events.next = [&]() -> std::optional<std::string> {
      if (next == requests.size()) return std::nullopt;
      return requests[next++];
    };
    events.on_line = [&](std::size_t number,
                         std::string_view line) -> Result<std::optional<std::string>> {
      if (line == "done") return std::optional<std::string>();
      if (line == "ask") return std::string("an answer");
      said[number] += line;
      return std::string();
    };
    events.on_death = [&](std::size_t number, const std::string& how) -> Result<void> {
      died[number] = how;
      return {};
    };
    events.stopped = [] { return false; };
    return RunPool(options, events);
  }
};

TEST(WorkerPool, EveryRequestIsAnsweredWhateverTheNumberOfProcesses) {
  std::vector<std::string> requests;
  for (int i = 0; i < 40; ++i) requests.push_back("echo " + std::to_string(i * i));
  for (const int processes : {1, 2, 7}) {
    PoolRun run;
    ASSERT_TRUE(run.Go(requests, processes).has_value());
    ASSERT_EQ(run.said.size(), 40U);
    for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(run.said[i], std::to_string(i * i));
    EXPECT_TRUE(run.died.empty());
  }
}

TEST(WorkerPool, ADeathCostsItsRequestAlone) {
  PoolRun run;
  ASSERT_TRUE(
      run.Go({"echo a", "kill -SEGV $$", "echo no room >&2; exit 3", "echo b"}, 1).has_value());
  EXPECT_EQ(run.said[0], "a");
  EXPECT_EQ(run.said[3], "b");
  ASSERT_EQ(run.died.size(), 2U);
  EXPECT_NE(run.died[1].find("signal 11"), std::string::npos) << run.died[1];
  EXPECT_NE(run.died[2].find("exit code 3"), std::string::npos) << run.died[2];
  EXPECT_NE(run.died[2].find("no room"), std::string::npos) << run.died[2];
}

TEST(WorkerPool, AQuestionIsAnsweredInBetween) {
  PoolRun run;
  ASSERT_TRUE(run.Go({"echo ask; read -r it; echo \"got $it\""}, 2).has_value());
  EXPECT_EQ(run.said[0], "got an answer");
}

TEST(WorkerPool, ARequestThatTakesTooLongIsKilled) {
  PoolRun run;
  ASSERT_TRUE(run.Go({"sleep 1000", "echo a"}, 1, 1).has_value());
  EXPECT_NE(run.died[0].find("longer than 1 s"), std::string::npos) << run.died[0];
  EXPECT_EQ(run.said[1], "a");
}

TEST(WorkerPool, AProgramThatIsNotThereIsToldForEachRequest) {
  PoolOptions options;
  options.command = {"/nowhere/at-all"};
  int deaths = 0, asked = 0;
  PoolEvents events;
  events.next = [&]() -> std::optional<std::string> {
    return asked++ < 3 ? std::optional<std::string>("x") : std::nullopt;
  };
  events.on_line = [](std::size_t, std::string_view) { return std::optional<std::string>(); };
  events.on_death = [&](std::size_t, const std::string& how) -> Result<void> {
    EXPECT_NE(how.find("exit code 127"), std::string::npos) << how;
    ++deaths;
    return {};
  };
  events.stopped = [] { return false; };
  ASSERT_TRUE(RunPool(options, events).has_value());
  EXPECT_EQ(deaths, 3);
}

}  // namespace
}  // namespace consilium::extraction
