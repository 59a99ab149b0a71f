// The hospital's daemon: one outbound connection, studies that wait for approval or run, and a
// worker that answers one question at a time.
//
// Threads: the reader (who calls Run) takes messages off the stream; the worker owns the studies,
// the ledger and the store, and is the only one who computes; the beat says that the site is there,
// whatever the worker does. A connection that breaks is made anew after a pause that grows and is
// drawn at random; what was not acknowledged is sent again, byte for byte.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "site_agent/config.h"
#include "site_agent/store.h"
#include "study/engine.h"

namespace consilium::site_agent {

struct AgentOptions {
  std::int64_t pause_min_ms = 200;  // before the first attempt to connect again
  std::int64_t pause_max_ms = 15'000;
  int renew_days = 30;     // a certificate with less left is renewed
  std::string passphrase;  // of the TLS key, if it is locked
  study::Engine engine = study::MakeEngine();
};

class Agent {
 public:
  // Takes up the site's ledger and every study that has not ended. Errors: the store's, those of
  // the identity (not enrolled; a key that its passphrase does not open).
  [[nodiscard]] static Result<std::unique_ptr<Agent>> Open(const SiteConfig& config,
                                                           SiteStore store, AgentOptions options);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Until Stop. Errors: only what no new connection can cure: the certificate was revoked or has
  // expired, the versions have nothing in common; names the next step.
  [[nodiscard]] Result<void> Run();
  // From any thread (not from a signal's handler).
  void Stop();

 private:
  struct Impl;
  explicit Agent(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace consilium::site_agent
