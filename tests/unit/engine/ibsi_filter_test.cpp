#include "engine/filter/ibsi_filter.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <string>
#include <string_view>
#include <vector>

#include "engine/filter/wavelet.h"
#include "tests/unit/engine/box_of_image.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

constexpr double kPi = std::numbers::pi;

Image Respond(const Image& image, const IbsiFilter& filter, const Box& box) {
  auto response = Filtered(image, filter, box);
  EXPECT_TRUE(response.has_value()) << (response ? "" : response.error().message);
  return response ? std::move(*response) : Image{};
}
Image Respond(const Image& image, const IbsiFilter& filter) {
  return Respond(image, filter, Whole(image.grid));
}

// f(x, y, z) at every voxel.
template <typename Function>
Image Painted(const std::array<int, 3>& size, const Function& f,
              const std::array<double, 3>& spacing_mm = {1, 1, 1}) {
  Image image{{size, spacing_mm}, {}};
  for (int z = 0; z < size[2]; ++z) {
    for (int y = 0; y < size[1]; ++y) {
      for (int x = 0; x < size[0]; ++x) image.values.Doubles().push_back(f(x, y, z));
    }
  }
  return image;
}

void ExpectNear(const Image& ours, const Image& expected, double tolerance) {
  ASSERT_EQ(ours.grid, expected.grid);
  ASSERT_EQ(ours.values.size(), expected.values.size());
  for (std::size_t i = 0; i < ours.values.size(); ++i)
    ASSERT_NEAR(ours.values[i], expected.values[i], tolerance) << i;
}

TEST(IbsiFilters, OfABoxAreThoseOfTheWholeImageThere) {
  const Image image = RandomRegion(1, {41, 30, 19}, 0.5, {1, 1.5, 2}).image;
  const Box box{{3, 12, 14}, {9, 29, 18}, false};
  for (const Boundary boundary :
       {Boundary::kZero, Boundary::kNearest, Boundary::kPeriodic, Boundary::kMirror}) {
    const std::vector<IbsiFilter> filters = {
        MeanFilter{5, Dimensions::k3d, boundary},
        LaplacianFilter{1.5, 4, Dimensions::k3d, boundary},
        LaplacianFilter{1.5, 3, Dimensions::k2d, boundary},
        LawsFilter{"L5E5S3", true, Pooling::kMax, 3, boundary},
        LawsFilter{"E3R5", false, Pooling::kMin, 2, boundary},
        GaborFilter{1.5, 3, 0.7, 10, 60, Pooling::kMax, {{0, 1}, {1, 2}}, boundary},
        WaveletFilter{"db3", "LHH", 2, true, Pooling::kMean, boundary},
        WaveletFilter{"bior2.4", "HL", 3, false, Pooling::kMean, boundary},
    };
    for (std::size_t i = 0; i < filters.size(); ++i) {
      SCOPED_TRACE(fmt::format("boundary {}, filter {}", static_cast<int>(boundary), i));
      ExpectNear(Respond(image, filters[i], box), CutOut(Respond(image, filters[i]), box), 1e-10);
    }
  }
  for (const IbsiFilter& filter : std::vector<IbsiFilter>{
           SimoncelliFilter{1, Dimensions::k3d}, SimoncelliFilter{2, Dimensions::k2d},
           RieszFilter{{0, 1, 1}, SimoncelliFilter{1, Dimensions::k3d}},
           RieszFilter{{1, 1, 0}, LaplacianFilter{1.5, 4, Dimensions::k2d, Boundary::kZero}}})
    ExpectNear(Respond(image, filter, box), CutOut(Respond(image, filter), box), 1e-12);
}

