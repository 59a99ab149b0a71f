#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "engine/filter/gradient.h"
#include "engine/filter/local_binary_pattern.h"
#include "engine/filter/pixelwise.h"
#include "engine/intensity.h"
#include "engine/pyradiomics.h"
#include "engine/shape_2d.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

Box Whole(const Grid& grid) {
  return {{0, 0, 0}, {grid.size[0] - 1, grid.size[1] - 1, grid.size[2] - 1}, false};
}

PyradiomicsExtraction Extract(const Region& region, const PyradiomicsSettings& settings) {
  auto extraction = PyradiomicsFeatures(region.image, region.mask, settings);
  EXPECT_TRUE(extraction.has_value()) << extraction.error().message;
  return extraction ? std::move(*extraction) : PyradiomicsExtraction{};
}

// By "glcm Contrast", of the only image.
std::map<std::string, double> Values(const Region& region, const PyradiomicsSettings& settings) {
  std::map<std::string, double> values;
  for (const PyradiomicsFeature& feature : Extract(region, settings).features)
    values[std::string(feature.feature_class) + " " + std::string(feature.name)] = feature.value;
  return values;
}

// Bins of width 1 keep the region's levels 1 to 5.
PyradiomicsSettings OfLevels(const PyradiomicsImageSettings& image = {}) {
  PyradiomicsSettings settings;
  settings.images[0].settings = image;
  settings.images[0].settings.bin_width = 1;
  settings.classes.pop_back();  // shape
  return settings;
}

void ExpectSame(const std::map<std::string, double>& a, const std::map<std::string, double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, value] : a) {
    const double other = b.at(name);
    EXPECT_NEAR(value, other, 1e-11 * std::max(1.0, std::abs(value))) << name;
  }
}

TEST(Pixelwise, IsScaledByTheLargestSizeInTheWholeImage) {
  Image image{{{5, 1, 1}, {1, 2, 3}}, {-4, 0, 1, 9, 16}};
  const Box box{{0, 0, 0}, {2, 0, 0}, false};
  const auto values = [&](PixelFunction function) {
    return Pixelwise(image, function, box).values;
  };
  const auto square = values(PixelFunction::kSquare), root = values(PixelFunction::kSquareRoot),
             log = values(PixelFunction::kLogarithm), exp = values(PixelFunction::kExponential);
  ASSERT_EQ(square.size(), 3U);
  EXPECT_NEAR(square[0], 1, 1e-15);
  EXPECT_NEAR(square[2], 1.0 / 16, 1e-15);
  EXPECT_EQ(root, (std::vector<double>{-8, 0, 4}));
  EXPECT_NEAR(log[0], -16 * std::log(5) / std::log(17), 1e-13);
  EXPECT_EQ(log[1], 0);
  EXPECT_NEAR(log[2], 16 * std::log(2) / std::log(17), 1e-13);
  EXPECT_NEAR(exp[0], 0.5, 1e-15);  // 16^(-4 / 16)
  EXPECT_EQ(exp[1], 1);
}

TEST(GradientMagnitude, OfARampIsItsSlopeAndHalfOfItAtTheBorder) {
  Image ramp{{{5, 4, 3}, {2, 0.5, 1}}, {}};
  for (int i = 0; i < 60; ++i) ramp.values.Doubles().push_back(i % 5 * 3 + i / 5 % 4);  // 3 x + y
  const Box box{{1, 1, 0}, {4, 2, 2}, false};
  const auto with = GradientMagnitude(ramp, true, box).values,
             without = GradientMagnitude(ramp, false, box).values;
  EXPECT_NEAR(with[0], std::sqrt(1.5 * 1.5 + 2 * 2), 1e-6);
  EXPECT_NEAR(without[0], std::sqrt(10), 1e-6);
  EXPECT_NEAR(without[3], std::sqrt(1.5 * 1.5 + 1), 1e-6);
  EXPECT_EQ(with[0], static_cast<double>(static_cast<float>(with[0])));
}

