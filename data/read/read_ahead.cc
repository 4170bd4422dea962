#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "arrow/array.h"
#include "data/read/table_reader.h"

namespace torii::data {
namespace {

using Chunk = absl::StatusOr<std::optional<TableChunk>>;

class ReadAheadReader final : public TableReader {
 public:
  ReadAheadReader(std::unique_ptr<TableReader> reader, int ahead)
      : reader_(std::move(reader)),
        ahead_(static_cast<size_t>(ahead)),
        thread_([this] { Run(); }) {}

  ~ReadAheadReader() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  Chunk Next() override {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty(); });
    // The end and an error stay in the queue: asking again gives them again.
    if (!ready_.front().ok() || !ready_.front()->has_value()) {
      return ready_.front();
    }
    Chunk chunk = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return chunk;
  }

 private:
  void Run() {
    for (bool more = true; more;) {
      Chunk chunk = reader_->Next();
      more = chunk.ok() && chunk->has_value();
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || ready_.size() < ahead_; });
      if (stop_) {
        return;
      }
      ready_.push_back(std::move(chunk));
      lock.unlock();
      changed_.notify_all();
    }
  }

  std::unique_ptr<TableReader> reader_;
  const size_t ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Chunk> ready_;
  bool stop_ = false;
  std::thread thread_;  // last: starts when everything else is there
};

}  // namespace

std::unique_ptr<TableReader> ReadAhead(std::unique_ptr<TableReader> reader, int ahead) {
  return std::make_unique<ReadAheadReader>(std::move(reader), ahead);
}

}  // namespace torii::data
