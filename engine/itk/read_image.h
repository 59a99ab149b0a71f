// Image files into arrays: NIfTI, NRRD and MetaImage, by ITK's readers.
//
// ITK is included in this folder only; its exceptions end here. Positions and directions are in
// mm in the patient's system that points left, posterior and up (LPS), whatever the file says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/place.h"

namespace consilium::engine::itk_files {

// A volume of numbers, with their kind; a file of two dimensions is one slice. Errors: kNotFound
// (no such file), kInvalidArgument (no format that is known here, or damaged: says what the reader
// said; vectors or colours instead of numbers; four dimensions or more).
[[nodiscard]] Result<PlacedImage> ReadImage(const std::filesystem::path& path);

// One region of a segmentation file: the voxels of `layer` that have the value `label`.
struct NamedSegment {
  std::string name;
  std::int64_t label = 1;
  std::size_t layer = 0;
};

struct SegmentedImage {
  std::vector<Image> layers;  // at least one; several where regions overlap
  Place place;
  std::vector<NamedSegment> segments;  // as the file names them; none where it does not
};

inline constexpr unsigned kLayersMax = 1024;

// A label map of one layer or, where a voxel has several numbers, of as many. Names are those that
// 3D Slicer writes into .seg.nrrd files: Segment0_Name, Segment0_LabelValue, Segment0_Layer and so
// on; without the last two, as older versions have it, each segment is a layer of its own. Errors:
// those of ReadImage; kInvalidArgument (more than kLayersMax; a label or a layer that is no number,
// or a layer that is not there).
[[nodiscard]] Result<SegmentedImage> ReadSegmentedImage(const std::filesystem::path& path);

}  // namespace consilium::engine::itk_files
