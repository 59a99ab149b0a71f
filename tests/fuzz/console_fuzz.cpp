// Any bytes as what a console and a coordinator say to each other: decoded or refused, never a
// crash, and whatever a coordinator says, a terminal is shown plain lines no longer than they may
// be and JSON that is JSON.
#include <consilium/v1/consilium.pb.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "console/incoming.h"
#include "console/render.h"
#include "identity/names.h"
#include "identity/token.h"
#include "site_agent/ledger.h"
#include "study/submission.h"
#include "tests/fuzz/wire_messages.h"

namespace {

using namespace consilium;           // NOLINT
using namespace consilium::console;  // NOLINT

constexpr std::int64_t kNowMs = 1'790'000'000'000;

void Require(bool condition) {
  if (!condition) std::abort();
}

// Lines without anything that disturbs a terminal.
void RequirePlain(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    for (std::string_view line = text.substr(0, end); !line.empty();) {
      const std::string plain = site_agent::PlainText(line);  // at most its own limit at once
      Require(!plain.empty() && line.starts_with(plain));
      line.remove_prefix(plain.size());
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// Whether it reads back, and as an object: nothing in it can end the line that it is told in.
void RequireJson(const std::string& text) {
  Require(text.find('\n') == std::string::npos);
  Require(nlohmann::json::parse(text, nullptr, false).is_object());
}

std::size_t Columns(std::string_view line) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

template <typename Proto>
std::optional<Proto> Parse(const std::uint8_t* data, std::size_t size) {
  Proto proto;
  if (!proto.ParseFromArray(data, static_cast<int>(size))) return std::nullopt;
  return proto;
}

void TryDigest(const std::string& bytes) {
  if (const auto digest = wire::DecodeDigest(bytes, "study"))
    Require(wire::AsString(digest->bytes) == bytes);
}

// ---- what a coordinator is asked
void TryInviteRequest(const std::uint8_t* data, std::size_t size) {
  const auto proto = Parse<v1::InviteRequest>(data, size);
  if (!proto) return;
  (void)identity::CheckName(proto->name());
  if (const auto role = identity::ParseRole(proto->role()))
    Require(identity::Name(*role) == proto->role());
}
void TryRevokeRequest(const std::uint8_t* data, std::size_t size) {
  if (const auto proto = Parse<v1::RevokeRequest>(data, size))
    RequirePlain(identity::Quoted(proto->name()));
}
void TrySubmitStudyRequest(const std::uint8_t* data, std::size_t size) {
  const auto proto = Parse<v1::SubmitStudyRequest>(data, size);
  if (!proto) return;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(proto->submission().data());
  (void)study::DecodeSubmission(std::span(bytes, proto->submission().size()));
}
template <typename Request>
void TryStudyRequest(const std::uint8_t* data, std::size_t size) {
  if (const auto proto = Parse<Request>(data, size)) TryDigest(proto->study());
}
template <typename Message>
void TryEmpty(const std::uint8_t* data, std::size_t size) {
  (void)Parse<Message>(data, size);
}

// ---- what a console is told
void TryInviteReply(const std::uint8_t* data, std::size_t size) {
  const auto proto = Parse<v1::InviteReply>(data, size);
  if (proto && identity::DecodeToken(proto->token())) RequirePlain(proto->token());
}

void TryMembers(const std::uint8_t* data, std::size_t size) {
  const auto proto = Parse<v1::ListMembersReply>(data, size);
  if (!proto) return;
  std::vector<wire::Member> members;
  for (const v1::Member& one : proto->members()) {
    auto member = wire::Decode(one);
    if (!member) return;
    v1::Member encoded, twice;
    wire::Encode(*member, encoded);
    const auto again = wire::Decode(encoded);
    Require(again.has_value());
    wire::Encode(*again, twice);
    Require(encoded.SerializeAsString() == twice.SerializeAsString());
    members.push_back(std::move(*member));
  }
  RequirePlain(MemberTable(members, kNowMs, false));
  RequirePlain(MemberTable(members, kNowMs, true));
  for (const wire::Member& member : members) RequireJson(MemberJson(member, kNowMs));
  RequirePlain(
      CoordinatorText(proto->server_until_unix_s(), proto->authority_until_unix_s(), kNowMs));
}

void TryStudyReply(const std::uint8_t* data, std::size_t size) {
  if (const auto proto = Parse<v1::SubmitStudyReply>(data, size)) TryDigest(proto->study());
}

void TryStudies(const std::uint8_t* data, std::size_t size) {
  const auto proto = Parse<v1::ListStudiesReply>(data, size);
  if (!proto) return;
  const std::vector<v1::StudyLine> studies(proto->studies().begin(), proto->studies().end());
  RequirePlain(StudyTable(studies));
  for (const v1::StudyLine& study : studies) {
    RequireJson(StudyJson(study));
    // Its own name finds it, or others are called so as well.
    const auto found = FindStudy(studies, study.name());
    Require(found.has_value() || found.error().code == ErrorCode::kAlreadyExists);
    if (!found) RequirePlain(found.error().message);
  }
  if (const auto none = FindStudy(studies, "of this name"); !none)
    RequirePlain(none.error().message);
}

void TryStatus(const std::uint8_t* data, std::size_t size) {
  const auto status = Parse<v1::StudyStatus>(data, size);
  if (!status) return;
  RequirePlain(StudyText(*status, kNowMs));
  RequirePlain(WatchLine(*status, kNowMs));
  Require(WatchLine(*status, kNowMs).find('\n') == std::string::npos);
  RequireJson(StudyStatusJson(*status, "study"));
  for (const auto& wait : status->waits()) RequirePlain(WaitText(wait));
  ChangeFilter filter;
  Require(filter.IsNews(*status, kNowMs));
  Require(!filter.IsNews(*status, kNowMs));
  for (const std::size_t columns : {std::size_t{20}, std::size_t{80}}) {
    const WatchView view{kNowMs, columns, size % 40, false};
    const std::string block = WatchBlock(*status, view);
    RequirePlain(block);
    Require(block.ends_with('\n'));
    for (std::string_view rest = block; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1))
      Require(Columns(rest.substr(0, rest.find('\n'))) <= columns);
  }
}

void TryFetchPart(const std::uint8_t* data, std::size_t size) {
  const auto proto = Parse<v1::FetchPart>(data, size);
  if (!proto) return;
  for (const std::string& file : proto->files()) {
    if (CheckFileName(file)) Require(file.find('/') == std::string::npos && file.front() != '.');
  }
}

constexpr void (*kHandlers[])(const std::uint8_t*, std::size_t) = {
    TryInviteRequest,
    TryInviteReply,
    TryRevokeRequest,
    TryEmpty<v1::RevokeReply>,
    TryEmpty<v1::ListMembersRequest>,
    TryMembers,
    TrySubmitStudyRequest,
    TryStudyReply,
    TryStudyRequest<v1::CancelStudyRequest>,
    TryEmpty<v1::CancelStudyReply>,
    TryEmpty<v1::ListStudiesRequest>,
    TryStudies,
    TryStudyRequest<v1::WatchStudyRequest>,
    TryStatus,
    TryStudyRequest<v1::FetchRequest>,
    TryFetchPart};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Every text that is no UTF-8 would be told on standard error.
  static const auto quiet = google::protobuf::SetLogHandler(nullptr);
  (void)quiet;
  consilium::fuzz::Handle(kHandlers, consilium::fuzz::kConsoleMessages, data, size);
  return 0;
}
