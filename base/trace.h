// Where the time of a rank goes: named spans of its threads, written in the format of
// chrome://tracing and ui.perfetto.dev. Where nothing is recorded a span costs a load and a branch.
//
//   Trace trace;                              // one for each rank
//   const TraceThread here(&trace, "train");  // records the spans of this thread in it
//   trace.Start();
//   { const TraceSpan span("all-gather"); ... }
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace torii {

namespace trace_internal {
using Clock = std::chrono::steady_clock;

struct Span {
  const char* name;
  int64_t step;  // -1: none
  Clock::time_point begin, end;
};

struct ThreadSpans {
  const std::atomic<bool>* on;
  std::string name;
  std::mutex mutex;
  std::vector<Span> spans;  // in the order of their ends; guarded by mutex
};
}  // namespace trace_internal

// The spans of one rank. Must outlive the threads that record into it. Thread-safe.
class Trace {
 public:
  // Spans that begin between Start and Stop are kept. Times count from Start.
  void Start();
  void Stop() { on_.store(false); }
  // The spans that have ended, as events of process `rank` of the viewer: JSON objects with commas
  // between them.
  std::string Events(int rank) const;

 private:
  friend class TraceThread;
  std::atomic<bool> on_ = false;
  trace_internal::Clock::time_point origin_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<trace_internal::ThreadSpans>> threads_;  // guarded by mutex_
};

// While it lives, spans of the calling thread go to `trace` (null: nowhere). `name`: what the
// viewer calls the thread.
class TraceThread {
 public:
  TraceThread(Trace* trace, const std::string& name);
  ~TraceThread();
  TraceThread(const TraceThread&) = delete;
  TraceThread& operator=(const TraceThread&) = delete;

 private:
  trace_internal::ThreadSpans* const before_;
};

// A span from here to the end of the scope. The spans of a thread nest. `name` must live as long as
// the Trace. step: shown with the span unless it is -1.
class TraceSpan {
 public:
  explicit TraceSpan(const char* name, int64_t step = -1);
  ~TraceSpan();
  TraceSpan(const TraceSpan&) = delete;
  TraceSpan& operator=(const TraceSpan&) = delete;

 private:
  trace_internal::ThreadSpans* thread_;  // null: nothing is recorded
  trace_internal::Span span_;
};

// The text of a trace file. events_of_ranks: Trace::Events of each rank.
std::string TraceFile(const std::vector<std::string>& events_of_ranks);

}  // namespace torii
