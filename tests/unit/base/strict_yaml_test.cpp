#include "base/strict_yaml.h"

#include <gtest/gtest.h>

namespace consilium {
namespace {

void ExpectHas(const std::string& message, std::string_view part) {
  EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
}

std::string ErrorOf(std::string_view text, const YamlLimits& limits = {}) {
  const auto document = ParseStrictYaml(text, "a.yaml", limits);
  return document ? std::string("no error") : document.error().message;
}

YamlDocument Parsed(std::string_view text) {
  auto document = ParseStrictYaml(text, "a.yaml");
  if (!document) ADD_FAILURE() << document.error().message;
  return std::move(*document);
}

TEST(StrictYaml, ReadsScalarsAsWhatTheFieldAsksFor) {
  const auto document = Parsed("name: no\ncount: 10\nratio: 1e-3\non: true\nlist: [a, 'b c']\n");
  const YamlValue root = document.root();
  EXPECT_EQ(root["name"].Text(), "no");
  EXPECT_EQ(root["count"].Integer(0, 20), 10);
  EXPECT_EQ(root["ratio"].Number(), 1e-3);
  EXPECT_EQ(root["on"].Boolean(), true);
  EXPECT_EQ(root["list"].DistinctTexts(), (std::vector<std::string>{"a", "b c"}));
  EXPECT_FALSE(root["absent"].Number().has_value());
  EXPECT_TRUE(document.problems().empty());
}

TEST(StrictYaml, WrongTypesNamePlaceFieldFoundAndExpected) {
  const auto document =
      Parsed("a:\n  count: ten\n  seed: 1.5\n  on: yes\n  quoted: \"3\"\n  empty:\n  list: 3\n");
  const YamlValue a = document.root()["a"];
  EXPECT_FALSE(a["count"].Integer(1, 100).has_value());
  EXPECT_FALSE(a["seed"].Integer(1, 100).has_value());
  EXPECT_FALSE(a["on"].Boolean().has_value());
  EXPECT_FALSE(a["quoted"].Number().has_value());
  EXPECT_FALSE(a["empty"].Text().has_value());
  EXPECT_TRUE(a["list"].Items().empty());
  const Problems& problems = document.problems();
  ASSERT_EQ(problems.size(), 6U);
  ExpectHas(problems[0],
            "a.yaml:2:10: field 'a.count': found 'ten', expected a whole number from 1 to 100");
  ExpectHas(problems[1], "a.yaml:3:9: field 'a.seed': found '1.5'");
  ExpectHas(problems[2], "a.yaml:4:7: field 'a.on': found 'yes', expected true or false");
  ExpectHas(problems[3], "field 'a.quoted': found the quoted text '3', expected a number");
  ExpectHas(problems[4], "a.yaml:6:3: field 'a.empty': found nothing (null), expected text");
  ExpectHas(problems[5], "expected a list: write [a, b]");
}

TEST(StrictYaml, UnknownKeysNameTheNearestKnownOne) {
  const auto document = Parsed("held-out: [a]\nzzz: 1\n");
  EXPECT_TRUE(document.root().AllowKeys({"held_out", "name"}));
  ASSERT_EQ(document.problems().size(), 2U);
  ExpectHas(document.problems()[0],
            "a.yaml:1:1: unknown key 'held-out' (did you mean 'held_out'?)");
  ExpectHas(document.problems()[1], "a.yaml:2:1: unknown key 'zzz'; known here: held_out, name");
}

TEST(StrictYaml, DuplicateKeysAreToldWithBothLinesAtEveryLevel) {
  const auto document = Parsed("a: 1\nb: {c: 1, c: 2}\na: 2\n");
  ASSERT_EQ(document.problems().size(), 2U);
  ExpectHas(document.problems()[0],
            "a.yaml:2:11: key 'c' appears twice in one mapping, first on line 2");
  ExpectHas(document.problems()[1],
            "a.yaml:3:1: key 'a' appears twice in one mapping, first on line 1");
  EXPECT_EQ(document.root()["a"].Text(), "1");
}

TEST(StrictYaml, RefusesWhatTheDialectLeavesOut) {
  ExpectHas(ErrorOf("a: &x 1\nb: *x\n"), "an anchor (&name) is not allowed");
  ExpectHas(ErrorOf("a: !!int 1\n"), "a tag (!name) is not allowed");
  ExpectHas(ErrorOf("a: 1\n---\nb: 2\n"), "a second document begins");
  ExpectHas(ErrorOf("? [1, 2]\n: 3\n"), "a key is a list or a mapping");
  ExpectHas(ErrorOf("~: 3\n"), "a key is empty or null");
  ExpectHas(ErrorOf(""), "a.yaml:1:1: found an empty file");
  ExpectHas(ErrorOf("[1, 2]"), "expected a mapping");
  ExpectHas(ErrorOf("a: [1, 2\n"), "not valid YAML");
  ExpectHas(ErrorOf("a: 1\n\tb: 2\n"), "a.yaml:2:");
  ExpectHas(ErrorOf(std::string("a: 1\nb: \0\n", 10)), "a.yaml:2:1: found a zero byte");
}

TEST(StrictYaml, HoldsItsLimitsAtTheLimitAndOneAbove) {
  YamlLimits limits;
  limits.bytes_max = 8;
  EXPECT_EQ(ErrorOf("a: 12345", limits), "no error");
  ExpectHas(ErrorOf("a: 123456", limits), "the file has 9 bytes, expected at most 8");
  limits = {};
  limits.depth_max = 2;
  EXPECT_EQ(ErrorOf("a: [1]", limits), "no error");
  ExpectHas(ErrorOf("a: [[1]]", limits), "nested deeper than 2 levels");
  limits = {};
  limits.nodes_max = 4;
  EXPECT_EQ(ErrorOf("a: [1]", limits), "no error");
  ExpectHas(ErrorOf("a: [1, 2]", limits), "more than 4 values");
  ExpectHas(ErrorOf("a: " + std::string(17, '[') + std::string(17, ']')),
            "nested deeper than 16 levels");
  EXPECT_NE(ErrorOf("a: " + std::string(100000, '[')), "no error");  // and no stack overflow either
}

TEST(StrictYaml, ListsAndChoicesTellRepetitionsAndNearWords) {
  const auto document = Parsed("sites: [A, B, A]\npolicy: public_data\n");
  EXPECT_EQ(document.root()["sites"].DistinctTexts(), (std::vector<std::string>{"A", "B"}));
  EXPECT_FALSE(document.root()["policy"].OneOf({"private", "public-data"}).has_value());
  ASSERT_EQ(document.problems().size(), 2U);
  ExpectHas(document.problems()[0], "a.yaml:1:15: field 'sites[3]': 'A' is listed twice");
  ExpectHas(document.problems()[1],
            "expected one of: private, public-data (did you mean 'public-data'?)");
}

TEST(StrictYaml, NearestNameIsEmptyWhenNothingIsNear) {
  EXPECT_EQ(NearestName("lambada", {"lambda", "margin"}), "lambda");
  EXPECT_EQ(NearestName("xyz", {"lambda", "margin"}), "");
  EXPECT_EQ(NearestName("a", {"b"}), "");  // sharing nothing is not being near
}

TEST(StrictYaml, OfEquallyNearNamesTheLongestCommonBeginningDecides) {
  EXPECT_EQ(NearestName("meam", {"beam", "mean", "team"}), "mean");
  EXPECT_EQ(NearestName("meam", {"mean", "beam"}), "mean");
  EXPECT_EQ(NearestName("x07", {"x0", "x1", "x07b"}), "x07b");
  // Any of them: no guess, in whatever order they come.
  EXPECT_EQ(NearestName("x07", {"x01", "x02", "x06", "x08"}), "");
  EXPECT_EQ(NearestName("x07", {"x01", "x1", "x02"}), "");
  EXPECT_EQ(NearestName("x07", {"x01", "x01"}), "x01");  // one name, twice
  EXPECT_EQ(NearestName("x07", {"x01", "x02", "X07"}), "X07");
}

}  // namespace
}  // namespace consilium
