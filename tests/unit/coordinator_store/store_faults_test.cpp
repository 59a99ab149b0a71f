// Killed, full, read-only, locked, damaged, of another version: what is lost, and what is said.
#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>
#include <vector>

#include "coordinator/store.h"
#include "tests/unit/coordinator_store/store_folder.h"

namespace consilium::coordinator {
namespace {

using testing_support::Must;
using testing_support::RandomBytes;
using testing_support::Refused;
using testing_support::StoreWithStudy;
using testing_support::TemporaryFolder;

// A log whose every record is known beforehand: record i follows from the one before it alone.
class KnownLog {
 public:
  explicit KnownLog(const Digest& study) {
    federation::LogHeader header;
    header.engine_version = "test";
    header.study_file = "name: alpha\n";
    header.study = study;
    Add(federation::EncodeRecord(header));
  }
  const Bytes& Record(std::size_t index) {
    while (records_.size() <= index) {
      const std::uint64_t round = records_.size() - 1;
      federation::LogEntry entry;
      entry.binding.round = round;
      // Most are small; one in forty is long enough to be kept in two pieces.
      const std::size_t size = round % 40 == 17 ? 4500000 : Rng(8, "size", round).Below(20000);
      entry.total = RandomBytes(size, 9, round);
      entry.previous = head_;
      Add(federation::EncodeRecord(entry));
    }
    return records_[index];
  }
  Bytes Whole(std::size_t count) {
    Bytes whole;
    for (std::size_t i = 0; i < count; ++i) {
      whole.insert(whole.end(), Record(i).begin(), Record(i).end());
    }
    return whole;
  }

