// A study through the coordinator's host and the sites' agents gives the bytes that one process
// gives, whoever is killed between any two messages.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "coordinator/report_json.h"
#include "tests/fault/hosted/hosted_federation.h"

namespace consilium::testing {
namespace {

std::filesystem::path Folder(const std::string& name) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("consilium_hosted_" + name);
  std::filesystem::remove_all(folder);
  return folder;
}

SmallStudyOptions Quick() {
  SmallStudyOptions options;
  options.kkt_tolerance = 1e-6;
  return options;
}

const SmallRun& Local() {
  static const SmallRun kRun = MustRun(MustAssemble(Quick(), SmallHospitals()));
  return kRun;
}

void ExpectTheLocalBytes(HostedFederation& hosted) {
  EXPECT_EQ(hosted.Status().study.state, coordinator::StudyState::kFinished)
      << hosted.Status().study.reason;
  EXPECT_EQ(hosted.Artifact("report.json"), Local().report);
  EXPECT_EQ(hosted.Artifact("coefficients.csv"), Local().coefficients);
  const auto log = hosted.store().ReadLog(hosted.id(), 0);
  ASSERT_TRUE(log.has_value());
  EXPECT_EQ(*log, Joined(Local().log));
}

TEST(HostedStudy, GivesTheBytesOfOneProcess) {
  HostedFederation hosted(SmallStudyYaml(Quick()), SmallHospitals(), Folder("plain"));
  hosted.RunToEnd();
  ExpectTheLocalBytes(hosted);
  EXPECT_TRUE(hosted.refusals().empty());
}

TEST(HostedStudy, WaitsAtItsEndForThoseWhoAreConnectedAndLackTheLastRecords) {
  HostedFederation hosted(SmallStudyYaml(Quick()), SmallHospitals(), Folder("told"));
  EXPECT_FALSE(hosted.Status().everybody_told);
  hosted.RunToEnd();
  EXPECT_TRUE(hosted.Status().everybody_told);
  constexpr std::int64_t kLater = 1'000'000'000;
  const auto back = [&](const std::string& site, std::optional<wire::Position> position) {
    hosted.host().Disconnected(site, kLater);
    EXPECT_TRUE(hosted.Status().everybody_told) << site;
    hosted.host().Connected(site, position, kLater, kLater);
    return hosted.Status().everybody_told;
  };
  EXPECT_TRUE(back("north", std::nullopt)) << "it has put the study away";
  const wire::Position all = hosted.agent("east").position();
  EXPECT_TRUE(back("east", all));
  EXPECT_FALSE(back("south", wire::Position{all.study, all.attempt, all.records - 2}));
  hosted.host().Held("south", all, kLater);
  EXPECT_TRUE(hosted.Status().everybody_told);
}

TEST(HostedStudy, GivesTheSameBytesWhoeverIsKilledBetweenAnyTwoMessages) {
  const std::vector<std::string> names = {"north", "east", "south", "west"};
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    HostedFederation hosted(SmallStudyYaml(Quick()), SmallHospitals(),
                            Folder("killed" + std::to_string(seed)));
    Rng rng(seed, "who is killed when");
    int kills = 0;
    while (!hosted.host().ended() && hosted.Step()) {
      if (!rng.Chance(0.04)) continue;
      ++kills;
      const auto who = rng.Below(names.size() + 1);
      if (who == names.size()) {
        hosted.KillCoordinator();
      } else {
        hosted.KillSite(names[who]);
      }
    }
    hosted.RunToEnd();
    EXPECT_GT(kills, 10);
    ExpectTheLocalBytes(hosted);
  }
}

