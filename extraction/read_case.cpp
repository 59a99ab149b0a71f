#include "extraction/read_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/csv.h"
#include "base/glob.h"
#include "engine/dicom/segmentation.h"
#include "engine/dicom/series.h"
#include "engine/dicom/structure_set.h"
#include "engine/itk/read_image.h"
#include "engine/labels.h"
#include "engine/reconcile.h"

namespace consilium::extraction {
namespace {

namespace fs = std::filesystem;
namespace dicom = engine::dicom;
using engine::PlacedMask;

// A mask onto the image; what cannot be brought there is a failure of its region alone.
void AddRegion(LoadedCase& loaded, std::string name, const PlacedMask& mask,
               std::vector<std::string> notes) {
  auto reconciled = engine::Reconcile(mask, loaded.image.image.grid, loaded.image.place);
  if (!reconciled) {
    loaded.failures.push_back({std::move(name), reconciled.error().message});
    return;
  }
  if (!reconciled->note.empty()) notes.push_back(std::move(reconciled->note));
  loaded.regions.push_back({std::move(name), std::move(reconciled->mask), std::move(notes)});
}

constexpr std::size_t kShown = 20;  // labels in a message
std::string Listed(const std::vector<engine::Label>& labels) {
  std::string text;
  for (std::size_t i = 0; i < std::min(labels.size(), kShown); ++i)
    text += fmt::format("{}{}", i == 0 ? "" : ", ", labels[i].value);
  return labels.size() > kShown ? text + " ..." : text;
}

// The labels that the case wants, of those there are.
Result<std::vector<std::int64_t>> Chosen(const Case& one, int label,
                                         const std::vector<engine::Label>& there) {
  std::vector<std::int64_t> chosen;
  std::vector<std::string> wanted = one.labels;
  if (wanted.empty()) wanted.push_back(std::to_string(label));
  for (const std::string& text : wanted) {
    if (text == "all") {
      for (const auto& [value, voxels] : there) chosen.push_back(value);
      continue;
    }
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    chosen.push_back(value);
    if (std::any_of(there.begin(), there.end(), [&](const auto& l) { return l.value == value; }))
      continue;
    return Fail(
        ErrorCode::kNotFound,
        there.empty()
            ? fmt::format("{} is empty: it has no label; draw the region, or leave the "
                          "case out",
                          one.mask.string())
            : fmt::format("{} has no label {}; it has {}: name one in column 'label'{}",
                          one.mask.string(), value, Listed(there),
                          there.size() > kShown ? ", or is it an image instead of a mask?" : ""));
  }
  return chosen;
}

// By number, of the one layer there is.
Result<void> ReadLabelMap(const Case& one, int label, const engine::itk_files::SegmentedImage& map,
                          LoadedCase& loaded) {
  const auto there = engine::LabelsOf(map.layers.front());
  if (!there) return tl::unexpected(Within(one.mask.string(), there.error()));
  const auto chosen = Chosen(one, label, *there);
  CONSILIUM_TRY(chosen);
  for (const std::int64_t value : *chosen) {
    AddRegion(loaded, std::to_string(value), {engine::MaskOf(map.layers.front(), value), map.place},
              {});
  }
  return {};
}

// By name, of the layer that the file says.
Result<void> ReadNamedSegments(const Case& one, const engine::itk_files::SegmentedImage& map,
                               LoadedCase& loaded) {
  std::vector<std::string> wanted = one.rois;
  if (wanted.empty()) wanted.emplace_back("*");
  for (const std::string& name : wanted) {
    std::string names;
    bool found = false;
    for (const auto& segment : map.segments) {
      names += (names.empty() ? "" : ", ") + segment.name;
      if (!GlobMatches(name, segment.name)) continue;
      found = true;
      AddRegion(loaded, segment.name,
                {engine::MaskOf(map.layers[segment.layer], segment.label), map.place}, {});
    }
    if (!found) {
      return Fail(ErrorCode::kNotFound,
                  fmt::format("{}: no region is called '{}'; there are: {}", one.mask.string(),
                              name, names.empty() ? "none with a name" : names));
    }
  }
  return {};
}

Result<void> ReadMaskFile(const Case& one, int label, LoadedCase& loaded) {
  const auto map = engine::itk_files::ReadSegmentedImage(one.mask);
  CONSILIUM_TRY(map);
  const bool by_name = !one.rois.empty() || (one.labels.empty() && map->layers.size() > 1);
  if (!one.rois.empty() && map->segments.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is a label map without names; use column 'label' instead of 'roi'",
                            one.mask.string()));
  }
  if (!by_name && map->layers.size() > 1) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} has {} layers, in which numbers mean different regions; use column "
                            "'roi' instead of 'label'",
                            one.mask.string(), map->layers.size()));
  }
  return by_name ? ReadNamedSegments(one, *map, loaded) : ReadLabelMap(one, label, *map, loaded);
}

