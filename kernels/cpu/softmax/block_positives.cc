#include "kernels/cpu/softmax/block_positives.h"

#include <algorithm>

namespace torii::kernels::cpu {

void BlockPositives::Collect(const SoftmaxArgs& args, const Range& block, int64_t panels,
                             int64_t panel_width, Logit logit) {
  positives_.clear();
  rows_.clear();
  begin_.assign(1, 0);
  for (int64_t query = 0; query < block.size(); ++query) {
    AddQuery(args, block, query, logit);
    begin_.push_back(std::ssize(positives_));
    if (args.excluded_begin != nullptr) MarkExcluded(args, block, query);
  }
  CollectHidden(args, block, panels, panel_width);
}

// The rows of a query by their positives.
void BlockPositives::AddQuery(const SoftmaxArgs& args, const Range& block, int64_t query,
                              Logit logit) {
  const int64_t* positive = args.positive;
  const int64_t* row_begin = args.row_begin;
  const int64_t number = block.begin + query;
  const auto first = std::ssize(rows_);
  const Range rows = row_begin != nullptr ? Range{row_begin[number], row_begin[number + 1]}
                                          : Range{number, number + 1};
  for (int64_t row = rows.begin; row < rows.end; ++row) rows_.push_back(row);
  const auto end = std::ssize(rows_);
  if (end - first > 1) {
    std::stable_sort(rows_.begin() + first, rows_.end(),
                     [&](int64_t a, int64_t b) { return positive[a] < positive[b]; });
  }
  for (int64_t i = first; i < end; ++i) {
    const int64_t column = positive[rows_[static_cast<size_t>(i)]];
    if (i == first || positives_.back().column != column) {
      positives_.push_back({.query = static_cast<int32_t>(query),
                            .column = column,
                            .first_row = i,
                            .dot = logit(query, column)});
    }
    positives_.back().end_row = i + 1;
  }
}

void BlockPositives::MarkExcluded(const SoftmaxArgs& args, const Range& block, int64_t query) {
  const std::span<Positive> positives = OfQuery(query);
  const int64_t number = block.begin + query;
  for (int64_t e = args.excluded_begin[number]; e < args.excluded_begin[number + 1]; ++e) {
    const auto found = std::lower_bound(
        positives.begin(), positives.end(), args.excluded[e],
        [](const Positive& positive, int64_t column) { return positive.column < column; });
    if (found != positives.end() && found->column == args.excluded[e]) found->excluded = true;
  }
}

void BlockPositives::CollectHidden(const SoftmaxArgs& args, const Range& block, int64_t panels,
                                   int64_t panel_width) {
  const auto for_each = [&](const auto& visit) {
    for (size_t i = 0; i < positives_.size(); ++i) {
      visit(positives_[i].query, positives_[i].column, static_cast<int64_t>(i));
    }
    if (args.excluded_begin == nullptr) return;
    for (int64_t r = block.begin; r < block.end; ++r) {
      for (int64_t e = args.excluded_begin[r]; e < args.excluded_begin[r + 1]; ++e) {
        visit(static_cast<int32_t>(r - block.begin), args.excluded[e], -1);
      }
    }
  };
  hidden_begin_.assign(static_cast<size_t>(panels) + 1, 0);
  for_each([&](int32_t, int64_t column, int64_t) {
    ++hidden_begin_[static_cast<size_t>(column / panel_width) + 1];
  });
  for (size_t p = 1; p < hidden_begin_.size(); ++p) hidden_begin_[p] += hidden_begin_[p - 1];
  hidden_.resize(static_cast<size_t>(hidden_begin_.back()));
  for_each([&](int32_t query, int64_t column, int64_t positive) {
    const auto place = hidden_begin_[static_cast<size_t>(column / panel_width)]++;
    hidden_[static_cast<size_t>(place)] = {query, static_cast<int32_t>(column % panel_width),
                                           positive};
  });
  // Each entry is now the end of its panel: shift them back to the beginnings.
  std::copy_backward(hidden_begin_.begin(), hidden_begin_.end() - 1, hidden_begin_.end());
  hidden_begin_[0] = 0;
}

}  // namespace torii::kernels::cpu
