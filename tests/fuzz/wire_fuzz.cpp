// Any bytes as a message of a site or of a coordinator, or as a submission: decoded or refused,
// never a crash, and what is decoded encodes to the same value. What is signed is also tried with
// its signature put right, which a fuzzer cannot guess.
#include <consilium/v1/consilium.pb.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstdlib>
#include <span>

#include "federation/wire/wire.h"
#include "identity/certificate.h"
#include "study/submission.h"
#include "tests/fuzz/wire_messages.h"

namespace {

using namespace consilium;  // NOLINT

void Require(bool condition) {
  if (!condition) std::abort();
}

const federation::SigningKey& Key() {
  static const auto key = federation::SigningKey::FromSeed({99});
  return key;
}

template <typename Proto>
std::optional<Proto> Parse(const std::uint8_t* data, std::size_t size) {
  Proto proto;
  if (!proto.ParseFromArray(data, static_cast<int>(size))) return std::nullopt;
  return proto;
}

// The value encodes to bytes that decode to it: by value where there is a comparison, else by
// bytes.
template <typename Proto>
void Try(const Proto& proto) {
  const auto value = wire::Decode(proto);
  if (!value) {
    Require(!value.error().message.empty());
    return;
  }
  Proto encoded;
  wire::Encode(*value, encoded);
  const auto again = wire::Decode(encoded);
  Require(again.has_value());
  if constexpr (requires { *again == *value; }) {
    Require(*again == *value);
  }
  Proto twice;
  wire::Encode(*again, twice);
  Require(twice.SerializeAsString() == encoded.SerializeAsString());
}

void TryFromSite(const std::uint8_t* data, std::size_t size) {
  if (const auto proto = Parse<v1::FromSite>(data, size)) Try(*proto);
}

void TryToSite(const std::uint8_t* data, std::size_t size) {
  const auto proto = Parse<v1::ToSite>(data, size);
  if (!proto) return;
  Try(*proto);
  if (proto->kind_case() != v1::ToSite::kRecord) return;
  const auto message = wire::Decode(*proto);
  if (!message) return;
  const auto& part = std::get<wire::RecordPart>(*message);
  if (part.data.empty()) return;
  v1::ToSite whole;
  wire::Encode(*message, whole);
  Require(wire::RecordPartHead(part, part.data.size()) + wire::AsString(part.data) ==
          whole.SerializeAsString());
}

void TryAnswerPart(const std::uint8_t* data, std::size_t size) {
  const auto proto = Parse<v1::AnswerPart>(data, size);
  if (proto && proto->has_head()) Try(proto->head());
}

void TryEnrollRequest(const std::uint8_t* data, std::size_t size) {
  auto proto = Parse<v1::EnrollRequest>(data, size);
  if (!proto) return;
  Try(*proto);
  wire::Enrolment signs;
  if (proto->secret().size() == signs.secret.size())
    std::copy(proto->secret().begin(), proto->secret().end(), signs.secret.begin());
  signs.request_pem = proto->request_pem();
  signs.signing_key = Key().verifying_key();
  if (federation::KeyBytes agreement{}; proto->agreement_key().size() == agreement.size()) {
    std::copy(proto->agreement_key().begin(), proto->agreement_key().end(), agreement.begin());
    signs.agreement_key = agreement;
  }
  proto->set_signing_key(wire::AsString(signs.signing_key.bytes()));
  proto->set_proof(wire::AsString(Key().Sign(wire::ProofBytes(signs))));
  Try(*proto);
}

void TryEnrollReply(const std::uint8_t* data, std::size_t size) {
  const auto proto = Parse<v1::EnrollReply>(data, size);
  if (!proto) return;
  Try(*proto);
  const auto enrolled = wire::Decode(*proto);
  if (!enrolled) return;
  (void)wire::Negotiate({}, enrolled->versions);
  (void)identity::ParseAddress(enrolled->address);
}

void TrySubmission(std::span<const std::uint8_t> bytes) {
  const auto submission = study::DecodeSubmission(bytes);
  if (!submission) return;
  const Bytes encoded = study::EncodeSubmission(*submission);
  Require(std::ranges::equal(encoded, bytes));
  const auto read = study::StudyOf(*submission);
  if (!read) return;
  for (const std::string& site : read->sites) Require(submission->members.contains(site));
  Require(submission->members.size() == read->sites.size());
  (void)study::ContractOf(*read);
}

void TrySubmissionBytes(const std::uint8_t* data, std::size_t size) {
  TrySubmission({data, size});
  // The lead's key and signature stand last.
  constexpr std::size_t kKey = 32, kSignature = 64;
  if (size < kKey + kSignature) return;
  Bytes bytes(data, data + size - kKey - kSignature);
  const auto key = Key().verifying_key().bytes();
  bytes.insert(bytes.end(), key.begin(), key.end());
  const auto signature = Key().Sign(bytes);
  bytes.insert(bytes.end(), signature.begin(), signature.end());
  TrySubmission(bytes);
}

void TryVersions(const v1::Versions& proto) {
  Try(proto);
  if (const auto versions = wire::Decode(proto)) (void)wire::Negotiate({}, *versions);
}

void TryPingRequest(const std::uint8_t* data, std::size_t size) {
  if (const auto proto = Parse<v1::PingRequest>(data, size)) TryVersions(proto->versions());
}

void TryPingReply(const std::uint8_t* data, std::size_t size) {
  if (const auto proto = Parse<v1::PingReply>(data, size)) TryVersions(proto->versions());
}

void TrySubmitReply(const std::uint8_t* data, std::size_t size) {
  (void)Parse<v1::SubmitReply>(data, size);
}

// Identity_fuzz has more to say about the texts.
void TryRenewRequest(const std::uint8_t* data, std::size_t size) {
  if (const auto proto = Parse<v1::RenewRequest>(data, size))
    (void)identity::ReadRequest(proto->request_pem());
}

void TryRenewReply(const std::uint8_t* data, std::size_t size) {
  if (const auto proto = Parse<v1::RenewReply>(data, size))
    (void)identity::ReadCertificate(proto->certificate_pem());
}

constexpr void (*kHandlers[])(const std::uint8_t*, std::size_t) = {
    TryFromSite,    TryToSite,          TryAnswerPart,  TryEnrollRequest,
    TryEnrollReply, TrySubmissionBytes, TryPingRequest, TryPingReply,
    TrySubmitReply, TryRenewRequest,    TryRenewReply};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Every text that is no UTF-8 would be told on standard error.
  static const auto quiet = google::protobuf::SetLogHandler(nullptr);
  (void)quiet;
  consilium::fuzz::Handle(kHandlers, consilium::fuzz::kSiteMessages, data, size);
  return 0;
}
