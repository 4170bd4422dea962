#include "kernels/score_count.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/score_rows.h"

namespace torii::kernels {
namespace {

// The thresholds of the rows of one tile. A score that equals a threshold counts in the panels
// before the one that holds item tie_before, so the limit there is the next smaller number; in that
// panel ties are looked at one by one; after it they do not count.
class TileCounter {
 public:
  // rows: those of q, thresholds and counts that are in the tile.
  TileCounter(const int64_t* rows, int64_t num_rows, const PackedVectors& v,
              const Thresholds& thresholds)
      : kernels_(CurrentScoreVariant()), v_(v) {
    for (int64_t r = 0; r < num_rows; ++r) {
      rounds_ = std::max(rounds_, thresholds.begin[rows[r] + 1] - thresholds.begin[rows[r]]);
    }
    const auto n = static_cast<size_t>(rounds_ * kernels_.tile_rows);
    limit_.assign(n, std::numeric_limits<float>::infinity());
    entries_.resize(n);
    counters_.assign(n * static_cast<size_t>(kernels_.lanes), 0);
    for (int64_t r = 0; r < num_rows; ++r) {
      const int64_t begin = thresholds.begin[rows[r]];
      for (int64_t t = begin; t < thresholds.begin[rows[r] + 1]; ++t) {
        const auto e = static_cast<size_t>((t - begin) * kernels_.tile_rows + r);
        limit_[e] = std::nextafter(thresholds.score[t], -std::numeric_limits<float>::infinity());
        entries_[e] = {t, thresholds.score[t],
                       std::clamp(thresholds.tie_before[t], int64_t{0}, v.n())};
      }
    }
    for (size_t e = 0; e < n; ++e) {
      if (entries_[e].threshold >= 0) switches_.push_back(e);
    }
    std::sort(switches_.begin(), switches_.end(),
              [&](size_t a, size_t b) { return entries_[a].tie_before < entries_[b].tie_before; });
  }

  void CountPanel(const float* q, int64_t p, int64_t* counts) {
    while (next_switch_ < switches_.size() &&
           entries_[switches_[next_switch_]].tie_before < (p + 1) * kernels_.panel_width) {
      SwitchLimit(switches_[next_switch_++], q, p, counts);
    }
    kernels_.count_tile({q, v_.panel(p), v_.dim()}, {rounds_, limit_.data(), counters_.data()});
  }

  void AddTo(int64_t* counts) const {
    // Items that the last panel lacks scored 0.
    const int64_t lacking = v_.num_panels() * kernels_.panel_width - v_.n();
    for (size_t e = 0; e < entries_.size(); ++e) {
      if (entries_[e].threshold < 0) continue;
      const auto first = counters_.begin() + static_cast<int64_t>(e) * kernels_.lanes;
      counts[entries_[e].threshold] += std::accumulate(first, first + kernels_.lanes, int64_t{0}) -
                                       (0.0F > limit_[e] ? lacking : 0);
    }
  }

 private:
  struct Entry {
    int64_t threshold = -1;  // index in Thresholds; -1: none
    float score = 0;
    int64_t tie_before = 0;
  };

  // Entry e stops counting ties: in panel p only items before tie_before do.
  void SwitchLimit(size_t e, const float* q, int64_t p, int64_t* counts) {
    const Entry& entry = entries_[e];
    limit_[e] = entry.score;
    const int64_t before = entry.tie_before - p * kernels_.panel_width;
    if (before == 0) return;
    alignas(64) float scores[64];
    const int64_t row = static_cast<int64_t>(e) % kernels_.tile_rows;
    kernels_.score_row({q + row, v_.panel(p), v_.dim()}, scores);
    counts[entry.threshold] += std::count(scores, scores + before, entry.score);
  }

  const ScoreVariant& kernels_;
  const PackedVectors& v_;
  int64_t rounds_ = 0;
  std::vector<float> limit_;       // [rounds, tile_rows]
  std::vector<Entry> entries_;     // [rounds, tile_rows]
  std::vector<int32_t> counters_;  // [rounds, tile_rows, lanes]
  std::vector<size_t> switches_;   // entries by ascending tie_before
  size_t next_switch_ = 0;         // index in switches_
};

}  // namespace

void CountAbove(const float* q, int64_t rows, const PackedVectors& v, const Thresholds& thresholds,
                int64_t* counts) {
  const int64_t tile_rows = CurrentScoreVariant().tile_rows;
  // Rows with like numbers of thresholds share a tile.
  std::vector<int64_t> order;
  for (int64_t i = 0; i < rows; ++i) {
    if (thresholds.begin[i + 1] > thresholds.begin[i]) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return thresholds.begin[a + 1] - thresholds.begin[a] >
           thresholds.begin[b + 1] - thresholds.begin[b];
  });
  const auto n = static_cast<int64_t>(order.size());
  for (int64_t block = 0; block < n; block += kBlockRows) {
    const int64_t block_rows = std::min(kBlockRows, n - block);
    const TiledRows tiles(q, order.data() + block, block_rows, v.dim());
    std::vector<TileCounter> counters;
    for (int64_t row = 0; row < block_rows; row += tile_rows) {
      counters.emplace_back(order.data() + block + row, std::min(tile_rows, block_rows - row), v,
                            thresholds);
    }
    ForEachPanelAndTile(v, tiles.num_tiles(), [&](int64_t p, int64_t t) {
      counters[static_cast<size_t>(t)].CountPanel(tiles.tile(t), p, counts);
    });
    for (const TileCounter& counter : counters) counter.AddTo(counts);
  }
}

}  // namespace torii::kernels
