// Tables of reference numbers: CSV with a header, the first column (or columns) being names.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace consilium::testing_support {

struct ReferenceTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;

  [[nodiscard]] std::size_t ColumnOf(const std::string& name) const {
    for (std::size_t c = 0; c < header.size(); ++c) {
      if (header[c] == name) return c;
    }
    throw std::runtime_error("no column " + name);
  }
  [[nodiscard]] double Number(std::size_t row, std::size_t column) const {
    const std::string& text = rows.at(row).at(column);
    if (text == "NA") return std::numeric_limits<double>::quiet_NaN();
    return std::strtod(text.c_str(), nullptr);
  }
  [[nodiscard]] double Number(std::size_t row, const std::string& column) const {
    return Number(row, ColumnOf(column));
  }
  // Row positions by the text of the first `keys` columns, joined by '/'.
  [[nodiscard]] std::map<std::string, std::size_t> Index(std::size_t keys = 1) const {
    std::map<std::string, std::size_t> index;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      std::string key = rows[r].at(0);
      for (std::size_t k = 1; k < keys; ++k) key += "/" + rows[r].at(k);
      index[key] = r;
    }
    return index;
  }
};

// Throws std::runtime_error when the file cannot be read: a test then fails by name.
inline ReferenceTable ReadReference(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  ReferenceTable table;
  std::string line;
  while (std::getline(file, line)) {
    std::vector<std::string> cells(1);
    for (const char character : line) {
      if (character == ',') {
        cells.emplace_back();
      } else if (character != '"' && character != '\r') {
        cells.back() += character;
      }
    }
    if (table.header.empty()) {
      table.header = std::move(cells);
    } else {
      table.rows.push_back(std::move(cells));
    }
  }
  return table;
}

}  // namespace consilium::testing_support
