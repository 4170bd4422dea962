#include "kernels/slot_order.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/parallel_for.h"

namespace torii::kernels {
namespace {

// Digits of the radix sort: 2^11 counters of 4 bytes stay in the first-level cache; for few entries
// clearing many counters would cost more than one pass less.
constexpr int kLeastDigitBits = 8, kMostDigitBits = 11;
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

void SlotOrder::Clear() {
  pieces_.clear();
  size_ = 0;
}

void SlotOrder::Add(std::span<const int64_t> slots) {
  if (slots.empty()) return;
  pieces_.push_back({size_, slots});
  size_ += std::ssize(slots);
  TORII_CHECK(size_ <= std::numeric_limits<uint32_t>::max(),
              "more than 2^32 gradient rows in a step");
}

void SlotOrder::Sort(int64_t num_slots) {
  shares_ = std::clamp<int64_t>(size_ / kShareEntries, 1, at::get_num_threads());
  SortBySlot(num_slots);
  Split();
}

void SlotOrder::ForEachShare(absl::FunctionRef<void(const Range& part)> visit) const {
  ForShares(shares_, [&](int64_t share) {
    visit({ShareBegin(size_, shares_, share), ShareBegin(size_, shares_, share + 1)});
  });
}

size_t SlotOrder::PieceOf(int64_t position) const {
  const auto after =
      std::upper_bound(pieces_.begin(), pieces_.end(), position,
                       [](int64_t wanted, const Piece& piece) { return wanted < piece.begin; });
  return static_cast<size_t>(after - pieces_.begin()) - 1;
}

// The entries of a share in order: as they were added, or those of entries_.
template <class Visit>
void SlotOrder::VisitShare(bool sorted, int64_t share, const Visit& visit) const {
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
void SlotOrder::SortPass(bool first, int shift, int bits) {
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

void SlotOrder::SortBySlot(int64_t num_slots) {
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
void SlotOrder::Split() {
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
