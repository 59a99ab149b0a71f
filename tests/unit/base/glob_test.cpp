#include "base/glob.h"

#include <gtest/gtest.h>

#include <string>

#include "base/rng.h"

namespace consilium {
namespace {

// The definition itself, by recursion: the slow twin.
bool SlowMatches(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() == '*') {
    return SlowMatches(pattern.substr(1), name) ||
           (!name.empty() && SlowMatches(pattern, name.substr(1)));
  }
  return !name.empty() && (pattern.front() == '?' || pattern.front() == name.front()) &&
         SlowMatches(pattern.substr(1), name.substr(1));
}

TEST(Glob, StarAndQuestionMarkStandForRunsAndSingleCharacters) {
  EXPECT_TRUE(GlobMatches("*", ""));
  EXPECT_TRUE(GlobMatches("original_*", "original_shape_Volume"));
  EXPECT_TRUE(GlobMatches("*_glcm_*", "log-sigma-1-mm-3D_glcm_Idm"));
  EXPECT_TRUE(GlobMatches("cp?", "cp2"));
  EXPECT_FALSE(GlobMatches("cp?", "cp"));
  EXPECT_FALSE(GlobMatches("original_*", "Original_shape"));
  EXPECT_FALSE(GlobMatches("", "a"));
  EXPECT_TRUE(IsGlob("a*"));
  EXPECT_FALSE(IsGlob("a[b]"));
}

TEST(Glob, AgreesWithItsDefinitionOnRandomPatterns) {
  Rng rng(1, "glob");
  int matches = 0;
  for (int i = 0; i < 50000; ++i) {
    std::string pattern;
    std::string name;
    for (std::uint64_t k = rng.Below(7); k > 0; --k) pattern.push_back("ab*?*"[rng.Below(5)]);
    for (std::uint64_t k = rng.Below(8); k > 0; --k) name.push_back("ab"[rng.Below(2)]);
    ASSERT_EQ(GlobMatches(pattern, name), SlowMatches(pattern, name)) << pattern << " on " << name;
    matches += GlobMatches(pattern, name) ? 1 : 0;
  }
  EXPECT_GT(matches, 1000);  // both answers occur
  EXPECT_LT(matches, 49000);
}

}  // namespace
}  // namespace consilium
