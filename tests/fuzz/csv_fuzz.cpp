// Any bytes as a table; what is read must be written and read back as the same cells.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using consilium::CsvOptions;
  using consilium::CsvWriter;
  using consilium::ParseCsv;
  CsvOptions options;
  if (size > 0) options.separator = ",;\t"[data[0] % 3];
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto table = ParseCsv(text.substr(size > 0 ? 1 : 0), "a.csv", options);
  if (!table) {
    if (table.error().message.empty()) std::abort();
    return 0;
  }
  CsvWriter writer(options.separator);
  writer.Row(table->header());
  for (std::size_t i = 0; i < table->row_count(); ++i) {
    for (std::size_t j = 0; j < table->column_count(); ++j) {
      writer.Cell(table->Cell(i, j));
      const auto number = consilium::ParseNumber(table->Cell(i, j));
      if (number && consilium::ParseNumber(consilium::FormatNumber(*number)) != number)
        std::abort();
    }
    writer.EndRow();
  }
  const auto again = ParseCsv(writer.text(), "b.csv", options);
  if (!again || again->header() != table->header() || again->row_count() != table->row_count())
    std::abort();
  for (std::size_t i = 0; i < table->row_count(); ++i) {
    for (std::size_t j = 0; j < table->column_count(); ++j) {
      if (again->Cell(i, j) != table->Cell(i, j)) std::abort();
    }
  }
  return 0;
}
