// Read-only health and figures on the loopback address: plain HTTP, no secrets, no study's content.
//
//   GET /healthz  "ok"                  GET /metrics  Prometheus' text format
//
// A request has 4 KiB and two seconds, 32 connections are open at once; what is refused stands in
// the log. Nothing else of HTTP is spoken.
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "coordinator/hub.h"

namespace consilium::coordinator {

class Health {
 public:
  // Listens on 127.0.0.1 only. `hub` is not owned. Errors: kUnavailable (the port is taken).
  [[nodiscard]] static Result<std::unique_ptr<Health>> Start(Hub& hub, std::uint16_t port);
  ~Health();
  Health(const Health&) = delete;
  Health& operator=(const Health&) = delete;

 private:
  struct Impl;
  explicit Health(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace consilium::coordinator
