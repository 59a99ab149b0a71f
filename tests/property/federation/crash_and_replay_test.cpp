// Killed after any record of its log, a study goes on where it stood and ends with the same bytes.
#include <gtest/gtest.h>

#include "tests/support/small_study.h"

namespace consilium {
namespace {

using testing::SmallFederation;
using testing::SmallRun;

class CrashAndReplay : public ::testing::Test {
 protected:
  static const SmallFederation& Federation() {
    static const SmallFederation federation = testing::MustAssemble({}, testing::SmallHospitals());
    return federation;
  }
  static const SmallRun& Whole() {
    static const SmallRun run = testing::MustRun(Federation());
    return run;
  }
};

TEST_F(CrashAndReplay, AfterEveryRecordTheReportAndTheRestOfTheLogHaveTheSameBytes) {
  const SmallRun& whole = Whole();
  ASSERT_GT(whole.log.size(), 10U);
  for (std::size_t kept = 1; kept <= whole.log.size(); ++kept) {
    SCOPED_TRACE(::testing::Message()
                 << "killed after record " << kept << " of " << whole.log.size());
    const SmallRun resumed = testing::MustRun(Federation(), 1 + static_cast<int>(kept % 3),
                                              testing::Joined(whole.log, kept));
    ASSERT_EQ(resumed.report, whole.report);
    ASSERT_EQ(resumed.coefficients, whole.coefficients);
    ASSERT_EQ(resumed.log, std::vector<Bytes>(whole.log.begin() + static_cast<std::ptrdiff_t>(kept),
                                              whole.log.end()));
  }
}

TEST_F(CrashAndReplay, ADiskThatIsFullEndsTheRunAndTheLogThatWasWrittenResumes) {
  const SmallRun& whole = Whole();
  for (const std::size_t room :
       {std::size_t{0}, std::size_t{1}, std::size_t{5}, whole.log.size() - 1}) {
    SCOPED_TRACE(::testing::Message() << "room for " << room << " records");
    testing::MemoryLog log;
    log.refuse_from = room;
    const auto stopped =
        simulation::RunLocally(Federation().study, Federation().yaml, Federation().sites, log, {});
    ASSERT_FALSE(stopped.has_value());
    EXPECT_EQ(stopped.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(stopped.error().message.find("disk is full"), std::string::npos)
        << stopped.error().message;
    EXPECT_EQ(log.records,
              std::vector<Bytes>(whole.log.begin(),
                                 whole.log.begin() + static_cast<std::ptrdiff_t>(room)));
    if (room == 0) continue;  // nothing to resume: the study begins
    EXPECT_EQ(testing::MustRun(Federation(), 2, testing::Joined(log.records)).report, whole.report);
  }
}

TEST_F(CrashAndReplay, TheLogOfAnotherStudyIsRefusedByName) {
  testing::SmallStudyOptions options;
  options.combat = false;
  const SmallFederation other = testing::MustAssemble(options, testing::SmallHospitals());
  const auto run = testing::Run(other, 2, testing::Joined(Whole().log, 3));
  ASSERT_FALSE(run.has_value());
  EXPECT_EQ(run.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(run.error().message.find("the log is of study"), std::string::npos)
      << run.error().message;
}

TEST_F(CrashAndReplay, ALogThatIsMaskedOtherwiseIsRefused) {
  testing::SmallStudyOptions options;
  options.public_data = true;
  SmallFederation federation = testing::MustAssemble(options, testing::SmallHospitals());
  const SmallRun masked = testing::MustRun(federation);
  ASSERT_GT(masked.log.size(), 3U);
  federation.study.privacy.masks = false;
  const auto run = testing::Run(federation, 2, testing::Joined(masked.log, 3));
  ASSERT_FALSE(run.has_value());
  EXPECT_NE(run.error().message.find("mask"), std::string::npos) << run.error().message;
}

TEST_F(CrashAndReplay, AChangedByteOrATornRecordIsRefused) {
  const Bytes left = testing::Joined(Whole().log, 6);
  Rng rng(5, "changed bytes of a resumed log");
  for (int i = 0; i < 40; ++i) {
    Bytes changed = left;
    const std::size_t at = rng.Below(changed.size());
    changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1U << rng.Below(8)));
    const auto run = testing::Run(Federation(), 2, changed);
    ASSERT_FALSE(run.has_value()) << "byte " << at;
    EXPECT_EQ(run.error().code, ErrorCode::kDataLoss) << run.error().message;
  }
  const auto torn = testing::Run(Federation(), 2, Bytes(left.begin(), left.end() - 1));
  ASSERT_FALSE(torn.has_value());
  EXPECT_EQ(torn.error().code, ErrorCode::kDataLoss) << torn.error().message;
}

TEST_F(CrashAndReplay, EveryRunOfTheSameStudyWritesTheSameLog) {
  EXPECT_EQ(testing::MustRun(Federation(), 3).log, Whole().log);
}

}  // namespace
}  // namespace consilium
