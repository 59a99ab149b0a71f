#include "extraction/phantom.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/strict_yaml.h"
#include "engine/version.h"

namespace consilium::extraction {
namespace {

TEST(Phantom, ItsSectionReadsBackWithTheSameSettings) {
  for (const std::string text : {"imageType:\n  Original: {}\n", "imageType:\n  Original: {}",
                                 "# a\r\n\r\nimageType: {Original: {}}\n\n"}) {
    const auto settings = ReadSettings(text, "s.yaml");
    ASSERT_TRUE(settings.has_value()) << settings.error().message;
    const auto row = PhantomFeatures(*settings);
    ASSERT_TRUE(row.has_value()) << row.error().message;
    EXPECT_EQ(row->names.size(), 107U);
    const auto document = ParseStrictYaml(StudySection(text, *row), "study.yaml");
    ASSERT_TRUE(document.has_value()) << document.error().message;
    const YamlValue section = document->root()["extraction"];
    EXPECT_EQ(section["engine"].Text(), engine::kVersion);
    EXPECT_EQ(Sha256(*section["settings"].Text()), settings->digest);
    EXPECT_EQ(section["phantom"].Entries().size(), 107U);
    for (std::size_t i = 0; i < row->names.size(); ++i)
      EXPECT_EQ(section["phantom"][row->names[i]].Number(), row->values[i]);
  }
}

TEST(Phantom, NoFeatureOfItIsTrivial) {
  const auto settings = ReadSettings("setting: {binWidth: 10}\n", "s.yaml");
  const auto row = PhantomFeatures(*settings);
  ASSERT_TRUE(row.has_value());
  for (std::size_t i = 0; i < row->names.size(); ++i)
    EXPECT_TRUE(std::isfinite(row->values[i]) && row->values[i] != 0) << row->names[i];
  EXPECT_TRUE(row->warnings.empty()) << row->warnings.front();
}

}  // namespace
}  // namespace consilium::extraction
