#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "base/bytes.h"
#include "base/digest.h"
#include "engine/components.h"
#include "engine/itk/read_image.h"
#include "engine/itk/write_image.h"
#include "extraction/case_list.h"
#include "extraction/extract_case.h"
#include "simulation/generated/images.h"
#include "site_agent/cohort_file.h"
#include "study/study_file.h"
#include "tests/support/expected_auc.h"
#include "tests/support/scratch_folder.h"

namespace consilium::simulation {
namespace {

using testing_support::ScratchFolder;

constexpr std::uint64_t kSeed = GeneratedOptions{}.seed;

const GeneratedImageStudy& Demo() {
  static const GeneratedImageStudy demo = GenerateImageStudy();
  return demo;
}

// Up to `count` cases of each hospital, the first ones.
std::vector<std::vector<ImagedCase>> CasesByHospital(std::size_t count) {
  std::vector<std::vector<ImagedCase>> cases(kHospitalCount);
  for (const ImagedCase& one : Demo().cases) {
    if (cases[one.hospital].size() < count) cases[one.hospital].push_back(one);
  }
  return cases;
}

void Add(const Volume& volume, ByteWriter& writer) {
  for (const double length : volume.image.image.grid.spacing_mm) writer.F64(length);
  for (const double place : volume.image.place.origin_mm) writer.F64(place);
  for (const double value : volume.image.image.values) writer.F64(value);
  for (const std::uint8_t inside : volume.mask.mask.inside) writer.U8(inside);
}

TEST(GeneratedImages, TheSameSeedGivesTheSameBitsAndAnotherSeedOthers) {
  EXPECT_EQ(GenerateImageStudy().files, Demo().files);
  GeneratedOptions options;
  ++options.seed;
  const GeneratedImageStudy other = GenerateImageStudy(options);
  for (const auto& [path, text] : Demo().files) {
    ASSERT_TRUE(other.files.contains(path)) << path;
    // Lists of cases may only say where images are; cohort files hold a key.
    if (path.starts_with("cases-") || path == "params.yaml") continue;
    EXPECT_NE(other.files.at(path), text) << path;
  }
  const ImagedCase& one = Demo().cases.front();
  const Volume volume = DrawVolume(kSeed, one);
  EXPECT_EQ(volume.image.image.values, DrawVolume(kSeed, one).image.image.values);
  EXPECT_EQ(volume.mask.mask.inside, DrawVolume(kSeed, one).mask.mask.inside);
  EXPECT_NE(volume.image.image.values, DrawVolume(kSeed + 1, one).image.image.values);
  EXPECT_NE(volume.image.image.values, DrawVolume(kSeed, Demo().cases[1]).image.image.values);
}

// Pinned: whoever changes the generator changes the demo's published figures (docs/demo.md) too.
TEST(GeneratedImages, TheDemoIsTheOneThatItsDocumentDescribes) {
  ByteWriter writer;
  for (const auto& [path, text] : Demo().files) {
    writer.Text(path);
    writer.Text(text);
  }
  for (const auto& cases : CasesByHospital(2)) {
    for (const ImagedCase& one : cases) Add(DrawVolume(kSeed, one), writer);
  }
  EXPECT_EQ(Hex(Sha256(writer.bytes())),
            "731800f2460f445a762571b9dce569ac247bea3a910e7c3c74e405665839f7f2");
}

TEST(GeneratedImages, EveryMaskIsOnePieceWithoutHolesWithinItsVolume) {
  for (const auto& cases : CasesByHospital(25)) {
    for (const ImagedCase& one : cases) {
      SCOPED_TRACE(one.image);
      const engine::Mask mask = DrawVolume(kSeed, one).mask.mask;
      EXPECT_EQ(engine::ComponentsOf(mask, engine::Touching::kBySides).voxels.size(), 1U);
      EXPECT_TRUE(engine::HolesOf(mask).empty());
      const engine::Box box = engine::BoundingBoxOf(mask);
      for (std::size_t axis = 0; axis < 3; ++axis) {
        EXPECT_GT(box.first[axis], 0);
        EXPECT_LT(box.last[axis], mask.grid.size[axis] - 1);
      }
      const double voxels = std::accumulate(mask.inside.begin(), mask.inside.end(), 0.0);
      const double millilitres = voxels * mask.grid.voxel_volume_mm3() / 1000;
      EXPECT_GT(millilitres, 12);  // lumbar bodies of adults have 20 to 40
      EXPECT_LT(millilitres, 50);
    }
  }
}

TEST(GeneratedImages, ScannersDifferAndTheirFilesAreReadBackAsTheyWere) {
  const ScratchFolder scratch;
  std::set<std::array<double, 3>> spacings, origins;
  std::set<std::array<int, 3>> sizes;
  for (const auto& cases : CasesByHospital(1)) {
    const Volume volume = DrawVolume(kSeed, cases.front());
    const auto image_path = scratch.path() / "image.nii.gz", mask_path = scratch.path() / "m.nii";
    ASSERT_TRUE(engine::itk_files::WriteImage(volume.image, image_path).has_value());
    ASSERT_TRUE(engine::itk_files::WriteMask(volume.mask, mask_path).has_value());
    const auto image = engine::itk_files::ReadImage(image_path);
    const auto mask = engine::itk_files::ReadImage(mask_path);
    ASSERT_TRUE(image.has_value()) << image.error().message;
    ASSERT_TRUE(mask.has_value()) << mask.error().message;
    EXPECT_EQ(image->image.values, volume.image.image.values);
    EXPECT_TRUE(image->image.numbers.whole);
    EXPECT_TRUE(std::equal(mask->image.values.begin(), mask->image.values.end(),
                           volume.mask.mask.inside.begin(), volume.mask.mask.inside.end()));
    for (const engine::PlacedImage* read : {&*image, &*mask}) {
      EXPECT_EQ(read->image.grid.size, volume.image.image.grid.size);
      for (std::size_t axis = 0; axis < 3; ++axis) {
        // NIfTI keeps them in single precision: 2^-24 of 1300 mm.
        EXPECT_NEAR(read->image.grid.spacing_mm[axis], volume.image.image.grid.spacing_mm[axis],
                    1e-6);
        EXPECT_NEAR(read->place.origin_mm[axis], volume.image.place.origin_mm[axis], 1e-4);
        for (std::size_t i = 0; i < 3; ++i)
          EXPECT_NEAR(read->place.direction[axis][i], volume.image.place.direction[axis][i], 1e-6);
        EXPECT_NE(volume.image.place.origin_mm[axis], 0);
      }
      EXPECT_LT(read->place.direction[1][2], -0.99);  // the second axis points down: sagittal
    }
    spacings.insert(volume.image.image.grid.spacing_mm);
    origins.insert(volume.image.place.origin_mm);
    sizes.insert(volume.image.image.grid.size);
  }
  EXPECT_GE(spacings.size(), 5U);
  EXPECT_EQ(origins.size(), 5U);
  EXPECT_GE(sizes.size(), 4U);
}

// ---- what the images show of the traits ----

double Correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const auto n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n;
  const double mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double aa = 0, bb = 0, ab = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
    ab += (a[i] - mean_a) * (b[i] - mean_b);
  }
  return ab / std::sqrt(aa * bb);
}

