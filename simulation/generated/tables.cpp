#include "simulation/generated/tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/csv.h"
#include "base/digest.h"
#include "base/portable_math.h"
#include "base/result.h"
#include "base/rng.h"
#include "learning/auc.h"

namespace consilium::simulation {

namespace {

// ---- features ----

enum class Tail { kNormal, kHeavy };  // x = a + b z, or x = a exp(b z)

struct Kind {
  const char* name;
  double typical;  // a, in the feature's unit
  double spread;   // b: in the feature's unit, or on the log scale
  Tail tail = Tail::kNormal;
};

struct Family {
  const char* name;
  std::vector<Kind> kinds;
};

const Tail kHeavy = Tail::kHeavy;

const std::vector<Family>& Families() {
  static const std::vector<Family> families = {
      {"shape",
       {{"Elongation", 0.72, 0.05},
        {"Flatness", 0.41, 0.04},
        {"LeastAxisLength", 11.2, 1.1},
        {"MajorAxisLength", 38.5, 3.4},
        {"Maximum2DDiameterColumn", 34.1, 3.2},
        {"Maximum2DDiameterRow", 36.4, 3.3},
        {"Maximum2DDiameterSlice", 44.8, 3.9},
        {"Maximum3DDiameter", 47.6, 4.1},
        {"MeshVolume", 9850, 0.28, kHeavy},
        {"MinorAxisLength", 29.7, 2.6},
        {"Sphericity", 0.61, 0.035},
        {"SurfaceArea", 3420, 0.2, kHeavy},
        {"SurfaceVolumeRatio", 0.352, 0.03},
        {"VoxelVolume", 9870, 0.28, kHeavy}}},
      {"firstorder",
       {{"10Percentile", 96, 5.8},
        {"90Percentile", 241, 14},
        {"Energy", 2.9e8, 0.55, kHeavy},
        {"Entropy", 3.12, 0.19},
        {"InterquartileRange", 74, 4.4},
        {"Kurtosis", 3.4, 0.22, kHeavy},
        {"Maximum", 318, 19},
        {"MeanAbsoluteDeviation", 47, 2.8},
        {"Mean", 168, 10},
        {"Median", 171, 10},
        {"Minimum", 31, 1.8},
        {"Range", 287, 17},
        {"RobustMeanAbsoluteDeviation", 31, 1.9},
        {"RootMeanSquared", 178, 11},
        {"Skewness", -0.18, 0.31},
        {"TotalEnergy", 2.9e8, 0.55, kHeavy},
        {"Uniformity", 0.138, 0.0083},
        {"Variance", 3350, 0.3, kHeavy}}},
      {"glcm",
       {{"Autocorrelation", 62, 0.33, kHeavy},
        {"ClusterProminence", 2140, 0.62, kHeavy},
        {"ClusterShade", -18, 11},
        {"ClusterTendency", 17.5, 0.34, kHeavy},
        {"Contrast", 3.9, 0.29, kHeavy},
        {"Correlation", 0.55, 0.03},
        {"DifferenceAverage", 1.34, 0.08},
        {"DifferenceEntropy", 1.98, 0.11},
        {"DifferenceVariance", 1.9, 0.26, kHeavy},
        {"Id", 0.55, 0.02},
        {"Idm", 0.49, 0.022},
        {"Idmn", 0.972, 0.0022},
        {"Idn", 0.9, 0.007},
        {"Imc1", -0.25, 0.015},
        {"Imc2", 0.72, 0.02},
        {"InverseVariance", 0.41, 0.018},
        {"JointAverage", 7.6, 0.46},
        {"JointEnergy", 0.031, 0.0019},
        {"JointEntropy", 5.74, 0.34},
        {"MCC", 0.62, 0.025},
        {"MaximumProbability", 0.078, 0.0047},
        {"SumAverage", 15.2, 0.91},
        {"SumEntropy", 3.97, 0.23},
        {"SumSquares", 5.4, 0.31, kHeavy}}},
      {"glrlm",
       {{"GrayLevelNonUniformity", 890, 0.4, kHeavy},
        {"GrayLevelNonUniformityNormalized", 0.128, 0.0077},
        {"GrayLevelVariance", 6.1, 0.3, kHeavy},
        {"HighGrayLevelRunEmphasis", 67, 0.32, kHeavy},
        {"LongRunEmphasis", 2.35, 0.25, kHeavy},
        {"LongRunHighGrayLevelEmphasis", 152, 0.42, kHeavy},
        {"LongRunLowGrayLevelEmphasis", 0.11, 0.47, kHeavy},
        {"LowGrayLevelRunEmphasis", 0.042, 0.36, kHeavy},
        {"RunEntropy", 4.31, 0.2},
        {"RunLengthNonUniformity", 5120, 0.35, kHeavy},
        {"RunLengthNonUniformityNormalized", 0.58, 0.026},
        {"RunPercentage", 0.68, 0.022},
        {"RunVariance", 0.62, 0.34, kHeavy},
        {"ShortRunEmphasis", 0.74, 0.018},
        {"ShortRunHighGrayLevelEmphasis", 54, 0.33, kHeavy},
        {"ShortRunLowGrayLevelEmphasis", 0.034, 0.35, kHeavy}}},
      {"glszm",
       {{"GrayLevelNonUniformity", 171, 0.42, kHeavy},
        {"GrayLevelNonUniformityNormalized", 0.115, 0.0069},
        {"GrayLevelVariance", 6.9, 0.31, kHeavy},
        {"HighGrayLevelZoneEmphasis", 71, 0.33, kHeavy},
        {"LargeAreaEmphasis", 412, 0.85, kHeavy},
        {"LargeAreaHighGrayLevelEmphasis", 24800, 0.9, kHeavy},
        {"LargeAreaLowGrayLevelEmphasis", 16.5, 0.95, kHeavy},
        {"LowGrayLevelZoneEmphasis", 0.047, 0.38, kHeavy},
        {"SizeZoneNonUniformity", 640, 0.45, kHeavy},
        {"SizeZoneNonUniformityNormalized", 0.39, 0.022},
        {"SmallAreaEmphasis", 0.6, 0.024},
        {"SmallAreaHighGrayLevelEmphasis", 48, 0.35, kHeavy},
        {"SmallAreaLowGrayLevelEmphasis", 0.029, 0.4, kHeavy},
        {"ZoneEntropy", 5.92, 0.31},
        {"ZonePercentage", 0.24, 0.014},
        {"ZoneVariance", 391, 0.85, kHeavy}}},
      {"gldm",
       {{"DependenceEntropy", 6.48, 0.27},
        {"DependenceNonUniformity", 1210, 0.38, kHeavy},
        {"DependenceNonUniformityNormalized", 0.121, 0.0073},
        {"DependenceVariance", 18.7, 0.28, kHeavy},
        {"GrayLevelNonUniformity", 1340, 0.41, kHeavy},
        {"GrayLevelVariance", 5.5, 0.3, kHeavy},
        {"HighGrayLevelEmphasis", 65, 0.32, kHeavy},
        {"LargeDependenceEmphasis", 71, 0.3, kHeavy},
        {"LargeDependenceHighGrayLevelEmphasis", 4480, 0.42, kHeavy},
        {"LargeDependenceLowGrayLevelEmphasis", 3.3, 0.52, kHeavy},
        {"LowGrayLevelEmphasis", 0.041, 0.37, kHeavy},
        {"SmallDependenceEmphasis", 0.079, 0.0047},
        {"SmallDependenceHighGrayLevelEmphasis", 5.6, 0.37, kHeavy},
        {"SmallDependenceLowGrayLevelEmphasis", 0.0037, 0.41, kHeavy}}},
      {"ngtdm",
       {{"Busyness", 1.15, 0.4, kHeavy},
        {"Coarseness", 0.0016, 0.33, kHeavy},
        {"Complexity", 395, 0.36, kHeavy},
        {"Contrast", 0.067, 0.35, kHeavy},
        {"Strength", 1.02, 0.43, kHeavy}}}};
  return families;
}

struct Image {
  const char* name;
  double scale;  // of the features' units relative to the original image
  std::vector<std::string_view> families;
};

const std::vector<Image>& Images() {
  static const std::vector<Image> images = {
      {"original", 1, {"shape", "firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm"}},
      {"log-sigma-1-0-mm-3D", 0.6, {"firstorder", "glcm"}},
      {"log-sigma-3-0-mm-3D", 0.8, {"firstorder", "glcm", "glrlm"}},
      {"wavelet-LLH", 0.35, {"firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm"}}};
  return images;
}

struct Signal {
  std::string_view feature;
  double log_odds;  // a standard deviation of z
};

// Different blocks, different sizes, both signs; two of them heavy-tailed.
constexpr std::array<Signal, 12> kSignals = {{
    {"original_shape_Sphericity", -0.43},
    {"original_firstorder_Entropy", 0.62},
    {"original_glcm_Idm", -0.52},
    {"original_glrlm_RunEntropy", 0.48},
    {"original_glszm_ZonePercentage", -0.48},
    {"original_gldm_DependenceEntropy", 0.38},
    {"log-sigma-1-0-mm-3D_glcm_Correlation", -0.57},
    {"log-sigma-3-0-mm-3D_firstorder_Kurtosis", 0.48},
    {"log-sigma-3-0-mm-3D_glrlm_RunPercentage", 0.43},
    {"wavelet-LLH_firstorder_Skewness", -0.52},
    {"wavelet-LLH_glcm_DifferenceVariance", 0.43},
    {"wavelet-LLH_glszm_SmallAreaEmphasis", 0.38},
}};

// Columns with single missing cells; none of them carries the signal.
constexpr std::array<std::string_view, 4> kPatchyFeatures = {
    "original_firstorder_Skewness", "original_glszm_LargeAreaLowGrayLevelEmphasis",
    "wavelet-LLH_firstorder_Kurtosis", "wavelet-LLH_glcm_Correlation"};
// Divides by zero in a flat region.
constexpr std::string_view kSometimesInfinite = "wavelet-LLH_ngtdm_Strength";

// z = kBlockLoading u + kNeighbourLoading w + age, sex + rest: correlations of about 0.3 inside a
// family of features, 0.7 between the kNeighbours features that stand together in it.
constexpr double kBlockLoading = 0.55;
constexpr double kNeighbourLoading = 0.62;
constexpr int kNeighbours = 4;
constexpr double kAgeLoading = 0.18;  // standard deviation over features
constexpr double kSexLoading = 0.12;

// ---- scanners ----

// How far scanners part, in standard deviations of a feature: along the common axis, a family's
// own shift, a feature's own; and the stretch, on the log scale.
constexpr double kAxisShift = 1.5;
constexpr double kFamilyShift = 0.6;
constexpr double kOwnShift = 1.2;
constexpr double kFamilyStretch = 0.3;
constexpr double kOwnStretch = 0.6;
constexpr double kShiftMax = 3;       // either way
constexpr double kStretchMax = 0.9;   // either way, on the log scale
constexpr double kShapeShare = 0.15;  // of all this, on shape: scanners hardly change outlines

struct ScannerEffect {
  double shift = 0;    // gamma
  double stretch = 1;  // delta
};

struct Feature {
  std::string name;
  std::string family;
  const Kind* kind = nullptr;
  double unit = 1;
  std::size_t block = 0;      // image and family
  std::size_t neighbour = 0;  // group of kNeighbours features of a block
  std::size_t same_as = 0;    // index of the feature whose values it has; itself if its own
  double of_age = 0;
  double of_sex = 0;
  double own = 0;
  double log_odds = 0;
  std::array<ScannerEffect, kHospitalCount> scanner;
};

constexpr int kCalibrationPatients = 4000;

// The generating model: everything but patients.
class Model {
 public:
  explicit Model(std::uint64_t seed) : seed_(seed) {
    ListFeatures();
    DrawLoadings();
    DrawScanners();
    for (const Signal& signal : kSignals) {
      const auto found =
          std::find_if(features_.begin(), features_.end(),
                       [&](const Feature& feature) { return feature.name == signal.feature; });
      CONSILIUM_CHECK(found != features_.end(), "a signal is no feature");
      found->log_odds = signal.log_odds;
    }
    for (std::size_t i = 0; i < features_.size(); ++i) {
      all_.push_back(i);
      if (features_[i].log_odds != 0) signals_.push_back(i);
    }
    for (std::size_t h = 0; h < kHospitalCount; ++h) intercepts_[h] = Intercept(h);
  }

