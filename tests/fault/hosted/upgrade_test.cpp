// A coordinator that is upgraded in the middle of a study: another engine does not touch what the
// first one began, says so, and the lead can end it; the same engine goes on.
#include <gtest/gtest.h>

#include "coordinator/hub.h"
#include "program/program.h"
#include "study/engine.h"
#include "tests/fault/hosted/hosted_federation.h"

namespace consilium::testing {
namespace {

namespace fs = std::filesystem;
using coordinator::Home;
using coordinator::Hub;
using coordinator::Store;
using coordinator::StudyState;

template <typename T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}
void Must(const Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().message);
}

fs::path NewFolder(const std::string& name) {
  const auto folder = fs::path(::testing::TempDir()) / ("consilium_upgrade_" + name);
  fs::remove_all(folder);
  return folder;
}

// A coordinator's folder with the study of `hosted` as it stands, begun by `engine`.
void CopyTo(HostedFederation& hosted, const fs::path& folder, const std::string& engine) {
  const coordinator::HomeOptions options{"Loopback", {"127.0.0.1"}, 8443, 8444, ""};
  const Home home = Must(InitHome(folder, options, program::UnixMs() / 1000));
  const auto store = Must(Store::Open(home.store_path().string()));
  Store& from = hosted.store();
  const Digest& id = hosted.id();
  const auto study = Must(from.FindStudy(id));
  Must(store->AddStudy({id, study.status.name, study.status.lead, study.file, study.submission},
                       study.status.submitted_ms));
  for (const auto& site : Must(from.ListSites(id)))
    Must(store->SetSite(id, site.site, site.state, site.sentence, site.join, site.changed_ms));
  const auto attempt = Must(from.ListAttempts(id)).at(0);
  Must(store->BeginAttempt(id, 0, attempt.roster, attempt.began_ms));
  Must(store->SetStudyState(id, StudyState::kRunning, "", attempt.began_ms));
  const std::uint64_t records = Must(from.RecordCount(id, 0));
  ASSERT_GT(records, 3U);
  for (std::uint64_t i = 0; i < records; ++i) {
    Bytes record = Must(from.ReadRecords(id, 0, i, 1)).at(0);
    if (i == 0) {
      auto header = Must(federation::DecodeHeader(Must(federation::NextRecord(record)).body));
      header.engine_version = engine;
      record = federation::EncodeRecord(header);
    }
    Must(store->AppendRecord(id, 0, i, record));
  }
}

// A federation of which the study has begun and not ended.
class Upgrade : public ::testing::Test {
 protected:
  Upgrade() : hosted_(SmallStudyYaml(Quick()), SmallHospitals(), NewFolder("from")) {
    while (hosted_.store().RecordCount(hosted_.id(), 0).value_or(0) < 6 && hosted_.Step()) {
    }
  }
  static SmallStudyOptions Quick() {
    SmallStudyOptions options;
    options.kkt_tolerance = 1e-6;
    return options;
  }
  static std::unique_ptr<Hub> Start(const fs::path& folder) {
    return Must(Hub::Open(Must(coordinator::OpenHome(folder)), {}, Hub::Studies::kTakeUp));
  }
  static bool Says(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
  }

  HostedFederation hosted_;
};

TEST_F(Upgrade, OfTheSameEngineTakesTheStudyUp) {
  const auto folder = NewFolder("same");
  ASSERT_NO_FATAL_FAILURE(CopyTo(hosted_, folder, study::kEngineVersion));
  const auto hub = Start(folder);
  const auto status = Must(hub->Status(hosted_.id()));
  EXPECT_EQ(status.study.state, StudyState::kRunning);
  EXPECT_FALSE(Says(status.doing, "not taken up")) << status.doing;
  EXPECT_FALSE(status.waits.empty());
}

TEST_F(Upgrade, OfAnotherEngineLeavesTheStudyAsItIsAndSaysWhy) {
  const auto folder = NewFolder("other");
  ASSERT_NO_FATAL_FAILURE(CopyTo(hosted_, folder, "consilium 0.0.9"));
  const auto before =
      Must(Must(Store::Open((folder / "store.db").string()))->ReadLog(hosted_.id(), 0));
  {
    const auto hub = Start(folder);
    const auto status = Must(hub->Status(hosted_.id()));
    EXPECT_EQ(status.study.state, StudyState::kRunning);
    for (const char* words : {"not taken up", "consilium 0.0.9", study::kEngineVersion})
      EXPECT_TRUE(Says(status.doing, words)) << words << " is not in: " << status.doing;
  }
  const auto store = Must(Store::Open((folder / "store.db").string()));
  EXPECT_EQ(Must(store->ReadLog(hosted_.id(), 0)), before);
  EXPECT_EQ(Must(store->FindStudy(hosted_.id())).status.state, StudyState::kRunning);
}

TEST_F(Upgrade, OfAnotherEngineLetsTheLeadEndTheStudy) {
  const auto folder = NewFolder("ended");
  ASSERT_NO_FATAL_FAILURE(CopyTo(hosted_, folder, "consilium 0.0.9"));
  coordinator::Caller anna;
  anna.name = "anna";
  anna.role = identity::Role::kLead;
  {
    const auto hub = Start(folder);
    Must(hub->CancelStudy(anna, hosted_.id(), "upgraded"));
    const auto status = Must(hub->Status(hosted_.id()));
    EXPECT_EQ(status.study.state, StudyState::kCancelled);
    EXPECT_EQ(status.study.reason, "cancelled by anna: upgraded");
    EXPECT_EQ(status.doing, "");
    EXPECT_EQ(hub->CancelStudy(anna, hosted_.id(), "again").error().code, ErrorCode::kNotFound);
  }
  EXPECT_EQ(Must(Start(folder)->Status(hosted_.id())).study.state, StudyState::kCancelled);
}

// Whoever installed the newer one at a site reads what to do.
TEST_F(Upgrade, OfASiteIsRefusedByBothNames) {
  const auto folder = NewFolder("site");
  ASSERT_NO_FATAL_FAILURE(CopyTo(hosted_, folder, study::kEngineVersion));
  const auto hub = Start(folder);
  wire::Versions theirs;
  theirs.engine = study::kEngineVersion;
  EXPECT_TRUE(hub->Agree("north", theirs).has_value());
  theirs.engine = "consilium 0.2.0";
  const auto refused = hub->Agree("north", theirs);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kFailedPrecondition);
  for (const char* words : {"site north", "consilium 0.2.0", study::kEngineVersion, "install"})
    EXPECT_TRUE(Says(refused.error().message, words)) << refused.error().message;
}

}  // namespace
}  // namespace consilium::testing
