#include "kernels/touched_rows.h"

#include <ATen/ATen.h>

#include <limits>

#include "base/check.h"
#include "kernels/host_tensors.h"
#include "kernels/on_device.h"

namespace torii::kernels {
namespace {

constexpr uintptr_t kVectorBytes = 16;

}  // namespace

void TouchedRows::Group(int64_t num_slots, const Device& device) {
  order_.Sort(num_slots);
  if (!device.is_host()) PlaceOn(device);
}

RowGradients TouchedRows::GradientsOf(const Device& device, std::span<const Gradients> pieces) {
  TORII_CHECK(pieces.size() == order_.pieces(), "gradients of ", pieces.size(), " pieces for ",
              order_.pieces());
  const std::vector<uint32_t>&slots = order_.slots(), &begin = order_.begin();
  const auto rows = std::ssize(slots);
  if (device.kernels().update_rows == nullptr) {
    return {
        {rows, slots.data(), begin.data(), nullptr}, slots.data(), ComposedSums(device, pieces)};
  }
  const int64_t dim = pieces.empty() ? 0 : pieces[0].rows.size(1);
  from_.clear();
  bool aligned = dim % 4 == 0;
  for (const Gradients& piece : pieces) {
    TORII_CHECK(piece.rows.is_contiguous() && piece.rows.size(1) == dim, "gradients of ",
                piece.rows.toString());
    CheckOnDevice(device, "GradientsOf", piece.rows);
    from_.push_back(piece.rows.const_data_ptr<float>() + piece.first_row * dim);
    aligned = aligned && reinterpret_cast<uintptr_t>(from_.back()) % kVectorBytes == 0;
  }
  TouchedRowList list{.rows = rows,
                      .slots = slots.data(),
                      .begin = begin.data(),
                      .gradients = nullptr,
                      .places = order_.size(),
                      .aligned = aligned};
  if (device.is_host()) {
    ListAddresses(dim);
    list.gradients = gradients_.data();
  } else {
    addresses_there_ = AddressesOnDevice(device, dim);
    list.slots = static_cast<const uint32_t*>(slots_there_.const_data_ptr());
    list.begin = static_cast<const uint32_t*>(begin_there_.const_data_ptr());
    list.gradients = static_cast<const float* const*>(addresses_there_.const_data_ptr());
  }
  return {list, slots.data(), at::Tensor()};
}

void TouchedRows::ListAddresses(int64_t dim) {
  gradients_.resize(static_cast<size_t>(order_.size()));
  order_.ForEachShare([&](const Range& part) {
    for (int64_t i = part.begin; i < part.end; ++i) {
      const SlotOrder::Place place = order_.PlaceOf(i);
      gradients_[static_cast<size_t>(i)] = from_[place.piece] + place.row * dim;
    }
  });
}

// The addresses are known once a step has its gradients: a list of the host would have to be copied
// while the step is computed.
at::Tensor TouchedRows::AddressesOnDevice(const Device& device, int64_t dim) const {
  std::vector<int64_t> begin;
  for (const float* from : from_) begin.push_back(reinterpret_cast<int64_t>(from));
  const int64_t row_bytes = dim * static_cast<int64_t>(sizeof(float));
  if (begin.size() == 1) return row_there_.to(at::kLong).mul_(row_bytes).add_(begin[0]);
  return TensorOf(begin, device).index_select(0, piece_there_).add_(row_there_, row_bytes);
}

// What the sums need of the plan.
void TouchedRows::PlaceOn(const Device& device) {
  TORII_CHECK(order_.size() <= std::numeric_limits<int32_t>::max(),
              "more than 2^31 gradient rows in a step on a device");
  const auto bytes = [&](const std::vector<uint32_t>& list) {
    return TensorOf(std::span(reinterpret_cast<const int32_t*>(list.data()), list.size()), device);
  };
  slots_there_ = bytes(order_.slots());
  begin_there_ = bytes(order_.begin());
  FilledTensor<int32_t> piece(order_.size(), device), row(order_.size(), device);
  for (int64_t i = 0; i < order_.size(); ++i) {
    const SlotOrder::Place place = order_.PlaceOf(i);
    piece.values()[static_cast<size_t>(i)] = static_cast<int32_t>(place.piece);
    row.values()[static_cast<size_t>(i)] = static_cast<int32_t>(place.row);
  }
  piece_there_ = piece.take();
  row_there_ = row.take();
}

// [rows, dim]: the gradients of each touched row added up, by LibTorch's operations.
at::Tensor TouchedRows::ComposedSums(const Device& device,
                                     std::span<const Gradients> pieces) const {
  if (pieces.empty()) return at::Tensor();
  std::vector<at::Tensor> parts;
  for (size_t p = 0; p < pieces.size(); ++p) {
    parts.push_back(pieces[p].rows.narrow(0, pieces[p].first_row, order_.RowsOf(p)));
  }
  const std::vector<uint32_t>& begin = order_.begin();
  std::vector<int64_t> position, row;  // of each gradient in the order of the sums
  for (size_t r = 0; r + 1 < begin.size(); ++r) {
    for (uint32_t i = begin[r]; i < begin[r + 1]; ++i) {
      position.push_back(order_.PositionOf(i));
      row.push_back(static_cast<int64_t>(r));
    }
  }
  const at::Tensor all = at::cat(parts);
  return at::zeros({std::ssize(order_.slots()), all.size(1)}, all.options())
      .index_add_(0, TensorOf(row, device), all.index_select(0, TensorOf(position, device)));
}

}  // namespace torii::kernels
