// Time of the softmax loss, value and both gradients.
//   loss_bench [threads [B U D tile_rows]]
// prints one line a case: B U D tile_rows, best and median milliseconds, GFLOP/s of the best (6 B U
// D).
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "model/softmax_loss.h"

namespace {

constexpr int kRepeats = 9;

struct Case {
  int64_t rows = 0, columns = 0, dim = 0, tile_rows = 128;
};

// Cosine vectors at temperature 0.07, every column the positive of some rows.
torii::model::SoftmaxProblem Problem(const Case& c) {
  torii::model::SoftmaxProblem p;
  p.q = at::randn({c.rows, c.dim});
  p.q.div_(p.q.norm(2, {1}, true));
  p.v = at::randn({c.columns, c.dim});
  p.v.div_(p.v.norm(2, {1}, true));
  p.column_offset = at::rand({c.columns});
  p.positive = at::arange(c.rows, at::kLong).remainder(c.columns);
  p.positive_offset = p.target_offset = at::zeros({c.rows});
  p.weight = at::full({c.rows}, 1.0 / static_cast<double>(c.rows));
  p.temperature = 0.07;
  return p;
}

bool Measure(const Case& c) {
  const torii::model::SoftmaxProblem problem = Problem(c);
  std::vector<double> ms, cpu_ms;
  torii::model::SoftmaxLoss loss;
  for (int r = 0; r < kRepeats; ++r) {
    const std::clock_t cpu_begin = std::clock();
    const auto begin = std::chrono::steady_clock::now();
    const auto result = loss.Compute(problem);
    const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - begin;
    cpu_ms.push_back(1e3 * static_cast<double>(std::clock() - cpu_begin) / CLOCKS_PER_SEC);
    if (!result.ok()) {
      std::fprintf(stderr, "%s\n", result.status().ToString().c_str());
      return false;
    }
    ms.push_back(time.count());
  }
  std::sort(ms.begin(), ms.end());
  const double flops = 6.0 * static_cast<double>(c.rows * c.columns * c.dim);
  std::printf(
      "B %6ld U %6ld D %4ld tile %4ld  best %8.2f ms  median %8.2f ms  %7.1f GFLOP/s  cpu %8.2f "
      "ms\n",
      c.rows, c.columns, c.dim, c.tile_rows, ms.front(), ms[ms.size() / 2],
      flops / ms.front() / 1e6, *std::min_element(cpu_ms.begin(), cpu_ms.end()));
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<int64_t> number;
  for (int a = 1; a < argc; ++a) number.push_back(std::atoll(argv[a]));
  if (argc != 1 && argc != 2 && argc != 6) {
    std::fprintf(stderr, "usage: loss_bench [threads [B U D tile_rows]]\n");
    return 64;
  }
  (void)at::get_num_threads();
  at::set_num_threads(number.empty() ? 2 : static_cast<int>(number[0]));
  std::vector<Case> cases;
  if (number.size() == 5) {
    cases.push_back({number[1], number[2], number[3], number[4]});
  } else {
    for (const int64_t tile_rows : {32, 64, 128, 256}) {
      cases.push_back({4096, 1850, 64, tile_rows});
      cases.push_back({16384, 5400, 64, tile_rows});
    }
  }
  for (const Case& c : cases) {
    if (!Measure(c)) return 1;
  }
  return 0;
}
