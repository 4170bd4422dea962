#include "trainer/train_loop.h"

#include <cmath>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/stopwatch.h"
#include "base/trace.h"
#include "data/batch.h"
#include "sampler/negative_sampler.h"
#include "trainer/dense_optimizer.h"
#include "trainer/evaluate_model.h"
#include "trainer/metrics_log.h"
#include "trainer/train_step.h"

namespace torii::trainer {
namespace {

constexpr char kCheckpoints[] = "checkpoints";

// Everything a run owns while it trains on one rank.
class Training {
 public:
  Training(FileSystem& files, comm::Communicator& comm, const data::Dataset& dataset,
           const TrainRun& run)
      : files_(files),
        comm_(comm),
        dataset_(dataset),
        run_(run),
        loss_(model::MakeLoss(run.model.loss())) {}

  absl::Status SetUp();
  absl::Status Run();
  TrainSummary Summary() const;

 private:
  bool leads() const { return comm_.rank() == 0; }
  int64_t total_steps() const;
  absl::Status ResumeIfAsked();
  absl::Status Step();
  data::Batch NextBatch();
  absl::Status AfterStep();
  absl::Status LogStep(const StepResult& result, double factor);
  absl::Status Evaluate();
  absl::Status Save();
  std::vector<CheckpointTensor> Tensors();
  bool AtEndOf(int64_t every_epochs, int64_t every_steps) const;

  FileSystem& files_;
  comm::Communicator& comm_;
  const data::Dataset& dataset_;
  const TrainRun& run_;
  std::unique_ptr<TwoTower> towers_;
  std::unique_ptr<sampler::NegativeSampler> sampler_;
  std::unique_ptr<model::Loss> loss_;
  std::unique_ptr<DenseOptimizer> dense_optimizer_;
  std::unique_ptr<data::BatchMaker> batches_;
  std::unique_ptr<Profile> profile_;  // outlives the threads that record into it
  std::unique_ptr<data::BatchPrefetcher> prefetcher_;
  std::unique_ptr<MetricsLog> metrics_;
  StepOptions step_options_;
  eval::EvalConfig eval_config_;

  Progress progress_;
  TrainSummary summary_;
  int64_t saved_step_ = -1, evaluated_step_ = -1;
  bool out_of_patience_ = false;
  StepTime time_;
  Stopwatch since_log_, since_start_;
  int64_t rows_at_log_ = 0, rows_at_start_ = 0;
};

absl::Status Training::SetUp() {
  const TrainConfig& train = run_.train;
  TORII_ASSIGN_OR_RETURN(towers_,
                         TwoTower::Create(comm_, dataset_, {run_.model, run_.tables, run_.seed}));
  TORII_ASSIGN_OR_RETURN(
      sampler_, sampler::NegativeSampler::Create(run_.sampler, dataset_.item_counts(), run_.seed));
  dense_optimizer_ = std::make_unique<DenseOptimizer>(train.dense(), towers_->net().dense());
  batches_ = std::make_unique<data::BatchMaker>(
      dataset_, data::BatchOptions{.global_batch = train.global_batch(),
                                   .rank = comm_.rank(),
                                   .world_size = comm_.world_size(),
                                   .seed = run_.seed,
                                   .history = towers_->net().history_length(),
                                   .shuffle_block = train.shuffle_block(),
                                   .user_balance = train.user_balance()});
  if (batches_->steps_per_epoch() == 0) {
    return DataError("the prepared dataset has no training interactions");
  }
  step_options_ = {.temperature = run_.model.temperature(),
                   .clip_norm = train.clip_norm(),
                   .check_finite = train.check_finite()};
  // While training, the validation part is watched if there is one: the test part stays unseen.
  eval_config_ = run_.eval;
  if (eval_config_.part() == eval::EvalConfig::BEST_THERE_IS && dataset_.valid().size() > 0) {
    eval_config_.set_part(eval::EvalConfig::VALID);
  }
  if (leads()) {
    for (const std::string& line : towers_->Description()) TORII_INFO(line);
    TORII_INFO("negatives: ", sampler_->Description());
    TORII_INFO("loss: ", loss_->Description());
    if (train.shuffle_block() > 1 && !towers_->net().users_have_one_vector()) {
      TORII_WARNING(
          "train.shuffle_block: rows of a user do not share its vector, which has a history ",
          "or dropout in it; blocks only order the reads");
    }
    TORII_INFO(dataset_.train().size(), " training rows, ", batches_->steps_per_epoch(),
               " steps an epoch, global batch ", train.global_batch(), " on ", comm_.world_size(),
               comm_.world_size() == 1 ? " rank" : " ranks");
  }
  TORII_RETURN_IF_ERROR(ResumeIfAsked());
  absl::Status opened;
  if (leads()) {
    auto metrics =
        MetricsLog::Open(files_, JoinPath(run_.run_dir, "metrics.jsonl"), progress_.step);
    opened = metrics.status();
    if (metrics.ok()) metrics_ = std::move(metrics).value();
  }
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm_.control(), opened));
  profile_ = std::make_unique<Profile>(run_.profile, progress_.step, total_steps());
  prefetcher_ = data::BatchPrefetcher::Start(*batches_, progress_.epoch, progress_.step_in_epoch,
                                             train.prefetch(), profile_->trace());
  rows_at_log_ = rows_at_start_ = progress_.rows_seen;
  since_log_.Restart();
  since_start_.Restart();
  return absl::OkStatus();
}

