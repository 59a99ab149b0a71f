// The attack matrix of the network: what somebody does, what is said to them, and the words in the
// log of whoever refuses. docs/attacks.md is the same table for people; the last test holds the two
// together. Every group ends with a study that gives the right bytes: others were not harmed.
//
// Attackers are sockets, TLS by hand and stubs that say anything (attack_tools.h); what is attacked
// are the programs that hospitals run. "Refused" is what the attacker is told: TLS and sockets are
// "closed" without a word.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "console/person.h"
#include "coordinator/store.h"
#include "coordinator/study_run.h"
#include "federation/fixed_point.h"
#include "federation/log.h"
#include "federation/sum_shares.h"
#include "identity/authority.h"
#include "identity/certificate.h"
#include "identity/private_key.h"
#include "identity/token.h"
#include "program/program.h"
#include "site_agent/store.h"
#include "study/program.h"
#include "study/submission.h"
#include "tests/e2e/attack_tools.h"
#include "tests/e2e/network_fixture.h"
#include "tests/support/small_study.h"

namespace consilium::e2e {
namespace {

using Json = nlohmann::json;

// A digest of nothing that there is.
Digest NoSuch() { return Sha256(std::span<const std::uint8_t>()); }

// What a group attacks, and where its words stand.
class Arena {
 public:
  Arena() = default;
  virtual ~Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  [[nodiscard]] virtual std::string Log() = 0;
  [[nodiscard]] virtual bool Until(const std::function<bool()>& condition) = 0;
};

template <typename Place>
struct Attack {
  std::string name;     // as in docs/attacks.md
  std::string refused;  // what the attacker is told, in part
  std::string log;      // what the log says, in part
  std::function<std::string(Place&)> run;
};

template <typename Place>
void TryAll(Place& place, const std::vector<Attack<Place>>& attacks) {
  for (const Attack<Place>& attack : attacks) {
    SCOPED_TRACE(attack.name);
    const std::size_t before = place.Log().size();
    const std::string told = attack.run(place);
    EXPECT_NE(told.find(attack.refused), std::string::npos) << "told: " << told;
    const auto added = [&] { return place.Log().substr(before); };
    EXPECT_TRUE(place.Until([&] { return added().find(attack.log) != std::string::npos; }))
        << "'" << attack.log << "' is not in: " << added();
  }
}

// ---- A federation that is attacked from outside and from within --------------------------------

class Federation : public Arena {
 public:
  Federation() : network_(Options()) {
    if (::testing::Test::HasFatalFailure()) return;
    authority_ = network_.scratch().Read("c/authority.crt");
    authority_key_ = network_.scratch().Read("c/authority.key");
    anna_ = network_.Of("anna");
  }
  [[nodiscard]] std::string Log() override { return network_.scratch().Read("coordinator.log"); }
  [[nodiscard]] bool Until(const std::function<bool()>& condition) override {
    return network_.Until(condition, 20);
  }
  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] int work() const { return network_.work_port(); }
  [[nodiscard]] int enrol() const { return network_.enrol_port(); }
  [[nodiscard]] int health() const { return network_.health_port(); }
  [[nodiscard]] const std::string& authority() const { return authority_; }
  [[nodiscard]] const std::string& authority_key() const { return authority_key_; }

  // A site of the coordinator's that no study has and no agent runs for, enrolled by its own hand.
  [[nodiscard]] Credentials Extra() {
    if (!extra_) {
      network_.WriteSite("extra", false);
      const Told told = network_.AtSite("extra", {"enroll", network_.Invite("extra")});
      EXPECT_EQ(told.exit_code, 0) << told.err;
      extra_ = network_.Of("extra");
    }
    return *extra_;
  }
  [[nodiscard]] std::shared_ptr<grpc::Channel> Dial(const Credentials& who) {
    return network_.Dial(who);
  }
  [[nodiscard]] std::shared_ptr<grpc::Channel> Lead() { return network_.Dial(anna_); }

  // The lead's own key, and every site as the register has it.
  [[nodiscard]] federation::SigningKey LeadKey() const {
    return std::move(console::LoadKeys(network_.scratch().path() / "anna")->signing);
  }
  [[nodiscard]] federation::Roster Roster() const {
    federation::Roster roster;
    for (const std::string& site : network_.sites()) roster[site] = KeysOf(site).public_keys();
    return roster;
  }
  [[nodiscard]] site_agent::StoredKeys KeysOf(const std::string& site) const {
    const auto store =
        site_agent::SiteStore::OpenBeside(network_.scratch().path() / site / "state");
    return std::move(store->LoadKeys().value());
  }

 private:
  static NetworkOptions Options() {
    NetworkOptions options;
    options.serve_options = {"--stall", "2"};
    return options;
  }
  Network network_;
  std::string authority_, authority_key_;
  Credentials anna_;
  std::optional<Credentials> extra_;
};

void Soon(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(kWaitSeconds));
}

std::string Ping(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  Soon(context);
  v1::PingRequest request;
  wire::Encode(GoodHello().versions, *request.mutable_versions());
  v1::PingReply reply;
  return Said(v1::Sites::NewStub(channel)->Ping(&context, request, &reply));
}

std::string ListMembers(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  Soon(context);
  v1::ListMembersReply reply;
  return Said(v1::Console::NewStub(channel)->ListMembers(&context, {}, &reply));
}

std::string SubmitStudy(const std::shared_ptr<grpc::Channel>& channel, const Bytes& submission) {
  grpc::ClientContext context;
  Soon(context);
  v1::SubmitStudyRequest request;
  request.set_submission(submission.data(), submission.size());
  v1::SubmitStudyReply reply;
  return Said(v1::Console::NewStub(channel)->SubmitStudy(&context, request, &reply));
}

std::string Invite(const std::shared_ptr<grpc::Channel>& channel, const std::string& name,
                   const std::string& role) {
  grpc::ClientContext context;
  Soon(context);
  v1::InviteRequest request;
  request.set_name(name);
  request.set_role(role);
  request.set_valid_s(3600);
  v1::InviteReply reply;
  return Said(v1::Console::NewStub(channel)->Invite(&context, request, &reply));
}

std::string FetchFile(const std::shared_ptr<grpc::Channel>& channel, const Digest& study,
                      const std::string& file) {
  grpc::ClientContext context;
  Soon(context);
  v1::FetchRequest request;
  request.set_study(wire::AsString(study.bytes));
  request.set_file(file);
  const auto stub = v1::Console::NewStub(channel);
  const auto reader = stub->Fetch(&context, request);
  v1::FetchPart part;
  while (reader->Read(&part)) {
  }
  return Said(reader->Finish());
}

// The newest study of the federation, as a site keeps it.
site_agent::StoredStudy StudyAt(Federation& place, const std::string& site) {
  const auto store =
      site_agent::SiteStore::OpenBeside(place.network().scratch().path() / site / "state");
  const auto list = store->ListStudies();
  return list->studies.back();
}

// ---- Strangers, at every port -------------------------------------------------------------------

std::string Letters(std::size_t count) { return std::string(count, 'a'); }

std::string SignedByHand(const std::string& key, std::int64_t from_s, std::int64_t until_s,
                         const std::string& issuer, const std::string& issuer_key) {
  HandMade what;
  what.subject = {{"CN", "north"}, {"OU", "site"}};
  what.from_s = from_s;
  what.until_s = until_s;
  what.issuer = issuer;
  what.issuer_key = issuer_key;
  return MakeCertificate(key, what);
}

