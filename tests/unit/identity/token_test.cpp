#include "identity/token.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cctype>
#include <random>
#include <set>

#include "tests/unit/identity/identity_fixture.h"

namespace consilium::identity {
namespace {

Token Sample() {
  Token token;
  for (std::size_t i = 0; i < token.secret.size(); ++i) {
    token.secret[i] = static_cast<std::uint8_t>(7 * i + 1);
  }
  token.authority = Sha256("an authority");
  token.name = "MUMC";
  token.role = Role::kSite;
  token.address = "coordinator.example.org:8444";
  token.expires_s = kNowS + 7 * kDayS;
  return token;
}

Token AnyToken() {
  constexpr std::string_view kWord = "abcdefghijklmnopqrstuvwxyzABCDEF0123456789";
  const auto word = [&](int length_max) {
    std::string text;
    const int length = *rc::gen::inRange(1, length_max + 1);
    for (int i = 0; i < length; ++i) text += kWord[*rc::gen::inRange<std::size_t>(0, kWord.size())];
    return text;
  };
  Token token;
  for (auto& byte : token.secret) byte = *rc::gen::arbitrary<std::uint8_t>();
  for (auto& byte : token.authority.bytes) byte = *rc::gen::arbitrary<std::uint8_t>();
  token.name = word(64);
  token.role = *rc::gen::element(Role::kSite, Role::kLead, Role::kAuditor);
  token.address = word(63) + ".org:" + std::to_string(*rc::gen::inRange(1, 65536));
  token.expires_s = *rc::gen::inRange<std::int64_t>(0, std::int64_t{1} << 37);
  return token;
}

// The document's example (docs/formats/token.md): the format never changes by accident.
constexpr std::string_view kSampleText =
    "CT1-0440Y5GE-X4GNK4E2-A08X75AR-Q33D9RQC-GZW67SGW-WJSM1FMB-V0PY78FX-RXP6HB11-"
    "902GG380-TBGT1ZRA-P50HH6Y7-099G9TG3-203PQ9NW-0000000C-24TNAD8G-CE66VVFC-"
    "E9J6JVKE-1EHQQ4B1-K5F1GPTH-W3CCMQ61-YWK778WT-38D1MXWX-8G36DT4";

TEST(Token, OfTheDocumentHasTheDocumentsText) {
  EXPECT_EQ(Must(EncodeToken(Sample())), kSampleText);
}

TEST(Token, ComesBackFromItsTextWhateverItHolds) {
  rc::check([] {
    const Token token = AnyToken();
    const auto text = EncodeToken(token);
    RC_ASSERT(text.has_value());
    const auto back = DecodeToken(*text);
    RC_ASSERT(back.has_value());
    RC_ASSERT(*back == token);
    RC_ASSERT(text->size() <= kTokenTextBytesMax);
  });
}

TEST(Token, TheLongestFitsItsLimit) {
  Token token = Sample();
  token.name = std::string(kNameBytesMax, 'n');
  const std::string label(60, 'h');
  token.address = label + "." + label + "." + label + "." + label + ".abc" + ":65535";
  ASSERT_LE(token.address.size(), kAddressBytesMax);
  const std::string text = Must(EncodeToken(token));
  EXPECT_LE(text.size(), kTokenTextBytesMax);
  EXPECT_EQ(Must(DecodeToken(text)), token);
}

TEST(Token, IsReadAsPeoplePasteIt) {
  const Token token = Sample();
  const std::string text = Must(EncodeToken(token));
  std::string lower = text;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string bare = text;
  bare.erase(std::remove(bare.begin(), bare.end(), '-'), bare.end());
  std::string wrapped = "  " + text + "\r\n";
  for (std::size_t at = 60; at < wrapped.size(); at += 62) wrapped.insert(at, "\r\n");
  std::string misread = text;
  std::replace(misread.begin() + 4, misread.end(), '0', 'O');
  std::replace(misread.begin() + 4, misread.end(), '1', 'l');
  for (const std::string& way : {lower, bare, wrapped, misread}) {
    EXPECT_EQ(Must(DecodeToken(way)), token) << way;
  }
}

TEST(Token, EveryWrongCharacterIsNamedByItsGroup) {
  const std::string text = Must(EncodeToken(Sample()));
  for (std::size_t i = 4; i < text.size(); ++i) {
    if (text[i] == '-') continue;
    for (const char c : std::string_view("0123456789ABCDEFGHJKMNPQRSTVWXYZ")) {
      if (c == text[i]) continue;
      std::string typo = text;
      typo[i] = c;
      ExpectError(DecodeToken(typo), ErrorCode::kInvalidArgument,
                  {"group " + std::to_string((i - 4) / 9 + 1) + " of"});
    }
  }
}

TEST(Token, EverySwapWithinAGroupIsNamedByItsGroup) {
  const std::string text = Must(EncodeToken(Sample()));
  int swaps = 0;
  for (std::size_t i = 4; i < text.size(); ++i) {
    const std::size_t group = (i - 4) / 9;
    for (std::size_t k = i + 1; k < text.size() && (k - 4) / 9 == group; ++k) {
      if (text[i] == '-' || text[k] == '-' || text[i] == text[k]) continue;
      std::string swapped = text;
      std::swap(swapped[i], swapped[k]);
      ExpectError(DecodeToken(swapped), ErrorCode::kInvalidArgument,
                  {"group " + std::to_string(group + 1) + " of"});
      ++swaps;
    }
  }
  EXPECT_GT(swaps, 300);
}

TEST(Token, TwoGroupsInEachOthersPlaceAreNamed) {
  const std::string text = Must(EncodeToken(Sample()));
  std::string swapped = text;
  std::swap_ranges(swapped.begin() + 4, swapped.begin() + 12, swapped.begin() + 13);
  ASSERT_NE(swapped, text);
  ExpectError(DecodeToken(swapped), ErrorCode::kInvalidArgument, {"group 1 of"});
}

TEST(Token, CutAnywhereItIsRefused) {
  const std::string text = Must(EncodeToken(Sample()));
  for (std::size_t length = 0; length < text.size(); ++length) {
    EXPECT_FALSE(DecodeToken(text.substr(0, length)).has_value()) << length;
    if (length < 4) continue;  // a tail as long as the token is the token
    EXPECT_FALSE(DecodeToken(text + text.substr(length)).has_value()) << length;
  }
}

TEST(Token, NoMutationIsAcceptedAsAnotherToken) {
  const std::string alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZoilabz- \n!U\xff";
  rc::check("100 mutations of each token", [&] {
    const Token token = AnyToken();
    const std::string text = *EncodeToken(token);
    std::mt19937_64 random(*rc::gen::arbitrary<std::uint64_t>());
    const auto below = [&](std::size_t bound) {
      return static_cast<std::size_t>(random() % bound);
    };
    for (int i = 0; i < 100; ++i) {
      std::string mutated = text;
      for (std::size_t edits = 1 + below(5); edits > 0; --edits) {
        const std::size_t at = below(mutated.size());
        const char c = alphabet[below(alphabet.size())];
        switch (below(4)) {
          case 0:
            mutated[at] = c;
            break;
          case 1:
            mutated.insert(at, 1, c);
            break;
          case 2:
            mutated.erase(at, 1);
            break;
          default:
            std::swap(mutated[at], mutated[below(mutated.size())]);
        }
      }
      const auto read = DecodeToken(mutated);
      if (read) RC_ASSERT(*read == token);
    }
  });
}

// Past the groups' check symbols there is still the checksum: a forger of symbols meets it.
TEST(Token, OtherBytesWithRightGroupsDoNotPassTheChecksum) {
  const std::string first = Must(EncodeToken(Sample()));
  Token other = Sample();
  other.secret[0] ^= 1;
  const std::string second = Must(EncodeToken(other));
  ASSERT_EQ(first.size(), second.size());
  // One group of the other token, in its own place: every group is right, the whole is not.
  std::string mixed = first;
  mixed.replace(4, 8, second, 4, 8);
  ASSERT_NE(mixed, first);
  ASSERT_NE(mixed, second);
  ExpectError(DecodeToken(mixed), ErrorCode::kInvalidArgument, {"checksum does not match"});
}

TEST(Token, ForeignTextsAreRefusedByWhatIsWrongWithThem) {
  const std::string text = Must(EncodeToken(Sample()));
  ExpectError(DecodeToken(""), ErrorCode::kInvalidArgument, {"does not begin with CT1-"});
  ExpectError(DecodeToken("hello world"), ErrorCode::kInvalidArgument,
              {"does not begin with CT1-"});
  ExpectError(DecodeToken("CT2" + text.substr(3)), ErrorCode::kInvalidArgument,
              {"version 2", "reads version 1"});
  ExpectError(DecodeToken("CT1"), ErrorCode::kInvalidArgument, {"nothing follows"});
  std::string foreign = text;
  foreign[16] = 'U';
  ExpectError(DecodeToken(foreign), ErrorCode::kInvalidArgument, {"character 17 is \"U\""});
  foreign[16] = '\0';
  ExpectError(DecodeToken(foreign), ErrorCode::kInvalidArgument, {"character 17 is \"\\x00\""});
  const std::string padded = text + std::string(kTokenTextBytesMax - text.size(), ' ');
  EXPECT_TRUE(DecodeToken(padded).has_value());
  ExpectError(DecodeToken(padded + " "), ErrorCode::kInvalidArgument, {"at most 2048"});
}

TEST(Token, AnyTextEndsInAnAnswer) {
  rc::check([](const std::string& text) {
    (void)DecodeToken(text);
    (void)DecodeToken("CT1-" + text);
  });
  rc::check([](const Bytes& bytes) {
    if (const auto token = ReadTokenBytes(bytes)) RC_ASSERT(*TokenBytes(*token) == bytes);
  });
}

TEST(Token, RefusesFieldsThatNoTokenMayHave) {
  const auto with = [](auto change) {
    Token token = Sample();
    change(token);
    return EncodeToken(token);
  };
  ExpectError(with([](Token& t) { t.name = "../x"; }), ErrorCode::kInvalidArgument, {"name"});
  ExpectError(with([](Token& t) { t.address = "nowhere"; }), ErrorCode::kInvalidArgument, {"port"});
  ExpectError(with([](Token& t) { t.role = Role::kCoordinator; }), ErrorCode::kInvalidArgument,
              {"coordinator"});
  ExpectError(with([](Token& t) { t.expires_s = -1; }), ErrorCode::kInvalidArgument, {"expiry"});
}

TEST(Token, HoldsUntilTheSecondOfItsExpiry) {
  const Token token = Sample();
  EXPECT_TRUE(CheckUnexpired(token, token.expires_s - 1).has_value());
  ExpectError(CheckUnexpired(token, token.expires_s), ErrorCode::kFailedPrecondition,
              {"MUMC", UtcText(token.expires_s), "new one"});
}

TEST(Token, SecretsDifferAndTheirHashesDoNotTellThem) {
  std::set<Digest> hashes;
  for (int i = 0; i < 100; ++i) {
    const auto secret = NewTokenSecret();
    ASSERT_TRUE(secret.has_value());
    hashes.insert(SecretHash(*secret));
    EXPECT_NE(SecretHash(*secret), Sha256(std::span<const std::uint8_t>(*secret)));
  }
  EXPECT_EQ(hashes.size(), 100U);
  EXPECT_EQ(SecretHash(Sample()), SecretHash(Sample().secret));
}

TEST(Token, MessagesNeverRepeatTheText) {
  const std::string text = Must(EncodeToken(Sample()));
  for (std::size_t i = 4; i < text.size(); ++i) {
    if (text[i] == '-') continue;
    std::string typo = text;
    typo[i] = typo[i] == '7' ? '8' : '7';
    const auto read = DecodeToken(typo);
    ASSERT_FALSE(read.has_value());
    for (std::size_t at = 4; at + 4 <= text.size(); ++at) {
      EXPECT_EQ(read.error().message.find(text.substr(at, 4)), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace consilium::identity