std::vector<double> Column(const std::vector<extraction::RegionRow>& rows,
                           const std::string& name) {
  std::vector<double> values;
  for (const auto& row : rows) {
    const auto found = std::find(row.names.begin(), row.names.end(), name);
    EXPECT_NE(found, row.names.end()) << name;
    if (found == row.names.end()) return {};
    values.push_back(row.values[static_cast<std::size_t>(found - row.names.begin())]);
  }
  return values;
}

// Written, read and extracted as consilium-extract does.
std::vector<extraction::RegionRow> Extract(const std::vector<ImagedCase>& cases) {
  const ScratchFolder scratch;
  const auto settings = extraction::ReadSettings(Demo().files.at("params.yaml"), "params.yaml");
  EXPECT_TRUE(settings.has_value()) << settings.error().message;
  std::vector<extraction::RegionRow> rows;
  for (const ImagedCase& one : cases) {
    const Volume volume = DrawVolume(kSeed, one);
    extraction::Case files;
    files.id = files.patient = fmt::format("{}", one.number);
    files.image = scratch.path() / "image.nii";
    files.mask = scratch.path() / "mask.nii";
    EXPECT_TRUE(engine::itk_files::WriteImage(volume.image, files.image).has_value());
    EXPECT_TRUE(engine::itk_files::WriteMask(volume.mask, files.mask).has_value());
    const auto key = extraction::KeyOf(files, *settings);
    EXPECT_TRUE(key.has_value()) << key.error().message;
    const extraction::Outcome outcome = extraction::ExtractCase(files, *key, *settings);
    EXPECT_EQ(outcome.rows.size(), 1U);
    for (const auto& failure : outcome.failures) ADD_FAILURE() << failure.message;
    if (outcome.rows.size() == 1) rows.push_back(outcome.rows.front());
  }
  return rows;
}

