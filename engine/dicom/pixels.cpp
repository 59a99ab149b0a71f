#include "engine/dicom/pixels.h"

#include <fmt/format.h>
#include <gdcmFragment.h>
#include <gdcmImage.h>
#include <gdcmSequenceOfFragments.h>
#include <gdcmTrace.h>

#include <cstring>
#include <optional>

namespace consilium::engine::dicom {
namespace {

constexpr std::string_view kSyntaxes = "1.2.840.10008.1.2";  // all begin so; PS3.6, annex A
enum class Coding { kNative, kJpeg, kJpeg2000, kRle };

std::optional<Coding> CodingOf(std::string_view uid) {
  if (uid.substr(0, kSyntaxes.size()) != kSyntaxes) return std::nullopt;
  uid.remove_prefix(kSyntaxes.size());
  if (uid.empty() || uid == ".1") return Coding::kNative;
  if (uid == ".5") return Coding::kRle;
  for (const char* jpeg : {".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81"}) {
    if (uid == jpeg) return Coding::kJpeg;
  }
  if (uid == ".4.90" || uid == ".4.91") return Coding::kJpeg2000;
  return std::nullopt;
}

tl::unexpected<Error> Damaged(std::string what) {
  return Fail(ErrorCode::kDataLoss, what + "; copy the file again from the archive");
}

// Numbers of most significant byte first, as JPEG writes them; 0 beyond the end.
std::size_t BigEndian(std::string_view bytes, std::size_t at, std::size_t count) {
  std::size_t number = 0;
  for (std::size_t i = at; i < at + count; ++i)
    number = number << 8 | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U);
  return number;
}

// What a compressed frame says of itself: a decoder that meets another size than it was told may
// write beyond its memory.
struct Said {
  std::size_t columns = 0, rows = 0, components = 0, bits = 0;
};

// JPEG and JPEG-LS: the frame header (SOF), ITU-T T.81 B.2.2. The segments up to the pixels (SOS)
// must follow each other without a gap, and JFIF be of version 1: where GDCM's decoder would only
// warn of them, it ends the process.
std::optional<Said> SaidByJpeg(std::string_view stream) {
  std::optional<Said> said;
  if (BigEndian(stream, 0, 2) != 0xFFD8) return said;
  for (std::size_t at = 2; at + 4 <= stream.size();) {
    const std::size_t marker = BigEndian(stream, at, 2);
    const bool is_frame = (marker >= 0xFFC0 && marker <= 0xFFCF && marker != 0xFFC4 &&
                           marker != 0xFFC8 && marker != 0xFFCC) ||
                          marker == 0xFFF7;
    const bool is_other_jfif =
        marker == 0xFFE0 && stream.substr(at + 4, 4) == "JFIF" && BigEndian(stream, at + 9, 1) != 1;
    if (marker == 0xFFDA) return said;
    if (marker < 0xFFC0 || is_other_jfif || (is_frame && said)) break;
    if (is_frame) {
      said = Said{BigEndian(stream, at + 7, 2), BigEndian(stream, at + 5, 2),
                  BigEndian(stream, at + 9, 1), BigEndian(stream, at + 4, 1)};
    }
    at += 2 + BigEndian(stream, at + 2, 2);
  }
  return std::nullopt;
}

// JPEG 2000: the size (SIZ), ITU-T T.800 A.5.1.
std::optional<Said> SaidByJpeg2000(std::string_view stream) {
  if (BigEndian(stream, 0, 4) != 0xFF4FFF51) return std::nullopt;
  return Said{BigEndian(stream, 8, 4) - BigEndian(stream, 16, 4),
              BigEndian(stream, 12, 4) - BigEndian(stream, 20, 4), BigEndian(stream, 40, 2),
              (BigEndian(stream, 42, 1) & 0x7F) + 1};
}

// RLE: as many segments as bytes a pixel, each with a place in the frame (PS3.5, annex G).
bool IsRleOf(std::string_view stream, std::size_t segments) {
  constexpr std::size_t kHeaderBytes = 64;
  std::uint32_t header[16];
  if (stream.size() < kHeaderBytes) return false;
  std::memcpy(header, stream.data(), kHeaderBytes);
  if (header[0] != segments || header[1] != kHeaderBytes) return false;
  for (std::size_t i = 2; i <= segments; ++i) {
    if (header[i] <= header[i - 1] || header[i] >= stream.size()) return false;
  }
  return true;
}

template <typename Raw>
void Unpack(const char* bytes, const PixelFormat& format, std::span<double> values) {
  const int shift = format.high_bit + 1 - format.bits_stored;
  const auto mask = static_cast<std::uint32_t>((std::uint64_t{1} << format.bits_stored) - 1);
  const std::uint32_t sign = format.is_signed ? 1U << (format.bits_stored - 1) : 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    Raw raw;
    std::memcpy(&raw, bytes + i * sizeof raw, sizeof raw);
    const std::uint32_t stored = (std::uint32_t{raw} >> shift) & mask;
    values[i] = static_cast<double>(stored) - 2.0 * static_cast<double>(stored & sign);
  }
}

