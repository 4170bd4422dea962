#include "trainer/checkpoint.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/digest.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "trainer/checkpoint_manifest.h"
#include "trainer/safetensors.h"

namespace torii::trainer {
namespace {

constexpr char kStepPrefix[] = "step-";

std::vector<NamedTensor> Select(const std::vector<CheckpointTensor>& tensors, bool sharded) {
  std::vector<NamedTensor> out;
  for (const CheckpointTensor& t : tensors) {
    if (t.sharded == sharded) out.push_back({t.name, t.tensor});
  }
  return out;
}

std::vector<int64_t> WholeShape(const CheckpointTensor& t) {
  std::vector<int64_t> shape = t.tensor.sizes().vec();
  if (t.sharded) shape[0] = t.rows;
  return shape;
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
                    const std::vector<CheckpointTensor>& tensors, Manifest manifest) {
  TORII_ASSIGN_OR_RETURN(ManifestFile replicated,
                         WriteTensors(files, beside, kReplicatedName, Select(tensors, false)));
  manifest.files.push_back(std::move(replicated));
  for (const CheckpointTensor& t : tensors) {
    manifest.tensors[t.name] = {t.sharded, WholeShape(t)};
  }
  TORII_FAILPOINT("checkpoint.before_manifest");
  // Written by rename inside `beside`, which also makes the names of the shards durable.
  TORII_RETURN_IF_ERROR(
      WriteFileAtomically(files, JoinPath(beside, kManifestName), FormatManifest(manifest)));
  TORII_FAILPOINT("checkpoint.before_rename");
  TORII_RETURN_IF_ERROR(files.RemoveAll(path));
  TORII_RETURN_IF_ERROR(files.Rename(beside, path));
  TORII_FAILPOINT("checkpoint.after_rename");
  return absl::OkStatus();
}

// Copies those rows of one old shard that live on this rank: shard row i is row old_rank + i *
// old_world.
void CopyRows(const at::Tensor& shard, int old_rank, int old_world, at::Tensor& mine, int rank,
              int world) {
  if (shard.size(0) == 0 || mine.size(0) == 0) return;
  const int64_t width = shard.numel() / shard.size(0);
  const float* from = shard.const_data_ptr<float>();
  float* to = mine.mutable_data_ptr<float>();
  for (int64_t i = 0; i < shard.size(0); ++i) {
    const int64_t row = old_rank + i * old_world;
    if (RowOwner(row, world) != rank) continue;
    std::memcpy(to + RowSlot(row, world) * mine.stride(0), from + i * width,
                static_cast<size_t>(width) * sizeof(float));
  }
}

absl::Status CheckShape(const Manifest& manifest, const CheckpointTensor& t) {
  const auto found = manifest.tensors.find(t.name);
  if (found == manifest.tensors.end()) {
    return ConfigError(absl::StrCat(manifest.info.path, " has no tensor '", t.name,
                                    "': it was written by another model or optimizer; use another "
                                    "run_dir, or --resume never to start afresh"));
  }
  if (found->second.shape != WholeShape(t) || found->second.sharded != t.sharded) {
    return ConfigError(absl::StrCat(manifest.info.path, ": tensor '", t.name, "' has shape [",
                                    absl::StrJoin(found->second.shape, ", "),
                                    "], this model wants [", absl::StrJoin(WholeShape(t), ", "),
                                    "]; use another run_dir, or --resume never"));
  }
  return absl::OkStatus();
}

absl::StatusOr<at::Tensor> ReadTensor(FileSystem& files, const std::string& path,
                                      const std::map<std::string, SafetensorsEntry>& entries,
                                      const std::string& name, const std::vector<int64_t>& shape) {
  const auto entry = entries.find(name);
  if (entry == entries.end() || entry->second.shape != shape) {
    return DataError(absl::StrCat(path, ": tensor '", name, "' is missing or of another shape"));
  }
  return ReadSafetensor(files, path, entry->second);
}

absl::Status LoadAll(FileSystem& files, int rank, int world, const Manifest& manifest,
                     std::vector<CheckpointTensor>& tensors) {
  const int old_world = manifest.info.world_size;
  for (const CheckpointTensor& t : tensors) TORII_RETURN_IF_ERROR(CheckShape(manifest, t));
  for (int s = 0; s <= old_world; ++s) {
    const bool replicated = s == old_world;
    if (!replicated && old_world == world && s != rank) continue;  // my own shard is all I need
    const ManifestFile& file = manifest.files[static_cast<size_t>(s)];
    TORII_RETURN_IF_ERROR(VerifyFile(files, manifest.info.path, file, /*content=*/true));
    const std::string path = JoinPath(manifest.info.path, file.name);
    TORII_ASSIGN_OR_RETURN(const auto entries, ReadSafetensorsHeader(files, path));
    for (CheckpointTensor& t : tensors) {
      if (t.sharded == replicated) continue;
      std::vector<int64_t> shape = t.tensor.sizes().vec();
      if (t.sharded) shape[0] = OwnedRows(t.rows, s, old_world);
      TORII_ASSIGN_OR_RETURN(const at::Tensor read,
                             ReadTensor(files, path, entries, t.name, shape));
      if (replicated) {
        t.tensor.copy_(read);
      } else {
        CopyRows(read, s, old_world, t.tensor, rank, world);
      }
    }
  }
  return absl::OkStatus();
}

// Step numbers of the checkpoint folders, ascending.
absl::StatusOr<std::vector<int64_t>> Steps(FileSystem& files, const std::string& directory) {
  std::vector<int64_t> steps;
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(directory));
  if (!info.exists) return steps;
  TORII_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.List(directory));
  for (const std::string& name : names) {
    int64_t step = 0;
    if (absl::StartsWith(name, kStepPrefix) &&
        absl::SimpleAtoi(name.substr(sizeof(kStepPrefix) - 1), &step)) {
      steps.push_back(step);
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::string StepPath(const std::string& directory, int64_t step) {
  return JoinPath(directory, absl::StrFormat("%s%08d", kStepPrefix, step));
}

}  // namespace

absl::StatusOr<std::string> SaveCheckpoint(FileSystem& files, comm::Communicator& comm,
                                           const std::string& directory,
                                           std::vector<CheckpointTensor> tensors,
                                           const CheckpointInfo& info) {
  const at::NoGradGuard no_grad;
  const bool leads = comm.rank() == 0;
  const std::string path = StepPath(directory, info.progress.step);
  const std::string beside = path + ".partial";
  const auto save = [&]() -> absl::Status {
    absl::Status mine;
    if (leads) {
      mine = files.RemoveAll(beside);
      if (mine.ok()) mine = files.MakeDirectories(beside);
    }
    TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), mine));

