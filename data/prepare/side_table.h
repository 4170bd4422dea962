// A side file (one row per user or item), read: ids become codes in the order of its rows; titles
// and encoded features lie in scratch files, in the same order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/data.pb.h"
#include "data/encode/feature_encoder.h"
#include "data/prepare/id_map.h"
#include "data/prepared_layout.h"
#include "data/read/input_files.h"

namespace torii::data {

struct SideTable {
  int64_t rows = 0;  // codes [0, rows) have a row in the side file
  bool has_titles = false;
  std::vector<std::unique_ptr<FeatureEncoder>> features;
};

struct SideTableOptions {
  SideKind side = SideKind::kUsers;
  std::string id_column;
  std::string id_type_field;  // for messages: "data.interactions.user_type"
  std::string scratch_folder;
};

// Scratch files: titles of `side`, and what feature `k` of it has. Plain values without a header:
// "title_ends" and "ends" (int64: where each row ends), "titles" (bytes), "values" (int32 or
// float).
std::string ScratchFile(const SideTableOptions& options, const std::string& what);
std::string ScratchFeatureFile(const SideTableOptions& options, int feature,
                               const std::string& what);

// Reads the files twice: ids, titles and statistics, then features. An id that occurs twice is an
// error naming both rows.
absl::StatusOr<SideTable> ReadSideTable(FileSystem& files, const SideFile& config,
                                        const std::vector<InputFile>& inputs,
                                        const SideTableOptions& options, IdMap* ids);

}  // namespace torii::data
