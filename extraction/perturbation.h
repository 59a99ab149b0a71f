// The same region measured again and again, each time as another scan or another hand would have
// given it.
//
// A perturbation is a chain of up to five links, in this order: noise is added (N), image and mask
// are turned (R) and moved (T), the region grows or shrinks (V), its contour is drawn anew (C).
// Every combination of the values of all links is one perturbation; steps before features come
// after it, as they would after a second scan. Source: Zwanenburg et al., Scientific Reports 9:614,
// 2019, whose letters these are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/grid.h"
#include "engine/perturb/displacement.h"

namespace consilium::extraction {

inline constexpr int kPerturbationsMax = 256;

struct PerturbationChoice {
  std::uint64_t seed = 1;
  int noise = 0;                     // how often it is drawn; 0: none is added
  std::vector<double> rotation_deg;  // about z
  // Fractions of a voxel; each combination of them along x, y and z is one translation.
  std::vector<double> translation;
  std::vector<double> volume;  // fractions by which the region grows; > -1
  int contour = 0;             // how often it is drawn; 0: it stays
  engine::Interpolation interpolation = engine::Interpolation::kLinear;  // of turning and moving
};
// How many perturbations that is; 0: none is chosen.
[[nodiscard]] double CountOf(const PerturbationChoice& choice);

struct Perturbation {
  std::string name;         // "N1 R-6 T0.25/0.25/0.75 V0.1 C2"
  std::uint64_t index = 0;  // in the list of all
  bool noise = false, contour = false;
  std::optional<engine::Displacement> displacement;
  std::optional<double> volume;
};
// At most kPerturbationsMax, the last link's values first in turn.
[[nodiscard]] std::vector<Perturbation> PerturbationsOf(const PerturbationChoice& choice);

// The region after all links. What is drawn follows from seed, `subject` (a name of this region
// that nothing but its data decides) and the perturbation's index alone. Errors: those of
// engine/perturb.
[[nodiscard]] Result<engine::DisplacedRegion> Perturbed(const engine::Image& image,
                                                        const engine::Mask& mask,
                                                        const Perturbation& how, std::uint64_t seed,
                                                        std::string_view subject);

}  // namespace consilium::extraction
