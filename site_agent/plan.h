// What approving a study means, in plain words, and what a policy may approve without a person.
//
// Pure. A plan is a list of named lines, so that two of them can be compared field by field ("the
// difference to the last approved one"). Words of others (titles, names) are made plain first: they
// cannot move the cursor of whoever reads. Rules: docs/disclosure.md.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"
#include "federation/keys.h"
#include "federation/receipt.h"
#include "site_agent/config.h"
#include "site_agent/gate.h"
#include "study/study.h"
#include "study/submission.h"

namespace consilium::site_agent {

inline constexpr std::size_t kPlanLinesMax = 60;
inline constexpr std::size_t kPlanColumns = 100;  // of a terminal

// What the site knows of itself when it reads a study.
struct PlanFacts {
  std::string site;
  std::optional<federation::SiteKeys> keys;  // this site's own
  SitePolicy policy;
  std::optional<federation::VerifyingKey> coordinator_key;  // to see whether it is the lead's
  std::string operated_by;  // the lead whom the coordinator declares as its operator; empty: none
};

struct PlanField {
  std::string name;  // "minimum counts"
  std::vector<std::string> values;
  friend bool operator==(const PlanField&, const PlanField&) = default;
};

// `study` is study::StudyOf(submission).
[[nodiscard]] std::vector<PlanField> Plan(const study::Submission& submission,
                                          const study::Study& study, const PlanFacts& facts);

// The plan for a terminal: at most kPlanLinesMax lines of at most kPlanColumns characters; what
// does not fit is counted ("and 37 more").
[[nodiscard]] std::string ToText(const std::vector<PlanField>& plan);
// Name and values of each field, complete: {"lead": [...], ...}.
[[nodiscard]] std::string ToJson(const std::vector<PlanField>& plan);

// What changed from one plan to another, a line each: "minimum counts: was ..., is ...", or
// "variables: + sex, - stage". Empty: nothing.
[[nodiscard]] std::vector<std::string> Difference(const std::vector<PlanField>& before,
                                                  const std::vector<PlanField>& after);

// Why a study cannot be approved as things stand.
struct Objection {
  GateRule rule = GateRule::kStudyNotApproved;
  std::string sentence;
  // The word by which a person accepts it for this study: "fast-curvature", "restart-without",
  // "leave-one-center-out". Empty: nobody may; the policy or the study must change.
  std::string accept;
};

// Who approves: the policy, or a person with the words that this person accepts.
struct Approver {
  bool person = false;
  std::set<std::string> accepts;
};

// All objections; empty: it may be approved. Without a person also: policy.approve is `ask`, or the
// lead's key is not among policy.leads.
[[nodiscard]] std::vector<Objection> Objections(const study::Submission& submission,
                                                const study::Study& study, const PlanFacts& facts,
                                                const Approver& approver);

// The approval of the study as submitted. Its columns are patterns still: see AtColumns.
// Errors: kPermissionDenied (the objections, a line each, each beginning with its rule's name).
[[nodiscard]] Result<Approval> ApprovalFor(const study::Submission& submission,
                                           const study::Study& study, const PlanFacts& facts,
                                           const Approver& approver, std::int64_t unix_ms);

// The same approval for the study with its columns resolved (study::CheckHeader): what the gate and
// Site::Join are given.
[[nodiscard]] Approval AtColumns(Approval approval, const study::Study& resolved);

}  // namespace consilium::site_agent