  [[nodiscard]] const std::vector<Feature>& features() const { return features_; }

  // The biological values of all features, or of the signals alone. [G]; 0 where not drawn.
  void DrawBiology(const Patient& patient, bool signals_alone, Rng& rng,
                   std::vector<double>& z) const {
    std::vector<double> block(block_count_);
    for (double& value : block) value = rng.Normal();
    z.assign(features_.size(), 0);
    std::optional<std::size_t> neighbour;
    double shared = 0;
    const double age = Age(patient);
    const double sex = patient.woman ? 1 : -1;
    for (const std::size_t i : signals_alone ? signals_ : all_) {
      const Feature& feature = features_[i];
      if (feature.same_as != i) {
        z[i] = z[feature.same_as];
        continue;
      }
      if (neighbour != feature.neighbour) {
        neighbour = feature.neighbour;
        shared = rng.Normal();
      }
      z[i] = kBlockLoading * block[feature.block] + kNeighbourLoading * shared +
             feature.of_age * age + feature.of_sex * sex + feature.own * rng.Normal();
    }
  }

  // eta of a patient at hospital h.
  [[nodiscard]] double LinearPredictor(std::size_t h, const Patient& patient,
                                       const std::vector<double>& z) const {
    double eta = intercepts_[h] + ClinicalLogOdds(patient);
    for (const std::size_t i : signals_) eta += features_[i].log_odds * z[i];
    return eta;
  }

