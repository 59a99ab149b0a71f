// A list of cases: which image of whom, and which regions of it.
//
// A CSV table, one row an image: `id`, `image` and `mask` are paths relative to the list's folder;
// `label` (whole numbers) or `roi` (names, patterns) choose regions, separated by ';'. Reserved
// columns that say which of a patient's images it is: `patient`, `sequence`, `level`, `lesion`,
// `rater`, `scan`, `time`. Every other column is carried through to the table of features as it is.
// A file of the format is described in docs/formats/cases.md.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"

namespace consilium::extraction {

// What distinguishes images of one patient, in the order in which names of columns mention it;
// rater, scan and time together with their own names ("scan-1"). Who drew the mask and which scan
// it was tell repeats of one measurement (stability.h).
inline constexpr std::array<const char*, 6> kFacets = {"sequence", "level", "lesion",
                                                       "rater",    "scan",  "time"};

// The order of a facet's values: numbers as numbers, before words.
[[nodiscard]] bool FacetBefore(std::string_view a, std::string_view b);

struct Case {
  std::string id;
  std::string patient;          // the id, unless the list says
  std::filesystem::path image;  // a file, or a folder that holds a DICOM series
  std::filesystem::path mask;
  std::string series;  // of a folder with several: a SeriesInstanceUID, or empty
  std::vector<std::string>
      labels;                     // whole numbers, or "all"; empty with `rois` empty: the settings'
  std::vector<std::string> rois;  // names or patterns
  std::array<std::string, kFacets.size()> facets;  // empty where the list has no such column
  std::vector<std::string> variables;              // as CaseList::variables
  std::int64_t line = 0;                           // of the list
};

struct CaseList {
  std::vector<Case> cases;
  std::vector<std::string> variables;  // names of the columns that are carried through
  Digest digest;                       // of the list's bytes
};

// `folder`: what relative paths start from. Errors: those of ParseCsv; kInvalidArgument (`id`,
// `image` or `mask` is missing, an id is empty or repeated, both `label` and `roi` are given, a
// label is no whole number: every problem, up to 20, with its line).
[[nodiscard]] Result<CaseList> ReadCaseList(std::string_view text, std::string_view name,
                                            const std::filesystem::path& folder);

}  // namespace consilium::extraction
