#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <functional>
#include <memory>

#include "identity/certificate.h"
#include "tests/unit/identity/identity_fixture.h"

namespace consilium::identity {
namespace {

using KeyOwner = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
KeyOwner Own(EVP_PKEY* key) { return {key, EVP_PKEY_free}; }
KeyOwner Curve(const char* name) { return Own(EVP_EC_gen(name)); }

std::string Pem(const std::function<int(BIO*)>& write) {
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new(BIO_s_mem()), BIO_free_all);
  EXPECT_EQ(write(bio.get()), 1);
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(length)};
}
std::string KeyPem(EVP_PKEY* key) {
  return Pem([&](BIO* bio) {
    return PEM_write_bio_PKCS8PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}

// A request as a stranger would make it: any subject, any digest, signed by any key.
struct Entry {
  const char* field;
  std::string text;
};
std::string Foreign(EVP_PKEY* key, const std::vector<Entry>& subject,
                    const EVP_MD* digest = EVP_sha256(), EVP_PKEY* signer = nullptr) {
  const std::unique_ptr<X509_REQ, decltype(&X509_REQ_free)> request(X509_REQ_new(), X509_REQ_free);
  X509_REQ_set_version(request.get(), 0);
  for (const auto& [field, text] : subject) {
    EXPECT_EQ(
        X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request.get()), field, MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()), -1, 0),
        1);
  }
  X509_REQ_set_pubkey(request.get(), key);
  EXPECT_GT(X509_REQ_sign(request.get(), signer == nullptr ? key : signer, digest), 0);
  return Pem([&](BIO* bio) { return PEM_write_bio_X509_REQ(bio, request.get()); });
}

TEST(Request, SaysWhoAsksForWhat) {
  for (const Role role : {Role::kSite, Role::kLead, Role::kAuditor, Role::kCoordinator}) {
    const std::string key = NewKey();
    const auto facts = ReadRequest(Must(MakeRequest(key, "j.doe-2", role)));
    ASSERT_TRUE(facts.has_value()) << facts.error().message;
    EXPECT_EQ(facts->name, "j.doe-2");
    EXPECT_EQ(facts->role, role);
    EXPECT_EQ(facts->key_type, "P-256");
    EXPECT_EQ(facts->public_key, ReadRequest(Must(MakeRequest(key, "x", role)))->public_key);
    EXPECT_NE(facts->public_key, ReadRequest(Must(MakeRequest(NewKey(), "x", role)))->public_key);
  }
  ExpectError(MakeRequest(NewKey(), "../MUMC", Role::kSite), ErrorCode::kInvalidArgument, {"name"});
}

