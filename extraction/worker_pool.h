// Processes that work on requests: what one of them dies of, the others do not notice.
//
// A process reads lines on its standard input and writes lines on its standard output. It gets one
// request at a time; each line that it says is answered with another line, or ends the request. A
// process that ends, is killed, or asks for more memory than it may have costs its request alone; a
// new one takes its place. Images and masks come from anywhere and are read by large libraries, so
// they are read in such processes only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace consilium::extraction {

struct PoolOptions {
  std::vector<std::string> command;  // path, then arguments
  int processes = 1;                 // >= 1
  std::uint64_t memory_bytes = 0;    // of each process's data (RLIMIT_DATA); 0: no limit
  int request_seconds_max = 0;       // a process that takes longer is killed; 0: no limit
};

struct PoolEvents {
  // The next request; nothing: there are no more.
  std::function<std::optional<std::string>()> next;
  // A line that the process said about request `number` (from 0, in the order of `next`): what to
  // say to it (nothing, if empty), or no value if the request is done. An error ends all.
  std::function<Result<std::optional<std::string>>(std::size_t number, std::string_view line)>
      on_line;
  // The process ended before the request was done: how, in a sentence.
  std::function<Result<void>(std::size_t number, const std::string& how)> on_death;
  // Looked at between events; true: kill all processes and return.
  std::function<bool()> stopped;
};

// Returns when all requests are done, or it was stopped. SIGPIPE is ignored from then on. Errors:
// kUnavailable (no process can be started), and those of the events.
[[nodiscard]] Result<void> RunPool(const PoolOptions& options, const PoolEvents& events);

}  // namespace consilium::extraction
