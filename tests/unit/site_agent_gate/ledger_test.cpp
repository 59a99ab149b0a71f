#include "site_agent/ledger.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "base/rng.h"
#include "tests/support/ledger_disk.h"

namespace consilium::site_agent {
namespace {

LedgerRecord Sample(int i) {
  LedgerRecord record;
  record.event = i % 2 == 0 ? LedgerEvent::kQueryAnswered : LedgerEvent::kQueryRefused;
  record.study = Sha256("study");
  record.study_name = "lung \"six\" µ";
  record.round = static_cast<std::uint64_t>(i);
  record.query = Sha256(std::string("query ") + std::to_string(i));
  record.members = {"A", "B", "C"};
  record.training_rows = 187;
  record.training_set = Sha256("rows");
  record.new_row_sets = {EncodeRowSet({1, 2, 3, 9})};
  record.equations = 805;
  record.unix_ms = -1;
  record.sentence = "Round 1: sent 805 masked sums.";
  record.waived = {"one", "two"};
  if (i == 0) {
    record.terms = StudyTerms{};
    record.terms->pinned = {{"A", Sha256("a")}, {"B", Sha256("b")}};
    record.terms->columns = {1, ~std::uint64_t{0}};
    record.terms->releases = {{"net", ReleaseRole::kFollowsRows, 1, "counts"}};
  }
  return record;
}

Ledger SampleLedger(int count) {
  Ledger ledger("MUMC");
  for (int i = 0; i < count; ++i) EXPECT_TRUE(ledger.Append(Sample(i)).has_value());
  return ledger;
}

Bytes BytesOf(const std::vector<LedgerRecord>& records) {
  Bytes bytes;
  for (const LedgerRecord& record : records) {
    const Bytes one = EncodeRecord(record);
    bytes.insert(bytes.end(), one.begin(), one.end());
  }
  return bytes;
}

std::string LinesOf(const std::vector<LedgerRecord>& records) {
  std::string lines;
  for (const LedgerRecord& record : records) lines += ToLine(record) + "\n";
  return lines;
}

TEST(RowSets, EncodingIsInvertibleShortAndDifferenceCountsTheRowsInOneOfBoth) {
  EXPECT_TRUE(rc::check("round trip", [](const std::vector<std::uint32_t>& wild,
                                         const std::vector<std::uint32_t>& wild2) {
    const auto tidy = [](const std::vector<std::uint32_t>& values) {
      std::set<std::uint32_t> rows;
      for (const std::uint32_t value : values) rows.insert(value % 300);
      return RowSet(rows.begin(), rows.end());
    };
    const RowSet a = tidy(wild);
    const RowSet b = tidy(wild2);
    const auto back = DecodeRowSet(EncodeRowSet(a));
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == a);
    std::size_t difference = 0;  // by another road
    for (std::uint32_t row = 0; row < 300; ++row) {
      const bool in_a = std::find(a.begin(), a.end(), row) != a.end();
      const bool in_b = std::find(b.begin(), b.end(), row) != b.end();
      difference += in_a != in_b ? 1 : 0;
    }
    RC_ASSERT(DifferenceCount(a, b) == difference);
    RC_ASSERT((DigestOf(a) == DigestOf(b)) == (a == b));
  }));
  RowSet all(100000);
  for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  EXPECT_LE(EncodeRowSet(all).size(), 4u);
}

TEST(RowSets, WhatIsNotTheOneEncodingIsRefused) {
  const std::vector<Bytes> broken = {
      {0x00},                                // a gap without a run
      {0x01, 0x00},                          // an empty run
      {0x80, 0x00, 0x01},                    // a number in more bytes than it needs
      {0x00, 0x01, 0x00, 0x01},              // two runs that touch
      {0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F},  // beyond kRowNumberMax
      {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF},  // never ends
  };
  for (const Bytes& bytes : broken)
    EXPECT_FALSE(DecodeRowSet(bytes).has_value()) << Hex(std::span(bytes));
}

TEST(PlainText, LetsNoNameForgeALineOrTurnIt) {
  EXPECT_EQ(PlainText("Zürich µ"), "Zürich µ");
  EXPECT_EQ(PlainText("a\nb\tc\x7f"), "a?b?c?");
  EXPECT_EQ(PlainText("\xe2\x80\xae"), "?");    // right-to-left override
  EXPECT_EQ(PlainText("\xff\xc0\xaf"), "???");  // not UTF-8
  EXPECT_EQ(PlainText(std::string(5000, 'x')).size(), 2000u);
}

TEST(Ledger, RecordsComeBackFromBytesAndFromLines) {
  const Ledger ledger = SampleLedger(5);
  const auto decoded = DecodeLedger("MUMC", BytesOf(ledger.records()), ledger.head());
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
  const auto lines = DecodeLedgerLines("MUMC", LinesOf(ledger.records()), ledger.head());
  ASSERT_TRUE(lines.has_value()) << lines.error().message;
  EXPECT_EQ(BytesOf(*decoded), BytesOf(ledger.records()));
  EXPECT_EQ(BytesOf(*lines), BytesOf(ledger.records()));
  EXPECT_EQ((*lines)[0].terms, ledger.records()[0].terms);
}

TEST(Ledger, EveryChangedByteIsFound) {
  const Ledger ledger = SampleLedger(3);
  const Bytes bytes = BytesOf(ledger.records());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    Bytes changed = bytes;
    changed[i] ^= 0x10;
    EXPECT_FALSE(DecodeLedger("MUMC", changed).has_value()) << "byte " << i;
  }
  const std::string lines = LinesOf(ledger.records());
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    std::string changed = lines;
    changed[i] = changed[i] == '7' ? '8' : '7';
    EXPECT_FALSE(DecodeLedgerLines("MUMC", changed).has_value()) << "character " << i;
  }
}

