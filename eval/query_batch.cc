#include "eval/query_batch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"

namespace torii::eval {
namespace {

// The greatest magnitude of n numbers; infinity if one of them is not finite. Magnitudes are in the
// order of their bits, with those that are not finite last.
double LargestMagnitude(const float* x, int64_t n) {
  uint32_t largest[4] = {};
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t magnitude = std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFU;
    largest[i % 4] = std::max(largest[i % 4], magnitude);
  }
  const auto all = std::bit_cast<float>(*std::max_element(largest, largest + 4));
  return std::isfinite(all) ? static_cast<double>(all) : std::numeric_limits<double>::infinity();
}

absl::Status CheckShape(const at::Tensor& tensor, int64_t rows, const char* what) {
  if (tensor.defined() && tensor.dim() == 2 && tensor.size(0) == rows &&
      tensor.scalar_type() == at::kFloat && tensor.device().is_cpu()) {
    return absl::OkStatus();
  }
  return InternalError(
      absl::StrCat(what, ": expected ", rows, " rows of float32 vectors on the CPU, found ",
                   tensor.defined() ? tensor.toString() : "nothing", ", first dimension ",
                   tensor.defined() && tensor.dim() > 0 ? tensor.size(0) : 0));
}

// This rank's share of the checks; `largest` gets its greatest magnitude.
absl::Status CheckOwnItems(int rank, int world_size, const OwnedItems& items, double* largest) {
  TORII_RETURN_IF_ERROR(CheckShape(items.vectors, OwnedRows(items.total_items, rank, world_size),
                                   "item vectors of this rank"));
  const at::Tensor vectors = items.vectors.contiguous();
  const int64_t dim = vectors.size(1);
  for (int64_t slot = 0; slot < vectors.size(0); ++slot) {
    const double magnitude = LargestMagnitude(vectors.const_data_ptr<float>() + slot * dim, dim);
    if (std::isinf(magnitude)) {
      return DivergedError(absl::StrCat("item row ", rank + slot * world_size,
                                        ": its vector is not finite, so no user can be ranked"));
    }
    *largest = std::max(*largest, magnitude);
  }
  return absl::OkStatus();
}

absl::Status CheckQueries(const ScoringItems& items, std::span<const int64_t> users,
                          const at::Tensor& q) {
  const int64_t dim = q.size(1);
  for (size_t i = 0; i < users.size(); ++i) {
    const double magnitude =
        LargestMagnitude(q.const_data_ptr<float>() + static_cast<int64_t>(i) * dim, dim);
    if (std::isinf(magnitude)) {
      return DivergedError(absl::StrCat("user row ", users[i], ": its vector is not finite"));
    }
    // Half of the range leaves room for the roundings of the sum.
    if (magnitude * items.largest * static_cast<double>(dim) >
        0.5 * static_cast<double>(std::numeric_limits<float>::max())) {
      return DivergedError(absl::StrCat("user row ", users[i],
                                        ": its scores do not fit into float32 (elements up to ",
                                        magnitude, ", those of items up to ", items.largest, ")"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ScoringItems> PrepareItems(comm::Communicator& comm, const OwnedItems& items) {
  double largest = 0;
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(
      comm.control(), CheckOwnItems(comm.rank(), comm.world_size(), items, &largest)));
  TORII_ASSIGN_OR_RETURN(largest,
                         comm::AllReduceValue(comm.control(), largest, comm::ReduceOp::kMax));
  at::Tensor vectors = items.vectors.contiguous();
  kernels::cpu::PackedVectors packed(vectors.const_data_ptr<float>(), vectors.size(0),
                                     vectors.size(1));
  return ScoringItems{std::move(vectors), std::move(packed), largest, items.total_items};
}

absl::StatusOr<at::Tensor> GatherQueries(comm::Communicator& comm, const ScoringItems& items,
                                         std::span<const int64_t> users,
                                         const QueryFunction& query) {
  const auto n = static_cast<int64_t>(users.size());
  const Range own = SplitEvenly(n, comm.world_size(), comm.rank());
  absl::StatusOr<at::Tensor> part =
      query(users.subspan(static_cast<size_t>(own.begin), static_cast<size_t>(own.size())));
  absl::Status status = part.status();
  if (status.ok()) status = CheckShape(*part, own.size(), "vectors of users");
  if (status.ok() && part->size(1) != items.packed.dim()) {
    status = InternalError(absl::StrCat("vectors of users have ", part->size(1),
                                        " dimensions, those of items ", items.packed.dim()));
  }
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), status));
  std::vector<int64_t> rows;
  for (int r = 0; r < comm.world_size(); ++r) {
    rows.push_back(SplitEvenly(n, comm.world_size(), r).size());
  }
  TORII_ASSIGN_OR_RETURN(at::Tensor q, comm.AllGatherV(part->detach().contiguous(), rows));
  TORII_RETURN_IF_ERROR(CheckQueries(items, users, q));
  return q;
}

}  // namespace torii::eval