const std::vector<Attack<Federation>>& Strangers() {
  static const std::vector<Attack<Federation>> kAttacks = {
      {"TLS 1.2", "closed", "refused (tls.version): a stranger: it speaks TLS 1.2 or older",
       [](Federation& place) {
         TlsAttempt old;
         old.version_max = TLS1_2_VERSION;
         EXPECT_EQ(TryTls(place.enrol(), old), "closed");
         return TryTls(place.work(), old);
       }},
      {"no certificate", "closed",
       "refused (tls.no_certificate): a stranger: it showed no certificate",
       [](Federation& place) { return TryTls(place.work(), {}); }},
      {"another authority's certificate", "closed",
       "refused (tls.certificate): a stranger: its certificate is not of this coordinator's",
       [](Federation& place) {
         const auto other = identity::Authority::Create("Loopback", NowSeconds(), 1);
         const Credentials forged =
             Forged(other->certificate_pem(), other->key_pem(), "north", place.authority());
         return TryTls(place.work(), {0, forged.certificate, forged.key});
       }},
      {"a certificate that ended", "closed",
       "refused (tls.certificate): a stranger: its certificate is not of this coordinator's "
       "authority, or has expired",
       [](Federation& place) {
         const std::string key = identity::GenerateKey().value();
         return TryTls(place.work(), {0,
                                      SignedByHand(key, NowSeconds() - 7200, NowSeconds() - 3600,
                                                   place.authority(), place.authority_key()),
                                      key});
       }},
      {"a certificate that it signed itself", "closed", "refused (tls.certificate): a stranger",
       [](Federation& place) {
         const std::string key = identity::GenerateKey().value();
         return TryTls(place.work(),
                       {0, SignedByHand(key, NowSeconds() - 60, NowSeconds() + 3600, "", ""), key});
       }},
      {"a certificate that the register does not know",
       "PERMISSION_DENIED: certificate of north: this coordinator did not issue it",
       "refused (call): north: certificate of north: this coordinator did not issue it",
       [](Federation& place) {
         return Ping(place.Dial(
             Forged(place.authority(), place.authority_key(), "north", place.authority())));
       }},
      {"TLS without HTTP/2", "closed", "refused (tls.no_http2): a stranger: TLS without HTTP/2",
       [](Federation& place) {
         TlsAttempt attempt;
         attempt.http2 = false;
         return TryTls(place.enrol(), attempt);
       }},
      {"plain HTTP/1.1", "closed", "refused (tls.http): a stranger: plain HTTP",
       [](Federation& place) {
         RawSocket first(place.work()), second(place.enrol());
         first.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
         second.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
         EXPECT_EQ(first.ReadToEnd(), "closed");
         return second.ReadToEnd();
       }},
      {"random bytes", "closed", "refused (tls.garbage): a stranger: what it sent is no TLS 1.3",
       [](Federation& place) {
         RawSocket first(place.work()), second(place.enrol());
         std::string noise;
         for (int i = 0; i < 5000; ++i) noise += static_cast<char>((i * 7919 + 147) % 251);
         second.Send(noise);
         first.Send(noise);
         EXPECT_EQ(second.ReadToEnd(), "closed");
         return first.ReadToEnd();
       }},
      {"10,000 bytes without a newline", "closed",
       "refused (tls.garbage): a stranger: what it sent is no TLS 1.3",
       [](Federation& place) {
         RawSocket socket(place.work());
         socket.Send(Letters(10'000));
         return socket.ReadToEnd();
       }},
      {"half a TLS record, then silence", "closed",
       "refused (tls.slow): a stranger: the handshake took longer than 10 s",
       [](Federation& place) {
         // A hundred of them; the listener has all of its time for others.
         std::vector<std::unique_ptr<RawSocket>> sockets;
         for (int i = 0; i < 100; ++i) {
           sockets.push_back(
               std::make_unique<RawSocket>(i % 2 == 0 ? place.work() : place.enrol()));
           sockets.back()->Send(std::string_view("\x16\x03\x01\x02\x00\x01\x00", 7));
         }
         EXPECT_EQ(Ping(place.Dial(place.network().Of("north"))), "OK");
         for (const auto& socket : sockets) EXPECT_EQ(socket->ReadToEnd(), "closed");
         return std::string("closed");
       }},
      {"a connection that goes away", "closed",
       "refused (tls.closed): a stranger: it went away before the handshake was done",
       [](Federation& place) {
         { const RawSocket socket(place.work()); }
         return std::string("closed");
       }},
      {"a call of sites at the enrolment port", "UNIMPLEMENTED: there is no call",
       "refused (call): a stranger at ipv4:127.0.0.1: there is no call "
       "/consilium.v1.Sites/Ping at this port",
       [](Federation& place) {
         grpc::ChannelArguments own;
         own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
         own.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
         return Ping(grpc::CreateCustomChannel(fmt::format("127.0.0.1:{}", place.enrol()),
                                               grpc::SslCredentials({place.authority(), "", ""}),
                                               own));
       }},
      {"the health port: a path out of it", "404 Not Found",
       "refused (health): this machine: GET /../../etc/passwd",
       [](Federation& place) {
         RawSocket socket(place.health());
         socket.Send("GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n");
         return socket.ReadToEnd();
       }},
      {"the health port: another method", "400 Bad Request",
       "refused (health): this machine: no HTTP GET",
       [](Federation& place) {
         RawSocket socket(place.health());
         socket.Send("POST /metrics HTTP/1.1\r\nContent-Length: 4294967296\r\n\r\n");
         return socket.ReadToEnd();
       }},
      {"the health port: a line without end", "400 Bad Request",
       "refused (health): this machine: a request of more than 4096 bytes",
       [](Federation& place) {
         RawSocket socket(place.health());
         socket.Send("GET /");
         // Taken in or not, it ends: what is kept of it are 4 KiB.
         for (int i = 0; i < 1000 && socket.Send(Letters(10'000)); ++i) {
         }
         return socket.ReadToEnd();
       }},
      {"the health port: half a TLS record", "400 Bad Request",
       "refused (health): this machine: no HTTP GET",
       [](Federation& place) {
         RawSocket socket(place.health());
         socket.Send(std::string_view("\x16\x03\x01\x02\x00\x01\x00", 7));
         return socket.ReadToEnd();
       }},
      {"the health port: silence", "closed",
       "refused (health): this machine: no request came within 2 s",
       [](Federation& place) {
         RawSocket silent(place.health()), other(place.health());
         silent.Send("GET /heal");
         other.Send("GET /healthz HTTP/1.1\r\n\r\n");
         EXPECT_NE(other.ReadToEnd().find("ok"), std::string::npos);
         return silent.ReadToEnd();
       }},
      {"the health port: more connections than it holds", "closed",
       "refused (health): this machine: more than 32 connections at once",
       [](Federation& place) {
         std::vector<std::unique_ptr<RawSocket>> sockets;
         for (int i = 0; i < 40; ++i)
           sockets.push_back(std::make_unique<RawSocket>(place.health()));
         return sockets.front()->ReadToEnd();
       }},
  };
  return kAttacks;
}

// ---- Tokens and requests for certificates -------------------------------------------------------

struct Enrolling {
  std::string token = {};
  std::string request_pem = {};  // empty: the right one
  bool other_proof = false;
  wire::Versions versions = GoodHello().versions;
};

std::string Enrol(Federation& place, const Enrolling& how, Credentials* made = nullptr) {
  const std::string key = identity::GenerateKey().value();
  const auto signing = federation::SigningKey::Generate().value();
  const auto agreement = federation::AgreementKey::Generate().value();
  wire::Enrolment enrolment;
  enrolment.versions = how.versions;
  std::string name = "nobody";
  identity::Role role = identity::Role::kSite;
  if (!how.token.empty()) {
    const auto token = identity::DecodeToken(how.token).value();
    enrolment.secret = token.secret;
    name = token.name;
    role = token.role;
  }
  enrolment.request_pem =
      how.request_pem.empty() ? identity::MakeRequest(key, name, role).value() : how.request_pem;
  enrolment.signing_key = signing.verifying_key();
  enrolment.agreement_key = agreement.public_key();
  const auto other = federation::SigningKey::Generate().value();
  enrolment.proof = (how.other_proof ? other : signing).Sign(wire::ProofBytes(enrolment));
  v1::EnrollRequest request;
  wire::Encode(enrolment, request);
  grpc::ChannelArguments own;
  own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  own.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  const auto channel =
      grpc::CreateCustomChannel(fmt::format("127.0.0.1:{}", place.enrol()),
                                grpc::SslCredentials({place.authority(), "", ""}), own);
  grpc::ClientContext context;
  Soon(context);
  v1::EnrollReply reply;
  const std::string said = Said(v1::Enrolment::NewStub(channel)->Enroll(&context, request, &reply));
  if (made != nullptr) *made = {place.authority(), key, reply.certificate_pem()};
  return said;
}

const std::vector<Attack<Federation>>& Enrolments() {
  static const std::vector<Attack<Federation>> kAttacks = {
      {"a token used twice", "ALREADY_EXISTS: the token of 'ghost' was used at",
       "refused (enrolment): a stranger at ipv4:127.0.0.1: the token of 'ghost' was used at",
       [](Federation& place) {
         const std::string token = place.network().Invite("ghost");
         EXPECT_EQ(Enrol(place, {token}), "OK");
         return Enrol(place, {token});
       }},
      {"a token that came late", "FAILED_PRECONDITION: the token of 'late' expired at",
       "refused (enrolment): a stranger at ipv4:127.0.0.1: the token of 'late' expired at",
       [](Federation& place) {
         identity::Token token;
         token.secret = identity::NewTokenSecret().value();
         token.name = "late";
         token.address = fmt::format("127.0.0.1:{}", place.enrol());
         token.expires_s = NowSeconds() - 1;
         const auto store =
             coordinator::Store::Open(place.network().scratch() / "c/store.db").value();
         EXPECT_TRUE(
             store
                 ->AddToken({identity::SecretHash(token), "late", "site",
                             1000 * (NowSeconds() - 100), 1000 * token.expires_s, std::nullopt})
                 .has_value());
         return Enrol(place, {identity::EncodeToken(token).value()});
       }},
      {"a token that a newer one replaced", "FAILED_PRECONDITION: the token of 'again' expired at",
       "refused (enrolment): a stranger at ipv4:127.0.0.1: the token of 'again' expired at",
       [](Federation& place) {
         const std::string first = place.network().Invite("again");
         EXPECT_NE(place.network().Invite("again"), first);
         return Enrol(place, {first});
       }},
      {"a guessed token", "NOT_FOUND: the token is not known here",
       "refused (enrolment): a stranger at ipv4:127.0.0.1: the token is not known here",
       [](Federation& place) { return Enrol(place, {}); }},
      {"a token for another name", "PERMISSION_DENIED: the request is for east (site)",
       "the request is for east (site), the certificate is meant for someone (site)",
       [](Federation& place) {
         Enrolling how{place.network().Invite("someone")};
         how.request_pem = MakeHandRequest({{"CN", "east"}, {"OU", "site"}});
         return Enrol(place, how);
       }},
      {"a site's token for a lead", "PERMISSION_DENIED: the request is for someone (lead)",
       "the request is for someone (lead), the certificate is meant for someone (site)",
       [](Federation& place) {
         Enrolling how{place.network().Invite("someone")};
         how.request_pem = MakeHandRequest({{"CN", "someone"}, {"OU", "lead"}});
         return Enrol(place, how);
       }},
      {"a site's token at another site", "the token is for site someone",
       "",  // the site's own program refuses it, before anything leaves
       [](Federation& place) {
         place.network().WriteSite("north", false, "north-2");
         const Told told =
             place.network().AtSite("north-2", {"enroll", place.network().Invite("someone")});
         EXPECT_EQ(told.exit_code, 4);
         return told.err;
       }},
      {"keys that the sender does not own", "PERMISSION_DENIED: enrolment: the proof is not",
       "refused (enrolment): a stranger at ipv4:127.0.0.1: enrolment: the proof is not a signature",
       [](Federation& place) {
         Enrolling how{place.network().Invite("someone")};
         how.other_proof = true;
         return Enrol(place, how);
       }},
      {"a path as a name in a request", "INVALID_ARGUMENT: request: CN",
       "refused (enrolment): a stranger at ipv4:127.0.0.1: request: CN",
       [](Federation& place) {
         Enrolling how{place.network().Invite("someone")};
         how.request_pem = MakeHandRequest({{"CN", "../../etc/cron.d/x"}, {"OU", "site"}});
         return Enrol(place, how);
       }},
      {"two names in a request", "INVALID_ARGUMENT: request",
       "refused (enrolment): a stranger at ipv4:127.0.0.1: request",
       [](Federation& place) {
         Enrolling how{place.network().Invite("someone")};
         how.request_pem = MakeHandRequest({{"CN", "someone"}, {"CN", "anna"}, {"OU", "site"}});
         return Enrol(place, how);
       }},
      {"a weak key", "INVALID_ARGUMENT: request of someone",
       "refused (enrolment): a stranger at ipv4:127.0.0.1: request of someone",
       [](Federation& place) {
         Enrolling how{place.network().Invite("someone")};
         how.request_pem = MakeHandRequest({{"CN", "someone"}, {"OU", "site"}}, 1024);
         return Enrol(place, how);
       }},
      {"a request of 20,000 bytes", "INVALID_ARGUMENT: message field 'enroll.request_pem'",
       "message field 'enroll.request_pem': 20000, at most 16384 are taken",
       [](Federation& place) {
         Enrolling how{place.network().Invite("someone")};
         how.request_pem = Letters(20'000);
         return Enrol(place, how);
       }},
      {"a protocol that nobody speaks", "FAILED_PRECONDITION: protocol: this side",
       "refused (enrolment): a stranger at ipv4:127.0.0.1: protocol: this side",
       [](Federation& place) {
         Enrolling how{place.network().Invite("someone")};
         how.versions.protocol_min = how.versions.protocol_max = 99;
         return Enrol(place, how);
       }},
      {"a flood of enrolments", "RESOURCE_EXHAUSTED: a stranger at ipv4:127.0.0.1 asks faster",
       "refused (limit.enrolment): a stranger at ipv4:127.0.0.1: a stranger at ipv4:127.0.0.1",
       [](Federation& place) {
         std::string last;
         for (int i = 0; i < 2000 && !last.starts_with("RESOURCE"); ++i) last = Enrol(place, {});
         return last;
       }},
  };
  return kAttacks;
}

// ---- Members, beyond what they are --------------------------------------------------------------

study::Submission SmallSubmission(Federation& place, const std::string& name) {
  std::string yaml = testing::SmallStudyYaml();
  yaml.replace(yaml.find("name: small"), 11, "name: " + name);
  return study::SignSubmission(yaml, place.Roster(), "anna", place.LeadKey());
}

std::string SubmitSigned(Federation& place, const study::Submission& submission) {
  return SubmitStudy(place.Lead(), study::EncodeSubmission(submission));
}

// What a site's stream ends with, after a good hello and these messages.
std::string AfterHello(Federation& place, const std::vector<v1::FromSite>& messages) {
  HandStream stream(place.Dial(place.Extra()));
  stream.Say(GoodHello());
  for (const v1::FromSite& message : messages) stream.Say(message);
  return stream.End();
}
v1::FromSite Proto(const wire::FromSite& message) {
  v1::FromSite proto;
  wire::Encode(message, proto);
  return proto;
}

// Resident memory of the coordinator, in MiB.
long CoordinatorMiB(Federation& place) {
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
  static_cast<void>(place);
  return 0;  // what a sanitizer keeps grows with every access
#else
  std::ifstream status(fmt::format("/proc/{}/status", place.network().coordinator().pid()));
  const std::string text((std::istreambuf_iterator<char>(status)),
                         std::istreambuf_iterator<char>());
  return std::stol(text.substr(text.find("VmRSS:") + 6)) / 1024;
#endif
}

const std::vector<Attack<Federation>>& Members() {
  static const std::vector<Attack<Federation>> kAttacks = {
      {"a lead calls what is for sites",
       "PERMISSION_DENIED: anna is enrolled as lead; this call is for site",
       "refused (call): anna: anna is enrolled as lead; this call is for site",
       [](Federation& place) { return Ping(place.Lead()); }},
      {"a site calls what is for people",
       "PERMISSION_DENIED: extra is enrolled as site; this call is for lead or auditor",
       "refused (call): extra: extra is enrolled as site",
       [](Federation& place) { return ListMembers(place.Dial(place.Extra())); }},
      {"an auditor submits a study",
       "PERMISSION_DENIED: olga is enrolled as auditor; this call is for lead",
       "refused (call): olga: olga is enrolled as auditor",
       [](Federation& place) {
         grpc::ClientContext context;
         Soon(context);
         v1::InviteRequest request;
         request.set_name("olga");
         request.set_role("auditor");
         request.set_valid_s(3600);
         v1::InviteReply reply;
         EXPECT_TRUE(v1::Console::NewStub(place.Lead())->Invite(&context, request, &reply).ok());
         Credentials olga;
         EXPECT_EQ(Enrol(place, {reply.token()}, &olga), "OK");
         EXPECT_EQ(ListMembers(place.Dial(olga)), "OK");
         return SubmitStudy(place.Dial(olga),
                            study::EncodeSubmission(SmallSubmission(place, "olgas")));
       }},
      {"a site renews as another",
       "PERMISSION_DENIED: the request is for north (site), the certificate is meant for extra",
       "refused (call): extra: the request is for north (site)",
       [](Federation& place) {
         grpc::ClientContext context;
         Soon(context);
         v1::RenewRequest request;
         request.set_request_pem(MakeHandRequest({{"CN", "north"}, {"OU", "site"}}));
         v1::RenewReply reply;
         return Said(
             v1::Sites::NewStub(place.Dial(place.Extra()))->Renew(&context, request, &reply));
       }},
      {"a study that another key signed",
       "PERMISSION_DENIED: submission: anna is enrolled with another signing key",
       "refused (call): anna: submission: anna is enrolled with another signing key",
       [](Federation& place) {
         return SubmitSigned(
             place, study::SignSubmission(testing::SmallStudyYaml(), place.Roster(), "anna",
                                          federation::SigningKey::Generate().value()));
       }},
      {"a study in another's name", "PERMISSION_DENIED: submission: signed as berta, sent by anna",
       "refused (call): anna: submission: signed as berta, sent by anna",
       [](Federation& place) {
         return SubmitSigned(place, study::SignSubmission(testing::SmallStudyYaml(), place.Roster(),
                                                          "berta", place.LeadKey()));
       }},
      {"a study that was altered after it was signed",
       "PERMISSION_DENIED: submission of a study by 'anna'",
       "refused (call): anna: submission of a study by 'anna'",
       [](Federation& place) {
         study::Submission submission = SmallSubmission(place, "altered");
         submission.study_file.replace(submission.study_file.find("seed: 20"), 8, "seed: 21");
         return SubmitSigned(place, submission);
       }},
      {"a roster with a site that is not there",
       "FAILED_PRECONDITION: study small: site fake is not enrolled here",
       "refused (call): anna: study small: site fake is not enrolled here",
       [](Federation& place) {
         study::Submission submission = SmallSubmission(place, "small");
         std::string& yaml = submission.study_file;
         yaml.replace(yaml.find("east"), 4, "fake");
         submission.members["fake"] = submission.members.at("east");
         submission.members.erase("east");
         return SubmitSigned(
             place, study::SignSubmission(yaml, submission.members, "anna", place.LeadKey()));
       }},
      {"a roster with other keys than a site has",
       "FAILED_PRECONDITION: study small: site north has enrolled with other keys since",
       "refused (call): anna: study small: site north has enrolled with other keys since",
       [](Federation& place) {
         federation::Roster roster = place.Roster();
         roster["north"].agreement = roster["south"].agreement;
         return SubmitSigned(place, study::SignSubmission(testing::SmallStudyYaml(), roster, "anna",
                                                          place.LeadKey()));
       }},
      {"a path as a study's name", "INVALID_ARGUMENT", "refused (call): anna: study",
       [](Federation& place) {
         return SubmitSigned(place, SmallSubmission(place, "../../etc/cron.d/x"));
       }},
      {"a study of 3.5 MiB", "INVALID_ARGUMENT: submission: 3670016 bytes, at most 3145728",
       "refused (call): anna: submission: 3670016 bytes, at most 3145728 are taken",
       [](Federation& place) { return SubmitStudy(place.Lead(), Bytes(3'670'016, 'a')); }},
      {"a path as a site's name", "INVALID_ARGUMENT", "refused (call): anna: name",
       [](Federation& place) { return Invite(place.Lead(), "../../etc/passwd", "site"); }},
      {"a second coordinator by invitation", "INVALID_ARGUMENT: role: a coordinator is not invited",
       "refused (call): anna: role: a coordinator is not invited",
       [](Federation& place) { return Invite(place.Lead(), "other", "coordinator"); }},
      {"a path as a file to fetch", "../../store.db", "refused (call): anna:",
       [](Federation& place) {
         return FetchFile(place.Lead(), StudyAt(place, "north").digest, "../../store.db");
       }},
      {"the report of a study that nobody submitted", "NOT_FOUND", "refused (call): anna:",
       [](Federation& place) { return FetchFile(place.Lead(), NoSuch(), "report.json"); }},
      {"a stream without a hello", "INVALID_ARGUMENT: site extra: the first message is no hello",
       "refused (stream): extra: site extra: the first message is no hello",
       [](Federation& place) {
         HandStream stream(place.Dial(place.Extra()));
         stream.Say(wire::SiteBeat{});
         return stream.End();
       }},
      {"a stream that says nothing", "UNAVAILABLE: site extra: the stream's hello did not come",
       "refused (stream): extra: site extra: the stream's hello did not come",
       [](Federation& place) { return HandStream(place.Dial(place.Extra())).End(); }},
      {"a second hello", "INVALID_ARGUMENT: site extra: a second hello in one stream",
       "refused (stream): extra: site extra: a second hello in one stream",
       [](Federation& place) { return AfterHello(place, {Proto(GoodHello())}); }},
      {"another engine", "FAILED_PRECONDITION: engine: this coordinator computes with",
       "refused (stream): extra: engine: this coordinator computes with",
       [](Federation& place) {
         HandStream stream(place.Dial(place.Extra()));
         wire::Hello hello = GoodHello();
         hello.versions.engine = "consilium 99";
         stream.Say(hello);
         return stream.End();
       }},
      {"a message of no kind", "INVALID_ARGUMENT: message field 'kind'",
       "refused (stream): extra: message field 'kind'",
       [](Federation& place) { return AfterHello(place, {v1::FromSite()}); }},
      {"a study's name of three bytes",
       "INVALID_ARGUMENT: message field 'refused.study': 3 bytes, expected 32",
       "refused (stream): extra: message field 'refused.study': 3 bytes, expected 32",
       [](Federation& place) {
         v1::FromSite message;
         message.mutable_refused()->set_study("abc");
         return AfterHello(place, {message});
       }},
      {"a column's name that forges a line of the log",
       "INVALID_ARGUMENT: message field 'word.columns': it has control characters",
       "refused (stream): extra: message field 'word.columns': it has control characters",
       [](Federation& place) {
         wire::StudyWord word{StudyAt(place, "north").digest, wire::Word::kApproved, 0, {}, {}};
         word.columns = {"x01\n[2026-01-01 00:00:00.000] [info] all is well"};
         return AfterHello(place, {Proto(word)});
       }},
      {"a column's name of 5,000 bytes",
       "INVALID_ARGUMENT: message field 'word.columns': 5000, at most 4096",
       "refused (stream): extra: message field 'word.columns': 5000, at most 4096",
       [](Federation& place) {
         wire::StudyWord word{StudyAt(place, "north").digest, wire::Word::kApproved, 0, {}, {}};
         word.columns = {Letters(5000)};
         return AfterHello(place, {Proto(word)});
       }},
      {"a word about a study of others", "INVALID_ARGUMENT: message field 'kind'",
       "refused (message): extra: it speaks of study",
       [](Federation& place) {
         // Not answered, and nobody is harmed; what ends the stream is the message behind it.
         const Digest others = StudyAt(place, "north").digest;
         return AfterHello(place, {Proto(wire::StudyWord{others, wire::Word::kRejected, 0, {}, {}}),
                                   v1::FromSite()});
       }},
      {"a message of 5 MiB", "RESOURCE_EXHAUSTED",
       "refused (stream.cut): extra: the stream was cut, or a message was above 4194304 bytes",
       [](Federation& place) {
         v1::FromSite message;
         message.mutable_word()->set_outward(Letters(5 << 20));
         return AfterHello(place, {message});
       }},
      {"a ledger that was cut", "FAILED_PRECONDITION: the ledger of 'extra': found 3 entries",
       "refused (stream): extra: the ledger of 'extra': found 3 entries",
       [](Federation& place) {
         // Heads enough that the coordinator is still writing when it refuses: the reason must not
         // be lost with that.
         std::vector<v1::FromSite> heads;
         for (std::uint64_t entries = 5; entries < 17; ++entries)
           heads.push_back(Proto(wire::HeadToSign{entries, NoSuch()}));
         heads.push_back(Proto(wire::HeadToSign{3, NoSuch()}));
         return AfterHello(place, heads);
       }},
      {"two agents with one certificate",
       "ALREADY_EXISTS: site extra has connected again; two agents",
       "refused (stream): extra: site extra has connected again; two agents with one certificate",
       [](Federation& place) {
         HandStream first(place.Dial(place.Extra()));
         first.Say(GoodHello());
         EXPECT_TRUE(first.Hear().has_value());
         HandStream second(place.Dial(place.Extra()));
         second.Say(GoodHello());
         EXPECT_TRUE(second.Hear().has_value());
         return first.End();
       }},
      {"a thousand answers at once", "RESOURCE_EXHAUSTED: extra has 16 calls open",
       "refused (limit.answer): extra: extra has 16 calls open, which is the most of one member",
       [](Federation& place) {
         // What bounds memory: 16 calls, of which each holds its head and at most 256 KiB.
         const long before = CoordinatorMiB(place);
         const auto channel = place.Dial(place.Extra());
         const auto stub = v1::Sites::NewStub(channel);
         struct Call {
           grpc::ClientContext context;
           v1::SubmitReply reply;
           std::unique_ptr<grpc::ClientWriter<v1::AnswerPart>> writer;
         };
         std::vector<std::unique_ptr<Call>> held;
         std::set<std::string> said;
         for (int i = 0; i < 1000; ++i) {
           auto call = std::make_unique<Call>();
           Soon(call->context);
           call->writer = stub->Submit(&call->context, &call->reply);
           held.push_back(std::move(call));
         }
         for (const auto& call : held) said.insert(Said(call->writer->Finish()));
         EXPECT_LT(CoordinatorMiB(place), before + 32);
         return fmt::format("{}", fmt::join(said, " | "));
       }},
      {"a flood of beats", "RESOURCE_EXHAUSTED: extra asks faster than this coordinator answers",
       "refused (limit.stream): extra: extra asks faster than this coordinator answers one member",
       [](Federation& place) {
         const long before = CoordinatorMiB(place);
         HandStream stream(place.Dial(place.Extra()));
         stream.Say(GoodHello());
         const v1::FromSite beat = Proto(wire::SiteBeat{NowSeconds(), {}});
         for (int i = 0; i < 2'000'000 && stream.Say(beat); ++i) {
         }
         EXPECT_LT(CoordinatorMiB(place), before + 32);
         return stream.End();
       }},
      {"a revoked site, on its open stream",
       "PERMISSION_DENIED: certificate of extra: revoked (left)",
       "refused (call): extra: certificate of extra: revoked (left)",
       [](Federation& place) {
         const Credentials extra = place.Extra();
         Network& network = place.network();
         network.scratch().Write("extra.yaml", testing::SmallCohortYaml("extra"));
         network.StartSite("extra");
         EXPECT_TRUE(network.Until([&] { return network.Connected("extra"); }));
         EXPECT_EQ(network.Anna({"site", "revoke", "extra", "--reason", "left"}).exit_code, 0);
         EXPECT_EQ(network.site("extra").Exit(), 4);
         EXPECT_NE(network.LogOf("extra").find("certificate of extra: revoked (left)"),
                   std::string::npos);
         // There is no way back without a new token.
         network.StartSite("extra");
         EXPECT_EQ(network.site("extra").Exit(), 4);
         // What the flood and its refusals cost comes back while somebody else does something.
         std::string told = Ping(place.Dial(extra));
         for (int i = 0; i < 20 && told.find("RESOURCE_EXHAUSTED") != std::string::npos; ++i) {
           EXPECT_EQ(network.Anna({"site", "list"}).exit_code, 0);
           told = Ping(place.Dial(extra));
         }
         return told;
       }},
  };
  return kAttacks;
}

// ---- Answers to an open round -------------------------------------------------------------------

// A study whose first round waits for south, which is played by hand; all others have answered.
class OpenRound : public Federation {
 public:
  OpenRound() {
    network().Submit("first");
    EXPECT_EQ(network().Watch("first")->Exit(), 0);
    network().site("south").Kill();
    network().Submit("second", 21);
    stream_ = std::make_unique<HandStream>(Dial(network().Of("south")));
    stream_->Say(GoodHello());
    while (auto message = stream_->Hear()) {
      if (const auto* offer = std::get_if<wire::Offer>(&*message)) {
        submission_ = study::DecodeSubmission(offer->submission).value();
        wire::StudyWord word{study(), wire::Word::kApproved, 0, {}, {}};
        for (int i = 1; i <= testing::kSmallFeatureCount; ++i)
          word.columns.push_back(fmt::format("x{:02}", i));
        word.seals = federation::SealShare(
                         "south", KeysOf("south").agreement, submission_.members,
                         federation::SumContext(submission_.study_file, submission_.members))
                         .value();
        stream_->Say(word);
      } else if (const auto* part = std::get_if<wire::RecordPart>(&*message)) {
        header_.insert(header_.end(), part->data.begin(), part->data.end());
        if (header_.size() < part->size) continue;
        stream_->Say(wire::StudyWord{study(), wire::Word::kJoined, 0, {}, {}});
        stream_->Say(wire::TotalHeld{{study(), 0, 1}});
      } else if (const auto* ask = std::get_if<wire::Ask>(&*message)) {
        ask_ = *ask;
        break;
      }
    }
    if (!ask_) {
      ADD_FAILURE() << "south was not asked";
      return;
    }
    const auto body = federation::NextRecord(header_);
    resolved_ =
        study::CheckHeader(submission_, federation::DecodeHeader(body->body).value()).value();
    const study::StudyReplay replay(resolved_, engine_);
    words_ = federation::ByteCount(replay.layout());
    AwaitAnswerOf("east");
  }

  [[nodiscard]] Digest study() const { return study::DigestOf(submission_); }
  [[nodiscard]] const federation::Binding& binding() const { return ask_->binding; }
  [[nodiscard]] std::size_t words() const { return words_; }
  [[nodiscard]] const federation::SigningKey& KeyOf(const std::string& site) {
    if (!keys_.contains(site)) keys_.emplace(site, KeysOf(site));
    return keys_.at(site).signing;
  }
  // Words that add up to nonsense: an attack that went through would change the report.
  [[nodiscard]] Bytes Nonsense() const { return Bytes(words_, 0x5a); }

  struct Forged {
    std::string sender = "south";
    wire::AnswerHead head;
    Bytes words;
  };
  // An answer that is right but for its words: whoever attacks changes one thing more.
  [[nodiscard]] Forged Answer(const std::string& site = "south") {
    Forged one{site, {}, Nonsense()};
    one.head.study = study();
    one.head.binding = binding();
    Sign(one, site);
    return one;
  }
  void Sign(Forged& one, const std::string& site) {
    one.head.receipt =
        federation::Sign(one.head.binding, site, one.words, one.head.releases, {}, KeyOf(site));
    one.head.size = one.words.size();
  }
  [[nodiscard]] std::string Send(const Forged& one, bool finish = true) {
    std::vector<v1::AnswerPart> parts(1);
    wire::Encode(one.head, *parts[0].mutable_head());
    for (std::size_t at = 0; at < one.words.size(); at += wire::kPartBytes) {
      parts.emplace_back().set_data(one.words.data() + at,
                                    std::min(wire::kPartBytes, one.words.size() - at));
    }
    return SubmitByHand(Dial(network().Of(one.sender)), parts, finish);
  }
  // The hand goes, the real agent comes.
  void GiveBack() {
    stream_.reset();
    network().StartSite("south");
  }

 private:
  void AwaitAnswerOf(const std::string& site) {
    grpc::ClientContext context;
    Soon(context);
    v1::WatchStudyRequest request;
    request.set_study(wire::AsString(study().bytes));
    const auto stub = v1::Console::NewStub(Lead());
    const auto reader = stub->WatchStudy(&context, request);
    v1::StudyStatus status;
    while (reader->Read(&status)) {
      for (const v1::SiteStatus& one : status.sites()) {
        if (one.site() != site || one.sentence() != "answered") continue;
        context.TryCancel();
        (void)reader->Finish();
        return;
      }
    }
    ADD_FAILURE() << site << " did not answer: " << Said(reader->Finish());
  }

  study::Engine engine_ = study::MakeEngine();
  std::unique_ptr<HandStream> stream_;
  study::Submission submission_;
  study::Study resolved_;
  Bytes header_;
  std::optional<wire::Ask> ask_;
  std::size_t words_ = 0;
  std::map<std::string, site_agent::StoredKeys> keys_;
};

const std::vector<Attack<OpenRound>>& Answers() {
  static const std::vector<Attack<OpenRound>> kAttacks = {
      {"4 GiB announced", "RESOURCE_EXHAUSTED: site south: an answer of 4294967296 bytes",
       "refused (limit.answer): south: site south: an answer of 4294967296 bytes was announced",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.head.size = one.head.receipt.answer_bytes = std::uint64_t{1} << 32;
         one.words = {1};
         return place.Send(one);
       }},
      {"more announced than any answer may have", "INVALID_ARGUMENT: message field 'answer.size'",
       "refused (answer): south: message field 'answer.size': 1099511627776, at most 4294967296",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.head.size = one.head.receipt.answer_bytes = std::uint64_t{1} << 40;
         return place.Send(one);
       }},
      {"words before a head", "INVALID_ARGUMENT: answer: the first part is no head",
       "refused (answer): south: answer: the first part is no head",
       [](OpenRound& place) {
         std::vector<v1::AnswerPart> parts(1);
         parts[0].set_data("words");
         return SubmitByHand(place.Dial(place.network().Of("south")), parts);
       }},
      {"more words than announced", "INVALID_ARGUMENT: answer: more than the",
       "refused (answer): south: answer: more than the",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.words.resize(one.words.size() + 8);
         return place.Send(one);
       }},
      {"an answer without end", "INVALID_ARGUMENT: answer: more than the",
       "refused (answer): south: answer: more than the",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.words.resize(std::size_t{64} << 20);  // gone after the first part too many
         return place.Send(one);
       }},
      {"one byte, then silence", "CANCELLED", "bytes announced, 1 there after",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.words.resize(1);
         const std::string said = place.Send(one, false);
         return said;
       }},
      {"words that were altered on the way", "DATA_LOSS: answer of site 'south', round 0",
       "refused (answer): south: answer of site 'south', round 0: its bytes have digest",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.words[3] ^= 1;
         return place.Send(one);
       }},
      {"the rest of an answer that never began",
       "NOT_FOUND: answer: its first 8 bytes are not held here",
       "refused (answer): south: answer: its first 8 bytes are not held here",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.head.from = 8;
         return place.Send(one);
       }},
      {"the rest of an answer, altered", "DATA_LOSS: answer of site 'south', round 0",
       "refused (answer): south: answer of site 'south', round 0: its bytes have digest",
       [](OpenRound& place) {
         const auto whole = place.Answer();
         auto one = whole;
         one.words.resize(8);
         const std::string cut = place.Send(one);
         EXPECT_NE(cut.find("UNAVAILABLE: answer: the stream ended after 8 bytes"),
                   std::string::npos)
             << cut;
         one.words.assign(whole.words.begin() + 8, whole.words.end());
         one.words[3] ^= 1;
         one.head.from = 8;
         return place.Send(one);
       }},
      {"a receipt of another key", "PERMISSION_DENIED: receipt of site 'south', round 0",
       "refused (answer): south: receipt of site 'south', round 0",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.head.receipt = federation::Sign(one.head.binding, "south", one.words, {}, {},
                                             federation::SigningKey::Generate().value());
         return place.Send(one);
       }},
      {"an answer in another's name",
       "PERMISSION_DENIED: site south sent an answer in the name of north",
       "refused (answer): south: site south sent an answer in the name of north",
       [](OpenRound& place) {
         auto one = place.Answer();
         place.Sign(one, "north");
         return place.Send(one);
       }},
      {"an answer to a study of others", "PERMISSION_DENIED: site extra answers study",
       "refused (answer): extra: site extra answers study",
       [](OpenRound& place) {
         (void)place.Extra();
         auto one = place.Answer();
         one.sender = "extra";
         return place.Send(one);
       }},
      {"an answer of another study, replayed",
       "FAILED_PRECONDITION: answer of site 'south' to round 0, attempt 0: it belongs to another",
       "refused (answer): south: answer of site 'south' to round 0, attempt 0: it belongs to",
       [](OpenRound& place) {
         // What south signed in the first study, as every site has it in its log.
         const auto store = site_agent::SiteStore::OpenBeside(place.network().scratch().path() /
                                                              "south" / "state");
         const auto list = store->ListStudies();
         const auto first = std::find_if(
             list->studies.begin(), list->studies.end(), [](const site_agent::StoredStudy& one) {
               return one.submission.study_file.find("name: first") != std::string::npos;
             });
         const auto log = store->ReadLog(first->digest, 0);
         federation::LogReader reader(log->bytes);
         EXPECT_TRUE(reader.Header().has_value());
         auto one = place.Answer();
         const auto entry = reader.Next();
         for (const federation::Receipt& receipt : entry->receipts) {
           if (receipt.site == "south") one.head.receipt = receipt;
         }
         one.head.binding = one.head.receipt.binding;
         one.head.size = one.head.receipt.answer_bytes;
         one.words.resize(one.head.size);
         return place.Send(one);
       }},
      {"an answer to a round that is not open", "open is round 0, attempt 0; wait to be asked",
       "refused (answer): south: answer of site 'south' to round 7, attempt 0: open is round 0",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.head.binding.round = 7;
         place.Sign(one, "south");
         return place.Send(one);
       }},
      {"an answer to another question", "FAILED_PRECONDITION",
       "it answers another query; the totals before it differ",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.head.binding.query = NoSuch();
         place.Sign(one, "south");
         return place.Send(one);
       }},
      {"an answer for another roster", "FAILED_PRECONDITION", "it was masked for another roster",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.head.binding.roster = NoSuch();
         place.Sign(one, "south");
         return place.Send(one);
       }},
      {"too few words", "DATA_LOSS: round 0: south sent",
       "refused (answer): south: round 0: south sent",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.words.resize(one.words.size() - 8);
         place.Sign(one, "south");
         return place.Send(one);
       }},
      {"a release that nobody asked for",
       "PERMISSION_DENIED: round 0: south released what it was not asked for",
       "refused (answer): south: round 0: south released what it was not asked for",
       [](OpenRound& place) {
         auto one = place.Answer();
         one.head.releases[0];
         return place.Send(one);
       }},
      {"a second, different answer", "ALREADY_EXISTS: answer of site 'east' to round 0",
       "refused (answer): east: answer of site 'east' to round 0, attempt 0: conflict",
       [](OpenRound& place) { return place.Send(place.Answer("east")); }},
  };
  return kAttacks;
}

