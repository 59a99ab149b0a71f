// The site half of federated ComBat. What leaves a site are sums over its rows; gamma and delta
// never do.
//
//   combat.moments    n, sums of y and x, within-site centred x'x and x'y       (sum, 1st round)
//   combat.residuals  sum and centred squares of y - alpha - x' beta            (sum, 2nd round)
//   combat.apply      estimates gamma and delta here, keeps the harmonized rows  (answers a row
//   count)
//
// No step reads Cohort::outcome. Blocks, words and disclosure: docs/harmonization.md, "What leaves
// a site".
#pragma once

#include <vector>

#include "federation/step.h"
#include "harmonization/combat.h"

namespace consilium::harmonization {

// What combat.apply keeps under (fit, federation::kFeatures): values [n x C] for ALL rows of the
// site, in the order of the fit's columns. A member's parameters come from its training rows (the
// left-out fold does not enter, and is adjusted with them); any other center applies the frozen
// model to all its rows.
struct HarmonizedFeatures : federation::FeatureMatrix {
  Application application = Application::kTrainingMember;
  std::vector<int>
      adjusted;             // [G] which of the C columns were harmonized; the others are untouched
  SiteEstimates estimates;  // [G] in that order; empty when nothing was estimated
  std::vector<int> location_only;  // positions within the C columns; see Frozen::location_only
};

// Errors of the steps: kInvalidArgument (the query is malformed or names a column the site does not
// have); kFailedPrecondition (fewer than 2 training rows; a value is missing and the study does not
// allow it: names the site, the column and the number of rows); kOutOfRange (a value beyond its
// public bound, or not finite); and those of Shrink and ApplyFrozen.
void RegisterCombatSteps(federation::StepRegistry& registry);

}  // namespace consilium::harmonization
