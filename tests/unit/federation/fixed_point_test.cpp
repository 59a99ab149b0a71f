#include "federation/fixed_point.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <limits>

#include "base/rng.h"

namespace consilium::federation {
namespace {

std::vector<BlockLayout> MixedLayout() {
  return {{"narrow", 3, 1, {32, 8}}, {"usual", 2, 3, {64, 38}}, {"wide", 1, 5, {128, 70}}};
}

Answer RandomAnswer(const std::vector<BlockLayout>& layout, Rng& rng) {
  Answer answer;
  for (const BlockLayout& block : layout) {
    Eigen::MatrixXd values(block.rows, block.cols);
    for (Eigen::Index i = 0; i < values.size(); ++i) values.data()[i] = rng.Normal() * 100;
    answer.blocks.push_back({block.name, std::move(values)});
  }
  return answer;
}

Bytes Encoded(const Answer& answer, const std::vector<BlockLayout>& layout, int sites) {
  auto words = EncodeWords(answer, layout, sites);
  EXPECT_TRUE(words.has_value()) << (words ? "" : words.error().message);
  return words.value_or(Bytes{});
}

Answer One(double value) { return {{{"x", Eigen::MatrixXd::Constant(1, 1, value)}}}; }

TEST(Round, TiesGoToEvenAndSignsMirror) {
  EXPECT_EQ(ExactSum::Round(0.5, 0), 0);
  EXPECT_EQ(ExactSum::Round(1.5, 0), 2);
  EXPECT_EQ(ExactSum::Round(2.5, 0), 2);
  EXPECT_EQ(ExactSum::Round(-2.5, 0), -2);
  EXPECT_EQ(ExactSum::Round(0.75, 1), 2);
  EXPECT_EQ(ExactSum::Round(0x1.0p51 + 0.5, 0), Int128{1} << 51);
  EXPECT_EQ(ExactSum::Round(3, -1), 2);
  EXPECT_EQ(ExactSum::Round(std::numeric_limits<double>::denorm_min(), 256), 0);
}

TEST(Round, IsExactBeyond53Bits) {
  EXPECT_EQ(ExactSum::Round(0x1.0000000000001p52, 60), ((Int128{1} << 52) + 1) << 60);
  EXPECT_EQ(ExactSum::Round(-0x1.fffffffffffffp125, 0), -(((Int128{1} << 53) - 1) << 73));
  EXPECT_TRUE(ExactSum::Round(0x1.0p126, 0) == kBeyondUnits);
  EXPECT_TRUE(ExactSum::Round(std::numeric_limits<double>::quiet_NaN(), 0) == kBeyondUnits);
  EXPECT_TRUE(ExactSum::Round(-std::numeric_limits<double>::infinity(), 9) == kBeyondUnits);
}

// Another road: long-hand integer arithmetic on the double's own bits.
TEST(Round, EqualsLongHandArithmeticOnTheBits) {
  EXPECT_TRUE(rc::check([] {
    const auto mantissa = *rc::gen::inRange<std::int64_t>(-(1LL << 53) + 1, 1LL << 53);
    const auto exponent = *rc::gen::inRange(-110, 20);
    const auto fraction_bits = *rc::gen::inRange(0, 50);
    const double value = std::ldexp(static_cast<double>(mantissa), exponent);
    const int shift = exponent + fraction_bits;
    Int128 expected = 0;
    const Int128 magnitude = mantissa < 0 ? -Int128{mantissa} : Int128{mantissa};
    if (shift >= 0) {
      expected = magnitude << shift;
    } else if (shift > -60) {
      const Int128 one = Int128{1} << -shift;
      const Int128 rest = magnitude % one;
      expected = magnitude / one;
      if (2 * rest > one || (2 * rest == one && expected % 2 == 1)) expected += 1;
    }
    RC_ASSERT((ExactSum::Round(value, fraction_bits) == (mantissa < 0 ? -expected : expected)));
  }));
}

TEST(ExactSum, DoesNotDependOnOrderOrOnTheCutIntoSites) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    Rng rng(seed, "exact sum");
    std::vector<double> values(200);
    for (double& value : values) {
      value = rng.Normal() * std::ldexp(1.0, static_cast<int>(rng.Below(60)) - 30);
    }
    ExactSum all(40);
    for (const double value : values) all.Add(value);
    rng.Shuffle(values);
    const std::size_t cut = rng.Below(values.size() + 1);
    ExactSum left(40), right(40);
    for (std::size_t i = 0; i < values.size(); ++i) (i < cut ? left : right).Add(values[i]);
    RC_ASSERT((left.units() + right.units() == all.units()));
  }));
}

