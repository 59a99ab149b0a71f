// The console's disk: whole files in, whole files out, and the log as it grows.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "federation/log.h"

namespace consilium::console {

// Errors: kNotFound (names the path and the reason), kResourceExhausted (above `bytes_max`).
[[nodiscard]] Result<std::string> ReadFile(const std::filesystem::path& path,
                                           std::uintmax_t bytes_max = std::uintmax_t{1} << 34);

// Writes beside the target and renames, so that a full disk leaves the old file. Makes the folder.
// Errors: kUnavailable (names the path and the reason: no space, read-only, ...).
[[nodiscard]] Result<void> WriteFile(const std::filesystem::path& path, std::string_view text);

// Can files be written into `folder`, or could it be made? Nothing is made or written.
// Errors: kUnavailable (names the path and the reason: a file in the way, no right, read-only).
[[nodiscard]] Result<void> CheckWritable(const std::filesystem::path& folder);

// How many bytes of a log that a killed run left are whole records: a torn last record is not
// counted. Errors: kDataLoss (a record before the last is damaged: what follows it would be lost).
[[nodiscard]] Result<std::size_t> WholeRecordBytes(std::span<const std::uint8_t> log);

// A log file; Append flushes to the disk before it returns. The first Append cuts off what is not
// kept: a run that is refused before it leaves the file of an earlier run as it is, or none.
class LogFile : public federation::LogSink {
 public:
  // Begins anew, or continues behind `keep_bytes` of what is there. Errors: kUnavailable.
  [[nodiscard]] static Result<std::unique_ptr<LogFile>> Open(const std::filesystem::path& path,
                                                             std::uintmax_t keep_bytes = 0);
  ~LogFile() override;
  [[nodiscard]] Result<void> Append(std::span<const std::uint8_t> record) override;
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  LogFile(std::filesystem::path path, int descriptor, std::uint64_t bytes, bool is_new)
      : path_(std::move(path)), descriptor_(descriptor), bytes_(bytes), remove_unwritten_(is_new) {}
  std::filesystem::path path_;
  int descriptor_;
  std::uint64_t bytes_;
  bool written_ = false;
  bool remove_unwritten_;  // the file was not there before
};

}  // namespace consilium::console
