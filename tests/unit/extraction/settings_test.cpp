#include "extraction/settings.h"

#include <gtest/gtest.h>

#include <set>

#include "extraction/describe.h"
#include "extraction/landmarks.h"

namespace consilium::extraction {
namespace {

TEST(Settings, AParameterFileIsTakenAsItIs) {
  const auto settings = ReadSettings("setting: {binWidth: 5, label: 3}\n", "p.yaml");
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  const auto& dialect = std::get<engine::PyradiomicsSettings>(settings->dialect);
  EXPECT_EQ(dialect.images.front().settings.bin_width, 5);
  EXPECT_EQ(settings->label, 3);
  EXPECT_TRUE(SameBitsEverywhere(*settings));
}

TEST(Settings, TheLabelOfAParameterFilesContentCountsWhereOursNamesNone) {
  for (const auto& [ours, label] : {std::pair("", 3), std::pair("label: 5\n", 5)}) {
    const auto settings = ReadSettings(
        std::string(ours) + "format: 1\npyradiomics: {setting: {label: 3}}\n", "s.yaml");
    ASSERT_TRUE(settings.has_value()) << settings.error().message;
    EXPECT_EQ(settings->label, label);
  }
}

TEST(Settings, OursHasStepsQualityAndADialect) {
  const auto settings = ReadSettings(R"(
format: 1
preprocessing:
  - n4: {shrink: 2, iterations: [10, 20]}
  - standard_score: {within: region, clip_sigmas: 3, scale: 100}
  - landmarks: {percentiles: [1, 50, 99], landmarks: [0, 40, 100]}
  - stripe: {mode: last, tau: 0.1, scale: ratio}
quality: {volume_min_mm3: 10, slices_min: 2}
semantic: {across: y, fat_threshold: 100}
ibsi:
  spacing_mm: [1, 1, 2]
  interpolation: cubic
  round: true
  range: [-100, null]
  bins: {width: 20, lowest: -100}
  volume_histogram: {width: 2.5}
  aggregations: [3d]
  images:
    - original
    - {mean: {support: 5, boundary: zero}}
    - {laplacian: {sigma_mm: 1.5, name: log, bins: {count: 16}}}
    - {laws: {kernels: L5S5E5, pooling: mean}}
    - {gabor: {planes: orthogonal, theta_step_deg: 45}}
    - {wavelet: {wavelet: coif1, band: HHL, level: 2, decimated: true}}
    - {simoncelli: {level: 2}}
    - {riesz: {order: [0, 2, 0], simoncelli: {level: 1}}}
)",
                                     "s.yaml");
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  ASSERT_EQ(settings->steps.size(), 4U);
  EXPECT_EQ(std::get<BiasField>(settings->steps[0]).options.iterations, (std::vector<int>{10, 20}));
  EXPECT_TRUE(std::get<StandardScoreStep>(settings->steps[1]).within_region);
  EXPECT_EQ(std::get<LandmarksStep>(settings->steps[2]).standard.landmarks[1], 40);
  EXPECT_EQ(std::get<StripeStep>(settings->steps[3]).scale, engine::TissueScale::kRatio);
  EXPECT_FALSE(SameBitsEverywhere(*settings));
  EXPECT_EQ(settings->plausible.slices_min, 2);
  EXPECT_EQ(settings->semantic->axis, 1U);
  const auto& ibsi = std::get<IbsiChoice>(settings->dialect);
  EXPECT_EQ(ibsi.settings.resegmentation.low, -100);
  EXPECT_FALSE(ibsi.settings.resegmentation.high.has_value());
  EXPECT_FALSE(ibsi.settings.by_slice);
  EXPECT_TRUE(ibsi.original);
  ASSERT_EQ(ibsi.images.size(), 7U);
  EXPECT_EQ(ibsi.images[1].name, "log");
  EXPECT_EQ(ibsi.images[1].bins->bin_count, 16);
  EXPECT_EQ(std::get<engine::GaborFilter>(ibsi.images[3].filter).planes.size(), 3U);
  EXPECT_TRUE(std::get<engine::WaveletFilter>(ibsi.images[4].filter).decimated);
  EXPECT_EQ(std::get<engine::RieszFilter>(ibsi.images[6].filter).order[1], 2);
}

TEST(Settings, EveryMistakeIsToldWithItsPlace) {
  const auto settings = ReadSettings(R"(
format: 1
preprocessing:
  - n5
  - standard_score: {wthin: region}
ibsi:
  bins: {width: 20, count: 3}
  images: [{meen: {}}, {mean: {boundary: mirrored}}, {riesz: {order: [1, 2e34, 0]}}]
pyradiomics: {}
)",
                                     "s.yaml");
  ASSERT_FALSE(settings.has_value());
  for (const char* part :
       {"s.yaml:4:5", "'n5' is no step (did you mean 'n4'?)", "unknown key 'wthin'",
        "either width or count", "'meen' is no image (did you mean 'mean'?)",
        "found 'mirrored' (did you mean 'mirror'?)", "2e+34 is no order along y",
        "has one dialect"})
    EXPECT_NE(settings.error().message.find(part), std::string::npos) << part << "\n"
                                                                      << settings.error().message;
}

TEST(Describe, EveryFeatureIsThereOnce) {
  const auto features = DescribeFeatures();
  std::set<std::string> names, columns;
  std::size_t standard = 0;
  for (const auto& one : features) {
    EXPECT_FALSE(one.source.empty());
    if (!one.name.empty()) {
      EXPECT_TRUE(names.insert(one.family + one.name).second) << one.name;
    }
    if (!one.pyradiomics.empty()) {
      EXPECT_TRUE(columns.insert(one.pyradiomics).second) << one.pyradiomics;
    }
    standard += one.family == "semantic" || one.ibsi.empty() ? 0 : 1;
  }
  for (const auto& feature : engine::PyradiomicsFeatureNames()) {
    EXPECT_TRUE(
        columns.contains(std::string(feature.feature_class) + "_" + std::string(feature.name)))
        << feature.name;
  }
  EXPECT_GE(standard, 173U);
}

TEST(Landmarks, SumsReadBackAndMakeAStep) {
  engine::LandmarkSums sums;
  sums.rule = {{1, 50, 99}, 0, 100};
  sums.images = 4;
  sums.landmarks = {0, 1.0 / 3, 400};
  const auto back = LandmarkSumsFromJson(ToJson(sums));
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(back->landmarks, sums.landmarks);
  EXPECT_FALSE(LandmarkSumsFromJson("{}").has_value());
  const auto standard = engine::TemplateOf(*back);
  ASSERT_TRUE(standard.has_value());
  const auto settings =
      ReadSettings("format: 1\npyradiomics: {}\n" + ToYaml(*standard, true), "s.yaml");
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  EXPECT_TRUE(std::get<LandmarksStep>(settings->steps[0]).within_region);
  EXPECT_EQ(std::get<LandmarksStep>(settings->steps[0]).standard.landmarks[1], 1.0 / 12);
}

}  // namespace
}  // namespace consilium::extraction
