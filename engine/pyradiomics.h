// The same features as PyRadiomics names and defines them.
//
// One engine, another dialect: edges of bins at multiples of the width, kurtosis without the
// subtraction of 3, axes from the covariance divided by N_v, GLCM and GLRLM averaged over the 13
// directions, PyRadiomics' values where a feature is 0 / 0. Definitions: the documentation of
// PyRadiomics 3.1 (van Griethuysen et al., Cancer Research 77(21):e104-e107, 2017).
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine {

struct PyradiomicsSettings {
  double bin_width = 25;         // binWidth; > 0
  double voxel_array_shift = 0;  // voxelArrayShift: added before energy and root mean square
};

struct PyradiomicsFeature {
  std::string_view feature_class;  // "glcm"
  std::string_view name;           // "JointEntropy"
  double value = 0;
};

// The classes of intensities: firstorder, glcm, glrlm, glszm, gldm, ngtdm; 93 features. `image` and
// `mask` on one grid. Errors: those of Discretise; kInvalidArgument (other grids, no voxel).
[[nodiscard]] Result<std::vector<PyradiomicsFeature>> PyradiomicsIntensityFeatures(
    const Image& image, const Mask& mask, const PyradiomicsSettings& settings = {});

// The class shape; 14 features. Errors: kInvalidArgument (no voxel).
[[nodiscard]] Result<std::vector<PyradiomicsFeature>> PyradiomicsShapeFeatures(const Mask& mask);

}  // namespace consilium::engine
