// consilium report ID and audit fetch ID: files of a study from its coordinator.
#include <consilium/v1/consilium.pb.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "console/files.h"
#include "console/incoming.h"
#include "console/render.h"
#include "console/summary.h"
#include "console/verbs.h"

namespace consilium::console {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr const char* kLog = "log.consilium";
constexpr const char* kReport = "report.json";
constexpr std::size_t kReportBytesMax = std::size_t{1} << 30;

Result<void> FetchInto(Remote& remote, const Digest& study, const std::string& file,
                       const fs::path& target) {
  auto incoming = IncomingFile::Begin(target);
  CONSILIUM_TRY(incoming);
  CONSILIUM_TRY(
      remote.Fetch(study, file, [&](std::string_view bytes) { return incoming->Append(bytes); }));
  return incoming->Commit();
}

// Another study's report in the folder stays.
Result<void> CheckSameReport(const fs::path& folder, const std::string& report) {
  if (!fs::exists(folder / kReport)) return {};
  const auto held = ReadFile(folder / kReport, kReportBytesMax);
  CONSILIUM_TRY(held);
  if (*held == report) return {};
  return Fail(ErrorCode::kAlreadyExists,
              fmt::format("{}: holds another report; name another folder with --out",
                          (folder / kReport).string()));
}

struct Fetched {
  std::string report;              // the text of report.json; empty: the study has none
  std::vector<std::string> files;  // in the folder now
};
// Every file of the report, the log last if it is wanted: where a log stands, all is there.
Result<Fetched> FetchAll(Remote& remote, const Digest& study, const fs::path& folder, bool log) {
  auto files = remote.ListFiles(study);
  CONSILIUM_TRY(files);
  Fetched fetched;
  if (std::find(files->begin(), files->end(), kReport) != files->end()) {
    auto report = remote.FetchReportJson(study);
    CONSILIUM_TRY(report);
    fetched.report = std::move(*report);
    CONSILIUM_TRY(CheckSameReport(folder, fetched.report));
    CONSILIUM_TRY(WriteFile(folder / kReport, fetched.report));
    fetched.files.emplace_back(kReport);
  }
  std::sort(files->begin(), files->end(), [](const std::string& a, const std::string& b) {
    return std::pair(a == kLog, a) < std::pair(b == kLog, b);
  });
  for (const std::string& file : *files) {
    if (file == kReport || (file == kLog && !log)) continue;
    CONSILIUM_TRY(FetchInto(remote, study, file, folder / file));
    fetched.files.push_back(file);
  }
  return fetched;
}

// What stands on standard output once the files are there.
int Tell(const Session& session, const v1::StudyLine& study, const Fetched& fetched,
         const fs::path& folder) {
  ReportSummary summary;
  if (!fetched.report.empty()) {
    auto read = Summarize(fetched.report);
    if (!read) return session.screen.Report(Within(folder.string(), read.error()));
    summary = std::move(*read);
  }
  if (session.screen.json) {
    Json json{{"event", "fetched"},     {"study", Hex(IdOf(study))}, {"name", study.name()},
              {"state", study.state()}, {"folder", folder.string()}, {"files", fetched.files}};
    if (!fetched.report.empty()) json["verdict"] = summary.word;
    std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
    return kOk;
  }
  if (!fetched.report.empty()) {
    std::cout << SummaryText(summary, (folder / "report.html").string());
  }
  return kOk;
}

int FetchAudit(const Session& session, const std::string& id, const fs::path& out) {
  // A log is evidence: it is never written over.
  if (fs::exists(out / kLog)) {
    return session.screen.Report(
        {ErrorCode::kAlreadyExists, fmt::format("{}: there is a log already; name an empty folder "
                                                "with --out",
                                                (out / kLog).string())});
  }
  if (const auto writable = CheckWritable(out); !writable)
    return session.screen.Report(writable.error());
  auto remote = OpenRemote(session, "audit fetch");
  if (!remote) return session.screen.Report(remote.error());
  const auto target = remote->FindStudy(id);
  if (!target) return session.screen.Report(target.error(), CodeOfCall(target.error()));
  const auto fetched = FetchAll(*remote, IdOf(*target), out, true);
  if (!fetched) return session.screen.Report(fetched.error(), CodeOfCall(fetched.error()));
  if (!HasEnded(*target)) {
    session.screen.Note(fmt::format("study {} has not ended ({}): its log ends where it stands now",
                                    Shown(target->name()), Shown(target->state())));
  }
  if (const int code = Tell(session, *target, *fetched, out); code != kOk) return code;
  if (!session.screen.json) {
    std::cout << std::flush;
    fmt::print("{} files of study {} in {}. Next:\n  consilium audit verify {}\n",
               fetched->files.size(), Hex(IdOf(*target)), out.string(), out.string());
    if (!fetched->report.empty()) fmt::print("  consilium audit replay {}\n", out.string());
  }
  return kOk;
}

}  // namespace

int FetchReport(const Session& session, const std::string& id, const fs::path& out) {
  auto remote = OpenRemote(session, "report");
  if (!remote) return session.screen.Report(remote.error());
  const auto target = remote->FindStudy(id);
  if (!target) return session.screen.Report(target.error(), CodeOfCall(target.error()));
  const v1::StudyLine& line = *target;
  const std::string short_id = ShortId(line.study());
  if (line.state() != "finished") {
    return session.screen.Report(
        {ErrorCode::kFailedPrecondition,
         fmt::format("study {} ({}) has no report: it is {}{}; {}", Shown(line.name()), short_id,
                     Shown(line.state()), line.why().empty() ? "" : ", " + Shown(line.why()),
                     HasEnded(line) ? "its log: consilium audit fetch " + short_id + " --out DIR"
                                    : "consilium study watch " + short_id)});
  }
  fs::path folder = out;
  if (folder.empty()) {
    const std::string name = "report-" + line.name();
    folder = CheckFileName(name) ? name : "report-" + short_id;
  }
  if (const auto writable = CheckWritable(folder); !writable)
    return session.screen.Report(writable.error());
  const auto fetched = FetchAll(*remote, IdOf(*target), folder, false);
  if (!fetched) return session.screen.Report(fetched.error(), CodeOfCall(fetched.error()));
  return Tell(session, *target, *fetched, folder);
}

void AddAuditVerbs(CLI::App& audit, Session& session) {
  auto* fetch = audit.add_subcommand("fetch", "Report and log of a study, into a folder");
  struct Arguments {
    std::string id, out;
  };
  const auto arguments = std::make_shared<Arguments>();
  fetch->add_option("ID", arguments->id, "The study: its name, or 4 or more digits of its id")
      ->required();
  fetch->add_option("--out", arguments->out, "The folder; made if it is not there")->required();
  fetch->callback(
      [&session, arguments] { session.code = FetchAudit(session, arguments->id, arguments->out); });
}

}  // namespace consilium::console
