// Keys of sites, leads and the coordinator: Ed25519 to sign, X25519 to agree on a secret.
//
// Both are 32 bytes, public and secret alike. Who owns a key is settled out of band: fingerprints
// stand in the lead-signed study and are shown at approval; nothing here trusts a key because it
// arrived. Sources: RFC 8032 (Ed25519), RFC 7748 (X25519); the arithmetic is OpenSSL's.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/digest.h"
#include "base/result.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace consilium::federation {

using KeyBytes = std::array<std::uint8_t, 32>;
using Signature = std::array<std::uint8_t, 64>;

namespace internal {
struct FreeKey {
  void operator()(evp_pkey_st* key) const;
};
using KeyHandle = std::unique_ptr<evp_pkey_st, FreeKey>;
}  // namespace internal

// The public half of a signing key. A value: any 32 bytes may be held, a bad key verifies nothing.
class VerifyingKey {
 public:
  VerifyingKey() = default;
  explicit VerifyingKey(const KeyBytes& bytes) : bytes_(bytes) {}
  // RFC 8032, and no key or signature of small order. Errors: kPermissionDenied (the signature is
  // not this key's over these bytes).
  [[nodiscard]] Result<void> Verify(std::span<const std::uint8_t> message,
                                    const Signature& signature) const;
  [[nodiscard]] const KeyBytes& bytes() const { return bytes_; }
  // SHA-256 of "consilium signing key 1" and the key: what people compare and studies pin.
  [[nodiscard]] Digest fingerprint() const;
  friend auto operator<=>(const VerifyingKey&, const VerifyingKey&) = default;

 private:
  KeyBytes bytes_{};
};

class SigningKey {
 public:
  // The key of this seed (RFC 8032's 32-byte secret key).
  [[nodiscard]] static SigningKey FromSeed(const KeyBytes& seed);
  // A new key from OpenSSL's entropy. Errors: kUnavailable (there is none).
  [[nodiscard]] static Result<SigningKey> Generate();
  // Deterministic: the same message has the same signature.
  [[nodiscard]] Signature Sign(std::span<const std::uint8_t> message) const;
  [[nodiscard]] const VerifyingKey& verifying_key() const { return verifying_key_; }
  // The secret itself, for the file that keeps it (mode 0600) and for nothing else.
  [[nodiscard]] KeyBytes Seed() const;

 private:
  explicit SigningKey(internal::KeyHandle key);
  internal::KeyHandle key_;
  VerifyingKey verifying_key_;
};

class AgreementKey {
 public:
  // The key of this secret (RFC 7748's 32 bytes, clamped there).
  [[nodiscard]] static AgreementKey FromSecret(const KeyBytes& secret);
  // A new key from OpenSSL's entropy. Errors: kUnavailable (there is none).
  [[nodiscard]] static Result<AgreementKey> Generate();
  [[nodiscard]] const KeyBytes& public_key() const { return public_key_; }
  // The secret shared with the owner of `peer`: feed it to a key derivation, never use it bare.
  // Errors: kInvalidArgument (a point of small order: the secret would be known to all).
  [[nodiscard]] Result<KeyBytes> Agree(const KeyBytes& peer) const;
  [[nodiscard]] KeyBytes Secret() const;

 private:
  explicit AgreementKey(internal::KeyHandle key);
  internal::KeyHandle key_;
  KeyBytes public_key_{};
};

}  // namespace consilium::federation
