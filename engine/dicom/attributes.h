// The attributes of DICOM that this folder looks up, with the representation that they have where
// the file does not say it (implicit VR). Source: DICOM PS3.6, registry of data elements.
#pragma once

#include <cstdint>
#include <string_view>

namespace consilium::engine::dicom {

struct Attribute {
  std::uint16_t group = 0, element = 0;
  std::string_view vr;
  std::string_view name;
};

inline constexpr Attribute kTransferSyntaxUid{0x0002, 0x0010, "UI", "TransferSyntaxUID"};
inline constexpr Attribute kCharacterSet{0x0008, 0x0005, "CS", "SpecificCharacterSet"};
inline constexpr Attribute kImageType{0x0008, 0x0008, "CS", "ImageType"};
inline constexpr Attribute kSopInstanceUid{0x0008, 0x0018, "UI", "SOPInstanceUID"};
inline constexpr Attribute kSeriesDate{0x0008, 0x0021, "DA", "SeriesDate"};
inline constexpr Attribute kAcquisitionDate{0x0008, 0x0022, "DA", "AcquisitionDate"};
inline constexpr Attribute kSeriesTime{0x0008, 0x0031, "TM", "SeriesTime"};
inline constexpr Attribute kAcquisitionTime{0x0008, 0x0032, "TM", "AcquisitionTime"};
inline constexpr Attribute kModality{0x0008, 0x0060, "CS", "Modality"};
inline constexpr Attribute kManufacturer{0x0008, 0x0070, "LO", "Manufacturer"};
inline constexpr Attribute kCodeValue{0x0008, 0x0100, "SH", "CodeValue"};
inline constexpr Attribute kCodingScheme{0x0008, 0x0102, "SH", "CodingSchemeDesignator"};
inline constexpr Attribute kCodeMeaning{0x0008, 0x0104, "LO", "CodeMeaning"};
inline constexpr Attribute kSeriesDescription{0x0008, 0x103E, "LO", "SeriesDescription"};
inline constexpr Attribute kManufacturerModel{0x0008, 0x1090, "LO", "ManufacturerModelName"};
inline constexpr Attribute kReferencedSeries{0x0008, 0x1115, "SQ", "ReferencedSeriesSequence"};
inline constexpr Attribute kFrameType{0x0008, 0x9007, "CS", "FrameType"};
inline constexpr Attribute kPatientWeight{0x0010, 0x1030, "DS", "PatientWeight"};
inline constexpr Attribute kSliceThickness{0x0018, 0x0050, "DS", "SliceThickness"};
inline constexpr Attribute kKvp{0x0018, 0x0060, "DS", "KVP"};
inline constexpr Attribute kRepetitionTime{0x0018, 0x0080, "DS", "RepetitionTime"};
inline constexpr Attribute kEchoTime{0x0018, 0x0081, "DS", "EchoTime"};
inline constexpr Attribute kEchoNumbers{0x0018, 0x0086, "IS", "EchoNumbers"};
inline constexpr Attribute kFieldStrength{0x0018, 0x0087, "DS", "MagneticFieldStrength"};
inline constexpr Attribute kSpacingBetweenSlices{0x0018, 0x0088, "DS", "SpacingBetweenSlices"};
inline constexpr Attribute kInjectionTime{0x0018, 0x1072, "TM", "RadiopharmaceuticalStartTime"};
inline constexpr Attribute kTotalDose{0x0018, 0x1074, "DS", "RadionuclideTotalDose"};
inline constexpr Attribute kHalfLife{0x0018, 0x1075, "DS", "RadionuclideHalfLife"};
inline constexpr Attribute kInjectionDateTime{0x0018, 0x1078, "DT",
                                              "RadiopharmaceuticalStartDateTime"};
inline constexpr Attribute kImagerPixelSpacing{0x0018, 0x1164, "DS", "ImagerPixelSpacing"};
inline constexpr Attribute kKernel{0x0018, 0x1210, "SH", "ConvolutionKernel"};
inline constexpr Attribute kFrameDuration{0x0018, 0x1242, "IS", "ActualFrameDuration"};
inline constexpr Attribute kNominalPixelSpacing{0x0018, 0x2010, "DS", "NominalScannedPixelSpacing"};
inline constexpr Attribute kEffectiveEchoTime{0x0018, 0x9082, "FD", "EffectiveEchoTime"};
inline constexpr Attribute kDiffusionBValue{0x0018, 0x9087, "FD", "DiffusionBValue"};
inline constexpr Attribute kMrTiming{0x0018, 0x9112, "SQ", "MRTimingAndRelatedParametersSequence"};
inline constexpr Attribute kMrEcho{0x0018, 0x9114, "SQ", "MREchoSequence"};
inline constexpr Attribute kMrDiffusion{0x0018, 0x9117, "SQ", "MRDiffusionSequence"};
inline constexpr Attribute kMrFrameType{0x0018, 0x9226, "SQ", "MRImageFrameTypeSequence"};
inline constexpr Attribute kCtReconstruction{0x0018, 0x9314, "SQ", "CTReconstructionSequence"};
inline constexpr Attribute kCtXRay{0x0018, 0x9325, "SQ", "CTXRayDetailsSequence"};
inline constexpr Attribute kSeriesInstanceUid{0x0020, 0x000E, "UI", "SeriesInstanceUID"};
inline constexpr Attribute kPosition{0x0020, 0x0032, "DS", "ImagePositionPatient"};
inline constexpr Attribute kOrientation{0x0020, 0x0037, "DS", "ImageOrientationPatient"};
inline constexpr Attribute kFrameOfReferenceUid{0x0020, 0x0052, "UI", "FrameOfReferenceUID"};
inline constexpr Attribute kTemporalPosition{0x0020, 0x0100, "IS", "TemporalPositionIdentifier"};
inline constexpr Attribute kFrameContent{0x0020, 0x9111, "SQ", "FrameContentSequence"};
inline constexpr Attribute kPlanePosition{0x0020, 0x9113, "SQ", "PlanePositionSequence"};
inline constexpr Attribute kPlaneOrientation{0x0020, 0x9116, "SQ", "PlaneOrientationSequence"};
inline constexpr Attribute kTemporalIndex{0x0020, 0x9128, "UL", "TemporalPositionIndex"};
inline constexpr Attribute kSamplesPerPixel{0x0028, 0x0002, "US", "SamplesPerPixel"};
inline constexpr Attribute kPhotometric{0x0028, 0x0004, "CS", "PhotometricInterpretation"};
inline constexpr Attribute kNumberOfFrames{0x0028, 0x0008, "IS", "NumberOfFrames"};
inline constexpr Attribute kRows{0x0028, 0x0010, "US", "Rows"};
inline constexpr Attribute kColumns{0x0028, 0x0011, "US", "Columns"};
inline constexpr Attribute kPixelSpacing{0x0028, 0x0030, "DS", "PixelSpacing"};
inline constexpr Attribute kBitsAllocated{0x0028, 0x0100, "US", "BitsAllocated"};
inline constexpr Attribute kBitsStored{0x0028, 0x0101, "US", "BitsStored"};
inline constexpr Attribute kHighBit{0x0028, 0x0102, "US", "HighBit"};
inline constexpr Attribute kPixelRepresentation{0x0028, 0x0103, "US", "PixelRepresentation"};
inline constexpr Attribute kRescaleIntercept{0x0028, 0x1052, "DS", "RescaleIntercept"};
inline constexpr Attribute kRescaleSlope{0x0028, 0x1053, "DS", "RescaleSlope"};
inline constexpr Attribute kLossy{0x0028, 0x2110, "CS", "LossyImageCompression"};
inline constexpr Attribute kPixelMeasures{0x0028, 0x9110, "SQ", "PixelMeasuresSequence"};
inline constexpr Attribute kValueTransformation{0x0028, 0x9145, "SQ",
                                                "PixelValueTransformationSequence"};
inline constexpr Attribute kRadiopharmaceutical{0x0054, 0x0016, "SQ",
                                                "RadiopharmaceuticalInformationSequence"};
inline constexpr Attribute kUnits{0x0054, 0x1001, "CS", "Units"};
inline constexpr Attribute kSuvType{0x0054, 0x1006, "CS", "SUVType"};
inline constexpr Attribute kDecayCorrection{0x0054, 0x1102, "CS", "DecayCorrection"};
inline constexpr Attribute kFrameReferenceTime{0x0054, 0x1300, "DS", "FrameReferenceTime"};
inline constexpr Attribute kSegmentationType{0x0062, 0x0001, "CS", "SegmentationType"};
inline constexpr Attribute kSegments{0x0062, 0x0002, "SQ", "SegmentSequence"};
inline constexpr Attribute kSegmentCategory{0x0062, 0x0003, "SQ",
                                            "SegmentedPropertyCategoryCodeSequence"};
inline constexpr Attribute kSegmentNumber{0x0062, 0x0004, "US", "SegmentNumber"};
inline constexpr Attribute kSegmentLabel{0x0062, 0x0005, "LO", "SegmentLabel"};
inline constexpr Attribute kSegmentIdentification{0x0062, 0x000A, "SQ",
                                                  "SegmentIdentificationSequence"};
inline constexpr Attribute kReferencedSegment{0x0062, 0x000B, "US", "ReferencedSegmentNumber"};
inline constexpr Attribute kMaximumFractional{0x0062, 0x000E, "US", "MaximumFractionalValue"};
inline constexpr Attribute kSegmentType{0x0062, 0x000F, "SQ", "SegmentedPropertyTypeCodeSequence"};
inline constexpr Attribute kReferencedFrameOfReference{0x3006, 0x0010, "SQ",
                                                       "ReferencedFrameOfReferenceSequence"};
inline constexpr Attribute kRtReferencedStudy{0x3006, 0x0012, "SQ", "RTReferencedStudySequence"};
inline constexpr Attribute kRtReferencedSeries{0x3006, 0x0014, "SQ", "RTReferencedSeriesSequence"};
inline constexpr Attribute kStructureSetRois{0x3006, 0x0020, "SQ", "StructureSetROISequence"};
inline constexpr Attribute kRoiNumber{0x3006, 0x0022, "IS", "ROINumber"};
inline constexpr Attribute kRoiFrameOfReference{0x3006, 0x0024, "UI",
                                                "ReferencedFrameOfReferenceUID"};
inline constexpr Attribute kRoiName{0x3006, 0x0026, "LO", "ROIName"};
inline constexpr Attribute kRoiContours{0x3006, 0x0039, "SQ", "ROIContourSequence"};
inline constexpr Attribute kContours{0x3006, 0x0040, "SQ", "ContourSequence"};
inline constexpr Attribute kContourType{0x3006, 0x0042, "CS", "ContourGeometricType"};
inline constexpr Attribute kContourPointCount{0x3006, 0x0046, "IS", "NumberOfContourPoints"};
inline constexpr Attribute kContourData{0x3006, 0x0050, "DS", "ContourData"};
inline constexpr Attribute kReferencedRoi{0x3006, 0x0084, "IS", "ReferencedROINumber"};
inline constexpr Attribute kSharedGroups{0x5200, 0x9229, "SQ", "SharedFunctionalGroupsSequence"};
inline constexpr Attribute kPerFrameGroups{0x5200, 0x9230, "SQ",
                                           "PerFrameFunctionalGroupsSequence"};
inline constexpr Attribute kPixelData{0x7FE0, 0x0010, "OW", "PixelData"};

}  // namespace consilium::engine::dicom
