// Embedding tables on a GPU: rows looked up, their gradients summed and the rows updated once, as the
// step does it; against the bytes that must move at the rate of a copy. The case is FBGEMM's: 10
// tables of 1.68 M rows x 128, 1,048,570 keys by a power law of exponent 1.05.
//
//   table_gpu_bench [--device cuda] [--rows 1680000] [--tables 10] [--keys 104857]  (of each table)
//
// "plan" is what the host does for a step, while the device computes the one before. One JSON line
// for each case.
#include <cmath>

#include "base/random.h"
#include "bench/gpu_bench.h"
#include "comm/in_process/rank_group.h"
#include "kernels/group_by_key.h"
#include "kernels/host_tensors.h"
#include "kernels/table_rows.h"
#include "sharding/table_group.h"

namespace torii::bench {
namespace {

constexpr int64_t kDim = 128;
constexpr double kRowBytes = 4.0 * kDim;
// In rotation, so that no step finds its rows in the cache.
constexpr size_t kSets = 3;

struct Sizes {
  int64_t rows = 0, tables = 0, keys_per_table = 0;
  int64_t keys() const { return tables * keys_per_table; }
};

// Power law by the inverse of its cumulative sums, rows scattered over the table.
std::vector<int64_t> PowerLawRows(int64_t rows, int64_t count, const RandomStream& random) {
  static std::vector<double> cumulative;
  if (std::ssize(cumulative) != rows) {
    cumulative.clear();
    double sum = 0;
    for (int64_t r = 1; r <= rows; ++r) {
      cumulative.push_back(sum += std::pow(static_cast<double>(r), -1.05));
    }
  }
  std::vector<int64_t> result;
  for (int64_t i = 0; i < count; ++i) {
    const double at = random.Uniform(static_cast<uint64_t>(i)) * cumulative.back();
    const int64_t rank =
        std::upper_bound(cumulative.begin(), cumulative.end(), at) - cumulative.begin();
    result.push_back(std::min(rank, rows - 1) * 7'368'787 % rows);
  }
  return result;
}

struct KeySet {
  std::vector<int64_t> keys;
  double distinct = 0;
};

std::vector<KeySet> MakeKeys(const Sizes& sizes, const sharding::TableKeys& keys) {
  std::vector<KeySet> sets(kSets);
  for (size_t s = 0; s < kSets; ++s) {
    for (int64_t t = 0; t < sizes.tables; ++t) {
      const RandomStream random(1, "bench.keys", s * 1000 + static_cast<size_t>(t));
      for (const int64_t row : PowerLawRows(sizes.rows, sizes.keys_per_table, random)) {
        sets[s].keys.push_back(keys.Key(static_cast<int>(t), row));
      }
    }
    std::vector<int64_t> sorted = sets[s].keys;
    std::sort(sorted.begin(), sorted.end());
    sets[s].distinct =
        static_cast<double>(std::unique(sorted.begin(), sorted.end()) - sorted.begin());
  }
  return sets;
}

struct Rule {
  sharding::TableConfig::Optimizer optimizer;
  double state_rows;  // floats of state for each float of a row
};

absl::Status BenchRule(const GpuBench& bench, const GpuRates& rates, const Sizes& sizes,
                       const Rule& rule) {
  const auto comm = std::move(comm::CreateInProcessGroup(1)[0]);
  sharding::TableConfig config;
  config.set_optimizer(rule.optimizer);
  std::vector<sharding::TableSpec> specs;
  for (int64_t t = 0; t < sizes.tables; ++t) {
    specs.push_back({absl::StrCat("t", t), sizes.rows, config});
  }
  TORII_ASSIGN_OR_RETURN(const auto group,
                         sharding::TableGroup::Create(
                             0, 1, specs, kDim, Partition::Kind::kRowModWorld, 1, bench.device()));
  const std::vector<KeySet> sets = MakeKeys(sizes, group->keys());
  const at::Tensor gradient =
      at::randn({sizes.keys(), kDim}, at::TensorOptions(bench.device().torch())).mul_(0.01);

  std::vector<sharding::Route> routes;
  std::vector<sharding::UpdatePlan> plans(kSets);
  for (const KeySet& set : sets) routes.push_back(group->PlanOwned(set.keys));
  const auto plan = [&](int call) {
    const auto s = static_cast<size_t>(call) % kSets;
    const sharding::Route* route = &routes[s];
    TORII_CHECK(group->PlanUpdate(*comm, {&route, 1}, &plans[s]).ok(), "plan");
  };
  const std::string name = sharding::TableConfig::Optimizer_Name(rule.optimizer);
  const nlohmann::ordered_json line = {
      {"rule", name}, {"keys", sizes.keys()}, {"distinct", sets[0].distinct}, {"D", kDim}};
  const auto with_case = [&](const char* what) {
    nlohmann::ordered_json result = line;
    result["case"] = what;
    return result;
  };
  Print(with_case("table plan on the host"), bench.Times(2, kSets, plan), 0);

  int64_t step = 0;
  const auto fetch = [&](int call) {
    return group->Fetch(*comm, routes[static_cast<size_t>(call) % kSets]).value();
  };
  const auto keys = static_cast<double>(sizes.keys());
  const double lookup_ms = 1e3 * 2 * keys * kRowBytes / rates.copy;
  const double update_ms =
      1e3 * (keys + 2 * sets[0].distinct * (1 + rule.state_rows)) * kRowBytes / rates.copy;
  Print(with_case("table lookup"), bench.Times(5, 12, [&](int call) { (void)fetch(call); }),
        lookup_ms);
  Print(with_case("table lookup + update"),
        bench.Times(5, 12,
                    [&](int call) {
                      at::Tensor rows = fetch(call);
                      rows.mutable_grad() = gradient;
                      TORII_CHECK(group
                                      ->Update(*comm, plans[static_cast<size_t>(call) % kSets],
                                               {&rows, 1}, {1.0, step++})
                                      .ok(),
                                  "update");
                    }),
        lookup_ms + update_ms);
  return absl::OkStatus();
}

// Keys grouped by the device.
void BenchGroups(const GpuBench& bench, const Sizes& sizes) {
  const RandomStream random(1, "bench.keys");
  const at::Tensor keys =
      kernels::TensorOf(PowerLawRows(sizes.rows, sizes.keys(), random), bench.device());
  Print(
      {{"case", "keys grouped on the device"}, {"keys", sizes.keys()}},
      bench.Times(5, 10, [&](int) { (void)kernels::GroupByKey(bench.device(), keys, sizes.rows); }),
      0);
}

absl::Status Run(const std::map<std::string, std::string>& flags) {
  TORII_ASSIGN_OR_RETURN(const GpuBench bench, GpuBench::Open(flags.at("device")));
  const Sizes sizes = {std::stoll(flags.at("rows")), std::stoll(flags.at("tables")),
                       std::stoll(flags.at("keys"))};
  const GpuRates rates = MeasureGpuRates(bench);
  std::printf("%s\n", Json(rates).dump().c_str());
  BenchGroups(bench, sizes);
  for (const Rule& rule :
       {Rule{sharding::TableConfig::SGD, 0}, Rule{sharding::TableConfig::ADAM, 2},
        Rule{sharding::TableConfig::ROWWISE_ADAGRAD, 0}}) {
    TORII_RETURN_IF_ERROR(BenchRule(bench, rates, sizes, rule));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace torii::bench

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags = {
      {"device", "cuda"}, {"rows", "1680000"}, {"tables", "10"}, {"keys", "104857"}};
  if (!torii::bench::ParseFlags(argc, argv, &flags)) return 64;
  return torii::bench::Main(torii::bench::Run(flags));
}