TEST(Request, OfEveryAcceptedKindOfKeyIsMadeReadAndIssued) {
  const Authority authority = NewAuthority();
  const std::vector<std::pair<KeyOwner, std::string>> keys = [] {
    std::vector<std::pair<KeyOwner, std::string>> made;
    made.emplace_back(Curve("P-256"), "P-256");
    made.emplace_back(Curve("P-384"), "P-384");
    made.emplace_back(Own(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")), "Ed25519");
    made.emplace_back(Own(EVP_RSA_gen(2048)), "RSA 2048");
    return made;
  }();
  for (const auto& [key, type] : keys) {
    const std::string key_pem = KeyPem(key.get());
    const std::string request = Must(MakeRequest(key_pem, "MUMC", Role::kSite));
    EXPECT_EQ(Must(ReadRequest(request)).key_type, type);
    const std::string certificate = Must(authority.Issue(request, For("MUMC")));
    EXPECT_TRUE(CheckIssued(certificate, authority.certificate_pem(), kNowS).has_value());
    EXPECT_TRUE(KeyMatches(key_pem, certificate).has_value());
    EXPECT_EQ(Must(ReadCertificate(certificate)).public_key, Must(ReadRequest(request)).public_key);
  }
}

TEST(Request, OfAWeakOrUnknownKeyIsRefused) {
  const std::vector<Entry> subject = {{"OU", "site"}, {"CN", "MUMC"}};
  const KeyOwner small = Own(EVP_RSA_gen(1024));
  ExpectError(ReadRequest(Foreign(small.get(), subject)), ErrorCode::kInvalidArgument,
              {"MUMC", "RSA of 1024", "expected P-256"});
  ExpectError(MakeRequest(KeyPem(small.get()), "MUMC", Role::kSite), ErrorCode::kInvalidArgument,
              {"RSA of 1024"});
  const KeyOwner bitcoin = Curve("secp256k1");
  ExpectError(ReadRequest(Foreign(bitcoin.get(), subject)), ErrorCode::kInvalidArgument,
              {"secp256k1"});
  const KeyOwner edwards = Own(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED448"));
  ExpectError(ReadRequest(Foreign(edwards.get(), subject, nullptr)), ErrorCode::kInvalidArgument,
              {"ED448"});
  // P-256 with its parameters spelled out instead of named.
  const KeyOwner spelled = Curve("P-256");
  ASSERT_EQ(EVP_PKEY_set_utf8_string_param(spelled.get(), "encoding", "explicit"), 1);
  ExpectError(ReadRequest(Foreign(spelled.get(), subject)), ErrorCode::kInvalidArgument,
              {"without a name"});
}

TEST(Request, SignedByAnotherKeyOrWithSha1IsRefused) {
  const std::vector<Entry> subject = {{"OU", "site"}, {"CN", "MUMC"}};
  const KeyOwner key = Curve("P-256");
  const KeyOwner other = Curve("P-256");
  EXPECT_TRUE(ReadRequest(Foreign(key.get(), subject, EVP_sha512())).has_value());
  ExpectError(ReadRequest(Foreign(key.get(), subject, EVP_sha256(), other.get())),
              ErrorCode::kPermissionDenied, {"MUMC", "not made by the key"});
  ExpectError(ReadRequest(Foreign(key.get(), subject, EVP_sha1())), ErrorCode::kPermissionDenied,
              {"SHA-256"});
}

TEST(Request, HasOneNameAndOneRoleThatNoReaderCanMistake) {
  const KeyOwner key = Curve("P-256");
  const auto read = [&](const std::vector<Entry>& subject) {
    return ReadRequest(Foreign(key.get(), subject));
  };
  EXPECT_TRUE(read({{"C", "NL"}, {"O", "A hospital"}, {"OU", "lead"}, {"CN", "jd"}}).has_value());
  ExpectError(read({{"OU", "site"}}), ErrorCode::kInvalidArgument, {"no CN"});
  ExpectError(read({{"CN", "a"}}), ErrorCode::kInvalidArgument, {"no OU"});
  ExpectError(read({{"OU", "site"}, {"CN", "a"}, {"CN", "b"}}), ErrorCode::kInvalidArgument,
              {"several CN"});
  ExpectError(read({{"OU", "site"}, {"OU", "lead"}, {"CN", "a"}}), ErrorCode::kInvalidArgument,
              {"several OU"});
  ExpectError(read({{"OU", "root"}, {"CN", "a"}}), ErrorCode::kInvalidArgument, {"\"root\""});
  for (const std::string name : {"../a", "a/b", "a b", ".a", "a\nb"}) {
    ExpectError(read({{"OU", "site"}, {"CN", name}}), ErrorCode::kInvalidArgument, {"CN"});
  }
  ExpectError(read({{"OU", "site"}, {"CN", std::string("a\0b", 3)}}), ErrorCode::kInvalidArgument,
              {"\\x00"});
}

TEST(Request, IsOneBlockOfLimitedSizeAndOfItsOwnKind) {
  const std::string key = NewKey();
  const std::string request = Must(MakeRequest(key, "MUMC", Role::kSite));
  const std::string padded = request + std::string(kRequestPemBytesMax - request.size(), '\n');
  EXPECT_TRUE(ReadRequest(padded).has_value());
  ExpectError(ReadRequest(padded + "\n"), ErrorCode::kInvalidArgument, {"at most 16384"});
  ExpectError(ReadRequest(request + request), ErrorCode::kInvalidArgument, {"more than 1"});
  ExpectError(ReadRequest(key), ErrorCode::kInvalidArgument,
              {"CERTIFICATE REQUEST", "\"PRIVATE KEY\""});
  ExpectError(ReadRequest(""), ErrorCode::kInvalidArgument, {"not PEM"});
  for (std::size_t length = 1; length + 2 < request.size(); length += 11) {
    EXPECT_FALSE(ReadRequest(request.substr(0, length)).has_value()) << length;
  }
}

}  // namespace
}  // namespace consilium::identity