TEST(IbsiFilters, In2DTakeEverySliceForItself) {
  const Image image = RandomRegion(2, {24, 17, 3}, 0.5, {1.5, 1.5, 4}).image;
  const Box middle{{0, 0, 1}, {23, 16, 1}, false};
  const Image slice = CutOut(image, middle);
  for (const IbsiFilter& filter : std::vector<IbsiFilter>{
           MeanFilter{3, Dimensions::k2d}, LaplacianFilter{2, 4, Dimensions::k2d},
           LawsFilter{"L5E5"}, GaborFilter{3, 4, 1.5, 30}, WaveletFilter{"coif1", "LH", 2},
           SimoncelliFilter{1, Dimensions::k2d},
           RieszFilter{{1, 1, 0}, SimoncelliFilter{1, Dimensions::k2d}}})
    ExpectNear(CutOut(Respond(image, filter), middle), Respond(slice, filter), 1e-12);
}

TEST(LaplacianFilter, OfAGaussianIsTheAnalyticOne) {
  // A Gaussian of width w becomes one of width sqrt(w^2 + s^2); voxels of x are 0.5 mm long.
  constexpr double kWidth = 4, kSigma = 2;
  const std::array<double, 3> spacing = {0.5, 0.5, 1.0};
  const auto squared = [&](int x, int y, int z) {
    return (x - 40) * (x - 40) * 0.25 + (y - 40) * (y - 40) * 0.25 + (z - 20.0) * (z - 20.0);
  };
  const Image image = Painted(
      {81, 81, 41},
      [&](int x, int y, int z) { return std::exp(-squared(x, y, z) / (2 * kWidth * kWidth)); },
      spacing);
  const Image ours = Respond(image, LaplacianFilter{kSigma, 7, Dimensions::k3d, Boundary::kZero},
                             {{20, 40, 20}, {60, 45, 22}, false});
  const double both = kWidth * kWidth + kSigma * kSigma,
               height = std::pow(kWidth * kWidth / both, 1.5);
  for (int x = 20; x <= 60; ++x) {
    const double r = squared(x, 45, 22);
    const double expected =
        0.25 * height * std::exp(-r / (2 * both)) * (r / (both * both) - 3 / both);
    EXPECT_NEAR(ours.values[ours.grid.Index(x - 20, 5, 2)], expected, 1e-8) << x;
  }
}

TEST(LawsFilter, OfAPointIsTheProductOfTheKernels) {
  const Image point =
      Painted({9, 9, 9}, [](int x, int y, int z) { return x == 4 && y == 3 && z == 5 ? 1 : 0; });
  const Image ours = Respond(point, LawsFilter{"E5L3W5", false, Pooling::kMax, 0, Boundary::kZero});
  const std::array<double, 5> e5 = {-1, -2, 0, 2, 1}, l3 = {1, 2, 1, 0, 0}, w5 = {-1, 2, 0, -2, 1};
  const double norm = std::sqrt(10.0 * 6 * 10);
  for (int z = 3; z <= 7; ++z) {
    for (int y = 2; y <= 4; ++y) {
      for (int x = 2; x <= 6; ++x) {
        const auto i = static_cast<std::size_t>(x - 2), j = static_cast<std::size_t>(y - 2),
                   k = static_cast<std::size_t>(z - 3);
        EXPECT_NEAR(ours.values[ours.grid.Index(x, y, z)], e5[i] * l3[j] * w5[k] / norm, 1e-15);
      }
    }
  }
}

TEST(GaborFilter, IsTheModulusOfTheSumItIsDefinedBy) {
  const GaborFilter filter{1.5, 4, 0.8, 35, 0, Pooling::kMean, {{0, 2}}, Boundary::kMirror};
  const Image image = RandomRegion(3, {9, 4, 6}, 0.5, {1, 3, 1.5}).image;
  const Image ours = Respond(image, filter);
  const double cosine = std::cos(35 * kPi / 180), sine = std::sin(35 * kPi / 180);
  for (int x = 0; x < 9; ++x) {
    for (int z = 0; z < 6; ++z) {
      std::complex<double> sum = 0;
      for (int i = -20; i <= 20; ++i) {
        for (int k = -20; k <= 20; ++k) {
          const double u = i * 1.0, v = k * 1.5;
          const double a = u * cosine + v * sine, b = v * cosine - u * sine;
          const double height = std::exp(-(a * a + 0.64 * b * b) / (2 * 1.5 * 1.5));
          sum += height * std::polar(1.0, 2 * kPi * a / 4) *
                 image.values[image.grid.Index(VoxelAt(x - i, 9, Boundary::kMirror), 2,
                                               VoxelAt(z - k, 6, Boundary::kMirror))];
        }
      }
      EXPECT_NEAR(ours.values[image.grid.Index(x, 2, z)], std::abs(sum), 1e-6) << x << " " << z;
    }
  }
}

