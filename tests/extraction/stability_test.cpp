// `consilium-extract` on repeated measurements, run as a hospital runs it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <string>

#include "base/csv.h"
#include "base/rng.h"
#include "tests/extraction/extract_program.h"
#include "tests/support/reference_data.h"

namespace consilium::extraction {
namespace {

namespace fs = std::filesystem;
using testing_support::Number;
using testing_support::ReadShared;
using testing_support::ScratchFolder;

// What the commands print; they must end so.
std::string Done(const ScratchFolder& folder, const std::string& commands, int expected = 0) {
  const Ended ended = Shell(folder, commands);
  EXPECT_EQ(ended.exit_code, expected) << commands << ended.said;
  return ended.said;
}

CsvTable Table(const ScratchFolder& folder, const std::string& name) {
  auto table = ParseCsv(folder.Read(name), name);
  EXPECT_TRUE(table.has_value()) << (table ? "" : table.error().message);
  return table ? std::move(*table) : CsvTable();
}
std::string Cell(const CsvTable& table, std::size_t row, const std::string& column) {
  const auto at = table.Column(column);
  EXPECT_TRUE(at.has_value()) << column;
  return at ? std::string(table.Cell(row, *at)) : "";
}

// ---- images of a patient: a textured ellipsoid, a little other in each scan, by each rater
const engine::Grid kGrid{{18, 16, 12}, {0.9, 1.1, 2.5}};

engine::PlacedImage ImageOf(int patient, int scan) {
  Rng texture(1, "texture", static_cast<std::uint64_t>(patient)),
      noise(1, "noise", static_cast<std::uint64_t>(10 * patient + scan));
  return Made(kGrid, [&](int x, int y, int z) {
    const double wave = std::abs((x + y + z) % (4 + patient) - 2.0);
    return std::round(300 + 20 * patient + (10 + patient) * wave + 15 * texture.Normal() +
                      5 * noise.Normal());
  });
}

// A larger radius along x for a later rater.
engine::PlacedImage MaskOf(int patient, int rater) {
  return Made(kGrid, [&](int x, int y, int z) {
    const double a = (x - 8.5) / (4.0 + patient * 0.3 + rater), b = (y - 7.5) / 5.0,
                 c = (z - 5.5) / 4.0;
    return a * a + b * b + c * c <= 1 ? 1 : 0;
  });
}
double VoxelsOf(const engine::PlacedImage& mask) {
  return std::accumulate(mask.image.values.begin(), mask.image.values.end(), 0.0);
}

constexpr const char* kFirstOrder =
    "pyradiomics:\n  featureClass: {firstorder: [Mean, Variance], shape: [MeshVolume]}\n";

TEST(StabilityOfAProgram, TestAndRetestAreOneSubject) {
  const ScratchFolder folder;
  std::string cases = "id,patient,scan,image,mask\n";
  for (int patient = 1; patient <= 6; ++patient) {
    folder.Write(fmt::format("m{}.nrrd", patient), Nrrd(MaskOf(patient, 0)));
    for (int scan = 1; scan <= 2; ++scan) {
      const std::string id = fmt::format("{}-{}", patient, scan);
      folder.Write(id + ".nrrd", Nrrd(ImageOf(patient, scan)));
      cases += fmt::format("{0},P{1},{2},{0}.nrrd,m{1}.nrrd\n", id, patient, scan);
    }
  }
  folder.Write("cases.csv", cases);
  folder.Write("settings.yaml", std::string("format: 1\n") + kFirstOrder);
  Done(folder,
       "consilium-extract cases.csv --settings settings.yaml --out run --jobs 2\n"
       "consilium-extract stability run --design test-retest --keep 'icc31>=0.75' --out out\n"
       "consilium-extract stability run/features.csv --design test-retest --out again\n"
       "cmp out/stability.csv again/stability.csv\n");
  const CsvTable table = Table(folder, "out/stability.csv");
  ASSERT_EQ(table.row_count(), 3U);
  for (std::size_t row = 0; row < 3; ++row) {
    EXPECT_EQ(Cell(table, row, "patients"), "6");
    EXPECT_EQ(Cell(table, row, "repeats"), "1;2");
  }
  // The mask is the same in both scans; the mean differs by noise alone.
  const std::map<std::string, std::size_t> row_of = {{Cell(table, 0, "feature"), 0},
                                                     {Cell(table, 1, "feature"), 1},
                                                     {Cell(table, 2, "feature"), 2}};
  EXPECT_EQ(Number(table, row_of.at("original_shape_MeshVolume"), "icc31"), 1);
  const double icc = Number(table, row_of.at("original_firstorder_Mean"), "icc31");
  EXPECT_GT(icc, 0.99);
  EXPECT_LT(icc, 1);
  EXPECT_NE(folder.Read("out/stable.txt").find("original_firstorder_Mean\n"), std::string::npos);
  EXPECT_NE(folder.Read("out/features.yaml").find("- \"original_firstorder_Mean\"\n"),
            std::string::npos);
  // Patients' images in one row, told apart by their scan.
  EXPECT_TRUE(Table(folder, "run/patients.csv").Column("scan-2_original_firstorder_Mean"));
  EXPECT_NE(Done(folder, "consilium-extract stability run --design raters --out none\n", 3)
                .find("no column 'rater'"),
            std::string::npos);
}

TEST(StabilityOfAProgram, MasksOfRatersAreComparedAgain) {
  const ScratchFolder folder;
  std::string cases = "id,patient,rater,image,mask\n";
  for (int patient = 1; patient <= 5; ++patient) {
    folder.Write(fmt::format("{}.nrrd", patient), Nrrd(ImageOf(patient, 1)));
    for (int rater = 0; rater < 3; ++rater) {
      const std::string id = fmt::format("{}-{}", patient, rater);
      folder.Write(id + "-m.nrrd", Nrrd(MaskOf(patient, rater)));
      cases += fmt::format("{0},P{1},r{2},{1}.nrrd,{0}-m.nrrd\n", id, patient, rater);
    }
  }
  fs::remove(folder.path() / "5-2-m.nrrd");
  folder.Write("cases.csv", cases);
  folder.Write("settings.yaml", std::string("format: 1\n") + kFirstOrder);
  Done(folder, "consilium-extract cases.csv --settings settings.yaml --out run\n", 1);
  Done(folder, "consilium-extract stability run --design raters --out out --jobs 2\n");
  const CsvTable masks = Table(folder, "out/mask_agreement.csv");
  ASSERT_EQ(masks.row_count(), 15U);
  for (std::size_t row = 0; row < 15; ++row) {
    const bool missing = row == 13 || row == 14;  // of P5 with r2
    EXPECT_EQ(Cell(masks, row, "problem").empty(), !missing);
    if (missing) continue;
    // Overlap of two voxelized ellipsoids, one within the other, counted here.
    const int patient = static_cast<int>(row) / 3 + 1;
    const int first = Cell(masks, row, "rater_1")[1] - '0',
              second = Cell(masks, row, "rater_2")[1] - '0';
    EXPECT_LT(first, second);
    const double smaller = VoxelsOf(MaskOf(patient, first)),
                 larger = VoxelsOf(MaskOf(patient, second));
    EXPECT_DOUBLE_EQ(Number(masks, row, "dice"), 2 * smaller / (smaller + larger));
    EXPECT_GT(Number(masks, row, "hausdorff_95_mm"), 0);
    EXPECT_LE(Number(masks, row, "hausdorff_95_mm"), 0.9 * (second - first) + 1.1);
    EXPECT_LT(Number(masks, row, "mean_surface_mm"), Number(masks, row, "hausdorff_95_mm"));
  }
  const CsvTable table = Table(folder, "out/stability.csv");
  EXPECT_EQ(Cell(table, 0, "k"), "3");
  EXPECT_EQ(Cell(table, 0, "patients"), "4");  // and so without sums
  EXPECT_EQ(Cell(table, 0, "left_out"), "1");
  EXPECT_EQ(Cell(table, 0, "sum_squares"), "");
}

TEST(StabilityOfAProgram, PerturbationsRepeatBitByBitAndFollowTheSeed) {
  const ScratchFolder folder;
  std::string cases = "id,image,mask\n";
  for (int patient = 1; patient <= 5; ++patient) {
    folder.Write(fmt::format("{}.nrrd", patient), Nrrd(ImageOf(patient, 1)));
    folder.Write(fmt::format("{}-m.nrrd", patient), Nrrd(MaskOf(patient, 0)));
    cases += fmt::format("P{0},{0}.nrrd,{0}-m.nrrd\n", patient);
  }
  folder.Write("cases.csv", cases);
  folder.Write("plain.yaml", std::string("format: 1\n") + kFirstOrder);
  const auto settings = [](int seed) {
    return fmt::format(
        "format: 1\nperturb: {{seed: {}, noise: 1, rotation_deg: [-6, 6], translation: [0.25], "
        "volume: [-0.1, 0.1], contour: 1}}\n{}",
        seed, kFirstOrder);
  };
  folder.Write("one.yaml", settings(1));
  folder.Write("two.yaml", settings(2));
  Done(folder,
       "consilium-extract cases.csv --settings plain.yaml --out plain\n"
       "consilium-extract cases.csv --settings one.yaml --out one --jobs 1\n"
       "consilium-extract cases.csv --settings one.yaml --out same --jobs 3\n"
       "cmp one/perturbations.csv same/perturbations.csv\n"
       "cmp one/stability.csv same/stability.csv\n"
       // Other settings are another key: nothing of `same` is known.
       "consilium-extract --json cases.csv --settings two.yaml --out same | grep '\"known\":0'\n"
       "consilium-extract --json cases.csv --settings two.yaml --out same | grep '\"known\":5'\n"
       "! cmp -s one/perturbations.csv same/perturbations.csv\n"
       "for i in 1 2 3; do\n"
       "  consilium-extract cases.csv --settings one.yaml --shard $i/3 --out part$i\n"
       "done\n"
       "consilium-extract merge part1 part2 part3 --out whole\n"
       "cmp one/perturbations.csv whole/perturbations.csv\n"
       "cmp one/stability.csv whole/stability.csv\n"
       "consilium-extract stability one --design perturbations --keep 'icc11>=0.9' --out again\n"
       "cmp one/stability.csv again/stability.csv\n");
  const CsvTable perturbed = Table(folder, "one/perturbations.csv"),
                 table = Table(folder, "one/stability.csv"),
                 once = Table(folder, "one/features.csv"),
                 plain = Table(folder, "plain/features.csv");
  ASSERT_EQ(perturbed.row_count(), 20U);
  EXPECT_EQ(Cell(perturbed, 0, "perturbation"), "N1 R-6 T0.25/0.25/0.25 V-0.1 C1");
  ASSERT_EQ(table.row_count(), 3U);
  EXPECT_EQ(Cell(table, 0, "k"), "4");
  EXPECT_EQ(Cell(table, 0, "n"), "5");
  for (std::size_t row = 0; row < 3; ++row) {
    EXPECT_GT(Number(table, row, "icc11"), 0);
    EXPECT_LT(Number(table, row, "icc11"), 1);
  }
  // The regions themselves are what they are without perturbations.
  for (const char* feature : {"original_firstorder_Mean", "original_shape_MeshVolume"}) {
    for (std::size_t row = 0; row < 5; ++row)
      EXPECT_EQ(Cell(once, row, feature), Cell(plain, row, feature));
  }
}

TEST(StabilityOfAProgram, AFileOfPerturbationsStandsBesideAParameterFile) {
  const ScratchFolder folder;
  WriteCases(folder, kGrid, 3);
  folder.Write("params.yaml",
               "# PyRadiomics'\nfeatureClass: {firstorder: [Mean, Variance], shape: [MeshVolume]}\n"
               "setting: {binWidth: 10}\n");
  folder.Write("perturb.yaml", "noise: 1\nvolume: [-0.1, 0.1]\n");
  Done(folder,
       "run='consilium-extract cases.csv --settings params.yaml'\n"
       "$run --out plain\n"
       "$run --perturb perturb.yaml --out whole\n"
       // What the folder keeps is the same settings in one file.
       "consilium-extract cases.csv --settings whole/settings.yaml --out again\n"
       "for i in 1 2; do $run --perturb perturb.yaml --shard $i/2 --out part$i; done\n"
       "consilium-extract merge part1 part2 --out merged\n"
       "for other in again merged; do\n"
       "  for table in features perturbations stability; do\n"
       "    cmp whole/$table.csv $other/$table.csv\n"
       "  done\n"
       "done\n"
       "grep -q \"$(sha256sum <whole/settings.yaml | cut -d' ' -f1)\" whole/features.csv\n"
       // Other perturbations are other settings: nothing is known.
       "echo 'noise: 2' >perturb.yaml\n"
       "$run --json --perturb perturb.yaml --out whole | grep '\"known\":0'\n");
  const CsvTable plain = Table(folder, "plain/features.csv"),
                 whole = Table(folder, "again/features.csv");
  ASSERT_EQ(whole.row_count(), 3U);
  EXPECT_EQ(Table(folder, "again/perturbations.csv").row_count(), 6U);
  for (const std::string& column : plain.header()) {
    for (std::size_t row = 0; row < 3; ++row) {
      EXPECT_EQ(Cell(plain, row, column) == Cell(whole, row, column), column != "settings_sha256")
          << column;
    }
  }
  EXPECT_NE(
      Done(folder,
           "consilium-extract cases.csv --settings again/settings.yaml --perturb perturb.yaml "
           "--out none\n",
           3)
          .find("is no PyRadiomics parameter file; write what perturb.yaml says under its key"),
      std::string::npos);
}

TEST(StabilityOfAProgram, PublishedCasesArePerturbed) {
  const std::string data = "reference/radiomics/data/pyradiomics/";
  CONSILIUM_NEEDS_SHARED(data);
  const ScratchFolder folder;
  std::string cases = "id,image,mask\n";
  for (const char* name : {"brain1", "brain2", "breast1"})
    cases += fmt::format("{0},{1}{0}_image.nrrd,{1}{0}_label.nrrd\n", name,
                         testing_support::Shared(data));
  folder.Write("cases.csv", cases);
  folder.Write("settings.yaml",
               "format: 1\nperturb: {rotation_deg: [-4, 4], volume: [-0.1, 0.1]}\n"
               "pyradiomics:\n  featureClass: {firstorder: null, shape: null}\n");
  Done(folder, "consilium-extract cases.csv --settings settings.yaml --out run\n");
  const CsvTable table = Table(folder, "run/stability.csv");
  EXPECT_GT(table.row_count(), 30U);
  for (std::size_t row = 0; row < table.row_count(); ++row) {
    if (Cell(table, row, "feature") != "original_shape_VoxelVolume") continue;
    EXPECT_EQ(Cell(table, row, "n"), "3");
    EXPECT_GT(Number(table, row, "icc11"), 0.9);  // volumes differ by far more than a tenth
    EXPECT_LT(Number(table, row, "icc11"), 1);
  }
}

// ---- the page that explains it
TEST(StabilityPage, DoesWhatItShows) {
  const ScratchFolder folder;
  std::ifstream page(fs::path(CONSILIUM_SOURCE_DIR) / "docs/formats/stability.md");
  std::string block, commands, expected, info;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("```")) {
      if (inside) block += line + "\n";
      continue;
    }
    if (!inside) {
      info = line.substr(3);
      block.clear();
    } else if (info == "sh") {
      commands += block;
    } else if (info == "text") {
      expected += block;
    } else {
      folder.Write(info.substr(info.find(' ') + 1), block);
    }
    inside = !inside;
  }
  ASSERT_FALSE(commands.empty());
  EXPECT_EQ(Done(folder, commands), expected);
  EXPECT_EQ(folder.Read("both/stable.txt"), "original_energy\n");
}

}  // namespace
}  // namespace consilium::extraction
