// A DICOM file's bytes as elements that are looked up by attribute.
//
// One level is walked at a time and a sequence only when it is asked for; values are views into the
// file's bytes. Explicit and implicit VR little endian, as DICOM PS3.5 section 7 has them. It is
// our own, and small, because the parsers of the libraries end the process on damaged bytes
// (GDCM 3.0.21 as Debian builds it: 3 to 8 of 100 randomly damaged files), and one bad file must
// not stop a batch of patients. GDCM's decoders are used where pixels are compressed (pixels.h).
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/dicom/attributes.h"

namespace consilium::engine::dicom {

inline constexpr std::size_t kFileBytesMax = std::size_t{1} << 32;
inline constexpr int kNestingMax = 16;

class DataSet {
 public:
  // `bytes` outlive the data set. Errors: kDataLoss (an element that does not end within the bytes,
  // or what is no element: names it and where), kResourceExhausted (nested deeper than
  // kNestingMax). kUntilPixels stops before the pixels: they need not be there.
  enum class Extent { kWhole, kUntilPixels };
  [[nodiscard]] static Result<DataSet> Of(std::string_view bytes, bool explicit_vr,
                                          Extent extent = Extent::kWhole);

  // Whether it is there with a value.
  [[nodiscard]] bool Has(const Attribute& attribute) const;
  // The value's bytes; empty if it is not there.
  [[nodiscard]] std::string_view Bytes(const Attribute& attribute) const;
  // The text without padding, several values with their backslashes; empty if it is not there.
  [[nodiscard]] std::string_view Text(const Attribute& attribute) const;
  // Every value; empty if it is not there or if one of them is no finite number.
  [[nodiscard]] std::vector<double> Numbers(const Attribute& attribute) const;
  // The first value of Numbers.
  [[nodiscard]] std::optional<double> Number(const Attribute& attribute) const;
  // The first value, if it is a whole number in [low, high]. Errors: kInvalidArgument (names it).
  [[nodiscard]] Result<int> Whole(const Attribute& attribute, int low, int high) const;

  // The items of a sequence; none if it is not there. Errors: those of Of.
  [[nodiscard]] Result<std::vector<DataSet>> Items(const Attribute& attribute) const;
  // The first item, an empty data set if there is none or it is damaged.
  [[nodiscard]] DataSet FirstItem(const Attribute& attribute) const;
  // The fragments of compressed pixels; the first is the table of offsets, often empty. Errors:
  // kDataLoss.
  [[nodiscard]] Result<std::vector<std::string_view>> Fragments() const;
  // The attribute `element` (its low byte) of the block that `creator` reserved in a private group
  // (PS3.5, 7.8.1), if there is one.
  [[nodiscard]] std::optional<Attribute> Private(std::uint16_t group, std::string_view creator,
                                                 std::uint8_t element, std::string_view vr) const;

 private:
  struct Element {
    std::uint32_t tag = 0;
    std::string_view vr;  // empty where the file does not say
    std::string_view value;
  };
  class Walk;
  [[nodiscard]] const Element* Find(std::uint32_t tag) const;
  [[nodiscard]] static std::string_view VrOf(const Element& element, const Attribute& attribute);

  std::vector<Element> elements_;  // by tag; the first of a tag that is there twice
  bool explicit_vr_ = true;
  int depth_ = 0;
};

struct ParsedFile {
  std::string transfer_syntax_uid;
  DataSet data;
};

// Errors: kInvalidArgument (no DICOM file; a transfer syntax that is not read here: big endian and
// deflated), those of DataSet::Of.
[[nodiscard]] Result<ParsedFile> ParseFile(std::string_view bytes, DataSet::Extent extent);

// Errors: kNotFound, kUnavailable (cannot be read), kResourceExhausted (longer than kFileBytesMax),
// with the file's name.
[[nodiscard]] Result<std::string> ReadBytes(const std::filesystem::path& path);

struct LoadedFile {
  std::unique_ptr<const std::string> bytes;  // what `parsed` looks at
  ParsedFile parsed;
};

// Errors: those of ReadBytes and ParseFile, with the file's name.
[[nodiscard]] Result<LoadedFile> LoadFile(const std::filesystem::path& path,
                                          DataSet::Extent extent);

// `text` of a data set as UTF-8. Latin-1 (ISO_IR 100) is converted, UTF-8 and ASCII are as they
// are; what else there is stays as the bytes it has.
[[nodiscard]] std::string Utf8(const DataSet& root, std::string_view text);

}  // namespace consilium::engine::dicom
