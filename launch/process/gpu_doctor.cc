#include "launch/process/gpu_doctor.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "comm/nccl/nccl_requirements.h"

namespace torii::launch {
namespace {

constexpr int kLeastComputeMajor = 8;  // CUDA_ARCHITECTURES of the plug-in

std::string CudaText(int version) { return absl::StrCat(version / 1000, ".", version % 1000 / 10); }

std::string Gibibytes(int64_t bytes) {
  return absl::StrFormat("%.1f", static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0));
}

std::string Label(const std::string& label) {
  return label + std::string(label.size() < 12 ? 12 - label.size() : 1, ' ');
}

// The driver is there, CUDA finds no GPU.
Finding NoGpu(const CudaFacts& facts) {
  if (facts.driver_cuda > 0 && facts.driver_cuda / 1000 < facts.runtime / 1000) {
    return {true,
            absl::StrCat("the driver ", facts.driver_version, " knows CUDA ",
                         CudaText(facts.driver_cuda), ", LibTorch needs ", CudaText(facts.runtime)),
            "Install a newer driver, or train with --device cpu."};
  }
  if (facts.visible_devices.has_value()) {
    return {false,
            absl::StrCat("CUDA_VISIBLE_DEVICES=\"", *facts.visible_devices,
                         "\" leaves no GPU: ", facts.count_trouble),
            "Unset it to use the GPUs of this machine."};
  }
  return {true, absl::StrCat("there is a driver, but no GPU can be used: ", facts.count_trouble),
          "See what nvidia-smi says; a container needs --gpus all, a Slurm job --gpus-per-node."};
}

void CheckGpu(size_t index, const GpuFacts& gpu, std::vector<Finding>* findings) {
  const std::string name = absl::StrCat("GPU ", index);
  if (!gpu.trouble.empty()) {
    findings->push_back({true, absl::StrCat(name, " cannot be used: ", gpu.trouble),
                         "See what nvidia-smi says, or hide it with CUDA_VISIBLE_DEVICES."});
    return;
  }
  if (gpu.compute_major < kLeastComputeMajor) {
    findings->push_back(
        {true,
         absl::StrCat(name, " (", gpu.name, ") has compute capability ", gpu.compute_major, ".",
                      gpu.compute_minor, ", the kernels need ", kLeastComputeMajor, ".0"),
         "Hide it with CUDA_VISIBLE_DEVICES, or train with --device cpu."});
  }
  if (gpu.free_bytes < gpu.total_bytes / 2) {
    findings->push_back({false,
                         absl::StrCat("only ", Gibibytes(gpu.free_bytes), " of ",
                                      Gibibytes(gpu.total_bytes), " GiB of ", name, " are free"),
                         "nvidia-smi names the processes that use the rest."});
  }
}

std::string DescribeGpu(const GpuFacts& gpu) {
  if (!gpu.trouble.empty()) return absl::StrCat("cannot be used: ", gpu.trouble);
  return absl::StrCat(gpu.name, ", compute capability ", gpu.compute_major, ".", gpu.compute_minor,
                      ", ", gpu.multiprocessors, " multiprocessors, ", Gibibytes(gpu.free_bytes),
                      " of ", Gibibytes(gpu.total_bytes), " GiB free, ", gpu.uuid);
}

std::string DescribeDriver(const CudaFacts& facts) {
  if (!facts.has_driver) return "none";
  std::string out = facts.driver_version.empty() ? "of unknown version" : facts.driver_version;
  if (facts.driver_cuda > 0) absl::StrAppend(&out, ", CUDA ", CudaText(facts.driver_cuda));
  return out;
}

std::string DescribePlugin(const CudaFacts& facts) {
  if (facts.plugin_path.empty()) return "none";
  if (facts.plugin_trouble.empty()) return facts.plugin_path;
  // With a driver it is a finding, which says why.
  return absl::StrCat(facts.plugin_path, " cannot be opened",
                      facts.has_driver ? "" : absl::StrCat(": ", facts.plugin_trouble));
}

std::string DescribeNccl(const CudaFacts& facts) {
  if (facts.nccl_header == 0) return "not in the plug-in";
  return absl::StrCat(
      facts.nccl_library == 0 ? "unknown version" : comm::NcclVersionText(facts.nccl_library),
      ", header ", comm::NcclVersionText(facts.nccl_header));
}

}  // namespace

