// A text stream in blocks of whole lines.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "arrow/io/type_fwd.h"

namespace torii::data {

// Used by one thread.
class LineBlocks {
 public:
  // `path`: for messages.
  LineBlocks(std::shared_ptr<arrow::io::InputStream> stream, std::string path)
      : stream_(std::move(stream)), path_(std::move(path)) {}

  // The next lines, about 1 MB of them, with their line ends (the last line of the file may have
  // none); empty at the end of the file. A byte order mark is left out. kData for a line longer than
  // 64 MB.
  absl::StatusOr<std::string> Next();

 private:
  std::shared_ptr<arrow::io::InputStream> stream_;
  const std::string path_;
  std::string held_;  // the beginning of a line
  bool at_begin_ = true;
  bool at_end_ = false;
};

}  // namespace torii::data
