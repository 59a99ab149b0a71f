#include "coordinator/half_sent.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/digest.h"

namespace consilium::coordinator {
namespace {

// In memory, and in a file.
class HalfSentOf : public ::testing::TestWithParam<std::size_t> {
 protected:
  HalfSentOf() : words_(GetParam()) {
    for (std::size_t i = 0; i < words_.size(); ++i)
      words_[i] = static_cast<std::uint8_t>(i * 31 + (i >> 8));
    head_.study = Sha256("study");
    head_.binding.round = 3;
    head_.size = words_.size();
    head_.receipt = federation::Sign(head_.binding, "north", words_, {}, {}, key_);
  }
  [[nodiscard]] std::shared_ptr<Spool> First(std::size_t bytes) const {
    auto spool = Spool::Open(std::filesystem::temp_directory_path(), words_.size());
    EXPECT_TRUE(spool.has_value());
    EXPECT_TRUE((*spool)->Append(std::span(words_).first(bytes)).has_value());
    return std::move(*spool);
  }
  [[nodiscard]] wire::AnswerHead From(std::uint64_t from) const {
    wire::AnswerHead head = head_;
    head.from = from;
    return head;
  }

  const federation::SigningKey key_ = federation::SigningKey::FromSeed({1, 2, 3});
  Bytes words_;
  wire::AnswerHead head_;
  HalfSent halves_;
};

TEST_P(HalfSentOf, WhatCameBeforeAndTheRestAreTheWholeAnswer) {
  const std::size_t half = words_.size() / 3;
  halves_.Keep("north", head_, First(half), 0);
  EXPECT_EQ(halves_.Held("north", head_.study, head_.binding), half);
  const auto words = halves_.Take("north", From(half));
  ASSERT_TRUE(words.has_value()) << words.error().message;
  ASSERT_TRUE((*words)->Append(std::span(words_).subspan(half)).has_value());
  EXPECT_EQ((*words)->TakeDigest(), Sha256(words_));
  const auto all = (*words)->Words();
  ASSERT_TRUE(all.has_value());
  EXPECT_TRUE(std::equal(all->begin(), all->end(), words_.begin(), words_.end()));
  // It is gone on with once.
  EXPECT_EQ(halves_.Held("north", head_.study, head_.binding), 0U);
  EXPECT_EQ(halves_.Take("north", From(half)).error().code, ErrorCode::kNotFound);
}

TEST_P(HalfSentOf, NothingElseIsGoneOnWith) {
  const std::size_t half = words_.size() / 3;
  halves_.Keep("north", head_, First(half), 0);
  EXPECT_EQ(halves_.Held("south", head_.study, head_.binding), 0U);
  EXPECT_EQ(halves_.Held("north", Sha256("other"), head_.binding), 0U);
  federation::Binding next = head_.binding;
  ++next.round;
  EXPECT_EQ(halves_.Held("north", head_.study, next), 0U);
  EXPECT_FALSE(halves_.Take("north", From(half + 1)).has_value());
  EXPECT_FALSE(halves_.Take("south", From(half)).has_value());
  wire::AnswerHead other = From(half);
  other.receipt.tag[0] ^= 1;
  EXPECT_FALSE(halves_.Take("north", other).has_value());
  other = From(half);
  other.study = Sha256("other");
  EXPECT_FALSE(halves_.Take("north", other).has_value());
  EXPECT_TRUE(halves_.Take("north", From(half)).has_value());
}

TEST_P(HalfSentOf, TheNewestOfASiteIsKeptAndNotForEver) {
  halves_.Keep("north", head_, First(8), 0);
  halves_.Keep("north", head_, First(16), 1000);
  EXPECT_EQ(halves_.Held("north", head_.study, head_.binding), 16U);
  halves_.Tick(1000 + kHalfSentMs);
  EXPECT_EQ(halves_.Held("north", head_.study, head_.binding), 16U);
  halves_.Tick(1001 + kHalfSentMs);
  EXPECT_EQ(halves_.Held("north", head_.study, head_.binding), 0U);
  halves_.Keep("north", head_, First(8), 0);
  halves_.Forget("north");
  EXPECT_EQ(halves_.Held("north", head_.study, head_.binding), 0U);
}

INSTANTIATE_TEST_SUITE_P(Sizes, HalfSentOf, ::testing::Values(4000, 2 * kSpoolMemoryBytes));

}  // namespace
}  // namespace consilium::coordinator