  // What the table of hospital h shows of feature i.
  [[nodiscard]] double Measured(std::size_t h, std::size_t i, double z) const {
    const Feature& feature = features_[i];
    const auto& [shift, stretch] = feature.scanner[h];
    const Kind& kind = *feature.kind;
    if (kind.tail == Tail::kHeavy) {  // a factor shifts and stretches at once
      return feature.unit * kind.typical * Exp(kind.spread * (z + shift));
    }
    return feature.unit * (kind.typical + kind.spread * (shift + stretch * z));
  }

  [[nodiscard]] PopulationSample Sample(std::size_t h, int patients, Rng& rng) const {
    PopulationSample sample;
    std::vector<double> z;
    for (int i = 0; i < patients; ++i) {
      const Patient patient = DrawPatient(Hospitals()[h], rng);
      DrawBiology(patient, true, rng, z);
      sample.linear_predictor.push_back(LinearPredictor(h, patient, z));
      sample.outcome.push_back(rng.Chance(Expit(sample.linear_predictor.back())) ? 1 : 0);
    }
    return sample;
  }

 private:
  void ListFeatures() {
    std::size_t neighbour = 0;
    for (const Image& image : Images()) {
      for (const std::string_view family_name : image.families) {
        const auto family =
            std::find_if(Families().begin(), Families().end(),
                         [&](const Family& candidate) { return family_name == candidate.name; });
        std::size_t energy = 0;
        for (std::size_t k = 0; k < family->kinds.size(); ++k) {
          const Kind& kind = family->kinds[k];
          Feature feature;
          feature.name = fmt::format("{}_{}_{}", image.name, family->name, kind.name);
          feature.family = family->name;
          feature.kind = &kind;
          feature.unit = image.scale;
          feature.block = block_count_;
          feature.neighbour = neighbour + k / kNeighbours;
          feature.same_as = features_.size();
          // Voxels of 1 mm3: the energy per volume is the energy.
          if (std::string_view(kind.name) == "Energy") energy = features_.size();
          if (std::string_view(kind.name) == "TotalEnergy") feature.same_as = energy;
          features_.push_back(std::move(feature));
        }
        neighbour += (family->kinds.size() + kNeighbours - 1) / kNeighbours;
        ++block_count_;
      }
    }
  }

