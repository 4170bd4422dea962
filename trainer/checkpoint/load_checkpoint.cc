// Loading of checkpoints: from the partition of the writer into the partition of the reader.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/status_macros.h"
#include "trainer/checkpoint/agree_on_run.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_manifest.h"
#include "trainer/checkpoint/copy_rows.h"
#include "trainer/checkpoint/safetensors.h"

namespace torii::trainer {
namespace {

class Loader {
 public:
  Loader(FileSystem& files, const Manifest& manifest, int rank, int world)
      : files_(files), manifest_(manifest), rank_(rank), world_(world) {}

  absl::Status Load(const StateRegistry& state) {
    for (const StateTensor& t : state.tensors()) TORII_RETURN_IF_ERROR(Check(t));
    for (int file = 0; file <= writers(); ++file) {
      TORII_RETURN_IF_ERROR(LoadFile(file, state));
    }
    for (const StateMessage& m : state.messages()) {
      const auto found = manifest_.info.messages.find(m.name);
      if (found == manifest_.info.messages.end()) return Lacks(m.name);
      TORII_RETURN_IF_ERROR(Annotate(m.load(found->second), manifest_.info.path));
    }
    return absl::OkStatus();
  }

 private:
  int writers() const { return manifest_.info.world_size; }
  const ManifestTensor& Stored(const StateTensor& t) const { return manifest_.tensors.at(t.name); }

  absl::Status Lacks(const std::string& name) const {
    return ConfigError(absl::StrCat(manifest_.info.path, " has no state '", name,
                                    "': it was written by another model or optimizer; use another "
                                    "run_dir, or --resume never to start afresh"));
  }

  absl::Status Check(const StateTensor& t) const {
    const auto found = manifest_.tensors.find(t.name);
    if (found == manifest_.tensors.end()) return Lacks(t.name);
    std::vector<int64_t> want = t.tensor.sizes().vec();
    if (t.partition.has_value()) want[0] = t.partition->rows();
    if (found->second.shape == want && found->second.dtype == t.tensor.scalar_type()) {
      return absl::OkStatus();
    }
    return ConfigError(absl::StrCat(
        manifest_.info.path, ": '", t.name, "' is ", std::string(DtypeName(found->second.dtype)),
        " [", absl::StrJoin(found->second.shape, ", "), "], this model wants ",
        std::string(DtypeName(t.tensor.scalar_type())), " [", absl::StrJoin(want, ", "),
        "]; use another run_dir, or --resume never to start afresh"));
  }

  // The readers' rows. A tensor that all ranks hold alike is a table that is replicated.
  Partition Readers(const StateTensor& t) const {
    return t.partition.value_or(Partition::Replicated(Stored(t).shape[0], world_));
  }

  // Whether the file is, for this tensor, what this rank itself would write.
  bool IsMine(const StateTensor& t, int file) const {
    const ManifestTensor& stored = Stored(t);
    if (stored.is_replicated()) return !t.partition.has_value() || t.partition->is_replicated();
    return file == rank_ && Readers(t) == stored.Rows(writers());
  }

  // Whether the file has rows of the tensor that this rank may need.
  bool Needs(const StateTensor& t, int file) const {
    const ManifestTensor& stored = Stored(t);
    if (stored.is_replicated()) return file == writers();
    return file < writers() && (file == rank_ || Readers(t) != stored.Rows(writers()));
  }

  absl::Status LoadFile(int file, const StateRegistry& state) {
    std::vector<const StateTensor*> needed;
    for (const StateTensor& t : state.tensors()) {
      if (Needs(t, file)) needed.push_back(&t);
    }
    if (needed.empty()) return absl::OkStatus();
    const ManifestFile& described = manifest_.files[static_cast<size_t>(file)];
    TORII_RETURN_IF_ERROR(VerifyFile(files_, manifest_.info.path, described, /*content=*/true));
    const std::string path = JoinPath(manifest_.info.path, described.name);
    TORII_ASSIGN_OR_RETURN(const auto entries, ReadSafetensorsHeader(files_, path));
    for (const StateTensor* t : needed) {
      const auto entry = entries.find(t->name);
      if (entry == entries.end() ||
          entry->second.shape != Stored(*t).ShapeIn(Rank{file}, WorldSize{writers()}) ||
          entry->second.dtype != Stored(*t).dtype) {
        return DataError(absl::StrCat(path, ": tensor '", t->name,
                                      "' is missing or of another "
                                      "shape or dtype"));
      }
      TORII_ASSIGN_OR_RETURN(const at::Tensor read, ReadSafetensor(files_, path, entry->second));
      Copy(read, file, *t);
    }
    return absl::OkStatus();
  }

  void Copy(const at::Tensor& read, int file, const StateTensor& t) const {
    if (IsMine(t, file)) {
      t.tensor.copy_(read);
      return;
    }
    const ManifestTensor& stored = Stored(t);
    const bool replicated = stored.is_replicated();
    at::Tensor live = t.tensor;
    CopyRows(read, stored.Rows(writers()), replicated ? 0 : file, live, Readers(t), rank_);
  }

  FileSystem& files_;
  const Manifest& manifest_;
  const int rank_, world_;
};

}  // namespace

absl::StatusOr<CheckpointInfo> LoadCheckpoint(FileSystem& files, comm::Communicator& comm,
                                              const std::string& path, const StateRegistry& state) {
  const at::NoGradGuard no_grad;
  const auto read = [&]() -> absl::StatusOr<Manifest> {
    TORII_FAILPOINT("checkpoint.load");
    return ReadManifest(files, path);
  };
  const absl::StatusOr<Manifest> manifest = read();
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), manifest.status()));
  TORII_RETURN_IF_ERROR(
      AgreeOnText(comm, absl::StrCat("the manifest of ", path), manifest->info.digest));
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(
      comm.control(), Loader(files, *manifest, comm.rank(), comm.world_size()).Load(state)));
  return manifest->info;
}

}  // namespace torii::trainer
