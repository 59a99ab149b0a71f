#include "engine/filter/wavelet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "engine/filter/wavelet_tables.h"
#include "tests/unit/engine/box_of_image.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

std::vector<std::string> AllNames() {
  std::vector<std::string> names = {"haar"};
  for (const WaveletTable& table : WaveletTables()) {
    names.emplace_back(table.name);
    if (table.name.starts_with("bior")) names.push_back("r" + std::string(table.name));
  }
  for (std::string& name : names) {
    if (name.starts_with("rbior")) name = "rbio" + name.substr(5);
  }
  return names;
}

// sum_k a_k b_(k + shift)
double Product(const std::vector<double>& a, const std::vector<double>& b, int shift) {
  double sum = 0;
  const int n = static_cast<int>(a.size());
  for (int k = std::max(0, -shift); k < std::min(n, n - shift); ++k)
    sum += a[static_cast<std::size_t>(k)] * b[static_cast<std::size_t>(k + shift)];
  return sum;
}

// sum_k ((k - centre) / n)^power f_k: not above the sum of |f|, whatever the power.
double Moment(const std::vector<double>& f, double centre, int power) {
  double sum = 0;
  for (std::size_t k = 0; k < f.size(); ++k)
    sum +=
        std::pow((static_cast<double>(k) - centre) / static_cast<double>(f.size()), power) * f[k];
  return sum;
}

WaveletFilters Named(const std::string& name) {
  const auto filters = WaveletNamed(name);
  EXPECT_TRUE(filters.has_value()) << name;
  return filters.value_or(WaveletFilters{{1, 1}, {1, 1}});
}

// The low filter and the high one.
std::pair<std::vector<double>, std::vector<double>> Taps(const std::string& name) {
  const WaveletFilters filters = Named(name);
  return {filters.low, filters.high};
}

TEST(Wavelets, AreThoseOfEveryFamily) {
  EXPECT_EQ(AllNames().size(), 1U + 38 + 19 + 17 + 2 * 15 + 1);
  for (int n = 1; n <= 38; ++n)
    EXPECT_EQ(Named("db" + std::to_string(n)).low.size(), static_cast<std::size_t>(2 * n));
  for (int n = 2; n <= 20; ++n)
    EXPECT_EQ(Named("sym" + std::to_string(n)).low.size(), static_cast<std::size_t>(2 * n));
  for (int n = 1; n <= 17; ++n)
    EXPECT_EQ(Named("coif" + std::to_string(n)).low.size(), static_cast<std::size_t>(6 * n));
}

TEST(Wavelets, PassAConstantThroughTheLowFilterOnly) {
  for (const std::string& name : AllNames()) {
    const auto [low, high] = Taps(name);
    EXPECT_EQ(low.size(), high.size()) << name;
    EXPECT_EQ(low.size() % 2, 0U) << name;
    EXPECT_NEAR(std::accumulate(low.begin(), low.end(), 0.0), std::sqrt(2.0), 1e-11) << name;
    // Meyer's is cut off.
    EXPECT_NEAR(std::accumulate(high.begin(), high.end(), 0.0), 0, name == "dmey" ? 2e-3 : 1e-11)
        << name;
  }
}

TEST(Wavelets, OfTheOrthogonalFamiliesAreOrthonormalToTheirShiftsByTwo) {
  for (const std::string& name : AllNames()) {
    if (name.find("bio") != std::string::npos) continue;
    const auto [low, high] = Taps(name);
    const double tolerance = name == "dmey" ? 3e-3 : 3e-11;
    for (int shift = 0; shift < static_cast<int>(low.size()); shift += 2) {
      EXPECT_NEAR(Product(low, low, shift), shift == 0 ? 1 : 0, tolerance) << name << shift;
      EXPECT_NEAR(Product(high, high, shift), shift == 0 ? 1 : 0, tolerance) << name << shift;
      EXPECT_NEAR(Product(low, high, shift), 0, tolerance) << name << shift;
      EXPECT_NEAR(Product(low, high, -shift), 0, tolerance) << name << shift;
    }
  }
}

