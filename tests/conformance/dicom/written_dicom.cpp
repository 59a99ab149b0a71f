#include "tests/conformance/dicom/written_dicom.h"

#include <dcmtk/dcmdata/dcrleerg.h>
#include <dcmtk/dcmjpeg/djencode.h>
#include <dcmtk/oflog/oflog.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace consilium::engine::dicom {
namespace {

void SetUpDcmtk() {
  static const bool kOnce = [] {
    DcmRLEEncoderRegistration::registerCodecs();
    DJEncoderRegistration::registerCodecs();
    OFLog::configure(OFLogger::ERROR_LOG_LEVEL);
    return true;
  }();
  (void)kOnce;
}

}  // namespace

std::string Decimals(const std::vector<double>& numbers) {
  std::vector<std::string> words;
  for (const double number : numbers) words.push_back(fmt::format("{:.8g}", number));
  return fmt::format("{}", fmt::join(words, "\\"));
}

Folder::Folder() {
  std::string name = (std::filesystem::temp_directory_path() / "dicom_test_XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "no temporary folder";
  path_ = name;
}
Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

WrittenFile::WrittenFile() { SetUpDcmtk(); }

WrittenFile::WrittenFile(int z, const std::string& modality) : WrittenFile() {
  Set(DCM_SOPClassUID, modality == "PT"   ? UID_PositronEmissionTomographyImageStorage
                       : modality == "MR" ? UID_MRImageStorage
                                          : UID_CTImageStorage);
  Set(DCM_SOPInstanceUID, fmt::format("1.2.3.2.{}", z + 1));
  Set(DCM_Modality, modality);
  Set(DCM_StudyInstanceUID, "1.2.3").Set(DCM_SeriesInstanceUID, kSeriesUid);
  Set(DCM_SeriesDescription, "synthetic").Set(DCM_FrameOfReferenceUID, kFrameUid);
  Set(DCM_Manufacturer, "Acme").Set(DCM_ManufacturerModelName, "One");
  Set(DCM_PatientName, "Nobody^Here").Set(DCM_PatientID, "4711");
  Set(DCM_ImageType, "ORIGINAL\\PRIMARY\\AXIAL");
  Set(DCM_SliceThickness, "2.5").Set(DCM_PixelSpacing, "1.2\\0.8");
  const auto& d = kOblique.direction;
  Set(DCM_ImageOrientationPatient,
      Decimals({d[0][0], d[0][1], d[0][2], d[1][0], d[1][1], d[1][2]}));
  SetPosition(0, 0, z);
  SetNumber(DCM_Rows, kHigh).SetNumber(DCM_Columns, kWide);
  SetNumber(DCM_SamplesPerPixel, 1).Set(DCM_PhotometricInterpretation, "MONOCHROME2");
  SetNumber(DCM_BitsAllocated, 16).SetNumber(DCM_BitsStored, 16).SetNumber(DCM_HighBit, 15);
  SetNumber(DCM_PixelRepresentation, 1);
  std::vector<int> values;
  for (int y = 0; y < kHigh; ++y) {
    for (int x = 0; x < kWide; ++x) values.push_back(StoredValue(x, y, z));
  }
  SetPixels(values);
}

WrittenFile WrittenFile::Empty(const std::string& modality, const std::string& class_uid) {
  WrittenFile file;
  file.Set(DCM_SOPClassUID, class_uid).Set(DCM_SOPInstanceUID, "1.2.3.9");
  file.Set(DCM_Modality, modality).Set(DCM_StudyInstanceUID, "1.2.3");
  file.Set(DCM_SeriesInstanceUID, "1.2.3.8");
  return file;
}

WrittenFile& WrittenFile::Set(const DcmTagKey& tag, const std::string& value) {
  EXPECT_TRUE(data().putAndInsertString(tag, value.c_str()).good()) << DcmTag(tag).getTagName();
  return *this;
}
WrittenFile& WrittenFile::SetNumber(const DcmTagKey& tag, unsigned short value) {
  EXPECT_TRUE(data().putAndInsertUint16(tag, value).good());
  return *this;
}
WrittenFile& WrittenFile::SetPixels(const std::vector<int>& values) {
  std::vector<Uint16> stored;
  for (const int value : values) stored.push_back(static_cast<Uint16>(value));
  EXPECT_TRUE(data().putAndInsertUint16Array(DCM_PixelData, stored.data(), stored.size()).good());
  return *this;
}
WrittenFile& WrittenFile::Remove(const DcmTagKey& tag) {
  data().findAndDeleteElement(tag);
  return *this;
}
WrittenFile& WrittenFile::SetPosition(double x, double y, double z) {
  const Position p = PositionOf(kOneSlice, kOblique, {x, y, z});
  return Set(DCM_ImagePositionPatient, Decimals({p[0], p[1], p[2]}));
}

void WrittenFile::Save(const std::filesystem::path& path, E_TransferSyntax syntax) {
  EXPECT_TRUE(data().chooseRepresentation(syntax, nullptr).good()) << path;
  const OFCondition saved = file_.saveFile(path.c_str(), syntax);
  EXPECT_TRUE(saved.good()) << saved.text();
}

void SaveSlices(const Folder& folder, int count, const std::string& modality) {
  for (int z = 0; z < count; ++z) {
    WrittenFile(z, modality)
        .Set(DCM_InstanceNumber, std::to_string(count - z))
        .Save(folder / fmt::format("{}.dcm", 900 - z));
  }
}

Result<SeriesImage> ReadFolder(const Folder& folder, const ReadingOptions& options) {
  const auto listing = ListSeries(folder.path());
  CONSILIUM_TRY(listing);
  EXPECT_EQ(listing->series.size(), 1U) << fmt::format("{}", fmt::join(listing->notes, "; "));
  if (listing->series.size() != 1) return Fail(ErrorCode::kInternal, "not one series");
  return ReadSeries(listing->series[0], options);
}

std::string ReadBytesOf(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace consilium::engine::dicom
