// Any bytes as a study file, resolved against a fixed header: no crash, no hang, and errors have a
// text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "study/study_file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using consilium::study::ParseStudy;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto study = ParseStudy(text, "s.yaml");
  if (!study) {
    if (study.error().message.empty()) std::abort();
    return 0;
  }
  const auto resolved =
      ResolveFeatures(*study, {"id", "original_shape_Volume", "original_glcm_Idm", "age"});
  if (!resolved && resolved.error().message.empty()) std::abort();
  if (resolved) {
    for (const auto& set : resolved->feature_sets) {
      if (FeatureSetColumns(*resolved, set.name).size() > size + 8) std::abort();
    }
  }
  return 0;
}
