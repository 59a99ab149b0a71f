#include "site_agent/config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "tests/unit/site_store/site_fixture.h"

namespace consilium::site_agent {
namespace {

using testing::Has;

constexpr std::string_view kFile = "/etc/consilium/site.yaml";
constexpr std::string_view kShort = "site: MUMC\ncohorts: [{file: c.yaml, data: tables}]\n";
const std::string kPrint(64, 'a');

std::string Problem(std::string_view yaml) {
  const auto config = ParseSiteConfig(yaml, "s.yaml");
  EXPECT_FALSE(config.has_value()) << yaml;
  return config ? std::string() : config.error().message;
}
std::string ProblemOf(const std::string& more) { return Problem(std::string(kShort) + more); }

// The first yaml block under "A worked example" of the page.
std::string WorkedExample() {
  std::ifstream file(std::string(CONSILIUM_SOURCE_DIR) + "/docs/formats/site.md");
  const std::string page{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const auto begin = page.find("```yaml\n") + 8;
  return page.substr(begin, page.find("```", begin) - begin);
}

TEST(SiteConfig, ReadsTheWorkedExampleOfItsPage) {
  const auto config = ParseSiteConfig(WorkedExample(), kFile);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->site, "MUMC");
  EXPECT_EQ(config->state, "/var/lib/consilium-site");
  ASSERT_EQ(config->cohorts.size(), 2U);
  EXPECT_EQ(config->cohorts[0].file, "/etc/consilium/lung-cohort.yaml");
  EXPECT_EQ(config->cohorts[0].data, "/srv/research/lung");
  EXPECT_EQ(config->cohorts[0].studies, (std::vector<std::string>{"lung*", "nsclc"}));
  EXPECT_TRUE(config->cohorts[1].studies.empty());
  EXPECT_EQ(config->policy.approve, SitePolicy::Approve::kLead);
  ASSERT_EQ(config->policy.leads.size(), 1U);
  EXPECT_EQ(Hex(config->policy.leads[0]),
            "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29");
  EXPECT_EQ(config->policy.settings().min_sites, 4);
  EXPECT_EQ(config->policy.settings().min_cell, 10);
  EXPECT_FALSE(config->policy.settings().allow_public_data);
  EXPECT_TRUE(config->policy.allow_restart_without);
  EXPECT_FALSE(config->policy.allow_leave_one_center_out);
  EXPECT_EQ(config->network.proxy.kind, SiteProxy::Kind::kHttp);
  EXPECT_EQ(config->network.proxy.host, "proxy.hospital.example");
  EXPECT_EQ(config->network.proxy.port, 3128);
  EXPECT_EQ(config->network.proxy.user, "consilium");
  EXPECT_EQ(config->network.proxy.password_file, "/etc/consilium/proxy-password");
  EXPECT_EQ(config->network.ca_bundle, "/etc/ssl/hospital-ca.pem");
  EXPECT_EQ(config->network.beat_ms, 2000U);
}

TEST(SiteConfig, LeavesTheStrictDefaultsWhereNothingIsWritten) {
  const auto config = ParseSiteConfig(kShort, "site.yaml");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->state, "/var/lib/consilium-site");
  EXPECT_EQ(config->cohorts[0].file, "c.yaml");  // beside a file that was named without a folder
  EXPECT_EQ(config->policy.approve, SitePolicy::Approve::kAsk);
  EXPECT_EQ(config->policy.min_sites, 3);
  EXPECT_EQ(config->policy.min_cell, 5);
  EXPECT_FALSE(config->policy.allow_public_data || config->policy.allow_fast_curvature ||
               config->policy.allow_restart_without || config->policy.allow_leave_one_center_out);
  EXPECT_EQ(config->network.proxy.kind, SiteProxy::Kind::kEnvironment);
  EXPECT_FALSE(config->network.beat_ms.has_value());
  EXPECT_EQ(config->log_level, "info");
}

TEST(SiteConfig, TheFirstCohortWhosePatternMatchesServesAStudy) {
  const auto config = ParseSiteConfig(WorkedExample(), kFile);
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ((*CohortFor(*config, "lung6"))->data, "/srv/research/lung");
  EXPECT_EQ((*CohortFor(*config, "nsclc"))->data, "/srv/research/lung");
  EXPECT_EQ((*CohortFor(*config, "heart"))->data, "/srv/research/all");
  const auto narrow =
      ParseSiteConfig("site: A\ncohorts: [{file: c, data: d, studies: [lung*, x]}]\n", "s.yaml");
  ASSERT_TRUE(narrow.has_value());
  const auto none = CohortFor(*narrow, "heart");
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(none.error().message,
            "s.yaml: no cohort serves the study 'heart': the patterns under `cohorts` are lung*, "
            "x; add the study's name or a cohort for it");
}

TEST(SiteConfig, EveryProblemNamesItsPlaceAndTheNextStep) {
  const std::map<std::string, std::string> cases = {
      // after the two lines of kShort
      {"stat: /x\n",
       "s.yaml:3:1: unknown key 'stat' (did you mean 'state'?); correct or remove it"},
      {"state: ~/consilium\n",
       "s.yaml:3:8: field 'state': begins with '~', which only a shell understands; write the "
       "whole path"},
      {"log_level: loud\n",
       "s.yaml:3:12: field 'log_level': found 'loud', expected one of: trace, debug, info, "
       "warning, error"},
      {"format: 2\n",
       "s.yaml:3:9: field 'format': found '2', expected a whole number from 1 to 1, without "
       "quotes"},
      {"policy: {approve: yes}\n",
       "s.yaml:3:19: field 'policy.approve': found 'yes', expected one of: ask, lead"},
      {"policy: {approve: lead}\n",
       "s.yaml:3:19: field 'policy.approve': 'lead' needs 'leads: [fingerprint, ...]'; add it, or "
       "write 'approve: ask'"},
      {"policy: {leads: [" + kPrint + "]}\n",
       "s.yaml:3:17: field 'policy.leads': is not used under 'approve: ask'; write 'approve: lead' "
       "or remove it"},
      {"policy: {approve: lead, leads: [\"12ab\"]}\n",
       "s.yaml:3:33: field 'policy.leads[1]': is no fingerprint: expected 64 hexadecimal digits; "
       "the lead reads them with `consilium key show`"},
      {"policy: {approve: lead, leads: []}\n",
       "s.yaml:3:32: field 'policy.leads': is empty; expected at least one fingerprint of a lead's "
       "key"},
      {"policy: {min_sites: 2}\n",
       "s.yaml:3:21: field 'policy.min_sites': found '2', expected a whole number from 3 to 1000, "
       "without quotes"},
      {"policy: {min_cell: \"5\"}\n",
       "s.yaml:3:20: field 'policy.min_cell': found the quoted text '5', expected a whole number "
       "from 1 to 1000, without quotes"},
      {"policy: {allow_public_data: no}\n",
       "s.yaml:3:29: field 'policy.allow_public_data': found 'no', expected true or false, without "
       "quotes"},
      {"network: {proxy: proxy.example:3128}\n",
       "s.yaml:3:18: field 'network.proxy': is no proxy: expected 'environment', 'none' or "
       "'http://HOST:PORT'; correct it"},
      {"network: {proxy: \"http://u:secret@p.example:1\"}\n",
       "s.yaml:3:18: field 'network.proxy': holds a user or a password; write 'http://HOST:PORT' "
       "here, and proxy_user and proxy_password_file beside it"},
      {"network: {proxy: \"http://intranet/proxy.pac\"}\n",
       "s.yaml:3:18: field 'network.proxy': asks for proxy auto-configuration (PAC), which is not "
       "read; ask IT which proxy the PAC file gives for the coordinator and write "
       "'http://HOST:PORT'"},
      {"network: {proxy: NTLM}\n",
       "s.yaml:3:18: field 'network.proxy': asks for NTLM or Kerberos, which are not spoken; ask "
       "IT for a rule without authentication for this one destination, or run a local proxy that "
       "speaks it (cntlm, px) and write its 'http://HOST:PORT'"},
      {"network: {proxy: \"https://p.example:443\"}\n",
       "s.yaml:3:18: field 'network.proxy': is a proxy that is itself spoken to over TLS or SOCKS, "
       "which is not supported; expected 'environment', 'none' or 'http://HOST:PORT' (the "
       "connection inside is TLS all the same)"},
      {"network: {proxy: \"http://p.example:70000\"}\n",
       "s.yaml:3:18: field 'network.proxy': address \"p.example:70000\" has no port between 1 and "
       "65535; expected host:port, for example coordinator.example.org:8443 or "
       "[2001:db8::7]:8443; correct it"},
      {"network: {proxy: \"http://p.example:1\", proxy_user: u}\n",
       "s.yaml:3:10: field 'network.proxy_password_file': is missing: proxy_user and "
       "proxy_password_file belong together"},
      {"network: {proxy: none, proxy_user: u, proxy_password_file: p}\n",
       "s.yaml:3:36: field 'network.proxy_user': is used only with 'proxy: http://HOST:PORT'; "
       "write that or remove the user"},
      {"network: {beat_ms: 10}\n",
       "s.yaml:3:20: field 'network.beat_ms': found '10', expected a whole number from 500 to "
       "60000, without quotes"},
      {"site: Other\n", "s.yaml:3:1: key 'site' is written twice"},
  };
  for (const auto& [more, expected] : cases) {
    const std::string message = ProblemOf(more);
    if (more.starts_with("site:")) {
      EXPECT_TRUE(Has(message, "s.yaml:3:1")) << more;
      continue;
    }
    EXPECT_EQ(message, expected) << more;
  }
  EXPECT_EQ(Problem("site: MUMC\n"),
            "s.yaml:1:1: field 'cohorts': is missing: write 'cohorts: [{file: cohort.yaml, data: "
            "FOLDER}]', one item a cohort file");
  EXPECT_EQ(Problem("site: ../x\ncohorts: [{file: c, data: d}]\n"),
            "s.yaml:1:7: field 'site': name \"../x\" does not begin with a letter or digit; "
            "expected a letter or digit, then at most 63 letters, digits, dots, underscores or "
            "hyphens; rename it");
  EXPECT_EQ(Problem("site: A\ncohorts: []\n"),
            "s.yaml:2:10: field 'cohorts': is empty: without a cohort file no study can run here; "
            "add one");
  EXPECT_EQ(Problem("site: A\ncohorts: [{file: c}]\n"),
            "s.yaml:2:11: field 'cohorts[1].data': is missing: the folder of the tables that the "
            "cohort file names");
  EXPECT_EQ(Problem("site: A\ncohorts: [{file: c, data: d}, {file: e, data: f}]\n"),
            "s.yaml:2:31: field 'cohorts[2]': is never used: a cohort before it serves every "
            "study; move that one last");
  EXPECT_EQ(Problem("site: A\ncohorts: [{file: c, data: d, studies: []}]\n"),
            "s.yaml:2:39: field 'cohorts[1].studies': is empty, so this cohort serves no study; "
            "name some or remove the key");
}

TEST(SiteConfig, TellsAllProblemsAtOnce) {
  const std::string message = ProblemOf(
      "policy: {min_sites: 1, min_cell: 0}\nnetwork: {proxy: socks5, beat_ms: 1}\nlog: x\n");
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 4) << message;
}

TEST(SiteConfig, NeverRepeatsAPasswordInAProblem) {
  for (const char* proxy : {"http://u:hunter2@p:1", "https://u:hunter2@p", "u:hunter2@p"}) {
    const std::string message = ProblemOf(std::string("network: {proxy: \"") + proxy + "\"}\n");
    EXPECT_EQ(message.find("hunter2"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace consilium::site_agent
