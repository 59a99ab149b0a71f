#include "simulation/generated/images.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/csv.h"
#include "base/portable_math.h"
#include "engine/filter/convolution.h"
#include "engine/trigonometry.h"

namespace consilium::simulation {

namespace {

// ---- patients ----

constexpr Traits kLogOdds = {0.90, 0.90, -0.75, 0.85};
// How much of a trait age explains: correlations at a standard deviation of 12 years.
constexpr Traits kOfAge = {0.30, 0.15, 0.25, 0.30};
constexpr int kPatientsMax = 160;  // of a hospital, at size 1: extraction is to take a minute
constexpr int kCalibrationPatients = 4000;

Traits DrawTraits(const Patient& patient, Rng& rng) {
  const double age = std::clamp(Age(patient), -2.5, 2.5);
  const auto draw = [&](double of_age) {
    return of_age * age + std::sqrt(1 - of_age * of_age) * std::clamp(rng.Normal(), -3.0, 3.0);
  };
  Traits traits;
  traits.coarseness = draw(kOfAge.coarseness);
  traits.contrast = draw(kOfAge.contrast);
  traits.patches = draw(kOfAge.patches);
  traits.height_loss = draw(kOfAge.height_loss);
  return traits;
}

double LogOddsWithoutIntercept(const Patient& patient, const Traits& traits) {
  return ClinicalLogOdds(patient) + kLogOdds.coarseness * traits.coarseness +
         kLogOdds.contrast * traits.contrast + kLogOdds.patches * traits.patches +
         kLogOdds.height_loss * traits.height_loss;
}

// Etas without intercept.
std::vector<double> DrawLogOdds(std::size_t h, int patients, Rng& rng) {
  std::vector<double> eta;
  for (int i = 0; i < patients; ++i) {
    const Patient patient = DrawPatient(Hospitals()[h], rng);
    eta.push_back(LogOddsWithoutIntercept(patient, DrawTraits(patient, rng)));
  }
  return eta;
}

double Intercept(std::uint64_t seed, std::size_t h) {
  Rng rng(seed, "demo images prevalence", h);
  return InterceptFor(Hospitals()[h].prevalence, DrawLogOdds(h, kCalibrationPatients, rng));
}

PopulationSample Sample(std::size_t h, int patients, double intercept, Rng& rng) {
  PopulationSample sample;
  sample.linear_predictor = DrawLogOdds(h, patients, rng);
  for (double& eta : sample.linear_predictor) {
    eta += intercept;
    sample.outcome.push_back(rng.Chance(Expit(eta)) ? 1 : 0);
  }
  return sample;
}

// ---- scanners ----

struct Scanner {
  std::array<int, 3> size;           // voxels along posterior, inferior, right
  std::array<double, 3> spacing_mm;  // slices are the third axis
  engine::Position origin_mm;        // of the middle voxel
  double gain;
  double bias;              // half the range of the field, relative
  engine::Position toward;  // where the field rises, in half fields of view
  double muscle;            // its brightness relative to fatty marrow: the weighting
  double contrast;          // how much trabeculae show, relative: the echo time
  double noise;             // standard deviation, relative to fatty marrow
  double psf_mm;            // standard deviation of the point spread in the slice
};

// In the order of Hospitals(). Where events are frequent trabeculae show least and finest: whoever
// pools features as they are learns the contrary of what holds in every hospital.
// clang-format off
constexpr std::array<Scanner, kHospitalCount> kScanners = {{
    {{48, 44, 20}, {1.10, 1.10, 2.8}, {-14.2, 31.5, -402.5}, 1.0, 0.10, {0.8, 0.3, 0.2}, 0.42, 1.0, 0.022, 0.55},
    {{52, 48, 22}, {1.00, 1.00, 2.5}, {3.1, 22.8, 118.4}, 3.1, 0.20, {0.2, 0.9, -0.3}, 0.36, 1.4, 0.015, 0.62},
    {{44, 40, 18}, {1.20, 1.20, 3.2}, {8.7, -41.0, -77.9}, 0.7, 0.12, {-0.7, 0.2, 0.5}, 0.48, 0.75, 0.028, 0.52},
    {{56, 52, 24}, {0.94, 0.94, 2.3}, {-21.4, 12.6, 1240.8}, 5.2, 0.25, {-0.2, -0.8, 0.4}, 0.33, 0.5, 0.030, 0.48},
    {{44, 40, 16}, {1.20, 1.20, 3.6}, {0.9, 57.3, -15.1}, 0.45, 0.06, {0.5, -0.4, 0.6}, 0.52, 2.0, 0.025, 0.70},
}};
// clang-format on

// ---- a vertebral body ----

// Brightness relative to fatty marrow.
constexpr double kMarrow = 1.0, kCortex = 0.15, kDisc = 0.48, kNucleus = 0.16, kCanal = 0.22;
constexpr double kMarrowLevel = 900;  // in units of the file, at gain 1
constexpr double kCortexMm = 1.2;
constexpr double kRoundingMm = 4;                         // of the rims
constexpr double kDiscMm = 6;                             // half its height
constexpr double kTrabeculaeMm = 1.15, kPatchesMm = 3.6;  // lengths at trait 0
constexpr double kTrabeculae = 0.17, kPatches = 0.06;     // amplitudes at trait 0

// In mm, about the body's centre: left, posterior, up.
struct Body {
  double half_width, half_depth, half_height;
  double wedge;      // how much lower in front, relative to the height
  double concavity;  // of the end plates, mm
  double hollow;     // of the posterior wall, mm
  engine::Position centre;
  engine::SineCosine tilt;  // in the sagittal plane
};

double Bounded(Rng& rng, double sd) { return sd * std::clamp(rng.Normal(), -2.0, 2.0); }

Body DrawBody(const ImagedCase& one, Rng& rng) {
  Body body;
  const double size = (one.patient.woman ? 0.97 : 1.03) * (1 + Bounded(rng, 0.03));
  const double loss = std::clamp(one.traits.height_loss, -2.5, 2.5);
  body.half_width = 20.5 * size * (1 + Bounded(rng, 0.02));
  body.half_depth = 15.5 * size * (1 + Bounded(rng, 0.02));
  body.half_height = 12.5 * size * (1 - 0.09 * loss) * (1 + Bounded(rng, 0.02));
  body.wedge = 0.05 + 0.03 * loss + Bounded(rng, 0.03);
  body.concavity = 1.2 + Bounded(rng, 0.4);
  body.hollow = 1.5 + Bounded(rng, 0.4);
  for (double& middle : body.centre) middle = Bounded(rng, 0.8);
  body.tilt = engine::SineCosineOf(Bounded(rng, 0.08));
  return body;
}

double Square(double x) { return x * x; }

// How far inside something a point lies, in mm; negative outside.
struct Depths {
  double body, column, plate;  // the body; its outline seen from above; its end plates
  double behind;               // the posterior wall
  double axis;                 // distance from the middle of the column, relative to its wall
};
Depths DepthsAt(const Body& body, const engine::Position& at) {
  const double x = at[0] - body.centre[0];
  const double y0 = at[1] - body.centre[1], z0 = at[2] - body.centre[2];
  const double y = body.tilt.cosine * y0 + body.tilt.sine * z0;
  const double z = body.tilt.cosine * z0 - body.tilt.sine * y0;
  const double u = x / body.half_width;
  const double wall = body.half_depth - body.hollow * std::max(0.0, 1 - u * u);
  const double v = y / (y > 0 ? wall : body.half_depth);
  const double across = std::sqrt(std::sqrt(Square(u * u) + Square(v * v)));
  Depths depths;
  depths.axis = across;
  depths.column = (1 - across) * body.half_depth;
  const double anterior = std::clamp(-v, -1.0, 1.0);
  const double half_height = body.half_height * (1 - body.wedge * anterior) -
                             body.concavity * std::max(0.0, 1 - across * across);
  depths.plate = half_height - std::abs(z);
  depths.behind = y - wall;
  const double side = kRoundingMm - depths.column, end = kRoundingMm - depths.plate;
  depths.body = kRoundingMm - std::sqrt(Square(std::max(side, 0.0)) + Square(std::max(end, 0.0))) -
                std::min(std::max(side, end), 0.0);
  return depths;
}

// ---- texture ----

// Gaussian noise of standard deviation 1 that is alike over `length_mm`, as a scanner shows it: a
// point spread makes it longer and weaker, along each axis by the law of Gaussian convolution.
std::vector<double> Texture(const engine::Grid& grid, double length_mm, double psf_mm, Rng& rng) {
  std::vector<double> white;
  white.reserve(grid.voxel_count());
  for (std::size_t i = 0; i < grid.voxel_count(); ++i) white.push_back(rng.Normal());
  engine::Separable kernels;
  double amplitude = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    // A voxel averages over its width w: variance w^2 / 12.
    const double spread = Square(grid.spacing_mm[axis]) / 12 + (axis < 2 ? Square(psf_mm) : 0);
    const double variance = Square(length_mm) + spread;
    amplitude *= std::sqrt(length_mm / std::sqrt(variance));
    const double sigma = std::sqrt(variance) / grid.spacing_mm[axis];
    const int reach = std::min(static_cast<int>(4 * sigma + 0.5), (grid.size[axis] - 1) / 2);
    engine::Kernel kernel{{}, reach};
    double squares = 0;
    for (int i = -reach; i <= reach; ++i) {
      kernel.taps.push_back(Exp(-0.5 * Square(i / sigma)));
      squares += Square(kernel.taps.back());
    }
    for (double& tap : kernel.taps) tap /= std::sqrt(squares);
    kernels[axis] = {kernel};
  }
  engine::Box all;
  for (std::size_t axis = 0; axis < 3; ++axis) all.last[axis] = grid.size[axis] - 1;
  all.empty = false;
  engine::Part part = engine::Pooled({grid, std::move(white)}, {kernels}, engine::Pooling::kSum,
                                     engine::Boundary::kPeriodic, engine::RangesOf(all));
  for (double& value : part.values) value *= amplitude;
  return std::move(part.values);
}

// Slices of one patient, laid out as the scanner does; the middle voxel is at its origin_mm.
std::pair<engine::Grid, engine::Place> LayOut(const Scanner& scanner) {
  engine::Grid grid{scanner.size, scanner.spacing_mm};
  engine::Place place;
  place.direction = {{{0, 1, 0}, {0, 0, -1}, {-1, 0, 0}}};
  engine::Index middle;
  for (std::size_t axis = 0; axis < 3; ++axis) middle[axis] = 0.5 * (scanner.size[axis] - 1);
  const engine::Position reach = engine::PositionOf(grid, place, middle);
  for (std::size_t i = 0; i < 3; ++i) place.origin_mm[i] = scanner.origin_mm[i] - reach[i];
  return {grid, place};
}

// ---- files ----

// One hospital keeps everything in one list; the others have a clinical table too.
bool KeepsOneTable(const Hospital& hospital) { return std::string_view(hospital.name) == "Aalst"; }

// What all hospitals extract: small enough for a minute, with textures finer and coarser than
// trabeculae.
constexpr const char* kParameters =
    R"(# A PyRadiomics parameter file: what every hospital of the demo study extracts.
imageType:
  Original: {}
  LoG: {sigma: [1.5, 3.0]}  # mm
  Wavelet: {}
featureClass:
  shape: [Elongation, Flatness, LeastAxisLength, MajorAxisLength, Maximum3DDiameter, MeshVolume,
          MinorAxisLength, Sphericity, SurfaceArea, SurfaceVolumeRatio]
  firstorder: [10Percentile, 90Percentile, Entropy, InterquartileRange, Kurtosis, Mean, Median,
               RobustMeanAbsoluteDeviation, RootMeanSquared, Skewness, Uniformity, Variance]
  glcm: [ClusterProminence, ClusterShade, Contrast, Correlation, DifferenceEntropy, Id, Idm, Imc1,
         JointEnergy, JointEntropy, SumEntropy]
  glrlm: [GrayLevelNonUniformityNormalized, LongRunEmphasis, RunEntropy, RunPercentage,
          ShortRunEmphasis]
setting:
  resampledPixelSpacing: [1.2, 1.2, 3]  # mm, along posterior, inferior, right: slices are sagittal
  interpolator: sitkBSpline
  binCount: 32  # numbers of an MR image have no unit: no width would fit five scanners
  label: 1
)";

