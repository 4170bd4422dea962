#include "kernels/cpu/linear.h"

#include <algorithm>

#include "base/check.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels::cpu {
namespace {

// Rows that go through all layers together.
constexpr int64_t kBlockRows = 96;

int64_t RoundUp(int64_t n, int64_t granule) { return (n + granule - 1) / granule * granule; }

// visit(first, width) for panels of at most `panel` columns.
template <class Visit>
void ForEachPanel(int64_t columns, int64_t panel, const Visit& visit) {
  for (int64_t first = 0; first < columns; first += panel) {
    visit(first, std::min(panel, columns - first));
  }
}

// Rows with zeros behind them up to the padded width.
void CopyPadded(const float* from, int64_t width, int64_t rows, int64_t padded, float* to) {
  for (int64_t r = 0; r < rows; ++r) {
    std::copy(from + r * width, from + (r + 1) * width, to + r * padded);
    std::fill(to + r * padded + width, to + (r + 1) * padded, 0.0F);
  }
}

void CopyUnpadded(const float* from, int64_t padded, int64_t rows, int64_t width, float* to) {
  for (int64_t r = 0; r < rows; ++r) {
    std::copy(from + r * padded, from + r * padded + width, to + r * width);
  }
}

}  // namespace

int64_t LinearStack::Padded(int64_t width) const { return RoundUp(width, kernels_.lanes); }

int64_t LinearStack::KeptWidth(std::span<const LinearLayer> layers, bool normalize) {
  const int64_t lanes = RunnableLinearVariants().front()->lanes;
  int64_t width = normalize ? 1 : 0;
  for (size_t l = 0; l + 1 < layers.size(); ++l) width += RoundUp(layers[l].out, lanes);
  return width;
}

LinearStack::LinearStack(int64_t in, std::span<const LinearLayer> layers, const Options& options)
    : kernels_(Choose(options.variant, RunnableLinearVariants())),
      normalize_(options.normalize),
      in_(in),
      out_(layers.empty() ? in : layers.back().out),
      padded_out_(Padded(out_)),
      widest_(padded_out_) {
  layers_.reserve(layers.size());
  for (const LinearLayer& layer : layers) AddLayer(layer, options);
  // The last output is y; of it only the inverse length is kept.
  if (!layers.empty()) kept_width_ -= padded_out_;
  if (normalize_) ++kept_width_;
}

AlignedFloats LinearStack::PackForward(const LinearLayer& from) const {
  AlignedFloats packed = MakeAlignedFloats(Padded(from.out) * from.in);
  ForEachPanel(Padded(from.out), panel(), [&](int64_t first, int64_t width) {
    kernels_.transpose(from.weight + first * from.in, std::min(width, from.out - first), from.in,
                       width, packed.get() + first * from.in);
  });
  return packed;
}

AlignedFloats LinearStack::PackBackward(const LinearLayer& from) const {
  AlignedFloats packed = MakeAlignedFloats(Padded(from.in) * from.out);
  ForEachPanel(Padded(from.in), panel(), [&](int64_t first, int64_t width) {
    const int64_t count = std::min(width, from.in - first);
    float* to = packed.get() + first * from.out;
    for (int64_t o = 0; o < from.out; ++o, to += width) {
      std::copy_n(from.weight + o * from.in + first, count, to);
      std::fill(to + count, to + width, 0.0F);
    }
  });
  return packed;
}

void LinearStack::AddLayer(const LinearLayer& from, const Options& options) {
  TORII_CHECK(
      from.in >= 1 && from.out >= 1 && from.in == (layers_.empty() ? in_ : layers_.back().out),
      "a layer of ", from.in, " to ", from.out);
  Layer layer{.in = from.in,
              .out = from.out,
              .padded_in = Padded(from.in),
              .padded_out = Padded(from.out),
              .forward = options.forward ? PackForward(from) : nullptr,
              .backward = options.backward ? PackBackward(from) : nullptr,
              .bias = MakeAlignedFloats(Padded(from.out), 0.0F),
              .kept_before = kept_width_,
              .sums_begin = sums_size_};
  std::copy(from.bias, from.bias + from.out, layer.bias.get());
  kept_width_ += layer.padded_out;
  sums_size_ += layer.out * layer.padded_in + layer.padded_out;
  widest_ = std::max({widest_, layer.padded_in, layer.padded_out});
  layers_.push_back(std::move(layer));
}

int64_t LinearStack::scratch_size() const { return (3 * widest_ + 1) * kBlockRows; }

void LinearStack::Multiply(PanelProduct product, const float* panels, int64_t out_width) const {
  const float *start = product.start, *mask = product.mask;
  float* out = product.out;
  ForEachPanel(out_width, panel(), [&](int64_t first, int64_t width) {
    product.vectors = width / kernels_.lanes;
    product.b = panels + first * product.steps;
    if (start != nullptr) product.start = start + first;
    if (mask != nullptr) product.mask = mask + first;
    product.out = out + first;
    kernels_.multiply(product);
  });
}

void LinearStack::Forward(const LinearRowsForward& args, int64_t begin, int64_t end) const {
  TORII_CHECK(0 <= begin && begin <= end && end <= args.n, "rows ", begin, "..", end, " of ",
              args.n);
  const AlignedFloats scratch = MakeAlignedFloats(scratch_size());
  for (int64_t row = begin; row < end; row += kBlockRows) {
    ForwardBlock(args, row, std::min(kBlockRows, end - row), scratch.get());
  }
}

