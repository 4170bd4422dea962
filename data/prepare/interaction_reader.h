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
#include "data/read/input_files.h"
#include "data/read/time_column.h"

namespace torii::data {

struct InteractionInputs {
  std::vector<InputFile> of_part[kNumParts];
};

// Whether the interactions may bring ids that the side file lacks. If not, messages name
// `side_files`, where the id is missing.
struct IdPolicy {
  bool may_add = true;
  std::string side_files;
  std::string field;  // "data.items"
};

struct InteractionCounts {
  int64_t read_rows = 0;
  int64_t dropped_by_rating = 0;
  TimeKind time_kind = TimeKind::kUnknown;
};

struct IdTypes {
  IdType user = INTEGER;
  IdType item = INTEGER;
};
// INTEGER or TEXT for users and for items: as configured, else as the first chunk of the first file
// shows.
absl::StatusOr<IdTypes> FindIdTypes(FileSystem& files, const InteractionFiles& config,
                                    const InteractionInputs& inputs);

struct ReadInteractionsOptions {
  IdPolicy users;
  IdPolicy items;
  bool verbose = true;
};

// Reads all files (train, valid, test) and appends their rows to `spill`; ids not seen before are
// added where the policy allows.
absl::StatusOr<InteractionCounts> ReadInteractions(
    FileSystem& files, const InteractionFiles& config, const InteractionInputs& inputs,
    const ReadInteractionsOptions& options, IdMap* users, IdMap* items, InteractionSpill* spill);

}  // namespace torii::data
