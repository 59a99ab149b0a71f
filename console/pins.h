// Fingerprints that a lead has compared by telephone, and the check that a coordinator shows the
// same.
//
// Pure. A pin is 16 to 64 hexadecimal digits, the beginning of a fingerprint (MemberFingerprint);
// `consilium-site enroll` prints all 64.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/result.h"

namespace consilium::console {

inline constexpr std::size_t kPinDigitsMin = 16;

using Pins = std::map<std::string, std::string>;  // by site; lower-case digits

// Adds "SITE=FINGERPRINT"; colons, blanks and case of the digits do not count. Errors:
// kInvalidArgument (`where` stands before it), kAlreadyExists (the site has another pin).
[[nodiscard]] Result<void> AddPin(std::string_view where, std::string_view text, Pins& pins);

// A file of such lines; empty lines and those that begin with '#' are skipped. Errors: AddPin's, of
// all lines together.
[[nodiscard]] Result<void> AddPinsFile(std::string_view file_name, std::string_view text,
                                       Pins& pins);

// Errors: kPermissionDenied (the site's fingerprint is another: shows both).
[[nodiscard]] Result<void> CheckPin(std::string_view site, std::string_view pin,
                                    const Digest& fingerprint);

}  // namespace consilium::console
