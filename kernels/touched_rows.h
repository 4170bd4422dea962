// The rows that the gradients of one step touch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ATen/core/Tensor.h"
#include "kernels/slot_order.h"
#include "kernels/table_rows.h"

namespace torii::kernels {

// The gradient rows of a step by the slots that they belong to. The order follows from the slots
// alone; the gradients may come later. Keeps its memory between steps. Not thread-safe.
class TouchedRows {
 public:
  void Clear() { order_.Clear(); }
  // One more piece of gradient rows, for `slots`, which are borrowed until Group().
  void Add(std::span<const int64_t> slots) { order_.Add(slots); }
  // Groups what was added. num_slots: bound of the slots, at most 2^32. device: where the gradients
  // will be.
  void Group(int64_t num_slots, const Device& device);

  // Gradient rows of one piece: those of a tensor [n, dim] float32, contiguous, from first_row on.
  struct Gradients {
    at::Tensor rows;
    int64_t first_row = 0;
  };
  // After Group() for the same device, whose work is not waited for. pieces[p]: the gradients of
  // piece p (of those that had slots), in the order in which they were added. The result holds the
  // distinct slots in increasing order, each with its gradient rows in the order in which they were
  // added; it is valid until the next call, as long as the tensors are.
  RowGradients GradientsOf(const Device& device, std::span<const Gradients> pieces);

 private:
  at::Tensor ComposedSums(const Device& device, std::span<const Gradients> pieces) const;
  // Where the gradient rows begin that `from_` names, made by the host or by the device.
  void ListAddresses(int64_t dim);
  at::Tensor AddressesOnDevice(const Device& device, int64_t dim) const;
  void PlaceOn(const Device& device);

  SlotOrder order_;
  std::vector<const float*> from_, gradients_;  // of each piece, of each gradient row
  // On a device whose memory is not the host's. The lists of the order as bytes; of each gradient row in
  // the order of the sums its piece and its number in that, int32; the addresses, int64.
  at::Tensor slots_there_, begin_there_, piece_there_, row_there_, addresses_there_;
};

}  // namespace torii::kernels
