#include "engine/mask_quality.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "engine/components.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

Mask EmptyMask(const std::array<int, 3>& size) {
  Mask mask{{size, {1, 2, 3}}, {}};
  mask.inside.resize(mask.grid.voxel_count());
  return mask;
}

void Fill(Mask& mask, const Box& box, std::uint8_t value = 1) {
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      for (int x = box.first[0]; x <= box.last[0]; ++x)
        mask.inside[mask.grid.Index(x, y, z)] = value;
    }
  }
}

Image Ramp(const Grid& grid) {
  Image image{grid, {}};
  for (std::size_t i = 0; i < grid.voxel_count(); ++i)
    image.values.Doubles().push_back(static_cast<double>(i % 97));
  return image;
}

std::vector<std::string> Abouts(const std::vector<Finding>& findings) {
  std::vector<std::string> abouts;
  for (const Finding& finding : findings) abouts.emplace_back(finding.about);
  return abouts;
}
using Words = std::vector<std::string>;

// Every voxel takes the lowest number among itself and its neighbours until nothing changes.
std::map<std::uint32_t, std::size_t> SlowComponents(const Mask& mask, int far) {
  const auto& size = mask.grid.size;
  std::vector<std::uint32_t> number(mask.inside.size());
  for (std::size_t i = 0; i < number.size(); ++i)
    number[i] = mask.inside[i] != 0 ? static_cast<std::uint32_t>(i + 1) : 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (int z = 0; z < size[2]; ++z) {
      for (int y = 0; y < size[1]; ++y) {
        for (int x = 0; x < size[0]; ++x) {
          std::uint32_t& mine = number[mask.grid.Index(x, y, z)];
          if (mine == 0) continue;
          for (int k = std::max(0, z - 1); k <= std::min(size[2] - 1, z + 1); ++k) {
            for (int j = std::max(0, y - 1); j <= std::min(size[1] - 1, y + 1); ++j) {
              for (int i = std::max(0, x - 1); i <= std::min(size[0] - 1, x + 1); ++i) {
                const std::uint32_t theirs = number[mask.grid.Index(i, j, k)];
                if (std::abs(i - x) + std::abs(j - y) + std::abs(k - z) > far || theirs == 0 ||
                    theirs >= mine) {
                  continue;
                }
                mine = theirs;
                changed = true;
              }
            }
          }
        }
      }
    }
  }
  std::map<std::uint32_t, std::size_t> sizes;
  for (const std::uint32_t one : number) {
    if (one != 0) ++sizes[one];
  }
  return sizes;
}

RC_GTEST_PROP(Components, AreThoseOfTheSlowWay, (std::uint32_t seed)) {
  const double density = *rc::gen::inRange(5, 60) / 100.0;
  const Mask mask = RandomRegion(seed, {9, 8, 7}, density).mask;
  for (const Touching touching : {Touching::kAtAll, Touching::kBySides}) {
    std::vector<std::size_t> slow;
    for (const auto& [first, size] : SlowComponents(mask, touching == Touching::kAtAll ? 3 : 1)) {
      slow.push_back(size);  // in order of first voxels
    }
    const Components fast = ComponentsOf(mask, touching);
    RC_ASSERT(fast.voxels == slow);
    std::vector<std::size_t> labelled(slow.size() + 1);
    for (std::size_t i = 0; i < mask.inside.size(); ++i) {
      RC_ASSERT((fast.label[i] != 0) == (mask.inside[i] != 0));
      ++labelled[fast.label[i]];
    }
    labelled.erase(labelled.begin());
    RC_ASSERT(labelled == slow);
  }
}

TEST(Components, TheLargestIsKeptTheFirstOfEqualOnes) {
  Mask mask = EmptyMask({9, 5, 5});
  Fill(mask, {{0, 0, 0}, {1, 1, 1}, false});
  Fill(mask, {{4, 0, 0}, {5, 1, 1}, false});
  Fill(mask, {{8, 4, 4}, {8, 4, 4}, false});
  Mask first = EmptyMask({9, 5, 5});
  Fill(first, {{0, 0, 0}, {1, 1, 1}, false});
  EXPECT_EQ(LargestComponent(mask).inside, first.inside);
  EXPECT_EQ(LargestComponent(first).inside, first.inside);
  EXPECT_EQ(LargestComponent(EmptyMask({3, 3, 3})).inside, EmptyMask({3, 3, 3}).inside);
}

TEST(Components, AHoleIsWhatNoPathOfSidesLeads) {
  Mask mask = EmptyMask({5, 5, 5});
  Fill(mask, {{1, 1, 1}, {3, 3, 3}, false});
  mask.inside[mask.grid.Index(2, 2, 2)] = 0;
  EXPECT_EQ(HolesOf(mask), (std::vector<std::size_t>{1}));
  mask.inside[mask.grid.Index(1, 1, 2)] = 0;  // an edge: still closed
  EXPECT_EQ(HolesOf(mask), (std::vector<std::size_t>{1}));
  mask.inside[mask.grid.Index(2, 1, 2)] = 0;  // a side: open
  EXPECT_TRUE(HolesOf(mask).empty());
}

