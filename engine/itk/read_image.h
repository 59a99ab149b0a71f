// Image files into arrays: NIfTI, NRRD and MetaImage, by ITK's readers.
//
// ITK is included in this folder only; its exceptions end here. Positions and directions are in
// mm in the patient's system that points left, posterior and up (LPS), whatever the file says.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "engine/place.h"

namespace consilium::engine::itk_files {

// A volume of numbers, with their kind; a file of two dimensions is one slice. Errors: kNotFound
// (no such file), kInvalidArgument (no format that is known here, or damaged: says what the reader
// said; vectors or colours instead of numbers; four dimensions or more).
[[nodiscard]] Result<PlacedImage> ReadImage(const std::filesystem::path& path);

}  // namespace consilium::engine::itk_files
