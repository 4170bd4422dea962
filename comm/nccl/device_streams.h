// What the NCCL back end must know of a device: the stream that the caller uses, and marks on it
// that the host can look at.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "c10/core/Device.h"

namespace torii::comm {

// A place in the work of a stream. May be recorded again once it is done.
class HostMark {
 public:
  virtual ~HostMark() = default;
  // The mark stands behind all work that the calling thread's current stream has now.
  virtual absl::Status Record() = 0;
  // Whether the device has come to the mark; an error if the device failed. Any thread, also one
  // that has not used the device: an implementation for CUDA selects the mark's device first, or
  // the thread of the watchdog would take memory on device 0.
  virtual absl::StatusOr<bool> IsDone() const = 0;

  // Returns once the mark is done: OK. Else with the error of the device, with kPeerLost after
  // `deadline`, or with what `interrupted` returns as soon as that is not OK.
  absl::Status Wait(std::chrono::steady_clock::time_point deadline,
                    absl::FunctionRef<absl::Status()> interrupted) const;
};

// The device of one rank. Called by the threads of that rank.
class DeviceStreams {
 public:
  virtual ~DeviceStreams() = default;
  // Tensors on it go through NCCL.
  virtual at::Device device() const = 0;
  // The same text for two ranks means the same GPU (GpuIdentity, nccl_requirements.h).
  virtual std::string Identity() const = 0;
  // The current stream of the calling thread, as NCCL takes it.
  virtual void* Current() = 0;
  virtual std::unique_ptr<HostMark> MakeMark() = 0;
};

}  // namespace torii::comm
