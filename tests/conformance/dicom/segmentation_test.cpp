// Segmentations written by DCMTK's dcmseg from known masks, and label maps, which it does not
// write.
#include "engine/dicom/segmentation.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmfg/fgfracon.h>
#include <dcmtk/dcmfg/fgpixmsr.h>
#include <dcmtk/dcmfg/fgplanor.h>
#include <dcmtk/dcmfg/fgplanpo.h>
#include <dcmtk/dcmseg/segdoc.h>
#include <dcmtk/dcmseg/segment.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/rng.h"
#include "engine/reconcile.h"
#include "tests/conformance/dicom/written_masks.h"

namespace consilium::engine::dicom {
namespace {

constexpr int kSlices = 7;
// 36 pixels a frame: no whole number of bytes. DCMTK 3.6.7 itself writes frames wrongly that leave
// 6 bits; those are written by hand below.
constexpr int kTall = 6;
const Grid kGrid{{kWide, kTall, kSlices}, kOneSlice.spacing_mm};
constexpr std::size_t kPixels = std::size_t{kWide} * kTall;

// One slice of a segment: 0 or 1, or a fraction of kMaximum.
struct SegmentFrame {
  Uint16 segment = 1;
  int z = 0;
  std::vector<Uint8> values;
};
constexpr Uint16 kMaximum = 201;

struct How {
  bool fractional = false;
  const char* spacing_between_slices = "2.5";
};

// A segmentation of segments "Tumour" and "Lung" on the oblique slices.
std::string Written(const Folder& folder, const std::vector<SegmentFrame>& frames, const How& how) {
  const auto check = [](const OFCondition& condition) {
    EXPECT_TRUE(condition.good()) << condition.text();
  };
  ContentIdentificationMacro* content = nullptr;
  check(ContentIdentificationMacro::create("1", "MASKS", "", "", content));
  const IODGeneralEquipmentModule::EquipmentInfo equipment("Acme", "One", "1", "1");
  DcmSegmentation* made = nullptr;
  check(how.fractional
            ? DcmSegmentation::createFractionalSegmentation(
                  made, kTall, kWide, DcmSegTypes::SFT_PROBABILITY, kMaximum, equipment, *content)
            : DcmSegmentation::createBinarySegmentation(made, kTall, kWide, equipment, *content));
  const std::unique_ptr<DcmSegmentation> document(made);
  const std::unique_ptr<ContentIdentificationMacro> owned(content);
  WrittenFile source(0);
  check(document->importFromSourceImage(source.data()));
  check(document->getSeries().setSeriesNumber("1"));
  for (const char* label : {"Tumour", "Lung"}) {
    DcmSegment* segment = nullptr;
    check(DcmSegment::create(segment, label, CodeSequenceMacro("T-D0050", "SRT", "Tissue"),
                             CodeSequenceMacro("M-01000", "SRT", label), DcmSegTypes::SAT_MANUAL));
    Uint16 number = 0;
    check(document->addSegment(segment, number));
  }
  FGPixelMeasures measures;
  check(measures.setPixelSpacing("1.2\\0.8"));
  check(measures.setSliceThickness("2.5"));
  if (how.spacing_between_slices != nullptr)
    check(measures.setSpacingBetweenSlices(how.spacing_between_slices));
  check(document->addForAllFrames(measures));
  const auto word = [](double number) { return OFString(Decimals({number}).c_str()); };
  const auto& d = kOblique.direction;
  const std::unique_ptr<FGPlaneOrientationPatient> orientation(
      FGPlaneOrientationPatient::createMinimal(word(d[0][0]), word(d[0][1]), word(d[0][2]),
                                               word(d[1][0]), word(d[1][1]), word(d[1][2])));
  check(document->addForAllFrames(*orientation));
  for (const auto& [tag, group] :
       {std::pair(DCM_ReferencedSegmentNumber, DCM_SegmentIdentificationSequence),
        std::pair(DCM_ImagePositionPatient, DCM_PlanePositionSequence)})
    check(document->getDimensions().addDimensionIndex(tag, "1.2.3.7", group));
  for (const SegmentFrame& frame : frames) {
    const Position p = PositionOf(kGrid, kOblique, {0, 0, static_cast<double>(frame.z)});
    const std::unique_ptr<FGPlanePosPatient> position(
        FGPlanePosPatient::createMinimal(word(p[0]), word(p[1]), word(p[2])));
    FGFrameContent where;
    check(where.setDimensionIndexValues(frame.segment, 0));
    check(where.setDimensionIndexValues(static_cast<Uint32>(frame.z + 1), 1));
    OFVector<FGBase*> groups;
    groups.push_back(position.get());
    groups.push_back(&where);
    std::vector<Uint8> values = frame.values;
    check(document->addFrame(values.data(), frame.segment, groups));
  }
  const auto path = folder / "seg";
  check(document->saveFile(path.c_str(), EXS_LittleEndianExplicit));
  return path;
}

std::vector<Uint8> RandomValues(Rng& rng, double density, Uint8 value = 1) {
  std::vector<Uint8> values;
  for (std::size_t i = 0; i < kPixels; ++i) values.push_back(rng.Chance(density) ? value : 0);
  return values;
}

// What the frames of one segment say, on the whole grid.
std::vector<std::uint8_t> Expected(const std::vector<SegmentFrame>& frames, int segment,
                                   double threshold = 1) {
  std::vector<std::uint8_t> inside(kGrid.voxel_count());
  for (const SegmentFrame& frame : frames) {
    if (frame.segment != segment) continue;
    for (std::size_t i = 0; i < kPixels; ++i) {
      if (frame.values[i] >= threshold) inside[static_cast<std::size_t>(frame.z) * kPixels + i] = 1;
    }
  }
  return inside;
}

Result<Mask> OnImage(const Segmentation& segmentation, int number) {
  const auto reconciled = Reconcile(MaskOf(segmentation, number), kGrid, kOblique);
  CONSILIUM_TRY(reconciled);
  return reconciled->mask;
}

TEST(Segmentation, OfBitsAcrossFrameBordersIsTheMaskThatWasWritten) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Rng rng(seed, "seg");
    const Folder folder;
    std::vector<SegmentFrame> frames;
    for (Uint16 segment = 1; segment <= 2; ++segment) {
      for (int z = 0; z < kSlices; ++z) frames.push_back({segment, z, RandomValues(rng, 0.4)});
    }
    const auto read = ReadSegmentation(Written(folder, frames, {}));
    ASSERT_TRUE(read.has_value()) << read.error().message;
    for (const int segment : {1, 2}) {
      const PlacedMask mask = MaskOf(*read, segment);
      EXPECT_EQ(mask.mask.inside, Expected(frames, segment)) << "they overlap";
      const auto reconciled = Reconcile(mask, kGrid, kOblique);
      ASSERT_TRUE(reconciled.has_value());
      EXPECT_EQ(reconciled->note, "") << "the image's own grid";
    }
  }
}

