#include "site_agent/extractor.h"

#include <gtest/gtest.h>

#include "tests/unit/site_store/site_fixture.h"

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
  const auto checked = ReproducePhantom(SomeExtraction(), "/nowhere/consilium-extract");
  ASSERT_FALSE(checked.has_value());
  EXPECT_EQ(checked.error().code, ErrorCode::kNotFound);
  EXPECT_NE(checked.error().message.find("/nowhere/consilium-extract cannot be started"),
            std::string::npos)
      << checked.error().message;
  EXPECT_NE(checked.error().message.find("install the package consilium-extract"),
            std::string::npos)
      << checked.error().message;
}

// A program in the place of consilium-extract: a script of the shell.
class ExtractorScript : public ::testing::Test {
 protected:
  std::string Says(const std::string& script) {
    testing::Spill(folder_.path() / "extract", "#!/bin/sh\n" + script, 0700);
    return (folder_.path() / "extract").string();
  }
  testing::Folder folder_;
};

TEST_F(ExtractorScript, SaysItsEngineInOneLine) {
  EXPECT_EQ(testing::Must(EngineOf(Says("test \"$*\" = --version && echo engine 1"))), "engine 1");
  for (const char* script : {"true", "echo", "printf 'one\\ntwo\\n'", "printf '\\033[2J'",
                             "head -c 200 /dev/zero | tr '\\0' x", "echo engine 1; exit 3"}) {
    const auto engine = EngineOf(Says(script));
    ASSERT_FALSE(engine.has_value()) << script;
    EXPECT_EQ(engine.error().code, ErrorCode::kFailedPrecondition) << script;
    EXPECT_TRUE(testing::Has(engine.error().message, "install the package consilium-extract"));
  }
}

TEST_F(ExtractorScript, IsGivenTheStudysSettingsWordForWordAndLeavesNoFile) {
  const auto extraction = SomeExtraction();
  const std::string program = Says(
      "[ \"$1\" = --version ] && echo engine 1 && exit\n"
      "cp \"$4\" \"${0%/*}/given\"; echo \"$4\" >\"${0%/*}/path\"\n"
      "echo '{\"engine\":\"engine 1\",\"features\":{\"a\":2,\"b\":-1e6}}'\n");
  testing::Must(ReproducePhantom(extraction, program));
  EXPECT_EQ(testing::Slurp(folder_.path() / "given"), extraction.settings);
  std::string path = testing::Slurp(folder_.path() / "path");
  path.pop_back();
  EXPECT_TRUE(path.ends_with(Hex(extraction.settings_digest) + ".yaml")) << path;
  EXPECT_FALSE(std::filesystem::exists(std::filesystem::path(path).parent_path()));
}

// It may not know the settings of the study, so it is not asked for them.
TEST_F(ExtractorScript, OfAnotherEngineIsNotStartedOnThePhantom) {
  const auto wrong =
      ReproducePhantom(SomeExtraction(),
                       Says("[ \"$1\" = --version ] && echo engine 2 && exit\ntouch \"$0.ran\"\n"));
  ASSERT_FALSE(wrong.has_value());
  EXPECT_TRUE(testing::Has(wrong.error().message, "wants features of engine 1, this machine has"));
  EXPECT_FALSE(std::filesystem::exists(folder_.path() / "extract.ran"));
}

}  // namespace
}  // namespace consilium::site_agent