// The fragments of every frame: one a frame, or all of one frame, or as the table of offsets says.
Result<std::vector<std::vector<std::string_view>>> ByFrame(const std::vector<std::string_view>& all,
                                                           std::size_t frames) {
  const std::size_t fragments = all.empty() ? 0 : all.size() - 1;
  if (fragments < frames)
    return Damaged(fmt::format("{} frames are in {} pieces", frames, fragments));
  std::vector<std::vector<std::string_view>> result(frames);
  if (frames == 1 || fragments == frames) {
    for (std::size_t i = 0; i < fragments; ++i) result[frames == 1 ? 0 : i].push_back(all[i + 1]);
    return result;
  }
  const std::string_view table = all.front();
  if (table.size() != 4 * frames)
    return Damaged(fmt::format("{} frames are in {} pieces without a table", frames, fragments));
  std::size_t frame = 0, offset = 0;
  for (std::size_t i = 0; i < fragments; ++i) {
    std::uint32_t next = 0;
    if (frame + 1 < frames) std::memcpy(&next, table.data() + 4 * (frame + 1), sizeof next);
    if (frame + 1 < frames && offset >= next) ++frame;
    result[frame].push_back(all[i + 1]);
    offset += all[i + 1].size() + 8;
  }
  if (result.back().empty()) return Damaged("the table of compressed frames does not fit them");
  return result;
}

}  // namespace

Result<PixelFormat> PixelFormatOf(const DataSet& data) {
  PixelFormat format;
  const std::string_view photometric = data.Text(kPhotometric);
  format.monochrome1 = photometric == "MONOCHROME1";
  if (data.Number(kSamplesPerPixel).value_or(1) != 1 ||
      (photometric != "MONOCHROME1" && photometric != "MONOCHROME2")) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("has pixels of {}, expected MONOCHROME1 or MONOCHROME2: colours are no "
                            "intensities; choose the original series",
                            photometric.empty() ? "no stated kind" : photometric));
  }
  const auto read = [&](const Attribute& attribute, int low, int high, int& into) -> Result<bool> {
    const auto number = data.Whole(attribute, low, high);
    CONSILIUM_TRY(number);
    into = *number;
    return true;
  };
  CONSILIUM_TRY(read(kRows, 1, 65535, format.rows));
  CONSILIUM_TRY(read(kColumns, 1, 65535, format.columns));
  CONSILIUM_TRY(read(kBitsAllocated, 1, 32, format.bits_allocated));
  CONSILIUM_TRY(read(kBitsStored, 1, format.bits_allocated, format.bits_stored));
  format.high_bit = format.bits_stored - 1;
  if (data.Has(kHighBit))
    CONSILIUM_TRY(
        read(kHighBit, format.bits_stored - 1, format.bits_allocated - 1, format.high_bit));
  if (data.Has(kNumberOfFrames)) CONSILIUM_TRY(read(kNumberOfFrames, 1, 1 << 24, format.frames));
  format.is_signed = data.Number(kPixelRepresentation).value_or(0) == 1;
  const int bits = format.bits_allocated;
  if (bits != 1 && bits != 8 && bits != 16 && bits != 32) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("has pixels of {} bits, expected 8, 16 or 32; convert it", bits));
  }
  if (static_cast<double>(format.frame_pixels()) * format.frames > kVoxelsMax && bits != 1) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("has {} x {} x {} voxels, at most {} are read", format.columns,
                            format.rows, format.frames, kVoxelsMax));
  }
  return format;
}

Result<Pixels> Pixels::Of(const ParsedFile& file) {
  Pixels pixels;
  const auto format = PixelFormatOf(file.data);
  CONSILIUM_TRY(format);
  pixels.format_ = *format;
  pixels.transfer_syntax_uid_ = file.transfer_syntax_uid;
  const auto coding = CodingOf(file.transfer_syntax_uid);
  if (!coding) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("has pixels of transfer syntax {}, which is not read here; convert it "
                            "to explicit little endian",
                            file.transfer_syntax_uid));
  }
  const auto frames = static_cast<std::size_t>(format->frames);
  if (*coding == Coding::kNative) {
    pixels.native_ = file.data.Bytes(kPixelData);
    const std::size_t bits =
        format->frame_pixels() * static_cast<std::size_t>(format->bits_allocated);
    if (pixels.native_.size() * 8 / frames < bits) {
      return Damaged(fmt::format("has {} bytes of pixels, expected {} frames of {} bits",
                                 pixels.native_.size(), frames, bits));
    }
    return pixels;
  }
  const auto fragments = file.data.Fragments();
  CONSILIUM_TRY(fragments);
  auto by_frame = ByFrame(*fragments, frames);
  CONSILIUM_TRY(by_frame);
  pixels.fragments_ = std::move(*by_frame);
  return pixels;
}

