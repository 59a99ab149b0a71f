// Tables as text: RFC 4180 read strictly and written back.
//
// The first record is the header. Cells may be quoted ("" is a quote inside), lines end with LF or
// CRLF, a UTF-8 byte order mark and a missing final newline are accepted, empty lines at the end
// are dropped. Everything that would shift cells unnoticed is refused with its line: ragged rows,
// stray quotes, repeated column names. Source: Shafranovich, RFC 4180, 2005. Pure: the caller reads
// the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace consilium {

struct CsvOptions {
  char separator = ',';  // ',', ';' or '\t'; declared, never guessed
  std::size_t bytes_max = std::size_t{256} << 20;
  std::size_t columns_max = 100000;
  std::size_t cell_bytes_max = std::size_t{1} << 20;
  std::size_t cells_max = std::size_t{1} << 26;
};

class CsvTable {
 public:
  [[nodiscard]] const std::vector<std::string>& header() const { return header_; }
  [[nodiscard]] std::size_t row_count() const { return lines_.size(); }
  [[nodiscard]] std::size_t column_count() const { return header_.size(); }
  // The cell's text without its quotes; row and column count from 0, the header is not a row.
  [[nodiscard]] std::string_view Cell(std::size_t row, std::size_t column) const;
  // The line of the file on which the row begins, counted from 1.
  [[nodiscard]] std::int64_t Line(std::size_t row) const { return lines_[row]; }
  // The column with exactly this name.
  [[nodiscard]] std::optional<std::size_t> Column(std::string_view name) const;

 private:
  friend class CsvReader;
  std::vector<std::string> header_;
  std::map<std::string, std::size_t, std::less<>> columns_;
  std::string text_;                 // all cells of all rows, one after another
  std::vector<std::uint32_t> ends_;  // where each cell ends in text_
  std::vector<std::int64_t> lines_;
};

// The table in `text`. Every ragged row is told (the first 20, then their number).
// Errors: kInvalidArgument (message "FILE:LINE: ..."), kResourceExhausted (beyond a limit).
[[nodiscard]] Result<CsvTable> ParseCsv(std::string_view text, std::string_view file_name,
                                        const CsvOptions& options = {});

// The first record alone: the names of the columns. Errors: as ParseCsv.
[[nodiscard]] Result<std::vector<std::string>> ParseCsvHeader(std::string_view text,
                                                              std::string_view file_name,
                                                              const CsvOptions& options = {});

// `text` without spaces and tabs at its ends.
[[nodiscard]] std::string_view Trimmed(std::string_view text);

// The number written in `text` (decimal point, optional sign and exponent, spaces around allowed),
// correctly rounded whatever the locale; nothing for anything else: NaN, infinities, hexadecimal, a
// decimal comma, or a number too large for a double.
[[nodiscard]] std::optional<double> ParseNumber(std::string_view text);

// The shortest text that reads back as the same double; empty for NaN, "inf" and "-inf".
[[nodiscard]] std::string FormatNumber(double value);

// Builds a CSV text, a row at a time, LF at each end.
class CsvWriter {
 public:
  explicit CsvWriter(char separator = ',') : separator_(separator) {}
  // Adds one cell to the current row; quoted when it must be.
  CsvWriter& Cell(std::string_view text);
  CsvWriter& Cell(double value) { return Cell(std::string_view(FormatNumber(value))); }
  CsvWriter& Cell(std::int64_t value) { return Cell(std::string_view(std::to_string(value))); }
  void EndRow();
  void Row(const std::vector<std::string>& cells);
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  char separator_;
  std::string text_;
  std::size_t cells_in_row_ = 0;
  bool row_is_one_empty_cell_ = false;
};

}  // namespace consilium
