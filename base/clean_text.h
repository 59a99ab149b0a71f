// Text from outside made safe to write: as UTF-8, and into HTML.
//
// Names come from other people's files; what is not well-formed becomes U+FFFD and what could act
// as markup is escaped. Source: RFC 3629, 2003.
#pragma once

#include <string>
#include <string_view>

namespace consilium {

// `text` with every byte that is not part of a well-formed UTF-8 sequence (RFC 3629: no overlong
// forms, no surrogates, nothing above U+10FFFF) replaced by U+FFFD.
[[nodiscard]] std::string CleanUtf8(std::string_view text);

// `text` for use between tags and inside quoted attributes: & < > " ' escaped, bytes that are not
// UTF-8 and control characters (C0 but tab and line feed, DEL, C1, bidirectional overrides) as
// U+FFFD.
[[nodiscard]] std::string EscapeHtml(std::string_view text);

}  // namespace consilium
