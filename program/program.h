// What every program of this project does alike at its outermost edge: clocks, signals, how an
// error is told, and what becomes of an exception that nobody expected.
//
// The meaning of exit codes is each program's own; 2 (the command line is wrong) and 70 (a fault of
// the program) are the same everywhere.
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>

#include "base/result.h"

namespace CLI {
class App;
}

namespace consilium::program {

inline constexpr int kExitUsage = 2;
inline constexpr int kExitFault = 70;

// The two clocks, in milliseconds: since 1970, and one that never goes back.
[[nodiscard]] std::int64_t UnixMs();
[[nodiscard]] std::int64_t MonotonicMs();

// Tells `error` as one JSON object on standard output, or as a line on standard error, red on a
// terminal. Returns `exit_code`.
int Tell(const Error& error, int exit_code, bool json);

// SIGTERM and SIGINT, taken by whoever waits for them; SIGPIPE is ignored. Make it before any
// thread: those that are made later have the signals blocked.
class StopSignals {
 public:
  StopSignals();
  void Wait() const;
  // Does `run` to its end. `stop` is called, from another thread, when a signal comes or `run` has
  // ended, whichever is first. Returns what `run` returned.
  [[nodiscard]] Result<void> RunUntil(const std::function<Result<void>()>& run,
                                      const std::function<void()>& stop) const;

 private:
  sigset_t signals_;
};

// For daemons that live for months and hold megabytes for a moment: freed buffers from `bytes` on
// go back to the system at once, and threads share a few heaps (mallopt(3)). Less is less memory,
// and more time for asking for it again. Call it first.
void KeepMemorySmall(int bytes);

// Reads the command line. True: go on. False: `exit_code` is what the program ends with: 0 after
// --help or --version, kExitUsage if the line is wrong (told already).
[[nodiscard]] bool Parse(CLI::App& app, int argc, char** argv, int& exit_code);

// The program itself; an exception that reaches this place is told, and is kExitFault.
int Run(const std::function<int()>& main);

}  // namespace consilium::program
