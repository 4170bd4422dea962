#include "trainer/checkpoint_manifest.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/digest.h"
#include "base/exit_code.h"
#include "base/status_macros.h"

namespace torii::trainer {
namespace {

using nlohmann::ordered_json;

constexpr char kFormat[] = "torii-checkpoint";
constexpr int kVersion = 1;

ordered_json ToJson(const Progress& p) {
  return {{"step", p.step},
          {"epoch", p.epoch},
          {"step_in_epoch", p.step_in_epoch},
          {"rows_seen", p.rows_seen},
          {"best_metric", p.best_metric},
          {"best_step", p.best_step},
          {"evaluations_without_gain", p.evaluations_without_gain},
          {"loss_sum", p.loss_sum},
          {"loss_weight", p.loss_weight}};
}

Progress ProgressFrom(const ordered_json& j) {
  return {.step = j.at("step"),
          .epoch = j.at("epoch"),
          .step_in_epoch = j.at("step_in_epoch"),
          .rows_seen = j.at("rows_seen"),
          .best_metric = j.at("best_metric"),
          .best_step = j.at("best_step"),
          .evaluations_without_gain = j.at("evaluations_without_gain"),
          .loss_sum = j.at("loss_sum"),
          .loss_weight = j.at("loss_weight")};
}

Manifest ManifestFrom(const ordered_json& j) {
  Manifest manifest;
  manifest.info.world_size = j.at("world_size");
  manifest.info.data_digest = j.at("data_digest");
  manifest.info.config = j.at("config");
  manifest.info.progress = ProgressFrom(j.at("progress"));
  for (const auto& [name, tensor] : j.at("tensors").items()) {
    manifest.tensors[name] = {tensor.at("sharded"), tensor.at("shape")};
  }
  for (const auto& file : j.at("files")) {
    manifest.files.push_back({file.at("name"), file.at("size"), file.at("digest")});
  }
  return manifest;
}

}  // namespace

std::string ShardName(int rank, int world_size) {
  return absl::StrFormat("shard-%05d-of-%05d.safetensors", rank, world_size);
}

std::string FormatProgress(const Progress& progress) { return ToJson(progress).dump(); }

std::string FormatManifest(const Manifest& manifest) {
  ordered_json j = {{"format", kFormat},
                    {"version", kVersion},
                    {"world_size", manifest.info.world_size},
                    {"data_digest", manifest.info.data_digest},
                    {"config", manifest.info.config},
                    {"progress", ToJson(manifest.info.progress)},
                    {"tensors", ordered_json::object()},
                    {"files", ordered_json::array()}};
  for (const auto& [name, tensor] : manifest.tensors) {
    j["tensors"][name] = {{"sharded", tensor.sharded}, {"shape", tensor.shape}};
  }
  for (const ManifestFile& file : manifest.files) {
    j["files"].push_back({{"name", file.name}, {"size", file.size}, {"digest", file.digest}});
  }
  j["manifest_digest"] = DigestOf(j.dump());
  return j.dump(1) + "\n";
}

absl::StatusOr<Manifest> ReadManifest(FileSystem& files, const std::string& checkpoint) {
  const std::string path = JoinPath(checkpoint, kManifestName);
  TORII_ASSIGN_OR_RETURN(const std::string text, ReadFile(files, path));
  ordered_json j = ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (j.is_discarded() || !j.is_object() || j.value("format", "") != kFormat) {
    return DataError(absl::StrCat(path, ": not the manifest of a Torii checkpoint"));
  }
  if (j.value("version", 0) != kVersion) {
    return DataError(absl::StrCat(path, ": format version ", j.value("version", 0),
                                  "; this program reads version ", kVersion));
  }
  const std::string digest = j.value("manifest_digest", "");
  j.erase("manifest_digest");
  if (digest != DigestOf(j.dump())) {
    return DataError(absl::StrCat(path, ": damaged: its content does not match its digest"));
  }
  Manifest manifest;
  try {
    manifest = ManifestFrom(j);
  } catch (const nlohmann::json::exception& error) {
    return DataError(absl::StrCat(path, ": ", error.what()));
  }
  manifest.info.path = checkpoint;
  for (const ManifestFile& file : manifest.files) {
    if (file.name.empty() || BaseName(file.name) != file.name || file.name == "..") {
      return DataError(absl::StrCat(path, ": file name '", file.name, "' is not a plain name"));
    }
  }
  if (static_cast<int>(manifest.files.size()) != manifest.info.world_size + 1) {
    return DataError(absl::StrCat(path, ": ", manifest.files.size(), " files for ",
                                  manifest.info.world_size, " ranks"));
  }
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
