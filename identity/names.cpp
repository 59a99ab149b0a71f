#include "identity/names.h"

#include <fmt/format.h>
#include <openssl/asn1.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "identity/x509.h"

namespace consilium::identity {
namespace {

constexpr std::array<Role, 4> kRoles = {Role::kSite, Role::kLead, Role::kAuditor,
                                        Role::kCoordinator};
constexpr std::size_t kLabelBytesMax = 63;  // RFC 1035, 2.3.4
constexpr std::size_t kQuotedBytesMax = 80;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetterOrDigit(char c) {
  return IsDigit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
bool IsHexDigit(char c) { return IsDigit(c) || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f'); }

// RFC 952 and 1123, 2.1.
bool IsDnsName(std::string_view host) {
  std::string_view rest = host;
  for (;;) {
    const std::size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    if (label.empty() || label.size() > kLabelBytesMax || label.front() == '-' ||
        label.back() == '-' || !std::all_of(label.begin(), label.end(), [](char c) {
          return IsLetterOrDigit(c) || c == '-';
        })) {
      return false;
    }
    // A last label of digits would read as an IPv4 address somewhere.
    if (dot == std::string_view::npos) return !std::all_of(label.begin(), label.end(), IsDigit);
    rest.remove_prefix(dot + 1);
  }
}

bool IsIpv4(std::string_view host) {
  int parts = 0;
  for (std::string_view rest = host;; ++parts) {
    const std::size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    if (part.empty() || part.size() > 3 || !std::all_of(part.begin(), part.end(), IsDigit) ||
        (part.size() > 1 && part.front() == '0')) {
      return false;
    }
    int value = 0;
    for (const char c : part) value = 10 * value + (c - '0');
    if (value > 255) return false;
    if (dot == std::string_view::npos) return parts == 3;
    rest.remove_prefix(dot + 1);
  }
}

bool IsIpv6(std::string_view host) {
  if (host.find(':') == std::string_view::npos || host.size() > 45 ||
      !std::all_of(host.begin(), host.end(),
                   [](char c) { return IsHexDigit(c) || c == ':' || c == '.'; })) {
    return false;
  }
  const x509::QuietErrors quiet;
  const x509::Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> bytes(
      a2i_IPADDRESS(std::string(host).c_str()));
  return bytes != nullptr && ASN1_STRING_length(bytes.get()) == 16;
}

}  // namespace

std::string_view Name(Role role) {
  switch (role) {
    case Role::kSite:
      return "site";
    case Role::kLead:
      return "lead";
    case Role::kAuditor:
      return "auditor";
    case Role::kCoordinator:
      return "coordinator";
  }
  AbortOnBrokenInvariant("role", "a role is one of four", __FILE__, __LINE__);
}

Result<Role> ParseRole(std::string_view text) {
  for (const Role role : kRoles) {
    if (text == Name(role)) return role;
  }
  return Fail(
      ErrorCode::kInvalidArgument,
      fmt::format("role {} is unknown; expected site, lead, auditor or coordinator", Quoted(text)));
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text.substr(0, kQuotedBytesMax)) {
    if (c >= ' ' && c <= '~' && c != '"' && c != '\\') {
      quoted += c;
    } else {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return quoted + (text.size() > kQuotedBytesMax ? "...\"" : "\"");
}

Result<void> CheckName(std::string_view name) {
  const auto refuse = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("name {} {}; expected a letter or digit, then at most {} letters, "
                            "digits, dots, underscores or hyphens",
                            Quoted(name), why, kNameBytesMax - 1));
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > kNameBytesMax) return refuse(fmt::format("has {} bytes", name.size()));
  if (!IsLetterOrDigit(name.front())) return refuse("does not begin with a letter or digit");
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!IsLetterOrDigit(c) && c != '.' && c != '_' && c != '-') {
      return refuse(fmt::format("cannot have {} (character {})", Quoted(name.substr(i, 1)), i + 1));
    }
  }
  return {};
}

Result<void> CheckHost(std::string_view host) {
  if (host.size() <= kHostBytesMax && (IsIpv4(host) || IsIpv6(host) || IsDnsName(host))) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("host {} is neither a DNS name nor an IP address; expected for example "
                          "coordinator.example.org, 192.0.2.7 or 2001:db8::7",
                          Quoted(host)));
}

bool IsIpAddress(std::string_view host) { return IsIpv4(host) || IsIpv6(host); }

Result<Address> ParseAddress(std::string_view text) {
  const auto refuse = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("address {} {}; expected host:port, for example "
                            "coordinator.example.org:8443 or [2001:db8::7]:8443",
                            Quoted(text), why));
  };
  if (text.size() > kAddressBytesMax) return refuse(fmt::format("has {} bytes", text.size()));
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse("has no port");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (bracketed != IsIpv6(host)) {
    return refuse(bracketed ? "has brackets around what is no IPv6 address"
                            : "needs brackets around its IPv6 address");
  }
  if (!CheckHost(host)) return refuse("has no valid host");
  unsigned value = 0;
  for (const char c : port.substr(0, 6))
    value = IsDigit(c) ? 10 * value + unsigned(c - '0') : 70000;
  if (port.empty() || port.size() > 5 || port.front() == '0' || value > 65535) {
    return refuse("has no port between 1 and 65535");
  }
  return Address{std::string(host), static_cast<std::uint16_t>(value)};
}

}  // namespace consilium::identity
