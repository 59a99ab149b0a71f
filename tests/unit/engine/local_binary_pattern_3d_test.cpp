#include "engine/filter/local_binary_pattern_3d.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>
#include <string>
#include <vector>

#include "engine/interpolation.h"
#include "engine/pyradiomics.h"
#include "tests/unit/engine/box_of_image.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

using Options = LocalBinaryPattern3dOptions;
using Point = std::array<double, 3>;

LocalBinaryPatterns3dImages Patterns(const Image& image, const Options& options, const Box& box) {
  auto patterns = LocalBinaryPatterns3d(image, options, box);
  EXPECT_TRUE(patterns.has_value()) << patterns.error().message;
  return patterns ? std::move(*patterns) : LocalBinaryPatterns3dImages{};
}

// Whole numbers from -50 to 50.
Image Numbers(NumberKind kind) {
  Image image{{{6, 5, 4}, {0.7, 1, 2.5}}, {}, kind};
  for (int i = 0; i < 120; ++i) image.values.Doubles().push_back((i * i * 7 + i * 13) % 101 - 50);
  return image;
}
constexpr NumberKind kShort = {true, -32768, 32767};

// Of a second implementation, written for this: PyRadiomics' formula word by word in complex
// numbers, splines by elimination of their linear systems.
struct Facts {
  std::size_t voxel;
  std::vector<double> norms;
  double kurtosis;
};
void ExpectFacts(const LocalBinaryPatterns3dImages& patterns, const std::vector<Facts>& facts) {
  for (const auto& [voxel, norms, kurtosis] : facts) {
    ASSERT_EQ(patterns.norms.size(), norms.size());
    for (std::size_t n = 0; n < norms.size(); ++n)
      EXPECT_NEAR(patterns.norms[n].values[voxel], norms[n], 1e-12 * norms[n]) << voxel << " " << n;
    EXPECT_NEAR(patterns.kurtosis.values[voxel], kurtosis, 1e-11) << voxel;
  }
}

TEST(LocalBinaryPatterns3d, OfWholeNumbersAreThoseOfASecondImplementation) {
  const Image image = Numbers(kShort);
  ExpectFacts(Patterns(image, {}, Whole(image.grid)),
              {{20, {19.59739642392022, 16.21639043746668}, 2.669957328179447},
               {37, {6.704372460814818, 8.727863319590925}, -0.2279876620738679},
               {44, {1.031441917048433, 1.6872958100858}, -0.6257280837460626},
               {70, {4.641488626717948, 4.14662996665666}, -0.4240611318012601},
               {81, {21.66028025801709, 18.40180621596328}, -1.246896438970735},
               {107, {20.62883834096865, 16.84957035093436}, 7.450914267371136}});
  ExpectFacts(Patterns(image, {4, 1.5, 0}, Whole(image.grid)),
              {{20,
                {3.032308924819857, 2.402648407826334, 2.252471412020285, 0.5874293813107097},
                -0.390037413157418},
               {37,
                {0.551328895421792, 0.7947775187339697, 0.8506623636729899, 1.048941570908396},
                -0.3370285171954537},
               {107,
                {3.032308924819857, 2.240560124381935, 1.670015774332521, 2.238348124253622},
                0.06440406757765116}});
}

TEST(LocalBinaryPatterns3d, OfOtherNumbersAreThoseOfASecondImplementation) {
  const Image image = Numbers({});
  ExpectFacts(
      Patterns(image, {3, 1.25, 2}, Whole(image.grid)),
      {{20, {158.0055134855722, 136.7544664610348, 129.1257021582893}, 2.770827195653157},
       {37, {39.50137837139294, 49.88969427983541, 35.03697995964496}, 0.4836476359135693},
       {44, {4.051423422706971, 6.77645433323223, 7.195857145134326}, -0.06156087197040838},
       {70, {18.23140540218139, 16.84953181392914, 12.2568058410577}, 0.06667643353027541},
       {107, {156.9926576298955, 135.0709301055835, 119.7073544998827}, 3.652288394234016}});
}

