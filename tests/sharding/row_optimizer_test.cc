// The arithmetic of the row optimizers on one rank.
#include <memory>
#include <vector>

#include "ATen/ATen.h"
#include "base/random.h"
#include "gtest/gtest.h"
#include "sharding/table_group.h"
#include "tests/sharding/group_support.h"
#include "tests/sharding/row_reference.h"
#include "tests/support/run_on_ranks.h"

namespace torii::sharding {
namespace {

struct OneTable {
  std::unique_ptr<comm::Communicator> comm;
  std::unique_ptr<TableGroup> group;
  at::Tensor Part(size_t part) { return group->State()[part].tensor; }
};

OneTable MakeTable(int64_t rows, int64_t dim, const TableConfig& config) {
  OneTable table;
  table.comm = std::move(comm::CreateInProcessGroup(1)[0]);
  table.group = MakeGroup(*table.comm, {{"t", rows}}, dim, config, /*seed=*/7).value();
  return table;
}

// One lookup whose distinct rows get `gradient` [distinct, dim].
Lookup LookUpWith(OneTable& table, const std::vector<int64_t>& rows, const at::Tensor& gradient) {
  std::vector<int64_t> keys;
  for (const int64_t row : rows) keys.push_back(table.group->keys().Key(0, row));
  Lookup lookup = Find(*table.group, *table.comm, keys).value();
  lookup.rows.mutable_grad() = gradient;
  return lookup;
}

void Step(OneTable& table, Lookup lookup, int64_t step) {
  ASSERT_TRUE(Update(*table.group, *table.comm, {&lookup}, 1.0, step).ok());
}

TEST(RowOptimizerTest, RowwiseAdagradHasItsGoldenValues) {
  TableConfig config;
  config.set_learning_rate(0.1);
  config.set_epsilon(0);
  config.set_init_stddev(0);
  OneTable table = MakeTable(3, 2, config);
  const at::Tensor gradient = at::tensor({3.0f, 4.0f}).view({1, 2});

  Step(table, LookUpWith(table, {1}, gradient), 0);

  EXPECT_NEAR(table.Part(1)[1].item<double>(), 12.5, 1e-6);
  EXPECT_NEAR(table.Part(0)[1][0].item<double>(), -0.08485281, 1e-7);
  EXPECT_NEAR(table.Part(0)[1][1].item<double>(), -0.11313708, 1e-7);

  Step(table, LookUpWith(table, {1}, gradient), 1);

  EXPECT_NEAR(table.Part(1)[1].item<double>(), 25, 1e-6);
  EXPECT_NEAR(table.Part(0)[1][0].item<double>(), -0.14485281, 1e-7);
  EXPECT_NEAR(table.Part(0)[1][1].item<double>(), -0.19313708, 1e-7);
  EXPECT_EQ(table.Part(0)[0].abs().sum().item<double>(), 0) << "untouched";
  EXPECT_EQ(table.Part(0)[2].abs().sum().item<double>(), 0) << "untouched";
}

TEST(RowOptimizerTest, AZeroGradientWithoutEpsilonIsNotNaN) {
  for (const auto optimizer :
       {TableConfig::ROWWISE_ADAGRAD, TableConfig::ADAGRAD, TableConfig::ADAM}) {
    TableConfig config;
    config.set_optimizer(optimizer);
    config.set_epsilon(0);
    OneTable table = MakeTable(2, 5, config);
    const at::Tensor before = table.Part(0).clone();

    Step(table, LookUpWith(table, {0}, at::zeros({1, 5})), 0);

    EXPECT_TRUE(at::equal(table.Part(0), before)) << TableConfig::Optimizer_Name(optimizer);
  }
}

// Several lookups with repeated keys, gradients through index_select as in a model.
TEST(RowOptimizerTest, FollowsTheFloat64Reference) {
  constexpr int64_t kRows = 23, kKeys = 40;
  for (const int64_t dim : {1, 5, 16, 37}) {
    for (int o = TableConfig::Optimizer_MIN; o <= TableConfig::Optimizer_MAX; ++o) {
      TableConfig config;
      config.set_optimizer(static_cast<TableConfig::Optimizer>(o));
      config.set_l2(0.02);
      config.set_initial_accumulator(0.1);
      OneTable table = MakeTable(kRows, dim, config);
      RowReference reference(config, dim);
      for (int64_t r = 0; r < kRows; ++r) {
        const at::Tensor v = table.Part(0)[r].to(at::kDouble).contiguous();
        reference.SetRow(r, {v.data_ptr<double>(), v.data_ptr<double>() + dim});
      }

      for (int64_t step = 0; step < 6; ++step) {
        std::map<int64_t, std::vector<double>> sums;
        std::vector<Lookup> lookups(2);
        const RandomStream stream(9, "step", static_cast<uint64_t>(step));
        for (uint64_t l = 0; l < 2; ++l) {
          std::vector<int64_t> keys;
          for (uint64_t k = 0; k < kKeys; ++k) keys.push_back(stream.Below(k + 100 * l, kRows));
          at::Tensor g = at::empty({kKeys, dim});
          for (int64_t k = 0; k < kKeys; ++k) {
            stream.NormalRow(static_cast<uint64_t>(k) + 100 * l,
                             {g[k].data_ptr<float>(), static_cast<size_t>(dim)});
            auto& sum = sums.try_emplace(keys[static_cast<size_t>(k)], dim, 0.0).first->second;
            for (int64_t d = 0; d < dim; ++d) {
              sum[static_cast<size_t>(d)] += g[k][d].item<double>();
            }
          }
          lookups[l] = Find(*table.group, *table.comm, keys).value();
          (lookups[l].rows.index_select(0, lookups[l].route.index) * g).sum().backward();
        }
        ASSERT_TRUE(Update(*table.group, *table.comm, {&lookups[0], &lookups[1]}, 0.5, step).ok());
        reference.Step(sums, 0.5, step);
      }

      for (int64_t r = 0; r < kRows; ++r) {
        for (int64_t d = 0; d < dim; ++d) {
          ASSERT_NEAR(table.Part(0)[r][d].item<double>(),
                      reference.row(r).v[static_cast<size_t>(d)], 4e-6)
              << TableConfig::Optimizer_Name(config.optimizer()) << " row " << r << " of " << dim;
        }
      }
    }
  }
}

TEST(RowOptimizerTest, AdamTouchesNothingInStepsWithoutGradient) {
  TableConfig config;
  config.set_optimizer(TableConfig::ADAM);
  OneTable table = MakeTable(4, 3, config);
  Step(table, LookUpWith(table, {0, 1}, at::ones({2, 3})), 0);
  const at::Tensor weights = table.Part(0)[0].clone(), moment = table.Part(1)[0].clone();

  for (int64_t step = 1; step < 4; ++step)
    Step(table, LookUpWith(table, {1}, at::ones({1, 3})), step);
  EXPECT_TRUE(at::equal(table.Part(0)[0], weights)) << "no decay of skipped steps";
  EXPECT_TRUE(at::equal(table.Part(1)[0], moment));

  // Bias correction counts all steps, not those of the row.
  Step(table, LookUpWith(table, {0}, at::ones({1, 3})), 4);
  const double m = (0.9 * 0.1 + 0.1) / (1 - std::pow(0.9, 5));
  const double v = (0.999 * 0.001 + 0.001) / (1 - std::pow(0.999, 5));
  const double expected = weights[0].item<double>() - 0.05 * m / (std::sqrt(v) + 1e-8);
  EXPECT_NEAR(table.Part(0)[0][0].item<double>(), expected, 1e-6);
}

TEST(RowOptimizerTest, WeightDecayCountsOnceARowHoweverOftenItIsAsked) {
  TableConfig config;
  config.set_optimizer(TableConfig::SGD);
  config.set_learning_rate(0.1);
  config.set_l2(0.5);
  OneTable table = MakeTable(3, 2, config);
  const at::Tensor before = table.Part(0).clone();
  Lookup first = LookUpWith(table, {2, 2, 0, 2}, at::zeros({2, 2}));
  Lookup second = LookUpWith(table, {2}, at::zeros({1, 2}));
  const std::vector<const Lookup*> lookups = {&first, &second};

  ASSERT_TRUE(Update(*table.group, *table.comm, lookups, 1.0, 0).ok());

  EXPECT_TRUE(at::allclose(table.Part(0)[0], before[0] * 0.95, 1e-6, 1e-8));
  EXPECT_TRUE(at::allclose(table.Part(0)[2], before[2] * 0.95, 1e-6, 1e-8));
  EXPECT_TRUE(at::equal(table.Part(0)[1], before[1]));
}

// A row that a trained pass asked is touched, also where nothing depends on it.
TEST(RowOptimizerTest, ALookupWithoutGradientCountsAsZeros) {
  for (int o = TableConfig::Optimizer_MIN; o <= TableConfig::Optimizer_MAX; ++o) {
    TableConfig config;
    config.set_optimizer(static_cast<TableConfig::Optimizer>(o));
    config.set_l2(0.2);
    OneTable none = MakeTable(3, 2, config), zeros = MakeTable(3, 2, config);
    const at::Tensor before = none.Part(0).clone();
    for (int64_t step = 0; step < 2; ++step) {
      const bool first = step == 0;
      Step(none, LookUpWith(none, {0, 1}, first ? at::ones({2, 2}) : at::Tensor()), step);
      Step(zeros, LookUpWith(zeros, {0, 1}, first ? at::ones({2, 2}) : at::zeros({2, 2})), step);
    }
    for (size_t part = 0; part < none.group->State().size(); ++part) {
      EXPECT_TRUE(at::equal(none.Part(part), zeros.Part(part))) << o << ", part " << part;
    }
    EXPECT_TRUE(at::equal(none.Part(0)[2], before[2])) << "untouched";
  }
}

}  // namespace
}  // namespace torii::sharding
