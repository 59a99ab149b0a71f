#include "extraction/extract_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "extraction/phantom.h"
#include "tests/support/scratch_folder.h"

namespace consilium::extraction {
namespace {

class CaseKeys : public ::testing::Test {
 protected:
  CaseKeys() { folder.Write("mask.nii", "m"); }
  Digest key(const std::string& image, const std::string& mask = "mask.nii") {
    Case one;
    one.image = folder.path() / image;
    one.mask = folder.path() / mask;
    const auto settings = ReadSettings("setting: {}\n", "s.yaml");
    const auto found = KeyOf(one, *settings);
    EXPECT_TRUE(found.has_value()) << (found ? "" : found.error().message);
    return found ? found->key : Digest{};
  }
  testing_support::ScratchFolder folder;
};

// A batch must not take for a file what it knows of the same bytes under a name that reads well.
TEST_F(CaseKeys, AreOfBytesAndTheEndingThatSaysHowTheyAreRead) {
  for (const char* name : {"a.nii", "b.nii", "a.nii.gz", "a", "a.bin"}) folder.Write(name, "same");
  EXPECT_EQ(key("a.nii"), key("b.nii"));
  for (const char* other : {"a.nii.gz", "a", "a.bin"}) {
    EXPECT_NE(key("a.nii"), key(other)) << other;
    EXPECT_NE(key("a.nii", "b.nii"), key("a.nii", other)) << other;
  }
  for (const char* scan : {"scan.1", "scan.2"}) {
    std::filesystem::create_directory(folder.path() / scan);
    folder.Write(std::string(scan) + "/slice", "same");
  }
  EXPECT_EQ(key("scan.1"), key("scan.2"));
}

TEST_F(CaseKeys, ChangeWithTheVoxelsWhereverTheyAre) {
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

std::vector<std::string> WarningsUnder(const std::string& settings_text) {
  const auto settings = ReadSettings(settings_text, "s.yaml");
  EXPECT_TRUE(settings.has_value()) << (settings ? "" : settings.error().message);
  const auto row = settings ? PhantomFeatures(*settings) : tl::unexpected(settings.error());
  EXPECT_TRUE(row.has_value()) << (row ? "" : row.error().message);
  return row ? row->warnings : std::vector<std::string>{};
}

TEST(FeaturesOf, WarnOfLevelsThatSayLittleInTheSameWordsInBothDialects) {
  const std::vector<std::string> few = {
      "original: the region has 7 different grey levels, expected 8 or more: textures say little; "
      "take narrower bins, or more of them"};
  EXPECT_EQ(WarningsUnder("setting: {binCount: 7}\n"), few);
  EXPECT_EQ(WarningsUnder("format: 1\nibsi: {bins: {count: 7}}\n"), few);
  const std::vector<std::string> many = {
      "original: the region spans 257 grey levels, expected 256 or fewer: matrices are nearly "
      "empty; take wider bins, or fewer of them"};
  EXPECT_EQ(WarningsUnder("setting: {binCount: 257}\n"), many);
  EXPECT_EQ(WarningsUnder("format: 1\nibsi: {bins: {count: 257}}\n"), many);
  EXPECT_TRUE(WarningsUnder("setting: {binCount: 8}\n").empty());
  EXPECT_TRUE(WarningsUnder("format: 1\nibsi: {bins: {count: 8}}\n").empty());
}

// Haar's low filter adds two neighbours and divides by sqrt(2): of eight voxels it makes one.
TEST(FeaturesOf, ADecimatedWaveletAreThoseOfEveryOtherVoxel) {
  const auto settings = ReadSettings(
      "format: 1\nibsi: {bins: {count: 32}, images: [{wavelet: {name: low, wavelet: haar, band: "
      "LLL, "
      "rotation_invariant: false, decimated: true, bins: {count: 16}}}]}\n",
      "s.yaml");
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  const auto row = PhantomFeatures(*settings);
  ASSERT_TRUE(row.has_value()) << row.error().message;
  const Phantom phantom = MakePhantom();
  const engine::Grid& grid = phantom.image.grid;
  double sum = 0;
  int count = 0;
  for (int z = 0; z < grid.size[2]; z += 2) {
    for (int y = 0; y < grid.size[1]; y += 2) {
      for (int x = 0; x < grid.size[0]; x += 2) {
        if (phantom.mask.inside[grid.Index(x, y, z)] == 0) continue;
        for (const int corner : {0, 1, 2, 3, 4, 5, 6, 7})
          sum +=
              phantom.image.values[grid.Index(x + corner % 2, y + corner / 2 % 2, z + corner / 4)];
        ++count;
      }
    }
  }
  const auto value_of = [&](const std::string& name) {
    const auto found = std::find(row->names.begin(), row->names.end(), name);
    EXPECT_NE(found, row->names.end()) << name;
    return row->values[static_cast<std::size_t>(found - row->names.begin())];
  };
  EXPECT_NEAR(value_of("low_intensity_statistics_mean"), sum / count / std::sqrt(8.0), 1e-9);
  EXPECT_GT(value_of("low_glcm_3d-avg_joint_entropy"), 1);
}

TEST(FeaturesOf, NameTheImageWhoseLevelsSayLittle) {
  const auto warnings = WarningsUnder(
      "format: 1\nibsi: {bins: {count: 32}, images: [original, {mean: {name: a, bins: {count: "
      "4}}}, "
      "{mean: {name: b, bins: {count: 16}}}, {mean: {name: c}}]}\n");
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_TRUE(warnings[0].starts_with("a: the region has 4 different")) << warnings[0];
}

}  // namespace
}  // namespace consilium::extraction
