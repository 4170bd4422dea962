// Raw files -> prepared dataset: the folder that training, evaluation and recommendation map into
// memory.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/config_rules.h"
#include "base/file_system.h"
#include "data/data.pb.h"
#include "data/prepared.pb.h"

namespace torii::data {

// Collects the rules that `config` breaks. `rules` are those of the message itself.
void Validate(const DataConfig& config, const ConfigRules& rules);

struct PrepareOptions {
  // Prepare again into data.prepared_dir, whatever dataset is there.
  bool force = false;
  // Compare raw files by their contents. Else a file of the same size and time is the same.
  bool verify = false;
  // Take the dataset in data.prepared_dir as it is, wherever its raw files are or were. kConfig if
  // settings other than paths differ.
  bool as_it_is = false;
  // Report progress through the log.
  bool verbose = true;
};

struct PrepareResult {
  PreparedDataset dataset;
  std::string folder;  // where it is: data.prepared_dir, or a folder beside it
  bool reused = false;
};

// Makes (or finds up to date) the prepared dataset of `config` in config.prepared_dir(), or where
// that holds a dataset with other settings beside it (ChooseFolder in find_dataset.h). Single
// process: with several ranks, rank 0 calls it and the others wait. Several processes may ask for
// the same folder at once: one prepares, the others wait and take its result. Writes into a folder
// beside the target and puts it there when complete (base/files/staged_folder.h); on failure nothing
// is left behind. kCannotCreate if the target holds files of others. Memory: the vocabularies
// plus sort_buffer_rows. Errors name file, row and column. Where raw files are missing, a whole
// dataset that was made with the same configuration is enough.
absl::StatusOr<PrepareResult> Prepare(FileSystem& files, const DataConfig& config,
                                      const PrepareOptions& options = {});

}  // namespace torii::data
