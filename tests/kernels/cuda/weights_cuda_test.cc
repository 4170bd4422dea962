// Dense weights and random rows by the kernels of a GPU, against the CPU's.
#include <cmath>
#include <limits>

#include "kernels/dense_weights.h"
#include "tests/kernels/cuda/cuda_support.h"

namespace torii::kernels::cuda {
namespace {

class WeightsCudaTest : public CudaTest {};
class RandomCudaTest : public CudaTest {};

WeightTensors Train(const Device& device, OptimizerRule rule, bool decoupled, int64_t size) {
  const at::TensorOptions floats = at::device(device.torch()).dtype(at::kFloat);
  WeightTensors w{Normals({size}, "weight").to(device.torch()), at::Tensor(),
                  at::ones({size}, floats), at::zeros({size}, floats), at::zeros({size}, floats)};
  w.decays.slice(0, 0, size / 2).zero_();
  for (int64_t step = 0; step < 3; ++step) {
    w.gradient = Normals({size}, "gradient").to(device.torch()) * static_cast<double>(step + 1);
    UpdateWeights(device,
                  StepOf({.rule = rule,
                          .learning_rate = 0.1,
                          .epsilon = 1e-8,
                          .beta1 = 0.9,
                          .beta2 = 0.99,
                          .momentum = 0.8,
                          .decay = 0.05,
                          .decoupled = decoupled},
                         0.7, step, BiasCorrection::kInRate),
                  w);
  }
  return w;
}

TEST_F(WeightsCudaTest, OptimizersEqualTheCpus) {
  for (const OptimizerRule rule : {OptimizerRule::kSgd, OptimizerRule::kMomentum,
                                   OptimizerRule::kAdagrad, OptimizerRule::kAdam}) {
    for (const bool decoupled : {false, true}) {
      for (const int64_t size : {0, 1, 31, 1003}) {
        const WeightTensors want = Train(kCpu, rule, decoupled, size);
        const WeightTensors got = Train(Gpu(), rule, decoupled, size);
        ExpectNear(got.weight, want.weight, 1e-6, "weights");
        ExpectNear(got.first, want.first, 1e-6, "first");
        ExpectNear(got.second, want.second, 1e-6, "second");
      }
    }
  }
}

TEST_F(WeightsCudaTest, ClippingEqualsTheCpus) {
  InBothOrders([] {
    for (const int64_t size : {0, 1, 129, 8192, 20011}) {
      for (const double most : {0.0, 1.0, 1e6}) {
        at::Tensor want = Normals({size}, "gradient"), got = There(want.clone());
        ExpectNear(ClipGradient(Gpu(), got, most), ClipGradient(kCpu, want, most), 1e-6, "norm");
        ExpectNear(got, want, 1e-6, "gradient");
      }
    }
  });
}

TEST_F(WeightsCudaTest, TheLengthOfAGradientWithNaNIsNaNAndClipsNothing) {
  at::Tensor gradient = Normals({300}, "gradient");
  gradient[7] = std::numeric_limits<float>::quiet_NaN();
  at::Tensor clipped = There(gradient.clone());
  EXPECT_TRUE(std::isnan(NumberOf(ClipGradient(Gpu(), clipped, 0.1))));
  EXPECT_TRUE(at::allclose(Back(clipped), gradient, 0, 0, /*equal_nan=*/true));
}

// Whether a gate that is `was_open` is open after a step with these numbers.
bool IsOpenAfter(const Device& device, bool was_open, double loss, double norm) {
  const at::TensorOptions numbers = at::device(device.torch()).dtype(at::kDouble);
  const at::Tensor first = at::full({1}, loss, numbers), second = at::full({1}, norm, numbers);
  at::Tensor gate = at::full({1}, was_open, numbers.dtype(at::kBool));
  device.kernels().close_gate({.loss = first.const_data_ptr<double>(),
                               .gradient_norm = second.const_data_ptr<double>(),
                               .is_open = gate.mutable_data_ptr<bool>()});
  return ListOf<bool>(gate)[0];
}

TEST_F(WeightsCudaTest, AGateClosesForGoodWhenANumberIsNotFinite) {
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (const Device& device : {Gpu(), kCpu}) {
    EXPECT_TRUE(IsOpenAfter(device, true, -3, 1e308));
    EXPECT_FALSE(IsOpenAfter(device, false, 1, 1));
    for (const double bad : {kNaN, kInfinity, -kInfinity}) {
      EXPECT_FALSE(IsOpenAfter(device, true, bad, 1)) << device.name();
      EXPECT_FALSE(IsOpenAfter(device, true, 1, bad)) << device.name();
    }
  }
}

TEST_F(WeightsCudaTest, BehindAClosedGateNothingChanges) {
  for (const bool is_open : {false, true}) {
    const at::Tensor gate = There(at::full({1}, is_open, at::kBool));
    at::Tensor x = There(Normals({4, 300}, "weights")), before = x.clone();
    float* const floats = x.mutable_data_ptr<float>();
    const OptimizerStep step =
        StepOf({.rule = OptimizerRule::kAdam, .learning_rate = 0.1, .beta1 = 0.9, .beta2 = 0.9}, 1,
               0, BiasCorrection::kInRate);
    Gpu().kernels().update_weights({.step = step,
                                    .size = 300,
                                    .weight = floats,
                                    .gradient = floats + 900,
                                    .decays = floats + 900,
                                    .first = floats + 300,
                                    .second = floats + 600,
                                    .gate = gate.const_data_ptr<bool>()});
    EXPECT_NE(at::equal(x, before), is_open);
  }
}

TEST_F(RandomCudaTest, NormalRowsEqualTheCpusForAnyFirstRowAndStep) {
  const RandomStream stream(9, "rows", 4);
  for (const int64_t dim : {1, 4, 7, 130}) {
    for (const int64_t step : {1, 3}) {
      const at::Tensor want = at::full({31, dim + 2}, -1.0, at::kFloat);
      const at::Tensor got = There(want.clone());
      FillNormalRows(Gpu(), stream, 5'000'000'000, step, 0.5F, got.slice(1, 1, dim + 1));
      FillNormalRows(kCpu, stream, 5'000'000'000, step, 0.5F, want.slice(1, 1, dim + 1));
      ExpectNear(got, want, 1e-6, "normal rows");
      EXPECT_TRUE(at::all(got.slice(1, dim + 1) == -1.0).item<bool>());
    }
  }
}

TEST_F(RandomCudaTest, DropoutMasksAreTheCpus) {
  const RandomStream stream(9, "dropout", 4);
  for (const int64_t n : {0, 1, 31}) {
    for (const int64_t width : {1, 6, 129}) {
      const at::Tensor key = SkewedIndices(n, 1'000'000'000'000, "keys");
      EXPECT_TRUE(at::equal(Back(DropoutMask(Gpu(), stream, There(key), width, 0.3)),
                            DropoutMask(kCpu, stream, key, width, 0.3)));
    }
  }
}

}  // namespace
}  // namespace torii::kernels::cuda
