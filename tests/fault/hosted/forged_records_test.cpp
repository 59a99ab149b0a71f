// A coordinator that forges what it tells the sites is found out at once, by name, and told nothing
// more; so is a share of the sum key that is not what its site sealed.
#include <gtest/gtest.h>

#include "tests/fault/hosted/hosted_federation.h"

namespace consilium::testing {
namespace {

std::filesystem::path Folder(const std::string& name) {
  const auto folder = std::filesystem::path(::testing::TempDir()) / ("consilium_forged_" + name);
  std::filesystem::remove_all(folder);
  return folder;
}

std::string StudyYaml(bool masks = true) {
  SmallStudyOptions options;
  options.kkt_tolerance = 1e-6;
  options.combat = false;
  options.public_data = !masks;
  std::string yaml = SmallStudyYaml(options);
  if (!masks) {
    const std::string privacy = "privacy: {min_sites: 3}";
    yaml.replace(yaml.find(privacy), privacy.size(), "privacy: {min_sites: 3, masks: false}");
  }
  return yaml;
}

using Change = std::function<void(federation::LogEntry&)>;

// The record with `change` made to its entry: what a coordinator can write that has no site's key.
void Rewrite(Bytes& record, const Change& change) {
  const auto whole = federation::NextRecord(record);
  ASSERT_TRUE(whole.has_value());
  auto entry = federation::DecodeEntry(whole->body);
  ASSERT_TRUE(entry.has_value());
  change(*entry);
  record = federation::EncodeRecord(*entry);
}

federation::LogEntry EntryOf(const Bytes& record) {
  const auto whole = federation::NextRecord(record);
  EXPECT_TRUE(whole.has_value());
  auto entry = federation::DecodeEntry(whole->body);
  EXPECT_TRUE(entry.has_value());
  return *entry;
}

struct Outcome {
  std::string reason;                 // the study's, at the coordinator
  std::vector<std::string> errors;    // in full, at the sites
  std::size_t answers_after = 0;      // of the deceived site to later rounds
  std::uint64_t refusal_records = 0;  // in its ledger
};

// The study in which `site` is told `change` of the record of round `round`.
Outcome Deceive(HostedFederation& hosted, const std::string& site, std::uint64_t round,
                const Change& change) {
  hosted.forge = [&](const std::string& to, std::uint64_t index, Bytes& record) {
    if (to == site && index == round + 1) Rewrite(record, change);
  };
  hosted.RunToEnd();
  Outcome outcome;
  EXPECT_EQ(hosted.Status().study.state, coordinator::StudyState::kFailed);
  outcome.reason = hosted.Status().study.reason;
  outcome.errors = hosted.errors();
  for (const site_agent::LedgerRecord& record : hosted.ledger(site).records()) {
    if (record.event == site_agent::LedgerEvent::kQueryAnswered && record.round > round)
      ++outcome.answers_after;
    if (record.event == site_agent::LedgerEvent::kTotalReceived) {
      EXPECT_NE(record.round, round);
    }
    if (record.rule.starts_with("GATE_TOTAL") || record.rule.starts_with("GATE_RELEASE"))
      ++outcome.refusal_records;
  }
  return outcome;
}

void ExpectRefused(const Outcome& outcome, const std::string& site, std::uint64_t round,
                   const std::string& rule) {
  EXPECT_EQ(outcome.reason,
            fmt::format("site {} refused the total of round {}: PERMISSION_DENIED {}", site, round,
                        rule));
  ASSERT_FALSE(outcome.errors.empty());
  EXPECT_NE(outcome.errors[0].find(fmt::format("site {}: {}: ", site, rule)), std::string::npos)
      << outcome.errors[0];
  EXPECT_EQ(outcome.answers_after, 0U);
  EXPECT_EQ(outcome.refusal_records, 1U);
}

// A round in the middle that sums something.
constexpr std::uint64_t kRound = 4;

TEST(ForgedTotals, OneMoreInOneWordIsRefusedByTheSiteThatIsToldIt) {
  for (const std::string site : {"east", "west"}) {  // west is held out: it believes no less
    HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("one_" + site));
    const Outcome outcome = Deceive(hosted, site, kRound, [](federation::LogEntry& entry) {
      ASSERT_FALSE(entry.total.empty());
      ++entry.total[entry.total.size() / 2 / 8 * 8];
    });
    ExpectRefused(outcome, site, kRound, "GATE_TOTAL_NOT_THE_SUM");
    EXPECT_NE(outcome.errors[0].find("the total is not the sum of what the 3 sites signed"),
              std::string::npos);
  }
}

TEST(ForgedTotals, AreRefusedWithMasksOffAsWell) {
  HostedFederation hosted(StudyYaml(false), SmallHospitals(), Folder("unmasked"));
  ExpectRefused(
      Deceive(hosted, "north", kRound, [](federation::LogEntry& entry) { entry.total[0] ^= 1; }),
      "north", kRound, "GATE_TOTAL_NOT_THE_SUM");
}

TEST(ForgedTotals, AnOlderTotalInPlaceOfANewOneIsRefused) {
  HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("older"));
  std::map<std::size_t, federation::LogEntry> by_size;  // the latest total of each size, and tags
  bool replayed = false;
  hosted.forge = [&](const std::string& to, std::uint64_t index, Bytes& record) {
    if (to != "south" || index == 0 || replayed) return;
    const federation::LogEntry entry = EntryOf(record);
    const auto older = by_size.find(entry.total.size());
    if (older != by_size.end() && older->second.total != entry.total && !entry.total.empty()) {
      Rewrite(record, [&](auto& forged) { forged.total = older->second.total; });
      replayed = true;
    }
    by_size[entry.total.size()] = entry;
  };
  hosted.RunToEnd();
  EXPECT_TRUE(replayed);
  EXPECT_NE(hosted.Status().study.reason.find("site south refused the total of round"),
            std::string::npos)
      << hosted.Status().study.reason;
}

