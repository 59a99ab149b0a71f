// Any bytes as extraction settings: no crash, and errors have a text.
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
  return 0;
}
