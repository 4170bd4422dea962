// Exact evaluation over a whole corpus, seen items left out: ranks by counting and top-K lists, on
// one process. For each it prints the time, queries per second, and the fraction of the limit that
// the multiply-adds set: 2 Q N D operations at the peak rate that is measured in the same run.
//
//   eval_bench [--data DIR] [--threads 1,2] [--repeats 5] [--k 10,100] [--queries 16384]
//              [--items 62423] [--dim 64] [--targets 1] [--batch-users 1024]
//
// DIR holds q, x, seen_start, seen, positive and top64 (.npy); the answers are then compared with
// the scores in double precision of top64. Without it the same kind of data is made: unit vectors,
// seen lists of 20 to 1000 items with Zipf popularity, one target each.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/random.h"
#include "base/status_macros.h"
#include "bench/machine_limits.h"
#include "bench/npy.h"
#include "comm/in_process/rank_group.h"
#include "eval/rank_targets.h"
#include "eval/top_k.h"
#include "kernels/cpu/variants.h"
#include "launch/process/allocator.h"

namespace torii::bench {
namespace {

struct Options {
  std::string data;
  std::vector<int64_t> threads = {1, 2}, k = {10, 100};
  int64_t repeats = 5, queries = 16384, items = 62423, dim = 64, targets = 1, batch_users = 1024;
};

struct Problem {
  at::Tensor q, x;  // float32 [queries, D], [items, D]
  eval::HeldOut held_out;
  at::Tensor top;  // float64 [some queries, k]: their best scores; undefined if not known
};

std::vector<int64_t> Integers(const at::Tensor& tensor) {
  const int64_t* begin = tensor.const_data_ptr<int64_t>();
  return {begin, begin + tensor.numel()};
}

absl::StatusOr<Problem> ReadProblem(const std::string& folder) {
  Problem p;
  TORII_ASSIGN_OR_RETURN(p.q, ReadNpy(folder + "/q.npy"));
  TORII_ASSIGN_OR_RETURN(p.x, ReadNpy(folder + "/x.npy"));
  TORII_ASSIGN_OR_RETURN(p.top, ReadNpy(folder + "/top64.npy"));
  TORII_ASSIGN_OR_RETURN(const at::Tensor seen_begin, ReadNpy(folder + "/seen_start.npy"));
  TORII_ASSIGN_OR_RETURN(const at::Tensor seen, ReadNpy(folder + "/seen.npy"));
  TORII_ASSIGN_OR_RETURN(const at::Tensor positive, ReadNpy(folder + "/positive.npy"));
  p.held_out.seen_begin = Integers(seen_begin);
  p.held_out.seen = Integers(seen);
  p.held_out.targets = Integers(positive);
  return p;
}

at::Tensor UnitVectors(int64_t rows, int64_t dim, std::string_view purpose) {
  const RandomStream random(7, purpose);
  at::Tensor out = at::empty({rows, dim}, at::kFloat);
  for (int64_t i = 0; i < rows; ++i) {
    random.NormalRow(static_cast<uint64_t>(i),
                     {out.mutable_data_ptr<float>() + i * dim, static_cast<size_t>(dim)});
  }
  return out.div_(out.norm(2, {1}, true));
}

// The cumulative probabilities of a Zipf law over n items.
std::vector<double> ZipfCumulative(int64_t n) {
  std::vector<double> cumulative;
  double sum = 0;
  for (int64_t rank = 1; rank <= n; ++rank) {
    cumulative.push_back(sum += 1 / static_cast<double>(rank));
  }
  for (double& c : cumulative) c /= sum;
  return cumulative;
}

Problem MakeProblem(const Options& options) {
  const int64_t n = options.items;
  Problem p;
  p.q = UnitVectors(options.queries, options.dim, "bench.q");
  p.x = UnitVectors(n, options.dim, "bench.x");
  std::vector<float> lengths(static_cast<size_t>(options.queries));
  RandomStream(7, "bench.lengths").NormalRow(0, lengths);
  const RandomStream picks(7, "bench.seen"), targets(7, "bench.target");
  const std::vector<double> cumulative = ZipfCumulative(n);
  p.held_out.seen_begin = {0};
  uint64_t pick = 0;
  for (int64_t u = 0; u < options.queries; ++u) {
    const double length = 71 * std::exp(1.1 * static_cast<double>(lengths[static_cast<size_t>(u)]));
    const auto wanted =
        static_cast<int64_t>(std::clamp(length, 20.0, static_cast<double>(std::min(n / 4, 1000L))));
    std::vector<int64_t> seen;
    for (int64_t i = 0; i < wanted; ++i) {
      const auto rank =
          std::lower_bound(cumulative.begin(), cumulative.end(), picks.Uniform(pick++)) -
          cumulative.begin();
      seen.push_back(std::min(rank, n - 1) * 40503 % n);  // spread over the rows
    }
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    p.held_out.seen.insert(p.held_out.seen.end(), seen.begin(), seen.end());
    p.held_out.seen_begin.push_back(static_cast<int64_t>(p.held_out.seen.size()));
    for (int64_t t = 0; t < options.targets; ++t) {
      p.held_out.targets.push_back(
          targets.Below(static_cast<uint64_t>(u * options.targets + t), n));
    }
  }
  return p;
}

struct Timing {
  std::vector<double> seconds;  // ascending
  double median() const { return seconds[seconds.size() / 2]; }
};

Timing Measure(int64_t repeats, const std::function<absl::Status()>& run) {
  Timing timing;
  for (int64_t i = -1; i < repeats; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const absl::Status status = run();
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    TORII_CHECK(status.ok(), status.ToString());
    if (i >= 0) timing.seconds.push_back(time.count());
  }
  std::sort(timing.seconds.begin(), timing.seconds.end());
  return timing;
}

class EvalBench {
 public:
  EvalBench(comm::Communicator& comm, const Options& options, Problem problem)
      : comm_(comm), options_(options), problem_(std::move(problem)) {
    eval::HeldOut& held_out = problem_.held_out;
    const int64_t queries = problem_.q.size(0);
    const auto targets = static_cast<int64_t>(held_out.targets.size()) / queries;
    for (int64_t u = 0; u <= queries; ++u) {
      if (u < queries) held_out.users.push_back(u);
      held_out.target_begin.push_back(u * targets);
    }
    items_.vectors = problem_.x;
    items_.corpus = Partition::RowModWorld(problem_.x.size(0), 1);
    std::printf(
        "%ld queries x %ld items x %ld dimensions, %zu seen items, %ld targets a query, %s\n",
        queries, items_.corpus.rows(), problem_.q.size(1), held_out.seen.size(), targets,
        kernels::cpu::BestInstructionSet());
  }

