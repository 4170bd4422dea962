#include "kernels/touched_rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/parallel_for.h"
#include "kernels/host_tensors.h"
#include "kernels/on_device.h"

namespace torii::kernels {
namespace {

// Digits of the radix sort: 2^11 counters of 4 bytes stay in the first-level cache; for few entries
// clearing many counters would cost more than one pass less.
constexpr int kLeastDigitBits = 8, kMostDigitBits = 11;
constexpr uintptr_t kVectorBytes = 16;
// Entries below which a second thread does not pay.
constexpr int64_t kShareEntries = 8192;

int64_t ShareBegin(int64_t size, int64_t shares, int64_t share) { return size * share / shares; }

// Each share on its own thread where there are several.
template <class Work>
void ForShares(int64_t shares, const Work& work) {
  if (shares == 1) return work(0);
  ParallelFor(0, shares, 1, [&](int64_t begin, int64_t end) {
    for (int64_t share = begin; share < end; ++share) work(share);
  });
}

uint32_t SlotOf(uint64_t entry) { return static_cast<uint32_t>(entry >> 32); }

}  // namespace

void TouchedRows::Clear() {
  pieces_.clear();
  size_ = 0;
}

void TouchedRows::Add(std::span<const int64_t> slots) {
  if (slots.empty()) return;
  pieces_.push_back({size_, slots});
  size_ += std::ssize(slots);
  TORII_CHECK(size_ <= std::numeric_limits<uint32_t>::max(),
              "more than 2^32 gradient rows in a step");
}

void TouchedRows::Group(int64_t num_slots, const Device& device) {
  shares_ = std::clamp<int64_t>(size_ / kShareEntries, 1, at::get_num_threads());
  SortBySlot(num_slots);
  Split();
  if (!device.is_host()) PlaceOn(device);
}

size_t TouchedRows::PieceOf(int64_t position) const {
  const auto after =
      std::upper_bound(pieces_.begin(), pieces_.end(), position,
                       [](int64_t wanted, const Piece& piece) { return wanted < piece.begin; });
  return static_cast<size_t>(after - pieces_.begin()) - 1;
}

RowGradients TouchedRows::GradientsOf(const Device& device, std::span<const Gradients> pieces) {
  TORII_CHECK(pieces.size() == pieces_.size(), "gradients of ", pieces.size(), " pieces for ",
              pieces_.size());
  const auto rows = std::ssize(slots_);
  if (device.kernels().update_rows == nullptr) {
    return {
        {rows, slots_.data(), begin_.data(), nullptr}, slots_.data(), ComposedSums(device, pieces)};
  }
  const int64_t dim = pieces.empty() ? 0 : pieces[0].rows.size(1);
  from_.clear();
  bool aligned = dim % 4 == 0;
  for (const Gradients& piece : pieces) {
    TORII_CHECK(piece.rows.is_contiguous() && piece.rows.size(1) == dim, "gradients of ",
                piece.rows.toString());
    CheckOnDevice(device, piece.rows);
    from_.push_back(piece.rows.const_data_ptr<float>() + piece.first_row * dim);
    aligned = aligned && reinterpret_cast<uintptr_t>(from_.back()) % kVectorBytes == 0;
  }
  TouchedRowList list{.rows = rows,
                      .slots = slots_.data(),
                      .begin = begin_.data(),
                      .gradients = nullptr,
                      .places = size_,
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
  return {list, slots_.data(), at::Tensor()};
}

void TouchedRows::ListAddresses(int64_t dim) {
  gradients_.resize(static_cast<size_t>(size_));
  ForShares(shares_, [&](int64_t share) {
    const int64_t end = ShareBegin(size_, shares_, share + 1);
    for (int64_t i = ShareBegin(size_, shares_, share); i < end; ++i) {
      const auto position = static_cast<uint32_t>(entries_[static_cast<size_t>(i)]);
      const size_t piece = pieces_.size() == 1 ? 0 : PieceOf(position);
      gradients_[static_cast<size_t>(i)] = from_[piece] + (position - pieces_[piece].begin) * dim;
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
  TORII_CHECK(size_ <= std::numeric_limits<int32_t>::max(),
              "more than 2^31 gradient rows in a step on a device");
  const auto bytes = [&](const std::vector<uint32_t>& list) {
    return TensorOf(std::span(reinterpret_cast<const int32_t*>(list.data()), list.size()), device);
  };
  slots_there_ = bytes(slots_);
  begin_there_ = bytes(begin_);
  FilledTensor<int32_t> piece(size_, device), row(size_, device);
  for (size_t i = 0; i < static_cast<size_t>(size_); ++i) {
    const auto position = static_cast<uint32_t>(entries_[i]);
    const size_t of = pieces_.size() == 1 ? 0 : PieceOf(position);
    piece.values()[i] = static_cast<int32_t>(of);
    row.values()[i] = static_cast<int32_t>(position - pieces_[of].begin);
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
    parts.push_back(pieces[p].rows.narrow(0, pieces[p].first_row, std::ssize(pieces_[p].slots)));
  }
  std::vector<int64_t> position, row;  // of each gradient in the order of the sums
  for (size_t r = 0; r < slots_.size(); ++r) {
    for (uint32_t i = begin_[r]; i < begin_[r + 1]; ++i) {
      position.push_back(static_cast<uint32_t>(entries_[i]));
      row.push_back(static_cast<int64_t>(r));
    }
  }
  const at::Tensor all = at::cat(parts);
  return at::zeros({std::ssize(slots_), all.size(1)}, all.options())
      .index_add_(0, TensorOf(row, device), all.index_select(0, TensorOf(position, device)));
}

// The entries of a share in order: as they were added, or those of entries_.
template <class Visit>
void TouchedRows::VisitShare(bool sorted, int64_t share, const Visit& visit) const {
  const int64_t begin = ShareBegin(size_, shares_, share);
  const int64_t end = ShareBegin(size_, shares_, share + 1);
  if (sorted) {
    for (int64_t i = begin; i < end; ++i) visit(entries_[static_cast<size_t>(i)]);
    return;
  }
  for (int64_t i = begin; i < end;) {
    const Piece& piece = pieces_[PieceOf(i)];
    const int64_t piece_end = std::min(end, piece.begin + std::ssize(piece.slots));
    for (; i < piece_end; ++i) {
      const int64_t slot = piece.slots[static_cast<size_t>(i - piece.begin)];
      visit(static_cast<uint64_t>(slot) << 32 | static_cast<uint64_t>(i));
    }
  }
}

// One digit: each share counts its own, and then puts its entries behind those of the shares before
// it, so that equal digits keep their order.
void TouchedRows::SortPass(bool first, int shift, int bits) {
  const size_t count = size_t{1} << bits;
  const uint64_t mask = count - 1;
  next_.assign(static_cast<size_t>(shares_) * count, 0);
  ForShares(shares_, [&](int64_t share) {
    uint32_t* next = next_.data() + static_cast<size_t>(share) * count;
    VisitShare(!first, share, [&](uint64_t entry) { ++next[(entry >> shift) & mask]; });
  });
  uint32_t begin = 0;
  for (size_t digit = 0; digit < count; ++digit) {
    for (size_t at = digit; at < next_.size(); at += count) {
      begin += std::exchange(next_[at], begin);
    }
  }
  ForShares(shares_, [&](int64_t share) {
    uint32_t* next = next_.data() + static_cast<size_t>(share) * count;
    uint64_t* sorted = sorted_.data();
    VisitShare(!first, share,
               [&](uint64_t entry) { sorted[next[(entry >> shift) & mask]++] = entry; });
  });
  std::swap(entries_, sorted_);
}

void TouchedRows::SortBySlot(int64_t num_slots) {
  const auto most = static_cast<uint64_t>(std::max<int64_t>(num_slots - 1, 1));
  const int bits = static_cast<int>(std::bit_width(most));
  const int wanted = static_cast<int>(std::bit_width(static_cast<uint64_t>(size_)));
  const int digit_bits = std::clamp(wanted, kLeastDigitBits, kMostDigitBits);
  const int passes = (bits + digit_bits - 1) / digit_bits;
  const int even_bits = (bits + passes - 1) / passes;
  entries_.resize(static_cast<size_t>(size_));
  sorted_.resize(static_cast<size_t>(size_));
  for (int pass = 0; pass < passes; ++pass) {
    SortPass(pass == 0, 32 + pass * even_bits, even_bits);
  }
}

// Finds where each slot's entries begin.
void TouchedRows::Split() {
  const auto is_first = [&](int64_t i) {
    const uint64_t* entry = entries_.data() + i;
    return i == 0 || SlotOf(entry[0]) != SlotOf(entry[-1]);
  };
  first_.assign(static_cast<size_t>(shares_), 0);
  ForShares(shares_, [&](int64_t share) {
    int64_t count = 0;
    for (int64_t i = ShareBegin(size_, shares_, share); i < ShareBegin(size_, shares_, share + 1);
         ++i) {
      count += is_first(i);
    }
    first_[static_cast<size_t>(share)] = count;
  });
  int64_t distinct = 0;
  for (int64_t& first : first_) distinct += std::exchange(first, distinct);
  slots_.resize(static_cast<size_t>(distinct));
  begin_.resize(static_cast<size_t>(distinct) + 1);
  begin_.back() = static_cast<uint32_t>(size_);
  ForShares(shares_, [&](int64_t share) {
    auto at = static_cast<size_t>(first_[static_cast<size_t>(share)]);
    for (int64_t i = ShareBegin(size_, shares_, share); i < ShareBegin(size_, shares_, share + 1);
         ++i) {
      if (!is_first(i)) continue;
      slots_[at] = SlotOf(entries_[static_cast<size_t>(i)]);
      begin_[at++] = static_cast<uint32_t>(i);
    }
  });
}

}  // namespace torii::kernels
