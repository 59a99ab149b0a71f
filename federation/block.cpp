#include "federation/block.h"

#include <fmt/format.h>

namespace consilium::federation {
namespace {

constexpr std::size_t kNameLengthMax = 4096;
constexpr std::uint64_t kValueCountMax = std::uint64_t{1} << 28;
constexpr std::uint32_t kListLengthMax = 1U << 20;

void EncodeBlocks(const std::vector<Block>& blocks, ByteWriter& writer) {
  writer.U32(static_cast<std::uint32_t>(blocks.size()));
  for (const Block& block : blocks) Encode(block, writer);
}

std::vector<Block> DecodeBlocks(ByteReader& reader) {
  std::vector<Block> blocks;
  const std::uint32_t count = reader.U32();
  if (count > kListLengthMax) reader.Invalidate();
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i)
    blocks.push_back(DecodeBlock(reader));
  return blocks;
}

}  // namespace

const Eigen::MatrixXd& Total::operator[](std::string_view name) const {
  const Eigen::MatrixXd* found = Find(sums, name);
  CONSILIUM_CHECK(found != nullptr, fmt::format("a total has no block named {}", name));
  return *found;
}

const Eigen::MatrixXd* Find(const std::vector<Block>& blocks, std::string_view name) {
  for (const Block& block : blocks) {
    if (block.name == name) return &block.values;
  }
  return nullptr;
}

void Encode(const Block& block, ByteWriter& writer) {
  writer.Text(block.name);
  writer.U64(static_cast<std::uint64_t>(block.values.rows()));
  writer.U64(static_cast<std::uint64_t>(block.values.cols()));
  for (Eigen::Index i = 0; i < block.values.size(); ++i) writer.F64(block.values.data()[i]);
}

Block DecodeBlock(ByteReader& reader) {
  Block block;
  block.name = reader.Text(kNameLengthMax);
  const std::uint64_t rows = reader.U64(), cols = reader.U64();
  const bool too_large = rows > kValueCountMax || cols > kValueCountMax ||
                         rows * cols > kValueCountMax || rows * cols > reader.left() / 8;
  if (reader.failed() || too_large) {
    reader.Invalidate();
    return block;
  }
  block.values.resize(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols));
  for (Eigen::Index i = 0; i < block.values.size(); ++i) block.values.data()[i] = reader.F64();
  return block;
}

void Encode(const Query& query, ByteWriter& writer) {
  writer.Text(query.step);
  writer.Text(query.scope.fit);
  writer.U32(static_cast<std::uint32_t>(query.scope.members.size()));
  for (const std::string& member : query.scope.members) writer.Text(member);
  writer.U32(static_cast<std::uint32_t>(query.scope.left_out_fold));
  EncodeBlocks(query.inputs, writer);
}

Query DecodeQuery(ByteReader& reader) {
  Query query;
  query.step = reader.Text(kNameLengthMax);
  query.scope.fit = reader.Text(kNameLengthMax);
  const std::uint32_t members = reader.U32();
  if (members > kListLengthMax) reader.Invalidate();
  for (std::uint32_t i = 0; i < members && !reader.failed(); ++i) {
    query.scope.members.push_back(reader.Text(kNameLengthMax));
  }
  const std::uint32_t fold = reader.U32();
  if (fold > 1U << 20) reader.Invalidate();
  query.scope.left_out_fold = static_cast<int>(fold);
  query.inputs = DecodeBlocks(reader);
  return query;
}

void Encode(const Total& total, ByteWriter& writer) {
  EncodeBlocks(total.sums, writer);
  writer.U32(static_cast<std::uint32_t>(total.releases.size()));
  for (const auto& [site, release] : total.releases) {
    writer.Text(site);
    EncodeBlocks(release.blocks, writer);
  }
}

Total DecodeTotal(ByteReader& reader) {
  Total total;
  total.sums = DecodeBlocks(reader);
  const std::uint32_t count = reader.U32();
  if (count > kListLengthMax) reader.Invalidate();
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
    std::string site = reader.Text(kNameLengthMax);
    // One total, one encoding: names ascend, and none comes twice.
    if (!total.releases.empty() && site <= total.releases.rbegin()->first) reader.Invalidate();
    total.releases[std::move(site)].blocks = DecodeBlocks(reader);
  }
  return total;
}

Digest DigestOf(const Query& query) {
  ByteWriter writer;
  Encode(query, writer);
  return Sha256(writer.bytes());
}

Digest DigestOf(const std::vector<Query>& queries) {
  ByteWriter writer;
  writer.U32(static_cast<std::uint32_t>(queries.size()));
  for (const Query& query : queries) Encode(query, writer);
  return Sha256(writer.bytes());
}

}  // namespace consilium::federation
