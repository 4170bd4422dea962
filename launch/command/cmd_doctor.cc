// torii doctor: what this machine offers, what is wrong and what to do about it.
#include <link.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "launch/command/command.h"
#include "launch/command/output.h"
#include "launch/process/cores.h"
#include "launch/process/doctor.h"
#include "launch/process/examine_gpus.h"
#include "launch/process/gpu_doctor.h"
#include "launch/process/version.h"
#include "launch/run/run_folder.h"

namespace torii::launch {
namespace {

// Paths of the shared libraries of this process.
std::vector<std::string> LoadedLibraries() {
  std::vector<std::string> paths;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        if (info->dlpi_name != nullptr && info->dlpi_name[0] != '\0') {
          static_cast<std::vector<std::string>*>(out)->emplace_back(info->dlpi_name);
        }
        return 0;
      },
      &paths);
  return paths;
}

std::string FindOnPath(const std::string& program) {
  const char* path = std::getenv("PATH");
  const std::string folders = path == nullptr ? "" : path;
  for (const absl::string_view folder : absl::StrSplit(folders, ':', absl::SkipEmpty())) {
    const std::string candidate = absl::StrCat(folder, "/", program);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

std::string WriteTrouble(FileSystem& files, const std::string& folder) {
  const std::string path = JoinPath(folder, absl::StrCat(".torii-doctor-", ::getpid()));
  const absl::Status written = WriteFileAtomically(files, path, "ok\n");
  files.RemoveAll(path).IgnoreError();  // it may not be there
  return written.ok() ? "" : std::string(written.message());
}

MachineFacts Examine(FileSystem& files, const std::string& folder) {
  MachineFacts facts;
  facts.libraries = LoadedLibraries();
  facts.allowed_cores = static_cast<int>(AllowedCores().size());
  facts.machine_cores = static_cast<int>(std::thread::hardware_concurrency());
  const char* omp = std::getenv("OMP_NUM_THREADS");
  facts.omp_num_threads = omp == nullptr ? "" : omp;
  facts.mpirun = FindOnPath("mpirun");
  facts.srun = FindOnPath("srun");
  facts.is_root = ::geteuid() == 0;
  facts.root_allowed = std::getenv("OMPI_ALLOW_RUN_AS_ROOT") != nullptr &&
                       std::getenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM") != nullptr;
  facts.write_trouble = WriteTrouble(files, folder);
  facts.write_folder = folder;
  const char* locale = std::setlocale(LC_NUMERIC, nullptr);
  facts.numeric_locale = locale == nullptr ? "C" : locale;
  return facts;
}

class DoctorCommand final : public Command {
 public:
  CommandText text() const final {
    return {"doctor", "Show versions, MPI, cores, GPUs and libraries, and what is wrong with them.",
            "Looks at what Torii needs to run here: versions, where LibTorch and Arrow were "
            "loaded from, whether MPI can start ranks, how many cores this process may use, which "
            "GPUs, whether the folder can be written to. Ends with 0 if all is well, else with 1 "
            "after saying what to do.",
            "torii doctor\ntorii doctor --folder /scratch/runs"};
  }
  void Declare(FlagSet& flags) final {
    flags.AddText("folder", &folder_, "DIR", "Where runs will be written. Default: here.");
  }
  absl::StatusOr<int> Run(const CommandContext& context) final {
    if (!context.runtime.is_first_process()) return 0;
    const CudaFacts cuda = ExamineGpus();  // first: it loads libraries
    const MachineFacts facts = Examine(context.files, folder_);
    std::vector<Finding> findings = Diagnose(facts);
    for (Finding& finding : DiagnoseGpus(cuda)) findings.push_back(std::move(finding));
    std::string out = absl::StrCat(VersionText(), DescribeMachine(facts), DescribeGpus(cuda),
                                   "started by  ", context.runtime.Launcher(), "\n");
    bool wrong = false;
    for (const Finding& finding : findings) {
      absl::StrAppend(&out, finding.fatal ? "WRONG: " : "note:  ", finding.what, "\n       ",
                      finding.remedy, "\n");
      wrong = wrong || finding.fatal;
    }
    absl::StrAppend(&out, wrong ? "not ready\n" : "ready\n");
    TORII_RETURN_IF_ERROR(Print(out));
    return wrong ? 1 : 0;
  }

 private:
  std::string folder_ = ".";
};

}  // namespace

std::unique_ptr<Command> MakeDoctorCommand() { return std::make_unique<DoctorCommand>(); }

}  // namespace torii::launch
