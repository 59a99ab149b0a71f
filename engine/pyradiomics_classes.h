// PyRadiomics' classes of one image or one region, all their features, before a choice is made.
//
// Each class is a list of names and values, in any order. What is 0 / 0 has PyRadiomics' value.
// Source: as pyradiomics.h.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/grey_levels.h"
#include "engine/grid.h"
#include "engine/pyradiomics.h"

namespace consilium::engine {

struct PyradiomicsValue {
  std::string_view name;  // "JointEntropy"
  double value = 0;
};
using PyradiomicsValues = std::vector<PyradiomicsValue>;

// An image in the box of its region, and the region's grey levels.
class PyradiomicsImageClasses {
 public:
  // `image` and `mask` on one grid. Errors: those of Discretise.
  [[nodiscard]] static Result<PyradiomicsImageClasses> Of(Image image, Mask mask,
                                                          const PyradiomicsImageSettings& settings);

  [[nodiscard]] const GreyLevels& levels() const { return levels_; }
  // Of "firstorder", "glcm", "gldm", "glrlm", "glszm" or "ngtdm". Errors: kNotFound (another
  // class), kOutOfRange (glcm: more levels than fit a table: says how many there are).
  [[nodiscard]] Result<PyradiomicsValues> ValuesOf(std::string_view feature_class) const;

 private:
  PyradiomicsImageClasses(const Grid& grid, const Mask& mask, std::vector<double> inside,
                          GreyLevels levels, const PyradiomicsImageSettings& settings);
  [[nodiscard]] PyradiomicsValues FirstOrder() const;
  [[nodiscard]] Result<PyradiomicsValues> Glcm() const;
  [[nodiscard]] PyradiomicsValues Glrlm() const;
  [[nodiscard]] PyradiomicsValues Gldm() const;
  [[nodiscard]] PyradiomicsValues Ngtdm() const;
  // The norm of a direction, mm.
  [[nodiscard]] double LengthOf(const Direction& direction) const;

  PyradiomicsImageSettings settings_;
  Grid grid_;
  std::vector<double> inside_;
  GreyLevels levels_;
  LevelBox box_;
};

// The class shape. Errors: kInvalidArgument (no voxel).
[[nodiscard]] Result<PyradiomicsValues> PyradiomicsShape(const Mask& mask);
// The class shape2D, of a region that is one slice along `dimension` (0 z, 1 y, 2 x). Errors:
// kInvalidArgument (it is not).
[[nodiscard]] Result<PyradiomicsValues> PyradiomicsShape2d(const Mask& mask, int dimension);

}  // namespace consilium::engine
