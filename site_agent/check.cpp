#include "site_agent/check.h"

#include <consilium/v1/consilium.grpc.pb.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "identity/certificate.h"
#include "identity/names.h"
#include "identity/private_key.h"
#include "site_agent/cohort_folder.h"
#include "site_agent/dial.h"
#include "site_agent/link.h"
#include "site_agent/offline.h"
#include "site_agent/store.h"
#include "study/program.h"

namespace consilium::site_agent {
namespace {

using State = CheckLine::State;

constexpr int kWarnDays = 30;
constexpr std::int64_t kSkewMs = 60'000;

// A layer's lines in order; after the first failure the layers that need it are not looked at.
class Report {
 public:
  void Good(std::string layer, std::string found) {
    lines.push_back({std::move(layer), State::kGood, std::move(found), ""});
  }
  void Warn(std::string layer, std::string found, std::string next) {
    lines.push_back({std::move(layer), State::kWarning, std::move(found), std::move(next)});
  }
  void Failed(std::string layer, const Error& error) {
    // Messages end in what to do, behind the last semicolon.
    const auto cut = error.message.rfind("; ");
    lines.push_back({std::move(layer), State::kFailed, error.message.substr(0, cut),
                     cut == std::string::npos ? "" : error.message.substr(cut + 2)});
  }
  void Skip(std::initializer_list<const char*> layers, std::string_view because) {
    for (const char* layer : layers)
      lines.push_back({layer, State::kNotLooked, fmt::format("after {}", because), ""});
  }
  std::vector<CheckLine> lines;
};

void CheckCohorts(const SiteConfig& config, const CheckOptions& options, const Bytes& secret,
                  Report& report) {
  if (!options.study_file.empty()) {
    const auto text = CohortText(config, options.study_file, secret, OutputForm::kText);
    if (text) {
      report.Good("cohort", fmt::format("it fits {}", options.study_file));
    } else {
      report.Failed("cohort", text.error());
    }
    return;
  }
  if (config.cohorts.empty()) {
    report.Warn("cohort", "none is configured", "add `cohorts` to " + config.file_name);
    return;
  }
  for (const CohortSource& source : config.cohorts) {
    const auto tables = ReadCohort(source.file, source.data, config.site, config.file_name);
    const auto header =
        tables ? RadiomicsHeader(*tables)
               : Result<std::vector<std::string>>(tl::unexpected<Error>(tables.error()));
    if (header) {
      report.Good("cohort", fmt::format("{}: {} columns", source.file, header->size()));
    } else {
      report.Failed("cohort", header.error());
    }
  }
}

// What the coordinator itself says, over the mutual TLS of every later call.
void AskCoordinator(const SiteConfig& config, const StoredEnrolment& enrolment,
                    const std::string& tls_key_pem, std::int64_t unix_ms, Report& report) {
  const auto channel = OpenChannel(enrolment, tls_key_pem, config.network);
  if (!channel) {
    report.Failed("coordinator", channel.error());
    return;
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(15));
  v1::PingRequest request;
  wire::Versions ours;
  ours.engine = study::kEngineVersion;
  wire::Encode(ours, *request.mutable_versions());
  v1::PingReply reply;
  const auto began = std::chrono::steady_clock::now();
  const grpc::Status status = v1::Sites::NewStub(*channel)->Ping(&context, request, &reply);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::steady_clock::now() - began)
                        .count();
  if (!status.ok()) {
    Error error = ErrorOf(status, "coordinator");
    if (error.code == ErrorCode::kUnavailable)
      error.message += "; the listener does not take this certificate, or shows another authority";
    report.Failed("coordinator", error);
    return;
  }
  report.Good("coordinator", fmt::format("{} lets {} in; {}; {} ms", enrolment.coordinator,
                                         reply.name(), reply.versions().engine(), took));
  const std::int64_t skew = unix_ms + took / 2 - reply.unix_ms();
  if (std::abs(skew) > kSkewMs) {
    report.Warn("clock",
                fmt::format("this machine is {} s {} the coordinator", std::abs(skew) / 1000,
                            skew > 0 ? "ahead of" : "behind"),
                "set it by NTP: certificates are judged by it");
  } else {
    report.Good("clock", fmt::format("within {} ms of the coordinator's", std::abs(skew)));
  }
}

}  // namespace

std::string_view Name(State state) {
  switch (state) {
    case State::kGood:
      return "good";
    case State::kWarning:
      return "warning";
    case State::kFailed:
      return "failed";
    case State::kNotLooked:
      return "not looked at";
  }
  return "unknown";
}

