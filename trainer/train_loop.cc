#include "trainer/train_loop.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/named_state.h"
#include "base/status_macros.h"
#include "base/stopwatch.h"
#include "base/trace.h"
#include "data/batch.h"
#include "trainer/cadence.h"
#include "trainer/checkpoint/checkpoint_store.h"
#include "trainer/checkpoint/message_state.h"
#include "trainer/early_stopping.h"
#include "trainer/evaluate_model.h"
#include "trainer/learner.h"
#include "trainer/resume_check.h"
#include "trainer/train_log.h"

namespace torii::trainer {
namespace {

bool CanEvaluate(const data::Dataset& dataset) {
  return dataset.test().size() > 0 || dataset.valid().size() > 0;
}

// While training, the validation part is watched if there is one: the test part stays unseen.
eval::EvalConfig EvalConfigWhileTraining(const eval::EvalConfig& config,
                                         const data::Dataset& dataset) {
  eval::EvalConfig out = config;
  if (out.part() == eval::EvalConfig::BEST_THERE_IS) {
    out.set_part(dataset.valid().size() > 0 ? eval::EvalConfig::VALID : eval::EvalConfig::TEST);
  }
  return out;
}

// What the value of an evaluation depends on besides the weights.
std::string MeasureOf(const TrainRun& run, const data::Dataset& dataset) {
  const eval::EvalConfig config = EvalConfigWhileTraining(run.eval, dataset);
  return absl::StrCat(run.train.best_metric(), " on ", eval::EvalConfig::Part_Name(config.part()),
                      config.mask_train() ? ", training items left out" : "",
                      config.mask_valid() ? ", validation items left out" : "", ", repeats ",
                      eval::EvalConfig::Repeats_Name(config.repeats()));
}

data::BatchOptions BatchOptionsOf(const TrainRun& run, const comm::Communicator& comm,
                                  int64_t history) {
  return {.global_batch = run.train.global_batch(),
          .rank = comm.rank(),
          .world_size = comm.world_size(),
          .seed = run.seed,
          .history = history,
          .shuffle_block = run.train.shuffle_block(),
          .user_balance = run.train.user_balance()};
}

// Whether the run can be evaluated as its configuration wants.
absl::Status CheckEvaluation(const data::Dataset& dataset, const TrainRun& run) {
  if (CanEvaluate(dataset)) {
    std::string part;
    return HeldOutOf(dataset, EvalConfigWhileTraining(run.eval, dataset), &part).status();
  }
  // A configuration with its defaults filled in does not tell whether a metric was asked for.
  const bool meant =
      dataset.meta().config().has_split() && run.train.best_metric() != TrainConfig().best_metric();
  if (run.train.patience() == 0 && !meant) return absl::OkStatus();
  return ConfigError(absl::StrCat(
      run.train.patience() > 0 ? "train.patience" : "train.best_metric",
      " needs held-out interactions, and the prepared dataset has none: ",
      dataset.meta().config().has_split()
          ? "data.split held out nothing (`torii prepare --force` says why)"
          : "set data.split { last_k: 1 valid: true }, data.valid_path or data.test_path"));
}

// What one should know about the evaluations and histories of the run.
void WarnOfData(const data::Dataset& dataset, const TrainRun& run, int64_t history) {
  if (CanEvaluate(dataset) &&
      EvalConfigWhileTraining(run.eval, dataset).part() == eval::EvalConfig::TEST) {
    TORII_WARNING(
        "the best checkpoint is chosen on the test part, which makes its metrics look "
        "better than they are; set data.split.valid or data.valid_path");
  }
  if (history > 0 && !dataset.meta().has_time()) {
    TORII_WARNING(
        "model.user.history follows the order of the rows in the files, because there "
        "are no times; set data.interactions.time");
  }
}

struct StartedStep {
  PendingStep pending;
  RunPosition position;  // after it
  double learning_rate_factor = 1;
};

// A run on one rank.
class Training {
 public:
  Training(FileSystem& files, comm::Communicator& comm, const data::Dataset& dataset,
           const TrainRun& run, std::unique_ptr<Learner> learner, const data::BatchMaker& batches)
      : files_(files),
        comm_(comm),
        dataset_(dataset),
        run_(run),
        learner_(std::move(learner)),
        cadence_(run.train, batches.steps_per_epoch(), CanEvaluate(dataset)),
        early_stopping_(MeasureOf(run, dataset), run.train.patience()),
        store_(files, run.run_dir, run.train.checkpoint().keep(), run.before_commit) {}

