// Words, masks and sum tags, bytes a second on one core. A counter of 1.5 GB/s a peer is what a 60
// MB answer of ten sites needs to be masked within half a second.
#include <benchmark/benchmark.h>

#include "federation/fixed_point.h"
#include "federation/masks.h"
#include "federation/sum_tag.h"

namespace consilium::federation {
namespace {

std::vector<BlockLayout> Layout(int bits, std::int64_t bytes) {
  return {{"x", bytes / (bits / 8), 1, {bits, 20}}};
}

void BM_ApplyMasksOfOnePeer(benchmark::State& state) {
  const auto bits = static_cast<int>(state.range(0));
  const auto layout = Layout(bits, state.range(1));
  const AgreementKey key = AgreementKey::FromSecret(Sha256("own").bytes);
  const AgreementKey peer = AgreementKey::FromSecret(Sha256("peer").bytes);
  const auto masker = Masker::Create("A", key, {{"B", peer.public_key()}});
  Bytes words = ZeroWords(layout);
  for (auto _ : state) {
    CONSILIUM_CHECK(masker->Apply({}, layout, words).has_value(), "masks apply");
    benchmark::DoNotOptimize(words.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(words.size()));
}
BENCHMARK(BM_ApplyMasksOfOnePeer)->ArgsProduct({{32, 64, 128}, {1 << 10, 64 << 20}});

// What a site pays once for its own tag and once for the total, whatever the number of sites.
void BM_SumHash(benchmark::State& state) {
  const auto bits = static_cast<int>(state.range(0));
  const auto layout = Layout(bits, state.range(1));
  Bytes words = ZeroWords(layout);
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = static_cast<std::uint8_t>(i * 197);
  const Digest drawn = Sha256("point");
  const SumTag point = ResidueOf(std::span(drawn.bytes).first(16));
  for (auto _ : state) {
    const SumTag tag = SumHash(point, layout, words);
    benchmark::DoNotOptimize(tag);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(words.size()));
  state.SetItemsProcessed(state.iterations() * (state.range(1) * 8 / bits));
}
BENCHMARK(BM_SumHash)->ArgsProduct({{32, 64, 128}, {1 << 10, 64 << 20}});

void BM_EncodeWords(benchmark::State& state) {
  const auto layout = Layout(static_cast<int>(state.range(0)), 64 << 20);
  const Answer answer{{{"x", Eigen::MatrixXd::Constant(layout[0].rows, 1, 1.25)}}};
  std::int64_t bytes = 0;
  for (auto _ : state) {
    const auto words = EncodeWords(answer, layout, 5);
    benchmark::DoNotOptimize(words->data());
    bytes += static_cast<std::int64_t>(words->size());
  }
  state.SetBytesProcessed(bytes);
}
BENCHMARK(BM_EncodeWords)->Arg(32)->Arg(64)->Arg(128);

void BM_AddWords(benchmark::State& state) {
  const auto layout = Layout(static_cast<int>(state.range(0)), 64 << 20);
  const Bytes words = ZeroWords(layout);
  Bytes total = ZeroWords(layout);
  for (auto _ : state) {
    AddWords(layout, words, total);
    benchmark::DoNotOptimize(total.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(words.size()));
}
BENCHMARK(BM_AddWords)->Arg(32)->Arg(64)->Arg(128);

void BM_DecodeWords(benchmark::State& state) {
  const auto layout = Layout(static_cast<int>(state.range(0)), 64 << 20);
  const Bytes words = ZeroWords(layout);
  for (auto _ : state) {
    const auto blocks = DecodeWords(words, layout);
    benchmark::DoNotOptimize((*blocks)[0].values.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(words.size()));
}
BENCHMARK(BM_DecodeWords)->Arg(32)->Arg(64)->Arg(128);

}  // namespace
}  // namespace consilium::federation
