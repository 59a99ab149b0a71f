// A submission is what its lead signed, to the byte, and a log's header must be of it.
#include "study/submission.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "study/program.h"
#include "study/study_file.h"

namespace consilium::study {
namespace {

const char kYaml[] =
    "name: small\nseed: 20\npolicy: private\nsites: [north, east, south, west, center]\n"
    "outcome: relapse\nevent: relapse within two years\npatient: case\n"
    "features:\n  radiomics: {include: [\"x*\"]}\nfeature_sets:\n  radiomics: [radiomics]\n"
    "harmonizations:\n  none: {method: none}\n"
    "models:\n  lasso: {method: lasso, lambda: min}\nfolds: {count: 5}\n"
    "design: named-held-out\nheld_out: [west]\n"
    "primary: {model: lasso, features: radiomics, harmonization: none, lambda: min}\n"
    "thresholds: [0.3]\nprivacy: {min_sites: 3}\n"
    "quorum: {required: [north], minimum: 3, grace_s: 30, deadline_s: 600, then: "
    "restart-without}\n";

federation::KeyBytes Seed(std::uint8_t value) {
  federation::KeyBytes seed{};
  seed.fill(value);
  return seed;
}

federation::Roster Members() {
  federation::Roster members;
  std::uint8_t next = 1;
  for (const char* site : {"north", "east", "south", "west", "center"}) {
    members[site] = {federation::SigningKey::FromSeed(Seed(next)).verifying_key(),
                     federation::AgreementKey::FromSecret(Seed(next)).public_key()};
    ++next;
  }
  return members;
}

Submission TheSubmission() {
  return SignSubmission(kYaml, Members(), "anna", federation::SigningKey::FromSeed(Seed(99)));
}

federation::LogHeader TheHeader() {
  const Submission submission = TheSubmission();
  const auto study = ResolveFeatures(*StudyOf(submission), {"id", "x1", "x2"});
  federation::LogHeader header;
  header.engine_version = kEngineVersion;
  header.study_file = kYaml;
  header.feature_columns = study->feature_columns;
  header.study = study->digest;
  header.masked = true;
  header.members = submission.members;
  header.roster = submission.members;
  header.roster.erase("west");
  return header;
}

TEST(Submission, IsReadBackAsItWasSigned) {
  const Submission submission = TheSubmission();
  const auto read = DecodeSubmission(EncodeSubmission(submission));
  ASSERT_TRUE(read.has_value()) << read.error().message;
  EXPECT_EQ(*read, submission);
  EXPECT_EQ(StudyOf(*read)->name, "small");
}

TEST(Submission, AnyChangedByteIsRefused) {
  const Bytes bytes = EncodeSubmission(TheSubmission());
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    Bytes changed = bytes;
    changed[at] ^= 1;
    EXPECT_FALSE(DecodeSubmission(changed).has_value()) << at;
  }
  EXPECT_FALSE(DecodeSubmission(std::span(bytes).first(bytes.size() - 1)).has_value());
}

TEST(Submission, EverySiteHasKeysAndNobodyElse) {
  federation::Roster members = Members();
  members.erase("south");
  const auto without =
      StudyOf(SignSubmission(kYaml, members, "anna", federation::SigningKey::FromSeed(Seed(99))));
  EXPECT_EQ(without.error().message,
            "study small: site south has no keys in the submission; enrol the site, then submit "
            "again");
  members = Members();
  members["stranger"] = members["north"];
  EXPECT_FALSE(
      StudyOf(SignSubmission(kYaml, members, "anna", federation::SigningKey::FromSeed(Seed(99))))
          .has_value());
}

TEST(Header, OfTheSubmissionIsTakenAndAnyOtherRefusedByWhatIsWrong) {
  const Submission submission = TheSubmission();
  const auto taken = CheckHeader(submission, TheHeader());
  ASSERT_TRUE(taken.has_value()) << taken.error().message;
  EXPECT_EQ(taken->feature_columns, (std::vector<std::string>{"x1", "x2"}));

  const auto refused = [&](auto change, std::string_view what) {
    federation::LogHeader header = TheHeader();
    change(header);
    const auto checked = CheckHeader(submission, header);
    ASSERT_FALSE(checked.has_value()) << what;
    EXPECT_NE(checked.error().message.find(what), std::string::npos) << checked.error().message;
  };
  refused([](auto& h) { h.study_file += "\n"; }, "not the one that the lead signed");
  refused([](auto& h) { h.engine_version = "consilium 9.9"; }, "consilium 9.9");
  refused([](auto& h) { h.members["north"].agreement.fill(3); }, "other keys than the lead signed");
  refused([](auto& h) { h.members["west"].agreement.fill(3); }, "other keys than the lead signed");
  refused([](auto& h) { h.members.erase("west"); }, "keys of 4 sites, the lead signed those of 5");
  refused([](auto& h) { h.masked = false; }, "masks");
  refused([](auto& h) { h.feature_columns = {"x1", "y"}; }, "patterns");
  refused([](auto& h) { h.study.bytes[0] ^= 1; }, "digest");
  refused([](auto& h) { h.roster["west"] = Members().at("west"); }, "training centers");
  refused(
      [](auto& h) {
        h.roster.erase("south");
        h.roster.erase("east");
      },
      "min_sites");
}

TEST(Header, OfALaterAttemptHasTheStudyOfThoseThatAreLeft) {
  federation::LogHeader header = TheHeader();
  header.roster.erase("center");
  const auto left = CheckHeader(TheSubmission(), header);
  ASSERT_TRUE(left.has_value()) << left.error().message;
  EXPECT_EQ(left->sites, (std::vector<std::string>{"north", "east", "south", "west"}));
  EXPECT_EQ(left->digest, CheckHeader(TheSubmission(), TheHeader())->digest);
}

}  // namespace
}  // namespace consilium::study
