// The disk of a ledger, in memory: it fills up, gives nothing back, or gives it back in small
// pieces.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "site_agent/ledger.h"

namespace consilium::testing {

struct LedgerDisk : site_agent::LedgerSink {
  Bytes bytes;
  std::size_t kept = 0;         // records
  std::size_t room = SIZE_MAX;  // for so many
  bool unreadable = false;
  std::size_t piece = SIZE_MAX;  // bytes at a time

  Result<void> Append(std::span<const std::uint8_t> record) override {
    if (kept >= room) return Fail(ErrorCode::kResourceExhausted, "no space left on device");
    ++kept;
    bytes.insert(bytes.end(), record.begin(), record.end());
    return {};
  }
  [[nodiscard]] Result<void> Read(const TakePiece& take) const override {
    if (unreadable) return Fail(ErrorCode::kUnavailable, "input or output error");
    for (std::span<const std::uint8_t> left = bytes; !left.empty();) {
      const auto next = left.first(std::min(piece, left.size()));
      CONSILIUM_TRY(take(next));
      left = left.subspan(next.size());
    }
    return {};
  }
};

}  // namespace consilium::testing
