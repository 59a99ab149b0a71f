// A study through the real program: run, resumed, audited, reported, read by scripts.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "federation/log.h"
#include "tests/e2e/console_fixture.h"
#include "tests/support/small_study.h"

namespace consilium::e2e {
namespace {

using Arguments = std::vector<std::string>;
using nlohmann::json;

const std::vector<std::string> kSites = {"north", "east", "south", "west"};

StudyFiles FilesOf(const testing::SmallStudyOptions& options) {
  StudyFiles files{{"study.yaml", testing::SmallStudyYaml(options)}};
  for (const testing::SmallHospital& hospital : testing::SmallHospitals()) {
    files[hospital.name + ".yaml"] = testing::SmallCohortYaml(hospital.name);
    files[hospital.name + ".csv"] = testing::SmallCsv(hospital.cases);
  }
  return files;
}

Arguments With(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::vector<json> Lines(const std::string& text) {
  std::vector<json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    json one = json::parse(line, nullptr, false);
    EXPECT_TRUE(one.is_object()) << line;
    if (one.is_object()) lines.push_back(std::move(one));
  }
  return lines;
}

// One finished run of the private study, shared by the tests that only read it or copy it.
class ConsoleRun : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    WriteAll(*scratch_, FilesOf({}));
    told_ = new Told(scratch_->Consilium(SimulateArguments(kSites)));
  }
  static void TearDownTestSuite() {
    delete scratch_;
    delete told_;
  }
  void SetUp() override { ASSERT_EQ(told_->exit_code, 0) << told_->err; }

  static const Scratch& Study() { return *scratch_; }
  // A copy of the finished run's folder, to be damaged.
  static std::string Copy(const std::string& name) {
    std::filesystem::copy(scratch_->path() / "out", scratch_->path() / name,
                          std::filesystem::copy_options::recursive);
    return name;
  }
  static void ExpectSameReport(const std::string& out) {
    for (const char* file : {"report.json", "coefficients.csv"}) {
      EXPECT_EQ(Study().Read(out + "/" + file), Study().Read(std::string("out/") + file)) << file;
    }
  }
  static Scratch* scratch_;
  static Told* told_;
};
Scratch* ConsoleRun::scratch_ = nullptr;
Told* ConsoleRun::told_ = nullptr;

TEST_F(ConsoleRun, WritesEveryFileAndSaysWhereTheReportIs) {
  for (const char* file : {"report.json",
                           "report.html",
                           "run.json",
                           "log.consilium",
                           "coefficients.csv",
                           "results.csv",
                           "summary.csv",
                           "roc.csv",
                           "calibration.csv",
                           "calibration_groups.csv",
                           "net_benefit.csv",
                           "net_benefit_thresholds.csv",
                           "cv.csv",
                           "dropped_features.csv",
                           "flow.csv",
                           "disclosure.csv",
                           "ledgers/north.jsonl",
                           "ledgers/east.jsonl",
                           "ledgers/south.jsonl",
                           "ledgers/west.jsonl"}) {
    EXPECT_FALSE(Study().Read(std::string("out/") + file).empty()) << file;
  }
  EXPECT_NE(told_->out.find("out/report.html"), std::string::npos) << told_->out;
  const json report = json::parse(Study().Read("out/report.json"));
  EXPECT_EQ(report.at("results").size(), 2U);
  for (const json& row : report.at("results")) {
    EXPECT_EQ(row.at("held_out"), "west");
    EXPECT_GT(row.at("external_auc").get<double>(), 0.5);
  }
  // x24 repeats x01, x25 is constant: both dropped by name, in both fits.
  const std::string dropped = Study().Read("out/dropped_features.csv");
  EXPECT_NE(dropped.find("duplicate of x01"), std::string::npos) << dropped;
  EXPECT_NE(dropped.find("constant"), std::string::npos) << dropped;
}

// The program gives what the library gives, to the byte.
TEST_F(ConsoleRun, IsTheSameRunAsInTheLibrary) {
  const testing::SmallRun run =
      testing::MustRun(testing::MustAssemble({}, testing::SmallHospitals()));
  EXPECT_EQ(Study().Read("out/report.json"), run.report);
  EXPECT_EQ(Study().Read("out/coefficients.csv"), run.coefficients);
  const Bytes log = testing::Joined(run.log);
  EXPECT_EQ(Study().Read("out/log.consilium"), std::string(log.begin(), log.end()));
}

