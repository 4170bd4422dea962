// The half of the NCCL back end that stays on the host: calls that go to the host's communicator
// and its control plane, as part of a world that may end.
#pragma once

#include <memory>
#include <utility>

#include "comm/communicator.h"
#include "comm/control_plane.h"
#include "comm/nccl/nccl_world.h"
#include "comm/peer_status.h"

namespace torii::comm {

// Makes a call of the host's communicator. After the end of the world it is not made, and gets the
// reason. An error that says that the host's world has ended ends this one.
class HostCalls {
 public:
  HostCalls(std::unique_ptr<Communicator> host, std::shared_ptr<NcclWorld> world)
      : host_(std::move(host)), world_(std::move(world)) {}

  Communicator& host() const { return *host_; }

  // `call` takes the host's communicator and returns a Status or a StatusOr.
  template <typename Call>
  std::invoke_result_t<Call, Communicator&> Make(const Call& call) const {
    TORII_RETURN_IF_ERROR(world_->reason());
    auto result = call(*host_);
    if (IsFromPeer(StatusOf(result))) return world_->End(StatusOf(result));
    return result;
  }

 private:
  static const absl::Status& StatusOf(const absl::Status& status) { return status; }
  template <typename T>
  static const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
    return result.status();
  }

  const std::unique_ptr<Communicator> host_;
  const std::shared_ptr<NcclWorld> world_;
};

class NcclControlPlane final : public ControlPlane {
 public:
  // `calls` outlives it.
  explicit NcclControlPlane(const HostCalls& calls) : calls_(calls) {}

  int rank() const override { return calls_.host().rank(); }
  int world_size() const override { return calls_.host().world_size(); }
  absl::Status AllGatherBytes(std::span<const std::byte> mine, std::span<const int64_t> sizes,
                              std::span<std::byte> all) override {
    return calls_.Make(
        [&](Communicator& host) { return host.control().AllGatherBytes(mine, sizes, all); });
  }
  absl::Status AllToAll(std::span<const int64_t> values, std::span<int64_t> received) override {
    return calls_.Make(
        [&](Communicator& host) { return host.control().AllToAll(values, received); });
  }
  StopFlag& stop_flag() override { return calls_.host().control().stop_flag(); }

 private:
  const HostCalls& calls_;
};

}  // namespace torii::comm
