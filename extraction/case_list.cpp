#include "extraction/case_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/csv.h"
#include "base/strict_yaml.h"

namespace consilium::extraction {
namespace {

constexpr std::size_t kProblemsTold = 20;

std::vector<std::string> Parts(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    if (const auto part = Trimmed(text.substr(0, end)); !part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

bool IsLabel(std::string_view text) {
  return text == "all" || (text.size() <= 9 && !text.empty() &&
                           text.find_first_not_of("0123456789") == std::string_view::npos &&
                           text.find_first_not_of('0') != std::string_view::npos);
}

class Reader {
 public:
  Reader(const CsvTable& table, std::string_view name, const std::filesystem::path& folder)
      : table_(table), name_(name), folder_(folder) {}

  Result<CaseList> Read() {
    for (const char* needed : {"id", "image", "mask"}) {
      if (table_.Column(needed)) continue;
      problems_.push_back(
          fmt::format("{}:1: there is no column '{}'{}; a list of cases needs id, image and mask",
                      name_, needed, DidYouMean(needed, table_.header())));
    }
    if (!problems_.empty()) return tl::unexpected(Combine(problems_));
    std::vector<std::size_t> carried;
    for (std::size_t column = 0; column < table_.column_count(); ++column) {
      if (IsReserved(table_.header()[column])) continue;
      carried.push_back(column);
      list_.variables.push_back(table_.header()[column]);
    }
    for (std::size_t row = 0; row < table_.row_count(); ++row) ReadRow(row, carried);
    if (list_.cases.empty() && problems_.empty())
      problems_.push_back(fmt::format("{}: the list has no case", name_));
    if (problems_.size() > kProblemsTold) {
      const std::size_t more = problems_.size() - kProblemsTold;
      problems_.resize(kProblemsTold);
      problems_.push_back(fmt::format("and {} more", more));
    }
    if (!problems_.empty()) return tl::unexpected(Combine(problems_));
    return std::move(list_);
  }

 private:
  static bool IsReserved(std::string_view column) {
    constexpr std::array<std::string_view, 7> kOwn = {"id",    "patient", "image", "mask",
                                                      "label", "roi",     "series"};
    return std::find(kOwn.begin(), kOwn.end(), column) != kOwn.end() ||
           std::find(kFacets.begin(), kFacets.end(), column) != kFacets.end();
  }
  [[nodiscard]] std::string Text(std::size_t row, std::string_view column) const {
    const auto at = table_.Column(column);
    return at ? std::string(Trimmed(table_.Cell(row, *at))) : "";
  }
  void ReadRow(std::size_t row, const std::vector<std::size_t>& carried) {
    Case one;
    one.line = table_.Line(row);
    const auto problem = [&](const std::string& what) {
      problems_.push_back(fmt::format("{}:{}: {}", name_, one.line, what));
    };
    one.id = Text(row, "id");
    if (one.id.empty()) problem("field 'id' is empty; every case needs one");
    const auto [first, is_new] = line_of_.try_emplace(one.id, one.line);
    if (!is_new && !one.id.empty())
      problem(
          fmt::format("field 'id' repeats that of line {}; give every image its own, and say in "
                      "column 'patient' whose it is",
                      first->second));
    one.patient = Text(row, "patient");
    if (one.patient.empty()) one.patient = one.id;
    for (const auto& [column, path] :
         {std::pair{"image", &one.image}, std::pair{"mask", &one.mask}}) {
      const std::string text = Text(row, column);
      if (text.empty()) problem(fmt::format("field '{}' is empty; expected a path", column));
      *path = (folder_ / text).lexically_normal();
    }
    one.series = Text(row, "series");
    one.labels = Parts(Text(row, "label"));
    one.rois = Parts(Text(row, "roi"));
    if (!one.labels.empty() && !one.rois.empty())
      problem("fields 'label' and 'roi' are both given; a mask has numbers or names");
    for (const auto& label : one.labels) {
      if (!IsLabel(label))
        problem("field 'label' holds something else than whole numbers from 1 or 'all'");
    }
    for (std::size_t i = 0; i < kFacets.size(); ++i) one.facets[i] = Text(row, kFacets[i]);
    for (const std::size_t column : carried) one.variables.emplace_back(table_.Cell(row, column));
    list_.cases.push_back(std::move(one));
  }

  const CsvTable& table_;
  std::string_view name_;
  const std::filesystem::path& folder_;
  CaseList list_;
  Problems problems_;
  std::map<std::string, std::int64_t, std::less<>> line_of_;
};

}  // namespace

bool FacetBefore(std::string_view a, std::string_view b) {
  const auto x = ParseNumber(a), y = ParseNumber(b);
  if (x && y && *x != *y) return *x < *y;
  if (x.has_value() != y.has_value()) return x.has_value();
  return a < b;
}

Result<CaseList> ReadCaseList(std::string_view text, std::string_view name,
                              const std::filesystem::path& folder) {
  const auto table = ParseCsv(text, name);
  CONSILIUM_TRY(table);
  auto list = Reader(*table, name, folder).Read();
  if (list) list->digest = Sha256(text);
  return list;
}

}  // namespace consilium::extraction
