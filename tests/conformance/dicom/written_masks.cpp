#include "tests/conformance/dicom/written_masks.h"

#include <gtest/gtest.h>

namespace consilium::engine::dicom {

DcmItem& Item(DcmItem& parent, const DcmTagKey& sequence, long number) {
  DcmItem* item = nullptr;
  EXPECT_TRUE(parent.findOrCreateSequenceItem(sequence, item, number).good());
  return *item;
}
void Put(DcmItem& item, const DcmTagKey& tag, const std::string& value) {
  EXPECT_TRUE(item.putAndInsertString(tag, value.c_str()).good());
}

Drawn Rectangle(double z, double left, double top, double right, double bottom) {
  return {"CLOSED_PLANAR",
          {{left, top, z}, {right, top, z}, {right, bottom, z}, {left, bottom, z}}};
}

WrittenStructureSet::WrittenStructureSet() {
  DcmItem& frame = Item(file_.data(), DCM_ReferencedFrameOfReferenceSequence, 0);
  Put(frame, DCM_FrameOfReferenceUID, kFrameUid);
  DcmItem& study = Item(frame, DCM_RTReferencedStudySequence, 0);
  Put(Item(study, DCM_RTReferencedSeriesSequence, 0), DCM_SeriesInstanceUID, kSeriesUid);
}

WrittenStructureSet& WrittenStructureSet::Add(const std::string& name,
                                              const std::vector<Drawn>& contours) {
  const std::string number = std::to_string(10 - count_);  // numbers are not the order
  DcmItem& roi = Item(file_.data(), DCM_StructureSetROISequence, count_);
  Put(roi, DCM_ROINumber, number);
  Put(roi, DCM_ROIName, name);
  Put(roi, DCM_ReferencedFrameOfReferenceUID, kFrameUid);
  DcmItem& drawn = Item(file_.data(), DCM_ROIContourSequence, count_++);
  Put(drawn, DCM_ReferencedROINumber, number);
  for (std::size_t i = 0; i < contours.size(); ++i) {
    DcmItem& item = Item(drawn, DCM_ContourSequence, static_cast<long>(i));
    std::vector<double> numbers;
    for (const Index& point : contours[i].points) {
      for (const double number_mm : PositionOf(kOneSlice, kOblique, point))
        numbers.push_back(number_mm);
    }
    Put(item, DCM_ContourGeometricType, contours[i].type);
    Put(item, DCM_NumberOfContourPoints, std::to_string(contours[i].points.size()));
    Put(item, DCM_ContourData, Decimals(numbers));
  }
  return *this;
}

WrittenFile LabelMap(const Grid& grid, const std::vector<int>& labels) {
  WrittenFile file(0);
  file.Set(DCM_SOPClassUID, "1.2.840.10008.5.1.4.1.1.66.7").Set(DCM_Modality, "SEG");
  for (const DcmTagKey& tag :
       {DCM_ImagePositionPatient, DCM_ImageOrientationPatient, DCM_PixelSpacing})
    file.Remove(tag);
  file.Set(DCM_SegmentationType, "LABELMAP").Set(DCM_NumberOfFrames, std::to_string(grid.size[2]));
  file.SetNumber(DCM_Rows, static_cast<unsigned short>(grid.size[1]))
      .SetNumber(DCM_PixelRepresentation, 0)
      .SetPixels(labels);
  for (long i = 0; i < 2; ++i) {
    DcmItem& segment = Item(file.data(), DCM_SegmentSequence, i);
    EXPECT_TRUE(
        segment.putAndInsertUint16(DCM_SegmentNumber, static_cast<Uint16>(300 * i + 1)).good());
    Put(segment, DCM_SegmentLabel, i == 0 ? "Tumour" : "Lung");
  }
  DcmItem& shared = Item(file.data(), DCM_SharedFunctionalGroupsSequence, 0);
  Put(Item(shared, DCM_PixelMeasuresSequence, 0), DCM_PixelSpacing, "1.2\\0.8");
  const auto& d = kOblique.direction;
  Put(Item(shared, DCM_PlaneOrientationSequence, 0), DCM_ImageOrientationPatient,
      Decimals({d[0][0], d[0][1], d[0][2], d[1][0], d[1][1], d[1][2]}));
  for (int z = 0; z < grid.size[2]; ++z) {
    const Position p = PositionOf(grid, kOblique, {0, 0, static_cast<double>(z)});
    Put(Item(Item(file.data(), DCM_PerFrameFunctionalGroupsSequence, z), DCM_PlanePositionSequence,
             0),
        DCM_ImagePositionPatient, Decimals({p[0], p[1], p[2]}));
  }
  return file;
}

}  // namespace consilium::engine::dicom
