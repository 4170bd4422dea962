// The loops for any CPU that the program runs on.
#include "bench/machine_loops_body.h"

namespace torii::bench {
const MachineLoops* const kLoopsBaseline = &kTheseLoops;
}  // namespace torii::bench
