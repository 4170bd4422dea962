// Metrics from ranks (definitions: docs/evaluation.md). Sums run over users in order, so they do
// not depend on W.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "eval/rank_targets.h"

namespace torii::eval {

struct Metrics {
  int64_t users = 0;
  int64_t targets = 0;
  // "recall@20", "precision@20", "ndcg@20", "hit_rate@20", "map@20", "mrr@20" for each k, and
  // "mrr".
  std::map<std::string, double> values;
};

// The metrics of one user from the sorted or unsorted ranks of its targets.
std::map<std::string, double> UserMetrics(std::span<const int64_t> ranks, std::span<const int> ks);

// Means over the users. ranks: one per target, as from RankTargets.
Metrics Aggregate(const HeldOut& held_out, std::span<const int64_t> ranks, std::span<const int> ks);

// One line per user: user id, targets, ranks, metrics (TSV with a header). ids: names of user rows.
absl::Status WritePerUser(FileSystem& files, const std::string& path, const HeldOut& held_out,
                          std::span<const int64_t> ranks, std::span<const int> ks,
                          const std::function<std::string(int64_t)>& user_id);

// A table for people: metric rows, one column per k, model beside baseline.
std::string FormatTable(const Metrics& model, const Metrics& baseline, std::span<const int> ks);

}  // namespace torii::eval
