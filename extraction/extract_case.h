// One case: files in, rows of features out.
#pragma once

#include "base/digest.h"
#include "base/result.h"
#include "extraction/case_list.h"
#include "extraction/outcome.h"
#include "extraction/read_case.h"
#include "extraction/settings.h"

namespace consilium::extraction {

// What an outcome is made of: the digests of the bytes of image and mask (of a folder: of all its
// files, in the order of their names), and of those with engine, settings, regions, and the endings
// of the names: a file is read by its ending, and packed bytes under .nii are none.
struct CaseKey {
  Digest image, mask;
  Digest key;  // what the outcome is kept under
};
// Errors: those of files.
[[nodiscard]] Result<CaseKey> KeyOf(const Case& one, const Settings& settings);

// Every region of a case that has been read; what is wrong is among the failures.
[[nodiscard]] Outcome FeaturesOf(const LoadedCase& loaded, const Settings& settings);

// Never fails as a whole: what is wrong is among the outcome's failures.
[[nodiscard]] Outcome ExtractCase(const Case& one, const CaseKey& key, const Settings& settings);

}  // namespace consilium::extraction
