// Sum tags: a site can tell whether a total that it is shown is the sum of what the sites sent.
//
// Notation: p = 2^127 - 1; x_i the n words of site i before masks, as the signed integers that they
// stand for (fixed_point.h: neither a word nor a total wraps); K the sum key of the attempt.
//   h(x) = x_1 a^n + x_2 a^(n-1) + ... + x_n a   (mod p)
//   tag_i = h(x_i) + pad_i + mask_i              (mod p), in the site's receipt
// The point a and the pads follow from K and the binding. mask_i follows from the secrets that site
// i shares with each other site (Masker::TagMask) and cancels over the roster. h is linear, so
//   tag_1 + ... + tag_s - pad_1 - ... - pad_s = h(x_1 + ... + x_s)
// and whoever has K can hold a total against the signed tags.
// Promised: who does not know K (the coordinator, an auditor, the network) makes another total pass
// with a chance of at most n / p for each try; the pads keep a from it, the masks keep h(x_i) from
// the other sites, who know K and would otherwise read a short answer off its tag. Not promised:
// anything once a site gives K away (it can then forge any total of the attempt), who it was that
// lied (a wrong tag of one site spoils the total as a wrong total does), or that words are true.
// Source: Wegman & Carter, J Comput Syst Sci 22(3):265-279, 1981; polynomial hash as in Bernstein,
// "The Poly1305-AES message-authentication code", FSE 2005, with a prime of linear sums.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "federation/block.h"
#include "federation/keys.h"
#include "federation/receipt.h"

namespace consilium::federation {

// Sum and difference modulo p. Bytes that stand for p or more are read modulo p; what comes back is
// below p.
[[nodiscard]] SumTag AddTags(const SumTag& a, const SumTag& b);
[[nodiscard]] SumTag SubtractTags(const SumTag& a, const SumTag& b);
// 16 uniform bytes as a residue: their low 127 bits modulo p. Aborts unless there are 16.
[[nodiscard]] SumTag ResidueOf(std::span<const std::uint8_t> bytes);

// h of the words at `point`. Aborts unless the words have the size of their layout.
[[nodiscard]] SumTag SumHash(const SumTag& point, const std::vector<BlockLayout>& layout,
                             std::span<const std::uint8_t> words);

// The key that an attempt's sites have in common: from one share of each training site, in order of
// names (sum_shares.h).
class SumKey {
 public:
  [[nodiscard]] static SumKey Of(const std::map<std::string, KeyBytes>& shares);

  // h(words) + pad of `site`, without the mask. Aborts as SumHash does.
  [[nodiscard]] SumTag Tag(const Binding& binding, std::string_view site,
                           const std::vector<BlockLayout>& layout,
                           std::span<const std::uint8_t> words) const;

  // Do the tags of the whole roster, one a site, say that this is the sum?
  // Errors: kDataLoss (the total does not have the size of its layout), kPermissionDenied (it is
  // not the sum); both name the round.
  [[nodiscard]] Result<void> Check(const Binding& binding,
                                   const std::map<std::string, SumTag>& tags,
                                   const std::vector<BlockLayout>& layout,
                                   std::span<const std::uint8_t> total) const;

 private:
  explicit SumKey(const KeyBytes& key) : key_(key) {}
  [[nodiscard]] SumTag Derive(std::string_view label, const Binding& binding,
                              std::string_view site) const;
  KeyBytes key_{};
};

}  // namespace consilium::federation
