#include "engine/morphology.h"

#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/portable_math.h"
#include "engine/convex_hull.h"
#include "engine/enclosing_box.h"
#include "engine/enclosing_ellipsoid.h"
#include "engine/spatial_correlation.h"

namespace consilium::engine {
namespace {

constexpr double kPi = std::numbers::pi;

template <typename Work>
void ForEachInside(const Mask& mask, const Work& work) {
  const Box box = BoundingBoxOf(mask);
  if (box.empty) return;
  for (int z = box.first[2]; z <= box.last[2]; ++z) {
    for (int y = box.first[1]; y <= box.last[1]; ++y) {
      std::size_t at = mask.grid.Index(box.first[0], y, z);
      for (int x = box.first[0]; x <= box.last[0]; ++x, ++at) {
        if (mask.inside[at] != 0) {
          work(Eigen::Vector3d(x * mask.grid.spacing_mm[0], y * mask.grid.spacing_mm[1],
                               z * mask.grid.spacing_mm[2]),
               at);
        }
      }
    }
  }
}

// The mean of the voxels' centres, and how many they are.
Eigen::Vector3d CentreOf(const Mask& mask, double& voxels) {
  Eigen::Vector3d sum = Eigen::Vector3d::Zero();
  ForEachInside(mask, [&](const Eigen::Vector3d& at, std::size_t) {
    ++voxels;
    sum += at;
  });
  return voxels > 0 ? Eigen::Vector3d(sum / voxels) : sum;
}

double CubeRoot(double x) { return x > 0 ? Exp(Log(x) / 3) : 0; }

// Area of the ellipsoid with semi-axes a >= b >= c > 0, by Legendre polynomials of
// (alpha^2 + beta^2) / (2 alpha beta), alpha and beta the eccentricities, to order 20 (IBSI RDD2).
double EllipsoidArea(double a, double b, double c) {
  const double alpha = std::sqrt(1 - b * b / (a * a)), beta = std::sqrt(1 - c * c / (a * a));
  // (alpha beta)^v P_v(x) by the polynomials' recurrence, which needs no division by alpha beta.
  const double product = alpha * beta, middle = (alpha * alpha + beta * beta) / 2;
  double before = 1, here = middle, sum = 1;
  for (int v = 1; v <= 20; ++v) {
    sum += here / (1 - 4.0 * v * v);
    const double next = ((2 * v + 1) * middle * here - v * product * product * before) / (v + 1);
    before = here;
    here = next;
  }
  return 4 * kPi * a * b * sum;
}

enum class SmallestAround { kLeftOut, kSearched };

Result<MorphologyFeatures> Shape(const Mask& morphological, const MorphologyOptions& options,
                                 SmallestAround smallest) {
  double voxels = 0;
  const Eigen::Vector3d centre = CentreOf(morphological, voxels);
  if (voxels == 0)
    return Fail(ErrorCode::kInvalidArgument, "a region without a voxel has no shape");
  MorphologyFeatures f;
  const Surface surface = SurfaceOf(morphological, options.mesh);
  const double volume = surface.volume_mm3, area = surface.area_mm2;
  const double cubed = 36 * kPi * volume * volume;
  f.volume_mesh = volume;
  f.volume_voxels = voxels * morphological.grid.voxel_volume_mm3();
  f.surface_area = area;
  f.maximum_diameter_row = surface.plane_diameter_mm[0];
  f.maximum_diameter_column = surface.plane_diameter_mm[1];
  f.maximum_diameter_slice = surface.plane_diameter_mm[2];
  f.surface_to_volume = area / volume;
  f.compactness_1 = volume / (std::sqrt(kPi) * area * std::sqrt(area));
  f.compactness_2 = cubed / (area * area * area);
  f.sphericity = CubeRoot(cubed) / area;
  f.spherical_disproportion = 1 / f.sphericity;
  f.asphericity = f.spherical_disproportion - 1;

  Eigen::Matrix3d covariance = Eigen::Matrix3d::Zero();
  ForEachInside(morphological, [&](const Eigen::Vector3d& at, std::size_t) {
    covariance += (at - centre) * (at - centre).transpose();
  });
  const double divisor = options.sample_covariance ? voxels - 1 : voxels;
  if (divisor > 0) {
    Eigen::SelfAdjointEigenSolver<Eigen::Matrix3d> eigen(covariance / divisor,
                                                         Eigen::EigenvaluesOnly);
    const Eigen::Vector3d lambda = eigen.eigenvalues().cwiseMax(0);  // ascending
    f.major_axis_length = 4 * std::sqrt(lambda[2]);
    f.minor_axis_length = 4 * std::sqrt(lambda[1]);
    f.least_axis_length = 4 * std::sqrt(lambda[0]);
    if (lambda[2] > 0) {
      f.elongation = std::sqrt(lambda[1] / lambda[2]);
      f.flatness = std::sqrt(lambda[0] / lambda[2]);
    }
    if (lambda[0] > 0) {
      const double a = 2 * std::sqrt(lambda[2]), b = 2 * std::sqrt(lambda[1]),
                   c = 2 * std::sqrt(lambda[0]);
      f.volume_density_aee = volume / (4 * kPi * a * b * c / 3);
      f.area_density_aee = area / EllipsoidArea(a, b, c);
    }
  }
  const double x = surface.high[0] - surface.low[0], y = surface.high[1] - surface.low[1],
               z = surface.high[2] - surface.low[2];
  f.volume_density_aabb = volume / (x * y * z);
  f.area_density_aabb = area / (2 * (x * y + y * z + z * x));
  const auto hull = ConvexHullOf(surface.outermost);
  if (hull) {
    f.volume_density_convex_hull = volume / hull->volume_mm3;
    f.area_density_convex_hull = area / hull->area_mm2;
    f.maximum_diameter = DiameterOf(hull->vertices);
  }
  if (hull && smallest == SmallestAround::kSearched) {
    const EnclosingBox least = SmallestBoxAround(*hull);
    f.volume_density_ombb = volume / least.volume_mm3();
    f.area_density_ombb = area / least.area_mm2();
    const auto ellipsoid = SmallestEllipsoidAround(hull->vertices);
    CONSILIUM_TRY(ellipsoid);
    const auto& [a, b, c] = ellipsoid->semi_axes_mm;
    f.volume_density_mvee = volume / ellipsoid->volume_mm3();
    f.area_density_mvee = area / EllipsoidArea(a, b, c);
  }
  return f;
}

}  // namespace

Result<MorphologyFeatures> ShapeOf(const Mask& morphological, const MorphologyOptions& options) {
  return Shape(morphological, options, SmallestAround::kLeftOut);
}

Result<MorphologyFeatures> Morphology(const Image& image, const Mask& morphological,
                                      const Mask& intensity, const MorphologyOptions& options) {
  if (image.grid != morphological.grid || image.grid != intensity.grid)
    return Fail(ErrorCode::kInvalidArgument, "image and masks lie on different grids");
  auto f = Shape(morphological, options, SmallestAround::kSearched);
  CONSILIUM_TRY(f);
  double voxels = 0, sum = 0;
  Eigen::Vector3d weighted = Eigen::Vector3d::Zero();
  ForEachInside(intensity, [&](const Eigen::Vector3d& at, std::size_t i) {
    ++voxels;
    sum += image.values[i];
    weighted += image.values[i] * at;
  });
  if (voxels == 0)
    return Fail(ErrorCode::kInvalidArgument, "no voxel of the region has an intensity that counts");
  double all = 0;
  if (sum != 0) f->centre_of_mass_shift = (weighted / sum - CentreOf(morphological, all)).norm();
  f->integrated_intensity = sum / voxels * f->volume_mesh;
  const SpatialCorrelation correlation = SpatialCorrelationOf(image, intensity);
  f->morans_i = correlation.morans_i;
  f->gearys_c = correlation.gearys_c;
  return f;
}

}  // namespace consilium::engine