TEST(HostedStudy, AnAnswerThatWasChangedOnItsWayIsRefusedAndAskedAgain) {
  HostedFederation hosted(SmallStudyYaml(Quick()), SmallHospitals(), Folder("changed"));
  hosted.tampered_site = "east";
  hosted.tamper = [](wire::AnswerHead&, Bytes& words) {
    if (!words.empty()) words[words.size() / 2] ^= 1;
  };
  hosted.RunToEnd();
  ASSERT_EQ(hosted.refusals().size(), 1U);
  EXPECT_NE(hosted.refusals()[0].find("they were changed on the way"), std::string::npos)
      << hosted.refusals()[0];
  ExpectTheLocalBytes(hosted);
}

TEST(HostedStudy, SaysWhoItWaitsForAndGoesOnWithoutItAsTheContractSays) {
  const std::string contract =
      "quorum: {required: [north], minimum: 3, grace_s: 30, deadline_s: 600, then: "
      "restart-without}\n";
  std::vector<SmallHospital> hospitals = SmallHospitals();
  hospitals.push_back({"center", DrawCases("center", 64, 0.2, 7)});
  SmallStudyOptions options = Quick();
  options.sites = {"north", "east", "south", "west", "center"};
  HostedFederation hosted(SmallStudyYaml(options) + contract, hospitals, Folder("quorum"));
  while (hosted.Status().round < 5 && hosted.Step()) {
  }
  hosted.Leave("center", "its network was cut");
  // The others answer; the host then waits for the one that left, and says so.
  while (hosted.Status().waits.size() != 1 && hosted.Step()) {
  }
  const auto status = hosted.Status();
  ASSERT_EQ(status.waits.size(), 1U);
  EXPECT_EQ(status.waits[0].owner, "center");
  EXPECT_EQ(status.waits[0].reason, "left for good: its network was cut");
  ASSERT_TRUE(status.waits[0].left_ms.has_value());
  EXPECT_LE(*status.waits[0].left_ms, 30'000);
  hosted.RunToEnd();
  EXPECT_EQ(hosted.Status().study.state, coordinator::StudyState::kFinished)
      << hosted.Status().study.reason;
  EXPECT_EQ(hosted.Status().attempt, 1U);
  // The one that left comes back too late: it is told the end and nothing of the second attempt.
  const std::size_t before = hosted.told("center").size();
  hosted.ComeBack("center");
  hosted.RunToEnd();
  const auto told = hosted.told("center");
  ASSERT_EQ(told.size(), before + 1);
  EXPECT_EQ(std::get<wire::Ended>(told.back()).state, "finished");
  // The second attempt is the study of those that are left, to the last byte.
  std::vector<SmallHospital> all = SmallHospitals();
  all.push_back({"center", DrawCases("center", 64, 0.2, 7)});
  SmallFederation four = MustAssemble(options, all);
  four.sites.erase("center");
  const auto reduced = study::ParseStudy(SmallStudyYaml(options) + contract, "study.yaml");
  ASSERT_TRUE(reduced.has_value());
  const auto resolved = study::ResolveFeatures(*reduced, four.study.feature_columns);
  ASSERT_TRUE(resolved.has_value());
  // Folds are keyed by the study, so the cohorts are built again for the one with the contract.
  for (const SmallHospital& hospital : SmallHospitals()) {
    const auto file =
        site_agent::ParseCohortFile(SmallCohortYaml(hospital.name), hospital.name + ".yaml");
    auto& site = four.sites.at(hospital.name);
    auto cohort = site_agent::BuildCohort(*file, *resolved, SmallCsv(hospital.cases), std::nullopt,
                                          site.secret);
    ASSERT_TRUE(cohort.has_value()) << cohort.error().message;
    site.cohort = std::move(*cohort);
  }
  const auto left = study::WithTrainingCenters(*resolved, {"north", "east", "south"});
  ASSERT_TRUE(left.has_value()) << left.error().message;
  four.study = *left;
  four.yaml = SmallStudyYaml(options) + contract;
  const SmallRun local = MustRun(four);
  EXPECT_EQ(hosted.Artifact("report.json"), local.report);
  EXPECT_EQ(hosted.Artifact("coefficients.csv"), local.coefficients);
}

}  // namespace
}  // namespace consilium::testing
