// Arrow's side of the file seam: a base ReadableFile as arrow::io::RandomAccessFile, and statuses
// carried both ways without losing their exit code.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "arrow/io/interfaces.h"
#include "arrow/status.h"
#include "base/file_system.h"

namespace torii::data {

// Keeps `status` inside the Arrow status, so that FromArrow gives it back as it was.
arrow::Status ToArrow(const absl::Status& status);
// A status that ToArrow carried comes back unchanged; any other becomes kData
// "<context>: <message>".
absl::Status FromArrow(const arrow::Status& status, const std::string& context);

// ReadAt is thread-safe; Read and Seek may only be called by one thread.
std::shared_ptr<arrow::io::RandomAccessFile> ToArrowFile(std::unique_ptr<ReadableFile> file);

}  // namespace torii::data
