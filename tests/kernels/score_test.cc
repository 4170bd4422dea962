#include "kernels/cpu/ranking/score.h"

#include <vector>

#include "gtest/gtest.h"
#include "kernels/cpu/variants.h"
#include "tests/kernels/score_support.h"

namespace torii::kernels::cpu {
namespace {

using ScoreTest = ScoreVariantsTest;
INSTANTIATE_TEST_SUITE_P(AllVariants, ScoreTest, ::testing::ValuesIn(RunnableScoreVariants()),
                         VariantName);

TEST_P(ScoreTest, ScoresAreCloseToDoublePrecisionForAllSizes) {
  for (const int64_t dim : {0, 1, 2, 7, 64, 131}) {
    for (const int64_t n : {0, 1, 5, 16, 17, 47, 48, 49, 101}) {
      for (const int64_t rows : {0, 1, 7, 8, 9, 97}) {
        const std::vector<float> q = RandomVectors(rows, dim, "q");
        const std::vector<float> v = RandomVectors(n, dim, "v");
        std::vector<float> out(static_cast<size_t>(rows * n) + 1, -5.0F);

        Scores(q.data(), rows, PackedVectors(v.data(), n, dim, GetParam()), out.data());

        for (int64_t i = 0; i < rows; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            double want = 0;
            for (int64_t d = 0; d < dim; ++d) {
              want += static_cast<double>(q[static_cast<size_t>(i * dim + d)]) *
                      v[static_cast<size_t>(j * dim + d)];
            }
            // dim roundings of partial sums, each below dim in size.
            ASSERT_NEAR(out[static_cast<size_t>(i * n + j)], want,
                        1e-7 * static_cast<double>(dim * dim + 1))
                << dim << " " << n << " " << rows << ": " << i << " " << j;
          }
        }
        ASSERT_EQ(out.back(), -5.0F) << "written past the end";
      }
    }
  }
}

TEST_P(ScoreTest, PairScoreHasTheBitsOfScoresWhateverTheTile) {
  for (const int64_t dim : {0, 1, 3, 17, 64, 200}) {
    const int64_t n = 203;
    const int64_t rows = 101;
    const std::vector<float> q = RandomVectors(rows, dim, "q");
    const std::vector<float> v = RandomVectors(n, dim, "v");
    std::vector<float> all(static_cast<size_t>(rows * n));
    Scores(q.data(), rows, PackedVectors(v.data(), n, dim, GetParam()), all.data());

    // Rows and items one at a time, from the middle of the block.
    for (int64_t i = 0; i < rows; i += 3) {
      for (int64_t j = 0; j < n; ++j) {
        const float want = all[static_cast<size_t>(i * n + j)];
        ASSERT_TRUE(SameBits(Score(q.data() + i * dim, v.data() + j * dim, dim, GetParam()), want));
      }
    }
    const PackedVectors tail(v.data() + 100 * dim, n - 100, dim, GetParam());
    std::vector<float> part(static_cast<size_t>(n - 100));
    Scores(q.data() + 50 * dim, 1, tail, part.data());
    for (int64_t j = 100; j < n; ++j) {
      ASSERT_TRUE(
          SameBits(part[static_cast<size_t>(j - 100)], all[static_cast<size_t>(50 * n + j)]));
    }
  }
}

TEST(ScoreVariantTest, BaselineIsAlwaysThereAndTheBestIsChosen) {
  EXPECT_STREQ(RunnableScoreVariants().back()->name, "baseline");
  EXPECT_STREQ(BestInstructionSet(), RunnableScoreVariants().front()->name);
}

}  // namespace
}  // namespace torii::kernels::cpu
