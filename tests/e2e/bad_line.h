// A long and bad line, as the kernel knows lines: packets that come late, in another order, or not.
//
// A TUN device in a network namespace of this process's own; what is sent to kThere comes out of it
// here, waits, is thrown away or goes back in as if kThere had sent it to kHere. So whoever listens
// at kHere is dialled at kThere, and both ways lead over the line: like `tc netem`, which asks for
// a kernel module that not every machine has. Loss, resending and congestion are the kernel's own
// TCP.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/rng.h"

namespace consilium::e2e {

struct LineOptions {
  double loss = 0;                     // of packets, each way
  std::int64_t delay_ms = 0;           // one way
  std::int64_t jitter_ms = 0;          // at most so much more or less, each packet for itself
  std::int64_t bytes_per_s = 0;        // of each connection, each way; 0: as fast as can be
  std::int64_t queue_bytes = 1 << 20;  // what waits for its turn before more is thrown away
  int mtu = 1500;                      // bytes of a packet
};

struct LineCounts {
  std::uint64_t packets = 0, lost = 0, bytes = 0;
};

class BadLine {
 public:
  static constexpr char kHere[] = "10.77.0.1";
  static constexpr char kThere[] = "10.77.0.2";

  // Moves this process, and what it starts, into a network of its own, with loopback. Empty, or why
  // that cannot be done here. Twice is once.
  [[nodiscard]] static std::string LeaveTheNetwork();

  explicit BadLine(const LineOptions& options, std::uint64_t seed = 1);
  ~BadLine();
  BadLine(const BadLine&) = delete;
  BadLine& operator=(const BadLine&) = delete;

  [[nodiscard]] LineCounts counts() const;

 private:
  using Packet = std::vector<unsigned char>;
  void Run();
  void Take(Packet packet, std::int64_t now_ns);

  LineOptions options_;
  Rng rng_;
  int device_ = -1;
  int wake_[2] = {-1, -1};
  std::multimap<std::int64_t, Packet> waiting_;  // by when they arrive
  std::map<std::pair<std::uint16_t, std::uint16_t>, std::int64_t> free_at_ns_;  // by ports
  mutable std::mutex mutex_;
  LineCounts counts_;  // guarded by `mutex_`
  std::thread thread_;
};

}  // namespace consilium::e2e
