#include "console/person.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "disk/files.h"
#include "identity/names.h"
#include "identity/private_key.h"

namespace consilium::console {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using disk::FileLock;
using disk::MakeFolder;
using disk::ReadSecret;
using disk::ReplaceFile;
using site_agent::StoredEnrolment;

constexpr std::uintmax_t kFileBytesMax = std::uintmax_t{1} << 20;

fs::path KeysPath(const fs::path& folder) { return folder / "keys.json"; }
fs::path EnrolmentPath(const fs::path& folder) { return folder / "enrolment.json"; }

bool IsThere(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

tl::unexpected<Error> Damaged(const fs::path& path, std::string_view what,
                              std::string_view next_step) {
  return Fail(ErrorCode::kDataLoss, fmt::format("{}: {}; {}", path.string(), what, next_step));
}
constexpr std::string_view kRestoreKeys =
    "restore the file from a copy, or move it away, make new keys (consilium key new) and enrol "
    "anew";
constexpr std::string_view kRestoreEnrolment =
    "restore the file from a copy, or ask a lead for a token and run: consilium key enroll TOKEN";

// One of the two files: an object of format 1 whose fields are text but for the numbers.
class Fields {
 public:
  static Result<Fields> Read(const fs::path& path, std::string_view next_step) {
    const auto text = ReadSecret(path, kFileBytesMax);
    CONSILIUM_TRY(text);
    Fields fields(path, next_step);
    fields.json_ = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
    if (!fields.json_.is_object()) return Damaged(path, "is no JSON object", next_step);
    const auto format = fields.json_.find("format");
    if (format == fields.json_.end() || !format->is_number_integer())
      return Damaged(path, "field 'format' is missing or no number", next_step);
    if (*format != 1) {
      return Fail(ErrorCode::kFailedPrecondition,
                  fmt::format("{}: is of format {}, this program reads format 1; install the "
                              "version that wrote it",
                              path.string(), format->dump()));
    }
    return fields;
  }
  std::string Text(const char* name) {
    const auto found = json_.find(name);
    if (found != json_.end() && found->is_string()) return found->get<std::string>();
    Miss(name);
    return {};
  }
  std::string TextIfThere(const char* name) { return json_.contains(name) ? Text(name) : ""; }
  std::int64_t Integer(const char* name) {
    const auto found = json_.find(name);
    if (found != json_.end() && found->is_number_integer()) return found->get<std::int64_t>();
    Miss(name);
    return 0;
  }
  federation::KeyBytes Key(const char* name) {
    federation::KeyBytes key{};
    const auto bytes = FromHex(Text(name));
    if (bytes && bytes->size() == key.size()) {
      std::copy(bytes->begin(), bytes->end(), key.begin());
    } else {
      Miss(name);
    }
    return key;
  }
  [[nodiscard]] Result<void> Finish() const {
    if (missed_.empty()) return {};
    return Damaged(path_, fmt::format("field '{}' is missing or wrong", missed_), next_step_);
  }

 private:
  Fields(fs::path path, std::string_view next_step)
      : path_(std::move(path)), next_step_(next_step) {}
  void Miss(const char* name) {
    if (missed_.empty()) missed_ = name;
  }
  fs::path path_;
  std::string_view next_step_;
  Json json_;
  std::string missed_;
};

// Whoever writes holds the folder's lock, so that two commands cannot each make keys.
Result<FileLock> LockFolder(const fs::path& folder) {
  CONSILIUM_TRY(MakeFolder(folder));
  return FileLock::Wait(folder / "lock");
}

Result<identity::CertificateFacts> PersonsCertificate(std::string_view pem) {
  auto facts = identity::ReadCertificate(pem);
  CONSILIUM_TRY(facts);
  if (facts->role != identity::Role::kLead && facts->role != identity::Role::kAuditor) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the certificate is of {} {}, expected a lead or an auditor",
                            facts->role ? identity::Name(*facts->role) : "an authority",
                            identity::Quoted(facts->name)));
  }
  return facts;
}

}  // namespace

