#include "extraction/parameter_file.h"

#include <gtest/gtest.h>

#include <string>

namespace consilium::extraction {
namespace {

using engine::PyradiomicsFilter;

ParameterFile Read(const std::string& text) {
  auto file = ReadParameterFile(text, "p.yaml");
  EXPECT_TRUE(file.has_value()) << file.error().message;
  return file ? std::move(*file) : ParameterFile{};
}

std::string Refused(const std::string& text) {
  const auto file = ReadParameterFile(text, "p.yaml");
  EXPECT_FALSE(file.has_value()) << text;
  return file ? "" : file.error().message;
}

void ExpectRefused(const std::string& text, const std::vector<std::string>& words) {
  const std::string message = Refused(text);
  for (const std::string& word : words)
    EXPECT_NE(message.find(word), std::string::npos) << word << " is not in: " << message;
}

TEST(ParameterFile, OfNothingButASettingHasTheDefaults) {
  const ParameterFile file = Read("setting:\n  binWidth: 10\n");
  ASSERT_EQ(file.settings.images.size(), 1U);
  EXPECT_EQ(file.settings.images[0].filter, PyradiomicsFilter::kOriginal);
  EXPECT_EQ(file.settings.images[0].settings.bin_width, 10);
  EXPECT_EQ(file.settings.classes.size(), 7U);
  EXPECT_TRUE(file.notes.empty());
}

// The frame that many published files have: LoG, wavelets, normalised, resampled MR.
TEST(ParameterFile, OfAnMrStudyIsReadWhole) {
  const ParameterFile file = Read(R"(
imageType:
  Original: {}
  LoG:
    sigma: [2.0, 3, 4.5]   # mm
  Wavelet: {binWidth: 10}
featureClass:
  shape:
  firstorder: []
  glcm:
    - 'Autocorrelation'
    - 'JointAverage'
  glrlm:
setting:
  normalize: true
  normalizeScale: 100
  removeOutliers: 3
  interpolator: 'sitkLinear'
  resampledPixelSpacing: [2, 2, 0]
  padDistance: 10
  resegmentRange: [-3, 3]
  resegmentMode: sigma
  binWidth: 5
  voxelArrayShift: 300
  weightingNorm:
  minimumROISize: 50
  label: 2
)");
  const auto& s = file.settings;
  EXPECT_TRUE(s.normalize);
  EXPECT_EQ(s.normalize_scale, 100);
  EXPECT_EQ(s.remove_outliers, 3);
  EXPECT_EQ(s.interpolator, engine::PyradiomicsInterpolator::kLinear);
  EXPECT_EQ(s.resampled_spacing_mm, (std::array<double, 3>{2, 2, 0}));
  EXPECT_EQ(s.pad_distance, 10);
  EXPECT_EQ(s.resegment_range, (std::vector<double>{-3, 3}));
  EXPECT_EQ(s.resegment_mode, engine::PyradiomicsResegmentMode::kSigma);
  EXPECT_EQ(s.minimum_roi_size, 50);
  EXPECT_EQ(s.label, 2);
  ASSERT_EQ(s.images.size(), 3U);
  EXPECT_EQ(s.images[1].filter, PyradiomicsFilter::kLoG);
  ASSERT_EQ(s.images[1].settings.sigmas.size(), 3U);
  EXPECT_FALSE(s.images[1].settings.sigmas[0].written_as_integer);
  EXPECT_TRUE(s.images[1].settings.sigmas[1].written_as_integer);
  EXPECT_EQ(s.images[1].settings.bin_width, 5);
  EXPECT_EQ(s.images[2].settings.bin_width, 10);
  EXPECT_EQ(s.images[2].settings.voxel_array_shift, 300);
  ASSERT_EQ(s.classes.size(), 4U);
  EXPECT_EQ(s.classes[0].name, "shape");
  EXPECT_EQ(s.classes[2].features, (std::vector<std::string>{"Autocorrelation", "JointAverage"}));
  EXPECT_TRUE(file.notes.empty());
}

TEST(ParameterFile, OfSlicesIsReadWhole) {
  const ParameterFile file = Read(R"(
imageType:
  Original: {}
  Wavelet: {level: 2, start_level: 1, wavelet: db3}
  Gradient: {gradientUseSpacing: FALSE}
  LBP2D: {lbp2DMethod: var, lbp2DRadius: 1.5, lbp2DSamples: 12, force2D: false}
  LBP3D: {lbp3DLevels: 4, lbp3DIcosphereRadius: 2.5, lbp3DIcosphereSubdivision: 0}
featureClass: {shape2D: , firstorder: }
setting: {force2D: true, force2Ddimension: 1, preCrop: True, distances: [1, 2], gldm_a: 1,
          symmetricalGLCM: false, binCount: 64, weightingNorm: euclidean, correctMask: true,
          minimumROIDimensions: 1, label_channel: 3, additionalInfo: false, resegmentRange: [0],
          resegmentShape: true}
)");
  const auto& s = file.settings;
  EXPECT_TRUE(s.force_2d);
  EXPECT_EQ(s.force_2d_dimension, 1);
  EXPECT_TRUE(s.pre_crop && s.correct_mask && s.resegment_shape);
  EXPECT_FALSE(s.additional_info);
  EXPECT_EQ(s.label_channel, 3);
  EXPECT_EQ(s.minimum_roi_dimensions, 1);
  EXPECT_EQ(s.resegment_range, std::vector<double>{0});
  ASSERT_EQ(s.images.size(), 5U);
  const auto& wavelet = s.images[1].settings;
  EXPECT_EQ(wavelet.distances, (std::vector<int>{1, 2}));
  EXPECT_EQ(wavelet.gldm_alpha, 1);
  EXPECT_FALSE(wavelet.symmetrical_glcm);
  EXPECT_EQ(wavelet.bin_count, 64);
  EXPECT_EQ(wavelet.weighting, engine::PyradiomicsWeighting::kEuclidean);
  EXPECT_EQ(wavelet.wavelet, "db3");
  EXPECT_EQ(wavelet.wavelet_levels, 2);
  EXPECT_EQ(wavelet.wavelet_start_level, 1);
  EXPECT_FALSE(s.images[2].settings.gradient_use_spacing);
  EXPECT_TRUE(s.images[2].settings.force_2d);
  const auto& patterns = s.images[3].settings;
  EXPECT_FALSE(patterns.force_2d);
  EXPECT_EQ(patterns.lbp_2d_method, engine::LocalBinaryPattern::kVariance);
  EXPECT_EQ(patterns.lbp_2d_radius, 1.5);
  EXPECT_EQ(patterns.lbp_2d_samples, 12);
  const auto& sphere = s.images[4].settings;
  EXPECT_EQ(s.images[4].filter, engine::PyradiomicsFilter::kLbp3d);
  EXPECT_EQ(sphere.lbp_3d_levels, 4);
  EXPECT_EQ(sphere.lbp_3d_radius, 2.5);
  EXPECT_EQ(sphere.lbp_3d_subdivisions, 0);
  EXPECT_TRUE(file.notes.empty());
}

TEST(ParameterFile, InJsonIsTheSame) {
  const ParameterFile file = Read(R"({
  "imageType": {"Original": {}, "LoG": {"sigma": [1.0, 3.0]}},
  "featureClass": {"glcm": null, "shape": ["VoxelVolume", "Compactness1"]},
  "setting": {"binWidth": 25, "resampledPixelSpacing": null, "force2D": false, "label": 1}
})");
  EXPECT_EQ(file.settings.images.size(), 2U);
  EXPECT_EQ(file.settings.classes[1].features.size(), 2U);
  EXPECT_FALSE(file.settings.resampled_spacing_mm.has_value());
  EXPECT_EQ(Read("{\n\t\"setting\": {\n\t\t\"label\":\t3\n\t}\n}\n").settings.label,
            3);  // with tabs
}

TEST(ParameterFile, SaysWhereAnUnknownKeyIsAndWhatWasMeant) {
  ExpectRefused("setting:\n  binwith: 25\n", {"p.yaml:2:", "binwith", "did you mean 'binWidth'"});
  ExpectRefused("setting:\n  force2DDimension: 0\n",
                {"p.yaml:2:", "did you mean 'force2Ddimension'"});
  ExpectRefused("imageTypes: {Original: {}}\n", {"did you mean 'imageType'"});
  ExpectRefused("imageType: {wavelet: {}}\n", {"did you mean 'Wavelet'"});
  ExpectRefused("featureClass: {firstOrder: }\n", {"did you mean 'firstorder'"});
  ExpectRefused("featureClass: {shape: [MajorAxis]}\n", {"'MajorAxis' is no feature of shape"});
  ExpectRefused("featureClass:\n  shape:\n  shape:\n", {"p.yaml:3:", "appears twice"});
}

TEST(ParameterFile, RefusesByNameWhatIsNotHonoured) {
  ExpectRefused("setting: {interpolator: sitkLanczosWindowedSinc}\n",
                {"sitkLanczosWindowedSinc", "sitkBSpline"});
  ExpectRefused("voxelSetting: {kernelRadius: 2}\n", {"voxelSetting", "maps of features"});
  ExpectRefused("imageType: {LoG: {}}\n", {"has no sigma"});
  ExpectRefused("imageType: {LoG: {sigma: [1], normalize: true}}\n", {"move it under 'setting'"});
  ExpectRefused("imageType: {Wavelet: {wavelet: db99}}\n", {"db99"});
}

TEST(ParameterFile, ChecksTypesAndRanges) {
  for (const char* wrong : {"binWidth: 0",
                            "binWidth: wide",
                            "binWidth:",
                            "binCount: 0",
                            "binCount: 1000000",
                            "normalize: 1",
                            "normalizeScale: -1",
                            "removeOutliers: 0",
                            "resampledPixelSpacing: [1, 1]",
                            "resampledPixelSpacing: [1, 1, -1]",
                            "resampledPixelSpacing: 1",
                            "interpolator: 7",
                            "padDistance: -1",
                            "padDistance: 1.5",
                            "resegmentRange: []",
                            "resegmentRange: [1, 2, 3]",
                            "resegmentMode: percent",
                            "minimumROIDimensions: 4",
                            "minimumROISize: 0",
                            "label: 0",
                            "label_channel: -1",
                            "geometryTolerance: 0",
                            "force2Ddimension: 3",
                            "distances: []",
                            "distances: [0]",
                            "distances: 1",
                            "weightingNorm: cosine",
                            "gldm_a: -1",
                            "sigma: [0]",
                            "sigma: 1",
                            "level: 0",
                            "start_level: -1",
                            "lbp2DSamples: 0",
                            "lbp2DSamples: 31",
                            "lbp2DRadius: 0",
                            "lbp2DMethod: nri_uniform",
                            "lbp3DLevels: 1",
                            "lbp3DLevels: 11",
                            "lbp3DIcosphereRadius: 0",
                            "lbp3DIcosphereSubdivision: -1",
                            "lbp3DIcosphereSubdivision: 4",
                            "voxelArrayShift: 0.5",
                            "correctMask: maybe",
                            "additionalInfo: 0",
                            "kernelRadius: 1"}) {
    const std::string message = Refused(std::string("setting:\n  ") + wrong + "\n");
    const std::string key = std::string(wrong).substr(0, std::string(wrong).find(':'));
    EXPECT_NE(message.find("p.yaml:2:"), std::string::npos) << wrong << ": " << message;
    EXPECT_NE(message.find(key), std::string::npos) << wrong << ": " << message;
  }
  ExpectRefused("", {"expected a mapping"});
  ExpectRefused("setting: [1]\n", {"expected a mapping"});
  ExpectRefused("imageType:\n", {"imageType"});
  ExpectRefused("featureClass: {glcm: Contrast}\n", {"expected a list"});
}

TEST(ParameterFile, NotesWhatHasNoEffect) {
  const ParameterFile file = Read(R"(
imageType: {Original: {sigma: [1.0]}}
featureClass: {glcm: [Dissimilarity, Contrast]}
setting: {normalizeScale: 100, interpolator: sitkBSpline, resegmentMode: sigma, binCount: 32,
          binWidth: 5, geometryTolerance: 0.01, wavelet: haar}
)");
  std::string all;
  for (const std::string& note : file.notes) all += note + "\n";
  for (const char* key :
       {"imageType.Original.sigma", "featureClass.glcm: Dissimilarity", "normalizeScale",
        "interpolator", "resegmentMode", "binWidth", "geometryTolerance", "wavelet"})
    EXPECT_NE(all.find(key), std::string::npos) << key << " is not in: " << all;
  EXPECT_EQ(file.notes.size(), 8U) << all;
}

TEST(ParameterFile, HasLimits) {
  EXPECT_EQ(ReadParameterFile(std::string(300000, '#'), "p").error().code,
            ErrorCode::kResourceExhausted);
  std::string many = "setting: {sigma: [1";
  for (int i = 0; i < 64; ++i) many += ", 1";
  ExpectRefused(many + "]}\n", {"65 values", "1 to 64"});
}

}  // namespace
}  // namespace consilium::extraction
