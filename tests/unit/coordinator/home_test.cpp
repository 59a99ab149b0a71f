// The coordinator's folder, on a clock that the tests give.
#include "coordinator/home.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "identity/certificate.h"
#include "identity/private_key.h"

namespace consilium::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kNowS = 1'790'000'000;  // September 2026
constexpr std::int64_t kDayS = 86400;

template <typename T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

class HomeFolder : public testing::Test {
 protected:
  HomeFolder() {
    std::string name = (fs::temp_directory_path() / "consilium-home-XXXXXX").string();
    scratch_ = ::mkdtemp(name.data());
    folder_ = scratch_ / "c";
    options_ = {"HN consortium", {"coordinator.example.org", "127.0.0.1"}, 8443, 8444, ""};
  }
  ~HomeFolder() override {
    std::error_code error;
    fs::permissions(folder_, fs::perms::owner_all, error);
    fs::remove_all(scratch_, error);
  }
  static identity::CertificateFacts Facts(const ServerIdentity& server) {
    return Must(identity::ReadCertificate(server.certificate_pem));
  }
  [[nodiscard]] std::string Slurp(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  // What an institution would give: it ends `days` from now on.
  static OwnAuthority Institution(int days) {
    const auto made =
        Must(identity::Authority::Create("The hospital", kNowS - 365 * kDayS + days * kDayS, 1));
    return {made.certificate_pem(), made.key_pem()};
  }

  fs::path scratch_, folder_;
  HomeOptions options_;
};

TEST_F(HomeFolder, ShowsACertificateThatItsMembersTakeAndRenewsItInTime) {
  const Home home = Must(InitHome(folder_, options_, kNowS));
  ServerIdentity shown = home.server;
  // Looked at every third day for fifteen years, to the end of the authority and beyond it.
  const std::int64_t end_s = home.authority.facts().not_after_s;
  int renewed = 0;
  for (std::int64_t now_s = kNowS; now_s < end_s; now_s += 3 * kDayS) {
    const auto next = RenewServer(home, shown, now_s);
    ASSERT_TRUE(next.has_value()) << next.error().message;
    if (*next) {
      ++renewed;
      EXPECT_EQ((*next)->key_pem, shown.key_pem);
      EXPECT_GT(Facts(**next).not_after_s, Facts(shown).not_after_s);
      shown = **next;
      EXPECT_TRUE(
          identity::CheckIssued(shown.certificate_pem, home.authority.certificate_pem(), now_s)
              .has_value());
      EXPECT_TRUE(identity::KeyMatches(shown.key_pem, shown.certificate_pem).has_value());
      EXPECT_EQ(Slurp("server.crt"), shown.certificate_pem);
    }
    const std::int64_t left_s = Facts(shown).not_after_s - now_s;
    ASSERT_GE(left_s, std::min<std::int64_t>(kServerDays / 3 * kDayS, end_s - now_s));
  }
  EXPECT_EQ(Facts(shown).not_after_s, end_s);
  EXPECT_GE(renewed, 15 * 365 / (kServerDays - kServerDays / 3) - 2);
  EXPECT_LE(renewed, 15 * 365 / (kServerDays - kServerDays / 3) + 1);
  const auto after = RenewServer(home, shown, end_s + kDayS);
  ASSERT_FALSE(after.has_value());
  EXPECT_EQ(after.error().code, ErrorCode::kFailedPrecondition);
}

TEST_F(HomeFolder, IsOpenedWithoutChangingAnything) {
  const Home made = Must(InitHome(folder_, options_, kNowS));
  const std::string before = Slurp("server.crt");
  fs::remove_all(folder_ / "spool");
  const Home home = Must(OpenHome(folder_));  // however late
  EXPECT_EQ(home.server.certificate_pem, made.server.certificate_pem);
  EXPECT_EQ(home.server.key_pem, made.server.key_pem);
  EXPECT_EQ(Slurp("server.crt"), before);
  EXPECT_FALSE(fs::exists(folder_ / "spool"));
}

TEST_F(HomeFolder, MakesAnewWhatIsMissingDamagedOrNotItsOwn) {
  Must(InitHome(folder_, options_, kNowS));
  const std::string key = Slurp("server.key");
  const auto renewed = [&] {
    const Home home = Must(OpenHome(folder_));
    auto next = Must(RenewServer(home, home.server, kNowS));
    EXPECT_FALSE(Must(RenewServer(home, next ? *next : home.server, kNowS)).has_value());
    return next;
  };
  EXPECT_FALSE(renewed().has_value());

  fs::remove(folder_ / "server.crt");
  auto next = renewed();
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->key_pem, key);

  std::ofstream(folder_ / "server.crt") << "half a certifi";
  ASSERT_TRUE(renewed().has_value());

  fs::remove(folder_ / "server.key");
  next = renewed();
  ASSERT_TRUE(next.has_value());
  EXPECT_NE(next->key_pem, key);
  EXPECT_EQ(Slurp("server.key"), next->key_pem);