// ---- A coordinator that lies
// ---------------------------------------------------------------------

// The federation's own coordinator gone bad: its keys, its port, and its words from the test. Only
// north's agent runs.
class BadCoordinator : public Arena {
 public:
  BadCoordinator() {
    network_.coordinator().Kill();
    for (const std::string& site : network_.sites()) {
      if (site != "north") network_.site(site).Kill();
    }
    const Scratch& scratch = network_.scratch();
    authority_ = scratch.Read("c/authority.crt");
    authority_key_ = scratch.Read("c/authority.key");
    for (const std::string& site : network_.sites()) {
      const auto store = site_agent::SiteStore::OpenBeside(scratch.path() / site / "state");
      keys_.emplace(site, std::move(store->LoadKeys().value()));
      members_[site] = keys_.at(site).public_keys();
    }
    std::string yaml = testing::SmallStudyYaml();
    yaml.replace(yaml.find("name: small"), 11, "name: lies");
    submission_ = study::SignSubmission(yaml, members_, "anna", LeadKey());
    std::vector<std::string> columns;
    for (int i = 1; i <= testing::kSmallFeatureCount; ++i)
      columns.push_back(fmt::format("x{:02}", i));
    study_ = study::ResolveFeatures(study::StudyOf(submission_).value(), columns).value();
    run_ = coordinator::StudyRun::Begin(study_, yaml, engine_, members_, log_).value();
    header_ = federation::DecodeHeader(federation::NextRecord(log_.records[0])->body).value();
  }

