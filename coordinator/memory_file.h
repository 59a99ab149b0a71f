// A file that has no name and lives as long as this object: for libraries that read certificates
// from paths and from nowhere else.
//
// Nobody but this process can open it, a full or read-only disk does not concern it, and Replace
// exchanges the whole content at once: whoever opens the path reads the old bytes or the new ones.
// Linux: memfd_create(2), dup3(2), proc(5).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace consilium::coordinator {

class MemoryFile {
 public:
  // Errors: kUnavailable (no descriptor or memory left; or /proc is not there).
  [[nodiscard]] static Result<MemoryFile> Make(std::string_view bytes);
  MemoryFile(MemoryFile&& other) noexcept : descriptor_(other.descriptor_) {
    other.descriptor_ = -1;
  }
  MemoryFile& operator=(MemoryFile&&) = delete;
  ~MemoryFile();

  // Good in this process while this object lives, and the same after Replace.
  [[nodiscard]] std::string path() const;
  // Errors: as Make; then the old content stays.
  [[nodiscard]] Result<void> Replace(std::string_view bytes);

 private:
  explicit MemoryFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace consilium::coordinator
