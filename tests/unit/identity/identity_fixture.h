// An authority and its members, made once for a test program.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "identity/authority.h"
#include "identity/certificate.h"

namespace consilium::identity {

inline constexpr std::int64_t kNowS = 1'790'000'000;  // September 2026
inline constexpr std::int64_t kDayS = 86400;

// The value, or a failure with the message and an empty one.
template <typename T>
T Must(Result<T> result) {
  if (result) return std::move(*result);
  ADD_FAILURE() << result.error().message;
  return T();
}

inline std::string NewKey() { return Must(GenerateKey()); }

inline Authority NewAuthority(std::string_view organisation = "PAIN consortium",
                              std::int64_t now_s = kNowS, int years = 10) {
  auto authority = Authority::Create(organisation, now_s, years);
  CONSILIUM_CHECK(authority.has_value(), authority.error().message);
  return std::move(*authority);
}

inline Grant For(std::string name, Role role = Role::kSite, int days = 365) {
  Grant grant{.name = std::move(name), .role = role, .now_s = kNowS, .days = days, .hosts = {}};
  if (role == Role::kCoordinator) grant.hosts = {"coordinator.example.org", "192.0.2.7"};
  return grant;
}

struct Member {
  std::string key_pem;
  std::string certificate_pem;
};
inline Member Enrol(const Authority& authority, const Grant& grant) {
  Member member;
  member.key_pem = NewKey();
  member.certificate_pem =
      Must(authority.Issue(Must(MakeRequest(member.key_pem, grant.name, grant.role)), grant));
  return member;
}

// That it failed with this code, and that the message holds every one of these words.
template <typename T>
void ExpectError(const Result<T>& result, ErrorCode code, const std::vector<std::string>& words) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(Name(result.error().code), Name(code)) << result.error().message;
  for (const std::string& word : words) {
    EXPECT_NE(result.error().message.find(word), std::string::npos)
        << "expected \"" << word << "\" in: " << result.error().message;
  }
}

}  // namespace consilium::identity