// A bior's reconstruction filters are those of its rbio backwards, and the other way round.
TEST(Wavelets, OfTheBiorthogonalFamiliesReconstructWhatTheyDecompose) {
  int pairs = 0;
  for (const std::string& name : AllNames()) {
    if (!name.starts_with("bior")) continue;
    const auto [low, high] = Taps(name);
    const auto [dual_low, dual_high] = Taps("rbio" + name.substr(4));
    for (int shift = -static_cast<int>(low.size()); shift <= static_cast<int>(low.size());
         shift += 2) {
      EXPECT_NEAR(Product(low, dual_low, shift), shift == 0 ? 1 : 0, 1e-11) << name << shift;
      EXPECT_NEAR(Product(high, dual_high, shift), shift == 0 ? 1 : 0, 1e-11) << name << shift;
      EXPECT_NEAR(Product(low, dual_high, shift), 0, 1e-11) << name << shift;
      EXPECT_NEAR(Product(high, dual_low, shift), 0, 1e-11) << name << shift;
    }
    ++pairs;
  }
  EXPECT_EQ(pairs, 15);
}

TEST(Wavelets, HaveTheirVanishingMoments) {
  for (const std::string& name : AllNames()) {
    if (name == "dmey" || name == "haar") continue;
    const auto [low, high] = Taps(name);
    const std::size_t digits = name.find_first_of("0123456789");
    const int number = std::stoi(name.substr(digits));  // of bior2.4 the first, of rbio2.4 too
    const int second =
        name.find('.') == std::string::npos ? number : std::stoi(name.substr(name.find('.') + 1));
    const int moments = name.starts_with("coif")   ? 2 * number
                        : name == "rbio5.5"        ? 4  // its name notwithstanding
                        : name.starts_with("rbio") ? second
                                                   : number;
    const double centre = static_cast<double>(high.size()) / 2;
    for (int power = 0; power < moments; ++power)
      EXPECT_NEAR(Moment(high, centre, power), 0, 1e-10) << name << ", moment " << power;
    // The next one does not vanish; it is small, as the wavelet is smooth.
    if (moments > 4) continue;
    EXPECT_GT(std::abs(Moment(high, centre, moments)), 1e-5) << name;
  }
}

// A Coiflet's scaling function has vanishing moments too, about its centre of mass.
TEST(Wavelets, OfCoifmanHaveLowFiltersWithVanishingMoments) {
  for (int n = 1; n <= 17; ++n) {
    const auto low = Named("coif" + std::to_string(n)).low;
    const double centre = Moment(low, 0, 1) / std::sqrt(2.0) * static_cast<double>(low.size());
    EXPECT_NEAR(centre, std::floor(centre + 0.5), 1e-8) << n;
    for (int power = 1; power < 2 * n; ++power)
      EXPECT_NEAR(Moment(low, centre, power), 0, 1e-10) << n << ", moment " << power;
  }
}

TEST(Wavelets, AreTheClosedFormsWhereThereAreAny) {
  const auto expect = [](const std::string& name, const std::vector<double>& low) {
    const auto ours = Named(name).low;
    ASSERT_EQ(ours.size(), low.size());
    for (std::size_t k = 0; k < low.size(); ++k) EXPECT_NEAR(ours[k], low[k], 1e-12) << name;
  };
  const double root2 = std::sqrt(2.0), root3 = std::sqrt(3.0), root7 = std::sqrt(7.0),
               root10 = std::sqrt(10.0), root = std::sqrt(5 + 2 * root10);
  expect("haar", {1 / root2, 1 / root2});
  for (const char* name : {"db2", "sym2"}) {
    expect(name, {(1 - root3) / (4 * root2), (3 - root3) / (4 * root2), (3 + root3) / (4 * root2),
                  (1 + root3) / (4 * root2)});
  }
  const double sixteen = 16 * root2;
  expect("db3", {(1 + root10 - root) / sixteen, (5 + root10 - 3 * root) / sixteen,
                 (10 - 2 * root10 - 2 * root) / sixteen, (10 - 2 * root10 + 2 * root) / sixteen,
                 (5 + root10 + 3 * root) / sixteen, (1 + root10 + root) / sixteen});
  expect("coif1", {(-3 + root7) / sixteen, (1 - root7) / sixteen, (14 - 2 * root7) / sixteen,
                   (14 + 2 * root7) / sixteen, (5 + root7) / sixteen, (1 - root7) / sixteen});
  expect("bior2.2", {0, -root2 / 8, root2 / 4, 3 * root2 / 4, root2 / 4, -root2 / 8});
  expect("rbio2.2", {0, 0, root2 / 4, root2 / 2, root2 / 4, 0});
}

