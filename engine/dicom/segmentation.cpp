#include "engine/dicom/segmentation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "engine/dicom/data_set.h"
#include "engine/dicom/drawn_on.h"
#include "engine/dicom/frame_header.h"
#include "engine/dicom/pixels.h"

namespace consilium::engine::dicom {
namespace {

tl::unexpected<Error> Wrong(std::string what) {
  return Fail(ErrorCode::kInvalidArgument, std::move(what));
}

Code CodeOf(const DataSet& root, const DataSet& item) {
  return {std::string(item.Text(kCodeValue)), std::string(item.Text(kCodingScheme)),
          Utf8(root, item.Text(kCodeMeaning))};
}

Result<std::vector<Segment>> SegmentsOf(const DataSet& root) {
  const auto items = root.Items(kSegments);
  CONSILIUM_TRY(items);
  if (items->size() > kSegmentsMax) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("has more than {} segments", kSegmentsMax));
  }
  std::vector<Segment> segments;
  for (const DataSet& item : *items) {
    const auto number = item.Whole(kSegmentNumber, 0, 65535);
    CONSILIUM_TRY(number);
    segments.push_back({*number, Utf8(root, item.Text(kSegmentLabel)),
                        CodeOf(root, item.FirstItem(kSegmentCategory)),
                        CodeOf(root, item.FirstItem(kSegmentType))});
  }
  return segments;
}

// One frame's plane in the order of the file.
struct PlacedFrame {
  int segment = 0;
  Plane plane;
};

Result<std::vector<PlacedFrame>> FramesOf(const FrameHeaders& headers, int count,
                                          bool is_label_map) {
  std::vector<PlacedFrame> frames;
  for (int i = 0; i < count; ++i) {
    const FrameHeader header = headers.At(i);
    const auto plane = PlaneOf(header);
    if (!plane) {
      return Wrong(
          fmt::format("frame {} does not say where it is (PlanePositionSequence "
                      "(0020,9113), PlaneOrientationSequence (0020,9116)); export the "
                      "segmentation with planes",
                      i + 1));
    }
    PlacedFrame frame{-1, *plane};
    if (!is_label_map) {
      const auto number = header.Holder(kSegmentIdentification, kReferencedSegment)
                              .Whole(kReferencedSegment, 0, 65535);
      CONSILIUM_TRY(number);
      frame.segment = *number;
    }
    frames.push_back(frame);
  }
  return frames;
}

bool IsMultiple(double length, double step) {
  constexpr double kOff = 0.01;
  const double steps = length / step;
  return std::abs(steps - std::floor(steps + 0.5)) < kOff;
}

// How far the slices are apart. Empty frames may be absent, so the smallest distance between those
// there are can be several: what the header says is taken if all distances are multiples of it.
Result<double> SliceDistance(const std::vector<double>& at_mm, const FrameHeader& header) {
  double smallest = 0;
  for (std::size_t i = 1; i < at_mm.size(); ++i) {
    const double distance = at_mm[i] - at_mm[i - 1];
    if (i == 1 || distance < smallest) smallest = distance;
  }
  for (const Attribute& said : {kSpacingBetweenSlices, kSliceThickness}) {
    const double distance = std::abs(header.Number(kPixelMeasures, said).value_or(0));
    if (!(distance > 0)) continue;
    if (std::all_of(at_mm.begin(), at_mm.end(),
                    [&](double at) { return IsMultiple(at - at_mm.front(), distance); }))
      return distance;
  }
  if (at_mm.size() == 1) return 1.0;
  for (const double at : at_mm) {
    if (!IsMultiple(at - at_mm.front(), smallest)) {
      return Wrong(
          fmt::format("its frames lie at distances that are no multiples of {:.4g} mm, so "
                      "they make no grid; export it on the image's slices",
                      smallest));
    }
  }
  return smallest;
}

