#include "base/trace.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace torii {

using trace_internal::Clock;
using trace_internal::Span;
using trace_internal::ThreadSpans;

namespace {

thread_local ThreadSpans* current_thread = nullptr;

double Microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

// What the viewer calls a process or a thread.
std::string NameEvent(const char* kind, int rank, size_t thread, const std::string& name) {
  return absl::StrFormat(R"({"ph":"M","name":"%s","pid":%d,"tid":%d,"args":{"name":"%s"}})", kind,
                         rank, thread, name);
}

std::string SpanEvent(const Span& span, Clock::time_point origin, int rank, size_t thread) {
  const std::string args =
      span.step < 0 ? "" : absl::StrFormat(R"(,"args":{"step":%d})", span.step);
  return absl::StrFormat(R"({"ph":"X","name":"%s","pid":%d,"tid":%d,"ts":%.3f,"dur":%.3f%s})",
                         span.name, rank, thread, Microseconds(span.begin - origin),
                         Microseconds(span.end - span.begin), args);
}

}  // namespace

void Trace::Start() {
  origin_ = Clock::now();
  on_.store(true);
}

std::string Trace::Events(int rank) const {
  std::vector<std::string> events = {
      NameEvent("process_name", rank, 0, absl::StrCat("rank ", rank))};
  const std::lock_guard lock(mutex_);
  for (size_t t = 0; t < threads_.size(); ++t) {
    ThreadSpans& thread = *threads_[t];
    events.push_back(NameEvent("thread_name", rank, t, thread.name));
    const std::lock_guard thread_lock(thread.mutex);
    for (const Span& span : thread.spans) {
      events.push_back(SpanEvent(span, origin_, rank, t));
    }
  }
  return absl::StrJoin(events, ",\n");
}

TraceThread::TraceThread(Trace* trace, const std::string& name) : before_(current_thread) {
  current_thread = nullptr;
  if (trace == nullptr) return;
  const std::lock_guard lock(trace->mutex_);
  current_thread = trace->threads_.emplace_back(std::make_unique<ThreadSpans>()).get();
  current_thread->on = &trace->on_;
  current_thread->name = name;
}

TraceThread::~TraceThread() { current_thread = before_; }

TraceSpan::TraceSpan(const char* name, int64_t step) : thread_(current_thread) {
  if (thread_ == nullptr || !thread_->on->load(std::memory_order_relaxed)) {
    thread_ = nullptr;
    return;
  }
  span_ = {name, step, Clock::now(), {}};
}

TraceSpan::~TraceSpan() {
  if (thread_ == nullptr) return;
  span_.end = Clock::now();
  const std::lock_guard lock(thread_->mutex);
  thread_->spans.push_back(span_);
}

std::string TraceFile(const std::vector<std::string>& events_of_ranks) {
  return absl::StrCat("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n",
                      absl::StrJoin(events_of_ranks, ",\n"), "\n]}\n");
}

}  // namespace torii
