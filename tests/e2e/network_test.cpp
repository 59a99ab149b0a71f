// A federation as hospitals run it: real processes, real gRPC, mutual TLS on loopback.
#include <consilium/v1/consilium.grpc.pb.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "federation/wire/wire.h"
#include "identity/authority.h"
#include "identity/certificate.h"
#include "identity/private_key.h"
#include "study/program.h"
#include "study/submission.h"
#include "tests/e2e/network_fixture.h"

namespace consilium::e2e {
namespace {

using Json = nlohmann::json;

void ExpectSays(const std::string& text, const std::string& words) {
  EXPECT_NE(text.find(words), std::string::npos) << "'" << words << "' is not in: " << text;
}

void SetTime(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(kWaitSeconds));
}

grpc::Status PingSites(const std::shared_ptr<grpc::Channel>& channel) {
  grpc::ClientContext context;
  SetTime(context);
  v1::PingRequest request;
  request.mutable_versions()->set_protocol_min(wire::kProtocolMin);
  request.mutable_versions()->set_protocol_max(wire::kProtocolMax);
  request.mutable_versions()->set_engine(study::kEngineVersion);
  v1::PingReply reply;
  return v1::Sites::NewStub(channel)->Ping(&context, request, &reply);
}

grpc::Status ListMembers(const std::shared_ptr<grpc::Channel>& channel,
                         v1::ListMembersReply* members) {
  grpc::ClientContext context;
  SetTime(context);
  return v1::Console::NewStub(channel)->ListMembers(&context, {}, members);
}

grpc::Status SubmitAs(const std::shared_ptr<grpc::Channel>& channel,
                      const study::Submission& submission) {
  grpc::ClientContext context;
  SetTime(context);
  const Bytes bytes = study::EncodeSubmission(submission);
  v1::SubmitStudyRequest request;
  request.set_submission(bytes.data(), bytes.size());
  v1::SubmitStudyReply reply;
  return v1::Console::NewStub(channel)->SubmitStudy(&context, request, &reply);
}

std::int64_t NowSeconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// A certificate for site north that `authority` signs, with its key; dialled as a stranger would.
Credentials Forged(const identity::Authority& authority, const std::string& shown_authority) {
  const auto key = identity::GenerateKey();
  const auto request = identity::MakeRequest(key.value(), "north", identity::Role::kSite);
  identity::Grant grant;
  grant.name = "north";
  grant.now_s = NowSeconds();
  grant.days = 1;
  return {shown_authority, *key, authority.Issue(request.value(), grant).value()};
}

// The reason why a client that knows nothing newer than `version` gets no connection; empty: it
// does.
std::string RefusedTls(int port, int version) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  SSL_CTX_free);
  SSL_CTX_set_max_proto_version(context.get(), version);
  BIO* bio = BIO_new_ssl_connect(context.get());
  BIO_set_conn_hostname(bio, fmt::format("127.0.0.1:{}", port).c_str());
  ERR_clear_error();
  std::string reason;
  if (BIO_do_handshake(bio) <= 0) {
    const char* text = ERR_reason_error_string(ERR_peek_last_error());
    reason = text == nullptr ? "closed" : text;
  }
  BIO_free_all(bio);
  return reason;
}

TEST(Network, GivesTheBytesOfOneProcess) {
  Network network;
  if (HasFatalFailure()) return;
  ASSERT_NO_FATAL_FAILURE(network.Submit("small"));
  const auto watch = network.Watch("small");
  ASSERT_EQ(watch->Exit(), 0) << network.scratch().Read("watch-small");
  network.ExpectSameBytes("small");
}