TEST(Segmentation, NamesItsSegmentsAndWhatTheyAre) {
  const Folder folder;
  Rng rng(1, "seg");
  const auto read = ReadSegmentation(
      Written(folder, {{1, 3, RandomValues(rng, 0.5)}, {2, 3, RandomValues(rng, 0.5)}}, {}));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  ASSERT_EQ(read->segments.size(), 2U);
  EXPECT_EQ(read->segments[1].number, 2);
  EXPECT_EQ(read->segments[1].label, "Lung");
  EXPECT_EQ(read->segments[1].category.value, "T-D0050");
  EXPECT_EQ(read->segments[1].type.scheme, "SRT");
  EXPECT_EQ(read->segments[1].type.meaning, "Lung");
  EXPECT_EQ(SegmentsNamed(*read, "*")->size(), 2U);
  EXPECT_EQ(SegmentsNamed(*read, "Tum*")->front()->number, 1);
  EXPECT_EQ(SegmentsNamed(*read, "Heart").error().message,
            "no region is called 'Heart'; there are: Tumour, Lung");
  Acquisition image;
  image.frame_of_reference_uid = kFrameUid;
  EXPECT_TRUE(CheckDrawnOn(*read, image).has_value());
  image.frame_of_reference_uid = "1.9";
  EXPECT_EQ(CheckDrawnOn(*read, image).error().code, ErrorCode::kInvalidArgument);
}

