// An auditor with the log alone: it holds, it yields the report again, and nothing in it can be
// changed, removed, moved, repeated or signed by another without being found.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "coordinator/study_run.h"
#include "study/program.h"
#include "study/submission.h"
#include "tests/support/small_study.h"

namespace consilium {
namespace {

using testing::SmallFederation;
using testing::SmallRun;

class Audit : public ::testing::Test {
 protected:
  static const SmallFederation& Federation() {
    static const SmallFederation federation = testing::MustAssemble({}, testing::SmallHospitals());
    return federation;
  }
  static const SmallRun& TheRun() {
    static const SmallRun run = testing::MustRun(Federation());
    return run;
  }
  static Result<coordinator::Replayed> Replay(const Bytes& log) {
    static const study::Engine engine = study::MakeEngine();
    return coordinator::ReplayLog(Federation().study, engine, log);
  }
  static federation::LogEntry EntryOf(const Bytes& record) {
    const auto whole = federation::NextRecord(record);
    EXPECT_TRUE(whole.has_value());
    auto entry = federation::DecodeEntry(whole->body);
    EXPECT_TRUE(entry.has_value());
    return *entry;
  }
  // The run's log with `change` made to entry `index`, and every later entry chained anew: what a
  // coordinator could write who has all but the sites' keys.
  template <typename Change>
  static Bytes Forged(std::size_t index, const Change& change) {
    std::vector<Bytes> records = TheRun().log;
    federation::LogEntry entry = EntryOf(records[index + 1]);
    change(entry);
    records[index + 1] = federation::EncodeRecord(entry);
    return ChainedAnew(std::move(records), index + 2);
  }
  // Likewise with `change` made to the header of `log`.
  template <typename Change>
  static Bytes ForgedHeader(std::vector<Bytes> log, const Change& change) {
    const auto whole = federation::NextRecord(log.front());
    auto header = federation::DecodeHeader(whole->body);
    EXPECT_TRUE(header.has_value());
    change(*header);
    log.front() = federation::EncodeRecord(*header);
    return ChainedAnew(std::move(log), 1);
  }
  static Bytes ChainedAnew(std::vector<Bytes> records, std::size_t from) {
    for (std::size_t i = from; i < records.size(); ++i) {
      federation::LogEntry next = EntryOf(records[i]);
      next.previous = federation::NextRecord(records[i - 1])->hash;
      records[i] = federation::EncodeRecord(next);
    }
    return testing::Joined(records);
  }
  static std::size_t FirstEntryWithReceipts() {
    for (std::size_t i = 1; i < TheRun().log.size(); ++i) {
      if (!EntryOf(TheRun().log[i]).receipts.empty()) return i - 1;
    }
    ADD_FAILURE() << "no entry has receipts";
    return 0;
  }
};

TEST_F(Audit, TheLogHoldsAndYieldsTheReportAgain) {
  const Bytes log = testing::Joined(TheRun().log);
  const auto figures = coordinator::VerifyLog(log);
  ASSERT_TRUE(figures.has_value()) << figures.error().message;
  EXPECT_EQ(figures->rounds, TheRun().log.size() - 1);
  EXPECT_EQ(static_cast<std::int64_t>(figures->rounds), TheRun().results.rounds);
  // Every round has those of the three training centers, one the held-out center's as well.
  EXPECT_EQ(figures->receipts, 3 * figures->rounds + 1);
  const auto results = Replay(log);
  ASSERT_TRUE(results.has_value()) << results.error().message;
  EXPECT_EQ(coordinator::ReportJson(results->results), TheRun().report);
  EXPECT_EQ(testing::CoefficientsCsv(results->results), TheRun().coefficients);
}

// The one thing that holds a rewritten log against what the sites were told.
TEST_F(Audit, TheHeadIsTheHashThatEverySiteWroteDownLast) {
  const Bytes log = testing::Joined(TheRun().log);
  const auto figures = coordinator::VerifyLog(log);
  const auto replayed = Replay(log);
  ASSERT_TRUE(figures.has_value() && replayed.has_value());
  EXPECT_EQ(figures->head, federation::NextRecord(TheRun().log.back())->hash);
  EXPECT_EQ(replayed->head, figures->head);
  ASSERT_EQ(TheRun().ledgers.size(), 4U);
  for (const auto& [site, ledger] : TheRun().ledgers) {
    const auto last = ledger.rfind("\"event\":\"round total received\"");
    ASSERT_NE(last, std::string::npos) << site;
    EXPECT_NE(ledger.find("\"content\":\"" + Hex(figures->head) + "\"", last), std::string::npos)
        << site;
  }
  // A total, a decision and the engine's version pass the chain when it is written anew; the head
  // is then another.
  for (const Bytes& forged :
       {Forged(0, [](federation::LogEntry& entry) { entry.total[0] ^= 1; }),
        Forged(2, [](federation::LogEntry& entry) { entry.decision = "as agreed"; }),
        ForgedHeader(TheRun().log, [](federation::LogHeader& header) {
          header.engine_version = "consilium 9.9.9";
        })}) {
    const auto passed = coordinator::VerifyLog(forged);
    ASSERT_TRUE(passed.has_value()) << passed.error().message;
    EXPECT_NE(passed->head, figures->head);
  }
}

TEST_F(Audit, AHeaderThatContradictsItsStudyFileIsFoundEvenInAChainThatHolds) {
  const auto found = [&](const auto& change, std::string_view what) {
    const auto figures = coordinator::VerifyLog(ForgedHeader(TheRun().log, change));
    ASSERT_FALSE(figures.has_value()) << what;
    EXPECT_NE(figures.error().message.find("log header"), std::string::npos)
        << figures.error().message;
    EXPECT_NE(figures.error().message.find(what), std::string::npos) << figures.error().message;
  };
  using federation::LogHeader;
  found([](LogHeader& header) { header.study_file += "# one word more\n"; }, "digest");
  found([](LogHeader& header) { header.study.bytes[0] ^= 1; }, "digest");
  found([](LogHeader& header) { header.study_file += "more: 1\n"; }, "more");
  found([](LogHeader& header) { std::swap(header.feature_columns[0], header.feature_columns[1]); },
        "digest");
  found([](LogHeader& header) { header.feature_columns.emplace_back("not_selected"); },
        "feature columns");
  found([](LogHeader& header) { header.members.erase("west"); }, "west");
  found([](LogHeader& header) { header.roster.erase("east"); }, "min_sites");
  found([](LogHeader& header) { header.masked = false; }, "masks");
}

// Another engine's figures are not ours, even where their digits agree.
TEST_F(Audit, ALogOfAnotherEngineIsVerifiedAndNotReplayed) {
  const Bytes log = ForgedHeader(TheRun().log, [](federation::LogHeader& header) {
    header.engine_version = "consilium 9.9.9";
  });
  EXPECT_TRUE(coordinator::VerifyLog(log).has_value());
  const auto results = Replay(log);
  ASSERT_FALSE(results.has_value());
  EXPECT_EQ(results.error().code, ErrorCode::kFailedPrecondition);
  for (const std::string& name :
       {std::string("consilium 9.9.9"), std::string(study::kEngineVersion)})
    EXPECT_NE(results.error().message.find(name), std::string::npos) << results.error().message;
}

// Only under public-data may a run differ from its study in this; there a replay is of the study as
// it was run.
TEST_F(Audit, MasksOffArePublicDatasAloneAndReplayedAsTheyWere) {
  testing::SmallStudyOptions options;
  options.public_data = true;
  SmallFederation open = testing::MustAssemble(options, testing::SmallHospitals());
  ASSERT_TRUE(open.study.privacy.masks);
  const study::Study as_written = open.study;
  open.study.privacy.masks = false;
  const Bytes log = testing::Joined(testing::MustRun(open).log);
  const auto figures = coordinator::VerifyLog(log);
  ASSERT_TRUE(figures.has_value()) << figures.error().message;
  const auto header = federation::LogReader(log).Header();
  const auto study = study::StudyOfHeader(*header);
  ASSERT_TRUE(study.has_value()) << study.error().message;
  EXPECT_FALSE(study->privacy.masks);
  const study::Engine engine = study::MakeEngine();
  const auto replayed = coordinator::ReplayLog(*study, engine, log);
  EXPECT_TRUE(replayed.has_value()) << (replayed ? "" : replayed.error().message);
  const auto other = coordinator::ReplayLog(as_written, engine, log);
  ASSERT_FALSE(other.has_value());
  EXPECT_NE(other.error().message.find("without masks"), std::string::npos)
      << other.error().message;
}

TEST_F(Audit, AnyChangedByteIsFound) {
  const Bytes log = testing::Joined(TheRun().log);
  Rng rng(17, "changed bytes of the log");
  for (int i = 0; i < 200; ++i) {
    Bytes changed = log;
    const std::size_t at = rng.Below(changed.size());
    changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1 + rng.Below(255)));
    const auto figures = coordinator::VerifyLog(changed);
    ASSERT_FALSE(figures.has_value()) << "byte " << at << " of " << log.size();
    ASSERT_EQ(figures.error().code, ErrorCode::kDataLoss) << figures.error().message;
  }
  // Every byte of the first record's frame: length, and its hash at the end.
  const std::size_t header = TheRun().log.front().size();
  for (std::size_t i = 0; i < 40; ++i) {
    Bytes changed = log;
    const std::size_t at = i < 8 ? i : header - 40 + i;
    changed[at] = static_cast<std::uint8_t>(changed[at] ^ 0x80);
    EXPECT_FALSE(coordinator::VerifyLog(changed).has_value()) << "byte " << at;
  }
}

