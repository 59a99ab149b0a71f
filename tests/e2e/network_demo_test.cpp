// The demo's study over the network: the bytes of one process, whoever is killed, wherever it is
// cut.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/e2e/cutting_proxy.h"
#include "tests/e2e/network_fixture.h"

namespace consilium::e2e {
namespace {

constexpr int kSeconds = 1800;  // for one study, on a machine that does other things too

TEST(Demo, GivesTheBytesOfOneProcess) {
  const Scratch scratch;
  Network network(OptionsFor(WriteDemo(scratch), kSeconds));
  if (HasFatalFailure()) return;
  ASSERT_NO_FATAL_FAILURE(network.Submit("demo"));
  ASSERT_EQ(network.Watch("demo")->Exit(kSeconds), 0) << network.scratch().Read("watch-demo");
  network.ExpectSameBytes("demo");
}

TEST(Demo, KilledAtRandomMomentsGivesTheSameBytes) {
  const Scratch scratch;
  Network network(OptionsFor(WriteDemo(scratch), kSeconds));
  if (HasFatalFailure()) return;
  Kills kills;
  ASSERT_NO_FATAL_FAILURE(KillAtRandom(network, "demo", KillsWanted(200), KillsSeed(1), kills));
  EXPECT_GT(kills[kCoordinator], 0);
}

TEST(Demo, CutInTheMiddleOfAnswersAndRecordsGivesTheSameBytes) {
  const Scratch scratch;
  CuttingProxy proxy(KillsSeed(1));
  NetworkOptions options = OptionsFor(WriteDemo(scratch), kSeconds);
  options.site_network = fmt::format("{{proxy: \"http://127.0.0.1:{}\"}}", proxy.port());
  Network network(options);
  if (HasFatalFailure()) return;
  const ProxyCounts start = proxy.counts();
  ASSERT_NO_FATAL_FAILURE(network.Submit("whole"));
  ASSERT_EQ(network.Watch("whole")->Exit(kSeconds), 0) << network.scratch().Read("watch-whole");
  const ProxyCounts whole = proxy.counts() - start;
  // Anywhere in so many bytes as a site says, or hears, in two rounds of the fifty.
  constexpr int kCuts = 100;
  const std::uint64_t parts = 25 * network.sites().size();
  proxy.Begin({kCuts, {0, whole.up / parts}, {0, whole.down / parts}});
  ASSERT_NO_FATAL_FAILURE(network.Submit("cut"));
  ASSERT_EQ(network.Watch("cut")->Exit(kSeconds), 0) << network.scratch().Read("watch-cut");
  const ProxyCounts cut = proxy.counts() - start - whole;
  std::cout << fmt::format("whole: {}\ncut:   {}\n", ToText(whole), ToText(cut));
  EXPECT_EQ(cut.cuts_up + cut.cuts_down, static_cast<std::uint64_t>(kCuts));
  network.ExpectSameBytes("cut");
}

}  // namespace
}  // namespace consilium::e2e
