// The federation over a long and bad line, in a network namespace of its own.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>

#include "tests/e2e/bad_line.h"
#include "tests/e2e/network_fixture.h"

namespace consilium::e2e {
namespace {

#define CONSILIUM_LEAVE_THE_NETWORK()                                           \
  do {                                                                          \
    if (const std::string why = BadLine::LeaveTheNetwork(); !why.empty())       \
      GTEST_SKIP() << "skipped: " << why << "; run as root, with /dev/net/tun"; \
  } while (false)

NetworkOptions Over(NetworkOptions options) {
  options.host = BadLine::kThere;
  options.listen = BadLine::kHere;
  options.at_lead = options.at_sites = {{"no_proxy", "*"}};
  return options;
}

NetworkOptions Small() {
  NetworkOptions options;
  options.wait_seconds = 900;
  return options;
}

std::size_t CountOf(const std::string& text, const std::string& words) {
  std::size_t count = 0;
  for (std::size_t at = 0; (at = text.find(words, at)) != std::string::npos; at += words.size())
    ++count;
  return count;
}

// How often sites have connected.
std::size_t Connections(const Network& network) {
  std::size_t times = 0;
  for (const std::string& site : network.sites())
    times += CountOf(network.LogOf(site), "connected to Loopback");
  return times;
}

// One study from submission to its end over the line, and what it took.
void RunOver(const BadLine& line, Network& network, const std::string& name) {
  ASSERT_TRUE(network.Until([&] { return Connections(network) >= network.sites().size(); }));
  const std::size_t connections = Connections(network);
  const LineCounts before = line.counts();
  const auto began = std::chrono::steady_clock::now();
  ASSERT_NO_FATAL_FAILURE(network.Submit(name));
  const auto watch = network.Watch(name);
  ASSERT_EQ(watch->Exit(network.wait_seconds()), 0) << network.scratch().Read("watch-" + name);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const LineCounts after = line.counts();
  std::cout << fmt::format(
      "{:.1f} s; {} packets, {} bytes, {} packets lost; connected again {} times\n", took.count(),
      after.packets - before.packets, after.bytes - before.bytes, after.lost - before.lost,
      Connections(network) - connections);
  EXPECT_GT(after.lost, before.lost);
  network.ExpectSameBytes(name);
}

LineOptions Losing(double loss) {
  LineOptions line;
  line.loss = loss;
  line.delay_ms = 50;
  line.jitter_ms = 10;
  return line;
}

TEST(Line, ThatLosesTwoPacketsOfAHundredGivesTheSameBytes) {
  CONSILIUM_LEAVE_THE_NETWORK();
  const BadLine line(Losing(0.02));
  Network network(Over(Small()));
  if (HasFatalFailure()) return;
  RunOver(line, network, "small");
}

TEST(Line, ThatLosesEveryTenthPacketGivesTheSameBytes) {
  CONSILIUM_LEAVE_THE_NETWORK();
  const BadLine line(Losing(0.10));
  Network network(Over(Small()));
  if (HasFatalFailure()) return;
  RunOver(line, network, "small");
}

// 128 kbit/s for each hospital, and a deep queue: whatever is behind an answer comes seconds later,
// and nobody is taken for gone.
TEST(Line, ThatIsSlowAndQueuesGivesTheSameBytes) {
  CONSILIUM_LEAVE_THE_NETWORK();
  LineOptions slow = Losing(0.001);
  slow.bytes_per_s = 16'000;
  const BadLine line(slow);
  Network network(Over(Small()));
  if (HasFatalFailure()) return;
  RunOver(line, network, "small");
  EXPECT_EQ(Connections(network), network.sites().size());
}

// The demo sends 1 GB each way. What TCP gets through a line that loses grows with the size of its
// packets: large ones, or it takes an hour.
TEST(DemoOverALine, ThatLosesTwoPacketsOfAHundredGivesTheSameBytes) {
  CONSILIUM_LEAVE_THE_NETWORK();
  const Scratch scratch;
  LineOptions large = Losing(0.02);
  large.mtu = 9'000;
  const BadLine line(large);
  Network network(Over(OptionsFor(WriteDemo(scratch), 3600)));
  if (HasFatalFailure()) return;
  RunOver(line, network, "demo");
}

}  // namespace
}  // namespace consilium::e2e
