// The console's disk: whole files in, whole files out, and the log as it grows.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "federation/log.h"

namespace consilium::console {

// Errors: kNotFound (names the path and the reason), kResourceExhausted (above `bytes_max`).
[[nodiscard]] Result<std::string> ReadFile(const std::filesystem::path& path, std::uintmax_t bytes_max = std::uintmax_t{1} << 34);

// Writes beside the target and renames, so that a full disk leaves the old file. Makes the folder.
// Errors: kUnavailable (names the path and the reason: no space, read-only, ...).
[[nodiscard]] Result<void> WriteFile(const std::filesystem::path& path, std::string_view text);

// A log file; Append flushes to the disk before it returns.
class LogFile : public federation::LogSink {
 public:
  // Truncates what is there, or continues behind `keep_bytes` of it. Errors: kUnavailable.
  [[nodiscard]] static Result<std::unique_ptr<LogFile>> Open(const std::filesystem::path& path, std::uintmax_t keep_bytes = 0);
  ~LogFile() override;
  [[nodiscard]] Result<void> Append(std::span<const std::uint8_t> record) override;
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  LogFile(std::filesystem::path path, int descriptor, std::uint64_t bytes) : path_(std::move(path)), descriptor_(descriptor), bytes_(bytes) {}
  std::filesystem::path path_;
  int descriptor_;
  std::uint64_t bytes_;
};

}  // namespace consilium::console
