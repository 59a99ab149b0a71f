// Pairwise masks: the coordinator learns the total and no answer.
//
// For each pair of sites i < j (by name) both compute one keystream m_ij from their shared secret
// and the binding; i adds it to its words, j subtracts it, word by word modulo 2^bits. In the total
// of the whole roster every m_ij meets its negative, so masks change not one bit of it. If one site
// is missing the sum of the others is noise: a total exists for the whole roster or not at all.
//   m_ij = AES-256-CTR under HKDF-SHA-256(X25519(i, j), info = label, binding, i, j)
// Promised: an answer tells nothing to anyone who lacks a secret of its site, if one other site of
// the roster is honest. Not promised: secrecy after a binding is used for two different answers
// (the difference of the two then stands in the clear; sites answer once and resend the same
// bytes), or against all other sites colluding. Source: Bonawitz et al., CCS 2017, section 4,
// without dropout recovery: a roster that lost a site starts over (docs/protocol.md).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "federation/block.h"
#include "federation/keys.h"
#include "federation/receipt.h"

namespace consilium::federation {

using MaskBinding = Binding;  // study, round, attempt, query digest, roster hash

class Masker {
 public:
  // `sites`: agreement keys of the roster; the own entry may be there and must then be the own key.
  // Errors: kInvalidArgument (no other site, a key that cannot be used, or another key under the
  // own name; names the site).
  [[nodiscard]] static Result<Masker> Create(std::string site, const AgreementKey& key,
                                             const std::map<std::string, KeyBytes>& sites);
  [[nodiscard]] static Result<Masker> Create(std::string site, const AgreementKey& key,
                                             const Roster& roster);

  // The masker of a smaller roster, without new key agreements; the own name may be in it.
  // Errors: kNotFound (names the site without a secret), kInvalidArgument (no other site).
  [[nodiscard]] Result<Masker> For(std::span<const std::string> sites) const;

  // words += sum over later sites of m - sum over earlier sites of m. Works in pieces of 16 KiB: no
  // second copy of the words. binding.roster must be the hash of exactly the sites of this masker.
  // Errors: kInvalidArgument (the layout is none of ours), kDataLoss (words and layout differ in
  // size).
  [[nodiscard]] Result<void> Apply(const MaskBinding& binding,
                                   const std::vector<BlockLayout>& layout,
                                   std::span<std::uint8_t> words) const;

  // What keeps this site's sum tag from the others (sum_tag.h), modulo 2^127 - 1: for each pair the
  // first adds and the second subtracts HKDF-SHA-256(X25519(i, j), info = "consilium tag mask 1",
  // binding, i, j), so that over the roster of this masker they cancel.
  [[nodiscard]] SumTag TagMask(const MaskBinding& binding) const;

  [[nodiscard]] std::size_t site_count() const { return secrets_.size() + 1; }

 private:
  explicit Masker(std::string site) : site_(std::move(site)) {}
  std::string site_;
  std::map<std::string, KeyBytes> secrets_;  // by peer
};

}  // namespace consilium::federation
