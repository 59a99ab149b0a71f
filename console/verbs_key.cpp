// consilium key new|enroll|show|renew, and what all verbs share.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "console/render.h"
#include "console/verbs.h"
#include "identity/token.h"
#include "program/program.h"
#include "site_agent/link.h"

namespace consilium::console {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::string Variable(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): one thread so far
  return value == nullptr ? "" : value;
}

std::string UntilText(const identity::CertificateFacts& certificate, std::int64_t now_s) {
  const int days = identity::DaysLeft(certificate, now_s);
  return fmt::format("{} ({})", identity::UtcText(certificate.not_after_s),
                     days < 0 ? "it has ended" : fmt::format("{} days", days));
}

int New(const Session& session) {
  const auto folder = FolderOf(session);
  if (!folder) return session.screen.Report(folder.error());
  const auto keys = MakeKeys(*folder, Passphrase());
  if (!keys) return session.screen.Report(keys.error());
  if (session.screen.json) {
    std::cout << Json{{"event", "keys"},
                      {"key", Hex(keys->fingerprint())},
                      {"locked", keys->locked()},
                      {"folder", folder->string()}}
                     .dump()
              << "\n";
    return kOk;
  }
  fmt::print("New keys in {}{}.\n", folder->string(),
             keys->locked() ? ", the TLS key locked with the passphrase" : "");
  fmt::print("  key fingerprint  {}\n", Hex(keys->fingerprint()));
  fmt::print(
      "Next: consilium key enroll TOKEN, with the token that a lead or the coordinator's "
      "operator made for you.\n");
  return kOk;
}

Result<PersonKeys> KeysFor(const fs::path& folder) {
  auto keys = LoadKeys(folder);
  if (!keys && keys.error().code == ErrorCode::kNotFound) return MakeKeys(folder, Passphrase());
  return keys;
}

Result<site_agent::StoredEnrolment> EnrolAt(const fs::path& folder, const identity::Token& token) {
  if (token.role == identity::Role::kSite) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("the token is for site {}: it is used at that hospital, with "
                            "consilium-site enroll TOKEN",
                            token.name));
  }
  CONSILIUM_TRY(identity::CheckUnexpired(token, program::UnixMs() / 1000));
  CONSILIUM_TRY(CheckReplaces(folder, token.name, token.authority));
  const auto keys = KeysFor(folder);
  CONSILIUM_TRY(keys);
  const auto tls_key_pem = UnlockTlsKey(folder, *keys, Passphrase());
  CONSILIUM_TRY(tls_key_pem);
  auto enrolled =
      site_agent::EnrolWith(token, {*tls_key_pem, &keys->signing, nullptr}, {}, program::UnixMs());
  if (!enrolled) {
    return tl::unexpected<Error>(Error{
        enrolled.error().code,
        fmt::format("coordinator at {}: consilium key enroll: {}{}", token.address,
                    Shown(enrolled.error().message),
                    enrolled.error().code == ErrorCode::kUnavailable
                        ? "\nThe token is not used up: give the command again when the coordinator "
                          "can be reached."
                        : "\nA token serves once and for a limited time; a lead makes another with "
                          "consilium site invite.")});
  }
  CONSILIUM_TRY(SaveEnrolment(folder, *enrolled));
  return enrolled;
}

int Enroll(const Session& session, std::string text) {
  const auto folder = FolderOf(session);
  if (!folder) return session.screen.Report(folder.error());
  if (text == "-") std::getline(std::cin, text);
  const auto token = identity::DecodeToken(text);
  if (!token) return session.screen.Report(Within("TOKEN", token.error()));
  const auto enrolled = EnrolAt(*folder, *token);
  if (!enrolled) return session.screen.Report(enrolled.error(), CodeOfCall(enrolled.error()));
  const auto keys = LoadKeys(*folder);
  if (!keys) return session.screen.Report(keys.error());
  const auto saved = LoadEnrolment(*folder);
  if (!saved) return session.screen.Report(saved.error());
  const std::string coordinator = Shown(enrolled->CoordinatorText());
  if (session.screen.json) {
    std::cout << Json{{"event", "enrolled"},
                      {"name", enrolled->site},
                      {"role", identity::Name(token->role)},
                      {"coordinator", Shown(enrolled->coordinator)},
                      {"operated_by", enrolled->operated_by},
                      {"address", enrolled->address},
                      {"certificate_until_unix_s", saved->certificate.not_after_s},
                      {"key", Hex(keys->fingerprint())}}
                     .dump()
              << "\n";
    return kOk;
  }
  fmt::print("{} is enrolled as {} at {} ({}).\n", enrolled->site, identity::Name(token->role),
             coordinator, enrolled->address);
  fmt::print("  certificate until {}; renew it before with: consilium key renew\n",
             UntilText(saved->certificate, program::UnixMs() / 1000));
  fmt::print("  key fingerprint   {}\n", Hex(keys->fingerprint()));
  if (token->role == identity::Role::kLead) {
    fmt::print(
        "Tell the sites this fingerprint by telephone: it stands under every study that you "
        "submit, and a site may list it under policy.leads.\n");
  }
  return kOk;
}

