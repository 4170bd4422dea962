#include "data/batch.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/permutation.h"
#include "base/split_evenly.h"
#include "data/for_each_row_ahead.h"

namespace torii::data {
namespace {

size_t Index(int64_t i) { return static_cast<size_t>(i); }

void TakeInteractions(const Interactions& train, Batch& batch) {
  const int32_t* user = train.user.data();
  const int32_t* item = train.item.data();
  const float* weight = train.weight.empty() ? nullptr : train.weight.data();
  batch.users.resize(batch.rows.size());
  batch.items.resize(batch.rows.size());
  batch.weights.resize(batch.rows.size(), 1.0f);
  ForEachRowAhead(
      batch.rows,
      [&](int64_t row) {
        __builtin_prefetch(user + row);
        __builtin_prefetch(item + row);
        if (weight != nullptr) __builtin_prefetch(weight + row);
      },
      [&](size_t i, int64_t row) {
        batch.users[i] = user[row];
        batch.items[i] = item[row];
        if (weight != nullptr) batch.weights[i] = weight[row];
      });
}

// The history of a row is the slice just before it within its user's rows.
void TakeHistories(const Interactions& train, int64_t length, Batch& batch) {
  const int64_t* user_begin = train.user_begin.data();
  const int32_t* item = train.item.data();
  Bags& history = batch.history;
  history.offsets.resize(batch.rows.size() + 1);
  history.offsets[0] = 0;
  ForEachRowAhead(
      batch.users, [&](int64_t user) { __builtin_prefetch(user_begin + user); },
      [&](size_t i, int64_t user) {
        const int64_t earlier = batch.rows[i] - user_begin[user];
        history.offsets[i + 1] = history.offsets[i] + std::min(earlier, length);
      });
  history.values.resize(Index(history.offsets.back()));
  ForEachRowAhead(
      batch.rows,
      [&](int64_t row) {
        __builtin_prefetch(item + std::max<int64_t>(0, row - length));
        __builtin_prefetch(item + row);
      },
      [&](size_t i, int64_t row) {
        const int64_t count = history.offsets[i + 1] - history.offsets[i];
        const int32_t* from = item + row - count;
        int64_t* to = history.values.data() + history.offsets[i];
#pragma omp simd
        for (int64_t k = 0; k < count; ++k) to[k] = from[k];
      });
}

// The rows at positions [first, first + rows.size()) of an epoch.
void FillRows(const BatchOptions& options, int64_t n, int64_t epoch, int64_t first,
              std::vector<int64_t>& rows) {
  const int64_t block = options.shuffle_block;
  const KeyedPermutation block_at(n / block, options.seed, static_cast<uint64_t>(epoch));
  if (block == 1) return block_at.Fill(first, rows);
  const int64_t whole = n / block * block;
  int64_t current = -1, begin = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t position = first + static_cast<int64_t>(i);
    if (position >= whole) {
      rows[i] = position;
      continue;
    }
    if (position / block != current) {
      current = position / block;
      begin = block_at(current) * block;
    }
    rows[i] = begin + position % block;
  }
}

// Where runs of one user begin, and the users' share in the weights.
void TakeUsers(const Interactions& train, double balance, Batch& batch) {
  std::vector<int64_t> begins;
  float factor = 1;
  for (size_t i = 0; i < batch.users.size(); ++i) {
    const int64_t user = batch.users[i];
    if (i == 0 || user != batch.users[i - 1]) {
      begins.push_back(static_cast<int64_t>(i));
      const auto rows = static_cast<double>(train.ItemsOf(user).size());
      if (balance != 0) factor = static_cast<float>(std::pow(rows, -balance));
    }
    batch.weights[i] *= factor;
  }
  begins.push_back(static_cast<int64_t>(batch.users.size()));
  batch.user_runs = RowGroups::Of(std::move(begins));
}

}  // namespace

BatchMaker::BatchMaker(const Dataset& dataset, const BatchOptions& options)
    : dataset_(dataset), options_(options) {
  TORII_CHECK(options.global_batch >= 1, "global batch ", options.global_batch, " is below 1");
  TORII_CHECK(options.rank >= 0 && options.rank < options.world_size, "rank ", options.rank,
              " in a world of ", options.world_size);
  TORII_CHECK(options.history >= 0, "history of ", options.history, " items");
  TORII_CHECK(options.shuffle_block >= 1, "blocks of ", options.shuffle_block, " rows");
}

int64_t BatchMaker::steps_per_epoch() const {
  const int64_t n = dataset_.train().size();
  return n / options_.global_batch + (n % options_.global_batch != 0 ? 1 : 0);
}

Batch BatchMaker::Make(Epoch epoch_id, StepInEpoch step_id) const {
  const int64_t epoch = Value(epoch_id), step_in_epoch = Value(step_id);
  TORII_CHECK(epoch >= 0 && step_in_epoch >= 0 && step_in_epoch < steps_per_epoch(), "epoch ",
              epoch, " step ", step_in_epoch, " of ", steps_per_epoch());
  const Interactions& train = dataset_.train();
  const int64_t begin = step_in_epoch * options_.global_batch;
  Batch batch;
  batch.epoch = epoch;
  batch.step_in_epoch = step_in_epoch;
  batch.global_rows = std::min(options_.global_batch, train.size() - begin);
  const Range mine = SplitEvenly(batch.global_rows, options_.world_size, options_.rank);
  batch.first_position = begin + mine.begin;

  batch.rows.resize(Index(mine.size()));
  FillRows(options_, train.size(), epoch, batch.first_position, batch.rows);
  TakeInteractions(train, batch);
  TakeUsers(train, options_.user_balance, batch);
  if (options_.history > 0) {
    TakeHistories(train, options_.history, batch);
  } else {
    batch.history.offsets.assign(batch.rows.size() + 1, 0);
  }
  return batch;
}

}  // namespace torii::data
