// What PyRadiomics does to an image and a region before it takes features of them.
//
// In this order: normalise the image, resample both or crop them to the region, check the region's
// size, resegment it. Source: as pyradiomics.h.
#pragma once

#include <optional>

#include "base/result.h"
#include "engine/grid.h"
#include "engine/pyradiomics.h"

namespace consilium::engine {

class PyradiomicsRegion {
 public:
  // The image: changed, or the one that PreparePyradiomics was given, which must live as long.
  [[nodiscard]] const Image& image() const { return changed_ ? *changed_ : *given_; }
  Mask shape_mask;      // of the classes shape and shape2D
  Mask intensity_mask;  // of the others: resegmented. Both are cut to
  Box box;              // that of the intensities

 private:
  friend Result<PyradiomicsRegion> PreparePyradiomics(const Image&, const Mask&,
                                                      const PyradiomicsSettings&,
                                                      PyradiomicsDiagnostics&);
  explicit PyradiomicsRegion(const Image& image) : given_(&image) {}
  const Image* given_;
  std::optional<Image> changed_;
};

// Errors: those of PyradiomicsFeatures that settings before `images` bring. Fills what
// `diagnostics` says of grids and voxels.
[[nodiscard]] Result<PyradiomicsRegion> PreparePyradiomics(const Image& image, const Mask& mask,
                                                           const PyradiomicsSettings& settings,
                                                           PyradiomicsDiagnostics& diagnostics);

}  // namespace consilium::engine
