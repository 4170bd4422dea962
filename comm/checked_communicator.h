// A debug decorator: before each collective all ranks compare what they are about to call
// (operation, sequence number, dtype, shape, counts) and get an error that names both sides when
// they differ, instead of a hang or wrong numbers. Costs one small extra collective per call.
#pragma once

#include <memory>

#include "comm/communicator.h"

namespace torii::comm {

// Checks the calls and passes them on to `inner`, which must outlive the result. Its control plane
// is checked as well.
std::unique_ptr<Communicator> MakeChecked(Communicator& inner);

}  // namespace torii::comm
