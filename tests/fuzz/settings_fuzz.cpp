// Any bytes as extraction settings, or as perturbations: no crash, and errors have a text.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "extraction/settings.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace consilium;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto settings = extraction::ReadSettings(text, "s.yaml");
  if (!settings && settings.error().message.empty()) std::abort();
  for (const auto& both :
       {extraction::WithPerturbations(text, "s.yaml", "noise: 2", "p.yaml"),
        extraction::WithPerturbations("setting: {}", "s.yaml", text, "p.yaml")}) {
    if (!both && both.error().message.empty()) std::abort();
  }
  return 0;
}
