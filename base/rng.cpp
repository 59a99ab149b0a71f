#include "base/rng.h"

#include <bit>
#include <cmath>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/portable_math.h"

namespace consilium {

Rng::Rng(std::uint64_t seed, std::string_view purpose, std::uint64_t index) {
  ByteWriter writer;
  writer.U64(seed);
  writer.Text(purpose);
  writer.U64(index);
  const Digest digest = Sha256(writer.bytes());
  ByteReader reader(digest.bytes);
  for (std::uint64_t& word : state_) word = reader.U64();
}

std::uint64_t Rng::Next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Rng::Below(std::uint64_t bound) {
  const std::uint64_t limit = bound * (UINT64_MAX / bound);
  std::uint64_t draw = Next();
  while (draw >= limit) draw = Next();
  return draw % bound;
}

double Rng::Normal() {
  if (has_spare_) {
    has_spare_ = false;
    return spare_;
  }
  double u = 0, v = 0, s = 0;
  do {
    u = 2 * Uniform() - 1;
    v = 2 * Uniform() - 1;
    s = u * u + v * v;
  } while (s >= 1 || s == 0);
  const double factor = std::sqrt(-2 * Log(s) / s);  // sqrt is exact by IEEE 754
  spare_ = v * factor;
  has_spare_ = true;
  return u * factor;
}

}  // namespace consilium
