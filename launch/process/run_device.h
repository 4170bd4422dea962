// The device on which the ranks of this process train (--device).
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "kernels/cuda/plugin_table.h"
#include "kernels/device.h"

namespace torii::launch {

// Where libtorii_cuda.so is, or would be: what TORII_CUDA_PLUGIN names, else in ../lib of the program,
// else beside it.
std::string CudaPluginPath();

// What the driver of NVIDIA GPUs says of itself.
inline constexpr char kGpuDriverVersion[] = "/proc/driver/nvidia/version";
// Whether this machine has a driver for GPUs.
bool HasGpuDriver();

class RunDevice {
 public:
  // asked: "cpu"; "cuda": a GPU for each rank; "auto": a GPU where a driver, the plug-in and a
  // GPU are there, else the CPU, silently without a driver; "emulated": a GPU's kernels run by the CPU, for tests. kUsage for another word;
  // kConfig if cuda is asked for and cannot be had: what to install. Before LibTorch is asked for
  // anything.
  static absl::StatusOr<RunDevice> Open(const std::string& asked);

  // Why this device; empty if there is nothing to say.
  const std::string& note() const { return note_; }
  // Whether tensors lie on GPUs.
  bool is_gpu() const { return plugin_ != nullptr; }
  // The device of a rank, which is number local_rank of local_size on this machine; the calling
  // thread works on it from then on. kConfig without one.
  absl::StatusOr<kernels::Device> OfRank(int local_rank, int local_size) const;
  // Null without GPUs.
  const kernels::CudaPlugin* plugin() const { return plugin_; }

 private:
  const kernels::CudaPlugin* plugin_ = nullptr;
  int gpus_ = 0;
  bool emulated_ = false;
  std::string note_;
};

}  // namespace torii::launch
