#include "model/sequence/gru.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "model/sequence/time_major.h"
#include "tests/model/sequence/random_sequences.h"

namespace torii::model {
namespace {

constexpr int64_t kHidden = 4;

// A network whose weights, first state included, are all random.
struct Network {
  Network() {
    GruSequence config;
    config.set_hidden(kHidden);
    gru = MakeGruSequence(config, "user.history", kRowWidth, parameters);
    parameters.Allocate(3);
    parameters.flat().copy_(Normal({parameters.size()}));
  }
  at::Tensor Forward(const Sequences& s) const { return gru->Forward(s, NoDropout()); }

  DenseParameters parameters;
  std::unique_ptr<SequenceEncoder> gru;
};

// The formulas of gru.h, event by event, in float64. weights: in the order of registration.
at::Tensor Reference(const std::vector<at::Tensor>& weights, const at::Tensor& rows,
                     const Sequences& s) {
  const at::Tensor &w = weights[0], &b = weights[1], &u = weights[2], &c = weights[3];
  std::vector<at::Tensor> last;
  for (int64_t i = 0; i + 1 < s.offsets.numel(); ++i) {
    at::Tensor h = weights[4];
    for (int64_t k = s.offsets[i].item<int64_t>(); k < s.offsets[i + 1].item<int64_t>(); ++k) {
      const at::Tensor x = rows[s.index[k].item<int64_t>()];
      const auto of_input = (at::mv(w, x) + b).chunk(3), of_state = (at::mv(u, h) + c).chunk(3);
      const at::Tensor r = at::sigmoid(of_input[0] + of_state[0]);
      const at::Tensor z = at::sigmoid(of_input[1] + of_state[1]);
      const at::Tensor g = at::tanh(of_input[2] + r * of_state[2]);
      h = (1 - z) * g + z * h;
    }
    last.push_back(h);
  }
  return at::stack(last);
}

bool Near(const at::Tensor& a, const at::Tensor& b) {
  return at::allclose(a.to(at::kDouble), b.to(at::kDouble), 1e-4, 1e-5);
}

TEST(GruTest, ValueAndGradientsAreThoseOfTheFormulas) {
  for (const std::vector<int64_t>& lengths :
       {std::vector<int64_t>{3, 0, 1, 5, 3}, {1}, {0}, {0, 0, 2}, {4, 4}}) {
    Network network;
    const auto owned = RandomSequences(lengths, 6);
    const Sequences& s = *owned;
    const at::Tensor toward = Normal({std::ssize(lengths), kHidden});
    const at::Tensor got = network.Forward(s);
    got.backward(toward);

    std::vector<at::Tensor> weights;
    for (size_t i = 0; i < network.parameters.info().size(); ++i) {
      weights.push_back(
          network.parameters.Get(static_cast<int>(i)).detach().to(at::kDouble).requires_grad_());
    }
    const at::Tensor rows = s.rows.detach().to(at::kDouble).requires_grad_();
    const at::Tensor want = Reference(weights, rows, s);
    EXPECT_TRUE(Near(got.detach(), want.detach())) << got << want;
    want.backward(toward.to(at::kDouble));
    for (size_t i = 0; i < weights.size(); ++i) {
      const at::Tensor expected =
          weights[i].grad().defined() ? weights[i].grad() : at::zeros_like(weights[i]);
      EXPECT_TRUE(Near(network.parameters.GradientOf(static_cast<int>(i)), expected))
          << network.parameters.info()[i].name;
    }
    if (s.index.numel() > 0) {
      EXPECT_TRUE(Near(s.rows.grad(), rows.grad()));
    }
  }
}

TEST(GruTest, OrderOfTheEventsMatters) {
  const Network network;
  const auto owned = RandomSequences({4}, 6);
  Sequences s = *owned;
  const at::Tensor before = network.Forward(s).detach();
  s.index = s.index.index_select(0, at::tensor({0, 2, 1, 3}, at::kLong));
  EXPECT_GT((network.Forward(s).detach() - before).abs().max().item<double>(), 1e-3);
}

TEST(GruTest, EmptyHistoryGivesTheLearnedFirstState) {
  Network network;
  const at::Tensor out = network.Forward(*RandomSequences({0, 2, 0}, 6)).detach();
  const at::Tensor first = network.parameters.Get(4).detach();
  EXPECT_TRUE(at::equal(out[0], first) && at::equal(out[2], first));
  EXPECT_FALSE(at::equal(out[1], first));
  EXPECT_EQ(network.parameters.info()[4].name, "user.history.gru.first_state");
}

TEST(TimeMajorTest, ReadsStepByStepTheLongestFirst) {
  const TimeMajor order =
      InTimeMajorOrder(std::vector<int64_t>{0, 2, 2, 5, 6, 8}, kernels::Device::Cpu());
  EXPECT_TRUE(at::equal(order.sequence, at::tensor({2, 0, 4, 3}, at::kLong)));
  EXPECT_TRUE(at::equal(order.running, at::tensor({4, 3, 1}, at::kLong)));
  EXPECT_TRUE(at::equal(order.event, at::tensor({2, 0, 6, 5, 3, 1, 7, 4}, at::kLong)));
  const TimeMajor nothing =
      InTimeMajorOrder(std::vector<int64_t>{0, 0, 0, 0}, kernels::Device::Cpu());
  EXPECT_EQ(nothing.sequence.numel() + nothing.running.numel() + nothing.event.numel(), 0);
}

}  // namespace
}  // namespace torii::model