// A sub-band by its definition, of an image that was made even by hand.
Image SlowBand(Image image, const std::string& letters, const std::vector<std::size_t>& axes,
               const WaveletFilters& filters) {
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto& taps = letters[i] == 'L' ? filters.low : filters.high;
    const std::size_t axis = axes[i];
    const Image from = image;
    const auto& size = image.grid.size;
    for (int z = 0; z < size[2]; ++z) {
      for (int y = 0; y < size[1]; ++y) {
        for (int x = 0; x < size[0]; ++x) {
          double sum = 0;
          for (int j = 0; j < static_cast<int>(taps.size()); ++j) {
            std::array<int, 3> at = {x, y, z};
            at[axis] += static_cast<int>(taps.size()) / 2 - j + 100 * size[axis];
            at[axis] %= size[axis];
            sum += taps[static_cast<std::size_t>(j)] *
                   from.values[from.grid.Index(at[0], at[1], at[2])];
          }
          image.values.Doubles()[image.grid.Index(x, y, z)] = sum;
        }
      }
    }
  }
  return image;
}

TEST(StationaryWavelet, OfSeveralLevelsGoesOnFromTheApproximationThatWasPadded) {
  const Image image = RandomRegion(6, {7, 6, 5}, 0.5).image;
  Image even{{{8, 6, 6}, image.grid.spacing_mm}, {}};
  for (int z = 0; z < 6; ++z) {
    for (int y = 0; y < 6; ++y) {
      for (int x = 0; x < 8; ++x)
        even.values.Doubles().push_back(image.values[image.grid.Index(x % 7, y, z % 5)]);
    }
  }
  const auto filters = Named("db3");
  for (const bool by_slice : {false, true}) {
    const std::vector<std::size_t> axes =
        by_slice ? std::vector<std::size_t>{0, 1} : std::vector<std::size_t>{0, 1, 2};
    const std::string lows(axes.size(), 'L');
    const auto bands =
        StationaryWavelet(image, filters, Whole(image.grid), {2, 1, {true, true, !by_slice}});
    const std::size_t details = by_slice ? 3 : 7;
    ASSERT_EQ(bands.size(), 2 * details + 1);
    EXPECT_EQ(PyradiomicsName(bands[0]), by_slice ? "wavelet-LH" : "wavelet-LLH");
    EXPECT_EQ(PyradiomicsName(bands.back()), by_slice ? "wavelet2-LL" : "wavelet2-LLL");
    const Image first = SlowBand(even, lows, axes, filters),
                second = SlowBand(first, lows, axes, filters);
    for (const SubBand& band : bands) {
      const Image expected = CutOut(
          SlowBand(band.level == 1 ? first : second, band.name, axes, filters), Whole(image.grid));
      ASSERT_EQ(band.image.grid, expected.grid);
      for (std::size_t i = 0; i < expected.values.size(); ++i)
        ASSERT_NEAR(band.image.values[i], expected.values[i], 1e-11) << PyradiomicsName(band);
    }
  }
}

TEST(StationaryWavelet, OfABoxIsThatOfTheWholeImageThereAtEveryLevel) {
  const Image image = RandomRegion(7, {40, 23, 9}, 0.5).image;
  const Box box{{15, 18, 0}, {20, 22, 3}, false};
  const StationaryLevels levels{3, 0, {true, true, true}};
  const auto whole = StationaryWavelet(image, Named("coif1"), Whole(image.grid), levels),
             part = StationaryWavelet(image, Named("coif1"), box, levels);
  ASSERT_EQ(whole.size(), 22U);
  for (std::size_t b = 0; b < whole.size(); ++b)
    EXPECT_EQ(part[b].image.values, CutOut(whole[b].image, box).values) << PyradiomicsName(part[b]);
}

