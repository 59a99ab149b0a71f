#include "engine/dicom/data_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>

#include "base/csv.h"

namespace consilium::engine::dicom {
namespace {

constexpr std::uint32_t kUndefined = 0xFFFFFFFF;
constexpr std::uint32_t kItem = 0xFFFEE000, kItemEnd = 0xFFFEE00D, kSequenceEnd = 0xFFFEE0DD;
constexpr std::size_t kPreambleBytes = 128;

std::uint32_t TagOf(const Attribute& attribute) {
  return std::uint32_t{attribute.group} << 16 | attribute.element;
}

std::string Shown(std::uint32_t tag) {
  return fmt::format("({:04x},{:04x})", tag >> 16, tag & 0xFFFF);
}

template <typename Number>
Number At(std::string_view bytes, std::size_t at) {
  Number number;  // x86-64 has the order of little endian
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

template <typename Number>
std::vector<double> NumbersOf(std::string_view bytes) {
  std::vector<double> numbers;
  for (std::size_t at = 0; at + sizeof(Number) <= bytes.size(); at += sizeof(Number)) {
    numbers.push_back(static_cast<double>(At<Number>(bytes, at)));
    if (!std::isfinite(numbers.back())) return {};
  }
  return numbers;
}

std::string_view Unpadded(std::string_view text) {
  const auto is_padding = [](char c) { return c == ' ' || c == '\0'; };
  while (!text.empty() && is_padding(text.back())) text.remove_suffix(1);
  while (!text.empty() && is_padding(text.front())) text.remove_prefix(1);
  return text;
}

std::vector<double> DecimalsOf(std::string_view text) {
  std::vector<double> numbers;
  text = Unpadded(text);
  while (!text.empty()) {
    const auto end = std::min(text.find('\\'), text.size());
    const auto number = ParseNumber(Unpadded(text.substr(0, end)));
    if (!number) return {};
    numbers.push_back(*number);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return numbers;
}

bool HasLongLength(std::string_view vr) {
  static const std::set<std::string_view> kLong = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ",
                                                   "SV", "UC", "UN", "UR", "UT", "UV"};
  return kLong.contains(vr);
}

// At most the first `bytes_max` bytes of a file.
Result<std::string> ReadHead(const std::filesystem::path& path, std::size_t bytes_max) {
  std::error_code problem;
  const auto size = std::filesystem::file_size(path, problem);
  if (problem) return Fail(ErrorCode::kNotFound, path.string() + ": " + problem.message());
  if (size > kFileBytesMax) {
    return Fail(ErrorCode::kResourceExhausted, fmt::format("{}: has {} bytes, at most {} are read",
                                                           path.string(), size, kFileBytesMax));
  }
  std::string bytes(std::min<std::size_t>(size, bytes_max), '\0');
  std::ifstream stream(path, std::ios::binary);
  if (!stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("{}: cannot be read; check that it may be", path.string()));
  }
  return bytes;
}

}  // namespace

// Goes over bytes; `at` is where the next element or item begins.
class DataSet::Walk {
 public:
  Walk(std::string_view bytes, bool explicit_vr, int depth)
      : bytes_(bytes), explicit_vr_(explicit_vr), depth_(depth) {}

  struct Header {
    std::uint32_t tag = 0, length = 0;
    std::string_view vr;
  };

  [[nodiscard]] bool AtEnd() const { return at_ >= bytes_.size(); }
  [[nodiscard]] std::uint32_t NextTag() const {
    return bytes_.size() - at_ < 4 ? 0
                                   : std::uint32_t{At<std::uint16_t>(bytes_, at_)} << 16 |
                                         At<std::uint16_t>(bytes_, at_ + 2);
  }