// The grid of the frames' planes, and the slice of each.
Result<bool> Place(const std::vector<PlacedFrame>& frames, const FrameHeader& header,
                   const PixelFormat& format, Segmentation& result) {
  const auto spacing = header.Numbers(kPixelMeasures, kPixelSpacing);
  if (spacing.size() != 2 || !(spacing[0] > 0 && spacing[1] > 0))
    return Wrong("has no PixelSpacing (0028,0030) in PixelMeasuresSequence (0028,9110)");
  const auto& axes = frames.front().plane.axes;
  const auto normal = Cross(axes[0], axes[1]);
  std::vector<double> at_mm;
  for (const PlacedFrame& frame : frames) {
    for (std::size_t axis = 0; axis < 2; ++axis) {
      for (std::size_t i = 0; i < 3; ++i) {
        if (!(std::abs(frame.plane.axes[axis][i] - axes[axis][i]) < 1e-3))
          return Wrong("has frames of several orientations; export one at a time");
      }
    }
    at_mm.push_back(Dot(frame.plane.position_mm, normal));
  }
  constexpr double kSamePlaneMm = 1e-3;
  std::vector<double> sorted = at_mm;
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end(),
                           [](double a, double b) { return b - a < kSamePlaneMm; }),
               sorted.end());
  const auto distance = SliceDistance(sorted, header);
  CONSILIUM_TRY(distance);
  const double last = std::floor((sorted.back() - sorted.front()) / *distance + 0.5);
  if (!(static_cast<double>(format.frame_pixels()) * (last + 1) <= kVoxelsMax)) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("its grid has {} x {} x {} voxels, at most {} are read", format.columns,
                            format.rows, last + 1, kVoxelsMax));
  }
  result.grid.size = {format.columns, format.rows, static_cast<int>(last) + 1};
  result.grid.spacing_mm = {spacing[1], spacing[0], *distance};
  const std::size_t lowest =
      static_cast<std::size_t>(std::min_element(at_mm.begin(), at_mm.end()) - at_mm.begin());
  result.place = {frames[lowest].plane.position_mm, {{axes[0], axes[1], normal}}};
  const auto to_index = IndexMap::Of(result.grid, result.place);
  CONSILIUM_TRY(to_index);
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const Index at = (*to_index)(frames[i].plane.position_mm);
    constexpr double kOffMax = 0.01;  // pixels
    if (std::abs(at[0]) > kOffMax || std::abs(at[1]) > kOffMax) {
      return Wrong(
          "has frames that are shifted against each other in their plane, so they make no "
          "grid; export it on the image's slices");
    }
    result.slices.push_back({frames[i].segment, static_cast<int>(std::floor(at[2] + 0.5)), i});
  }
  return true;
}

// Compressed or native pixels of 8 and 16 bits, as native ones.
Result<std::string> PixelsOf(const Pixels& pixels) {
  const PixelFormat& format = pixels.format();
  const auto frames = static_cast<std::size_t>(format.frames);
  const std::size_t bytes =
      (format.frame_pixels() * frames * static_cast<std::size_t>(format.bits_allocated) + 7) / 8;
  if (format.bits_allocated == 1 && pixels.native().empty())
    return Wrong(
        "has compressed pixels of one bit, which are not read here; convert it to "
        "explicit little endian");
  if (!pixels.native().empty()) return std::string(pixels.native().substr(0, bytes));
  std::string decoded;
  std::vector<double> values(format.frame_pixels());
  for (int frame = 0; frame < format.frames; ++frame) {
    CONSILIUM_TRY(pixels.Read(frame, values));
    for (const double value : values) {
      const auto stored = static_cast<std::uint16_t>(value);
      decoded += static_cast<char>(stored & 0xFF);
      if (format.bits_allocated == 16) decoded += static_cast<char>(stored >> 8);
    }
  }
  return decoded;
}

}  // namespace

