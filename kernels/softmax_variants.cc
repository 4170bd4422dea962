#include "kernels/softmax_variants.h"

#include "kernels/cpu.h"

namespace torii::kernels {
namespace {

using Variants = std::vector<const SoftmaxVariant*>;

const Variants* Float32Variants() {
  auto* variants = new Variants;
  if (CpuHasAvx512() && kSoftmaxAvx512 != nullptr) variants->push_back(kSoftmaxAvx512);
  if (CpuHasAvx2() && kSoftmaxAvx2 != nullptr) variants->push_back(kSoftmaxAvx2);
  variants->push_back(kSoftmaxBaseline);
  return variants;
}

const Variants* Bfloat16Variants() {
  auto* variants = new Variants;
  if (CpuHasAvx512Bf16() && kSoftmaxAvx512NativeBf16 != nullptr) {
    variants->push_back(kSoftmaxAvx512NativeBf16);
  }
  if (CpuHasAvx512() && kSoftmaxAvx512Bf16 != nullptr) variants->push_back(kSoftmaxAvx512Bf16);
  if (CpuHasAvx2() && kSoftmaxAvx2Bf16 != nullptr) variants->push_back(kSoftmaxAvx2Bf16);
  variants->push_back(kSoftmaxBaselineBf16);
  return variants;
}

}  // namespace

const std::vector<const SoftmaxVariant*>& RunnableSoftmaxVariants(SoftmaxPrecision precision) {
  static const Variants* const kFloat32 = Float32Variants();
  static const Variants* const kBfloat16 = Bfloat16Variants();
  return precision == SoftmaxPrecision::kFloat32 ? *kFloat32 : *kBfloat16;
}

}  // namespace torii::kernels