std::vector<Finding> DiagnoseGpus(const CudaFacts& facts) {
  std::vector<Finding> findings;
  if (!facts.has_driver) return findings;
  if (facts.plugin_path.empty()) {
    findings.push_back({false, "there is a driver for GPUs, but no libtorii_cuda.so",
                        "Build it with -DTORII_CUDA=ON (docs/gpu.md), or name it in "
                        "TORII_CUDA_PLUGIN; without it training runs on the CPU."});
    return findings;
  }
  if (!facts.plugin_trouble.empty()) {
    findings.push_back({true, facts.plugin_trouble,
                        "Until then training runs on the CPU (docs/gpu.md, Troubleshooting)."});
    return findings;
  }
  if (facts.gpus.empty()) {
    findings.push_back(NoGpu(facts));
    return findings;
  }
  for (size_t i = 0; i < facts.gpus.size(); ++i) CheckGpu(i, facts.gpus[i], &findings);
  if (facts.nccl_header == 0) {
    findings.push_back({false, "the plug-in was built without NCCL",
                        "Several ranks on GPUs need it: build where nccl.h is found."});
  } else if (facts.nccl_library == 0) {
    findings.push_back({true, "NCCL does not tell its version",
                        "Install the nvidia-nccl package that torch asks for."});
  } else if (const absl::Status fits =
                 comm::CheckNcclVersions(facts.nccl_header, facts.nccl_library);
             !fits.ok()) {
    findings.push_back({true, std::string(fits.message()),
                        "One rank works without NCCL; several ranks on GPUs do not."});
  }
  return findings;
}

std::string DescribeGpus(const CudaFacts& facts) {
  std::string out = absl::StrCat(Label("driver"), DescribeDriver(facts), "\n", Label("plug-in"),
                                 DescribePlugin(facts), "\n");
  if (facts.plugin_path.empty() || !facts.plugin_trouble.empty()) return out;
  absl::StrAppend(&out, Label("CUDA"),
                  facts.runtime == 0 ? "unknown version" : CudaText(facts.runtime),
                  ", plug-in compiled with ", CudaText(facts.compiled_runtime), "\n");
  absl::StrAppend(&out, Label("NCCL"), DescribeNccl(facts), "\n");
  for (size_t i = 0; i < facts.gpus.size(); ++i) {
    absl::StrAppend(&out, Label(absl::StrCat("GPU ", i)), DescribeGpu(facts.gpus[i]), "\n");
  }
  if (facts.gpus.empty()) {
    absl::StrAppend(&out, Label("GPU"), "none: ", facts.count_trouble, "\n");
  }
  return out;
}

std::string DriverVersionIn(const std::string& text) {
  // "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.159.04  Tue ..."; the open module's line
  // has other words before the number.
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  const std::vector<std::string> words = absl::StrSplit(lines[0], ' ', absl::SkipEmpty());
  for (const std::string& word : words) {
    const bool is_number = word.find_first_not_of("0123456789.") == std::string::npos;
    if (is_number && word.find('.') != std::string::npos) return word;
  }
  return "";
}

std::string UuidText(const char (&bytes)[16]) {
  std::string out = "GPU-";
  for (size_t i = 0; i < sizeof(bytes); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) out += '-';
    absl::StrAppend(&out, absl::Hex(static_cast<unsigned>(static_cast<unsigned char>(bytes[i])),
                                    absl::kZeroPad2));
  }
  return out;
}

}  // namespace torii::launch
