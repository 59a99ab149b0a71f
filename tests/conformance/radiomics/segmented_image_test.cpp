// Label maps with the names and layers that 3D Slicer writes (.seg.nrrd).
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "engine/itk/read_image.h"
#include "engine/labels.h"

namespace consilium::engine::itk_files {
namespace {

// Three voxels by two by one, in two layers; RAS in the file is LPS here.
std::string Header(const std::string& keys) {
  return "NRRD0004\ntype: unsigned char\ndimension: 4\nspace: right-anterior-superior\n"
         "sizes: 2 3 2 1\nspace directions: none (2,0,0) (0,3,0) (0,0,4)\n"
         "kinds: list domain domain domain\nencoding: raw\nspace origin: (10,20,30)\n" +
         keys + "\n";
}

Result<SegmentedImage> ReadWith(const std::string& header) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("consilium_segmented_" + std::to_string(getpid()) + ".seg.nrrd");
  // Of each voxel the value in layer 0, then in layer 1.
  const char values[] = {1, 0, 1, 5, 2, 5, 0, 0, 2, 5, 0, 0};
  std::ofstream(path, std::ios::binary) << header << std::string(values, sizeof values);
  auto read = ReadSegmentedImage(path);
  std::filesystem::remove(path);
  return read;
}

const std::string kKeys =
    "Segment0_ID:=Segment_1\nSegment0_Name:=Tumour\nSegment0_LabelValue:=2\nSegment0_Layer:=0\n"
    "Segment1_ID:=Segment_2\nSegment1_Name:=Lung, left\nSegment1_LabelValue:=5\n"
    "Segment1_Layer:=1\n";

TEST(SegmentedImage, HasItsLayersAndTheNamesOfItsSegments) {
  const auto read = ReadWith(Header(kKeys));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  ASSERT_EQ(read->layers.size(), 2U);
  EXPECT_EQ(read->layers[0].grid, (Grid{{3, 2, 1}, {2, 3, 4}}));
  EXPECT_EQ(read->place.origin_mm, (Position{-10, -20, 30}));
  EXPECT_EQ(read->place.direction[0], (std::array<double, 3>{-1, 0, 0}));
  EXPECT_EQ(read->layers[0].values, (std::vector<double>{1, 1, 2, 0, 2, 0}));
  EXPECT_EQ(read->layers[1].values, (std::vector<double>{0, 5, 5, 0, 5, 0}));
  ASSERT_EQ(read->segments.size(), 2U);
  EXPECT_EQ(read->segments[0].name, "Tumour");
  EXPECT_EQ(read->segments[1].name, "Lung, left");
  const auto& [name, label, layer] = read->segments[1];
  EXPECT_EQ(MaskOf(read->layers[layer], label).inside,
            (std::vector<std::uint8_t>{0, 1, 1, 0, 1, 0}));
}

TEST(SegmentedImage, OfAnOlderSlicerHasASegmentALayer) {
  const auto read = ReadWith(Header("Segment0_Name:=a\nSegment1_Name:=b\n"));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  ASSERT_EQ(read->segments.size(), 2U);
  EXPECT_EQ(read->segments[1].layer, 1U);
  EXPECT_EQ(read->segments[1].label, 1);
}

TEST(SegmentedImage, WithoutNamesIsALabelMap) {
  const auto read = ReadWith(Header(""));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_TRUE(read->segments.empty());
  EXPECT_EQ(*LabelsOf(read->layers[0]), (std::vector<Label>{{1, 2}, {2, 2}}));
}

TEST(SegmentedImage, OfALayerOrALabelThatIsNotThereIsRefused) {
  const auto refused = [](const std::string& keys, const std::string& why) {
    const auto read = ReadWith(Header(keys));
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(read.error().message.find(why), std::string::npos) << read.error().message;
  };
  refused("Segment0_Name:=a\nSegment0_LabelValue:=1\nSegment0_Layer:=2\n", "is in layer 2 of 2");
  refused("Segment0_Name:=a\nSegment0_LabelValue:=x\n", "Segment0_LabelValue is 'x'");
}

TEST(SegmentedImage, IsNoImage) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("consilium_layers_" + std::to_string(getpid()) + ".nrrd");
  std::ofstream(path, std::ios::binary) << Header("") << std::string(12, '\0');
  const auto image = ReadImage(path);
  std::filesystem::remove(path);
  ASSERT_FALSE(image.has_value());
  EXPECT_NE(image.error().message.find("has 2 numbers a voxel, expected one"), std::string::npos);
}

}  // namespace
}  // namespace consilium::engine::itk_files
