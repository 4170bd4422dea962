// torii prepare: raw files -> prepared dataset.
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "data/prepare/prepare.h"
#include "exports/json_text.h"
#include "launch/command/command.h"
#include "launch/command/describe.h"
#include "launch/command/output.h"

namespace torii::launch {
namespace {

class PrepareCommand final : public Command {
 public:
  CommandText text() const final {
    return {"prepare", "Read raw files once into the form that training maps into memory.",
            "Reads the interactions, users and items that the configuration names (Parquet, CSV, "
            "TSV, JSON lines), builds vocabularies, splits off the held-out parts and writes the "
            "prepared "
            "dataset into data.prepared_dir, or beside it where that holds a dataset with other "
            "settings. An up-to-date folder is left as it is. `torii train` does this by itself; "
            "run it alone to check new data, or to prepare on one machine "
            "and train on others.",
            "torii prepare --config my.txtpb\n"
            "torii prepare --config my.txtpb --prepared /scratch/prepared --force"};
  }
  void Declare(FlagSet& flags) final {
    config_.Declare(flags);
    flags.AddSwitch("force", &force_,
                    "Prepare again although the folder is up to date. Replaces the dataset in "
                    "data.prepared_dir, also one with other settings.");
    flags.AddSwitch("verify", &verify_,
                    "Compare the raw files with those that the dataset was made from by their "
                    "contents. Without this a file of the same size and time is the same.");
    flags.AddSwitch("json", &json_, "Print the counts as JSON.");
  }
  absl::StatusOr<int> Run(const CommandContext& context) final {
    if (!context.runtime.is_first_process()) return 0;
    TORII_ASSIGN_OR_RETURN(const RunConfig config, config_.Load(context.files));
    TORII_ASSIGN_OR_RETURN(
        const data::PrepareResult result,
        data::Prepare(context.files, config.data(), {.force = force_, .verify = verify_}));
    const std::string& folder = result.folder;
    if (json_) {
      TORII_RETURN_IF_ERROR(Print(exports::IndentedJson(DatasetJson(folder, result.dataset))));
      return 0;
    }
    TORII_RETURN_IF_ERROR(Print(absl::StrCat(result.reused ? "up to date\n" : "",
                                             DescribeDataset(folder, result.dataset))));
    return 0;
  }

 private:
  ConfigFlags config_;
  bool force_ = false, verify_ = false, json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakePrepareCommand() { return std::make_unique<PrepareCommand>(); }

}  // namespace torii::launch
