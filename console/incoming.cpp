#include "console/incoming.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <utility>

#include "disk/files.h"
#include "identity/names.h"

namespace consilium::console {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileNameBytesMax = 128;

tl::unexpected<Error> CannotWrite(const fs::path& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return Fail(full ? ErrorCode::kResourceExhausted : ErrorCode::kUnavailable,
              fmt::format("{}: cannot be written ({}); {}", path.string(), std::strerror(error),
                          full ? "free space there, or name another --out"
                               : "name another --out, or correct the rights there"));
}

}  // namespace

Result<void> CheckFileName(std::string_view name) {
  const auto is_letter = [](unsigned char c) { return c < 0x80 && std::isalnum(c) != 0; };
  const bool good =
      !name.empty() && name.size() <= kFileNameBytesMax &&
      is_letter(static_cast<unsigned char>(name.front())) &&
      std::all_of(name.begin(), name.end(), [&](char c) {
        return is_letter(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
      });
  if (good) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("file {}: no name of a report's file; expected letters, digits, '.', '_' "
                          "and '-', at most {}",
                          identity::Quoted(name), kFileNameBytesMax));
}

Result<IncomingFile> IncomingFile::Begin(fs::path target) {
  if (target.has_parent_path()) CONSILIUM_TRY(disk::MakeFolder(target.parent_path(), 0755));
  fs::path part = target;
  part += fmt::format(".part-{}", ::getpid());
  const int descriptor = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) return CannotWrite(target, errno);
  return IncomingFile(std::move(target), std::move(part), descriptor);
}

IncomingFile::IncomingFile(IncomingFile&& other) noexcept
    : target_(std::move(other.target_)),
      part_(std::move(other.part_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      bytes_(other.bytes_) {}

IncomingFile::~IncomingFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(part_.c_str());
}

Result<void> IncomingFile::Append(std::string_view bytes) {
  if (bytes.size() > kIncomingBytesMax - bytes_) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: the coordinator sent more than {} bytes", target_.string(),
                            kIncomingBytesMax));
  }
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return CannotWrite(target_, errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<void> IncomingFile::Commit() {
  if (::fsync(descriptor_) != 0) return CannotWrite(target_, errno);
  if (::rename(part_.c_str(), target_.c_str()) != 0) return CannotWrite(target_, errno);
  ::close(std::exchange(descriptor_, -1));
  return disk::SyncFolder(target_.has_parent_path() ? target_.parent_path() : ".");
}

}  // namespace consilium::console
