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

std::string Why() { return std::strerror(errno); }  // NOLINT(concurrency-mt-unsafe): one thread writes files

}  // namespace

Result<std::string> ReadFile(const std::filesystem::path& path, std::uintmax_t bytes_max) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return Fail(ErrorCode::kNotFound, fmt::format("{}: is a folder; expected a file", path.string()));
  }
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (!error && size > bytes_max) {
    return Fail(ErrorCode::kResourceExhausted, fmt::format("{}: {} bytes; expected at most {}", path.string(), size, bytes_max));
  }
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(ErrorCode::kNotFound, fmt::format("{}: cannot be read ({}); check the path and the rights", path.string(), Why()));
  std::stringstream text;
  text << file.rdbuf();
  if (file.bad()) return Fail(ErrorCode::kNotFound, fmt::format("{}: reading failed ({})", path.string(), Why()));
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
      return Fail(ErrorCode::kUnavailable, fmt::format("{}: cannot be written ({}); free space or choose another --out", path.string(), why));
    }
  }
  std::filesystem::rename(beside, path, error);
  if (error) return Fail(ErrorCode::kUnavailable, fmt::format("{}: cannot be replaced ({})", path.string(), error.message()));
  return {};
}

Result<std::unique_ptr<LogFile>> LogFile::Open(const std::filesystem::path& path, std::uintmax_t keep_bytes) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  errno = 0;
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);  // NOLINT
  if (descriptor < 0 || ::ftruncate(descriptor, static_cast<off_t>(keep_bytes)) != 0 || ::lseek(descriptor, 0, SEEK_END) < 0) {
    const std::string why = Why();
    if (descriptor >= 0) ::close(descriptor);
    return Fail(ErrorCode::kUnavailable, fmt::format("{}: the log cannot be opened for writing ({})", path.string(), why));
  }
  return std::unique_ptr<LogFile>(new LogFile(path, descriptor, keep_bytes));
}

LogFile::~LogFile() { ::close(descriptor_); }

Result<void> LogFile::Append(std::span<const std::uint8_t> record) {
  std::size_t written = 0;
  while (written < record.size()) {
    const ssize_t now = ::write(descriptor_, record.data() + written, record.size() - written);
    if (now < 0 && errno == EINTR) continue;
    if (now <= 0) {
      const std::string why = Why();
      // A torn record is cut off again; if even that fails, the reader finds the cut.
      if (::ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0) errno = 0;
      return Fail(ErrorCode::kUnavailable, fmt::format("{}: the log cannot be written ({}); free space and resume", path_.string(), why));
    }
    written += static_cast<std::size_t>(now);
  }
  if (::fdatasync(descriptor_) != 0) {
    return Fail(ErrorCode::kUnavailable, fmt::format("{}: the log cannot be flushed to the disk ({})", path_.string(), Why()));
  }
  bytes_ += record.size();
  return {};
}

}  // namespace consilium::console