  // A crash between key and certificate: they do not fit, and the certificate follows the key.
  const std::string other = Must(identity::GenerateKey());
  std::ofstream(folder_ / "server.key") << other;
  next = renewed();
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->key_pem, other);

  const OwnAuthority institution = Institution(300);
  std::ofstream(folder_ / "authority.crt") << institution.chain_pem;
  std::ofstream(folder_ / "authority.key") << institution.key_pem;
  next = renewed();
  ASSERT_TRUE(next.has_value());
  EXPECT_TRUE(
      identity::CheckIssued(next->certificate_pem, institution.chain_pem, kNowS).has_value());
}

TEST_F(HomeFolder, ShowsAHostThatWasAdded) {
  Home home = Must(InitHome(folder_, options_, kNowS));
  home.options.hosts.emplace_back("second.example.org");
  const auto next = Must(RenewServer(home, home.server, kNowS));
  ASSERT_TRUE(next.has_value());
  const auto names = Facts(*next).dns_names;
  EXPECT_NE(std::find(names.begin(), names.end(), "second.example.org"), names.end());
  EXPECT_FALSE(Must(RenewServer(home, *next, kNowS)).has_value());
}

// Every hour a certificate that ends no later would be of no use, and would fill the log.
TEST_F(HomeFolder, DoesNotRenewForAnAuthorityThatEndsSoonerThanACertificateShould) {
  const Home home = Must(InitHome(folder_, options_, kNowS, Institution(100)));
  EXPECT_EQ(Facts(home.server).not_after_s, home.authority.facts().not_after_s);
  for (std::int64_t day = 0; day < 100; ++day)
    EXPECT_FALSE(Must(RenewServer(home, home.server, kNowS + day * kDayS)).has_value()) << day;
}

TEST_F(HomeFolder, AFolderThatCannotBeWrittenKeepsTheCertificateThereIs) {
  const Home home = Must(InitHome(folder_, options_, kNowS));
  const std::string before = Slurp("server.crt");
  fs::rename(folder_, scratch_ / "elsewhere");
  const auto late = RenewServer(home, home.server, kNowS + 300 * kDayS);
  ASSERT_FALSE(late.has_value());
  EXPECT_NE(late.error().message.find("server.crt"), std::string::npos) << late.error().message;
  fs::rename(scratch_ / "elsewhere", folder_);
  EXPECT_EQ(Slurp("server.crt"), before);
  EXPECT_TRUE(Must(RenewServer(home, home.server, kNowS + 300 * kDayS)).has_value());
}

TEST_F(HomeFolder, AKeyThatOthersCanReadIsRefusedWithTheChmod) {
  Must(InitHome(folder_, options_, kNowS));
  fs::permissions(folder_ / "server.key", fs::perms(0644));
  const auto home = OpenHome(folder_);
  ASSERT_FALSE(home.has_value());
  EXPECT_EQ(home.error().code, ErrorCode::kPermissionDenied);
  EXPECT_NE(home.error().message.find("chmod"), std::string::npos) << home.error().message;
}

TEST_F(HomeFolder, DeclaresAnOperatorInAFieldAndNeverByAName) {
  options_.name = "HN (operated by maria)";
  Must(InitHome(folder_, options_, kNowS));
  EXPECT_EQ(Must(OpenHome(folder_)).options.operated_by, "");
  EXPECT_EQ(Slurp("coordinator.json").find("operated_by"), std::string::npos);
  fs::remove_all(folder_);

  options_.operated_by = "anna";
  Must(InitHome(folder_, options_, kNowS));
  EXPECT_EQ(Must(OpenHome(folder_)).options.operated_by, "anna");
  EXPECT_EQ(Must(OpenHome(folder_)).options.name, "HN (operated by maria)");
  fs::remove_all(folder_);

  options_.operated_by = "anna (lead)";
  const auto wrong = InitHome(folder_, options_, kNowS);
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().code, ErrorCode::kInvalidArgument);
  EXPECT_NE(wrong.error().message.find("operator"), std::string::npos) << wrong.error().message;
}

TEST_F(HomeFolder, TellsWhatEndsSoonAndWhatToDo) {
  const Home home = Must(InitHome(folder_, options_, kNowS));
  const std::int64_t server_s = Facts(home.server).not_after_s;
  EXPECT_TRUE(EndingSoon(home, home.server, server_s - 30 * kDayS).empty());
  auto told = EndingSoon(home, home.server, server_s - 30 * kDayS + 1);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("the server certificate ends in 29 days"), std::string::npos) << told[0];
  told = EndingSoon(home, home.server, server_s + 1);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("the server certificate ended"), std::string::npos) << told[0];
  EXPECT_EQ(EndingSoon(home, {}, kNowS).size(), 1U);

  // With the authority goes everything; what it issued last is no news of its own.
  const std::int64_t end_s = home.authority.facts().not_after_s;
  const auto last = Must(RenewServer(home, home.server, end_s - 100 * kDayS));
  ASSERT_TRUE(last.has_value());
  EXPECT_TRUE(EndingSoon(home, *last, end_s - 90 * kDayS).empty());
  told = EndingSoon(home, *last, end_s - 10 * kDayS);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told[0].find("the authority ends in 10 days"), std::string::npos) << told[0];
  EXPECT_NE(told[0].find("enrol every member anew"), std::string::npos) << told[0];
}

}  // namespace
}  // namespace consilium::coordinator
