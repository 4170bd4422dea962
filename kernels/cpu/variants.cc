#include "kernels/cpu/variants.h"

#include <initializer_list>

#include "kernels/cpu/instruction_sets.h"

namespace torii::kernels::cpu {
namespace {

// A variant, null where the compiler had no such target, and whether this machine can run it.
template <class Variant>
struct Candidate {
  bool runs;
  const Variant* variant;
};

// Lives as long as the program.
template <class Variant>
const std::vector<const Variant*>& Runnable(std::initializer_list<Candidate<Variant>> best_first) {
  auto* runnable = new std::vector<const Variant*>;
  for (const Candidate<Variant>& candidate : best_first) {
    if (candidate.runs && candidate.variant != nullptr) runnable->push_back(candidate.variant);
  }
  return *runnable;
}

}  // namespace

const std::vector<const ScoreVariant*>& RunnableScoreVariants() {
  static const auto& kRunnable = Runnable<ScoreVariant>(
      {{CpuHasAvx512(), kScoreAvx512}, {CpuHasAvx2(), kScoreAvx2}, {true, kScoreBaseline}});
  return kRunnable;
}

const std::vector<const LinearVariant*>& RunnableLinearVariants() {
  static const auto& kRunnable = Runnable<LinearVariant>(
      {{CpuHasAvx512(), kLinearAvx512}, {CpuHasAvx2(), kLinearAvx2}, {true, kLinearBaseline}});
  return kRunnable;
}

const std::vector<const RowsVariant*>& RunnableRowsVariants() {
  static const auto& kRunnable = Runnable<RowsVariant>(
      {{CpuHasAvx512(), kRowsAvx512}, {CpuHasAvx2(), kRowsAvx2}, {true, kRowsBaseline}});
  return kRunnable;
}

const std::vector<const WeightsVariant*>& RunnableWeightsVariants() {
  static const auto& kRunnable = Runnable<WeightsVariant>(
      {{CpuHasAvx512(), kWeightsAvx512}, {CpuHasAvx2(), kWeightsAvx2}, {true, kWeightsBaseline}});
  return kRunnable;
}

const std::vector<const SoftmaxVariant*>& RunnableSoftmaxVariants(SoftmaxPrecision precision) {
  static const auto& kFloat32 = Runnable<SoftmaxVariant>(
      {{CpuHasAvx512(), kSoftmaxAvx512}, {CpuHasAvx2(), kSoftmaxAvx2}, {true, kSoftmaxBaseline}});
  static const auto& kBfloat16 =
      Runnable<SoftmaxVariant>({{CpuHasAvx512Bf16(), kSoftmaxAvx512NativeBf16},
                                {CpuHasAvx512(), kSoftmaxAvx512Bf16},
                                {CpuHasAvx2(), kSoftmaxAvx2Bf16},
                                {true, kSoftmaxBaselineBf16}});
  return precision == SoftmaxPrecision::kFloat32 ? kFloat32 : kBfloat16;
}

const char* BestInstructionSet() { return RunnableScoreVariants().front()->name; }

}  // namespace torii::kernels::cpu
