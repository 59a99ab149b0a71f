#include "site_agent/folds.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace consilium::site_agent {

namespace {

// A word, a zero byte, a text: the words have no zero byte, so messages of different words differ.
Digest Keyed(const Bytes& key, std::string_view word, std::string_view text) {
  Bytes message(word.begin(), word.end());
  message.push_back(0);
  message.insert(message.end(), text.begin(), text.end());
  return HmacSha256(key, message);
}

std::uint64_t FirstEightBytes(const Digest& digest) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value |= std::uint64_t{digest.bytes[i]} << (8 * i);
  return value;
}

}  // namespace

Result<std::vector<int>> KeyedFolds(std::span<const std::uint8_t> site_key, const Digest& study,
                                    const FoldInput& input, int fold_count) {
  if (fold_count < 1) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("folds: fold count is {}, expected at least 1", fold_count));
  }
  if (site_key.size() < kSiteKeyBytesMin) {
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("folds: the site key has {} bytes, expected at least {}; give one, or let the "
                    "study name a fold column",
                    site_key.size(), kSiteKeyBytesMin));
  }
  if (input.patient.size() != input.outcome.size()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("folds: {} patients but {} outcomes, expected one of each a row",
                            input.patient.size(), input.outcome.size()));
  }
  std::vector<std::uint8_t> is_event(input.patient_ids.size(), 0);
  std::vector<std::uint8_t> has_rows(input.patient_ids.size(), 0);
  for (std::size_t row = 0; row < input.patient.size(); ++row) {
    const int patient = input.patient[row];
    if (patient < 0 || static_cast<std::size_t>(patient) >= input.patient_ids.size()) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("folds: row {} names patient {} of {}",
                                                           row, patient, input.patient_ids.size()));
    }
    const auto index = static_cast<std::size_t>(patient);
    has_rows[index] = 1;
    if (input.outcome[row] > 0.5) is_event[index] = 1;
  }
  const Bytes key = HkdfSha256(site_key, study.bytes, "consilium folds 1", 32);
  // Per class, patients by keyed hash; only those with rows, so that an unused id changes nothing.
  std::map<std::pair<std::uint8_t, Digest>, std::size_t> ranked;
  std::set<Digest> seen;
  for (std::size_t index = 0; index < input.patient_ids.size(); ++index) {
    if (has_rows[index] == 0) continue;
    const Digest hash = Keyed(key, "patient", input.patient_ids[index]);
    ranked.try_emplace({is_event[index], hash}, index);
    if (!seen.insert(hash).second) {
      return Fail(ErrorCode::kInvalidArgument,
                  "folds: two patients have the same identifier; give each patient one index");
    }
  }
  const auto count = static_cast<std::uint64_t>(fold_count);
  const std::uint64_t offset[2] = {FirstEightBytes(Keyed(key, "offset", "0")) % count,
                                   FirstEightBytes(Keyed(key, "offset", "1")) % count};
  std::uint64_t rank[2] = {0, 0};
  std::vector<int> fold_of_patient(input.patient_ids.size(), 0);
  for (const auto& [class_and_hash, index] : ranked) {
    const std::size_t event = class_and_hash.first;
    fold_of_patient[index] = static_cast<int>((rank[event]++ + offset[event]) % count) + 1;
  }
  std::vector<int> folds;
  folds.reserve(input.patient.size());
  for (const int patient : input.patient) {
    folds.push_back(fold_of_patient[static_cast<std::size_t>(patient)]);
  }
  return folds;
}

std::vector<int> FoldsByIndex(std::span<const int> patient, int fold_count) {
  std::map<int, int> place;
  std::vector<int> folds;
  folds.reserve(patient.size());
  for (const int index : patient) {
    const int at = place.try_emplace(index, static_cast<int>(place.size())).first->second;
    folds.push_back(at % fold_count + 1);
  }
  return folds;
}

}  // namespace consilium::site_agent