TEST(ExactSum, ANumberThatIsNoneIsNeverForgottenAndNeverSent) {
  ExactSum sum(38);
  sum.Add(1);
  sum.Add(std::numeric_limits<double>::quiet_NaN());
  sum.Add(2);
  const Answer answer{{{"x", std::vector<Int128>{sum.units()}}}};
  for (const int bits : {32, 64, 128}) {
    const auto words = EncodeWords(answer, {{"x", 1, 1, {bits, 38}}}, 1);
    ASSERT_FALSE(words.has_value());
    EXPECT_EQ(words.error().code, ErrorCode::kOutOfRange);
  }
}

TEST(ExactSum, OverflowOfTheSumIsRemembered) {
  ExactSum sum(0);
  for (int i = 0; i < 4; ++i) sum.Add(0x1.fp125);
  EXPECT_TRUE(sum.units() == kBeyondUnits);
}

TEST(Words, TheTotalHasTheSameBitsWhateverTheOrderOfSites) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    Rng rng(seed, "order of sites");
    const auto layout = MixedLayout();
    std::vector<Bytes> answers;
    for (int site = 0; site < 6; ++site) {
      answers.push_back(Encoded(RandomAnswer(layout, rng), layout, 6));
    }
    Bytes forward = ZeroWords(layout), shuffled = ZeroWords(layout);
    for (const Bytes& words : answers) AddWords(layout, words, forward);
    rng.Shuffle(answers);
    for (const Bytes& words : answers) AddWords(layout, words, shuffled);
    RC_ASSERT(forward == shuffled);
    for (const Bytes& words : answers) SubtractWords(layout, words, forward);
    RC_ASSERT(forward == ZeroWords(layout));
  }));
}

TEST(Words, TheTotalIsWithinHalfAUnitASiteOfTheExactSum) {
  EXPECT_TRUE(rc::check([](std::uint64_t seed) {
    Rng rng(seed, "error bound");
    const auto layout = MixedLayout();
    const int sites = 2 + static_cast<int>(rng.Below(40));
    Bytes total = ZeroWords(layout);
    std::vector<Answer> answers;
    for (int site = 0; site < sites; ++site) {
      answers.push_back(RandomAnswer(layout, rng));
      AddWords(layout, Encoded(answers.back(), layout, sites), total);
    }
    const auto decoded = DecodeWords(total, layout);
    RC_ASSERT(decoded.has_value());
    for (std::size_t b = 0; b < layout.size(); ++b) {
      for (Eigen::Index i = 0; i < layout[b].rows * layout[b].cols; ++i) {
        ExactSum exact(80);  // each value has at most 53 + 30 bits here: nothing is rounded away
        for (const Answer& answer : answers) {
          exact.Add(std::get<Eigen::MatrixXd>(answer.blocks[b].values).data()[i]);
        }
        const double found = (*decoded)[b].values.data()[i];
        const Int128 error = ExactSum::Round(found, 80) - exact.units();
        // Half a unit a site, the decoded double's own half ulp, and 2^-81 a site of the yardstick.
        const double bound = sites * std::ldexp(1.0, 79 - layout[b].format.fraction_bits) +
                             std::fabs(found) * 0x1.0p27 + sites;
        RC_ASSERT(std::fabs(static_cast<double>(error)) <= bound);
      }
    }
  }));
}

TEST(Words, IntegersOfExactSumsEqualLongHandSumsInEveryWidth) {
  for (const int bits : {32, 64, 128}) {
    const std::vector<BlockLayout> layout = {{"x", 2, 1, {bits, 4}}};
    Bytes total = ZeroWords(layout);
    for (int site = 1; site <= 5; ++site) {
      const Answer answer{{{"x", std::vector<Int128>{16 * site, -3 * site}}}};
      AddWords(layout, Encoded(answer, layout, 5), total);
    }
    const auto blocks = DecodeWords(total, layout);
    ASSERT_TRUE(blocks.has_value());
    EXPECT_EQ((*blocks)[0].values(0, 0), 15.0);
    EXPECT_EQ((*blocks)[0].values(1, 0), -45.0 / 16);
  }
}