class HospitalLists {
 public:
  HospitalLists(const GeneratedOptions& options, std::size_t h)
      : h_(h),
        hospital_(Hospitals()[h]),
        one_table_(KeepsOneTable(hospital_)),
        rng_(options.seed, "demo imaged patients", h) {
    const double used = std::min(hospital_.patients, kPatientsMax) * options.size;
    records_ = DrawFates(
        hospital_, static_cast<int>(std::floor(used + 0.5)),
        {Fate::kOtherCenter, Fate::kNoRecord, Fate::kOutcomeMissing, Fate::kCovariateMissing},
        rng_);
    const double intercept = Intercept(options.seed, h);
    for (std::size_t i = 0; i < records_.size(); ++i) {
      Record& record = records_[i];
      record.patient = DrawPatient(hospital_, rng_);
      const Traits traits = DrawTraits(record.patient, rng_);
      record.event =
          rng_.Chance(Expit(intercept + LogOddsWithoutIntercept(record.patient, traits)));
      const std::string file = fmt::format("{}/{:03}.nii.gz", hospital_.name, i + 1);
      cases_.push_back({h_, i, "images/" + file, "masks/" + file, record.patient, traits});
    }
  }

  [[nodiscard]] const std::vector<ImagedCase>& cases() const { return cases_; }

