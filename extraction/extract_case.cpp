#include "extraction/extract_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <new>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/csv.h"
#include "base/sha256_stream.h"
#include "disk/files.h"
#include "engine/ibsi.h"
#include "engine/mask_quality.h"
#include "engine/pyradiomics.h"
#include "engine/semantic.h"
#include "engine/version.h"
#include "extraction/preprocess.h"

namespace consilium::extraction {
namespace {

namespace fs = std::filesystem;
using engine::Image;
using engine::Mask;

Result<void> AppendFile(const fs::path& path, Sha256Stream& stream) {
  std::error_code problem;
  const auto status = fs::status(path, problem);
  if (status.type() == fs::file_type::not_found)
    return Fail(ErrorCode::kNotFound, path.string() + ": there is no such file or folder");
  if (!problem && !fs::is_regular_file(status)) {  // a pipe would be waited for without end
    return Fail(ErrorCode::kInvalidArgument,
                path.string() + ": is neither a file nor a folder, but a pipe, socket or device");
  }
  const auto size = problem ? 0 : fs::file_size(path, problem);
  if (problem)
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: cannot be read: {}", path.string(), problem.message()));
  return disk::ReadPieces(path, size, [&](std::span<const std::uint8_t> piece) -> Result<void> {
    stream.Append(piece);
    return {};
  });
}

// Where the voxels are of a file that is only a header (.mhd, .nhdr, .hdr): the file that it
// names, or its folder where it names a list or a pattern. Empty: in the file itself.
fs::path VoxelsOf(const fs::path& path) {
  constexpr std::streamsize kHeaderBytesMax = 1 << 16;
  const std::string kind = path.extension().string();
  if (kind == ".hdr") return fs::path(path).replace_extension(".img");
  if (kind != ".mhd" && kind != ".nhdr") return {};
  std::string header(kHeaderBytesMax, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(header.data(), kHeaderBytesMax);
  header.resize(static_cast<std::size_t>(file.gcount()));
  std::istringstream lines(header);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t sign = line.find(kind == ".mhd" ? '=' : ':');
    if (sign == std::string::npos) continue;
    const std::string_view key = Trimmed(std::string_view(line).substr(0, sign));
    if (key != "ElementDataFile" && key != "data file" && key != "datafile") continue;
    const std::string name(Trimmed(std::string_view(line).substr(sign + 1)));
    if (name == "LOCAL") return {};
    std::error_code none;
    const fs::path named = path.parent_path() / name;
    return fs::is_regular_file(named, none) ? named : path.parent_path();
  }
  return {};
}

// Of a file's bytes, with its voxels' where they are elsewhere, or of all files of a folder in the
// order of their names.
Result<Digest> DigestOf(const fs::path& path) {
  Sha256Stream stream;
  std::error_code none;
  if (!fs::is_directory(path, none)) {
    CONSILIUM_TRY(AppendFile(path, stream));
    const fs::path voxels = VoxelsOf(path);
    if (voxels.empty() || !fs::exists(voxels, none)) return stream.Finish();
    const auto of_voxels = DigestOf(voxels);
    CONSILIUM_TRY(of_voxels);
    stream.Append(of_voxels->bytes);
    return stream.Finish();
  }
  std::vector<fs::path> files;
  std::error_code problem;
  auto entry = fs::recursive_directory_iterator(path, problem);
  for (; !problem && entry != fs::recursive_directory_iterator(); entry.increment(problem)) {
    if (entry->is_regular_file(none)) files.push_back(entry->path());
  }
  if (problem) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: cannot be listed: {}", path.string(), problem.message()));
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) CONSILIUM_TRY(AppendFile(file, stream));
  return stream.Finish();
}

// The same of what a column of the list names.
Result<Digest> DigestOf(const fs::path& path, std::string_view column) {
  auto digest = DigestOf(path);
  if (!digest) {
    digest.error().message +=
        fmt::format("; correct the path in column '{}', or the file's rights", column);
  }
  return digest;
}

// Voxels without a number inside a region are the region's failure; outside they are taken as 0,
// as filters and resampling need numbers everywhere.
void DealWithNotFinite(LoadedCase& loaded) {
  engine::VoxelValues& values = loaded.image.image.values;
  std::vector<std::size_t> at;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) at.push_back(i);
  }
  if (at.empty()) return;
  std::erase_if(loaded.regions, [&](const Region& region) {
    const auto inside =
        std::count_if(at.begin(), at.end(), [&](auto i) { return region.mask.inside[i] == 1; });
    if (inside == 0) return false;
    loaded.failures.push_back(
        {region.name, fmt::format("{} of the region's voxels have no finite number in the image; "
                                  "repair the image, or draw around them",
                                  inside)});
    return true;
  });
  for (const std::size_t i : at) values.Set(i, 0);
  loaded.notes.push_back(
      fmt::format("{} voxels of the image outside the region have no finite number and are "
                  "taken as 0: filters and resampling near them may show it",
                  at.size()));
}

