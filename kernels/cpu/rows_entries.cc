// Rows of embedding tables and random rows in the table of the CPU.
#include <ATen/Parallel.h>

#include <algorithm>
#include <span>

#include "base/parallel_for.h"
#include "base/random.h"
#include "kernels/cpu/cpu_kernels.h"
#include "kernels/cpu/rows.h"

namespace torii::kernels::cpu {
namespace {

// Rows below which a second thread does not pay.
constexpr int64_t kGrain = 128, kDropoutGrain = 64;
// Results of this size leave the second-level cache before anybody reads them.
constexpr int64_t kPastCacheBytes = int64_t{8} << 20;
// What an update of one more distinct row costs, in gradient rows read.
constexpr int64_t kRowCost = 3;

void Gather(const GatherArgs& args) {
  const bool past_cache =
      args.count * args.dim * static_cast<int64_t>(sizeof(float)) >= kPastCacheBytes;
  ParallelFor(0, args.count, kGrain, [&](int64_t begin, int64_t end) {
    GatherRows(args.rows, args.stride, {args.slots + begin, static_cast<size_t>(end - begin)},
               args.dim, args.out + begin * args.dim, past_cache);
  });
}

// The first of `pieces` equally costly pieces of the rows to begin at or after `piece`.
int64_t PieceBegin(const TouchedRowList& touched, int64_t pieces, int64_t piece) {
  const auto cost = [&](int64_t row) {
    return touched.begin[row] - touched.begin[0] + kRowCost * row;
  };
  const int64_t wanted = cost(touched.rows) * piece / pieces;
  int64_t begin = 0, end = touched.rows;
  while (begin < end) {
    const int64_t middle = begin + (end - begin) / 2;
    if (cost(middle) < wanted) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

void Update(const RowStep& step, const TouchedRowList& touched) {
  if (step.gate != nullptr && !*step.gate) return;
  const int64_t gradients = touched.begin[touched.rows] - touched.begin[0];
  const int64_t pieces = std::clamp<int64_t>(gradients / kGrain, 1, at::get_num_threads());
  ParallelFor(0, pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      UpdateRows(step, touched, PieceBegin(touched, pieces, piece),
                 PieceBegin(touched, pieces, piece + 1));
    }
  });
}

PhiloxKey KeyOf(const RandomRowKey& key) { return {key.key[0], key.key[1]}; }

void NormalRows(const NormalRowsArgs& args) {
  ParallelFor(0, args.count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const std::span<float> row(args.out + i * args.stride, static_cast<size_t>(args.dim));
      NormalRow(KeyOf(args.key), static_cast<uint64_t>(args.first_row + i * args.row_step), row);
      for (float& x : row) x *= args.scale;
    }
  });
}

void Dropout(const DropoutArgs& args) {
  ParallelFor(0, args.count, kDropoutGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const std::span<float> row(args.out + i * args.width, static_cast<size_t>(args.width));
      UniformRow(KeyOf(args.key), static_cast<uint64_t>(args.row_key[i]), row);
      for (float& x : row) x = x < args.drop ? 0.0F : args.kept;
    }
  });
}

}  // namespace

void AddTableRows(DeviceKernels* table) {
  table->gather_rows = Gather;
  table->update_rows = Update;
}

void AddRandomRows(DeviceKernels* table) {
  table->normal_rows = NormalRows;
  table->dropout_mask = Dropout;
}

}  // namespace torii::kernels::cpu
