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
constexpr int kServerDays = 365;
constexpr char kServerName[] = "coordinator";

Result<void> CheckOptions(const HomeOptions& options) {
  if (options.name.empty() || options.name.size() > identity::kNameBytesMax) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("name: {} characters, expected 1 to {}", options.name.size(),
                            identity::kNameBytesMax));
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

Result<void> NewServerCertificate(Home& home, std::int64_t now_s) {
  auto key = identity::GenerateKey();
  CONSILIUM_TRY(key);
  const auto request = identity::MakeRequest(*key, kServerName, identity::Role::kCoordinator);
  CONSILIUM_TRY(request);
  auto leaf = home.authority.Issue(*request, {kServerName, identity::Role::kCoordinator, now_s,
                                              kServerDays, home.options.hosts});
  CONSILIUM_TRY(leaf);
  home.server_key_pem = std::move(*key);
  // The authority travels with the leaf: who enrols knows its fingerprint and nothing else. What
  // stands above it is for whoever trusts an institution's root.
  home.server_certificate_pem = *leaf + home.authority.chain_pem();
  CONSILIUM_TRY(disk::ReplaceFile(home.folder / "server.key", home.server_key_pem, 0600));
  return disk::ReplaceFile(home.folder / "server.crt", home.server_certificate_pem, 0644);
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
    Home home{folder, options, std::move(*authority), std::move(*signing), {}, {}};
    CONSILIUM_TRY(disk::ReplaceFile(folder / "authority.key", home.authority.key_pem(), 0600));
    CONSILIUM_TRY(disk::ReplaceFile(folder / "authority.crt", home.authority.chain_pem(), 0644));
    CONSILIUM_TRY(disk::ReplaceFile(folder / "signing.key", SeedText(home.signing), 0600));
    CONSILIUM_TRY(NewServerCertificate(home, now_s));
    CONSILIUM_TRY(disk::MakeFolder(home.spool_path(), 0700));
    CONSILIUM_TRY(Store::Create(home.store_path().string()));
    // Last: with it the folder is a coordinator.
    const nlohmann::ordered_json json{{"schema", "consilium.coordinator/1"},
                                      {"name", options.name},
                                      {"hosts", options.hosts},
                                      {"work_port", options.work_port},
                                      {"enrol_port", options.enrol_port}};
    CONSILIUM_TRY(disk::ReplaceFile(folder / "coordinator.json", json.dump(2) + "\n", 0600));
    return home;
  };
  auto home = make();
  if (!home) {
    for (const auto& entry : fs::directory_iterator(folder, error)) fs::remove_all(entry, error);
  }
  return home;
}

Result<Home> OpenHome(const fs::path& folder, std::int64_t now_s) {
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
  Home home{folder, std::move(options), std::move(*authority), std::move(*signing), {}, {}};
  auto server = disk::ReadFile(folder / "server.crt", 1 << 20);
  auto server_key = disk::ReadSecret(folder / "server.key");
  bool fresh = false;
  if (server && server_key) {
    const auto facts = identity::ReadCertificate(*server);
    std::vector<std::string> names;
    if (facts) {
      names = facts->dns_names;
      names.insert(names.end(), facts->ip_addresses.begin(), facts->ip_addresses.end());
    }
    const bool same_hosts =
        facts &&
        std::all_of(home.options.hosts.begin(), home.options.hosts.end(),
                    [&](const std::string& host) {
                      return identity::IsIpAddress(host) && host.find(':') != host.npos
                                 ? true
                                 : std::find(names.begin(), names.end(), host) != names.end();
                    });
    fresh = same_hosts && identity::DaysLeft(*facts, now_s) > kServerDays / 3 &&
            identity::CheckIssued(*server, home.authority.certificate_pem(), now_s) &&
            identity::KeyMatches(*server_key, *server);
  }
  if (fresh) {
    home.server_certificate_pem = std::move(*server);
    home.server_key_pem = std::move(*server_key);
  } else {
    CONSILIUM_TRY(NewServerCertificate(home, now_s));
  }
  CONSILIUM_TRY(disk::MakeFolder(home.spool_path(), 0700));
  return home;
}

}  // namespace consilium::coordinator
