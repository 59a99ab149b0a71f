// Any bytes as what comes from another party: queries, totals, blocks, bindings, receipts, words.
// Decoded or refused, never a crash; what is decoded encodes back to the very same bytes. The first
// byte says what the rest is.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "federation/block.h"
#include "federation/fixed_point.h"
#include "federation/receipt.h"

namespace {

using namespace consilium;              // NOLINT
using namespace consilium::federation;  // NOLINT

void Require(bool condition) {
  if (!condition) std::abort();
}

template <typename Value>
void TryMessage(std::span<const std::uint8_t> bytes, Value (*decode)(ByteReader&)) {
  ByteReader reader(bytes);
  const Value value = decode(reader);
  if (reader.failed()) return;
  ByteWriter writer;
  Encode(value, writer);
  const auto read = bytes.first(bytes.size() - reader.left());
  Require(writer.bytes() == Bytes(read.begin(), read.end()));
}

// Up to three small blocks; some with word formats that are none of ours.
std::vector<BlockLayout> ReadLayout(ByteReader& reader) {
  static constexpr int kBits[] = {32, 64, 128, 16};
  std::vector<BlockLayout> layout(1 + reader.U8() % 3);
  for (BlockLayout& block : layout) {
    const std::uint8_t shape = reader.U8();
    block.rows = shape & 7;
    block.cols = shape >> 3 & 7;
    block.format.bits = kBits[shape >> 6];
    block.format.fraction_bits = static_cast<int>(reader.U32() % 600) - 300;
  }
  return layout;
}

Int128 WordAt(const std::uint8_t* from, int bits) {
  std::int32_t narrow = 0;
  std::int64_t word = 0;
  Int128 wide = 0;
  if (bits == 32) {
    std::memcpy(&narrow, from, sizeof narrow);
    return narrow;
  }
  if (bits == 64) {
    std::memcpy(&word, from, sizeof word);
    return word;
  }
  std::memcpy(&wide, from, sizeof wide);
  return wide;
}

Int128 Size(Int128 units) { return units < 0 ? -units : units; }

// Words as a total has them: integers always come back, doubles wherever a double holds the
// integer.
void TryWords(ByteReader& reader) {
  const std::vector<BlockLayout> layout = ReadLayout(reader);
  if (!Validate(layout)) return;
  Bytes words(ByteCount(layout));
  const auto given = reader.Raw(std::min(reader.left(), words.size()));
  std::copy(given.begin(), given.end(), words.begin());
  const auto blocks = DecodeWords(words, layout);
  Require(blocks.has_value() && blocks->size() == layout.size());
  Answer integers, doubles;
  bool in_range = true, held = true;
  const std::uint8_t* from = words.data();
  for (std::size_t b = 0; b < layout.size(); ++b) {
    const int bits = layout[b].format.bits;
    const Int128 bound = (static_cast<Int128>(1) << (bits - 2)) - 1;
    std::vector<Int128> units;
    for (Eigen::Index i = 0; i < layout[b].rows * layout[b].cols; ++i, from += bits / 8) {
      units.push_back(WordAt(from, bits));
      // The one word without a positive twin is beyond every bound.
      const bool lowest = bits == 128 && units.back() == kBeyondUnits;
      in_range = in_range && !lowest && Size(units.back()) <= bound;
      held = held && !lowest && Size(units.back()) <= (Int128{1} << 53);
    }
    integers.blocks.push_back({layout[b].name, std::move(units)});
    doubles.blocks.push_back({layout[b].name, (*blocks)[b].values});
  }
  const auto again = EncodeWords(integers, layout, 1);
  Require(again.has_value() == in_range);
  if (again) Require(*again == words);
  if (in_range && held) {
    const auto rounded = EncodeWords(doubles, layout, 1);
    Require(rounded.has_value() && *rounded == words);
  }
  Bytes sum(words.rbegin(), words.rend());
  const Bytes before = sum;
  AddWords(layout, words, sum);
  SubtractWords(layout, words, sum);
  Require(sum == before);
  if (!words.empty()) {
    Require(!DecodeWords(std::span(words).first(words.size() - 1), layout).has_value());
  }
}

// Doubles as a step answers them: refused, or within half a unit of the grid afterwards.
void TryAnswer(ByteReader& reader) {
  const std::vector<BlockLayout> layout = ReadLayout(reader);
  const int site_count = 1 + reader.U8() % 8;
  if (!Validate(layout)) return;
  Answer answer;
  for (const BlockLayout& block : layout) {
    Eigen::MatrixXd values(block.rows, block.cols);
    for (Eigen::Index i = 0; i < values.size(); ++i) values.data()[i] = reader.F64();
    answer.blocks.push_back({block.name, std::move(values)});
  }
  const auto words = EncodeWords(answer, layout, site_count);
  if (!words) return;
  const auto blocks = DecodeWords(*words, layout);
  Require(blocks.has_value());
  for (std::size_t b = 0; b < layout.size(); ++b) {
    const auto& asked = std::get<Eigen::MatrixXd>(answer.blocks[b].values);
    const double half = std::ldexp(0.5, -layout[b].format.fraction_bits);
    for (Eigen::Index i = 0; i < asked.size(); ++i) {
      const double told = (*blocks)[b].values.data()[i];
      Require(std::isfinite(told) && std::fabs(told - asked.data()[i]) <= half);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::span<const std::uint8_t> bytes(data + 1, size - 1);
  ByteReader reader(bytes);
  switch (data[0] % 7) {
    case 0:
      TryMessage(bytes, DecodeQuery);
      break;
    case 1:
      TryMessage(bytes, DecodeTotal);
      break;
    case 2:
      TryMessage(bytes, DecodeBlock);
      break;
    case 3:
      TryMessage(bytes, DecodeBinding);
      break;
    case 4:
      TryMessage(bytes, DecodeReceipt);
      break;
    case 5:
      TryWords(reader);
      break;
    default:
      TryAnswer(reader);
  }
  return 0;
}
