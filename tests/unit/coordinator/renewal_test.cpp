// A server certificate that is renewed while the listeners serve.
#include <consilium/v1/consilium.grpc.pb.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "coordinator/server.h"
#include "federation/wire/wire.h"
#include "identity/private_key.h"
#include "identity/tls13.h"
#include "identity/token.h"
#include "program/program.h"
#include "site_agent/dial.h"
#include "site_agent/link.h"
#include "study/program.h"
#include "tests/support/loopback.h"

namespace consilium::coordinator {
namespace {

namespace fs = std::filesystem;
using identity::Role;

constexpr std::int64_t kDayS = 86400;
constexpr int kWaitSeconds = 60;

template <typename T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

class Renewal : public ::testing::Test {
 protected:
  Renewal() {
    if (const auto tls = identity::RequireTls13(); !tls)
      throw std::runtime_error(tls.error().message);
    std::string name = (fs::temp_directory_path() / "consilium-renewal-XXXXXX").string();
    scratch_ = ::mkdtemp(name.data());
    network_.proxy.kind = site_agent::SiteProxy::Kind::kNone;
  }
  ~Renewal() override {
    if (server_) server_->Stop(0);
    server_.reset();
    hub_.reset();
    std::error_code error;
    fs::remove_all(scratch_, error);
  }

  // A coordinator that was made, and started last, so many days ago.
  void Serve(int days_ago, const std::optional<OwnAuthority>& own = std::nullopt) {
    const std::vector<int> ports = testing::FreePorts(2);
    const HomeOptions options{"HN consortium",
                              {"127.0.0.1"},
                              static_cast<std::uint16_t>(ports[0]),
                              static_cast<std::uint16_t>(ports[1]),
                              "anna"};
    Home home = Must(InitHome(scratch_ / "c", options, now_s_ - days_ago * kDayS, own));
    HubOptions hub_options;
    hub_options.beat_ms = 500;
    hub_ = Must(Hub::Open(std::move(home), hub_options));
    ServerOptions server_options;
    server_options.listen = "127.0.0.1";
    server_options.certificate_look_s = 1;
    server_ = Must(Server::Start(*hub_, server_options));
  }

  // A member who enrols over the network.
  struct Enrolled {
    std::string key_pem;
    site_agent::StoredEnrolment enrolment;
  };
  Enrolled Enrol(const std::string& name) {
    Caller operator_here;
    operator_here.name = "operator";
    operator_here.role = Role::kCoordinator;
    const std::string token = Must(hub_->Invite(operator_here, name, "site", 3600, nullptr));
    Enrolled enrolled;
    enrolled.key_pem = Must(identity::GenerateKey());
    const auto signing = Must(federation::SigningKey::Generate());
    const auto agreement = Must(federation::AgreementKey::Generate());
    enrolled.enrolment = Must(site_agent::EnrolWith(Must(identity::DecodeToken(token)),
                                                    {enrolled.key_pem, &signing, &agreement},
                                                    network_, program::UnixMs()));
    return enrolled;
  }

  [[nodiscard]] identity::CertificateFacts Shown(std::uint16_t port) const {
    const auto socket = Must(site_agent::ConnectTcp("127.0.0.1", port));
    const auto shown = Must(site_agent::ShownCertificates(socket, "127.0.0.1"));
    return Must(identity::ReadCertificate(shown.front()));
  }
  // Handshakes until the listener shows another certificate than `serial`.
  [[nodiscard]] identity::CertificateFacts ShownAfter(std::uint16_t port,
                                                      const std::string& serial) const {
    const std::int64_t until_ms = program::MonotonicMs() + 1000 * kWaitSeconds;
    for (;;) {
      auto facts = Shown(port);
      if (facts.serial != serial || program::MonotonicMs() > until_ms) return facts;
    }
  }
  static grpc::Status Ping(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(kWaitSeconds));
    v1::PingRequest request;
    wire::Versions ours;
    ours.engine = study::kEngineVersion;
    wire::Encode(ours, *request.mutable_versions());
    v1::PingReply reply;
    return v1::Sites::NewStub(channel)->Ping(&context, request, &reply);
  }
  [[nodiscard]] std::shared_ptr<grpc::Channel> Dial(const Enrolled& member) const {
    return Must(site_agent::OpenChannel(member.enrolment, member.key_pem, network_));
  }

  // An open stream of work, and the next signs of life that come over it.
  class WorkStream {
   public:
    explicit WorkStream(const std::shared_ptr<grpc::Channel>& channel)
        : stub_(v1::Sites::NewStub(channel)) {
      context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(kWaitSeconds));
      stream_ = stub_->Work(&context_);
      wire::Hello hello;
      hello.versions.engine = study::kEngineVersion;
      hello.unix_ms = program::UnixMs();
      v1::FromSite message;
      wire::Encode(wire::FromSite(hello), message);
      stream_->Write(message);
    }
    ~WorkStream() {
      context_.TryCancel();
      (void)stream_->Finish();
    }
    [[nodiscard]] bool Hears() {
      v1::ToSite message;
      return stream_->Read(&message);
    }

   private:
    std::unique_ptr<v1::Sites::Stub> stub_;
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientReaderWriter<v1::FromSite, v1::ToSite>> stream_;
  };

