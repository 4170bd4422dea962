// Embedding tables on one rank: milliseconds for looking up rows and for the fused update, 1 M rows
// x 64, 262,144 keys a step. The gradients of the distinct rows are given, so no backward pass is
// timed.
//
//   table_bench --benchmark_repetitions=3
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "comm/in_process/rank_group.h"
#include "sharding/distinct_rows.h"
#include "sharding/table_group.h"

namespace torii::sharding {
namespace {

constexpr int64_t kRows = 1'000'000;
constexpr int64_t kKeys = 262'144;
constexpr int64_t kDim = 64;
// Sets of keys in rotation, so that no step finds its rows in the cache.
constexpr uint64_t kSets = 4;

enum class Draw : int64_t { kZipf = 0, kUniform = 1 };

// Zipf with exponent 1.05 by the inverse of its cumulative sums, rows scattered over the table.
std::vector<std::vector<int64_t>> MakeKeys(Draw draw) {
  std::vector<double> cumulative;
  if (draw == Draw::kZipf) {
    double sum = 0;
    for (int64_t r = 0; r < kRows; ++r) {
      cumulative.push_back(sum += std::pow(static_cast<double>(r + 1), -1.05));
    }
  }
  std::vector<std::vector<int64_t>> sets;
  for (uint64_t s = 0; s < kSets; ++s) {
    const RandomStream stream(1, "keys", s);
    auto& keys = sets.emplace_back();
    for (uint64_t i = 0; i < static_cast<uint64_t>(kKeys); ++i) {
      int64_t row = stream.Below(i, kRows);
      if (draw == Draw::kZipf) {
        const double at = stream.Uniform(i) * cumulative.back();
        const int64_t rank =
            std::upper_bound(cumulative.begin(), cumulative.end(), at) - cumulative.begin();
        row = std::min(rank, kRows - 1) * 7919 % kRows;
      }
      keys.push_back(row);
    }
  }
  return sets;
}

void BM_FindDistinct(benchmark::State& state) {
  const auto sets = MakeKeys(static_cast<Draw>(state.range(0)));
  DistinctFinder finder;
  std::vector<int64_t> index(static_cast<size_t>(kKeys));
  size_t set = 0;
  for (auto _ : state) {
    finder.Find(sets[set++ % kSets], static_cast<int>(state.range(1)), index);
    benchmark::DoNotOptimize(index.data());
  }
  state.counters["distinct"] = static_cast<double>(finder.keys().size());
}

// Arguments: optimizer, draw, threads.
struct Setup {
  explicit Setup(const benchmark::State& state)
      : sets(MakeKeys(static_cast<Draw>(state.range(1)))),
        comm(std::move(comm::CreateInProcessGroup(1)[0])) {
    at::set_num_threads(static_cast<int>(state.range(2)));
    TableConfig config;
    config.set_optimizer(static_cast<TableConfig::Optimizer>(state.range(0)));
    group = TableGroup::Create(*comm, {{"t", kRows}}, kDim, config, 1).value();
  }
  std::vector<std::vector<int64_t>> sets;
  std::unique_ptr<comm::Communicator> comm;
  std::unique_ptr<TableGroup> group;
};

void BM_Find(benchmark::State& state) {
  Setup setup(state);
  size_t set = 0;
  for (auto _ : state) {
    const Lookup lookup = setup.group->Find(setup.sets[set++ % kSets]).value();
    benchmark::DoNotOptimize(lookup.rows.data_ptr());
  }
}

void BM_Update(benchmark::State& state) {
  Setup setup(state);
  std::vector<Lookup> lookups;
  for (const auto& keys : setup.sets) {
    lookups.push_back(setup.group->Find(keys).value());
    lookups.back().rows.mutable_grad() = at::randn(lookups.back().rows.sizes());
  }
  int64_t step = 0;
  for (auto _ : state) {
    std::vector<Lookup*> one = {&lookups[static_cast<size_t>(step) % kSets]};
    if (!setup.group->Update(one, 1.0, step++).ok()) state.SkipWithError("update failed");
  }
}

BENCHMARK(BM_FindDistinct)
    ->ArgNames({"draw", "ranks"})
    ->ArgsProduct({{0, 1}, {1, 4}})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_Find)
    ->ArgNames({"optimizer", "draw", "threads"})
    ->ArgsProduct({{TableConfig::ROWWISE_ADAGRAD}, {0, 1}, {1, 2}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK(BM_Update)
    ->ArgNames({"optimizer", "draw", "threads"})
    ->ArgsProduct({{TableConfig::ROWWISE_ADAGRAD, TableConfig::ADAGRAD, TableConfig::SGD,
                    TableConfig::ADAM},
                   {0, 1},
                   {1, 2}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace torii::sharding

int main(int argc, char** argv) {
  // The first question for the number of threads starts the runtime; a later setting holds.
  (void)at::get_num_threads();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