  void DrawLoadings() {
    Rng rng(seed_, "demo loadings");
    for (Feature& feature : features_) {
      feature.of_age = kAgeLoading * std::clamp(rng.Normal(), -2.0, 2.0);
      feature.of_sex = kSexLoading * std::clamp(rng.Normal(), -2.0, 2.0);
      feature.own =
          std::sqrt(1 - kBlockLoading * kBlockLoading - kNeighbourLoading * kNeighbourLoading -
                    feature.of_age * feature.of_age - feature.of_sex * feature.of_sex);
    }
  }

  void DrawScanners() {
    Rng axis_rng(seed_, "demo axis");
    std::vector<double> axis;
    for (std::size_t i = 0; i < features_.size(); ++i) axis.push_back(axis_rng.Normal());
    for (std::size_t h = 0; h < kHospitalCount; ++h) {
      Rng rng(seed_, "demo scanner", h);
      std::vector<ScannerEffect> block(block_count_);
      for (ScannerEffect& effect : block) {
        effect.shift = kFamilyShift * rng.Normal();
        effect.stretch = kFamilyStretch * rng.Normal();
      }
      for (std::size_t i = 0; i < features_.size(); ++i) {
        Feature& feature = features_[i];
        const double share = feature.family == "shape" ? kShapeShare : 1;
        const double shift = std::clamp(kAxisShift * Hospitals()[h].protocol * axis[i] +
                                            block[feature.block].shift + kOwnShift * rng.Normal(),
                                        -kShiftMax, kShiftMax);
        const double stretch = std::clamp(block[feature.block].stretch + kOwnStretch * rng.Normal(),
                                          -kStretchMax, kStretchMax);
        feature.scanner[h] = {share * shift, Exp(share * stretch)};
        if (feature.same_as != i) feature.scanner[h] = features_[feature.same_as].scanner[h];
      }
    }
  }

