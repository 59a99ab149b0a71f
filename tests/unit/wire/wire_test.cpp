// Whatever is said arrives as it was said, and nothing that was not said arrives.
#include "federation/wire/wire.h"

#include <consilium/v1/consilium.pb.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <limits>

namespace consilium::wire {
namespace {

Digest AnyDigest() {
  Digest digest;
  for (auto& byte : digest.bytes) byte = *rc::gen::arbitrary<std::uint8_t>();
  return digest;
}
std::string AnyText(std::size_t most) {
  return *rc::gen::resize(static_cast<int>(most),
                          rc::gen::container<std::string>(rc::gen::inRange<char>(' ', '~')));
}
// 1970 to the end of 9999.
constexpr std::int64_t kUnixMsMax = 253'402'300'799'999;
std::int64_t AnyTime() { return *rc::gen::inRange<std::int64_t>(0, kUnixMsMax + 1); }
federation::Binding AnyBinding() {
  return {AnyDigest(), *rc::gen::arbitrary<std::uint64_t>(), *rc::gen::arbitrary<std::uint32_t>(),
          AnyDigest(), AnyDigest()};
}

std::map<std::string, federation::SumSeal> AnySeals() {
  std::map<std::string, federation::SumSeal> seals;
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
    for (auto& byte : seals[AnyText(12)]) byte = *rc::gen::arbitrary<std::uint8_t>();
  }
  return seals;
}

template <typename Message, typename Proto>
Result<Message> Through(const Message& message) {
  Proto proto;
  Encode(message, proto);
  Proto again;
  if (!again.ParseFromString(proto.SerializeAsString())) return Fail(ErrorCode::kInternal, "parse");
  return Decode(again);
}

FromSite AnyFromSite() {
  switch (*rc::gen::inRange(0, 6)) {
    case 0: {
      Hello hello;
      hello.versions.engine = AnyText(20);
      hello.unix_ms = AnyTime();
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i)
        hello.positions.push_back({AnyDigest(), *rc::gen::arbitrary<std::uint32_t>(),
                                   *rc::gen::arbitrary<std::uint64_t>()});
      return hello;
    }
    case 1: {
      SiteBeat beat{AnyTime(), {}};
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i) beat.doing[AnyDigest()] = AnyText(40);
      return beat;
    }
    case 2: {
      StudyWord word{AnyDigest(),
                     static_cast<Word>(*rc::gen::inRange(1, 6)),
                     *rc::gen::arbitrary<std::uint32_t>(),
                     {},
                     AnyText(60)};
      for (int i = *rc::gen::inRange(0, 5); i > 0; --i) word.columns.push_back(AnyText(30));
      word.seals = AnySeals();
      return word;
    }
    case 3:
      return Refused{AnyDigest(), *rc::gen::arbitrary<std::uint32_t>(),
                     *rc::gen::arbitrary<std::uint64_t>(), AnyText(60)};
    case 4:
      return HeadToSign{*rc::gen::arbitrary<std::uint64_t>(), AnyDigest()};
    default:
      return TotalHeld{{AnyDigest(), *rc::gen::arbitrary<std::uint32_t>(),
                        *rc::gen::arbitrary<std::uint64_t>()}};
  }
}

ToSite AnyToSite() {
  switch (*rc::gen::inRange(0, 9)) {
    case 0:
      return Welcome{*rc::gen::arbitrary<std::uint32_t>(), AnyText(20), AnyTime(),
                     *rc::gen::inRange<std::uint32_t>(50, 3'600'001)};
    case 1:
      return CoordinatorBeat{AnyTime()};
    case 2:
      return Offer{*rc::gen::arbitrary<Bytes>()};
    case 3: {
      Ask ask{AnyDigest(), AnyBinding(), {}, *rc::gen::inRange<std::uint64_t>(0, 1 << 30)};
      for (int i = *rc::gen::inRange(0, 5); i > 0; --i) ask.roster.insert(AnyText(12));
      return ask;
    }
    case 4: {
      RecordPart part{AnyDigest(),
                      *rc::gen::arbitrary<std::uint32_t>(),
                      *rc::gen::arbitrary<std::uint64_t>(),
                      0,
                      0,
                      *rc::gen::arbitrary<Bytes>()};
      part.offset = *rc::gen::inRange<std::uint64_t>(0, 1000);
      part.size = part.offset + part.data.size() + *rc::gen::inRange<std::uint64_t>(0, 1000);
      return part;
    }
    case 5:
      return Ended{AnyDigest(), AnyText(10), AnyText(60)};
    case 6: {
      HeadSigned head{*rc::gen::arbitrary<std::uint64_t>(), AnyDigest(), {}};
      for (auto& byte : head.signature) byte = *rc::gen::arbitrary<std::uint8_t>();
      return head;
    }
    case 7:
      return Seals{AnyDigest(), AnySeals()};
    default:
      return Restarted{AnyDigest(), *rc::gen::arbitrary<std::uint32_t>(), AnyText(60)};
  }
}

