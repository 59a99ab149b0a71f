// The rules find what breaks them, and leave alone what does not: a guard that never speaks guards
// nothing.
#include "tests/architecture/source_rules.h"

#include <gtest/gtest.h>

namespace consilium::architecture {
namespace {

using Words = std::vector<std::string>;

TEST(Arrows, AnArrowAgainstTheHouseIsNamedWithItsLine) {
  const auto wrong = CheckArrows("base/bytes.h", "// Bytes.\n#include \"federation/block.h\"\n");
  ASSERT_EQ(wrong.size(), 1U);
  EXPECT_EQ(wrong[0],
            "base/bytes.h:2: includes \"federation/block.h\"; base may include nothing, written "
            "from the root");
}

TEST(Arrows, EachFolderMayIncludeItselfAndWhatIsBelow) {
  for (const auto& [from, below] : Arrows()) {
    for (const auto& [to, unused] : Arrows()) {
      const auto wrong = CheckArrows(from + "/a.cpp", "#include \"" + to + "/b.h\"\n");
      EXPECT_EQ(wrong.empty(), from == to || below.contains(to)) << from << " -> " << to;
    }
  }
}

TEST(Arrows, TheHouseHasNoCircle) {
  for (const auto& [from, below] : Arrows()) {
    for (const auto& to : below) {
      EXPECT_FALSE(Arrows().at(to).contains(from)) << from << " <-> " << to;
      for (const auto& further : Arrows().at(to)) {
        EXPECT_TRUE(below.contains(further)) << from << " -> " << to << " -> " << further;
      }
    }
  }
}

TEST(Arrows, AnIncludeThatIsNotWrittenFromTheRootOrNamesATestIsRefused) {
  EXPECT_EQ(CheckArrows("learning/auc.cpp", "#include \"auc.h\"\n").size(), 1U);
  EXPECT_EQ(CheckArrows("learning/auc.cpp", "  #  include \"../base/bytes.h\"\n").size(), 1U);
  EXPECT_EQ(CheckArrows("console/main.cpp", "#include \"tests/support/a.h\"\n").size(), 1U);
  EXPECT_TRUE(CheckArrows("tests/unit/a.cpp", "#include \"console/main.h\"\n").empty());
}

TEST(LinkedTargets, FollowTheSameArrows) {
  EXPECT_TRUE(CheckLinkedTargets("study/CMakeLists.txt", "  DEPENDS consilium::base)\n").empty());
  const auto wrong = CheckLinkedTargets("study/CMakeLists.txt",
                                        "# consilium::console is above\n"
                                        "  DEPENDS consilium::base consilium::site_agent)\n");
  ASSERT_EQ(wrong.size(), 1U);
  EXPECT_EQ(wrong[0].substr(0, 45), "study/CMakeLists.txt:2: links consilium::site");
}

TEST(SystemHeaders, AClockAFileOrAThreadBelowTheEdgesIsRefused) {
  for (const char* header : {"chrono", "fstream", "filesystem", "thread", "mutex", "random",
                             "sys/socket.h", "netinet/in.h", "unistd.h"}) {
    const std::string text = std::string("#include <") + header + ">\n";
    for (const auto& folder : PureFolders()) {
      EXPECT_EQ(CheckSystemHeaders(folder + "/a.cpp", text).size(), 1U) << folder << header;
    }
    EXPECT_TRUE(CheckSystemHeaders("coordinator/a.cpp", text).empty()) << header;
    EXPECT_TRUE(CheckSystemHeaders("console/main.cpp", text).empty()) << header;
  }
  EXPECT_TRUE(CheckSystemHeaders("base/a.cpp", "#include <vector>\n").empty());
}

TEST(SystemHeaders, LibrariesEndInTheFilesThatAreNamed) {
  constexpr std::string_view kSsl = "#include <openssl/evp.h>\n";
  EXPECT_TRUE(CheckSystemHeaders("federation/masks.cpp", kSsl).empty());
  EXPECT_TRUE(CheckSystemHeaders("federation/sum_shares.cpp", kSsl).empty());
  EXPECT_EQ(CheckSystemHeaders("federation/sum_tag.cpp", kSsl).size(), 1U);
  EXPECT_EQ(CheckSystemHeaders("federation/masks.h", kSsl).size(), 1U);
  EXPECT_EQ(CheckSystemHeaders("learning/auc.cpp", kSsl).size(), 1U);
  EXPECT_TRUE(CheckSystemHeaders("identity/request.cpp", kSsl).empty());
  EXPECT_EQ(CheckSystemHeaders("identity/certificate.h", kSsl).size(), 1U);
  constexpr std::string_view kYaml = "#include <yaml-cpp/yaml.h>\n";
  EXPECT_TRUE(CheckSystemHeaders("base/strict_yaml.cpp", kYaml).empty());
  EXPECT_EQ(CheckSystemHeaders("study/study_file.cpp", kYaml).size(), 1U);
}

TEST(Stubs, AnyOtherFileThanAnEdgeIsRefused) {
  constexpr std::string_view kStubs = "#include <consilium/v1/consilium.grpc.pb.h>\n";
  EXPECT_TRUE(CheckStubs("coordinator/server.cpp", kStubs).empty());
  EXPECT_EQ(CheckStubs("coordinator/hub.cpp", kStubs).size(), 1U);
  EXPECT_EQ(CheckStubs("site_agent/site.cpp", "#include <grpcpp/grpcpp.h>\n").size(), 1U);
  EXPECT_TRUE(CheckStubs("console/render.cpp", "#include <consilium/v1/consilium.pb.h>\n").empty());
}

TEST(ImageLibraries, InAnyOtherFileThanTheirFoldersAreRefused) {
  for (const auto& [include, folder] : {std::pair("#include <itkNrrdImageIO.h>\n", "engine/itk"),
                                        std::pair("#include <gdcmImage.h>\n", "engine/dicom")}) {
    const std::string own = folder;
    EXPECT_TRUE(CheckImageLibraries(own + "/a.cpp", include).empty());
    EXPECT_EQ(CheckImageLibraries(own + "/a.h", include).size(), 1U);
    EXPECT_EQ(CheckImageLibraries("engine/surface.cpp", include).size(), 1U);
    EXPECT_TRUE(CheckImageLibraries("tests/a.cpp", "#include \"" + own + "/a.h\"\n").empty());
    EXPECT_TRUE(CheckArrows(own + "/a.cpp", "#include \"engine/grid.h\"\n").empty());
    EXPECT_EQ(CheckArrows("engine/a.cpp", "#include \"" + own + "/a.h\"\n").size(), 1U);
  }
  EXPECT_EQ(CheckImageLibraries("engine/itk/a.cpp", "#include <gdcmImage.h>\n").size(), 1U);
  EXPECT_EQ(CheckArrows("engine/itk/a.cpp", "#include \"engine/dicom/series.h\"\n").size(), 1U);
}

TEST(PortableMath, EveryWayToLibmIsFound) {
  for (const char* code :
       {"y = std::exp(x);", "y = exp(x);", "y = ::log (x);", "return pow(x, 2);", "f = std::sin;",
        "using std::erf;", "v = m.array().exp();", "v = m.array().log().sum();", "y = lgammaf(x);",
        "std::transform(a, b, c, std::tanh);", "y = !expm1(x);"}) {
    const auto wrong = CheckPortableMath("learning/a.cpp", std::string("\n") + code + "\n");
    ASSERT_EQ(wrong.size(), 1U) << code;
    EXPECT_EQ(wrong[0].substr(0, 17), "learning/a.cpp:2:") << code;
  }
}

TEST(PortableMath, ExactFunctionsOwnFunctionsAndWordsPass) {
  for (const char* code :
       {"y = std::sqrt(x) + std::fabs(x) + std::floor(x);", "y = std::ldexp(x, std::ilogb(x));",
        "y = Exp(x) + Log(x) + Log1p(x);", "// std::exp(x) differs between machines",
        "/* exp(x)\n log(x) */", "Fail(\"log(x) is not defined\");", "auto s = R\"(exp(x))\";",
        "study.log(entry);", "int log = 1;", "federation::log(x);", "y = x_exp(1'000);",
        "char c = '\"'; // exp("}) {
    EXPECT_EQ(CheckPortableMath("learning/a.cpp", code), Words{}) << code;
  }
  EXPECT_TRUE(CheckPortableMath("console/main.cpp", "y = std::exp(x);").empty());
}

TEST(HeaderShape, NeedsACommentThenPragmaOnceThenCode) {
  EXPECT_TRUE(CheckHeaderShape("a/b.h", "// What.\n//\n// Why.\n#pragma once\nint x;\n").empty());
  EXPECT_EQ(CheckHeaderShape("a/b.h", "#pragma once\n// What.\n").size(), 1U);
  EXPECT_EQ(CheckHeaderShape("a/b.h", "// What.\nint x;\n#pragma once\n").size(), 1U);
  EXPECT_EQ(CheckHeaderShape("a/b.h", "// What.\n").size(), 1U);
  EXPECT_EQ(CheckHeaderShape("a/b.h", "").size(), 1U);
}

TEST(Places, AMachinePathOrARegistryIsNamedWithItsLine) {
  const std::string path = std::string("\ncd /wo") + "rk/main\n";
  ASSERT_EQ(CheckPlaces("a.md", path).size(), 1U);
  EXPECT_EQ(CheckPlaces("a.md", path)[0].substr(0, 7), "a.md:2:");
  EXPECT_EQ(
      CheckPlaces("a.json", std::string("\"resolved\": \"https://registry.") + "npmjs").size(), 1U);
  EXPECT_TRUE(CheckPlaces("a.md", "a network /works/ at the root/ of it\n").empty());
}

TEST(SetUpCommands, AreTheLinesOfTheShellBlockInThatSection) {
  constexpr std::string_view kReadme =
      "# X\n```sh\nno\n```\n## Set up\ntext\n```sh\n# why\n./a.sh   # builds\n\n./b.sh\n```\n"
      "```text\nno\n```\n## Else\n```sh\nno\n```\n";
  EXPECT_EQ(SetUpCommands(kReadme), (Words{"./a.sh", "./b.sh"}));
}

TEST(RelativeLinks, LeaveOutAddressesAndFragments) {
  EXPECT_EQ(RelativeLinks("[a](docs/a.md#x) [b](https://e.org) [c](#here) [d](../d)"),
            (Words{"docs/a.md", "../d"}));
}

}  // namespace
}  // namespace consilium::architecture
