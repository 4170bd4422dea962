// A debug decorator: before each collective all ranks compare what they are about to call
// (operation, sequence number, dtype, shape, counts) and get an error that names both sides when
// they differ, instead of a hang or wrong numbers. Costs one small extra collective per call.
#pragma once

#include <memory>

#include "comm/communicator.h"

namespace torii::comm {

std::unique_ptr<Communicator> MakeChecked(std::unique_ptr<Communicator> inner);

}  // namespace torii::comm
