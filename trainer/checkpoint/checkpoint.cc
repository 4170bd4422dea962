#include "trainer/checkpoint/checkpoint.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"
#include "trainer/checkpoint/checkpoint_manifest.h"
#include "trainer/checkpoint/remove_checkpoint.h"
#include "trainer/checkpoint/safetensors.h"

namespace torii::trainer {
namespace {

Partition::Kind KindOf(const StateTensor& t) {
  return t.partition.has_value() ? t.partition->kind() : Partition::Kind::kReplicated;
}

std::vector<NamedTensor> Select(const StateRegistry& state, bool replicated) {
  std::vector<NamedTensor> out;
  for (const StateTensor& t : state.tensors()) {
    if ((KindOf(t) == Partition::Kind::kReplicated) == replicated) {
      out.push_back({t.name, t.tensor.detach()});
    }
  }
  return out;
}

ManifestTensor Describe(const StateTensor& t) {
  ManifestTensor out{t.tensor.scalar_type(), t.tensor.sizes().vec(), KindOf(t)};
  if (t.partition.has_value()) out.shape[0] = t.partition->rows();
  return out;
}

// The first row of `t` with a NaN or an infinity; the tensor has one.
int64_t FirstBadRow(const StateTensor& t, int rank) {
  const at::Tensor rows =
      t.tensor.dim() == 0 ? t.tensor.reshape({1, 1}) : t.tensor.reshape({t.tensor.size(0), -1});
  const auto slot = at::isfinite(rows).all(1).logical_not().to(at::kInt).argmax().item<int64_t>();
  return t.partition.has_value() ? t.partition->Row(rank, slot) : slot;
}

// A sum in float64 cannot overflow: it is finite if every element is.
absl::Status CheckFinite(const StateRegistry& state, int rank) {
  for (const StateTensor& t : state.tensors()) {
    if (!t.tensor.is_floating_point()) continue;
    const double sum = t.tensor.scalar_type() == at::kDouble
                           ? (at::isfinite(t.tensor).all().item<bool>() ? 0.0 : NAN)
                           : at::sum(t.tensor, at::kDouble).item<double>();
    if (!std::isfinite(sum)) {
      return DivergedError(absl::StrCat("row ", FirstBadRow(t, rank), " of '", t.name,
                                        "' is not finite: no checkpoint is made of it; use a "
                                        "smaller learning rate"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ManifestFile> WriteTensors(FileSystem& files, const std::string& directory,
                                          const std::string& name,
                                          const std::vector<NamedTensor>& tensors) {
  TORII_FAILPOINT("checkpoint.write");
  const std::string path = JoinPath(directory, name);
  TORII_ASSIGN_OR_RETURN(const std::string digest, WriteSafetensors(files, path, tensors));
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
  return ManifestFile{name, info.size, digest};
}

// Rank 0, after all shards are durable: the replicated tensors, the manifest, the rename.
absl::Status Commit(FileSystem& files, const std::string& beside, const std::string& path,
                    const StateRegistry& state, Manifest manifest, const MayWrite& may_write) {
  TORII_ASSIGN_OR_RETURN(ManifestFile replicated,
                         WriteTensors(files, beside, kReplicatedName, Select(state, true)));
  manifest.files.push_back(std::move(replicated));
  for (const StateTensor& t : state.tensors()) manifest.tensors[t.name] = Describe(t);
  for (const StateMessage& m : state.messages()) manifest.info.messages[m.name] = m.save();
  TORII_FAILPOINT("checkpoint.before_manifest");
  // Written by rename inside `beside`, which also makes the names of the shards durable.
  TORII_RETURN_IF_ERROR(
      WriteFileAtomically(files, JoinPath(beside, kManifestName), FormatManifest(manifest)));
  TORII_FAILPOINT("checkpoint.before_rename");
  TORII_RETURN_IF_ERROR(may_write());
  TORII_RETURN_IF_ERROR(RemoveCheckpoint(files, path));
  TORII_RETURN_IF_ERROR(files.Rename(beside, path));
  TORII_FAILPOINT("checkpoint.after_rename");
  return absl::OkStatus();
}

// Everything into `beside`, and from there to `path`.
absl::Status WriteCheckpoint(FileSystem& files, comm::Communicator& comm, const std::string& beside,
                             const std::string& path, const StateRegistry& state,
                             const CheckpointInfo& identity, const MayWrite& may_write) {
  const bool leads = comm.rank() == 0;
  const int world = comm.world_size();
  absl::Status mine = CheckFinite(state, comm.rank());
  if (leads && mine.ok()) mine = may_write();
  if (leads && mine.ok()) mine = RemoveCheckpoint(files, beside);
  if (leads && mine.ok()) mine = files.MakeDirectories(beside);
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), mine));

  const auto shard = WriteTensors(files, beside, ShardName(Rank{comm.rank()}, WorldSize{world}),
                                  Select(state, false));
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), shard.status()));
  TORII_ASSIGN_OR_RETURN(const auto digests, comm::AllGatherTexts(comm.control(), shard->digest));
  TORII_ASSIGN_OR_RETURN(const auto sizes, comm::AllGatherValue(comm.control(), shard->size));
  if (leads) {
    Manifest manifest;
    manifest.info = identity;
    manifest.info.world_size = world;
    for (int r = 0; r < world; ++r) {
      const auto i = static_cast<size_t>(r);
      manifest.files.push_back({ShardName(Rank{r}, WorldSize{world}), sizes[i], digests[i]});
    }
    mine = Commit(files, beside, path, state, std::move(manifest), may_write);
  }
  return comm::AgreeOnStatus(comm.control(), mine);
}

}  // namespace

std::string CheckpointPath(const std::string& directory, int64_t step) {
  return JoinPath(directory, absl::StrFormat("step-%08d", step));
}

absl::StatusOr<std::string> SaveCheckpoint(FileSystem& files, comm::Communicator& comm,
                                           const std::string& directory, const StateRegistry& state,
                                           const CheckpointInfo& identity,
                                           const MayWrite& may_write) {
  const at::NoGradGuard no_grad;
  const std::string path = CheckpointPath(directory, identity.step);
  const std::string beside = path + ".partial";
  const MayWrite ask = may_write ? may_write : [] { return absl::OkStatus(); };
  const absl::Status saved = WriteCheckpoint(files, comm, beside, path, state, identity, ask);
  if (!saved.ok()) {
    // The first failure is told.
    if (comm.rank() == 0 && ask().ok()) RemoveCheckpoint(files, beside).IgnoreError();
    return Annotate(saved, absl::StrCat("checkpoint ", path));
  }
  return path;
}

absl::StatusOr<CheckpointInfo> ReadCheckpointInfo(FileSystem& files, const std::string& path,
                                                  bool verify_content) {
  TORII_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(files, path));
  for (const ManifestFile& file : manifest.files) {
    TORII_RETURN_IF_ERROR(VerifyFile(files, path, file, verify_content));
  }
  return manifest.info;
}

}  // namespace torii::trainer
