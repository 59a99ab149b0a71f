#include "federation/computation.h"

namespace consilium::federation {

std::vector<Query> Sums::OpenQueries() const {
  std::vector<Query> queries;
  queries.reserve(open_.size());
  for (const Asked* asked : open_) queries.push_back(asked->query);
  return queries;
}

void Sums::Deliver(std::vector<Total> totals) {
  CONSILIUM_CHECK(totals.size() == open_.size(), "a round has one total for each open query");
  const std::vector<Asked*> answered = std::exchange(open_, {});
  for (std::size_t i = 0; i < answered.size(); ++i) {
    answered[i]->total = std::move(totals[i]);
    Ready(answered[i]->waiter);
  }
  Drain();
}

void Sums::Drain() {
  while (!ready_.empty()) {
    const std::coroutine_handle<> next = ready_.front();
    ready_.pop_front();
    next.resume();
  }
}

}  // namespace consilium::federation
