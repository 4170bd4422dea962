#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "base/check.h"
#include "data/batch.h"

namespace torii::data {
namespace {

class ThreadedPrefetcher final : public BatchPrefetcher {
 public:
  ThreadedPrefetcher(const BatchMaker& maker, int64_t epoch, int64_t step_in_epoch, size_t ahead,
                     Trace* trace)
      : maker_(maker), ahead_(ahead) {
    thread_ = std::thread([this, epoch, step_in_epoch, trace] {
      const TraceThread spans(trace, "input");
      Run(epoch, step_in_epoch);
    });
  }
  ~ThreadedPrefetcher() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    taken_.notify_one();
    thread_.join();
  }
  ThreadedPrefetcher(const ThreadedPrefetcher&) = delete;
  ThreadedPrefetcher& operator=(const ThreadedPrefetcher&) = delete;

  Batch Next() override {
    std::unique_lock lock(mutex_);
    made_.wait(lock, [this] { return !ready_.empty(); });
    Batch batch = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    taken_.notify_one();
    return batch;
  }

 private:
  void Run(int64_t epoch, int64_t step) {
    const int64_t steps = maker_.steps_per_epoch();
    while (WaitForRoom()) {
      if (step == steps) {
        ++epoch;
        step = 0;
      }
      Batch batch = MakeBatch(epoch, step++);
      {
        const std::lock_guard lock(mutex_);
        ready_.push_back(std::move(batch));
      }
      made_.notify_one();
    }
  }

  Batch MakeBatch(int64_t epoch, int64_t step) const {
    const TraceSpan span("batch");
    return maker_.Make(epoch, step);
  }

  // False: stop.
  bool WaitForRoom() {
    std::unique_lock lock(mutex_);
    taken_.wait(lock, [this] { return stopping_ || ready_.size() < ahead_; });
    return !stopping_;
  }

  const BatchMaker maker_;
  const size_t ahead_;
  std::mutex mutex_;
  std::condition_variable made_;
  std::condition_variable taken_;
  std::deque<Batch> ready_;  // at most ahead_; guarded by mutex_
  bool stopping_ = false;    // guarded by mutex_
  std::thread thread_;
};

// Makes each batch when it is asked for.
class DirectBatches final : public BatchPrefetcher {
 public:
  DirectBatches(const BatchMaker& maker, int64_t epoch, int64_t step_in_epoch)
      : maker_(maker), epoch_(epoch), step_(step_in_epoch) {}

  Batch Next() override {
    if (step_ == maker_.steps_per_epoch()) {
      ++epoch_;
      step_ = 0;
    }
    const TraceSpan span("batch");
    return maker_.Make(epoch_, step_++);
  }

 private:
  const BatchMaker maker_;
  int64_t epoch_, step_;
};

}  // namespace

std::unique_ptr<BatchPrefetcher> BatchPrefetcher::Start(const BatchMaker& maker, int64_t epoch,
                                                        int64_t step_in_epoch, int ahead,
                                                        Trace* trace) {
  TORII_CHECK(maker.steps_per_epoch() >= 1, "no training rows to make batches of");
  TORII_CHECK(epoch >= 0 && step_in_epoch >= 0 && step_in_epoch <= maker.steps_per_epoch(),
              "epoch ", epoch, " step ", step_in_epoch, " of ", maker.steps_per_epoch());
  TORII_CHECK(ahead >= 0, "a prefetcher that stays ", ahead, " batches ahead");
  if (ahead == 0) return std::make_unique<DirectBatches>(maker, epoch, step_in_epoch);
  return std::make_unique<ThreadedPrefetcher>(maker, epoch, step_in_epoch,
                                              static_cast<size_t>(ahead), trace);
}

}  // namespace torii::data
