#include "federation/sum_tag.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "federation/fixed_point.h"

namespace consilium::federation {
namespace {

__extension__ using Unsigned128 = unsigned __int128;

constexpr Unsigned128 kPrime = (static_cast<Unsigned128>(1) << 127) - 1;

// 2^127 is 1: from any 128 bits but the two highest numbers to at most p, which stands for 0 too.
Unsigned128 Fold(Unsigned128 value) { return (value & kPrime) + (value >> 127); }

// a, b <= p give at most p.
Unsigned128 Multiply(Unsigned128 a, Unsigned128 b) {
  const auto a_low = static_cast<std::uint64_t>(a), a_high = static_cast<std::uint64_t>(a >> 64);
  const auto b_low = static_cast<std::uint64_t>(b), b_high = static_cast<std::uint64_t>(b >> 64);
  const Unsigned128 low = static_cast<Unsigned128>(a_low) * b_low;
  // Both products are below 2^127, since the high halves are below 2^63.
  const Unsigned128 middle =
      static_cast<Unsigned128>(a_low) * b_high + static_cast<Unsigned128>(a_high) * b_low;
  const Unsigned128 bottom = low + (middle << 64);
  const Unsigned128 top = static_cast<Unsigned128>(a_high) * b_high + (middle >> 64) +
                          static_cast<Unsigned128>(bottom < low);
  return Fold((bottom & kPrime) + ((top << 1) | (bottom >> 127)));
}

Unsigned128 Add(Unsigned128 a, Unsigned128 b) { return Fold(a + b); }

Unsigned128 Residue(const SumTag& tag) {
  Unsigned128 value = 0;
  std::memcpy(&value, tag.data(), tag.size());  // little-endian, as x86-64 is
  return Fold(value);
}

SumTag AsTag(Unsigned128 value) {
  if (value == kPrime) value = 0;
  SumTag tag{};
  std::memcpy(tag.data(), &value, tag.size());
  return tag;
}

// The signed word at `at` modulo p. A negative x is 2^128 + x in memory; its low 127 bits are
// p + x + 1.
template <typename Word>
Unsigned128 WordAt(const std::uint8_t* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  const auto value = static_cast<Unsigned128>(static_cast<Int128>(word));
  if constexpr (sizeof(Word) < sizeof(Int128)) return word < 0 ? value + kPrime : value;
  return word < 0 ? Add(value & kPrime, kPrime - 1) : value;
}

// Words are taken in groups: one reduction and one full multiplication each. Within a group a word
// of 64 bits meets its power of the point in limbs of 43, 42 and 42 bits, so that sums of products
// stay below 2^128 without a carry to look after.
constexpr std::size_t kGroup = 32;
constexpr int kLowBits = 43, kMiddleBits = 42;

struct Powers {
  std::array<std::uint64_t, kGroup> low{}, middle{}, high{};
  Unsigned128 correction = 0;  // what 2^63 added to each word of a group must be made up for

  // factor * point^31, ..., factor * point, factor.
  Powers(Unsigned128 point, Unsigned128 factor) {
    Unsigned128 power = factor, sum = 0;
    for (std::size_t k = kGroup; k-- > 0; power = Multiply(power, point)) {
      low[k] = static_cast<std::uint64_t>(power) & ((std::uint64_t{1} << kLowBits) - 1);
      middle[k] =
          static_cast<std::uint64_t>(power >> kLowBits) & ((std::uint64_t{1} << kMiddleBits) - 1);
      high[k] = static_cast<std::uint64_t>(power >> (kLowBits + kMiddleBits));
      sum = Add(sum, power);
    }
    correction = kPrime - Multiply(sum, static_cast<Unsigned128>(1) << 63);
  }
};

struct Sums {
  Unsigned128 low = 0, middle = 0, high = 0;

  void Take(const Powers& powers, std::size_t k, std::uint64_t word) {
    low += static_cast<Unsigned128>(word) * powers.low[k];
    middle += static_cast<Unsigned128>(word) * powers.middle[k];
    high += static_cast<Unsigned128>(word) * powers.high[k];
  }
  [[nodiscard]] Unsigned128 Residue() const {
    const auto shifted = [](Unsigned128 value, int bits) {
      return Fold(((value << bits) & kPrime) + (value >> (127 - bits)));
    };
    return Add(Fold(low), Add(shifted(middle, kLowBits), shifted(high, kLowBits + kMiddleBits)));
  }
};

// Horner's rule over blocks of words.
class Polynomial {
 public:
  explicit Polynomial(Unsigned128 point)
      : point_(point),
        powers_(point, 1),
        wide_powers_(point, static_cast<Unsigned128>(1) << 64),
        group_(point) {
    for (std::size_t k = 1; k < kGroup; k *= 2) group_ = Multiply(group_, group_);
  }

  template <typename Word>
  void Take(std::span<const std::uint8_t> words) {
    const std::uint8_t* at = words.data();
    std::size_t count = words.size() / sizeof(Word);
    for (; count % kGroup != 0; --count, at += sizeof(Word))
      sum_ = Add(Multiply(sum_, point_), WordAt<Word>(at));
    for (; count > 0; count -= kGroup, at += kGroup * sizeof(Word))
      sum_ = Add(Multiply(sum_, group_), GroupAt<Word>(at));
  }

