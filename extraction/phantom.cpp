#include "extraction/phantom.h"

#include <fmt/format.h>

#include <cmath>

#include "base/csv.h"
#include "base/rng.h"
#include "engine/version.h"
#include "extraction/extract_case.h"

namespace consilium::extraction {

Phantom MakePhantom() {
  engine::Grid grid;
  grid.size = {36, 32, 24};
  grid.spacing_mm = {0.9, 1.1, 2.0};
  Phantom phantom{{grid, {}, {true, -32768, 32767}}, {grid, {}}};
  Rng rng(1, "extraction phantom");
  // Noise, the mean of which over 2 x 2 x 2 voxels gives grains.
  std::vector<int> noise(grid.voxel_count());
  for (int& value : noise) value = static_cast<int>(rng.Below(401));
  std::vector<float> values;
  for (int z = 0; z < grid.size[2]; ++z) {
    for (int y = 0; y < grid.size[1]; ++y) {
      for (int x = 0; x < grid.size[0]; ++x) {
        int grain = 0;
        for (const int corner : {0, 1, 2, 3, 4, 5, 6, 7})
          grain += noise[grid.Index((x / 2 + corner % 2) % grid.size[0],
                                    (y / 2 + corner / 2 % 2) % grid.size[1],
                                    (z + corner / 4) % grid.size[2])];
        // A gradient along x and rings around the middle.
        const int across = (2 * x - 35) * (2 * x - 35) + (2 * y - 31) * (2 * y - 31);
        const int value = grain / 16 + 3 * x + across / 64 % 40;
        values.push_back(static_cast<float>(value));
        const int depth = (2 * z - 23) * (2 * z - 23);
        const bool ellipsoid = across * 4 + depth * 7 <= 2800;
        const bool notch = x > 20 && y > 16 && z < 10;
        phantom.mask.inside.push_back(ellipsoid && !notch ? 1 : 0);
      }
    }
  }
  phantom.image.values = std::move(values);
  return phantom;
}

Result<RegionRow> PhantomFeatures(const Settings& settings) {
  const Phantom phantom = MakePhantom();
  LoadedCase loaded;
  loaded.image.image = phantom.image;
  loaded.regions.push_back({"phantom", phantom.mask, {}});
  Outcome outcome = FeaturesOf(loaded, settings);
  if (!outcome.failures.empty())
    return Fail(ErrorCode::kInvalidArgument, "the phantom has no features under these settings: " +
                                                 outcome.failures.front().message);
  return std::move(outcome.rows.front());
}

std::string StudySection(std::string_view settings_text, const RegionRow& phantom) {
  // As many newlines at the end as the file has.
  const bool ends_with_newline = settings_text.ends_with('\n');
  std::string text = fmt::format("extraction:\n  engine: {}\n  settings: |2{}\n", engine::kVersion,
                                 ends_with_newline ? '+' : '-');
  while (!settings_text.empty()) {
    const std::size_t end = std::min(settings_text.find('\n'), settings_text.size());
    std::string_view line = settings_text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    text += line.empty() ? "\n" : fmt::format("    {}\n", line);
    settings_text.remove_prefix(std::min(end + 1, settings_text.size()));
  }
  text += "  phantom:\n";
  for (std::size_t i = 0; i < phantom.names.size(); ++i) {
    if (std::isfinite(phantom.values[i]))
      text += fmt::format("    {}: {}\n", phantom.names[i], FormatNumber(phantom.values[i]));
  }
  return text;
}

}  // namespace consilium::extraction
