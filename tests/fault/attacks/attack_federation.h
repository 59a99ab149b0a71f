// A small federation whose coordinator may ask anything: four hospitals train, a fifth is held out.
//
// The coordinator's half and the verification are the product's own (coordinator::StudyRun,
// study::StudyReplay); only the questions that go to the sites are in the test's hands. Cohorts
// follow from a seed: two features and age decide the outcome, every hospital has its own shift.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/study_run.h"
#include "federation/cohort.h"
#include "site_agent/site.h"
#include "study/program.h"
#include "study/replay.h"
#include "study/study.h"

namespace consilium::attacks {

inline const std::vector<std::string>& TrainingSites() {
  static const std::vector<std::string> kSites = {"A", "B", "C", "D"};
  return kSites;
}

// What a study file says; the rest is the same in all of them.
struct StudyOptions {
  std::string name = "attacked";
  std::string policy = "private";
  std::string sites = "[A, B, C, D, E]";
  std::string design = "held_out: [E]";
  std::string harmonizations = "{none: {method: none}}";
  std::string masks = "true";
  std::string curvature = "strict";
  int min_sites = 3;
  int min_cell = 5;
  int folds = 3;
};
// The study of these options over six features and age, resolved. Aborts if it is not well-formed.
[[nodiscard]] study::Study MakeStudy(const StudyOptions& options = {});

// `rows` patients of hospital `site`; fold = place of the row modulo `folds`, plus 1.
[[nodiscard]] federation::Cohort MakeCohort(const std::string& site, int rows, int folds);
[[nodiscard]] std::map<std::string, federation::Cohort> MakeCohorts(int folds);
// The cohort without these rows (ascending).
[[nodiscard]] federation::Cohort WithoutRows(const federation::Cohort& cohort,
                                             const std::vector<int>& gone);

struct MemoryLog : federation::LogSink {
  Result<void> Append(std::span<const std::uint8_t> record) override {
    bytes.insert(bytes.end(), record.begin(), record.end());
    return {};
  }
  Bytes bytes;
};

// Ledgers that outlive one study, by site.
using Ledgers = std::map<std::string, std::unique_ptr<site_agent::Ledger>>;
[[nodiscard]] Ledgers NewLedgers();
// The gates of hospitals in which several studies run at once.
using Gates = std::map<std::string, std::unique_ptr<site_agent::Gate>>;

[[nodiscard]] site_agent::SiteIdentity IdentityOf(const std::string& site);
[[nodiscard]] federation::Roster RosterOf(const std::vector<std::string>& sites);
// The key of the sum tags of this federation's training centers.
[[nodiscard]] federation::SumKey SumKeyOf(const study::Study& study);
// AcceptAll for the keys of this federation.
[[nodiscard]] site_agent::Approval ApprovalOf(const study::Study& study);
[[nodiscard]] site_agent::SiteSettings SettingsOf(const study::Study& study);

// Everything that left a site in a study, as bytes and texts.
struct Outgoing {
  Bytes words;                   // of all answers, one after the other
  std::vector<double> releases;  // every number of every release
  Bytes receipts;
};

class Federation {
 public:
  // Every site joins. Aborts if one refuses: for studies that are honest from the start.
  // `gates`: of these ledgers, shared with other studies; what is missing is added to them. Null:
  // gates of its own, as after a restart of every agent.
  Federation(const study::Study& study, std::map<std::string, federation::Cohort> cohorts,
             Ledgers& ledgers, Gates* gates = nullptr);

  [[nodiscard]] bool done() const { return run_->done(); }
  // What an honest coordinator asks now.
  [[nodiscard]] site_agent::RoundQuestion Honest() const;
  [[nodiscard]] std::string steps() const;  // of this round, once each, with commas
  // One site's answer to any question; nothing is kept.
  [[nodiscard]] Result<site_agent::RoundAnswer> Ask(const std::string& site,
                                                    const site_agent::RoundQuestion& question);
  // One honest round of all sites. Errors: the first refusal.
  [[nodiscard]] Result<void> Advance();
  // Honest rounds until the round asks `step`, or the end.
  [[nodiscard]] Result<void> AdvanceTo(std::string_view step);
  // Honest rounds to the end: report.json.
  [[nodiscard]] Result<std::string> Finish();

  [[nodiscard]] const site_agent::Site& site(const std::string& name) const {
    return *sites_.at(name);
  }
  [[nodiscard]] const site_agent::Ledger& ledger(const std::string& name) const {
    return *ledgers_.at(name);
  }
  [[nodiscard]] const std::map<std::string, std::unique_ptr<site_agent::Site>>& sites() const {
    return sites_;
  }
  [[nodiscard]] const study::Engine& engine() const { return engine_; }
  [[nodiscard]] const study::StudyReplay& verification() const { return *verification_; }
  [[nodiscard]] const std::map<std::string, Outgoing>& outgoing() const { return outgoing_; }
  [[nodiscard]] const Bytes& log() const { return log_.bytes; }
  [[nodiscard]] const std::vector<site_agent::RoundQuestion>& asked() const { return asked_; }

 private:
  study::Study study_;
  study::Engine engine_;
  Ledgers& ledgers_;
  Gates own_gates_;
  federation::Roster roster_;
  MemoryLog log_;
  std::map<std::string, std::unique_ptr<site_agent::Site>> sites_;
  std::unique_ptr<coordinator::StudyRun> run_;
  std::unique_ptr<study::StudyReplay> verification_;
  std::map<std::string, Outgoing> outgoing_;
  std::vector<site_agent::RoundQuestion> asked_;
};

// The question with its binding made to fit it: a coordinator that lies lies consistently.
[[nodiscard]] site_agent::RoundQuestion Rebound(site_agent::RoundQuestion question);

}  // namespace consilium::attacks