  const std::int64_t now_s_ = program::UnixMs() / 1000;
  fs::path scratch_;
  site_agent::SiteNetwork network_;
  std::unique_ptr<Hub> hub_;
  std::unique_ptr<Server> server_;
};

TEST_F(Renewal, IsSeenByNewConnectionsAndNotFeltByOpenOnes) {
  Serve(300);
  const Enrolled site = Enrol("MUMC");
  EXPECT_EQ(site.enrolment.operated_by, "anna");  // as it is told to whoever enrols
  const auto channel = Dial(site);
  ASSERT_TRUE(Ping(channel).ok());
  WorkStream stream(channel);
  ASSERT_TRUE(stream.Hears());  // welcome

  const HomeOptions& options = hub_->home().options;
  const auto old = Shown(options.work_port);
  EXPECT_EQ(Shown(options.enrol_port).serial, old.serial);
  EXPECT_EQ(identity::DaysLeft(old, now_s_), 365 - 300);
  EXPECT_EQ(hub_->endings().server_s, old.not_after_s);

  EXPECT_TRUE(Must(server_->RenewCertificate(now_s_)));
  EXPECT_FALSE(Must(server_->RenewCertificate(now_s_)));
  for (const std::uint16_t port : {options.work_port, options.enrol_port}) {
    const auto shown = ShownAfter(port, old.serial);
    EXPECT_NE(shown.serial, old.serial);
    EXPECT_EQ(identity::DaysLeft(shown, now_s_), 365);
    EXPECT_EQ(hub_->endings().server_s, shown.not_after_s);
  }
  // What was open is open: three more signs of life, the last of them from after the renewal.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(stream.Hears());
  EXPECT_TRUE(Ping(channel).ok());
  EXPECT_TRUE(Ping(Dial(site)).ok());
  EXPECT_TRUE(Ping(Dial(Enrol("Radboud"))).ok());
}

TEST_F(Renewal, TrustsNobodyElseAfterwards) {
  Serve(300);
  const Enrolled site = Enrol("MUMC");
  const std::uint16_t port = hub_->home().options.work_port;
  const std::string old = Shown(port).serial;
  ASSERT_TRUE(Must(server_->RenewCertificate(now_s_)));
  ASSERT_NE(ShownAfter(port, old).serial, old);

  // The same name from another authority, and nobody at all.
  const auto stranger =
      Must(identity::Authority::Create("HN consortium", now_s_ - 300 * kDayS, 10));
  Enrolled other = site;
  other.key_pem = Must(identity::GenerateKey());
  other.enrolment.certificate_pem = Must(stranger.Issue(
      Must(identity::MakeRequest(other.key_pem, "MUMC", Role::kSite)),
      {.name = "MUMC", .role = Role::kSite, .now_s = now_s_, .days = 1, .hosts = {}}));
  EXPECT_EQ(Ping(Dial(other)).error_code(), grpc::StatusCode::UNAVAILABLE);
  Enrolled nobody = site;
  nobody.key_pem = nobody.enrolment.certificate_pem = "";
  EXPECT_EQ(Ping(Dial(nobody)).error_code(), grpc::StatusCode::UNAVAILABLE);
  // TLS 1.2 stays refused.
  const auto socket = Must(site_agent::ConnectTcp("127.0.0.1", port));
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  SSL_CTX_clear_options(context.get(), SSL_OP_NO_TLSv1_2);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls(SSL_new(context.get()), &SSL_free);
  SSL_set_fd(tls.get(), socket.descriptor());
  EXPECT_NE(SSL_connect(tls.get()), 1);
  EXPECT_TRUE(Ping(Dial(site)).ok());
}

TEST_F(Renewal, OfAnInstitutionsAuthorityIsTheSame) {
  const auto institution =
      Must(identity::Authority::Create("The hospital", now_s_ - 400 * kDayS, 5));
  Serve(300, OwnAuthority{institution.certificate_pem(), institution.key_pem()});
  const Enrolled site = Enrol("MUMC");
  const std::uint16_t port = hub_->home().options.work_port;
  const std::string old = Shown(port).serial;
  ASSERT_TRUE(Must(server_->RenewCertificate(now_s_)));
  EXPECT_NE(ShownAfter(port, old).serial, old);
  EXPECT_TRUE(Ping(Dial(site)).ok());
}

// What somebody does in the folder is for the next start; what serves goes on, and mends it.
TEST_F(Renewal, TakesNothingFromTheFolder) {
  Serve(300);
  const Enrolled site = Enrol("MUMC");
  const std::uint16_t port = hub_->home().options.work_port;
  const std::string old = Shown(port).serial;
  for (const char* name : {"server.crt", "server.key", "authority.crt"})
    std::ofstream(scratch_ / "c" / name, std::ios::trunc) << "no certificate\n";
  EXPECT_TRUE(Ping(Dial(site)).ok());
  EXPECT_TRUE(Must(server_->RenewCertificate(now_s_)));
  const auto shown = ShownAfter(port, old);
  EXPECT_NE(shown.serial, old);
  EXPECT_TRUE(Ping(Dial(site)).ok());
  std::ifstream file(scratch_ / "c" / "server.crt");
  const std::string pem{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_EQ(Must(identity::ReadCertificate(pem)).serial, shown.serial);
}

}  // namespace
}  // namespace consilium::coordinator
