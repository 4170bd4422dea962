#include "kernels/cpu/ranking/score_count.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/ranking/score_rows.h"

namespace torii::kernels::cpu {
namespace {

constexpr int64_t kMostTileRows = 8, kMostPanelWidth = 64;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Counts for a block of rows of q while panel after panel of items passes. An item whose score
// equals the threshold counts if it comes before item tie_before. Therefore
//   in the panels before that item's panel, the limit is the next smaller number: ties count;
//   in that panel, ties are compared one by one;
//   in the panels after it, the limit is the threshold itself: ties do not count.
// Hidden items are counted like all others and subtracted one by one.
class BlockCounter {
 public:
  // rows [n]: those of q, thresholds and counts.
  BlockCounter(const float* q, const int64_t* rows, int64_t n, const PackedVectors& v,
               const Thresholds& thresholds, const HiddenItems& hidden)
      : kernels_(v.variant()), v_(v), tiles_(q, rows, n, v) {
    for (int64_t first = 0; first < n; first += kernels_.tile_rows) {
      AddTile(rows + first, std::min(kernels_.tile_rows, n - first), thresholds);
    }
    FindEvents(rows, n, hidden);
  }

  void Count(int64_t* counts) {
    ForEachPanelAndTile(v_, tiles_.num_tiles(),
                        [&](int64_t p, int64_t t) { CountPanel(p, t, counts); });
    // The last panel is filled up with items of score 0, which do not count.
    const int64_t lacking = v_.num_panels() * kernels_.panel_width - v_.n();
    for (size_t e = 0; e < entries_.size(); ++e) {
      if (entries_[e].threshold < 0) continue;
      counts[entries_[e].threshold] += counters_[e] - (0.0F > limit_[e] ? lacking : 0);
    }
  }

 private:
  // A threshold of a row of a tile.
  struct Entry {
    int64_t threshold = -1;  // index in Thresholds; -1: none
    float score = 0;
    int64_t tie_before = 0;
  };
  struct Tile {
    int64_t first_entry;  // its entries, limits and counters: [rounds, tile_rows]
    int64_t rounds;
  };
  // A panel in which a tile must look at single scores: a row hides an item of it, or an entry
  // stops counting ties in it.
  struct Event {
    int64_t panel;
    int32_t tile;
    int32_t row;     // of the tile
    int32_t column;  // of the panel
    int64_t entry;   // -1: the item is hidden
  };

  void AddTile(const int64_t* rows, int64_t num_rows, const Thresholds& thresholds) {
    int64_t rounds = 0;
    for (int64_t r = 0; r < num_rows; ++r) {
      rounds = std::max(rounds, thresholds.begin[rows[r] + 1] - thresholds.begin[rows[r]]);
    }
    const auto first = std::ssize(entries_);
    tile_.push_back({first, rounds});
    entries_.resize(static_cast<size_t>(first + rounds * kernels_.tile_rows));
    limit_.resize(entries_.size(), kInfinity);
    counters_.resize(entries_.size(), 0);
    for (int64_t r = 0; r < num_rows; ++r) {
      const int64_t begin = thresholds.begin[rows[r]];
      for (int64_t t = begin; t < thresholds.begin[rows[r] + 1]; ++t) {
        const auto e = static_cast<size_t>(first + (t - begin) * kernels_.tile_rows + r);
        limit_[e] = std::nextafter(thresholds.score[t], -kInfinity);
        entries_[e] = {t, thresholds.score[t],
                       std::clamp(thresholds.tie_before[t], int64_t{0}, v_.n())};
      }
    }
  }

