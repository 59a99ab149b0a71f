#include "coordinator/handshake_log.h"

#include "coordinator/guard.h"

namespace consilium::coordinator {

std::optional<Stranger> ReadHandshakeLog(std::string_view line) {
  // gRPC says each failure three times; this is the one that every kind of failure has.
  constexpr std::string_view kFailed = "Handshaking failed: ";
  if (!line.starts_with(kFailed)) return std::nullopt;
  line.remove_prefix(kFailed.size());
  const auto has = [&](std::string_view words) {
    return line.find(words) != std::string_view::npos;
  };
  if (has("peer did not return a certificate"))
    return Stranger{"tls.no_certificate", "it showed no certificate"};
  // The second is what OpenSSL says first of an authority that has this one's name, not its key.
  if (has("certificate verify failed") || has("asn1 encoding routines"))
    return Stranger{"tls.certificate",
                    "its certificate is not of this coordinator's authority, or has expired"};
  if (has("unsupported protocol") || has("version too low"))
    return Stranger{"tls.version", "it speaks TLS 1.2 or older; TLS 1.3 is spoken here"};
  if (has("http request")) return Stranger{"tls.http", "plain HTTP; TLS 1.3 is spoken here"};
  if (has("missing selected ALPN")) return Stranger{"tls.no_http2", "TLS without HTTP/2"};
  if (has("Handshake timed out"))
    return Stranger{"tls.slow", "the handshake took longer than 10 s"};
  if (has(" alert ")) return Stranger{"tls.left", "it does not trust this coordinator"};
  if (has("SSL_ERROR_SSL")) return Stranger{"tls.garbage", "what it sent is no TLS 1.3"};
  if (has("Handshake read failed") || has("Handshake write failed"))
    return Stranger{"tls.closed", "it went away before the handshake was done"};
  return Stranger{"tls.other", Printable(line, 200)};
}

}  // namespace consilium::coordinator
