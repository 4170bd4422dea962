#include "model/trunk/residual.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace torii::model {
namespace {

const DropoutStep kNoDropout;

at::Tensor Normal(at::IntArrayRef sizes) {
  static std::mt19937_64 random{21};
  std::normal_distribution<float> normal;
  at::Tensor out = at::empty(sizes, at::kFloat);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<float>()[i] = normal(random);
  return out;
}

ResidualTrunk Blocks(int blocks, int width, int hidden) {
  ResidualTrunk config;
  config.set_blocks(blocks);
  config.set_width(width);
  config.set_hidden(hidden);
  return config;
}

struct Stack {
  Stack(const ResidualTrunk& config, int64_t in) {
    trunk = MakeResidualTrunk(config, {"user.trunk", "user.hidden", "", in, 6}, parameters);
    parameters.Allocate(3);
  }
  at::Tensor Forward(const at::Tensor& x) const {
    return trunk->Forward({x, {}}, RowDropout("user", kNoDropout, {})).Apply();
  }
  DenseParameters parameters;
  std::unique_ptr<Trunk> trunk;
};

// x <- skip(x) + W2 relu(W1 LayerNorm(x) + b1) + b2 in float64. weights: in order of registration.
at::Tensor Reference(const std::vector<at::Tensor>& weights, at::Tensor x, int blocks,
                     bool projected) {
  auto next = weights.begin();
  at::Tensor skip = x;
  if (projected) {
    skip = at::matmul(x, next[0].t()) + next[1];
    next += 2;
  }
  for (int b = 0; b < blocks; ++b, next += 6) {
    const at::Tensor centred = x - x.mean(1, /*keepdim=*/true);
    const at::Tensor variance = (centred * centred).mean(1, /*keepdim=*/true);
    const at::Tensor norm = centred / (variance + 1e-5).sqrt() * next[0] + next[1];
    const at::Tensor inner = at::relu(at::matmul(norm, next[2].t()) + next[3]);
    x = skip + at::matmul(inner, next[4].t()) + next[5];
    skip = x;
  }
  return x;
}

bool Near(const at::Tensor& a, const at::Tensor& b) {
  return at::allclose(a.to(at::kDouble), b.to(at::kDouble), 1e-4, 1e-4);
}

TEST(ResidualTrunkTest, ValueAndGradientsAreThoseOfTheFormulas) {
  for (const int64_t in : {6, 9}) {
    for (const int64_t n : {0, 1, 13}) {
      Stack stack(Blocks(3, 6, 7), in);
      stack.parameters.flat().add_(Normal({stack.parameters.size()}), 0.5);
      const at::Tensor x = Normal({n, in}).requires_grad_(), toward = Normal({n, 6});
      const at::Tensor got = stack.Forward(x);
      ASSERT_EQ(got.sizes(), at::IntArrayRef({n, 6}));
      got.backward(toward);

      std::vector<at::Tensor> weights;
      for (size_t i = 0; i < stack.parameters.info().size(); ++i) {
        const at::Tensor& weight = stack.parameters.Get(static_cast<int>(i));
        weights.push_back(weight.detach().to(at::kDouble).requires_grad_());
      }
      const at::Tensor x64 = x.detach().to(at::kDouble).requires_grad_();
      const at::Tensor want = Reference(weights, x64, 3, in != 6);
      EXPECT_TRUE(Near(got.detach(), want.detach()));
      want.backward(toward.to(at::kDouble));
      EXPECT_TRUE(Near(x.grad(), x64.grad()));
      for (size_t i = 0; i < weights.size(); ++i) {
        EXPECT_TRUE(Near(stack.parameters.GradientOf(static_cast<int>(i)), weights[i].grad()))
            << stack.parameters.info()[i].name;
      }
    }
  }
}

TEST(ResidualTrunkTest, StartsAsTheIdentity) {
  const at::Tensor x = Normal({4, 6});
  EXPECT_TRUE(at::equal(Stack(Blocks(5, 0, 0), 6).Forward(x).detach(), x));
  // And learns from the first step on.
  Stack stack(Blocks(2, 0, 0), 6);
  stack.Forward(x).sum().backward();
  EXPECT_GT(stack.parameters.grad().abs().sum().item<float>(), 0);
}

TEST(ResidualTrunkTest, HasAProjectionWhereWidthsDiffer) {
  EXPECT_EQ(Stack(Blocks(2, 6, 0), 6).parameters.info()[0].name, "user.trunk.0.norm.weight");
  const Stack other(Blocks(2, 8, 0), 6);
  EXPECT_EQ(other.parameters.info()[0].name, "user.trunk.projection.weight");
  EXPECT_EQ(other.trunk->width(), 8);
}

}  // namespace
}  // namespace torii::model