    const std::string name = ShardName(comm.rank(), comm.world_size());
    const auto shard = WriteTensors(files, beside, name, Select(tensors, true));
    TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), shard.status()));
    TORII_ASSIGN_OR_RETURN(const auto digests, comm::AllGatherTexts(comm.control(), shard->digest));
    TORII_ASSIGN_OR_RETURN(const auto sizes, comm::AllGatherValue(comm.control(), shard->size));

    if (leads) {
      Manifest manifest;
      manifest.info = info;
      for (int r = 0; r < comm.world_size(); ++r) {
        manifest.files.push_back({ShardName(r, comm.world_size()), sizes[static_cast<size_t>(r)],
                                  digests[static_cast<size_t>(r)]});
      }
      mine = Commit(files, beside, path, tensors, std::move(manifest));
    }
    return comm::AgreeOnStatus(comm.control(), mine);
  };
  const absl::Status saved = save();
  if (!saved.ok()) {
    if (leads) files.RemoveAll(beside).IgnoreError();  // the first failure is the one to tell
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

absl::StatusOr<CheckpointInfo> LoadCheckpoint(FileSystem& files, comm::Communicator& comm,
                                              const std::string& path,
                                              std::vector<CheckpointTensor> tensors) {
  const at::NoGradGuard no_grad;
  CheckpointInfo info;
  const auto load = [&]() -> absl::Status {
    TORII_FAILPOINT("checkpoint.load");
    TORII_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(files, path));
    info = manifest.info;
    return LoadAll(files, comm.rank(), comm.world_size(), manifest, tensors);
  };
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), load()));
  return info;
}

