#include "tests/fuzz/wire_seeds.h"

#include <consilium/v1/consilium.pb.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <string_view>
#include <utility>

#include "federation/log.h"
#include "federation/wire/wire.h"
#include "study/study_file.h"
#include "study/submission.h"
#include "tests/fuzz/wire_messages.h"

namespace consilium::fuzz {
namespace {

constexpr std::int64_t kMs = 1'790'000'000'000;
const char kEngine[] = "1";
const char kPem[] = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
const char kYaml[] =
    "name: s\nsites: [A, B, C, D]\noutcome: y\nevent: e\npatient: id\n"
    "features: {all: {include: ['f*']}}\nmodels: {lasso: {}}\nheld_out: [A]\n"
    "folds: {count: 2, column: cohort}\n";

federation::KeyBytes Filled(std::uint8_t value) {
  federation::KeyBytes bytes{};
  bytes.fill(value);
  return bytes;
}
federation::SigningKey Key(std::uint8_t value) {
  return federation::SigningKey::FromSeed(Filled(value));
}

template <std::size_t N>
void Add(Seeds& seeds, const std::string_view (&names)[N], std::string_view name,
         const std::string& file, const std::string& bytes) {
  const auto* found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names)) std::abort();  // a message that no target takes
  seeds[file] = static_cast<char>(found - std::begin(names)) + bytes;
}

federation::Roster TheMembers() {
  federation::Roster members;
  std::uint8_t next = 1;
  for (const char* site : {"A", "B", "C", "D"}) {
    members[site] = {Key(next).verifying_key(),
                     federation::AgreementKey::FromSecret(Filled(next)).public_key()};
    ++next;
  }
  return members;
}

study::Submission TheSubmission() {
  return study::SignSubmission(kYaml, TheMembers(), "anna", Key(99));
}

// One round: B, C and D train, A is held out and releases.
federation::LogEntry TheEntry(const Digest& study, std::uint64_t round,
                              const federation::Roster& roster, const Digest& previous) {
  federation::LogEntry entry;
  entry.binding = {study, round, 0, Sha256("what is asked"), federation::DigestOf(roster)};
  entry.total = Bytes(24, 3);
  entry.releases[2]["A"].blocks = {{"n", Eigen::MatrixXd::Constant(1, 2, 7)}};
  entry.decision = round == 0 ? "" : "all sites";
  entry.previous = previous;
  std::uint8_t key = 1;
  for (const char* site : {"A", "B", "C", "D"}) {
    const Bytes words(roster.contains(site) ? entry.total.size() : 0, key);
    const federation::SumTag tag{static_cast<std::uint8_t>(words.empty() ? 0 : key)};
    entry.receipts.push_back(federation::Sign(entry.binding, site, words,
                                              federation::ReleasesOf(entry, site), tag, Key(key)));
    ++key;
  }
  return entry;
}

std::string BodyOf(const Bytes& record) {
  return wire::AsString(federation::NextRecord(record)->body);
}

v1::Versions TheVersions() {
  v1::Versions proto;
  wire::Encode(wire::Versions{1, 2, kEngine}, proto);
  return proto;
}

v1::StudyLine TheLine(const Digest& study) {
  v1::StudyLine line;
  line.set_study(wire::AsString(study.bytes));
  line.set_name("demo");
  line.set_lead("anna");
  line.set_state("running");
  line.set_why("two sites approved");
  line.set_submitted_unix_ms(kMs);
  line.set_ended_unix_ms(kMs + 5000);
  line.set_rounds(17);
  return line;
}

}  // namespace

