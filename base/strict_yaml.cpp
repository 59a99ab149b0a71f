#include "base/strict_yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <sstream>

namespace consilium {

namespace internal {

enum class YamlKind { kNull, kScalar, kSequence, kMapping };

struct YamlEntry;

struct YamlNode {
  YamlKind kind = YamlKind::kNull;
  std::string text;
  bool quoted = false;
  int line = 1;
  int column = 1;
  std::vector<YamlNode> items;
  std::vector<YamlEntry> entries;
};

struct YamlEntry {
  std::string key;
  int line = 1;
  int column = 1;
  YamlNode value;
};

struct YamlState {
  std::string file_name;
  YamlNode root;
  Problems problems;
};

}  // namespace internal

namespace {

using internal::YamlEntry;
using internal::YamlKind;
using internal::YamlNode;
using internal::YamlState;

struct Refusal {
  ErrorCode code;
  YAML::Mark mark;
  std::string what;
};

std::string Place(std::string_view file, int line, int column) {
  return fmt::format("{}:{}:{}", file, line, column);
}

std::string Shortened(std::string_view text) {
  constexpr std::size_t kShownMax = 60;
  if (text.size() <= kShownMax) return std::string(text);
  return std::string(text.substr(0, kShownMax)) + "...";
}

// Builds the tree from the parser's events; refuses what the strict dialect leaves out.
class Builder final : public YAML::EventHandler {
 public:
  Builder(YamlState& state, const YamlLimits& limits) : state_(state), limits_(limits) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      throw Refusal{ErrorCode::kInvalidArgument, mark,
                    "a second document begins, expected one; remove the '---'"};
    }
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    NoAnchor(mark, anchor);
    Put(Make(mark, YamlKind::kNull));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    throw Refusal{ErrorCode::kInvalidArgument, mark,
                  "an alias (*name) is not allowed; write the value out"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    NoAnchor(mark, anchor);
    if (tag != "?" && tag != "!" && !tag.empty()) NoTag(mark);
    YamlNode node = Make(mark, YamlKind::kScalar);
    node.text = value;
    node.quoted = tag == "!";
    Put(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    Open(mark, tag, anchor, YamlKind::kSequence);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    Open(mark, tag, anchor, YamlKind::kMapping);
  }
  void OnMapEnd() override { Close(); }

  [[nodiscard]] bool has_root() const { return has_root_; }

 private:
  struct Frame {
    YamlNode node;
    bool has_key = false;
    YamlEntry pending;
    std::map<std::string, int> first_line;  // of each key so far
  };

  static void NoAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      throw Refusal{ErrorCode::kInvalidArgument, mark,
                    "an anchor (&name) is not allowed; write the value out where it is needed"};
    }
  }
  static void NoTag(const YAML::Mark& mark) {
    throw Refusal{ErrorCode::kInvalidArgument, mark,
                  "a tag (!name) is not allowed; remove it, or quote the text"};
  }

