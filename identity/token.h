// The one-time enrolment token: one line that a person pastes at a hospital.
//
// It carries where to enrol, as whom, until when, a random secret, and the fingerprint of the
// authority, so that a first connection needs no other trust. The coordinator keeps SecretHash, not
// the token. Text form: "CT1" and groups of eight characters of Crockford's base32 (no I, L, O, U;
// read without regard to case, O as 0, I and L as 1; blanks and hyphens anywhere are skipped), for
// example "CT1-4GSTB6VM-...". The last character of each group checks the group and its place
// (a Reed-Solomon check symbol over GF(32): every single wrong character and every swap of two in a
// group is found), so that a typo is named by its group; the last five bytes check the whole
// (SHA-256, cut). Grammar and an example: docs/formats/token.md.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/result.h"
#include "identity/names.h"

namespace consilium::identity {

inline constexpr std::size_t kTokenTextBytesMax = 2048;

using TokenSecret = std::array<std::uint8_t, 20>;

struct Token {
  TokenSecret secret{};
  Digest authority;            // fingerprint of the authority's certificate (SHA-256 of its DER)
  std::string name;            // who will be enrolled, by CheckName
  Role role = Role::kSite;     // any but kCoordinator
  std::string address;         // of the enrolment listener, "host:port" by ParseAddress
  std::int64_t expires_s = 0;  // unix seconds, the first second at which it no longer holds

  friend bool operator==(const Token&, const Token&) = default;
};

// 160 random bits. Errors: kUnavailable (OpenSSL has no entropy).
[[nodiscard]] Result<TokenSecret> NewTokenSecret();

// One line without a newline. Errors: kInvalidArgument (a field is not what it must be).
[[nodiscard]] Result<std::string> EncodeToken(const Token& token);

// Errors: kInvalidArgument (too long; not a token; another version; a character that cannot stand
// in one: names its position; a mistyped group: names it; cut short; checksum). Never repeats the
// text.
[[nodiscard]] Result<Token> DecodeToken(std::string_view text);

// Errors: kFailedPrecondition (expired: says when, and to ask for another).
[[nodiscard]] Result<void> CheckUnexpired(const Token& token, std::int64_t now_s);

// What the coordinator stores and looks up: SHA-256 over a label and the secret. The site sends the
// secret, never the hash.
[[nodiscard]] Digest SecretHash(const TokenSecret& secret);
[[nodiscard]] inline Digest SecretHash(const Token& token) { return SecretHash(token.secret); }

// The fields as canonical bytes, without text form and checksum.
[[nodiscard]] Result<Bytes> TokenBytes(const Token& token);
// Errors: kInvalidArgument (names the field).
[[nodiscard]] Result<Token> ReadTokenBytes(std::span<const std::uint8_t> bytes);

}  // namespace consilium::identity
