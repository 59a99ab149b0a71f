// Receipts: what a site signs for each answer, and the roster that an answer is bound to.
//
// A receipt says "for this question, under this roster, I sent exactly these masked bytes". It
// stands in the log of totals, so that anybody can later re-add the masked answers and name the
// site whose bytes differ. Masks and receipts are bound to the same five things, the Binding.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"
#include "federation/keys.h"

namespace consilium::federation {

inline constexpr std::size_t kSiteNameBytesMax = 256;

struct SiteKeys {
  VerifyingKey signing;
  KeyBytes agreement{};
  friend auto operator<=>(const SiteKeys&, const SiteKeys&) = default;
};

// The sites whose masked answers make one total, by name.
using Roster = std::map<std::string, SiteKeys>;

// SHA-256 over (name, signing key fingerprint, agreement key), sorted by name.
[[nodiscard]] Digest DigestOf(const Roster& roster);

// What one answer belongs to. Two answers with one binding are two copies of the same answer.
struct Binding {
  Digest study;
  std::uint64_t round = 0;    // from 0 within an attempt
  std::uint32_t attempt = 0;  // from 0 within a study; a new one has a smaller roster
  Digest query;               // DigestOf(everything asked in the round)
  Digest roster;              // DigestOf(Roster)
  friend auto operator<=>(const Binding&, const Binding&) = default;
};

void Encode(const Binding& binding, ByteWriter& writer);
[[nodiscard]] Binding DecodeBinding(ByteReader& reader);

struct Receipt {
  Binding binding;
  std::string site;
  Digest answer;                   // SHA-256 of the masked answer
  std::uint64_t answer_bytes = 0;  // its size
  Signature signature{};           // Ed25519 over SignedBytes()
  friend auto operator<=>(const Receipt&, const Receipt&) = default;
};

// The receipt of `site` for the masked answer `words`.
[[nodiscard]] Receipt Sign(const Binding& binding, std::string site,
                           std::span<const std::uint8_t> words, const SigningKey& key);

// Everything but the signature, behind the label "consilium receipt 1".
[[nodiscard]] Bytes SignedBytes(const Receipt& receipt);

// The signature is the one of the site's key in the roster, and the roster the one it names.
// Errors: kPermissionDenied (the site is not in the roster, the roster is another, the signature is
// not the site's); names the site.
[[nodiscard]] Result<void> Verify(const Receipt& receipt, const Roster& roster);

// `words` are the bytes of the receipt. Errors: kDataLoss (size or digest differ; names the site).
[[nodiscard]] Result<void> CheckWords(const Receipt& receipt, std::span<const std::uint8_t> words);

void Encode(const Receipt& receipt, ByteWriter& writer);
// Errors: kDataLoss through reader.failed() (also for another label or a name above 256 bytes).
[[nodiscard]] Receipt DecodeReceipt(ByteReader& reader);

}  // namespace consilium::federation
