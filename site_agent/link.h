// How a site dials out: channels of mutual TLS, through a proxy if there is one, and the two calls
// that are made before there is a certificate or when it grows old.
//
// The only outbound connections of a hospital are made here: to the enrolment listener that a token
// names, and to the work listener that enrolment returned.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "federation/wire/wire.h"
#include "identity/token.h"
#include "site_agent/config.h"
#include "site_agent/store.h"

namespace grpc {
class Channel;
class Status;
}  // namespace grpc

namespace consilium::site_agent {

// The authorities that network.ca_bundle adds for the work connection, PEM; empty: none is named.
// Errors: kNotFound (no such file), kInvalidArgument (it holds no certificate: names it).
[[nodiscard]] Result<std::string> ReadCaBundle(const SiteNetwork& network);

// A channel to the enrolment's address with its certificate; it trusts the enrolment's authority
// and ReadCaBundle's. Connecting happens at the first call. Errors: those of ReadCaBundle and of
// the proxy's password file.
[[nodiscard]] Result<std::shared_ptr<grpc::Channel>> OpenChannel(const StoredEnrolment& enrolment,
                                                                 const std::string& tls_key_pem,
                                                                 const SiteNetwork& network);

// The certificate of the authority whose fingerprint the token carries, as the listener at its
// address shows it. Nothing else of what the listener says is believed. Errors: kUnavailable (DNS,
// TCP or TLS: names the layer), kPermissionDenied (another authority, or somebody between: names
// both fingerprints).
[[nodiscard]] Result<std::string> FetchAuthority(const identity::Token& token,
                                                 const SiteNetwork& network);

// Enrols the owner of these keys with the token. Errors: FetchAuthority's; the coordinator's, by
// name; kPermissionDenied (what came back is not a certificate for this key by this authority).
struct EnrolmentKeys {
  std::string tls_key_pem;  // unlocked
  const federation::SigningKey* signing = nullptr;
  const federation::AgreementKey* agreement = nullptr;  // null for people
};
[[nodiscard]] Result<StoredEnrolment> EnrolWith(const identity::Token& token,
                                                const EnrolmentKeys& keys,
                                                const SiteNetwork& network, std::int64_t unix_ms);

// A new certificate for the same key over the open channel.
[[nodiscard]] Result<std::string> RenewCertificate(const std::shared_ptr<grpc::Channel>& channel,
                                                   const StoredEnrolment& enrolment,
                                                   const std::string& tls_key_pem,
                                                   std::int64_t now_s);

// A status of gRPC as an error of ours; `what`: which call.
[[nodiscard]] Error ErrorOf(const grpc::Status& status, std::string_view what);

}  // namespace consilium::site_agent
