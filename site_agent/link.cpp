#include "site_agent/link.h"

#include <consilium/v1/consilium.grpc.pb.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/digest.h"
#include "disk/files.h"
#include "identity/certificate.h"
#include "identity/private_key.h"
#include "site_agent/dial.h"
#include "site_agent/ledger.h"
#include "study/program.h"

namespace consilium::site_agent {
namespace {

constexpr auto kCallTime = std::chrono::seconds(30);
constexpr std::uintmax_t kBundleBytesMax = std::uintmax_t{4} << 20;

// As gRPC wants a proxy: user and password percent-encoded.
std::string ProxyUrl(const ProxyRoute& proxy) {
  const std::string host =
      proxy.host.find(':') == std::string::npos ? proxy.host : "[" + proxy.host + "]";
  std::string owner;
  bool in_password = false;
  for (const char c : proxy.user_and_password) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ':' && !std::exchange(in_password, true)) {
      owner += c;
    } else if (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string::npos) {
      owner += c;
    } else {
      owner += fmt::format("%{:02X}", byte);
    }
  }
  return fmt::format("http://{}{}{}:{}", owner, owner.empty() ? "" : "@", host, proxy.port);
}

// gRPC reads its proxy from the environment, and `grpc_proxy` before any other. False: none.
Result<bool> UseProxy(const SiteNetwork& network) {
  if (network.proxy.kind == SiteProxy::Kind::kHttp) {
    const auto route = ProxyFor(network, "");
    CONSILIUM_TRY(route);
    ::setenv("grpc_proxy", ProxyUrl(**route).c_str(), 1);
    // The configuration's proxy is for every host: no_proxy belongs to the environment's.
    ::setenv("no_grpc_proxy", "", 1);
  }
  return network.proxy.kind != SiteProxy::Kind::kNone;
}

Result<std::shared_ptr<grpc::Channel>> Dial(const std::string& address,
                                            const grpc::SslCredentialsOptions& tls,
                                            const SiteNetwork& network) {
  const auto proxy = UseProxy(network);
  CONSILIUM_TRY(proxy);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(wire::kMessageBytesMax));
  arguments.SetMaxSendMessageSize(static_cast<int>(wire::kMessageBytesMax));
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, *proxy ? 1 : 0);
  // The buffer of one read: grows to 4 MiB on a fast line otherwise.
  arguments.SetInt(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, 128 << 10);
  // A proxy or a firewall forgets an idle connection; one that is gone must be noticed.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 20'000);
  // A ping may stand behind an answer in the queue of a slow line.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  // Also how long connecting and the TLS handshake may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 5'000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::SslCredentials(tls), arguments);
}

}  // namespace

Error ErrorOf(const grpc::Status& status, std::string_view what) {
  // It ends in logs and on terminals: one line, and nothing in it that disturbs them.
  std::string told = status.error_message();
  std::replace(told.begin(), told.end(), '\n', ' ');
  return {wire::CodeOfStatus(status.error_code()),
          fmt::format("{}: {}", what, told.empty() ? "the connection broke" : PlainText(told))};
}

Result<std::string> ReadCaBundle(const SiteNetwork& network) {
  if (network.ca_bundle.empty()) return std::string();
  auto bundle = disk::ReadFile(network.ca_bundle, kBundleBytesMax);
  if (!bundle) return tl::unexpected<Error>(Within("network.ca_bundle", bundle.error()));
  // gRPC takes no notice of a file without any.
  if (bundle->find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("network.ca_bundle: {} holds no certificate, expected PEM blocks "
                            "-----BEGIN CERTIFICATE-----; name the file with the authority's own "
                            "certificate, or leave the key out",
                            network.ca_bundle));
  }
  return bundle;
}

Result<std::shared_ptr<grpc::Channel>> OpenChannel(const StoredEnrolment& enrolment,
                                                   const std::string& tls_key_pem,
                                                   const SiteNetwork& network) {
  const auto bundle = ReadCaBundle(network);
  CONSILIUM_TRY(bundle);
  return Dial(enrolment.address,
              {enrolment.authority_pem + *bundle, tls_key_pem, enrolment.certificate_pem}, network);
}

