#include "engine/filter/pixelwise.h"

#include <algorithm>
#include <cmath>

#include "base/portable_math.h"

namespace consilium::engine {

Image Pixelwise(const Image& image, PixelFunction function, const Box& box) {
  double most = 0;
  for (const double x : image.values) most = std::max(most, std::abs(x));
  Image result = Cut(image, box);
  result.numbers = {};
  const auto each = [&](const auto& of) {
    for (double& x : result.values.Doubles()) x = of(x);
  };
  switch (function) {
    case PixelFunction::kSquare: {
      const double scale = 1 / std::sqrt(most);
      each([&](double x) { return (scale * x) * (scale * x); });
      break;
    }
    case PixelFunction::kSquareRoot:
      each([&](double x) { return std::copysign(std::sqrt(std::abs(x) * most), x); });
      break;
    case PixelFunction::kLogarithm: {
      const double scale = most / Log(most + 1);
      each([&](double x) { return std::copysign(Log(std::abs(x) + 1), x) * scale; });
      break;
    }
    case PixelFunction::kExponential: {
      const double scale = Log(most) / most;
      each([&](double x) { return Exp(scale * x); });
      break;
    }
  }
  return result;
}

}  // namespace consilium::engine
