// YAML read strictly: what a file says is either understood completely or refused with its place.
//
// Refused: unknown keys (with the nearest known one), duplicate keys, anchors, aliases, tags, more
// than one document, wrong types, too much of anything. A scalar is text until a field asks for a
// number or a truth value: `no` stays "no" and `010` is no octal. Problems are collected, so that
// one reading tells everything that is wrong; each reads "FILE:LINE:COL: field 'a.b': found,
// expected, next step".
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace consilium {

// Everything that is wrong, in the order in which it was found.
using Problems = std::vector<std::string>;

// One error for all problems, a line each; `code` is that of the whole. Requires problems to be
// non-empty.
[[nodiscard]] Error Combine(const Problems& problems, ErrorCode code = ErrorCode::kInvalidArgument);

// The candidate nearest to `word` (edit distance at most 2, or a third of its length; case and
// `-`/`_` do not count), of equally near ones that with the longest common beginning; empty if none
// is near, or several are as near (x07 might be any of x01 to x09).
[[nodiscard]] std::string NearestName(std::string_view word,
                                      const std::vector<std::string>& candidates);
// " (did you mean 'x'?)" for the nearest candidate, or nothing.
[[nodiscard]] std::string DidYouMean(std::string_view word,
                                     const std::vector<std::string>& candidates);

struct YamlLimits {
  std::size_t bytes_max = 1U << 20;
  std::size_t depth_max = 16;
  std::size_t nodes_max = 200000;
};

namespace internal {
struct YamlEntry;
struct YamlNode;
struct YamlState;
}  // namespace internal

// A place in a document: a value, or the absence of one. Cheap to copy; valid while the document
// lives. Readers of an absent value return nothing and report nothing, so that defaults stay.
class YamlValue {
 public:
  [[nodiscard]] bool present() const { return node_ != nullptr; }
  [[nodiscard]] bool is_mapping() const;
  [[nodiscard]] bool is_sequence() const;
  // A value that is there and is null: `key:`, `key: null` or `key: ~`.
  [[nodiscard]] bool is_null() const;
  // The keys that lead here, "models.lasso.lambda"; empty at the root.
  [[nodiscard]] const std::string& path() const { return path_; }

  // Adds a problem with this value's place; an absent value borrows the place of the mapping it
  // misses from.
  void Problem(std::string_view what) const;

  // A mapping whose keys are these and no others; reports each unknown key with the nearest known
  // one. False if this is not a mapping (reported).
  bool AllowKeys(std::initializer_list<std::string_view> keys) const;
  // The value under `key`; absent if there is none or this is no mapping.
  [[nodiscard]] YamlValue operator[](std::string_view key) const;
  // The same, but absence is a problem: "is missing: <what_for>".
  [[nodiscard]] YamlValue Required(std::string_view key, std::string_view what_for) const;
  // Keys and values in the order of the file; a problem and nothing if this is no mapping.
  [[nodiscard]] std::vector<std::pair<std::string, YamlValue>> Entries() const;
  // The items of a sequence; a problem and nothing if this is no sequence.
  [[nodiscard]] std::vector<YamlValue> Items() const;

  // Any scalar except null, as written.
  [[nodiscard]] std::optional<std::string> Text() const;
  // Text that is not empty.
  [[nodiscard]] std::optional<std::string> NonEmptyText() const;
  // A finite number, unquoted; locale-independent, correctly rounded.
  [[nodiscard]] std::optional<double> Number() const;
  // A whole number in [low, high], unquoted.
  [[nodiscard]] std::optional<std::int64_t> Integer(std::int64_t low, std::int64_t high) const;
  // `true` or `false`, unquoted.
  [[nodiscard]] std::optional<bool> Boolean() const;
  // One of these words.
  [[nodiscard]] std::optional<std::string> OneOf(
      std::initializer_list<std::string_view> words) const;
  // A sequence of texts, each different; repeated items are reported.
  [[nodiscard]] std::vector<std::string> DistinctTexts() const;

 private:
  friend class YamlDocument;
  YamlValue(internal::YamlState* state, const internal::YamlNode* node, std::string path, int line,
            int column)
      : state_(state), node_(node), path_(std::move(path)), line_(line), column_(column) {}
  [[nodiscard]] std::string Kind() const;  // "a list", "quoted text", ... for messages
  [[nodiscard]] std::string Child(std::string_view key) const;
  [[nodiscard]] YamlValue At(const internal::YamlEntry& entry) const;

  internal::YamlState* state_ = nullptr;
  const internal::YamlNode* node_ = nullptr;
  std::string path_;
  int line_ = 1;
  int column_ = 1;
};

class YamlDocument {
 public:
  YamlDocument(YamlDocument&&) noexcept;
  YamlDocument& operator=(YamlDocument&&) noexcept;
  ~YamlDocument();

  [[nodiscard]] YamlValue root() const;
  // Duplicate keys found while reading, then whatever readers of this document reported.
  [[nodiscard]] Problems& problems() const;

 private:
  friend Result<YamlDocument> ParseStrictYaml(std::string_view, std::string_view,
                                              const YamlLimits&);
  explicit YamlDocument(std::unique_ptr<internal::YamlState> state);
  std::unique_ptr<internal::YamlState> state_;
};

// Reads one document whose root is a mapping. Of duplicate keys the first stays and a problem is
// noted. Errors: kInvalidArgument (not YAML, not a mapping, an anchor, alias or tag, a second
// document), kResourceExhausted (beyond a limit). Messages begin with "FILE:LINE:COL: ".
[[nodiscard]] Result<YamlDocument> ParseStrictYaml(std::string_view text,
                                                   std::string_view file_name,
                                                   const YamlLimits& limits = {});

}  // namespace consilium
