// site.yaml: what a hospital's agent is, where its tables are, what it may approve, how it dials
// out.
//
// Pure: text in, values out; nothing is looked up on the disk. Every path that is not absolute
// stands relative to the folder of the file itself. All problems are told at once, each with file,
// line, column and field. Keys, defaults and reasons: docs/formats/site.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "site_agent/gate.h"

namespace consilium::site_agent {

// One cohort file, the folder of its tables, and the studies that it serves.
struct CohortSource {
  std::string file;                  // the cohort file
  std::string data;                  // the folder that its paths are relative to
  std::vector<std::string> studies;  // patterns on study names (base/glob.h); empty: every study
};

struct SitePolicy {
  enum class Approve { kAsk, kLead };
  Approve approve = Approve::kAsk;  // kLead: studies that a lead of `leads` signed are approved
                                    // without asking, as far as the lines below allow
  std::vector<Digest> leads;        // federation::VerifyingKey::fingerprint
  int min_sites = 3;
  int min_cell = 5;
  bool allow_public_data = false;  // for people too: studies with policy: public-data
  // Without asking; a person may say yes to each of these for one study.
  bool allow_fast_curvature = false;
  bool allow_restart_without = false;
  bool allow_leave_one_center_out = false;

  // What the gate holds whatever anybody approves.
  [[nodiscard]] SiteSettings settings() const { return {min_sites, min_cell, allow_public_data}; }
};

struct SiteProxy {
  enum class Kind { kEnvironment, kNone, kHttp };
  Kind kind = Kind::kEnvironment;  // kEnvironment: https_proxy and no_proxy, as other programs
  std::string host;                // kHttp; an IPv6 address without brackets
  std::uint16_t port = 0;          // kHttp
  std::string user;                // empty: the proxy asks for no password
  std::string password_file;       // its first line is the password; 0600
};

struct SiteNetwork {
  SiteProxy proxy;
  std::string ca_bundle;                 // PEM of a corporate authority; empty: none
  std::optional<std::uint32_t> beat_ms;  // 500 to 60000; absent: the coordinator's
};

struct SiteConfig {
  std::string file_name;
  std::string site;
  std::string state = "/var/lib/consilium-site";
  std::vector<CohortSource> cohorts;
  SitePolicy policy;
  SiteNetwork network;
  std::string log_level = "info";  // trace, debug, info, warning, error
};

inline constexpr std::size_t kCohortSourcesMax = 1000;
inline constexpr std::size_t kLeadsMax = 1000;

// The configuration in `yaml`; messages begin with "FILE:LINE:COL: field 'a.b': ".
// Errors: kInvalidArgument (all problems, a line each), kResourceExhausted (beyond 1 MiB or nested
// too deeply).
[[nodiscard]] Result<SiteConfig> ParseSiteConfig(std::string_view yaml, std::string_view file_name);

// The first cohort whose patterns match the study's name; it lives in `config`.
// Errors: kNotFound (names the study and the patterns, and what to add).
[[nodiscard]] Result<const CohortSource*> CohortFor(const SiteConfig& config,
                                                    std::string_view study_name);

// "ask", "lead".
[[nodiscard]] std::string_view Name(SitePolicy::Approve approve);

}  // namespace consilium::site_agent
