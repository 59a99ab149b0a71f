// A region as another hand would have drawn it.
//
// Its volume grows or shrinks by a fraction, layer by layer of distance; or its border is drawn
// anew along supervoxels, pieces of even intensity that are taken in or left out by chance. After:
// Zwanenburg et al., Scientific Reports 9:614, 2019, whose rules these are but for the shares.
#pragma once

#include "base/result.h"
#include "base/rng.h"
#include "engine/grid.h"
#include "engine/perturb/supervoxels.h"

namespace consilium::engine {

// `mask` with round(n (1 + fraction)) voxels, at least one: the outside voxels nearest to it are
// taken in, or the inside voxels nearest to the outside (beyond the image is outside) left out,
// centres' distances in mm; of equally far ones those that `rng` draws. fraction > -1. Errors:
// kInvalidArgument (fraction out of bounds, the mask is empty), kOutOfRange (the grid has too few
// voxels).
[[nodiscard]] Result<Mask> Resized(const Mask& mask, double fraction, Rng& rng);

struct ContourOptions {
  SupervoxelOptions supervoxels;
  // A supervoxel whose share inside the mask is at least keep_from is taken in, below drop_below
  // left out, between them taken in with its share as the chance. 0 <= drop_below <= keep_from.
  double keep_from = 0.9, drop_below = 0.2;
};
// Supervoxels of the mask's box and two steps around it, in their order one draw each where chance
// decides. If none is taken in, the one with the largest share is. Errors: those of SupervoxelsOf;
// kInvalidArgument (the grids differ, the mask is empty, shares out of bounds).
[[nodiscard]] Result<Mask> RandomContour(const Image& image, const Mask& mask,
                                         const ContourOptions& options, Rng& rng);

}  // namespace consilium::engine
