#include "site_agent/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/glob.h"
#include "base/strict_yaml.h"
#include "identity/names.h"

namespace consilium::site_agent {
namespace {

constexpr std::size_t kPathBytesMax = 4096;

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

// "/etc/consilium/site.yaml" -> "/etc/consilium/"; empty for a bare name.
std::string FolderOf(std::string_view file_name) {
  const auto slash = file_name.rfind('/');
  return slash == std::string_view::npos ? std::string()
                                         : std::string(file_name.substr(0, slash + 1));
}

class SiteConfigReader {
 public:
  SiteConfigReader(const YamlDocument& document, std::string_view file_name)
      : root_(document.root()), folder_(FolderOf(file_name)) {
    config_.file_name = file_name;
  }

  SiteConfig Read() {
    root_.AllowKeys({"format", "site", "state", "cohorts", "policy", "network", "log_level"});
    static_cast<void>(root_["format"].Integer(1, 1));
    const YamlValue site = root_.Required("site", "the name under which this hospital enrols");
    if (auto name = site.NonEmptyText()) {
      if (const auto good = identity::CheckName(*name); !good)
        site.Problem(good.error().message + "; rename it");
      config_.site = std::move(*name);
    }
    ReadPath(root_["state"], config_.state);
    ReadCohorts();
    ReadPolicy();
    ReadNetwork();
    if (auto level = root_["log_level"].OneOf({"trace", "debug", "info", "warning", "error"}))
      config_.log_level = std::move(*level);
    return std::move(config_);
  }

 private:
  void ReadPath(const YamlValue& value, std::string& target) const {
    auto path = value.NonEmptyText();
    if (!path) return;
    if (path->size() > kPathBytesMax || path->find('\0') != std::string::npos) {
      value.Problem(
          fmt::format("is no path: expected at most {} bytes, none of them zero; correct "
                      "it",
                      kPathBytesMax));
      return;
    }
    if (path->front() == '~') {
      value.Problem("begins with '~', which only a shell understands; write the whole path");
      return;
    }
    target = path->front() == '/' ? std::move(*path) : folder_ + *path;
  }

  void ReadCohorts() {
    const YamlValue cohorts = root_.Required(
        "cohorts", "write 'cohorts: [{file: cohort.yaml, data: FOLDER}]', one item a cohort file");
    const std::vector<YamlValue> items = cohorts.Items();
    if (cohorts.is_sequence() && items.empty())
      cohorts.Problem("is empty: without a cohort file no study can run here; add one");
    if (items.size() > kCohortSourcesMax) {
      cohorts.Problem(fmt::format("has {} items, expected at most {}; use patterns under `studies`",
                                  items.size(), kCohortSourcesMax));
      return;
    }
    bool taken = false;  // an earlier item serves every study
    for (const YamlValue& item : items) {
      if (!item.AllowKeys({"file", "data", "studies"})) continue;
      CohortSource source;
      ReadPath(item.Required("file", "the cohort file, see docs/formats/cohort.md"), source.file);
      ReadPath(item.Required("data", "the folder of the tables that the cohort file names"),
               source.data);
      const YamlValue studies = item["studies"];
      source.studies = studies.DistinctTexts();
      if (studies.is_sequence() && source.studies.empty())
        studies.Problem("is empty, so this cohort serves no study; name some or remove the key");
      for (const std::string& pattern : source.studies) {
        if (pattern.empty()) studies.Problem("has an empty pattern; expected a study's name or *");
      }
      if (taken)
        item.Problem("is never used: a cohort before it serves every study; move that one last");
      const bool all =
          !studies.present() || std::count(source.studies.begin(), source.studies.end(), "*") > 0;
      taken = taken || all;
      config_.cohorts.push_back(std::move(source));
    }
  }

  static void ReadInt(const YamlValue& value, int low, int high, int& target) {
    if (const auto number = value.Integer(low, high)) target = static_cast<int>(*number);
  }
  static void ReadBool(const YamlValue& value, bool& target) {
    if (const auto flag = value.Boolean()) target = *flag;
  }

