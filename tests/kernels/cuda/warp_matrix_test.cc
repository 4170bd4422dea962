#include "kernels/cuda/warp_matrix.h"

#include <cmath>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace torii::kernels::cuda {
namespace {

std::vector<uint16_t> Numbers(int n, const char* purpose) {
  std::vector<uint16_t> out;
  const RandomStream random(1, purpose);
  for (int i = 0; i < n; ++i) {
    const auto x = static_cast<float>(random.Uniform(static_cast<uint64_t>(i)) - 0.5);
    out.push_back(static_cast<uint16_t>(RoundToBf16(x)));
  }
  return out;
}
float ValueOf(uint16_t bits) { return FloatOfBits(uint32_t{bits} << 16); }

// d [16, 8] = a [16, 16] . b^T, b [8, 16], both in shared memory as they lie.
void Multiply(const uint16_t* a, const uint16_t* b, float* d) {
  uint16_t* const shared = SharedMemory<uint16_t>();
  for (int i = Thread(); i < 16 * 16; i += 32) shared[i] = a[i];
  for (int i = Thread(); i < 8 * 16; i += 32) shared[16 * 16 + i] = b[i];
  __syncthreads();
  const int lane = LaneOf();
  Bf16Pair rows[4], columns[4];
  LoadMatrices<false>(rows, shared + lane % 16 * 16 + lane / 16 * 8);
  // The two halves of the dimensions of the 8 columns, twice.
  LoadMatrices<false>(columns, shared + 16 * 16 + lane % 8 * 16 + lane / 8 % 2 * 8);
  float sum[4] = {};
  MultiplyAdd(sum, rows, columns[0], columns[1]);
  for (int i = 0; i < 4; ++i) d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sum[i];
}

TEST(WarpMatrixTest, ProductsOfFragmentsAreTheProductsOfMatrices) {
  const std::vector<uint16_t> a = Numbers(256, "a"), b = Numbers(128, "b");
  std::vector<float> d(128, NAN);
  Launch(Multiply, {.threads = 32, .shared_bytes = 768, .lanes = Lanes::kMeet}, a.data(), b.data(),
         d.data());
  for (size_t i = 0; i < 16; ++i) {
    for (size_t j = 0; j < 8; ++j) {
      double expected = 0;
      for (size_t k = 0; k < 16; ++k) {
        expected += static_cast<double>(ValueOf(a[i * 16 + k])) *
                    static_cast<double>(ValueOf(b[j * 16 + k]));
      }
      EXPECT_NEAR(d[i * 8 + j], expected, 1e-6) << i << ", " << j;
    }
  }
}

// out[m] of each lane: its two numbers of matrix m.
void Transpose(const uint16_t* from, uint32_t* out) {
  uint16_t* const shared = SharedMemory<uint16_t>();
  for (int i = Thread(); i < 256; i += 32) shared[i] = from[i];
  __syncthreads();
  Bf16Pair r[4];
  LoadMatrices<true>(r, shared + LaneOf() * 8);
  for (int m = 0; m < 4; ++m) out[LaneOf() * 4 + m] = r[m];
}

TEST(WarpMatrixTest, MatricesAreTransposedWhileTheyAreLoaded) {
  const std::vector<uint16_t> from = Numbers(256, "from");
  std::vector<uint32_t> out(128);
  Launch(Transpose, {.threads = 32, .shared_bytes = 512, .lanes = Lanes::kMeet}, from.data(),
         out.data());
  for (size_t lane = 0; lane < 32; ++lane) {
    for (size_t m = 0; m < 4; ++m) {
      const size_t row = lane % 4 * 2, column = lane / 4;
      EXPECT_EQ(out[lane * 4 + m], uint32_t{from[m * 64 + row * 8 + column]} |
                                       uint32_t{from[m * 64 + (row + 1) * 8 + column]} << 16);
    }
  }
}

TEST(WarpMatrixTest, RoundsToTheNearestBfloat16) {
  EXPECT_EQ(ValueOf(static_cast<uint16_t>(RoundToBf16(1.0F))), 1.0F);
  EXPECT_EQ(ValueOf(static_cast<uint16_t>(RoundToBf16(1.0F + 0x1p-8F))), 1.0F);
  EXPECT_EQ(ValueOf(static_cast<uint16_t>(RoundToBf16(1.0F + 0x3p-8F))), 1.0F + 0x1p-6F);
  EXPECT_TRUE(std::isnan(ValueOf(static_cast<uint16_t>(RoundToBf16(NAN)))));
  EXPECT_EQ(FirstOf(PackBf16(2, 3)), 2);
  EXPECT_EQ(SecondOf(PackBf16(2, 3)), 3);
}

}  // namespace
}  // namespace torii::kernels::cuda
