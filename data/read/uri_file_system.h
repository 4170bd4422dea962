// Arrow's remote file systems (s3://, gs://, hdfs://, abfs:// ...) behind the file seam, for
// reading. Paths without a scheme, and file:// URIs, go to the local file system given.
#pragma once

#include <memory>
#include <string>

#include "base/file_system.h"

namespace torii::data {

// Whether `path` has a scheme ("s3://bucket/a.parquet").
bool IsUri(const std::string& path);

// `local` is borrowed. Thread-safe.
std::unique_ptr<FileSystem> OpenUriFileSystem(FileSystem& local);

}  // namespace torii::data
