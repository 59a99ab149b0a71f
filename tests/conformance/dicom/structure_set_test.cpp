// Structure sets as planning systems write them, drawn on the oblique slices of written_dicom.h.
#include "engine/dicom/structure_set.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/conformance/dicom/written_masks.h"

namespace consilium::engine::dicom {
namespace {

constexpr int kSlices = 8;
const Grid kGrid{{kWide, kHigh, kSlices}, kOneSlice.spacing_mm};

class Writer : public WrittenStructureSet {
 public:
  Writer& Add(const std::string& name, const std::vector<Drawn>& contours) {
    WrittenStructureSet::Add(name, contours);
    return *this;
  }
  Result<StructureSet> Read(E_TransferSyntax syntax = EXS_LittleEndianExplicit) {
    const Folder folder;
    file().Save(folder / "rs", syntax);
    return ReadStructureSet(folder / "rs");
  }
};

Result<RoiMask> MaskOfOne(const std::vector<Drawn>& contours) {
  const auto set = Writer().Add("one", contours).Read();
  CONSILIUM_TRY(set);
  return MaskOf(set->rois.at(0), kGrid, kOblique);
}

// Voxels inside, as sums of "x y z".
std::vector<std::string> Inside(const Mask& mask) {
  std::vector<std::string> voxels;
  for (int z = 0; z < mask.grid.size[2]; ++z) {
    for (int y = 0; y < mask.grid.size[1]; ++y) {
      for (int x = 0; x < mask.grid.size[0]; ++x) {
        if (mask.inside[mask.grid.Index(x, y, z)] != 0)
          voxels.push_back(fmt::format("{}{}{}", x, y, z));
      }
    }
  }
  return voxels;
}
using Voxels = std::vector<std::string>;
using Notes = std::vector<std::string>;

TEST(StructureSet, HasTheVoxelsWhoseCentresAreInsideOnObliqueSlices) {
  const auto mask = MaskOfOne({Rectangle(2, 0.5, 1.5, 2.5, 2.5), Rectangle(3, 2.6, 0.5, 3.4, 1.4)});
  ASSERT_TRUE(mask.has_value()) << mask.error().message;
  EXPECT_EQ(Inside(mask->mask), (Voxels{"122", "222", "313"}));
  EXPECT_EQ(mask->notes, Notes{});
}

TEST(StructureSet, IsTheSameInImplicitRepresentation) {
  Writer writer;
  writer.Add("one", {Rectangle(2, 0.5, 1.5, 2.5, 2.5)});
  for (const auto syntax : {EXS_LittleEndianExplicit, EXS_LittleEndianImplicit}) {
    const auto set = writer.Read(syntax);
    ASSERT_TRUE(set.has_value()) << set.error().message;
    EXPECT_EQ(Inside(MaskOf(set->rois.at(0), kGrid, kOblique)->mask), (Voxels{"122", "222"}));
  }
}

TEST(StructureSet, ContoursOfOneSliceMakeHolesAndParts) {
  Drawn hole = Rectangle(4, 1.5, 1.5, 3.5, 2.5);
  hole.type = "CLOSEDPLANAR_XOR";
  const auto mask = MaskOfOne({Rectangle(4, 0.5, 0.5, 4.5, 3.5), hole});
  ASSERT_TRUE(mask.has_value()) << mask.error().message;
  EXPECT_EQ(Inside(mask->mask).size(), 12U - 2U);
  EXPECT_EQ(mask->mask.inside[kGrid.Index(2, 2, 4)], 0);
}

TEST(StructureSet, PointsAndOpenContoursAreSkippedWithANote) {
  Drawn open = Rectangle(2, 0.5, 0.5, 4.5, 3.5), point{"POINT", {{1, 1, 1}}};
  open.type = "OPEN_PLANAR";
  const auto mask = MaskOfOne({open, point, Rectangle(5, 0.5, 0.5, 1.5, 1.5)});
  ASSERT_TRUE(mask.has_value()) << mask.error().message;
  EXPECT_EQ(Inside(mask->mask), Voxels{"115"});
  EXPECT_EQ(mask->notes, Notes{"1 points and 1 open contours hold no voxels and were skipped"});
  const auto none = MaskOfOne({open, point});
  ASSERT_FALSE(none.has_value());
  EXPECT_NE(none.error().message.find("region 'one' has no closed contour (1 points, 1 open"),
            std::string::npos);
}

TEST(StructureSet, ContoursBesideASliceGoToTheNearestAndAreReported) {
  const auto mask = MaskOfOne({Rectangle(2.4, 0.5, 0.5, 1.5, 1.5)});
  ASSERT_TRUE(mask.has_value()) << mask.error().message;
  EXPECT_EQ(Inside(mask->mask), Voxels{"112"});
  EXPECT_EQ(mask->notes,
            Notes{"contours lie up to 1 mm beside the slices and were taken to the nearest"});
  // On a finer stack of planes the nearest to each slice counts: they must not turn each other
  // over.
  const auto fine = MaskOfOne({Rectangle(2, 0.5, 0.5, 1.5, 1.5), Rectangle(2.3, 0.5, 0.5, 2.5, 1.5),
                               Rectangle(2.6, 0.5, 0.5, 3.5, 1.5)});
  ASSERT_TRUE(fine.has_value());
  EXPECT_EQ(Inside(fine->mask), (Voxels{"112", "113", "213", "313"}));
  ASSERT_EQ(fine->notes.size(), 2U);
  EXPECT_EQ(fine->notes[1],
            "1 contours lie between slices that have nearer ones and were left out");
}

TEST(StructureSet, SlicesWithoutContoursAndContoursWithoutSlicesAreReported) {
  const auto mask =
      MaskOfOne({Rectangle(-2, 0.5, 0.5, 1.5, 1.5), Rectangle(1, 0.5, 0.5, 1.5, 1.5)});
  ASSERT_TRUE(mask.has_value()) << mask.error().message;
  EXPECT_EQ(mask->notes, (Notes{"1 contours lie beyond the first or the last slice",
                                "2 slices between the first contour and the last have none"}));
}

TEST(StructureSet, MayBeDrawnAcrossTheSlicesOfTheImage) {
  Drawn sagittal;
  sagittal.points = {{3, 0.5, 1.5}, {3, 2.5, 1.5}, {3, 2.5, 3.5}, {3, 0.5, 3.5}};
  const auto mask = MaskOfOne({sagittal});
  ASSERT_TRUE(mask.has_value()) << mask.error().message;
  EXPECT_EQ(Inside(mask->mask), (Voxels{"312", "322", "313", "323"}));
  Drawn across;
  across.points = {{0.5, 0.5, 1}, {4.5, 0.5, 2}, {4.5, 3.5, 4}};
  const auto none = MaskOfOne({across});
  ASSERT_FALSE(none.has_value());
  EXPECT_NE(none.error().message.find("no slices of the image along any axis"), std::string::npos);
}

TEST(StructureSet, BesideTheImageSaysWhereBothAre) {
  const auto mask = MaskOfOne({Rectangle(40, 0.5, 0.5, 1.5, 1.5)});
  ASSERT_FALSE(mask.has_value());
  EXPECT_NE(mask.error().message.find("the image is 6 x 5 x 8 voxels of 0.8 x 1.2 x 2.5 mm"),
            std::string::npos)
      << mask.error().message;
}

TEST(StructureSet, RegionsAreNamedExactlyByPatternOrAll) {
  Writer writer;
  writer.Add("GTV-1", {Rectangle(2, 0.5, 0.5, 1.5, 1.5)});
  writer.Add("GTV-*", {Rectangle(2, 0.5, 0.5, 1.5, 1.5)});
  writer.Add("T\xFCmor", {Rectangle(1, 0.5, 0.5, 3.5, 1.5)});
  writer.file().Set(DCM_SpecificCharacterSet, "ISO_IR 100");
  const auto set = writer.Read();
  ASSERT_TRUE(set.has_value()) << set.error().message;
  const auto count = [&](std::string_view wanted) { return RoisNamed(*set, wanted)->size(); };
  EXPECT_EQ(count("*"), 3U);
  EXPECT_EQ(count("GTV*"), 2U);
  EXPECT_EQ(count("GTV-*"), 1U) << "a name that is there is no pattern";
  EXPECT_EQ(count("T\u00FCmor"), 1U);
  EXPECT_EQ(RoisNamed(*set, "T\u00FCmor")->front()->contours.size(), 1U) << "joined by number";
  const auto none = RoisNamed(*set, "PTV");
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(none.error().message, "no region is called 'PTV'; there are: GTV-1, GTV-*, T\u00FCmor");
}

TEST(StructureSet, IsHeldToTheSeriesOrTheFrameThatItNames) {
  const auto set = Writer().Add("one", {Rectangle(2, 0.5, 0.5, 1.5, 1.5)}).Read();
  ASSERT_TRUE(set.has_value());
  Acquisition image;
  image.series_uid = kSeriesUid;
  image.frame_of_reference_uid = "1.9";
  EXPECT_TRUE(CheckDrawnOn(*set, image).has_value());
  image.series_uid = "1.8";
  const auto other = CheckDrawnOn(*set, image);
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(
      other.error().message,
      "was drawn on series '1.2.3.1' in the frame of reference '1.2.3.4', the image is series "
      "'1.8' in '1.9'; give the image that it was drawn on");
  image.frame_of_reference_uid = kFrameUid;
  EXPECT_TRUE(CheckDrawnOn(*set, image).has_value());
}

TEST(StructureSet, OfWrongNumbersOrAnotherModalityIsRefused) {
  Writer writer;
  writer.Add("one", {Rectangle(2, 0.5, 0.5, 1.5, 1.5)});
  DcmItem& contour =
      Item(Item(writer.file().data(), DCM_ROIContourSequence, 0), DCM_ContourSequence, 0);
  for (const auto& [points, data] :
       {std::pair("4", "1\\2\\3\\4\\5\\6\\7\\8\\9\\10\\11"), std::pair("3", "1\\2\\3\\4\\5\\6"),
        std::pair("1", "1\\nan\\3"), std::pair("0", "")}) {
    Put(contour, DCM_NumberOfContourPoints, points);
    Put(contour, DCM_ContourData, data);
    const auto set = writer.Read();
    ASSERT_FALSE(set.has_value()) << data;
    EXPECT_EQ(set.error().code, ErrorCode::kInvalidArgument);
  }
  writer.file().Set(DCM_Modality, "RTPLAN");
  EXPECT_NE(writer.Read().error().message.find("has Modality (0008,0060) 'RTPLAN', expected"),
            std::string::npos);
  const Folder folder;
  EXPECT_EQ(ReadStructureSet(folder / "none").error().code, ErrorCode::kNotFound);
}

TEST(StructureSet, OfTooManyRegionsIsRefused) {
  Writer writer;
  DcmItem& data = writer.file().data();
  for (long i = 0; i <= static_cast<long>(kRoisMax); ++i) {
    auto* item = new DcmItem;  // DCMTK owns it
    Put(*item, DCM_ROINumber, std::to_string(i));
    EXPECT_TRUE(data.insertSequenceItem(DCM_StructureSetROISequence, item).good());
  }
  EXPECT_EQ(writer.Read().error().code, ErrorCode::kResourceExhausted);
}

TEST(StructureSet, DamagedAnywhereIsAnErrorOrASet) {
  Writer writer;
  writer.Add("one", {Rectangle(2, 0.5, 0.5, 1.5, 1.5), Rectangle(3, 0.5, 0.5, 1.5, 1.5)});
  const Folder folder;
  writer.file().Save(folder / "rs");
  const std::string whole = ReadBytesOf(folder / "rs");
  ASSERT_TRUE(ParseStructureSet(whole).has_value());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto set = ParseStructureSet(std::string_view(whole).substr(0, length));
    EXPECT_TRUE(set.has_value() || !set.error().message.empty());
  }
}

}  // namespace
}  // namespace consilium::engine::dicom