TEST(ForgedTotals, TheRecordOfAnotherRoundIsRefused) {
  HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("swapped"));
  Bytes earlier;
  hosted.forge = [&](const std::string& to, std::uint64_t index, Bytes& record) {
    if (to != "south") return;
    if (index == kRound) earlier = record;
    // In its place the one before, made to follow: receipts, total and all.
    if (index == kRound + 1) {
      const federation::LogEntry real = EntryOf(record);
      record = earlier;
      Rewrite(record, [&](auto& forged) { forged.previous = real.previous; });
    }
  };
  while (hosted.errors().empty() && hosted.Step()) {
  }
  ASSERT_FALSE(hosted.errors().empty());
  EXPECT_NE(hosted.errors()[0].find("another question than the one that follows"),
            std::string::npos)
      << hosted.errors()[0];
}

TEST(ForgedTotals, AForgedLogThatAllSitesAreToldIsRefusedByAll) {
  HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("all"));
  hosted.forge = [&](const std::string&, std::uint64_t index, Bytes& record) {
    if (index == kRound + 1) Rewrite(record, [](auto& entry) { entry.total[1] ^= 2; });
  };
  hosted.RunToEnd();
  EXPECT_EQ(hosted.Status().study.state, coordinator::StudyState::kFailed);
  for (const auto* site : {"north", "east", "south", "west"}) {
    const bool refused =
        std::any_of(hosted.errors().begin(), hosted.errors().end(), [&](const std::string& error) {
          return error.find(fmt::format("site {}: GATE_TOTAL_NOT_THE_SUM", site)) !=
                 std::string::npos;
        });
    // Who has not been told yet when the study fails, is told its end instead.
    const auto& told = hosted.told(site);
    EXPECT_TRUE(refused || std::holds_alternative<wire::Ended>(told.back())) << site;
    for (const site_agent::LedgerRecord& record : hosted.ledger(site).records())
      EXPECT_FALSE(record.event == site_agent::LedgerEvent::kQueryAnswered &&
                   record.round > kRound);
  }
}

