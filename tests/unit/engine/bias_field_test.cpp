#include "engine/itk/bias_field.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "base/digest.h"
#include "base/rng.h"
#include "engine/intensity_scale/spread.h"
#include "engine/resegment.h"

namespace consilium::engine::itk_files {
namespace {

// A body of two tissues, 100 and 200, with noise, seen through a smooth coil.
struct Scan {
  Image image, truth;
  Mask outer, inner;
};
Scan Shaded(std::uint64_t seed) {
  Rng rng(seed, "shading");
  const Grid grid{{48, 40, 24}, {3, 3, 5}};
  Scan scan{{grid, {}}, {grid, {}}, {grid, {}}, {grid, {}}};
  for (int z = 0; z < 24; ++z) {
    for (int y = 0; y < 40; ++y) {
      for (int x = 0; x < 48; ++x) {
        const double u = (x - 23.5) / 24, v = (y - 19.5) / 20, w = (z - 11.5) / 12;
        const double r = u * u + v * v + w * w;
        const bool body = r < 0.8, core = r < 0.2;
        const double field = std::exp(0.5 * u + 0.3 * v * v - 0.25 * u * w);
        const double tissue = core ? 200 : body ? 100 : 0;
        scan.truth.values.Doubles().push_back(field);
        scan.image.values.Doubles().push_back(
            std::abs(field * tissue * (1 + 0.02 * rng.Normal()) + rng.Normal()));
        scan.outer.inside.push_back(body && !core ? 1 : 0);
        scan.inner.inside.push_back(core ? 1 : 0);
      }
    }
  }
  return scan;
}

double CoefficientOfVariation(const Image& image, const Mask& mask) {
  const MeanAndSd of = MeanAndSdOf(IntensitiesOf(image, mask));
  return of.sd / of.mean;
}

BiasFieldOptions Fast() {
  BiasFieldOptions options;
  options.shrink_factor = 2;
  options.iterations = {50, 50, 30};
  return options;
}

Digest DigestOf(const BiasCorrection& corrected) {
  const std::vector<double> values = corrected.image.values.AsDoubles();
  std::vector<std::uint8_t> bytes(values.size() * sizeof(double));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return Sha256(bytes);
}

// The digest of a corrected image by a process of its own, whose ITK has `threads` by default.
Digest DigestWithThreads(const char* threads) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    setenv("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", threads, 1);
    const auto corrected = CorrectBiasField(Shaded(1).image, Fast());
    const Digest digest = corrected ? DigestOf(*corrected) : Digest{};
    const bool written = write(ends[1], digest.bytes.data(), digest.bytes.size()) ==
                         static_cast<ssize_t>(digest.bytes.size());
    _exit(written ? 0 : 1);
  }
  Digest digest;
  EXPECT_EQ(read(ends[0], digest.bytes.data(), digest.bytes.size()),
            static_cast<ssize_t>(digest.bytes.size()));
  int status = 1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  close(ends[0]);
  close(ends[1]);
  return digest;
}

// First, while this process has not used ITK yet.
TEST(BiasField, HasTheSameBitsWithAnyNumberOfThreads) {
  const Digest one = DigestWithThreads("1");
  EXPECT_NE(one, Digest{});
  EXPECT_EQ(DigestWithThreads("3"), one);
  EXPECT_EQ(DigestWithThreads("8"), one);
  EXPECT_EQ(DigestOf(*CorrectBiasField(Shaded(1).image, Fast())), one);
  EXPECT_EQ(DigestOf(*CorrectBiasField(Shaded(1).image, Fast())), one);
}

