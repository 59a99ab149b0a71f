#include "identity/token.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "identity/certificate.h"
#include "identity/x509.h"

namespace consilium::identity {
namespace {

constexpr std::string_view kPrefix = "CT1";
constexpr std::string_view kAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";  // Crockford
constexpr std::size_t kGroup = 8;  // characters, the check symbol among them
constexpr std::size_t kChecksumBytes = 5;
constexpr std::size_t kTokenBytesMax = 20 + 32 + 1 + 8 + 1 + kNameBytesMax + 1 + kAddressBytesMax;
constexpr std::int64_t kExpiryMaxS = std::int64_t{1} << 37;  // year 6325

// The place in the alphabet, or -1.
int Value(char c) {
  if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  if (c == 'O') c = '0';
  if (c == 'I' || c == 'L') c = '1';
  const std::size_t at = kAlphabet.find(c);
  return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

// Times x in GF(32) = GF(2)[x] / (x^5 + x^2 + 1), where x generates all 31 units.
unsigned TimesX(unsigned a) { return (a & 16U) != 0 ? ((a << 1U) ^ 0x25U) : a << 1U; }

// The check symbol of group `index`: the polynomial with its symbols as coefficients, at x. Two
// places of a group have different weights, hence no single change and no swap of two goes unseen.
unsigned CheckSymbol(std::span<const std::uint8_t> symbols, std::size_t index) {
  unsigned sum = static_cast<unsigned>(index % 31) + 1;
  for (const std::uint8_t symbol : symbols) sum = TimesX(sum) ^ symbol;
  return TimesX(sum);
}

std::array<std::uint8_t, kChecksumBytes> Checksum(std::span<const std::uint8_t> bytes) {
  ByteWriter writer;
  writer.Text("consilium enrolment token 1");
  writer.Raw(bytes);
  const Digest digest = Sha256(writer.bytes());
  std::array<std::uint8_t, kChecksumBytes> sum{};
  std::copy_n(digest.bytes.begin(), sum.size(), sum.begin());
  return sum;
}

Result<void> CheckFields(const Token& token) {
  CONSILIUM_TRY(CheckName(token.name));
  CONSILIUM_TRY(ParseAddress(token.address));
  if (token.role != Role::kSite && token.role != Role::kLead && token.role != Role::kAuditor) {
    return Fail(ErrorCode::kInvalidArgument,
                "role coordinator cannot be had with a token; expected site, lead or auditor");
  }
  if (token.expires_s < 0 || token.expires_s > kExpiryMaxS) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("expiry {} is not a time in unix seconds", token.expires_s));
  }
  return {};
}

tl::unexpected<Error> Unreadable(std::string_view why) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("enrolment token: {}; paste the whole line again as it was sent", why));
}

// The symbols of a text without its prefix, blanks and hyphens.
Result<std::vector<std::uint8_t>> Symbols(std::string_view text, std::size_t first) {
  std::vector<std::uint8_t> symbols;
  for (std::size_t i = first; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '-' || c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
    const int value = Value(c);
    if (value < 0) {
      return Unreadable(fmt::format("character {} is {}, which no token holds", i + 1,
                                    Quoted(text.substr(i, 1))));
    }
    symbols.push_back(static_cast<std::uint8_t>(value));
  }
  return symbols;
}

}  // namespace

Result<TokenSecret> NewTokenSecret() {
  TokenSecret secret{};
  CONSILIUM_TRY(x509::Randomize(secret));
  return secret;
}

Result<Bytes> TokenBytes(const Token& token) {
  if (auto ok = CheckFields(token); !ok) {
    return tl::unexpected<Error>(Within("enrolment token", std::move(ok).error()));
  }
  ByteWriter writer;
  writer.Raw(token.secret);
  writer.Raw(token.authority.bytes);
  writer.U8(static_cast<std::uint8_t>(token.role));
  writer.I64(token.expires_s);
  for (const std::string* text : {&token.name, &token.address}) {
    writer.U8(static_cast<std::uint8_t>(text->size()));  // CheckFields holds them below 256
    for (const char c : *text) writer.U8(static_cast<std::uint8_t>(c));
  }
  return writer.Take();
}

Result<Token> ReadTokenBytes(std::span<const std::uint8_t> bytes) {
  ByteReader reader(bytes);
  Token token;
  const auto secret = reader.Raw(token.secret.size());
  const auto authority = reader.Raw(token.authority.bytes.size());
  const std::uint8_t role = reader.U8();
  token.expires_s = reader.I64();
  for (std::string* text : {&token.name, &token.address}) {
    const auto raw = reader.Raw(reader.U8());
    text->assign(raw.begin(), raw.end());
  }
  if (!reader.Finish("enrolment token")) return Unreadable("its length does not fit its fields");
  std::copy(secret.begin(), secret.end(), token.secret.begin());
  std::copy(authority.begin(), authority.end(), token.authority.bytes.begin());
  token.role = static_cast<Role>(role);
  if (role < 1 || role > 4) return Unreadable(fmt::format("role {} is unknown", role));
  if (auto ok = CheckFields(token); !ok) {
    return tl::unexpected<Error>(Within("enrolment token", std::move(ok).error()));
  }
  return token;
}

