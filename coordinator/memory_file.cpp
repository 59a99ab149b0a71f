#include "coordinator/memory_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace consilium::coordinator {
namespace {

tl::unexpected<Error> Failed(std::string_view what) {
  return Fail(ErrorCode::kUnavailable,
              fmt::format("a file in memory cannot be {}: {}; check the limits of this service "
                          "(memory, LimitNOFILE) and that /proc is mounted",
                          what, std::strerror(errno)));
}

// A descriptor with this content, which does not survive exec.
Result<int> Filled(std::string_view bytes) {
  const int descriptor = ::memfd_create("consilium", MFD_CLOEXEC);
  if (descriptor < 0) return Failed("made");
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const auto failed = Failed("written");
      ::close(descriptor);
      return failed;
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return descriptor;
}

}  // namespace

Result<MemoryFile> MemoryFile::Make(std::string_view bytes) {
  const auto descriptor = Filled(bytes);
  CONSILIUM_TRY(descriptor);
  MemoryFile file(*descriptor);
  if (::access(file.path().c_str(), R_OK) != 0) return Failed("opened by its path");
  return file;
}

MemoryFile::~MemoryFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string MemoryFile::path() const { return fmt::format("/proc/self/fd/{}", descriptor_); }

Result<void> MemoryFile::Replace(std::string_view bytes) {
  const auto next = Filled(bytes);
  CONSILIUM_TRY(next);
  const bool exchanged = ::dup3(*next, descriptor_, O_CLOEXEC) == descriptor_;
  const auto failed = exchanged ? Result<void>() : Result<void>(Failed("exchanged"));
  ::close(*next);
  return failed;
}

}  // namespace consilium::coordinator
