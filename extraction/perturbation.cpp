#include "extraction/perturbation.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/csv.h"
#include "base/rng.h"
#include "engine/perturb/contour.h"
#include "engine/perturb/noise.h"

namespace consilium::extraction {
namespace {

// How often a link multiplies what there is.
double Times(std::size_t values) { return static_cast<double>(std::max<std::size_t>(1, values)); }

void Name(Perturbation& one, const std::string& link) {
  one.name += (one.name.empty() ? "" : " ") + link;
}

// Each of `chains` with each of `count` values of a link; without a value it stays as it is.
template <typename Put>
void Multiply(std::vector<Perturbation>& chains, std::size_t count, const Put& put) {
  if (count == 0) return;
  std::vector<Perturbation> longer;
  for (const Perturbation& chain : chains) {
    for (std::size_t i = 0; i < count; ++i) put(longer.emplace_back(chain), i);
  }
  chains = std::move(longer);
}

}  // namespace

double CountOf(const PerturbationChoice& choice) {
  const double shifts = Times(choice.translation.size());
  const bool none = choice.noise == 0 && choice.contour == 0 && choice.rotation_deg.empty() &&
                    choice.translation.empty() && choice.volume.empty();
  return none ? 0
              : Times(static_cast<std::size_t>(choice.noise)) * Times(choice.rotation_deg.size()) *
                    shifts * shifts * shifts * Times(choice.volume.size()) *
                    Times(static_cast<std::size_t>(choice.contour));
}

std::vector<Perturbation> PerturbationsOf(const PerturbationChoice& choice) {
  if (CountOf(choice) == 0) return {};
  std::vector<Perturbation> chains(1);
  const auto displaced = [&](Perturbation& one) -> engine::Displacement& {
    if (!one.displacement) one.displacement.emplace().interpolation = choice.interpolation;
    return *one.displacement;
  };
  Multiply(chains, static_cast<std::size_t>(choice.noise), [](Perturbation& one, std::size_t i) {
    one.noise = true;
    Name(one, fmt::format("N{}", i + 1));
  });
  Multiply(chains, choice.rotation_deg.size(), [&](Perturbation& one, std::size_t i) {
    displaced(one).rotation_degrees = choice.rotation_deg[i];
    Name(one, "R" + FormatNumber(choice.rotation_deg[i]));
  });
  const std::size_t n = choice.translation.size();
  Multiply(chains, n * n * n, [&](Perturbation& one, std::size_t i) {
    const auto& along = choice.translation;
    auto& [x, y, z] = displaced(one).shift_voxels;
    x = along[i / (n * n)];
    y = along[i / n % n];
    z = along[i % n];
    Name(one, fmt::format("T{}/{}/{}", FormatNumber(x), FormatNumber(y), FormatNumber(z)));
  });
  Multiply(chains, choice.volume.size(), [&](Perturbation& one, std::size_t i) {
    one.volume = choice.volume[i];
    Name(one, "V" + FormatNumber(choice.volume[i]));
  });
  Multiply(chains, static_cast<std::size_t>(choice.contour), [](Perturbation& one, std::size_t i) {
    one.contour = true;
    Name(one, fmt::format("C{}", i + 1));
  });
  for (std::size_t i = 0; i < chains.size(); ++i) chains[i].index = i;
  return chains;
}

Result<engine::DisplacedRegion> Perturbed(const engine::Image& image, const engine::Mask& mask,
                                          const Perturbation& how, std::uint64_t seed,
                                          std::string_view subject) {
  const auto draws = [&](const char* link) {
    return Rng(seed, fmt::format("perturb {} {}", link, subject), how.index);
  };
  engine::DisplacedRegion region{image, mask};
  if (how.noise) {
    const auto sd = engine::NoiseLevel(image, mask);
    CONSILIUM_TRY(sd);
    Rng rng = draws("noise");
    region.image = engine::WithNoise(image, *sd, rng);
  }
  if (how.displacement) {
    auto displaced = engine::Displaced(region.image, region.mask, *how.displacement);
    CONSILIUM_TRY(displaced);
    region = std::move(*displaced);
  }
  if (how.volume) {
    Rng rng = draws("volume");
    auto resized = engine::Resized(region.mask, *how.volume, rng);
    CONSILIUM_TRY(resized);
    region.mask = std::move(*resized);
  }
  if (how.contour) {
    Rng rng = draws("contour");
    auto drawn = engine::RandomContour(region.image, region.mask, {}, rng);
    CONSILIUM_TRY(drawn);
    region.mask = std::move(*drawn);
  }
  return region;
}

}  // namespace consilium::extraction
