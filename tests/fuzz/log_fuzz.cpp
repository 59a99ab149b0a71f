// Any bytes as a log of totals: decoded or refused, never a crash, and what is decoded encodes back
// to the same bytes. The hashes, which a fuzzer cannot guess, are also put right.
#include <algorithm>
#include <cstdlib>
#include <span>

#include "coordinator/study_run.h"
#include "federation/log.h"

namespace {

using namespace consilium;  // NOLINT

// The records of a log by their lengths alone, as a log whose hashes hold; empty if there are none.
Bytes WithHashes(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kHash = 32;
  Bytes log;
  Digest previous;
  while (bytes.size() >= 8) {
    ByteReader reader(bytes.first(8));
    const std::uint64_t size = reader.U64();
    bytes = bytes.subspan(8);
    if (size > bytes.size()) break;
    const auto body = bytes.first(size);
    Bytes record;
    if (log.empty()) {
      const auto header = federation::DecodeHeader(body);
      if (!header) break;
      record = federation::EncodeRecord(*header);
    } else {
      auto entry = federation::DecodeEntry(body);
      if (!entry) break;
      entry->previous = previous;
      record = federation::EncodeRecord(*entry);
    }
    previous = federation::NextRecord(record)->hash;
    log.insert(log.end(), record.begin(), record.end());
    bytes = bytes.subspan(std::min(bytes.size(), size + kHash));
  }
  return log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::uint8_t> bytes(data, size);
  (void)coordinator::VerifyLog(bytes);
  if (const Bytes log = WithHashes(bytes); !log.empty()) (void)coordinator::VerifyLog(log);
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