  void Run(int threads) {
    at::set_num_threads(threads);
    // The rate before and after, as the clock of the machine may change meanwhile.
    const double before = FmaPeak(threads);
    std::map<std::string, Timing> timings;
    timings["ranks by counting"] = Measure(options_.repeats, [this] { return Rank(); });
    for (const int64_t k : options_.k) {
      timings[absl::StrCat("top-", k)] = Measure(options_.repeats, [this, k] { return TopK(k); });
    }
    const double peak = std::max(before, FmaPeak(threads));
    const double limit = 2.0 * static_cast<double>(problem_.q.numel()) *
                         static_cast<double>(items_.corpus.rows()) / peak;
    std::printf("%d thread(s): peak %.1f GFLOP/s, limit %.1f ms\n", threads, peak / 1e9,
                1e3 * limit);
    for (const auto& [name, timing] : timings) {
      std::printf("  %-18s best %8.1f ms  median %8.1f ms  %9.0f queries/s  %.2f of the limit\n",
                  name.c_str(), 1e3 * timing.seconds.front(), 1e3 * timing.median(),
                  static_cast<double>(problem_.q.size(0)) / timing.median(),
                  limit / timing.seconds.front());
    }
  }

  // Compares the lists of the first queries with their best scores in double precision.
  void Check() {
    if (!problem_.top.defined()) return;
    TORII_CHECK(TopK(problem_.top.size(1)).ok());
    const auto* want = problem_.top.const_data_ptr<double>();
    double error = 0;
    for (int64_t u = 0; u < problem_.top.size(0); ++u) {
      for (const eval::ScoredItem& got : lists_[static_cast<size_t>(u)]) {
        error = std::max(error, std::abs(static_cast<double>(got.score) - *want++));
      }
    }
    std::printf("lists of the first %ld queries: scores within %.1e of double precision\n",
                problem_.top.size(0), error);
    TORII_CHECK(error < 1e-5);
  }

