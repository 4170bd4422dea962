#include "sharding/touched_rows.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/parallel_for.h"

namespace torii::sharding {
namespace {

// Digits of the radix sort: 2^11 counters of 4 bytes stay in the first-level cache; for few entries
// clearing many counters would cost more than one pass less.
constexpr int kLeastDigitBits = 8, kMostDigitBits = 11;
// Entries below which a second thread does not pay.
constexpr int64_t kPieceEntries = 8192;

int64_t PieceBegin(int64_t size, int64_t pieces, int64_t piece) { return size * piece / pieces; }

// Each piece on its own thread where there are several.
template <class Work>
void ForPieces(int64_t pieces, const Work& work) {
  if (pieces == 1) return work(0);
  ParallelFor(0, pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) work(piece);
  });
}

uint32_t SlotOf(uint64_t entry) { return static_cast<uint32_t>(entry >> 32); }

}  // namespace

void TouchedRows::Clear() {
  parts_.clear();
  size_ = 0;
}

void TouchedRows::Add(std::span<const int64_t> slots, const float* gradients, int64_t dim) {
  if (slots.empty()) return;
  parts_.push_back({size_, slots, gradients, dim});
  size_ += std::ssize(slots);
  TORII_CHECK(size_ <= std::numeric_limits<uint32_t>::max(),
              "more than 2^32 gradient rows in a step");
}

void TouchedRows::Group(int64_t num_slots) {
  pieces_ = std::clamp<int64_t>(size_ / kPieceEntries, 1, at::get_num_threads());
  SortBySlot(num_slots);
  Split();
}

const TouchedRows::Part& TouchedRows::PartOf(int64_t position) const {
  const auto after =
      std::upper_bound(parts_.begin(), parts_.end(), position,
                       [](int64_t wanted, const Part& part) { return wanted < part.begin; });
  return *(after - 1);
}

const float* TouchedRows::Gradient(int64_t position) const {
  const Part& part = parts_.size() == 1 ? parts_.front() : PartOf(position);
  return part.gradients + (position - part.begin) * part.dim;
}

// The entries of a piece in order: as they were added, or those of entries_.
template <class Visit>
void TouchedRows::VisitPiece(bool sorted, int64_t piece, const Visit& visit) const {
  const int64_t begin = PieceBegin(size_, pieces_, piece);
  const int64_t end = PieceBegin(size_, pieces_, piece + 1);
  if (sorted) {
    for (int64_t i = begin; i < end; ++i) visit(entries_[static_cast<size_t>(i)]);
    return;
  }
  for (int64_t i = begin; i < end;) {
    const Part& part = PartOf(i);
    const int64_t part_end = std::min(end, part.begin + std::ssize(part.slots));
    for (; i < part_end; ++i) {
      const int64_t slot = part.slots[static_cast<size_t>(i - part.begin)];
      visit(static_cast<uint64_t>(slot) << 32 | static_cast<uint64_t>(i));
    }
  }
}

// One digit: each piece counts its own, and then puts its entries behind those of the pieces before
// it, so that equal digits keep their order.
void TouchedRows::SortPass(bool first, int shift, int bits) {
  const size_t count = size_t{1} << bits;
  const uint64_t mask = count - 1;
  next_.assign(static_cast<size_t>(pieces_) * count, 0);
  ForPieces(pieces_, [&](int64_t piece) {
    uint32_t* next = next_.data() + static_cast<size_t>(piece) * count;
    VisitPiece(!first, piece, [&](uint64_t entry) { ++next[(entry >> shift) & mask]; });
  });
  uint32_t begin = 0;
  for (size_t digit = 0; digit < count; ++digit) {
    for (size_t at = digit; at < next_.size(); at += count) {
      begin += std::exchange(next_[at], begin);
    }
  }
  ForPieces(pieces_, [&](int64_t piece) {
    uint32_t* next = next_.data() + static_cast<size_t>(piece) * count;
    uint64_t* sorted = sorted_.data();
    VisitPiece(!first, piece,
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

// Finds where each slot's entries begin, and their gradients.
void TouchedRows::Split() {
  const auto is_first = [&](int64_t i) {
    const uint64_t* entry = entries_.data() + i;
    return i == 0 || SlotOf(entry[0]) != SlotOf(entry[-1]);
  };
  first_.assign(static_cast<size_t>(pieces_), 0);
  ForPieces(pieces_, [&](int64_t piece) {
    int64_t count = 0;
    for (int64_t i = PieceBegin(size_, pieces_, piece); i < PieceBegin(size_, pieces_, piece + 1);
         ++i) {
      count += is_first(i);
    }
    first_[static_cast<size_t>(piece)] = count;
  });
  int64_t distinct = 0;
  for (int64_t& first : first_) distinct += std::exchange(first, distinct);
  slots_.resize(static_cast<size_t>(distinct));
  begin_.resize(static_cast<size_t>(distinct) + 1);
  begin_.back() = static_cast<uint32_t>(size_);
  gradients_.resize(static_cast<size_t>(size_));
  ForPieces(pieces_, [&](int64_t piece) {
    auto at = static_cast<size_t>(first_[static_cast<size_t>(piece)]);
    for (int64_t i = PieceBegin(size_, pieces_, piece); i < PieceBegin(size_, pieces_, piece + 1);
         ++i) {
      const uint64_t entry = entries_[static_cast<size_t>(i)];
      gradients_[static_cast<size_t>(i)] = Gradient(static_cast<uint32_t>(entry));
      if (!is_first(i)) continue;
      slots_[at] = SlotOf(entry);
      begin_[at++] = static_cast<uint32_t>(i);
    }
  });
}

}  // namespace torii::sharding
