#include "bench/machine_limits.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/check.h"
#include "bench/machine_loops.h"
#include "kernels/cpu/instruction_sets.h"

namespace torii::bench {
namespace {

constexpr int kRepeats = 15;
std::atomic<float> discarded;  // what the loops compute goes here

const MachineLoops& Loops() {
  if (kernels::cpu::CpuHasAvx512() && kLoopsAvx512 != nullptr) return *kLoopsAvx512;
  if (kernels::cpu::CpuHasAvx2() && kLoopsAvx2 != nullptr) return *kLoopsAvx2;
  return *kLoopsBaseline;
}

std::vector<int> UsableCpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof mask, &mask) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mask)) cpus.push_back(cpu);
  }
  return cpus;
}

void PinThisThread(const std::vector<int>& cpus, int thread) {
  if (cpus.empty()) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpus[static_cast<size_t>(thread) % cpus.size()], &one);
  pthread_setaffinity_np(pthread_self(), sizeof one, &one);
}

// Seconds from the common start to the last end.
double TimeThreads(int threads, const std::function<void(int)>& body) {
  static const std::vector<int> kCpus = UsableCpus();
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&, t] {
      PinThisThread(kCpus, t);
      ready.fetch_add(1);
      while (!go.load(std::memory_order_acquire)) std::this_thread::yield();
      body(t);
    });
  }
  while (ready.load() != threads) std::this_thread::yield();
  const auto start = std::chrono::steady_clock::now();
  go.store(true, std::memory_order_release);
  for (std::thread& thread : all) thread.join();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of the fastest repeat; `amount` is what all threads do together in one.
double BestRate(int threads, double amount, const std::function<void(int)>& body) {
  TimeThreads(threads, body);
  double best = 0;
  for (int r = 0; r < kRepeats; ++r) best = std::max(best, amount / TimeThreads(threads, body));
  return best;
}

// Floats on huge pages where the system gives them.
class BigArray {
 public:
  explicit BigArray(int64_t floats) {
    constexpr size_t kHugePage = size_t{1} << 21;
    const size_t bytes =
        (static_cast<size_t>(floats) * sizeof(float) + kHugePage - 1) / kHugePage * kHugePage;
    data_.reset(static_cast<float*>(std::aligned_alloc(kHugePage, bytes)));
    TORII_CHECK(data_ != nullptr, "no memory for ", bytes, " bytes");
    madvise(data_.get(), bytes, MADV_HUGEPAGE);
    std::memset(data_.get(), 0, bytes);
  }
  float* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
};

}  // namespace

double FmaPeak(int threads) {
  constexpr int64_t kRounds = 400'000;
  const MachineLoops& loops = Loops();
  return BestRate(threads, static_cast<double>(threads * kRounds * loops.flops_per_round),
                  [&](int) { discarded = loops.fma(kRounds); });
}

double Bf16DotPeak(int threads) {
  if (kLoopAvx512Bf16 == nullptr || !kernels::cpu::CpuHasAvx512() ||
      !__builtin_cpu_supports("avx512bf16")) {
    return 0;
  }
  constexpr int64_t kRounds = 400'000;
  return BestRate(threads,
                  static_cast<double>(threads * kRounds * kLoopAvx512Bf16->flops_per_round),
                  [&](int) { discarded = kLoopAvx512Bf16->dot(kRounds); });
}

double ExpRate(int threads) {
  constexpr int64_t kValues = 4096, kPasses = 20'000;
  const BigArray x(threads * 2 * kValues);
  for (int64_t i = 0; i < threads * 2 * kValues; ++i) {
    x.data()[i] = -20.0F + 0.0048F * static_cast<float>(i % kValues);
  }
  const MachineLoops& loops = Loops();
  return BestRate(threads, static_cast<double>(threads * kValues * kPasses), [&](int thread) {
    for (int64_t p = 0; p < kPasses; ++p) {
      discarded = loops.exp2(x.data() + thread * 2 * kValues, kValues);
    }
  });
}

double CopyRate(int threads) {
  constexpr int64_t kFloats = int64_t{32} << 20;
  const BigArray from(kFloats), to(kFloats);
  const int64_t part = kFloats / threads;
  return BestRate(threads, 2.0 * static_cast<double>(threads * part) * sizeof(float), [&](int t) {
    std::memcpy(to.data() + t * part, from.data() + t * part,
                static_cast<size_t>(part) * sizeof(float));
  });
}

RowRates MeasureRowRates(int threads, int64_t table_bytes) {
  constexpr int64_t kRows = int64_t{1} << 18;
  const int64_t table_rows = table_bytes / static_cast<int64_t>(kRowFloats * sizeof(float));
  TORII_CHECK(table_rows >= threads && table_rows < (int64_t{1} << 32), "table of ", table_bytes,
              " bytes");
  const BigArray table(table_rows * kRowFloats), out(kRows * kRowFloats);
  const int64_t part = kRows / threads;
  // Each thread keeps to rows of its own, as the updates of a training step do.
  std::vector<uint32_t> rows(static_cast<size_t>(kRows + kRowsAhead));
  uint64_t state = 88172645463325252U;
  for (size_t i = 0; i < rows.size(); ++i) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    const uint64_t thread =
        std::min<uint64_t>(i / static_cast<size_t>(part), static_cast<size_t>(threads - 1));
    const uint64_t own_rows = static_cast<uint64_t>(table_rows / threads);
    rows[i] =
        static_cast<uint32_t>((state >> 20) % own_rows * static_cast<uint64_t>(threads) + thread);
  }
  const MachineLoops& loops = Loops();
  const auto amount = static_cast<double>(threads * part);
  RowRates rates;
  rates.read = BestRate(threads, amount, [&](int t) {
    discarded = loops.read_rows(table.data(), rows.data() + t * part, part);
  });
  rates.copy = BestRate(threads, amount, [&](int t) {
    loops.copy_rows(table.data(), rows.data() + t * part, part, out.data() + t * part * kRowFloats);
  });
  rates.update = BestRate(threads, amount, [&](int t) {
    loops.update_rows(table.data(), rows.data() + t * part, part);
  });
  return rates;
}

MachineLimits MeasureMachineLimits(int threads, int64_t table_bytes) {
  return {.threads = threads,
          .fma = FmaPeak(threads),
          .bf16_dot = Bf16DotPeak(threads),
          .exp = ExpRate(threads),
          .copy = CopyRate(threads),
          .rows = MeasureRowRates(threads, table_bytes)};
}

std::string ToJson(const MachineLimits& limits) {
  char line[512];
  std::snprintf(line, sizeof line,
                "{\"case\":\"limits\",\"threads\":%d,\"fma_gflops\":%.1f,\"bf16_dot_gflops\":%.1f,"
                "\"exp_g\":%.2f,\"copy_gb\":%.1f,\"row_read_m\":%.1f,\"row_copy_m\":%.1f,"
                "\"row_update_m\":%.1f}",
                limits.threads, limits.fma / 1e9, limits.bf16_dot / 1e9, limits.exp / 1e9,
                limits.copy / 1e9, limits.rows.read / 1e6, limits.rows.copy / 1e6,
                limits.rows.update / 1e6);
  return line;
}

}  // namespace torii::bench
