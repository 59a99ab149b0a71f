#include "extraction/extract_case.h"

#include <gtest/gtest.h>

#include "tests/support/scratch_folder.h"

namespace consilium::extraction {
namespace {

TEST(CaseKey, ChangesWithTheVoxelsWhereverTheyAre) {
  const testing_support::ScratchFolder folder;
  folder.Write("mask.nii", "m");
  const auto settings = ReadSettings("setting: {}\n", "s.yaml");
  ASSERT_TRUE(settings.has_value());
  const auto key = [&](const char* image) {
    Case one;
    one.image = folder.path() / image;
    one.mask = folder.path() / "mask.nii";
    const auto found = KeyOf(one, *settings);
    EXPECT_TRUE(found.has_value()) << (found ? "" : found.error().message);
    return found ? found->key : Digest{};
  };
  for (const auto& [image, header, voxels] :
       {std::tuple{"a.mhd", "NDims = 3\nElementDataFile = a.raw\n", "a.raw"},
        std::tuple{"b.nhdr", "NRRD0004\ntype: short\ndata file: b.zraw\n", "b.zraw"},
        std::tuple{"c.hdr", "", "c.img"}, std::tuple{"d.nii", "", "d.nii"},
        std::tuple{"e.mhd", "ElementDataFile = LIST\ne1.raw\n", "e1.raw"}}) {
    folder.Write(image, header);
    folder.Write(voxels, "one");
    const Digest first = key(image);
    EXPECT_EQ(key(image), first) << image;
    folder.Write(voxels, "two");
    EXPECT_NE(key(image), first) << image;
  }
}

}  // namespace
}  // namespace consilium::extraction
