// Pass 1 of the preparation: interaction files -> coded interactions in a spill.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "data/data.pb.h"
#include "data/prepare/id_map.h"
#include "data/prepare/interaction_spill.h"
#include "data/prepare/interaction_survey.h"
#include "data/prepare/source_files.h"
#include "data/rows/row_filter.h"

namespace torii::data {

// Whether the interactions may bring ids that the side file lacks. If not, messages name
// `side_files`, where the id is missing.
struct IdPolicy {
  bool may_add = true;
  std::string side_files;
  std::string field;  // "data.items"
};

struct InteractionCounts {
  int64_t read_rows = 0;
  RowsDropped dropped;
  int64_t bad_rows = 0;
};

struct ReadInteractionsOptions {
  IdPolicy users;
  IdPolicy items;
  std::string rejected_path;  // gets a line for each bad row
  bool verbose = true;
};

// Reads all files (train, valid, test) as `survey` says and appends their rows to `spill`; ids not
// seen before are added where the policy allows. Rows that cannot be used are errors, or skipped
// while there are at most max_bad_rows of them.
absl::StatusOr<InteractionCounts> ReadInteractions(
    FileSystem& files, const InteractionFiles& config, const InteractionInputs& inputs,
    const Survey& survey, const ReadInteractionsOptions& options, IdMap* users, IdMap* items,
    InteractionSpill* spill);

}  // namespace torii::data
