#include "data/prepare/prepare.h"

#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/secrets.h"
#include "base/status_macros.h"
#include "data/prepare/find_dataset.h"
#include "data/prepare/preparation.h"
#include "data/prepare/prepared_folder.h"
#include "data/prepare/source_files.h"
#include "data/prepared_layout.h"
#include "data/read/uri_file_system.h"
#include "data/sealed_text.h"
#include "google/protobuf/text_format.h"

namespace torii::data {
namespace {

PrepareResult Reused(PreparedDataset dataset, const std::string& folder, bool verbose) {
  if (verbose) {
    TORII_INFO(folder, ": up to date, ", dataset.train_rows(), " training interactions");
  }
  return {.dataset = std::move(dataset), .folder = folder, .reused = true};
}

absl::Status WriteMeta(FileSystem& files, const std::string& folder,
                       const PreparedDataset& dataset) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(dataset, &text);
  text = SealText(RedactUris(text));  // no secrets of the configuration
  return WriteFileAtomically(files, JoinPath(folder, kPreparedMetaName), std::string_view(text));
}

// Raw files that are there, and what is to become of them.
struct PrepareJob {
  FileSystem& files;
  FileSystem& all_files;  // also those of URIs
  const DataConfig& config;
  const DataInputs& inputs;
  const PrepareOptions& options;

  std::string Folder() const {
    return options.force ? config.prepared_dir() : ChooseFolder(files, config);
  }
  absl::StatusOr<std::optional<PreparedDataset>> Find(const std::string& folder) const {
    if (options.force) return std::nullopt;
    return FindUpToDate(files, all_files, folder, config, inputs,
                        options.verify ? SourceCheck::kContent : SourceCheck::kSizeAndTime);
  }
};

// Writes the dataset; the contents of the raw files are digested beside the work.
absl::StatusOr<PreparedDataset> WriteDataset(const PrepareJob& job, StagedFolder& folder) {
  auto digesting =
      std::async(std::launch::async, [&job] { return DigestSources(job.all_files, job.inputs); });
  TORII_RETURN_IF_ERROR(job.files.MakeDirectories(folder.scratch()));
  Preparation preparation(job.all_files, job.config, job.inputs, folder.path(), folder.scratch(),
                          job.options.verbose);
  TORII_ASSIGN_OR_RETURN(PreparedDataset dataset, preparation.Run());
  TORII_ASSIGN_OR_RETURN(const std::vector<SourceFile> sources, digesting.get());
  dataset.mutable_source()->Add(sources.begin(), sources.end());
  dataset.set_version(kPreparedVersion);
  dataset.set_settings_digest(SettingsDigest(job.config));
  *dataset.mutable_config() = job.config;
  TORII_RETURN_IF_ERROR(WriteMeta(job.files, folder.path(), dataset));
  TORII_FAILPOINT("prepare.before_commit");
  TORII_RETURN_IF_ERROR(folder.Commit());
  return dataset;
}

// Finds the dataset in `target` or prepares it there; nullopt if another process has put a dataset
// with other settings there in the meantime.
absl::StatusOr<std::optional<PrepareResult>> PrepareInto(const PrepareJob& job,
                                                         const std::string& target) {
  const PrepareOptions& options = job.options;
  TORII_ASSIGN_OR_RETURN(std::optional<PreparedDataset> found, job.Find(target));
  if (found.has_value()) return Reused(*std::move(found), target, options.verbose);
  absl::StatusOr<std::unique_ptr<StagedFolder>> opened = OpenPreparedFolder(job.files, target);
  TORII_RETURN_IF_ERROR(Annotate(opened.status(), "data.prepared_dir"));
  const std::unique_ptr<StagedFolder> folder = *std::move(opened);
  // Another process may have prepared the same data: its result serves.
  if (job.Folder() != target) return std::nullopt;
  TORII_ASSIGN_OR_RETURN(found, job.Find(target));
  if (found.has_value()) return Reused(*std::move(found), target, options.verbose);
  TORII_RETURN_IF_ERROR(Annotate(folder->Begin(), "data.prepared_dir"));
  if (options.verbose && target != job.config.prepared_dir()) {
    TORII_INFO(job.config.prepared_dir(), " holds a dataset with other settings: preparing into ",
               target, " (`torii prepare --force` would replace it)");
  }
  TORII_ASSIGN_OR_RETURN(PreparedDataset dataset, WriteDataset(job, *folder));
  return PrepareResult{.dataset = std::move(dataset), .folder = target, .reused = false};
}

// For machines that have no raw files.
std::optional<PrepareResult> FindWithoutRawFiles(FileSystem& files, const DataConfig& config,
                                                 const absl::Status& why_none, bool verbose) {
  const std::string folder = ChooseFolder(files, config);
  std::optional<PreparedDataset> dataset = FindWithoutSources(files, folder, config);
  if (!dataset.has_value()) {
    return std::nullopt;
  }
  if (verbose) {
    TORII_INFO(folder, ": whole, and made with this configuration; its raw files ",
               "were not compared: ", std::string(why_none.message()));
  }
  return PrepareResult{.dataset = *std::move(dataset), .folder = folder, .reused = true};
}

}  // namespace

absl::StatusOr<PrepareResult> Prepare(FileSystem& files, const DataConfig& config,
                                      const PrepareOptions& options) {
  const ConfigRules rules("data");
  Validate(config, rules);
  TORII_RETURN_IF_ERROR(rules.status());
  if (options.as_it_is) {
    TORII_ASSIGN_OR_RETURN(PreparedDataset dataset,
                           TakeAsItIs(files, config.prepared_dir(), config));
    return Reused(std::move(dataset), config.prepared_dir(), options.verbose);
  }
  const std::unique_ptr<FileSystem> all_files = OpenUriFileSystem(files);
  const absl::StatusOr<DataInputs> inputs = FindDataInputs(*all_files, config);
  if (!options.force && ExitCodeOf(inputs.status()) == ExitCode::kNoInput) {
    auto found = FindWithoutRawFiles(files, config, inputs.status(), options.verbose);
    if (found.has_value()) return *std::move(found);
  }
  TORII_RETURN_IF_ERROR(inputs.status());
  const PrepareJob job{.files = files,
                       .all_files = *all_files,
                       .config = config,
                       .inputs = *inputs,
                       .options = options};
  while (true) {
    TORII_ASSIGN_OR_RETURN(std::optional<PrepareResult> result, PrepareInto(job, job.Folder()));
    if (result.has_value()) return *std::move(result);
  }
}

}  // namespace torii::data
