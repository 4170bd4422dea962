// Logits are powers of two inside the kernel of the softmax loss: exp(x) = 2^(x * kLog2E).
#pragma once

namespace torii::kernels::cpu {

inline constexpr double kLog2E = 1.4426950408889634;

}  // namespace torii::kernels::cpu
