// The coordinator's own certificate authority: one self-signed P-256 key that signs its members; or
// an issuing authority that an institution gives it, with the chain above it.
//
// It may sign leaves only (path length 0), copies nothing from a request but the public key, and
// issues what the caller expected or nothing. Source: RFC 5280, sections 4.1 and 4.2.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "identity/certificate.h"

namespace consilium::identity {

inline constexpr std::int64_t kClockSkewS =
    300;  // certificates begin this long before they are made
inline constexpr int kAuthorityYearsMax = 40;
inline constexpr int kCertificateDaysMax = 3650;
inline constexpr std::size_t kHostsMax = 32;

// Whom a certificate is meant for. A request that says otherwise is refused.
struct Grant {
  std::string name;
  Role role = Role::kSite;
  std::int64_t now_s = 0;  // unix seconds
  int days = 0;            // 1 to kCertificateDaysMax; never beyond the authority's own end
  std::vector<std::string>
      hosts;  // for kCoordinator, at least one DNS name or IP address; else none
};

class Authority {
 public:
  // A new authority with O=organisation (1 to 64 characters of UTF-8), valid from now_s -
  // kClockSkewS for `years` (1 to kAuthorityYearsMax) of 365 days.
  // Errors: kInvalidArgument, kUnavailable (no entropy).
  [[nodiscard]] static Result<Authority> Create(std::string_view organisation, std::int64_t now_s,
                                                int years);
  // One made before, or one of the institution's own: its certificate first, what may follow is the
  // chain above it (CheckChain). `key_pem` unlocked.
  // Errors: kInvalidArgument (either cannot be read; not an authority), kFailedPrecondition (the
  // key is locked, or is not this certificate's).
  [[nodiscard]] static Result<Authority> Load(std::string_view certificate_pem,
                                              std::string_view key_pem);

  // A certificate for the key in the request: SHA-256 (none with an Ed25519 authority), random
  // 128-bit serial, valid from now_s - kClockSkewS, TLS client; for kCoordinator TLS server and
  // client with `hosts` as subject alternative names.
  // Errors: those of ReadRequest; kInvalidArgument (the grant: name, days, hosts),
  // kPermissionDenied (the request has another name or role: names both; or the authority's own
  // key), kFailedPrecondition (the authority is not valid at now_s), kUnavailable (no entropy).
  [[nodiscard]] Result<std::string> Issue(std::string_view request_pem, const Grant& grant) const;

  // That what it will issue is good in the eyes of whoever trusts the top of its chain: every
  // certificate is an authority's and valid at now_s, each was signed by the one that follows and
  // allows so many below it (RFC 5280, 4.2.1.9), and a coordinator's certificate for `hosts` and a
  // site's, issued for the trial, pass CheckIssued (name constraints, uses, strengths).
  // Errors: kInvalidArgument (names the certificate by its place and name, and what to correct),
  // kFailedPrecondition (not valid yet, or expired), those of CheckIssued.
  [[nodiscard]] Result<void> CheckChain(const std::vector<std::string>& hosts,
                                        std::int64_t now_s) const;

  // The issuing certificate alone: what members trust.
  [[nodiscard]] const std::string& certificate_pem() const;
  // It, and what stands above it: what a listener shows behind its own certificate.
  [[nodiscard]] const std::string& chain_pem() const;
  // The secret itself, unlocked, for the file that keeps it (mode 0600) and for nothing else.
  [[nodiscard]] const std::string& key_pem() const;
  [[nodiscard]] const CertificateFacts& facts() const;
  // What enrolment tokens carry and people compare: SHA-256 of the certificate's DER.
  [[nodiscard]] const Digest& fingerprint() const { return facts().fingerprint; }

 private:
  struct State;
  explicit Authority(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;  // immutable: copies and threads may share it
};

}  // namespace consilium::identity
