// Stacks of linear layers (kernels/linear_stack.h).
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/products.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;

LaunchShape WarpForEachOf(int64_t rows) {
  return {
      .blocks = BlocksFor(rows * kWarpLanes, kThreads), .threads = kThreads, .lanes = Lanes::kMeet};
}

// to_i = from_i / its length, which goes to length[i] (null: not wanted). A warp for each row; from
// may be to.
__global__ void ScaleRowsKernel(const float* from, int64_t rows, int64_t width, float* to,
                                float* length) {
  for (int64_t row = GlobalWarp(); row < rows; row += GridWarps()) {
    const float* const x = from + row * width;
    float squares = 0;
    for (int64_t d = LaneOf(); d < width; d += kWarpLanes) squares = fmaf(x[d], x[d], squares);
    const float of_row = sqrtf(WarpSum(squares));
    const float divisor = of_row > kMinLength ? of_row : (of_row == of_row ? kMinLength : of_row);
    for (int64_t d = LaneOf(); d < width; d += kWarpLanes) to[row * width + d] = x[d] / divisor;
    if (length != nullptr && LaneOf() == 0) length[row] = of_row;
  }
}

// The gradient through y = x / |x|: (g - y (y . g)) / |x|, and 0 where |x| is at most kMinLength.
__global__ void ScaleRowsBackwardKernel(const float* y, const float* length, const float* y_grad,
                                        int64_t rows, int64_t width, float* x_grad) {
  for (int64_t row = GlobalWarp(); row < rows; row += GridWarps()) {
    const float of_row = length[row];
    const float inverse = of_row > kMinLength ? 1 / of_row : 0;
    const int64_t first = row * width;
    float along = 0;
    for (int64_t d = LaneOf(); d < width; d += kWarpLanes) {
      along = fmaf(y[first + d], y_grad[first + d], along);
    }
    along = WarpSum(along);
    for (int64_t d = LaneOf(); d < width; d += kWarpLanes) {
      x_grad[first + d] = (y_grad[first + d] - y[first + d] * along) * inverse;
    }
  }
}

// Where a forward pass keeps what the way back needs: the activations of the hidden layers one after
// the other, then the lengths of the results.
class Kept {
 public:
  Kept(const LinearStackArgs& stack, int64_t n, float* memory)
      : stack_(stack), n_(n), memory_(memory) {}
  // Of layer l, which is not the last.
  float* hidden(int64_t l) const { return memory_ + n_ * WidthBefore(l); }
  float* length() const { return memory_ + n_ * WidthBefore(stack_.num_layers - 1); }
  int64_t floats() const {
    return n_ * (WidthBefore(stack_.num_layers - 1) + (stack_.normalize ? 1 : 0));
  }

 private:
  int64_t WidthBefore(int64_t l) const {
    int64_t width = 0;
    for (int64_t before = 0; before < l; ++before) width += stack_.layers[before].out;
    return width;
  }

  const LinearStackArgs& stack_;
  const int64_t n_;
  float* const memory_;
};

int64_t KeptFloats(const LinearStackArgs& stack, int64_t n) {
  return Kept(stack, n, nullptr).floats();
}

void Forward(const LinearStackArgs& stack, const LinearForwardArgs& args) {
  const Scratch<float> scratch(args.kept == nullptr ? KeptFloats(stack, args.n) : 0);
  const Kept kept(stack, args.n, args.kept == nullptr ? scratch.get() : args.kept);
  const float* x = args.x;
  for (int64_t l = 0; l < stack.num_layers; ++l) {
    const LinearLayer& layer = stack.layers[l];
    const bool last = l + 1 == stack.num_layers;
    float* const y = last ? args.y : kept.hidden(l);
    Multiply({.a = x,
              .b = layer.weight,
              .b_is_transposed = true,
              .c = y,
              .rows = args.n,
              .columns = layer.out,
              .inner = layer.in},
             {.bias = layer.bias, .relu = !last});
    x = y;
  }
  if (!stack.normalize) return;
  Launch(ScaleRowsKernel, WarpForEachOf(args.n), x, args.n, stack.out, args.y, kept.length());
}

void Backward(const LinearStackArgs& stack, const LinearBackwardArgs& args) {
  const Kept kept(stack, args.n, const_cast<float*>(args.kept));
  int64_t widest = stack.out;
  for (int64_t l = 0; l < stack.num_layers; ++l) {
    if (stack.layers[l].in > widest) widest = stack.layers[l].in;
  }
  const Scratch<float> one(args.n * widest), other(args.n * widest);
  const float* gradient = args.y_grad;  // of the result of the layer at hand
  float* free = one.get();
  float* next_free = other.get();
  if (stack.normalize) {
    float* const scaled = stack.num_layers == 0 ? args.x_grad : free;
    if (scaled == nullptr) return;
    Launch(ScaleRowsBackwardKernel, WarpForEachOf(args.n), args.y, kept.length(), args.y_grad,
           args.n, stack.out, scaled);
    gradient = scaled;
    float* const used = free;
    free = next_free;
    next_free = used;
  }
  for (int64_t l = stack.num_layers - 1; l >= 0; --l) {
    const LinearLayer& layer = stack.layers[l];
    const float* const x = l == 0 ? args.x : kept.hidden(l - 1);
    MultiplyOverRows({.a = gradient,
                      .b = x,
                      .c = args.weight_grad[l],
                      .rows = args.n,
                      .a_columns = layer.out,
                      .b_columns = layer.in});
    SumRows(gradient, args.n, layer.out, args.bias_grad[l]);
    float* const x_grad = l == 0 ? args.x_grad : free;
    if (x_grad == nullptr) return;
    Multiply({.a = gradient,
              .b = layer.weight,
              .c = x_grad,
              .rows = args.n,
              .columns = layer.in,
              .inner = layer.out},
             {.gate = l == 0 ? nullptr : x});
    gradient = x_grad;
    free = next_free;
    next_free = x_grad;
  }
}

}  // namespace

void AddLinear(DeviceKernels* table) {
  table->linear_kept_floats = KeptFloats;
  table->linear_forward = Forward;
  table->linear_backward = Backward;
}

}  // namespace torii::kernels::cuda
