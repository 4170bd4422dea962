// Streams and marks of the stand-in for NCCL, and ranks that talk through it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "comm/in_process/rank_group.h"
#include "comm/nccl/run_on_nccl.h"
#include "tests/comm/nccl/fake_nccl.h"

namespace torii::comm::testing {

class FakeMark final : public HostMark {
 public:
  explicit FakeMark(bool fails) : fails_(fails) {}
  absl::Status Record() override {
    const std::lock_guard lock(FakeNcclState::Get().mutex);
    std::erase_if(fake_stream, [](const auto& group) { return IsOver(group); });
    behind_ = fake_stream;
    return absl::OkStatus();
  }
  absl::StatusOr<bool> IsDone() const override {
    const std::lock_guard lock(FakeNcclState::Get().mutex);
    if (fails_) return absl::UnavailableError("an illegal memory access");
    return std::ranges::all_of(behind_, IsOver);
  }

 private:
  static bool IsOver(const FakeStream::value_type& group) {
    return group.first->aborted || group.first->executed >= group.second;
  }
  const bool fails_;
  FakeStream behind_;
};

struct FakeStreamsOptions {
  at::Device device = at::kCPU;  // what counts as the device of the rank
  std::string identity = {};
  bool fails = false;  // marks report an error of the device
};

// Each thread has a stream of its own.
class FakeStreams final : public DeviceStreams {
 public:
  explicit FakeStreams(FakeStreamsOptions options) : options_(std::move(options)) {}
  at::Device device() const override { return options_.device; }
  std::string Identity() const override { return options_.identity; }
  void* Current() override { return &fake_stream; }
  std::unique_ptr<HostMark> MakeMark() override {
    return std::make_unique<FakeMark>(options_.fails);
  }

 private:
  const FakeStreamsOptions options_;
};

inline std::shared_ptr<DeviceStreams> StreamsOfRank(int rank, bool fails = false) {
  return std::make_shared<FakeStreams>(
      FakeStreamsOptions{.identity = absl::StrCat("GPU-", rank), .fails = fails});
}

// Runs `body` on ranks as threads whose tensors go through the stand-in.
inline absl::Status RunOverFakeNccl(int world_size, const std::shared_ptr<NcclWorld>& world,
                                    const std::function<absl::Status(Communicator&)>& body) {
  return RunRanks(world_size, [&](Communicator& host) {
    return RunOnNccl(host, world, StreamsOfRank(host.rank()), body);
  });
}

// The same; what each rank hears, at the start or in `body`. The devices may all fail.
inline std::vector<absl::Status> HearOverFakeNccl(
    int world_size, const std::shared_ptr<NcclWorld>& world,
    const std::function<absl::Status(Communicator&)>& body, bool devices_fail = false) {
  std::vector<absl::Status> heard(static_cast<size_t>(world_size));
  RunRanks(world_size, [&](Communicator& host) {
    return heard[static_cast<size_t>(host.rank())] =
               RunOnNccl(host, world, StreamsOfRank(host.rank(), devices_fail), body);
  }).IgnoreError();
  return heard;
}

// CPU tensors are the device's, so that a caller may read them when a call returns only if the call
// has waited for the device.
inline std::shared_ptr<NcclWorld> MakeFakeWorld(NcclOptions options) {
  options.wait_for_each_call = true;
  return std::make_shared<NcclWorld>(FakeNcclLibrary(), options);
}

}  // namespace torii::comm::testing
