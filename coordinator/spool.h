// The words of one answer while they arrive: small ones in memory, large ones in a file that has no
// name, so that memory does not grow with the number of sites and nothing is left after a crash.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "base/sha256_stream.h"

namespace consilium::coordinator {

inline constexpr std::size_t kSpoolMemoryBytes = std::size_t{256} << 10;

class Spool {
 public:
  // Room for `size` bytes. Errors: kResourceExhausted, kUnavailable (the disk).
  [[nodiscard]] static Result<std::unique_ptr<Spool>> Open(const std::filesystem::path& folder,
                                                           std::uint64_t size);
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // Errors: kInvalidArgument (more than was announced), kResourceExhausted, kUnavailable.
  [[nodiscard]] Result<void> Append(std::span<const std::uint8_t> bytes);
  [[nodiscard]] bool complete() const { return arrived_ == size_; }
  [[nodiscard]] std::uint64_t arrived() const { return arrived_; }
  // All bytes, mapped. Errors: kFailedPrecondition (not complete), kUnavailable.
  [[nodiscard]] Result<std::span<const std::uint8_t>> Words();
  // SHA-256 of all bytes, made while they came. Once, when they are complete.
  [[nodiscard]] Digest TakeDigest() { return hash_.Finish(); }
  // Gives back memory, mapping and file; what Words gave is no more.
  void Close();

 private:
  explicit Spool(std::uint64_t size) : size_(size) {}
  std::uint64_t size_;
  std::uint64_t arrived_ = 0;
  Sha256Stream hash_;
  Bytes memory_;
  int descriptor_ = -1;
  void* mapped_ = nullptr;
};

}  // namespace consilium::coordinator