  // The intercept that gives hospital h its prevalence, from a sample of its own.
  [[nodiscard]] double Intercept(std::size_t h) const {
    Rng rng(seed_, "demo prevalence", h);
    const PopulationSample sample = Sample(h, kCalibrationPatients, rng);  // intercept 0 so far
    return InterceptFor(Hospitals()[h].prevalence, sample.linear_predictor);
  }

  std::uint64_t seed_;
  std::vector<Feature> features_;
  std::vector<std::size_t> all_, signals_;
  std::size_t block_count_ = 0;
  std::array<double, kHospitalCount> intercepts_{};
};

// ---- tables ----

// A row of the radiomics table.
struct Row {
  std::size_t record = 0;
  std::vector<std::string> cells;  // [G] as written
};

// Seven digits, what a person would keep; correctly rounded, so the same everywhere.
std::string Digits(double value) { return fmt::format("{:.7g}", value); }

std::size_t IndexOf(const std::vector<Feature>& features, std::string_view name) {
  for (std::size_t i = 0; i < features.size(); ++i) {
    if (features[i].name == name) return i;
  }
  CONSILIUM_CHECK(false, "no such feature");
  return 0;
}

class HospitalTables {
 public:
  HospitalTables(const Model& model, std::size_t h, const GeneratedOptions& options)
      : model_(model), h_(h), hospital_(Hospitals()[h]), rng_(options.seed, "demo patients", h) {
    const auto used = static_cast<int>(std::floor(hospital_.patients * options.size + 0.5));
    DrawRows(used);
    LoseCells(used);
    RepeatRows();
  }

  [[nodiscard]] std::string Radiomics() const {
    const std::vector<std::size_t> order = ColumnOrder();
    CsvWriter csv(hospital_.separator);
    csv.Cell(hospital_.id);
    if (hospital_.other_center > 0) csv.Cell(kCenterColumn);
    csv.Cell("general_info_Version").Cell("general_info_GeneralSettings");
    csv.Cell("general_info_ImageHash");
    for (const std::size_t i : order) csv.Cell(model_.features()[i].name);
    csv.EndRow();
    for (const Row& row : rows_) {
      const Record& record = records_[row.record];
      csv.Cell(record.id);
      if (hospital_.other_center > 0) csv.Cell(CenterOf(hospital_, record));
      csv.Cell("3.0.1").Cell("{'binWidth': 25, 'resampledPixelSpacing': [1, 1, 1]}");
      csv.Cell(Hex(Sha256(record.id)).substr(0, 16));
      for (const std::size_t i : order) csv.Cell(row.cells[i]);
      csv.EndRow();
    }
    return csv.text();
  }

  [[nodiscard]] std::string Clinical() { return ClinicalTable(hospital_, records_, rng_); }