TEST(Ledger, ARecordThatWasAlteredAndHashedAnewBreaksTheChainAtTheNextOne) {
  Ledger ledger = SampleLedger(4);
  std::vector<LedgerRecord> records = ledger.records();
  records[1].equations = 1;
  auto verdict = VerifyLedger("MUMC", records);
  ASSERT_FALSE(verdict.has_value());
  EXPECT_NE(verdict.error().message.find("record 1: its hash"), std::string::npos)
      << verdict.error().message;
  records[1].hash = HashOf(records[1]);
  verdict = VerifyLedger("MUMC", records);
  ASSERT_FALSE(verdict.has_value());
  EXPECT_NE(verdict.error().message.find("record 2: it does not follow"), std::string::npos)
      << verdict.error().message;
  EXPECT_NE(verdict.error().message.find("MUMC"), std::string::npos);
}

TEST(Ledger, ARemovedAMovedAndACutOffRecordAreNamed) {
  const Ledger ledger = SampleLedger(5);
  std::vector<LedgerRecord> removed = ledger.records();
  removed.erase(removed.begin() + 2);
  EXPECT_NE(VerifyLedger("MUMC", removed).error().message.find("record 2"), std::string::npos);
  std::vector<LedgerRecord> moved = ledger.records();
  std::swap(moved[1], moved[2]);
  EXPECT_NE(VerifyLedger("MUMC", moved).error().message.find("record 1"), std::string::npos);
  std::vector<LedgerRecord> no_start = ledger.records();
  no_start.erase(no_start.begin());
  EXPECT_FALSE(VerifyLedger("MUMC", no_start).has_value());
  // An end that was cut off whole still chains; the head that was noted elsewhere shows it.
  std::vector<LedgerRecord> cut = ledger.records();
  cut.pop_back();
  EXPECT_TRUE(VerifyLedger("MUMC", cut).has_value());
  EXPECT_NE(VerifyLedger("MUMC", cut, ledger.head()).error().message.find("record 4: missing"),
            std::string::npos);
  // ... and so does one that was cut off and written on differently.
  Ledger forged("MUMC");
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(forged.Append(Sample(i)).has_value());
  ASSERT_TRUE(forged.Append(Sample(7)).has_value());
  EXPECT_FALSE(VerifyLedger("MUMC", forged.records(), ledger.head()).has_value());
  // A head of the past is reached by the same ledger later on.
  EXPECT_TRUE(
      VerifyLedger("MUMC", ledger.records(), LedgerHead{4, ledger.records()[3].hash}).has_value());
  EXPECT_TRUE(VerifyLedger("MUMC", ledger.records(), EmptyHead("MUMC")).has_value());
}

