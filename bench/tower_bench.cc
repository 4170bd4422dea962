// The layers of a tower, forward and backward, beside the same composed of LibTorch's operations
// (at::linear, at::relu, the scaling to length 1, autograd), one after the other in turns; medians.
// "of peak" is the share of the multiply-add peak that is measured in the same run.
//
//   tower_bench [threads = 2] [repeats = 15]
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "bench/machine_limits.h"
#include "launch/process/allocator.h"
#include "model/linear_layers.h"

namespace torii::bench {
namespace {

struct Case {
  int64_t rows;
  std::vector<int64_t> widths;
  bool normalize;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const int64_t rows : {256, 1900, 4096, 16384}) cases.push_back({rows, {64, 128, 64}, true});
  cases.push_back({4096, {128, 256}, false});
  cases.push_back({4096, {256, 128}, false});
  cases.push_back({4096, {64, 128}, false});
  cases.push_back({2048, {512, 256}, false});
  return cases;
}

at::Tensor Leaf(at::IntArrayRef sizes, double scale) {
  at::Tensor leaf = at::randn(sizes, at::kFloat).mul_(scale).requires_grad_();
  leaf.mutable_grad() = at::zeros(sizes, at::kFloat);
  return leaf;
}

using Layers = decltype(&model::ComposedLinearLayers);

at::Tensor Own(at::Tensor x, const std::vector<model::LinearWeights>& layers, bool normalize) {
  return model::LinearLayers(x, layers, normalize, kernels::Device::Cpu());
}

// Seconds of one call.
struct Times {
  std::vector<double> forward, both;
};

void Measure(Layers apply, const Case& c, const std::vector<model::LinearWeights>& weights,
             const at::Tensor& x, const at::Tensor& toward, Times* times) {
  // A few calls for each time, so that a short one is not the clock's.
  const auto calls = std::max<int64_t>(1, 4096 / c.rows);
  const auto per_call = [&](const Stopwatch& watch) {
    return watch.seconds() / static_cast<double>(calls);
  };
  {
    const at::NoGradGuard no_grad;
    const Stopwatch watch;
    for (int64_t i = 0; i < calls; ++i) apply(x, weights, c.normalize);
    times->forward.push_back(per_call(watch));
  }
  const Stopwatch watch;
  for (int64_t i = 0; i < calls; ++i) {
    at::Tensor leaf = x;
    leaf.mutable_grad().reset();
    apply(leaf, weights, c.normalize).backward(toward);
  }
  times->both.push_back(per_call(watch));
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

void Run(const Case& c, int repeats, double peak) {
  std::vector<model::LinearWeights> weights;
  double products = 0;
  std::string name = std::to_string(c.rows) + " x " + std::to_string(c.widths[0]);
  for (size_t l = 0; l + 1 < c.widths.size(); ++l) {
    const int64_t in = c.widths[l], out = c.widths[l + 1];
    weights.push_back({Leaf({out, in}, 0.1), Leaf({out}, 0.1)});
    products += static_cast<double>(c.rows * in * out);
    name += "-" + std::to_string(out);
  }
  const at::Tensor x = at::randn({c.rows, c.widths.front()}, at::kFloat).requires_grad_();
  const at::Tensor toward = at::randn({c.rows, c.widths.back()}, at::kFloat);
  Times own, composed;
  for (int repeat = -3; repeat < repeats; ++repeat) {
    if (repeat == 0) own = composed = {};
    Measure(Own, c, weights, x, toward, &own);
    Measure(model::ComposedLinearLayers, c, weights, x, toward, &composed);
  }
  const auto line = [&](const char* what, double operations, double ours, double theirs) {
    std::printf("%-18s %-18s %9.1f us %5.2f of peak | LibTorch %9.1f us %5.2f | ratio %.2f\n",
                name.c_str(), what, ours * 1e6, operations / ours / peak, theirs * 1e6,
                operations / theirs / peak, theirs / ours);
  };
  line("forward", 2 * products, Median(own.forward), Median(composed.forward));
  line("forward+backward", 6 * products, Median(own.both), Median(composed.both));
}

}  // namespace
}  // namespace torii::bench

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::stoi(argv[1]) : 2;
  const int repeats = argc > 2 ? std::stoi(argv[2]) : 15;
  torii::launch::KeepFreedMemory();
  at::set_num_threads(threads);
  const double peak = torii::bench::FmaPeak(threads);
  std::printf("%d threads, multiply-add peak %.1f GFLOP/s\n", threads, peak / 1e9);
  for (const auto& c : torii::bench::Cases()) torii::bench::Run(c, repeats, peak);
  return 0;
}
