#include "site_agent/dial.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/digest.h"
#include "disk/files.h"
#include "identity/certificate.h"
#include "identity/names.h"

namespace consilium::site_agent {
namespace {

constexpr int kConnectMs = 10'000;

std::string Base64(std::string_view text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

bool BypassesProxy(const std::string& host) {
  for (const char* name : {"no_grpc_proxy", "no_proxy"}) {
    const char* value = std::getenv(name);
    if (value == nullptr) continue;
    std::string_view list = value;
    while (!list.empty()) {
      const auto comma = list.find(',');
      std::string_view entry = list.substr(0, comma);
      while (entry.starts_with(' ')) entry.remove_prefix(1);
      if (!entry.empty() && std::string_view(host).ends_with(entry)) return true;
      if (comma == std::string_view::npos) break;
      list.remove_prefix(comma + 1);
    }
    return false;
  }
  return false;
}

// "http://user:password@host:port/", as environments have it; user and password percent-encoded.
Result<ProxyRoute> ParseProxy(std::string_view url, std::string_view variable) {
  const auto wrong = [&] {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("proxy: the environment's {} is no http://host:port; correct it, or set "
                    "network.proxy in the configuration",
                    variable));
  };
  if (url.starts_with("http://")) url.remove_prefix(7);
  url = url.substr(0, url.find('/'));
  ProxyRoute route;
  if (const auto at = url.rfind('@'); at != std::string_view::npos) {
    const std::string_view escaped = url.substr(0, at);
    for (std::size_t i = 0; i < escaped.size(); ++i) {
      if (escaped[i] != '%') {
        route.user_and_password += escaped[i];
        continue;
      }
      const auto byte = FromHex(escaped.substr(i + 1, 2));
      if (!byte || byte->size() != 1) return wrong();
      route.user_and_password += static_cast<char>((*byte)[0]);
      i += 2;
    }
    url = url.substr(at + 1);
  }
  const auto address = identity::ParseAddress(url);
  if (!address) return wrong();
  route.host = address->host;
  route.port = address->port;
  return route;
}

using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

// As gRPC reads them: up to the first block that is none. Bundles of systems hold hundreds.
std::vector<Certificate> ReadAll(const std::string& pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
  std::vector<Certificate> certificates;
  while (text) {
    X509* one = PEM_read_bio_X509_AUX(text.get(), nullptr, nullptr, nullptr);
    if (one == nullptr) break;
    certificates.emplace_back(one, &X509_free);
  }
  ERR_clear_error();
  return certificates;
}

std::string NameText(const X509_NAME* name) {
  const std::unique_ptr<char, void (*)(char*)> text(X509_NAME_oneline(name, nullptr, 0),
                                                    [](char* held) { OPENSSL_free(held); });
  return identity::Quoted(text ? text.get() : "");
}

std::int64_t UnixS(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? ::timegm(&parts) : 0;
}

// OpenSSL's verdict on what a listener shows, in our words.
tl::unexpected<Error> NotTaken(int code, X509* leaf, X509* at, const std::string& host,
                               bool with_bundle, std::int64_t now_s) {
  switch (code) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("the certificate that is shown is not for {}; the coordinator's "
                              "operator adds the name to `hosts` of coordinator.json",
                              host));
    case X509_V_ERR_CERT_NOT_YET_VALID:
    case X509_V_ERR_CERT_HAS_EXPIRED: {
      const bool late = code == X509_V_ERR_CERT_HAS_EXPIRED;
      const X509* of = at == nullptr ? leaf : at;
      return Fail(
          ErrorCode::kFailedPrecondition,
          fmt::format(
              "the certificate that is shown{} {} {}, and it is {} here; set this machine's "
              "clock (NTP), or tell the coordinator's operator",
              of == leaf ? "" : ", or an authority above it,", late ? "ended" : "begins",
              identity::UtcText(UnixS(late ? X509_get0_notAfter(of) : X509_get0_notBefore(of))),
              identity::UtcText(now_s)));
    }
    default:
      return Fail(
          ErrorCode::kPermissionDenied,
          fmt::format("the certificate that is shown is not by the coordinator's authority{} "
                      "(issued by {}: {}); a firewall that inspects TLS must let this address "
                      "through unopened",
                      with_bundle ? ", nor by one of network.ca_bundle" : "",
                      NameText(X509_get_issuer_name(leaf)), X509_verify_cert_error_string(code)));
  }
}

}  // namespace

