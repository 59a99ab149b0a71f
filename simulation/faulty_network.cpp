#include "simulation/faulty_network.h"

#include "base/result.h"

namespace consilium::simulation {

void FaultyNetwork::Send(std::int64_t now_ms, std::string from, std::string to, Bytes message) {
  const bool healed = now_ms >= faults_.heals_ms;
  const int copies = healed || !rng_.Chance(faults_.duplication) ? 1 : 2;
  for (int copy = 0; copy < copies; ++copy) {
    Delivery delivery{from, to, message};
    std::int64_t delay_ms = faults_.delay_ms_min;
    if (!healed) {
      if (rng_.Chance(faults_.loss)) continue;
      if (!message.empty() && rng_.Chance(faults_.alteration)) {
        delivery.message[rng_.Below(message.size())] ^=
            static_cast<std::uint8_t>(1 + rng_.Below(255));
      }
      delay_ms += static_cast<std::int64_t>(
          rng_.Below(static_cast<std::uint64_t>(faults_.delay_ms_max - faults_.delay_ms_min + 1)));
    }
    on_the_way_.emplace(std::pair(now_ms + delay_ms, sent_++), std::move(delivery));
  }
}

std::optional<std::int64_t> FaultyNetwork::next_ms() const {
  if (on_the_way_.empty()) return std::nullopt;
  return on_the_way_.begin()->first.first;
}

Delivery FaultyNetwork::Take() {
  CONSILIUM_CHECK(!on_the_way_.empty(), "no message is on its way");
  Delivery delivery = std::move(on_the_way_.begin()->second);
  on_the_way_.erase(on_the_way_.begin());
  return delivery;
}

}  // namespace consilium::simulation
