// Fixed-point words: doubles become integers, so that addition is associative and masks cancel
// exactly.
//
// A word is `bits` wide and counts units of 2^-fraction_bits. Overflow is impossible by
// construction: each site refuses |value| * 2^fraction_bits >= 2^(bits-2) / sites before it could
// happen. A total is therefore off by at most sites * 2^-(fraction_bits+1), plus its own rounding
// to a double. Source: Demmel & Nguyen, IEEE Trans Comput
// 64(7):2060-2070, 2015 (reproducible summation), for per-row rounding.
#pragma once

#include <emmintrin.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "federation/block.h"

namespace consilium::federation {

// What stands for a number that has no integer here: not finite, or |units| >= 2^126. EncodeWords
// refuses it, so a caller may carry it along unchecked.
inline constexpr Int128 kBeyondUnits = static_cast<Int128>(1) << 127;

inline constexpr int kFractionBitsMax = 256;  // and -256 at least: scales stay normal doubles
inline constexpr Eigen::Index kBlockValuesMax = Eigen::Index{1} << 28;

// Sum of values each rounded to the grid first (ties to even): the same whatever the cut into
// sites.
class ExactSum {
 public:
  // Aborts unless |fraction_bits| <= 256.
  explicit ExactSum(int fraction_bits);
  // A value that is not finite, or a sum of 2^126 units or more, makes units() kBeyondUnits for
  // good.
  void Add(double value) { AddUnits(Round(value, fraction_bits_)); }
  void AddUnits(Int128 units) {
    if (units == kBeyondUnits || __builtin_add_overflow(sum_, units, &sum_)) beyond_ = true;
  }
  [[nodiscard]] Int128 units() const { return beyond_ ? kBeyondUnits : sum_; }
  // value * 2^fraction_bits to the nearest integer, ties to even, exact beyond 2^53; kBeyondUnits
  // if the value is not finite or gives 2^126 or more. |fraction_bits| <= 256.
  [[nodiscard]] static Int128 Round(double value, int fraction_bits);

 private:
  int fraction_bits_;
  bool beyond_ = false;
  Int128 sum_ = 0;
};

// The words of one answer, little-endian two's complement, blocks in layout order, column-major.
// Errors: kInvalidArgument (blocks and layout differ, or a word format is none of ours),
// kOutOfRange (a value is not finite or beyond the bound for `site_count` sites; names the block
// and the entry, never the value).
[[nodiscard]] Result<Bytes> EncodeWords(const Answer& answer,
                                        const std::vector<BlockLayout>& layout, int site_count);

// An answer of zeros: what a site that is not a member adds.
[[nodiscard]] Bytes ZeroWords(const std::vector<BlockLayout>& layout);

// accumulator += words, each word modulo 2^bits. Sizes must match (checked: aborts).
void AddWords(const std::vector<BlockLayout>& layout, std::span<const std::uint8_t> words,
              std::span<std::uint8_t> accumulator);
// accumulator -= words.
void SubtractWords(const std::vector<BlockLayout>& layout, std::span<const std::uint8_t> words,
                   std::span<std::uint8_t> accumulator);
// The same for a run of equal words of `bits` (32, 64 or 128; aborts otherwise), of equal sizes.
void AddRun(int bits, std::span<const std::uint8_t> words, std::span<std::uint8_t> accumulator);
void SubtractRun(int bits, std::span<const std::uint8_t> words,
                 std::span<std::uint8_t> accumulator);

// Words back to doubles (correctly rounded). Errors: kDataLoss (size differs from the layout).
[[nodiscard]] Result<std::vector<Block>> DecodeWords(std::span<const std::uint8_t> words,
                                                     const std::vector<BlockLayout>& layout);

// kInvalidArgument unless every block has 32, 64 or 128 bits, |fraction_bits| <= 256 and at most
// 2^28 values. Layouts come from registered steps; DecodeWords, ByteCount and the sums abort on
// others.
[[nodiscard]] Result<void> Validate(const std::vector<BlockLayout>& layout);

[[nodiscard]] std::size_t ByteCount(const BlockLayout& block);
[[nodiscard]] std::size_t ByteCount(const std::vector<BlockLayout>& layout);

namespace internal {
[[nodiscard]] inline double PowerOfTwo(int exponent) {  // a normal double: |exponent| <= 1022
  return std::bit_cast<double>(static_cast<std::uint64_t>(1023 + exponent) << 52);
}
[[nodiscard]] Int128 RoundWide(double scaled);  // |scaled| >= 2^62, or not a number
}  // namespace internal

inline Int128 ExactSum::Round(double value, int fraction_bits) {
  // Scaling by a power of two is exact; the conversion rounds to nearest, ties to even (SSE2).
  const double scaled = value * internal::PowerOfTwo(fraction_bits);
  if (std::fabs(scaled) < 0x1.0p62) return _mm_cvtsd_si64(_mm_set_sd(scaled));
  return internal::RoundWide(scaled);
}

}  // namespace consilium::federation
