#include "base/trace.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "gtest/gtest.h"

namespace torii {
namespace {

// The spans ("X" events) of a trace.
std::vector<nlohmann::json> SpansOf(const Trace& trace, int rank = 0) {
  std::vector<nlohmann::json> spans;
  const nlohmann::json file = nlohmann::json::parse(TraceFile({trace.Events(rank)}));
  for (const nlohmann::json& event : file["traceEvents"]) {
    if (event["ph"] == "X") spans.push_back(event);
  }
  return spans;
}

TEST(TraceTest, KeepsTheSpansOfThreadsThatJoinedWhileItIsOn) {
  Trace trace;
  {
    const TraceSpan span("of no thread");
  }
  const TraceThread here(&trace, "main");
  {
    const TraceSpan span("before");
  }
  trace.Start();
  {
    const TraceSpan span("inside", 7);
  }
  std::thread other([&] {
    const TraceThread there(&trace, "other");
    const TraceSpan span("elsewhere");
  });
  other.join();
  trace.Stop();
  {
    const TraceSpan span("after");
  }

  const std::vector<nlohmann::json> spans = SpansOf(trace, 3);
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[0]["name"], "inside");
  EXPECT_EQ(spans[0]["args"]["step"], 7);
  EXPECT_EQ(spans[0]["pid"], 3);
  EXPECT_EQ(spans[1]["name"], "elsewhere");
  EXPECT_FALSE(spans[1].contains("args"));
  EXPECT_NE(spans[0]["tid"], spans[1]["tid"]);
}

TEST(TraceTest, SpansNest) {
  Trace trace;
  const TraceThread here(&trace, "main");
  trace.Start();
  {
    const TraceSpan outer("outer");
    {
      const TraceSpan first("first");
    }
    {
      const TraceSpan second("second");
    }
  }
  const std::vector<nlohmann::json> spans = SpansOf(trace);
  ASSERT_EQ(spans.size(), 3u);
  const auto begin = [&](size_t i) { return spans[i]["ts"].get<double>(); };
  // Times are rounded to nanoseconds.
  const auto end = [&](size_t i) { return begin(i) + spans[i]["dur"].get<double>() - 0.002; };
  EXPECT_EQ(spans[2]["name"], "outer");
  EXPECT_GE(begin(0), begin(2));
  EXPECT_LE(end(0), begin(1));
  EXPECT_LE(end(1), begin(2) + spans[2]["dur"].get<double>());
}

TEST(TraceTest, AThreadThatLeavesRecordsNoMore) {
  Trace trace;
  trace.Start();
  {
    const TraceThread here(&trace, "main");
  }
  {
    const TraceSpan span("gone");
  }
  {
    const TraceThread nowhere(nullptr, "main");
  }
  EXPECT_TRUE(SpansOf(trace).empty());
}

TEST(TraceTest, NamesProcessesAndThreads) {
  Trace trace;
  const TraceThread here(&trace, "main");
  const nlohmann::json file = nlohmann::json::parse(TraceFile({trace.Events(0), trace.Events(1)}));
  ASSERT_EQ(file["traceEvents"].size(), 4u);
  EXPECT_EQ(file["traceEvents"][2]["name"], "process_name");
  EXPECT_EQ(file["traceEvents"][2]["args"]["name"], "rank 1");
  EXPECT_EQ(file["traceEvents"][3]["name"], "thread_name");
  EXPECT_EQ(file["traceEvents"][3]["args"]["name"], "main");
}

}  // namespace
}  // namespace torii