  [[nodiscard]] std::string Log() override { return network_.LogOf("north"); }
  [[nodiscard]] bool Until(const std::function<bool()>& condition) override {
    return network_.Until(condition, 20);
  }
  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] const std::string& authority() const { return authority_; }
  [[nodiscard]] const std::string& authority_key() const { return authority_key_; }
  [[nodiscard]] federation::SigningKey LeadKey() const {
    return std::move(console::LoadKeys(network_.scratch().path() / "anna")->signing);
  }
  [[nodiscard]] const study::Submission& submission() const { return submission_; }
  [[nodiscard]] Digest study() const { return study::DigestOf(submission_); }
  [[nodiscard]] coordinator::StudyRun& run() { return *run_; }
  [[nodiscard]] const federation::LogHeader& header() const { return header_; }
  [[nodiscard]] const site_agent::StoredKeys& KeysOf(const std::string& site) const {
    return keys_.at(site);
  }

  // Who listens at the work port; the one before is gone.
  FakeCoordinator& Show(const std::string& key, const std::string& certificate) {
    fake_.reset();
    fake_ = std::make_unique<FakeCoordinator>(network_.work_port(), authority_, key, certificate);
    return *fake_;
  }
  // The coordinator with its own keys and an agent that has just connected.
  FakeCoordinator& Greeted() {
    network_.site("north").Kill();
    FakeCoordinator& fake =
        Show(network_.scratch().Read("c/server.key"), network_.scratch().Read("c/server.crt"));
    network_.StartSite("north");
    EXPECT_TRUE(fake.Welcome()) << Log();
    return fake;
  }
  // The same, and north has approved the study `lies`.
  FakeCoordinator& Approved() {
    if (fresh_) return *fake_;
    FakeCoordinator& fake = Greeted();
    fake.Send(wire::ToSite(wire::Offer{study::EncodeSubmission(submission_)}));
    EXPECT_TRUE(HearWord(wire::Word::kApproved));
    fresh_ = true;
    return fake;
  }
  // The same, and north has joined.
  FakeCoordinator& Joined() {
    FakeCoordinator& fake = Approved();
    if (joined_) return fake;
    wire::Seals seals{study(), {}};
    const Digest context = federation::SumContext(submission_.study_file, members_);
    for (const auto& [site, site_keys] : run_->roster()) {
      if (site == "north") continue;
      seals.seals[site] = federation::SealShare(site, keys_.at(site).agreement, members_, context)
                              .value()
                              .at("north");
    }
    fake.Send(wire::ToSite(seals));
    SendRecord(0, log_.records[0]);
    // Joined now, or before: then the agent says only that it has the header.
    const auto held = fake.Await([](const wire::FromSite& one) {
      const auto* total = std::get_if<wire::TotalHeld>(&one);
      return total != nullptr && total->position.records == 1;
    });
    EXPECT_TRUE(held.has_value()) << Log();
    joined_ = true;
    return fake;
  }
  // What must be set up again before the next attack.
  void Forget() { fresh_ = joined_ = false; }

  [[nodiscard]] bool HearWord(wire::Word wanted) {
    return fake_
        ->Await([&](const wire::FromSite& one) {
          const auto* word = std::get_if<wire::StudyWord>(&one);
          return word != nullptr && word->word == wanted;
        })
        .has_value();
  }
  // What north says of a round or of joining, as it goes out.
  [[nodiscard]] std::string Outward() {
    const auto said = fake_->Await([](const wire::FromSite& one) {
      const auto* word = std::get_if<wire::StudyWord>(&one);
      return std::holds_alternative<wire::Refused>(one) ||
             (word != nullptr && word->word == wire::Word::kFailed);
    });
    if (!said) return "nothing";
    if (const auto* refused = std::get_if<wire::Refused>(&*said)) return refused->outward;
    return std::get<wire::StudyWord>(*said).outward;
  }
  [[nodiscard]] std::string Left() {
    Forget();
    return fake_->AgentLeft() ? "left" : "stayed";
  }
  void SendRecord(std::uint64_t index, const Bytes& record) {
    for (std::size_t at = 0; at < record.size(); at += wire::kPartBytes) {
      wire::RecordPart part{study(), 0, index, record.size(), at, {}};
      part.data.assign(record.begin() + static_cast<std::ptrdiff_t>(at),
                       record.begin() + static_cast<std::ptrdiff_t>(
                                            std::min(record.size(), at + wire::kPartBytes)));
      fake_->Send(wire::ToSite(std::move(part)));
    }
  }
  [[nodiscard]] wire::Ask RightAsk() const {
    wire::Ask ask{study(), run_->binding(), {}};
    for (const auto& [site, keys] : run_->roster()) ask.roster.insert(site);
    return ask;
  }
  // What north says to a question.
  [[nodiscard]] std::string Asked(const wire::Ask& ask) {
    Joined().Send(wire::ToSite(ask));
    return Outward();
  }
  // A header with one thing changed; what north says to it.
  [[nodiscard]] std::string HeaderWith(const std::function<void(federation::LogHeader&)>& change) {
    Approved();
    federation::LogHeader other = header_;
    change(other);
    SendRecord(0, federation::EncodeRecord(other));
    return Outward();
  }
  // The total of round 0 as it would be right, but for `change`; what north says to it.
  [[nodiscard]] std::string EntryWith(const std::function<void(federation::LogEntry&)>& change) {
    Joined();
    federation::LogEntry entry;
    entry.binding = run_->binding();
    entry.previous = federation::NextRecord(log_.records[0])->hash;
    entry.total.resize(federation::ByteCount(run_->replay().layout()));
    for (const auto& [site, keys] : run_->roster()) {
      entry.receipts.push_back(
          site == "north" && given_
              ? *given_
              : federation::Sign(entry.binding, site, entry.total, {}, {}, KeysOf(site).signing));
    }
    change(entry);
    SendRecord(1, federation::EncodeRecord(entry));
    return Outward();
  }
  // North is asked three times before its first answer is acknowledged, and once after.
  void AskedWhileItAnswers() {
    FakeCoordinator& fake = Joined();
    fake.Acknowledge(false);
    fake.Send(wire::ToSite(RightAsk()));
    const auto first = fake.AwaitAnswer();
    ASSERT_TRUE(first.has_value()) << Log();
    fake.Send(wire::ToSite(RightAsk()));
    fake.Send(wire::ToSite(RightAsk()));
    // Its next beat: by then the questions are there.
    ASSERT_TRUE(fake.Await([](const wire::FromSite& one) {
                      return std::holds_alternative<wire::SiteBeat>(one);
                    })
                    .has_value());
    fake.Acknowledge(true);
    // What is answered after the questions.
    const auto all_is_heard = [&] {
      fake.Send(wire::ToSite(wire::Offer{study::EncodeSubmission(submission_)}));
      return HearWord(wire::Word::kApproved);
    };
    EXPECT_TRUE(all_is_heard());
    EXPECT_EQ(fake.answer_count(), 0U);
    fake.Send(wire::ToSite(RightAsk()));
    const auto again = fake.AwaitAnswer();
    ASSERT_TRUE(again.has_value()) << Log();
    EXPECT_TRUE(again->first.receipt == first->first.receipt);
    EXPECT_TRUE(again->second == first->second);
    // Half of it came before the call broke: the rest is sent, and all of it where that half is
    // lost.
    EXPECT_TRUE(all_is_heard());
    wire::Ask rest = RightAsk();
    rest.held = first->second.size() / 2;
    fake.Send(wire::ToSite(rest));
    const auto half = fake.AwaitAnswer();
    ASSERT_TRUE(half.has_value()) << Log();
    EXPECT_EQ(half->first.from, rest.held);
    EXPECT_TRUE(half->first.receipt == first->first.receipt);
    EXPECT_TRUE(
        half->second ==
        Bytes(first->second.begin() + static_cast<std::ptrdiff_t>(rest.held), first->second.end()));
    EXPECT_TRUE(all_is_heard());
    fake.LoseHalves();
    fake.Send(wire::ToSite(rest));
    const auto all = fake.AwaitAnswer();
    ASSERT_TRUE(all.has_value()) << Log();
    EXPECT_EQ(all->first.from, 0U);
    EXPECT_TRUE(all->second == first->second);
  }
  // North's honest answer to the honest question, once.
  void Answered() {
    Joined().Send(wire::ToSite(RightAsk()));
    const auto answer = fake_->AwaitAnswer();
    ASSERT_TRUE(answer.has_value()) << Log();
    given_ = answer->first.receipt;
    EXPECT_TRUE(
        federation::Verify(*given_, members_, federation::DigestOf(run_->roster())).has_value());
    EXPECT_TRUE(federation::CheckWords(*given_, answer->second).has_value());
  }
  void GiveBack() {
    fake_.reset();
    network_.StartCoordinator();
    EXPECT_TRUE(Until([&] { return network_.Anna({"study", "list"}).exit_code == 0; }));
    for (const std::string& site : network_.sites()) network_.StartSite(site);
  }

 private:
  Network network_;
  std::string authority_, authority_key_;
  std::map<std::string, site_agent::StoredKeys> keys_;
  federation::Roster members_;
  study::Submission submission_;
  study::Study study_;
  study::Engine engine_ = study::MakeEngine();
  testing::MemoryLog log_;
  federation::LogHeader header_;
  std::unique_ptr<coordinator::StudyRun> run_;
  std::unique_ptr<FakeCoordinator> fake_;
  std::optional<federation::Receipt> given_;
  bool fresh_ = false, joined_ = false;
};

