#include "program/program.h"

#include <fmt/format.h>
#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <thread>

namespace consilium::program {
namespace {

template <typename Clock>
std::int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch())
      .count();
}

}  // namespace

std::int64_t UnixMs() { return NowMs<std::chrono::system_clock>(); }
std::int64_t MonotonicMs() { return NowMs<std::chrono::steady_clock>(); }

int Tell(const Error& error, int exit_code, bool json) {
  if (json) {
    // What others wrote may be no UTF-8; an error must be told all the same.
    std::cout << nlohmann::json{{"event", "error"},
                                {"code", Name(error.code)},
                                {"exit", exit_code},
                                {"message", error.message}}
                     .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)
              << "\n";
  } else {
    const bool terminal = ::isatty(2) == 1;
    fmt::print(stderr, "{}error{} {}: {}\n", terminal ? "\033[1;31m" : "",
               terminal ? "\033[0m" : "", Name(error.code), error.message);
  }
  return exit_code;
}

StopSignals::StopSignals() : signals_() {
  ::sigemptyset(&signals_);
  ::sigaddset(&signals_, SIGTERM);
  ::sigaddset(&signals_, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
}

void StopSignals::Wait() const {
  int taken = 0;
  ::sigwait(&signals_, &taken);
}

Result<void> StopSignals::RunUntil(const std::function<Result<void>()>& run,
                                   const std::function<void()>& stop) const {
  std::thread waiter([&] {
    Wait();
    stop();
  });
  auto ended = run();
  ::pthread_kill(waiter.native_handle(), SIGTERM);  // also how the waiter learns of the end
  waiter.join();
  return ended;
}

void KeepMemorySmall(int bytes) {
  ::mallopt(M_MMAP_THRESHOLD, bytes);
  ::mallopt(M_TRIM_THRESHOLD, bytes);
  ::mallopt(M_ARENA_MAX, 4);
}

bool Parse(CLI::App& app, int argc, char** argv, int& exit_code) {
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? 0 : kExitUsage;
    return false;
  }
}

int Run(const std::function<int()>& main) {
  try {
    return main();
  } catch (const std::exception& fault) {
    fmt::print(stderr, "error INTERNAL: {}\n", fault.what());
    return kExitFault;
  }
}

}  // namespace consilium::program
