#include "engine/dicom/series.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string_view>

#include "engine/dicom/data_set.h"
#include "engine/dicom/frame_header.h"
#include "engine/dicom/pixels.h"
#include "engine/dicom/suv.h"

namespace consilium::engine::dicom {
namespace {

namespace fs = std::filesystem;

constexpr double kSamePlaneMm = 1e-3;

// The vendors' b values where the standard's attribute is not there.
std::optional<double> BValueOf(const FrameHeader& header) {
  if (const auto b = header.Number(kMrDiffusion, kDiffusionBValue)) return b;
  const DataSet& root = header.root();
  if (const auto siemens = root.Private(0x0019, "SIEMENS MR HEADER", 0x0C, "IS"))
    return root.Number(*siemens);
  if (const auto ge = root.Private(0x0043, "GEMS_PARM_01", 0x39, "IS")) {
    const auto b = root.Number(*ge);  // newer versions add 1e9 and more
    return b ? std::optional(std::fmod(*b, 1e5)) : b;
  }
  return std::nullopt;
}

std::string ContrastOf(const FrameHeader& header) {
  std::vector<std::string> parts;
  const auto add = [&](std::string_view name, const std::optional<double>& number) {
    if (number) parts.push_back(fmt::format("{} {:.6g}", name, *number));
  };
  auto temporal = header.Number(kFrameContent, kTemporalIndex);
  if (!temporal) temporal = header.root().Number(kTemporalPosition);
  add("time", temporal);
  if (header.root().Text(kModality) == "MR") {
    add("echo", header.root().Number(kEchoNumbers));
    auto echo_time = header.Number(kMrEcho, kEffectiveEchoTime);
    if (!echo_time) echo_time = header.root().Number(kEchoTime);
    add("TE", echo_time);
    add("b", BValueOf(header));
    const std::string type = header.Text(kMrFrameType, kFrameType);
    const std::string_view image_type = header.root().Text(kImageType);
    parts.emplace_back(type.empty() ? image_type : type);
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

Frame FrameOf(const FrameHeader& header) {
  Frame frame;
  const DataSet& root = header.root();
  if (const auto plane = PlaneOf(header)) {
    frame.is_placed = true;
    frame.position_mm = plane->position_mm;
    frame.axes = plane->axes;
  }
  auto spacing = header.Numbers(kPixelMeasures, kPixelSpacing);
  for (const Attribute& other : {kImagerPixelSpacing, kNominalPixelSpacing}) {
    if (spacing.size() != 2 && !frame.is_placed) spacing = root.Numbers(other);
  }
  if (spacing.size() == 2) frame.spacing_mm = {spacing[1], spacing[0]};
  frame.size = {root.Whole(kColumns, 1, 65535).value_or(0),
                root.Whole(kRows, 1, 65535).value_or(0)};
  frame.contrast = ContrastOf(header);
  return frame;
}

bool AreClose(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance; }

// Whether two frames of one UID can lie in one volume.
bool BelongTogether(const Frame& a, const Frame& b) {
  if (!a.is_placed || !b.is_placed || a.size != b.size || a.contrast != b.contrast) return false;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    if (!AreClose(a.spacing_mm[axis], b.spacing_mm[axis], 1e-4 * a.spacing_mm[axis])) return false;
    for (std::size_t i = 0; i < 3; ++i) {
      if (!AreClose(a.axes[axis][i], b.axes[axis][i], 1e-3)) return false;
    }
  }
  return true;
}

// What is found in a folder, file by file.
class Lister {
 public:
  void Add(const fs::path& path) {
    const auto file = LoadFile(path, DataSet::Extent::kUntilPixels);
    if (!file) {
      if (file.error().code == ErrorCode::kInvalidArgument) {
        ++unread_;
      } else {
        LeaveOut(file.error());
      }
      return;
    }
    const DataSet& root = file->parsed.data;
    const std::string_view modality = root.Text(kModality);
    if (modality == "RTSTRUCT") {
      listing_.structure_sets.push_back(path);
    } else if (modality == "SEG") {
      listing_.segmentations.push_back(path);
    } else if (root.Has(kRows)) {
      const auto added = AddImage(path, root);
      if (!added) LeaveOut(Within(path.string(), added.error()));
    } else {
      ++unread_;
    }
  }

  Listing Finish() {
    for (auto& [uid, groups] : groups_) {
      if (groups.size() > 1 && groups.front().frames.front().is_placed) {
        listing_.notes.push_back(
            fmt::format("series {} is {} volumes: its slices differ in size, orientation, spacing, "
                        "echo, b value, time or image type",
                        uid, groups.size()));
      }
      for (Series& series : groups) {
        if (groups.size() > 1) series.contrast = series.frames.front().contrast;
        SortByPosition(series.frames);
        listing_.series.push_back(std::move(series));
      }
    }
    if (unread_ > 0)
      listing_.notes.push_back(fmt::format("{} files are no DICOM images or drawings", unread_));
    return std::move(listing_);
  }

 private:
  void LeaveOut(const Error& error) {
    listing_.notes.push_back(error.message);
    listing_.left_out.push_back(error.message);
  }
  Result<bool> AddImage(const fs::path& path, const DataSet& root) {
    constexpr int kFramesMax = 1 << 24;
    const auto stated = root.Whole(kNumberOfFrames, 1, kFramesMax);
    if (root.Has(kNumberOfFrames)) CONSILIUM_TRY(stated);
    const int frames = stated.value_or(1);
    const auto headers = FrameHeaders::Of(root, frames);
    CONSILIUM_TRY(headers);
    if (frames > 1 && !headers->has_groups()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("has {} frames and does not say where they are; such files are not "
                              "read here",
                              frames));
    }
    const std::string uid(root.Text(kSeriesInstanceUid));
    std::vector<Series>& groups = groups_[uid];
    for (int i = 0; i < frames; ++i) {
      Frame frame = FrameOf(headers->At(i));
      frame.file = path;
      frame.number = i;
      auto group = std::find_if(groups.begin(), groups.end(), [&](const Series& series) {
        return BelongTogether(series.frames.front(), frame);
      });
      if (group == groups.end()) {
        groups.push_back({uid,
                          std::string(root.Text(kModality)),
                          Utf8(root, root.Text(kSeriesDescription)),
                          "",
                          {}});
        group = groups.end() - 1;
      }
      group->frames.push_back(std::move(frame));
    }
    return true;
  }

  static void SortByPosition(std::vector<Frame>& frames) {
    const auto normal = Cross(frames.front().axes[0], frames.front().axes[1]);
    std::stable_sort(frames.begin(), frames.end(), [&](const Frame& a, const Frame& b) {
      return Dot(a.position_mm, normal) < Dot(b.position_mm, normal);
    });
  }

  Listing listing_;
  std::map<std::string, std::vector<Series>> groups_;
  int unread_ = 0;
};

tl::unexpected<Error> Wrong(std::string what) {
  return Fail(ErrorCode::kInvalidArgument, std::move(what));
}

// The frames as a stack.
struct Stack {
  Grid grid;
  Place place;
  std::vector<int> slice_of;  // of each frame; a doubled one has that of the frame before
  std::vector<std::string> notes;
};

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// In-plane displacement of the slices: a tilted gantry shears the volume.
Result<bool> CheckTilt(const std::vector<Frame>& frames, const std::array<double, 3>& normal,
                       Stack& stack) {
  constexpr double kSilent = 0.01, kMax = 0.5;  // pixels
  double largest_mm = 0;
  for (const Frame& frame : frames) {
    std::array<double, 3> offset{};
    for (std::size_t i = 0; i < 3; ++i)
      offset[i] = frame.position_mm[i] - frames.front().position_mm[i];
    const double along = Dot(offset, normal);
    for (std::size_t i = 0; i < 3; ++i) offset[i] -= along * normal[i];
    largest_mm = std::max(largest_mm, std::sqrt(Dot(offset, offset)));
  }
  const double pixels = largest_mm / std::min(stack.grid.spacing_mm[0], stack.grid.spacing_mm[1]);
  if (pixels > kMax) {
    return Wrong(
        fmt::format("the slices are shifted against each other by up to {:.4g} mm (a "
                    "tilted gantry?), so they make no straight volume; resample the "
                    "series before",
                    largest_mm));
  }
  if (pixels > kSilent) {
    stack.notes.push_back(
        fmt::format("the slices are shifted against each other by up to {:.4g} mm, which was left "
                    "as it is",
                    largest_mm));
  }
  return true;
}

// The distance between slices: the median tells what is missing, the mean is what the voxels get,
// so that rounded positions do not add up to a slice.
Result<double> SliceDistance(const std::vector<double>& at_mm, Stack& stack) {
  constexpr double kSilent = 0.01, kMax = 0.1;  // of the distance
  std::vector<double> distances;
  for (std::size_t i = 1; i < at_mm.size(); ++i) distances.push_back(at_mm[i] - at_mm[i - 1]);
  const double median = Median(distances);
  int missing = 0;
  for (const double distance : distances) {
    if (distance > 1.5 * median)
      missing += static_cast<int>(std::min(std::floor(distance / median + 0.5), 1e6)) - 1;
  }
  if (missing > 0) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("{} slices are missing between the first and the last of {} (they are "
                            "{:.4g} mm apart); copy the series again from the archive",
                            missing, at_mm.size(), median));
  }
  const double mean = (at_mm.back() - at_mm.front()) / static_cast<double>(distances.size());
  double uneven = 0;
  for (std::size_t i = 0; i < at_mm.size(); ++i) {
    const double even = at_mm.front() + static_cast<double>(i) * mean;
    uneven = std::max(uneven, std::abs(at_mm[i] - even) / mean);
  }
  if (uneven > kMax) {
    return Wrong(
        fmt::format("slices lie up to {:.1f} % of their distance of {:.4g} mm beside even "
                    "places, which makes no volume of equal voxels; choose another "
                    "reconstruction",
                    100 * uneven, mean));
  }
  if (uneven > kSilent) {
    stack.notes.push_back(
        fmt::format("slices lie up to {:.1f} % of their distance of {:.4g} mm "
                    "beside even places; they are taken as even",
                    100 * uneven, mean));
  }
  return mean;
}

