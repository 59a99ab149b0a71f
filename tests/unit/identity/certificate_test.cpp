#include "identity/certificate.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>
#include <set>

#include "identity/authority.h"
#include "tests/unit/identity/identity_fixture.h"

namespace consilium::identity {
namespace {

using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

Bio Reader(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free_all};
}
Certificate Read(const std::string& pem) {
  return {PEM_read_bio_X509(Reader(pem).get(), nullptr, nullptr, nullptr), X509_free};
}
Key ReadKey(const std::string& pem) {
  return {PEM_read_bio_PrivateKey(Reader(pem).get(), nullptr, nullptr, nullptr), EVP_PKEY_free};
}
std::string Content(const Bio& bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(length)};
}
Bytes Der(const std::string& pem) {
  unsigned char* data = nullptr;
  const int length = i2d_X509(Read(pem).get(), &data);
  Bytes der(data, data + length);
  OPENSSL_free(data);
  return der;
}
std::string PemOf(const Bytes& der) {
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free_all);
  PEM_write_bio(bio.get(), "CERTIFICATE", "", der.data(), static_cast<long>(der.size()));
  return Content(bio);
}

// OpenSSL's own verdict, by a road that shares nothing with CheckIssued.
int OpenSslVerdict(const std::string& leaf_pem, const std::string& authority_pem, int purpose,
                   std::int64_t now_s) {
  const Certificate leaf = Read(leaf_pem);
  const Certificate authority = Read(authority_pem);
  const std::unique_ptr<X509_STORE, decltype(&X509_STORE_free)> store(X509_STORE_new(),
                                                                      X509_STORE_free);
  X509_STORE_add_cert(store.get(), authority.get());
  const std::unique_ptr<X509_STORE_CTX, decltype(&X509_STORE_CTX_free)> context(
      X509_STORE_CTX_new(), X509_STORE_CTX_free);
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr);
  X509_STORE_CTX_set_purpose(context.get(), purpose);
  X509_STORE_CTX_set_time(context.get(), 0, static_cast<time_t>(now_s));
  X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context.get()),
                              X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
  X509_verify_cert(context.get());
  return X509_STORE_CTX_get_error(context.get());
}

// A certificate as a stranger or another PKI would make it.
struct Made {
  std::string issuer_pem;  // empty: signs itself
  std::string issuer_key_pem;
  std::vector<std::pair<const char*, const char*>> subject = {{"OU", "site"}, {"CN", "MUMC"}};
  std::vector<std::pair<int, const char*>> extensions = {
      {NID_basic_constraints, "critical,CA:FALSE"}, {NID_ext_key_usage, "clientAuth"}};
  const EVP_MD* digest = EVP_sha256();
  long version = 2;
  std::int64_t not_before_s = kNowS - kDayS;
  std::int64_t not_after_s = kNowS + kDayS;
};
Member Make(const Made& made) {
  const std::string key_pem = NewKey();
  const Key key = ReadKey(key_pem);
  const Certificate c(X509_new(), X509_free);
  X509_set_version(c.get(), made.version);
  ASN1_INTEGER_set(X509_get_serialNumber(c.get()), 77);
  ASN1_TIME_set(X509_getm_notBefore(c.get()), static_cast<time_t>(made.not_before_s));
  ASN1_TIME_set(X509_getm_notAfter(c.get()), static_cast<time_t>(made.not_after_s));
  for (const auto& [field, text] : made.subject) {
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c.get()), field, MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(text), -1, -1, 0);
  }
  X509_set_pubkey(c.get(), key.get());
  const bool self = made.issuer_pem.empty();
  const Certificate issuer = Read(self ? NewAuthority().certificate_pem() : made.issuer_pem);
  X509_set_issuer_name(c.get(), X509_get_subject_name(self ? c.get() : issuer.get()));
  X509V3_CTX context;
  X509V3_set_ctx(&context, self ? c.get() : issuer.get(), c.get(), nullptr, nullptr, 0);
  for (const auto& [nid, value] : made.extensions) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    EXPECT_NE(extension, nullptr) << value;
    X509_add_ext(c.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  const Key issuer_key = ReadKey(self ? key_pem : made.issuer_key_pem);
  EXPECT_GT(X509_sign(c.get(), issuer_key.get(), made.digest), 0);
  const Bio bio(BIO_new(BIO_s_mem()), BIO_free_all);
  PEM_write_bio_X509(bio.get(), c.get());
  return {key_pem, Content(bio)};
}
Made By(const Authority& authority) {
  Made made;
  made.issuer_pem = authority.certificate_pem();
  made.issuer_key_pem = authority.key_pem();
  return made;
}

