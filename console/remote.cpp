#include "console/remote.h"

#include <consilium/v1/consilium.grpc.pb.h>
#include <fmt/format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>

#include "console/incoming.h"
#include "console/render.h"
#include "identity/private_key.h"
#include "site_agent/link.h"

namespace consilium::console {
namespace {

constexpr auto kCallTime = std::chrono::seconds(30);
constexpr std::size_t kStudyNameBytesMax = 4096;

std::string NextStep(ErrorCode code, const PersonEnrolment& enrolment) {
  switch (code) {
    case ErrorCode::kUnavailable:
      return "\nIs the coordinator running (consilium-coordinator status), and does this network "
             "allow the connection? Then give the command again.";
    case ErrorCode::kPermissionDenied:
      return fmt::format(
          "\nYou are {} {} here (consilium key show).",
          enrolment.certificate.role ? identity::Name(*enrolment.certificate.role) : "",
          enrolment.stored.site);
    default:
      return "";
  }
}

}  // namespace

Digest IdOf(const v1::StudyLine& line) {
  Digest id;
  const std::size_t size = std::min(line.study().size(), id.bytes.size());
  std::copy_n(line.study().begin(), size, id.bytes.begin());
  return id;
}

struct Remote::Impl {
  PersonKeys keys;
  PersonEnrolment enrolment;
  std::string tls_key_pem;
  std::string command;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::Console::Stub> stub;

  Error Told(Error error) const {
    // What the coordinator says is shown on a terminal.
    error.message = Shown(error.message) + NextStep(error.code, enrolment);
    return Within(fmt::format("coordinator {} at {}", Shown(enrolment.stored.coordinator),
                              enrolment.stored.address),
                  std::move(error));
  }
  tl::unexpected<Error> Refused(const grpc::Status& status) const {
    return tl::unexpected<Error>(Told(site_agent::ErrorOf(status, "consilium " + command)));
  }
  tl::unexpected<Error> Misread(Error error) const {
    return tl::unexpected<Error>(Told(
        Within(fmt::format("consilium {}: the answer cannot be read", command), std::move(error))));
  }

  template <typename Method, typename Request, typename Reply>
  Result<void> Call(Method method, const Request& request, Reply& reply) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallTime);
    const grpc::Status status = (stub.get()->*method)(&context, request, &reply);
    if (!status.ok()) return Refused(status);
    return {};
  }
};

Remote::Remote(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Remote::Remote(Remote&&) noexcept = default;
Remote& Remote::operator=(Remote&&) noexcept = default;
Remote::~Remote() = default;

const PersonKeys& Remote::keys() const { return impl_->keys; }
const PersonEnrolment& Remote::enrolment() const { return impl_->enrolment; }

Result<Remote> Remote::Open(const std::filesystem::path& folder, std::string_view passphrase,
                            std::string command, std::int64_t now_s) {
  auto enrolment = LoadEnrolment(folder);
  CONSILIUM_TRY(enrolment);
  auto keys = LoadKeys(folder);
  CONSILIUM_TRY(keys);
  const site_agent::StoredEnrolment& stored = enrolment->stored;
  if (now_s > enrolment->certificate.not_after_s) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: the certificate of {} at coordinator {} ended on {}; ask a lead "
                            "for a token (consilium site invite {} --role {}) and run: consilium "
                            "key enroll TOKEN",
                            (folder / "enrolment.json").string(), stored.site, stored.coordinator,
                            identity::UtcText(enrolment->certificate.not_after_s), stored.site,
                            identity::Name(*enrolment->certificate.role)));
  }
  auto tls_key_pem = UnlockTlsKey(folder, *keys, passphrase);
  CONSILIUM_TRY(tls_key_pem);
  if (const auto match = identity::KeyMatches(*tls_key_pem, stored.certificate_pem); !match) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{}: keys.json and enrolment.json do not belong together; restore both "
                            "from one copy, or enrol anew (consilium key enroll TOKEN)",
                            folder.string()));
  }
  auto channel = site_agent::OpenChannel(stored, *tls_key_pem, {});
  CONSILIUM_TRY(channel);
  auto stub = v1::Console::NewStub(*channel);
  return Remote(
      std::make_unique<Impl>(Impl{std::move(*keys), std::move(*enrolment), std::move(*tls_key_pem),
                                  std::move(command), std::move(*channel), std::move(stub)}));
}

Result<Remote::Invitation> Remote::Invite(const std::string& name, const std::string& role,
                                          std::int64_t valid_s) {
  v1::InviteRequest request;
  request.set_name(name);
  request.set_role(role);
  request.set_valid_s(valid_s);
  v1::InviteReply reply;
  CONSILIUM_TRY(impl_->Call(&v1::Console::Stub::Invite, request, reply));
  // It is printed, to be pasted into a shell.
  if (const auto token = identity::DecodeToken(reply.token()); !token)
    return impl_->Misread(token.error());
  return Invitation{reply.token(), reply.expires_unix_s()};
}

Result<void> Remote::Revoke(const std::string& name, const std::string& reason) {
  v1::RevokeRequest request;
  request.set_name(name);
  request.set_reason(reason);
  v1::RevokeReply reply;
  return impl_->Call(&v1::Console::Stub::Revoke, request, reply);
}