std::string Spaced(const std::array<double, 3>& numbers) {
  return fmt::format("{} {} {}", FormatNumber(numbers[0]), FormatNumber(numbers[1]),
                     FormatNumber(numbers[2]));
}

// Names, values, and what the dialect has to say.
Result<void> Take(const Image& image, const Mask& mask, const engine::PyradiomicsSettings& settings,
                  RegionRow& row) {
  auto extraction = engine::PyradiomicsFeatures(image, mask, settings);
  CONSILIUM_TRY(extraction);
  for (const auto& feature : extraction->features) {
    row.names.push_back(
        fmt::format("{}_{}_{}", feature.image, feature.feature_class, feature.name));
    row.values.push_back(feature.value);
  }
  const engine::PyradiomicsDiagnostics& diagnostics = extraction->diagnostics;
  row.provenance.emplace_back("spacing_of_features_mm", Spaced(diagnostics.grid.spacing_mm));
  row.provenance.emplace_back("voxels_of_shape", std::to_string(diagnostics.voxel_count));
  row.provenance.emplace_back("voxels_of_intensities",
                              std::to_string(diagnostics.resegmented_voxel_count));
  row.warnings.insert(row.warnings.end(), diagnostics.warnings.begin(), diagnostics.warnings.end());
  return {};
}

std::string Lower(std::string_view text) {
  std::string lower;
  for (const char c : text)
    lower += c == ':' ? '-' : static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return lower;
}

void Put(const std::string& image, const engine::IbsiExtraction& extraction, RegionRow& row) {
  for (const auto& feature : extraction.features) {
    std::string name = fmt::format("{}_{}_", image, feature.family);
    if (!feature.aggregation.empty()) name += Lower(feature.aggregation) + "_";
    row.names.push_back(name + std::string(feature.name.name));
    row.values.push_back(feature.value);
  }
  if (extraction.about_levels)
    row.warnings.push_back(fmt::format("{}: {}", image, extraction.about_levels->sentence));
}

Result<void> Take(const Image& image, const Mask& mask, const IbsiChoice& choice, RegionRow& row) {
  const auto region = engine::Prepare(image, mask, choice.settings);
  CONSILIUM_TRY(region);
  if (choice.original) {
    const auto features = engine::IbsiFeatures(*region, choice.settings);
    CONSILIUM_TRY(features);
    Put("original", *features, row);
  }
  const engine::Box box = engine::BoundingBoxOf(region->intensity);
  for (const auto& [name, filter, bins] : choice.images) {
    auto response = engine::Filtered(region->image, filter, box);
    if (!response) return tl::unexpected(Within("image " + name, std::move(response.error())));
    const engine::Sampling at = engine::SamplingOf(filter, box);
    const auto features = engine::IbsiResponseFeatures(
        *response, engine::Cut(region->morphological, at.box, at.step),
        engine::Cut(region->intensity, at.box, at.step), bins, choice.settings);
    if (!features) return tl::unexpected(Within("image " + name, features.error()));
    Put(name, *features, row);
  }
  row.provenance.emplace_back("spacing_of_features_mm", Spaced(region->image.grid.spacing_mm));
  for (const auto& [name, of] : {std::pair{"voxels_of_shape", &region->morphological},
                                 std::pair{"voxels_of_intensities", &region->intensity}}) {
    row.provenance.emplace_back(name, std::to_string(engine::VoxelsIn(*of)));
  }
  return {};
}

// One region's row. Errors: what makes features impossible or worthless.
Result<RegionRow> RowOf(const LoadedCase& loaded, const Region& region, const Image& image,
                        const Settings& settings) {
  RegionRow row;
  row.region = region.name;
  row.warnings = loaded.notes;
  row.warnings.insert(row.warnings.end(), region.notes.begin(), region.notes.end());
  for (const engine::Finding& finding :
       engine::CheckRegion(image, region.mask, settings.plausible)) {
    if (finding.severity == engine::Severity::kError)
      return Fail(ErrorCode::kInvalidArgument, finding.sentence);
    if (finding.severity == engine::Severity::kWarning) row.warnings.push_back(finding.sentence);
  }
  row.provenance = loaded.provenance;
  row.provenance.emplace_back("spacing_mm", Spaced(image.grid.spacing_mm));
  row.provenance.emplace_back("voxels", std::to_string(engine::VoxelsIn(region.mask)));
  CONSILIUM_TRY(
      std::visit([&](const auto& dialect) { return Take(image, region.mask, dialect, row); },
                 settings.dialect));
  if (settings.semantic) {
    const auto measured = engine::Semantic(image, region.mask, *settings.semantic);
    CONSILIUM_TRY(measured);
    engine::SemanticFeatures::Visit(*measured, [&](const auto& name, const double& value) {
      row.names.push_back(fmt::format("semantic_{}", name.name));
      row.values.push_back(value);
    });
  }
  return row;
}

