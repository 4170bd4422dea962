// A small random dataset in memory, for the tests and benchmarks of everything that reads a
// data::Dataset.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/random.h"
#include "data/dataset.h"

namespace torii::testing {

struct FakeDatasetOptions {
  int64_t users = 50;
  int64_t items = 40;
  int64_t train_per_user = 8;  // on average; users have 0 to twice as many, the first users most
  int64_t valid_per_user = 0;  // exactly, for each user
  int64_t test_per_user = 1;   // exactly, for each user
  bool weights = false;        // in [0.5, 1.5); otherwise all 1
  uint64_t seed = 1;
};

// Four features: 0 "single" SINGLE 7 rows, 1 "bag" BAG 11 rows (0 to 4 values), 2 "number" DENSE
// width 2, 3 "vector" DENSE width 5 with its own linear layer. User ids are text ("u7"), item ids
// integers (1007); both grow with the row.
class FakeFeatures final : public data::Features {
 public:
  FakeFeatures(int64_t rows, uint64_t seed, bool integer_ids)
      : rows_(rows), integer_ids_(integer_ids) {
    const RandomStream random(seed, integer_ids ? "fake:items" : "fake:users");
    AddFeature("single", data::PreparedFeature::SINGLE, 7, 0);
    AddFeature("bag", data::PreparedFeature::BAG, 11, 0);
    AddFeature("number", data::PreparedFeature::DENSE, 0, 2);
    AddFeature("vector", data::PreparedFeature::DENSE, 0, 5);
    info_[3].set_vector(true);
    number_.resize(static_cast<size_t>(rows) * 2);
    vector_.resize(static_cast<size_t>(rows) * 5);
    for (uint64_t row = 0; row < static_cast<uint64_t>(rows); ++row) {
      single_.push_back(random.Below(row * 8, 7));
      std::vector<int64_t>& bag =
          bag_.emplace_back(static_cast<size_t>(random.Below(row * 8 + 1, 5)));
      for (size_t k = 0; k < bag.size(); ++k) {
        bag[k] = random.Below(row * 8 + 2 + k, 11);
      }
      random.NormalRow(2 * row, std::span(number_).subspan(row * 2, 2));
      random.NormalRow(2 * row + 1, std::span(vector_).subspan(row * 5, 5));
    }
  }

  int64_t rows() const override { return rows_; }
  std::span<const data::PreparedFeature> info() const override { return info_; }
  data::FeatureRows Gather(std::span<const int64_t> rows,
                           std::span<const int> which) const override {
    data::FeatureRows result;
    result.n = static_cast<int64_t>(rows.size());
    result.bags.resize(info_.size());
    result.dense.resize(info_.size());
    for (const int feature : which) {
      data::Bags& bags = result.bags.at(static_cast<size_t>(feature));
      if (feature == 1) bags.offsets.push_back(0);
      for (const int64_t row : rows) {
        const size_t r = static_cast<size_t>(row);
        if (feature == 0) bags.values.push_back(single_.at(r));
        if (feature == 1) {
          bags.values.insert(bags.values.end(), bag_.at(r).begin(), bag_.at(r).end());
          bags.offsets.push_back(static_cast<int64_t>(bags.values.size()));
        }
        if (feature == 2) AppendRow(number_, r, 2, result.dense[2]);
        if (feature == 3) AppendRow(vector_, r, 5, result.dense[3]);
      }
    }
    return result;
  }
  std::string Id(int64_t row) const override {
    return integer_ids_ ? absl::StrCat(IntegerId(row)) : absl::StrCat("u", row);
  }
  std::string Title(int64_t row) const override {
    return absl::StrCat(integer_ids_ ? "Item " : "User ", row);
  }
  int64_t IntegerId(int64_t row) const override {
    TORII_CHECK(integer_ids_, "these ids are text");
    return 1000 + row;
  }
  bool has_integer_ids() const override { return integer_ids_; }
  std::optional<int64_t> FindRow(const std::string& id) const override {
    for (int64_t row = 0; row < rows_; ++row) {
      if (Id(row) == id) return row;
    }
    return std::nullopt;
  }
  data::Side Meta() const {
    data::Side side;
    side.set_rows(rows_);
    side.set_id_type(integer_ids_ ? data::INTEGER : data::TEXT);
    side.set_has_titles(true);
    for (const data::PreparedFeature& feature : info_) *side.add_feature() = feature;
    return side;
  }

 private:
  void AddFeature(const char* name, data::PreparedFeature::Kind kind, int64_t rows, int width) {
    data::PreparedFeature& feature = info_.emplace_back();
    feature.set_name(name);
    feature.set_kind(kind);
    feature.set_rows(rows);
    feature.set_width(width);
  }
  static void AppendRow(const std::vector<float>& all, size_t row, size_t width,
                        std::vector<float>& out) {
    for (size_t k = 0; k < width; ++k) out.push_back(all.at(row * width + k));
  }