TEST(Words, WideWordsDecodeToTheNearestDouble) {
  const std::vector<BlockLayout> layout = {{"x", 4, 1, {128, 0}}};
  const Int128 big = Int128{1} << 100;
  const Int128 half_ulp = Int128{1} << 47;
  const Answer answer{{{"x", std::vector<Int128>{big + half_ulp, big + half_ulp + 1,
                                                 big + 3 * half_ulp, -(big + half_ulp + 1)}}}};
  const auto blocks = DecodeWords(Encoded(answer, layout, 1), layout);
  ASSERT_TRUE(blocks.has_value());
  EXPECT_EQ((*blocks)[0].values(0, 0), 0x1.0p100);  // a tie goes to even
  EXPECT_EQ((*blocks)[0].values(1, 0), 0x1.0000000000001p100);
  EXPECT_EQ((*blocks)[0].values(2, 0), 0x1.0000000000002p100);
  EXPECT_EQ((*blocks)[0].values(3, 0), -0x1.0000000000001p100);
}

TEST(Words, TheBoundIsSharpInEveryWidthAndForEverySiteCount) {
  for (const int bits : {32, 64, 128}) {
    for (const int sites : {1, 3, 7, 50}) {
      const std::vector<BlockLayout> layout = {{"x", 2, 1, {bits, 0}}};
      const Int128 most = ((Int128{1} << (bits - 2)) - 1) / sites;
      const auto encode = [&](Int128 a, Int128 b) {
        return EncodeWords({{{"x", std::vector<Int128>{a, b}}}}, layout, sites);
      };
      EXPECT_TRUE(encode(most, -most).has_value()) << bits << " bits, " << sites << " sites";
      for (const auto& refused : {encode(most + 1, 0), encode(0, -most - 1)}) {
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code, ErrorCode::kOutOfRange);
      }
    }
  }
}

TEST(Words, DoublesAtTheBoundAreRefusedByBlockAndEntryNeverByValue) {
  for (const int bits : {32, 64, 128}) {
    const std::vector<BlockLayout> layout = {{"x", 1, 1, {bits, 3}}};
    const double bound = std::ldexp(1.0, bits - 2 - 3) / 2;  // two sites
    EXPECT_TRUE(EncodeWords(One(std::nextafter(bound, 0) - 1), layout, 2).has_value());
    const double inf = std::numeric_limits<double>::infinity();
    for (const double value : {bound, -bound, 1e300, inf, -inf, std::nan("")}) {
      const auto refused = EncodeWords(One(value), layout, 2);
      ASSERT_FALSE(refused.has_value()) << bits << " bits";
      EXPECT_EQ(refused.error().code, ErrorCode::kOutOfRange);
      EXPECT_NE(refused.error().message.find("block 'x', row 1, column 1"), std::string::npos);
    }
  }
}

TEST(Words, AFullRosterAtTheBoundDoesNotOverflow) {
  const int sites = 7;
  const std::vector<BlockLayout> layout = {{"x", 1, 1, {32, 0}}};
  const Int128 most = ((Int128{1} << 30) - 1) / sites;
  Bytes total = ZeroWords(layout);
  for (int i = 0; i < sites; ++i) {
    AddWords(layout, Encoded({{{"x", std::vector<Int128>{-most}}}}, layout, sites), total);
  }
  EXPECT_EQ((*DecodeWords(total, layout))[0].values(0, 0), -static_cast<double>(most) * sites);
}

TEST(Words, BlocksThatDifferFromTheLayoutAreNamed) {
  const std::vector<BlockLayout> layout = {{"x", 1, 1, {64, 3}}};
  EXPECT_EQ(EncodeWords({}, layout, 2).error().code, ErrorCode::kInvalidArgument);
  const auto other = EncodeWords({{{"y", Eigen::MatrixXd(1, 1)}}}, layout, 2);
  EXPECT_NE(other.error().message.find("'y'"), std::string::npos);
  EXPECT_FALSE(EncodeWords({{{"x", Eigen::MatrixXd::Zero(2, 1)}}}, layout, 2).has_value());
  EXPECT_FALSE(EncodeWords({{{"x", std::vector<Int128>(2)}}}, layout, 2).has_value());
  EXPECT_FALSE(EncodeWords(One(1), layout, 0).has_value());
  EXPECT_FALSE(EncodeWords(One(1), {{"x", 1, 1, {48, 3}}}, 2).has_value());
  EXPECT_FALSE(EncodeWords(One(1), {{"x", 1, 1, {64, 300}}}, 2).has_value());
  EXPECT_EQ(DecodeWords(Bytes(7), layout).error().code, ErrorCode::kDataLoss);
}

}  // namespace
}  // namespace consilium::federation
