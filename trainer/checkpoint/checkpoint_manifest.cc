#include "trainer/checkpoint/checkpoint_manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/digest.h"
#include "base/exit_code.h"
#include "base/status_macros.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/checkpoint/shallow_json.h"

namespace torii::trainer {
namespace {

using nlohmann::ordered_json;

constexpr char kFormat[] = "torii-checkpoint";
constexpr int64_t kVersion = 2;
constexpr int64_t kMostRanks = int64_t{1} << 20;
constexpr int64_t kMostBytes = int64_t{1} << 28;  // of a manifest

// Bytes that are no UTF-8 (in a path of the configuration) are replaced: JSON has no place for
// them.
std::string Dump(const ordered_json& json, int indent) {
  return json.dump(indent, ' ', false, ordered_json::error_handler_t::replace);
}

absl::Status CheckVersion(const ordered_json& json, const std::string& where) {
  TORII_ASSIGN_OR_RETURN(const int64_t version, IntegerMember(json, "version", where));
  if (version == kVersion) return absl::OkStatus();
  return ConfigError(absl::StrCat(
      where, ": format version ", version, ", this program reads version ", kVersion, ": ",
      version < kVersion
          ? "go on with the program that wrote it, or train again in another run_dir "
            "(or with --resume never, which moves the old checkpoints aside)"
          : "use the newer program that wrote it, or another run_dir"));
}

absl::StatusOr<CheckpointInfo> InfoFrom(const ordered_json& json, const std::string& where) {
  CheckpointInfo info;
  TORII_ASSIGN_OR_RETURN(info.step, IntegerMember(json, "step", where));
  TORII_ASSIGN_OR_RETURN(const int64_t ranks, IntegerMember(json, "world_size", where));
  if (ranks < 1 || ranks > kMostRanks) {
    return DataError(absl::StrCat(where, ": written by ", ranks, " ranks"));
  }
  info.world_size = static_cast<int>(ranks);
  TORII_ASSIGN_OR_RETURN(info.config, TextMember(json, "config", where));
  TORII_ASSIGN_OR_RETURN(info.data_digest, TextMember(json, "data_digest", where));
  TORII_ASSIGN_OR_RETURN(const ordered_json* messages, ObjectMember(json, "messages", where));
  for (const auto& [name, value] : messages->items()) {
    TORII_ASSIGN_OR_RETURN(info.messages[name], TextMember(*messages, name, where));
  }
  return info;
}

absl::StatusOr<ManifestTensor> TensorFrom(const ordered_json& json, const std::string& where) {
  ManifestTensor tensor;
  TORII_ASSIGN_OR_RETURN(const std::string dtype, TextMember(json, "dtype", where));
  TORII_ASSIGN_OR_RETURN(const std::string kind, TextMember(json, "partition", where));
  TORII_ASSIGN_OR_RETURN(tensor.shape, IntegersMember(json, "shape", where));
  const std::optional<at::ScalarType> known_dtype = DtypeOf(dtype);
  const std::optional<Partition::Kind> known_kind = PartitionKindOf(kind);
  if (!known_dtype.has_value() || !known_kind.has_value()) {
    return DataError(
        absl::StrCat(where, ": unknown dtype '", dtype, "' or partition '", kind, "'"));
  }
  tensor.dtype = *known_dtype;
  tensor.partition = *known_kind;
  if (!tensor.is_replicated() && tensor.shape.empty()) {
    return DataError(absl::StrCat(where, ": rows over the ranks, but no dimension"));
  }
  return tensor;
}

// The shards and the replicated tensors, by the names under which they are written.
absl::StatusOr<std::vector<ManifestFile>> FilesFrom(const ordered_json& json, int world_size,
                                                    const std::string& where) {
  std::vector<ManifestFile> files;
  TORII_ASSIGN_OR_RETURN(const ordered_json* list, ArrayMember(json, "files", where));
  if (static_cast<int64_t>(list->size()) != world_size + 1) {
    return DataError(absl::StrCat(where, ": ", list->size(), " files for ", world_size, " ranks"));
  }
  for (const ordered_json& element : *list) {
    const auto rank = static_cast<int>(files.size());
    ManifestFile file;
    TORII_ASSIGN_OR_RETURN(file.name, TextMember(element, "name", where));
    TORII_ASSIGN_OR_RETURN(file.size, IntegerMember(element, "size", where));
    TORII_ASSIGN_OR_RETURN(file.digest, TextMember(element, "digest", where));
    const std::string want =
        rank < world_size ? ShardName(Rank{rank}, WorldSize{world_size}) : kReplicatedName;
    if (file.name != want) {
      return DataError(absl::StrCat(where, ": file '", file.name, "' in the place of ", want));
    }
    files.push_back(std::move(file));
  }
  return files;
}

// No tensor is larger than the files together: nothing that is made for one can be.
absl::Status CheckSizes(const Manifest& manifest, const std::string& where) {
  int64_t total = 0;
  for (const ManifestFile& file : manifest.files) {
    if (file.size > (int64_t{1} << 60) - total) {
      return DataError(absl::StrCat(where, ": files of more than 2^60 bytes"));
    }
    total += file.size;
  }
  for (const auto& [name, tensor] : manifest.tensors) {
    const std::optional<int64_t> bytes = TensorBytes(tensor.dtype, tensor.shape);
    if (!bytes.has_value() || *bytes > total) {
      return DataError(absl::StrCat(where, ": tensor '", name, "' is larger than the files"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Manifest> ManifestFrom(const ordered_json& json, const std::string& where) {
  Manifest manifest;
  TORII_ASSIGN_OR_RETURN(manifest.info, InfoFrom(json, where));
  TORII_ASSIGN_OR_RETURN(const ordered_json* tensors, ObjectMember(json, "tensors", where));
  for (const auto& [name, value] : tensors->items()) {
    TORII_ASSIGN_OR_RETURN(manifest.tensors[name],
                           TensorFrom(value, absl::StrCat(where, ": tensor '", name, "'")));
  }
  TORII_ASSIGN_OR_RETURN(manifest.files, FilesFrom(json, manifest.info.world_size, where));
  TORII_RETURN_IF_ERROR(CheckSizes(manifest, where));
  return manifest;
}

}  // namespace

std::vector<int64_t> ManifestTensor::ShapeIn(Rank rank, WorldSize world_size) const {
  std::vector<int64_t> in_file = shape;
  if (!is_replicated()) in_file[0] = Rows(Value(world_size)).OwnedRows(Value(rank));
  return in_file;
}

std::string ShardName(Rank rank, WorldSize world_size) {
  return absl::StrFormat("shard-%05d-of-%05d.safetensors", Value(rank), Value(world_size));
}

std::string FormatManifest(const Manifest& manifest) {
  const CheckpointInfo& info = manifest.info;
  ordered_json json = {{"format", kFormat},
                       {"version", kVersion},
                       {"step", info.step},
                       {"world_size", info.world_size},
                       {"data_digest", info.data_digest},
                       {"config", info.config},
                       {"messages", ordered_json::object()},
                       {"tensors", ordered_json::object()},
                       {"files", ordered_json::array()}};
  for (const auto& [name, text] : info.messages) json["messages"][name] = text;
  for (const auto& [name, tensor] : manifest.tensors) {
    json["tensors"][name] = {{"dtype", DtypeName(tensor.dtype)},
                             {"shape", tensor.shape},
                             {"partition", NameOf(tensor.partition)}};
  }
  for (const ManifestFile& file : manifest.files) {
    json["files"].push_back({{"name", file.name}, {"size", file.size}, {"digest", file.digest}});
  }
  json["manifest_digest"] = DigestOf(Dump(json, -1));
  return Dump(json, 1) + "\n";
}

absl::StatusOr<Manifest> ReadManifest(FileSystem& files, const std::string& checkpoint) {
  const std::string path = JoinPath(checkpoint, kManifestName);
  TORII_ASSIGN_OR_RETURN(const FileInfo file, files.Info(path));
  if (!file.exists) return DataError(absl::StrCat(path, ": missing"));
  if (file.size > kMostBytes) return DataError(absl::StrCat(path, ": ", file.size, " bytes"));
  TORII_ASSIGN_OR_RETURN(const std::string text, ReadFile(files, path));
  TORII_ASSIGN_OR_RETURN(ordered_json json, ParseShallowJson(text, path));
  const absl::StatusOr<std::string> format = TextMember(json, "format", path);
  if (!format.ok() || *format != kFormat) {
    return DataError(absl::StrCat(path, ": not the manifest of a Torii checkpoint"));
  }
  TORII_RETURN_IF_ERROR(CheckVersion(json, path));
  TORII_ASSIGN_OR_RETURN(const std::string digest, TextMember(json, "manifest_digest", path));
  json.erase("manifest_digest");
  if (digest != DigestOf(Dump(json, -1))) {
    return DataError(absl::StrCat(path, ": damaged: its content does not match its digest"));
  }
  TORII_ASSIGN_OR_RETURN(Manifest manifest, ManifestFrom(json, path));
  manifest.info.path = checkpoint;
  manifest.info.digest = digest;
  return manifest;
}

absl::Status VerifyFile(FileSystem& files, const std::string& checkpoint, const ManifestFile& file,
                        bool content) {
  const std::string path = JoinPath(checkpoint, file.name);
  TORII_ASSIGN_OR_RETURN(const FileInfo info, files.Info(path));
  if (!info.exists) return DataError(absl::StrCat(path, ": missing"));
  if (info.size != file.size) {
    return DataError(absl::StrCat(path, ": ", info.size, " bytes, the manifest says ", file.size));
  }
  if (!content) return absl::OkStatus();
  TORII_ASSIGN_OR_RETURN(const auto mapped, files.Map(path));
  Digest digest;
  digest.Update(mapped->data(), static_cast<size_t>(mapped->size()));
  if (digest.Hex() != file.digest) {
    return DataError(absl::StrCat(path, ": damaged: its content does not match the manifest"));
  }
  return absl::OkStatus();
}

}  // namespace torii::trainer