// A server with this certificate instead of the coordinator's; whether north spoke to it.
std::string Shown(BadCoordinator& place, const std::string& key, const std::string& certificate,
                  const std::string& words) {
  place.network().site("north").Kill();
  const std::size_t before = place.Log().size();
  FakeCoordinator& fake = place.Show(key, certificate);
  place.network().StartSite("north");
  EXPECT_TRUE(
      place.Until([&] { return place.Log().substr(before).find(words) != std::string::npos; }));
  return fake.heard_anybody() ? "a stream" : "no stream";
}

std::string ServerCertificate(BadCoordinator& place, const std::string& key, const HandMade& as) {
  HandMade what = as;
  what.subject = {{"CN", "coordinator"}, {"OU", "coordinator"}};
  what.issuer = place.authority();
  what.issuer_key = place.authority_key();
  return MakeCertificate(key, what);
}

const std::vector<Attack<BadCoordinator>>& Lies() {
  static const std::vector<Attack<BadCoordinator>> kAttacks = {
      {"a coordinator of another authority", "no stream", "Ssl handshake failed",
       [](BadCoordinator& place) {
         const std::string key = identity::GenerateKey().value();
         const auto other = identity::Authority::Create("Loopback", NowSeconds(), 1);
         HandMade what;
         what.subject = {{"CN", "coordinator"}, {"OU", "coordinator"}};
         what.from_s = NowSeconds() - 60;
         what.until_s = NowSeconds() + 3600;
         what.purpose = "serverAuth";
         what.hosts = "IP:127.0.0.1";
         what.issuer = other->certificate_pem();
         what.issuer_key = other->key_pem();
         return Shown(place, key, MakeCertificate(key, what), "Ssl handshake failed");
       }},
      {"a coordinator's certificate that ended", "no stream", "certificate verify failed",
       [](BadCoordinator& place) {
         const std::string key = identity::GenerateKey().value();
         HandMade what;
         what.from_s = NowSeconds() - 7200;
         what.until_s = NowSeconds() - 3600;
         what.purpose = "serverAuth";
         what.hosts = "IP:127.0.0.1";
         return Shown(place, key, ServerCertificate(place, key, what), "certificate verify failed");
       }},
      {"a site that plays the coordinator", "no stream", "certificate verify failed",
       [](BadCoordinator& place) {
         const Credentials east = place.network().Of("east");
         return Shown(place, east.key, east.certificate, "certificate verify failed");
       }},
      {"a coordinator's certificate for another host", "no stream", "not connected: coordinator",
       [](BadCoordinator& place) {
         const std::string key = identity::GenerateKey().value();
         HandMade what;
         what.from_s = NowSeconds() - 60;
         what.until_s = NowSeconds() + 3600;
         what.purpose = "serverAuth";
         what.hosts = "DNS:other.example.org";
         return Shown(place, key, ServerCertificate(place, key, what),
                      "not connected: coordinator");
       }},
      {"a welcome without beats", "left", "message field 'welcome.beat_ms': 0",
       [](BadCoordinator& place) {
         place.network().site("north").Kill();
         FakeCoordinator& fake = place.Show(place.network().scratch().Read("c/server.key"),
                                            place.network().scratch().Read("c/server.crt"));
         place.network().StartSite("north");
         EXPECT_TRUE(fake.Welcome(0));
         return place.Left();
       }},
      {"a second welcome", "left", "a second welcome in one stream",
       [](BadCoordinator& place) {
         place.Greeted().Send(
             wire::ToSite(wire::Welcome{1, study::kEngineVersion, program::UnixMs(), 2000}));
         return place.Left();
       }},
      {"a coordinator's message of no kind", "left", "a coordinator's message of no kind",
       [](BadCoordinator& place) {
         place.Greeted().Send(v1::ToSite());
         return place.Left();
       }},
      {"a coordinator's message of 5 MiB", "left", "larger than max",
       [](BadCoordinator& place) {
         v1::ToSite message;
         message.mutable_offer()->set_submission(Letters(5 << 20));
         place.Greeted().Send(message);
         return place.Left();
       }},
      {"a study that the lead did not sign so", "stayed",
       "PERMISSION_DENIED: submission of a study by 'anna'",
       [](BadCoordinator& place) {
         study::Submission altered = place.submission();
         altered.study_file.replace(altered.study_file.find("min_sites: 3"), 12, "min_sites: 2");
         FakeCoordinator& fake = place.Greeted();
         fake.Send(wire::ToSite(wire::Offer{study::EncodeSubmission(altered)}));
         return std::string(fake.open() ? "stayed" : "left");
       }},
      {"other keys for this site", "PERMISSION_DENIED GATE_KEY_NOT_PINNED",
       "the lead signed other keys for this site than it has",
       [](BadCoordinator& place) {
         federation::Roster members = place.submission().members;
         members["north"] = members.at("east");
         place.Greeted().Send(
             wire::ToSite(wire::Offer{study::EncodeSubmission(study::SignSubmission(
                 place.submission().study_file, members, "anna", place.LeadKey()))}));
         return place.Outward();
       }},
      {"a study of a lead whom this site does not know", "waits",
       "waits for approval: `consilium-site approve",
       [](BadCoordinator& place) {
         const study::Submission other =
             study::SignSubmission(place.submission().study_file, place.submission().members,
                                   "anna", federation::SigningKey::Generate().value());
         place.Greeted().Send(wire::ToSite(wire::Offer{study::EncodeSubmission(other)}));
         return std::string(place.HearWord(wire::Word::kWaiting) ? "waits" : "answers");
       }},
      {"a question before the study began", "FAILED_PRECONDITION", "no attempt was joined yet",
       [](BadCoordinator& place) {
         place.Approved().Send(wire::ToSite(place.RightAsk()));
         return place.Outward();
       }},
      {"a header of another study", "PERMISSION_DENIED",
       "log header: its study file is not the one that the lead signed",
       [](BadCoordinator& place) {
         return place.HeaderWith([](federation::LogHeader& header) {
           header.study_file.replace(header.study_file.find("seed: 20"), 8, "seed: 21");
         });
       }},
      {"a header of another engine", "FAILED_PRECONDITION",
       "log header: the study is computed by consilium 99",
       [](BadCoordinator& place) {
         return place.HeaderWith(
             [](federation::LogHeader& header) { header.engine_version = "consilium 99"; });
       }},
      {"a header with other keys", "PERMISSION_DENIED",
       "log header: site east stands there with other keys than the lead signed",
       [](BadCoordinator& place) {
         return place.HeaderWith([](federation::LogHeader& header) {
           header.members["east"].agreement = header.members.at("south").agreement;
         });
       }},
      {"a header without masks", "PERMISSION_DENIED", "log header: masks are not as the study says",
       [](BadCoordinator& place) {
         return place.HeaderWith([](federation::LogHeader& header) { header.masked = false; });
       }},
      {"a header with fewer columns", "PERMISSION_DENIED", "log header: its digest is not that",
       [](BadCoordinator& place) {
         return place.HeaderWith(
             [](federation::LogHeader& header) { header.feature_columns.resize(1); });
       }},
      {"a header without a center", "PERMISSION_DENIED", "PERMISSION_DENIED",
       [](BadCoordinator& place) {
         return place.HeaderWith(
             [](federation::LogHeader& header) { header.roster.erase("east"); });
       }},
      {"a record whose hash is another's", "DATA_LOSS", "DATA_LOSS",
       [](BadCoordinator& place) {
         place.Approved();
         Bytes record = federation::EncodeRecord(place.header());
         record.back() ^= 1;
         place.SendRecord(0, record);
         return place.Outward();
       }},
      {"a record that comes too early", "FAILED_PRECONDITION",
       "record 3 of attempt 0 came, expected record 0 of attempt 0",
       [](BadCoordinator& place) {
         place.Approved();
         place.SendRecord(3, federation::EncodeRecord(place.header()));
         return place.Outward();
       }},
      {"a part in the middle of nothing", "stayed", "part at 100 of a record, expected 0",
       [](BadCoordinator& place) {
         FakeCoordinator& fake = place.Approved();
         fake.Send(wire::ToSite(wire::RecordPart{place.study(), 0, 0, 200, 100, Bytes(10, 1)}));
         return std::string(fake.open() ? "stayed" : "left");
       }},
      {"a record of 4 GiB, announced", "stayed", "a record of 4294967296 bytes was announced",
       [](BadCoordinator& place) {
         FakeCoordinator& fake = place.Approved();
         fake.Send(wire::ToSite(
             wire::RecordPart{place.study(), 0, 0, std::uint64_t{1} << 32, 0, Bytes(10, 1)}));
         return std::string(fake.open() ? "stayed" : "left");
       }},
      {"a record without end", "left", "message field 'record.data': 131072 bytes at",
       [](BadCoordinator& place) {
         FakeCoordinator& fake = place.Approved();
         v1::ToSite message;
         wire::Encode(wire::ToSite(wire::RecordPart{place.study(), 0, 0, std::uint64_t{1} << 20, 0,
                                                    Bytes(wire::kPartBytes, 1)}),
                      message);
         for (std::uint64_t i = 0; i < 100 && fake.Send(message); ++i)
           message.mutable_record()->set_offset((i + 1) * wire::kPartBytes);
         return place.Left();
       }},
      {"another question", "PERMISSION_DENIED GATE_NOT_DERIVED", "GATE_NOT_DERIVED",
       [](BadCoordinator& place) {
         wire::Ask ask = place.RightAsk();
         ask.binding.query = NoSuch();
         return place.Asked(ask);
       }},
      {"a question of another study", "PERMISSION_DENIED", "is not the approved one",
       [](BadCoordinator& place) {
         wire::Ask ask = place.RightAsk();
         ask.binding.study = NoSuch();
         return place.Asked(ask);
       }},
      {"a question to fewer sites", "PERMISSION_DENIED", "roster",
       [](BadCoordinator& place) {
         wire::Ask ask = place.RightAsk();
         ask.roster.erase("east");
         federation::Roster fewer = place.run().roster();
         fewer.erase("east");
         ask.binding.roster = federation::DigestOf(fewer);
         return place.Asked(ask);
       }},
      {"a question with a site that is not there", "PERMISSION_DENIED", "fake",
       [](BadCoordinator& place) {
         wire::Ask ask = place.RightAsk();
         ask.roster.erase("east");
         ask.roster.insert("fake");
         return place.Asked(ask);
       }},
      {"a question with a site twice", "left", "message field 'ask.roster': site east comes twice",
       [](BadCoordinator& place) {
         v1::ToSite message;
         wire::Encode(wire::ToSite(place.RightAsk()), message);
         message.mutable_ask()->add_roster("east");
         place.Joined().Send(message);
         return place.Left();
       }},
  };
  return kAttacks;
}