Result<std::string> EncodeToken(const Token& token) {
  auto bytes = TokenBytes(token);
  CONSILIUM_TRY(bytes);
  const auto sum = Checksum(*bytes);
  bytes->insert(bytes->end(), sum.begin(), sum.end());
  std::vector<std::uint8_t> symbols;
  unsigned held = 0;
  int bits = 0;
  for (const std::uint8_t byte : *bytes) {
    held = (held << 8U) | byte;
    for (bits += 8; bits >= 5; bits -= 5) {
      symbols.push_back(static_cast<std::uint8_t>((held >> (bits - 5)) & 31U));
    }
    held &= 31U;
  }
  if (bits > 0) symbols.push_back(static_cast<std::uint8_t>((held << (5 - bits)) & 31U));

  std::string text(kPrefix);
  for (std::size_t at = 0; at < symbols.size(); at += kGroup - 1) {
    const auto group = std::span(symbols).subspan(at, std::min(kGroup - 1, symbols.size() - at));
    text += '-';
    for (const std::uint8_t symbol : group) text += kAlphabet[symbol];
    text += kAlphabet[CheckSymbol(group, at / (kGroup - 1))];
  }
  return text;
}

Result<Token> DecodeToken(std::string_view text) {
  if (text.size() > kTokenTextBytesMax) {
    return Unreadable(
        fmt::format("{} characters; at most {} are read", text.size(), kTokenTextBytesMax));
  }
  const std::size_t start = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  std::string prefix(text.substr(start, kPrefix.size()));
  for (char& c : prefix) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  if (prefix != kPrefix) {
    if (prefix.size() == 3 && prefix.starts_with("CT") && prefix[2] >= '0' && prefix[2] <= '9') {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("enrolment token: of version {}; this program reads version 1; install "
                      "the program that the coordinator's operator names",
                      prefix[2]));
    }
    return Unreadable(fmt::format("does not begin with {}-", kPrefix));
  }
  const auto symbols = Symbols(text, start + kPrefix.size());
  CONSILIUM_TRY(symbols);
  if (symbols->empty()) return Unreadable("nothing follows its beginning");

  const std::size_t groups = (symbols->size() + kGroup - 1) / kGroup;
  Bytes bytes;
  unsigned held = 0;
  int bits = 0;
  for (std::size_t g = 0; g < groups; ++g) {
    const std::size_t length = std::min(kGroup, symbols->size() - g * kGroup);
    const auto group = std::span(*symbols).subspan(g * kGroup, length);
    const bool last = g + 1 == groups;
    if (length < 2 || CheckSymbol(group.first(length - 1), g) != group.back()) {
      return Unreadable(fmt::format("group {} of {} has a wrong, missing or extra character{}",
                                    g + 1, groups, last ? ", or the end is missing" : ""));
    }
    for (const std::uint8_t symbol : group.first(length - 1)) {
      held = (held << 5U) | symbol;
      bits += 5;
      if (bits >= 8) {
        bytes.push_back(static_cast<std::uint8_t>(held >> (bits - 8)));
        bits -= 8;
      }
      held &= 0xffU;
    }
  }
  // One token has one text: what fills the last symbol is zero, and less than a symbol.
  const bool filled = bits >= 5 || (held & ((1U << bits) - 1U)) != 0;
  if (filled || bytes.size() <= kChecksumBytes || bytes.size() > kTokenBytesMax + kChecksumBytes) {
    return Unreadable("its length is not that of a token: characters are missing or extra");
  }
  const auto content = std::span(std::as_const(bytes)).first(bytes.size() - kChecksumBytes);
  const auto sum = Checksum(content);
  if (!std::equal(sum.begin(), sum.end(), bytes.end() - kChecksumBytes)) {
    return Unreadable("its checksum does not match: characters are wrong or missing");
  }
  return ReadTokenBytes(content);
}

Result<void> CheckUnexpired(const Token& token, std::int64_t now_s) {
  if (now_s < token.expires_s) return {};
  return Fail(
      ErrorCode::kFailedPrecondition,
      fmt::format("the enrolment token for {} expired {}, and it is {}; ask the coordinator's "
                  "operator for a new one, or check this machine's clock",
                  token.name, UtcText(token.expires_s), UtcText(now_s)));
}

Digest SecretHash(const TokenSecret& secret) {
  ByteWriter writer;
  writer.Text("consilium enrolment secret 1");
  writer.Raw(secret);
  return Sha256(writer.bytes());
}

}  // namespace consilium::identity