Result<std::optional<ProxyRoute>> ProxyFor(const SiteNetwork& network, const std::string& host) {
  const SiteProxy& proxy = network.proxy;
  if (proxy.kind == SiteProxy::Kind::kNone) return std::nullopt;
  if (proxy.kind == SiteProxy::Kind::kHttp) {
    ProxyRoute route{proxy.host, proxy.port, ""};
    if (!proxy.user.empty()) {
      std::string password;
      if (!proxy.password_file.empty()) {
        const auto text = disk::ReadSecret(proxy.password_file, 4096);
        CONSILIUM_TRY(text);
        password = text->substr(0, text->find_first_of("\r\n"));
      }
      route.user_and_password = proxy.user + ":" + password;
    }
    return route;
  }
  if (BypassesProxy(host)) return std::nullopt;
  for (const char* name : {"grpc_proxy", "https_proxy", "http_proxy"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    auto route = ParseProxy(value, name);
    CONSILIUM_TRY(route);
    return *route;
  }
  return std::nullopt;
}

Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::vector<std::string>> Resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); code != 0) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("DNS: {} has no address: {}; check the name and this machine's "
                            "resolver",
                            host, ::gai_strerror(code)));
  }
  std::vector<std::string> addresses;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char text[NI_MAXHOST] = "";
    if (::getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, nullptr, 0,
                      NI_NUMERICHOST) == 0)
      addresses.emplace_back(text);
  }
  ::freeaddrinfo(found);
  return addresses;
}

Result<Socket> ConnectTcp(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
      code != 0) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("DNS: {} has no address: {}; check the name and this machine's "
                            "resolver",
                            host, ::gai_strerror(code)));
  }
  std::string reason = "no address";
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    const int socket = ::socket(one->ai_family, one->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket < 0) continue;
    int status = ::connect(socket, one->ai_addr, one->ai_addrlen);
    if (status != 0 && errno == EINPROGRESS) {
      pollfd wait{socket, POLLOUT, 0};
      int error = ETIMEDOUT;
      socklen_t size = sizeof error;
      if (::poll(&wait, 1, kConnectMs) == 1)
        ::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
      errno = error;
      status = error == 0 ? 0 : -1;
    }
    if (status == 0) {
      ::freeaddrinfo(found);
      // Blocking from here on, with a time limit.
      ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) & ~O_NONBLOCK);
      const timeval limit{kConnectMs / 1000, 0};
      ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
      return Socket(socket);
    }
    reason = std::strerror(errno);
    ::close(socket);
  }
  ::freeaddrinfo(found);
  return Fail(ErrorCode::kUnavailable,
              fmt::format("TCP: {}:{}: {}; ask the network's administrators to allow this one "
                          "outbound connection",
                          host, port, reason));
}

Result<Socket> ConnectThrough(const ProxyRoute& proxy, const std::string& host,
                              std::uint16_t port) {
  auto socket = ConnectTcp(proxy.host, proxy.port);
  if (!socket) return tl::unexpected<Error>(Within("proxy", socket.error()));
  std::string request = fmt::format("CONNECT {0}:{1} HTTP/1.1\r\nHost: {0}:{1}\r\n", host, port);
  if (!proxy.user_and_password.empty())
    request += "Proxy-Authorization: Basic " + Base64(proxy.user_and_password) + "\r\n";
  request += "\r\n";
  std::string reply;
  bool sent = ::send(socket->descriptor(), request.data(), request.size(), MSG_NOSIGNAL) ==
              static_cast<ssize_t>(request.size());
  while (sent && reply.find("\r\n\r\n") == std::string::npos && reply.size() < 16384) {
    char c = 0;  // one at a time: what follows the head belongs to TLS
    if (::recv(socket->descriptor(), &c, 1, 0) != 1) break;
    reply += c;
  }
  const std::string line = reply.substr(0, reply.find("\r\n"));
  if (line.starts_with("HTTP/1.") && line.size() > 12 && line.substr(9, 3) == "200") return socket;
  std::string advice = "ask its administrators to allow CONNECT to this address";
  if (line.find(" 407") != std::string::npos) {
    const bool basic = reply.find("Basic") != std::string::npos;
    const bool other =
        reply.find("NTLM") != std::string::npos || reply.find("Negotiate") != std::string::npos;
    advice = other && !basic
                 ? "it wants NTLM or Kerberos, which this agent does not speak; ask for Basic or "
                   "for a rule without a password for this machine, or run a relay such as cntlm"
                 : "it wants a user and a password: network.proxy_user and proxy_password_file";
  }
  return Fail(ErrorCode::kUnavailable,
              fmt::format("proxy {}:{}: it answered '{}'; {}", proxy.host, proxy.port,
                          line.empty() ? "nothing" : line, advice));
}

