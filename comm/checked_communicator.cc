#include "comm/checked_communicator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/exit_code.h"
#include "base/int64_tensor.h"
#include "base/status_macros.h"
#include "comm/call.h"

namespace torii::comm {
namespace {

constexpr size_t kMaxDims = 8;
constexpr size_t kFixedWords = 5 + kMaxDims;

// A call as int64 words, the same number of them for every call of a world: fixed words, then [W]
// rows and [W] rows to receive, -1 where a call has none.
at::Tensor Encode(const Call& call, size_t world_size) {
  std::vector<int64_t> words(kFixedWords + 2 * world_size, -1);
  words[0] = static_cast<int64_t>(call.op);
  words[1] = call.sequence;
  words[2] = call.variant;
  words[3] = static_cast<int64_t>(call.dtype);
  words[4] = static_cast<int64_t>(call.shape.size());
  std::copy(call.shape.begin(), call.shape.end(), words.begin() + 5);
  const auto put = [&](const std::vector<int64_t>& rows, size_t at) {
    std::copy(rows.begin(), rows.end(), words.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(call.rows, kFixedWords);
  put(call.recv_rows, kFixedWords + world_size);
  return TensorOf(words).unsqueeze(0);
}

Call Decode(std::span<const int64_t> words, size_t world_size) {
  Call call;
  call.op = static_cast<Op>(words[0]);
  call.sequence = words[1];
  call.variant = words[2];
  call.dtype = static_cast<at::ScalarType>(words[3]);
  const auto get = [&](size_t at, size_t n) {
    const std::span<const int64_t> part = words.subspan(at, n);
    const bool given = !part.empty() && part[0] >= 0;
    return given ? std::vector<int64_t>(part.begin(), part.end()) : std::vector<int64_t>();
  };
  call.shape = get(5, static_cast<size_t>(words[4]));
  call.rows = get(kFixedWords, world_size);
  call.recv_rows = get(kFixedWords + world_size, world_size);
  return call;
}

class CheckedCommunicator final : public Communicator {
 public:
  explicit CheckedCommunicator(std::unique_ptr<Communicator> inner) : inner_(std::move(inner)) {}

  int rank() const override { return inner_->rank(); }
  int world_size() const override { return inner_->world_size(); }

  absl::Status AllReduce(at::Tensor& tensor, ReduceOp op) override {
    TORII_RETURN_IF_ERROR(Check(Op::kAllReduce, tensor, static_cast<int64_t>(op)));
    return inner_->AllReduce(tensor, op);
  }
  absl::StatusOr<at::Tensor> AllGatherV(const at::Tensor& in,
                                        std::span<const int64_t> rows) override {
    TORII_RETURN_IF_ERROR(Check(Op::kAllGatherV, in, 0, rows));
    return inner_->AllGatherV(in, rows);
  }
  absl::StatusOr<at::Tensor> ReduceScatterV(const at::Tensor& in,
                                            std::span<const int64_t> rows) override {
    TORII_RETURN_IF_ERROR(Check(Op::kReduceScatterV, in, 0, rows));
    return inner_->ReduceScatterV(in, rows);
  }
  absl::Status Broadcast(at::Tensor& tensor, int root) override {
    TORII_RETURN_IF_ERROR(Check(Op::kBroadcast, tensor, root));
    return inner_->Broadcast(tensor, root);
  }
  absl::StatusOr<at::Tensor> AllToAllV(const at::Tensor& in, std::span<const int64_t> send_rows,
                                       std::span<const int64_t> recv_rows) override {
    TORII_RETURN_IF_ERROR(Check(Op::kAllToAllV, in, 0, send_rows, recv_rows));
    return inner_->AllToAllV(in, send_rows, recv_rows);
  }
  absl::Status Barrier() override {
    TORII_RETURN_IF_ERROR(Check(Op::kBarrier, at::Tensor(), 0));
    return inner_->Barrier();
  }
  void Abort(const absl::Status& reason) override { inner_->Abort(reason); }

 private:
  absl::Status Check(Op op, const at::Tensor& tensor, int64_t variant,
                     std::span<const int64_t> rows = {}, std::span<const int64_t> recv_rows = {}) {
    Call call = DescribeCall(op, sequence_++, tensor, rows, recv_rows);
    call.variant = variant;
    if (call.shape.size() > kMaxDims) {
      return InternalError(
          absl::StrCat(ToText(call), ": more than ", kMaxDims, " dimensions cannot be checked"));
    }
    TORII_RETURN_IF_ERROR(CheckCall(call, rank(), world_size()));
    const size_t world = static_cast<size_t>(world_size());
    TORII_ASSIGN_OR_RETURN(const at::Tensor all,
                           inner_->AllGatherV(Encode(call, world), std::vector<int64_t>(world, 1)));
    const size_t words = kFixedWords + 2 * world;
    std::vector<Call> calls;
    for (size_t r = 0; r < world; ++r) {
      calls.push_back(Decode(std::span(all.const_data_ptr<int64_t>() + r * words, words), world));
    }
    return CheckSameCall(calls);
  }

  const std::unique_ptr<Communicator> inner_;
  int64_t sequence_ = 0;
};

}  // namespace

std::unique_ptr<Communicator> MakeChecked(std::unique_ptr<Communicator> inner) {
  return std::make_unique<CheckedCommunicator>(std::move(inner));
}

}  // namespace torii::comm
