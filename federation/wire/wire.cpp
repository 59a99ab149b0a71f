#include "federation/wire/wire.h"

#include <consilium/v1/consilium.pb.h>
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <utility>

namespace consilium::wire {

using federation::Binding;
using federation::Receipt;
using federation::Release;
using federation::SumSeal;

namespace {

// Clocks run from 1970 to the end of 9999: the difference of two is a number, whoever said them.
constexpr std::int64_t kUnixMsMax = 253'402'300'799'999;

template <typename... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <typename... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;

Error Wrong(std::string_view field, std::string what) {
  return {ErrorCode::kInvalidArgument, fmt::format("message field '{}': {}", field, what)};
}

std::span<const std::uint8_t> AsSpan(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

template <std::size_t N>
Result<std::array<std::uint8_t, N>> Fixed(std::string_view bytes, std::string_view field) {
  std::array<std::uint8_t, N> value{};
  if (bytes.size() != N) {
    return tl::unexpected<Error>(
        Wrong(field, fmt::format("{} bytes, expected {}", bytes.size(), N)));
  }
  std::copy(bytes.begin(), bytes.end(), value.begin());
  return value;
}

Result<void> AtMost(std::uint64_t found, std::uint64_t most, std::string_view field) {
  if (found > most)
    return tl::unexpected<Error>(
        Wrong(field, fmt::format("{}, at most {} are taken", found, most)));
  return {};
}

Result<void> CheckText(std::string_view text, std::size_t most, std::string_view field) {
  CONSILIUM_TRY(AtMost(text.size(), most, field));
  const bool control = std::any_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (control)
    return tl::unexpected<Error>(Wrong(field, "it has control characters, plain text is expected"));
  return {};
}

Result<void> CheckClock(std::int64_t time, std::int64_t most, std::string_view field) {
  if (time < 0 || time > most)
    return tl::unexpected<Error>(Wrong(field, fmt::format("{}, expected 0 to {}", time, most)));
  return {};
}

Result<Binding> ReadBinding(std::string_view bytes, std::string_view field) {
  ByteReader reader(AsSpan(bytes));
  Binding binding = federation::DecodeBinding(reader);
  if (const auto whole = reader.Finish("a binding"); !whole)
    return tl::unexpected<Error>(Wrong(field, whole.error().message));
  return binding;
}

template <typename T>
std::string Canonical(const T& value) {
  ByteWriter writer;
  Encode(value, writer);
  return AsString(writer.bytes());
}

template <typename Message>
Result<std::map<std::string, SumSeal>> ReadSeals(const Message& message, std::string_view field) {
  CONSILIUM_TRY(AtMost(static_cast<std::uint64_t>(message.seals_size()), kRosterMax, field));
  std::map<std::string, SumSeal> seals;
  for (const v1::Seal& one : message.seals()) {
    CONSILIUM_TRY(CheckText(one.site(), federation::kSiteNameBytesMax, field));
    const auto seal = Fixed<SumSeal{}.size()>(one.seal(), field);
    CONSILIUM_TRY(seal);
    if (!seals.emplace(one.site(), *seal).second)
      return tl::unexpected<Error>(Wrong(field, fmt::format("site {} comes twice", one.site())));
  }
  return seals;
}

template <typename Message>
void PutSeals(const std::map<std::string, SumSeal>& seals, Message& to) {
  for (const auto& [site, seal] : seals) {
    auto* one = to.add_seals();
    one->set_site(site);
    one->set_seal(AsString(seal));
  }
}

// ---- from a site
Result<FromSite> Get(const v1::Hello& message) {
  auto versions = Decode(message.versions());
  CONSILIUM_TRY(versions);
  CONSILIUM_TRY(CheckClock(message.unix_ms(), kUnixMsMax, "hello.unix_ms"));
  Hello hello{std::move(*versions), message.unix_ms(), {}};
  CONSILIUM_TRY(
      AtMost(static_cast<std::uint64_t>(message.positions_size()), kStudiesMax, "hello.positions"));
  for (const v1::Position& position : message.positions()) {
    const auto study = DecodeDigest(position.study(), "hello.positions.study");
    CONSILIUM_TRY(study);
    hello.positions.push_back({*study, position.attempt(), position.records()});
  }
  return hello;
}
Result<FromSite> Get(const v1::SiteBeat& message) {
  CONSILIUM_TRY(CheckClock(message.unix_ms(), kUnixMsMax, "beat.unix_ms"));
  SiteBeat beat{message.unix_ms(), {}};
  CONSILIUM_TRY(
      AtMost(static_cast<std::uint64_t>(message.doing_size()), kStudiesMax, "beat.doing"));
  for (const v1::Doing& doing : message.doing()) {
    const auto study = DecodeDigest(doing.study(), "beat.doing.study");
    CONSILIUM_TRY(study);
    CONSILIUM_TRY(CheckText(doing.what(), 200, "beat.doing.what"));
    beat.doing[*study] = doing.what();
  }
  return beat;
}
Result<FromSite> Get(const v1::StudyWord& message) {
  const auto study = DecodeDigest(message.study(), "word.study");
  CONSILIUM_TRY(study);
  if (message.word() < 1 || message.word() > 5) {
    return tl::unexpected<Error>(
        Wrong("word.word", fmt::format("{}, expected 1 to 5", static_cast<int>(message.word()))));
  }
  StudyWord word{*study, static_cast<Word>(message.word()), message.attempt(), {}, {}};
  CONSILIUM_TRY(
      AtMost(static_cast<std::uint64_t>(message.columns_size()), kColumnsMax, "word.columns"));
  for (const std::string& column : message.columns()) {
    CONSILIUM_TRY(CheckText(column, kColumnNameBytesMax, "word.columns"));
    word.columns.push_back(column);
  }
  CONSILIUM_TRY(CheckText(message.outward(), kSentenceBytesMax, "word.outward"));
  word.outward = message.outward();
  auto seals = ReadSeals(message, "word.seals");
  CONSILIUM_TRY(seals);
  word.seals = std::move(*seals);
  return word;
}
Result<FromSite> Get(const v1::Refused& message) {
  const auto study = DecodeDigest(message.study(), "refused.study");
  CONSILIUM_TRY(study);
  CONSILIUM_TRY(CheckText(message.outward(), kSentenceBytesMax, "refused.outward"));
  return Refused{*study, message.attempt(), message.round(), message.outward()};
}
Result<FromSite> Get(const v1::HeadToSign& message) {
  const auto hash = DecodeDigest(message.hash(), "head.hash");
  CONSILIUM_TRY(hash);
  return HeadToSign{message.count(), *hash};
}
Result<FromSite> Get(const v1::TotalHeld& message) {
  const auto study = DecodeDigest(message.study(), "held.study");
  CONSILIUM_TRY(study);
  return TotalHeld{{*study, message.attempt(), message.records()}};
}

// ---- from the coordinator
Result<ToSite> Get(const v1::Welcome& message) {
  CONSILIUM_TRY(CheckText(message.engine(), 256, "welcome.engine"));
  if (message.beat_ms() < 50 || message.beat_ms() > 3'600'000) {
    return tl::unexpected<Error>(
        Wrong("welcome.beat_ms", fmt::format("{}, expected 50 to 3600000", message.beat_ms())));
  }
  CONSILIUM_TRY(CheckClock(message.unix_ms(), kUnixMsMax, "welcome.unix_ms"));
  return Welcome{message.protocol(), message.engine(), message.unix_ms(), message.beat_ms()};
}
Result<ToSite> Get(const v1::CoordinatorBeat& message) {
  CONSILIUM_TRY(CheckClock(message.unix_ms(), kUnixMsMax, "beat.unix_ms"));
  return CoordinatorBeat{message.unix_ms()};
}
Result<ToSite> Get(const v1::Offer& message) {
  CONSILIUM_TRY(AtMost(message.submission().size(), kSubmissionBytesMax, "offer.submission"));
  const auto bytes = AsSpan(message.submission());
  return Offer{Bytes(bytes.begin(), bytes.end())};
}
Result<ToSite> Get(const v1::Ask& message) {
  const auto study = DecodeDigest(message.study(), "ask.study");
  CONSILIUM_TRY(study);
  const auto binding = ReadBinding(message.binding(), "ask.binding");
  CONSILIUM_TRY(binding);
  Ask ask{*study, *binding, {}, message.held()};
  CONSILIUM_TRY(AtMost(ask.held, kAnswerBytesMax, "ask.held"));
  CONSILIUM_TRY(
      AtMost(static_cast<std::uint64_t>(message.roster_size()), kRosterMax, "ask.roster"));
  for (const std::string& site : message.roster()) {
    CONSILIUM_TRY(CheckText(site, federation::kSiteNameBytesMax, "ask.roster"));
    if (!ask.roster.insert(site).second)
      return tl::unexpected<Error>(Wrong("ask.roster", fmt::format("site {} comes twice", site)));
  }
  return ask;
}
Result<ToSite> Get(const v1::RecordPart& message) {
  const auto study = DecodeDigest(message.study(), "record.study");
  CONSILIUM_TRY(study);
  CONSILIUM_TRY(AtMost(message.size(), kRecordBytesMax, "record.size"));
  CONSILIUM_TRY(AtMost(message.data().size(), kPartBytesMax, "record.data"));
  if (message.offset() > message.size() ||
      message.data().size() > message.size() - message.offset()) {
    return tl::unexpected<Error>(
        Wrong("record.data", fmt::format("{} bytes at {}, but the record has {}",
                                         message.data().size(), message.offset(), message.size())));
  }
  const auto bytes = AsSpan(message.data());
  return RecordPart{*study,         message.attempt(), message.index(),
                    message.size(), message.offset(),  Bytes(bytes.begin(), bytes.end())};
}
Result<ToSite> Get(const v1::Ended& message) {
  const auto study = DecodeDigest(message.study(), "ended.study");
  CONSILIUM_TRY(study);
  CONSILIUM_TRY(CheckText(message.state(), 64, "ended.state"));
  CONSILIUM_TRY(CheckText(message.why(), kSentenceBytesMax, "ended.why"));
  return Ended{*study, message.state(), message.why()};
}
Result<ToSite> Get(const v1::HeadSigned& message) {
  const auto hash = DecodeDigest(message.hash(), "head.hash");
  CONSILIUM_TRY(hash);
  const auto signature = Fixed<64>(message.signature(), "head.signature");
  CONSILIUM_TRY(signature);
  return HeadSigned{message.count(), *hash, *signature};
}
Result<ToSite> Get(const v1::Restarted& message) {
  const auto study = DecodeDigest(message.study(), "restarted.study");
  CONSILIUM_TRY(study);
  CONSILIUM_TRY(CheckText(message.why(), kSentenceBytesMax, "restarted.why"));
  return Restarted{*study, message.attempt(), message.why()};
}
Result<ToSite> Get(const v1::Seals& message) {
  const auto study = DecodeDigest(message.study(), "seals.study");
  CONSILIUM_TRY(study);
  auto seals = ReadSeals(message, "seals.seals");
  CONSILIUM_TRY(seals);
  return Seals{*study, std::move(*seals)};
}

}  // namespace

void Encode(const Versions& versions, v1::Versions& to) {
  to.set_protocol_min(versions.protocol_min);
  to.set_protocol_max(versions.protocol_max);
  to.set_engine(versions.engine);
}

Result<Versions> Decode(const v1::Versions& versions) {
  CONSILIUM_TRY(CheckText(versions.engine(), 256, "versions.engine"));
  if (versions.protocol_min() == 0 || versions.protocol_min() > versions.protocol_max()) {
    return tl::unexpected<Error>(
        Wrong("versions", fmt::format("protocols {} to {} are no range from 1 up",
                                      versions.protocol_min(), versions.protocol_max())));
  }
  return Versions{versions.protocol_min(), versions.protocol_max(), versions.engine()};
}

std::string AsString(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<Digest> DecodeDigest(std::string_view bytes, std::string_view field) {
  const auto value = Fixed<32>(bytes, field);
  CONSILIUM_TRY(value);
  return Digest{*value};
}

Result<std::uint32_t> Negotiate(const Versions& ours, const Versions& theirs) {
  const std::uint32_t highest = std::min(ours.protocol_max, theirs.protocol_max);
  if (highest >= std::max(ours.protocol_min, theirs.protocol_min)) return highest;
  const bool they_are_old = theirs.protocol_max < ours.protocol_min;
  return Fail(ErrorCode::kFailedPrecondition,
              fmt::format("protocol: this side ({}) speaks {} to {}, the other ({}) speaks {} to "
                          "{}; upgrade {}",
                          ours.engine, ours.protocol_min, ours.protocol_max, theirs.engine,
                          theirs.protocol_min, theirs.protocol_max,
                          they_are_old ? "the other side" : "this side"));
}

std::string_view Name(Word word) {
  switch (word) {
    case Word::kWaiting:
      return "waiting for approval";
    case Word::kApproved:
      return "approved";
    case Word::kRejected:
      return "rejected";
    case Word::kJoined:
      return "joined";
    case Word::kFailed:
      return "cannot join";
  }
  return "unknown";
}

void Encode(const FromSite& message, v1::FromSite& to) {
  std::visit(Overloaded{
                 [&](const Hello& hello) {
                   auto* out = to.mutable_hello();
                   Encode(hello.versions, *out->mutable_versions());
                   out->set_unix_ms(hello.unix_ms);
                   for (const Position& position : hello.positions) {
                     auto* one = out->add_positions();
                     one->set_study(AsString(position.study.bytes));
                     one->set_attempt(position.attempt);
                     one->set_records(position.records);
                   }
                 },
                 [&](const SiteBeat& beat) {
                   auto* out = to.mutable_beat();
                   out->set_unix_ms(beat.unix_ms);
                   for (const auto& [study, what] : beat.doing) {
                     auto* one = out->add_doing();
                     one->set_study(AsString(study.bytes));
                     one->set_what(what);
                   }
                 },
                 [&](const StudyWord& word) {
                   auto* out = to.mutable_word();
                   out->set_study(AsString(word.study.bytes));
                   out->set_word(static_cast<v1::StudyWord::Word>(word.word));
                   out->set_attempt(word.attempt);
                   for (const std::string& column : word.columns) out->add_columns(column);
                   out->set_outward(word.outward);
                   PutSeals(word.seals, *out);
                 },
                 [&](const Refused& refused) {
                   auto* out = to.mutable_refused();
                   out->set_study(AsString(refused.study.bytes));
                   out->set_attempt(refused.attempt);
                   out->set_round(refused.round);
                   out->set_outward(refused.outward);
                 },
                 [&](const HeadToSign& head) {
                   auto* out = to.mutable_head();
                   out->set_count(head.count);
                   out->set_hash(AsString(head.hash.bytes));
                 },
                 [&](const TotalHeld& held) {
                   auto* out = to.mutable_held();
                   out->set_study(AsString(held.position.study.bytes));
                   out->set_attempt(held.position.attempt);
                   out->set_records(held.position.records);
                 },
             },
             message);
}

Result<FromSite> Decode(const v1::FromSite& message) {
  switch (message.kind_case()) {
    case v1::FromSite::kHello:
      return Get(message.hello());
    case v1::FromSite::kBeat:
      return Get(message.beat());
    case v1::FromSite::kWord:
      return Get(message.word());
    case v1::FromSite::kRefused:
      return Get(message.refused());
    case v1::FromSite::kHead:
      return Get(message.head());
    case v1::FromSite::kHeld:
      return Get(message.held());
    case v1::FromSite::KIND_NOT_SET:
      break;
  }
  return tl::unexpected<Error>(Wrong("kind", "a site's message of no kind that is known here"));
}

std::string RecordPartHead(const RecordPart& part, std::size_t size) {
  using google::protobuf::internal::WireFormatLite;
  using google::protobuf::io::CodedOutputStream;
  static_assert(v1::RecordPart::kDataFieldNumber > v1::RecordPart::kOffsetFieldNumber,
                "the data stand last");
  const auto tag = [](int field) {
    return WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
  };
  v1::RecordPart fields;
  fields.set_study(AsString(part.study.bytes));
  fields.set_attempt(part.attempt);
  fields.set_index(part.index);
  fields.set_size(part.size);
  fields.set_offset(part.offset);
  const std::string before = fields.SerializeAsString();
  const std::uint32_t data_tag = tag(v1::RecordPart::kDataFieldNumber);
  std::string head;
  {
    google::protobuf::io::StringOutputStream stream(&head);
    CodedOutputStream out(&stream);
    out.WriteTag(tag(v1::ToSite::kRecordFieldNumber));
    out.WriteVarint64(before.size() + CodedOutputStream::VarintSize32(data_tag) +
                      CodedOutputStream::VarintSize64(size) + size);
    out.WriteString(before);
    out.WriteTag(data_tag);
    out.WriteVarint64(size);
  }
  return head;
}

void Encode(const ToSite& message, v1::ToSite& to) {
  std::visit(Overloaded{
                 [&](const Welcome& welcome) {
                   auto* out = to.mutable_welcome();
                   out->set_protocol(welcome.protocol);
                   out->set_engine(welcome.engine);
                   out->set_unix_ms(welcome.unix_ms);
                   out->set_beat_ms(welcome.beat_ms);
                 },
                 [&](const CoordinatorBeat& beat) { to.mutable_beat()->set_unix_ms(beat.unix_ms); },
                 [&](const Offer& offer) {
                   to.mutable_offer()->set_submission(AsString(offer.submission));
                 },
                 [&](const Ask& ask) {
                   auto* out = to.mutable_ask();
                   out->set_study(AsString(ask.study.bytes));
                   out->set_binding(Canonical(ask.binding));
                   for (const std::string& site : ask.roster) out->add_roster(site);
                   out->set_held(ask.held);
                 },
                 [&](const RecordPart& part) {
                   auto* out = to.mutable_record();
                   out->set_study(AsString(part.study.bytes));
                   out->set_attempt(part.attempt);
                   out->set_index(part.index);
                   out->set_size(part.size);
                   out->set_offset(part.offset);
                   out->set_data(part.data.data(), part.data.size());
                 },
                 [&](const Ended& ended) {
                   auto* out = to.mutable_ended();
                   out->set_study(AsString(ended.study.bytes));
                   out->set_state(ended.state);
                   out->set_why(ended.why);
                 },
                 [&](const HeadSigned& head) {
                   auto* out = to.mutable_head();
                   out->set_count(head.count);
                   out->set_hash(AsString(head.hash.bytes));
                   out->set_signature(AsString(head.signature));
                 },
                 [&](const Restarted& restarted) {
                   auto* out = to.mutable_restarted();
                   out->set_study(AsString(restarted.study.bytes));
                   out->set_attempt(restarted.attempt);
                   out->set_why(restarted.why);
                 },
                 [&](const Seals& seals) {
                   auto* out = to.mutable_seals();
                   out->set_study(AsString(seals.study.bytes));
                   PutSeals(seals.seals, *out);
                 },
             },
             message);
}

Result<ToSite> Decode(const v1::ToSite& message) {
  switch (message.kind_case()) {
    case v1::ToSite::kWelcome:
      return Get(message.welcome());
    case v1::ToSite::kBeat:
      return Get(message.beat());
    case v1::ToSite::kOffer:
      return Get(message.offer());
    case v1::ToSite::kAsk:
      return Get(message.ask());
    case v1::ToSite::kRecord:
      return Get(message.record());
    case v1::ToSite::kEnded:
      return Get(message.ended());
    case v1::ToSite::kHead:
      return Get(message.head());
    case v1::ToSite::kRestarted:
      return Get(message.restarted());
    case v1::ToSite::kSeals:
      return Get(message.seals());
    case v1::ToSite::KIND_NOT_SET:
      break;
  }
  return tl::unexpected<Error>(
      Wrong("kind", "a coordinator's message of no kind that is known here"));
}

void Encode(const AnswerHead& head, v1::AnswerHead& to) {
  to.set_study(AsString(head.study.bytes));
  to.set_binding(Canonical(head.binding));
  to.set_receipt(Canonical(head.receipt));
  ByteWriter releases;
  Encode(head.releases, releases);
  to.set_releases(AsString(releases.bytes()));
  to.set_size(head.size);
  to.set_from(head.from);
}

Result<AnswerHead> Decode(const v1::AnswerHead& message) {
  AnswerHead head;
  const auto study = DecodeDigest(message.study(), "answer.study");
  CONSILIUM_TRY(study);
  head.study = *study;
  const auto binding = ReadBinding(message.binding(), "answer.binding");
  CONSILIUM_TRY(binding);
  head.binding = *binding;
  CONSILIUM_TRY(AtMost(message.size(), kAnswerBytesMax, "answer.size"));
  head.size = message.size();
  CONSILIUM_TRY(AtMost(message.from(), head.size, "answer.from"));
  head.from = message.from();
  ByteReader receipt(AsSpan(message.receipt()));
  head.receipt = federation::DecodeReceipt(receipt);
  if (const auto whole = receipt.Finish("a receipt"); !whole)
    return tl::unexpected<Error>(Wrong("answer.receipt", whole.error().message));
  if (head.receipt.binding != head.binding || head.receipt.answer_bytes != head.size) {
    return tl::unexpected<Error>(
        Wrong("answer.receipt", "it is for another binding or size than the answer's head"));
  }
  CONSILIUM_TRY(AtMost(message.releases().size(), kReleaseBytesMax, "answer.releases"));
  ByteReader reader(AsSpan(message.releases()));
  const std::uint32_t count = reader.U32();
  for (std::uint32_t i = 0; i < count && !reader.failed(); ++i) {
    const std::uint32_t query = reader.U32();
    const std::uint32_t blocks = reader.U32();
    Release release;
    for (std::uint32_t b = 0; b < blocks && !reader.failed(); ++b)
      release.blocks.push_back(federation::DecodeBlock(reader));
    if (!head.releases.emplace(query, std::move(release)).second) reader.Invalidate();
  }
  if (const auto whole = reader.Finish("the releases"); !whole)
    return tl::unexpected<Error>(Wrong("answer.releases", whole.error().message));
  return head;
}

Bytes ProofBytes(const Enrolment& enrolment) {
  ByteWriter writer;
  writer.Text("consilium enrolment 1");
  writer.Raw(enrolment.secret);
  writer.Text(enrolment.request_pem);
  writer.Raw(enrolment.signing_key.bytes());
  writer.U8(enrolment.agreement_key ? 1 : 0);
  if (enrolment.agreement_key) writer.Raw(*enrolment.agreement_key);
  return writer.Take();
}

void Encode(const Enrolment& enrolment, v1::EnrollRequest& to) {
  Encode(enrolment.versions, *to.mutable_versions());
  to.set_secret(AsString(enrolment.secret));
  to.set_request_pem(enrolment.request_pem);
  to.set_signing_key(AsString(enrolment.signing_key.bytes()));
  if (enrolment.agreement_key) to.set_agreement_key(AsString(*enrolment.agreement_key));
  to.set_proof(AsString(enrolment.proof));
}

Result<Enrolment> Decode(const v1::EnrollRequest& request) {
  Enrolment enrolment;
  auto versions = Decode(request.versions());
  CONSILIUM_TRY(versions);
  enrolment.versions = std::move(*versions);
  const auto secret = Fixed<20>(request.secret(), "enroll.secret");
  CONSILIUM_TRY(secret);
  enrolment.secret = *secret;
  CONSILIUM_TRY(AtMost(request.request_pem().size(), kPemBytesMax, "enroll.request_pem"));
  enrolment.request_pem = request.request_pem();
  const auto signing = Fixed<32>(request.signing_key(), "enroll.signing_key");
  CONSILIUM_TRY(signing);
  enrolment.signing_key = federation::VerifyingKey(*signing);
  if (!request.agreement_key().empty()) {
    const auto agreement = Fixed<32>(request.agreement_key(), "enroll.agreement_key");
    CONSILIUM_TRY(agreement);
    enrolment.agreement_key = *agreement;
  }
  const auto proof = Fixed<64>(request.proof(), "enroll.proof");
  CONSILIUM_TRY(proof);
  enrolment.proof = *proof;
  if (const auto proven = enrolment.signing_key.Verify(ProofBytes(enrolment), enrolment.proof);
      !proven) {
    return Fail(ErrorCode::kPermissionDenied,
                "enrolment: the proof is not a signature by the signing key that it names");
  }
  return enrolment;
}

void Encode(const Enrolled& enrolled, v1::EnrollReply& to) {
  Encode(enrolled.versions, *to.mutable_versions());
  to.set_certificate_pem(enrolled.certificate_pem);
  to.set_authority_pem(enrolled.authority_pem);
  to.set_address(enrolled.address);
  to.set_coordinator(enrolled.coordinator);
  to.set_coordinator_key(AsString(enrolled.coordinator_key.bytes()));
  to.set_operated_by(enrolled.operated_by);
}

Result<Enrolled> Decode(const v1::EnrollReply& reply) {
  Enrolled enrolled;
  auto versions = Decode(reply.versions());
  CONSILIUM_TRY(versions);
  enrolled.versions = std::move(*versions);
  CONSILIUM_TRY(AtMost(reply.certificate_pem().size(), kPemBytesMax, "enrolled.certificate_pem"));
  CONSILIUM_TRY(AtMost(reply.authority_pem().size(), kPemBytesMax, "enrolled.authority_pem"));
  CONSILIUM_TRY(CheckText(reply.address(), 256, "enrolled.address"));
  CONSILIUM_TRY(CheckText(reply.coordinator(), 256, "enrolled.coordinator"));
  enrolled.certificate_pem = reply.certificate_pem();
  enrolled.authority_pem = reply.authority_pem();
  enrolled.address = reply.address();
  enrolled.coordinator = reply.coordinator();
  const auto key = Fixed<32>(reply.coordinator_key(), "enrolled.coordinator_key");
  CONSILIUM_TRY(key);
  enrolled.coordinator_key = federation::VerifyingKey(*key);
  CONSILIUM_TRY(
      CheckText(reply.operated_by(), federation::kSiteNameBytesMax, "enrolled.operated_by"));
  enrolled.operated_by = reply.operated_by();
  return enrolled;
}

Bytes HeadBytes(std::string_view site, std::uint64_t count, const Digest& hash) {
  ByteWriter writer;
  writer.Text("consilium ledger head 1");
  writer.Text(site);
  writer.U64(count);
  writer.Raw(hash.bytes);
  return writer.Take();
}

void Encode(const Member& member, v1::Member& to) {
  to.set_name(member.name);
  to.set_role(member.role);
  to.set_signing_key(AsString(member.signing_key.bytes()));
  if (member.agreement_key) to.set_agreement_key(AsString(*member.agreement_key));
  to.set_not_after_unix_s(member.not_after_unix_s);
  to.set_state(member.state);
  to.set_seen_unix_ms(member.seen_unix_ms);
  to.set_connected(member.connected);
  to.set_clock_skew_ms(member.clock_skew_ms);
  to.set_engine(member.engine);
}

Result<Member> Decode(const v1::Member& message) {
  Member member;
  for (const std::string* text : {&message.name(), &message.role(), &message.state()})
    CONSILIUM_TRY(CheckText(*text, federation::kSiteNameBytesMax, "member"));
  CONSILIUM_TRY(CheckText(message.engine(), 256, "member.engine"));
  member.name = message.name();
  member.role = message.role();
  const auto signing = Fixed<32>(message.signing_key(), "member.signing_key");
  CONSILIUM_TRY(signing);
  member.signing_key = federation::VerifyingKey(*signing);
  if (!message.agreement_key().empty()) {
    const auto agreement = Fixed<32>(message.agreement_key(), "member.agreement_key");
    CONSILIUM_TRY(agreement);
    member.agreement_key = *agreement;
  }
  CONSILIUM_TRY(
      CheckClock(message.not_after_unix_s(), kUnixMsMax / 1000, "member.not_after_unix_s"));
  CONSILIUM_TRY(CheckClock(message.seen_unix_ms(), kUnixMsMax, "member.seen_unix_ms"));
  if (message.clock_skew_ms() < -kUnixMsMax || message.clock_skew_ms() > kUnixMsMax) {
    return tl::unexpected<Error>(
        Wrong("member.clock_skew_ms",
              fmt::format("{}, expected at most {}", message.clock_skew_ms(), kUnixMsMax)));
  }
  member.not_after_unix_s = message.not_after_unix_s();
  member.state = message.state();
  member.seen_unix_ms = message.seen_unix_ms();
  member.connected = message.connected();
  member.clock_skew_ms = message.clock_skew_ms();
  member.engine = message.engine();
  return member;
}

int StatusCode(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return 3;
    case ErrorCode::kNotFound:
      return 5;
    case ErrorCode::kAlreadyExists:
      return 6;
    case ErrorCode::kPermissionDenied:
      return 7;
    case ErrorCode::kResourceExhausted:
      return 8;
    case ErrorCode::kFailedPrecondition:
      return 9;
    case ErrorCode::kOutOfRange:
      return 11;
    case ErrorCode::kInternal:
      return 13;
    case ErrorCode::kUnavailable:
      return 14;
    case ErrorCode::kDataLoss:
      return 15;
  }
  return 13;
}

ErrorCode CodeOfStatus(int status_code) {
  switch (status_code) {
    case 3:
      return ErrorCode::kInvalidArgument;
    case 5:
      return ErrorCode::kNotFound;
    case 6:
      return ErrorCode::kAlreadyExists;
    case 7:
    case 16:  // UNAUTHENTICATED
      return ErrorCode::kPermissionDenied;
    case 8:
      return ErrorCode::kResourceExhausted;
    case 9:
      return ErrorCode::kFailedPrecondition;
    case 11:
      return ErrorCode::kOutOfRange;
    case 1:   // CANCELLED
    case 4:   // DEADLINE_EXCEEDED
    case 10:  // ABORTED
    case 14:
      return ErrorCode::kUnavailable;
    case 15:
      return ErrorCode::kDataLoss;
    default:
      return ErrorCode::kInternal;
  }
}

}  // namespace consilium::wire
