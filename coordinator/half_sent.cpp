#include "coordinator/half_sent.h"

#include <fmt/format.h>

#include <utility>

namespace consilium::coordinator {

void HalfSent::Keep(const std::string& site, wire::AnswerHead head, std::shared_ptr<Spool> words,
                    std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  halves_[site] = {std::move(head), std::move(words), now_ms};
}

std::uint64_t HalfSent::Held(const std::string& site, const Digest& study,
                             const federation::Binding& binding) const {
  const std::lock_guard lock(mutex_);
  const auto found = halves_.find(site);
  if (found == halves_.end()) return 0;
  const Half& half = found->second;
  return half.head.study == study && half.head.binding == binding ? half.words->arrived() : 0;
}

Result<std::shared_ptr<Spool>> HalfSent::Take(const std::string& site,
                                              const wire::AnswerHead& head) {
  const std::lock_guard lock(mutex_);
  const auto found = halves_.find(site);
  if (found == halves_.end() || found->second.head.study != head.study ||
      found->second.head.receipt != head.receipt || found->second.words->arrived() != head.from) {
    return Fail(
        ErrorCode::kNotFound,
        fmt::format("answer: its first {} bytes are not held here; send all of it", head.from));
  }
  auto words = std::move(found->second.words);
  halves_.erase(found);
  return words;
}

void HalfSent::Forget(const std::string& site) {
  const std::lock_guard lock(mutex_);
  halves_.erase(site);
}

void HalfSent::Tick(std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  std::erase_if(halves_,
                [&](const auto& one) { return now_ms - one.second.since_ms > kHalfSentMs; });
}

}  // namespace consilium::coordinator
