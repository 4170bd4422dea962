// torii synthesize: generated data with a known truth, and a configuration for them.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/synthetic/synthetic.h"
#include "launch/command/command.h"
#include "launch/command/output.h"

namespace torii::launch {
namespace {

// FOLDER stands for the folder.
constexpr char kConfig[] =
    R"(# A model of the generated data beside this file: torii train --config FOLDER/run.txtpb
run_dir: "FOLDER/run"
data {
  prepared_dir: "FOLDER/prepared"
  interactions { path: "FOLDER/interactions.parquet" time: "timestamp" }
  users {
    path: "FOLDER/users.parquet"
    id: "user_id"
    feature { column: "age" numeric {} }
    feature { column: "city" categorical {} }
  }
  items {
    path: "FOLDER/items.parquet"
    id: "item_id"
    title: "title"
    feature { column: "category" categorical {} }
    feature { column: "price" numeric { transform: LOG1P } }
    feature { column: "words" text {} }
  }
  split { last_fraction: 0.1 }
}
model {
  dim: 32
  scorer { inner_product { temperature: 0.2 } }
  user { join { sum {} } history { length: 20 } }
  item { join { sum {} } }
}
train { global_batch: 1024 epochs: 15 best_metric: "recall@20" }
eval { k: [10, 20, 50] }
)";

class SynthesizeCommand final : public Command {
 public:
  CommandText text() const final {
    return {"synthesize", "Write generated data with a known truth, to try Torii without any.",
            "Writes interactions, users and items as Parquet, and a configuration run.txtpb for "
            "them. Users have tastes and items a popularity, so that there is something to learn; "
            "the Recall@20 that a perfect model would reach is printed.",
            "torii synthesize --out example\n"
            "torii train --config example/run.txtpb"};
  }
  void Declare(FlagSet& flags) final {
    flags.AddText("out", &out_, "DIR", "Folder of the files.");
    flags.AddInteger("users", &options_.users, 1, "Number of users. Default: 2000.");
    flags.AddInteger("items", &options_.items, 10, "Number of items. Default: 1500.");
    flags.AddInteger("interactions", &options_.interactions_per_user, 5,
                     "Interactions of a user on average. Default: 40.");
    flags.AddInteger("clusters", &options_.clusters, 1, "Number of tastes. Default: 12.");
    flags.AddSeed("seed", &seed_, "Other numbers of the same kind. Default: 1.");
  }
  absl::StatusOr<int> Run(const CommandContext& context) final {
    if (!context.runtime.is_first_process()) return 0;
    if (out_.empty()) return UsageError("say where to: --out DIR");
    if (seed_.has_value()) options_.seed = *seed_;
    TORII_ASSIGN_OR_RETURN(const data::SyntheticTruth truth,
                           data::WriteSyntheticData(context.files, out_, options_));
    const std::string config = JoinPath(out_, "run.txtpb");
    TORII_RETURN_IF_ERROR(WriteFileAtomically(context.files, config,
                                              absl::StrReplaceAll(kConfig, {{"FOLDER", out_}})));
    TORII_RETURN_IF_ERROR(Print(absl::StrFormat(
        "%s: %d users, %d items, configuration %s\n"
        "Recall@20 on the last tenth of each user: %.4f for a perfect model, %.4f by popularity\n",
        out_, options_.users, options_.items, config, truth.oracle_recall_at_20,
        truth.popularity_recall_at_20)));
    return 0;
  }

 private:
  std::string out_;
  data::SyntheticOptions options_;
  std::optional<uint64_t> seed_;
};

}  // namespace

std::unique_ptr<Command> MakeSynthesizeCommand() { return std::make_unique<SynthesizeCommand>(); }

}  // namespace torii::launch
