// Certificates and requests for them, as PEM text: made, read, checked. Pure: time is an argument,
// files are the caller's; randomness is OpenSSL's.
//
// A certificate says who (CN, a name by CheckName) and as what (OU, a Role); both are read
// strictly, one of each, so that no two readers see different owners. Text that does not decode to
// DER and back to the same bytes is refused. Sources: RFC 5280 (certificates), RFC 2986 (requests),
// RFC 7468 (PEM); the arithmetic is OpenSSL's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "identity/names.h"
#include "identity/private_key.h"

namespace consilium::identity {

inline constexpr std::size_t kRequestPemBytesMax = 16 * 1024;
inline constexpr std::size_t kCertificatePemBytesMax = 256 * 1024;  // a chain or a bundle
inline constexpr std::size_t kCertificateBytesMax = 16 * 1024;      // one of them, DER
inline constexpr std::size_t kCertificatesMax = 64;                 // in one text

struct CertificateFacts {
  std::string name;          // CN; of an authority, whatever it calls itself
  std::optional<Role> role;  // OU; empty for an authority and for nothing else
  std::string serial;        // lower-case hexadecimal, at least two digits
  // SHA-256 of the DER. Names these very bytes (pins, tokens). NOT a name to revoke by: an ECDSA
  // signature (r, s) also verifies as (r, -s), so an owner can give its own certificate a second
  // fingerprint. Revoke by serial or by public_key.
  Digest fingerprint;
  Digest public_key;                      // SHA-256 of the SubjectPublicKeyInfo, DER
  std::int64_t not_before_s = 0;          // unix seconds, first and
  std::int64_t not_after_s = 0;           // last second of validity
  bool is_authority = false;              // basic constraints: CA
  std::vector<std::string> dns_names;     // subject alternative names, as they stand
  std::vector<std::string> ip_addresses;  // IPv4 dotted; IPv6 as eight groups, lower case
};

struct RequestFacts {
  std::string name;
  Role role = Role::kSite;
  Digest public_key;     // SHA-256 of the SubjectPublicKeyInfo, DER
  std::string key_type;  // "P-256", "P-384", "Ed25519" or "RSA 3072"
};

// A PKCS#10 request with CN=name and OU=role, signed by the unlocked key (SHA-256; Ed25519 as it
// is). Errors: kInvalidArgument (name; not an unlocked key; a key of a type or strength that
// ReadRequest would refuse), kFailedPrecondition (the key is locked).
[[nodiscard]] Result<std::string> MakeRequest(std::string_view key_pem, std::string_view name,
                                              Role role);

// What a request asks for, after its own signature has been checked. Other parts of the subject and
// every requested extension are ignored: the authority decides them.
// Errors: kInvalidArgument (longer than kRequestPemBytesMax, not exactly one request, no or several
// CN or OU, name or role not allowed, key other than P-256, P-384, Ed25519 or RSA of 2048 to 8192
// bits), kPermissionDenied (the signature is not of the key in it, or uses less than SHA-256).
[[nodiscard]] Result<RequestFacts> ReadRequest(std::string_view request_pem);

// What the first certificate of the text says; says nothing about who signed it (CheckIssued).
// Errors: kInvalidArgument (too long, no certificate, damaged, or of no shape that we issue or
// accept: names the field).
[[nodiscard]] Result<CertificateFacts> ReadCertificate(std::string_view certificate_pem);

// That the first certificate of `certificate_pem` (what follows it are intermediates) was issued by
// one of the authorities in `authority_pem`, is valid at now_s, is no authority itself, and may be
// used as its role is: kCoordinator as TLS server, everyone else as TLS client. Keys and signatures
// below 112 bits of strength are refused anywhere in the chain. Revocation is the registry's.
// Errors: kInvalidArgument (either cannot be read), kFailedPrecondition (not valid yet, or expired:
// says by how much and when), kPermissionDenied (everything else: says what).
[[nodiscard]] Result<void> CheckIssued(std::string_view certificate_pem,
                                       std::string_view authority_pem, std::int64_t now_s);

// Errors: kPermissionDenied (the certificate has another role: names owner, role and expectation).
[[nodiscard]] Result<void> CheckRole(const CertificateFacts& facts, Role expected);

// Whole days until expiry, rounded down: 0 on the last day, negative once expired.
[[nodiscard]] int DaysLeft(const CertificateFacts& facts, std::int64_t now_s);

// Unix seconds as "2031-04-30 12:00:00 UTC", for messages and listings.
[[nodiscard]] std::string UtcText(std::int64_t unix_s);

}  // namespace consilium::identity
