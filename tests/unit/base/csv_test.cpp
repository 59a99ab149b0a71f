#include "base/csv.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "base/rng.h"

namespace consilium {
namespace {

std::string ErrorOf(std::string_view text, const CsvOptions& options = {}) {
  const auto table = ParseCsv(text, "a.csv", options);
  return table ? std::string("no error") : table.error().message;
}

void ExpectHas(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
}

TEST(Csv, ReadsQuotesLineEndsByteOrderMarkAndAMissingFinalNewline) {
  const auto table =
      ParseCsv("\xef\xbb\xbfid,\"a,b\",c\r\n1,\"x\"\"y\",\r\n2,\"two\nlines\",3\r\n4,,5", "a.csv");
  ASSERT_TRUE(table.has_value()) << table.error().message;
  EXPECT_EQ(table->header(), (std::vector<std::string>{"id", "a,b", "c"}));
  ASSERT_EQ(table->row_count(), 3U);
  EXPECT_EQ(table->Cell(0, 1), "x\"y");
  EXPECT_EQ(table->Cell(0, 2), "");
  EXPECT_EQ(table->Cell(1, 1), "two\nlines");
  EXPECT_EQ(table->Cell(2, 2), "5");
  EXPECT_EQ(table->Line(1), 3);
  EXPECT_EQ(table->Line(2), 5);  // the row before spans two lines
  EXPECT_EQ(table->Column("c"), 2U);
  EXPECT_FALSE(table->Column("C").has_value());
}

TEST(Csv, DropsEmptyLinesOnlyAtTheEnd) {
  const auto table = ParseCsv("a,b\n1,2\n\r\n\n", "a.csv");
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(table->row_count(), 1U);
  ExpectHas(ErrorOf("a,b\n1,2\n\n3,4\n"), "a.csv:3: expected 2 fields as in the header, found 1");
}

TEST(Csv, TellsEveryRaggedRowWithItsLine) {
  const std::string message = ErrorOf("a,b\n1\n1,2\n1,2,3\n");
  ExpectHas(message, "a.csv:2: expected 2 fields as in the header, found 1");
  ExpectHas(message, "a.csv:4: expected 2 fields as in the header, found 3");
  EXPECT_EQ(message.find("a.csv:3"), std::string::npos);
}

TEST(Csv, RefusesWhatWouldShiftCellsUnnoticed) {
  ExpectHas(ErrorOf("a,b,a\n1,2,3\n"), "a.csv:1: column name 'a' stands in columns 1 and 3");
  ExpectHas(ErrorOf("a,b\n1,x\"y\n"), "a.csv:2: found a quote inside an unquoted cell");
  ExpectHas(ErrorOf("a,b\n1,\"x\"y\n"), "a.csv:2: found text after a closing quote");
  ExpectHas(ErrorOf("a,b\n1,\"x\n2,3\n"), "a.csv:2: found a quote that is never closed");
  ExpectHas(ErrorOf("a,b\r1,2\r"), "a.csv:1: found a carriage return alone");
  ExpectHas(ErrorOf(std::string("a,b\n1,\0\n", 8)), "a.csv:2: found a zero byte");
}

TEST(Csv, RefusesFilesThatAreNoTables) {
  ExpectHas(ErrorOf(""), "a.csv:1: found an empty file");
  ExpectHas(ErrorOf("\xef\xbb\xbf\r\n\n"), "found an empty file");
  ExpectHas(ErrorOf("\xff\xfe"
                    "a"),
            "save the file as 'CSV UTF-8'");
  ExpectHas(ErrorOf("PK\x03\x04zip"), "export it as 'CSV UTF-8'");
}

TEST(Csv, HoldsItsLimitsAtTheLimitAndOneAbove) {
  CsvOptions options;
  options.columns_max = 2;
  options.cell_bytes_max = 3;
  options.bytes_max = 20;
  options.cells_max = 4;
  EXPECT_EQ(ErrorOf("a,b\n123,1\n1,\"123\"\n", options), "no error");
  ExpectHas(ErrorOf("a,b,c\n1,2,3\n", options), "more than 2 fields");
  ExpectHas(ErrorOf("a,b\n1234,1\n", options), "a.csv:2: a cell is longer than 3 bytes");
  ExpectHas(ErrorOf("a,b\n\"1234\",1\n", options), "a.csv:2: a cell is longer than 3 bytes");
  ExpectHas(ErrorOf("a,b\n1,2\n1,2\n1,2\n", options), "a.csv:4: more than 4 cells");
  ExpectHas(ErrorOf("a,b\n1,2\n123,123\n123,4\n", options), "the file has 22 bytes");
}

TEST(Csv, SeparatorIsWhatWasDeclared) {
  CsvOptions options;
  options.separator = ';';
  const auto table = ParseCsv("a;b\n1,5;2\n", "a.csv", options);
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ(table->Cell(0, 0), "1,5");
  const std::string message = ErrorOf("a;b\n1,5;2\n");
  ExpectHas(message, "expected 1 fields as in the header, found 2");
}

TEST(Csv, NumbersAreReadWholeOrNotAtAll) {
  EXPECT_EQ(ParseNumber(" +1.5e3\t"), 1500.0);
  EXPECT_EQ(ParseNumber("-.5"), -0.5);
  EXPECT_EQ(ParseNumber("2.2999999999999998"), 2.2999999999999998);
  EXPECT_EQ(ParseNumber("5e-324"), 5e-324);
  for (const char* text : {"", " ", "-", "+", "+-1", "--1", "1,5", "1.5x", "0x10", "nan", "NaN",
                           "inf", "-inf", "Infinity", "1e400", "1 2", "e5", "- 1"}) {
    EXPECT_FALSE(ParseNumber(text).has_value()) << text;
  }
}

TEST(Csv, WrittenNumbersReadBackAsTheSameBits) {
  Rng rng(1, "csv");
  for (int i = 0; i < 20000; ++i) {
    double value = 0;
    const std::uint64_t bits = rng.Next();
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value)) continue;
    const auto back = ParseNumber(FormatNumber(value));
    ASSERT_TRUE(back.has_value()) << FormatNumber(value);
    EXPECT_EQ(std::memcmp(&*back, &value, sizeof value), 0) << FormatNumber(value);
  }
  EXPECT_EQ(FormatNumber(0.1), "0.1");
  EXPECT_EQ(FormatNumber(std::nan("")), "");
}

TEST(Csv, WrittenTablesReadBackAsTheSameCells) {
  const bool held = rc::check([] {
    const auto columns = *rc::gen::inRange<std::size_t>(1, 5);
    const auto rows = *rc::gen::inRange<std::size_t>(0, 6);
    const auto cell = rc::gen::container<std::string>(
        rc::gen::element(',', ';', '"', '\n', '\r', 'a', ' ', '\xef'));
    std::vector<std::vector<std::string>> table;
    CsvWriter writer;
    for (std::size_t i = 0; i <= rows; ++i) {
      std::vector<std::string> row;
      for (std::size_t j = 0; j < columns; ++j) {
        row.push_back(i == 0 ? "name" + std::to_string(j) : *cell);
      }
      writer.Row(row);
      table.push_back(row);
    }
    const auto read = ParseCsv(writer.text(), "a.csv");
    RC_ASSERT(read.has_value());
    RC_ASSERT(read->row_count() == rows);
    for (std::size_t i = 0; i < rows; ++i) {
      for (std::size_t j = 0; j < columns; ++j) RC_ASSERT(read->Cell(i, j) == table[i + 1][j]);
    }
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace consilium
