#include "model/pool_rows.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "base/check.h"
#include "base/parallel_for.h"
#include "kernels/cpu/pool_rows.h"

namespace torii::model {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Floats that a thread should have to move at least.
constexpr int64_t kGrainFloats = 16384;

// [lists, E] on all threads. The floats of a row are adjacent.
at::Tensor Pool(const at::Tensor& rows, const kernels::RowLists& lists, int64_t count,
                int64_t places) {
  const int64_t width = rows.size(1);
  const kernels::RowTable table{rows.const_data_ptr<float>(), width, rows.stride(0)};
  at::Tensor out = at::empty({count, width}, at::kFloat);
  float* to = out.mutable_data_ptr<float>();
  const int64_t floats_of_a_list =
      width * std::max<int64_t>(1, places / std::max<int64_t>(1, count));
  ParallelFor(
      0, count, std::max<int64_t>(1, kGrainFloats / std::max<int64_t>(1, floats_of_a_list)),
      [&](int64_t begin, int64_t end) { kernels::cpu::PoolRows(table, lists, begin, end, to); });
  return out;
}

// Parts of joined rows need no copy.
at::Tensor WithAdjacentFloats(const at::Tensor& rows) {
  return rows.stride(1) == 1 ? rows : rows.contiguous();
}

// For each row, the lists that use it in order, and its weights there.
struct Uses {
  std::vector<int64_t> begin, list;  // [rows + 1], [places]
  std::vector<float> weight;         // [places]; empty: all 1
};

Uses FindUses(const kernels::RowLists& lists, int64_t count, int64_t places, int64_t rows) {
  Uses uses;
  uses.begin.assign(static_cast<size_t>(rows) + 1, 0);
  uses.list.resize(static_cast<size_t>(places));
  const bool is_weighted = lists.weight != nullptr || lists.scale != nullptr;
  if (is_weighted) uses.weight.resize(static_cast<size_t>(places));
  // Ends of the rows' lists, then filled from behind: each becomes its beginning.
  for (int64_t k = 0; k < places; ++k) ++uses.begin[static_cast<size_t>(lists.index[k])];
  for (size_t r = 1; r < uses.begin.size(); ++r) uses.begin[r] += uses.begin[r - 1];
  for (int64_t i = count; i-- > 0;) {
    const int64_t first = lists.begin != nullptr ? lists.begin[i] : i;
    const int64_t last = lists.begin != nullptr ? lists.begin[i + 1] : i + 1;
    for (int64_t k = last; k-- > first;) {
      const auto place = static_cast<size_t>(--uses.begin[static_cast<size_t>(lists.index[k])]);
      uses.list[place] = i;
      if (!is_weighted) continue;
      uses.weight[place] = (lists.weight != nullptr ? lists.weight[k] : 1.0F) *
                           (lists.scale != nullptr ? lists.scale[i] : 1.0F);
    }
  }
  return uses;
}

// Which rows go where, as tensors.
struct Lists {
  at::Tensor index;    // [places]
  at::Tensor offsets;  // [n + 1], or undefined: a row in each list
  at::Tensor weights;  // [places], or undefined: 1
  at::Tensor scales;   // [n] of the sums, or undefined: 1

  int64_t count() const { return offsets.defined() ? offsets.numel() - 1 : index.numel(); }
  kernels::RowLists pointers() const {
    kernels::RowLists lists{.index = index.const_data_ptr<int64_t>()};
    if (offsets.defined()) lists.begin = offsets.const_data_ptr<int64_t>();
    if (weights.defined()) lists.weight = weights.const_data_ptr<float>();
    if (scales.defined()) lists.scale = scales.const_data_ptr<float>();
    return lists;
  }
};

// rows [distinct, E] -> [n, E].
class PoolFunction : public torch::autograd::Function<PoolFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& rows, const Lists* lists) {
    context->saved_data["index"] = lists->index;
    context->saved_data["offsets"] = lists->offsets;
    context->saved_data["weights"] = lists->weights;
    context->saved_data["scales"] = lists->scales;
    context->saved_data["rows"] = rows.size(0);
    return Pool(WithAdjacentFloats(rows), lists->pointers(), lists->count(), lists->index.numel());
  }

  // The sum over the uses of each row: the same pooling, with lists and rows exchanged.
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const Lists lists{
        context->saved_data["index"].toTensor(), context->saved_data["offsets"].toTensor(),
        context->saved_data["weights"].toTensor(), context->saved_data["scales"].toTensor()};
    const int64_t rows = context->saved_data["rows"].toInt(), places = lists.index.numel();
    const Uses uses = FindUses(lists.pointers(), lists.count(), places, rows);
    const kernels::RowLists exchanged{.index = uses.list.data(),
                                      .begin = uses.begin.data(),
                                      .weight = uses.weight.empty() ? nullptr : uses.weight.data()};
    return {Pool(WithAdjacentFloats(gradients[0]), exchanged, rows, places), at::Tensor()};
  }
};

at::Tensor Pool(const at::Tensor& rows, const Lists& lists) {
  TORII_CHECK(rows.is_cpu() && rows.scalar_type() == at::kFloat, "rows are not CPU floats");
  return PoolFunction::apply(rows, &lists);
}

// [n]: 1 / length of the list.
at::Tensor InverseLengths(const at::Tensor& offsets) {
  const int64_t n = offsets.numel() - 1;
  const int64_t* begin = offsets.const_data_ptr<int64_t>();
  at::Tensor scales = at::empty({n}, at::kFloat);
  float* out = scales.mutable_data_ptr<float>();
  for (int64_t i = 0; i < n; ++i) {
    out[i] = 1.0F / static_cast<float>(std::max<int64_t>(1, begin[i + 1] - begin[i]));
  }
  return scales;
}

bool IsIdentity(const at::Tensor& index, int64_t rows) {
  if (index.numel() != rows) return false;
  const int64_t* at = index.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows; ++i) {
    if (at[i] != i) return false;
  }
  return true;
}

}  // namespace

at::Tensor PickRows(const at::Tensor& rows, const at::Tensor& index) {
  const at::Tensor picked = index.contiguous();
  if (IsIdentity(picked, rows.size(0))) return rows;
  return Pool(rows, {.index = picked, .offsets = {}, .weights = {}, .scales = {}});
}

at::Tensor PoolRows(const at::Tensor& rows, const at::Tensor& index, const at::Tensor& offsets,
                    BagPooling pooling) {
  TORII_CHECK(offsets.numel() >= 1, "lists without offsets");
  const at::Tensor begin = offsets.contiguous();
  return Pool(rows, {index.contiguous(),
                     begin,
                     {},
                     pooling == BagPooling::kMean ? InverseLengths(begin) : at::Tensor()});
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
  TORII_CHECK(offsets.numel() >= 1, "lists without offsets");
  const at::Tensor begin = offsets.contiguous();
  return Pool(rows, {index.contiguous(), begin, RecencyWeights(begin, half_life), {}});
}

}  // namespace torii::model
