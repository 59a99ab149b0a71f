// The words of one answer while they arrive: small ones in memory, large ones there too as long as
// a fixed room lasts, else in a file that has no name; so that memory does not grow with the number
// of sites and nothing is left after a crash.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "base/sha256_stream.h"

namespace consilium::coordinator {

inline constexpr std::size_t kSpoolMemoryBytes = std::size_t{256} << 10;
inline constexpr std::int64_t kSpoolRoomBytes = std::int64_t{9} << 20;  // for all large ones

// What large answers may take of the memory, together. Thread-safe.
class SpoolRoom {
 public:
  explicit SpoolRoom(std::int64_t bytes = kSpoolRoomBytes) : left_(bytes) {}
  // False: there is not so much left, and nothing was taken.
  [[nodiscard]] bool Take(std::uint64_t bytes);
  void GiveBack(std::uint64_t bytes);

 private:
  std::atomic<std::int64_t> left_;
};

class Spool {
 public:
  // Room for `size` bytes; `room` outlives it. Errors: kResourceExhausted, kUnavailable (the disk).
  [[nodiscard]] static Result<std::unique_ptr<Spool>> Open(const std::filesystem::path& folder,
                                                           std::uint64_t size, SpoolRoom& room);
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
  Spool(std::uint64_t size, SpoolRoom& room) : size_(size), room_(room) {}
  std::uint64_t size_;
  SpoolRoom& room_;
  bool took_room_ = false;
  std::uint64_t arrived_ = 0;
  Sha256Stream hash_;
  Bytes memory_;
  int descriptor_ = -1;
  void* mapped_ = nullptr;
};

}  // namespace consilium::coordinator
