#include "disk/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace consilium::disk {
namespace {

namespace fs = std::filesystem;

std::string Why(int error) {
  std::array<char, 256> text{};
  return ::strerror_r(error, text.data(), text.size());  // GNU: the text, perhaps not in `text`
}

tl::unexpected<Error> CannotWrite(const fs::path& path, int error, std::string_view what) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("{}: {} failed ({}); free space there, then start again",
                              path.string(), what, Why(error)));
    case EFBIG:
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("{}: {} failed ({}); raise the limit on file sizes (LimitFSIZE= of "
                              "the service, ulimit -f), then start again",
                              path.string(), what, Why(error)));
    case EROFS:
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("{}: {} failed ({}); mount the disk writable, or name another folder "
                              "under `state`",
                              path.string(), what, Why(error)));
    case EACCES:
    case EPERM:
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("{}: {} failed ({}); give user {} the right to write there",
                              path.string(), what, Why(error), UserName(::geteuid())));
    default:
      return Fail(ErrorCode::kUnavailable,
                  fmt::format("{}: {} failed ({}); check the disk and the path", path.string(),
                              what, Why(error)));
  }
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  [[nodiscard]] int get() const { return value_; }
  int Release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

// A file size limit must be an error of the call, not the end of the process.
class NoFileSizeSignal {
 public:
  NoFileSizeSignal() {
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGXFSZ, &ignore, nullptr);
  }
};

// All of it, or the error number.
int WriteAll(int descriptor, std::span<const std::uint8_t> bytes) {
  static const NoFileSizeSignal kOnce;
  std::size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t now = ::write(descriptor, bytes.data() + written, bytes.size() - written);
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return errno;
    if (now == 0) return EIO;
    written += static_cast<std::size_t>(now);
  }
  return 0;
}

fs::path FolderOf(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

}  // namespace

std::string UserName(uid_t user) {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return found->pw_name;
  return fmt::format("#{}", user);
}

Result<std::string> ReadFile(const fs::path& path, std::uintmax_t bytes_max) {
  const auto cannot = [&](int error) {
    return Fail(ErrorCode::kNotFound,
                fmt::format("{}: cannot be read ({}); check the path and the rights", path.string(),
                            Why(error)));
  };
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return cannot(errno);
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return cannot(errno);
  if (!S_ISREG(about.st_mode)) {
    return Fail(ErrorCode::kNotFound,
                fmt::format("{}: is {}; expected a file", path.string(),
                            S_ISDIR(about.st_mode) ? "a folder" : "no ordinary file"));
  }
  const auto too_large = [&](std::uintmax_t size) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("{}: {} bytes; expected at most {}", path.string(), size, bytes_max));
  };
  const auto size = static_cast<std::uintmax_t>(about.st_size);
  if (size > bytes_max) return too_large(size);
  std::string text(static_cast<std::size_t>(size) + 1, '\0');  // one more: where the end is
  std::size_t read = 0;
  for (;;) {
    if (read == text.size()) text.resize(2 * text.size());  // it grew meanwhile
    const ssize_t now = ::read(file.get(), text.data() + read, text.size() - read);
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return cannot(errno);
    if (now == 0) break;
    read += static_cast<std::size_t>(now);
    if (read > bytes_max) return too_large(read);
  }
  text.resize(read);
  return text;
}

Result<void> ReadPieces(const fs::path& path, std::uint64_t bytes,
                        const std::function<Result<void>(std::span<const std::uint8_t>)>& take) {
  const auto cannot = [&](std::uint64_t at, std::string_view why) {
    return Fail(ErrorCode::kUnavailable, fmt::format("{}: cannot be read at byte {} of {}: {}",
                                                     path.string(), at, bytes, why));
  };
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return cannot(0, Why(errno));
  Bytes piece(std::min<std::uint64_t>(bytes, std::uint64_t{256} << 10));
  for (std::uint64_t at = 0; at < bytes;) {
    const ssize_t now =
        ::read(file.get(), piece.data(), std::min<std::uint64_t>(piece.size(), bytes - at));
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) return cannot(at, Why(errno));
    if (now == 0) return cannot(at, "it ends there");
    CONSILIUM_TRY(take(std::span(piece).first(static_cast<std::size_t>(now))));
    at += static_cast<std::uint64_t>(now);
  }
  return {};
}

