// A federation as hospitals run it: real processes, real gRPC, mutual TLS on loopback.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/e2e/network_fixture.h"

namespace consilium::e2e {
namespace {

using Json = nlohmann::json;

void ExpectSays(const std::string& text, const std::string& words) {
  EXPECT_NE(text.find(words), std::string::npos) << "'" << words << "' is not in: " << text;
}

TEST(Network, GivesTheBytesOfOneProcess) {
  Network network;
  if (HasFatalFailure()) return;
  ASSERT_NO_FATAL_FAILURE(network.Submit("small"));
  const auto watch = network.Watch("small");
  ASSERT_EQ(watch->Exit(), 0) << network.scratch().Read("watch-small");
  network.ExpectSameBytes("small");
  for (const std::string& site : network.sites()) {
    const auto last = [&] { return network.AtSite(site, {"ledger", "--last", "1"}).out; };
    EXPECT_TRUE(network.Until([&] {
      return last().find("The study 'small' is over here (finished") != std::string::npos;
    })) << site
        << ": " << last();
  }
}

TEST(Network, KilledAtRandomMomentsItGivesTheSameBytes) {
  Network network;
  if (HasFatalFailure()) return;
  const int wanted = KillsWanted(12);
  Kills kills;
  ASSERT_NO_FATAL_FAILURE(KillAtRandom(network, "small", wanted, KillsSeed(20260104), kills));
  EXPECT_GT(kills[kCoordinator], 0);
  EXPECT_LT(kills[kCoordinator], wanted);
}

TEST(Network, ASiteThatAsksWaitsForAPersonAndMaySayNo) {
  NetworkOptions options;
  options.asks = {"east"};
  Network network(options);
  if (HasFatalFailure()) return;
  const auto state = [&](const std::string& study) -> std::string {
    const Json json =
        Json::parse(network.AtSite("east", {"studies", "--json"}).out, nullptr, false);
    for (const Json& one : json.value("studies", Json::array())) {
      if (one.value("name", "") == study) return one.value("state", "");
    }
    return "not offered";
  };
  ASSERT_NO_FATAL_FAILURE(network.Submit("first"));
  auto watch = network.Watch("first");
  ASSERT_TRUE(network.Until([&] { return state("first") == "waiting"; })) << state("first");
  EXPECT_TRUE(watch->Running());
  const Told approved = network.AtSite("east", {"approve", "first"});
  ASSERT_EQ(approved.exit_code, 0) << approved.err;
  ASSERT_EQ(watch->Exit(), 0) << network.scratch().Read("watch-first");
  EXPECT_TRUE(network.Until([&] { return state("first") == "finished"; })) << state("first");
  network.ExpectSameBytes("first");

  ASSERT_NO_FATAL_FAILURE(network.Submit("second", 21));
  watch = network.Watch("second");
  ASSERT_TRUE(network.Until([&] { return state("second") == "waiting"; })) << state("second");
  ASSERT_EQ(network.AtSite("east", {"reject", "second", "--reason", "a private matter"}).exit_code,
            0);
  EXPECT_EQ(watch->Exit(), 1);
  const Told list = network.Anna({"study", "list", "--json"});
  ExpectSays(list.out, "site east rejected the study");
  // The person's reason stays in the hospital.
  for (const std::string& text : {list.out, network.scratch().Read("watch-second"),
                                  network.scratch().Read("coordinator.log")})
    EXPECT_EQ(text.find("a private matter"), std::string::npos) << text;
}

}  // namespace
}  // namespace consilium::e2e
