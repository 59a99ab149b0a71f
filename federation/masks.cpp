#include "federation/masks.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "federation/fixed_point.h"
#include "federation/sum_tag.h"

namespace consilium::federation {
namespace {

constexpr std::size_t kPieceBytes = 16 * 1024;  // plaintext and keystream stay in the first cache

// Bytes that only the two sites of a pair can derive.
Bytes OfPair(const KeyBytes& secret, std::string_view label, const MaskBinding& binding,
             std::string_view first, std::string_view second, std::size_t length) {
  ByteWriter info;
  info.Text(label);
  Encode(binding, info);
  info.Text(first);
  info.Text(second);
  return HkdfSha256(secret, {}, info.bytes(), length);
}

// AES-256-CTR over zeros. The counter runs on from piece to piece.
class KeyStream {
 public:
  KeyStream(const KeyBytes& secret, const MaskBinding& binding, std::string_view first,
            std::string_view second)
      : context_(EVP_CIPHER_CTX_new()) {
    const Bytes key_and_counter = OfPair(secret, "consilium mask 1", binding, first, second, 48);
    const int ok = context_ == nullptr
                       ? 0
                       : EVP_EncryptInit_ex(context_.get(), EVP_aes_256_ctr(), nullptr,
                                            key_and_counter.data(), key_and_counter.data() + 32);
    CONSILIUM_CHECK(ok == 1, "OpenSSL has no AES-256-CTR");
  }

  // The next `count` bytes, at most kPieceBytes; valid until the next call.
  std::span<const std::uint8_t> Next(std::size_t count) {
    static constexpr std::array<std::uint8_t, kPieceBytes> kZeros{};
    int written = 0;
    const int ok = EVP_EncryptUpdate(context_.get(), piece_.data(), &written, kZeros.data(),
                                     static_cast<int>(count));
    CONSILIUM_CHECK(ok == 1 && static_cast<std::size_t>(written) == count,
                    "OpenSSL's AES-256-CTR stopped");
    return {piece_.data(), count};
  }

 private:
  struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context_;
  alignas(64) std::array<std::uint8_t, kPieceBytes> piece_;
};

}  // namespace

Result<Masker> Masker::Create(std::string site, const AgreementKey& key,
                              const std::map<std::string, KeyBytes>& sites) {
  Masker masker(std::move(site));
  for (const auto& [peer, public_key] : sites) {
    if (peer == masker.site_) {
      if (public_key == key.public_key()) continue;
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("roster: site '{}' stands with agreement key {}, its own is {}; the "
                              "study was made with another key of this site",
                              peer, Hex(public_key), Hex(key.public_key())));
    }
    auto secret = key.Agree(public_key);
    if (!secret) {
      return tl::unexpected<Error>(
          Within(fmt::format("roster: site '{}'", peer), std::move(secret).error()));
    }
    masker.secrets_.emplace(peer, *secret);
  }
  if (masker.secrets_.empty()) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("roster: site '{}' stands alone; masks need another site", masker.site_));
  }
  return masker;
}

Result<Masker> Masker::Create(std::string site, const AgreementKey& key, const Roster& roster) {
  std::map<std::string, KeyBytes> sites;
  for (const auto& [name, keys] : roster) sites.emplace(name, keys.agreement);
  return Create(std::move(site), key, sites);
}

Result<Masker> Masker::For(std::span<const std::string> sites) const {
  Masker masker(site_);
  for (const std::string& peer : sites) {
    if (peer == site_) continue;
    const auto found = secrets_.find(peer);
    if (found == secrets_.end()) {
      return Fail(ErrorCode::kNotFound,
                  fmt::format("roster: site '{}' has no shared secret with '{}'; it is not in the "
                              "study's roster",
                              peer, site_));
    }
    masker.secrets_.insert(*found);
  }
  if (masker.secrets_.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("roster: site '{}' stands alone; masks need another site", site_));
  }
  return masker;
}

Result<void> Masker::Apply(const MaskBinding& binding, const std::vector<BlockLayout>& layout,
                           std::span<std::uint8_t> words) const {
  CONSILIUM_TRY(Validate(layout));
  if (words.size() != ByteCount(layout)) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("site '{}', round {}: the answer has {} bytes, its layout {}", site_,
                            binding.round, words.size(), ByteCount(layout)));
  }
  for (const auto& [peer, secret] : secrets_) {
    const bool add = site_ < peer;
    KeyStream stream(secret, binding, std::min(site_, peer), std::max(site_, peer));
    std::size_t at = 0;
    for (const BlockLayout& block : layout) {
      const std::size_t end = at + ByteCount(block);
      while (at < end) {
        const std::size_t count = std::min(kPieceBytes, end - at);
        const auto mask = stream.Next(count);
        if (add) {
          AddRun(block.format.bits, mask, words.subspan(at, count));
        } else {
          SubtractRun(block.format.bits, mask, words.subspan(at, count));
        }
        at += count;
      }
    }
  }
  return {};
}

SumTag Masker::TagMask(const MaskBinding& binding) const {
  SumTag mask{};
  for (const auto& [peer, secret] : secrets_) {
    const SumTag shared =
        ResidueOf(OfPair(secret, "consilium tag mask 1", binding, std::min(site_, peer),
                         std::max(site_, peer), SumTag{}.size()));
    mask = site_ < peer ? AddTags(mask, shared) : SubtractTags(mask, shared);
  }
  return mask;
}

}  // namespace consilium::federation
