// A connection as far as TLS, layer by layer, so that the layer that fails can be named.
//
// gRPC says "unavailable" for all of them. Enrolment looks for its authority here, and
// `consilium-site check` looks at everything.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "site_agent/config.h"

namespace consilium::site_agent {

// The HTTP proxy that a connection to `host` goes through, by configuration or environment.
struct ProxyRoute {
  std::string host;
  std::uint16_t port = 0;
  std::string user_and_password;  // "user:password"; empty: none
};
// Errors: kInvalidArgument (a proxy's address in the environment that is none), those of the
// password file.
[[nodiscard]] Result<std::optional<ProxyRoute>> ProxyFor(const SiteNetwork& network,
                                                         const std::string& host);

// Addresses of a host, as text. Errors: kUnavailable ("DNS: ...").
[[nodiscard]] Result<std::vector<std::string>> Resolve(const std::string& host);

// An open socket.
class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  Socket& operator=(Socket&&) = delete;
  ~Socket();
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};
// Errors: kUnavailable ("DNS: ...", "TCP: ..." with the system's reason).
[[nodiscard]] Result<Socket> ConnectTcp(const std::string& host, std::uint16_t port);
// HTTP CONNECT; errors: kUnavailable ("proxy HOST:PORT: ..."; a proxy that wants NTLM or Kerberos
// is named as such, with what can be done).
[[nodiscard]] Result<Socket> ConnectThrough(const ProxyRoute& proxy, const std::string& host,
                                            std::uint16_t port);
// Whichever of the two the configuration asks for.
[[nodiscard]] Result<Socket> Connect(const SiteNetwork& network, const std::string& host,
                                     std::uint16_t port);

// The certificates that a TLS 1.3 listener shows, PEM, the leaf first. Nothing is verified and
// nothing is sent. Errors: kUnavailable ("TLS: ...").
[[nodiscard]] Result<std::vector<std::string>> ShownCertificates(const Socket& socket,
                                                                 const std::string& host);

// Whom a listener's certificate is traced to.
struct ShownBy {
  bool coordinators = false;  // the authority of the enrolment; else one of the site's own bundle
  std::string authority;      // its subject, for people
};
// What gRPC will say of certificates that a listener at `host` shows: those of ShownCertificates
// must lead to `authority_pem`, or to a certificate of `bundle_pem` (may be empty), be good at
// now_s and be the host's. Errors: kInvalidArgument (one of the texts holds no certificate),
// kFailedPrecondition (of another host; not valid yet, or expired), kPermissionDenied (everything
// else: names the issuer that is shown).
[[nodiscard]] Result<ShownBy> CheckShown(const std::vector<std::string>& shown,
                                         const std::string& host, const std::string& authority_pem,
                                         const std::string& bundle_pem, std::int64_t now_s);

}  // namespace consilium::site_agent
