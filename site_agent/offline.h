// What a hospital's people can ask and say without the network: the functions behind
// `consilium-site studies|approve|reject|policy|ledger|cohort`.
//
// Each takes what the command line gave and returns the text to print; nothing here prints or ends
// the program. They work beside a running agent. Text is for a terminal of 100 columns; JSON is one
// object (or, for the ledger, one a line) and holds what the text says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "site_agent/config.h"
#include "site_agent/store.h"

namespace consilium::site_agent {

enum class OutputForm { kText, kJson };

// Reads and parses the configuration file. Errors: ReadFile's and ParseSiteConfig's.
[[nodiscard]] Result<SiteConfig> LoadSiteConfig(const std::filesystem::path& path);

// `studies`: digest, name, lead, decision, who, when, state; newest decision last.
[[nodiscard]] Result<std::string> Studies(const SiteStore& store, OutputForm form);

// The study whose digest begins with `prefix` (hexadecimal, at least 4 digits), or whose name is
// `prefix` if only one has it. Errors: kNotFound (lists what is there), kInvalidArgument (several
// match: lists them).
[[nodiscard]] Result<StoredStudy> FindStudy(const SiteStore& store, std::string_view prefix);

// `studies ID`: the plan in plain words, what stands against approving, and the difference to the
// last approved study (of the same name if there is one).
[[nodiscard]] Result<std::string> ShowStudy(const SiteStore& store, const SiteConfig& config,
                                            std::string_view prefix, OutputForm form);

// `extract --study ID`: the study's extraction settings, as a file. Errors also:
// kFailedPrecondition (the study does not name any).
[[nodiscard]] Result<std::filesystem::path> SettingsOfStudy(const SiteStore& store,
                                                            const SiteConfig& config,
                                                            std::string_view prefix);

struct Approved {
  Digest study;
  std::string text;  // what was approved, in a sentence
};
// `approve ID --accept ...`: in the name of `user`, accepting these words (plan.h, Objection).
// Errors: FindStudy's; kPermissionDenied (objections; those that a person may accept come with the
// command that does), kAlreadyExists, kFailedPrecondition (the study ended); the store's.
[[nodiscard]] Result<Approved> Approve(SiteStore& store, const SiteConfig& config,
                                       std::string_view prefix, std::string_view user,
                                       const std::set<std::string>& accepts, std::int64_t unix_ms);
// `reject ID --reason ...`. Errors: FindStudy's; kAlreadyExists, kFailedPrecondition; the store's.
[[nodiscard]] Result<Approved> Reject(SiteStore& store, std::string_view prefix,
                                      std::string_view user, std::string_view reason,
                                      std::int64_t unix_ms);

// `policy`: what this site allows, and what is approved without asking.
[[nodiscard]] std::string PolicyText(const SiteConfig& config, OutputForm form);

struct LedgerOptions {
  std::optional<std::uint64_t> last;    // the last so many records; absent: all
  OutputForm form = OutputForm::kText;  // kJson: the ledger's own lines (ToLine), which can be
                                        // audited without the file if none is left out
};
// `ledger`: the records in plain words, a line each. Verified first: a ledger that does not hold is
// an error, never a text.
[[nodiscard]] Result<std::string> LedgerText(const SiteStore& store, const SiteConfig& config,
                                             const LedgerOptions& options);
// `ledger --verify`. Errors: SiteStore::VerifyLedgerFile's.
[[nodiscard]] Result<std::string> LedgerVerify(const SiteStore& store, const SiteConfig& config,
                                               OutputForm form);

// `cohort STUDY.yaml`: builds this site's cohort for the study and tells where every row went. The
// study's patterns are resolved against this site's own table. `site_key`: for keyed folds, the
// store's secret; may be empty before the site has keys (folds are not told). Errors: ReadFile's,
// ParseStudy's, CohortFor's, ReadCohort's; kInvalidArgument (the study does not name this site; all
// problems of the cohort, a line each).
[[nodiscard]] Result<std::string> CohortText(const SiteConfig& config,
                                             const std::filesystem::path& study_file,
                                             const Bytes& site_key, OutputForm form);

}  // namespace consilium::site_agent
