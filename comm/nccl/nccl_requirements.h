// What NCCL needs of a machine, checked before anything can hang: versions, one GPU a rank, the
// environment, and which GPU a rank takes. All but CheckNcclRequirements are pure.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "comm/control_plane.h"
#include "comm/exchange.pb.h"
#include "comm/nccl/nccl_library.h"

namespace torii::comm {

// Versions as NCCL counts them: 22809 is 2.28.9. kConfig for another major version than the
// header's, for one older than 2.26 (two communicators on one GPU may deadlock), and for 2.28.3 to
// 2.28.8 (they may hang when a communicator is aborted).
absl::Status CheckNcclVersions(int header, int library);
std::string NcclVersionText(int version);

// What two ranks have in common exactly if they are on one GPU. `host_id` is the value of
// NCCL_HOSTID, empty if unset: two processes that differ in it talk like two hosts.
std::string GpuIdentity(const std::string& uuid, const std::string& host_id);
// kConfig if two ranks have the same identity: NCCL may hang then. From 2.30 on it can do it, if
// `allowed` (NCCL_MULTI_RANK_GPU_ENABLE=1).
absl::Status CheckOneRankPerGpu(std::span<const std::string> identities, int library, bool allowed);

// All of the above for all ranks: the same verdict on each. Collective.
absl::Status CheckNcclRequirements(ControlPlane& control, const NcclLibrary& library,
                                   const std::string& identity, bool several_ranks_per_gpu);

// Variables that are to be set before the first call of NCCL, because they are not set.
struct NcclEnvironment {
  std::vector<std::pair<std::string, std::string>> set;
  bool several_ranks_per_gpu = false;  // NcclOptions
  std::string host_id;                 // for GpuIdentity
  // What the log should say: the variables that are set here and why, those that do harm.
  std::vector<std::string> notes;
};
// `get` returns the value of a variable, empty if it is not set.
NcclEnvironment PlanNcclEnvironment(const std::function<std::string(const std::string&)>& get,
                                    ExchangeConfig::Sums sums);

struct GpuChoice {
  int device = 0;
  std::string warning = {};  // empty: none
};
// Local rank modulo visible devices. kConfig without any.
absl::StatusOr<GpuChoice> ChooseGpu(int local_rank, int local_size, int visible_devices);

}  // namespace torii::comm
