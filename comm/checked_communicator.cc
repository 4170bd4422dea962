#include "comm/checked_communicator.h"

#include "base/status_macros.h"
#include "comm/call.h"
#include "comm/compare_calls.h"

namespace torii::comm {
namespace {

// The calls of both planes of one rank have one sequence.
class CheckedControlPlane final : public ControlPlane {
 public:
  explicit CheckedControlPlane(ControlPlane& inner) : inner_(inner) {}

  int rank() const override { return inner_.rank(); }
  int world_size() const override { return inner_.world_size(); }
  absl::Status AllGatherBytes(std::span<const std::byte> mine, std::span<const int64_t> sizes,
                              std::span<std::byte> all) override {
    TORII_RETURN_IF_ERROR(CompareCalls(inner_, DescribeAllGatherBytes(sequence_++, sizes)));
    return inner_.AllGatherBytes(mine, sizes, all);
  }
  absl::Status AllToAll(std::span<const int64_t> values, std::span<int64_t> received) override {
    const auto count = static_cast<int64_t>(values.size());
    TORII_RETURN_IF_ERROR(
        CompareCalls(inner_, DescribeAllToAll(sequence_++, std::span(&count, 1))));
    return inner_.AllToAll(values, received);
  }
  StopFlag& stop_flag() override { return inner_.stop_flag(); }

  absl::Status CompareTensorCall(Op op, const at::Tensor& tensor, int64_t variant,
                                 std::span<const int64_t> rows,
                                 std::span<const int64_t> recv_rows) {
    Call call = DescribeCall(op, sequence_++, tensor, rows, recv_rows);
    call.variant = variant;
    return CompareCalls(inner_, call);
  }

 private:
  ControlPlane& inner_;
  int64_t sequence_ = 0;
};

class CheckedCommunicator final : public Communicator {
 public:
  explicit CheckedCommunicator(Communicator& inner) : inner_(inner), control_(inner.control()) {}

  int rank() const override { return inner_.rank(); }
  int world_size() const override { return inner_.world_size(); }
  ControlPlane& control() override { return control_; }

  absl::Status AllReduce(at::Tensor& tensor, ReduceOp op) override {
    TORII_RETURN_IF_ERROR(Check(Op::kAllReduce, tensor, static_cast<int64_t>(op)));
    return inner_.AllReduce(tensor, op);
  }
  absl::StatusOr<at::Tensor> AllGatherV(const at::Tensor& in,
                                        std::span<const int64_t> rows) override {
    TORII_RETURN_IF_ERROR(Check(Op::kAllGatherV, in, 0, rows));
    return inner_.AllGatherV(in, rows);
  }
  absl::StatusOr<at::Tensor> ReduceScatterV(const at::Tensor& in,
                                            std::span<const int64_t> rows) override {
    TORII_RETURN_IF_ERROR(Check(Op::kReduceScatterV, in, 0, rows));
    return inner_.ReduceScatterV(in, rows);
  }
  absl::Status Broadcast(at::Tensor& tensor, int root) override {
    TORII_RETURN_IF_ERROR(Check(Op::kBroadcast, tensor, root));
    return inner_.Broadcast(tensor, root);
  }
  absl::StatusOr<at::Tensor> AllToAllV(const at::Tensor& in, std::span<const int64_t> send_rows,
                                       std::span<const int64_t> recv_rows) override {
    TORII_RETURN_IF_ERROR(Check(Op::kAllToAllV, in, 0, send_rows, recv_rows));
    return inner_.AllToAllV(in, send_rows, recv_rows);
  }
  void Abort(const absl::Status& reason) override { inner_.Abort(reason); }

 private:
  absl::Status Check(Op op, const at::Tensor& tensor, int64_t variant,
                     std::span<const int64_t> rows = {}, std::span<const int64_t> recv_rows = {}) {
    return control_.CompareTensorCall(op, tensor, variant, rows, recv_rows);
  }

  Communicator& inner_;
  CheckedControlPlane control_;
};

}  // namespace

std::unique_ptr<Communicator> MakeChecked(Communicator& inner) {
  return std::make_unique<CheckedCommunicator>(inner);
}

}  // namespace torii::comm
