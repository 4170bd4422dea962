// The names of the metrics, in the order in which tables list them (docs/evaluation.md).
#pragma once

#include <array>

namespace torii::eval {

inline constexpr char kRecall[] = "recall";
inline constexpr char kNdcg[] = "ndcg";
inline constexpr char kPrecision[] = "precision";
inline constexpr char kHitRate[] = "hit_rate";
inline constexpr char kMap[] = "map";
inline constexpr char kMrr[] = "mrr";

// Each has a cut-off: "recall@20". kMrr also stands alone, for the whole ranking.
inline constexpr std::array<const char*, 6> kMetricsAtK = {kRecall,  kNdcg, kPrecision,
                                                           kHitRate, kMap,  kMrr};

}  // namespace torii::eval
