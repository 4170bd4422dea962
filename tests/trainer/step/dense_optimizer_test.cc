#include "trainer/step/dense_optimizer.h"

#include <ATen/ATen.h>

#include <cmath>

#include "gtest/gtest.h"

namespace torii::trainer {
namespace {

Schedule MakeSchedule(Schedule::Kind kind, int64_t warmup, double floor = 0) {
  Schedule schedule;
  schedule.set_kind(kind);
  schedule.set_warmup_steps(warmup);
  schedule.set_min_factor(floor);
  return schedule;
}

TEST(ScheduleFactorTest, WarmsUpLinearlyToOne) {
  for (const auto kind :
       {Schedule::CONSTANT, Schedule::LINEAR, Schedule::COSINE, Schedule::INVERSE_SQRT}) {
    const Schedule schedule = MakeSchedule(kind, 10);
    EXPECT_DOUBLE_EQ(ScheduleFactor(schedule, 0, 100), 0.1);
    EXPECT_DOUBLE_EQ(ScheduleFactor(schedule, 4, 100), 0.5);
    EXPECT_DOUBLE_EQ(ScheduleFactor(schedule, 9, 100), 1.0);
    EXPECT_DOUBLE_EQ(ScheduleFactor(schedule, 10, 100), 1.0);
  }
}

TEST(ScheduleFactorTest, EndsWhereTheCurveSays) {
  EXPECT_DOUBLE_EQ(ScheduleFactor(MakeSchedule(Schedule::CONSTANT, 0), 99, 100), 1.0);
  EXPECT_DOUBLE_EQ(ScheduleFactor(MakeSchedule(Schedule::LINEAR, 0), 100, 100), 0.0);
  EXPECT_DOUBLE_EQ(ScheduleFactor(MakeSchedule(Schedule::LINEAR, 0), 25, 100), 0.75);
  EXPECT_NEAR(ScheduleFactor(MakeSchedule(Schedule::COSINE, 0, 0.1), 100, 100), 0.1, 1e-12);
  EXPECT_NEAR(ScheduleFactor(MakeSchedule(Schedule::COSINE, 0, 0.1), 50, 100), 0.55, 1e-12);
  EXPECT_DOUBLE_EQ(ScheduleFactor(MakeSchedule(Schedule::INVERSE_SQRT, 25), 100, 1000), 0.5);
}

// A double-precision reference of every optimizer, against the float32 one, over several steps.
class Reference {
 public:
  explicit Reference(const DenseOptimizerConfig& config) : c_(config) {}
  void Step(std::vector<double>& w, const std::vector<double>& gradient,
            const std::vector<bool>& decay, double factor, int64_t step) {
    first_.resize(w.size());
    second_.resize(w.size());
    const double lr = c_.learning_rate() * factor;
    for (size_t i = 0; i < w.size(); ++i) {
      double g = gradient[i];
      if (decay[i] && c_.kind() == DenseOptimizerConfig::ADAMW)
        w[i] -= lr * c_.weight_decay() * w[i];
      if (decay[i] && c_.kind() != DenseOptimizerConfig::ADAMW) g += c_.weight_decay() * w[i];
      switch (c_.kind()) {
        case DenseOptimizerConfig::ADAM:
        case DenseOptimizerConfig::ADAMW: {
          const auto t = static_cast<double>(step + 1);
          first_[i] = c_.beta1() * first_[i] + (1 - c_.beta1()) * g;
          second_[i] = c_.beta2() * second_[i] + (1 - c_.beta2()) * g * g;
          const double m = first_[i] / (1 - std::pow(c_.beta1(), t));
          const double v = second_[i] / (1 - std::pow(c_.beta2(), t));
          w[i] -= lr * m / (std::sqrt(v) + c_.epsilon());
          break;
        }
        case DenseOptimizerConfig::ADAGRAD:
          second_[i] += g * g;
          w[i] -= lr * g / (std::sqrt(second_[i]) + c_.epsilon());
          break;
        case DenseOptimizerConfig::SGD:
          first_[i] = c_.momentum() * first_[i] + g;
          w[i] -= lr * first_[i];
          break;
      }
    }
  }

 private:
  DenseOptimizerConfig c_;
  std::vector<double> first_, second_;
};

TEST(DenseOptimizerTest, EqualsTheDoublePrecisionReference) {
  for (const auto kind : {DenseOptimizerConfig::ADAM, DenseOptimizerConfig::ADAMW,
                          DenseOptimizerConfig::ADAGRAD, DenseOptimizerConfig::SGD}) {
    DenseOptimizerConfig config;
    config.set_kind(kind);
    config.set_learning_rate(0.1);
    config.set_weight_decay(0.01);
    config.set_momentum(0.5);
    model::DenseParameters parameters;
    parameters.Add({"a.weight", {3, 4}, model::Init::kHe, /*decay=*/true});
    parameters.Add({"a.bias", {3}, model::Init::kOne, /*decay=*/false});
    parameters.Allocate(7);
    DenseOptimizer optimizer(config, parameters);
    Reference reference(config);

    const int64_t n = parameters.size();
    std::vector<double> weights;
    std::vector<bool> decay;
    for (int64_t i = 0; i < n; ++i) {
      weights.push_back(parameters.flat()[i].item<double>());
      decay.push_back(i < 12);
    }
    for (int64_t step = 0; step < 5; ++step) {
      std::vector<double> gradient;
      for (int64_t i = 0; i < n; ++i) {
        gradient.push_back(std::sin(static_cast<double>(i * 7 + step)));
        parameters.grad()[i] = gradient.back();
      }
      const double factor = 1.0 / static_cast<double>(step + 1);
      optimizer.Step({factor, step});
      reference.Step(weights, gradient, decay, factor, step);
    }
    for (int64_t i = 0; i < n; ++i) {
      EXPECT_NEAR(parameters.flat()[i].item<double>(), weights[static_cast<size_t>(i)], 2e-6)
          << DenseOptimizerConfig::Kind_Name(kind) << " " << i;
    }
  }
}

}  // namespace
}  // namespace torii::trainer
