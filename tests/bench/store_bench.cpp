// A durable append of one record, beside what the disk itself asks for the same bytes: write and
// fdatasync at the end of a file in the same folder (below the current one). Merging the
// write-ahead log into the database is part of the time, as it is in a study.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "coordinator/store.h"

namespace consilium::coordinator {
namespace {

class BenchFolder {
 public:
  BenchFolder() {
    std::string pattern = std::filesystem::current_path().string() + "/store_bench_XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~BenchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;
  [[nodiscard]] std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Each call's time, for its median and 99th percentile.
class Latencies {
 public:
  template <typename Work>
  void Measure(benchmark::State& state, Work&& work) {
    const auto begin = std::chrono::steady_clock::now();
    if (!work()) state.SkipWithError("the bytes were not written");
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    state.SetIterationTime(took.count());
    milliseconds_.push_back(took.count() * 1e3);
  }
  void Report(benchmark::State& state) {
    if (milliseconds_.empty()) return;
    std::sort(milliseconds_.begin(), milliseconds_.end());
    const auto last = milliseconds_.size() - 1;
    state.counters["median_ms"] = milliseconds_[last / 2];
    state.counters["p99_ms"] = milliseconds_[last * 99 / 100];
    state.SetBytesProcessed(state.iterations() * state.range(0));
  }

 private:
  std::vector<double> milliseconds_;
};

Bytes RecordOf(std::int64_t bytes) {
  Bytes record(static_cast<std::size_t>(bytes));
  for (std::size_t i = 0; i < record.size(); ++i) {
    record[i] = static_cast<std::uint8_t>((i * 2654435761U) >> 24U);
  }
  return record;
}

void AppendToTheStore(benchmark::State& state) {
  const BenchFolder folder;
  const auto store = Store::Create(folder / "store.db");
  const Digest study = Sha256("study");
  if (!store || !(*store)->AddStudy({study, "study", "lead", "", {}}, 1) ||
      !(*store)->BeginAttempt(study, 0, {}, 1)) {
    state.SkipWithError("there is no store");
    return;
  }
  StoreLog log(**store, study, 0);
  const Bytes record = RecordOf(state.range(0));
  Latencies latencies;
  for (auto _ : state) {
    latencies.Measure(state, [&] { return log.Append(record).has_value(); });
  }
  latencies.Report(state);
}

void AppendToAFile(benchmark::State& state) {
  const BenchFolder folder;
  const int file = open((folder / "file").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const Bytes record = RecordOf(state.range(0));
  Latencies latencies;
  for (auto _ : state) {
    latencies.Measure(state, [&] {
      return write(file, record.data(), record.size()) == static_cast<ssize_t>(record.size()) &&
             fdatasync(file) == 0;
    });
  }
  close(file);
  latencies.Report(state);
}

BENCHMARK(AppendToAFile)->Arg(8192)->Arg(8 << 20)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK(AppendToTheStore)
    ->Arg(8192)
    ->Arg(8 << 20)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace consilium::coordinator