Result<std::string> ReadSecret(const fs::path& path, std::uintmax_t bytes_max) {
  struct stat about {};
  if (::stat(path.c_str(), &about) == 0) {
    if ((about.st_mode & 077) != 0) {
      return Fail(ErrorCode::kPermissionDenied,
                  fmt::format("{}: holds a secret and is open to others (mode {:04o}); run: chmod "
                              "0600 {}",
                              path.string(), about.st_mode & 07777, path.string()));
    }
    if (about.st_uid != ::geteuid()) {
      return Fail(ErrorCode::kPermissionDenied,
                  fmt::format("{}: holds a secret and belongs to {}, this is {}; run this command "
                              "as {}, or: chown {} {}",
                              path.string(), UserName(about.st_uid), UserName(::geteuid()),
                              UserName(about.st_uid), UserName(::geteuid()), path.string()));
    }
  }
  return ReadFile(path, bytes_max);
}

Result<void> SyncFolder(const fs::path& path) {
  const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0) return CannotWrite(path, errno, "opening the folder");
  if (::fsync(folder.get()) != 0) return CannotWrite(path, errno, "flushing the folder");
  return {};
}

Result<void> ReplaceFile(const fs::path& path, std::string_view bytes, mode_t mode) {
  const fs::path beside = path.string() + ".partial";
  const auto fail = [&](int error, std::string_view what) {
    ::unlink(beside.c_str());
    return CannotWrite(path, error, what);
  };
  ::unlink(beside.c_str());  // of a process that was killed here
  {
    const Descriptor file(
        ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (file.get() < 0) return fail(errno, "making the file");
    if (::fchmod(file.get(), mode) != 0) return fail(errno, "setting the rights");
    const int error =
        WriteAll(file.get(), {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    if (error != 0) return fail(error, "writing");
    if (::fsync(file.get()) != 0) return fail(errno, "flushing");
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) return fail(errno, "replacing the file");
  return SyncFolder(FolderOf(path));
}

Result<bool> MakeFolder(const fs::path& path, mode_t mode) {
  struct stat about {};
  if (::stat(path.c_str(), &about) == 0) {
    if (S_ISDIR(about.st_mode)) return false;
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: is no folder; remove it or choose another path", path.string()));
  }
  const fs::path above = FolderOf(path);
  if (above != path) CONSILIUM_TRY(MakeFolder(above, mode));
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno == EEXIST) return false;
    return CannotWrite(path, errno, "making the folder");
  }
  CONSILIUM_TRY(SyncFolder(above));
  return true;
}

// ---- AppendFile ---------------------------------------------------------------------------------

Result<AppendFile> AppendFile::Open(const fs::path& path, std::uint64_t keep_bytes, mode_t mode) {
  const bool is_new = ::access(path.c_str(), F_OK) != 0;
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode));
  if (file.get() < 0) return CannotWrite(path, errno, "opening the file");
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return CannotWrite(path, errno, "opening the file");
  if (static_cast<std::uint64_t>(about.st_size) < keep_bytes) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("{}: has {} bytes, expected at least {}; somebody else changed it",
                            path.string(), about.st_size, keep_bytes));
  }
  if (static_cast<std::uint64_t>(about.st_size) > keep_bytes) {
    if (::ftruncate(file.get(), static_cast<off_t>(keep_bytes)) != 0)
      return CannotWrite(path, errno, "cutting off a torn end");
    if (::fsync(file.get()) != 0) return CannotWrite(path, errno, "flushing");
  }
  if (is_new) CONSILIUM_TRY(SyncFolder(FolderOf(path)));
  return AppendFile(path, file.Release(), keep_bytes);
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      broken_(other.broken_) {}

