// A share reaches the one site that it was sealed for, and nobody else.
#include "federation/sum_shares.h"

#include <gtest/gtest.h>

#include "tests/unit/federation/federation_keys.h"

namespace consilium::federation {
namespace {

const Roster& Members() {
  static const Roster kMembers = TestRoster({"Ahus", "Bern", "Cork", "Delft"});
  return kMembers;
}
Digest Context() { return SumContext("name: s\n", Members()); }

std::map<std::string, SumSeal> SealsOf(const std::string& site) {
  const auto seals = SealShare(site, TestAgreementKey(site), Members(), Context());
  EXPECT_TRUE(seals.has_value());
  return *seals;
}

Result<KeyBytes> Open(const std::string& site, const std::string& from, const SumSeal& seal,
                      const Digest& context = Context()) {
  return OpenShare(site, TestAgreementKey(site), from, Members(), context, seal);
}

TEST(SumShares, EveryOtherMemberOpensWhatASiteSealedForIt) {
  for (const auto& [from, from_keys] : Members()) {
    const auto seals = SealsOf(from);
    EXPECT_EQ(seals.size(), Members().size() - 1);
    EXPECT_FALSE(seals.contains(from));
    for (const auto& [to, seal] : seals) {
      const auto share = Open(to, from, seal);
      ASSERT_TRUE(share.has_value()) << share.error().message;
      EXPECT_EQ(*share, SumShareOf(TestAgreementKey(from), Context()));
    }
  }
}

TEST(SumShares, AreTheSameBytesWheneverTheyAreMade) {
  EXPECT_EQ(SealsOf("Bern"), SealsOf("Bern"));
  // No two seals are alike, not even those of one share.
  EXPECT_NE(SealsOf("Bern").at("Ahus"), SealsOf("Bern").at("Cork"));
  EXPECT_NE(SealsOf("Bern").at("Cork"), SealsOf("Cork").at("Bern"));
}

TEST(SumShares, DoNotOpenForAnotherSiteSenderOrStudyOrAfterAChange) {
  const SumSeal seal = SealsOf("Bern").at("Cork");
  const auto refused = [](const Result<KeyBytes>& opened) {
    return !opened && opened.error().code == ErrorCode::kPermissionDenied &&
           opened.error().message.find("'") != std::string::npos;
  };
  EXPECT_TRUE(refused(Open("Delft", "Bern", seal)));
  EXPECT_TRUE(refused(Open("Cork", "Ahus", seal)));
  EXPECT_TRUE(refused(Open("Bern", "Cork", seal)));  // the same pair, the other way
  EXPECT_TRUE(refused(Open("Cork", "Bern", seal, SumContext("name: t\n", Members()))));
  Roster fewer = Members();
  fewer.erase("Delft");
  EXPECT_TRUE(refused(Open("Cork", "Bern", seal, SumContext("name: s\n", fewer))));
  for (std::size_t at = 0; at < seal.size(); ++at) {
    SumSeal changed = seal;
    changed[at] ^= 0x10;
    EXPECT_TRUE(refused(Open("Cork", "Bern", changed))) << at;
  }
  EXPECT_TRUE(refused(Open("Cork", "Bern", SumSeal{})));
  EXPECT_EQ(Open("Cork", "Elsewhere", seal).error().code, ErrorCode::kNotFound);
}

TEST(SumShares, AShareOfOneStudySaysNothingOfAnother) {
  const AgreementKey key = TestAgreementKey("Ahus");
  EXPECT_NE(SumShareOf(key, Context()), SumShareOf(key, SumContext("name: t\n", Members())));
  EXPECT_NE(SumShareOf(key, Context()), SumShareOf(TestAgreementKey("Bern"), Context()));
  EXPECT_NE(SumShareOf(key, Context()), key.Secret());
}

TEST(SumShares, AMemberWithAnUnusableKeyIsNamed) {
  Roster members = Members();
  members["Delft"].agreement = {};
  const auto seals = SealShare("Ahus", TestAgreementKey("Ahus"), members, Context());
  ASSERT_FALSE(seals.has_value());
  EXPECT_NE(seals.error().message.find("'Delft'"), std::string::npos) << seals.error().message;
}

}  // namespace
}  // namespace consilium::federation
