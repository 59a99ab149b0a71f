// The demo study on disk: what simulation/generated/images.h makes, as files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>

#include "base/result.h"
#include "simulation/generated/images.h"

namespace consilium::extraction {

// Writes lists, images and masks below `out` (made if absent) with `threads` threads; calls
// `on_image` now and then, from one of them at a time, with the number of images written so far.
// Errors: those of the writers.
[[nodiscard]] Result<void> WriteDemo(const simulation::GeneratedImageStudy& study,
                                     std::uint64_t seed, const std::filesystem::path& out,
                                     int threads, const std::function<void(std::size_t)>& on_image);

}  // namespace consilium::extraction
