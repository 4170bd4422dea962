#include "kernels/touched_rows.h"

#include <ATen/ATen.h>

#include <map>
#include <vector>

#include "base/random.h"
#include "gtest/gtest.h"

namespace torii::kernels {
namespace {

TEST(TouchedRowsTest, GroupsBySlotAndKeepsTheOrderOfAddition) {
  const RandomStream stream(5, "slots");
  TouchedRows touched;
  for (const int64_t num_slots : {1, 2, 37, 5000, 40'000'000}) {
    for (const size_t count : {0, 1, 2, 3000}) {
      std::vector<int64_t> slots;
      for (size_t i = 0; i < count; ++i) slots.push_back(stream.Below(i, num_slots));
      const at::Tensor gradients = at::zeros({static_cast<int64_t>(count), 2}, at::kFloat);
      const float* const floats = gradients.const_data_ptr<float>();
      std::map<int64_t, std::vector<const float*>> expected;
      for (size_t i = 0; i < count; ++i) expected[slots[i]].push_back(floats + 2 * i);

      touched.Clear();
      const size_t half = count / 2;
      touched.Add(std::span(slots).first(half));
      touched.Add(std::span(slots).subspan(half));
      touched.Group(num_slots, Device::Cpu());
      std::vector<TouchedRows::Gradients> pieces;  // of the halves that are not empty
      if (half > 0) pieces.push_back({gradients, 0});
      if (count > half) pieces.push_back({gradients, static_cast<int64_t>(half)});

      const TouchedRowList list = touched.GradientsOf(Device::Cpu(), pieces).list;
      ASSERT_EQ(list.rows, static_cast<int64_t>(expected.size()));
      size_t i = 0;
      for (const auto& [slot, rows] : expected) {
        EXPECT_EQ(list.slots[i], slot);
        const std::vector<const float*> found(list.gradients + list.begin[i],
                                              list.gradients + list.begin[i + 1]);
        EXPECT_EQ(found, rows) << "slot " << slot;
        ++i;
      }
    }
  }
}

}  // namespace
}  // namespace torii::kernels
