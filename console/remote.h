// A coordinator as a person's console sees it: one channel of mutual TLS, one function a call.
//
// Every error names the coordinator, its address, the command that was given, and what to do next.
// Calls have a time limit; the two streams (Watch, Fetch) have none of their own, a dead connection
// ends them by keepalive. One thread. gRPC stays in the .cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "console/person.h"
#include "federation/wire/wire.h"

namespace consilium::v1 {  // protoc's, from proto/consilium/v1/consilium.proto
class StudyLine;
class StudyStatus;
}  // namespace consilium::v1

namespace consilium::console {

// The digest of a study that ListStudies or FindStudy returned.
[[nodiscard]] Digest IdOf(const v1::StudyLine& line);

class Remote {
 public:
  // The coordinator of the profile in `folder`; `command`: what errors say was tried, "site list".
  // Nothing is sent yet. Errors: those of LoadKeys, LoadEnrolment, UnlockTlsKey;
  // kFailedPrecondition (the certificate has ended: says when and how to go on; keys and
  // certificate do not belong together).
  [[nodiscard]] static Result<Remote> Open(const std::filesystem::path& folder,
                                           std::string_view passphrase, std::string command,
                                           std::int64_t now_s);
  Remote(Remote&&) noexcept;
  Remote& operator=(Remote&&) noexcept;
  ~Remote();

  [[nodiscard]] const PersonKeys& keys() const;
  [[nodiscard]] const PersonEnrolment& enrolment() const;

  // Errors of every call: kUnavailable (not reached, or the connection broke), kPermissionDenied
  // (revoked, or another role may), and the coordinator's own, which are named below.

  struct Invitation {
    std::string token;  // a secret until it is used
    std::int64_t expires_s = 0;
  };
  // Errors: kInvalidArgument (name, role, validity).
  [[nodiscard]] Result<Invitation> Invite(const std::string& name, const std::string& role,
                                          std::int64_t valid_s);
  // Again: nothing changes, the first reason stays. Errors: kNotFound.
  [[nodiscard]] Result<void> Revoke(const std::string& name, const std::string& reason);
  struct Register {
    std::vector<wire::Member> members;
    // When what the listeners show, and the authority, end; 0: the coordinator does not say.
    std::int64_t server_until_s = 0;
    std::int64_t authority_until_s = 0;
  };
  [[nodiscard]] Result<Register> ListMembers();

  struct Submitted {
    Digest study;
    bool already = false;  // the very same submission was there
  };
  [[nodiscard]] Result<Submitted> Submit(std::span<const std::uint8_t> submission);
  // Errors: kNotFound (none is under way with this digest).
  [[nodiscard]] Result<void> Cancel(const Digest& study, const std::string& reason);
  [[nodiscard]] Result<std::vector<v1::StudyLine>> ListStudies();
  // The one that a person means. Errors also: FindStudy's (render.h).
  [[nodiscard]] Result<v1::StudyLine> FindStudy(std::string_view text);
  // Hands statuses to `take` as they come, until it returns false, or the study or the connection
  // ends.
  [[nodiscard]] Result<void> Watch(const Digest& study,
                                   const std::function<bool(const v1::StudyStatus&)>& take);
  // Names of the files that can be fetched, checked by CheckFileName (incoming.h).
  [[nodiscard]] Result<std::vector<std::string>> ListFiles(const Digest& study);
  // The bytes of one, piece by piece. Errors: kNotFound; take's.
  [[nodiscard]] Result<void> Fetch(const Digest& study, const std::string& file,
                                   const std::function<Result<void>(std::string_view)>& take);
  // The text of report.json. Errors also: kResourceExhausted (more than 1 GiB).
  [[nodiscard]] Result<std::string> FetchReportJson(const Digest& study);
  // A new certificate for the same key, not saved yet.
  [[nodiscard]] Result<std::string> Renew(std::int64_t now_s);

 private:
  struct Impl;
  explicit Remote(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace consilium::console
