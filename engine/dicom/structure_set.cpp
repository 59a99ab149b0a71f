#include "engine/dicom/structure_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "engine/dicom/data_set.h"
#include "engine/dicom/drawn_on.h"
#include "engine/polygon_mask.h"

namespace consilium::engine::dicom {
namespace {

tl::unexpected<Error> TooMany(std::string_view what, std::size_t limit) {
  return Fail(ErrorCode::kResourceExhausted,
              fmt::format("has more than {} {}; keep the regions that are needed", limit, what));
}

// What is left of a file's bounds.
struct Budget {
  std::size_t contours = kContoursMax, points = kContourPointsMax;
};

Result<bool> AddContour(const DataSet& item, Roi& roi, Budget& budget) {
  if (budget.contours-- == 0) return TooMany("contours", kContoursMax);
  const std::string_view type = item.Text(kContourType);
  if (type == "POINT") {
    ++roi.points_skipped;
    return true;
  }
  // A number takes two bytes at least: what must be more points than are left is not looked at.
  if (item.Bytes(kContourData).size() / 6 > budget.points)
    return TooMany("contour points", kContourPointsMax);
  const std::vector<double> numbers = item.Numbers(kContourData);
  const std::size_t points = numbers.size() / 3;
  const auto stated = item.Number(kContourPointCount);
  if (points == 0 || numbers.size() % 3 != 0 ||
      (stated && *stated != static_cast<double>(points))) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("ROI {}: ContourData (3006,0050) is {} numbers, expected three for each "
                    "of {} points; export it again",
                    roi.number, numbers.size(), stated.value_or(0)));
  }
  if ((type != "CLOSED_PLANAR" && type != "CLOSEDPLANAR_XOR") || points < 3) {
    ++roi.open_skipped;
    return true;
  }
  if (points > budget.points) return TooMany("contour points", kContourPointsMax);
  budget.points -= points;
  std::vector<Position> contour;
  contour.reserve(points);
  for (std::size_t i = 0; i < points; ++i)
    contour.push_back({numbers[3 * i], numbers[3 * i + 1], numbers[3 * i + 2]});
  roi.contours.push_back(std::move(contour));
  return true;
}

Result<bool> AddContours(const DataSet& root, StructureSet& set) {
  std::map<int, Roi*> by_number;
  for (Roi& roi : set.rois) by_number[roi.number] = &roi;
  Budget budget;
  const auto regions = root.Items(kRoiContours);
  CONSILIUM_TRY(regions);
  for (const DataSet& region : *regions) {
    const auto number = region.Whole(kReferencedRoi, -2147483647, 2147483647);
    CONSILIUM_TRY(number);
    const auto roi = by_number.find(*number);
    if (roi == by_number.end()) continue;  // contours of a region without a name
    const auto contours = region.Items(kContours);
    CONSILIUM_TRY(contours);
    for (const DataSet& contour : *contours)
      CONSILIUM_TRY(AddContour(contour, *roi->second, budget));
  }
  return true;
}

Result<bool> AddReferences(const DataSet& root, StructureSet& set) {
  const auto frames = root.Items(kReferencedFrameOfReference);
  CONSILIUM_TRY(frames);
  for (const DataSet& frame : *frames) {
    set.frame_of_reference_uids.insert(std::string(frame.Text(kFrameOfReferenceUid)));
    const auto studies = frame.Items(kRtReferencedStudy);
    CONSILIUM_TRY(studies);
    for (const DataSet& study : *studies) {
      const auto series = study.Items(kRtReferencedSeries);
      CONSILIUM_TRY(series);
      for (const DataSet& one : *series)
        set.series_uids.insert(std::string(one.Text(kSeriesInstanceUid)));
    }
  }
  for (const Roi& roi : set.rois) set.frame_of_reference_uids.insert(roi.frame_of_reference_uid);
  set.frame_of_reference_uids.erase("");
  set.series_uids.erase("");
  return true;
}

// Contours in indices, by the slices of one axis.
struct Sliced {
  struct Part {
    std::size_t contour = 0;
    double at = 0;  // its index along the axis
  };
  std::map<int, std::vector<Part>> slices;  // of any number, also outside the grid
  double largest_off = 0;                   // from a slice, in slices
};

