#include "model/loss/composed_softmax.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "kernels/host_tensors.h"

namespace torii::model {
namespace {

// Queries whose scores are in memory at a time.
constexpr int64_t kTileQueries = 64;

// The rows of the queries [begin, end).
struct Tile {
  int64_t begin, end;  // queries
  int64_t first, rows;
};

template <typename Visit>
void ForEachTile(const RowGroups& groups, const Visit& visit) {
  for (int64_t begin = 0; begin < groups.queries(); begin += kTileQueries) {
    const int64_t end = std::min(begin + kTileQueries, groups.queries());
    const int64_t first = groups.begin(begin);
    const int64_t rows =
        end == groups.queries() ? groups.rows() - first : groups.begin(end) - first;
    if (rows > 0) visit(Tile{begin, end, first, rows});
  }
}

// [queries, U] bool: the columns that each query of the tile does not see.
at::Tensor HiddenColumns(const SoftmaxProblem& p, const Tile& tile) {
  const int64_t queries = tile.end - tile.begin, columns = p.v.size(0);
  // A further row takes the lists of the queries outside the tile.
  const at::Tensor hidden = at::zeros({queries + 1, columns}, p.v.options().dtype(at::kBool));
  if (p.excluded_begin.defined()) {
    const at::Tensor place = at::arange(p.excluded.size(0), p.excluded.options());
    const at::Tensor ends = p.excluded_begin.slice(0, 1);
    const at::Tensor query = at::searchsorted(ends, place, /*out_int32=*/false, /*right=*/true);
    const at::Tensor row = query - tile.begin;
    const at::Tensor outside = (row < 0).logical_or_(row >= queries);
    hidden.view({-1}).index_fill_(0, row.masked_fill(outside, queries) * columns + p.excluded,
                                  true);
  }
  return hidden.slice(0, 0, queries);
}

// From the tile's queries to its rows, each of which has the values of its query.
at::Tensor OfRows(const SoftmaxProblem& p, const Tile& tile, const at::Tensor& of_queries) {
  const RowGroups& groups = p.rows;
  if (groups.one_each()) return of_queries;
  std::vector<int64_t> query;
  for (int64_t row = tile.first; row < tile.first + tile.rows; ++row) {
    query.push_back(groups.QueryOf(row) - tile.begin);
  }
  return of_queries.index_select(0, kernels::TensorOf(query, p.device));
}

// [rows]: the loss of each row of the tile. q: the tile's queries.
at::Tensor RowLosses(const Scorer& scorer, const SoftmaxProblem& p, const Tile& tile,
                     const at::Tensor& q, const at::Tensor& v) {
  constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
  const auto of_tile = [&](const at::Tensor& x) { return x.narrow(0, tile.first, tile.rows); };
  const at::Tensor scores = OfRows(p, tile, scorer.Scores(q, v));
  const at::Tensor hidden = OfRows(p, tile, HiddenColumns(p, tile));
  const at::Tensor positive = of_tile(p.positive).unsqueeze(1);
  const at::Tensor own = scores.gather(1, positive);
  const at::Tensor logits =
      (scores + p.column_offset)
          .masked_fill(hidden, kMinusInfinity)
          .scatter(1, positive, own + of_tile(p.positive_offset).unsqueeze(1));
  return at::logsumexp(logits, {1}) - (own.squeeze(1) + of_tile(p.target_offset));
}

}  // namespace

SoftmaxResult ComposedSoftmax(const Scorer& scorer, const SoftmaxProblem& problem) {
  SoftmaxResult result{at::zeros({}, problem.q.options().dtype(at::kDouble)),
                       at::zeros_like(problem.q), at::zeros_like(problem.v)};
  if (problem.v.size(0) == 0) return result;
  const at::AutoGradMode with_graph(true);
  const at::Tensor v = problem.v.detach().requires_grad_();
  v.mutable_grad() = result.v_grad;
  ForEachTile(problem.rows, [&](const Tile& tile) {
    const at::Tensor q = problem.q.slice(0, tile.begin, tile.end).detach().requires_grad_();
    q.mutable_grad() = result.q_grad.slice(0, tile.begin, tile.end);
    const at::Tensor losses = RowLosses(scorer, problem, tile, q, v);
    const at::Tensor weight = problem.weight.narrow(0, tile.first, tile.rows);
    const at::Tensor loss = (losses * weight).sum(at::kDouble);
    torch::autograd::backward({loss}, {at::ones_like(loss)});
    result.value += loss.detach();
  });
  return result;
}

std::string ExplainSoftmax(const Scorer& scorer, const SoftmaxProblem& problem) {
  const at::NoGradGuard no_grad;
  std::string found;
  ForEachTile(problem.rows, [&](const Tile& tile) {
    if (!found.empty() || problem.v.size(0) == 0) return;
    const at::Tensor losses =
        RowLosses(scorer, problem, tile, problem.q.slice(0, tile.begin, tile.end), problem.v);
    const at::Tensor bad = at::isfinite(losses).logical_not_().nonzero();
    if (bad.size(0) == 0) return;
    const int64_t row = kernels::ListOf<int64_t>(bad)[0];
    found = absl::StrCat("the loss of row ", tile.first + row, " of ", problem.rows.rows(), " is ",
                         kernels::NumberOf(losses[row]));
  });
  return found;
}

}  // namespace torii::model