// Each trait has a feature that shows it within a hospital, in the direction that its meaning says.
TEST(GeneratedImages, FeaturesShowEveryTraitWithinAHospital) {
  const std::vector<ImagedCase> cases = CasesByHospital(40)[HospitalAt("Aalst")];
  const std::vector<extraction::RegionRow> rows = Extract(cases);
  ASSERT_EQ(rows.size(), cases.size());
  EXPECT_GE(rows.front().names.size(), 300U);
  EXPECT_LE(rows.front().names.size(), 900U);
  const auto trait = [&](double Traits::*which) {
    std::vector<double> values;
    for (const ImagedCase& one : cases) values.push_back(one.traits.*which);
    return values;
  };
  const struct {
    double Traits::*which;
    const char* feature;
    double sign;
  } expected[] = {{&Traits::coarseness, "wavelet-HLH_glcm_Correlation", 1},
                  {&Traits::contrast, "wavelet-LLH_firstorder_InterquartileRange", 1},
                  {&Traits::patches, "log-sigma-3-0-mm-3D_firstorder_Skewness", -1},
                  {&Traits::height_loss, "original_shape_Flatness", -1}};
  for (const auto& [which, feature, sign] : expected)
    EXPECT_GT(sign * Correlation(trait(which), Column(rows, feature)), 0.55) << feature;
}

// The same bodies, seen by another scanner: the ranges of gain times contrast do not overlap.
TEST(GeneratedImages, AnotherScannerShowsTheSameBodiesDifferently) {
  std::vector<ImagedCase> cases = CasesByHospital(8)[HospitalAt("Delft")];
  const std::string feature = "original_firstorder_InterquartileRange";
  const std::vector<double> here = Column(Extract(cases), feature);
  for (ImagedCase& one : cases) one.hospital = HospitalAt("Eger");
  const std::vector<double> there = Column(Extract(cases), feature);
  ASSERT_EQ(here.size(), there.size());
  for (std::size_t i = 0; i < here.size(); ++i) EXPECT_GT(here[i], 1.5 * there[i]);
}

// ---- the truth ----

// From the linear predictors alone, without an outcome drawn, on other patients. Tolerance: as of
// the generated tables.
TEST(GeneratedImages, TheTruthIsTheAucOfTheLinearPredictorInNewPatients) {
  for (const auto& [hospital, truth] : Demo().true_external_auc) {
    const PopulationSample sample = DrawImagedPopulation({}, hospital, 4000, 99);
    EXPECT_NEAR(truth, testing_support::ExpectedAuc(sample.linear_predictor),
                5 * std::sqrt(0.0030 * 0.0030 + 0.0070 * 0.0070))
        << hospital;
    EXPECT_GT(truth, 0.80) << hospital;
    EXPECT_LT(truth, 0.90) << hospital;
    const double events = std::accumulate(sample.outcome.begin(), sample.outcome.end(), 0.0);
    EXPECT_NEAR(events / 4000, Hospitals()[HospitalAt(hospital)].prevalence,
                5 * 0.5 * std::sqrt(1.0 / 4000 + 1.0 / 4000))
        << hospital;
  }
}

// ---- files ----

TEST(GeneratedImages, EveryFileIsOneThatItsReaderTakes) {
  const auto study = study::ParseStudy(Demo().files.at("study.yaml"), "study.yaml");
  ASSERT_TRUE(study.has_value()) << study.error().message;
  EXPECT_EQ(study->sites, Demo().hospitals);
  EXPECT_EQ(study->known_external_auc, Demo().true_external_auc);
  std::size_t listed = 0, one_table = 0;
  for (const std::string& hospital : Demo().hospitals) {
    SCOPED_TRACE(hospital);
    const auto list = extraction::ReadCaseList(Demo().files.at("cases-" + hospital + ".csv"),
                                               "cases.csv", "demo");
    ASSERT_TRUE(list.has_value()) << list.error().message;
    listed += list->cases.size();
    const auto file = site_agent::ParseCohortFile(Demo().files.at(hospital + ".yaml"), "c.yaml");
    ASSERT_TRUE(file.has_value()) << file.error().message;
    EXPECT_EQ(file->radiomics, "features/" + hospital + "/features.csv");
    if (file->clinical) {
      EXPECT_TRUE(Demo().files.contains(*file->clinical)) << *file->clinical;
    } else {
      ++one_table;
    }
  }
  EXPECT_EQ(listed, Demo().cases.size());
  EXPECT_EQ(one_table, 1U);
}

}  // namespace
}  // namespace consilium::simulation