// Nothing if a contour reaches over more than a slice of this axis.
std::optional<Sliced> SlicedAlong(std::size_t axis,
                                  const std::vector<std::vector<Index>>& contours) {
  Sliced sliced;
  for (std::size_t c = 0; c < contours.size(); ++c) {
    double low = contours[c].front()[axis], high = low;
    for (const Index& point : contours[c]) {
      low = std::min(low, point[axis]);
      high = std::max(high, point[axis]);
    }
    constexpr double kFlat = 0.5, kFar = 1e9;
    if (!(high - low < kFlat) || !(std::abs(low) < kFar)) return std::nullopt;
    const double at = (low + high) / 2;
    const double slice = std::floor(at + 0.5);
    sliced.slices[static_cast<int>(slice)].push_back({c, at});
    sliced.largest_off = std::max(sliced.largest_off, std::abs(at - slice));
  }
  return sliced;
}

constexpr double kSamePlane = 0.01;  // slices

// Contours drawn between slices can come to lie on one slice with others: those nearest to it are
// kept, as two planes of one structure would turn each other over.
std::size_t KeepNearest(Sliced& sliced) {
  std::size_t dropped = 0;
  for (auto& [slice, parts] : sliced.slices) {
    double nearest = parts.front().at;
    for (const auto& part : parts) {
      if (std::abs(part.at - slice) < std::abs(nearest - slice)) nearest = part.at;
    }
    dropped += std::erase_if(
        parts, [&](const auto& part) { return std::abs(part.at - nearest) > kSamePlane; });
  }
  return dropped;
}

void Rasterise(const Sliced& sliced, std::size_t axis,
               const std::vector<std::vector<Index>>& contours, Mask& mask) {
  const std::size_t u = axis == 0 ? 1 : 0, v = axis == 2 ? 1 : 2;
  const std::array<std::size_t, 3> stride = {mask.grid.Index(1, 0, 0), mask.grid.Index(0, 1, 0),
                                             mask.grid.Index(0, 0, 1)};
  PlanarMask plane{mask.grid.size[u], mask.grid.size[v], {}};
  std::vector<PlanarPoint> polygon;
  for (const auto& [slice, parts] : sliced.slices) {
    if (slice < 0 || slice >= mask.grid.size[axis]) continue;
    plane.inside.assign(
        static_cast<std::size_t>(plane.size_x) * static_cast<std::size_t>(plane.size_y), 0);
    for (const auto& part : parts) {
      polygon.clear();
      for (const Index& point : contours[part.contour]) polygon.push_back({point[u], point[v]});
      TurnOverInside(polygon, plane);
    }
    const std::uint8_t* from = plane.inside.data();
    std::uint8_t* to = mask.inside.data() + static_cast<std::size_t>(slice) * stride[axis];
    for (int y = 0; y < plane.size_y; ++y) {
      for (int x = 0; x < plane.size_x; ++x)
        to[static_cast<std::size_t>(x) * stride[u] + static_cast<std::size_t>(y) * stride[v]] =
            *from++;
    }
  }
}

std::vector<std::string> NotesOf(const Roi& roi, const Sliced& sliced, int size, double spacing_mm,
                                 std::size_t dropped) {
  std::vector<std::string> notes;
  if (roi.points_skipped + roi.open_skipped > 0) {
    notes.push_back(fmt::format("{} points and {} open contours hold no voxels and were skipped",
                                roi.points_skipped, roi.open_skipped));
  }
  if (sliced.largest_off > kSamePlane) {
    notes.push_back(
        fmt::format("contours lie up to {:.3g} mm beside the slices and were taken to "
                    "the nearest",
                    sliced.largest_off * spacing_mm));
  }
  if (dropped > 0) {
    notes.push_back(
        fmt::format("{} contours lie between slices that have nearer ones and were "
                    "left out",
                    dropped));
  }
  std::size_t outside = 0;
  for (const auto& [slice, parts] : sliced.slices)
    outside += slice < 0 || slice >= size ? parts.size() : 0;
  if (outside > 0)
    notes.push_back(fmt::format("{} contours lie beyond the first or the last slice", outside));
  const std::size_t span = static_cast<std::size_t>(
      static_cast<std::int64_t>(sliced.slices.rbegin()->first) - sliced.slices.begin()->first + 1);
  if (span > sliced.slices.size()) {
    notes.push_back(fmt::format("{} slices between the first contour and the last have none",
                                span - sliced.slices.size()));
  }
  return notes;
}

}  // namespace

