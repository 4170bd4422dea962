// The loops for Avx2; empty where the compiler has no such target.
#include "bench/machine_loops_body.h"

namespace torii::bench {
#if defined(__AVX2__)
const MachineLoops* const kLoopsAvx2 = &kTheseLoops;
#else
const MachineLoops* const kLoopsAvx2 = nullptr;
#endif
}  // namespace torii::bench
