// Who knows the sum key: one share a training site, sealed for each other site of the study.
//
// A share follows from its site's agreement key and the context; a seal from the share and the
// agreement keys of two sites. Nothing is drawn and nothing must be stored: made again after a
// crash, both are the same bytes. The coordinator carries the seals and can open none:
//   share_i   = HKDF-SHA-256(secret of i, info = "consilium sum share 1", context)
//   seal_i,j  = AES-256-GCM(share_i) under HKDF-SHA-256(X25519(i, j), info = "consilium sum seal
//   1",
//               context, i, j), with a zero nonce: each key seals one message, always the same
// Promised: only site j reads seal_i,j, and only as what i sealed for j in this study under these
// keys. Not promised: that i sealed the same share for everybody (if not, sums are refused), or
// secrecy against a site that gives it away. Sources: RFC 5869, RFC 7748, NIST SP 800-38D; the
// arithmetic is OpenSSL's.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "federation/keys.h"
#include "federation/receipt.h"

namespace consilium::federation {

using SumSeal = std::array<std::uint8_t, 48>;  // 32 bytes and GCM's tag

// What shares belong to: the study's file and the keys of every site of the study, as the lead
// signed them and as they stand in the log's header.
[[nodiscard]] Digest SumContext(std::string_view study_file, const Roster& members);

[[nodiscard]] KeyBytes SumShareOf(const AgreementKey& own, const Digest& context);

// The share of `site`, sealed for each other member, by name.
// Errors: kInvalidArgument (an agreement key that cannot be used: names the member).
[[nodiscard]] Result<std::map<std::string, SumSeal>> SealShare(const std::string& site,
                                                               const AgreementKey& own,
                                                               const Roster& members,
                                                               const Digest& context);

// The share of the member `from`, who sealed it for `site`. Errors: kPermissionDenied (it does not
// open: another sender, receiver, study or key, or changed bytes), kInvalidArgument (an agreement
// key that cannot be used), kNotFound (no such member); all name `from`.
[[nodiscard]] Result<KeyBytes> OpenShare(const std::string& site, const AgreementKey& own,
                                         const std::string& from, const Roster& members,
                                         const Digest& context, const SumSeal& seal);

}  // namespace consilium::federation