  Result<Header> NextHeader() {
    CONSILIUM_TRY(Need(8, NextTag()));
    Header header{NextTag(), At<std::uint32_t>(bytes_, at_ + 4), {}};
    at_ += 8;
    if (!explicit_vr_ || header.tag >> 16 == 0xFFFE) return header;
    header.vr = bytes_.substr(at_ - 4, 2);
    if (header.vr.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string_view::npos)
      return Damaged(header.tag, "has no representation (VR)");
    if (!HasLongLength(header.vr)) {
      header.length >>= 16;
      return header;
    }
    CONSILIUM_TRY(Need(4, header.tag));
    header.length = At<std::uint32_t>(bytes_, at_);
    at_ += 4;
    return header;
  }

  // The value behind a header, without the delimiters that end it where its length is undefined.
  Result<std::string_view> Value(const Header& header) {
    if (header.length != kUndefined) {
      CONSILIUM_TRY(Need(header.length, header.tag));
      at_ += header.length;
      return bytes_.substr(at_ - header.length, header.length);
    }
    // An unknown representation of undefined length holds items of implicit VR (PS3.5, 6.2.2).
    Walk inside(bytes_.substr(at_), explicit_vr_ && header.vr != "UN", depth_ + 1);
    const auto end = header.tag == kItem ? inside.SkipElements() : inside.SkipItems();
    CONSILIUM_TRY(end);
    const std::string_view value = bytes_.substr(at_, *end);
    at_ += inside.at_;
    return value;
  }

 private:
  // Over elements until an item's end, or over items until a sequence's; returns where that began.
  Result<std::size_t> SkipElements() { return SkipUntil(kItemEnd); }
  Result<std::size_t> SkipItems() { return SkipUntil(kSequenceEnd); }
  Result<std::size_t> SkipUntil(std::uint32_t delimiter) {
    if (depth_ > kNestingMax) {
      return Fail(ErrorCode::kResourceExhausted,
                  fmt::format("sequences are nested deeper than {}", kNestingMax));
    }
    while (true) {
      const std::size_t begin = at_;
      const auto header = NextHeader();
      CONSILIUM_TRY(header);
      if (header->tag == delimiter) return begin;
      if ((header->tag == kItem) != (delimiter == kSequenceEnd))
        return Damaged(header->tag, "stands where it cannot");
      CONSILIUM_TRY(Value(*header));
    }
  }

  Result<bool> Need(std::size_t count, std::uint32_t tag) const {
    if (bytes_.size() - at_ >= count) return true;
    return Damaged(tag, fmt::format("needs {} bytes and {} are left", count, bytes_.size() - at_));
  }
  tl::unexpected<Error> Damaged(std::uint32_t tag, std::string_view what) const {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("the file is damaged or cut short: element {} {}; copy it again from "
                            "the archive",
                            Shown(tag), what));
  }

  std::string_view bytes_;
  bool explicit_vr_;
  int depth_;
  std::size_t at_ = 0;
};

Result<DataSet> DataSet::Of(std::string_view bytes, bool explicit_vr, Extent extent) {
  DataSet set;
  set.explicit_vr_ = explicit_vr;
  Walk walk(bytes, explicit_vr, 0);
  while (!walk.AtEnd()) {
    if (extent == Extent::kUntilPixels && walk.NextTag() >= TagOf(kPixelData)) break;
    const auto header = walk.NextHeader();
    CONSILIUM_TRY(header);
    const auto value = walk.Value(*header);
    CONSILIUM_TRY(value);
    set.elements_.push_back({header->tag, header->vr, *value});
  }
  std::stable_sort(set.elements_.begin(), set.elements_.end(),
                   [](const Element& a, const Element& b) { return a.tag < b.tag; });
  return set;
}

const DataSet::Element* DataSet::Find(std::uint32_t tag) const {
  const auto found =
      std::lower_bound(elements_.begin(), elements_.end(), tag,
                       [](const Element& element, std::uint32_t t) { return element.tag < t; });
  return found == elements_.end() || found->tag != tag ? nullptr : &*found;
}

std::string_view DataSet::VrOf(const Element& element, const Attribute& attribute) {
  return element.vr.empty() || element.vr == "UN" ? attribute.vr : element.vr;
}

