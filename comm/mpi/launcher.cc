#include "comm/mpi/launcher.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/exit_code.h"

namespace torii::comm {
namespace {

bool IsSet(const EnvironmentLookup& lookup, const char* name) { return lookup(name) != nullptr; }

// Tasks of the Slurm step this process belongs to, or 0 outside a step.
int StepTasks(const EnvironmentLookup& lookup) {
  int tasks = 0;
  const char* text = lookup("SLURM_STEP_NUM_TASKS");
  const bool in_step = text != nullptr && IsSet(lookup, "SLURM_PROCID");
  return in_step && absl::SimpleAtoi(text, &tasks) ? tasks : 0;
}

// mpirun's own variables; inside a Slurm job its ranks also inherit those of the step that started
// them.
bool FromMpirun(const EnvironmentLookup& lookup) {
  return IsSet(lookup, "OMPI_COMM_WORLD_SIZE") || IsSet(lookup, "PMI_SIZE");
}

}  // namespace

bool IsMpiRank(const EnvironmentLookup& lookup) {
  if (FromMpirun(lookup)) {
    return true;
  }
  const int step_tasks = StepTasks(lookup);
  return step_tasks > 1 || (step_tasks == 0 && IsSet(lookup, "PMIX_RANK"));
}

absl::Status CheckSlurmStep(const EnvironmentLookup& lookup) {
  const int tasks = StepTasks(lookup);
  if (tasks <= 1 || FromMpirun(lookup) || IsSet(lookup, "PMIX_RANK") || IsSet(lookup, "PMI_RANK") ||
      IsSet(lookup, "PMI_FD")) {
    return absl::OkStatus();
  }
  return UsageError(absl::StrCat("srun started ", tasks,
                                 " tasks without telling MPI about them (PMIX_RANK is not set); "
                                 "use srun --mpi=pmix, or mpirun"));
}

absl::Status CheckSlurmWorldSize(const EnvironmentLookup& lookup, int world_size) {
  const int tasks = StepTasks(lookup);
  if (tasks <= 1 || FromMpirun(lookup) || tasks == world_size) {
    return absl::OkStatus();
  }
  return UsageError(absl::StrCat("srun started ", tasks, " tasks but the MPI world has ",
                                 world_size, " ranks; use srun --mpi=pmix, or mpirun"));
}

}  // namespace torii::comm
