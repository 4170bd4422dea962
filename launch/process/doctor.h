// The conclusions of `torii doctor` from facts about the machine. Pure.
#pragma once

#include <string>
#include <vector>

namespace torii::launch {

struct MachineFacts {
  std::vector<std::string> libraries;  // paths of the shared libraries of the process
  int allowed_cores = 1;               // of the affinity mask
  int machine_cores = 1;
  std::string omp_num_threads;  // "" if not set
  std::string mpirun, srun;     // paths, "" if not on PATH
  bool is_root = false;
  bool root_allowed = false;  // Open MPI was told that root may start ranks
  std::string write_folder;
  std::string write_trouble;  // "" if the folder can be written to
  std::string numeric_locale = "C";
};

struct Finding {
  bool fatal = false;
  std::string what, remedy;
};

std::vector<Finding> Diagnose(const MachineFacts& facts);

// Cores, launchers and library paths, one a line.
std::string DescribeMachine(const MachineFacts& facts);

}  // namespace torii::launch
