// The coordinator's folder: its authority, its own keys, its store.
//
//   authority.crt authority.key   the certificate authority, made once; survives every upgrade
//   server.crt server.key         what the listeners show; renewed while the coordinator serves
//   signing.key                   Ed25519: countersigns ledger heads
//   store.db                      everything else (store.h)
//   spool/                        large answers while they arrive; emptied at start
//
// Keys are 0600 and the folder 0700; what others can read is refused with the chmod to run. An
// institution's own authority may issue instead: authority.crt then holds its chain.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "coordinator/store.h"
#include "federation/keys.h"
#include "identity/authority.h"

namespace consilium::coordinator {

struct HomeOptions {
  std::string name;                // the federation's, for people: "HN consortium"
  std::vector<std::string> hosts;  // DNS names and addresses under which sites reach it
  std::uint16_t work_port = 0;     // mutual TLS
  std::uint16_t enrol_port = 0;    // tokens
  std::string operated_by;         // the lead who operates it, as sites are told; empty: none is
};

// What an institution gives: an issuing certificate, its unlocked key, and the chain above it.
struct OwnAuthority {
  // The issuing certificate first, then each one's issuer; the root may be left out.
  std::string chain_pem;
  std::string key_pem;
};

// What the listeners show.
struct ServerIdentity {
  // The leaf, then the authority's chain; empty: there is none that can be used.
  std::string certificate_pem;
  std::string key_pem;
};

struct Home {
  std::filesystem::path folder;
  HomeOptions options;
  identity::Authority authority;
  federation::SigningKey signing;
  ServerIdentity server;

  [[nodiscard]] std::filesystem::path store_path() const { return folder / "store.db"; }
  [[nodiscard]] std::filesystem::path spool_path() const { return folder / "spool"; }
  // "host:port" for sites: the first host.
  [[nodiscard]] std::string work_address() const;
  [[nodiscard]] std::string enrol_address() const;
};

// Makes the folder and everything in it; nothing is left if it fails. The authority is made too,
// unless there is an `own` one, whose chain is checked (identity::Authority::CheckChain).
// Errors: kAlreadyExists (there is a coordinator in the folder), kInvalidArgument (hosts, ports),
// kUnavailable (the disk); those of Authority::Load and CheckChain.
[[nodiscard]] Result<Home> InitHome(const std::filesystem::path& folder, const HomeOptions& options,
                                    std::int64_t now_s,
                                    const std::optional<OwnAuthority>& own = std::nullopt);

// Reads the folder and changes nothing in it: commands beside a coordinator that serves do too.
// Errors: kNotFound (no coordinator there: names the command), kPermissionDenied (a key others can
// read), kDataLoss (damaged).
[[nodiscard]] Result<Home> OpenHome(const std::filesystem::path& folder);

// What the listeners should show from now_s on, if that is not `shown`: a new certificate for the
// hosts of the options, for the same key as long as there is one that can be used, so that
// server.crt and server.key fit at every moment and whatever crashes between them. It is due when
// less than a third of kServerDays is left (and the authority lasts longer), when the hosts or the
// authority changed, or when there is none. Written to the folder before it is returned.
// Errors: those of Authority::Issue (the authority has ended: FAILED_PRECONDITION) and of
// disk::ReplaceFile; then `shown` is still the best there is.
[[nodiscard]] Result<std::optional<ServerIdentity>> RenewServer(const Home& home,
                                                                const ServerIdentity& shown,
                                                                std::int64_t now_s);
inline constexpr int kServerDays = 365;  // life of a server certificate

// What ends soon, a sentence each with what to do: what the listeners show from 30 days on, which
// means that it could not be renewed, and the authority from 90 days on, because a new one means
// that every member enrols again. Empty: nothing.
[[nodiscard]] std::vector<std::string> EndingSoon(const Home& home, const ServerIdentity& shown,
                                                  std::int64_t now_s);
inline constexpr int kEndsSoonDays = 30;
inline constexpr int kAuthorityEndsDays = 90;

}  // namespace consilium::coordinator
