#include "federation/fixed_point.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>

namespace consilium::federation {
namespace {

__extension__ using Unsigned128 = unsigned __int128;

template <typename Word>
Word Load(const std::uint8_t* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);  // x86-64 is little-endian, as the words are
  return word;
}

template <typename Word>
void Store(Word word, std::uint8_t* at) {
  std::memcpy(at, &word, sizeof word);
}

template <typename Word>
void AddRunOf(const std::uint8_t* from, std::uint8_t* to, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += sizeof(Word)) {
    Store(static_cast<Word>(Load<Word>(to + at) + Load<Word>(from + at)), to + at);
  }
}

template <typename Word>
void SubtractRunOf(const std::uint8_t* from, std::uint8_t* to, std::size_t bytes) {
  for (std::size_t at = 0; at < bytes; at += sizeof(Word)) {
    Store(static_cast<Word>(Load<Word>(to + at) - Load<Word>(from + at)), to + at);
  }
}

void CheckRun(int bits, std::size_t from, std::size_t to) {
  CONSILIUM_CHECK(bits == 32 || bits == 64 || bits == 128, "a word has 32, 64 or 128 bits");
  CONSILIUM_CHECK(from == to, "words and accumulator differ in size");
  CONSILIUM_CHECK(from % (static_cast<std::size_t>(bits) / 8) == 0, "a run holds whole words");
}

// Hands the words and the accumulator to `run` block by block, each with its block's word size.
void RunByBlock(const std::vector<BlockLayout>& layout, std::span<const std::uint8_t> words,
                std::span<std::uint8_t> accumulator, decltype(AddRun)& run) {
  CONSILIUM_CHECK(words.size() == ByteCount(layout) && accumulator.size() == words.size(),
                  "words and accumulator must have the size of their layout");
  std::size_t at = 0;
  for (const BlockLayout& block : layout) {
    const std::size_t bytes = ByteCount(block);
    run(block.format.bits, words.subspan(at, bytes), accumulator.subspan(at, bytes));
    at += bytes;
  }
}

// The largest |units| that one of `site_count` sites may send: 2^(bits-2) is out of reach of the
// sum.
Int128 UnitsMax(int bits, int site_count) {
  return ((static_cast<Int128>(1) << (bits - 2)) - 1) / site_count;
}

using BadEntry = std::optional<Eigen::Index>;  // column-major index of the first refused value

// 32- and 64-bit words: one conversion, one comparison and one store a value. What cannot be
// converted becomes -2^63, which is beyond every bound.
template <typename Word>
BadEntry EncodeNarrow(const double* values, Eigen::Index count, int fraction_bits,
                      std::int64_t units_max, std::uint8_t* to) {
  const double scale = internal::PowerOfTwo(fraction_bits);
  const auto offset = static_cast<std::uint64_t>(units_max);
  bool refused = false;
  for (Eigen::Index i = 0; i < count; ++i) {
    const std::int64_t units = _mm_cvtsd_si64(_mm_set_sd(values[i] * scale));
    refused |= static_cast<std::uint64_t>(units) + offset > 2 * offset;
    Store(static_cast<Word>(units), to + static_cast<std::size_t>(i) * sizeof(Word));
  }
  if (!refused) return std::nullopt;
  for (Eigen::Index i = 0; i < count; ++i) {
    const std::int64_t units = _mm_cvtsd_si64(_mm_set_sd(values[i] * scale));
    if (static_cast<std::uint64_t>(units) + offset > 2 * offset) return i;
  }
  return std::nullopt;
}

template <typename Units>
BadEntry EncodeAny(int bits, Eigen::Index count, Int128 units_max, std::uint8_t* to,
                   Units units_of) {
  const std::size_t width = static_cast<std::size_t>(bits) / 8;
  for (Eigen::Index i = 0; i < count; ++i) {
    const Int128 units = units_of(i);
    if (units < -units_max || units > units_max) return i;
    std::memcpy(to + static_cast<std::size_t>(i) * width, &units,
                width);  // the low bytes come first
  }
  return std::nullopt;
}

