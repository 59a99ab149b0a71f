#include "engine/filter/fourier.h"

#include <algorithm>
#include <numbers>
#include <utility>

#include "engine/trigonometry.h"

namespace consilium::engine {
namespace {

constexpr std::size_t kLanes = 16;

// Real and imaginary parts apart, [n][kLanes], so that lanes fill the machine's vectors.
struct Lines {
  explicit Lines(std::size_t n) : re(n * kLanes), im(n * kLanes) {}
  std::vector<double> re, im;
};

struct Root {
  double re, im;
};

// exp(-2 pi i k / n) for k = 0 to n - 1.
std::vector<Root> RootsOf(std::size_t n) {
  std::vector<Root> roots;
  for (std::size_t k = 0; k < n; ++k) {
    const auto [sine, cosine] =
        SineCosineOf(2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n));
    roots.push_back({cosine, -sine});
  }
  return roots;
}

std::vector<std::size_t> FactorsOf(std::size_t n) {
  std::vector<std::size_t> factors;
  for (; n % 4 == 0; n /= 4) factors.push_back(4);
  for (std::size_t factor = 2; n > 1; ++factor) {
    for (; n % factor == 0; n /= factor) factors.push_back(factor);
  }
  return factors;
}

// One of Stockham's steps: transforms of `done` points become transforms of done * radix points.
// Before it, the transform of the points k, k + stride, ... is at j * stride + k for frequency j.
struct Step {
  std::size_t radix, done, stride;  // stride = n / done
};

// Butterflies of the points q = 0 to radix - 1, `run` doubles each: out_p = sum_q w^(p q) t_q.
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3"))) void Butterflies(
    const Lines& from, Lines& to, const std::vector<Root>& roots, const Step& step) {
  const std::size_t r = step.radix, n = roots.size(), next = step.stride / r, run = next * kLanes,
                    turn = n / r;
  constexpr std::size_t kChunk = 64;
  std::vector<double> re(r * kChunk), im(r * kChunk);
  for (std::size_t j = 0; j < step.done; ++j) {
    for (std::size_t begin = 0; begin < run; begin += kChunk) {
      const std::size_t width = std::min(kChunk, run - begin);
      for (std::size_t q = 0; q < r; ++q) {
        const Root w = roots[j * q * next];  // of done * radix = n / next points
        const double* __restrict x = &from.re[j * step.stride * kLanes + q * run + begin];
        const double* __restrict y = &from.im[j * step.stride * kLanes + q * run + begin];
        double* __restrict a = &re[q * kChunk];
        double* __restrict b = &im[q * kChunk];
        for (std::size_t i = 0; i < width; ++i) {
          a[i] = x[i] * w.re - y[i] * w.im;
          b[i] = x[i] * w.im + y[i] * w.re;
        }
      }
      for (std::size_t p = 0; p < r; ++p) {
        double* __restrict a = &to.re[(j + step.done * p) * run + begin];
        double* __restrict b = &to.im[(j + step.done * p) * run + begin];
        std::copy_n(re.data(), width, a);
        std::copy_n(im.data(), width, b);
        for (std::size_t q = 1; q < r; ++q) {
          const Root w = roots[p * q % r * turn];
          const double* __restrict x = &re[q * kChunk];
          const double* __restrict y = &im[q * kChunk];
          for (std::size_t i = 0; i < width; ++i) {
            a[i] += x[i] * w.re - y[i] * w.im;
            b[i] += x[i] * w.im + y[i] * w.re;
          }
        }
      }
    }
  }
}

// Gathers lines along an axis, works on them and puts them back.
void AlongAxis(Spectrum& values, const std::array<int, 3>& size, std::size_t axis,
               Direction direction) {
  const auto n = static_cast<std::size_t>(size[axis]);
  if (n == 1) return;
  const auto roots = RootsOf(n);
  const auto factors = FactorsOf(n);
  Lines lines(n), other(n);
  const bool inverse = direction == Direction::kInverse;  // with real and imaginary parts swapped
  const double scale = inverse ? 1 / static_cast<double>(n) : 1;
  std::size_t stride = 1;
  for (std::size_t a = 0; a < axis; ++a) stride *= static_cast<std::size_t>(size[a]);
  const std::size_t block = stride * n, count = values.size() / n;
  // Lines in the order of their first voxels.
  const auto first_of = [&](std::size_t line) { return line / stride * block + line % stride; };
  for (std::size_t first = 0; first < count; first += kLanes) {
    const std::size_t lanes = std::min(kLanes, count - first);
    std::array<std::size_t, kLanes> begin{};
    for (std::size_t lane = 0; lane < lanes; ++lane) begin[lane] = first_of(first + lane);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        const auto& value = values[begin[lane] + i * stride];
        lines.re[i * kLanes + lane] = inverse ? value.imag() : value.real();
        lines.im[i * kLanes + lane] = inverse ? value.real() : value.imag();
      }
    }
    std::size_t done = 1;
    for (const std::size_t radix : factors) {
      Butterflies(lines, other, roots, {radix, done, n / done});
      std::swap(lines, other);
      done *= radix;
    }
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        const double re = lines.re[i * kLanes + lane] * scale,
                     im = lines.im[i * kLanes + lane] * scale;
        values[begin[lane] + i * stride] = inverse ? std::complex(im, re) : std::complex(re, im);
      }
    }
  }
}

}  // namespace

void Transform(Spectrum& values, const std::array<int, 3>& size, std::size_t axes,
               Direction direction) {
  for (std::size_t axis = 0; axis < axes; ++axis) AlongAxis(values, size, axis, direction);
}

int SmoothSize(int n) {
  for (;; ++n) {
    int rest = n;
    for (const int factor : {2, 3, 5}) {
      while (rest % factor == 0) rest /= factor;
    }
    if (rest == 1) return n;
  }
}

}  // namespace consilium::engine