Seeds WireSeeds() {
  Seeds seeds;
  const Bytes submission = study::EncodeSubmission(TheSubmission());
  const Digest study = Sha256(submission), hash = Sha256("hash");
  const auto add = [&](std::string_view name, const std::string& file, const auto& proto) {
    Add(seeds, kSiteMessages, name, file, proto.SerializeAsString());
  };
  const auto from_site = [&](const std::string& file, wire::FromSite message) {
    v1::FromSite proto;
    wire::Encode(message, proto);
    add("FromSite", file, proto);
  };
  const auto to_site = [&](const std::string& file, wire::ToSite message) {
    v1::ToSite proto;
    wire::Encode(message, proto);
    add("ToSite", file, proto);
  };
  const federation::Binding binding{study, 3, 1, hash, Sha256("roster")};
  federation::SumSeal seal{};
  seal.fill(7);

  from_site("from_site_hello", wire::Hello{{1, 1, kEngine}, kMs, {{study, 1, 4}}});
  from_site("from_site_beat", wire::SiteBeat{kMs, {{study, "computing round 17"}}});
  from_site("from_site_approved", wire::StudyWord{study,
                                                  wire::Word::kApproved,
                                                  1,
                                                  {"f_a", "f_b"},
                                                  "PERMISSION_DENIED GATE_POLICY",
                                                  {{"B", seal}, {"C", seal}}});
  from_site("from_site_refused", wire::Refused{study, 1, 3, "PERMISSION_DENIED GATE_MIN_CELL"});
  from_site("from_site_head", wire::HeadToSign{9, hash});
  from_site("from_site_held", wire::TotalHeld{{study, 1, 4}});

  to_site("to_site_welcome", wire::Welcome{1, kEngine, kMs, 2000});
  to_site("to_site_beat", wire::CoordinatorBeat{kMs});
  to_site("to_site_offer", wire::Offer{submission});
  to_site("to_site_ask", wire::Ask{study, binding, {"A", "B", "C"}, 16});
  to_site("to_site_record", wire::RecordPart{study, 1, 2, 300, 100, Bytes(150, 5)});
  to_site("to_site_ended", wire::Ended{study, "finished", "the last round is done"});
  to_site("to_site_restarted", wire::Restarted{study, 1, "A left"});
  to_site("to_site_seals", wire::Seals{study, {{"A", seal}, {"B", seal}}});
  to_site("to_site_head_signed", wire::HeadSigned{9, hash, Key(9).Sign(hash.bytes)});

  const Bytes words(24, 1);
  federation::Releases releases;
  releases[2].blocks = {{"n", Eigen::MatrixXd::Constant(1, 2, 7)}};
  wire::AnswerHead head{study, binding, {}, releases, words.size(), 8};
  head.receipt = federation::Sign(binding, "A", words, releases, {3}, Key(1));
  v1::AnswerPart part;
  wire::Encode(head, *part.mutable_head());
  add("AnswerPart", "answer_head", part);
  part.set_data(wire::AsString(words));
  add("AnswerPart", "answer_data", part);

  wire::Enrolment enrolment{{1, 1, kEngine}, {}, kPem, Key(1).verifying_key(), Filled(2), {}};
  enrolment.secret.fill(4);
  enrolment.proof = Key(1).Sign(wire::ProofBytes(enrolment));
  v1::EnrollRequest request;
  wire::Encode(enrolment, request);
  add("EnrollRequest", "enroll_request", request);
  v1::EnrollReply reply;
  wire::Encode(wire::Enrolled{{1, 1, kEngine},
                              kPem,
                              kPem,
                              "coordinator.example.org:7443",
                              "Demo",
                              Key(9).verifying_key(),
                              "anna"},
               reply);
  add("EnrollReply", "enroll_reply", reply);
  Add(seeds, kSiteMessages, "submission", "submission", wire::AsString(submission));

  v1::PingRequest ping;
  *ping.mutable_versions() = TheVersions();
  add("PingRequest", "ping_request", ping);
  v1::PingReply pong;
  *pong.mutable_versions() = TheVersions();
  pong.set_unix_ms(kMs);
  pong.set_name("A");
  add("PingReply", "ping_reply", pong);
  v1::SubmitReply submitted;
  submitted.set_already(true);
  add("SubmitReply", "submit_reply", submitted);
  v1::RenewRequest renew;
  renew.set_request_pem(kPem);
  add("RenewRequest", "renew_request", renew);
  v1::RenewReply renewed;
  renewed.set_certificate_pem(kPem);
  add("RenewReply", "renew_reply", renewed);
  return seeds;
}