void LinearStack::ForwardBlock(const LinearRowsForward& args, int64_t begin, int64_t rows,
                               float* scratch) const {
  float* const spare[] = {scratch, scratch + kBlockRows * widest_};
  const bool is_whole = out_ == padded_out_;
  float* const y = is_whole ? args.y + begin * out_ : scratch + 2 * kBlockRows * widest_;
  const float* x = args.x + begin * in_;
  int64_t x_stride = in_;
  if (layers_.empty()) CopyPadded(x, in_, rows, padded_out_, y);
  for (size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    const bool is_last = l + 1 == layers_.size();
    float* out = spare[l % 2];
    if (is_last) {
      out = y;
    } else if (args.kept != nullptr) {
      out = args.kept + args.n * layer.kept_before + begin * layer.padded_out;
    }
    Multiply({.a = x,
              .a_stride = x_stride,
              .rows = rows,
              .steps = layer.in,
              .start = layer.bias.get(),
              .relu = !is_last,
              .out = out,
              .out_stride = layer.padded_out},
             layer.forward.get(), layer.padded_out);
    x = out;
    x_stride = layer.padded_out;
  }
  if (normalize_) {
    float* inverse = args.kept != nullptr ? args.kept + args.n * (kept_width_ - 1) + begin
                                          : scratch + 3 * kBlockRows * widest_;
    kernels_.normalize(y, padded_out_, rows, padded_out_ / kernels_.lanes, kMinLength, inverse);
  }
  if (!is_whole) CopyUnpadded(y, padded_out_, rows, out_, args.y + begin * out_);
}

void LinearStack::Backward(const LinearRowsBackward& args, int64_t begin, int64_t end) const {
  TORII_CHECK(0 <= begin && begin <= end && end <= args.n, "rows ", begin, "..", end, " of ",
              args.n);
  const AlignedFloats scratch = MakeAlignedFloats(scratch_size());
  for (int64_t row = begin; row < end; row += kBlockRows) {
    BackwardBlock(args, row, std::min(kBlockRows, end - row), scratch.get());
  }
}

// The gradient of what the last layer gave, before the scaling, in g [rows, padded_out_].
void LinearStack::OutputGradient(const LinearRowsBackward& args, int64_t begin, int64_t rows,
                                 float* g, float* scratch) const {
  const float* y_grad = args.y_grad + begin * out_;
  if (!normalize_) return CopyPadded(y_grad, out_, rows, padded_out_, g);
  const float* y = args.y + begin * out_;
  if (out_ != padded_out_) {
    float* const padded_grad = scratch + kBlockRows * widest_;
    CopyPadded(y, out_, rows, padded_out_, scratch);
    CopyPadded(y_grad, out_, rows, padded_out_, padded_grad);
    y = scratch;
    y_grad = padded_grad;
  }
  kernels_.normalize_backward(y_grad, y, padded_out_,
                              args.kept + args.n * (kept_width_ - 1) + begin, rows,
                              padded_out_ / kernels_.lanes, g);
}

void LinearStack::BackwardBlock(const LinearRowsBackward& args, int64_t begin, int64_t rows,
                                float* scratch) const {
  float *g = scratch, *next = scratch + kBlockRows * widest_;
  float* const padded_x = scratch + 2 * kBlockRows * widest_;
  OutputGradient(args, begin, rows, g, next);
  for (size_t l = layers_.size(); l-- > 0;) {
    const Layer& layer = layers_[l];
    const float* x = args.x + begin * layer.in;
    if (l > 0) {
      x = args.kept + args.n * layers_[l - 1].kept_before + begin * layer.padded_in;
    } else if (layer.in != layer.padded_in) {
      CopyPadded(x, layer.in, rows, layer.padded_in, padded_x);
      x = padded_x;
    }
    AddWeightGradient(layer, x, g, rows, args.sums + layer.sums_begin);
    if (l == 0 && args.x_grad == nullptr) return;
    const bool is_direct = l == 0 && layer.in == layer.padded_in;
    float* out = is_direct ? args.x_grad + begin * layer.in : next;
    Multiply({.a = g,
              .a_stride = layer.padded_out,
              .rows = rows,
              .steps = layer.out,
              .mask = l > 0 ? x : nullptr,
              .out = out,
              .out_stride = layer.padded_in},
             layer.backward.get(), layer.padded_in);
    if (is_direct) return;
    std::swap(g, next);
  }
  if (args.x_grad != nullptr) {
    CopyUnpadded(g, Padded(in_), rows, in_, args.x_grad + begin * in_);
  }
}

void LinearStack::AddWeightGradient(const Layer& layer, const float* x, const float* g,
                                    int64_t rows, float* sums) const {
  ForEachPanel(layer.padded_in, panel(), [&](int64_t first, int64_t width) {
    kernels_.add_outer({.g = g,
                        .x = x + first,
                        .g_stride = layer.padded_out,
                        .x_stride = layer.padded_in,
                        .rows = rows,
                        .outputs = layer.out,
                        .vectors = width / kernels_.lanes,
                        .out = sums + first,
                        .out_stride = layer.padded_in});
  });
  kernels_.add_rows(g, layer.padded_out, rows, layer.padded_out / kernels_.lanes,
                    sums + layer.out * layer.padded_in);
}

void LinearStack::AddSums(size_t layer, std::span<const float* const> sums, int64_t begin,
                          int64_t end, float* weight_grad, float* bias_grad) const {
  const Layer& of = layers_[layer];
  for (const float* part : sums) {
    part += of.sums_begin;
    for (int64_t o = begin; o < end; ++o) {
      const float* from = part + o * of.padded_in;
      float* to = weight_grad + o * of.in;
      for (int64_t i = 0; i < of.in; ++i) to[i] += from[i];
      bias_grad[o] += part[of.out * of.padded_in + o];
    }
  }
}

}  // namespace torii::kernels::cpu
