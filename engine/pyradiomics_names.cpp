#include <array>

#include "engine/pyradiomics.h"

namespace consilium::engine {
namespace {

using Kind = PyradiomicsFeatureName::Kind;

constexpr std::array<PyradiomicsFeatureName, 127> kNames = {{
    {"firstorder", "10Percentile", Kind::kDefault, ""},
    {"firstorder", "90Percentile", Kind::kDefault, ""},
    {"firstorder", "Energy", Kind::kDefault, ""},
    {"firstorder", "Entropy", Kind::kDefault, ""},
    {"firstorder", "InterquartileRange", Kind::kDefault, ""},
    {"firstorder", "Kurtosis", Kind::kDefault, ""},
    {"firstorder", "Maximum", Kind::kDefault, ""},
    {"firstorder", "MeanAbsoluteDeviation", Kind::kDefault, ""},
    {"firstorder", "Mean", Kind::kDefault, ""},
    {"firstorder", "Median", Kind::kDefault, ""},
    {"firstorder", "Minimum", Kind::kDefault, ""},
    {"firstorder", "Range", Kind::kDefault, ""},
    {"firstorder", "RobustMeanAbsoluteDeviation", Kind::kDefault, ""},
    {"firstorder", "RootMeanSquared", Kind::kDefault, ""},
    {"firstorder", "Skewness", Kind::kDefault, ""},
    {"firstorder", "StandardDeviation", Kind::kOnDemand, ""},
    {"firstorder", "TotalEnergy", Kind::kDefault, ""},
    {"firstorder", "Uniformity", Kind::kDefault, ""},
    {"firstorder", "Variance", Kind::kDefault, ""},
    {"glcm", "Autocorrelation", Kind::kDefault, ""},
    {"glcm", "ClusterProminence", Kind::kDefault, ""},
    {"glcm", "ClusterShade", Kind::kDefault, ""},
    {"glcm", "ClusterTendency", Kind::kDefault, ""},
    {"glcm", "Contrast", Kind::kDefault, ""},
    {"glcm", "Correlation", Kind::kDefault, ""},
    {"glcm", "DifferenceAverage", Kind::kDefault, ""},
    {"glcm", "DifferenceEntropy", Kind::kDefault, ""},
    {"glcm", "DifferenceVariance", Kind::kDefault, ""},
    {"glcm", "Dissimilarity", Kind::kWithdrawn, "DifferenceAverage"},
    {"glcm", "Homogeneity1", Kind::kWithdrawn, "Id"},
    {"glcm", "Homogeneity2", Kind::kWithdrawn, "Idm"},
    {"glcm", "Id", Kind::kDefault, ""},
    {"glcm", "Idm", Kind::kDefault, ""},
    {"glcm", "Idmn", Kind::kDefault, ""},
    {"glcm", "Idn", Kind::kDefault, ""},
    {"glcm", "Imc1", Kind::kDefault, ""},
    {"glcm", "Imc2", Kind::kDefault, ""},
    {"glcm", "InverseVariance", Kind::kDefault, ""},
    {"glcm", "JointAverage", Kind::kDefault, ""},
    {"glcm", "JointEnergy", Kind::kDefault, ""},
    {"glcm", "JointEntropy", Kind::kDefault, ""},
    {"glcm", "MCC", Kind::kDefault, ""},
    {"glcm", "MaximumProbability", Kind::kDefault, ""},
    {"glcm", "SumAverage", Kind::kDefault, ""},
    {"glcm", "SumEntropy", Kind::kDefault, ""},
    {"glcm", "SumSquares", Kind::kDefault, ""},
    {"glcm", "SumVariance", Kind::kWithdrawn, "ClusterTendency"},
    {"gldm", "DependenceEntropy", Kind::kDefault, ""},
    {"gldm", "DependenceNonUniformity", Kind::kDefault, ""},
    {"gldm", "DependenceNonUniformityNormalized", Kind::kDefault, ""},
    {"gldm", "DependencePercentage", Kind::kWithdrawn, "1"},
    {"gldm", "DependenceVariance", Kind::kDefault, ""},
    {"gldm", "GrayLevelNonUniformity", Kind::kDefault, ""},
    {"gldm", "GrayLevelNonUniformityNormalized", Kind::kWithdrawn, "Uniformity"},
    {"gldm", "GrayLevelVariance", Kind::kDefault, ""},
    {"gldm", "HighGrayLevelEmphasis", Kind::kDefault, ""},
    {"gldm", "LargeDependenceEmphasis", Kind::kDefault, ""},
    {"gldm", "LargeDependenceHighGrayLevelEmphasis", Kind::kDefault, ""},
    {"gldm", "LargeDependenceLowGrayLevelEmphasis", Kind::kDefault, ""},
    {"gldm", "LowGrayLevelEmphasis", Kind::kDefault, ""},
    {"gldm", "SmallDependenceEmphasis", Kind::kDefault, ""},
    {"gldm", "SmallDependenceHighGrayLevelEmphasis", Kind::kDefault, ""},
    {"gldm", "SmallDependenceLowGrayLevelEmphasis", Kind::kDefault, ""},
    {"glrlm", "GrayLevelNonUniformity", Kind::kDefault, ""},
    {"glrlm", "GrayLevelNonUniformityNormalized", Kind::kDefault, ""},
    {"glrlm", "GrayLevelVariance", Kind::kDefault, ""},
    {"glrlm", "HighGrayLevelRunEmphasis", Kind::kDefault, ""},
    {"glrlm", "LongRunEmphasis", Kind::kDefault, ""},
    {"glrlm", "LongRunHighGrayLevelEmphasis", Kind::kDefault, ""},
    {"glrlm", "LongRunLowGrayLevelEmphasis", Kind::kDefault, ""},
    {"glrlm", "LowGrayLevelRunEmphasis", Kind::kDefault, ""},
    {"glrlm", "RunEntropy", Kind::kDefault, ""},
    {"glrlm", "RunLengthNonUniformity", Kind::kDefault, ""},
    {"glrlm", "RunLengthNonUniformityNormalized", Kind::kDefault, ""},
    {"glrlm", "RunPercentage", Kind::kDefault, ""},
    {"glrlm", "RunVariance", Kind::kDefault, ""},
    {"glrlm", "ShortRunEmphasis", Kind::kDefault, ""},
    {"glrlm", "ShortRunHighGrayLevelEmphasis", Kind::kDefault, ""},
    {"glrlm", "ShortRunLowGrayLevelEmphasis", Kind::kDefault, ""},
    {"glszm", "GrayLevelNonUniformity", Kind::kDefault, ""},
    {"glszm", "GrayLevelNonUniformityNormalized", Kind::kDefault, ""},
    {"glszm", "GrayLevelVariance", Kind::kDefault, ""},
    {"glszm", "HighGrayLevelZoneEmphasis", Kind::kDefault, ""},
    {"glszm", "LargeAreaEmphasis", Kind::kDefault, ""},
    {"glszm", "LargeAreaHighGrayLevelEmphasis", Kind::kDefault, ""},
    {"glszm", "LargeAreaLowGrayLevelEmphasis", Kind::kDefault, ""},
    {"glszm", "LowGrayLevelZoneEmphasis", Kind::kDefault, ""},
    {"glszm", "SizeZoneNonUniformity", Kind::kDefault, ""},
    {"glszm", "SizeZoneNonUniformityNormalized", Kind::kDefault, ""},
    {"glszm", "SmallAreaEmphasis", Kind::kDefault, ""},
    {"glszm", "SmallAreaHighGrayLevelEmphasis", Kind::kDefault, ""},
    {"glszm", "SmallAreaLowGrayLevelEmphasis", Kind::kDefault, ""},
    {"glszm", "ZoneEntropy", Kind::kDefault, ""},
    {"glszm", "ZonePercentage", Kind::kDefault, ""},
    {"glszm", "ZoneVariance", Kind::kDefault, ""},
    {"ngtdm", "Busyness", Kind::kDefault, ""},
    {"ngtdm", "Coarseness", Kind::kDefault, ""},
    {"ngtdm", "Complexity", Kind::kDefault, ""},
    {"ngtdm", "Contrast", Kind::kDefault, ""},
    {"ngtdm", "Strength", Kind::kDefault, ""},
    {"shape", "Compactness1", Kind::kOnDemand, ""},
    {"shape", "Compactness2", Kind::kOnDemand, ""},
    {"shape", "Elongation", Kind::kDefault, ""},
    {"shape", "Flatness", Kind::kDefault, ""},
    {"shape", "LeastAxisLength", Kind::kDefault, ""},
    {"shape", "MajorAxisLength", Kind::kDefault, ""},
    {"shape", "Maximum2DDiameterColumn", Kind::kDefault, ""},
    {"shape", "Maximum2DDiameterRow", Kind::kDefault, ""},
    {"shape", "Maximum2DDiameterSlice", Kind::kDefault, ""},
    {"shape", "Maximum3DDiameter", Kind::kDefault, ""},
    {"shape", "MeshVolume", Kind::kDefault, ""},
    {"shape", "MinorAxisLength", Kind::kDefault, ""},
    {"shape", "SphericalDisproportion", Kind::kOnDemand, ""},
    {"shape", "Sphericity", Kind::kDefault, ""},
    {"shape", "SurfaceArea", Kind::kDefault, ""},
    {"shape", "SurfaceVolumeRatio", Kind::kDefault, ""},
    {"shape", "VoxelVolume", Kind::kDefault, ""},
    {"shape2D", "Elongation", Kind::kDefault, ""},
    {"shape2D", "MajorAxisLength", Kind::kDefault, ""},
    {"shape2D", "MaximumDiameter", Kind::kDefault, ""},
    {"shape2D", "MeshSurface", Kind::kDefault, ""},
    {"shape2D", "MinorAxisLength", Kind::kDefault, ""},
    {"shape2D", "Perimeter", Kind::kDefault, ""},
    {"shape2D", "PerimeterSurfaceRatio", Kind::kDefault, ""},
    {"shape2D", "PixelSurface", Kind::kDefault, ""},
    {"shape2D", "SphericalDisproportion", Kind::kOnDemand, ""},
    {"shape2D", "Sphericity", Kind::kDefault, ""},
}};

constexpr std::array kFilters = {PyradiomicsFilter::kOriginal,    PyradiomicsFilter::kLoG,
                                 PyradiomicsFilter::kWavelet,     PyradiomicsFilter::kSquare,
                                 PyradiomicsFilter::kSquareRoot,  PyradiomicsFilter::kLogarithm,
                                 PyradiomicsFilter::kExponential, PyradiomicsFilter::kGradient,
                                 PyradiomicsFilter::kLbp2d,       PyradiomicsFilter::kLbp3d};

}  // namespace

std::span<const PyradiomicsFeatureName> PyradiomicsFeatureNames() { return kNames; }

std::span<const PyradiomicsFilter> AllPyradiomicsFilters() { return kFilters; }

std::string_view Name(PyradiomicsFilter filter) {
  switch (filter) {
    case PyradiomicsFilter::kOriginal:
      return "Original";
    case PyradiomicsFilter::kLoG:
      return "LoG";
    case PyradiomicsFilter::kWavelet:
      return "Wavelet";
    case PyradiomicsFilter::kSquare:
      return "Square";
    case PyradiomicsFilter::kSquareRoot:
      return "SquareRoot";
    case PyradiomicsFilter::kLogarithm:
      return "Logarithm";
    case PyradiomicsFilter::kExponential:
      return "Exponential";
    case PyradiomicsFilter::kGradient:
      return "Gradient";
    case PyradiomicsFilter::kLbp2d:
      return "LBP2D";
    case PyradiomicsFilter::kLbp3d:
      return "LBP3D";
  }
  return {};
}

}  // namespace consilium::engine