bool IsDicom(const fs::path& path) {
  constexpr std::streamoff kPreamble = 128;
  std::ifstream file(path, std::ios::binary);
  file.seekg(kPreamble);
  std::array<char, 4> magic{};
  file.read(magic.data(), magic.size());
  return file && std::string_view(magic.data(), magic.size()) == "DICM";
}

std::string Described(const dicom::Series& series) {
  return fmt::format("{} ({}, {}{}{})", series.uid, series.modality,
                     series.description.empty() ? "no description" : series.description,
                     series.contrast.empty() ? "" : ", ", series.contrast);
}

// The one series that the case means.
Result<const dicom::Series*> Chosen(const Case& one, const dicom::Listing& listing) {
  std::vector<const dicom::Series*> chosen;
  std::string there;
  for (const dicom::Series& series : listing.series) {
    if (one.series.empty() || series.uid == one.series ||
        GlobMatches(one.series, series.description))
      chosen.push_back(&series);
    there += (there.empty() ? "" : "; ") + Described(series);
  }
  if (chosen.size() == 1) return chosen.front();
  if (listing.series.empty()) {
    return Fail(
        ErrorCode::kNotFound,
        fmt::format("{} holds no DICOM image; name the folder or file of one in column "
                    "'image' ({})",
                    one.image.string(),
                    listing.notes.empty() ? "it has no file"
                                          : fmt::format("{}", fmt::join(listing.notes, "; "))));
  }
  return Fail(
      ErrorCode::kInvalidArgument,
      fmt::format("{} holds {} series{}: {}; write the UID of one, or a pattern of its "
                  "description, in column 'series'",
                  one.image.string(), listing.series.size(),
                  chosen.empty() && !one.series.empty() ? ", none of them the one named" : "",
                  there));
}

using Provenance = std::vector<std::pair<std::string, std::string>>;

Provenance ToProvenance(const dicom::Acquisition& from) {
  Provenance to = {{"series_uid", from.series_uid},
                   {"modality", from.modality},
                   {"manufacturer", from.manufacturer},
                   {"model", from.model},
                   {"kernel", from.kernel},
                   {"units", from.units}};
  for (const auto& [name, number] : {std::pair{"field_strength_t", from.field_strength_t},
                                     std::pair{"repetition_time_ms", from.repetition_time_ms},
                                     std::pair{"echo_time_ms", from.echo_time_ms},
                                     std::pair{"tube_voltage_kv", from.tube_voltage_kv},
                                     std::pair{"slice_thickness_mm", from.slice_thickness_mm}})
    to.emplace_back(name, number ? FormatNumber(*number) : "");
  return to;
}

// The image; of DICOM also how it was made.
Result<std::optional<dicom::Acquisition>> LoadImage(const Case& one, LoadedCase& loaded) {
  std::error_code none;
  if (!fs::is_directory(one.image, none) && !IsDicom(one.image)) {
    auto image = engine::itk_files::ReadImage(one.image);
    CONSILIUM_TRY(image);
    loaded.image = std::move(*image);
    return std::optional<dicom::Acquisition>();
  }
  const auto listing = dicom::ListSeries(one.image);
  CONSILIUM_TRY(listing);
  const auto series = Chosen(one, *listing);
  CONSILIUM_TRY(series);
  auto image = dicom::ReadSeries(**series);
  if (!image) return tl::unexpected(Within(one.image.string(), std::move(image.error())));
  loaded.image = std::move(image->placed);
  loaded.notes = std::move(image->notes);
  for (const std::string& why : listing->left_out) loaded.notes.push_back("left out: " + why);
  loaded.provenance = ToProvenance(image->acquisition);
  return std::optional(std::move(image->acquisition));
}

