#include "model/pool_rows.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <tuple>

#include "base/check.h"

namespace torii::model {
namespace {

// The numbers of at::embedding_bag's modes.
constexpr int64_t kSumMode = 0;
constexpr int64_t kMeanMode = 1;

at::Tensor Pool(const at::Tensor& rows, const at::Tensor& index, const at::Tensor& offsets,
                int64_t mode, const at::Tensor& weights) {
  TORII_CHECK(offsets.numel() >= 1, "lists without offsets");
  const int64_t n = offsets.numel() - 1;
  if (index.numel() == 0) {
    // Zeros that belong to the graph, so that backward works and gives the rows a gradient of
    // zeros.
    return at::embedding(rows, index).sum(0, /*keepdim=*/true).expand({n, rows.size(1)});
  }
  const std::optional<at::Tensor> row_weights =
      weights.defined() ? std::optional<at::Tensor>(weights) : std::nullopt;
  return std::get<0>(at::embedding_bag(rows, index, offsets, /*scale_grad_by_freq=*/false, mode,
                                       /*sparse=*/false, row_weights,
                                       /*include_last_offset=*/true));
}

}  // namespace

at::Tensor PoolRows(const at::Tensor& rows, const at::Tensor& index, const at::Tensor& offsets,
                    BagPooling pooling) {
  return Pool(rows, index, offsets, pooling == BagPooling::kMean ? kMeanMode : kSumMode, {});
}

at::Tensor RecencyWeights(const at::Tensor& offsets, double half_life) {
  TORII_CHECK(half_life > 0, "half_life ", half_life);
  const int64_t n = offsets.numel() - 1;
  const int64_t* begin = offsets.const_data_ptr<int64_t>();
  at::Tensor weights = at::empty({begin[n]}, at::kFloat);
  float* out = weights.mutable_data_ptr<float>();
  const double log_ratio = -std::log(2.0) / half_life;
  for (int64_t i = 0; i < n; ++i) {
    // Sum of a geometric series; expm1 keeps it exact when the ratio is close to 1.
    const auto length = static_cast<double>(begin[i + 1] - begin[i]);
    const double total = std::expm1(length * log_ratio) / std::expm1(log_ratio);
    for (int64_t k = begin[i]; k < begin[i + 1]; ++k) {
      const auto age = static_cast<double>(begin[i + 1] - 1 - k);
      out[k] = static_cast<float>(std::exp(age * log_ratio) / total);
    }
  }
  return weights;
}

at::Tensor PoolRecent(const at::Tensor& rows, const at::Tensor& index, const at::Tensor& offsets,
                      double half_life) {
  return Pool(rows, index, offsets, kSumMode, RecencyWeights(offsets.contiguous(), half_life));
}

}  // namespace torii::model
