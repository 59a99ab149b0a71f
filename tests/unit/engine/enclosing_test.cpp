// The smallest box and the smallest ellipsoid around points: bodies of which both are known, laws
// under turns and stretches, and searches that know nothing of how they are found.
#include <gtest/gtest.h>

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/rng.h"
#include "engine/enclosing_box.h"
#include "engine/enclosing_ellipsoid.h"
#include "engine/morphology.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

using Eigen::Matrix3d;
using Eigen::Vector3d;
using Points = std::vector<Point>;

Vector3d ToVector(const Point& p) { return {p[0], p[1], p[2]}; }

Points Mapped(const Points& points, const Matrix3d& by, const Vector3d& shift = Vector3d::Zero()) {
  Points mapped;
  for (const Point& point : points) {
    const Vector3d at = by * ToVector(point) + shift;
    mapped.push_back({at[0], at[1], at[2]});
  }
  return mapped;
}

// By rational sines and cosines: about z, x and z again.
Matrix3d Turn() {
  Matrix3d z, x;
  z << 0.6, -0.8, 0, 0.8, 0.6, 0, 0, 0, 1;
  x << 1, 0, 0, 0, 5.0 / 13, -12.0 / 13, 0, 12.0 / 13, 5.0 / 13;
  return z * x * z;
}

// The corners of a box around the origin.
Points Corners(double x, double y, double z) {
  Points corners;
  for (int c = 0; c < 8; ++c) {
    corners.push_back({(c & 1) != 0 ? x / 2 : -x / 2, (c & 2) != 0 ? y / 2 : -y / 2,
                       (c & 4) != 0 ? z / 2 : -z / 2});
  }
  return corners;
}

const Points kTetrahedron = {{1, 1, 1}, {1, -1, -1}, {-1, 1, -1}, {-1, -1, 1}};
const Points kOctahedron = {{1, 0, 0}, {-1, 0, 0}, {0, 1, 0}, {0, -1, 0}, {0, 0, 1}, {0, 0, -1}};

Points RandomPoints(std::uint64_t seed, int count) {
  Rng rng(seed, "points");
  Points points;
  for (int i = 0; i < count; ++i)
    points.push_back({10 * rng.Normal() + 3, 15 * rng.Normal(), 4 * rng.Normal() - 20});
  return points;
}

EnclosingBox BoxAround(const Points& points) {
  const auto hull = ConvexHullOf(points);
  EXPECT_TRUE(hull.has_value());
  return hull ? SmallestBoxAround(*hull) : EnclosingBox{};
}

EnclosingEllipsoid EllipsoidAround(const Points& points) {
  const auto ellipsoid = SmallestEllipsoidAround(points);
  EXPECT_TRUE(ellipsoid.has_value());
  return ellipsoid.value_or(EnclosingEllipsoid{});
}

Vector3d ExtentAlong(const Points& points, const Matrix3d& axes) {
  Vector3d low = axes * ToVector(points[0]), high = low;
  for (const Point& point : points) {
    low = low.cwiseMin(axes * ToVector(point));
    high = high.cwiseMax(axes * ToVector(point));
  }
  return high - low;
}

Matrix3d RandomTurn(Rng& rng) {
  return Eigen::Quaterniond(rng.Normal(), rng.Normal(), rng.Normal(), rng.Normal())
      .normalized()
      .toRotationMatrix();
}

// The least volume that random turns find, each made better by ever smaller ones.
double ByTurning(const Points& points, std::uint64_t seed) {
  Rng rng(seed, "turns");
  double least = ExtentAlong(points, Matrix3d::Identity()).prod();
  for (int start = 0; start < 60; ++start) {
    Matrix3d axes = RandomTurn(rng);
    double here = ExtentAlong(points, axes).prod();
    int failed = 0;
    for (double size = 0.3; size > 1e-7;) {
      const Eigen::Quaterniond little(1, size * rng.Normal(), size * rng.Normal(),
                                      size * rng.Normal());
      const Matrix3d turned = little.normalized().toRotationMatrix() * axes;
      const double there = ExtentAlong(points, turned).prod();
      if (there < here) {
        here = there;
        axes = turned;
        failed = 0;
      } else if (++failed == 12) {
        size /= 2;
        failed = 0;
      }
    }
    least = std::min(least, here);
  }
  return least;
}

