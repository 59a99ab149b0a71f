#include "extraction/journal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "tests/support/scratch_folder.h"

namespace consilium::extraction {
namespace {

Outcome SomeOutcome(double value) {
  Outcome outcome;
  outcome.rows.push_back({"GTV \"1\"\n",
                          {{"engine", "1"}},
                          {"a", "b", "c", "d"},
                          {value, std::nan(""), std::numeric_limits<double>::infinity(), 0.1},
                          {"a warning"}});
  outcome.rows.push_back(outcome.rows.front());
  outcome.rows.back().perturbation = "R-6";
  outcome.failures.push_back({"2", "is empty"});
  return outcome;
}

TEST(Journal, WhatWasAppendedIsReadBackAfterReopening) {
  const testing_support::ScratchFolder folder;
  const auto path = folder.path() / "journal.jsonl";
  {
    auto journal = Journal::Open(path);
    ASSERT_TRUE(journal.has_value()) << journal.error().message;
    ASSERT_TRUE(journal->Append("k1", SomeOutcome(1.0 / 3)).has_value());
    ASSERT_TRUE(journal->Append("k2", SomeOutcome(-2e-300)).has_value());
    ASSERT_TRUE(journal->Append("k1", SomeOutcome(9)).has_value());  // the first stays
  }
  const auto journal = Journal::Open(path);
  ASSERT_TRUE(journal.has_value()) << journal.error().message;
  EXPECT_EQ(journal->size(), 2U);
  const auto first = journal->Read("k1");
  ASSERT_TRUE(first.has_value()) << first.error().message;
  const RegionRow& row = first->rows.at(0);
  EXPECT_EQ(row.region, "GTV \"1\"\n");
  EXPECT_EQ(row.names, (std::vector<std::string>{"a", "b", "c", "d"}));
  EXPECT_EQ(row.values[0], 1.0 / 3);
  EXPECT_TRUE(std::isnan(row.values[1]));
  EXPECT_EQ(row.values[2], std::numeric_limits<double>::infinity());
  EXPECT_EQ(row.perturbation, "");
  EXPECT_EQ(first->rows.at(1).perturbation, "R-6");
  EXPECT_EQ(first->failures.at(0).message, "is empty");
  EXPECT_EQ(journal->Read("k2")->rows.at(0).values[0], -2e-300);
  EXPECT_EQ(journal->Read("k3").error().code, ErrorCode::kNotFound);
}

TEST(Journal, CutAnywhereItKeepsTheOutcomesThatWereWhole) {
  const testing_support::ScratchFolder folder;
  const auto path = folder.path() / "journal.jsonl";
  std::uintmax_t first_bytes = 0;
  {
    auto journal = Journal::Open(path);
    ASSERT_TRUE(journal->Append("k1", SomeOutcome(1)).has_value());
    first_bytes = std::filesystem::file_size(path);
    ASSERT_TRUE(journal->Append("k2", SomeOutcome(2)).has_value());
  }
  const std::string whole = folder.Read("journal.jsonl");
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    folder.Write("journal.jsonl", whole.substr(0, bytes));
    auto journal = Journal::Open(path);
    ASSERT_TRUE(journal.has_value()) << bytes << ": " << journal.error().message;
    EXPECT_EQ(journal->size(), bytes < first_bytes ? 0U : 1U) << bytes;
    ASSERT_TRUE(journal->Append("k2", SomeOutcome(2)).has_value());
    EXPECT_EQ(journal->Read("k2")->rows.at(0).values[0], 2);
  }
}

TEST(Journal, ADamagedLineIsNamed) {
  const testing_support::ScratchFolder folder;
  folder.Write("journal.jsonl", "{\"key\":\"k\"}\n{}\n");
  const auto journal = Journal::Open(folder.path() / "journal.jsonl");
  ASSERT_FALSE(journal.has_value());
  EXPECT_EQ(journal.error().code, ErrorCode::kDataLoss);
  EXPECT_NE(journal.error().message.find("journal.jsonl:1"), std::string::npos);
}

}  // namespace
}  // namespace consilium::extraction
