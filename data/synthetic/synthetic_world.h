// The world from which synthetic data are drawn: items with a popularity and a cluster, users with
// tastes, and the interactions that follow. It is a pure function of the options.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "data/synthetic/synthetic.h"

namespace torii::data {

// A user picks cluster c with probability share of c, then an item of c by popularity.
struct Taste {
  std::array<int64_t, 2> cluster = {0, 0};  // equal: one taste only
  std::array<double, 2> share = {0, 0};
  double other_share = 0;  // of every cluster, the tastes' own included

  double ShareOf(int64_t c) const {
    return other_share + (c == cluster[0] ? share[0] : 0) + (c == cluster[1] ? share[1] : 0);
  }
};

class SyntheticWorld {
 public:
  // options: users >= 1, 1 <= clusters <= items, items >= 10, interactions_per_user >= 5.
  explicit SyntheticWorld(const SyntheticOptions& options);

  int64_t users() const { return static_cast<int64_t>(tastes_.size()); }
  int64_t items() const { return static_cast<int64_t>(cluster_of_.size()); }
  int64_t clusters() const { return static_cast<int64_t>(by_popularity_.size()); }
  int64_t ClusterOf(int64_t item) const { return cluster_of_[static_cast<size_t>(item)]; }
  const Taste& TasteOf(int64_t user) const { return tastes_[static_cast<size_t>(user)]; }
  // Distinct items, oldest first.
  const std::vector<int64_t>& HistoryOf(int64_t user) const {
    return histories_[static_cast<size_t>(user)];
  }
  // The probability that one pick of the user is the item.
  double Probability(int64_t user, int64_t item) const;
  // How many of n interactions, the latest ones, are held out: max(1, floor(n / 10)).
  static int64_t HeldOut(int64_t n) { return n < 20 ? 1 : n / 10; }

  // The k items without `seen` with the highest true probability for the user (ties: smaller item).
  std::vector<int64_t> BestItems(int64_t user, const std::vector<bool>& seen, int64_t k) const;
  // Recall of the held-out items among the best 20, averaged over users, training items masked: by
  // true probability and by number of training interactions.
  SyntheticTruth Truth() const;

 private:
  void DrawItems();
  void DrawTastes();
  void DrawHistories();

  SyntheticOptions options_;
  std::vector<int64_t> cluster_of_;                  // [items]
  std::vector<double> popularity_;                   // [items] share within the item's cluster
  std::vector<std::vector<int64_t>> by_popularity_;  // [clusters] items, most popular first
  std::vector<std::vector<double>> cumulative_;      // [clusters] cumulative popularity, ends at 1
  std::vector<Taste> tastes_;                        // [users]
  std::vector<std::vector<int64_t>> histories_;      // [users]
};

}  // namespace torii::data
