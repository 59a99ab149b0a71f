// What an attacker has: sockets, TLS by hand, certificates of any making, stubs that say anything.
#pragma once

#include <consilium/v1/consilium.grpc.pb.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "federation/wire/wire.h"
#include "tests/e2e/network_fixture.h"

namespace consilium::e2e {

[[nodiscard]] std::int64_t NowSeconds();

// A TCP connection to a port of this machine.
class RawSocket {
 public:
  explicit RawSocket(int port);
  ~RawSocket();
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;
  // False: the other side had closed.
  bool Send(std::string_view bytes) const;
  // Everything up to the other side's end, which must come within `seconds`; "open" if it does not.
  [[nodiscard]] std::string ReadToEnd(int seconds = 20) const;

 private:
  int descriptor_ = -1;
};

// One TLS handshake by OpenSSL itself and a read, as a client that is no gRPC.
struct TlsAttempt {
  int version_max = 0;      // 0: any
  std::string certificate;  // PEM; empty: none
  std::string key;
  bool http2 = true;  // ALPN
};
// "closed", or what came.
[[nodiscard]] std::string TryTls(int port, const TlsAttempt& attempt);

// A certificate with any subject and validity, signed by whoever's key it is; empty `issuer`: by
// itself. For kinds that identity::Authority does not make.
struct HandMade {
  std::vector<std::pair<std::string, std::string>> subject;  // "CN", "north"; ...
  std::int64_t from_s = 0, until_s = 0;
  std::string issuer, issuer_key;      // PEM
  std::string purpose = "clientAuth";  // extended key usage
  std::string hosts;                   // "IP:127.0.0.1"; empty: none
};
[[nodiscard]] std::string MakeCertificate(const std::string& key_pem, const HandMade& what);
// A request for a certificate with this subject; `rsa_bits`: with a key of RSA of that length.
[[nodiscard]] std::string MakeHandRequest(
    const std::vector<std::pair<std::string, std::string>>& subject, int rsa_bits = 0);

// A certificate of `authority` for `name`, which no register knows.
[[nodiscard]] Credentials Forged(const std::string& authority_pem, const std::string& authority_key,
                                 const std::string& name, const std::string& shown_authority);

// Status and message of a call, as "PERMISSION_DENIED: ..."; "OK".
[[nodiscard]] std::string Said(const grpc::Status& status);

// A site's stream, driven by hand.
class HandStream {
 public:
  explicit HandStream(const std::shared_ptr<grpc::Channel>& channel);
  ~HandStream();
  bool Say(const v1::FromSite& message) { return stream_->Write(message); }
  bool Say(const wire::FromSite& message);
  // The next message that is no beat; nothing: the stream has ended.
  [[nodiscard]] std::optional<wire::ToSite> Hear();
  // How it ended; reads until it does.
  [[nodiscard]] std::string End();

 private:
  std::unique_ptr<v1::Sites::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::FromSite, v1::ToSite>> stream_;
  bool ended_ = false;
};
[[nodiscard]] wire::Hello GoodHello();

// A call of Submit, driven by hand: head, parts, and what came back.
[[nodiscard]] std::string SubmitByHand(const std::shared_ptr<grpc::Channel>& channel,
                                       const std::vector<v1::AnswerPart>& parts,
                                       bool finish = true);

// A coordinator that says what the test wants, to a real agent. One stream is open at a time.
class FakeCoordinator {
 public:
  // Shows `certificate` of `key`, and asks for certificates of `authority`.
  FakeCoordinator(int port, const std::string& authority, const std::string& key,
                  const std::string& certificate);
  ~FakeCoordinator();
  // Waits for an agent's stream and greets it.
  [[nodiscard]] bool Welcome(std::uint32_t beat_ms = 2000);
  [[nodiscard]] bool open() const;
  [[nodiscard]] bool heard_anybody() const;
  bool Send(const wire::ToSite& message);
  bool Send(const v1::ToSite& message);
  // The next message of the agent that `wanted` holds of; what it says else is passed over.
  [[nodiscard]] std::optional<wire::FromSite> Await(
      const std::function<bool(const wire::FromSite&)>& wanted);
  // The next whole answer.
  [[nodiscard]] std::optional<std::pair<wire::AnswerHead, Bytes>> AwaitAnswer();
  // Whole answers that nobody has awaited.
  [[nodiscard]] std::size_t answer_count() const;
  // Answers are taken but not acknowledged, until they are.
  void Acknowledge(bool now);
  // From now on the rest of an answer is refused: its beginning is not held.
  void LoseHalves();
  // The agent has ended the stream, within the time.
  [[nodiscard]] bool AgentLeft();

 private:
  class Service;
  std::unique_ptr<Service> service_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace consilium::e2e
