// A federation as hospitals run it: real processes, real gRPC, mutual TLS on loopback.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/rng.h"
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
}

TEST(Network, KilledAtRandomMomentsItGivesTheSameBytes) {
  const char* asked = std::getenv("CONSILIUM_KILLS");
  const int kills_wanted = asked == nullptr ? 12 : std::atoi(asked);
  ASSERT_GT(kills_wanted, 0);
  Rng rng(20260104, "kills");
  Network network;
  if (HasFatalFailure()) return;
  int kills = 0, coordinator_kills = 0;
  // A study that ends before enough was killed is followed by another.
  for (int number = 1; kills < kills_wanted; ++number) {
    const std::string name = fmt::format("small-{}", number);
    SCOPED_TRACE(fmt::format("{}, after {} kills", name, kills));
    ASSERT_NO_FATAL_FAILURE(network.Submit(name, 20 + number));
    const auto ended = [&] {
      const std::string state = network.StateOf(name);
      return state == "finished" || state == "failed" || state == "cancelled";
    };
    while (kills < kills_wanted && !ended()) {
      // A random moment: after so many times that somebody wrote something.
      std::uint64_t writes = rng.Below(12);
      ASSERT_TRUE(network.Until([&] { return writes-- == 0 || ended(); }));
      const auto whom = rng.Below(network.sites().size() + 1);
      if (whom < network.sites().size()) {
        const std::string& site = network.sites()[whom];
        ASSERT_TRUE(network.site(site).Running()) << network.LogOf(site);
        network.site(site).Kill();
        network.StartSite(site);
      } else {
        ASSERT_TRUE(network.coordinator().Running()) << network.scratch().Read("coordinator.log");
        network.coordinator().Kill();
        network.StartCoordinator();
        ++coordinator_kills;
      }
      ++kills;
    }
    ASSERT_TRUE(network.Until(ended, 2 * kWaitSeconds))
        << network.scratch().Read("coordinator.log");
    ASSERT_EQ(network.StateOf(name), "finished");
    // The last kill may have been the coordinator's: let it listen again.
    ASSERT_TRUE(network.Until([&] { return network.Anna({"study", "list"}).exit_code == 0; }));
    ASSERT_NO_FATAL_FAILURE(network.ExpectSameBytes(name));
  }
  RecordProperty("coordinator_kills", coordinator_kills);
  EXPECT_GT(coordinator_kills, 0);
  EXPECT_LT(coordinator_kills, kills);
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
