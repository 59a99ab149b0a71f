// A site that fails in the middle ends the run: by name, with its cause, and without a total in
// which it has a part.
#include <gtest/gtest.h>

#include <limits>

#include "coordinator/study_run.h"
#include "study/program.h"
#include "tests/support/ledger_disk.h"
#include "tests/support/small_study.h"

namespace consilium {
namespace {

using testing::SmallFederation;

struct Ending {
  std::optional<Error> error;
  std::size_t records = 0;         // of the log of totals
  std::size_t ledger_records = 0;  // of east
};

// Coordinator and sites, round by round, with a ledger of `room` records at east.
Ending RunWithLedger(const SmallFederation& federation, std::size_t room) {
  const study::Engine engine = study::MakeEngine();
  auto identities = simulation::LocalIdentities(federation.study, federation.sites);
  const federation::Roster members = simulation::LocalMembers(federation.study, identities);
  const federation::Roster roster = simulation::LocalRoster(federation.study, identities);
  const federation::SumKey sum_key =
      simulation::LocalSumKey(federation.yaml, members, roster, identities);
  std::map<std::string, federation::SiteKeys> keys;
  for (const auto& [name, identity] : identities) keys[name] = identity.public_keys();
  const site_agent::Approval approval = site_agent::AcceptAll(federation.study, keys);
  testing::LedgerDisk disk;
  disk.room = room;
  std::vector<std::unique_ptr<site_agent::Ledger>> ledgers;
  std::vector<std::unique_ptr<site_agent::Gate>> gates;
  std::vector<std::unique_ptr<site_agent::Site>> sites;
  testing::MemoryLog log;
  Ending ending;
  const auto end = [&](std::optional<Error> error) {
    ending.error = std::move(error);
    ending.records = log.records.size();
    ending.ledger_records = disk.kept;
    return ending;
  };
  for (const auto& [name, site] : federation.sites) {
    ledgers.push_back(std::make_unique<site_agent::Ledger>(name, name == "east" ? &disk : nullptr));
    gates.push_back(
        std::make_unique<site_agent::Gate>(site_agent::SiteSettings{}, *ledgers.back()));
    auto joined = site_agent::Site::Join(federation.study, engine, std::move(identities.at(name)),
                                         site.cohort, roster, approval, *gates.back());
    if (!joined) return end(joined.error());
    (*joined)->SetSumKey(sum_key);
    sites.push_back(std::move(*joined));
  }
  auto run = coordinator::StudyRun::Begin(federation.study, federation.yaml, engine, members, log);
  if (!run) return end(run.error());
  while (!(*run)->done()) {
    const site_agent::RoundQuestion question{(*run)->binding(), (*run)->replay().queries(), roster};
    std::map<std::string, coordinator::ArrivedAnswer> answers;
    for (auto& site : sites) {
      auto answer = site->Answer(question, (*run)->replay());
      if (!answer) {
        // Whoever failed is missing, and a total without it is not made.
        const std::size_t before = log.records.size();
        EXPECT_FALSE((*run)->Prepare(answers).has_value());
        EXPECT_EQ(log.records.size(), before);
        return end(answer.error());
      }
      if (!(*run)->IsAsked(site->name())) continue;
      answers[site->name()] = {std::move(answer->words), std::move(answer->receipt),
                               std::move(answer->releases)};
    }
    const auto total = (*run)->Close(answers);
    if (!total) return end(total.error());
    for (auto& site : sites) {
      if (const auto told = site->TotalReceived(question, *total); !told) return end(told.error());
    }
  }
  return end(std::nullopt);
}

TEST(FailingSite, ALedgerThatCannotBeWrittenStopsTheStudyWhereverItHappens) {
  testing::SmallStudyOptions options;
  options.combat = false;
  const SmallFederation federation = testing::MustAssemble(options, testing::SmallHospitals());
  const Ending whole = RunWithLedger(federation, SIZE_MAX);
  ASSERT_FALSE(whole.error.has_value()) << whole.error->message;
  ASSERT_GT(whole.ledger_records, 30U);
  for (std::size_t room = 0; room < whole.ledger_records; room += 1 + whole.ledger_records / 25) {
    SCOPED_TRACE(::testing::Message()
                 << "room for " << room << " of " << whole.ledger_records << " records");
    const Ending stopped = RunWithLedger(federation, room);
    ASSERT_TRUE(stopped.error.has_value());
    EXPECT_NE(stopped.error->message.find("site east"), std::string::npos)
        << stopped.error->message;
    EXPECT_NE(stopped.error->message.find("GATE_LEDGER_UNAVAILABLE"), std::string::npos)
        << stopped.error->message;
    EXPECT_EQ(stopped.ledger_records, room);
    // Only the very last record comes after the study's last total.
    EXPECT_LE(stopped.records, whole.records);
    if (room + 1 < whole.ledger_records) {
      EXPECT_LT(stopped.records, whole.records);
    }
  }
}

// A value that no fixed-point sum can carry.
TEST(FailingSite, AStepThatFailsEndsTheRunWithTheSitesNameAndWritesNoTotal) {
  SmallFederation federation = testing::MustAssemble({}, testing::SmallHospitals());
  federation.sites.at("south").cohort.features(4, 7) = 1e300;
  testing::MemoryLog log;
  const auto run =
      simulation::RunLocally(federation.study, federation.yaml, federation.sites, log, {});
  ASSERT_FALSE(run.has_value());
  EXPECT_NE(run.error().message.find("site south"), std::string::npos) << run.error().message;
  const auto verified = coordinator::VerifyLog(testing::Joined(log.records));
  ASSERT_TRUE(verified.has_value()) << verified.error().message;  // what stands there stands whole
}

TEST(FailingSite, AMissingCovariateThatNobodyFilteredIsRefusedByTheSite) {
  SmallFederation federation = testing::MustAssemble({}, testing::SmallHospitals());
  federation.sites.at("south").cohort.covariates(4, 0) = std::numeric_limits<double>::quiet_NaN();
  testing::MemoryLog log;
  const auto run =
      simulation::RunLocally(federation.study, federation.yaml, federation.sites, log, {});
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().message.rfind("site south: covariate age is missing", 0), 0U)
      << run.error().message;
}

TEST(FailingSite, AnIncompleteTrainingColumnIsDroppedFromEveryFitAndTheReportSaysSo) {
  SmallFederation federation = testing::MustAssemble({}, testing::SmallHospitals());
  federation.sites.at("south").cohort.features(4, 7) = std::numeric_limits<double>::quiet_NaN();
  const testing::SmallRun run = testing::MustRun(federation);
  std::size_t told = 0;
  for (const auto& one : run.results.dropped_features)
    told += one.feature == "x08" && one.reason == "missing" ? 1 : 0;
  EXPECT_EQ(told, 2U);  // none and combat
  for (const auto& one : run.results.coefficients)
    EXPECT_TRUE(one.term != "x08" || one.coefficient == 0);
}

TEST(FailingSite, ASiteOfTheStudyWithoutACohortIsNamed) {
  SmallFederation federation = testing::MustAssemble({}, testing::SmallHospitals());
  federation.sites.erase("south");
  const auto run = testing::Run(federation);
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(run.error().message.find("site south"), std::string::npos) << run.error().message;
}

}  // namespace
}  // namespace consilium
