// What reading a side file (one row per user or item) gives: codes for its ids, in the order of its
// rows, and scratch files with titles and encoded features in the same order.
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
  IdReading ids;
  std::string scratch_folder;
};

// Paths of the scratch files of a side and of its feature `k`. `what` is one of
//   "title_ends", "ends"   int64, where the title or list of each row ends
//   "titles"               bytes
//   "values"               int32 or float
// They hold plain values without a header.
std::string ScratchFile(const SideTableOptions& options, const std::string& what);
std::string ScratchFeatureFile(const SideTableOptions& options, int feature,
                               const std::string& what);

// Reads the files twice: ids, titles and statistics, then features. An id that occurs twice is an
// error naming both rows.
absl::StatusOr<SideTable> ReadSideTable(FileSystem& files, const SideFile& config,
                                        const std::vector<InputFile>& inputs,
                                        const SideTableOptions& options, IdMap* ids);

}  // namespace torii::data