TEST(Network, KilledAtRandomMomentsItGivesTheSameBytes) {
  const char* asked = std::getenv("CONSILIUM_KILLS");
  const int kills_wanted = asked == nullptr ? 12 : std::atoi(asked);
  ASSERT_GT(kills_wanted, 0);
  Rng rng(20260104, "kills");
  Network network;
  if (HasFatalFailure()) return;
  int kills = 0, coordinator_kills = 0;
  // A study that ends before enough was killed is followed by another.
  for (int number = 1; kills < kills_wanted; ++number) {
    const std::string name = fmt::format("small-{}", number);
    SCOPED_TRACE(fmt::format("{}, after {} kills", name, kills));
    ASSERT_NO_FATAL_FAILURE(network.Submit(name, 20 + number));
    const auto ended = [&] {
      const std::string state = network.StateOf(name);
      return state == "finished" || state == "failed" || state == "cancelled";
    };
    while (kills < kills_wanted && !ended()) {
      // A random moment: after so many times that somebody wrote something.
      std::uint64_t writes = rng.Below(12);
      ASSERT_TRUE(network.Until([&] { return writes-- == 0 || ended(); }));
      const auto whom = rng.Below(network.sites().size() + 1);
      if (whom < network.sites().size()) {
        const std::string& site = network.sites()[whom];
        ASSERT_TRUE(network.site(site).Running()) << network.LogOf(site);
        network.site(site).Kill();
        network.StartSite(site);
      } else {
        ASSERT_TRUE(network.coordinator().Running()) << network.scratch().Read("coordinator.log");
        network.coordinator().Kill();
        network.StartCoordinator();
        ++coordinator_kills;
      }
      ++kills;
    }
    ASSERT_TRUE(network.Until(ended, 2 * kWaitSeconds))
        << network.scratch().Read("coordinator.log");
    ASSERT_EQ(network.StateOf(name), "finished");
    // The last kill may have been the coordinator's: let it listen again.
    ASSERT_TRUE(network.Until([&] { return network.Anna({"study", "list"}).exit_code == 0; }));
    ASSERT_NO_FATAL_FAILURE(network.ExpectSameBytes(name));
  }
  RecordProperty("coordinator_kills", coordinator_kills);
  EXPECT_GT(coordinator_kills, 0);
  EXPECT_LT(coordinator_kills, kills);
}

