// Receipts: what a site signs for each answer, and the roster that an answer is bound to.
//
// A receipt says "for this question, under this roster, I sent exactly these masked bytes and these
// Releases", and carries the tag by which the other sites check the total (sum_tag.h). It stands in
// the log of totals, so that anybody can later re-add the masked answers, hold each Release against
// its site's signature, and name the site whose bytes differ. Masks and receipts are bound to the
// same five things, the Binding.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"
#include "federation/block.h"
#include "federation/keys.h"

namespace consilium::federation {

inline constexpr std::size_t kSiteNameBytesMax = 256;

struct SiteKeys {
  VerifyingKey signing;
  KeyBytes agreement{};
  friend auto operator<=>(const SiteKeys&, const SiteKeys&) = default;
};

// Sites with their keys, by name: those whose masked answers make one total, or (members) all sites
// of a study.
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

// What one site releases in a round, by place of the query.
using Releases = std::map<std::uint32_t, Release>;
// u32 count, then for each: u32 query, u32 count and the blocks.
void Encode(const Releases& releases, ByteWriter& writer);
// SHA-256 of that encoding; also where nothing is released.
[[nodiscard]] Digest DigestOf(const Releases& releases);

// A residue modulo 2^127 - 1, little-endian (sum_tag.h).
using SumTag = std::array<std::uint8_t, 16>;

struct Receipt {
  Binding binding;
  std::string site;
  Digest answer;                   // SHA-256 of the masked answer
  std::uint64_t answer_bytes = 0;  // its size; 0 for a site outside the roster
  Digest releases;                 // DigestOf(Releases)
  SumTag tag{};                    // of the words before masks; zero for a site outside the roster
  Signature signature{};           // Ed25519 over SignedBytes()
  friend auto operator<=>(const Receipt&, const Receipt&) = default;
};

// The receipt of `site` for the masked answer `words` and what it releases.
[[nodiscard]] Receipt Sign(const Binding& binding, std::string site,
                           std::span<const std::uint8_t> words, const Releases& releases,
                           const SumTag& tag, const SigningKey& key);

// Everything but the signature, behind the label "consilium receipt 2".
[[nodiscard]] Bytes SignedBytes(const Receipt& receipt);

// The signature is the one of the site's key among `members`, the sites of the study, and the
// roster that it names the one with this digest.
// Errors: kPermissionDenied (the site is not a member, the roster is another, the signature is not
// the site's); names the site.
[[nodiscard]] Result<void> Verify(const Receipt& receipt, const Roster& members,
                                  const Digest& roster);

// `words` are the bytes of the receipt; or bytes of this size and SHA-256, hashed while they came.
// Errors: kDataLoss (size or digest differ; names the site).
[[nodiscard]] Result<void> CheckWords(const Receipt& receipt, std::span<const std::uint8_t> words);
[[nodiscard]] Result<void> CheckWords(const Receipt& receipt, std::uint64_t size,
                                      const Digest& found);
// `releases` are those of the receipt. Errors: kDataLoss (their digest differs; names the site).
[[nodiscard]] Result<void> CheckReleases(const Receipt& receipt, const Releases& releases);

void Encode(const Receipt& receipt, ByteWriter& writer);
// Errors: kDataLoss through reader.failed() (also for another label or a name above 256 bytes).
[[nodiscard]] Receipt DecodeReceipt(ByteReader& reader);

}  // namespace consilium::federation
