// The place of a prepared dataset, which one process at a time may replace.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/files/staged_folder.h"

namespace torii::data {

// Refuses to replace a folder that holds anything but the files of a prepared dataset. Waits while
// another process prepares there.
absl::StatusOr<std::unique_ptr<StagedFolder>> OpenPreparedFolder(FileSystem& files,
                                                                 const std::string& folder);

}  // namespace torii::data
