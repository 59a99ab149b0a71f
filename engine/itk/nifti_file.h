// What ITK's reader of NIfTI files keeps to itself.
//
// It reads a file that was cut short as if zeros followed, makes voxels that are no finite numbers
// 0, takes a voxel size of 0 for 1 mm, and ends the program at a header that holds no numbers. So
// the header is checked before it, and plain voxels are read here; of others, what it lost. Source:
// NIfTI-1 and NIfTI-2 headers (nifti1.h, nifti2.h of the NIfTI Data Format Working Group):
// sizeof_hdr, dim, datatype, bitpix, pixdim, vox_offset, scl_slope, scl_inter, qform_code, quatern_b
// ... qoffset_z, sform_code, srow_x ... srow_z, magic.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/result.h"
#include "engine/grid.h"

namespace consilium::engine::itk_files {

// Bytes that one packed byte becomes: deflate makes at most 1032 of it.
inline constexpr double kUnpackedMax = 1040;

struct NiftiFile {
  std::filesystem::path data;  // where the voxels are: the file itself, or its .img
  std::uint64_t begin = 0;     // their first byte, after unpacking
  std::uint64_t bytes = 0;     // of all voxels
  int number_bytes = 0;        // of floating-point numbers: 4 or 8; 0: the voxels are whole numbers
  int plain_type = 0;          // datatype, of numbers that are not scaled; 0: they are
  bool swapped = false;        // big endian
};

// Nothing: it is no NIfTI file. Errors: kInvalidArgument (a size, a voxel size or an axis in use
// that is no usable number), kDataLoss (no file could hold so many voxels in so few bytes; a packed
// one is damaged), kNotFound (a header whose .img is not there).
[[nodiscard]] Result<std::optional<NiftiFile>> CheckNifti(const std::filesystem::path& path);

// The voxels of `image.grid` as they are stored, without ITK: once, into their place. False: the
// numbers are scaled, of another kind (128-bit, 64-bit whole, complex, colours) or not as many as
// the grid has; ITK reads these. Errors: kDataLoss as below.
[[nodiscard]] Result<bool> ReadVoxels(const NiftiFile& file, Image& image);

// Reads the voxels again, of packed files and of floating-point numbers: those that are not finite
// are put back into `values` [voxels x components], where ITK has 0. Errors: kDataLoss (the file
// ends before its voxels do, or its checksum is wrong).
[[nodiscard]] Result<void> PutBackNotFinite(const NiftiFile& file, unsigned components,
                                            VoxelValues& values);

}  // namespace consilium::engine::itk_files
