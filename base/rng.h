// Seeded randomness with the same stream everywhere (the standard's distributions differ between
// libraries).
//
// xoshiro256** (Blackman & Vigna, ACM TOMS 47(4), 2021) seeded from SHA-256 of (seed, purpose,
// index). Not for secrets: keys come from OpenSSL.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace consilium {

class Rng {
 public:
  Rng(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0);

  std::uint64_t Next();
  // Uniform in [0, 1) with 53 bits.
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }
  // Uniform in [0, bound), bound >= 1, without modulo bias.
  std::uint64_t Below(std::uint64_t bound);
  // Standard normal: Marsaglia's polar method on the project's own logarithm.
  double Normal();
  bool Chance(double probability) { return Uniform() < probability; }

  template <typename T>
  void Shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[Below(i)]);
  }

 private:
  std::uint64_t state_[4];
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace consilium
