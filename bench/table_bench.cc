// Embedding tables on one rank: lookup and fused update of 262,144 keys a step, one row out and one
// gradient in for each key, as time, rate and fraction of what the machine's row rates, measured in
// the same run, allow.
//
//   table_bench [threads] [millions of rows, ...]        default: 2 threads, 1 and 16 M rows
//
// Limits: a gathered row costs a random row copied, a gradient a random row read from an array as
// large as the gradients, a distinct row k rows read, modified and written (k = 1 for SGD and
// row-wise Adagrad, 2 for Adagrad, 3 for Adam). Repeats of a row in the cache can beat the limit.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "base/stopwatch.h"
#include "bench/machine_limits.h"
#include "comm/in_process/rank_group.h"
#include "kernels/touched_rows.h"
#include "launch/process/allocator.h"
#include "sharding/distinct_rows.h"
#include "sharding/table_group.h"

namespace torii::sharding {
namespace {

constexpr int64_t kKeys = 262'144;
constexpr int64_t kFewKeys = 256;
constexpr int64_t kDim = 64;
constexpr int64_t kRowBytes = kDim * static_cast<int64_t>(sizeof(float));
// Sets of keys in rotation, so that no step finds its rows in the cache.
constexpr size_t kSets = 4;
constexpr size_t kRepeats = 15;

using Keys = std::vector<int64_t>;

// Zipf with exponent 1.05 by the inverse of its cumulative sums, rows scattered over the table.
Keys ZipfKeys(int64_t rows, const RandomStream& stream) {
  static std::vector<double> cumulative;
  if (std::ssize(cumulative) != rows) {
    cumulative.clear();
    double sum = 0;
    for (int64_t r = 1; r <= rows; ++r) {
      cumulative.push_back(sum += std::pow(static_cast<double>(r), -1.05));
    }
  }
  Keys keys;
  for (uint64_t i = 0; i < static_cast<uint64_t>(kKeys); ++i) {
    const double at = stream.Uniform(i) * cumulative.back();
    const int64_t rank =
        std::upper_bound(cumulative.begin(), cumulative.end(), at) - cumulative.begin();
    keys.push_back(std::min(rank, rows - 1) * 7'368'787 % rows);  // a prime: every row once
  }
  return keys;
}

std::vector<Keys> MakeKeys(bool zipf, int64_t rows) {
  std::vector<Keys> sets;
  for (size_t s = 0; s < kSets; ++s) {
    const RandomStream stream(1, "keys", s);
    if (zipf) {
      sets.push_back(ZipfKeys(rows, stream));
      continue;
    }
    Keys& keys = sets.emplace_back();
    for (uint64_t i = 0; i < static_cast<uint64_t>(kKeys); ++i) {
      keys.push_back(stream.Below(i, rows));
    }
  }
  return sets;
}

struct Times {
  double best = 0, median = 0;  // seconds
};

Times Measure(const std::function<void(size_t)>& run) {
  for (size_t i = 0; i < kSets; ++i) run(i % kSets);
  std::vector<double> seconds;
  for (size_t i = 0; i < kRepeats; ++i) {
    const Stopwatch watch;
    run(i % kSets);
    seconds.push_back(watch.seconds());
  }
  std::sort(seconds.begin(), seconds.end());
  return {seconds.front(), seconds[seconds.size() / 2]};
}

// limit: seconds, 0 for none.
void Print(const std::string& what, const Times& times, double rows, double limit) {
  std::printf("  %-34s best %8.3f  median %8.3f ms %8.1f M rows/s", what.c_str(), 1e3 * times.best,
              1e3 * times.median, rows / times.best / 1e6);
  if (limit > 0) std::printf("  limit %7.3f ms, %.2f of it", 1e3 * limit, limit / times.best);
  std::printf("\n");
  std::fflush(stdout);
}

struct Limits {
  bench::RowRates gradients, table;
};

// Fetched rows and their plan.
struct Found {
  at::Tensor rows;
  Route route;
};

struct Rule {
  TableConfig::Optimizer optimizer;
  double table_rows;  // k
};

// One step: rows of a set of keys, their gradients as backward leaves them, the update.
void BenchOptimizer(const Rule& rule, int64_t rows, const std::vector<Keys>& sets, double distinct,
                    const Limits& limits) {
  const std::string name = TableConfig::Optimizer_Name(rule.optimizer);
  const auto comm = std::move(comm::CreateInProcessGroup(1)[0]);
  TableConfig config;
  config.set_optimizer(rule.optimizer);
  const auto group = TableGroup::Create(0, 1, {{"t", rows, config}}, kDim,
                                        Partition::Kind::kRowModWorld, 1, kernels::Device::Cpu())
                         .value();
  const at::Tensor gradient = at::randn({kKeys, kDim}).mul_(0.01);

  const auto lookup = [&](const Keys& keys) {
    Route route = group->PlanOwned(keys);
    at::Tensor fetched = group->Fetch(*comm, route).value();
    return Found{std::move(fetched), std::move(route)};
  };
  const double forward_limit = kKeys / limits.table.copy;
  const double update_limit =
      kKeys / limits.gradients.read + rule.table_rows * distinct / limits.table.update;
  int64_t step = 0;
  UpdatePlan plan;
  const auto update = [&](Found& found, const at::Tensor& g) {
    found.rows.mutable_grad() = g;
    const Route* route = &found.route;
    TORII_CHECK(group->PlanUpdate(*comm, {&route, 1}, &plan).ok(), "plan");
    TORII_CHECK(group->Update(*comm, plan, {&found.rows, 1}, {1.0, step++}).ok(), "update");
  };
  Print(name + " lookup", Measure([&](size_t s) { (void)lookup(sets[s]); }), kKeys, forward_limit);
  std::vector<Found> found;
  for (size_t s = 0; s < kSets; ++s) found.push_back(lookup(sets[s]));
  Print(name + " update", Measure([&](size_t s) { update(found[s], gradient); }), kKeys,
        update_limit);
  found.clear();
  Print(name + " lookup + update", Measure([&](size_t s) {
          Found one = lookup(sets[s]);
          update(one, gradient);
        }),
        kKeys, forward_limit + update_limit);

  std::vector<Keys> few;
  for (const Keys& keys : sets) few.emplace_back(keys.begin(), keys.begin() + kFewKeys);
  const at::Tensor few_gradients = gradient.narrow(0, 0, kFewKeys);
  constexpr int kSteps = 100;
  Times small = Measure([&](size_t s) {
    for (int i = 0; i < kSteps; ++i) {
      Found one = lookup(few[(s + static_cast<size_t>(i)) % kSets]);
      update(one, few_gradients);
    }
  });
  std::printf("  %-34s best %8.3f  median %8.3f us\n", (name + " 256 keys").c_str(),
              1e6 * small.best / kSteps, 1e6 * small.median / kSteps);
}

// What comes before and between: grouping keys, and finding the distinct ones for an exchange.
void BenchGrouping(int64_t rows, const std::vector<Keys>& sets) {
  DistinctFinder finder;
  Keys index(static_cast<size_t>(kKeys));
  for (const int ranks : {1, 4}) {
    Print("distinct keys of " + std::to_string(ranks) + " owners",
          Measure([&](size_t s) { finder.Find(sets[s], ranks, index); }), kKeys, 0);
  }
  kernels::TouchedRows touched;
  Print("gradients grouped by row", Measure([&](size_t s) {
          touched.Clear();
          touched.Add(sets[s]);
          touched.Group(rows, kernels::Device::Cpu());
        }),
        kKeys, 0);
}

void BenchTable(int threads, int64_t rows) {
  at::set_num_threads(threads);
  const Limits limits{bench::MeasureRowRates(threads, kKeys * kRowBytes),
                      bench::MeasureRowRates(threads, rows * kRowBytes)};
  std::printf(
      "%ld rows x %ld, %ld keys, %d threads; random rows: read %.1f, copy %.1f, update %.1f "
      "M/s; gradients: read %.1f M/s\n",
      rows, kDim, kKeys, threads, limits.table.read / 1e6, limits.table.copy / 1e6,
      limits.table.update / 1e6, limits.gradients.read / 1e6);
  for (const bool zipf : {true, false}) {
    const std::vector<Keys> sets = MakeKeys(zipf, rows);
    DistinctFinder finder;
    Keys index(static_cast<size_t>(kKeys));
    double distinct = 0;
    for (const Keys& keys : sets) {
      finder.Find(keys, 1, index);
      distinct += static_cast<double>(finder.keys().size()) / kSets;
    }
    std::printf(" %s keys, %.0f distinct rows\n", zipf ? "Zipf 1.05" : "uniform", distinct);
    BenchGrouping(rows, sets);
    for (const Rule& rule : {Rule{TableConfig::SGD, 1}, Rule{TableConfig::ROWWISE_ADAGRAD, 1},
                             Rule{TableConfig::ADAGRAD, 2}, Rule{TableConfig::ADAM, 3}}) {
      BenchOptimizer(rule, rows, sets, distinct, limits);
    }
  }
}

}  // namespace
}  // namespace torii::sharding

int main(int argc, char** argv) {
  torii::launch::KeepFreedMemory();  // as the program does
  // The first question for the number of threads starts the runtime; a later setting holds.
  (void)at::get_num_threads();
  const int threads = argc > 1 ? std::max(1, std::atoi(argv[1])) : 2;
  std::vector<int64_t> millions;
  for (int a = 2; a < argc; ++a) millions.push_back(std::max(1, std::atoi(argv[a])));
  if (millions.empty()) millions = {1, 16};
  for (const int64_t m : millions) torii::sharding::BenchTable(threads, m * 1'000'000);
  return 0;
}
