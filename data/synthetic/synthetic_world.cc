#include "data/synthetic/synthetic_world.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/permutation.h"
#include "base/random.h"

namespace torii::data {
namespace {

constexpr int64_t kRecallDepth = 20;
// Popularity falls as (rank + kZipfShift)^-kZipfExponent.
constexpr double kZipfExponent = 0.9;
constexpr double kZipfShift = 2.0;
// Picks outside of a user's tastes.
constexpr double kOtherShare = 0.1;

size_t Index(int64_t i) { return static_cast<size_t>(i); }

// Share of the items from `position` on that are among `best`.
double RecallOf(const std::vector<int64_t>& history, size_t position,
                const std::vector<int64_t>& best) {
  const auto hits = std::count_if(
      history.begin() + static_cast<ptrdiff_t>(position), history.end(),
      [&best](int64_t item) { return std::find(best.begin(), best.end(), item) != best.end(); });
  return static_cast<double>(hits) / static_cast<double>(history.size() - position);
}

}  // namespace

SyntheticWorld::SyntheticWorld(const SyntheticOptions& options) : options_(options) {
  DrawItems();
  DrawTastes();
  DrawHistories();
}

// Clusters of equal size; popularity does not depend on the cluster.
void SyntheticWorld::DrawItems() {
  const KeyedPermutation shuffled(options_.items, options_.seed, /*epoch=*/0);
  const KeyedPermutation rank(options_.items, options_.seed, /*epoch=*/1);
  cluster_of_.resize(Index(options_.items));
  popularity_.resize(Index(options_.items));
  by_popularity_.resize(Index(options_.clusters));
  for (int64_t item = 0; item < options_.items; ++item) {
    const int64_t cluster = shuffled(item) % options_.clusters;
    cluster_of_[Index(item)] = cluster;
    popularity_[Index(item)] =
        std::pow(static_cast<double>(rank(item)) + kZipfShift, -kZipfExponent);
    by_popularity_[Index(cluster)].push_back(item);
  }
  for (std::vector<int64_t>& members : by_popularity_) {
    double total = 0;
    for (const int64_t item : members) total += popularity_[Index(item)];
    for (const int64_t item : members) popularity_[Index(item)] /= total;
    std::sort(members.begin(), members.end(), [this](int64_t a, int64_t b) {
      return popularity_[Index(a)] > popularity_[Index(b)];
    });
    std::vector<double>& sums = cumulative_.emplace_back();
    for (const int64_t item : members) {
      sums.push_back((sums.empty() ? 0 : sums.back()) + popularity_[Index(item)]);
    }
    sums.back() = 1;
  }
}

void SyntheticWorld::DrawTastes() {
  const RandomStream random(options_.seed, "synthetic:tastes");
  tastes_.resize(Index(options_.users));
  for (int64_t user = 0; user < options_.users; ++user) {
    const uint64_t draw = 4 * static_cast<uint64_t>(user);
    Taste& taste = tastes_[Index(user)];
    const int64_t first = random.Below(draw, options_.clusters);
    const int64_t second = random.Below(draw + 1, options_.clusters);
    const bool two = random.Uniform(draw + 2) < 0.5 && second != first;
    taste.cluster = {first, two ? second : first};
    taste.share[1] = two ? 0.3 : 0;
    taste.share[0] = 1 - kOtherShare - taste.share[1];
    taste.other_share = kOtherShare / static_cast<double>(options_.clusters);
  }
}

// Draws with replacement, repeated until enough items are distinct. A small cluster may run dry:
// then the history stays a little shorter.
void SyntheticWorld::DrawHistories() {
  const RandomStream lengths(options_.seed, "synthetic:lengths");
  histories_.resize(Index(options_.users));
  for (int64_t user = 0; user < options_.users; ++user) {
    const RandomStream random(options_.seed, "synthetic:picks", static_cast<uint64_t>(user));
    const int64_t drawn = 5 + lengths.Below(static_cast<uint64_t>(user),
                                            2 * (options_.interactions_per_user - 5) + 1);
    const size_t wanted = Index(std::min(drawn, options_.items / 2));
    const Taste& taste = tastes_[Index(user)];
    std::vector<int64_t>& history = histories_[Index(user)];
    std::vector<int64_t> taken;  // sorted
    for (uint64_t attempt = 0; history.size() < wanted && attempt < 50 * wanted; ++attempt) {
      const double u = random.Uniform(3 * attempt);
      const int64_t cluster = u < taste.share[0] ? taste.cluster[0]
                              : u < taste.share[0] + taste.share[1]
                                  ? taste.cluster[1]
                                  : random.Below(3 * attempt + 1, options_.clusters);
      const std::vector<double>& sums = cumulative_[Index(cluster)];
      const auto at =
          std::upper_bound(sums.begin(), sums.end() - 1, random.Uniform(3 * attempt + 2));
      const int64_t item = by_popularity_[Index(cluster)][Index(at - sums.begin())];
      const auto place = std::lower_bound(taken.begin(), taken.end(), item);
      if (place != taken.end() && *place == item) continue;
      taken.insert(place, item);
      history.push_back(item);
    }
  }
}

double SyntheticWorld::Probability(int64_t user, int64_t item) const {
  return TasteOf(user).ShareOf(ClusterOf(item)) * popularity_[Index(item)];
}

// Within a cluster the order is the same for all users: merges the clusters' lists.
std::vector<int64_t> SyntheticWorld::BestItems(int64_t user, const std::vector<bool>& seen,
                                               int64_t k) const {
  struct Head {
    int64_t cluster;
    size_t position;
    double probability;
    int64_t item;
  };
  const auto worse = [](const Head& a, const Head& b) {
    return a.probability != b.probability ? a.probability < b.probability : a.item > b.item;
  };
  std::vector<Head> heads;
  const auto push_next = [&](int64_t cluster, size_t position) {
    const std::vector<int64_t>& members = by_popularity_[Index(cluster)];
    while (position < members.size() && seen[Index(members[position])]) ++position;
    if (position == members.size()) return;
    heads.push_back({cluster, position, Probability(user, members[position]), members[position]});
    std::push_heap(heads.begin(), heads.end(), worse);
  };
  for (int64_t c = 0; c < clusters(); ++c) push_next(c, 0);
  std::vector<int64_t> best;
  while (static_cast<int64_t>(best.size()) < k && !heads.empty()) {
    std::pop_heap(heads.begin(), heads.end(), worse);
    const Head top = heads.back();
    heads.pop_back();
    best.push_back(top.item);
    push_next(top.cluster, top.position + 1);
  }
  return best;
}

SyntheticTruth SyntheticWorld::Truth() const {
  std::vector<int64_t> counts(cluster_of_.size());
  const auto train_size = [](const std::vector<int64_t>& history) {
    return history.size() - Index(HeldOut(static_cast<int64_t>(history.size())));
  };
  for (const std::vector<int64_t>& history : histories_) {
    for (size_t i = 0; i < train_size(history); ++i) ++counts[Index(history[i])];
  }
  std::vector<int64_t> popular(counts.size());
  std::iota(popular.begin(), popular.end(), 0);
  std::stable_sort(popular.begin(), popular.end(),
                   [&counts](int64_t a, int64_t b) { return counts[Index(a)] > counts[Index(b)]; });
  SyntheticTruth truth;
  std::vector<bool> seen(counts.size());
  for (int64_t user = 0; user < users(); ++user) {
    const std::vector<int64_t>& history = HistoryOf(user);
    const size_t train = train_size(history);
    for (size_t i = 0; i < train; ++i) seen[Index(history[i])] = true;
    std::vector<int64_t> top;
    for (size_t i = 0; i < popular.size() && top.size() < Index(kRecallDepth); ++i) {
      if (!seen[Index(popular[i])]) top.push_back(popular[i]);
    }
    truth.popularity_recall_at_20 += RecallOf(history, train, top);
    truth.oracle_recall_at_20 += RecallOf(history, train, BestItems(user, seen, kRecallDepth));
    for (size_t i = 0; i < train; ++i) seen[Index(history[i])] = false;
  }
  truth.popularity_recall_at_20 /= static_cast<double>(users());
  truth.oracle_recall_at_20 /= static_cast<double>(users());
  return truth;
}

}  // namespace torii::data
