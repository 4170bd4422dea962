// Exact evaluation on a GPU over a whole corpus: ranks by counting, and lists of the best 100, each
// against 2 Q C D operations at the rate of products in float32.
//
//   eval_gpu_bench [--device cuda] [--queries 16384] [--items 62423] [--dim 64] [--hidden 50]
//
// One JSON line for each case.
#include <set>

#include "base/random.h"
#include "bench/gpu_bench.h"
#include "kernels/ranking.h"

namespace torii::bench {
namespace {

struct Problem {
  at::Tensor q, items;
  std::vector<int64_t> hidden_begin = {0}, hidden, threshold_begin = {0}, target;
};

Problem MakeProblem(int64_t queries, int64_t items, int64_t dim, int64_t hidden,
                    const GpuBench& bench) {
  at::manual_seed(1);
  Problem p;
  const at::TensorOptions there(bench.device().torch());
  p.q = at::randn({queries, dim}).to(there);
  p.items = at::randn({items, dim}).to(there);
  for (at::Tensor* x : {&p.q, &p.items}) x->div_(x->norm(2, {1}, true));
  const RandomStream random(7, "bench.hidden");
  uint64_t next = 0;
  for (int64_t i = 0; i < queries; ++i) {
    std::set<int64_t> seen;
    while (std::ssize(seen) < std::min(hidden, items - 1)) seen.insert(random.Below(next++, items));
    int64_t target = random.Below(next++, items);
    while (seen.contains(target)) target = random.Below(next++, items);
    p.hidden.insert(p.hidden.end(), seen.begin(), seen.end());
    p.hidden_begin.push_back(std::ssize(p.hidden));
    p.target.push_back(target);
    p.threshold_begin.push_back(i + 1);
  }
  return p;
}

absl::Status Run(const std::map<std::string, std::string>& flags) {
  TORII_ASSIGN_OR_RETURN(const GpuBench bench, GpuBench::Open(flags.at("device")));
  const kernels::Device& device = bench.device();
  const int64_t queries = std::stoll(flags.at("queries")), items = std::stoll(flags.at("items")),
                dim = std::stoll(flags.at("dim"));
  const GpuRates rates = MeasureGpuRates(bench);
  std::printf("%s\n", Json(rates).dump().c_str());
  const Problem p = MakeProblem(queries, items, dim, std::stoll(flags.at("hidden")), bench);
  const kernels::RankedItems ranked = kernels::PrepareItems(device, p.items, {});
  std::vector<int64_t> q_row(static_cast<size_t>(queries));
  for (int64_t i = 0; i < queries; ++i) q_row[static_cast<size_t>(i)] = i;
  const at::Tensor score = kernels::ScorePairs(device, p.q, ranked, q_row, p.target);
  const double limit = 2e3 * static_cast<double>(queries) * static_cast<double>(items) *
                       static_cast<double>(dim) / rates.fp32;
  const nlohmann::ordered_json sizes = {{"Q", queries}, {"C", items}, {"D", dim}};
  const auto with_case = [&](const char* what) {
    nlohmann::ordered_json line = sizes;
    line["case"] = what;
    return line;
  };
  const kernels::HiddenLists hidden = {p.hidden_begin, p.hidden};
  at::Tensor counts;
  const auto count = [&](int) {
    counts = kernels::CountAbove(device, p.q, ranked, {p.threshold_begin, score, p.target}, hidden);
  };
  const std::vector<double> ms = bench.Times(5, bench.is_gpu() ? 4 : 1, count);
  nlohmann::ordered_json line = with_case("counting");
  line["sum_of_ranks"] = counts.sum().cpu().item<int64_t>() + queries;
  Print(line, ms, limit);
  Print(with_case("best 100"),
        bench.Times(3, bench.is_gpu() ? 2 : 1,
                    [&](int) {
                      (void)kernels::TopK(device, p.q, ranked, hidden,
                                          std::min<int64_t>(100, items));
                    }),
        limit);
  return absl::OkStatus();
}

}  // namespace
}  // namespace torii::bench

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags = {{"device", "cuda"},
                                              {"queries", "16384"},
                                              {"items", "62423"},
                                              {"dim", "64"},
                                              {"hidden", "50"}};
  if (!torii::bench::ParseFlags(argc, argv, &flags)) return 64;
  return torii::bench::Main(torii::bench::Run(flags));
}
