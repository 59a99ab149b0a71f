#include "coordinator/report_files.h"

#include "coordinator/report_html.h"
#include "coordinator/report_json.h"
#include "coordinator/report_tables.h"

namespace consilium::coordinator {

Result<std::map<std::string, std::string>> ReportFiles(const study::Results& results) {
  std::string json = ReportJson(results);
  const std::vector<ReportTable> tables = ReportTables(results);
  auto html = ReportHtml(json, tables);
  CONSILIUM_TRY(html);
  std::map<std::string, std::string> files;
  for (const ReportTable& table : tables) files[table.file_name] = table.csv;
  files["report.json"] = std::move(json);
  files["report.html"] = std::move(*html);
  return files;
}

}  // namespace consilium::coordinator
