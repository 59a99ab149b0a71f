// Fixed-point words: doubles become integers, so that addition is associative and masks cancel exactly.
//
// A word is `bits` wide and counts units of 2^-fraction_bits. Overflow is impossible by construction: each
// site refuses |value| * 2^fraction_bits >= 2^(bits-2) / sites before it could happen.
// Source: Demmel & Nguyen 2015 (reproducible summation) for per-row rounding; notes/learning.md 1.1.
#pragma once

#include <span>
#include <vector>

#include "federation/block.h"

namespace consilium::federation {

// Sum of values each rounded to the grid first (ties to even): the same whatever the cut into sites.
class ExactSum {
 public:
  explicit ExactSum(int fraction_bits) : fraction_bits_(fraction_bits) {}
  // |value| < 2^(126 - fraction_bits - 20): callers scale by public bounds first.
  void Add(double value) { sum_ += Round(value, fraction_bits_); }
  [[nodiscard]] Int128 units() const { return sum_; }
  // value * 2^fraction_bits to the nearest integer, exact beyond 2^53.
  [[nodiscard]] static Int128 Round(double value, int fraction_bits);

 private:
  int fraction_bits_;
  Int128 sum_ = 0;
};

// The words of one answer, little-endian two's complement, blocks in layout order.
// Errors: kInvalidArgument (blocks and layout differ), kOutOfRange (a value is not finite or beyond the
// bound for `site_count` sites; names the block, never the value).
[[nodiscard]] Result<Bytes> EncodeWords(const Answer& answer, const std::vector<BlockLayout>& layout,
                                        int site_count);

// An answer of zeros: what a site that is not a member adds.
[[nodiscard]] Bytes ZeroWords(const std::vector<BlockLayout>& layout);

// accumulator += words, each word modulo 2^bits. Sizes must match (checked: aborts).
void AddWords(const std::vector<BlockLayout>& layout, std::span<const std::uint8_t> words,
              std::span<std::uint8_t> accumulator);
// accumulator -= words.
void SubtractWords(const std::vector<BlockLayout>& layout, std::span<const std::uint8_t> words,
                   std::span<std::uint8_t> accumulator);

// Words back to doubles (correctly rounded). Errors: kDataLoss (size differs from the layout).
[[nodiscard]] Result<std::vector<Block>> DecodeWords(std::span<const std::uint8_t> words,
                                                     const std::vector<BlockLayout>& layout);

[[nodiscard]] std::size_t ByteCount(const std::vector<BlockLayout>& layout);

}  // namespace consilium::federation
