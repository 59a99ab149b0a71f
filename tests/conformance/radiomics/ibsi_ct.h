// The CT of the IBSI and its region, a tumour of the lung.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "engine/itk/read_image.h"
#include "engine/resegment.h"
#include "tests/support/reference_data.h"

namespace consilium::engine {

inline const std::string kIbsiCt = "reference/radiomics/data/ibsi1_ct_phantom/nifti";

struct IbsiCtCase {
  Image image;
  Mask mask;
};

inline IbsiCtCase ReadIbsiCt() {
  auto image = itk_files::ReadImage(testing_support::Shared(kIbsiCt + "/image.nii.gz"));
  auto mask = itk_files::ReadImage(testing_support::Shared(kIbsiCt + "/mask.nii.gz"));
  EXPECT_TRUE(image.has_value()) << image.error().message;
  EXPECT_TRUE(mask.has_value()) << mask.error().message;
  IbsiCtCase ct{std::move(image->image), {mask->image.grid, {}}};
  RoundIntensities(ct.image);  // stored as, say, -999.99994
  for (const double value : mask->image.values) ct.mask.inside.push_back(value > 0.5 ? 1 : 0);
  EXPECT_EQ(ct.image.grid.size, ct.mask.grid.size);
  ct.mask.grid = ct.image.grid;
  return ct;
}

}  // namespace consilium::engine
