// Names of what was drawn, and whether it was drawn on this image: the same rules for structure
// sets and segmentations.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/glob.h"
#include "base/result.h"
#include "engine/dicom/series.h"

namespace consilium::engine::dicom {

// Of `all`, those whose `name_of` is `wanted`, else those that match it as a pattern. Errors:
// kNotFound (none: lists the names there are).
template <typename Thing, typename NameOf>
Result<std::vector<const Thing*>> Named(const std::vector<Thing>& all, std::string_view wanted,
                                        const NameOf& name_of) {
  std::vector<const Thing*> exact, matching;
  std::vector<std::string_view> names;
  for (const Thing& thing : all) {
    const std::string& name = name_of(thing);
    if (name == wanted) exact.push_back(&thing);
    if (GlobMatches(wanted, name)) matching.push_back(&thing);
    names.push_back(name);
  }
  if (!exact.empty()) return exact;
  if (!matching.empty()) return matching;
  return Fail(ErrorCode::kNotFound,
              fmt::format("no region is called '{}'; there are: {}", wanted,
                          names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", "))));
}

// Errors: kInvalidArgument (neither the series nor the frame of reference is the image's).
template <typename Uids>
Result<bool> CheckReferences(const Uids& series_uids, const Uids& frame_of_reference_uids,
                             const Acquisition& image) {
  const auto holds = [](const Uids& uids, const std::string& uid) {
    return std::find(uids.begin(), uids.end(), uid) != uids.end();
  };
  if (holds(series_uids, image.series_uid)) return true;
  if (holds(frame_of_reference_uids, image.frame_of_reference_uid)) return true;
  const bool says_nothing = series_uids.empty() && frame_of_reference_uids.empty();
  if (says_nothing || image.frame_of_reference_uid.empty()) return true;  // geometry will tell
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("was drawn on series '{}' in the frame of reference '{}', the image is "
                          "series '{}' in '{}'; give the image that it was drawn on",
                          fmt::join(series_uids, ", "), fmt::join(frame_of_reference_uids, ", "),
                          image.series_uid, image.frame_of_reference_uid));
}

}  // namespace consilium::engine::dicom
