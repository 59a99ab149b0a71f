#include "identity/certificate.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>

#include "identity/x509.h"

namespace consilium::identity {
namespace {

constexpr std::int64_t kDayS = 86400;
constexpr std::int64_t kFarS = std::int64_t{1} << 40;  // beyond any date X.509 can write
constexpr int kChainDepthMax = 4;                      // intermediates between leaf and anchor
constexpr int kAuthLevel = 2;                          // OpenSSL: 112 bits of strength

std::int64_t FloorDivide(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// Unix seconds of an X.509 time. Errors: kInvalidArgument.
Result<std::int64_t> Seconds(const ASN1_TIME* time, std::string_view what) {
  const x509::Owned<ASN1_TIME, ASN1_TIME_free> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (epoch == nullptr || ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("certificate: its {} is no time", what));
  }
  return days * kDayS + seconds;
}

Result<std::string> SerialText(const ASN1_INTEGER* serial) {
  const x509::Owned<BIGNUM, BN_free> number(ASN1_INTEGER_to_BN(serial, nullptr));
  if (number == nullptr || BN_is_negative(number.get()) != 0 || BN_is_zero(number.get()) != 0 ||
      BN_num_bytes(number.get()) > 20) {  // RFC 5280, 4.1.2.2
    return Fail(ErrorCode::kInvalidArgument,
                "certificate: its serial is not a positive number of at most 20 bytes");
  }
  Bytes bytes(static_cast<std::size_t>(BN_num_bytes(number.get())));
  BN_bn2bin(number.get(), bytes.data());
  return Hex(bytes);
}

Result<void> ReadAlternativeNames(const X509* certificate, CertificateFacts& facts) {
  int critical = -1;
  const x509::Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
  if (names == nullptr) {
    if (critical == -1) return {};  // there are none
    return Fail(ErrorCode::kInvalidArgument,
                "certificate: its subject alternative names do not decode, or stand twice");
  }
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      const ASN1_STRING* text = name->d.dNSName;
      const std::string dns_name(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                 static_cast<std::size_t>(ASN1_STRING_length(text)));
      if (std::any_of(dns_name.begin(), dns_name.end(),
                      [](char c) { return c <= ' ' || c > '~'; })) {
        return Fail(ErrorCode::kInvalidArgument,
                    "certificate: DNS name " + Quoted(dns_name) + " holds what no DNS name can");
      }
      facts.dns_names.push_back(dns_name);
    } else if (name->type == GEN_IPADD) {
      const ASN1_STRING* address = name->d.iPAddress;
      const unsigned char* b = ASN1_STRING_get0_data(address);
      std::string text;
      if (ASN1_STRING_length(address) == 4) {
        text = fmt::format("{}.{}.{}.{}", b[0], b[1], b[2], b[3]);
      } else if (ASN1_STRING_length(address) == 16) {
        for (int k = 0; k < 16; k += 2) {
          text += fmt::format("{}{:x}", k == 0 ? "" : ":", (b[k] << 8) | b[k + 1]);
        }
      } else {
        return Fail(ErrorCode::kInvalidArgument,
                    "certificate: an IP address in it has neither 4 nor 16 bytes");
      }
      facts.ip_addresses.push_back(text);
    }
  }
  return {};
}

