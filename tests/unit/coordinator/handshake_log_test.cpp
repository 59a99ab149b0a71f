#include "coordinator/handshake_log.h"

#include <gtest/gtest.h>

namespace consilium::coordinator {
namespace {

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