TEST(GaborFilter, PoolsOverItsDirectionsAndThenItsPlanes) {
  const Image image = RandomRegion(4, {12, 11, 10}, 0.5, {1, 1, 1}).image;
  GaborFilter filter{2, 3, 1.5};
  filter.theta_step_deg = 72;  // an odd number of directions: none is another's opposite
  for (const Pooling pooling : {Pooling::kMean, Pooling::kMax, Pooling::kMin, Pooling::kSum}) {
    filter.pooling = pooling;
    filter.planes = {{0, 1}, {1, 2}};
    const Image ours = Respond(image, filter);
    Image expected = ours;
    std::fill(expected.values.Doubles().begin(), expected.values.Doubles().end(), 0);
    for (const auto& plane : filter.planes) {
      std::vector<Image> each;
      for (int i = 0; i < 5; ++i)
        each.push_back(Respond(image, GaborFilter{2, 3, 1.5, 72.0 * i, 0, pooling, {plane}}));
      for (std::size_t i = 0; i < expected.values.size(); ++i) {
        double pooled = each[0].values[i], sum = 0;
        for (const Image& one : each) {
          sum += one.values[i];
          pooled = pooling == Pooling::kMin ? std::min(pooled, one.values[i])
                                            : std::max(pooled, one.values[i]);
        }
        if (pooling == Pooling::kMean) pooled = sum / 5;
        if (pooling == Pooling::kSum) pooled = sum;
        expected.values.Doubles()[i] += pooled / 2;
      }
    }
    ExpectNear(ours, expected, 1e-11);
  }
  // A turn by half leaves the modulus as it is.
  ExpectNear(Respond(image, GaborFilter{2, 3, 1.5, 20}),
             Respond(image, GaborFilter{2, 3, 1.5, 200}), 1e-11);
}

TEST(WaveletFilter, OfAPointIsTheProductOfTheLevelsFilters) {
  const Image point = Painted({16, 1, 1}, [](int x, int, int) { return x == 8 ? 1.0 : 0.0; });
  const Image ours =
      Respond(point, WaveletFilter{"haar", "HL", 2, false, Pooling::kMean, Boundary::kPeriodic});
  // Along x the low filter (1 1) / sqrt(2) makes of the voxel 8 the voxels 7 and 8, and of those
  // the high one of level 2, (-1 0 1 0) / sqrt(2), the voxels 5 to 8. Along y, on the only voxel,
  // the low filters multiply by 2 in all.
  const std::array<double, 16> expected = {0, 0, 0, 0, 0, -1, -1, 1, 1, 0, 0, 0, 0, 0, 0, 0};
  for (std::size_t x = 0; x < 16; ++x) EXPECT_NEAR(ours.values[x], expected[x], 1e-15) << x;
}

// One axis filtered and halved: of a periodic image of even size.
Image Halved(const Image& image, std::size_t axis, const std::vector<double>& taps) {
  Image half{image.grid, {}};
  half.grid.size[axis] /= 2;
  half.grid.spacing_mm[axis] *= 2;
  const int size = image.grid.size[axis], middle = static_cast<int>(taps.size()) / 2;
  for (int z = 0; z < half.grid.size[2]; ++z) {
    for (int y = 0; y < half.grid.size[1]; ++y) {
      for (int x = 0; x < half.grid.size[0]; ++x) {
        double sum = 0;
        for (std::size_t j = 0; j < taps.size(); ++j) {
          std::array<int, 3> at = {x, y, z};
          at[axis] =
              VoxelAt(2 * at[axis] + middle - static_cast<int>(j), size, Boundary::kPeriodic);
          sum += taps[j] * image.values[image.grid.Index(at[0], at[1], at[2])];
        }
        half.values.Doubles().push_back(sum);
      }
    }
  }
  return half;
}

