#include "base/csv.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <limits>

namespace consilium {

// One pass over the bytes; `at_` is the next byte, `line_` the line it stands on.
class CsvReader {
 public:
  CsvReader(std::string_view text, std::string_view file_name, const CsvOptions& options)
      : text_(text), file_name_(file_name), options_(options) {}

  Result<std::vector<std::string>> ReadHeader() {
    CONSILIUM_TRY(CheckWhole());
    std::vector<std::string> record;
    CONSILIUM_TRY(ReadRecord(record));
    CONSILIUM_TRY(TakeHeader(std::move(record)));
    return table_.header_;
  }

  Result<CsvTable> Read() {
    CONSILIUM_TRY(ReadHeader());
    std::vector<std::string> record;
    table_.text_.reserve(text_.size() - at_);
    while (at_ < text_.size()) {
      if (OnlyEmptyLinesLeft()) break;
      const std::int64_t line = line_;
      const std::size_t text_before = table_.text_.size();
      const std::size_t cells_before = table_.ends_.size();
      record.clear();
      CONSILIUM_TRY(ReadRecord(record));
      if (record.size() != table_.header_.size()) {
        NoteRagged(line, record.size());
        table_.text_.resize(text_before);
        table_.ends_.resize(cells_before);
        continue;
      }
      if (table_.ends_.size() + record.size() > options_.cells_max) {
        return Fail(ErrorCode::kResourceExhausted,
                    fmt::format("{}:{}: more than {} cells; split the file", file_name_, line,
                                options_.cells_max));
      }
      for (const std::string& cell : record) {
        table_.text_ += cell;
        table_.ends_.push_back(static_cast<std::uint32_t>(table_.text_.size()));
      }
      table_.lines_.push_back(line);
    }
    if (ragged_count_ > 0) {
      if (ragged_count_ > kRaggedShownMax) {
        ragged_ += fmt::format("\n... and {} more such rows", ragged_count_ - kRaggedShownMax);
      }
      return Fail(ErrorCode::kInvalidArgument, std::move(ragged_));
    }
    return std::move(table_);
  }

 private:
  static constexpr std::size_t kRaggedShownMax = 20;

  [[nodiscard]] tl::unexpected<Error> Wrong(std::int64_t line, std::string_view what) const {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}:{}: {}", file_name_, line, what));
  }

  Result<void> CheckWhole() {
    if (options_.separator != ',' && options_.separator != ';' && options_.separator != '\t') {
      return Wrong(1, "the separator must be a comma, a semicolon or a tab");
    }
    // Offsets are 32 bits wide.
    const std::size_t bytes_max =
        std::min<std::size_t>(options_.bytes_max, std::numeric_limits<std::uint32_t>::max());
    if (text_.size() > bytes_max) {
      return Fail(
          ErrorCode::kResourceExhausted,
          fmt::format("{}:1: the file has {} bytes, expected at most {}; split it or drop columns",
                      file_name_, text_.size(), bytes_max));
    }
    if (text_.substr(0, 2) == "\xff\xfe" || text_.substr(0, 2) == "\xfe\xff") {
      return Wrong(1, "found UTF-16, expected UTF-8; save the file as 'CSV UTF-8'");
    }
    if (text_.substr(0, 4) == "PK\x03\x04") {
      return Wrong(1, "found a spreadsheet or archive, expected text; export it as 'CSV UTF-8'");
    }
    if (text_.substr(0, 3) == "\xef\xbb\xbf") text_.remove_prefix(3);
    if (text_.find_first_not_of(" \t\r\n") == std::string_view::npos) {
      return Wrong(1, "found an empty file, expected a header line; is it the right file?");
    }
    return {};
  }

