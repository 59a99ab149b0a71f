// The records of a log: what goes in comes out, whatever its size and however it is asked for.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <sys/mman.h>

#include <numeric>

#include "coordinator/store.h"
#include "tests/unit/coordinator_store/store_folder.h"

namespace consilium::coordinator {
namespace {

using testing_support::Must;
using testing_support::RandomBytes;
using testing_support::Refused;
using testing_support::StoreWithStudy;

TEST(StoreRecords, OfEverySizeComeBackThroughEveryDoor) {
  constexpr std::size_t kPiece = std::size_t{4} << 20;
  StoreWithStudy at;
  StoreLog log(*at.store, at.study, 0);
  std::vector<Bytes> records;
  Bytes whole;
  for (const std::size_t size :
       {std::size_t{1}, kPiece - 1, kPiece, kPiece + 1, 2 * kPiece, 16 * kPiece + 5}) {
    records.push_back(RandomBytes(size, 5, size));
    whole.insert(whole.end(), records.back().begin(), records.back().end());
    Must(log.Append(records.back()));
  }
  at.Reopen();
  EXPECT_EQ(Must(at.store->RecordCount(at.study, 0)), records.size());
  EXPECT_TRUE(Must(at.store->ReadLog(at.study, 0)) == whole);
  EXPECT_TRUE(Must(at.store->ReadRecords(at.study, 0, 0, ~std::uint64_t{0})) == records);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto one = Must(at.store->ReadRecords(at.study, 0, i, 0));
    ASSERT_EQ(one.size(), 1U);
    EXPECT_TRUE(one[0] == records[i]) << "record " << i;
  }
}

TEST(StoreRecords, ComeInWholeOnesUpToTheLimit) {
  rc::check("records from any place under any limit are a run of what was appended", [] {
    StoreWithStudy at;
    const auto sizes = *rc::gen::nonEmpty(
        rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 20000)));
    std::vector<Bytes> records;
    for (const std::size_t size : sizes) {
      records.push_back(RandomBytes(size, 6, records.size()));
      Must(at.store->AppendRecord(at.study, 0, records.size() - 1, records.back()));
    }
    const auto from = *rc::gen::inRange<std::size_t>(0, records.size() + 2);
    const auto limit = *rc::gen::inRange<std::uint64_t>(0, 60000);
    const auto got = Must(at.store->ReadRecords(at.study, 0, from, limit));
    std::uint64_t bytes = 0;
    std::size_t expected = 0;
    while (from + expected < records.size() &&
           (expected == 0 || bytes + records[from + expected].size() <= limit)) {
      bytes += records[from + expected++].size();
      if (bytes > limit) break;
    }
    RC_ASSERT(got.size() == expected);
    for (std::size_t i = 0; i < got.size(); ++i) RC_ASSERT(got[i] == records[from + i]);
  });
}

TEST(StoreRecords, StreamInPiecesThatMakeTheWholeAndStopWhenToldTo) {
  StoreWithStudy at;
  const Bytes record = RandomBytes(9U << 20, 7);
  Must(at.store->AppendRecord(at.study, 0, 0, record));
  Bytes streamed;
  std::size_t calls = 0;
  Must(at.store->StreamLog(at.study, 0, [&](std::span<const std::uint8_t> piece) -> Result<void> {
    ++calls;
    EXPECT_LE(piece.size(), std::size_t{4} << 20) << "memory does not grow with the record";
    streamed.insert(streamed.end(), piece.begin(), piece.end());
    return {};
  }));
  EXPECT_TRUE(streamed == record);
  EXPECT_EQ(calls, 3U);
  const auto stopped =
      at.store->StreamLog(at.study, 0, [](std::span<const std::uint8_t>) -> Result<void> {
        return Fail(ErrorCode::kOutOfRange, "enough");
      });
  EXPECT_TRUE(Refused(stopped, ErrorCode::kOutOfRange, "enough"));
  Must(at.store->AppendRecord(at.study, 0, 1, Bytes{1}));
}

