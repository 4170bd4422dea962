// A dataset of ids alone: batches are made elsewhere.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace torii::bench {

// Users or items without features.
class BareSide final : public data::Features {
 public:
  explicit BareSide(int64_t rows) : rows_(rows) {}
  int64_t rows() const override { return rows_; }
  std::span<const data::PreparedFeature> info() const override { return {}; }
  data::FeatureRows Gather(std::span<const int64_t> rows, std::span<const int>) const override {
    data::FeatureRows result;
    result.n = static_cast<int64_t>(rows.size());
    return result;
  }
  std::string Id(int64_t row) const override { return std::to_string(row); }
  std::string Title(int64_t row) const override { return Id(row); }
  int64_t IntegerId(int64_t row) const override { return row; }
  bool has_integer_ids() const override { return true; }
  std::optional<int64_t> FindRow(const std::string&) const override { return std::nullopt; }

 private:
  int64_t rows_;
};

class BareDataset final : public data::Dataset {
 public:
  BareDataset(int64_t users, int64_t items)
      : users_(users), items_(items), counts_(static_cast<size_t>(items), 1) {}
  const data::PreparedDataset& meta() const override { return meta_; }
  const data::Features& users() const override { return users_; }
  const data::Features& items() const override { return items_; }
  const data::Interactions& train() const override { return none_; }
  const data::Interactions& valid() const override { return none_; }
  const data::Interactions& test() const override { return none_; }
  std::span<const int64_t> item_counts() const override { return counts_; }
  const std::string& digest() const override { return digest_; }

 private:
  BareSide users_, items_;
  std::vector<int64_t> counts_;
  data::PreparedDataset meta_;
  data::Interactions none_;
  std::string digest_;
};

}  // namespace torii::bench