TEST(ForgedReceipts, DroppedInventedAlteredOrOfAnotherRoundTheyAreRefused) {
  const std::map<std::string, Change> changes = {
      {"dropped", [](auto& entry) { entry.receipts.erase(entry.receipts.begin()); }},
      {"invented",
       [](auto& entry) {
         federation::Receipt receipt = entry.receipts.back();
         receipt.site = "west";
         receipt.answer_bytes = 0;
         entry.receipts.push_back(receipt);
       }},
      {"tag", [](auto& entry) { entry.receipts[1].tag[0] ^= 1; }},
      {"tags",  // two tags in each other's place have the same sum; the signatures do not fit
       [](auto& entry) { std::swap(entry.receipts[0].tag, entry.receipts[1].tag); }},
      {"binding", [](auto& entry) { --entry.receipts[2].binding.round; }},
  };
  for (const auto& [name, change] : changes) {
    SCOPED_TRACE(name);
    HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("receipt_" + name));
    ExpectRefused(Deceive(hosted, "south", kRound, change), "south", kRound,
                  "GATE_TOTAL_NOT_THE_SUM");
  }
}

// The round in which west, held out, releases its scores.
std::uint64_t ScoringRound() {
  SmallStudyOptions options;
  options.kkt_tolerance = 1e-6;
  options.combat = false;
  static const SmallRun kRun = MustRun(MustAssemble(options, SmallHospitals()));
  for (std::size_t i = 1; i < kRun.log.size(); ++i) {
    if (!EntryOf(kRun.log[i]).releases.empty()) return i - 1;
  }
  ADD_FAILURE() << "nothing was released";
  return 0;
}

TEST(ForgedReleases, ChangedOrInAnothersNameAreRefusedByEverySiteThatIsToldThem) {
  const std::map<std::string, Change> changes = {
      {"changed",
       [](auto& entry) {
         entry.releases.begin()->second.at("west").blocks.front().values(0, 0) += 1;
       }},
      {"renamed",
       [](auto& entry) {
         auto& by_site = entry.releases.begin()->second;
         by_site["east"] = by_site.at("west");
       }},
      {"receipt_dropped",
       [](auto& entry) {
         std::erase_if(entry.receipts, [](const auto& one) { return one.site == "west"; });
       }},
  };
  for (const auto& [name, change] : changes) {
    for (const std::string site : {"north", "west"}) {
      SCOPED_TRACE(name + " told to " + site);
      HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("release_" + name + site));
      bool done = false;
      const Change& made = change;  // clang 14 captures no bindings
      hosted.forge = [&](const std::string& to, std::uint64_t index, Bytes& record) {
        if (to != site || index != ScoringRound() + 1) return;
        Rewrite(record, made);
        done = true;
      };
      hosted.RunToEnd();
      EXPECT_TRUE(done);
      ASSERT_FALSE(hosted.errors().empty());
      EXPECT_NE(hosted.errors()[0].find(fmt::format("site {}: GATE_RELEASE_NOT_SIGNED: ", site)),
                std::string::npos)
          << hosted.errors()[0];
    }
  }
}

TEST(ForgedReleases, ASiteWhoseReleasesDoNotFitItsReceiptIsAskedAgain) {
  HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("on_the_way"));
  hosted.tampered_site = "west";
  hosted.tamper = [](wire::AnswerHead& head, Bytes&) {
    ASSERT_FALSE(head.releases.empty());
    head.releases.begin()->second.blocks.front().values(0, 0) += 1;
  };
  hosted.RunToEnd();
  ASSERT_EQ(hosted.refusals().size(), 1U);
  EXPECT_NE(hosted.refusals()[0].find("Releases of site 'west'"), std::string::npos)
      << hosted.refusals()[0];
  EXPECT_EQ(hosted.Status().study.state, coordinator::StudyState::kFinished);
}

