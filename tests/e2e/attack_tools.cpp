#include "tests/e2e/attack_tools.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "identity/authority.h"
#include "identity/private_key.h"
#include "program/program.h"
#include "study/program.h"
#include "tests/support/loopback.h"

namespace consilium::e2e {
namespace {

template <auto Free>
struct Freeing {
  template <typename T>
  void operator()(T* one) const {
    Free(one);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freeing<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freeing<X509_free>>;
using Request = std::unique_ptr<X509_REQ, Freeing<X509_REQ_free>>;
using Memory = std::unique_ptr<BIO, Freeing<BIO_free>>;

Memory From(const std::string& text) {
  return Memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}
std::string TextOf(const Memory& memory) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}
Key ReadKey(const std::string& pem) {
  return Key(PEM_read_bio_PrivateKey(From(pem).get(), nullptr, nullptr, nullptr));
}
Certificate ReadOne(const std::string& pem) {
  return Certificate(PEM_read_bio_X509(From(pem).get(), nullptr, nullptr, nullptr));
}
void Fill(X509_NAME* name, const std::vector<std::pair<std::string, std::string>>& subject) {
  for (const auto& [field, text] : subject) {
    X509_NAME_add_entry_by_txt(name, field.c_str(), MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1, 0);
  }
}
void Extend(X509* certificate, int kind, const std::string& text) {
  X509_EXTENSION* one = X509V3_EXT_conf_nid(nullptr, nullptr, kind, text.c_str());
  X509_add_ext(certificate, one, -1);
  X509_EXTENSION_free(one);
}

}  // namespace

std::int64_t NowSeconds() { return program::UnixMs() / 1000; }

RawSocket::RawSocket(int port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const sockaddr_in address = testing::Loopback(port);
  if (::connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    ADD_FAILURE() << "port " << port << " does not listen";
}
RawSocket::~RawSocket() { ::close(descriptor_); }

bool RawSocket::Send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string RawSocket::ReadToEnd(int seconds) const {
  std::string all;
  char bytes[4096];
  for (;;) {
    pollfd wait{descriptor_, POLLIN, 0};
    if (::poll(&wait, 1, seconds * 1000) <= 0) return "open";
    const ssize_t size = ::recv(descriptor_, bytes, sizeof bytes, 0);
    if (size <= 0) return all.empty() ? "closed" : all;
    all.append(bytes, static_cast<std::size_t>(size));
  }
}

std::string TryTls(int port, const TlsAttempt& attempt) {
  const std::unique_ptr<SSL_CTX, Freeing<SSL_CTX_free>> context(SSL_CTX_new(TLS_client_method()));
  if (attempt.version_max != 0) SSL_CTX_set_max_proto_version(context.get(), attempt.version_max);
  static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  if (attempt.http2) SSL_CTX_set_alpn_protos(context.get(), kHttp2, sizeof kHttp2);
  if (!attempt.certificate.empty()) {
    const Certificate certificate = ReadOne(attempt.certificate);
    const Key key = ReadKey(attempt.key);
    SSL_CTX_use_certificate(context.get(), certificate.get());
    SSL_CTX_use_PrivateKey(context.get(), key.get());
  }
  BIO* bio = BIO_new_ssl_connect(context.get());
  BIO_set_conn_hostname(bio, fmt::format("127.0.0.1:{}", port).c_str());
  ERR_clear_error();
  std::string came = "closed";
  if (BIO_do_handshake(bio) > 0) {
    // With TLS 1.3 a server refuses a client's certificate after the client thinks it is in.
    char bytes[256];
    const int size = BIO_read(bio, bytes, sizeof bytes);
    if (size > 0) came.assign(bytes, static_cast<std::size_t>(size));
  }
  BIO_free_all(bio);
  return came;
}

std::string MakeCertificate(const std::string& key_pem, const HandMade& what) {
  const Key key = ReadKey(key_pem);
  const Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate.get()), 0x1234567);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), what.from_s);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), what.until_s);
  Fill(X509_get_subject_name(certificate.get()), what.subject);
  X509_set_pubkey(certificate.get(), key.get());
  Extend(certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
  Extend(certificate.get(), NID_key_usage, "critical,digitalSignature");
  Extend(certificate.get(), NID_ext_key_usage, what.purpose);
  if (!what.hosts.empty()) Extend(certificate.get(), NID_subject_alt_name, what.hosts);
  if (what.issuer.empty()) {
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate.get()));
    X509_sign(certificate.get(), key.get(), EVP_sha256());
  } else {
    const Certificate issuer = ReadOne(what.issuer);
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer.get()));
    X509_sign(certificate.get(), ReadKey(what.issuer_key).get(), EVP_sha256());
  }
  const Memory text(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(text.get(), certificate.get());
  return TextOf(text);
}