  [[nodiscard]] Unsigned128 sum() const { return sum_; }

 private:
  // Signed numbers become unsigned ones by 2^63 each.
  template <typename Word>
  [[nodiscard]] Unsigned128 GroupAt(const std::uint8_t* at) const {
    constexpr std::uint64_t kOffset = std::uint64_t{1} << 63;
    Sums sums;
    for (std::size_t k = 0; k < kGroup; ++k, at += sizeof(Word)) {
      Word word;
      std::memcpy(&word, at, sizeof word);
      if constexpr (sizeof(Word) == sizeof(Int128)) {
        sums.Take(powers_, k, static_cast<std::uint64_t>(word));
        sums.Take(wide_powers_, k, static_cast<std::uint64_t>(word >> 64) ^ kOffset);
      } else {
        sums.Take(powers_, k, static_cast<std::uint64_t>(std::int64_t{word}) ^ kOffset);
      }
    }
    return Add(sums.Residue(),
               sizeof(Word) == sizeof(Int128) ? wide_powers_.correction : powers_.correction);
  }

  Unsigned128 point_;
  Powers powers_, wide_powers_;
  Unsigned128 group_;  // point^32
  Unsigned128 sum_ = 0;
};

}  // namespace

SumTag AddTags(const SumTag& a, const SumTag& b) { return AsTag(Add(Residue(a), Residue(b))); }

SumTag SubtractTags(const SumTag& a, const SumTag& b) {
  return AsTag(Add(Residue(a), kPrime - Residue(b)));
}

SumTag ResidueOf(std::span<const std::uint8_t> bytes) {
  SumTag tag{};
  CONSILIUM_CHECK(bytes.size() == tag.size(), "a residue is made of 16 bytes");
  std::copy(bytes.begin(), bytes.end(), tag.begin());
  tag.back() &= 0x7f;
  return AsTag(Residue(tag));
}

SumTag SumHash(const SumTag& point, const std::vector<BlockLayout>& layout,
               std::span<const std::uint8_t> words) {
  CONSILIUM_CHECK(words.size() == ByteCount(layout), "words must have the size of their layout");
  const Unsigned128 a = Residue(point);
  Polynomial polynomial(a);
  std::size_t at = 0;
  for (const BlockLayout& block : layout) {
    const auto run = words.subspan(at, ByteCount(block));
    at += run.size();
    if (block.format.bits == 32) polynomial.Take<std::int32_t>(run);
    if (block.format.bits == 64) polynomial.Take<std::int64_t>(run);
    if (block.format.bits == 128) polynomial.Take<Int128>(run);
  }
  return AsTag(Multiply(polynomial.sum(), a));
}

SumKey SumKey::Of(const std::map<std::string, KeyBytes>& shares) {
  ByteWriter writer;
  writer.U64(shares.size());
  for (const auto& [site, share] : shares) {
    writer.Text(site);
    writer.Raw(share);
  }
  const Bytes bytes = HkdfSha256(writer.bytes(), {}, "consilium sum key 1", 32);
  KeyBytes key{};
  std::copy(bytes.begin(), bytes.end(), key.begin());
  return SumKey(key);
}

SumTag SumKey::Derive(std::string_view label, const Binding& binding, std::string_view site) const {
  ByteWriter info;
  info.Text(label);
  Encode(binding, info);
  info.Text(site);
  return ResidueOf(HkdfSha256(key_, {}, info.bytes(), SumTag{}.size()));
}

SumTag SumKey::Tag(const Binding& binding, std::string_view site,
                   const std::vector<BlockLayout>& layout,
                   std::span<const std::uint8_t> words) const {
  return AddTags(SumHash(Derive("consilium sum point 1", binding, {}), layout, words),
                 Derive("consilium sum pad 1", binding, site));
}

Result<void> SumKey::Check(const Binding& binding, const std::map<std::string, SumTag>& tags,
                           const std::vector<BlockLayout>& layout,
                           std::span<const std::uint8_t> total) const {
  const auto fail = [&](ErrorCode code, std::string what) {
    return Fail(code,
                fmt::format("round {}, attempt {}: {}", binding.round, binding.attempt, what));
  };
  CONSILIUM_TRY(Validate(layout));
  if (total.size() != ByteCount(layout)) {
    return fail(ErrorCode::kDataLoss,
                fmt::format("the total has {} bytes, the question's layout {}", total.size(),
                            ByteCount(layout)));
  }
  SumTag sum{};
  for (const auto& [site, tag] : tags)
    sum = AddTags(sum, SubtractTags(tag, Derive("consilium sum pad 1", binding, site)));
  if (sum == SumHash(Derive("consilium sum point 1", binding, {}), layout, total)) return {};
  return fail(ErrorCode::kPermissionDenied,
              fmt::format("the total is not the sum of what the {} sites signed", tags.size()));
}

}  // namespace consilium::federation
