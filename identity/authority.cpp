#include "identity/authority.h"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "identity/x509.h"

namespace consilium::identity {

struct Authority::State {
  CertificateFacts facts;
  std::string certificate_pem;
  std::string chain_pem;
  std::string key_pem;
  x509::Certificate certificate;
  std::vector<x509::Certificate> above;
  x509::Key key;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() { OPENSSL_cleanse(key_pem.data(), key_pem.size()); }
};

namespace {

constexpr std::int64_t kDayS = 86400;
constexpr std::int64_t kNowMaxS = std::int64_t{1} << 37;  // year 6325; X.509 ends with 9999

Result<void> CheckNow(std::int64_t now_s) {
  if (now_s >= kClockSkewS && now_s <= kNowMaxS) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("time {} is not one of this era in unix seconds", now_s));
}

// An extension in the notation of x509v3_config(5). `value` is ours, never a caller's text.
bool AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const x509::Owned<X509_EXTENSION, X509_EXTENSION_free> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool AddHosts(X509* certificate, const std::vector<std::string>& hosts) {
  const x509::Names names(sk_GENERAL_NAME_new_null());
  if (names == nullptr) return false;
  for (const std::string& host : hosts) {
    x509::Owned<GENERAL_NAME, GENERAL_NAME_free> name(GENERAL_NAME_new());
    if (name == nullptr) return false;
    if (IsIpAddress(host)) {
      ASN1_OCTET_STRING* address = a2i_IPADDRESS(host.c_str());
      if (address == nullptr) return false;
      GENERAL_NAME_set0_value(name.get(), GEN_IPADD, address);
    } else {
      ASN1_IA5STRING* text = ASN1_IA5STRING_new();
      if (text == nullptr) return false;
      GENERAL_NAME_set0_value(name.get(), GEN_DNS, text);
      if (ASN1_STRING_set(text, host.data(), static_cast<int>(host.size())) != 1) return false;
    }
    if (sk_GENERAL_NAME_push(names.get(), name.get()) <= 0) return false;
    (void)name.release();  // it is the list's now
  }
  return X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, 0) == 1;
}

// A certificate with what all of ours share: version 3, serial, validity, key.
Result<x509::Certificate> Begin(EVP_PKEY* key, std::int64_t not_before_s,
                                std::int64_t not_after_s) {
  std::array<std::uint8_t, 16> serial{};
  do {
    CONSILIUM_TRY(x509::Randomize(serial));
  } while (serial[0] == 0);  // so that every serial has 32 digits
  const x509::Owned<BIGNUM, BN_free> number(
      BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  x509::Certificate certificate(X509_new());
  X509* c = certificate.get();
  if (c == nullptr || number == nullptr || X509_set_version(c, X509_VERSION_3) != 1 ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(c)) == nullptr ||
      ASN1_TIME_set(X509_getm_notBefore(c), static_cast<time_t>(not_before_s)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(c), static_cast<time_t>(not_after_s)) == nullptr ||
      X509_set_pubkey(c, key) != 1) {
    return Fail(ErrorCode::kInternal, "OpenSSL could not begin a certificate");
  }
  return certificate;
}

Result<void> CheckGrant(const Grant& grant) {
  CONSILIUM_TRY(CheckName(grant.name));
  CONSILIUM_TRY(CheckNow(grant.now_s));
  if (grant.days < 1 || grant.days > kCertificateDaysMax) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("certificate for {}: days = {}, must be 1 to {}", grant.name,
                            grant.days, kCertificateDaysMax));
  }
  const bool server = grant.role == Role::kCoordinator;
  if (server != !grant.hosts.empty() || grant.hosts.size() > kHostsMax) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("certificate for {} ({}): {} hosts, must be {}", grant.name, Name(grant.role),
                    grant.hosts.size(), server ? fmt::format("1 to {}", kHostsMax) : "none"));
  }
  for (const std::string& host : grant.hosts) CONSILIUM_TRY(CheckHost(host));
  return {};
}

}  // namespace

