// One side (users or items) of a prepared folder.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "data/dataset.h"
#include "data/mapped_folder.h"
#include "data/prepared_layout.h"

namespace torii::data {

// Maps the side's files and checks every value that is later used as an index. The result refers to
// `side`, which must outlive it.
absl::StatusOr<std::unique_ptr<Features>> OpenFeatures(const MappedFolder& folder, SideKind kind,
                                                       const Side& side);

}  // namespace torii::data