TEST_F(ConsoleRun, AuditsAndReportsTheFinishedRun) {
  for (const Arguments& arguments :
       {Arguments{"audit", "verify", "out"}, Arguments{"audit", "replay", "out"},
        Arguments{"report", "out"}}) {
    const Told told = Study().Consilium(arguments);
    EXPECT_EQ(told.exit_code, 0) << arguments[0] << ": " << told.err;
    EXPECT_FALSE(told.out.empty());
    EXPECT_EQ(told.err, "");
    for (const char* words : {"Head of the log: ", "Not proven: totals"}) {
      EXPECT_EQ(told.out.find(words) != std::string::npos, arguments[0] == "audit")
          << words << " in\n"
          << told.out;
    }
  }
  const std::string html = Study().Read("out/report.html");
  std::filesystem::remove(Study().path() / "out/report.html");
  EXPECT_EQ(Study().Consilium({"report", "out"}).exit_code, 0);
  EXPECT_EQ(Study().Read("out/report.html"), html);
}

TEST_F(ConsoleRun, SaysOneJsonObjectALine) {
  const Told checked =
      Study().Consilium(With({"study", "check", "study.yaml", "--json"},
                             {"--site", "north=north.yaml", "--site", "east=east.yaml", "--site",
                              "south=south.yaml", "--site", "west=west.yaml"}));
  ASSERT_EQ(checked.exit_code, 0) << checked.err;
  const auto check = Lines(checked.out);
  ASSERT_EQ(check.size(), 1U);
  EXPECT_EQ(check.front().at("event"), "checked");
  EXPECT_EQ(check.front().at("rows").at("north"), 72);
  EXPECT_EQ(check.front().at("digest").get<std::string>().size(), 64U);

  const Told ran = Study().Consilium(With(SimulateArguments(kSites, "json"), {"--json"}));
  ASSERT_EQ(ran.exit_code, 0) << ran.err;
  const auto lines = Lines(ran.out);
  ASSERT_GT(lines.size(), 5U);
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    EXPECT_EQ(lines[i].at("event"), "round");
    EXPECT_EQ(lines[i].at("round"), i);
  }
  EXPECT_EQ(lines.back().at("event"), "done");
  EXPECT_EQ(lines.back().at("rounds"), lines.size() - 1);
  EXPECT_EQ(ran.err, "");

  const auto verified = Lines(Study().Consilium({"--json", "audit", "verify", "out"}).out);
  ASSERT_EQ(verified.size(), 1U);
  EXPECT_EQ(verified.front().at("event"), "verified");
  const auto replayed = Lines(Study().Consilium({"audit", "replay", "out", "--json"}).out);
  ASSERT_EQ(replayed.size(), 1U);
  EXPECT_EQ(replayed.front().at("event"), "replayed");
  EXPECT_EQ(replayed.front().at("totals_added_again"), false);
  // The log's last 32 bytes: the hash of its last record.
  const std::string log = Study().Read("out/log.consilium");
  std::string head;
  for (const char c : log.substr(log.size() - 32))
    head += fmt::format("{:02x}", static_cast<unsigned char>(c));
  EXPECT_EQ(verified.front().at("head"), head);
  EXPECT_EQ(replayed.front().at("head"), head);
  const auto written = Lines(Study().Consilium({"report", "json", "--json"}).out);
  ASSERT_EQ(written.size(), 1U);
  EXPECT_EQ(written.front().at("event"), "written");

  const Told wrong = Study().Consilium({"audit", "verify", "nowhere", "--json"});
  EXPECT_EQ(wrong.exit_code, 3);
  const auto errors = Lines(wrong.out);
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(errors.front().at("event"), "error");
  EXPECT_EQ(errors.front().at("exit"), 3);
}

