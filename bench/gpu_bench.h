// What the benchmarks of a GPU share: the device, times of work that the host does not wait for, and
// what the GPU can do, measured in the same run.
#pragma once

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "base/stopwatch.h"
#include "kernels/cuda/plugin_table.h"
#include "kernels/device.h"
#include "launch/process/run_device.h"

namespace torii::bench {

// --name value ...; every name must be one of `values`, which hold the defaults.
inline bool ParseFlags(int argc, char** argv, std::map<std::string, std::string>* values) {
  for (int a = 1; a < argc; a += 2) {
    const std::string flag = argv[a];
    if (a + 1 == argc || flag.rfind("--", 0) != 0 || !values->contains(flag.substr(2))) {
      std::fprintf(stderr, "usage: %s", argv[0]);
      for (const auto& [name, value] : *values) {
        std::fprintf(stderr, " [--%s %s]", name.c_str(), value.empty() ? "..." : value.c_str());
      }
      std::fprintf(stderr, "\n");
      return false;
    }
    (*values)[flag.substr(2)] = argv[a + 1];
  }
  return true;
}

class GpuBench {
 public:
  // asked: as --device of torii. Before LibTorch is asked for anything.
  static absl::StatusOr<GpuBench> Open(const std::string& asked) {
    TORII_ASSIGN_OR_RETURN(const launch::RunDevice found, launch::RunDevice::Open(asked));
    TORII_ASSIGN_OR_RETURN(const kernels::Device device, found.OfRank(0, 1));
    return GpuBench(device, found.plugin());
  }

  const kernels::Device& device() const { return device_; }
  bool is_gpu() const { return plugin_ != nullptr; }

  // Until all work is done.
  void Settle() const { (void)at::zeros({1}, device_.torch()).cpu(); }

  // Milliseconds of a call: of each of `rounds` rounds of `calls` calls, ascending.
  std::vector<double> Times(int rounds, int calls, const std::function<void(int)>& run) const {
    std::vector<double> ms;
    for (int round = -1; round < rounds; ++round) {  // the first one warms up
      Settle();
      const Stopwatch watch;
      for (int c = 0; c < calls; ++c) run(c);
      Settle();
      if (round >= 0) ms.push_back(1e3 * watch.seconds() / calls);
    }
    std::sort(ms.begin(), ms.end());
    return ms;
  }

  // -1 without a GPU.
  int64_t FreeBytes() const {
    int64_t free = -1, total = 0;
    if (is_gpu()) TORII_CHECK(plugin_->memory(0, &free, &total) == nullptr, "memory of the GPU");
    return free;
  }

 private:
  GpuBench(const kernels::Device& device, const kernels::CudaPlugin* plugin)
      : device_(device), plugin_(plugin) {}

  kernels::Device device_;
  const kernels::CudaPlugin* plugin_;
};

// Rates of a device.
struct GpuRates {
  double copy = 0;      // bytes a second, read and written
  double fp32 = 0;      // multiplications and additions a second, of a product of matrices
  double bfloat16 = 0;  // likewise
};

inline GpuRates MeasureGpuRates(const GpuBench& bench) {
  const at::TensorOptions there(bench.device().torch());
  const int64_t bytes = bench.is_gpu() ? int64_t{1} << 30 : int64_t{1} << 20;
  const int64_t side = bench.is_gpu() ? 8192 : 64;
  const auto product = [&](at::ScalarType type) {
    const at::Tensor a = at::randn({side, side}, there).to(type),
                     b = at::randn({side, side}, there).to(type);
    at::Tensor out = at::empty({side, side}, there.dtype(type));
    const double ms = bench.Times(5, 3, [&](int) { at::mm_out(out, a, b); })[2];
    return 2e3 * static_cast<double>(side * side * side) / ms;
  };
  const at::Tensor from = at::zeros({bytes}, there.dtype(at::kByte));
  at::Tensor to = at::empty_like(from);
  const double copy_ms = bench.Times(5, 5, [&](int) { to.copy_(from); })[2];
  return {2e3 * static_cast<double>(bytes) / copy_ms, product(at::kFloat), product(at::kBFloat16)};
}

inline nlohmann::ordered_json Json(const GpuRates& rates) {
  return {{"case", "rates"},
          {"copy_TBs", rates.copy / 1e12},
          {"fp32_TFLOPs", rates.fp32 / 1e12},
          {"bf16_TFLOPs", rates.bfloat16 / 1e12}};
}

// One line of results; ms: ascending.
inline void Print(nlohmann::ordered_json line, const std::vector<double>& ms, double limit_ms) {
  const double median = ms[ms.size() / 2];
  line["ms"] = median;
  line["best_ms"] = ms.front();
  if (limit_ms > 0) {
    line["limit_ms"] = limit_ms;
    line["of_limit"] = limit_ms / median;
  }
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

// Runs a benchmark and tells its error.
inline int Main(const absl::Status& status) {
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}

}  // namespace torii::bench
