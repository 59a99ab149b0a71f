#include "extraction/worker_pool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <list>
#include <memory>

#include "base/csv.h"

namespace consilium::extraction {
namespace {

constexpr int kLookForStopMs = 200;
constexpr std::size_t kLineBytesMax = std::size_t{256} << 20;
constexpr std::size_t kWordsBytesMax = 400;

// A file descriptor that is closed with it.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

Error Refused(std::string_view what) {
  return {ErrorCode::kUnavailable, fmt::format("{}: {}; is the machine out of processes or memory?",
                                               what, std::strerror(errno))};
}

class Process {
 public:
  static Result<std::unique_ptr<Process>> Start(const PoolOptions& options) {
    std::array<int, 2> in{}, out{};
    if (::pipe2(in.data(), O_CLOEXEC) != 0) return tl::unexpected(Refused("no pipe can be made"));
    Descriptor child_in(in[0]), parent_out(in[1]);
    if (::pipe2(out.data(), O_CLOEXEC) != 0) return tl::unexpected(Refused("no pipe can be made"));
    Descriptor parent_in(out[0]), child_out(out[1]);
    // What it says on standard error before it dies is the best description of its death.
    Descriptor words(::memfd_create("consilium-extract-words", MFD_CLOEXEC));
    std::vector<char*> argv;
    for (const std::string& word : options.command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return tl::unexpected(Refused("no process can be started"));
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::setpgid(0, 0);  // whatever it starts dies with it
      if (::getppid() != parent) ::_exit(126);
      ::dup2(child_in.get(), 0);
      ::dup2(child_out.get(), 1);
      if (words.get() >= 0) ::dup2(words.get(), 2);
      if (options.memory_bytes > 0) {
        const rlimit limit{options.memory_bytes, options.memory_bytes};
        ::setrlimit(RLIMIT_DATA, &limit);
      }
      const rlimit no_core{0, 0};  // a core would hold patients' images
      ::setrlimit(RLIMIT_CORE, &no_core);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    return std::unique_ptr<Process>(
        new Process(pid, std::move(parent_out), std::move(parent_in), std::move(words)));
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (pid_ > 0) {
      Kill();
      ::waitpid(pid_, nullptr, 0);
    }
  }

  // False: it cannot be told anything any more.
  [[nodiscard]] bool Say(std::string line) const {
    line += '\n';
    for (std::size_t said = 0; said < line.size();) {
      const ssize_t bytes = ::write(out_.get(), line.data() + said, line.size() - said);
      if (bytes < 0 && errno == EINTR) continue;
      if (bytes <= 0) return false;
      said += static_cast<std::size_t>(bytes);
    }
    return true;
  }
  // Takes what it said. False: it says nothing any more.
  [[nodiscard]] bool Hear() {
    std::array<char, 65536> piece{};
    const ssize_t bytes = ::read(in_.get(), piece.data(), piece.size());
    if (bytes < 0 && errno == EINTR) return true;
    if (bytes <= 0 || heard_.size() > kLineBytesMax) return false;
    heard_.append(piece.data(), static_cast<std::size_t>(bytes));
    return true;
  }
  [[nodiscard]] std::optional<std::string> TakeLine() {
    const std::size_t end = heard_.find('\n');
    if (end == std::string::npos) return std::nullopt;
    std::string line = heard_.substr(0, end);
    heard_.erase(0, end + 1);
    return line;
  }
  // Waits for its end and says how it ended.
  [[nodiscard]] std::string Bury() {
    int status = 0;
    ::waitpid(std::exchange(pid_, 0), &status, 0);
    std::string how =
        WIFSIGNALED(status)
            ? fmt::format("the process that read it was ended by signal {} ({}){}",
                          WTERMSIG(status), ::strsignal(WTERMSIG(status)),
                          WTERMSIG(status) == SIGKILL
                              ? ", by a person or for want of memory; run again, with fewer --jobs"
                              : "; leave the case out, or convert its files to NIfTI or NRRD")
            : fmt::format("the process that read it ended with exit code {}", WEXITSTATUS(status));
    std::array<char, kWordsBytesMax> words{};
    const off_t size = ::lseek(words_.get(), 0, SEEK_END);
    const off_t from = std::max<off_t>(0, size - static_cast<off_t>(words.size()));
    const ssize_t bytes = ::pread(words_.get(), words.data(), words.size(), from);
    const auto last = bytes > 0 ? Trimmed({words.data(), static_cast<std::size_t>(bytes)}) : "";
    if (!last.empty()) how += fmt::format("; its last words: {}", last);
    return how;
  }
  [[nodiscard]] int in() const { return in_.get(); }

  // Makes it end; it is heard of when its pipe closes.
  void Kill() const {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);  // before it had a group of its own
  }

