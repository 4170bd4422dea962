// What a prepared dataset was made from: the configuration and the contents of the input files.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/data.pb.h"
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

// Digest of the layout version, the configuration (without prepared_dir and sort_buffer_rows, which
// change nothing in the result), and path, size and content of every input file. Reads all files.
absl::StatusOr<std::string> SourceDigest(FileSystem& files, const DataConfig& config,
                                         const DataInputs& inputs);

}  // namespace torii::data
