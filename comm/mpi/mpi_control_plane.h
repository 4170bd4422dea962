// The control plane of an MPI world, on an MPI communicator of its own.
#pragma once

#include <memory>

#include "comm/control_plane.h"
#include "comm/mpi/mpi_channel.h"

namespace torii::comm {

class MpiControlPlane final : public ControlPlane {
 public:
  explicit MpiControlPlane(std::unique_ptr<MpiChannel> channel) : channel_(std::move(channel)) {}

  int rank() const override { return channel_->rank(); }
  int world_size() const override { return channel_->world_size(); }
  absl::Status AllGatherBytes(std::span<const std::byte> mine, std::span<const int64_t> sizes,
                              std::span<std::byte> all) override;
  absl::Status AllToAll(std::span<const int64_t> values, std::span<int64_t> received) override;
  StopFlag& stop_flag() override { return stop_flag_; }

 private:
  const std::unique_ptr<MpiChannel> channel_;
  StopFlag stop_flag_;
};

}  // namespace torii::comm
