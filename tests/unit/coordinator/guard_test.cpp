#include "coordinator/guard.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace consilium::coordinator {
namespace {

TEST(Guard, TellsAFewRefusalsThenOneNowAndThenWithTheirNumber) {
  Guard guard;
  for (int i = 0; i < kToldAtOnce; ++i)
    EXPECT_EQ(guard.Refuse("call", "north", "no", 5), "refused (call): north: no");
  EXPECT_EQ(guard.Refuse("call", "north", "no", 6), std::nullopt);
  EXPECT_EQ(guard.Refuse("call", "north", "no", 4 + kToldEachMs), std::nullopt);
  EXPECT_EQ(guard.Refuse("call", "north", "no", 5 + kToldEachMs),
            "refused (call): north: no (and 2 more like it)");
  // Of another kind, or by another, it is told at once.
  EXPECT_EQ(guard.Refuse("answer", "north", "no", 6), "refused (answer): north: no");
  EXPECT_EQ(guard.Refuse("call", "east", "no", 6), "refused (call): east: no");
  EXPECT_EQ(guard.Refused(),
            (std::map<std::string, std::uint64_t>{
                {"answer", 1}, {"call", static_cast<std::uint64_t>(kToldAtOnce) + 4}}));
}

TEST(Guard, ALineIsOneLineOfBoundedLengthWhateverItIsMadeOf) {
  Guard guard;
  const auto line = guard.Refuse("call", "no\nrth", "a\r\n\x1b[2J" + std::string(10'000, 'x'), 0);
  ASSERT_TRUE(line.has_value());
  EXPECT_TRUE(line->starts_with("refused (call): no?rth: a???[2Jxxx")) << *line;
  EXPECT_EQ(line->find_first_of("\r\n\x1b"), std::string::npos);
  EXPECT_LT(line->size(), 2 * kToldBytesMax + 100);
}

TEST(Guard, PointsAreSpentToTheLastAndComeBackWithTime) {
  Guard guard;
  EXPECT_TRUE(guard.Spend("north", kPointsMax, 1000).has_value());
  const auto spent = guard.Spend("north", 1, 1000);
  ASSERT_FALSE(spent.has_value());
  EXPECT_EQ(spent.error().code, ErrorCode::kResourceExhausted);
  EXPECT_TRUE(spent.error().message.starts_with("north asks faster than"));
  // Others are not touched by it.
  EXPECT_TRUE(guard.Spend("east", kPointsMax, 1000).has_value());
  EXPECT_TRUE(guard.Spend("north", kPointsPerSecond, 2000).has_value());
  EXPECT_FALSE(guard.Spend("north", 1, 2000).has_value());
  // Rest gives no more than what there is at rest.
  EXPECT_TRUE(guard.Spend("north", kPointsMax, 1'000'000).has_value());
  EXPECT_FALSE(guard.Spend("north", 1, 1'000'000).has_value());
}

TEST(Guard, WhoAsksForMoreThanIsLeftLosesTheRest) {
  Guard guard;
  EXPECT_TRUE(guard.Spend("north", kPointsMax - 10, 0).has_value());
  EXPECT_FALSE(guard.Spend("north", 11, 0).has_value());
  EXPECT_FALSE(guard.Spend("north", 1, 0).has_value());
}

TEST(Guard, AMemberHasSoManyOpenCallsAndNoMore) {
  Guard guard;
  for (int i = 0; i < kOpenCallsMax; ++i) EXPECT_TRUE(guard.Enter("north", 0).has_value());
  const auto refused = guard.Enter("north", 0);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_TRUE(guard.Enter("east", 0).has_value());
  guard.Leave("north");
  EXPECT_TRUE(guard.Enter("north", 0).has_value());
  EXPECT_FALSE(guard.Enter("north", 0).has_value());
}

TEST(Guard, NamesWithoutNumberTakeBoundedMemoryAndOpenCallsAreNotForgotten) {
  Guard guard;
  ASSERT_TRUE(guard.Enter("north", 0).has_value());
  for (int i = 0; i < 3 * static_cast<int>(kCallersMax); ++i) {
    (void)guard.Spend(fmt::format("stranger {}", i), 1, i);
    (void)guard.Refuse("call", fmt::format("stranger {}", i), "no", i);
  }
  EXPECT_LE(guard.remembered(), kCallersMax);
  for (int i = 1; i < kOpenCallsMax; ++i) EXPECT_TRUE(guard.Enter("north", 0).has_value());
  EXPECT_FALSE(guard.Enter("north", 0).has_value());
}

TEST(HandshakeLog, IsReadInOurWords) {
  const auto kind = [](std::string_view line) {
    const auto stranger = ReadHandshakeLog(line);
    return stranger ? std::string(stranger->kind) : "none";
  };
  const std::string ssl = "Handshaking failed: UNKNOWN:Ssl handshake failed: SSL_ERROR_SSL: error:";
  EXPECT_EQ(kind(ssl + "0A0000C7:SSL routines::peer did not return a certificate {tsi_code:10}"),
            "tls.no_certificate");
  EXPECT_EQ(kind(ssl + "0A000086:SSL routines::certificate verify failed {"), "tls.certificate");
  EXPECT_EQ(kind(ssl + "06880006:asn1 encoding routines::EVP lib {"), "tls.certificate");
  EXPECT_EQ(kind(ssl + "0A000102:SSL routines::unsupported protocol {"), "tls.version");
  EXPECT_EQ(kind(ssl + "0A00009C:SSL routines::http request {"), "tls.http");
  EXPECT_EQ(kind(ssl + "0A00010B:SSL routines::wrong version number {"), "tls.garbage");
  EXPECT_EQ(kind(ssl + "0A000418:SSL routines::tlsv1 alert unknown ca {"), "tls.left");
  EXPECT_EQ(kind("Handshaking failed: UNKNOWN:Cannot check peer: missing selected ALPN property."),
            "tls.no_http2");
  EXPECT_EQ(kind("Handshaking failed: UNKNOWN:Handshake read failed {children:[UNKNOWN:FD Shutdown "
                 "{children:[UNKNOWN:Handshake timed out {}]}]}"),
            "tls.slow");
  EXPECT_EQ(kind("Handshaking failed: UNKNOWN:Handshake read failed {children:[INTERNAL:Socket "
                 "closed {fd:15}]}"),
            "tls.closed");
  // The same failure in gRPC's other words is not counted twice.
  EXPECT_EQ(kind("Security handshake failed: UNKNOWN:Ssl handshake failed"), "none");
  EXPECT_EQ(kind("Using polling engine: epoll1"), "none");
}

TEST(HandshakeLog, WhatNoWordsFitIsRepeatedCut) {
  const auto stranger =
      ReadHandshakeLog("Handshaking failed: the dog\nate it " + std::string(10'000, 'x'));
  ASSERT_TRUE(stranger.has_value());
  EXPECT_EQ(stranger->kind, "tls.other");
  EXPECT_TRUE(stranger->why.starts_with("the dog?ate it xxx")) << stranger->why;
  EXPECT_LE(stranger->why.size(), 203U);
}

}  // namespace
}  // namespace consilium::coordinator
