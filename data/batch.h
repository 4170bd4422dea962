// Batches: which training rows a rank takes at each step, with their users, items, weights and
// histories.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/row_groups.h"
#include "base/trace.h"
#include "data/dataset.h"

namespace torii::data {

// One rank's part of a global batch. Row i of it is at global position first_position + i of the
// epoch.
struct Batch {
  int64_t epoch = 0;
  int64_t step_in_epoch = 0;
  int64_t global_rows = 0;     // rows of this step over all ranks (the last batch may be smaller)
  int64_t first_position = 0;  // position in the epoch of this rank's first row
  std::vector<int64_t> rows;   // [B] row in train(), for messages
  std::vector<int64_t> users;  // [B]
  std::vector<int64_t> items;  // [B]
  std::vector<float> weights;  // [B] weight in the data, times the user balance
  RowGroups user_runs;         // rows that follow one another and are of one user
  Bags history;  // [B] item rows before the interaction, oldest first, at most `history` long
  int64_t size() const { return static_cast<int64_t>(users.size()); }
};

struct BatchOptions {
  int64_t global_batch = 0;
  int rank = 0;
  int world_size = 1;
  uint64_t seed = 0;
  int64_t history = 0;  // L; 0: no histories
  // Rows that stay together in the shuffle. Rows are in order of user and time: large blocks bring
  // rows of one user into one batch.
  int64_t shuffle_block = 1;
  // A row's weight is multiplied by (training rows of its user)^-user_balance.
  double user_balance = 0;
};

// The rows of any (epoch, step) in O(B): with blocks of S rows and pi = KeyedPermutation(n / S,
// seed, epoch), global position p of an epoch is training row pi(p / S) * S + p % S; the n % S rows
// that fill no block come last. Step t takes positions [tG, min((t+1)G, n)), split over the ranks
// by SplitEvenly. Every row exactly once an epoch; the last, smaller batch included.
class BatchMaker {
 public:
  // `dataset` is borrowed.
  BatchMaker(const Dataset& dataset, const BatchOptions& options);
  int64_t steps_per_epoch() const;
  Batch Make(Epoch epoch, StepInEpoch step) const;

 private:
  const Dataset& dataset_;
  BatchOptions options_;
};

// Makes the batches from (epoch, step) on, epoch after epoch without end. A background thread keeps
// up to `ahead` batches ready; with ahead = 0 there is no thread, and Next() makes its batch. Spans
// of the thread go to `trace`, if given.
class BatchPrefetcher {
 public:
  virtual ~BatchPrefetcher() = default;
  static std::unique_ptr<BatchPrefetcher> Start(const BatchMaker& maker, Epoch epoch,
                                                StepInEpoch step, int ahead,
                                                Trace* trace = nullptr);
  virtual Batch Next() = 0;
};

}  // namespace torii::data