// Corners of an icosahedron and the middles of its edges.
std::vector<Point> Sphere(double radius) {
  const double golden = std::numbers::phi;
  std::vector<Point> corners, points;
  for (const double a : {-1.0, 1.0}) {
    for (const double b : {-golden, golden})
      corners.insert(corners.end(), {{0, a, b}, {a, b, 0}, {b, 0, a}});
  }
  const auto add = [&](Point p) {
    const double length = std::hypot(p[0], p[1], p[2]);
    for (double& x : p) x *= radius / length;
    points.push_back(p);
  };
  for (std::size_t i = 0; i < corners.size(); ++i) {
    const Point& p = corners[i];
    add(p);
    for (std::size_t j = 0; j < i; ++j) {
      const Point& q = corners[j];
      if (std::hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]) < 2.1)
        add({p[0] + q[0], p[1] + q[1], p[2] + q[2]});
    }
  }
  return points;
}

// Y_mn as SciPy's sph_harm(m, n, azimuth, polar).
std::complex<double> Harmonic(int m, int n, double azimuth, double polar) {
  if (m < 0) return (m % 2 == 0 ? 1.0 : -1.0) * std::conj(Harmonic(-m, n, azimuth, polar));
  double part = (2 * n + 1) / (4 * std::numbers::pi);
  for (int k = n - m + 1; k <= n + m; ++k) part /= k;
  const auto degree = static_cast<unsigned>(n), order = static_cast<unsigned>(m);
  return (m % 2 == 0 ? 1.0 : -1.0) * std::sqrt(part) *
         std::assoc_legendre(degree, order, std::cos(polar)) * std::polar(1.0, m * azimuth);
}

// A box far smaller than its image, from all of the image and in complex numbers.
TEST(LocalBinaryPatterns3d, OfABoxAreTheComplexFormulaOfTheWholeImage) {
  const Image image = RandomRegion(11, {14, 60, 9}, 1).image;
  Image splines = image;
  for (std::size_t axis = 0; axis < 3; ++axis) ToSplineCoefficients(splines, axis);
  const Box box{{9, 2, 3}, {13, 5, 4}, false};
  const Options options = {5, 2.3, 1};
  const std::vector<Point> points = Sphere(options.radius);
  ASSERT_EQ(points.size(), 42U);
  const LocalBinaryPatterns3dImages patterns = Patterns(image, options, box);
  ASSERT_EQ(patterns.norms.size(), 5U);
  std::size_t next = 0;
  for (int z = 3; z <= 4; ++z) {
    for (int y = 2; y <= 5; ++y) {
      for (int x = 9; x <= 13; ++x, ++next) {
        std::vector<Point> above;
        for (const Point& p : points) {
          const std::array<double, 3> at = {x + p[2], y + p[1], z + p[0]};
          std::array<Taps, 3> taps;
          bool outside = false;
          for (std::size_t axis = 0; axis < 3; ++axis) {
            outside = outside || at[axis] < 0 || at[axis] > image.grid.size[axis] - 1;
            taps[axis] = TapsAt(at[axis], image.grid.size[axis], Interpolation::kCubicSpline);
          }
          double t = 0;
          for (std::size_t i = 0; i < 64 && !outside; ++i) {
            const std::size_t a = i % 4, b = i / 4 % 4, c = i / 16;
            t += taps[0].weight[a] * taps[1].weight[b] * taps[2].weight[c] *
                 splines.values[image.grid.Index(taps[0].at[a], taps[1].at[b], taps[2].at[c])];
          }
          if (t >= image.values[image.grid.Index(x, y, z)]) above.push_back(p);
        }
        for (int n = 0; n < 5; ++n) {
          const auto harmonic = [&](int m, const Point& p) {
            return Harmonic(m, n, std::acos(p[2] / options.radius), std::atan2(p[1], p[0]));
          };
          std::vector<std::complex<double>> f(points.size());
          for (int m = -n; m <= n; ++m) {
            std::complex<double> sum = 0;
            for (const Point& p : above) sum += harmonic(m, p);
            for (std::size_t v = 0; v < f.size(); ++v) f[v] += sum * harmonic(m, points[v]);
          }
          std::complex<double> squares = 0;
          for (const std::complex<double>& value : f) squares += value * value;
          EXPECT_NEAR(patterns.norms[static_cast<std::size_t>(n)].values[next],
                      std::sqrt(squares).real(), 1e-11);
        }
      }
    }
  }
}