// Every other slice has voxels, in an order of its own; what lies between has none. (Four frames
// fill whole bytes: DCMTK 3.6.7 loses the last bits of others.)
TEST(Segmentation, WithoutItsEmptyFramesIsTheSame) {
  Rng rng(2, "seg");
  std::vector<SegmentFrame> frames;
  for (const int z : {6, 0, 2, 4}) frames.push_back({1, z, RandomValues(rng, 0.5)});
  for (const char* spacing : {"2.5", "1.25", static_cast<const char*>(nullptr)}) {
    const Folder folder;
    const auto read = ReadSegmentation(Written(folder, frames, {false, spacing}));
    ASSERT_TRUE(read.has_value()) << read.error().message;
    const auto mask = OnImage(*read, 1);
    ASSERT_TRUE(mask.has_value()) << mask.error().message;
    EXPECT_EQ(mask->inside, Expected(frames, 1));
    const PlacedMask none = MaskOf(*read, 2);
    EXPECT_EQ(std::count(none.mask.inside.begin(), none.mask.inside.end(), 1), 0);
  }
}

TEST(Segmentation, OfFractionsIsInsideFromOneHalfOn) {
  Rng rng(3, "seg");
  std::vector<SegmentFrame> frames;
  for (int z = 0; z < kSlices; ++z) {
    frames.push_back({1, z, {}});
    for (std::size_t i = 0; i < kPixels; ++i)
      frames.back().values.push_back(static_cast<Uint8>(rng.Uniform() * (kMaximum + 1)));
  }
  frames[0].values[0] = 100;
  frames[0].values[1] = 101;
  const Folder folder;
  const auto read = ReadSegmentation(Written(folder, frames, {true, "2.5"}));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  const PlacedMask mask = MaskOf(*read, 1);
  EXPECT_EQ(mask.mask.inside, Expected(frames, 1, 100.5));
  EXPECT_EQ(mask.mask.inside[0], 0);
  EXPECT_EQ(mask.mask.inside[1], 1);
}

TEST(Segmentation, OfLabelsIsInsideWhereThePixelIsTheSegmentsNumber) {
  Rng rng(4, "seg");
  std::vector<int> labels;
  for (std::size_t i = 0; i < kGrid.voxel_count(); ++i)
    labels.push_back(rng.Chance(0.3) ? 1 : rng.Chance(0.3) ? 301 : 0);
  for (const auto syntax : {EXS_LittleEndianExplicit, EXS_RLELossless}) {
    const Folder folder;
    LabelMap(kGrid, labels).Save(folder / "seg", syntax);
    const auto read = ReadSegmentation(folder / "seg");
    ASSERT_TRUE(read.has_value()) << read.error().message;
    for (const Segment& segment : read->segments) {
      const PlacedMask mask = MaskOf(*read, segment.number);
      ASSERT_EQ(mask.mask.inside.size(), labels.size());
      for (std::size_t i = 0; i < labels.size(); ++i)
        ASSERT_EQ(mask.mask.inside[i], labels[i] == segment.number ? 1 : 0) << i;
    }
  }
}

