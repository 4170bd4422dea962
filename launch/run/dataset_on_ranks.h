// Preparing and opening the dataset where several ranks take part.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "comm/communicator.h"
#include "data/data.pb.h"
#include "data/dataset.h"
#include "data/prepare/prepare.h"

namespace torii::launch {

// Runs `work` on rank 0 while the others wait, however long it takes. They wait in a series of
// short collectives, so that none of them reaches its deadline and a lost rank is still noticed.
// All ranks get the status of `work`. Collective.
absl::Status OnRankZero(comm::Communicator& comm, const std::function<absl::Status()>& work);

// Prepares (or finds up to date) on rank 0; all get the folder of the dataset. Collective.
absl::StatusOr<std::string> PrepareOnce(FileSystem& files, comm::Communicator& comm,
                                        const data::DataConfig& config,
                                        const data::PrepareOptions& options = {});

// Opens and verifies the prepared folder on every rank, and checks that all see the same content
// and that every rank has an item. Collective.
absl::StatusOr<std::unique_ptr<data::Dataset>> OpenDataset(FileSystem& files,
                                                           comm::Communicator& comm,
                                                           const std::string& folder);

// kConfig if there are more ranks than items.
absl::Status CheckWorldSize(int world_size, int64_t items);

}  // namespace torii::launch
