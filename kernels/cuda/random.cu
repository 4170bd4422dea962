// Random rows: the numbers of base/random.h, which depend on the stream and the row alone.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/device.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWords = 4;  // of a block of random bits

struct Words {
  uint32_t at[kWords];
};

__device__ inline uint32_t Low(uint64_t x) { return static_cast<uint32_t>(x); }
__device__ inline uint32_t High(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

// Philox4x32-10 (Salmon et al., SC'11, table 2).
__device__ inline Words Philox(uint64_t block, uint64_t row, const RandomRowKey& row_key) {
  Words words = {{Low(block), High(block), Low(row), High(row)}};
  uint32_t key0 = row_key.key[0], key1 = row_key.key[1];
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53} * words.at[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57} * words.at[2];
    words = {{High(product1) ^ words.at[1] ^ key0, Low(product1),
              High(product0) ^ words.at[3] ^ key1, Low(product0)}};
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
  return words;
}

// Box and Muller's two normal numbers of two words.
__device__ inline void TwoNormals(uint32_t a, uint32_t b, float* out) {
  constexpr double kTwoPi = 6.283185307179586476925;
  constexpr double kUnit = 1.0 / 4294967296.0;  // 2^-32
  const double radius = sqrt(-2.0 * log((a + 0.5) * kUnit));
  const double angle = kTwoPi * ((b + 0.5) * kUnit);
  out[0] = static_cast<float>(radius * cos(angle));
  out[1] = static_cast<float>(radius * sin(angle));
}

// A thread makes the numbers of one block of random bits.
__global__ void NormalRowsKernel(const NormalRowsArgs args) {
  const int64_t blocks = (args.dim + kWords - 1) / kWords;  // of a row
  for (int64_t i = GlobalThread(); i < args.count * blocks; i += GridThreads()) {
    const int64_t row = i / blocks, block = i % blocks;
    const Words words =
        Philox(static_cast<uint64_t>(block),
               static_cast<uint64_t>(args.first_row + row * args.row_step), args.key);
    float normals[kWords];
    TwoNormals(words.at[0], words.at[1], normals);
    TwoNormals(words.at[2], words.at[3], normals + 2);
    float* const out = args.out + row * args.stride + block * kWords;
    TORII_UNROLL
    for (int k = 0; k < kWords; ++k) {
      if (block * kWords + k < args.dim) out[k] = normals[k] * args.scale;
    }
  }
}

__global__ void DropoutKernel(const DropoutArgs args) {
  constexpr float kUnit = 1.0F / 16777216.0F;  // 2^-24
  const int64_t blocks = (args.width + kWords - 1) / kWords;
  for (int64_t i = GlobalThread(); i < args.count * blocks; i += GridThreads()) {
    const int64_t row = i / blocks, block = i % blocks;
    const Words words =
        Philox(static_cast<uint64_t>(block), static_cast<uint64_t>(args.row_key[row]), args.key);
    float* const out = args.out + row * args.width + block * kWords;
    TORII_UNROLL
    for (int k = 0; k < kWords; ++k) {
      const float uniform = static_cast<float>(words.at[k] >> 8) * kUnit;
      if (block * kWords + k < args.width) out[k] = uniform < args.drop ? 0.0F : args.kept;
    }
  }
}

void NormalRows(const NormalRowsArgs& args) {
  const int64_t blocks = args.count * ((args.dim + kWords - 1) / kWords);
  Launch(NormalRowsKernel, {.blocks = BlocksFor(blocks, kThreads), .threads = kThreads}, args);
}

void Dropout(const DropoutArgs& args) {
  const int64_t blocks = args.count * ((args.width + kWords - 1) / kWords);
  Launch(DropoutKernel, {.blocks = BlocksFor(blocks, kThreads), .threads = kThreads}, args);
}

}  // namespace

void AddRandomRows(DeviceKernels* table) {
  table->normal_rows = NormalRows;
  table->dropout_mask = Dropout;
}

}  // namespace torii::kernels::cuda
