// Calls that a device has not finished, as the watchdog sees them.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "comm/call.h"
#include "comm/nccl/device_streams.h"

namespace torii::comm {

// A Call with memory of its own, or another thing that takes time ("the start of NCCL").
class KeptCall {
 public:
  explicit KeptCall(std::string other) : other_(std::move(other)) {}
  explicit KeptCall(const Call& call)
      : call_(call),
        shape_(call.shape.begin(), call.shape.end()),
        rows_(call.rows.begin(), call.rows.end()),
        recv_rows_(call.recv_rows.begin(), call.recv_rows.end()) {}

  std::string Text() const {
    if (!other_.empty()) return other_;
    Call call = call_;
    call.shape = shape_;
    call.rows = rows_;
    call.recv_rows = recv_rows_;
    return ToText(call);
  }

 private:
  std::string other_;
  Call call_;  // its spans are stale
  std::vector<int64_t> shape_, rows_, recv_rows_;
};

// A call of a rank, from its start until the device has finished its work.
struct CallInFlight {
  KeptCall call;
  std::chrono::steady_clock::time_point started;
  std::unique_ptr<HostMark> mark;  // behind the work; null before the device has been given it
  bool warned = false;
};

}  // namespace torii::comm