  Result<void> TakeHeader(std::vector<std::string> names) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      const auto [first, fresh] = table_.columns_.try_emplace(names[i], i);
      if (!fresh) {
        return Wrong(1,
                     fmt::format("column name '{}' stands in columns {} and {}, expected it once; "
                                 "rename or remove one",
                                 names[i].substr(0, 80), first->second + 1, i + 1));
      }
    }
    table_.header_ = std::move(names);
    return {};
  }

  [[nodiscard]] bool OnlyEmptyLinesLeft() const {
    return text_.find_first_not_of("\r\n", at_) == std::string_view::npos;
  }

  void NoteRagged(std::int64_t line, std::size_t found) {
    if (++ragged_count_ > kRaggedShownMax) return;
    if (!ragged_.empty()) ragged_ += '\n';
    ragged_ += fmt::format("{}:{}: expected {} fields as in the header, found {}; {}", file_name_,
                           line, table_.header_.size(), found,
                           found == 1 && table_.header_.size() > 1
                               ? "is the line empty, or the separator another?"
                               : "look for a missing quote or a stray separator");
  }

  // Consumes a line end at at_; false if there is none. A CR alone is no line end.
  bool TakeLineEnd() {
    if (text_[at_] == '\n') {
      ++at_;
    } else if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') {
      at_ += 2;
    } else {
      return false;
    }
    ++line_;
    return true;
  }

  Result<void> ReadRecord(std::vector<std::string>& record) {
    while (true) {
      if (record.size() >= options_.columns_max) {
        return Fail(ErrorCode::kResourceExhausted,
                    fmt::format("{}:{}: more than {} fields in a row; is the separator right?",
                                file_name_, line_, options_.columns_max));
      }
      record.emplace_back();
      CONSILIUM_TRY(ReadCell(record.back()));
      if (at_ == text_.size()) return {};
      if (text_[at_] == options_.separator) {
        ++at_;
        continue;
      }
      if (TakeLineEnd()) return {};
      if (text_[at_] == '\r') {
        return Wrong(
            line_,
            "found a carriage return alone, expected LF or CRLF line ends; convert the file");
      }
      return Wrong(line_,
                   "found text after a closing quote, expected a separator or the line's end; "
                   "write a quote inside a cell as two quotes");
    }
  }

  // Leaves at_ on the byte after the cell.
  Result<void> ReadCell(std::string& cell) {
    if (at_ < text_.size() && text_[at_] == '"') return ReadQuoted(cell);
    const std::size_t begin = at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == options_.separator || c == '\n' || c == '\r') break;
      if (c == '"') {
        return Wrong(line_,
                     "found a quote inside an unquoted cell, expected the whole cell in quotes; "
                     "write \"...\" around it and double the quotes inside");
      }
      if (c == '\0') {
        return Wrong(line_, "found a zero byte, expected text; is it the right file?");
      }
      ++at_;
    }
    CONSILIUM_TRY(CheckCell(at_ - begin));
    cell.assign(text_.substr(begin, at_ - begin));
    return {};
  }

  Result<void> ReadQuoted(std::string& cell) {
    const std::int64_t opened = line_;
    ++at_;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        if (at_ == text_.size() || text_[at_] != '"') return CheckCell(cell.size());
      } else if (c == '\n') {
        ++line_;
      } else if (c == '\0') {
        return Wrong(line_, "found a zero byte, expected text; is it the right file?");
      }
      cell.push_back(c);
      CONSILIUM_TRY(CheckCell(cell.size()));
      ++at_;
    }
    return Wrong(opened,
                 "found a quote that is never closed; close it, or double it if it is text");
  }

  Result<void> CheckCell(std::size_t size) const {
    if (size <= options_.cell_bytes_max) return {};
    return Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("{}:{}: a cell is longer than {} bytes; look for a missing closing quote",
                    file_name_, line_, options_.cell_bytes_max));
  }

  std::string_view text_;
  std::string_view file_name_;
  CsvOptions options_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
  CsvTable table_;
  std::string ragged_;
  std::size_t ragged_count_ = 0;
};

std::string_view CsvTable::Cell(std::size_t row, std::size_t column) const {
  const std::size_t index = row * header_.size() + column;
  const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
  return std::string_view(text_).substr(begin, ends_[index] - begin);
}

std::optional<std::size_t> CsvTable::Column(std::string_view name) const {
  const auto found = columns_.find(name);
  if (found == columns_.end()) return std::nullopt;
  return found->second;
}

Result<CsvTable> ParseCsv(std::string_view text, std::string_view file_name,
                          const CsvOptions& options) {
  return CsvReader(text, file_name, options).Read();
}

Result<std::vector<std::string>> ParseCsvHeader(std::string_view text, std::string_view file_name,
                                                const CsvOptions& options) {
  return CsvReader(text, file_name, options).ReadHeader();
}

std::string_view Trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::optional<double> ParseNumber(std::string_view text) {
  text = Trimmed(text);
  std::size_t first = 0;
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
  } else if (!text.empty() && text.front() == '-') {
    first = 1;
  }
  // from_chars also reads "inf" and "nan": words are not numbers here.
  if (text.size() <= first || !((text[first] >= '0' && text[first] <= '9') || text[first] == '.')) {
    return std::nullopt;
  }
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ptr != text.data() + text.size()) return std::nullopt;
  if (parsed.ec != std::errc() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string FormatNumber(double value) {
  if (std::isnan(value)) return {};
  char buffer[32];
  const auto written = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, written.ptr};
}

CsvWriter& CsvWriter::Cell(std::string_view text) {
  if (cells_in_row_++ > 0) text_.push_back(separator_);
  row_is_one_empty_cell_ = cells_in_row_ == 1 && text.empty();
  const char special[] = {separator_, '"', '\r', '\n', '\0'};
  // Spaces at the ends survive any reader in quotes; so does a first cell that would pass for a
  // byte order mark or another kind of file.
  const bool quote =
      text.find_first_of(special) != std::string_view::npos ||
      Trimmed(text).size() != text.size() ||
      (text_.empty() && !text.empty() &&
       std::string_view("\xef\xff\xfeP").find(text.front()) != std::string_view::npos);
  if (!quote) {
    text_ += text;
    return *this;
  }
  text_.push_back('"');
  for (const char c : text) {
    if (c == '"') text_.push_back('"');
    text_.push_back(c);
  }
  text_.push_back('"');
  return *this;
}

void CsvWriter::EndRow() {
  if (row_is_one_empty_cell_) text_ += "\"\"";  // otherwise it would be an empty line
  text_.push_back('\n');
  cells_in_row_ = 0;
  row_is_one_empty_cell_ = false;
}

void CsvWriter::Row(const std::vector<std::string>& cells) {
  for (const std::string& cell : cells) Cell(std::string_view(cell));
  EndRow();
}

}  // namespace consilium
