#include "kernels/score.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "kernels/score_variants.h"

namespace torii::kernels {
namespace {

// Query rows that pass over a panel while it is in the first cache.
constexpr int64_t kBlockRows = 96;

const ScoreVariant* g_variant = RunnableScoreVariants().front();

int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Query rows as the tiles read them: [tiles, dim, tile_rows], missing rows zero.
std::vector<float> InterleaveRows(const float* q, int64_t rows, int64_t dim, int64_t tile_rows) {
  const int64_t tiles = CeilDivide(rows, tile_rows);
  std::vector<float> out(static_cast<size_t>(tiles * dim * tile_rows), 0.0F);
  for (int64_t i = 0; i < rows; ++i) {
    float* to = out.data() + (i / tile_rows) * dim * tile_rows + i % tile_rows;
    for (int64_t d = 0; d < dim; ++d) to[d * tile_rows] = q[i * dim + d];
  }
  return out;
}

// The scores of one tile, cut to `rows` x `items`, at out (row stride `stride`).
void StoreTile(const float* q, const float* panel, int64_t dim, int64_t rows, int64_t items,
               float* out, int64_t stride) {
  const ScoreVariant& k = *g_variant;
  if (rows == k.tile_rows && items == k.panel_width) {
    k.score_tile(q, panel, dim, k.panel_width / k.lanes, out, stride);
    return;
  }
  alignas(64) float tile[8 * 48];
  k.score_tile(q, panel, dim, CeilDivide(items, k.lanes), tile, k.panel_width);
  for (int64_t r = 0; r < rows; ++r) {
    std::memcpy(out + r * stride, tile + r * k.panel_width,
                static_cast<size_t>(items) * sizeof(float));
  }
}

// CountAbove for one block of rows: the panels pass by, the rows' counters stay in the cache.
class BlockCounter {
 public:
  BlockCounter(const float* q, int64_t rows, const PackedVectors& v, const float* threshold,
               const int64_t* tie_before)
      : kernels_(*g_variant),
        v_(v),
        rows_(rows),
        tiles_(CeilDivide(rows, kernels_.tile_rows)),
        q_(InterleaveRows(q, rows, v.dim(), kernels_.tile_rows)),
        threshold_(static_cast<size_t>(tiles_ * kernels_.tile_rows), 0.0F),
        tie_before_(threshold_.size(), 0),
        relative_(static_cast<size_t>(kernels_.tile_rows), 0),
        counters_(threshold_.size() * static_cast<size_t>(kernels_.lanes), 0) {
    std::copy(threshold, threshold + rows, threshold_.begin());
    std::copy(tie_before, tie_before + rows, tie_before_.begin());
  }

  void AddTo(int64_t* counts) {
    const int64_t full_panels = v_.n() / kernels_.panel_width;
    for (int64_t p = 0; p < full_panels; ++p) CountFullPanel(p);
    if (v_.n() % kernels_.panel_width != 0) CountPartPanel(full_panels, counts);
    for (int64_t i = 0; i < rows_; ++i) {
      for (int64_t lane = 0; lane < kernels_.lanes; ++lane) {
        counts[i] += counters_[static_cast<size_t>(i * kernels_.lanes + lane)];
      }
    }
  }

 private:
  const float* Panel(int64_t p) const { return v_.panels() + p * kernels_.panel_width * v_.dim(); }
  const float* Tile(int64_t t) const { return q_.data() + t * kernels_.tile_rows * v_.dim(); }

  void CountFullPanel(int64_t p) {
    const int64_t first = p * kernels_.panel_width;
    for (int64_t t = 0; t < tiles_; ++t) {
      const int64_t row = t * kernels_.tile_rows;
      for (int64_t r = 0; r < kernels_.tile_rows; ++r) {
        relative_[static_cast<size_t>(r)] = tie_before_[static_cast<size_t>(row + r)] - first;
      }
      kernels_.count_tile({Tile(t), Panel(p), v_.dim(), threshold_.data() + row, relative_.data(),
                           counters_.data() + row * kernels_.lanes});
    }
  }

