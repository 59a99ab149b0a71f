// DICOM segmentations (SEG): regions as frames of pixels, on a grid of their own.
//
// A frame is one slice of one segment, or of all in a label map; slices without any voxel may be
// absent, and segments may overlap. The grid is that of the frames' own planes and need not be the
// image's: engine/reconcile.h brings a mask onto the image. Source: DICOM PS3.3 C.8.20
// (segmentation), C.7.6.16 (functional groups); bits of binary frames: PS3.5, 8.1.1 and annex D.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/dicom/series.h"
#include "engine/place.h"

namespace consilium::engine::dicom {

inline constexpr std::size_t kSegmentsMax = 65535;
inline constexpr int kSegmentFramesMax = 1000000;

struct Code {
  std::string value, scheme, meaning;  // "T-D0050", "SRT", "Tissue"
};

struct Segment {
  int number = 0;
  std::string label;  // UTF-8
  Code category, type;
};

struct Segmentation {
  std::vector<Segment> segments;  // in the order of the file
  Grid grid;
  Place place;
  std::string frame_of_reference_uid;
  std::vector<std::string> series_uids;  // that it was drawn on; often none is said

  struct Slice {
    int segment = 0;  // its number; -1 in a label map, where a pixel's value is that number
    int z = 0;
    std::size_t frame = 0;
  };
  std::vector<Slice> slices;
  int bits = 1;          // of a pixel: 1, 8 or 16
  double threshold = 1;  // inside from here on (fractional: half of the maximum)
  std::string pixels;    // frame after frame; of one bit without gaps, lowest bit first
};

// A whole file's bytes. Errors: kInvalidArgument (no DICOM, another modality, tiles without
// planes, frames that make no grid), kDataLoss (damaged, fewer pixels than frames),
// kResourceExhausted (a bound above; a grid of more than kVoxelsMax).
[[nodiscard]] Result<Segmentation> ParseSegmentation(std::string_view bytes);
// Errors: those of ParseSegmentation and ReadBytes, with the file's name.
[[nodiscard]] Result<Segmentation> ReadSegmentation(const std::filesystem::path& path);

// The segments that `wanted` names: a label exactly, or by a pattern (base/glob.h). Errors:
// kNotFound (none: lists the labels there are).
[[nodiscard]] Result<std::vector<const Segment*>> SegmentsNamed(const Segmentation& segmentation,
                                                                std::string_view wanted);

// Errors: kInvalidArgument (another frame of reference and another series than the image's).
[[nodiscard]] Result<bool> CheckDrawnOn(const Segmentation& segmentation, const Acquisition& image);

// A segment's voxels on the segmentation's grid; none where it has no frames.
[[nodiscard]] PlacedMask MaskOf(const Segmentation& segmentation, int segment_number);

}  // namespace consilium::engine::dicom