// Four points at radius 1 are the neighbours along rows and columns themselves.
TEST(LocalBinaryPatterns, OfFourPointsAreComparisonsWithTheFourNeighbours) {
  const Region region = RandomRegion(4, {6, 5, 4}, 0.5);
  const Image& image = region.image;
  // Axes of columns and rows, for slices across z, y and x.
  const int column_of[3] = {0, 0, 2}, row_of[3] = {1, 2, 1};
  for (int across = 0; across < 3; ++across) {
    const auto patterns = [&](LocalBinaryPattern method) {
      return LocalBinaryPatterns(image, {1, 4, method, across}, Whole(image.grid))->values;
    };
    const auto all = patterns(LocalBinaryPattern::kDefault),
               least = patterns(LocalBinaryPattern::kRotationInvariant),
               uniform = patterns(LocalBinaryPattern::kUniform);
    std::size_t next = 0;
    for (int z = 0; z < 4; ++z) {
      for (int y = 0; y < 5; ++y) {
        for (int x = 0; x < 6; ++x, ++next) {
          unsigned bits = 0;
          const int steps[4][2] = {{0, 1}, {-1, 0}, {0, -1}, {1, 0}};  // rows, columns
          for (unsigned k = 0; k < 4; ++k) {
            int at[3] = {x, y, z};
            at[row_of[across]] += steps[k][0];
            at[column_of[across]] += steps[k][1];
            double neighbour = 0;
            if (at[0] >= 0 && at[0] < 6 && at[1] >= 0 && at[1] < 5 && at[2] >= 0 && at[2] < 4)
              neighbour = image.values[image.grid.Index(at[0], at[1], at[2])];
            if (neighbour >= image.values[next]) bits |= 1U << k;
          }
          unsigned lowest = bits;
          for (unsigned k = 1; k < 4; ++k)
            lowest = std::min(lowest, (bits >> k | bits << (4 - k)) & 15U);
          const bool alternating = bits == 5 || bits == 10;
          EXPECT_EQ(all[next], bits);
          EXPECT_EQ(least[next], lowest);
          EXPECT_EQ(uniform[next], alternating ? 5 : __builtin_popcount(bits)) << bits;
        }
      }
    }
  }
}

