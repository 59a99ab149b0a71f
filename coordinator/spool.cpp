#include "coordinator/spool.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

namespace consilium::coordinator {
namespace {

tl::unexpected<Error> DiskError(const std::filesystem::path& folder, std::string_view what) {
  const int reason = errno;
  const bool full = reason == ENOSPC || reason == EDQUOT || reason == EFBIG;
  return Fail(full ? ErrorCode::kResourceExhausted : ErrorCode::kUnavailable,
              fmt::format("{}: {}: {}; the site sends the answer again when this is cured",
                          folder.string(), what, std::strerror(reason)));
}

}  // namespace

Result<std::unique_ptr<Spool>> Spool::Open(const std::filesystem::path& folder, std::uint64_t size) {
  auto spool = std::unique_ptr<Spool>(new Spool(size));
  if (size <= kSpoolMemoryBytes) {
    spool->memory_.reserve(size);
    return spool;
  }
  spool->descriptor_ = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (spool->descriptor_ < 0) return DiskError(folder, "a large answer cannot be kept");
  return spool;
}

Spool::~Spool() { Close(); }

void Spool::Close() {
  if (mapped_ != nullptr) ::munmap(std::exchange(mapped_, nullptr), size_);
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  memory_ = {};
}

Result<void> Spool::Append(std::span<const std::uint8_t> bytes) {
  if (bytes.size() > size_ - arrived_) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("answer: more than the {} bytes that its head announced", size_));
  }
  if (descriptor_ < 0) {
    memory_.insert(memory_.end(), bytes.begin(), bytes.end());
  } else {
    std::size_t at = 0;
    while (at < bytes.size()) {
      const ssize_t written = ::pwrite(descriptor_, bytes.data() + at, bytes.size() - at,
                                       static_cast<off_t>(arrived_ + at));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return DiskError("spool", "an answer cannot be written");
      at += static_cast<std::size_t>(written);
    }
  }
  arrived_ += bytes.size();
  hash_.Append(bytes);
  return {};
}

Result<std::span<const std::uint8_t>> Spool::Words() {
  if (!complete()) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("answer: {} of {} bytes arrived", arrived_, size_));
  }
  if (descriptor_ < 0) return std::span<const std::uint8_t>(memory_);
  if (mapped_ == nullptr) {
    void* at = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor_, 0);
    if (at == MAP_FAILED) return DiskError("spool", "an answer cannot be read back");
    mapped_ = at;
  }
  return std::span<const std::uint8_t>(static_cast<const std::uint8_t*>(mapped_), size_);
}

}  // namespace consilium::coordinator
