#include "kernels/cpu/ranking/score_top_k.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "kernels/cpu/ranking/score_rows.h"

namespace torii::kernels::cpu {
namespace {

// A score and an item in one number: the higher number is the better item.
uint64_t KeyOf(float score, int64_t item) {
  const auto bits = std::bit_cast<uint32_t>(score + 0.0F);  // -0 is 0
  const uint32_t ordered = (bits >> 31) != 0 ? ~bits : bits | 0x80000000U;
  return (static_cast<uint64_t>(ordered) << 32) | (0xFFFFFFFFU - static_cast<uint32_t>(item));
}

int64_t ItemOf(uint64_t key) { return static_cast<int64_t>(0xFFFFFFFFU - (key & 0xFFFFFFFFU)); }

float ScoreOf(uint64_t key) {
  const auto ordered = static_cast<uint32_t>(key >> 32);
  return std::bit_cast<float>((ordered >> 31) != 0 ? ordered ^ 0x80000000U : ~ordered);
}

// Moves the m greatest of n distinct keys to the front, the smallest of them to place m - 1, and
// returns m: from k to `most`, whichever comes first. Quickselect that swaps without branches:
// which keys are greater cannot be foreseen.
int64_t SelectGreatest(uint64_t* keys, int64_t n, int64_t k, int64_t most) {
  int64_t begin = 0;
  int64_t end = n;
  for (int round = 0; round < 64; ++round) {
    if (end - begin < 2) return k;
    const int64_t last = end - 1;
    const uint64_t a = keys[begin], b = keys[begin + (end - begin) / 2], c = keys[last];
    const uint64_t pivot = std::max(std::min(a, b), std::min(std::max(a, b), c));  // the median
    std::swap(keys[pivot == a ? begin : pivot == b ? begin + (end - begin) / 2 : last], keys[last]);
    int64_t greater = begin;
    for (int64_t i = begin; i < last; ++i) {
      const uint64_t key = keys[i];
      keys[i] = keys[greater];
      keys[greater] = key;
      greater += key > pivot ? 1 : 0;
    }
    std::swap(keys[greater], keys[last]);
    if (k - 1 <= greater && greater < most) return greater + 1;
    (greater < k - 1 ? begin : end) = greater < k - 1 ? greater + 1 : greater;
  }
  std::nth_element(keys, keys + k - 1, keys + n, std::greater<>());  // unlucky pivots
  return k;
}

// The best items of one row among those that were offered, in ascending order of items.
class BestItems {
 public:
  BestItems(int64_t k, const int64_t* hidden_begin, const int64_t* hidden_end)
      : k_(k),
        hidden_(hidden_begin),
        hidden_end_(hidden_end),
        keys_(static_cast<size_t>(2 * k + 64)) {}

  // Offers the items first + j < end for the bits j of `above`, with scores[j]. Returns the limit:
  // an item that is not above it comes after k better ones.
  float Offer(uint64_t above, const float* scores, int64_t first, int64_t end) {
    for (; hidden_ < hidden_end_ && *hidden_ < end; ++hidden_) {
      if (*hidden_ >= first) above &= ~(uint64_t{1} << (*hidden_ - first));
    }
    uint64_t* next = keys_.data() + size_;
    for (; above != 0; above &= above - 1) {
      const int j = std::countr_zero(above);
      *next++ = KeyOf(scores[j], first + j);
    }
    size_ = next - keys_.data();
    if (size_ >= 2 * k_) ShrinkTo(k_ + k_ / 4);
    return limit_;
  }

  // Writes the list, best first, and returns its length.
  int64_t Take(int64_t* items, float* scores) {
    if (size_ > k_) ShrinkTo(k_);
    std::sort(keys_.begin(), keys_.begin() + size_, std::greater<>());
    for (int64_t i = 0; i < size_; ++i) {
      items[i] = ItemOf(keys_[static_cast<size_t>(i)]);
      scores[i] = ScoreOf(keys_[static_cast<size_t>(i)]);
    }
    return size_;
  }

 private:
  // Keeps the best, at least k, and `most` of them; fewer passes suffice where more may stay.
  void ShrinkTo(int64_t most) {
    size_ = SelectGreatest(keys_.data(), size_, k_, most);
    limit_ = ScoreOf(keys_[static_cast<size_t>(size_) - 1]);
  }

  int64_t k_;
  const int64_t* hidden_;  // the next hidden item
  const int64_t* hidden_end_;
  float limit_ = -std::numeric_limits<float>::infinity();
  int64_t size_ = 0;            // keys held, below 2 k between calls
  std::vector<uint64_t> keys_;  // room for the items of one more panel
};

// The panels pass by one block of rows.
void TopKOfBlock(const float* q, int64_t rows, const PackedVectors& v, const HiddenItems& hidden,
                 const TopKLists& lists) {
  const ScoreVariant& k = v.variant();
  const TiledRows tiles(q, nullptr, rows, v);
  std::vector<BestItems> best;
  for (int64_t i = 0; i < rows; ++i) {
    best.emplace_back(std::min(lists.k, std::max<int64_t>(v.n(), 1)),
                      hidden.items + hidden.begin[i], hidden.items + hidden.begin[i + 1]);
  }
  // Rows that do not exist have limits that nothing is above.
  std::vector<float> limit(static_cast<size_t>(tiles.num_tiles() * k.tile_rows),
                           std::numeric_limits<float>::infinity());
  std::fill_n(limit.begin(), rows, -std::numeric_limits<float>::infinity());
  uint64_t above[8];
  alignas(64) float scores[8 * 64];
  ForEachPanelAndTile(v, tiles.num_tiles(), [&](int64_t p, int64_t t) {
    float* tile_limit = limit.data() + t * k.tile_rows;
    const ScoreTile tile = {tiles.tile(t), v.panel(p), v.dim()};
    uint32_t passing = k.filter_tile(tile, {tile_limit, above, scores});
    if (passing == 0) return;
    const int64_t first = p * k.panel_width;
    const uint64_t existing = ~uint64_t{0} >> (64 - v.panel_items(p));
    for (; passing != 0; passing &= passing - 1) {
      const int64_t r = std::countr_zero(passing);
      tile_limit[r] = best[static_cast<size_t>(t * k.tile_rows + r)].Offer(
          above[r] & existing, scores + r * k.panel_width, first, first + k.panel_width);
    }
  });
  for (int64_t i = 0; i < rows; ++i) {
    lists.length[i] =
        best[static_cast<size_t>(i)].Take(lists.items + i * lists.k, lists.scores + i * lists.k);
  }
}

}  // namespace

void TopKOfRows(const float* q, int64_t rows, const PackedVectors& v, const HiddenItems& hidden,
                const TopKLists& lists) {
  TORII_CHECK(lists.k >= 1, "k ", lists.k);
  TORII_CHECK(v.n() <= std::numeric_limits<uint32_t>::max(), v.n(), " items");
  for (int64_t block = 0; block < rows; block += kBlockRows) {
    TopKOfBlock(q + block * v.dim(), std::min(kBlockRows, rows - block), v,
                {hidden.begin + block, hidden.items},
                {lists.k, lists.items + block * lists.k, lists.scores + block * lists.k,
                 lists.length + block});
  }
}

}  // namespace torii::kernels::cpu