bool DataSet::Has(const Attribute& attribute) const {
  return !Text(attribute).empty() || !Numbers(attribute).empty();  // 32 in binary is a space
}

std::string_view DataSet::Bytes(const Attribute& attribute) const {
  const Element* element = Find(TagOf(attribute));
  return element == nullptr ? std::string_view() : element->value;
}

std::string_view DataSet::Text(const Attribute& attribute) const {
  return Unpadded(Bytes(attribute));
}

std::vector<double> DataSet::Numbers(const Attribute& attribute) const {
  const Element* element = Find(TagOf(attribute));
  if (element == nullptr) return {};
  const std::string_view vr = VrOf(*element, attribute), value = element->value;
  if (vr == "US") return NumbersOf<std::uint16_t>(value);
  if (vr == "SS") return NumbersOf<std::int16_t>(value);
  if (vr == "UL") return NumbersOf<std::uint32_t>(value);
  if (vr == "SL") return NumbersOf<std::int32_t>(value);
  if (vr == "FL") return NumbersOf<float>(value);
  if (vr == "FD") return NumbersOf<double>(value);
  return DecimalsOf(value);
}

std::optional<double> DataSet::Number(const Attribute& attribute) const {
  const std::vector<double> numbers = Numbers(attribute);
  return numbers.empty() ? std::nullopt : std::optional(numbers.front());
}

Result<int> DataSet::Whole(const Attribute& attribute, int low, int high) const {
  const auto number = Number(attribute);
  if (!number || std::floor(*number) != *number || *number < low || *number > high) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} {} is {}, expected a whole number from {} to {}; correct the file",
                            attribute.name, Shown(TagOf(attribute)),
                            number ? FormatNumber(*number) : "not there", low, high));
  }
  return static_cast<int>(*number);
}

Result<std::vector<DataSet>> DataSet::Items(const Attribute& attribute) const {
  std::vector<DataSet> items;
  const Element* element = Find(TagOf(attribute));
  if (element == nullptr) return items;
  if (depth_ >= kNestingMax) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("sequences are nested deeper than {}", kNestingMax));
  }
  const bool explicit_vr = explicit_vr_ && element->vr != "UN";
  Walk walk(element->value, explicit_vr, depth_);
  while (!walk.AtEnd()) {
    const auto header = walk.NextHeader();
    CONSILIUM_TRY(header);
    if (header->tag == kSequenceEnd) break;
    const auto value = walk.Value(*header);
    CONSILIUM_TRY(value);
    if (header->tag != kItem) {
      return Fail(ErrorCode::kDataLoss,
                  fmt::format("{} holds {} where an item should be; copy the file again",
                              attribute.name, Shown(header->tag)));
    }
    auto item = Of(*value, explicit_vr);
    CONSILIUM_TRY(item);
    item->depth_ = depth_ + 1;
    items.push_back(std::move(*item));
  }
  return items;
}

DataSet DataSet::FirstItem(const Attribute& attribute) const {
  auto items = Items(attribute);
  return items && !items->empty() ? std::move(items->front()) : DataSet();
}

Result<std::vector<std::string_view>> DataSet::Fragments() const {
  std::vector<std::string_view> fragments;
  Walk walk(Bytes(kPixelData), true, 0);
  while (!walk.AtEnd()) {
    const auto header = walk.NextHeader();
    CONSILIUM_TRY(header);
    if (header->tag != kItem || header->length == kUndefined) {
      return Fail(
          ErrorCode::kDataLoss,
          fmt::format("compressed pixels hold {}; copy the file again", Shown(header->tag)));
    }
    const auto value = walk.Value(*header);
    CONSILIUM_TRY(value);
    fragments.push_back(*value);
  }
  return fragments;
}

