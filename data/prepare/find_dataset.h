// Prepared datasets that are there already, and where a new one goes.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/data.pb.h"
#include "data/prepare/source_files.h"
#include "data/prepared.pb.h"

namespace torii::data {

// data.prepared_dir, unless it holds a dataset with other settings: then a folder beside it, whose
// name ends with the first digits of the digest of the settings (prepared-1a2b3c4d).
std::string ChooseFolder(FileSystem& files, const DataConfig& config);
// Whether `folder` may be one that ChooseFolder puts beside `prepared_dir`.
bool IsBeside(const std::string& folder, const std::string& prepared_dir);

// The dataset in `folder`, if it is whole and was made with the settings of `config` from `inputs`.
// all_files: reads them.
absl::StatusOr<std::optional<PreparedDataset>> FindUpToDate(
    FileSystem& files, FileSystem& all_files, const std::string& folder, const DataConfig& config,
    const DataInputs& inputs, SourceCheck check);

// The dataset in `folder`, if it is whole and was made with the settings of `config`. For machines
// that have no raw files; whether these have changed since is not known.
std::optional<PreparedDataset> FindWithoutSources(FileSystem& files, const std::string& folder,
                                                  const DataConfig& config);

// The dataset in `folder` for somebody who says that it is the right one: wherever its raw files
// were. kConfig, naming the settings, if others than paths differ from `config`.
absl::StatusOr<PreparedDataset> TakeAsItIs(FileSystem& files, const std::string& folder,
                                           const DataConfig& config);

}  // namespace torii::data
