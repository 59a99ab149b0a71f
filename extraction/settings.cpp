#include "extraction/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "base/strict_yaml.h"
#include "extraction/parameter_file.h"

namespace consilium::extraction {
namespace {

using engine::Boundary;
using engine::Dimensions;
using engine::Pooling;

constexpr int kSupportMax = 1023;

// Sets `field` if the file has the key.
void Take(const YamlValue& value, double& field) {
  if (const auto number = value.Number()) field = *number;
}
void Take(const YamlValue& value, std::optional<double>& field) {
  if (const auto number = value.Number()) field = number;
}
void Take(const YamlValue& value, bool& field) {
  if (const auto truth = value.Boolean()) field = *truth;
}
void Take(const YamlValue& value, int& field, int low, int high) {
  if (const auto number = value.Integer(low, high)) field = static_cast<int>(*number);
}
void Take(const YamlValue& value, std::string& field) {
  if (auto text = value.NonEmptyText()) field = std::move(*text);
}
template <typename Enum>
struct Word {
  std::string_view word;
  Enum value;
};
template <typename Enum, std::size_t n>
void TakeWord(const YamlValue& value, Enum& field, const std::array<Word<Enum>, n>& words) {
  const auto text = value.Text();
  if (!text) return;
  std::vector<std::string> known;
  for (const auto& [word, meaning] : words) {
    if (word == *text) field = meaning;
    known.emplace_back(word);
  }
  if (std::find(known.begin(), known.end(), *text) == known.end())
    value.Problem(fmt::format("found '{}'{}, expected one of {}", *text, DidYouMean(*text, known),
                              fmt::join(known, ", ")));
}
std::vector<double> Numbers(const YamlValue& value) {
  std::vector<double> numbers;
  if (!value.present()) return numbers;
  for (const YamlValue& item : value.Items()) {
    if (const auto number = item.Number()) numbers.push_back(*number);
  }
  return numbers;
}
// `n` numbers, or a problem.
template <std::size_t n>
void Take(const YamlValue& value, std::array<double, n>& field) {
  if (!value.present()) return;
  const auto numbers = Numbers(value);
  if (numbers.size() != n) return value.Problem(fmt::format("expected {} numbers", n));
  std::copy(numbers.begin(), numbers.end(), field.begin());
}

void TakeInterpolation(const YamlValue& value, engine::Interpolation& field) {
  using engine::Interpolation;
  TakeWord(value, field,
           std::array<Word<Interpolation>, 3>{{{"nearest", Interpolation::kNearest},
                                               {"linear", Interpolation::kLinear},
                                               {"cubic", Interpolation::kCubicSpline}}});
}

// A step or a filter is written as `name` or as `{name: {option: value}}`.
struct Named {
  std::string name;
  YamlValue options;
};
std::optional<Named> ReadNamed(const YamlValue& item) {
  if (item.is_mapping()) {
    const auto entries = item.Entries();
    if (entries.size() == 1) return Named{entries[0].first, entries[0].second};
    item.Problem("expected one name with its options, such as {n4: {shrink: 4}}");
    return std::nullopt;
  }
  const auto name = item.Text();
  if (!name) return std::nullopt;
  return Named{*name, item["options"]};
}

// ---- steps before features
std::optional<Step> ReadStep(const YamlValue& item) {
  const auto named = ReadNamed(item);
  if (!named) return std::nullopt;
  const std::string& name = named->name;
  const YamlValue& options = named->options;
  const auto within_region = [&] {
    const auto where = options["within"].OneOf({"image", "region"});
    return where && *where == "region";
  };
  const bool given = options.present();
  if (name == "n4") {
    BiasField step;
    if (given && !options.AllowKeys({"shrink", "iterations", "convergence", "spline_distance_mm"}))
      return std::nullopt;
    Take(options["shrink"], step.options.shrink_factor, 1, 64);
    Take(options["convergence"], step.options.convergence);
    Take(options["spline_distance_mm"], step.options.spline_distance_mm);
    if (const auto levels = options["iterations"]; levels.present()) {
      step.options.iterations.clear();
      for (const YamlValue& level : levels.Items()) {
        int count = 1;
        Take(level, count, 1, 10000);
        step.options.iterations.push_back(count);
      }
    }
    return step;
  }
  if (name == "standard_score") {
    StandardScoreStep step;
    if (given && !options.AllowKeys({"within", "clip_sigmas", "scale", "sample_sd"}))
      return std::nullopt;
    Take(options["clip_sigmas"], step.how.clip_sigmas);
    Take(options["scale"], step.how.scale);
    Take(options["sample_sd"], step.how.sample_sd);
    step.within_region = within_region();
    return step;
  }
  if (name == "landmarks") {
    LandmarksStep step;
    if (given && !options.AllowKeys({"within", "percentiles", "landmarks"})) return std::nullopt;
    step.standard.percentiles = Numbers(
        options.Required("percentiles", "the percentiles that the template's landmarks stand for"));
    step.standard.landmarks = Numbers(
        options.Required("landmarks", "the template, as 'consilium-extract landmarks' prints it"));
    if (step.standard.percentiles.size() != step.standard.landmarks.size())
      options.Problem("has another number of landmarks than of percentiles");
    step.within_region = within_region();
    return step;
  }
  if (name == "stripe") {
    StripeStep step;
    if (given && !options.AllowKeys({"mode", "tau", "height_min", "scale"})) return std::nullopt;
    using Mode = engine::StripeRule::Mode;
    TakeWord(options["mode"], step.rule.mode,
             std::array<Word<Mode>, 2>{{{"highest", Mode::kHighest}, {"last", Mode::kLast}}});
    Take(options["tau"], step.rule.tau);
    Take(options["height_min"], step.rule.height_min);
    using Scale = engine::TissueScale;
    TakeWord(options["scale"], step.scale,
             std::array<Word<Scale>, 2>{
                 {{"standard_score", Scale::kStandardScore}, {"ratio", Scale::kRatio}}});
    return step;
  }
  item.Problem(fmt::format("'{}' is no step{}; there are n4, standard_score, landmarks, stripe",
                           name,
                           DidYouMean(name, {"n4", "standard_score", "landmarks", "stripe"})));
  return std::nullopt;
}

// ---- filters
void TakeBoundary(const YamlValue& value, Boundary& field) {
  TakeWord(value, field,
           std::array<Word<Boundary>, 4>{{{"zero", Boundary::kZero},
                                          {"nearest", Boundary::kNearest},
                                          {"periodic", Boundary::kPeriodic},
                                          {"mirror", Boundary::kMirror}}});
}
void TakePooling(const YamlValue& value, Pooling& field) {
  TakeWord(value, field,
           std::array<Word<Pooling>, 3>{
               {{"max", Pooling::kMax}, {"mean", Pooling::kMean}, {"min", Pooling::kMin}}});
}
void TakeDimensions(const YamlValue& value, Dimensions& field) {
  TakeWord(value, field,
           std::array<Word<Dimensions>, 2>{{{"2d", Dimensions::k2d}, {"3d", Dimensions::k3d}}});
}

// Options that every filter may have beside its own.
#define CONSILIUM_IMAGE_KEYS "name", "bins"

engine::LaplacianFilter ReadLaplacian(const YamlValue& options) {
  engine::LaplacianFilter filter;
  Take(options["sigma_mm"], filter.sigma_mm);
  Take(options["cutoff_sigmas"], filter.cutoff_sigmas);
  TakeDimensions(options["dimensions"], filter.dimensions);
  TakeBoundary(options["boundary"], filter.boundary);
  return filter;
}
engine::SimoncelliFilter ReadSimoncelli(const YamlValue& options) {
  engine::SimoncelliFilter filter;
  Take(options["level"], filter.level, 1, 16);
  TakeDimensions(options["dimensions"], filter.dimensions);
  return filter;
}

std::optional<engine::IbsiFilter> ReadFilter(const YamlValue& item, const std::string& name,
                                             const YamlValue& options) {
  const bool given = options.present();
  if (name == "mean") {
    if (given && !options.AllowKeys({CONSILIUM_IMAGE_KEYS, "support", "dimensions", "boundary"}))
      return std::nullopt;
    engine::MeanFilter filter;
    Take(options["support"], filter.support, 1, kSupportMax);
    TakeDimensions(options["dimensions"], filter.dimensions);
    TakeBoundary(options["boundary"], filter.boundary);
    return filter;
  }
  if (name == "laplacian") {
    if (given && !options.AllowKeys(
                     {CONSILIUM_IMAGE_KEYS, "sigma_mm", "cutoff_sigmas", "dimensions", "boundary"}))
      return std::nullopt;
    return ReadLaplacian(options);
  }
  if (name == "laws") {
    if (given && !options.AllowKeys({CONSILIUM_IMAGE_KEYS, "kernels", "rotation_invariant",
                                     "pooling", "energy_delta", "boundary"}))
      return std::nullopt;
    engine::LawsFilter filter;
    Take(options["kernels"], filter.kernels);
    Take(options["rotation_invariant"], filter.rotation_invariant);
    TakePooling(options["pooling"], filter.pooling);
    Take(options["energy_delta"], filter.energy_delta, 0, 511);
    TakeBoundary(options["boundary"], filter.boundary);
    return filter;
  }
  if (name == "gabor") {
    if (given &&
        !options.AllowKeys({CONSILIUM_IMAGE_KEYS, "sigma_mm", "wavelength_mm", "gamma", "theta_deg",
                            "theta_step_deg", "pooling", "planes", "boundary"}))
      return std::nullopt;
    engine::GaborFilter filter;
    Take(options["sigma_mm"], filter.sigma_mm);
    Take(options["wavelength_mm"], filter.wavelength_mm);
    Take(options["gamma"], filter.gamma);
    Take(options["theta_deg"], filter.theta_deg);
    Take(options["theta_step_deg"], filter.theta_step_deg);
    TakePooling(options["pooling"], filter.pooling);
    TakeBoundary(options["boundary"], filter.boundary);
    const auto planes = options["planes"].OneOf({"axial", "orthogonal"});
    if (planes && *planes == "orthogonal") filter.planes = {{0, 1}, {0, 2}, {1, 2}};
    return filter;
  }
  if (name == "wavelet") {
    if (given && !options.AllowKeys({CONSILIUM_IMAGE_KEYS, "wavelet", "band", "level",
                                     "rotation_invariant", "pooling", "boundary", "decimated"}))
      return std::nullopt;
    engine::WaveletFilter filter;
    Take(options["wavelet"], filter.wavelet);
    Take(options["band"], filter.band);
    Take(options["level"], filter.level, 1, 8);
    Take(options["rotation_invariant"], filter.rotation_invariant);
    TakePooling(options["pooling"], filter.pooling);
    TakeBoundary(options["boundary"], filter.boundary);
    Take(options["decimated"], filter.decimated);
    return filter;
  }
  if (name == "simoncelli") {
    if (given && !options.AllowKeys({CONSILIUM_IMAGE_KEYS, "level", "dimensions"}))
      return std::nullopt;
    return ReadSimoncelli(options);
  }
  if (name == "riesz") {
    if (given && !options.AllowKeys({CONSILIUM_IMAGE_KEYS, "order", "laplacian", "simoncelli"}))
      return std::nullopt;
    engine::RieszFilter filter;
    std::array<double, 3> order{1, 0, 0};
    Take(options["order"], order);
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double of = order[axis];
      if (of >= 0 && of <= engine::kRieszOrderMax && of == std::floor(of)) {
        filter.order[axis] = static_cast<int>(of);
      } else {
        options["order"].Problem(fmt::format("{} is no order along {}, expected 0, 1, ... or {}",
                                             of, "xyz"[axis], engine::kRieszOrderMax));
      }
    }
    if (options["simoncelli"].present()) {
      filter.of = ReadSimoncelli(options["simoncelli"]);
    } else {
      filter.of = ReadLaplacian(options["laplacian"]);
    }
    return filter;
  }
  const std::vector<std::string> known = {"original", "mean",    "laplacian",  "laws",
                                          "gabor",    "wavelet", "simoncelli", "riesz"};
  item.Problem(fmt::format("'{}' is no image{}; there are {}", name, DidYouMean(name, known),
                           fmt::join(known, ", ")));
  return std::nullopt;
}
#undef CONSILIUM_IMAGE_KEYS

// ---- the IBSI dialect
std::optional<engine::Discretisation> ReadBins(const YamlValue& value) {
  if (!value.present() || !value.AllowKeys({"width", "count", "lowest"})) return std::nullopt;
  engine::Discretisation how;
  const bool by_width = value["width"].present(), by_count = value["count"].present();
  if (by_width == by_count) value.Problem("expected either width or count");
  if (by_count) how.method = engine::Discretisation::Method::kFixedBinNumber;
  Take(value["width"], how.bin_width);
  Take(value["count"], how.bin_count, 1, engine::kGreyLevelsMax);
  Take(value["lowest"], how.lowest);
  if (by_width && how.bin_width <= 0) value["width"].Problem("must be > 0");
  return how;
}

IbsiChoice ReadIbsi(const YamlValue& root) {
  IbsiChoice choice;
  engine::IbsiSettings& settings = choice.settings;
  if (!root.AllowKeys({"spacing_mm", "interpolation", "round", "range", "outlier_sigmas", "bins",
                       "volume_histogram", "aggregations", "images"}))
    return choice;
  Take(root["spacing_mm"], settings.resampling.spacing_mm);
  TakeInterpolation(root["interpolation"], settings.resampling.interpolation);
  Take(root["round"], settings.round_intensities);
  if (const auto range = root["range"]; range.present()) {
    const auto ends = range.Items();
    if (ends.size() != 2) range.Problem("expected [low, high]; null for an open end");
    for (std::size_t i = 0; i < std::min<std::size_t>(ends.size(), 2); ++i) {
      if (ends[i].is_null()) continue;
      Take(ends[i], i == 0 ? settings.resegmentation.low : settings.resegmentation.high);
    }
  }
  Take(root["outlier_sigmas"], settings.resegmentation.outlier_sigmas);
  if (const auto bins = ReadBins(root.Required("bins", "{width: 25} or {count: 32}")))
    settings.discretisation = *bins;
  if (const auto levels = root["volume_histogram"]; levels.is_mapping()) {
    if (levels.AllowKeys({"width"})) {
      settings.volume_histogram = engine::VolumeHistogramLevels::kFixedBinSize;
      Take(levels["width"], settings.volume_histogram_width);
    }
  } else if (const auto word = levels.OneOf({"discrete", "count_1000"})) {
    settings.volume_histogram = *word == "discrete"
                                    ? engine::VolumeHistogramLevels::kDiscrete
                                    : engine::VolumeHistogramLevels::kFixedBinNumber;
  }
  if (const auto aggregations = root["aggregations"]; aggregations.present()) {
    settings.by_slice = settings.in_volume = false;
    for (const YamlValue& item : aggregations.Items()) {
      const auto word = item.OneOf({"2d", "3d"});
      if (!word) continue;
      (*word == "2d" ? settings.by_slice : settings.in_volume) = true;
    }
  }
  if (const auto images = root["images"]; images.present()) {
    choice.original = false;
    std::set<std::string> names;
    for (const YamlValue& item : images.Items()) {
      const auto named = ReadNamed(item);
      if (!named) continue;
      std::string name = named->name;
      if (named->options.is_mapping()) Take(named->options["name"], name);
      if (!names.insert(name).second)
        item.Problem(fmt::format("has the name '{}' of another image; give it a 'name'", name));
      if (named->name == "original") {
        choice.original = true;
        continue;
      }
      auto filter = ReadFilter(item, named->name, named->options);
      if (!filter) continue;
      choice.images.push_back({name, std::move(*filter), ReadBins(named->options["bins"])});
    }
  }
  return choice;
}

// A study file carries settings as text, which has no carriage returns.
Digest DigestOf(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\r' || i + 1 == text.size() || text[i + 1] != '\n') plain += text[i];
  }
  return Sha256(plain);
}

