// Each family of features of one region, on one thread: the CT of the IBSI (125,256 voxels,
// PyRadiomics' bins of width 25) if it lies beside the checkout, else a ball of as many voxels with
// noise in it.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <optional>

#include "base/rng.h"
#include "engine/filter/ibsi_filter.h"
#include "engine/filter/recursive_laplacian.h"
#include "engine/filter/wavelet.h"
#include "engine/glcm.h"
#include "engine/intensity.h"
#include "engine/itk/read_image.h"
#include "engine/morphology.h"
#include "engine/ngtdm.h"
#include "engine/pyradiomics.h"
#include "engine/resegment.h"
#include "engine/runs_and_zones.h"
#include "engine/spatial_correlation.h"

namespace consilium::engine {
namespace {

struct Case {
  Image image;
  Mask mask;
};

Case Ball() {
  constexpr int kSide = 66, kRadius = 31;
  const Grid grid{{kSide, kSide, kSide}, {1, 1, 3}};
  Case ball{{grid, {}}, {grid, {}}};
  Rng rng(1, "ball");
  for (int z = 0; z < kSide; ++z) {
    for (int y = 0; y < kSide; ++y) {
      for (int x = 0; x < kSide; ++x) {
        const int dx = x - 33, dy = y - 33, dz = z - 33;
        ball.mask.inside.push_back(dx * dx + dy * dy + dz * dz <= kRadius * kRadius ? 1 : 0);
        ball.image.values.Doubles().push_back(400 * rng.Normal());
      }
    }
  }
  return ball;
}

const Case& TheCase() {
  static const Case kCase = [] {
    const std::string folder =
        std::string(CONSILIUM_SHARED_DIR) + "/reference/radiomics/data/ibsi1_ct_phantom/nifti/";
    auto image = itk_files::ReadImage(folder + "image.nii.gz");
    const auto mask = itk_files::ReadImage(folder + "mask.nii.gz");
    if (!image || !mask) return Ball();
    Case ct{std::move(image->image), {}};
    ct.mask.grid = ct.image.grid;
    RoundIntensities(ct.image);
    for (const double value : mask->image.values) ct.mask.inside.push_back(value > 0.5 ? 1 : 0);
    return ct;
  }();
  return kCase;
}

const LevelBox& TheLevels() {
  static const LevelBox kLevels = [] {
    Discretisation how;
    how.pyradiomics_edges = true;
    return LevelBox(TheCase().mask,
                    *Discretise(IntensitiesOf(TheCase().image, TheCase().mask), how));
  }();
  return kLevels;
}

template <typename Work>
void Measure(benchmark::State& state, const Work& work) {
  for (auto _ : state) benchmark::DoNotOptimize(work());
  state.counters["voxels"] = static_cast<double>(TheLevels().voxels().size());
  state.counters["levels"] = TheLevels().level_count();
}

void FirstOrder(benchmark::State& state) {
  const auto inside = IntensitiesOf(TheCase().image, TheCase().mask);
  Measure(state, [&] { return IntensityStatistics(inside); });
}
void Shape(benchmark::State& state) {
  Measure(state, [] { return ShapeOf(TheCase().mask); });
}
void GlcmOf13(benchmark::State& state) {
  Measure(state, [] { return Glcm(TheLevels(), Aggregation::k3dAverage); });
}
void GlrlmOf13(benchmark::State& state) {
  Measure(state, [] { return Glrlm(TheLevels(), Aggregation::k3dAverage); });
}
void GlszmOfAll(benchmark::State& state) {
  Measure(state, [] { return FeaturesOf(CountZones(TheLevels(), -1, {}).by_size); });
}
void NgldmOfAll(benchmark::State& state) {
  Measure(state, [] { return Ngldm(TheLevels(), Aggregation::k3dMerge); });
}
void NgtdmOfAll(benchmark::State& state) {
  Measure(state, [] { return Ngtdm(TheLevels(), Aggregation::k3dMerge); });
}
void MoranAndGeary(benchmark::State& state) {
  Measure(state, [] { return SpatialCorrelationOf(TheCase().image, TheCase().mask); });
}
void PyradiomicsOriginal(benchmark::State& state) {
  Measure(state,
          [] { return PyradiomicsFeatures(TheCase().image, TheCase().mask)->features.size(); });
}
// The original, five Laplacians of Gaussians and eight sub-bands: 1,316 features.
PyradiomicsSettings Of14Images() {
  PyradiomicsImageSettings log;
  for (int sigma = 1; sigma <= 5; ++sigma) log.sigmas.push_back({static_cast<double>(sigma)});
  PyradiomicsSettings settings;
  settings.images = {{PyradiomicsFilter::kOriginal, {}},
                     {PyradiomicsFilter::kLoG, log},
                     {PyradiomicsFilter::kWavelet, {}}};
  return settings;
}
void PyradiomicsOf14Images(benchmark::State& state) {
  const PyradiomicsSettings settings = Of14Images();
  Measure(state, [&] {
    return PyradiomicsFeatures(TheCase().image, TheCase().mask, settings)->features.size();
  });
}
// An image and the region of label 1, or nothing if the files are not there.
std::optional<Case> ReadCase(const std::string& image_path, const std::string& mask_path) {
  auto image = itk_files::ReadImage(image_path);
  const auto label = itk_files::ReadImage(mask_path);
  if (!image || !label) return std::nullopt;
  Case one{std::move(image->image), {}};
  one.mask.grid = one.image.grid;
  for (const double value : label->image.values) one.mask.inside.push_back(value == 1 ? 1 : 0);
  return one;
}

// A small region (4,137 voxels) in a larger image: PyRadiomics' brain1, if it is there.
void PyradiomicsOf14ImagesOfBrain1(benchmark::State& state) {
  const std::string folder =
      std::string(CONSILIUM_SHARED_DIR) + "/reference/radiomics/data/pyradiomics/";
  const auto brain = ReadCase(folder + "brain1_image.nrrd", folder + "brain1_label.nrrd");
  if (!brain) return state.SkipWithError("there is no brain1 beside the checkout");
  const PyradiomicsSettings settings = Of14Images();
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        PyradiomicsFeatures(brain->image, brain->mask, settings)->features.size());
  }
}