  int64_t rows_;
  bool integer_ids_;
  std::vector<data::PreparedFeature> info_;
  std::vector<int64_t> single_;
  std::vector<std::vector<int64_t>> bag_;
  std::vector<float> number_;  // [rows, 2]
  std::vector<float> vector_;  // [rows, 5]
};

class FakeDataset final : public data::Dataset {
 public:
  explicit FakeDataset(const FakeDatasetOptions& options)
      : options_(options),
        users_(options.users, options.seed, /*integer_ids=*/false),
        items_(options.items, options.seed, /*integer_ids=*/true),
        digest_(absl::StrCat("fake-", options.seed)) {
    DrawInteractions();
    OrderItemsByCount();
    *meta_.mutable_users() = users_.Meta();
    *meta_.mutable_items() = items_.Meta();
    meta_.mutable_items()->set_cold_rows(std::count(counts_.begin(), counts_.end(), 0));
    meta_.set_train_rows(train().size());
    meta_.set_valid_rows(valid().size());
    meta_.set_test_rows(test().size());
    meta_.set_has_weight(options.weights);
    meta_.set_has_time(true);
  }
  FakeDataset(const FakeDataset&) = delete;
  FakeDataset& operator=(const FakeDataset&) = delete;

  const data::PreparedDataset& meta() const override { return meta_; }
  const data::Features& users() const override { return users_; }
  const data::Features& items() const override { return items_; }
  const data::Interactions& train() const override { return parts_[0].view; }
  const data::Interactions& valid() const override { return parts_[1].view; }
  const data::Interactions& test() const override { return parts_[2].view; }
  std::span<const int64_t> item_counts() const override { return counts_; }
  const std::string& digest() const override { return digest_; }

 private:
  struct Part {
    std::vector<int64_t> user_begin = {0};
    std::vector<int32_t> user;
    std::vector<int32_t> item;
    std::vector<float> weight;
    std::vector<int64_t> time;
    data::Interactions view;
  };

  // Users in order of falling length, items skewed; train before valid before test in time.
  void DrawInteractions() {
    const RandomStream random(options_.seed, "fake:interactions");
    std::vector<int64_t> lengths;
    for (int64_t u = 0; u < options_.users; ++u) {
      lengths.push_back(random.Below(static_cast<uint64_t>(u), 2 * options_.train_per_user + 1));
    }
    std::sort(lengths.begin(), lengths.end(), std::greater<>());
    uint64_t draw = static_cast<uint64_t>(options_.users);
    for (int64_t u = 0; u < options_.users; ++u) {
      const std::array<int64_t, 3> rows = {lengths[static_cast<size_t>(u)], options_.valid_per_user,
                                           options_.test_per_user};
      int64_t time = 100;
      for (size_t p = 0; p < parts_.size(); ++p) {
        for (int64_t k = 0; k < (options_.items > 0 ? rows[p] : 0); ++k, draw += 2) {
          const double x = random.Uniform(draw);
          parts_[p].user.push_back(static_cast<int32_t>(u));
          parts_[p].item.push_back(
              static_cast<int32_t>(x * x * static_cast<double>(options_.items)));
          parts_[p].time.push_back(time++);
          if (options_.weights) {
            parts_[p].weight.push_back(static_cast<float>(0.5 + random.Uniform(draw + 1)));
          }
        }
        parts_[p].user_begin.push_back(static_cast<int64_t>(parts_[p].item.size()));
      }
    }
  }

  void OrderItemsByCount() {
    std::vector<int64_t> drawn(static_cast<size_t>(options_.items));
    for (const int32_t item : parts_[0].item) ++drawn[static_cast<size_t>(item)];
    std::vector<size_t> order(drawn.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&drawn](size_t a, size_t b) { return drawn[a] > drawn[b]; });
    std::vector<int32_t> row_of(drawn.size());
    for (size_t row = 0; row < order.size(); ++row) {
      row_of[order[row]] = static_cast<int32_t>(row);
      counts_.push_back(drawn[order[row]]);
    }
    for (Part& part : parts_) {
      for (int32_t& item : part.item) item = row_of[static_cast<size_t>(item)];
      part.view = {part.user_begin, part.user, part.item, part.weight, part.time};
    }
  }

  FakeDatasetOptions options_;
  FakeFeatures users_;
  FakeFeatures items_;
  std::string digest_;
  data::PreparedDataset meta_;
  std::array<Part, 3> parts_;
  std::vector<int64_t> counts_;
};

}  // namespace torii::testing
