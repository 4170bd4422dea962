#include "kernels/score_variants.h"

#include "kernels/cpu.h"

namespace torii::kernels {

const std::vector<const ScoreVariant*>& RunnableScoreVariants() {
  static const auto* const kRunnable = [] {
    auto* variants = new std::vector<const ScoreVariant*>;
    if (CpuHasAvx512() && kScoreAvx512 != nullptr) variants->push_back(kScoreAvx512);
    if (CpuHasAvx2() && kScoreAvx2 != nullptr) variants->push_back(kScoreAvx2);
    variants->push_back(kScoreBaseline);
    return variants;
  }();
  return *kRunnable;
}

}  // namespace torii::kernels
