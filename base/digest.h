// SHA-256 digests: the names of queries, answers, studies and log entries.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace consilium {

struct Digest {
  std::array<std::uint8_t, 32> bytes{};
  friend auto operator<=>(const Digest&, const Digest&) = default;
};

// FIPS 180-4.
[[nodiscard]] Digest Sha256(std::span<const std::uint8_t> bytes);
[[nodiscard]] Digest Sha256(std::string_view text);

// HMAC-SHA-256, RFC 2104.
[[nodiscard]] Digest HmacSha256(std::span<const std::uint8_t> key,
                                std::span<const std::uint8_t> message);

// HKDF-SHA-256 (RFC 5869): extract with `salt`, expand with `info` to `length` bytes (at most
// 8160). Text stands for its bytes.
[[nodiscard]] Bytes HkdfSha256(std::span<const std::uint8_t> key,
                               std::span<const std::uint8_t> salt,
                               std::span<const std::uint8_t> info, std::size_t length);
[[nodiscard]] Bytes HkdfSha256(std::span<const std::uint8_t> key,
                               std::span<const std::uint8_t> salt, std::string_view info,
                               std::size_t length);

// 64 lower-case hexadecimal digits.
[[nodiscard]] std::string Hex(std::span<const std::uint8_t> bytes);
[[nodiscard]] inline std::string Hex(const Digest& digest) {
  return Hex(std::span<const std::uint8_t>(digest.bytes));
}
// The bytes of an even number of hexadecimal digits. Errors: kInvalidArgument.
[[nodiscard]] Result<Bytes> FromHex(std::string_view hex);

}  // namespace consilium
