// torii export: item and user vectors as files.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "exports/export_model.h"
#include "launch/command/command.h"
#include "launch/command/history_flag.h"
#include "launch/command/output.h"
#include "launch/run/trained_model.h"

namespace torii::launch {
namespace {

class ExportCommand final : public Command {
 public:
  CommandText text() const final {
    return {"export", "Write item and user vectors for numpy, pandas and vector indexes.",
            "Writes the vectors of all items and users as .npy arrays with their ids, as Parquet "
            "tables, and export.json, which says the width, the metric and which model they come "
            "from. The score of a pair is the inner product of its vectors. The folder appears "
            "when it is complete; a former export is replaced.",
            "torii export --run-dir runs/first --out export\n"
            "python3 -c \"import numpy; print(numpy.load('export/item_vectors.npy').shape)\""};
  }
  void Declare(FlagSet& flags) final {
    flags.AddText("out", &out_, "DIR", "Folder of the export.");
    history_.Declare(flags);
    model_.Declare(flags);
    ranks_.Declare(flags);
  }
  absl::StatusOr<int> Run(const CommandContext& context) final {
    TORII_RETURN_IF_ERROR(history_.Check());
    if (out_.empty()) return UsageError("say where to: --out DIR");
    while (out_.size() > 1 && out_.back() == '/') out_.pop_back();
    TORII_RETURN_IF_ERROR(context.runtime.RunOnRanks(
        ranks_, [&](comm::Communicator& comm, const kernels::Device& device) {
          return RunOnRank(context.files, comm, device);
        }));
    return 0;
  }

 private:
  absl::Status RunOnRank(FileSystem& files, comm::Communicator& comm,
                         const kernels::Device& device) const {
    TORII_ASSIGN_OR_RETURN(const std::unique_ptr<TrainedModel> model,
                           OpenTrainedModel(files, comm, model_, device));
    TORII_ASSIGN_OR_RETURN(
        const std::vector<exports::ExportedFile> written,
        exports::ExportModel(files, *model->towers, {model->path, model->info.step},
                             {out_, model->config.train().embed_batch(), history_.up_to()}));
    absl::Status printed;
    if (comm.rank() == 0) {
      std::string text;
      for (const exports::ExportedFile& file : written) {
        absl::StrAppendFormat(&text, "%s %12d %s\n", file.digest, file.size,
                              JoinPath(out_, file.name));
      }
      printed = Print(
          absl::StrCat(text, "described in ", JoinPath(out_, exports::kExportDescription), "\n"));
    }
    return comm::AgreeOnStatus(comm.control(), printed);
  }

  std::string out_;
  HistoryFlag history_;
  ModelFlags model_;
  RankOptions ranks_;
};

}  // namespace

std::unique_ptr<Command> MakeExportCommand() { return std::make_unique<ExportCommand>(); }

}  // namespace torii::launch