Result<Stack> StackOf(const Series& series, const std::optional<double>& thickness_mm) {
  const Frame& first = series.frames.front();
  Stack stack;
  if (!(first.spacing_mm[0] > 0 && first.spacing_mm[1] > 0)) {
    return Wrong(
        "has no PixelSpacing (0028,0030), so nothing can be measured in it; correct the "
        "header");
  }
  if (!first.is_placed &&
      (series.modality == "CT" || series.modality == "MR" || series.modality == "PT")) {
    return Wrong(
        "has no usable ImagePositionPatient (0020,0032) and ImageOrientationPatient "
        "(0020,0037); choose the original series");
  }
  stack.grid.size = {first.size[0], first.size[1], 1};
  stack.grid.spacing_mm = {first.spacing_mm[0], first.spacing_mm[1], 1};
  const auto normal = Cross(first.axes[0], first.axes[1]);
  stack.place = {first.position_mm, {{first.axes[0], first.axes[1], normal}}};

  std::vector<double> at_mm;
  for (const Frame& frame : series.frames) {
    const double at = Dot(frame.position_mm, normal);
    if (at_mm.empty() || at - at_mm.back() > kSamePlaneMm) at_mm.push_back(at);
    stack.slice_of.push_back(static_cast<int>(at_mm.size()) - 1);
  }
  const std::size_t doubled = series.frames.size() - at_mm.size();
  if (doubled >= at_mm.size() && series.frames.size() > 1) {
    return Wrong(
        fmt::format("{} images lie at {} positions: it is a series over time, or of "
                    "contrasts that its headers do not tell apart; export one of them",
                    series.frames.size(), at_mm.size()));
  }
  if (doubled > 0)
    stack.notes.push_back(fmt::format("{} slices are there twice with the same pixels", doubled));
  CONSILIUM_TRY(CheckTilt(series.frames, normal, stack));
  stack.grid.size[2] = static_cast<int>(at_mm.size());
  if (at_mm.size() > 1) {
    const auto distance = SliceDistance(at_mm, stack);
    CONSILIUM_TRY(distance);
    stack.grid.spacing_mm[2] = *distance;
  } else if (thickness_mm && *thickness_mm > 0) {
    stack.grid.spacing_mm[2] = *thickness_mm;
  } else {
    stack.notes.emplace_back("one slice without SliceThickness (0018,0050): taken as 1 mm");
  }
  const double voxels = static_cast<double>(first.size[0]) * first.size[1] * stack.grid.size[2];
  if (!(voxels > 0 && voxels <= kVoxelsMax)) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("has {} voxels, from 1 to {} are read",
                            fmt::join(stack.grid.size, " x "), kVoxelsMax));
  }
  return stack;
}

