#include "site_agent/extractor.h"

#include <gtest/gtest.h>

#include "tests/support/scratch_folder.h"

namespace consilium::site_agent {
namespace {

study::Extraction SomeExtraction() {
  study::Extraction extraction;
  extraction.engine = "engine 1";
  extraction.settings = "imageType:\n  Original: {}\n";
  extraction.settings_digest = Sha256(extraction.settings);
  extraction.phantom = {{"a", 2.0}, {"b", -1e6}};
  return extraction;
}

TEST(Phantom, IsReproducedToOneInTenToTheNinth) {
  const auto extraction = SomeExtraction();
  EXPECT_TRUE(ComparePhantom(extraction,
                             R"({"engine":"engine 1","features":{"b":-1000000.0009,"a":2,"c":7}})")
                  .has_value());
  const auto differs =
      ComparePhantom(extraction, R"({"engine":"engine 1","features":{"b":-1000000.0011,"a":2.1}})");
  ASSERT_FALSE(differs.has_value());
  EXPECT_EQ(differs.error().code, ErrorCode::kFailedPrecondition);
  EXPECT_NE(differs.error().message.find("2 of 2 features"), std::string::npos);
  EXPECT_NE(differs.error().message.find("a by 5.0e-02"), std::string::npos)
      << differs.error().message;
}

TEST(Phantom, OtherEnginesMissingFeaturesAndNonsenseAreRefused) {
  const auto extraction = SomeExtraction();
  for (const char* said : {R"({"engine":"engine 2","features":{"a":2,"b":-1e6}})",
                           R"({"engine":"engine 1","features":{"a":2}})",
                           R"({"engine":"engine 1","features":{"a":2,"b":"-1e6"}})",
                           R"({"engine":1,"features":{}})", "[]", "error", ""}) {
    EXPECT_EQ(ComparePhantom(extraction, said).error().code, ErrorCode::kFailedPrecondition)
        << said;
  }
}

TEST(Phantom, AProgramThatIsNotThereIsNamed) {
  const testing_support::ScratchFolder folder;
  const auto checked =
      ReproducePhantom(SomeExtraction(), "/nowhere/consilium-extract", folder.path() / "x");
  ASSERT_FALSE(checked.has_value());
  EXPECT_NE(checked.error().message.find("/nowhere/consilium-extract cannot be started"),
            std::string::npos)
      << checked.error().message;
}

}  // namespace
}  // namespace consilium::site_agent