Result<fs::path> ProfileFolder(const Places& places, std::string_view profile) {
  fs::path folder;
  if (!places.consilium_home.empty()) {
    folder = places.consilium_home;
  } else if (places.xdg_config_home.starts_with('/')) {  // the rule of XDG: else it is ignored
    folder = fs::path(places.xdg_config_home) / "consilium";
  } else if (!places.home.empty()) {
    folder = fs::path(places.home) / ".config" / "consilium";
  } else {
    return Fail(ErrorCode::kNotFound,
                "profile: neither HOME nor CONSILIUM_HOME is set; set CONSILIUM_HOME to the folder "
                "of your keys");
  }
  if (profile.empty()) return folder;
  if (const auto name = identity::CheckName(profile); !name)
    return tl::unexpected<Error>(Within("--profile", name.error()));
  return folder / "profiles" / profile;
}

bool PersonKeys::locked() const { return identity::IsEncryptedKey(tls_key_pem); }

Result<PersonKeys> MakeKeys(const fs::path& folder, std::string_view passphrase) {
  const auto lock = LockFolder(folder);
  CONSILIUM_TRY(lock);
  const fs::path path = KeysPath(folder);
  if (IsThere(path)) {
    const auto keys = LoadKeys(folder);
    CONSILIUM_TRY(keys);
    return Fail(ErrorCode::kAlreadyExists,
                fmt::format("{}: there are keys already, fingerprint {}; keep them, or use another "
                            "--profile",
                            path.string(), Hex(keys->fingerprint())));
  }
  auto signing = federation::SigningKey::Generate();
  CONSILIUM_TRY(signing);
  auto tls_key_pem = identity::GenerateKey();
  CONSILIUM_TRY(tls_key_pem);
  if (!passphrase.empty()) {
    tls_key_pem = identity::EncryptKey(*tls_key_pem, passphrase);
    if (!tls_key_pem)
      return tl::unexpected<Error>(Within("CONSILIUM_PASSPHRASE", tls_key_pem.error()));
  }
  PersonKeys keys{std::move(*signing), std::move(*tls_key_pem)};
  const Json json{
      {"format", 1}, {"signing_seed", Hex(keys.signing.Seed())}, {"tls_key_pem", keys.tls_key_pem}};
  CONSILIUM_TRY(ReplaceFile(path, json.dump(2) + "\n"));
  return keys;
}

Result<PersonKeys> LoadKeys(const fs::path& folder) {
  const fs::path path = KeysPath(folder);
  if (!IsThere(path)) {
    return Fail(
        ErrorCode::kNotFound,
        fmt::format("{}: there are no keys; make them with: consilium key new", path.string()));
  }
  auto fields = Fields::Read(path, kRestoreKeys);
  CONSILIUM_TRY(fields);
  const federation::KeyBytes seed = fields->Key("signing_seed");
  std::string tls_key_pem = fields->Text("tls_key_pem");
  CONSILIUM_TRY(fields->Finish());
  return PersonKeys{federation::SigningKey::FromSeed(seed), std::move(tls_key_pem)};
}

Result<std::string> UnlockTlsKey(const fs::path& folder, const PersonKeys& keys,
                                 std::string_view passphrase) {
  const std::string path = KeysPath(folder).string();
  if (!keys.locked()) {
    // Asking for anything with the key tells whether it is one.
    const auto request = identity::MakeRequest(keys.tls_key_pem, "check", identity::Role::kLead);
    if (!request)
      return Damaged(path, "field 'tls_key_pem': " + request.error().message, kRestoreKeys);
    return keys.tls_key_pem;
  }
  if (passphrase.empty()) {
    return Fail(
        ErrorCode::kFailedPrecondition,
        fmt::format("{}: the TLS key is locked with a passphrase; set CONSILIUM_PASSPHRASE", path));
  }
  auto unlocked = identity::DecryptKey(keys.tls_key_pem, passphrase);
  if (unlocked) return unlocked;
  if (unlocked.error().code == ErrorCode::kPermissionDenied) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("{}: CONSILIUM_PASSPHRASE does not open the TLS key", path));
  }
  return Damaged(path, "field 'tls_key_pem': " + unlocked.error().message, kRestoreKeys);
}

