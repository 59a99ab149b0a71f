#include "engine/filter/convolution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "engine/filter/boundary.h"
#include "tests/unit/engine/box_of_image.h"
#include "tests/unit/engine/random_region.h"

namespace consilium::engine {
namespace {

constexpr std::array<Boundary, 4> kBoundaries = {Boundary::kZero, Boundary::kNearest,
                                                 Boundary::kPeriodic, Boundary::kMirror};

// By its definition, voxel by voxel of the whole image.
Image SlowResponse(const Image& image, std::size_t axis, const Kernel& kernel, Boundary boundary) {
  Image response = image;
  const auto& size = image.grid.size;
  for (int z = 0; z < size[2]; ++z) {
    for (int y = 0; y < size[1]; ++y) {
      for (int x = 0; x < size[0]; ++x) {
        double sum = 0;
        for (int j = 0; j < static_cast<int>(kernel.taps.size()); ++j) {
          std::array<int, 3> at = {x, y, z};
          at[axis] = VoxelAt(at[axis] + kernel.centre - j, size[axis], boundary);
          if (at[axis] == kNoVoxel) continue;
          sum += kernel.taps[static_cast<std::size_t>(j)] *
                 image.values[image.grid.Index(at[0], at[1], at[2])];
        }
        response.values.Doubles()[image.grid.Index(x, y, z)] = sum;
      }
    }
  }
  return response;
}

Image SlowResponse(Image image, const Separable& kernel, Boundary boundary) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    for (const Kernel& one : kernel[axis]) image = SlowResponse(image, axis, one, boundary);
  }
  return image;
}

void ExpectSame(const Image& ours, const Image& expected) {
  ASSERT_EQ(ours.grid, expected.grid);
  ASSERT_EQ(ours.values.size(), expected.values.size());
  for (std::size_t i = 0; i < ours.values.size(); ++i)
    ASSERT_NEAR(ours.values[i], expected.values[i], 1e-12) << i;
}

// No two of its axes are alike, none is its own mirror image, one is longer than the image.
Separable Lopsided() {
  return {Chain{{{1, 2, 0, -3}, 2}, {{0.5, 1}, 1}}, Chain{{{2, -1, 5}, 0}},
          Chain{{{1, 0, 0, 0.5, 0, 0, 0.25, 0, 0, 0, 0, -2, 0}, 6}}};
}

TEST(Boundary, GoesOnAsItsNameSays) {
  const auto around = [](Boundary boundary) {
    std::string line;
    for (int at = -6; at < 10; ++at) {
      const int voxel = VoxelAt(at, 4, boundary);
      line += voxel == kNoVoxel ? '0' : "abcd"[voxel];
    }
    return line;
  };
  EXPECT_EQ(around(Boundary::kZero), "000000abcd000000");
  EXPECT_EQ(around(Boundary::kNearest), "aaaaaaabcddddddd");
  EXPECT_EQ(around(Boundary::kPeriodic), "cdabcdabcdabcdab");
  EXPECT_EQ(around(Boundary::kMirror), "cddcbaabcddcbaab");
  EXPECT_EQ(VoxelAt(-3, 1, Boundary::kMirror), 0);
}

TEST(Convolution, OfABoxIsTheDefinitionsOfTheWholeImageThere) {
  const Image image = RandomRegion(3, {37, 6, 5}, 0.5).image;
  for (const Boundary boundary : kBoundaries) {
    const Image whole = SlowResponse(image, Lopsided(), boundary);
    for (const Box& box : {Whole(image.grid), Box{{0, 0, 0}, {0, 0, 0}, false},
                           Box{{33, 2, 1}, {36, 5, 2}, false}, Box{{1, 1, 3}, {34, 4, 4}, false}}) {
      SCOPED_TRACE(testing::Message()
                   << "boundary " << static_cast<int>(boundary) << ", x from " << box.first[0]);
      ExpectSame(ImageOf(Pooled(image, {Lopsided()}, Pooling::kSum, boundary, RangesOf(box))),
                 CutOut(whole, box));
    }
  }
}

TEST(Convolution, PoolsTheResponsesOfAllKernels) {
  const Image image = RandomRegion(4, {9, 8, 7}, 0.5).image;
  // The first two share what they do along x; the last is there twice.
  std::vector<Separable> kernels(4, Lopsided());
  kernels[1][1] = {{{1, 1}, 0}};
  kernels[2] = {Chain{{{3}, 0}}, Chain{}, Chain{{{-1, 1}, 1}}};
  kernels[3] = kernels[2];
  for (const Pooling pooling : {Pooling::kMean, Pooling::kMax, Pooling::kMin, Pooling::kSum}) {
    Image expected = SlowResponse(image, kernels[0], Boundary::kMirror);
    for (std::size_t k = 1; k < kernels.size(); ++k) {
      const Image other = SlowResponse(image, kernels[k], Boundary::kMirror);
      for (std::size_t i = 0; i < expected.values.size(); ++i) {
        double& value = expected.values.Doubles()[i];
        value = pooling == Pooling::kMax   ? std::max(value, other.values[i])
                : pooling == Pooling::kMin ? std::min(value, other.values[i])
                                           : value + other.values[i];
      }
    }
    if (pooling == Pooling::kMean) {
      for (double& value : expected.values.Doubles()) value /= 4;
    }
    ExpectSame(
        ImageOf(Pooled(image, kernels, pooling, Boundary::kMirror, RangesOf(Whole(image.grid)))),
        expected);
  }
}

TEST(Rotations, Are24InSpaceAnd4InThePlane) {
  const auto in_space = Turned(Lopsided(), Dimensions::k3d),
             in_plane = Turned(Lopsided(), Dimensions::k2d);
  EXPECT_EQ(std::set(in_space.begin(), in_space.end()).size(), 24U);
  EXPECT_EQ(std::set(in_plane.begin(), in_plane.end()).size(), 4U);
  EXPECT_TRUE(std::count(in_space.begin(), in_space.end(), Lopsided()) == 1);
  // The mirror image of a kernel that is none of its own is no rotation of it.
  Separable mirrored = Lopsided();
  for (Kernel& one : mirrored[0]) one = Flipped(one);
  EXPECT_EQ(std::count(in_space.begin(), in_space.end(), mirrored), 0);
  for (const Separable& kernel : in_plane) EXPECT_EQ(kernel[2], Lopsided()[2]);
}

// A quarter turn of an image about z: voxel (x, y) goes to (size_y - 1 - y, x).
Image QuarterTurned(const Image& image) {
  const auto& size = image.grid.size;
  Image turned{{{size[1], size[0], size[2]}, image.grid.spacing_mm}, image.values};
  for (int z = 0; z < size[2]; ++z) {
    for (int y = 0; y < size[1]; ++y) {
      for (int x = 0; x < size[0]; ++x) {
        turned.values.Doubles()[turned.grid.Index(size[1] - 1 - y, x, z)] =
            image.values[image.grid.Index(x, y, z)];
      }
    }
  }
  return turned;
}

TEST(Rotations, TurnTheResponseWithTheImage) {
  const Image image = RandomRegion(5, {9, 8, 7}, 0.5).image, turned = QuarterTurned(image);
  for (const Dimensions dimensions : {Dimensions::k2d, Dimensions::k3d}) {
    const auto kernels = Turned(Lopsided(), dimensions);
    const auto response = [&](const Image& of) {
      return ImageOf(Pooled(of, kernels, Pooling::kMax, Boundary::kZero, RangesOf(Whole(of.grid))));
    };
    ExpectSame(response(turned), QuarterTurned(response(image)));
  }
}

}  // namespace
}  // namespace consilium::engine
