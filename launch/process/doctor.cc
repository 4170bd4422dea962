#include "launch/process/doctor.h"

#include "absl/strings/str_cat.h"
#include "base/file_system.h"

namespace torii::launch {
namespace {

// The loaded libraries whose file name begins with `name`.
std::vector<std::string> Loaded(const MachineFacts& facts, const std::string& name) {
  std::vector<std::string> found;
  for (const std::string& path : facts.libraries) {
    if (BaseName(path).starts_with(name)) found.push_back(path);
  }
  return found;
}

// Both come with the wheels that LibTorch was built for; elsewhere they may be of another version.
void CheckCudaLibraries(const MachineFacts& facts, std::vector<Finding>* findings) {
  for (const char* name : {"libcudart.so", "libcupti.so"}) {
    const std::vector<std::string> found = Loaded(facts, name);
    if (found.empty() || found[0].find("/site-packages/") != std::string::npos) continue;
    findings->push_back({false, absl::StrCat(name, " comes from ", found[0]),
                         "It works where the version fits; tools/setup.sh installs the one that "
                         "LibTorch was built with."});
  }
}

}  // namespace

std::vector<Finding> Diagnose(const MachineFacts& facts) {
  std::vector<Finding> findings;
  if (!facts.write_trouble.empty()) {
    findings.push_back({true, facts.write_trouble,
                        absl::StrCat("Make ", facts.write_folder,
                                     " writable, free some space, or choose another --run-dir.")});
  }
  if (facts.mpirun.empty() && facts.srun.empty()) {
    findings.push_back({false, "neither mpirun nor srun is on PATH",
                        "Install openmpi-bin to run several processes; `torii train --ranks N` "
                        "runs ranks as threads without it."});
  }
  if (!facts.mpirun.empty() && facts.is_root && !facts.root_allowed) {
    findings.push_back({false, "mpirun refuses to start ranks for root",
                        "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"});
  }
  if (facts.allowed_cores < facts.machine_cores) {
    findings.push_back({false,
                        absl::StrCat("this process may use ", facts.allowed_cores, " of ",
                                     facts.machine_cores, " cores"),
                        "Ask the launcher for more: mpirun --bind-to none, or srun "
                        "--cpus-per-task."});
  }
  for (const char* name : {"libgomp.so", "libtorch_cpu.so", "libarrow.so", "libmpi.so",
                           "libcudart.so", "libnccl.so"}) {
    const std::vector<std::string> found = Loaded(facts, name);
    if (found.size() < 2) continue;
    findings.push_back(
        {true,
         absl::StrCat("two copies of ", name, " in one process: ", found[0], " and ", found[1]),
         "Unset LD_PRELOAD and LD_LIBRARY_PATH."});
  }
  CheckCudaLibraries(facts, &findings);
  if (facts.numeric_locale != "C" && facts.numeric_locale != "POSIX") {
    findings.push_back(
        {true, absl::StrCat("numbers are read by the rules of locale ", facts.numeric_locale),
         "export LC_NUMERIC=C"});
  }
  return findings;
}

std::string DescribeMachine(const MachineFacts& facts) {
  std::string out = absl::StrCat(
      "cores       ", facts.allowed_cores, " of ", facts.machine_cores, ", OMP_NUM_THREADS ",
      facts.omp_num_threads.empty() ? "not set" : facts.omp_num_threads, "\nmpirun      ",
      facts.mpirun.empty() ? "not found" : facts.mpirun, "\nsrun        ",
      facts.srun.empty() ? "not found" : facts.srun, "\n");
  for (const char* name : {"libtorch_cpu.so", "libc10.so", "libarrow.so", "libparquet.so",
                           "libmpi.so", "libgomp.so", "libcudart.so", "libcupti.so"}) {
    const std::vector<std::string> found = Loaded(facts, name);
    const std::string label = std::string(name).substr(3, std::string(name).find('.') - 3);
    absl::StrAppend(&out, label, std::string(12 - label.size(), ' '),
                    found.empty() ? "not loaded" : found[0], "\n");
  }
  return out;
}

}  // namespace torii::launch
