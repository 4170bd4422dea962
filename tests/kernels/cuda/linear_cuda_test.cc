// Stacks of linear layers by the kernels of a GPU, against the CPU's.
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/linear_stack.h"
#include "tests/kernels/cuda/cuda_support.h"

namespace torii::kernels::cuda {
namespace {

class LinearCudaTest : public CudaTest {
 protected:
  static std::vector<LinearWeights> Layers(const std::vector<int64_t>& widths) {
    std::vector<LinearWeights> layers;
    for (size_t l = 0; l + 1 < widths.size(); ++l) {
      layers.push_back({Normals({widths[l + 1], widths[l]}, absl::StrCat("weight", l)).mul_(0.2),
                        Normals({widths[l + 1]}, absl::StrCat("bias", l))});
    }
    return layers;
  }
  static std::vector<LinearWeights> There(const std::vector<LinearWeights>& layers) {
    std::vector<LinearWeights> there;
    for (const LinearWeights& layer : layers) {
      there.push_back({CudaTest::There(layer.weight), CudaTest::There(layer.bias)});
    }
    return there;
  }
  using CudaTest::There;

  static void ExpectTheCpus(const std::vector<int64_t>& widths, int64_t n, bool normalize,
                            bool wants_x_grad) {
    SCOPED_TRACE(absl::StrCat(n, " rows, ", widths.size() - 1, " layers from ", widths.front(),
                              " to ", widths.back(), normalize ? ", normalized" : ""));
    const std::vector<LinearWeights> layers = Layers(widths), layers_there = There(layers);
    at::Tensor x = Normals({n, widths.front()}, "x");
    if (n > 2) x[1].zero_();
    const at::Tensor x_there = There(x);
    const at::Tensor gradient = Normals({n, widths.back()}, "gradient");
    const at::Tensor gradient_there = There(gradient);
    const LinearResult want = LinearStackForward(kCpu, x, layers, normalize, /*keep=*/true);
    const LinearResult got =
        LinearStackForward(Gpu(), x_there, layers_there, normalize, /*keep=*/true);
    ExpectNear(got.y, want.y, 1e-5, "y");
    EXPECT_TRUE(at::equal(
        got.y, LinearStackForward(Gpu(), x_there, layers_there, normalize, /*keep=*/false).y));
    const auto want_back =
        LinearStackBackward(kCpu, {x, want, gradient, wants_x_grad}, layers, normalize);
    const auto got_back = LinearStackBackward(Gpu(), {x_there, got, gradient_there, wants_x_grad},
                                              layers_there, normalize);
    ASSERT_EQ(got_back.size(), want_back.size());
    for (size_t i = 0; i < want_back.size(); ++i) {
      ASSERT_EQ(got_back[i].defined(), want_back[i].defined());
      if (want_back[i].defined()) {
        ExpectNear(got_back[i], want_back[i], 2e-5, absl::StrCat("gradient ", i).c_str());
      }
    }
  }
};

TEST_F(LinearCudaTest, StacksOfAllShapesAreTheCpus) {
  InBothOrders([] {
    for (const int64_t n : {0, 1, 31, 129}) {
      for (const std::vector<int64_t>& widths : std::vector<std::vector<int64_t>>{
               {5}, {64}, {1, 1}, {7, 130}, {64, 128, 64}, {65, 17, 3, 66}}) {
        for (const bool normalize : {false, true}) {
          if (widths.size() == 1 && !normalize) continue;
          ExpectTheCpus(widths, n, normalize, /*wants_x_grad=*/true);
        }
      }
    }
    ExpectTheCpus({12, 20, 8}, 31, true, /*wants_x_grad=*/false);
    ExpectTheCpus({12}, 31, true, /*wants_x_grad=*/false);
  });
}

// Sums over rows come in several parts.
TEST_F(LinearCudaTest, ManyRowsAreTheCpus) { ExpectTheCpus({20, 70, 8}, 1000, true, true); }

// Scores of pairs are compared with scores of tiles: the bits of a row are its own.
TEST_F(LinearCudaTest, ARowHasTheSameBitsInAnyCompany) {
  const std::vector<LinearWeights> layers = There(Layers({30, 65, 9}));
  const at::Tensor x = There(Normals({300, 30}, "x"));
  const at::Tensor all = LinearStackForward(Gpu(), x, layers, true, false).y;
  for (const int64_t row : {0, 1, 127, 128, 299}) {
    const at::Tensor alone =
        LinearStackForward(Gpu(), x.slice(0, row, row + 1).contiguous(), layers, true, false).y;
    EXPECT_TRUE(at::equal(alone[0], all[row])) << row;
  }
}

// A row that is not a number spoils itself alone.
TEST_F(LinearCudaTest, NotANumberStaysInItsRow) {
  const std::vector<LinearWeights> layers = There(Layers({8, 8, 4}));
  at::Tensor x = Normals({5, 8}, "x");
  x[2][3] = std::numeric_limits<float>::quiet_NaN();
  const at::Tensor y = LinearStackForward(Gpu(), There(x), layers, true, false).y.cpu();
  for (int64_t row = 0; row < 5; ++row) {
    EXPECT_EQ(y[row].isnan().any().item<bool>(), row == 2) << row;
  }
}

}  // namespace
}  // namespace torii::kernels::cuda
