// Connections that break in the middle of something, and a coordinator that goes and comes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/e2e/cutting_proxy.h"
#include "tests/e2e/network_fixture.h"

namespace consilium::e2e {
namespace {

using Json = nlohmann::json;

TEST(CutConnection, InTheMiddleOfAnswersAndRecordsTheStudyEndsWithTheSameBytes) {
  CuttingProxy proxy(20261122);
  NetworkOptions options;
  options.site_network = fmt::format("{{proxy: \"http://127.0.0.1:{}\"}}", proxy.port());
  options.at_sites = {{"no_proxy", "127.0.0.1"}};  // what site.yaml says goes before
  Network network(options);
  if (HasFatalFailure()) return;
  const ProxyCounts start = proxy.counts();
  ASSERT_GE(start.connections, 4U) << "the sites do not go through their proxy";
  ASSERT_NO_FATAL_FAILURE(network.Submit("whole"));
  ASSERT_EQ(network.Watch("whole")->Exit(), 0) << network.scratch().Read("watch-whole");
  const ProxyCounts whole = proxy.counts() - start;

  // Somewhere in a quarter of what a site says, or hears, in the whole study.
  constexpr int kCuts = 8;
  proxy.Begin({kCuts, {0, whole.up / 16}, {0, whole.down / 16}});
  ASSERT_NO_FATAL_FAILURE(network.Submit("cut"));
  ASSERT_EQ(network.Watch("cut")->Exit(), 0) << network.scratch().Read("watch-cut");
  const ProxyCounts cut = proxy.counts() - start - whole;
  std::cout << fmt::format("whole: {}\ncut:   {}\n", ToText(whole), ToText(cut));
  EXPECT_EQ(cut.cuts_up + cut.cuts_down, static_cast<std::uint64_t>(kCuts));
  EXPECT_GT(cut.cuts_up, 0U);
  EXPECT_GT(cut.cuts_down, 0U);
  network.ExpectSameBytes("cut");
}

// What `study watch --json` has said so far.
std::vector<Json> Said(const Network& network, const std::string& study) {
  std::istringstream text(network.scratch().Read("watch-" + study));
  std::vector<Json> events;
  for (std::string line; std::getline(text, line);) {
    if (Json json = Json::parse(line, nullptr, false); json.is_object())
      events.push_back(std::move(json));
  }
  return events;
}

std::size_t CountOf(const std::vector<Json>& events, const std::string& event) {
  return static_cast<std::size_t>(std::count_if(events.begin(), events.end(), [&](const Json& one) {
    return one.value("event", "") == event;
  }));
}

// Whether a status says that this site's state is "waiting": for a person's word.
bool ShowsWaiting(const Json& status, const std::string& name) {
  for (const Json& site : status.value("sites", Json::array())) {
    if (site.value("site", "") == name) return site.value("state", "") == "waiting";
  }
  return false;
}

TEST(Watch, OutlivesItsCoordinatorAgainAndAgainAndSaysWhatItWaitsFor) {
  NetworkOptions options;
  options.asks = {"east"};
  Network network(options);
  if (HasFatalFailure()) return;
  ASSERT_NO_FATAL_FAILURE(network.Submit("long"));
  const auto watch = network.Watch("long");
  const auto waits_for_east = [&] {
    const auto events = Said(network, "long");
    return !events.empty() && ShowsWaiting(events.back(), "east");
  };
  ASSERT_TRUE(network.Until(waits_for_east)) << network.scratch().Read("watch-long");
  constexpr std::size_t kRestarts = 4;
  for (std::size_t restart = 1; restart <= kRestarts; ++restart) {
    SCOPED_TRACE(restart);
    network.coordinator().Kill();
    ASSERT_TRUE(network.Until([&] {
      return CountOf(Said(network, "long"), "disconnected") == restart;
    })) << network.scratch().Read("watch-long");
    network.StartCoordinator();
    // Nothing has changed meanwhile; it is said all the same.
    ASSERT_TRUE(network.Until(waits_for_east)) << network.scratch().Read("watch-long");
    ASSERT_TRUE(watch->Running());
  }
  ASSERT_EQ(network.AtSite("east", {"approve", "long"}).exit_code, 0);
  // Once more while it runs: after its first record.
  ASSERT_TRUE(network.Until([&] { return network.StateOf("long") != "offered"; }));
  network.coordinator().Kill();
  network.StartCoordinator();
  ASSERT_EQ(watch->Exit(), 0) << network.scratch().Read("watch-long");
  const Json last = Said(network, "long").back();
  EXPECT_EQ(last.value("event", ""), "ended") << last;
  EXPECT_EQ(last.value("state", ""), "finished") << last;
  EXPECT_FALSE(last.value("verdict", "").empty()) << last;
  network.ExpectSameBytes("long");
}

TEST(Watch, CutWhereverItIsItEndsWithTheVerdict) {
  CuttingProxy proxy(5);
  NetworkOptions options;
  options.at_lead = {{"grpc_proxy", fmt::format("http://127.0.0.1:{}", proxy.port())}};
  Network network(options);
  if (HasFatalFailure()) return;
  ASSERT_NO_FATAL_FAILURE(network.Submit("cut"));
  ASSERT_EQ(network.Watch("cut")->Exit(), 0) << network.scratch().Read("watch-cut");
  // What the console hears until it knows the study, and all that it hears of one that has ended:
  // its state, and the report with the verdict.
  const ProxyCounts before = proxy.counts();
  ASSERT_EQ(network.Anna({"study", "list"}).exit_code, 0);
  const ProxyCounts listed = proxy.counts() - before;
  ASSERT_EQ(network.Watch("cut")->Exit(), 0);
  const ProxyCounts once = proxy.counts() - before - listed;
  ASSERT_GT(once.down, listed.down);
  // Somewhere in three quarters of it: a cut in the last bytes, behind the verdict, is none.
  proxy.Begin({4, {}, {listed.down, listed.down + (once.down - listed.down) * 3 / 4}});
  ASSERT_EQ(network.Watch("cut")->Exit(), 0) << network.scratch().Read("watch-cut");
  EXPECT_EQ((proxy.counts() - before).cuts_down, 4U);
  EXPECT_EQ(CountOf(Said(network, "cut"), "disconnected"), 1U);
  const Json last = Said(network, "cut").back();
  EXPECT_EQ(last.value("event", ""), "ended") << last;
  EXPECT_FALSE(last.value("verdict", "").empty()) << last;
}

}  // namespace
}  // namespace consilium::e2e
