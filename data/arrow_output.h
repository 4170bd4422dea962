// A base WritableFile as Arrow's output stream.
#pragma once

#include <memory>

#include "arrow/io/interfaces.h"
#include "base/file_system.h"

namespace torii::data {

// Close() makes the file durable and closes it. Single-threaded. Errors keep their exit code
// (FromArrow).
std::shared_ptr<arrow::io::OutputStream> ToArrowOutput(std::shared_ptr<WritableFile> file);

}  // namespace torii::data
