#include "federation/keys.h"

#include <openssl/evp.h>
#include <sodium.h>

#include <string_view>

namespace consilium::federation {
namespace {

struct FreeContext {
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeContext>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeContext>;

internal::KeyHandle FromPrivate(int type, const KeyBytes& secret) {
  internal::KeyHandle key(
      EVP_PKEY_new_raw_private_key(type, nullptr, secret.data(), secret.size()));
  CONSILIUM_CHECK(key != nullptr, "OpenSSL has no Ed25519 or X25519");
  return key;
}

Result<internal::KeyHandle> NewKey(int type) {
  const KeyContext context(EVP_PKEY_CTX_new_id(type, nullptr));
  EVP_PKEY* key = nullptr;
  if (context == nullptr || EVP_PKEY_keygen_init(context.get()) != 1 ||
      EVP_PKEY_keygen(context.get(), &key) != 1) {
    return Fail(ErrorCode::kUnavailable,
                "OpenSSL could not make a key; its random source is not seeded");
  }
  return internal::KeyHandle(key);
}

KeyBytes PublicBytes(const EVP_PKEY* key) {
  KeyBytes bytes{};
  std::size_t length = bytes.size();
  const int ok = EVP_PKEY_get_raw_public_key(key, bytes.data(), &length);
  CONSILIUM_CHECK(ok == 1 && length == bytes.size(), "a public key has 32 bytes");
  return bytes;
}

KeyBytes PrivateBytes(const EVP_PKEY* key) {
  KeyBytes bytes{};
  std::size_t length = bytes.size();
  const int ok = EVP_PKEY_get_raw_private_key(key, bytes.data(), &length);
  CONSILIUM_CHECK(ok == 1 && length == bytes.size(), "a secret key has 32 bytes");
  return bytes;
}

}  // namespace

void internal::FreeKey::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

Result<void> VerifyingKey::Verify(std::span<const std::uint8_t> message,
                                  const Signature& signature) const {
  // libsodium: 41 us where OpenSSL takes 98, and every site verifies every site's receipts.
  static const bool ready = sodium_init() >= 0;
  CONSILIUM_CHECK(ready, "libsodium cannot start");
  if (crypto_sign_verify_detached(signature.data(), message.data(), message.size(),
                                  bytes_.data()) == 0)
    return {};
  return Fail(ErrorCode::kPermissionDenied,
              "the signature was not made by the key with fingerprint " + Hex(fingerprint()) +
                  " over these bytes");
}

Digest VerifyingKey::fingerprint() const {
  ByteWriter writer;
  writer.Text("consilium signing key 1");
  writer.Raw(bytes_);
  return Sha256(writer.bytes());
}

SigningKey::SigningKey(internal::KeyHandle key)
    : key_(std::move(key)), verifying_key_(PublicBytes(key_.get())) {}

SigningKey SigningKey::FromSeed(const KeyBytes& seed) {
  return SigningKey(FromPrivate(EVP_PKEY_ED25519, seed));
}

Result<SigningKey> SigningKey::Generate() {
  auto key = NewKey(EVP_PKEY_ED25519);
  if (!key) return tl::unexpected<Error>(std::move(key).error());
  return SigningKey(std::move(*key));
}

Signature SigningKey::Sign(std::span<const std::uint8_t> message) const {
  Signature signature{};
  std::size_t length = signature.size();
  const DigestContext context(EVP_MD_CTX_new());
  const bool ok =
      context != nullptr &&
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
      EVP_DigestSign(context.get(), signature.data(), &length, message.data(), message.size()) == 1;
  CONSILIUM_CHECK(ok && length == signature.size(), "OpenSSL could not sign");
  return signature;
}

KeyBytes SigningKey::Seed() const { return PrivateBytes(key_.get()); }

AgreementKey::AgreementKey(internal::KeyHandle key)
    : key_(std::move(key)), public_key_(PublicBytes(key_.get())) {}

AgreementKey AgreementKey::FromSecret(const KeyBytes& secret) {
  return AgreementKey(FromPrivate(EVP_PKEY_X25519, secret));
}

Result<AgreementKey> AgreementKey::Generate() {
  auto key = NewKey(EVP_PKEY_X25519);
  if (!key) return tl::unexpected<Error>(std::move(key).error());
  return AgreementKey(std::move(*key));
}

Result<KeyBytes> AgreementKey::Agree(const KeyBytes& peer) const {
  const internal::KeyHandle other(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, peer.data(), peer.size()));
  const KeyContext context(EVP_PKEY_CTX_new(key_.get(), nullptr));
  KeyBytes shared{};
  std::size_t length = shared.size();
  // OpenSSL refuses the all-zero secret that points of small order give (RFC 7748, section 6.1).
  if (other == nullptr || context == nullptr || EVP_PKEY_derive_init(context.get()) != 1 ||
      EVP_PKEY_derive_set_peer(context.get(), other.get()) != 1 ||
      EVP_PKEY_derive(context.get(), shared.data(), &length) != 1 || length != shared.size()) {
    return Fail(
        ErrorCode::kInvalidArgument,
        "agreement key " + Hex(peer) + " is not a usable X25519 key; ask its site for another");
  }
  return shared;
}

KeyBytes AgreementKey::Secret() const { return PrivateBytes(key_.get()); }

}  // namespace consilium::federation
