// A look at the first rows of every file before any is read: which types ids and times have. So no
// file is read in another way than the files before it.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/prepare/id_type.h"
#include "data/prepare/source_files.h"
#include "data/read/time_column.h"

namespace torii::data {

struct Survey {
  IdReading users;
  IdReading items;
  TimeReader times;
};

// The column of the ids in a side file; by default it is called as in the interactions.
std::string IdColumnOf(const SideFile& side, const std::string& in_interactions);

// verbose: the log says what was found, and why.
absl::StatusOr<Survey> SurveyFiles(FileSystem& files, const DataConfig& config,
                                   const DataInputs& inputs, bool verbose);

}  // namespace torii::data