TEST(LocalBinaryPatterns3d, OfAFlatImageAreOfAllPointsThatAreWithinIt) {
  for (const NumberKind& kind : {NumberKind{}, kShort}) {
    Image image{{{7, 7, 7}, {1, 2, 3}}, std::vector<double>(343, kind.whole ? 7 : 0.1), kind};
    const LocalBinaryPatterns3dImages patterns = Patterns(image, {}, Whole(image.grid));
    const double all = std::sqrt(42) * 42 / (4 * std::numbers::pi);
    const std::size_t middle = image.grid.Index(3, 3, 3), corner = 0;
    EXPECT_NEAR(patterns.norms[0].values[middle], all, 1e-12);
    EXPECT_EQ(patterns.kurtosis.values[middle], -3);
    // In an octant and on its faces are 9 of the 42 points; the others are outside.
    EXPECT_NEAR(patterns.norms[0].values[corner], all * 9 / 42, 1e-12);
    EXPECT_GT(patterns.kurtosis.values[corner], -3);
    EXPECT_FALSE(patterns.norms[0].numbers.whole);
  }
}

TEST(LocalBinaryPatterns3d, HaveBounds) {
  const Image image = Numbers(kShort);
  for (const Options& wrong : {Options{1, 1, 1}, Options{11, 1, 1}, Options{2, 0, 1},
                               Options{2, INFINITY, 1}, Options{2, 1, -1}, Options{2, 1, 4}}) {
    const auto patterns = LocalBinaryPatterns3d(image, wrong, Whole(image.grid));
    ASSERT_FALSE(patterns.has_value());
    EXPECT_EQ(patterns.error().code, ErrorCode::kInvalidArgument);
  }
  // Every point of so large a sphere is outside.
  const auto far = Patterns(image, {2, 1e12, 1}, Whole(image.grid));
  EXPECT_EQ(far.kurtosis.values[0], -3);
}

TEST(PyradiomicsFeatures, OfPatternsInSpaceAreOfAnImageALevelAndOfKurtosis) {
  Region region = RandomRegion(5, {8, 8, 8}, 0.5);
  PyradiomicsSettings settings;
  settings.images = {{PyradiomicsFilter::kLbp3d, {}}};
  settings.images[0].settings.lbp_3d_levels = 3;
  settings.classes = {{"firstorder", {"Maximum"}}};
  const auto extraction = PyradiomicsFeatures(region.image, region.mask, settings);
  ASSERT_TRUE(extraction.has_value()) << extraction.error().message;
  ASSERT_EQ(extraction->features.size(), 4U);
  const auto patterns = Patterns(region.image, {3, 1, 1}, Whole(region.image.grid));
  for (std::size_t i = 0; i < 4; ++i) {
    const Image& image = i < 3 ? patterns.norms[i] : patterns.kurtosis;
    double most = -3;
    for (std::size_t v = 0; v < image.values.size(); ++v)
      if (region.mask.inside[v] != 0) most = std::max(most, image.values[v]);
    const auto& feature = extraction->features[i];
    EXPECT_EQ(feature.image, i < 3 ? "lbp-3D-m" + std::to_string(i + 1) : "lbp-3D-k");
    EXPECT_NEAR(feature.value, most, 1e-12);
  }
}

}  // namespace
}  // namespace consilium::engine
