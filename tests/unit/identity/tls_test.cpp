// What the certificates are for: TLS 1.3 with both sides known, in memory.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <memory>

#include "tests/unit/identity/identity_fixture.h"

namespace consilium::identity {
namespace {

using Context = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;
using Session = std::unique_ptr<SSL, decltype(&SSL_free)>;
using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;

Bio Reader(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free_all};
}

// One end of a connection: shows `member`, trusts `authority`, at kNowS.
Context End(const SSL_METHOD* method, const Member& member, const Authority& authority) {
  Context context(SSL_CTX_new(method), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  const std::unique_ptr<X509, decltype(&X509_free)> own(
      PEM_read_bio_X509(Reader(member.certificate_pem).get(), nullptr, nullptr, nullptr),
      X509_free);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(Reader(member.key_pem).get(), nullptr, nullptr, nullptr),
      EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> root(
      PEM_read_bio_X509(Reader(authority.certificate_pem()).get(), nullptr, nullptr, nullptr),
      X509_free);
  EXPECT_EQ(SSL_CTX_use_certificate(context.get(), own.get()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1);
  EXPECT_EQ(X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), root.get()), 1);
  X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context.get()), static_cast<time_t>(kNowS));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return context;
}

struct Handshake {
  bool done = false;  // on both sides
  long client_verdict = X509_V_OK;
  long server_verdict = X509_V_OK;
};
Handshake Shake(const Context& client_end, const Context& server_end, const char* host) {
  const Session client(SSL_new(client_end.get()), SSL_free);
  const Session server(SSL_new(server_end.get()), SSL_free);
  BIO* near = nullptr;
  BIO* far = nullptr;
  EXPECT_EQ(BIO_new_bio_pair(&near, 0, &far, 0), 1);
  SSL_set_bio(client.get(), near, near);
  SSL_set_bio(server.get(), far, far);
  SSL_set_connect_state(client.get());
  SSL_set_accept_state(server.get());
  EXPECT_EQ(SSL_set1_host(client.get(), host), 1);
  for (int step = 0; step < 20; ++step) {
    SSL_do_handshake(client.get());
    SSL_do_handshake(server.get());
  }
  ERR_clear_error();
  return {SSL_is_init_finished(client.get()) == 1 && SSL_is_init_finished(server.get()) == 1,
          SSL_get_verify_result(client.get()), SSL_get_verify_result(server.get())};
}

class Tls : public testing::Test {
 protected:
  Authority authority_ = NewAuthority();
  Member coordinator_ = Enrol(authority_, For("coordinator", Role::kCoordinator));
  Member site_ = Enrol(authority_, For("MUMC"));
};

TEST_F(Tls, EveryMemberReachesTheCoordinator) {
  const Context server = End(TLS_server_method(), coordinator_, authority_);
  for (const Role role : {Role::kSite, Role::kLead, Role::kAuditor}) {
    const Member member = Enrol(authority_, For("m", role));
    const Context client = End(TLS_client_method(), member, authority_);
    EXPECT_TRUE(Shake(client, server, "coordinator.example.org").done) << Name(role);
  }
}

TEST_F(Tls, ASiteCannotPoseAsTheCoordinator) {
  const Member other = Enrol(authority_, For("UMCG"));
  const Context client = End(TLS_client_method(), site_, authority_);
  const Context impostor = End(TLS_server_method(), other, authority_);
  const Handshake handshake = Shake(client, impostor, "coordinator.example.org");
  EXPECT_FALSE(handshake.done);
  EXPECT_NE(handshake.client_verdict, X509_V_OK);
}

TEST_F(Tls, TheCoordinatorIsItsHostsOnly) {
  const Context client = End(TLS_client_method(), site_, authority_);
  const Context server = End(TLS_server_method(), coordinator_, authority_);
  const Handshake handshake = Shake(client, server, "elsewhere.example.org");
  EXPECT_FALSE(handshake.done);
  EXPECT_EQ(handshake.client_verdict, X509_V_ERR_HOSTNAME_MISMATCH);
}

TEST_F(Tls, AStrangersMemberIsNotOurs) {
  const Authority stranger = NewAuthority("stranger");
  const Context server = End(TLS_server_method(), coordinator_, authority_);
  const Context client = End(TLS_client_method(), Enrol(stranger, For("MUMC")), authority_);
  const Handshake handshake = Shake(client, server, "coordinator.example.org");
  EXPECT_FALSE(handshake.done);
  EXPECT_NE(handshake.server_verdict, X509_V_OK);
}

}  // namespace
}  // namespace consilium::identity
