// What has been extracted already: one file that grows by a line a case, and survives a kill.
//
// An outcome is kept under its key: a digest of the image, the mask, the regions, the settings and
// the engine. Whoever asks for the same again has it, whatever the case is called. A half-written
// last line is cut off. Outcomes stay on the disk; only where they stand is kept in memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "base/result.h"
#include "disk/files.h"
#include "extraction/outcome.h"

namespace consilium::extraction {

class Journal {
 public:
  // Made if absent. Errors: those of files; kDataLoss (a line before the last is damaged: names the
  // line and what to do).
  [[nodiscard]] static Result<Journal> Open(const std::filesystem::path& path);

  [[nodiscard]] bool Has(const std::string& key) const { return places_.contains(key); }
  [[nodiscard]] std::size_t size() const { return places_.size(); }
  // Returns when it is on the disk. Of a key that is there already the first outcome stays.
  [[nodiscard]] Result<void> Append(const std::string& key, const Outcome& outcome);
  // Errors: kNotFound (no such key), those of files.
  [[nodiscard]] Result<Outcome> Read(const std::string& key) const;

 private:
  struct Place {
    std::uint64_t begin = 0;
    std::size_t bytes = 0;
  };
  explicit Journal(disk::AppendFile file) : file_(std::move(file)) {}
  disk::AppendFile file_;
  std::map<std::string, Place> places_;
  mutable NameLists names_;
};

}  // namespace consilium::extraction