TEST(SmallestBox, AroundABoxIsThatBoxHoweverItLies) {
  for (const Matrix3d& turn : {Matrix3d(Matrix3d::Identity()), Turn()}) {
    const EnclosingBox box = BoxAround(Mapped(Corners(2, 3, 7), turn, {100, -20, 3}));
    EXPECT_NEAR(box.volume_mm3(), 42, 42e-9);
    EXPECT_NEAR(box.area_mm2(), 82, 82e-9);
    std::array<double, 3> sides = box.sides_mm;
    std::sort(sides.begin(), sides.end());
    EXPECT_NEAR(sides[0], 2, 1e-8);
    EXPECT_NEAR(sides[2], 7, 1e-8);
  }
}

TEST(SmallestBox, AroundATetrahedronIsACube) {
  const EnclosingBox box = BoxAround(Mapped(kTetrahedron, Turn()));
  EXPECT_NEAR(box.volume_mm3(), 8, 8e-9);
  EXPECT_NEAR(box.area_mm2(), 24, 24e-8);
}

// A box with a side on one of its faces has at least 8 / 3: twelve hundredths more.
TEST(SmallestBox, AroundAnOctahedronLiesOnNoFace) {
  const EnclosingBox box = BoxAround(Mapped(kOctahedron, Turn()));
  EXPECT_NEAR(box.volume_mm3(), 64.0 / 27, 64e-9);
  for (const double side : box.sides_mm) EXPECT_NEAR(side, 4.0 / 3, 1e-5);
}

TEST(SmallestBox, IsNoLargerThanWhatASearchFindsAndIsFoundByIt) {
  for (std::uint64_t seed = 0; seed < 24; ++seed) {
    const Points points = RandomPoints(seed, 5 + 2 * static_cast<int>(seed));
    const double ours = BoxAround(points).volume_mm3(), theirs = ByTurning(points, seed);
    EXPECT_GE(theirs, ours * (1 - 2e-9)) << seed;
    EXPECT_LE(theirs, ours * 1.002) << seed;
  }
}

TEST(SmallestBox, HoldsAllPointsBetweenTheHullAndTheBoxAlongTheAxes) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Points points = RandomPoints(seed, 60);
    const EnclosingBox box = BoxAround(points);
    Matrix3d axes;
    for (int k = 0; k < 3; ++k) axes.row(k) = ToVector(box.axes[static_cast<std::size_t>(k)]);
    EXPECT_TRUE((axes * axes.transpose()).isIdentity(1e-9)) << seed;
    const Vector3d extent = ExtentAlong(points, axes);
    for (int k = 0; k < 3; ++k)
      EXPECT_NEAR(extent[k], box.sides_mm[static_cast<std::size_t>(k)], 1e-9 * extent[k]) << seed;
    EXPECT_GT(box.volume_mm3(), ConvexHullOf(points)->volume_mm3) << seed;
    EXPECT_LE(box.volume_mm3(), ExtentAlong(points, Matrix3d::Identity()).prod()) << seed;
  }
}

TEST(SmallestBox, TurnsWithThePointsAndGrowsWithThem) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Points points = RandomPoints(seed, 40);
    const EnclosingBox box = BoxAround(points),
                       turned = BoxAround(Mapped(points, 3 * Turn(), {1, 2, 3}));
    EXPECT_NEAR(turned.volume_mm3() / box.volume_mm3(), 27, 27e-8) << seed;
    EXPECT_NEAR(turned.area_mm2() / box.area_mm2(), 9, 9e-6) << seed;
  }
}

