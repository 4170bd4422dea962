#include "sampler/column_offsets.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/int64_tensor.h"
#include "sampler/distinct_items.h"

namespace torii::sampler {

void FillOffsets(const SamplerConfig& config, const Proposals& proposals, int64_t in_batch,
                 const SeenColumns& seen, Candidates* candidates) {
  const bool pairing_b = config.pairing() == SamplerConfig::B;
  // The number of columns of a row, which turns an expected count into a share.
  double columns = static_cast<double>(config.uniform() + config.popularity());
  if (config.in_batch() != SamplerConfig::NONE) columns += static_cast<double>(in_batch);
  const double log_columns =
      pairing_b && proposals.corrected() && columns > 0 ? std::log(columns) : 0;
  const auto log_expected = [&](int64_t item) {
    const double expected = proposals.ExpectedCount(item, in_batch);
    return expected > 0 ? std::log(expected) - log_columns : 0.0;
  };

  const auto num_seen = static_cast<int64_t>(seen.items.size());
  const auto num_rows = static_cast<int64_t>(seen.positive.size());
  candidates->positive = TensorOf(seen.positive);
  candidates->column_offset = at::empty({num_seen}, at::kFloat);
  candidates->positive_offset = at::zeros({num_rows}, at::kFloat);
  candidates->target_offset = at::zeros({num_rows}, at::kFloat);
  std::vector<double> log_e(seen.items.size());
  float* column_offset = candidates->column_offset.data_ptr<float>();
  for (size_t c = 0; c < seen.items.size(); ++c) {
    log_e[c] = log_expected(seen.items[c]);
    column_offset[c] =
        static_cast<float>(std::log(static_cast<double>(seen.multiplicity[c])) - log_e[c]);
  }
  if (!pairing_b) return;

  float* positive_offset = candidates->positive_offset.data_ptr<float>();
  float* target_offset = candidates->target_offset.data_ptr<float>();
  for (size_t i = 0; i < seen.positive.size(); ++i) {
    const auto c = static_cast<size_t>(seen.positive[i]);
    const int64_t copies = seen.multiplicity[c] + (seen.positives_are_columns ? 0 : 1);
    positive_offset[i] = static_cast<float>(std::log(static_cast<double>(copies)) - log_e[c]);
    target_offset[i] = static_cast<float>(-log_e[c]);
  }
}

void FillExcluded(const SeenColumns& seen, const StepRows& rows, const KnownPositives& known,
                  Candidates* candidates) {
  DistinctItems column_of(seen.items.size());
  for (const int64_t item : seen.items) column_of.Insert(item);

  std::vector<int64_t> begin = {0}, excluded;
  for (int64_t r = 0; r < rows.queries(); ++r) {
    const auto first = static_cast<ptrdiff_t>(excluded.size());
    const int64_t own = rows.row_begin.empty() ? seen.positive[static_cast<size_t>(r)] : -1;
    for (const int32_t item : known(r)) {
      const int64_t column = column_of.Find(item);
      if (column >= 0 && column != own) excluded.push_back(column);
    }
    // A user may have the same item several times.
    std::sort(excluded.begin() + first, excluded.end());
    excluded.erase(std::unique(excluded.begin() + first, excluded.end()), excluded.end());
    begin.push_back(static_cast<int64_t>(excluded.size()));
  }
  candidates->excluded_begin = TensorOf(begin);
  candidates->excluded = TensorOf(excluded);
}

}  // namespace torii::sampler