Result<StructureSet> ParseStructureSet(std::string_view bytes) {
  const auto file = ParseFile(bytes, DataSet::Extent::kUntilPixels);
  CONSILIUM_TRY(file);
  const DataSet& root = file->data;
  if (root.Text(kModality) != "RTSTRUCT") {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("has Modality (0008,0060) '{}', expected RTSTRUCT; name the structure "
                            "set",
                            root.Text(kModality)));
  }
  StructureSet set;
  const auto items = root.Items(kStructureSetRois);
  CONSILIUM_TRY(items);
  if (items->size() > kRoisMax) return TooMany("regions", kRoisMax);
  for (const DataSet& item : *items) {
    const auto number = item.Whole(kRoiNumber, -2147483647, 2147483647);
    CONSILIUM_TRY(number);
    Roi roi;
    roi.number = *number;
    roi.name = Utf8(root, item.Text(kRoiName));
    roi.frame_of_reference_uid = item.Text(kRoiFrameOfReference);
    set.rois.push_back(std::move(roi));
  }
  CONSILIUM_TRY(AddContours(root, set));
  CONSILIUM_TRY(AddReferences(root, set));
  return set;
}

Result<StructureSet> ReadStructureSet(const std::filesystem::path& path) {
  const auto bytes = ReadBytes(path);
  CONSILIUM_TRY(bytes);
  auto set = ParseStructureSet(*bytes);
  if (!set) return tl::unexpected<Error>(Within(path.string(), set.error()));
  return set;
}

Result<std::vector<const Roi*>> RoisNamed(const StructureSet& set, std::string_view wanted) {
  return Named(set.rois, wanted, [](const Roi& roi) -> const std::string& { return roi.name; });
}

Result<bool> CheckDrawnOn(const StructureSet& set, const Acquisition& image) {
  return CheckReferences(set.series_uids, set.frame_of_reference_uids, image);
}

Result<RoiMask> MaskOf(const Roi& roi, const Grid& grid, const Place& place) {
  const std::string where = fmt::format("region '{}'", roi.name);
  if (roi.contours.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} has no closed contour ({} points, {} open contours), so no voxels; "
                            "choose another or draw it again",
                            where, roi.points_skipped, roi.open_skipped));
  }
  const auto to_index = IndexMap::Of(grid, place);
  CONSILIUM_TRY(to_index);
  std::vector<std::vector<Index>> contours;
  for (const auto& contour : roi.contours) {
    std::vector<Index>& indices = contours.emplace_back();
    for (const Position& point : contour) indices.push_back((*to_index)(point));
  }
  for (const std::size_t axis : {2U, 1U, 0U}) {
    auto sliced = SlicedAlong(axis, contours);
    if (!sliced) continue;
    const std::size_t dropped = KeepNearest(*sliced);
    RoiMask result{{grid, std::vector<std::uint8_t>(grid.voxel_count())}, {}};
    Rasterise(*sliced, axis, contours, result.mask);
    if (std::find(result.mask.inside.begin(), result.mask.inside.end(), 1) ==
        result.mask.inside.end()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} holds no voxel of the image: its first point is at ({:.6g}) mm, "
                              "the image is {}; give the image that it was drawn on",
                              where, fmt::join(roi.contours.front().front(), ", "),
                              Described(grid, place)));
    }
    result.notes = NotesOf(roi, *sliced, grid.size[axis], grid.spacing_mm[axis], dropped);
    return result;
  }
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} was drawn in planes that are no slices of the image along any axis; "
                          "give the image that it was drawn on",
                          where));
}

}  // namespace consilium::engine::dicom