  void Describe(const data::BatchMaker& batches) const;
  // Goes on from a checkpoint if there is one, as `run` wishes. Collective.
  absl::Status Resume();
  // Whether there is nothing to do; it is said in the log.
  bool IsComplete() const;
  absl::Status Train(const data::BatchMaker& batches);
  absl::StatusOr<TrainSummary> Summary(bool trained);

 private:
  bool leads() const { return comm_.rank() == 0; }
  bool Finished() const { return cadence_.AtEnd(position_) || early_stopping_.OutOfPatience(); }
  StateRegistry State();
  absl::Status Begin();
  absl::Status Step(data::BatchPrefetcher& batches);
  // Reads the numbers of the step that was started last, if they were not read yet, and logs them.
  absl::Status Collect();
  absl::Status AfterStep();
  absl::StatusOr<bool> Evaluate();
  absl::Status Save();
  absl::Status LeaveIfStopAsked();

  FileSystem& files_;
  comm::Communicator& comm_;
  const data::Dataset& dataset_;
  const TrainRun& run_;
  const std::unique_ptr<Learner> learner_;
  const Cadence cadence_;
  RunPosition position_;
  EarlyStopping early_stopping_;
  CheckpointStore store_;
  TrainLog log_;
  std::optional<StartedStep> started_;  // whose numbers were not read yet
};

void Training::Describe(const data::BatchMaker& batches) const {
  if (!leads()) return;
  for (const std::string& line : learner_->Description()) TORII_INFO(line);
  WarnOfData(dataset_, run_, learner_->towers().net().history_length());
  if (run_.train.shuffle_block() > 1 && !learner_->towers().net().users_have_one_vector()) {
    TORII_WARNING("train.shuffle_block: rows of a user do not share its vector, which has a ",
                  "history or dropout in it; blocks only order the reads");
  }
  TORII_INFO(dataset_.train().size(), " training rows, ", batches.steps_per_epoch(),
             " steps an epoch, global batch ", run_.train.global_batch(), " on ",
             comm_.world_size(), comm_.world_size() == 1 ? " rank" : " ranks");
}

// Everything that a checkpoint holds.
StateRegistry Training::State() {
  StateRegistry state;
  state.Add(MessageState("position", &position_));
  early_stopping_.RegisterState(state);
  log_.RegisterState(state);
  learner_->RegisterState(state);
  return state;
}

absl::Status Training::Resume() {
  if (run_.resume == Resume::kNever) return store_.MoveAside(comm_);
  TORII_ASSIGN_OR_RETURN(const std::string path, store_.Open(comm_));
  if (path.empty()) return absl::OkStatus();
  absl::Status same;
  if (leads()) {
    const auto info = ReadCheckpointInfo(files_, path, /*verify_content=*/false);
    same = info.ok() ? CheckSameRun(*info, run_, dataset_.digest()) : info.status();
  }
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm_.control(), same));
  TORII_ASSIGN_OR_RETURN(const CheckpointInfo info, LoadCheckpoint(files_, comm_, path, State()));
  if (leads()) {
    TORII_INFO("resumed from ", path, " (step ", position_.step(), ", written by ", info.world_size,
               info.world_size == 1 ? " rank)" : " ranks)");
  }
  if (early_stopping_.ForgetOtherMeasure() && leads()) {
    TORII_INFO("the best checkpoint is looked for anew, by ", MeasureOf(run_, dataset_));
  }
  // Only with another batch or other data, which were accepted.
  if (cadence_.FitEpoch(&position_) && leads()) {
    TORII_WARNING("an epoch has fewer steps now: going on with the next one");
  }
  return absl::OkStatus();
}

