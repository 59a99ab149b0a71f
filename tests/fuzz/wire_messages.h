// What an input of wire_fuzz and console_fuzz is: its first byte, modulo the number of names, says
// which message the rest is. The numbers stand in corpora, so names are only ever added at the end.
#pragma once

#include <cstddef>
#include <string_view>

namespace consilium::fuzz {

// Services Enrolment and Sites; "submission" stands for its canonical bytes.
inline constexpr std::string_view kSiteMessages[] = {
    "FromSite",    "ToSite",    "AnswerPart",  "EnrollRequest", "EnrollReply", "submission",
    "PingRequest", "PingReply", "SubmitReply", "RenewRequest",  "RenewReply"};

// Service Console.
inline constexpr std::string_view kConsoleMessages[] = {
    "InviteRequest",      "InviteReply",      "RevokeRequest",      "RevokeReply",
    "ListMembersRequest", "ListMembersReply", "SubmitStudyRequest", "SubmitStudyReply",
    "CancelStudyRequest", "CancelStudyReply", "ListStudiesRequest", "ListStudiesReply",
    "WatchStudyRequest",  "StudyStatus",      "FetchRequest",       "FetchPart"};

// The handler of a message in a list that stands in the order of its names; they have one length.
template <typename Handler, std::size_t N>
void Handle(const Handler (&handlers)[N], const std::string_view (&)[N], const unsigned char* data,
            std::size_t size) {
  if (size > 0) handlers[data[0] % N](data + 1, size - 1);
}

}  // namespace consilium::fuzz
