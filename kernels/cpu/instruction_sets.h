// Which instruction sets this machine runs.
#pragma once

namespace torii::kernels::cpu {

bool CpuHasAvx2();    // and FMA
bool CpuHasAvx512();  // F, VL, DQ and BW
bool CpuHasAvx512Bf16();

}  // namespace torii::kernels::cpu
