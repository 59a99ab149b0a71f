// A network that loses, repeats, delays, reorders and alters messages until it heals, from one
// seed.
//
// Time is virtual: the caller asks when the next message arrives and takes it. Messages may be
// lost; what a machine does on its own disk may not, so local completions have a queue of their own
// (faulty_federation.cpp).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/rng.h"

namespace consilium::simulation {

struct NetworkFaults {
  double loss = 0;         // probability that a message never arrives, [0, 1)
  double duplication = 0;  // that it arrives twice
  double alteration = 0;   // that one of its bytes is changed
  std::int64_t delay_ms_min = 1;
  std::int64_t delay_ms_max = 50;  // uniform, drawn for each copy: later messages overtake
  std::int64_t heals_ms = 0;       // from then on: none of the above, and delay_ms_min
};

struct Delivery {
  std::string from;
  std::string to;
  Bytes message;
};

class FaultyNetwork {
 public:
  // `rng` outlives the network.
  FaultyNetwork(NetworkFaults faults, Rng& rng) : faults_(faults), rng_(rng) {}

  void Send(std::int64_t now_ms, std::string from, std::string to, Bytes message);
  // When the next message arrives; none: nothing is on its way.
  [[nodiscard]] std::optional<std::int64_t> next_ms() const;
  // That message. Of two that arrive together the one sent first comes first. Aborts if there is
  // none.
  [[nodiscard]] Delivery Take();

 private:
  NetworkFaults faults_;
  Rng& rng_;
  std::uint64_t sent_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, Delivery>
      on_the_way_;  // by arrival, then sending
};

}  // namespace consilium::simulation
