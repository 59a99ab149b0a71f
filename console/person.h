// A lead's or an auditor's folder: keys and enrolment, one profile a coordinator.
//
//   keys.json       seed of the Ed25519 key that signs studies, the TLS key          0600
//   enrolment.json  certificate, authority, address and key of the coordinator      0600
//   lock            held while one of them is written
//
// The TLS key may be locked with a passphrase (CONSILIUM_PASSPHRASE); the seed is protected by the
// file's mode alone. Files are replaced whole and refused when others may read them. No message
// repeats a secret. Format: docs/formats/person.md.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "federation/keys.h"
#include "identity/certificate.h"
#include "site_agent/store.h"

namespace consilium::console {

// Where the environment says that configuration lives; empty: not set.
struct Places {
  std::string consilium_home;   // CONSILIUM_HOME: instead of ~/.config/consilium
  std::string xdg_config_home;  // XDG_CONFIG_HOME: instead of ~/.config
  std::string home;             // HOME
};
// The folder of a profile: ~/.config/consilium, or profiles/NAME below it. Errors: kInvalidArgument
// (the name, by identity::CheckName), kNotFound (the environment names no home).
[[nodiscard]] Result<std::filesystem::path> ProfileFolder(const Places& places,
                                                          std::string_view profile);

struct PersonKeys {
  federation::SigningKey signing;
  std::string tls_key_pem;  // as the file has it, locked with a passphrase or not
  // What sites put under policy.leads and people compare.
  [[nodiscard]] Digest fingerprint() const { return signing.verifying_key().fingerprint(); }
  [[nodiscard]] bool locked() const;
};

// New keys; an empty passphrase leaves the TLS key unlocked. Makes the folder (0700).
// Errors: kAlreadyExists (there are keys: names their fingerprint), kInvalidArgument (the
// passphrase), kUnavailable (no entropy), those of disk/files.h.
[[nodiscard]] Result<PersonKeys> MakeKeys(const std::filesystem::path& folder,
                                          std::string_view passphrase);
// Errors: kNotFound (none: names the command), kPermissionDenied (others can read them: gives the
// chmod), kDataLoss (damaged: names the field).
[[nodiscard]] Result<PersonKeys> LoadKeys(const std::filesystem::path& folder);
// The TLS key ready for use. Errors: kFailedPrecondition (locked, and no passphrase was given),
// kPermissionDenied (the passphrase does not open it), kDataLoss (no key that can be read).
[[nodiscard]] Result<std::string> UnlockTlsKey(const std::filesystem::path& folder,
                                               const PersonKeys& keys, std::string_view passphrase);

struct PersonEnrolment {
  site_agent::StoredEnrolment stored;      // `site` is the person's name
  identity::CertificateFacts certificate;  // what stored.certificate_pem says: role, end
};

// Whom an enrolment that is about to be saved would replace. Errors: kAlreadyExists (the profile
// belongs to another coordinator or another person; names both and --profile).
[[nodiscard]] Result<void> CheckReplaces(const std::filesystem::path& folder, std::string_view name,
                                         const Digest& authority);
// Errors: kInvalidArgument (the certificate names no lead and no auditor), those of disk.h.
[[nodiscard]] Result<void> SaveEnrolment(const std::filesystem::path& folder,
                                         const site_agent::StoredEnrolment& enrolment);
// Errors: kNotFound (none: names the command), kPermissionDenied, kDataLoss (damaged: names the
// field), as LoadKeys.
[[nodiscard]] Result<PersonEnrolment> LoadEnrolment(const std::filesystem::path& folder);

}  // namespace consilium::console
