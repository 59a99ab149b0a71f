// DICOM series and structure sets against the NIfTI files that were published with them: the CT of
// the IBSI and two patients with sarcoma (regions of several contours a slice).
#include <gtest/gtest.h>

#include "engine/dicom/series.h"
#include "engine/dicom/structure_set.h"
#include "engine/itk/read_image.h"
#include "engine/labels.h"
#include "engine/reconcile.h"
#include "tests/support/reference_data.h"

namespace consilium::engine::dicom {
namespace {

using testing_support::Shared;

struct Published {
  std::string folder;  // with image and mask
  std::string image;   // NIfTI, if there is one
  std::string mask, roi;
  int slices = 0;
  std::size_t voxels = 0;  // inside
};

std::ostream& operator<<(std::ostream& out, const Published& one) { return out << one.folder; }

const std::string kCt = "reference/radiomics/data/ibsi1_ct_phantom/";
const std::string kMr = "data/sts_mr_t1/";
const Published kPublished[] = {
    {kCt + "dicom", kCt + "nifti/image.nii.gz", kCt + "nifti/mask.nii.gz", "GTV-1", 60, 125256},
    {kMr + "dicom/STS_009/MR_T1", "", kMr + "nifti/STS_009/MR_T1_mask.nii.gz", "GTV_Mass*", 83,
     635302},
    {kMr + "dicom/STS_020/MR_T1", "", kMr + "nifti/STS_020/MR_T1_mask.nii.gz", "GTV_Mass*", 97,
     748026},
};

class Dicom : public ::testing::TestWithParam<Published> {};

TEST_P(Dicom, IsThePublishedImageAndMaskVoxelForVoxel) {
  const Published& one = GetParam();
  CONSILIUM_NEEDS_SHARED(one.folder);
  const auto listing = ListSeries(Shared(one.folder));
  ASSERT_TRUE(listing.has_value()) << listing.error().message;
  ASSERT_EQ(listing->series.size(), 1U);
  ASSERT_EQ(listing->structure_sets.size(), 1U);
  EXPECT_EQ(listing->notes, std::vector<std::string>{});
  EXPECT_EQ(listing->series[0].frames.size(), static_cast<std::size_t>(one.slices));
  const auto image = ReadSeries(listing->series[0]);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_EQ(image->notes, std::vector<std::string>{});
  const Grid& grid = image->placed.image.grid;
  const VoxelValues& values = image->placed.image.values;
  if (!one.image.empty()) {
    const auto nifti = itk_files::ReadImage(Shared(one.image));
    ASSERT_TRUE(nifti.has_value()) << nifti.error().message;
    ASSERT_EQ(nifti->image.grid.size, grid.size);
    std::size_t different = 0;  // the NIfTI has -999.99994 for -1000
    for (std::size_t i = 0; i < values.size(); ++i)
      different += std::abs(values[i] - nifti->image.values[i]) > 1e-3 ? 1 : 0;
    EXPECT_EQ(different, 0U) << "of " << values.size();
  }
  const auto set = ReadStructureSet(listing->structure_sets[0]);
  ASSERT_TRUE(set.has_value()) << set.error().message;
  const auto drawn_on = CheckDrawnOn(*set, image->acquisition);
  EXPECT_TRUE(drawn_on.has_value()) << drawn_on.error().message;
  const auto rois = RoisNamed(*set, one.roi);
  ASSERT_TRUE(rois.has_value()) << rois.error().message;
  ASSERT_EQ(rois->size(), 1U);
  const auto drawn = MaskOf(*rois->front(), grid, image->placed.place);
  ASSERT_TRUE(drawn.has_value()) << drawn.error().message;
  EXPECT_EQ(drawn->notes, std::vector<std::string>{});

  const auto published = itk_files::ReadImage(Shared(one.mask));
  ASSERT_TRUE(published.has_value()) << published.error().message;
  const auto labels = LabelsOf(published->image);
  ASSERT_TRUE(labels.has_value()) << labels.error().message;
  ASSERT_EQ(labels->size(), 1U);
  const Mask mask = MaskOf(published->image, labels->front().value);
  ASSERT_EQ(mask.inside.size(), drawn->mask.inside.size());
  std::size_t different = 0;
  for (std::size_t i = 0; i < mask.inside.size(); ++i)
    different += mask.inside[i] != drawn->mask.inside[i] ? 1 : 0;
  EXPECT_EQ(different, 0U) << "of " << labels->front().voxels << " voxels inside";
  EXPECT_EQ(labels->front().voxels, one.voxels);

  const auto reconciled = Reconcile({mask, published->place}, grid, image->placed.place);
  ASSERT_TRUE(reconciled.has_value()) << reconciled.error().message;
  EXPECT_EQ(reconciled->note, "");
}

INSTANTIATE_TEST_SUITE_P(Published, Dicom, ::testing::ValuesIn(kPublished));

}  // namespace
}  // namespace consilium::engine::dicom
