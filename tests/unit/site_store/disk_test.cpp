// Files under faults: what was acknowledged is there, what was not is there wholly or not at all.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>

#include "base/rng.h"
#include "disk/files.h"
#include "tests/unit/site_store/site_fixture.h"

namespace consilium::disk {
namespace {

using site_agent::testing::Folder;
using site_agent::testing::Has;
using site_agent::testing::InChild;
using site_agent::testing::Must;
using site_agent::testing::Names;
using site_agent::testing::Slurp;
using site_agent::testing::Spill;

std::span<const std::uint8_t> AsBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TEST(ReplaceFile, LeavesOneFileWithTheNewBytesAndTheRights) {
  const Folder folder;
  const auto path = folder.path() / "a.json";
  Must(disk::ReplaceFile(path, "one"));
  Must(disk::ReplaceFile(path, "two and more"));
  EXPECT_EQ(Slurp(path), "two and more");
  EXPECT_EQ(Names(folder.path()), (std::vector<std::string>{"a.json"}));
  struct stat about {};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0600U);
}

TEST(TemporaryFolder, IsThisUsersAloneAndGoesWithAllThatIsInIt) {
  std::filesystem::path path;
  {
    auto made = Must(disk::TemporaryFolder::Make());
    const auto folder = std::move(made);  // what it was moved from takes nothing away
    path = folder.path();
    struct stat about {};
    ASSERT_EQ(::stat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0700U);
    EXPECT_TRUE(Must(disk::MakeFolder(path / "deeper")));
    Must(disk::ReplaceFile(path / "deeper/a", "bytes"));
    EXPECT_NE(Must(disk::TemporaryFolder::Make()).path(), path);
    EXPECT_TRUE(std::filesystem::exists(path / "deeper/a"));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(ReplaceFile, WhatAKilledProcessLeftBesideIsNoObstacle) {
  const Folder folder;
  Spill(folder.path() / "a.partial", "half");
  Must(disk::ReplaceFile(folder.path() / "a", "whole"));
  EXPECT_EQ(Names(folder.path()), (std::vector<std::string>{"a"}));
}

TEST(ReplaceFile, AFullDiskLeavesTheOldFileAndSaysWhatToDo) {
  const Folder folder;
  const auto path = folder.path() / "a";
  Must(disk::ReplaceFile(path, "old"));
  const int code = InChild([&] {
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto written = disk::ReplaceFile(path, std::string(5000, 'x'));
    if (written) return 1;
    if (written.error().code != ErrorCode::kResourceExhausted) return 2;
    if (!Has(written.error().message, path.string())) return 3;
    if (!Has(written.error().message, "LimitFSIZE=")) return 4;
    return disk::ReplaceFile(path, "new").has_value() ? 0 : 5;  // smaller: it works again
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ(Slurp(path), "new");
  EXPECT_EQ(Names(folder.path()), (std::vector<std::string>{"a"}));
}

TEST(ReplaceFile, AFolderWithoutTheRightToWriteIsNamedWithTheUser) {
  const Folder folder;
  const auto path = folder.path() / "a";
  Must(disk::ReplaceFile(path, "old"));
  ASSERT_EQ(::chmod(folder.path().c_str(), 0555), 0);
  const int code = InChild([&] {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 1;  // rights do not bind root
    const auto written = disk::ReplaceFile(path, "new");
    if (written) return 2;
    if (written.error().code != ErrorCode::kUnavailable) return 3;
    return Has(written.error().message, "the right to write there") ? 0 : 4;
  });
  EXPECT_EQ(code, 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  EXPECT_EQ(Slurp(path), "old");
}

TEST(ReadSecret, IsRefusedWithTheChmodWhileOthersCanReadIt) {
  const Folder folder;
  const auto path = folder.path() / "keys.json";
  for (const mode_t mode : {0640U, 0604U, 0620U, 0644U, 0601U}) {
    Spill(path, "secret", mode);
    const auto read = disk::ReadSecret(path);
    ASSERT_FALSE(read.has_value()) << mode;
    EXPECT_EQ(read.error().code, ErrorCode::kPermissionDenied);
    EXPECT_EQ(read.error().message,
              fmt::format("{0}: holds a secret and is open to others (mode {1:04o}); run: chmod "
                          "0600 {0}",
                          path.string(), mode));
  }
  Spill(path, "secret", 0600);
  EXPECT_EQ(Must(disk::ReadSecret(path)), "secret");
  Spill(path, "secret", 0400);
  EXPECT_TRUE(disk::ReadSecret(path).has_value());
}

TEST(ReadFile, TellsAFolderALimitAndWhatIsNotThere) {
  const Folder folder;
  EXPECT_TRUE(Has(disk::ReadFile(folder.path()).error().message, "is a folder; expected a file"));
  EXPECT_EQ(disk::ReadFile(folder.path() / "none").error().code, ErrorCode::kNotFound);
  Spill(folder.path() / "a", "12345");
  EXPECT_EQ(Must(disk::ReadFile(folder.path() / "a", 5)), "12345");
  const auto large = disk::ReadFile(folder.path() / "a", 4);
  ASSERT_FALSE(large.has_value());
  EXPECT_EQ(large.error().code, ErrorCode::kResourceExhausted);
  Spill(folder.path() / "empty", "");
  EXPECT_EQ(Must(disk::ReadFile(folder.path() / "empty")), "");
}

TEST(AppendFile, ContinuesBehindWhatIsKeptAndCutsOffTheRest) {
  const Folder folder;
  const auto path = folder.path() / "log";
  {
    auto file = Must(disk::AppendFile::Open(path, 0));
    Must(file.Append(AsBytes("one ")));
    Must(file.Append(AsBytes("two ")));
    EXPECT_EQ(file.size(), 8U);
  }
  auto file = Must(disk::AppendFile::Open(path, 4));
  EXPECT_EQ(Slurp(path), "one ");
  Must(file.Append(AsBytes("three")));
  EXPECT_EQ(Slurp(path), "one three");
  const auto missing = disk::AppendFile::Open(path, 100);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kDataLoss);
  EXPECT_EQ(Slurp(path), "one three");
}

TEST(AppendFile, AFullDiskUndoesTheHalfWrittenRecordAndLaterOnesSucceed) {
  const Folder folder;
  const auto path = folder.path() / "log";
  const int code = InChild([&] {
    rlimit limit{10, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto file = Must(disk::AppendFile::Open(path, 0));
    if (!file.Append(AsBytes("12345678"))) return 1;
    const auto full = file.Append(AsBytes("abcdef"));  // two bytes of it fit
    if (full || full.error().code != ErrorCode::kResourceExhausted) return 2;
    if (Slurp(path) != "12345678" || file.size() != 8) return 3;
    if (!file.Append(AsBytes("9")) || Slurp(path) != "123456789") return 4;
    limit.rlim_cur = RLIM_INFINITY;  // somebody made room
    ::setrlimit(RLIMIT_FSIZE, &limit);
    return file.Append(AsBytes("abcdef")) && Slurp(path) == "123456789abcdef" ? 0 : 5;
  });
  EXPECT_EQ(code, 0);
}

TEST(AppendFile, KilledAtAnyMomentKeepsEverythingThatWasAcknowledged) {
  // A child appends numbered blocks and says each over a pipe; it is killed at a random moment.
  Rng rng(5, "append and kill");
  std::size_t torn = 0;
  for (int round = 0; round < 50; ++round) {
    const Folder folder;
    const auto path = folder.path() / "log";
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      auto file = disk::AppendFile::Open(path, 0);
      for (std::uint32_t i = 0; file && i < 1'000'000; ++i) {
        const Bytes block(1 + (i * 7919) % 60'000, static_cast<std::uint8_t>(i));
        if (!file->Append(block) || ::write(ends[1], &i, sizeof i) != sizeof i) break;
      }
      ::_exit(1);
    }
    ::close(ends[1]);
    // The moment: after so many acknowledgements, and some turns of a loop.
    std::uint32_t acknowledged = 0, count = 0;
    const auto wanted = static_cast<std::uint32_t>(1 + rng.Below(20));
    while (count<wanted&& ::read(ends[0], &acknowledged, sizeof acknowledged)> 0) ++count;
    site_agent::testing::Linger(rng.Below(400'000));
    ::kill(child, SIGKILL);
    while (::read(ends[0], &acknowledged, sizeof acknowledged) > 0) ++count;
    ::close(ends[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child was to be killed, not to end";
    const std::string text = Slurp(path);
    std::size_t at = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::size_t size = 1 + (i * 7919) % 60'000;
      ASSERT_LE(at + size, text.size()) << "block " << i << " was acknowledged";
      ASSERT_EQ(text.substr(at, size), std::string(size, static_cast<char>(i)));
      at += size;
    }
    torn += text.size() > at ? 1U : 0U;
    // At most one block more, perhaps not whole.
    ASSERT_LE(text.size(), at + 1 + (count * 7919U) % 60'000);
  }
  RecordProperty("files_with_more_than_acknowledged", static_cast<int>(torn));
}

TEST(FileLock, KeepsASecondProcessOutAndNamesTheFirst) {
  const Folder folder;
  const auto path = folder.path() / "lock";
  EXPECT_EQ(disk::LockHolder(path), 0);
  {
    const disk::FileLock lock = Must(disk::FileLock::Take(path));
    EXPECT_EQ(disk::LockHolder(path), ::getpid());
    const int code = InChild([&] {
      const auto second = disk::FileLock::Take(path);
      if (second) return 1;
      if (second.error().code != ErrorCode::kFailedPrecondition) return 2;
      return Has(second.error().message, fmt::format("locked by process {};", ::getppid())) ? 0 : 3;
    });
    EXPECT_EQ(code, 0);
  }
  EXPECT_EQ(disk::LockHolder(path), 0);
  EXPECT_TRUE(disk::FileLock::Take(path).has_value());
}

TEST(FileLock, EndsWithAProcessThatIsKilled) {
  const Folder folder;
  const auto path = folder.path() / "lock";
  const int code = InChild([&] {
    const auto lock = disk::FileLock::Take(path);
    return ::kill(::getpid(), SIGKILL);
  });
  EXPECT_EQ(code, -SIGKILL);
  EXPECT_EQ(disk::LockHolder(path), 0);
  EXPECT_TRUE(disk::FileLock::Take(path).has_value());
}

}  // namespace
}  // namespace consilium::disk