// In a stream of their own: what was joined is joined once.
const std::vector<Attack<BadCoordinator>>& LaterLies() {
  static const std::vector<Attack<BadCoordinator>> kAttacks = {
      {"a later round", "FAILED_PRECONDITION", "the next round of this attempt is 0",
       [](BadCoordinator& place) {
         wire::Ask ask = place.RightAsk();
         ask.binding.round = 5;
         return place.Asked(ask);
       }},
      {"an attempt that nobody began", "PERMISSION_DENIED", "attempt 3",
       [](BadCoordinator& place) {
         wire::Ask ask = place.RightAsk();
         ask.binding.attempt = 3;
         return place.Asked(ask);
       }},
      {"a second question in an answered round", "PERMISSION_DENIED GATE_NOT_DERIVED",
       "GATE_NOT_DERIVED: the question is not the one that follows",
       [](BadCoordinator& place) {
         place.Answered();
         wire::Ask ask = place.RightAsk();
         ask.binding.query = NoSuch();
         return place.Asked(ask);
       }},
      {"a total that follows another record", "DATA_LOSS",
       "the total does not follow the record before it",
       [](BadCoordinator& place) {
         return place.EntryWith([](federation::LogEntry& entry) { entry.previous = NoSuch(); });
       }},
      {"a total of another question", "PERMISSION_DENIED",
       "the total is of another question than the one that follows from the study",
       [](BadCoordinator& place) {
         return place.EntryWith(
             [](federation::LogEntry& entry) { entry.binding.query = NoSuch(); });
       }},
      // From the first refusal of a total on, nothing of this study is believed any more.
      {"a total without receipts", "PERMISSION_DENIED GATE_TOTAL_NOT_THE_SUM",
       "0 receipts for a roster of 3 training centers",
       [](BadCoordinator& place) {
         return place.EntryWith([](federation::LogEntry& entry) { entry.receipts.clear(); });
       }},
      {"a total with a forged receipt", "PERMISSION_DENIED GATE_TOTAL_NOT_THE_SUM",
       "GATE_TOTAL_NOT_THE_SUM: log entry 0",
       [](BadCoordinator& place) {
         return place.EntryWith([](federation::LogEntry& entry) {
           for (federation::Receipt& receipt : entry.receipts) {
             if (receipt.site == "east") receipt.signature[0] ^= 1;
           }
         });
       }},
      {"a total with a receipt that this site did not give",
       "PERMISSION_DENIED GATE_TOTAL_NOT_THE_SUM", "GATE_TOTAL_NOT_THE_SUM: log entry 0",
       [](BadCoordinator& place) {
         return place.EntryWith([&](federation::LogEntry& entry) {
           for (federation::Receipt& receipt : entry.receipts) {
             if (receipt.site == "north")
               receipt = federation::Sign(entry.binding, "north", Bytes(8, 1), {}, {},
                                          place.KeysOf("north").signing);
           }
         });
       }},
      {"a jump over attempts", "stayed", "attempt 5 was announced after attempt 0",
       [](BadCoordinator& place) {
         FakeCoordinator& fake = place.Joined();
         fake.Send(wire::ToSite(wire::Restarted{place.study(), 5, "a whim"}));
         return std::string(fake.open() ? "stayed" : "left");
       }},
      {"a forged signature under a ledger's head", "stayed", "PERMISSION_DENIED",
       [](BadCoordinator& place) {
         FakeCoordinator& fake = place.Joined();
         fake.Send(wire::ToSite(wire::HeadSigned{1, NoSuch(), {}}));
         return std::string(fake.open() ? "stayed" : "left");
       }},
      {"wrong questions without end", "left",
       "the coordinator was refused 50 times over one connection; leaving it",
       [](BadCoordinator& place) {
         FakeCoordinator& fake = place.Joined();
         wire::Ask ask = place.RightAsk();
         ask.binding.round = 9;
         for (int i = 0; i < 100 && fake.Send(wire::ToSite(ask)); ++i) {
         }
         return place.Left();
       }},
  };
  return kAttacks;
}