TEST(MaskQuality, OfAGoodRegionFindsNothing) {
  Mask mask = EmptyMask({8, 8, 8});
  Fill(mask, {{2, 2, 2}, {5, 5, 5}, false});
  EXPECT_TRUE(CheckRegion(Ramp(mask.grid), mask, {100, 1000, 4}).empty());
}

TEST(MaskQuality, SaysWhatIsWrongWithARegion) {
  Mask mask = EmptyMask({8, 8, 8});
  EXPECT_EQ(Abouts(CheckRegion(Ramp(mask.grid), mask)), Words{"empty"});
  Fill(mask, {{2, 2, 2}, {2, 2, 2}, false});
  EXPECT_EQ(Abouts(CheckRegion(Ramp(mask.grid), mask)), Words{"one_voxel"});

  Fill(mask, {{0, 2, 0}, {7, 6, 4}, false});
  Fill(mask, {{3, 4, 2}, {4, 4, 2}, false}, 0);
  Fill(mask, {{0, 2, 3}, {7, 6, 3}, false}, 0);
  Image image = Ramp(mask.grid);
  const auto findings = CheckRegion(image, mask, {{}, 100, 5});
  EXPECT_EQ(Abouts(findings), (Words{"border", "components", "volume", "slices"}));
  EXPECT_NE(findings[0].sentence.find("(first x, last x, first z)"), std::string::npos);
  EXPECT_NE(findings[1].sentence.find("2 parts of 118, 40 voxels"), std::string::npos);
  EXPECT_NE(findings[2].sentence.find("is 948 mm3, expected at most 100 mm3"), std::string::npos);
  EXPECT_NE(findings[3].sentence.find("on 4 slices, 1 between them are empty; expected 5"),
            std::string::npos);
  for (const Finding& finding : findings) EXPECT_EQ(finding.severity, Severity::kWarning);

  image.values.Doubles()[mask.grid.Index(3, 3, 1)] = std::numeric_limits<double>::quiet_NaN();
  const auto damaged = CheckRegion(image, mask);
  EXPECT_EQ(damaged.back().about, "not_finite");
  EXPECT_NE(damaged.back().sentence.find("1 of the region's 158 intensities"), std::string::npos);
  EXPECT_EQ(Name(damaged.back().severity), "error");
  EXPECT_EQ(CheckRegion({mask.grid, std::vector<double>(512, 4)}, mask).back().about, "flat");
}

TEST(MaskQuality, NotesHolesAndSmallVolumes) {
  Mask mask = EmptyMask({8, 8, 8});
  Fill(mask, {{2, 2, 2}, {6, 6, 6}, false});
  Fill(mask, {{4, 4, 4}, {5, 4, 4}, false}, 0);
  const auto findings = CheckRegion(Ramp(mask.grid), mask, {1000, {}, 1});
  EXPECT_EQ(Abouts(findings), (Words{"holes", "volume"}));
  EXPECT_EQ(findings[0].sentence, "the region encloses 1 hole of 2 voxels");
  EXPECT_EQ(Name(findings[0].severity), "note");
  EXPECT_NE(findings[1].sentence.find("at least 1000 mm3"), std::string::npos);
}

TEST(MaskQuality, ASliceHasNoBorderAcrossIt) {
  Mask mask = EmptyMask({8, 8, 1});
  Fill(mask, {{2, 2, 0}, {5, 5, 0}, false});
  EXPECT_TRUE(CheckRegion(Ramp(mask.grid), mask).empty());
  const auto other = CheckRegion(Ramp({{8, 8, 2}, {1, 2, 3}}), mask);
  EXPECT_EQ(Abouts(other), Words{"grid"});
}

TEST(MaskQuality, WarnsBelowEightLevelsAndAbove256) {
  const auto of = [](int different, int count) {
    GreyLevels levels;
    for (int i = 1; i <= different; ++i) levels.levels.push_back(static_cast<std::uint16_t>(i));
    levels.count = count;
    return CheckLevels(levels);
  };
  EXPECT_EQ(of(7, 7)->about, "few_levels");
  EXPECT_EQ(of(7, 7)->severity, Severity::kWarning);
  EXPECT_EQ(of(7, 32)->about, "few_levels");
  EXPECT_FALSE(of(8, 8).has_value());
  EXPECT_FALSE(of(256, 256).has_value());
  EXPECT_EQ(of(200, 257)->about, "many_levels");
}

}  // namespace
}  // namespace consilium::engine