int64_t Training::total_steps() const {
  const int64_t all = run_.train.epochs() * batches_->steps_per_epoch();
  return run_.train.max_steps() > 0 ? std::min(all, run_.train.max_steps()) : all;
}

absl::Status Training::ResumeIfAsked() {
  const std::string directory = JoinPath(run_.run_dir, kCheckpoints);
  if (run_.resume == Resume::kNever) {
    absl::Status removed;
    if (leads()) removed = files_.RemoveAll(directory);
    return comm::AgreeOnStatus(comm_.control(), removed);
  }
  // Rank 0 looks; the others are told, so that all agree on a shared disk that lags.
  std::string path;
  absl::Status looked;
  if (leads()) {
    const auto newest = NewestCheckpoint(files_, directory);
    looked = newest.status();
    if (newest.ok() && newest->has_value()) path = **newest;
  }
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm_.control(), looked));
  TORII_ASSIGN_OR_RETURN(path, comm::BroadcastText(comm_.control(), path, 0));
  if (path.empty()) return absl::OkStatus();
  TORII_ASSIGN_OR_RETURN(const CheckpointInfo info, LoadCheckpoint(files_, comm_, path, Tensors()));
  if (info.data_digest != dataset_.digest()) {
    return ConfigError(absl::StrCat(path, " was trained on other data (digest ", info.data_digest,
                                    ", now ", dataset_.digest(),
                                    "): use another run_dir, or --resume never to start afresh"));
  }
  progress_ = info.progress;
  saved_step_ = progress_.step;
  evaluated_step_ = progress_.step;
  if (leads()) {
    TORII_INFO("resumed from ", path, " (step ", progress_.step, ", written by ", info.world_size,
               info.world_size == 1 ? " rank)" : " ranks)");
  }
  return absl::OkStatus();
}

std::vector<CheckpointTensor> Training::Tensors() {
  std::vector<CheckpointTensor> tensors;
  for (const sharding::TableState& state : towers_->tables().State()) {
    tensors.push_back({state.name, state.tensor, /*sharded=*/true, state.rows});
  }
  tensors.push_back({"dense", towers_->net().dense().flat(), false, 0});
  for (auto& [name, tensor] : dense_optimizer_->State())
    tensors.push_back({name, tensor, false, 0});
  return tensors;
}

