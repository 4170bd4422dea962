// Pooled rows and groups of keys by the kernels of a GPU, against the CPU's and plain loops.
#include <cmath>
#include <map>
#include <vector>

#include "kernels/group_by_key.h"
#include "kernels/pooled_rows.h"
#include "tests/kernels/cuda/cuda_support.h"

namespace torii::kernels::cuda {
namespace {

at::Tensor OffsetsOf(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> offsets = {0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return TensorOf(offsets);
}

class PooledRowsCudaTest : public CudaTest {
 protected:
  static void ExpectPoolsLikeTheCpu(const RowListTensors& lists, int64_t rows, int64_t width,
                                    double bound) {
    const at::Tensor table = Normals({rows, width + 4}, "rows");
    const at::Tensor gradient = Normals({lists.count(), width}, "gradient");
    const RowListTensors there{There(lists.index), There(lists.offsets), There(lists.weights),
                               There(lists.scales)};
    ExpectNear(PoolRows(Gpu(), There(table).slice(1, 4, width + 4), there),
               PoolRows(kCpu, table.slice(1, 4, width + 4), lists), 1e-6, "pooled");
    ExpectNear(PoolRowsBackward(Gpu(), There(gradient), there, rows),
               PoolRowsBackward(kCpu, gradient, lists, rows), bound, "gradient");
  }
};
class GroupByKeyCudaTest : public CudaTest {};

TEST_F(PooledRowsCudaTest, ListsOfEveryKindEqualTheCpus) {
  InBothOrders([] {
    for (const int64_t width : {1, 8, 31, 129}) {
      for (const int64_t rows : {1, 31, 129}) {
        const at::Tensor offsets = OffsetsOf({0, 1, 31, 0, 2, 129, 5});
        const int64_t places = 168;
        RowListTensors lists{SkewedIndices(places, rows, "index"), offsets, {}, {}};
        ExpectPoolsLikeTheCpu(lists, rows, width, 2e-5);
        lists.scales = InverseLengths(kCpu, offsets);
        ExpectPoolsLikeTheCpu(lists, rows, width, 2e-5);
        lists.weights = RecencyWeights(kCpu, offsets, places, 3.5);
        ExpectPoolsLikeTheCpu(lists, rows, width, 2e-5);
        ExpectPoolsLikeTheCpu({lists.index, {}, {}, {}}, rows, width, 2e-5);
      }
    }
  });
}

TEST_F(PooledRowsCudaTest, NoListsAndNoPlaces) {
  for (const int64_t rows : {1, 31}) {
    ExpectPoolsLikeTheCpu({SkewedIndices(0, 1, "index"), OffsetsOf({}), {}, {}}, rows, 8, 0);
    ExpectPoolsLikeTheCpu({SkewedIndices(0, 1, "index"), OffsetsOf({0, 0}), {}, {}}, rows, 8, 0);
    ExpectPoolsLikeTheCpu({SkewedIndices(0, 1, "index"), {}, {}, {}}, rows, 8, 0);
  }
}

TEST_F(PooledRowsCudaTest, ARowMayHaveThousandsOfUses) {
  const at::Tensor index = at::cat({at::full({5000}, 3, at::kLong), SkewedIndices(700, 9, "index"),
                                    at::full({65}, 8, at::kLong)});
  ExpectPoolsLikeTheCpu({index, OffsetsOf({5000, 700, 65}), {}, {}}, 10, 12, 1e-3);
  ExpectPoolsLikeTheCpu({index, {}, {}, {}}, 10, 7, 1e-3);
}

TEST_F(PooledRowsCudaTest, WeightsOfListsEqualTheCpus) {
  for (const std::vector<int64_t>& lengths :
       {std::vector<int64_t>{}, {0}, {1}, {31, 0, 129, 1, 50}}) {
    const at::Tensor offsets = OffsetsOf(lengths);
    const int64_t places = ListOf<int64_t>(offsets).back();
    EXPECT_TRUE(
        at::equal(Back(InverseLengths(Gpu(), There(offsets))), InverseLengths(kCpu, offsets)));
    for (const double half_life : {0.5, 3.5, 1e6}) {
      ExpectNear(RecencyWeights(Gpu(), There(offsets), places, half_life),
                 RecencyWeights(kCpu, offsets, places, half_life), 1e-6, "recency");
    }
  }
}

TEST_F(GroupByKeyCudaTest, GroupsAreStableAndAscendingOnEveryDevice) {
  for (const Device& device : {Gpu(), Device::Composed(), kCpu}) {
    for (const int64_t n : {0, 1, 31, 129, 3000}) {
      for (const int64_t num_keys : {int64_t{1}, int64_t{40}, int64_t{257}, int64_t{1} << 32}) {
        const at::Tensor keys = SkewedIndices(n, num_keys, "keys");
        const std::vector<int64_t> list = ListOf<int64_t>(keys);
        std::map<int64_t, std::vector<int64_t>> expected;
        for (int64_t i = 0; i < n; ++i) expected[list[static_cast<size_t>(i)]].push_back(i);

        const KeyGroups got = GroupByKey(device, keys.to(device.torch()), num_keys);

        const auto groups = std::ssize(expected);
        ASSERT_EQ(ListOf<int64_t>(got.groups), std::vector<int64_t>{groups}) << device.name();
        const std::vector<int64_t> order = ListOf<int64_t>(got.order),
                                   begin = ListOf<int64_t>(got.begin),
                                   group_of = ListOf<int64_t>(got.group_of);
        size_t g = 0;
        for (const auto& [key, positions] : expected) {
          EXPECT_EQ(ListOf<int64_t>(got.distinct)[g], key) << device.name();
          ASSERT_EQ(std::vector<int64_t>(order.begin() + begin[g], order.begin() + begin[g + 1]),
                    positions)
              << device.name() << ", key " << key;
          for (const int64_t i : positions) {
            ASSERT_EQ(group_of[static_cast<size_t>(i)], static_cast<int64_t>(g));
          }
          ++g;
        }
        EXPECT_EQ(begin[g], n);
      }
    }
  }
}

}  // namespace
}  // namespace torii::kernels::cuda
