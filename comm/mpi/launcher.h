// Was this process started as one of the ranks of an MPI world?
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace torii::comm {

// A variable's value, or null if it is not set.
using EnvironmentLookup = std::function<const char*(const char* name)>;

// mpirun (Open MPI, MPICH), a PMIx launcher, or an srun step of several tasks. A batch script, an
// interactive shell and a step of one task have no world of their own.
bool IsMpiRank(const EnvironmentLookup& lookup);

// An error with the remedy if srun started several tasks without telling MPI about them; each would
// then be a world of its own.
absl::Status CheckSlurmStep(const EnvironmentLookup& lookup);

// The same after MPI has started.
absl::Status CheckSlurmWorldSize(const EnvironmentLookup& lookup, int world_size);

}  // namespace torii::comm
