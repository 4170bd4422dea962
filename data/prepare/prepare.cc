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
#include "data/prepare/preparation.h"
#include "data/prepare/prepared_folder.h"
#include "data/prepare/source_digest.h"
#include "data/prepared_layout.h"
#include "data/read/uri_file_system.h"
#include "data/sealed_text.h"
#include "google/protobuf/text_format.h"

namespace torii::data {
namespace {

// The dataset that is there, if it was made from the same sources and is whole.
std::optional<PreparedDataset> UpToDate(FileSystem& files, const std::string& folder,
                                        const std::string& source_digest) {
  absl::StatusOr<PreparedDataset> meta = ReadPreparedMeta(files, folder);
  if (!meta.ok() || meta->source_digest() != source_digest) {
    return std::nullopt;
  }
  if (absl::Status status = VerifyPreparedFiles(files, folder, *meta, VerifyDepth::kDigests);
      !status.ok()) {
    TORII_WARNING("preparing again: ", std::string(status.message()));
    return std::nullopt;
  }
  return *std::move(meta);
}

PrepareResult Reused(PreparedDataset dataset, const std::string& folder, bool verbose) {
  if (verbose) {
    TORII_INFO(folder, ": up to date, ", dataset.train_rows(), " training interactions");
  }
  return {.dataset = std::move(dataset), .reused = true};
}

// What decides which dataset a configuration gives, as its metadata keep it.
std::string TextOfMeaning(DataConfig config) {
  config.clear_prepared_dir();
  config.clear_sort_buffer_rows();
  std::string text;
  google::protobuf::TextFormat::PrintToString(config, &text);
  return RedactUris(text);
}

// The dataset that is there, if it is whole and was made with this configuration. For machines that
// have no raw files; whether these have changed since is not known.
std::optional<PreparedDataset> MadeElsewhere(FileSystem& files, const DataConfig& config) {
  absl::StatusOr<PreparedDataset> meta = ReadPreparedMeta(files, config.prepared_dir());
  if (!meta.ok() || TextOfMeaning(meta->config()) != TextOfMeaning(config) ||
      !VerifyPreparedFiles(files, config.prepared_dir(), *meta, VerifyDepth::kDigests).ok()) {
    return std::nullopt;
  }
  return *std::move(meta);
}

absl::Status WriteMeta(FileSystem& files, const std::string& folder,
                       const PreparedDataset& dataset) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(dataset, &text);
  text = SealText(RedactUris(text));  // no secrets of the configuration
  return WriteFileAtomically(files, JoinPath(folder, kPreparedMetaName), std::string_view(text));
}

// From raw files that are there.
absl::StatusOr<PrepareResult> PrepareFrom(FileSystem& files, FileSystem& all_files,
                                          const DataConfig& config, const DataInputs& inputs,
                                          const PrepareOptions& options) {
  // The contents are digested beside the work; only an existing dataset has to wait for the result.
  std::future<absl::StatusOr<std::string>> digesting =
      std::async(std::launch::async, [&] { return SourceDigest(all_files, config, inputs); });
  std::string source_digest;
  const auto find = [&]() -> absl::StatusOr<std::optional<PreparedDataset>> {
    if (options.force || !ReadPreparedMeta(files, config.prepared_dir()).ok()) return std::nullopt;
    if (digesting.valid()) {
      TORII_ASSIGN_OR_RETURN(source_digest, digesting.get());
    }
    return UpToDate(files, config.prepared_dir(), source_digest);
  };
  const auto reused = [&](std::optional<PreparedDataset> dataset) {
    return Reused(*std::move(dataset), config.prepared_dir(), options.verbose);
  };
  TORII_ASSIGN_OR_RETURN(std::optional<PreparedDataset> found, find());
  if (found.has_value()) return reused(std::move(found));
  // Another process may prepare the same data: its result serves.
  absl::StatusOr<std::unique_ptr<StagedFolder>> opened =
      OpenPreparedFolder(files, config.prepared_dir());
  TORII_RETURN_IF_ERROR(Annotate(opened.status(), "data.prepared_dir"));
  const std::unique_ptr<StagedFolder> folder = *std::move(opened);
  TORII_ASSIGN_OR_RETURN(found, find());
  if (found.has_value()) return reused(std::move(found));
  TORII_RETURN_IF_ERROR(Annotate(folder->Begin(), "data.prepared_dir"));
  TORII_RETURN_IF_ERROR(files.MakeDirectories(folder->scratch()));
  Preparation preparation(all_files, config, inputs, folder->path(), folder->scratch(),
                          options.verbose);
  TORII_ASSIGN_OR_RETURN(PreparedDataset dataset, preparation.Run());
  if (digesting.valid()) {
    TORII_ASSIGN_OR_RETURN(source_digest, digesting.get());
  }
  dataset.set_version(kPreparedVersion);
  dataset.set_source_digest(source_digest);
  *dataset.mutable_config() = config;
  TORII_RETURN_IF_ERROR(WriteMeta(files, folder->path(), dataset));
  TORII_FAILPOINT("prepare.before_commit");
  TORII_RETURN_IF_ERROR(folder->Commit());
  return PrepareResult{.dataset = std::move(dataset), .reused = false};
}

}  // namespace

absl::StatusOr<PrepareResult> Prepare(FileSystem& files, const DataConfig& config,
                                      const PrepareOptions& options) {
  const ConfigRules rules("data");
  Validate(config, rules);
  TORII_RETURN_IF_ERROR(rules.status());
  const std::unique_ptr<FileSystem> all_files = OpenUriFileSystem(files);
  const absl::StatusOr<DataInputs> inputs = FindDataInputs(*all_files, config);
  if (!options.force && ExitCodeOf(inputs.status()) == ExitCode::kNoInput) {
    if (auto dataset = MadeElsewhere(files, config)) {
      if (options.verbose) {
        TORII_INFO(config.prepared_dir(),
                   ": whole, and made with this configuration; its raw files ",
                   "were not compared: ", std::string(inputs.status().message()));
      }
      return PrepareResult{.dataset = *std::move(dataset), .reused = true};
    }
  }
  TORII_RETURN_IF_ERROR(inputs.status());
  return PrepareFrom(files, *all_files, config, *inputs, options);
}

}  // namespace torii::data
