#include "console/pins.h"

#include <fmt/format.h>

#include <cctype>

#include "base/strict_yaml.h"
#include "identity/names.h"

namespace consilium::console {
namespace {

constexpr std::size_t kPinDigitsMax = 64;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0)
    text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0)
    text.remove_suffix(1);
  return text;
}

}  // namespace

Result<void> AddPin(std::string_view where, std::string_view text, Pins& pins) {
  const auto wrong = [&](std::string_view what) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: {}; expected SITE=FINGERPRINT with {} to {} hexadecimal digits, as "
                    "`consilium-site enroll` prints them",
                    where, what, kPinDigitsMin, kPinDigitsMax));
  };
  const auto equals = text.find('=');
  if (equals == std::string_view::npos) return wrong("there is no '='");
  const std::string site(Trim(text.substr(0, equals)));
  if (const auto name = identity::CheckName(site); !name)
    return tl::unexpected<Error>(Within(where, name.error()));
  std::string digits;
  for (const char c : text.substr(equals + 1)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == ':' || std::isspace(byte) != 0) continue;
    if (std::isxdigit(byte) == 0) return wrong(fmt::format("site {}: not hexadecimal", site));
    digits += static_cast<char>(std::tolower(byte));
  }
  if (digits.size() < kPinDigitsMin || digits.size() > kPinDigitsMax)
    return wrong(fmt::format("site {}: {} digits", site, digits.size()));
  const auto [held, fresh] = pins.try_emplace(site, digits);
  if (fresh || held->second == digits) return {};
  return Fail(ErrorCode::kAlreadyExists,
              fmt::format("{}: site {} has another pin already, {}; keep the one that was compared",
                          where, site, held->second));
}

Result<void> AddPinsFile(std::string_view file_name, std::string_view text, Pins& pins) {
  Problems problems;
  ErrorCode code = ErrorCode::kInvalidArgument;
  std::size_t line = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view one = Trim(text.substr(begin, end - begin));
    begin = end + 1;
    ++line;
    if (one.empty() || one.front() == '#') continue;
    const auto added = AddPin(fmt::format("{}:{}", file_name, line), one, pins);
    if (added) continue;
    code = added.error().code;
    problems.push_back(added.error().message);
  }
  if (problems.empty()) return {};
  return tl::unexpected<Error>(Combine(problems, code));
}

Result<void> CheckPin(std::string_view site, std::string_view pin, const Digest& fingerprint) {
  const std::string whole = Hex(fingerprint);
  if (whole.starts_with(pin)) return {};
  return Fail(ErrorCode::kPermissionDenied,
              fmt::format("site {}: pinned {}, the coordinator shows {}; the site enrolled anew "
                          "since, or somebody stands between: ask the site, submit nothing before",
                          site, pin, whole));
}

}  // namespace consilium::console