TEST_F(ConsoleRun, HelpOfEveryVerbNamesItsOptionsAndTheExitCodes) {
  const std::vector<std::pair<Arguments, std::vector<std::string>>> verbs = {
      {{"--help"}, {"study", "simulate", "report", "audit", "demo", "--json", "--version"}},
      {{"study", "--help"}, {"check"}},
      {{"study", "check", "--help"}, {"STUDY", "--site", "--data"}},
      {{"simulate", "--help"},
       {"STUDY", "--site", "--data", "--out", "--threads", "--no-masks", "--resume"}},
      {{"report", "--help"}, {"DIR"}},
      {{"audit", "--help"}, {"verify", "replay"}},
      {{"audit", "verify", "--help"}, {"DIR"}},
      {{"audit", "replay", "--help"}, {"DIR"}},
      {{"demo", "--help"}, {"--out", "--seed"}}};
  for (const auto& [arguments, words] : verbs) {
    SCOPED_TRACE(fmt::format("{}", fmt::join(arguments, " ")));
    const Told told = Study().Consilium(arguments);
    EXPECT_EQ(told.exit_code, 0);
    for (const std::string& word : words)
      EXPECT_NE(told.out.find(word), std::string::npos) << word << " in\n" << told.out;
    EXPECT_NE(told.out.find("Exit codes:"), std::string::npos) << told.out;
  }
  const Told version = Study().Consilium({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.out.rfind("consilium ", 0), 0U) << version.out;
}

TEST_F(ConsoleRun, HasTheSameBytesInAnotherOrderOnOneThreadAndWithoutFmaAndAvx) {
  ASSERT_EQ(
      Study().Consilium(SimulateArguments({"west", "south", "north", "east"}, "order")).exit_code,
      0);
  ExpectSameReport("order");
  ASSERT_EQ(Study().Consilium(With(SimulateArguments(kSites, "one"), {"--threads", "1"})).exit_code,
            0);
  ExpectSameReport("one");
  // glibc then chooses the variants of its mathematics for an old processor.
  const Told old = Study().Consilium(
      SimulateArguments(kSites, "old"),
      {{"GLIBC_TUNABLES",
        "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F,-AVX2_Usable,-FMA_Usable,-AVX512F_Usable"}});
  ASSERT_EQ(old.exit_code, 0) << old.err;
  ExpectSameReport("old");
}

TEST_F(ConsoleRun, ReadsTablesFromWindowsWithTheSameReport) {
  Scratch windows;
  StudyFiles files = FilesOf({});
  for (auto& [name, text] : files) {
    if (!name.ends_with(".csv")) continue;
    std::string crlf = "\xEF\xBB\xBF";
    for (const char c : text) crlf += c == '\n' ? std::string("\r\n") : std::string(1, c);
    text = crlf;
  }
  WriteAll(windows, files);
  const Told told = windows.Consilium(SimulateArguments(kSites));
  ASSERT_EQ(told.exit_code, 0) << told.err;
  EXPECT_EQ(windows.Read("out/report.json"), Study().Read("out/report.json"));
}

TEST_F(ConsoleRun, ResumesATornLogToTheSameBytes) {
  const std::string whole = Study().Read("out/log.consilium");
  // Inside the header, inside the first entry, in the middle, one byte short, and whole.
  for (const std::size_t kept :
       {std::size_t{100}, std::size_t{5000}, whole.size() / 2, whole.size() - 1, whole.size()}) {
    SCOPED_TRACE(::testing::Message() << kept << " of " << whole.size() << " bytes are left");
    const std::string out = fmt::format("torn{}", kept);
    Study().Write(out + "/log.consilium", whole.substr(0, kept));
    const Told told = Study().Consilium(With(SimulateArguments(kSites, out), {"--resume"}));
    ASSERT_EQ(told.exit_code, 0) << told.err;
    EXPECT_EQ(Study().Read(out + "/log.consilium"), whole);
    ExpectSameReport(out);
  }
}

TEST_F(ConsoleRun, RefusesToResumeALogThatIsDamagedInTheMiddleOrOfAnotherStudyAndLeavesItAsItIs) {
  std::string damaged = Study().Read("out/log.consilium");
  damaged[damaged.size() / 3] = static_cast<char>(damaged[damaged.size() / 3] ^ 0x10);
  Study().Write("damaged/log.consilium", damaged);
  const Told told = Study().Consilium(With(SimulateArguments(kSites, "damaged"), {"--resume"}));
  EXPECT_EQ(told.exit_code, 3) << told.out;
  EXPECT_NE(told.err.find("log.consilium"), std::string::npos) << told.err;
  EXPECT_EQ(Study().Read("damaged/log.consilium"), damaged);

  testing::SmallStudyOptions options;
  options.combat = false;
  Scratch other;
  WriteAll(other, FilesOf(options));
  other.Write("out/log.consilium", Study().Read("out/log.consilium"));
  const Told refused = other.Consilium(With(SimulateArguments(kSites), {"--resume"}));
  EXPECT_EQ(refused.exit_code, 1) << refused.out;
  EXPECT_NE(refused.err.find("the log is of study"), std::string::npos) << refused.err;
  EXPECT_EQ(other.Read("out/log.consilium"), Study().Read("out/log.consilium"));
}

TEST_F(ConsoleRun, TheAuditFindsAReportATableOrALogThatWasChanged) {
  const auto change = [](const std::string& out, const std::string& file, std::size_t at) {
    std::string text = Study().Read(out + "/" + file);
    text.at(at) = static_cast<char>(text.at(at) ^ 1);
    Study().Write(out + "/" + file, text);
  };
  const std::string report = Copy("tampered_report");
  change(report, "report.json", Study().Read("out/report.json").find("external_auc") + 20);
  const Told told = Study().Consilium({"audit", "replay", report});
  EXPECT_EQ(told.exit_code, 5);
  EXPECT_NE(told.err.find("report.json"), std::string::npos) << told.err;
  EXPECT_EQ(Study().Consilium({"audit", "verify", report}).exit_code, 0);  // the log itself holds

  const std::string table = Copy("tampered_table");
  change(table, "coefficients.csv", Study().Read("out/coefficients.csv").size() - 3);
  const Told replayed = Study().Consilium({"audit", "replay", table});
  EXPECT_EQ(replayed.exit_code, 5);
  EXPECT_NE(replayed.err.find("coefficients.csv"), std::string::npos) << replayed.err;

  const std::string log = Copy("tampered_log");
  change(log, "log.consilium", Study().Read("out/log.consilium").size() / 2);
  for (const char* verb : {"verify", "replay"}) {
    const Told found = Study().Consilium({"audit", verb, log});
    EXPECT_EQ(found.exit_code, 5) << verb;
    EXPECT_NE(found.err.find("log"), std::string::npos) << found.err;
  }

  const std::string gone = Copy("without_table");
  std::filesystem::remove(Study().path() / gone / "roc.csv");
  const Told missing = Study().Consilium({"audit", "replay", gone});
  EXPECT_EQ(missing.exit_code, 5);
  EXPECT_NE(missing.err.find("roc.csv"), std::string::npos) << missing.err;
}

TEST_F(ConsoleRun, PublicDataHasTheSameReportWithMasksAndWithout) {
  testing::SmallStudyOptions options;
  options.public_data = true;
  Scratch open;
  WriteAll(open, FilesOf(options));
  ASSERT_EQ(open.Consilium(SimulateArguments(kSites, "masked")).exit_code, 0);
  const Told bare = open.Consilium(With(SimulateArguments(kSites, "bare"), {"--no-masks"}));
  ASSERT_EQ(bare.exit_code, 0) << bare.err;
  EXPECT_EQ(open.Read("masked/report.json"), open.Read("bare/report.json"));
  EXPECT_EQ(open.Read("masked/coefficients.csv"), open.Read("bare/coefficients.csv"));
  EXPECT_NE(open.Read("masked/log.consilium"), open.Read("bare/log.consilium"));
  EXPECT_EQ(open.Consilium({"audit", "replay", "bare"}).exit_code, 0);
}

TEST_F(ConsoleRun, ARunThatIsRefusedLeavesTheFinishedRunInItsFolderAsItIs) {
  const std::string out = Copy("kept");
  const Told told = Study().Consilium(
      With(SimulateArguments(kSites, out), {"--no-masks"}));  // the policy is private
  EXPECT_EQ(told.exit_code, 4) << told.err;
  EXPECT_EQ(Study().Read(out + "/log.consilium"), Study().Read("out/log.consilium"));
  EXPECT_EQ(Study().Consilium({"audit", "replay", out}).exit_code, 0);
}

}  // namespace
}  // namespace consilium::e2e
