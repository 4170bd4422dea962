// Instructions of a whole warp on small matrices of bfloat16 (PTX: sm_80 and later), asynchronous
// copies, and bfloat16 numbers. The emulation lays matrices out over the lanes as the PTX manual
// does (9.7.15, "mma.m16n8k16", "ldmatrix").
//
// In what follows lane l has group = l / 4 and pair = l % 4.
#pragma once

#include "kernels/cuda/device.h"

namespace torii::kernels::cuda {

// Two bfloat16 in one register, the first in its lower half.
using Bf16Pair = uint32_t;

#ifdef __CUDACC__

// d [16, 8] += a [16, 16] . b [16, 8]. Of d, a lane has columns 2 * pair and + 1 of row `group`
// (d[0], d[1]) and of row group + 8 (d[2], d[3]). Of a, columns 2 * pair and + 1 of the same rows
// (a[0], a[1]), and 8 columns further (a[2], a[3]). Of b, rows 2 * pair and + 1 of column `group`
// (b0), and 8 rows further (b1).
__device__ __forceinline__ void MultiplyAdd(float (&d)[4], const Bf16Pair (&a)[4], Bf16Pair b0,
                                            Bf16Pair b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four 8 x 8 matrices: lane 8 * m + i names row i of matrix m, 16 bytes in shared memory. r[m] = the
// two numbers at columns 2 * pair of row `group` of matrix m; of the transposed matrix with
// kTranspose.
template <bool kTranspose>
__device__ __forceinline__ void LoadMatrices(Bf16Pair (&r)[4], const void* row) {
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(row));
  if constexpr (kTranspose) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(from)
                 : "memory");
  }
}

__device__ __forceinline__ Bf16Pair PackBf16(float first, float second) {
  Bf16Pair pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
  return pair;
}

// 2^x within two units in the last place; 0 where that is below the normal numbers.
__device__ __forceinline__ float Exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// 16 bytes from global to shared memory, while the thread goes on.
__device__ __forceinline__ void CopyAsync(void* to, const void* from) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(
                   static_cast<uint32_t>(__cvta_generic_to_shared(to))),
               "l"(from)
               : "memory");
}
__device__ __forceinline__ void CloseGroupOfCopies() {
  asm volatile("cp.async.commit_group;\n" ::: "memory");
}
// Waits for all groups of the thread's copies but the last kLeft.
template <int kLeft>
__device__ __forceinline__ void WaitForCopies() {
  asm volatile("cp.async.wait_group %0;\n" ::"n"(kLeft) : "memory");
}

#else

inline float FloatOfBits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof(x));
  return x;
}

// To the nearest, ties to even.
inline uint32_t RoundToBf16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  if (x != x) return bits >> 16 | 0x40;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
inline Bf16Pair PackBf16(float first, float second) {
  return RoundToBf16(first) | RoundToBf16(second) << 16;
}
inline float Exp2(float x) { return x < -126 ? 0 : exp2f(x); }

inline void CopyAsync(void* to, const void* from) { emulation::CopyLater(to, from); }
inline void CloseGroupOfCopies() { emulation::CloseGroupOfCopies(); }
template <int kLeft>
void WaitForCopies() {
  emulation::WaitForCopies(kLeft);
}

struct MatrixOperands {
  Bf16Pair a[4], b[2];
};
inline void MultiplyAdd(float (&d)[4], const Bf16Pair (&a)[4], Bf16Pair b0, Bf16Pair b1) {
  const auto all = emulation::Exchange(emulation::Meeting::kMultiply,
                                       MatrixOperands{{a[0], a[1], a[2], a[3]}, {b0, b1}});
  const auto half = [](Bf16Pair pair, int second) {
    return FloatOfBits(pair >> (16 * second) << 16);
  };
  const int group = emulation::LaneOfWarp() / 4, pair = emulation::LaneOfWarp() % 4;
  float sum[4] = {};
  for (int k = 0; k < 16; ++k) {
    const int far = k / 8, lane = k % 8 / 2;  // where dimension k lies
    for (int i = 0; i < 4; ++i) {
      const MatrixOperands of_row = all[group * 4 + lane],
                           of_column = all[(pair * 2 + i % 2) * 4 + lane];
      sum[i] += half(of_row.a[i / 2 + far * 2], k % 2) * half(of_column.b[far], k % 2);
    }
  }
  for (int i = 0; i < 4; ++i) d[i] += sum[i];
}

template <bool kTranspose>
void LoadMatrices(Bf16Pair (&r)[4], const void* row) {
  const auto rows = emulation::Exchange(emulation::Meeting::kLoadMatrix, row);
  const auto at = [&rows](int m, int i, int j) {
    uint16_t x;
    std::memcpy(&x, static_cast<const unsigned char*>(rows[m * 8 + i]) + j * 2, sizeof(x));
    return static_cast<uint32_t>(x);
  };
  const int group = emulation::LaneOfWarp() / 4, column = emulation::LaneOfWarp() % 4 * 2;
  for (int m = 0; m < 4; ++m) {
    r[m] = kTranspose ? at(m, column, group) | at(m, column + 1, group) << 16
                      : at(m, group, column) | at(m, group, column + 1) << 16;
  }
}

#endif

__device__ inline float FirstOf(Bf16Pair pair) {
#ifdef __CUDACC__
  return __uint_as_float(pair << 16);
#else
  return FloatOfBits(pair << 16);
#endif
}
__device__ inline float SecondOf(Bf16Pair pair) {
#ifdef __CUDACC__
  return __uint_as_float(pair & 0xffff0000U);
#else
  return FloatOfBits(pair & 0xffff0000U);
#endif
}

}  // namespace torii::kernels::cuda