  // Calls visit(event) for all events, tile by tile.
  template <typename Visit>
  void ForEachEvent(const int64_t* rows, int64_t n, const HiddenItems& hidden,
                    const Visit& visit) const {
    const int64_t width = kernels_.panel_width;
    for (int64_t i = 0; i < n; ++i) {
      const auto t = static_cast<int32_t>(i / kernels_.tile_rows);
      const auto r = static_cast<int32_t>(i % kernels_.tile_rows);
      for (int64_t k = hidden.begin[rows[i]]; k < hidden.begin[rows[i] + 1]; ++k) {
        const int64_t item = hidden.items[k];
        visit(Event{item / width, t, r, static_cast<int32_t>(item % width), -1});
      }
      const Tile& tile = tile_[static_cast<size_t>(t)];
      for (int64_t round = 0; round < tile.rounds; ++round) {
        const int64_t e = tile.first_entry + round * kernels_.tile_rows + r;
        const Entry& entry = entries_[static_cast<size_t>(e)];
        if (entry.threshold < 0) break;
        visit(Event{entry.tie_before / width, t, r, static_cast<int32_t>(entry.tie_before % width),
                    e});
      }
    }
  }

  // All events in the order in which the tiles pass by the panels.
  void FindEvents(const int64_t* rows, int64_t n, const HiddenItems& hidden) {
    std::vector<int64_t> begin(static_cast<size_t>(v_.num_panels()) + 2, 0);  // of each panel
    ForEachEvent(rows, n, hidden,
                 [&](const Event& event) { ++begin[static_cast<size_t>(event.panel) + 1]; });
    for (size_t p = 1; p < begin.size(); ++p) begin[p] += begin[p - 1];
    events_.resize(static_cast<size_t>(begin.back()) + 1);
    events_.back().panel = v_.num_panels() + 1;  // never comes
    ForEachEvent(rows, n, hidden, [&](const Event& event) {
      events_[static_cast<size_t>(begin[static_cast<size_t>(event.panel)]++)] = event;
    });
  }

  bool Happens(const Event& event, int64_t p, int64_t t) const {
    return event.panel == p && event.tile == t;
  }

  void CountPanel(int64_t p, int64_t t, int64_t* counts) {
    alignas(64) float scores[kMostTileRows * kMostPanelWidth];
    const size_t first_event = next_event_;
    for (; Happens(events_[next_event_], p, t); ++next_event_) {
      const int64_t e = events_[next_event_].entry;
      if (e >= 0) limit_[static_cast<size_t>(e)] = entries_[static_cast<size_t>(e)].score;
    }
    const Tile& tile = tile_[static_cast<size_t>(t)];
    kernels_.count_tile(
        {tiles_.tile(t), v_.panel(p), v_.dim()},
        {tile.rounds, limit_.data() + tile.first_entry, counters_.data() + tile.first_entry,
         next_event_ > first_event ? scores : nullptr});
    for (size_t i = first_event; i < next_event_; ++i) {
      const float* row = scores + events_[i].row * kernels_.panel_width;
      if (events_[i].entry >= 0) {
        const Entry& entry = entries_[static_cast<size_t>(events_[i].entry)];
        counts[entry.threshold] += std::count(row, row + events_[i].column, entry.score);
      } else {
        TakeAway(events_[i], row[events_[i].column], counts);
      }
    }
  }

  void TakeAway(const Event& hidden, float score, int64_t* counts) const {
    const int64_t item = hidden.panel * kernels_.panel_width + hidden.column;
    const Tile& tile = tile_[static_cast<size_t>(hidden.tile)];
    for (int64_t round = 0; round < tile.rounds; ++round) {
      const int64_t e = tile.first_entry + round * kernels_.tile_rows + hidden.row;
      const Entry& entry = entries_[static_cast<size_t>(e)];
      if (entry.threshold < 0) return;
      const bool ties = score == entry.score && item < entry.tie_before;
      counts[entry.threshold] -= score > entry.score || ties ? 1 : 0;
    }
  }

  const ScoreVariant& kernels_;
  const PackedVectors& v_;
  const TiledRows tiles_;
  std::vector<Tile> tile_;
  std::vector<float> limit_;
  std::vector<Entry> entries_;
  std::vector<int32_t> counters_;
  std::vector<Event> events_;
  size_t next_event_ = 0;
};

}  // namespace

void CountAbove(const float* q, int64_t rows, const PackedVectors& v, const Thresholds& thresholds,
                const HiddenItems& hidden, int64_t* counts) {
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
    BlockCounter(q, order.data() + block, std::min(kBlockRows, n - block), v, thresholds, hidden)
        .Count(counts);
  }
}

}  // namespace torii::kernels::cpu
