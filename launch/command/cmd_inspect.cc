// torii inspect: what is in a checkpoint, a run folder or a prepared folder.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "data/prepared_layout.h"
#include "exports/json_text.h"
#include "launch/command/command.h"
#include "launch/command/describe.h"
#include "launch/command/output.h"
#include "launch/run/trained_model.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_manifest.h"
#include "trainer/checkpoint/safetensors.h"

namespace torii::launch {
namespace {

using Json = nlohmann::ordered_json;

// What a command found, for people and for programs.
struct Report {
  std::string text;
  Json json;
};

class InspectCommand final : public Command {
 public:
  CommandText text() const final {
    return {"inspect", "Show what is in a checkpoint, a run folder or a prepared folder.",
            "Prints progress and identity of a checkpoint (of a run folder: its best one, else "
            "the newest), or counts and features of a prepared folder. --digest adds one digest "
            "of the whole content and one of each tensor, which do not depend on the number of "
            "ranks that wrote it: two runs are alike if their digests are. --verify compares "
            "every file with the digest that was recorded when it was written.",
            "torii inspect runs/first --digest\n"
            "torii inspect runs/first/checkpoints/step-00001200 --tensors --verify\n"
            "torii inspect prepared --json"};
  }
  void Declare(FlagSet& flags) final {
    flags.AddWords("PATH", &words_, 1, 1, "A checkpoint, a run folder or a prepared folder.");
    flags.AddSwitch("digest", &digest_, "Digests of the content and of each tensor.");
    flags.AddSwitch("tensors", &tensors_, "Names, types, shapes and partitions of the tensors.");
    flags.AddSwitch("verify", &verify_, "Check the content of every file.");
    flags.AddSwitch("json", &json_, "Print JSON.");
  }
  absl::StatusOr<int> Run(const CommandContext& context) final {
    if (!context.runtime.is_first_process()) return 0;
    TORII_ASSIGN_OR_RETURN(const Report report, Inspect(context.files, words_[0]));
    TORII_RETURN_IF_ERROR(Print(json_ ? exports::IndentedJson(report.json) : report.text));
    return 0;
  }

 private:
  absl::StatusOr<Report> Inspect(FileSystem& files, const std::string& path) const {
    TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
    if (!info.exists) return NoInputError(absl::StrCat(path, ": there is no such file or folder"));
    TORII_ASSIGN_OR_RETURN(const FileInfo meta,
                           files.Info(JoinPath(path, data::kPreparedMetaName)));
    return meta.exists ? Prepared(files, path) : Checkpoint(files, path);
  }

  absl::StatusOr<Report> Prepared(FileSystem& files, const std::string& path) const {
    TORII_ASSIGN_OR_RETURN(const data::PreparedDataset dataset,
                           data::ReadPreparedMeta(files, path));
    TORII_RETURN_IF_ERROR(data::VerifyPreparedFiles(
        files, path, dataset, verify_ ? data::VerifyDepth::kDigests : data::VerifyDepth::kSizes));
    Report report{DescribeDataset(path, dataset), DatasetJson(path, dataset)};
    if (verify_) Verified(&report);
    return report;
  }

  absl::StatusOr<Report> Checkpoint(FileSystem& files, const std::string& path) const {
    TORII_ASSIGN_OR_RETURN(const std::string found, FindCheckpoint(files, path));
    TORII_ASSIGN_OR_RETURN(const trainer::CheckpointInfo info,
                           trainer::ReadCheckpointInfo(files, found, verify_));
    Report report{DescribeCheckpoint(info), CheckpointJson(info)};
    if (verify_) Verified(&report);
    if (tensors_) TORII_RETURN_IF_ERROR(AddTensors(files, found, &report));
    if (digest_) TORII_RETURN_IF_ERROR(AddDigests(files, found, &report));
    return report;
  }

  static void Verified(Report* report) {
    absl::StrAppend(&report->text, "every file has the content that was written\n");
    report->json["verified"] = true;
  }

  static absl::Status AddTensors(FileSystem& files, const std::string& path, Report* report) {
    TORII_ASSIGN_OR_RETURN(const trainer::Manifest manifest, trainer::ReadManifest(files, path));
    report->json["tensors"] = Json::array();
    for (const auto& [name, tensor] : manifest.tensors) {
      const std::string_view dtype = trainer::DtypeName(tensor.dtype);
      const std::string_view partition = NameOf(tensor.partition);
      absl::StrAppendFormat(&report->text, "tensor        %-32s %s [%s] %s\n", name, dtype,
                            absl::StrJoin(tensor.shape, ", "), partition);
      report->json["tensors"].push_back(
          {{"name", name}, {"dtype", dtype}, {"shape", tensor.shape}, {"partition", partition}});
    }
    return absl::OkStatus();
  }

  static absl::Status AddDigests(FileSystem& files, const std::string& path, Report* report) {
    TORII_ASSIGN_OR_RETURN(const auto digests, trainer::CheckpointDigests(files, path));
    report->json["digests"] = Json::object();
    for (const auto& [name, digest] : digests) {
      absl::StrAppendFormat(&report->text, "digest        %-32s %s\n", name, digest);
      report->json["digests"][name] = digest;
    }
    return absl::OkStatus();
  }

  std::vector<std::string> words_;
  bool digest_ = false, tensors_ = false, verify_ = false, json_ = false;
};

}  // namespace

std::unique_ptr<Command> MakeInspectCommand() { return std::make_unique<InspectCommand>(); }

}  // namespace torii::launch
