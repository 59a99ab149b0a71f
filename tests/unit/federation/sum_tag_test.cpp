// Tags of the roster say what the total is, and no other total passes.
#include "federation/sum_tag.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "base/rng.h"
#include "federation/fixed_point.h"
#include "federation/masks.h"
#include "tests/unit/federation/federation_keys.h"

namespace consilium::federation {
namespace {

__extension__ using Unsigned128 = unsigned __int128;

// Arithmetic modulo p by another road: doublings and additions, one bit at a time.
constexpr Unsigned128 kP = (static_cast<Unsigned128>(1) << 127) - 1;
Unsigned128 SlowAdd(Unsigned128 a, Unsigned128 b) { return a >= kP - b ? a - (kP - b) : a + b; }
Unsigned128 SlowMultiply(Unsigned128 a, Unsigned128 b) {
  Unsigned128 product = 0;
  for (int bit = 126; bit >= 0; --bit) {
    product = SlowAdd(product, product);
    if ((b >> bit & 1) == 1) product = SlowAdd(product, a);
  }
  return product;
}
Unsigned128 SlowResidue(Int128 word) {
  const bool negative = word < 0;
  const Unsigned128 size =
      (negative ? -static_cast<Unsigned128>(word) : static_cast<Unsigned128>(word)) % kP;
  return negative && size > 0 ? kP - size : size;
}
Unsigned128 Value(const SumTag& tag) {
  Unsigned128 value = 0;
  for (std::size_t i = tag.size(); i-- > 0;) value = value << 8 | tag[i];
  return value;
}
SumTag TagOf(Unsigned128 value) {
  SumTag tag{};
  for (std::uint8_t& byte : tag) {
    byte = static_cast<std::uint8_t>(value);
    value >>= 8;
  }
  return tag;
}

// Blocks of every width, some longer than a group of the hash, none a multiple of it.
std::vector<BlockLayout> MixedLayout() {
  return {{"a", 3, 1, {32, 8}},
          {"b", 5, 14, {64, 38}},
          {"c", 1, 0, {64, 1}},
          {"d", 37, 1, {128, 70}},
          {"e", 13, 5, {32, 8}}};
}

// Words of at most 2^(bits-2) / 8: eight of them add up without a wrap.
Bytes SomeWords(const std::vector<BlockLayout>& layout, Rng& rng) {
  Answer answer;
  for (const BlockLayout& block : layout) {
    std::vector<Int128> units;
    for (Eigen::Index i = 0; i < block.rows * block.cols; ++i) {
      const auto high = static_cast<Int128>(static_cast<std::int64_t>(rng.Next()));
      const Int128 wide = high << 64 | static_cast<Int128>(rng.Next());
      units.push_back(wide >> (128 - (block.format.bits - 5)));
    }
    answer.blocks.push_back({block.name, std::move(units)});
  }
  const auto words = EncodeWords(answer, layout, 8);
  EXPECT_TRUE(words.has_value()) << (words ? "" : words.error().message);
  return words ? *words : Bytes();
}

std::map<std::string, KeyBytes> TestShares(const Roster& roster) {
  std::map<std::string, KeyBytes> shares;
  for (const auto& [site, keys] : roster) shares[site] = Sha256("share of " + site).bytes;
  return shares;
}

struct Signed {
  std::map<std::string, SumTag> tags;
  Bytes total;
};
// Every site's tag, masked as it stands in its receipt, and the true total.
Signed TagAll(const Roster& roster, const Binding& binding, const std::vector<BlockLayout>& layout,
              Rng& rng) {
  const SumKey key = SumKey::Of(TestShares(roster));
  Signed all{{}, ZeroWords(layout)};
  for (const auto& [site, keys] : roster) {
    const auto masker = Masker::Create(site, TestAgreementKey(site), roster);
    const Bytes words = SomeWords(layout, rng);
    all.tags[site] =
        AddTags(key.Tag(binding, site, layout, words), masker.value().TagMask(binding));
    AddWords(layout, words, all.total);
  }
  return all;
}

TEST(SumHash, OfSmallWordsIsTheirPolynomial) {
  const std::vector<BlockLayout> layout = {{"x", 3, 1, {64, 0}}};
  const auto words = EncodeWords({{{"x", Eigen::Vector3d(5, -7, 11)}}}, layout, 1);
  // At 10: 5000 - 700 + 110.
  EXPECT_EQ(Value(SumHash(TagOf(10), layout, *words)), 4410U);
  // At 1 the sum of the words; a negative one is below p.
  const auto minus = EncodeWords({{{"x", Eigen::Vector3d(0, -7, 3)}}}, layout, 1);
  EXPECT_EQ(Value(SumHash(TagOf(1), layout, *minus)), kP - 4);
  EXPECT_EQ(Value(SumHash(TagOf(10), {}, {})), 0U);
}

TEST(SumHash, EqualsTheSlowPolynomialForWordsOfEveryWidth) {
  const auto layout = MixedLayout();
  EXPECT_TRUE(rc::check([&](std::uint64_t seed) {
    Rng rng(seed, "sum hash");
    Bytes words(ByteCount(layout));
    for (auto& byte : words) byte = static_cast<std::uint8_t>(rng.Next());
    // The ends of each range, too.
    const std::uint8_t end = rng.Chance(0.5) ? 0x80 : 0x7f;
    for (std::size_t at = 3 * 4 + 7; at < 3 * 4 + 70 * 8; at += 8) words[at] = end;
    const SumTag point = TagOf((static_cast<Unsigned128>(rng.Next()) << 63 | rng.Next()) % kP);
    Unsigned128 slow = 0;
    const std::uint8_t* at = words.data();
    for (const BlockLayout& block : layout) {
      for (Eigen::Index i = 0; i < block.rows * block.cols; ++i) {
        Int128 word = 0;
        const int bytes = block.format.bits / 8;
        for (int b = bytes; b-- > 0;)
          word = static_cast<Int128>(static_cast<Unsigned128>(word) << 8 | at[b]);
        const int unused = 128 - block.format.bits;  // extends the sign
        word = static_cast<Int128>(static_cast<Unsigned128>(word) << unused) >> unused;
        slow = SlowAdd(SlowMultiply(slow, Value(point)), SlowResidue(word));
        at += bytes;
      }
    }
    slow = SlowMultiply(slow, Value(point));
    RC_ASSERT(Value(SumHash(point, layout, words)) == slow);
  }));
}

TEST(SumHash, OfTheLowestWideWordIsThatOfMinusOne) {
  const std::vector<BlockLayout> layout = {{"x", 1, 1, {128, 0}}};
  Bytes lowest(16, 0);
  lowest.back() = 0x80;  // -2^127, and 2^127 is 1
  EXPECT_EQ(Value(SumHash(TagOf(1), layout, lowest)), kP - 1);
  EXPECT_EQ(Value(SumHash(TagOf(1), layout, Bytes(16, 0xff))), kP - 1);
}

TEST(SumTags, AddAndSubtractModuloThePrime) {
  EXPECT_EQ(AddTags(TagOf(kP - 1), TagOf(1)), SumTag{});
  EXPECT_EQ(AddTags(TagOf(kP), TagOf(kP)), SumTag{});
  EXPECT_EQ(SubtractTags(TagOf(3), TagOf(5)), TagOf(kP - 2));
  EXPECT_EQ(SubtractTags(SumTag{}, SumTag{}), SumTag{});
  EXPECT_EQ(ResidueOf(Bytes(16, 0xff)), SumTag{});
  EXPECT_TRUE(rc::check([](std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d) {
    const Unsigned128 x = (static_cast<Unsigned128>(a) << 64 | b) % kP;
    const Unsigned128 y = (static_cast<Unsigned128>(c) << 64 | d) % kP;
    RC_ASSERT(Value(AddTags(TagOf(x), TagOf(y))) == SlowAdd(x, y));
    RC_ASSERT(AddTags(SubtractTags(TagOf(x), TagOf(y)), TagOf(y)) == TagOf(x));
  }));
}

TEST(SumTags, OfThreeToEightSitesSayThatTheTrueTotalIsTheSum) {
  const auto layout = MixedLayout();
  const std::vector<std::string> names = {"Ahus",  "Bern",  "Cork", "Delft",
                                          "Espoo", "Fulda", "Gent", "Hull"};
  for (std::size_t count = 3; count <= names.size(); ++count) {
    const Roster roster = TestRoster({names.begin(), names.begin() + static_cast<long>(count)});
    const Binding binding = TestBinding(roster);
    const SumKey key = SumKey::Of(TestShares(roster));
    EXPECT_TRUE(rc::check([&](std::uint64_t seed) {
      Rng rng(seed, "sum tags");
      const Signed all = TagAll(roster, binding, layout, rng);
      const auto checked = key.Check(binding, all.tags, layout, all.total);
      RC_ASSERT(checked.has_value());
    }));
  }
}

TEST(SumTags, RefuseAnyOtherTotalSiteBindingKeyOrTag) {
  const auto layout = MixedLayout();
  const Roster roster = TestRoster({"Ahus", "Bern", "Cork", "Delft"});
  const Binding binding = TestBinding(roster);
  const SumKey key = SumKey::Of(TestShares(roster));
  Rng rng(5, "refused totals");
  const Signed all = TagAll(roster, binding, layout, rng);
  ASSERT_TRUE(key.Check(binding, all.tags, layout, all.total).has_value());
  const auto refused = [&](const SumKey& by, const Binding& round,
                           const std::map<std::string, SumTag>& tags, const Bytes& total) {
    const auto checked = by.Check(round, tags, layout, total);
    return !checked && checked.error().code == ErrorCode::kPermissionDenied &&
           checked.error().message.find("round 4, attempt") != std::string::npos;
  };
  // Every bit of every word: as if a coordinator added or took any power of two anywhere.
  for (std::size_t at = 0; at < all.total.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes total = all.total;
      total[at] ^= static_cast<std::uint8_t>(1 << bit);
      EXPECT_TRUE(refused(key, binding, all.tags, total)) << at << ", bit " << bit;
    }
  }
  // Two words of one total in each other's place.
  Bytes swapped = all.total;
  std::swap_ranges(swapped.begin() + 12, swapped.begin() + 20, swapped.begin() + 20);
  ASSERT_NE(swapped, all.total);
  EXPECT_TRUE(refused(key, binding, all.tags, swapped));
  for (const auto& [site, tag] : all.tags) {
    auto tags = all.tags;
    tags[site][3] ^= 1;
    EXPECT_TRUE(refused(key, binding, tags, all.total)) << site;
    tags.erase(site);
    EXPECT_TRUE(refused(key, binding, tags, all.total)) << site;
  }
  Binding attempt = binding, query = binding, study = binding, other_roster = binding;
  ++attempt.attempt;
  query.query = Sha256("another query");
  study.study = Sha256("another study");
  other_roster.roster = Sha256("another roster");
  for (const Binding& other : {attempt, query, study, other_roster})
    EXPECT_TRUE(refused(key, other, all.tags, all.total));
  auto shares = TestShares(roster);
  shares["Bern"][0] ^= 1;
  EXPECT_TRUE(refused(SumKey::Of(shares), binding, all.tags, all.total));
  EXPECT_EQ(key.Check(binding, all.tags, layout, Bytes(all.total.size() - 4)).error().code,
            ErrorCode::kDataLoss);
}

// Whoever has the sum key reads h(words) off an unmasked tag: for one word, the word itself.
TEST(SumTags, TellAnotherSiteNothingOfOneAnswer) {
  const std::vector<BlockLayout> layout = {{"rows", 1, 1, {64, 0}}};
  const Roster roster = TestRoster({"Ahus", "Bern", "Cork"});
  const Binding binding = TestBinding(roster);
  const SumKey key = SumKey::Of(TestShares(roster));
  const auto words = EncodeWords({{{"rows", Eigen::MatrixXd::Constant(1, 1, 37)}}}, layout, 3);
  const SumTag bare = key.Tag(binding, "Bern", layout, *words);
  const auto masker = Masker::Create("Bern", TestAgreementKey("Bern"), roster);
  const SumTag masked = AddTags(bare, masker.value().TagMask(binding));
  const auto fits = [&](const SumTag& tag, double guess) {
    const auto guessed =
        EncodeWords({{{"rows", Eigen::MatrixXd::Constant(1, 1, guess)}}}, layout, 3);
    return key.Tag(binding, "Bern", layout, *guessed) == tag;
  };
  int bare_hits = 0, masked_hits = 0;
  for (int guess = 0; guess < 100; ++guess) {
    bare_hits += fits(bare, guess) ? 1 : 0;
    masked_hits += fits(masked, guess) ? 1 : 0;
  }
  EXPECT_EQ(bare_hits, 1);
  EXPECT_EQ(masked_hits, 0);
}

TEST(SumTags, AreOtherOnesForEachBindingAndSiteEvenOfNothing) {
  const Roster roster = TestRoster({"Ahus", "Bern", "Cork"});
  const SumKey key = SumKey::Of(TestShares(roster));
  Binding next = TestBinding(roster);
  const SumTag first = key.Tag(next, "Ahus", {}, {});
  EXPECT_NE(first, key.Tag(next, "Bern", {}, {}));
  ++next.round;
  EXPECT_NE(first, key.Tag(next, "Ahus", {}, {}));
  EXPECT_EQ(first, key.Tag(TestBinding(roster), "Ahus", {}, {}));
}

}  // namespace
}  // namespace consilium::federation
