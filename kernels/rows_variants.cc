#include "kernels/rows_variants.h"

#include "kernels/cpu.h"

namespace torii::kernels {

const std::vector<const RowsVariant*>& RunnableRowsVariants() {
  static const auto* const kRunnable = [] {
    auto* variants = new std::vector<const RowsVariant*>;
    if (CpuHasAvx512() && kRowsAvx512 != nullptr) variants->push_back(kRowsAvx512);
    if (CpuHasAvx2() && kRowsAvx2 != nullptr) variants->push_back(kRowsAvx2);
    variants->push_back(kRowsBaseline);
    return variants;
  }();
  return *kRunnable;
}

}  // namespace torii::kernels
