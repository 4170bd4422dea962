// The softmax cross-entropy over distinct candidate columns with both gradients, fused: logits live
// in panels that stay in the cache, and no B x U matrix exists. Starts no threads; the caller lends
// its own:
//
//   kernel.Start(args, threads);
//   each thread k in [0, threads), at the same time or one after the other:  kernel.Run(k);
//
// and all results are there when all have returned. They do not depend on the number of threads:
// the queries are cut into blocks by (b, u) alone, whichever thread is free takes the next block,
// and each block adds to the gradient of v only after the block before it has.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/cpu/scratch.h"
#include "kernels/cpu/softmax/packed_columns.h"
#include "kernels/cpu/softmax/softmax_variant.h"
#include "kernels/device_kernels.h"

namespace torii::kernels::cpu {

class SoftmaxBlock;

// Keeps its memory from one problem to the next: about 64 x U floats of logits for each thread, and
// three arrays of U x D.
//
// With kBfloat16, q / tau (in base 2) and v are rounded to bfloat16 for the logits; probabilities,
// v and weighted q are for the gradients. Products are summed in float32.
class SoftmaxKernel {
 public:
  // `variant`: null for the best one of this machine.
  explicit SoftmaxKernel(SoftmaxPrecision precision, const SoftmaxVariant* variant = nullptr);
  ~SoftmaxKernel();
  SoftmaxKernel(const SoftmaxKernel&) = delete;
  SoftmaxKernel& operator=(const SoftmaxKernel&) = delete;

  // What args points to must live until all threads have run.
  void Start(const SoftmaxArgs& args, int threads);
  // The part of one thread.
  void Run(int thread);

  const SoftmaxVariant& variant() const { return kernels_; }

 private:
  // How many panels of the gradient of v a block has added to. Alone on its cache line.
  struct alignas(64) Progress {
    std::atomic<int64_t> panels;
  };
  void AddToVGrad(int64_t block, const SoftmaxBlock& rows);
  void CopyVGrad(int64_t panel) const;

  friend class SoftmaxBlock;
  const SoftmaxVariant& kernels_;
  SoftmaxArgs args_;
  int64_t padded_dim_ = 0;  // whole vectors of words
  int64_t block_rows_ = 0, blocks_ = 0;
  PackedColumns columns_;
  ScratchFloats v_sums_;  // [panels][slab][panel_width, slab]: the gradient of v
  std::atomic<int64_t> next_block_;
  std::unique_ptr<Progress[]> progress_;  // [at least blocks]
  int64_t progress_size_ = 0;
  std::vector<std::unique_ptr<SoftmaxBlock>> rows_;  // of each thread
};

}  // namespace torii::kernels::cpu