// A file whose frames are read one after another.
struct OpenFile {
  LoadedFile file;
  Pixels pixels;
  FrameHeaders headers;

  static Result<std::unique_ptr<OpenFile>> Of(const fs::path& path) {
    auto open = std::make_unique<OpenFile>();
    auto file = LoadFile(path, DataSet::Extent::kWhole);
    CONSILIUM_TRY(file);
    open->file = std::move(*file);
    const auto within = [&](const Error& error) {
      return tl::unexpected<Error>(Within(path.string(), error));
    };
    auto pixels = Pixels::Of(open->file.parsed);
    if (!pixels) return within(pixels.error());
    open->pixels = std::move(*pixels);
    auto headers = FrameHeaders::Of(open->file.parsed.data, open->pixels.format().frames);
    if (!headers) return within(headers.error());
    open->headers = std::move(*headers);
    return open;
  }
};

// Pixels of one slice after slope and intercept.
Result<bool> ReadSlice(const OpenFile& open, const Frame& frame, std::span<double> values) {
  const PixelFormat& format = open.pixels.format();
  if (format.columns != frame.size[0] || format.rows != frame.size[1] ||
      frame.number >= format.frames) {
    return Fail(ErrorCode::kDataLoss, "has changed since its folder was listed; list it again");
  }
  CONSILIUM_TRY(open.pixels.Read(frame.number, values));
  const FrameHeader header = open.headers.At(frame.number);
  if (format.monochrome1 && !frame.is_placed) {
    const double sum = format.is_signed ? -1 : std::ldexp(1.0, format.bits_stored) - 1;
    for (double& value : values) value = sum - value;
  }
  const double slope = header.Number(kValueTransformation, kRescaleSlope).value_or(1);
  const double intercept = header.Number(kValueTransformation, kRescaleIntercept).value_or(0);
  if (slope == 0) {
    return Wrong(
        "has RescaleSlope (0028,1053) 0, which makes all values equal; correct the "
        "header");
  }
  for (double& value : values) value = value * slope + intercept;
  return true;
}