TEST_F(Audit, RemovedSwappedAndRepeatedEntriesAreFound) {
  const std::vector<Bytes>& records = TheRun().log;
  for (std::size_t i = 1; i < records.size(); ++i) {
    SCOPED_TRACE(::testing::Message() << "entry " << i - 1);
    std::vector<Bytes> removed = records, repeated = records;
    removed.erase(removed.begin() + static_cast<std::ptrdiff_t>(i));
    repeated.insert(repeated.begin() + static_cast<std::ptrdiff_t>(i), records[i]);
    EXPECT_FALSE(coordinator::VerifyLog(testing::Joined(repeated)).has_value());
    // The chain cannot tell that its end was cut off; the study can.
    if (i + 1 < records.size()) {
      EXPECT_FALSE(coordinator::VerifyLog(testing::Joined(removed)).has_value());
      std::vector<Bytes> swapped = records;
      std::swap(swapped[i], swapped[i + 1]);
      EXPECT_FALSE(coordinator::VerifyLog(testing::Joined(swapped)).has_value());
    }
  }
  std::vector<Bytes> headless(records.begin() + 1, records.end());
  EXPECT_FALSE(coordinator::VerifyLog(testing::Joined(headless)).has_value());
  EXPECT_FALSE(coordinator::VerifyLog({}).has_value());
}