// The decimated transform as it is usually made: level by level, each of half the size.
TEST(WaveletFilter, DecimatedIsWhatHalvingEveryLevelLeaves) {
  const Image image = RandomRegion(9, {16, 24, 8}, 0.5, {1, 1.5, 2}).image;
  for (const char* name : {"haar", "db3", "bior2.4"}) {
    const auto filters = WaveletNamed(name);
    for (const std::string band : {"LLL", "HLH", "LH", "HH"}) {
      Image halved = image;
      for (int level = 1; level <= 3; ++level) {
        Image expected = halved;
        for (std::size_t axis = 0; axis < band.size(); ++axis) {
          expected = Halved(expected, axis, band[axis] == 'L' ? filters->low : filters->high);
          halved = Halved(halved, axis, filters->low);
        }
        SCOPED_TRACE(fmt::format("{} {} {}", name, band, level));
        WaveletFilter ours{name, band, level, false, Pooling::kMean, Boundary::kPeriodic};
        ours.decimated = true;
        ExpectNear(Respond(image, ours), expected, 1e-11);
      }
    }
  }
}

TEST(WaveletFilter, DecimatedKeepsTheEnergyOfTheImage) {
  const Image image = RandomRegion(3, {8, 12, 4}, 0.5).image;
  const auto energy = [](const Image& of) {
    double sum = 0;
    for (const double value : of.values) sum += value * value;
    return sum;
  };
  for (const char* name : {"haar", "db5", "coif2", "sym4"}) {
    double sum = 0;
    for (const int level : {1, 2}) {
      for (const char* band : {"LLL", "LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH"}) {
        if (level == 1 && std::string_view(band) == "LLL") continue;  // it is the second level
        WaveletFilter filter{name, band, level, false, Pooling::kMean, Boundary::kPeriodic};
        filter.decimated = true;
        sum += energy(Respond(image, filter));
      }
    }
    EXPECT_NEAR(sum / energy(image), 1, 1e-12) << name;
  }
}

TEST(WaveletFilter, DecimatedKeepsPlacesOfTheImageInEveryBox) {
  const Image image = RandomRegion(2, {21, 17, 13}, 0.5, {1, 1.5, 2}).image;
  WaveletFilter filter{"db2", "LHH", 2};
  const Image whole = Respond(image, filter);
  filter.decimated = true;
  const Box box{{3, 4, 1}, {14, 16, 9}, false};
  Image expected{{{3, 4, 2}, {4, 6, 8}}, {}};
  for (const int z : {4, 8}) {
    for (const int y : {4, 8, 12, 16}) {
      for (const int x : {4, 8, 12})
        expected.values.Doubles().push_back(whole.values[whole.grid.Index(x, y, z)]);
    }
  }
  ExpectNear(Respond(image, filter, box), expected, 1e-11);
  const Sampling sampling = SamplingOf(filter, box);
  EXPECT_EQ(sampling.box.first, (std::array<int, 3>{4, 4, 4}));
  EXPECT_EQ(Cut(image, sampling.box, sampling.step).grid, expected.grid);
  filter.band = "LH";  // of every slice
  EXPECT_EQ(Respond(image, filter, box).grid.size, (std::array<int, 3>{3, 4, 9}));
  const auto none = Filtered(image, filter, {{5, 4, 1}, {7, 16, 9}, false});
  ASSERT_FALSE(none.has_value());
  EXPECT_NE(none.error().message.find("multiples of 4"), std::string::npos) << none.error().message;
}

