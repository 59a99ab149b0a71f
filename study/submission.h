// A submission: the study file with the keys of everyone who takes part, signed by its lead.
//
// This is what a hospital approves. The keys stand in it so that nobody between (the coordinator
// above all) can put in a site that is not there: masks and receipts are bound to them. What the
// sites' headers resolve the feature patterns to comes later, in the log's header, and is checked
// against this by every site (CheckHeader). Pure. Format: docs/formats/wire.md.
#pragma once

#include <set>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/result.h"
#include "federation/keys.h"
#include "federation/log.h"
#include "federation/quorum.h"
#include "federation/receipt.h"
#include "study/study.h"

namespace consilium::study {

struct Submission {
  std::string study_file;      // the YAML, byte for byte
  federation::Roster members;  // every site of the study with its keys, held-out centers too
  std::string lead;            // name, as the coordinator's register has it
  federation::VerifyingKey lead_key;
  federation::Signature signature{};  // of lead_key over SignedBytes()
  friend bool operator==(const Submission&, const Submission&) = default;
};

// Signs with the lead's key, which becomes lead_key.
[[nodiscard]] Submission SignSubmission(std::string study_file, federation::Roster members,
                                        std::string lead, const federation::SigningKey& key);

// Canonical bytes; DecodeSubmission takes nothing else. Errors: kDataLoss (not such bytes),
// kPermissionDenied (the signature is not the lead's).
[[nodiscard]] Bytes EncodeSubmission(const Submission& submission);
[[nodiscard]] Result<Submission> DecodeSubmission(std::span<const std::uint8_t> bytes);
// SHA-256 of the canonical bytes: the study's name on the wire and on disks.
[[nodiscard]] Digest DigestOf(const Submission& submission);

// The study of a submission, before its feature patterns are resolved, and that it and the members
// fit: every site of the study has keys, and nobody else has.
// Errors: ParseStudy's; kInvalidArgument (a site without keys, a member the study does not name).
[[nodiscard]] Result<Study> StudyOf(const Submission& submission);

// The study's quorum contract, in the contract's own units. Errors: kInvalidArgument (`then`).
[[nodiscard]] Result<federation::QuorumContract> ContractOf(const Study& study);

// The study with these training centers only: an attempt that starts over without sites that left.
// Held-out centers stay; digests stay those of the whole study. Errors: kInvalidArgument (one is no
// training center), kPermissionDenied (fewer than min_sites).
[[nodiscard]] Result<Study> WithTrainingCenters(const Study& study,
                                                const std::set<std::string>& centers);

// The study that a log is about, as it was run: its columns resolved, its sites those of the
// attempt. `masked` must be what the study says, but for policy public-data, under which a run may
// switch masks off: there it is taken from the header, which nothing but its hash holds.
// Errors: kDataLoss (the digest, the columns or `masked` are not those of the study file), those of
// StudyOf, ResolveFeatures and WithTrainingCenters; all name the header.
[[nodiscard]] Result<Study> StudyOfHeader(const federation::LogHeader& header);

// The same for whoever has the submission: `header` has the submission's file, its keys,
// this engine's version, and columns that the patterns can mean. `study`: of StudyOf.
// Errors: kPermissionDenied (another study, key or roster than the lead signed),
// kFailedPrecondition (another engine: names both versions).
[[nodiscard]] Result<Study> CheckHeader(const Submission& submission,
                                        const federation::LogHeader& header);

}  // namespace consilium::study
