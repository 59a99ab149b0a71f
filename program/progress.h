// Long work, told: one line that is written over on a terminal, a line now and then elsewhere.
#pragma once

#include <cstdint>
#include <string>

namespace consilium::program {

// "3:40", "1:03:40", "3 days" from 48 hours on; nothing is negative.
[[nodiscard]] std::string CountdownText(std::int64_t ms);

// `share` of 1 as '#' and '.', `width` characters.
[[nodiscard]] std::string Bar(double share, int width);

// On standard error.
class LiveLine {
 public:
  explicit LiveLine(bool terminal) : terminal_(terminal) {}
  // `elapsed_ms` since the work began: where there is no terminal, a line every two seconds.
  void Show(double share, const std::string& line, std::int64_t elapsed_ms);
  // Clears the line, so that what follows begins at the left.
  void End() const;

 private:
  bool terminal_;
  std::int64_t next_ms_ = 0;
};

}  // namespace consilium::program