 private:
  absl::StatusOr<at::Tensor> Queries(std::span<const int64_t> users) const {
    return users.empty() ? problem_.q.slice(0, 0, 0)
                         : problem_.q.slice(0, users.front(), users.back() + 1);
  }
  absl::Status Rank() {
    return eval::RankTargets(
               comm_, items_, problem_.held_out,
               [this](std::span<const int64_t> users) { return Queries(users); },
               options_.batch_users)
        .status();
  }
  absl::Status TopK(int64_t k) {
    const eval::HeldOut& held_out = problem_.held_out;
    const eval::TopKRequest request = {held_out.users, held_out.seen_begin, held_out.seen, k,
                                       options_.batch_users};
    TORII_ASSIGN_OR_RETURN(
        lists_, eval::TopK(comm_, items_, request,
                           [this](std::span<const int64_t> users) { return Queries(users); }));
    return absl::OkStatus();
  }

  comm::Communicator& comm_;
  const Options options_;
  Problem problem_;
  eval::OwnedItems items_{{}, Partition::RowModWorld(0, 1)};
  std::vector<std::vector<eval::ScoredItem>> lists_;
};

bool ParseList(const std::string& text, std::vector<int64_t>& numbers) {
  numbers.clear();
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(part, &number) || number < 1) return false;
    numbers.push_back(number);
  }
  return true;
}

bool Parse(int argc, char** argv, Options& options) {
  const std::map<std::string, int64_t*> numbers = {
      {"--repeats", &options.repeats}, {"--queries", &options.queries},
      {"--items", &options.items},     {"--dim", &options.dim},
      {"--targets", &options.targets}, {"--batch-users", &options.batch_users}};
  for (int a = 1; a + 1 < argc; a += 2) {
    const std::string flag = argv[a], value = argv[a + 1];
    std::vector<int64_t> list;
    if (flag == "--data") {
      options.data = value;
    } else if (!ParseList(value, list)) {
      return false;
    } else if (flag == "--threads") {
      options.threads = list;
    } else if (flag == "--k") {
      options.k = list;
    } else if (numbers.contains(flag) && list.size() == 1) {
      *numbers.at(flag) = list[0];
    } else {
      return false;
    }
  }
  return argc % 2 == 1;
}

absl::Status Run(const Options& options) {
  Problem problem;
  if (options.data.empty()) {
    problem = MakeProblem(options);
  } else {
    TORII_ASSIGN_OR_RETURN(problem, ReadProblem(options.data));
  }
  return comm::RunRanks(1, [&](comm::Communicator& comm) {
    EvalBench bench(comm, options, std::move(problem));
    for (const int64_t threads : options.threads) bench.Run(static_cast<int>(threads));
    bench.Check();
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace torii::bench

int main(int argc, char** argv) {
  torii::launch::KeepFreedMemory();  // as the program does
  torii::bench::Options options;
  if (!torii::bench::Parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: eval_bench [--data DIR] [--threads 1,2] [--repeats 5] [--k 10,100] "
                 "[--queries 16384] [--items 62423] [--dim 64] [--targets 1] "
                 "[--batch-users 1024]\n");
    return 64;
  }
  const absl::Status status = torii::bench::Run(options);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
