#include "extraction/read_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "engine/itk/read_image.h"
#include "engine/labels.h"
#include "engine/reconcile.h"

namespace consilium::extraction {
namespace {

using engine::Image;
using engine::PlacedImage;
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

std::string Listed(const std::vector<engine::Label>& labels) {
  constexpr std::size_t kShown = 20;
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
    return Fail(ErrorCode::kNotFound,
                there.empty()
                    ? fmt::format("{} is empty: it has no label", one.mask.string())
                    : fmt::format("{} has no label {}; it has {}: name one in column 'label'",
                                  one.mask.string(), value, Listed(there)));
  }
  return chosen;
}

Result<void> ReadLabelMap(const Case& one, int label, LoadedCase& loaded) {
  const auto map = engine::itk_files::ReadImage(one.mask);
  CONSILIUM_TRY(map);
  const auto there = engine::LabelsOf(map->image);
  if (!there) return tl::unexpected(Within(one.mask.string(), there.error()));
  const auto chosen = Chosen(one, label, *there);
  CONSILIUM_TRY(chosen);
  for (const std::int64_t value : *chosen) {
    AddRegion(loaded, std::to_string(value), {engine::MaskOf(map->image, value), map->place}, {});
  }
  return {};
}

}  // namespace

Result<LoadedCase> ReadCase(const Case& one, int label) {
  LoadedCase loaded;
  auto image = engine::itk_files::ReadImage(one.image);
  CONSILIUM_TRY(image);
  loaded.image = std::move(*image);
  if (!one.rois.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is a label map, which has numbers instead of names; use column "
                            "'label' instead of 'roi'",
                            one.mask.string()));
  }
  CONSILIUM_TRY(ReadLabelMap(one, label, loaded));
  return loaded;
}

}  // namespace consilium::extraction
