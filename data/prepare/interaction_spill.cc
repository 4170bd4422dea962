#include "data/prepare/interaction_spill.h"

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/status_macros.h"

namespace torii::data {
namespace {

constexpr int64_t kBlockRows = 65536;

}  // namespace

InteractionSpill::InteractionSpill(FileSystem& files, std::string path, int64_t capacity)
    : files_(files), path_(std::move(path)), capacity_(capacity) {}

absl::Status InteractionSpill::Append(InteractionBlock block) {
  rows_ += static_cast<int64_t>(block.size());
  if (!file_.has_value() && rows_ <= capacity_) {
    // Doubling would take up to twice the capacity.
    if (static_cast<size_t>(rows_) > memory_.capacity()) {
      const int64_t doubled = 2 * static_cast<int64_t>(memory_.capacity());
      memory_.reserve(static_cast<size_t>(std::min(capacity_, std::max(rows_, doubled))));
    }
    memory_.insert(memory_.end(), block.begin(), block.end());
    return absl::OkStatus();
  }
  TORII_FAILPOINT("prepare.spill");
  if (!file_.has_value()) {
    TORII_ASSIGN_OR_RETURN(file_, BufferedFile::Create(files_, path_));
    TORII_RETURN_IF_ERROR(file_->AppendValues(InteractionBlock(memory_)));
    std::vector<Interaction>().swap(memory_);
  }
  return file_->AppendValues(block);
}

absl::Status InteractionSpill::Finish() {
  return file_.has_value() ? file_->Close(BufferedFile::Durability::kScratch) : absl::OkStatus();
}

absl::Status InteractionSpill::ForEach(const VisitInteractions& visit) const {
  if (!in_memory()) {
    return ForEachInFile(files_, path_, rows_, kBlockRows, visit);
  }
  for (size_t at = 0; at < memory_.size(); at += kBlockRows) {
    TORII_RETURN_IF_ERROR(visit(
        InteractionBlock(memory_).subspan(at, std::min<size_t>(kBlockRows, memory_.size() - at))));
  }
  return absl::OkStatus();
}

absl::Status ForEachInFile(FileSystem& files, const std::string& path, int64_t rows,
                           int64_t block_rows, const VisitInteractions& visit) {
  TORII_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file, files.OpenForReading(path));
  std::vector<Interaction> block(static_cast<size_t>(std::min(rows, block_rows)));
  for (int64_t at = 0; at < rows; at += block_rows) {
    const int64_t count = std::min(block_rows, rows - at);
    constexpr int64_t kBytes = sizeof(Interaction);
    TORII_RETURN_IF_ERROR(file->ReadAt(at * kBytes, count * kBytes, block.data()));
    TORII_RETURN_IF_ERROR(visit(InteractionBlock(block).first(static_cast<size_t>(count))));
  }
  return absl::OkStatus();
}

}  // namespace torii::data
