// Digests of the content of a checkpoint, whoever wrote it.
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/checkpoint_manifest.h"
#include "trainer/checkpoint/safetensors.h"

namespace torii::trainer {
namespace {

// The files of a checkpoint, verified and mapped.
struct MappedCheckpoint {
  Manifest manifest;
  std::vector<std::shared_ptr<MappedFile>> files;
  std::vector<std::map<std::string, SafetensorsEntry>> entries;  // of each file, by tensor
};

absl::StatusOr<MappedCheckpoint> MapCheckpoint(FileSystem& files, const std::string& path) {
  MappedCheckpoint mapped;
  TORII_ASSIGN_OR_RETURN(mapped.manifest, ReadManifest(files, path));
  for (const ManifestFile& file : mapped.manifest.files) {
    const std::string name = JoinPath(path, file.name);
    TORII_RETURN_IF_ERROR(VerifyFile(files, path, file, /*content=*/true));
    TORII_ASSIGN_OR_RETURN(mapped.files.emplace_back(), files.Map(name));
    TORII_ASSIGN_OR_RETURN(mapped.entries.emplace_back(), ReadSafetensorsHeader(files, name));
  }
  return mapped;
}

// The bytes of a tensor in one file; kData if they are not what the manifest says.
absl::StatusOr<const std::byte*> BytesIn(const MappedCheckpoint& checkpoint,
                                         const std::string& name, int file) {
  const Manifest& manifest = checkpoint.manifest;
  const ManifestTensor& tensor = manifest.tensors.at(name);
  const auto f = static_cast<size_t>(file);
  const auto entry = checkpoint.entries[f].find(name);
  if (entry == checkpoint.entries[f].end() || entry->second.dtype != tensor.dtype ||
      entry->second.shape != tensor.ShapeIn(Rank{file}, WorldSize{manifest.info.world_size})) {
    return DataError(absl::StrCat(manifest.info.path, ": tensor '", name,
                                  "' is missing or of another shape in ", manifest.files[f].name));
  }
  return checkpoint.files[f]->data() + entry->second.offset;
}

// Of the rows of the whole tensor, one after the other.
absl::StatusOr<std::string> DigestOfTensor(const MappedCheckpoint& checkpoint,
                                           const std::string& name) {
  const ManifestTensor& tensor = checkpoint.manifest.tensors.at(name);
  const int writers = checkpoint.manifest.info.world_size;
  const auto bytes = static_cast<size_t>(TensorBytes(tensor.dtype, tensor.shape).value_or(0));
  Digest digest;
  if (tensor.is_replicated()) {
    TORII_ASSIGN_OR_RETURN(const std::byte* data, BytesIn(checkpoint, name, writers));
    digest.Update(data, bytes);
    return digest.Hex();
  }
  std::vector<const std::byte*> data(static_cast<size_t>(writers));
  for (int r = 0; r < writers; ++r) {
    TORII_ASSIGN_OR_RETURN(data[static_cast<size_t>(r)], BytesIn(checkpoint, name, r));
  }
  if (bytes == 0) return digest.Hex();  // of any number of rows
  const Partition rows = tensor.Rows(writers);
  const size_t row_bytes = bytes / static_cast<size_t>(rows.rows());
  for (int64_t row = 0; row < rows.rows(); ++row) {
    digest.Update(data[static_cast<size_t>(rows.Owner(row))] +
                      static_cast<size_t>(rows.Slot(row)) * row_bytes,
                  row_bytes);
  }
  return digest.Hex();
}

}  // namespace

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> CheckpointDigests(
    FileSystem& files, const std::string& path) {
  TORII_ASSIGN_OR_RETURN(const MappedCheckpoint checkpoint, MapCheckpoint(files, path));
  std::vector<std::pair<std::string, std::string>> lines;
  for (const auto& [name, text] : checkpoint.manifest.info.messages) {
    lines.emplace_back(name, DigestOf(text));
  }
  for (const auto& [name, tensor] : checkpoint.manifest.tensors) {
    TORII_ASSIGN_OR_RETURN(const std::string digest, DigestOfTensor(checkpoint, name));
    lines.emplace_back(name, digest);
  }
  Digest total;
  for (const auto& [name, digest] : lines) total.Update(absl::StrCat(name, "=", digest, "\n"));
  lines.insert(lines.begin(), {"total", total.Hex()});
  return lines;
}

}  // namespace torii::trainer
