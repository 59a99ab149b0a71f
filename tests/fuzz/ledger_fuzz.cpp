// The readers of the ledger: any bytes give records that verify and write back the same, or an
// error.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include "site_agent/ledger.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace consilium::site_agent;
  const std::span<const std::uint8_t> bytes(data, size);
  if (const auto record = DecodeRecord(bytes)) {
    const auto again = EncodeRecord(record->first);
    Require(std::equal(again.begin(), again.end(), bytes.begin(),
                       bytes.begin() + static_cast<std::ptrdiff_t>(record->second)));
    const auto line = FromLine(ToLine(record->first));
    Require(line.has_value() && line->hash == record->first.hash);
  }
  static_cast<void>(DecodeLedger("A", bytes));
  // Damage rarely hits a hash, so the fields are also read as if their hash were right.
  if (size > 4) {
    consilium::ByteWriter writer;
    writer.U32(static_cast<std::uint32_t>(size));
    writer.Raw(bytes);
    consilium::ByteWriter labelled;
    labelled.Text("consilium ledger record 1");
    labelled.Raw(bytes);
    writer.Raw(consilium::Sha256(labelled.bytes()).bytes);
    if (const auto record = DecodeRecord(writer.bytes())) {
      Require(EncodeRecord(record->first) == writer.bytes());
      const auto line = FromLine(ToLine(record->first));
      Require(line.has_value() && line->hash == record->first.hash);
    }
  }
  if (const auto rows = DecodeRowSet(bytes.first(size < 16 ? size : 16))) {
    const auto again = EncodeRowSet(*rows);
    Require(std::equal(again.begin(), again.end(), bytes.begin(),
                       bytes.begin() + static_cast<std::ptrdiff_t>(again.size())));
  }
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static_cast<void>(DecodeLedgerLines("A", text));
  const std::string plain = PlainText(text);
  Require(PlainText(plain) == plain);
  return 0;
}
