// Answers whose call broke on the way: what came of them is kept for a while, so that a site on a
// slow or bad line goes on where it was cut instead of at the first byte.
//
// One answer a site, the newest. It is the same answer if its receipt is: the receipt binds
// question and words, and whoever takes the rest holds the whole against it. Thread-safe; time is
// an argument, in monotonic milliseconds.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "coordinator/spool.h"
#include "federation/wire/wire.h"

namespace consilium::coordinator {

inline constexpr std::int64_t kHalfSentMs = 600'000;

class HalfSent {
 public:
  // Keeps `words`, the beginning of the answer of `head`, in place of what was kept of the site.
  void Keep(const std::string& site, wire::AnswerHead head, std::shared_ptr<Spool> words,
            std::int64_t now_ms);
  // Bytes that are kept of the site's answer to this question; 0: none.
  [[nodiscard]] std::uint64_t Held(const std::string& site, const Digest& study,
                                   const federation::Binding& binding) const;
  // The beginning of this very answer, up to `head.from`; it is not kept any more. Errors:
  // kNotFound (there is no such beginning: all of the answer must be sent).
  [[nodiscard]] Result<std::shared_ptr<Spool>> Take(const std::string& site,
                                                    const wire::AnswerHead& head);
  void Forget(const std::string& site);
  // Gives back what nobody has gone on with for kHalfSentMs.
  void Tick(std::int64_t now_ms);

 private:
  struct Half {
    wire::AnswerHead head;
    std::shared_ptr<Spool> words;
    std::int64_t since_ms = 0;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Half> halves_;
};

}  // namespace consilium::coordinator
