// The CPU kernels on one thread: GFLOP/s and the fraction of a multiply-add peak that is measured
// in the same run. Sizes are rows x columns x dimensions. Softmax counts its three products (6 b u
// d), not its exponentials.
//
// usage: kernel_bench [--benchmark_filter=...]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "base/random.h"
#include "bench/machine_limits.h"
#include "benchmark/benchmark.h"
#include "kernels/cpu/ranking/score.h"
#include "kernels/cpu/ranking/score_count.h"
#include "kernels/cpu/softmax/softmax.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels::cpu {
namespace {

struct Size {
  int64_t rows, columns, dim;
};
constexpr Size kSizes[] = {{2048, 8192, 64}, {4096, 1850, 64}};

std::vector<float> RandomFloats(int64_t n, std::string_view purpose) {
  std::vector<float> out(static_cast<size_t>(n));
  const RandomStream random(1, purpose);
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(random.Uniform(i)) - 0.5F;
  return out;
}

double PeakGflops() {
  static const double peak = bench::FmaPeak(/*threads=*/1) / 1e9;
  return peak;
}

void Report(benchmark::State& state, const Size& size, double operations_of_a_product) {
  const double operations = operations_of_a_product * static_cast<double>(size.rows) *
                            static_cast<double>(size.columns) * static_cast<double>(size.dim) *
                            static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] = benchmark::Counter(operations / 1e9, benchmark::Counter::kIsRate);
  // A rate, so that the library divides by the time: achieved operations over those of the peak.
  state.counters["of_peak"] =
      benchmark::Counter(operations / 1e9 / PeakGflops(), benchmark::Counter::kIsRate);
  state.SetLabel(std::to_string(size.rows) + " x " + std::to_string(size.columns) + " x " +
                 std::to_string(size.dim) + ", " + BestInstructionSet());
}

void BM_Scores(benchmark::State& state) {
  const Size& size = kSizes[state.range(0)];
  const std::vector<float> q = RandomFloats(size.rows * size.dim, "q");
  const PackedVectors v(RandomFloats(size.columns * size.dim, "v").data(), size.columns, size.dim);
  std::vector<float> out(static_cast<size_t>(size.rows * size.columns));
  for (auto _ : state) {
    Scores(q.data(), size.rows, v, out.data());
    benchmark::ClobberMemory();
  }
  Report(state, size, 2);
}
BENCHMARK(BM_Scores)->DenseRange(0, 1)->Unit(benchmark::kMillisecond);

void BM_CountAbove(benchmark::State& state) {
  const Size& size = kSizes[state.range(0)];
  const std::vector<float> q = RandomFloats(size.rows * size.dim, "q");
  const PackedVectors v(RandomFloats(size.columns * size.dim, "v").data(), size.columns, size.dim);
  const std::vector<float> threshold(static_cast<size_t>(size.rows), 0.3F);
  const std::vector<int64_t> tie_before(threshold.size(), size.columns / 2);
  std::vector<int64_t> begin(threshold.size() + 1);
  std::iota(begin.begin(), begin.end(), int64_t{0});
  const std::vector<int64_t> none(begin.size(), 0);
  std::vector<int64_t> counts(threshold.size());
  for (auto _ : state) {
    CountAbove(q.data(), size.rows, v, {begin.data(), threshold.data(), tie_before.data()},
               {none.data(), nullptr}, counts.data());
    benchmark::ClobberMemory();
  }
  Report(state, size, 2);
}
BENCHMARK(BM_CountAbove)->DenseRange(0, 1)->Unit(benchmark::kMillisecond);

void BM_Softmax(benchmark::State& state) {
  const Size& size = kSizes[state.range(0)];
  const auto rows = static_cast<size_t>(size.rows);
  const std::vector<float> q = RandomFloats(size.rows * size.dim, "q");
  const std::vector<float> v = RandomFloats(size.columns * size.dim, "v");
  const std::vector<float> column_offset = RandomFloats(size.columns, "offset");
  const std::vector<float> zeros(rows, 0.0F);
  const std::vector<float> weight(rows, 1.0F / static_cast<float>(size.rows));
  std::vector<int64_t> positive(rows);
  for (size_t i = 0; i < rows; ++i) positive[i] = static_cast<int64_t>(i) % size.columns;
  std::vector<float> q_grad(q.size());
  std::vector<float> v_grad(v.size());
  std::vector<double> row_loss(rows);
  SoftmaxArgs args;
  args.q = q.data();
  args.v = v.data();
  args.column_offset = column_offset.data();
  args.positive = positive.data();
  args.positive_offset = args.target_offset = zeros.data();
  args.weight = weight.data();
  args.b = size.rows;
  args.u = size.columns;
  args.dim = size.dim;
  args.inverse_temperature = 5;
  args.q_grad = q_grad.data();
  args.v_grad = v_grad.data();
  args.row_loss = row_loss.data();
  SoftmaxKernel kernel(SoftmaxPrecision::kFloat32);
  for (auto _ : state) {
    kernel.Start(args, 1);
    kernel.Run(0);
    benchmark::ClobberMemory();
  }
  Report(state, size, 6);
}
BENCHMARK(BM_Softmax)->DenseRange(0, 1)->Unit(benchmark::kMillisecond);

}  // namespace

// Printed first, so that a disturbed machine shows.
void PrintPeak() { std::printf("multiply-add peak of one core: %.1f GFLOP/s\n", PeakGflops()); }

}  // namespace torii::kernels::cpu

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  torii::kernels::cpu::PrintPeak();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