TEST(BiasField, IsTakenOutOfEveryTissue) {
  const Scan scan = Shaded(2);
  Mask body = scan.outer;
  for (std::size_t i = 0; i < body.inside.size(); ++i) body.inside[i] |= scan.inner.inside[i];
  const auto given = CorrectBiasField(scan.image, body, Fast()),
             found = CorrectBiasField(scan.image, Fast());
  ASSERT_TRUE(given.has_value()) << given.error().message;
  ASSERT_TRUE(found.has_value()) << found.error().message;
  // Relative: two hundredths of the intensity, and 1 of 100 or 200.
  const double kNoise[] = {std::sqrt(0.02 * 0.02 + 0.01 * 0.01),
                           std::sqrt(0.02 * 0.02 + 0.005 * 0.005)};
  for (const auto* corrected : {&*given, &*found}) {
    for (const Mask* tissue : {&scan.outer, &scan.inner}) {
      const double before = CoefficientOfVariation(scan.image, *tissue),
                   after = CoefficientOfVariation(corrected->image, *tissue);
      EXPECT_LT(after, before / 4);
      EXPECT_LT(after, 1.2 * kNoise[tissue == &scan.inner]);
    }
    // What is left of the true field, after the estimated one.
    Image left = scan.truth;
    for (std::size_t i = 0; i < left.values.size(); ++i)
      left.values.Doubles()[i] /= corrected->field.values[i];
    EXPECT_LT(CoefficientOfVariation(left, body), 0.02);
    for (std::size_t i = 0; i < left.values.size(); i += 97) {
      EXPECT_NEAR(corrected->image.values[i] * corrected->field.values[i], scan.image.values[i],
                  1e-9);
    }
  }
}

TEST(BiasField, OfAnEvenImageIsNearlyFlat) {
  Scan scan = Shaded(3);
  for (std::size_t i = 0; i < scan.image.values.size(); ++i)
    scan.image.values.Doubles()[i] /= scan.truth.values[i];
  const auto corrected = CorrectBiasField(scan.image, Fast());
  ASSERT_TRUE(corrected.has_value());
  EXPECT_LT(CoefficientOfVariation(corrected->field, scan.outer), 0.005);
}

TEST(BiasField, OfASingleSliceIsTakenOut) {
  const Scan scan = Shaded(4);
  const auto slice = [](const auto& values) {
    return std::vector(values.begin() + 48 * 40 * 12, values.begin() + 48 * 40 * 13);
  };
  const Grid grid{{48, 40, 1}, {3, 3, 5}};
  const Image image{grid, slice(scan.image.values.AsDoubles())};
  const Mask outer{grid, slice(scan.outer.inside)};
  const auto corrected = CorrectBiasField(image, Fast());
  ASSERT_TRUE(corrected.has_value()) << corrected.error().message;
  EXPECT_LT(CoefficientOfVariation(corrected->image, outer),
            CoefficientOfVariation(image, outer) / 2);
}

TEST(BiasField, RefusesWhatItCannotSee) {
  const Grid grid{{12, 12, 12}, {1, 1, 1}};
  Image image{grid, std::vector<double>(grid.voxel_count(), 5)};
  const Mask all{grid, std::vector<std::uint8_t>(grid.voxel_count(), 1)},
      none{grid, std::vector<std::uint8_t>(grid.voxel_count())};
  EXPECT_EQ(CorrectBiasField(image, all).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(CorrectBiasField(image).error().code, ErrorCode::kFailedPrecondition);
  image.values.Doubles()[0] = 7;
  EXPECT_EQ(CorrectBiasField(image, none).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_EQ(CorrectBiasField(image, Mask{{{1, 1, 1}, {1, 1, 1}}, {1}}).error().code,
            ErrorCode::kInvalidArgument);
  BiasFieldOptions options;
  options.iterations = {};
  EXPECT_EQ(CorrectBiasField(image, all, options).error().code, ErrorCode::kInvalidArgument);
  options = {};
  options.shrink_factor = 0;
  EXPECT_EQ(CorrectBiasField(image, all, options).error().code, ErrorCode::kInvalidArgument);
  image.values.Doubles()[5] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(CorrectBiasField(image, all).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace consilium::engine::itk_files
