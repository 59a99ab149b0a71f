// A study as a computation: what is asked, in which order, and what the answers say.
//
// This is the coordinator half of a whole study. It is deterministic: the same study and the same
// totals give the same queries and the same Results, so the coordinator runs it to ask, every site
// re-runs it to verify, and an auditor re-runs it to re-derive the report. All fits (feature set x
// harmonization x held-out pattern x fold) advance side by side and share rounds.
#pragma once

#include <string>
#include <vector>

#include "federation/computation.h"
#include "study/engine.h"
#include "study/results.h"
#include "study/study.h"

namespace consilium::study {

// Who trains and who is held out, once for each set of training centers.
struct Pattern {
  std::vector<std::string> members;   // sorted
  std::vector<std::string> held_out;  // sorted
};
// The named held-out centers: one pattern. Leave-one-center-out: one pattern a center.
[[nodiscard]] std::vector<Pattern> PatternsOf(const Study& study);

// The columns of a cohort as the steps count them: the study's feature columns, then the
// variables'.
[[nodiscard]] std::vector<std::string> StepColumns(const Study& study);

// The study from the first question to the last figure. `study` must be resolved and outlive the
// task. disclosure and rounds of the Results are left to the caller, who counts them (study_run.h).
// Errors: those of the fits; names the fit.
[[nodiscard]] federation::Task<Results> RunStudy(federation::Sums& sums, const Study& study);

// What the queries of a round do, in the words of a progress line: "harmonizing".
[[nodiscard]] std::string WhatIsAsked(const std::vector<federation::Query>& queries);

// A fit's name: "radiomics/combat/held out MUMC".
[[nodiscard]] std::string FitName(std::string_view features, std::string_view harmonization,
                                  const Pattern& pattern);

}  // namespace consilium::study
