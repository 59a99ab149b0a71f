#include "identity/names.h"

#include <gtest/gtest.h>

#include "identity/certificate.h"
#include "identity/operator.h"
#include "tests/unit/identity/identity_fixture.h"

namespace consilium::identity {
namespace {

TEST(Roles, AreReadBackFromTheirNamesAndFromNothingElse) {
  for (const Role role : {Role::kSite, Role::kLead, Role::kAuditor, Role::kCoordinator}) {
    EXPECT_EQ(ParseRole(Name(role)), role);
  }
  for (const char* text : {"", "Site", "site ", "admin", "sit"}) {
    ExpectError(ParseRole(text), ErrorCode::kInvalidArgument, {"expected site, lead"});
  }
}

TEST(Names, OfSitesAndPeopleMayBeFileNamesAndAreNeverPaths) {
  for (const char* name : {"MUMC", "a", "7", "maastro.clinic_2-b", "a..b"}) {
    EXPECT_TRUE(CheckName(name).has_value()) << name;
  }
  for (const std::string name : {"", ".", "..", "../etc", ".hidden", "-rf", "_a", "a/b", "a\\b",
                                 "a b", "a\n", "M\xc3\xbcnchen", "a:b", "a%2f", "a*", "a$b"}) {
    ExpectError(CheckName(name), ErrorCode::kInvalidArgument, {"name", "expected"});
  }
  ExpectError(CheckName(std::string_view("a\0b", 3)), ErrorCode::kInvalidArgument,
              {"\\x00", "character 2"});
}

TEST(Names, HaveAtMostSixtyFourBytes) {
  EXPECT_TRUE(CheckName(std::string(kNameBytesMax, 'a')).has_value());
  ExpectError(CheckName(std::string(kNameBytesMax + 1, 'a')), ErrorCode::kInvalidArgument,
              {"65 bytes"});
}

TEST(Operator, IsShownBehindTheNameIfThereIsOne) {
  EXPECT_EQ(WithOperator("HN consortium", "anna-2"), "HN consortium (operated by anna-2)");
  EXPECT_EQ(WithOperator("HN consortium", ""), "HN consortium");
}

TEST(Quoted, ShowsAnythingAsOneShortPrintableLine) {
  EXPECT_EQ(Quoted("a\"b\n\x1b[31m"), "\"a\\x22b\\x0a\\x1b[31m\"");
  EXPECT_EQ(Quoted(std::string(100, 'x')), "\"" + std::string(80, 'x') + "...\"");
}

TEST(Hosts, AreDnsNamesOrAddressesAndNothingThatLooksLikeBoth) {
  for (const char* host :
       {"a", "coordinator.example.org", "xn--bcher-kva.example", "10.0.0.1", "255.255.255.255",
        "::1", "2001:db8::7", "::ffff:192.0.2.1", "a-b.c-d"}) {
    EXPECT_TRUE(CheckHost(host).has_value()) << host;
  }
  for (const std::string host : {"",          ".",
                                 "a.",        ".a",
                                 "a..b",      "-a.org",
                                 "a-.org",    "*.example.org",
                                 "a_b.org",   "1.2.3",
                                 "1.2.3.4.5", "256.1.1.1",
                                 "1.2.3.04",  "01.2.3.4",
                                 "+1.2.3.4",  "1.2.3.4 ",
                                 "::1::",     "[::1]",
                                 "a b",       "a/b",
                                 "user@host", "fe80::1%eth0",
                                 ":::::"}) {
    ExpectError(CheckHost(host), ErrorCode::kInvalidArgument, {"host"});
  }
  const std::string label(63, 'a');
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 'a');
  EXPECT_TRUE(CheckHost(longest).has_value());
  EXPECT_FALSE(CheckHost(longest + "a").has_value());
  EXPECT_FALSE(CheckHost(label + "a.org").has_value());
  EXPECT_FALSE(CheckHost(std::string_view("a\0.org", 6)).has_value());
}

TEST(Addresses, AreAHostAndAPort) {
  const auto plain = ParseAddress("coordinator.example.org:8443");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->host, "coordinator.example.org");
  EXPECT_EQ(plain->port, 8443);
  EXPECT_EQ(ParseAddress("[2001:db8::7]:1")->host, "2001:db8::7");
  EXPECT_EQ(ParseAddress("192.0.2.7:65535")->port, 65535);
  for (const char* text : {"",      "a",           "a:",          ":1",
                           "a:0",   "a:65536",     "a:99999",     "a:123456",
                           "a:+1",  "a: 1",        "a:1 ",        "a:01",
                           "a:1x",  "a:x",         "::1:443",     "2001:db8::7:1",
                           "[a]:1", "[1.2.3.4]:1", "[::1]",       "[::1:1",
                           "a b:1", "http://a:1",  "a:4294967297"}) {
    ExpectError(ParseAddress(text), ErrorCode::kInvalidArgument, {"address", "host:port"});
  }
}

TEST(UtcText, IsTheCalendarsDateOnEveryKindOfDay) {
  EXPECT_EQ(UtcText(0), "1970-01-01 00:00:00 UTC");
  EXPECT_EQ(UtcText(-1), "1969-12-31 23:59:59 UTC");
  EXPECT_EQ(UtcText(951'782'400), "2000-02-29 00:00:00 UTC");
  EXPECT_EQ(UtcText(1'709'251'199), "2024-02-29 23:59:59 UTC");
  EXPECT_EQ(UtcText(4'107'542'400), "2100-03-01 00:00:00 UTC");
  EXPECT_EQ(UtcText(253'402'300'799), "9999-12-31 23:59:59 UTC");
}

}  // namespace
}  // namespace consilium::identity
