#include "extraction/demo.h"

#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "disk/files.h"
#include "engine/itk/write_image.h"

namespace consilium::extraction {
namespace {

namespace fs = std::filesystem;

Result<void> WriteCase(const simulation::ImagedCase& one, std::uint64_t seed, const fs::path& out) {
  const simulation::Volume volume = simulation::DrawVolume(seed, one);
  CONSILIUM_TRY(engine::itk_files::WriteImage(volume.image, out / one.image));
  return engine::itk_files::WriteMask(volume.mask, out / one.mask);
}

}  // namespace

Result<void> WriteDemo(const simulation::GeneratedImageStudy& study, std::uint64_t seed,
                       const fs::path& out, int threads,
                       const std::function<void(std::size_t)>& on_image) {
  for (const auto& [name, text] : study.files) {
    CONSILIUM_TRY(disk::MakeFolder((out / name).parent_path(), 0755));
    CONSILIUM_TRY(disk::ReplaceFile(out / name, text, 0644));
  }
  for (const simulation::ImagedCase& one : study.cases) {
    for (const std::string& file : {one.image, one.mask})
      CONSILIUM_TRY(disk::MakeFolder((out / file).parent_path(), 0755));
  }
  std::mutex mutex;  // of all below
  std::size_t next = 0, written = 0;
  std::optional<Error> failed;
  const auto work = [&] {
    std::unique_lock lock(mutex);
    while (next < study.cases.size() && !failed) {
      const simulation::ImagedCase& one = study.cases[next++];
      lock.unlock();
      const auto done = WriteCase(one, seed, out);
      lock.lock();
      if (!done) {
        failed = done.error();
      } else {
        on_image(++written);
      }
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  for (std::thread& other : others) other.join();
  if (failed) return tl::unexpected(*failed);
  return {};
}

}  // namespace consilium::extraction
