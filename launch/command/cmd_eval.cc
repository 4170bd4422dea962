// torii eval: exact ranking metrics of a checkpoint.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "exports/json_text.h"
#include "exports/trec.h"
#include "launch/command/command.h"
#include "launch/command/describe.h"
#include "launch/command/output.h"
#include "launch/run/trained_model.h"
#include "trainer/evaluate_model.h"

namespace torii::launch {
namespace {

struct EvalFiles {
  std::string trec_run, qrels, per_user;
};

// The best items of every user of the evaluation, as deep as the largest cut-off. Collective.
absl::StatusOr<std::vector<std::vector<eval::ScoredItem>>> BestItems(
    TrainedModel& model, const trainer::Evaluation& evaluation) {
  eval::TopKRequest request;
  request.users = evaluation.held_out.users;
  request.seen_begin = evaluation.held_out.seen_begin;
  request.seen = evaluation.held_out.seen;
  request.k = *std::max_element(evaluation.ks.begin(), evaluation.ks.end());
  request.batch_users = model.config.eval().batch_users();
  TORII_ASSIGN_OR_RETURN(const eval::OwnedItems items,
                         trainer::ItemsToRank(*model.towers, model.config.train().embed_batch()));
  const data::HistoryUpTo up_to = trainer::HistoryFor(evaluation);
  return eval::TopK(model.towers->comm(), items, request, [&](std::span<const int64_t> users) {
    return trainer::UserVectors(*model.towers, users, up_to);
  });
}

// The files that were asked for. Collective; rank 0 writes.
absl::Status WriteFiles(FileSystem& files, TrainedModel& model,
                        const trainer::Evaluation& evaluation, const EvalFiles& paths) {
  comm::Communicator& comm = model.towers->comm();
  const data::Dataset& dataset = *model.dataset;
  const auto user_id = [&](int64_t row) { return dataset.users().Id(row); };
  const auto item_id = [&](int64_t row) { return dataset.items().Id(row); };
  std::vector<std::vector<eval::ScoredItem>> lists;
  if (!paths.trec_run.empty()) {
    TORII_ASSIGN_OR_RETURN(lists, BestItems(model, evaluation));
  }
  const auto write = [&]() -> absl::Status {
    if (!paths.trec_run.empty()) {
      std::vector<std::string> ids;
      for (const int64_t user : evaluation.held_out.users) ids.push_back(user_id(user));
      TORII_RETURN_IF_ERROR(exports::WriteTrecRun(files, paths.trec_run, ids, lists, item_id));
    }
    if (!paths.qrels.empty()) {
      TORII_RETURN_IF_ERROR(
          exports::WriteTrecQrels(files, paths.qrels, evaluation.held_out, user_id, item_id));
    }
    if (!paths.per_user.empty()) {
      TORII_RETURN_IF_ERROR(eval::WritePerUser(files, paths.per_user, evaluation.held_out,
                                               evaluation.ranks, evaluation.ks, user_id));
    }
    return absl::OkStatus();
  };
  return comm::AgreeOnStatus(comm.control(), comm.rank() == 0 ? write() : absl::OkStatus());
}

class EvalCommand final : public Command {
 public:
  CommandText text() const final {
    return {"eval", "Exact ranking metrics of a checkpoint on the whole corpus.",
            "Ranks every item for every user with held-out items, leaving out the items the user "
            "was trained on, and prints Recall, Precision, NDCG, HitRate, MAP and MRR beside "
            "those of the popularity ranking. Nothing is sampled, and the numbers do not depend "
            "on the number of ranks. --trec-run and --qrels write what ir-measures, ranx and "
            "trec_eval read.",
            "torii eval --run-dir runs/first --k 10,20,100\n"
            "torii eval --checkpoint runs/first/checkpoints/step-00001200 --part valid --json\n"
            "torii eval --run-dir runs/first --trec-run run.txt --qrels qrels.txt"};
  }
  void Declare(FlagSet& flags) final {
    model_.Declare(flags);
    ranks_.Declare(flags);
    flags.AddText("part", &part_, "test|valid", "Part to evaluate on. Default: eval.part.");
    flags.AddIntegers("k", &ks_, "Cut-offs. Default: eval.k.");
    flags.AddText("trec-run", &paths_.trec_run, "FILE", "Write the best items of each user.");
    flags.AddText("qrels", &paths_.qrels, "FILE", "Write the held-out items of each user.");
    flags.AddText("per-user", &paths_.per_user, "FILE", "Write ranks and metrics of each user.");
    flags.AddSwitch("json", &json_, "Print JSON.");
  }
  absl::StatusOr<int> Run(const CommandContext& context) final {
    if (!part_.empty() && part_ != "test" && part_ != "valid") {
      return UsageError(absl::StrCat("--part: '", part_, "' is neither test nor valid"));
    }
    TORII_RETURN_IF_ERROR(context.runtime.RunOnRanks(
        ranks_, [&](comm::Communicator& comm, const kernels::Device& device) {
          return RunOnRank(context.files, comm, device);
        }));
    return 0;
  }

 private:
  eval::EvalConfig Wanted(const RunConfig& config) const {
    eval::EvalConfig wanted = config.eval();
    if (part_ == "test") wanted.set_part(eval::EvalConfig::TEST);
    if (part_ == "valid") wanted.set_part(eval::EvalConfig::VALID);
    if (!ks_.empty()) wanted.clear_k();
    for (const int k : ks_) wanted.add_k(k);
    return wanted;
  }

  absl::Status RunOnRank(FileSystem& files, comm::Communicator& comm,
                         const kernels::Device& device) const {
    TORII_ASSIGN_OR_RETURN(const std::unique_ptr<TrainedModel> model,
                           OpenTrainedModel(files, comm, model_, device));
    TORII_ASSIGN_OR_RETURN(const trainer::Evaluation evaluation,
                           trainer::EvaluateModel(*model->towers, Wanted(model->config),
                                                  model->config.train().embed_batch()));
    TORII_RETURN_IF_ERROR(WriteFiles(files, *model, evaluation, paths_));
    absl::Status printed;
    if (comm.rank() == 0 && json_) {
      nlohmann::ordered_json json = CheckpointJson(model->info);
      json.update(EvaluationJson(evaluation));
      printed = Print(exports::IndentedJson(json));
    } else if (comm.rank() == 0) {
      printed =
          Print(absl::StrCat("checkpoint: ", model->path, "\n", DescribeEvaluation(evaluation)));
    }
    return comm::AgreeOnStatus(comm.control(), printed);
  }

  ModelFlags model_;
  RankOptions ranks_;
  std::string part_;
  std::vector<int> ks_;
  EvalFiles paths_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeEvalCommand() { return std::make_unique<EvalCommand>(); }

}  // namespace torii::launch