Result<Socket> Connect(const SiteNetwork& network, const std::string& host, std::uint16_t port) {
  const auto proxy = ProxyFor(network, host);
  CONSILIUM_TRY(proxy);
  return *proxy ? ConnectThrough(**proxy, host, port) : ConnectTcp(host, port);
}

Result<std::vector<std::string>> ShownCertificates(const Socket& socket, const std::string& host) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  if (!context) return Fail(ErrorCode::kInternal, "TLS cannot be initialised");
  // Not verified here: what is looked for is which certificates there are.
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context.get()), &SSL_free);
  static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_set_alpn_protos(tls.get(), kHttp2, sizeof kHttp2);
  if (!identity::IsIpAddress(host)) SSL_set_tlsext_host_name(tls.get(), host.c_str());
  SSL_set_fd(tls.get(), socket.descriptor());
  if (SSL_connect(tls.get()) != 1) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("TLS: {} does not speak TLS 1.3; is it the coordinator's address, and "
                            "does nothing stand between?",
                            host));
  }
  const STACK_OF(X509)* chain = SSL_get_peer_cert_chain(tls.get());
  std::vector<std::string> shown;
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), &BIO_free);
    PEM_write_bio_X509(bio.get(), sk_X509_value(chain, i));
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    shown.emplace_back(text, static_cast<std::size_t>(size));
  }
  return shown;
}

Result<ShownBy> CheckShown(const std::vector<std::string>& shown, const std::string& host,
                           const std::string& authority_pem, const std::string& bundle_pem,
                           std::int64_t now_s) {
  std::string chain_pem;
  for (const std::string& one : shown) chain_pem += one;
  const std::vector<Certificate> chain = ReadAll(chain_pem), authority = ReadAll(authority_pem),
                                 bundle = ReadAll(bundle_pem);
  if (chain.empty()) return Fail(ErrorCode::kInvalidArgument, "TLS: no certificate is shown");
  if (authority.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "the enrolment's authority is no certificate; enrol again with a new token");
  }
  const std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store(X509_STORE_new(),
                                                                      &X509_STORE_free);
  const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> context(
      X509_STORE_CTX_new(), &X509_STORE_CTX_free);
  struct FreeStack {  // not what it holds
    void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }
  };
  const std::unique_ptr<STACK_OF(X509), FreeStack> between(sk_X509_new_null());
  if (!store || !context || !between)
    return Fail(ErrorCode::kInternal, "TLS cannot be initialised");
  for (const auto* roots : {&authority, &bundle}) {
    for (const Certificate& one : *roots) X509_STORE_add_cert(store.get(), one.get());
  }
  ERR_clear_error();  // the same certificate twice
  for (std::size_t i = 1; i < chain.size(); ++i) sk_X509_push(between.get(), chain[i].get());
  X509* leaf = chain.front().get();
  X509_VERIFY_PARAM* rules = X509_STORE_get0_param(store.get());
  X509_VERIFY_PARAM_set_time(rules, static_cast<time_t>(now_s));
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST);
  X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER);
  X509_VERIFY_PARAM_set_auth_level(rules, 1);  // OpenSSL's own for a client
  const bool named = identity::IsIpAddress(host)
                         ? X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str()) == 1
                         : X509_VERIFY_PARAM_set1_host(rules, host.data(), host.size()) == 1;
  if (!named || X509_STORE_CTX_init(context.get(), store.get(), leaf, between.get()) != 1)
    return Fail(ErrorCode::kInternal, "TLS: the check cannot be prepared");
  const bool taken = X509_verify_cert(context.get()) == 1;
  ERR_clear_error();
  if (!taken) {
    return NotTaken(X509_STORE_CTX_get_error(context.get()), leaf,
                    X509_STORE_CTX_get_current_cert(context.get()), host, !bundle.empty(), now_s);
  }
  const STACK_OF(X509)* path = X509_STORE_CTX_get0_chain(context.get());
  const X509* anchor = sk_X509_value(path, sk_X509_num(path) - 1);
  return ShownBy{X509_cmp(anchor, authority.front().get()) == 0,
                 NameText(X509_get_subject_name(anchor))};
}

}  // namespace consilium::site_agent
