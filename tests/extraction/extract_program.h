// consilium-extract as a person or a script runs it, and the files it is given.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/csv.h"
#include "engine/place.h"
#include "tests/support/scratch_folder.h"

namespace consilium::extraction {

struct Ended {
  int exit_code = -1;  // -1: by a signal
  std::string said;    // standard output and error
};

// The program, or another one, with its working folder in `scratch`. Not waited for: it is killed
// with this.
class Started {
 public:
  Started(const testing_support::ScratchFolder& scratch, const std::vector<std::string>& arguments,
          const std::string& program = CONSILIUM_EXTRACT_BINARY);
  ~Started();
  Started(const Started&) = delete;
  Started& operator=(const Started&) = delete;
  [[nodiscard]] pid_t pid() const { return pid_; }
  // A process that works for it; 0 if there is none now.
  [[nodiscard]] pid_t Worker() const;
  Ended Wait();

 private:
  std::filesystem::path words_;
  pid_t pid_ = -1;
};

[[nodiscard]] Ended Extract(const testing_support::ScratchFolder& scratch,
                            const std::vector<std::string>& arguments);
// A script of the shell that ends at the first command that fails; the program is in its PATH.
[[nodiscard]] Ended Shell(const testing_support::ScratchFolder& scratch, const std::string& script);
// Whether so many lines came to stand in the journal of a run into the folder `out`; looks whenever
// the folder changes.
[[nodiscard]] bool WaitForJournal(const testing_support::ScratchFolder& scratch,
                                  const std::string& out, std::ptrdiff_t lines);

// Rows of a table by the text of one column, each cell by the name of its column.
using Row = std::map<std::string, std::string>;
[[nodiscard]] std::multimap<std::string, Row> RowsBy(std::string_view column,
                                                     const std::string& csv);

// A number for every voxel, by its place.
template <typename ValueAt>
engine::PlacedImage Made(const engine::Grid& grid, const ValueAt& value_at) {
  std::vector<double> values;
  for (int z = 0; z < grid.size[2]; ++z) {
    for (int y = 0; y < grid.size[1]; ++y) {
      for (int x = 0; x < grid.size[0]; ++x)
        values.push_back(static_cast<double>(value_at(x, y, z)));
    }
  }
  return {{grid, std::move(values)}, {{-31.5, 20.25, 7}, {{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}}}};
}

// A texture, and an ellipsoid of 1 in the middle.
[[nodiscard]] engine::PlacedImage Texture(const engine::Grid& grid);
[[nodiscard]] engine::PlacedImage Ellipsoid(const engine::Grid& grid);

// As 32-bit floating-point numbers. What a test is about is changed byte by byte.
[[nodiscard]] std::string Nifti(const engine::PlacedImage& placed);
[[nodiscard]] std::string Meta(const engine::PlacedImage& placed);
[[nodiscard]] std::string Nrrd(const engine::PlacedImage& placed, std::string_view more = "");

// cases.csv: the cases case1, case2, ... of scanners B and A, an image each and one mask.nrrd for
// all, and then the lines `more`.
void WriteCases(const testing_support::ScratchFolder& scratch, const engine::Grid& grid, int count,
                std::string_view more = "");
// Lines of a case whose image is not there.
inline constexpr const char* kGone = "gone,gone.nrrd,gone.nrrd,B\n";

template <typename Number>
void PutAt(std::string& bytes, std::size_t at, Number number) {
  bytes.replace(at, sizeof number, reinterpret_cast<const char*>(&number), sizeof number);
}

}  // namespace consilium::extraction
