// Which rows of a batch share one query vector: rows that follow one another and whose vector
// depends on the same things.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"

namespace torii {

// Rows [begin(i), begin(i + 1)) belong to query i. Every row belongs to exactly one query.
class RowGroups {
 public:
  RowGroups() = default;  // no rows
  // Query i is row i.
  static RowGroups OneEach(int64_t rows) { return {rows, {}}; }
  // begins: [queries + 1], from 0, never falling. CHECK-fails otherwise. A query may have no row.
  static RowGroups Of(std::vector<int64_t> begins) {
    TORII_CHECK(
        !begins.empty() && begins.front() == 0 && std::is_sorted(begins.begin(), begins.end()),
        "the groups do not begin at row 0, or one ends before it begins");
    const int64_t rows = begins.back();
    if (std::ssize(begins) - 1 == rows && IsOneEach(begins)) return OneEach(rows);
    return {rows, std::move(begins)};
  }

  int64_t rows() const { return rows_; }
  int64_t queries() const { return one_each() ? rows_ : std::ssize(begins_) - 1; }
  // Whether query i is row i.
  bool one_each() const { return begins_.empty(); }
  int64_t begin(int64_t query) const {
    return one_each() ? query : begins_[static_cast<size_t>(query)];
  }
  // [queries + 1]; empty if query i is row i.
  std::span<const int64_t> begins() const { return begins_; }
  // The query of a row.
  int64_t QueryOf(int64_t row) const {
    if (one_each()) return row;
    return std::upper_bound(begins_.begin(), begins_.end(), row) - begins_.begin() - 1;
  }

 private:
  static bool IsOneEach(const std::vector<int64_t>& begins) {
    for (size_t i = 0; i < begins.size(); ++i) {
      if (begins[i] != static_cast<int64_t>(i)) return false;
    }
    return true;
  }
  RowGroups(int64_t rows, std::vector<int64_t> begins) : rows_(rows), begins_(std::move(begins)) {}

  int64_t rows_ = 0;
  std::vector<int64_t> begins_;
};

}  // namespace torii
