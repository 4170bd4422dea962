#include "kernels/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/softmax_variants.h"

namespace torii::kernels {
namespace {

constexpr double kLog2E = 1.4426950408889634;
constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Measured: 48 to 96 rows are equal within 2 %; a block should fit into a core's share of the last
// cache.
constexpr int64_t kBlockRows = 72;
constexpr int64_t kBlockBytes = int64_t{8} << 20;
// Partial sums of exponentials in float are short: this many panels, then they go into doubles.
constexpr int64_t kPanelsOfASum = 32;

int64_t RoundUp(int64_t n, int64_t granule) { return (n + granule - 1) / granule * granule; }

}  // namespace

SoftmaxColumns::SoftmaxColumns(const SoftmaxKernelArgs& args, const SoftmaxVariant* variant)
    : kernels_(variant != nullptr ? *variant : *RunnableSoftmaxVariants().front()),
      panels_((args.u + kernels_.panel_width - 1) / kernels_.panel_width),
      padded_dim_(RoundUp(args.dim, kernels_.lanes)) {
  const int64_t width = kernels_.panel_width;
  const int64_t columns = panels_ * width;
  panels_of_v_ = MakeAlignedFloats(columns * args.dim, 0.0F);
  slabs_of_v_ = MakeAlignedFloats(columns * padded_dim_, 0.0F);
  offset_ = MakeAlignedFloats(columns, -kInfinity);
  for (int64_t j = 0; j < args.u; ++j) {
    const float* v = args.v + j * args.dim;
    float* panel = panels_of_v_.get() + (j / width) * args.dim * width + j % width;
    for (int64_t d = 0; d < args.dim; ++d) panel[d * width] = v[d];
    for (int64_t d = 0; d < args.dim; d += kernels_.slab_width) {
      const int64_t slab = std::min(kernels_.slab_width, padded_dim_ - d);
      std::copy(v + d, v + std::min(d + slab, args.dim),
                slabs_of_v_.get() + d * columns + j * slab);
    }
    offset_[static_cast<size_t>(j)] =
        static_cast<float>(static_cast<double>(args.column_offset[j]) * kLog2E);
  }
}

SoftmaxWorker::SoftmaxWorker(const SoftmaxKernelArgs& args, const SoftmaxColumns& columns)
    : args_(args), columns_(columns), kernels_(columns.kernels_) {
  const int64_t all_columns = columns.panels_ * kernels_.panel_width;
  const bool fits = kBlockRows * all_columns * static_cast<int64_t>(sizeof(float)) <= kBlockBytes;
  block_rows_ = fits ? kBlockRows : kRowGranule;
  block_rows_ = std::min(block_rows_, RoundUp(std::max<int64_t>(args.b, 1), kRowGranule));
  slabs_ = (columns.padded_dim_ + kernels_.slab_width - 1) / kernels_.slab_width;
  q_ = MakeAlignedFloats(block_rows_ * args.dim, 0.0F);
  scaled_q_ = MakeAlignedFloats(block_rows_ * columns.padded_dim_, 0.0F);
  logits_ = MakeAlignedFloats(block_rows_ * all_columns, 0.0F);
  q_sums_ = MakeAlignedFloats(block_rows_ * columns.padded_dim_, 0.0F);
  v_sums_ = MakeAlignedFloats(all_columns * columns.padded_dim_, 0.0F);
  lanes_ = MakeAlignedFloats(block_rows_ * kernels_.lanes, 0.0F);
  const auto rows = static_cast<size_t>(block_rows_);
  shift_.resize(rows);
  own_.resize(rows);
  others_.resize(rows);
}

int64_t SoftmaxWorker::SlabWidth(int64_t slab) const {
  return std::min(kernels_.slab_width, columns_.padded_dim_ - slab * kernels_.slab_width);
}

void SoftmaxWorker::Run(int64_t begin, int64_t end) {
  TORII_CHECK(0 <= begin && begin <= end && end <= args_.b, "rows ", begin, "..", end, " of ",
              args_.b);
  for (int64_t row = begin; row < end; row += block_rows_) {
    RunBlock(row, std::min(block_rows_, end - row));
  }
}

// The positive is kept apart from the other columns: with sum = e_p + others its loss is
// log1p(others / e_p) and its gradient P - 1 is -others / sum, both exact however close P is to 1.
void SoftmaxWorker::RunBlock(int64_t begin, int64_t rows) {
  const int64_t padded_rows = RoundUp(rows, kRowGranule);
  InterleaveQueries(begin, padded_rows);
  CollectHidden(begin, rows);
  for (int64_t r = 0; r < rows; ++r) own_[static_cast<size_t>(r)] = OwnLogit(begin + r);
  ComputeLogits(rows, padded_rows);
  ComputeExponentials(rows, padded_rows);
  for (int64_t r = 0; r < rows; ++r) FinishRow(begin + r, r);
  const int64_t width = kernels_.panel_width;
  for (int64_t p = 0; p < columns_.panels_; ++p) {
    for (int64_t slab = 0; slab < slabs_; ++slab) {
      kernels_.add_columns(
          Panel(p), rows, scaled_q_.get() + SlabStart(slab, block_rows_),
          SlabWidth(slab) / kernels_.lanes,
          v_sums_.get() + SlabStart(slab, columns_.panels_ * width) + p * width * SlabWidth(slab));
    }
  }
}

void SoftmaxWorker::InterleaveQueries(int64_t begin, int64_t rows) {
  const int64_t tile = kernels_.tile_rows;
  const auto scale = static_cast<float>(args_.inverse_temperature * kLog2E);
  for (int64_t r = 0; r < rows; ++r) {
    float* to = q_.get() + (r / tile) * args_.dim * tile + r % tile;
    const float* q = begin + r < args_.b ? args_.q + (begin + r) * args_.dim : nullptr;
    for (int64_t d = 0; d < args_.dim; ++d) to[d * tile] = q == nullptr ? 0.0F : q[d] * scale;
  }
}

// Entries of each panel to be hidden: those of the positives and of the excluded columns.
void SoftmaxWorker::CollectHidden(int64_t begin, int64_t rows) {
  const int64_t width = kernels_.panel_width;
  const auto for_each = [&](const auto& visit) {
    for (int64_t r = 0; r < rows; ++r) {
      visit(r, args_.positive[begin + r]);
      if (args_.excluded_begin == nullptr) continue;
      for (int64_t e = args_.excluded_begin[begin + r]; e < args_.excluded_begin[begin + r + 1];
           ++e) {
        visit(r, args_.excluded[e]);
      }
    }
  };
  hidden_begin_.assign(static_cast<size_t>(columns_.panels_) + 1, 0);
  for_each(
      [&](int64_t, int64_t column) { ++hidden_begin_[static_cast<size_t>(column / width) + 1]; });
  for (size_t p = 1; p < hidden_begin_.size(); ++p) hidden_begin_[p] += hidden_begin_[p - 1];
  hidden_.resize(static_cast<size_t>(hidden_begin_.back()));
  for_each([&](int64_t r, int64_t column) {
    const auto place = hidden_begin_[static_cast<size_t>(column / width)]++;
    hidden_[static_cast<size_t>(place)] = {static_cast<int32_t>(r),
                                           static_cast<int32_t>(column % width)};
  });
  // Each entry is now the end of its panel: shift them back to the beginnings.
  std::copy_backward(hidden_begin_.begin(), hidden_begin_.end() - 1, hidden_begin_.end());
  hidden_begin_[0] = 0;
}

double SoftmaxWorker::OwnLogit(int64_t row) const {
  const float* q = args_.q + row * args_.dim;
  const float* v = args_.v + args_.positive[row] * args_.dim;
  double dot = 0;
  for (int64_t d = 0; d < args_.dim; ++d) {
    dot += static_cast<double>(q[d]) * static_cast<double>(v[d]);
  }
  return (dot * args_.inverse_temperature + static_cast<double>(args_.positive_offset[row])) *
         kLog2E;
}

// Logits of all columns that the rows see, -inf for the others, and the exact maximum of each row.
void SoftmaxWorker::ComputeLogits(int64_t rows, int64_t padded_rows) {
  const int64_t width = kernels_.panel_width;
  std::fill(lanes_.get(), lanes_.get() + rows * kernels_.lanes, -kInfinity);
  for (int64_t p = 0; p < columns_.panels_; ++p) {
    float* panel = Panel(p);
    kernels_.logits(q_.get(), padded_rows / kernels_.tile_rows,
                    columns_.panels_of_v_.get() + p * args_.dim * width, args_.dim,
                    columns_.offset_.get() + p * width, panel);
    for (int64_t h = hidden_begin_[static_cast<size_t>(p)];
         h < hidden_begin_[static_cast<size_t>(p) + 1]; ++h) {
      const Hidden& hidden = hidden_[static_cast<size_t>(h)];
      panel[hidden.row * width + hidden.column] = -kInfinity;
    }
    kernels_.maximum(panel, rows, lanes_.get());
  }
  for (int64_t r = 0; r < rows; ++r) {
    const float* lanes = lanes_.get() + r * kernels_.lanes;
    shift_[static_cast<size_t>(r)] = std::max(*std::max_element(lanes, lanes + kernels_.lanes),
                                              static_cast<float>(own_[static_cast<size_t>(r)]));
  }
}

// Exponentials in place of the logits, their row sums, and their products with the columns.
void SoftmaxWorker::ComputeExponentials(int64_t rows, int64_t padded_rows) {
  const int64_t width = kernels_.panel_width;
  std::fill(lanes_.get(), lanes_.get() + rows * kernels_.lanes, 0.0F);
  std::fill(others_.begin(), others_.end(), 0.0);
  std::fill(q_sums_.get(), q_sums_.get() + block_rows_ * columns_.padded_dim_, 0.0F);
  for (int64_t p = 0; p < columns_.panels_; ++p) {
    kernels_.exponentials(Panel(p), rows, shift_.data(), lanes_.get());
    for (int64_t slab = 0; slab < slabs_; ++slab) {
      kernels_.add_rows(Panel(p), padded_rows,
                        columns_.slabs_of_v_.get() + SlabStart(slab, columns_.panels_ * width) +
                            p * width * SlabWidth(slab),
                        SlabWidth(slab) / kernels_.lanes,
                        q_sums_.get() + SlabStart(slab, block_rows_));
    }
    if ((p + 1) % kPanelsOfASum != 0 && p + 1 != columns_.panels_) continue;
    for (int64_t i = 0; i < rows * kernels_.lanes; ++i) {
      others_[static_cast<size_t>(i / kernels_.lanes)] +=
          static_cast<double>(lanes_[static_cast<size_t>(i)]);
    }
    std::fill(lanes_.get(), lanes_.get() + rows * kernels_.lanes, 0.0F);
  }
}

// Loss and gradient of one row (r: its place in the block), and its entry and its query for the
// gradient of v.
void SoftmaxWorker::FinishRow(int64_t row, int64_t r) {
  const double others = others_[static_cast<size_t>(r)];
  const double below =
      static_cast<double>(shift_[static_cast<size_t>(r)]) - own_[static_cast<size_t>(r)];
  const double own = std::exp2(-below);
  const double ratio = others / own;
  args_.row_loss[row] =
      (std::isfinite(ratio) ? std::log1p(ratio) : below / kLog2E + std::log(own + others)) +
      static_cast<double>(args_.positive_offset[row]) -
      static_cast<double>(args_.target_offset[row]);
  const auto scale = static_cast<float>(static_cast<double>(args_.weight[row]) *
                                        args_.inverse_temperature / (own + others));
  const int64_t positive = args_.positive[row];
  const auto own_gradient = static_cast<float>(-others);
  const int64_t width = kernels_.panel_width;
  Panel(positive / width)[r * width + positive % width] = own_gradient;
  const float* q = args_.q + row * args_.dim;
  const float* v = args_.v + positive * args_.dim;
  float* q_grad = args_.q_grad + row * args_.dim;
  for (int64_t slab = 0; slab < slabs_; ++slab) {
    const int64_t first = slab * kernels_.slab_width;
    const int64_t at = SlabStart(slab, block_rows_) + r * SlabWidth(slab);
    for (int64_t d = first; d < std::min(first + SlabWidth(slab), args_.dim); ++d) {
      const auto place = static_cast<size_t>(at + d - first);
      q_grad[d] = (q_sums_[place] + own_gradient * v[d]) * scale;
      scaled_q_[place] = q[d] * scale;
    }
  }
}

void SoftmaxWorker::AddVGrad(int64_t begin, int64_t end, float* v_grad) const {
  const int64_t all_columns = columns_.panels_ * kernels_.panel_width;
  for (int64_t slab = 0; slab < slabs_; ++slab) {
    const int64_t first = slab * kernels_.slab_width;
    const int64_t dims = std::min(SlabWidth(slab), args_.dim - first);
    for (int64_t j = begin; j < end; ++j) {
      const float* from = v_sums_.get() + SlabStart(slab, all_columns) + j * SlabWidth(slab);
      float* to = v_grad + j * args_.dim + first;
      for (int64_t d = 0; d < dims; ++d) to[d] += from[d];
    }
  }
}

}  // namespace torii::kernels
