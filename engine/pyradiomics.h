// The same features as PyRadiomics names and defines them, from an image and a region to its table.
//
// One engine, another dialect: edges of bins at multiples of the width, kurtosis without the
// subtraction of 3, axes from the covariance divided by N_v, GLCM and GLRLM averaged over
// directions, PyRadiomics' values where a feature is 0 / 0. The order of work is PyRadiomics' too:
// normalise, resample or crop, check the region, resegment, shape, then each image and its classes.
// Names of settings are PyRadiomics' names in our spelling; each comment gives the original.
// Source: the documentation of PyRadiomics 3.1, "Customizing the Extraction" (van Griethuysen et
// al., Cancer Research 77(21):e104-e107, 2017).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/filter/local_binary_pattern.h"
#include "engine/grid.h"

namespace consilium::engine {

// imageType
enum class PyradiomicsFilter {
  kOriginal,
  kLoG,
  kWavelet,
  kSquare,
  kSquareRoot,
  kLogarithm,
  kExponential,
  kGradient,
  kLbp2d,
  kLbp3d,
};
// "LoG". Names of images ("log-sigma-1-0-mm-3D") are made of the settings.
[[nodiscard]] std::string_view Name(PyradiomicsFilter filter);
// Every filter, in the order of the enumeration.
[[nodiscard]] std::span<const PyradiomicsFilter> AllPyradiomicsFilters();

// interpolator: sitkNearestNeighbor, sitkLinear, sitkBSpline.
enum class PyradiomicsInterpolator { kNearest, kLinear, kBSpline };

// The largest of `distances`: the levels of all neighbours as far add up to less than 2^32.
inline constexpr int kPyradiomicsDistanceMax = 15;
// More grey levels make tables of GLCM that no region fills.
inline constexpr int kPyradiomicsBinCountMax = 5000;
inline constexpr int kPyradiomicsLevelsMax = 10;  // of wavelets

// resegmentMode: what resegmentRange counts in.
enum class PyradiomicsResegmentMode {
  kAbsolute,  // intensities
  kRelative,  // the region's maximum
  kSigma,     // standard deviations from the region's mean
};

// weightingNorm: GLCM weighted by exp(-d^2), GLRLM by d, d the length in mm of a direction.
enum class PyradiomicsWeighting {
  kSeparate,     // none given: features of each direction, averaged
  kNoWeighting,  // the others add directions up, here with weight 1
  kManhattan,
  kEuclidean,
  kInfinity,
};

// A width of LoG. Images are named as it was written: "log-sigma-1-mm-3D" or "log-sigma-1-0-mm-3D".
struct PyradiomicsSigma {
  double mm = 1;  // > 0
  bool written_as_integer = false;
};

// What an image type may set for itself alone: what filters and classes of features read.
struct PyradiomicsImageSettings {
  double bin_width = 25;             // binWidth; > 0
  std::optional<int> bin_count;      // binCount; >= 1; instead of the width
  double voxel_array_shift = 0;      // voxelArrayShift: added before energy and root mean square
  bool force_2d = false;             // force2D: textures within slices only
  int force_2d_dimension = 0;        // force2Ddimension: across slices; 0 z, 1 y, 2 x
  std::vector<int> distances = {1};  // distances, of GLCM, GLDM and NGTDM; each >= 1
  PyradiomicsWeighting weighting = PyradiomicsWeighting::kSeparate;  // weightingNorm
  bool symmetrical_glcm = true;                                      // symmetricalGLCM
  int gldm_alpha = 0;                                                // gldm_a; >= 0
  std::vector<PyradiomicsSigma> sigmas;                              // sigma: one image each
  std::string wavelet = "coif1";                                     // wavelet
  int wavelet_levels = 1;                                            // level; 1 to 10
  int wavelet_start_level = 0;                                       // start_level; 0 to 10
  bool gradient_use_spacing = true;                                  // gradientUseSpacing
  double lbp_2d_radius = 1;                                          // lbp2DRadius; voxels, > 0
  int lbp_2d_samples = 8;                                            // lbp2DSamples; 1 to 30
  LocalBinaryPattern lbp_2d_method = LocalBinaryPattern::kUniform;   // lbp2DMethod
  int lbp_3d_levels = 2;                                             // lbp3DLevels; 2 to 10
  double lbp_3d_radius = 1;     // lbp3DIcosphereRadius; voxels, > 0
  int lbp_3d_subdivisions = 1;  // lbp3DIcosphereSubdivision; 0 to 3
};

struct PyradiomicsImageType {
  PyradiomicsFilter filter = PyradiomicsFilter::kOriginal;
  PyradiomicsImageSettings settings;
};

// featureClass
struct PyradiomicsClass {
  std::string name;                   // "glcm"
  std::vector<std::string> features;  // empty: all but the deprecated
};

struct PyradiomicsSettings {
  // The images, in their order; PyRadiomics' default is the original alone.
  std::vector<PyradiomicsImageType> images = {{}};
  // The classes, in their order; shape and shape2D are always first.
  std::vector<PyradiomicsClass> classes = {{"firstorder", {}}, {"glcm", {}},  {"gldm", {}},
                                           {"glrlm", {}},      {"glszm", {}}, {"ngtdm", {}},
                                           {"shape", {}}};

