// A list of cases into a table of features: over all cores, resumable, one failed case never
// stopping the others.
//
// The folder of a run holds journal.jsonl (outcomes as they come), cases.csv and settings.yaml
// (what was asked), run.json (what was done) and, when it ends or is stopped, features.csv,
// problems.csv and, of patients with several images, patients.csv. Formats:
// docs/formats/features.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "extraction/case_list.h"

namespace consilium::extraction {

// The cases i, i + n, i + 2n, ... of a list, counted from 1.
struct Shard {
  int index = 1;  // 1 to count
  int count = 1;
};
// "2/8". Errors: kInvalidArgument.
[[nodiscard]] Result<Shard> ShardFromText(std::string_view text);

struct RunOptions {
  std::filesystem::path cases;  // a list (case_list.h)
  std::string settings;         // the text of a settings file (settings.h)
  std::filesystem::path out;    // made if absent
  Shard shard;
  int processes = 1;
  std::uint64_t memory_bytes = 0;   // of each; 0: no limit
  int case_seconds_max = 0;         // 0: no limit
  std::vector<std::string> worker;  // the command that serves as worker (worker.h)
};

struct Progress {
  std::size_t cases = 0;   // of this shard
  std::size_t done = 0;    // of those, failed ones included
  std::size_t known = 0;   // done before, and found in the journal
  std::size_t failed = 0;  // cases without any row
};

struct RunReport {
  Progress progress;
  std::size_t rows = 0;
  std::size_t problems = 0;  // failures and warnings in problems.csv
  bool stopped = false;      // not all cases were done
};

// Errors: those of the files that are read and written; kFailedPrecondition (another run works in
// the folder).
[[nodiscard]] Result<RunReport> Run(const RunOptions& options,
                                    const std::function<void(const Progress&)>& on_progress,
                                    const std::function<bool()>& stopped);

// The list that a run's folder was made of, and where the folder keeps its settings. Errors: those
// of files; kDataLoss (the folder's run.json is damaged).
struct RunSource {
  CaseList list;
  std::filesystem::path settings;
};
[[nodiscard]] Result<RunSource> SourceOf(const std::filesystem::path& out);

// The tables of all shards of one list as one. Errors: kInvalidArgument (other lists, settings or
// engines; a shard is missing, there twice, or was not finished: names each).
[[nodiscard]] Result<RunReport> Merge(const std::vector<std::filesystem::path>& parts,
                                      const std::filesystem::path& out);

}  // namespace consilium::extraction
