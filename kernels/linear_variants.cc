#include "kernels/linear_variants.h"

#include "kernels/cpu.h"

namespace torii::kernels {

const std::vector<const LinearVariant*>& RunnableLinearVariants() {
  static const auto* const kRunnable = [] {
    auto* variants = new std::vector<const LinearVariant*>;
    if (CpuHasAvx512() && kLinearAvx512 != nullptr) variants->push_back(kLinearAvx512);
    if (CpuHasAvx2() && kLinearAvx2 != nullptr) variants->push_back(kLinearAvx2);
    variants->push_back(kLinearBaseline);
    return variants;
  }();
  return *kRunnable;
}

}  // namespace torii::kernels
