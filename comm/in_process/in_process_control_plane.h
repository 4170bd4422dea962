// The control plane of one rank of an in-process group.
#pragma once

#include "comm/control_plane.h"
#include "comm/in_process/rank_calls.h"

namespace torii::comm {

class InProcessControlPlane final : public ControlPlane {
 public:
  // `calls` outlives it.
  explicit InProcessControlPlane(RankCalls& calls) : calls_(calls) {}

  int rank() const override { return calls_.rank(); }
  int world_size() const override { return calls_.world_size(); }
  absl::Status AllGatherBytes(std::span<const std::byte> mine, std::span<const int64_t> sizes,
                              std::span<std::byte> all) override;
  absl::Status AllToAll(std::span<const int64_t> values, std::span<int64_t> received) override;
  StopFlag& stop_flag() override { return stop_flag_; }

 private:
  absl::Status Exchange(const Call& call, const void* in,
                        absl::FunctionRef<void(std::span<const Offer> offers)> copy);

  RankCalls& calls_;
  StopFlag stop_flag_;
};

}  // namespace torii::comm
