// Stacks of linear layers in the table of the CPU.
#include <algorithm>
#include <vector>

#include "base/parallel_for.h"
#include "base/split_evenly.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels::cpu {
namespace {

// Multiply-adds and additions of sums that a thread should have to do at least, and rows that share
// a sum of weight gradients at least. There are at most kMostParts of these sums.
constexpr int64_t kGrainProducts = int64_t{1} << 18;
constexpr int64_t kGrainSums = int64_t{1} << 13;
constexpr int64_t kRowsOfAPart = 128;
constexpr int64_t kMostParts = 16;

// The number of sums is a function of the rows alone, so that the result is one too.
int PartsOf(int64_t rows) {
  int64_t parts = 1;
  while (parts < kMostParts && parts * kRowsOfAPart < rows) parts *= 2;
  return static_cast<int>(parts);
}

LinearStack StackOf(const LinearStackArgs& args, bool forward, bool backward) {
  return LinearStack(args.in, {args.layers, static_cast<size_t>(args.num_layers)},
                     {.normalize = args.normalize, .forward = forward, .backward = backward});
}

int64_t KeptFloats(const LinearStackArgs& stack, int64_t n) {
  return n * LinearStack::KeptWidth({stack.layers, static_cast<size_t>(stack.num_layers)},
                                    stack.normalize);
}

void Forward(const LinearStackArgs& args, const LinearForwardArgs& rows) {
  const LinearStack stack = StackOf(args, /*forward=*/true, /*backward=*/false);
  const int64_t grain = kGrainProducts / std::max<int64_t>(1, stack.sums_size());
  ParallelFor(0, rows.n, std::max<int64_t>(1, grain), [&](int64_t begin, int64_t end) {
    stack.Forward({.x = rows.x, .y = rows.y, .n = rows.n, .kept = rows.kept}, begin, end);
  });
}

// The gradients of the weights: the sums of all parts, added in their order.
void SumWeightGradients(const LinearStack& stack, const LinearStackArgs& args,
                        const LinearBackwardArgs& rows, const std::vector<const float*>& sums) {
  int64_t outputs = 0;  // of all layers
  for (int64_t l = 0; l < args.num_layers; ++l) outputs += args.layers[l].out;
  if (outputs == 0) return;
  const int64_t grain = kGrainSums * outputs / (stack.sums_size() * std::ssize(sums));
  ParallelFor(0, outputs, std::max<int64_t>(1, grain), [&](int64_t begin, int64_t end) {
    int64_t first = 0;  // of the layer
    for (int64_t l = 0; l < args.num_layers; ++l) {
      const int64_t from = std::max(begin - first, int64_t{0});
      const int64_t to = std::min(end - first, args.layers[l].out);
      if (from < to) {
        const int64_t in = args.layers[l].in;
        std::fill(rows.weight_grad[l] + from * in, rows.weight_grad[l] + to * in, 0.0F);
        std::fill(rows.bias_grad[l] + from, rows.bias_grad[l] + to, 0.0F);
        stack.AddSums(static_cast<size_t>(l), sums, from, to, rows.weight_grad[l],
                      rows.bias_grad[l]);
      }
      first += args.layers[l].out;
    }
  });
}

void Backward(const LinearStackArgs& args, const LinearBackwardArgs& rows) {
  const LinearStack stack = StackOf(args, /*forward=*/false, /*backward=*/true);
  const int parts = PartsOf(rows.n);
  const AlignedFloats sums = MakeAlignedFloats(parts * stack.sums_size());
  std::vector<const float*> of_part;
  for (int64_t part = 0; part < parts; ++part) {
    of_part.push_back(sums.get() + part * stack.sums_size());
  }
  ParallelFor(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      float* const own = sums.get() + part * stack.sums_size();
      std::fill(own, own + stack.sums_size(), 0.0F);
      const Range range = SplitEvenly(rows.n, parts, static_cast<int>(part));
      stack.Backward({.x = rows.x,
                      .y = rows.y,
                      .n = rows.n,
                      .kept = rows.kept,
                      .y_grad = rows.y_grad,
                      .x_grad = rows.x_grad,
                      .sums = own},
                     range.begin, range.end);
    }
  });
  SumWeightGradients(stack, args, rows, of_part);
}

}  // namespace

// The portable kernels are slower than LibTorch's: they are for tests.
void AddLinear(DeviceKernels* table) {
  if (RunnableLinearVariants().front() == kLinearBaseline) return;
  table->linear_kept_floats = KeptFloats;
  table->linear_forward = Forward;
  table->linear_backward = Backward;
}

}  // namespace torii::kernels::cpu
