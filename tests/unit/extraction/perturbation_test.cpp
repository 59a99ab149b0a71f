#include "extraction/perturbation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/perturb/contour.h"
#include "engine/perturb/noise.h"
#include "extraction/settings.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::extraction {
namespace {

Settings SettingsOf(const std::string& perturb) {
  auto settings = ReadSettings("format: 1\nperturb: " + perturb + "\npyradiomics: {}\n", "s.yaml");
  EXPECT_TRUE(settings.has_value()) << (settings ? "" : settings.error().message);
  return settings ? std::move(*settings) : Settings();
}

TEST(Perturbations, AreAllCombinationsOfTheLinks) {
  const auto all = PerturbationsOf(
      SettingsOf("{noise: 2, rotation_deg: [-6, 6], translation: [0.25, 0.75], volume: [0.1], "
                 "contour: 2}")
          .perturb);
  ASSERT_EQ(all.size(), 2U * 2 * 8 * 1 * 2);
  std::set<std::string> names;
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].index, i);
    names.insert(all[i].name);
    EXPECT_TRUE(all[i].noise && all[i].contour && all[i].displacement && all[i].volume);
  }
  EXPECT_EQ(names.size(), all.size());
  EXPECT_EQ(all.front().name, "N1 R-6 T0.25/0.25/0.25 V0.1 C1");
  EXPECT_EQ(all[3].name, "N1 R-6 T0.25/0.25/0.75 V0.1 C2");
  EXPECT_EQ(all[3].displacement->shift_voxels, (std::array<double, 3>{0.25, 0.25, 0.75}));
  EXPECT_EQ(all.back().name, "N2 R6 T0.75/0.75/0.75 V0.1 C2");
  EXPECT_TRUE(PerturbationsOf({}).empty());
}

TEST(Perturbations, DoWhatTheirLinksDoOneAfterAnother) {
  const auto region = engine::RandomRegion(1, {12, 11, 10}, 0.5);
  const auto all =
      PerturbationsOf(SettingsOf("{noise: 1, rotation_deg: [5, 9], volume: [0.2]}").perturb);
  ASSERT_EQ(all.size(), 2U);
  const auto once = Perturbed(region.image, region.mask, all[1], 7, "s");
  ASSERT_TRUE(once.has_value()) << once.error().message;

  Rng noise(7, "perturb noise s", 1), volume(7, "perturb volume s", 1);
  const auto sd = engine::NoiseLevel(region.image, region.mask);
  ASSERT_TRUE(sd.has_value());
  const auto turned = engine::Displaced(engine::WithNoise(region.image, *sd, noise), region.mask,
                                        {{}, 9, 2, engine::Interpolation::kLinear});
  ASSERT_TRUE(turned.has_value());
  EXPECT_EQ(once->image.values, turned->image.values);
  EXPECT_EQ(once->mask.inside, engine::Resized(turned->mask, 0.2, volume)->inside);

  // Another region, seed or place in the list is drawn anew.
  const auto image_of = [&](std::size_t i, std::uint64_t seed, const char* subject) {
    Perturbation how = all[1];
    how.index = i;
    return Perturbed(region.image, region.mask, how, seed, subject)->image.values;
  };
  EXPECT_EQ(image_of(1, 7, "s"), once->image.values);
  EXPECT_NE(image_of(0, 7, "s"), once->image.values);
  EXPECT_NE(image_of(1, 8, "s"), once->image.values);
  EXPECT_NE(image_of(1, 7, "t"), once->image.values);
}

TEST(Perturbations, WithoutALinkLeaveItsPartAlone) {
  const auto region = engine::RandomRegion(2, {12, 11, 10}, 0.5);
  const auto volumes = PerturbationsOf(SettingsOf("{volume: [-0.2, 0]}").perturb);
  const auto smaller = Perturbed(region.image, region.mask, volumes[0], 1, ""),
             same = Perturbed(region.image, region.mask, volumes[1], 1, "");
  EXPECT_EQ(smaller->image.values, region.image.values);
  EXPECT_LT(std::count(smaller->mask.inside.begin(), smaller->mask.inside.end(), 1),
            std::count(region.mask.inside.begin(), region.mask.inside.end(), 1));
  EXPECT_EQ(same->mask.inside, region.mask.inside);
  const auto contours = PerturbationsOf(SettingsOf("{contour: 2}").perturb);
  EXPECT_EQ(Perturbed(region.image, region.mask, contours[0], 1, "")->image.values,
            region.image.values);
}