TEST(Wire, APartIsTheSameMessageWithItsDataBehindItsHead) {
  EXPECT_TRUE(rc::check([] {
    RecordPart part{AnyDigest(),
                    *rc::gen::arbitrary<std::uint32_t>(),
                    *rc::gen::arbitrary<std::uint64_t>(),
                    0,
                    *rc::gen::inRange<std::uint64_t>(0, 1000),
                    *rc::gen::nonEmpty(rc::gen::arbitrary<Bytes>())};
    part.data.resize(part.data.size() * *rc::gen::element<std::size_t>(1, 200, 20'000), 7);
    part.size = part.offset + part.data.size();
    v1::ToSite whole;
    Encode(ToSite(part), whole);
    RC_ASSERT(RecordPartHead(part, part.data.size()) + AsString(part.data) ==
              whole.SerializeAsString());
  }));
}

TEST(Wire, WhatASiteSaysArrivesAsItWasSaid) {
  EXPECT_TRUE(rc::check([] {
    const FromSite said = AnyFromSite();
    const auto heard = Through<FromSite, v1::FromSite>(said);
    RC_ASSERT(heard.has_value());
    RC_ASSERT(*heard == said);
  }));
}

TEST(Wire, WhatACoordinatorSaysArrivesAsItWasSaid) {
  EXPECT_TRUE(rc::check([] {
    const ToSite said = AnyToSite();
    const auto heard = Through<ToSite, v1::ToSite>(said);
    RC_ASSERT(heard.has_value());
    RC_ASSERT(*heard == said);
  }));
}

TEST(Wire, AnAnswersHeadBindsItsReceiptAndItsSize) {
  const federation::SigningKey key = federation::SigningKey::FromSeed({1, 2, 3});
  AnswerHead head;
  head.binding.round = 7;
  const Bytes words(24, 5);
  head.size = words.size();
  federation::Release release;
  release.blocks.push_back({"counts", Eigen::MatrixXd::Constant(1, 2, 30)});
  head.releases[3] = release;
  head.receipt = federation::Sign(head.binding, "north", words, head.releases, {7}, key);
  v1::AnswerHead proto;
  Encode(head, proto);
  const auto heard = Decode(proto);
  ASSERT_TRUE(heard.has_value()) << heard.error().message;
  EXPECT_EQ(heard->receipt, head.receipt);
  EXPECT_EQ(heard->releases.at(3).blocks.at(0).values, release.blocks[0].values);

  EXPECT_EQ(heard->from, 0U);
  v1::AnswerHead rest = proto;
  rest.set_from(24);
  EXPECT_EQ(Decode(rest)->from, 24U);
  rest.set_from(25);
  EXPECT_EQ(Decode(rest).error().message, "message field 'answer.from': 25, at most 24 are taken");

  v1::AnswerHead wrong = proto;
  wrong.set_size(25);
  EXPECT_EQ(Decode(wrong).error().message,
            "message field 'answer.receipt': it is for another binding or size than the answer's "
            "head");
  wrong = proto;
  wrong.clear_receipt();
  EXPECT_EQ(Decode(wrong).error().message,
            "message field 'answer.receipt': a receipt: the bytes end early or a length is beyond "
            "its limit; the file or message is damaged");
  wrong = proto;
  wrong.set_releases(proto.releases() + "x");
  EXPECT_FALSE(Decode(wrong).has_value());
  wrong = proto;
  wrong.set_binding(proto.binding().substr(1));
  EXPECT_FALSE(Decode(wrong).has_value());
}

TEST(Wire, WhatIsTooLongOrOutOfRangeIsRefusedByItsField) {
  const auto refused = [](const v1::FromSite& message, std::string_view field) {
    const auto heard = Decode(message);
    ASSERT_FALSE(heard.has_value()) << field;
    EXPECT_EQ(heard.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(heard.error().message.find(field), std::string::npos) << heard.error().message;
  };
  v1::FromSite message;
  refused(message, "kind");
  message.mutable_hello()->mutable_versions()->set_protocol_min(2);
  message.mutable_hello()->mutable_versions()->set_protocol_max(1);
  refused(message, "versions");
  message.mutable_hello()->mutable_versions()->set_protocol_max(2);
  for (std::size_t i = 0; i <= kStudiesMax; ++i) message.mutable_hello()->add_positions();
  refused(message, "hello.positions");
  message.mutable_word()->set_study(std::string(31, 'x'));
  refused(message, "word.study");
  message.mutable_word()->set_study(std::string(32, 'x'));
  refused(message, "word.word");
  message.mutable_word()->set_word(v1::StudyWord::APPROVED);
  message.mutable_word()->add_columns("a\nb");
  refused(message, "word.columns");
  message.mutable_word()->set_columns(0, "ab");
  message.mutable_word()->set_outward(std::string(kSentenceBytesMax + 1, 'x'));
  refused(message, "word.outward");

  message.mutable_word()->clear_outward();
  message.mutable_word()->add_seals()->set_site("north");
  refused(message, "word.seals");
  message.mutable_word()->mutable_seals(0)->set_seal(std::string(48, 'x'));
  EXPECT_TRUE(Decode(message).has_value());
  *message.mutable_word()->add_seals() = message.word().seals(0);
  refused(message, "word.seals");

  v1::ToSite part;
  part.mutable_record()->set_study(std::string(32, 'x'));
  part.mutable_record()->set_size(10);
  part.mutable_record()->set_offset(8);
  part.mutable_record()->set_data("abc");
  EXPECT_FALSE(Decode(part).has_value());
  part.mutable_record()->set_offset(std::numeric_limits<std::uint64_t>::max());
  EXPECT_FALSE(Decode(part).has_value());
  part.mutable_record()->set_offset(7);
  EXPECT_TRUE(Decode(part).has_value());
  part.mutable_record()->set_size(kRecordBytesMax + 1);
  EXPECT_FALSE(Decode(part).has_value());
}

// What is computed with clocks of others must be numbers.
TEST(Wire, AClockBefore1970OrAfter9999IsRefused) {
  constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();
  const auto taken = [](auto proto, auto set, std::int64_t time) {
    set(proto, time);
    return Decode(proto).has_value();
  };
  v1::FromSite hello;
  Encode(FromSite(Hello()), hello);
  v1::ToSite welcome;
  Encode(ToSite(Welcome{1, "1", 0, 2000}), welcome);
  v1::Member member;
  Encode(Member(), member);
  for (const std::int64_t time :
       {kLowest, std::int64_t{-1}, std::int64_t{0}, kUnixMsMax, kUnixMsMax + 1, kHighest}) {
    SCOPED_TRACE(time);
    const bool good = time >= 0 && time <= kUnixMsMax;
    EXPECT_EQ(taken(
                  hello, [](auto& p, auto t) { p.mutable_hello()->set_unix_ms(t); }, time),
              good);
    EXPECT_EQ(taken(
                  v1::FromSite(), [](auto& p, auto t) { p.mutable_beat()->set_unix_ms(t); }, time),
              good);
    EXPECT_EQ(taken(
                  welcome, [](auto& p, auto t) { p.mutable_welcome()->set_unix_ms(t); }, time),
              good);
    EXPECT_EQ(taken(
                  v1::ToSite(), [](auto& p, auto t) { p.mutable_beat()->set_unix_ms(t); }, time),
              good);
    EXPECT_EQ(taken(
                  member, [](auto& p, auto t) { p.set_seen_unix_ms(t); }, time),
              good);
  }
  const auto skew = [](auto& p, auto t) { p.set_clock_skew_ms(t); };
  EXPECT_FALSE(taken(member, skew, kLowest));
  EXPECT_TRUE(taken(member, skew, -90'000));
  EXPECT_FALSE(taken(
      member, [](auto& p, auto t) { p.set_not_after_unix_s(t); }, kHighest));
}

TEST(Wire, AnEnrolmentIsProvenByTheKeyThatItNames) {
  const federation::SigningKey key = federation::SigningKey::FromSeed({4, 5, 6});
  Enrolment enrolment;
  enrolment.versions.engine = "consilium 0.1.0";
  enrolment.secret.fill(7);
  enrolment.request_pem = "request";
  enrolment.signing_key = key.verifying_key();
  enrolment.agreement_key.emplace().fill(8);
  enrolment.proof = key.Sign(ProofBytes(enrolment));
  v1::EnrollRequest request;
  Encode(enrolment, request);
  ASSERT_TRUE(Decode(request).has_value());
  // Whoever changes any part of it on the way has no proof for it.
  for (const auto& change : std::vector<std::function<void(v1::EnrollRequest&)>>{
           [](auto& r) { r.set_secret(std::string(20, 'x')); },
           [](auto& r) { r.set_request_pem("another"); },
           [](auto& r) { r.set_agreement_key(std::string(32, 'x')); },
           [](auto& r) { r.clear_agreement_key(); },
           [](auto& r) { r.set_signing_key(std::string(32, 'x')); }}) {
    v1::EnrollRequest changed = request;
    change(changed);
    const auto heard = Decode(changed);
    ASSERT_FALSE(heard.has_value());
    EXPECT_EQ(heard.error().code, ErrorCode::kPermissionDenied);
  }
}

TEST(Wire, AnEnrolmentsReplyNamesTheOperatorInAFieldOfItsOwn) {
  Enrolled enrolled;
  enrolled.versions.engine = "consilium 0.1.0";
  enrolled.certificate_pem = "certificate";
  enrolled.authority_pem = "authority";
  enrolled.address = "coordinator.example.org:8443";
  enrolled.coordinator = "PAIN (operated by maria)";
  enrolled.coordinator_key = federation::SigningKey::FromSeed({4}).verifying_key();
  enrolled.operated_by = "anna";
  v1::EnrollReply reply;
  Encode(enrolled, reply);
  const auto heard = Decode(reply);
  ASSERT_TRUE(heard.has_value()) << heard.error().message;
  EXPECT_EQ(heard->operated_by, "anna");
  EXPECT_EQ(heard->coordinator, "PAIN (operated by maria)");
  reply.clear_operated_by();  // as a coordinator says it that knows no such field
  EXPECT_EQ(Decode(reply).value().operated_by, "");
  reply.set_operated_by(std::string(300, 'a'));
  EXPECT_FALSE(Decode(reply).has_value());
}

TEST(Wire, VersionsThatDoNotMeetAreNamedWithWhoMustUpgrade) {
  const Versions ours{2, 3, "consilium 0.2.0"};
  EXPECT_EQ(Negotiate(ours, {1, 2, "consilium 0.1.0"}).value(), 2U);
  EXPECT_EQ(Negotiate(ours, {3, 9, "consilium 0.9.0"}).value(), 3U);
  const auto old = Negotiate(ours, {1, 1, "consilium 0.1.0"});
  ASSERT_FALSE(old.has_value());
  EXPECT_EQ(old.error().message,
            "protocol: this side (consilium 0.2.0) speaks 2 to 3, the other (consilium 0.1.0) "
            "speaks 1 to 1; upgrade the other side");
  EXPECT_NE(Negotiate(ours, {4, 5, "consilium 1.0.0"}).error().message.find("upgrade this side"),
            std::string::npos);
}

TEST(Wire, EveryCodeSurvivesTheWayThereAndBack) {
  for (int i = 0; i <= static_cast<int>(ErrorCode::kInternal); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    EXPECT_EQ(CodeOfStatus(StatusCode(code)), code) << Name(code);
  }
  EXPECT_EQ(CodeOfStatus(16), ErrorCode::kPermissionDenied);  // UNAUTHENTICATED
  EXPECT_EQ(CodeOfStatus(4), ErrorCode::kUnavailable);        // DEADLINE_EXCEEDED
}

}  // namespace
}  // namespace consilium::wire