TEST_F(Audit, ALogThatEndsBeforeTheStudyDoesYieldsNoReport) {
  for (const std::size_t kept : {std::size_t{1}, std::size_t{4}, TheRun().log.size() - 1}) {
    const auto results = Replay(testing::Joined(TheRun().log, kept));
    ASSERT_FALSE(results.has_value());
    EXPECT_NE(results.error().message.find("ends after round"), std::string::npos)
        << results.error().message;
  }
}

TEST_F(Audit, AReceiptSignedByAnotherKeyIsFoundEvenInAChainThatHolds) {
  const std::size_t index = FirstEntryWithReceipts();
  const auto stranger = site_agent::IdentityFromSeed("east", 999);
  const Bytes forged = Forged(index, [&](federation::LogEntry& entry) {
    federation::Receipt& receipt = entry.receipts.front();
    receipt.signature = stranger.signing.Sign(federation::SignedBytes(receipt));
  });
  const auto figures = coordinator::VerifyLog(forged);
  ASSERT_FALSE(figures.has_value());
  EXPECT_EQ(figures.error().code, ErrorCode::kPermissionDenied) << figures.error().message;
  EXPECT_NE(figures.error().message.find("east"), std::string::npos) << figures.error().message;
  EXPECT_NE(figures.error().message.find(fmt::format("entry {}", index)), std::string::npos)
      << figures.error().message;
}

TEST_F(Audit, AReceiptForOtherBytesOrOfAnotherSiteIsFound) {
  const std::size_t index = FirstEntryWithReceipts();
  EXPECT_FALSE(coordinator::VerifyLog(Forged(index, [](federation::LogEntry& entry) {
                 entry.receipts.front().answer.bytes[0] ^= 1;
               })).has_value());
  EXPECT_FALSE(coordinator::VerifyLog(Forged(index, [](federation::LogEntry& entry) {
                 entry.receipts.front().site = "west";
               })).has_value());
  EXPECT_FALSE(coordinator::VerifyLog(Forged(index, [](federation::LogEntry& entry) {
                 std::swap(entry.receipts[0], entry.receipts[1]);
               })).has_value());
  const auto one_less =
      Replay(Forged(index, [](federation::LogEntry& entry) { entry.receipts.pop_back(); }));
  ASSERT_FALSE(one_less.has_value());
  EXPECT_NE(one_less.error().message.find("receipts"), std::string::npos)
      << one_less.error().message;
}

