// A site under attack: an approved study of five hospitals, and a coordinator that may ask
// anything.
#pragma once

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include "federation/fixed_point.h"
#include "site_agent/gate.h"

namespace consilium::site_agent {

inline std::vector<std::string> FiveSites() { return {"A", "B", "C", "D", "E"}; }  // this site is A

inline std::vector<RosterMember> RosterOf(const std::vector<std::string>& sites) {
  std::vector<RosterMember> roster;
  for (const std::string& site : sites) roster.push_back({site, Sha256("keys of " + site)});
  return roster;
}

inline Digest RosterHash(const std::vector<RosterMember>& roster) {
  ByteWriter writer;
  for (const RosterMember& member : roster) {
    writer.Text(member.site);
    writer.Raw(member.fingerprint.bytes);
  }
  return Sha256(writer.bytes());
}

inline study::Study StudyNamed(const std::string& name) {
  study::Study study;
  study.name = name;
  study.sites = FiveSites();
  study.digest = Sha256("study " + name);
  return study;
}

inline Approval ApprovalOfAll() {
  Approval approval;
  approval.pinned = RosterOf(FiveSites());
  approval.columns = {"shape_Volume", "firstorder_Mean", "age", "died"};
  approval.releases = StandardReleases();
  return approval;
}

inline RowSet Rows(std::uint32_t from, std::uint32_t to) {
  RowSet rows(to - from);
  std::iota(rows.begin(), rows.end(), from);
  return rows;
}
inline RowSet Without(const RowSet& rows, const RowSet& gone) {
  RowSet left;
  std::set_difference(rows.begin(), rows.end(), gone.begin(), gone.end(), std::back_inserter(left));
  return left;
}

inline MyRows Mine(RowSet training, RowSet left_out = {}) {
  return {std::move(training), std::move(left_out), Sha256("cohort")};
}

// A sum of `numbers` words, with whatever facts the query's input blocks name.
inline federation::Step SumStep() {
  federation::Step step;
  step.name = "sum";
  step.layout = [](const federation::Query&) -> Result<std::vector<federation::BlockLayout>> {
    return std::vector<federation::BlockLayout>{{"x", 4, 1, {}}};
  };
  step.disclosure = [](const federation::Query& query) -> Result<federation::Disclosure> {
    federation::Disclosure facts;
    const auto scalar = [&](const char* name, double otherwise) {
      const auto* block = federation::Find(query.inputs, name);
      return block == nullptr ? otherwise : (*block)(0, 0);
    };
    facts.curvature_columns = static_cast<std::int64_t>(scalar("columns", 0));
    facts.rows_of_sum = scalar("rows", 0);
    facts.curvature_at_null_point = scalar("null", 0) != 0;
    facts.curvature_point = Sha256("point " + std::to_string(scalar("point", 0)));
    facts.scores_a_model = scalar("scores", 0) != 0;
    facts.histogram_parent_count_min = static_cast<std::int64_t>(scalar("parent", -1));
    return facts;
  };
  return step;
}

inline federation::Step ReleaseStep() {
  federation::Step step = SumStep();
  step.name = "release";
  step.kind = federation::StepKind::kRelease;
  step.layout = nullptr;
  return step;
}

struct Fact {
  const char* name;
  double value;
};

inline federation::Query Ask(std::string fit, std::vector<std::string> members,
                             int left_out_fold = 0, const std::vector<Fact>& facts = {},
                             std::string step = "sum") {
  federation::Query query{std::move(step), {std::move(fit), std::move(members), left_out_fold}, {}};
  for (const Fact& fact : facts)
    query.inputs.push_back({fact.name, Eigen::MatrixXd::Constant(1, 1, fact.value)});
  return query;
}

inline RoundFacts Round(const std::string& study, std::uint64_t round, std::uint32_t attempt = 0,
                        const std::vector<std::string>& roster = FiveSites()) {
  RoundFacts facts;
  facts.study = Sha256("study " + study);
  facts.round = round;
  facts.attempt = attempt;
  facts.round_digest = Sha256("round " + std::to_string(round));
  facts.roster = RosterOf(roster);
  facts.roster_hash = RosterHash(facts.roster);
  facts.derived = true;
  return facts;
}

inline Bytes Words(std::uint8_t fill = 7) { return Bytes(4 * 8, fill); }

// "answered", or the name of the rule that refused.
inline std::string Outcome(Gate& gate, const RoundFacts& facts, const federation::Query& query,
                           const MyRows& rows, const Bytes& words = Words(), bool masked = true) {
  const federation::Step step = SumStep();
  const auto sent = gate.AdmitAnswer(facts, query, &step, rows, words, masked);
  return sent ? "answered" : std::string(Name(sent.error().rule));
}

}  // namespace consilium::site_agent