  std::optional<std::size_t> request;  // what it works on
  std::chrono::steady_clock::time_point began;
  bool too_slow = false;

 private:
  Process(pid_t pid, Descriptor out, Descriptor in, Descriptor words)
      : pid_(pid), out_(std::move(out)), in_(std::move(in)), words_(std::move(words)) {}

  pid_t pid_;
  Descriptor out_, in_, words_;
  std::string heard_;
};

class Pool {
 public:
  Pool(const PoolOptions& options, const PoolEvents& events) : options_(options), events_(events) {}

  Result<void> Run() {
    // A process may die before it is told anything; that is heard of where it is told.
    ::signal(SIGPIPE, SIG_IGN);
    while (true) {
      CONSILIUM_TRY(HandOut());
      if (working_.empty() || events_.stopped()) return {};
      std::vector<pollfd> waits;
      for (const auto& process : working_) waits.push_back({process->in(), POLLIN, 0});
      ::poll(waits.data(), waits.size(), kLookForStopMs);
      KillTheSlow();
      std::size_t at = 0;
      for (auto process = working_.begin(); process != working_.end(); ++at) {
        const auto next = std::next(process);
        if (waits[at].revents != 0) CONSILIUM_TRY(Attend(process));
        process = next;
      }
    }
  }

 private:
  using Place = std::list<std::unique_ptr<Process>>::iterator;

  // A request for everybody who is idle, and processes up to their number while there are requests.
  Result<void> HandOut() {
    while (!exhausted_ && working_.size() < static_cast<std::size_t>(options_.processes)) {
      auto request = events_.next();
      if (!request) {
        exhausted_ = true;
        break;
      }
      if (idle_.empty()) {
        auto started = Process::Start(options_);
        CONSILIUM_TRY(started);
        idle_.push_back(std::move(*started));
      }
      working_.splice(working_.end(), idle_, idle_.begin());
      working_.back()->request = handed_out_++;
      working_.back()->began = std::chrono::steady_clock::now();
      if (!working_.back()->Say(std::move(*request)))
        CONSILIUM_TRY(Bury(std::prev(working_.end())));
    }
    return {};
  }

  Result<void> Attend(Place process) {
    if (!(*process)->Hear()) return Bury(process);
    while (const auto line = (*process)->TakeLine()) {
      const auto reply = events_.on_line(*(*process)->request, *line);
      CONSILIUM_TRY(reply);
      if (!*reply) {
        idle_.splice(idle_.end(), working_, process);
        return {};
      }
      if (!(*reply)->empty() && !(*process)->Say(**reply)) return Bury(process);
    }
    return {};
  }

  void KillTheSlow() {
    if (options_.request_seconds_max == 0) return;
    const auto now = std::chrono::steady_clock::now();
    for (const auto& process : working_) {
      if (now - process->began < std::chrono::seconds(options_.request_seconds_max)) continue;
      process->too_slow = true;
      process->Kill();
    }
  }

  Result<void> Bury(Place process) {
    const std::size_t request = *(*process)->request;
    std::string how = (*process)->Bury();
    if ((*process)->too_slow) {
      how = fmt::format(
          "it took longer than {} s, which is the limit of this run; allow more "
          "(--case-seconds), or cut or resample the image",
          options_.request_seconds_max);
    }
    working_.erase(process);
    return events_.on_death(request, how);
  }

  const PoolOptions& options_;
  const PoolEvents& events_;
  std::list<std::unique_ptr<Process>> working_, idle_;
  std::size_t handed_out_ = 0;
  bool exhausted_ = false;
};

}  // namespace

Result<void> RunPool(const PoolOptions& options, const PoolEvents& events) {
  return Pool(options, events).Run();
}

}  // namespace consilium::extraction
