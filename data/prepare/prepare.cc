#include "data/prepare/prepare.h"

#include <future>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "data/prepare/preparation.h"
#include "data/prepare/source_digest.h"
#include "data/prepare/staged_folder.h"
#include "data/prepared_layout.h"
#include "data/read/uri_file_system.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"

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

// What decides which dataset a configuration gives.
DataConfig WithoutPlaces(DataConfig config) {
  config.clear_prepared_dir();
  config.clear_sort_buffer_rows();
  return config;
}

// The dataset that is there, if it is whole and was made with this configuration. For machines that
// have no raw files; whether these have changed since is not known.
std::optional<PreparedDataset> MadeElsewhere(FileSystem& files, const DataConfig& config) {
  absl::StatusOr<PreparedDataset> meta = ReadPreparedMeta(files, config.prepared_dir());
  const bool same = meta.ok() && google::protobuf::util::MessageDifferencer::Equals(
                                     WithoutPlaces(meta->config()), WithoutPlaces(config));
  if (!same ||
      !VerifyPreparedFiles(files, config.prepared_dir(), *meta, VerifyDepth::kDigests).ok()) {
    return std::nullopt;
  }
  return *std::move(meta);
}

absl::Status WriteMeta(FileSystem& files, const std::string& folder,
                       const PreparedDataset& dataset) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(dataset, &text);
  return WriteFileAtomically(files, JoinPath(folder, kPreparedMetaName), std::string_view(text));
}

}  // namespace

absl::StatusOr<PrepareResult> Prepare(FileSystem& files, const DataConfig& config,
                                      const PrepareOptions& options) {
  const ConfigRules rules("data");
  Validate(config, rules);
  TORII_RETURN_IF_ERROR(rules.status());
  const std::unique_ptr<FileSystem> all_files = OpenUriFileSystem(files);
  absl::StatusOr<DataInputs> found = FindDataInputs(*all_files, config);
  if (!options.force && ExitCodeOf(found.status()) == ExitCode::kNoInput) {
    if (auto dataset = MadeElsewhere(files, config)) {
      if (options.verbose) {
        TORII_INFO(config.prepared_dir(),
                   ": whole, and made with this configuration; its raw files ",
                   "were not compared: ", std::string(found.status().message()));
      }
      return PrepareResult{.dataset = *std::move(dataset), .reused = true};
    }
  }
  TORII_ASSIGN_OR_RETURN(const DataInputs inputs, std::move(found));
  // The contents are digested beside the work; only an existing dataset has to wait for the result.
  std::future<absl::StatusOr<std::string>> digesting =
      std::async(std::launch::async, [&] { return SourceDigest(*all_files, config, inputs); });
  std::string source_digest;
  if (!options.force && ReadPreparedMeta(files, config.prepared_dir()).ok()) {
    TORII_ASSIGN_OR_RETURN(source_digest, digesting.get());
    if (auto dataset = UpToDate(files, config.prepared_dir(), source_digest)) {
      if (options.verbose) {
        TORII_INFO(config.prepared_dir(), ": up to date, ", dataset->train_rows(),
                   " training interactions");
      }
      return PrepareResult{.dataset = *std::move(dataset), .reused = true};
    }
  }
  TORII_ASSIGN_OR_RETURN(StagedFolder folder, StagedFolder::Create(files, config.prepared_dir()));
  Preparation preparation(*all_files, config, inputs, folder.path(), folder.scratch(),
                          options.verbose);
  TORII_ASSIGN_OR_RETURN(PreparedDataset dataset, preparation.Run());
  if (digesting.valid()) {
    TORII_ASSIGN_OR_RETURN(source_digest, digesting.get());
  }
  dataset.set_version(kPreparedVersion);
  dataset.set_source_digest(source_digest);
  *dataset.mutable_config() = config;
  TORII_RETURN_IF_ERROR(WriteMeta(files, folder.path(), dataset));
  TORII_RETURN_IF_ERROR(folder.Commit());
  return PrepareResult{.dataset = std::move(dataset), .reused = false};
}

}  // namespace torii::data