// ---- The groups ---------------------------------------------------------------------------------

// A study that was under way, or begins now, ends as it does without anybody else.
void ExpectUnharmed(Network& network, const std::string& study) {
  ASSERT_EQ(network.Watch(study)->Exit(), 0) << network.scratch().Read("watch-" + study);
  network.ExpectSameBytes(study);
  EXPECT_TRUE(network.coordinator().Running());
  for (const std::string& site : network.sites())
    EXPECT_TRUE(network.site(site).Running()) << network.LogOf(site);
}

TEST(NetworkAttacks, StrangersAtEveryPortAreRefusedByName) {
  Federation place;
  if (HasFatalFailure()) return;
  place.network().Submit("small");
  TryAll(place, Strangers());
  ExpectUnharmed(place.network(), "small");
  // Counted, for whoever watches the figures and not the log.
  RawSocket socket(place.health());
  socket.Send("GET /metrics HTTP/1.1\r\n\r\n");
  const std::string metrics = socket.ReadToEnd();
  for (const char* kind : {"tls.version", "tls.no_certificate", "tls.certificate", "tls.http",
                           "tls.garbage", "tls.slow", "tls.no_http2", "tls.closed", "health"}) {
    EXPECT_NE(metrics.find(fmt::format("consilium_refused_total{{kind=\"{}\"}}", kind)),
              std::string::npos)
        << kind << " is not in: " << metrics;
  }
}

