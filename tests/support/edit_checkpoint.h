// Changes a checkpoint on the disk and mends every digest, so that only its content tells.
#pragma once

#include <ATen/ATen.h>

#include <functional>
#include <string>
#include <vector>

#include "base/status_macros.h"
#include "trainer/checkpoint/checkpoint_manifest.h"
#include "trainer/checkpoint/safetensors.h"

namespace torii::testing {

// Calls `edit` with the manifest and with the tensors of each file (by name, in the order of the
// manifest's files), then writes all of it.
using CheckpointEdit = std::function<void(trainer::Manifest& manifest,
                                          std::vector<std::vector<trainer::NamedTensor>>& tensors)>;

inline absl::Status EditCheckpoint(const std::string& path, const CheckpointEdit& edit) {
  FileSystem& files = LocalFiles();
  TORII_ASSIGN_OR_RETURN(trainer::Manifest manifest, trainer::ReadManifest(files, path));
  std::vector<std::vector<trainer::NamedTensor>> tensors;
  for (const trainer::ManifestFile& file : manifest.files) {
    const std::string name = JoinPath(path, file.name);
    TORII_ASSIGN_OR_RETURN(const auto entries, trainer::ReadSafetensorsHeader(files, name));
    tensors.emplace_back();
    for (const auto& [tensor, entry] : entries) {
      TORII_ASSIGN_OR_RETURN(at::Tensor value, trainer::ReadSafetensor(files, name, entry));
      tensors.back().push_back({tensor, std::move(value)});
    }
  }
  edit(manifest, tensors);
  for (size_t i = 0; i < tensors.size(); ++i) {
    trainer::ManifestFile& file = manifest.files[i];
    const std::string name = JoinPath(path, file.name);
    TORII_ASSIGN_OR_RETURN(file.digest, trainer::WriteSafetensors(files, name, tensors[i]));
    TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(name));
    file.size = info.size;
  }
  return WriteFileAtomically(files, JoinPath(path, trainer::kManifestName),
                             trainer::FormatManifest(manifest));
}

}  // namespace torii::testing