TEST(Authority, SaysWhoItIsAndHowLong) {
  const Authority authority = NewAuthority("Zo\xc3\xab's hospital", kNowS, 3);
  const CertificateFacts& facts = authority.facts();
  EXPECT_TRUE(facts.is_authority);
  EXPECT_FALSE(facts.role.has_value());
  EXPECT_EQ(facts.name, "Consilium authority");
  EXPECT_EQ(facts.not_before_s, kNowS - kClockSkewS);
  EXPECT_EQ(facts.not_after_s, kNowS + 3 * 365 * kDayS);
  EXPECT_EQ(facts.fingerprint, Sha256(Der(authority.certificate_pem())));
  EXPECT_NE(authority.fingerprint(), NewAuthority().fingerprint());
}

TEST(Authority, RefusesWhatNoCertificateCanSay) {
  for (const std::string& name : {std::string(), std::string(65, 'x'), std::string("a\nb"),
                                  std::string("\xff\xfe"), std::string(257, 'x')}) {
    ExpectError(Authority::Create(name, kNowS, 1), ErrorCode::kInvalidArgument, {"organisation"});
  }
  EXPECT_TRUE(Authority::Create(std::string(64, 'x'), kNowS, 1).has_value());
  for (const int years : {-1, 0, kAuthorityYearsMax + 1}) {
    ExpectError(Authority::Create("x", kNowS, years), ErrorCode::kInvalidArgument, {"years"});
  }
  for (const std::int64_t now_s : {std::int64_t{-1}, std::int64_t{0}, INT64_MIN, INT64_MAX}) {
    ExpectError(Authority::Create("x", now_s, 1), ErrorCode::kInvalidArgument, {"time"});
  }
}

TEST(Authority, IsTheSameAfterItWasKept) {
  const Authority authority = NewAuthority();
  const auto again = Authority::Load(authority.certificate_pem(), authority.key_pem());
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(again->fingerprint(), authority.fingerprint());
  const Member member = Enrol(*again, For("MUMC"));
  EXPECT_TRUE(CheckIssued(member.certificate_pem, authority.certificate_pem(), kNowS).has_value());
  ExpectError(Authority::Load(authority.certificate_pem(), NewAuthority().key_pem()),
              ErrorCode::kFailedPrecondition, {"another certificate"});
  ExpectError(Authority::Load(member.certificate_pem, member.key_pem), ErrorCode::kInvalidArgument,
              {"may not sign"});
  ExpectError(
      Authority::Load(authority.certificate_pem(), Must(EncryptKey(authority.key_pem(), "x"))),
      ErrorCode::kFailedPrecondition, {"locked"});
}

Authority Loaded(const std::string& chain_pem, const std::string& key_pem) {
  auto authority = Authority::Load(chain_pem, key_pem);
  CONSILIUM_CHECK(authority.has_value(), authority.error().message);
  return std::move(*authority);
}
// A corporate root, and an issuing authority below it that a coordinator is given.
struct Institution {
  Made root_made, issuing_made;
  Member root, issuing;

  Institution() {
    root_made.subject = {{"CN", "Hospital root"}};
    root_made.extensions = {{NID_basic_constraints, "critical,CA:TRUE,pathlen:1"},
                            {NID_key_usage, "critical,keyCertSign,cRLSign"}};
    issuing_made = root_made;
    issuing_made.subject = {{"CN", "Hospital issuing"}};
    issuing_made.extensions[0].second = "critical,CA:TRUE,pathlen:0";
    Remake();
  }
  // After a change of what is made.
  void Remake() {
    root = Make(root_made);
    issuing_made.issuer_pem = root.certificate_pem;
    issuing_made.issuer_key_pem = root.key_pem;
    issuing = Make(issuing_made);
  }
  [[nodiscard]] Authority Load() const {
    return Loaded(issuing.certificate_pem + root.certificate_pem, issuing.key_pem);
  }
};
const std::vector<std::string> kHosts = {"coordinator.example.org", "192.0.2.7"};

