// How far raters agree on where a region ends: their masks of one image, pair by pair.
//
// Cases of a list that differ in column `rater` alone are masks of the same region. They are read
// again, in processes of their own (worker.h); measures: engine/stability/mask_agreement.h.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "extraction/case_list.h"
#include "extraction/worker_pool.h"

namespace consilium::extraction {

struct MaskPair {
  std::string region;
  std::size_t first = 0, second = 0;  // places among the cases
  double dice = 0, jaccard = 0;
  double hausdorff_95_mm = 0, mean_surface_mm = 0;
  std::string problem;  // a sentence; then there are no figures
};
// Regions of the same name; where each case has one alone, these. `label` as in ReadCase. What is
// wrong with a case or a region stands in its pairs.
[[nodiscard]] std::vector<MaskPair> CompareMasks(const std::vector<Case>& raters, int label);

// A line of JSON, ended by a newline. Errors: kInternal (it is none).
[[nodiscard]] std::string ToLine(const std::vector<MaskPair>& pairs);
[[nodiscard]] Result<std::vector<MaskPair>> MaskPairsFromLine(std::string_view line);

// mask_agreement.csv: patient, facets, region, both raters, figures, problem; in the order of the
// list. `pool.command`: a worker of consilium-extract with its settings. Errors: those of RunPool;
// kInvalidArgument (no image has masks of two raters).
[[nodiscard]] Result<std::string> MaskAgreementTable(const CaseList& list, const PoolOptions& pool);

}  // namespace consilium::extraction
