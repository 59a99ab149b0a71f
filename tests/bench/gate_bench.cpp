// What an agent waits for and holds when a study begins in a ledger of many years: a gate rebuilt
// from all its records, beside reading and hashing the same bytes.
//
//   gate_bench                  studies of 2,000 answers each
//   CONSILIUM_LEDGER=FILE.jsonl gate_bench    the studies of a real ledger, as `consilium simulate`
//                                             leaves it, many times under other names
//
// held_MiB: what the allocator holds for the gate; of the last iteration.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "site_agent/gate.h"
#include "site_agent/ledger.h"
#include "tests/support/ledger_disk.h"

namespace consilium::site_agent {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

Digest Numbered(std::string_view what, std::uint64_t number) {
  return Sha256(std::string(what) + std::to_string(number));
}

// A study of ten folds at one center of 300 rows, 2,000 answers in 50 rounds, half of them with
// curvature at points of their own.
std::vector<LedgerRecord> MadeStudy() {
  std::vector<LedgerRecord> records;
  LedgerRecord approved;
  approved.event = LedgerEvent::kStudyApproved;
  approved.study_name = "made";
  approved.terms.emplace();
  for (std::uint64_t c = 0; c < 100; ++c) approved.terms->columns.push_back(c);
  records.push_back(approved);
  std::vector<RowSet> folds(11);
  for (std::uint32_t row = 0; row < 300; ++row) {
    for (std::uint32_t fold = 0; fold < folds.size(); ++fold) {
      if (fold == 0 || row * 7919 % 10 != fold - 1) folds[fold].push_back(row);
    }
  }
  for (std::uint64_t i = 0; i < 2000; ++i) {
    LedgerRecord answered;
    answered.event = LedgerEvent::kQueryAnswered;
    answered.study_name = "made";
    answered.round = i / 40;
    answered.round_digest = Numbered("round", answered.round);
    answered.query = Numbered("query", i);
    answered.content = Numbered("content", i);
    answered.roster_sites = answered.members = {"a", "b", "c", "d"};
    answered.step = "lasso_gradient";
    answered.fit = "primary/lasso/a+b+c+d/" + std::to_string(i % 11);
    const RowSet& rows = folds[i % folds.size()];
    answered.training_rows = rows.size();
    answered.training_set = DigestOf(rows);
    if (i < folds.size()) answered.new_row_sets.push_back(EncodeRowSet(rows));
    if (i % 2 == 0) {
      answered.curvature_columns = 20;
      answered.curvature_point = Numbered("point", i);
      answered.rows_of_sum = 1200;
    }
    answered.sentence = "Round: sent 120 masked sums over my 270 training rows.";
    records.push_back(answered);
  }
  return records;
}

std::vector<LedgerRecord> OneStudy() {
  const char* file = std::getenv("CONSILIUM_LEDGER");
  if (file == nullptr) return MadeStudy();
  std::ifstream in(file);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::vector<LedgerRecord> records;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    auto record = FromLine(std::string_view(text).substr(at, end - at));
    if (!record) std::abort();
    records.push_back(std::move(*record));
    at = end + 1;
  }
  return records;
}

// The ledger of one study after another.
const testing::LedgerDisk& LedgerOf(std::int64_t studies) {
  static const std::vector<LedgerRecord> kStudy = OneStudy();
  static std::map<std::int64_t, testing::LedgerDisk> disks;
  const auto [found, added] = disks.try_emplace(studies);
  if (added) {
    Ledger ledger("a", &found->second);
    for (std::int64_t s = 0; s < studies; ++s) {
      for (LedgerRecord record : kStudy) {
        record.study = Numbered("study", static_cast<std::uint64_t>(s));
        if (!ledger.Append(std::move(record))) std::abort();
      }
      LedgerRecord ended;
      ended.event = LedgerEvent::kStudyEnded;
      ended.study = Numbered("study", static_cast<std::uint64_t>(s));
      if (!ledger.Append(std::move(ended))) std::abort();
    }
  }
  return found->second;
}

void RebuildTheGate(benchmark::State& state) {
  testing::LedgerDisk disk = LedgerOf(state.range(0));
  auto ledger = Ledger::Open("a", disk);
  if (!ledger) std::abort();
  double held = 0;
  for (auto _ : state) {
    const std::size_t before = mallinfo2().uordblks;
    std::optional<Gate> gate;
    gate.emplace(SiteSettings{}, *ledger);
    benchmark::DoNotOptimize(gate->IsApproved(Numbered("study", 0)));
    held = static_cast<double>(mallinfo2().uordblks - before);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(disk.bytes.size()));
  state.counters["ledger_MiB"] = static_cast<double>(disk.bytes.size()) / kMiB;
  state.counters["held_MiB"] = held / kMiB;
}

void HashTheSameBytes(benchmark::State& state) {
  const Bytes bytes = LedgerOf(state.range(0)).bytes;
  for (auto _ : state) benchmark::DoNotOptimize(Sha256(bytes));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}

BENCHMARK(RebuildTheGate)->Arg(1)->Arg(10)->Arg(50)->Unit(benchmark::kMillisecond);
BENCHMARK(HashTheSameBytes)->Arg(1)->Arg(10)->Arg(50)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace consilium::site_agent
