// A federation that lives for long: the same processes run one study after another, are frozen and
// cut off now and then, and at the end take no more memory, files and threads than in the middle. A
// site's ledger is in its memory and grows with what was asked: that much is allowed.
//
// CONSILIUM_SOAK_S sets how long (default 600 s: a study that ended stays open for one minute).
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

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

long Median(std::vector<long> values) {
  std::sort(values.begin(), values.end());
  return values.at(values.size() / 2);
}

// Medians of what was measured after the studies of one part of the run.
Holding MedianOf(const std::vector<Holding>& held, std::size_t from, std::size_t to) {
  std::vector<long> memory, files, threads, ledger;
  for (std::size_t i = from; i < to; ++i) {
    memory.push_back(held[i].resident_kib);
    files.push_back(held[i].files);
    threads.push_back(held[i].threads);
    ledger.push_back(held[i].ledger_kib);
  }
  return {Median(memory), Median(files), Median(threads), Median(ledger)};
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

TEST(NetworkSoak, NobodyTakesMoreAtTheEndThanInTheMiddle) {
  const char* asked = std::getenv("CONSILIUM_SOAK_S");
  const std::int64_t seconds = asked == nullptr ? 600 : std::atoll(asked);
  ASSERT_GT(seconds, 0);
  Rng rng(20261122, "soak");
  Network network;
  if (HasFatalFailure()) return;
  std::map<std::string, std::vector<Holding>> held;  // by process, after each study
  const std::int64_t until = program::MonotonicMs() + seconds * 1000;
  int studies = 0, frozen = 0;
  for (; program::MonotonicMs() < until || studies < 8; ++studies) {
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
    held["coordinator"].push_back(Of(network.coordinator().pid()));
    for (const std::string& site : network.sites())
      held[site].push_back(
          Of(network.site(site).pid(),
             std::filesystem::path(network.scratch().path()) / site / "state" / "ledger.bin"));
  }
  fmt::print(
      "{} studies in {} s, a site frozen {} times; medians after the second and the last quarter "
      "of them:\n",
      studies, seconds, frozen);
  for (const auto& [who, all] : held) {
    const std::size_t quarter = all.size() / 4;
    const Holding middle = MedianOf(all, quarter, 2 * quarter);
    const Holding last = MedianOf(all, all.size() - quarter, all.size());
    fmt::print(
        "  {:<12} {:>6} KiB {:>6} KiB   files {:>3} {:>3}   threads {:>3} {:>3}   "
        "ledger {:>6} KiB {:>6} KiB\n",
        who, middle.resident_kib, last.resident_kib, middle.files, last.files, middle.threads,
        last.threads, middle.ledger_kib, last.ledger_kib);
    // Text and sets of a record take about three times their bytes on the disk.
    const long ledger = 3 * (last.ledger_kib - middle.ledger_kib);
    EXPECT_LE(last.resident_kib, middle.resident_kib + ledger + 3 * 1024) << who;
    EXPECT_LE(last.files, middle.files + 2) << who;
    EXPECT_LE(last.threads, middle.threads + 2) << who;
  }
}

}  // namespace
}  // namespace consilium::e2e
