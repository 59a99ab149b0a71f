#include "engine/itk/bias_field.h"

#include <fmt/format.h>
#include <itkBSplineControlPointImageFilter.h>
#include <itkImage.h>
#include <itkMultiThreaderBase.h>
#include <itkN4BiasFieldCorrectionImageFilter.h>
#include <itkShrinkImageFilter.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/portable_math.h"
#include "engine/otsu.h"

namespace consilium::engine::itk_files {
namespace {

using ItkImage = itk::Image<float, 3>;
using ItkMask = itk::Image<unsigned char, 3>;
using N4 = itk::N4BiasFieldCorrectionImageFilter<ItkImage, ItkMask, ItkImage>;

// N4 makes filters of its own inside, and these take the process's default; all of ITK's work here
// is one thread's, since whole patients are what runs side by side.
void UseOneThread() {
  static const bool kDone = [] {
    itk::MultiThreaderBase::SetGlobalDefaultNumberOfThreads(1);
    return true;
  }();
  static_cast<void>(kDone);
}

// ITK's splines need two voxels along every axis: a single slice is given twice.
Grid Thickened(Grid grid) {
  for (int& size : grid.size) size = std::max(size, 2);
  return grid;
}

template <typename Picture, typename Values>
typename Picture::Pointer ToItk(const Grid& grid, const Values& values) {
  const Grid thick = Thickened(grid);
  auto picture = Picture::New();
  typename Picture::SizeType size;
  typename Picture::SpacingType spacing;
  for (unsigned axis = 0; axis < 3; ++axis) {
    size[axis] = static_cast<itk::SizeValueType>(thick.size[axis]);
    spacing[axis] = thick.spacing_mm[axis];
  }
  picture->SetRegions(size);
  picture->SetSpacing(spacing);
  picture->Allocate();
  auto* put = picture->GetBufferPointer();
  const auto& n = grid.size;
  for (int z = 0; z < thick.size[2]; ++z) {
    for (int y = 0; y < thick.size[1]; ++y) {
      for (int x = 0; x < thick.size[0]; ++x) {
        *put++ = static_cast<typename Picture::PixelType>(values[grid.Index(
            std::min(x, n[0] - 1), std::min(y, n[1] - 1), std::min(z, n[2] - 1))]);
      }
    }
  }
  return picture;
}

template <typename Picture>
typename Picture::Pointer Shrunk(const typename Picture::Pointer& picture, int factor) {
  auto shrink = itk::ShrinkImageFilter<Picture, Picture>::New();
  shrink->SetInput(picture);
  for (unsigned axis = 0; axis < 3; ++axis) {
    const auto size = static_cast<int>(picture->GetLargestPossibleRegion().GetSize()[axis]);
    shrink->SetShrinkFactor(axis, static_cast<unsigned>(std::clamp(size / kShrunkMin, 1, factor)));
  }
  shrink->Update();
  return shrink->GetOutput();
}

std::optional<Error> OutOfBounds(const BiasFieldOptions& options) {
  const bool levels = !options.iterations.empty() && options.iterations.size() <= 10 &&
                      std::all_of(options.iterations.begin(), options.iterations.end(),
                                  [](int count) { return count >= 1; });
  if (options.shrink_factor >= 1 && levels && options.convergence > 0 &&
      options.spline_distance_mm > 0) {
    return std::nullopt;
  }
  return Error{ErrorCode::kInvalidArgument,
               fmt::format("shrink_factor = {}, iterations = [{}], convergence = {}, "
                           "spline_distance_mm = {}: must be >= 1, 1 to 10 numbers >= 1, > 0, > 0",
                           options.shrink_factor, fmt::join(options.iterations, ", "),
                           options.convergence, options.spline_distance_mm)};
}

BiasCorrection Correct(const Image& image, const std::vector<std::uint8_t>& inside,
                       const BiasFieldOptions& options) {
  UseOneThread();
  const auto picture = ToItk<ItkImage>(image.grid, image.values);
  const auto mask = ToItk<ItkMask>(image.grid, inside);
  auto n4 = N4::New();
  n4->SetNumberOfWorkUnits(1);
  n4->SetInput(Shrunk<ItkImage>(picture, options.shrink_factor));
  n4->SetMaskImage(Shrunk<ItkMask>(mask, options.shrink_factor));
  const auto levels = static_cast<unsigned>(options.iterations.size());
  N4::VariableSizeArrayType iterations(levels);
  for (unsigned level = 0; level < levels; ++level)
    iterations[level] = static_cast<unsigned>(options.iterations[level]);
  n4->SetNumberOfFittingLevels(levels);
  n4->SetMaximumNumberOfIterations(iterations);
  n4->SetConvergenceThreshold(static_cast<float>(options.convergence));
  N4::ArrayType control_points;
  for (unsigned axis = 0; axis < 3; ++axis) {
    const double extent_mm = image.grid.size[axis] * image.grid.spacing_mm[axis];
    const double knots = std::max(1.0, std::ceil(extent_mm / options.spline_distance_mm));
    control_points[axis] = static_cast<unsigned>(knots) + n4->GetSplineOrder();
  }
  n4->SetNumberOfControlPoints(control_points);
  n4->Update();

  auto spline = itk::BSplineControlPointImageFilter<N4::BiasFieldControlPointLatticeType,
                                                    N4::ScalarImageType>::New();
  spline->SetInput(n4->GetLogBiasFieldControlPointLattice());
  spline->SetSplineOrder(n4->GetSplineOrder());
  spline->SetSize(picture->GetLargestPossibleRegion().GetSize());
  spline->SetOrigin(picture->GetOrigin());
  spline->SetSpacing(picture->GetSpacing());
  spline->SetDirection(picture->GetDirection());
  spline->Update();
  const auto* logarithms = spline->GetOutput()->GetBufferPointer();
  const Grid thick = Thickened(image.grid);
  std::vector<double> fields, corrected;
  std::size_t i = 0;
  for (int z = 0; z < image.grid.size[2]; ++z) {
    for (int y = 0; y < image.grid.size[1]; ++y) {
      for (int x = 0; x < image.grid.size[0]; ++x, ++i) {
        const double field = Exp(static_cast<double>(logarithms[thick.Index(x, y, z)][0]));
        fields.push_back(field);
        corrected.push_back(image.values[i] / field);
      }
    }
  }
  return {{image.grid, std::move(corrected)}, {image.grid, std::move(fields)}};
}

}  // namespace

Result<BiasCorrection> CorrectBiasField(const Image& image, const Mask& mask,
                                        const BiasFieldOptions& options) {
  if (auto error = OutOfBounds(options)) return tl::unexpected<Error>(*error);
  if (image.grid != mask.grid)
    return Fail(ErrorCode::kInvalidArgument, "image and mask lie on different grids");
  std::vector<std::uint8_t> inside = mask.inside;
  double low = 0, high = 0;
  std::size_t count = 0;
  for (std::size_t i = 0; i < image.values.size(); ++i) {
    const double value = image.values[i];
    if (!std::isfinite(value)) {
      return Fail(ErrorCode::kInvalidArgument,
                  "an intensity is not a finite number; repair the image first");
    }
    if (!(value > 0)) inside[i] = 0;
    if (inside[i] == 0) continue;
    low = count == 0 ? value : std::min(low, value);
    high = count == 0 ? value : std::max(high, value);
    ++count;
  }
  if (!(low < high)) {
    return Fail(ErrorCode::kFailedPrecondition,
                fmt::format("{} voxels of the mask are > 0 and do not vary: no field can be seen; "
                            "check the mask",
                            count));
  }
  try {
    return Correct(image, inside, options);
  } catch (const std::exception& error) {
    return Fail(ErrorCode::kInternal, fmt::format("N4 stopped: {}", error.what()));
  }
}

Result<BiasCorrection> CorrectBiasField(const Image& image, const BiasFieldOptions& options) {
  const auto threshold = OtsuThreshold(image.values.AsDoubles());
  CONSILIUM_TRY(threshold);
  Mask mask{image.grid, {}};
  mask.inside.reserve(image.values.size());
  for (const double value : image.values) mask.inside.push_back(value > *threshold ? 1 : 0);
  return CorrectBiasField(image, mask, options);
}

}  // namespace consilium::engine::itk_files