TEST(CheckChain, TakesAnInstitutionsIssuingAuthorityWithOrWithoutItsRoot) {
  const Institution institution;
  const Authority authority = institution.Load();
  EXPECT_TRUE(authority.CheckChain(kHosts, kNowS).has_value());
  EXPECT_EQ(authority.facts().name, "Hospital issuing");
  EXPECT_EQ(authority.certificate_pem(), institution.issuing.certificate_pem);
  EXPECT_EQ(authority.chain_pem(),
            institution.issuing.certificate_pem + institution.root.certificate_pem);
  const Authority alone = Loaded(institution.issuing.certificate_pem, institution.issuing.key_pem);
  EXPECT_TRUE(alone.CheckChain(kHosts, kNowS).has_value());
  EXPECT_TRUE(NewAuthority().CheckChain(kHosts, kNowS).has_value());
}

TEST(CheckChain, WhatItIssuesIsGoodForWhoTrustsTheRootOrTheIssuing) {
  const Institution institution;
  const Authority authority = institution.Load();
  const Member site = Enrol(authority, For("MUMC", Role::kSite, 1));
  EXPECT_TRUE(CheckIssued(site.certificate_pem, authority.certificate_pem(), kNowS).has_value());
  const std::string shown = site.certificate_pem + authority.certificate_pem();
  EXPECT_TRUE(CheckIssued(shown, institution.root.certificate_pem, kNowS).has_value());
  EXPECT_EQ(OpenSslVerdict(site.certificate_pem, institution.root.certificate_pem,
                           X509_PURPOSE_SSL_CLIENT, kNowS),
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
}

TEST(CheckChain, RefusesAnotherOrderAndAStrangersRoot) {
  const Institution institution, other;
  ExpectError(
      Authority::Load(institution.root.certificate_pem + institution.issuing.certificate_pem,
                      institution.issuing.key_pem),
      ErrorCode::kFailedPrecondition, {"another certificate"});
  const Authority stranger =
      Loaded(institution.issuing.certificate_pem + other.root.certificate_pem,
             institution.issuing.key_pem);
  ExpectError(stranger.CheckChain(kHosts, kNowS), ErrorCode::kInvalidArgument,
              {"certificate 2", "Hospital root", "did not sign"});
}

TEST(CheckChain, HoldsThePathLength) {
  Institution institution;
  institution.root_made.extensions[0].second = "critical,CA:TRUE,pathlen:0";
  institution.Remake();
  ExpectError(institution.Load().CheckChain(kHosts, kNowS), ErrorCode::kInvalidArgument,
              {"certificate 2", "Hospital root", "allows 0 authorities", "has 1"});
}

TEST(CheckChain, RefusesARootThatMayNotSignCertificates) {
  for (const char* basic : {"critical,CA:FALSE", "critical,CA:TRUE"}) {
    Institution institution;
    institution.root_made.extensions = {{NID_basic_constraints, basic},
                                        {NID_key_usage, "critical,cRLSign"}};
    institution.Remake();
    ExpectError(institution.Load().CheckChain(kHosts, kNowS), ErrorCode::kInvalidArgument,
                {"certificate 2", "may not sign certificates"});
  }
}

TEST(CheckChain, EveryCertificateMustBeValidNow) {
  Institution institution;
  const Authority authority = institution.Load();
  const std::int64_t first = kNowS - kDayS, last = kNowS + kDayS;
  EXPECT_TRUE(authority.CheckChain(kHosts, first).has_value());
  ExpectError(authority.CheckChain(kHosts, first - 1), ErrorCode::kFailedPrecondition,
              {"certificate 1", "Hospital issuing", "valid from"});
  ExpectError(authority.CheckChain(kHosts, last + 1), ErrorCode::kFailedPrecondition,
              {"certificate 1", "ask for a new one"});
  institution.root_made.not_after_s = kNowS - 1;
  institution.Remake();
  ExpectError(institution.Load().CheckChain(kHosts, kNowS), ErrorCode::kFailedPrecondition,
              {"certificate 2", "Hospital root"});
}

TEST(CheckChain, FindsConstraintsThatWouldMakeWhatItIssuesUseless) {
  Institution names;
  names.issuing_made.extensions.emplace_back(NID_name_constraints,
                                             "critical,permitted;DNS:hospital.example");
  names.Remake();
  ExpectError(names.Load().CheckChain(kHosts, kNowS), ErrorCode::kPermissionDenied,
              {"of no use", "permitted subtree"});
  EXPECT_TRUE(names.Load().CheckChain({"consilium.hospital.example"}, kNowS).has_value());

  Institution servers_only;
  servers_only.issuing_made.extensions.emplace_back(NID_ext_key_usage, "serverAuth");
  servers_only.Remake();
  ExpectError(servers_only.Load().CheckChain(kHosts, kNowS), ErrorCode::kPermissionDenied,
              {"of no use", "TLS client"});

  Institution sha1;
  sha1.issuing_made.digest = EVP_sha1();
  sha1.Remake();
  EXPECT_FALSE(sha1.Load().CheckChain(kHosts, kNowS).has_value());
}

TEST(Issue, SaysExactlyWhatWasGranted) {
  const Authority authority = NewAuthority();
  for (const Role role : {Role::kSite, Role::kLead, Role::kAuditor, Role::kCoordinator}) {
    const Member member = Enrol(authority, For("m.1", role, 90));
    const auto facts = ReadCertificate(member.certificate_pem);
    ASSERT_TRUE(facts.has_value()) << facts.error().message;
    EXPECT_EQ(facts->name, "m.1");
    EXPECT_EQ(facts->role, role);
    EXPECT_FALSE(facts->is_authority);
    EXPECT_EQ(facts->serial.size(), 32U);
    EXPECT_EQ(facts->not_before_s, kNowS - kClockSkewS);
    EXPECT_EQ(facts->not_after_s, kNowS + 90 * kDayS);
    EXPECT_EQ(facts->fingerprint, Sha256(Der(member.certificate_pem)));
    const bool server = role == Role::kCoordinator;
    EXPECT_EQ(facts->dns_names, server ? std::vector<std::string>{"coordinator.example.org"}
                                       : std::vector<std::string>{});
    EXPECT_EQ(facts->ip_addresses,
              server ? std::vector<std::string>{"192.0.2.7"} : std::vector<std::string>{});
    EXPECT_TRUE(CheckRole(*facts, role).has_value());
  }
}

TEST(Issue, OpenSslAcceptsItForItsPurposeAndForNoOther) {
  const Authority authority = NewAuthority();
  const std::string& root = authority.certificate_pem();
  for (const Role role : {Role::kSite, Role::kLead, Role::kAuditor, Role::kCoordinator}) {
    const Member member = Enrol(authority, For("m", role));
    const bool server = role == Role::kCoordinator;
    const auto verdict = [&](int purpose) {
      return OpenSslVerdict(member.certificate_pem, root, purpose, kNowS);
    };
    EXPECT_EQ(verdict(X509_PURPOSE_SSL_CLIENT), X509_V_OK);
    EXPECT_EQ(verdict(X509_PURPOSE_SSL_SERVER), server ? X509_V_OK : X509_V_ERR_INVALID_PURPOSE);
    EXPECT_NE(verdict(X509_PURPOSE_SMIME_SIGN), X509_V_OK);
    EXPECT_EQ(OpenSslVerdict(member.certificate_pem, NewAuthority("other").certificate_pem(),
                             X509_PURPOSE_SSL_CLIENT, kNowS),
              X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
  }
}

TEST(Issue, HostsAreFoundByOpenSsl) {
  const Authority authority = NewAuthority();
  Grant grant = For("coordinator", Role::kCoordinator);
  grant.hosts = {"coordinator.example.org", "localhost", "127.0.0.1", "2001:db8::7"};
  const Member member = Enrol(authority, grant);
  const Certificate c = Read(member.certificate_pem);
  EXPECT_EQ(X509_check_host(c.get(), "COORDINATOR.example.org", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(c.get(), "localhost", 0, 0, nullptr), 1);
  EXPECT_EQ(X509_check_host(c.get(), "coordinator", 0, 0, nullptr), 0);  // its CN is no host
  EXPECT_EQ(X509_check_ip_asc(c.get(), "127.0.0.1", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(c.get(), "2001:db8:0::7", 0), 1);
  EXPECT_EQ(X509_check_ip_asc(c.get(), "127.0.0.2", 0), 0);
  EXPECT_EQ(Must(ReadCertificate(member.certificate_pem)).ip_addresses[1], "2001:db8:0:0:0:0:0:7");
}

TEST(Issue, RefusesARequestForAnotherNameOrRoleAndNamesBoth) {
  const Authority authority = NewAuthority();
  const std::string request = Must(MakeRequest(NewKey(), "UMCG", Role::kLead));
  ExpectError(authority.Issue(request, For("MUMC", Role::kLead)), ErrorCode::kPermissionDenied,
              {"UMCG (lead)", "MUMC (lead)"});
  ExpectError(authority.Issue(request, For("UMCG", Role::kSite)), ErrorCode::kPermissionDenied,
              {"UMCG (lead)", "UMCG (site)"});
  ExpectError(authority.Issue(request, For("umcg", Role::kLead)), ErrorCode::kPermissionDenied,
              {"umcg"});
  EXPECT_TRUE(authority.Issue(request, For("UMCG", Role::kLead)).has_value());
  ExpectError(
      authority.Issue(Must(MakeRequest(authority.key_pem(), "MUMC", Role::kSite)), For("MUMC")),
      ErrorCode::kPermissionDenied, {"authority's own key"});
}

TEST(Issue, RefusesAGrantThatMakesNoSense) {
  const Authority authority = NewAuthority();
  const auto issue = [&](auto change, Role role = Role::kSite) {
    Grant grant = For("MUMC", role);
    change(grant);
    return authority.Issue(Must(MakeRequest(NewKey(), "MUMC", role)), grant);
  };
  const auto invalid = ErrorCode::kInvalidArgument;
  ExpectError(issue([](Grant& g) { g.days = 0; }), invalid, {"days = 0"});
  ExpectError(issue([](Grant& g) { g.days = kCertificateDaysMax + 1; }), invalid, {"days"});
  ExpectError(issue([](Grant& g) { g.name = "a/b"; }), invalid, {"name"});
  ExpectError(issue([](Grant& g) { g.hosts = {"a.org"}; }), invalid, {"hosts", "none"});
  ExpectError(issue([](Grant& g) { g.hosts = {}; }, Role::kCoordinator), invalid, {"0 hosts"});
  ExpectError(issue([](Grant& g) { g.hosts = {"*.org"}; }, Role::kCoordinator), invalid, {"host"});
  ExpectError(issue([](Grant& g) { g.hosts.assign(kHostsMax + 1, "a.org"); }, Role::kCoordinator),
              invalid, {"33 hosts"});
  ExpectError(issue([](Grant& g) { g.now_s = INT64_MAX; }), invalid, {"time"});
}

TEST(Issue, StaysWithinTheAuthoritysOwnLife) {
  const Authority authority = NewAuthority("x", kNowS, 1);
  const Member member = Enrol(authority, For("MUMC", Role::kSite, 3000));
  EXPECT_EQ(Must(ReadCertificate(member.certificate_pem)).not_after_s,
            authority.facts().not_after_s);
  Grant late = For("MUMC");
  late.now_s = authority.facts().not_after_s;
  const std::string request = Must(MakeRequest(NewKey(), "MUMC", Role::kSite));
  ExpectError(authority.Issue(request, late), ErrorCode::kFailedPrecondition, {"authority"});
  late.now_s = authority.facts().not_before_s - 1;
  ExpectError(authority.Issue(request, late), ErrorCode::kFailedPrecondition, {"authority"});
}

TEST(Issue, GivesEverySerialOnce) {
  const Authority authority = NewAuthority();
  const std::string request = Must(MakeRequest(NewKey(), "MUMC", Role::kSite));
  std::set<std::string> serials;
  for (int i = 0; i < 200; ++i) {
    serials.insert(Must(ReadCertificate(Must(authority.Issue(request, For("MUMC"))))).serial);
  }
  EXPECT_EQ(serials.size(), 200U);
}

TEST(CheckIssued, HoldsFromTheFirstToTheLastSecondOfValidity) {
  const Authority authority = NewAuthority("x", kNowS - 10 * kDayS);
  const Member member = Enrol(authority, For("MUMC", Role::kSite, 30));
  const auto facts = Must(ReadCertificate(member.certificate_pem));
  const auto check = [&](std::int64_t now_s) {
    return CheckIssued(member.certificate_pem, authority.certificate_pem(), now_s);
  };
  EXPECT_TRUE(check(facts.not_before_s).has_value());
  EXPECT_TRUE(check(kNowS).has_value());
  EXPECT_TRUE(check(facts.not_after_s - 1).has_value());
  ExpectError(check(facts.not_before_s - 3600), ErrorCode::kFailedPrecondition,
              {"MUMC (site)", "not valid yet", "60 minutes", UtcText(facts.not_before_s), "clock"});
  ExpectError(check(facts.not_after_s + 40 * kDayS), ErrorCode::kFailedPrecondition,
              {"MUMC (site)", "expired", "40 days ago", UtcText(facts.not_after_s), "enrol"});
}

TEST(CheckIssued, AnExpiredAuthorityIsNamedAsSuch) {
  const Authority authority = NewAuthority("x", kNowS, 1);
  const Member member = Enrol(authority, For("MUMC", Role::kSite, 3000));
  Made outlives = By(authority);
  outlives.not_after_s = kNowS + 3000 * kDayS;
  ExpectError(
      CheckIssued(Make(outlives).certificate_pem, authority.certificate_pem(), kNowS + 500 * kDayS),
      ErrorCode::kFailedPrecondition,
      {"an authority above it", UtcText(authority.facts().not_after_s)});
}

TEST(CheckIssued, RefusesAnotherAuthorityEvenOfTheSameName) {
  const Authority authority = NewAuthority("one");
  const Authority twin = NewAuthority("one");
  const Authority stranger = NewAuthority("two");
  const Member member = Enrol(authority, For("MUMC"));
  for (const Authority& other : {twin, stranger}) {
    ExpectError(CheckIssued(member.certificate_pem, other.certificate_pem(), kNowS),
                ErrorCode::kPermissionDenied, {"MUMC"});
  }
  const std::string bundle = stranger.certificate_pem() + authority.certificate_pem();
  EXPECT_TRUE(CheckIssued(member.certificate_pem, bundle, kNowS).has_value());
}

TEST(CheckIssued, RefusesAnAuthorityAsLeafAndALeafAsAuthority) {
  const Authority authority = NewAuthority();
  ExpectError(CheckIssued(authority.certificate_pem(), authority.certificate_pem(), kNowS),
              ErrorCode::kPermissionDenied, {"authority's"});
  const Member member = Enrol(authority, For("MUMC"));
  ExpectError(CheckIssued(member.certificate_pem, member.certificate_pem, kNowS),
              ErrorCode::kInvalidArgument, {"authority", "basic constraints"});
  // A site that signs a lead for itself, and sends its own certificate along as intermediate.
  Made forged;
  forged.issuer_pem = member.certificate_pem;
  forged.issuer_key_pem = member.key_pem;
  forged.subject = {{"OU", "lead"}, {"CN", "boss"}};
  const std::string chain = Make(forged).certificate_pem + member.certificate_pem;
  ExpectError(CheckIssued(chain, authority.certificate_pem(), kNowS), ErrorCode::kPermissionDenied,
              {"boss"});
}

TEST(CheckIssued, TheAuthoritysPathLengthForbidsIntermediates) {
  const Authority authority = NewAuthority();
  Made between = By(authority);
  between.subject = {{"CN", "between"}};
  between.extensions = {{NID_basic_constraints, "critical,CA:TRUE"},
                        {NID_key_usage, "critical,keyCertSign"}};
  const Member middle = Make(between);
  Made leaf;
  leaf.issuer_pem = middle.certificate_pem;
  leaf.issuer_key_pem = middle.key_pem;
  const std::string chain = Make(leaf).certificate_pem + middle.certificate_pem;
  ExpectError(CheckIssued(chain, authority.certificate_pem(), kNowS), ErrorCode::kPermissionDenied,
              {"MUMC"});
}

TEST(CheckIssued, TakesAnInstitutionsOwnChainAndItsPinnedIntermediate) {
  Made root;
  root.subject = {{"CN", "Hospital root"}};
  root.extensions = {{NID_basic_constraints, "critical,CA:TRUE"}};
  const Member top = Make(root);
  Made between = root;
  between.subject = {{"O", "Hospital issuing"}};
  between.issuer_pem = top.certificate_pem;
  between.issuer_key_pem = top.key_pem;
  const Member middle = Make(between);
  Made leaf;
  leaf.issuer_pem = middle.certificate_pem;
  leaf.issuer_key_pem = middle.key_pem;
  const std::string alone = Make(leaf).certificate_pem;
  EXPECT_TRUE(CheckIssued(alone + middle.certificate_pem, top.certificate_pem, kNowS).has_value());
  EXPECT_TRUE(CheckIssued(alone, middle.certificate_pem, kNowS).has_value());
  EXPECT_FALSE(CheckIssued(alone, top.certificate_pem, kNowS).has_value());
  EXPECT_EQ(Must(ReadCertificate(middle.certificate_pem)).name, "Hospital issuing");
}

TEST(CheckIssued, RefusesUsesThatWereNotStated) {
  const Authority authority = NewAuthority();
  const auto check = [&](std::vector<std::pair<int, const char*>> extensions,
                         const char* role = "site") {
    Made made = By(authority);
    made.subject[0].second = role;
    made.extensions = std::move(extensions);
    return CheckIssued(Make(made).certificate_pem, authority.certificate_pem(), kNowS);
  };
  const std::pair<int, const char*> leaf = {NID_basic_constraints, "critical,CA:FALSE"};
  EXPECT_TRUE(check({leaf, {NID_ext_key_usage, "clientAuth"}}).has_value());
  EXPECT_TRUE(check({leaf, {NID_ext_key_usage, "serverAuth"}}, "coordinator").has_value());
  ExpectError(check({leaf}), ErrorCode::kPermissionDenied, {"does not state", "client"});
  ExpectError(check({leaf, {NID_ext_key_usage, "serverAuth"}}), ErrorCode::kPermissionDenied,
              {"TLS client"});
  ExpectError(check({leaf, {NID_ext_key_usage, "clientAuth"}}, "coordinator"),
              ErrorCode::kPermissionDenied, {"TLS server"});
  ExpectError(check({leaf, {NID_ext_key_usage, "emailProtection"}}), ErrorCode::kPermissionDenied,
              {"TLS client"});
  ExpectError(check({leaf,
                     {NID_ext_key_usage, "clientAuth"},
                     {NID_netscape_comment, "critical,nobody understands this"}}),
              ErrorCode::kPermissionDenied, {"MUMC"});
}

TEST(CheckIssued, RefusesSha1AnywhereInTheChain) {
  const Authority authority = NewAuthority();
  Made made = By(authority);
  made.digest = EVP_sha1();
  ExpectError(CheckIssued(Make(made).certificate_pem, authority.certificate_pem(), kNowS),
              ErrorCode::kPermissionDenied, {"MUMC", "weak"});
}

TEST(CheckIssued, EveryTamperedByteIsRefused) {
  const Authority authority = NewAuthority();
  const Member member = Enrol(authority, For("coordinator", Role::kCoordinator));
  const Bytes der = Der(member.certificate_pem);
  ASSERT_TRUE(CheckIssued(PemOf(der), authority.certificate_pem(), kNowS).has_value());
  const Digest fingerprint = Must(ReadCertificate(member.certificate_pem)).fingerprint;
  int read_as_different = 0;
  for (std::size_t i = 0; i < der.size(); ++i) {
    for (const int flip : {0x01, 0x02, 0x20, 0x80, 0xff}) {
      Bytes tampered = der;
      tampered[i] = static_cast<std::uint8_t>(tampered[i] ^ flip);
      const std::string pem = PemOf(tampered);
      EXPECT_FALSE(CheckIssued(pem, authority.certificate_pem(), kNowS).has_value())
          << "byte " << i << " flip " << flip;
      if (const auto facts = ReadCertificate(pem)) {
        EXPECT_NE(facts->fingerprint, fingerprint) << "byte " << i;
        ++read_as_different;
      }
    }
  }
  EXPECT_GT(read_as_different, 0);  // not everything is refused for its shape alone
}

TEST(ReadCertificate, ReadsTheFirstOfATextAndNothingButCertificates) {
  const Authority authority = NewAuthority();
  const Member member = Enrol(authority, For("MUMC"));
  const auto facts = ReadCertificate("notes above\n" + member.key_pem + member.certificate_pem +
                                     authority.certificate_pem());
  ASSERT_TRUE(facts.has_value()) << facts.error().message;
  EXPECT_EQ(facts->name, "MUMC");
  ExpectError(ReadCertificate(member.key_pem), ErrorCode::kInvalidArgument, {"no certificate"});
  ExpectError(ReadCertificate("hello"), ErrorCode::kInvalidArgument, {"not PEM"});
  ExpectError(ReadCertificate(""), ErrorCode::kInvalidArgument, {"not PEM"});
  const std::string& pem = member.certificate_pem;
  for (std::size_t length = 1; length + 2 < pem.size(); length += 13) {
    EXPECT_FALSE(ReadCertificate(pem.substr(0, length)).has_value()) << length;
  }
}

TEST(ReadCertificate, OversizedTextsAreRefusedBeforeTheyAreRead) {
  const Authority authority = NewAuthority();
  const std::string& pem = authority.certificate_pem();
  const std::string padded = pem + std::string(kCertificatePemBytesMax - pem.size(), '\n');
  EXPECT_TRUE(ReadCertificate(padded).has_value());
  ExpectError(ReadCertificate(padded + "\n"), ErrorCode::kInvalidArgument, {"at most 262144"});
  std::string many;
  for (std::size_t i = 0; i < kCertificatesMax; ++i) many += pem;
  EXPECT_TRUE(ReadCertificate(many).has_value());
  ExpectError(ReadCertificate(many + pem), ErrorCode::kInvalidArgument, {"more than 64"});
  Bytes der = Der(pem);
  der.resize(kCertificateBytesMax + 1);
  ExpectError(ReadCertificate(PemOf(der)), ErrorCode::kInvalidArgument, {"16385 bytes"});
}

TEST(ReadCertificate, TrailingBytesAreNotACertificate) {
  Bytes der = Der(NewAuthority().certificate_pem());
  der.push_back(0);
  ExpectError(ReadCertificate(PemOf(der)), ErrorCode::kInvalidArgument, {"damaged"});
}

TEST(ReadCertificate, RefusesOwnersThatTwoReadersCouldSeeDifferently) {
  const Authority authority = NewAuthority();
  const auto read = [&](std::vector<std::pair<const char*, const char*>> subject) {
    Made made = By(authority);
    made.subject = std::move(subject);
    return ReadCertificate(Make(made).certificate_pem);
  };
  ExpectError(read({{"CN", "MUMC"}}), ErrorCode::kInvalidArgument, {"MUMC", "no OU"});
  ExpectError(read({{"OU", "site"}}), ErrorCode::kInvalidArgument, {"no CN"});
  ExpectError(read({{"OU", "site"}, {"OU", "lead"}, {"CN", "a"}}), ErrorCode::kInvalidArgument,
              {"several OU"});
  ExpectError(read({{"OU", "site"}, {"CN", "a"}, {"CN", "b"}}), ErrorCode::kInvalidArgument,
              {"several CN"});
  ExpectError(read({{"OU", "boss"}, {"CN", "a"}}), ErrorCode::kInvalidArgument, {"\"boss\""});
  ExpectError(read({{"OU", "site"}, {"CN", "../a"}}), ErrorCode::kInvalidArgument, {"\"../a\""});
}

TEST(Role, IsHeldAndBothRolesAreNamed) {
  const Authority authority = NewAuthority();
  const auto facts = Must(ReadCertificate(Enrol(authority, For("MUMC")).certificate_pem));
  EXPECT_TRUE(CheckRole(facts, Role::kSite).has_value());
  ExpectError(CheckRole(facts, Role::kLead), ErrorCode::kPermissionDenied,
              {"MUMC", "role site", "role lead"});
  ExpectError(CheckRole(authority.facts(), Role::kCoordinator), ErrorCode::kPermissionDenied,
              {"authority"});
}

TEST(DaysLeft, CountsDownToZeroOnTheLastDayAndBelowAfterwards) {
  CertificateFacts facts;
  facts.not_after_s = kNowS;
  EXPECT_EQ(DaysLeft(facts, kNowS - 30 * kDayS), 30);
  EXPECT_EQ(DaysLeft(facts, kNowS - 30 * kDayS + 1), 29);
  EXPECT_EQ(DaysLeft(facts, kNowS - 1), 0);
  EXPECT_EQ(DaysLeft(facts, kNowS + 1), -1);
  EXPECT_EQ(DaysLeft(facts, kNowS + kDayS + 1), -2);
}

}  // namespace
}  // namespace consilium::identity