TEST(Wavelets, OfSinglePrecisionAreRoundedAsPyWaveletsRoundsThem) {
  const WaveletFilters coif1 = *WaveletNamed("coif1", Precision::kSingle);
  EXPECT_EQ(coif1.low, (std::vector<double>{-0.0156557281F, -0.0727326199F, 0.384864837F,
                                            0.852571964F, 0.337897658F, -0.0727326199F}));
  EXPECT_NE(coif1.low[3], static_cast<float>(Named("coif1").low[3]));  // two roundings, not one
  for (const std::string& name : AllNames()) {
    const WaveletFilters filters = Named(name), single = *WaveletNamed(name, Precision::kSingle);
    const double roundings = name.starts_with("coif") ? 3 : 1;  // each of half of 2^-23
    for (const auto& [taps, rounded] :
         {std::pair(filters.low, single.low), std::pair(filters.high, single.high)}) {
      ASSERT_EQ(taps.size(), rounded.size());
      for (std::size_t i = 0; i < taps.size(); ++i) {
        EXPECT_EQ(rounded[i], static_cast<float>(rounded[i])) << name;
        EXPECT_NEAR(rounded[i], taps[i], roundings * 6e-8 * std::abs(taps[i])) << name;
      }
    }
  }
}

// A line of a sub-band as PyWavelets goes along it: in single precision, voxel by voxel.
std::vector<float> SlowLine(const std::vector<float>& line, const std::vector<double>& taps) {
  const int size = static_cast<int>(line.size()), count = static_cast<int>(taps.size());
  std::vector<float> out;
  for (int i = count / 2; i < size + count / 2; ++i) {
    std::vector<int> order(taps.size());
    std::iota(order.begin(), order.end(), 0);
    const auto behind =
        std::partition_point(order.begin(), order.end(), [&](int j) { return i - j >= size; });
    std::reverse(order.begin(), behind);
    float sum = 0;
    for (const int j : order) {
      const int at = ((i - j) % size + size) % size;
      sum += static_cast<float>(taps[static_cast<std::size_t>(j)]) *
             line[static_cast<std::size_t>(at)];
    }
    out.push_back(sum);
  }
  return out;
}

TEST(StationaryWavelet, OfSinglePrecisionHasTheBitsOfALineByLineTransform) {
  // Lines shorter than the filters, too: these go around several times.
  Image image = RandomRegion(8, {44, 6, 2}, 0.5).image;
  for (double& value : image.values.Doubles()) value = static_cast<float>(value * 1000.0 / 3.0);
  const auto filters = WaveletNamed("coif2", Precision::kSingle);
  ASSERT_TRUE(filters.has_value());
  const Box box{{20, 1, 0}, {43, 5, 1}, false};
  const auto bands = StationaryWavelet(image, *filters, Whole(image.grid)),
             part = StationaryWavelet(image, *filters, box);
  ASSERT_EQ(bands.size(), 8U);
  for (std::size_t b = 0; b < bands.size(); ++b) {
    SCOPED_TRACE(bands[b].name);
    Image slow = image;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto& size = image.grid.size;
      std::array<int, 3> count = size;
      count[axis] = 1;
      const std::size_t step = axis == 0 ? 1 : image.grid.Index(0, axis == 1, axis == 2);
      for (int z = 0; z < count[2]; ++z) {
        for (int y = 0; y < count[1]; ++y) {
          for (int x = 0; x < count[0]; ++x) {
            std::vector<float> line;
            const std::size_t first = image.grid.Index(x, y, z);
            for (int i = 0; i < size[axis]; ++i) {
              line.push_back(
                  static_cast<float>(slow.values[first + static_cast<std::size_t>(i) * step]));
            }
            line = SlowLine(line, bands[b].name[axis] == 'L' ? filters->low : filters->high);
            for (std::size_t i = 0; i < line.size(); ++i)
              slow.values.Doubles()[first + i * step] = line[i];
          }
        }
      }
    }
    EXPECT_EQ(bands[b].image.values, slow.values);
    EXPECT_EQ(part[b].image.values, CutOut(slow, box).values);
  }
  const auto exact = StationaryWavelet(image, Named("coif2"), Whole(image.grid));
  EXPECT_NE(bands[0].image.values, exact[0].image.values);
}

}  // namespace
}  // namespace consilium::engine
