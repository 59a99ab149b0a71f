#include "federation/sum_shares.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>

namespace consilium::federation {
namespace {

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

constexpr int kShareBytes = 32;
constexpr int kCheckBytes = 16;
constexpr std::array<std::uint8_t, 12> kZeroNonce{};

KeyBytes Derive(const KeyBytes& secret, const ByteWriter& info) {
  const Bytes derived = HkdfSha256(secret, {}, info.bytes(), kShareBytes);
  KeyBytes key{};
  std::copy(derived.begin(), derived.end(), key.begin());
  return key;
}

Result<KeyBytes> SealKey(const AgreementKey& own, const std::string& other, const Roster& members,
                         const Digest& context, std::string_view from, std::string_view to) {
  const auto member = members.find(other);
  if (member == members.end()) {
    return Fail(ErrorCode::kNotFound,
                fmt::format("share of the sum key: '{}' is no site of the study", other));
  }
  auto secret = own.Agree(member->second.agreement);
  if (!secret)
    return tl::unexpected<Error>(Within(fmt::format("site '{}'", other), secret.error()));
  ByteWriter info;
  info.Text("consilium sum seal 1");
  info.Raw(context.bytes);
  info.Text(from);
  info.Text(to);
  return Derive(*secret, info);
}

}  // namespace

Digest SumContext(std::string_view study_file, const Roster& members) {
  ByteWriter writer;
  writer.Text("consilium sum context 1");
  writer.Raw(Sha256(study_file).bytes);
  writer.Raw(DigestOf(members).bytes);
  return Sha256(writer.bytes());
}

KeyBytes SumShareOf(const AgreementKey& own, const Digest& context) {
  ByteWriter info;
  info.Text("consilium sum share 1");
  info.Raw(context.bytes);
  return Derive(own.Secret(), info);
}

Result<std::map<std::string, SumSeal>> SealShare(const std::string& site, const AgreementKey& own,
                                                 const Roster& members, const Digest& context) {
  const KeyBytes share = SumShareOf(own, context);
  std::map<std::string, SumSeal> seals;
  for (const auto& [other, keys] : members) {
    if (other == site) continue;
    const auto key = SealKey(own, other, members, context, site, other);
    CONSILIUM_TRY(key);
    const CipherContext cipher(EVP_CIPHER_CTX_new());
    SumSeal& seal = seals[other];
    int written = 0, rest = 0;
    const bool ok =
        cipher != nullptr &&
        EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key->data(),
                           kZeroNonce.data()) == 1 &&
        EVP_EncryptUpdate(cipher.get(), seal.data(), &written, share.data(), kShareBytes) == 1 &&
        EVP_EncryptFinal_ex(cipher.get(), seal.data() + written, &rest) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kCheckBytes,
                            seal.data() + kShareBytes) == 1;
    CONSILIUM_CHECK(ok && written == kShareBytes && rest == 0, "OpenSSL has no AES-256-GCM");
  }
  return seals;
}

Result<KeyBytes> OpenShare(const std::string& site, const AgreementKey& own,
                           const std::string& from, const Roster& members, const Digest& context,
                           const SumSeal& seal) {
  const auto key = SealKey(own, from, members, context, from, site);
  CONSILIUM_TRY(key);
  const CipherContext cipher(EVP_CIPHER_CTX_new());
  SumSeal copy = seal;  // OpenSSL takes the check bytes by a pointer to non-const
  KeyBytes share{};
  int written = 0, rest = 0;
  const bool opened =
      cipher != nullptr &&
      EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key->data(),
                         kZeroNonce.data()) == 1 &&
      EVP_DecryptUpdate(cipher.get(), share.data(), &written, copy.data(), kShareBytes) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kCheckBytes,
                          copy.data() + kShareBytes) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), share.data() + written, &rest) == 1;
  if (!opened) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("share of the sum key: what came from '{}' does not open; it was "
                            "sealed for another site or study, or changed on the way",
                            from));
  }
  return share;
}

}  // namespace consilium::federation
