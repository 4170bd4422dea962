#include "model/linear_layers.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace torii::model {
namespace {

const kernels::Device kCpu = kernels::Device::Cpu();

at::Tensor Normal(at::IntArrayRef sizes) {
  static std::mt19937_64 random{31};
  std::normal_distribution<float> normal;
  at::Tensor out = at::empty(sizes, at::kFloat);
  for (int64_t i = 0; i < out.numel(); ++i) out.mutable_data_ptr<float>()[i] = normal(random);
  return out;
}

at::Tensor Leaf(const at::Tensor& values) {
  at::Tensor leaf = values.clone().requires_grad_();
  leaf.mutable_grad() = at::zeros_like(values);
  return leaf;
}

std::vector<LinearWeights> Layers(const std::vector<int64_t>& widths) {
  std::vector<LinearWeights> layers;
  for (size_t l = 0; l + 1 < widths.size(); ++l) {
    layers.push_back({Leaf(Normal({widths[l + 1], widths[l]})), Leaf(Normal({widths[l + 1]}))});
  }
  return layers;
}

std::vector<LinearWeights> Copies(const std::vector<LinearWeights>& layers) {
  std::vector<LinearWeights> copies;
  for (const LinearWeights& layer : layers) {
    copies.push_back({Leaf(layer.weight.detach()), Leaf(layer.bias.detach())});
  }
  return copies;
}

bool Near(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() &&
         (a.numel() == 0 || (a - b).abs().max().item<double>() <=
                                1e-5 * std::max(1e-3, b.abs().max().item<double>()));
}

class Threads {
 public:
  explicit Threads(int n) : before_(at::get_num_threads()) { at::set_num_threads(n); }
  ~Threads() { at::set_num_threads(before_); }

 private:
  int before_;
};

TEST(LinearLayersTest, EqualTheCompositionForwardAndBackward) {
  for (const auto& widths :
       {std::vector<int64_t>{64, 128, 64}, {5, 7}, {3, 9, 17, 6}, {12}, {2, 40}}) {
    for (const int64_t n : {0, 1, 37, 300}) {
      for (const bool normalize : {false, true}) {
        const std::vector<LinearWeights> layers = Layers(widths), copies = Copies(layers);
        const at::Tensor values = Normal({n, widths.front()});
        const at::Tensor x = values.clone().requires_grad_(), x2 = values.clone().requires_grad_();
        const at::Tensor toward = Normal({n, widths.back()});
        const at::Tensor y = LinearLayers(x, layers, normalize, kCpu);
        const at::Tensor expected = ComposedLinearLayers(x2, copies, normalize);
        EXPECT_TRUE(Near(y.detach(), expected.detach())) << widths << " rows " << n;
        y.backward(toward);
        expected.backward(toward);
        EXPECT_TRUE(Near(x.grad(), x2.grad())) << widths << " rows " << n;
        for (size_t l = 0; l < layers.size(); ++l) {
          EXPECT_TRUE(Near(layers[l].weight.grad(), copies[l].weight.grad())) << widths;
          EXPECT_TRUE(Near(layers[l].bias.grad(), copies[l].bias.grad())) << widths;
        }
      }
    }
  }
}

TEST(LinearLayersTest, SameBitsOnAnyNumberOfThreads) {
  const std::vector<LinearWeights> layers = Layers({64, 128, 64});
  const at::Tensor values = Normal({1900, 64}), toward = Normal({1900, 64});
  std::vector<std::vector<at::Tensor>> results;
  for (const int threads : {1, 2, 3, 7}) {
    const Threads these(threads);
    const std::vector<LinearWeights> copies = Copies(layers);
    const at::Tensor x = values.clone().requires_grad_();
    const at::Tensor y = LinearLayers(x, copies, true, kCpu);
    y.backward(toward);
    results.push_back({y.detach(), x.grad()});
    for (const LinearWeights& layer : copies) {
      results.back().push_back(layer.weight.grad());
      results.back().push_back(layer.bias.grad());
    }
    for (size_t i = 0; i < results[0].size(); ++i) {
      EXPECT_TRUE(at::equal(results.back()[i], results[0][i])) << threads << " threads, " << i;
    }
  }
}

TEST(LinearLayersTest, GradientsAddUpAndInputsMayWantNone) {
  const std::vector<LinearWeights> layers = Layers({6, 8, 4});
  const at::Tensor x = Normal({50, 6});  // no gradient of its own
  LinearLayers(x, layers, false, kCpu).sum().backward();
  const at::Tensor once = layers[0].weight.grad().clone();
  EXPECT_GT(once.abs().sum().item<float>(), 0);
  LinearLayers(x, layers, false, kCpu).sum().backward();
  EXPECT_TRUE(Near(layers[0].weight.grad(), once * 2));
}

TEST(LinearLayersTest, LayerThatIsUsedTwiceGetsTheSumOfItsGradients) {
  const std::vector<LinearWeights> layers = Layers({6, 6}), copies = Copies(layers);
  const at::Tensor values = Normal({30, 6}), toward = Normal({30, 6});
  const auto twice = [&](auto function, const std::vector<LinearWeights>& weights) {
    const at::Tensor x = values.clone().requires_grad_();
    function(function(x, weights, false), weights, true).backward(toward);
    return x.grad();
  };
  const auto kernels = [](const at::Tensor& x, const std::vector<LinearWeights>& weights,
                          bool normalize) { return LinearLayers(x, weights, normalize, kCpu); };
  EXPECT_TRUE(Near(twice(kernels, layers), twice(ComposedLinearLayers, copies)));
  EXPECT_TRUE(Near(layers[0].weight.grad(), copies[0].weight.grad()));
  EXPECT_TRUE(Near(layers[0].bias.grad(), copies[0].bias.grad()));
}

TEST(LinearLayersTest, WithoutGradientsTheResultHasNoGraphAndTheSameBits) {
  const std::vector<LinearWeights> layers = Layers({20, 33, 9});
  const at::Tensor x = Normal({120, 20});
  const at::Tensor y = LinearLayers(x, layers, true, kCpu);
  EXPECT_TRUE(y.requires_grad());
  const at::NoGradGuard no_grad;
  const at::Tensor same = LinearLayers(x, layers, true, kCpu);
  EXPECT_FALSE(same.requires_grad());
  EXPECT_TRUE(at::equal(same, y.detach()));
}

TEST(LinearLayersTest, OtherTypesAndLayoutsWork) {
  std::vector<LinearWeights> layers = Layers({6, 5});
  const at::Tensor x = Normal({6, 40}).t();  // not contiguous
  const at::Tensor y = LinearLayers(x, layers, true, kCpu).detach();
  EXPECT_TRUE(Near(y, ComposedLinearLayers(x.contiguous(), layers, true).detach()));
  layers = {{layers[0].weight.detach().to(at::kDouble), layers[0].bias.detach().to(at::kDouble)}};
  const at::Tensor doubles = LinearLayers(x.to(at::kDouble), layers, true, kCpu);
  EXPECT_EQ(doubles.scalar_type(), at::kDouble);
  EXPECT_TRUE(Near(doubles.to(at::kFloat), y));
}

}  // namespace
}  // namespace torii::model