  void ReadPolicy() {
    const YamlValue policy = root_["policy"];
    if (!policy.AllowKeys({"approve", "leads", "min_sites", "min_cell", "allow_public_data",
                           "allow_fast_curvature", "allow_restart_without",
                           "allow_leave_one_center_out"})) {
      return;
    }
    SitePolicy& to = config_.policy;
    const YamlValue approve = policy["approve"];
    if (const auto word = approve.OneOf({"ask", "lead"}))
      to.approve = *word == "lead" ? SitePolicy::Approve::kLead : SitePolicy::Approve::kAsk;
    ReadLeads(policy["leads"]);
    if (to.approve == SitePolicy::Approve::kLead && !policy["leads"].present())
      approve.Problem("'lead' needs 'leads: [fingerprint, ...]'; add it, or write 'approve: ask'");
    if (to.approve == SitePolicy::Approve::kAsk && policy["leads"].present()) {
      policy["leads"].Problem(
          "is not used under 'approve: ask'; write 'approve: lead' or remove it");
    }
    // Below three a sum of two tells each the other's; public-data lifts it study by study.
    ReadInt(policy["min_sites"], 3, 1000, to.min_sites);
    ReadInt(policy["min_cell"], 1, 1000, to.min_cell);
    ReadBool(policy["allow_public_data"], to.allow_public_data);
    ReadBool(policy["allow_fast_curvature"], to.allow_fast_curvature);
    ReadBool(policy["allow_restart_without"], to.allow_restart_without);
    ReadBool(policy["allow_leave_one_center_out"], to.allow_leave_one_center_out);
  }

  void ReadLeads(const YamlValue& leads) {
    const std::vector<YamlValue> items = leads.Items();
    if (leads.is_sequence() && items.empty())
      leads.Problem("is empty; expected at least one fingerprint of a lead's key");
    if (items.size() > kLeadsMax) {
      leads.Problem(
          fmt::format("has {} items, expected at most {}; remove some", items.size(), kLeadsMax));
      return;
    }
    std::set<Digest> seen;
    for (const YamlValue& item : items) {
      const auto text = item.Text();
      if (!text) continue;
      const auto bytes = FromHex(*text);
      Digest digest;
      if (!bytes || bytes->size() != digest.bytes.size()) {
        item.Problem(
            "is no fingerprint: expected 64 hexadecimal digits; the lead reads them with "
            "`consilium key show`");
        continue;
      }
      std::copy(bytes->begin(), bytes->end(), digest.bytes.begin());
      if (!seen.insert(digest).second) {
        item.Problem("is listed twice; remove one");
        continue;
      }
      config_.policy.leads.push_back(digest);
    }
  }

  void ReadNetwork() {
    const YamlValue network = root_["network"];
    if (!network.AllowKeys({"proxy", "proxy_user", "proxy_password_file", "ca_bundle", "beat_ms"}))
      return;
    SiteProxy& proxy = config_.network.proxy;
    ReadProxy(network["proxy"], proxy);
    const YamlValue user = network["proxy_user"], password = network["proxy_password_file"];
    if (auto text = user.NonEmptyText()) proxy.user = std::move(*text);
    if (proxy.user.find(':') != std::string::npos)
      user.Problem("has a ':', which Basic authentication cannot carry; ask for another user name");
    ReadPath(password, proxy.password_file);
    if (user.present() != password.present()) {
      (user.present() ? password : user)
          .Problem("is missing: proxy_user and proxy_password_file belong together");
    }
    if (proxy.kind != SiteProxy::Kind::kHttp && user.present() && network["proxy"].present()) {
      user.Problem("is used only with 'proxy: http://HOST:PORT'; write that or remove the user");
    }
    if (proxy.kind != SiteProxy::Kind::kHttp && user.present() && !network["proxy"].present())
      user.Problem("is used only with 'proxy: http://HOST:PORT'; add it");
    ReadPath(network["ca_bundle"], config_.network.ca_bundle);
    if (const auto beat = network["beat_ms"].Integer(500, 60000))
      config_.network.beat_ms = static_cast<std::uint32_t>(*beat);
  }

