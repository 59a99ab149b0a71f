#include "engine/itk/read_image.h"

#include <fmt/format.h>
#include <itkMetaDataObject.h>
#include <itkMetaImageIO.h>
#include <itkNiftiImageIO.h>
#include <itkNrrdImageIO.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <type_traits>
#include <vector>

#include "base/csv.h"
#include "engine/itk/nifti_file.h"

namespace consilium::engine::itk_files {
namespace {

tl::unexpected<Error> Cannot(const std::filesystem::path& path, std::string_view why) {
  return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", path.string(), why));
}

// What a reader says, without where in the reader it says it: its last line.
tl::unexpected<Error> Cannot(const std::filesystem::path& path, const itk::ExceptionObject& error) {
  std::string_view said = error.GetDescription();
  said = said.substr(0, said.find_last_not_of("\n ") + 1);  // npos + 1 is 0
  said = Trimmed(said.substr(said.rfind('\n') + 1));
  if (said.find("orthonormal") != std::string_view::npos) {
    return Cannot(path,
                  "its axes are not at right angles to each other, which no grid of voxels is; "
                  "resample it onto a straight grid, or correct the header");
  }
  for (const std::string_view address : {"): ", "ERROR: ", "[nrrd] "}) {
    if (const auto at = said.find(address); at != std::string_view::npos)
      said.remove_prefix(at + address.size());
  }
  return Cannot(path, fmt::format("cannot be read: it is damaged, cut short or without its data "
                                  "file; copy it again ({})",
                                  said));
}

// A file of `bytes` cannot hold more than this. Headers whose numbers are in another file can.
Result<void> CheckSize(const std::filesystem::path& path, const Grid& grid, double voxel_bytes) {
  constexpr double kVoxelsMax = 2147483648.0;
  const double voxels = static_cast<double>(grid.size[0]) * grid.size[1] * grid.size[2];
  const auto extension = path.extension();
  const bool is_header = extension == ".nhdr" || extension == ".mhd" || extension == ".hdr";
  std::error_code none;
  const auto bytes = static_cast<double>(std::filesystem::file_size(path, none));
  if (voxels >= 1 && voxels < kVoxelsMax &&
      (is_header || voxels * voxel_bytes <= kUnpackedMax * bytes))
    return {};
  return Cannot(path, fmt::format("says that it has {} voxels, which {:.0f} bytes cannot hold, or "
                                  "which are more than 2^31; it is damaged: copy it again",
                                  fmt::join(grid.size, " x "), bytes));
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
  const std::size_t count = bytes.size() / sizeof(Number);
  image.values = VoxelValues::Smallest(std::vector<Holding<Number>>(numbers, numbers + count));
  image.numbers = KindOf<Number>();
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

// All numbers of a file. Where a file ends too early, MetaIO leaves the rest as it was and says
// nothing: if the last number may not have been written, it is read once more over another one.
Result<std::vector<char>> BytesOf(itk::ImageIOBase& reader, const std::filesystem::path& path) {
  std::vector<char> bytes(static_cast<std::size_t>(reader.GetImageSizeInBytes()));
  const auto read_over = [&](char before) {
    const auto last = bytes.end() - static_cast<std::ptrdiff_t>(reader.GetComponentSize());
    std::fill(last, bytes.end(), before);
    reader.Read(bytes.data());
    return std::string(last, bytes.end());
  };
  const std::string last = read_over('\x5A');
  if (last.find('\x5A') == std::string::npos || read_over('\x25') == last) return bytes;
  return Cannot(path, "ends before its last voxel: it is damaged or cut short; copy it again");
}

// A file as it is stored: voxels of `components` numbers, one after another.
struct Stored {
  PlacedImage image;  // values [voxel_count * components], those of a voxel together
  unsigned components = 1;
  itk::MetaDataDictionary words;
};

Result<Stored> Read(const std::filesystem::path& path, unsigned components_max) {
  const auto nifti = CheckNifti(path);
  CONSILIUM_TRY(nifti);
  const auto reader = ReaderOf(path.string());
  if (reader == nullptr && *nifti)
    return Cannot(path, "is a NIfTI file without its name; call it .nii, or .nii.gz if packed");
  if (reader == nullptr)
    return Cannot(path, "is no NIfTI, NRRD or MetaImage file; convert it to one of them");
  reader->SetFileName(path.string());
  reader->ReadImageInformation();
  const unsigned dimensions = reader->GetNumberOfDimensions();
  Stored stored;
  stored.components = reader->GetNumberOfComponents();
  if (stored.components < 1 || stored.components > components_max) {
    return Cannot(
        path, fmt::format("has {} numbers a voxel, expected {}; give an image of one channel",
                          stored.components,
                          components_max == 1 ? "one" : fmt::format("at most {}", components_max)));
  }
  auto& [image, place] = stored.image;
  constexpr std::size_t kLengthMax = std::numeric_limits<int>::max();  // too long in any case
  itk::ImageIORegion region(dimensions);
  for (unsigned axis = 0; axis < 3; ++axis) {
    image.grid.size[axis] =
        axis < dimensions
            ? static_cast<int>(std::min<std::size_t>(reader->GetDimensions(axis), kLengthMax))
            : 1;
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
  CONSILIUM_TRY(CheckSize(path, image.grid,
                          static_cast<double>(reader->GetComponentSize()) * stored.components));
  if (const auto map = IndexMap::Of(image.grid, place); !map)
    return tl::unexpected(Within(path.string(), map.error()));
  stored.words = reader->GetMetaDataDictionary();
  if (*nifti && stored.components == 1) {
    const auto read = ReadVoxels(**nifti, image);
    CONSILIUM_TRY(read);
    if (*read) return stored;
  }
  reader->SetIORegion(region);
  const auto bytes = BytesOf(*reader, path);
  CONSILIUM_TRY(bytes);
  if (!Convert(reader->GetComponentType(), *bytes, image))
    return Cannot(
        path, "holds numbers of a kind that is not read here; convert it to whole or real numbers");
  if (*nifti) CONSILIUM_TRY(PutBackNotFinite(**nifti, stored.components, image.values));
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
    return Cannot(path, error);
  } catch (const std::bad_alloc&) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: needs more memory than this process may have; allow more "
                            "(--memory-mb), take fewer processes (--jobs), or cut the image",
                            path.string()));
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
  auto stored = ReadStored(path, kLayersMax);
  CONSILIUM_TRY(stored);
  auto segments = SegmentsOf(path, *stored);
  CONSILIUM_TRY(segments);
  SegmentedImage result{{}, stored->image.place, std::move(*segments)};
  Image& together = stored->image.image;
  if (stored->components == 1) {
    result.layers.push_back(std::move(together));
    return result;
  }
  for (std::size_t layer = 0; layer < stored->components; ++layer) {
    std::vector<double> values;
    values.reserve(together.grid.voxel_count());
    for (std::size_t i = layer; i < together.values.size(); i += stored->components)
      values.push_back(together.values[i]);
    result.layers.push_back({together.grid, VoxelValues::Smallest(std::move(values))});
  }
  return result;
}

}  // namespace consilium::engine::itk_files
