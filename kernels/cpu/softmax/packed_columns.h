// The columns of the softmax loss as its loops read them: v and its offsets, packed panel by panel.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernels/cpu/scratch.h"
#include "kernels/cpu/softmax/softmax_variant.h"
#include "kernels/device_kernels.h"

namespace torii::kernels::cpu {

// A panel is panel_width columns; those that the last one lacks have offset -inf. Keeps its memory
// from one problem to the next.
class PackedColumns {
 public:
  explicit PackedColumns(const SoftmaxVariant& kernels) : kernels_(kernels) {}

  // Makes room. padded_dim: dim in whole vectors of words.
  void Start(int64_t columns, int64_t padded_dim);
  // The part of one thread: every thread takes panels until none is left, and returns when all are
  // packed.
  void Pack(const SoftmaxArgs& args);

  int64_t panels() const { return panels_; }
  // Floats of a packed panel.
  int64_t size() const { return size_; }
  // [words of dim, panel_width], for the logits.
  const float* Panel(int64_t p) const { return panels_of_v_.get() + p * size_; }
  // [slab][panel_width / terms, slab], for the gradient of q.
  const float* Slabs(int64_t p) const { return slabs_of_v_.get() + p * size_; }
  // [panel_width], for logits in base 2.
  const float* Offsets(int64_t p) const { return offset_.get() + p * kernels_.panel_width; }

 private:
  void PackPanel(const SoftmaxArgs& args, int64_t panel);

  const SoftmaxVariant& kernels_;
  int64_t panels_ = 0, size_ = 0;
  ScratchFloats panels_of_v_, slabs_of_v_, offset_;
  std::atomic<int64_t> next_panel_ = 0, packed_panels_ = 0;
};

}  // namespace torii::kernels::cpu