int Show(const Session& session) {
  const auto folder = FolderOf(session);
  if (!folder) return session.screen.Report(folder.error());
  const auto keys = LoadKeys(*folder);
  if (!keys) return session.screen.Report(keys.error());
  const auto enrolment = LoadEnrolment(*folder);
  const bool enrolled = enrolment.has_value();
  if (!enrolled && enrolment.error().code != ErrorCode::kNotFound)
    return session.screen.Report(enrolment.error());
  const std::int64_t now_s = program::UnixMs() / 1000;
  Digest authority;
  if (enrolled) {
    const auto facts = identity::ReadCertificate(enrolment->stored.authority_pem);
    if (!facts) return session.screen.Report(facts.error());
    authority = facts->fingerprint;
  }
  if (session.screen.json) {
    Json json{{"event", "keys"},
              {"key", Hex(keys->fingerprint())},
              {"locked", keys->locked()},
              {"folder", folder->string()},
              {"enrolled", enrolled}};
    if (enrolled) {
      json["name"] = enrolment->stored.site;
      json["role"] = identity::Name(*enrolment->certificate.role);
      json["coordinator"] = Shown(enrolment->stored.coordinator);
      json["operated_by"] = enrolment->stored.operated_by;
      json["address"] = enrolment->stored.address;
      json["authority"] = Hex(authority);
      json["certificate_until_unix_s"] = enrolment->certificate.not_after_s;
      json["days_left"] = identity::DaysLeft(enrolment->certificate, now_s);
    }
    std::cout << json.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
    return kOk;
  }
  const auto line = [](std::string_view name, std::string_view value) {
    fmt::print("{:<18} {}\n", name, value);
  };
  line("folder", folder->string());
  line("key fingerprint", Hex(keys->fingerprint()));
  line("TLS key", keys->locked() ? "locked (CONSILIUM_PASSPHRASE)" : "not locked");
  if (!enrolled) {
    line("enrolled", "no: consilium key enroll TOKEN");
    return kOk;
  }
  line("name",
       fmt::format("{}, {}", enrolment->stored.site, identity::Name(*enrolment->certificate.role)));
  line("coordinator", fmt::format("{} ({})", Shown(enrolment->stored.CoordinatorText()),
                                  enrolment->stored.address));
  line("its authority", Hex(authority));
  line("certificate until", UntilText(enrolment->certificate, now_s));
  if (identity::DaysLeft(enrolment->certificate, now_s) < kExpiryWarningDays)
    session.screen.Note("the certificate ends soon or has ended: consilium key renew");
  return kOk;
}

int Renew(const Session& session) {
  const auto folder = FolderOf(session);
  if (!folder) return session.screen.Report(folder.error());
  auto remote = OpenRemote(session, "key renew");
  if (!remote) return session.screen.Report(remote.error());
  const std::int64_t now_s = program::UnixMs() / 1000;
  auto renewed = remote->Renew(now_s);
  if (!renewed) return session.screen.Report(renewed.error(), CodeOfCall(renewed.error()));
  site_agent::StoredEnrolment enrolment = remote->enrolment().stored;
  enrolment.certificate_pem = std::move(*renewed);
  if (const auto saved = SaveEnrolment(*folder, enrolment); !saved)
    return session.screen.Report(saved.error());
  const auto facts = identity::ReadCertificate(enrolment.certificate_pem);
  if (!facts) return session.screen.Report(facts.error());
  if (session.screen.json) {
    std::cout << Json{{"event", "renewed"},
                      {"name", enrolment.site},
                      {"certificate_until_unix_s", facts->not_after_s}}
                     .dump()
              << "\n";
  } else {
    fmt::print("{} at {}: certificate until {}\n", enrolment.site, Shown(enrolment.coordinator),
               UntilText(*facts, now_s));
  }
  return kOk;
}

}  // namespace

Result<fs::path> FolderOf(const Session& session) {
  return ProfileFolder({Variable("CONSILIUM_HOME"), Variable("XDG_CONFIG_HOME"), Variable("HOME")},
                       session.profile);
}

std::string Passphrase() { return Variable("CONSILIUM_PASSPHRASE"); }

Result<Remote> OpenRemote(const Session& session, std::string command) {
  const auto folder = FolderOf(session);
  CONSILIUM_TRY(folder);
  const std::int64_t now_s = program::UnixMs() / 1000;
  const bool renews = command == "key renew";
  auto remote = Remote::Open(*folder, Passphrase(), std::move(command), now_s);
  CONSILIUM_TRY(remote);
  const int days = identity::DaysLeft(remote->enrolment().certificate, now_s);
  if (days < kExpiryWarningDays && !renews) {
    session.screen.Note(
        fmt::format("your certificate at coordinator {} ends in {} days: consilium "
                    "key renew",
                    Shown(remote->enrolment().stored.coordinator), days));
  }
  return remote;
}

void AddKeyVerbs(CLI::App& app, Session& session) {
  CLI::App* key = app.add_subcommand("key", "Your own keys, and your place at a coordinator");
  key->require_subcommand(1);
  key->footer(
      "Keys stay in ~/.config/consilium (CONSILIUM_HOME; --profile NAME: one folder a\n"
      "coordinator). CONSILIUM_PASSPHRASE locks and unlocks the TLS key.\n"
      "Example:\n"
      "  consilium key enroll CT1-4GSTB6VM-...   the token that somebody made for you\n"
      "  consilium key show\n");
  key->add_subcommand("new", "Make keys and print their fingerprint; `enroll` does it by itself")
      ->callback([&session] { session.code = New(session); });
  auto* enroll = key->add_subcommand("enroll", "Enrol at the coordinator that made the token");
  const auto token = std::make_shared<std::string>();
  enroll->add_option("TOKEN", *token, "CT1-..., or - to read it from standard input")->required();
  enroll->callback([&session, token] { session.code = Enroll(session, *token); });
  key->add_subcommand("show", "Fingerprint, coordinator, and how long the certificate lasts")
      ->callback([&session] { session.code = Show(session); });
  key->add_subcommand("renew", "A new certificate for the same key, before the old one ends")
      ->callback([&session] { session.code = Renew(session); });
}

}  // namespace consilium::console
