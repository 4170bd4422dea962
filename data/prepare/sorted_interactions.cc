#include "data/prepare/sorted_interactions.h"

#include <algorithm>
#include <memory>
#include <queue>
#include <thread>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/failpoint.h"
#include "base/status_macros.h"

namespace torii::data {
namespace {

constexpr int64_t kMergeRows = 65536;
constexpr size_t kParallelRows = 1 << 16;

bool Before(const Interaction& a, const Interaction& b) {
  return std::tie(a.user, a.time, a.order) < std::tie(b.user, b.time, b.order);
}

// A sorted run, read through a buffer.
class RunReader {
 public:
  // Rows [begin, end) of `file`.
  RunReader(const ReadableFile& file, int64_t begin, int64_t end, int64_t buffer_rows)
      : file_(file), next_(begin), end_(end), buffer_rows_(buffer_rows) {}
  // Call before the first current() and to step on; `more` is false at the end.
  absl::Status Advance(bool* more) {
    ++at_;
    if (at_ >= buffer_.size()) {
      const int64_t count = std::min(buffer_rows_, end_ - next_);
      buffer_.resize(static_cast<size_t>(count));
      constexpr int64_t kBytes = sizeof(Interaction);
      TORII_RETURN_IF_ERROR(file_.ReadAt(next_ * kBytes, count * kBytes, buffer_.data()));
      next_ += count;
      at_ = 0;
    }
    *more = !buffer_.empty();
    return absl::OkStatus();
  }
  const Interaction& current() const { return buffer_[at_]; }

 private:
  const ReadableFile& file_;
  int64_t next_;
  int64_t end_;
  int64_t buffer_rows_;
  size_t at_ = 0;
  std::vector<Interaction> buffer_;
};

}  // namespace

void SortInteractions(std::span<Interaction> rows) {
  if (rows.size() < kParallelRows) {
    std::sort(rows.begin(), rows.end(), Before);
    return;
  }
  const auto middle = rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2);
  std::nth_element(rows.begin(), middle, rows.end(), Before);
  std::thread lower([&] { std::sort(rows.begin(), middle, Before); });
  std::sort(middle, rows.end(), Before);
  lower.join();
}

absl::Status SortedInteractions::AddRun(std::vector<Interaction>* rows,
                                        std::optional<BufferedFile>* file) {
  TORII_FAILPOINT("prepare.spill");
  SortInteractions(*rows);
  if (!file->has_value()) {
    TORII_ASSIGN_OR_RETURN(*file, BufferedFile::Create(*files_, options_.runs_path));
  }
  TORII_RETURN_IF_ERROR((*file)->AppendValues(InteractionBlock(*rows)));
  run_rows_.push_back(static_cast<int64_t>(rows->size()));
  rows->clear();
  return absl::OkStatus();
}

absl::StatusOr<SortedInteractions> SortedInteractions::Sort(FileSystem& files,
                                                            InteractionSpill* spill,
                                                            const Kept& kept,
                                                            std::span<const int32_t> user_row,
                                                            const Options& options) {
  SortedInteractions sorted(files, options);
  std::vector<Interaction> rows;
  if (spill->in_memory()) {
    rows = spill->TakeMemory();
    std::erase_if(rows, [&](const Interaction& row) { return !kept.Keeps(row); });
    for (Interaction& row : rows) {
      row.user = user_row[static_cast<size_t>(row.user)];
    }
    SortInteractions(rows);
    sorted.memory_ = std::move(rows);
    return sorted;
  }
  const int64_t kept_rows = spill->rows() - kept.dropped_rows;
  rows.reserve(static_cast<size_t>(std::min(options.buffer_rows, kept_rows)));
  std::optional<BufferedFile> file;
  const VisitInteractions add = [&](InteractionBlock block) -> absl::Status {
    for (Interaction row : block) {
      if (!kept.Keeps(row)) {
        continue;
      }
      row.user = user_row[static_cast<size_t>(row.user)];
      rows.push_back(row);
      if (static_cast<int64_t>(rows.size()) == options.buffer_rows) {
        TORII_RETURN_IF_ERROR(sorted.AddRun(&rows, &file));
      }
    }
    return absl::OkStatus();
  };
  TORII_RETURN_IF_ERROR(spill->ForEach(add));
  if (!rows.empty()) {
    TORII_RETURN_IF_ERROR(sorted.AddRun(&rows, &file));
  }
  TORII_RETURN_IF_ERROR(file->Close(BufferedFile::Durability::kScratch));
  return sorted;
}

absl::Status SortedInteractions::ForEachUserInMemory(const VisitUser& visit) {
  for (size_t begin = 0; begin < memory_.size();) {
    size_t end = begin + 1;
    while (end < memory_.size() && memory_[end].user == memory_[begin].user) {
      ++end;
    }
    TORII_RETURN_IF_ERROR(visit(std::span(memory_).subspan(begin, end - begin)));
    begin = end;
  }
  return absl::OkStatus();
}

absl::Status SortedInteractions::ForEachUser(const VisitUser& visit) {
  if (run_rows_.empty()) {
    return ForEachUserInMemory(visit);
  }
  const int64_t buffer_rows = std::clamp<int64_t>(options_.buffer_rows / num_runs(), 1, kMergeRows);
  std::vector<std::unique_ptr<RunReader>> runs;
  const auto later = [](const RunReader* a, const RunReader* b) {
    return Before(b->current(), a->current());
  };
  std::priority_queue<RunReader*, std::vector<RunReader*>, decltype(later)> next(later);
  bool more = false;
  TORII_ASSIGN_OR_RETURN(const std::unique_ptr<ReadableFile> file,
                         files_->OpenForReading(options_.runs_path));
  int64_t begin = 0;
  for (const int64_t rows : run_rows_) {
    runs.push_back(std::make_unique<RunReader>(*file, begin, begin + rows, buffer_rows));
    begin += rows;
    TORII_RETURN_IF_ERROR(runs.back()->Advance(&more));
    next.push(runs.back().get());
  }
  std::vector<Interaction> user;
  while (!next.empty()) {
    RunReader* const run = next.top();
    next.pop();
    if (!user.empty() && user.front().user != run->current().user) {
      TORII_RETURN_IF_ERROR(visit(user));
      user.clear();
    }
    user.push_back(run->current());
    TORII_RETURN_IF_ERROR(run->Advance(&more));
    if (more) {
      next.push(run);
    }
  }
  return user.empty() ? absl::OkStatus() : visit(user);
}

}  // namespace torii::data
