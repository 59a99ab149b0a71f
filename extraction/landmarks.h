// The landmarks of a hospital's images, for a standard scale that several hospitals agree on.
//
// Each hospital prints sums over its images (engine/intensity_scale/landmarks.h); one adds them up
// into the template, which everybody's settings then name. Sums and a count are all that is sent.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "engine/intensity_scale/landmarks.h"
#include "extraction/case_list.h"

namespace consilium::extraction {

struct LandmarkReport {
  engine::LandmarkSums sums;
  std::vector<std::string> failures;  // cases that gave none, with the reason
};

// Of all cases; of each the first region if `within_region`, else what is brighter than its mean.
// Errors: kFailedPrecondition (no case gave any).
[[nodiscard]] Result<LandmarkReport> LandmarksOf(const CaseList& list, bool within_region,
                                                 int label);

// {"images": n, "percentiles": [...], "landmarks": [...]}, no newline.
[[nodiscard]] std::string ToJson(const engine::LandmarkSums& sums);
// Errors: kInvalidArgument (it is not what ToJson writes).
[[nodiscard]] Result<engine::LandmarkSums> LandmarkSumsFromJson(const std::string& text);

// The step for a settings file, YAML.
[[nodiscard]] std::string ToYaml(const engine::LandmarkTemplate& standard, bool within_region);

}  // namespace consilium::extraction
