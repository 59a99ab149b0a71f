// Any bytes as a list of cases: what is read keeps the list's promises.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string_view>

#include "extraction/case_list.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace consilium;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto list = extraction::ReadCaseList(text, "cases.csv", "/data");
  if (!list) {
    if (list.error().message.empty()) std::abort();
    return 0;
  }
  std::set<std::string> ids;
  for (const auto& one : list->cases) {
    const bool whole = !one.id.empty() && !one.patient.empty() && !one.image.empty() &&
                       !one.mask.empty() && (one.labels.empty() || one.rois.empty()) &&
                       one.variables.size() == list->variables.size();
    if (!whole || !ids.insert(one.id).second) std::abort();
  }
  return 0;
}
