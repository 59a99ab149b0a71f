// consilium site invite|list|revoke.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "console/render.h"
#include "console/verbs.h"
#include "program/program.h"

namespace consilium::console {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  std::string name;
  std::string role = "site";
  std::string reason;
  int hours = 72;
  bool whole_keys = false;
};

int Invite(const Session& session, const Arguments& arguments) {
  if (const auto name = identity::CheckName(arguments.name); !name)
    return session.screen.Report(Within("NAME", name.error()), kUsage);
  auto remote = OpenRemote(session, "site invite");
  if (!remote) return session.screen.Report(remote.error());
  const auto invited =
      remote->Invite(arguments.name, arguments.role, std::int64_t{3600} * arguments.hours);
  if (!invited) return session.screen.Report(invited.error(), CodeOfCall(invited.error()));
  const std::string command =
      (arguments.role == "site" ? "consilium-site enroll " : "consilium key enroll ") +
      invited->token;
  if (session.screen.json) {
    std::cout << Json{{"event", "invited"},
                      {"name", arguments.name},
                      {"role", arguments.role},
                      {"token", invited->token},
                      {"expires_unix_s", invited->expires_s},
                      {"command", command}}
                     .dump()
              << "\n";
    return kOk;
  }
  fmt::print("A token for {} {}, good once, until {}:\n\n{}\n\n", arguments.role, arguments.name,
             identity::UtcText(invited->expires_s), invited->token);
  fmt::print("Send it on a road that only they read. {}:\n\n  {}\n\n",
             arguments.role == "site" ? "At the hospital, one command" : "They run", command);
  fmt::print(
      "It prints a key fingerprint; have it read to you by telephone and compare it with "
      "`consilium site list --keys`.\n");
  return kOk;
}

int List(const Session& session, const Arguments& arguments) {
  auto remote = OpenRemote(session, "site list");
  if (!remote) return session.screen.Report(remote.error());
  const auto found = remote->ListMembers();
  if (!found) return session.screen.Report(found.error(), CodeOfCall(found.error()));
  const std::vector<wire::Member>& members = found->members;
  const std::int64_t now = program::UnixMs();
  if (session.screen.json) {
    for (const wire::Member& member : members) std::cout << MemberJson(member, now) << "\n";
    std::cout << CoordinatorJson(found->server_until_s, found->authority_until_s, now) << "\n";
    return kOk;
  }
  if (members.empty()) {
    fmt::print("Nobody is enrolled at {} yet: consilium site invite NAME\n",
               Shown(remote->enrolment().stored.coordinator));
    return kOk;
  }
  std::cout << MemberTable(members, now, arguments.whole_keys)
            << CoordinatorText(found->server_until_s, found->authority_until_s, now);
  return kOk;
}

int Revoke(const Session& session, const Arguments& arguments) {
  auto remote = OpenRemote(session, "site revoke");
  if (!remote) return session.screen.Report(remote.error());
  const auto revoked = remote->Revoke(arguments.name, arguments.reason);
  if (!revoked) return session.screen.Report(revoked.error(), CodeOfCall(revoked.error()));
  if (session.screen.json) {
    std::cout << Json{{"event", "revoked"}, {"name", arguments.name}}.dump() << "\n";
  } else {
    fmt::print(
        "{} is revoked: its connection is closed and every study counts it as gone. A new "
        "token lets it in again: consilium site invite {}\n",
        Shown(arguments.name), Shown(arguments.name));
  }
  return kOk;
}

}  // namespace

void AddSiteVerbs(CLI::App& app, Session& session) {
  CLI::App* site = app.add_subcommand("site", "Who takes part: sites, leads and auditors");
  site->require_subcommand(1);
  site->footer(
      "Examples:\n"
      "  consilium site invite MUMC\n"
      "  consilium site invite anna --role auditor --hours 24\n"
      "  consilium site list\n"
      "  consilium site revoke MUMC --reason \"left the consortium\"\n");
  const auto arguments = std::make_shared<Arguments>();
  auto* invite = site->add_subcommand("invite", "A one-time token for a site or a person (lead)");
  invite->add_option("NAME", arguments->name, "As studies will call it: letters, digits, . _ -")
      ->required();
  invite->add_option("--role", arguments->role, "site, lead or auditor")
      ->check(CLI::IsMember({"site", "lead", "auditor"}))
      ->capture_default_str();
  invite->add_option("--hours", arguments->hours, "How long the token is good")
      ->check(CLI::Range(1, 720))
      ->capture_default_str();
  invite->callback([&session, arguments] { session.code = Invite(session, *arguments); });
  auto* list = site->add_subcommand(
      "list", "Members: connected or seen, certificates, clocks, key fingerprints");
  list->add_flag("--keys", arguments->whole_keys, "All 64 digits of each fingerprint");
  list->callback([&session, arguments] { session.code = List(session, *arguments); });
  auto* revoke =
      site->add_subcommand("revoke", "Shut a member out at once, open streams too (lead)");
  revoke->add_option("NAME", arguments->name, "Whom")->required();
  revoke->add_option("--reason", arguments->reason, "Shown to the member and kept in the register")
      ->required();
  revoke->callback([&session, arguments] { session.code = Revoke(session, *arguments); });
}

}  // namespace consilium::console