// The row of a region that has one after each perturbation, without what was said of it already.
void AddPerturbed(const LoadedCase& loaded, const Region& region, const CaseKey& key,
                  const Settings& settings, Outcome& outcome) {
  if (std::none_of(outcome.rows.begin(), outcome.rows.end(),
                   [&](const RegionRow& row) { return row.region == region.name; }))
    return;
  const std::string subject = fmt::format("{} {} {}", Hex(key.image), Hex(key.mask), region.name);
  const auto row_of = [&](const Perturbation& how) -> Result<RegionRow> {
    auto perturbed =
        Perturbed(loaded.image.image, region.mask, how, settings.perturb.seed, subject);
    CONSILIUM_TRY(perturbed);
    const Region again{region.name, std::move(perturbed->mask), {}};
    const auto image = Preprocess(std::move(perturbed->image), again.mask, settings.steps);
    CONSILIUM_TRY(image);
    return RowOf(loaded, again, *image, settings);
  };
  for (const Perturbation& how : PerturbationsOf(settings.perturb)) {
    auto row = row_of(how);
    if (row) {
      row->perturbation = how.name;
      row->warnings.clear();
      outcome.rows.push_back(std::move(*row));
    } else {
      outcome.failures.push_back(
          {region.name, fmt::format("perturbation {}: {}", how.name, row.error().message)});
    }
  }
}

// ".nii"; nothing of a folder, whose name says nothing.
std::string EndingOf(const fs::path& path) {
  std::error_code none;
  return fs::is_directory(path, none) ? "" : path.extension().string();
}

}  // namespace

Result<CaseKey> KeyOf(const Case& one, const Settings& settings) {
  const auto image = DigestOf(one.image, "image");
  CONSILIUM_TRY(image);
  const auto mask = DigestOf(one.mask, "mask");
  CONSILIUM_TRY(mask);
  std::string text =
      fmt::format("{}\n{}\n{}{}\n{}{}\n{}\n", engine::kVersion, Hex(settings.digest), Hex(*image),
                  EndingOf(one.image), Hex(*mask), EndingOf(one.mask), one.series);
  for (const auto* choice : {&one.labels, &one.rois}) {
    for (const auto& region : *choice) text += region + ";";
    text += "\n";
  }
  return CaseKey{*image, *mask, Sha256(text)};
}

Outcome FeaturesOf(const LoadedCase& loaded, const Settings& settings) {
  Outcome outcome;
  outcome.failures = loaded.failures;
  const bool by_region = DependsOnRegion(settings.steps);
  std::optional<Image> prepared;
  for (const Region& region : loaded.regions) {
    if (!settings.steps.empty() && (by_region || !prepared)) {
      auto image = Preprocess(loaded.image.image, region.mask, settings.steps);
      if (!image) {
        outcome.failures.push_back({region.name, image.error().message});
        continue;
      }
      prepared = std::move(*image);
    }
    auto row = RowOf(loaded, region, prepared ? *prepared : loaded.image.image, settings);
    if (row) {
      outcome.rows.push_back(std::move(*row));
    } else {
      outcome.failures.push_back({region.name, row.error().message});
    }
  }
  return outcome;
}

Outcome ExtractCase(const Case& one, const CaseKey& key, const Settings& settings) try {
  auto loaded = ReadCase(one, settings.label);
  if (!loaded) return {{}, {{"", loaded.error().message}}};
  loaded->provenance.insert(loaded->provenance.begin(), {{"engine", engine::kVersion},
                                                         {"settings_sha256", Hex(settings.digest)},
                                                         {"image_sha256", Hex(key.image)},
                                                         {"mask_sha256", Hex(key.mask)}});
  DealWithNotFinite(*loaded);
  Outcome outcome = FeaturesOf(*loaded, settings);
  for (const Region& region : loaded->regions)
    AddPerturbed(*loaded, region, key, settings, outcome);
  return outcome;
} catch (const std::bad_alloc&) {
  return {{},
          {{"",
            "the case needs more memory than a process of this run may have; allow more "
            "(--memory-mb), take fewer processes (--jobs), or cut or resample the image"}}};
}

}  // namespace consilium::extraction
