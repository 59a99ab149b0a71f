#include "engine/voxel_values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "engine/grid.h"

namespace consilium::engine {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool AreSingles(const VoxelValues& values) {
  return values.Visit([](const auto& kept) {
    return std::is_same_v<typename std::remove_cvref_t<decltype(kept)>::value_type, float>;
  });
}

TEST(VoxelValues, ReadTheSameInEitherPrecision) {
  const VoxelValues singles = std::vector<float>{1.5F, -3, 0.1F};
  const VoxelValues doubles = {1.5, -3, static_cast<double>(0.1F)};
  EXPECT_TRUE(AreSingles(singles));
  EXPECT_FALSE(AreSingles(doubles));
  EXPECT_EQ(singles.size(), 3);
  EXPECT_EQ(singles[2], static_cast<double>(0.1F));
  EXPECT_EQ(singles, doubles);
  EXPECT_EQ(singles.AsDoubles(), doubles.AsDoubles());
  EXPECT_NE(singles, VoxelValues({1.5, -3, 0.1}));
  EXPECT_NE(singles, VoxelValues({1.5, -3}));
  EXPECT_EQ(VoxelValues().size(), 0);
}

TEST(VoxelValues, AreDoublesOnceTheyAreWritten) {
  VoxelValues values = std::vector<float>{1, 2};
  values.Set(0, 7);
  EXPECT_TRUE(AreSingles(values));
  values.Doubles()[1] = 0.1;
  EXPECT_FALSE(AreSingles(values));
  values.Set(0, 8);
  EXPECT_EQ(values, VoxelValues({8, 0.1}));
}

TEST(VoxelValues, TakeLittleRoomWhereNothingIsLost) {
  for (const double value :
       {0.0, -0.0, 0.5, 16777216.0, -65535.0, 0x1p120, kInfinity, std::nan("")}) {
    const VoxelValues values = VoxelValues::Smallest(std::vector<double>{1, value});
    EXPECT_TRUE(AreSingles(values)) << value;
    EXPECT_TRUE(values[1] == value || std::isnan(value)) << value;
    EXPECT_EQ(std::signbit(values[1]), std::signbit(value)) << value;
  }
  for (const double value : {0.1, 16777217.0, -1e39, 1e300, 1e-320}) {
    const VoxelValues values = VoxelValues::Smallest(std::vector<double>{1, value});
    EXPECT_FALSE(AreSingles(values)) << value;
    EXPECT_EQ(values[1], value);
  }
}

TEST(VoxelValues, AFilesNumbersAreHeldWhole) {
  EXPECT_TRUE((std::is_same_v<Holding<std::uint16_t>, float>));
  EXPECT_TRUE((std::is_same_v<Holding<std::int8_t>, float>));
  EXPECT_TRUE((std::is_same_v<Holding<float>, float>));
  EXPECT_TRUE((std::is_same_v<Holding<std::int32_t>, double>));
  EXPECT_TRUE((std::is_same_v<Holding<double>, double>));
  EXPECT_TRUE(KindOf<std::int16_t>().whole);
  EXPECT_EQ(KindOf<std::int16_t>().lowest, -32768);
  EXPECT_EQ(KindOf<std::int16_t>().highest, 32767);
  EXPECT_TRUE(KindOf<float>().single_precision && !KindOf<float>().whole);
  EXPECT_FALSE(KindOf<double>().single_precision || KindOf<double>().whole);
}

}  // namespace
}  // namespace consilium::engine