// With an odd number of voxels the grid has the frequency 0, and a wave is an eigenfunction.
TEST(SimoncelliFilter, MultipliesAWaveByItsProfile) {
  constexpr int kSize = 33;
  for (int waves = 1; waves <= 16; ++waves) {
    const auto wave = [waves](int x, int, int z) {
      return std::cos(2 * kPi * waves * x / kSize) + (z == 0 ? 0.0 : 5.0);
    };
    const Image image = Painted({kSize, 5, 2}, wave);
    for (int level = 1; level <= 3; ++level) {
      const Image ours = Respond(image, SimoncelliFilter{level, Dimensions::k2d});
      const double w = kPi * waves / 16 * (1 << (level - 1));
      const double profile =
          w > kPi / 4 && w <= kPi ? std::cos(kPi / 2 * std::log2(2 * w / kPi)) : 0;
      for (int x = 0; x < kSize; ++x) {
        EXPECT_NEAR(ours.values[ours.grid.Index(x, 3, 1)], profile * (wave(x, 3, 0)), 1e-12)
            << waves << " waves, level " << level;
      }
    }
  }
}

TEST(RieszFilter, TurnsACosineIntoASine) {
  constexpr int kSize = 33, kWaves = 5;
  const double angle = 2 * kPi * kWaves / kSize;
  const Image image = Painted({5, kSize, 3}, [&](int, int y, int) { return std::cos(angle * y); });
  const SimoncelliFilter simoncelli{1, Dimensions::k3d};
  const double profile = std::cos(kPi / 2 * std::log2(2 * kWaves / 16.0));
  const Image along = Respond(image, RieszFilter{{0, 1, 0}, simoncelli}),
              twice = Respond(image, RieszFilter{{0, 2, 0}, simoncelli}),
              across = Respond(image, RieszFilter{{1, 0, 0}, simoncelli});
  for (int y = 0; y < kSize; ++y) {
    const std::size_t at = image.grid.Index(2, y, 1);
    EXPECT_NEAR(along.values[at], profile * std::sin(angle * y), 1e-12);
    EXPECT_NEAR(twice.values[at], -profile * std::cos(angle * y), 1e-12);
    EXPECT_NEAR(across.values[at], 0, 1e-12);
  }
}

// The transforms of all orders of one sum share the energy of what they are taken of.
TEST(RieszFilter, KeepsTheEnergyOverAllOrders) {
  const Image image = RandomRegion(5, {9, 15, 11}, 0.5).image;
  const auto energy = [](const Image& of) {
    double sum = 0;
    for (const double value : of.values) sum += value * value;
    return sum;
  };
  const SimoncelliFilter simoncelli{1, Dimensions::k3d};
  const double expected = energy(Respond(image, simoncelli));
  for (int sum = 1; sum <= 3; ++sum) {
    double total = 0;
    for (int x = 0; x <= sum; ++x) {
      for (int y = 0; x + y <= sum; ++y)
        total += energy(Respond(image, RieszFilter{{x, y, sum - x - y}, simoncelli}));
    }
    EXPECT_NEAR(total / expected, 1, 1e-12) << sum;
  }
}

TEST(RieszFilter, OfALaplacianStartsFromItsResponse) {
  // A wave stays a wave, a quarter of it later, as high as the Laplacian leaves it.
  constexpr int kSize = 40;
  const double angle = 2 * kPi * 3 / kSize;
  const Image image = Painted({kSize, 4, 4}, [&](int x, int, int) { return std::cos(angle * x); });
  const LaplacianFilter laplacian{2, 5, Dimensions::k3d, Boundary::kPeriodic};
  const Image still = Respond(image, laplacian),
              turned = Respond(image, RieszFilter{{1, 0, 0}, laplacian});
  const double height = still.values[0];
  EXPECT_NEAR(height, -angle * angle * std::exp(-2 * angle * angle), 1e-4);
  for (int x = 0; x < kSize; ++x) {
    EXPECT_NEAR(turned.values[static_cast<std::size_t>(x)], height * std::sin(angle * x), 1e-12);
  }
}

