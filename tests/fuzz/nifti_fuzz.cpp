// Any bytes as a NIfTI file, packed or not: no crash, errors have a text, and what is accepted
// asks for no more than its bytes can hold.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/itk/nifti_file.h"

namespace {

using namespace consilium::engine::itk_files;

void Hold(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const int file = ::memfd_create("nifti", MFD_CLOEXEC);
  Hold(file >= 0 && ::write(file, data, size) == static_cast<ssize_t>(size));
  const std::filesystem::path path = "/proc/self/fd/" + std::to_string(file);
  const auto checked = CheckNifti(path);
  Hold(checked.has_value() || !checked.error().message.empty());
  if (checked && *checked) {
    Hold(static_cast<double>((**checked).bytes) <= kUnpackedMax * static_cast<double>(size));
    for (const unsigned components : {1U, 3U}) {
      consilium::engine::VoxelValues values = std::vector<double>(
          static_cast<std::size_t>((**checked).bytes) / components / 4 * components);
      const auto put_back = PutBackNotFinite(**checked, components, values);
      Hold(put_back.has_value() || !put_back.error().message.empty());
    }
    for (const int number_bytes : {1, 2, 4, 8}) {
      consilium::engine::Image image{
          {{static_cast<int>((**checked).bytes) / number_bytes, 1, 1}, {1, 1, 1}}, {}};
      const auto read = ReadVoxels(**checked, image);
      Hold(read ? !*read || image.values.size() == image.grid.voxel_count()
                : !read.error().message.empty());
    }
  }
  ::close(file);
  return 0;
}