Result<std::string> FetchAuthority(const identity::Token& token, const SiteNetwork& network) {
  const auto address = identity::ParseAddress(token.address);
  CONSILIUM_TRY(address);
  const auto socket = Connect(network, address->host, address->port);
  CONSILIUM_TRY(socket);
  const auto shown = ShownCertificates(*socket, address->host);
  CONSILIUM_TRY(shown);
  std::string seen;
  for (const std::string& pem : *shown) {
    const auto facts = identity::ReadCertificate(pem);
    if (!facts) continue;
    if (facts->fingerprint == token.authority) return pem;
    seen = Hex(facts->fingerprint);
  }
  return Fail(ErrorCode::kPermissionDenied,
              fmt::format("{}: the token's authority has fingerprint {}, the listener shows {}; "
                          "somebody stands between (a TLS-inspecting firewall?), or the token is "
                          "of another coordinator",
                          token.address, Hex(token.authority), seen.empty() ? "none" : seen));
}

Result<StoredEnrolment> EnrolWith(const identity::Token& token, const EnrolmentKeys& keys,
                                  const SiteNetwork& network, std::int64_t unix_ms) {
  CONSILIUM_TRY(identity::CheckUnexpired(token, unix_ms / 1000));
  auto authority = FetchAuthority(token, network);
  CONSILIUM_TRY(authority);
  wire::Enrolment enrolment;
  enrolment.versions.engine = study::kEngineVersion;
  enrolment.secret = token.secret;
  auto request = identity::MakeRequest(keys.tls_key_pem, token.name, token.role);
  CONSILIUM_TRY(request);
  enrolment.request_pem = std::move(*request);
  enrolment.signing_key = keys.signing->verifying_key();
  if (keys.agreement != nullptr) enrolment.agreement_key = keys.agreement->public_key();
  enrolment.proof = keys.signing->Sign(wire::ProofBytes(enrolment));
  auto channel = Dial(token.address, {*authority, "", ""}, network);
  CONSILIUM_TRY(channel);
  const auto stub = v1::Enrolment::NewStub(*channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTime);
  v1::EnrollRequest message;
  wire::Encode(enrolment, message);
  v1::EnrollReply reply;
  if (const grpc::Status status = stub->Enroll(&context, message, &reply); !status.ok())
    return tl::unexpected<Error>(ErrorOf(status, "enrolment at " + token.address));
  const auto enrolled = wire::Decode(reply);
  CONSILIUM_TRY(enrolled);
  CONSILIUM_TRY(wire::Negotiate(enrolment.versions, enrolled->versions));
  CONSILIUM_TRY(identity::CheckIssued(enrolled->certificate_pem, *authority, unix_ms / 1000));
  CONSILIUM_TRY(identity::KeyMatches(keys.tls_key_pem, enrolled->certificate_pem));
  CONSILIUM_TRY(identity::ParseAddress(enrolled->address));
  if (!enrolled->operated_by.empty()) CONSILIUM_TRY(identity::CheckName(enrolled->operated_by));
  return StoredEnrolment{token.name,        enrolled->certificate_pem, std::move(*authority),
                         enrolled->address, enrolled->coordinator,     enrolled->coordinator_key,
                         unix_ms,           enrolled->operated_by};
}

Result<std::string> RenewCertificate(const std::shared_ptr<grpc::Channel>& channel,
                                     const StoredEnrolment& enrolment,
                                     const std::string& tls_key_pem, std::int64_t now_s) {
  const auto facts = identity::ReadCertificate(enrolment.certificate_pem);
  CONSILIUM_TRY(facts);
  const auto request = identity::MakeRequest(tls_key_pem, facts->name, *facts->role);
  CONSILIUM_TRY(request);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTime);
  v1::RenewRequest message;
  message.set_request_pem(*request);
  v1::RenewReply reply;
  const grpc::Status status =
      *facts->role == identity::Role::kSite
          ? v1::Sites::NewStub(channel)->Renew(&context, message, &reply)
          : v1::Console::NewStub(channel)->RenewMine(&context, message, &reply);
  if (!status.ok()) return tl::unexpected<Error>(ErrorOf(status, "renewal of the certificate"));
  CONSILIUM_TRY(identity::CheckIssued(reply.certificate_pem(), enrolment.authority_pem, now_s));
  CONSILIUM_TRY(identity::KeyMatches(tls_key_pem, reply.certificate_pem()));
  return reply.certificate_pem();
}

}  // namespace consilium::site_agent