std::optional<Attribute> DataSet::Private(std::uint16_t group, std::string_view creator,
                                          std::uint8_t element, std::string_view vr) const {
  for (std::uint16_t block = 0x10; block <= 0xFF; ++block) {
    if (Text({group, block, "LO", "PrivateCreator"}) == creator)
      return Attribute{group, static_cast<std::uint16_t>(block << 8 | element), vr, creator};
  }
  return std::nullopt;
}

Result<std::string> ReadBytes(const std::filesystem::path& path) {
  return ReadHead(path, kFileBytesMax);
}

Result<ParsedFile> ParseFile(std::string_view bytes, DataSet::Extent extent) {
  if (bytes.substr(std::min(bytes.size(), kPreambleBytes), 4) != "DICM") {
    return Fail(ErrorCode::kInvalidArgument,
                "is no DICOM file: byte 128 should begin \"DICM\"; leave it out");
  }
  bytes.remove_prefix(kPreambleBytes + 4);
  // Group 2 is explicit little endian whatever follows (PS3.10, 7.1).
  std::size_t meta = 0;
  while (bytes.size() - meta >= 8 && At<std::uint16_t>(bytes, meta) == 2) {
    const bool is_long = HasLongLength(bytes.substr(meta + 4, 2));
    if (is_long && bytes.size() - meta < 12) break;
    const std::size_t length = is_long ? std::size_t{12} + At<std::uint32_t>(bytes, meta + 8)
                                       : std::size_t{8} + At<std::uint16_t>(bytes, meta + 6);
    if (bytes.size() - meta < length) break;
    meta += length;
  }
  const auto header = DataSet::Of(bytes.substr(0, meta), true);
  CONSILIUM_TRY(header);
  ParsedFile file{std::string(header->Text(kTransferSyntaxUid)), {}};
  constexpr std::string_view kImplicit = "1.2.840.10008.1.2";
  if (file.transfer_syntax_uid.empty()) file.transfer_syntax_uid = kImplicit;
  for (const auto& [uid, name] : {std::pair("1.2.840.10008.1.2.2", "big endian"),
                                  std::pair("1.2.840.10008.1.2.1.99", "deflated")}) {
    if (file.transfer_syntax_uid == uid) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("is {} (transfer syntax {}), which is not read here; convert it to "
                              "explicit little endian",
                              name, uid));
    }
  }
  auto data = DataSet::Of(bytes.substr(meta), file.transfer_syntax_uid != kImplicit, extent);
  CONSILIUM_TRY(data);
  file.data = std::move(*data);
  return file;
}

Result<LoadedFile> LoadFile(const std::filesystem::path& path, DataSet::Extent extent) {
  // What stands before the pixels is nearly always short. The number is odd because elements are
  // even: a head that ends within the file ends within an element, and is seen to be cut.
  constexpr std::size_t kHeadBytes = (1 << 17) + 1;
  for (const std::size_t bytes_max :
       {extent == DataSet::Extent::kUntilPixels ? kHeadBytes : kFileBytesMax, kFileBytesMax}) {
    auto bytes = ReadHead(path, bytes_max);
    CONSILIUM_TRY(bytes);
    auto kept = std::make_unique<const std::string>(std::move(*bytes));
    auto parsed = ParseFile(*kept, extent);
    if (parsed) return LoadedFile{std::move(kept), std::move(*parsed)};
    if (kept->size() < bytes_max || parsed.error().code != ErrorCode::kDataLoss)
      return tl::unexpected<Error>(Within(path.string(), parsed.error()));
  }
  return Fail(ErrorCode::kResourceExhausted, path.string() + ": is too long");
}

std::string Utf8(const DataSet& root, std::string_view text) {
  if (root.Text(kCharacterSet) != "ISO_IR 100") return std::string(text);
  std::string converted;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80) converted += static_cast<char>(0xC0 | byte >> 6);
    converted += static_cast<char>(byte >= 0x80 ? 0x80 | (byte & 0x3F) : byte);
  }
  return converted;
}

}  // namespace consilium::engine::dicom
