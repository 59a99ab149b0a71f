// Private keys as PEM text: made, locked with a passphrase, unlocked, matched with a certificate.
//
// Where the text is kept (mode 0600, at its owner's and nowhere else) is the caller's affair. No
// message here repeats any part of a key or of a passphrase. Formats: PKCS#8 (RFC 5958), locked by
// PBES2 (RFC 8018): PBKDF2-HMAC-SHA-256 with 600,000 rounds, AES-256-CBC; `openssl pkey` reads
// both.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace consilium::identity {

inline constexpr std::size_t kKeyPemBytesMax = 16 * 1024;
inline constexpr std::size_t kPassphraseBytesMax = 1024;

// A new P-256 key (FIPS 186-4), not locked. Errors: kUnavailable (OpenSSL has no entropy).
[[nodiscard]] Result<std::string> GenerateKey();

// Whether the text holds a locked key ("BEGIN ENCRYPTED PRIVATE KEY").
[[nodiscard]] bool IsEncryptedKey(std::string_view key_pem);

// Errors: kInvalidArgument (not an unlocked private key; passphrase empty, too long or with a NUL),
// kFailedPrecondition (the key is locked already), kUnavailable (no entropy).
[[nodiscard]] Result<std::string> EncryptKey(std::string_view key_pem, std::string_view passphrase);

// Errors: kInvalidArgument (not a locked private key that we can read), kFailedPrecondition (the
// key is not locked), kPermissionDenied (the passphrase does not open it).
[[nodiscard]] Result<std::string> DecryptKey(std::string_view key_pem, std::string_view passphrase);

// That the unlocked key is the private half of the first certificate's key.
// Errors: kInvalidArgument (either cannot be read), kFailedPrecondition (the key is locked; or it
// belongs to another certificate).
[[nodiscard]] Result<void> KeyMatches(std::string_view key_pem, std::string_view certificate_pem);

}  // namespace consilium::identity
