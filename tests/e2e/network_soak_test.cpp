// A federation that lives for long: the same processes run one study after another, are frozen and
// cut off now and then, and at the end take no more memory, files and threads than in the middle.
//
// CONSILIUM_SOAK_S sets how long (default 600 s), CONSILIUM_SOAK_REST_S how long everybody rests
// after each study (default 0 s).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "base/rng.h"
#include "program/program.h"
#include "tests/e2e/network_fixture.h"

namespace consilium::e2e {
namespace {

struct Holding {
  long resident_kib = 0, files = 0, threads = 0, ledger_kib = 0;
};

long Field(const std::string& status, const std::string& name) {
  const auto at = status.find(name);
  return at == std::string::npos ? 0 : std::stol(status.substr(at + name.size()));
}

Holding Of(pid_t pid, const std::filesystem::path& ledger = {}) {
  std::ifstream in(fmt::format("/proc/{}/status", pid));
  const std::string status((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const std::filesystem::directory_iterator files(fmt::format("/proc/{}/fd", pid));
  return {Field(status, "VmRSS:"), std::distance(begin(files), end(files)),
          Field(status, "Threads:"),
          ledger.empty() ? 0 : static_cast<long>(std::filesystem::file_size(ledger) / 1024)};
}

// As the lead is shown it.
bool IsConnected(Network& network, const std::string& site) {
  const Told told = network.Anna({"site", "list", "--json"});
  const auto at = told.out.find(fmt::format("\"name\":\"{}\"", site));
  EXPECT_NE(at, std::string::npos) << told.out << told.err;
  const std::string word = "\"connected\":";
  return at != std::string::npos &&
         told.out.compare(told.out.find(word, at) + word.size(), 4, "true") == 0;
}

std::int64_t SecondsOf(const char* variable, std::int64_t otherwise) {
  const char* asked = std::getenv(variable);
  return asked == nullptr ? otherwise : std::atoll(asked);
}

TEST(NetworkSoak, NobodyTakesMoreAtTheEndThanInTheMiddle) {
  const std::int64_t seconds = SecondsOf("CONSILIUM_SOAK_S", 600);
  const auto rest = static_cast<int>(SecondsOf("CONSILIUM_SOAK_REST_S", 0));
  ASSERT_GT(seconds, 0);
  Rng rng(20261122, "soak");
  Network network;
  if (HasFatalFailure()) return;
  // What everybody holds when the studies that ended are closed: that takes ten seconds, and
  // nothing says when.
  const auto settled = [&] {
    (void)network.Until([] { return false; }, 20);
    std::map<std::string, Holding> held{{"coordinator", Of(network.coordinator().pid())}};
    for (const std::string& site : network.sites()) {
      held[site] = Of(network.site(site).pid(), std::filesystem::path(network.scratch().path()) /
                                                    site / "state" / "ledger.bin");
    }
    return held;
  };
  int studies = 0, frozen = 0;
  const auto run_for = [&](std::int64_t ms) {
    const std::int64_t until = program::MonotonicMs() + ms;
    for (int least = 0; program::MonotonicMs() < until || least < 5; ++studies, ++least) {
      const std::string name = fmt::format("soak-{}", studies);
      SCOPED_TRACE(name);
      ASSERT_NO_FATAL_FAILURE(network.Submit(name, 20 + studies % 7));
      const auto watch = network.Watch(name);
      if (studies % 5 == 3) {
        // Long enough that the coordinator gives it up: it comes back over a new connection.
        const std::string& site = network.sites()[rng.Below(network.sites().size())];
        ASSERT_EQ(::kill(network.site(site).pid(), SIGSTOP), 0);
        EXPECT_TRUE(network.Until([&] { return !IsConnected(network, site); })) << site;
        ASSERT_EQ(::kill(network.site(site).pid(), SIGCONT), 0);
        EXPECT_TRUE(network.Until([&] { return IsConnected(network, site); })) << site;
        ++frozen;
      }
      ASSERT_EQ(watch->Exit(120), 0) << network.scratch().Read("watch-" + name);
      if (rest > 0) (void)network.Until([] { return false; }, rest);
    }
  };
  ASSERT_NO_FATAL_FAILURE(run_for(seconds * 500));
  const auto middle = settled();
  ASSERT_NO_FATAL_FAILURE(run_for(seconds * 500));
  const auto last = settled();
  fmt::print("{} studies in {} s, a site frozen {} times; in the middle and at the end:\n", studies,
             seconds, frozen);
  for (const auto& [who, before] : middle) {
    const Holding& after = last.at(who);
    fmt::print(
        "  {:<12} {:>6} KiB {:>6} KiB   files {:>3} {:>3}   threads {:>3} {:>3}   "
        "ledger {:>6} KiB {:>6} KiB\n",
        who, before.resident_kib, after.resident_kib, before.files, after.files, before.threads,
        after.threads, before.ledger_kib, after.ledger_kib);
    EXPECT_LE(after.resident_kib, before.resident_kib + 3 * 1024) << who;
    EXPECT_LE(after.files, before.files + 2) << who;
    EXPECT_LE(after.threads, before.threads + 2) << who;
  }
}

}  // namespace
}  // namespace consilium::e2e
