#include "engine/fourier.h"

#include <algorithm>
#include <numbers>
#include <utility>

#include "engine/trigonometry.h"
#include "engine/vector_clones.h"

namespace consilium::engine {
namespace {

constexpr std::size_t kLanes = 16;
constexpr std::size_t kRadixMax = 32;  // larger prime factors go by chirps

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

struct Point {
  std::array<double, kLanes> re, im;
};

// out_p = sum_q w^(p q) t_q, w = exp(-2 pi i / r), for r = 2 and 4.
template <std::size_t r>
[[gnu::always_inline]] inline void ButterflyOfTwos(const Point* t, Point* out) {
  for (std::size_t i = 0; i < kLanes; ++i) {
    if constexpr (r == 2) {
      out[0].re[i] = t[0].re[i] + t[1].re[i];
      out[0].im[i] = t[0].im[i] + t[1].im[i];
      out[1].re[i] = t[0].re[i] - t[1].re[i];
      out[1].im[i] = t[0].im[i] - t[1].im[i];
    } else {
      const double a = t[0].re[i] + t[2].re[i], b = t[0].im[i] + t[2].im[i],
                   c = t[0].re[i] - t[2].re[i], d = t[0].im[i] - t[2].im[i],
                   e = t[1].re[i] + t[3].re[i], f = t[1].im[i] + t[3].im[i],
                   g = t[1].re[i] - t[3].re[i], h = t[1].im[i] - t[3].im[i];
      out[0].re[i] = a + e;
      out[0].im[i] = b + f;
      out[1].re[i] = c + h;
      out[1].im[i] = d - g;
      out[2].re[i] = a - e;
      out[2].im[i] = b - f;
      out[3].re[i] = c - h;
      out[3].im[i] = d + g;
    }
  }
}

// The same for odd r: the points q and r - q meet the same cosines and opposite sines.
[[gnu::always_inline]] inline void ButterflyOfOdd(std::size_t r, const Root* roots,
                                                  std::size_t turn, Point* t, Point* out) {
  out[0] = t[0];
  for (std::size_t q = 1; q <= r / 2; ++q) {
    Point &near = t[q], &far = t[r - q];
    for (std::size_t i = 0; i < kLanes; ++i) {
      const double re = near.re[i] - far.re[i], im = near.im[i] - far.im[i];
      near.re[i] += far.re[i];
      near.im[i] += far.im[i];
      far.re[i] = re;
      far.im[i] = im;
      out[0].re[i] += near.re[i];
      out[0].im[i] += near.im[i];
    }
  }
  for (std::size_t p = 1; p <= r / 2; ++p) {
    Point even = t[0], odd{};
    for (std::size_t q = 1; q <= r / 2; ++q) {
      const Root w = roots[p * q % r * turn];
      for (std::size_t i = 0; i < kLanes; ++i) {
        even.re[i] += t[q].re[i] * w.re;
        even.im[i] += t[q].im[i] * w.re;
        odd.re[i] += t[r - q].im[i] * w.im;
        odd.im[i] += t[r - q].re[i] * w.im;
      }
    }
    for (std::size_t i = 0; i < kLanes; ++i) {
      out[p].re[i] = even.re[i] - odd.re[i];
      out[p].im[i] = even.im[i] + odd.im[i];
      out[r - p].re[i] = even.re[i] + odd.re[i];
      out[r - p].im[i] = even.im[i] - odd.im[i];
    }
  }
}

// `fixed` is the radix where the compiler may know it, else 0.
template <std::size_t fixed>
[[gnu::always_inline]] inline void Butterflies(const Lines& from, Lines& to,
                                               const std::vector<Root>& roots, const Step& step) {
  constexpr std::size_t kPoints = fixed == 0 ? kRadixMax : fixed;
  const std::size_t r = fixed == 0 ? step.radix : fixed, next = step.stride / r;
  std::array<Point, kPoints> t, out;
  for (std::size_t j = 0; j < step.done; ++j) {
    for (std::size_t k = 0; k < next; ++k) {
      for (std::size_t q = 0; q < r; ++q) {
        const Root w = roots[j * q * next];  // of done * radix = n / next points
        const std::size_t at = (j * step.stride + q * next + k) * kLanes;
        for (std::size_t i = 0; i < kLanes; ++i) {
          t[q].re[i] = from.re[at + i] * w.re - from.im[at + i] * w.im;
          t[q].im[i] = from.re[at + i] * w.im + from.im[at + i] * w.re;
        }
      }
      if constexpr (fixed == 2 || fixed == 4) {
        ButterflyOfTwos<fixed>(t.data(), out.data());
      } else {
        ButterflyOfOdd(r, roots.data(), roots.size() / r, t.data(), out.data());
      }
      for (std::size_t p = 0; p < r; ++p) {
        const std::size_t at = ((j + step.done * p) * next + k) * kLanes;
        std::copy(out[p].re.begin(), out[p].re.end(), &to.re[at]);
        std::copy(out[p].im.begin(), out[p].im.end(), &to.im[at]);
      }
    }
  }
}

// Each lane does the same additions and products whatever the width of the machine's vectors, none
// fused.
CONSILIUM_VECTOR_CLONES("avx512f", "avx2")
void Apply(const Lines& from, Lines& to, const std::vector<Root>& roots, const Step& step) {
  switch (step.radix) {
    case 2:
      return Butterflies<2>(from, to, roots, step);
    case 3:
      return Butterflies<3>(from, to, roots, step);
    case 4:
      return Butterflies<4>(from, to, roots, step);
    case 5:
      return Butterflies<5>(from, to, roots, step);
    default:
      return Butterflies<0>(from, to, roots, step);
  }
}

// Transforms of n points, of all lanes at once; n without large prime factors.
class SmoothTransform {
 public:
  explicit SmoothTransform(std::size_t n) : roots_(RootsOf(n)), factors_(FactorsOf(n)), other_(n) {}

