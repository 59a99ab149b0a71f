// What is installed: the steps that a site can answer, and the program that asks for them.
//
// Sites and coordinator must run the same one, since every question is derived on both sides; its
// name is part of every log and report.
#pragma once

#include <functional>

#include "federation/computation.h"
#include "federation/step.h"
#include "study/results.h"
#include "study/study.h"

namespace consilium::study {

// The version of what is computed; part of every log and report. Sites and coordinator must agree.
inline constexpr char kEngineVersion[] = "consilium 0.1.0";

struct Engine : federation::StepRegistry {
  // The coordinator half of a whole study; asks only for steps of this registry. `study` is
  // resolved and outlives the task.
  std::function<federation::Task<Results>(federation::Sums& sums, const Study& study)> program;
};

// All of this version: moments, ComBat, LASSO, scoring, asked for by RunStudy (program.h).
[[nodiscard]] Engine MakeEngine();

}  // namespace consilium::study
