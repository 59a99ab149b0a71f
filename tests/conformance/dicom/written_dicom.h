// DICOM files that the tests write with DCMTK: small, oblique, of unequal spacing, each voxel with
// a value of its own, and changed attribute by attribute for what a test is about.
#pragma once

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>

#include <filesystem>
#include <string>
#include <vector>

#include "engine/dicom/series.h"
#include "engine/place.h"

namespace consilium::engine::dicom {

inline constexpr int kWide = 6, kHigh = 5;
// Of slices 0, 1, 2 ... as they should be read.
inline const Grid kOneSlice{{kWide, kHigh, 1}, {0.8, 1.2, 2.5}};
inline const Place kOblique{{-31.5, 20.25, 7},
                            {{{0.8, 0.6, 0}, {-0.48, 0.64, 0.6}, {0.36, -0.48, 0.8}}}};
inline constexpr const char* kSeriesUid = "1.2.3.1";
inline constexpr const char* kFrameUid = "1.2.3.4";

// Stored in slice z.
inline int StoredValue(int x, int y, int z) { return 100 * z + 10 * y + x - 200; }

// Decimals as DICOM writes them: "0.8\1.2".
[[nodiscard]] std::string Decimals(const std::vector<double>& numbers);

// A folder of its own, removed with its files.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const {
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

class WrittenFile {
 public:
  // Slice z of a CT, MR or PT (`modality`) of 16 signed bits.
  explicit WrittenFile(int z, const std::string& modality = "CT");
  // A file with its identification only.
  static WrittenFile Empty(const std::string& modality, const std::string& class_uid);

  WrittenFile& Set(const DcmTagKey& tag, const std::string& value);
  WrittenFile& SetNumber(const DcmTagKey& tag, unsigned short value);
  WrittenFile& SetPixels(const std::vector<int>& values);  // low 16 bits of each
  WrittenFile& Remove(const DcmTagKey& tag);
  // Position of the first pixel of a slice at fractional indices.
  WrittenFile& SetPosition(double x, double y, double z);
  [[nodiscard]] DcmDataset& data() { return *file_.getDataset(); }

  void Save(const std::filesystem::path& path, E_TransferSyntax syntax = EXS_LittleEndianExplicit);

 private:
  WrittenFile();
  DcmFileFormat file_;
};

// Slices 0 ... count - 1 in a folder, with names and instance numbers against their positions.
void SaveSlices(const Folder& folder, int count, const std::string& modality = "CT");

// The only series of a folder, read.
[[nodiscard]] Result<SeriesImage> ReadFolder(const Folder& folder,
                                             const ReadingOptions& options = {});

[[nodiscard]] std::string ReadBytesOf(const std::filesystem::path& path);

}  // namespace consilium::engine::dicom
