#include <cmath>

#include "absl/strings/str_cat.h"
#include "trainer/train_loop.h"

namespace torii::trainer {
namespace {

// Collects "field: value rule" messages.
class Rules {
 public:
  template <typename Value>
  void Require(bool holds, const char* field, Value value, const char* rule) {
    if (!holds) broken_.push_back(absl::StrCat("train.", field, ": ", value, " ", rule));
  }
  std::vector<std::string> Take() { return std::move(broken_); }

 private:
  std::vector<std::string> broken_;
};

void RequirePositiveRate(Rules& rules, const DenseOptimizerConfig& dense) {
  rules.Require(dense.learning_rate() >= 0 && std::isfinite(dense.learning_rate()),
                "dense.learning_rate", dense.learning_rate(), "is not a finite number >= 0");
  rules.Require(dense.beta1() >= 0 && dense.beta1() < 1, "dense.beta1", dense.beta1(),
                "is not in [0, 1)");
  rules.Require(dense.beta2() >= 0 && dense.beta2() < 1, "dense.beta2", dense.beta2(),
                "is not in [0, 1)");
  rules.Require(dense.epsilon() >= 0, "dense.epsilon", dense.epsilon(), "is negative");
  rules.Require(dense.weight_decay() >= 0, "dense.weight_decay", dense.weight_decay(),
                "is negative");
  rules.Require(dense.momentum() >= 0 && dense.momentum() < 1, "dense.momentum", dense.momentum(),
                "is not in [0, 1)");
}

}  // namespace

std::vector<std::string> Validate(const TrainConfig& c) {
  Rules rules;
  rules.Require(c.global_batch() >= 1, "global_batch", c.global_batch(), "is less than 1");
  rules.Require(c.epochs() >= 1, "epochs", c.epochs(), "is less than 1");
  rules.Require(c.shuffle_block() >= 1, "shuffle_block", c.shuffle_block(), "is less than 1");
  rules.Require(c.user_balance() >= 0 && c.user_balance() <= 1, "user_balance", c.user_balance(),
                "is not in [0, 1]");
  rules.Require(c.max_steps() >= 0, "max_steps", c.max_steps(), "is negative");
  rules.Require(c.clip_norm() >= 0, "clip_norm", c.clip_norm(), "is negative");
  rules.Require(c.log_every() >= 0, "log_every", c.log_every(), "is negative");
  rules.Require(c.eval_every_epochs() >= 0, "eval_every_epochs", c.eval_every_epochs(),
                "is negative");
  rules.Require(c.eval_every_steps() >= 0, "eval_every_steps", c.eval_every_steps(), "is negative");
  rules.Require(c.patience() >= 0, "patience", c.patience(), "is negative");
  rules.Require(c.prefetch() >= 0, "prefetch", c.prefetch(), "is negative");
  rules.Require(c.embed_batch() >= 1, "embed_batch", c.embed_batch(), "is less than 1");
  rules.Require(c.checkpoint().every_epochs() >= 0, "checkpoint.every_epochs",
                c.checkpoint().every_epochs(), "is negative");
  rules.Require(c.checkpoint().every_steps() >= 0, "checkpoint.every_steps",
                c.checkpoint().every_steps(), "is negative");
  rules.Require(c.checkpoint().keep() >= 1, "checkpoint.keep", c.checkpoint().keep(),
                "is less than 1");
  rules.Require(c.schedule().warmup_steps() >= 0, "schedule.warmup_steps",
                c.schedule().warmup_steps(), "is negative");
  rules.Require(c.schedule().min_factor() >= 0 && c.schedule().min_factor() <= 1,
                "schedule.min_factor", c.schedule().min_factor(), "is not in [0, 1]");
  RequirePositiveRate(rules, c.dense());
  return rules.Take();
}

}  // namespace torii::trainer
