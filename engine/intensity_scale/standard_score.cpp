#include "engine/intensity_scale/standard_score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "engine/intensity_scale/spread.h"
#include "engine/resegment.h"

namespace consilium::engine {
namespace {

Result<Image> Scored(const Image& image, std::span<const double> that_count,
                     const StandardScore& how) {
  if (!(how.scale > 0) || (how.clip_sigmas && !(*how.clip_sigmas > 0))) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("scale = {}, clip_sigmas = {}, both must be > 0", how.scale,
                            how.clip_sigmas.value_or(1)));
  }
  const MeanAndSd of = MeanAndSdOf(that_count, how.sample_sd);
  if (!that_count.empty() && !std::isfinite(of.mean)) {
    return Fail(ErrorCode::kInvalidArgument,
                "an intensity is not a finite number; repair the image or mask it out");
  }
  if (!(of.sd > 0)) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("the {} intensities that give mean and SD do not vary; take a larger "
                            "region",
                            that_count.size()));
  }
  std::vector<double> scored;
  scored.reserve(image.values.size());
  for (const double value : image.values) {
    double z = (value - of.mean) / of.sd;
    if (how.clip_sigmas) z = std::clamp(z, -*how.clip_sigmas, *how.clip_sigmas);
    scored.push_back(how.scale * z);
  }
  return Image{image.grid, std::move(scored)};
}

}  // namespace

Result<Image> ToStandardScore(const Image& image, const StandardScore& how) {
  return Scored(image, image.values.AsDoubles(), how);
}

Result<Image> ToStandardScore(const Image& image, const Mask& mask, const StandardScore& how) {
  if (image.grid != mask.grid)
    return Fail(ErrorCode::kInvalidArgument, "image and mask lie on different grids");
  return Scored(image, IntensitiesOf(image, mask), how);
}

}  // namespace consilium::engine