// Voxels make faces of many corners and edges along the axes, where much is at right angles.
TEST(SmallestBox, OfVoxelsIsThatOfASearch) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    const auto side = static_cast<int>(4 + seed % 4);
    const Region region = RandomRegion(seed, {side, side + 1, 5}, 0.4,
                                       {1, seed % 2 == 0 ? 1.0 : 1.5, seed % 3 == 0 ? 1.0 : 4.0});
    const Points points = SurfaceOf(region.mask).outermost;
    const double ours = BoxAround(points).volume_mm3(), theirs = ByTurning(points, seed);
    EXPECT_GE(theirs, ours * (1 - 2e-9)) << seed;
    EXPECT_LE(theirs, ours * 1.002) << seed;
  }
}

TEST(SmallestEllipsoid, AroundABoxIsKnown) {
  const auto ellipsoid = EllipsoidAround(Mapped(Corners(2, 3, 7), Turn(), {100, -20, 3}));
  const double root = std::sqrt(3.0);
  EXPECT_NEAR(ellipsoid.semi_axes_mm[0], 3.5 * root, 1e-8);
  EXPECT_NEAR(ellipsoid.semi_axes_mm[1], 1.5 * root, 1e-8);
  EXPECT_NEAR(ellipsoid.semi_axes_mm[2], root, 1e-8);
  EXPECT_NEAR(ellipsoid.centre[0], 100, 1e-7);
}

TEST(SmallestEllipsoid, OfPointsOnAnEllipsoidIsThatEllipsoid) {
  Rng rng(3, "sphere");
  Points points = kOctahedron;  // they alone make it the smallest
  for (int i = 0; i < 200; ++i) {
    const Vector3d at = Vector3d(rng.Normal(), rng.Normal(), rng.Normal()).normalized();
    points.push_back({at[0], at[1], at[2]});
  }
  const Matrix3d stretch = Vector3d(9, 2, 5).asDiagonal();
  const auto ellipsoid = EllipsoidAround(Mapped(points, Turn() * stretch, {-4, 5, 60}));
  EXPECT_NEAR(ellipsoid.semi_axes_mm[0], 9, 1e-5);
  EXPECT_NEAR(ellipsoid.semi_axes_mm[1], 5, 1e-5);
  EXPECT_NEAR(ellipsoid.semi_axes_mm[2], 2, 1e-5);
  EXPECT_NEAR(ellipsoid.volume_mm3(), 120 * std::numbers::pi, 1e-6);
  for (std::size_t k = 0; k < 3; ++k)
    EXPECT_NEAR(ellipsoid.centre[k], (std::array<double, 3>{-4, 5, 60})[k], 1e-4);
}

// Every tetrahedron is an image of the regular one, whose ellipsoid is its sphere.
TEST(SmallestEllipsoid, AroundFourPointsHasTheirVolumeTimesAConstant) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Points points = RandomPoints(seed, 4);
    Matrix3d sides;
    for (int k = 0; k < 3; ++k)
      sides.col(k) = ToVector(points[static_cast<std::size_t>(k) + 1]) - ToVector(points[0]);
    const double volume = std::abs(sides.determinant()) / 6;
    const double of_regular = 4 * std::numbers::pi * std::sqrt(3.0) / (8.0 / 3);
    const auto ellipsoid = EllipsoidAround(points);
    EXPECT_NEAR(ellipsoid.volume_mm3() / volume, of_regular, 1e-8 * of_regular) << seed;
    EXPECT_LE(ellipsoid.gap, 1e-9);
  }
}

