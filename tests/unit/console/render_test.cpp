// What people are shown of members and studies: every line as it will stand on their screens.
#include "console/render.h"

#include <consilium/v1/consilium.pb.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "site_agent/site.h"

namespace consilium::console {
namespace {

using nlohmann::json;

constexpr std::int64_t kNow = 1'800'000'000'000;  // 2027-01-15 08:00:00 UTC
constexpr std::int64_t kDayMs = 86'400'000;

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}
bool Has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// ---- pieces

TEST(Durations, AreReadAtAGlance) {
  EXPECT_EQ(CountdownText(-5), "0:00");
  EXPECT_EQ(CountdownText(999), "0:00");
  EXPECT_EQ(CountdownText(220'000), "3:40");
  EXPECT_EQ(CountdownText(3'599'999), "59:59");
  EXPECT_EQ(CountdownText(3'600'000), "1:00:00");
  EXPECT_EQ(CountdownText(3'820'000), "1:03:40");
  EXPECT_EQ(CountdownText(2 * kDayMs - 1), "47:59:59");
  EXPECT_EQ(CountdownText(2 * kDayMs), "2 days");
  EXPECT_EQ(AgoText(-3), "0 s ago");
  EXPECT_EQ(AgoText(2'400), "2 s ago");
  EXPECT_EQ(AgoText(119'999), "119 s ago");
  EXPECT_EQ(AgoText(120'000), "2 min ago");
  EXPECT_EQ(AgoText(7'200'000), "2 h ago");
  EXPECT_EQ(AgoText(3 * kDayMs), "3 days ago");
}

TEST(ShownText, KeepsLinesAndLosesWhatWouldMoveACursorOrTurnText) {
  EXPECT_EQ(Shown("one\ntwo"), "one\ntwo");
  EXPECT_EQ(Shown(""), "");
  EXPECT_EQ(Shown("a\n"), "a\n");
  EXPECT_EQ(Shown("\x1B[2Jx\r\xE2\x80\xAEy"), "?[2Jx??y");
  EXPECT_EQ(Shown("M\xC3\xBCnchen"), "M\xC3\xBCnchen");
}

TEST(Progress, GrowsWithRoundsAndNeverSaysThatItIsDone) {
  double last = 0;
  for (std::uint64_t round = 0; round < 400; ++round) {
    const double share = ProgressShare(round, 100);
    EXPECT_GT(share, 0);
    EXPECT_LE(share, 0.97);
    EXPECT_GE(share, last - 0.01) << round;
    last = share;
  }
  EXPECT_EQ(Bar(0.5, 4), "##..");
  EXPECT_EQ(Bar(2, 4), "####");
  EXPECT_EQ(Bar(-1, 4), "....");
}

// ---- members

wire::Member Site(const std::string& name) {
  wire::Member member;
  member.name = name;
  member.role = "site";
  member.signing_key = federation::SigningKey::FromSeed({1, 2}).verifying_key();
  member.agreement_key = federation::AgreementKey::FromSecret({3, 4}).public_key();
  member.not_after_unix_s = (kNow + 89 * kDayMs) / 1000;
  member.state = "active";
  member.connected = true;
  member.seen_unix_ms = kNow - 1000;
  member.engine = "consilium 0.1.0";
  return member;
}
wire::Member Person(const std::string& name, const std::string& role) {
  wire::Member member = Site(name);
  member.role = role;
  member.agreement_key.reset();
  member.connected = false;
  member.engine.clear();
  return member;
}

TEST(MemberFingerprint, OfASiteIsTheOneThatStudiesPinAndOfAPersonThatOfPolicyLeads) {
  const wire::Member site = Site("MUMC"), lead = Person("anna", "lead");
  EXPECT_EQ(MemberFingerprint(site),
            site_agent::FingerprintOf({site.signing_key, *site.agreement_key}));
  EXPECT_EQ(MemberFingerprint(lead), lead.signing_key.fingerprint());
}

TEST(MemberTable, HasSitesFirstAndNothingToDoForThoseThatAreWell) {
  const std::vector<wire::Member> members = {Person("anna", "lead"), Site("UMCU"), Site("MUMC"),
                                             Person("bert", "auditor")};
  const auto lines = Lines(MemberTable(members, kNow, false));
  ASSERT_EQ(lines.size(), 5U);
  EXPECT_EQ(lines[0].find("NAME"), 0U);
  EXPECT_EQ(lines[1].find("MUMC"), 0U);
  EXPECT_EQ(lines[2].find("UMCU"), 0U);
  EXPECT_EQ(lines[3].find("anna"), 0U);
  EXPECT_EQ(lines[4].find("bert"), 0U);
  EXPECT_TRUE(Has(lines[1], "connected"));
  EXPECT_TRUE(Has(lines[1], "2027-04-14"));
  EXPECT_TRUE(Has(lines[1], "consilium 0.1.0"));
  const std::string key = Hex(MemberFingerprint(members[1]));
  EXPECT_TRUE(lines[1].ends_with("  " + key.substr(0, 16))) << lines[1];
  EXPECT_TRUE(Lines(MemberTable(members, kNow, true))[1].ends_with("  " + key));
  // Columns stand below each other.
  EXPECT_EQ(lines[1].find("site"), lines[0].find("ROLE"));
  EXPECT_EQ(lines[4].find("auditor"), lines[0].find("ROLE"));
}

TEST(MemberTable, SaysWhenASiteWasSeenLast) {
  wire::Member away = Site("MUMC"), never = Site("UMCU");
  away.connected = never.connected = false;
  away.seen_unix_ms = kNow - 7'300'000;
  never.seen_unix_ms = 0;
  const std::string table = MemberTable({away, never}, kNow, false);
  EXPECT_TRUE(Has(table, "2 h ago")) << table;
  EXPECT_TRUE(Has(table, "never")) << table;
}

TEST(MemberTable, WarnsThirtyDaysBeforeACertificateEndsAndNotADayEarlier) {
  wire::Member site = Site("MUMC");
  site.not_after_unix_s = (kNow + 30 * kDayMs) / 1000;
  EXPECT_FALSE(Has(MemberTable({site}, kNow, false), "!"));
  site.not_after_unix_s -= 1;
  const std::string soon = MemberTable({site}, kNow, false);
  EXPECT_TRUE(Has(soon, "29 days left")) << soon;
  EXPECT_TRUE(Has(soon, "! MUMC: its certificate ends in 29 days; its agent renews it")) << soon;
  wire::Member lead = Person("anna", "lead");
  lead.not_after_unix_s = (kNow + kDayMs) / 1000;
  EXPECT_TRUE(Has(MemberTable({lead}, kNow, false),
                  "ends in 1 day; its owner renews it with "
                  "`consilium key renew`"));
}

TEST(MemberTable, NamesTheWayBackOfACertificateThatEndedAndNoneOfARevokedMember) {
  wire::Member site = Site("MUMC");
  site.not_after_unix_s = kNow / 1000 - 1;
  const std::string ended = MemberTable({site}, kNow, false);
  EXPECT_TRUE(Has(ended, "EXPIRED")) << ended;
  EXPECT_TRUE(Has(ended, "`consilium site invite MUMC`")) << ended;
  wire::Member lead = Person("anna", "lead");
  lead.not_after_unix_s = kNow / 1000 - 1;
  EXPECT_TRUE(Has(MemberTable({lead}, kNow, false), "`consilium site invite anna --role lead`"));
  site.state = "revoked";
  EXPECT_FALSE(Has(MemberTable({site}, kNow, false), "!"));
}

TEST(MemberTable, ShowsAClockThatIsOffByMoreThanAMinute) {
  wire::Member site = Site("MUMC");
  site.clock_skew_ms = 60'000;
  EXPECT_FALSE(Has(MemberTable({site}, kNow, false), "clock"));
  site.clock_skew_ms = 75'000;
  const std::string ahead = MemberTable({site}, kNow, false);
  EXPECT_TRUE(Has(ahead, "+75 s")) << ahead;
  EXPECT_TRUE(Has(ahead, "75 s ahead")) << ahead;
  site.clock_skew_ms = -3'600'000;
  EXPECT_TRUE(Has(MemberTable({site}, kNow, false), "3600 s behind"));
  site.connected = false;  // a skew of a connection that is gone says nothing
  EXPECT_FALSE(Has(MemberTable({site}, kNow, false), "clock"));
}

TEST(MemberJson, HasTheWholeKeyAndTheWarnings) {
  wire::Member site = Site("MUMC");
  site.clock_skew_ms = 75'000;
  const auto told = json::parse(MemberJson(site, kNow));
  EXPECT_EQ(told.at("event"), "member");
  EXPECT_EQ(told.at("key"), Hex(MemberFingerprint(site)));
  EXPECT_EQ(told.at("connected"), true);
  EXPECT_EQ(told.at("warnings").size(), 1U);
}

TEST(CoordinatorText, WarnsOfItsCertificateThirtyDaysAheadAndOfItsAuthorityNinety) {
  constexpr std::int64_t kDayS = 86'400;
  constexpr std::int64_t kNowS = kNow / 1000;
  constexpr std::int64_t kFar = kNowS + 5000 * kDayS;
  EXPECT_EQ(CoordinatorText(0, 0, kNow), "");  // one that does not say
  const std::string good = CoordinatorText(kNowS + 30 * kDayS, kNowS + 90 * kDayS, kNow);
  EXPECT_TRUE(Has(good, "The coordinator's certificate is good until"));
  EXPECT_FALSE(Has(good, "!"));
  const std::string soon = CoordinatorText(kNowS + 30 * kDayS - 1, kFar, kNow);
  EXPECT_TRUE(Has(soon, "! the coordinator's certificate ends in 29 days; "));
  EXPECT_TRUE(Has(soon, "its operator"));
  EXPECT_TRUE(Has(CoordinatorText(kNowS - 1, kFar, kNow), "certificate ended on"));
  // With the authority ends what it issued: one line, not two.
  const std::string last = CoordinatorText(kNowS + kDayS, kNowS + kDayS, kNow);
  EXPECT_TRUE(Has(last, "! the coordinator's authority ends in 1 day, and"));
  EXPECT_FALSE(Has(last, "! the coordinator's certificate"));
  const auto told = json::parse(CoordinatorJson(kNowS + kDayS, kFar, kNow));
  EXPECT_EQ(told.at("event"), "coordinator");
  EXPECT_EQ(told.at("certificate_until_unix_s"), kNowS + kDayS);
  EXPECT_EQ(told.at("warnings").size(), 1U);
}

// ---- studies

std::string Id(char first) { return std::string(1, first) + std::string(31, '\x11'); }

v1::StudyLine Line(const std::string& name, const std::string& id,
                   std::int64_t submitted_ms = kNow) {
  v1::StudyLine line;
  line.set_name(name);
  line.set_study(id);
  line.set_lead("anna");
  line.set_state("running");
  line.set_submitted_unix_ms(submitted_ms);
  line.set_rounds(16);
  return line;
}

v1::StudyStatus Running() {
  v1::StudyStatus status;
  *status.mutable_line() = Line("lung6", Id('\xAB'));
  status.set_round(16);
  status.set_doing("fitting lasso paths");
  status.set_queries(40);
  status.set_fits(34);
  status.set_bytes_up(1'234'567);
  status.set_started_unix_ms(kNow - 130'000);
  for (const char* name : {"MUMC", "UMCU"}) {
    auto* site = status.add_sites();
    site->set_site(name);
    site->set_state("joined");
    site->set_sentence("answered");
  }
  auto* wait = status.add_waits();
  wait->set_owner("MUMC");
  wait->set_reason("computing round 17");
  wait->set_waited_ms(4000);
  wait->set_seen_ms_ago(2000);
  wait->set_left_ms(220'000);
  wait->set_then("the study ends (contract: abort)");
  return status;
}

TEST(FindStudy, TakesTheNameOrFourDigits) {
  const std::vector<v1::StudyLine> studies = {Line("lung6", Id('\xAB')), Line("head", Id('\xCD'))};
  EXPECT_EQ(FindStudy(studies, "lung6")->name(), "lung6");
  EXPECT_EQ(FindStudy(studies, "cd11")->name(), "head");
  EXPECT_EQ(FindStudy(studies, "CD1111")->name(), "head");
  EXPECT_EQ(FindStudy(studies, "cd" + std::string(62, '1'))->name(), "head");
}

TEST(FindStudy, RefusesWhatMeansNoneOrSeveral) {
  const std::vector<v1::StudyLine> studies = {Line("lung6", Id('\xAB'), kNow - 5),
                                              Line("lung6", Id('\xCD')), Line("dead", Id('\x01')),
                                              Line("x", "\xDE\xAD" + std::string(30, '\x01'))};
  EXPECT_EQ(FindStudy(studies, "cd1").error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(FindStudy(studies, "").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(FindStudy(studies, "ffff").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(FindStudy(studies, "cd" + std::string(63, '1')).error().code, ErrorCode::kNotFound);
  const auto near = FindStudy(studies, "lung7");
  ASSERT_FALSE(near.has_value());
  EXPECT_TRUE(Has(near.error().message, "did you mean 'lung6'")) << near.error().message;
  const auto several = FindStudy(studies, "lung6");
  ASSERT_FALSE(several.has_value());
  EXPECT_TRUE(Has(several.error().message, "ab1111111111")) << several.error().message;
  EXPECT_TRUE(Has(several.error().message, "cd1111111111")) << several.error().message;
  // The name of one and the digits of another: nobody should cancel the wrong one.
  EXPECT_FALSE(FindStudy(studies, "dead").has_value());
}

TEST(StudyTable, HasTheNewestFirstAndTheReason) {
  auto failed = Line("old", Id('\x02'), kNow - 1000);
  failed.set_state("failed");
  failed.set_why("UMCU said no");
  failed.set_ended_unix_ms(kNow);
  const auto lines = Lines(StudyTable({failed, Line("lung6", Id('\xAB'))}));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1].find("ab1111111111  lung6"), 0U) << lines[1];
  EXPECT_TRUE(lines[2].ends_with("failed: UMCU said no")) << lines[2];
  EXPECT_TRUE(Has(lines[2], "2027-01-15 08:00")) << lines[2];
}

TEST(WaitLine, NamesOwnerReasonSightingCountdownAndWhatThen) {
  v1::StudyStatus status = Running();
  v1::WaitLine& wait = *status.mutable_waits(0);
  EXPECT_EQ(WaitText(wait),
            "waiting for MUMC: computing round 17, seen 2 s ago, 3:40 left, then the study ends "
            "(contract: abort)");
  wait.set_seen_ms_ago(-1);
  wait.set_left_ms(-1);
  wait.set_then("");
  wait.set_reason("no answer yet");
  EXPECT_EQ(WaitText(wait), "waiting for MUMC: no answer yet, not seen yet, without a time limit");
  wait.set_then("nothing: the contract says wait");
  EXPECT_EQ(
      WaitText(wait),
      "waiting for MUMC: no answer yet, not seen yet, without a time limit: the contract says "
      "wait");
  wait.set_owner("coordinator disk");
  wait.set_reason("writing the total");
  wait.set_then("the total is published");
  EXPECT_EQ(WaitText(wait),
            "waiting for coordinator disk: writing the total, then the total is published");
}

TEST(StudyText, TellsSitesAndWaits) {
  const std::string text = StudyText(Running(), kNow);
  EXPECT_TRUE(Has(text, "id         ab" + std::string(62, '1'))) << text;
  EXPECT_TRUE(Has(text, "\n  MUMC  joined  answered\n")) << text;
  EXPECT_TRUE(Has(text, "\n  waiting for MUMC: computing round 17")) << text;
  EXPECT_TRUE(Has(text, "2:10 elapsed")) << text;
  EXPECT_FALSE(Has(text, "attempt")) << text;
  v1::StudyStatus second = Running();
  second.set_attempt(1);
  EXPECT_TRUE(Has(StudyText(second, kNow), "attempt    2")) << StudyText(second, kNow);
}

TEST(StudyStatusJson, HasNullWhereATimeIsNotKnown) {
  v1::StudyStatus status = Running();
  const auto told = json::parse(StudyStatusJson(status, "status"));
  EXPECT_EQ(told.at("event"), "status");
  EXPECT_EQ(told.at("study"), "ab" + std::string(62, '1'));
  EXPECT_EQ(told.at("waits").at(0).at("left_ms"), 220'000);
  status.mutable_waits(0)->set_left_ms(-1);
  status.mutable_waits(0)->set_seen_ms_ago(-1);
  const auto open = json::parse(StudyStatusJson(status, "status"));
  EXPECT_TRUE(open.at("waits").at(0).at("left_ms").is_null());
  EXPECT_TRUE(open.at("waits").at(0).at("seen_ms_ago").is_null());
  status.mutable_line()->set_why("\xFF");
  EXPECT_TRUE(json::accept(StudyStatusJson(status, "status")));
}

// ---- watching

WatchView View(std::size_t columns = 200, std::size_t rows = 24) {
  WatchView view;
  view.now_unix_ms = kNow;
  view.columns = columns;
  view.rows = rows;
  return view;
}

TEST(WatchBlock, IsHeadProgressAndWaits) {
  const auto lines = Lines(WatchBlock(Running(), View()));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "lung6  ab1111111111  running");
  EXPECT_EQ(
      lines[1],
      "####................ round  17  fitting lasso paths          34 fits    1.2 MB sent per "
      "hospital  2:10 elapsed, about 6:37 left");
  EXPECT_EQ(lines[2],
            "  waiting for MUMC: computing round 17, seen 2 s ago, 3:40 left, then the study ends "
            "(contract: abort)");
}

TEST(WatchBlock, OfAStudyThatIsOfferedHasTheSitesInsteadOfABar) {
  v1::StudyStatus status = Running();
  status.mutable_line()->set_state("offered");
  status.clear_waits();
  status.mutable_sites(0)->set_state("waiting");
  status.mutable_sites(0)->set_sentence("waiting for approval");
  const auto lines = Lines(WatchBlock(status, View()));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[1], "  MUMC: waiting, waiting for approval");
  EXPECT_EQ(lines[2], "  UMCU: joined, answered");
}

TEST(WatchBlock, SaysWhichAttemptAndEstimatesNothingThen) {
  v1::StudyStatus status = Running();
  status.set_attempt(1);
  const std::string block = WatchBlock(status, View());
  EXPECT_TRUE(Has(block, "running  attempt 2\n")) << block;
  EXPECT_FALSE(Has(block, "about")) << block;
}

TEST(WatchBlock, NeverWrapsAndNeverScrolls) {
  v1::StudyStatus status = Running();
  status.mutable_line()->set_name(std::string(300, 'n'));
  for (int i = 0; i < 60; ++i) *status.add_waits() = status.waits(0);
  for (const std::size_t columns : {0U, 20U, 40U, 80U, 500U}) {
    for (const std::size_t rows : {0U, 1U, 4U, 10U, 100U}) {
      SCOPED_TRACE(::testing::Message() << columns << " x " << rows);
      const auto lines = Lines(WatchBlock(status, View(columns, rows)));
      for (const std::string& line : lines)
        EXPECT_LE(line.size(), std::max<std::size_t>(columns, 20)) << line;
      EXPECT_LE(lines.size(), std::max<std::size_t>(rows, 4) - 1);
      EXPECT_EQ(rows < 70, lines.back().ends_with(" more")) << lines.back();
    }
  }
}

TEST(WatchBlock, CutsBetweenCharacters) {
  v1::StudyStatus status = Running();
  std::string name;
  for (int i = 0; i < 50; ++i) name += "\xC3\xBC";
  status.mutable_line()->set_name(name);
  const std::string first = Lines(WatchBlock(status, View(21))).front();
  std::string expected;
  for (int i = 0; i < 18; ++i) expected += "\xC3\xBC";
  EXPECT_EQ(first, expected + "...");
}

TEST(WatchBlock, ColoursTheBarAlone) {
  WatchView view = View();
  const std::string plain = WatchBlock(Running(), view);
  view.colours = true;
  std::string coloured = WatchBlock(Running(), view);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), '\x1B'), 0);
  EXPECT_EQ(std::count(coloured.begin(), coloured.end(), '\x1B'), 2);
  for (const std::string code : {"\x1B[36m", "\x1B[0m"})
    coloured.erase(coloured.find(code), code.size());
  EXPECT_EQ(coloured, plain);
}

TEST(WatchBlock, LetsNobodyWriteToTheTerminalOfAnother) {
  v1::StudyStatus status = Running();
  const std::string evil = "\x1B]0;owned\x07\x1B[2J\r\n";
  status.mutable_line()->set_name(evil);
  status.mutable_line()->set_why(evil);
  status.set_doing(evil);
  for (auto* text :
       {status.mutable_waits(0)->mutable_owner(), status.mutable_waits(0)->mutable_reason(),
        status.mutable_waits(0)->mutable_then(), status.mutable_sites(0)->mutable_site(),
        status.mutable_sites(0)->mutable_state(), status.mutable_sites(0)->mutable_sentence()})
    *text = evil;
  wire::Member member = Site("MUMC");
  member.name = member.engine = member.state = member.role = evil;
  for (const std::string& text :
       {WatchBlock(status, View()), WatchLine(status, kNow), StudyText(status, kNow),
        StudyTable({status.line()}), MemberTable({member}, kNow, true)}) {
    EXPECT_EQ(text.find_first_of("\x1B\x07\r"), std::string::npos) << text;
  }
  EXPECT_EQ(WatchLine(status, kNow).find('\n'), std::string::npos);
}

// Whatever a coordinator says of the time: the rest is a number that there is.
TEST(ProgressLine, OfAStudyThatBeganAtAnyTimeTellsWhatIsLeft) {
  v1::StudyStatus status = Running();
  status.set_round(0);
  status.set_attempt(0);
  status.set_started_unix_ms(1);
  const std::string text = ProgressText(status, std::numeric_limits<std::int64_t>::max());
  EXPECT_NE(text.find("about 11574074 days left"), std::string::npos) << text;
}

TEST(WatchLineText, TellsThreeWaitsAndCountsTheRest) {
  v1::StudyStatus status = Running();
  EXPECT_EQ(WatchLine(status, kNow),
            "lung6 running, round 17, fitting lasso paths, 1.2 MB sent per hospital, 2:10 elapsed; "
            "waiting for MUMC: computing round 17, seen 2 s ago, 3:40 left, then the study ends "
            "(contract: abort)");
  for (int i = 0; i < 4; ++i) *status.add_waits() = status.waits(0);
  EXPECT_TRUE(WatchLine(status, kNow).ends_with("; and 2 more"));
}

TEST(ChangeFilterNews, ARoundIsToldAtMostEveryTwoSecondsAndAStateAtOnce) {
  ChangeFilter filter;
  v1::StudyStatus status = Running();
  EXPECT_TRUE(filter.IsNews(status, 10'000));
  status.mutable_waits(0)->set_seen_ms_ago(5000);  // time alone is no news
  status.mutable_waits(0)->set_left_ms(1);
  EXPECT_FALSE(filter.IsNews(status, 20'000));
  status.set_round(17);
  EXPECT_TRUE(filter.IsNews(status, 20'000));
  status.set_round(18);
  EXPECT_FALSE(filter.IsNews(status, 21'999));
  EXPECT_TRUE(filter.IsNews(status, 22'000));
  status.mutable_line()->set_state("finished");
  EXPECT_TRUE(filter.IsNews(status, 22'000));
  EXPECT_FALSE(filter.IsNews(status, 90'000));
}

TEST(ChangeFilterNews, ASitesApprovalIsToldAtOnce) {
  ChangeFilter filter;
  v1::StudyStatus status = Running();
  status.mutable_line()->set_state("offered");
  EXPECT_TRUE(filter.IsNews(status, 0));
  status.mutable_sites(0)->set_state("approved");
  EXPECT_TRUE(filter.IsNews(status, 1));
  status.set_attempt(1);
  EXPECT_TRUE(filter.IsNews(status, 2));
}

}  // namespace
}  // namespace consilium::console
