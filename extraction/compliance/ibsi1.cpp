// Configurations: IBSI reference manual, "Reference data sets", tables of configurations A to E.
#include <fmt/format.h>

#include <utility>

#include "engine/grey_levels.h"
#include "engine/ibsi.h"
#include "engine/intensity.h"
#include "extraction/compliance/reference_set.h"

namespace consilium::compliance {
namespace {

namespace fs = std::filesystem;
using engine::Image;
using engine::Mask;

engine::IbsiSettings Configuration(const std::string& name) {
  using Method = engine::Discretisation::Method;
  engine::IbsiSettings s;
  if (name == "digital") {
    s.discretisation.method = Method::kNone;
    return s;
  }
  const char letter = name.front();
  s.by_slice = letter == 'A' || letter == 'B';
  s.in_volume = !s.by_slice;
  s.round_intensities = true;
  if (letter == 'B') s.resampling.spacing_mm = {2, 2, 0};
  if (letter >= 'C') s.resampling.spacing_mm = {2, 2, 2};
  if (letter == 'E') s.resampling.interpolation = engine::Interpolation::kCubicSpline;
  if (letter == 'A' || letter == 'B') s.resegmentation.low = -500;
  if (letter == 'C' || letter == 'E') s.resegmentation.low = -1000;
  if (letter != 'D') s.resegmentation.high = 400;
  if (letter == 'D' || letter == 'E') s.resegmentation.outlier_sigmas = 3;
  const bool by_size = letter == 'A' || letter == 'C';
  s.discretisation.method = by_size ? Method::kFixedBinSize : Method::kFixedBinNumber;
  if (letter == 'C') s.volume_histogram = engine::VolumeHistogramLevels::kFixedBinSize;
  if (letter == 'E') s.volume_histogram = engine::VolumeHistogramLevels::kFixedBinNumber;
  return s;
}

// What the reference's diagnostics say of an image and of its masks, by their tags.
class Diagnostics {
 public:
  explicit Diagnostics(Values& values) : values_(values) {}
  void OfImage(const std::string& stage, const Image& image) {
    Sizes("img_dim", stage, image.grid.size);
    Sizes("vox_dim", stage, image.grid.spacing_mm);
    Intensities("", stage, image.values.AsDoubles());
  }
  void OfRegion(const std::string& stage, const Image& image, const Mask& intensity,
                const Mask& morphological) {
    Sizes("int_mask_dim", stage, intensity.grid.size);
    for (const auto& [name, mask] :
         {std::pair("int_mask", &intensity), std::pair("morph_mask", &morphological)}) {
      const engine::LevelBox box(*mask,
                                 {std::vector<std::uint16_t>(engine::VoxelsIn(*mask), 1), 1});
      Sizes(std::string(name) + "_bb_dim", stage, box.size());
      values_[fmt::format("{}_vox_count_{}", name, stage)] =
          static_cast<double>(box.voxels().size());
    }
    Intensities("int_mask_", stage, engine::IntensitiesOf(image, intensity));
  }

 private:
  template <typename Numbers>
  void Sizes(const std::string& what, const std::string& stage, const Numbers& numbers) {
    for (std::size_t axis = 0; axis < 3; ++axis)
      values_[fmt::format("{}_{}_{}", what, "xyz"[axis], stage)] = numbers[axis];
  }
  void Intensities(const std::string& what, const std::string& stage,
                   const std::vector<double>& all) {
    const engine::IntensityFeatures f = engine::IntensityStatistics(all);
    values_[fmt::format("{}mean_int_{}", what, stage)] = f.mean;
    values_[fmt::format("{}min_int_{}", what, stage)] = f.minimum;
    values_[fmt::format("{}max_int_{}", what, stage)] = f.maximum;
  }
  Values& values_;
};

// By the tag for sizes, counts and intensities after every step, else by family, code, aggregation.
std::vector<Expected> Wanted(const ReferenceTable& table, const std::string& configuration) {
  std::vector<Expected> wanted;
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    if (table.Text(row, "config") != configuration) continue;
    Comparison one;
    one.configuration = configuration;
    one.family = table.Text(row, "family");
    one.aggregation = table.Text(row, "aggregation");
    one.feature = table.Text(row, "feature_name");
    one.ibsi_code = table.Text(row, "ibsi_code");
    if (const auto parameter = table.Text(row, "ibsi_code_param"); !parameter.empty())
      one.ibsi_code += ":" + parameter;
    one.reference = table.Number(row, "value");
    one.tolerance = table.Number(row, "tolerance");
    if (table.Text(row, "consensus") == "none") one.cause = "the IBSI has no consensus on a value";
    const std::string key =
        one.family.starts_with("diagnostics")
            ? table.Text(row, "tag")
            : fmt::format("{} {} {}", one.family, one.ibsi_code, one.aggregation);
    wanted.push_back({key, std::move(one)});
  }
  return wanted;
}

Result<Values> Ours(ReferenceCase one, const std::string& name) {
  const engine::IbsiSettings settings = Configuration(name);
  engine::RoundIntensities(one.image);  // stored as, say, -999.99994
  const auto region = engine::Prepare(one.image, one.mask, settings);
  CONSILIUM_TRY(region);
  const auto features = engine::IbsiFeatures(*region, settings);
  CONSILIUM_TRY(features);
  Values values;
  for (const engine::IbsiFeature& f : features->features)
    values[fmt::format("{} {} {}", f.family, f.name.ibsi, f.aggregation)] = f.value;

  engine::IbsiSettings only_resampled = settings;
  only_resampled.resegmentation = {};
  const auto resampled = engine::Prepare(one.image, one.mask, only_resampled);
  CONSILIUM_TRY(resampled);
  Diagnostics diagnostics(values);
  diagnostics.OfImage("init_img", one.image);
  diagnostics.OfImage("interp_img", region->image);
  diagnostics.OfRegion("init_roi", one.image, one.mask, one.mask);
  diagnostics.OfRegion("interp_roi", region->image, resampled->intensity, region->morphological);
  diagnostics.OfRegion("reseg_roi", region->image, region->intensity, region->morphological);
  return values;
}

}  // namespace

ReferenceSet Ibsi1(const Folders& folders) {
  ReferenceSet set;
  set.name = "IBSI-1";
  set.table = folders.reference / "ibsi1_reference.csv";
  set.rule =
      "A value holds within the tolerance of the IBSI's compliance workbook; its references have "
      "three significant digits, counts from 1,000 on all of theirs, and ours is rounded alike.";
  for (const std::string name : {"digital", "A", "B", "C", "D", "E"}) {
    const fs::path folder =
        folders.reference / "data" /
        (name == "digital" ? "ibsi1_digital_phantom" : "ibsi1_ct_phantom/nifti");
    const fs::path image = folder / "image.nii.gz", mask = folder / "mask.nii.gz";
    set.parts.push_back({name,
                         {set.table, image, mask},
                         [=, path = set.table]() -> Result<std::vector<Comparison>> {
                           const auto table = ReferenceTable::Read(path);
                           CONSILIUM_TRY(table);
                           auto one = ReadReferenceCase(image, mask);
                           CONSILIUM_TRY(one);
                           const auto ours = Ours(std::move(*one), name);
                           CONSILIUM_TRY(ours);
                           return Compare(Wanted(*table, name), *ours, JudgeThreeDigits,
                                          Surplus::kLeaveOut);
                         }});
  }
  return set;
}

}  // namespace consilium::compliance
