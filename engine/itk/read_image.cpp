#include "engine/itk/read_image.h"

#include <fmt/format.h>
#include <itkMetaDataObject.h>
#include <itkMetaImageIO.h>
#include <itkNiftiImageIO.h>
#include <itkNrrdImageIO.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/csv.h"

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

// A file as it is stored: voxels of `components` numbers, one after another.
struct Stored {
  PlacedImage image;  // values [voxel_count * components], those of a voxel together
  unsigned components = 1;
  itk::MetaDataDictionary words;
};

Result<Stored> Read(const std::filesystem::path& path, unsigned components_max) {
  const auto reader = ReaderOf(path.string());
  if (reader == nullptr)
    return Cannot(path, "is no NIfTI, NRRD or MetaImage file; convert it to one of them");
  reader->SetFileName(path.string());
  reader->ReadImageInformation();
  const unsigned dimensions = reader->GetNumberOfDimensions();
  Stored stored;
  stored.components = reader->GetNumberOfComponents();
  if (stored.components < 1 || stored.components > components_max) {
    return Cannot(
        path, fmt::format("has {} numbers a voxel, expected {}", stored.components,
                          components_max == 1 ? "one" : fmt::format("at most {}", components_max)));
  }
  auto& [image, place] = stored.image;
  itk::ImageIORegion region(dimensions);
  for (unsigned axis = 0; axis < 3; ++axis) {
    image.grid.size[axis] = axis < dimensions ? static_cast<int>(reader->GetDimensions(axis)) : 1;
    image.grid.spacing_mm[axis] = axis < dimensions ? reader->GetSpacing(axis) : 1;
    place.origin_mm[axis] = axis < dimensions ? reader->GetOrigin(axis) : 0;
    for (unsigned i = 0; i < 3; ++i) {
      place.direction[axis][i] =
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
  image.values.resize(image.grid.voxel_count() * stored.components);
  if (!Convert(reader->GetComponentType(), bytes, image))
    return Cannot(path, "holds numbers of a kind that is not read here");
  stored.words = reader->GetMetaDataDictionary();
  return stored;
}

// Errors and exceptions of ITK become errors of ours.
Result<Stored> ReadStored(const std::filesystem::path& path, unsigned components_max) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored))
    return Fail(ErrorCode::kNotFound, fmt::format("{}: there is no such file", path.string()));
  try {
    return Read(path, components_max);
  } catch (const itk::ExceptionObject& error) {
    return Cannot(path, error.GetDescription());
  } catch (const std::exception& error) {
    return Cannot(path, error.what());
  }
}

// Segments of 3D Slicer's key-value pairs, until a number has none.
Result<std::vector<NamedSegment>> SegmentsOf(const std::filesystem::path& path,
                                             const Stored& stored) {
  std::vector<NamedSegment> segments;
  const auto word = [&](std::size_t number, std::string_view what) {
    std::string value;
    itk::ExposeMetaData(stored.words, fmt::format("Segment{}_{}", number, what), value);
    return value;
  };
  const auto whole = [&](std::size_t number, std::string_view what, std::int64_t otherwise,
                         std::int64_t& into) -> Result<bool> {
    const std::string text = word(number, what);
    const auto parsed = ParseNumber(text);
    into = parsed ? static_cast<std::int64_t>(*parsed) : otherwise;
    if (text.empty() || (parsed && std::abs(*parsed) < 1e9)) return true;
    return Cannot(path, fmt::format("Segment{}_{} is '{}', expected a whole number; write the file "
                                    "again",
                                    number, what, text));
  };
  for (std::size_t i = 0; !word(i, "Name").empty() || !word(i, "ID").empty(); ++i) {
    NamedSegment segment;
    segment.name = word(i, word(i, "Name").empty() ? "ID" : "Name");
    const bool has_labels = !word(i, "LabelValue").empty();
    std::int64_t layer = 0;
    CONSILIUM_TRY(whole(i, "LabelValue", 1, segment.label));
    CONSILIUM_TRY(whole(i, "Layer", has_labels ? 0 : static_cast<std::int64_t>(i), layer));
    if (layer < 0 || layer >= stored.components) {
      return Cannot(path, fmt::format("segment '{}' is in layer {} of {}; write the file again",
                                      segment.name, layer, stored.components));
    }
    segment.layer = static_cast<std::size_t>(layer);
    segments.push_back(std::move(segment));
  }
  return segments;
}

}  // namespace

Result<PlacedImage> ReadImage(const std::filesystem::path& path) {
  auto stored = ReadStored(path, 1);
  CONSILIUM_TRY(stored);
  return std::move(stored->image);
}

Result<SegmentedImage> ReadSegmentedImage(const std::filesystem::path& path) {
  const auto stored = ReadStored(path, kLayersMax);
  CONSILIUM_TRY(stored);
  auto segments = SegmentsOf(path, *stored);
  CONSILIUM_TRY(segments);
  SegmentedImage result{{}, stored->image.place, std::move(*segments)};
  const Image& together = stored->image.image;
  for (std::size_t layer = 0; layer < stored->components; ++layer) {
    Image& image = result.layers.emplace_back(Image{together.grid, {}});
    image.values.reserve(image.grid.voxel_count());
    for (std::size_t i = layer; i < together.values.size(); i += stored->components)
      image.values.push_back(together.values[i]);
  }
  return result;
}

}  // namespace consilium::engine::itk_files