// The 49 sarcomas (MR, 6.1 million voxels in regions), one after another, once. Reading is timed
// apart, in processor time.
double ProcessorSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
void PyradiomicsOf14ImagesOfSarcomas(benchmark::State& state) {
  const std::filesystem::path folder = std::string(CONSILIUM_SHARED_DIR) + "/data/sts_mr_t1/nifti";
  const PyradiomicsSettings settings = Of14Images();
  for (auto _ : state) {
    double cases = 0, voxels = 0, reading_s = 0;
    for (int patient = 1; patient <= 51; ++patient) {
      state.PauseTiming();
      const double before = ProcessorSeconds();
      const auto of = folder / fmt::format("STS_{:03}", patient);
      const auto one = ReadCase(of / "MR_T1_image.nii.gz", of / "MR_T1_mask.nii.gz");
      reading_s += ProcessorSeconds() - before;
      state.ResumeTiming();
      if (!one) continue;
      ++cases;
      voxels +=
          static_cast<double>(std::count(one->mask.inside.begin(), one->mask.inside.end(), 1));
      benchmark::DoNotOptimize(
          PyradiomicsFeatures(one->image, one->mask, settings)->features.size());
    }
    if (cases == 0) return state.SkipWithError("there are no sarcomas beside the checkout");
    state.counters["cases"] = cases;
    state.counters["voxels"] = voxels;
    state.counters["reading_s"] = reading_s;
  }
}

// In the region's box, with what the filter sees around it.
void FilterOf(benchmark::State& state, const IbsiFilter& filter) {
  const Box box = BoundingBoxOf(TheCase().mask);
  Measure(state, [&] { return Filtered(TheCase().image, filter, box); });
}
void RecursiveLaplacian(benchmark::State& state, double sigma_mm) {
  const Box box = BoundingBoxOf(TheCase().mask);
  Measure(state, [&] { return LaplacianOfGaussian(TheCase().image, sigma_mm, box); });
}
void Wavelets(benchmark::State& state) {
  const Box box = BoundingBoxOf(TheCase().mask);
  const WaveletFilters coif1 = *WaveletNamed("coif1");
  Measure(state, [&] { return StationaryWavelet(TheCase().image, coif1, box); });
}

BENCHMARK(FirstOrder)->Unit(benchmark::kMillisecond);
BENCHMARK(Shape)->Unit(benchmark::kMillisecond);
BENCHMARK(GlcmOf13)->Unit(benchmark::kMillisecond);
BENCHMARK(GlrlmOf13)->Unit(benchmark::kMillisecond);
BENCHMARK(GlszmOfAll)->Unit(benchmark::kMillisecond);
BENCHMARK(NgldmOfAll)->Unit(benchmark::kMillisecond);
BENCHMARK(NgtdmOfAll)->Unit(benchmark::kMillisecond);
BENCHMARK(MoranAndGeary)->Unit(benchmark::kMillisecond);
BENCHMARK(PyradiomicsOriginal)->Unit(benchmark::kMillisecond);
BENCHMARK(PyradiomicsOf14Images)->Unit(benchmark::kMillisecond);
BENCHMARK(PyradiomicsOf14ImagesOfBrain1)->Unit(benchmark::kMillisecond);
BENCHMARK(PyradiomicsOf14ImagesOfSarcomas)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK_CAPTURE(RecursiveLaplacian, 1mm, 1.0)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(RecursiveLaplacian, 5mm, 5.0)->Unit(benchmark::kMillisecond);
BENCHMARK(Wavelets)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(FilterOf, Mean5, MeanFilter{})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(FilterOf, Laplacian3mm, LaplacianFilter{3})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(FilterOf, Laws, LawsFilter{})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(FilterOf, Gabor, GaborFilter{5, 2, 1.5, 0, 22.5})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(FilterOf, Daubechies3, WaveletFilter{})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(FilterOf, Simoncelli, SimoncelliFilter{})->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(FilterOf, RieszOfLaplacian, RieszFilter{{1, 0, 0}, LaplacianFilter{3}})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace consilium::engine
