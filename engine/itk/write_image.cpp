#include "engine/itk/write_image.h"

#include <fmt/format.h>
#include <itkNiftiImageIO.h>

#include <cmath>
#include <vector>

#include "engine/itk/read_image.h"

namespace consilium::engine::itk_files {
namespace {

// `numbers`: of the grid, in the kind that `component` names.
Result<void> Write(const Grid& grid, const Place& place, itk::IOComponentEnum component,
                   const void* numbers, const std::filesystem::path& path) {
  const std::string name = path.string();
  if (!name.ends_with(".nii") && !name.ends_with(".nii.gz"))
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: expected a name that ends in .nii or .nii.gz", name));
  const auto cannot = [&](std::string_view why) {
    return Fail(
        ErrorCode::kUnavailable,
        fmt::format("{}: cannot be written: {}; check its folder and the space left", name, why));
  };
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  try {
    const auto writer = itk::NiftiImageIO::New();
    writer->SetFileName(name);
    writer->SetNumberOfDimensions(3);
    writer->SetPixelType(itk::IOPixelEnum::SCALAR);
    writer->SetComponentType(component);
    writer->SetNumberOfComponents(1);
    itk::ImageIORegion region(3);
    for (unsigned axis = 0; axis < 3; ++axis) {
      writer->SetDimensions(axis, static_cast<unsigned>(grid.size[axis]));
      writer->SetSpacing(axis, grid.spacing_mm[axis]);
      writer->SetOrigin(axis, place.origin_mm[axis]);
      const auto& direction = place.direction[axis];
      writer->SetDirection(axis, std::vector<double>(direction.begin(), direction.end()));
      region.SetIndex(axis, 0);
      region.SetSize(axis, static_cast<itk::ImageIORegion::SizeValueType>(grid.size[axis]));
    }
    writer->SetIORegion(region);
    writer->SetUseCompression(name.ends_with(".gz"));
    writer->Write(numbers);
  } catch (const std::exception& error) {  // ITK's are such
    return cannot(error.what());
  }
  // The writer keeps silent about a folder that is not there and a disk that is full.
  if (const auto read = ReadImage(path); !read) return cannot(read.error().message);
  return {};
}

}  // namespace

Result<void> WriteImage(const PlacedImage& image, const std::filesystem::path& path) {
  std::vector<short> numbers;
  numbers.reserve(image.image.values.size());
  for (const double value : image.image.values) {
    if (!(value >= -32768 && value <= 32767) || std::floor(value) != value)
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("{}: a value is not whole or does not fit into 16 bits; round and "
                              "scale the image first",
                              path.string()));
    numbers.push_back(static_cast<short>(value));
  }
  return Write(image.image.grid, image.place, itk::IOComponentEnum::SHORT, numbers.data(), path);
}

Result<void> WriteMask(const PlacedMask& mask, const std::filesystem::path& path) {
  return Write(mask.mask.grid, mask.place, itk::IOComponentEnum::UCHAR, mask.mask.inside.data(),
               path);
}

}  // namespace consilium::engine::itk_files