absl::Status Training::Run() {
  comm_.control().stop_flag().Watch(run_.stop);
  const TraceThread trace(profile_->trace(), "training");
  while (progress_.step < total_steps() && !out_of_patience_) {
    TORII_RETURN_IF_ERROR(profile_->BeforeStep(comm_, progress_.step));
    TORII_RETURN_IF_ERROR(Step());
    TORII_RETURN_IF_ERROR(profile_->AfterStep(files_, comm_, progress_.step - 1));
    TORII_RETURN_IF_ERROR(AfterStep());
    if (comm_.control().stop_flag().agreed()) {
      TORII_RETURN_IF_ERROR(Save());
      return InterruptedError(absl::StrCat("stopped by a signal at step ", progress_.step,
                                           "; the checkpoint is good, run the same command again"));
    }
  }
  if (evaluated_step_ != progress_.step &&
      (dataset_.test().size() > 0 || dataset_.valid().size() > 0)) {
    TORII_RETURN_IF_ERROR(Evaluate());
  }
  TORII_RETURN_IF_ERROR(Save());
  if (leads()) return metrics_->Close();
  return absl::OkStatus();
}

absl::Status Training::Step() {
  const TraceSpan span("step", progress_.step);
  data::Batch batch = NextBatch();
  const int64_t epoch = batch.epoch, step_in_epoch = batch.step_in_epoch, rows = batch.global_rows;
  const double factor = ScheduleFactor(run_.train.schedule(), progress_.step, total_steps());
  const StepParts parts{*towers_, *sampler_, *loss_, *dense_optimizer_};
  TORII_ASSIGN_OR_RETURN(const StepPlan plan,
                         PlanStep(parts, std::move(batch), progress_.step, &time_));
  TORII_ASSIGN_OR_RETURN(const StepResult result,
                         ComputeStep(parts, plan, step_options_, factor, &time_));

  ++progress_.step;
  progress_.rows_seen += rows;
  progress_.epoch = epoch;
  progress_.step_in_epoch = step_in_epoch + 1;
  if (progress_.step_in_epoch == batches_->steps_per_epoch()) {
    ++progress_.epoch;
    progress_.step_in_epoch = 0;
  }
  progress_.loss_sum += result.loss * result.weight_sum;
  progress_.loss_weight += result.weight_sum;
  const int64_t every = run_.train.log_every();
  if ((every > 0 && progress_.step % every == 0) || progress_.step == total_steps()) {
    return LogStep(result, factor);
  }
  return absl::OkStatus();
}

data::Batch Training::NextBatch() {
  StepClock clock(&time_);
  clock.Begin(&StepTime::data, "wait for batch");
  return prefetcher_->Next();
}

absl::Status Training::LogStep(const StepResult& result, double factor) {
  const double loss = progress_.loss_weight > 0 ? progress_.loss_sum / progress_.loss_weight : 0;
  progress_.loss_sum = progress_.loss_weight = 0;
  summary_.last_loss = loss;
  const double seconds = since_log_.seconds();
  const double rate = static_cast<double>(progress_.rows_seen - rows_at_log_) / seconds;
  rows_at_log_ = progress_.rows_seen;
  since_log_.Restart();
  const StepTime time = std::exchange(time_, {});
  if (!leads()) return absl::OkStatus();
  const double total = std::max(time.total(), 1e-12);
  TORII_RETURN_IF_ERROR(metrics_->Write(progress_.step, progress_.epoch, "train",
                                        {{"loss", loss},
                                         {"examples_per_s", rate},
                                         {"learning_rate_factor", factor},
                                         {"gradient_norm", result.gradient_norm},
                                         {"columns", static_cast<double>(result.columns)},
                                         {"time_data", time.data / total},
                                         {"time_exchange", time.exchange / total},
                                         {"time_towers", time.towers / total},
                                         {"time_loss", time.loss / total},
                                         {"time_update", time.update / total},
                                         {"world", static_cast<double>(comm_.world_size())}}));
  const auto left = static_cast<double>(total_steps() - progress_.step) *
                    static_cast<double>(run_.train.global_batch());
  LogProgress(absl::StrFormat("epoch %d  step %d/%d  loss %.4f  %.0f examples/s  data %.0f%%  "
                              "exchange %.0f%%  ETA %.0fs",
                              progress_.epoch, progress_.step, total_steps(), loss, rate,
                              100 * time.data / total, 100 * time.exchange / total, left / rate),
              /*done=*/progress_.step == total_steps());
  return absl::OkStatus();
}

bool Training::AtEndOf(int64_t every_epochs, int64_t every_steps) const {
  if (every_steps > 0 && progress_.step % every_steps == 0) return true;
  return every_epochs > 0 && progress_.step_in_epoch == 0 && progress_.epoch % every_epochs == 0;
}