TEST(Ledger, BytesThatEndWithinARecordAreRefusedAtEveryLength) {
  const Ledger ledger = SampleLedger(2);
  const Bytes bytes = BytesOf(ledger.records());
  const std::size_t first = EncodeRecord(ledger.records()[0]).size();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const bool whole = length == 0 || length == first;
    EXPECT_EQ(DecodeLedger("MUMC", std::span(bytes).first(length)).has_value(), whole) << length;
  }
}

TEST(Ledger, TheLedgerOfAnotherSiteDoesNotPass) {
  const Ledger ledger = SampleLedger(1);
  EXPECT_FALSE(VerifyLedger("Radboud", ledger.records()).has_value());
}

TEST(Ledger, ContinuesFromItsDiskAndDoesNotCountWhatTheDiskRefused) {
  testing::LedgerDisk disk;
  disk.piece = 7;  // records begin and end anywhere
  Ledger ledger("MUMC", &disk);
  ASSERT_TRUE(ledger.Append(Sample(0)).has_value());
  disk.room = 1;
  EXPECT_FALSE(ledger.Append(Sample(1)).has_value());
  EXPECT_EQ(ledger.records().size(), 1u);
  disk.room = SIZE_MAX;
  auto again = Ledger::Open("MUMC", disk, ledger.head());
  ASSERT_TRUE(again.has_value());
  ASSERT_TRUE(again->Append(Sample(1)).has_value());
  EXPECT_EQ(BytesOf(again->records()), disk.bytes);
  EXPECT_EQ(again->last().hash, again->head().hash);
  // A disk that gives back less than it took.
  testing::LedgerDisk short_of_one = disk;
  Ledger other = *Ledger::Open("MUMC", short_of_one);
  short_of_one.bytes.pop_back();
  const auto read = other.Each([](const LedgerRecord&) -> Result<void> { return {}; });
  EXPECT_EQ(read.error().code, ErrorCode::kDataLoss);
  const auto all = DecodeLedger("MUMC", disk.bytes, again->head());
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(all->size(), 2u);
}

TEST(Ledger, ARepeatedQuestionIsCountedOnce) {
  Ledger ledger("MUMC");
  for (int round = 0; round < 3; ++round) {
    LedgerRecord record = Sample(0);
    record.terms.reset();
    record.round = static_cast<std::uint64_t>(round);
    ASSERT_TRUE(ledger.Append(record).has_value());
  }
  LedgerRecord other = Sample(2);
  other.equations = 10;
  ASSERT_TRUE(ledger.Append(other).has_value());
  const auto counts = CountEquations(ledger.records());
  ASSERT_EQ(counts.size(), 1u);
  EXPECT_EQ(counts[0].queries, 2u);
  EXPECT_EQ(counts[0].equations, 815u);
  EXPECT_DOUBLE_EQ(counts[0].per_row(), 815.0 / 187);
}

TEST(Ledger, NoBytesMakeTheReadersFail) {
  Rng rng(5, "ledger fuzz");
  const Bytes good = BytesOf(SampleLedger(2).records());
  int survived = 0;
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes = good;
    for (int k = 0; k < 4; ++k)
      bytes[rng.Below(bytes.size())] = static_cast<std::uint8_t>(rng.Next());
    bytes.resize(rng.Below(bytes.size() + 1));
    const auto decoded = DecodeLedger("MUMC", bytes);
    if (!decoded) continue;
    ++survived;  // only whole, unchanged records
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), good.begin()));
  }
  EXPECT_LT(survived, 2000);
}

}  // namespace
}  // namespace consilium::site_agent
