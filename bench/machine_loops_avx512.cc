// The loops for Avx512; empty where the compiler has no such target.
#include "bench/machine_loops_body.h"

namespace torii::bench {
#if defined(__AVX512F__)
const MachineLoops* const kLoopsAvx512 = &kTheseLoops;
#else
const MachineLoops* const kLoopsAvx512 = nullptr;
#endif
}  // namespace torii::bench