absl::StatusOr<std::optional<std::string>> NewestCheckpoint(FileSystem& files,
                                                            const std::string& directory) {
  TORII_ASSIGN_OR_RETURN(std::vector<int64_t> steps, Steps(files, directory));
  std::reverse(steps.begin(), steps.end());
  for (const int64_t step : steps) {
    const std::string path = StepPath(directory, step);
    const auto info = ReadCheckpointInfo(files, path, /*verify_content=*/true);
    if (info.ok()) return path;
    TORII_WARNING("skipping ", path, ": ", std::string(info.status().message()));
  }
  return std::nullopt;
}

absl::Status PruneCheckpoints(FileSystem& files, const std::string& directory, int keep,
                              int64_t best_step) {
  TORII_ASSIGN_OR_RETURN(const std::vector<int64_t> steps, Steps(files, directory));
  const auto old = static_cast<int64_t>(steps.size()) - std::max(keep, 1);
  for (int64_t i = 0; i < old; ++i) {
    const int64_t step = steps[static_cast<size_t>(i)];
    if (step == best_step) continue;
    TORII_RETURN_IF_ERROR(files.RemoveAll(StepPath(directory, step)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> CheckpointDigests(
    FileSystem& files, const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(files, path));
  const int world = manifest.info.world_size;
  std::vector<std::shared_ptr<MappedFile>> mapped;
  std::vector<std::map<std::string, SafetensorsEntry>> entries;
  for (const ManifestFile& file : manifest.files) {
    TORII_RETURN_IF_ERROR(VerifyFile(files, path, file, /*content=*/true));
    TORII_ASSIGN_OR_RETURN(auto map, files.Map(JoinPath(path, file.name)));
    TORII_ASSIGN_OR_RETURN(auto header, ReadSafetensorsHeader(files, JoinPath(path, file.name)));
    mapped.push_back(std::move(map));
    entries.push_back(std::move(header));
  }
  std::vector<std::pair<std::string, std::string>> lines;
  lines.emplace_back("progress", DigestOf(FormatProgress(manifest.info.progress)));
  for (const auto& [name, tensor] : manifest.tensors) {
    Digest digest;
    const int64_t rows = tensor.sharded ? tensor.shape[0] : 1;
    for (int64_t row = 0; row < rows; ++row) {
      const auto s = static_cast<size_t>(tensor.sharded ? RowOwner(row, world) : world);
      const auto entry = entries[s].find(name);
      if (entry == entries[s].end()) {
        return DataError(
            absl::StrCat(path, ": tensor '", name, "' is missing in ", manifest.files[s].name));
      }
      const int64_t parts = tensor.sharded ? OwnedRows(rows, static_cast<int>(s), world) : 1;
      const int64_t bytes = entry->second.bytes / parts;
      const int64_t slot = tensor.sharded ? RowSlot(row, world) : 0;
      digest.Update(mapped[s]->data() + entry->second.offset + slot * bytes,
                    static_cast<size_t>(bytes));
    }
    lines.emplace_back(name, digest.Hex());
  }
  Digest total;
  for (const auto& [name, digest] : lines) total.Update(absl::StrCat(name, "=", digest, "\n"));
  lines.insert(lines.begin(), {"total", total.Hex()});
  return lines;
}

}  // namespace torii::trainer