std::string MakeHandRequest(const std::vector<std::pair<std::string, std::string>>& subject,
                            int rsa_bits) {
  const Key key = rsa_bits > 0 ? Key(EVP_RSA_gen(static_cast<unsigned>(rsa_bits)))
                               : ReadKey(identity::GenerateKey().value());
  const Request request(X509_REQ_new());
  Fill(X509_REQ_get_subject_name(request.get()), subject);
  X509_REQ_set_pubkey(request.get(), key.get());
  X509_REQ_sign(request.get(), key.get(), EVP_sha256());
  const Memory text(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_REQ(text.get(), request.get());
  return TextOf(text);
}

Credentials Forged(const std::string& authority_pem, const std::string& authority_key,
                   const std::string& name, const std::string& shown_authority) {
  const std::string key = identity::GenerateKey().value();
  HandMade what;
  what.subject = {{"CN", name}, {"OU", "site"}};
  what.from_s = NowSeconds() - 60;
  what.until_s = NowSeconds() + 3600;
  what.issuer = authority_pem;
  what.issuer_key = authority_key;
  return {shown_authority, key, MakeCertificate(key, what)};
}

std::string Said(const grpc::Status& status) {
  if (status.ok()) return "OK";
  static const char* const kNames[] = {"OK",
                                       "CANCELLED",
                                       "UNKNOWN",
                                       "INVALID_ARGUMENT",
                                       "LATE",
                                       "NOT_FOUND",
                                       "ALREADY_EXISTS",
                                       "PERMISSION_DENIED",
                                       "RESOURCE_EXHAUSTED",
                                       "FAILED_PRECONDITION",
                                       "ABORTED",
                                       "OUT_OF_RANGE",
                                       "UNIMPLEMENTED",
                                       "INTERNAL",
                                       "UNAVAILABLE",
                                       "DATA_LOSS",
                                       "UNAUTHENTICATED"};
  return fmt::format("{}: {}", kNames[status.error_code()], status.error_message());
}

// ---- a site

HandStream::HandStream(const std::shared_ptr<grpc::Channel>& channel)
    : stub_(v1::Sites::NewStub(channel)) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(kWaitSeconds));
  stream_ = stub_->Work(&context_);
}
HandStream::~HandStream() {
  context_.TryCancel();
  if (!ended_) (void)stream_->Finish();
}
bool HandStream::Say(const wire::FromSite& message) {
  v1::FromSite proto;
  wire::Encode(message, proto);
  return stream_->Write(proto);
}
std::optional<wire::ToSite> HandStream::Hear() {
  v1::ToSite proto;
  while (stream_->Read(&proto)) {
    auto message = wire::Decode(proto);
    if (!message) return std::nullopt;
    if (!std::holds_alternative<wire::CoordinatorBeat>(*message)) return std::move(*message);
  }
  return std::nullopt;
}
std::string HandStream::End() {
  while (Hear()) {
  }
  ended_ = true;
  return Said(stream_->Finish());
}

wire::Hello GoodHello() {
  wire::Hello hello;
  hello.versions.engine = study::kEngineVersion;
  hello.unix_ms = program::UnixMs();
  return hello;
}

std::string SubmitByHand(const std::shared_ptr<grpc::Channel>& channel,
                         const std::vector<v1::AnswerPart>& parts, bool finish) {
  const auto stub = v1::Sites::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(kWaitSeconds));
  v1::SubmitReply reply;
  const auto writer = stub->Submit(&context, &reply);
  for (const v1::AnswerPart& part : parts) {
    if (!writer->Write(part)) break;
  }
  if (finish) writer->WritesDone();
  return Said(writer->Finish());
}

// ---- a coordinator

class FakeCoordinator::Service : public v1::Sites::Service {
 public:
  using Stream = grpc::ServerReaderWriter<v1::ToSite, v1::FromSite>;

  grpc::Status Work(grpc::ServerContext*, Stream* stream) override {
    Update([&] {
      heard.clear();
      open = stream;
      ++streams;
    });
    v1::FromSite proto;
    while (stream->Read(&proto)) {
      auto message = wire::Decode(proto);
      if (!message) continue;
      Update([&] { heard.push_back(std::move(*message)); });
    }
    const std::lock_guard turn(writing);  // nobody writes to a stream that is gone
    Update([&] { open = nullptr; });
    return {grpc::StatusCode::UNAVAILABLE, "the coordinator is stopping"};
  }

