// Any bytes as a stability.csv from another hospital, and as a table of features: no crash, no
// hang, errors have a text, and what is read and added up can be written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "extraction/stability.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace consilium;
  using namespace consilium::extraction;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto measured = MeasureStability(text, "a.csv", {"scan", {"f*"}});
  if (measured ? ToCsv(*measured).empty() : measured.error().message.empty()) std::abort();
  const auto read = ReadStability(text, "a.csv");
  if (!read) {
    if (read.error().message.empty()) std::abort();
    return 0;
  }
  const auto both = Together({*read, *read}, {"a.csv", "b.csv"});
  if (!both || both->features.size() != read->features.size() || ToCsv(*both).empty()) std::abort();
  return 0;
}