Result<Remote::Register> Remote::ListMembers() {
  v1::ListMembersReply reply;
  CONSILIUM_TRY(impl_->Call(&v1::Console::Stub::ListMembers, v1::ListMembersRequest(), reply));
  Register found{{}, reply.server_until_unix_s(), reply.authority_until_unix_s()};
  for (const v1::Member& message : reply.members()) {
    auto member = wire::Decode(message);
    if (!member) return impl_->Misread(member.error());
    found.members.push_back(std::move(*member));
  }
  return found;
}

Result<Remote::Submitted> Remote::Submit(std::span<const std::uint8_t> submission) {
  v1::SubmitStudyRequest request;
  request.set_submission(submission.data(), submission.size());
  v1::SubmitStudyReply reply;
  CONSILIUM_TRY(impl_->Call(&v1::Console::Stub::SubmitStudy, request, reply));
  const auto study = wire::DecodeDigest(reply.study(), "reply.study");
  if (!study) return impl_->Misread(study.error());
  return Submitted{*study, reply.already()};
}

Result<void> Remote::Cancel(const Digest& study, const std::string& reason) {
  v1::CancelStudyRequest request;
  request.set_study(wire::AsString(study.bytes));
  request.set_reason(reason);
  v1::CancelStudyReply reply;
  return impl_->Call(&v1::Console::Stub::CancelStudy, request, reply);
}

Result<std::vector<v1::StudyLine>> Remote::ListStudies() {
  v1::ListStudiesReply reply;
  CONSILIUM_TRY(impl_->Call(&v1::Console::Stub::ListStudies, v1::ListStudiesRequest(), reply));
  for (const v1::StudyLine& line : reply.studies()) {
    if (const auto study = wire::DecodeDigest(line.study(), "study"); !study)
      return impl_->Misread(study.error());
    if (line.name().size() > kStudyNameBytesMax)
      return impl_->Misread({ErrorCode::kInvalidArgument, "a study's name is too long"});
  }
  return std::vector<v1::StudyLine>(reply.studies().begin(), reply.studies().end());
}

Result<v1::StudyLine> Remote::FindStudy(std::string_view text) {
  const auto studies = ListStudies();
  CONSILIUM_TRY(studies);
  return console::FindStudy(*studies, text);
}

Result<void> Remote::Watch(const Digest& study,
                           const std::function<bool(const v1::StudyStatus&)>& take) {
  grpc::ClientContext context;
  v1::WatchStudyRequest request;
  request.set_study(wire::AsString(study.bytes));
  const auto reader = impl_->stub->WatchStudy(&context, request);
  v1::StudyStatus status;
  bool enough = false;
  while (!enough && reader->Read(&status)) {
    if (status.line().study() != request.study()) {
      context.TryCancel();
      (void)reader->Finish();
      return impl_->Misread({ErrorCode::kInvalidArgument, "it is about another study"});
    }
    enough = !take(status);
  }
  if (enough) context.TryCancel();
  const grpc::Status ended = reader->Finish();
  if (!enough && !ended.ok()) return impl_->Refused(ended);
  return {};
}

Result<std::vector<std::string>> Remote::ListFiles(const Digest& study) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallTime);
  v1::FetchRequest request;
  request.set_study(wire::AsString(study.bytes));
  const auto reader = impl_->stub->Fetch(&context, request);
  std::vector<std::string> files;
  v1::FetchPart part;
  while (reader->Read(&part)) files.insert(files.end(), part.files().begin(), part.files().end());
  if (const grpc::Status ended = reader->Finish(); !ended.ok()) return impl_->Refused(ended);
  for (const std::string& file : files) {
    if (const auto name = CheckFileName(file); !name) return impl_->Misread(name.error());
  }
  return files;
}

Result<void> Remote::Fetch(const Digest& study, const std::string& file,
                           const std::function<Result<void>(std::string_view)>& take) {
  grpc::ClientContext context;
  v1::FetchRequest request;
  request.set_study(wire::AsString(study.bytes));
  request.set_file(file);
  const auto reader = impl_->stub->Fetch(&context, request);
  v1::FetchPart part;
  Result<void> taken;
  while (taken && reader->Read(&part)) taken = take(part.data());
  if (!taken) context.TryCancel();
  const grpc::Status ended = reader->Finish();
  CONSILIUM_TRY(taken);
  if (!ended.ok()) return impl_->Refused(ended);
  return {};
}

Result<std::string> Remote::FetchReportJson(const Digest& study) {
  constexpr std::size_t kReportBytesMax = std::size_t{1} << 30;
  std::string report;
  CONSILIUM_TRY(Fetch(study, "report.json", [&](std::string_view bytes) -> Result<void> {
    if (report.size() + bytes.size() > kReportBytesMax) {
      return tl::unexpected<Error>(
          impl_->Told({ErrorCode::kResourceExhausted, "report.json: more than 1 GiB"}));
    }
    report += bytes;
    return {};
  }));
  return report;
}

Result<std::string> Remote::Renew(std::int64_t now_s) {
  auto renewed = site_agent::RenewCertificate(impl_->channel, impl_->enrolment.stored,
                                              impl_->tls_key_pem, now_s);
  if (!renewed) return tl::unexpected<Error>(impl_->Told(renewed.error()));
  return renewed;
}

}  // namespace consilium::console
