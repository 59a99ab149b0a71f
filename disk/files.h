// Files that survive: what is written is there completely after a crash, or not at all.
//
// POSIX. A whole file is written beside its target, flushed, renamed over it, and the folder is
// flushed; an appending file is written and flushed, and a write that failed half-way is cut off
// again. Errors of every writer: kResourceExhausted (no space, quota, file size limit),
// kUnavailable (read-only, no right, input or output error); each names the path, the reason and
// what to do.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace consilium::disk {

// The name of a user of this machine; "#1001" if it has none.
[[nodiscard]] std::string UserName(uid_t user);

// A whole file. Errors: kNotFound (there is none, or it cannot be opened or read: says why),
// kResourceExhausted (more than `bytes_max`).
[[nodiscard]] Result<std::string> ReadFile(const std::filesystem::path& path,
                                           std::uintmax_t bytes_max = std::uintmax_t{1} << 34);

// The first `bytes` of a file, in order, in pieces of at most 256 KiB. Errors: kUnavailable (it
// cannot be read, or is shorter), `take`'s.
[[nodiscard]] Result<void> ReadPieces(
    const std::filesystem::path& path, std::uint64_t bytes,
    const std::function<Result<void>(std::span<const std::uint8_t>)>& take);

// As ReadFile, of a file that nobody but its owner may read. Errors also: kPermissionDenied (others
// can read or write it: gives the chmod; it is somebody else's: gives the chown).
[[nodiscard]] Result<std::string> ReadSecret(const std::filesystem::path& path,
                                             std::uintmax_t bytes_max = std::uintmax_t{1} << 20);

// Replaces the file, or makes it; its folder must be there.
[[nodiscard]] Result<void> ReplaceFile(const std::filesystem::path& path, std::string_view bytes,
                                       mode_t mode = 0600);

// Makes the folder and those above it with this mode. False: it was there.
[[nodiscard]] Result<bool> MakeFolder(const std::filesystem::path& path, mode_t mode = 0700);

// The folder's own entries (names of files made or renamed in it) reach the disk.
[[nodiscard]] Result<void> SyncFolder(const std::filesystem::path& path);

// A file that grows at its end.
class AppendFile {
 public:
  // Continues behind `keep_bytes` of what is there; what stands behind is cut off. Made if absent.
  [[nodiscard]] static Result<AppendFile> Open(const std::filesystem::path& path,
                                               std::uint64_t keep_bytes, mode_t mode = 0600);
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;
  ~AppendFile();

  // Returns when the bytes are on the disk. After an error the file is as it was before the call
  // and the call may be repeated; only after a failed flush nobody knows what the disk holds, and
  // every later call is refused (kUnavailable: start again).
  [[nodiscard]] Result<void> Append(std::span<const std::uint8_t> bytes);
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  AppendFile(std::filesystem::path path, int descriptor, std::uint64_t size)
      : path_(std::move(path)), descriptor_(descriptor), size_(size) {}
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
  bool broken_ = false;
};

// A new folder below the system's temporary one that only this user can look into; it goes with
// this, with all that is in it.
class TemporaryFolder {
 public:
  [[nodiscard]] static Result<TemporaryFolder> Make();
  TemporaryFolder(TemporaryFolder&& other) noexcept;
  TemporaryFolder& operator=(TemporaryFolder&& other) noexcept;
  ~TemporaryFolder();
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;  // empty: moved from
};

// A lock that one process holds on a file, until it ends or drops this (fcntl, F_OFD_SETLK).
class FileLock {
 public:
  // Takes the lock and writes this process's id into the file. Errors: kFailedPrecondition
  // (somebody else holds it: names the process id).
  [[nodiscard]] static Result<FileLock> Take(const std::filesystem::path& path);
  // The same, but waits until the lock is free.
  [[nodiscard]] static Result<FileLock> Wait(const std::filesystem::path& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

// The id of the process that holds the lock; 0: nobody does; -1: somebody who left no id. Only
// looks: it never keeps anybody from taking the lock.
[[nodiscard]] pid_t LockHolder(const std::filesystem::path& path);

}  // namespace consilium::disk
