// Pins: how people write fingerprints down, and what another one means.
#include "console/pins.h"

#include <gtest/gtest.h>

namespace consilium::console {
namespace {

const std::string kDigits = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

Digest DigestOfDigits() {
  Digest digest;
  const auto bytes = FromHex(kDigits);
  std::copy(bytes->begin(), bytes->end(), digest.bytes.begin());
  return digest;
}

TEST(Pins, AreReadHoweverTheyWereWrittenDown) {
  Pins pins;
  ASSERT_TRUE(AddPin("--pin", "MUMC=" + kDigits, pins).has_value());
  ASSERT_TRUE(AddPin("--pin",
                     " MUMC = 01:23:45:67 89AB CDEF 01234567 89abcdef0123456789abcdef"
                     "0123456789abcdef",
                     pins)
                  .has_value());
  EXPECT_EQ(pins, (Pins{{"MUMC", kDigits}}));
}

TEST(Pins, OfTheWrongShapeAreRefusedWithTheirPlace) {
  for (const std::string& text :
       {std::string("MUMC"), std::string("MUMC="), "=" + kDigits, "a/b=" + kDigits,
        "MUMC=" + kDigits + "0", "MUMC=" + kDigits.substr(0, 15),
        "MUMC=" + kDigits.substr(0, 20) + "g"}) {
    Pins pins;
    const auto added = AddPin("pins.txt:3", text, pins);
    ASSERT_FALSE(added.has_value()) << text;
    EXPECT_EQ(added.error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(added.error().message.rfind("pins.txt:3", 0), 0U) << added.error().message;
    EXPECT_TRUE(pins.empty());
  }
}

TEST(Pins, OfOneSiteThatContradictEachOtherAreRefused) {
  Pins pins{{"MUMC", kDigits}};
  const auto added = AddPin("--pin", "MUMC=" + std::string(64, '0'), pins);
  ASSERT_FALSE(added.has_value());
  EXPECT_EQ(added.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(pins.at("MUMC"), kDigits);
}

TEST(Pins, FileSkipsCommentsAndTellsEveryWrongLine) {
  Pins pins;
  ASSERT_TRUE(
      AddPinsFile("pins.txt",
                  "# by telephone\r\n\n  MUMC=" + kDigits + "\r\nUMCU = " + kDigits.substr(0, 16),
                  pins)
          .has_value());
  EXPECT_EQ(pins.size(), 2U);
  EXPECT_EQ(pins.at("UMCU"), kDigits.substr(0, 16));
  const auto wrong = AddPinsFile("pins.txt", "A=1\nB=" + kDigits + "\nC\n", pins);
  ASSERT_FALSE(wrong.has_value());
  EXPECT_NE(wrong.error().message.find("pins.txt:1"), std::string::npos) << wrong.error().message;
  EXPECT_NE(wrong.error().message.find("pins.txt:3"), std::string::npos) << wrong.error().message;
}

TEST(Pins, HoldForTheirFingerprintAndNoOther) {
  EXPECT_TRUE(CheckPin("MUMC", kDigits, DigestOfDigits()).has_value());
  EXPECT_TRUE(CheckPin("MUMC", kDigits.substr(0, 16), DigestOfDigits()).has_value());
  std::string other = kDigits;
  other.back() = '0';
  const auto checked = CheckPin("MUMC", other, DigestOfDigits());
  ASSERT_FALSE(checked.has_value());
  EXPECT_EQ(checked.error().code, ErrorCode::kPermissionDenied);
  EXPECT_NE(checked.error().message.find(kDigits), std::string::npos);
  EXPECT_NE(checked.error().message.find(other), std::string::npos);
}

}  // namespace
}  // namespace consilium::console
