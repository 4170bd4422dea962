// The loops that machine_limits.cc times, as they are compiled for each instruction set. Included
// by sources with their own compiler flags, so it includes nothing that has inline functions.
#pragma once

#include <cstdint>

namespace torii::bench {

constexpr int64_t kRowFloats = 64;

struct MachineLoops {
  int64_t flops_per_round;  // of `fma`
  // `rounds` rounds of independent multiply-adds. Each loop returns a number so that the compiler
  // cannot leave it out.
  float (*fma)(int64_t rounds);
  // The sum of 2^x[i]; n is a multiple of 64, x is aligned to 64 bytes.
  float (*exp2)(const float* x, int64_t n);
  // Rows rows[0..n) of a table of rows of kRowFloats floats; rows[n..n + kRowsAhead) are
  // prefetched.
  float (*read_rows)(const float* table, const uint32_t* rows, int64_t n);
  void (*copy_rows)(const float* table, const uint32_t* rows, int64_t n, float* out);
  void (*update_rows)(float* table, const uint32_t* rows, int64_t n);
};
constexpr int64_t kRowsAhead = 32;

struct Bf16Loop {
  int64_t flops_per_round;
  float (*dot)(int64_t rounds);
};

// Null where the compiler has no such target.
extern const MachineLoops* const kLoopsBaseline;
extern const MachineLoops* const kLoopsAvx2;
extern const MachineLoops* const kLoopsAvx512;
extern const Bf16Loop* const kLoopAvx512Bf16;

}  // namespace torii::bench
