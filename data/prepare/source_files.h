// What a prepared dataset was made from: the settings and the input files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/data.pb.h"
#include "data/prepared.pb.h"
#include "data/prepared_layout.h"
#include "data/read/input_files.h"

namespace torii::data {

struct InteractionInputs {
  std::vector<InputFile> of_part[kNumParts];
};

// All files that a configuration names.
struct DataInputs {
  InteractionInputs interactions;
  std::vector<InputFile> users;
  std::vector<InputFile> items;
  std::vector<InputFile> All() const;
};
absl::StatusOr<DataInputs> FindDataInputs(FileSystem& files, const DataConfig& config);

// Digest of the layout version, of what cuts texts, and of the configuration as it is written,
// without prepared_dir and sort_buffer_rows, which change nothing in the result. Without secrets.
std::string SettingsDigest(const DataConfig& config);

// Size, time and digest of each input file, with its path as the configuration gives it: a project
// may move as a whole. Reads all files.
absl::StatusOr<std::vector<SourceFile>> DigestSources(FileSystem& files, const DataInputs& inputs);

enum class SourceCheck {
  kSizeAndTime,  // reads only files whose time differs
  kContent       // reads all
};
// Whether `inputs` are the files that `dataset` was made from, in the same order.
absl::StatusOr<bool> SameSources(FileSystem& files, const DataInputs& inputs,
                                 const PreparedDataset& dataset, SourceCheck check);

}  // namespace torii::data
