// Rows that cannot be used: skipped up to a limit, each with a line in a file of JSON lines.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "data/read/table_reader.h"

namespace torii::data {

// Used by one thread.
class RejectedRows {
 public:
  // The file `path` is made with the first row. `files` is borrowed.
  RejectedRows(FileSystem& files, std::string path, int64_t most)
      : files_(files), path_(std::move(path)), most_(most) {}

  // Without this a bad row is an error at once.
  bool allowed() const { return most_ > 0; }
  int64_t rows() const { return rows_; }

  // `row`: a chunk of one row, and the names of its columns. The error itself, with the limit, if
  // there are more than `most` by now.
  absl::Status Add(const TableChunk& row, const std::vector<std::string>& columns,
                   const absl::Status& why);
  // A record that could not be cut into values.
  absl::Status Add(const std::string& file, const SkippedRow& row);
  // After the last row: makes the file durable.
  absl::Status Finish();

 private:
  absl::Status Count(const std::string& why);
  absl::Status Write(const std::string& line);

  FileSystem& files_;
  const std::string path_;
  const int64_t most_;
  int64_t rows_ = 0;
  std::string first_;  // why the first row is bad
  std::unique_ptr<WritableFile> file_;
};

}  // namespace torii::data
