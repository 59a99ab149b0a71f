#include "extraction/compliance/reference_set.h"

#include <fmt/format.h>

#include <cmath>

#include "disk/files.h"
#include "engine/itk/read_image.h"

namespace consilium::compliance {

std::vector<ReferenceSet> ReferenceSets(const Folders& folders) {
  return {Ibsi1(folders), Ibsi2ResponseMaps(folders), Ibsi2(folders), PyradiomicsBaseline(folders),
          PyradiomicsCurrentCode(folders)};
}

Result<ReferenceCase> ReadReferenceCase(const std::filesystem::path& image,
                                        const std::filesystem::path& labels) {
  auto voxels = engine::itk_files::ReadImage(image);
  CONSILIUM_TRY(voxels);
  const auto region = engine::itk_files::ReadImage(labels);
  CONSILIUM_TRY(region);
  ReferenceCase one{std::move(voxels->image), {}};
  if (one.image.grid.size != region->image.grid.size) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} has {} voxels, its image {}; take both from one publication",
                            labels.string(), fmt::join(region->image.grid.size, " x "),
                            fmt::join(one.image.grid.size, " x ")));
  }
  one.mask.grid = one.image.grid;
  for (const double label : region->image.values) one.mask.inside.push_back(label == 1 ? 1 : 0);
  return one;
}

Result<ReferenceTable> ReferenceTable::Read(const std::filesystem::path& path) {
  const auto text = disk::ReadFile(path);
  CONSILIUM_TRY(text);
  auto table = ParseCsv(*text, path.string());
  CONSILIUM_TRY(table);
  ReferenceTable read;
  read.table_ = std::move(*table);
  return read;
}

std::string ReferenceTable::Text(std::size_t row, std::string_view column) const {
  const auto at = table_.Column(column);
  return at ? std::string(table_.Cell(row, *at)) : std::string();
}

double ReferenceTable::Number(std::size_t row, std::string_view column) const {
  return ParseNumber(Text(row, column)).value_or(std::nan(""));
}

}  // namespace consilium::compliance