  grpc::Status Submit(grpc::ServerContext*, grpc::ServerReader<v1::AnswerPart>* reader,
                      v1::SubmitReply*) override {
    v1::AnswerPart part;
    if (!reader->Read(&part)) return {grpc::StatusCode::INVALID_ARGUMENT, "no head"};
    auto head = wire::Decode(part.head());
    if (!head) return {grpc::StatusCode::INVALID_ARGUMENT, head.error().message};
    Bytes words;
    bool lost = false;
    Update([&] { lost = loses_halves; });
    if (head->from > 0 && lost) return {grpc::StatusCode::NOT_FOUND, "that half is not held"};
    while (reader->Read(&part)) words.insert(words.end(), part.data().begin(), part.data().end());
    Update([&] { answers.emplace_back(std::move(*head), std::move(words)); });
    (void)Wait([&] { return acknowledges; });
    return grpc::Status::OK;
  }

  template <typename Change>
  void Update(Change change) {
    {
      const std::lock_guard lock(mutex);
      change();
    }
    changed.notify_all();
  }
  template <typename Condition>
  bool Wait(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(kWaitSeconds), condition);
  }

  std::mutex writing;  // before `mutex`
  std::mutex mutex;
  std::condition_variable changed;
  Stream* open = nullptr;
  int streams = 0;
  bool acknowledges = true, loses_halves = false;
  std::deque<wire::FromSite> heard;
  std::deque<std::pair<wire::AnswerHead, Bytes>> answers;
};

FakeCoordinator::FakeCoordinator(int port, const std::string& authority, const std::string& key,
                                 const std::string& certificate)
    : service_(std::make_unique<Service>()) {
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_key_cert_pairs.push_back({key, certificate});
  tls.pem_root_certs = authority;
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(fmt::format("127.0.0.1:{}", port), grpc::SslServerCredentials(tls));
  builder.RegisterService(service_.get());
  server_ = builder.BuildAndStart();
  if (!server_) ADD_FAILURE() << "port " << port << " is taken";
}
FakeCoordinator::~FakeCoordinator() {
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
}

bool FakeCoordinator::open() const {
  const std::lock_guard lock(service_->mutex);
  return service_->open != nullptr;
}
bool FakeCoordinator::heard_anybody() const {
  const std::lock_guard lock(service_->mutex);
  return service_->streams > 0;
}
bool FakeCoordinator::Welcome(std::uint32_t beat_ms) {
  if (!service_->Wait([&] { return service_->open != nullptr; })) return false;
  if (!Await([](const wire::FromSite& one) { return std::holds_alternative<wire::Hello>(one); }))
    return false;
  return Send(wire::Welcome{wire::kProtocolMax, study::kEngineVersion, program::UnixMs(), beat_ms});
}
bool FakeCoordinator::Send(const wire::ToSite& message) {
  v1::ToSite proto;
  wire::Encode(message, proto);
  return Send(proto);
}
bool FakeCoordinator::Send(const v1::ToSite& message) {
  const std::lock_guard turn(service_->writing);
  Service::Stream* to = nullptr;
  {
    const std::lock_guard lock(service_->mutex);
    to = service_->open;
  }
  return to != nullptr && to->Write(message);
}
std::optional<wire::FromSite> FakeCoordinator::Await(
    const std::function<bool(const wire::FromSite&)>& wanted) {
  std::optional<wire::FromSite> found;
  (void)service_->Wait([&] {
    while (!found && !service_->heard.empty()) {
      if (wanted(service_->heard.front())) found = std::move(service_->heard.front());
      service_->heard.pop_front();
    }
    return found.has_value();
  });
  return found;
}
std::optional<std::pair<wire::AnswerHead, Bytes>> FakeCoordinator::AwaitAnswer() {
  if (!service_->Wait([&] { return !service_->answers.empty(); })) return std::nullopt;
  const std::lock_guard lock(service_->mutex);
  auto answer = std::move(service_->answers.front());
  service_->answers.pop_front();
  return answer;
}
std::size_t FakeCoordinator::answer_count() const {
  const std::lock_guard lock(service_->mutex);
  return service_->answers.size();
}
void FakeCoordinator::Acknowledge(bool now) {
  service_->Update([&] { service_->acknowledges = now; });
}
void FakeCoordinator::LoseHalves() {
  service_->Update([&] { service_->loses_halves = true; });
}
bool FakeCoordinator::AgentLeft() {
  return service_->Wait([&] { return service_->open == nullptr; });
}

}  // namespace consilium::e2e
