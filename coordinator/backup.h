// A coordinator's folder in one file, and back.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace consilium::coordinator {

// Copies store, keys and authority into the new file `to` (mode 0600), consistently also while the
// coordinator runs. A sentence for a person. Errors: kAlreadyExists (there is a file), kNotFound
// (no coordinator in the folder), the disk's.
[[nodiscard]] Result<std::string> BackupHome(const std::filesystem::path& folder,
                                             const std::filesystem::path& to);

// Makes `folder` from a backup; every part is checked first. Sites that know more of a study's log
// than the backup find the study where the backup left it and answer the same bytes again.
// Errors: kAlreadyExists (the folder is not empty), kDataLoss (not a whole backup), the disk's.
[[nodiscard]] Result<std::string> RestoreHome(const std::filesystem::path& from,
                                              const std::filesystem::path& folder);

}  // namespace consilium::coordinator
