// Arrays into NIfTI-1 files, by ITK's writer.
//
// Positions and directions are in mm in LPS, as they are read (read_image.h); the file keeps them
// as NIfTI does. A name that ends in .gz is compressed.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "engine/place.h"

namespace consilium::engine::itk_files {

// Values as 16-bit whole numbers. `path` ends in .nii or .nii.gz; its folder must be there. Errors:
// kInvalidArgument (another ending; a value that is not whole or not in -32768 to 32767),
// kUnavailable (it cannot be written: says what the writer said).
[[nodiscard]] Result<void> WriteImage(const PlacedImage& image, const std::filesystem::path& path);

// 1 inside, 0 outside, as bytes. Errors: as WriteImage.
[[nodiscard]] Result<void> WriteMask(const PlacedMask& mask, const std::filesystem::path& path);

}  // namespace consilium::engine::itk_files
