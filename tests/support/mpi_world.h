// What the tests that run under mpirun share: the environment and a communicator of all ranks, made
// by mpi_main.cc before the first test. Every test must make the same calls on all ranks.
#pragma once

#include "comm/communicator.h"
#include "comm/mpi/mpi_environment.h"

namespace torii::testing {

comm::Communicator& World();
comm::MpiEnvironment& Environment();

}  // namespace torii::testing
