#include "launch/process/version.h"

#include <arrow/config.h>
#include <google/protobuf/stubs/common.h>
#include <torch/version.h>

#include "absl/strings/str_cat.h"
#include "comm/mpi/mpi_environment.h"
#include "kernels/cpu/variants.h"

namespace torii::launch {

std::vector<std::pair<std::string, std::string>> Versions() {
  const std::string sanitizer = TORII_SANITIZE;
  return {
      {"torii", TORII_VERSION},
      {"build type",
       absl::StrCat(TORII_BUILD_TYPE, sanitizer.empty() ? "" : " with sanitizers ", sanitizer)},
      {"compiler", absl::StrCat("g++ ", __VERSION__)},
      {"LibTorch", TORCH_VERSION},
      {"Arrow", arrow::GetBuildInfo().version_string},
      {"protobuf", google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION)},
      {"MPI", comm::MpiLibraryVersion()},
      {"kernels", kernels::cpu::BestInstructionSet()},
  };
}

std::string VersionText() {
  std::string out;
  for (const auto& [name, value] : Versions()) {
    absl::StrAppend(&out, name, std::string(name.size() < 12 ? 12 - name.size() : 1, ' '), value,
                    "\n");
  }
  return out;
}

}  // namespace torii::launch