  // In place, forwards.
  void operator()(Lines& lines) {
    std::size_t done = 1;
    for (const std::size_t radix : factors_) {
      Apply(lines, other_, roots_, {radix, done, roots_.size() / done});
      std::swap(lines, other_);
      done *= radix;
    }
  }

 private:
  std::vector<Root> roots_;
  std::vector<std::size_t> factors_;
  Lines other_;
};

// Bluestein's algorithm, for any n: f k = (f^2 + k^2 - (f - k)^2) / 2 makes of the transform a
// convolution, which is taken with transforms of a smooth number of points.
class ChirpTransform {
 public:
  explicit ChirpTransform(std::size_t n)
      : points_(static_cast<std::size_t>(SmoothSize(static_cast<int>(2 * n - 1)))),
        transform_(points_),
        kernel_(points_),
        work_(points_) {
    const auto roots = RootsOf(2 * n);
    for (std::size_t k = 0; k < n; ++k) {
      const Root w = roots[k * k % (2 * n)];
      chirp_.push_back(w);
      for (const std::size_t at : {k, (points_ - k) % points_}) {
        std::fill_n(&kernel_.re[at * kLanes], kLanes, w.re);
        std::fill_n(&kernel_.im[at * kLanes], kLanes, -w.im);
      }
    }
    transform_(kernel_);
  }

  void operator()(Lines& lines) {
    const std::size_t used = chirp_.size() * kLanes;
    work_ = Lines(points_);
    for (std::size_t i = 0; i < used; ++i) {
      const Root w = chirp_[i / kLanes];
      work_.re[i] = lines.re[i] * w.re - lines.im[i] * w.im;
      work_.im[i] = lines.re[i] * w.im + lines.im[i] * w.re;
    }
    transform_(work_);
    // Real and imaginary parts change places, so that the next transform is the inverse.
    for (std::size_t i = 0; i < work_.re.size(); ++i) {
      const double re = work_.re[i], im = work_.im[i];
      work_.im[i] = re * kernel_.re[i] - im * kernel_.im[i];
      work_.re[i] = re * kernel_.im[i] + im * kernel_.re[i];
    }
    transform_(work_);
    const double scale = 1 / static_cast<double>(points_);
    for (std::size_t i = 0; i < used; ++i) {
      const Root w = chirp_[i / kLanes];
      const double re = work_.im[i] * scale, im = work_.re[i] * scale;
      lines.re[i] = re * w.re - im * w.im;
      lines.im[i] = re * w.im + im * w.re;
    }
  }

 private:
  std::size_t points_;
  SmoothTransform transform_;
  Lines kernel_, work_;
  std::vector<Root> chirp_;  // exp(-pi i k^2 / n)
};

// Gathers lines along an axis, transforms them and puts them back.
template <typename LineTransform>
void AlongAxis(Spectrum& values, const std::array<int, 3>& size, std::size_t axis,
               Direction direction, LineTransform transform) {
  const auto n = static_cast<std::size_t>(size[axis]);
  Lines lines(n);
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
    transform(lines);
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
  for (std::size_t axis = 0; axis < axes; ++axis) {
    const auto n = static_cast<std::size_t>(size[axis]);
    if (n == 1) continue;
    if (FactorsOf(n).back() <= kRadixMax) {
      AlongAxis(values, size, axis, direction, SmoothTransform(n));
    } else {
      AlongAxis(values, size, axis, direction, ChirpTransform(n));
    }
  }
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