TEST(SmallestEllipsoid, HoldsAllPointsAndNoOtherThatDoesIsSmaller) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Points points = RandomPoints(seed, 80);
    const auto ellipsoid = EllipsoidAround(points);
    Matrix3d to_sphere;
    for (int k = 0; k < 3; ++k) {
      const auto axis = static_cast<std::size_t>(k);
      to_sphere.row(k) = ToVector(ellipsoid.axes[axis]) / ellipsoid.semi_axes_mm[axis];
    }
    const auto reach = [&](const Matrix3d& by, const Vector3d& centre) {
      double most = 0;
      for (const Point& point : points)
        most = std::max(most, (by * (ToVector(point) - centre)).norm());
      return most;
    };
    const Vector3d centre = ToVector(ellipsoid.centre);
    EXPECT_LE(reach(to_sphere, centre), 1 + 1e-10) << seed;
    // Another shape and centre, as large as it must be, and how much larger than ours that is.
    Rng rng(seed, "others");
    for (int other = 0; other < 400; ++other) {
      const double size = std::pow(0.5, other % 20);
      Matrix3d change = Matrix3d::Identity();
      for (double& entry : change.reshaped()) entry += size * rng.Normal();
      Vector3d shift;
      for (double& entry : shift) entry = size * rng.Normal();
      const Matrix3d by = change * to_sphere;
      const double scale = reach(by, centre + to_sphere.inverse() * shift);
      EXPECT_GE(scale * scale * scale / std::abs(change.determinant()), 1 - 3e-9)
          << seed << " " << size;
    }
  }
}

TEST(SmallestEllipsoid, FollowsAnyStretch) {
  Matrix3d stretch;
  stretch << 2, 1, -4, 0.5, 3, 0, 7, -1, 0.25;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Points points = RandomPoints(seed, 50);
    const double before = EllipsoidAround(points).volume_mm3(),
                 after = EllipsoidAround(Mapped(points, stretch, {8, 8, 8})).volume_mm3();
    EXPECT_NEAR(after / before / std::abs(stretch.determinant()), 1, 3e-9) << seed;
  }
}

TEST(SmallestEllipsoid, RefusesWhatIsFlat) {
  EXPECT_EQ(SmallestEllipsoidAround(Points{{0, 0, 0}, {1, 0, 0}, {0, 1, 0}}).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(
      SmallestEllipsoidAround(Points{{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {1, 1, 0}}).error().code,
      ErrorCode::kInvalidArgument);
}

// An octahedron, as the mesh of one voxel is.
TEST(Morphology, OfOneVoxelHasKnownDensities) {
  Region region = RandomRegion(1, {3, 3, 3}, 1, {2, 2, 2});
  const auto f = Morphology(region.image, region.mask, region.mask);
  ASSERT_TRUE(f.has_value());
  const double area = 4 * std::sqrt(3.0);
  EXPECT_NEAR(f->volume_density_ombb, 4.0 / 3 / (64.0 / 27), 1e-8);
  EXPECT_NEAR(f->area_density_ombb, area / (6 * 16.0 / 9), 1e-8);
  EXPECT_NEAR(f->volume_density_mvee, 1 / std::numbers::pi, 1e-8);
  EXPECT_NEAR(f->area_density_mvee, area / (4 * std::numbers::pi), 1e-8);
  const auto without = ShapeOf(region.mask);
  ASSERT_TRUE(without.has_value());
  EXPECT_EQ(without->volume_density_aabb, f->volume_density_aabb);
  EXPECT_TRUE(std::isnan(without->volume_density_ombb));
}

TEST(Morphology, DensitiesAreInOrder) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const Region region = RandomRegion(seed, {9, 8, seed == 0 ? 3 : 7}, 0.5);
    const auto f = Morphology(region.image, region.mask, region.mask);
    ASSERT_TRUE(f.has_value());
    EXPECT_LE(f->volume_density_aabb, f->volume_density_ombb * (1 + 1e-12)) << seed;
    EXPECT_LT(f->volume_density_ombb, f->volume_density_convex_hull) << seed;
    EXPECT_LT(f->volume_density_mvee, f->volume_density_convex_hull) << seed;
  }
}

}  // namespace
}  // namespace consilium::engine
