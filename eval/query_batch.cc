#include "eval/query_batch.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/split_evenly.h"
#include "base/status_macros.h"
#include "kernels/host_tensors.h"

namespace torii::eval {
namespace {

absl::Status CheckShape(const at::Tensor& tensor, int64_t rows, const kernels::Device& device,
                        const char* what) {
  if (tensor.defined() && tensor.dim() == 2 && tensor.size(0) == rows &&
      tensor.scalar_type() == at::kFloat && tensor.device() == device.torch()) {
    return absl::OkStatus();
  }
  return InternalError(absl::StrCat(
      what, ": expected ", rows, " rows of float32 vectors on ", device.torch().str(), ", found ",
      tensor.defined() ? tensor.toString() : "nothing", ", first dimension ",
      tensor.defined() && tensor.dim() > 0 ? tensor.size(0) : 0));
}

// [rows]
std::vector<double> MagnitudesOf(const kernels::Device& device, const at::Tensor& vectors) {
  return kernels::ListOf<double>(kernels::LargestMagnitudes(device, vectors.contiguous()));
}

// This rank's share of the checks; `largest` gets its greatest magnitude.
absl::Status CheckOwnItems(int rank, int world_size, const OwnedItems& items, double* largest) {
  if (items.corpus.world_size() != world_size || items.corpus.is_replicated()) {
    return InternalError(absl::StrCat("items that are partitioned for ", items.corpus.world_size(),
                                      " ranks (", std::string(NameOf(items.corpus.kind())), ") on ",
                                      world_size));
  }
  TORII_RETURN_IF_ERROR(CheckShape(items.vectors, items.corpus.OwnedRows(rank), items.device,
                                   "item vectors of this rank"));
  const std::vector<double> magnitudes = MagnitudesOf(items.device, items.vectors);
  for (size_t slot = 0; slot < magnitudes.size(); ++slot) {
    if (std::isinf(magnitudes[slot])) {
      return DivergedError(absl::StrCat("item row ",
                                        items.corpus.Row(rank, static_cast<int64_t>(slot)),
                                        ": its vector is not finite, so no user can be ranked"));
    }
    *largest = std::max(*largest, magnitudes[slot]);
  }
  return absl::OkStatus();
}

absl::Status CheckQueries(const ScoringItems& items, std::span<const int64_t> users,
                          const at::Tensor& q) {
  const auto dim = static_cast<double>(q.size(1));
  const std::vector<double> magnitudes = MagnitudesOf(items.device, q);
  for (size_t i = 0; i < users.size(); ++i) {
    if (std::isinf(magnitudes[i])) {
      return DivergedError(absl::StrCat("user row ", users[i], ": its vector is not finite"));
    }
    // Half of the range leaves room for the roundings of the sum.
    if (magnitudes[i] * items.largest * dim >
        0.5 * static_cast<double>(std::numeric_limits<float>::max())) {
      return DivergedError(absl::StrCat(
          "user row ", users[i], ": its scores do not fit into float32 (elements up to ",
          magnitudes[i], ", those of items up to ", items.largest, ")"));
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
  return ScoringItems{items.device,
                      kernels::PrepareItems(items.device, items.vectors, items.scores), largest,
                      items.corpus};
}

absl::StatusOr<at::Tensor> GatherQueries(comm::Communicator& comm, const ScoringItems& items,
                                         std::span<const int64_t> users,
                                         const QueryFunction& query) {
  const auto n = static_cast<int64_t>(users.size());
  const Range own = SplitEvenly(n, comm.world_size(), comm.rank());
  absl::StatusOr<at::Tensor> part =
      query(users.subspan(static_cast<size_t>(own.begin), static_cast<size_t>(own.size())));
  absl::Status status = part.status();
  if (status.ok()) status = CheckShape(*part, own.size(), items.device, "vectors of users");
  if (status.ok() && part->size(1) != items.items.vectors.size(1)) {
    status =
        InternalError(absl::StrCat("vectors of users have ", part->size(1),
                                   " dimensions, those of items ", items.items.vectors.size(1)));
  }
  TORII_RETURN_IF_ERROR(comm::AgreeOnStatus(comm.control(), status));
  std::vector<int64_t> rows;
  for (int r = 0; r < comm.world_size(); ++r) {
    rows.push_back(SplitEvenly(n, comm.world_size(), r).size());
  }
  TORII_ASSIGN_OR_RETURN(at::Tensor q,
                         comm::AllGatherForReading(comm, part->detach().contiguous(), rows));
  TORII_RETURN_IF_ERROR(CheckQueries(items, users, q));
  return q;
}

}  // namespace torii::eval
