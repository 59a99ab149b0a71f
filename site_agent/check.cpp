#include "site_agent/check.h"

#include <consilium/v1/consilium.grpc.pb.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "disk/files.h"
#include "identity/certificate.h"
#include "identity/names.h"
#include "site_agent/cohort_folder.h"
#include "site_agent/dial.h"
#include "site_agent/ledger.h"
#include "site_agent/link.h"
#include "site_agent/offline.h"
#include "site_agent/store.h"
#include "study/program.h"
#include "study/study_file.h"

namespace consilium::site_agent {
namespace {

using State = CheckLine::State;

constexpr int kWarnDays = 30;
constexpr int kAuthorityWarnDays = 90;  // with it every certificate ends
constexpr std::int64_t kSkewMs = 60'000;
constexpr std::uintmax_t kStudyBytesMax = std::uintmax_t{1} << 20;

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

// How the study at `path` wants its features extracted. What is wrong with the file is told at
// `cohort`.
std::optional<study::Extraction> ExtractionOf(const std::string& path) {
  if (path.empty()) return std::nullopt;
  const auto text = disk::ReadFile(path, kStudyBytesMax);
  const auto study = text ? study::ParseStudy(*text, path)
                          : Result<study::Study>(tl::unexpected<Error>(text.error()));
  return study ? study->extraction : std::nullopt;
}

// What the agent does before the first round of a study of images. Returns the engine; none: there
// is no such program.
std::optional<std::string> CheckExtractor(const CheckOptions& options, Report& report) {
  const auto wanted = ExtractionOf(options.study_file);
  const auto engine = EngineOf(options.extract_program);
  if (!wanted) {
    if (engine) {
      report.Good("extraction", *engine);
      return *engine;
    }
    report.Failed("extraction", engine.error());
    CheckLine& line = report.lines.back();
    line.state = State::kWarning;
    line.next += ", if a study here names how features are taken from images";
    return std::nullopt;
  }
  const auto reproduced = ReproducePhantom(*wanted, options.extract_program);
  if (reproduced) {
    report.Good("extraction", fmt::format("{}; {} features of the digital phantom are reproduced",
                                          *engine, wanted->phantom.size()));
  } else {
    report.Failed("extraction", reproduced.error());
  }
  return engine ? std::optional(*engine) : std::nullopt;
}

// One of the configuration's cohorts, whatever the study. `engine`: of this site's
// consilium-extract.
void CheckTables(const SiteConfig& config, const CohortSource& source,
                 const std::optional<std::string>& engine, Report& report) {
  const auto tables = ReadCohort(source.file, source.data, config.site, config.file_name);
  if (!tables) return report.Failed("cohort", tables.error());
  const auto header = RadiomicsHeader(*tables);
  if (!header) return report.Failed("cohort", header.error());
  const std::string found = fmt::format("{}: {} columns", source.file, header->size());
  const auto engines = EnginesOf(*tables);
  if (!engines) return report.Failed("cohort", engines.error());
  for (const std::string& other : *engines) {
    if (!engine || other == *engine) continue;
    return report.Warn("cohort",
                       fmt::format("{}, rows of {}, but consilium-extract is {}", found,
                                   PlainText(other), *engine),
                       "extract again if a study here names how features are taken from images");
  }
  report.Good("cohort", found);
}

void CheckOwnData(const SiteConfig& config, const CheckOptions& options, const Bytes& secret,
                  Report& report) {
  const std::optional<std::string> engine = CheckExtractor(options, report);
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
  for (const CohortSource& source : config.cohorts) CheckTables(config, source, engine, report);
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
  report.Good("coordinator",
              fmt::format("{} lets {} in; {}; {} ms", enrolment.CoordinatorText(),
                          PlainText(reply.name()), PlainText(reply.versions().engine()), took));
  // A clock that is none is far off, and no number that cannot be subtracted.
  const std::int64_t theirs = std::max<std::int64_t>(0, reply.unix_ms());
  const std::int64_t skew = unix_ms + took / 2 - theirs;
  if (std::abs(skew) > kSkewMs) {
    report.Warn("clock",
                fmt::format("this machine is {} s {} the coordinator", std::abs(skew) / 1000,
                            skew > 0 ? "ahead of" : "behind"),
                "set it by NTP: certificates are judged by it");
  } else {
    report.Good("clock", fmt::format("within {} ms of the coordinator's", std::abs(skew)));
  }
}

// The listener's certificate, as the connection of every later call judges it. False: it will not
// be taken.
bool CheckTls(const SiteConfig& config, const StoredEnrolment& enrolment, const Socket& socket,
              const std::string& host, std::int64_t now_s, Report& report) {
  const auto bundle = ReadCaBundle(config.network);
  if (!bundle) {
    report.Failed("TLS", bundle.error());
    return false;
  }
  const auto shown = ShownCertificates(socket, host);
  const auto by = shown ? CheckShown(*shown, host, enrolment.authority_pem, *bundle, now_s)
                        : Result<ShownBy>(tl::unexpected<Error>(shown.error()));
  if (!by) {
    report.Failed("TLS", by.error());
    return false;
  }
  if (!by->coordinators) {
    report.Warn("TLS",
                fmt::format("1.3, by {}, an authority of network.ca_bundle, not by the "
                            "coordinator's",
                            by->authority),
                "a firewall that opens TLS cannot pass on this site's certificate: if the next "
                "line fails, exempt this address");
    return true;
  }
  const auto facts = identity::ReadCertificate(shown->front());
  const int days = facts ? identity::DaysLeft(*facts, now_s) : 0;
  if (days < kWarnDays) {
    report.Warn("TLS",
                fmt::format("1.3, by the coordinator's authority; the coordinator's certificate "
                            "ends in {} days",
                            days),
                "a running coordinator renews it by itself; tell its operator");
  } else {
    report.Good("TLS", "1.3, by the coordinator's authority");
  }
  return true;
}

// From the host's name to the coordinator's word. `tls_key_pem`: none if the keys cannot be used.
void CheckNetwork(const SiteConfig& config, const StoredEnrolment& enrolment,
                  const std::optional<std::string>& tls_key_pem, std::int64_t unix_ms,
                  Report& report) {
  const auto address = identity::ParseAddress(enrolment.address);
  const auto proxy =
      address ? ProxyFor(config.network, address->host)
              : Result<std::optional<ProxyRoute>>(tl::unexpected<Error>(address.error()));
  if (!proxy) {
    report.Failed("proxy", proxy.error());
    report.Skip({"DNS", "TCP", "TLS", "coordinator"}, "proxy");
    return;
  }
  const std::string dialled = *proxy ? (*proxy)->host : address->host;
  const auto resolved = Resolve(dialled);
  if (!resolved) {
    report.Failed("DNS", resolved.error());
    report.Skip({"TCP", "TLS", "coordinator"}, "DNS");
    return;
  }
  report.Good("DNS", fmt::format("{} is {}", dialled, resolved->front()));
  const std::string layer = *proxy ? "proxy" : "TCP";
  const auto socket = *proxy ? ConnectThrough(**proxy, address->host, address->port)
                             : ConnectTcp(address->host, address->port);
  if (!socket) {
    report.Failed(layer, socket.error());
    report.Skip({"TLS", "coordinator"}, layer);
    return;
  }
  report.Good(layer, *proxy ? fmt::format("{}:{} connects to {}", (*proxy)->host, (*proxy)->port,
                                          enrolment.address)
                            : enrolment.address + " answers");
  if (!CheckTls(config, enrolment, *socket, address->host, unix_ms / 1000, report)) {
    report.Skip({"coordinator"}, "TLS");
  } else if (!tls_key_pem) {
    report.Skip({"coordinator"}, "keys");
  } else {
    AskCoordinator(config, enrolment, *tls_key_pem, unix_ms, report);
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
    CheckOwnData(config, options, {}, report);
    return report.lines;
  }
  report.Good("folder",
              fmt::format("{}{}", config.state,
                          store->RunningAgent() > 0
                              ? fmt::format("; the agent runs (process {})", store->RunningAgent())
                              : ""));
  const auto keys = store->LoadKeys();
  const Bytes secret = keys ? keys->secret : Bytes();
  std::optional<std::string> tls_key_pem;
  const auto unlocked = keys ? UnlockTlsKey(*keys, options.passphrase)
                             : Result<std::string>(tl::unexpected<Error>(keys.error()));
  if (unlocked) {
    tls_key_pem = *unlocked;
    report.Good("keys", "fingerprint " + Hex(FingerprintOf(keys->public_keys())));
  } else {
    report.Failed("keys", unlocked.error());
  }
  const auto enrolment = store->LoadEnrolment();
  if (!enrolment) {
    report.Failed("enrolment", enrolment.error());
    report.Skip({"certificate", "DNS", "TCP", "TLS", "coordinator"}, "enrolment");
    CheckOwnData(config, options, secret, report);
    return report.lines;
  }
  report.Good("enrolment",
              fmt::format("{} at {}", enrolment->CoordinatorText(), enrolment->address));
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
  const auto authority = identity::ReadCertificate(enrolment->authority_pem);
  const int left = authority ? identity::DaysLeft(*authority, unix_ms / 1000) : 0;
  if (authority && left < kAuthorityWarnDays) {
    report.Warn("authority",
                fmt::format("the coordinator's authority ends in {} days, and every certificate "
                            "with it",
                            left),
                "its operator makes a new one, and this site enrols anew with a token of it");
  }
  if (options.network) CheckNetwork(config, *enrolment, tls_key_pem, unix_ms, report);
  CheckOwnData(config, options, secret, report);
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
