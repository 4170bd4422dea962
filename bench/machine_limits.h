// What this machine can do, measured in the process that asks: the rates that a benchmark holds its
// own figure against. Each function runs its loop on `threads` threads, each on a core of its own
// among those this process may use, and returns the rate of the fastest of a few repeats, all
// threads together. A call takes 50 to 200 ms; nothing else should run meanwhile. The loops are
// compiled for several instruction sets and the best one that the CPU has is taken.
#pragma once

#include <cstdint>
#include <string>

namespace torii::bench {

// Fused multiply-adds on registers: floating-point operations per second (two each).
double FmaPeak(int threads);
// bf16 products summed in float32, on registers: operations per second; 0 where the CPU has none.
double Bf16DotPeak(int threads);
// 2^x of floats in the first-level cache by a polynomial of degree 5, summed: values per second.
// exp(x) is the same with a constant folded into x.
double ExpRate(int threads);
// Copying memory that no cache holds: bytes read plus bytes written per second.
double CopyRate(int threads);

// Rows of 256 bytes (64 floats) at uniform random places of a table on huge pages, with prefetch:
// rows per second.
struct RowRates {
  double read = 0;    // summed into registers
  double copy = 0;    // written one after the other to memory, past the caches
  double update = 0;  // multiplied by a constant in place: read, modified, written
};
RowRates MeasureRowRates(int threads, int64_t table_bytes);

struct MachineLimits {
  int threads = 0;
  double fma = 0, bf16_dot = 0, exp = 0, copy = 0;
  RowRates rows;
};
// All of the above. The table is made once per call, which takes its time when it is large.
MachineLimits MeasureMachineLimits(int threads, int64_t table_bytes);
// One line of JSON.
std::string ToJson(const MachineLimits& limits);

}  // namespace torii::bench
