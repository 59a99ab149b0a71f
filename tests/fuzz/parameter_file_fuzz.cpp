// Any bytes as a parameter file, and what it says of a small region: no crash, no hang, and errors
// have a text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "extraction/parameter_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace consilium;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = extraction::ReadParameterFile(text, "p.yaml");
  if (!file) {
    if (file.error().message.empty()) std::abort();
    return 0;
  }
  const auto& settings = file->settings;
  // Images of a billion voxels are the reader's affair, not this one's.
  if (settings.resampled_spacing_mm) {
    for (const double mm : *settings.resampled_spacing_mm)
      if (mm > 0 && mm < 0.2) return 0;
  }
  if (settings.pad_distance > 10) return 0;
  for (const auto& type : settings.images)
    if (type.settings.bin_width < 0.1 || type.settings.bin_count > 1000) return 0;
  const engine::Grid grid{{6, 5, 4}, {1, 1, 2}};
  engine::Image image{grid, {}};
  for (int i = 0; i < 120; ++i) image.values.Doubles().push_back((i * 37 + i * i % 11) % 100);
  const engine::Mask mask{grid, std::vector<std::uint8_t>(120, 1)};
  const auto extraction = engine::PyradiomicsFeatures(image, mask, settings);
  if (!extraction && extraction.error().message.empty()) std::abort();
  return 0;
}