TEST(IbsiFilters, RefuseSettingsOutOfTheirBoundsByName) {
  const Image image = Painted({5, 5, 5}, [](int x, int y, int z) { return x * y + z; });
  const auto expect = [&](const IbsiFilter& filter, const std::string& part,
                          ErrorCode code = ErrorCode::kInvalidArgument) {
    const auto refused = Filtered(image, filter, Whole(image.grid));
    ASSERT_FALSE(refused.has_value()) << part;
    EXPECT_EQ(refused.error().code, code) << part;
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
  };
  expect(MeanFilter{4}, "support = 4, must be odd");
  expect(MeanFilter{-1}, "support = -1, must be 1 to 1023");
  expect(MeanFilter{1025}, "support = 1025");
  EXPECT_TRUE(Filtered(image, MeanFilter{1023}, Whole(image.grid)).has_value());
  expect(LaplacianFilter{0}, "sigma_mm = 0, must be > 0");
  expect(LaplacianFilter{std::nan("")}, "sigma_mm = nan");
  expect(LaplacianFilter{1, -4}, "cutoff_sigmas = -4");
  expect(LaplacianFilter{1000}, "reaches 4000 voxels");
  expect(LawsFilter{"L5"}, "kernels = 'L5', must name two filters (2D) or three (3D)");
  expect(LawsFilter{"L5X5"}, "Laws kernel 'X5' is not known; known are L3");
  expect(LawsFilter{"L5E5", true, Pooling::kMax, 512}, "energy_delta = 512");
  expect(GaborFilter{0}, "sigma_mm = 0");
  expect(GaborFilter{1, 0}, "wavelength_mm = 0");
  expect(GaborFilter{1, 1, -1}, "gamma = -1");
  expect(GaborFilter{1, 1, 1, std::nan("")}, "theta_deg");
  expect(GaborFilter{1, 1, 1, 0, 50}, "theta_step_deg = 50");
  expect(GaborFilter{1, 1, 1, 0, -45}, "theta_step_deg = -45");
  expect(GaborFilter{1, 1, 1, 0, 0.5}, "theta_step_deg = 0.5");
  expect(GaborFilter{100, 1, 1}, "reaches 600 voxels");
  expect(GaborFilter{80, 1, 1, 0, 1}, "180 directions of 972 x 972 pixels");
  expect(GaborFilter{1, 1, 1, 0, 0, Pooling::kMean, {{0, 0}}}, "plane (0, 0)");
  expect(GaborFilter{1, 1, 1, 0, 0, Pooling::kMean, {{0, 3}}}, "plane (0, 3)");
  expect(GaborFilter{1, 1, 1, 0, 0, Pooling::kMean, {}}, "number of planes = 0");
  expect(WaveletFilter{"db77"}, "wavelet 'db77' is not known", ErrorCode::kNotFound);
  expect(WaveletFilter{"db3", "LLX"}, "band = 'LLX'");
  expect(WaveletFilter{"db3", "L"}, "band = 'L', must name two filters");
  expect(WaveletFilter{"db3", "LLH", 0}, "level = 0, must be 1 to 8");
  expect(WaveletFilter{"db3", "LLH", 9}, "level = 9");
  expect(SimoncelliFilter{0}, "level = 0, must be 1 to 16");
  expect(RieszFilter{{0, 0, 0}, SimoncelliFilter{}}, "sum of the order = 0");
  expect(RieszFilter{{1, -1, 0}, SimoncelliFilter{}}, "order = -1");
  expect(RieszFilter{{0, 0, 1}, SimoncelliFilter{1, Dimensions::k2d}}, "order = 1, must be 0 to 0");
  expect(RieszFilter{{1, 0, 0}, LaplacianFilter{-1}}, "sigma_mm = -1");
  expect(RieszFilter{{1, 0, 0}, SimoncelliFilter{17}}, "level = 17");
}

}  // namespace
}  // namespace consilium::engine
