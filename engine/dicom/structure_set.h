// RT structure sets: contours in the patient, and the voxels of an image that they hold.
//
// A region is closed planar contours; a voxel belongs to it when its centre is inside, contours of
// one slice combined by turning over (engine/polygon_mask.h), so that holes are holes. Contours go
// to the nearest slice, at most half a slice away. Source: DICOM PS3.3 C.8.8.5 (structure set),
// C.8.8.6 (ROI contour).
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/dicom/series.h"
#include "engine/place.h"

namespace consilium::engine::dicom {

inline constexpr std::size_t kRoisMax = 10000;
inline constexpr std::size_t kContoursMax = 1000000;        // of a file
inline constexpr std::size_t kContourPointsMax = 20000000;  // of a file

struct Roi {
  int number = 0;
  std::string name;  // UTF-8
  std::string frame_of_reference_uid;
  std::vector<std::vector<Position>> contours;  // closed planar, three points or more each
  int points_skipped = 0;                       // contours of POINT
  int open_skipped = 0;                         // of OPEN_PLANAR, OPEN_NONPLANAR, or two points
};

struct StructureSet {
  std::vector<Roi> rois;  // in the order of the file; names may be there twice
  std::set<std::string> frame_of_reference_uids;
  std::set<std::string> series_uids;  // that it was drawn on; often none is said
};

// A whole file's bytes. Errors: kInvalidArgument (no DICOM, another modality, contour data that are
// no triples of numbers), kDataLoss (damaged), kResourceExhausted (a bound above).
[[nodiscard]] Result<StructureSet> ParseStructureSet(std::string_view bytes);
// Errors: those of ParseStructureSet and LoadFile, with the file's name.
[[nodiscard]] Result<StructureSet> ReadStructureSet(const std::filesystem::path& path);

// The regions that `wanted` names: exactly, or by a pattern (base/glob.h; "*" for all). An exact
// name wins, so that a name that holds a star can be given. Errors: kNotFound (none: lists the
// names there are).
[[nodiscard]] Result<std::vector<const Roi*>> RoisNamed(const StructureSet& set,
                                                        std::string_view wanted);

// Whether the set was drawn on this image: the series that it references, else its frame of
// reference; true where one of them says nothing, as then only geometry can tell. Errors:
// kInvalidArgument (neither is that of the image).
[[nodiscard]] Result<bool> CheckDrawnOn(const StructureSet& set, const Acquisition& image);

struct RoiMask {
  Mask mask;
  std::vector<std::string> notes;  // what was skipped, beside a slice, missing or outside
};

// A region's voxels on a grid; contours may lie in slices of any of its three axes. Errors:
// kInvalidArgument (no closed contour; contours across the slices of every axis; none in the grid:
// the message shows where both are; a grid without an inverse).
[[nodiscard]] Result<RoiMask> MaskOf(const Roi& roi, const Grid& grid, const Place& place);

}  // namespace consilium::engine::dicom
