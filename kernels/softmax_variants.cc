#include "kernels/softmax_variants.h"

#include "kernels/cpu.h"

namespace torii::kernels {

const std::vector<const SoftmaxVariant*>& RunnableSoftmaxVariants() {
  static const auto* const kRunnable = [] {
    auto* variants = new std::vector<const SoftmaxVariant*>;
    if (CpuHasAvx512() && kSoftmaxAvx512 != nullptr) variants->push_back(kSoftmaxAvx512);
    if (CpuHasAvx2() && kSoftmaxAvx2 != nullptr) variants->push_back(kSoftmaxAvx2);
    variants->push_back(kSoftmaxBaseline);
    return variants;
  }();
  return *kRunnable;
}

}  // namespace torii::kernels
