// The program consilium-extract on small images made here: what a script sees of it.
//
// Define CONSILIUM_EXTRACT_BINARY where this is included.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/scratch_folder.h"

namespace consilium::testing_support {

struct Told {
  int exit_code = -1;  // -1: ended by a signal
  std::string said;    // on both outputs
};

// A command of the shell, in `folder`.
inline Told Shell(const ScratchFolder& folder, const std::string& command) {
  const std::string whole =
      "cd " + folder.path().string() + " && ( " + command + " ) >said 2>&1 </dev/null";
  const int status = std::system(whole.c_str());  // NOLINT(concurrency-mt-unsafe): one thread
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, folder.Read("said")};
}

inline Told Extract(const ScratchFolder& folder, const std::string& arguments) {
  return Shell(folder, CONSILIUM_EXTRACT_BINARY " " + arguments);
}

// NAME.nrrd, an image whose texture `seed` draws, and NAME.label.nrrd, a region within it.
inline void WriteImage(const ScratchFolder& folder, const std::string& name, std::uint32_t seed) {
  constexpr int kSize = 12;
  std::ostringstream head, image, mask;
  head << "NRRD0004\ntype: short\ndimension: 3\nsizes: " << kSize << " " << kSize << " " << kSize
       << "\nspace: left-posterior-superior\nspace directions: (1.5,0,0) (0,1,0) (0,0,2)\n"
       << "space origin: (-7,3,11)\nencoding: ascii\n\n";
  std::uint32_t state = seed * 2654435761U + 1;
  for (int z = 0; z < kSize; ++z) {
    for (int y = 0; y < kSize; ++y) {
      for (int x = 0; x < kSize; ++x) {
        state = state * 1664525U + 1013904223U;
        image << state % 97 + static_cast<unsigned>(10 * x + 3 * y * z) << " ";
        const auto inside = [](int at) { return at >= 2 && at < kSize - 3; };
        mask << (inside(x) && inside(y) && inside(z) ? 1 : 0) << " ";
      }
    }
  }
  folder.Write(name + ".nrrd", head.str() + image.str() + "\n");
  folder.Write(name + ".label.nrrd", head.str() + mask.str() + "\n");
}

// cases.csv: `count` cases with an image each, and one whose image is not there.
inline void WriteCases(const ScratchFolder& folder, int count) {
  std::string list = "id,image,mask,scanner\n";
  for (int i = 1; i <= count; ++i) {
    const std::string name = "case" + std::to_string(i);
    WriteImage(folder, name, static_cast<std::uint32_t>(i));
    list += name + "," + name + ".nrrd," + name + ".label.nrrd," + (i % 2 == 0 ? "B" : "A") + "\n";
  }
  folder.Write("cases.csv", list + "gone,gone.nrrd,gone.label.nrrd,B\n");
}

}  // namespace consilium::testing_support