TEST(StoreRecords, OfDifferentAttemptsAndStudiesDoNotMix) {
  StoreWithStudy at;
  Must(at.store->AddStudy(testing_support::SmallStudy("beta"), 1));
  const Digest beta = testing_support::SmallStudy("beta").id;
  Must(at.store->BeginAttempt(beta, 0, {}, 1));
  Must(at.store->AppendRecord(at.study, 0, 0, Bytes{1}));
  Must(at.store->AppendRecord(beta, 0, 0, Bytes{2}));
  Must(at.store->EndAttempt(at.study, 0, "", 2));
  Must(at.store->BeginAttempt(at.study, 1, {}, 3));
  Must(at.store->AppendRecord(at.study, 1, 0, Bytes{3}));
  EXPECT_EQ(Must(at.store->ReadLog(at.study, 0)), Bytes{1});
  EXPECT_EQ(Must(at.store->ReadLog(at.study, 1)), Bytes{3});
  EXPECT_EQ(Must(at.store->ReadLog(beta, 0)), Bytes{2});
  EXPECT_EQ(Must(at.store->RecordCount(beta, 1)), 0U);
  EXPECT_TRUE(Must(at.store->ReadLog(beta, 1)).empty());
}

TEST(StoreRecords, AreRefusedOutOfOrderAndAfterTheEnd) {
  StoreWithStudy at;
  EXPECT_TRUE(Refused(at.store->AppendRecord(at.study, 0, 1, Bytes{1}),
                      ErrorCode::kFailedPrecondition, "the next is record 0"));
  EXPECT_TRUE(
      Refused(at.store->AppendRecord(at.study, 0, 0, {}), ErrorCode::kInvalidArgument, "empty"));
  EXPECT_TRUE(Refused(at.store->AppendRecord(at.study, 1, 0, Bytes{1}), ErrorCode::kNotFound,
                      "attempt 1 has not begun"));
  EXPECT_TRUE(Refused(at.store->AppendRecord(Sha256("x"), 0, 0, Bytes{1}), ErrorCode::kNotFound));
  Must(at.store->AppendRecord(at.study, 0, 0, Bytes{1}));
  EXPECT_TRUE(Refused(at.store->AppendRecord(at.study, 0, 0, Bytes{1}),
                      ErrorCode::kFailedPrecondition, "the next is record 1"));
  Must(at.store->EndAttempt(at.study, 0, "done", 3000));
  EXPECT_TRUE(Refused(at.store->AppendRecord(at.study, 0, 1, Bytes{1}),
                      ErrorCode::kFailedPrecondition, "1970-01-01 00:00:03 UTC"));
  EXPECT_EQ(Must(at.store->ReadLog(at.study, 0)), Bytes{1});
}

TEST(StoreRecords, AboveOneGibibyteAreRefusedBeforeTheyAreRead) {
  StoreWithStudy at;
  constexpr std::size_t kTooMany = kStoredRecordBytesMax + 1;
  void* const pages =
      mmap(nullptr, kTooMany, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  const std::span<const std::uint8_t> record(static_cast<const std::uint8_t*>(pages), kTooMany);
  EXPECT_TRUE(Refused(at.store->AppendRecord(at.study, 0, 0, record), ErrorCode::kResourceExhausted,
                      "found 1073741825 bytes"));
  munmap(pages, kTooMany);
}

TEST(StoreLogSink, GoesOnAfterTheRecordsThatAreThere) {
  StoreWithStudy at;
  {
    StoreLog log(*at.store, at.study, 0);
    Must(log.Append(Bytes{1}));
    Must(log.Append(Bytes{2}));
  }
  at.Reopen();
  StoreLog log(*at.store, at.study, 0);
  Must(log.Append(Bytes{3}));
  EXPECT_EQ(Must(at.store->ReadLog(at.study, 0)), (Bytes{1, 2, 3}));
}

TEST(StoreLogSink, RefusesToWriteAfterSomebodyElse) {
  StoreWithStudy at;
  const auto second_store = Must(Store::Open(at.store->path()));
  StoreLog first(*at.store, at.study, 0);
  StoreLog second(*second_store, at.study, 0);
  Must(first.Append(Bytes{1}));
  Must(second.Append(Bytes{2}));
  EXPECT_TRUE(Refused(first.Append(Bytes{3}), ErrorCode::kFailedPrecondition,
                      "another coordinator may be writing"));
  EXPECT_EQ(Must(at.store->ReadLog(at.study, 0)), (Bytes{1, 2}));
}

}  // namespace
}  // namespace consilium::coordinator