bool Training::IsComplete() const {
  if (position_.step() == 0) return false;
  if (early_stopping_.OutOfPatience()) {
    if (leads()) {
      TORII_INFO("the run has stopped early at step ", position_.step(), " (no gain in ",
                 run_.train.best_metric(), " for ",
                 early_stopping_.state().evaluations_without_gain(),
                 " evaluations): nothing to do; a larger train.patience goes on");
    }
    return true;
  }
  const bool evaluated = early_stopping_.state().evaluated_step() == position_.step();
  if (!cadence_.AtEnd(position_) || (CanEvaluate(dataset_) && !evaluated)) return false;
  if (leads()) {
    TORII_INFO("the run is complete (", position_.step(), " of ", cadence_.total_steps(),
               " steps): nothing to do");
  }
  return true;
}

absl::Status Training::Begin() {
  absl::Status begun;
  if (leads() && run_.before_training) begun = run_.before_training();
  if (leads() && begun.ok()) begun = log_.Open(files_, run_.run_dir, position_);
  return comm::AgreeOnStatus(comm_.control(), begun);
}

absl::Status Training::Train(const data::BatchMaker& maker) {
  TORII_RETURN_IF_ERROR(Begin());
  comm_.control().stop_flag().Watch(run_.stop);
  Profile profile(run_.profile, position_.step(), cadence_.total_steps());
  const auto batches = data::BatchPrefetcher::Start(maker, Epoch{position_.epoch()},
                                                    StepInEpoch{position_.step_in_epoch()},
                                                    run_.train.prefetch(), profile.trace());
  const TraceThread trace(profile.trace(), "training");
  log_.Begin(position_);
  while (!Finished()) {
    TORII_RETURN_IF_ERROR(profile.BeforeStep(comm_, position_.step()));
    TORII_RETURN_IF_ERROR(Step(*batches));
    TORII_RETURN_IF_ERROR(profile.AfterStep(files_, comm_, position_.step() - 1));
    TORII_RETURN_IF_ERROR(AfterStep());
    TORII_RETURN_IF_ERROR(LeaveIfStopAsked());
  }
  TORII_RETURN_IF_ERROR(Collect());
  // A run that was made shorter: its last step was not meant to be the last one.
  if (CanEvaluate(dataset_) && early_stopping_.state().evaluated_step() != position_.step()) {
    TORII_RETURN_IF_ERROR(Evaluate().status());
  }
  return log_.Close();
}

absl::Status Training::Step(data::BatchPrefetcher& batches) {
  const TraceSpan span("step", position_.step());
  const auto next = [&] {
    StepClock clock(log_.time());
    clock.Begin(&StepTime::data, "wait for batch");
    return batches.Next();
  };
  data::Batch batch = next();
  const int64_t rows = batch.global_rows;
  const double factor =
      ScheduleFactor(run_.train.schedule(), position_.step(), cadence_.total_steps());
  TORII_ASSIGN_OR_RETURN(PendingStep started,
                         learner_->Start(std::move(batch), position_.step(), factor, log_.time()));
  TORII_RETURN_IF_ERROR(Collect());  // the step before
  cadence_.Advance(rows, &position_);
  started_ = StartedStep{std::move(started), position_, factor};
  return learner_->collects_late() ? absl::OkStatus() : Collect();
}

absl::Status Training::Collect() {
  if (!started_) return absl::OkStatus();
  const StartedStep step = *std::exchange(started_, std::nullopt);
  TORII_ASSIGN_OR_RETURN(const StepResult result, learner_->Collect(step.pending));
  log_.Add(result);
  if (!cadence_.LogDue(step.position)) return absl::OkStatus();
  return log_.WriteLine(step.position, {.last_step = &result,
                                        .learning_rate_factor = step.learning_rate_factor,
                                        .world_size = comm_.world_size(),
                                        .total_steps = cadence_.total_steps(),
                                        .global_batch = run_.train.global_batch()});
}

