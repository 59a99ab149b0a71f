#include "base/digest.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>

namespace consilium {
namespace {

std::span<const std::uint8_t> BytesOf(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

Digest Sha256(std::span<const std::uint8_t> bytes) {
  Digest digest;
  unsigned int length = 0;
  const int ok =
      EVP_Digest(bytes.data(), bytes.size(), digest.bytes.data(), &length, EVP_sha256(), nullptr);
  CONSILIUM_CHECK(ok == 1 && length == digest.bytes.size(),
                  "SHA-256 is not available from OpenSSL");
  return digest;
}

Digest Sha256(std::string_view text) { return Sha256(BytesOf(text)); }

Digest HmacSha256(std::span<const std::uint8_t> key, std::span<const std::uint8_t> message) {
  Digest digest;
  unsigned int length = 0;
  const auto* done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(),
                          message.size(), digest.bytes.data(), &length);
  CONSILIUM_CHECK(done != nullptr && length == digest.bytes.size(),
                  "HMAC-SHA-256 is not available from OpenSSL");
  return digest;
}

Bytes HkdfSha256(std::span<const std::uint8_t> key, std::span<const std::uint8_t> salt,
                 std::span<const std::uint8_t> info, std::size_t length) {
  CONSILIUM_CHECK(length <= 255 * 32, "HKDF gives at most 8160 bytes");
  static constexpr std::array<std::uint8_t, 32> kNoSalt{};
  const Digest pseudo_random_key =
      HmacSha256(salt.empty() ? std::span<const std::uint8_t>(kNoSalt) : salt, key);
  Bytes output;
  Bytes previous;
  for (std::uint8_t counter = 1; output.size() < length; ++counter) {
    Bytes message = previous;
    message.insert(message.end(), info.begin(), info.end());
    message.push_back(counter);
    const Digest next = HmacSha256(pseudo_random_key.bytes, message);
    previous.assign(next.bytes.begin(), next.bytes.end());
    output.insert(output.end(), previous.begin(), previous.end());
  }
  output.resize(length);
  return output;
}

Bytes HkdfSha256(std::span<const std::uint8_t> key, std::span<const std::uint8_t> salt,
                 std::string_view info, std::size_t length) {
  return HkdfSha256(key, salt, BytesOf(info), length);
}

std::string Hex(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    hex.push_back(kDigits[byte >> 4]);
    hex.push_back(kDigits[byte & 15]);
  }
  return hex;
}

Result<Bytes> FromHex(std::string_view hex) {
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  Bytes bytes;
  if (hex.size() % 2 != 0)
    return Fail(ErrorCode::kInvalidArgument, "an odd number of hexadecimal digits");
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit(hex[i]), low = digit(hex[i + 1]);
    if (high < 0 || low < 0)
      return Fail(ErrorCode::kInvalidArgument, "a character that is not a hexadecimal digit");
    bytes.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return bytes;
}

}  // namespace consilium