 private:
  void DrawRows(int used) {
    records_ = DrawFates(hospital_, used,
                         {Fate::kOtherCenter, Fate::kIdMissing, Fate::kNoRecord,
                          Fate::kOutcomeMissing, Fate::kCovariateMissing, Fate::kAllMissing},
                         rng_);
    std::vector<double> z;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      Record& record = records_[i];
      record.patient = DrawPatient(hospital_, rng_);
      model_.DrawBiology(record.patient, false, rng_, z);
      record.event = rng_.Chance(Expit(model_.LinearPredictor(h_, record.patient, z)));
      Row row{i, {}};
      for (std::size_t j = 0; j < z.size(); ++j) {
        row.cells.push_back(record.fate == Fate::kAllMissing
                                ? std::string(hospital_.missing)
                                : Digits(model_.Measured(h_, j, z[j])));
      }
      rows_.push_back(std::move(row));
    }
  }

  void LoseCells(int used) {
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      if (records_[i].fate == Fate::kUsed) kept.push_back(i);
    }
    CONSILIUM_CHECK(kept.size() == static_cast<std::size_t>(used), "cases were lost");
    const auto lose = [&](std::string_view name, int count, const char* text) {
      const std::size_t column = IndexOf(model_.features(), name);
      rng_.Shuffle(kept);
      for (int i = 0; i < count; ++i) rows_[kept[static_cast<std::size_t>(i)]].cells[column] = text;
    };
    for (const std::string_view name : kPatchyFeatures) {
      lose(name, hospital_.patchy_cells, hospital_.missing);
    }
    lose(kSometimesInfinite, hospital_.infinite_cells, "inf");
  }

  // Extracted twice; the second time with a mask drawn anew.
  void RepeatRows() {
    for (int left = hospital_.repeated; left > 0;) {
      Row again = rows_[rng_.Below(records_.size())];
      if (records_[again.record].fate != Fate::kUsed) continue;
      for (std::string& cell : again.cells) {
        if (const auto number = ParseNumber(cell)) {
          cell = Digits(*number * (1 + 0.01 * rng_.Normal()));
        }
      }
      rows_.push_back(std::move(again));
      --left;
    }
  }

  // As extracted, backwards, or sorted by name.
  [[nodiscard]] std::vector<std::size_t> ColumnOrder() const {
    const std::vector<Feature>& features = model_.features();
    std::vector<std::size_t> order(features.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    if (h_ % 3 == 1) std::reverse(order.begin(), order.end());
    if (h_ % 3 == 2) {
      std::sort(order.begin(), order.end(),
                [&](std::size_t a, std::size_t b) { return features[a].name < features[b].name; });
    }
    return order;
  }

  const Model& model_;
  std::size_t h_;
  const Hospital& hospital_;
  Rng rng_;
  std::vector<Record> records_;
  std::vector<Row> rows_;  // of each record, then repeated ones
};

}  // namespace

GeneratedStudy GenerateHospitals(const GeneratedOptions& options) {
  CheckOptions(options);
  const Model model(options.seed);
  GeneratedStudy study;
  for (std::size_t h = 0; h < kHospitalCount; ++h) {
    const Hospital& hospital = Hospitals()[h];
    const std::string folder = fmt::format("data/{}/", hospital.name);
    HospitalTables tables(model, h, options);
    study.hospitals.emplace_back(hospital.name);
    study.files[folder + hospital.radiomics] = tables.Radiomics();
    study.files[folder + hospital.clinical] = tables.Clinical();
    study.files[fmt::format("{}.yaml", hospital.name)] =
        CohortText(hospital,
                   {folder + hospital.radiomics, hospital.id, hospital.separator,
                    folder + hospital.clinical, hospital.id_missing > 0, hospital.repeated > 0},
                   options.seed);
    Rng rng(options.seed, "demo truth", h);
    study.true_external_auc[hospital.name] = TrueAuc(model.Sample(h, options.truth_patients, rng));
  }
  study.files["study.yaml"] = StudyText(options.seed, study.true_external_auc);
  return study;
}

PopulationSample DrawPopulation(const GeneratedOptions& options, std::string_view hospital,
                                int patients, std::uint64_t sample_seed) {
  CheckOptions(options);
  CONSILIUM_CHECK(patients >= 0, "patients must not be negative");
  const std::size_t h = HospitalAt(hospital);
  Rng rng(sample_seed, "demo population", h);
  return Model(options.seed).Sample(h, patients, rng);
}

std::map<std::string, double> TrueCoefficients() {
  std::map<std::string, double> coefficients;
  for (const Signal& signal : kSignals) {
    coefficients.emplace(signal.feature, signal.log_odds);
  }
  return coefficients;
}

}  // namespace consilium::simulation