PerturbationChoice ReadPerturbations(const YamlValue& value) {
  PerturbationChoice choice;
  if (!value.present() || !value.AllowKeys({"seed", "noise", "rotation_deg", "translation",
                                            "volume", "contour", "interpolation"}))
    return choice;
  if (const auto seed = value["seed"].Integer(0, std::numeric_limits<std::int64_t>::max()))
    choice.seed = static_cast<std::uint64_t>(*seed);
  Take(value["noise"], choice.noise, 1, kPerturbationsMax);
  Take(value["contour"], choice.contour, 1, kPerturbationsMax);
  const auto take = [&](const char* key, std::vector<double>& values, double low, double high) {
    values = Numbers(value[key]);
    std::set<double> different;
    for (const double number : values) {
      if (!(number >= low && number <= high) || !different.insert(number).second) {
        value[key].Problem(
            fmt::format("expected different numbers from {} to {}, found {}", low, high, number));
      }
    }
  };
  take("rotation_deg", choice.rotation_deg, -180, 180);
  take("translation", choice.translation, -10, 10);
  take("volume", choice.volume, -0.9, 2);
  TakeInterpolation(value["interpolation"], choice.interpolation);
  if (const double count = CountOf(choice); count < 2 || count > kPerturbationsMax) {
    value.Problem(fmt::format(
        "asks for {} perturbations of each region (the product of all lists, of 'translation' to "
        "the third power); expected 2 to {}",
        count, kPerturbationsMax));
  }
  return choice;
}

