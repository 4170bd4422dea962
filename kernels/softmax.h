// Softmax cross-entropy over distinct candidate columns on tensors: value and both gradients, never
// B x U floats at once. The formula stands at SoftmaxArgs (device_kernels.h).
#pragma once

#include <memory>

#include "ATen/core/Tensor.h"
#include "kernels/device.h"

namespace torii::kernels {

// R queries, B rows, U columns; B = R where row_begin is undefined. All contiguous on the device.
struct SoftmaxTensors {
  at::Tensor q;                // [R, D] float32
  at::Tensor v;                // [U, D] float32
  at::Tensor column_offset;    // [U] float32; -inf removes a column
  at::Tensor row_begin;        // [R + 1] int64: query i has rows row_begin[i] .. row_begin[i + 1];
                               //   undefined: row i alone
  at::Tensor positive;         // [B] int64 in [0, U)
  at::Tensor positive_offset;  // [B] float32
  at::Tensor target_offset;    // [B] float32
  at::Tensor weight;           // [B] float32
  at::Tensor excluded_begin;   // [R + 1] int64 or undefined: query i does not see the columns
  at::Tensor excluded;         //   excluded[excluded_begin[i]] .. excluded[excluded_begin[i + 1]]
  double inverse_temperature = 1;
};

// The results, in tensors that the caller allocates.
struct SoftmaxResults {
  at::Tensor loss;      // [1] float64: sum_n weight_n l_n; not finite if a row diverged
  at::Tensor row_loss;  // [B] float64: l_n
  at::Tensor q_grad;    // [R, D] float32
  at::Tensor v_grad;    // [U, D] float32
};

// Keeps the memory of the device's kernel from one call of Compute to the next. Not for two threads
// at once.
class Softmax {
 public:
  Softmax(const Device& device, SoftmaxPrecision precision);
  // Fills `results`. CHECK-fails if shapes do not fit. B and U are at least 1.
  void Compute(const SoftmaxTensors& tensors, const SoftmaxResults& results);
  // What computes it, for the log: "avx512", "composed".
  const char* name() const;

 private:
  Device device_;
  SoftmaxPrecision precision_;
  std::unique_ptr<SoftmaxMemory, void (*)(SoftmaxMemory*)> memory_;
};

// Blocks of rows, or queries: their few matrices of rows x columns floats stay small beside everything else, and
// large enough for the device.
struct SoftmaxBlocks {
  int64_t most_rows = 0, most_floats = 0;
};

// What Compute does, composed of LibTorch's operations over blocks of rows, in float32.
void ComposedSoftmax(const SoftmaxTensors& tensors, const SoftmaxBlocks& blocks,
                     const SoftmaxResults& results);

// What Compute does by LibTorch's products and the device's softmax_rows, over blocks of queries.
// args: pointers to the tensors.
void SoftmaxOfProducts(const Device& device, const SoftmaxTensors& tensors,
                       const SoftmaxResults& results, const SoftmaxBlocks& blocks,
                       SoftmaxArgs args);

}  // namespace torii::kernels