  YamlNode Make(const YAML::Mark& mark, YamlKind kind) {
    if (++nodes_ > limits_.nodes_max) {
      throw Refusal{ErrorCode::kResourceExhausted, mark,
                    fmt::format("more than {} values; split the file", limits_.nodes_max)};
    }
    YamlNode node;
    node.kind = kind;
    node.line = std::max(mark.line, 0) + 1;
    node.column = std::max(mark.column, 0) + 1;
    return node;
  }

  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlKind kind) {
    NoAnchor(mark, anchor);
    if (tag != "?" && !tag.empty()) NoTag(mark);
    if (stack_.size() >= limits_.depth_max) {
      throw Refusal{ErrorCode::kResourceExhausted, mark,
                    fmt::format("nested deeper than {} levels; flatten it", limits_.depth_max)};
    }
    if (!stack_.empty() && stack_.back().node.kind == YamlKind::kMapping &&
        !stack_.back().has_key) {
      throw Refusal{ErrorCode::kInvalidArgument, mark,
                    "a key is a list or a mapping, expected text"};
    }
    stack_.push_back({Make(mark, kind), false, {}, {}});
  }

  void Close() {
    YamlNode node = std::move(stack_.back().node);
    stack_.pop_back();
    Put(std::move(node));
  }

  void Put(YamlNode node) {
    if (stack_.empty()) {
      state_.root = std::move(node);
      has_root_ = true;
      return;
    }
    Frame& frame = stack_.back();
    if (frame.node.kind == YamlKind::kSequence) {
      frame.node.items.push_back(std::move(node));
      return;
    }
    if (!frame.has_key) {
      // A plain `null` or `~` arrives as null; as a key it is nothing anybody means.
      if (node.kind == YamlKind::kNull) {
        throw Refusal{ErrorCode::kInvalidArgument, MarkOf(node),
                      "a key is empty or null, expected text; quote it if it is meant"};
      }
      frame.pending = {node.text, node.line, node.column, {}};
      frame.has_key = true;
      return;
    }
    frame.has_key = false;
    const auto [first, fresh] = frame.first_line.try_emplace(frame.pending.key, frame.pending.line);
    if (!fresh) {
      state_.problems.push_back(
          fmt::format("{}: key '{}' appears twice in one mapping, first on line {}; remove one",
                      Place(state_.file_name, frame.pending.line, frame.pending.column),
                      Shortened(frame.pending.key), first->second));
      return;
    }
    frame.pending.value = std::move(node);
    frame.node.entries.push_back(std::move(frame.pending));
    frame.pending = {};
  }

  static YAML::Mark MarkOf(const YamlNode& node) {
    YAML::Mark mark;
    mark.line = node.line - 1;
    mark.column = node.column - 1;
    return mark;
  }

  YamlState& state_;
  YamlLimits limits_;
  std::vector<Frame> stack_;
  std::size_t nodes_ = 0;
  int documents_ = 0;
  bool has_root_ = false;
};

std::string Folded(std::string_view word) {
  std::string folded;
  for (const char c : word) {
    if (c == '-' || c == '_' || c == ' ') continue;
    folded.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return folded;
}

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

template <typename Names>
std::string Listed(const Names& names) {
  std::string listed;
  for (const auto& name : names) {
    if (!listed.empty()) listed += ", ";
    listed += name;
  }
  return listed;
}

}  // namespace

Error Combine(const Problems& problems, ErrorCode code) {
  CONSILIUM_CHECK(!problems.empty(), "an error needs a problem");
  constexpr std::size_t kShownMax = 100;
  std::string message;
  for (std::size_t i = 0; i < problems.size() && i < kShownMax; ++i) {
    if (i > 0) message += '\n';
    message += problems[i];
  }
  if (problems.size() > kShownMax) {
    message += fmt::format("\n... and {} more problems", problems.size() - kShownMax);
  }
  return Error{code, std::move(message)};
}

std::string NearestName(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kComparedMax = 128;
  if (word.size() > kComparedMax) return {};
  const std::string folded = Folded(word);
  const std::size_t limit = std::max<std::size_t>(2, folded.size() / 3);
  std::string nearest;
  std::size_t best = limit + 1, shared = 0;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kComparedMax || candidate == nearest) continue;
    const std::string other = Folded(candidate);
    const std::size_t distance = EditDistance(folded, other);
    if (distance > best || distance > limit) continue;
    if (distance >= std::max(folded.size(), other.size())) continue;
    const auto differs = std::mismatch(folded.begin(), folded.end(), other.begin(), other.end());
    const auto prefix = static_cast<std::size_t>(differs.first - folded.begin());
    if (distance == best && prefix < shared) continue;
    // One of several that are equally near would be a guess.
    const bool tied = distance == best && prefix == shared;
    nearest = tied ? std::string() : candidate;
    best = distance;
    shared = prefix;
  }
  return nearest;
}

std::string DidYouMean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string nearest = NearestName(word, candidates);
  return nearest.empty() ? std::string() : fmt::format(" (did you mean '{}'?)", nearest);
}

bool YamlValue::is_mapping() const { return present() && node_->kind == YamlKind::kMapping; }
bool YamlValue::is_sequence() const { return present() && node_->kind == YamlKind::kSequence; }
bool YamlValue::is_null() const { return present() && node_->kind == YamlKind::kNull; }