BadEntry EncodeBlock(const AnswerBlock& block, const BlockLayout& layout, int site_count,
                     std::uint8_t* to) {
  const int bits = layout.format.bits;
  const Int128 units_max = UnitsMax(bits, site_count);
  if (const auto* integers = std::get_if<std::vector<Int128>>(&block.values)) {
    return EncodeAny(bits, layout.rows * layout.cols, units_max, to,
                     [&](Eigen::Index i) { return (*integers)[static_cast<std::size_t>(i)]; });
  }
  const auto& values = std::get<Eigen::MatrixXd>(block.values);
  if (bits == 128) {
    return EncodeAny(bits, values.size(), units_max, to, [&](Eigen::Index i) {
      return ExactSum::Round(values.data()[i], layout.format.fraction_bits);
    });
  }
  const auto narrow_max = static_cast<std::int64_t>(units_max);
  return bits == 64 ? EncodeNarrow<std::uint64_t>(values.data(), values.size(),
                                                  layout.format.fraction_bits, narrow_max, to)
                    : EncodeNarrow<std::uint32_t>(values.data(), values.size(),
                                                  layout.format.fraction_bits, narrow_max, to);
}

Result<void> CheckShape(const AnswerBlock& block, const BlockLayout& layout) {
  if (block.name != layout.name) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("answer block '{}' stands where the layout has '{}'; steps answer their "
                    "blocks in layout order",
                    block.name, layout.name));
  }
  if (const auto* integers = std::get_if<std::vector<Int128>>(&block.values)) {
    if (static_cast<Eigen::Index>(integers->size()) == layout.rows * layout.cols) return {};
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("block '{}' has {} integers, its layout {} x {}", block.name,
                            integers->size(), layout.rows, layout.cols));
  }
  const auto& values = std::get<Eigen::MatrixXd>(block.values);
  if (values.rows() == layout.rows && values.cols() == layout.cols) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("block '{}' is {} x {}, its layout {} x {}", block.name, values.rows(),
                          values.cols(), layout.rows, layout.cols));
}

void CheckLayout(const std::vector<BlockLayout>& layout) {
  const auto valid = Validate(layout);
  CONSILIUM_CHECK(valid.has_value(), valid.has_value() ? "" : valid.error().message);
}

}  // namespace

ExactSum::ExactSum(int fraction_bits) : fraction_bits_(fraction_bits) {
  CONSILIUM_CHECK(fraction_bits >= -kFractionBitsMax && fraction_bits <= kFractionBitsMax,
                  "fraction_bits must be within -256 and 256");
}

Int128 internal::RoundWide(double scaled) {
  if (!(std::fabs(scaled) < 0x1.0p126)) return kBeyondUnits;  // also not a number
  return static_cast<Int128>(scaled);                         // an integer already: exact
}

Result<void> Validate(const std::vector<BlockLayout>& layout) {
  for (const BlockLayout& block : layout) {
    const auto [bits, fraction_bits] = block.format;
    if (bits != 32 && bits != 64 && bits != 128) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("layout of block '{}': words of {} bits; use 32, 64 or 128",
                              block.name, bits));
    }
    if (fraction_bits < -kFractionBitsMax || fraction_bits > kFractionBitsMax) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("layout of block '{}': fraction_bits = {}, must be within -{} and {}",
                              block.name, fraction_bits, kFractionBitsMax, kFractionBitsMax));
    }
    if (block.rows < 0 || block.cols < 0 ||
        (block.cols > 0 && block.rows > kBlockValuesMax / block.cols)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("layout of block '{}': {} x {} values; at most {} are allowed",
                              block.name, block.rows, block.cols, kBlockValuesMax));
    }
  }
  return {};
}

std::size_t ByteCount(const BlockLayout& block) {
  return static_cast<std::size_t>(block.rows) * static_cast<std::size_t>(block.cols) *
         static_cast<std::size_t>(block.format.bits / 8);
}

std::size_t ByteCount(const std::vector<BlockLayout>& layout) {
  CheckLayout(layout);
  std::size_t count = 0;
  for (const BlockLayout& block : layout) count += ByteCount(block);
  return count;
}

Bytes ZeroWords(const std::vector<BlockLayout>& layout) { return Bytes(ByteCount(layout)); }