absl::Status Training::AfterStep() {
  const TrainConfig& train = run_.train;
  const bool can_evaluate = dataset_.test().size() > 0 || dataset_.valid().size() > 0;
  if (can_evaluate && AtEndOf(train.eval_every_epochs(), train.eval_every_steps())) {
    TORII_RETURN_IF_ERROR(Evaluate());
  }
  if (AtEndOf(train.checkpoint().every_epochs(), train.checkpoint().every_steps())) {
    TORII_RETURN_IF_ERROR(Save());
  }
  return absl::OkStatus();
}

absl::Status Training::Evaluate() {
  const TraceSpan span("evaluate");
  Stopwatch watch;
  TORII_ASSIGN_OR_RETURN(const Evaluation evaluation,
                         EvaluateModel(*towers_, eval_config_, run_.train.embed_batch()));
  evaluated_step_ = progress_.step;
  const auto& values = evaluation.model.values;
  const auto metric = values.find(run_.train.best_metric());
  if (metric == values.end()) {
    return ConfigError(absl::StrCat("train.best_metric: there is no metric '",
                                    run_.train.best_metric(),
                                    "'; it is a name such as ndcg@20 with a cut-off of eval.k"));
  }
  const bool gain = progress_.best_step < 0 || metric->second > progress_.best_metric;
  if (gain) {
    progress_.best_metric = metric->second;
    progress_.best_step = progress_.step;
    progress_.evaluations_without_gain = 0;
    summary_.best = evaluation.model;
  } else {
    ++progress_.evaluations_without_gain;
  }
  out_of_patience_ =
      run_.train.patience() > 0 && progress_.evaluations_without_gain >= run_.train.patience();
  if (leads()) {
    TORII_RETURN_IF_ERROR(
        metrics_->Write(progress_.step, progress_.epoch, "eval_" + evaluation.part, values));
    TORII_INFO(absl::StrFormat("step %d  %s %s %.6f%s  (%.2f s)", progress_.step, evaluation.part,
                               run_.train.best_metric(), metric->second, gain ? "  best" : "",
                               watch.seconds()));
    if (out_of_patience_) {
      TORII_INFO("no gain in ", run_.train.best_metric(), " for ", run_.train.patience(),
                 " evaluations: stopping early");
    }
  }
  since_log_.Restart();
  rows_at_log_ = progress_.rows_seen;
  return gain ? Save() : absl::OkStatus();
}

absl::Status Training::Save() {
  if (saved_step_ == progress_.step) return absl::OkStatus();
  const TraceSpan span("checkpoint");
  const std::string directory = JoinPath(run_.run_dir, kCheckpoints);
  CheckpointInfo info;
  info.progress = progress_;
  info.world_size = comm_.world_size();
  info.config = run_.resolved_config;
  info.data_digest = dataset_.digest();
  TORII_ASSIGN_OR_RETURN(const std::string path,
                         SaveCheckpoint(files_, comm_, directory, Tensors(), info));
  saved_step_ = progress_.step;
  absl::Status pruned;
  if (leads()) {
    pruned =
        PruneCheckpoints(files_, directory, run_.train.checkpoint().keep(), progress_.best_step);
  }
  return comm::AgreeOnStatus(comm_.control(), pruned);
}

TrainSummary Training::Summary() const {
  TrainSummary summary = summary_;
  summary.progress = progress_;
  summary.train_seconds = since_start_.seconds();
  const int64_t step = progress_.best_step >= 0 ? progress_.best_step : progress_.step;
  summary.best_checkpoint =
      JoinPath(JoinPath(run_.run_dir, kCheckpoints), absl::StrFormat("step-%08d", step));
  return summary;
}

}  // namespace

absl::StatusOr<TrainSummary> RunTraining(FileSystem& files, comm::Communicator& comm,
                                         const data::Dataset& dataset, const TrainRun& run) {
  Training training(files, comm, dataset, run);
  TORII_RETURN_IF_ERROR(training.SetUp());
  TORII_RETURN_IF_ERROR(training.Run());
  return training.Summary();
}

}  // namespace torii::trainer
