// The pixels of a DICOM file, frame by frame, as the numbers that are stored.
//
// Native pixels of 8, 16 and 32 bits are unpacked here; JPEG, JPEG-LS, JPEG 2000 and RLE are
// decoded by GDCM, which is included in pixels.cpp only. What a compressed frame says of its own
// size is compared with the file's header before a decoder sees it. Source: DICOM PS3.3 C.7.6.3,
// PS3.5 section 8 and annex A.4.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/dicom/data_set.h"

namespace consilium::engine::dicom {

inline constexpr double kVoxelsMax = 536870912.0;  // 2^29: 4 GB of doubles

struct PixelFormat {
  int rows = 0, columns = 0, frames = 1;
  int bits_allocated = 0, bits_stored = 0, high_bit = 0;
  bool is_signed = false;
  bool monochrome1 = false;  // the lowest value is shown white
  [[nodiscard]] std::size_t frame_pixels() const {
    return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
  }
};

// Errors: kInvalidArgument (no grey image: colours, a palette; or sizes and bits that cannot be),
// kResourceExhausted (more than kVoxelsMax).
[[nodiscard]] Result<PixelFormat> PixelFormatOf(const DataSet& data);

class Pixels {
 public:
  // `file` and its bytes outlive this. Errors: those of PixelFormatOf, kDataLoss (fewer pixels than
  // the header says), kInvalidArgument (a transfer syntax that is not read here).
  [[nodiscard]] static Result<Pixels> Of(const ParsedFile& file);

  [[nodiscard]] const PixelFormat& format() const { return format_; }
  // Frame `frame` of 0 ... frames - 1, row by row [frame_pixels], stored values.
  // Errors: kDataLoss (it cannot be decoded).
  [[nodiscard]] Result<bool> Read(int frame, std::span<double> values) const;
  // All bytes of native pixels: those of one bit a pixel, which run on from frame to frame.
  [[nodiscard]] std::string_view native() const { return native_; }

 private:
  [[nodiscard]] Result<std::vector<char>> Decoded(int frame) const;

  PixelFormat format_;
  std::string transfer_syntax_uid_;
  std::string_view native_;
  std::vector<std::vector<std::string_view>> fragments_;  // of each frame, if compressed
};

}  // namespace consilium::engine::dicom
