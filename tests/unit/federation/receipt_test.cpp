#include "federation/receipt.h"

#include <gtest/gtest.h>

#include "tests/unit/federation/federation_keys.h"

namespace consilium::federation {
namespace {

const Bytes kWords = {1, 2, 3, 4, 5, 6, 7, 8};

const SumTag kTag = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

Releases SomeReleases() {
  Releases releases;
  releases[2].blocks.push_back({"auc", Eigen::MatrixXd::Constant(1, 2, 0.75)});
  return releases;
}

Receipt ReceiptOf(const std::string& site, const Roster& roster) {
  return Sign(TestBinding(roster), site, kWords, SomeReleases(), kTag, TestSigningKey(site));
}

Result<void> Verify(const Receipt& receipt, const Roster& roster) {
  return federation::Verify(receipt, roster, DigestOf(roster));
}

TEST(Receipt, ComesBackFromItsBytesAndVerifies) {
  const Roster roster = TestRoster({"Alpha", "Beta", "Gamma"});
  const Receipt receipt = ReceiptOf("Beta", roster);
  ByteWriter writer;
  Encode(receipt, writer);
  ByteReader reader(writer.bytes());
  const Receipt back = DecodeReceipt(reader);
  EXPECT_TRUE(reader.Finish("receipt").has_value());
  EXPECT_TRUE(back == receipt);
  EXPECT_TRUE(Verify(back, roster).has_value());
  EXPECT_TRUE(CheckWords(back, kWords).has_value());
  EXPECT_TRUE(CheckReleases(back, SomeReleases()).has_value());
}

TEST(Receipt, OfOtherReleasesIsRefusedByName) {
  const Receipt receipt = ReceiptOf("Beta", TestRoster({"Alpha", "Beta"}));
  Releases changed = SomeReleases();
  changed[2].blocks[0].values(0, 1) += 1e-12;
  const auto refused = CheckReleases(receipt, changed);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kDataLoss);
  EXPECT_NE(refused.error().message.find("site 'Beta'"), std::string::npos);
  EXPECT_FALSE(CheckReleases(receipt, {}).has_value());
  Releases moved;
  moved[3] = SomeReleases()[2];
  EXPECT_FALSE(CheckReleases(receipt, moved).has_value());
}

TEST(Receipt, OfASiteOutsideTheRosterIsVerifiedAgainstTheStudysKeys) {
  const Roster members = TestRoster({"Alpha", "Beta", "Gamma"});
  const Roster roster = TestRoster({"Alpha", "Beta"});
  const Receipt receipt =
      Sign(TestBinding(roster), "Gamma", {}, SomeReleases(), {}, TestSigningKey("Gamma"));
  EXPECT_TRUE(federation::Verify(receipt, members, DigestOf(roster)).has_value());
  EXPECT_FALSE(federation::Verify(receipt, roster, DigestOf(roster)).has_value());
}

TEST(Receipt, EveryFlippedBitIsNoticed) {
  const Roster roster = TestRoster({"Alpha", "Beta"});
  ByteWriter writer;
  Encode(ReceiptOf("Beta", roster), writer);
  for (std::size_t i = 0; i < writer.bytes().size(); ++i) {
    Bytes bytes = writer.bytes();
    bytes[i] ^= static_cast<std::uint8_t>(1U << (i % 8));
    ByteReader reader(bytes);
    const Receipt receipt = DecodeReceipt(reader);
    EXPECT_FALSE(reader.Finish("receipt").has_value() && Verify(receipt, roster).has_value()) << i;
  }
}

TEST(Receipt, ATruncatedOneIsAnError) {
  ByteWriter writer;
  Encode(ReceiptOf("Alpha", TestRoster({"Alpha", "Beta"})), writer);
  for (std::size_t length = 0; length < writer.bytes().size(); ++length) {
    ByteReader reader(std::span(writer.bytes()).first(length));
    (void)DecodeReceipt(reader);
    EXPECT_FALSE(reader.Finish("receipt").has_value()) << length;
  }
}

TEST(Receipt, OfAnotherRosterAnotherSiteOrOtherWordsIsRefusedByName) {
  const Roster roster = TestRoster({"Alpha", "Beta", "Gamma"});
  const Roster smaller = TestRoster({"Alpha", "Beta"});
  const auto other_roster = Verify(ReceiptOf("Beta", roster), smaller);
  ASSERT_FALSE(other_roster.has_value());
  EXPECT_EQ(other_roster.error().code, ErrorCode::kPermissionDenied);
  EXPECT_NE(other_roster.error().message.find("'Beta'"), std::string::npos);

  EXPECT_FALSE(Verify(ReceiptOf("Gamma", smaller), smaller).has_value());
  Receipt stolen = ReceiptOf("Beta", roster);
  stolen.site = "Alpha";
  EXPECT_EQ(Verify(stolen, roster).error().code, ErrorCode::kPermissionDenied);

  const Receipt receipt = ReceiptOf("Beta", roster);
  EXPECT_EQ(CheckWords(receipt, Bytes{1, 2}).error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(CheckWords(receipt, Bytes{1, 2, 3, 4, 5, 6, 7, 9}).error().code, ErrorCode::kDataLoss);
}

TEST(Roster, ItsHashSpeaksOfNamesAndBothKeysOnly) {
  Roster roster = TestRoster({"Alpha", "Beta"});
  const Digest hash = DigestOf(roster);
  EXPECT_EQ(hash, DigestOf(TestRoster({"Beta", "Alpha"})));
  EXPECT_NE(hash, DigestOf(TestRoster({"Alpha"})));
  EXPECT_NE(hash, DigestOf(TestRoster({"Alpha", "Gamma"})));
  Roster agreement = roster, signing = roster;
  agreement["Beta"].agreement[3] ^= 1;
  signing["Beta"].signing = TestSigningKey("Gamma").verifying_key();
  EXPECT_NE(hash, DigestOf(agreement));
  EXPECT_NE(hash, DigestOf(signing));
}

}  // namespace
}  // namespace consilium::federation
