// The softmax loss in the table. In float32, and for more dimensions than a pass has, the products
// are LibTorch's, and a kernel does the rest.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/softmax/softmax_steps.h"
#include "kernels/cuda/sums.h"

namespace torii::kernels::cuda {
namespace {

bool HasSoftmax(SoftmaxPrecision precision, int64_t dim) {
  return precision == SoftmaxPrecision::kBfloat16 && PaddedDim(dim) != 0;
}

const char* SoftmaxName(SoftmaxPrecision precision) {
  return precision == SoftmaxPrecision::kBfloat16 ? "fused bfloat16" : "by blocks of rows";
}

// Nothing is kept: the allocator gives the same memory again.
SoftmaxMemory* NewSoftmax(SoftmaxPrecision) { return nullptr; }
void DeleteSoftmax(SoftmaxMemory*) {}

struct WeightedLosses {
  const float* weight;
  const double* loss;
  __device__ double operator()(int64_t n) const { return static_cast<double>(weight[n]) * loss[n]; }
};

struct StoreTo {
  double* out;
  __device__ void operator()(double sum) const { *out = sum; }
};

void SumLosses(const SoftmaxArgs& args) {
  if (args.loss == nullptr) return;
  SumOf(WeightedLosses{args.weight, args.row_loss}, args.rows, StoreTo{args.loss});
}

void Softmax(SoftmaxMemory*, const SoftmaxArgs& args) {
  const SoftmaxOperands operands(args);
  const PaddedSizes& sizes = operands.sizes();
  const Scratch<float> slope(args.rows), offset(sizes.queries);
  {
    const PassResults pass(SplitsOf(sizes.dim, sizes.queries, sizes.columns), sizes.queries,
                           sizes.dim);
    RunPass(sizes.dim, {.x = operands.q(),
                        .y = operands.v(),
                        .column_offset = operands.column_offset(),
                        .hidden = operands.of_queries(),
                        .rows = sizes.queries,
                        .columns = sizes.columns,
                        .splits = pass.splits,
                        .out = pass.out.get(),
                        .sum = pass.sum.get(),
                        .shift = pass.shift.get()});
    FinishQueries(args, operands, pass, {slope.get(), offset.get()});
  }
  const PassResults pass(SplitsOf(sizes.dim, sizes.columns, sizes.queries), sizes.columns,
                         sizes.dim);
  RunPass(sizes.dim, {.x = operands.v(),
                      .y = operands.q(),
                      .row_offset = operands.column_offset(),
                      .column_offset = offset.get(),
                      .hidden = operands.of_columns(),
                      .rows = sizes.columns,
                      .columns = sizes.queries,
                      .splits = pass.splits,
                      .out = pass.out.get()});
  FinishColumns(args, operands, pass, slope.get());
  SumLosses(args);
}

void SoftmaxRows(const SoftmaxRowsArgs& args) {
  FinishProducts(args);
  SumLosses(args.loss);
}

}  // namespace

void AddSoftmax(DeviceKernels* table) {
  table->has_softmax = HasSoftmax;
  table->softmax_name = SoftmaxName;
  table->new_softmax = NewSoftmax;
  table->delete_softmax = DeleteSoftmax;
  table->softmax = Softmax;
  table->softmax_rows = SoftmaxRows;
}

}  // namespace torii::kernels::cuda
