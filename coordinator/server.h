// The coordinator's gRPC edge: sockets, TLS and stubs; every decision is the hub's.
//
// Three listeners: enrolment (server TLS, one call), work (mutual TLS: Sites and Console), and
// health (plain HTTP, loopback only, read-only). gRPC's callback API: a few threads for any number
// of streams. Limits: messages of wire::kMessageBytesMax, streams per connection, handshakes,
// hellos and half-sent answers by time, every member by guard.h. Who is refused is named in the
// log, also by TLS: gRPC's own log is read for that, so one Server a process has it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "coordinator/hub.h"

namespace consilium::coordinator {

struct ServerOptions {
  std::string listen = "0.0.0.0";    // of the work and enrolment listeners
  std::int64_t stalled_ms = 60'000;  // a half-sent answer without a byte for so long is dropped
  std::int64_t hello_ms = 10'000;    // a stream whose hello does not come is closed
  std::int64_t slowest_bytes_per_s = 16'384;  // of an answer as a whole, beside stalled_ms
  int streams_per_connection = 32;
  int certificate_look_s = 60;  // within so many seconds a renewed certificate is shown
};

class Server {
 public:
  // Listens on the ports of the hub's home. `hub` is not owned and outlives the server.
  // Errors: kUnavailable (a port is taken: names it and the next step).
  [[nodiscard]] static Result<std::unique_ptr<Server>> Start(Hub& hub,
                                                             const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  // A new certificate for both listeners, if one is due at now_s (home.h, RenewServer). True: new
  // connections see it within certificate_look_s; open ones go on as they are. To be called every
  // hour or so, by one thread. Errors: RenewServer's and MemoryFile's; the old one is shown then.
  [[nodiscard]] Result<bool> RenewCertificate(std::int64_t now_s);
  // What the listeners show; for the thread that renews it.
  [[nodiscard]] const ServerIdentity& shown() const;
  // Takes no new call, ends the open ones within `grace_ms`.
  void Stop(std::int64_t grace_ms);

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace consilium::coordinator
