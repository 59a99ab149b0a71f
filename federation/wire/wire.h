// The one door between protobuf and values: every size, shape and range of what arrives is checked
// here and nowhere else.
//
// The edges (coordinator, site agent, console) hold gRPC's stubs and pass each message through
// Decode before they look at it, and everything they send through Encode. What the contract signs
// or logs travels as canonical bytes and is decoded by the contract's own functions. Limits are
// constants below; a message beyond one is refused with its name, what came and what is allowed.
// Format: docs/formats/wire.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"
#include "federation/block.h"
#include "federation/keys.h"
#include "federation/receipt.h"
#include "federation/sum_shares.h"

namespace consilium::v1 {  // protoc's, from proto/consilium/v1/consilium.proto
class AnswerHead;
class EnrollReply;
class EnrollRequest;
class FromSite;
class Member;

class ToSite;
class Versions;
}  // namespace consilium::v1

namespace consilium::wire {

// ---- Versions -----------------------------------------------------------------------------------
inline constexpr std::uint32_t kProtocolMin = 1;
inline constexpr std::uint32_t kProtocolMax = 1;

struct Versions {
  std::uint32_t protocol_min = kProtocolMin;
  std::uint32_t protocol_max = kProtocolMax;
  std::string engine;
  friend bool operator==(const Versions&, const Versions&) = default;
};
void Encode(const Versions& versions, v1::Versions& to);
// Errors: kInvalidArgument.
[[nodiscard]] Result<Versions> Decode(const v1::Versions& versions);
// The highest protocol that both speak. Errors: kFailedPrecondition (none: names both ranges and
// who must be upgraded).
[[nodiscard]] Result<std::uint32_t> Negotiate(const Versions& ours, const Versions& theirs);

// ---- Limits -------------------------------------------------------------------------------------
inline constexpr std::size_t kMessageBytesMax = std::size_t{4} << 20;  // any one message
inline constexpr std::size_t kPartBytesMax = std::size_t{1} << 20;     // data of one part
inline constexpr std::size_t kPartBytes = std::size_t{128} << 10;      // what we send
inline constexpr std::uint64_t kRecordBytesMax = std::uint64_t{1} << 32;
inline constexpr std::uint64_t kAnswerBytesMax = std::uint64_t{1} << 32;
inline constexpr std::size_t kReleaseBytesMax = std::size_t{2} << 20;
inline constexpr std::size_t kSubmissionBytesMax = std::size_t{3} << 20;
inline constexpr std::size_t kPemBytesMax = 16384;
inline constexpr std::size_t kSentenceBytesMax = 2000;  // outward texts, reasons
inline constexpr std::size_t kColumnsMax = 100'000;
inline constexpr std::size_t kColumnNameBytesMax = 4096;
inline constexpr std::size_t kStudiesMax = 1000;  // in one Hello or beat
inline constexpr std::size_t kRosterMax = 10'000;

// ---- What a site says ---------------------------------------------------------------------------
struct Position {
  Digest study;  // of the submission
  std::uint32_t attempt = 0;
  std::uint64_t records = 0;  // held on disk: the header, then one a round
  friend bool operator==(const Position&, const Position&) = default;
};
struct Hello {
  Versions versions;
  std::int64_t unix_ms = 0;
  std::vector<Position> positions;
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct SiteBeat {
  std::int64_t unix_ms = 0;
  std::map<Digest, std::string> doing;  // by study
  friend bool operator==(const SiteBeat&, const SiteBeat&) = default;
};
enum class Word { kWaiting = 1, kApproved = 2, kRejected = 3, kJoined = 4, kFailed = 5 };
[[nodiscard]] std::string_view Name(Word word);  // "waiting for approval"
struct StudyWord {
  Digest study;
  Word word = Word::kWaiting;
  std::uint32_t attempt = 0;
  std::vector<std::string> columns;
  std::string outward;
  std::map<std::string, federation::SumSeal> seals = {};  // by the site that each is for
  friend bool operator==(const StudyWord&, const StudyWord&) = default;
};
struct Refused {
  Digest study;
  std::uint32_t attempt = 0;
  std::uint64_t round = 0;
  std::string outward;
  friend bool operator==(const Refused&, const Refused&) = default;
};
struct HeadToSign {
  std::uint64_t count = 0;
  Digest hash;
  friend bool operator==(const HeadToSign&, const HeadToSign&) = default;
};
struct TotalHeld {
  Position position;
  friend bool operator==(const TotalHeld&, const TotalHeld&) = default;
};
using FromSite = std::variant<Hello, SiteBeat, StudyWord, Refused, HeadToSign, TotalHeld>;

// ---- What a coordinator says --------------------------------------------------------------------
struct Welcome {
  std::uint32_t protocol = kProtocolMax;
  std::string engine;
  std::int64_t unix_ms = 0;
  std::uint32_t beat_ms = 0;
  friend bool operator==(const Welcome&, const Welcome&) = default;
};
struct CoordinatorBeat {
  std::int64_t unix_ms = 0;
  friend bool operator==(const CoordinatorBeat&, const CoordinatorBeat&) = default;
};
struct Offer {
  Bytes submission;
  friend bool operator==(const Offer&, const Offer&) = default;
};
struct Ask {
  Digest study;
  federation::Binding binding;
  std::set<std::string> roster;
  std::uint64_t held = 0;  // bytes of the answer that a call which broke has left
  friend bool operator==(const Ask&, const Ask&) = default;
};
struct RecordPart {
  Digest study;
  std::uint32_t attempt = 0;
  std::uint64_t index = 0;
  std::uint64_t size = 0;
  std::uint64_t offset = 0;
  Bytes data;
  friend bool operator==(const RecordPart&, const RecordPart&) = default;
};
struct Ended {
  Digest study;
  std::string state;
  std::string why;
  friend bool operator==(const Ended&, const Ended&) = default;
};
struct Restarted {
  Digest study;
  std::uint32_t attempt = 0;
  std::string why;
  friend bool operator==(const Restarted&, const Restarted&) = default;
};
struct HeadSigned {
  std::uint64_t count = 0;
  Digest hash;
  federation::Signature signature{};
  friend bool operator==(const HeadSigned&, const HeadSigned&) = default;
};
struct Seals {
  Digest study;
  std::map<std::string, federation::SumSeal> seals;  // by the site whose share it is
  friend bool operator==(const Seals&, const Seals&) = default;
};
using ToSite = std::variant<Welcome, CoordinatorBeat, Offer, Ask, RecordPart, Ended, HeadSigned,
                            Restarted, Seals>;

// The message of a part with `size` bytes of data, up to the data: what follows in the message is
// the data as it is. So one record goes to many sites without a copy for each. `part.data` is not
// looked at; size is not 0.
[[nodiscard]] std::string RecordPartHead(const RecordPart& part, std::size_t size);

// Errors of every Decode: kInvalidArgument; names the message, the field, what came, what is
// allowed.
void Encode(const FromSite& message, v1::FromSite& to);
[[nodiscard]] Result<FromSite> Decode(const v1::FromSite& message);
void Encode(const ToSite& message, v1::ToSite& to);
[[nodiscard]] Result<ToSite> Decode(const v1::ToSite& message);

// ---- An answer's head ---------------------------------------------------------------------------
struct AnswerHead {
  Digest study;
  federation::Binding binding;
  federation::Receipt receipt;
  federation::Releases releases;  // by place of the query
  std::uint64_t size = 0;         // of the words
  std::uint64_t from = 0;         // where those that follow begin; at most size
};
void Encode(const AnswerHead& head, v1::AnswerHead& to);
[[nodiscard]] Result<AnswerHead> Decode(const v1::AnswerHead& head);

// ---- Enrolment ----------------------------------------------------------------------------------
struct Enrolment {
  Versions versions;
  std::array<std::uint8_t, 20> secret{};
  std::string request_pem;
  federation::VerifyingKey signing_key;
  std::optional<federation::KeyBytes> agreement_key;
  federation::Signature proof{};
};
// What `proof` signs: the owner of the token owns the keys.
[[nodiscard]] Bytes ProofBytes(const Enrolment& enrolment);
void Encode(const Enrolment& enrolment, v1::EnrollRequest& to);
// Errors also: kPermissionDenied (the proof is not the signing key's).
[[nodiscard]] Result<Enrolment> Decode(const v1::EnrollRequest& request);

struct Enrolled {
  Versions versions;
  std::string certificate_pem;
  std::string authority_pem;
  std::string address;
  std::string coordinator;
  federation::VerifyingKey coordinator_key;
  std::string operated_by;  // a lead's name; empty: nobody is declared
};
void Encode(const Enrolled& enrolled, v1::EnrollReply& to);
[[nodiscard]] Result<Enrolled> Decode(const v1::EnrollReply& reply);

// What a coordinator signs when it countersigns the head of a site's ledger.
[[nodiscard]] Bytes HeadBytes(std::string_view site, std::uint64_t count, const Digest& hash);

// ---- What people see ----------------------------------------------------------------------------
struct Member {
  std::string name;
  std::string role;
  federation::VerifyingKey signing_key;
  std::optional<federation::KeyBytes> agreement_key;
  std::int64_t not_after_unix_s = 0;
  std::string state;
  std::int64_t seen_unix_ms = 0;
  bool connected = false;
  std::int64_t clock_skew_ms = 0;
  std::string engine;
};
void Encode(const Member& member, v1::Member& to);
[[nodiscard]] Result<Member> Decode(const v1::Member& member);

[[nodiscard]] Result<Digest> DecodeDigest(std::string_view bytes, std::string_view field);
[[nodiscard]] std::string AsString(std::span<const std::uint8_t> bytes);

// ---- Status codes -------------------------------------------------------------------------------
// gRPC's canonical number of a code, and back; numbers that are none of ours become kUnavailable (a
// connection that broke) or kInternal.
[[nodiscard]] int StatusCode(ErrorCode code);
[[nodiscard]] ErrorCode CodeOfStatus(int status_code);

}  // namespace consilium::wire