TEST(LocalBinaryPatterns, OfWholeNumbersAreWholeNumbersOfThatKind) {
  Image image{{{4, 4, 1}, {1, 1, 1}}, {}, {true, 0, 255}};
  for (int i = 0; i < 16; ++i) image.values.Doubles().push_back(i * i % 7);
  const auto variance =
      LocalBinaryPatterns(image, {1.5, 8, LocalBinaryPattern::kVariance, 0}, Whole(image.grid));
  for (const double value : variance->values) EXPECT_EQ(value, std::floor(value));
  const auto beyond =
      LocalBinaryPatterns(image, {1, 12, LocalBinaryPattern::kDefault, 0}, Whole(image.grid));
  EXPECT_EQ(beyond.error().code, ErrorCode::kOutOfRange);
  EXPECT_EQ(LocalBinaryPatterns(image, {1, 31}, Whole(image.grid)).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(ShapeOfSlice, OfRectanglesIsKnown) {
  for (const auto& [rows, columns] : {std::pair(1, 1), std::pair(2, 5), std::pair(4, 3)}) {
    SliceMask mask{6, 7, {2, 0.5}, std::vector<std::uint8_t>(42)};
    for (int row = 0; row < rows; ++row) {
      for (int column = 0; column < columns; ++column)
        mask.inside[static_cast<std::size_t>((row + 2) * 7 + column + 1)] = 1;
    }
    const SliceShape f = ShapeOfSlice(mask);
    EXPECT_DOUBLE_EQ(f.pixel_surface, rows * columns);
    EXPECT_NEAR(f.mesh_surface, rows * columns - 0.5, 1e-12);  // without its corners
    const double cut = std::sqrt(1 + 0.25 * 0.25);
    EXPECT_NEAR(f.perimeter, 2 * (rows - 1) * 2 + 2 * (columns - 1) * 0.5 + 4 * cut, 1e-12);
    const double tall = 2 * rows, wide = 0.5 * columns;
    EXPECT_NEAR(f.maximum_diameter,
                std::max(std::hypot(tall, wide - 0.5), std::hypot(tall - 2, wide)), 1e-12);
    const double row_axis = 4 * 2 * std::sqrt((rows * rows - 1) / 12.0),
                 column_axis = 4 * 0.5 * std::sqrt((columns * columns - 1) / 12.0);
    EXPECT_NEAR(f.major_axis_length, std::max(row_axis, column_axis), 1e-12);
    EXPECT_NEAR(f.minor_axis_length, std::min(row_axis, column_axis), 1e-12);
  }
}

TEST(ShapeOfSlice, OfTwoPixelsOnADiagonalIsTwoSquares) {
  for (const bool other : {false, true}) {
    SliceMask mask{2, 2, {1, 1}, {1, 0, 0, 1}};
    if (other) mask.inside = {0, 1, 1, 0};
    const SliceShape f = ShapeOfSlice(mask);
    EXPECT_DOUBLE_EQ(f.mesh_surface, 1);
    EXPECT_NEAR(f.perimeter, 8 * std::sqrt(0.5), 1e-12);
  }
}

// Pairs counted one by one, and PyRadiomics' formulas as they stand.
TEST(PyradiomicsGlcm, OfDistancesWeightsAndOneWayIsThatOfAllPairs) {
  const Region region = RandomRegion(7, {9, 8, 7}, 0.6);
  const auto& spacing = region.image.grid.spacing_mm;
  PyradiomicsImageSettings how;
  how.distances = {1, 3};
  how.symmetrical_glcm = false;
  how.weighting = PyradiomicsWeighting::kEuclidean;
  const auto values = Values(region, OfLevels(how));
  double p[6][6] = {}, total = 0;
  const auto& grid = region.image.grid;
  const auto at = [&](std::size_t i) {
    const auto x = static_cast<int>(i);
    return std::array<int, 3>{x % 9, x / 9 % 8, x / 72};
  };
  for (std::size_t a = 0; a < grid.voxel_count(); ++a) {
    for (std::size_t b = a + 1; b < grid.voxel_count(); ++b) {  // b is behind a: z, y, x
      if (region.mask.inside[a] == 0 || region.mask.inside[b] == 0) continue;
      int farthest = 0;
      double squared = 0;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const int d = std::abs(at(a)[axis] - at(b)[axis]);
        farthest = std::max(farthest, d);
        squared += d * d * spacing[axis] * spacing[axis];
      }
      if (farthest != 1 && farthest != 3) continue;
      const auto i = static_cast<std::size_t>(region.image.values[a]),
                 j = static_cast<std::size_t>(region.image.values[b]);
      p[i][j] += std::exp(-squared);
      total += std::exp(-squared);
    }
  }
  double ux = 0, uy = 0, sx = 0, sy = 0, contrast = 0, shade = 0, covariance = 0, entropy = 0;
  const auto sum = [&](const auto& term) {
    double all = 0;
    for (int i = 1; i <= 5; ++i)
      for (int j = 1; j <= 5; ++j) all += p[i][j] / total * term(i, j);
    return all;
  };
  ux = sum([](int i, int) { return i; });
  uy = sum([](int, int j) { return j; });
  sx = std::sqrt(sum([&](int i, int) { return (i - ux) * (i - ux); }));
  sy = std::sqrt(sum([&](int, int j) { return (j - uy) * (j - uy); }));
  contrast = sum([](int i, int j) { return (i - j) * (i - j); });
  shade = sum([&](int i, int j) { return std::pow(i + j - ux - uy, 3); });
  covariance = sum([&](int i, int j) { return (i - ux) * (j - uy); });
  entropy = sum([&](int i, int j) { return -std::log2(p[i][j] / total); });
  EXPECT_NEAR(values.at("glcm JointAverage"), ux, 1e-12);
  EXPECT_NEAR(values.at("glcm SumSquares"), sx * sx, 1e-12);
  EXPECT_NEAR(values.at("glcm Contrast"), contrast, 1e-12);
  EXPECT_NEAR(values.at("glcm ClusterShade"), shade, 1e-12);
  EXPECT_NEAR(values.at("glcm Correlation"), covariance / (sx * sy), 1e-12);
  EXPECT_NEAR(values.at("glcm JointEntropy"), entropy, 1e-12);
}

TEST(PyradiomicsGlcm, OneWayOfMirroredPairsIsTheSymmetricOne) {
  // A region and its mirror image through the origin have each other's pairs the other way round:
  // what does not tell i from j is the same.
  const Region region = RandomRegion(3, {8, 7, 6}, 0.7);
  Region mirrored = region;
  std::reverse(mirrored.image.values.Doubles().begin(), mirrored.image.values.Doubles().end());
  std::reverse(mirrored.mask.inside.begin(), mirrored.mask.inside.end());
  PyradiomicsImageSettings how;
  how.symmetrical_glcm = false;
  const auto a = Values(region, OfLevels(how)), b = Values(mirrored, OfLevels(how));
  for (const char* name : {"Contrast", "Correlation", "JointEntropy", "Imc1", "Imc2", "MCC", "Idn",
                           "MaximumProbability", "ClusterProminence"})
    EXPECT_NEAR(a.at(std::string("glcm ") + name), b.at(std::string("glcm ") + name), 1e-10)
        << name;
  EXPECT_GT(std::abs(a.at("glcm JointAverage") - b.at("glcm JointAverage")), 1e-6);
}

TEST(PyradiomicsSlices, AreTheSameAlongEveryAxis) {
  const Region region = RandomRegion(5, {9, 8, 7}, 0.6);
  PyradiomicsImageSettings how;
  how.force_2d = true;
  how.distances = {1, 2};
  how.weighting = PyradiomicsWeighting::kManhattan;
  const auto expected = Values(region, OfLevels(how));
  // New axes of the old x, y, z: z becomes y, z becomes x.
  how.force_2d_dimension = 1;
  ExpectSame(Values(Turned(region, {0, 2, 1}), OfLevels(how)), expected);
  how.force_2d_dimension = 2;
  ExpectSame(Values(Turned(region, {2, 0, 1}), OfLevels(how)), expected);
}

// Directions along which no two voxels of a region lie are no part of an average.
TEST(PyradiomicsSlices, OfARegionOfOneSliceNeedNotBeAskedFor) {
  Region region = RandomRegion(6, {12, 11, 3}, 0.8);
  PyradiomicsImageSettings how;
  const auto in_volume = Values(region, OfLevels(how));
  how.force_2d = true;
  ExpectSame(in_volume, Values(region, OfLevels(how)));
}

// However an image's numbers are kept, every filter reads the same.
TEST(PyradiomicsImages, KeptInEitherPrecisionHaveTheSameFeatures) {
  Region doubles = RandomRegion(11, {14, 13, 12}, 0.7);
  ASSERT_EQ(doubles.image.values.Doubles().size(), 14 * 13 * 12);
  Region singles = doubles;
  singles.image.values = VoxelValues::Smallest(std::move(singles.image.values.Doubles()));
  PyradiomicsSettings settings;
  settings.images.clear();
  for (const PyradiomicsFilter filter :
       {PyradiomicsFilter::kOriginal, PyradiomicsFilter::kLoG, PyradiomicsFilter::kWavelet,
        PyradiomicsFilter::kSquare, PyradiomicsFilter::kSquareRoot, PyradiomicsFilter::kLogarithm,
        PyradiomicsFilter::kExponential, PyradiomicsFilter::kGradient, PyradiomicsFilter::kLbp2d,
        PyradiomicsFilter::kLbp3d}) {
    PyradiomicsImageType type{filter, {}};
    type.settings.bin_width = 0.5;
    type.settings.sigmas = {{1.5, false}};
    settings.images.push_back(type);
  }
  for (const bool changed : {false, true}) {
    settings.normalize = changed;
    if (changed) settings.resampled_spacing_mm = {0.8, 1.2, 2};
    const auto a = Extract(doubles, settings).features, b = Extract(singles, settings).features;
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_TRUE(a[i].value == b[i].value || (std::isnan(a[i].value) && std::isnan(b[i].value)))
          << a[i].image << " " << a[i].feature_class << " " << a[i].name;
    }
  }
}

