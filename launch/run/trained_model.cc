#include "launch/run/trained_model.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/prepare/find_dataset.h"
#include "launch/config/validate_config.h"
#include "launch/run/dataset_on_ranks.h"
#include "trainer/checkpoint/checkpoint_manifest.h"
#include "trainer/checkpoint/checkpoint_store.h"

namespace torii::launch {
namespace {

absl::StatusOr<bool> Exists(FileSystem& files, const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
  return info.exists;
}

// The configuration with which the checkpoint was trained, and what the command line changes.
absl::StatusOr<RunConfig> ModelConfigOf(FileSystem& files, const ModelFlags& flags,
                                        const trainer::CheckpointInfo& info) {
  RunConfig config;
  TORII_RETURN_IF_ERROR(
      Annotate(ParseConfigText(info.config, "config", &config), absl::StrCat("in ", info.path)));
  const std::string trained_on = config.data().prepared_dir();
  const ConfigSources sources = flags.config.Sources();
  if (!sources.files.empty()) {
    ConfigSources only_files;
    only_files.files = sources.files;
    TORII_ASSIGN_OR_RETURN(const RunConfig given, LoadConfig(files, only_files));
    *config.mutable_eval() = given.eval();
    config.mutable_data()->set_prepared_dir(given.data().prepared_dir());
  }
  ConfigLocations locations;
  TORII_RETURN_IF_ERROR(ApplyOverrides(sources.sets, &config, &locations));
  // The checkpoint may name a folder beside data.prepared_dir, in which the dataset is.
  if (data::IsBeside(trained_on, config.data().prepared_dir())) {
    config.mutable_data()->set_prepared_dir(trained_on);
  }
  if (sources.prepared_dir.has_value()) {
    config.mutable_data()->set_prepared_dir(*sources.prepared_dir);
  }
  FillDefaults(&config);
  TORII_RETURN_IF_ERROR(ValidateConfig(config, locations));
  return config;
}

// Where to look for the checkpoint: --checkpoint, --run-dir, else run_dir of --config.
absl::StatusOr<std::string> PlaceOf(FileSystem& files, const ModelFlags& flags) {
  if (!flags.checkpoint.empty()) return flags.checkpoint;
  if (!flags.config.run_dir.empty()) return flags.config.run_dir;
  if (flags.config.sources.files.empty()) {
    return UsageError("say which model: --checkpoint DIR, --run-dir DIR or --config FILE");
  }
  TORII_ASSIGN_OR_RETURN(const RunConfig config, LoadConfig(files, flags.config.Sources()));
  return config.run_dir();
}

}  // namespace

void ModelFlags::Declare(FlagSet& flags) {
  flags.AddText("checkpoint", &checkpoint, "DIR",
                "A checkpoint, or a run folder: then its best checkpoint, else its newest.");
  config.Declare(flags);
}

absl::StatusOr<std::string> FindCheckpoint(FileSystem& files, const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const bool is_checkpoint,
                         Exists(files, JoinPath(path, trainer::kManifestName)));
  if (is_checkpoint) return path;
  const std::string below = JoinPath(path, trainer::kCheckpointsName);
  TORII_ASSIGN_OR_RETURN(const bool is_run, Exists(files, below));
  TORII_ASSIGN_OR_RETURN(const auto best, trainer::BestCheckpoint(files, is_run ? below : path));
  if (best.has_value()) return best->path;
  TORII_ASSIGN_OR_RETURN(const auto steps, trainer::CheckpointSteps(files, is_run ? below : path));
  if (!steps.empty()) {
    return DataError(absl::StrCat(path, ": none of its ", steps.size(),
                                  " checkpoints can be used; the reasons are above"));
  }
  return NoInputError(absl::StrCat(path, ": there is no checkpoint; `torii train` makes them"));
}

trainer::TwoTowerConfig TwoTowerConfigOf(const RunConfig& config, const kernels::Device& device) {
  return {.model = config.model(),
          .tables = config.tables(),
          .seed = config.seed(),
          .table = {config.table().begin(), config.table().end()},
          .global_batch = config.train().global_batch(),
          .device = device};
}

absl::StatusOr<trainer::CheckpointInfo> LoadWeights(FileSystem& files, comm::Communicator& comm,
                                                    const std::string& path,
                                                    trainer::TwoTower& towers) {
  StateRegistry all, weights;
  towers.RegisterState(all);
  for (const StateTensor& tensor : all.tensors()) {
    if (tensor.role == StateRole::kWeight) weights.Add(tensor);
  }
  return trainer::LoadCheckpoint(files, comm, path, weights);
}

absl::StatusOr<std::unique_ptr<TrainedModel>> OpenTrainedModel(FileSystem& files,
                                                               comm::Communicator& comm,
                                                               const ModelFlags& flags,
                                                               const kernels::Device& device) {
  auto model = std::make_unique<TrainedModel>();
  // Rank 0 looks and tells the others, so that all take the same one on a shared disk that lags.
  absl::StatusOr<std::string> found = std::string();
  if (comm.rank() == 0) {
    found = PlaceOf(files, flags);
    if (found.ok()) found = FindCheckpoint(files, *found);
  }
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), found.status()));
  TORII_ASSIGN_OR_RETURN(model->path, comm::BroadcastText(comm.control(), *found, 0));
  TORII_ASSIGN_OR_RETURN(model->info,
                         trainer::ReadCheckpointInfo(files, model->path, /*verify_content=*/false));
  TORII_ASSIGN_OR_RETURN(model->config, ModelConfigOf(files, flags, model->info));
  const std::string& folder = model->config.data().prepared_dir();
  TORII_ASSIGN_OR_RETURN(model->dataset, OpenDataset(files, comm, folder));
  if (model->dataset->digest() != model->info.data_digest) {
    return ConfigError(
        absl::StrCat(model->path, " was trained on other data than ", folder, " now holds (digest ",
                     model->info.data_digest, ", now ", model->dataset->digest(),
                     "): name the prepared folder with --prepared DIR, or train again"));
  }
  TORII_ASSIGN_OR_RETURN(
      model->towers,
      trainer::TwoTower::Create(comm, *model->dataset, TwoTowerConfigOf(model->config, device)));
  TORII_ASSIGN_OR_RETURN(model->info, LoadWeights(files, comm, model->path, *model->towers));
  return model;
}

}  // namespace torii::launch
