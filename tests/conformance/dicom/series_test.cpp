// Series as hospitals have them, and as they should not be.
#include "engine/dicom/series.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "engine/dicom/data_set.h"
#include "engine/dicom/pixels.h"
#include "tests/conformance/dicom/written_dicom.h"

namespace consilium::engine::dicom {
namespace {

void ExpectSlices(const SeriesImage& image, int count, double slope = 1, double intercept = 0) {
  const Grid& grid = image.placed.image.grid;
  ASSERT_EQ(grid.size, (std::array<int, 3>{kWide, kHigh, count}));
  for (std::size_t axis = 0; axis < 3; ++axis) {
    EXPECT_NEAR(grid.spacing_mm[axis], kOneSlice.spacing_mm[axis], 1e-6);
    EXPECT_NEAR(image.placed.place.origin_mm[axis], kOblique.origin_mm[axis], 1e-6);
    for (std::size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(image.placed.place.direction[axis][i], kOblique.direction[axis][i], 1e-7);
  }
  for (int z = 0; z < count; ++z) {
    for (int y = 0; y < kHigh; ++y) {
      for (int x = 0; x < kWide; ++x) {
        ASSERT_DOUBLE_EQ(image.placed.image.values[grid.Index(x, y, z)],
                         StoredValue(x, y, z) * slope + intercept)
            << x << " " << y << " " << z;
      }
    }
  }
}

std::string ErrorOf(const Folder& folder, ErrorCode code) {
  const auto image = ReadFolder(folder);
  if (image) return "no error";
  EXPECT_EQ(image.error().code, code) << image.error().message;
  return image.error().message;
}

TEST(Series, IsOrderedByPositionWhateverItsNamesAndNumbersSay) {
  const Folder folder;
  SaveSlices(folder, 4);
  const auto image = ReadFolder(folder);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  ExpectSlices(*image, 4);
  EXPECT_TRUE(image->notes.empty());
}

TEST(Series, SaysHowItWasMadeAndNothingOfThePatient) {
  const Folder folder;
  WrittenFile(0)
      .Set(DCM_KVP, "120")
      .Set(DCM_ConvolutionKernel, "B30f")
      .Save(folder / "a.dcm", EXS_LittleEndianImplicit);
  const auto image = ReadFolder(folder);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  const Acquisition& made = image->acquisition;
  EXPECT_EQ(made.series_uid, kSeriesUid);
  EXPECT_EQ(made.frame_of_reference_uid, kFrameUid);
  EXPECT_EQ(made.modality + made.manufacturer + made.model + made.kernel + made.units,
            "CTAcmeOneB30fHU");
  EXPECT_EQ(made.tube_voltage_kv, 120);
  EXPECT_EQ(made.slice_thickness_mm, 2.5);
  EXPECT_EQ(made.field_strength_t, std::nullopt);
  EXPECT_EQ(made.voxel_size_mm, (std::array<double, 3>{0.8, 1.2, 2.5}));
}

TEST(Series, HasASlopeAndAnInterceptForEachSlice) {
  const Folder folder;
  for (int z = 0; z < 3; ++z) {
    WrittenFile(z)
        .Set(DCM_RescaleSlope, Decimals({1.5 + z}))
        .Set(DCM_RescaleIntercept, Decimals({-10.0 * z}))
        .Save(folder / std::to_string(z));
  }
  const auto image = ReadFolder(folder);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  for (int z = 0; z < 3; ++z) {
    EXPECT_DOUBLE_EQ(image->placed.image.values[image->placed.image.grid.Index(2, 1, z)],
                     StoredValue(2, 1, z) * (1.5 + z) - 10.0 * z);
  }
  WrittenFile(3).Set(DCM_RescaleSlope, "0").Save(folder / "3");
  EXPECT_NE(ErrorOf(folder, ErrorCode::kInvalidArgument).find("RescaleSlope (0028,1053) 0"),
            std::string::npos);
}

// What stands above the bits that are stored is an overlay, and the highest of them is the sign.
TEST(Series, ReadsTheStoredBitsOnly) {
  const Folder folder;
  std::vector<int> values;
  for (int i = 0; i < kWide * kHigh; ++i) values.push_back((i % 2) << 15 | ((i - 10) & 0xFFF) << 1);
  WrittenFile(0)
      .SetNumber(DCM_BitsStored, 12)
      .SetNumber(DCM_HighBit, 12)
      .SetPixels(values)
      .Save(folder / "a");
  const auto image = ReadFolder(folder);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  for (int i = 0; i < kWide * kHigh; ++i)
    EXPECT_EQ(image->placed.image.values[static_cast<std::size_t>(i)], i - 10);
}

TEST(Series, WithoutASliceIsRefused) {
  const Folder folder;
  SaveSlices(folder, 7);
  std::filesystem::remove(folder / "897.dcm");
  std::filesystem::remove(folder / "896.dcm");
  EXPECT_NE(ErrorOf(folder, ErrorCode::kDataLoss).find("2 slices are missing"), std::string::npos);
}

TEST(Series, WithASliceTwiceTakesItOnceIfItIsTheSame) {
  const Folder folder;
  SaveSlices(folder, 4);
  WrittenFile(2).Set(DCM_SOPInstanceUID, "1.2.3.2.77").Save(folder / "again.dcm");
  const auto image = ReadFolder(folder);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  ExpectSlices(*image, 4);
  EXPECT_EQ(image->notes,
            std::vector<std::string>{"1 slices are there twice with the same pixels"});
  WrittenFile(3).SetPosition(0, 0, 2).Save(folder / "again.dcm");
  EXPECT_NE(ErrorOf(folder, ErrorCode::kInvalidArgument).find("same position with other pixels"),
            std::string::npos);
}

TEST(Series, OverTimeIsRefused) {
  const Folder folder;
  SaveSlices(folder, 3);
  for (int z = 0; z < 3; ++z) WrittenFile(z).Save(folder / fmt::format("later{}", z));
  EXPECT_NE(ErrorOf(folder, ErrorCode::kInvalidArgument).find("6 images lie at 3 positions"),
            std::string::npos);
}

TEST(Series, UnevenlySpacedIsNotedAndFromATenthOnRefused) {
  const Folder folder;
  SaveSlices(folder, 9);
  for (const auto& [shift, outcome] :
       {std::pair(0.005, "silent"), std::pair(0.05, "noted"), std::pair(0.2, "refused")}) {
    WrittenFile(4).SetPosition(0, 0, 4 + shift).Save(folder / "896.dcm");
    const auto image = ReadFolder(folder);
    const std::string found = !image ? "refused" : image->notes.empty() ? "silent" : "noted";
    EXPECT_EQ(found, outcome) << shift;
  }
  EXPECT_NE(ErrorOf(folder, ErrorCode::kInvalidArgument).find("20.0 % of their distance"),
            std::string::npos);
}

TEST(Series, OfATiltedGantryIsNotedAndFromHalfAPixelOnRefused) {
  const Folder folder;
  SaveSlices(folder, 5);
  for (const auto& [shift, outcome] :
       {std::pair(0.001, "silent"), std::pair(0.05, "noted"), std::pair(0.2, "refused")}) {
    for (int z = 0; z < 5; ++z)
      WrittenFile(z).SetPosition(0, shift * z, z).Save(folder / fmt::format("{}.dcm", 900 - z));
    const auto image = ReadFolder(folder);
    const std::string found = !image ? "refused" : image->notes.empty() ? "silent" : "noted";
    EXPECT_EQ(found, outcome) << shift;
  }
  EXPECT_NE(ErrorOf(folder, ErrorCode::kInvalidArgument).find("by up to 0.96 mm (a tilted gantry"),
            std::string::npos);
}

TEST(Series, OfOneSliceIsAsThickAsItSays) {
  const Folder folder;
  WrittenFile(0).Set(DCM_SliceThickness, "3.75").Save(folder / "a");
  EXPECT_EQ(ReadFolder(folder)->placed.image.grid.spacing_mm[2], 3.75);
}

TEST(Listing, TellsVolumesAndContrastsOfOneUidApart) {
  const Folder folder;
  std::filesystem::create_directories(folder / "deep/er");
  for (int z = 0; z < 3; ++z) {
    for (const char* echo : {"1", "2"}) {
      WrittenFile(z, "MR")
          .Set(DCM_EchoNumbers, echo)
          .Set(DCM_EchoTime, echo == std::string("1") ? "4.6" : "90")
          .Save(folder / fmt::format("deep/er/{}{}", z, echo));
    }
  }
  WrittenFile(0, "MR")
      .Set(DCM_ImageOrientationPatient, "1\\0\\0\\0\\1\\0")
      .Save(folder / "localizer");
  WrittenFile(0, "MR").Set(DCM_PixelSpacing, "2\\2").Save(folder / "coarse");
  WrittenFile(0, "CT").Set(DCM_SeriesInstanceUID, "1.2.3.99").Save(folder / "other");
  std::ofstream(folder / "notes.txt") << "no DICOM";
  WrittenFile::Empty("RTSTRUCT", UID_RTStructureSetStorage).Save(folder / "rs");
  WrittenFile::Empty("SEG", UID_SegmentationStorage).Save(folder / "seg");
  const std::string whole = ReadBytesOf(folder / "other");
  std::ofstream(folder / "cut", std::ios::binary) << whole.substr(0, 300);

  const auto listing = ListSeries(folder.path());
  ASSERT_TRUE(listing.has_value()) << listing.error().message;
  std::vector<std::string> found;
  for (const Series& series : listing->series) {
    found.push_back(fmt::format("{} {} {}: {}", series.uid, series.modality, series.frames.size(),
                                series.contrast));
  }
  EXPECT_EQ(found, (std::vector<std::string>{
                       "1.2.3.1 MR 1: ORIGINAL\\PRIMARY\\AXIAL",
                       "1.2.3.1 MR 3: echo 1, TE 4.6, ORIGINAL\\PRIMARY\\AXIAL",
                       "1.2.3.1 MR 3: echo 2, TE 90, ORIGINAL\\PRIMARY\\AXIAL",
                       "1.2.3.1 MR 1: ORIGINAL\\PRIMARY\\AXIAL", "1.2.3.99 CT 1: "}));
  EXPECT_EQ(listing->series[1].description, "synthetic");
  EXPECT_EQ(listing->structure_sets, std::vector<std::filesystem::path>{folder / "rs"});
  EXPECT_EQ(listing->segmentations, std::vector<std::filesystem::path>{folder / "seg"});
  ASSERT_EQ(listing->notes.size(), 3U);
  EXPECT_NE(listing->notes[0].find("cut: the file is damaged or cut short"), std::string::npos);
  EXPECT_NE(listing->notes[1].find("series 1.2.3.1 is 4 volumes"), std::string::npos);
  EXPECT_EQ(listing->notes[2], "1 files are no DICOM images or drawings");
  const auto echo = ReadSeries(listing->series[2]);
  ASSERT_TRUE(echo.has_value()) << echo.error().message;
  ExpectSlices(*echo, 3);
  EXPECT_EQ(echo->acquisition.echo_time_ms, 90);
}

TEST(Listing, OfAFolderThatIsNotThereIsAnError) {
  const Folder folder;
  EXPECT_EQ(ListSeries(folder / "none").error().code, ErrorCode::kNotFound);
}

// An item of a sequence of functional groups.
DcmItem& Group(DcmItem& groups, const DcmTagKey& sequence) {
  DcmItem* item = nullptr;
  EXPECT_TRUE(groups.findOrCreateSequenceItem(sequence, item, 0).good());
  return *item;
}
DcmItem& Groups(WrittenFile& file, const DcmTagKey& sequence, long number) {
  DcmItem* item = nullptr;
  EXPECT_TRUE(file.data().findOrCreateSequenceItem(sequence, item, number).good());
  return *item;
}
void Put(DcmItem& item, const DcmTagKey& tag, const std::string& value) {
  EXPECT_TRUE(item.putAndInsertString(tag, value.c_str()).good());
}

// Slices 3, 2, 1, 0, and all again with another b value.
WrittenFile Enhanced() {
  WrittenFile file(0, "MR");
  file.Set(DCM_SOPClassUID, UID_EnhancedMRImageStorage).Set(DCM_NumberOfFrames, "8");
  for (const DcmTagKey& tag :
       {DCM_PixelSpacing, DCM_SliceThickness, DCM_ImagePositionPatient, DCM_EchoTime})
    file.Remove(tag);
  std::string orientation;
  OFString text;
  file.data().findAndGetOFStringArray(DCM_ImageOrientationPatient, text);
  file.Remove(DCM_ImageOrientationPatient);
  DcmItem& shared = Groups(file, DCM_SharedFunctionalGroupsSequence, 0);
  Put(Group(shared, DCM_PixelMeasuresSequence), DCM_PixelSpacing, "1.2\\0.8");
  Put(Group(shared, DCM_PixelMeasuresSequence), DCM_SliceThickness, "2");
  Put(Group(shared, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient, text.c_str());
  EXPECT_TRUE(
      Group(shared, DCM_MREchoSequence).putAndInsertFloat64(DCM_EffectiveEchoTime, 71.5).good());
  std::vector<int> values;
  for (int i = 0; i < 8; ++i) {
    const int z = 3 - i % 4;
    DcmItem& own = Groups(file, DCM_PerFrameFunctionalGroupsSequence, i);
    const Position p = PositionOf(kOneSlice, kOblique, {0, 0, static_cast<double>(z)});
    Put(Group(own, DCM_PlanePositionSequence), DCM_ImagePositionPatient,
        Decimals({p[0], p[1], p[2]}));
    DcmItem& transformation = Group(own, DCM_PixelValueTransformationSequence);
    Put(transformation, DCM_RescaleSlope, i < 4 ? "1" : "2");
    Put(transformation, DCM_RescaleIntercept, i < 4 ? "0" : "5");
    EXPECT_TRUE(Group(own, DCM_MRDiffusionSequence)
                    .putAndInsertFloat64(DCM_DiffusionBValue, i < 4 ? 0 : 800)
                    .good());
    for (int y = 0; y < kHigh; ++y) {
      for (int x = 0; x < kWide; ++x) values.push_back(StoredValue(x, y, z));
    }
  }
  file.SetPixels(values);
  return file;
}

TEST(EnhancedMultiFrame, IsReadByItsFunctionalGroups) {
  const Folder folder;
  Enhanced().Save(folder / "enhanced");
  const auto listing = ListSeries(folder.path());
  ASSERT_TRUE(listing.has_value());
  ASSERT_EQ(listing->series.size(), 2U);
  EXPECT_EQ(listing->series[1].contrast, "TE 71.5, b 800, ORIGINAL\\PRIMARY\\AXIAL");
  const auto low = ReadSeries(listing->series[0]), high = ReadSeries(listing->series[1]);
  ASSERT_TRUE(low.has_value()) << low.error().message;
  ASSERT_TRUE(high.has_value()) << high.error().message;
  ExpectSlices(*low, 4);
  ExpectSlices(*high, 4, 2, 5);
  EXPECT_EQ(high->acquisition.echo_time_ms, 71.5);
  EXPECT_EQ(high->acquisition.slice_thickness_mm, 2);
}

TEST(EnhancedMultiFrame, CompressedIsTheSame) {
  const Folder folder;
  Enhanced().Save(folder / "enhanced", EXS_RLELossless);
  const auto listing = ListSeries(folder.path());
  ASSERT_TRUE(listing.has_value());
  ASSERT_EQ(listing->series.size(), 2U);
  const auto high = ReadSeries(listing->series[1]);
  ASSERT_TRUE(high.has_value()) << high.error().message;
  ExpectSlices(*high, 4, 2, 5);
}

TEST(EnhancedMultiFrame, WithoutAGroupForEachFrameIsNoted) {
  const Folder folder;
  WrittenFile file = Enhanced();
  file.Set(DCM_NumberOfFrames, "7").Save(folder / "enhanced");
  auto listing = ListSeries(folder.path());
  ASSERT_TRUE(listing.has_value());
  EXPECT_TRUE(listing->series.empty());
  ASSERT_EQ(listing->notes.size(), 1U);
  EXPECT_NE(listing->notes[0].find("functional groups for 8 of 7 frames"), std::string::npos);
}

TEST(Compressed, SlicesAreTheSame) {
  for (const E_TransferSyntax syntax :
       {EXS_LittleEndianImplicit, EXS_RLELossless, EXS_JPEGProcess14SV1}) {
    const Folder folder;
    for (int z = 0; z < 3; ++z) {
      // DCMTK's JPEG takes no negative numbers.
      std::vector<int> values;
      for (int y = 0; y < kHigh; ++y) {
        for (int x = 0; x < kWide; ++x) values.push_back(StoredValue(x, y, z) + 1000);
      }
      WrittenFile(z)
          .SetNumber(DCM_PixelRepresentation, 0)
          .SetPixels(values)
          .Set(DCM_RescaleIntercept, "-1000")
          .Set(DCM_RescaleSlope, "1")
          .Save(folder / std::to_string(z), syntax);
    }
    const auto image = ReadFolder(folder);
    ASSERT_TRUE(image.has_value()) << syntax << ": " << image.error().message;
    ExpectSlices(*image, 3);
  }
}

TEST(Compressed, SignedSlicesAreTheSame) {
  const Folder folder;
  for (int z = 0; z < 3; ++z) WrittenFile(z).Save(folder / std::to_string(z), EXS_RLELossless);
  const auto image = ReadFolder(folder);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  ExpectSlices(*image, 3);
}

// 32 x 32 pixels of 16 signed bits with the values 3 y - 5 x, written by OpenJPEG 2.5 without loss:
// DCMTK writes no JPEG 2000.
constexpr std::string_view kJpeg2000 =
    "ff4fff510029000000000020000000200000000000000000000000200000002000000000000000000001"
    "8f0101ff52000c00000001000404040001ff5c00104080888890888890888890888890ff64002a000143"
    "726561746564206279204744434d2f4f70656e4a5045472076657273696f6e20322e352e30ff90000a00"
    "00000000560001ff93c00fb4140e67b4e398c003ea038003e7060e09d00b37fdc001f3838001f2040021"
    "6dd5037e618fc000f90240007c220035f598c73da62ed7c0007c2240003a205efbc5899dac295cffd900";

// Slice 0 of written_dicom.h, written by DCMTK. It is kept as bytes because DCMTK's CharLS and
// GDCM's have functions of one name, and a program that holds both may call the wrong one.
constexpr std::string_view kJpegLs =
    "ffd8fff7000b100005000601011100fff8000d01ffff0012004301140040ffda000801010000000058e8"
    "03006018060305201400802008051280c060303002420e0e0e0e009083870e1c00ffd955";

std::vector<Uint8> BytesOf(std::string_view hexadecimal) {
  std::vector<Uint8> bytes;
  for (std::size_t i = 0; i < hexadecimal.size(); i += 2) {
    bytes.push_back(
        static_cast<Uint8>(std::stoi(std::string(hexadecimal.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

// Slice 0 with compressed pixels: a table of offsets, then fragments.
WrittenFile Encapsulated(const std::vector<std::vector<Uint8>>& items, E_TransferSyntax syntax) {
  auto* sequence = new DcmPixelSequence(DCM_PixelSequenceTag);  // DCMTK owns it
  for (const std::vector<Uint8>& bytes : items) {
    auto* item = new DcmPixelItem(DCM_PixelItemTag);
    EXPECT_TRUE(item->putUint8Array(bytes.data(), bytes.size()).good());
    sequence->insert(item);
  }
  auto* pixels = new DcmPixelData(DCM_PixelData);
  pixels->putOriginalRepresentation(syntax, nullptr, sequence);
  WrittenFile file(0);
  file.Remove(DCM_PixelData);
  EXPECT_TRUE(file.data().insert(pixels, true).good());
  return file;
}

WrittenFile Jpeg2000(unsigned short high) {
  WrittenFile file = Encapsulated({{}, BytesOf(kJpeg2000)}, EXS_JPEG2000LosslessOnly);
  file.SetNumber(DCM_Rows, high).SetNumber(DCM_Columns, 32);
  return file;
}

TEST(Compressed, JpegLsIsRead) {
  const Folder folder;
  Encapsulated({{}, BytesOf(kJpegLs)}, EXS_JPEGLSLossless).Save(folder / "a", EXS_JPEGLSLossless);
  const auto image = ReadFolder(folder);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  ExpectSlices(*image, 1);
  Encapsulated({{}, BytesOf(kJpegLs)}, EXS_JPEGLSLossless)
      .SetNumber(DCM_Columns, kWide - 1)
      .Save(folder / "a", EXS_JPEGLSLossless);
  EXPECT_NE(ErrorOf(folder, ErrorCode::kDataLoss).find("of another size than its header says"),
            std::string::npos);
}

TEST(Compressed, Jpeg2000IsRead) {
  const Folder folder;
  Jpeg2000(32).Save(folder / "a", EXS_JPEG2000LosslessOnly);
  const auto image = ReadFolder(folder);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 32; ++x) {
      EXPECT_EQ(image->placed.image.values[image->placed.image.grid.Index(x, y, 0)], 3 * y - 5 * x);
    }
  }
  Jpeg2000(31).Save(folder / "a", EXS_JPEG2000LosslessOnly);
  EXPECT_NE(ErrorOf(folder, ErrorCode::kDataLoss).find("of another size than its header says"),
            std::string::npos);
}

// Two frames in two fragments each, the second frame behind the first as the table says.
TEST(Compressed, FramesInSeveralFragmentsAreFoundByTheTable) {
  const std::vector<Uint8> whole = BytesOf(kJpeg2000);
  const std::vector<Uint8> begin(whole.begin(), whole.begin() + 100),
      end(whole.begin() + 100, whole.end());
  const auto second = static_cast<Uint8>(whole.size() + 16);  // each fragment has 8 bytes before it
  ASSERT_EQ(second, whole.size() + 16);
  const std::vector<Uint8> table = {0, 0, 0, 0, second, 0, 0, 0};
  const auto read = [&](const std::vector<std::vector<Uint8>>& items) -> Result<double> {
    const Folder folder;
    Encapsulated(items, EXS_JPEG2000LosslessOnly)
        .SetNumber(DCM_Rows, 32)
        .SetNumber(DCM_Columns, 32)
        .Set(DCM_NumberOfFrames, "2")
        .Save(folder / "a", EXS_JPEG2000LosslessOnly);
    const auto file = LoadFile(folder / "a", DataSet::Extent::kWhole);
    CONSILIUM_TRY(file);
    const auto pixels = Pixels::Of(file->parsed);
    CONSILIUM_TRY(pixels);
    std::vector<double> values(32 * 32);
    CONSILIUM_TRY(pixels->Read(1, values));
    return values[7 * 32 + 3];
  };
  const auto value = read({table, begin, end, begin, end});
  ASSERT_TRUE(value.has_value()) << value.error().message;
  EXPECT_EQ(*value, 3 * 7 - 5 * 3);
  EXPECT_EQ(read({{}, begin, end, begin, end}).error().code, ErrorCode::kDataLoss) << "no table";
  EXPECT_EQ(read({{}, whole}).error().code, ErrorCode::kDataLoss) << "one frame is missing";
}

// Frames that say another size than the header would make a decoder write beyond its memory.
TEST(Compressed, FramesOfAnotherSizeAreRefusedBeforeTheyAreDecoded) {
  for (const E_TransferSyntax syntax : {EXS_RLELossless, EXS_JPEGProcess14SV1}) {
    const Folder folder;
    WrittenFile(0).SetNumber(DCM_PixelRepresentation, 0).Save(folder / "a", syntax);
    std::string bytes = ReadBytesOf(folder / "a");
    // The header's Rows (0028,0010) US.
    const std::string rows("\x28\x00\x10\x00US\x02\x00", 8);
    const auto at = bytes.find(rows);
    ASSERT_NE(at, std::string::npos);
    bytes[at + 8] = syntax == EXS_RLELossless ? kHigh : kHigh - 1;
    const std::string allocated("\x28\x00\x00\x01US\x02\x00", 8);
    const auto bits = bytes.find(allocated);
    ASSERT_NE(bits, std::string::npos);
    if (syntax == EXS_RLELossless) bytes[bits + 8] = 32;
    std::ofstream(folder / "a", std::ios::binary) << bytes;
    EXPECT_NE(ErrorOf(folder, ErrorCode::kDataLoss), "no error") << syntax;
  }
}

TEST(Damaged, FilesAreRefusedWhereverTheyEnd) {
  const Folder folder;
  WrittenFile(0).Save(folder / "a");
  const std::string bytes = ReadBytesOf(folder / "a");
  const std::size_t pixels = bytes.size() - 2 * kWide * kHigh;
  for (std::size_t length = 0; length < bytes.size(); length += length < pixels ? 7 : 59) {
    std::ofstream(folder / "a", std::ios::binary | std::ios::trunc) << bytes.substr(0, length);
    const auto listing = ListSeries(folder.path());
    ASSERT_TRUE(listing.has_value());
    for (const Series& series : listing->series) {
      const auto image = ReadSeries(series);
      ASSERT_FALSE(image.has_value()) << length;
      EXPECT_TRUE(image.error().code == ErrorCode::kDataLoss ||
                  image.error().code == ErrorCode::kInvalidArgument)
          << image.error().message;
    }
  }
}

TEST(Wrong, ColoursModalitiesWithoutAPlaneAndBigEndianAreRefused) {
  const Folder colour;
  WrittenFile(0)
      .SetNumber(DCM_SamplesPerPixel, 3)
      .Set(DCM_PhotometricInterpretation, "RGB")
      .Save(colour / "a");
  EXPECT_NE(ErrorOf(colour, ErrorCode::kInvalidArgument).find("has pixels of RGB"),
            std::string::npos);
  const Folder no_plane;
  WrittenFile(0).Remove(DCM_ImagePositionPatient).Save(no_plane / "a");
  EXPECT_NE(ErrorOf(no_plane, ErrorCode::kInvalidArgument).find("no usable ImagePositionPatient"),
            std::string::npos);
  const Folder no_spacing;
  WrittenFile(0).Remove(DCM_PixelSpacing).Save(no_spacing / "a");
  EXPECT_NE(ErrorOf(no_spacing, ErrorCode::kInvalidArgument).find("no PixelSpacing"),
            std::string::npos);
  const Folder big_endian;
  WrittenFile(0).Save(big_endian / "a", EXS_BigEndianExplicit);
  EXPECT_TRUE(ListSeries(big_endian.path())->series.empty());
}

// Activity of one kilobecquerel a millilitre at the scan's start.
WrittenFile Pet(int z) {
  WrittenFile file(z, "PT");
  file.Set(DCM_Units, "BQML").Set(DCM_DecayCorrection, "START").Set(DCM_PatientWeight, "70");
  file.Set(DCM_SeriesDate, "20200301").Set(DCM_SeriesTime, "001500");
  file.Set(DCM_AcquisitionDate, "20200301").Set(DCM_AcquisitionTime, "001510.5");
  DcmItem* drug = nullptr;
  EXPECT_TRUE(file.data()
                  .findOrCreateSequenceItem(DCM_RadiopharmaceuticalInformationSequence, drug, 0)
                  .good());
  Put(*drug, DCM_RadionuclideTotalDose, "370000000");
  Put(*drug, DCM_RadionuclideHalfLife, "6586.2");
  Put(*drug, DCM_RadiopharmaceuticalStartTime, "231500.000");  // of the day before
  return file;
}

TEST(Pet, IsSuvByBodyWeightUnlessItIsNotWanted) {
  const Folder folder;
  for (int z = 0; z < 2; ++z) Pet(z).Set(DCM_RescaleSlope, "2").Save(folder / std::to_string(z));
  const auto suv = ReadFolder(folder), stored = ReadFolder(folder, {.pet_to_suv = false});
  ASSERT_TRUE(suv.has_value()) << suv.error().message;
  ASSERT_TRUE(stored.has_value()) << stored.error().message;
  EXPECT_EQ(suv->acquisition.units, "SUV body weight");
  EXPECT_EQ(stored->acquisition.units, "BQML");
  const double factor = 70000 / (370e6 * std::exp2(-3600 / 6586.2));
  for (std::size_t i = 0; i < stored->placed.image.values.size(); ++i) {
    EXPECT_NEAR(suv->placed.image.values[i], stored->placed.image.values[i] * factor, 1e-12);
  }
  EXPECT_EQ(stored->placed.image.values[0], 2 * StoredValue(0, 0, 0));
}

TEST(Pet, OfPhilipsInCountsHasItsFactor) {
  const Folder folder;
  WrittenFile file = Pet(0);
  file.Set(DCM_Units, "CNTS");
  EXPECT_TRUE(file.data()
                  .putAndInsertString(DcmTag(0x7053, 0x0010, EVR_LO), "Philips PET Private Group")
                  .good());
  EXPECT_TRUE(file.data().putAndInsertString(DcmTag(0x7053, 0x1000, EVR_DS), "0.00123").good());
  file.Save(folder / "a");
  const auto image = ReadFolder(folder);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_DOUBLE_EQ(image->placed.image.values[0], StoredValue(0, 0, 0) * 0.00123);
}

TEST(Pet, WithoutAWeightIsRefusedWithWhatToDo) {
  const Folder folder;
  Pet(0).Remove(DCM_PatientWeight).Save(folder / "a");
  const std::string message = ErrorOf(folder, ErrorCode::kFailedPrecondition);
  EXPECT_NE(message.find("PatientWeight (0010,1030) is not there"), std::string::npos);
  EXPECT_NE(message.find("read the series without conversion"), std::string::npos);
  EXPECT_TRUE(ReadFolder(folder, {.pet_to_suv = false}).has_value());
}

TEST(Projection, IsOneSliceWithTheDetectorsSpacingAndMoreIsBrighter) {
  const Folder folder;
  WrittenFile file(0);
  file.Set(DCM_SOPClassUID, UID_DigitalXRayImageStorageForProcessing).Set(DCM_Modality, "DX");
  for (const DcmTagKey& tag : {DCM_ImagePositionPatient, DCM_ImageOrientationPatient,
                               DCM_PixelSpacing, DCM_SliceThickness})
    file.Remove(tag);
  file.Set(DCM_ImagerPixelSpacing, "0.2\\0.1").Set(DCM_PhotometricInterpretation, "MONOCHROME1");
  file.SetNumber(DCM_PixelRepresentation, 0).SetNumber(DCM_BitsStored, 12);
  file.SetNumber(DCM_HighBit, 11);
  std::vector<int> values(kWide * kHigh, 95);
  values[1] = 4095;
  file.SetPixels(values).Save(folder / "a");
  const auto image = ReadFolder(folder);
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_EQ(image->placed.image.grid, (Grid{{kWide, kHigh, 1}, {0.1, 0.2, 1}}));
  EXPECT_EQ(image->placed.image.values[0], 4000);
  EXPECT_EQ(image->placed.image.values[1], 0);
  ASSERT_EQ(image->notes.size(), 2U);
  EXPECT_EQ(image->notes[1], "MONOCHROME1: values were turned over");
  // Two views of one series are two images.
  file.Save(folder / "b");
  EXPECT_EQ(ListSeries(folder.path())->series.size(), 2U);
}

}  // namespace
}  // namespace consilium::engine::dicom
