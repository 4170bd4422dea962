#include "sharding/row_memory.h"

#include "ATen/ATen.h"
#include "gtest/gtest.h"

namespace torii::sharding {
namespace {

TEST(RowMemoryTest, LargeAndEmptyTablesAreWritable) {
  for (const int64_t rows : {0, 1, 3, 100'000}) {
    at::Tensor table = AllocateRows(rows, 17, kernels::Device::Cpu());
    table.fill_(2);
    EXPECT_EQ(table.sizes(), (at::IntArrayRef{rows, 17}));
    EXPECT_EQ(table.sum().item<double>(), 34.0 * static_cast<double>(rows));
  }
}

TEST(RowBuffersTest, ReusesMemoryThatIsFree) {
  RowBuffers buffers(kernels::Device::Cpu());
  for (const int64_t rows : {10, 200'000}) {
    at::Tensor first = buffers.Take(rows, 16);
    const void* memory = first.data_ptr();
    first.requires_grad_();
    first.mul(2).sum().backward();

    first = at::Tensor();

    EXPECT_EQ(buffers.Take(rows - 1, 16).data_ptr(), memory) << rows << " rows";
  }
}

TEST(RowBuffersTest, ReusesOnlyMemoryThatNobodyHolds) {
  RowBuffers buffers(kernels::Device::Cpu());
  at::Tensor first = buffers.Take(10, 4);
  at::Tensor second = buffers.Take(10, 4);
  const void* first_memory = first.data_ptr();
  EXPECT_NE(first_memory, second.data_ptr());
  const at::Tensor view = first.narrow(0, 5, 1);

  first = at::Tensor();
  at::Tensor third = buffers.Take(3, 4);
  EXPECT_NE(third.data_ptr(), first_memory) << "a view is still in use";

  third = at::Tensor();
  second = at::Tensor();
  EXPECT_EQ(buffers.Take(0, 4).numel(), 0);
  EXPECT_EQ(buffers.Take(100, 4).sizes(), (at::IntArrayRef{100, 4}));
}

}  // namespace
}  // namespace torii::sharding