Result<Bytes> EncodeWords(const Answer& answer, const std::vector<BlockLayout>& layout,
                          int site_count) {
  CONSILIUM_TRY(Validate(layout));
  if (site_count < 1) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("site_count = {}, must be >= 1", site_count));
  }
  if (answer.blocks.size() != layout.size()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("the answer has {} blocks, its layout {}",
                                                         answer.blocks.size(), layout.size()));
  }
  for (std::size_t i = 0; i < layout.size(); ++i) {
    CONSILIUM_TRY(CheckShape(answer.blocks[i], layout[i]));
  }
  Bytes words(ByteCount(layout));
  std::uint8_t* to = words.data();
  for (std::size_t i = 0; i < layout.size(); ++i) {
    if (const BadEntry bad = EncodeBlock(answer.blocks[i], layout[i], site_count, to)) {
      return Fail(
          ErrorCode::kOutOfRange,
          fmt::format("block '{}', row {}, column {}: not finite, or beyond what {} bits with "
                      "{} fraction bits hold for {} sites; check the column's scale and "
                      "outliers",
                      layout[i].name, *bad % layout[i].rows + 1, *bad / layout[i].rows + 1,
                      layout[i].format.bits, layout[i].format.fraction_bits, site_count));
    }
    to += ByteCount(layout[i]);
  }
  return words;
}

void AddRun(int bits, std::span<const std::uint8_t> words, std::span<std::uint8_t> accumulator) {
  CheckRun(bits, words.size(), accumulator.size());
  if (bits == 32) AddRunOf<std::uint32_t>(words.data(), accumulator.data(), words.size());
  if (bits == 64) AddRunOf<std::uint64_t>(words.data(), accumulator.data(), words.size());
  if (bits == 128) AddRunOf<Unsigned128>(words.data(), accumulator.data(), words.size());
}

void SubtractRun(int bits, std::span<const std::uint8_t> words,
                 std::span<std::uint8_t> accumulator) {
  CheckRun(bits, words.size(), accumulator.size());
  if (bits == 32) SubtractRunOf<std::uint32_t>(words.data(), accumulator.data(), words.size());
  if (bits == 64) SubtractRunOf<std::uint64_t>(words.data(), accumulator.data(), words.size());
  if (bits == 128) SubtractRunOf<Unsigned128>(words.data(), accumulator.data(), words.size());
}

void AddWords(const std::vector<BlockLayout>& layout, std::span<const std::uint8_t> words,
              std::span<std::uint8_t> accumulator) {
  RunByBlock(layout, words, accumulator, AddRun);
}

void SubtractWords(const std::vector<BlockLayout>& layout, std::span<const std::uint8_t> words,
                   std::span<std::uint8_t> accumulator) {
  RunByBlock(layout, words, accumulator, SubtractRun);
}

Result<std::vector<Block>> DecodeWords(std::span<const std::uint8_t> words,
                                       const std::vector<BlockLayout>& layout) {
  if (words.size() != ByteCount(layout)) {
    return Fail(
        ErrorCode::kDataLoss,
        fmt::format("the words have {} bytes, their layout {}; they were cut short, or made "
                    "for another query",
                    words.size(), ByteCount(layout)));
  }
  std::vector<Block> blocks;
  blocks.reserve(layout.size());
  const std::uint8_t* from = words.data();
  for (const BlockLayout& block : layout) {
    // The integer becomes the nearest double; dividing by a power of two is exact.
    const double unit = internal::PowerOfTwo(-block.format.fraction_bits);
    Eigen::MatrixXd values(block.rows, block.cols);
    double* to = values.data();
    const auto width = static_cast<std::size_t>(block.format.bits) / 8;
    for (Eigen::Index i = 0; i < values.size(); ++i, from += width) {
      if (width == 4) to[i] = static_cast<double>(Load<std::int32_t>(from)) * unit;
      if (width == 8) to[i] = static_cast<double>(Load<std::int64_t>(from)) * unit;
      if (width == 16) to[i] = static_cast<double>(Load<Int128>(from)) * unit;
    }
    blocks.push_back({block.name, std::move(values)});
  }
  return blocks;
}

}  // namespace consilium::federation
