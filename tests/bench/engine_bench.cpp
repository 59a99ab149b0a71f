// Each family of features of one region, on one thread: the CT of the IBSI (125,256 voxels,
// PyRadiomics' bins of width 25) if it lies beside the checkout, else a ball of as many voxels with
// noise in it.
#include <benchmark/benchmark.h>

#include <cstdlib>

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
        ball.image.values.push_back(400 * rng.Normal());
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
// A small region (4,137 voxels) in a larger image: PyRadiomics' brain1, if it is there.
void PyradiomicsOf14ImagesOfBrain1(benchmark::State& state) {
  const std::string folder =
      std::string(CONSILIUM_SHARED_DIR) + "/reference/radiomics/data/pyradiomics/";
  const auto image = itk_files::ReadImage(folder + "brain1_image.nrrd"),
             label = itk_files::ReadImage(folder + "brain1_label.nrrd");
  if (!image || !label) return state.SkipWithError("there is no brain1 beside the checkout");
  Mask mask{image->image.grid, {}};
  for (const double value : label->image.values) mask.inside.push_back(value == 1 ? 1 : 0);
  const PyradiomicsSettings settings = Of14Images();
  for (auto _ : state) {
    benchmark::DoNotOptimize(PyradiomicsFeatures(image->image, mask, settings)->features.size());
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
