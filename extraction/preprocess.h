// The steps before features, one after another.
#pragma once

#include <vector>

#include "base/result.h"
#include "engine/grid.h"
#include "extraction/settings.h"

namespace consilium::extraction {

// `image` after all steps; `region` is what steps within a region look at. Errors: those of the
// steps, with the step's name.
[[nodiscard]] Result<engine::Image> Preprocess(engine::Image image, const engine::Mask& region,
                                               const std::vector<Step>& steps);

// Whether the result is the same for every region of an image.
[[nodiscard]] bool DependsOnRegion(const std::vector<Step>& steps);

}  // namespace consilium::extraction
