#include "engine/itk/nifti_file.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace consilium::engine::itk_files {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kHeaderBytesMax = 540;
constexpr int kFloat32 = 16, kFloat64 = 64;

tl::unexpected<Error> Cannot(ErrorCode code, const fs::path& path, std::string_view why) {
  return Fail(code, fmt::format("{}: {}", path.string(), why));
}

// Bytes of a file, unpacked if it is packed.
class Unpacked {
 public:
  explicit Unpacked(const fs::path& path) : file_(::gzopen(path.c_str(), "rb"), ::gzclose) {
    constexpr unsigned kBuffer = 1U << 18;
    if (file_ != nullptr) ::gzbuffer(file_.get(), kBuffer);
  }
  // How many there were; fewer than asked for at the end, -1 where the file is damaged.
  int Read(std::span<char> into) {
    return file_ == nullptr
               ? -1
               : ::gzread(file_.get(), into.data(), static_cast<unsigned>(into.size()));
  }
  [[nodiscard]] bool IsPacked() const { return file_ != nullptr && ::gzdirect(file_.get()) == 0; }
  void Skip(std::uint64_t bytes) {
    if (file_ != nullptr) ::gzseek(file_.get(), static_cast<z_off_t>(bytes), SEEK_CUR);
  }

 private:
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

template <typename Number>
Number At(const char* bytes, bool swapped) {
  std::array<char, sizeof(Number)> own{};
  std::memcpy(own.data(), bytes, own.size());
  if (swapped) std::reverse(own.begin(), own.end());
  Number number;
  std::memcpy(&number, own.data(), own.size());
  return number;
}

template <typename Stored, typename Number, std::size_t kCount>
void Fill(const char* bytes, bool swapped, std::array<Number, kCount>& into) {
  for (Number& number : into) {
    number = static_cast<Number>(At<Stored>(bytes, swapped));
    bytes += sizeof(Stored);
  }
}

// The fields that matter, of either version: sizes and places of the second are other ones.
struct Header {
  bool swapped = false;
  bool is_pair = false;  // voxels are in a file of their own
  std::array<std::int64_t, 8> dim{};
  int datatype = 0, bitpix = 0;
  double vox_offset = 0;
  std::array<double, 2> scaling{};  // scl_slope and scl_inter
  std::array<double, 8> pixdim{};
  bool has_qform = false, has_sform = false;
  std::array<double, 6> quatern{};  // b, c, d and the offsets
  std::array<double, 12> srow{};

  static std::optional<Header> Of(std::span<const char> bytes) {
    constexpr int kFirst = 348, kSecond = 540;
    if (bytes.size() < kFirst) return std::nullopt;
    Header header;
    int size = At<std::int32_t>(bytes.data(), false);
    header.swapped = size != kFirst && size != kSecond;
    if (header.swapped) size = At<std::int32_t>(bytes.data(), true);
    const std::size_t magic_at = size == kFirst ? 344 : 4;
    const std::string_view magic(bytes.data() + magic_at, 4);
    header.is_pair = magic.starts_with("ni");
    if (!header.is_pair && !magic.starts_with("n+")) return std::nullopt;
    if (size == kFirst) {
      header.Take<std::int16_t, float, std::int16_t>(bytes.data(), 40, 70, 76, 112, 252, 254, 256,
                                                     280);
      header.vox_offset = At<float>(bytes.data() + 108, header.swapped);
    } else if (size == kSecond && bytes.size() >= kSecond) {
      header.Take<std::int64_t, double, std::int32_t>(bytes.data(), 16, 12, 104, 176, 344, 348, 352,
                                                      400);
      header.vox_offset = static_cast<double>(At<std::int64_t>(bytes.data() + 168, header.swapped));
    } else {
      return std::nullopt;
    }
    return header;
  }

