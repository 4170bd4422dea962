// torii train: prepares if needed, trains, evaluates the best checkpoint.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/secrets.h"
#include "base/status_macros.h"
#include "exports/json_text.h"
#include "launch/command/command.h"
#include "launch/command/describe.h"
#include "launch/command/output.h"
#include "launch/config/config_changes.h"
#include "launch/process/cores.h"
#include "launch/process/version.h"
#include "launch/run/dataset_on_ranks.h"
#include "launch/run/run_folder.h"
#include "launch/run/trained_model.h"
#include "trainer/checkpoint/agree_on_run.h"
#include "trainer/checkpoint/checkpoint_store.h"
#include "trainer/evaluate_model.h"
#include "trainer/train_loop.h"

namespace torii::launch {
namespace {

// What `torii train` was asked for; the same on all ranks.
struct TrainJob {
  RunConfig config;
  trainer::Resume resume = trainer::Resume::kAuto;
  trainer::ProfileOptions profile;
  bool json = false, take_lock = false, take_prepared = false;
  std::string command_line, launcher;
  const std::atomic<bool>* stop = nullptr;
  Runtime* runtime = nullptr;
};

RunIdentity IdentityOf(const TrainJob& job, int world_size) {
  return {.command_line = job.command_line,
          .resolved_config = PrintConfig(job.config),
          .world_size = world_size,
          .launcher = job.launcher};
}

// Evaluates the best checkpoint and prints the table. Collective.
absl::Status ReportBest(FileSystem& files, comm::Communicator& comm, const kernels::Device& device,
                        const data::Dataset& dataset, const TrainJob& job,
                        const trainer::TrainSummary& summary) {
  const RunConfig& config = job.config;
  nlohmann::ordered_json json = {{"checkpoint", summary.best_checkpoint},
                                 {"step", summary.position.step()},
                                 {"last_loss", nullptr},
                                 {"train_seconds", summary.train_seconds}};
  if (summary.last_loss.has_value()) json["last_loss"] = *summary.last_loss;
  std::string text = absl::StrCat("best checkpoint: ", summary.best_checkpoint, "\n");
  if (dataset.test().size() > 0 || dataset.valid().size() > 0) {
    TORII_ASSIGN_OR_RETURN(
        const std::unique_ptr<trainer::TwoTower> towers,
        trainer::TwoTower::Create(comm, dataset, TwoTowerConfigOf(config, device)));
    TORII_RETURN_IF_ERROR(LoadWeights(files, comm, summary.best_checkpoint, *towers).status());
    TORII_ASSIGN_OR_RETURN(
        const trainer::Evaluation evaluation,
        trainer::EvaluateModel(*towers, config.eval(), config.train().embed_batch()));
    json.update(EvaluationJson(evaluation));
    absl::StrAppend(&text, DescribeEvaluation(evaluation));
  }
  absl::Status printed;
  if (comm.rank() == 0) printed = Print(job.json ? exports::IndentedJson(json) : text);
  return comm::AgreeOnStatus(comm.control(), printed);
}

// Tells the run folder how far the run is; `folder` is null on ranks but 0.
absl::Status EnterPhase(comm::Communicator& comm, RunFolder* folder, const std::string& phase) {
  return comm::AgreeOnStatus(comm.control(),
                             folder == nullptr ? absl::OkStatus() : folder->SetPhase(phase));
}

absl::Status Train(FileSystem& files, comm::Communicator& comm, const kernels::Device& device,
                   TrainJob job, RunFolder* folder) {
  TORII_RETURN_IF_ERROR(EnterPhase(comm, folder, "prepare"));
  TORII_ASSIGN_OR_RETURN(const std::string prepared, PrepareOnce(files, comm, job.config.data(),
                                                                 {.as_it_is = job.take_prepared}));
  // From here on, and in the checkpoints, the folder that the dataset is in.
  job.config.mutable_data()->set_prepared_dir(prepared);
  const RunConfig& config = job.config;
  TORII_ASSIGN_OR_RETURN(const std::unique_ptr<data::Dataset> dataset,
                         OpenDataset(files, comm, prepared));
  TORII_RETURN_IF_ERROR(
      trainer::AgreeOnText(comm, "the prepared dataset (its digest)", dataset->digest()));

  TORII_RETURN_IF_ERROR(EnterPhase(comm, folder, "train"));
  trainer::TrainRun run;
  run.run_dir = config.run_dir();
  run.seed = config.seed();
  run.model = config.model();
  run.tables = config.tables();
  run.table = {config.table().begin(), config.table().end()};
  run.sampler = config.sampler();
  run.train = config.train();
  run.eval = config.eval();
  run.resolved_config = RedactUris(PrintConfig(config));
  run.changes_since = [&config](const std::string& theirs) { return ChangesSince(theirs, config); };
  if (folder != nullptr) {
    run.before_training = [&] {
      return folder->RecordIdentity(IdentityOf(job, comm.world_size()));
    };
    run.before_commit = [folder] { return folder->CheckHeld(); };
  }
  run.resume = job.resume;
  run.profile = job.profile;
  run.stop = job.stop;
  run.device = device;
  TORII_ASSIGN_OR_RETURN(const trainer::TrainSummary summary,
                         trainer::RunTraining(files, comm, *dataset, run));

  TORII_RETURN_IF_ERROR(EnterPhase(comm, folder, "evaluate"));
  return ReportBest(files, comm, device, *dataset, job, summary);
}

// Steps in the newest checkpoint, 0 if there is none.
int64_t SavedStep(FileSystem& files, const std::string& run_dir) {
  const auto steps = trainer::CheckpointSteps(files, JoinPath(run_dir, trainer::kCheckpointsName));
  return steps.ok() && !steps->empty() ? steps->back() : 0;
}

// Before anything is written: what the ranks were started with. Collective.
absl::Status AgreeOnJob(comm::Communicator& comm, const kernels::Device& device,
                        const TrainJob& job) {
  TORII_RETURN_IF_ERROR(trainer::AgreeOnText(comm, "the program", VersionText()));
  TORII_RETURN_IF_ERROR(trainer::AgreeOnText(comm, "the device", device.name()));
  const std::string options = absl::StrCat("--resume ", static_cast<int>(job.resume),
                                           job.profile.path.empty() ? "" : " --profile FILE",
                                           " --profile-steps ", job.profile.steps);
  TORII_RETURN_IF_ERROR(trainer::AgreeOnText(comm, "the command line", options));
  return trainer::AgreeOnConfig(comm, job.config);
}

absl::StatusOr<std::unique_ptr<RunFolder>> OpenRunFolder(FileSystem& files, const TrainJob& job,
                                                         int world_size) {
  const std::string& run_dir = job.config.run_dir();
  TORII_RETURN_IF_ERROR(CheckApart(files, run_dir, job.config.data().prepared_dir()));
  return RunFolder::Open(files, run_dir, IdentityOf(job, world_size), job.take_lock);
}

// One rank's way through the job, with the run folder opened before and closed after.
absl::Status TrainOnRank(FileSystem& files, comm::Communicator& comm, const kernels::Device& device,
                         const TrainJob& job) {
  const std::string& run_dir = job.config.run_dir();
  TORII_RETURN_IF_ERROR(AgreeOnJob(comm, device, job));
  std::unique_ptr<RunFolder> folder;
  absl::Status opened;
  if (comm.rank() == 0) {
    absl::StatusOr<std::unique_ptr<RunFolder>> made = OpenRunFolder(files, job, comm.world_size());
    opened = made.status();
    if (made.ok()) folder = std::move(made).value();
  }
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), opened));
  if (job.runtime->under_mpi()) {
    job.runtime->BeforeAbort([run_dir](const absl::Status& failure) {
      RecordFailure(LocalFiles(), run_dir, failure).IgnoreError();  // the failure itself is told
    });
  }
  SetLogFile(comm.rank(), RankLogPath(run_dir, comm.rank()));
  if (comm.rank() == 0) {
    TORII_INFO(job.command_line, "  (", job.launcher, ", ", comm.world_size(),
               comm.world_size() == 1 ? " rank of " : " ranks of ", IntraOpThreads(),
               IntraOpThreads() == 1 ? " thread" : " threads", ", device ", device.name(),
               ", host ", HostName(), ", ", AllowedCores().size(), " cores for this one)");
  }
  const absl::Status trained =
      CatchExceptions([&] { return Train(files, comm, device, job, folder.get()); });
  if (folder != nullptr) {
    const absl::Status written = folder->SetEnd(trained, SavedStep(files, run_dir));
    if (!written.ok()) TORII_WARNING("STATUS.json: ", written.message());
  }
  if (!trained.ok()) TORII_DEBUG(ErrorLine(trained));
  SetLogFile(comm.rank(), "");
  return trained;
}

