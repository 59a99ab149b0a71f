#include "coordinator/guard.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace consilium::coordinator {
namespace {

TEST(Guard, TellsAFewRefusalsThenOneNowAndThenWithTheirNumber) {
  Guard guard;
  for (int i = 0; i < kToldAtOnce; ++i)
    EXPECT_EQ(guard.Refuse("call", "north", "no", 5), "refused (call): north: no");
  EXPECT_EQ(guard.Refuse("call", "north", "no", 6), std::nullopt);
  EXPECT_EQ(guard.Refuse("call", "north", "no", 4 + kToldEachMs), std::nullopt);
  EXPECT_EQ(guard.Refuse("call", "north", "no", 5 + kToldEachMs),
            "refused (call): north: no (and 2 more like it)");
  // Of another kind, or by another, it is told at once.
  EXPECT_EQ(guard.Refuse("answer", "north", "no", 6), "refused (answer): north: no");
  EXPECT_EQ(guard.Refuse("call", "east", "no", 6), "refused (call): east: no");
  EXPECT_EQ(guard.Refused(),
            (std::map<std::string, std::uint64_t>{
                {"answer", 1}, {"call", static_cast<std::uint64_t>(kToldAtOnce) + 4}}));
}

TEST(Guard, ALineIsOneLineOfBoundedLengthWhateverItIsMadeOf) {
  Guard guard;
  const auto line = guard.Refuse("call", "no\nrth", "a\r\n\x1b[2J" + std::string(10'000, 'x'), 0);
  ASSERT_TRUE(line.has_value());
  EXPECT_TRUE(line->starts_with("refused (call): no?rth: a???[2Jxxx")) << *line;
  EXPECT_EQ(line->find_first_of("\r\n\x1b"), std::string::npos);
  EXPECT_LT(line->size(), 2 * kToldBytesMax + 100);
}

TEST(Guard, PointsAreSpentToTheLastAndComeBackWithTime) {
  Guard guard;
  EXPECT_TRUE(guard.Spend("north", kPointsMax, 1000).has_value());
  const auto spent = guard.Spend("north", 1, 1000);
  ASSERT_FALSE(spent.has_value());
  EXPECT_EQ(spent.error().code, ErrorCode::kResourceExhausted);
  EXPECT_TRUE(spent.error().message.starts_with("north asks faster than"));
  // Others are not touched by it.
  EXPECT_TRUE(guard.Spend("east", kPointsMax, 1000).has_value());
  EXPECT_TRUE(guard.Spend("north", kPointsPerSecond, 2000).has_value());
  EXPECT_FALSE(guard.Spend("north", 1, 2000).has_value());
  // Rest gives no more than what there is at rest.
  EXPECT_TRUE(guard.Spend("north", kPointsMax, 1'000'000).has_value());
  EXPECT_FALSE(guard.Spend("north", 1, 1'000'000).has_value());
}

TEST(Guard, WhoAsksForMoreThanIsLeftLosesTheRest) {
  Guard guard;
  EXPECT_TRUE(guard.Spend("north", kPointsMax - 10, 0).has_value());
  EXPECT_FALSE(guard.Spend("north", 11, 0).has_value());
  EXPECT_FALSE(guard.Spend("north", 1, 0).has_value());
}

TEST(Guard, AMemberHasSoManyOpenCallsAndNoMore) {
  Guard guard;
  for (int i = 0; i < kOpenCallsMax; ++i) EXPECT_TRUE(guard.Enter("north", 0).has_value());
  const auto refused = guard.Enter("north", 0);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_TRUE(guard.Enter("east", 0).has_value());
  guard.Leave("north");
  EXPECT_TRUE(guard.Enter("north", 0).has_value());
  EXPECT_FALSE(guard.Enter("north", 0).has_value());
}

TEST(Guard, NamesWithoutNumberTakeBoundedMemoryAndOpenCallsAreNotForgotten) {
  Guard guard;
  ASSERT_TRUE(guard.Enter("north", 0).has_value());
  for (int i = 0; i < 3 * static_cast<int>(kCallersMax); ++i) {
    (void)guard.Spend(fmt::format("stranger {}", i), 1, i);
    (void)guard.Refuse("call", fmt::format("stranger {}", i), "no", i);
  }
  EXPECT_LE(guard.remembered(), kCallersMax);
  for (int i = 1; i < kOpenCallsMax; ++i) EXPECT_TRUE(guard.Enter("north", 0).has_value());
  EXPECT_FALSE(guard.Enter("north", 0).has_value());
}

}  // namespace
}  // namespace consilium::coordinator