Result<CertificateFacts> ReadFacts(X509* certificate) {
  CertificateFacts facts;
  const std::uint32_t flags = X509_get_extension_flags(certificate);
  if ((flags & EXFLAG_INVALID) != 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "certificate: its extensions contradict each other or do not decode");
  }
  facts.is_authority = (flags & EXFLAG_CA) != 0;
  facts.fingerprint = Sha256(x509::Der(certificate));
  auto serial = SerialText(X509_get0_serialNumber(certificate));
  CONSILIUM_TRY(serial);
  facts.serial = std::move(*serial);
  const auto not_before_s = Seconds(X509_get0_notBefore(certificate), "notBefore");
  CONSILIUM_TRY(not_before_s);
  const auto not_after_s = Seconds(X509_get0_notAfter(certificate), "notAfter");
  CONSILIUM_TRY(not_after_s);
  facts.not_before_s = *not_before_s;
  facts.not_after_s = *not_after_s;
  if (X509_get0_pubkey(certificate) == nullptr) {
    return Fail(ErrorCode::kInvalidArgument,
                "certificate: its key is damaged or unknown to OpenSSL");
  }
  facts.public_key = x509::PublicKeyDigest(X509_get_X509_PUBKEY(certificate));
  CONSILIUM_TRY(ReadAlternativeNames(certificate, facts));
  const X509_NAME* subject = X509_get_subject_name(certificate);
  auto name = x509::OnlyEntry(subject, NID_commonName, "certificate");
  if (facts.is_authority) {
    if (!name) name = x509::OnlyEntry(subject, NID_organizationName, "certificate");
    if (name) facts.name = std::move(*name);
    return facts;
  }
  CONSILIUM_TRY(name);
  if (auto ok = CheckName(*name); !ok) {
    return tl::unexpected<Error>(Within("certificate: CN", std::move(ok).error()));
  }
  CONSILIUM_TRY(x509::KeyType(X509_get0_pubkey(certificate), "certificate of " + *name));
  const auto unit = x509::OnlyEntry(subject, NID_organizationalUnitName, "certificate of " + *name);
  CONSILIUM_TRY(unit);
  const auto role = ParseRole(*unit);
  if (!role) return tl::unexpected<Error>(Within("certificate of " + *name + ": OU", role.error()));
  facts.name = std::move(*name);
  facts.role = *role;
  return facts;
}

std::string Span(std::int64_t seconds) {
  if (seconds >= 2 * kDayS) return fmt::format("{} days", seconds / kDayS);
  if (seconds >= 7200) return fmt::format("{} hours", seconds / 3600);
  if (seconds >= 120) return fmt::format("{} minutes", seconds / 60);
  return fmt::format("{} s", seconds);
}

// OpenSSL's verdict in our words. `at` is the certificate of the chain that it is about.
tl::unexpected<Error> Refusal(const CertificateFacts& facts, int code, X509* at, X509* leaf,
                              std::int64_t now_s) {
  const std::string owner = fmt::format("certificate of {} ({})", facts.name, Name(*facts.role));
  const bool of_chain = at != nullptr && at != leaf;
  const std::string where = of_chain ? owner + ": an authority above it" : owner;
  CertificateFacts above;
  if (of_chain) {
    if (auto read = ReadFacts(at)) above = std::move(*read);
  }
  const CertificateFacts& late = of_chain ? above : facts;
  switch (code) {
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Fail(
          ErrorCode::kFailedPrecondition,
          fmt::format("{} is not valid yet: it begins {}, in {}; check this machine's clock "
                      "({})",
                      where, UtcText(late.not_before_s), Span(late.not_before_s - now_s),
                      UtcText(now_s)));
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("{} expired {}, {} ago; enrol again, or check this machine's clock "
                              "({})",
                              where, UtcText(late.not_after_s), Span(now_s - late.not_after_s),
                              UtcText(now_s)));
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
      return Fail(ErrorCode::kPermissionDenied,
                  owner +
                      " was issued by another authority than the one expected; compare the "
                      "authorities' fingerprints");
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return Fail(ErrorCode::kPermissionDenied,
                  where +
                      " has a signature that its issuer did not make: it was changed, or made "
                      "by another authority of the same name");
    case X509_V_ERR_INVALID_PURPOSE:
      return Fail(ErrorCode::kPermissionDenied,
                  fmt::format("{} may not be used as a TLS {}", where,
                              *facts.role == Role::kCoordinator ? "server" : "client"));
    default:
      return Fail(ErrorCode::kPermissionDenied,
                  fmt::format("{} is refused: {}", where, X509_verify_cert_error_string(code)));
  }
}

using Context = x509::Owned<X509_STORE_CTX, X509_STORE_CTX_free>;

struct FreeStack {
  void operator()(STACK_OF(X509) * stack) const { sk_X509_free(stack); }  // not what it holds
};
using Stack = std::unique_ptr<STACK_OF(X509), FreeStack>;

Stack StackOf(const std::vector<x509::Certificate>& certificates, std::size_t first) {
  Stack stack(sk_X509_new_null());
  CONSILIUM_CHECK(stack != nullptr, "out of memory");
  for (std::size_t i = first; i < certificates.size(); ++i) {
    CONSILIUM_CHECK(sk_X509_push(stack.get(), certificates[i].get()) > 0, "out of memory");
  }
  return stack;
}

}  // namespace

Result<CertificateFacts> ReadCertificate(std::string_view certificate_pem) {
  const x509::QuietErrors quiet;
  const auto certificates = x509::ReadCertificates(certificate_pem, "certificate");
  CONSILIUM_TRY(certificates);
  return ReadFacts(certificates->front().get());
}

