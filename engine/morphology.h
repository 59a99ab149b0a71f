// The shape of a region, and where its intensities lie in it.
//
// Notation: V and A volume and area of the mesh (surface.h); lambda_1 >= lambda_2 >= lambda_3
// eigenvalues of the covariance of the voxels' centres; N_v voxels. Two masks: the morphological
// one (the region as it was drawn) and the intensity one (after resegmentation). Source: IBSI
// reference manual, "Morphological features" (HCUG).
#pragma once

#include "base/result.h"
#include "engine/feature_list.h"
#include "engine/grid.h"
#include "engine/surface.h"

namespace consilium::engine {

struct MorphologyOptions {
  // The covariance divides by N_v - 1 (IBSI), or by N_v (PyRadiomics).
  bool sample_covariance = true;
  MeshRule mesh = MeshRule::kClosed;
};

struct MorphologyFeatures : Averaged<MorphologyFeatures> {
  double volume_mesh = kUndefined, volume_voxels = kUndefined, surface_area = kUndefined,
         surface_to_volume = kUndefined, compactness_1 = kUndefined, compactness_2 = kUndefined,
         spherical_disproportion = kUndefined, sphericity = kUndefined, asphericity = kUndefined,
         centre_of_mass_shift = kUndefined, maximum_diameter = kUndefined,
         maximum_diameter_row = kUndefined, maximum_diameter_column = kUndefined,
         maximum_diameter_slice = kUndefined, major_axis_length = kUndefined,
         minor_axis_length = kUndefined, least_axis_length = kUndefined, elongation = kUndefined,
         flatness = kUndefined, volume_density_aabb = kUndefined, area_density_aabb = kUndefined,
         volume_density_ombb = kUndefined, area_density_ombb = kUndefined,
         volume_density_aee = kUndefined, area_density_aee = kUndefined,
         volume_density_mvee = kUndefined, area_density_mvee = kUndefined,
         volume_density_convex_hull = kUndefined, area_density_convex_hull = kUndefined,
         integrated_intensity = kUndefined, morans_i = kUndefined, gearys_c = kUndefined;

  template <typename Features, typename Visitor>
  static void Visit(Features&& f, Visitor&& visit) {
    visit(FeatureName{"volume_mesh", "RNU0", "MeshVolume"}, f.volume_mesh);
    visit(FeatureName{"volume_voxels", "YEKZ", "VoxelVolume"}, f.volume_voxels);
    visit(FeatureName{"surface_area", "C0JK", "SurfaceArea"}, f.surface_area);
    visit(FeatureName{"surface_to_volume", "2PR5", "SurfaceVolumeRatio"}, f.surface_to_volume);
    visit(FeatureName{"compactness_1", "SKGS", "Compactness1"}, f.compactness_1);
    visit(FeatureName{"compactness_2", "BQWJ", "Compactness2"}, f.compactness_2);
    visit(FeatureName{"spherical_disproportion", "KRCK", "SphericalDisproportion"},
          f.spherical_disproportion);
    visit(FeatureName{"sphericity", "QCFX", "Sphericity"}, f.sphericity);
    visit(FeatureName{"asphericity", "25C7", ""}, f.asphericity);
    visit(FeatureName{"centre_of_mass_shift", "KLMA", ""}, f.centre_of_mass_shift);
    visit(FeatureName{"maximum_diameter", "L0JK", "Maximum3DDiameter"}, f.maximum_diameter);
    visit(FeatureName{"maximum_diameter_row", "", "Maximum2DDiameterRow"}, f.maximum_diameter_row);
    visit(FeatureName{"maximum_diameter_column", "", "Maximum2DDiameterColumn"},
          f.maximum_diameter_column);
    visit(FeatureName{"maximum_diameter_slice", "", "Maximum2DDiameterSlice"},
          f.maximum_diameter_slice);
    visit(FeatureName{"major_axis_length", "TDIC", "MajorAxisLength"}, f.major_axis_length);
    visit(FeatureName{"minor_axis_length", "P9VJ", "MinorAxisLength"}, f.minor_axis_length);
    visit(FeatureName{"least_axis_length", "7J51", "LeastAxisLength"}, f.least_axis_length);
    visit(FeatureName{"elongation", "Q3CK", "Elongation"}, f.elongation);
    visit(FeatureName{"flatness", "N17B", "Flatness"}, f.flatness);
    visit(FeatureName{"volume_density_aabb", "PBX1", ""}, f.volume_density_aabb);
    visit(FeatureName{"area_density_aabb", "R59B", ""}, f.area_density_aabb);
    visit(FeatureName{"volume_density_ombb", "ZH1A", ""}, f.volume_density_ombb);
    visit(FeatureName{"area_density_ombb", "IQYR", ""}, f.area_density_ombb);
    visit(FeatureName{"volume_density_aee", "6BDE", ""}, f.volume_density_aee);
    visit(FeatureName{"area_density_aee", "RDD2", ""}, f.area_density_aee);
    visit(FeatureName{"volume_density_mvee", "SWZ1", ""}, f.volume_density_mvee);
    visit(FeatureName{"area_density_mvee", "BRI8", ""}, f.area_density_mvee);
    visit(FeatureName{"volume_density_convex_hull", "R3ER", ""}, f.volume_density_convex_hull);
    visit(FeatureName{"area_density_convex_hull", "7T7F", ""}, f.area_density_convex_hull);
    visit(FeatureName{"integrated_intensity", "99N0", ""}, f.integrated_intensity);
    visit(FeatureName{"morans_i", "N365", ""}, f.morans_i);
    visit(FeatureName{"gearys_c", "NPT7", ""}, f.gearys_c);
  }
};
// `image` and both masks on one grid; `intensity` lies within `morphological`. Where a region is
// too flat for an axis the lengths are 0 and what divides by them NaN.
// Errors: kInvalidArgument (a mask has no voxel, or the grids differ).
[[nodiscard]] Result<MorphologyFeatures> Morphology(const Image& image, const Mask& morphological,
                                                    const Mask& intensity,
                                                    const MorphologyOptions& options = {});

// What needs no intensities and no search for the smallest box and ellipsoid (OMBB, MVEE); the
// others are NaN. Errors: kInvalidArgument (no voxel).
[[nodiscard]] Result<MorphologyFeatures> ShapeOf(const Mask& morphological,
                                                 const MorphologyOptions& options = {});

}  // namespace consilium::engine
