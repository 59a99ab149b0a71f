#include "base/bytes.h"

#include <fmt/format.h>

#include <bit>

namespace consilium {

void ByteWriter::F64(double value) { U64(std::bit_cast<std::uint64_t>(value)); }

void ByteWriter::Text(std::string_view text) {
  U32(static_cast<std::uint32_t>(text.size()));
  bytes_.insert(bytes_.end(), text.begin(), text.end());
}

void ByteWriter::Blob(std::span<const std::uint8_t> bytes) {
  U64(bytes.size());
  Raw(bytes);
}

std::span<const std::uint8_t> ByteReader::Raw(std::size_t length) {
  if (failed_ || length > left()) {
    failed_ = true;
    return {};
  }
  const auto slice = bytes_.subspan(at_, length);
  at_ += length;
  return slice;
}

std::uint8_t ByteReader::U8() {
  const auto raw = Raw(1);
  return raw.empty() ? std::uint8_t{0} : raw[0];
}

std::uint32_t ByteReader::U32() {
  std::uint32_t value = 0;
  const auto raw = Raw(4);
  for (std::size_t i = 0; i < raw.size(); ++i)
    value |= static_cast<std::uint32_t>(raw[i]) << (8 * i);
  return value;
}

std::uint64_t ByteReader::U64() {
  std::uint64_t value = 0;
  const auto raw = Raw(8);
  for (std::size_t i = 0; i < raw.size(); ++i)
    value |= static_cast<std::uint64_t>(raw[i]) << (8 * i);
  return value;
}

double ByteReader::F64() { return std::bit_cast<double>(U64()); }

std::string ByteReader::Text(std::size_t length_max) {
  const std::uint32_t length = U32();
  if (length > length_max) failed_ = true;
  const auto raw = Raw(length);
  return {raw.begin(), raw.end()};
}

std::span<const std::uint8_t> ByteReader::Blob(std::size_t length_max) {
  const std::uint64_t length = U64();
  if (length > length_max) failed_ = true;
  return Raw(static_cast<std::size_t>(length));
}

Result<void> ByteReader::Finish(std::string_view what) const {
  if (failed_)
    return Fail(ErrorCode::kDataLoss, fmt::format("{}: the bytes end early or a length is beyond "
                                                  "its limit; the file or message is damaged",
                                                  what));
  if (left() != 0)
    return Fail(ErrorCode::kDataLoss,
                fmt::format("{}: {} bytes are left over; expected none", what, left()));
  return {};
}

}  // namespace consilium