Result<void> CheckIssued(std::string_view certificate_pem, std::string_view authority_pem,
                         std::int64_t now_s) {
  const x509::QuietErrors quiet;
  const auto certificates = x509::ReadCertificates(certificate_pem, "certificate");
  CONSILIUM_TRY(certificates);
  const auto authorities = x509::ReadCertificates(authority_pem, "authority");
  CONSILIUM_TRY(authorities);
  for (const auto& authority : *authorities) {
    if (X509_check_ca(authority.get()) != 1) {
      return Fail(ErrorCode::kInvalidArgument,
                  "authority: a certificate in it is not an authority's (basic constraints)");
    }
  }
  X509* leaf = certificates->front().get();
  const auto facts = ReadFacts(leaf);
  CONSILIUM_TRY(facts);
  const auto refuse = [&](std::string_view why) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("certificate of {} {}; expected one that was issued to a site or a "
                            "person",
                            Quoted(facts->name), why));
  };
  if (!facts->role || X509_check_ca(leaf) != 0) return refuse("is an authority's");
  const bool server = *facts->role == Role::kCoordinator;

  const Context context(X509_STORE_CTX_new());
  const Stack trusted = StackOf(*authorities, 0);
  const Stack between = StackOf(*certificates, 1);
  CONSILIUM_CHECK(
      context != nullptr && X509_STORE_CTX_init(context.get(), nullptr, leaf, between.get()) == 1,
      "OpenSSL could not prepare a check");
  X509_STORE_CTX_set0_trusted_stack(context.get(), trusted.get());
  X509_STORE_CTX_set_purpose(context.get(),
                             server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(now_s));
  // An institution may pin its intermediate: any authority that we were given is an anchor.
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_auth_level(parameters, kAuthLevel);
  X509_VERIFY_PARAM_set_depth(parameters, kChainDepthMax);
  if (X509_verify_cert(context.get()) != 1) {
    return Refusal(*facts, X509_STORE_CTX_get_error(context.get()),
                   X509_STORE_CTX_get_current_cert(context.get()), leaf, now_s);
  }
  // OpenSSL takes old certificates without basic constraints, and leaves without a stated use, for
  // what they are used as; we do not.
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context.get());
  for (int i = 1; i < sk_X509_num(chain); ++i) {
    if (X509_check_ca(sk_X509_value(chain, i)) != 1) return refuse("was issued by no authority");
  }
  const std::uint32_t use = server ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
  if ((X509_get_extension_flags(leaf) & EXFLAG_XKUSAGE) == 0 ||
      (X509_get_extended_key_usage(leaf) & use) == 0) {
    return refuse(fmt::format("does not state that it may be used as a TLS {}",
                              server ? "server" : "client"));
  }
  return {};
}

Result<void> CheckRole(const CertificateFacts& facts, Role expected) {
  if (facts.role == expected) return {};
  return Fail(ErrorCode::kPermissionDenied,
              fmt::format("{} has the role {}; this needs the role {}", Quoted(facts.name),
                          facts.role ? Name(*facts.role) : "authority", Name(expected)));
}

int DaysLeft(const CertificateFacts& facts, std::int64_t now_s) {
  const std::int64_t left_s = facts.not_after_s - std::clamp(now_s, -kFarS, kFarS);
  return static_cast<int>(FloorDivide(left_s, kDayS));
}

std::string UtcText(std::int64_t unix_s) {
  if (unix_s < -kFarS || unix_s > kFarS) return fmt::format("unix time {}", unix_s);
  const std::int64_t day = FloorDivide(unix_s, kDayS);
  const std::int64_t second = unix_s - day * kDayS;
  // Proleptic Gregorian calendar, counted in eras of 400 years that begin on 1 March.
  const std::int64_t shifted = day + 719468;  // days since 1 March of year 0
  const std::int64_t era = FloorDivide(shifted, 146097);
  const std::int64_t day_of_era = shifted - era * 146097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t march_month = (5 * day_of_year + 2) / 153;
  const std::int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
                     era * 400 + year_of_era + (month <= 2 ? 1 : 0), month,
                     day_of_year - (153 * march_month + 2) / 5 + 1, second / 3600, second / 60 % 60,
                     second % 60);
}

}  // namespace consilium::identity
