// Canonical bytes: what digests, the log and the ledger are made of.
//
// Little-endian, fixed width, lengths before contents; a double is its 64 bits. One value has one
// encoding, so equal digests mean equal values. Readers never trust a length: every one is checked
// against what is left.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace consilium {

using Bytes = std::vector<std::uint8_t>;
__extension__ using Int128 = __int128;  // GCC and clang on x86-64

class ByteWriter {
 public:
  void U8(std::uint8_t value) { bytes_.push_back(value); }
  void U32(std::uint32_t value) { Little(value, 4); }
  void U64(std::uint64_t value) { Little(value, 8); }
  void I64(std::int64_t value) { U64(static_cast<std::uint64_t>(value)); }
  void F64(double value);
  void Raw(std::span<const std::uint8_t> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void Text(std::string_view text);                // u32 length, then the bytes
  void Blob(std::span<const std::uint8_t> bytes);  // u64 length, then the bytes
  // Room for so many bytes more: what is long is then not copied as it grows.
  void Reserve(std::size_t more) { bytes_.reserve(bytes_.size() + more); }
  [[nodiscard]] const Bytes& bytes() const { return bytes_; }
  [[nodiscard]] Bytes Take() { return std::move(bytes_); }

 private:
  void Little(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) bytes_.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  }
  Bytes bytes_;
};

// Every read that runs past the end sets failed() and returns zero or empty; check once at the end.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  std::uint8_t U8();
  std::uint32_t U32();
  std::uint64_t U64();
  std::int64_t I64() { return static_cast<std::int64_t>(U64()); }
  double F64();
  std::string Text(std::size_t length_max);
  std::span<const std::uint8_t> Blob(std::size_t length_max);
  std::span<const std::uint8_t> Raw(std::size_t length);
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }
  [[nodiscard]] bool failed() const { return failed_; }
  void Invalidate() { failed_ = true; }
  // kDataLoss unless everything was read and nothing failed; `what` names the thing in the message.
  [[nodiscard]] Result<void> Finish(std::string_view what) const;

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace consilium
