#include "study/submission.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>

#include "study/program.h"
#include "study/study_file.h"

namespace consilium::study {
namespace {

constexpr std::string_view kLabel = "consilium submission 1";
constexpr std::size_t kStudyFileMax = std::size_t{1} << 20;
constexpr std::size_t kSitesMax = 10'000;

template <typename Array>
void ReadArray(ByteReader& reader, Array& to) {
  const auto bytes = reader.Raw(to.size());
  if (bytes.size() == to.size()) std::copy(bytes.begin(), bytes.end(), to.begin());
}

federation::VerifyingKey ReadKey(ByteReader& reader) {
  federation::KeyBytes key{};
  ReadArray(reader, key);
  return federation::VerifyingKey(key);
}

Bytes SignedBytes(const Submission& submission) {
  ByteWriter writer;
  writer.Text(kLabel);
  writer.Text(submission.study_file);
  writer.U32(static_cast<std::uint32_t>(submission.members.size()));
  for (const auto& [site, keys] : submission.members) {
    writer.Text(site);
    writer.Raw(keys.signing.bytes());
    writer.Raw(keys.agreement);
  }
  writer.Text(submission.lead);
  writer.Raw(submission.lead_key.bytes());
  return writer.Take();
}

}  // namespace

Submission SignSubmission(std::string study_file, federation::Roster members, std::string lead,
                          const federation::SigningKey& key) {
  Submission submission{
      std::move(study_file), std::move(members), std::move(lead), key.verifying_key(), {}};
  submission.signature = key.Sign(SignedBytes(submission));
  return submission;
}

Bytes EncodeSubmission(const Submission& submission) {
  ByteWriter writer;
  writer.Raw(SignedBytes(submission));
  writer.Raw(submission.signature);
  return writer.Take();
}

Result<Submission> DecodeSubmission(std::span<const std::uint8_t> bytes) {
  ByteReader reader(bytes);
  Submission submission;
  if (reader.Text(kLabel.size()) != kLabel) reader.Invalidate();
  submission.study_file = reader.Text(kStudyFileMax);
  const std::uint32_t sites = reader.U32();
  if (sites > kSitesMax) reader.Invalidate();
  std::string last;
  for (std::uint32_t i = 0; i < sites && !reader.failed(); ++i) {
    std::string site = reader.Text(federation::kSiteNameBytesMax);
    federation::SiteKeys keys;
    keys.signing = ReadKey(reader);
    ReadArray(reader, keys.agreement);
    if (i > 0 && site <= last) reader.Invalidate();  // one set of members has one encoding
    last = site;
    submission.members.emplace(std::move(site), keys);
  }
  submission.lead = reader.Text(federation::kSiteNameBytesMax);
  submission.lead_key = ReadKey(reader);
  ReadArray(reader, submission.signature);
  CONSILIUM_TRY(reader.Finish("submission of a study"));
  if (auto verified = submission.lead_key.Verify(SignedBytes(submission), submission.signature);
      !verified) {
    return tl::unexpected<Error>(
        Within(fmt::format("submission of a study by '{}'", submission.lead),
               std::move(verified).error()));
  }
  return submission;
}

Digest DigestOf(const Submission& submission) { return Sha256(EncodeSubmission(submission)); }

Result<Study> StudyOf(const Submission& submission) {
  auto study = ParseStudy(submission.study_file, "study.yaml");
  CONSILIUM_TRY(study);
  for (const std::string& site : study->sites) {
    if (!submission.members.contains(site)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("study {}: site {} has no keys in the submission; enrol the site, "
                              "then submit again",
                              study->name, site));
    }
  }
  for (const auto& [site, keys] : submission.members) {
    if (std::find(study->sites.begin(), study->sites.end(), site) == study->sites.end()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("study {}: the submission has keys of site {}, which the study does "
                              "not name; it names {}",
                              study->name, site, fmt::join(study->sites, ", ")));
    }
  }
  return study;
}

