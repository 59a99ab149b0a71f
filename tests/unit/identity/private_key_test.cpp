#include "identity/private_key.h"

#include <gtest/gtest.h>

#include "tests/unit/identity/identity_fixture.h"

namespace consilium::identity {
namespace {

constexpr std::string_view kPassphrase = "correct horse battery staple";

TEST(PrivateKey, IsMadeAnewEachTimeAndIsPkcs8) {
  const std::string first = NewKey();
  EXPECT_TRUE(first.starts_with("-----BEGIN PRIVATE KEY-----\n"));
  EXPECT_NE(first, NewKey());
  EXPECT_FALSE(IsEncryptedKey(first));
}

TEST(PrivateKey, ComesBackFromItsLockWithItsPassphraseOnly) {
  const std::string key = NewKey();
  const std::string locked = Must(EncryptKey(key, kPassphrase));
  EXPECT_TRUE(IsEncryptedKey(locked));
  EXPECT_EQ(Must(DecryptKey(locked, kPassphrase)), key);
  for (const char* wrong : {"x", "correct horse battery stapl", "Correct horse battery staple"}) {
    ExpectError(DecryptKey(locked, wrong), ErrorCode::kPermissionDenied, {"does not open"});
  }
  EXPECT_NE(Must(EncryptKey(key, kPassphrase)), locked);  // another salt
}

TEST(PrivateKey, ALockIsNeitherPutOnNorTakenOffTwice) {
  const std::string key = NewKey();
  const std::string locked = Must(EncryptKey(key, kPassphrase));
  ExpectError(EncryptKey(locked, kPassphrase), ErrorCode::kFailedPrecondition, {"locked"});
  ExpectError(DecryptKey(key, kPassphrase), ErrorCode::kFailedPrecondition, {"not locked"});
  ExpectError(MakeRequest(locked, "MUMC", Role::kSite), ErrorCode::kFailedPrecondition, {"unlock"});
}

TEST(PrivateKey, PassphrasesThatNobodyCanTypeAreRefused) {
  const std::string key = NewKey();
  for (const std::string& passphrase :
       {std::string(), std::string(kPassphraseBytesMax + 1, 'x'), std::string("a\0b", 3)}) {
    ExpectError(EncryptKey(key, passphrase), ErrorCode::kInvalidArgument, {"passphrase"});
    ExpectError(DecryptKey(key, passphrase), ErrorCode::kInvalidArgument, {"passphrase"});
  }
}

TEST(PrivateKey, DamagedAndForeignTextsAreRefusedWithoutRepeatingThem) {
  const std::string key = NewKey();
  for (std::size_t length = 0; length + 2 < key.size(); length += 7) {
    const auto made = MakeRequest(key.substr(0, length), "MUMC", Role::kSite);
    ExpectError(made, ErrorCode::kInvalidArgument, {"private key"});
    EXPECT_EQ(made.error().message.find(key.substr(40, 20)), std::string::npos);
  }
  ExpectError(EncryptKey(key + std::string(kKeyPemBytesMax, '\n'), kPassphrase),
              ErrorCode::kInvalidArgument, {"at most 16384"});
  const Authority authority = NewAuthority();
  ExpectError(EncryptKey(authority.certificate_pem(), kPassphrase), ErrorCode::kInvalidArgument,
              {"no private key"});
}

// OpenSSL would ask the terminal for the passphrase of such a file.
TEST(PrivateKey, AnOldLockIsNamedAndNobodyIsAsked) {
  const std::string old =
      "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
      "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAAAAAAAAAAAAAAAAAAAA==\n"
      "-----END EC PRIVATE KEY-----\n";
  EXPECT_TRUE(IsEncryptedKey(old));
  ExpectError(MakeRequest(old, "MUMC", Role::kSite), ErrorCode::kFailedPrecondition, {"locked"});
  ExpectError(DecryptKey(old, kPassphrase), ErrorCode::kInvalidArgument, {"old format"});
}

TEST(PrivateKey, MatchesItsOwnCertificateOnly) {
  const Authority authority = NewAuthority();
  const Member one = Enrol(authority, For("MUMC"));
  const Member two = Enrol(authority, For("UMCG"));
  EXPECT_TRUE(KeyMatches(one.key_pem, one.certificate_pem).has_value());
  EXPECT_TRUE(KeyMatches(authority.key_pem(), authority.certificate_pem()).has_value());
  ExpectError(KeyMatches(one.key_pem, two.certificate_pem), ErrorCode::kFailedPrecondition,
              {"another certificate"});
}

}  // namespace
}  // namespace consilium::identity