TEST(PyradiomicsRegion, IsNormalisedByTheWholeImage) {
  const Region region = RandomRegion(8, {8, 8, 8}, 0.5);
  PyradiomicsSettings settings;
  settings.normalize = true;
  settings.normalize_scale = 100;
  const auto values = Values(region, settings);
  const IntensityFeatures whole = IntensityStatistics(region.image.values.AsDoubles()),
                          inside = IntensityStatistics(region.inside());
  const double n = static_cast<double>(region.image.values.size());
  const double deviation = std::sqrt(whole.variance * n / (n - 1));
  EXPECT_NEAR(values.at("firstorder Mean"), 100 * (inside.mean - whole.mean) / deviation, 1e-10);
  EXPECT_NEAR(values.at("firstorder Maximum"), 100 * (5 - whole.mean) / deviation, 1e-10);
  settings.remove_outliers = 0.5;
  EXPECT_NEAR(Values(region, settings).at("firstorder Maximum"), 50, 1e-12);
  Region flat = region;
  flat.image.values.Doubles().assign(flat.image.values.size(), 3);
  EXPECT_FALSE(PyradiomicsFeatures(flat.image, flat.mask, settings).has_value());
}

TEST(PyradiomicsRegion, IsResegmentedInEachMode) {
  const Region region = RandomRegion(9, {8, 8, 8}, 0.7);
  const auto kept = [&](std::vector<double> range, PyradiomicsResegmentMode mode) {
    PyradiomicsSettings settings = OfLevels();
    settings.resegment_range = std::move(range);
    settings.resegment_mode = mode;
    return Extract(region, settings).diagnostics.resegmented_voxel_count;
  };
  const auto count = [&](double low, double high) {
    const std::vector<double> inside = region.inside();
    return std::count_if(inside.begin(), inside.end(),
                         [&](double x) { return x >= low && x <= high; });
  };
  using Mode = PyradiomicsResegmentMode;
  EXPECT_EQ(kept({2, 4}, Mode::kAbsolute), count(2, 4));
  EXPECT_EQ(kept({4, 2}, Mode::kAbsolute), count(2, 4));
  EXPECT_EQ(kept({3}, Mode::kAbsolute), count(3, 9));
  EXPECT_EQ(kept({0.4, 0.8}, Mode::kRelative), count(2, 4));
  const IntensityFeatures f = IntensityStatistics(region.inside());
  const double deviation = std::sqrt(f.variance);
  EXPECT_EQ(kept({-1, 1}, Mode::kSigma), count(f.mean - deviation, f.mean + deviation));
  PyradiomicsSettings none;
  none.resegment_range = {7};
  EXPECT_EQ(PyradiomicsFeatures(region.image, region.mask, none).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(PyradiomicsRegion, OfWhichShapeIsCutToTheBoxOfWhatResegmentationLeft) {
  Region region = RandomRegion(2, {8, 8, 8}, 1);
  region.image.values.Doubles().assign(512, 1);
  for (int x = 2; x < 5; ++x) region.image.values.Doubles()[region.image.grid.Index(x, 3, 3)] = 4;
  region.image.values.Doubles()[region.image.grid.Index(2, 4, 3)] = 4;
  PyradiomicsSettings settings;
  settings.resegment_range = {4, 4};
  settings.classes = {{"shape", {"VoxelVolume"}}};
  const double voxel = region.image.grid.voxel_volume_mm3();
  const auto cut = Extract(region, settings);
  EXPECT_DOUBLE_EQ(cut.features[0].value, 6 * voxel);
  EXPECT_NE(cut.diagnostics.warnings[0].find("6 of the region's 216"), std::string::npos);
  settings.resegment_shape = true;
  EXPECT_DOUBLE_EQ(Extract(region, settings).features[0].value, 4 * voxel);
}

TEST(PyradiomicsRegion, MustBeLargeEnough) {
  Region region = RandomRegion(2, {6, 6, 6}, 0);
  const auto refused = [&](const PyradiomicsSettings& settings) {
    const auto extraction = PyradiomicsFeatures(region.image, region.mask, settings);
    return extraction ? std::string("taken") : extraction.error().message;
  };
  EXPECT_NE(refused({}).find("no voxel"), std::string::npos);
  region.mask.inside[region.mask.grid.Index(2, 2, 2)] = 1;
  EXPECT_NE(refused({}).find("a single voxel"), std::string::npos);
  region.mask.inside[region.mask.grid.Index(3, 2, 2)] = 1;
  EXPECT_NE(refused({}).find("minimumROIDimensions"), std::string::npos);
  PyradiomicsSettings settings;
  settings.minimum_roi_dimensions = 1;
  EXPECT_EQ(refused(settings), "taken");
  settings.minimum_roi_size = 2;
  EXPECT_NE(refused(settings).find("minimumROISize"), std::string::npos);
  settings = {};
  settings.images[0].settings.bin_width = 0;
  EXPECT_NE(refused(settings).find("binWidth = 0"), std::string::npos);
  region.mask.grid.spacing_mm[0] += 1;
  EXPECT_NE(refused({}).find("different grids"), std::string::npos);
}

TEST(PyradiomicsFeatures, ComeInTheOrderOfColumns) {
  const Region region = RandomRegion(5, {12, 12, 12}, 0.5);
  PyradiomicsSettings settings;
  settings.images = {{PyradiomicsFilter::kOriginal, {}},
                     {PyradiomicsFilter::kLoG, {}},
                     {PyradiomicsFilter::kWavelet, {}},
                     {PyradiomicsFilter::kSquareRoot, {}}};
  settings.images[1].settings.sigmas = {{1.5, false}, {2, true}, {2, false}, {40, false}};
  settings.images[2].settings.wavelet_levels = 2;
  settings.classes = {{"glcm", {"Id", "Dissimilarity", "Contrast", "Id"}},
                      {"shape", {"Flatness", "Compactness1"}},
                      {"firstorder", {"Variance", "StandardDeviation"}}};
  const auto extraction = Extract(region, settings);
  std::vector<std::string> names;
  for (const auto& f : extraction.features)
    names.push_back(f.image + " " + std::string(f.feature_class) + " " + std::string(f.name));
  ASSERT_GE(names.size(), 8U);
  EXPECT_EQ(std::vector<std::string>(names.begin(), names.begin() + 7),
            (std::vector<std::string>{
                "original shape Flatness", "original shape Compactness1", "original glcm Id",
                "original glcm Contrast", "original firstorder Variance",
                "original firstorder StandardDeviation", "log-sigma-1-5-mm-3D glcm Id"}));
  EXPECT_DOUBLE_EQ(extraction.features[5].value, std::sqrt(extraction.features[4].value));
  std::vector<std::string> images;
  for (const auto& count : extraction.diagnostics.level_counts) images.push_back(count.image);
  EXPECT_EQ(images,
            (std::vector<std::string>{
                "original",     "log-sigma-1-5-mm-3D", "log-sigma-2-mm-3D", "log-sigma-2-0-mm-3D",
                "wavelet-LLH",  "wavelet-LHL",         "wavelet-LHH",       "wavelet-HLL",
                "wavelet-HLH",  "wavelet-HHL",         "wavelet-HHH",       "wavelet2-LLH",
                "wavelet2-LHL", "wavelet2-LHH",        "wavelet2-HLL",      "wavelet2-HLH",
                "wavelet2-HHL", "wavelet2-HHH",        "wavelet2-LLL",      "squareroot"}));
  const auto& warnings = extraction.diagnostics.warnings;
  EXPECT_TRUE(std::any_of(warnings.begin(), warnings.end(), [](const std::string& warning) {
    return warning.starts_with("log-sigma-40-0-mm-3D is left out");
  }));
}

TEST(PyradiomicsFeatures, OfShape2dAreOfOneSlice) {
  Region region = RandomRegion(5, {9, 8, 3}, 0.8);
  PyradiomicsSettings settings;
  settings.classes = {{"shape2D", {}}};
  EXPECT_TRUE(Extract(region, settings).features.empty());
  settings.force_2d = true;
  EXPECT_EQ(Extract(region, settings).features.size(), 9U);
  const auto values = Values(region, settings);
  for (const int dimension : {1, 2}) {
    settings.force_2d_dimension = dimension;
    ExpectSame(Values(Turned(region, dimension == 1 ? std::array<std::size_t, 3>{0, 2, 1}
                                                    : std::array<std::size_t, 3>{2, 0, 1}),
                      settings),
               values);
  }
  settings.force_2d_dimension = 1;
  EXPECT_FALSE(PyradiomicsFeatures(region.image, region.mask, settings).has_value());
}

TEST(PyradiomicsFeatures, OfACroppedImageAreThoseOfTheImage) {
  const Region region = RandomRegion(5, {9, 8, 7}, 0.05);
  PyradiomicsSettings settings = OfLevels();
  const auto whole = Values(region, settings);
  settings.pre_crop = true;
  settings.pad_distance = 1;
  ExpectSame(Values(region, settings), whole);
  settings.pre_crop = false;
  settings.resampled_spacing_mm = {0, 0, 0};
  ExpectSame(Values(region, settings), whole);
}

TEST(Discretisation, HasPyradiomicsEdgesToTheBit) {
  Discretisation how;
  how.pyradiomics_edges = true;
  how.bin_width = 0.1;
  // numpy.arange's edges: 0.1 + 2 * 0.1 is 0.30000000000000004, above 0.3.
  const std::vector<double> values = {0.1, 0.2, 0.3, 0.30000000000000004, 0.4};
  EXPECT_EQ(Discretise(values, how)->levels, (std::vector<std::uint16_t>{1, 2, 2, 3, 4}));
  how.bin_width = 25;
  EXPECT_EQ(Discretise(std::vector<double>{-30, -25, -1, 0, 25}, how)->levels,
            (std::vector<std::uint16_t>{1, 2, 2, 3, 4}));
  how.method = Discretisation::Method::kFixedBinNumber;
  how.bin_count = 64;
  EXPECT_EQ(Discretise(std::vector<double>{7, 7}, how)->levels,
            (std::vector<std::uint16_t>{33, 33}));
  how.bin_count = 4;
  EXPECT_EQ(Discretise(std::vector<double>{0, 1, 2, 3, 4}, how)->levels,
            (std::vector<std::uint16_t>{1, 2, 3, 4, 4}));
}

// Where edges would be one number no bin can be found: an error, not a search without end.
TEST(Discretisation, RefusesBinsThatAreNarrowerThanTheIntensitiesCanTell) {
  Discretisation how;
  how.pyradiomics_edges = true;
  how.bin_width = 1;
  const std::vector<double> large = {1e17, 1e17};
  EXPECT_EQ(Discretise(large, how).error().code, ErrorCode::kOutOfRange);
  how.method = Discretisation::Method::kFixedBinNumber;
  EXPECT_EQ(Discretise(large, how).error().code, ErrorCode::kOutOfRange);
}

TEST(PyradiomicsGlcm, OfMoreLevelsThanATableHoldsIsRefused) {
  Region region = RandomRegion(3, {6, 6, 6}, 1);
  region.image.values.Doubles()[region.image.grid.Index(2, 2, 2)] = 5002;
  const auto extraction = PyradiomicsFeatures(region.image, region.mask, OfLevels());
  EXPECT_EQ(extraction.error().code, ErrorCode::kOutOfRange);
  EXPECT_NE(extraction.error().message.find("original: "), std::string::npos);
}

TEST(IntensityStatistics, OfManyUnequalValuesSortThemAll) {
  Rng rng(1, "values");
  std::vector<double> values;
  for (int i = 0; i < 5000; ++i)
    values.push_back(i % 3 == 0 ? static_cast<double>(static_cast<float>(rng.Normal()))
                                : 1e5 * rng.Normal());
  const IntensityFeatures f = IntensityStatistics(values);
  std::sort(values.begin(), values.end());
  EXPECT_EQ(f.minimum, values.front());
  EXPECT_EQ(f.maximum, values.back());
  EXPECT_EQ(f.median, values[2499] + 0.5 * (values[2500] - values[2499]));
  const double rank = 4999 * 0.1;
  EXPECT_EQ(f.percentile_10, values[499] + (rank - 499) * (values[500] - values[499]));
}

}  // namespace
}  // namespace consilium::engine
