// One value has one encoding: bytes that decode are the bytes that the value encodes to.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "federation/block.h"
#include "federation/log.h"

namespace consilium::federation {
namespace {

Block Small(std::string name, double value) {
  return {std::move(name), Eigen::MatrixXd::Constant(2, 1, value)};
}

Bytes Encoded(const Total& total) {
  ByteWriter writer;
  Encode(total, writer);
  return writer.Take();
}

bool Decodes(const Bytes& bytes) {
  ByteReader reader(bytes);
  static_cast<void>(DecodeTotal(reader));
  return reader.Finish("total").has_value();
}

// A total without sums whose releases come in this order.
Bytes WithReleases(const std::vector<std::string>& sites) {
  ByteWriter writer;
  writer.U32(0);
  writer.U32(static_cast<std::uint32_t>(sites.size()));
  for (const std::string& site : sites) {
    writer.Text(site);
    writer.U32(0);
  }
  return writer.Take();
}

TEST(Encoding, TotalsComeBackToTheBit) {
  Total total;
  total.sums = {Small("a", std::numeric_limits<double>::signaling_NaN()), Small("b", -0.0)};
  total.releases["B"].blocks = {Small("n", 7)};
  total.releases["A"] = {};
  const Bytes bytes = Encoded(total);
  ByteReader reader(bytes);
  EXPECT_EQ(Encoded(DecodeTotal(reader)), bytes);
  EXPECT_TRUE(reader.Finish("total").has_value());
}

TEST(Encoding, ReleasesOutOfOrderOrTwiceAreRefused) {
  EXPECT_TRUE(Decodes(WithReleases({"A", "B"})));
  EXPECT_FALSE(Decodes(WithReleases({"B", "A"})));
  EXPECT_FALSE(Decodes(WithReleases({"A", "A"})));
}

TEST(Encoding, LogHeadersComeBackToTheByteAndOtherBytesAreRefused) {
  LogHeader header;
  header.engine_version = "1";
  header.study_file = "name: s\n";
  header.masked = true;
  header.members["A"] = header.members["B"] = {};
  header.roster["A"] = {};
  const Bytes record = EncodeRecord(header);
  const auto whole = NextRecord(record);
  ASSERT_TRUE(whole.has_value());
  Bytes body(whole->body.begin(), whole->body.end());
  const auto back = DecodeHeader(body);
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->members.size(), 2U);
  EXPECT_EQ(back->roster, header.roster);
  // From the end: who trains, two keys of 32 bytes and the last name, the same and the first name,
  // the count and the mask.
  const std::size_t site_bytes = 4 + 1 + 64 + 1;
  const std::size_t second = body.size() - site_bytes + 4;
  const std::size_t masked = body.size() - 2 * site_bytes - 4 - 1;
  ASSERT_EQ(body[second], 'B');
  ASSERT_EQ(body[masked], 1);
  Bytes spoiled = body;
  spoiled[masked] = 2;
  EXPECT_FALSE(DecodeHeader(spoiled).has_value());
  spoiled = body;
  spoiled.back() = 2;
  EXPECT_FALSE(DecodeHeader(spoiled).has_value());
  for (const char name : {'A', '@'}) {
    spoiled = body;
    spoiled[second] = static_cast<std::uint8_t>(name);
    EXPECT_FALSE(DecodeHeader(spoiled).has_value()) << name;
  }
}

TEST(Encoding, LogEntriesHoldSumsInOnePlaceOnly) {
  LogEntry entry;
  entry.releases[3]["A"] = {};
  entry.decision = "all sites";
  const Bytes record = EncodeRecord(entry);
  const auto whole = NextRecord(record);
  ASSERT_TRUE(whole.has_value());
  const Bytes body(whole->body.begin(), whole->body.end());
  ASSERT_TRUE(DecodeEntry(body).has_value());
  // The list of sums stands behind the number of the query; one empty block is put into it.
  ByteWriter query;
  query.U32(3);
  query.U32(0);
  const auto at = std::search(body.begin(), body.end(), query.bytes().begin(), query.bytes().end());
  ASSERT_NE(at, body.end());
  ByteWriter with_sum;
  with_sum.Raw({body.data(), static_cast<std::size_t>(at - body.begin())});
  with_sum.U32(3);
  with_sum.U32(1);
  Encode(Block{"a", {}}, with_sum);
  const auto rest = static_cast<std::size_t>(at - body.begin()) + query.bytes().size();
  with_sum.Raw(std::span(body).subspan(rest));
  EXPECT_FALSE(DecodeEntry(with_sum.bytes()).has_value());
}

}  // namespace
}  // namespace consilium::federation