 private:
  template <typename Whole, typename Real, typename Code>
  void Take(const char* bytes, int dim_at, int datatype_at, int pixdim_at, int scl_at, int qform_at,
            int sform_at, int quatern_at, int srow_at) {
    Fill<Whole>(bytes + dim_at, swapped, dim);
    datatype = At<std::int16_t>(bytes + datatype_at, swapped);
    bitpix = At<std::int16_t>(bytes + datatype_at + 2, swapped);
    Fill<Real>(bytes + pixdim_at, swapped, pixdim);
    Fill<Real>(bytes + scl_at, swapped, scaling);
    has_qform = At<Code>(bytes + qform_at, swapped) > 0;
    has_sform = At<Code>(bytes + sform_at, swapped) > 0;
    Fill<Real>(bytes + quatern_at, swapped, quatern);
    Fill<Real>(bytes + srow_at, swapped, srow);
  }
};

Result<void> CheckGeometry(const fs::path& path, const Header& header) {
  const auto wrong = [&](std::string_view what) {
    return Cannot(ErrorCode::kInvalidArgument, path,
                  fmt::format("{}; correct the header, or convert the images again", what));
  };
  if (header.dim[0] < 1 || header.dim[0] > 7)
    return wrong(fmt::format("has dim[0] = {}, expected 1 to 7", header.dim[0]));
  for (std::size_t axis = 1; axis <= static_cast<std::size_t>(header.dim[0]); ++axis) {
    if (axis > 3) break;  // no places in the patient
    if (header.dim[axis] < 1)
      return wrong(fmt::format("has dim[{}] = {}, expected 1 or more", axis, header.dim[axis]));
    const double size_mm = header.pixdim[axis];
    if (header.dim[axis] > 1 && !(size_mm > 0 && std::isfinite(size_mm))) {
      return wrong(fmt::format("has a voxel size (pixdim[{}]) of {:.6g} mm, expected a number > 0",
                               axis, size_mm));
    }
  }
  const auto finite = [](const auto& numbers) {
    return std::all_of(numbers.begin(), numbers.end(),
                       [](double number) { return std::isfinite(number); });
  };
  if (header.has_qform && !finite(header.quatern))
    return wrong("says with numbers that are not finite where it lies (qform)");
  if (header.has_sform && !finite(header.srow))
    return wrong("says with numbers that are not finite where it lies (sform)");
  return {};
}

// The voxels' file of a pair.
Result<fs::path> DataOf(const fs::path& path) {
  fs::path base = path;
  if (base.extension() == ".gz") base.replace_extension();
  for (const char* extension : {".img", ".img.gz"}) {
    fs::path data = base;
    data.replace_extension(extension);
    std::error_code none;
    if (fs::is_regular_file(data, none)) return data;
  }
  return Cannot(ErrorCode::kNotFound, path,
                "is a header whose voxels are in an .img file, which is not beside it; copy both");
}

// Reads the voxels' bytes, a multiple of eight at a time: work(which is the first, bytes). Goes on
// to the end, where a packed file has its checksum.
template <typename Work>
Result<void> ForEachPiece(const NiftiFile& file, const Work& work) {
  Unpacked bytes(file.data);
  std::vector<char> piece(std::size_t{1} << 18);
  bytes.Skip(file.begin);
  std::uint64_t at = 0;
  while (true) {
    const int now = bytes.Read(piece);
    if (now <= 0) {
      if (now == 0 && at >= file.bytes) return {};
      return Cannot(ErrorCode::kDataLoss, file.data,
                    fmt::format("ends or is damaged behind {} of {} bytes of voxels; copy it again",
                                std::min(at, file.bytes), file.bytes));
    }
    if (at < file.bytes) {
      const std::uint64_t count = std::min(file.bytes - at, static_cast<std::uint64_t>(now));
      work(at, std::span(piece).first(static_cast<std::size_t>(count)));
    }
    at += static_cast<std::uint64_t>(now);
  }
}

template <typename Number>
Result<bool> ReadNumbers(const NiftiFile& file, Image& image) {
  const std::size_t voxels = image.grid.voxel_count();
  if (voxels * sizeof(Number) != file.bytes) return false;
  std::vector<Holding<Number>> values(voxels);
  CONSILIUM_TRY(ForEachPiece(file, [&](std::uint64_t at, std::span<const char> piece) {
    Holding<Number>* to = &values[at / sizeof(Number)];
    for (std::size_t i = 0; i + sizeof(Number) <= piece.size(); i += sizeof(Number))
      *to++ = static_cast<Holding<Number>>(At<Number>(&piece[i], file.swapped));
  }));
  image.values = VoxelValues::Smallest(std::move(values));
  image.numbers = KindOf<Number>();
  return true;
}

}  // namespace

