// Raw files -> prepared dataset: the folder that training, evaluation and recommendation map into
// memory.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/data.pb.h"
#include "data/prepared.pb.h"

namespace torii::data {

// Every violated rule of `config`, one message each ("data.split.last_fraction: 1.5 is not in (0,
// 1)").
std::vector<std::string> Validate(const DataConfig& config);

struct PrepareOptions {
  // Prepare again although the folder is up to date.
  bool force = false;
  // Report progress through the log.
  bool verbose = true;
};

struct PrepareResult {
  PreparedDataset dataset;
  bool reused = false;
};

// Makes (or finds up to date) the prepared dataset of `config` in config.prepared_dir(). Single
// process: with several ranks, rank 0 calls it and the others wait. Writes into a folder beside the
// target and renames it when complete; on failure nothing is left behind. Memory: the vocabularies
// plus sort_buffer_rows. Errors name file, row and column.
absl::StatusOr<PrepareResult> Prepare(FileSystem& files, const DataConfig& config,
                                      const PrepareOptions& options = {});

}  // namespace torii::data