TEST(Network, RefusesStrangersAndWrongOnesByName) {
  Network network;
  if (HasFatalFailure()) return;
  const Scratch& scratch = network.scratch();
  const Credentials north = network.Of("north"), anna = network.Of("anna");
  ASSERT_TRUE(PingSites(network.Dial(north)).ok());
  v1::ListMembersReply members;
  ASSERT_TRUE(ListMembers(network.Dial(anna), &members).ok());

  // Without a certificate, or with one of another authority, TLS itself ends.
  EXPECT_EQ(PingSites(network.Dial({north.authority, "", ""})).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  const auto other = identity::Authority::Create("Other", NowSeconds(), 1);
  EXPECT_EQ(PingSites(network.Dial(Forged(other.value(), north.authority))).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  // Signed with the authority's own key, but never entered into the register.
  const auto own =
      identity::Authority::Load(scratch.Read("c/authority.crt"), scratch.Read("c/authority.key"));
  const grpc::Status unknown = PingSites(network.Dial(Forged(own.value(), north.authority)));
  EXPECT_EQ(unknown.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ExpectSays(unknown.error_message(), "certificate of north: this coordinator did not issue it");
  for (const int port : {network.work_port(), network.enrol_port()}) {
    // gRPC closes without sending TLS's alert; the version is all that differs.
    EXPECT_NE(RefusedTls(port, TLS1_2_VERSION), "");
    EXPECT_EQ(RefusedTls(port, TLS1_3_VERSION), "");
  }

  // Each role has its own calls.
  const grpc::Status lead = PingSites(network.Dial(anna));
  EXPECT_EQ(lead.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ExpectSays(lead.error_message(), "anna is enrolled as lead; this call is for site");
  v1::ListMembersReply nothing;
  const grpc::Status site = ListMembers(network.Dial(north), &nothing);
  EXPECT_EQ(site.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ExpectSays(site.error_message(), "north is enrolled as site; this call is for lead or auditor");
  EXPECT_EQ(nothing.members_size(), 0);

  // A study that the lead's connection brings, but that the lead did not sign.
  federation::Roster roster;
  for (const v1::Member& one : members.members()) {
    const auto member = wire::Decode(one);
    ASSERT_TRUE(member.has_value()) << member.error().message;
    if (member->role == "site")
      roster[member->name] = {member->signing_key, member->agreement_key.value()};
  }
  const auto stranger = federation::SigningKey::Generate();
  const std::string yaml = testing::SmallStudyYaml();
  const grpc::Status key =
      SubmitAs(network.Dial(anna), study::SignSubmission(yaml, roster, "anna", stranger.value()));
  EXPECT_EQ(key.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ExpectSays(key.error_message(), "anna is enrolled with another signing key");
  const grpc::Status name =
      SubmitAs(network.Dial(anna), study::SignSubmission(yaml, roster, "berta", stranger.value()));
  EXPECT_EQ(name.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ExpectSays(name.error_message(), "signed as berta, sent by anna");
  EXPECT_EQ(network.Anna({"study", "list", "--json"}).out, "");

  // A token is for one name and is good once.
  const std::string token = network.Invite("extra");
  network.WriteSite("north", false, "north-2");
  const Told wrong = network.AtSite("north-2", {"enroll", token});
  EXPECT_EQ(wrong.exit_code, 4);
  ExpectSays(wrong.err, "the token is for site extra");
  network.WriteSite("extra", false);
  network.WriteSite("extra", false, "extra-2");
  ASSERT_EQ(network.AtSite("extra", {"enroll", token}).exit_code, 0);
  const Told twice = network.AtSite("extra-2", {"enroll", token});
  EXPECT_NE(twice.exit_code, 0);
  ExpectSays(twice.err, "token");
  ExpectSays(twice.err, "used");
  EXPECT_FALSE(scratch.Has("extra-2/state/enrolment.json"));

  // Revoked: the open stream ends, and there is no way back without a new token.
  scratch.Write("extra.yaml", testing::SmallCohortYaml("extra"));
  network.StartSite("extra");
  ASSERT_TRUE(network.Until([&] { return network.Connected("extra"); })) << network.LogOf("extra");
  ASSERT_TRUE(PingSites(network.Dial(network.Of("extra"))).ok());
  ASSERT_EQ(network.Anna({"site", "revoke", "extra", "--reason", "left"}).exit_code, 0);
  EXPECT_EQ(network.site("extra").Exit(), 4);
  ExpectSays(network.LogOf("extra"), "certificate of extra: revoked (left)");
  network.StartSite("extra");
  EXPECT_EQ(network.site("extra").Exit(), 4);
  const grpc::Status revoked = PingSites(network.Dial(network.Of("extra")));
  EXPECT_EQ(revoked.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  ExpectSays(revoked.error_message(), "certificate of extra: revoked (left)");

  // All this while, nobody else was disturbed.
  EXPECT_TRUE(PingSites(network.Dial(north)).ok());
  EXPECT_TRUE(network.coordinator().Running());
  for (const std::string& one : network.sites()) EXPECT_TRUE(network.site(one).Running()) << one;
}

TEST(Network, ASiteThatAsksWaitsForAPersonAndMaySayNo) {
  Network network({"east"});
  if (HasFatalFailure()) return;
  const auto state = [&](const std::string& study) -> std::string {
    const Json json =
        Json::parse(network.AtSite("east", {"studies", "--json"}).out, nullptr, false);
    for (const Json& one : json.value("studies", Json::array())) {
      if (one.value("name", "") == study) return one.value("state", "");
    }
    return "not offered";
  };
  ASSERT_NO_FATAL_FAILURE(network.Submit("first"));
  auto watch = network.Watch("first");
  ASSERT_TRUE(network.Until([&] { return state("first") == "waiting"; })) << state("first");
  EXPECT_TRUE(watch->Running());
  const Told approved = network.AtSite("east", {"approve", "first"});
  ASSERT_EQ(approved.exit_code, 0) << approved.err;
  ASSERT_EQ(watch->Exit(), 0) << network.scratch().Read("watch-first");
  EXPECT_TRUE(network.Until([&] { return state("first") == "finished"; })) << state("first");
  network.ExpectSameBytes("first");

  ASSERT_NO_FATAL_FAILURE(network.Submit("second", 21));
  watch = network.Watch("second");
  ASSERT_TRUE(network.Until([&] { return state("second") == "waiting"; })) << state("second");
  ASSERT_EQ(network.AtSite("east", {"reject", "second", "--reason", "a private matter"}).exit_code,
            0);
  EXPECT_EQ(watch->Exit(), 1);
  const Told list = network.Anna({"study", "list", "--json"});
  ExpectSays(list.out, "site east rejected the study");
  // The person's reason stays in the hospital.
  for (const std::string& text : {list.out, network.scratch().Read("watch-second"),
                                  network.scratch().Read("coordinator.log")})
    EXPECT_EQ(text.find("a private matter"), std::string::npos) << text;
}

}  // namespace
}  // namespace consilium::e2e
