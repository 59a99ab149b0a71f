#include "coordinator/home.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "disk/files.h"
#include "identity/certificate.h"
#include "identity/private_key.h"

namespace consilium::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr int kAuthorityYears = 15;
constexpr char kServerName[] = "coordinator";

Result<void> CheckOptions(const HomeOptions& options) {
  if (options.name.empty() || options.name.size() > identity::kNameBytesMax) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("name: {} characters, expected 1 to {}", options.name.size(),
                            identity::kNameBytesMax));
  }
  if (!options.operated_by.empty()) {
    if (const auto lead = identity::CheckName(options.operated_by); !lead)
      return tl::unexpected<Error>(Within("operator", lead.error()));
  }
  if (options.hosts.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "hosts: none is given; name the DNS name or address under which the sites reach "
                "this coordinator (--host)");
  }
  for (const std::string& host : options.hosts) CONSILIUM_TRY(identity::CheckHost(host));
  if (options.work_port == 0 || options.enrol_port == 0 ||
      options.work_port == options.enrol_port) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("ports: {} for work and {} for enrolment; expected two different "
                            "ports from 1 to 65535",
                            options.work_port, options.enrol_port));
  }
  return {};
}

// A certificate for `key_pem`, or for a new key if that is empty.
Result<ServerIdentity> NewServer(const Home& home, std::string key_pem, std::int64_t now_s) {
  const bool new_key = key_pem.empty();
  if (new_key) {
    auto made = identity::GenerateKey();
    CONSILIUM_TRY(made);
    key_pem = std::move(*made);
  }
  const auto request = identity::MakeRequest(key_pem, kServerName, identity::Role::kCoordinator);
  CONSILIUM_TRY(request);
  const auto leaf = home.authority.Issue(*request, {kServerName, identity::Role::kCoordinator,
                                                    now_s, kServerDays, home.options.hosts});
  CONSILIUM_TRY(leaf);
  // The authority travels with the leaf: who enrols knows its fingerprint and nothing else. What
  // stands above it is for whoever trusts an institution's root.
  ServerIdentity made{*leaf + home.authority.chain_pem(), std::move(key_pem)};
  if (new_key) CONSILIUM_TRY(disk::ReplaceFile(home.folder / "server.key", made.key_pem, 0600));
  CONSILIUM_TRY(disk::ReplaceFile(home.folder / "server.crt", made.certificate_pem, 0644));
  return made;
}

// Whether the certificate names every host; IPv6 is written in many ways and is not compared.
bool NamesHosts(const identity::CertificateFacts& facts, const std::vector<std::string>& hosts) {
  std::vector<std::string> names = facts.dns_names;
  names.insert(names.end(), facts.ip_addresses.begin(), facts.ip_addresses.end());
  return std::all_of(hosts.begin(), hosts.end(), [&](const std::string& host) {
    return (identity::IsIpAddress(host) && host.find(':') != host.npos) ||
           std::find(names.begin(), names.end(), host) != names.end();
  });
}

std::string SeedText(const federation::SigningKey& key) { return Hex(key.Seed()) + "\n"; }

Result<federation::SigningKey> ReadSeed(const fs::path& path) {
  const auto text = disk::ReadSecret(path, 1024);
  CONSILIUM_TRY(text);
  const auto bytes = FromHex(std::string_view(*text).substr(0, text->find('\n')));
  federation::KeyBytes seed{};
  if (!bytes || bytes->size() != seed.size())
    return Fail(
        ErrorCode::kDataLoss,
        path.string() + ": it is no key of 64 hexadecimal digits; restore it from a backup");
  std::copy(bytes->begin(), bytes->end(), seed.begin());
  return federation::SigningKey::FromSeed(seed);
}

std::string Address(const std::string& host, std::uint16_t port) {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

}  // namespace

std::string Home::work_address() const { return Address(options.hosts.front(), options.work_port); }
std::string Home::enrol_address() const {
  return Address(options.hosts.front(), options.enrol_port);
}

Result<Home> InitHome(const fs::path& folder, const HomeOptions& options, std::int64_t now_s,
                      const std::optional<OwnAuthority>& own) {
  CONSILIUM_TRY(CheckOptions(options));
  std::error_code error;
  if (fs::exists(folder / "coordinator.json", error)) {
    return Fail(ErrorCode::kAlreadyExists,
                folder.string() +
                    ": there is a coordinator in it; `consilium-coordinator serve` "
                    "starts it");
  }
  CONSILIUM_TRY(disk::MakeFolder(folder, 0700));
  if (!fs::is_empty(folder, error) || error) {
    return Fail(ErrorCode::kAlreadyExists,
                folder.string() + ": it is not empty; name a new folder for the coordinator");
  }
  const auto make = [&]() -> Result<Home> {
    auto authority = own ? identity::Authority::Load(own->chain_pem, own->key_pem)
                         : identity::Authority::Create(options.name, now_s, kAuthorityYears);
    CONSILIUM_TRY(authority);
    if (own) {
      CONSILIUM_TRY(authority->CheckChain(options.hosts, now_s));
    }
    auto signing = federation::SigningKey::Generate();
    CONSILIUM_TRY(signing);
    Home home{folder, options, std::move(*authority), std::move(*signing), {}};
    CONSILIUM_TRY(disk::ReplaceFile(folder / "authority.key", home.authority.key_pem(), 0600));
    CONSILIUM_TRY(disk::ReplaceFile(folder / "authority.crt", home.authority.chain_pem(), 0644));
    CONSILIUM_TRY(disk::ReplaceFile(folder / "signing.key", SeedText(home.signing), 0600));
    auto server = NewServer(home, "", now_s);
    CONSILIUM_TRY(server);
    home.server = std::move(*server);
    CONSILIUM_TRY(disk::MakeFolder(home.spool_path(), 0700));
    CONSILIUM_TRY(Store::Create(home.store_path().string()));
    // Last: with it the folder is a coordinator.
    nlohmann::ordered_json json{{"schema", "consilium.coordinator/1"},
                                {"name", options.name},
                                {"hosts", options.hosts},
                                {"work_port", options.work_port},
                                {"enrol_port", options.enrol_port}};
    if (!options.operated_by.empty()) json["operated_by"] = options.operated_by;
    CONSILIUM_TRY(disk::ReplaceFile(folder / "coordinator.json", json.dump(2) + "\n", 0600));
    return home;
  };
  auto home = make();
  if (!home) {
    for (const auto& entry : fs::directory_iterator(folder, error)) fs::remove_all(entry, error);
  }
  return home;
}

