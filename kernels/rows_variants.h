// The row kernels as they are compiled for each instruction set. rows.cc uses the best one that
// this CPU runs; tests use all of them.
#pragma once

#include <vector>

#include "kernels/rows_variant.h"

namespace torii::kernels {

// Those this machine can run, the best first. Never empty.
const std::vector<const RowsVariant*>& RunnableRowsVariants();

}  // namespace torii::kernels