// The names that the case wants; without any, the only one there is.
template <typename Things, typename NameOf>
Result<std::vector<std::string>> NamesWanted(const Case& one, const Things& there,
                                             const NameOf& name_of) {
  if (!one.labels.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} has names instead of numbers; use column 'roi' instead of 'label'",
                            one.mask.string()));
  }
  if (!one.rois.empty()) return one.rois;
  if (there.size() == 1) return std::vector<std::string>{name_of(there.front())};
  std::string names;
  for (const auto& thing : there) names += (names.empty() ? "" : ", ") + name_of(thing);
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} has {} regions: {}; name one in column 'roi', or * for all",
                          one.mask.string(), there.size(), names));
}

Result<void> ReadStructures(const Case& one, const fs::path& path,
                            const std::optional<dicom::Acquisition>& acquisition,
                            LoadedCase& loaded) {
  const auto set = dicom::ReadStructureSet(path);
  CONSILIUM_TRY(set);
  if (acquisition) {
    const auto drawn = dicom::CheckDrawnOn(*set, *acquisition);
    if (!drawn) return tl::unexpected(Within(path.string(), drawn.error()));
  }
  const auto names = NamesWanted(one, set->rois, [](const dicom::Roi& roi) { return roi.name; });
  CONSILIUM_TRY(names);
  for (const std::string& name : *names) {
    const auto rois = dicom::RoisNamed(*set, name);
    if (!rois) return tl::unexpected(Within(path.string(), rois.error()));
    for (const dicom::Roi* roi : *rois) {
      auto mask = dicom::MaskOf(*roi, loaded.image.image.grid, loaded.image.place);
      if (mask) {
        loaded.regions.push_back({roi->name, std::move(mask->mask), std::move(mask->notes)});
      } else {
        loaded.failures.push_back({roi->name, mask.error().message});
      }
    }
  }
  return {};
}

Result<void> ReadSegments(const Case& one, const fs::path& path,
                          const std::optional<dicom::Acquisition>& acquisition,
                          LoadedCase& loaded) {
  const auto segmentation = dicom::ReadSegmentation(path);
  CONSILIUM_TRY(segmentation);
  if (acquisition) {
    const auto drawn = dicom::CheckDrawnOn(*segmentation, *acquisition);
    if (!drawn) return tl::unexpected(Within(path.string(), drawn.error()));
  }
  const auto names = NamesWanted(one, segmentation->segments,
                                 [](const dicom::Segment& segment) { return segment.label; });
  CONSILIUM_TRY(names);
  for (const std::string& name : *names) {
    const auto segments = dicom::SegmentsNamed(*segmentation, name);
    if (!segments) return tl::unexpected(Within(path.string(), segments.error()));
    for (const dicom::Segment* segment : *segments)
      AddRegion(loaded, segment->label, dicom::MaskOf(*segmentation, segment->number), {});
  }
  return {};
}

Result<void> ReadDicomMask(const Case& one, const std::optional<dicom::Acquisition>& acquisition,
                           LoadedCase& loaded) {
  const auto listing = dicom::ListSeries(one.mask);
  CONSILIUM_TRY(listing);
  const std::size_t files = listing->structure_sets.size() + listing->segmentations.size();
  if (files != 1) {
    std::string said = fmt::format(
        "{} holds {} structure sets and {} segmentations, expected one of either; name it in "
        "column 'mask'",
        one.mask.string(), listing->structure_sets.size(), listing->segmentations.size());
    if (files == 0 && !listing->series.empty())
      said += fmt::format(" (there are {} series of images, which are no masks)",
                          listing->series.size());
    for (const std::string& note : listing->notes) said += "; " + note;
    return Fail(ErrorCode::kInvalidArgument, said);
  }
  return listing->segmentations.empty()
             ? ReadStructures(one, listing->structure_sets.front(), acquisition, loaded)
             : ReadSegments(one, listing->segmentations.front(), acquisition, loaded);
}

}  // namespace

Result<LoadedCase> ReadCase(const Case& one, int label) {
  LoadedCase loaded;
  const auto acquisition = LoadImage(one, loaded);
  CONSILIUM_TRY(acquisition);
  std::error_code none;
  if (fs::is_directory(one.mask, none) || IsDicom(one.mask)) {
    CONSILIUM_TRY(ReadDicomMask(one, *acquisition, loaded));
    return loaded;
  }
  CONSILIUM_TRY(ReadMaskFile(one, label, loaded));
  return loaded;
}

}  // namespace consilium::extraction