Seeds ConsoleSeeds() {
  Seeds seeds;
  const Bytes submission = study::EncodeSubmission(TheSubmission());
  const Digest study = Sha256(submission);
  const std::string id = wire::AsString(study.bytes);
  const auto add = [&](const auto& proto, const std::string& file) {
    Add(seeds, kConsoleMessages, proto.GetDescriptor()->name(), file, proto.SerializeAsString());
  };
  v1::InviteRequest invite;
  invite.set_name("A");
  invite.set_role("site");
  invite.set_valid_s(86'400);
  add(invite, "invite_request");
  v1::InviteReply invited;
  invited.set_token("CT1-4GSTB6VM");
  invited.set_expires_unix_s(kMs / 1000);
  add(invited, "invite_reply");
  v1::RevokeRequest revoke;
  revoke.set_name("A");
  revoke.set_reason("left the consortium");
  add(revoke, "revoke_request");
  add(v1::RevokeReply(), "revoke_reply");

  add(v1::ListMembersRequest(), "list_members_request");
  v1::ListMembersReply members;
  for (const char* role : {"site", "lead"}) {
    wire::Member member;
    member.name = std::string("of ") + role;
    member.role = role;
    member.signing_key = Key(1).verifying_key();
    if (member.role == "site") member.agreement_key = Filled(2);
    member.not_after_unix_s = kMs / 1000 + 86'400;
    member.state = "active";
    member.seen_unix_ms = kMs - 60'000;
    member.connected = member.role == "site";
    member.clock_skew_ms = 90'000;
    member.engine = kEngine;
    wire::Encode(member, *members.add_members());
  }
  members.set_server_until_unix_s(kMs / 1000 + 86'400);
  members.set_authority_until_unix_s(kMs / 1000 + 40 * 86'400);
  add(members, "list_members_reply");

  v1::SubmitStudyRequest submit;
  submit.set_submission(wire::AsString(submission));
  add(submit, "submit_study_request");
  v1::SubmitStudyReply submitted;
  submitted.set_study(id);
  submitted.set_already(true);
  add(submitted, "submit_study_reply");
  v1::CancelStudyRequest cancel;
  cancel.set_study(id);
  cancel.set_reason("the protocol changes");
  add(cancel, "cancel_study_request");
  add(v1::CancelStudyReply(), "cancel_study_reply");

  add(v1::ListStudiesRequest(), "list_studies_request");
  v1::ListStudiesReply studies;
  *studies.add_studies() = TheLine(study);
  *studies.add_studies() = TheLine(Sha256("another"));
  add(studies, "list_studies_reply");
  v1::WatchStudyRequest watch;
  watch.set_study(id);
  add(watch, "watch_study_request");
  v1::StudyStatus status;
  *status.mutable_line() = TheLine(study);
  status.set_attempt(1);
  status.set_round(17);
  status.set_doing("fitting lasso paths");
  status.set_queries(40);
  status.set_fits(34);
  status.set_bytes_up(1'200'000);
  status.set_started_unix_ms(kMs - 130'000);
  auto* site = status.add_sites();
  site->set_site("A");
  site->set_state("approved");
  site->set_sentence("computing round 17");
  auto* wait = status.add_waits();
  wait->set_owner("A");
  wait->set_reason("computing round 17");
  wait->set_waited_ms(4000);
  wait->set_seen_ms_ago(2000);
  wait->set_left_ms(220'000);
  wait->set_then("the study goes on without it");
  add(status, "study_status");

  v1::FetchRequest fetch;
  fetch.set_study(id);
  fetch.set_file("report.json");
  add(fetch, "fetch_request");
  v1::FetchPart part;
  part.add_files("log.consilium");
  part.add_files("report.json");
  part.set_data("{}");
  add(part, "fetch_part");
  return seeds;
}

Seeds LogSeeds() {
  const auto study = study::ResolveFeatures(*study::StudyOf(TheSubmission()), {"id", "f_a", "f_b"});
  federation::LogHeader header;
  header.engine_version = kEngine;
  header.study_file = kYaml;
  header.feature_columns = study->feature_columns;
  header.study = study->digest;
  header.masked = study->privacy.masks;
  header.members = header.roster = TheMembers();
  header.roster.erase("A");
  const Bytes first = federation::EncodeRecord(header);
  const auto entry = federation::EncodeRecord(
      TheEntry(header.study, 0, header.roster, federation::NextRecord(first)->hash));
  const auto last = federation::EncodeRecord(
      TheEntry(header.study, 1, header.roster, federation::NextRecord(entry)->hash));
  return {{"log", wire::AsString(first) + wire::AsString(entry) + wire::AsString(last)},
          {"header", BodyOf(first)},
          {"entry", BodyOf(entry)}};
}

}  // namespace consilium::fuzz
