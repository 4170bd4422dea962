// What `torii doctor` concludes about GPUs, from facts about the driver, the libraries and the GPUs.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/process/doctor.h"

namespace torii::launch {

struct GpuFacts {
  std::string trouble = {};  // why CUDA tells nothing about it; "" if all that follows is known
  std::string name = {};
  std::string uuid = {};  // UuidText
  int compute_major = 0, compute_minor = 0;
  int multiprocessors = 0;
  int64_t free_bytes = 0, total_bytes = 0;
};

// Versions of CUDA are 1000 * major + 10 * minor (13000 is 13.0), those of NCCL as NCCL counts them
// (22809 is 2.28.9). 0: not known.
struct CudaFacts {
  bool has_driver = false;     // of the system
  std::string driver_version;  // "580.159.04"; "" if it does not tell
  std::string plugin_path;     // of libtorii_cuda.so; "" if there is none
  std::string plugin_trouble;  // why it cannot be opened; "" if it can, or if there is none
  int driver_cuda = 0;         // the newest CUDA that the driver knows
  int runtime = 0;             // the CUDA runtime that was loaded
  int compiled_runtime = 0;    // the one that the plug-in was compiled with
  int nccl_header = 0;         // 0: the plug-in was built without NCCL
  int nccl_library = 0;
  std::optional<std::string> visible_devices;  // CUDA_VISIBLE_DEVICES, if it is set
  std::string count_trouble;                   // why no GPU can be used, in the words of CUDA
  std::vector<GpuFacts> gpus;                  // in the order of CUDA
};

// Nothing on a machine without a driver.
std::vector<Finding> DiagnoseGpus(const CudaFacts& facts);

// Driver, plug-in, CUDA, NCCL and each GPU, one a line.
std::string DescribeGpus(const CudaFacts& facts);

// The version in /proc/driver/nvidia/version, "" if there is none.
std::string DriverVersionIn(const std::string& text);

// 16 bytes as nvidia-smi writes them: "GPU-3f2b8c1e-...".
std::string UuidText(const char (&bytes)[16]);

}  // namespace torii::launch
