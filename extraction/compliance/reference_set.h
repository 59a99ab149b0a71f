// What others published, and what to compute to be held to it.
//
// A reference set is a table of values, the configurations they are of and the rule that says when
// a value holds. Sources: IBSI-1: Zwanenburg et al., Radiology 295(2):328-338, 2020, and its
// compliance workbook; IBSI-2: Whybra et al., Radiology 310(2):e231319, 2024, phases 1 and 2;
// PyRadiomics: van Griethuysen et al., Cancer Research 77(21):e104-e107, 2017, its regression
// baseline and the values of its present code.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/csv.h"
#include "base/result.h"
#include "engine/grid.h"
#include "engine/ibsi.h"
#include "extraction/compliance/comparison.h"

namespace consilium::compliance {

struct Folders {
  std::filesystem::path reference;   // the tables, and data/ with images
  std::filesystem::path sts_images;  // STS_001/MR_T1_image.nii.gz, ...; may be empty
};

// What is computed at once.
struct Part {
  std::string name;                          // "A", "brain1"
  std::vector<std::filesystem::path> files;  // that it needs
  // Errors: those of reading and of features.
  std::function<Result<std::vector<Comparison>>()> compare;
};

struct ReferenceSet {
  std::string name;             // "IBSI-1"
  std::filesystem::path table;  // of values; empty: they are images
  std::string rule;             // sentences: when a value holds, and what is left out
  std::vector<Part> parts;
  std::vector<std::string> left_out;  // sentences: parts that were not asked for
};

// Digital phantom and configurations A to E of the CT.
[[nodiscard]] ReferenceSet Ibsi1(const Folders& folders);
// 33 response maps: the largest difference of a voxel, in percent of the map's range.
[[nodiscard]] ReferenceSet Ibsi2ResponseMaps(const Folders& folders);
// The filtered CT: parts A (2D) and B (3D), configurations 1 to 9 each.
[[nodiscard]] ReferenceSet Ibsi2(const Folders& folders);
// Three cases, nine variants of settings.
[[nodiscard]] ReferenceSet PyradiomicsBaseline(const Folders& folders);
// Original, LoG and wavelet images of four cases and, with `sts_images`, of 49 sarcomas.
[[nodiscard]] ReferenceSet PyradiomicsCurrentCode(const Folders& folders);
// All of them, in this order.
[[nodiscard]] std::vector<ReferenceSet> ReferenceSets(const Folders& folders);

// An image and its region on one grid.
struct ReferenceCase {
  engine::Image image;
  engine::Mask mask;
};
// The region: the voxels of the label 1. Errors: those of ReadImage; kInvalidArgument (the sizes
// differ).
[[nodiscard]] Result<ReferenceCase> ReadReferenceCase(const std::filesystem::path& image,
                                                      const std::filesystem::path& labels);

// The CT as phase 2 of the IBSI-2 filters it: `letter` A on its voxels, B on voxels of 1 mm.
// Errors: those of Prepare.
[[nodiscard]] Result<engine::PreparedRegion> Ibsi2Region(ReferenceCase ct, char letter);

// A table by the names of its columns.
class ReferenceTable {
 public:
  // Errors: those of ReadFile and ParseCsv.
  [[nodiscard]] static Result<ReferenceTable> Read(const std::filesystem::path& path);
  [[nodiscard]] std::size_t row_count() const { return table_.row_count(); }
  // Empty: there is no such column.
  [[nodiscard]] std::string Text(std::size_t row, std::string_view column) const;
  // NaN: not a number.
  [[nodiscard]] double Number(std::size_t row, std::string_view column) const;

 private:
  CsvTable table_;
};

}  // namespace consilium::compliance