Result<Segmentation> ParseSegmentation(std::string_view bytes) {
  const auto file = ParseFile(bytes, DataSet::Extent::kWhole);
  CONSILIUM_TRY(file);
  const DataSet& root = file->data;
  if (root.Text(kModality) != "SEG") {
    return Wrong(fmt::format("has Modality (0008,0060) '{}', expected SEG; name the segmentation",
                             root.Text(kModality)));
  }
  Segmentation result;
  auto segments = SegmentsOf(root);
  CONSILIUM_TRY(segments);
  result.segments = std::move(*segments);
  const auto pixels = Pixels::Of(*file);
  CONSILIUM_TRY(pixels);
  const PixelFormat& format = pixels->format();
  if (format.frames > kSegmentFramesMax || format.is_signed) {
    return Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("has {} frames of {} pixels, at most {} of unsigned ones are read",
                    format.frames, format.is_signed ? "signed" : "unsigned", kSegmentFramesMax));
  }
  const std::string_view type = root.Text(kSegmentationType);
  result.bits = format.bits_allocated;
  const bool is_label_map = type == "LABELMAP";
  const bool is_binary = type == "BINARY" && result.bits == 1;
  if (type == "FRACTIONAL" && result.bits == 8) {
    const auto maximum = root.Whole(kMaximumFractional, 1, 255);
    CONSILIUM_TRY(maximum);
    result.threshold = *maximum / 2.0;
  } else if (!is_binary && !(is_label_map && (result.bits == 8 || result.bits == 16))) {
    return Wrong(
        fmt::format("is a segmentation of type '{}' with {} bits a pixel, expected BINARY "
                    "(1), FRACTIONAL (8) or LABELMAP (8, 16)",
                    type, result.bits));
  }
  const auto headers = FrameHeaders::Of(root, format.frames);
  CONSILIUM_TRY(headers);
  const auto frames = FramesOf(*headers, format.frames, is_label_map);
  CONSILIUM_TRY(frames);
  CONSILIUM_TRY(Place(*frames, headers->At(0), format, result));
  auto stored = PixelsOf(*pixels);
  CONSILIUM_TRY(stored);
  result.pixels = std::move(*stored);
  result.frame_of_reference_uid = root.Text(kFrameOfReferenceUid);
  const auto references = root.Items(kReferencedSeries);
  CONSILIUM_TRY(references);
  for (const DataSet& series : *references)
    result.series_uids.emplace_back(series.Text(kSeriesInstanceUid));
  return result;
}

Result<Segmentation> ReadSegmentation(const std::filesystem::path& path) {
  const auto bytes = ReadBytes(path);
  CONSILIUM_TRY(bytes);
  auto segmentation = ParseSegmentation(*bytes);
  if (!segmentation) return tl::unexpected<Error>(Within(path.string(), segmentation.error()));
  return segmentation;
}

Result<std::vector<const Segment*>> SegmentsNamed(const Segmentation& segmentation,
                                                  std::string_view wanted) {
  return Named(segmentation.segments, wanted,
               [](const Segment& segment) -> const std::string& { return segment.label; });
}

Result<bool> CheckDrawnOn(const Segmentation& segmentation, const Acquisition& image) {
  std::vector<std::string> frames;
  if (!segmentation.frame_of_reference_uid.empty())
    frames.push_back(segmentation.frame_of_reference_uid);
  return CheckReferences(segmentation.series_uids, frames, image);
}

PlacedMask MaskOf(const Segmentation& segmentation, int segment_number) {
  const Grid& grid = segmentation.grid;
  PlacedMask result{{grid, std::vector<std::uint8_t>(grid.voxel_count())}, segmentation.place};
  const std::size_t pixels = grid.Index(0, 0, 1);
  const auto* stored = reinterpret_cast<const std::uint8_t*>(segmentation.pixels.data());
  for (const Segmentation::Slice& slice : segmentation.slices) {
    const bool is_label_map = slice.segment < 0;
    if (!is_label_map && slice.segment != segment_number) continue;
    std::uint8_t* inside = result.mask.inside.data() + static_cast<std::size_t>(slice.z) * pixels;
    for (std::size_t i = 0; i < pixels; ++i) {
      const std::size_t at = slice.frame * pixels + i;
      unsigned value = 0;
      if (segmentation.bits == 1) {
        value = stored[at / 8] >> (at % 8) & 1U;
      } else if (segmentation.bits == 8) {
        value = stored[at];
      } else {
        value = stored[2 * at] | static_cast<unsigned>(stored[2 * at + 1]) << 8;
      }
      const bool is_inside = is_label_map ? value == static_cast<unsigned>(segment_number)
                                          : value >= segmentation.threshold;
      if (is_inside) inside[i] = 1;
    }
  }
  return result;
}

}  // namespace consilium::engine::dicom
