// Lists of rows pooled to one row each, and the way back.
#include "kernels/cuda/cuda_kernels.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/runs.h"
#include "kernels/cuda/sort.h"
#include "kernels/cuda/uses.h"

namespace torii::kernels::cuda {
namespace {

constexpr int kThreads = 256;

LaunchShape ShapeFor(int64_t count) {
  return {.blocks = BlocksFor(count, kThreads), .threads = kThreads};
}

// Up to a warp's lanes for one list: as many as its vectors take.
template <int kVector>
int LaneBits(int64_t width) {
  int bits = 0;
  while (bits < 5 && (int64_t{kVector} << bits) < width) ++bits;
  return bits;
}

// begin: null for lists of one place each. partial: the sums of chunks (runs.h), or null: every list
// is summed place by place.
template <int kVector, class Index>
__global__ void PoolKernel(const IndexedRows<Index> rows, const int64_t* begin, int64_t lists,
                           int64_t width, const float* partial, const PoolTo to, int lane_bits) {
  const int64_t lanes = int64_t{1} << lane_bits, step = GridThreads() >> lane_bits;
  for (int64_t i = GlobalThread() >> lane_bits; i < lists; i += step) {
    const int64_t first = begin != nullptr ? begin[i] : i;
    const int64_t last = begin != nullptr ? begin[i + 1] : i + 1;
    const float scale = to.scale != nullptr ? to.scale[i] : 1.0F;
    for (int64_t d = (GlobalThread() & (lanes - 1)) * kVector; d < width; d += lanes * kVector) {
      Floats<kVector> sum = partial != nullptr
                                ? SumOfRun<kVector>(rows, first, last, d, partial, width)
                                : SumOfPlaces<kVector>(rows, first, last, d);
      float* const out = to.out + i * width + d;
      Floats<kVector> before{};
      if (to.adds) before = Load<kVector>(out);
      TORII_UNROLL
      for (int k = 0; k < kVector; ++k) sum.at[k] = before.at[k] + sum.at[k] * scale;
      Store(out, sum);
    }
  }
}

template <int kVector>
void PoolVectors(const RowTable& table, const RowLists& lists, float* out) {
  const int bits = LaneBits<kVector>(table.width);
  const IndexedRows<int64_t> rows{table.rows, table.stride, lists.index, lists.weight};
  Launch(PoolKernel<kVector, int64_t>, ShapeFor(lists.lists << bits), rows, lists.begin,
         lists.lists, table.width, nullptr, PoolTo{out, lists.scale, false}, bits);
}

void Pool(const RowTable& table, const RowLists& lists, float* out) {
  if (lists.lists == 0 || table.width == 0) return;
  if (AreVectors(table.rows, table.width, table.stride) &&
      AreVectors(out, table.width, table.width)) {
    return PoolVectors<4>(table, lists, out);
  }
  PoolVectors<1>(table, lists, out);
}

// ---- Uses ----

__global__ void NumberUsesKernel(const int64_t* index, int64_t places, uint32_t* rows,
                                 uint32_t* place) {
  for (int64_t k = GlobalThread(); k < places; k += GridThreads()) {
    rows[k] = static_cast<uint32_t>(index[k]);
    place[k] = static_cast<uint32_t>(k);
  }
}

template <int kVector>
void SumUsesVectors(const RowTable& table, const Uses& uses, const uint32_t* index,
                    const float* weight, const PoolTo& to) {
  const IndexedRows<uint32_t> rows{table.rows, table.stride, index, weight};
  const Scratch<float> partial(ChunkSlots(uses.places()) * table.width);
  SumChunks<kVector>(rows, uses.begin(), uses.rows(), uses.places(), table.width, partial.get());
  const int bits = LaneBits<kVector>(table.width);
  Launch(PoolKernel<kVector, uint32_t>, ShapeFor(uses.rows() << bits), rows, uses.begin(),
         uses.rows(), table.width, partial.get(), to, bits);
}

// ---- The way back ----

__global__ void ListOfPlaceKernel(const int64_t* begin, int64_t lists, uint32_t* list) {
  for (int64_t i = GlobalWarp(); i < lists; i += GridWarps()) {
    for (int64_t k = begin[i] + LaneOf(); k < begin[i + 1]; k += kWarpLanes) {
      list[k] = static_cast<uint32_t>(i);
    }
  }
}

// The list of each use and its weight. list: of each place; null: place k is list k.
__global__ void FollowUsesKernel(const RowLists lists, const uint32_t* place, const uint32_t* list,
                                 uint32_t* list_of_use, float* weight_of_use) {
  for (int64_t u = GlobalThread(); u < lists.places; u += GridThreads()) {
    const uint32_t k = place[u];
    const uint32_t i = list != nullptr ? list[k] : k;
    list_of_use[u] = i;
    weight_of_use[u] = (lists.weight != nullptr ? lists.weight[k] : 1.0F) *
                       (lists.scale != nullptr ? lists.scale[i] : 1.0F);
  }
}

// The same pooling, with lists and rows exchanged.
void PoolBackward(const RowTable& gradient, const RowLists& lists, int64_t rows, float* out) {
  if (rows == 0 || gradient.width == 0) return;
  const Uses uses(lists.index, lists.places, rows);
  const Scratch<uint32_t> list(lists.places), list_of_use(lists.places);
  const Scratch<float> weight(lists.places);
  if (lists.begin != nullptr) {
    Launch(ListOfPlaceKernel, ShapeFor(lists.lists * kWarpLanes), lists.begin, lists.lists,
           list.get());
  }
  Launch(FollowUsesKernel, ShapeFor(lists.places), lists, uses.place(),
         lists.begin != nullptr ? list.get() : nullptr, list_of_use.get(), weight.get());
  const bool is_weighted = lists.weight != nullptr || lists.scale != nullptr;
  SumUses(gradient, uses, list_of_use.get(), is_weighted ? weight.get() : nullptr, {.out = out});
}

// ---- Weights of lists ----

__global__ void InverseLengthsKernel(const int64_t* begin, int64_t lists, float* scale) {
  for (int64_t i = GlobalThread(); i < lists; i += GridThreads()) {
    const int64_t length = begin[i + 1] - begin[i];
    scale[i] = 1.0F / static_cast<float>(length > 1 ? length : 1);
  }
}

// A warp takes a list. expm1 keeps the sum of the geometric series exact where the ratio is near 1.
__global__ void RecencyKernel(const int64_t* begin, int64_t lists, double log_ratio,
                              float* weight) {
  for (int64_t i = GlobalWarp(); i < lists; i += GridWarps()) {
    const int64_t first = begin[i], last = begin[i + 1];
    const double total = expm1(static_cast<double>(last - first) * log_ratio) / expm1(log_ratio);
    for (int64_t k = first + LaneOf(); k < last; k += kWarpLanes) {
      weight[k] = static_cast<float>(exp(static_cast<double>(last - 1 - k) * log_ratio) / total);
    }
  }
}

void InverseLengths(const int64_t* begin, int64_t lists, float* scale) {
  Launch(InverseLengthsKernel, ShapeFor(lists), begin, lists, scale);
}

void RecencyWeights(const int64_t* begin, int64_t lists, double log_ratio, float* weight) {
  Launch(RecencyKernel, ShapeFor(lists * kWarpLanes), begin, lists, log_ratio, weight);
}

}  // namespace

Uses::Uses(const int64_t* index, int64_t places, int64_t rows)
    : rows_(rows), places_(places), place_(places), begin_(rows + 1) {
  const Scratch<uint32_t> keys(places), values(places), sorted(places);
  Launch(NumberUsesKernel, ShapeFor(places), index, places, keys.get(), values.get());
  SortPairs({.keys = keys.get(),
             .values = values.get(),
             .count = places,
             .bits = BitsBelow(rows),
             .sorted_keys = sorted.get(),
             .sorted_values = place_.get()});
  FindBegins(sorted.get(), places, rows, begin_.get());
}

void SumUses(const RowTable& table, const Uses& uses, const uint32_t* index, const float* weight,
             const PoolTo& to) {
  if (uses.rows() == 0) return;
  if (AreVectors(table.rows, table.width, table.stride) &&
      AreVectors(to.out, table.width, table.width)) {
    return SumUsesVectors<4>(table, uses, index, weight, to);
  }
  SumUsesVectors<1>(table, uses, index, weight, to);
}

void AddPooledRows(DeviceKernels* table) {
  table->pool_rows = Pool;
  table->pool_rows_backward = PoolBackward;
  table->inverse_lengths = InverseLengths;
  table->recency_weights = RecencyWeights;
}

}  // namespace torii::kernels::cuda