std::vector<CheckLine> Check(const SiteConfig& config, const CheckOptions& options,
                             std::int64_t unix_ms) {
  Report report;
  report.Good("configuration", fmt::format("{}: site {}", config.file_name, config.site));
  const auto store = SiteStore::OpenBeside(config.state);
  if (!store) {
    report.Failed("folder", store.error());
    report.Skip({"keys", "enrolment", "certificate", "DNS", "TCP", "TLS", "coordinator"}, "folder");
    CheckCohorts(config, options, {}, report);
    return report.lines;
  }
  report.Good("folder",
              fmt::format("{}{}", config.state,
                          store->RunningAgent() > 0
                              ? fmt::format("; the agent runs (process {})", store->RunningAgent())
                              : ""));
  const auto keys = store->LoadKeys();
  Bytes secret;
  std::string tls_key_pem;
  if (keys) {
    secret = keys->secret;
    tls_key_pem = keys->tls_key_pem;
    Result<void> opened;
    if (identity::IsEncryptedKey(tls_key_pem)) {
      auto unlocked = identity::DecryptKey(tls_key_pem, options.passphrase);
      if (unlocked) {
        tls_key_pem = *unlocked;
      } else {
        opened = tl::unexpected<Error>(unlocked.error());
      }
    }
    if (opened) {
      report.Good("keys", "fingerprint " + Hex(FingerprintOf(keys->public_keys())));
    } else {
      report.Failed("keys", opened.error());
    }
  } else {
    report.Failed("keys", keys.error());
  }
  const auto enrolment = store->LoadEnrolment();
  if (!enrolment) {
    report.Failed("enrolment", enrolment.error());
    report.Skip({"certificate", "DNS", "TCP", "TLS", "coordinator"}, "enrolment");
    CheckCohorts(config, options, secret, report);
    return report.lines;
  }
  report.Good("enrolment", fmt::format("{} at {}", enrolment->coordinator, enrolment->address));
  const auto facts = identity::ReadCertificate(enrolment->certificate_pem);
  const auto issued =
      identity::CheckIssued(enrolment->certificate_pem, enrolment->authority_pem, unix_ms / 1000);
  if (!facts || !issued) {
    report.Failed("certificate", facts ? issued.error() : facts.error());
  } else if (facts->name != config.site) {
    report.Failed("certificate",
                  {ErrorCode::kFailedPrecondition,
                   fmt::format("it is {}'s, the configuration is {}'s; correct `site`, or enrol "
                               "with a token for this site",
                               facts->name, config.site)});
  } else if (identity::DaysLeft(*facts, unix_ms / 1000) < kWarnDays) {
    report.Warn("certificate",
                fmt::format("it ends in {} days", identity::DaysLeft(*facts, unix_ms / 1000)),
                "a running agent renews it by itself; start it");
  } else {
    report.Good("certificate", "until " + identity::UtcText(facts->not_after_s));
  }
  if (options.network) {
    const auto address = identity::ParseAddress(enrolment->address);
    const auto proxy =
        address ? ProxyFor(config.network, address->host)
                : Result<std::optional<ProxyRoute>>(tl::unexpected<Error>(address.error()));
    if (!proxy) {
      report.Failed("proxy", proxy.error());
      report.Skip({"DNS", "TCP", "TLS", "coordinator"}, "proxy");
    } else {
      const std::string dialled = *proxy ? (*proxy)->host : address->host;
      const auto resolved = Resolve(dialled);
      if (!resolved) {
        report.Failed("DNS", resolved.error());
        report.Skip({"TCP", "TLS", "coordinator"}, "DNS");
      } else {
        report.Good("DNS", fmt::format("{} is {}", dialled, resolved->front()));
        const auto socket = *proxy ? ConnectThrough(**proxy, address->host, address->port)
                                   : ConnectTcp(address->host, address->port);
        if (!socket) {
          report.Failed(*proxy ? "proxy" : "TCP", socket.error());
          report.Skip({"TLS", "coordinator"}, *proxy ? "proxy" : "TCP");
        } else {
          report.Good(*proxy ? "proxy" : "TCP",
                      *proxy ? fmt::format("{}:{} connects to {}", (*proxy)->host, (*proxy)->port,
                                           enrolment->address)
                             : enrolment->address + " answers");
          const auto shown = ShownCertificates(*socket, address->host);
          const auto trusted =
              shown && !shown->empty()
                  ? identity::CheckIssued(shown->front(), enrolment->authority_pem, unix_ms / 1000)
                  : Result<void>(tl::unexpected<Error>(
                        shown ? Error{ErrorCode::kUnavailable, "TLS: no certificate was shown"}
                              : shown.error()));
          if (!trusted) {
            Error error = trusted.error();
            if (error.code == ErrorCode::kPermissionDenied)
              error.message =
                  "the certificate that is shown is not by the coordinator's authority (" +
                  error.message +
                  "); a firewall that inspects TLS must let this address through unopened";
            report.Failed("TLS", error);
            report.Skip({"coordinator"}, "TLS");
          } else {
            report.Good("TLS", "1.3, by the coordinator's authority");
            AskCoordinator(config, *enrolment, tls_key_pem, unix_ms, report);
          }
        }
      }
    }
  }
  CheckCohorts(config, options, secret, report);
  return report.lines;
}

bool AllGood(const std::vector<CheckLine>& lines) {
  return std::none_of(lines.begin(), lines.end(), [](const CheckLine& line) {
    return line.state == State::kFailed || line.state == State::kNotLooked;
  });
}

std::string ToText(const std::vector<CheckLine>& lines, bool colours) {
  std::string text;
  for (const CheckLine& line : lines) {
    const char* colour = line.state == State::kGood      ? "\033[32m"
                         : line.state == State::kWarning ? "\033[33m"
                         : line.state == State::kFailed  ? "\033[1;31m"
                                                         : "\033[2m";
    text += fmt::format("{}{:<14}{} {:<14} {}\n", colours ? colour : "", Name(line.state),
                        colours ? "\033[0m" : "", line.layer, line.found);
    if (!line.next.empty()) text += fmt::format("{:30}next: {}\n", "", line.next);
  }
  return text;
}

std::string ToJson(const std::vector<CheckLine>& lines) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const CheckLine& line : lines) {
    json.push_back({{"layer", line.layer},
                    {"state", Name(line.state)},
                    {"found", line.found},
                    {"next", line.next}});
  }
  return json.dump() + "\n";
}

}  // namespace consilium::site_agent
