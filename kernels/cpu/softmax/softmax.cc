#include "kernels/cpu/softmax/softmax.h"

#include <algorithm>

#include "base/check.h"
#include "kernels/cpu/softmax/softmax_block.h"
#include "kernels/cpu/softmax/spin_until.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels::cpu {
namespace {

// Measured: 64 rows of 64 dimensions and a panel fit into the first cache of 32 KB, 48 and 96 rows
// are 2 and 5 % slower; their exponentials should fit into a core's share of the last cache, and
// there should be blocks for all threads.
constexpr int64_t kBlockRows = 64, kFewestBlockRows = 16;
constexpr int64_t kBlocksWanted = 16;
constexpr int64_t kBlockBytes = int64_t{8} << 20;

int64_t RoundUp(int64_t n, int64_t granule) { return (n + granule - 1) / granule * granule; }

int64_t BlockRows(int64_t rows, int64_t columns) {
  const int64_t fit = kBlockBytes / (columns * static_cast<int64_t>(sizeof(float)));
  const int64_t share = RoundUp((rows + kBlocksWanted - 1) / kBlocksWanted, kFewestBlockRows);
  return std::clamp(std::min(fit, share) / kFewestBlockRows * kFewestBlockRows, kFewestBlockRows,
                    kBlockRows);
}

}  // namespace

SoftmaxKernel::SoftmaxKernel(SoftmaxPrecision precision, const SoftmaxVariant* variant)
    : kernels_(Choose(variant, RunnableSoftmaxVariants(precision))), columns_(kernels_) {
  TORII_CHECK(kernels_.precision == precision, "a variant of another precision");
}

SoftmaxKernel::~SoftmaxKernel() = default;

void SoftmaxKernel::Start(const SoftmaxArgs& args, int threads) {
  TORII_CHECK(args.u > 0 && args.dim > 0 && threads > 0, "u ", args.u, ", dim ", args.dim, ", ",
              threads, " threads");
  args_ = args;
  padded_dim_ = RoundUp(args.dim, kernels_.lanes * kernels_.terms);
  block_rows_ = BlockRows(args.b, args.u);
  blocks_ = (args.b + block_rows_ - 1) / block_rows_;
  columns_.Start(args.u, padded_dim_);
  v_sums_.Reserve(columns_.panels() * kernels_.panel_width * padded_dim_);
  if (progress_size_ < blocks_) {
    progress_ = std::make_unique<Progress[]>(static_cast<size_t>(blocks_));
    progress_size_ = blocks_;
  }
  for (int64_t i = 0; i < blocks_; ++i) progress_[static_cast<size_t>(i)].panels = 0;
  next_block_ = 0;
  while (rows_.size() < static_cast<size_t>(threads)) {
    rows_.push_back(std::make_unique<SoftmaxBlock>(*this));
  }
}

void SoftmaxKernel::Run(int thread) {
  columns_.Pack(args_);
  SoftmaxBlock& rows = *rows_[static_cast<size_t>(thread)];
  rows.Prepare();
  for (;;) {
    const int64_t block = next_block_.fetch_add(1, std::memory_order_relaxed);
    if (block >= blocks_) return;
    const int64_t begin = block * block_rows_;
    rows.Compute(begin, std::min(block_rows_, args_.b - begin));
    AddToVGrad(block, rows);
  }
}

// Panel by panel, each as soon as the block before has added to it. That block was taken by a
// thread that is running, so the wait ends.
void SoftmaxKernel::AddToVGrad(int64_t block, const SoftmaxBlock& rows) {
  const int64_t size = kernels_.panel_width * padded_dim_;
  auto& done = progress_[static_cast<size_t>(block)].panels;
  for (int64_t panel = 0; panel < columns_.panels(); ++panel) {
    float* v_sums = v_sums_.get() + panel * size;
    if (block == 0) {
      std::fill(v_sums, v_sums + size, 0.0F);
    } else {
      const auto& before = progress_[static_cast<size_t>(block) - 1].panels;
      SpinUntil([&] { return before.load(std::memory_order_acquire) > panel; });
    }
    rows.AddColumns(panel, v_sums);
    if (block + 1 == blocks_) CopyVGrad(panel);
    done.store(panel + 1, std::memory_order_release);
  }
}

void SoftmaxKernel::CopyVGrad(int64_t panel) const {
  const int64_t width = kernels_.panel_width;
  const float* from = v_sums_.get() + panel * width * padded_dim_;
  const int64_t columns = std::min(width, args_.u - panel * width);
  for (int64_t d = 0; d < args_.dim; d += kernels_.slab_width) {
    const int64_t slab = std::min(kernels_.slab_width, padded_dim_ - d);
    const int64_t dims = std::min(slab, args_.dim - d);
    for (int64_t j = 0; j < columns; ++j) {
      std::copy(from + j * slab, from + j * slab + dims,
                args_.v_grad + (panel * width + j) * args_.dim + d);
    }
    from += width * slab;
  }
}

}  // namespace torii::kernels::cpu