  // The last panel has items that do not exist: its scores are compared one by one.
  void CountPartPanel(int64_t p, int64_t* counts) {
    const int64_t first = p * kernels_.panel_width;
    const int64_t items = v_.n() - first;
    alignas(64) float tile[8 * 48];
    for (int64_t i = 0; i < rows_; ++i) {
      const int64_t r = i % kernels_.tile_rows;
      if (r == 0) {
        kernels_.score_tile(Tile(i / kernels_.tile_rows), Panel(p), v_.dim(),
                            CeilDivide(items, kernels_.lanes), tile, kernels_.panel_width);
      }
      const float limit = threshold_[static_cast<size_t>(i)];
      const int64_t ties = tie_before_[static_cast<size_t>(i)] - first;
      const float* scores = tile + r * kernels_.panel_width;
      for (int64_t j = 0; j < items; ++j) {
        counts[i] += scores[j] > limit || (scores[j] == limit && j < ties);
      }
    }
  }

  const ScoreVariant& kernels_;
  const PackedVectors& v_;
  int64_t rows_, tiles_;
  std::vector<float> q_, threshold_;
  std::vector<int64_t> tie_before_, relative_;
  std::vector<int32_t> counters_;
};

}  // namespace

int64_t PackedVectors::panel_width() { return g_variant->panel_width; }

PackedVectors::PackedVectors(const float* v, int64_t n, int64_t dim) : n_(n), dim_(dim) {
  TORII_CHECK(n >= 0 && dim >= 0, "n ", n, ", dim ", dim);
  const int64_t width = panel_width();
  const int64_t size = CeilDivide(n, width) * width * dim;
  panels_ = MakeAlignedFloats(size, 0.0F);
  for (int64_t first = 0; first < n; first += width) {
    float* panel = panels_.get() + first * dim;
    const int64_t items = std::min(width, n - first);
    for (int64_t j = 0; j < items; ++j) {
      for (int64_t d = 0; d < dim; ++d) panel[d * width + j] = v[(first + j) * dim + d];
    }
  }
}

void Scores(const float* q, int64_t rows, const PackedVectors& v, float* out) {
  ScoresOfRange(q, rows, v, 0, v.n(), out);
}

void ScoresOfRange(const float* q, int64_t rows, const PackedVectors& v, int64_t begin, int64_t end,
                   float* out) {
  const ScoreVariant& k = *g_variant;
  TORII_CHECK(begin % k.panel_width == 0 && 0 <= begin && begin <= end && end <= v.n(), "range ",
              begin, "..", end, " of ", v.n(), " items");
  const int64_t dim = v.dim();
  for (int64_t block = 0; block < rows; block += kBlockRows) {
    const int64_t block_rows = std::min(kBlockRows, rows - block);
    const std::vector<float> q_tiles =
        InterleaveRows(q + block * dim, block_rows, dim, k.tile_rows);
    for (int64_t first = begin; first < end; first += k.panel_width) {
      const float* panel = v.panels() + first * dim;
      for (int64_t row = 0; row < block_rows; row += k.tile_rows) {
        StoreTile(q_tiles.data() + row * dim, panel, dim, std::min(k.tile_rows, block_rows - row),
                  std::min(k.panel_width, end - first),
                  out + (block + row) * (end - begin) + first - begin, end - begin);
      }
    }
  }
}

void CountAbove(const float* q, int64_t rows, const PackedVectors& v, const float* threshold,
                const int64_t* tie_before, int64_t* counts) {
  for (int64_t block = 0; block < rows; block += kBlockRows) {
    BlockCounter(q + block * v.dim(), std::min(kBlockRows, rows - block), v, threshold + block,
                 tie_before + block)
        .AddTo(counts + block);
  }
}

float Score(const float* q, const float* v, int64_t dim) { return g_variant->score(q, v, dim); }

const char* ChosenVariant() { return g_variant->name; }

void UseScoreVariant(const ScoreVariant& variant) { g_variant = &variant; }

}  // namespace torii::kernels