std::string YamlValue::Kind() const {
  switch (node_->kind) {
    case YamlKind::kNull:
      return "nothing (null)";
    case YamlKind::kScalar:
      return fmt::format("{}'{}'", node_->quoted ? "the quoted text " : "", Shortened(node_->text));
    case YamlKind::kSequence:
      return "a list";
    case YamlKind::kMapping:
      return "a mapping";
  }
  return "something else";
}

std::string YamlValue::Child(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void YamlValue::Problem(std::string_view what) const {
  const std::string place = Place(state_->file_name, line_, column_);
  state_->problems.push_back(path_.empty() ? fmt::format("{}: {}", place, what)
                                           : fmt::format("{}: field '{}': {}", place, path_, what));
}

bool YamlValue::AllowKeys(std::initializer_list<std::string_view> keys) const {
  if (!present()) return false;
  if (!is_mapping()) {
    Problem(fmt::format("found {}, expected a mapping with the keys {}", Kind(), Listed(keys)));
    return false;
  }
  const std::vector<std::string> known(keys.begin(), keys.end());
  for (const YamlEntry& entry : node_->entries) {
    if (std::find(known.begin(), known.end(), entry.key) != known.end()) continue;
    const std::string near = DidYouMean(entry.key, known);
    state_->problems.push_back(fmt::format(
        "{}: unknown key '{}'{}{}; {}", Place(state_->file_name, entry.line, entry.column),
        Shortened(entry.key), path_.empty() ? "" : fmt::format(" in '{}'", path_), near,
        near.empty() ? fmt::format("known here: {}", Listed(known)) : "correct or remove it"));
  }
  return true;
}

YamlValue YamlValue::At(const YamlEntry& entry) const {
  // A null has no width of its own: its key is the better place to point at.
  const bool null = entry.value.kind == YamlKind::kNull;
  return {state_, &entry.value, Child(entry.key), null ? entry.line : entry.value.line,
          null ? entry.column : entry.value.column};
}

YamlValue YamlValue::operator[](std::string_view key) const {
  if (is_mapping()) {
    for (const YamlEntry& entry : node_->entries) {
      if (entry.key == key) return At(entry);
    }
  }
  return {state_, nullptr, Child(key), line_, column_};
}

YamlValue YamlValue::Required(std::string_view key, std::string_view what_for) const {
  YamlValue value = (*this)[key];
  if (!value.present()) value.Problem(fmt::format("is missing: {}", what_for));
  return value;
}

std::vector<std::pair<std::string, YamlValue>> YamlValue::Entries() const {
  std::vector<std::pair<std::string, YamlValue>> entries;
  if (!present()) return entries;
  if (!is_mapping()) {
    Problem(fmt::format("found {}, expected a mapping (name: value)", Kind()));
    return entries;
  }
  for (const YamlEntry& entry : node_->entries) entries.emplace_back(entry.key, At(entry));
  return entries;
}

std::vector<YamlValue> YamlValue::Items() const {
  std::vector<YamlValue> items;
  if (!present()) return items;
  if (!is_sequence()) {
    Problem(fmt::format("found {}, expected a list: write [a, b]", Kind()));
    return items;
  }
  for (std::size_t i = 0; i < node_->items.size(); ++i) {
    const YamlNode& item = node_->items[i];
    items.push_back({state_, &item, fmt::format("{}[{}]", path_, i + 1), item.line, item.column});
  }
  return items;
}

std::optional<std::string> YamlValue::Text() const {
  if (!present()) return std::nullopt;
  if (node_->kind != YamlKind::kScalar) {
    Problem(fmt::format(
        "found {}, expected text{}", Kind(),
        node_->kind == YamlKind::kNull ? "; if the word itself is meant, quote it" : ""));
    return std::nullopt;
  }
  return node_->text;
}

std::optional<std::string> YamlValue::NonEmptyText() const {
  auto text = Text();
  if (text && text->empty()) {
    Problem("found empty text, expected at least one character; fill it in or remove the key");
    return std::nullopt;
  }
  return text;
}

std::optional<double> YamlValue::Number() const {
  if (!present()) return std::nullopt;
  double number = 0;
  if (node_->kind == YamlKind::kScalar && !node_->quoted) {
    const char* end = node_->text.data() + node_->text.size();
    const auto parsed = std::from_chars(node_->text.data(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end && std::isfinite(number)) return number;
  }
  Problem(fmt::format("found {}, expected a number such as 0.25, without quotes", Kind()));
  return std::nullopt;
}

std::optional<std::int64_t> YamlValue::Integer(std::int64_t low, std::int64_t high) const {
  if (!present()) return std::nullopt;
  std::int64_t number = 0;
  if (node_->kind == YamlKind::kScalar && !node_->quoted) {
    const char* end = node_->text.data() + node_->text.size();
    const auto parsed = std::from_chars(node_->text.data(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end && number >= low && number <= high) {
      return number;
    }
  }
  Problem(fmt::format("found {}, expected a whole number from {} to {}, without quotes", Kind(),
                      low, high));
  return std::nullopt;
}

std::optional<bool> YamlValue::Boolean() const {
  if (!present()) return std::nullopt;
  if (node_->kind == YamlKind::kScalar && !node_->quoted) {
    if (node_->text == "true") return true;
    if (node_->text == "false") return false;
  }
  Problem(fmt::format("found {}, expected true or false, without quotes", Kind()));
  return std::nullopt;
}

std::optional<std::string> YamlValue::OneOf(std::initializer_list<std::string_view> words) const {
  const auto text = Text();
  if (!text) return std::nullopt;
  for (const std::string_view word : words) {
    if (*text == word) return text;
  }
  Problem(fmt::format("found {}, expected one of: {}{}", Kind(), Listed(words),
                      DidYouMean(*text, {words.begin(), words.end()})));
  return std::nullopt;
}

std::vector<std::string> YamlValue::DistinctTexts() const {
  std::vector<std::string> texts;
  std::set<std::string> seen;
  for (const YamlValue& item : Items()) {
    auto text = item.Text();
    if (!text) continue;
    if (!seen.insert(*text).second) {
      item.Problem(fmt::format("'{}' is listed twice; remove one", Shortened(*text)));
      continue;
    }
    texts.push_back(std::move(*text));
  }
  return texts;
}

YamlDocument::YamlDocument(std::unique_ptr<internal::YamlState> state) : state_(std::move(state)) {}
YamlDocument::YamlDocument(YamlDocument&&) noexcept = default;
YamlDocument& YamlDocument::operator=(YamlDocument&&) noexcept = default;
YamlDocument::~YamlDocument() = default;

YamlValue YamlDocument::root() const {
  return {state_.get(), &state_->root, "", state_->root.line, state_->root.column};
}

Problems& YamlDocument::problems() const { return state_->problems; }

Result<YamlDocument> ParseStrictYaml(std::string_view text, std::string_view file_name,
                                     const YamlLimits& limits) {
  if (text.size() > limits.bytes_max) {
    return Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("{}:1:1: the file has {} bytes, expected at most {}; is it the right file?",
                    file_name, text.size(), limits.bytes_max));
  }
  if (const auto nul = text.find('\0'); nul != std::string_view::npos) {
    const auto line =
        std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(nul), '\n') + 1;
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}:{}:1: found a zero byte, expected UTF-8 text; is it the right file?",
                    file_name, line));
  }
  auto state = std::make_unique<internal::YamlState>();
  state->file_name = std::string(file_name);
  const auto refuse = [&](ErrorCode code, const YAML::Mark& mark, std::string_view what) {
    return Fail(code, fmt::format("{}: {}",
                                  Place(file_name, std::max(mark.line, 0) + 1,
                                        std::max(mark.column, 0) + 1),
                                  what));
  };
  Builder builder(*state, limits);
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refusal& refusal) {
    return refuse(refusal.code, refusal.mark, refusal.what);
  } catch (const YAML::Exception& error) {
    return refuse(
        ErrorCode::kInvalidArgument, error.mark,
        fmt::format("not valid YAML: {}; check indentation, colons and quotes", error.msg));
  } catch (const std::exception&) {
    return refuse(ErrorCode::kInvalidArgument, YAML::Mark(),
                  "not valid YAML; check indentation, colons and quotes");
  }
  if (!builder.has_root() || state->root.kind != YamlKind::kMapping) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}:1:1: found {}, expected a mapping (key: value lines)", file_name,
                    text.empty() || !builder.has_root() ? "an empty file" : "another value"));
  }
  return YamlDocument(std::move(state));
}

}  // namespace consilium