Result<std::vector<char>> Pixels::Decoded(int frame) const {
  const auto& fragments = fragments_[static_cast<std::size_t>(frame)];
  const auto bytes_a_pixel = static_cast<std::size_t>(format_.bits_allocated / 8);
  const auto coding = CodingOf(transfer_syntax_uid_);
  if (coding == Coding::kRle) {
    if (fragments.size() != 1 || !IsRleOf(fragments[0], bytes_a_pixel))
      return Damaged("an RLE frame has not the segments of its pixels");
  } else {
    const auto said =
        coding == Coding::kJpeg ? SaidByJpeg(fragments[0]) : SaidByJpeg2000(fragments[0]);
    if (!said || said->components != 1 || said->bits > 8 * bytes_a_pixel ||
        said->rows != static_cast<std::size_t>(format_.rows) ||
        said->columns != static_cast<std::size_t>(format_.columns))
      return Damaged("a compressed frame is of another size than its header says");
  }
  gdcm::Trace::DebugOff();
  gdcm::Trace::WarningOff();
  gdcm::Trace::ErrorOff();
  gdcm::SmartPointer<gdcm::SequenceOfFragments> sequence = new gdcm::SequenceOfFragments;
  for (const std::string_view bytes : fragments) {
    gdcm::Fragment fragment;
    fragment.SetByteValue(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
    sequence->AddFragment(fragment);
  }
  gdcm::DataElement element(gdcm::Tag(0x7FE0, 0x0010));
  element.SetVR(gdcm::VR::OB);
  element.SetValue(*sequence);
  gdcm::Image image;
  image.SetNumberOfDimensions(2);
  image.SetDimension(0, static_cast<unsigned>(format_.columns));
  image.SetDimension(1, static_cast<unsigned>(format_.rows));
  const auto bits = [](int count) { return static_cast<unsigned short>(count); };
  // Bits that are not stored are masked by whoever reads the bytes. GDCM would do it too, and ends
  // the process where they do not fit what it expects; its other codecs compare them with theirs.
  const bool whole = coding == Coding::kRle || format_.bits_allocated == 8;
  const int stored = whole ? format_.bits_allocated : format_.bits_stored;
  const int high_bit = whole ? format_.bits_allocated - 1 : format_.high_bit;
  image.SetPixelFormat(gdcm::PixelFormat(1, bits(format_.bits_allocated), bits(stored),
                                         bits(high_bit), format_.is_signed ? 1 : 0));
  image.SetPhotometricInterpretation(gdcm::PhotometricInterpretation::MONOCHROME2);
  image.SetTransferSyntax(gdcm::TransferSyntax::GetTSType(transfer_syntax_uid_.c_str()));
  image.SetDataElement(element);
  std::vector<char> bytes(format_.frame_pixels() * bytes_a_pixel);
  try {
    if (image.GetBufferLength() == bytes.size() && image.GetBuffer(bytes.data()) &&
        image.GetBufferLength() == bytes.size())
      return bytes;
  } catch (...) {  // said below; GDCM also throws words
  }
  return Damaged("a compressed frame cannot be decoded");
}

Result<bool> Pixels::Read(int frame, std::span<double> values) const {
  std::vector<char> decoded;
  const char* bytes = nullptr;
  if (fragments_.empty()) {
    bytes = native_.data() + static_cast<std::size_t>(frame) * format_.frame_pixels() *
                                 static_cast<std::size_t>(format_.bits_allocated / 8);
  } else {
    auto result = Decoded(frame);
    CONSILIUM_TRY(result);
    decoded = std::move(*result);
    bytes = decoded.data();
  }
  switch (format_.bits_allocated) {
    case 8:
      Unpack<std::uint8_t>(bytes, format_, values);
      break;
    case 16:
      Unpack<std::uint16_t>(bytes, format_, values);
      break;
    case 32:
      Unpack<std::uint32_t>(bytes, format_, values);
      break;
    default:
      return Fail(ErrorCode::kInvalidArgument,
                  "has pixels of one bit: it is a segmentation or an overlay, not an image");
  }
  return true;
}

}  // namespace consilium::engine::dicom
