// The entries of the table whose kernels have a file of their own.
#pragma once

#include "kernels/device_kernels.h"

namespace torii::kernels::cuda {

void CountAbove(const float* q, int64_t rows, const ItemVectors& items,
                const Thresholds& thresholds, const HiddenItems& hidden, int64_t* counts);
void TopK(const float* q, int64_t rows, const ItemVectors& items, const HiddenItems& hidden,
          const TopKLists& lists);

}  // namespace torii::kernels::cuda
