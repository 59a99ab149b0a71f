// Files that a coordinator sends: a name that stays in its folder, bytes that are there completely
// or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"

namespace consilium::console {

inline constexpr std::uint64_t kIncomingBytesMax = std::uint64_t{64} << 30;

// [A-Za-z0-9][A-Za-z0-9._-]{0,127}: no separator, no leading dot. Errors: kInvalidArgument.
[[nodiscard]] Result<void> CheckFileName(std::string_view name);

// A file that grows beside its target and replaces it when it is whole; what was begun and not
// finished is removed.
class IncomingFile {
 public:
  // Makes the folder of `target`. Errors: kUnavailable (names the path and the reason).
  [[nodiscard]] static Result<IncomingFile> Begin(std::filesystem::path target);
  IncomingFile(IncomingFile&& other) noexcept;
  IncomingFile& operator=(IncomingFile&&) = delete;
  ~IncomingFile();

  // Errors: kResourceExhausted (no space, or more than kIncomingBytesMax), kUnavailable.
  [[nodiscard]] Result<void> Append(std::string_view bytes);
  // The bytes are on the disk under the target's name when this returns.
  [[nodiscard]] Result<void> Commit();
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  IncomingFile(std::filesystem::path target, std::filesystem::path part, int descriptor)
      : target_(std::move(target)), part_(std::move(part)), descriptor_(descriptor) {}
  std::filesystem::path target_;
  std::filesystem::path part_;
  int descriptor_;
  std::uint64_t bytes_ = 0;
};

}  // namespace consilium::console
