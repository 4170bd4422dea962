#include "kernels/cpu/softmax/packed_columns.h"

#include <algorithm>
#include <limits>

#include "kernels/cpu/softmax/base_two.h"
#include "kernels/cpu/softmax/spin_until.h"

namespace torii::kernels::cpu {

void PackedColumns::Start(int64_t columns, int64_t padded_dim) {
  panels_ = (columns + kernels_.panel_width - 1) / kernels_.panel_width;
  size_ = kernels_.panel_width * padded_dim / kernels_.terms;
  panels_of_v_.Reserve(panels_ * size_);
  slabs_of_v_.Reserve(panels_ * size_);
  offset_.Reserve(panels_ * kernels_.panel_width);
  next_panel_ = packed_panels_ = 0;
}

void PackedColumns::Pack(const SoftmaxArgs& args) {
  for (;;) {
    const int64_t panel = next_panel_.fetch_add(1, std::memory_order_relaxed);
    if (panel >= panels_) break;
    PackPanel(args, panel);
    packed_panels_.fetch_add(1, std::memory_order_release);
  }
  SpinUntil([&] { return packed_panels_.load(std::memory_order_acquire) == panels_; });
}

void PackedColumns::PackPanel(const SoftmaxArgs& args, int64_t panel) {
  const int64_t width = kernels_.panel_width;
  const int64_t first = panel * width, columns = std::min(width, args.u - first);
  kernels_.pack_columns(args.v + first * args.dim, columns, args.dim,
                        panels_of_v_.get() + panel * size_, slabs_of_v_.get() + panel * size_);
  float* offset = offset_.get() + first;
  for (int64_t j = 0; j < width; ++j) {
    offset[j] =
        j < columns
            ? static_cast<float>(static_cast<double>(args.column_offset[first + j]) * kLog2E)
            : -std::numeric_limits<float>::infinity();
  }
}

}  // namespace torii::kernels::cpu
