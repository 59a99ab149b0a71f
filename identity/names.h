// Who may be called what: roles, names of sites and people, hosts and addresses.
//
// A name becomes a certificate's CN, a key of registries and part of file names, so its shape
// leaves nothing to interpret: no separators, no leading dot, ASCII only, never longer than a CN
// may be (RFC 5280, ub-common-name, 64).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace consilium::identity {

// What a certificate's owner may do; carried in its OU and held on every call.
enum class Role : std::uint8_t { kSite = 1, kLead = 2, kAuditor = 3, kCoordinator = 4 };

// "site", "lead", "auditor", "coordinator".
[[nodiscard]] std::string_view Name(Role role);
// Exactly one of the four names. Errors: kInvalidArgument (lists them).
[[nodiscard]] Result<Role> ParseRole(std::string_view text);

inline constexpr std::size_t kNameBytesMax = 64;
inline constexpr std::size_t kHostBytesMax = 253;
inline constexpr std::size_t kAddressBytesMax = 255;

// `text` for a message: cut after 80 bytes, everything but printable ASCII as \xNN, in quotes.
[[nodiscard]] std::string Quoted(std::string_view text);

// A site's or a person's name: [A-Za-z0-9][A-Za-z0-9._-]{0,63}.
// Errors: kInvalidArgument (says what is wrong with it).
[[nodiscard]] Result<void> CheckName(std::string_view name);

// A host as it may stand in a coordinator's certificate: a DNS name (letters, digits, hyphens,
// dots; no wildcard, no trailing dot, the last label not a number), an IPv4 or an IPv6 address
// without brackets. Errors: kInvalidArgument.
[[nodiscard]] Result<void> CheckHost(std::string_view host);
// Whether a host that passed CheckHost is an IP address.
[[nodiscard]] bool IsIpAddress(std::string_view host);

struct Address {
  std::string host;  // without brackets
  std::uint16_t port = 0;
};
// "host:port", an IPv6 host in brackets; port 1 to 65535 without leading zeros.
// Errors: kInvalidArgument.
[[nodiscard]] Result<Address> ParseAddress(std::string_view text);

}  // namespace consilium::identity