Result<void> CheckReplaces(const fs::path& folder, std::string_view name, const Digest& authority) {
  if (!IsThere(EnrolmentPath(folder))) return {};
  const auto held = LoadEnrolment(folder);
  if (!held && held.error().code == ErrorCode::kDataLoss) return {};  // enrolling anew is the cure
  CONSILIUM_TRY(held);
  const auto before = identity::ReadCertificate(held->stored.authority_pem);
  CONSILIUM_TRY(before);
  if (before->fingerprint != authority) {
    return Fail(
        ErrorCode::kAlreadyExists,
        fmt::format("{}: this profile belongs to {} at coordinator {} ({}), the token is of "
                    "another coordinator; give it a profile of its own: --profile NAME",
                    folder.string(), held->stored.site, held->stored.coordinator,
                    held->stored.address));
  }
  if (held->stored.site != name) {
    return Fail(
        ErrorCode::kAlreadyExists,
        fmt::format("{}: this profile belongs to {}, the token is for {}; give it a profile "
                    "of its own: --profile {}",
                    folder.string(), held->stored.site, name, name));
  }
  return {};
}

Result<void> SaveEnrolment(const fs::path& folder, const StoredEnrolment& enrolment) {
  CONSILIUM_TRY(PersonsCertificate(enrolment.certificate_pem));
  const auto lock = LockFolder(folder);
  CONSILIUM_TRY(lock);
  const Json json{{"format", 1},
                  {"name", enrolment.site},
                  {"certificate_pem", enrolment.certificate_pem},
                  {"authority_pem", enrolment.authority_pem},
                  {"address", enrolment.address},
                  {"coordinator", enrolment.coordinator},
                  {"coordinator_key", Hex(enrolment.coordinator_key.bytes())},
                  {"operated_by", enrolment.operated_by},
                  {"unix_ms", enrolment.unix_ms}};
  return ReplaceFile(EnrolmentPath(folder),
                     json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<PersonEnrolment> LoadEnrolment(const fs::path& folder) {
  const fs::path path = EnrolmentPath(folder);
  if (!IsThere(path)) {
    return Fail(ErrorCode::kNotFound,
                fmt::format("{}: this profile is not enrolled at a coordinator; ask a lead or its "
                            "operator for a token and run: consilium key enroll TOKEN",
                            path.string()));
  }
  auto fields = Fields::Read(path, kRestoreEnrolment);
  CONSILIUM_TRY(fields);
  PersonEnrolment enrolment;
  StoredEnrolment& stored = enrolment.stored;
  stored.site = fields->Text("name");
  stored.certificate_pem = fields->Text("certificate_pem");
  stored.authority_pem = fields->Text("authority_pem");
  stored.address = fields->Text("address");
  stored.coordinator = fields->Text("coordinator");
  stored.coordinator_key = federation::VerifyingKey(fields->Key("coordinator_key"));
  stored.unix_ms = fields->Integer("unix_ms");
  stored.operated_by = fields->TextIfThere("operated_by");
  CONSILIUM_TRY(fields->Finish());
  auto facts = PersonsCertificate(stored.certificate_pem);
  if (!facts)
    return Damaged(path, "field 'certificate_pem': " + facts.error().message, kRestoreEnrolment);
  if (facts->name != stored.site)
    return Damaged(path, "field 'name' is not the certificate's", kRestoreEnrolment);
  if (const auto authority = identity::ReadCertificate(stored.authority_pem); !authority)
    return Damaged(path, "field 'authority_pem': " + authority.error().message, kRestoreEnrolment);
  if (const auto address = identity::ParseAddress(stored.address); !address)
    return Damaged(path, "field 'address': " + address.error().message, kRestoreEnrolment);
  enrolment.certificate = std::move(*facts);
  return enrolment;
}

}  // namespace consilium::console