  bool normalize = false;                 // normalize: (x - mean) / deviation of the whole image
  double normalize_scale = 1;             // normalizeScale; > 0; times that
  std::optional<double> remove_outliers;  // removeOutliers; > 0: clipped at so many deviations

  // resampledPixelSpacing: along x, y, z; 0 keeps an axis; none: no resampling.
  std::optional<std::array<double, 3>> resampled_spacing_mm;
  PyradiomicsInterpolator interpolator = PyradiomicsInterpolator::kBSpline;  // interpolator
  int pad_distance = 5;   // padDistance; >= 0; voxels kept around the region's box
  bool pre_crop = false;  // preCrop: to that box, where nothing is resampled

  std::vector<double> resegment_range;  // resegmentRange: none, a lower end, or both ends
  PyradiomicsResegmentMode resegment_mode = PyradiomicsResegmentMode::kAbsolute;  // resegmentMode
  bool resegment_shape = false;  // resegmentShape: shape too is of what is left

  int minimum_roi_dimensions = 2;       // minimumROIDimensions; 1 to 3: axes with 2 voxels or more
  std::optional<int> minimum_roi_size;  // minimumROISize; > 0: a region needs more voxels than it

  // For whoever reads the files; nothing here looks at them.
  int label = 1;                             // label; >= 1
  int label_channel = 0;                     // label_channel; >= 0
  bool correct_mask = false;                 // correctMask
  std::optional<double> geometry_tolerance;  // geometryTolerance; > 0
  bool additional_info = true;               // additionalInfo

  // shape2D needs to know the slices: force2D and force2Ddimension under `setting`.
  bool force_2d = false;
  int force_2d_dimension = 0;
};

struct PyradiomicsFeature {
  std::string image;               // "original", "log-sigma-1-0-mm-3D", "wavelet-LLH"
  std::string_view feature_class;  // "glcm"
  std::string_view name;           // "JointEntropy"
  double value = 0;
};

// What happened on the way, for the row's diagnostics.
struct PyradiomicsDiagnostics {
  Grid grid;                                 // of the images, after resampling or cropping
  std::int64_t voxel_count = 0;              // of the region, after resampling
  std::int64_t resegmented_voxel_count = 0;  // of what is left of it
  double volume_mm3 = 0;                     // of the region, by voxels, before resegmentation
  struct LevelCount {
    std::string image;
    int levels = 0;  // the highest level in the region
  };
  std::vector<LevelCount> level_counts;  // an image each
  // Sentences: less than 8 or more than 256 levels, an image or a class that was left out.
  std::vector<std::string> warnings;
};

struct PyradiomicsExtraction {
  std::vector<PyradiomicsFeature> features;  // in the order of PyRadiomics' columns
  PyradiomicsDiagnostics diagnostics;
};

// Everything of one region. `image` and `mask` on one grid. Intensities of `image.numbers` are
// resampled to numbers of that kind, as the file's type has it.
// Errors: kInvalidArgument (grids differ, no voxel, a single one, less than the minimum; a setting
// out of its bounds: names it; no voxel is left after resegmentation), kNotFound (a class, feature
// or wavelet that is not known), kOutOfRange (too many grey levels: says how wide bins must be).
[[nodiscard]] Result<PyradiomicsExtraction> PyradiomicsFeatures(
    const Image& image, const Mask& mask, const PyradiomicsSettings& settings = {});

// A feature that may be named under a class.
struct PyradiomicsFeatureName {
  enum class Kind {
    kDefault,    // on unless a list leaves it out
    kOnDemand,   // deprecated: only where it is named
    kWithdrawn,  // deprecated, and PyRadiomics gives no value even where it is named
  };
  std::string_view feature_class;
  std::string_view name;
  Kind kind = Kind::kDefault;
  std::string_view same_as;  // of a withdrawn one: the feature that has its value
};
// All of them: by class, then name, as PyRadiomics orders columns.
[[nodiscard]] std::span<const PyradiomicsFeatureName> PyradiomicsFeatureNames();

}  // namespace consilium::engine
