#include "program/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace consilium::program {

std::string CountdownText(std::int64_t ms) {
  constexpr std::int64_t kSecond = 1000, kHour = 3600 * kSecond, kDay = 24 * kHour;
  ms = std::max<std::int64_t>(0, ms);
  if (ms >= 2 * kDay) return fmt::format("{} days", ms / kDay);
  const std::int64_t seconds = ms / kSecond;
  if (ms >= kHour) {
    return fmt::format("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  }
  return fmt::format("{}:{:02}", seconds / 60, seconds % 60);
}

std::string Bar(double share, int width) {
  const int full = std::clamp(static_cast<int>(share * width), 0, width);
  return std::string(static_cast<std::size_t>(full), '#') +
         std::string(static_cast<std::size_t>(width - full), '.');
}

void LiveLine::Show(double share, const std::string& line, std::int64_t elapsed_ms) {
  if (terminal_) {
    constexpr int kBar = 20;
    fmt::print(stderr, "\r\033[K\033[36m{}\033[0m {}", Bar(share, kBar), line);
    std::fflush(stderr);
  } else if (elapsed_ms >= next_ms_) {
    fmt::print(stderr, "{}\n", line);
    next_ms_ = elapsed_ms + 2000;
  }
}

void LiveLine::End() const {
  if (terminal_) fmt::print(stderr, "\r\033[K");
}

}  // namespace consilium::program
