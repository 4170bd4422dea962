#include <cmath>

#include "trainer/train_loop.h"

namespace torii::trainer {
namespace {

void CheckDense(const DenseOptimizerConfig& dense, const ConfigRules& rules) {
  const auto fraction = [&](const char* field, double value) {
    rules.Require(value >= 0 && value < 1, field, value, "in [0, 1)");
  };
  rules.Require(dense.learning_rate() >= 0 && std::isfinite(dense.learning_rate()), "learning_rate",
                dense.learning_rate(), "a finite number of at least 0");
  fraction("beta1", dense.beta1());
  fraction("beta2", dense.beta2());
  fraction("momentum", dense.momentum());
  rules.Require(dense.epsilon() >= 0, "epsilon", dense.epsilon(), "at least 0");
  rules.Require(dense.weight_decay() >= 0, "weight_decay", dense.weight_decay(), "at least 0");
}

}  // namespace

void Validate(const TrainConfig& c, const ConfigRules& rules) {
  const auto at_least = [](const ConfigRules& of, int64_t least, const char* field, int64_t value) {
    of.Require(value >= least, field, value, absl::StrCat("at least ", least));
  };
  at_least(rules, 1, "global_batch", c.global_batch());
  at_least(rules, 1, "epochs", c.epochs());
  at_least(rules, 1, "shuffle_block", c.shuffle_block());
  at_least(rules, 0, "max_steps", c.max_steps());
  at_least(rules, 0, "log_every", c.log_every());
  at_least(rules, 0, "eval_every_epochs", c.eval_every_epochs());
  at_least(rules, 0, "eval_every_steps", c.eval_every_steps());
  at_least(rules, 0, "patience", c.patience());
  at_least(rules, 0, "prefetch", c.prefetch());
  at_least(rules, 1, "embed_batch", c.embed_batch());
  rules.Require(c.user_balance() >= 0 && c.user_balance() <= 1, "user_balance", c.user_balance(),
                "in [0, 1]");
  rules.Require(c.clip_norm() >= 0, "clip_norm", c.clip_norm(), "at least 0");
  const ConfigRules checkpoint = rules.In("checkpoint");
  at_least(checkpoint, 0, "every_epochs", c.checkpoint().every_epochs());
  at_least(checkpoint, 0, "every_steps", c.checkpoint().every_steps());
  at_least(checkpoint, 1, "keep", c.checkpoint().keep());
  const ConfigRules schedule = rules.In("schedule");
  at_least(schedule, 0, "warmup_steps", c.schedule().warmup_steps());
  schedule.Require(c.schedule().min_factor() >= 0 && c.schedule().min_factor() <= 1, "min_factor",
                   c.schedule().min_factor(), "in [0, 1]");
  CheckDense(c.dense(), rules.In("dense"));
}

}  // namespace torii::trainer