Result<federation::QuorumContract> ContractOf(const Study& study) {
  const auto then = federation::ParseQuorumThen(study.quorum.then);
  CONSILIUM_TRY(then);
  return federation::QuorumContract{study.quorum.required, study.quorum.minimum,
                                    study.quorum.grace_s * 1000, study.quorum.deadline_s * 1000,
                                    *then};
}

Result<Study> WithTrainingCenters(const Study& study, const std::set<std::string>& centers) {
  for (const std::string& center : centers) {
    if (!Trains(study, center)) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("study {}: {} is not one of its training centers, {}", study.name,
                              center, fmt::join(TrainingCenters(study), ", ")));
    }
  }
  if (static_cast<int>(centers.size()) < study.privacy.min_sites) {
    return Fail(ErrorCode::kPermissionDenied,
                fmt::format("study {}: {} training centers, a sum needs min_sites = {}", study.name,
                            centers.size(), study.privacy.min_sites));
  }
  Study reduced = study;
  std::erase_if(reduced.sites, [&](const std::string& site) {
    return Trains(study, site) && !centers.contains(site);
  });
  return reduced;
}

namespace {

// `study` with the header's columns and training centers: an attempt that started over has fewer
// than its study. `other`: the code where the header's own words are not those of the study.
Result<Study> AsRun(const Study& study, const federation::LogHeader& header, ErrorCode other) {
  const auto resolved = ResolveFeatures(study, header.feature_columns);
  if (!resolved) return tl::unexpected<Error>(Within("log header", resolved.error()));
  if (resolved->feature_columns != header.feature_columns) {
    return Fail(other,
                "log header: its feature columns are not those that the study's patterns give");
  }
  if (resolved->digest != header.study) {
    return Fail(other,
                fmt::format("log header: its digest is not that of its study: it says {}, its "
                            "study file and columns have {}",
                            Hex(header.study).substr(0, 16), Hex(resolved->digest).substr(0, 16)));
  }
  std::set<std::string> centers;
  for (const auto& [site, keys] : header.roster) centers.insert(site);
  auto run = WithTrainingCenters(*resolved, centers);
  if (!run) return tl::unexpected<Error>(Within("log header", std::move(run).error()));
  return run;
}

}  // namespace

Result<Study> CheckHeader(const Submission& submission, const federation::LogHeader& header) {
  const auto denied = [](std::string message) {
    return Fail(ErrorCode::kPermissionDenied, "log header: " + std::move(message));
  };
  if (header.study_file != submission.study_file)
    return denied("its study file is not the one that the lead signed");
  if (header.engine_version != kEngineVersion) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("log header: the study is computed by {}, this is {}; install the same "
                            "version everywhere, or submit the study again",
                            header.engine_version, kEngineVersion));
  }
  for (const auto& [site, keys] : header.members) {
    const auto member = submission.members.find(site);
    if (member == submission.members.end() || member->second != keys) {
      return denied(fmt::format("site {} stands there with other keys than the lead signed", site));
    }
  }
  if (header.members.size() != submission.members.size()) {
    return denied(fmt::format("it has keys of {} sites, the lead signed those of {}",
                              header.members.size(), submission.members.size()));
  }
  const auto study = StudyOf(submission);
  CONSILIUM_TRY(study);
  if (header.masked != study->privacy.masks) return denied("masks are not as the study says");
  return AsRun(*study, header, ErrorCode::kPermissionDenied);
}

Result<Study> StudyOfHeader(const federation::LogHeader& header) {
  Submission submission;
  submission.study_file = header.study_file;
  submission.members = header.members;
  auto study = StudyOf(submission);
  if (!study) return tl::unexpected<Error>(Within("log header", std::move(study).error()));
  if (study->policy == Policy::kPublicData) study->privacy.masks = header.masked;
  if (header.masked != study->privacy.masks) {
    return Fail(
        ErrorCode::kDataLoss,
        fmt::format("log header: it says {} masks, the study file {}; it was damaged or "
                    "changed",
                    header.masked ? "with" : "without", study->privacy.masks ? "with" : "without"));
  }
  return AsRun(*study, header, ErrorCode::kDataLoss);
}

}  // namespace consilium::study
