#include "data/read/line_blocks.h"

#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "arrow/buffer.h"
#include "arrow/io/interfaces.h"
#include "arrow/result.h"
#include "base/exit_code.h"
#include "data/arrow_file.h"

namespace torii::data {
namespace {

constexpr int64_t kBlockBytes = 1 << 20;
constexpr size_t kLongestLine = 64 << 20;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

absl::StatusOr<std::string> LineBlocks::Next() {
  while (!at_end_) {
    const auto bytes = stream_->Read(kBlockBytes);
    if (!bytes.ok()) {
      return FromArrow(bytes.status(), path_);
    }
    std::string_view block(**bytes);
    at_end_ = block.empty();
    if (std::exchange(at_begin_, false) && block.starts_with(kByteOrderMark)) {
      block.remove_prefix(kByteOrderMark.size());
    }
    const size_t end = block.rfind('\n');
    if (end != std::string_view::npos) {
      std::string lines = std::exchange(held_, std::string(block.substr(end + 1)));
      return lines.append(block.substr(0, end + 1));
    }
    held_.append(block);
    if (held_.size() > kLongestLine) {
      return DataError(absl::StrCat(path_, ": a line is longer than ", kLongestLine >> 20,
                                    " MB; JSON lines have one object on each line"));
    }
  }
  return std::exchange(held_, std::string());
}

}  // namespace torii::data