TEST(Disbelief, OutlivesARestartOfTheSite) {
  HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("restart"));
  bool forging = true;
  hosted.forge = [&](const std::string& to, std::uint64_t index, Bytes& record) {
    if (forging && to == "east" && index == kRound + 1)
      Rewrite(record, [](auto& entry) { entry.total[0] ^= 1; });
  };
  while (hosted.errors().empty() && hosted.Step()) {
  }
  ASSERT_FALSE(hosted.errors().empty());
  forging = false;
  const std::uint64_t records = hosted.agent("east").position().records;
  hosted.KillSite("east");
  // The true record comes too late: the coordinator lied once.
  const auto log = hosted.store().ReadLog(hosted.id(), 0);
  ASSERT_TRUE(log.has_value());
  std::span<const std::uint8_t> rest(*log);
  for (std::uint64_t i = 0; i < records; ++i)
    rest = rest.subspan(federation::NextRecord(rest)->size);
  const auto taken =
      hosted.agent("east").Take(0, records, rest.first(federation::NextRecord(rest)->size));
  ASSERT_FALSE(taken.has_value());
  EXPECT_NE(taken.error().message.find("GATE_TOTAL_NOT_THE_SUM"), std::string::npos)
      << taken.error().message;
  EXPECT_EQ(hosted.agent("east").position().records, records);
}

TEST(Shares, OneThatWasChangedOnItsWayStopsTheStudyByName) {
  HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("share_changed"));
  hosted.pass_on = [](const std::string& site, auto& seals) {
    if (site == "south") seals.at("east")[5] ^= 1;
  };
  hosted.RunToEnd();
  EXPECT_EQ(hosted.Status().study.state, coordinator::StudyState::kFailed);
  EXPECT_EQ(hosted.Status().study.reason,
            "site south cannot join: PERMISSION_DENIED GATE_SUM_SHARE");
  ASSERT_FALSE(hosted.errors().empty());
  EXPECT_NE(hosted.errors()[0].find("what came from 'east' does not open"), std::string::npos)
      << hosted.errors()[0];
}

TEST(Shares, OneThatIsKeptBackStopsTheStudyByName) {
  HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("share_missing"));
  hosted.pass_on = [](const std::string& site, auto& seals) {
    if (site == "west") seals.erase("north");
  };
  hosted.RunToEnd();
  EXPECT_EQ(hosted.Status().study.reason,
            "site west cannot join: PERMISSION_DENIED GATE_SUM_SHARE");
  ASSERT_FALSE(hosted.errors().empty());
  EXPECT_NE(hosted.errors()[0].find("no share of north has come"), std::string::npos)
      << hosted.errors()[0];
}

TEST(Shares, ASiteThatSealsForTooFewIsNamedBeforeAnythingRuns) {
  HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("share_unsealed"));
  hosted.reseal = [](const std::string& site, auto& seals) {
    if (site == "north") seals.erase("west");
  };
  hosted.RunToEnd();
  EXPECT_EQ(hosted.Status().study.state, coordinator::StudyState::kFailed);
  EXPECT_NE(hosted.Status().study.reason.find("site north approved with shares"), std::string::npos)
      << hosted.Status().study.reason;
}

TEST(Shares, OtherOnesOfASiteThatComeLaterDoNotCount) {
  HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("share_twice"));
  while (hosted.Status().round < 2 && hosted.Step()) {
  }
  hosted.reseal = [](const std::string& site, auto& seals) {
    if (site == "north") seals.at("east")[0] ^= 1;
  };
  hosted.KillSite("north");  // it says its word again
  hosted.RunToEnd();
  EXPECT_EQ(hosted.Status().study.state, coordinator::StudyState::kFinished)
      << hosted.Status().study.reason;
}

TEST(Shares, ASiteThatSealsNonsenseForOneOtherStopsTheStudyByName) {
  HostedFederation hosted(StudyYaml(), SmallHospitals(), Folder("share_other"));
  hosted.reseal = [](const std::string& site, auto& seals) {
    if (site != "north") return;
    seals.at("east") = {};
  };
  hosted.RunToEnd();
  EXPECT_EQ(hosted.Status().study.reason,
            "site east cannot join: PERMISSION_DENIED GATE_SUM_SHARE");
}

}  // namespace
}  // namespace consilium::testing