AppendFile& AppendFile::operator=(AppendFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  std::swap(broken_, other.broken_);
  return *this;
}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> AppendFile::Append(std::span<const std::uint8_t> bytes) {
  if (broken_) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: an earlier write could not be flushed or undone, so nobody knows "
                            "what the disk holds; check the disk and start again",
                            path_.string()));
  }
  if (::lseek(descriptor_, static_cast<off_t>(size_), SEEK_SET) < 0)
    return CannotWrite(path_, errno, "writing");
  if (const int error = WriteAll(descriptor_, bytes); error != 0) {
    // A torn end is cut off again.
    if (::ftruncate(descriptor_, static_cast<off_t>(size_)) != 0) broken_ = true;
    return CannotWrite(path_, error, "writing");
  }
  if (::fdatasync(descriptor_) != 0) {
    const int error = errno;
    broken_ = true;  // the kernel may have dropped the pages: a second flush proves nothing
    return CannotWrite(path_, error, "flushing");
  }
  size_ += bytes.size();
  return {};
}

// ---- TemporaryFolder ----------------------------------------------------------------------------

Result<TemporaryFolder> TemporaryFolder::Make() {
  std::error_code none;
  std::string path = (fs::temp_directory_path(none) / "consilium-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr) return CannotWrite(path, errno, "making the folder");
  return TemporaryFolder(path);
}

TemporaryFolder::TemporaryFolder(TemporaryFolder&& other) noexcept
    : path_(std::exchange(other.path_, {})) {}
TemporaryFolder& TemporaryFolder::operator=(TemporaryFolder&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code none;
  if (!path_.empty()) fs::remove_all(path_, none);
}

// ---- FileLock -----------------------------------------------------------------------------------

namespace {

// The whole file, for one writer. An open file description owns the lock: it ends with the process,
// and looking at it (F_OFD_GETLK) does not disturb whoever wants to take it.
struct flock WholeFile() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

// Takes the lock, or -1 and errno. `how`: F_OFD_SETLK or F_OFD_SETLKW (waits).
int LockedDescriptor(const fs::path& path, int how) {
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return -1;
  struct flock lock = WholeFile();
  while (::fcntl(file.get(), how, &lock) != 0) {
    if (errno != EINTR) return -1;
  }
  return file.Release();
}

Result<void> WriteProcess(const fs::path& path, int descriptor) {
  const std::string text = fmt::format("{}\n", ::getpid());
  if (::ftruncate(descriptor, 0) != 0 || ::lseek(descriptor, 0, SEEK_SET) < 0)
    return CannotWrite(path, errno, "writing");
  const int error =
      WriteAll(descriptor, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  if (error != 0) return CannotWrite(path, error, "writing");
  return {};
}

}  // namespace

Result<FileLock> FileLock::Take(const fs::path& path) {
  const int descriptor = LockedDescriptor(path, F_OFD_SETLK);
  if (descriptor < 0) {
    if (errno != EAGAIN && errno != EACCES) return CannotWrite(path, errno, "taking the lock");
    const pid_t holder = LockHolder(path);
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("{}: is locked by {}; stop it first, or use another folder", path.string(),
                    holder > 0 ? fmt::format("process {}", holder) : "another process"));
  }
  FileLock lock(descriptor);
  CONSILIUM_TRY(WriteProcess(path, descriptor));
  return lock;
}

Result<FileLock> FileLock::Wait(const fs::path& path) {
  const int descriptor = LockedDescriptor(path, F_OFD_SETLKW);
  if (descriptor < 0) return CannotWrite(path, errno, "taking the lock");
  return FileLock(descriptor);
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}
FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

pid_t LockHolder(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return 0;
  struct flock lock = WholeFile();
  if (::fcntl(file.get(), F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return 0;
  std::array<char, 32> text{};
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  pid_t process = 0;
  if (size > 0) std::from_chars(text.data(), text.data() + size, process);
  return process > 0 ? process : -1;
}

}  // namespace consilium::disk