TEST(NetworkAttacks, WrongTokensAndRequestsAreRefusedByName) {
  Federation place;
  if (HasFatalFailure()) return;
  place.network().Submit("small");
  TryAll(place, Enrolments());
  ExpectUnharmed(place.network(), "small");
}

TEST(NetworkAttacks, MembersBeyondWhatTheyAreAreRefusedByName) {
  Federation place;
  if (HasFatalFailure()) return;
  (void)place.Extra();
  place.network().Submit("first");
  ASSERT_EQ(place.network().Watch("first")->Exit(), 0);
  TryAll(place, Members());
  place.network().Submit("second", 21);
  ExpectUnharmed(place.network(), "second");
}

TEST(NetworkAttacks, WrongAnswersAreRefusedByNameAndTheRightOneCounts) {
  {
    OpenRound place;
    if (HasFailure()) return;
    TryAll(place, Answers());
    place.GiveBack();
    ExpectUnharmed(place.network(), "second");
  }
}

TEST(NetworkAttacks, ACoordinatorThatLiesIsRefusedByEachSite) {
  BadCoordinator place;
  if (HasFailure()) return;
  TryAll(place, Lies());
  TryAll(place, LaterLies());
  place.GiveBack();
  place.network().Submit("small");
  ExpectUnharmed(place.network(), "small");
}

// A reminder that comes while a long answer is on its way costs nothing; one that comes later may
// be of a coordinator that was killed.
TEST(NetworkAttacks, AQuestionThatIsAskedAgainWhileItIsAnsweredIsAnsweredOnce) {
  BadCoordinator place;
  if (HasFailure()) return;
  place.AskedWhileItAnswers();
}

// docs/attacks.md has these attacks, in this order, with these words.
TEST(NetworkAttacks, TheDocumentHasTheMatrixAsItIsTried) {
  std::vector<std::pair<std::string, std::string>> tried;
  const auto add = [&](const auto& attacks) {
    for (const auto& one : attacks) tried.emplace_back(one.name, one.log);
  };
  add(Strangers());
  add(Enrolments());
  add(Members());
  add(Answers());
  add(Lies());
  add(LaterLies());
  EXPECT_GE(tried.size(), 40U);
  std::set<std::string> names;
  for (const auto& [name, log] : tried) EXPECT_TRUE(names.insert(name).second) << name;

  std::ifstream file(std::string(CONSILIUM_SOURCE_DIR) + "/docs/attacks.md");
  std::vector<std::pair<std::string, std::string>> written;
  bool table = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| ---")) {
      table = true;
    } else if (!line.starts_with("|")) {
      table = false;
    } else if (table) {
      const std::string name = line.substr(2, line.find(" | ") - 2);
      const std::size_t to = line.rfind('`');
      const std::size_t from = to == std::string::npos ? to : line.rfind("``", to - 2);
      written.emplace_back(name,
                           from == std::string::npos ? "" : line.substr(from + 3, to - from - 5));
    }
  }
  EXPECT_EQ(written, tried);
}

}  // namespace
}  // namespace consilium::e2e
