#include "program/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

extern char** environ;

namespace consilium::program {

std::filesystem::path Beside(const std::string& name) {
  std::error_code none;
  return std::filesystem::read_symlink("/proc/self/exe", none).parent_path() / name;
}

Result<std::string> OutputOf(const std::vector<std::string>& command, std::size_t bytes_max) {
  std::array<int, 2> out{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0)
    return Fail(ErrorCode::kNotFound,
                fmt::format("{}: no pipe can be made: {}", command[0], std::strerror(errno)));
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  // Signals that this program takes by waiting are the child's as usual.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int problem = ::posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(out[1]);
  if (problem != 0) {
    ::close(out[0]);
    return Fail(ErrorCode::kNotFound, fmt::format("{} cannot be started: {}; is it installed?",
                                                  command[0], std::strerror(problem)));
  }
  std::string said;
  std::array<char, 65536> piece{};
  while (said.size() <= bytes_max) {
    const ssize_t bytes = ::read(out[0], piece.data(), piece.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) break;
    said.append(piece.data(), static_cast<std::size_t>(bytes));
  }
  ::close(out[0]);
  if (said.size() > bytes_max) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (said.size() > bytes_max)
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{} said more than {} bytes", command[0], bytes_max));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return said;
  return Fail(ErrorCode::kFailedPrecondition,
              fmt::format("{} ended {} {}: {}", command[0],
                          WIFSIGNALED(status) ? "by signal" : "with exit code",
                          WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), said));
}

}  // namespace consilium::program
