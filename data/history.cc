#include "data/history.h"

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace torii::data {
namespace {

// One user's rows of the three parts, in the order of time.
class UserRows {
 public:
  UserRows(const Dataset& dataset, int64_t user)
      : train_(dataset.train().ItemsOf(user)),
        valid_(dataset.valid(), user),
        test_(dataset.test(), user) {}

  // Appends the items up to where `up_to` says, oldest first.
  void Append(HistoryUpTo up_to, std::vector<int32_t>* items) const {
    switch (up_to) {
      case HistoryUpTo::kTraining:
        return Merge(train_.size(), 0, 0, items);
      case HistoryUpTo::kValidation:
        return Merge(valid_.items.empty() ? train_.size() : valid_.TrainBefore(0, train_.size()), 0,
                     0, items);
      case HistoryUpTo::kTest:
        if (test_.items.empty()) {
          return Merge(train_.size(), valid_.items.size(), 0, items);
        }
        return Merge(test_.TrainBefore(0, train_.size()), test_.ValidBefore(0, valid_.items.size()),
                     0, items);
      case HistoryUpTo::kAll:
        return Merge(train_.size(), valid_.items.size(), test_.items.size(), items);
    }
  }

 private:
  struct HeldOutRows {
    HeldOutRows(const Interactions& part, int64_t user) {
      if (part.size() == 0) {
        return;
      }
      items = part.ItemsOf(user);
      const auto begin = static_cast<size_t>(part.user_begin[static_cast<size_t>(user)]);
      if (!part.earlier_train.empty()) {
        earlier_train = part.earlier_train.subspan(begin, items.size());
      }
      if (!part.earlier_valid.empty()) {
        earlier_valid = part.earlier_valid.subspan(begin, items.size());
      }
    }
    // Rows of the other part that are earlier than row i; all of them if it is not known.
    size_t TrainBefore(size_t i, size_t all) const {
      return earlier_train.empty() ? all : static_cast<size_t>(earlier_train[i]);
    }
    size_t ValidBefore(size_t i, size_t all) const {
      return earlier_valid.empty() ? all : static_cast<size_t>(earlier_valid[i]);
    }

    std::span<const int32_t> items;
    std::span<const int32_t> earlier_train;
    std::span<const int32_t> earlier_valid;
  };

  // The first rows of each part, so many, in the order of time.
  void Merge(size_t train, size_t valid, size_t test, std::vector<int32_t>* items) const {
    size_t t = 0;
    size_t v = 0;
    const auto add_train = [&](size_t end) {
      for (; t < std::min(end, train); ++t) items->push_back(train_[t]);
    };
    const auto add_valid = [&](size_t end) {
      for (; v < std::min(end, valid); ++v) {
        add_train(valid_.TrainBefore(v, train));
        items->push_back(valid_.items[v]);
      }
    };
    for (size_t i = 0; i < test; ++i) {
      add_valid(test_.ValidBefore(i, valid));
      add_train(test_.TrainBefore(i, train));
      items->push_back(test_.items[i]);
    }
    add_valid(valid);
    add_train(train);
  }

  std::span<const int32_t> train_;
  HeldOutRows valid_;
  HeldOutRows test_;
};

}  // namespace

Bags LastItems(const Dataset& dataset, std::span<const int64_t> users, int64_t length,
               HistoryUpTo up_to) {
  TORII_CHECK(length >= 0, "history of ", length, " items");
  Bags bags;
  bags.offsets.reserve(users.size() + 1);
  bags.offsets.push_back(0);
  std::vector<int32_t> items;
  for (const int64_t user : users) {
    TORII_CHECK(user >= 0 && user < dataset.users().rows(), "user row ", user, " of ",
                dataset.users().rows());
    if (length > 0) {
      items.clear();
      UserRows(dataset, user).Append(up_to, &items);
      const size_t kept = std::min(items.size(), static_cast<size_t>(length));
      bags.values.insert(bags.values.end(), items.end() - static_cast<ptrdiff_t>(kept),
                         items.end());
    }
    bags.offsets.push_back(static_cast<int64_t>(bags.values.size()));
  }
  return bags;
}

}  // namespace torii::data