// A file as the value of a key: each line deeper by two spaces. The mark of a document's beginning
// is nothing inside of one.
std::string Indented(std::string_view text) {
  std::string deeper;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line != "---") deeper += line.empty() ? "\n" : fmt::format("  {}\n", line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return deeper;
}

bool IsParameterFile(const YamlValue& root) {
  for (const char* key : {"imageType", "featureClass", "setting", "voxelSetting"}) {
    if (root[key].present()) return true;
  }
  return root.Entries().empty();
}

}  // namespace

bool SameBitsEverywhere(const Settings& settings) {
  return std::none_of(settings.steps.begin(), settings.steps.end(),
                      [](const Step& step) { return std::holds_alternative<BiasField>(step); });
}

Result<Settings> ReadSettings(std::string_view text, const std::string& name) {
  const auto document = ParseStrictYaml(text, name);
  if (!document || IsParameterFile(document->root())) {
    auto parameters = ReadParameterFile(text, name);
    CONSILIUM_TRY(parameters);
    Settings settings;
    settings.label = parameters->settings.label;
    settings.dialect = std::move(parameters->settings);
    settings.notes = std::move(parameters->notes);
    settings.digest = DigestOf(text);
    return settings;
  }
  const YamlValue root = document->root();
  Settings settings;
  settings.digest = DigestOf(text);
  root.AllowKeys({"format", "preprocessing", "quality", "semantic", "perturb", "pyradiomics",
                  "ibsi", "label"});
  (void)root.Required("format", "the version of this kind of file; now 1").Integer(1, 1);
  Take(root["label"], settings.label, 1, 999'999'999);
  if (const auto steps = root["preprocessing"]; steps.present()) {
    for (const YamlValue& item : steps.Items()) {
      if (auto step = ReadStep(item)) settings.steps.push_back(std::move(*step));
    }
  }
  if (const auto quality = root["quality"];
      quality.present() && quality.AllowKeys({"volume_min_mm3", "volume_max_mm3", "slices_min"})) {
    Take(quality["volume_min_mm3"], settings.plausible.volume_min_mm3);
    Take(quality["volume_max_mm3"], settings.plausible.volume_max_mm3);
    Take(quality["slices_min"], settings.plausible.slices_min, 1, 1'000'000);
  }
  if (const auto semantic = root["semantic"]; semantic.present()) {
    settings.semantic.emplace();
    if (semantic.AllowKeys({"across", "level", "fat_threshold"})) {
      TakeWord(semantic["across"], settings.semantic->axis,
               std::array<Word<std::size_t>, 3>{{{"x", 0}, {"y", 1}, {"z", 2}}});
      if (const auto level = semantic["level"].Integer(0, 100000))
        settings.semantic->level = static_cast<int>(*level);
      Take(semantic["fat_threshold"], settings.semantic->fat_threshold);
    }
  }
  settings.perturb = ReadPerturbations(root["perturb"]);
  const auto pyradiomics = root["pyradiomics"], ibsi = root["ibsi"];
  if (pyradiomics.present() == ibsi.present())
    root.Problem("has one dialect: either 'pyradiomics' or 'ibsi'");
  if (ibsi.present()) {
    settings.dialect = ReadIbsi(ibsi);
  } else if (pyradiomics.present()) {
    auto parameters = ReadParameters(pyradiomics);
    if (!root["label"].present()) settings.label = parameters.settings.label;
    settings.notes = std::move(parameters.notes);
    settings.dialect = std::move(parameters.settings);
  }
  if (!document->problems().empty()) return tl::unexpected(Combine(document->problems()));
  return settings;
}

Result<std::string> WithPerturbations(std::string_view parameters, const std::string& name,
                                      std::string_view perturb, const std::string& perturb_name) {
  const auto plain = ReadSettings(parameters, name);
  CONSILIUM_TRY(plain);
  const auto document = ParseStrictYaml(parameters, name);
  if (!document || !IsParameterFile(document->root()))
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: is no PyRadiomics parameter file; write what {} says under its "
                            "key 'perturb'",
                            name, perturb_name));
  const auto choice = ParseStrictYaml(perturb, perturb_name);
  CONSILIUM_TRY(choice);
  (void)ReadPerturbations(choice->root());
  if (!choice->problems().empty()) return tl::unexpected(Combine(choice->problems()));

  std::string text =
      "format: 1\nperturb:\n" + Indented(perturb) + "pyradiomics:\n" + Indented(parameters);
  const auto together = ReadSettings(text, fmt::format("{} with {}", name, perturb_name));
  CONSILIUM_TRY(together);
  return text;
}

}  // namespace consilium::extraction