// A checkpoint of a step holds the evaluation of that step.
absl::Status Training::AfterStep() {
  bool gain = false;
  if (cadence_.EvaluationDue(position_)) {
    TORII_ASSIGN_OR_RETURN(gain, Evaluate());
  }
  const bool due = gain || early_stopping_.OutOfPatience() || cadence_.SaveDue(position_);
  return due ? Save() : absl::OkStatus();
}

// Whether it is the best one yet.
absl::StatusOr<bool> Training::Evaluate() {
  TORII_RETURN_IF_ERROR(Collect());
  const TraceSpan span("evaluate");
  const Stopwatch watch;
  TORII_ASSIGN_OR_RETURN(
      const Evaluation evaluation,
      EvaluateModel(learner_->towers(), EvalConfigWhileTraining(run_.eval, dataset_),
                    run_.train.embed_batch()));
  const std::string& name = run_.train.best_metric();
  const auto metric = evaluation.model.values.find(name);
  if (metric == evaluation.model.values.end()) {
    return ConfigError(absl::StrCat("train.best_metric: there is no metric '", name,
                                    "'; it is a name such as ndcg@20 with a cut-off of eval.k"));
  }
  const bool gain = early_stopping_.Observe(position_.step(), metric->second);
  TORII_RETURN_IF_ERROR(log_.WriteEvaluation(position_, evaluation.part, evaluation.model.values));
  if (leads()) {
    TORII_INFO(absl::StrFormat("step %d  %s %s %.6f%s  (%.2f s)", position_.step(), evaluation.part,
                               name, metric->second, gain ? "  best" : "", watch.seconds()));
    if (early_stopping_.OutOfPatience()) {
      TORII_INFO("no gain in ", name, " for ", run_.train.patience(),
                 " evaluations: stopping early");
    }
  }
  return gain;
}

absl::Status Training::Save() {
  TORII_RETURN_IF_ERROR(Collect());
  const TraceSpan span("checkpoint");
  CheckpointInfo identity;
  identity.step = position_.step();
  identity.config = run_.resolved_config;
  identity.data_digest = dataset_.digest();
  return store_.Save(comm_, State(), identity, early_stopping_.state().best_step());
}

absl::Status Training::LeaveIfStopAsked() {
  if (Finished() || !comm_.control().stop_flag().agreed()) return absl::OkStatus();
  TORII_RETURN_IF_ERROR(Save());
  return InterruptedError(absl::StrCat("stopped by a signal at step ", position_.step(),
                                       "; the checkpoint is good, run the same command again"));
}

absl::StatusOr<TrainSummary> Training::Summary(bool trained) {
  TrainSummary summary;
  summary.position = position_;
  summary.evaluations = early_stopping_.state();
  if (trained) {
    summary.last_loss = log_.last_loss();
    summary.train_seconds = log_.seconds();
  }
  TORII_ASSIGN_OR_RETURN(summary.best_checkpoint, store_.Best(comm_));
  return summary;
}

}  // namespace

absl::StatusOr<TrainSummary> RunTraining(FileSystem& files, comm::Communicator& comm,
                                         const data::Dataset& dataset, const TrainRun& run) {
  TORII_ASSIGN_OR_RETURN(auto learner, Learner::Create(comm, dataset, run));
  const data::BatchMaker batches(
      dataset, BatchOptionsOf(run, comm, learner->towers().net().history_length()));
  if (batches.steps_per_epoch() == 0) {
    return DataError("the prepared dataset has no training interactions");
  }
  TORII_RETURN_IF_ERROR(CheckEvaluation(dataset, run));
  Training training(files, comm, dataset, run, std::move(learner), batches);
  training.Describe(batches);
  TORII_RETURN_IF_ERROR(training.Resume());
  const bool complete = training.IsComplete();
  if (!complete) TORII_RETURN_IF_ERROR(training.Train(batches));
  return training.Summary(!complete);
}

}  // namespace torii::trainer