// Any number of bits left over, lowest first, without gaps between frames (PS3.5, 8.1.1).
TEST(Segmentation, OfBitsIsReadWhateverTheFramesSize) {
  Rng rng(6, "seg");
  for (unsigned short high = 1; high <= 8; ++high) {
    const auto voxels = static_cast<std::size_t>(kWide * high * kSlices);
    std::vector<std::uint8_t> inside;
    std::vector<Uint8> bytes((voxels + 15) / 16 * 2);
    for (std::size_t i = 0; i < voxels; ++i) {
      inside.push_back(rng.Chance(0.5) ? 1 : 0);
      bytes[i / 8] = static_cast<Uint8>(bytes[i / 8] | inside.back() << (i % 8));
    }
    WrittenFile file = LabelMap(kGrid, {});
    file.Set(DCM_SegmentationType, "BINARY").SetNumber(DCM_Rows, high);
    file.SetNumber(DCM_BitsAllocated, 1).SetNumber(DCM_BitsStored, 1).SetNumber(DCM_HighBit, 0);
    EXPECT_TRUE(
        file.data().putAndInsertUint8Array(DCM_PixelData, bytes.data(), bytes.size()).good());
    DcmItem& shared = Item(file.data(), DCM_SharedFunctionalGroupsSequence, 0);
    EXPECT_TRUE(Item(shared, DCM_SegmentIdentificationSequence, 0)
                    .putAndInsertUint16(DCM_ReferencedSegmentNumber, 1)
                    .good());
    const Folder folder;
    file.Save(folder / "seg");
    const auto read = ReadSegmentation(folder / "seg");
    ASSERT_TRUE(read.has_value()) << read.error().message;
    EXPECT_EQ(MaskOf(*read, 1).mask.inside, inside) << high;
  }
}

TEST(Segmentation, WithoutPlanesOrOfShiftedOrTurnedFramesIsRefused) {
  const std::vector<int> labels(kGrid.voxel_count(), 1);
  const auto refused = [&](auto change, const std::string& why) {
    const Folder folder;
    WrittenFile file = LabelMap(kGrid, labels);
    change(Item(file.data(), DCM_PerFrameFunctionalGroupsSequence, 2));
    file.Save(folder / "seg");
    const auto read = ReadSegmentation(folder / "seg");
    ASSERT_FALSE(read.has_value()) << why;
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(read.error().message.find(why), std::string::npos) << read.error().message;
  };
  const auto move = [](const Index& to) {
    return [to](DcmItem& frame) {
      const Position p = PositionOf(kGrid, kOblique, to);
      Put(Item(frame, DCM_PlanePositionSequence, 0), DCM_ImagePositionPatient,
          Decimals({p[0], p[1], p[2]}));
    };
  };
  refused([](DcmItem& frame) { frame.findAndDeleteElement(DCM_PlanePositionSequence); },
          "frame 3 does not say where it is");
  refused(move({0.5, 0, 2}), "shifted against each other in their plane");
  refused(move({0, 0, 2.7}), "no multiples of");
  refused(
      [](DcmItem& frame) {
        Put(Item(frame, DCM_PlaneOrientationSequence, 0), DCM_ImageOrientationPatient,
            "1\\0\\0\\0\\1\\0");
      },
      "several orientations");
}

TEST(Segmentation, OfAnotherModalityOrKindIsRefused) {
  const Folder folder;
  WrittenFile(0).Save(folder / "ct");
  EXPECT_NE(ReadSegmentation(folder / "ct").error().message.find("'CT', expected SEG"),
            std::string::npos);
  LabelMap(kGrid, std::vector<int>(kGrid.voxel_count()))
      .Set(DCM_SegmentationType, "BINARY")
      .Save(folder / "seg");
  EXPECT_NE(ReadSegmentation(folder / "seg")
                .error()
                .message.find("type 'BINARY' with 16 bits a pixel, expected BINARY (1)"),
            std::string::npos);
}

TEST(Segmentation, DamagedAnywhereIsAnErrorOrASegmentation) {
  const Folder folder;
  Rng rng(5, "seg");
  const std::string path =
      Written(folder, {{1, 0, RandomValues(rng, 0.5)}, {2, 1, RandomValues(rng, 0.5)}}, {});
  const std::string whole = ReadBytesOf(path);
  ASSERT_TRUE(ParseSegmentation(whole).has_value());
  for (std::size_t length = 0; length < whole.size(); length += 3) {
    const auto read = ParseSegmentation(std::string_view(whole).substr(0, length));
    EXPECT_FALSE(read.has_value()) << length;
  }
}

}  // namespace
}  // namespace consilium::engine::dicom
