// The softmax loss in the table of the CPU.
#include <ATen/Parallel.h>

#include <algorithm>
#include <string>

#include "base/check.h"
#include "base/parallel_for.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/softmax/softmax.h"
#include "kernels/cpu/variants.h"

namespace torii::kernels {

struct SoftmaxMemory {
  cpu::SoftmaxKernel kernel;
};

namespace cpu {
namespace {

// Below this a further thread costs more than it brings.
constexpr int64_t kOperationsOfAThread = 1'000'000;

std::string NameOf(SoftmaxPrecision precision) {
  const SoftmaxVariant& variant = *RunnableSoftmaxVariants(precision).front();
  return std::string(variant.name) + (variant.emulated ? " (emulated: this CPU has none)" : "");
}

const char* SoftmaxName(SoftmaxPrecision precision) {
  static const std::string kNames[] = {NameOf(SoftmaxPrecision::kFloat32),
                                       NameOf(SoftmaxPrecision::kBfloat16)};
  return kNames[precision == SoftmaxPrecision::kBfloat16].c_str();
}

SoftmaxMemory* NewSoftmax(SoftmaxPrecision precision) {
  return new SoftmaxMemory{SoftmaxKernel(precision)};
}

void DeleteSoftmax(SoftmaxMemory* memory) { delete memory; }

// Ends the program if an index points out of its array.
void CheckIndices(const SoftmaxArgs& args, int64_t rows) {
  if (args.row_begin != nullptr) {
    TORII_CHECK(
        args.row_begin[0] == 0 && std::is_sorted(args.row_begin, args.row_begin + args.b + 1),
        "row_begin does not partition ", rows, " rows");
  }
  for (int64_t i = 0; i < rows; ++i) {
    TORII_CHECK(args.positive[i] >= 0 && args.positive[i] < args.u, "row ", i, ": positive ",
                args.positive[i], " of ", args.u, " columns");
  }
  if (args.excluded_begin == nullptr) return;
  for (int64_t e = 0; e < args.excluded_begin[args.b]; ++e) {
    TORII_CHECK(args.excluded[e] >= 0 && args.excluded[e] < args.u, "excluded column ",
                args.excluded[e], " of ", args.u, " columns");
  }
}

void Softmax(SoftmaxMemory* memory, const SoftmaxArgs& args) {
  const int64_t rows = args.row_begin != nullptr ? args.row_begin[args.b] : args.b;
  CheckIndices(args, rows);
  const int64_t useful = 1 + args.b * args.u * args.dim / kOperationsOfAThread;
  const int64_t threads =
      std::min<int64_t>(useful, at::in_parallel_region() ? 1 : at::get_num_threads());
  SoftmaxKernel& kernel = memory->kernel;
  kernel.Start(args, static_cast<int>(threads));
  ParallelFor(0, threads, 1, [&kernel](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) kernel.Run(static_cast<int>(k));
  });
  if (args.loss == nullptr) return;
  *args.loss = 0;
  for (int64_t i = 0; i < rows; ++i) {
    *args.loss += static_cast<double>(args.weight[i]) * args.row_loss[i];
  }
}

}  // namespace

void AddSoftmax(DeviceKernels* table) {
  table->softmax_name = SoftmaxName;
  table->new_softmax = NewSoftmax;
  table->delete_softmax = DeleteSoftmax;
  table->softmax = Softmax;
}

}  // namespace cpu
}  // namespace torii::kernels
