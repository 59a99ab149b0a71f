#include "engine/itk/read_image.h"

#include <fmt/format.h>
#include <itkMetaImageIO.h>
#include <itkNiftiImageIO.h>
#include <itkNrrdImageIO.h>

#include <limits>
#include <vector>

namespace consilium::engine::itk_files {
namespace {

tl::unexpected<Error> Cannot(const std::filesystem::path& path, std::string_view why) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", path.string(), why));
}

itk::ImageIOBase::Pointer ReaderOf(const std::string& path) {
  for (const itk::ImageIOBase::Pointer& reader :
       {itk::ImageIOBase::Pointer(itk::NiftiImageIO::New()),
        itk::ImageIOBase::Pointer(itk::NrrdImageIO::New()),
        itk::ImageIOBase::Pointer(itk::MetaImageIO::New())}) {
    if (reader->CanReadFile(path.c_str())) return reader;
  }
  return nullptr;
}

template <typename Number>
void Convert(const std::vector<char>& bytes, Image& image) {
  const auto* numbers = reinterpret_cast<const Number*>(bytes.data());
  for (std::size_t i = 0; i < image.values.size(); ++i)
    image.values[i] = static_cast<double>(numbers[i]);
  using Limits = std::numeric_limits<Number>;
  if (Limits::is_integer) {
    image.numbers = {true, static_cast<double>(Limits::lowest()),
                     static_cast<double>(Limits::max())};
  }
}

bool Convert(itk::IOComponentEnum type, const std::vector<char>& bytes, Image& image) {
  switch (type) {
    case itk::IOComponentEnum::UCHAR:
      Convert<unsigned char>(bytes, image);
      return true;
    case itk::IOComponentEnum::CHAR:
      Convert<signed char>(bytes, image);
      return true;
    case itk::IOComponentEnum::USHORT:
      Convert<unsigned short>(bytes, image);
      return true;
    case itk::IOComponentEnum::SHORT:
      Convert<short>(bytes, image);
      return true;
    case itk::IOComponentEnum::UINT:
      Convert<unsigned int>(bytes, image);
      return true;
    case itk::IOComponentEnum::INT:
      Convert<int>(bytes, image);
      return true;
    case itk::IOComponentEnum::ULONG:
    case itk::IOComponentEnum::ULONGLONG:
      Convert<unsigned long long>(bytes, image);
      return true;
    case itk::IOComponentEnum::LONG:
    case itk::IOComponentEnum::LONGLONG:
      Convert<long long>(bytes, image);
      return true;
    case itk::IOComponentEnum::FLOAT:
      Convert<float>(bytes, image);
      return true;
    case itk::IOComponentEnum::DOUBLE:
      Convert<double>(bytes, image);
      return true;
    default:
      return false;
  }
}

Result<PlacedImage> Read(const std::filesystem::path& path) {
  const auto reader = ReaderOf(path.string());
  if (reader == nullptr)
    return Cannot(path, "is no NIfTI, NRRD or MetaImage file; convert it to one of them");
  reader->SetFileName(path.string());
  reader->ReadImageInformation();
  const unsigned dimensions = reader->GetNumberOfDimensions();
  if (reader->GetNumberOfComponents() != 1) {
    return Cannot(
        path, fmt::format("has {} numbers a voxel, expected one", reader->GetNumberOfComponents()));
  }
  PlacedImage result;
  itk::ImageIORegion region(dimensions);
  for (unsigned axis = 0; axis < 3; ++axis) {
    result.image.grid.size[axis] =
        axis < dimensions ? static_cast<int>(reader->GetDimensions(axis)) : 1;
    result.image.grid.spacing_mm[axis] = axis < dimensions ? reader->GetSpacing(axis) : 1;
    result.place.origin_mm[axis] = axis < dimensions ? reader->GetOrigin(axis) : 0;
    for (unsigned i = 0; i < 3; ++i) {
      result.place.direction[axis][i] =
          axis < dimensions && i < dimensions ? reader->GetDirection(axis)[i] : (axis == i ? 1 : 0);
    }
  }
  for (unsigned axis = 0; axis < dimensions; ++axis) {
    if (axis >= 3 && reader->GetDimensions(axis) != 1) {
      return Cannot(
          path, fmt::format("has {} volumes, expected one; split it", reader->GetDimensions(axis)));
    }
    region.SetIndex(axis, 0);
    region.SetSize(axis, reader->GetDimensions(axis));
  }
  reader->SetIORegion(region);
  std::vector<char> bytes(static_cast<std::size_t>(reader->GetImageSizeInBytes()));
  reader->Read(bytes.data());
  result.image.values.resize(result.image.grid.voxel_count());
  if (!Convert(reader->GetComponentType(), bytes, result.image))
    return Cannot(path, "holds numbers of a kind that is not read here");
  return result;
}

}  // namespace

Result<PlacedImage> ReadImage(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored))
    return Fail(ErrorCode::kNotFound, fmt::format("{}: there is no such file", path.string()));
  try {
    return Read(path);
  } catch (const itk::ExceptionObject& error) {
    return Cannot(path, error.GetDescription());
  } catch (const std::exception& error) {
    return Cannot(path, error.what());
  }
}

}  // namespace consilium::engine::itk_files
