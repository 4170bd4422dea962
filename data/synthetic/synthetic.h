// Generated data with a known truth, for the quick start without a download, tests and benchmarks.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/file_system.h"

namespace torii::data {

struct SyntheticOptions {
  int64_t users = 2000;
  int64_t items = 1500;
  int64_t interactions_per_user = 40;  // on average, at least 5
  int64_t clusters = 12;               // tastes; each user has one or two, each item one
  uint64_t seed = 1;
};

struct SyntheticTruth {
  // Recall@20, on the last tenth of each user's interactions, of the ranking by the true
  // probabilities without the training items. No model can expect more.
  double oracle_recall_at_20 = 0;
  double popularity_recall_at_20 = 0;
};

// Writes interactions.parquet (user_id, item_id, timestamp), users.parquet (user_id, age, city) and
// items.parquet (item_id, title, category, price, words) into `folder`. Items have a popularity
// (Zipf) and a cluster; users pick items by popularity x taste; features tell the cluster with
// noise.
absl::StatusOr<SyntheticTruth> WriteSyntheticData(FileSystem& files, const std::string& folder,
                                                  const SyntheticOptions& options);

}  // namespace torii::data
