#include "model/net.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace torii::model {
namespace {

const DropoutStep kNoDropout;

std::unique_ptr<Net> MakeNet(const std::string& text) {
  ModelConfig config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config)) << text;
  auto net = Net::Create(config, {20, {}}, {10, {}}, /*seed=*/3, kernels::Device::Cpu());
  EXPECT_TRUE(net.ok()) << net.status();
  return std::move(net).value();
}

at::Tensor Normal(at::IntArrayRef sizes) {
  static std::mt19937_64 random{77};
  std::normal_distribution<float> normal;
  at::Tensor out = at::empty(sizes, at::kFloat);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<float>()[i] = normal(random);
  return out;
}

TowerInput Ids(const at::Tensor& rows) {
  const int64_t n = rows.size(0);
  return {n, {{rows, at::arange(n, at::kLong), {}, {}, {}}}, {}};
}

std::vector<std::string> Names(const Net& net) {
  std::vector<std::string> names;
  for (const ParameterInfo& info : net.dense().info()) names.push_back(info.name);
  return names;
}

// The names that weights had when their first values were chosen.
TEST(NetTest, WeightsAreNamedByTheirPartAndKeepTheirFirstValues) {
  const auto net = MakeNet("dim: 4 user { trunk { mlp { hidden: [5, 3] layer_norm: true } } } ");
  EXPECT_EQ(Names(*net),
            (std::vector<std::string>{
                "user.trunk.0.weight", "user.trunk.0.bias", "user.trunk.0.norm.weight",
                "user.trunk.0.norm.bias", "user.trunk.1.weight", "user.trunk.1.bias",
                "user.trunk.1.norm.weight", "user.trunk.1.norm.bias", "user.head.weight",
                "user.head.bias", "item.head.weight", "item.head.bias"}));
  EXPECT_EQ(net->dense().info()[0].init_key, "user.hidden0.weight");
  EXPECT_EQ(net->dense().info()[4].init_key, "user.hidden1.weight");
  EXPECT_EQ(net->dense().info()[8].init_key, "user.final.weight");
  EXPECT_EQ(net->dense().info()[10].init_key, "item.final.weight");
}

// One weight for both towers: in float64, its gradient is the sum of what each tower sends.
TEST(NetTest, SharedTrunkIsOneTensorWhoseGradientIsTheSumOverBothTowers) {
  const auto net = MakeNet(
      "dim: 4 normalize: false user { trunk { mlp { hidden: 6 } } } "
      "item { trunk { mlp { hidden: 6 } } } shared_trunk { mlp { hidden: 5 } }");
  EXPECT_EQ(Names(*net),
            (std::vector<std::string>{"shared.trunk.0.weight", "shared.trunk.0.bias",
                                      "user.trunk.0.weight", "user.trunk.0.bias",
                                      "user.head.weight", "user.head.bias", "item.trunk.0.weight",
                                      "item.trunk.0.bias", "item.head.weight", "item.head.bias"}));
  net->dense().flat().add_(Normal({net->dense().size()}), 0.1);
  const at::Tensor users = Normal({9, 4}), items = Normal({7, 4});
  const at::Tensor toward_q = Normal({9, 4}), toward_v = Normal({7, 4});
  const at::Tensor q = net->user().Forward(Ids(users), kNoDropout);
  const at::Tensor v = net->item().Forward(Ids(items), kNoDropout);
  torch::autograd::backward({q, v}, {toward_q, toward_v});

  std::vector<at::Tensor> w;
  for (size_t i = 0; i < net->dense().info().size(); ++i) {
    w.push_back(net->dense().Get(static_cast<int>(i)).detach().to(at::kDouble).requires_grad_());
  }
  // first: of the tower's own weights.
  const auto tower = [&](const at::Tensor& x, size_t first) {
    const at::Tensor own = at::relu(at::matmul(x.to(at::kDouble), w[first].t()) + w[first + 1]);
    const at::Tensor shared = at::relu(at::matmul(own, w[0].t()) + w[1]);
    return at::matmul(shared, w[first + 2].t()) + w[first + 3];
  };
  const at::Tensor q64 = tower(users, 2), v64 = tower(items, 6);
  EXPECT_TRUE(at::allclose(q.detach().to(at::kDouble), q64.detach(), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(v.detach().to(at::kDouble), v64.detach(), 1e-5, 1e-5));
  torch::autograd::backward({q64, v64}, {toward_q.to(at::kDouble), toward_v.to(at::kDouble)});
  for (size_t i = 0; i < w.size(); ++i) {
    EXPECT_TRUE(at::allclose(net->dense().GradientOf(static_cast<int>(i)).to(at::kDouble),
                             w[i].grad(), 1e-4, 1e-5))
        << Names(*net)[i];
  }
}

TEST(NetTest, SaysWhenUsersHaveOneVector) {
  EXPECT_TRUE(MakeNet("user { trunk { mlp { hidden: 5 } } }")->users_have_one_vector());
  EXPECT_FALSE(MakeNet("user { history {} }")->users_have_one_vector());
  for (const char* config : {"user { trunk { mlp { hidden: 5 dropout: 0.1 } } }",
                             "user { trunk { residual { dropout: 0.1 } } }",
                             "shared_trunk { mlp { hidden: 5 dropout: 0.1 } }"}) {
    EXPECT_FALSE(MakeNet(config)->users_have_one_vector()) << config;
  }
}

}  // namespace
}  // namespace torii::model