  void WriteTo(std::map<std::string, std::string>& files, std::uint64_t seed) {
    CohortTables tables;
    tables.radiomics = fmt::format("features/{}/features.csv", hospital_.name);
    tables.radiomics_id = "id";
    if (!one_table_) {
      tables.clinical = fmt::format("data/{}/{}", hospital_.name, hospital_.clinical);
      files[tables.clinical] = ClinicalTable(hospital_, records_, rng_);
    }
    files[fmt::format("cases-{}.csv", hospital_.name)] = Cases();
    files[fmt::format("{}.yaml", hospital_.name)] = CohortText(hospital_, tables, seed);
  }

 private:
  // The list of cases, in the form that consilium-extract reads.
  [[nodiscard]] std::string Cases() {
    CsvWriter csv;
    csv.Cell("id").Cell("image").Cell("mask");
    if (hospital_.other_center > 0) csv.Cell(kCenterColumn);
    if (one_table_)
      for (const std::string& column : ClinicalColumns(hospital_)) csv.Cell(column);
    csv.EndRow();
    for (std::size_t i = 0; i < records_.size(); ++i) {
      csv.Cell(records_[i].id).Cell(cases_[i].image).Cell(cases_[i].mask);
      if (hospital_.other_center > 0) csv.Cell(CenterOf(hospital_, records_[i]));
      if (one_table_)
        for (const std::string& cell : ClinicalCells(hospital_, records_[i], rng_)) csv.Cell(cell);
      csv.EndRow();
    }
    return csv.text();
  }

