#include <ATen/ATen.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "kernels/softmax.h"

namespace torii::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// [places]: the list of each place, of lists that begin at begin [n + 1].
at::Tensor ListOfPlace(const at::Tensor& begin, int64_t places) {
  const int64_t n = begin.numel() - 1;
  return at::repeat_interleave(begin.slice(0, 1, n + 1) - begin.slice(0, 0, n),
                               std::optional<int64_t>(places));
}

// Which query each row has and which (query, column) are excluded, one entry for each.
struct Places {
  at::Tensor query;           // [B]
  at::Tensor excluded_query;  // [excluded], or undefined
};

Places PlacesOf(const SoftmaxTensors& t) {
  const int64_t rows = t.positive.numel();
  Places places;
  places.query = t.row_begin.defined() ? ListOfPlace(t.row_begin, rows)
                                       : at::arange(rows, t.positive.options());
  if (t.excluded_begin.defined()) {
    places.excluded_query = ListOfPlace(t.excluded_begin, t.excluded.numel());
  }
  return places;
}

// [rows of the block, U]: the columns that the rows do not see. One of the rows of a query stands
// for all of them; an extra row takes the entries of queries that the block does not have.
at::Tensor ExcludedOf(const SoftmaxTensors& t, const Places& places, const at::Tensor& query) {
  const int64_t n = query.numel();
  const at::Tensor rows = at::arange(n, query.options());
  const at::Tensor row_of_query =
      at::full({t.q.size(0)}, n, query.options()).index_copy_(0, query, rows);
  const at::Tensor mask = at::zeros({n + 1, t.v.size(0)}, query.options().dtype(at::kBool));
  const at::Tensor place =
      row_of_query.index_select(0, places.excluded_query) * t.v.size(0) + t.excluded;
  mask.view({-1}).index_fill_(0, place, 1);
  return mask.index_select(0, row_of_query.index_select(0, query));
}

// On a multiple of 16 bytes and [stride], -inf behind the columns that there are.
at::Tensor OffsetsInVectors(const at::Tensor& offset, int64_t stride) {
  const bool is_aligned = reinterpret_cast<uintptr_t>(offset.const_data_ptr()) % 16 == 0;
  if (is_aligned && offset.numel() == stride) return offset;
  return at::constant_pad_nd(offset, {0, stride - offset.numel()},
                             -std::numeric_limits<double>::infinity());
}

}  // namespace

void ComposedSoftmax(const SoftmaxTensors& t, const SoftmaxBlocks& blocks,
                     const SoftmaxResults& results) {
  const int64_t rows = t.positive.numel(), columns = t.v.size(0);
  const int64_t block = std::clamp<int64_t>(blocks.most_floats / columns, 1, blocks.most_rows);
  const Places places = PlacesOf(t);
  at::Tensor q_grad = results.q_grad, v_grad = results.v_grad;
  q_grad.zero_();
  v_grad.zero_();
  for (int64_t first = 0; first < rows; first += block) {
    const auto part = [&](const at::Tensor& x) {
      return x.slice(0, first, std::min(rows, first + block));
    };
    const at::Tensor query = part(places.query), positive = part(t.positive).unsqueeze(1);
    // Where every query has one row, the rows of a block are queries that lie side by side.
    const bool are_queries = !t.row_begin.defined();
    const at::Tensor q =
        (are_queries ? part(t.q) : t.q.index_select(0, query)) * t.inverse_temperature;
    const at::Tensor products = at::mm(q, t.v.t());
    at::Tensor logits = products + t.column_offset;
    if (places.excluded_query.defined()) {
      logits.masked_fill_(ExcludedOf(t, places, query), -kInfinity);
    }
    const at::Tensor product = products.gather(1, positive).squeeze(1);
    const at::Tensor own = product + part(t.positive_offset);
    logits.scatter_(1, positive, own.unsqueeze(1));
    const at::Tensor log_sum = at::logsumexp(logits, 1);
    part(results.row_loss)
        .copy_(log_sum.to(at::kDouble) - product.to(at::kDouble) - part(t.target_offset));
    // dl / dlogit = P, and P - 1 for the row's own positive.
    const at::Tensor weight = part(t.weight);
    at::Tensor slopes = (logits - log_sum.unsqueeze(1)).exp_().mul_(weight.unsqueeze(1));
    slopes.scatter_(1, positive, ((own - log_sum).expm1_() * weight).unsqueeze(1));
    const at::Tensor q_grad_of_rows = at::mm(slopes, t.v) * t.inverse_temperature;
    if (are_queries) {
      part(q_grad).copy_(q_grad_of_rows);
    } else {
      q_grad.index_add_(0, query, q_grad_of_rows);
    }
    v_grad.addmm_(slopes.t(), q);
  }
  at::Tensor loss = results.loss;
  loss.copy_(at::dot(results.row_loss, t.weight.to(at::kDouble)));
}

void SoftmaxOfProducts(const Device& device, const SoftmaxTensors& t, const SoftmaxResults& results,
                       const SoftmaxBlocks& blocks, SoftmaxArgs args) {
  const int64_t queries = t.q.size(0), columns = t.v.size(0);
  const int64_t most = std::clamp<int64_t>(blocks.most_floats / columns, 1, blocks.most_rows);
  const int64_t count = (queries + most - 1) / most;
  const int64_t block = (queries + count - 1) / count;  // about equal
  // Rows begin on whole vectors of four, for the kernel and for the products.
  const int64_t stride = (columns + 3) / 4 * 4;
  const at::Tensor memory = at::empty({block, stride}, t.q.options());
  const at::Tensor offset = OffsetsInVectors(t.column_offset, stride);
  args.column_offset = offset.const_data_ptr<float>();
  const at::Tensor v_transposed = t.v.t();
  at::Tensor v_grad = results.v_grad;
  double* const loss = std::exchange(args.loss, nullptr);
  for (int64_t first = 0; first < queries; first += block) {
    const int64_t last = std::min(queries, first + block);
    const at::Tensor q = t.q.slice(0, first, last);
    // Products at first, gradients with respect to them afterwards.
    at::Tensor products = memory.slice(0, 0, last - first).slice(1, 0, columns);
    at::mm_out(products, q, v_transposed);
    if (last == queries) args.loss = loss;
    device.kernels().softmax_rows(
        {args, first, last - first, memory.mutable_data_ptr<float>(), stride});
    at::Tensor q_grad = results.q_grad.slice(0, first, last);
    at::mm_out(q_grad, products, t.v);
    if (first == 0) {
      at::mm_out(v_grad, products.t(), q);
    } else {
      v_grad.addmm_(products.t(), q);
    }
  }
}

}  // namespace torii::kernels
