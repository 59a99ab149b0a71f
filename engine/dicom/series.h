// Images of a folder of DICOM files: which there are, and each as one volume.
//
// Files are grouped by SeriesInstanceUID, then by what cannot lie in one volume or is another
// contrast: orientation, spacing, size, echo, b value, temporal position, image type. Slices are
// ordered by the projection of their position on the slices' normal, never by number, name or
// SliceLocation; what is missing, doubled, uneven or tilted is an error or a note, never filled in.
// Source: DICOM PS3.3 C.7.6.2 (plane), C.7.6.16 (functional groups), C.11.1 (rescaling).
//
// Nothing here holds a patient's name, number or date.
#pragma once

#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/place.h"

namespace consilium::engine::dicom {

inline constexpr std::size_t kFilesMax = 200000;

// One slice: where its pixels are, and what its header says of its plane.
struct Frame {
  std::filesystem::path file;
  int number = 0;          // within the file, from 0
  bool is_placed = false;  // has a position and an orientation; projections (DX, CR) have none
  Position position_mm{};  // of the centre of the first pixel
  std::array<std::array<double, 3>, 2> axes{{{1, 0, 0}, {0, 1, 0}}};  // along a row, down a column
  std::array<double, 2> spacing_mm{};  // between columns, between rows; 0 if it is not said
  std::array<int, 2> size{};           // columns, rows
  // What tells contrasts of one series from each other, in words: "echo 2, b 800".
  std::string contrast;
};

struct Series {
  std::string uid, modality, description;
  std::string contrast;       // of its frames; empty if the series has one
  std::vector<Frame> frames;  // at least one, by position
};

struct Listing {
  std::vector<Series> series;  // by UID, then in the order of their first files' names
  std::vector<std::filesystem::path> structure_sets, segmentations;
  std::vector<std::string> notes;     // files that are no DICOM or damaged; series that were split
  std::vector<std::string> left_out;  // of the notes, those of files that may belong to a series
};

// Looks through a folder and those in it, or at one file; reads headers only. Errors: kNotFound (no
// such folder), kResourceExhausted (more than kFilesMax files).
[[nodiscard]] Result<Listing> ListSeries(const std::filesystem::path& folder);

// How an image was made, as far as its header says.
struct Acquisition {
  std::string series_uid, frame_of_reference_uid, modality, manufacturer, model, kernel;
  std::string units;  // "HU", "SUV body weight", "BQML" ...; empty for numbers without a unit
  std::optional<double> field_strength_t, repetition_time_ms, echo_time_ms, tube_voltage_kv,
      slice_thickness_mm;
  std::array<double, 3> voxel_size_mm{};
};

struct SeriesImage {
  PlacedImage placed;
  Acquisition acquisition;
  std::vector<std::string> notes;
};

struct ReadingOptions {
  // PET: to SUV by body weight (suv.h). Off: values after slope and intercept.
  bool pet_to_suv = true;
};

// Values are stored values times RescaleSlope plus RescaleIntercept, each slice with its own; x is
// along rows, y down columns, z along the normal. A projection (DX, CR and others without a plane)
// is one slice of its own size, MONOCHROME1 turned over so that more is brighter.
//
// The distance between slices is the mean of their positions' (the median, by which one finds what
// is missing, would let rounded positions add up). Slices may lie 1 % of it beside an even place
// silently, 10 % with a note.
// Errors: kInvalidArgument (no positions or no spacing where the modality has them, tilted or
// unevenly spaced slices, images of several times at one position, colours, damaged sizes),
// kDataLoss (missing slices; a file that is cut short), kFailedPrecondition (no SUV: suv.h),
// kResourceExhausted (more than kVoxelsMax), those of LoadFile.
[[nodiscard]] Result<SeriesImage> ReadSeries(const Series& series,
                                             const ReadingOptions& options = {});

}  // namespace consilium::engine::dicom
