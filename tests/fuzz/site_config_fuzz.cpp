// Any bytes as a site.yaml: no crash, errors have a text, and what is accepted is within its
// bounds.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "site_agent/config.h"
#include "site_agent/offline.h"

namespace {

void Hold(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace consilium::site_agent;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = ParseSiteConfig(text, "/etc/consilium/site.yaml");
  if (!config) {
    Hold(!config.error().message.empty());
    return 0;
  }
  Hold(!config->site.empty() && config->site.size() <= 64);
  Hold(config->state.front() == '/' && !config->cohorts.empty());
  for (const CohortSource& source : config->cohorts)
    Hold(source.file.front() == '/' && source.data.front() == '/');
  const SitePolicy& policy = config->policy;
  Hold(policy.min_sites >= 3 && policy.min_cell >= 1);
  Hold((policy.approve == SitePolicy::Approve::kLead) == !policy.leads.empty());
  const SiteProxy& proxy = config->network.proxy;
  Hold((proxy.kind == SiteProxy::Kind::kHttp) == (proxy.port != 0));
  Hold(proxy.user.empty() == proxy.password_file.empty());
  const auto source = CohortFor(*config, "lung6");
  Hold(source.has_value() || !source.error().message.empty());
  Hold(!PolicyText(*config, OutputForm::kText).empty());
  Hold(!PolicyText(*config, OutputForm::kJson).empty());
  return 0;
}
