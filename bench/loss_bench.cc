// Time of the softmax loss, value and both gradients, against what the machine can do, which is
// measured in the same run: limit = 6 B U D / (rate of multiply-adds or of bfloat16 products)
// + B U / (rate of exponentials).
//
// usage: loss_bench [threads [float32|bfloat16 [B U D]]]; threads 0: 1 and 2
// prints one line a case: its limit, best and median milliseconds, and the limit's fraction of
// each.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "bench/machine_limits.h"
#include "launch/process/allocator.h"
#include "model/loss/fused_softmax.h"

namespace torii::bench {
namespace {

struct Size {
  int64_t rows = 0, columns = 0, dim = 0;
};
constexpr Size kSizes[] = {{2048, 8192, 64}, {2048, 8192, 128}, {4096, 4096, 64}, {8192, 8192, 64},
                           {4096, 1900, 64}, {16384, 5500, 64}, {256, 250, 64}};

// Rates of operations a second.
struct Rates {
  double products = 0, exponentials = 0;
};

Rates RatesOf(kernels::SoftmaxPrecision precision, int threads) {
  const double bf16 = precision == kernels::SoftmaxPrecision::kBfloat16 ? Bf16DotPeak(threads) : 0;
  return {bf16 > 0 ? bf16 : FmaPeak(threads), ExpRate(threads)};
}

// Cosine vectors at temperature 0.07, random positives.
model::SoftmaxProblem Problem(const Size& size) {
  at::manual_seed(1);
  model::SoftmaxProblem p;
  p.q = at::randn({size.rows, size.dim});
  p.q.div_(p.q.norm(2, {1}, true));
  p.v = at::randn({size.columns, size.dim});
  p.v.div_(p.v.norm(2, {1}, true));
  p.column_offset = at::rand({size.columns});
  p.rows = RowGroups::OneEach(size.rows);
  p.positive = at::randint(size.columns, {size.rows}, at::kLong);
  p.positive_offset = p.target_offset = at::zeros({size.rows});
  p.weight = at::full({size.rows}, 1.0 / static_cast<double>(size.rows));
  p.temperature = 0.07;
  return p;
}

// At least 9 repeats, and 0.7 s of them.
void Measure(const Size& size, kernels::SoftmaxPrecision precision, int threads,
             const Rates& rates) {
  const model::SoftmaxProblem problem = Problem(size);
  model::FusedSoftmax loss(precision);
  std::vector<double> ms;
  double value = 0;
  for (const Stopwatch all; ms.size() < 9 || all.seconds() < 0.7;) {
    const Stopwatch watch;
    const auto result = loss.Compute(problem);
    ms.push_back(1e3 * watch.seconds());
    value = result.value.item<double>();
  }
  std::sort(ms.begin(), ms.end());
  const auto cells = static_cast<double>(size.rows * size.columns);
  const double limit = 1e3 * (6 * cells * static_cast<double>(size.dim) / rates.products +
                              cells / rates.exponentials);
  const double median = ms[ms.size() / 2];
  std::printf(
      "%-8s threads %d  B %5ld U %4ld D %3ld  limit %8.3f ms  best %8.3f ms (%.2f)  median %8.3f "
      "ms (%.2f)  loss %.6f\n",
      precision == kernels::SoftmaxPrecision::kBfloat16 ? "BFLOAT16" : "FLOAT32", threads,
      size.rows, size.columns, size.dim, limit, ms.front(), limit / ms.front(), median,
      limit / median, value);
  std::fflush(stdout);
}

int Run(const std::vector<std::string>& args) {
  if (args.size() > 2 && args.size() != 5) {
    std::fprintf(stderr, "usage: loss_bench [threads [float32|bfloat16 [B U D]]]\n");
    return 64;
  }
  std::vector<Size> sizes(std::begin(kSizes), std::end(kSizes));
  if (args.size() == 5) sizes = {{std::stoll(args[2]), std::stoll(args[3]), std::stoll(args[4])}};
  const int asked = args.empty() ? 0 : std::stoi(args[0]);
  for (const int threads : asked > 0 ? std::vector<int>{asked} : std::vector<int>{1, 2}) {
    at::set_num_threads(threads);
    for (const auto precision :
         {kernels::SoftmaxPrecision::kFloat32, kernels::SoftmaxPrecision::kBfloat16}) {
      if (args.size() > 1 &&
          (args[1] == "bfloat16") != (precision == kernels::SoftmaxPrecision::kBfloat16)) {
        continue;
      }
      const Rates rates = RatesOf(precision, threads);
      std::printf("%d threads: %.1f Gop/s of products, %.2f G/s exponentials, %s\n", threads,
                  rates.products / 1e9, rates.exponentials / 1e9,
                  model::FusedSoftmax(precision).Description().c_str());
      for (const Size& size : sizes) {
        Measure(size, precision, threads, rates);
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace torii::bench

int main(int argc, char** argv) {
  torii::launch::KeepFreedMemory();  // as the program does
  (void)at::get_num_threads();
  return torii::bench::Run({argv + 1, argv + argc});
}