Acquisition AcquisitionOf(const FrameHeader& header) {
  const DataSet& root = header.root();
  Acquisition acquisition;
  acquisition.series_uid = root.Text(kSeriesInstanceUid);
  acquisition.frame_of_reference_uid = root.Text(kFrameOfReferenceUid);
  acquisition.modality = root.Text(kModality);
  acquisition.manufacturer = Utf8(root, root.Text(kManufacturer));
  acquisition.model = Utf8(root, root.Text(kManufacturerModel));
  acquisition.kernel = header.Text(kCtReconstruction, kKernel);
  if (acquisition.modality == "CT") acquisition.units = "HU";
  if (acquisition.modality == "PT") acquisition.units = root.Text(kUnits);
  acquisition.field_strength_t = root.Number(kFieldStrength);
  acquisition.repetition_time_ms = header.Number(kMrTiming, kRepetitionTime);
  acquisition.echo_time_ms = header.Number(kMrEcho, kEffectiveEchoTime);
  if (!acquisition.echo_time_ms) acquisition.echo_time_ms = root.Number(kEchoTime);
  acquisition.tube_voltage_kv = header.Number(kCtXRay, kKvp);
  acquisition.slice_thickness_mm = header.Number(kPixelMeasures, kSliceThickness);
  return acquisition;
}

PetHeader PetHeaderOf(const DataSet& root) {
  const DataSet drug = root.FirstItem(kRadiopharmaceutical);
  const auto text = [](const DataSet& set, const Attribute& attribute) {
    return std::string(set.Text(attribute));
  };
  const auto vendors = [&](std::uint16_t group, std::string_view creator, std::uint8_t element,
                           std::string_view vr) {
    return root.Private(group, creator, element, vr);
  };
  PetHeader pet;
  pet.units = text(root, kUnits);
  pet.decay_correction = text(root, kDecayCorrection);
  pet.suv_type = text(root, kSuvType);
  pet.weight_kg = root.Number(kPatientWeight);
  pet.dose_bq = drug.Number(kTotalDose);
  pet.half_life_s = drug.Number(kHalfLife);
  if (const auto factor = vendors(0x7053, "Philips PET Private Group", 0x00, "DS"))
    pet.philips_suv_factor = root.Number(*factor);
  if (const auto factor = vendors(0x7053, "Philips PET Private Group", 0x09, "DS"))
    pet.philips_activity_factor = root.Number(*factor);
  if (const auto scan = vendors(0x0009, "GEMS_PETD_01", 0x0D, "DT"))
    pet.ge_scan_date_time = text(root, *scan);
  pet.injection_date_time = text(drug, kInjectionDateTime);
  pet.injection_time = text(drug, kInjectionTime);
  pet.series_date = text(root, kSeriesDate);
  pet.series_time = text(root, kSeriesTime);
  pet.acquisition_date = text(root, kAcquisitionDate);
  pet.acquisition_time = text(root, kAcquisitionTime);
  pet.reference_ms = root.Number(kFrameReferenceTime);
  pet.duration_ms = root.Number(kFrameDuration);
  return pet;
}

// The header of the earliest frame counts: beds are scanned one after another.
bool IsEarlier(const PetHeader& a, const PetHeader& b) {
  return std::pair(a.acquisition_date, a.acquisition_time) <
         std::pair(b.acquisition_date, b.acquisition_time);
}

