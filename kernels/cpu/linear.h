// A stack of linear layers, forward and backward, one block of rows at a time: a block goes through
// all layers while it is in the cache. Bias, ReLU and the scaling to length 1 are part of the
// products. Starts no threads: the caller divides the rows (linear_entries.cc). Only the sums of
// the weight gradients depend on the division, of which the caller keeps one per part.
//
//   const LinearStack stack(in, layers, {.normalize = true});    // shared
//   stack.Forward({.x = x, .y = y, .n = n, ...}, begin, end);    // any ranges
//   stack.Backward({..., .sums = sums[part]}, begin, end);       // ranges that depend on n alone
//   stack.AddSums(l, sums, begin, end, weight_grad, bias_grad);  // any ranges of the outputs
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/aligned_floats.h"
#include "kernels/cpu/linear_variant.h"
#include "kernels/device_kernels.h"

namespace torii::kernels::cpu {

struct LinearRowsForward {
  const float* x = nullptr;  // [n, in]
  float* y = nullptr;        // [n, out]
  int64_t n = 0;
  float* kept = nullptr;  // [n * kept_width()], for Backward; null: nothing is kept
};

struct LinearRowsBackward {
  const float* x = nullptr;  // as given to Forward
  const float* y = nullptr;  // its result
  int64_t n = 0;
  const float* kept = nullptr;
  const float* y_grad = nullptr;  // [n, out]
  float* x_grad = nullptr;        // [n, in]; null: not wanted
  float* sums = nullptr;          // [sums_size()]: the rows' weight gradients are added to it
};

class LinearStack {
 public:
  struct Options {
    bool normalize = false;  // scale each row of y to length 1. Rows of up to kMinLength are
                             // divided by that, and no gradient goes through them
    bool forward = true;     // Forward will be called
    bool backward = true;    // Backward will be called
    const LinearVariant* variant = nullptr;  // null: the best one of this machine
  };
  // y = W_L relu(... relu(W_1 x + b_1) ...) + b_L. Widths are at least 1 and fit each other; there
  // may be no layers. Copies the weights into its own arrangement.
  LinearStack(int64_t in, std::span<const LinearLayer> layers, const Options& options);

  int64_t kept_width() const { return kept_width_; }
  // The same without a stack, for the best variant of this machine.
  static int64_t KeptWidth(std::span<const LinearLayer> layers, bool normalize);
  int64_t sums_size() const { return sums_size_; }
  // Rows [begin, end). A row of y depends on its row of x alone, bit for bit.
  void Forward(const LinearRowsForward& args, int64_t begin, int64_t end) const;
  // Rows [begin, end), after Forward with the same x, y and kept. Needs `backward`.
  void Backward(const LinearRowsBackward& args, int64_t begin, int64_t end) const;
  // Adds the outputs [begin, end) of a layer's gradient, summed over `sums` in their order, to
  // weight_grad [out, in] and bias_grad [out].
  void AddSums(size_t layer, std::span<const float* const> sums, int64_t begin, int64_t end,
               float* weight_grad, float* bias_grad) const;

 private:
  struct Layer {
    int64_t in, out, padded_in, padded_out;  // padded: whole vectors
    AlignedFloats forward;                   // [panels of out][in][panel], W^T, or none
    AlignedFloats backward;                  // [panels of in][out][panel], W, or none
    AlignedFloats bias;                      // [padded_out]
    int64_t kept_before = 0;                 // floats of a row of `kept` before this layer's output
    int64_t sums_begin = 0;                  // of its [out, padded_in] and [padded_out] in `sums`
  };
  void ForwardBlock(const LinearRowsForward& args, int64_t begin, int64_t rows,
                    float* scratch) const;
  void BackwardBlock(const LinearRowsBackward& args, int64_t begin, int64_t rows,
                     float* scratch) const;
  void OutputGradient(const LinearRowsBackward& args, int64_t begin, int64_t rows, float* g,
                      float* scratch) const;
  void AddWeightGradient(const Layer& layer, const float* x, const float* g, int64_t rows,
                         float* sums) const;
  // Multiplies all panels of `out_width` (padded) outputs.
  void Multiply(PanelProduct product, const float* panels, int64_t out_width) const;
  int64_t Padded(int64_t width) const;
  int64_t panel() const { return kernels_.panel_vectors * kernels_.lanes; }  // floats
  void AddLayer(const LinearLayer& from, const Options& options);
  AlignedFloats PackForward(const LinearLayer& from) const;
  AlignedFloats PackBackward(const LinearLayer& from) const;
  int64_t scratch_size() const;

  const LinearVariant& kernels_;
  bool normalize_;
  int64_t in_, out_, padded_out_;  // of the whole stack
  std::vector<Layer> layers_;
  int64_t kept_width_ = 0, sums_size_ = 0, widest_ = 0;
};

}  // namespace torii::kernels::cpu