 private:
  void Add(Bytes record) {
    const auto read = federation::NextRecord(record);
    if (!read) std::abort();
    head_ = read->hash;
    records_.push_back(std::move(record));
  }
  std::vector<Bytes> records_;
  Digest head_;
};

std::size_t ChainLength(std::span<const std::uint8_t> log) {
  federation::LogReader reader(log);
  if (!reader.Header()) return 0;
  std::size_t records = 1;
  while (!reader.AtEnd()) {
    const auto entry = reader.Next();
    if (!entry) {
      ADD_FAILURE() << entry.error().message;
      return 0;
    }
    ++records;
  }
  return records;
}

struct Child {
  pid_t pid = 0;
  int from = -1;  // what the child writes
};

// Runs `work` in a process of its own; it ends with _exit, so nothing is closed in good order.
Child Fork(const std::function<void(int to)>& work) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) std::abort();
  const pid_t pid = fork();
  if (pid < 0) std::abort();
  if (pid == 0) {
    close(ends[0]);
    work(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

void Write(int to, const void* data, std::size_t size) {
  if (write(to, data, size) != static_cast<ssize_t>(size)) _exit(9);
}

std::string ReadAll(int from) {
  std::string all;
  std::array<char, 4096> part{};
  for (ssize_t got = 0; (got = read(from, part.data(), part.size())) > 0;) {
    all.append(part.data(), static_cast<std::size_t>(got));
  }
  close(from);
  return all;
}

TEST(StoreFaults, NoAcknowledgedRecordIsLostToFiftyKills) {
  StoreWithStudy at;
  const std::string path = at.store->path();
  at.store.reset();
  KnownLog known(at.study);
  std::size_t count = 0;
  for (std::uint64_t kill = 0; kill < 50; ++kill) {
    SCOPED_TRACE(testing::Message() << "kill " << kill);
    Rng rng(10, "kill", kill);
    const std::uint64_t wanted = 1 + rng.Below(12);
    known.Record(count + 64);  // made here, so that the child only appends
    const Child child = Fork([&](int to) {
      const auto store = Store::Open(path);
      if (!store) _exit(2);
      StoreLog log(**store, at.study, 0);
      for (std::uint64_t i = count;; ++i) {
        if (!log.Append(known.Record(i))) _exit(3);
        const std::uint64_t acknowledged = i + 1;
        Write(to, &acknowledged, sizeof acknowledged);
      }
    });
    std::uint64_t acknowledged = 0;
    std::uint64_t seen = 0;
    while (seen < wanted && read(child.from, &acknowledged, sizeof acknowledged) ==
                                static_cast<ssize_t>(sizeof acknowledged)) {
      ++seen;
    }
    ASSERT_EQ(seen, wanted) << "the child ended by itself";
    ASSERT_EQ(::kill(child.pid, SIGKILL), 0);
    while (read(child.from, &acknowledged, sizeof acknowledged) ==
           static_cast<ssize_t>(sizeof acknowledged)) {
    }
    close(child.from);
    int status = 0;
    ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit code " << WEXITSTATUS(status);

    const auto store = Must(Store::Open(path));
    const std::uint64_t found = Must(store->RecordCount(at.study, 0));
    ASSERT_GE(found, acknowledged) << "an acknowledged record is gone";
    ASSERT_LE(found, acknowledged + 1) << "more than the one that was being written";
    const auto records = Must(store->ReadRecords(at.study, 0, count, ~std::uint64_t{0}));
    ASSERT_EQ(count + records.size(), found);
    for (std::size_t i = 0; i < records.size(); ++i) {
      ASSERT_TRUE(records[i] == known.Record(count + i)) << "record " << count + i;
    }
    count = found;
  }
  const auto store = Must(Store::Open(path));
  const Bytes whole = Must(store->ReadLog(at.study, 0));
  EXPECT_TRUE(whole == known.Whole(count));
  EXPECT_EQ(ChainLength(whole), count);
  EXPECT_TRUE(store->Check().has_value());
  EXPECT_GE(count, 50U);
}

TEST(StoreFaults, AProcessThatEndsInsideAChangeLeavesNoneOfIt) {
  StoreWithStudy at;
  Must(at.store->AppendRecord(at.study, 0, 0, Bytes{1}));
  const std::string path = at.store->path();
  at.store.reset();
  const Child child = Fork([&](int) {
    const auto store = Store::Open(path);
    if (!store) _exit(2);
    (void)(*store)->Atomically([&]() -> Result<void> {
      CONSILIUM_TRY((*store)->SetMeta("half", "done"));
      CONSILIUM_TRY((*store)->AppendRecord(at.study, 0, 1, RandomBytes(9U << 20, 11)));
      _exit(42);
    });
  });
  close(child.from);
  int status = 0;
  ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
  ASSERT_EQ(WEXITSTATUS(status), 42);
  const auto store = Must(Store::Open(path));
  EXPECT_EQ(Must(store->ReadLog(at.study, 0)), Bytes{1});
  EXPECT_EQ(Must(store->FindMeta("half")), std::nullopt);
  EXPECT_TRUE(store->Check().has_value());
}

void CopyFile(const std::string& from, const std::string& to) {
  std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
}

// A machine that loses power leaves the end of the write-ahead log unwritten or torn.
TEST(StoreFaults, AWriteAheadLogTornAnywhereLeavesWholeRecordsFromTheBeginning) {
  StoreWithStudy at;
  KnownLog known(at.study);
  constexpr std::size_t kRecords = 12;
  for (std::size_t i = 0; i < kRecords; ++i) {
    Must(at.store->AppendRecord(at.study, 0, i, known.Record(i)));
  }
  const std::string path = at.store->path();
  const std::string copy = at.folder / "copy.db";
  const auto wal_bytes = std::filesystem::file_size(path + "-wal");
  ASSERT_GT(wal_bytes, 100000U);
  std::size_t fewest = kRecords;
  for (std::uint64_t cut = 0; cut < 60; ++cut) {
    SCOPED_TRACE(testing::Message() << "cut " << cut);
    Rng rng(12, "cut", cut);
    const std::uint64_t keep = rng.Below(wal_bytes + 1);
    CopyFile(path, copy);
    CopyFile(path + "-wal", copy + "-wal");
    if (cut % 2 == 0) {
      std::filesystem::resize_file(copy + "-wal", keep);
    } else {  // as long as before, but from here on what the disk held earlier
      const Bytes noise = RandomBytes(wal_bytes - keep, 13, cut);
      std::fstream wal(copy + "-wal", std::ios::in | std::ios::out | std::ios::binary);
      wal.seekp(static_cast<std::streamoff>(keep));
      wal.write(reinterpret_cast<const char*>(noise.data()),
                static_cast<std::streamsize>(noise.size()));
    }
    const auto store = Store::Open(copy);
    if (!store) {  // torn before the schema itself reached the file
      EXPECT_NE(store.error().code, ErrorCode::kInternal) << store.error().message;
      continue;
    }
    const std::size_t count = Must((*store)->RecordCount(at.study, 0));
    fewest = std::min(fewest, count);
    EXPECT_TRUE(Must((*store)->ReadLog(at.study, 0)) == known.Whole(count));
    EXPECT_TRUE((*store)->Check().has_value());
  }
  EXPECT_LT(fewest, kRecords) << "no cut reached a record: the test looks at nothing";
}

TEST(StoreFaults, AFullStoreKeepsWhatItHasAndGoesOnWhenThereIsSpace) {
  StoreWithStudy at({5000, std::uint64_t{8} << 20});
  std::uint64_t count = 0;
  Result<void> last;
  for (; count < 100 && last; ++count) {
    last = at.store->AppendRecord(at.study, 0, count, RandomBytes(300000, 14, count));
  }
  --count;
  EXPECT_TRUE(Refused(last, ErrorCode::kResourceExhausted, at.store->path()));
  EXPECT_TRUE(Refused(last, ErrorCode::kResourceExhausted, "bytes_max"));
  EXPECT_EQ(Must(at.store->RecordCount(at.study, 0)), count);
  EXPECT_GT(count, 5U);
  at.Reopen();
  EXPECT_EQ(Must(at.store->RecordCount(at.study, 0)), count);
  StoreLog log(*at.store, at.study, 0);
  Must(log.Append(RandomBytes(300000, 14, count)));
  for (std::uint64_t i = 0; i <= count; ++i) {
    EXPECT_TRUE(Must(at.store->ReadRecords(at.study, 0, i, 0)).at(0) == RandomBytes(300000, 14, i));
  }
  EXPECT_TRUE(at.store->Check().has_value());
}

TEST(StoreFaults, AFullDiskUndoesTheWholeChangeEvenIfThePartThatFailedIsForgotten) {
  StoreWithStudy at({5000, std::uint64_t{4} << 20});
  const auto change = at.store->Atomically([&]() -> Result<void> {
    CONSILIUM_TRY(at.store->SetMeta("before", "1"));
    EXPECT_TRUE(Refused(at.store->AppendRecord(at.study, 0, 0, RandomBytes(5U << 20, 15)),
                        ErrorCode::kResourceExhausted));
    (void)at.store->SetMeta("after", "1");
    return {};
  });
  const auto meta = Must(at.store->ListMeta());
  // Both or none of the other two: SQLite may undo the inner change alone, or all of it.
  if (change) {
    EXPECT_EQ(meta.size(), 2U);
  } else {
    EXPECT_TRUE(Refused(change, ErrorCode::kUnavailable, "was undone"));
    EXPECT_TRUE(meta.empty());
  }
  EXPECT_EQ(Must(at.store->RecordCount(at.study, 0)), 0U);
  Must(at.store->SetMeta("later", "1"));
  EXPECT_TRUE(at.store->Check().has_value());
}

// What a child process reported: "CODE: message", a line each.
std::string Told(const Result<void>& result) {
  if (result) return "fine\n";
  return std::string(Name(result.error().code)) + ": " + result.error().message + "\n";
}
template <typename T>
std::string Told(const Result<T>& result) {
  return result ? Told(Result<void>()) : Told(Result<void>(tl::unexpected(result.error())));
}

TEST(StoreFaults, ADiskThatTakesNoMoreBytesIsNamedAndNothingIsLost) {
  StoreWithStudy at;
  KnownLog known(at.study);
  const std::string path = at.store->path();
  at.store.reset();
  const Child child = Fork([&](int to) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit bound{3U << 20, 3U << 20};
    if (setrlimit(RLIMIT_FSIZE, &bound) != 0) _exit(2);
    const auto store = Store::Open(path);
    if (!store) _exit(3);
    StoreLog log(**store, at.study, 0);
    for (std::size_t i = 0; i < 1000; ++i) {
      const auto appended = log.Append(known.Record(i));
      const std::string line = Told(appended);
      Write(to, line.data(), line.size());
      if (!appended) break;
    }
    const std::string line = "count " + std::to_string(Must((*store)->RecordCount(at.study, 0)));
    Write(to, line.data(), line.size());
  });
  const std::string told = ReadAll(child.from);
  int status = 0;
  ASSERT_EQ(waitpid(child.pid, &status, 0), child.pid);
  ASSERT_EQ(WEXITSTATUS(status), 0);
  const std::string refusal = told.substr(std::min(told.rfind("fine\n") + 5, told.size()));
  EXPECT_EQ(refusal.rfind("RESOURCE_EXHAUSTED: store " + path, 0), 0U) << refusal;
  std::size_t fine = 0;
  for (auto found = told.find("fine\n"); found != std::string::npos;
       found = told.find("fine\n", found + 1)) {
    ++fine;
  }
  EXPECT_NE(told.find("count " + std::to_string(fine)), std::string::npos) << told;
  EXPECT_GT(fine, 5U);
  const auto store = Must(Store::Open(path));
  EXPECT_EQ(Must(store->RecordCount(at.study, 0)), fine);
  EXPECT_TRUE(Must(store->ReadLog(at.study, 0)) == known.Whole(fine));
}

// Root may write everywhere, so the children of these tests become somebody who may not.
void BecomeNobody() {
  constexpr unsigned kNobody = 65534;
  if (geteuid() == 0 && (setgid(kNobody) != 0 || setuid(kNobody) != 0)) _exit(8);
}

TEST(StoreFaults, AReadOnlyFolderOrFileIsNamed) {
  StoreWithStudy at;
  const std::string path = at.store->path();
  at.store.reset();
  chmod(path.c_str(), 0444);
  chmod(at.folder.path().c_str(), 0555);
  const auto in_child = [&] {
    const Child child = Fork([&](int to) {
      BecomeNobody();
      const std::string lines = Told(Store::Open(path)) + Told(Store::Create(at.folder / "b.db"));
      Write(to, lines.data(), lines.size());
    });
    const std::string told = ReadAll(child.from);
    waitpid(child.pid, nullptr, 0);
    return told;
  };
  const std::string expected = "UNAVAILABLE: store " + at.folder.path();
  const std::string both = in_child();
  EXPECT_EQ(both.rfind(expected, 0), 0U) << both;
  EXPECT_NE(both.find("\n" + expected), std::string::npos) << both;
  EXPECT_EQ(both.find("fine"), std::string::npos) << both;
  // The file may be written, but nothing beside it.
  chmod(at.folder.path().c_str(), 0755);
  chmod(path.c_str(), 0666);
  const std::string folder_only = in_child();
  EXPECT_EQ(folder_only.rfind(geteuid() == 0 ? expected : "fine", 0), 0U) << folder_only;
  EXPECT_TRUE(Store::Open(path).has_value());
}

TEST(StoreFaults, AMissingFolderIsNamed) {
  const TemporaryFolder folder;
  EXPECT_TRUE(Refused(Store::Create(folder / "no/store.db"), ErrorCode::kUnavailable,
                      folder / "no/store.db"));
  EXPECT_TRUE(
      Refused(Store::Open(folder.path()), ErrorCode::kFailedPrecondition, "no ordinary file"));
}

TEST(StoreFaults, ANewerVersionIsRefusedWithBothVersionsAndLeftAlone) {
  StoreWithStudy at;
  const std::string path = at.store->path();
  at.store.reset();
  SQLite::Database(path, SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 7");
  const auto newer = Store::Open(path);
  EXPECT_TRUE(Refused(newer, ErrorCode::kFailedPrecondition, "version 7"));
  EXPECT_TRUE(Refused(newer, ErrorCode::kFailedPrecondition, "up to version 1"));
  EXPECT_EQ(SQLite::Database(path).execAndGet("PRAGMA user_version").getInt(), 7);
  SQLite::Database(path, SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 0");
  EXPECT_TRUE(Refused(Store::Open(path), ErrorCode::kDataLoss, "version 0"));
}

TEST(StoreFaults, AnotherProgramsFileIsRefused) {
  const TemporaryFolder folder;
  SQLite::Database(folder / "other.db", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec("CREATE TABLE t(x); PRAGMA application_id = 5");
  EXPECT_TRUE(Refused(Store::Open(folder / "other.db"), ErrorCode::kFailedPrecondition,
                      "application id 0x5"));
  std::ofstream(folder / "empty.db").close();
  EXPECT_TRUE(Refused(Store::Open(folder / "empty.db"), ErrorCode::kFailedPrecondition));
  std::ofstream(folder / "text.db") << std::string(5000, 'x');
  EXPECT_TRUE(Refused(Store::Open(folder / "text.db"), ErrorCode::kDataLoss, "damaged"));
}

TEST(StoreFaults, ALockHeldElsewhereIsNamed) {
  StoreWithStudy at;
  at.Reopen({0, 0});
  SQLite::Database other(at.store->path(), SQLite::OPEN_READWRITE);
  other.exec("BEGIN IMMEDIATE");
  EXPECT_TRUE(Refused(at.store->SetMeta("a", "b"), ErrorCode::kUnavailable, "another process"));
  EXPECT_EQ(Must(at.store->FindMeta("a")), std::nullopt) << "reading goes on";
  other.exec("ROLLBACK");
  Must(at.store->SetMeta("a", "b"));
}

TEST(StoreFaults, AnAppendOnlyTableRefusesEveryOtherHand) {
  StoreWithStudy at;
  Must(at.store->AppendRecord(at.study, 0, 0, Bytes{1}));
  Must(at.store->AddEvent(1, "lead", "study.submitted", ""));
  Must(at.store->AddLedgerHead({"MUMC", 1, Sha256("h"), Bytes{1}, 1}));
  SQLite::Database other(at.store->path(), SQLite::OPEN_READWRITE);
  for (const char* sql : {"DELETE FROM events", "UPDATE events SET who = 'x'",
                          "DELETE FROM ledger_heads", "UPDATE ledger_heads SET count = 0",
                          "DELETE FROM log_pieces", "UPDATE log_pieces SET bytes = x'00'"}) {
    EXPECT_THROW(other.exec(sql), SQLite::Exception) << sql;
  }
}

// Whatever bytes are damaged: an error or, inside a record's own bytes, a hash that no longer fits.
TEST(StoreFaults, DamagedBytesAreFoundAndNeverBelieved) {
  StoreWithStudy at;
  KnownLog known(at.study);
  constexpr std::size_t kRecords = 17;  // all small
  for (std::size_t i = 0; i < kRecords; ++i) {
    Must(at.store->AppendRecord(at.study, 0, i, known.Record(i)));
  }
  const std::string path = at.store->path();
  at.store.reset();
  const Bytes whole = known.Whole(kRecords);
  const auto file_bytes = std::filesystem::file_size(path);
  std::size_t found_by_store = 0;
  std::size_t found_by_hash = 0;
  for (std::uint64_t trial = 0; trial < 120; ++trial) {
    SCOPED_TRACE(testing::Message() << "trial " << trial);
    Rng rng(16, "damage", trial);
    const std::string copy = at.folder / "copy.db";
    CopyFile(path, copy);
    std::filesystem::remove(copy + "-wal");
    std::filesystem::remove(copy + "-shm");
    if (trial % 10 == 0) {
      std::filesystem::resize_file(copy, rng.Below(file_bytes));
    } else {
      const Bytes noise = RandomBytes(16, 17, trial);
      std::fstream file(copy, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(rng.Below(file_bytes - 16)));
      file.write(reinterpret_cast<const char*>(noise.data()), 16);
    }
    const auto store = Store::Open(copy);
    if (!store) {
      ++found_by_store;
      EXPECT_NE(store.error().code, ErrorCode::kInternal) << store.error().message;
      continue;
    }
    const auto checked = (*store)->Check();
    const auto log = (*store)->ReadLog(at.study, 0);
    (void)(*store)->ListStudies();
    (void)(*store)->FindStudy(at.study);
    (void)(*store)->ListAttempts(at.study);
    (void)(*store)->SetMeta("a", "b");
    if (!checked) {
      ++found_by_store;
      EXPECT_TRUE(Refused(checked, ErrorCode::kDataLoss, copy));
    } else if (!log) {
      ++found_by_store;
      EXPECT_TRUE(Refused(log, ErrorCode::kDataLoss, copy));
    } else if (*log != whole) {
      federation::LogReader reader(*log);
      bool intact = reader.Header().has_value();
      while (intact && !reader.AtEnd()) intact = reader.Next().has_value();
      EXPECT_FALSE(intact) << "altered records with fitting hashes";
      ++found_by_hash;
    }
  }
  EXPECT_GT(found_by_store, 5U);
  EXPECT_GT(found_by_hash, 5U);
}

TEST(StoreFaults, AnArtifactWhoseBytesChangedIsNotHandedOut) {
  StoreWithStudy at;
  Must(at.store->SetArtifacts(at.study, {{"report.json", Bytes(1000, 'a')}}));
  SQLite::Database(at.store->path(), SQLite::OPEN_READWRITE)
      .exec("UPDATE artifacts SET bytes = zeroblob(1000)");
  EXPECT_TRUE(Refused(at.store->ReadArtifact(at.study, "report.json"), ErrorCode::kDataLoss,
                      "report.json"));
}

TEST(StoreFaults, ARowThatNamesNothingIsFoundByTheCheck) {
  StoreWithStudy at;
  SQLite::Database other(at.store->path(), SQLite::OPEN_READWRITE);
  other.exec("PRAGMA foreign_keys = OFF; UPDATE attempts SET study = '" + Hex(Sha256("x")) + "'");
  EXPECT_TRUE(Refused(at.store->Check(), ErrorCode::kDataLoss, "attempts"));
}

TEST(StoreFaults, OfTwoThatRedeemOneTokenAtOnceOneWins) {
  StoreWithStudy at;
  constexpr int kTokens = 60;
  for (int i = 0; i < kTokens; ++i) {
    Must(at.store->AddToken({Sha256(std::to_string(i)), "MUMC", "site", 1, 1000, {}}));
  }
  std::array<std::vector<bool>, 2> won;
  const auto redeem_all = [&](std::vector<bool>& mine) {
    const auto store = Must(Store::Open(at.store->path(), {60000, 0}));
    for (int i = 0; i < kTokens; ++i) {
      const auto redeemed = store->RedeemToken(Sha256(std::to_string(i)), 500);
      mine.push_back(redeemed.has_value());
      if (!redeemed) {
        EXPECT_TRUE(Refused(redeemed, ErrorCode::kAlreadyExists, "was used at"));
      }
    }
  };
  std::thread other([&] { redeem_all(won[1]); });
  redeem_all(won[0]);
  other.join();
  for (int i = 0; i < kTokens; ++i) {
    const auto place = static_cast<std::size_t>(i);
    EXPECT_NE(won[0][place], won[1][place]) << "token " << i;
  }
}

TEST(StoreBackup, OfAnOpenStoreIsEqualToItAndReplacesNothing) {
  StoreWithStudy at;
  KnownLog known(at.study);
  constexpr std::size_t kRecords = 20;  // the last but one in two pieces
  for (std::size_t i = 0; i < kRecords; ++i) {
    Must(at.store->AppendRecord(at.study, 0, i, known.Record(i)));
  }
  Must(at.store->SetMeta("name", "Lisbon"));
  const std::string path = at.folder / "backup.db";
  Must(at.store->Backup(path));
  EXPECT_TRUE(Refused(at.store->Backup(path), ErrorCode::kAlreadyExists, path));
  EXPECT_TRUE(Refused(at.store->Backup(at.store->path()), ErrorCode::kAlreadyExists));
  EXPECT_TRUE(Refused(at.store->Backup(at.folder / "no/b.db"), ErrorCode::kUnavailable, "no/b.db"));
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
  EXPECT_FALSE(std::filesystem::exists(path + "-wal"));

  const auto copy = Must(Store::Open(path));
  EXPECT_TRUE(copy->Check().has_value());
  EXPECT_EQ(Must(copy->ListMeta()), Must(at.store->ListMeta()));
  EXPECT_TRUE(Must(copy->ReadLog(at.study, 0)) == known.Whole(kRecords));
  EXPECT_EQ(Must(copy->FindStudy(at.study)).file, Must(at.store->FindStudy(at.study)).file);
  Must(copy->AppendRecord(at.study, 0, kRecords, known.Record(kRecords)));
  EXPECT_EQ(Must(at.store->RecordCount(at.study, 0)), kRecords) << "they are two from now on";
}

TEST(StoreBackup, WhileAnotherWritesIsAStateThatWas) {
  StoreWithStudy at;
  KnownLog known(at.study);
  constexpr std::size_t kRecords = 100;
  known.Record(kRecords);
  std::thread writer([&] {
    const auto store = Must(Store::Open(at.store->path(), {60000, 0}));
    StoreLog log(*store, at.study, 0);
    for (std::size_t i = 0; i < kRecords; ++i) Must(log.Append(known.Record(i)));
  });
  std::size_t before = 0;
  for (int i = 0; i < 8; ++i) {
    const std::string path = at.folder / ("backup" + std::to_string(i));
    Must(at.store->Backup(path));
    const auto copy = Must(Store::Open(path));
    const std::size_t count = Must(copy->RecordCount(at.study, 0));
    EXPECT_GE(count, before);
    EXPECT_TRUE(Must(copy->ReadLog(at.study, 0)) == known.Whole(count));
    EXPECT_TRUE(copy->Check().has_value());
    before = count;
  }
  writer.join();
  EXPECT_EQ(Must(at.store->RecordCount(at.study, 0)), kRecords);
}

TEST(StoreBackup, IsNotMadeInTheMiddleOfAChange) {
  StoreWithStudy at;
  Must(at.store->Atomically([&]() -> Result<void> {
    EXPECT_TRUE(
        Refused(at.store->Backup(at.folder / "b.db"), ErrorCode::kFailedPrecondition, "middle"));
    return {};
  }));
  EXPECT_FALSE(std::filesystem::exists(at.folder / "b.db"));
}

}  // namespace
}  // namespace consilium::coordinator
