#include "engine/itk/write_image.h"

#include <gtest/gtest.h>

#include "engine/itk/read_image.h"
#include "tests/support/scratch_folder.h"

namespace consilium::engine::itk_files {
namespace {

// Tilted, with unequal spacing, far from the origin.
PlacedImage Tilted() {
  PlacedImage image{{{{3, 4, 2}, {0.7, 1.3, 4}}, {}}, {}};
  for (int i = 0; i < 24; ++i) image.image.values.Doubles().push_back(i * 2841 - 32768);
  image.place.origin_mm = {-12.5, 830, 0.25};
  image.place.direction = {{{0.8, 0.6, 0}, {-0.6, 0.8, 0}, {0, 0, 1}}};
  return image;
}

TEST(WriteImage, WhatIsReadBackIsWhatWasWrittenCompressedOrNot) {
  const testing_support::ScratchFolder scratch;
  const PlacedImage image = Tilted();
  for (const char* name : {"a.nii", "a.nii.gz"}) {
    ASSERT_TRUE(WriteImage(image, scratch.path() / name).has_value());
    const auto read = ReadImage(scratch.path() / name);
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(read->image.values, image.image.values);
    EXPECT_EQ(read->image.grid.size, image.image.grid.size);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      // The file keeps all of these in single precision.
      EXPECT_NEAR(read->image.grid.spacing_mm[axis], image.image.grid.spacing_mm[axis], 1e-6);
      EXPECT_NEAR(read->place.origin_mm[axis], image.place.origin_mm[axis], 1e-4);
      for (std::size_t i = 0; i < 3; ++i)
        EXPECT_NEAR(read->place.direction[axis][i], image.place.direction[axis][i], 1e-6);
    }
  }
  EXPECT_LT(scratch.Read("a.nii.gz").size(), scratch.Read("a.nii").size());
  EXPECT_EQ(scratch.Read("a.nii").substr(344, 3), "n+1");  // the format's mark
}

TEST(WriteImage, WhatDoesNotFitIsRefusedWithTheFilesName) {
  const testing_support::ScratchFolder scratch;
  const auto refused = [&](double value, const char* name) {
    PlacedImage image = Tilted();
    image.image.values.Doubles()[5] = value;
    const auto written = WriteImage(image, scratch.path() / name);
    EXPECT_FALSE(written.has_value()) << value << " " << name;
    if (written) return ErrorCode::kInternal;
    EXPECT_NE(written.error().message.find(name), std::string::npos) << written.error().message;
    return written.error().code;
  };
  EXPECT_EQ(refused(32768, "a.nii"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(-32769, "a.nii"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(0.5, "a.nii"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(0.0 / 0.0, "a.nii"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(0, "a.dcm"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(refused(0, "no/such/folder.nii"), ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace consilium::engine::itk_files