  static void ReadProxy(const YamlValue& value, SiteProxy& proxy) {
    const auto text = value.NonEmptyText();
    if (!text || *text == "environment") return;
    if (*text == "none") {
      proxy.kind = SiteProxy::Kind::kNone;
      return;
    }
    // The value is not repeated: it may hold a password.
    constexpr std::string_view kScheme = "http://";
    const std::string lower = LowerCase(*text);
    if (lower.find('@') != std::string::npos) {
      value.Problem(
          "holds a user or a password; write 'http://HOST:PORT' here, and proxy_user and "
          "proxy_password_file beside it");
      return;
    }
    if (lower.ends_with(".pac") || lower.find("pac+") == 0 || lower == "pac" || lower == "wpad" ||
        lower == "auto") {
      value.Problem(
          "asks for proxy auto-configuration (PAC), which is not read; ask IT which proxy the PAC "
          "file gives for the coordinator and write 'http://HOST:PORT'");
      return;
    }
    if (lower == "ntlm" || lower == "kerberos" || lower == "negotiate" || lower == "spnego") {
      value.Problem(
          "asks for NTLM or Kerberos, which are not spoken; ask IT for a rule without "
          "authentication for this one destination, or run a local proxy that speaks it (cntlm, "
          "px) and write its 'http://HOST:PORT'");
      return;
    }
    if (lower.find("https://") == 0 || lower.find("socks") == 0) {
      value.Problem(
          "is a proxy that is itself spoken to over TLS or SOCKS, which is not supported; expected "
          "'environment', 'none' or 'http://HOST:PORT' (the connection inside is TLS all the "
          "same)");
      return;
    }
    if (lower.find(kScheme) != 0) {
      value.Problem(
          "is no proxy: expected 'environment', 'none' or 'http://HOST:PORT'; correct it");
      return;
    }
    std::string_view rest = std::string_view(*text).substr(kScheme.size());
    if (rest.ends_with('/')) rest.remove_suffix(1);
    auto address = identity::ParseAddress(rest);
    if (!address) {
      value.Problem(address.error().message + "; correct it");
      return;
    }
    proxy.kind = SiteProxy::Kind::kHttp;
    proxy.host = std::move(address->host);
    proxy.port = address->port;
  }

  YamlValue root_;
  std::string folder_;
  SiteConfig config_;
};

}  // namespace

std::string_view Name(SitePolicy::Approve approve) {
  return approve == SitePolicy::Approve::kLead ? "lead" : "ask";
}

Result<SiteConfig> ParseSiteConfig(std::string_view yaml, std::string_view file_name) {
  auto document = ParseStrictYaml(yaml, file_name);
  CONSILIUM_TRY(document);
  SiteConfig config = SiteConfigReader(*document, file_name).Read();
  if (!document->problems().empty()) return tl::unexpected<Error>(Combine(document->problems()));
  return config;
}

Result<const CohortSource*> CohortFor(const SiteConfig& config, std::string_view study_name) {
  std::vector<std::string> patterns;
  for (const CohortSource& source : config.cohorts) {
    if (source.studies.empty()) return &source;
    for (const std::string& pattern : source.studies) {
      if (GlobMatches(pattern, study_name)) return &source;
      patterns.push_back(pattern);
    }
  }
  return Fail(ErrorCode::kNotFound,
              fmt::format("{}: no cohort serves the study '{}': the patterns under `cohorts` are "
                          "{}; add the study's name or a cohort for it",
                          config.file_name, study_name, fmt::join(patterns, ", ")));
}

}  // namespace consilium::site_agent
