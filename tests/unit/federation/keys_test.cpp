#include "federation/keys.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace consilium::federation {
namespace {

KeyBytes Key(std::string_view hex) {
  const auto bytes = FromHex(hex);
  KeyBytes key{};
  EXPECT_EQ(bytes->size(), key.size());
  std::copy(bytes->begin(), bytes->end(), key.begin());
  return key;
}

// RFC 8032, section 7.1, tests 1 and 2.
TEST(SigningKey, GivesTheSignaturesOfRfc8032) {
  const SigningKey first =
      SigningKey::FromSeed(Key("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"));
  EXPECT_EQ(Hex(first.verifying_key().bytes()),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  EXPECT_EQ(
      Hex(first.Sign({})),
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9"
      "b46bd25bf5f0595bbe24655141438e7a100b");
  const SigningKey second =
      SigningKey::FromSeed(Key("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
  EXPECT_EQ(Hex(second.verifying_key().bytes()),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  EXPECT_EQ(
      Hex(second.Sign(Bytes{0x72})),
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1"
      "1d8c387b2eaeb4302aeeb00d291612bb0c00");
}

TEST(SigningKey, ASignatureHoldsForItsKeyAndItsBytesOnly) {
  const SigningKey key = SigningKey::FromSeed(Key(std::string(64, '1')));
  const SigningKey other = SigningKey::FromSeed(Key(std::string(64, '2')));
  const Bytes message = {1, 2, 3};
  Signature signature = key.Sign(message);
  EXPECT_TRUE(key.verifying_key().Verify(message, signature).has_value());
  EXPECT_FALSE(key.verifying_key().Verify(Bytes{1, 2, 4}, signature).has_value());
  EXPECT_EQ(other.verifying_key().Verify(message, signature).error().code,
            ErrorCode::kPermissionDenied);
  signature[10] ^= 1;
  EXPECT_FALSE(key.verifying_key().Verify(message, signature).has_value());
  EXPECT_FALSE(VerifyingKey().Verify(message, signature).has_value());
}

// The neutral point as key and commitment, zero as response: by the equation alone it holds for
// every message.
TEST(SigningKey, ASignatureThatHoldsForEverythingHoldsForNothing) {
  const VerifyingKey neutral({1});
  EXPECT_FALSE(neutral.Verify(Bytes{1, 2, 3}, Signature{1}).has_value());
}

TEST(SigningKey, ComesBackFromItsSeed) {
  const auto key = SigningKey::Generate();
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(SigningKey::FromSeed(key->Seed()).verifying_key(), key->verifying_key());
  EXPECT_NE(SigningKey::Generate()->verifying_key(), key->verifying_key());
  EXPECT_NE(SigningKey::Generate()->verifying_key().fingerprint(),
            key->verifying_key().fingerprint());
}

// RFC 7748, section 6.1.
TEST(AgreementKey, GivesTheSecretOfRfc7748) {
  const AgreementKey alice = AgreementKey::FromSecret(
      Key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
  const AgreementKey bob = AgreementKey::FromSecret(
      Key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
  EXPECT_EQ(Hex(alice.public_key()),
            "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
  EXPECT_EQ(Hex(bob.public_key()),
            "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
  const std::string shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742";
  EXPECT_EQ(Hex(*alice.Agree(bob.public_key())), shared);
  EXPECT_EQ(Hex(*bob.Agree(alice.public_key())), shared);
}

TEST(AgreementKey, RefusesPointsThatGiveEverybodyTheSameSecret) {
  const auto key = AgreementKey::Generate();
  ASSERT_TRUE(key.has_value());
  KeyBytes one{};
  one[0] = 1;
  for (const KeyBytes& point : {KeyBytes{}, one}) {
    EXPECT_EQ(key->Agree(point).error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(AgreementKey, ComesBackFromItsSecret) {
  const auto key = AgreementKey::Generate();
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(AgreementKey::FromSecret(key->Secret()).public_key(), key->public_key());
  EXPECT_NE(AgreementKey::Generate()->public_key(), key->public_key());
}

}  // namespace
}  // namespace consilium::federation