Result<Authority> Authority::Create(std::string_view organisation, std::int64_t now_s, int years) {
  const x509::QuietErrors quiet;
  CONSILIUM_TRY(CheckNow(now_s));
  if (years < 1 || years > kAuthorityYearsMax) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("authority: years = {}, must be 1 to {}", years, kAuthorityYearsMax));
  }
  const bool printable = std::none_of(organisation.begin(), organisation.end(), [](char c) {
    return static_cast<unsigned char>(c) < ' ' || c == '\x7f';
  });
  const auto key_pem = GenerateKey();
  CONSILIUM_TRY(key_pem);
  const auto key = x509::ReadKey(*key_pem);
  CONSILIUM_TRY(key);
  const auto certificate =
      Begin(key->get(), now_s - kClockSkewS, now_s + std::int64_t{years} * 365 * kDayS);
  CONSILIUM_TRY(certificate);
  X509* c = certificate->get();
  // OpenSSL holds the 64 characters of RFC 5280 and that they are UTF-8.
  if (organisation.empty() || organisation.size() > 256 || !printable ||
      !x509::AddEntry(X509_get_subject_name(c), NID_organizationName, organisation)) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("authority: organisation {} is not 1 to 64 printable characters of "
                            "UTF-8",
                            Quoted(organisation)));
  }
  if (!x509::AddEntry(X509_get_subject_name(c), NID_commonName, "Consilium authority") ||
      X509_set_issuer_name(c, X509_get_subject_name(c)) != 1 ||
      !AddExtension(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(c, c, NID_subject_key_identifier, "hash") ||
      X509_sign(c, key->get(), x509::SigningDigest(key->get())) <= 0) {
    return Fail(ErrorCode::kInternal, "OpenSSL could not make the authority's certificate");
  }
  const auto certificate_pem = x509::WriteCertificate(c);
  CONSILIUM_TRY(certificate_pem);
  return Load(*certificate_pem, *key_pem);
}

Result<Authority> Authority::Load(std::string_view certificate_pem, std::string_view key_pem) {
  const x509::QuietErrors quiet;
  auto key = x509::ReadKey(key_pem);
  CONSILIUM_TRY(key);
  CONSILIUM_TRY(x509::KeyType(key->get(), "authority"));
  auto certificates = x509::ReadCertificates(certificate_pem, "authority");
  CONSILIUM_TRY(certificates);
  auto facts = ReadCertificate(certificate_pem);
  CONSILIUM_TRY(facts);
  X509* certificate = certificates->front().get();
  if (X509_check_ca(certificate) != 1 ||
      (X509_get_key_usage(certificate) & KU_KEY_CERT_SIGN) == 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("authority: the certificate of {} may not sign certificates (basic "
                            "constraints, key usage)",
                            Quoted(facts->name)));
  }
  if (X509_check_private_key(certificate, key->get()) != 1) {
    return Fail(ErrorCode::kFailedPrecondition,
                "authority: the private key belongs to another certificate; put back the pair that "
                "was made together");
  }
  auto state = std::make_shared<State>();
  state->facts = std::move(*facts);
  for (const auto& one : *certificates) {
    const auto pem = x509::WriteCertificate(one.get());
    CONSILIUM_TRY(pem);
    if (state->certificate_pem.empty()) state->certificate_pem = *pem;
    state->chain_pem += *pem;
  }
  state->key_pem = key_pem;
  state->certificate = std::move(certificates->front());
  state->above.assign(std::make_move_iterator(certificates->begin() + 1),
                      std::make_move_iterator(certificates->end()));
  state->key = std::move(*key);
  return Authority(std::move(state));
}