Result<std::optional<NiftiFile>> CheckNifti(const fs::path& path) {
  std::array<char, kHeaderBytesMax> bytes{};
  Unpacked head(path);
  const int there = head.Read(bytes);
  if (there < 0 && head.IsPacked())
    return Cannot(ErrorCode::kDataLoss, path, "is packed and ends or is damaged; copy it again");
  const auto header =
      Header::Of(std::span(bytes).first(static_cast<std::size_t>(std::max(there, 0))));
  if (!header) return std::optional<NiftiFile>();
  CONSILIUM_TRY(CheckGeometry(path, *header));
  NiftiFile file{path, 0, 0, 0, 0, header->swapped};
  if (header->is_pair) {
    auto data = DataOf(path);
    CONSILIUM_TRY(data);
    file.data = std::move(*data);
  }
  double needed = std::max(header->bitpix, 1) / 8.0;
  for (std::size_t axis = 1; axis <= static_cast<std::size_t>(header->dim[0]); ++axis)
    needed *= static_cast<double>(std::max<std::int64_t>(header->dim[axis], 1));
  std::error_code none;
  const auto size = static_cast<double>(fs::file_size(file.data, none));
  const bool is_packed = Unpacked(file.data).IsPacked();
  const double offset = std::isfinite(header->vox_offset) ? std::max(header->vox_offset, 0.0) : 0;
  if (none || offset + needed > size * (is_packed ? kUnpackedMax : 1)) {
    return Cannot(ErrorCode::kDataLoss, file.data,
                  fmt::format("says that it holds {:.0f} bytes of voxels, and has {:.0f} bytes in "
                              "all: it is damaged or cut short; copy it again",
                              needed, size));
  }
  file.begin = static_cast<std::uint64_t>(offset);
  file.bytes = static_cast<std::uint64_t>(needed);
  if (header->datatype == kFloat32) file.number_bytes = 4;
  if (header->datatype == kFloat64) file.number_bytes = 8;
  const auto [slope, intercept] = header->scaling;
  const bool is_scaled = slope != 0 && (slope != 1 || intercept != 0);
  if (!is_scaled) file.plain_type = header->datatype;
  return std::optional(file);
}

Result<bool> ReadVoxels(const NiftiFile& file, Image& image) {
  switch (file.plain_type) {
    case 2:
      return ReadNumbers<std::uint8_t>(file, image);
    case 4:
      return ReadNumbers<std::int16_t>(file, image);
    case 8:
      return ReadNumbers<std::int32_t>(file, image);
    case kFloat32:
      return ReadNumbers<float>(file, image);
    case kFloat64:
      return ReadNumbers<double>(file, image);
    case 256:
      return ReadNumbers<std::int8_t>(file, image);
    case 512:
      return ReadNumbers<std::uint16_t>(file, image);
    case 768:
      return ReadNumbers<std::uint32_t>(file, image);
    default:
      return false;
  }
}

Result<void> PutBackNotFinite(const NiftiFile& file, unsigned components, VoxelValues& values) {
  if (file.number_bytes == 0 && !Unpacked(file.data).IsPacked()) return {};  // its size was checked
  const std::size_t step = file.number_bytes == 0 ? 1 : static_cast<std::size_t>(file.number_bytes);
  const std::size_t voxels = values.size() / components;
  return ForEachPiece(file, [&](std::uint64_t at, std::span<const char> piece) {
    for (std::size_t i = 0; file.number_bytes > 0 && i + step <= piece.size(); i += step) {
      const double number =
          step == 4 ? At<float>(&piece[i], file.swapped) : At<double>(&piece[i], file.swapped);
      // Components are stored one after another, and a voxel's are together in `values`.
      const std::size_t n = (at + i) / step;
      if (!std::isfinite(number) && n < values.size())
        values.Set(n % voxels * components + n / voxels, static_cast<float>(number));
    }
  });
}

}  // namespace consilium::engine::itk_files
