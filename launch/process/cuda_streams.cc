#include "launch/process/cuda_streams.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/exit_code.h"
#include "comm/nccl/nccl_requirements.h"

namespace torii::launch {
namespace {

absl::Status StatusOf(kernels::CudaFailure failure, const char* what) {
  return failure == nullptr ? absl::OkStatus()
                            : InternalError(absl::StrCat("CUDA: ", what, ": ", failure));
}

class CudaMark final : public comm::HostMark {
 public:
  CudaMark(const kernels::CudaPlugin& plugin, int gpu) : plugin_(plugin), gpu_(gpu) {
    const kernels::CudaFailure failure = plugin.new_event(&event_);
    TORII_CHECK(failure == nullptr, "CUDA: an event: ", failure);
  }
  ~CudaMark() final { plugin_.delete_event(event_); }
  absl::Status Record() final { return StatusOf(plugin_.record_event(event_), "recording a mark"); }
  absl::StatusOr<bool> IsDone() const final {
    (void)plugin_.use_gpu(gpu_);  // the thread that asks may be one that has not used the GPU
    bool done = false;
    const absl::Status asked = StatusOf(plugin_.is_event_done(event_, &done), "work of the GPU");
    if (!asked.ok()) return asked;
    return done;
  }

 private:
  const kernels::CudaPlugin& plugin_;
  const int gpu_;
  void* event_ = nullptr;
};

class CudaStreams final : public comm::DeviceStreams {
 public:
  CudaStreams(const kernels::CudaPlugin& plugin, int gpu, std::string identity)
      : plugin_(plugin), gpu_(gpu), identity_(std::move(identity)) {}
  at::Device device() const final {
    return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu_));
  }
  std::string Identity() const final { return identity_; }
  void* Current() final { return plugin_.current_stream(); }
  std::unique_ptr<comm::HostMark> MakeMark() final {
    return std::make_unique<CudaMark>(plugin_, gpu_);
  }

 private:
  const kernels::CudaPlugin& plugin_;
  const int gpu_;
  const std::string identity_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<comm::DeviceStreams>> MakeCudaStreams(
    const kernels::CudaPlugin& plugin, int gpu, const std::string& host_id) {
  kernels::GpuProperties properties{};
  const kernels::CudaFailure failure = plugin.properties(gpu, &properties);
  if (failure != nullptr) {
    return ConfigError(absl::StrCat("GPU ", gpu, " cannot be asked for its identity: ", failure));
  }
  const std::string uuid =
      absl::BytesToHexString(absl::string_view(properties.uuid, sizeof(properties.uuid)));
  return std::make_shared<CudaStreams>(plugin, gpu, comm::GpuIdentity(uuid, host_id));
}

}  // namespace torii::launch
