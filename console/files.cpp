#include "console/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace consilium::console {
namespace {

std::string Why() {
  return std::strerror(errno);
}  // NOLINT(concurrency-mt-unsafe): one thread writes files

}  // namespace

Result<std::string> ReadFile(const std::filesystem::path& path, std::uintmax_t bytes_max) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return Fail(ErrorCode::kNotFound,
                fmt::format("{}: is a folder; expected a file", path.string()));
  }
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (!error && size > bytes_max) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: {} bytes; expected at most {}", path.string(), size, bytes_max));
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return Fail(ErrorCode::kNotFound,
                fmt::format("{}: cannot be read ({}); check the path and the rights", path.string(),
                            Why()));
  std::stringstream text;
  text << file.rdbuf();
  if (file.bad())
    return Fail(ErrorCode::kNotFound, fmt::format("{}: reading failed ({})", path.string(), Why()));
  return std::move(text).str();
}

Result<void> WriteFile(const std::filesystem::path& path, std::string_view text) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  const std::filesystem::path beside = path.string() + ".partial";
  errno = 0;
  {
    std::ofstream file(beside, std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.flush();
    if (!file) {
      const std::string why = Why();
      std::filesystem::remove(beside, error);
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("{}: cannot be written ({}); free space or choose another --out",
                              path.string(), why));
    }
  }
  std::filesystem::rename(beside, path, error);
  if (error)
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: cannot be replaced ({})", path.string(), error.message()));
  return {};
}

Result<void> CheckWritable(const std::filesystem::path& folder) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(folder, error);
  std::filesystem::path at = whole;
  while (!std::filesystem::exists(at, error) && at.has_relative_path()) at = at.parent_path();
  const auto no = [&](std::string_view why) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: cannot be written into ({}{}); choose another --out",
                            folder.string(), at == whole ? "" : at.string() + ": ", why));
  };
  if (!std::filesystem::is_directory(at, error)) return no("not a folder");
  errno = 0;
  if (::access(at.c_str(), W_OK | X_OK) != 0) return no(Why());
  return {};
}

Result<std::size_t> WholeRecordBytes(std::span<const std::uint8_t> log) {
  std::size_t whole = 0;
  for (std::uint64_t number = 0; whole < log.size(); ++number) {
    const auto rest = log.subspan(whole);
    if (const auto record = federation::NextRecord(rest)) {
      whole += record->size;
      continue;
    }
    // A kill tears the end of a log only: a whole record that does not hold, with others behind it,
    // is damage.
    constexpr std::size_t kLengthBytes = 8, kHashBytes = 32;
    std::uint64_t body = 0;
    for (std::size_t i = 0; i < kLengthBytes && i < rest.size(); ++i)
      body |= std::uint64_t{rest[i]} << (8 * i);
    if (rest.size() > kLengthBytes + kHashBytes && body < rest.size() - kLengthBytes - kHashBytes) {
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("record {} of the log is damaged and {} bytes stand behind it; "
                              "restore the log from a copy, or "
                              "run without --resume to begin again",
                              number, rest.size() - kLengthBytes - kHashBytes - body));
    }
    break;
  }
  return whole;
}

Result<std::unique_ptr<LogFile>> LogFile::Open(const std::filesystem::path& path,
                                               std::uintmax_t keep_bytes) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  const bool is_new = !std::filesystem::exists(path, error);
  errno = 0;
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);  // NOLINT
  if (descriptor < 0) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: the log cannot be written ({}); choose another --out",
                            path.string(), Why()));
  }
  return std::unique_ptr<LogFile>(new LogFile(path, descriptor, keep_bytes, is_new));
}

LogFile::~LogFile() {
  ::close(descriptor_);
  std::error_code error;
  if (!written_ && remove_unwritten_) std::filesystem::remove(path_, error);
}

Result<void> LogFile::Append(std::span<const std::uint8_t> record) {
  if (!written_ && (::ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0 ||
                    ::lseek(descriptor_, 0, SEEK_END) < 0)) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: the log cannot be written ({})", path_.string(), Why()));
  }
  written_ = true;
  std::size_t written = 0;
  while (written < record.size()) {
    const ssize_t now = ::write(descriptor_, record.data() + written, record.size() - written);
    if (now < 0 && errno == EINTR) continue;
    if (now <= 0) {
      const std::string why = Why();
      // A torn record is cut off again; if even that fails, the reader finds the cut.
      if (::ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0) errno = 0;
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("{}: the log cannot be written ({}); free space and resume",
                              path_.string(), why));
    }
    written += static_cast<std::size_t>(now);
  }
  if (::fdatasync(descriptor_) != 0) {
    return Fail(
        ErrorCode::kUnavailable,
        fmt::format("{}: the log cannot be flushed to the disk ({})", path_.string(), Why()));
  }
  bytes_ += record.size();
  return {};
}

}  // namespace consilium::console
