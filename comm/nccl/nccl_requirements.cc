#include "comm/nccl/nccl_requirements.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::comm {
namespace {

constexpr int kOldest = 22600;  // NCCL_LAUNCH_ORDER_IMPLICIT
constexpr int kFirstThatHangs = 22803;
constexpr int kLastThatHangs = 22808;
constexpr int kManyRanksPerGpu = 23000;

constexpr const char* kRemedy = "install the nvidia-nccl package that torch asks for";

int Major(int version) { return version < 10000 ? version / 1000 : version / 10000; }

}  // namespace

std::string NcclVersionText(int version) {
  // Before 2.9 a version was 1000 * major + 100 * minor + patch.
  const int minor = version < 10000 ? version % 1000 / 100 : version % 10000 / 100;
  return absl::StrCat(Major(version), ".", minor, ".", version % 100);
}

absl::Status CheckNcclVersions(int header, int library) {
  const std::string found = absl::StrCat("NCCL ", NcclVersionText(library));
  if (Major(header) != Major(library)) {
    return ConfigError(absl::StrCat(found, " was loaded, but Torii was compiled for ",
                                    NcclVersionText(header), "; ", kRemedy));
  }
  if (library < kOldest) {
    return ConfigError(absl::StrCat(found, " is too old, Torii needs ", NcclVersionText(kOldest),
                                    " or newer; ", kRemedy));
  }
  if (library >= kFirstThatHangs && library <= kLastThatHangs) {
    return ConfigError(absl::StrCat(found, " may hang when a rank is lost (so do all from ",
                                    NcclVersionText(kFirstThatHangs), " to ",
                                    NcclVersionText(kLastThatHangs), "); use 2.28.9 or newer"));
  }
  return absl::OkStatus();
}

std::string GpuIdentity(const std::string& uuid, const std::string& host_id) {
  return host_id.empty() ? uuid : absl::StrCat(uuid, " of host ", host_id);
}

absl::Status CheckOneRankPerGpu(std::span<const std::string> identities, int library,
                                bool allowed) {
  if (allowed && library >= kManyRanksPerGpu) return absl::OkStatus();
  std::map<std::string, size_t> rank_of;
  for (size_t rank = 0; rank < identities.size(); ++rank) {
    const auto [first, is_new] = rank_of.emplace(identities[rank], rank);
    if (is_new) continue;
    return ConfigError(absl::StrCat(
        "ranks ", first->second, " and ", rank, " are on one GPU (", identities[rank],
        "), where NCCL ", NcclVersionText(library),
        " may hang; start one rank per GPU (under Slurm with --gpus-per-node=N --gpu-bind=none)",
        library >= kManyRanksPerGpu ? ", or set NCCL_MULTI_RANK_GPU_ENABLE=1" : ""));
  }
  return absl::OkStatus();
}

absl::Status CheckNcclRequirements(ControlPlane& control, const NcclLibrary& library,
                                   const std::string& identity, bool several_ranks_per_gpu) {
  int version = 0;
  absl::Status mine;
  if (library.get_version(&version) == NcclResult::kSuccess) {
    mine = CheckNcclVersions(library.header_version, version);
  } else {
    mine = ConfigError(absl::StrCat("NCCL does not tell its version; ", kRemedy));
  }
  TORII_RETURN_IF_ERROR(AgreeOnStatus(control, mine));
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> identities,
                         AllGatherTexts(control, identity));
  // Ranks may differ in their library and in what they allow.
  return AgreeOnStatus(control, CheckOneRankPerGpu(identities, version, several_ranks_per_gpu));
}

NcclEnvironment PlanNcclEnvironment(const std::function<std::string(const std::string&)>& get,
                                    ExchangeConfig::Sums sums) {
  NcclEnvironment plan;
  const auto set_if_unset = [&](const std::string& name, const std::string& value,
                                const std::string& why) {
    if (!get(name).empty()) return;
    plan.set.emplace_back(name, value);
    plan.notes.push_back(absl::StrCat("sets ", name, "=", value, ": ", why));
  };
  set_if_unset("NCCL_LAUNCH_ORDER_IMPLICIT", "1",
               "two communicators on one GPU start their kernels in the order of the calls");
  if (get("NCCL_LAUNCH_ORDER_IMPLICIT") == "0") {
    plan.notes.push_back(
        "NCCL_LAUNCH_ORDER_IMPLICIT=0: two communicators on one GPU may wait for each other for "
        "ever; unset it");
  }
  if (sums == ExchangeConfig::NCCL) {
    set_if_unset("NCCL_NVLS_ENABLE", "0", "sums by NVLS differ from run to run");
    if (!get("NCCL_NVLS_ENABLE").empty() && get("NCCL_NVLS_ENABLE") != "0") {
      plan.notes.push_back("NCCL_NVLS_ENABLE is set: sums may differ from run to run");
    }
  }
  plan.several_ranks_per_gpu = get("NCCL_MULTI_RANK_GPU_ENABLE") == "1";
  plan.host_id = get("NCCL_HOSTID");
  return plan;
}

absl::StatusOr<GpuChoice> ChooseGpu(int local_rank, int local_size, int visible_devices) {
  if (visible_devices <= 0) {
    return ConfigError(
        "no GPU is visible to this process; look at nvidia-smi and CUDA_VISIBLE_DEVICES, or train "
        "with --device cpu");
  }
  GpuChoice choice = {.device = local_rank % visible_devices};
  if (visible_devices == 1 && local_size > 1) {
    choice.warning = absl::StrCat(
        "one GPU is visible to each of the ", local_size,
        " ranks of this node: if each sees another one, NCCL cannot use NVLink between them; let "
        "every rank see all GPUs (under Slurm --gpus-per-node=N --gpu-bind=none)");
  } else if (local_size > visible_devices) {
    choice.warning =
        absl::StrCat(local_size, " ranks of this node share ", visible_devices, " visible GPUs");
  }
  return choice;
}

}  // namespace torii::comm
