#include "base/digest.h"

#include <gtest/gtest.h>

#include "base/rng.h"
#include "base/sha256_stream.h"

namespace consilium {
namespace {

// FIPS 180-4, examples of SHA-256: one block, and two.
TEST(Sha256, GivesThePublishedDigests) {
  EXPECT_EQ(Hex(Sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

// RFC 5869, appendix A.1 and A.3 (no salt, no info).
TEST(Hkdf, GivesThePublishedKeysFromBytesAndFromText) {
  const Bytes key(22, 0x0b);
  const Bytes salt = FromHex("000102030405060708090a0b0c").value();
  const Bytes info = FromHex("f0f1f2f3f4f5f6f7f8f9").value();
  const std::string expected =
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
  EXPECT_EQ(Hex(HkdfSha256(key, salt, info, 42)), expected);
  EXPECT_EQ(Hex(HkdfSha256(key, salt, std::string(info.begin(), info.end()), 42)), expected);
  EXPECT_EQ(Hex(HkdfSha256(key, {}, "", 42)),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(Sha256Stream, IsTheDigestOfTheWholeHoweverItIsCut) {
  Rng rng(7, "pieces");
  for (int run = 0; run < 200; ++run) {
    Bytes whole(rng.Below(300));
    for (std::uint8_t& byte : whole) byte = static_cast<std::uint8_t>(rng.Below(256));
    Sha256Stream stream;
    for (std::span<const std::uint8_t> rest(whole); !rest.empty();) {
      const std::size_t size = std::min<std::size_t>(rest.size(), rng.Below(80));
      stream.Append(rest.first(size));
      rest = rest.subspan(size);
    }
    EXPECT_EQ(stream.Finish(), Sha256(std::span<const std::uint8_t>(whole))) << whole.size();
  }
}

}  // namespace
}  // namespace consilium