TEST(PerturbSettings, AreBoundedAndRefusedWithTheirPlace) {
  EXPECT_EQ(SettingsOf("{contour: 256, seed: 3, interpolation: cubic}").perturb.seed, 3U);
  for (const auto& [perturb, part] : {std::pair{"{contour: 257}", "perturb.contour"},
                                      {"{contour: 129, noise: 2}", "258 perturbations"},
                                      {"{translation: [1, 2, 3, 4, 5, 6, 7]}", "343 perturbations"},
                                      {"{rotation_deg: [5]}", "1 perturbations"},
                                      {"{}", "0 perturbations"},
                                      {"{rotation_deg: [5, 5]}", "different numbers"},
                                      {"{volume: [-1, 0]}", "from -0.9 to 2"},
                                      {"{rotate: [5]}", "rotate"}}) {
    const auto refused = ReadSettings(
        "format: 1\nperturb: " + std::string(perturb) + "\npyradiomics: {}\n", "s.yaml");
    ASSERT_FALSE(refused.has_value()) << perturb;
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
    EXPECT_EQ(refused.error().message.find("s.yaml:2:"), 0U) << refused.error().message;
  }
}

TEST(PerturbationFile, AndAParameterFileAreOneOfOurs) {
  const std::string perturb = "# ours\nseed: 3\nnoise: 2\nrotation_deg:\n- -6\n- 6\n";
  const std::string parameters =
      "# theirs\nimageType:\n  LoG:\n    sigma:\n    - 2.5\n    - 3\n\nsetting:\n  binWidth: 7\n"
      "  label: 3";
  const auto plain = ReadSettings(parameters, "s.yaml");
  ASSERT_TRUE(plain.has_value()) << plain.error().message;
  std::string returns;
  for (const char c : parameters) returns += c == '\n' ? "\r\n" : std::string(1, c);
  std::set<std::string> texts;
  for (const std::string& written : {parameters, returns, "---\n" + parameters + "\n",
                                     std::string(R"({"imageType": {"LoG": {"sigma": [2.5, 3]}},
 "setting": {"binWidth": 7, "label": 3}})")}) {
    SCOPED_TRACE(written);
    const auto text = WithPerturbations(written, "s.yaml", perturb, "p.yaml");
    ASSERT_TRUE(text.has_value()) << text.error().message;
    texts.insert(*text);
    const auto both = ReadSettings(*text, "both.yaml");
    ASSERT_TRUE(both.has_value()) << both.error().message;
    EXPECT_EQ(both->perturb.seed, 3U);
    EXPECT_EQ(PerturbationsOf(both->perturb).size(), 4U);
    EXPECT_EQ(both->label, 3);
    EXPECT_EQ(both->digest, Sha256(*text));
    const auto& mine = std::get<engine::PyradiomicsSettings>(both->dialect);
    const auto& theirs = std::get<engine::PyradiomicsSettings>(plain->dialect);
    ASSERT_EQ(mine.images.size(), theirs.images.size());
    EXPECT_EQ(mine.images[0].settings.bin_width, 7);
    EXPECT_EQ(both->notes, plain->notes);
  }
  EXPECT_EQ(texts.size(), 2U);  // word for word: YAML as it is, JSON as it is
  const auto defaults = WithPerturbations("{}", "s.yaml", perturb, "p.yaml");
  ASSERT_TRUE(defaults.has_value()) << defaults.error().message;
  EXPECT_TRUE(ReadSettings(*defaults, "both.yaml").has_value());
}

TEST(PerturbationFile, IsRefusedWithThePlaceInTheFileThatIsWrong) {
  struct Wrong {
    const char *parameters, *perturb, *message;
  };
  for (const auto& [parameters, perturb, message] :
       {Wrong{"setting: {}", "noise: 2\nrotate: [5]\n", "p.yaml:2:1: "},
        {"setting: {}", "perturb: {noise: 2}\n", "p.yaml:1:1: "},
        {"setting: {}", "noise: 1", "p.yaml:1:1: "},
        {"setting: {}", "", "p.yaml:1:1: "},
        {"setting: {}", "{}", "p.yaml:1:1: "},
        {"setting:\n  binWidht: 3", "noise: 2", "s.yaml:2:13: "},
        {"format: 1\npyradiomics: {}\n", "noise: 2", "s.yaml: is no PyRadiomics parameter file"}}) {
    const auto refused = WithPerturbations(parameters, "s.yaml", perturb, "p.yaml");
    ASSERT_FALSE(refused.has_value()) << perturb;
    EXPECT_EQ(refused.error().message.find(message), 0U) << refused.error().message;
  }
}

}  // namespace
}  // namespace consilium::extraction