// What a center released is under its signature; an auditor needs nothing but the log.
TEST_F(Audit, AReleaseThatWasChangedMovedAddedOrTakenOutIsFoundByTheLogAlone) {
  std::size_t index = 0;
  while (EntryOf(TheRun().log[index + 1]).releases.empty()) ++index;
  const federation::LogEntry honest = EntryOf(TheRun().log[index + 1]);
  const std::uint32_t query = honest.releases.begin()->first;
  ASSERT_TRUE(honest.releases.at(query).contains("west"));
  const auto found = [&](const auto& change, std::string_view what) {
    const auto figures = coordinator::VerifyLog(Forged(index, change));
    ASSERT_FALSE(figures.has_value()) << what;
    EXPECT_EQ(figures.error().code, ErrorCode::kDataLoss);
    EXPECT_NE(figures.error().message.find(what), std::string::npos) << figures.error().message;
    EXPECT_NE(figures.error().message.find("west"), std::string::npos) << figures.error().message;
  };
  const auto numbers = [&](federation::LogEntry& entry) -> Eigen::MatrixXd& {
    return entry.releases.at(query).at("west").blocks.front().values;
  };
  found([&](federation::LogEntry& entry) { numbers(entry)(0, 0) += 1; },
        "not what the site signed");
  found([&](federation::LogEntry& entry) { entry.releases.at(query).erase("west"); },
        "not what the site signed");
  found(
      [&](federation::LogEntry& entry) {
        entry.releases[query + 1000]["west"] = entry.releases.at(query).at("west");
      },
      "not what the site signed");
  found(
      [&](federation::LogEntry& entry) {
        std::erase_if(entry.receipts, [](const auto& one) { return one.site == "west"; });
      },
      "signed no receipt");
}

// A forged total makes the study ask something else, which the sites never answered.
TEST_F(Audit, AForgedTotalInAChainThatHoldsIsFoundByTheQuestionThatFollows) {
  const std::size_t index = FirstEntryWithReceipts();
  const Bytes forged = Forged(index, [](federation::LogEntry& entry) {
    for (std::size_t i = 3; i < entry.total.size(); i += 7) entry.total[i] ^= 0x40;
  });
  EXPECT_TRUE(coordinator::VerifyLog(forged)
                  .has_value());  // receipts are of masked answers, not of the total
  const auto results = Replay(forged);
  ASSERT_FALSE(results.has_value());
  EXPECT_NE(results.error().message.find("log entry"), std::string::npos)
      << results.error().message;
}

// The last bit of a total may change no later question and no printed figure; with the answers it
// cannot hide.
TEST_F(Audit, KeptAnswersMustAddUpToEveryTotal) {
  std::map<std::pair<std::uint64_t, std::string>, Bytes> kept;
  testing::MemoryLog sink;
  simulation::LocalOptions options;
  options.keep_answer = [&](std::uint64_t round, const std::string& site,
                            const Bytes& words) -> Result<void> {
    kept[{round, site}] = words;
    return {};
  };
  const auto outcome = simulation::RunLocally(Federation().study, Federation().yaml,
                                              Federation().sites, sink, options);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().message;
  const coordinator::KeptAnswers answers = [&](std::uint64_t round,
                                               const std::string& site) -> Result<Bytes> {
    return kept.at({round, site});
  };
  const study::Engine engine = study::MakeEngine();
  const auto replay = [&](const Bytes& log) {
    return coordinator::ReplayLog(Federation().study, engine, log, answers);
  };
  const auto honest = replay(testing::Joined(TheRun().log));
  EXPECT_TRUE(honest.has_value()) << (honest ? "" : honest.error().message);

  const auto forged = replay(
      Forged(FirstEntryWithReceipts(), [](federation::LogEntry& entry) { entry.total[0] ^= 1; }));
  ASSERT_FALSE(forged.has_value());
  EXPECT_NE(forged.error().message.find("do not add up"), std::string::npos)
      << forged.error().message;

  kept.begin()->second[0] ^= 1;
  const auto changed = replay(testing::Joined(TheRun().log));
  ASSERT_FALSE(changed.has_value());
  EXPECT_NE(changed.error().message.find(kept.begin()->first.second), std::string::npos);
}

TEST_F(Audit, AHeaderOfAnotherStudyIsRefused) {
  testing::SmallStudyOptions options;
  options.combat = false;
  const SmallFederation other = testing::MustAssemble(options, testing::SmallHospitals());
  const study::Engine engine = study::MakeEngine();
  const auto results = coordinator::ReplayLog(other.study, engine, testing::Joined(TheRun().log));
  ASSERT_FALSE(results.has_value());
  EXPECT_NE(results.error().message.find("another study"), std::string::npos)
      << results.error().message;
}

}  // namespace
}  // namespace consilium
