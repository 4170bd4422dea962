#include "data/prepare/find_dataset.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/exit_code.h"
#include "base/log.h"
#include "base/secrets.h"
#include "base/status_macros.h"
#include "google/protobuf/util/message_differencer.h"

namespace torii::data {
namespace {

constexpr size_t kDigitsInName = 8;

std::string WithoutSlashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  return path;
}

// What may differ where a dataset is taken as it is.
DataConfig WithoutPaths(DataConfig config) {
  config.clear_prepared_dir();
  config.clear_sort_buffer_rows();
  config.clear_test_path();
  config.clear_valid_path();
  config.mutable_interactions()->clear_path();
  if (config.has_users()) config.mutable_users()->clear_path();
  if (config.has_items()) config.mutable_items()->clear_path();
  return config;
}

// "modified: split.last_k: 1 -> 2; added: ..."; empty if the settings are the same. A default that
// is written down is no difference.
std::string Differences(const DataConfig& a, const DataConfig& b) {
  std::string report;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.set_message_field_comparison(google::protobuf::util::MessageDifferencer::EQUIVALENT);
  differencer.ReportDifferencesToString(&report);
  differencer.Compare(a, b);
  return absl::StrJoin(absl::StrSplit(report, '\n', absl::SkipEmpty()), "; ");
}

std::optional<PreparedDataset> WithSettings(FileSystem& files, const std::string& folder,
                                            const DataConfig& config) {
  absl::StatusOr<PreparedDataset> dataset = ReadPreparedMeta(files, folder);
  if (!dataset.ok() || dataset->settings_digest() != SettingsDigest(config)) {
    return std::nullopt;
  }
  return *std::move(dataset);
}

}  // namespace

std::string ChooseFolder(FileSystem& files, const DataConfig& config) {
  const absl::StatusOr<PreparedDataset> there = ReadPreparedMeta(files, config.prepared_dir());
  const std::string settings = SettingsDigest(config);
  if (!there.ok() || there->settings_digest() == settings) {
    return config.prepared_dir();
  }
  return absl::StrCat(WithoutSlashes(config.prepared_dir()), "-",
                      settings.substr(0, kDigitsInName));
}

bool IsBeside(const std::string& folder, const std::string& prepared_dir) {
  const std::string begin = absl::StrCat(WithoutSlashes(prepared_dir), "-");
  return absl::StartsWith(folder, begin) && folder.size() == begin.size() + kDigitsInName;
}

absl::StatusOr<std::optional<PreparedDataset>> FindUpToDate(
    FileSystem& files, FileSystem& all_files, const std::string& folder, const DataConfig& config,
    const DataInputs& inputs, SourceCheck check) {
  std::optional<PreparedDataset> dataset = WithSettings(files, folder, config);
  if (!dataset.has_value()) {
    return std::nullopt;
  }
  TORII_ASSIGN_OR_RETURN(const bool same, SameSources(all_files, inputs, *dataset, check));
  if (!same) {
    return std::nullopt;
  }
  const absl::Status whole = VerifyPreparedFiles(files, folder, *dataset, VerifyDepth::kDigests);
  if (!whole.ok()) {
    TORII_WARNING("preparing again: ", std::string(whole.message()));
    return std::nullopt;
  }
  return dataset;
}

std::optional<PreparedDataset> FindWithoutSources(FileSystem& files, const std::string& folder,
                                                  const DataConfig& config) {
  std::optional<PreparedDataset> dataset = WithSettings(files, folder, config);
  if (!dataset.has_value() ||
      !VerifyPreparedFiles(files, folder, *dataset, VerifyDepth::kDigests).ok()) {
    return std::nullopt;
  }
  return dataset;
}

absl::StatusOr<PreparedDataset> TakeAsItIs(FileSystem& files, const std::string& folder,
                                           const DataConfig& config) {
  TORII_ASSIGN_OR_RETURN(PreparedDataset dataset, ReadPreparedMeta(files, folder));
  const std::string differences = Differences(WithoutPaths(dataset.config()), WithoutPaths(config));
  if (!differences.empty()) {
    return ConfigError(absl::StrCat(
        folder, " was prepared with other settings than those of `data` now: ", differences,
        "; set them back, or leave --prepared out to prepare the raw files"));
  }
  TORII_RETURN_IF_ERROR(VerifyPreparedFiles(files, folder, dataset, VerifyDepth::kDigests));
  return dataset;
}

}  // namespace torii::data