  std::size_t h_;
  const Hospital& hospital_;
  bool one_table_;
  Rng rng_;
  std::vector<Record> records_;
  std::vector<ImagedCase> cases_;
};

}  // namespace

Traits TrueLogOdds() { return kLogOdds; }

Volume DrawVolume(std::uint64_t seed, const ImagedCase& one) {
  Rng rng(seed, "demo image", one.hospital << 32U | one.number);
  const Scanner& scanner = kScanners[one.hospital];
  const auto [grid, place] = LayOut(scanner);
  const Body body = DrawBody(one, rng);
  const double fatness = 1 + 0.04 * Age(one.patient) + Bounded(rng, 0.04);
  const double drawn_mm = Bounded(rng, 0.2);  // this reader, this time: larger or smaller
  const double bias = scanner.bias * (1 + Bounded(rng, 0.2));
  const std::vector<double> trabeculae =
      Texture(grid, kTrabeculaeMm * Exp(0.45 * one.traits.coarseness), scanner.psf_mm, rng);
  const std::vector<double> patches = Texture(grid, kPatchesMm, scanner.psf_mm, rng);
  const double of_trabeculae = scanner.contrast * kTrabeculae * Exp(0.38 * one.traits.contrast);
  const double of_patches = kPatches * Exp(0.60 * one.traits.patches);
  const double edge_mm = 0.15 + 0.6 * scanner.psf_mm;  // width of the borders

  Volume volume{{{grid, {}, {true, -32768, 32767}}, place}, {{grid, {}}, place}};
  std::vector<double> values;
  values.reserve(grid.voxel_count());
  volume.mask.mask.inside.reserve(grid.voxel_count());
  for (int k = 0; k < grid.size[2]; ++k) {
    for (int j = 0; j < grid.size[1]; ++j) {
      for (int i = 0; i < grid.size[0]; ++i) {
        const engine::Index index{static_cast<double>(i), static_cast<double>(j),
                                  static_cast<double>(k)};
        engine::Position at = engine::PositionOf(grid, place, index);
        for (std::size_t axis = 0; axis < 3; ++axis) at[axis] -= scanner.origin_mm[axis];
        const Depths depths = DepthsAt(body, at);
        const std::size_t voxel = grid.Index(i, j, k);
        const auto within = [&](double depth_mm) { return Expit(depth_mm / edge_mm); };

        const double disc = within(depths.column) * within(depths.plate + 2 * kDiscMm);
        const double canal =
            within(depths.behind - 4) * within(16 - depths.behind) * within(9 - std::abs(at[0]));
        const double around = scanner.muscle * (1 + 0.12 * trabeculae[voxel]);
        const double filling = kDisc + kNucleus * std::max(0.0, 1 - 1.6 * depths.axis);
        const double outside = around + disc * (filling - around) + canal * (kCanal - around);
        const double marrow =
            kMarrow * fatness *
            (1 + of_trabeculae * trabeculae[voxel] + of_patches * (Square(patches[voxel]) - 1));
        const double bone = within(depths.body), core = within(depths.body - kCortexMm);
        double value = outside * (1 - bone) + kCortex * (bone - core) + marrow * core;

        double field = 1;
        for (std::size_t axis = 0; axis < 3; ++axis) {
          const double from_middle = index[axis] / (0.5 * (grid.size[axis] - 1)) - 1;
          field += bias * scanner.toward[axis] * (from_middle - 0.3 * Square(from_middle));
        }
        value = std::abs(value * field + scanner.noise * rng.Normal());
        value *= kMarrowLevel * scanner.gain;
        values.push_back(std::min(std::floor(value + 0.5), 32767.0));
        volume.mask.mask.inside.push_back(depths.body > drawn_mm ? 1 : 0);
      }
    }
  }
  volume.image.image.values = std::move(values);
  return volume;
}

GeneratedImageStudy GenerateImageStudy(const GeneratedOptions& options) {
  CheckOptions(options);
  GeneratedImageStudy study;
  for (std::size_t h = 0; h < kHospitalCount; ++h) {
    const std::string name = Hospitals()[h].name;
    HospitalLists lists(options, h);
    lists.WriteTo(study.files, options.seed);
    study.cases.insert(study.cases.end(), lists.cases().begin(), lists.cases().end());
    study.hospitals.push_back(name);
    Rng rng(options.seed, "demo images truth", h);
    study.true_external_auc[name] =
        TrueAuc(Sample(h, options.truth_patients, Intercept(options.seed, h), rng));
  }
  study.files["params.yaml"] = kParameters;
  study.files["study.yaml"] = StudyText(options.seed, study.true_external_auc);
  return study;
}

PopulationSample DrawImagedPopulation(const GeneratedOptions& options, std::string_view hospital,
                                      int patients, std::uint64_t sample_seed) {
  CheckOptions(options);
  const std::size_t h = HospitalAt(hospital);
  Rng rng(sample_seed, "demo imaged population", h);
  return Sample(h, patients, Intercept(options.seed, h), rng);
}

}  // namespace consilium::simulation
