// A trained model, loaded from a checkpoint on any number of ranks. eval, recommend and export
// start with it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "comm/communicator.h"
#include "data/dataset.h"
#include "kernels/device.h"
#include "launch/config/config_flags.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/step/two_tower.h"

namespace torii::launch {

// --checkpoint, --config, --set, --run-dir.
struct ModelFlags {
  std::string checkpoint;
  ConfigFlags config;
  void Declare(FlagSet& flags);
};

struct TrainedModel {
  std::string path;  // of the checkpoint
  trainer::CheckpointInfo info;
  RunConfig config;  // the checkpoint's, with --set on top; `eval` from --config if given
  std::unique_ptr<data::Dataset> dataset;
  std::unique_ptr<trainer::TwoTower> towers;  // borrows dataset and the communicator
};

// The checkpoint that `path` means: `path` itself if it is one; of a run folder, or of its
// checkpoints/, the best one, else the newest.
absl::StatusOr<std::string> FindCheckpoint(FileSystem& files, const std::string& path);

// Finds, checks (kConfig if the prepared data are not those it was trained on) and loads.
// Collective.
absl::StatusOr<std::unique_ptr<TrainedModel>> OpenTrainedModel(FileSystem& files,
                                                               comm::Communicator& comm,
                                                               const ModelFlags& flags,
                                                               const kernels::Device& device);

// The model of a run, on a device.
trainer::TwoTowerConfig TwoTowerConfigOf(const RunConfig& config, const kernels::Device& device);

// The weights of a checkpoint into `towers`; optimizer state is left out. Collective.
absl::StatusOr<trainer::CheckpointInfo> LoadWeights(FileSystem& files, comm::Communicator& comm,
                                                    const std::string& path,
                                                    trainer::TwoTower& towers);

}  // namespace torii::launch
