// A proxy as hospitals have them (HTTP CONNECT), which cuts the connections that it carries.
//
// One thread carries all bytes and counts them. Where a connection is cut is drawn from a seed:
// after so many bytes in one of the two directions, counted from when the cuts begin or the
// connection does. Half of the cuts are ends (what came before still arrives), half are resets (it
// may not).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/rng.h"

namespace consilium::e2e {

// A cut comes after this many bytes, or more, but fewer than that; up to 0: none that way.
struct CutRange {
  std::uint64_t from = 0, to = 0;
};
struct CutPlan {
  int cuts = 0;  // after these every connection is left alone
  CutRange up, down;
};

struct ProxyCounts {
  std::uint64_t connections = 0;
  std::uint64_t cuts_up = 0, cuts_down = 0;  // in the middle of what a site, the coordinator said
  std::uint64_t up = 0, down = 0;            // bytes of sites, of the coordinator: what was carried
};

[[nodiscard]] ProxyCounts operator-(const ProxyCounts& a, const ProxyCounts& b);
[[nodiscard]] std::string ToText(const ProxyCounts& counts);

class CuttingProxy {
 public:
  explicit CuttingProxy(std::uint64_t seed);
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  // On loopback; connects to any port of it.
  [[nodiscard]] int port() const { return port_; }
  // From now on, open connections included.
  void Begin(const CutPlan& plan);
  [[nodiscard]] ProxyCounts counts() const;

 private:
  struct Carried;
  void Run();
  void Accept();
  void Draw(Carried& one);
  // False: it is over.
  [[nodiscard]] bool Carry(Carried& one, bool up);
  void Cut(Carried& one, bool up);

  int listener_ = -1, port_ = 0;
  int wake_[2] = {-1, -1};
  mutable std::mutex mutex_;  // guards all below
  Rng rng_;
  CutPlan plan_;
  ProxyCounts counts_;
  std::map<int, std::unique_ptr<Carried>> carried_;  // by the site's socket
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace consilium::e2e
