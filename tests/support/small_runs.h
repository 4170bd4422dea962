// The small models that the distributed tests train: together they have every kind of feature,
// history, pooling, optimizer and negative source.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/support/fake_dataset.h"
#include "tests/support/train_run.h"

namespace torii::testing {

inline SmallRun BaseRun() {
  SmallRun run;
  run.model.model.set_dim(8);
  run.model.model.mutable_scorer()->mutable_inner_product()->set_temperature(0.2);
  run.model.tables.set_learning_rate(0.02);
  run.model.tables.set_init_stddev(0.3);
  run.model.seed = 3;
  run.dense.set_learning_rate(0.003);
  return run;
}

// Every feature kind, CONCAT towers with hidden layers, LayerNorm and dropout, weights.
inline SmallRun ConcatRun(sharding::TableConfig::Optimizer tables,
                          trainer::DenseOptimizerConfig::Kind dense) {
  SmallRun run = BaseRun();
  model::TowerConfig* user = run.model.model.mutable_user();
  model::MlpTrunk* user_trunk = user->mutable_trunk()->mutable_mlp();
  user_trunk->add_hidden(12);
  user_trunk->set_layer_norm(true);
  user_trunk->set_dropout(0.2);
  user->set_embedding_dim(6);
  user->mutable_history()->set_length(5);
  user->mutable_history()->set_share_item_table(false);
  model::TowerConfig* item = run.model.model.mutable_item();
  item->mutable_trunk()->mutable_mlp()->add_hidden(10);
  item->mutable_trunk()->mutable_mlp()->set_dropout(0.1);
  item->set_pooling(model::TowerConfig::SUM_ROWS);
  run.model.tables.set_optimizer(tables);
  run.dense.set_kind(dense);
  run.sampler.set_uniform(9);
  return run;
}

// Id tables shared by history and items, SUM towers, no dense weights but those of the float
// features.
inline SmallRun SumRun(sharding::TableConfig::Optimizer tables) {
  SmallRun run = BaseRun();
  for (model::TowerConfig* tower :
       {run.model.model.mutable_user(), run.model.model.mutable_item()}) {
    tower->mutable_join()->mutable_sum();
  }
  run.model.model.mutable_user()->mutable_history()->set_length(6);
  run.model.model.mutable_user()->mutable_history()->mutable_recency();
  run.model.tables.set_optimizer(tables);
  run.model.tables.set_l2(2e-3);
  run.sampler.set_popularity(5);
  run.sampler.set_mask_known_positives(true);
  return run;
}

// The parts of a tower and the scorers that the other models do not have. New kinds of anything go
// to the end: tests name the first runs by their place. small_runs_test.cc tells which kind is in
// none of the runs.
inline std::vector<std::pair<std::string, SmallRun>> PartRuns() {
  using sharding::TableConfig;
  using trainer::DenseOptimizerConfig;
  std::vector<std::pair<std::string, SmallRun>> runs;
  SmallRun deep = ConcatRun(TableConfig::ROWWISE_ADAGRAD, DenseOptimizerConfig::SGD);
  model::TowerConfig* user = deep.model.model.mutable_user();
  user->mutable_history()->mutable_gru()->set_hidden(5);
  user->mutable_head()->mutable_linear();
  user->mutable_trunk()->mutable_residual()->set_hidden(9);
  user->mutable_trunk()->mutable_residual()->set_dropout(0.2);
  deep.model.model.mutable_item()->mutable_trunk()->mutable_residual()->set_width(7);
  runs.emplace_back("residual trunks, GRU over the history, SGD", deep);

  SmallRun shared = ConcatRun(TableConfig::SGD, DenseOptimizerConfig::ADAM);
  for (model::TowerConfig* tower :
       {shared.model.model.mutable_user(), shared.model.model.mutable_item()}) {
    tower->mutable_trunk()->mutable_mlp()->clear_hidden();
    tower->mutable_trunk()->mutable_mlp()->add_hidden(9);
  }
  model::MlpTrunk* trunk = shared.model.model.mutable_shared_trunk()->mutable_mlp();
  trunk->add_hidden(7);
  trunk->set_dropout(0.1);
  shared.model.model.mutable_scorer()->mutable_inner_product()->set_learned_temperature(true);
  shared.step.clip_norm = 1;
  runs.emplace_back("one trunk for both towers, learned temperature", shared);

  SmallRun scored = SumRun(TableConfig::SGD);
  scored.model.model.mutable_item()->mutable_head()->mutable_none();
  scored.model.model.mutable_scorer()->mutable_mlp()->add_hidden(6);
  runs.emplace_back("sum, SGD, MLP scorer", scored);
  SmallRun pairs = ConcatRun(TableConfig::SGD, DenseOptimizerConfig::SGD);
  pairs.sampler.Clear();
  pairs.model.model.mutable_loss()->mutable_bpr()->set_negatives(2);
  pairs.model.model.mutable_scorer()->mutable_mlp()->add_hidden(6);
  runs.emplace_back("concat, SGD, BPR, MLP scorer", pairs);

  SmallRun queue = SumRun(TableConfig::SGD);
  queue.sampler.mutable_queue()->set_size(50);
  queue.sampler.mutable_queue()->set_after_steps(2);
  runs.emplace_back("sum, SGD, queue of past positives", queue);
  return runs;
}

// With the optimizers' stock settings.
inline std::vector<std::pair<std::string, SmallRun>> StockRuns() {
  using sharding::TableConfig;
  using trainer::DenseOptimizerConfig;
  std::vector<std::pair<std::string, SmallRun>> runs;
  runs.emplace_back("concat, row-wise Adagrad, Adam",
                    ConcatRun(TableConfig::ROWWISE_ADAGRAD, DenseOptimizerConfig::ADAM));
  runs.emplace_back("concat, Adagrad, AdamW",
                    ConcatRun(TableConfig::ADAGRAD, DenseOptimizerConfig::ADAMW));
  runs.emplace_back("concat, SGD, SGD", ConcatRun(TableConfig::SGD, DenseOptimizerConfig::SGD));
  runs.emplace_back("concat, Adam, Adagrad",
                    ConcatRun(TableConfig::ADAM, DenseOptimizerConfig::ADAGRAD));
  runs.emplace_back("sum, row-wise Adagrad", SumRun(TableConfig::ROWWISE_ADAGRAD));
  SmallRun pairing_b = SumRun(TableConfig::ADAGRAD);
  pairing_b.model.model.mutable_loss()->mutable_softmax()->set_pairing(model::SoftmaxConfig::B);
  pairing_b.model.model.set_normalize(false);
  pairing_b.step.clip_norm = 0.5;
  pairing_b.dense.set_kind(DenseOptimizerConfig::SGD);
  runs.emplace_back("sum, Adagrad, SGD, pairing B, dot product, clipping", pairing_b);
  SmallRun full = SumRun(TableConfig::SGD);
  full.sampler.Clear();
  full.sampler.set_full_corpus(true);
  runs.emplace_back("sum, SGD, full corpus", full);
  SmallRun bpr = ConcatRun(TableConfig::SGD, DenseOptimizerConfig::SGD);
  bpr.sampler.Clear();
  bpr.sampler.set_mask_known_positives(true);
  bpr.model.model.mutable_loss()->mutable_bpr()->set_negatives(2);
  runs.emplace_back("concat, SGD, BPR", bpr);
  SmallRun bce = SumRun(TableConfig::ADAGRAD);
  bce.sampler.Clear();
  bce.sampler.set_row_negatives(sampler::SamplerConfig::POPULAR);
  bce.model.model.mutable_loss()->mutable_bce()->set_negatives(3);
  bce.model.model.mutable_user()->clear_history();
  bce.shuffle_block = 4;
  runs.emplace_back("sum, Adagrad, binary cross-entropy, rows that share vectors", bce);
  SmallRun symmetric = ConcatRun(TableConfig::SGD, DenseOptimizerConfig::ADAM);
  symmetric.sampler.set_mask_known_positives(true);
  symmetric.model.model.mutable_loss()->mutable_symmetric();
  runs.emplace_back("concat, symmetric", symmetric);
  SmallRun symmetric_b = SumRun(TableConfig::SGD);
  symmetric_b.model.model.mutable_user()->clear_history();
  symmetric_b.shuffle_block = 4;
  symmetric_b.model.model.mutable_loss()->mutable_symmetric()->mutable_softmax()->set_pairing(
      model::SoftmaxConfig::B);
  runs.emplace_back("sum, symmetric, pairing B, rows that share vectors", symmetric_b);
  SmallRun shared = SumRun(TableConfig::ADAM);
  shared.model.model.mutable_user()->clear_history();
  shared.shuffle_block = 4;
  shared.user_balance = 0.5;
  runs.emplace_back("sum, Adam, rows that share their user's vector", shared);
  for (auto& run : PartRuns()) runs.push_back(std::move(run));
  for (auto& [name, run] : runs) {
    run.model.tables.clear_learning_rate();
    run.dense.clear_learning_rate();
  }
  return runs;
}

// With a floor under the divisors of Adam and Adagrad. Their first steps divide by the size of one
// gradient: where that is near zero they blow rounding up to a whole learning rate, and two paths
// of many steps part. Single steps of stock runs are compared in step_equality_test.cc.
inline std::vector<std::pair<std::string, SmallRun>> SmallRuns() {
  auto runs = StockRuns();
  for (auto& [name, run] : runs) {
    // From this start all paths stay within 1e-5. From others (2 of 12 tried) one step can meet a
    // vector of almost length 0, whose normalisation enlarges rounding by 1 / length, on any number
    // of ranks.
    run.model.seed = 4;
    run.model.tables.set_learning_rate(0.02);
    run.model.tables.set_epsilon(1e-2);
    run.model.tables.set_initial_accumulator(0.01);
    run.dense.set_learning_rate(0.003);
    run.dense.set_epsilon(1e-2);
  }
  return runs;
}

inline FakeDatasetOptions SmallData() {
  return {.users = 31, .items = 29, .train_per_user = 6, .test_per_user = 1, .weights = true};
}

// How many numbers the computation of a step may read back from its device. A temperature that is
// learned: the fused loss takes it as a number. The symmetric loss: where the lists of excluded
// columns begin, once in each of its four stages.
inline size_t MostReads(const std::string& run) {
  return (run.find("temperature") != std::string::npos ? 2 : 0) +
         (run.find("symmetric") != std::string::npos ? 4 : 0);
}

}  // namespace torii::testing