absl::StatusOr<trainer::Resume> ResumeOf(const std::string& name) {
  if (name == "auto") return trainer::Resume::kAuto;
  if (name == "accept-config") return trainer::Resume::kAcceptConfig;
  if (name == "never") return trainer::Resume::kNever;
  return UsageError(
      absl::StrCat("--resume: '", name, "' is none of auto, accept-config and never"));
}

// A profile is written after many steps: its folder is looked at before the first one.
absl::Status CheckProfile(FileSystem& files, const trainer::ProfileOptions& profile) {
  if (profile.path.empty()) return absl::OkStatus();
  const std::string folder = ParentPath(profile.path);
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(folder));
  if (info.exists && info.is_directory) return absl::OkStatus();
  return CannotCreateError(absl::StrCat("--profile ", profile.path, ": ", folder,
                                        info.exists ? " is not a folder" : " is not there"));
}

class TrainCommand final : public Command {
 public:
  CommandText text() const final {
    return {"train", "Train a model: prepare, train, evaluate, keep the best checkpoint.",
            "Prepares the data if that was not done, trains the two towers, evaluates them as it "
            "goes, and ends with the exact ranking metrics of the best checkpoint beside those of "
            "the popularity ranking. The same command runs on one process, on threads (--ranks) "
            "and under mpirun or srun; the number of ranks does not change the model. A run "
            "folder that has checkpoints is continued. SIGTERM, SIGUSR1 or Ctrl-C write a "
            "checkpoint and end with 75: run the same command again to go on.",
            "torii train --config my.txtpb --run-dir runs/first\n"
            "mpirun -np 8 torii train --config my.txtpb --set train.epochs=20\n"
            "torii train --config my.txtpb --ranks 4"};
  }
  void Declare(FlagSet& flags) final {
    config_.Declare(flags);
    ranks_.Declare(flags);
    flags.AddText("resume", &resume_, "auto|accept-config|never",
                  "auto (default): go on from the newest checkpoint of the run folder, unless its "
                  "configuration means another model. accept-config: go on all the same. never: "
                  "move the checkpoints aside and start afresh.");
    flags.AddSwitch("take-lock", &take_lock_,
                    "Take the run folder over from a run on another machine of which you know that "
                    "it is gone. Without this such a run counts as gone when it has not shown "
                    "itself for a minute. A run that lives on this machine is never taken over.");
    flags.AddText("profile", &profile_.path, "FILE",
                  "Write what each rank and thread did in some steps, for chrome://tracing or "
                  "ui.perfetto.dev.");
    flags.AddInteger("profile-steps", &profile_.steps, 1,
                     "Steps in the profile, after 20 others where there are as many. Default: 10.");
    flags.AddSwitch("json", &json_, "Print the final metrics as JSON.");
  }
  absl::StatusOr<int> Run(const CommandContext& context) final {
    TrainJob job;
    TORII_RETURN_IF_ERROR(CheckProfile(context.files, profile_));
    TORII_ASSIGN_OR_RETURN(job.config, config_.Load(context.files));
    TORII_ASSIGN_OR_RETURN(job.resume, ResumeOf(resume_));
    job.profile = profile_;
    job.json = json_;
    job.take_lock = take_lock_;
    job.take_prepared = !config_.prepared.empty();
    ranks_.sums = job.config.exchange().sums();
    job.command_line = context.command_line;
    job.launcher = context.runtime.Launcher();
    job.stop = context.runtime.StopOnSignals();
    job.runtime = &context.runtime;
    TORII_RETURN_IF_ERROR(context.runtime.RunOnRanks(
        ranks_, [&](comm::Communicator& comm, const kernels::Device& device) {
          return TrainOnRank(context.files, comm, device, job);
        }));
    return 0;
  }

 private:
  ConfigFlags config_;
  RankOptions ranks_;
  std::string resume_ = "auto";
  trainer::ProfileOptions profile_;
  bool json_ = false, take_lock_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeTrainCommand() { return std::make_unique<TrainCommand>(); }

}  // namespace torii::launch
