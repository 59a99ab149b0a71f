#include "federation/receipt.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace consilium::federation {
namespace {

constexpr std::string_view kReceiptLabel = "consilium receipt 2";

template <typename Array>
void ReadArray(ByteReader& reader, Array& to) {
  const auto bytes = reader.Raw(to.size());
  if (bytes.size() == to.size()) std::copy(bytes.begin(), bytes.end(), to.begin());
}

}  // namespace

Digest DigestOf(const Roster& roster) {
  ByteWriter writer;
  writer.Text("consilium roster 1");
  writer.U64(roster.size());
  for (const auto& [site, keys] : roster) {
    writer.Text(site);
    writer.Raw(keys.signing.fingerprint().bytes);
    writer.Raw(keys.agreement);
  }
  return Sha256(writer.bytes());
}

void Encode(const Binding& binding, ByteWriter& writer) {
  writer.Raw(binding.study.bytes);
  writer.U64(binding.round);
  writer.U32(binding.attempt);
  writer.Raw(binding.query.bytes);
  writer.Raw(binding.roster.bytes);
}

Binding DecodeBinding(ByteReader& reader) {
  Binding binding;
  ReadArray(reader, binding.study.bytes);
  binding.round = reader.U64();
  binding.attempt = reader.U32();
  ReadArray(reader, binding.query.bytes);
  ReadArray(reader, binding.roster.bytes);
  return binding;
}

void Encode(const Releases& releases, ByteWriter& writer) {
  writer.U32(static_cast<std::uint32_t>(releases.size()));
  for (const auto& [query, release] : releases) {
    writer.U32(query);
    writer.U32(static_cast<std::uint32_t>(release.blocks.size()));
    for (const Block& block : release.blocks) Encode(block, writer);
  }
}

Digest DigestOf(const Releases& releases) {
  ByteWriter writer;
  Encode(releases, writer);
  return Sha256(writer.bytes());
}

Receipt Sign(const Binding& binding, std::string site, std::span<const std::uint8_t> words,
             const Releases& releases, const SumTag& tag, const SigningKey& key) {
  Receipt receipt{binding, std::move(site), Sha256(words), words.size(), DigestOf(releases), tag,
                  {}};
  receipt.signature = key.Sign(SignedBytes(receipt));
  return receipt;
}

Bytes SignedBytes(const Receipt& receipt) {
  ByteWriter writer;
  writer.Text(kReceiptLabel);
  Encode(receipt.binding, writer);
  writer.Text(receipt.site);
  writer.Raw(receipt.answer.bytes);
  writer.U64(receipt.answer_bytes);
  writer.Raw(receipt.releases.bytes);
  writer.Raw(receipt.tag);
  return writer.Take();
}

Result<void> Verify(const Receipt& receipt, const Roster& members, const Digest& roster) {
  const auto found = members.find(receipt.site);
  if (found == members.end()) {
    return Fail(
        ErrorCode::kPermissionDenied,
        fmt::format("receipt of site '{}', round {}, attempt {}: the site is none of the study's "
                    "{} sites",
                    receipt.site, receipt.binding.round, receipt.binding.attempt, members.size()));
  }
  if (receipt.binding.roster != roster) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("receipt of site '{}', round {}, attempt {}: it names roster {}, this "
                            "roster is {}; the site answered under other keys or other members",
                            receipt.site, receipt.binding.round, receipt.binding.attempt,
                            Hex(receipt.binding.roster), Hex(roster)));
  }
  if (auto verified = found->second.signing.Verify(SignedBytes(receipt), receipt.signature);
      !verified) {
    return tl::unexpected<Error>(
        Within(fmt::format("receipt of site '{}', round {}, attempt {}", receipt.site,
                           receipt.binding.round, receipt.binding.attempt),
               std::move(verified).error()));
  }
  return {};
}

Result<void> CheckWords(const Receipt& receipt, std::span<const std::uint8_t> words) {
  return CheckWords(receipt, words.size(), Sha256(words));
}

Result<void> CheckWords(const Receipt& receipt, std::uint64_t size, const Digest& found) {
  if (size != receipt.answer_bytes) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("answer of site '{}', round {}: {} bytes arrived, its receipt says {}; "
                            "send it again",
                            receipt.site, receipt.binding.round, size, receipt.answer_bytes));
  }
  if (found != receipt.answer) {
    return Fail(
        ErrorCode::kDataLoss,
        fmt::format("answer of site '{}', round {}: its bytes have digest {}, its receipt says "
                    "{}; they were changed on the way, send it again",
                    receipt.site, receipt.binding.round, Hex(found), Hex(receipt.answer)));
  }
  return {};
}

Result<void> CheckReleases(const Receipt& receipt, const Releases& releases) {
  const Digest found = DigestOf(releases);
  if (found == receipt.releases) return {};
  return Fail(ErrorCode::kDataLoss,
              fmt::format("Releases of site '{}', round {}: they have digest {}, its receipt says "
                          "{}; they are not what the site signed",
                          receipt.site, receipt.binding.round, Hex(found), Hex(receipt.releases)));
}

void Encode(const Receipt& receipt, ByteWriter& writer) {
  writer.Raw(SignedBytes(receipt));
  writer.Raw(receipt.signature);
}

Receipt DecodeReceipt(ByteReader& reader) {
  Receipt receipt;
  if (reader.Text(kReceiptLabel.size()) != kReceiptLabel) reader.Invalidate();
  receipt.binding = DecodeBinding(reader);
  receipt.site = reader.Text(kSiteNameBytesMax);
  ReadArray(reader, receipt.answer.bytes);
  receipt.answer_bytes = reader.U64();
  ReadArray(reader, receipt.releases.bytes);
  ReadArray(reader, receipt.tag);
  ReadArray(reader, receipt.signature);
  return receipt;
}

}  // namespace consilium::federation