Result<Home> OpenHome(const fs::path& folder) {
  const auto text = disk::ReadFile(folder / "coordinator.json", 1 << 20);
  if (!text) {
    return Fail(ErrorCode::kNotFound, fmt::format("{}: no coordinator is there ({}); make one with "
                                                  "`consilium-coordinator init`",
                                                  folder.string(), text.error().message));
  }
  HomeOptions options;
  try {
    const auto json = nlohmann::json::parse(*text);
    options.name = json.at("name").get<std::string>();
    options.hosts = json.at("hosts").get<std::vector<std::string>>();
    options.work_port = json.at("work_port").get<std::uint16_t>();
    options.enrol_port = json.at("enrol_port").get<std::uint16_t>();
    options.operated_by = json.value("operated_by", std::string());
  } catch (const nlohmann::json::exception& wrong) {
    return Fail(ErrorCode::kDataLoss,
                fmt::format("{}: {}; restore it from a backup",
                            (folder / "coordinator.json").string(), wrong.what()));
  }
  CONSILIUM_TRY(CheckOptions(options));
  const auto certificate = disk::ReadFile(folder / "authority.crt", 1 << 20);
  CONSILIUM_TRY(certificate);
  const auto key = disk::ReadSecret(folder / "authority.key");
  CONSILIUM_TRY(key);
  auto authority = identity::Authority::Load(*certificate, *key);
  CONSILIUM_TRY(authority);
  auto signing = ReadSeed(folder / "signing.key");
  CONSILIUM_TRY(signing);
  Home home{folder, std::move(options), std::move(*authority), std::move(*signing), {}};
  auto server = disk::ReadFile(folder / "server.crt", 1 << 20);
  auto server_key = disk::ReadSecret(folder / "server.key");
  // Whatever is wrong with them, RenewServer makes them anew; a key that others can read is not
  // for that.
  if (!server_key && server_key.error().code == ErrorCode::kPermissionDenied)
    return tl::unexpected<Error>(server_key.error());
  if (server) home.server.certificate_pem = std::move(*server);
  if (server_key) home.server.key_pem = std::move(*server_key);
  return home;
}

Result<std::optional<ServerIdentity>> RenewServer(const Home& home, const ServerIdentity& shown,
                                                  std::int64_t now_s) {
  const auto facts = identity::ReadCertificate(shown.certificate_pem);
  const bool usable =
      facts && NamesHosts(*facts, home.options.hosts) &&
      identity::CheckIssued(shown.certificate_pem, home.authority.certificate_pem(), now_s) &&
      identity::KeyMatches(shown.key_pem, shown.certificate_pem);
  const bool young = facts && identity::DaysLeft(*facts, now_s) > kServerDays / 3;
  // A new one would end no later: there is nothing to gain, and nothing to do every hour.
  const bool last = facts && facts->not_after_s >= home.authority.facts().not_after_s;
  if (usable && (young || last)) return std::optional<ServerIdentity>();
  const bool good_key =
      identity::MakeRequest(shown.key_pem, kServerName, identity::Role::kCoordinator).has_value();
  auto made = NewServer(home, good_key ? shown.key_pem : std::string(), now_s);
  CONSILIUM_TRY(made);
  return std::optional<ServerIdentity>(std::move(*made));
}

std::vector<std::string> EndingSoon(const Home& home, const ServerIdentity& shown,
                                    std::int64_t now_s) {
  std::vector<std::string> told;
  const auto until = [&](std::string_view what, const identity::CertificateFacts& facts) {
    const int days = identity::DaysLeft(facts, now_s);
    return days < 0 ? fmt::format("{} ended {}", what, identity::UtcText(facts.not_after_s))
                    : fmt::format("{} ends in {} days, {}", what, days,
                                  identity::UtcText(facts.not_after_s));
  };
  const auto server = identity::ReadCertificate(shown.certificate_pem);
  const identity::CertificateFacts& authority = home.authority.facts();
  if (!server) {
    told.emplace_back("there is no server certificate; `consilium-coordinator serve` makes one");
  } else if (identity::DaysLeft(*server, now_s) < kEndsSoonDays &&
             server->not_after_s < authority.not_after_s) {
    told.push_back(until("the server certificate", *server) +
                   "; a coordinator that runs renews it by itself: start it, or look in its log "
                   "why it cannot");
  }
  if (identity::DaysLeft(authority, now_s) < kAuthorityEndsDays) {
    told.push_back(until("the authority", authority) +
                   ", and all certificates with it; finish the studies, then make a new "
                   "coordinator (or put a new authority into the folder) and enrol every member "
                   "anew");
  }
  return told;
}

}  // namespace consilium::coordinator
