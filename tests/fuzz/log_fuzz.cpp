// Any bytes as a log of totals: decoded or refused, never a crash, and what is decoded encodes back
// to the same bytes.
#include <algorithm>
#include <cstdlib>
#include <span>

#include "coordinator/study_run.h"
#include "federation/log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace consilium;  // NOLINT
  const std::span<const std::uint8_t> bytes(data, size);
  (void)coordinator::VerifyLog(bytes);
  // Past the hashes, which a fuzzer cannot guess: the bodies themselves.
  if (const auto header = federation::DecodeHeader(bytes); header.has_value()) {
    const Bytes record = federation::EncodeRecord(*header);
    const auto again = federation::NextRecord(record);
    if (!again || !std::ranges::equal(again->body, bytes)) std::abort();
  }
  if (const auto entry = federation::DecodeEntry(bytes); entry.has_value()) {
    const Bytes record = federation::EncodeRecord(*entry);
    const auto again = federation::NextRecord(record);
    if (!again || !std::ranges::equal(again->body, bytes)) std::abort();
  }
  return 0;
}
