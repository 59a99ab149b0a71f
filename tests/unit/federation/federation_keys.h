// Sites with keys that depend on their names only: for tests.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "federation/keys.h"
#include "federation/receipt.h"

namespace consilium::federation {

inline SigningKey TestSigningKey(const std::string& site) {
  return SigningKey::FromSeed(Sha256("signing key of " + site).bytes);
}
inline AgreementKey TestAgreementKey(const std::string& site) {
  return AgreementKey::FromSecret(Sha256("agreement key of " + site).bytes);
}
inline Roster TestRoster(const std::vector<std::string>& sites) {
  Roster roster;
  for (const std::string& site : sites) {
    roster[site] = {TestSigningKey(site).verifying_key(), TestAgreementKey(site).public_key()};
  }
  return roster;
}
inline Binding TestBinding(const Roster& roster) {
  return {Sha256("a study"), 4, 1, Sha256("a query"), DigestOf(roster)};
}

}  // namespace consilium::federation
