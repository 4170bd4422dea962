// The way back from lists to the rows that they name: which places use a row, and sums over them.
#pragma once

#include <cstdint>

#include "kernels/cuda/device_memory.h"
#include "kernels/device_kernels.h"

namespace torii::kernels::cuda {

// Places by the row that they use, in the order of the places: those of row r are place[begin[r]]
// .. place[begin[r + 1] - 1].
class Uses {
 public:
  // index [places] in [0, rows). places and rows below 2^31.
  Uses(const int64_t* index, int64_t places, int64_t rows);
  int64_t rows() const { return rows_; }
  int64_t places() const { return places_; }
  const uint32_t* place() const { return place_.get(); }  // [places]
  const int64_t* begin() const { return begin_.get(); }   // [rows + 1]

 private:
  int64_t rows_, places_;
  Scratch<uint32_t> place_;
  Scratch<int64_t> begin_;
};

// Where the sums of lists go.
struct PoolTo {
  float* out = nullptr;          // [lists, width]
  const float* scale = nullptr;  // [lists] of each sum; null: 1
  bool adds = false;             // to what is there
};

// to.out[r] (+)= the sum over the uses k of row r, in their order, of weight[k] times row index[k]
// of the table. index, weight (null: 1): in the order of the uses.
void SumUses(const RowTable& table, const Uses& uses, const uint32_t* index, const float* weight,
             const PoolTo& to);

}  // namespace torii::kernels::cuda
