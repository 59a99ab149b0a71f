// Six real cohorts over the network: the bytes of one process, whoever is killed.
#include <gtest/gtest.h>

#include "tests/e2e/network_fixture.h"
#include "tests/support/reference_data.h"

namespace consilium::e2e {
namespace {

constexpr int kSeconds = 3600;

StudyOnDisk Lung6() {
  return {std::string(CONSILIUM_SOURCE_DIR) + "/deploy/studies/lung6",
          testing_support::Shared("data/lung6"),
          {"HarvardRT", "Radboud", "Maastro", "Moffitt", "MUMC", "M-SPORE"}};
}

TEST(Lung6, GivesTheBytesOfOneProcess) {
  CONSILIUM_NEEDS_SHARED("data/lung6/MUMC.csv");
  Network network(OptionsFor(Lung6(), kSeconds));
  if (HasFatalFailure()) return;
  ASSERT_NO_FATAL_FAILURE(network.Submit("lung6"));
  ASSERT_EQ(network.Watch("lung6")->Exit(kSeconds), 0) << network.scratch().Read("watch-lung6");
  network.ExpectSameBytes("lung6");
}

TEST(Lung6, KilledAtRandomMomentsGivesTheSameBytes) {
  CONSILIUM_NEEDS_SHARED("data/lung6/MUMC.csv");
  Network network(OptionsFor(Lung6(), kSeconds));
  if (HasFatalFailure()) return;
  Kills kills;
  ASSERT_NO_FATAL_FAILURE(KillAtRandom(network, "lung6", KillsWanted(200), KillsSeed(1), kills));
  EXPECT_GT(kills[kCoordinator], 0);
}

}  // namespace
}  // namespace consilium::e2e