Result<std::string> Authority::Issue(std::string_view request_pem, const Grant& grant) const {
  const x509::QuietErrors quiet;
  CONSILIUM_TRY(CheckGrant(grant));
  const auto checked = x509::CheckRequest(request_pem);
  CONSILIUM_TRY(checked);
  const RequestFacts& asked = checked->facts;
  if (asked.name != grant.name || asked.role != grant.role) {
    return Fail(
        ErrorCode::kPermissionDenied,
        fmt::format("the request is for {} ({}), the certificate is meant for {} ({}); make "
                    "a request with that name and role",
                    asked.name, Name(asked.role), grant.name, Name(grant.role)));
  }
  if (asked.public_key == facts().public_key) {
    return Fail(
        ErrorCode::kPermissionDenied,
        fmt::format("the request of {} holds the authority's own key; make a new key", asked.name));
  }
  if (grant.now_s < facts().not_before_s || grant.now_s >= facts().not_after_s) {
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("the authority is valid from {} to {}, and it is {}; check the clock, or "
                    "set up a new authority",
                    UtcText(facts().not_before_s), UtcText(facts().not_after_s),
                    UtcText(grant.now_s)));
  }
  const bool server = grant.role == Role::kCoordinator;
  const auto certificate = Begin(X509_REQ_get0_pubkey(checked->request.get()),
                                 std::max(grant.now_s - kClockSkewS, facts().not_before_s),
                                 std::min(grant.now_s + grant.days * kDayS, facts().not_after_s));
  CONSILIUM_TRY(certificate);
  X509* c = certificate->get();
  X509* issuer = state_->certificate.get();
  if (!x509::AddEntry(X509_get_subject_name(c), NID_organizationalUnitName, Name(grant.role)) ||
      !x509::AddEntry(X509_get_subject_name(c), NID_commonName, grant.name) ||
      X509_set_issuer_name(c, X509_get_subject_name(issuer)) != 1 ||
      !AddExtension(c, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(c, issuer, NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(c, issuer, NID_ext_key_usage,
                    server ? "serverAuth,clientAuth" : "clientAuth") ||
      !AddExtension(c, issuer, NID_subject_key_identifier, "hash") ||
      // Nothing to point at where an institution's certificate names no key.
      (X509_get0_subject_key_id(issuer) != nullptr &&
       !AddExtension(c, issuer, NID_authority_key_identifier, "keyid")) ||
      (server && !AddHosts(c, grant.hosts)) ||
      X509_sign(c, state_->key.get(), x509::SigningDigest(state_->key.get())) <= 0) {
    return Fail(ErrorCode::kInternal, "OpenSSL could not issue a certificate for " + grant.name);
  }
  return x509::WriteCertificate(c);
}

Result<void> Authority::CheckChain(const std::vector<std::string>& hosts,
                                   std::int64_t now_s) const {
  const x509::QuietErrors quiet;
  CONSILIUM_TRY(CheckNow(now_s));
  std::vector<X509*> chain = {state_->certificate.get()};
  for (const auto& one : state_->above) chain.push_back(one.get());
  const auto wrong = [](ErrorCode code, std::size_t place, std::string_view what) {
    return Fail(code, fmt::format("authority: certificate {} of the chain{}", place + 1, what));
  };
  std::string between, top;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    X509* one = chain[i];
    if (X509_check_ca(one) != 1 || (X509_get_key_usage(one) & KU_KEY_CERT_SIGN) == 0) {
      return wrong(ErrorCode::kInvalidArgument, i,
                   " may not sign certificates (basic constraints, key usage); expected the "
                   "authorities only, the issuing one first");
    }
    auto pem = x509::WriteCertificate(one);
    CONSILIUM_TRY(pem);
    const auto read = ReadCertificate(*pem);
    CONSILIUM_TRY(read);
    const std::string name = ", " + Quoted(read->name) + ": ";
    if (now_s < read->not_before_s || now_s > read->not_after_s) {
      return wrong(
          ErrorCode::kFailedPrecondition, i,
          fmt::format("{}it is valid from {} to {}, and it is {}; ask for a new one, or check the "
                      "clock",
                      name, UtcText(read->not_before_s), UtcText(read->not_after_s),
                      UtcText(now_s)));
    }
    if (i > 0 && (X509_check_issued(one, chain[i - 1]) != X509_V_OK ||
                  X509_verify(chain[i - 1], X509_get0_pubkey(one)) != 1)) {
      return wrong(ErrorCode::kInvalidArgument, i,
                   name +
                       "it did not sign the certificate before it; expected the issuing one first, "
                       "then each one's own issuer");
    }
    const long allowed = X509_get_pathlen(one);  // -1: as many as there are
    if (allowed >= 0 && static_cast<std::size_t>(allowed) < i) {
      return wrong(
          ErrorCode::kInvalidArgument, i,
          fmt::format("{}it allows {} authorities below it (path length), the chain has {}; "
                      "ask for an issuing certificate nearer to it",
                      name, allowed, i));
    }
    if (i > 0) between += top;
    top = std::move(*pem);
  }
  const auto key = GenerateKey();
  CONSILIUM_TRY(key);
  for (const Role role : {Role::kCoordinator, Role::kSite}) {
    const bool server = role == Role::kCoordinator;
    const auto request = MakeRequest(*key, "trial", role);
    CONSILIUM_TRY(request);
    const auto leaf =
        Issue(*request, {"trial", role, now_s, 1, server ? hosts : std::vector<std::string>{}});
    CONSILIUM_TRY(leaf);
    if (auto good = CheckIssued(*leaf + between, top, now_s); !good) {
      return tl::unexpected<Error>(
          Within("authority: what it would issue is of no use", std::move(good).error()));
    }
  }
  return {};
}

const std::string& Authority::certificate_pem() const { return state_->certificate_pem; }
const std::string& Authority::chain_pem() const { return state_->chain_pem; }
const std::string& Authority::key_pem() const { return state_->key_pem; }
const CertificateFacts& Authority::facts() const { return state_->facts; }

}  // namespace consilium::identity
