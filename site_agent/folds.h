// Folds that only the site can compute and that nobody can steer.
//
// Within one center, patients are divided by class (1 = any of their rows is an event) and ranked
// by a keyed hash of their identifier; the rank modulo F is the fold. A keyed offset per class
// keeps the remainder from always falling into the first folds. The key is a site secret bound to
// the study, so a coordinator that knows identifiers still cannot predict, choose or invert the
// folds. Source: notes on validation, "Folds"; HMAC: RFC 2104; HKDF: RFC 5869.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"

namespace consilium::site_agent {

inline constexpr std::size_t kSiteKeyBytesMin = 16;

struct FoldInput {
  std::span<const int> patient;              // [n] index into patient_ids, by row
  std::span<const std::string> patient_ids;  // by patient index; all different
  std::span<const double> outcome;           // [n] 1 = event, 0 = not
};

// The fold of each row, 1..fold_count. [n]
//   key  = HKDF-SHA256(site_key, salt = study digest, info = "consilium folds 1", 32 bytes)
//   rank = place of HMAC-SHA256(key, "patient" 0x00 id) among the patients of the same class
//   fold = (rank + offset of the class) mod F + 1, offset = first 8 bytes of HMAC(key, "offset"
//   0x00 class)
// The order of rows and of patients does not matter; rows of one patient share a fold; within a
// class the folds' patient counts differ by at most 1. Errors: kInvalidArgument (fold_count < 1,
// lengths differ, an index out of range, a repeated id), kFailedPrecondition (site_key shorter than
// 16 bytes).
[[nodiscard]] Result<std::vector<int>> KeyedFolds(std::span<const std::uint8_t> site_key,
                                                  const Digest& study, const FoldInput& input,
                                                  int fold_count);

// The fold of each row from the patient's 0-based place in order of first appearance: place mod F
// + 1. With one row a patient this is the row's index within the site. [n]
[[nodiscard]] std::vector<int> FoldsByIndex(std::span<const int> patient, int fold_count);

}  // namespace consilium::site_agent