Result<SeriesImage> Read(const Series& series, const ReadingOptions& options) {
  SeriesImage result;
  Stack stack;
  std::unique_ptr<OpenFile> open;
  std::optional<PetHeader> pet;
  std::vector<double> values;
  std::vector<double> again;
  std::size_t slice_pixels = 0;
  bool lossy = false, inverted = false;
  for (std::size_t i = 0; i < series.frames.size(); ++i) {
    const Frame& frame = series.frames[i];
    const auto within = [&](const Error& error) {
      return tl::unexpected<Error>(Within(frame.file.string(), error));
    };
    if (i == 0 || frame.file != series.frames[i - 1].file) {
      auto next = OpenFile::Of(frame.file);
      CONSILIUM_TRY(next);
      open = std::move(*next);
    }
    const DataSet& root = open->file.parsed.data;
    if (i == 0) {
      result.acquisition = AcquisitionOf(open->headers.At(frame.number));
      auto stacked = StackOf(series, result.acquisition.slice_thickness_mm);
      CONSILIUM_TRY(stacked);
      stack = std::move(*stacked);
      slice_pixels = static_cast<std::size_t>(stack.grid.size[0]) *
                     static_cast<std::size_t>(stack.grid.size[1]);
      values.resize(stack.grid.voxel_count());
    }
    lossy = lossy || root.Text(kLossy) == "01";
    inverted = inverted || (open->pixels.format().monochrome1 && !frame.is_placed);
    if (series.modality == "PT") {
      PetHeader header = PetHeaderOf(root);
      if (pet && header.units != pet->units)
        return Wrong("slices have different Units (0054,1001)");
      if (!pet || IsEarlier(header, *pet)) pet = std::move(header);
    }
    const std::span<double> slice(
        values.data() + static_cast<std::size_t>(stack.slice_of[i]) * slice_pixels, slice_pixels);
    const bool is_doubled = i > 0 && stack.slice_of[i] == stack.slice_of[i - 1];
    again.resize(is_doubled ? slice_pixels : 0);
    const auto read = ReadSlice(*open, frame, is_doubled ? std::span(again) : slice);
    if (!read) return within(read.error());
    if (is_doubled && !std::equal(again.begin(), again.end(), slice.begin())) {
      return within(Error{ErrorCode::kInvalidArgument,
                          "another slice lies at the same position with other pixels; keep the one "
                          "that belongs to the volume"});
    }
  }
  result.placed.image.grid = stack.grid;
  result.placed.place = stack.place;
  result.acquisition.voxel_size_mm = stack.grid.spacing_mm;
  result.notes = std::move(stack.notes);
  if (lossy) result.notes.emplace_back("the pixels were compressed with loss");
  if (inverted) result.notes.emplace_back("MONOCHROME1: values were turned over");
  if (pet && options.pet_to_suv) {
    const auto factor = BodyWeightSuvFactor(*pet);
    CONSILIUM_TRY(factor);
    for (double& value : values) value *= *factor;
    result.acquisition.units = "SUV body weight";
  }
  result.placed.image.values = VoxelValues::Smallest(std::move(values));
  return result;
}

}  // namespace

Result<Listing> ListSeries(const fs::path& folder) {
  std::error_code problem;
  std::set<fs::path> paths;
  const bool is_file = fs::is_regular_file(folder, problem);
  if (is_file) paths.insert(folder);
  auto entry = is_file ? fs::recursive_directory_iterator()
                       : fs::recursive_directory_iterator(folder, problem);
  if (!is_file && problem)
    return Fail(ErrorCode::kNotFound, folder.string() + ": " + problem.message());
  for (; entry != fs::recursive_directory_iterator(); entry.increment(problem)) {
    if (problem) return Fail(ErrorCode::kUnavailable, folder.string() + ": " + problem.message());
    std::error_code ignored;
    if (entry->is_regular_file(ignored)) paths.insert(entry->path());
    if (paths.size() > kFilesMax) {
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("{}: has more than {} files; name the folder of one patient",
                              folder.string(), kFilesMax));
    }
  }
  Lister lister;
  for (const fs::path& path : paths) lister.Add(path);
  return lister.Finish();
}

Result<SeriesImage> ReadSeries(const Series& series, const ReadingOptions& options) {
  if (series.frames.empty()) return Wrong("the series has no frames; take it from ListSeries");
  auto image = Read(series, options);
  if (!image) return tl::unexpected<Error>(Within("series " + series.uid, image.error()));
  return image;
}

}  // namespace consilium::engine::dicom
